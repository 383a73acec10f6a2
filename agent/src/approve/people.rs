//! People: who is the same as whom, and when enough of them have spoken.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::policy::{Approval, question::Workload};

/// Somebody, under every number and name that is known to be theirs. Two that share any of them are one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    shown: String,
    uids: BTreeSet<u32>,
    names: BTreeSet<String>,
}

impl Person {
    /// A user of this host.
    #[must_use]
    pub fn local(uid: u32, name: Option<&str>) -> Self {
        let shown = name.map_or_else(|| format!("uid {uid}"), str::to_owned);
        Self { shown, uids: [uid].into(), names: name.map(folded).into_iter().collect() }
    }

    /// Somebody known by name, with the user of this host that has it.
    #[must_use]
    pub fn named(name: &str, uid: Option<u32>) -> Self {
        Self { shown: name.to_owned(), uids: uid.into_iter().collect(), names: [folded(name)].into() }
    }

    /// Everybody a workload may act for: its person, its login, and its user unless that is root, who is nobody.
    #[must_use]
    pub fn behind(workload: &Workload) -> Self {
        let own = Some(workload.uid).filter(|uid| *uid != 0);
        let user = workload.user.as_deref().filter(|_| own.is_some());
        let person = workload.person.as_ref();
        let names = [
            person.map(|person| person.subject.as_str()),
            person.and_then(|person| person.login.as_deref()),
            workload.login_user.as_deref(),
            user,
        ];
        let names: Vec<&str> = names.into_iter().flatten().filter(|name| !name.is_empty()).collect();
        let shown = names.first().map_or_else(|| workload.spiffe.clone(), |name| (*name).to_owned());
        let uids = workload.login_uid.into_iter().chain(own).collect();
        Self { shown, uids, names: names.into_iter().map(folded).collect() }
    }

    /// The name to show.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether both are the same person. Where it is not clear, they are: whoever may be the requester does not count.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        !self.uids.is_disjoint(&other.uids) || !self.names.is_disjoint(&other.names)
    }
}

/// Names differ by more than case.
fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// By which way somebody spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// The approvals' socket.
    Socket,
    /// A signed link.
    Link,
    /// A button in a chat.
    Chat,
}

/// Somebody who may decide, with the groups the host or the identity provider says they are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// Who.
    pub person: Person,
    /// In which groups.
    pub groups: BTreeSet<String>,
    /// How it was said.
    pub channel: Channel,
}

/// An approver who approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Who.
    pub approver: Approver,
    /// Why.
    pub reason: Option<String>,
}

/// Everybody who approved, each person once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Votes(Vec<Vote>);

