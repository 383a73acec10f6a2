//! Reading the store, live or at rest, without write access.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row, ToSql, params_from_iter};
use serde::Serialize;

use super::{Outcome, RecordError, SessionId, StoreError, file, schema};

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

/// One session, for a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionRow {
    /// Its name.
    pub id: SessionId,
    /// Nanoseconds since 1970.
    pub started_ns: i64,
    /// Nanoseconds since 1970; `None` while it is open, or when it is not known.
    pub ended_ns: Option<i64>,
    /// Scope.
    pub scope: Option<String>,
    /// SPIFFE ID.
    pub workload: String,
    /// `allow`, `deny`, `would-deny`.
    pub decision: String,
    /// One of [`Outcome`]'s names, or `open`.
    pub outcome: String,
    /// A sentence on the outcome.
    pub detail: Option<String>,
    /// Transport.
    pub protocol: String,
    /// The client's address.
    pub client_addr: String,
    /// The client's port.
    pub client_port: u16,
    /// Where it was going.
    pub dest_addr: String,
    /// Port there.
    pub dest_port: u16,
    /// To the destination.
    pub bytes_out: Option<u64>,
    /// From the destination.
    pub bytes_in: Option<u64>,
    /// Process id.
    pub pid: u32,
    /// Path of the executable.
    pub exe: Option<String>,
    /// Real uid.
    pub uid: u32,
    /// Its name.
    pub user: Option<String>,
    /// Name of the audit login.
    pub login_user: Option<String>,
    /// Audit login uid.
    pub login_uid: Option<u32>,
    /// System unit.
    pub unit: Option<String>,
    /// Container.
    pub container: Option<String>,
}

/// Everything recorded of one session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub session: SessionRow,
    /// Network namespace cookie of the client.
    pub netns: u64,
    /// Start on the boot-time clock, nanoseconds.
    pub started_boot_ns: u64,
    /// End on the boot-time clock, nanoseconds.
    pub ended_boot_ns: Option<u64>,
    /// Start of the process on the boot-time clock, nanoseconds.
    pub process_started_boot_ns: u64,
    /// Digest of the executable, hex.
    pub exe_sha256: Option<String>,
    /// Whether the host has that executable at that path.
    pub exe_on_host: Option<bool>,
    /// Arguments, redacted.
    pub argv: Vec<String>,
    /// Real gid.
    pub gid: u32,
    /// Audit session.
    pub login_session: Option<u32>,
    /// Unit of the user's own manager.
    pub user_unit: Option<String>,
    /// Slice.
    pub slice: Option<String>,
    /// Cgroup path.
    pub cgroup: String,
    /// Cgroup id.
    pub cgroup_id: u64,
    /// Ancestors, nearest first: `pid`, `started`, `exe`.
    pub parents: serde_json::Value,
    /// `live` or `kernel-only`.
    pub attestation: String,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// Number in this store.
    pub id: i64,
    /// First occurrence, nanoseconds since 1970.
    pub first_ns: i64,
    /// Last occurrence, nanoseconds since 1970.
    pub last_ns: i64,
    /// One of [`EventKind`](super::EventKind)'s names.
    pub kind: String,
    /// Hook of the kernel half.
    pub hook: Option<String>,
    /// `allow`, `deny`, `would-deny`.
    pub decision: Option<String>,
    /// Scope.
    pub scope: Option<String>,
    /// How many were made into this one.
    pub count: u64,
    /// SPIFFE ID.
    pub workload: Option<String>,
    /// Process id.
    pub pid: Option<u32>,
    /// Real uid.
    pub uid: Option<u32>,
    /// Cgroup id.
    pub cgroup_id: Option<u64>,
    /// Path of the executable.
    pub exe: Option<String>,
    /// Name of the user.
    pub user: Option<String>,
    /// Name of the audit login.
    pub login_user: Option<String>,
    /// System unit.
    pub unit: Option<String>,
    /// `IPPROTO_*`.
    pub protocol: Option<u16>,
    /// Where it was going.
    pub dest_addr: Option<String>,
    /// Port there.
    pub dest_port: Option<u16>,
    /// A sentence.
    pub detail: Option<String>,
}

const SESSION_COLUMNS: &str = "s.id, s.started_ns, e.ended_ns, s.scope, p.workload, s.decision,
    coalesce(e.outcome, 'open') AS outcome, e.detail, s.protocol, s.client_addr, s.client_port, s.dest_addr,
    s.dest_port, e.bytes_out, e.bytes_in, p.pid, p.exe, p.uid, p.user, p.login_user, p.login_uid, p.unit, p.container";
