//! What is recorded is what is read.

use std::sync::Arc;

use proptest::prelude::*;
use sallyport_ebpf as abi;

use super::{at, block_on, end, identity, start};
use crate::record::{
    Decision, EventKind, EventRecord, Filter, Outcome, RecordError, Recorder, SessionId, SessionRow, Store, hook_name,
};

#[test]
fn a_session_is_shown_with_every_fact() {
    let dir = tempfile::tempdir().unwrap();
    let id = block_on(async {
        let recorder = Recorder::open(dir.path()).unwrap();
        let id = recorder.begin(start(&identity(1), "[2001:db8::5]:5432", 7)).await.unwrap();
        recorder.end(id, end(Outcome::UpstreamReset)).await.unwrap();
        // The first end stands.
        recorder.end(id, end(Outcome::Completed)).await.unwrap();
        recorder.close().await.unwrap();
        id
    });
    let shown = Store::open_read_only(dir.path()).unwrap().show(&id.to_string()).unwrap();
    let json = serde_json::to_value(&shown).unwrap();
    let expected = r#"{
        "id": "ID", "started_ns": 7000000000, "ended_ns": 99000000000, "scope": "default",
        "workload": "spiffe://example.org/host/h1/unit/app-1.service", "decision": "allow",
        "outcome": "upstream-reset", "detail": "why", "protocol": "tcp",
        "client_addr": "10.0.0.1", "client_port": 40000, "dest_addr": "2001:db8::5", "dest_port": 5432,
        "bytes_out": 10, "bytes_in": 18446744073709551615, "pid": 4001, "exe": "/usr/bin/app", "uid": 1001,
        "user": "user1", "login_user": "ada", "login_uid": 500, "unit": "app-1.service", "container": null,
        "netns": 18446744073709551615, "started_boot_ns": 7000000001, "ended_boot_ns": 99000000001,
        "process_started_boot_ns": 123456790, "exe_sha256": "SHA256", "exe_on_host": true,
        "argv": ["app", "--token=***"], "gid": 100, "login_session": 7, "user_unit": null, "slice": "system.slice",
        "cgroup": "/system.slice/app-1.service", "cgroup_id": 18446744073709551613,
        "parents": [{ "pid": 1, "started": 5, "exe": "/sbin/init" }], "attestation": "live",
        "person": null, "target": null, "tls": null, "policies": null, "tags": null
    }"#;
    let expected = expected.replace("\"ID\"", &format!("\"{id}\"")).replace("SHA256", &"ab".repeat(32));
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    assert_eq!(json, expected);
}

#[test]
fn mapped_addresses_are_written_as_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let recorder = Recorder::open(dir.path()).unwrap();
        recorder.begin(start(&identity(1), "[::ffff:10.1.2.3]:53", 7)).await.unwrap();
    });
    let store = Store::open_read_only(dir.path()).unwrap();
    assert_eq!(store.list(&Filter::default()).unwrap().first().unwrap().dest_addr, "10.1.2.3");
}

#[test]
fn one_that_cannot_be_recorded_does_not_take_the_others_with_it() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let recorder = Recorder::open(dir.path()).unwrap();
        super::super::file::connect(&super::segment(dir.path()))
            .unwrap()
            .execute_batch(
                "CREATE TRIGGER t BEFORE INSERT ON session WHEN new.scope = 'bad' BEGIN SELECT raise(ABORT, 'no'); END",
            )
            .unwrap();
        // Each the first of its process, so that its caller waits for the commit.
        let scoped = |scope: &str| {
            let mut start = start(&identity(scope.len() as u32 + u32::from(scope == "b")), "10.0.0.5:5432", 7);
            start.scope = Some(scope.to_owned());
            recorder.begin(start)
        };
        let (first, bad, last) = tokio::join!(scoped("a"), scoped("bad"), scoped("b"));
        assert!(first.is_ok() && last.is_ok());
        assert!(matches!(bad, Err(RecordError::Sqlite { .. })));
        recorder.close().await.unwrap();
    });
    assert_eq!(Store::open_read_only(dir.path()).unwrap().list(&Filter::default()).unwrap().len(), 2);
}

#[test]
fn a_begin_that_is_given_up_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let recorder = Recorder::open(dir.path()).unwrap();
        {
            // As long as somebody else writes, it cannot be done at once.
            let other = super::super::file::connect(&super::segment(dir.path())).unwrap();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            let mut begin = std::pin::pin!(recorder.begin(start(&identity(1), "10.0.0.5:5432", 7)));
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(begin.as_mut().poll(cx).is_pending())).await;
            assert!(polled);
        }
        recorder.close().await.unwrap();
    });
    let sessions = Store::open_read_only(dir.path()).unwrap().list(&Filter::default()).unwrap();
    assert_eq!(sessions.iter().map(|s| s.outcome.as_str()).collect::<Vec<_>>(), ["failed"]);
}

