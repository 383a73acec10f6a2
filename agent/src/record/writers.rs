//! Who writes: each writing process has a row, so that the sessions of one that was killed can be told from those of
//! one that still runs.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::ledger::{Ledger, Value};
use super::recorder::Role;
use super::schema::{SESSION_END, WRITER, WRITER_END};
use super::{Outcome, Timestamps, intents, journal};
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

/// Registers this process as a writer, and returns its row; inside the caller's transaction.
pub(super) fn register(conn: &Connection, ledger: &mut Ledger, role: Role) -> rusqlite::Result<i64> {
    let owner = Owner::this_process();
    ledger.append(
        conn,
        &WRITER,
        &[
            (&owner.boot).into(),
            owner.pid.into(),
            (&owner.pid_namespace).into(),
            owner.start_ticks.into(),
            role.as_str().into(),
            env!("CARGO_PKG_VERSION").into(),
            Timestamps::now().wall_ns.into(),
        ],
    )
}

/// What writers that are gone left.
#[derive(Debug, Default)]
pub(super) struct Abandoned {
    /// Their rows.
    pub(super) writers: Vec<i64>,
    /// How many sessions they had open.
    pub(super) sessions: usize,
    /// Writers that still run.
    pub(super) others: usize,
}

impl Abandoned {
    /// Removes what they left beside the segment, after it was committed.
    pub(super) fn forget(&self, segment: &Path) {
        for writer in &self.writers {
            intents::forget(segment, *writer);
            journal::forget(segment, *writer);
        }
    }
}

/// Puts the intents of writers that are gone into the tables, and ends what they left open.
pub(super) fn interrupt_abandoned(
    conn: &Connection,
    ledger: &mut Ledger,
    segment: &Path,
) -> rusqlite::Result<Abandoned> {
    let mut found = Abandoned::default();
    for (writer, gone) in open_writers(conn)? {
        if gone {
            intents::replay(conn, ledger, segment, writer)?;
            journal::replay(conn, ledger, segment, writer)?;
            found.sessions += interrupt(conn, ledger, writer)?;
            close(conn, ledger, writer)?;
            found.writers.push(writer);
        } else {
            found.others += 1;
        }
    }
    Ok(found)
}

/// Writers without an end, and whether their process is gone.
fn open_writers(conn: &Connection) -> rusqlite::Result<Vec<(i64, bool)>> {
    let observer = Owner::this_process();
    let mut statement = conn.prepare(
        "SELECT seq, boot, pid, pid_namespace, start_ticks FROM writer
          WHERE seq NOT IN (SELECT writer FROM writer_end)",
    )?;
    let open = statement.query_map([], |row| {
        let owner = Owner {
            boot: row.get(1)?,
            pid: row.get(2)?,
            pid_namespace: row.get(3)?,
            start_ticks: row.get::<_, i64>(4)?.cast_unsigned(),
        };
        Ok((row.get::<_, i64>(0)?, owner.is_gone(&observer)))
    })?;
    open.collect()
}

/// Whether a process other than the one of this row writes the segment.
pub(super) fn are_others(conn: &Connection, writer: i64) -> rusqlite::Result<bool> {
    Ok(open_writers(conn)?.iter().any(|(row, gone)| *row != writer && !gone))
}

/// Marks as interrupted what a writer left open; returns how many sessions that were.
fn interrupt(conn: &Connection, ledger: &mut Ledger, writer: i64) -> rusqlite::Result<usize> {
    let mut statement = conn.prepare(
        "SELECT seq FROM session s
          WHERE writer = ? AND NOT EXISTS (SELECT 1 FROM session_end e WHERE e.session = s.seq)",
    )?;
    let open = statement.query_map([writer], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let why = "the recording process was gone; when it ended is not known";
    for session in &open {
        let outcome = Outcome::Interrupted.as_str();
        let unknown = Value::Null;
        ledger.append(
            conn,
            &SESSION_END,
            &[(*session).into(), outcome.into(), why.into(), unknown, unknown, unknown, unknown],
        )?;
    }
    Ok(open.len())
}

/// Marks a writer as done; inside the caller's transaction.
pub(super) fn close(conn: &Connection, ledger: &mut Ledger, writer: i64) -> rusqlite::Result<()> {
    ledger.append(conn, &WRITER_END, &[writer.into(), Timestamps::now().wall_ns.into()])?;
    Ok(())
}
