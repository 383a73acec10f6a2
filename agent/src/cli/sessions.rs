//! `sallyport sessions`: what was recorded.

use std::path::Path;

use super::args::Sessions;
use super::exit::{Exit, Failure};
use super::screen::Screen;

/// Lists sessions or shows one.
pub(super) fn run(state_dir: &Path, _command: &Sessions, _screen: &mut Screen) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::NO_INPUT, format!("there is no store at {}", state_dir.display())))
}
