//! COPY: whole files of rows in one direction, or a replication stream in both.
//!
//! Protocol documentation: "COPY Operations". The messages are here; what is in CopyData is read and written by [`Rows`],
//! as the statement's [`Options`] say.

mod binary;
mod csv;
mod cut;
mod error;
pub mod options;
mod rows;
#[cfg(test)]
mod tests;
mod text;

pub use self::error::CopyError;
pub use self::options::Options;
pub use self::rows::{Change, OnValue, Rows};

use super::error::{Malformed, Result};
use super::wire::{Format, Formats, Reader, message, put_formats, put_string};

/// Where copied data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client, into a table.
    In,
    /// To the client.
    Out,
    /// Both: replication.
    Both,
}

impl Direction {
    fn tag(self) -> u8 {
        match self {
            Self::In => b'G',
            Self::Out => b'H',
            Self::Both => b'W',
        }
    }
}

/// CopyInResponse, CopyOutResponse or CopyBothResponse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyResponse<'a> {
    /// Which of them.
    pub direction: Direction,
    /// Of the whole: text (lines, CSV too) or binary.
    pub format: Format,
    /// One for each column.
    pub columns: Formats<'a>,
}

impl<'a> CopyResponse<'a> {
    pub(super) fn decode(direction: Direction, body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let format = match reader.u8()? {
            0 => Format::Text,
            1 => Format::Binary,
            code => return Err(Malformed::Code(u32::from(code)).into()),
        };
        let columns = Formats::read(&mut reader)?;
        reader.end()?;
        // Whoever reads by the one and whoever reads by the other must read the same.
        if format == Format::Text && columns.iter().any(|column| column == Format::Binary) {
            return Err(Malformed::Formats.into());
        }
        Ok(Self { direction, format, columns })
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_copy_response(out, self.direction, self.format, self.columns.iter());
    }
}

/// Appends one of the three messages.
pub fn put_copy_response(
    out: &mut Vec<u8>,
    direction: Direction,
    format: Format,
    columns: impl ExactSizeIterator<Item = Format>,
) {
    message(out, direction.tag(), |out| {
        out.push(u8::from(format == Format::Binary));
        put_formats(out, columns);
    });
}

/// Appends CopyData.
pub fn put_copy_data(out: &mut Vec<u8>, data: &[u8]) {
    message(out, b'd', |out| out.extend_from_slice(data));
}

/// CopyDone, as it is on the wire.
pub const COPY_DONE: [u8; 5] = [b'c', 0, 0, 0, 4];

/// Appends CopyFail, which makes the server give the COPY up.
pub fn put_copy_fail(out: &mut Vec<u8>, why: &[u8]) {
    message(out, b'f', |out| put_string(out, why));
}
