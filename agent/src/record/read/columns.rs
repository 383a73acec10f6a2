//! What the columns of the views mean: the words of the manual page `sallyport-store(5)`.

use rusqlite::Connection;

use super::super::schema;

/// A view with what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// What one row of it is, from the comment above it.
    pub purpose: String,
    /// Its columns in order.
    pub columns: Vec<Column>,
}

/// A column of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What is in it; empty when nobody wrote that down, which a test forbids.
    pub meaning: &'static str,
}

/// The views of this version, as SQLite itself tells them.
///
/// # Errors
/// When SQLite does not take this version's own tables.
pub fn views() -> rusqlite::Result<Vec<View>> {
    let conn = Connection::open_in_memory()?;
    for step in schema::STEPS.iter() {
        conn.execute_batch(step)?;
    }
    conn.execute_batch(schema::VIEWS)?;
    let mut names = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY rowid")?;
    let names = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    names.into_iter().map(|name| view(&conn, name)).collect()
}

fn view(conn: &Connection, name: String) -> rusqlite::Result<View> {
    let mut columns = conn.prepare("SELECT name FROM pragma_table_info(?)")?;
    let columns = columns.query_map([&name], |row| row.get::<_, String>(0))?;
    let columns = columns.map(|column| column.map(|column| Column { meaning: meaning(&name, &column), name: column }));
    Ok(View { columns: columns.collect::<rusqlite::Result<_>>()?, purpose: purpose(&name), name })
}

/// The lines of comment right above a view.
fn purpose(view: &str) -> String {
    let head = format!("CREATE VIEW {view} AS");
    let before: Vec<&str> = schema::VIEWS.lines().take_while(|line| !line.starts_with(&head)).collect();
    let mut comment: Vec<&str> = before.iter().rev().map_while(|line| line.strip_prefix("-- ")).collect();
    comment.reverse();
    comment.join(" ")
}

/// What a column means: the words for that view, or else those for every view.
fn meaning(view: &str, column: &str) -> &'static str {
    let special = SPECIAL.iter().find(|(of, name, _)| *of == view && *name == column).map(|(_, _, text)| *text);
    let general = || MEANINGS.iter().find(|(name, _)| *name == column).map(|(_, text)| *text);
    special.or_else(general).unwrap_or("")
}

/// What means the same in every view.
const MEANINGS: &[(&str, &str)] = &[
    ("id", "Name of the record; unique in the store."),
    ("session_id", "Name of the session, a UUID of version 7 (RFC 9562): names sort by time."),
    ("started", "When it began, UTC."),
    ("ended", "When it ended, UTC; null while it is open."),
    ("started_ns", "The same as started, nanoseconds since 1970."),
    ("started_boot_ns", "The same on the clock that counts from the start of the host and is never set."),
    ("ended_ns", "The same as ended, nanoseconds since 1970."),
    ("ended_boot_ns", "The same on the clock that counts from the start of the host."),
    ("first", "First occurrence, UTC."),
    ("last", "Last occurrence, UTC."),
    ("first_ns", "The same as first, nanoseconds since 1970."),
    ("first_boot_ns", "The same on the clock that counts from the start of the host."),
    ("last_ns", "The same as last, nanoseconds since 1970."),
    ("last_boot_ns", "The same on the clock that counts from the start of the host."),
    ("time", "When, UTC."),
    ("time_ns", "The same as time, nanoseconds since 1970."),
    ("boot_ns", "The same on the clock that counts from the start of the host and is never set."),
    ("scope", "Name of the scope of the configuration."),
    ("workload", "Identity of the process that acted, a SPIFFE ID."),
    ("person", "The person it acted for, where one is bound to the login session."),
    ("target", "Name of the configured target."),
    ("decision", "What policy said: allow, deny, would-deny (the scope only observes), held (for an approval)."),
    ("outcome", "How it ended, for example completed, denied, upstream-refused; open while it has not."),
    ("detail", "A sentence for the operator."),
    ("reason", "Why, in a sentence."),
    ("protocol", "What is spoken: postgres where a target says so; elsewhere only the transport, tcp or mptcp."),
    ("client_addr", "Address of the process's end of the connection."),
    ("client_port", "Port of the process's end of the connection."),
    ("dest_addr", "Address it was going to."),
    ("dest_port", "Port it was going to."),
    ("netns", "Cookie of the process's network namespace."),
    ("bytes_out", "Bytes to the destination."),
    ("bytes_in", "Bytes from the destination."),
    ("pid", "Process id."),
    ("process_started_boot_ns", "When the process was started; with pid it names a process that is gone."),
    ("exe", "Path of the executable."),
    ("exe_on_host", "1 when the host has that very file at that path; 0 in another root, as in a container."),
    ("exe_sha256", "SHA-256 of the executable, hexadecimal."),
    ("argv", "Arguments, a JSON array, secrets redacted; the process's own claim."),
    ("uid", "Real uid."),
    ("gid", "Real gid."),
    ("user", "Name of the uid."),
    ("login_uid", "The audit login uid: who logged in, whatever sudo made of them."),
    ("login_session", "The audit session."),
    ("login_user", "Name of the login uid."),
    ("unit", "System unit."),
    ("user_unit", "Unit of the user's own service manager."),
    ("slice", "Slice."),
    ("container", "Container, where there is one."),
    ("cgroup", "Path of the cgroup."),
    ("cgroup_id", "Number of the cgroup."),
    ("parents", "Ancestors, nearest first, a JSON array of objects with pid, started and exe."),
    ("attestation", "live: read while the process was there; kernel-only: what the kernel had captured of it."),
    ("tls", "Versions, names and certificates of TLS on both sides, a JSON object."),
    ("policies", "Ids of the policies that decided, a JSON array."),
    ("tags", "Tags for retention, separated by blanks."),
    ("seq", "Number of the record in the log, through all segments."),
    ("kind", "What it is, in a word or two."),
    ("hook", "Hook of the kernel half that saw it."),
    ("count", "How many alike were made into this one."),
    ("data", "For machines, a JSON object."),
    ("session", "seq of the row of sessions it belongs to."),
    ("sequence", "Counts the requests of a session from zero."),
    ("statement", "The statement's shape, literals masked."),
    ("parameters", "What it was run with: constants of the statement in order, then parameters by number; masked."),
    ("rows", "Rows returned or changed."),
    ("error", "The upstream's error, masked."),
    ("duration_ms", "From the request to the end of the response, milliseconds."),
    ("facts", "What the request touches, a JSON object: tables read and written, and more by protocol."),
    ("masked", "How many values were masked in the response."),
    ("masks", "Which columns were masked and how, a JSON object."),
    ("status", "How the response ended: done, error, cut; null when nothing came back."),
    ("approval_id", "The approval it waits for or ran under."),
    ("direction", "out from the client, in from the upstream."),
    ("position", "How many bytes went this way before."),
    ("length", "How many bytes were kept."),
    ("full_length", "How many there were, when some were not kept."),
    ("full_sha256", "SHA-256 of all of them, when some were not kept."),
    ("size", "Length of the chunk when it is unpacked."),
    ("coding", "How the chunk is packed: 1 zstd (RFC 8878), 2 encrypted, 3 both, 0 neither."),
    ("after_ns", "Nanoseconds since the session began."),
    ("source", "Which view it is from: session, statement or event."),
    ("source_id", "Its name there; of a statement the session's and its sequence."),
    ("action", "connect, execute, or the hook that refused."),
];

