//! All ledger rows of a segment in the order of the log.

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Rows, Statement};

use crate::record::ledger::{Value, encode, mark};
use crate::record::proof::{Hash, leaf};
use crate::record::schema::{LEDGER, Table};

/// One statement for each ledger table.
pub(super) struct Tables<'c>(Vec<(&'static Table, Statement<'c>)>);

impl<'c> Tables<'c> {
    pub(super) fn prepare(conn: &'c Connection) -> rusqlite::Result<Self> {
        let select = |table: &'static Table| {
            Ok((table, conn.prepare(&format!("SELECT * FROM {} NOT INDEXED ORDER BY seq", table.name))?))
        };
        LEDGER.into_iter().map(select).collect::<rusqlite::Result<_>>().map(Self)
    }

    pub(super) fn merge(&mut self) -> rusqlite::Result<Merge<'_>> {
        let mut cursors = Vec::new();
        for (table, statement) in &mut self.0 {
            let mut cursor = Cursor { table, rows: statement.query([])?, seq: None };
            cursor.advance()?;
            cursors.push(cursor);
        }
        Ok(Merge { cursors, buffer: Vec::with_capacity(1024) })
    }
}

struct Cursor<'s> {
    table: &'static Table,
    rows: Rows<'s>,
    /// Of the row it stands on.
    seq: Option<i64>,
}

impl Cursor<'_> {
    fn advance(&mut self) -> rusqlite::Result<()> {
        self.rows.advance()?;
        self.seq = self.rows.get().map(|row| row.get(0)).transpose()?;
        Ok(())
    }
}

/// The tables, merged by `seq`.
pub(super) struct Merge<'s> {
    cursors: Vec<Cursor<'s>>,
    buffer: Vec<u8>,
}

/// One row as it is found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) table: &'static Table,
    pub(super) seq: u64,
    /// The mark beside it.
    pub(super) mark: i64,
    /// What it hashes to.
    pub(super) hash: Hash,
}

impl Found {
    /// Whether the mark fits.
    pub(super) fn is_whole(&self) -> bool {
        self.mark == mark(&self.hash)
    }
}

impl Merge<'_> {
    /// The next row; `looked` gets it too, while it can be read under other numbers.
    pub(super) fn next(&mut self, looked: &mut dyn FnMut(&Found, &Reader<'_>)) -> rusqlite::Result<Option<Found>> {
        let next = self.cursors.iter_mut().filter(|cursor| cursor.seq.is_some()).min_by_key(|cursor| cursor.seq);
        let Some(cursor) = next else { return Ok(None) };
        let (Some(row), Some(seq)) = (cursor.rows.get(), cursor.seq) else { return Ok(None) };
        let reader = Reader { row, table: cursor.table };
        let seq = seq.cast_unsigned();
        let hash = reader.hash(seq, &mut self.buffer)?;
        let found = Found { table: cursor.table, seq, mark: row.get(1)?, hash };
        looked(&found, &reader);
        cursor.advance()?;
        Ok(Some(found))
    }
}

/// A row that can be hashed under any number.
pub(super) struct Reader<'r> {
    row: &'r Row<'r>,
    table: &'static Table,
}

impl Reader<'_> {
    /// The leaf hash this row would have under a number.
    pub(super) fn hash(&self, seq: u64, buffer: &mut Vec<u8>) -> rusqlite::Result<Hash> {
        let values = (2..self.table.columns.len() + 2).map(|at| match self.row.get_ref(at) {
            Ok(ValueRef::Integer(number)) => Value::Int(number),
            Ok(ValueRef::Text(text)) => std::str::from_utf8(text).map_or(Value::Blob(text), Value::Text),
            Ok(ValueRef::Blob(bytes)) => Value::Blob(bytes),
            // A segment of an earlier layout lacks the last columns.
            Ok(ValueRef::Null | ValueRef::Real(_)) | Err(_) => Value::Null,
        });
        encode(buffer, self.table, seq, values);
        Ok(leaf(buffer))
    }

    /// The number under which the row fits a mark, near the one it has.
    pub(super) fn number_that_fits(&self, seq: u64, wanted: i64, within: u64) -> Option<u64> {
        let mut buffer = Vec::new();
        let mut near = (1..=within).flat_map(|by| [seq.checked_add(by), seq.checked_sub(by)]).flatten();
        near.find(|number| self.hash(*number, &mut buffer).is_ok_and(|hash| mark(&hash) == wanted))
    }

    /// A column as a number.
    pub(super) fn number(&self, at: usize) -> u64 {
        self.row.get::<_, i64>(at + 2).unwrap_or_default().cast_unsigned()
    }

    /// A column as text, by its name.
    pub(super) fn text(&self, name: &str) -> String {
        let at = self.table.columns.iter().position(|(column, _)| *column == name);
        at.and_then(|at| self.row.get(at + 2).ok()).unwrap_or_default()
    }

    /// A column as bytes.
    pub(super) fn bytes(&self, at: usize) -> Vec<u8> {
        self.row.get::<_, Vec<u8>>(at + 2).unwrap_or_default()
    }
}
