//! Space put by, so that an operator's deeds can be recorded on a full disk.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use super::RecordError;

/// Enough for thousands of events with the pages they touch, bytes.
const SIZE: u64 = 8 << 20;

/// A file that is removed when the disk is full.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    segment: PathBuf,
    spent: bool,
}

impl Reserve {
    /// Puts the space by, if it is not yet.
    pub(super) fn keep(directory: &Path, segment: &Path) -> Self {
        let mut reserve = Self { path: directory.join("reserve"), segment: segment.to_owned(), spent: false };
        reserve.spent = !reserve.fill();
        reserve
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
        if self.spent && self.fill() {
            self.spent = false;
            tracing::warn!("there is space for the store again");
        }
        !self.spent
    }

    /// What refused records are told.
    pub(super) fn error(&self) -> RecordError {
        RecordError::Full { path: self.segment.clone() }
    }

    fn fill(&self) -> bool {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path);
        let filled = file.and_then(|file| Ok(fallocate(&file, FallocateFlags::empty(), 0, SIZE)?));
        match filled {
            Ok(()) => true,
            // A file system that cannot put space by has none reserved, and nothing to wait for.
            Err(error) if error.kind() != std::io::ErrorKind::StorageFull => true,
            Err(_) => {
                let _ = fs::remove_file(&self.path);
                false
            }
        }
    }
}
