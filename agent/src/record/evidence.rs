//! One session with the proof that it is in the log: verified by itself, without the store it is from.
//!
//! It proves that each of its records was recorded, of that session; not that none was left out, which only the store
//! shows.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::ledger::{Value, encode};
use super::proof::{Frontier, Hash, Hashes, Head, Prover, ProverError, leaf, verify_inclusion};
use super::schema::{LEDGER, Table, show_later_columns};
use super::verify::ReadNote;
use super::{RecordError, SessionId, file};

/// The form of the file; another one gets another name.
const FORMAT: &str = "sallyport-evidence-1";

/// A session with its proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    format: String,
    /// Which session.
    pub session: String,
    /// The checkpoint that covers all of it.
    pub checkpoint: String,
    records: Vec<Proven>,
}

/// One record with its way up to the checkpoint's root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proven {
    table: String,
    seq: u64,
    values: BTreeMap<String, Column>,
    proof: Vec<Hash>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Column {
    Int(i64),
    Text(String),
    /// Hexadecimal.
    Blob(String),
}

/// Why evidence could not be made, or proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] RecordError),
    /// There is no such session.
    #[error("there is no session {0} in the store")]
    NoSession(String),
    /// No checkpoint covers it.
    #[error(
        "no checkpoint covers all of the session yet: one is signed about once a minute, and when the daemon stops"
    )]
    NotSigned,
    /// The log has holes.
    #[error("the store is damaged, so nothing can be proven with it: look with `sallyport sessions verify`")]
    Damaged,
    /// Not a file of this form.
    #[error("this is no evidence of this version: {0}")]
    Form(String),
    /// The checkpoint is not to be trusted.
    #[error("the checkpoint is not to be trusted: {0}")]
    Checkpoint(String),
    /// A record was changed.
    #[error("record {seq} ({table}) is not what was recorded")]
    Record {
        /// Which.
        seq: u64,
        /// In which table.
        table: String,
    },
    /// Records are there that do not belong to the session, or its own is not.
    #[error("the records are not those of session {0}")]
    OfAnother(String),
}

/// Which rows of a segment belong to a session, by the rows of `session` with its id: each a table and a condition.
const BELONGS: [(&str, &str); 10] = [
    ("session", "id = ?1"),
    ("process", "seq IN (SELECT process FROM session WHERE id = ?1)"),
    ("session_end", "session IN (SELECT seq FROM session WHERE id = ?1)"),
    ("event", "session IN (SELECT seq FROM session WHERE id = ?1)"),
    ("request", "session IN (SELECT seq FROM session WHERE id = ?1)"),
    ("response", "session IN (SELECT seq FROM session WHERE id = ?1)"),
    ("approval", "session IN (SELECT seq FROM session WHERE id = ?1)"),
    ("payload", "session IN (SELECT seq FROM session WHERE id = ?1)"),
    ("chunk", "seq IN (SELECT chunk FROM payload WHERE session IN (SELECT seq FROM session WHERE id = ?1))"),
    (
        "words",
        "seq IN (WITH s AS (SELECT seq FROM session WHERE id = ?1),
            r AS (SELECT * FROM request WHERE session IN s), a AS (SELECT * FROM response WHERE session IN s)
         SELECT kind FROM r UNION SELECT statement FROM r UNION SELECT policies FROM r UNION SELECT facts FROM r
         UNION SELECT detail FROM r UNION SELECT masks FROM r UNION SELECT error FROM r
         UNION SELECT masks FROM a UNION SELECT error FROM a)",
    ),
];

/// Makes the evidence of a session, given by its whole id.
///
/// # Errors
/// When there is no such session, no checkpoint covers it, or the store cannot be read or is damaged.
pub fn evidence(state_dir: &Path, session: SessionId, read_note: ReadNote<'_>) -> Result<Evidence, EvidenceError> {
    let directory = file::directory(state_dir);
    let mut log = Log::open(&directory)?;
    let (mut records, mut last) = (Vec::new(), 0);
    for (at, (path, conn)) in log.segments.iter().enumerate() {
        let before = records.len();
        let failed = |e| RecordError::sqlite("read", path, e);
        for (table, condition) in BELONGS {
            records.extend(rows(conn, table, condition, session).map_err(failed)?);
        }
        last = if records.len() > before { at } else { last };
    }
    let newest = records.iter().map(|record: &Proven| record.seq).max();
    let newest = newest.ok_or_else(|| EvidenceError::NoSession(session.to_string()))?;
    let edge = log.keep_unbroken(last)?;
    let checkpoint = log.last_note().ok_or(EvidenceError::NotSigned)?;
    let head = read_note(&checkpoint).map_err(EvidenceError::Checkpoint)?;
    if newest >= head.size {
        return Err(EvidenceError::NotSigned);
    }
    let mut prover = Prover::new(&mut log, head.size).map_err(made)?.after(&edge);
    if prover.head().map_err(made)? != head {
        return Err(EvidenceError::Damaged);
    }
    for record in &mut records {
        record.proof = prover.inclusion(record.seq).map_err(made)?;
    }
    records.sort_by_key(|record| record.seq);
    Ok(Evidence { format: FORMAT.to_owned(), session: session.to_string(), checkpoint, records })
}

