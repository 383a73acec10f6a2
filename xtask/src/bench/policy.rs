//! What a decision costs, remembered or not, and a reload: the numbers of `agent/benches/policy.rs`.

use anyhow::{Context, Result, bail};

use super::Report;
use crate::process::{cargo, output};

/// Builds and runs the measurement, and takes its numbers over.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let said = output(&mut cargo(["bench", "--quiet", "--package", "sallyport", "--bench", "policy"]))?;
    let mut numbers = 0;
    for line in said.lines().filter(|line| line.starts_with("policy.")) {
        let (name, value) = line.split_once(' ').with_context(|| format!("no number in `{line}`"))?;
        report.number(name, value.parse().with_context(|| format!("no number in `{line}`"))?);
        numbers += 1;
    }
    if numbers == 0 {
        bail!("the measurement of policies said nothing");
    }
    Ok(())
}
