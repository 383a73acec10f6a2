//! Commands on a store whose every text is hostile: what they print, and what never gets out.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::super::args::{Cli, Command};
use super::super::exit::{Exit, Failure};
use super::super::screen::tests::Paper;
use super::super::{report, sessions};
use crate::record::read::tests::{block_on, identity, request, start};
use crate::record::{
    ApprovalRecord, ApprovalState, Decision, Direction, Durability, EventKind, EventRecord, Options, Outcome,
    PayloadLimits, Recorder, ResponseRecord, Role, SessionEnd, SessionId, Status, Timestamps,
};

/// Steers terminals, breaks out of tables and documents, and is a formula.
const HOSTILE: &str = "=cmd|'/c x'!A1\x1b]0;owned\x07\u{202e}<script>alert(1)</script>|`\"\n@x";

fn hostile() -> Arc<str> {
    HOSTILE.into()
}

/// A store with one session of each kind of record.
fn written(tags: Option<&str>) -> (tempfile::TempDir, SessionId) {
    let dir = tempfile::tempdir().unwrap();
    let limits = PayloadLimits { event: 1 << 16, session: 1 << 20 };
    let options = Options { payload: limits, ..Options::default() };
    let id = block_on(async {
        let recorder = Recorder::open_as(dir.path(), Role::Exec, &options).unwrap();
        let mut who = (*identity(1)).clone();
        who.process.argv = vec![HOSTILE.to_owned()];
        who.process.user = Some(HOSTILE.to_owned());
        who.process.unit = Some(HOSTILE.to_owned());
        who.process.executable.as_mut().unwrap().path = HOSTILE.into();
        let who = Arc::new(who);
        let mut first = start(&who, "10.0.0.5:5432", 5);
        first.started = Timestamps::now();
        first.extra.person = Some(HOSTILE.to_owned());
        first.extra.target = Some(HOSTILE.to_owned());
        first.extra.policies = Some(format!("[{HOSTILE:?}]"));
        first.extra.tags = tags.map(str::to_owned);
        let id = recorder.begin(first).await.unwrap();
        let tap = recorder.tap(id).unwrap();
        tap.pass(Direction::Out, 0, Some(0), format!("GET {HOSTILE}\r\n").into_bytes()).await.unwrap();
        tap.pass(Direction::In, 0, Some(0), b"\x1b[1mbold\x1b[0m\x1b]0;t\x07 \xc3".to_vec()).await.unwrap();
        tap.pass(Direction::In, 17, Some(0), b"\xbc\r\n".to_vec()).await.unwrap();
        for (n, decision) in [(0, Decision::Allow), (1, Decision::Deny)] {
            let mut asked = request(id, n, HOSTILE, decision);
            asked.at = Timestamps::now();
            asked.kind = hostile();
            asked.statement = Some(format!("select needle {HOSTILE}").into());
            asked.detail = Some(hostile());
            asked.facts = Some(
                serde_json::json!({ "reads": [{ "database": "d", "schema": HOSTILE, "table": HOSTILE }] })
                    .to_string()
                    .into(),
            );
            recorder.request(asked, Durability::Batched).await.unwrap();
        }
        let answered = ResponseRecord {
            session: id,
            n: 0,
            at: Timestamps::now(),
            status: Status::Error,
            rows: Some(1),
            bytes: Some(2),
            masked: 3,
            masks: Some(serde_json::json!({ HOSTILE: HOSTILE }).to_string().into()),
            error: Some(hostile()),
        };
        recorder.response(answered).await.unwrap();
        let approval = ApprovalRecord {
            id: [3; 16],
            session: Some(id),
            n: Some(1),
            state: ApprovalState::Approved,
            digest: [4; 32],
            at: Timestamps::now(),
            by: Some(HOSTILE.to_owned()),
            reason: Some(HOSTILE.to_owned()),
            data: Some(serde_json::json!({ "asked": HOSTILE }).to_string()),
        };
        recorder.approval(approval).await.unwrap();
        let event = EventRecord {
            identity: Some(Arc::clone(&who)),
            decision: Some(Decision::Deny),
            destination: Some("10.0.0.6:53".parse().unwrap()),
            detail: Some(HOSTILE.to_owned()),
            session: Some(id),
            ..EventRecord::new(EventKind::Refused, Timestamps::now())
        };
        recorder.event(event).await.unwrap();
        let end = SessionEnd {
            bytes_out: 10,
            bytes_in: 20,
            outcome: Outcome::Completed,
            detail: Some(HOSTILE.to_owned()),
            ended: Timestamps::now(),
        };
        recorder.end(id, end).await.unwrap();
        recorder.close().await.unwrap();
        id
    });
    (dir, id)
}

