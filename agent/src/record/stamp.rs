//! Checkpoints: what the log was at an instant, signed, stored, and told to whoever keeps it elsewhere.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::checkpoint::Checkpointer;
use super::ledger::Ledger;
use super::options::Options;
use super::proof::{Checkpoint, Frontier, Head, KeyName, KeyPlaces, Keys, public_keys};
use super::recorder::Role;
use super::schema::SIGNER;
use super::{RecordError, Timestamps, damage};

/// A session that ended is under a checkpoint this much later at the latest.
const AFTER_END: Duration = Duration::from_secs(1);

/// Between a note that was cut off and the next: more empty lines than are between two.
const APART: &str = "\n\n\n";

/// Signs when it is time to.
#[derive(Debug)]
pub(super) struct Stamper {
    state_dir: PathBuf,
    directory: PathBuf,
    places: KeyPlaces,
    /// `None` beside a daemon whose key this process cannot see: the daemon signs what is recorded here as well.
    keys: Option<Keys>,
    name: KeyName,
    every: Duration,
    file: Option<(PathBuf, File)>,
    /// What was last written to it may be cut off.
    torn: bool,
    stamped: u64,
    at: Instant,
    ended: bool,
}

impl Stamper {
    /// Finds the key, or makes one.
    pub(super) fn open(state_dir: &Path, directory: &Path, options: &Options, role: Role) -> Result<Self, RecordError> {
        let name = KeyName::new(&options.origin)
            .map_err(|source| RecordError::Origin { origin: options.origin.clone(), source })?;
        let places = KeyPlaces::new(state_dir, options.key_file.as_deref());
        let keys = match role {
            Role::Daemon => Some(Keys::load(&places, &name)?),
            Role::Exec => Keys::load_beside(&places, &name)?,
        };
        // The log keeps its name when the host's changes.
        let known = match &keys {
            Some(keys) => Some(keys.public().name().clone()),
            None => public_keys(state_dir)?.first().map(|key| key.name().clone()),
        };
        let opened = options.checkpoint_file.as_deref().map(append_to).transpose()?;
        let torn = opened.as_ref().is_some_and(|(_, whole)| !whole);
        let file = options.checkpoint_file.clone().zip(opened.map(|(file, _)| file));
        Ok(Self {
            state_dir: state_dir.to_owned(),
            directory: directory.to_owned(),
            places,
            keys,
            name: known.unwrap_or(name),
            every: options.checkpoint_every,
            file,
            torn,
            stamped: 0,
            at: Instant::now(),
            ended: false,
        })
    }

    /// Name of the log.
    pub(super) fn origin(&self) -> &str {
        self.name.as_str()
    }

    /// Puts the key on record in a segment, inside the caller's transaction.
    pub(super) fn introduce(&self, conn: &Connection, ledger: &mut Ledger) -> rusqlite::Result<()> {
        let Some(keys) = &self.keys else { return Ok(()) };
        let vkey = keys.public().to_string();
        let mut last = conn.prepare_cached("SELECT vkey FROM signer ORDER BY seq DESC LIMIT 1")?;
        let known = last.query_map([], |row| row.get::<_, String>(0))?.next().transpose()?;
        if known.as_deref() == Some(&vkey) {
            return Ok(());
        }
        ledger.append(conn, &SIGNER, &[(&vkey).into(), Timestamps::now().wall_ns.into()])?;
        Ok(())
    }

    /// Takes the key that an operator put in force meanwhile; true when it is another, which is to be introduced.
    pub(super) fn follow_rotation(&mut self) -> bool {
        if !self.keys.as_ref().is_some_and(|keys| keys.is_replaced(&self.state_dir)) {
            return false;
        }
        match Keys::load(&self.places, &self.name) {
            Ok(keys) => {
                let before = self.keys.replace(keys);
                before.map(|keys| keys.public().clone()) != self.keys.as_ref().map(|keys| keys.public().clone())
            }
            Err(error) => {
                tracing::error!(%error, "the new key cannot be used: the one of before goes on signing");
                false
            }
        }
    }

    /// A session ended: a checkpoint is due soon.
    pub(super) fn session_ended(&mut self) {
        self.ended = true;
    }

    /// When the next checkpoint is due; `None` while there is nothing new to sign.
    pub(super) fn due(&self, log: &Frontier) -> Option<Instant> {
        let wait = if self.ended { AFTER_END.min(self.every) } else { self.every };
        (self.keys.is_some() && log.size() != self.stamped).then(|| self.at + wait)
    }

    /// Signs the log as it is, stores that and tells it. What it covers is on the disk before anybody hears of it: else
    /// power loss would look like a cut end.
    pub(super) fn stamp(
        &mut self,
        conn: &Connection,
        log: &Frontier,
        checkpointer: &Checkpointer,
    ) -> Result<(), RecordError> {
        let Some(keys) = self.keys.as_ref().filter(|_| log.size() != self.stamped) else { return Ok(()) };
        // One that fails is due again after as long.
        self.at = Instant::now();
        let (size, root) = (log.size(), log.root());
        let note = Checkpoint::new(self.origin(), Head { size, root }).sign(&[keys.signer()])?;
        conn.prepare_cached("INSERT OR IGNORE INTO checkpoint (size, made_ns, note) VALUES (?,?,?)")
            .and_then(|mut insert| insert.execute(params![size.cast_signed(), Timestamps::now().wall_ns, note]))
            .map_err(|e| RecordError::sqlite("write a checkpoint", &self.directory, e))?;
        checkpointer.sync()?;
        (self.stamped, self.ended) = (size, false);
        // The journal, or a file, is on its way to another host; that is where a cut end shows.
        tracing::info!(target: "sallyport::checkpoint", size, %root, %note, "checkpoint");
        if let Some((path, file)) = &mut self.file {
            let apart = if std::mem::replace(&mut self.torn, true) { APART } else { "" };
            let written = file.write_all(format!("{apart}{note}\n").as_bytes());
            written.map_err(|e| RecordError::file("append to", path, e))?;
            self.torn = false;
        }
        damage::remember(&self.directory, log)
    }
}

/// Opens a file of notes; says whether the last one in it is whole.
fn append_to(path: &Path) -> Result<(File, bool), RecordError> {
    let open = || -> io::Result<(File, bool)> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        let mut end = [0; 2];
        if length >= 2 {
            file.seek(SeekFrom::End(-2))?;
            file.read_exact(&mut end)?;
        }
        Ok((file, length == 0 || end == *b"\n\n"))
    };
    open().map_err(|e| RecordError::file("open", path, e))
}
