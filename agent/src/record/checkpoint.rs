//! Moves the write-ahead log into the segment, and both to the disk, away from the writer's path.
//!
//! A commit appends to the log and waits for no disk. This thread syncs the log forty times a second (which bounds what
//! power loss may cost) and, when the log has grown, copies it into the segment. The one sync a writer can meet is
//! that of the log's header when it starts over; this thread tries to be the one who meets it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use super::{RecordError, file};

/// How often the log is synced while there is something new in it: what power loss may cost.
const SYNC_EVERY: Duration = Duration::from_millis(25);
/// Commits between checkpoints; a commit is a page or two, so the log stays near sixteen megabytes.
const CHECKPOINT_AFTER: u64 = 4096;
/// Pages (4 KiB) of log past which writers are held up until it can start over: 128 MiB. Only a load that never lets
/// a checkpoint catch up gets there.
const MAX_LOG_PAGES: i64 = 32_768;

#[derive(Debug)]
struct Shared {
    /// Counts from one: what was committed before the thread began need not be on the disk.
    commits: AtomicU64,
    /// How many commits are on the disk.
    synced: AtomicU64,
    stop: AtomicBool,
    /// The disk refused a sync: what it was to keep is in memory only, and no later sync of the log tries it again.
    lost: AtomicBool,
}

/// The thread, as the writer sees it.
#[derive(Debug)]
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    segment: PathBuf,
    log: File,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(segment: &Path) -> Result<Self, RecordError> {
        let path = file::log_of(segment);
        let open = || File::open(&path).map_err(|e| RecordError::file("open", &path, e));
        let shared = Arc::new(Shared {
            commits: AtomicU64::new(1),
            synced: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        });
        let worker = Worker { conn: file::connect(segment)?, log: open()?, shared: Arc::clone(&shared) };
        let thread = thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || worker.run())
            .map_err(|e| RecordError::file("start the thread that checkpoints", segment, e))?;
        Ok(Self { shared, segment: segment.to_owned(), log: open()?, thread: Some(thread) })
    }

    /// Tells that there is something new in the log.
    pub(super) fn committed(&self) {
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until everything that is committed is on the disk; at once, when it is.
    pub(super) fn sync_new(&self) -> Result<(), RecordError> {
        let (synced, commits) =
            (self.shared.synced.load(Ordering::Acquire), self.shared.commits.load(Ordering::Relaxed));
        if synced == commits && !self.shared.lost.load(Ordering::Acquire) { Ok(()) } else { self.sync() }
    }

    /// Waits until the log is on the disk.
    pub(super) fn sync(&self) -> Result<(), RecordError> {
        let commits = self.shared.commits.load(Ordering::Relaxed);
        if self.shared.lost.load(Ordering::Acquire) {
            // All of it goes into the segment, and the log starts over.
            let conn = file::connect(&self.segment)?;
            let started_over = checkpoint(&conn, "TRUNCATE").map(|(log, moved)| log == moved);
            match started_over {
                Ok(true) => self.shared.lost.store(false, Ordering::Release),
                Ok(false) => return Err(RecordError::Busy { path: self.segment.clone() }),
                Err(e) => return Err(RecordError::sqlite("checkpoint", &self.segment, e)),
            }
        }
        self.log.sync_data().map_err(|e| {
            self.shared.lost.store(true, Ordering::Release);
            RecordError::file("sync", &file::log_of(&self.segment), e)
        })?;
        self.shared.synced.fetch_max(commits, Ordering::Release);
        Ok(())
    }

    /// Ends the thread and leaves as little as possible in the log.
    pub(super) fn finish(mut self) -> Result<(), RecordError> {
        self.stop();
        self.sync()?;
        let conn = file::connect(&self.segment)?;
        // Readers and other writers may keep it from emptying the log: it is synced, so nothing is lost.
        checkpoint(&conn, "TRUNCATE").map(|_| ()).map_err(|e| RecordError::sqlite("checkpoint", &self.segment, e))
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there was reported by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Worker {
    conn: Connection,
    log: File,
    shared: Arc<Shared>,
}

impl Worker {
    fn run(self) {
        let (mut synced, mut checkpointed) = (0, 0);
        while !self.shared.stop.load(Ordering::Acquire) {
            thread::park_timeout(SYNC_EVERY);
            let commits = self.shared.commits.load(Ordering::Relaxed);
            if commits == synced {
                continue;
            }
            synced = commits;
            match self.log.sync_data() {
                Ok(()) => {
                    self.shared.synced.fetch_max(commits, Ordering::Release);
                }
                Err(error) => {
                    self.shared.lost.store(true, Ordering::Release);
                    tracing::error!(%error, "the log of the store could not be synced");
                }
            }
            if commits - checkpointed >= CHECKPOINT_AFTER {
                checkpointed = commits;
                if let Err(error) = self.checkpoint() {
                    tracing::warn!(%error, "the log of the store could not be checkpointed; it is tried again");
                }
            }
        }
    }

    fn checkpoint(&self) -> rusqlite::Result<()> {
        let (log, moved) = checkpoint(&self.conn, "PASSIVE")?;
        if log >= MAX_LOG_PAGES {
            // What came meanwhile is moved first, so that writers wait for a few pages only.
            checkpoint(&self.conn, "PASSIVE")?;
            checkpoint(&self.conn, "RESTART")?;
        }
        if log == moved {
            // Any write starts the log over, and waits for its header.
            self.conn
                .execute("UPDATE writer SET opened_ns = opened_ns WHERE seq = (SELECT max(seq) FROM writer)", [])?;
        }
        Ok(())
    }
}

/// Pages in the log, and how many of them are in the segment now.
fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<(i64, i64)> {
    conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| Ok((row.get(1)?, row.get(2)?)))
}
