//! What is in the tables of a store, read with nothing but SQLite.

use rusqlite::{Connection, OpenFlags};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The records of every segment, by the names that [`crate::scribe`] gives them, and how often each is there.
#[derive(Debug, Default)]
pub struct Written {
    counts: BTreeMap<String, u32>,
    /// Kinds of the store's own events.
    events: BTreeSet<String>,
    /// `seq` of each session's rows.
    sessions: BTreeMap<i64, String>,
    /// Every `seq`, in the order of segments.
    numbers: Vec<i64>,
}

impl Written {
    /// Reads the store below a state directory, which nobody writes meanwhile.
    pub fn read(state: &Path) -> Self {
        let mut written = Self::default();
        for segment in segments(state) {
            let conn = Connection::open_with_flags(&segment, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
            written.add(&conn).unwrap_or_else(|error| panic!("{}: {error}", segment.display()));
        }
        written
    }

    /// Whether something is there.
    pub fn has(&self, key: &str) -> bool {
        self.counts.contains_key(key)
    }

    /// What is there more than once.
    pub fn twice(&self) -> Vec<&String> {
        self.counts.iter().filter(|(_, count)| **count > 1).map(|(key, _)| key).collect()
    }

    /// The kinds of events that are there.
    pub fn events(&self) -> &BTreeSet<String> {
        &self.events
    }

    /// The first number of the log that is missing, there twice, or out of place.
    pub fn gap(&self) -> Option<i64> {
        (0..).zip(&self.numbers).find(|(expected, found)| expected != *found).map(|(expected, _)| expected)
    }

    fn add(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let good: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        assert_eq!(good, "ok");
        self.number(conn)?;
        each(conn, "SELECT seq, lower(hex(id)), continues IS NULL FROM session", |row| {
            let id: String = row.get(1)?;
            if row.get(2)? {
                self.count(format!("session {id}"));
            }
            self.sessions.insert(row.get(0)?, id);
            Ok(())
        })?;
        each(conn, "SELECT session, n FROM request", |row| self.part("request", row))?;
        let answered =
            "SELECT session, n FROM response UNION ALL SELECT session, n FROM request WHERE status IS NOT NULL";
        each(conn, answered, |row| self.part("response", row))?;
        each(conn, "SELECT session FROM session_end WHERE outcome = 'completed'", |row| {
            self.count(format!("end {}", self.session(row.get(0)?)));
            Ok(())
        })?;
        each(conn, "SELECT lower(hex(id)), state FROM approval", |row| {
            self.count(format!("approval {}/{}", row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            Ok(())
        })?;
        each(conn, "SELECT kind, detail FROM event", |row| {
            let kind: String = row.get(0)?;
            if kind == "reloaded" {
                self.count(format!("event {}", row.get::<_, String>(1)?));
            }
            self.events.insert(kind);
            Ok(())
        })
    }

    /// The numbers of every table that has any.
    fn number(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let mut tables = Vec::new();
        let numbered = "SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
            WHERE m.type = 'table' AND c.name = 'mark'";
        each(conn, numbered, |row| {
            tables.push(format!("SELECT seq FROM {}", row.get::<_, String>(0)?));
            Ok(())
        })?;
        each(conn, &format!("{} ORDER BY 1", tables.join(" UNION ALL ")), |row| {
            self.numbers.push(row.get(0)?);
            Ok(())
        })
    }

    fn part(&mut self, kind: &str, row: &rusqlite::Row<'_>) -> rusqlite::Result<()> {
        let key = format!("{kind} {}/{}", self.session(row.get(0)?), row.get::<_, i64>(1)?);
        self.count(key);
        Ok(())
    }

    fn session(&self, row: i64) -> &str {
        self.sessions.get(&row).unwrap_or_else(|| panic!("row {row} is no session"))
    }

    fn count(&mut self, key: String) {
        *self.counts.entry(key).or_default() += 1;
    }
}

fn each(
    conn: &Connection,
    sql: &str,
    mut read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        read(row)?;
    }
    Ok(())
}

/// The files of a store, oldest first. Of one that is there in both states only the finalised file counts.
pub fn segments(state: &Path) -> Vec<PathBuf> {
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in fs::read_dir(state.join("sessions")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        match name.split_once('.') {
            Some((number, "sqlite")) => drop(found.insert(number.to_owned(), entry.path())),
            Some((number, "live.sqlite")) => drop(found.entry(number.to_owned()).or_insert(entry.path())),
            _ => {}
        }
    }
    found.into_values().collect()
}
