//! `sallyport report`: what was recorded, made into something to sign off.

pub(super) mod args;
mod csv;
mod html;
mod markdown;
mod tables;

use std::path::Path;

use jiff::Timestamp;

use self::args::{Format, Report};
use super::exit::{Exit, Failure};
use super::screen::Screen;
use crate::record::Store;

/// Makes a report of the store below `state_dir`. `scopes` gives the names of the configured scopes.
pub(super) fn run(
    state_dir: &Path,
    command: &Report,
    screen: &mut Screen,
    scopes: impl FnOnce() -> Vec<String>,
) -> Result<Exit, Failure> {
    let Report::AccessReview(args) = command;
    let store = Store::open_read_only(state_dir)?;
    let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
    let until = args.until.map_or(now, super::when::When::nanoseconds);
    let since = args.since.nanoseconds();
    if since >= until {
        return Err(Failure::new(Exit::USAGE, "--since is not before --until"));
    }
    let review = store.access_review(since, until, &scopes())?;
    let format = if screen.is_json() { Format::Json } else { args.format };
    if format == Format::Markdown {
        screen.page()?;
    }
    match format {
        Format::Json => screen.json(&review)?,
        Format::Csv => screen.bytes(csv::write(&review).as_bytes())?,
        Format::Html => screen.bytes(html::write(&review).as_bytes())?,
        Format::Markdown => screen.bytes(markdown::write(&review).as_bytes())?,
    }
    Ok(Exit::OK)
}
