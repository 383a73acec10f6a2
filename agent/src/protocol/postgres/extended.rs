//! The extended query protocol's requests: statements are parsed, bound to portals, and those executed.
//!
//! Protocol documentation: "Extended Query", "Pipelining".

use super::error::{Malformed, Result};
use super::wire::{Formats, Oids, Reader, Values, message, put_string};

/// Parse: makes a prepared statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Empty for the unnamed one.
    pub statement: &'a [u8],
    /// One SQL statement, in the client's encoding.
    pub sql: &'a [u8],
    /// Types of its first parameters.
    pub types: Oids<'a>,
}

impl<'a> Parse<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let parse = Self { statement: reader.string()?, sql: reader.string()?, types: Oids::read(&mut reader)? };
        reader.end()?;
        Ok(parse)
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        message(out, b'P', |out| {
            put_string(out, self.statement);
            put_string(out, self.sql);
            self.types.encode(out);
        });
    }
}

/// Bind: makes a portal of a prepared statement and its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Empty for the unnamed one.
    pub portal: &'a [u8],
    /// The statement it is made of; empty for the unnamed one.
    pub statement: &'a [u8],
    /// How the parameters are written.
    pub formats: Formats<'a>,
    /// The parameters.
    pub parameters: Values<'a>,
    /// How result columns are to be written.
    pub results: Formats<'a>,
}

impl<'a> Bind<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let bind = Self {
            portal: reader.string()?,
            statement: reader.string()?,
            formats: Formats::read(&mut reader)?,
            parameters: Values::read(&mut reader)?,
            results: Formats::read(&mut reader)?,
        };
        reader.end()?;
        if !bind.formats.fit(bind.parameters.count()) {
            return Err(Malformed::Formats.into());
        }
        Ok(bind)
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        message(out, b'B', |out| self.encode_body(out));
    }

    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        put_string(out, self.portal);
        put_string(out, self.statement);
        self.formats.encode(out);
        self.parameters.encode(out);
        self.results.encode(out);
    }
}

/// What a Describe or Close is about; names are empty for the unnamed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// A prepared statement.
    Statement(&'a [u8]),
    /// A portal.
    Portal(&'a [u8]),
}

impl<'a> Object<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let object = match reader.u8()? {
            b'S' => Self::Statement(reader.string()?),
            b'P' => Self::Portal(reader.string()?),
            code => return Err(Malformed::Code(u32::from(code)).into()),
        };
        reader.end()?;
        Ok(object)
    }

    fn encode(self, tag: u8, out: &mut Vec<u8>) {
        let (kind, name) = match self {
            Self::Statement(name) => (b'S', name),
            Self::Portal(name) => (b'P', name),
        };
        message(out, tag, |out| {
            out.push(kind);
            put_string(out, name);
        });
    }

    /// Appends a Describe of it.
    pub fn describe(self, out: &mut Vec<u8>) {
        self.encode(b'D', out);
    }

    /// Appends a Close of it.
    pub fn close(self, out: &mut Vec<u8>) {
        self.encode(b'C', out);
    }
}

/// Execute: runs a portal, or runs it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execute<'a> {
    /// Empty for the unnamed one.
    pub portal: &'a [u8],
    /// After how many rows to pause; zero and less for never.
    pub max_rows: i32,
}

impl<'a> Execute<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let execute = Self { portal: reader.string()?, max_rows: reader.i32()? };
        reader.end()?;
        Ok(execute)
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        message(out, b'E', |out| {
            put_string(out, self.portal);
            out.extend_from_slice(&self.max_rows.to_be_bytes());
        });
    }
}

/// Sync, as it is on the wire.
pub const SYNC: [u8; 5] = [b'S', 0, 0, 0, 4];
/// Flush, as it is on the wire.
pub const FLUSH: [u8; 5] = [b'H', 0, 0, 0, 4];

#[cfg(test)]
mod tests {
    use super::super::wire::{Format, put_formats, put_oids, put_values};
    use super::*;

    #[test]
    fn a_bind_is_read_field_by_field() {
        let mut body = b"p\0s\0".to_vec();
        put_formats(&mut body, [Format::Binary, Format::Text].into_iter());
        put_values(&mut body, [Some(&[0, 0, 0, 7][..]), None].into_iter());
        put_formats(&mut body, [Format::Binary].into_iter());
        let bind = Bind::decode(&body).unwrap();
        assert_eq!((bind.portal, bind.statement), (&b"p"[..], &b"s"[..]));
        assert_eq!(bind.parameters.iter().collect::<Vec<_>>(), [Some(&[0, 0, 0, 7][..]), None]);
        assert_eq!(
            (bind.formats.at(0), bind.formats.at(1), bind.results.at(5)),
            (Format::Binary, Format::Text, Format::Binary)
        );
        for len in 0..body.len() {
            assert!(Bind::decode(&body[..len]).is_err(), "{len}");
        }
        body.push(0);
        assert!(Bind::decode(&body).is_err());
    }

    #[test]
    fn formats_are_none_or_one_or_all() {
        for (formats, parameters, good) in [(0, 3, true), (1, 3, true), (3, 3, true), (2, 3, false), (2, 0, false)] {
            let mut body = b"\0\0".to_vec();
            put_formats(&mut body, vec![Format::Text; formats].into_iter());
            put_values(&mut body, vec![None; parameters].into_iter());
            put_formats(&mut body, [].into_iter());
            assert_eq!(Bind::decode(&body).is_ok(), good, "{formats} for {parameters}");
        }
    }

    #[test]
    fn a_parse_has_one_name_and_one_text() {
        let mut body = b"s\0select $1\0".to_vec();
        put_oids(&mut body, [23].into_iter());
        let parse = Parse::decode(&body).unwrap();
        assert_eq!(parse.types.iter().collect::<Vec<_>>(), [23]);
        // A zero byte inside the text would hide the rest from one reader and not from another.
        assert!(Parse::decode(b"s\0select 1\0; drop\0\0\0").is_err());
    }
}
