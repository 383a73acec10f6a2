//! The rows of one COPY on their way: each value is shown, and may be replaced.
//!
//! No I/O: bytes in, bytes out. Data may be cut into messages anywhere; of a row that is not all there its bytes wait here,
//! and no more of them than a row may have.

use std::fmt;

use memchr::memchr;

use super::cut::{Cut, Cutter, Part};
use super::options::{Format, Options};
use super::{CopyError, binary, csv, text};

/// What becomes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stays as it is, byte for byte.
    Keep,
    /// This is written in its place: what it is in text, not escaped, or in binary.
    Value(Vec<u8>),
    /// It becomes null.
    Null,
}

/// Is shown the column, from 0, and its value, not escaped; `None` is null.
pub type OnValue<'a> = dyn FnMut(usize, Option<&[u8]>) -> Change + 'a;

/// A field, where it stands in its row.
pub(super) struct Field<'a> {
    /// Where what is written ends.
    pub(super) end: usize,
    /// Where the next field begins, if there is one.
    pub(super) next: Option<usize>,
    pub(super) value: Option<&'a [u8]>,
}

/// What may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The line that names the columns.
    Header,
    Rows,
    /// Nothing.
    Ended,
    /// Something was wrong.
    GivenUp,
}

/// The rows of one COPY, in either direction.
pub struct Rows {
    options: Options,
    columns: usize,
    most: usize,
    cutter: Cutter,
    stage: Stage,
    /// The beginning of a row.
    held: Vec<u8>,
    scratch: Vec<u8>,
    count: u64,
}

impl fmt::Debug for Rows {
    /// Without what is held: nobody has decided about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("options", &self.options)
            .field("columns", &self.columns)
            .field("stage", &self.stage)
            .field("count", &self.count)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

/// Where rows go, if anywhere.
type Out<'a> = Option<&'a mut Vec<u8>>;

impl Rows {
    /// A COPY that begins, of so many columns (the server's CopyOutResponse or CopyInResponse has them), with rows of at
    /// most `most` bytes as they stand in the data, line ends and lengths included.
    #[must_use]
    pub fn new(options: Options, columns: usize, most: usize) -> Self {
        let cutter = Cutter::new(&options, columns);
        let stage = if options.header { Stage::Header } else { Stage::Rows };
        Self { options, columns, most, cutter, stage, held: Vec::new(), scratch: Vec::new(), count: 0 }
    }

    /// Takes the data of a message, and appends to `out` what goes on: whole rows, and nothing if none is complete.
    ///
    /// # Errors
    /// The data is not rows of this COPY, or a row is too long. Rows before that are in `out`; nothing follows.
    pub fn push(&mut self, data: &[u8], out: &mut Vec<u8>, change: &mut OnValue<'_>) -> Result<(), CopyError> {
        self.pass(data, false, Some(out), change)
    }

    /// The data is over (CopyDone): appends what is left, a last line that does not end.
    ///
    /// # Errors
    /// It is over inside a row.
    pub fn finish(&mut self, out: &mut Vec<u8>, change: &mut OnValue<'_>) -> Result<(), CopyError> {
        self.pass(&[], true, Some(out), change)
    }

    /// Only looks: at the data of a message on its way to the server.
    ///
    /// # Errors
    /// As [`Rows::push`].
    pub fn watch(&mut self, data: &[u8], see: &mut dyn FnMut(usize, Option<&[u8]>)) -> Result<(), CopyError> {
        self.pass(data, false, None, &mut seen(see))
    }

    /// Only looks: the data is over.
    ///
    /// # Errors
    /// As [`Rows::finish`].
    pub fn watch_end(&mut self, see: &mut dyn FnMut(usize, Option<&[u8]>)) -> Result<(), CopyError> {
        self.pass(&[], true, None, &mut seen(see))
    }

    /// How many rows there were, the header not counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many bytes wait for the rest of their row.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn pass(&mut self, data: &[u8], last: bool, out: Out<'_>, change: &mut OnValue<'_>) -> Result<(), CopyError> {
        let result = if self.held.is_empty() {
            self.parts(data, last, out, change).map(|used| data.get(used..).unwrap_or_default().to_vec())
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(data);
            self.parts(&held, last, out, change).map(|used| {
                held.drain(..used);
                held
            })
        };
        match result {
            Ok(held) => self.held = held,
            Err(error) => {
                self.stage = Stage::GivenUp;
                return Err(error);
            }
        }
        if last {
            self.stage = Stage::Ended;
        }
        Ok(())
    }

