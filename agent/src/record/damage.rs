//! What is done with a segment that is damaged: it is kept as evidence, and recording goes on in another.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::proof::Frontier;
use super::{RecordError, Timestamps, file, segment};

/// Beside the segments: where the log stood at the last checkpoint.
const FRONTIER: &str = "frontier";

/// Remembers where the log stands, outside of any segment.
pub(super) fn remember(directory: &Path, log: &Frontier) -> Result<(), RecordError> {
    let (path, making) = (directory.join(FRONTIER), directory.join("frontier.making"));
    // Several processes sign, each what it saw last: the furthest stays.
    let locked = fs::File::open(directory).and_then(|lock| {
        flock(&lock, FlockOperation::LockExclusive)?;
        Ok(lock)
    });
    let _lock = locked.map_err(|e| RecordError::file("lock", directory, e))?;
    if last_known(directory).size() > log.size() {
        return Ok(());
    }
    let made = fs::File::create(&making).and_then(|mut file| {
        file.write_all(&log.to_bytes())?;
        file.sync_data()
    });
    let written = made.and_then(|()| fs::rename(&making, &path));
    written.map_err(|e| RecordError::file("write", &path, e))
}

/// Where the log stood at the last checkpoint; the empty log when that is not known.
pub(super) fn last_known(directory: &Path) -> Frontier {
    let bytes = fs::read(directory.join(FRONTIER)).unwrap_or_default();
    Frontier::from_bytes(&bytes).unwrap_or_default()
}

/// Renames a damaged segment and its log; returns where it is now.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf, RecordError> {
    let stamp = Timestamps::now().wall_ns / 1_000_000_000;
    let moved = |from: &Path| {
        let mut name = from.as_os_str().to_owned();
        name.push(format!(".damaged-{stamp}"));
        let to = PathBuf::from(name);
        match fs::rename(from, &to) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(RecordError::file("set aside", from, e)),
            _ => Ok(to),
        }
    };
    let aside = moved(path)?;
    moved(&file::log_of(path))?;
    let mut shared = path.as_os_str().to_owned();
    shared.push("-shm");
    moved(Path::new(&shared))?;
    path.parent().map_or(Ok(()), segment::sync_directory)?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::super::proof::leaf;
    use super::*;

    #[test]
    fn of_several_who_remember_at_once_the_furthest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for first in 1..=8_u64 {
                let directory = dir.path();
                scope.spawn(move || {
                    for size in (0..10).map(|n| first + n * 8) {
                        let mut log = Frontier::new();
                        (0..size).for_each(|n| {
                            log.append(leaf(&n.to_be_bytes()));
                        });
                        remember(directory, &log).unwrap();
                    }
                });
            }
        });
        assert_eq!(last_known(dir.path()).size(), 80);
    }
}
