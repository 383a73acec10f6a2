//! One segment after another, along the log.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::rows::{Found, Reader, Tables};
use super::{Damage, Finding, ReadNote, Report, nothing};
use crate::record::file::{SegmentFile, connect_read_only};
use crate::record::proof::{Frontier, Hash, Head};
use crate::record::schema::{EVENT, SEALED, SEGMENT};
use crate::record::{EventKind, RecordError, retain, segment};

/// How far around its place the number of a moved row is looked for.
const NEAR: u64 = 512;

/// The way along the log.
pub(super) struct Walk<'a> {
    directory: PathBuf,
    read_note: ReadNote<'a>,
    /// A checkpoint from elsewhere.
    kept: Option<&'a Head>,
    log: Frontier,
    report: Report,
    /// Digests that later segments name: number → SHA-256.
    sealed: BTreeMap<u64, [u8; 32]>,
    /// Files of finalised segments that were read.
    closed: Vec<SegmentFile>,
    /// The record before which everything is proven by a signature.
    proven: u64,
    /// The last segment a stub stands for. What tells of its removal is in one of those after it.
    unexplained: Option<u64>,
    /// The last segment that was read is the one that is written: not in a copy of those that are closed.
    to_the_end: bool,
}

/// Checkpoints of a segment by the size they were signed over.
type Stamps = BTreeMap<u64, Vec<Result<Hash, String>>>;

impl<'a> Walk<'a> {
    pub(super) fn new(directory: &Path, read_note: ReadNote<'a>, kept: Option<&'a Head>) -> Self {
        Self {
            directory: directory.to_owned(),
            read_note,
            kept,
            log: nothing(),
            report: Report::default(),
            sealed: BTreeMap::new(),
            closed: Vec::new(),
            proven: 0,
            unexplained: None,
            to_the_end: false,
        }
    }

