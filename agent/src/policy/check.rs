//! From texts to a set: everything that is wrong with them, each with its place, or the set and what is suspicious in it.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, PolicySet as CedarSet, ValidationMode, ValidationResult, Validator};
use miette::Diagnostic;
use sha2::{Digest, Sha256};

use super::{
    index::Index,
    set::{PolicySet, Rule, Version},
    shape::{Reads, Shape},
    vocabulary::Vocabulary,
};
use crate::config::{Problem, nearest};

/// Most policies of one set.
pub const MAX_POLICIES: usize = 20_000;
/// Longest id, bytes: it goes into every record.
const MAX_ID: usize = 200;
/// Longest message to a client, bytes.
const MAX_MESSAGE: usize = 1000;
/// Pairs of a permit and a forbid that are compared with one another.
const MAX_PAIRS: usize = 500_000;
/// So many findings are kept; one slip can break every policy of a generated file.
const MOST_KEPT: usize = 200;

/// One file of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Path below the directory.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Something wrong, or suspicious, at one place of one file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Which file.
    pub file: String,
    /// Where in it, and what; `None` when it is about the file as a whole.
    #[serde(flatten)]
    pub problem: Option<Problem>,
    /// What is wrong with the file as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<String>,
}

impl Finding {
    /// About a file, or a directory, as a whole.
    pub(crate) fn whole(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: file.into(), problem: None, whole: Some(what.into()) }
    }

    pub(crate) fn at(source: &Source, span: Range<usize>, message: impl Into<String>, help: Option<String>) -> Self {
        let problem = Problem::at(&source.text, span, message, help);
        Self { file: source.name.clone(), problem: Some(problem), whole: None }
    }

    fn place(&self) -> (&str, usize, usize) {
        let place = self.problem.as_ref().map_or((0, 0), |problem| (problem.line, problem.column));
        (&self.file, place.0, place.1)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.problem, &self.whole) {
            (Some(problem), _) => write!(f, "{}:{problem}", self.file),
            (None, Some(whole)) => write!(f, "{}: {whole}", self.file),
            (None, None) => f.write_str(&self.file),
        }
    }
}

/// A policy, where it stands, and what is seen of it.
struct Entry<'s> {
    source: &'s Source,
    span: Range<usize>,
    policy: Policy,
    rule: Rule,
    shape: Shape,
}

/// Checks texts as one set.
///
/// # Errors
/// Everything that is wrong with them, in order of file and place.
pub fn check(sources: &[Source]) -> Result<PolicySet, Vec<Finding>> {
    let words = match Vocabulary::shared() {
        Ok(words) => words,
        Err(error) => return Err(vec![Finding::whole("schema.cedarschema", error.to_string())]),
    };
    let mut sorted: Vec<&Source> = sources.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut entries, mut wrong) = (Vec::new(), Vec::new());
    for source in &sorted {
        parse(words, source, &mut entries, &mut wrong);
    }
    if let Some(entry) = entries.get(MAX_POLICIES) {
        let message = format!("{} policies; {MAX_POLICIES} is the most", entries.len());
        wrong.push(Finding::at(entry.source, entry.span.clone(), message, None));
        return Err(wrong);
    }
    unique(&entries, &mut wrong);
    for entry in &entries {
        object(entry, &mut wrong);
    }
    let mut warnings = Vec::new();
    validate(words, &entries, &mut wrong, &mut warnings);
    if !wrong.is_empty() {
        return Err(ordered(wrong));
    }
    contradictions(&entries, &mut warnings);
    let (mut index, mut reads) = (Index::default(), Reads::default());
    for entry in &entries {
        reads.merge(&entry.shape.reads);
        index
            .add(&entry.policy, &entry.shape)
            .map_err(|error| vec![Finding::at(entry.source, entry.span.clone(), error.to_string(), None)])?;
    }
    let rules = entries.into_iter().map(|entry| entry.rule).collect();
    Ok(PolicySet { rules, index, reads, version: version(&sorted), warnings: ordered(warnings), unconfigured: false })
}

fn version(sorted: &[&Source]) -> Version {
    let mut digest = Sha256::new();
    for source in sorted {
        for part in [&source.name, &source.text] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
    }
    Version(digest.finalize().into())
}

fn ordered(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|a, b| a.place().cmp(&b.place()));
    findings.dedup();
    findings.truncate(MOST_KEPT);
    findings
}

