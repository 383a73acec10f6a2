//! Everything wrong with a configuration file, each with its place, what is wrong, and what to write instead.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// So many problems are shown; the rest are counted. One slip can break every line of a generated file.
const MOST_SHOWN: usize = 50;
/// Widest piece of a source line that is shown.
const EXCERPT_WIDTH: usize = 100;

/// Why there is no configuration: never empty.
#[derive(Debug)]
pub struct ConfigErrors {
    path: PathBuf,
    unread: Option<io::Error>,
    problems: Vec<Problem>,
    more: usize,
}

/// One thing wrong, at one place of the file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1; one past the end for "something is missing here".
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The line, safe to print, cut to a readable width.
    pub excerpt: String,
    /// Where in the excerpt the marks go: first character and how many.
    #[serde(skip)]
    marked: (usize, usize),
}

impl Problem {
    /// Something wrong with the bytes `span` of `text`.
    pub fn at(text: &str, span: Range<usize>, message: impl Into<String>, help: Option<String>) -> Self {
        Found { span, message: message.into(), help }.locate(text)
    }
}

impl ConfigErrors {
    /// The file could not be read at all.
    pub(super) fn unreadable(path: &Path, error: io::Error) -> Self {
        Self { path: path.to_owned(), unread: Some(error), problems: Vec::new(), more: 0 }
    }

    /// The file is no text.
    pub(super) fn not_utf8(path: &Path, bytes: &[u8], error: std::str::Utf8Error) -> Self {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let mut text = String::from_utf8_lossy(good).into_owned();
        text.push('\u{FFFD}');
        let mut problems = Problems::default();
        let at = good.len();
        problems.add(at..at + 1, "this byte is not UTF-8 text", Some("save the file as UTF-8".to_owned()));
        problems.locate(path, &text)
    }

    /// The file that is meant.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why the file could not be read, when that is the reason.
    pub fn unreadable_because(&self) -> Option<&io::Error> {
        self.unread.as_ref()
    }

    /// How many more things are wrong than are told one by one.
    pub(crate) fn more(&self) -> usize {
        self.more
    }

    /// What is wrong inside the file, in the file's order.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::error::Error for ConfigErrors {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.unread.as_ref().map(|error| error as _)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        if let Some(error) = &self.unread {
            return write!(f, "cannot read {path}: {error}");
        }
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{path}:{problem}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n{path}: and {more} more"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let (first, count) = self.marked;
        writeln!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        writeln!(f, " {gutter} |")?;
        writeln!(f, " {number} | {}", self.excerpt)?;
        write!(f, " {gutter} | {}{}", " ".repeat(first), "^".repeat(count))?;
        match &self.help {
            Some(help) => write!(f, "\n {gutter} = {help}"),
            None => Ok(()),
        }
    }
}

/// What has been found wrong so far, by byte range.
#[derive(Default)]
pub(crate) struct Problems(Vec<Found>);

struct Found {
    span: Range<usize>,
    message: String,
    help: Option<String>,
}

impl Problems {
    /// Notes one more.
    pub(crate) fn add(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.0.push(Found { span, message: message.into(), help });
    }

    /// Whether all is well so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sorts by place, and turns byte ranges into lines and columns of `text`.
    pub(crate) fn locate(mut self, path: &Path, text: &str) -> ConfigErrors {
        self.0.sort_by_key(|found| (found.span.start, found.span.end));
        let more = self.0.len().saturating_sub(MOST_SHOWN);
        let problems = self.0.into_iter().take(MOST_SHOWN).map(|found| found.locate(text)).collect();
        ConfigErrors { path: path.to_owned(), unread: None, problems, more }
    }
}

impl Found {
    fn locate(self, text: &str) -> Problem {
        let start = text.floor_char_boundary(self.span.start);
        let (before, after) = text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_rest = after.split('\n').next().unwrap_or_default();
        let line_head = before.get(line_start..).unwrap_or_default();
        let rest = line_rest.strip_suffix('\r').unwrap_or(line_rest);
        let column = line_head.chars().count();
        let end = text.floor_char_boundary(self.span.end.clamp(start, start + rest.len()));
        let width = text.get(start..end).unwrap_or_default().chars().count();
        let (excerpt, marked) = excerpt(line_head, rest, width);
        Problem {
            line: before.matches('\n').count() + 1,
            column: column + 1,
            message: printable(&self.message),
            help: self.help.as_deref().map(printable),
            excerpt,
            marked,
        }
    }
}

/// A readable piece of a line around the place where `head` ends and `rest` begins.
fn excerpt(head: &str, rest: &str, width: usize) -> (String, (usize, usize)) {
    let skipped = head.chars().count().saturating_sub(EXCERPT_WIDTH / 2);
    let mut shown: String = if skipped > 0 { "…".to_owned() } else { String::new() };
    shown.extend(head.chars().skip(skipped).map(tame));
    let first = shown.chars().count();
    let room = EXCERPT_WIDTH.saturating_sub(first);
    let cut = rest.chars().nth(room).is_some();
    shown.extend(rest.chars().take(room).map(tame));
    if cut {
        shown.push('…');
    }
    (shown, (first, width.clamp(1, room.max(1))))
}

/// A terminal is not to obey what stands in a file.
fn tame(c: char) -> char {
    match c {
        '\t' => ' ',
        c if steers(c) => '\u{FFFD}',
        c => c,
    }
}

/// Whether `c` makes a terminal do something: control characters, and marks that reorder what follows (UAX 9).
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn printable(text: &str) -> String {
    text.chars().map(tame).collect()
}

/// Quotes a piece of the file inside a message: safe to print, and short.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
