//! Requests as pgbench's own mix sends them: the statements of its built-in script, literals masked.

use crate::material;
use sallyport::{
    identity::Identity,
    record::{
        Durability, Options, Recorder, RequestRecord, ResponseRecord, Role, SessionEnd, SessionId, SessionStart,
        Timestamps,
    },
};
use sallyport_tests::Dice;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// Kind, statement, and rows returned or changed of each step of the script.
const SCRIPT: [(&str, &str, Option<u64>); 7] = [
    ("begin", "BEGIN", None),
    ("update", "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2", Some(1)),
    ("select", "SELECT abalance FROM pgbench_accounts WHERE aid = $1", Some(1)),
    ("update", "UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2", Some(1)),
    ("update", "UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2", Some(1)),
    (
        "insert",
        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP)",
        Some(1),
    ),
    ("commit", "END", None),
];
/// Requests of one session.
const SESSION: u64 = 700;
/// A statement takes between these, nanoseconds: as pgbench reports on an idle machine, the commit apart.
const SHORTEST: u64 = 40_000;
const LONGEST: u64 = 900_000;

/// One client.
pub struct Load {
    recorder: Recorder,
    who: Arc<Identity>,
    script: Vec<(Arc<str>, Arc<str>, Option<u64>)>,
    policies: Arc<str>,
    dice: Dice,
    /// What the client's clock says: it runs as the script does.
    now: Timestamps,
}

impl Load {
    /// A client of the process `n`.
    pub fn new(recorder: &Recorder, n: u32) -> Self {
        let script = SCRIPT.map(|(kind, statement, rows)| (kind.into(), statement.into(), rows));
        let (who, now) = (material::identity(n), Timestamps::now());
        let policies = "[\"jobs-may-use-bank\"]".into();
        Self { recorder: recorder.clone(), who, script: script.into(), policies, dice: Dice::new(n.into()), now }
    }

    /// Sets the clock back.
    pub fn since(mut self, ago: Duration) -> Self {
        self.now.wall_ns -= ago.as_nanos() as i64;
        self
    }

    /// Requests whose sender does not wait.
    pub async fn batched(&mut self, count: u64) {
        let mut session = self.begin().await;
        for n in 0..count {
            if n > 0 && n % SESSION == 0 {
                session = self.begin().await;
            }
            let request = self.request(session, n % SESSION);
            self.recorder.request(request, Durability::Batched).await.expect("a record");
        }
    }

    /// Requests whose sender waits for the disk: how long each did.
    pub async fn waited(&mut self, count: u64) -> Vec<Duration> {
        let session = self.begin().await;
        let mut times = Vec::with_capacity(count as usize);
        for n in 0..count {
            let request = self.request(session, n);
            let start = Instant::now();
            self.recorder.request(request, Durability::BeforeForward).await.expect("a record");
            times.push(start.elapsed());
        }
        times
    }

    /// A whole session: so many requests with what came back, and its end.
    pub async fn session(&mut self, requests: u64) {
        let session = self.begin().await;
        for n in 0..requests {
            let request = self.request(session, n);
            self.recorder.request(request, Durability::Batched).await.expect("a record");
            let response = self.response(session, n);
            self.recorder.response(response).await.expect("a record");
        }
        let end = SessionEnd { ended: self.now, ..material::end() };
        self.recorder.end(session, end).await.expect("a record");
    }

    async fn begin(&mut self) -> SessionId {
        let port = self.dice.upto(65_535) as u16;
        let start = SessionStart { started: self.now, ..material::start(&self.who, port) };
        self.recorder.begin(start).await.expect("a record")
    }

    fn request(&mut self, session: SessionId, n: u64) -> RequestRecord {
        let (kind, statement, _) = &self.script[(n % SCRIPT.len() as u64) as usize];
        RequestRecord {
            at: self.now,
            policies: Some(Arc::clone(&self.policies)),
            ..material::request(session, n, kind, statement)
        }
    }

    fn response(&mut self, session: SessionId, n: u64) -> ResponseRecord {
        self.pass(SHORTEST + self.dice.clone().upto(LONGEST - SHORTEST));
        let rows = self.script[(n % SCRIPT.len() as u64) as usize].2;
        let bytes = 30 + self.dice.upto(60);
        ResponseRecord { at: self.now, rows, bytes: Some(bytes), ..material::response(session, n) }
    }

    fn pass(&mut self, nanoseconds: u64) {
        self.now.wall_ns += nanoseconds as i64;
        self.now.boot_ns += nanoseconds;
    }
}

/// A store of about so many records, from many processes over thirty days, for readers.
pub fn fill(state: &Path, records: u64) {
    const CLIENTS: u64 = 32;
    /// Requests of a session; with what came back, the beginning and the end, fifty records.
    const REQUESTS: u64 = 24;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let recorder = Recorder::open_as(state, Role::Daemon, &Options::default()).expect("a store");
    let sessions = records / CLIENTS / (2 * REQUESTS + 2);
    let month = Duration::from_secs(30 * 86_400);
    runtime.block_on(async {
        let mut clients = tokio::task::JoinSet::new();
        for n in 0..CLIENTS {
            let mut load = Load::new(&recorder, n as u32).since(month);
            let pause = month.as_nanos() as u64 / (sessions + 1);
            clients.spawn(async move {
                for _ in 0..sessions {
                    load.session(REQUESTS).await;
                    load.pass(pause - REQUESTS * LONGEST.min(pause / REQUESTS));
                }
            });
        }
        clients.join_all().await;
        recorder.close().await.expect("a disk");
    });
}
