//! The files of the store: where they are, who may read them, how SQLite is to treat them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, Gid, flock};

use super::RecordError;

/// Members may read the store.
const AUDIT_GROUP: &str = "sallyport-audit";
const DIRECTORY_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;
const CLOSED_MODE: u32 = 0o440;
/// How long a writer waits for another process's transaction; they last well under a millisecond.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// The write-ahead log is cut back to this when it starts over, bytes.
const KEPT_LOG: u32 = 16 << 20;
/// Prepared statements kept per connection; the writer has about thirty.
const STATEMENTS: usize = 64;

/// Directory of the segments.
pub(super) fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("sessions")
}

/// Number and state of a segment's file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentFile {
    /// Segments count from one.
    pub(crate) number: u64,
    /// Written to, or to be finalised.
    pub(crate) live: bool,
    /// Where it is.
    pub(crate) path: PathBuf,
}

/// A segment that is written to.
pub(super) fn live(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:06}.live.sqlite"))
}

/// A segment that is finalised.
pub(super) fn closed(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:06}.sqlite"))
}

/// What stands for a segment that was removed.
pub(super) fn stub(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:06}.pruned"))
}

/// Every segment of a store, oldest first. Of one that is there in both states only the finalised file counts.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn segments(directory: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut found: Vec<SegmentFile> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some((digits, rest)) = name.split_once('.') else { continue };
        let live = match rest {
            "live.sqlite" => true,
            "sqlite" => false,
            _ => continue,
        };
        if let (6.., Ok(number)) = (digits.len(), digits.parse()) {
            found.push(SegmentFile { number, live, path });
        }
    }
    // False sorts before true.
    found.sort();
    found.dedup_by_key(|segment| segment.number);
    Ok(found)
}

/// The numbers of those that were removed, and of those that were set aside as damaged with the name they have now.
///
/// # Errors
/// When the directory cannot be read.
pub(super) fn absent(directory: &Path) -> io::Result<(BTreeSet<u64>, BTreeMap<u64, String>)> {
    let (mut stubs, mut aside) = (BTreeSet::new(), BTreeMap::new());
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some((digits, rest)) = name.split_once('.') else { continue };
        let (6.., Ok(number)) = (digits.len(), digits.parse()) else { continue };
        if rest == "pruned" {
            stubs.insert(number);
        } else if rest.starts_with("live.sqlite.damaged-") {
            aside.insert(number, name);
        }
    }
    Ok((stubs, aside))
}

/// The write-ahead log of a segment.
pub(super) fn log_of(segment: &Path) -> PathBuf {
    let mut name = segment.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Makes the directory with the right owner and mode, unless it is there.
pub(super) fn prepare_directory(directory: &Path) -> Result<(), RecordError> {
    let group = audit_group(Path::new("/etc/group"));
    if !directory.is_dir() {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)
            .map_err(|e| RecordError::file("create", directory, e))?;
        own(directory, DIRECTORY_MODE, group)?;
        for above in directory.ancestors().skip(1).take(2) {
            super::segment::sync_directory(above)?;
        }
    }
    Ok(())
}

/// Makes an empty segment with the right owner and mode, unless it is there.
pub(super) fn prepare(segment: &Path) -> Result<(), RecordError> {
    let group = audit_group(Path::new("/etc/group"));
    // An existing file is left closed: closing any descriptor of it would drop the locks SQLite holds in this process.
    match OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(segment) {
        // The log and the shared memory file take owner and mode from the segment.
        Ok(_) => own(segment, FILE_MODE, group),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(RecordError::file("create", segment, e)),
    }
}

/// Gives a finalised segment the mode and group under which auditors read it and nobody writes it.
pub(super) fn own_closed(path: &Path) -> Result<(), RecordError> {
    own(path, CLOSED_MODE, audit_group(Path::new("/etc/group")))
}

/// The same for what is changed later.
pub(super) fn own_open(path: &Path) -> Result<(), RecordError> {
    own(path, FILE_MODE, audit_group(Path::new("/etc/group")))
}

