//! What came back is told the same, whether it stands in the row of its request or in one of its own.

use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::segments::{request, response};
use super::{at, block_on, end, identity, segment, start};
use crate::record::proof::{Checkpoint, public_keys};
use crate::record::read::{Followed, StatementRow, Tail, Words};
use crate::record::{
    Durability, Filter, Outcome, Recorder, ResponseRecord, SessionId, Status, Store, evidence, schema, verify,
};

/// Answers of every kind, many more than one batch may tear from their requests.
const ANSWERS: u64 = 60;

fn answer(session: SessionId, n: u64) -> ResponseRecord {
    let plain = ResponseRecord { at: at(10 + n as u32), masked: 0, ..response(session, n) };
    match n % 4 {
        0 => plain,
        1 => ResponseRecord { masked: n, masks: Some("{\"email\":\"redact\"}".into()), ..plain },
        2 => ResponseRecord { status: Status::Error, rows: None, error: Some("23505".into()), ..plain },
        _ => ResponseRecord { status: Status::Cut, rows: None, bytes: None, ..plain },
    }
}

struct Written {
    dir: TempDir,
    /// Whose answers came at once, and whose came when its requests were written.
    sessions: [SessionId; 2],
}

fn written() -> Written {
    let dir = tempfile::tempdir().unwrap();
    let sessions = block_on(async {
        let recorder = Recorder::open(dir.path()).unwrap();
        let who = identity(1);
        let [soon, late] = [1, 2].map(|second| recorder.begin(start(&who, "10.0.0.5:5432", second)));
        let [soon, late] = [soon.await.unwrap(), late.await.unwrap()];
        for n in 0..ANSWERS {
            recorder.request(request(soon, n), Durability::Batched).await.unwrap();
            recorder.response(answer(soon, n)).await.unwrap();
            recorder.request(request(late, n), Durability::Batched).await.unwrap();
        }
        recorder.flush().await.unwrap();
        for n in 0..ANSWERS {
            recorder.response(answer(late, n)).await.unwrap();
        }
        for session in [soon, late] {
            recorder.end(session, end(Outcome::Completed)).await.unwrap();
        }
        recorder.close().await.unwrap();
        [soon, late]
    });
    Written { dir, sessions }
}

/// What is told of a session's statements, but for what tells the session.
fn told(store: &Store, session: SessionId) -> Vec<StatementRow> {
    let session = store.session(&session.to_string()).unwrap();
    let statements = store.statements(&session, 0, 1000).unwrap().rows;
    assert_eq!(statements.len() as u64, ANSWERS);
    statements
}

fn count(conn: &Connection, sql: &str) -> u64 {
    conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
}

fn alike(a: &StatementRow, b: &StatementRow) {
    let b = StatementRow { session_id: a.session_id, seq: a.seq, duration_ns: a.duration_ns, ..b.clone() };
    assert_eq!(*a, b);
}

#[test]
fn an_answer_is_told_the_same_from_either_row() {
    let Written { dir, sessions } = written();
    let store = Store::open_read_only(dir.path()).unwrap();
    let [soon, late] = sessions.map(|session| told(&store, session));
    for (n, (soon, late)) in (0..).zip(soon.iter().zip(&late)) {
        alike(soon, late);
        assert!(soon.status.is_some());
        assert_eq!(soon.duration_ns, Some(n * 1_000_000_000), "{n}");
        // The other session began a second later, and so did all that came of it.
        assert_eq!(late.duration_ns, soon.duration_ns, "{n}");
    }
    let conn = Connection::open(segment(dir.path())).unwrap();
    let of_their_own = count(&conn, "SELECT count(*) FROM response");
    assert!((ANSWERS..ANSWERS + ANSWERS / 2).contains(&of_their_own), "{of_their_own}");
    let view = "SELECT count(*) FROM (SELECT sequence, rows, error, duration_ms, bytes_in, masked, masks, status
        FROM statements WHERE status IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7, 8)";
    assert_eq!(count(&conn, view), ANSWERS);

    let masked = Filter { masked: true, ..Filter::default() };
    let words = Words::plain("people").unwrap();
    let found = store.search(&words, &masked, None, 1000).unwrap().rows;
    assert_eq!(found.len() as u64, ANSWERS / 2);
    assert_eq!(store.list(&masked).unwrap().len(), 2);
    let review = store.access_review(0, i64::MAX, &[]).unwrap();
    let masking: u64 = review.identities.iter().flat_map(|one| &one.masked).map(|one| one.responses).sum();
    assert_eq!(masking, ANSWERS / 2);
}

