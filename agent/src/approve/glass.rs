//! Break-glass: root lets a scope or an identity through for a while, without a second person, loudly.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::grant::Id;
use crate::config::ScopeName;

/// Most that hold at once.
const MOST: usize = 64;

/// For whom the glass is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Whom {
    /// Everybody in a scope.
    Scope(ScopeName),
    /// One workload, by its whole SPIFFE ID.
    Workload(String),
}

impl FromStr for Whom {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        /// Longest SPIFFE ID (SPIFFE-ID, section 2.3).
        const LONGEST: usize = 2048;
        if text.starts_with("spiffe://") {
            let fits = text.len() <= LONGEST && text.chars().all(|c| c.is_ascii_graphic());
            return if fits { Ok(Self::Workload(text.to_owned())) } else { Err("this is no SPIFFE ID") };
        }
        ScopeName::new(text).map(Self::Scope).ok_or("name a scope, or a workload as `spiffe://...`")
    }
}

impl TryFrom<String> for Whom {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Whom> for String {
    fn from(whom: Whom) -> Self {
        whom.to_string()
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope(name) => f.write_str(name.as_str()),
            Self::Workload(id) => f.write_str(id),
        }
    }
}

/// One broken glass.
#[derive(Clone, Debug)]
pub struct Glass {
    /// Its name.
    pub id: Id,
    /// For whom.
    pub whom: Whom,
    /// Until when, boot-time nanoseconds.
    pub until: u64,
    /// Who broke it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Every broken glass.
#[derive(Debug, Default)]
pub struct Glasses(Vec<Glass>);

impl Glasses {
    /// Whether there is room for another.
    #[must_use]
    pub fn have_room(&self) -> bool {
        self.0.len() < MOST
    }

    /// Breaks one.
    pub fn add(&mut self, glass: Glass) {
        self.0.push(glass);
    }

    /// The one that holds for a workload of a scope.
    #[must_use]
    pub fn holds(&self, scope: Option<&str>, workload: &str, now: u64) -> Option<&Glass> {
        self.now(now).find(|glass| match &glass.whom {
            Whom::Scope(name) => scope == Some(name.as_str()),
            Whom::Workload(id) => id == workload,
        })
    }

    /// All that hold.
    pub fn now(&self, now: u64) -> impl Iterator<Item = &Glass> {
        self.0.iter().filter(move |glass| now < glass.until)
    }

    /// Takes out those that are over.
    pub fn pass(&mut self, now: u64) -> Vec<Glass> {
        self.0.extract_if(.., |glass| now >= glass.until).collect()
    }

    /// Takes one out before its time.
    pub fn mend(&mut self, id: Id) -> Option<Glass> {
        let at = self.0.iter().position(|glass| glass.id == id)?;
        Some(self.0.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glass_is_for_one_scope_or_workload_and_a_while() {
        let mut glasses = Glasses::default();
        let mut add = |whom: &str, until| {
            let whom = whom.parse().unwrap();
            glasses.add(Glass { id: Id::random(), whom, until, by: "root".to_owned(), reason: "fire".to_owned() });
        };
        add("jobs", 10);
        add("spiffe://x/y", 20);
        assert!(glasses.holds(Some("jobs"), "spiffe://x/z", 9).is_some());
        assert!(glasses.holds(Some("jobs"), "spiffe://x/z", 10).is_none());
        assert!(glasses.holds(Some("job"), "spiffe://x/z", 9).is_none());
        assert!(glasses.holds(None, "spiffe://x/z", 9).is_none());
        assert!(glasses.holds(None, "spiffe://x/y", 19).is_some());
        assert!(glasses.holds(None, "spiffe://x/y/z", 19).is_none());
        assert_eq!(glasses.pass(10).len(), 1);
        assert_eq!(glasses.now(0).count(), 1);
    }

    #[test]
    fn only_scopes_and_ids_can_be_named() {
        for bad in ["", "Jobs", "a b", "spiffe://x\ny", "*"] {
            assert!(bad.parse::<Whom>().is_err(), "{bad:?}");
        }
    }
}
