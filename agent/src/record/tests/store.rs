//! Files, layouts and look-ups: what is refused, with what advice, and what is found.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;

use super::{at, block_on, end, identity, segment, start};
use crate::record::read::{Followed, Tail};
use crate::record::{
    Decision, EventKind, EventRecord, Filter, Outcome, RecordError, Recorder, SessionId, Store, StoreError, file,
    schema,
};

/// A store with three sessions, in seconds 1, 2 and 3, and one event.
fn filled(dir: &Path) -> Vec<SessionId> {
    block_on(async {
        let recorder = Recorder::open(dir).unwrap();
        let mut ids = vec![];
        for (n, destination) in [(1, "10.0.0.5:5432"), (2, "[2001:db8::5]:443"), (3, "10.0.0.50:22")] {
            let mut start = start(&identity(n), destination, n);
            if n == 3 {
                start.decision = Decision::WouldDeny;
            }
            ids.push(recorder.begin(start).await.unwrap());
        }
        recorder.end(ids[0], end(Outcome::Completed)).await.unwrap();
        recorder.end(ids[1], end(Outcome::Denied)).await.unwrap();
        let event = EventRecord {
            identity: Some(identity(1)),
            decision: Some(Decision::Deny),
            destination: Some("10.0.0.5:53".parse().unwrap()),
            count: 4,
            last: at(6),
            ..EventRecord::new(EventKind::Refused, at(5))
        };
        recorder.event(event).await.unwrap();
        recorder.flush().await.unwrap();
        ids
    })
}

#[test]
fn filters_find_what_fits_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let ids = filled(dir.path());
    let store = Store::open_read_only(dir.path()).unwrap();
    let text = |text: &str| Some(text.to_owned());
    let all = Filter::default;
    for (filter, expected) in [
        (all(), &[2, 1, 0][..]),
        (Filter { limit: Some(2), ..all() }, &[2, 1]),
        (Filter { since_ns: Some(at(2).wall_ns), ..all() }, &[2, 1]),
        (Filter { until_ns: Some(at(2).wall_ns), ..all() }, &[0]),
        (Filter { unit: text("app-2.service"), ..all() }, &[1]),
        (Filter { user: text("user3"), ..all() }, &[2]),
        (Filter { user: text("ada"), ..all() }, &[2, 1, 0]),
        (Filter { user: text("1001"), ..all() }, &[0]),
        (Filter { user: text("500"), limit: Some(1), ..all() }, &[2]),
        (Filter { target: text("10.0.0.5:"), ..all() }, &[0]),
        (Filter { target: text("10.0.0.5"), ..all() }, &[2, 0]),
        (Filter { target: text("[2001:db8::5]:443"), ..all() }, &[1]),
        (Filter { target: text("%"), ..all() }, &[]),
        (Filter { outcome: Some(Outcome::Completed), ..all() }, &[0]),
        (Filter { outcome: Some(Outcome::Failed), ..all() }, &[]),
    ] {
        let found: Vec<SessionId> = store.list(&filter).unwrap().iter().map(|row| row.id).collect();
        let expected: Vec<SessionId> = expected.iter().map(|n| ids[*n]).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    for (filter, expected) in [
        (all(), 1),
        (Filter { since_ns: Some(at(6).wall_ns), ..all() }, 1),
        (Filter { since_ns: Some(at(7).wall_ns), ..all() }, 0),
        (Filter { until_ns: Some(at(5).wall_ns), ..all() }, 0),
        (Filter { unit: text("app-1.service"), target: text(":53"), ..all() }, 1),
    ] {
        assert_eq!(store.events(&filter).unwrap().len(), expected, "{filter:?}");
    }
}

#[test]
fn an_id_may_be_shortened_while_it_is_clear() {
    let dir = tempfile::tempdir().unwrap();
    let ids = filled(dir.path());
    let store = Store::open_read_only(dir.path()).unwrap();
    let whole = ids[1].to_string();
    assert_eq!(store.show(&whole).unwrap().session.id, ids[1]);
    assert_eq!(store.show(&whole.to_uppercase()[..35]).unwrap().session.id, ids[1]);
    assert!(matches!(store.show(&whole[..8]), Err(StoreError::Ambiguous { .. })));
    assert!(matches!(store.show("ffffffff"), Err(StoreError::NoSession { .. })));
    for not_an_id in ["", "-", "xyz", "0189%", &format!("{whole}0")] {
        assert!(matches!(store.show(not_an_id), Err(StoreError::NotAnId { .. })), "{not_an_id}");
    }
}

