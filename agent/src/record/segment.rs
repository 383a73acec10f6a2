//! The life of a segment: opened where the log stands, written, closed, finalised, and named by its digest in a later one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest as _, Sha256};

use super::ledger::{Ledger, Value, read_head};
use super::proof::Frontier;
use super::rows::{Open, Rows};
use super::schema::{PROCESS, SEALED, SEGMENT, SESSION, STEPS, migrate};
use super::{RecordError, SessionId, Timestamps, file};

/// A segment open for writing.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) conn: Connection,
    pub(super) opened: Timestamps,
    /// Device and inode.
    file: Option<(u64, u64)>,
}

/// A segment that was closed and finalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) number: u64,
    first: i64,
    size: i64,
    sha256: [u8; 32],
    bytes: u64,
}

impl Live {
    /// Opens a segment, making it if there is none; a new one begins where `log` stands.
    pub(super) fn open(directory: &Path, number: u64, origin: &str, log: &Frontier) -> Result<Self, RecordError> {
        let path = file::live(directory, number);
        file::prepare(&path)?;
        let mut conn = file::connect(&path)?;
        migrate(&mut conn, &path, &STEPS)?;
        let failed = |e| RecordError::sqlite("begin a segment in", &path, e);
        let heads: i64 = conn.query_row("SELECT count(*) FROM head", [], |row| row.get(0)).map_err(failed)?;
        if heads == 0 {
            begin(&conn, number, origin, log).map_err(failed)?;
            sync_directory(directory)?;
        }
        let opened = conn.query_row("SELECT opened_ns, opened_boot_ns FROM segment", [], |row| {
            Ok(Timestamps { wall_ns: row.get(0)?, boot_ns: row.get::<_, i64>(1)?.cast_unsigned() })
        });
        let opened = opened.map_err(failed)?;
        let file = identity(&path);
        Ok(Self { number, path, conn, opened, file })
    }

    /// Whether its file is where it was: not when another process set it aside.
    pub(super) fn is_there(&self) -> bool {
        identity(&self.path) == self.file
    }

    /// True when it was closed, by a daemon that was killed before it could begin the next.
    pub(super) fn is_closed(&self) -> Result<bool, RecordError> {
        let closed = self.conn.query_row("SELECT closed FROM head", [], |row| row.get(0));
        closed.map_err(|e| RecordError::sqlite("read the head of", &self.path, e))
    }

    /// Its size with what is still in the write-ahead log, bytes.
    pub(super) fn bytes(&self) -> u64 {
        let number = |pragma| self.conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let pages = number("page_count").and_then(|pages| Ok(pages * number("page_size")?));
        pages.unwrap_or_default().cast_unsigned()
    }