fn made(error: ProverError<RecordError>) -> EvidenceError {
    match error {
        ProverError::Read(error) => EvidenceError::Store(error),
        ProverError::Outside { .. } | ProverError::Missing { .. } => EvidenceError::Damaged,
    }
}

fn rows(conn: &Connection, table: &str, condition: &str, session: SessionId) -> rusqlite::Result<Vec<Proven>> {
    let mut statement = conn.prepare(&format!("SELECT * FROM {table} WHERE {condition}"))?;
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let rows = statement.query_map([session.as_bytes()], |row| {
        let mut values = BTreeMap::new();
        for (at, name) in names.iter().enumerate().skip(2) {
            let value = match row.get_ref(at)? {
                ValueRef::Null | ValueRef::Real(_) => continue,
                ValueRef::Integer(number) => Column::Int(number),
                ValueRef::Text(text) => Column::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(bytes) => Column::Blob(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
            };
            values.insert(name.clone(), value);
        }
        let seq = row.get::<_, i64>(0)?.cast_unsigned();
        Ok(Proven { table: table.to_owned(), seq, values, proof: Vec::new() })
    })?;
    rows.collect()
}

/// The hashes of a store's log.
struct Log {
    segments: Vec<(PathBuf, Connection)>,
}

impl Log {
    fn open(directory: &Path) -> Result<Self, RecordError> {
        let files = file::segments(directory).map_err(|e| RecordError::file("list", directory, e))?;
        let open = |path: PathBuf| {
            let opened = file::connect_read_only(&path).and_then(|conn| {
                show_later_columns(&conn)?;
                Ok(conn)
            });
            match opened {
                Ok(conn) => Ok((path, conn)),
                Err(e) => Err(RecordError::sqlite("read", &path, e)),
            }
        };
        Ok(Self { segments: files.into_iter().map(|file| open(file.path)).collect::<Result<_, _>>()? })
    }

    /// Leaves the segments around one that follow each other without a gap: some were removed, or set aside. Returns where
    /// the log stood before the first of them.
    fn keep_unbroken(&mut self, around: usize) -> Result<Frontier, EvidenceError> {
        let (mut run, mut size, mut edge) = (0..0, 0, Frontier::new());
        for (at, (path, conn)) in self.segments.iter().enumerate() {
            let ends = conn.query_row("SELECT s.seq, s.frontier, h.size FROM segment s, head h", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, i64>(2)?))
            });
            let (first, before, end) = ends.map_err(|e| RecordError::sqlite("read", path, e))?;
            if first != size && at > around {
                break;
            }
            if first != size {
                edge = Frontier::from_bytes(&before).map_err(|_| EvidenceError::Damaged)?;
                run.start = at;
            }
            (size, run.end) = (end, at + 1);
        }
        self.segments.truncate(run.end);
        self.segments.drain(..run.start);
        Ok(edge)
    }

    fn last_note(&self) -> Option<String> {
        let last = "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1";
        self.segments.iter().rev().find_map(|(_, conn)| conn.query_row(last, [], |row| row.get(0)).ok())
    }
}

impl Hashes for &mut Log {
    type Error = RecordError;

    fn tile(&mut self, index: u64) -> Result<Option<Hash>, RecordError> {
        for (path, conn) in &self.segments {
            let found = conn.prepare_cached("SELECT hash FROM tile WHERE id = ?").and_then(|mut statement| {
                let mut rows = statement.query([index.cast_signed()])?;
                rows.next()?.map(|row| row.get(0).map(Hash)).transpose()
            });
            if let Some(hash) = found.map_err(|e| RecordError::sqlite("read", path, e))? {
                return Ok(Some(hash));
            }
        }
        Ok(None)
    }

    fn leaves(&mut self, range: Range<u64>) -> Result<Vec<Hash>, RecordError> {
        let mut found = BTreeMap::new();
        for (path, conn) in &self.segments {
            for table in LEDGER {
                let hashes = hashes(conn, table, &range).map_err(|e| RecordError::sqlite("read", path, e))?;
                found.extend(hashes);
            }
        }
        // With a hole the prover counts too few.
        Ok(found.into_values().collect())
    }
}

