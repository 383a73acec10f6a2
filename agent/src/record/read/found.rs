//! What a reader finds: rows of sessions and events.

use rusqlite::Row;
use serde::Serialize;

use super::super::SessionId;

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
    /// What is spoken, or else the transport.
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
    /// The person it acts for.
    pub person: Option<String>,
    /// Name of the configured target.
    pub target: Option<String>,
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
    /// Versions, names and certificates of TLS on both sides.
    pub tls: serde_json::Value,
    /// Ids of the policies that decided about the connection.
    pub policies: serde_json::Value,
    /// Tags for retention, separated by blanks.
    pub tags: Option<String>,
}

/// `schema.table` of one of the tables in the facts of a request.
pub fn table_name(table: &serde_json::Value) -> Option<String> {
    let part = |name| table.get(name).and_then(serde_json::Value::as_str);
    Some(format!("{}.{}", part("schema")?, part("table")?))
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
    /// One of [`EventKind`](super::super::EventKind)'s names.
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
    /// The session it happened in.
    pub session_id: Option<SessionId>,
    /// For machines.
    pub data: serde_json::Value,
}

/// One request with its decision and what came back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatementRow {
    /// Its session.
    pub session_id: SessionId,
    /// Counts the session's requests from zero.
    pub sequence: u64,
    /// Nanoseconds since 1970.
    pub time_ns: i64,
    /// In a word or two.
    pub kind: Option<String>,
    /// Its shape, literals masked.
    pub statement: Option<String>,
    /// What it was run with, masked.
    pub parameters: Option<String>,
    /// `allow`, `deny`, `would-deny`, `held`.
    pub decision: String,
    /// In a sentence, why.
    pub detail: Option<String>,
    /// Ids of the policies that decided.
    pub policies: serde_json::Value,
    /// What it touches.
    pub facts: serde_json::Value,
    /// Length on the wire.
    pub bytes_out: Option<u64>,
    /// Length of what came back.
    pub bytes_in: Option<u64>,
    /// Rows returned or changed.
    pub rows: Option<u64>,
    /// From the request to the end of the response, nanoseconds.
    pub duration_ns: Option<i64>,
    /// `done`, `error`, `cut`; `None` when nothing came back.
    pub status: Option<String>,
    /// The upstream's error.
    pub error: Option<String>,
    /// Values that were masked.
    pub masked: u64,
    /// Which columns were masked and how.
    pub masks: serde_json::Value,
    /// The approval it ran under, or waits for.
    pub approval_id: Option<String>,
    /// SPIFFE ID.
    pub workload: String,
    /// The person it acts for.
    pub person: Option<String>,
    /// Scope.
    pub scope: Option<String>,
    /// Name of the configured target.
    pub target: Option<String>,
    /// Where it went.
    pub dest_addr: String,
    /// Port there.
    pub dest_port: u16,
    /// Path of the executable.
    pub exe: Option<String>,
    /// Real uid.
    pub uid: u32,
    /// Its name.
    pub user: Option<String>,
    /// Name of the audit login.
    pub login_user: Option<String>,
    /// System unit.
    pub unit: Option<String>,
    /// Number of the record in the log.
    pub seq: i64,
}

/// One approval, as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApprovalRow {
    /// Its name, hexadecimal.
    pub id: String,
    /// The session that waits or waited.
    pub session_id: Option<SessionId>,
    /// Number of the request in it.
    pub sequence: Option<u64>,
    /// `pending`, `approved`, `denied`, `expired`, `withdrawn`.
    pub state: String,
    /// When it was asked for, nanoseconds since 1970.
    pub requested_ns: i64,
    /// When it came to stand like this; `None` while it is pending.
    pub decided_ns: Option<i64>,
    /// Who decided.
    pub by: Option<String>,
    /// Why, in their words.
    pub reason: Option<String>,
    /// What was asked.
    pub request: serde_json::Value,
    /// What was granted.
    pub granted: serde_json::Value,
    /// Digest of the exact request, the identity and the target, hexadecimal.
    pub digest: String,
}

/// What a column with JSON in it says; text that is not JSON is given as text.
pub(super) fn json(row: &Row<'_>, column: &str) -> rusqlite::Result<serde_json::Value> {
    Ok(parsed(row.get(column)?))
}

pub(super) fn parsed(text: Option<String>) -> serde_json::Value {
    match text {
        None => serde_json::Value::Null,
        Some(text) => serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)),
    }
}

pub(super) fn statement_row(row: &Row<'_>) -> rusqlite::Result<StatementRow> {
    let approval: Option<Vec<u8>> = row.get("approval")?;
    Ok(StatementRow {
        session_id: SessionId::from_bytes(row.get("id")?),
        sequence: unsigned(row, "n")?,
        time_ns: row.get("time_ns")?,
        kind: row.get("kind")?,
        statement: row.get("statement")?,
        parameters: row.get("parameters")?,
        decision: row.get("decision")?,
        detail: row.get("detail")?,
        policies: json(row, "policies")?,
        facts: json(row, "facts")?,
        bytes_out: maybe_unsigned(row, "bytes_out")?,
        bytes_in: maybe_unsigned(row, "bytes_in")?,
        rows: maybe_unsigned(row, "rows")?,
        duration_ns: row.get("duration_ns")?,
        status: row.get("status")?,
        error: row.get("error")?,
        masked: maybe_unsigned(row, "masked")?.unwrap_or(0),
        masks: json(row, "masks")?,
        approval_id: approval.map(|id| super::list::hex(&id)),
        workload: row.get("workload")?,
        person: row.get("person")?,
        scope: row.get("scope")?,
        target: row.get("target")?,
        dest_addr: row.get("dest_addr")?,
        dest_port: row.get("dest_port")?,
        exe: row.get("exe")?,
        uid: row.get("uid")?,
        user: row.get("user")?,
        login_user: row.get("login_user")?,
        unit: row.get("unit")?,
        seq: row.get("seq")?,
    })
}

fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn maybe_unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
}

pub(super) fn session_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
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
        person: row.get("person")?,
        target: row.get("target")?,
    })
}

pub(super) fn session_detail(row: &Row<'_>) -> rusqlite::Result<SessionDetail> {
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
        tls: json(row, "tls")?,
        policies: json(row, "policies")?,
        tags: row.get("tags")?,
    })
}

pub(super) fn event_row(row: &Row<'_>) -> rusqlite::Result<EventRow> {
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
        session_id: row.get::<_, Option<[u8; 16]>>("session_id")?.map(SessionId::from_bytes),
        data: json(row, "data")?,
    })
}
