//! Simple queries, how commands end, and when the server waits for more.
//!
//! Protocol documentation: "Simple Query", and CommandComplete in "Message Formats".

use super::error::{Malformed, Result};
use super::wire::{Reader, message, put_string};

/// Reads a body that is one string: Query, CopyFail, CommandComplete.
pub(super) fn string(body: &[u8]) -> Result<&[u8]> {
    let mut reader = Reader::new(body);
    let string = reader.string()?;
    reader.end()?;
    Ok(string)
}

/// Appends a Query.
pub fn put_query(out: &mut Vec<u8>, sql: &[u8]) {
    message(out, b'Q', |out| put_string(out, sql));
}

/// What a finished command says it was, and how many rows it was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a>(pub &'a [u8]);

impl<'a> Tag<'a> {
    /// The command: `INSERT`, `SELECT`, `CREATE TABLE`.
    #[must_use]
    pub fn command(&self) -> &'a [u8] {
        let numbers = self.0.iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b' ').count();
        let command = self.0.len().checked_sub(numbers).and_then(|len| self.0.get(..len));
        command.filter(|command| !command.is_empty()).unwrap_or(self.0)
    }

    /// Rows that were given, changed or copied, where the command counts them: the tag's last number.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        let (_, count) = std::str::from_utf8(self.0).ok()?.rsplit_once(' ')?;
        if count.bytes().all(|byte| byte.is_ascii_digit()) { count.parse().ok() } else { None }
    }

    /// Appends CommandComplete.
    pub fn encode(&self, out: &mut Vec<u8>) {
        message(out, b'C', |out| put_string(out, self.0));
    }
}

/// Where the server's transaction stands, as ReadyForQuery tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not in a transaction block.
    #[default]
    Idle,
    /// In one.
    Block,
    /// In one that has failed: only its end is possible.
    Failed,
}

impl Status {
    pub(super) fn decode(body: &[u8]) -> Result<Self> {
        match body {
            b"I" => Ok(Self::Idle),
            b"T" => Ok(Self::Block),
            b"E" => Ok(Self::Failed),
            [code] => Err(Malformed::Code(u32::from(*code)).into()),
            [] => Err(Malformed::Short.into()),
            [_, _, ..] => Err(Malformed::Trailing.into()),
        }
    }

    /// Appends ReadyForQuery.
    pub fn encode(self, out: &mut Vec<u8>) {
        let code = match self {
            Self::Idle => b'I',
            Self::Block => b'T',
            Self::Failed => b'E',
        };
        message(out, b'Z', |out| out.push(code));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_say_command_and_rows() {
        for (tag, command, rows) in [
            ("INSERT 0 5", "INSERT", Some(5)),
            ("SELECT 18446744073709551615", "SELECT", Some(u64::MAX)),
            ("COPY 3", "COPY", Some(3)),
            ("CREATE TABLE", "CREATE TABLE", None),
            ("BEGIN", "BEGIN", None),
            ("FETCH 0", "FETCH", Some(0)),
            ("COPY +3", "COPY +", None),
            ("SELECT 99999999999999999999", "SELECT", None),
            ("", "", None),
            ("7", "7", None),
        ] {
            let found = Tag(tag.as_bytes());
            assert_eq!((found.command(), found.rows()), (command.as_bytes(), rows), "{tag}");
        }
    }

    #[test]
    fn a_status_is_one_of_three() {
        for status in [Status::Idle, Status::Block, Status::Failed] {
            let mut out = Vec::new();
            status.encode(&mut out);
            assert_eq!(Status::decode(&out[5..]).unwrap(), status);
        }
        for bad in [&b""[..], b"X", b"II"] {
            assert!(Status::decode(bad).is_err(), "{bad:?}");
        }
    }
}
