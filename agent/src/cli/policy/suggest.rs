//! `sallyport policy suggest`: policies that permit what was let through so far.

use super::super::exit::{Exit, Failure};
use super::super::screen::{Screen, printable};
use super::recorded::Recorded;
use crate::policy::{Rejected, Seen, suggest};

/// Prints policies; what they leave out is said in comments.
pub(super) fn run(recorded: Vec<Recorded>, unknown: u64, screen: &mut Screen) -> Result<Exit, Failure> {
    let allowed = |one: &Recorded| one.decision == "allow" || one.decision == "would-deny";
    let seen: Vec<Seen> =
        recorded.into_iter().filter(allowed).map(|one| Seen { question: one.question, count: one.count }).collect();
    let asked: u64 = seen.iter().map(|one| one.count).sum();
    let made = suggest(&seen).map_err(|findings| Failure::from(Rejected { findings, missing: false }))?;
    if screen.is_json() {
        screen.json(&serde_json::json!({
            "policies": made.policies, "asked": asked, "permitted": made.permitted, "not_asked": unknown,
            "left_out": made.left_out, "text": made.text,
        }))?;
        return Ok(Exit::OK);
    }
    screen.line(&format!(
        "// Of {asked} connections and requests that were let through, these permit {}.",
        made.permitted
    ))?;
    screen.line("// Read them before they are put in force: what was seen need not be what should be.")?;
    for (what, count) in &made.left_out {
        screen.line(&format!("// left out, {count} times: {}", printable(what)))?;
    }
    if unknown > 0 {
        screen.line(&format!("// {unknown} more cannot be asked again"))?;
    }
    screen.line("")?;
    made.text.lines().try_for_each(|line| screen.line(&printable(line)))?;
    Ok(Exit::OK)
}