impl Votes {
    /// Counts a vote. Whoever voted before under any of these names votes anew, and is one person under all of them.
    pub fn count(&mut self, vote: Vote) {
        let mut merged = vote;
        let same: Vec<Vote> = self.0.extract_if(.., |old| old.approver.person.is(&merged.approver.person)).collect();
        for old in same {
            merged.approver.person.uids.extend(old.approver.person.uids);
            merged.approver.person.names.extend(old.approver.person.names);
        }
        self.0.push(merged);
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Vote> {
        self.0.iter()
    }

    /// Whether they are what is needed: so many people, each of one of the groups and with a reason where one is asked
    /// for, and for every group another of them.
    #[must_use]
    pub fn meet(&self, needs: &Approval) -> bool {
        let good: Vec<&BTreeSet<String>> =
            self.0.iter().filter(|vote| counts(vote, needs)).map(|vote| &vote.approver.groups).collect();
        let enough = u32::try_from(good.len()).is_ok_and(|people| people >= needs.people.max(1));
        enough && represented(&needs.groups, &good)
    }
}

/// Whether a vote is of the kind that is needed.
pub(super) fn counts(vote: &Vote, needs: &Approval) -> bool {
    let member = needs.groups.is_empty() || !needs.groups.is_disjoint(&vote.approver.groups);
    member && (!needs.reason || vote.reason.is_some())
}

/// Whether every group can be given a person of its own: a matching, found by augmenting paths.
fn represented(groups: &BTreeSet<String>, people: &[&BTreeSet<String>]) -> bool {
    fn place<'g>(
        group: &'g str,
        people: &[&BTreeSet<String>],
        held: &mut [Option<&'g str>],
        tried: &mut BTreeSet<usize>,
    ) -> bool {
        for (index, of) in people.iter().enumerate() {
            if !of.contains(group) || !tried.insert(index) {
                continue;
            }
            let before = held.get(index).copied().flatten();
            if before.is_none_or(|before| place(before, people, held, tried)) {
                if let Some(slot) = held.get_mut(index) {
                    *slot = Some(group);
                }
                return true;
            }
        }
        false
    }
    let mut held = vec![None; people.len()];
    groups.iter().all(|group| place(group, people, &mut held, &mut BTreeSet::new()))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn approver(uid: u32, groups: &[&str]) -> Approver {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        Approver { person: Person::local(uid, Some(&format!("user{uid}"))), groups, channel: Channel::Socket }
    }

    fn votes(of: &[(u32, &[&str])]) -> Votes {
        let mut votes = Votes::default();
        of.iter().for_each(|(uid, groups)| votes.count(Vote { approver: approver(*uid, groups), reason: None }));
        votes
    }

    fn needs(people: u32, groups: &[&str]) -> Approval {
        Approval { people, groups: groups.iter().map(|&group| group.to_owned()).collect(), reason: false }
    }

    #[test]
    fn one_person_in_two_groups_is_one_person() {
        let both = needs(2, &["dba", "security"]);
        assert!(!votes(&[(1, &["dba", "security"])]).meet(&both));
        assert!(!votes(&[(1, &["dba", "security"]), (1, &["dba", "security"])]).meet(&both));
        assert!(!votes(&[(1, &["dba", "security"]), (2, &["guests"])]).meet(&both));
        assert!(!votes(&[(1, &["dba"]), (2, &["dba"])]).meet(&both));
        assert!(votes(&[(1, &["dba", "security"]), (2, &["dba"])]).meet(&both));
        assert!(votes(&[(1, &["dba"]), (2, &["dba", "security"])]).meet(&both));
        // Nobody of a group that is not asked for helps.
        assert!(!votes(&[(1, &["dba"]), (2, &["staff"])]).meet(&needs(2, &["dba"])));
        assert!(votes(&[(1, &[])]).meet(&needs(0, &[])));
        assert!(!votes(&[]).meet(&needs(0, &[])));
    }

    #[test]
    fn names_that_meet_are_one_person() {
        let mut votes = votes(&[(1, &[]), (2, &[])]);
        assert!(votes.meet(&needs(2, &[])));
        // A third name shows that both were the same all along.
        let person = Person { shown: "x".to_owned(), uids: [1].into(), names: ["user2".to_owned()].into() };
        votes.count(Vote { approver: Approver { person, ..approver(9, &[]) }, reason: None });
        assert!(!votes.meet(&needs(2, &[])) && votes.meet(&needs(1, &[])));
    }

    #[test]
    fn the_people_behind_a_workload() {
        let workload = Workload {
            uid: 33,
            user: Some("www-data".to_owned()),
            login_uid: Some(1000),
            login_user: Some("ada".to_owned()),
            person: Some(crate::policy::question::Person { subject: "ada@x".to_owned(), ..Default::default() }),
            ..Workload::default()
        };
        let requester = Person::behind(&workload);
        for same in [
            Person::local(1000, None),
            Person::named("ADA", None),
            Person::named("ada@x", None),
            Person::local(33, Some("deploy")),
            Person::local(7, Some("www-data")),
        ] {
            assert!(requester.is(&same), "{same:?}");
        }
        for other in [Person::local(0, Some("root")), Person::local(1001, Some("bob")), Person::named("", None)] {
            assert!(!requester.is(&other), "{other:?}");
        }
        // Root is whoever became root, unless root itself logged in.
        let root = Workload { uid: 0, user: Some("root".to_owned()), ..Workload::default() };
        assert!(!Person::behind(&root).is(&Person::local(0, Some("root"))));
        let login = Workload { login_uid: Some(0), ..root };
        assert!(Person::behind(&login).is(&Person::local(0, Some("root"))));
    }

    proptest! {
        /// The matching agrees with trying every assignment.
        #[test]
        fn groups_are_represented_as_by_hand(
            members in prop::collection::vec(prop::collection::btree_set(0..4u8, 0..4), 0..5),
            asked in prop::collection::btree_set(0..4u8, 0..4),
            people in 0..5u32,
        ) {
            let name = |group: &u8| group.to_string();
            let mut votes = Votes::default();
            for (uid, groups) in (0u32..).zip(&members) {
                let groups = groups.iter().map(name).collect();
                votes.count(Vote { approver: Approver { groups, ..approver(uid, &[]) }, reason: None });
            }
            let needs = Approval { people, groups: asked.iter().map(name).collect(), reason: false };
            let good: Vec<_> =
                members.iter().filter(|groups| asked.is_empty() || !groups.is_disjoint(&asked)).collect();
            fn assign(groups: &[u8], people: &[&BTreeSet<u8>], taken: &mut Vec<usize>) -> bool {
                let Some((first, rest)) = groups.split_first() else { return true };
                for index in 0..people.len() {
                    if people[index].contains(first) && !taken.contains(&index) {
                        taken.push(index);
                        if assign(rest, people, taken) {
                            return true;
                        }
                        taken.pop();
                    }
                }
                false
            }
            let groups: Vec<u8> = asked.iter().copied().collect();
            let expected = good.len() >= people.max(1) as usize && assign(&groups, &good, &mut Vec::new());
            prop_assert_eq!(votes.meet(&needs), expected);
        }
    }
}
