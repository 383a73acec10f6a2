//! How the rows of a COPY are written: what stands in its parentheses.
//!
//! SQL reference: "COPY"; `ProcessCopyOptions` in `src/backend/commands/copy.c`.

use super::super::wire;
use super::cut::{Cut, Cutter, Part};
use super::{CopyError, CopyResponse};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Lines of fields between delimiters, with backslashes.
    Text,
    /// Lines of fields between delimiters, with quotes.
    Csv,
    /// The fields' lengths and bytes.
    Binary,
}

/// An option's argument, as the grammar has it (`copy_generic_opt_arg`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument<'a> {
    /// There is none.
    Absent,
    /// A word, a string or a number.
    Text(&'a str),
    /// `*`
    Star,
    /// Names in parentheses.
    List,
}

/// Why nobody can say how the rows will be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// An option of a later version, or of no version.
    #[error("an option of COPY is unknown")]
    Unknown,
    /// An option that is there twice.
    #[error("option {0} is there twice")]
    Twice(&'static str),
    /// An argument that the option does not take.
    #[error("the argument of option {0} is not one")]
    Argument(&'static str),
    /// Options that do not go together.
    #[error("option {0} does not go with the others")]
    Conflict(&'static str),
    /// An encoding in which a delimiter or backslash can be the second byte of a letter, or an unknown one, or one that is
    /// not UTF-8 and not the statement's own.
    #[error("rows in this encoding cannot be told apart")]
    Encoding,
}

/// All options there are up to PostgreSQL 18. Those of `COPY FROM` that only say what is done with a field say nothing about
/// where it ends.
const NAMES: [&str; 15] = [
    "format",
    "delimiter",
    "null",
    "header",
    "quote",
    "escape",
    "encoding",
    "force_quote",
    "force_not_null",
    "force_null",
    "freeze",
    "default",
    "on_error",
    "log_verbosity",
    "reject_limit",
];

/// What a field in text cannot be delimited by: it would be taken for an escape.
const NO_DELIMITERS: &[u8] = b"\\.abcdefghijklmnopqrstuvwxyz0123456789";

/// How the rows of one COPY are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub(super) format: Format,
    pub(super) delimiter: u8,
    pub(super) null: Vec<u8>,
    pub(super) header: bool,
    pub(super) quote: u8,
    pub(super) escape: u8,
    /// Whether some columns are quoted always; which ones is not known by place.
    pub(super) force_quote: bool,
    /// Whether lines have to be UTF-8.
    pub(super) utf8: bool,
}

/// The options that count, as they were given.
#[derive(Default)]
struct Given<'a> {
    format: Option<Format>,
    delimiter: Option<u8>,
    null: Option<&'a str>,
    header: bool,
    quote: Option<u8>,
    escape: Option<u8>,
    encoding: Option<&'a str>,
    force_quote: bool,
}

impl Options {
    /// What holds if nothing but the format is said.
    #[must_use]
    pub fn new(format: Format) -> Self {
        let (delimiter, null) = match format {
            Format::Text | Format::Binary => (b'\t', &b"\\N"[..]),
            Format::Csv => (b',', &b""[..]),
        };
        let (quote, escape) = (b'"', b'"');
        Self { format, delimiter, null: null.to_vec(), header: false, quote, escape, force_quote: false, utf8: true }
    }

    /// Reads the list of options. `BINARY`, `CSV`, `DELIMITERS` and the other old spellings are pairs like these once the
    /// statement is parsed. `client_encoding` is the session's, which holds if the list names none.
    ///
    /// The server tells of a new `client_encoding` only when all that was sent to it is done, so a statement just before
    /// this one may have changed it. Lines in UTF-8 show that they are; of others only the COPY's own `ENCODING` is believed.
    ///
    /// # Errors
    /// What the server would refuse, and what nobody here knows the meaning of: such a COPY cannot be looked into.
    pub fn from_pairs<'a>(
        client_encoding: &str,
        pairs: impl IntoIterator<Item = (&'a str, Argument<'a>)>,
    ) -> Result<Self, OptionError> {
        let (mut given, mut seen) = (Given::default(), Vec::new());
        for (name, argument) in pairs {
            let name = NAMES.into_iter().find(|known| *known == name).ok_or(OptionError::Unknown)?;
            if seen.contains(&name) {
                return Err(OptionError::Twice(name));
            }
            seen.push(name);
            given.take(name, argument)?;
        }
        given.checked(client_encoding)
    }

    /// How rows are written.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether the first line names the columns.
    #[must_use]
    pub fn header(&self) -> bool {
        self.header
    }

    /// Whether what is written for null can also be a value: the server writes both alike. Who chooses `NULL 'ada'` in
    /// text format makes every ada look like a null, and asks for more than a null string.
    #[must_use]
    pub fn null_hides_a_value(&self) -> bool {
        let mut written = Vec::new();
        match self.format {
            Format::Text => super::text::unescaped(self, &self.null).is_some_and(|value| {
                super::text::escape(self, &value, &mut written);
                written == self.null && !written.is_empty()
            }),
            Format::Csv | Format::Binary => false,
        }
    }

    /// Whether what is written for null ends where it ends: a backslash would take what follows along, and columns would be
    /// taken for others. The server itself would write such a null string, and could not read it.
    fn null_is_a_field(&self) -> bool {
        let [delimited, line] = [self.delimiter, b'\n'].map(|end| [&*self.null, &[end]].concat());
        let field = match self.format {
            Format::Text => super::text::field(self, &delimited, 0, &mut Vec::new()).end == self.null.len(),
            Format::Csv | Format::Binary => true,
        };
        let cut = Cutter::new(self, 1).next(&line, false, usize::MAX);
        let row = matches!(cut, Ok(Some(Cut { part: Part::Row, body, .. })) if body == self.null.len());
        self.format == Format::Binary || field && row
    }

    /// Whether the server's CopyOutResponse or CopyInResponse says what these options say.
    ///
    /// # Errors
    /// It does not: whoever reads rows by these options would read something else than the other side.
    pub fn agree(&self, response: &CopyResponse<'_>) -> Result<(), CopyError> {
        let binary = response.format == wire::Format::Binary;
        if binary == (self.format == Format::Binary) { Ok(()) } else { Err(CopyError::Disagreement) }
    }
}

