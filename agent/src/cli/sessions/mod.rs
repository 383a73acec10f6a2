//! `sallyport sessions`: what was recorded.

pub(super) mod amount;
pub(super) mod args;
pub(super) mod csv;
mod export;
mod follow;
mod list;
mod replay;
mod search;
mod show;
mod tame;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use self::args::Sessions;
use super::exit::{Exit, Failure};
use super::screen::{Screen, Tone};
use crate::record::Store;
use crate::record::read::PayloadKeys;

/// Reads the store below `state_dir`. Asks where the key of payloads is only when one is needed.
pub(super) fn run(
    state_dir: &Path,
    command: &Sessions,
    screen: &mut Screen,
    payload_key: impl FnOnce() -> Option<PathBuf>,
) -> Result<Exit, Failure> {
    let store = Store::open_read_only(state_dir)?;
    let keys = || PayloadKeys::load(payload_key().as_deref());
    match command {
        Sessions::List(args) => {
            screen.page()?;
            list(&store, args, screen)?;
        }
        Sessions::Show(args) => {
            screen.page()?;
            show::run(&store, args, screen)?;
        }
        Sessions::Search(args) => search::run(&store, args, screen)?,
        Sessions::Replay(args) => replay::run(&store, args, &keys(), screen)?,
        Sessions::Follow(args) => follow::run(store, args, screen)?,
        Sessions::Export(args) => export::run(&store, args, keys, screen)?,
    }
    Ok(Exit::OK)
}

fn list(store: &Store, args: &args::List, screen: &mut Screen) -> Result<(), Failure> {
    let filter = args.which.filter();
    let args::Paging { limit, after } = &args.paging;
    let next = if args.events {
        let page = store.events_page(&filter, after.as_deref().map(number).transpose()?, *limit)?;
        list::events(&page.rows, screen)?;
        page.rows.last().map(|row| row.id.to_string()).filter(|_| page.more)
    } else {
        let page = store.list_page(&filter, after.as_deref(), *limit)?;
        list::sessions(&page.rows, screen)?;
        page.rows.last().map(|row| row.id.to_string()).filter(|_| page.more)
    };
    say_next(next.as_deref(), screen)
}

/// The number an event or statement is listed under.
fn number(text: &str) -> Result<i64, Failure> {
    let wrong = || Failure::new(Exit::USAGE, "--after takes the number at the beginning of a line of the list");
    text.parse().map_err(|_| wrong())
}

/// Tells people how to see more.
fn say_next(next: Option<&str>, screen: &mut Screen) -> Result<(), Failure> {
    if let Some(next) = next.filter(|_| screen.is_terminal() && !screen.is_json()) {
        let line = format!("There is more: the same with --after {next}, or a larger --limit.");
        screen.line(&screen.tinted(&line, Tone::Dim))?;
    }
    Ok(())
}
