//! The pass over runs of digits: cards, social security numbers; accounts and telephones begin there too.

use super::context::Topic;
use super::{Confidence, Detector, Scan, iban, network, phone};

/// Digits are looked for so many bytes at a time: without any, such a block costs one vector instruction or two.
const BLOCK: usize = 32;
/// So many are looked at one by one first.
const NEAR: usize = 8;

/// Looks at every run of digits.
pub(super) fn scan(scan: &mut Scan<'_>) {
    let value = scan.value;
    let mut at = 0;
    while let Some(start) = next_digit(value, at) {
        let length = scan.run(start, value.len(), |byte| byte.is_ascii_digit());
        run(scan, start, length);
        at = start + length;
    }
}

fn next_digit(value: &[u8], from: usize) -> Option<usize> {
    let rest = value.get(from..)?;
    // Where there are digits, more are near.
    let (near, rest) = rest.split_at(rest.len().min(NEAR));
    if let Some(at) = near.iter().position(u8::is_ascii_digit) {
        return Some(from + at);
    }
    let (blocks, tail) = rest.as_chunks::<BLOCK>();
    let mut base = from + near.len();
    for block in blocks {
        if block.iter().fold(false, |any, byte| any | byte.is_ascii_digit()) {
            return block.iter().position(u8::is_ascii_digit).map(|at| base + at);
        }
        base += BLOCK;
    }
    tail.iter().position(u8::is_ascii_digit).map(|at| base + at)
}

fn run(scan: &mut Scan<'_>, start: usize, length: usize) {
    let before = scan.before(start);
    if before.is_ascii_alphabetic() {
        if length >= 2 {
            iban::scan(scan, start);
        }
        return;
    }
    if before >= 0x80 && scan.part(start.saturating_sub(3)..start) == "…".as_bytes() {
        return;
    }
    if before == b'_' || is_inside(scan, start, before) {
        return;
    }
    match length {
        3 | 9 => social_security(scan, start, length),
        4 | 13..=19 => card(scan, start, length),
        _ => {}
    }
    if length <= 3 && scan.byte(start + length) == b'.' {
        network::ipv4(scan, start);
    }
    phone::scan(scan, start, length);
}

/// Whether a run is a later part of something: a fraction, a version, a date, a UUID. Commas separate fields.
fn is_inside(scan: &Scan<'_>, start: usize, before: u8) -> bool {
    let joined = matches!(before, b'.' | b'-');
    joined && start.checked_sub(2).is_some_and(|at| scan.byte(at).is_ascii_alphanumeric())
}

/// Whether nothing of the kind goes on behind `end`.
pub(super) fn ends(scan: &Scan<'_>, end: usize) -> bool {
    let (byte, next) = (scan.byte(end), scan.byte(end + 1));
    let goes_on = byte == b'.' && next.is_ascii_digit();
    !(byte.is_ascii_alphanumeric() || byte == b'_' || goes_on || (byte == b'-' && next.is_ascii_alphanumeric()))
}

/// `123-45-6789`, `123 45 6789` or nine digits, by the rules of the administration, and where something says so.
fn social_security(scan: &mut Scan<'_>, start: usize, length: usize) {
    let (end, formatted) = match length {
        9 => (start + 9, false),
        _ => {
            let sign = scan.byte(start + 3);
            let shaped = matches!(sign, b'-' | b' ') && scan.byte(start + 6) == sign;
            let digits =
                |from: usize, count: usize| scan.run(start + from, count, |byte| byte.is_ascii_digit()) == count;
            if !shaped || !digits(4, 2) || !digits(7, 4) {
                return;
            }
            (start + 11, true)
        }
    };
    let mut digits =
        scan.part(start..end).iter().filter(|byte| byte.is_ascii_digit()).map(|digit| u32::from(digit - b'0'));
    let mut number = |count: usize| digits.by_ref().take(count).fold(0, |number, digit| number * 10 + digit);
    let (area, group, serial) = (number(3), number(2), number(4));
    let given_out = area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
    // Printed in advertisements, and used by thousands.
    let famous = matches!((area, group, serial), (78, 5, 1120) | (219, 9, 9999));
    let range = start..end;
    if given_out && !famous && ends(scan, end) && scan.is_about(Topic::Ssn, &range) {
        scan.hit(Detector::UsSsn, range, if formatted { Confidence::Certain } else { Confidence::Likely });
    }
}