/// What a command line prints.
fn printed(state: &Path, line: &str) -> String {
    let words = line.split(' ').map(std::ffi::OsString::from);
    let cli = Cli::read([std::ffi::OsString::from("sallyport")].into_iter().chain(words)).unwrap();
    let paper = Paper::default();
    let mut screen = paper.screen(cli.global.json, None);
    let done = if let Command::Sessions { command } = &cli.command {
        sessions::run(state, command, &mut screen, || Err(Failure::new(Exit::CONFIG, "none")))
    } else if let Command::Report { command } = &cli.command {
        report::run(state, command, &mut screen, || vec![HOSTILE.to_owned()])
    } else {
        panic!("{line}")
    };
    done.unwrap();
    screen.flush().unwrap();
    paper.text()
}

fn harmless(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\n' | '\r' | '\t') || !crate::config::steers(c))
}

#[test]
fn no_command_lets_a_terminal_be_steered() {
    let (dir, id) = written(None);
    for line in [
        "sessions list",
        "sessions list --events",
        "sessions list --json",
        &format!("sessions show {id}"),
        &format!("sessions show {id} --json"),
        "sessions search needle",
        "sessions search needle --json",
        &format!("sessions replay {id} --speed 1000000"),
        &format!("sessions replay {id} --json"),
        "sessions export",
        "sessions export --format ocsf",
        "sessions export --format csv",
        "sessions export --format csv --what statements",
        "sessions export --format csv --what events",
        "report access-review --since 1h",
        "report access-review --since 1h --json",
        "report access-review --since 1h --format html",
        "report access-review --since 1h --format csv",
    ] {
        let text = printed(dir.path(), line);
        assert!(text.len() > 80, "{line}: {text}");
        // JSON and CSV carry the text as it is, in their own escapes; no terminal reads CSV or HTML.
        if !line.contains("csv") && !line.contains("export") && !line.contains("json") {
            assert!(harmless(&text), "{line}: {text}");
        }
        assert!(!text.contains('\x1b') || line.contains("csv"), "{line}: {text}");
    }
}

#[test]
fn documents_hold_text_only() {
    let (dir, _) = written(None);
    let html = printed(dir.path(), "report access-review --since 1h --format html");
    assert!(
        html.contains("&lt;script&gt;")
            && !html.contains("<script")
            && !html.contains(" src=")
            && !html.contains("href")
    );
    let markdown = printed(dir.path(), "report access-review --since 1h");
    assert!(!markdown.contains("<script") && markdown.contains("## Grants that were never used"));
    for (title, rows) in [("### Reached", 1), ("### Asked for", 1), ("### Refused", 2), ("### Masked", 1)] {
        let part = markdown.split(title).nth(1).unwrap_or_else(|| panic!("{title}: {markdown}"));
        let table: Vec<&str> = part.trim_start().lines().take_while(|line| line.starts_with('|')).collect();
        assert_eq!(table.len(), rows + 2, "{title}: {markdown}");
    }
    for what in ["sessions", "statements", "events"] {
        let csv = printed(dir.path(), &format!("sessions export --format csv --what {what}"));
        assert!(!csv.contains(",=") && !csv.contains(",\"=") && csv.contains("'=cmd"), "{csv}");
    }
}

