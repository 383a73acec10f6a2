//! The docket as a whole: who counts, what is released, when it is over.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::people::tests::approver;
use super::request::tests::{question, statement};
use super::*;
use crate::policy::Approval;

const SECOND: u64 = 1_000_000_000;
const RULES: Rules = Rules { expiry: Duration::from_secs(100), per_identity: 4 };

fn needs(people: u32, groups: &[&str]) -> Arc<Approval> {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    Arc::new(Approval { people, groups, reason: false })
}

fn ask(unit: &str, port: u16, needs: &Arc<Approval>) -> Ask {
    let request = Arc::new(Request::connect(&question(unit, port)));
    Ask { request, needs: Arc::clone(needs), session: Session::Login(1) }
}

fn delete(row: &str) -> Ask {
    let bytes = format!("delete {row}");
    let statement = statement(bytes.as_bytes(), &[], "delete ?");
    Ask { request: Arc::new(Request::execute(&question("a", 1), statement)), ..ask("a", 1, &needs(1, &[])) }
}

fn vote(uid: u32, groups: &[&str]) -> Vote {
    Vote { approver: approver(uid, groups), reason: None }
}

/// Asks, has it announced, and gives its number and the name it waits under.
fn waits(docket: &mut Docket<u32>, ask: &Ask, reply: u32, now: u64) -> (u64, Id) {
    match docket.ask(ask, reply, now).unwrap() {
        docket::Asked::Waits(number, new) => {
            if let Some(id) = new {
                docket.announce(id).unwrap();
            }
            let pending = docket.pending();
            let waits = pending.iter().find(|one| one.request.digest() == ask.request.digest()).unwrap();
            (number, waits.id)
        }
        docket::Asked::Granted(_) => panic!("granted"),
    }
}

/// Approves; what was released, when it was enough.
fn approve(docket: &mut Docket<u32>, id: Id, vote: Vote, extent: Extent, now: u64) -> Option<Vec<(u32, Answer)>> {
    match docket.approve(id, vote, extent, now).unwrap() {
        docket::Heard::Counted(_) => None,
        docket::Heard::Enough(decided) => {
            let (answers, again) = docket.carry_out(*decided);
            if let Some(id) = again {
                docket.announce(id).unwrap();
            }
            Some(answers)
        }
    }
}

fn minutes(minutes: u64) -> Extent {
    Extent::For(Length::new(Duration::from_secs(60 * minutes)).unwrap())
}

#[test]
fn the_requester_never_counts() {
    let mut docket = Docket::new(RULES);
    let (_, id) = waits(&mut docket, &ask("a", 1, &needs(1, &[])), 0, 0);
    // The login uid of the workload is 1000 and its user 500; under sudo the approver's login uid stays 1000.
    for same in [1000, 500] {
        let refused = docket.approve(id, vote(same, &["dba"]), Extent::Once, 1);
        assert!(matches!(refused, Err(Refusal::Requester(_))), "{same}");
    }
    assert!(approve(&mut docket, id, vote(1001, &[]), Extent::Once, 1).is_some());
}

#[test]
fn so_many_distinct_people_of_the_groups() {
    let mut docket = Docket::new(RULES);
    let (_, id) = waits(&mut docket, &ask("a", 1, &needs(2, &["dba", "security"])), 7, 0);
    assert!(approve(&mut docket, id, vote(1, &["dba", "security"]), Extent::Once, 1).is_none());
    assert!(approve(&mut docket, id, vote(1, &["dba", "security"]), Extent::Once, 2).is_none());
    assert!(matches!(docket.approve(id, vote(2, &["staff"]), Extent::Once, 3), Err(Refusal::NotOfGroup(..))));
    let released = approve(&mut docket, id, vote(2, &["dba"]), Extent::Once, 4).unwrap();
    assert!(matches!(released.as_slice(), [(7, Answer::Released(_))]));
    assert!(matches!(docket.approve(id, vote(3, &["dba"]), Extent::Once, 5), Err(Refusal::Unknown)));
}

#[test]
fn a_reason_is_asked_for() {
    let mut docket = Docket::new(RULES);
    let needs = Arc::new(Approval { reason: true, ..(*needs(1, &[])).clone() });
    let (_, id) = waits(&mut docket, &ask("a", 1, &needs), 0, 0);
    assert!(matches!(docket.approve(id, vote(1, &[]), Extent::Once, 1), Err(Refusal::NoReason)));
    let reasoned = Vote { reason: Some("ticket 4711".to_owned()), ..vote(1, &[]) };
    assert!(approve(&mut docket, id, reasoned, Extent::Once, 1).is_some());
}