    /// Where the log stands.
    pub(super) fn log(&self) -> Result<Frontier, RecordError> {
        read_head(&self.conn).map_err(|e| RecordError::sqlite("read the head of", &self.path, e))
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

fn begin(conn: &Connection, number: u64, origin: &str, log: &Frontier) -> rusqlite::Result<()> {
    let now = Timestamps::now();
    conn.execute_batch("BEGIN IMMEDIATE")?;
    conn.execute("INSERT INTO head VALUES (0, ?, ?, 0)", params![log.size().cast_signed(), log.to_bytes()])?;
    let mut ledger = Ledger::new(log.clone());
    ledger.append(
        conn,
        &SEGMENT,
        &[
            number.into(),
            origin.into(),
            env!("CARGO_PKG_VERSION").into(),
            now.wall_ns.into(),
            now.boot_ns.into(),
            (&log.root().0).into(),
            log.to_bytes().as_slice().into(),
        ],
    )?;
    ledger.commit(conn)
}

/// Marks a segment as closed: nothing is added to it any more.
pub(super) fn close(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute("UPDATE head SET closed = 1", [])?;
    Ok(())
}

/// Carries the sessions that are open over from the segment before: their processes and a row that names the first.
pub(super) fn carry(from: &Connection, to: &Connection, before: &Rows, rows: &mut Rows) -> rusqlite::Result<()> {
    for (id, open) in &before.open {
        let (values, process) = read_row(from, SESSION.name, open.row)?;
        let process = copy_process(from, to, rows, process)?;
        let mut values: Vec<Value<'_>> = values.iter().map(Owned::borrow).collect();
        let first = match values.last() {
            Some(Value::Int(first)) => *first,
            _ => open.row,
        };
        let changes = [(1, rows.writer), (2, process), (SESSION.columns.len() - 1, first)];
        for (at, value) in changes {
            if let Some(slot) = values.get_mut(at) {
                *slot = Value::Int(value);
            }
        }
        let row = rows.ledger.append(to, &SESSION, &values)?;
        rows.open.insert(SessionId::clone(id), Open { row, ..*open });
    }
    Ok(())
}

fn copy_process(from: &Connection, to: &Connection, rows: &mut Rows, process: i64) -> rusqlite::Result<i64> {
    let (values, _) = read_row(from, PROCESS.name, process)?;
    let values: Vec<Value<'_>> = values.iter().map(Owned::borrow).collect();
    let Some(Value::Blob(digest)) = values.first() else { return Err(rusqlite::Error::InvalidQuery) };
    let mut known = to.prepare_cached("SELECT seq FROM process WHERE digest = ?")?;
    let mut found = known.query([digest])?;
    if let Some(row) = found.next()? {
        return row.get(0);
    }
    rows.ledger.append(to, &PROCESS, &values)
}

/// A value read from a row.
enum Owned {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Owned {
    fn borrow(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Int(number) => Value::Int(*number),
            Self::Text(text) => Value::Text(text),
            Self::Blob(bytes) => Value::Blob(bytes),
        }
    }
}

/// The columns of a ledger row after `seq` and `mark`, and the third of them as a number, which for a session is its
/// process.
fn read_row(conn: &Connection, table: &str, row: i64) -> rusqlite::Result<(Vec<Owned>, i64)> {
    let mut statement = conn.prepare_cached(&format!("SELECT * FROM {table} WHERE seq = ?"))?;
    let columns = statement.column_count();
    statement.query_row([row], |row| {
        let values = (2..columns).map(|at| {
            Ok(match row.get_ref(at)? {
                ValueRef::Null | ValueRef::Real(_) => Owned::Null,
                ValueRef::Integer(number) => Owned::Int(number),
                ValueRef::Text(text) => Owned::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(bytes) => Owned::Blob(bytes.to_vec()),
            })
        });
        let values = values.collect::<rusqlite::Result<Vec<_>>>()?;
        let third = row.get_ref(4)?.as_i64().unwrap_or_default();
        Ok((values, third))
    })
}

/// Makes the final file of a closed segment: one file, complete in itself, that nobody writes. Can be repeated after a
/// crash at any point.
pub(super) fn finalise(directory: &Path, number: u64) -> Result<Sealed, RecordError> {
    let (live, closed) = (file::live(directory, number), file::closed(directory, number));
    if !closed.exists() {
        let making = directory.join(format!("{number:06}.making"));
        remove(&making)?;
        {
            let conn = file::connect(&live)?;
            let failed = |e| RecordError::sqlite("finalise", &live, e);
            let path = making.to_string_lossy().into_owned();
            conn.execute("VACUUM INTO ?", [path]).map_err(failed)?;
        }
        file::own_closed(&making)?;
        let made = File::open(&making).and_then(|made| made.sync_all());
        made.and_then(|()| fs::rename(&making, &closed)).map_err(|e| RecordError::file("finalise", &making, e))?;
        sync_directory(directory)?;
    }
    remove_live(directory, number)?;
    describe(&closed, number)
}

/// Removes the file that was written, its log last: without the log it is not whole.
pub(super) fn remove_live(directory: &Path, number: u64) -> Result<(), RecordError> {
    let live = file::live(directory, number);
    let mut shared = live.as_os_str().to_owned();
    shared.push("-shm");
    let log = file::log_of(&live);
    [live, PathBuf::from(shared), log].iter().try_for_each(|path| remove(path))
}

/// What the file of a finalised segment is.
fn describe(closed: &Path, number: u64) -> Result<Sealed, RecordError> {
    let (sha256, bytes) = digest(closed).map_err(|e| RecordError::file("read", closed, e))?;
    let failed = |e| RecordError::sqlite("read", closed, e);
    let conn = file::connect_read_only(closed).map_err(failed)?;
    let first = conn.query_row("SELECT seq FROM segment", [], |row| row.get(0)).map_err(failed)?;
    let size = conn.query_row("SELECT size FROM head", [], |row| row.get(0)).map_err(failed)?;
    Ok(Sealed { number, first, size, sha256, bytes })
}

/// Names a finalised segment by its digest, unless that was done.
pub(super) fn seal(conn: &Connection, ledger: &mut Ledger, sealed: &Sealed) -> rusqlite::Result<()> {
    let number = sealed.number.cast_signed();
    if conn.prepare_cached("SELECT 1 FROM sealed WHERE number = ?")?.exists([number])? {
        return Ok(());
    }
    let now = Timestamps::now().wall_ns;
    ledger.append(
        conn,
        &SEALED,
        &[
            number.into(),
            sealed.first.into(),
            sealed.size.into(),
            (&sealed.sha256).into(),
            sealed.bytes.into(),
            now.into(),
        ],
    )?;
    Ok(())
}

/// Where the log stood at a finalised segment's end, and the checkpoint signed there; `None` when there is none.
pub(super) fn last_words(closed: &Path) -> Result<Option<(Vec<u8>, String)>, RecordError> {
    let read = || {
        let conn = file::connect_read_only(closed)?;
        let words = conn.query_row(
            "SELECT frontier, note FROM head JOIN checkpoint ON checkpoint.size = head.size",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        );
        words.optional()
    };
    read().map_err(|e| RecordError::sqlite("read", closed, e))
}

/// The public keys that a store says signed it, the latest first. Nobody else vouches for them.
///
/// # Errors
/// When the store cannot be read.
pub fn signers(state_dir: &Path) -> Result<Vec<String>, RecordError> {
    let directory = file::directory(state_dir);
    let mut keys = Vec::new();
    for segment in file::segments(&directory).map_err(|e| RecordError::file("list", &directory, e))?.into_iter().rev() {
        let read = || {
            let conn = file::connect_read_only(&segment.path)?;
            let mut statement = conn.prepare("SELECT vkey FROM signer ORDER BY seq DESC")?;
            statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
        };
        for key in read().map_err(|e| RecordError::sqlite("read", &segment.path, e))? {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    Ok(keys)
}

/// SHA-256 and length of a file.
pub(super) fn digest(path: &Path) -> io::Result<([u8; 32], u64)> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let (mut hasher, mut bytes) = (Sha256::new(), 0_u64);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hasher.finalize().into(), bytes)),
            read => {
                hasher.update(buffer.get(..read).unwrap_or_default());
                bytes += read as u64;
            }
        }
    }
}