#[test]
fn the_views_are_what_auditors_were_promised() {
    let dir = tempfile::tempdir().unwrap();
    let ids = filled(dir.path());
    let conn = Connection::open(segment(dir.path())).unwrap();
    let columns = |view: &str| {
        let statement = conn.prepare(&format!("SELECT * FROM {view}")).unwrap();
        statement.column_names().join(" ")
    };
    assert_eq!(
        columns("sessions"),
        "id started ended scope workload decision outcome detail protocol client_addr client_port dest_addr dest_port \
         netns bytes_out bytes_in pid process_started_boot_ns exe exe_on_host exe_sha256 argv uid gid user login_uid \
         login_session login_user unit user_unit slice container cgroup cgroup_id parents attestation started_ns \
         started_boot_ns ended_ns ended_boot_ns person target tls policies tags continues seq"
    );
    assert_eq!(
        columns("decisions"),
        "time time_ns source source_id action decision scope workload dest_addr dest_port count reason policies person target"
    );
    assert_eq!(
        columns("statements"),
        "session_id sequence time time_ns protocol kind statement decision rows error duration_ms policies facts detail \
         bytes_out bytes_in masked masks status approval_id boot_ns workload person scope target dest_addr dest_port \
         session seq parameters"
    );
    assert_eq!(
        columns("approvals"),
        "id session_id requested requested_ns requester approver decided decided_ns decision reason sequence digest request \
         grant_data"
    );
    let mut statement = conn.prepare("SELECT source_id, decision, time FROM decisions ORDER BY time_ns").unwrap();
    let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?])).unwrap();
    let decisions: Vec<[String; 3]> = rows.map(Result::unwrap).collect();
    let [first, second, third] = [0, 1, 2].map(|n| ids[n].to_string());
    let expected = [
        [first.as_str(), "allow", "1970-01-01T00:00:01.000Z"],
        [second.as_str(), "deny", "1970-01-01T00:00:02.000Z"],
        [third.as_str(), "would-deny", "1970-01-01T00:00:03.000Z"],
        ["11", "deny", "1970-01-01T00:00:05.000Z"],
    ];
    assert_eq!(decisions, expected);
}

#[test]
fn files_are_readable_by_the_group_only() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(dir.path()).unwrap();
    block_on(recorder.begin(start(&identity(1), "10.0.0.5:5432", 7))).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&dir.path().join("sessions")), 0o750);
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("{}{suffix}", segment(dir.path()).display());
        assert_eq!(mode(Path::new(&name)), 0o640, "{name}");
    }
}

#[test]
fn what_is_no_store_is_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = file::directory(dir.path());
    assert!(matches!(Store::open_read_only(dir.path()), Err(StoreError::Missing { .. })));
    fs::write(&sessions, "").unwrap();
    assert!(matches!(Recorder::open(dir.path()), Err(RecordError::File { .. })));
    fs::remove_file(&sessions).unwrap();
    fs::create_dir(&sessions).unwrap();

    fs::write(segment(dir.path()), "not SQLite at all, and long enough to be looked at".repeat(100)).unwrap();
    let read = Store::open_read_only(dir.path());
    assert!(matches!(read, Err(StoreError::Segment(RecordError::Corrupt { .. }))));

    fs::remove_file(segment(dir.path())).unwrap();
    Connection::open(segment(dir.path())).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    assert!(matches!(Recorder::open(dir.path()), Err(RecordError::Foreign { .. })));
    let read = Store::open_read_only(dir.path());
    assert!(matches!(read, Err(StoreError::Segment(RecordError::Foreign { .. }))));
}

#[test]
fn a_damaged_segment_is_kept_as_evidence_and_recording_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = damaged(dir.path());
    let recorder = Recorder::open(dir.path()).unwrap();
    block_on(recorder.begin(start(&identity(1), "10.0.0.6:5432", 8))).unwrap();
    let store = Store::open_read_only(dir.path()).unwrap();
    assert_eq!(store.list(&Filter::default()).unwrap().len(), 1);
    let events = store.events(&Filter::default()).unwrap();
    let detail = events[0].detail.as_deref().unwrap();
    assert_eq!(events[0].kind, "store-damaged");
    let entries = fs::read_dir(dir.path().join("sessions")).unwrap();
    let aside = entries.map(|entry| entry.unwrap().path()).find(|path| detail.contains(path.to_str().unwrap()));
    assert_eq!(fs::read(aside.unwrap()).unwrap(), bytes, "as it was found");
}

/// A store with one session whose segment is damaged; it was closed in order, so that no page is found in the log instead.
fn damaged(dir: &Path) -> Vec<u8> {
    block_on(async {
        let recorder = Recorder::open(dir).unwrap();
        recorder.begin(start(&identity(1), "10.0.0.5:5432", 7)).await.unwrap();
        recorder.close().await.unwrap();
    });
    let mut bytes = fs::read(segment(dir)).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(segment(dir), &bytes).unwrap();
    bytes
}

