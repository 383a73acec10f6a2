//! Results: what their columns are, and their rows.
//!
//! Protocol documentation: RowDescription, DataRow and ParameterDescription in "Message Formats".

use std::borrow::Cow;

use super::error::Result;
use super::wire::{Cells, Format, Oid, Reader, Values, between, message, put_string};

/// One column of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    /// Its name in the result.
    pub name: &'a [u8],
    /// The table it comes from unchanged; 0 if it does not.
    pub table: Oid,
    /// Its place in that table, from 1; 0 if it has none.
    pub attribute: i16,
    /// Its type.
    pub kind: Oid,
    /// Bytes of the type; negative for those without a fixed width.
    pub size: i16,
    /// The type's modifier.
    pub modifier: i32,
    /// How its values are written; text where a statement is described, which has no formats yet.
    pub format: Format,
}

impl<'a> Column<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        Ok(Self {
            name: reader.string()?,
            table: reader.u32()?,
            attribute: reader.i16()?,
            kind: reader.u32()?,
            size: reader.i16()?,
            modifier: reader.i32()?,
            format: Format::read(reader)?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_string(out, self.name);
        out.extend_from_slice(&self.table.to_be_bytes());
        out.extend_from_slice(&self.attribute.to_be_bytes());
        out.extend_from_slice(&self.kind.to_be_bytes());
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&self.modifier.to_be_bytes());
        out.extend_from_slice(&self.format.code().to_be_bytes());
    }
}

/// RowDescription, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns<'a> {
    count: u16,
    bytes: &'a [u8],
}

impl<'a> Columns<'a> {
    /// Reads the message's body.
    ///
    /// # Errors
    /// If it is not one.
    pub fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let count = reader.u16()?;
        let before = reader;
        for _ in 0..count {
            Column::read(&mut reader)?;
        }
        let bytes = between(before, reader);
        reader.end()?;
        Ok(Self { count, bytes })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Each column.
    pub fn iter(&self) -> impl Iterator<Item = Column<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || Column::read(&mut reader).ok())
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        message(out, b'T', |out| {
            out.extend_from_slice(&self.count.to_be_bytes());
            out.extend_from_slice(self.bytes);
        });
    }

    /// The message's body, to be kept.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        [&self.count.to_be_bytes()[..], self.bytes].concat()
    }
}

/// Appends a RowDescription of at most 65,535 columns.
pub fn put_columns(out: &mut Vec<u8>, columns: &[Column<'_>]) {
    message(out, b'T', |out| {
        let count = u16::try_from(columns.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&count.to_be_bytes());
        columns.iter().take(usize::from(count)).for_each(|column| column.encode(out));
    });
}

/// DataRow, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a>(Values<'a>);

impl<'a> Row<'a> {
    /// Reads the message's body. Every cell's length is looked at, so that iterating cannot fail.
    ///
    /// # Errors
    /// If it is not one.
    pub fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let values = Values::read(&mut reader)?;
        reader.end()?;
        Ok(Self(values))
    }

    /// How many cells there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// Each cell's bytes; `None` is null.
    #[must_use]
    pub fn cells(&self) -> Cells<'a> {
        self.0.iter()
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        message(out, b'D', |out| self.0.encode(out));
    }
}

/// Appends a DataRow of at most 65,535 cells.
pub fn put_row<'a>(out: &mut Vec<u8>, cells: impl Iterator<Item = Option<&'a [u8]>>) {
    message(out, b'D', |out| super::wire::put_values(out, cells));
}

/// The same, of cells that may not be had: then what was appended is no row.
///
/// # Errors
/// The first cell's that cannot be had.
pub fn try_put_row<'a, E>(
    out: &mut Vec<u8>,
    cells: impl Iterator<Item = std::result::Result<Option<Cow<'a, [u8]>>, E>>,
) -> std::result::Result<(), E> {
    let mut outcome = Ok(());
    message(out, b'D', |out| outcome = super::wire::try_put_values(out, cells));
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_as_written() {
        let column = Column {
            name: b"ssn",
            table: 16_384,
            attribute: 3,
            kind: 25,
            size: -1,
            modifier: -1,
            format: Format::Binary,
        };
        let mut out = Vec::new();
        put_columns(&mut out, &[column, Column { name: b"", ..column }]);
        let columns = Columns::decode(&out[5..]).unwrap();
        assert_eq!(columns.iter().next(), Some(column));
        assert_eq!((columns.count(), columns.iter().count()), (2, 2));
        assert_eq!(Columns::decode(&columns.to_body()).unwrap(), columns);
        assert!(Columns::decode(&out[5..out.len() - 1]).is_err());
    }

    #[test]
    fn rows_are_read_in_place() {
        let cells = [Some(&b"ada"[..]), None, Some(b"")];
        let mut out = Vec::new();
        put_row(&mut out, cells.into_iter());
        assert_eq!(out, b"D\0\0\0\x15\0\x03\0\0\0\x03ada\xff\xff\xff\xff\0\0\0\0");
        let row = Row::decode(&out[5..]).unwrap();
        assert_eq!(row.cells().collect::<Vec<_>>(), cells);
        for bad in [&b"\0\x01\0\0\0\x02a"[..], b"\0\x01\xff\xff\xff\xfe", b"\0\x00x", b"\0"] {
            assert!(Row::decode(bad).is_err(), "{bad:?}");
        }
    }
}
