//! Segments that follow one another, requests in them, and what passes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension};

use super::{at, block_on, end, identity, start};
use crate::record::ledger::{Ledger, read_head};
use crate::record::proof::{Checkpoint, KeyPlaces, Keys};
use crate::record::request::{Direction, Durability, RequestRecord, ResponseRecord, Status};
use crate::record::{
    Decision, EventKind, EventRecord, Options, Outcome, PayloadLimits, RecordError, Recorder, Role, SessionId,
    Timestamps, file, writers,
};

pub(crate) fn request(session: SessionId, n: u64) -> RequestRecord {
    RequestRecord {
        session,
        n,
        at: at(10),
        kind: Arc::from("select"),
        statement: Some(Arc::from("SELECT name FROM people WHERE id = $1")),
        parameters: None,
        decision: Decision::Allow,
        policies: Some(Arc::from("[\"p1\"]")),
        facts: None,
        bytes: Some(70),
        detail: None,
        approval: None,
    }
}

pub(crate) fn response(session: SessionId, n: u64) -> ResponseRecord {
    ResponseRecord {
        session,
        n,
        at: at(11),
        status: Status::Done,
        rows: Some(3),
        bytes: Some(99),
        masked: 1,
        masks: None,
        error: None,
    }
}

fn numbers(directory: &Path) -> Vec<(u64, bool)> {
    file::segments(directory).unwrap().into_iter().map(|segment| (segment.number, segment.live)).collect()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_full_grown_segment_is_finalised_and_open_sessions_go_on_in_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let directory = file::directory(dir.path());
    let options = Options { segment_size: 600_000, ..Options::default() };
    let recorder = Recorder::open_as(dir.path(), Role::Daemon, &options).unwrap();
    let long = block_on(recorder.begin(start(&identity(1), "10.0.0.5:5432", 7))).unwrap();
    let mut n = 0;
    wait_until("three segments were closed", || {
        block_on(async {
            for _ in 0..500 {
                recorder.request(request(long, n), Durability::Batched).await.unwrap();
                recorder.response(response(long, n)).await.unwrap();
                n += 1;
            }
            recorder.flush().await.unwrap();
        });
        numbers(&directory).iter().filter(|(_, live)| !live).count() >= 3
    });
    block_on(async {
        recorder.end(long, end(Outcome::Completed)).await.unwrap();
        recorder.close().await.unwrap();
    });
    let found = numbers(&directory);
    assert!(found.windows(2).all(|two| two[0].0 + 1 == two[1].0), "{found:?}");
    let (mut requests, mut responses, mut sealed) = (0, 0, 0);
    for segment in file::segments(&directory).unwrap() {
        let conn = file::connect_read_only(&segment.path).unwrap();
        let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        requests += count("SELECT count(*) FROM statements");
        responses += count("SELECT count(*) FROM statements WHERE rows = 3");
        sealed += count("SELECT count(*) FROM sealed");
        assert_eq!(count("SELECT count(*) FROM sessions"), 1);
        if !segment.live {
            let mode: String = conn.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
            assert_eq!(mode, "delete");
            assert!(fs::metadata(&segment.path).unwrap().permissions().readonly());
        }
    }
    assert_eq!((requests, responses), (n as i64, n as i64));
    assert!(sealed >= 3);
    let last = file::segments(&directory).unwrap().pop().unwrap();
    let conn = Connection::open(last.path).unwrap();
    let (outcome, continues): (String, Option<i64>) =
        conn.query_row("SELECT outcome, continues FROM sessions", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(outcome, "completed");
    assert!(continues.is_some());
}

#[test]
fn who_comes_while_a_segment_is_about_to_be_changed_keeps_it_open() {
    let dir = tempfile::tempdir().unwrap();
    let directory = file::directory(dir.path());
    let options = Options { segment_size: 1, ..Options::default() };
    let recorder = Recorder::open_as(dir.path(), Role::Daemon, &options).unwrap();
    let opening = file::lock_for_opening(&directory).unwrap();
    block_on(recorder.event(EventRecord::new(EventKind::Detached, Timestamps::now()))).unwrap();
    // The daemon found the segment full grown, nobody else in it, and waits for the lock.
    std::thread::sleep(Duration::from_millis(500));
    let conn = file::connect(&super::segment(dir.path())).unwrap();
    let mut ledger = Ledger::new(read_head(&conn).unwrap());
    ledger.begin(&conn).unwrap();
    writers::register(&conn, &mut ledger, Role::Exec).unwrap();
    ledger.commit(&conn).unwrap();
    drop(opening);
    block_on(recorder.flush()).unwrap();
    assert_eq!(numbers(&directory), [(1, true)]);
    block_on(recorder.close()).unwrap();
}

#[test]
fn a_request_that_waits_for_the_disk_is_there_when_it_returns() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(dir.path()).unwrap();
    block_on(async {
        let session = recorder.begin(start(&identity(1), "10.0.0.5:5432", 7)).await.unwrap();
        let request = request(session, 0);
        let text = request.statement.clone().unwrap();
        recorder.request(request, Durability::BeforeForward).await.unwrap();
        // In the tables, or in what the next writer puts into them.
        let holds = |path: std::path::PathBuf| {
            fs::read(path).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes())
        };
        let files = fs::read_dir(dir.path().join("sessions")).unwrap();
        assert!(files.into_iter().any(|entry| holds(entry.unwrap().path())));
        recorder.flush().await.unwrap();
        let conn = Connection::open(super::segment(dir.path())).unwrap();
        let found: i64 = conn.query_row("SELECT count(*) FROM statements", [], |row| row.get(0)).unwrap();
        assert_eq!(found, 1);
    });
}

