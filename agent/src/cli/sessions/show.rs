//! Everything recorded of one session, grouped by the question it answers.

use std::io;

use serde::Serialize;
use serde_json::Value;

use super::super::exit::Failure;
use super::super::screen::{Screen, Tone, one_line, printable};
use super::super::table::{self, Cell, Column};
use super::amount::{bytes, endpoint, length, time};
use super::args::Show;
use super::list::{destination, who};
use crate::record::read::{ApprovalRow, StatementPage, StatementRow};
use crate::record::{EventRow, SessionDetail, SessionRow, Store};

/// Width of the labels.
const LABEL: usize = 14;

/// Everything, as JSON.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    detail: &'a SessionDetail,
    statements_total: u64,
    statements: &'a [StatementRow],
    approvals: &'a [ApprovalRow],
    events: &'a [EventRow],
}

/// Shows one session.
pub(super) fn run(store: &Store, args: &Show, screen: &mut Screen) -> Result<(), Failure> {
    let session = store.session(&args.id)?;
    let total = store.count_statements(&session)?;
    let page = store.statements(&session, args.from, args.statements)?;
    let (approvals, events) = (store.approvals_in(&session)?, store.events_in(&session)?);
    if screen.is_json() {
        let (statements, detail) = (page.rows.as_slice(), &session.detail);
        let (approvals, events) = (approvals.as_slice(), events.as_slice());
        return Ok(screen.json(&Whole { detail, statements_total: total, statements, approvals, events })?);
    }
    whole(&session.detail, screen)?;
    statements(&page, total, screen)?;
    self::approvals(&approvals, screen)?;
    if !events.is_empty() {
        screen.line("")?;
        super::list::events(&events, screen)?;
    }
    Ok(())
}

/// Prints what is known of the connection itself.
fn whole(detail: &SessionDetail, screen: &mut Screen) -> io::Result<()> {
    let row = &detail.session;
    screen.line(&screen.tinted(&format!("Session {}", row.id), Tone::Head))?;
    screen.line("")?;
    group(screen, "What happened", &happened(detail))?;
    group(screen, "Who", &identity(detail))?;
    group(screen, "Process", &process(detail))?;
    group(screen, "Parents", &parents(&detail.parents))?;
    group(screen, "Place", &place(detail))
}

fn statements(page: &StatementPage, total: u64, screen: &mut Screen) -> io::Result<()> {
    if page.rows.is_empty() {
        return Ok(());
    }
    screen.line("")?;
    let columns = [
        Column::Right("N"),
        Column::Left("TIME"),
        Column::Left("DECISION"),
        Column::Right("ROWS"),
        Column::Right("TOOK"),
        Column::Right("MASKED"),
        Column::Cut("STATEMENT"),
        Column::Cut("WHY"),
    ];
    let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let lines = page.rows.iter().map(|row| {
        [
            row.sequence.to_string().into(),
            time(row.time_ns).into(),
            decision(&row.decision),
            count(row.rows).into(),
            row.duration_ns.map_or_else(|| "-".to_owned(), length).into(),
            count(Some(row.masked).filter(|masked| *masked > 0)).into(),
            Cell::new(text(row), Tone::Plain),
            Cell::new(one_line(&why(row)), Tone::Dim),
        ]
    });
    table::print(screen, columns, lines.collect())?;
    if page.more {
        let line = format!("{} of {total} statements: more with --from and --statements.", page.rows.len());
        screen.line(&screen.tinted(&line, Tone::Dim))?;
    }
    Ok(())
}

/// Kind and shape of a statement on one line.
pub(super) fn text(row: &StatementRow) -> String {
    let statement = row.statement.as_deref().or(row.kind.as_deref()).unwrap_or("?");
    one_line(statement)
}

/// The reason, the policies and the error of a statement.
fn why(row: &StatementRow) -> String {
    let policies: Vec<&str> = row.policies.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let policies = (!policies.is_empty()).then(|| format!("[{}]", policies.join(", ")));
    let parts = [row.detail.clone(), row.error.clone(), policies];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// A decision, dressed for what it means.
pub(super) fn decision(decision: &str) -> Cell {
    Cell::new(decision, tone_of(decision))
}

/// What a decision means.
pub(super) fn tone_of(decision: &str) -> Tone {
    match decision {
        "allow" => Tone::Good,
        "deny" => Tone::Bad,
        _ => Tone::Warn,
    }
}

fn approvals(rows: &[ApprovalRow], screen: &mut Screen) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    screen.line("")?;
    let columns = [
        Column::Left("APPROVAL"),
        Column::Right("N"),
        Column::Left("STATE"),
        Column::Left("ASKED"),
        Column::Left("DECIDED"),
        Column::Cut("BY"),
        Column::Cut("REASON"),
    ];
    let lines = rows.iter().map(|row| {
        [
            Cell::from(&row.id),
            row.sequence.map_or_else(|| "-".to_owned(), |n| n.to_string()).into(),
            Cell::new(&row.state, if row.state == "approved" { Tone::Good } else { Tone::Warn }),
            time(row.requested_ns).into(),
            row.decided_ns.map_or_else(|| "-".to_owned(), time).into(),
            row.by.as_deref().unwrap_or("-").into(),
            Cell::new(one_line(row.reason.as_deref().unwrap_or("")), Tone::Plain),
        ]
    });
    table::print(screen, columns, lines.collect())
}

