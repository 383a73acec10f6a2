//! Space put by, so that an operator's deeds can be recorded on a full disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, ftruncate};

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
}

impl Reserve {
    /// What another process put by, for who writes beside it.
    pub(super) fn of_another(directory: &Path, segment: &Path) -> Self {
        Self { path: directory.join("reserve"), segment: segment.to_owned(), size: 0, spent: false }
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
        Self { path, segment: segment.to_owned(), size, spent: false }
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
        if self.spent && fill(&self.path, self.size.max(LEAST)) {
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

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