    /// Passes all parts that are there; how many bytes that were.
    fn parts(
        &mut self,
        bytes: &[u8],
        last: bool,
        mut out: Out<'_>,
        change: &mut OnValue<'_>,
    ) -> Result<usize, CopyError> {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            match self.stage {
                Stage::Header | Stage::Rows => {}
                Stage::Ended if rest.is_empty() => return Ok(used),
                Stage::Ended => return Err(CopyError::AfterEnd),
                Stage::GivenUp => return Err(CopyError::GivenUp),
            }
            let Some(cut) = self.cutter.next(rest, last, self.most)? else { return Ok(used) };
            let part = rest.get(..cut.len).unwrap_or_default();
            match cut.part {
                Part::Row => self.row(part, cut, out.as_deref_mut(), change)?,
                Part::Preamble | Part::End => put(&mut out, part),
            }
            if cut.part == Part::End {
                self.stage = Stage::Ended;
            }
            used += cut.len;
        }
    }

    fn row(&mut self, row: &[u8], cut: Cut, mut out: Out<'_>, change: &mut OnValue<'_>) -> Result<(), CopyError> {
        let body = row.get(..cut.body).unwrap_or_default();
        let start = out.as_ref().map_or(0, |out| out.len());
        // Letters whose second byte is a delimiter or backslash are in none that is UTF-8.
        if self.options.utf8 && self.options.format != Format::Binary && str::from_utf8(body).is_err() {
            return Err(CopyError::Encoding);
        }
        let header = self.stage == Stage::Header;
        self.stage = Stage::Rows;
        let passed = if header && out.is_none() {
            // The server throws it away unread.
            Ok(0)
        } else if header {
            self.fields(body, &mut out, &mut |_, _| Change::Keep)
        } else {
            self.count += 1;
            self.fields(body, &mut out, change)
        };
        if let (Err(_), Some(out)) = (passed, &mut out) {
            out.truncate(start);
        }
        put(&mut out, row.get(passed?..).unwrap_or_default());
        // A last line that does not end and has become nothing would be no row.
        if out.as_ref().is_some_and(|out| out.len() == start) {
            put(&mut out, self.cutter.line_end());
        }
        Ok(())
    }

    /// Shows all fields, and appends the row as far as something in it changes; how far that is.
    fn fields(&mut self, body: &[u8], out: &mut Out<'_>, change: &mut OnValue<'_>) -> Result<usize, CopyError> {
        let is_binary = self.options.format == Format::Binary;
        // Behind the count of fields, which has been compared.
        let first = if is_binary { 2 } else { 0 };
        let (mut column, mut passed, mut next) = (0, 0, Some(first));
        if self.columns == 0 && body.len() == first {
            next = None;
        }
        while let Some(at) = next {
            if column == self.columns {
                return Err(CopyError::Fields(self.columns));
            }
            let field = match self.options.format {
                Format::Text => text::field(&self.options, body, at, &mut self.scratch),
                Format::Csv => csv::field(&self.options, body, at, &mut self.scratch)?,
                Format::Binary => binary::field(body, at)?,
            };
            if !is_binary && field.value.is_some_and(|value| memchr(0, value).is_some()) {
                return Err(CopyError::Zero);
            }
            let new = match change(column, field.value) {
                Change::Keep => None,
                Change::Null => Some(None),
                Change::Value(value) => Some(Some(value)),
            };
            if let (Some(value), Some(out)) = (new, out.as_deref_mut()) {
                out.extend_from_slice(body.get(passed..at).unwrap_or_default());
                self.options.put(value.as_deref(), out)?;
                passed = field.end;
            }
            next = field.next;
            column += 1;
        }
        if column == self.columns { Ok(passed) } else { Err(CopyError::Fields(self.columns)) }
    }
}

impl Options {
    /// Appends a field, so that `COPY FROM` with these options reads exactly this value. Where null is written as nothing
    /// in text format, the empty text reads as null: the server itself writes both alike.
    ///
    /// # Errors
    /// The format cannot hold the value: it has a zero byte in it, or 2 GiB.
    pub fn put(&self, value: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), CopyError> {
        if self.format == Format::Binary {
            return binary::put(value, out);
        }
        let Some(value) = value else {
            out.extend_from_slice(&self.null);
            return Ok(());
        };
        if memchr(0, value).is_some() {
            return Err(CopyError::Value);
        }
        match self.format {
            Format::Csv => csv::put(self, value, out),
            Format::Text | Format::Binary => text::put(self, value, out),
        }
        Ok(())
    }
}

fn put(out: &mut Out<'_>, bytes: &[u8]) {
    if let Some(out) = out {
        out.extend_from_slice(bytes);
    }
}

fn seen<'a>(see: &'a mut dyn FnMut(usize, Option<&[u8]>)) -> impl FnMut(usize, Option<&[u8]>) -> Change + 'a {
    |column, value| {
        see(column, value);
        Change::Keep
    }
}
