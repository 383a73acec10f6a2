//! What an operator does to the store itself: keep segments, change the key.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::exit::{Exit, Failure};
use super::super::screen::{Screen, printable};
use super::args::Hold;
use crate::app;
use crate::config::Config;
use crate::record::{Store, holds};

/// Places, lifts or lists holds.
pub(super) fn hold(
    state_dir: &Path,
    args: &Hold,
    screen: &mut Screen,
    config: impl Fn() -> Result<Config, Failure>,
) -> Result<Exit, Failure> {
    let (Some(what), Some(reason)) = (&args.what, &args.reason) else {
        return list(state_dir, screen);
    };
    super::super::needs_root("sessions hold")?;
    let store = Store::open_read_only(state_dir)?;
    let known = store.segment_numbers();
    let segments: BTreeSet<u64> = match what.parse() {
        // A connection's id may be all digits as well: short ones are numbers.
        Ok(number) if what.len() <= 6 => {
            if !known.contains(&number) {
                let of = known.first().zip(known.last()).map_or_else(String::new, |(a, z)| {
                    if a == z { format!(": there is {a}") } else { format!(": there are {a} to {z}") }
                });
                return Err(Failure::new(Exit::NO_INPUT, format!("there is no segment {number}{of}")));
            }
            BTreeSet::from([number])
        }
        _ => store.segments_of(&store.session(what)?).into_iter().collect(),
    };
    app::hold(&config()?, &segments, reason, args.lift)?;
    let held = if args.lift { "may be removed again" } else { "is kept until the hold is lifted" };
    if screen.is_json() {
        screen.json(&serde_json::json!({ "segments": segments, "held": !args.lift }))?;
    } else {
        segments.iter().try_for_each(|number| screen.line(&format!("Segment {number} {held}")))?;
    }
    Ok(Exit::OK)
}

fn list(state_dir: &Path, screen: &mut Screen) -> Result<Exit, Failure> {
    // Says what is the matter with a store that is not there or may not be read.
    drop(Store::open_read_only(state_dir)?);
    let held = holds(state_dir).map_err(|e| Failure::caused(Exit::IO, &e))?;
    if screen.is_json() {
        let held: Vec<_> = held.iter().map(|(n, why)| serde_json::json!({ "segment": n, "reason": why })).collect();
        screen.json(&serde_json::json!({ "holds": held }))?;
    } else if held.is_empty() {
        screen.line("No segment is held")?;
    } else {
        held.iter().try_for_each(|(number, why)| screen.line(&format!("Segment {number}: {}", printable(why))))?;
    }
    Ok(Exit::OK)
}

/// Puts a new key in force.
pub(super) fn rotate_key(
    state_dir: &Path,
    screen: &mut Screen,
    config: impl Fn() -> Result<Config, Failure>,
) -> Result<Exit, Failure> {
    super::super::needs_root("sessions rotate-key")?;
    // Says what is the matter where nothing was ever signed.
    drop(Store::open_read_only(state_dir)?);
    let (old, new) = app::rotate_key(&config()?)?;
    if screen.is_json() {
        screen.json(&serde_json::json!({ "old": old, "new": new }))?;
    } else {
        screen.line(&format!("Checkpoints are signed by {new}"))?;
        screen.line(&format!("What {old} signed still verifies; give the new one to whoever verifies with --key"))?;
    }
    Ok(Exit::OK)
}