#[test]
fn who_follows_is_told_each_answer_once() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(dir.path()).unwrap();
    let mut tail = Tail::new(Store::open_read_only(dir.path()).unwrap(), Filter::default()).unwrap();
    let session = block_on(recorder.begin(start(&identity(1), "10.0.0.5:5432", 1))).unwrap();
    let mut answered = vec![0; ANSWERS as usize];
    let mut listen = || {
        for followed in tail.poll().unwrap().0 {
            if let Followed::Statement(row) | Followed::Response(row) = followed {
                answered[row.sequence as usize] += i32::from(row.status.is_some());
            }
        }
    };
    for n in 0..ANSWERS {
        block_on(recorder.request(request(session, n), Durability::Batched)).unwrap();
        if n % 2 == 1 {
            block_on(recorder.flush()).unwrap();
            listen();
        }
        block_on(recorder.response(answer(session, n))).unwrap();
    }
    block_on(recorder.close()).unwrap();
    listen();
    assert!(answered.iter().all(|times| *times == 1), "{answered:?}");
}

/// Takes from a segment what later layouts added.
fn made_old(path: &Path) {
    let conn = Connection::open(path).unwrap();
    let views = "SELECT group_concat('DROP VIEW ' || name, ';') FROM sqlite_schema WHERE type = 'view'";
    let views: String = conn.query_row(views, [], |row| row.get(0)).unwrap();
    conn.execute_batch(&views).unwrap();
    conn.execute_batch("DROP INDEX request_masked").unwrap();
    for column in ["parameters", "took_ns", "status", "rows", "bytes_in", "masked", "masks", "error"] {
        conn.execute_batch(&format!("ALTER TABLE request DROP COLUMN {column}")).unwrap();
    }
    conn.pragma_update(None, "user_version", 1).unwrap();
}

#[test]
fn a_segment_of_the_first_layout_is_read_proven_and_verified_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let session = block_on(async {
        let recorder = Recorder::open(dir.path()).unwrap();
        let session = recorder.begin(start(&identity(1), "10.0.0.5:5432", 1)).await.unwrap();
        for n in 0..ANSWERS {
            recorder.request(request(session, n), Durability::Batched).await.unwrap();
        }
        recorder.flush().await.unwrap();
        for n in 0..ANSWERS {
            recorder.response(answer(session, n)).await.unwrap();
        }
        recorder.end(session, end(Outcome::Completed)).await.unwrap();
        recorder.close().await.unwrap();
        session
    });
    let now = told(&Store::open_read_only(dir.path()).unwrap(), session);
    made_old(&segment(dir.path()));
    let read = || {
        let store = Store::open_read_only(dir.path()).unwrap();
        assert_eq!(told(&store, session), now);
        let masked = Filter { masked: true, ..Filter::default() };
        assert_eq!(store.search(&Words::plain("people").unwrap(), &masked, None, 1000).unwrap().rows.len(), 15);
        assert_eq!(store.list(&masked).unwrap().len(), 1);
        assert_eq!(store.access_review(0, i64::MAX, &[]).unwrap().identities.len(), 1);
        let known = public_keys(dir.path()).unwrap();
        let note = |note: &str| {
            let opened = Checkpoint::open(note.as_bytes(), &known).map_err(|error| error.to_string());
            opened.map(|(checkpoint, _)| checkpoint.head)
        };
        assert_eq!(verify(dir.path(), &note, None).unwrap().findings, []);
        let (_, records) = evidence(dir.path(), session, &note).unwrap().prove(&note).unwrap();
        assert!(records as u64 > 2 * ANSWERS, "{records}");
    };
    read();
    // Whoever writes to it next brings it forward.
    block_on(Recorder::open(dir.path()).unwrap().close()).unwrap();
    let conn = Connection::open(segment(dir.path())).unwrap();
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, schema::known());
    read();
}
