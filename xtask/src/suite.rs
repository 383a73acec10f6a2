//! `cargo xtask test`: everything that must hold, in one order, on the real kernel. Nothing is ever skipped.

use std::fs;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{cargo, is_root, run as succeed, target, watch};
use crate::setup::{self, Extent};
use crate::{fuzz, tidy};

/// What the shell world calls "could not be tried".
const NOT_ROOT: u8 = 77;

/// How long each fuzz door is open in the suite: enough to show that it builds, starts and finds nothing at once.
const FUZZ_SECONDS: u32 = 3;

/// Tests that ran, by outcome.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
struct Count {
    passed: u32,
    failed: u32,
}

type Step = (&'static str, fn(&mut Count) -> Result<()>);

/// In this order: what is quick to tell first, what needs the whole machine last. One build serves all the tests, so
/// all of them choose among the whole workspace.
const STEPS: [Step; 10] = [
    ("setup", |_| setup::ensure(Extent::Everything)),
    ("format", |_| succeed(&mut cargo(["fmt", "--all", "--check"]))),
    ("tidy", |_| tidy::run()),
    ("clippy", |_| succeed(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))),
    ("dependencies", |_| {
        succeed(&mut cargo(["deny", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))
    }),
    ("build", |_| succeed(&mut cargo(["build", "--workspace"]))),
    ("unit tests", |count| nextest("not package(sallyport-tests)", count)),
    ("doc tests", doc_tests),
    ("fuzz doors", |_| fuzz::run(FUZZ_SECONDS, None)),
    ("integration tests", |count| nextest("package(sallyport-tests)", count)),
];

/// Runs every step, whatever the ones before it did.
pub(crate) fn run() -> Result<ExitCode> {
    if !is_root() {
        eprintln!("error: the tests load programs into the running kernel: run them as root");
        return Ok(ExitCode::from(NOT_ROOT));
    }
    let mut total = Count::default();
    let mut done = Vec::new();
    for (name, step) in STEPS {
        println!("\n== {name}");
        let start = Instant::now();
        let mut count = Count::default();
        let outcome = step(&mut count).map_err(|error| format!("{error:#}"));
        if let Err(error) = &outcome {
            eprintln!("error: {error}");
            // A step that broke before it could count still counts.
            count.failed = count.failed.max(1);
        }
        total.passed += count.passed;
        total.failed += count.failed;
        println!("== {name}: {} in {}", verdict(&outcome), seconds(start.elapsed()));
        done.push((name, outcome, start.elapsed()));
    }
    println!("\n== summary");
    for (name, outcome, took) in &done {
        println!("{name:<18} {:>8}  {}", seconds(*took), verdict(outcome));
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(if done.iter().all(|(_, outcome, _)| outcome.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the tests that `filter` selects, and counts them from the report that nextest leaves.
fn nextest(filter: &str, count: &mut Count) -> Result<()> {
    let report = target("nextest/default/junit.xml");
    // That of an earlier run must not stand in for this one's.
    if report.exists() {
        fs::remove_file(&report)?;
    }
    let outcome = succeed(&mut cargo(["nextest", "run", "--workspace", "-E", filter]));
    if let Ok(report) = fs::read_to_string(&report) {
        *count = junit(&report).context("nextest's report cannot be read")?;
    }
    outcome
}

/// The totals on the root element of a JUnit report.
fn junit(report: &str) -> Option<Count> {
    let root = report.split_once("<testsuites ")?.1.split_once('>')?.0;
    let number = |name: &str| root.split_once(&format!("{name}=\""))?.1.split_once('"')?.0.parse::<u32>().ok();
    let failed = number("failures")? + number("errors")?;
    Some(Count { passed: number("tests")?.checked_sub(failed)?, failed })
}

fn doc_tests(count: &mut Count) -> Result<()> {
    let mut command: Command = cargo(["test", "--doc", "--workspace", "--no-fail-fast"]);
    let status = watch(&mut command, |line| {
        if let Some(found) = doc_result(line) {
            count.passed += found.passed;
            count.failed += found.failed;
        }
    })?;
    if !status.success() {
        bail!("doc tests failed ({status})");
    }
    Ok(())
}

/// `test result: ok. 3 passed; 0 failed; …`
fn doc_result(line: &str) -> Option<Count> {
    let mut parts = line.strip_prefix("test result: ")?.split_once(". ")?.1.split("; ");
    let mut number = |what: &str| parts.next()?.strip_suffix(what)?.trim().parse::<u32>().ok();
    Some(Count { passed: number("passed")?, failed: number("failed")? })
}

fn verdict(outcome: &Result<(), String>) -> &'static str {
    if outcome.is_ok() { "ok" } else { "FAILED" }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_totals_of_both_runners() {
        let report = r#"<?xml version="1.0"?><testsuites name="nextest-run" tests="12" failures="2" errors="1" uuid="x">
            <testsuite name="a" tests="1" failures="0" errors="0">"#;
        assert_eq!(junit(report), Some(Count { passed: 9, failed: 3 }));
        assert_eq!(junit("<testsuite tests=\"1\">"), None);
        let line = "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s";
        assert_eq!(doc_result(line), Some(Count { passed: 3, failed: 1 }));
        assert_eq!(doc_result("running 3 tests"), None);
    }
}
