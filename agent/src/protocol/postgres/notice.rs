//! Errors and notices: those of the server in place, and ours.
//!
//! Protocol documentation: "Error and Notice Message Fields".

use super::error::{Malformed, Result};
use super::wire::{Reader, message, put_string};

/// The fields of an ErrorResponse or NoticeResponse, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a>(&'a [u8]);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The session ends, or all do (PANIC).
    Fatal,
    /// The request has failed.
    Error,
    /// Nothing has failed: WARNING, NOTICE and less.
    Notice,
}

impl<'a> Report<'a> {
    /// Reads the message's body.
    ///
    /// # Errors
    /// If it is not one.
    pub fn decode(body: &'a [u8]) -> Result<Self> {
        let (end, fields) = body.split_last().ok_or(Malformed::Short)?;
        let mut list = Reader::new(fields);
        while !list.is_empty() {
            if list.u8()? == 0 {
                return Err(Malformed::Trailing.into());
            }
            list.string()?;
        }
        if *end == 0 { Ok(Self(fields)) } else { Err(Malformed::Unterminated.into()) }
    }

    /// Each field's code and value.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut list = Reader::new(self.0);
        std::iter::from_fn(move || Some((list.u8().ok()?, list.string().ok()?)))
    }

    /// The first field of this code.
    #[must_use]
    pub fn field(&self, code: u8) -> Option<&'a [u8]> {
        self.fields().find(|(found, _)| *found == code).map(|(_, value)| value)
    }

    /// How bad it is, by the field that is not translated where there is one.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self.field(b'V').or_else(|| self.field(b'S')) {
            Some(b"FATAL" | b"PANIC") => Severity::Fatal,
            Some(b"WARNING" | b"NOTICE" | b"DEBUG" | b"INFO" | b"LOG") => Severity::Notice,
            Some(_) | None => Severity::Error,
        }
    }

    /// The condition, five characters.
    #[must_use]
    pub fn sqlstate(&self) -> &'a [u8] {
        self.field(b'C').unwrap_or_default()
    }

    /// The message itself.
    #[must_use]
    pub fn message(&self) -> &'a [u8] {
        self.field(b'M').unwrap_or_default()
    }

    fn encode(&self, tag: u8, out: &mut Vec<u8>) {
        message(out, tag, |out| {
            out.extend_from_slice(self.0);
            out.push(0);
        });
    }

    /// Appends it as an ErrorResponse.
    pub fn error(&self, out: &mut Vec<u8>) {
        self.encode(b'E', out);
    }

    /// Appends it as a NoticeResponse.
    pub fn notice(&self, out: &mut Vec<u8>) {
        self.encode(b'N', out);
    }

    /// Appends it with other values: `change` is asked for each field, and `None` leaves the field out. What may quote
    /// data (detail, context, the query) is masked by this.
    pub fn rewrite(&self, tag: u8, out: &mut Vec<u8>, mut change: impl FnMut(u8, &'a [u8]) -> Option<Vec<u8>>) {
        message(out, tag, |out| {
            for (code, value) in self.fields() {
                if let Some(value) = change(code, value) {
                    out.push(code);
                    put_string(out, &value);
                }
            }
            out.push(0);
        });
    }
}

/// An error or notice of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// The condition.
    pub sqlstate: [u8; 5],
    /// One line.
    pub message: &'a str,
    /// More about it.
    pub detail: Option<&'a str>,
    /// What can be done.
    pub hint: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// `insufficient_privilege`: the request is not allowed.
    #[must_use]
    pub fn denied(message: &'a str) -> Self {
        Self { severity: Severity::Error, sqlstate: *b"42501", message, detail: None, hint: None }
    }

    /// `successful_completion`: something to know.
    #[must_use]
    pub fn told(message: &'a str) -> Self {
        Self { severity: Severity::Notice, sqlstate: *b"00000", message, detail: None, hint: None }
    }

    fn encode(&self, tag: u8, out: &mut Vec<u8>) {
        let severity: &[u8] = match self.severity {
            Severity::Fatal => b"FATAL",
            Severity::Error => b"ERROR",
            Severity::Notice => b"NOTICE",
        };
        let always = [(b'S', severity), (b'V', severity), (b'C', &self.sqlstate), (b'M', self.message.as_bytes())];
        let perhaps = [(b'D', self.detail), (b'H', self.hint)];
        let perhaps = perhaps.into_iter().filter_map(|(code, text)| Some((code, text?.as_bytes())));
        message(out, tag, |out| {
            for (code, value) in always.into_iter().chain(perhaps) {
                out.push(code);
                put_string(out, value);
            }
            out.push(0);
        });
    }

    /// Appends an ErrorResponse.
    pub fn error(&self, out: &mut Vec<u8>) {
        self.encode(b'E', out);
    }

    /// Appends a NoticeResponse.
    pub fn notice(&self, out: &mut Vec<u8>) {
        self.encode(b'N', out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_an_error_of_privilege() {
        let mut out = Vec::new();
        Fields { hint: Some("ask"), ..Fields::denied("not allowed") }.error(&mut out);
        assert_eq!(out, b"E\0\0\0\x2cSERROR\0VERROR\0C42501\0Mnot allowed\0Hask\0\0");
        let report = Report::decode(&out[5..]).unwrap();
        assert_eq!(
            (report.severity(), report.sqlstate(), report.message()),
            (Severity::Error, &b"42501"[..], &b"not allowed"[..])
        );
    }

    #[test]
    fn fields_are_rewritten_or_left_out() {
        let report = Report::decode(b"SERROR\0Mduplicate key\0DKey (email)=(ada@example.org)\0\0").unwrap();
        let mut out = Vec::new();
        report.rewrite(b'E', &mut out, |code, value| (code != b'D').then(|| value.to_vec()));
        assert_eq!(&out[5..], b"SERROR\0Mduplicate key\0\0");
        for bad in [&b""[..], b"SERROR\0", b"SERROR", b"S\0\0\0", b"\0\0"] {
            assert!(Report::decode(bad).is_err(), "{bad:?}");
        }
    }
}
