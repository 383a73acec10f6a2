//! `sallyport policy diff`: what was recorded, put to two sets of policies.

use std::collections::BTreeMap;

use super::super::exit::{Exit, Failure};
use super::super::screen::{Screen, Tone, printable};
use super::recorded::Recorded;
use crate::policy::PolicySet;
use crate::policy::cases::outcome;

/// One kind of request that is decided differently.
#[derive(serde::Serialize)]
struct Difference {
    workload: String,
    target: String,
    action: &'static str,
    before: String,
    after: String,
    policies: Vec<String>,
    count: u64,
    example: String,
}

/// Puts what was recorded to both; exits with 65 when they differ on any of it.
pub(super) fn run(
    (a, b): (&PolicySet, &PolicySet),
    (recorded, unknown): (&[Recorded], u64),
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    let mut found: BTreeMap<(String, String, &str, String, String), Difference> = BTreeMap::new();
    let mut asked = 0;
    for one in recorded {
        asked += one.count;
        let (before, after) = (a.judge(&one.question), b.judge(&one.question));
        let (was, is) = (outcome(&before), outcome(&after));
        if was == is {
            continue;
        }
        let (workload, target) = (one.question.subject.workload().spiffe.clone(), one.question.target.id());
        let action = one.question.asked.action().as_str();
        let key = (workload.clone(), target.clone(), action, was.clone(), is.clone());
        let example = one.example.to_string();
        let fresh =
            Difference { workload, target, action, before: was, after: is, policies: Vec::new(), count: 0, example };
        let entry = found.entry(key).or_insert(fresh);
        entry.count += one.count;
        for policy in after.policies {
            let policy = policy.to_string();
            if !entry.policies.contains(&policy) {
                entry.policies.push(policy);
            }
        }
    }
    let mut all: Vec<Difference> = found.into_values().collect();
    all.sort_by_key(|difference| std::cmp::Reverse(difference.count));
    let exit = if all.is_empty() { Exit::OK } else { Exit::DATA };
    if screen.is_json() {
        screen.json(&serde_json::json!({ "asked": asked, "not_asked": unknown, "differences": all }))?;
        return Ok(exit);
    }
    for one in &all {
        let tone = if one.after == "allow" { Tone::Warn } else { Tone::Bad };
        let change = screen.tinted(&format!("{} -> {}", one.before, one.after), tone);
        screen.line(&format!("{change}  {} times: {} {}", one.count, one.action, printable(&one.target)))?;
        screen.line(&format!("  by {}, for example {}", printable(&one.workload), one.example))?;
        if !one.policies.is_empty() {
            screen.line(&format!("  because of {}", printable(&one.policies.join(", "))))?;
        }
    }
    let said = if all.is_empty() { "no difference" } else { "in all" };
    screen.line(&format!("{said}: {asked} recorded connections and requests were put to both"))?;
    if unknown > 0 {
        screen.line(&screen.tinted(&format!("{unknown} more cannot be asked again"), Tone::Warn))?;
    }
    Ok(exit)
}
