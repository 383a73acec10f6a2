//! The one way a row gets into a ledger table: numbered, hashed into the log, marked.
//!
//! A leaf is the table's code, `seq` and the columns, each with its type and length: `code:u8 seq:u64 (tag:u8 ...)*`,
//! numbers big-endian. Nulls at the end are left out, so a column added later changes no leaf from before.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql, params};

use super::proof::{Frontier, Hash, leaf};
use super::schema::Table;

/// One column's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! integers {
    ($($kind:ty)*) => {$(
        impl From<$kind> for Value<'_> {
            fn from(number: $kind) -> Self {
                Self::Int(i64::from(number))
            }
        }
    )*};
}
integers!(i64 i32 u32 u16 u8 bool);

impl From<u64> for Value<'_> {
    /// SQLite's integers are signed: the upper half reads as negative.
    fn from(number: u64) -> Self {
        Self::Int(number.cast_signed())
    }
}

/// Writes the bytes of a leaf into `into`, which is cleared first.
pub(crate) fn encode<'a>(into: &mut Vec<u8>, table: &Table, seq: u64, values: impl Iterator<Item = Value<'a>>) {
    into.clear();
    into.push(table.code);
    into.extend(seq.to_be_bytes());
    let mut nulls = 0_usize;
    for value in values {
        if value == Value::Null {
            nulls += 1;
            continue;
        }
        into.resize(into.len() + nulls, 0);
        nulls = 0;
        match value {
            Value::Null => {}
            Value::Int(number) => {
                into.push(1);
                into.extend(number.to_be_bytes());
            }
            Value::Text(text) => counted(into, 3, text.as_bytes()),
            Value::Blob(bytes) => counted(into, 4, bytes),
        }
    }
}

fn counted(into: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    into.push(tag);
    // SQLite's own limit is below 2 GiB.
    into.extend((bytes.len() as u32).to_be_bytes());
    into.extend(bytes);
}

/// The part of a leaf's hash that stands beside the row.
pub(crate) fn mark(hash: &Hash) -> i64 {
    let [a, b, c, d, ..] = hash.0;
    i32::from_be_bytes([a, b, c, d]).into()
}

/// The log as far as it is written.
#[derive(Debug)]
pub(super) struct Ledger {
    log: Frontier,
    /// As of the last commit.
    committed: Frontier,
    buffer: Vec<u8>,
}

impl Ledger {
    pub(super) fn new(log: Frontier) -> Self {
        Self { committed: log.clone(), log, buffer: Vec::with_capacity(512) }
    }

    /// Starts a transaction, and catches up with what other processes added.
    pub(super) fn begin(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let size: i64 = conn.prepare_cached("SELECT size FROM head")?.query_row([], |row| row.get(0))?;
        if size.cast_unsigned() != self.log.size() {
            self.log = read_head(conn)?;
            self.committed = self.log.clone();
        }
        Ok(())
    }

    /// Adds one row, and returns its number.
    pub(super) fn append(
        &mut self,
        conn: &Connection,
        table: &'static Table,
        values: &[Value<'_>],
    ) -> rusqlite::Result<i64> {
        let mut statement = insert(conn, table)?;
        self.append_by(conn, &mut statement, table, values)
    }

    /// The same with a statement that was prepared before, by [`insert`].
    pub(super) fn append_by(
        &mut self,
        conn: &Connection,
        statement: &mut CachedStatement<'_>,
        table: &'static Table,
        values: &[Value<'_>],
    ) -> rusqlite::Result<i64> {
        debug_assert_eq!(values.len(), table.columns.len(), "{}", table.name);
        let seq = self.log.size();
        encode(&mut self.buffer, table, seq, values.iter().copied());
        let hash = leaf(&self.buffer);
        let seq = seq.cast_signed();
        statement.raw_bind_parameter(1, seq)?;
        statement.raw_bind_parameter(2, mark(&hash))?;
        for (at, value) in (3..).zip(values) {
            statement.raw_bind_parameter(at, value)?;
        }
        statement.raw_execute()?;
        if let Some((tile, root)) = self.log.append(hash) {
            conn.prepare_cached("INSERT INTO tile VALUES (?, ?)")?.execute(params![tile.cast_signed(), root.0])?;
        }
        Ok(seq)
    }

    /// Writes where the log stands, and commits.
    pub(super) fn commit(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached("UPDATE head SET size = ?, frontier = ?")?
            .execute(params![self.log.size().cast_signed(), self.log.to_bytes()])?;
        conn.prepare_cached("COMMIT")?.execute([])?;
        self.committed.clone_from(&self.log);
        Ok(())
    }

    /// Undoes what was not committed.
    pub(super) fn roll_back(&mut self, conn: &Connection) {
        self.log.clone_from(&self.committed);
        if !conn.is_autocommit() {
            // SQLite has rolled back by itself when this fails.
            let _ = conn.execute_batch("ROLLBACK");
        }
    }

    /// The log with everything committed.
    pub(super) fn committed(&self) -> &Frontier {
        &self.committed
    }
}

/// What adds a row to a table.
pub(super) fn insert<'c>(conn: &'c Connection, table: &'static Table) -> rusqlite::Result<CachedStatement<'c>> {
    conn.prepare_cached(table.insert_sql())
}

/// Where the log stands by the segment's own account.
pub(super) fn read_head(conn: &Connection) -> rusqlite::Result<Frontier> {
    let (size, bytes): (i64, Vec<u8>) =
        conn.query_row("SELECT size, frontier FROM head", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Frontier::from_bytes(&bytes)
        .ok()
        .filter(|log| log.size() == size.cast_unsigned())
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(0, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::schema::EVENT;

    #[test]
    fn nulls_at_the_end_are_left_out_and_nothing_else_is() {
        let encoded = |values: &[Value<'_>]| {
            let mut bytes = Vec::new();
            encode(&mut bytes, &EVENT, 7, values.iter().copied());
            bytes
        };
        let (one, two) = (Value::Int(1), Value::Int(2));
        assert_eq!(encoded(&[one, Value::Null]), encoded(&[one]));
        assert_ne!(encoded(&[Value::Null, one]), encoded(&[one]));
        assert_ne!(encoded(&[one, Value::Null, two]), encoded(&[one, two]));
        assert_ne!(encoded(&[Value::Text("a")]), encoded(&[Value::Blob(b"a")]));
        assert_ne!(encoded(&[Value::Text("ab"), Value::Text("c")]), encoded(&[Value::Text("a"), Value::Text("bc")]));
    }
}