#[test]
fn a_no_wins() {
    let mut docket = Docket::new(RULES);
    let one = ask("a", 1, &needs(2, &[]));
    let (_, id) = waits(&mut docket, &one, 3, 0);
    assert!(approve(&mut docket, id, vote(1, &[]), Extent::Session, 1).is_none());
    let (answers, _) = docket.carry_out_denial(id, 2);
    assert!(matches!(answers.as_slice(), [(3, Answer::Ended(End::Denied(by, _)))] if by == "user2"));
    assert!(matches!(docket.approve(id, vote(4, &[]), Extent::Once, 3), Err(Refusal::Unknown)));
    // Nobody is worn down by asking again at once.
    assert_eq!(docket.ask(&one, 0, 3).unwrap_err(), Refusal::Denied("user2".to_owned()));
    let later = 2 * SECOND + u64::try_from(DENIED_FOR.as_nanos()).unwrap();
    assert!(docket.ask(&one, 0, later).is_ok());
}

#[test]
fn the_requesters_own_no_is_a_withdrawal() {
    let mut docket = Docket::new(RULES);
    let (_, id) = waits(&mut docket, &ask("a", 1, &needs(1, &[])), 3, 0);
    let decided = docket.deny(id, &approver(1000, &[]), None, 1).unwrap();
    assert!(matches!(decided.end, End::Withdrawn(_)));
}

#[test]
fn expiry_counts_from_the_first_time_it_was_asked() {
    let mut docket = Docket::new(RULES);
    let one = ask("a", 1, &needs(1, &[]));
    let (first, _) = waits(&mut docket, &one, 0, 0);
    // A second waiter does not prolong it, nor does hanging up and coming back.
    let (second, id) = waits(&mut docket, &one, 1, 50 * SECOND);
    assert!(docket.leave(first, "gone", 60 * SECOND).is_none());
    let gone = docket.leave(second, "gone", 61 * SECOND).unwrap();
    assert!(gone.pending.id == id && gone.end == End::Withdrawn("gone".to_owned()));
    let _ = docket.carry_out(gone);
    let (_, id) = waits(&mut docket, &one, 2, 90 * SECOND);
    assert!(docket.pass(99 * SECOND).is_empty());
    assert!(matches!(docket.approve(id, vote(1, &[]), Extent::Once, 100 * SECOND), Err(Refusal::Expired)));
    let mut over = docket.pass(100 * SECOND);
    let (answers, _) = docket.carry_out(over.pop().unwrap());
    assert!(matches!(answers.as_slice(), [(2, Answer::Ended(End::Expired))]));
    // What expired is over; whoever asks then asks anew.
    let (_, id) = waits(&mut docket, &one, 3, 101 * SECOND);
    assert_eq!(docket.one(id).unwrap().asked, 101 * SECOND);
}

#[test]
fn a_night_is_nothing_special() {
    let hour = 3600 * SECOND;
    let mut docket = Docket::new(Rules { expiry: Duration::from_secs(12 * 3600), ..RULES });
    // Asked at 22 o'clock, approved at 7.
    let (_, id) = waits(&mut docket, &ask("a", 1, &needs(1, &[])), 0, 22 * hour);
    assert!(docket.pass(31 * hour).is_empty());
    assert!(approve(&mut docket, id, vote(1, &[]), minutes(60), 31 * hour).is_some());
    assert!(matches!(docket.ask(&ask("a", 1, &needs(1, &[])), 1, 31 * hour + 1), Ok(docket::Asked::Granted(_))));
}

#[test]
fn requests_that_are_alike_wait_as_one() {
    let mut docket = Docket::new(RULES);
    let one = ask("a", 1, &needs(1, &[]));
    let (_, id) = waits(&mut docket, &one, 0, 0);
    (1..100).for_each(|reply| assert_eq!(waits(&mut docket, &one, reply, 1).1, id));
    assert_eq!((docket.pending().len(), docket.one(id).unwrap().waiters.len()), (1, 100));
    // Once is once: whoever waited longest goes on, the others wait on, and no longer than they would have.
    let released = approve(&mut docket, id, vote(1, &[]), Extent::Once, 2).unwrap();
    assert!(matches!(released.as_slice(), [(0, Answer::Released(_))]));
    let rest = docket.pending()[0];
    assert!(rest.id != id && rest.waiters.len() == 99 && rest.until == 100 * SECOND && rest.votes == Votes::default());
    let rest = rest.id;
    assert_eq!(approve(&mut docket, rest, vote(1, &[]), minutes(1), 3).unwrap().len(), 99);
    assert!(docket.pending().is_empty());
}