/// What means something else in one view.
const SPECIAL: &[(&str, &str, &str)] = &[
    ("sessions", "id", "Name of the session, a UUID of version 7 (RFC 9562): names sort by time."),
    (
        "sessions",
        "continues",
        "Null in the first row of a session; where one that was open went on in another segment, seq of its first row.",
    ),
    ("events", "id", "Number of the record in the log, through all segments."),
    ("events", "decision", "allow, deny or would-deny, where something was decided."),
    ("events", "protocol", "Number of the protocol above IP."),
    ("events", "kind", "What happened, for example refused, escaped, bypass-opened, started."),
    ("statements", "bytes_out", "Length of the request on the wire."),
    ("statements", "bytes_in", "Length of the response on the wire."),
    ("statements", "kind", "In a word or two: select, insert, GET."),
    ("approvals", "id", "Name of the approval, hexadecimal."),
    ("approvals", "requested", "When it was asked for, UTC."),
    ("approvals", "requested_ns", "The same as requested, nanoseconds since 1970."),
    ("approvals", "requester", "Identity of the process that waits, a SPIFFE ID."),
    ("approvals", "approver", "Who decided."),
    ("approvals", "decided", "When it came to stand as it does, UTC; null while it is pending."),
    ("approvals", "decided_ns", "The same as decided, nanoseconds since 1970."),
    ("approvals", "decision", "How it stands: pending, approved, denied, expired, withdrawn."),
    ("approvals", "reason", "Why, in the words of who decided."),
    ("approvals", "sequence", "Number of the request that waits."),
    ("approvals", "digest", "Digest of the exact request, the identity and the target, hexadecimal."),
    ("approvals", "request", "What was asked, a JSON object."),
    ("approvals", "grant_data", "What was granted, a JSON object."),
    ("payloads", "data", "The chunk, packed as coding says."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_every_view_is_described() {
        let views = views().unwrap();
        let names: Vec<&str> = views.iter().map(|view| view.name.as_str()).collect();
        for needed in ["sessions", "events", "statements", "decisions", "approvals", "payloads"] {
            assert!(names.contains(&needed), "{needed}");
        }
        for view in &views {
            assert!(!view.purpose.is_empty(), "{} has no comment in views.sql", view.name);
            for column in &view.columns {
                assert!(!column.meaning.is_empty(), "{}.{} is not described", view.name, column.name);
            }
        }
    }

    #[test]
    fn nothing_is_described_that_is_not_there() {
        let views = views().unwrap();
        let has = |view: &View, name: &str| view.columns.iter().any(|column| column.name == name);
        for (of, name, _) in SPECIAL {
            assert!(views.iter().any(|view| view.name == *of && has(view, name)), "{of}.{name}");
        }
        for (name, _) in MEANINGS {
            assert!(views.iter().any(|view| has(view, name)), "{name}");
        }
    }
}
