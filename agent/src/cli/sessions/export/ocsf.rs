//! Records as events of the Open Cybersecurity Schema Framework, version 1.3.
//!
//! Connections are Network Activity (4001), statements Datastore Activity (6005) or, of HTTP, API Activity (6003), who
//! acts for whom is Authentication (3002), what operators do API Activity, and the daemon's own life Application
//! Lifecycle (6002).

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::record::read::{SessionRow, StatementRow, table_name};
use crate::record::{EventRow, SessionDetail};

const VERSION: &str = "1.3.0";

/// A class with its category and activity.
#[derive(Clone, Copy)]
struct Class {
    uid: u32,
    activity: u32,
}

impl Class {
    const fn new(uid: u32, activity: u32) -> Self {
        Self { uid, activity }
    }
}

/// What was decided, in the words of the profile `security_control`.
struct Ruling {
    action: u32,
    disposition: u32,
    severity: u32,
}

fn ruling(decision: Option<&str>) -> Ruling {
    match decision {
        // Denied, Blocked.
        Some("deny") => Ruling { action: 2, disposition: 2, severity: 3 },
        // Observed, Logged.
        Some("would-deny") => Ruling { action: 3, disposition: 17, severity: 3 },
        // Other, Other: it waits.
        Some("held") => Ruling { action: 99, disposition: 99, severity: 2 },
        // Allowed, Allowed.
        _ => Ruling { action: 1, disposition: 1, severity: 1 },
    }
}

/// A connection.
pub(super) fn session(detail: &SessionDetail) -> Value {
    let row = &detail.session;
    let refused = matches!(row.outcome.as_str(), "denied" | "refused");
    let activity = match row.outcome.as_str() {
        "open" => 1,
        "client-reset" | "upstream-reset" => 3,
        "upstream-refused" | "upstream-timeout" | "upstream-unreachable" | "failed" => 4,
        _ if refused => 5,
        _ => 2,
    };
    let decision = if refused { "deny" } else { row.decision.as_str() };
    let mut event = base(Class::new(4001, activity), row.ended_ns.unwrap_or(row.started_ns), Some(decision));
    put(&mut event, "start_time", json!(milliseconds(row.started_ns)));
    if let Some(ended) = row.ended_ns {
        put(&mut event, "end_time", json!(milliseconds(ended)));
        put(&mut event, "duration", json!(milliseconds(ended.saturating_sub(row.started_ns))));
    }
    set_status(&mut event, !refused && activity != 4, row.detail.as_deref());
    put(&mut event, "status_code", json!(row.outcome));
    name(&mut event, &row.id.to_string());
    put(&mut event, "actor", actor(detail));
    put(&mut event, "src_endpoint", json!({ "ip": row.client_addr, "port": row.client_port }));
    put(&mut event, "dst_endpoint", destination(row));
    let connection = json!({
        "direction": "Outbound",
        "direction_id": 2,
        "protocol_name": if row.protocol == "mptcp" { "mptcp" } else { "tcp" },
        "protocol_num": if row.protocol == "mptcp" { 262 } else { 6 },
        "uid": row.id,
    });
    put(&mut event, "connection_info", connection);
    if row.bytes_out.is_some() || row.bytes_in.is_some() {
        let (sent, came) = (row.bytes_out.unwrap_or(0), row.bytes_in.unwrap_or(0));
        let traffic = json!({ "bytes_out": sent, "bytes_in": came, "bytes": sent.saturating_add(came) });
        put(&mut event, "traffic", traffic);
    }
    policy(&mut event, &detail.policies);
    let unmapped = json!({
        "scope": row.scope,
        "person": row.person,
        "container": row.container,
        "netns": detail.netns,
        "cgroup": detail.cgroup,
        "attestation": detail.attestation,
    });
    finish(event, unmapped)
}

