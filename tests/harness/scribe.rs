//! A process that records and says what was acknowledged; see `tests/scribe`.

use crate::daemon::built;
use sallyport::record::Timestamps;
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

/// One acknowledgment.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// What was recorded, as [`crate::Written`] names it.
    pub key: String,
    /// At what durability.
    pub promise: Promise,
    /// When, on the boot-time clock.
    pub at: u64,
}

/// What an acknowledgment is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// It survives power loss from now on.
    Disk,
    /// It survives `kill -9` from now on, power loss a moment later.
    Process,
    /// It survives either a moment later.
    Soon,
    /// All that was acknowledged before this instant survives either.
    Everything(u64),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The process was killed.
    Kill,
    /// The power went.
    Power,
}

/// What of the acknowledged has to be there after a loss at an instant of the boot-time clock, when `soon` is what it
/// says.
pub fn promised(acknowledged: &[Acknowledged], loss: Loss, at: u64, soon: Duration) -> BTreeSet<String> {
    let soon = soon.as_nanos() as u64;
    let flushed = acknowledged.iter().filter_map(|one| match one.promise {
        Promise::Everything(since) => Some(since),
        Promise::Disk | Promise::Process | Promise::Soon => None,
    });
    let flushed = flushed.max().unwrap_or_default();
    let holds = |one: &&Acknowledged| match (one.promise, loss) {
        (Promise::Everything(_), _) => false,
        (Promise::Disk, _) | (Promise::Process, Loss::Kill) => true,
        (Promise::Process, Loss::Power) | (Promise::Soon, _) => one.at + soon < at || one.at < flushed,
    };
    acknowledged.iter().filter(holds).map(|one| one.key.clone()).collect()
}

#[derive(Debug, Default)]
struct Heard {
    acknowledged: Vec<Acknowledged>,
    refused: Vec<String>,
}

/// A scribe at work. It is killed when dropped.
pub struct Scribe {
    child: Child,
    heard: Arc<Mutex<Heard>>,
    listener: Option<JoinHandle<()>>,
}

impl Scribe {
    /// Starts one on a store, with segments of about so many bytes.
    pub fn start(state: &Path, seed: u64, segment: u64) -> Self {
        let mut command = Command::new(built("sallyport-scribe"));
        command.arg("write").arg(state).arg(seed.to_string()).arg(segment.to_string());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let heard = Arc::new(Mutex::new(Heard::default()));
        let hears = Arc::clone(&heard);
        let listener = thread::spawn(move || {
            let mut line = String::new();
            // A line cut short by the kill was not said.
            while output.read_line(&mut line).is_ok() && line.ends_with('\n') {
                let mut heard = hears.lock().unwrap();
                match line.trim_end().split_once(' ').unwrap() {
                    ("refused" | "failed", why) => heard.refused.push(why.to_owned()),
                    (what, rest) => heard.acknowledged.push(parse(what, rest)),
                }
                line.clear();
            }
        });
        Self { child, heard, listener: Some(listener) }
    }

    /// What was acknowledged by now.
    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        self.heard.lock().unwrap().acknowledged.clone()
    }

    /// How much that is.
    pub fn count(&self) -> usize {
        self.heard.lock().unwrap().acknowledged.len()
    }

    /// What was refused by now, in its own words.
    pub fn refused(&self) -> Vec<String> {
        self.heard.lock().unwrap().refused.clone()
    }

    /// Kills it. What had been acknowledged, and the instant before the kill.
    pub fn kill(mut self) -> (Vec<Acknowledged>, u64) {
        let at = Timestamps::now().boot_ns;
        self.end();
        (self.acknowledged(), at)
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap();
        }
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.end();
    }
}

fn parse(what: &str, rest: &str) -> Acknowledged {
    let (name, at) = rest.rsplit_once(' ').unwrap();
    let (kind, promise) = match what {
        "begun" => ("session", Promise::Process),
        "before" => ("request", Promise::Disk),
        "batched" => ("request", Promise::Soon),
        "answered" => ("response", Promise::Soon),
        "approval" => ("approval", Promise::Disk),
        "event" => ("event", Promise::Process),
        "ended" => ("end", Promise::Soon),
        "flushed" => ("flush", Promise::Everything(name.parse().unwrap())),
        _ => panic!("the scribe said `{what} {rest}`"),
    };
    // Ids are written with dashes for people, and without in the tables.
    let name = if kind == "event" { name.replace('+', " ") } else { name.replace('-', "") };
    Acknowledged { key: format!("{kind} {name}"), promise, at: at.parse().unwrap() }
}