fn parse<'s>(words: &Vocabulary, source: &'s Source, entries: &mut Vec<Entry<'s>>, wrong: &mut Vec<Finding>) {
    let set = match source.text.parse::<CedarSet>() {
        Ok(set) => set,
        Err(errors) => {
            let found = errors.iter().map(|error| from_diagnostic(words, source, error, error.to_string(), ""));
            return wrong.extend(found);
        }
    };
    for template in set.templates() {
        let start = source.text.find(&template.to_cedar()).unwrap_or(0);
        let help = Some("name the principal and the resource".to_owned());
        wrong.push(Finding::at(source, start..start, "a template with `?principal` or `?resource` is no policy", help));
    }
    // Cedar numbers policies in the order of the text: `policy0`, `policy1`, …
    let number = |policy: &&Policy| {
        let id: &str = policy.id().as_ref();
        id.strip_prefix("policy").and_then(|number| number.parse::<usize>().ok())
    };
    let mut policies: Vec<&Policy> = set.policies().collect();
    policies.sort_by_key(number);
    let mut from = 0;
    for (nth, policy) in policies.into_iter().enumerate() {
        let text = policy.to_cedar().unwrap_or_default();
        let start = source.text.get(from..).and_then(|rest| rest.find(&text)).map_or(from, |at| from + at);
        let span = start..start + text.len();
        from = span.end.min(source.text.len());
        let body = match policy.to_pst() {
            Ok(body) => body,
            Err(error) => {
                wrong.push(Finding::at(source, span, error.to_string(), None));
                continue;
            }
        };
        let id = policy.annotation("id").map_or_else(|| format!("{}#{}", source.name, nth + 1), str::to_owned);
        let message = policy.annotation("message").map(Arc::from);
        let shape = Shape::of(words, body);
        let rule = Rule { id: id.into(), message };
        let policy = policy.new_id(PolicyId::new(entries.len().to_string()));
        entries.push(Entry { source, span, policy, rule, shape });
    }
}