#[test]
fn one_identity_does_not_crowd_out_others() {
    let mut docket = Docket::new(RULES);
    let needs = needs(1, &[]);
    for port in 0..4 {
        waits(&mut docket, &ask("a", port, &needs), 0, 0);
    }
    assert_eq!(docket.ask(&ask("a", 9, &needs), 0, 0).unwrap_err(), Refusal::TooMany);
    assert!(docket.ask(&ask("b", 9, &needs), 0, 0).is_ok());
    // Other names do not help the same user beyond its share.
    let mut docket = Docket::new(Rules { per_identity: 4096, ..RULES });
    let taken = (0..2000u16).filter(|n| docket.ask(&ask(&format!("u{n}"), 1, &needs), 0, 0).is_ok()).count();
    assert_eq!(taken, 256);
}

#[test]
fn a_grant_covers_a_shape_for_a_while_and_no_other() {
    let mut docket = Docket::new(RULES);
    let (_, id) = waits(&mut docket, &delete("1"), 0, 0);
    let now = 10 * SECOND;
    assert!(approve(&mut docket, id, vote(1, &[]), minutes(1), now).is_some());
    let covered = |docket: &mut Docket<u32>, ask: &Ask, at| match docket.ask(ask, 0, at).unwrap() {
        docket::Asked::Granted(release) => release.for_request(&ask.request).is_some(),
        docket::Asked::Waits(number, _) => docket.leave(number, "", at).is_none(),
    };
    assert!(covered(&mut docket, &delete("2"), now + 1));
    // Its time counts from the approval, not from its use.
    assert!(covered(&mut docket, &delete("3"), now + 60 * SECOND - 1));
    assert!(!covered(&mut docket, &delete("3"), now + 60 * SECOND));
    assert!(!covered(&mut docket, &ask("a", 1, &needs(1, &[])), now + 1), "another shape");
    assert!(!covered(&mut docket, &Ask { needs: needs(2, &[]), ..delete("2") }, now + 1), "more is needed");
    assert!(docket.revoke(id).is_some());
    assert!(!covered(&mut docket, &delete("2"), now + 1));
}

#[test]
fn a_session_grant_is_for_that_session_identity_and_target() {
    let mut docket = Docket::new(RULES);
    let needs = needs(1, &[]);
    let mine = ask("a", 1, &needs);
    let (_, id) = waits(&mut docket, &mine, 0, 0);
    let other = Ask { session: Session::Login(2), ..mine.clone() };
    let (_, _) = waits(&mut docket, &other, 1, 0);
    // Alike, and so one; but the other session goes on waiting.
    let released = approve(&mut docket, id, vote(1, &[]), Extent::Session, 1).unwrap();
    assert!(matches!(released.as_slice(), [(0, Answer::Released(_))]));
    assert_eq!(docket.pending()[0].waiters.len(), 1);
    let granted = |docket: &mut Docket<u32>, ask: &Ask| matches!(docket.ask(ask, 9, 2), Ok(docket::Asked::Granted(_)));
    assert!(granted(&mut docket, &mine) && granted(&mut docket, &delete("1")));
    assert!(!granted(&mut docket, &other));
    assert!(!granted(&mut docket, &ask("a", 2, &needs)) && !granted(&mut docket, &ask("b", 1, &needs)));
}

#[test]
fn the_least_of_what_people_grant_holds() {
    let mut docket = Docket::new(RULES);
    let (_, id) = waits(&mut docket, &ask("a", 1, &needs(2, &[])), 0, 0);
    assert!(approve(&mut docket, id, vote(1, &[]), Extent::Once, 1).is_none());
    assert!(approve(&mut docket, id, vote(2, &[]), Extent::Session, 1).is_some());
    assert_eq!(docket.grants(1).count(), 0);
}

#[test]
fn a_release_is_for_its_request_only() {
    let mut docket = Docket::new(RULES);
    let one = delete("1");
    let (_, id) = waits(&mut docket, &one, 0, 0);
    let mut released = approve(&mut docket, id, vote(1, &[]), Extent::Once, 1).unwrap();
    let Some((_, Answer::Released(release))) = released.pop() else { panic!("nothing was released") };
    assert!(release.for_request(&delete("2").request).is_none());
}

#[test]
fn nothing_waits_in_a_closed_docket() {
    let mut docket = Docket::new(RULES);
    let one = ask("a", 1, &needs(1, &[]));
    waits(&mut docket, &one, 0, 0);
    assert_eq!(docket.close("the daemon stops", 1).len(), 1);
    assert_eq!(docket.ask(&one, 0, 1).unwrap_err(), Refusal::Closed);
}

