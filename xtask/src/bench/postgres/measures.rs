//! What is measured, and what the numbers of many rounds say together.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::setups::{Road, Server, Way, quiet};
use crate::bench::intercept::measures::Memory;
use crate::bench::intercept::site::Owned;
use crate::bench::{Report, median};

/// Rounds of a comparison; each gives one ratio.
const ROUNDS: usize = 7;
/// How long one way is measured in one round, seconds.
const SECONDS: &str = "2";
/// Rounds of latencies.
const LATENCIES: usize = 9;
/// Idle connections.
const IDLE: u32 = 200;

/// What pgbench does, by the name it is reported under: words of its own, and how many clients.
const LOADS: [(&str, &[&str]); 7] = [
    ("simple.c16", &["-S", "-M", "simple", "-c", "16", "-j", "2"]),
    ("extended.c16", &["-S", "-M", "extended", "-c", "16", "-j", "2"]),
    ("prepared.c16", &["-S", "-M", "prepared", "-c", "16", "-j", "2"]),
    ("simple.c1", &["-S", "-M", "simple", "-c", "1"]),
    ("extended.c1", &["-S", "-M", "extended", "-c", "1"]),
    ("prepared.c1", &["-S", "-M", "prepared", "-c", "1"]),
    ("tpcb.c16", &["-M", "prepared", "-c", "16", "-j", "2"]),
];

/// For each round what each way gave.
struct Rounds(Vec<Vec<f64>>);

impl Rounds {
    /// Measures all ways in turn; who is first moves on with each round.
    fn of(roads: &[Road<'_>], rounds: usize, measure: impl Fn(&Road<'_>) -> Result<f64>) -> Result<Self> {
        let mut all = Vec::new();
        for round in 0..rounds {
            let mut found = vec![f64::NAN; roads.len()];
            for step in 0..roads.len() {
                let index = (round + step) % roads.len();
                if let (Some(road), Some(number)) = (roads.get(index), found.get_mut(index)) {
                    *number = measure(road).with_context(|| format!("measuring {}", road.way.name()))?;
                }
            }
            all.push(found);
        }
        Ok(Self(all))
    }

    fn median(&self, way: Way) -> Result<f64> {
        median(self.0.iter().filter_map(|round| round.get(way as usize).copied())).context("no rounds")
    }

    /// The middle of `what` of ours and theirs within each round.
    fn against(&self, theirs: Way, what: impl Fn(f64, f64) -> f64) -> Result<f64> {
        let pairs =
            self.0.iter().filter_map(|round| Some((*round.get(Way::Ours as usize)?, *round.get(theirs as usize)?)));
        median(pairs.map(|(ours, theirs)| what(ours, theirs))).context("no rounds")
    }

    /// Reports a rate of each way, and ours against the others': more is better.
    fn report(&self, report: &mut Report, name: &str, unit: &str) -> Result<()> {
        for way in Way::ALL {
            report.number(&format!("postgres.{name}.{}_{unit}", way.name()), self.median(way)?);
        }
        for theirs in [Way::Direct, Way::Haproxy, Way::PgBouncer] {
            let ratio = self.against(theirs, |ours, theirs| ours / theirs)?;
            report.number(&format!("postgres.{name}.vs_{}", theirs.name()), ratio);
        }
        Ok(())
    }
}

/// Transactions a second.
pub(super) fn transactions(report: &mut Report, roads: &[Road<'_>]) -> Result<()> {
    for (name, words) in LOADS {
        let rate = |road: &Road<'_>| -> Result<f64> {
            let mut pgbench = road.client("pgbench")?;
            let said = quiet(pgbench.args(words).args(["-n", "-T", SECONDS, "postgres"]))?;
            let number = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
            if !said.contains("number of failed transactions: 0 ") {
                bail!("pgbench failed: {said}");
            }
            Ok(number.with_context(|| format!("pgbench said {said}"))?.parse()?)
        };
        Rounds::of(roads, ROUNDS, rate)?.report(report, name, "per_s")?;
    }
    Ok(())
}

/// What the slowest of a hundred prepared statements waits longer, one client at a time.
pub(super) fn latency(report: &mut Report, roads: &[Road<'_>]) -> Result<()> {
    let p99 = |road: &Road<'_>| -> Result<f64> {
        let log = road.directory().join("latency");
        fs::create_dir_all(&log)?;
        let prefix = format!("--log-prefix={}/{}", log.display(), road.way.name());
        let mut pgbench = road.client("pgbench")?;
        let words = ["-S", "-M", "prepared", "-c", "1", "-n", "-T", SECONDS, "--log", &prefix, "postgres"];
        quiet(pgbench.args(words))?;
        let mut times = Vec::new();
        for file in fs::read_dir(&log)? {
            for line in fs::read_to_string(file?.path())?.lines() {
                // client, transaction, microseconds, …
                times.push(line.split(' ').nth(2).context("a line without a time")?.parse::<f64>()?);
            }
        }
        fs::remove_dir_all(&log)?;
        times.sort_by(f64::total_cmp);
        times.get(times.len() * 99 / 100).copied().context("nothing was logged")
    };
    let rounds = Rounds::of(roads, LATENCIES, p99)?;
    for way in Way::ALL {
        report.number(&format!("postgres.p99.c1.{}_us", way.name()), rounds.median(way)?);
    }
    report.number("postgres.added_p99_us.c1", rounds.against(Way::Direct, |ours, direct| ours - direct)?);
    Ok(())
}