impl<'a> Given<'a> {
    fn take(&mut self, name: &'static str, argument: Argument<'a>) -> Result<(), OptionError> {
        let bad = OptionError::Argument(name);
        let text = match argument {
            Argument::Text(text) => Ok(text),
            Argument::Absent | Argument::Star | Argument::List => Err(bad),
        };
        match name {
            "format" => {
                self.format = Some(match text? {
                    "text" => Format::Text,
                    "csv" => Format::Csv,
                    "binary" => Format::Binary,
                    _ => return Err(bad),
                });
            }
            "delimiter" => self.delimiter = Some(one(text?).ok_or(bad)?),
            "quote" => self.quote = Some(one(text?).ok_or(bad)?),
            "escape" => self.escape = Some(one(text?).ok_or(bad)?),
            "null" => self.null = Some(text?).filter(|null| !null.contains(['\r', '\n', '\0'])).ok_or(bad).map(Some)?,
            "header" => self.header = argument == Argument::Absent || truth(text?).ok_or(bad)?,
            "encoding" => self.encoding = Some(text?),
            "force_quote" => match argument {
                Argument::Star | Argument::List => self.force_quote = true,
                Argument::Absent | Argument::Text(_) => return Err(bad),
            },
            _ => {}
        }
        Ok(())
    }

    fn checked(self, client_encoding: &str) -> Result<Options, OptionError> {
        let encoding = plain(self.encoding.unwrap_or(client_encoding));
        let utf8 = matches!(&*encoding, "utf8" | "unicode");
        let told_apart = utf8 || self.encoding.is_some() && keeps_ascii(&encoding);
        if !told_apart && self.format != Some(Format::Binary) {
            return Err(OptionError::Encoding);
        }
        let mut options = Options::new(self.format.unwrap_or(Format::Text));
        options.utf8 = utf8;
        let (csv, conflict) = (options.format == Format::Csv, OptionError::Conflict);
        if options.format == Format::Binary {
            for (is_there, name) in
                [(self.delimiter.is_some(), "delimiter"), (self.null.is_some(), "null"), (self.header, "header")]
            {
                if is_there {
                    return Err(conflict(name));
                }
            }
        }
        for (is_there, name) in
            [(self.quote.is_some(), "quote"), (self.escape.is_some(), "escape"), (self.force_quote, "force_quote")]
        {
            if is_there && !csv {
                return Err(conflict(name));
            }
        }
        (options.header, options.force_quote) = (self.header, self.force_quote);
        options.delimiter = self.delimiter.unwrap_or(options.delimiter);
        options.quote = self.quote.unwrap_or(options.quote);
        options.escape = self.escape.unwrap_or(options.quote);
        options.null = self.null.map_or(options.null, |null| null.as_bytes().to_vec());
        // With these two a row of CSV could be `\.`, which is the end to some versions.
        let marks = |byte| matches!(byte, b'\\' | b'.');
        if csv && marks(options.quote) {
            return Err(conflict("quote"));
        }
        let delimits = match csv {
            true => options.delimiter != options.quote && !marks(options.delimiter),
            false => !NO_DELIMITERS.contains(&options.delimiter),
        };
        if !delimits {
            return Err(conflict("delimiter"));
        }
        // A null string that is not ASCII is written in the stream's encoding, and known here only in the statement's.
        let foreign = !options.null.is_ascii() && !utf8;
        if options.null.contains(&options.delimiter)
            || csv && options.null.contains(&options.quote)
            || foreign
            || !options.null_is_a_field()
        {
            return Err(conflict("null"));
        }
        Ok(options)
    }
}

/// One byte that is neither part of a longer letter nor the end of a line.
fn one(text: &str) -> Option<u8> {
    let [byte] = text.as_bytes() else { return None };
    (byte.is_ascii() && !matches!(byte, 0 | b'\r' | b'\n')).then_some(*byte)
}

/// Whether there is a header line (`defGetCopyHeaderChoice`).
fn truth(text: &str) -> Option<bool> {
    match &*text.to_ascii_lowercase() {
        "true" | "on" | "1" | "match" => Some(true),
        "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// An encoding's name as the server compares it.
fn plain(encoding: &str) -> String {
    encoding.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether no letter has an ASCII byte in it: what can be a server's encoding (`pg_encname_tbl`).
fn keeps_ascii(plain: &str) -> bool {
    ["iso8859", "latin", "koi8", "euc", "win125", "windows125"].iter().any(|family| plain.starts_with(family))
        || matches!(
            plain,
            "utf8"
                | "unicode"
                | "sqlascii"
                | "muleinternal"
                | "abc"
                | "alt"
                | "vscii"
                | "tcvn"
                | "tcvn5712"
                | "win"
                | "win866"
                | "win874"
                | "windows866"
                | "windows874"
        )
}
