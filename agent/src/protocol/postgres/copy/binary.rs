//! Binary rows: signature, flags, an extension; counts, lengths and bytes; a trailer.
//!
//! SQL reference: "COPY", section "Binary Format".

use super::CopyError;
use super::cut::{Cut, Part};
use super::rows::Field;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, the extension's length.
const PREAMBLE: usize = SIGNATURE.len() + 4 + 4;
/// Flags that a reader must understand to go on.
const CRITICAL: u32 = 0xFFFF_0000;
/// The trailer, where a row's count of fields would be.
const TRAILER: i16 = -1;

/// Finds rows.
#[derive(Debug)]
pub(super) struct Frames {
    columns: usize,
    begun: bool,
    /// Up to where the row has been looked at, and how many of its fields.
    at: usize,
    fields: usize,
}

impl Frames {
    pub(super) fn new(columns: usize) -> Self {
        Self { columns, begun: false, at: 0, fields: 0 }
    }

    pub(super) fn next(&mut self, bytes: &[u8], last: bool, most: usize) -> Result<Option<Cut>, CopyError> {
        let found = if self.begun { self.row(bytes, most)? } else { preamble(bytes, most)? };
        if let Some((part, len)) = found {
            (self.begun, self.at, self.fields) = (true, 0, 0);
            return Ok(Some(Cut { part, body: len, len }));
        }
        // The server, too, does without a trailer.
        if last && !(self.begun && bytes.is_empty()) { Err(CopyError::Short) } else { Ok(None) }
    }

    fn row(&mut self, bytes: &[u8], most: usize) -> Result<Option<(Part, usize)>, CopyError> {
        if self.at == 0 {
            let Some(count) = bytes.first_chunk().copied().map(i16::from_be_bytes) else { return Ok(None) };
            self.at = 2;
            if count == TRAILER {
                return Ok(Some((Part::End, 2)));
            }
            if usize::try_from(count) != Ok(self.columns) {
                return Err(CopyError::Fields(self.columns));
            }
        }
        while self.fields < self.columns {
            let Some(len) = length(bytes, self.at)? else { return Ok(None) };
            let end = self.at.saturating_add(4).saturating_add(len.unwrap_or(0));
            if end > most {
                return Err(CopyError::Long(most));
            }
            if end > bytes.len() {
                return Ok(None);
            }
            self.at = end;
            self.fields += 1;
        }
        Ok(Some((Part::Row, self.at)))
    }
}

/// The length that stands here, which is itself `None` for null; nothing if it is not all there.
fn length(bytes: &[u8], at: usize) -> Result<Option<Option<usize>>, CopyError> {
    let Some(length) = bytes.get(at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
    match i32::from_be_bytes(*length) {
        -1 => Ok(Some(None)),
        length => usize::try_from(length).map(|length| Some(Some(length))).map_err(|_| CopyError::Length(length)),
    }
}

fn preamble(bytes: &[u8], most: usize) -> Result<Option<(Part, usize)>, CopyError> {
    let known = SIGNATURE.len().min(bytes.len());
    if bytes.get(..known) != SIGNATURE.get(..known) {
        return Err(CopyError::Signature);
    }
    let Some((flags, rest)) = bytes.get(SIGNATURE.len()..).and_then(<[u8]>::split_first_chunk) else { return Ok(None) };
    let flags = u32::from_be_bytes(*flags);
    if flags & CRITICAL != 0 {
        return Err(CopyError::Flags(flags));
    }
    let Some(length) = rest.first_chunk().copied().map(i32::from_be_bytes) else { return Ok(None) };
    let extension = usize::try_from(length).map_err(|_| CopyError::Length(length))?;
    let len = PREAMBLE.saturating_add(extension);
    if len > most {
        return Err(CopyError::Long(most));
    }
    Ok((len <= bytes.len()).then_some((Part::Preamble, len)))
}

/// The field that begins here, in a row that is all there.
pub(super) fn field(row: &[u8], at: usize) -> Result<Field<'_>, CopyError> {
    let length = length(row, at)?.ok_or(CopyError::Short)?;
    let (from, end) = (at + 4, at + 4 + length.unwrap_or(0));
    let value = length.map(|_| row.get(from..end).ok_or(CopyError::Short)).transpose()?;
    Ok(Field { end, next: (end < row.len()).then_some(end), value })
}

/// Appends a field.
pub(super) fn put(value: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), CopyError> {
    let length = value.map_or(Ok(-1), |value| i32::try_from(value.len())).map_err(|_| CopyError::Value)?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value.unwrap_or_default());
    Ok(())
}
