//! `sallyport sessions`: what was recorded.

pub(super) mod amount;
pub(super) mod args;
pub(super) mod csv;
mod custody;
mod export;
mod follow;
mod list;
mod replay;
mod search;
mod show;
mod tame;
#[cfg(test)]
mod tests;
mod verify;

use std::path::Path;

use self::args::Sessions;
use super::exit::{Exit, Failure};
use super::screen::{Screen, Tone};
use crate::config::Config;
use crate::record::Store;
use crate::record::read::PayloadKeys;

/// Reads the store below `state_dir`. Asks for the configuration only when it is needed.
pub(super) fn run(
    state_dir: &Path,
    command: &Sessions,
    screen: &mut Screen,
    config: impl Fn() -> Result<Config, Failure>,
) -> Result<Exit, Failure> {
    let store = || Store::open_read_only(state_dir);
    // Who may not read the configuration can read the store all the same.
    let keys = || PayloadKeys::load(config().ok().and_then(|config| config.audit.payload_key).as_deref());
    match command {
        Sessions::List(args) => {
            let store = store()?;
            screen.page()?;
            list(&store, args, screen)?;
        }
        Sessions::Show(args) => {
            let store = store()?;
            screen.page()?;
            show::run(&store, args, screen)?;
        }
        Sessions::Search(args) => search::run(&store()?, args, screen)?,
        Sessions::Replay(args) => replay::run(&store()?, args, &keys(), screen)?,
        Sessions::Follow(args) => follow::run(store()?, args, screen)?,
        Sessions::Export(args) if args.proof => verify::export(state_dir, &store()?, args, screen)?,
        Sessions::Export(args) => export::run(&store()?, args, keys, screen)?,
        Sessions::Verify(args) => return verify::run(state_dir, args, screen),
        Sessions::Hold(args) => return custody::hold(state_dir, args, screen, config),
        Sessions::RotateKey => return custody::rotate_key(state_dir, screen, config),
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
