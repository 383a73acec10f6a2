//! Tables, views and migrations of a segment.
//!
//! Rows are only ever added (an end is a row of its own), so a chain over them stays possible. The hot table has one
//! b-tree, ordered by an id that grows with time: a session costs one page.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::RecordError;

/// `SALY`: what `file(1)` and we know a segment by.
pub(super) const APPLICATION_ID: i64 = 0x5341_4c59;

/// Step `n` leads from `user_version` `n` to `n + 1`. Released steps never change.
pub(super) const STEPS: &[&str] = &[TABLES];

const TABLES: &str = "
CREATE TABLE writer (
    id INTEGER PRIMARY KEY,
    boot TEXT NOT NULL,
    pid INTEGER NOT NULL,
    pid_namespace TEXT NOT NULL,
    start_ticks INTEGER NOT NULL,
    role TEXT NOT NULL,
    version TEXT NOT NULL,
    opened_ns INTEGER NOT NULL,
    closed_ns INTEGER
) STRICT;
CREATE TABLE process (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    workload TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_boot_ns INTEGER NOT NULL,
    exe TEXT,
    exe_on_host INTEGER,
    exe_dev INTEGER,
    exe_ino INTEGER,
    exe_sha256 TEXT,
    argv TEXT NOT NULL,
    uid INTEGER NOT NULL,
    gid INTEGER NOT NULL,
    user TEXT,
    login_uid INTEGER,
    login_session INTEGER,
    login_user TEXT,
    cgroup TEXT NOT NULL,
    cgroup_id INTEGER NOT NULL,
    unit TEXT,
    user_unit TEXT,
    slice TEXT,
    container TEXT,
    parents TEXT NOT NULL,
    attestation TEXT NOT NULL
) STRICT;
CREATE INDEX process_unit ON process (unit);
CREATE TABLE session (
    id BLOB PRIMARY KEY,
    writer INTEGER NOT NULL,
    process INTEGER NOT NULL,
    scope TEXT,
    protocol TEXT NOT NULL,
    client_addr TEXT NOT NULL,
    client_port INTEGER NOT NULL,
    dest_addr TEXT NOT NULL,
    dest_port INTEGER NOT NULL,
    netns INTEGER NOT NULL,
    decision TEXT NOT NULL,
    started_ns INTEGER NOT NULL,
    started_boot_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE session_end (
    id BLOB PRIMARY KEY,
    outcome TEXT NOT NULL,
    detail TEXT,
    bytes_out INTEGER,
    bytes_in INTEGER,
    ended_ns INTEGER,
    ended_boot_ns INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    writer INTEGER NOT NULL,
    kind TEXT NOT NULL,
    hook TEXT,
    decision TEXT,
    scope TEXT,
    process INTEGER,
    pid INTEGER,
    uid INTEGER,
    cgroup_id INTEGER,
    protocol INTEGER,
    dest_addr TEXT,
    dest_port INTEGER,
    count INTEGER NOT NULL,
    first_ns INTEGER NOT NULL,
    first_boot_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    last_boot_ns INTEGER NOT NULL,
    detail TEXT
) STRICT;
";

/// The surface auditors build on: columns are only ever added. Made anew whenever the tables move.
const VIEWS: &str = "
DROP VIEW IF EXISTS decisions;
DROP VIEW IF EXISTS statements;
DROP VIEW IF EXISTS approvals;
DROP VIEW IF EXISTS events;
DROP VIEW IF EXISTS sessions;
CREATE VIEW sessions AS SELECT
    lower(substr(hex(s.id), 1, 8) || '-' || substr(hex(s.id), 9, 4) || '-' || substr(hex(s.id), 13, 4) || '-'
        || substr(hex(s.id), 17, 4) || '-' || substr(hex(s.id), 21)) AS id,
    strftime('%Y-%m-%dT%H:%M:%fZ', s.started_ns / 1e9, 'unixepoch') AS started,
    strftime('%Y-%m-%dT%H:%M:%fZ', e.ended_ns / 1e9, 'unixepoch') AS ended,
    s.scope, p.workload, s.decision, coalesce(e.outcome, 'open') AS outcome, e.detail,
    s.protocol, s.client_addr, s.client_port, s.dest_addr, s.dest_port, s.netns, e.bytes_out, e.bytes_in,
    p.pid, p.started_boot_ns AS process_started_boot_ns, p.exe, p.exe_on_host, p.exe_sha256, p.argv,
    p.uid, p.gid, p.user, p.login_uid, p.login_session, p.login_user,
    p.unit, p.user_unit, p.slice, p.container, p.cgroup, p.cgroup_id, p.parents, p.attestation,
    s.started_ns, s.started_boot_ns, e.ended_ns, e.ended_boot_ns
  FROM session s JOIN process p ON p.id = s.process LEFT JOIN session_end e ON e.id = s.id;
CREATE VIEW events AS SELECT
    v.id, strftime('%Y-%m-%dT%H:%M:%fZ', v.first_ns / 1e9, 'unixepoch') AS first,
    strftime('%Y-%m-%dT%H:%M:%fZ', v.last_ns / 1e9, 'unixepoch') AS last,
    v.kind, v.hook, v.decision, v.scope, v.count, p.workload,
    coalesce(p.pid, v.pid) AS pid, coalesce(p.uid, v.uid) AS uid, coalesce(p.cgroup_id, v.cgroup_id) AS cgroup_id,
    p.exe, p.exe_sha256, p.argv, p.user, p.login_uid, p.login_session, p.login_user, p.unit, p.container, p.cgroup,
    p.attestation, v.protocol, v.dest_addr, v.dest_port, v.detail,
    v.first_ns, v.first_boot_ns, v.last_ns, v.last_boot_ns
  FROM event v LEFT JOIN process p ON p.id = v.process;
CREATE VIEW decisions AS
  SELECT started AS time, started_ns AS time_ns, 'session' AS source, id AS source_id, 'connect' AS action,
    CASE WHEN outcome IN ('denied', 'refused') THEN 'deny' ELSE decision END AS decision,
    scope, workload, dest_addr, dest_port, 1 AS count, detail AS reason
  FROM sessions
  UNION ALL
  SELECT first, first_ns, 'event', CAST(id AS TEXT), coalesce(hook, kind), decision,
    scope, workload, dest_addr, dest_port, count, detail
  FROM events WHERE decision IS NOT NULL;
CREATE VIEW statements AS SELECT
    CAST(NULL AS TEXT) AS session_id, CAST(NULL AS INTEGER) AS sequence, CAST(NULL AS TEXT) AS time,
    CAST(NULL AS INTEGER) AS time_ns, CAST(NULL AS TEXT) AS protocol, CAST(NULL AS TEXT) AS kind,
    CAST(NULL AS TEXT) AS statement, CAST(NULL AS TEXT) AS decision, CAST(NULL AS INTEGER) AS rows,
    CAST(NULL AS TEXT) AS error WHERE 0;
CREATE VIEW approvals AS SELECT
    CAST(NULL AS TEXT) AS id, CAST(NULL AS TEXT) AS session_id, CAST(NULL AS TEXT) AS requested,
    CAST(NULL AS INTEGER) AS requested_ns, CAST(NULL AS TEXT) AS requester, CAST(NULL AS TEXT) AS approver,
    CAST(NULL AS TEXT) AS decided, CAST(NULL AS INTEGER) AS decided_ns, CAST(NULL AS TEXT) AS decision,
    CAST(NULL AS TEXT) AS reason WHERE 0;
";

/// Brings a segment to the last layout, or refuses one from elsewhere or from later.
pub(super) fn migrate(conn: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), RecordError> {
    let failed = |e| RecordError::sqlite("prepare the tables", path, e);
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let tx = Transaction::new(conn, TransactionBehavior::Immediate).map_err(failed)?;
    let found = version(&tx, path, known)?;
    let done = usize::try_from(found).unwrap_or_default();
    for step in steps.get(done..).unwrap_or_default() {
        tx.execute_batch(step).map_err(failed)?;
    }
    if found != known {
        tx.execute_batch(VIEWS).map_err(failed)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
        tx.pragma_update(None, "user_version", known).map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

/// The layout of a segment, after checking that it is one of ours and not from a later version.
pub(super) fn version(conn: &Connection, path: &Path, known: i64) -> Result<i64, RecordError> {
    let failed = |e| RecordError::sqlite("read the layout", path, e);
    let number = |pragma| conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map_err(failed);
    let (found, owner) = (number("user_version")?, number("application_id")?);
    let path = path.to_owned();
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if owner != APPLICATION_ID && tables > 0 || found < 0 {
        return Err(RecordError::Foreign { path });
    }
    if found > known {
        return Err(RecordError::TooNew { path, found, known });
    }
    Ok(found)
}

/// The last layout this version knows.
pub(super) fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}