/// A statement.
pub(super) fn statement(session: &SessionDetail, row: &StatementRow) -> Value {
    let kind = row.kind.as_deref().unwrap_or("");
    let http = is_http(kind);
    let class = if http { Class::new(6003, http_activity(kind)) } else { Class::new(6005, activity(kind)) };
    let mut event = base(class, row.time_ns, Some(&row.decision));
    let done = row.decision != "deny" && row.status.as_deref() != Some("error");
    set_status(&mut event, done, row.error.as_deref().or(row.detail.as_deref()));
    if let Some(took) = row.duration_ns {
        put(&mut event, "duration", json!(milliseconds(took)));
    }
    name(&mut event, &format!("{}/{}", row.session_id, row.sequence));
    put(&mut event, "actor", actor(session));
    let from = &session.session;
    put(&mut event, "src_endpoint", json!({ "ip": from.client_addr, "port": from.client_port }));
    put(&mut event, "dst_endpoint", destination(from));
    let statement = row.statement.as_deref().unwrap_or(kind);
    if http {
        put(&mut event, "api", json!({ "operation": statement, "request": { "uid": row.sequence.to_string() } }));
        put(&mut event, "http_request", json!({ "http_method": kind }));
    } else {
        put(&mut event, "query_info", json!({ "query_string": statement, "uid": row.sequence.to_string() }));
        let database = row.target.as_deref().unwrap_or(&row.dest_addr);
        put(&mut event, "database", json!({ "name": database, "type": "Relational", "type_id": 1 }));
        put(&mut event, "type", json!("Database"));
        put(&mut event, "type_id", json!(1));
        if let Some(table) = table(&row.facts) {
            put(&mut event, "table", json!({ "name": table }));
        }
    }
    policy(&mut event, &row.policies);
    let unmapped = json!({
        "session_id": row.session_id,
        "kind": row.kind,
        "rows": row.rows,
        "masked": row.masked,
        "masks": row.masks,
        "facts": row.facts,
        "approval_id": row.approval_id,
        "scope": row.scope,
        "person": row.person,
    });
    finish(event, unmapped)
}

/// What is neither.
pub(super) fn event(row: &EventRow) -> Value {
    let class = match row.kind.as_str() {
        _ if row.decision.is_some() && row.dest_addr.is_some() => Class::new(4001, 5),
        "identity-changed" => Class::new(3002, 1),
        "started" | "adopted" => Class::new(6002, 3),
        "stopped" => Class::new(6002, 4),
        _ => Class::new(6003, 3),
    };
    let mut event = base(class, row.last_ns, row.decision.as_deref());
    set_status(&mut event, row.decision.as_deref() != Some("deny"), row.detail.as_deref());
    put(&mut event, "start_time", json!(milliseconds(row.first_ns)));
    put(&mut event, "end_time", json!(milliseconds(row.last_ns)));
    put(&mut event, "count", json!(row.count));
    name(&mut event, &row.id.to_string());
    let user = user(row.uid, row.login_user.as_deref().or(row.user.as_deref()));
    let mut process = process(row.pid, row.exe.as_deref());
    if let (Some(process), Some(user)) = (process.as_object_mut(), &user) {
        process.insert("user".to_owned(), user.clone());
    }
    put(&mut event, "actor", json!({ "process": process, "user": user, "app_name": row.workload }));
    match class.uid {
        3002 => {
            put(&mut event, "user", user.unwrap_or_else(|| json!({ "name": "unknown" })));
            put(&mut event, "service", json!({ "name": "sallyport" }));
        }
        4001 => {
            let port = row.dest_port.filter(|port| *port != 0);
            put(&mut event, "dst_endpoint", json!({ "ip": row.dest_addr, "port": port }));
            let number = row.protocol.map_or(json!(-1), |number| json!(number));
            put(&mut event, "connection_info", json!({ "direction_id": 2, "protocol_num": number }));
        }
        6002 => put(&mut event, "app", product()),
        _ => {
            put(&mut event, "api", json!({ "operation": row.kind, "service": { "name": "sallyport" } }));
            put(&mut event, "src_endpoint", json!({ "name": "localhost" }));
        }
    }
    let unmapped = json!({
        "kind": row.kind,
        "hook": row.hook,
        "scope": row.scope,
        "cgroup_id": row.cgroup_id,
        "session_id": row.session_id,
        "data": row.data,
    });
    finish(event, unmapped)
}

/// What every event has.
fn base(class: Class, time_ns: i64, decision: Option<&str>) -> Map<String, Value> {
    let ruling = ruling(decision);
    let mut event = Map::new();
    let fields = json!({
        "class_uid": class.uid,
        "category_uid": class.uid / 1000,
        "activity_id": class.activity,
        "type_uid": class.uid * 100 + class.activity,
        "time": milliseconds(time_ns),
        "severity_id": ruling.severity,
        "action_id": ruling.action,
        "disposition_id": ruling.disposition,
        "metadata": {
            "version": VERSION,
            "product": product(),
            "profiles": ["host", "security_control"],
            "log_name": "sallyport",
        },
    });
    if let Value::Object(fields) = fields {
        event.extend(fields);
    }
    event
}

fn product() -> Value {
    json!({ "name": "Sallyport", "vendor_name": "Sallyport", "version": env!("CARGO_PKG_VERSION") })
}

fn put(event: &mut Map<String, Value>, key: &str, value: Value) {
    event.insert(key.to_owned(), value);
}

