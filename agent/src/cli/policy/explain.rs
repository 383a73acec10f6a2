//! `sallyport policy explain`: how a question is decided, by what, and what would change it.

use std::fs;
use std::io;
use std::path::Path;

use super::super::exit::{Exit, Failure};
use super::super::screen::{Screen, Tone, printable};
use crate::policy::cases::{Written, outcome};
use crate::policy::{Cause, Moment, PolicySet, Question, Verdict, Zone};

/// A question is small.
const MAX_BYTES: u64 = 1024 * 1024;

#[derive(serde::Serialize)]
struct Explained<'a> {
    #[serde(flatten)]
    verdict: &'a Verdict,
    client_text: String,
    would_change: Vec<String>,
    /// What was decided at the time, of something recorded.
    recorded: Option<String>,
}

/// Reads a question.
pub(super) fn question(path: &Path, zone: &Zone) -> Result<Question, Failure> {
    let text =
        read(path).map_err(|error| Failure::new(Exit::NO_INPUT, format!("cannot read {}: {error}", path.display())))?;
    let wrong = |error: &dyn std::fmt::Display| Failure::new(Exit::DATA, format!("{}: {error}", path.display()));
    let written: Written = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    written.question(zone).map_err(|error| wrong(&error))
}

/// Decides a question, and says why. `recorded` is what was decided at the time.
pub(super) fn run(
    set: &PolicySet,
    question: &Question,
    recorded: Option<String>,
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    let verdict = set.judge(question);
    let would_change = changes(set, question, &verdict);
    if screen.is_json() {
        screen.json(&Explained { verdict: &verdict, client_text: verdict.client_text(), would_change, recorded })?;
        return Ok(Exit::OK);
    }
    if let Some(recorded) = recorded {
        screen.line(&format!("recorded as {}; by these policies:", printable(&recorded)))?;
    }
    let tone = if verdict.allows() { Tone::Good } else { Tone::Bad };
    screen.line(&screen.tinted(&outcome(&verdict), tone))?;
    screen.line(&format!("because {}", why(&verdict)))?;
    if !verdict.allows() {
        screen.line(&format!("the client is told: {}", printable(&verdict.client_text())))?;
    }
    for change in &would_change {
        screen.line(&format!("it would be otherwise {change}"))?;
    }
    for error in &verdict.errors {
        screen.line(&screen.tinted(&printable(error), Tone::Warn))?;
    }
    screen.line(&screen.tinted(&format!("policies sha256:{}", verdict.version), Tone::Dim))?;
    Ok(Exit::OK)
}

fn read(path: &Path) -> io::Result<String> {
    if path == Path::new("-") {
        return io::read_to_string(io::Read::take(io::stdin(), MAX_BYTES));
    }
    fs::read_to_string(path)
}

fn why(verdict: &Verdict) -> String {
    let named = verdict.policies.join(", ");
    match (verdict.cause, verdict.allows()) {
        (Cause::Policies, true) => format!("of {named}, and nothing forbids it"),
        (Cause::Policies, false) => format!("of {named}"),
        (Cause::NotPermitted, _) => "no policy permits it".to_owned(),
        (Cause::Unconfigured, _) => "nothing is configured".to_owned(),
        (Cause::Unclassified, _) => "the field has no classification".to_owned(),
        (Cause::Unevaluated, _) => format!("{named} could not be evaluated, and a prohibition then holds"),
        (Cause::Unanswerable, _) => "the question is not complete".to_owned(),
    }
}

/// What would change the answer, each found by asking again.
fn changes(set: &PolicySet, question: &Question, verdict: &Verdict) -> Vec<String> {
    let mut found = Vec::new();
    if let crate::policy::Outcome::Hold(approval) = &verdict.outcome {
        found.push(format!("with the approval of {approval}"));
    }
    let differs = |changed: &Question| set.judge(changed).allows() != verdict.allows();
    let mut other = question.clone();
    other.circumstances.break_glass = !question.circumstances.break_glass;
    if differs(&other) {
        let word = if question.circumstances.break_glass { "without" } else { "with" };
        found.push(format!("{word} a break-glass grant"));
    }
    let now = &question.circumstances.moment;
    let at = |moment: Moment| {
        let mut other = question.clone();
        other.circumstances.moment = moment;
        other
    };
    let hours = (1..24).map(|hours| now.after(hours * 3600));
    let days = (1..7).map(|days| now.after(days * 86_400));
    if let Some(moment) = hours.chain(days).find(|moment| differs(&at(moment.clone()))) {
        found.push(format!("at {moment}"));
    }
    found
}