#[test]
fn nobody_decides_what_is_not_on_the_record() {
    let mut docket = Docket::new(RULES);
    let Ok(docket::Asked::Waits(_, Some(id))) = docket.ask(&ask("a", 1, &needs(1, &[])), 0, 0) else { panic!() };
    assert!(matches!(docket.approve(id, vote(1, &[]), Extent::Once, 1), Err(Refusal::Unknown)));
    assert!(matches!(docket.deny(id, &approver(1, &[]), None, 1), Err(Refusal::Unknown)));
}

impl Docket<u32> {
    fn carry_out_denial(&mut self, id: Id, by: u32) -> (Vec<(u32, Answer)>, Option<Id>) {
        let decided = self.deny(id, &approver(by, &[]), Some("no"), 2 * SECOND).unwrap();
        self.carry_out(decided)
    }
}

#[derive(Clone, Debug)]
enum Deed {
    Ask(u16),
    Leave(usize),
    Approve(usize, u32, bool),
    Deny(usize, u32),
    Pass(u64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (0..3u16).prop_map(Deed::Ask),
        1 => (0..8usize).prop_map(Deed::Leave),
        4 => (0..4usize, prop_oneof![Just(1000u32), 1..4u32], any::<bool>()).prop_map(|(n, by, long)| Deed::Approve(n, by, long)),
        1 => (0..4usize, 1..4u32).prop_map(|(n, by)| Deed::Deny(n, by)),
        1 => (0..60u64).prop_map(Deed::Pass),
    ];
    prop::collection::vec(deed, 0..60)
}

proptest! {
    /// Whatever happens in whatever order: everybody who asked is told at most once, and what is released by a decision
    /// had two people who are not the requester.
    #[test]
    fn every_release_has_its_people(deeds in deeds()) {
        let mut docket = Docket::new(RULES);
        let two = needs(2, &[]);
        let (mut now, mut asked, mut waiting, mut told) = (0u64, 0u32, Vec::new(), std::collections::BTreeSet::new());
        for deed in deeds {
            let mut decided = Vec::new();
            let nth = |docket: &Docket<u32>, n: usize| docket.pending().get(n).map(|one| (one.id, one.votes.clone()));
            match deed {
                Deed::Ask(port) => {
                    asked += 1;
                    if let Ok(docket::Asked::Waits(number, new)) = docket.ask(&ask("a", port, &two), asked, now) {
                        waiting.push(number);
                        new.map(|id| docket.announce(id).is_some());
                    }
                }
                Deed::Leave(n) if n < waiting.len() => {
                    decided.extend(docket.leave(waiting.swap_remove(n), "gone", now));
                }
                Deed::Leave(_) => {}
                Deed::Approve(n, by, long) => {
                    if let Some((id, before)) = nth(&docket, n) {
                        let extent = if long { minutes(1) } else { Extent::Once };
                        match docket.approve(id, vote(by, &[]), extent, now) {
                            Ok(docket::Heard::Enough(enough)) => {
                                prop_assert!(by != 1000 && before.iter().count() == 1);
                                prop_assert!(!before.iter().any(|vote| vote.approver.person == approver(by, &[]).person));
                                decided.push(*enough);
                            }
                            Ok(docket::Heard::Counted(_)) => prop_assert!(by != 1000),
                            Err(refusal) => prop_assert_eq!(matches!(refusal, Refusal::Requester(_)), by == 1000 && !matches!(refusal, Refusal::Expired)),
                        }
                    }
                }
                Deed::Deny(n, by) => {
                    if let Some((id, _)) = nth(&docket, n) {
                        decided.extend(docket.deny(id, &approver(by, &[]), None, now));
                    }
                }
                Deed::Pass(seconds) => {
                    now += seconds * SECOND;
                    decided.extend(docket.pass(now));
                }
            }
            for decided in decided {
                let approved = matches!(decided.end, End::Approved(_));
                let (answers, again) = docket.carry_out(decided);
                again.map(|id| docket.announce(id).is_some());
                for (reply, answer) in answers {
                    prop_assert!(told.insert(reply), "{} was told twice", reply);
                    prop_assert_eq!(matches!(answer, Answer::Released(_)), approved);
                }
            }
            for pending in docket.pending() {
                prop_assert!(!pending.waiters.is_empty());
                prop_assert!(!pending.waiters.iter().any(|one| told.contains(&one.reply)));
            }
        }
    }
}
