//! Telephone numbers: international ones by their `+` (ITU-T E.164), national ones beside a word that says so.

use super::context::Topic;
use super::digits::ends;
use super::{Confidence, Detector, Scan};

/// Fewest and most digits of a number, with its country.
const LEAST: usize = 8;
const MOST: usize = 15;
/// Fewest digits of a national one.
const LEAST_NATIONAL: usize = 7;

/// Country codes of one and two digits; those of three begin with one of the rest.
const SHORT_CODES: [&[u8]; 46] = [
    b"1", b"7", b"20", b"27", b"30", b"31", b"32", b"33", b"34", b"36", b"39", b"40", b"41", b"43", b"44", b"45",
    b"46", b"47", b"48", b"49", b"51", b"52", b"53", b"54", b"55", b"56", b"57", b"58", b"60", b"61", b"62", b"63",
    b"64", b"65", b"66", b"81", b"82", b"84", b"86", b"90", b"91", b"92", b"93", b"94", b"95", b"98",
];
const LONG_CODES: [&[u8]; 14] =
    [b"21", b"22", b"23", b"24", b"25", b"26", b"29", b"35", b"37", b"38", b"42", b"50", b"59", b"67"];
const MORE_LONG_CODES: [&[u8]; 6] = [b"68", b"69", b"85", b"88", b"96", b"99"];

/// A number may begin with the run of `length` digits at `start`.
pub(super) fn scan(scan: &mut Scan<'_>, start: usize, length: usize) {
    let before = scan.before(start);
    if length > MOST || (before != b'+' && !scan.may_be_about(Topic::Phone)) {
        return;
    }
    if before == b'+' {
        international(scan, start);
        return;
    }
    let open = usize::from(before == b'(');
    let first = start - open;
    // A later group of a number belongs to the first one.
    let later = scan.before(first) == b' ' && first.checked_sub(2).is_some_and(|at| scan.byte(at).is_ascii_digit());
    if (length < 2 && scan.byte(start + length) != b'-') || later {
        return;
    }
    let range = first..start + length;
    if scan.is_about(Topic::Phone, &range) {
        national(scan, first, start);
    }
}

/// Digits in groups, and where they end.
struct Digits {
    digits: [u8; MOST],
    count: usize,
    end: usize,
    groups: [usize; 5],
    /// More follow than a number has.
    more: bool,
}

fn digits(scan: &Scan<'_>, start: usize) -> Digits {
    let mut found = Digits { digits: [0; MOST], count: 0, end: start, groups: [0; 5], more: false };
    let mut at = start;
    for group in 0.. {
        let length = scan.run(at, MOST + 1, |byte| byte.is_ascii_digit());
        if found.count + length > MOST || group == 8 {
            found.more = true;
            break;
        }
        let into = found.digits.iter_mut().skip(found.count);
        into.zip(scan.part(at..at + length)).for_each(|(into, digit)| *into = *digit);
        if let Some(into) = found.groups.get_mut(group) {
            *into = length;
        }
        found.count += length;
        at += length;
        found.end = at;
        // `) `, ` (0) `, `-`, `.`, ` `
        let gap = scan.run(at, 3, |byte| matches!(byte, b' ' | b'-' | b'.' | b'(' | b')' | b'/'));
        if length == 0 || gap == 0 || !scan.byte(at + gap).is_ascii_digit() {
            break;
        }
        at += gap;
    }
    found
}

fn international(scan: &mut Scan<'_>, start: usize) {
    let sign = start - 1;
    if scan.before(sign).is_ascii_alphanumeric() || matches!(scan.before(sign), b'+' | b')' | b'*') {
        return;
    }
    let found = digits(scan, start);
    let digits = found.digits.get(..found.count).unwrap_or_default();
    let known = SHORT_CODES.iter().chain(&LONG_CODES).chain(&MORE_LONG_CODES).any(|code| digits.starts_with(code));
    let range = sign..found.end;
    let shaped = match digits {
        [b'1', number @ ..] => is_north_american(number),
        [b'7', ..] => digits.len() == 11,
        _ => (LEAST..=MOST).contains(&digits.len()),
    };
    let one_group = found.groups == [found.count, 0, 0, 0, 0];
    if known && shaped && (!found.more || !one_group) && ends(scan, found.end) {
        let said = scan.is_about(Topic::Phone, &range);
        scan.hit(Detector::Phone, range, if said { Confidence::Certain } else { Confidence::Likely });
    }
}

/// Area and exchange begin with 2 to 9.
fn is_north_american(number: &[u8]) -> bool {
    let leads = |at: usize| number.get(at).is_some_and(|digit| (b'2'..=b'9').contains(digit));
    number.len() == 10 && leads(0) && leads(3)
}

fn national(scan: &mut Scan<'_>, first: usize, start: usize) {
    let found = digits(scan, start);
    let digits = found.digits.get(..found.count).unwrap_or_default();
    let date = matches!(found.groups, [4, 2, 2, ..] | [2 | 1, 2 | 1, 4, ..]);
    let shaped = match digits {
        [b'1', number @ ..] if number.len() == 10 => is_north_american(number),
        _ => found.count >= LEAST_NATIONAL,
    };
    if shaped && !date && !found.more && ends(scan, found.end) {
        scan.hit(Detector::Phone, first..found.end, Confidence::Likely);
    }
}