fn remove(path: &Path) -> Result<(), RecordError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(RecordError::file("remove", path, e)),
        _ => Ok(()),
    }
}

/// Makes what was created, renamed or removed in a directory last.
pub(super) fn sync_directory(directory: &Path) -> Result<(), RecordError> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|e| RecordError::file("sync", directory, e))
}

/// Where the log stood after a segment that was removed in order, by the stub that stands for it; or why that is not known.
pub(super) fn read_stub(
    directory: &Path,
    number: u64,
    read_note: super::verify::ReadNote<'_>,
) -> Result<Frontier, String> {
    let path = file::stub(directory, number);
    let text = fs::read_to_string(&path).map_err(|_| "it is not there, and no stub stands for it".to_owned())?;
    let (edge, note) = text.split_once('\n').ok_or_else(|| format!("{} is no stub", path.display()))?;
    let head = read_note(note).map_err(|why| format!("the stub that stands for it is not to be trusted: {why}"))?;
    let bytes: Option<Vec<u8>> =
        edge.as_bytes().chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect();
    let log = bytes.and_then(|bytes| Frontier::from_bytes(&bytes).ok());
    log.filter(|log| log.root() == head.root && log.size() == head.size)
        .ok_or_else(|| "the stub that stands for it contradicts its own signature".to_owned())
}
