//! One bounded reader of a message's bytes, and the few forms everything on the wire is made of.
//!
//! Protocol documentation: "Message Data Types". Integers are big-endian; strings end with a zero byte.

use std::borrow::Cow;
use std::convert::Infallible;

use super::error::{Malformed, Result};

/// Reads a message's body to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.chunk().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.chunk().map(u16::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16> {
        self.chunk().map(i16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.chunk().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        self.chunk().map(i32::from_be_bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.chunk()
    }

    /// A string, without the zero byte that ends it.
    pub(super) fn string(&mut self) -> Result<&'a [u8]> {
        let len = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed::Unterminated)?;
        let string = self.take(len)?;
        self.take(1)?;
        Ok(string)
    }

    /// A value: its length and bytes, or the length -1 for null.
    pub(super) fn value(&mut self) -> Result<Option<&'a [u8]>> {
        match self.i32()? {
            -1 => Ok(None),
            len => self.take(usize::try_from(len).map_err(|_| Malformed::Length)?).map(Some),
        }
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The message must be at its end.
    pub(super) fn end(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Trailing.into()) }
    }
}

/// What stood between two states of a reader: everything that was read since.
pub(super) fn between<'a>(before: Reader<'a>, after: Reader<'a>) -> &'a [u8] {
    let len = before.0.len().saturating_sub(after.0.len());
    before.0.get(..len).unwrap_or_default()
}

/// Appends a typed message: its type, its length, and the body that `body` appends.
///
/// Lengths on the wire are at most 2 GiB; whoever encodes holds far smaller limits.
pub(super) fn message(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    packet(out, body);
}

/// Appends an untyped packet: its length, and the body that `body` appends.
pub(super) fn packet(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start..).and_then(|bytes| bytes.first_chunk_mut()) {
        *place = len.to_be_bytes();
    }
}

/// Appends a string up to its first zero byte, which cannot be inside one, and the zero byte that ends it.
pub(super) fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    out.extend(string.iter().copied().take_while(|byte| *byte != 0));
    out.push(0);
}

/// Appends a value: its length and bytes, or -1 for null.
pub(super) fn put_value(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let len = value.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(value.unwrap_or_default());
}

/// A type's object identifier.
pub type Oid = u32;

/// How a value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// As its type's output function writes it.
    #[default]
    Text,
    /// As its type's send function writes it.
    Binary,
}

impl Format {
    fn of(code: i16) -> Result<Self> {
        match code {
            0 => Ok(Self::Text),
            1 => Ok(Self::Binary),
            code => Err(Malformed::Format(code).into()),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Self::of(reader.i16()?)
    }

    /// 0 or 1.
    #[must_use]
    pub fn code(self) -> i16 {
        i16::from(self == Self::Binary)
    }
}

/// A list of formats, read in place: none means text for all, one holds for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Formats<'a>(&'a [[u8; 2]]);

impl<'a> Formats<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let count = usize::from(reader.u16()?);
        let (codes, _) = reader.take(count * 2)?.as_chunks();
        for code in codes {
            Format::of(i16::from_be_bytes(*code))?;
        }
        Ok(Self(codes))
    }

    /// Each format that was named.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Format> + 'a {
        self.0.iter().map(|code| if *code == [0, 1] { Format::Binary } else { Format::Text })
    }

    /// The format of the field at this place, from 0.
    #[must_use]
    pub fn at(&self, place: usize) -> Format {
        let code = if let [one] = self.0 { Some(one) } else { self.0.get(place) };
        code.map_or(Format::Text, |code| if *code == [0, 1] { Format::Binary } else { Format::Text })
    }

    /// How many were named.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether so many values can have these.
    pub(super) fn fit(&self, values: usize) -> bool {
        self.0.len() <= 1 || self.0.len() == values
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_formats(out, self.iter());
    }
}

