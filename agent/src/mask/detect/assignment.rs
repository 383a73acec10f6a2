//! Secrets that are known by what stands before them: `password=…`, `"token": "…"`, `Bearer …`, a column's name.

use base64ct::{Base64, Encoding};

use super::{Confidence, Detector, Ends, Scan};
use crate::identity::is_secret_name;

/// Words that a secret may follow, in lower case; each may be a part of a longer name.
pub(super) const WORDS: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pass",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "access-key",
    "private_key",
    "identified by",
];
/// Those of them that are the end of other words as well.
const SHORT: [&str; 2] = ["pass", "pwd"];

/// Last parts of names that count or limit secrets.
const COUNTS: [&str; 9] = ["attempts", "tries", "retries", "age", "days", "expiry", "expires", "policy", "strength"];

/// Longest name, longest space around a sign, longest secret.
const MOST_NAME: usize = 64;
const MOST_SPACE: usize = 4;
const MOST_SECRET: usize = 4096;
/// Shorter ones are flags and placeholders.
const LEAST_SECRET: usize = 4;

/// What stands where a secret would, and is none.
const PLACEHOLDERS: [&[u8]; 14] = [
    b"null",
    b"none",
    b"nil",
    b"true",
    b"false",
    b"undefined",
    b"redacted",
    b"required",
    b"optional",
    b"hidden",
    b"changed",
    b"string",
    b"invalid",
    b"missing",
];

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// The word `WORDS[index]` may stand at `at`, and a secret behind it.
pub(super) fn after_word(scan: &mut Scan<'_>, at: usize, index: usize) {
    let Some(word) = WORDS.get(index) else { return };
    let end = at + word.len();
    if at < scan.ends.secret || !scan.part(at..end).eq_ignore_ascii_case(word.as_bytes()) {
        return;
    }
    let first = scan.byte(at);
    let inside = scan.before(at).is_ascii_alphabetic() && !(first.is_ascii_uppercase() && scan.byte(at + 1) > b'Z');
    // `compass`, but `dbPass`; `tokens`, but `tokenValue`.
    if (inside && SHORT.contains(word)) || scan.byte(end).is_ascii_lowercase() {
        return;
    }
    let name_end = end + scan.run(end, MOST_NAME, is_name);
    let name_start = at - scan.run_back(at, MOST_NAME, is_name);
    let name = std::str::from_utf8(scan.part(name_start..name_end)).unwrap_or_default();
    let sql = word.contains(' ');
    let last = name.rsplit(['_', '-', '.']).next().unwrap_or_default();
    let whole = SHORT.contains(word) && name_end == end;
    if !sql
        && !whole
        && (!is_secret_name(name.trim_matches(['.', '-'])) || COUNTS.iter().any(|it| last.eq_ignore_ascii_case(it)))
    {
        return;
    }
    if let Some((value, quoted, colon)) = sign(scan, name_end) {
        secret(scan, value, quoted, colon);
    }
}

/// Where the value behind a name begins: its place, its quote, and whether a colon led to it.
fn sign(scan: &Scan<'_>, name_end: usize) -> Option<(usize, Option<u8>, bool)> {
    let space = |at: usize| at + scan.run(at, MOST_SPACE, is_space);
    let closed = name_end + scan.run(name_end, 3, |byte| is_quote(byte) || byte == b'\\');
    let at = space(closed);
    let (behind, colon) = match scan.byte(at) {
        b'=' if scan.byte(at + 1) == b'=' => return None,
        b'=' => (at + 1 + usize::from(scan.byte(at + 1) == b'>'), false),
        b':' if scan.byte(at + 1) == b'=' => (at + 2, false),
        // A path, `std::token::…` or an address rather than an assignment.
        b':' if scan.byte(at + 1) == b':' => return None,
        b':' => (at + 1, true),
        // SQL: PASSWORD 'hunter2', IDENTIFIED BY 'hunter2'.
        b'\'' if at > name_end => (at, false),
        // A flag: --password hunter2 cannot be told from prose.
        _ => return None,
    };
    let at = space(behind);
    let at = at + scan.run(at, 2, |byte| byte == b'\\');
    let quote = Some(scan.byte(at)).filter(|byte| is_quote(*byte));
    Some((at + usize::from(quote.is_some()), quote, colon))
}

