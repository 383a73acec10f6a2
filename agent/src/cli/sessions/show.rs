//! Everything recorded of one session, grouped by the question it answers.

use std::io;

use serde_json::Value;

use super::super::screen::{Screen, Tone, printable};
use super::amount::{bytes, endpoint, length, time};
use super::list::who;
use crate::record::{SessionDetail, SessionRow};

/// Width of the labels.
const LABEL: usize = 14;

/// Prints one session.
pub(super) fn session(detail: &SessionDetail, screen: &mut Screen) -> io::Result<()> {
    if screen.is_json() {
        return screen.json(detail);
    }
    let row = &detail.session;
    screen.line(&screen.tinted(&format!("Session {}", row.id), Tone::Head))?;
    screen.line("")?;
    group(screen, "What happened", &happened(row))?;
    group(screen, "Who", &identity(detail))?;
    group(screen, "Process", &process(detail))?;
    group(screen, "Parents", &parents(&detail.parents))?;
    group(screen, "Place", &place(detail))
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

fn happened(row: &SessionRow) -> Lines {
    let lasted = row.ended_ns.map(|ended| length(ended.saturating_sub(row.started_ns)));
    vec![
        ("destination", Some(format!("{} ({})", endpoint(&row.dest_addr, row.dest_port), row.protocol))),
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
    ]
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
