//! Who writes: each writing process has a row, so that the sessions of one that was killed can be told from those of
//! one that still runs.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, params};

use super::recorder::Role;
use super::{Outcome, Timestamps, intents};
use crate::identity::procfs;

/// What tells one process from every other, across restarts of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    /// `/proc/sys/kernel/random/boot_id`.
    boot: String,
    pid: u32,
    /// A process id means something in its own pid namespace only.
    pid_namespace: String,
    start_ticks: u64,
}

impl Owner {
    fn this_process() -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let pid = std::process::id();
        Self {
            boot: boot.trim().to_owned(),
            pid,
            pid_namespace: namespace.to_string_lossy().into_owned(),
            start_ticks: start_ticks(pid).unwrap_or_default(),
        }
    }

    /// Whether the process is known to be gone; one in a pid namespace we cannot see into is left alone.
    fn is_gone(&self, observer: &Self) -> bool {
        if self.boot != observer.boot {
            return true;
        }
        self.pid_namespace == observer.pid_namespace && start_ticks(self.pid) != Some(self.start_ticks)
    }
}

fn start_ticks(pid: u32) -> Option<u64> {
    let stat = procfs::stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)?;
    // A zombie writes nothing any more.
    (stat.state != b'Z' && stat.state != b'X').then_some(stat.start_ticks)
}

/// Registers this process as a writer, and returns its row.
pub(super) fn register(conn: &Connection, role: Role) -> rusqlite::Result<i64> {
    let owner = Owner::this_process();
    conn.execute(
        "INSERT INTO writer (boot, pid, pid_namespace, start_ticks, role, version, opened_ns)
         VALUES (?1,?2,?3,?4,?5,?6,?7)",
        params![
            owner.boot,
            owner.pid,
            owner.pid_namespace,
            owner.start_ticks.cast_signed(),
            role.as_str(),
            env!("CARGO_PKG_VERSION"),
            Timestamps::now().wall_ns,
        ],
    )?;
    Ok(conn.last_insert_rowid())
}

/// What writers that are gone left.
pub(super) struct Abandoned {
    /// Their rows.
    pub(super) writers: Vec<i64>,
    /// How many sessions they had open.
    pub(super) sessions: usize,
}

/// Puts the intents of writers that are gone into the tables, and ends what they left open.
pub(super) fn interrupt_abandoned(conn: &Connection, segment: &Path) -> rusqlite::Result<Abandoned> {
    let observer = Owner::this_process();
    let mut statement =
        conn.prepare("SELECT id, boot, pid, pid_namespace, start_ticks FROM writer WHERE closed_ns IS NULL")?;
    let open = statement.query_map([], |row| {
        let owner = Owner {
            boot: row.get(1)?,
            pid: row.get(2)?,
            pid_namespace: row.get(3)?,
            start_ticks: row.get::<_, i64>(4)?.cast_unsigned(),
        };
        Ok((row.get::<_, i64>(0)?, owner))
    })?;
    let open = open.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut abandoned = Abandoned { writers: Vec::new(), sessions: 0 };
    for (writer, owner) in open {
        if owner.is_gone(&observer) {
            intents::replay(conn, segment, writer)?;
            abandoned.sessions += interrupt(conn, writer)?;
            close(conn, writer)?;
            abandoned.writers.push(writer);
        }
    }
    Ok(abandoned)
}

/// Marks as interrupted what a writer left open; returns how many sessions that were.
fn interrupt(conn: &Connection, writer: i64) -> rusqlite::Result<usize> {
    conn.execute(
        "INSERT INTO session_end (id, outcome, detail)
         SELECT id, ?2, ?3 FROM session s
          WHERE writer = ?1 AND NOT EXISTS (SELECT 1 FROM session_end e WHERE e.id = s.id)",
        params![writer, Outcome::Interrupted.as_str(), "the recording process was gone; when it ended is not known"],
    )
}

/// Marks a writer as done.
pub(super) fn close(conn: &Connection, writer: i64) -> rusqlite::Result<()> {
    conn.execute("UPDATE writer SET closed_ns = ?2 WHERE id = ?1", params![writer, Timestamps::now().wall_ns])?;
    Ok(())
}
