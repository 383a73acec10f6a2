//! What recording costs: rates, waits for the disk and bytes, beside plain SQLite on the same disk in the same run.
//!
//! The scribe of the tests does the work, built for release.

use std::process::Command;

use anyhow::{Context, Result};

use super::Report;
use crate::process::{self, cargo, output, target};

/// Measures everything; about a minute.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    build()?;
    // Beside what is built: on a disk, not in memory as temporary files may be.
    let directory = tempfile::Builder::new().prefix("bench-store-").tempdir_in(target(""))?;
    let said = output(scribe().arg("measure").arg(directory.path()))?;
    for line in said.lines() {
        let (key, value) = line.split_once(' ').with_context(|| format!("the scribe said `{line}`"))?;
        report.number(key, value.parse().with_context(|| format!("the scribe said `{line}`"))?);
    }
    Ok(())
}

/// Builds the scribe.
pub(super) fn build() -> Result<()> {
    let package = ["--package", "sallyport-tests", "--bin", "sallyport-scribe"];
    process::run(cargo(["build", "--release", "--quiet"]).args(package))
}

/// The scribe, without its words.
pub(super) fn scribe() -> Command {
    Command::new(target("release/sallyport-scribe"))
}
