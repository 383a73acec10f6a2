//! What interception costs.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::{Report, median, median_of_ratios};
use crate::process::{output, target};

const ROUNDS: u32 = 21;

/// Measures the start of the program: what every command pays before it does anything.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let version = || milliseconds(Command::new(target("release/sallyport")).arg("--version"));
    let times = (0..ROUNDS).map(|_| version()).collect::<Result<Vec<_>>>()?;
    report.number("intercept.start_ms", median(times).context("no rounds")?);
    let nothing = || milliseconds(&mut Command::new("/bin/true"));
    report.number("intercept.start_to_true", median_of_ratios(ROUNDS, version, nothing)?);
    Ok(())
}

fn milliseconds(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    output(command)?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}