/// The secret that begins at `start`.
fn secret(scan: &mut Scan<'_>, start: usize, quote: Option<u8>, colon: bool) {
    let length = match quote {
        Some(quote) => quoted(scan, start, quote),
        None => scan.run(start, MOST_SECRET, |byte| {
            !byte.is_ascii_whitespace() && !is_quote(byte) && !b"&;,)}]|<>\\".contains(&byte)
        }),
    };
    let value = scan.part(start..start + length);
    // `Token: required` is prose; a secret has digits or signs in it, or cases mixed.
    let telling = quote.is_some() || !colon || is_telling(value);
    // `Authorization: Bearer …`: the scheme is not the secret.
    let scheme = [&b"bearer"[..], b"basic"].iter().any(|scheme| value.eq_ignore_ascii_case(scheme));
    let call = quote.is_none() && is_call(value);
    if telling && !scheme && !call && is_plausible(value) {
        scan.reaches(Ends { secret: start + length, ..scan.ends });
        let confidence = if quote.is_some() { Confidence::Certain } else { Confidence::Likely };
        scan.hit(Detector::Secret, start..start + length, confidence);
    }
}

/// Length of a quoted text, to its closing quote or as far as it is there.
fn quoted(scan: &Scan<'_>, start: usize, quote: u8) -> usize {
    // In `\"…\"` the closing quote is escaped as well.
    let nested = start.checked_sub(1).is_some_and(|at| scan.before(at) == b'\\');
    let mut escaped = false;
    scan.run(start, MOST_SECRET, |byte| {
        let ends = (byte == quote && !escaped) || (nested && byte == b'\\');
        escaped = byte == b'\\' && !escaped;
        !ends
    })
}

fn is_telling(value: &[u8]) -> bool {
    let lower = value.iter().any(u8::is_ascii_lowercase);
    let upper = value.iter().skip(1).any(u8::is_ascii_uppercase);
    value.iter().any(|byte| !byte.is_ascii_alphabetic() && !b".!?-".contains(byte)) || (lower && upper)
}

/// `parse_token(input`: code rather than a secret.
fn is_call(value: &[u8]) -> bool {
    let name = value.split(|byte| *byte == b'(').next().unwrap_or_default();
    name.len() < value.len() && !name.is_empty() && name.iter().all(|byte| is_name(*byte) && !byte.is_ascii_digit())
}

fn is_plausible(value: &[u8]) -> bool {
    let reference = [&b"${"[..], b"$(", b"{{", b"%(", b"<", b"[", b"process.env", b"os.environ", b"vault:", b"env:"];
    value.len() >= LEAST_SECRET
        && !PLACEHOLDERS.iter().any(|word| value.eq_ignore_ascii_case(word))
        && !reference.iter().any(|start| value.starts_with(start))
        && value.iter().any(|byte| !b"*.xX-_#".contains(byte))
}

/// `Bearer` and a token, or `Basic` and a login in base64, may stand at `at`.
pub(super) fn after_scheme(scan: &mut Scan<'_>, at: usize) {
    if at < scan.ends.secret || is_name(scan.before(at)) {
        return;
    }
    let is = |word: &[u8]| scan.part(at..at + word.len()).eq_ignore_ascii_case(word);
    let (bearer, end) = if is(b"bearer ") { (true, at + 7) } else { (false, at + 6) };
    if !bearer && !is(b"basic ") {
        return;
    }
    let start = end + scan.run(end, MOST_SPACE, is_space);
    let length =
        scan.run(start, MOST_SECRET, |byte| byte.is_ascii_graphic() && !is_quote(byte) && !b",;\\".contains(&byte));
    let value = scan.part(start..start + length);
    let mut decoded = [0; 512];
    let good = if bearer {
        length >= 8 && is_telling(value)
    } else {
        Base64::decode(value, &mut decoded).is_ok_and(|login| login.contains(&b':'))
    };
    if good {
        scan.reaches(Ends { secret: start + length, ..scan.ends });
        scan.hit(Detector::Secret, start..start + length, Confidence::Certain);
    }
}

/// A column or field whose name says that all of it is a secret.
pub(super) fn whole_value(scan: &mut Scan<'_>) {
    let value = scan.value;
    let word = value.len() <= MOST_SECRET && !value.iter().any(u8::is_ascii_whitespace);
    if scan.context.secret && word && is_plausible(value) {
        scan.hit(Detector::Secret, 0..value.len(), Confidence::Likely);
    }
}