#[test]
fn machines_get_one_object_a_line() {
    let (dir, id) = written(None);
    let lines = |line: &str| -> Vec<Value> {
        printed(dir.path(), line).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let shown = &lines(&format!("sessions show {id} --json"))[0];
    assert_eq!((&shown["id"], &shown["statements_total"]), (&Value::from(id.to_string()), &Value::from(2)));
    assert_eq!(shown["statements"][0]["error"], HOSTILE);
    assert_eq!(shown["approvals"][0]["state"], "approved");
    assert_eq!(shown["events"][0]["session_id"], id.to_string());
    let found = &lines("sessions search needle --decision deny --json")[0];
    assert_eq!((&found["sequence"], found["snippet"].is_string()), (&Value::from(1), true));
    let kinds: Vec<Value> = lines("sessions export").iter().map(|line| line["type"].clone()).collect();
    assert_eq!(kinds, ["session", "statement", "statement", "approval", "event"]);
}

#[test]
fn ocsf_events_have_what_their_class_requires() {
    let (dir, _) = written(None);
    let text = printed(dir.path(), "sessions export --format ocsf");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let classes: Vec<u64> = events.iter().map(|event| event["class_uid"].as_u64().unwrap()).collect();
    assert_eq!(classes, [4001, 6005, 6005, 4001]);
    for event in &events {
        for required in ["activity_id", "category_uid", "severity_id", "time", "type_uid", "metadata"] {
            assert!(!event[required].is_null(), "{required}: {event}");
        }
        let (class, activity) = (event["class_uid"].as_u64().unwrap(), event["activity_id"].as_u64().unwrap());
        assert_eq!(event["type_uid"].as_u64().unwrap(), class * 100 + activity);
        assert_eq!(event["metadata"]["version"], "1.3.0");
        assert!(!event["metadata"]["product"]["vendor_name"].is_null());
        let more: &[&str] = match class {
            4001 => &["dst_endpoint"],
            6005 => &["actor", "src_endpoint", "database", "query_info"],
            _ => &["actor", "api", "src_endpoint"],
        };
        assert!(more.iter().all(|field| event[field].is_object()), "{event}");
    }
}

#[test]
fn payload_is_written_as_it_was_and_shown_as_it_may_be() {
    let (dir, id) = written(None);
    let (raw, shown) = (
        printed(dir.path(), &format!("sessions replay {id} --raw --direction out")),
        printed(dir.path(), &format!("sessions replay {id} --speed 1000000")),
    );
    assert_eq!(raw, format!("GET {HOSTILE}\r\n"));
    assert!(shown.contains("out  ") && shown.contains("\\u{1b}[1mbold"), "{shown}");
    let late = printed(dir.path(), &format!("sessions replay {id} --from 3600"));
    assert_eq!(late, "");
}

#[test]
fn a_terminal_is_replayed_and_recorded_as_one() {
    let (dir, id) = written(Some("pci terminal"));
    let shown = printed(dir.path(), &format!("sessions replay {id} --speed 1000000"));
    assert_eq!(shown, "\x1b[1mbold\x1b[0m ü\r\n");
    let cast = printed(dir.path(), &format!("sessions export {id} --format asciicast"));
    let lines: Vec<Value> = cast.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["version"], &lines[0]["width"]), (&Value::from(2), &Value::from(80)));
    let text: String = lines[1..].iter().map(|line| line[2].as_str().unwrap()).collect();
    assert_eq!(text, "\x1b[1mbold\x1b[0m\x1b]0;t\x07 ü\r\n");
    assert!(lines[1..].iter().all(|line| line[0].is_number() && line[1] == "o"));
}

/// The same, of a command that may fail or exit with another code.
fn tried(state: &Path, line: &str) -> (Result<Exit, String>, String) {
    let words = line.split(' ').map(std::ffi::OsString::from);
    let cli = Cli::read([std::ffi::OsString::from("sallyport")].into_iter().chain(words)).unwrap();
    let paper = Paper::default();
    let mut screen = paper.screen(cli.global.json, None);
    let Command::Sessions { command } = &cli.command else { panic!("{line}") };
    let done = sessions::run(state, command, &mut screen, || Err(Failure::new(Exit::CONFIG, "none")));
    screen.flush().unwrap();
    (done.map_err(|failure| failure.message().to_owned()), paper.text())
}

