//! What is measured, and what the numbers of many rounds say together.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::setups::{Daemon, Load, Setup, is_alone, wait_until_alone};
use super::site::{Network, Place, Site, USER_HZ};
use crate::bench::{Report, median};

/// Rounds of a comparison; each gives one ratio.
const ROUNDS: usize = 25;
/// Rounds of downloads, which take longer.
const DOWNLOADS: usize = 15;
/// Bytes of one download, over all its streams.
const VOLUME: u64 = 384 << 20;
/// How long one setup pings in one round, milliseconds.
const PING_FOR: u64 = 200;
/// Flows that idle, where a process may have as many, and those that warm the proxy up.
const IDLE: u64 = 10_000;
const WARM: u64 = 50;
/// How long they idle.
const IDLE_FOR: Duration = Duration::from_secs(3);
/// Times the daemon comes and goes.
const TURNS: usize = 20;
/// Phases before one that somebody else's daemon disturbed counts nevertheless.
const TRIES: u32 = 3;
/// For what the kernel puts off when programs come or go.
const SETTLE: Duration = Duration::from_millis(300);
/// Connections of one phase, and those before that do not count.
const TOUCHES: u64 = 8000;
const UNCOUNTED: u64 = 300;

/// For each round what each setup answered.
struct Rounds(Vec<Vec<Vec<f64>>>);

impl Rounds {
    /// Asks all setups the same, in turn; who is first moves on with each round.
    fn of(setups: &mut [Setup], rounds: usize, order: &str) -> Result<Self> {
        let mut all = Vec::new();
        let count = setups.len();
        for round in 0..rounds {
            let mut answers = vec![Vec::new(); count];
            for step in 0..count {
                let index = (round + step) % count;
                if let (Some(setup), Some(answer)) = (setups.get_mut(index), answers.get_mut(index)) {
                    *answer = setup.load.ask(order)?;
                }
            }
            all.push(answers);
        }
        Ok(Self(all))
    }

    fn column(&self, setup: usize, number: usize) -> impl Iterator<Item = f64> {
        self.0.iter().filter_map(move |round| round.get(setup)?.get(number).copied())
    }

    /// The middle over all rounds.
    fn median(&self, setup: usize, number: usize) -> Result<f64> {
        median(self.column(setup, number)).context("no rounds")
    }

    /// The middle of the ratios within each round.
    fn ratio(&self, number: usize, subject: usize, baseline: usize) -> Result<f64> {
        let pairs = self.column(subject, number).zip(self.column(baseline, number));
        median(pairs.map(|(subject, baseline)| subject / baseline)).context("no rounds")
    }
}

/// Position of the setups: nothing in between, HAProxy, ours.
const DIRECT: usize = 0;
const HAPROXY: usize = 1;
const OURS: usize = 2;
const AGAINST: [(&str, usize); 2] = [("vs_haproxy", HAPROXY), ("vs_direct", DIRECT)];

/// Connect, one round trip, close: alone and 64 at a time.
pub(super) fn connect(report: &mut Report, setups: &mut [Setup]) -> Result<()> {
    let (alone, crowd) = ("p1", "p64");
    let mut found = Vec::new();
    for (label, parallel) in [(alone, 1), (crowd, 64)] {
        let before = setups.iter().map(Usage::of).collect::<Result<Vec<_>>>()?;
        let rounds = Rounds::of(setups, ROUNDS, &format!("ping {parallel} {PING_FOR}"))?;
        for (index, setup) in setups.iter().enumerate() {
            let name = setup.name;
            report.number(&format!("intercept.connect_p50.{label}.{name}_us"), rounds.median(index, 0)?);
            report.number(&format!("intercept.connect_p99.{label}.{name}_us"), rounds.median(index, 1)?);
            let per_second = rounds.median(index, 2)? * 1000.0 / PING_FOR as f64;
            report.number(&format!("intercept.connect_rate.{label}.{name}_per_s"), per_second);
            if let (Some(before), Some(after)) = (before.get(index), Usage::of(setup)?) {
                let connections: f64 = rounds.column(index, 2).sum();
                let cpu = after.since(before.as_ref()) * 1e6 / connections;
                report.number(&format!("intercept.connect_cpu.{label}.{name}_us"), cpu);
            }
        }
        found.push((label, rounds));
    }
    for (number, what) in [(0, "connect_p50"), (1, "connect_p99")] {
        for (against, baseline) in AGAINST {
            let mut product = 1.0;
            for (label, rounds) in &found {
                let ratio = rounds.ratio(number, OURS, baseline)?;
                report.number(&format!("intercept.{what}.{against}.{label}"), ratio);
                product *= ratio;
            }
            report.number(&format!("intercept.{what}.{against}"), f64::sqrt(product));
        }
    }
    Ok(())
}

/// Downloads: one stream and sixteen.
pub(super) fn throughput(report: &mut Report, setups: &mut [Setup]) -> Result<()> {
    let mut products = [1.0; AGAINST.len()];
    for (label, streams) in [("s1", 1), ("s16", 16)] {
        let before = setups.iter().map(Usage::of).collect::<Result<Vec<_>>>()?;
        let rounds = Rounds::of(setups, DOWNLOADS, &format!("download {streams} {}", VOLUME / streams))?;
        for (index, setup) in setups.iter().enumerate() {
            let name = setup.name;
            let speed = VOLUME as f64 / 1e6 / rounds.median(index, 0)?;
            report.number(&format!("intercept.throughput.{label}.{name}_mb_per_s"), speed);
            if let (Some(before), Some(after)) = (before.get(index), Usage::of(setup)?) {
                let gigabytes = VOLUME as f64 * DOWNLOADS as f64 / 1e9;
                let cpu = after.since(before.as_ref()) * 1e3 / gigabytes;
                report.number(&format!("intercept.throughput_cpu.{label}.{name}_ms_per_gb"), cpu);
            }
        }
        for ((against, baseline), product) in AGAINST.iter().zip(&mut products) {
            // Seconds: who takes longer is slower.
            let ratio = rounds.ratio(0, *baseline, OURS)?;
            report.number(&format!("intercept.throughput.{against}.{label}"), ratio);
            *product *= ratio;
        }
    }
    for ((against, _), product) in AGAINST.iter().zip(products) {
        report.number(&format!("intercept.throughput.{against}"), f64::sqrt(product));
    }
    Ok(())
}

