//! From text to a tree, by the server's own grammar, within limits.
//!
//! How deep a tree can get is estimated from its tokens before it is parsed; it is decoded and dropped on a stack that fits
//! the deepest. The parser looks after its own stack.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use pg_query::protobuf::{self, RawStmt, ScanToken, Token};

use super::walk::Body;
use super::{depth, signs};

/// Longest text that is parsed, in bytes.
pub const MOST_BYTES: usize = 1 << 20;

/// Most words and signs of a text: each takes about a kilobyte while the tree is there.
pub const MOST_TOKENS: usize = 100_000;

/// Longest text whose quotes the scanner cannot find: its tokens are not counted, but there are no more than bytes.
const MOST_UNSCANNED: usize = 2048;

/// White space to the server, though not to Rust.
const VERTICAL_TAB: u8 = 0x0b;

/// Stack for decoding and dropping: at most three levels for a token of [`depth::MOST`], 20 kB each without optimization.
const STACK: usize = 128 << 20;

/// The parser points the process's standard error at a pipe while it works, so only one may work at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Why a text cannot be understood. Texts of errors hold nothing of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is more than is looked at.
    #[error("{what} of a statement are more than {most}")]
    TooLong {
        /// Bytes or tokens.
        what: &'static str,
        /// How many are read.
        most: usize,
    },
    /// Its signs stand so close together that to tell them apart would take long.
    #[error("operators and comments of a statement stand too close together")]
    Entangled,
    /// It nests deeper than is followed.
    #[error("a statement nests too deeply")]
    TooDeep,
    /// The grammar has no such statement.
    #[error("it is no SQL this parser knows")]
    Syntax,
    /// A byte that ends strings in the protocol.
    #[error("a statement holds a zero byte")]
    Zero,
    /// The parser could not work.
    #[error("the parser failed")]
    Parser,
}

/// How the server reads `'a\b'`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Quoting {
    /// `standard_conforming_strings = on`: a backslash is one.
    #[default]
    Standard,
    /// `off`: a backslash escapes, as in `E'…'`.
    Backslash,
}

/// A text's statements, as syntax: the same for every session that quotes alike.
pub struct Script {
    pub(super) tree: protobuf::ParseResult,
    /// Where constants are, in order.
    pub(super) constants: Vec<Range<usize>>,
    /// The words AS and FOR, and where what follows them begins.
    openings: Vec<(Token, usize)>,
    /// Whether they were looked for.
    pub(super) scanned: bool,
    pub(super) length: usize,
}

/// Parses a message's text.
///
/// # Errors
///
/// [`Unreadable`] if it is too long, too deep, or not SQL. Whoever asks must not pass it on then.
pub fn parse(sql: &str) -> Result<Script, Unreadable> {
    parse_quoted(sql, Quoting::Standard)
}

/// Parses a message's text, read as a session's `standard_conforming_strings` says.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_quoted(sql: &str, quoting: Quoting) -> Result<Script, Unreadable> {
    // Without a backslash, both are the same.
    let scanned = quoting == Quoting::Standard || !sql.contains('\\');
    let most = if scanned { MOST_BYTES } else { MOST_UNSCANNED };
    if sql.len() > most {
        return Err(Unreadable::TooLong { what: "bytes", most });
    }
    if signs::work(sql) > signs::MOST {
        return Err(Unreadable::Entangled);
    }
    let options = match quoting {
        Quoting::Standard => pg_query::ParserOptions::DEFAULT,
        Quoting::Backslash => pg_query::ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS,
    };
    let one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (constants, openings) = if scanned { scan(sql)? } else { (Vec::new(), Vec::new()) };
    let parsed = stacker::grow(STACK, || pg_query::parse(sql, options).map(|parsed| parsed.protobuf));
    drop(one);
    let tree = parsed.map_err(|error| refusal(&error))?;
    Ok(Script { tree, constants, openings, scanned, length: sql.len() })
}