const SESSION_TABLES: &str = "session s JOIN process p ON p.id = s.process LEFT JOIN session_end e ON e.id = s.id";
const DETAIL_COLUMNS: &str = "s.netns, s.started_boot_ns, e.ended_boot_ns,
    p.started_boot_ns AS process_started_boot_ns, p.exe_sha256, p.exe_on_host, p.argv, p.gid, p.login_session,
    p.user_unit, p.slice, p.cgroup, p.cgroup_id, p.parents, p.attestation";
const EVENT_COLUMNS: &str = "v.id, v.first_ns, v.last_ns, v.kind, v.hook, v.decision, v.scope, v.count, p.workload,
    coalesce(p.pid, v.pid) AS pid, coalesce(p.uid, v.uid) AS uid, coalesce(p.cgroup_id, v.cgroup_id) AS cgroup_id,
    p.exe, p.user, p.login_user, p.unit, v.protocol, v.dest_addr, v.dest_port, v.detail";

impl Store {
    /// Opens the store below `state_dir`.
    ///
    /// # Errors
    /// When there is none, or it may not be read, or was written by a later version.
    pub fn open_read_only(state_dir: &Path) -> Result<Self, StoreError> {
        let directory = file::directory(state_dir);
        let segment = file::live_segment(&directory);
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
            "SELECT {EVENT_COLUMNS} FROM event v LEFT JOIN process p ON p.id = v.process {} ORDER BY v.id DESC {}",
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

fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn maybe_unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
}

fn session_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        id: SessionId::from_bytes(row.get("id")?),
        started_ns: row.get("started_ns")?,
        ended_ns: row.get("ended_ns")?,
        scope: row.get("scope")?,
        workload: row.get("workload")?,
        decision: row.get("decision")?,
        outcome: row.get("outcome")?,
        detail: row.get("detail")?,
        protocol: row.get("protocol")?,
        client_addr: row.get("client_addr")?,
        client_port: row.get("client_port")?,
        dest_addr: row.get("dest_addr")?,
        dest_port: row.get("dest_port")?,
        bytes_out: maybe_unsigned(row, "bytes_out")?,
        bytes_in: maybe_unsigned(row, "bytes_in")?,
        pid: row.get("pid")?,
        exe: row.get("exe")?,
        uid: row.get("uid")?,
        user: row.get("user")?,
        login_user: row.get("login_user")?,
        login_uid: row.get("login_uid")?,
        unit: row.get("unit")?,
        container: row.get("container")?,
    })
}

fn session_detail(row: &Row<'_>) -> rusqlite::Result<SessionDetail> {
    let argv: String = row.get("argv")?;
    let parents: String = row.get("parents")?;
    Ok(SessionDetail {
        session: session_row(row)?,
        netns: unsigned(row, "netns")?,
        started_boot_ns: unsigned(row, "started_boot_ns")?,
        ended_boot_ns: maybe_unsigned(row, "ended_boot_ns")?,
        process_started_boot_ns: unsigned(row, "process_started_boot_ns")?,
        exe_sha256: row.get("exe_sha256")?,
        exe_on_host: row.get("exe_on_host")?,
        argv: serde_json::from_str(&argv).unwrap_or_else(|_| vec![argv]),
        gid: row.get("gid")?,
        login_session: row.get("login_session")?,
        user_unit: row.get("user_unit")?,
        slice: row.get("slice")?,
        cgroup: row.get("cgroup")?,
        cgroup_id: unsigned(row, "cgroup_id")?,
        parents: serde_json::from_str(&parents).unwrap_or(serde_json::Value::Null),
        attestation: row.get("attestation")?,
    })
}

fn event_row(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    Ok(EventRow {
        id: row.get("id")?,
        first_ns: row.get("first_ns")?,
        last_ns: row.get("last_ns")?,
        kind: row.get("kind")?,
        hook: row.get("hook")?,
        decision: row.get("decision")?,
        scope: row.get("scope")?,
        count: unsigned(row, "count")?,
        workload: row.get("workload")?,
        pid: row.get("pid")?,
        uid: row.get("uid")?,
        cgroup_id: maybe_unsigned(row, "cgroup_id")?,
        exe: row.get("exe")?,
        user: row.get("user")?,
        login_user: row.get("login_user")?,
        unit: row.get("unit")?,
        protocol: row.get("protocol")?,
        dest_addr: row.get("dest_addr")?,
        dest_port: row.get("dest_port")?,
        detail: row.get("detail")?,
    })
}