#[test]
fn after_the_close_nothing_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let recorder = Recorder::open(dir.path()).unwrap();
        let open = recorder.begin(start(&identity(1), "10.0.0.5:5432", 7)).await.unwrap();
        recorder.clone().close().await.unwrap();
        assert!(matches!(recorder.flush().await, Err(RecordError::Closed)));
        let again = recorder.begin(start(&identity(1), "10.0.0.5:5432", 7)).await;
        assert!(matches!(again, Err(RecordError::Closed)));
        let shown = Store::open_read_only(dir.path()).unwrap().show(&open.to_string()).unwrap();
        assert_eq!(shown.session.outcome, "interrupted");
        let log = super::super::file::log_of(&super::segment(dir.path()));
        assert_eq!(std::fs::metadata(log).unwrap().len(), 0);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Begin {
        who: u32,
        port: u16,
        second: u32,
    },
    /// Ends one of the sessions begun so far.
    End {
        which: prop::sample::Index,
        outcome: Outcome,
    },
    Event {
        who: Option<u32>,
        count: u64,
        second: u32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4u32, any::<u16>(), 0..1000u32).prop_map(|(who, port, second)| Step::Begin { who, port, second }),
        (any::<prop::sample::Index>(), prop::sample::select(&Outcome::ALL[..]))
            .prop_map(|(which, outcome)| Step::End { which, outcome }),
        (prop::option::of(0..4u32), any::<u64>(), 0..1000u32).prop_map(|(who, count, second)| Step::Event {
            who,
            count,
            second
        }),
    ]
}

fn event(who: Option<u32>, count: u64, second: u32) -> EventRecord {
    let task = abi::Task { tgid: 77, uid: 88, cgroup: u64::MAX, ..abi::Task::default() };
    EventRecord {
        hook: Some(abi::Hook::Sendmsg6),
        decision: Some(Decision::WouldDeny),
        identity: who.map(identity),
        task: who.is_none().then_some(task),
        protocol: Some(17),
        destination: Some("[2001:db8::1]:53".parse().unwrap()),
        count,
        last: at(second + 5),
        ..EventRecord::new(EventKind::Refused, at(second))
    }
}

/// What a list has to show of a session: id, pid, port, begin, outcome.
type Shown = (SessionId, u32, u16, i64, String);

fn shown(row: &SessionRow) -> Shown {
    (row.id, row.pid, row.dest_port, row.started_ns, row.outcome.clone())
}

async fn play(recorder: &Recorder, steps: &[Step]) -> (Vec<Shown>, Vec<(Option<u32>, u64, i64)>) {
    let (mut sessions, mut events): (Vec<Shown>, _) = (vec![], vec![]);
    for step in steps {
        match *step {
            Step::Begin { who, port, second } => {
                let begin = start(&identity(who), &format!("10.0.0.5:{port}"), second);
                let id = recorder.begin(begin).await.unwrap();
                sessions.push((id, 4000 + who, port, at(second).wall_ns, "open".to_owned()));
            }
            Step::End { ref which, outcome } if !sessions.is_empty() => {
                let which = which.index(sessions.len());
                let session = &mut sessions[which];
                recorder.end(session.0, end(outcome)).await.unwrap();
                if session.4 == "open" {
                    session.4 = outcome.as_str().to_owned();
                }
            }
            Step::End { .. } => {}
            Step::Event { who, count, second } => {
                recorder.event(event(who, count, second)).await.unwrap();
                events.push((who, count, at(second).wall_ns));
            }
        }
    }
    (sessions, events)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_sequence_is_read_back(steps in proptest::collection::vec(step(), 0..40)) {
        let dir = tempfile::tempdir().unwrap();
        let (recorder, (mut sessions, mut events)) = block_on(async {
            let recorder = Recorder::open(dir.path()).unwrap();
            let expected = play(&recorder, &steps).await;
            recorder.flush().await.unwrap();
            (recorder, expected)
        });
        let store = Store::open_read_only(dir.path()).unwrap();
        let listed: Vec<Shown> = store.list(&Filter::default()).unwrap().iter().map(shown).collect();
        // Newest first: by their start, and alike ones by when they were recorded.
        sessions.sort_by_key(|session| session.3);
        sessions.reverse();
        prop_assert_eq!(listed, sessions);
        let found = store.events(&Filter::default()).unwrap();
        events.reverse();
        prop_assert_eq!(found.len(), events.len());
        for (row, (who, count, first_ns)) in found.iter().zip(events) {
            prop_assert_eq!((row.count, row.first_ns, row.last_ns), (count, first_ns, first_ns + 5_000_000_000));
            prop_assert_eq!(row.pid, Some(who.map_or(77, |who| 4000 + who)));
            prop_assert_eq!(row.cgroup_id, Some(who.map_or(u64::MAX, |_| u64::MAX - 2)));
            prop_assert_eq!(row.hook.as_deref(), Some(hook_name(abi::Hook::Sendmsg6)));
            prop_assert_eq!(row.dest_addr.as_deref(), Some("2001:db8::1"));
        }
        drop(recorder);
    }
}

#[test]
fn equal_processes_share_one_row() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let recorder = Recorder::open(dir.path()).unwrap();
        let shared = identity(1);
        for who in [Arc::clone(&shared), shared, identity(1), identity(2)] {
            recorder.begin(start(&who, "10.0.0.5:5432", 7)).await.unwrap();
        }
        let conn = super::super::file::connect(&super::segment(dir.path())).unwrap();
        let rows: i64 = conn.query_row("SELECT count(*) FROM process", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 2);
    });
}
