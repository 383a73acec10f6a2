//! Whether this host is able: each thing looked at, what was found, and what to do about it.
//!
//! Looking changes nothing. Without root what can be seen is said, and what cannot is named.

mod hooks;
mod host;
mod kernel;
mod network;
mod ours;
mod process;

use std::io;
use std::path::Path;

use serde::Serialize;

use self::host::Machine;
use crate::cli::{Dirs, Screen, Tone, printable};
use crate::config::Config;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Works, with something lost or unusual.
    Warn,
    /// Sallyport cannot work, or cannot be trusted, like this.
    Fail,
    /// Could not be looked at without root.
    Skipped,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at; stable, for machines.
    pub name: &'static str,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, where something should be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Ok, found: found.into(), advice: None }
    }

    fn warn(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, state: State::Warn, found: found.into(), advice: Some(advice.into()) }
    }

    fn fail(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, state: State::Fail, found: found.into(), advice: Some(advice.into()) }
    }

    fn skipped(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Skipped, found: found.into(), advice: None }
    }
}

/// All checks.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    usable: bool,
    checks: Vec<Check>,
}

impl Report {
    /// Whether nothing failed.
    pub fn usable(&self) -> bool {
        self.usable
    }
}

/// Looks at everything. `must_exist`: the operator named the configuration file.
pub fn examine(config_path: &Path, must_exist: bool, dirs: Dirs) -> Report {
    let machine = Machine::this();
    let loaded = Config::load(config_path, must_exist);
    let mut checks = kernel::checks(&machine);
    checks.push(ours::config_file(config_path, &loaded));
    // With a broken file the rest is looked at as if there were none.
    let config = loaded.unwrap_or_else(|_| Config::defaults(&crate::config::ThisHost));
    let config = config.with_dirs(dirs.state, dirs.runtime);
    checks.push(kernel::bpffs(&machine, &config.intercept.bpffs));
    checks.push(hooks::others(&machine));
    checks.extend(process::checks(&machine, &config));
    checks.extend(network::checks(&machine, &config));
    checks.extend(ours::checks(&machine, &config));
    let usable = checks.iter().all(|check| check.state != State::Fail);
    Report { usable, checks }
}

/// Prints the report.
pub fn show(report: &Report, screen: &mut Screen) -> io::Result<()> {
    if screen.is_json() {
        return screen.json(report);
    }
    let width = report.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    for check in &report.checks {
        let (label, tone) = match check.state {
            State::Ok => ("ok  ", Tone::Good),
            State::Warn => ("warn", Tone::Warn),
            State::Fail => ("FAIL", Tone::Bad),
            State::Skipped => ("skip", Tone::Dim),
        };
        let label = screen.tinted(label, tone);
        let indent = " ".repeat(width + 8);
        for (index, line) in check.found.lines().enumerate() {
            match index {
                0 => screen.line(&format!("{label}  {:width$}  {}", check.name, printable(line)))?,
                _ => screen.line(&format!("{indent}{}", printable(line)))?,
            }
        }
        if let Some(advice) = &check.advice {
            screen.line(&format!("{indent}-> {}", printable(advice)))?;
        }
    }
    let count = |state| report.checks.iter().filter(|check| check.state == state).count();
    let verdict = match (count(State::Fail), count(State::Warn)) {
        (0, 0) => screen.tinted("This host is able.", Tone::Good),
        (0, warnings) => screen.tinted(&format!("This host is able; warnings: {warnings}."), Tone::Warn),
        (failures, _) => screen.tinted(&format!("This host is not able yet; to fix: {failures}."), Tone::Bad),
    };
    screen.line("")?;
    screen.line(&verdict)?;
    match count(State::Skipped) {
        0 => Ok(()),
        skipped => screen.line(&format!("Not looked at without root: {skipped}.")),
    }
}
