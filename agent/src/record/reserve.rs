//! Space put by, so that an operator's deeds can be recorded on a full disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, ftruncate, statvfs};

use super::RecordError;

/// Enough for thousands of events with the pages they touch, bytes.
const MOST: u64 = 8 << 20;
/// On a disk with little space less is put by; less than this helps nobody.
const LEAST: u64 = 64 << 10;
/// What is put by is at most this part of what is free. Afterwards recording goes on when this much is free again: the space
/// that was just given back is not taken for it.
const PART: u64 = 4;

/// A file that is removed when the disk is full.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    segment: PathBuf,
    /// 0 on a disk that has nothing to spare.
    size: u64,
    spent: bool,
    /// Who put it by does so again.
    ours: bool,
}

impl Reserve {
    /// What another process put by, for who writes beside it or in its absence.
    pub(super) fn of_another(directory: &Path) -> Self {
        let (path, segment) = (directory.join("reserve"), directory.to_owned());
        Self { path, segment, size: 0, spent: false, ours: false }
    }

    /// Does what a full disk refused once more on the space that was put by: an operator's deed begins with opening the
    /// store.
    pub(super) fn or_spend<T>(&mut self, mut run: impl FnMut() -> Result<T, RecordError>) -> Result<T, RecordError> {
        match run() {
            Err(RecordError::Full { .. }) if self.path.exists() => {
                self.spend();
                run()
            }
            outcome => outcome,
        }
    }

    /// Puts space by.
    pub(super) fn keep(directory: &Path, segment: &Path) -> Self {
        let path = directory.join("reserve");
        // What an earlier one put by counts as free.
        let _ = fs::remove_file(&path);
        let sizes = std::iter::successors(Some(MOST), |size| Some(size / 2)).take_while(|size| *size >= LEAST);
        let size = sizes.into_iter().find(|size| fill(&path, *size)).unwrap_or(0);
        if size == 0 {
            tracing::warn!(path = %path.display(), "no space could be put by for operators' deeds: the disk is nearly full");
        }
        Self { path, segment: segment.to_owned(), size, spent: false, ours: true }
    }

    /// Gives the space back to the file system.
    pub(super) fn spend(&mut self) {
        if !self.spent {
            self.spent = true;
            tracing::error!(
                "the disk is full: only operators' deeds and ends of connections are recorded from here on"
            );
        }
        // One that stays helps nobody, and is tried again.
        let _ = fs::remove_file(&self.path);
    }

    /// Whether records are refused until there is space again.
    pub(super) fn is_spent(&self) -> bool {
        self.spent
    }

    /// Puts the space by again; true when there is enough, and recording goes on.
    pub(super) fn renew(&mut self) -> bool {
        let renewed = || if self.ours { fill(&self.path, self.size.max(LEAST)) } else { has_room(&self.segment) };
        if self.spent && renewed() {
            self.spent = false;
            tracing::warn!("there is space for the store again");
        }
        !self.spent
    }

    /// What refused records are told.
    pub(super) fn error(&self) -> RecordError {
        RecordError::Full { path: self.segment.clone() }
    }
}

/// Puts so much by when there is [`PART`] times as much.
fn fill(path: &Path, size: u64) -> bool {
    let made = || -> io::Result<()> {
        let file: File = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        fallocate(&file, FallocateFlags::empty(), 0, size * PART)?;
        Ok(ftruncate(&file, size)?)
    };
    match made() {
        Ok(()) => true,
        // A file system that cannot put space by has none reserved, and nothing to wait for.
        Err(error) if !is_full(&error) => true,
        Err(_) => {
            let _ = fs::remove_file(path);
            false
        }
    }
}

/// Whether there is as much as would be put by and left.
fn has_room(directory: &Path) -> bool {
    statvfs(directory).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= LEAST * PART)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_by_is_spent_on_opening_once_and_never_made_smaller_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        let full = || Err::<(), _>(RecordError::Full { path: dir.path().to_owned() });
        let mut reserve = Reserve::of_another(dir.path());
        let mut tries = 0;
        assert!(reserve.or_spend(|| full().inspect_err(|_| tries += 1)).is_err());
        assert_eq!((tries, reserve.is_spent()), (1, false), "there was nothing to spend");

        fs::write(&path, vec![0; 1 << 20]).unwrap();
        let outcome = reserve.or_spend(|| if path.exists() { full() } else { Ok(()) });
        assert!(outcome.is_ok() && reserve.is_spent());

        fs::write(&path, vec![0; 1 << 20]).unwrap();
        assert!(reserve.renew());
        assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 20, "it is the daemon's");
    }
}
