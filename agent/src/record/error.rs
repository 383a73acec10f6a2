//! What can go wrong with the store, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

use super::SessionId;
use super::proof::{CheckpointError, KeyError, NameError};

/// Why something could not be recorded. Cloned to everyone whose record was in the same transaction.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RecordError {
    /// A directory or file of the store could not be made ready.
    #[error(
        "cannot {doing} {path}: check that the directory exists, is writable by this user and not on a read-only file system"
    )]
    File {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The file system is full.
    #[error(
        "no space left for {path}: free some, or move the state directory with --state-dir; connections are refused until then"
    )]
    Full {
        /// The segment.
        path: PathBuf,
    },
    /// The store may not be written.
    #[error("{path} may not be written: check its owner, its mode and whether its file system is mounted read-only")]
    ReadOnly {
        /// The segment.
        path: PathBuf,
    },
    /// The file is damaged or not SQLite.
    #[error(
        "{path} is damaged or not a SQLite file: keep it as evidence under another name and restart; a new one is begun"
    )]
    Corrupt {
        /// The segment.
        path: PathBuf,
    },
    /// A SQLite file of somebody else.
    #[error("{path} is a SQLite file but not a Sallyport store: move it away, or use another --state-dir")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer version.
    #[error("{path} has layout {found}, this version knows up to {known}: use the newer Sallyport that wrote it")]
    TooNew {
        /// The segment.
        path: PathBuf,
        /// Its `user_version`.
        found: i64,
        /// The last one known here.
        known: i64,
    },
    /// Another daemon holds the store.
    #[error("another sallyport daemon records in {path}: stop it first, or give this one another --state-dir")]
    Held {
        /// The directory.
        path: PathBuf,
    },
    /// Other writers held the store for too long.
    #[error("{path} was locked by another process for too long: look for a program that keeps it open for writing")]
    Busy {
        /// The segment.
        path: PathBuf,
    },
    /// The name of the log is none a key can have.
    #[error("`{origin}` cannot name the log: check trust_domain and host in [identity]")]
    Origin {
        /// The name.
        origin: String,
        /// Why not.
        source: NameError,
    },
    /// The key that signs checkpoints.
    #[error("checkpoints cannot be signed")]
    Key(#[source] Arc<KeyError>),
    /// A checkpoint could not be made.
    #[error("a checkpoint could not be made")]
    Checkpoint(#[from] CheckpointError),
    /// Payloads are to be encrypted, and there is no key.
    #[error(
        "payloads are to be encrypted, and there is no key: give systemd the credential sallyport-payload-key, or set payload_key in [audit]"
    )]
    NoPayloadKey,
    /// The session of a request is not open.
    #[error("connection {session} is not open in the store, so nothing more of it can be recorded")]
    NoSession {
        /// Its id.
        session: SessionId,
    },
    /// The store did not work until it was closed.
    #[error("{path} did not take all there was to record before it was closed: look in the log for why")]
    Lost {
        /// The segment.
        path: PathBuf,
    },
    /// The recorder was closed, or its thread is gone.
    #[error("the recorder is closed")]
    Closed,
    /// Anything else SQLite reports.
    #[error("cannot {doing} in {path}")]
    Sqlite {
        /// What was being done.
        doing: &'static str,
        /// The segment.
        path: PathBuf,
        /// What SQLite said.
        source: Arc<rusqlite::Error>,
    },
}

impl From<KeyError> for RecordError {
    fn from(error: KeyError) -> Self {
        Self::Key(Arc::new(error))
    }
}

impl RecordError {
    /// What SQLite said of a statement it did not understand.
    pub(super) fn sqlite_message(&self) -> Option<String> {
        let Self::Sqlite { source, .. } = self else { return None };
        if let rusqlite::Error::SqlInputError { msg, .. } = source.as_ref() {
            return Some(msg.clone());
        }
        let rusqlite::Error::SqliteFailure(_, message) = source.as_ref() else { return None };
        message.clone()
    }

    pub(super) fn file(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::StorageFull {
            return Self::Full { path };
        }
        Self::File { doing, path, source: Arc::new(source) }
    }

    pub(super) fn sqlite(doing: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path },
            Some(ErrorCode::SystemIoFailure) if is_read_only(&path) => Self::ReadOnly { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            _ => Self::Sqlite { doing, path, source: Arc::new(source) },
        }
    }
}

/// Whether the file system turned read-only under the open segment: SQLite calls that an I/O error. A file that SQLite
/// does not know is asked, because closing one that it does drops its locks.
fn is_read_only(segment: &Path) -> bool {
    let opened = std::fs::OpenOptions::new().write(true).open(segment.with_file_name("open.lock"));
    opened.is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem)
}

/// Why the store could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was ever recorded there.
    #[error("there is no store in {path}: nothing was recorded yet, or --state-dir points elsewhere")]
    Missing {
        /// The directory looked at.
        path: PathBuf,
    },
    /// The store may not be read.
    #[error("{path} may not be read: run as root, or as a member of the group sallyport-audit")]
    NotReadable {
        /// The segment.
        path: PathBuf,
    },
    /// No session has that id.
    #[error("no session's id begins with {id}")]
    NoSession {
        /// What was asked for.
        id: String,
    },
    /// Several sessions have ids beginning like that.
    #[error("several sessions' ids begin with {id}: give more of it")]
    Ambiguous {
        /// What was asked for.
        id: String,
    },
    /// Not hexadecimal digits and dashes.
    #[error(
        "{id} is not a session id: those are hexadecimal digits and dashes, as `sallyport sessions list` shows them"
    )]
    NotAnId {
        /// What was asked for.
        id: String,
    },
    /// Not a query of SQLite's FTS5.
    #[error("these words cannot be looked for: {message}")]
    NotAQuery {
        /// What SQLite said.
        message: String,
    },
    /// The file itself is at fault.
    #[error(transparent)]
    Segment(#[from] RecordError),
}