/// Appends a list of formats, at most 65,535 of them.
pub fn put_formats(out: &mut Vec<u8>, formats: impl ExactSizeIterator<Item = Format>) {
    let count = u16::try_from(formats.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    for format in formats.take(usize::from(count)) {
        out.extend_from_slice(&format.code().to_be_bytes());
    }
}

/// A list of type identifiers, read in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oids<'a>(&'a [[u8; 4]]);

impl<'a> Oids<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let count = usize::from(reader.u16()?);
        Ok(Self(reader.take(count * 4)?.as_chunks().0))
    }

    /// Each; 0 leaves the type to the server.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Oid> + 'a {
        self.0.iter().map(|oid| u32::from_be_bytes(*oid))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_oids(out, self.iter());
    }
}

/// Appends a list of type identifiers, at most 65,535 of them.
pub fn put_oids(out: &mut Vec<u8>, oids: impl ExactSizeIterator<Item = Oid>) {
    let count = u16::try_from(oids.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    for oid in oids.take(usize::from(count)) {
        out.extend_from_slice(&oid.to_be_bytes());
    }
}

/// A list of values, read in place: parameters of a Bind or function call, cells of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Values<'a> {
    count: u16,
    bytes: &'a [u8],
}

impl<'a> Values<'a> {
    /// Reads a count and so many values, each of which is looked at now, so that iterating cannot fail.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let count = reader.u16()?;
        let before = *reader;
        for _ in 0..count {
            reader.value()?;
        }
        Ok(Self { count, bytes: between(before, *reader) })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Bytes they take on the wire, lengths included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Each value's bytes; `None` is null.
    #[must_use]
    pub fn iter(&self) -> Cells<'a> {
        Cells(Reader::new(self.bytes))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(self.bytes);
    }
}

/// Values in place, one after the other.
#[derive(Clone, Debug)]
pub struct Cells<'a>(Reader<'a>);

impl<'a> Iterator for Cells<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.value().ok()
    }
}

/// Appends a list of values, at most 65,535 of them.
pub fn put_values<'a>(out: &mut Vec<u8>, values: impl Iterator<Item = Option<&'a [u8]>>) {
    let values = values.map(|value| Ok::<_, Infallible>(value.map(Cow::Borrowed)));
    match try_put_values(out, values) {
        Ok(()) => {}
        Err(never) => match never {},
    }
}

/// The same, up to the first that cannot be had.
pub(super) fn try_put_values<'a, E>(
    out: &mut Vec<u8>,
    values: impl Iterator<Item = std::result::Result<Option<Cow<'a, [u8]>>, E>>,
) -> std::result::Result<(), E> {
    let start = out.len();
    out.extend_from_slice(&[0; 2]);
    let mut count: u16 = 0;
    for value in values.take(usize::from(u16::MAX)) {
        put_value(out, value?.as_deref());
        count += 1;
    }
    if let Some(place) = out.get_mut(start..).and_then(|bytes| bytes.first_chunk_mut()) {
        *place = count.to_be_bytes();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_with_a_zero_byte() {
        let mut reader = Reader::new(b"a\0\0rest");
        assert_eq!(reader.string().unwrap(), b"a");
        assert_eq!(reader.string().unwrap(), b"");
        assert!(reader.string().is_err());
        let mut out = Vec::new();
        put_string(&mut out, b"a\0b");
        assert_eq!(out, b"a\0");
    }

    #[test]
    fn one_format_holds_for_all() {
        for (bytes, expected) in [
            (&[0, 0][..], [Format::Text, Format::Text]),
            (&[0, 1, 0, 1], [Format::Binary, Format::Binary]),
            (&[0, 2, 0, 1, 0, 0], [Format::Binary, Format::Text]),
        ] {
            let formats = Formats::read(&mut Reader::new(bytes)).unwrap();
            assert_eq!([formats.at(0), formats.at(1)], expected, "{bytes:?}");
        }
        assert!(Formats::read(&mut Reader::new(&[0, 1, 0, 2])).is_err());
    }

    #[test]
    fn a_length_below_null_is_refused() {
        assert!(Reader::new(&(-2_i32).to_be_bytes()).value().is_err());
        assert_eq!(Reader::new(&(-1_i32).to_be_bytes()).value().unwrap(), None);
        assert_eq!(Reader::new(&[0; 4]).value().unwrap(), Some(&[][..]));
    }
}