impl Script {
    /// How many statements there are; empty ones do not count.
    #[must_use]
    pub fn statements(&self) -> usize {
        self.tree.stmts.len()
    }

    /// A statement's bytes in the message.
    pub(super) fn range(&self, statement: &RawStmt) -> Range<usize> {
        let start = usize::try_from(statement.stmt_location).unwrap_or(0).min(self.length);
        match usize::try_from(statement.stmt_len) {
            Ok(len) if len > 0 => start..start.saturating_add(len).min(self.length),
            Ok(_) | Err(_) => start..self.length,
        }
    }
}

impl Script {
    /// Where in a statement the one inside it begins.
    pub(super) fn body(&self, text: &Range<usize>) -> Body {
        if !self.scanned {
            return Body::Unknown;
        }
        let first = self.openings.partition_point(|(_, next)| *next < text.start);
        let after = |word: Token| {
            let mut openings = self.openings.iter().skip(first).take_while(|(_, next)| *next < text.end);
            openings.find(|(found, _)| *found == word).map_or(text.end..text.end, |(_, next)| *next..text.end)
        };
        Body::Found { after_as: after(Token::As), after_for: after(Token::For) }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let tree = std::mem::take(&mut self.tree);
        stacker::grow(STACK, move || drop(tree));
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").field("statements", &self.statements()).finish_non_exhaustive()
    }
}

/// Where constants are, and what follows the words AS and FOR.
type Scanned = (Vec<Range<usize>>, Vec<(Token, usize)>);

fn scan(sql: &str) -> Result<Scanned, Unreadable> {
    // Of no tokens at all, the scanner gives a list at no address.
    if sql.bytes().all(|byte| byte.is_ascii_whitespace() || byte == VERTICAL_TAB) {
        return Ok(Scanned::default());
    }
    let tokens = pg_query::scan_tokens(sql).map_err(|error| refusal(&error))?;
    if tokens.len() > MOST_TOKENS {
        return Err(Unreadable::TooLong { what: "tokens", most: MOST_TOKENS });
    }
    if depth::of(&tokens) > depth::MOST {
        return Err(Unreadable::TooDeep);
    }
    let mut openings = Vec::new();
    for (token, next) in tokens.iter().zip(tokens.iter().skip(1)) {
        if let Some(word) = [Token::As, Token::For].into_iter().find(|word| *word as i32 == token.token) {
            openings.push((word, range(next).start));
        }
    }
    // What stands in a comment is nobody's: whoever leaves constants out leaves it out too.
    let is_comment =
        |token: &ScanToken| [Token::SqlComment, Token::CComment].iter().any(|one| *one as i32 == token.token);
    let said = tokens.iter().filter(|token| is_constant(token) || is_comment(token));
    Ok((said.map(range).collect(), openings))
}

fn is_constant(token: &ScanToken) -> bool {
    [Token::Iconst, Token::Fconst, Token::Sconst, Token::Usconst, Token::Bconst, Token::Xconst]
        .iter()
        .any(|constant| *constant as i32 == token.token)
}

fn range(token: &ScanToken) -> Range<usize> {
    let start = usize::try_from(token.start).unwrap_or(0);
    start..usize::try_from(token.end).unwrap_or(start)
}

fn refusal(error: &pg_query::Error) -> Unreadable {
    use pg_query::Error;
    let message = match error {
        Error::Conversion(_) => return Unreadable::Zero,
        Error::Parse(message) | Error::Scan(message) => message,
        Error::Decode(_) | Error::InvalidJson(_) | Error::InvalidPointer | Error::IsUtility(_) | Error::Split(_) => {
            return Unreadable::Parser;
        }
    };
    let deep = ["stack depth limit exceeded", "nested too deeply", "memory exhausted"];
    if deep.iter().any(|words| message.contains(words)) {
        Unreadable::TooDeep
    } else if message.contains("open pipe") {
        Unreadable::Parser
    } else {
        Unreadable::Syntax
    }
}
