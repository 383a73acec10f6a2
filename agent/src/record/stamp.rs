//! Checkpoints: what the log was at an instant, signed, stored, and told to whoever keeps it elsewhere.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::ledger::Ledger;
use super::options::Options;
use super::proof::{Checkpoint, Frontier, Head, KeyName, KeyPlaces, Keys};
use super::schema::SIGNER;
use super::{RecordError, Timestamps, damage};

/// A session that ended is under a checkpoint this much later at the latest.
const AFTER_END: Duration = Duration::from_secs(1);

/// Signs when it is time to.
#[derive(Debug)]
pub(super) struct Stamper {
    directory: PathBuf,
    keys: Keys,
    every: Duration,
    file: Option<(PathBuf, File)>,
    stamped: u64,
    at: Instant,
    ended: bool,
}

impl Stamper {
    /// Finds the key, or makes one.
    pub(super) fn open(state_dir: &Path, directory: &Path, options: &Options) -> Result<Self, RecordError> {
        let name = KeyName::new(&options.origin)
            .map_err(|source| RecordError::Origin { origin: options.origin.clone(), source })?;
        let keys = Keys::load(&KeyPlaces::new(state_dir, options.key_file.as_deref()), &name)?;
        let opened = options.checkpoint_file.as_deref().map(append_to).transpose()?;
        let file = options.checkpoint_file.clone().zip(opened);
        Ok(Self {
            directory: directory.to_owned(),
            keys,
            every: options.checkpoint_every,
            file,
            stamped: 0,
            at: Instant::now(),
            ended: false,
        })
    }

    /// Name of the log.
    pub(super) fn origin(&self) -> &str {
        self.keys.public().name().as_str()
    }

    /// Puts the key on record in a segment, inside the caller's transaction.
    pub(super) fn introduce(&mut self, conn: &Connection, ledger: &mut Ledger) -> rusqlite::Result<()> {
        let vkey = self.keys.public().to_string();
        let mut last = conn.prepare_cached("SELECT vkey FROM signer ORDER BY seq DESC LIMIT 1")?;
        let known = last.query_map([], |row| row.get::<_, String>(0))?.next().transpose()?;
        if known.as_deref() == Some(&vkey) {
            return Ok(());
        }
        ledger.append(conn, &SIGNER, &[(&vkey).into(), Timestamps::now().wall_ns.into()])?;
        Ok(())
    }

    /// A session ended: a checkpoint is due soon.
    pub(super) fn session_ended(&mut self) {
        self.ended = true;
    }

    /// When the next checkpoint is due; `None` while there is nothing new to sign.
    pub(super) fn due(&self, log: &Frontier) -> Option<Instant> {
        let wait = if self.ended { AFTER_END.min(self.every) } else { self.every };
        (log.size() != self.stamped).then(|| self.at + wait)
    }

    /// Signs the log as it is, stores that and tells it.
    pub(super) fn stamp(&mut self, conn: &Connection, log: &Frontier) -> Result<(), RecordError> {
        if log.size() == self.stamped {
            return Ok(());
        }
        // One that fails is due again after as long.
        self.at = Instant::now();
        let (size, root) = (log.size(), log.root());
        let note = Checkpoint::new(self.origin(), Head { size, root }).sign(&[self.keys.signer()])?;
        conn.prepare_cached("INSERT OR IGNORE INTO checkpoint (size, made_ns, note) VALUES (?,?,?)")
            .and_then(|mut insert| insert.execute(params![size.cast_signed(), Timestamps::now().wall_ns, note]))
            .map_err(|e| RecordError::sqlite("write a checkpoint", &self.directory, e))?;
        (self.stamped, self.ended) = (size, false);
        // The journal, or a file, is on its way to another host; that is where a cut end shows.
        tracing::info!(target: "sallyport::checkpoint", size, %root, %note, "checkpoint");
        if let Some((path, file)) = &mut self.file {
            file.write_all(format!("{note}\n").as_bytes()).map_err(|e| RecordError::file("append to", path, e))?;
        }
        damage::remember(&self.directory, log)
    }
}

fn append_to(path: &Path) -> Result<File, RecordError> {
    let opened = OpenOptions::new().append(true).create(true).mode(0o640).open(path);
    opened.map_err(|e| RecordError::file("open", path, e))
}