/// The record's own name in the event's metadata.
fn name(event: &mut Map<String, Value>, uid: &str) {
    if let Some(metadata) = event.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("uid".to_owned(), json!(uid));
    }
}

fn set_status(event: &mut Map<String, Value>, success: bool, detail: Option<&str>) {
    put(event, "status_id", json!(if success { 1 } else { 2 }));
    put(event, "status", json!(if success { "Success" } else { "Failure" }));
    put(event, "status_detail", json!(detail));
}

fn policy(event: &mut Map<String, Value>, policies: &Value) {
    if let Some(first) = policies.as_array().and_then(|all| all.first()).and_then(Value::as_str) {
        put(event, "policy", json!({ "uid": first, "name": first }));
    }
}

/// Leaves out what is not known, everywhere.
fn finish(mut event: Map<String, Value>, unmapped: Value) -> Value {
    put(&mut event, "unmapped", unmapped);
    let mut value = Value::Object(event);
    prune(&mut value);
    value
}

fn prune(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.values_mut().for_each(prune);
        fields.retain(|_, field| !field.is_null() && !field.as_object().is_some_and(Map::is_empty));
    }
}

fn milliseconds(nanoseconds: i64) -> i64 {
    nanoseconds.div_euclid(1_000_000)
}

fn destination(row: &SessionRow) -> Value {
    json!({ "ip": row.dest_addr, "port": row.dest_port, "svc_name": row.target })
}

fn user(uid: Option<u32>, name: Option<&str>) -> Option<Value> {
    if uid.is_none() && name.is_none() {
        return None;
    }
    Some(json!({ "uid": uid.map(|uid| uid.to_string()), "name": name }))
}

fn process(pid: Option<u32>, exe: Option<&str>) -> Value {
    let name = exe.and_then(|exe| Path::new(exe).file_name()).map(|name| name.to_string_lossy());
    let file = exe.map(|path| json!({ "name": name, "path": path, "type_id": 1 }));
    json!({ "pid": pid, "name": name, "file": file })
}

fn actor(detail: &SessionDetail) -> Value {
    let row = &detail.session;
    let mut process = process(Some(row.pid), row.exe.as_deref());
    let user = user(Some(row.uid), row.user.as_deref());
    if let Some(process) = process.as_object_mut() {
        if let Some(sha256) = &detail.exe_sha256
            && let Some(file) = process.get_mut("file").and_then(Value::as_object_mut)
        {
            // 3 is SHA-256.
            file.insert("hashes".to_owned(), json!([{ "algorithm_id": 3, "algorithm": "SHA-256", "value": sha256 }]));
        }
        process.insert("cmd_line".to_owned(), json!(detail.argv.join(" ")));
        process.insert("user".to_owned(), json!(user));
        let parent = detail.parents.as_array().and_then(|parents| parents.first());
        let parent = parent.map(|parent| json!({ "pid": parent.get("pid"), "name": parent.get("exe") }));
        process.insert("parent_process".to_owned(), json!(parent));
    }
    let login = row.login_uid.map(|uid| json!({ "uid": uid.to_string(), "name": row.login_user }));
    let session = detail.login_session.map(|session| json!({ "uid": session.to_string() }));
    let acting = row.person.as_ref().map(|person| json!({ "name": person })).or(login);
    json!({
        "process": process,
        "user": acting.unwrap_or_else(|| json!(user)),
        "session": session,
        "app_name": row.workload,
        "app_uid": row.unit,
    })
}

/// The first table a statement writes, or else reads.
fn table(facts: &Value) -> Option<String> {
    let first = |access: &str| facts.get(access).and_then(Value::as_array).and_then(|all| all.first());
    first("writes").or_else(|| first("reads")).and_then(table_name)
}

fn is_http(kind: &str) -> bool {
    matches!(kind, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "CONNECT" | "TRACE")
}

/// Create, Read, Update, Delete; 99 is Other.
fn http_activity(method: &str) -> u32 {
    match method {
        "POST" => 1,
        "GET" | "HEAD" | "OPTIONS" => 2,
        "PUT" | "PATCH" => 3,
        "DELETE" => 4,
        _ => 99,
    }
}

/// Update, Query, Write, Create, Delete, List; 99 is Other.
fn activity(kind: &str) -> u32 {
    let first = kind.split([' ', '-', '_']).next().unwrap_or("").to_ascii_lowercase();
    match first.as_str() {
        "select" | "with" | "fetch" | "table" | "values" => 4,
        "insert" | "copy" | "merge" | "replace" => 5,
        "update" | "alter" => 2,
        "create" => 6,
        "delete" | "drop" | "truncate" => 7,
        "show" | "describe" | "explain" => 8,
        _ => 99,
    }
}
