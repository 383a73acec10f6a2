//! A source file as tidy reads it: its code without comments and literals, and the paths that code names.

use std::iter::Peekable;
use std::str::Chars;

/// One file of the repository.
pub(super) struct Source {
    /// Where it is, from the root.
    pub(super) path: String,
    /// As it stands on disk.
    pub(super) text: String,
    /// For Rust, `text` with every comment and literal blanked; line numbers stay true.
    pub(super) code: String,
}

impl Source {
    pub(super) fn new(path: &str, text: String) -> Self {
        let code = if path.ends_with(".rs") { blank(&text) } else { String::new() };
        Self { path: path.to_owned(), text, code }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The code before the unit tests, which by custom end a file.
    pub(super) fn without_tests(&self) -> &str {
        self.code.split_once("#[cfg(test)]\nmod ").map_or(self.code.as_str(), |(code, _)| code)
    }
}

/// Every `a::b::c` in `code` as its line and segments; the trees of `use` are spelled out.
pub(super) fn paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut tree = Tree::default();
    for (number, line) in (1..).zip(code.lines()) {
        let mut rest = line;
        while let Some(start) = rest.find(|c: char| is_word(c) || "{},;".contains(c)) {
            let (_, from) = rest.split_at(start);
            let first = from.chars().next().unwrap_or(' ');
            let length = if is_word(first) { from.find(|c| !is_word(c) && c != ':').unwrap_or(from.len()) } else { 1 };
            let (token, after) = from.split_at(length);
            if let Some(path) = tree.read(token) {
                found.push((number, path));
            }
            rest = after;
        }
    }
    found
}

/// Where we are in a `use` declaration, if in one.
#[derive(Default)]
struct Tree {
    inside: bool,
    prefixes: Vec<Vec<String>>,
    latest: Vec<String>,
}

impl Tree {
    /// Takes the next path or one of `{},;`; a path comes back as it reads from the root of its tree.
    fn read(&mut self, token: &str) -> Option<Vec<String>> {
        match token {
            "use" => self.inside = true,
            ";" => *self = Self::default(),
            "{" if self.inside => self.prefixes.push(self.latest.clone()),
            "}" if self.inside => drop(self.prefixes.pop()),
            "{" | "}" | "," => {}
            _ => {
                let below = if self.inside { self.prefixes.last().cloned().unwrap_or_default() } else { Vec::new() };
                let segments = token.split("::").filter(|s| !s.is_empty()).map(str::to_owned);
                self.latest = below.into_iter().chain(segments).collect();
                return Some(self.latest.clone());
            }
        }
        None
    }
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Replaces comments, strings and characters by spaces, keeping the line breaks.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        let literal = match c {
            '/' if rest.peek() == Some(&'/') => until(&mut rest, |c, next| c != '\n' && next == Some('\n')),
            '/' if rest.peek() == Some(&'*') => block_comment(&mut rest),
            '"' => string(&mut rest),
            'r' if !is_word(before) && raw_hashes(&rest).is_some() => raw_string(&mut rest),
            '\'' if is_character(&rest) => character(&mut rest),
            _ => {
                code.push(c);
                before = c;
                continue;
            }
        };
        code.push(' ');
        code.extend(literal.chars().filter(|c| *c == '\n'));
        before = ' ';
    }
    code
}

type Rest<'a> = Peekable<Chars<'a>>;

/// Takes characters up to and with the one for which `last` holds, given the one after it.
fn until(rest: &mut Rest<'_>, mut last: impl FnMut(char, Option<char>) -> bool) -> String {
    let mut taken = String::new();
    while let Some(c) = rest.next() {
        taken.push(c);
        if last(c, rest.peek().copied()) {
            break;
        }
    }
    taken
}

fn block_comment(rest: &mut Rest<'_>) -> String {
    // The opening star cannot be half of a closing one.
    rest.next();
    let (mut depth, mut previous) = (1, ' ');
    until(rest, |c, _| {
        let pair = (std::mem::replace(&mut previous, c), c);
        if pair == ('/', '*') || pair == ('*', '/') {
            depth += if c == '*' { 1 } else { -1 };
            previous = ' ';
        }
        depth == 0
    })
}

fn string(rest: &mut Rest<'_>) -> String {
    let mut escaped = false;
    until(rest, |c, _| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}

/// How many `#` stand before the quote of a raw string that goes on here; none if it is no raw string.
fn raw_hashes(rest: &Rest<'_>) -> Option<usize> {
    let mut ahead = rest.clone();
    let mut hashes = 0;
    while ahead.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    (ahead.next() == Some('"')).then_some(hashes)
}

fn raw_string(rest: &mut Rest<'_>) -> String {
    let hashes = raw_hashes(rest).unwrap_or_default();
    rest.by_ref().take(hashes + 1).for_each(drop);
    let mut run = None;
    until(rest, |c, _| {
        run = match (c, run) {
            ('"', _) => Some(0),
            ('#', Some(seen)) => Some(seen + 1),
            _ => None,
        };
        run == Some(hashes)
    })
}

/// Whether a quote opens a character rather than a lifetime.
fn is_character(rest: &Rest<'_>) -> bool {
    let mut ahead = rest.clone();
    ahead.next() == Some('\\') || ahead.next() == Some('\'')
}

fn character(rest: &mut Rest<'_>) -> String {
    let mut escaped = false;
    until(rest, |c, _| {
        let ends = c == '\'' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_what_is_not_code() {
        for (text, code) in [
            ("a // b\nc", "a  \nc"),
            ("a /* b /* c */\n d */ e", "a  \n e"),
            ("/**/ a", "  a"),
            ("/***/ a", "  a"),
            (r#"f("a\"b\\", c)"#, "f( , c)"),
            ("r#\"a \"b\"# c", "  c"),
            ("br\"a\" c", "br  c"),
            ("var\"a\" c", "var  c"),
            ("&'a str", "&'a str"),
            ("['a', '\\'', '\"'] b", "[ ,  ,  ] b"),
            ("//", " "),
        ] {
            assert_eq!(blank(text), code, "{text}");
        }
    }

    #[test]
    fn spells_out_use_trees() {
        let code = "use std::{fs, net::{self, TcpStream as S}, io};\nlet a = Instant::now();\nx::<b::C>()";
        let found: Vec<_> = paths(code).into_iter().map(|(line, path)| (line, path.join("::"))).collect();
        for wanted in [(1, "std::fs"), (1, "std::net::TcpStream"), (1, "std::io"), (2, "Instant::now"), (3, "b::C")] {
            assert!(found.contains(&(wanted.0, wanted.1.to_owned())), "{wanted:?} in {found:?}");
        }
    }
}
