//! Checkpoints: what the log was at an instant, signed, stored, and told to whoever keeps it elsewhere.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::ledger::Ledger;
use super::options::Options;
use super::proof::Frontier;
use super::{RecordError, damage};

/// A session that ended is under a checkpoint this much later at the latest.
const AFTER_END: Duration = Duration::from_secs(1);

/// Signs when it is time to.
#[derive(Debug)]
pub(super) struct Stamper {
    directory: PathBuf,
    origin: String,
    every: Duration,
    stamped: u64,
    at: Instant,
    ended: bool,
}

impl Stamper {
    pub(super) fn open(directory: &Path, options: &Options) -> Result<Self, RecordError> {
        Ok(Self {
            directory: directory.to_owned(),
            origin: options.origin.clone(),
            every: options.checkpoint_every,
            stamped: 0,
            at: Instant::now(),
            ended: false,
        })
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn introduce(&mut self, _conn: &Connection, _ledger: &mut Ledger) -> rusqlite::Result<()> {
        Ok(())
    }

    /// A session ended: a checkpoint is due soon.
    pub(super) fn session_ended(&mut self) {
        self.ended = true;
    }

    pub(super) fn is_due(&self, log: &Frontier) -> bool {
        let wait = if self.ended { AFTER_END.min(self.every) } else { self.every };
        log.size() != self.stamped && self.at.elapsed() >= wait
    }

    pub(super) fn stamp(&mut self, conn: &Connection, log: &Frontier) -> Result<(), RecordError> {
        let _ = conn;
        (self.stamped, self.at, self.ended) = (log.size(), Instant::now(), false);
        damage::remember(&self.directory, log)
    }
}