/// How long a query takes until all of it is printed, seconds, and how much that is, bytes.
fn printed(road: &Road<'_>, query: &str) -> Result<(f64, usize)> {
    let mut psql = road.client("psql")?;
    psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-v", "FETCH_COUNT=0", "-c", query, "postgres"]);
    let start = Instant::now();
    let bytes = quiet(&mut psql)?.len();
    if bytes < 1 << 20 {
        bail!("`{query}` gave {bytes} bytes");
    }
    Ok((start.elapsed().as_secs_f64(), bytes))
}

/// A COPY of a hundred megabytes in which nothing is masked.
pub(super) fn copies(report: &mut Report, roads: &[Road<'_>]) -> Result<()> {
    let query = "COPY (SELECT p.* FROM open p, generate_series(1, 3)) TO STDOUT";
    let speed = |road: &Road<'_>| printed(road, query).map(|(seconds, bytes)| bytes as f64 / 1e6 / seconds);
    Rounds::of(roads, ROUNDS, speed)?.report(report, "copy_out", "mb_per_s")
}

/// Five columns of which two are masked, and five of which every text is searched, against the same with nothing to do; by
/// the daemon each time. The tables hold the same, and megabytes are the server's: what is masked is printed shorter.
/// `detect` turns the search on and off.
pub(super) fn masking(report: &mut Report, roads: &[Road<'_>], detect: impl Fn(bool) -> Result<()>) -> Result<()> {
    let road = roads.iter().find(|road| road.way == Way::Ours).context("no way of ours")?;
    let (mut masked, mut searched) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let seconds = |table: &str| printed(road, &format!("SELECT * FROM {table}")).map(|(seconds, _)| seconds);
        let open = seconds("open")?;
        masked.push(open / seconds("people")?);
        detect(true)?;
        let found = seconds("open");
        let hidden = [!shows(road, "people")?, !shows(road, "open")?];
        detect(false)?;
        if hidden != [true, true] || !shows(road, "open")? {
            bail!("what was to be masked was not, or the other way round");
        }
        searched.push(open / found?);
    }
    report.number("postgres.select_masked_mb_s.vs_unmasked", median(masked).context("no rounds")?);
    report.number("postgres.detectors_mb_s.vs_unmasked", median(searched).context("no rounds")?);
    Ok(())
}

/// Whether a table's remarks are shown as they are.
fn shows(road: &Road<'_>, table: &str) -> Result<bool> {
    let mut psql = road.client("psql")?;
    let query = format!("SELECT remark FROM {table} WHERE id = 1");
    Ok(quiet(psql.args(["-XqAt", "-c", &query, "postgres"]))?.contains("4111 1111"))
}

/// Ten gigabytes at once: what the daemon's memory grows by.
pub(super) fn large(report: &mut Report, roads: &[Road<'_>], daemon: u32) -> Result<()> {
    let road = roads.iter().find(|road| road.way == Way::Ours).context("no way of ours")?;
    let before = Memory::of(daemon)?;
    let mut psql = road.client("psql")?;
    let query = "COPY (SELECT n, repeat('0123456789', 100) FROM generate_series(1, 10000000) n) TO STDOUT";
    let status = psql.args(["-Xq", "-c", query, "postgres"]).stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!("psql failed: {status}");
    }
    report.number("postgres.ten_gb.memory_mib", (Memory::of(daemon)?.peak - before.rss) / 1024.0);
    Ok(())
}

/// Connections that do nothing: what each costs the daemon in memory.
pub(super) fn idle(report: &mut Report, roads: &[Road<'_>], server: &Server, daemon: u32) -> Result<()> {
    let road = roads.iter().find(|road| road.way == Way::Ours).context("no way of ours")?;
    let script = road.directory().join("idle.sql");
    fs::write(&script, "SELECT 1;\n\\sleep 600 s\n")?;
    let before = Memory::of(daemon)?;
    let mut pgbench = road.client("pgbench")?;
    pgbench.args(["-n", "-c", &IDLE.to_string(), "-t", "1", "-f"]).arg(&script).arg("postgres");
    let _idle = Owned(pgbench.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let there = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND query = 'SELECT 1;'";
    let start = Instant::now();
    while server.sql(there)? != IDLE.to_string() {
        if start.elapsed() > Duration::from_secs(30) {
            bail!("{IDLE} connections do not come up");
        }
        sleep(Duration::from_millis(50));
    }
    sleep(Duration::from_secs(1));
    let after = Memory::of(daemon)?;
    report.number("postgres.idle_kib", (after.rss - before.rss) / f64::from(IDLE));
    Ok(())
}
