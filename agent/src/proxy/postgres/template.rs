//! Texts that differ in their constants only: what is understood of one holds for all.
//!
//! Applications that write values into their SQL send a new text every time. A text is cut at its constants by the server's
//! own lexical rules ("SQL Syntax", 4.1), and only where these are beyond doubt; any other text stands for itself.

use std::ops::Range;

/// The longest text that is cut, bytes.
const LONGEST: usize = 8 << 10;
/// Most constants.
const MOST: usize = 256;
/// Words that make a number a place: `ORDER BY 1`, `DISTINCT ON (1)`; and a string part of the statement.
const TELLING: [&[u8]; 6] = [b"by", b"on", b"as", b"interval", b"set", b"with"];
/// What may begin such a text.
const FIRST: [&[u8]; 4] = [b"select", b"insert", b"update", b"delete"];

/// A text without its constants, and where they are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// With a zero byte, which no text has, and a letter for each constant.
    pub(super) pattern: Box<[u8]>,
    /// In order.
    pub(super) constants: Vec<Range<usize>>,
}

/// Cuts a text; `None` if it stands for itself. Strings are read as `standard_conforming_strings` has them.
pub(super) fn cut(text: &[u8]) -> Option<Cut> {
    if text.len() > LONGEST || !text.is_ascii() {
        return None;
    }
    let mut pattern = Vec::with_capacity(text.len());
    let mut constants = Vec::new();
    let (mut at, mut first) = (0, true);
    while let Some(&byte) = text.get(at) {
        let rest = text.get(at..).unwrap_or_default();
        let next = rest.get(1).copied().unwrap_or(b' ');
        let end = at
            + match byte {
                b'\'' => string(rest)?,
                b'0'..=b'9' => number(rest)?,
                b'"' => 1 + rest.iter().skip(1).position(|byte| *byte == b'"')? + 1,
                b'$' => 1 + rest.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count(),
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => rest.iter().take_while(|byte| is_word(**byte)).count(),
                0 | 0x80.. | b'\\' => return None,
                b'-' if next == b'-' => return None,
                b'/' if next == b'*' => return None,
                // `U&'…'` and `U&"…"`, whose escapes are their own.
                b'&' if matches!(next, b'\'' | b'"') => return None,
                _ => 1,
            };
        let part = text.get(at..end)?;
        match byte {
            b'\'' | b'0'..=b'9' => {
                if constants.len() == MOST {
                    return None;
                }
                constants.push(at..end);
                // Whether it is a string decides which function is meant, and which cast.
                pattern.extend([0, if byte == b'\'' { b's' } else { b'n' }]);
            }
            // `$tag$` quotes.
            b'$' if part.len() == 1 => return None,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let is = |words: &[&[u8]]| words.iter().any(|word| part.eq_ignore_ascii_case(word));
                // `E'…'` and the like; `SET` of an UPDATE is told apart by where it stands.
                let update = part.eq_ignore_ascii_case(b"set") && pattern.to_ascii_lowercase().starts_with(b"update");
                if text.get(end) == Some(&b'\'') || is(&TELLING) && !update || first && !is(&FIRST) {
                    return None;
                }
                first = false;
                pattern.extend_from_slice(part);
            }
            _ => pattern.extend_from_slice(part),
        }
        at = end;
    }
    (!constants.is_empty()).then(|| Cut { pattern: pattern.into(), constants })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

/// Length of a plain string, quotes included.
fn string(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text.get(at..)?.iter().position(|byte| *byte == b'\'')? + 1;
        if text.get(at) != Some(&b'\'') {
            return Some(at);
        }
        at += 1;
    }
}

/// Length of a plain number: digits, and perhaps a point and digits.
fn number(text: &[u8]) -> Option<usize> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = digits(text);
    if text.get(length) == Some(&b'.') {
        let fraction = digits(text.get(length + 1..)?);
        if fraction == 0 {
            return None;
        }
        length += 1 + fraction;
    }
    let after = text.get(length).copied().unwrap_or(b' ');
    (!is_word(after) && after != b'.' && after != b'\'').then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Option<String> {
        cut(text.as_bytes())
            .map(|cut| String::from_utf8(cut.pattern.to_vec()).unwrap().replace("\0s", "?").replace("\0n", "#"))
    }

    #[test]
    fn constants_are_cut_out() {
        for (text, expected) in [
            (
                "SELECT abalance FROM pgbench_accounts WHERE aid = 7;",
                "SELECT abalance FROM pgbench_accounts WHERE aid = #;",
            ),
            ("update t set a = a + -12.5 where b = 'it''s'", "update t set a = a + -# where b = ?"),
            ("insert into \"T 1\" values (1, 'a', $1)", "insert into \"T 1\" values (#, ?, $1)"),
            ("select t1.a2 from t1 where x=0", "select t1.a2 from t1 where x=#"),
        ] {
            assert_eq!(pattern(text).as_deref(), Some(expected), "{text}");
        }
        let cut = cut(b"select 'a', 12").unwrap();
        assert_eq!(cut.constants, [7..10, 12..14]);
    }

    #[test]
    fn what_is_not_beyond_doubt_stands_for_itself() {
        for text in [
            "select a from t",
            "select a from t order by 1",
            "select distinct on (1) a from t",
            "select E'a\\'b'",
            "select 'a' -- 'b",
            "select 'a' /* ' */",
            "select $$a$$, 1",
            "select 1e5",
            "select 0x1F",
            "select 1.",
            "select 'a",
            "select \"a, 1",
            "select 'ä'",
            "select U&'a' , 1",
            "set search_path = 'a'",
            "copy t to stdout with (delimiter ',')",
            "select interval '1 day'",
            "with a as (select 1) select 2",
            "select 1 as \"x\"",
        ] {
            assert_eq!(pattern(text), None, "{text}");
        }
    }
}
