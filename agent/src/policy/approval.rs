//! Approvals: what one is, and the least that a denied question would need.
//!
//! An approval is nothing but facts in the context, so what would have to be approved is found by asking the policies
//! themselves. That is exact because of two rules the check holds policies to. First, `people` is only compared with
//! numbers, `groups` only asked for members, `reason` only read. Second, each of these can only help: it allows in a
//! `permit`, and lifts a `forbid`. So a question that is denied with every group, the greatest number and a reason is
//! denied whatever is approved; and taking away what is not needed ends at an approval of which nothing can be left out.
//! Every step is a real evaluation: the requirement that is returned was seen to be enough.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// So many distinct people, each of one of the groups, every group represented by another of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Which groups; none means anybody but the requester.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// How many people.
    pub people: u32,
    /// Whether each says why.
    #[serde(default)]
    pub reason: bool,
}

/// What the policies that may matter say about approvals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// Whether any speaks of them at all.
    pub(super) any: bool,
    /// Groups that are asked for.
    pub(super) groups: BTreeSet<String>,
    /// Numbers of people that make a difference: with this many it may be another decision than with one less.
    pub(super) people: BTreeSet<u32>,
}

impl Hints {
    /// Takes in what another policy says.
    pub(super) fn merge(&mut self, other: &Self) {
        self.any |= other.any;
        self.groups.extend(other.groups.iter().cloned());
        self.people.extend(&other.people);
    }

    /// The least approval that `allows`, if any does.
    pub(super) fn least<E>(&self, mut allows: impl FnMut(&Approval) -> Result<bool, E>) -> Result<Option<Approval>, E> {
        if !self.any {
            return Ok(None);
        }
        let most = self.people.last().copied().unwrap_or(1);
        let represented = |groups: &BTreeSet<String>| u32::try_from(groups.len()).unwrap_or(u32::MAX);
        let mut found = Approval { groups: self.groups.clone(), people: most.max(1), reason: true };
        if !allows(&found)? {
            return Ok(None);
        }
        for people in self.people.iter().copied().chain([1]).collect::<BTreeSet<_>>() {
            let fewer = Approval { people, ..found.clone() };
            if people > 0 && people < found.people && allows(&fewer)? {
                found = fewer;
                break;
            }
        }
        for group in &self.groups {
            let mut without = found.clone();
            without.groups.remove(group);
            if allows(&without)? {
                found = without;
            }
        }
        let silent = Approval { reason: false, ..found.clone() };
        if allows(&silent)? {
            found = silent;
        }
        // Every group needs a person of its own; more people never hurt.
        found.people = found.people.max(represented(&found.groups));
        Ok(Some(found))
    }
}

impl std::fmt::Display for Approval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.people {
            1 => write!(f, "one person")?,
            people => write!(f, "{people} people")?,
        }
        let groups: Vec<&str> = self.groups.iter().map(String::as_str).collect();
        match groups.as_slice() {
            [] => {}
            [one] => write!(f, " of {one}")?,
            several => write!(f, " of {}, each represented", several.join(" and "))?,
        }
        if self.reason {
            write!(f, ", with a reason")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn least(groups: &[&str], people: &[u32], allows: impl Fn(&Approval) -> bool) -> Option<String> {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        let hints = Hints { any: true, groups, people: people.iter().copied().collect() };
        let found = hints.least(|approval| Ok::<_, Infallible>(allows(approval)));
        found.unwrap_or_else(|never| match never {}).map(|approval| approval.to_string())
    }

    #[test]
    fn the_least_that_is_enough() {
        let of = |approval: &Approval, group: &str| approval.groups.contains(group);
        let all = &["dba", "security"];
        assert_eq!(least(&[], &[1], |_| true).as_deref(), Some("one person"));
        assert_eq!(least(&[], &[], |_| false), None);
        assert_eq!(least(all, &[1, 2], |a| of(a, "dba") && a.people >= 2).as_deref(), Some("2 people of dba"));
        assert_eq!(least(all, &[1], |a| of(a, "security")).as_deref(), Some("one person of security"));
        assert_eq!(least(all, &[3], |a| a.people >= 3 && a.reason).as_deref(), Some("3 people, with a reason"));
        // Two groups are two people, whatever the policies count.
        let both = least(all, &[1], |a| of(a, "dba") && of(a, "security"));
        assert_eq!(both.as_deref(), Some("2 people of dba and security, each represented"));
        // The fewest people come first.
        let either = least(all, &[1, 2], |a| of(a, "dba") && a.people >= 1 || of(a, "security") && a.people >= 2);
        assert_eq!(either.as_deref(), Some("one person of dba"));
    }

    #[test]
    fn policies_that_speak_of_none_need_none() {
        let asked = Hints::default().least(|_| Err("nobody is asked"));
        assert_eq!(asked, Ok(None));
    }
}