#[test]
fn a_store_verifies_by_its_own_keys_by_those_given_and_by_a_checkpoint_kept_elsewhere() {
    let (dir, _) = written(None);
    let (exit, text) = tried(dir.path(), "sessions verify");
    assert_eq!(exit, Ok(Exit::OK), "{text}");
    assert!(text.contains("whole") && text.contains("--checkpoint"), "{text}");

    let conn = rusqlite::Connection::open(dir.path().join("sessions/000001.live.sqlite")).unwrap();
    let notes: Vec<String> = {
        let mut statement = conn.prepare("SELECT note FROM checkpoint ORDER BY size").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let kept = dir.path().join("kept");
    std::fs::write(&kept, notes.iter().map(|note| format!("{note}\n")).collect::<String>()).unwrap();
    let (exit, text) = tried(dir.path(), &format!("sessions verify --checkpoint {}", kept.display()));
    assert_eq!(exit, Ok(Exit::OK), "{text}");
    let key = std::fs::read_to_string(dir.path().join("keys/checkpoint.pub")).unwrap();
    assert_eq!(tried(dir.path(), &format!("sessions verify --key {}", key.trim())).0, Ok(Exit::OK));
    let file = dir.path().join("keys/checkpoint.pub");
    assert_eq!(tried(dir.path(), &format!("sessions verify --key {}", file.display())).0, Ok(Exit::OK));

    // What a full disk cut off is passed over, wherever it was cut; what is whole and wrong is not.
    let whole = std::fs::read_to_string(&kept).unwrap();
    let last = notes.last().unwrap();
    for cut in [5, last.len() / 2, last.len() - 8] {
        let torn = format!("{whole}{}\n\n\n{last}\n", &last[..last.floor_char_boundary(cut)]);
        std::fs::write(&kept, torn).unwrap();
        let (exit, text) = tried(dir.path(), &format!("sessions verify --checkpoint {}", kept.display()));
        assert_eq!(exit, Ok(Exit::OK), "{cut}: {text}");
        std::fs::write(&kept, format!("{whole}{}", &last[..last.floor_char_boundary(cut)])).unwrap();
        let (exit, text) = tried(dir.path(), &format!("sessions verify --checkpoint {}", kept.display()));
        assert_eq!(exit, Ok(Exit::OK), "{cut}: {text}");
    }
    std::fs::write(&kept, format!("{whole}{}\n", last.replacen('\n', "x\n", 1))).unwrap();
    let (failed, _) = tried(dir.path(), &format!("sessions verify --checkpoint {}", kept.display()));
    assert!(failed.unwrap_err().contains("not to be trusted"));

    // By another's key nothing is to be trusted.
    let (other, _) = written(None);
    let key = std::fs::read_to_string(other.path().join("keys/checkpoint.pub")).unwrap();
    let (exit, text) = tried(dir.path(), &format!("sessions verify --key {}", key.trim()));
    assert_eq!(exit, Ok(Exit::DATA), "{text}");
    assert!(text.contains("forged"), "{text}");

    conn.execute("UPDATE request SET decision = 0 WHERE decision = 1", []).unwrap();
    drop(conn);
    let (exit, text) = tried(dir.path(), "sessions verify");
    assert_eq!(exit, Ok(Exit::DATA));
    assert!(text.contains("damaged") && text.contains("edited") && text.contains("(request)"), "{text}");
    let (exit, text) = tried(dir.path(), "sessions verify --json");
    assert_eq!(exit, Ok(Exit::DATA));
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["findings"][0]["damage"], "edited");
}

#[test]
fn one_session_is_exported_with_its_proof_and_verified_without_the_store() {
    let (dir, id) = written(None);
    let (exit, text) = tried(dir.path(), &format!("sessions export {id} --proof"));
    assert_eq!(exit, Ok(Exit::OK));
    let elsewhere = tempfile::tempdir().unwrap();
    let proof = elsewhere.path().join("proof.json");
    let key = std::fs::read_to_string(dir.path().join("keys/checkpoint.pub")).unwrap();
    std::fs::write(&proof, &text).unwrap();
    let line = format!("sessions verify --proof {} --key {}", proof.display(), key.trim());
    let (exit, said) = tried(&elsewhere.path().join("none"), &line);
    assert_eq!(exit, Ok(Exit::OK), "{said}");
    assert!(said.contains(&id.to_string()), "{said}");

    let changed = text.replacen("10.0.0.5", "10.0.0.6", 1);
    assert_ne!(changed, text);
    std::fs::write(&proof, changed).unwrap();
    let (exit, said) = tried(&elsewhere.path().join("none"), &line);
    assert_eq!(exit, Ok(Exit::DATA));
    assert!(said.contains("(session)"), "{said}");
    std::fs::write(&proof, "{}").unwrap();
    assert!(tried(dir.path(), &line).0.unwrap_err().contains("no evidence"));
    // Without a key nobody vouches for it.
    std::fs::write(&proof, &text).unwrap();
    let nobody = tried(&elsewhere.path().join("none"), &format!("sessions verify --proof {}", proof.display()));
    assert_ne!(nobody.0, Ok(Exit::OK), "{nobody:?}");
}
