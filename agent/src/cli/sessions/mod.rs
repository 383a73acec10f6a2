//! `sallyport sessions`: what was recorded.

mod amount;
mod list;
mod show;

use std::path::Path;

use super::args::{List, Sessions};
use super::exit::{Exit, Failure};
use super::screen::Screen;
use super::when::When;
use crate::record::{Filter, Store};

/// Lists sessions or events, or shows one session.
pub(super) fn run(state_dir: &Path, command: &Sessions, screen: &mut Screen) -> Result<Exit, Failure> {
    let store = Store::open_read_only(state_dir)?;
    match command {
        Sessions::List(args) if args.events => list::events(&store.events(&filter(args))?, screen)?,
        Sessions::List(args) => list::sessions(&store.list(&filter(args))?, screen)?,
        Sessions::Show { id } => show::session(&store.show(id)?, screen)?,
    }
    Ok(Exit::OK)
}

fn filter(args: &List) -> Filter {
    // The store counts nanoseconds in 64 bits; what lies outside is before or after everything.
    let nanoseconds = |when: When| {
        let time = when.timestamp();
        let edge = if time.as_second() < 0 { i64::MIN } else { i64::MAX };
        i64::try_from(time.as_nanosecond()).unwrap_or(edge)
    };
    Filter {
        since_ns: args.since.map(nanoseconds),
        until_ns: args.until.map(nanoseconds),
        unit: args.unit.clone(),
        user: args.user.clone(),
        target: args.target.clone(),
        outcome: args.outcome,
        limit: Some(args.limit),
    }
}