#[test]
fn payloads_are_cut_where_the_limits_say_and_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { payload: PayloadLimits { event: 1000, session: 2500 }, ..Options::default() };
    let recorder = Recorder::open_as(dir.path(), Role::Exec, &options).unwrap();
    block_on(async {
        let session = recorder.begin(start(&identity(1), "10.0.0.5:5432", 7)).await.unwrap();
        let tap = recorder.tap(session).unwrap();
        for n in 0..4 {
            tap.pass(Direction::In, n * 1000, None, vec![b'x'; 1000]).await.unwrap();
        }
        tap.pass(Direction::Out, 0, Some(0), vec![b'y'; 3000]).await.unwrap();
        recorder.close().await.unwrap();
    });
    let conn = Connection::open(super::segment(dir.path())).unwrap();
    let mut statement = conn.prepare("SELECT direction, length, full_length FROM payloads ORDER BY seq").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let rows: Vec<(String, i64, Option<i64>)> = rows.unwrap().map(Result::unwrap).collect();
    let cut = |length| ("in".to_owned(), length, Some(1000));
    let whole = ("in".to_owned(), 1000, None);
    assert_eq!(rows, [whole.clone(), whole, cut(500), cut(0), ("out".to_owned(), 0, Some(3000))]);
    let chunks: i64 = conn.query_row("SELECT count(*) FROM chunk", [], |row| row.get(0)).unwrap();
    assert_eq!(chunks, 2, "equal bytes are stored once");
}

#[test]
fn a_request_of_a_session_that_is_not_open_is_refused_and_takes_nothing_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(dir.path()).unwrap();
    block_on(async {
        let session = recorder.begin(start(&identity(1), "10.0.0.5:5432", 7)).await.unwrap();
        let stranger = SessionId::now();
        let refused = recorder.request(request(stranger, 0), Durability::BeforeForward);
        let recorded = recorder.request(request(session, 0), Durability::BeforeForward);
        let (refused, recorded) = tokio::join!(refused, recorded);
        assert!(matches!(refused, Err(RecordError::NoSession { session }) if session == stranger), "{refused:?}");
        recorded.unwrap();
        recorder.request(request(stranger, 1), Durability::Batched).await.unwrap();
        recorder.flush().await.unwrap();
        recorder.end(session, end(Outcome::Completed)).await.unwrap();
        let late = recorder.request(request(session, 1), Durability::BeforeForward).await;
        assert!(matches!(late, Err(RecordError::NoSession { .. })), "{late:?}");
        recorder.close().await.unwrap();
    });
    let conn = Connection::open(super::segment(dir.path())).unwrap();
    let found: i64 = conn.query_row("SELECT count(*) FROM statements", [], |row| row.get(0)).unwrap();
    assert_eq!(found, 1);
}