    fn find(&mut self, damage: Damage, segment: u64, at: Option<(u64, Option<&'static str>)>, detail: String) {
        let (record, table) = at.map_or((None, None), |(record, table)| (Some(record), table));
        self.report.findings.push(Finding { damage, segment, record, table, detail });
    }

    /// Segments that are not there: each needs a stub that says so.
    pub(super) fn skip(&mut self, numbers: Range<u64>, stubs: &BTreeSet<u64>, aside: &BTreeMap<u64, String>) {
        let mut next = numbers.start;
        for number in stubs.range(numbers.clone()) {
            self.miss(next..*number, aside);
            next = number + 1;
            match segment::read_stub(&self.directory, *number, self.read_note) {
                // Only the oldest are ever removed.
                Ok(_) if self.report.segments > 0 => {
                    let detail = "it was removed while older ones were kept".to_owned();
                    self.find(Damage::MissingSegment, *number, Some((self.log.size(), None)), detail);
                }
                Ok(log) => {
                    self.report.pruned += 1;
                    self.log = log;
                    self.proven = self.log.size();
                    self.unexplained = Some(*number);
                }
                Err(why) => self.find(Damage::MissingSegment, *number, Some((self.log.size(), None)), why),
            }
        }
        self.miss(next..numbers.end, aside);
    }

    /// Segments without a stub, which are one finding, however many.
    fn miss(&mut self, numbers: Range<u64>, aside: &BTreeMap<u64, String>) {
        if numbers.is_empty() {
            return;
        }
        let detail = match (aside.get(&numbers.start), numbers.end - numbers.start) {
            (Some(name), _) => format!("it was set aside as damaged, and is {name} now"),
            (None, 1) => "it is not there, and no stub stands for it".to_owned(),
            (None, _) => format!("it and those to {} are not there, and no stub stands for them", numbers.end - 1),
        };
        self.find(Damage::MissingSegment, numbers.start, Some((self.log.size(), None)), detail);
    }

    /// Verifies one segment; false when nothing after it can be verified.
    pub(super) fn segment(&mut self, file: &SegmentFile) -> Result<bool, RecordError> {
        self.report.segments += 1;
        self.to_the_end = file.live;
        let before = self.report.findings.len();
        let outcome = connect_read_only(&file.path).and_then(|conn| {
            // One picture, however long it takes.
            conn.execute_batch("BEGIN")?;
            self.walk(&conn, file)
        });
        if let Err(error) = outcome {
            let at = self.log.size();
            self.find(Damage::Unreadable, file.number, Some((at, None)), error.to_string());
        }
        if !file.live {
            self.closed.push(file.clone());
        }
        Ok(self.report.findings.len() == before)
    }

    fn walk(&mut self, conn: &Connection, file: &SegmentFile) -> rusqlite::Result<()> {
        let number = file.number;
        let mut stamps = self.stamps(conn)?;
        let tiles = tiles(conn)?;
        let head: u64 = conn.query_row("SELECT size FROM head", [], |row| row.get::<_, i64>(0))?.cast_unsigned();
        let mut tables = Tables::prepare(conn)?;
        let mut rows = tables.merge()?;
        let (mut first, mut contradicted) = (true, None::<(u64, Hash)>);
        loop {
            let (mut trouble, mut opening, mut sealing, mut removed) = (None, None, None, None);
            let expected = self.log.size();
            let found = rows.next(&mut |found, reader| {
                if found.table.code == SEGMENT.code {
                    opening = Some((reader.number(0), reader.bytes(5), reader.bytes(6)));
                } else if found.table.code == SEALED.code {
                    sealing = <[u8; 32]>::try_from(reader.bytes(3)).ok().map(|sha256| (reader.number(0), sha256));
                }
                if found.table.code == EVENT.code && reader.text("kind") == EventKind::Pruned.as_str() {
                    removed = retain::removed(&reader.text("detail"));
                }
                if !found.is_whole() {
                    trouble = Some(diagnose(found, reader));
                }
            })?;
            // A record put in at a tile's end shows only at the one after it.
            if let Some((index, _)) = contradicted.filter(|_| trouble.is_none()) {
                let detail = "the marks fit and the tree beside them does not".to_owned();
                self.find(Damage::Rewritten, number, Some((index << 8, None)), detail);
                return Ok(());
            }
            let Some(found) = found else { break };
            if std::mem::take(&mut first) && !self.begins(number, found.seq, opening) {
                return Ok(());
            }
            let expected = if self.log.size() > expected { self.log.size() } else { expected };
            if let Some((damage, detail)) = trouble.or_else(|| out_of_order(&found, expected)) {
                let at = found.seq.min(expected);
                let mut next = None;
                rows.next(&mut |found, reader| next = Some((found.seq, diagnose(found, reader).0, found.is_whole())))?;
                let (at, damage, detail) = match (damage, next) {
                    (_, Some((seq, _, true))) if seq == found.seq => {
                        (at, Damage::Inserted, format!("record {seq} is there twice"))
                    }
                    (Damage::Deleted, Some((_, Damage::Inserted, _))) => {
                        (at, Damage::Reordered, format!("records {at} and {} changed places", at + 1))
                    }
                    // Whoever put it in gave it a mark that fits.
                    (Damage::Inserted, _) if at == expected => (at.saturating_sub(1), damage, detail),
                    _ => (at, damage, detail),
                };
                self.find(damage, number, Some((at, Some(found.table.name))), detail);
                return Ok(());
            }
            self.report.records += 1;
            let tile = self.log.append(found.hash);
            contradicted = tile.filter(|(index, root)| tiles.get(index).is_some_and(|stored| stored != root));
            self.sealed.extend(sealing);
            self.unexplained = self.unexplained.filter(|number| removed != Some(*number));
            if !self.stamped(number, &mut stamps) {
                return Ok(());
            }
        }
        self.ends(number, head, stamps);
        Ok(())
    }

    /// Whether the first row of a segment goes on where the log stands.
    fn begins(&mut self, number: u64, seq: u64, opening: Option<(u64, Vec<u8>, Vec<u8>)>) -> bool {
        let at = Some((self.log.size(), Some(SEGMENT.name)));
        let Some((claimed, root, frontier)) = opening else {
            self.find(Damage::Deleted, number, at, "the segment's first record is not there".to_owned());
            return false;
        };
        let follows = root == self.log.root().0 && seq == self.log.size();
        if claimed == number && follows {
            return true;
        }
        // After a damaged segment was set aside the log goes on from its last checkpoint.
        if claimed == number
            && let Ok(log) = Frontier::from_bytes(&frontier)
            && log.root().0.as_slice() == root
            && log.size() == seq
            && !self.report.findings.is_empty()
        {
            self.log = log;
            return true;
        }
        let detail = format!(
            "it says that it is segment {claimed} and begins at record {seq}; here belongs segment {number} from record {} on",
            self.log.size()
        );
        self.find(Damage::SwappedSegment, number, at, detail);
        false
    }

    fn stamps(&mut self, conn: &Connection) -> rusqlite::Result<Stamps> {
        let mut statement = conn.prepare("SELECT size, note FROM checkpoint ORDER BY size")?;
        let notes = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        let mut stamps = Stamps::new();
        for note in notes {
            let (size, note) = note?;
            let size = size.cast_unsigned();
            let read = (self.read_note)(&note).and_then(|head| {
                let same = head.size == size;
                same.then_some(head.root).ok_or_else(|| format!("it was signed over {} records", head.size))
            });
            stamps.entry(size).or_default().push(read);
        }
        Ok(stamps)
    }

    /// Compares what was signed over the log as it is now, here and elsewhere; false when it was another.
    fn stamped(&mut self, number: u64, stamps: &mut Stamps) -> bool {
        let size = self.log.size();
        let kept = self.kept.filter(|kept| kept.size == size).map(|kept| Ok(kept.root));
        self.report.compared |= kept.is_some();
        let here = stamps.remove(&size).unwrap_or_default();
        for stamp in here.into_iter().chain(kept) {
            match stamp {
                Ok(root) if root == self.log.root() => {
                    self.report.checkpoints += 1;
                    self.report.signed = size;
                    self.proven = size;
                }
                Ok(_) => {
                    let detail = format!(
                        "a checkpoint was signed over other records: one or more of {} to {} are not what they were",
                        self.proven,
                        size - 1
                    );
                    self.find(Damage::Rewritten, number, Some((self.proven, None)), detail);
                    return false;
                }
                Err(why) => {
                    let detail = format!("the checkpoint of size {size} is not to be trusted: {why}");
                    self.find(Damage::ForgedCheckpoint, number, Some((size, None)), detail);
                }
            }
        }
        true
    }

    /// After the last row of a segment.
    fn ends(&mut self, number: u64, head: u64, stamps: Stamps) {
        let size = self.log.size();
        if head > size {
            let detail = format!("{} records are gone from the end", head - size);
            self.find(Damage::Truncated, number, Some((size, None)), detail);
        } else if head < size {
            let detail = format!("{} records at the end were never recorded", size - head);
            self.find(Damage::Inserted, number, Some((head, None)), detail);
        }
        for (signed, stamps) in stamps {
            if signed > size && stamps.iter().any(Result::is_ok) && head <= size {
                let detail = format!("a checkpoint was signed over {signed} records");
                self.find(Damage::Truncated, number, Some((size, None)), detail);
                return;
            }
            for why in stamps.into_iter().filter_map(Result::err) {
                let detail = format!("the checkpoint of size {signed} is not to be trusted: {why}");
                self.find(Damage::ForgedCheckpoint, number, Some((signed, None)), detail);
            }
        }
    }

    pub(super) fn finish(mut self) -> Report {
        for file in std::mem::take(&mut self.closed) {
            let Some(expected) = self.sealed.get(&file.number) else { continue };
            let found = segment::digest(&file.path);
            if found.as_ref().is_ok_and(|(sha256, _)| sha256 != expected) {
                let detail = format!("{} is not the file that a later segment names", file.path.display());
                self.find(Damage::AlteredFile, file.number, None, detail);
            }
        }
        if let Some(number) = self.unexplained.filter(|_| self.to_the_end && self.report.findings.is_empty()) {
            let detail = "a stub stands for it, and no record tells of its removal".to_owned();
            self.find(Damage::MissingSegment, number, None, detail);
        }
        let size = self.log.size();
        if let Some(kept) = self.kept
            && kept.size > size
            && self.report.findings.is_empty()
        {
            let detail =
                format!("the checkpoint from elsewhere was signed over {} records, here are {size}", kept.size);
            let number = self.report.segments + self.report.pruned;
            self.find(Damage::RolledBack, number, Some((size, None)), detail);
        }
        self.report.size = size;
        self.report.root = self.log.root().to_string();
        self.report
    }
}

fn tiles(conn: &Connection) -> rusqlite::Result<BTreeMap<u64, Hash>> {
    let mut statement = conn.prepare("SELECT id, hash FROM tile")?;
    let tiles = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), Hash(row.get(1)?))))?;
    tiles.collect()
}

/// What was done to a row whose mark does not fit.
fn diagnose(found: &Found, reader: &Reader<'_>) -> (Damage, String) {
    let number = reader.number_that_fits(found.seq, found.mark, NEAR);
    match number {
        None => (Damage::Edited, "it is not what was recorded under this number".to_owned()),
        Some(was) if was == found.seq + 1 => {
            (Damage::Deleted, format!("what stands here was recorded as {was}: those after it have moved up"))
        }
        Some(was) if was + 1 == found.seq => {
            (Damage::Inserted, format!("what stands here was recorded as {was}: a record was put in before it"))
        }
        Some(was) => (Damage::Reordered, format!("what stands here was recorded as {was}")),
    }
}

/// What was done when a row that is whole does not follow the one before.
fn out_of_order(found: &Found, expected: u64) -> Option<(Damage, String)> {
    match found.seq {
        seq if seq > expected => Some((Damage::Deleted, format!("{} records are not there", seq - expected))),
        seq if seq < expected => Some((Damage::Inserted, format!("record {seq} is there twice"))),
        _ => None,
    }
}