fn hashes(conn: &Connection, table: &Table, range: &Range<u64>) -> rusqlite::Result<Vec<(u64, Hash)>> {
    let mut statement = conn.prepare_cached(&format!("SELECT * FROM {} WHERE seq >= ? AND seq < ?", table.name))?;
    let columns = statement.column_count();
    let rows = statement.query_map(params![range.start.cast_signed(), range.end.cast_signed()], |row| {
        let seq = row.get::<_, i64>(0)?.cast_unsigned();
        let values = (2..columns).map(|at| match row.get_ref(at) {
            Ok(ValueRef::Integer(number)) => Value::Int(number),
            Ok(ValueRef::Text(text)) => std::str::from_utf8(text).map_or(Value::Blob(text), Value::Text),
            Ok(ValueRef::Blob(bytes)) => Value::Blob(bytes),
            Ok(ValueRef::Null | ValueRef::Real(_)) | Err(_) => Value::Null,
        });
        let mut buffer = Vec::new();
        encode(&mut buffer, table, seq, values);
        Ok((seq, leaf(&buffer)))
    })?;
    rows.collect()
}

impl Evidence {
    /// Reads evidence; what it says is proven by [`Evidence::prove`].
    ///
    /// # Errors
    /// When the text is not of this form.
    pub fn parse(text: &str) -> Result<Self, EvidenceError> {
        let evidence: Self = serde_json::from_str(text).map_err(|e| EvidenceError::Form(e.to_string()))?;
        if evidence.format == FORMAT { Ok(evidence) } else { Err(EvidenceError::Form(evidence.format)) }
    }

    /// Verifies that every record is under the checkpoint and belongs to the session; returns what was signed, and how
    /// many records that are.
    ///
    /// # Errors
    /// The first thing that is not as it should be.
    pub fn prove(&self, read_note: ReadNote<'_>) -> Result<(Head, usize), EvidenceError> {
        let head = read_note(&self.checkpoint).map_err(EvidenceError::Checkpoint)?;
        for record in &self.records {
            let wrong = || EvidenceError::Record { seq: record.seq, table: record.table.clone() };
            let hash = record.hash().ok_or_else(wrong)?;
            verify_inclusion(&head, record.seq, hash, &record.proof).map_err(|_| wrong())?;
        }
        let numbers: BTreeSet<u64> = self.records.iter().map(|record| record.seq).collect();
        if numbers.len() < self.records.len() {
            return Err(EvidenceError::Form("a record is there twice".to_owned()));
        }
        if !self.is_of_one_session() {
            return Err(EvidenceError::OfAnother(self.session.clone()));
        }
        Ok((head, self.records.len()))
    }
}

impl Evidence {
    /// Whether every record is the session's, or named by one that is.
    fn is_of_one_session(&self) -> bool {
        let id: String = self.session.chars().filter(|c| *c != '-').collect();
        let of = |table: &'static str| self.records.iter().filter(move |record| record.table == table);
        let ours = of("session").filter(|record| record.has("id", &Column::Blob(id.clone())));
        let rows: BTreeSet<i64> = ours.map(|record| record.seq.cast_signed()).collect();
        let named = |by: &[(&'static str, &[&str])]| -> BTreeSet<i64> {
            let all = by.iter().flat_map(|(table, columns)| of(table).map(move |record| (record, columns)));
            all.flat_map(|(record, columns)| columns.iter().filter_map(|column| record.number(column))).collect()
        };
        let processes = named(&[("session", &["process"])]);
        let chunks = named(&[("payload", &["chunk"])]);
        let request: &[&str] = &["kind", "statement", "policies", "facts", "detail", "masks", "error"];
        let words = named(&[("request", request), ("response", &["masks", "error"])]);
        let belongs = |record: &Proven| match record.table.as_str() {
            "session" => rows.contains(&record.seq.cast_signed()),
            "process" => processes.contains(&record.seq.cast_signed()),
            "chunk" => chunks.contains(&record.seq.cast_signed()),
            "words" => words.contains(&record.seq.cast_signed()),
            _ => record.number("session").is_some_and(|session| rows.contains(&session)),
        };
        !rows.is_empty() && self.records.iter().all(belongs)
    }
}

impl Proven {
    fn number(&self, column: &str) -> Option<i64> {
        if let Some(Column::Int(number)) = self.values.get(column) { Some(*number) } else { None }
    }

    fn has(&self, column: &str, value: &Column) -> bool {
        self.values.get(column) == Some(value)
    }

    fn hash(&self) -> Option<Hash> {
        let table = LEDGER.into_iter().find(|table| table.name == self.table)?;
        if self.values.keys().any(|name| !table.columns.iter().any(|(column, _)| column == name)) {
            return None;
        }
        let mut blobs: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for (name, value) in &self.values {
            if let Column::Blob(hex) = value {
                // What is no hexadecimal number was never recorded, whatever it says.
                blobs.insert(name, unhex(hex)?);
            }
        }
        let values = table.columns.iter().map(|(name, _)| match self.values.get(*name) {
            None => Value::Null,
            Some(Column::Int(number)) => Value::Int(*number),
            Some(Column::Text(text)) => Value::Text(text),
            Some(Column::Blob(_)) => blobs.get(name).map_or(Value::Null, |bytes| Value::Blob(bytes)),
        });
        let mut buffer = Vec::new();
        encode(&mut buffer, table, self.seq, values);
        Some(leaf(&buffer))
    }
}

/// Bytes written in exactly one way: as they are exported.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}
