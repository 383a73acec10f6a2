//! Where rows end. What was looked at once is not looked at again when more of a row arrives.
//!
//! `CopyReadLineText` and `CopyReadBinaryAttribute` in `src/backend/commands/copyfromparse.c`.

use memchr::{memchr, memchr2, memchr3};

use super::CopyError;
use super::binary::Frames;
use super::options::{Format, Options};

/// What a run of bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// What stands before binary rows.
    Preamble,
    /// A row.
    Row,
    /// What stands behind the rows: `\.` on its line, or the trailer.
    End,
}

/// A part at the beginning of what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) part: Part,
    /// Of the part without what ends its line, bytes.
    pub(super) body: usize,
    /// Of all of it, bytes.
    pub(super) len: usize,
}

/// How lines end; the first one decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Lf,
    Cr,
    CrLf,
}

/// Finds parts.
#[derive(Debug)]
pub(super) enum Cutter {
    /// Text or CSV.
    Lines(Lines),
    /// Binary.
    Frames(Frames),
}

impl Cutter {
    pub(super) fn new(options: &Options, columns: usize) -> Self {
        match options.format {
            Format::Text => Self::Lines(Lines::new(None)),
            Format::Csv => Self::Lines(Lines::new(Some(Quotes::new(options)))),
            Format::Binary => Self::Frames(Frames::new(columns)),
        }
    }

    /// The next part, if all of it is there. `bytes` begins where the last part ended; `last` says that nothing follows,
    /// and `most` how long a part may be.
    pub(super) fn next(&mut self, bytes: &[u8], last: bool, most: usize) -> Result<Option<Cut>, CopyError> {
        // Nothing behind the longest part is looked at, so that it does not matter how much is there already.
        let (window, last) = match bytes.get(..most.saturating_add(1)) {
            Some(window) => (window, last && window.len() == bytes.len()),
            None => (bytes, last),
        };
        let cut = match self {
            Self::Lines(lines) => lines.next(window, last)?,
            Self::Frames(frames) => frames.next(window, last, most)?,
        };
        if cut.map_or(window.len(), |cut| cut.len) > most { Err(CopyError::Long(most)) } else { Ok(cut) }
    }

    /// What ends lines here.
    pub(super) fn line_end(&self) -> &'static [u8] {
        match self {
            Self::Lines(Lines { ending: Some(Ending::Cr), .. }) => b"\r",
            Self::Lines(Lines { ending: Some(Ending::CrLf), .. }) => b"\r\n",
            Self::Lines(Lines { ending: Some(Ending::Lf) | None, .. }) => b"\n",
            Self::Frames(_) => b"",
        }
    }
}

/// What quotes do to the ends of CSV lines.
#[derive(Debug)]
struct Quotes {
    quote: u8,
    escape: u8,
    inside: bool,
}

impl Quotes {
    fn new(options: &Options) -> Self {
        Self { quote: options.quote, escape: options.escape, inside: false }
    }
}

/// Finds lines.
#[derive(Debug)]
pub(super) struct Lines {
    /// Up to where the line has been looked at.
    at: usize,
    ending: Option<Ending>,
    quotes: Option<Quotes>,
}

impl Lines {
    fn new(quotes: Option<Quotes>) -> Self {
        Self { at: 0, ending: None, quotes }
    }

    fn next(&mut self, bytes: &[u8], last: bool) -> Result<Option<Cut>, CopyError> {
        let cut = if self.quotes.is_some() { self.csv(bytes, last) } else { self.text(bytes, last) }?;
        if cut.is_some() {
            self.at = 0;
        }
        Ok(cut)
    }

    fn text(&mut self, bytes: &[u8], last: bool) -> Result<Option<Cut>, CopyError> {
        while let Some(found) = bytes.get(self.at..).and_then(|rest| memchr3(b'\n', b'\r', b'\\', rest)) {
            self.at += found;
            match bytes.get(self.at..).unwrap_or_default() {
                [b'\\', b'.', ..] => return self.text_marker(bytes, last),
                // Whatever is escaped ends no line.
                [b'\\', _, ..] => self.at += 2,
                [b'\\'] if last => return Err(CopyError::Short),
                [b'\\'] => return Ok(None),
                _ => return self.line(bytes, last),
            }
        }
        self.rest(bytes, last)
    }

