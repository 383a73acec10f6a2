//! What can be done to a store by whoever can write its files, and that each is found and named.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempDir;

use super::segments::{request, response};
use super::{block_on, end, identity, start};
use crate::record::ledger::mark;
use crate::record::proof::{Checkpoint, Frontier, Head, KeyName, Signer, public_keys};
use crate::record::request::Durability;
use crate::record::retain::{self, Due};
use crate::record::schema::LEDGER;
use crate::record::verify::{Damage, Report, retold, verify};
use crate::record::{
    Evidence, EvidenceError, Filter, Options, Outcome, Recorder, Retention, Role, SessionExtra, SessionStart, Store,
    evidence, file, segment, set_hold,
};

/// A store of four segments, the last of them live, with two sessions each.
fn store() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 4);
    dir
}

fn fill(state_dir: &Path, segments: u64) {
    let options = Options { segment_size: 300_000, checkpoint_every: Duration::from_millis(20), ..Options::default() };
    let recorder = Recorder::open_as(state_dir, Role::Daemon, &options).unwrap();
    let directory = file::directory(state_dir);
    block_on(async {
        while file::segments(&directory).unwrap().last().unwrap().number < segments {
            for one in 0..2 {
                let session = recorder.begin(start(&identity(one), "10.0.0.5:5432", 7)).await.unwrap();
                for n in 0..100 {
                    recorder.request(request(session, n), Durability::Batched).await.unwrap();
                    recorder.response(response(session, n)).await.unwrap();
                }
                // What comes back later has rows of its own.
                for n in 100..200 {
                    recorder.request(request(session, n), Durability::Batched).await.unwrap();
                }
                recorder.flush().await.unwrap();
                for n in 100..200 {
                    recorder.response(response(session, n)).await.unwrap();
                }
                recorder.end(session, end(Outcome::Completed)).await.unwrap();
            }
            recorder.flush().await.unwrap();
        }
        let session = recorder.begin(start(&identity(3), "10.0.0.7:5432", 9)).await.unwrap();
        recorder.end(session, end(Outcome::Denied)).await.unwrap();
        recorder.close().await.unwrap();
    });
}

fn check(state_dir: &Path, kept: Option<&Head>) -> Report {
    let known = public_keys(state_dir).unwrap();
    let read = |note: &str| {
        let opened = Checkpoint::open(note.as_bytes(), &known).map_err(|error| error.to_string());
        opened.map(|(checkpoint, _)| checkpoint.head)
    };
    verify(state_dir, &read, kept).unwrap()
}

fn closed(state_dir: &Path, number: u64) -> PathBuf {
    file::closed(&file::directory(state_dir), number)
}

fn open(path: &Path) -> Connection {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    let conn = Connection::open(path).unwrap();
    conn.pragma_update(None, "synchronous", "off").unwrap();
    conn
}

/// A record of the second segment's table, in the middle.
fn middle(conn: &Connection, table: &str) -> i64 {
    let sql = format!("SELECT seq FROM {table} ORDER BY seq LIMIT 1 OFFSET (SELECT count(*) / 2 FROM {table})");
    conn.query_row(&sql, [], |row| row.get(0)).unwrap()
}

/// Adds `by` to the number of every record from `from` on.
fn renumber(conn: &Connection, from: i64, by: i64) {
    for table in LEDGER {
        let name = table.name;
        conn.execute(&format!("UPDATE {name} SET seq = -seq - 1 WHERE seq >= ?"), [from]).unwrap();
        conn.execute(&format!("UPDATE {name} SET seq = -seq - 1 + ? WHERE seq < 0"), [by]).unwrap();
    }
}

/// Makes marks, tiles and head fit the rows, as somebody without the key can.
fn cover_up(conn: &Connection) {
    let frontier: Vec<u8> = conn.query_row("SELECT frontier FROM segment", [], |row| row.get(0)).unwrap();
    let mut log = Frontier::from_bytes(&frontier).unwrap();
    conn.execute_batch("BEGIN; DELETE FROM tile").unwrap();
    for (table, seq, hash) in retold(conn).unwrap() {
        conn.execute(&format!("UPDATE {} SET mark = ? WHERE seq = ?", table.name), [mark(&hash), seq.cast_signed()])
            .unwrap();
        if let Some((tile, root)) = log.append(hash) {
            conn.execute("INSERT INTO tile VALUES (?, ?)", (tile.cast_signed(), root.0)).unwrap();
        }
    }
    conn.execute("UPDATE head SET size = ?, frontier = ?", (log.size().cast_signed(), log.to_bytes())).unwrap();
    conn.execute_batch("COMMIT").unwrap();
}