type Lines = Vec<(&'static str, Option<String>)>;

/// A heading with its lines; what is not known is left out.
fn group(screen: &mut Screen, title: &str, lines: &Lines) -> io::Result<()> {
    if lines.iter().all(|(_, value)| value.is_none()) {
        return Ok(());
    }
    screen.line(&screen.tinted(title, Tone::Head))?;
    for (label, value) in lines {
        if let Some(value) = value {
            let label = screen.tinted(&format!("{label:LABEL$}"), Tone::Dim);
            screen.line(&format!("  {label}  {}", printable(value)))?;
        }
    }
    Ok(())
}

fn happened(detail: &SessionDetail) -> Lines {
    let row: &SessionRow = &detail.session;
    let lasted = row.ended_ns.map(|ended| length(ended.saturating_sub(row.started_ns)));
    vec![
        ("destination", Some(format!("{} ({})", destination(row), row.protocol))),
        ("from", Some(endpoint(&row.client_addr, row.client_port))),
        ("scope", row.scope.clone()),
        ("decision", Some(row.decision.clone())),
        ("outcome", Some(row.outcome.clone())),
        ("detail", row.detail.clone()),
        ("started", Some(time(row.started_ns))),
        ("ended", row.ended_ns.map(time)),
        ("lasted", lasted),
        ("sent", row.bytes_out.map(bytes)),
        ("received", row.bytes_in.map(bytes)),
        ("policies", known(&detail.policies)),
        ("tls", known(&detail.tls)),
        ("tags", detail.tags.clone()),
    ]
}

fn known(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| value.to_string())
}

fn identity(detail: &SessionDetail) -> Lines {
    let row = &detail.session;
    let numbered = |name: &Option<String>, id: u32| match name {
        Some(name) => format!("{name} ({id})"),
        None => id.to_string(),
    };
    vec![
        ("in short", Some(who(row).line())),
        ("workload", Some(row.workload.clone())),
        ("person", row.person.clone()),
        ("login", row.login_uid.map(|uid| numbered(&row.login_user, uid))),
        ("login session", detail.login_session.map(|session| session.to_string())),
        ("user", Some(numbered(&row.user, row.uid))),
        ("group", Some(detail.gid.to_string())),
        ("attestation", Some(detail.attestation.clone())),
    ]
}

fn process(detail: &SessionDetail) -> Lines {
    let row = &detail.session;
    let command: Vec<String> = detail.argv.iter().map(|word| quoted(word)).collect();
    let on_host = detail.exe_on_host.filter(|on_host| !on_host).map(|_| "not the host's file of that path".to_owned());
    vec![
        ("pid", Some(row.pid.to_string())),
        ("executable", row.exe.clone()),
        ("", on_host),
        ("sha256", detail.exe_sha256.clone()),
        ("command", (!command.is_empty()).then(|| command.join(" "))),
    ]
}

/// Nearest first, as they were when the connection was opened.
fn parents(parents: &Value) -> Lines {
    let line = |parent: &Value| {
        let pid = parent.get("pid").and_then(Value::as_u64)?;
        let exe = parent.get("exe").and_then(Value::as_str).unwrap_or("?");
        Some(format!("{pid}  {exe}"))
    };
    parents.as_array().into_iter().flatten().map(|parent| ("", line(parent))).collect()
}

fn place(detail: &SessionDetail) -> Lines {
    let row = &detail.session;
    vec![
        ("unit", row.unit.clone()),
        ("user unit", detail.user_unit.clone()),
        ("slice", detail.slice.clone()),
        ("container", row.container.clone()),
        ("cgroup", Some(format!("{} ({})", detail.cgroup, detail.cgroup_id))),
        ("network", Some(format!("namespace cookie {}", detail.netns))),
    ]
}

/// A word as a shell would need it, for words with blanks or nothing in them.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=./:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::screen::tests::Paper;
    use super::*;

    #[test]
    fn what_is_unknown_is_left_out() {
        let paper = Paper::default();
        let mut screen = paper.screen(false, None);
        let lines = vec![("unit", Some("a\x1b.service".to_owned())), ("slice", None)];
        group(&mut screen, "Place", &lines).unwrap();
        group(&mut screen, "Empty", &vec![("x", None)]).unwrap();
        screen.flush().unwrap();
        assert_eq!(paper.text(), "Place\n  unit            a\\u{1b}.service\n");
    }

    #[test]
    fn words_and_parents() {
        assert_eq!(["ls", "a b", "", "it's"].map(quoted), ["ls", "'a b'", "''", r"'it'\''s'"]);
        let value = serde_json::json!([{ "pid": 7, "started": 1, "exe": "/bin/sh" }, { "pid": 1 }, "odd"]);
        let shown: Vec<_> = parents(&value).into_iter().map(|(_, line)| line).collect();
        assert_eq!(shown, [Some("7  /bin/sh".to_owned()), Some("1  ?".to_owned()), None]);
    }
}
