//! Numbers that programs of `agent/benches` print: what decisions cost, and what masking costs.

use anyhow::{Context, Result, bail};

use super::Report;
use crate::process::{cargo, output};

/// Decisions, remembered or not, and a reload: `agent/benches/policy.rs`.
pub(crate) fn policy(report: &mut Report) -> Result<()> {
    run("policy", report)
}

/// Finding and masking values: `agent/benches/mask.rs`.
pub(crate) fn mask(report: &mut Report) -> Result<()> {
    run("mask", report)
}

/// Builds and runs a measurement, and takes its numbers over.
fn run(bench: &str, report: &mut Report) -> Result<()> {
    let said = output(&mut cargo(["bench", "--quiet", "--package", "sallyport", "--bench", bench]))?;
    let mut numbers = 0;
    for line in said.lines().filter(|line| line.starts_with(&format!("{bench}."))) {
        let (name, value) = line.split_once(' ').with_context(|| format!("no number in `{line}`"))?;
        report.number(name, value.parse().with_context(|| format!("no number in `{line}`"))?);
        numbers += 1;
    }
    if numbers == 0 {
        bail!("the measurement `{bench}` said nothing");
    }
    Ok(())
}
