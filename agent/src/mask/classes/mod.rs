//! Which columns, JSON fields and headers are of which class, and how a class is masked.
//!
//! `read` takes the files apart, `judge` finds what is suspicious in them, `lookup` answers. Where several rules are about
//! the same field, the class whose function leaves least of a value wins ([`Function::by_strictness`](super::Function::by_strictness)): null, redact,
//! constant, hash, truncate-date (year before month), generalise (larger steps first), keep-last (fewer first). Classes
//! that leave the same are taken by name. So the order of rules and files never matters.

mod judge;
mod lookup;
mod path;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::detect::{Detector, Detectors};
use super::function::Rule;
use super::key::Key;
use crate::config::{Glob, Problems};
use crate::policy::{Finding, Source};

pub use path::Step;

/// Most classes of one set.
pub const MAX_CLASSES: usize = 256;
/// Most rules of one set.
pub const MAX_RULES: usize = 4096;

/// What is protected in the same way.
#[derive(Debug)]
pub struct Class {
    name: String,
    rule: Rule,
}

impl Class {
    /// Its name, such as `pii.email`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How its values are masked.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
}

/// Everything that classification files say, checked as a whole.
#[derive(Debug)]
pub struct Classes {
    /// The strictest first.
    classes: Vec<Arc<Class>>,
    index: lookup::Index,
    detectors: Detectors,
    detected: BTreeMap<Detector, usize>,
    rules: usize,
    warnings: Vec<Finding>,
}

/// A rule as it was written, its class by place in the set.
#[derive(Clone, Debug)]
struct Written {
    source: usize,
    span: std::ops::Range<usize>,
    class: usize,
    target: Vec<Glob>,
    place: Place,
}

/// What a rule is about. An empty list of patterns is every name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Column { schema: Vec<Glob>, table: Vec<Glob>, column: Vec<Glob> },
    Field(Vec<path::PathPattern>),
    Header(Vec<Glob>),
}

/// Checks files as one set. Pseudonyms are made with `key`.
///
/// # Errors
/// Everything that is wrong with them, in order of file and place.
pub fn check(sources: &[Source], key: &Key) -> Result<Classes, Vec<Finding>> {
    let mut sorted: Vec<&Source> = sources.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut problems: Vec<Problems> = sorted.iter().map(|_| Problems::default()).collect();
    let read = read::read(&sorted, &mut problems);
    let findings: Vec<Finding> = sorted.iter().zip(problems).flat_map(|(source, found)| told(source, found)).collect();
    if !findings.is_empty() {
        return Err(findings);
    }
    let warnings = judge::warnings(&sorted, &read);
    let detected = read.detected.iter().map(|(detector, (class, ..))| (*detector, *class)).collect();
    let made = |class: &read::ReadClass| {
        let name = class.name.get_ref().clone();
        Arc::new(Class { rule: Rule::new(class.function.clone(), &name, key), name })
    };
    Ok(Classes {
        classes: read.classes.iter().map(made).collect(),
        detectors: read.detected.keys().copied().collect(),
        detected,
        rules: read.rules.len(),
        index: lookup::Index::new(read.rules),
        warnings,
    })
}

/// Problems of one file as findings.
fn told(source: &Source, problems: Problems) -> Vec<Finding> {
    if problems.is_empty() {
        return Vec::new();
    }
    let errors = problems.locate(std::path::Path::new(&source.name), &source.text);
    let one = |problem: &crate::config::Problem| Finding {
        file: source.name.clone(),
        problem: Some(problem.clone()),
        whole: None,
    };
    let mut findings: Vec<Finding> = errors.problems().iter().map(one).collect();
    if errors.more() > 0 {
        findings.push(Finding::whole(source.name.clone(), format!("and {} more", errors.more())));
    }
    findings
}

impl Classes {
    /// No class at all.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            classes: Vec::new(),
            index: lookup::Index::default(),
            detectors: Detectors::default(),
            detected: BTreeMap::new(),
            rules: 0,
            warnings: Vec::new(),
        }
    }

    /// Classes, the strictest first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Class>> {
        self.classes.iter()
    }

    /// How many rules say what is of which class.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.rules
    }

    /// What is good, and yet hardly what was meant.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The detectors that some class asks for.
    #[must_use]
    pub fn detectors(&self) -> &Detectors {
        &self.detectors
    }

    /// The class of what a detector finds.
    #[must_use]
    pub fn of_hit(&self, detector: Detector) -> Option<&Arc<Class>> {
        self.classes.get(*self.detected.get(&detector)?)
    }
}