fn own(path: &Path, mode: u32, group: Option<u32>) -> Result<(), RecordError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|e| RecordError::file("set the mode of", path, e))?;
    if let Some(group) = group {
        // Only root and members may give a file to the group; without that the owner alone reads it.
        if let Err(error) = rustix::fs::chown(path, None, Some(Gid::from_raw(group))) {
            tracing::debug!(path = %path.display(), %error, "cannot give the file to {AUDIT_GROUP}");
        }
    }
    Ok(())
}

fn audit_group(groups: &Path) -> Option<u32> {
    let mut text = Vec::new();
    File::open(groups).ok()?.take(4 << 20).read_to_end(&mut text).ok()?;
    text.split(|b| *b == b'\n').find_map(|line| {
        let rest = line.strip_prefix(AUDIT_GROUP.as_bytes())?.strip_prefix(b":")?;
        std::str::from_utf8(rest.split(|b| *b == b':').nth(1)?).ok()?.parse().ok()
    })
}

/// A lock file, locked until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Waits for the lock under which segments are opened, migrated and recovered.
pub(super) fn lock_for_opening(directory: &Path) -> Result<Lock, RecordError> {
    let path = directory.join("open.lock");
    let file = lock_file(&path)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|e| RecordError::file("lock", &path, e.into()))?;
    Ok(Lock { _file: file })
}

/// Takes the lock that only one daemon may have.
pub(super) fn lock_for_daemon(directory: &Path) -> Result<Lock, RecordError> {
    let path = directory.join("daemon.lock");
    let file = lock_file(&path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock { _file: file }),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(RecordError::Held { path: directory.to_owned() }),
        Err(e) => Err(RecordError::file("lock", &path, e.into())),
    }
}

fn lock_file(path: &Path) -> Result<File, RecordError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| RecordError::file("open", path, e))
}

/// A connection that writes.
pub(super) fn connect(segment: &Path) -> Result<Connection, RecordError> {
    let failed = |e| RecordError::sqlite("open the store", segment, e);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(segment, flags).map_err(failed)?;
    conn.busy_handler(Some(wait_a_little)).map_err(failed)?;
    // The log and its index stay when the last writer leaves: who may only read cannot make them.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(RecordError::ReadOnly { path: segment.to_owned() });
    }
    conn.pragma_update(None, "synchronous", "normal").map_err(failed)?;
    conn.pragma_update(None, "wal_autocheckpoint", 0).map_err(failed)?;
    conn.pragma_update(None, "journal_size_limit", KEPT_LOG).map_err(failed)?;
    conn.pragma_update(None, "trusted_schema", false).map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

/// A connection that only reads.
pub(super) fn connect_read_only(segment: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let first = Connection::open_with_flags(segment, flags).and_then(|conn| {
        conn.busy_timeout(MAX_WAIT)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        conn.pragma_update(None, "trusted_schema", false)?;
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(conn)
    });
    if first.is_ok() || log_of(segment).exists() {
        return first;
    }
    // A copy without its log, in a place where none can be made: it cannot change either.
    let Some(path) = segment.to_str() else { return first };
    let uri = format!("file:{}?immutable=1", path.replace('%', "%25").replace('?', "%3f").replace('#', "%23"));
    Connection::open_with_flags(uri, flags)
}

/// SQLite's own handler sleeps whole milliseconds; other writers are done in tens of microseconds.
fn wait_a_little(tries: i32) -> bool {
    /// Waits double from the shortest to the longest.
    const SHORTEST: Duration = Duration::from_micros(20);
    const LONGEST: Duration = Duration::from_millis(2);
    let steps = u32::try_from(tries).unwrap_or_default();
    std::thread::sleep(SHORTEST.saturating_mul(1 << steps.min(7)).min(LONGEST));
    LONGEST.saturating_mul(steps) < MAX_WAIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_group_is_read_from_its_own_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("group");
        fs::write(&path, "root:x:0:\nsallyport-auditors:x:5:\nsallyport-audit:x:998:ada\n").unwrap();
        assert_eq!(audit_group(&path), Some(998));
        assert_eq!(audit_group(Path::new("/nonexistent")), None);
    }
}
