//! What a set means, as a table: identities × targets × requests, compared with what it was the last time.
//!
//! The table is written by people's review: a row that differs, is missing or is not wanted any more is a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Deserialize;

use super::{
    Moment, Protocol, Verdict, Zone,
    approval::Approval,
    question::{Asked, Circumstances, Execute, Question, Reveal, SessionSoFar, Subject, Target, Tls, Workload},
    set::{Outcome, PolicySet},
};

/// A file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// When everything is asked that does not say: RFC 3339.
    at: String,
    /// Who asks, by name.
    #[serde(default)]
    identity: BTreeMap<String, Workload>,
    /// Where, by name.
    #[serde(default)]
    target: BTreeMap<String, Target>,
    /// What, by name.
    #[serde(default)]
    request: BTreeMap<String, Request>,
    /// Single questions with the answer they must have.
    #[serde(default)]
    case: Vec<Case>,
}

/// One kind of request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Targets of these protocols are asked.
    protocols: BTreeSet<Protocol>,
    /// Without one of the other two: a connection.
    #[serde(default)]
    #[expect(dead_code, reason = "it says what is meant, and nothing else means it")]
    connect: bool,
    execute: Option<Execute>,
    reveal: Option<Reveal>,
}

/// Circumstances as they are written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Given {
    at: Option<String>,
    age: u64,
    lease: Option<u64>,
    tls: Option<Tls>,
    session: Option<SessionSoFar>,
    approval: Option<Approval>,
    break_glass: bool,
}

/// A single question and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    identity: String,
    target: String,
    request: String,
    #[serde(default)]
    given: Given,
    expect: String,
}

/// A question as it is written: for `policy explain`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    identity: Workload,
    target: Target,
    execute: Option<Execute>,
    reveal: Option<Reveal>,
    #[serde(default)]
    given: Given,
}

