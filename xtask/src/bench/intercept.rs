//! What interception costs, side by side: nothing in between, HAProxy behind an nftables redirect, and our daemon.
//!
//! Load generator and server are the same for all three, and are this program again, built for release.

mod load;
pub(super) mod measures;
mod serve;
pub(super) mod setups;
pub(super) mod site;
mod wire;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::{Report, median, median_of_ratios};
use crate::process::{self, cargo, is_root, output, target};
use setups::{Daemon, Haproxy, Load, Setup};
use site::{Network, Place, Site};

const ROUNDS: u32 = 21;

/// Measures everything; about four minutes.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    if !is_root() {
        bail!("the measurements load programs into the running kernel: run them as root");
    }
    build()?;
    start(report)?;
    let site = Site::make()?;
    // The redirect makes the kernel track every connection of its network namespace, so it gets one to itself.
    let (plain, redirected) = (Network::make(&site)?, Network::make(&site)?);
    let haproxy = Haproxy::start(&site, &redirected)?;
    let daemon = Daemon::start(&site, &plain, "")?;
    let setup = |name, place, network, proxy| -> Result<Setup> {
        Ok(Setup { name, load: Load::start(&site, place, network)?, proxy })
    };
    let mut setups = [
        setup("direct", Place::Free, &plain, None)?,
        setup("haproxy", Place::Free, &redirected, Some(haproxy.pid()))?,
        setup("ours", Place::Managed, &plain, Some(daemon.pid()))?,
    ];
    for setup in setups.iter_mut().filter(|setup| setup.proxy.is_some()) {
        measures::idle(report, &site, setup)?;
    }
    measures::connect(report, &mut setups)?;
    measures::throughput(report, &mut setups)?;
    drop(setups);
    daemon.stop()?;
    measures::unmanaged(report, &site, &plain)?;
    report.number("intercept.used_by_others", site.used_by_others()?);
    Ok(())
}

/// Builds this program for release: its helpers are the load generator, the server and the guard.
pub(super) fn build() -> Result<()> {
    process::run(&mut cargo(["build", "--release", "--quiet", "--package", "xtask"]))
}

/// The helpers of a run: what `cargo xtask __bench` does.
pub(crate) fn helper(words: &[OsString]) -> Result<()> {
    let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    match words.as_slice() {
        ["serve"] => pin(cores()?.saturating_sub(1)).and_then(|()| serve::run()),
        ["load"] => pin(0).and_then(|()| load::run()),
        ["guard", directory, cgroups] => site::guard(Path::new(directory), Path::new(cgroups)),
        _ => bail!("this is between `cargo xtask bench` and itself"),
    }
}

/// The load generator has the first processor and the server the last, always; what is in between runs where the kernel
/// puts it. Unpinned, two processes that happen to share a processor are twice as fast as two that do not.
fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).context("cannot choose a processor")
}

fn cores() -> Result<usize> {
    Ok(available_parallelism()?.get())
}

/// The start of the program: what every command pays before it does anything.
fn start(report: &mut Report) -> Result<()> {
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
