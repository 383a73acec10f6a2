//! Wires the rooms together.

use std::ffi::OsString;

use crate::cli::Exit;
use crate::config::Config;
use crate::control::{BypassRequest, OpenScope, PinnedState, Reason};

/// Why the daemon or a command could not be run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Transitional: the rooms are not wired yet.
    #[error("not built yet")]
    NotBuilt,
}

impl AppError {
    /// What the process exits with.
    pub fn exit(&self) -> Exit {
        Exit::UNAVAILABLE
    }
}

/// Runs the daemon until it is told to stop.
pub fn run(_config: Config) -> Result<(), AppError> {
    Err(AppError::NotBuilt)
}

/// Runs one command intercepted; gives the code it ended with.
pub fn exec(_config: Config, _command: Vec<OsString>) -> Result<i32, AppError> {
    Err(AppError::NotBuilt)
}

/// The start-up canary's own process; gives the code to exit with.
pub fn canary(_words: &[String]) -> i32 {
    69
}

/// Opens or closes scopes in the pinned maps of a daemon that is gone.
pub fn bypass_offline(_config: &Config, _request: BypassRequest) -> Result<Vec<OpenScope>, AppError> {
    Err(AppError::NotBuilt)
}

/// Removes what a daemon that is gone left pinned; gives the names of what was removed.
pub fn detach(_config: &Config, _reason: Reason) -> Result<Vec<String>, AppError> {
    Err(AppError::NotBuilt)
}

/// What is pinned.
pub fn pinned_state(_config: &Config) -> PinnedState {
    PinnedState::default()
}
