//! Several segments with a session that lives through them, read whole and while they are written.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::record::tests::{at, end};
pub(crate) use crate::record::tests::{block_on, identity, start};
use crate::record::{
    ApprovalRecord, ApprovalState, Decision, Direction, Durability, EventKind, EventRecord, Options, Outcome,
    PayloadLimits, Recorder, RequestRecord, ResponseRecord, Role, SessionId, Status, StoreError,
};

/// One to rotate by: every look finds the segment old enough.
fn options(age: Duration) -> Options {
    Options { segment_age: age, payload: PayloadLimits { event: 1024, session: 4096 }, ..Options::default() }
}

pub(crate) fn request(session: SessionId, n: u64, statement: &str, decision: Decision) -> RequestRecord {
    RequestRecord {
        session,
        n,
        at: at(10 + u32::try_from(n).unwrap()),
        kind: statement.split(' ').next().unwrap().into(),
        statement: Some(statement.into()),
        parameters: None,
        decision,
        policies: Some(r#"["p1"]"#.into()),
        facts: Some(r#"{"reads":[{"database":"shop","schema":"public","table":"orders"}],"writes":[]}"#.into()),
        bytes: Some(20),
        detail: (decision == Decision::Deny).then(|| "not yours".into()),
        approval: (decision == Decision::Held).then_some([9; 16]),
    }
}

fn response(session: SessionId, n: u64, masked: u64) -> ResponseRecord {
    ResponseRecord {
        session,
        n,
        at: at(11 + u32::try_from(n).unwrap()),
        status: Status::Done,
        rows: Some(3),
        bytes: Some(100),
        masked,
        masks: (masked > 0).then(|| r#"{"email":"hash"}"#.into()),
        error: None,
    }
}

fn approval(session: Option<SessionId>, state: ApprovalState) -> ApprovalRecord {
    ApprovalRecord {
        id: [9; 16],
        session,
        n: Some(2),
        state,
        digest: [1; 32],
        at: at(20),
        by: (state == ApprovalState::Approved).then(|| "grace".to_owned()),
        reason: None,
        data: Some(r#"{"asked":true}"#.to_owned()),
    }
}

/// Waits until the store has so many segments.
async fn grown_to(state: &Path, recorder: &Recorder, segments: usize) {
    let directory = crate::record::file::directory(state);
    for _ in 0..400 {
        if crate::record::file::segments(&directory).unwrap().len() >= segments {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        recorder.event(EventRecord::new(EventKind::Lost, at(1))).await.unwrap();
    }
    panic!("the segment was not changed");
}

/// Two sessions in two segments: the first was begun in one and ended in the other.
struct Written {
    dir: tempfile::TempDir,
    long: SessionId,
    short: SessionId,
}

fn written() -> Written {
    let dir = tempfile::tempdir().unwrap();
    let (long, short) = block_on(async {
        let recorder = Recorder::open_as(dir.path(), Role::Daemon, &options(Duration::from_millis(1))).unwrap();
        let who = identity(1);
        let mut first = start(&who, "10.0.0.5:5432", 5);
        first.extra.person = Some("ada@example.org".to_owned());
        first.extra.target = Some("pg-main".to_owned());
        let long = recorder.begin(first).await.unwrap();
        let tap = recorder.tap(long).unwrap();
        tap.pass(Direction::Out, 0, Some(0), b"SELECT 1".to_vec()).await.unwrap();
        recorder
            .request(request(long, 0, "select name from orders", Decision::Allow), Durability::Batched)
            .await
            .unwrap();
        recorder.response(response(long, 0, 0)).await.unwrap();
        recorder.request(request(long, 1, "delete from orders", Decision::Deny), Durability::Batched).await.unwrap();
        recorder.approval(approval(Some(long), ApprovalState::Pending)).await.unwrap();
        recorder
            .request(request(long, 2, "update orders set x", Decision::Held), Durability::BeforeForward)
            .await
            .unwrap();
        grown_to(dir.path(), &recorder, 2).await;
        recorder.approval(approval(Some(long), ApprovalState::Approved)).await.unwrap();
        recorder.response(response(long, 2, 4)).await.unwrap();
        recorder
            .request(request(long, 3, "select email from customers", Decision::Allow), Durability::Batched)
            .await
            .unwrap();
        tap.pass(Direction::In, 0, Some(3), vec![b'x'; 2000]).await.unwrap();
        let short = recorder.begin(start(&identity(2), "[2001:db8::1]:443", 30)).await.unwrap();
        for second in 1..5 {
            recorder.event(EventRecord::new(EventKind::Lost, at(second))).await.unwrap();
        }
        recorder.end(short, end(Outcome::Denied)).await.unwrap();
        recorder.end(long, end(Outcome::Completed)).await.unwrap();
        recorder.close().await.unwrap();
        (long, short)
    });
    Written { dir, long, short }
}

impl Written {
    fn store(&self) -> Store {
        Store::open_read_only(self.dir.path()).unwrap()
    }

    fn ids(&self, filter: &Filter) -> Vec<SessionId> {
        let page = self.store().list_page(filter, None, 10).unwrap();
        assert!(!page.more);
        page.rows.iter().map(|row| row.id).collect()
    }
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn a_session_in_two_segments_is_one() {
    let written = written();
    let (store, long, short) = (written.store(), written.long, written.short);
    assert!(store.oldest_first().count() >= 2);
    let page = store.list_page(&Filter::default(), None, 10).unwrap();
    assert_eq!(page.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [short, long]);
    assert_eq!(page.rows[1].outcome, "completed");
    let session = store.session(&long.to_string()[..23]).unwrap();
    assert_eq!(session.detail.session, page.rows[1]);
    assert!(session.detail.ended_boot_ns.is_some());
    let statements = store.statements(&session, 0, 10).unwrap();
    let told: Vec<_> =
        statements.rows.iter().map(|row| (row.sequence, row.decision.as_str(), row.rows, row.masked)).collect();
    assert_eq!(told, [(0, "allow", Some(3), 0), (1, "deny", None, 0), (2, "held", Some(3), 4), (3, "allow", None, 0)]);
    assert_eq!(statements.rows[2].duration_ns, Some(1_000_000_000));
    assert_eq!(store.count_statements(&session).unwrap(), 4);
    let part = store.statements(&session, 1, 2).unwrap();
    assert_eq!((part.rows.iter().map(|row| row.sequence).collect::<Vec<_>>(), part.more), (vec![1, 2], true));
    let approvals = store.approvals_in(&session).unwrap();
    assert_eq!(approvals.len(), 1);
    assert_eq!((approvals[0].state.as_str(), approvals[0].by.as_deref()), ("approved", Some("grace")));
    assert!(matches!(store.show("ffffffff"), Err(StoreError::NoSession { .. })));
    assert!(matches!(store.show("x"), Err(StoreError::NotAnId { .. })));
}

#[test]
fn filters_see_the_whole_session() {
    let written = written();
    let (long, short) = (vec![written.long], vec![written.short]);
    let all = vec![written.short, written.long];
    for (filter, expected) in [
        (Filter::default(), &all),
        (Filter { workload: text("unit/app-1"), ..Filter::default() }, &long),
        (Filter { unit: text("app-2.service"), ..Filter::default() }, &short),
        (Filter { user: text("user1"), ..Filter::default() }, &long),
        (Filter { user: text("1002"), ..Filter::default() }, &short),
        (Filter { user: text("ada"), ..Filter::default() }, &all),
        (Filter { person: text("ada@"), ..Filter::default() }, &long),
        (Filter { target: text("pg-"), ..Filter::default() }, &long),
        (Filter { target: text(":443"), ..Filter::default() }, &short),
        (Filter { target: text("[2001:db8::1]:443"), ..Filter::default() }, &short),
        (Filter { since_ns: Some(30_000_000_000), ..Filter::default() }, &short),
        (Filter { until_ns: Some(30_000_000_000), ..Filter::default() }, &long),
        (Filter { decision: Some(Decision::Deny), ..Filter::default() }, &all),
        (Filter { decision: Some(Decision::Held), ..Filter::default() }, &long),
        (Filter { decision: Some(Decision::WouldDeny), ..Filter::default() }, &vec![]),
        (Filter { masked: true, ..Filter::default() }, &long),
        (Filter { approval: Some(ApprovalState::Approved), ..Filter::default() }, &long),
        (Filter { approval: Some(ApprovalState::Pending), ..Filter::default() }, &vec![]),
        (Filter { outcome: Some(Outcome::Completed), ..Filter::default() }, &long),
        (Filter { outcome: Some(Outcome::Denied), ..Filter::default() }, &short),
        (Filter { open: true, ..Filter::default() }, &vec![]),
    ] {
        assert_eq!(written.ids(&filter), *expected, "{filter:?}");
    }
}

#[test]
fn pages_follow_each_other() {
    let written = written();
    let store = written.store();
    let first = store.list_page(&Filter::default(), None, 1).unwrap();
    assert!(first.more);
    let id = first.rows[0].id.to_string();
    let second = store.list_page(&Filter::default(), Some(&id), 1).unwrap();
    assert_eq!((second.rows[0].id, second.rows[0].outcome.as_str(), second.more), (written.long, "completed", false));
    let mut events = Vec::new();
    let mut after = None;
    loop {
        let page = store.events_page(&Filter::default(), after, 2).unwrap();
        after = page.rows.last().map(|row| row.id);
        events.extend(page.rows.into_iter().map(|row| row.id));
        if !page.more {
            break;
        }
    }
    assert!(events.is_sorted_by(|a, b| a > b) && !events.is_empty());
}

#[test]
fn statements_are_found_by_their_words() {
    let written = written();
    let store = written.store();
    let found = |words: Words, filter: &Filter| {
        let page = store.search(&words, filter, None, 10).unwrap();
        page.rows.into_iter().map(|row| row.sequence).collect::<Vec<_>>()
    };
    let plain = |words: &str| found(Words::plain(words).unwrap(), &Filter::default());
    assert_eq!(plain("orders"), [2, 1, 0]);
    assert_eq!(plain("ORDERS select"), [0]);
    assert_eq!(plain("\"from orders\""), [1, 0]);
    assert_eq!(plain("cust*"), [3]);
    assert_eq!(plain("public"), [0; 0], "facts are not statements");
    assert_eq!(plain("from OR nothing"), [0; 0]);
    assert_eq!(found(Words::raw("email OR name"), &Filter::default()), [3, 0]);
    let denied = Filter { decision: Some(Decision::Deny), ..Filter::default() };
    assert_eq!(found(Words::plain("orders").unwrap(), &denied), [1]);
    let row = &store.search(&Words::plain("orders").unwrap(), &Filter::default(), None, 1).unwrap().rows[0];
    let snippet = store.snippet(&Words::plain("orders").unwrap(), row, ['<', '>']).unwrap();
    assert_eq!((snippet.as_deref(), row.rows), (Some("update <orders> set x"), Some(3)));
    for broken in ["\"", "a AND", "NEAR(", "nosuch:x", "^"] {
        let refused = store.search(&Words::raw(broken), &Filter::default(), None, 1);
        assert!(matches!(refused, Err(StoreError::NotAQuery { .. })), "{broken}: {refused:?}");
    }
}

#[test]
fn payload_comes_back_in_order_and_says_what_is_missing() {
    let written = written();
    let store = written.store();
    let session = store.session(&written.long.to_string()).unwrap();
    let keys = PayloadKeys::default();
    let pieces: Vec<_> = store.payloads(&session, &keys).map(Result::unwrap).collect();
    assert_eq!(pieces.len(), 2);
    assert_eq!(pieces[0].bytes, Bytes::Plain(b"SELECT 1".to_vec()));
    assert_eq!(pieces[1].bytes, Bytes::Plain(vec![b'x'; 1024]));
    assert_eq!((pieces[0].full_length, pieces[1].full_length), (None, Some(2000)));
}

#[test]
fn an_access_review_adds_up() {
    let written = written();
    let review = written.store().access_review(0, i64::MAX, &["default".to_owned(), "idle".to_owned()]).unwrap();
    assert_eq!(review.unseen_scopes, ["idle"]);
    let one = review.identities.iter().find(|one| one.identity.person.is_some()).unwrap();
    assert_eq!(one.targets.len(), 1);
    assert_eq!((one.targets[0].sessions, one.targets[0].bytes_out), (1, 10));
    assert!(one.statements.iter().any(|used| used.table.as_deref() == Some("public.orders")));
    assert_eq!(one.denials.len(), 1);
    assert_eq!((one.denials[0].what.as_str(), one.denials[0].reason.as_deref()), ("delete", Some("not yours")));
    assert_eq!(one.masked[0].values, 4);
    assert_eq!((one.approvals.len(), one.approvals[0].used), (1, 0));
    assert_eq!(review.unused_grants.len(), 1, "what was only held did not run");
    let other = review.identities.iter().find(|one| one.identity.unit.as_deref() == Some("app-2.service")).unwrap();
    assert_eq!((other.targets.len(), other.denials.len()), (0, 1));
    let earlier = written.store().access_review(0, 4_000_000_000, &[]).unwrap();
    assert!(earlier.identities.iter().all(|one| one.targets.is_empty()));
}

#[test]
fn a_reader_follows_a_writer_through_segments() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let recorder = Recorder::open_as(dir.path(), Role::Daemon, &options(Duration::from_millis(1))).unwrap();
        let before = recorder.begin(start(&identity(1), "10.0.0.5:1", 1)).await.unwrap();
        recorder.flush().await.unwrap();
        let mut tail = Tail::new(Store::open_read_only(dir.path()).unwrap(), Filter::default()).unwrap();
        let mut seen: Vec<String> = Vec::new();
        let mut began = Vec::new();
        for n in 0..20_u64 {
            let id = recorder.begin(start(&identity(1), "10.0.0.5:2", 2)).await.unwrap();
            began.push(id.to_string());
            recorder.request(request(before, n, "select 1", Decision::Allow), Durability::BeforeForward).await.unwrap();
            recorder.response(response(before, n, 0)).await.unwrap();
            recorder.end(id, end(Outcome::Completed)).await.unwrap();
            if n == 3 {
                for state in [ApprovalState::Pending, ApprovalState::Denied] {
                    recorder.approval(approval(Some(before), state)).await.unwrap();
                }
            }
            grown_to(dir.path(), &recorder, 1 + usize::try_from(n / 7).unwrap()).await;
            take(&mut tail, &mut seen);
        }
        recorder.close().await.unwrap();
        take(&mut tail, &mut seen);
        for id in &began {
            assert_eq!(seen.iter().filter(|line| **line == format!("began {id}")).count(), 1, "{seen:#?}");
            assert_eq!(seen.iter().filter(|line| **line == format!("ended {id}")).count(), 1, "{seen:#?}");
        }
        let statements: Vec<_> = seen.iter().filter(|line| line.starts_with("statement")).cloned().collect();
        assert_eq!(statements, (0..20).map(|n| format!("statement {n}")).collect::<Vec<_>>());
        let approvals: Vec<_> = seen.iter().filter(|line| line.starts_with("approval")).cloned().collect();
        assert_eq!(approvals, ["approval pending", "approval denied"]);
        assert!(!seen.contains(&format!("began {before}")));
        let whole = Store::open_read_only(dir.path()).unwrap();
        assert!(whole.oldest_first().count() >= 3);
        assert_eq!(whole.list(&Filter::default()).unwrap().len(), 21);
    });
}

fn take(tail: &mut Tail, seen: &mut Vec<String>) {
    loop {
        let (found, more) = tail.poll().unwrap();
        seen.extend(found.into_iter().filter_map(|followed| match followed {
            Followed::Began(row) => Some(format!("began {}", row.id)),
            Followed::Ended(row) => Some(format!("ended {}", row.id)),
            Followed::Statement(row) => Some(format!("statement {}", row.sequence)),
            Followed::Approval(row) => Some(format!("approval {}", row.state)),
            Followed::Response(_) | Followed::Event(_) => None,
        }));
        if !more {
            break;
        }
    }
}