#[test]
fn an_untouched_store_is_whole_and_all_of_it_is_signed() {
    let dir = store();
    let report = check(dir.path(), None);
    assert_eq!(report.findings, []);
    assert_eq!((report.segments, report.signed), (4, report.size));
    assert_eq!(report.records, report.size);
    assert!(report.checkpoints >= 4);
}

/// What is done to the second segment, by its name, and what is found.
type Deed = (&'static str, fn(&Connection) -> i64, Damage);

const DEEDS: &[Deed] = &[
    ("a statement is changed", |c| set(c, "words", "text = 'SELECT 1'"), Damage::Edited),
    ("a count of rows is changed", |c| set(c, "response", "rows = 4"), Damage::Edited),
    ("what came back is changed", |c| set(c, "request", "masked = 2"), Damage::Edited),
    ("a decision is changed", |c| set(c, "request", "decision = 1"), Damage::Edited),
    ("an outcome is changed", |c| set(c, "session_end", "outcome = 'denied'"), Damage::Edited),
    ("a time is changed", |c| set(c, "request", "time_ns = time_ns + 1"), Damage::Edited),
    ("a program is changed", |c| set(c, "process", "exe = '/bin/true'"), Damage::Edited),
    ("a target is changed", |c| set(c, "session", "dest_addr = '10.0.0.9'"), Damage::Edited),
    ("a column is emptied", |c| set(c, "request", "bytes = NULL"), Damage::Edited),
    ("a mark is changed", |c| set(c, "request", "mark = mark + 1"), Damage::Edited),
    ("a record is removed", |c| gone(c, "response"), Damage::Deleted),
    ("a session is removed", |c| gone(c, "session"), Damage::Deleted),
    ("a record is removed and those after it move up", |c| up(c, "request"), Damage::Deleted),
    ("a record is put in and those after it move down", put_in, Damage::Inserted),
    ("a record is there twice", twice, Damage::Inserted),
    ("two neighbours change places", |c| swap(c, 1), Damage::Reordered),
    ("two records further apart change places", |c| swap(c, 7), Damage::Reordered),
    ("the end is cut off", |c| cut(c, 5), Damage::Truncated),
    (
        "the end is cut off and covered up",
        |c| {
            let at = cut(c, 5);
            cover_up(c);
            at
        },
        Damage::Truncated,
    ),
    ("records are added at the end", added, Damage::Inserted),
];

fn set(conn: &Connection, table: &str, change: &str) -> i64 {
    let row = middle(conn, table);
    conn.execute(&format!("UPDATE {table} SET {change} WHERE seq = ?"), [row]).unwrap();
    row
}

fn gone(conn: &Connection, table: &str) -> i64 {
    let row = middle(conn, table);
    conn.execute(&format!("DELETE FROM {table} WHERE seq = ?"), [row]).unwrap();
    row
}

fn up(conn: &Connection, table: &str) -> i64 {
    let row = gone(conn, table);
    renumber(conn, row + 1, -1);
    row
}

fn put_in(conn: &Connection) -> i64 {
    let row = middle(conn, "request");
    renumber(conn, row, 1);
    conn.execute("INSERT INTO writer_end VALUES (?, 0, 1, 1)", [row]).unwrap();
    for (table, seq, hash) in retold(conn).unwrap() {
        if seq.cast_signed() == row {
            conn.execute(&format!("UPDATE {} SET mark = ? WHERE seq = ?", table.name), [mark(&hash), row]).unwrap();
        }
    }
    row
}

fn twice(conn: &Connection) -> i64 {
    let row = middle(conn, "request");
    conn.execute("INSERT INTO writer_end VALUES (?, 0, 1, 1)", [row]).unwrap();
    row
}

fn swap(conn: &Connection, apart: i64) -> i64 {
    let row = middle(conn, "request");
    for table in LEDGER {
        let sql = format!("UPDATE {} SET seq = -1 - seq WHERE seq IN (?, ?)", table.name);
        conn.execute(&sql, [row, row + apart]).unwrap();
    }
    for table in LEDGER {
        let sql = format!("UPDATE {} SET seq = ? + seq + 1 WHERE seq < 0", table.name);
        conn.execute(&sql, [2 * row + apart]).unwrap();
    }
    row
}

fn cut(conn: &Connection, count: i64) -> i64 {
    let size: i64 = conn.query_row("SELECT size FROM head", [], |row| row.get(0)).unwrap();
    for table in LEDGER {
        conn.execute(&format!("DELETE FROM {} WHERE seq >= ?", table.name), [size - count]).unwrap();
    }
    size - count
}

fn added(conn: &Connection) -> i64 {
    let size: i64 = conn.query_row("SELECT size FROM head", [], |row| row.get(0)).unwrap();
    conn.execute("INSERT INTO writer_end VALUES (?, 0, 1, 1)", [size]).unwrap();
    for (table, seq, hash) in retold(conn).unwrap() {
        if seq.cast_signed() == size {
            conn.execute(&format!("UPDATE {} SET mark = ? WHERE seq = ?", table.name), [mark(&hash), size]).unwrap();
        }
    }
    size
}

#[test]
fn each_deed_is_found_at_its_record_and_named() {
    let whole = store();
    for (what, deed, damage) in DEEDS {
        let dir = copy(whole.path());
        let at = deed(&open(&closed(dir.path(), 2)));
        let report = check(dir.path(), None);
        let found = report.findings.first().unwrap_or_else(|| panic!("{what}: not found"));
        assert_eq!((found.damage, found.segment), (*damage, 2), "{what}: {found:?}");
        assert_eq!(found.record, Some(at.cast_unsigned()), "{what}: {found:?}");
    }
}

fn copy(state_dir: &Path) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["sessions", "keys"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
        for entry in fs::read_dir(state_dir.join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), dir.path().join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
    dir
}

#[test]
fn who_changes_a_record_and_everything_beside_it_meets_the_signature() {
    let whole = store();
    type Deed = fn(&Connection) -> i64;
    let deeds: [(&str, Deed); 3] =
        [("edit", |c| set(c, "request", "decision = 1")), ("removal", |c| up(c, "response")), ("insertion", put_in)];
    for (what, deed) in deeds {
        let dir = copy(whole.path());
        let conn = open(&closed(dir.path(), 2));
        let at = deed(&conn).cast_unsigned();
        cover_up(&conn);
        drop(conn);
        let report = check(dir.path(), None);
        let found = report.findings.first().unwrap_or_else(|| panic!("{what}: not found"));
        assert_eq!((found.damage, found.segment), (Damage::Rewritten, 2), "{what}");
        assert!(found.record.unwrap() <= at, "{what}: {found:?} begins before {at}");
    }
}

#[test]
fn segments_that_are_missing_swapped_or_altered_are_named() {
    let whole = store();
    let first = |dir: &TempDir| {
        let report = check(dir.path(), None);
        let found = report.findings.first().cloned().unwrap();
        (found.damage, found.segment)
    };
    let dir = copy(whole.path());
    fs::remove_file(closed(dir.path(), 2)).unwrap();
    assert_eq!(first(&dir), (Damage::MissingSegment, 2));

    let dir = copy(whole.path());
    fs::write(file::stub(&file::directory(dir.path()), 2), "00\nsallyport.local\n1\n\n").unwrap();
    fs::remove_file(closed(dir.path(), 2)).unwrap();
    assert_eq!(first(&dir), (Damage::MissingSegment, 2));

    // Whoever may write the store can make a stub that is in order, of the segment's own last checkpoint.
    let remove = |dir: &TempDir, number: u64| {
        let path = closed(dir.path(), number);
        let (edge, note) = segment::last_words(&path).unwrap().unwrap();
        let due = Due { number, path, why: String::new() };
        retain::remove(&file::directory(dir.path()), &due, &edge, &note).unwrap();
    };
    for number in [1, 2] {
        let dir = copy(whole.path());
        remove(&dir, number);
        assert_eq!(first(&dir), (Damage::MissingSegment, number));
    }

    // A copy of what is closed may lack the record of a removal.
    let dir = copy(whole.path());
    remove(&dir, 1);
    let live = file::segments(&file::directory(dir.path())).unwrap().pop().unwrap();
    fs::remove_file(live.path).unwrap();
    assert_eq!(check(dir.path(), None).findings, []);

    let dir = copy(whole.path());
    set_hold(dir.path(), 1, Some("placed while it was being removed")).unwrap();
    remove(&dir, 1);
    assert!(closed(dir.path(), 1).exists());
    assert!(set_hold(dir.path(), 99, Some("one that is not there")).is_err());

    let dir = copy(whole.path());
    let live = file::segments(&file::directory(dir.path())).unwrap().pop().unwrap();
    fs::rename(live.path, file::live(&file::directory(dir.path()), u64::MAX)).unwrap();
    assert_eq!(first(&dir), (Damage::MissingSegment, 4));

    let dir = copy(whole.path());
    let aside = dir.path().join("aside");
    fs::rename(closed(dir.path(), 2), &aside).unwrap();
    fs::rename(closed(dir.path(), 3), closed(dir.path(), 2)).unwrap();
    fs::rename(&aside, closed(dir.path(), 3)).unwrap();
    assert_eq!(first(&dir), (Damage::SwappedSegment, 2));

    let (dir, other) = (copy(whole.path()), store());
    fs::copy(closed(other.path(), 2), closed(dir.path(), 2)).unwrap();
    assert_eq!(first(&dir), (Damage::SwappedSegment, 2));

    let dir = copy(whole.path());
    open(&closed(dir.path(), 2)).execute_batch("CREATE TABLE note (text); DROP TABLE note; VACUUM").unwrap();
    assert_eq!(first(&dir), (Damage::AlteredFile, 2));

    let dir = copy(whole.path());
    let mut bytes = fs::read(closed(dir.path(), 2)).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xa5);
    fs::set_permissions(closed(dir.path(), 2), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(closed(dir.path(), 2), bytes).unwrap();
    assert_eq!(first(&dir), (Damage::Unreadable, 2));
}

#[test]
fn checkpoints_that_are_forged_are_named() {
    let whole = store();
    let stranger = Signer::generate(&KeyName::new("sallyport.local").unwrap()).unwrap();
    let forged = |size: u64, root| Checkpoint::new("sallyport.local", Head { size, root }).sign(&[&stranger]).unwrap();
    let notes = |dir: &TempDir| {
        let conn = open(&closed(dir.path(), 2));
        let (size, note): (i64, String) = conn
            .query_row("SELECT size, note FROM checkpoint ORDER BY size", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        (conn, size, note)
    };
    for what in ["by a stranger", "of another size", "no note at all"] {
        let dir = copy(whole.path());
        let (conn, size, note) = notes(&dir);
        let root = Frontier::new().root();
        let (at, text) = match what {
            "by a stranger" => (size, forged(size.cast_unsigned(), root)),
            "of another size" => (size - 1, note),
            _ => (size, "nothing".to_owned()),
        };
        conn.execute("DELETE FROM checkpoint WHERE size = ?", [size]).unwrap();
        conn.execute("INSERT INTO checkpoint VALUES (?, 0, ?)", (at, text)).unwrap();
        drop(conn);
        let report = check(dir.path(), None);
        let found = report.findings.first().unwrap_or_else(|| panic!("{what}: not found"));
        assert_eq!((found.damage, found.record), (Damage::ForgedCheckpoint, Some(at.cast_unsigned())), "{what}");
    }
}

#[test]
fn a_checkpoint_kept_elsewhere_shows_a_rollback_and_another_history() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 2);
    let before = copy(dir.path());
    fill(dir.path(), 3);
    let report = check(dir.path(), None);
    let kept = Head { size: report.size, root: report.root.parse().unwrap() };
    assert!(check(dir.path(), Some(&kept)).is_whole());
    assert!(check(before.path(), None).is_whole(), "by itself an older copy is as good as the store");
    let found = check(before.path(), Some(&kept)).findings;
    assert_eq!(found.first().unwrap().damage, Damage::RolledBack);

    // The end, and everything that tells, is gone.
    let cut_off = copy(dir.path());
    let live = file::segments(&file::directory(cut_off.path())).unwrap().pop().unwrap();
    let conn = open(&live.path);
    let size = cut(&conn, 3);
    cover_up(&conn);
    conn.execute("DELETE FROM checkpoint WHERE size > ?", [size]).unwrap();
    drop(conn);
    assert!(check(cut_off.path(), None).is_whole());
    let found = check(cut_off.path(), Some(&kept)).findings;
    assert_eq!(found.first().unwrap().damage, Damage::RolledBack);

    let other = Head { root: Frontier::new().root(), ..kept };
    let found = check(dir.path(), Some(&other)).findings;
    assert_eq!(found.first().unwrap().damage, Damage::Rewritten);
}

