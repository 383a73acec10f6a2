//! `sallyport policy test`: the decision table, compared with the one that people agreed on.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::exit::{Exit, Failure};
use super::super::screen::{Screen, Tone};
use crate::policy::PolicySet;
use crate::policy::cases::{CaseError, Cases, differences};

/// Which files are compared.
pub(super) struct Files {
    cases: PathBuf,
    expected: PathBuf,
}

impl Files {
    /// Those named, or else those beside the policies.
    pub(super) fn beside(first: &Path, cases: Option<&Path>, expected: Option<&Path>) -> Self {
        let beside = if first.is_dir() { first } else { first.parent().unwrap_or(Path::new(".")) };
        let table = if first.is_dir() { first.join("decisions.expected") } else { first.with_extension("expected") };
        Self {
            cases: cases.map_or_else(|| beside.join("cases.toml"), Path::to_owned),
            expected: expected.map_or(table, Path::to_owned),
        }
    }
}

#[derive(serde::Serialize)]
struct Tested {
    rows: usize,
    differences: Vec<String>,
    failures: Vec<String>,
}

/// Compares, or writes.
pub(super) fn run(set: &PolicySet, files: &Files, write: bool, screen: &mut Screen) -> Result<Exit, Failure> {
    let cases = Cases::parse(&read(&files.cases)?).map_err(|error| wrong(&files.cases, &error))?;
    let table = cases.table(set).map_err(|error| wrong(&files.cases, &error))?;
    let failures = cases.failures(set).map_err(|error| wrong(&files.cases, &error))?;
    if write {
        let failed = |error| Failure::new(Exit::IO, format!("cannot write {}: {error}", files.expected.display()));
        fs::write(&files.expected, &table).map_err(failed)?;
    }
    let differences = if write { Vec::new() } else { differences(&read(&files.expected)?, &table) };
    let good = differences.is_empty() && failures.is_empty();
    let exit = if good { Exit::OK } else { Exit::DATA };
    let rows = table.lines().count();
    if screen.is_json() {
        screen.json(&Tested { rows, differences, failures })?;
        return Ok(exit);
    }
    for line in &differences {
        screen.line(&screen.tinted(line, if line.starts_with('-') { Tone::Bad } else { Tone::Good }))?;
    }
    for failure in &failures {
        screen.line(&screen.tinted(failure, Tone::Bad))?;
    }
    let said = match (good, write) {
        (true, true) => format!("wrote {rows} rows to {}", files.expected.display()),
        (true, false) => format!("{rows} rows as in {}", files.expected.display()),
        (false, _) => format!("{} differences, {} failed cases", differences.len(), failures.len()),
    };
    screen.line(&said)?;
    Ok(exit)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::new(Exit::NO_INPUT, format!("cannot read {}: {error}", path.display())))
}

fn wrong(path: &Path, error: &CaseError) -> Failure {
    Failure::new(Exit::DATA, format!("{}: {error}", path.display()))
}
