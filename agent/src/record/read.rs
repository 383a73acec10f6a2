//! Reading the store, live or at rest, without write access.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row, ToSql, params_from_iter};

use super::found::{EventRow, SessionDetail, SessionRow, event_row, session_detail, session_row};
use super::{Outcome, RecordError, StoreError, file, schema};

/// An open store.
#[derive(Debug)]
pub struct Store {
    conn: Connection,
    segment: PathBuf,
}

/// Which sessions or events to list; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Begun at or after, nanoseconds since 1970.
    pub since_ns: Option<i64>,
    /// Begun before, nanoseconds since 1970.
    pub until_ns: Option<i64>,
    /// System or user unit.
    pub unit: Option<String>,
    /// Name of the login, of the user, or a uid of either.
    pub user: Option<String>,
    /// Part of `ADDRESS:PORT`.
    pub target: Option<String>,
    /// How it ended; [`None`] for all. Events have none.
    pub outcome: Option<Outcome>,
    /// At most so many, the newest.
    pub limit: Option<u32>,
}

const SESSION_COLUMNS: &str = "s.id, s.started_ns, e.ended_ns, s.scope, p.workload, s.decision,
    coalesce(e.outcome, 'open') AS outcome, e.detail, s.protocol, s.client_addr, s.client_port, s.dest_addr,
    s.dest_port, e.bytes_out, e.bytes_in, p.pid, p.exe, p.uid, p.user, p.login_user, p.login_uid, p.unit, p.container";
const SESSION_TABLES: &str =
    "session s JOIN process p ON p.seq = s.process LEFT JOIN session_end e ON e.session = s.seq";
const DETAIL_COLUMNS: &str = "s.netns, s.started_boot_ns, e.ended_boot_ns,
    p.started_boot_ns AS process_started_boot_ns, p.exe_sha256, p.exe_on_host, p.argv, p.gid, p.login_session,
    p.user_unit, p.slice, p.cgroup, p.cgroup_id, p.parents, p.attestation";
const EVENT_COLUMNS: &str =
    "v.seq AS id, v.first_ns, v.last_ns, v.kind, v.hook, v.decision, v.scope, v.count, p.workload,
    coalesce(p.pid, v.pid) AS pid, coalesce(p.uid, v.uid) AS uid, coalesce(p.cgroup_id, v.cgroup_id) AS cgroup_id,
    p.exe, p.user, p.login_user, p.unit, v.protocol, v.dest_addr, v.dest_port, v.detail";