/// The id of one of a segment's sessions.
fn id_of(conn: &Connection, nth: u32) -> String {
    conn.query_row("SELECT id FROM sessions ORDER BY seq LIMIT 1 OFFSET ?", [nth], |row| row.get(0)).unwrap()
}

#[test]
fn one_session_is_proven_without_the_store_and_nothing_else_is() {
    let dir = store();
    let known = public_keys(dir.path()).unwrap();
    let read = |note: &str| {
        let opened = Checkpoint::open(note.as_bytes(), &known).map_err(|error| error.to_string());
        opened.map(|(checkpoint, _)| checkpoint.head)
    };
    let id = id_of(&open(&closed(dir.path(), 2)), 3);
    let made = evidence(dir.path(), id.parse().unwrap(), &read).unwrap();
    let text = serde_json::to_string(&made).unwrap();
    let (head, records) = Evidence::parse(&text).unwrap().prove(&read).unwrap();
    assert!(records > 200, "{records}");
    assert!(head.size > 1000);

    for (from, to) in [
        ("\"rows\":{\"int\":3}", "\"rows\":{\"int\":4}"),
        ("10.0.0.5", "10.0.0.6"),
        ("\"table\":\"response\"", "\"table\":\"request\""),
        ("SELECT name", "DELETE name"),
        (id.as_str(), "01a20811-15e0-7348-aa2c-b968c9872117"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        assert!(Evidence::parse(&changed).unwrap().prove(&read).is_err(), "{from}");
    }
    // A column that is empty takes no text; a number is written in one way.
    let (from, to) = ("\"table\":\"request\"", "\"approval\":{\"blob\":\"by ada\"},");
    let at = text[text.find(from).unwrap()..].find("\"values\":{").unwrap() + text.find(from).unwrap() + 10;
    let added = format!("{}{to}{}", &text[..at], &text[at..]);
    assert!(matches!(Evidence::parse(&added).unwrap().prove(&read), Err(EvidenceError::Record { .. })));
    let records = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["records"].clone();
    let with = |records: serde_json::Value| {
        let mut changed: serde_json::Value = serde_json::from_str(&text).unwrap();
        changed["records"] = records;
        Evidence::parse(&changed.to_string()).unwrap().prove(&read)
    };
    let mut twice = records(&text);
    twice.as_array_mut().unwrap().push(records(&text)[3].clone());
    assert!(matches!(with(twice), Err(EvidenceError::Form(_))));
    // What another session was asked is in the log as well, and not this one's.
    let other = id_of(&open(&closed(dir.path(), 2)), 4);
    let other = evidence(dir.path(), other.parse().unwrap(), &read).unwrap();
    let other = records(&serde_json::to_string(&other).unwrap());
    for table in ["process", "words", "session"] {
        let ours: Vec<u64> = records(&text).as_array().unwrap().iter().map(|r| r["seq"].as_u64().unwrap()).collect();
        let strange = |r: &&serde_json::Value| r["table"] == table && !ours.contains(&r["seq"].as_u64().unwrap());
        let Some(strange) = other.as_array().unwrap().iter().find(strange) else {
            assert_eq!(table, "words", "both asked the same");
            continue;
        };
        let mut more = records(&text);
        more.as_array_mut().unwrap().push(strange.clone());
        assert!(matches!(with(more), Err(EvidenceError::OfAnother(_))), "{table}");
    }
    assert!(matches!(made.prove(&|_| Err("stranger".to_owned())), Err(EvidenceError::Checkpoint(_))));
    let nobody = "01a20811-15e0-7348-aa2c-b968c9872117".parse().unwrap();
    assert!(matches!(evidence(dir.path(), nobody, &read), Err(EvidenceError::NoSession(_))));
}

/// What is there can be proven whatever was removed before it.
fn prove_the_last(state_dir: &Path) {
    let known = public_keys(state_dir).unwrap();
    let read = |note: &str| Ok(Checkpoint::open(note.as_bytes(), &known).unwrap().0.head);
    let last = Store::open_read_only(state_dir).unwrap().list(&Filter::default()).unwrap()[0].id;
    evidence(state_dir, last, &read).unwrap().prove(&read).unwrap();
}

#[test]
fn what_is_removed_in_order_leaves_a_store_that_is_whole_and_a_hold_keeps_it() {
    let dir = store();
    let directory = file::directory(dir.path());
    let numbers = || file::segments(&directory).unwrap().iter().map(|segment| segment.number).collect::<Vec<_>>();
    set_hold(dir.path(), 2, Some("case 7")).unwrap();
    let keep_none = Retention { size: Some(1), ..Retention::default() };
    let reopen = |retention: &Retention, left: &[u64]| {
        let options = Options { retention: retention.clone(), ..Options::default() };
        let recorder = Recorder::open_as(dir.path(), Role::Daemon, &options).unwrap();
        // Removing is a thread's; a store that is closed before leaves it to the next start.
        let late = Instant::now() + Duration::from_secs(30);
        while numbers() != left && Instant::now() < late {
            thread::sleep(Duration::from_millis(5));
        }
        block_on(recorder.close()).unwrap();
    };
    let tagged = Retention { tagged: vec![("pci".to_owned(), Duration::from_secs(1 << 30))], ..Retention::default() };
    reopen(&tagged, &[1, 2, 3, 4]);
    assert_eq!(numbers(), [1, 2, 3, 4], "nothing is removed that nobody asked to");
    reopen(&keep_none, &[2, 3, 4]);
    assert_eq!(numbers(), [2, 3, 4], "the hold keeps the second, and the log whole from there on");
    let report = check(dir.path(), None);
    assert_eq!((report.findings.as_slice(), report.pruned), (&[][..], 1));
    prove_the_last(dir.path());
    set_hold(dir.path(), 2, None).unwrap();
    reopen(&keep_none, &[4]);
    assert_eq!(numbers(), [4], "what is written to stays");
    let report = check(dir.path(), None);
    assert_eq!((report.findings.as_slice(), report.pruned), (&[][..], 3));
    let old = Head { size: 1, root: Frontier::new().root() };
    let report = check(dir.path(), Some(&old));
    assert!(report.is_whole() && !report.compared, "nothing that old is there to be compared");
    prove_the_last(dir.path());

    // A stub that was changed stands for nothing.
    let stub = file::stub(&directory, 3);
    let text = fs::read_to_string(&stub).unwrap();
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&stub, text.replacen('0', "1", 1)).unwrap();
    assert_eq!(check(dir.path(), None).findings.first().unwrap().damage, Damage::MissingSegment);
}