fn unique(entries: &[Entry<'_>], wrong: &mut Vec<Finding>) {
    let mut seen: HashMap<&str, &Entry<'_>> = HashMap::new();
    for entry in entries {
        let id: &str = &entry.rule.id;
        if let Some(first) = seen.insert(id, entry) {
            let line = first.source.text.get(..first.span.start).map_or(1, |before| before.matches('\n').count() + 1);
            let help = Some(format!("it is taken in {}, line {line}", first.source.name));
            wrong.push(Finding::at(entry.source, mark(entry, "@id"), format!("the id {id:?} is taken"), help));
        }
        if id.is_empty() || id.len() > MAX_ID || id.chars().any(char::is_control) {
            let message = format!("an id is 1 to {MAX_ID} bytes without control characters");
            wrong.push(Finding::at(entry.source, mark(entry, "@id"), message, None));
        }
        if entry
            .rule
            .message
            .as_ref()
            .is_some_and(|text| text.len() > MAX_MESSAGE || text.chars().any(char::is_control))
        {
            let message = format!("a message is one line of at most {MAX_MESSAGE} bytes");
            wrong.push(Finding::at(entry.source, mark(entry, "@message"), message, None));
        }
    }
}

fn object(entry: &Entry<'_>, wrong: &mut Vec<Finding>) {
    for (name, _) in entry.policy.annotations().filter(|(name, _)| !matches!(*name, "id" | "message")) {
        let help = match nearest(name, ["id", "message"]) {
            Some(near) => format!("did you mean `@{near}`?"),
            None => "what a policy means stands in its conditions".to_owned(),
        };
        wrong.push(Finding::at(entry.source, mark(entry, name), format!("unknown annotation `@{name}`"), Some(help)));
    }
    for objection in &entry.shape.objections {
        let span = mark(entry, objection.word);
        wrong.push(Finding::at(entry.source, span, objection.message, Some(objection.help.to_owned())));
    }
    if entry.shape.protocols.as_ref().is_some_and(Vec::is_empty) {
        let help = Some(
            "`is Database` is postgres or mysql, `is HttpRoute` is http, `is Target` is tcp, tls or redis".to_owned(),
        );
        let message = "no protocol has requests to this kind of resource";
        wrong.push(Finding::at(entry.source, mark(entry, "resource"), message, help));
    }
}

/// Where a word stands in a policy, or else where the policy does.
fn mark(entry: &Entry<'_>, word: &str) -> Range<usize> {
    let text = entry.source.text.get(entry.span.clone()).unwrap_or_default();
    match text.find(word) {
        Some(at) => entry.span.start + at..entry.span.start + at + word.len(),
        None => {
            let first = text.split('\n').next().unwrap_or_default();
            entry.span.start..entry.span.start + first.len()
        }
    }
}

/// Strictly, against the schema: as a whole for policies about anything, as each protocol narrows it for the others.
fn validate(words: &Vocabulary, entries: &[Entry<'_>], wrong: &mut Vec<Finding>, warnings: &mut Vec<Finding>) {
    let general: Vec<_> = entries.iter().filter(|entry| entry.shape.protocols.is_none()).collect();
    put(words, words.general(), (&general, ""), entries, (wrong, warnings));
    for protocol in super::Protocol::ALL {
        let about = |entry: &&Entry<'_>| entry.shape.protocols.as_ref().is_some_and(|all| all.contains(&protocol));
        let narrowed: Vec<_> = entries.iter().filter(about).collect();
        let Some(validator) = words.narrowed(protocol) else { continue };
        let spoken = format!(" where {} is spoken", protocol.as_str());
        // What is never true for one of several protocols is no mistake.
        let one = |entry: &&&Entry<'_>| entry.shape.protocols.as_ref().is_some_and(|all| all.len() == 1);
        let (single, several): (Vec<_>, Vec<_>) = narrowed.into_iter().partition(|entry| one(&entry));
        put(words, validator, (&single, &spoken), entries, (wrong, warnings));
        put(words, validator, (&several, &spoken), entries, (wrong, &mut Vec::new()));
    }
}

fn put(
    words: &Vocabulary,
    validator: &Validator,
    (chosen, place): (&[&Entry<'_>], &str),
    entries: &[Entry<'_>],
    (wrong, warnings): (&mut Vec<Finding>, &mut Vec<Finding>),
) {
    let Ok(set) = CedarSet::from_policies(chosen.iter().map(|entry| entry.policy.clone())) else { return };
    let result: ValidationResult = validator.validate(&set, ValidationMode::Strict);
    let entry = |id: &PolicyId| AsRef::<str>::as_ref(id).parse::<usize>().ok().and_then(|number| entries.get(number));
    for error in result.validation_errors() {
        let Some(entry) = entry(error.policy_id()) else { continue };
        wrong.push(from_diagnostic(words, entry.source, error, error.to_string(), place));
    }
    for warning in result.validation_warnings() {
        let Some(entry) = entry(warning.policy_id()) else { continue };
        let mut finding = from_diagnostic(words, entry.source, warning, warning.to_string(), place);
        let name = format!("`{}`", entry.rule.id);
        if let Some(problem) = &mut finding.problem {
            problem.message = format!("{name}: {}", problem.message);
        }
        warnings.push(finding);
    }
}

/// Cedar's own words, with its place, its advice, and the nearest name of the schema.
fn from_diagnostic(
    words: &Vocabulary,
    source: &Source,
    error: &dyn Diagnostic,
    message: String,
    place: &str,
) -> Finding {
    let mut labels = error.labels().into_iter().flatten();
    let span = labels
        .next()
        .map_or(source.text.len()..source.text.len(), |label| label.offset()..label.offset() + label.len());
    // "for policy `12`, …": the number is ours, and the place says it better.
    let message = match message.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, ")) {
        Some((_, rest)) => rest.to_owned(),
        None => message,
    };
    let named = |word: &str| words.names().any(|name| name == word);
    let lacking = message.contains("not found") && message.split('`').nth(1).is_some_and(named) && !place.is_empty();
    let help = match lacking {
        true => {
            Some("guard it with `context has …`, or begin with `context.protocol == \"…\"` of one that has it".into())
        }
        false => suggestion(words, &message).or_else(|| error.help().map(|help| help.to_string())),
    };
    Finding::at(source, span, format!("{message}{place}"), help)
}

fn suggestion(words: &Vocabulary, message: &str) -> Option<String> {
    let quoted = message.split('`').skip(1).step_by(2);
    let mut near = quoted.filter_map(|word| {
        let last = word.rsplit("::").next().unwrap_or(word).trim_matches('"');
        words.names().all(|name| name != last).then(|| nearest(last, words.names()))?
    });
    near.next().map(|near| format!("did you mean `{near}`?"))
}

/// Permits that a forbid makes void, as far as the texts show.
fn contradictions(entries: &[Entry<'_>], warnings: &mut Vec<Finding>) {
    let (permits, forbids): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.shape.permits);
    for (permit, forbid) in
        permits.iter().flat_map(|permit| forbids.iter().map(move |forbid| (permit, forbid))).take(MAX_PAIRS)
    {
        if forbid.shape.covers(&permit.shape) {
            let message = format!("`{}` can permit nothing: `{}` forbids all of it", permit.rule.id, forbid.rule.id);
            warnings.push(Finding::at(permit.source, mark(permit, "permit"), message, None));
        }
    }
}
