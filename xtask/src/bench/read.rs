//! How long an auditor waits for a page of a store of ten million records: the command line, from its start to its end.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::{Report, store};
use crate::process::{self, output, target};

const RECORDS: u64 = 10_000_000;
/// How often each page is asked for.
const RUNS: usize = 40;

/// Pages, by the name they are reported under.
const PAGES: [(&str, &[&str]); 6] = [
    ("list", &["list"]),
    ("list_unit", &["list", "--unit", "app-3.service"]),
    ("list_user", &["list", "--user", "ada"]),
    ("list_since", &["list", "--since", "24h"]),
    ("search_common", &["search", "pgbench_accounts"]),
    ("search_rare", &["search", "nowhere"]),
];

/// Fills a store and reads it; a few minutes, and some gigabytes meanwhile.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    store::build()?;
    let directory = tempfile::Builder::new().prefix("bench-read-").tempdir_in(target(""))?;
    let start = Instant::now();
    process::run(store::scribe().arg("fill").arg(directory.path()).arg(RECORDS.to_string()))?;
    report.number("read.fill_events_per_s", RECORDS as f64 / start.elapsed().as_secs_f64());
    for (name, words) in PAGES {
        let mut times = (0..RUNS).map(|_| page(directory.path(), words)).collect::<Result<Vec<_>>>()?;
        times.sort_by(f64::total_cmp);
        let p95 = times.get(times.len() * 95 / 100).context("no runs")?;
        report.number(&format!("read.{name}_p95_ms"), *p95);
    }
    Ok(())
}

fn page(state: &Path, words: &[&str]) -> Result<f64> {
    let mut command = Command::new(target("release/sallyport"));
    command.arg("sessions").args(words).arg("--json").arg("--state-dir").arg(state);
    let start = Instant::now();
    output(&mut command)?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}
