//! `cargo xtask bench`: measures the release build and writes flat numbers that a script can compare.
//!
//! To add one: a module here with `pub(crate) fn run(report: &mut Report) -> Result<()>`, and its line in [`ALL`].

mod intercept;
mod postgres;
mod program;
mod read;
mod report;
mod store;

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::product;
pub(crate) use report::{Report, median, median_of_ratios};

type Bench = (&'static str, fn(&mut Report) -> Result<()>);

/// Every measurement, by the name that selects it.
const ALL: [Bench; 6] = [
    ("intercept", intercept::run),
    ("postgres", postgres::run),
    ("store", store::run),
    ("read", read::run),
    ("policy", program::policy),
    ("mask", program::mask),
];

/// Measures what `names` asks for, or everything, on a fresh release build.
pub(crate) fn run(names: &[String], json: Option<&Path>) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !ALL.iter().any(|(known, _)| known == name)) {
        bail!("no benchmark is named `{unknown}`; there are: {}", ALL.map(|(name, _)| name).join(", "));
    }
    product::build(true)?;
    let mut report = Report::of_this_machine()?;
    for (name, bench) in ALL.iter().filter(|(name, _)| names.is_empty() || names.iter().any(|n| n == name)) {
        println!("== {name}");
        bench(&mut report)?;
    }
    if let Some(path) = json {
        fs::write(path, report.json()?)?;
    }
    Ok(())
}

/// What the measurements start in other processes.
pub(crate) fn helper(words: &[OsString]) -> Result<()> {
    intercept::helper(words)
}