#[test]
fn a_segment_damaged_while_it_is_written_is_set_aside_and_what_is_open_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let directory = file::directory(dir.path());
    let recorder = Recorder::open_as(dir.path(), Role::Daemon, &Options::default()).unwrap();
    block_on(async {
        let session = recorder.begin(start(&identity(1), "10.0.0.5:5432", 7)).await.unwrap();
        recorder.request(request(session, 0), Durability::BeforeForward).await.unwrap();
        recorder.flush().await.unwrap();
        let conn = Connection::open(super::segment(dir.path())).unwrap();
        conn.execute_batch(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'words_search_data')
             WHERE name = 'request_of'; PRAGMA schema_version = 4711",
        )
        .unwrap();
        drop(conn);
        for n in 1..4 {
            recorder.request(request(session, n), Durability::BeforeForward).await.unwrap();
        }
        recorder.end(session, end(Outcome::Completed)).await.unwrap();
        recorder.close().await.unwrap();
    });
    assert_eq!(numbers(&directory).iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2]);
    let aside = fs::read_dir(&directory).unwrap().flatten().map(|e| e.file_name().into_string().unwrap());
    assert!(aside.into_iter().any(|name| name.starts_with("000001.live.sqlite.damaged-")), "it is kept");
    let conn = Connection::open(file::segments(&directory).unwrap().pop().unwrap().path).unwrap();
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM statements"), 3);
    assert_eq!(count("SELECT count(*) FROM sessions WHERE outcome = 'completed' AND continues IS NOT NULL"), 1);
    assert_eq!(count("SELECT count(*) FROM events WHERE kind = 'store-damaged'"), 1);
}

#[test]
fn a_running_daemon_signs_with_the_key_that_was_put_in_force_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_every: Duration::from_millis(20), ..Options::default() };
    let recorder = Recorder::open_as(dir.path(), Role::Daemon, &options).unwrap();
    let record = |n: u64| {
        let detail = Some(n.to_string());
        let event = EventRecord { detail, ..EventRecord::new(EventKind::Reloaded, Timestamps::now()) };
        block_on(recorder.event(event)).unwrap();
    };
    let rotation = Keys::rotate(&KeyPlaces::new(dir.path(), None)).unwrap();
    let conn = Connection::open(super::segment(dir.path())).unwrap();
    let mut n = 0;
    wait_until("a checkpoint by the new key", || {
        n += 1;
        record(n);
        let note: Option<String> = conn
            .query_row("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1", [], |row| row.get(0))
            .optional()
            .unwrap();
        note.is_some_and(|note| Checkpoint::open(note.as_bytes(), &[rotation.keys.public().clone()]).is_ok())
    });
    let signers: i64 = conn.query_row("SELECT count(*) FROM signer", [], |row| row.get(0)).unwrap();
    assert_eq!(signers, 2);
    block_on(recorder.close()).unwrap();
}

#[test]
fn who_cannot_see_the_key_in_force_records_and_does_not_sign() {
    let dir = tempfile::tempdir().unwrap();
    block_on(Recorder::open_as(dir.path(), Role::Daemon, &Options::default()).unwrap().close()).unwrap();
    // As with a credential, which is another process's.
    let secret = dir.path().join("keys/checkpoint.key");
    let kept = fs::read(&secret).unwrap();
    fs::remove_file(&secret).unwrap();
    let recorder = Recorder::open_as(dir.path(), Role::Exec, &Options::default()).unwrap();
    block_on(async {
        recorder.event(EventRecord::new(EventKind::Detached, Timestamps::now())).await.unwrap();
        recorder.close().await.unwrap();
    });
    assert!(!secret.exists());
    fs::write(&secret, kept).unwrap();
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    block_on(Recorder::open_as(dir.path(), Role::Daemon, &Options::default()).unwrap().close()).unwrap();
    let conn = Connection::open(super::segment(dir.path())).unwrap();
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM signer"), 1);
    assert_eq!(count("SELECT count(*) FROM event WHERE kind = 'detached'"), 1);
    assert_eq!(count("SELECT max(size) FROM checkpoint"), count("SELECT size FROM head"));
}

#[test]
fn the_configuration_says_how_durable_a_request_is_whatever_it_does() {
    for (configured, asked, at_once) in [
        (None, Durability::Batched, false),
        (None, Durability::BeforeForward, true),
        (Some(Durability::BeforeForward), Durability::Batched, true),
        (Some(Durability::Batched), Durability::BeforeForward, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { durability: configured, ..Options::default() };
        let recorder = Recorder::open_as(dir.path(), Role::Exec, &options).unwrap();
        block_on(async {
            // Of a session that is not open: who is told so has waited for the record.
            let told = recorder.request(request(SessionId::now(), 0), asked).await;
            assert_eq!(told.is_err(), at_once, "{configured:?} {asked:?}");
            recorder.close().await.unwrap();
        });
    }
}