    fn csv(&mut self, bytes: &[u8], last: bool) -> Result<Option<Cut>, CopyError> {
        if self.at == 0 {
            match bytes {
                [b'\\', b'.', b'\n' | b'\r', ..] => match self.ended(bytes, 2, last) {
                    Ok(Some(len)) => return Ok(Some(Cut { part: Part::End, body: 2, len: 2 + len })),
                    Ok(None) => return Ok(None),
                    // Then it is a row, which ends wrongly.
                    Err(_) => {}
                },
                [b'\\'] | [b'\\', b'.'] if !last => return Ok(None),
                _ => {}
            }
        }
        while let Some(quotes) = &mut self.quotes {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let found = match quotes {
                Quotes { inside: false, quote, .. } => memchr3(*quote, b'\n', b'\r', rest),
                Quotes { quote, escape, .. } if quote == escape => memchr(*quote, rest),
                Quotes { quote, escape, .. } => memchr2(*quote, *escape, rest),
            };
            let Some(found) = found else { break };
            self.at += found;
            match rest.get(found..).unwrap_or_default() {
                [byte, ..] if *byte == quotes.quote => {
                    quotes.inside = !quotes.inside;
                    self.at += 1;
                }
                _ if !quotes.inside => return self.line(bytes, last),
                // An escape: of a quote or itself; anything else stands for itself.
                [_, next, ..] => self.at += if [quotes.quote, quotes.escape].contains(next) { 2 } else { 1 },
                _ if last => break,
                _ => return Ok(None),
            }
        }
        if last && self.quotes.as_ref().is_some_and(|quotes| quotes.inside) {
            return Err(CopyError::Quote);
        }
        self.rest(bytes, last)
    }

    /// The line that ends where everything has been looked at.
    fn line(&mut self, bytes: &[u8], last: bool) -> Result<Option<Cut>, CopyError> {
        let body = self.at;
        Ok(self.ended(bytes, body, last)?.map(|len| Cut { part: Part::Row, body, len: body + len }))
    }

    /// How long the end of a line is; `None` if another byte has to say.
    fn ended(&mut self, bytes: &[u8], at: usize, last: bool) -> Result<Option<usize>, CopyError> {
        let (ending, len) = match (bytes.get(at..).unwrap_or_default(), self.ending) {
            ([b'\n', ..], None | Some(Ending::Lf)) => (Ending::Lf, 1),
            ([b'\r', ..], Some(Ending::Cr)) => (Ending::Cr, 1),
            ([b'\r', b'\n', ..], None | Some(Ending::CrLf)) => (Ending::CrLf, 2),
            ([b'\r'], None | Some(Ending::CrLf)) if !last => return Ok(None),
            ([b'\r', ..], None) => (Ending::Cr, 1),
            _ => return Err(CopyError::LineEnd),
        };
        self.ending = Some(ending);
        Ok(Some(len))
    }

    /// The last line need not end.
    fn rest(&mut self, bytes: &[u8], last: bool) -> Result<Option<Cut>, CopyError> {
        self.at = bytes.len();
        let whole = last && !bytes.is_empty();
        Ok(whole.then_some(Cut { part: Part::Row, body: bytes.len(), len: bytes.len() }))
    }

    fn text_marker(&mut self, bytes: &[u8], last: bool) -> Result<Option<Cut>, CopyError> {
        if self.at != 0 {
            return Err(CopyError::Marker);
        }
        match bytes {
            [_, _, b'\n' | b'\r', ..] => {
                let len = self.ended(bytes, 2, last)?;
                Ok(len.map(|len| Cut { part: Part::End, body: 2, len: 2 + len }))
            }
            [_, _] if !last => Ok(None),
            _ => Err(CopyError::Marker),
        }
    }
}