impl Store {
    /// Opens the store below `state_dir`.
    ///
    /// # Errors
    /// When there is none, or it may not be read, or was written by a later version.
    pub fn open_read_only(state_dir: &Path) -> Result<Self, StoreError> {
        let directory = file::directory(state_dir);
        let segments = file::segments(&directory).unwrap_or_default();
        let segment = segments.last().map_or_else(|| file::live(&directory, 1), |last| last.path.clone());
        match std::fs::metadata(&segment) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(StoreError::NotReadable { path: segment });
            }
            Err(_) => return Err(StoreError::Missing { path: directory }),
        }
        let conn = file::connect_read_only(&segment).map_err(|e| match e.sqlite_error_code() {
            Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::PermissionDenied) => {
                StoreError::NotReadable { path: segment.clone() }
            }
            _ => RecordError::sqlite("open the store", &segment, e).into(),
        })?;
        if schema::version(&conn, &segment, schema::known())? == 0 {
            return Err(StoreError::Missing { path: directory });
        }
        Ok(Self { conn, segment })
    }

    /// The sessions that fit, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<Vec<SessionRow>, StoreError> {
        let mut wanted = Where::default();
        wanted.conditions.push("s.continues IS NULL");
        wanted.by("s.started_ns >= ?", filter.since_ns);
        wanted.by("s.started_ns < ?", filter.until_ns);
        wanted.by("coalesce(e.outcome, 'open') = ?", filter.outcome.map(Outcome::as_str));
        wanted.by(
            "instr(CASE WHEN instr(s.dest_addr, ':') THEN '[' || s.dest_addr || ']' ELSE s.dest_addr END
            || ':' || s.dest_port, ?) > 0",
            filter.target.clone(),
        );
        wanted.people(filter);
        let sql = format!(
            "SELECT {SESSION_COLUMNS} FROM {SESSION_TABLES} {} ORDER BY s.id DESC {}",
            wanted.clause(),
            limit(filter)
        );
        self.rows(&sql, &wanted.values, session_row)
    }

    /// One session by its id, or by as much of it as no other begins with.
    ///
    /// # Errors
    /// When there is no such session or there are several, or the store cannot be read.
    pub fn show(&self, id: &str) -> Result<SessionDetail, StoreError> {
        let (low, high) = id_range(id).ok_or_else(|| StoreError::NotAnId { id: id.to_owned() })?;
        let sql = format!(
            "SELECT {SESSION_COLUMNS}, {DETAIL_COLUMNS} FROM {SESSION_TABLES} WHERE s.id BETWEEN ? AND ? LIMIT 2"
        );
        let values: Vec<Box<dyn ToSql>> = vec![Box::new(low), Box::new(high)];
        let mut found = self.rows(&sql, &values, session_detail)?;
        match (found.pop(), found.pop()) {
            (Some(session), None) => Ok(session),
            (None, _) => Err(StoreError::NoSession { id: id.to_owned() }),
            (Some(_), Some(_)) => Err(StoreError::Ambiguous { id: id.to_owned() }),
        }
    }

    /// The events that fit, newest first. [`Filter::outcome`] does not matter.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn events(&self, filter: &Filter) -> Result<Vec<EventRow>, StoreError> {
        let mut wanted = Where::default();
        wanted.by("v.last_ns >= ?", filter.since_ns);
        wanted.by("v.first_ns < ?", filter.until_ns);
        wanted.by(
            "instr(CASE WHEN instr(v.dest_addr, ':') THEN '[' || v.dest_addr || ']' ELSE v.dest_addr END
            || ':' || v.dest_port, ?) > 0",
            filter.target.clone(),
        );
        wanted.people(filter);
        let sql = format!(
            "SELECT {EVENT_COLUMNS} FROM event v LEFT JOIN process p ON p.seq = v.process {} ORDER BY v.seq DESC {}",
            wanted.clause(),
            limit(filter)
        );
        self.rows(&sql, &wanted.values, event_row)
    }

    fn rows<T>(
        &self,
        sql: &str,
        values: &[Box<dyn ToSql>],
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let run = || {
            let mut statement = self.conn.prepare_cached(sql)?;
            let rows = statement.query_map(params_from_iter(values), |row| read(row))?;
            rows.collect::<rusqlite::Result<Vec<T>>>()
        };
        run().map_err(|e| RecordError::sqlite("read", &self.segment, e).into())
    }
}

/// Conditions joined by AND, with their values in order.
#[derive(Default)]
struct Where {
    conditions: Vec<&'static str>,
    values: Vec<Box<dyn ToSql>>,
}

impl Where {
    fn by<T: ToSql + 'static>(&mut self, condition: &'static str, value: Option<T>) {
        if let Some(value) = value {
            self.conditions.push(condition);
            self.values.push(Box::new(value));
        }
    }

    fn people(&mut self, filter: &Filter) {
        if let Some(unit) = &filter.unit {
            self.conditions.push("(p.unit = ? OR p.user_unit = ?)");
            self.values.extend([unit, unit].map(|u| Box::new(u.clone()) as Box<dyn ToSql>));
        }
        let Some(user) = &filter.user else { return };
        match user.parse::<u32>() {
            Ok(uid) => {
                self.conditions.push("(p.uid = ? OR p.login_uid = ?)");
                self.values.extend([uid, uid].map(|u| Box::new(u) as Box<dyn ToSql>));
            }
            Err(_) => {
                self.conditions.push("(p.user = ? OR p.login_user = ?)");
                self.values.extend([user, user].map(|u| Box::new(u.clone()) as Box<dyn ToSql>));
            }
        }
    }

    fn clause(&self) -> String {
        if self.conditions.is_empty() { String::new() } else { format!("WHERE {}", self.conditions.join(" AND ")) }
    }
}

fn limit(filter: &Filter) -> String {
    filter.limit.map(|n| format!("LIMIT {n}")).unwrap_or_default()
}

/// The first and the last id that begin with these digits.
fn id_range(prefix: &str) -> Option<([u8; 16], [u8; 16])> {
    let digits: String = prefix.chars().filter(|c| *c != '-').collect();
    if digits.is_empty() || digits.len() > 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let filled = |fill: &str| {
        let text = format!("{digits}{}", fill.repeat(32 - digits.len()));
        u128::from_str_radix(&text, 16).ok().map(u128::to_be_bytes)
    };
    Some((filled("0")?, filled("f")?))
}
