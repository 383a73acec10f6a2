//! What is good and yet hardly meant: rules that contradict one another, rules and classes without effect.

use super::read::Read;
use super::{Place, Written};
use crate::config::{Glob, quoted};
use crate::policy::{Finding, Source};

/// Pairs of rules that are compared with one another.
const MAX_PAIRS: usize = 500_000;
/// So many are told.
const MOST_TOLD: usize = 100;

/// Everything suspicious.
pub(super) fn warnings(sources: &[&Source], read: &Read) -> Vec<Finding> {
    let mut found = unused(sources, read);
    let mut pairs = 0;
    for (at, rule) in read.rules.iter().enumerate() {
        // Whoever looks at more than this has generated the rules.
        pairs += read.rules.len();
        if pairs > MAX_PAIRS || found.len() >= MOST_TOLD {
            break;
        }
        if let Some(finding) = idle(sources, read, at, rule) {
            found.push(finding);
        }
    }
    found
}

fn finding(sources: &[&Source], rule: &Written, message: String, help: Option<String>) -> Option<Finding> {
    sources.get(rule.source).map(|source| Finding::at(source, rule.span.clone(), message, help))
}

fn place(sources: &[&Source], rule: &Written) -> String {
    let Some(source) = sources.get(rule.source) else { return String::new() };
    let line = source.text.get(..rule.span.start).unwrap_or_default().matches('\n').count() + 1;
    format!("{}:{line}", source.name)
}

fn unused(sources: &[&Source], read: &Read) -> Vec<Finding> {
    let mut found = Vec::new();
    for (at, class) in read.classes.iter().enumerate() {
        let used = read.rules.iter().any(|rule| rule.class == at);
        let detected = read.detected.values().any(|(class, ..)| *class == at);
        if !used && !detected {
            let message = format!("nothing is of class {}", quoted(class.name.get_ref()));
            let help = Some("name it in a rule, give it `detect`, or drop it".to_owned());
            let source = sources.get(class.source);
            found.extend(source.map(|source| Finding::at(source, class.name.span(), message, help)));
        }
    }
    found
}

/// A rule that never decides, because another one is about the same and at least as strict.
fn idle(sources: &[&Source], read: &Read, at: usize, rule: &Written) -> Option<Finding> {
    let name = |rule: &Written| read.classes.get(rule.class).map_or("", |class| class.name.get_ref());
    for (other_at, other) in read.rules.iter().enumerate() {
        let same = other.target == rule.target && other.place == rule.place;
        let stricter = other.class < rule.class || (other.class == rule.class && (other_at < at || !same));
        if other_at == at || !stricter || !covers(other, rule) {
            continue;
        }
        let at = place(sources, other);
        return if same && other.class != rule.class {
            let message = format!("the same is of class {} at {at}", quoted(name(other)));
            let help = format!("the stricter of the two wins: `{}`", name(other));
            finding(sources, rule, message, Some(help))
        } else {
            let message = format!("this rule never decides: the one at {at} is about all of it");
            let help = format!("class `{}` there is as strict or stricter", name(other));
            finding(sources, rule, message, Some(help))
        };
    }
    None
}

/// Whether everything `narrow` is about, `wide` is about too. Errs to no.
fn covers(wide: &Written, narrow: &Written) -> bool {
    every(&wide.target, &narrow.target)
        && match (&wide.place, &narrow.place) {
            (
                Place::Column { schema, table, column },
                Place::Column { schema: narrow_schema, table: narrow_table, column: narrow_column },
            ) => every(schema, narrow_schema) && every(table, narrow_table) && every(column, narrow_column),
            (Place::Field(wide), Place::Field(narrow)) => narrow.iter().all(|path| wide.contains(path)),
            (Place::Header(wide), Place::Header(narrow)) => every(wide, narrow),
            (Place::Column { .. } | Place::Field(_) | Place::Header(_), _) => false,
        }
}

fn every(wide: &[Glob], narrow: &[Glob]) -> bool {
    let any = |wide: &Glob| wide.as_str() == "*";
    if wide.is_empty() || wide.iter().any(any) {
        return true;
    }
    !narrow.is_empty() && narrow.iter().all(|narrow| wide.iter().any(|wide| within(wide, narrow)))
}

/// A pattern of stars and plain characters that matches another pattern's text matches all that the other does: its plain
/// characters stand for themselves there, and its stars take up what the other leaves open.
fn within(wide: &Glob, narrow: &Glob) -> bool {
    wide == narrow || (!wide.as_str().contains('?') && wide.matches(narrow.as_str()))
}
