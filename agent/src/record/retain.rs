//! What is removed, and when: whole segments, the oldest first, each leaving a signed stub so that the log still verifies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use super::file::SegmentFile;
use super::{RecordError, Timestamps, file, segment};

/// How long segments are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Removed when this old; `None` keeps them.
    pub age: Option<Duration>,
    /// The oldest are removed while all together are larger, bytes.
    pub size: Option<u64>,
    /// Kept at least so long when a session has the tag.
    pub tagged: Vec<(String, Duration)>,
}

/// A segment that is due for removal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) why: String,
}

impl Due {
    /// What is recorded of its removal.
    pub(super) fn told(&self) -> String {
        format!("segment {} is removed: {}", self.number, self.why)
    }
}

/// The segment whose removal a record tells of.
pub(super) fn removed(told: &str) -> Option<u64> {
    told.strip_prefix("segment ")?.split_once(" is removed: ")?.0.parse().ok()
}

/// What may be removed now: finalised segments from the oldest on, up to the first that has to stay.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn due(directory: &Path, retention: &Retention) -> Result<Vec<Due>, RecordError> {
    if retention.age.is_none() && retention.size.is_none() {
        return Ok(Vec::new());
    }
    let segments = file::segments(directory).map_err(|e| RecordError::file("list", directory, e))?;
    let bytes = |segment: &SegmentFile| fs::metadata(&segment.path).map_or(0, |meta| meta.len());
    let mut total: u64 = segments.iter().map(bytes).sum();
    let mut due = Vec::new();
    for segment in segments.iter().filter(|segment| !segment.live) {
        if is_held(directory, segment.number) {
            break;
        }
        let (ended, tags) = contents(&segment.path)?;
        let age = Duration::from_nanos(Timestamps::now().wall_ns.saturating_sub(ended).max(0).cast_unsigned());
        let kept = retention.tagged.iter().filter(|(tag, _)| tags.contains(tag)).map(|(_, kept)| *kept).max();
        if kept.is_some_and(|kept| age < kept) {
            break;
        }
        let why = if retention.age.is_some_and(|most| age >= most) {
            format!("{} days old", age.as_secs() / 86_400)
        } else if retention.size.is_some_and(|most| total > most) {
            format!("the store had {total} bytes")
        } else {
            break;
        };
        total = total.saturating_sub(bytes(segment));
        due.push(Due { number: segment.number, path: segment.path.clone(), why });
    }
    Ok(due)
}

/// When the last thing in a finalised segment happened, and the tags of its sessions.
fn contents(path: &Path) -> Result<(i64, BTreeSet<String>), RecordError> {
    let read = || {
        let conn = file::connect_read_only(path)?;
        let ended = conn.query_row(
            "SELECT max(coalesce((SELECT max(started_ns) FROM session), 0), coalesce((SELECT max(last_ns) FROM event), 0),
                coalesce((SELECT max(ended_ns) FROM session_end), 0), coalesce((SELECT max(made_ns) FROM checkpoint), 0),
                (SELECT opened_ns FROM segment))",
            [],
            |row| row.get(0),
        )?;
        let mut statement = conn.prepare("SELECT DISTINCT tags FROM session WHERE tags IS NOT NULL")?;
        let lists = statement.query_map([], |row| row.get::<_, String>(0))?;
        let lists = lists.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok((ended, lists.iter().flat_map(|list| list.split(' ')).map(str::to_owned).collect()))
    };
    read().map_err(|e| RecordError::sqlite("read", path, e))
}

/// Removes a segment after its stub is on the disk; not one that was placed under hold meanwhile.
///
/// # Errors
/// When the stub cannot be written: then the segment stays.
pub(super) fn remove(directory: &Path, due: &Due, edge: &[u8], note: &str) -> Result<(), RecordError> {
    let _opening = file::lock_for_opening(directory)?;
    if is_held(directory, due.number) {
        tracing::warn!(segment = due.number, "it was placed under hold in the last moment, and stays");
        return Ok(());
    }
    let (stub, making) = (file::stub(directory, due.number), directory.join(format!("{:06}.stub", due.number)));
    let edge: String = edge.iter().map(|byte| format!("{byte:02x}")).collect();
    let written = fs::write(&making, format!("{edge}\n{note}")).and_then(|()| fs::File::open(&making)?.sync_all());
    written.and_then(|()| fs::rename(&making, &stub)).map_err(|e| RecordError::file("write", &stub, e))?;
    file::own_closed(&stub)?;
    segment::sync_directory(directory)?;
    fs::remove_file(&due.path).map_err(|e| RecordError::file("remove", &due.path, e))?;
    segment::sync_directory(directory)
}

/// Whether a segment is under legal hold.
pub(super) fn is_held(directory: &Path, number: u64) -> bool {
    hold(directory, number).exists()
}

/// The segments under legal hold, with the reasons.
///
/// # Errors
/// When the store cannot be listed or a mark not be read.
pub fn holds(state_dir: &Path) -> Result<Vec<(u64, String)>, RecordError> {
    let directory = file::directory(state_dir);
    let segments = file::segments(&directory).map_err(|e| RecordError::file("list", &directory, e))?;
    let held = segments.iter().filter(|segment| is_held(&directory, segment.number));
    held.map(|segment| {
        let path = hold(&directory, segment.number);
        let reason = fs::read_to_string(&path).map_err(|e| RecordError::file("read", &path, e))?;
        Ok((segment.number, reason))
    })
    .collect()
}

fn hold(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:06}.hold"))
}

/// Places a segment under legal hold, with a reason; or lifts it.
///
/// # Errors
/// When the mark beside the segment cannot be written or removed.
pub fn set_hold(state_dir: &Path, number: u64, reason: Option<&str>) -> Result<(), RecordError> {
    let directory = file::directory(state_dir);
    let path = hold(&directory, number);
    // Under this lock nothing is removed.
    let _opening = file::lock_for_opening(&directory)?;
    let is_there = [file::live(&directory, number), file::closed(&directory, number)].iter().any(|path| path.exists());
    let done = match reason {
        Some(_) if !is_there => Err(io::Error::new(io::ErrorKind::NotFound, "the segment is not there any more")),
        Some(reason) => fs::write(&path, reason).and_then(|()| {
            file::own_open(&path).map_err(io::Error::other)?;
            fs::File::open(&path)?.sync_all()
        }),
        None => match fs::remove_file(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        },
    };
    done.map_err(|e| RecordError::file("change the hold", &path, e))?;
    segment::sync_directory(&directory)
}
