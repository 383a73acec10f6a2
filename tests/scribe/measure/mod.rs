//! What the store costs: rates, waits and bytes, each said as a line `KEY VALUE`.
//!
//! `sallyport-scribe measure DIRECTORY` needs an empty directory on the disk that is to be measured.

mod load;
mod plain;
mod size;

use load::Load;
use sallyport::record::{Options, Recorder, Role, verify};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

pub use load::fill;

/// Of each kind of record, the numbers that are compared: who goes first alternates.
const ROUNDS: usize = 5;
/// Requests of one round.
const REQUESTS: u64 = 400_000;
/// Tasks that hand over requests.
const WRITERS: u64 = 8;
/// Tasks that wait for the disk, and how often each.
const WAITERS: u64 = 64;
const WAITS: u64 = 200;
/// Requests that sizes are taken of.
const SIZED: u64 = 1_500_000;

/// Measures everything.
pub fn run(directory: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (state, beside) = (directory.join(format!("rate-{round}")), directory.join(format!("plain-{round}")));
        let rates = if round % 2 == 0 {
            let rate = rate(&runtime, &state);
            (rate, plain::rate(&beside, REQUESTS))
        } else {
            let plain = plain::rate(&beside, REQUESTS);
            (rate(&runtime, &state), plain)
        };
        ours.push(rates.0);
        theirs.push(rates.1);
        ratios.push(rates.0 / rates.1);
        if round + 1 < ROUNDS {
            fs::remove_dir_all(&state).expect("a directory");
        }
        fs::remove_dir_all(&beside).expect("a directory");
    }
    say("store.events_per_s", median(ours));
    say("store.plain_sqlite_per_s", median(theirs));
    say("store.vs_plain_sqlite", median(ratios));
    say("store.verify_events_per_s", verified(&directory.join(format!("rate-{}", ROUNDS - 1))));
    waits(&runtime, &directory.join("waits"));
    size::run(&runtime, &directory.join("size"), SIZED);
}

/// Opens a store as the daemon does.
fn open(state: &Path, options: &Options) -> Recorder {
    Recorder::open_as(state, Role::Daemon, options).expect("a store")
}

/// Requests a second, hashed and on the disk at the end, when their senders do not wait for it.
fn rate(runtime: &Runtime, state: &Path) -> f64 {
    let recorder = open(state, &Options::default());
    runtime.block_on(recorder.flush()).expect("a disk");
    let start = Instant::now();
    runtime.block_on(async {
        let mut writers = tokio::task::JoinSet::new();
        for n in 0..WRITERS {
            let mut load = Load::new(&recorder, n as u32);
            writers.spawn(async move { load.batched(REQUESTS / WRITERS).await });
        }
        writers.join_all().await;
        recorder.flush().await.expect("a disk");
    });
    let rate = REQUESTS as f64 / start.elapsed().as_secs_f64();
    runtime.block_on(recorder.close()).expect("a disk");
    rate
}

/// Records a second that are read and hashed again.
fn verified(state: &Path) -> f64 {
    let rates = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        let report = verify(state, &|_| Err("no checkpoint is read here".to_owned()), None).expect("a store");
        assert!(report.records >= REQUESTS, "{report:?}");
        report.records as f64 / start.elapsed().as_secs_f64()
    });
    median(rates.collect())
}

/// How long a request waits for the disk when many do.
fn waits(runtime: &Runtime, state: &Path) {
    let recorder = open(state, &Options::default());
    let start = Instant::now();
    let mut times: Vec<Duration> = runtime.block_on(async {
        let mut waiters = tokio::task::JoinSet::new();
        for n in 0..WAITERS {
            let mut load = Load::new(&recorder, n as u32);
            waiters.spawn(async move { load.waited(WAITS).await });
        }
        waiters.join_all().await.concat()
    });
    let all = start.elapsed().as_secs_f64();
    runtime.block_on(recorder.close()).expect("a disk");
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    say("store.commit_p50_ms", at(50));
    say("store.commit_p99_ms", at(99));
    say("store.commits_per_s", times.len() as f64 / all);
    say("store.fdatasync_ms", sync_time(state));
}

/// What one sync of a few appended pages costs on this disk: what no store can do without.
fn sync_time(state: &Path) -> f64 {
    let file = fs::File::create(state.join("sync")).expect("a file");
    let times = (0..200).map(|_| {
        std::io::Write::write_all(&mut &file, &[1; 8192]).expect("space");
        let start = Instant::now();
        file.sync_data().expect("a disk");
        start.elapsed().as_secs_f64() * 1e3
    });
    median(times.collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn say(key: &str, value: f64) {
    println!("{key} {value}");
}
