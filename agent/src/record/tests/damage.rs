//! A segment that turns out to be damaged while it is written.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::segments::{request, response};
use super::{block_on, end, identity, start};
use crate::record::proof::{Checkpoint, public_keys};
use crate::record::read::{Followed, Tail};
use crate::record::request::Durability;
use crate::record::verify::{Damage, Report, verify};
use crate::record::{
    EventKind, EventRecord, Filter, Options, Outcome, RecordError, Recorder, Role, SessionId, Store, Timestamps,
    evidence, file,
};

/// Leaves a table that cannot be written: its first page is one of an index.
fn damage(live: &Path) {
    let conn = Connection::open(live).unwrap();
    let version: i64 = conn.pragma_query_value(None, "schema_version", |row| row.get(0)).unwrap();
    conn.execute_batch(&format!(
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'session_started')
          WHERE name = 'event';
         PRAGMA schema_version = {};",
        version + 1
    ))
    .unwrap();
}

fn event() -> EventRecord {
    EventRecord::new(EventKind::Detached, Timestamps::now())
}

fn check(state_dir: &Path) -> Report {
    let known = public_keys(state_dir).unwrap();
    let read = |note: &str| Ok(Checkpoint::open(note.as_bytes(), &known).unwrap().0.head);
    verify(state_dir, &read, None).unwrap()
}

fn prove(state_dir: &Path, session: SessionId) {
    let known = public_keys(state_dir).unwrap();
    let read = |note: &str| Ok(Checkpoint::open(note.as_bytes(), &known).unwrap().0.head);
    evidence(state_dir, session, &read).unwrap().prove(&read).unwrap();
}

fn open(state_dir: &Path, segment_size: u64) -> Recorder {
    let checkpoint_every = Duration::from_millis(20);
    let options = Options { segment_size, checkpoint_every, ..Options::default() };
    Recorder::open_as(state_dir, Role::Daemon, &options).unwrap()
}

#[test]
fn the_log_goes_on_after_a_segment_that_is_damaged_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let directory = file::directory(dir.path());
    let recorder = open(dir.path(), 1 << 30);
    let session = block_on(async {
        let session = recorder.begin(start(&identity(1), "10.0.0.5:5432", 7)).await.unwrap();
        recorder.request(request(session, 0), Durability::BeforeForward).await.unwrap();
        recorder.flush().await.unwrap();
        session
    });
    let mut tail = Tail::new(Store::open_read_only(dir.path()).unwrap(), Filter::default()).unwrap();
    damage(&file::live(&directory, 1));
    let later = block_on(async {
        recorder.event(event()).await.unwrap();
        recorder.request(request(session, 1), Durability::BeforeForward).await.unwrap();
        recorder.response(response(session, 1)).await.unwrap();
        let later = recorder.begin(start(&identity(2), "10.0.0.6:5432", 8)).await.unwrap();
        recorder.end(session, end(Outcome::Completed)).await.unwrap();
        recorder.flush().await.unwrap();
        later
    });

    let store = Store::open_read_only(dir.path()).unwrap();
    assert_eq!(store.list(&Filter::default()).unwrap().len(), 2);
    assert_eq!(store.show(&session.to_string()).unwrap().session.outcome, "completed");
    let statements = store.statements(&store.session(&session.to_string()).unwrap(), 0, 9).unwrap().rows;
    assert_eq!(statements.iter().map(|row| row.sequence).collect::<Vec<_>>(), [1], "the first is in the damaged file");
    let kinds: Vec<String> = store.events(&Filter::default()).unwrap().into_iter().map(|row| row.kind).collect();
    assert_eq!(kinds, ["detached", "store-damaged"]);
    let mut seen = vec![];
    for _ in 0..4 {
        seen.extend(tail.poll().unwrap_or_default().0);
    }
    assert!(seen.iter().any(|one| matches!(one, Followed::Began(row) if row.id == later)), "{seen:?}");

    // A disk that damages one after another is not to be written to.
    damage(&file::live(&directory, 2));
    assert!(matches!(block_on(recorder.event(event())), Err(RecordError::Corrupt { .. })));
    drop(recorder);
}

#[test]
fn what_comes_after_a_damaged_segment_is_proven_rotated_and_opened_as_ever() {
    let dir = tempfile::tempdir().unwrap();
    let directory = file::directory(dir.path());
    let recorder = open(dir.path(), 1 << 30);
    let before = block_on(recorder.begin(start(&identity(1), "10.0.0.5:5432", 7))).unwrap();
    block_on(recorder.flush()).unwrap();
    damage(&file::live(&directory, 1));
    block_on(async {
        recorder.event(event()).await.unwrap();
        recorder.request(request(before, 0), Durability::BeforeForward).await.unwrap();
        recorder.end(before, end(Outcome::Completed)).await.unwrap();
        recorder.close().await.unwrap();
    });
    let recorder = open(dir.path(), 1);
    let deadline = Instant::now() + Duration::from_secs(20);
    while file::segments(&directory).unwrap().iter().filter(|segment| !segment.live).count() < 2 {
        assert!(Instant::now() < deadline, "no segment was closed");
        block_on(recorder.event(event())).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    block_on(recorder.close()).unwrap();
    let found = check(dir.path()).findings;
    let [found] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((found.damage, found.segment), (Damage::MissingSegment, 1));
    let aside = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let aside: Vec<String> = aside.filter(|name| name.starts_with("000001.live.sqlite.damaged-")).collect();
    assert!(aside.len() == 1 && found.detail.contains(&aside[0]), "{aside:?} {found:?}");
    prove(dir.path(), before);
}

#[test]
fn who_writes_beside_a_daemon_that_set_the_segment_aside_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let directory = file::directory(dir.path());
    let daemon = open(dir.path(), 1 << 30);
    let exec = Recorder::open(dir.path()).unwrap();
    let session = block_on(exec.begin(start(&identity(1), "10.0.0.5:5432", 7))).unwrap();
    damage(&file::live(&directory, 1));
    block_on(daemon.event(event())).unwrap();
    // This one does not touch what is damaged, and is in no log any more.
    let refused = block_on(exec.request(request(session, 0), Durability::BeforeForward));
    assert!(matches!(refused, Err(RecordError::Corrupt { .. })), "{refused:?}");
    assert!(block_on(exec.close()).is_err());
    block_on(daemon.close()).unwrap();
}
