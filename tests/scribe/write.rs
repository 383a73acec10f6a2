//! Writers that record without end, and say what was acknowledged.
//!
//! One line each: what, its name, and the boot-time clock right after the acknowledgment; see `tests/harness/scribe.rs`.

use crate::material;
use sallyport::record::{
    ApprovalRecord, ApprovalState, Durability, EventKind, EventRecord, Options, RecordError, Recorder, Role, SessionId,
    Timestamps,
};
use sallyport_tests::Dice;
use std::{
    error::Error,
    fmt::Display,
    io::{self, Write},
    iter,
    path::Path,
    process,
    sync::Arc,
    time::Duration,
};

const WRITERS: u32 = 8;
/// A writer rests this long now and then: the stores are to be looked at a hundred times.
const REST: Duration = Duration::from_millis(1);
/// How long a writer that was refused waits before it tries the next.
const REFUSED: Duration = Duration::from_millis(5);
const STATEMENTS: [&str; 4] = [
    "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
    "UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP)",
    "BEGIN",
];

/// Records until it is killed.
pub fn run(state: &Path, seed: u64, segment_size: u64) {
    // Fifty milliseconds are a promise of this process, not of the machine with everything else on it.
    rustix::process::setpriority_process(None, -19).expect("root");
    let options = Options { segment_size, checkpoint_every: Duration::from_millis(100), ..Options::default() };
    let recorder = Recorder::open_as(state, Role::Daemon, &options).unwrap_or_else(|error| {
        say(format_args!("failed {}", chain(&error)));
        process::exit(1);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("threads").block_on(async {
        let mut writers = tokio::task::JoinSet::new();
        for n in 0..WRITERS {
            let writer = Writer { recorder: recorder.clone(), dice: Dice::new(seed + u64::from(n) * 1_000_003) };
            writers.spawn(writer.run(n));
        }
        writers.join_next().await;
    });
}

struct Writer {
    recorder: Recorder,
    dice: Dice,
}

impl Writer {
    async fn run(mut self, n: u32) {
        let who = material::identity(n);
        loop {
            let port = self.dice.upto(65_535) as u16;
            let Some(id) = told("begun", self.recorder.begin(material::start(&who, port)).await).await else {
                continue;
            };
            let session = id.to_string();
            acknowledged("begun", &session);
            for n in 0..self.dice.upto(20) {
                self.one(id, n).await;
                if self.dice.once_in(2) {
                    tokio::time::sleep(REST).await;
                }
            }
            // Some are left open.
            if !self.dice.once_in(8) && told("ended", self.recorder.end(id, material::end()).await).await.is_some() {
                acknowledged("ended", &session);
            }
        }
    }

    /// A request, and some of what goes with one.
    async fn one(&mut self, session: SessionId, n: u64) {
        let name = format!("{session}/{n}");
        let (what, durability) =
            if self.dice.once_in(4) { ("before", Durability::BeforeForward) } else { ("batched", Durability::Batched) };
        let statement = STATEMENTS[self.dice.upto(3) as usize];
        // Some statements are like no other.
        let statement: Arc<str> =
            if self.dice.once_in(10) { format!("{statement} -- {}", self.dice.any()).into() } else { statement.into() };
        let request = material::request(session, n, &"select".into(), &statement);
        if told(what, self.recorder.request(request, durability).await).await.is_none() {
            return;
        }
        acknowledged(what, &name);
        if self.dice.once_in(2)
            && told("answered", self.recorder.response(material::response(session, n)).await).await.is_some()
        {
            acknowledged("answered", &name);
        }
        if self.dice.once_in(12) {
            self.approval(session, n).await;
        }
        if self.dice.once_in(12) {
            let tag = format!("{name} {}", self.dice.any());
            let event = EventRecord {
                detail: Some(tag.clone()),
                session: Some(session),
                ..EventRecord::new(EventKind::Reloaded, Timestamps::now())
            };
            if told("event", self.recorder.event(event).await).await.is_some() {
                acknowledged("event", tag.replace(' ', "+"));
            }
        }
        if self.dice.once_in(40) {
            let since = Timestamps::now().boot_ns;
            if told("flushed", self.recorder.flush().await).await.is_some() {
                acknowledged("flushed", since);
            }
        }
    }

    async fn approval(&mut self, session: SessionId, n: u64) {
        let id: [u8; 16] = (u128::from(self.dice.any()) << 64 | u128::from(self.dice.any())).to_be_bytes();
        let name: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        for state in [ApprovalState::Pending, ApprovalState::Approved] {
            let approval = ApprovalRecord {
                id,
                session: Some(session),
                n: Some(n),
                state,
                digest: [7; 32],
                at: Timestamps::now(),
                by: Some("ada".to_owned()),
                reason: None,
                data: None,
            };
            if told("approval", self.recorder.approval(approval).await).await.is_some() {
                acknowledged("approval", format_args!("{name}/{}", state.as_str()));
            }
        }
    }
}

fn acknowledged(what: &str, name: impl Display) {
    say(format_args!("{what} {name} {}", Timestamps::now().boot_ns));
}

/// What was acknowledged; a refusal is said, and nothing more is tried for a moment.
async fn told<T>(what: &str, outcome: Result<T, RecordError>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(error) => {
            say(format_args!("refused {what}: {}", chain(&error)));
            tokio::time::sleep(REFUSED).await;
            None
        }
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let parts = iter::successors(Some(error), |error| (*error).source());
    parts.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// One write(2): a line is there or it is not.
fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    // A reader that is gone is the end.
    if out.write_all(format!("{line}\n").as_bytes()).is_err() {
        process::exit(0);
    }
}