#[test]
fn a_tag_keeps_a_segment_longer() {
    let dir = tempfile::tempdir().unwrap();
    let directory = file::directory(dir.path());
    let options = Options { segment_size: 1, ..Options::default() };
    let recorder = Recorder::open_as(dir.path(), Role::Daemon, &options).unwrap();
    block_on(async {
        let extra = SessionExtra { tags: Some("eu pci".to_owned()), ..SessionExtra::default() };
        let tagged = SessionStart { extra, ..start(&identity(1), "10.0.0.5:5432", 7) };
        let session = recorder.begin(tagged).await.unwrap();
        recorder.end(session, end(Outcome::Completed)).await.unwrap();
        recorder.flush().await.unwrap();
        recorder.close().await.unwrap();
    });
    let reopen = |tag: &str| {
        let year = Duration::from_secs(365 * 86_400);
        let retention = Retention { age: None, size: Some(1), tagged: vec![(tag.to_owned(), year)] };
        let options = Options { retention, segment_size: 1, ..Options::default() };
        let recorder = Recorder::open_as(dir.path(), Role::Daemon, &options).unwrap();
        block_on(async {
            let session = recorder.begin(start(&identity(2), "10.0.0.5:5432", 7)).await.unwrap();
            recorder.end(session, end(Outcome::Completed)).await.unwrap();
            recorder.flush().await.unwrap();
            recorder.close().await.unwrap();
        });
        file::segments(&directory).unwrap().first().unwrap().number
    };
    assert_eq!(reopen("pci"), 1);
    assert!(reopen("other") > 1);
}