/// Ten thousand flows that do nothing: what each costs in memory, and that all are still there.
pub(super) fn idle(report: &mut Report, site: &Site, setup: &mut Setup) -> Result<()> {
    let pid = setup.proxy.context("nothing in between that could use memory")?;
    let flows = IDLE.min(site.most_flows - WARM);
    setup.load.ask(&format!("hold {WARM}"))?;
    let before = Memory::of(pid)?;
    setup.load.ask(&format!("hold {flows}"))?;
    sleep(IDLE_FOR);
    let after = Memory::of(pid)?;
    let answered = setup.load.ask("echo")?.first().copied().context("no answer")?;
    setup.load.ask("release")?;
    let lost = (flows + WARM) as f64 - answered;
    let per_flow = |before: f64, after: f64| (after - before) / flows as f64;
    // Ours is what the promise is about; the other is there to compare.
    let key = |what: &str| match setup.name {
        "ours" => format!("intercept.{what}"),
        other => format!("intercept.{what}.{other}"),
    };
    report.number(&key("idle_flows"), flows as f64);
    report.number(&key("idle_flows_lost"), lost);
    report.number(&key("rss_per_flow_kib"), per_flow(before.rss, after.rss));
    report.number(&key("pss_per_flow_kib"), per_flow(before.pss, after.pss));
    report.number(&key("anonymous_per_flow_kib"), per_flow(before.anonymous, after.anonymous));
    Ok(())
}

/// What a process outside every scope pays for the programs: connect and close, and with a round trip in between, while
/// the daemon runs and while nothing is loaded.
pub(super) fn unmanaged(report: &mut Report, site: &Site, network: &Network) -> Result<()> {
    let mut load = Load::start(site, Place::Free, network)?;
    let (mut touches, mut pings, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = phase(&mut load, None)?;
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let start = Instant::now();
        let daemon = Daemon::start(site, network, "")?;
        starts.push(start.elapsed().as_secs_f64() * 1e3);
        let with = phase(&mut load, Some(daemon.pid()))?;
        daemon.stop()?;
        let without = phase(&mut load, None)?;
        // The phase with the daemon stands between two without: what drifts, drifts out.
        touches.push(with.0 / f64::midpoint(last.0, without.0));
        pings.push(with.1 / f64::midpoint(last.1, without.1));
        times.0.push(with.0);
        times.1.push(without.0);
        last = without;
    }
    let middle = |values: Vec<f64>| median(values).context("no rounds");
    report.number("intercept.unmanaged_connect.with_us", middle(times.0)?);
    report.number("intercept.unmanaged_connect.none_us", middle(times.1)?);
    report.number("intercept.unmanaged_connect.vs_none", middle(touches)?);
    report.number("intercept.unmanaged_round_trip.vs_none", middle(pings)?);
    report.number("intercept.daemon_ready_ms", middle(starts)?);
    Ok(())
}

/// Middle times of connect and close, and with a round trip, while no daemon but `ours` runs.
fn phase(load: &mut Load, ours: Option<u32>) -> Result<(f64, f64)> {
    let mut times = (0.0, 0.0);
    for _ in 0..TRIES {
        sleep(SETTLE);
        let alone_before = wait_until_alone(ours);
        load.ask(&format!("touch {UNCOUNTED}"))?;
        times.0 = load.ask(&format!("touch {TOUCHES}"))?.first().copied().context("no answer")?;
        times.1 = load.ask(&format!("ping 1 {PING_FOR}"))?.first().copied().context("no answer")?;
        if alone_before && is_alone(ours) {
            break;
        }
    }
    Ok(times)
}

/// Processor time of a proxy so far.
#[derive(Clone, Copy)]
struct Usage(f64);

impl Usage {
    /// `None` where there is nothing in between.
    fn of(setup: &Setup) -> Result<Option<Self>> {
        let Some(pid) = setup.proxy else { return Ok(None) };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, after_name) = stat.rsplit_once(") ").context("a process without a name")?;
        // utime and stime are fields 14 and 15 of proc_pid_stat(5); the name was the second.
        let ticks: f64 = after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(Some(Self(ticks / USER_HZ)))
    }

    fn since(self, before: Option<&Self>) -> f64 {
        self.0 - before.map_or(0.0, |before| before.0)
    }
}

/// Memory of a process, KiB.
pub(in crate::bench) struct Memory {
    pub(in crate::bench) rss: f64,
    /// The most that `rss` ever was.
    pub(in crate::bench) peak: f64,
    pss: f64,
    anonymous: f64,
}

impl Memory {
    pub(in crate::bench) fn of(pid: u32) -> Result<Self> {
        let read = |file: &str, name: &str| -> Result<f64> {
            let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.strip_suffix("kB"));
            Ok(value.with_context(|| format!("no {name} in {file}"))?.trim().parse()?)
        };
        Ok(Self {
            rss: read("status", "VmRSS")?,
            peak: read("status", "VmHWM")?,
            pss: read("smaps_rollup", "Pss")?,
            anonymous: read("smaps_rollup", "Anonymous")?,
        })
    }
}