/// Longest card number with its separators.
const MOST_CARD: usize = 19 + 4;

/// A card's number: one run, or the groups it is printed in.
fn card(scan: &mut Scan<'_>, start: usize, length: usize) {
    let mut digits = [0_u8; 19];
    let (end, formatted) = if length == 4 {
        match grouped(scan, start) {
            Some(end) => (end, true),
            None => return,
        }
    } else {
        (start + length, false)
    };
    let mut count = 0;
    for (into, digit) in digits.iter_mut().zip(scan.part(start..end).iter().filter(|byte| byte.is_ascii_digit())) {
        *into = digit - b'0';
        count += 1;
    }
    let digits = digits.get(..count).unwrap_or_default();
    let range = start..end;
    let Some(length_is_usual) = issued(digits) else { return };
    if !luhn(digits) || !ends(scan, end) {
        return;
    }
    let said = scan.is_about(Topic::Card, &range);
    // One in ten numbers of any kind passes the check digit; where they are counted or numbered, that is all it means.
    let plain = !formatted && (scan.context.numbering || !length_is_usual);
    if said || !plain {
        scan.hit(Detector::Pan, range, if said || formatted { Confidence::Certain } else { Confidence::Likely });
    }
}

/// The end of `4-4-4-4`, `4-6-5` or `4-6-4`, all with the same sign between.
fn grouped(scan: &Scan<'_>, start: usize) -> Option<usize> {
    let sign = scan.byte(start + 4);
    if !matches!(sign, b' ' | b'-') {
        return None;
    }
    let mut lengths = [0_usize; 5];
    let mut at = start;
    let mut end = start;
    for length in &mut lengths {
        *length = scan.run(at, 7, |byte| byte.is_ascii_digit());
        if *length == 0 || at + *length > start + MOST_CARD {
            *length = 0;
            break;
        }
        end = at + *length;
        if scan.byte(end) != sign {
            break;
        }
        at = end + 1;
    }
    match lengths {
        [4, 4, 4, 4, 3] | [4, 6, 5 | 4, 0, 0] => Some(end),
        [4, 4, 4, 4, 0] => Some(end),
        // A further number behind a space is another number.
        [4, 4, 4, 4, _] if sign == b' ' => Some(start + 19),
        _ => None,
    }
}

/// Whether some issuer gives out numbers like this, and then whether that is the length in use.
fn issued(digits: &[u8]) -> Option<bool> {
    let start = |count: usize| digits.iter().take(count).fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let (one, two, three, four, six) = (start(1), start(2), start(3), start(4), start(6));
    let length = digits.len();
    let (lengths, usual): (&[usize], usize) = match () {
        () if one == 4 => (&[13, 16, 19], 16),
        () if (51..=55).contains(&two) || (2221..=2720).contains(&four) => (&[16], 16),
        () if two == 34 || two == 37 => (&[15], 15),
        () if (300..=305).contains(&three) || three == 309 || two == 36 || two == 38 || two == 39 => {
            (&[14, 16, 19], 14)
        }
        () if (3528..=3589).contains(&four) => (&[16, 17, 18, 19], 16),
        () if four == 6011 || (644..=659).contains(&three) || (622_126..=622_925).contains(&six) => {
            (&[16, 17, 18, 19], 16)
        }
        () if two == 62 || two == 81 || two == 60 || two == 82 => (&[16, 17, 18, 19], 16),
        () if (2200..=2204).contains(&four) => (&[16, 17, 18, 19], 16),
        () if matches!(four, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763) => {
            (&[13, 14, 15, 16, 17, 18, 19], 16)
        }
        () => return None,
    };
    lengths.contains(&length).then_some(length == usual)
}

/// The check digit of ISO/IEC 7812-1, annex B.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match u32::from(*digit) {
            digit if place % 2 == 0 => digit,
            digit if digit >= 5 => 2 * digit - 9,
            digit => 2 * digit,
        })
        .sum();
    sum.is_multiple_of(10)
}