fn first_of(dir: &Path, number: u64) -> (i64, Option<String>) {
    let conn = file::connect_read_only(&file::live(&file::directory(dir), number)).unwrap();
    let event = "SELECT seq, (SELECT detail FROM event WHERE kind = 'store-damaged') FROM segment";
    conn.query_row(event, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[test]
fn who_is_killed_after_a_segment_was_set_aside_leaves_a_log_that_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    damaged(dir.path());
    let size = i64::try_from(super::super::damage::last_known(&file::directory(dir.path())).size()).unwrap();
    assert!(size > 0);
    super::super::damage::set_aside(&segment(dir.path())).unwrap();
    block_on(Recorder::open(dir.path()).unwrap().close()).unwrap();
    let (first, event) = first_of(dir.path(), 2);
    assert_eq!(first, size, "no number is given twice");
    assert!(event.unwrap().contains("not there any more"));
    block_on(Recorder::open(dir.path()).unwrap().close()).unwrap();
}

#[test]
fn a_damaged_segment_that_a_daemon_writes_is_left_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = damaged(dir.path());
    let daemon = file::lock_for_daemon(&file::directory(dir.path())).unwrap();
    assert!(matches!(Recorder::open(dir.path()), Err(RecordError::Corrupt { .. })));
    assert_eq!(fs::read(segment(dir.path())).unwrap(), bytes);
    drop(daemon);
    block_on(Recorder::open(dir.path()).unwrap().close()).unwrap();
    assert!(!segment(dir.path()).exists());
}

#[test]
fn who_follows_sees_what_is_recorded_after_a_damaged_segment() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let recorder = Recorder::open(dir.path()).unwrap();
        for n in 0..9 {
            recorder.begin(start(&identity(n), "10.0.0.5:5432", 7)).await.unwrap();
        }
        recorder.close().await.unwrap();
    });
    let store = Store::open_read_only(dir.path()).unwrap();
    let mut tail = Tail::new(store, Filter::default()).unwrap();
    // As after a damaged segment: the log goes on from a checkpoint, which is some records back.
    super::super::damage::set_aside(&segment(dir.path())).unwrap();
    fs::remove_file(file::directory(dir.path()).join("frontier")).unwrap();
    let recorder = Recorder::open(dir.path()).unwrap();
    block_on(recorder.begin(start(&identity(9), "10.0.0.9:22", 9))).unwrap();
    let mut found = vec![];
    for _ in 0..4 {
        found.extend(tail.poll().unwrap().0);
    }
    let began = found.iter().filter(|one| matches!(one, Followed::Began(_))).count();
    assert_eq!(began, 1, "{found:?}");
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let conn = Connection::open(segment(dir.path())).unwrap();
    conn.pragma_update(None, "user_version", schema::known() + 1).unwrap();
    assert!(matches!(Recorder::open(dir.path()), Err(RecordError::TooNew { .. })));
    let read = Store::open_read_only(dir.path());
    assert!(matches!(read, Err(StoreError::Segment(RecordError::TooNew { .. }))));
}

#[test]
fn a_store_of_the_first_version_is_brought_forward_with_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let mut conn = file::prepare_directory(&file::directory(dir.path()))
        .and_then(|()| file::prepare(&segment(dir.path())))
        .and_then(|()| file::connect(&segment(dir.path())))
        .unwrap();
    let first = &schema::STEPS[..1];
    schema::migrate(&mut conn, &segment(dir.path()), first).unwrap();
    conn.execute_batch(
        "INSERT INTO writer (seq, mark, boot, pid, pid_namespace, start_ticks, role, version, opened_ns)
         VALUES (0, 0, 'another boot', 1, '', 1, 'daemon', '0', 0)",
    )
    .unwrap();
    let mut later = schema::STEPS.to_vec();
    later.push("ALTER TABLE writer ADD COLUMN note TEXT".to_owned());
    schema::migrate(&mut conn, &segment(dir.path()), &later).unwrap();
    // Once is enough.
    schema::migrate(&mut conn, &segment(dir.path()), &later).unwrap();
    let note: Option<String> = conn.query_row("SELECT note FROM writer WHERE pid = 1", [], |row| row.get(0)).unwrap();
    assert_eq!(note, None);
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, schema::known() + 1);
    conn.prepare("SELECT * FROM decisions").unwrap();
}

#[test]
fn a_step_that_fails_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let mut conn = file::connect(&segment(dir.path())).unwrap();
    let mut broken = schema::STEPS.to_vec();
    broken.push("CREATE TABLE half (x); CREATE TABLE session (x);".to_owned());
    assert!(matches!(schema::migrate(&mut conn, &segment(dir.path()), &broken), Err(RecordError::Sqlite { .. })));
    assert!(conn.prepare("SELECT * FROM half").is_err());
    block_on(Recorder::open(dir.path()).unwrap().close()).unwrap();
}

#[test]
fn a_full_disk_is_named_as_such() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let conn = file::connect(&segment(dir.path())).unwrap();
    let pages: i64 = conn.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    let full = conn.execute(
        "INSERT INTO event (seq, mark, writer, kind, count, first_ns, first_boot_ns, last_ns, last_boot_ns, detail)
        VALUES (1000, 0, 1, 'x', 1, 0, 0, 0, 0, hex(zeroblob(1000000)))",
        [],
    );
    let error = RecordError::sqlite("write a record", &segment(dir.path()), full.unwrap_err());
    assert!(matches!(error, RecordError::Full { .. }));
    assert!(error.to_string().contains("no space left"));
}