/// Why cases cannot be put.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The file is no table of cases.
    #[error("{0}")]
    Toml(#[from] Box<toml::de::Error>),
    /// A case names what is not there.
    #[error("case {number} names {what} `{name}`, which is not in the file")]
    Unknown {
        /// Which case, from one.
        number: usize,
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A moment is none.
    #[error("`{0}` is not a moment: write 2026-01-31T12:00:00Z")]
    Moment(String),
}

/// What is asked: a connection, where neither of the others is written.
fn asked(execute: Option<&Execute>, reveal: Option<&Reveal>) -> Asked {
    match (execute, reveal) {
        (Some(execute), _) => Asked::Execute(Arc::new(execute.clone())),
        (None, Some(reveal)) => Asked::Reveal(Arc::new(reveal.clone())),
        (None, None) => Asked::Connect,
    }
}

impl Request {
    fn asked(&self) -> Asked {
        asked(self.execute.as_ref(), self.reveal.as_ref())
    }
}

impl Given {
    fn circumstances(&self, at: Option<&str>, zone: &Zone) -> Result<Circumstances, CaseError> {
        let moment = match self.at.as_deref().or(at) {
            Some(at) => Moment::written(at, zone).ok_or_else(|| CaseError::Moment(at.to_owned()))?,
            None => Moment::default(),
        };
        let Self { age, lease, tls, session, approval, break_glass, .. } = self.clone();
        Ok(Circumstances { moment, age, lease, tls, session, approval: approval.map(Arc::new), break_glass })
    }
}

impl Written {
    /// The question that is meant, in a zone.
    ///
    /// # Errors
    /// When its moment is none.
    pub fn question(&self, zone: &Zone) -> Result<Question, CaseError> {
        Ok(Question {
            subject: Arc::new(Subject::new(self.identity.clone())),
            target: Arc::new(self.target.clone()),
            asked: asked(self.execute.as_ref(), self.reveal.as_ref()),
            circumstances: self.given.circumstances(None, zone)?,
        })
    }
}

/// `allow`, `deny`, or `hold for …`.
#[must_use]
pub fn outcome(verdict: &Verdict) -> String {
    match &verdict.outcome {
        Outcome::Allow => "allow".to_owned(),
        Outcome::Deny => "deny".to_owned(),
        Outcome::Hold(approval) => format!("hold for {approval}"),
    }
}

impl Cases {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub fn parse(text: &str) -> Result<Self, CaseError> {
        Ok(toml::from_str(text).map_err(Box::new)?)
    }

    /// The decision table of a set: a line for every identity, target and request that go together.
    ///
    /// # Errors
    /// When a moment is none.
    pub fn table(&self, set: &PolicySet) -> Result<String, CaseError> {
        let circumstances = Given::default().circumstances(Some(&self.at), &Zone::default())?;
        let mut rows = Vec::new();
        for (who, workload) in &self.identity {
            let subject = Arc::new(Subject::new(workload.clone()));
            for (place, target) in &self.target {
                for (what, request) in self.request.iter().filter(|(_, one)| one.protocols.contains(&target.protocol)) {
                    let (subject, target, asked) = (Arc::clone(&subject), Arc::new(target.clone()), request.asked());
                    let circumstances = circumstances.clone();
                    let verdict = set.judge(&Question { subject, target, asked, circumstances });
                    rows.push([
                        who.clone(),
                        place.clone(),
                        what.clone(),
                        outcome(&verdict),
                        verdict.policies.join(" "),
                    ]);
                }
            }
        }
        Ok(aligned(&rows))
    }

    /// Every single case that is not answered as it must be.
    ///
    /// # Errors
    /// When a case names what is not there, or a moment is none.
    pub fn failures(&self, set: &PolicySet) -> Result<Vec<String>, CaseError> {
        let mut failures = Vec::new();
        for (number, case) in (1..).zip(&self.case) {
            let unknown = |what, name: &String| CaseError::Unknown { number, what, name: name.clone() };
            let who = self.identity.get(&case.identity).ok_or_else(|| unknown("identity", &case.identity))?;
            let target = self.target.get(&case.target).ok_or_else(|| unknown("target", &case.target))?;
            let request = self.request.get(&case.request).ok_or_else(|| unknown("request", &case.request))?;
            let verdict = set.judge(&Question {
                subject: Arc::new(Subject::new(who.clone())),
                target: Arc::new(target.clone()),
                asked: request.asked(),
                circumstances: case.given.circumstances(Some(&self.at), &Zone::default())?,
            });
            let found = outcome(&verdict);
            if found != case.expect {
                let policies = verdict.policies.join(" ");
                let Case { identity, target, request, expect, .. } = case;
                failures.push(format!(
                    "case {number} ({identity}, {target}, {request}): {found} by [{policies}], not {expect}"
                ));
            }
        }
        Ok(failures)
    }

    /// Protocols that no request is about: a table that says nothing of them has a hole.
    #[must_use]
    pub fn uncovered(&self) -> Vec<Protocol> {
        let asked = |protocol: &Protocol| {
            let target = self.target.values().any(|target| target.protocol == *protocol);
            let of = |request: &&Request| request.protocols.contains(protocol);
            target && self.request.values().filter(of).any(|request| request.asked() != Asked::Connect)
        };
        Protocol::ALL.into_iter().filter(|protocol| !asked(protocol)).collect()
    }
}

/// Rows with their columns under one another.
fn aligned(rows: &[[String; 5]]) -> String {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..5).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What differs between the table that is wanted and the one that is: `-` wanted and gone, `+` there and not wanted.
#[must_use]
pub fn differences(expected: &str, found: &str) -> Vec<String> {
    // Columns are as wide as their widest cell, which is no difference.
    let rows = |text: &str| -> Vec<String> {
        let rows = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        rows.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let (expected, found) = (rows(expected), rows(found));
    let (wanted, there): (BTreeSet<_>, BTreeSet<_>) = (expected.iter().collect(), found.iter().collect());
    let gone = expected.iter().filter(|row| !there.contains(row)).map(|row| format!("- {row}"));
    let new = found.iter().filter(|row| !wanted.contains(row)).map(|row| format!("+ {row}"));
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Source, check};
    use super::*;

    /// Name and text of a file.
    type File = (&'static str, &'static str);

    /// Sets as shipped: name, files, table.
    const SETS: [(&str, &[File], &str); 5] = {
        const ALL: (&str, &str) = ("permit-all.cedar", include_str!("../../../policies/permit-all.cedar"));
        [
            (
                "baseline",
                &[("baseline.cedar", include_str!("../../../policies/baseline.cedar")), ALL],
                include_str!("../../../policies/baseline.expected"),
            ),
            (
                "pci",
                &[("pci.cedar", include_str!("../../../policies/pci.cedar")), ALL],
                include_str!("../../../policies/pci.expected"),
            ),
            (
                "gdpr",
                &[("gdpr.cedar", include_str!("../../../policies/gdpr.cedar")), ALL],
                include_str!("../../../policies/gdpr.expected"),
            ),
            (
                "read-only",
                &[("read-only.cedar", include_str!("../../../policies/read-only.cedar")), ALL],
                include_str!("../../../policies/read-only.expected"),
            ),
            (
                "break-glass",
                &[("break-glass.cedar", include_str!("../../../policies/break-glass.cedar"))],
                include_str!("../../../policies/break-glass.expected"),
            ),
        ]
    };
    const CASES: &str = include_str!("../../../policies/cases.toml");

    fn set(files: &[(&str, &str)]) -> PolicySet {
        let sources: Vec<_> =
            files.iter().map(|&(name, text)| Source { name: name.to_owned(), text: text.to_owned() }).collect();
        check(&sources).unwrap_or_else(|found| {
            panic!("{}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        })
    }

    #[test]
    fn the_sets_that_are_shipped_mean_what_their_tables_say() {
        let cases = Cases::parse(CASES).unwrap_or_else(|error| panic!("{error}"));
        for (name, files, expected) in SETS {
            let set = set(files);
            assert!(set.warnings().is_empty(), "{name}: {:?}", set.warnings());
            let differences = differences(expected, &cases.table(&set).unwrap());
            assert!(differences.is_empty(), "{name}:\n{}", differences.join("\n"));
        }
    }

    #[test]
    fn the_tables_have_a_row_for_every_protocol() {
        assert_eq!(Cases::parse(CASES).unwrap().uncovered(), []);
    }

    #[test]
    fn all_sets_together_are_one_set() {
        let files: Vec<_> = SETS.iter().flat_map(|(_, files, _)| files.iter().copied()).collect();
        let files: BTreeMap<_, _> = files.into_iter().collect();
        set(&files.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_row_that_changed_came_or_went_is_a_difference() {
        assert!(differences("# note\na  b  allow\n", "a b   allow\n").is_empty());
        assert_eq!(differences("a allow\n", "a deny\n"), ["- a allow", "+ a deny"]);
        assert_eq!(differences("a allow\n", "a allow\nb allow\n"), ["+ b allow"]);
    }

    #[test]
    fn a_break_glass_grant_opens_for_people_only() {
        let case = |who: &str| {
            format!(
                "[[case]]\nidentity = '{who}'\ntarget = 'ledger'\nrequest = 'drop'\nexpect = 'allow'\ngiven = {{ break_glass = true }}\n"
            )
        };
        let text = [CASES.to_owned(), case("ada"), case("automation")].concat();
        let [.., glass] = SETS;
        let failures = Cases::parse(&text).unwrap().failures(&set(glass.1)).unwrap();
        assert!(failures.len() == 1 && failures[0].contains("automation"), "{failures:?}");
    }

    #[test]
    fn cases_are_put_with_their_circumstances() {
        let text = CASES.to_owned()
            + "[[case]]\nidentity = 'ada'\ntarget = 'ledger'\nrequest = 'delete-all'\nexpect = 'allow'\ngiven = { break_glass = true }\n\
               [[case]]\nidentity = 'ada'\ntarget = 'ledger'\nrequest = 'delete-all'\nexpect = 'allow'\n";
        let [baseline, ..] = SETS;
        let failures = Cases::parse(&text).unwrap().failures(&set(baseline.1)).unwrap();
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert!(failures[0].contains("hold for one person, with a reason by [baseline.no-predicate], not allow"));
    }
}
