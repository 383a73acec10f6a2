//! Proves that a store is what was recorded, or names the first record that is not and what was done to it.
//!
//! The marks beside the rows tell where, the tree and its signed checkpoints tell whether: who changes a row can change
//! its mark as well, but not what a checkpoint was signed over. What was cut off together with its checkpoints shows
//! only to a checkpoint that was kept elsewhere.

mod rows;
mod segment;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::proof::{Frontier, Head};
use super::{RecordError, file};
use segment::Walk;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// A record was changed.
    Edited,
    /// Records were removed.
    Deleted,
    /// A record was added that was never recorded.
    Inserted,
    /// Records were put in another order.
    Reordered,
    /// The end was cut off.
    Truncated,
    /// The store is an older copy of itself, or its end was cut off with everything that tells.
    RolledBack,
    /// A segment is not the one that was here.
    SwappedSegment,
    /// A segment is not there, and nothing stands for it.
    MissingSegment,
    /// A checkpoint is not signed by a known key, or is none.
    ForgedCheckpoint,
    /// Records and everything beside them were changed, but what was signed is another history.
    Rewritten,
    /// A finalised file was changed; its records are not.
    AlteredFile,
    /// SQLite cannot read it.
    Unreadable,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edited => "edited",
            Self::Deleted => "deleted",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::Truncated => "truncated",
            Self::RolledBack => "rolled back",
            Self::SwappedSegment => "swapped segment",
            Self::MissingSegment => "missing segment",
            Self::ForgedCheckpoint => "forged checkpoint",
            Self::Rewritten => "rewritten",
            Self::AlteredFile => "altered file",
            Self::Unreadable => "unreadable",
        })
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was done.
    pub damage: Damage,
    /// In which segment.
    pub segment: u64,
    /// The first record it touches.
    pub record: Option<u64>,
    /// In which table that is.
    pub table: Option<&'static str>,
    /// In a sentence.
    pub detail: String,
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Records that were read and hashed.
    pub records: u64,
    /// Size of the log.
    pub size: u64,
    /// Its root, hexadecimal.
    pub root: String,
    /// Segments that are there.
    pub segments: u64,
    /// Segments that were removed in order.
    pub pruned: u64,
    /// Checkpoints whose signature and root are right.
    pub checkpoints: u64,
    /// Size of the log under the last of them.
    pub signed: u64,
    /// Whether the checkpoint from elsewhere met the log as it was then: not when records that it ends with are not there
    /// any more.
    pub compared: bool,
    /// What is wrong, in the order of the log; of damage that hides what follows only the first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Reads a checkpoint's text: what it was signed over, or why it is not to be trusted.
pub type ReadNote<'a> = &'a dyn Fn(&str) -> Result<Head, String>;

/// Verifies every segment below `state_dir` against its checkpoints and, when there is one, a checkpoint from elsewhere.
///
/// # Errors
/// When the store cannot be read at all. What is wrong with it is in the report.
pub fn verify(state_dir: &Path, read_note: ReadNote<'_>, kept: Option<&Head>) -> Result<Report, RecordError> {
    let directory = file::directory(state_dir);
    let segments = file::segments(&directory).map_err(|e| RecordError::file("list", &directory, e))?;
    let (stubs, aside) = file::absent(&directory).map_err(|e| RecordError::file("list", &directory, e))?;
    let mut walk = Walk::new(&directory, read_note, kept);
    let mut expected = 1;
    for segment in &segments {
        walk.skip(expected..segment.number, &stubs, &aside);
        expected = segment.number.saturating_add(1);
        if !walk.segment(segment)? {
            break;
        }
    }
    Ok(walk.finish())
}

/// The head of an empty log.
pub(super) fn nothing() -> Frontier {
    Frontier::new()
}

/// Every record of a segment with the hash it has now.
#[cfg(test)]
pub(super) fn retold(
    conn: &rusqlite::Connection,
) -> rusqlite::Result<Vec<(&'static super::schema::Table, u64, super::proof::Hash)>> {
    let mut tables = rows::Tables::prepare(conn)?;
    let mut rows = tables.merge()?;
    let mut all = Vec::new();
    while let Some(found) = rows.next(&mut |_, _| {})? {
        all.push((found.table, found.seq, found.hash));
    }
    Ok(all)
}
