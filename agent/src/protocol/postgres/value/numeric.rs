//! `numeric`: decimal numbers of any length, in groups of four digits (`numeric.c`).

use super::super::wire::Reader;
use super::{Bad, Result};

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const PLUS_INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;
/// What the server writes for the scale of infinities, and nobody reads.
const INFINITE_SCALE: u16 = 0x20;
/// Most digits after the point.
const MOST_SCALE: u16 = 0x3FFF;
/// Most digits before it.
const MOST_WHOLE: usize = 131_072;

pub(super) fn read(reader: &mut Reader<'_>) -> Result<String, Bad> {
    let (count, weight) = (reader.u16()?, reader.i16()?);
    let (sign, scale) = (reader.u16()?, reader.u16()?);
    if scale > MOST_SCALE {
        return Err(Bad);
    }
    let (groups, _) = reader.take(usize::from(count) * 2)?.as_chunks();
    let groups: Vec<u16> = groups.iter().map(|group| u16::from_be_bytes(*group)).collect();
    if groups.iter().any(|group| *group > 9999) {
        return Err(Bad);
    }
    let sign = match (sign, groups.is_empty()) {
        (0, _) => "",
        (NEGATIVE, _) => "-",
        (NAN, true) => return Ok("NaN".to_owned()),
        (PLUS_INFINITY, true) => return Ok("Infinity".to_owned()),
        (MINUS_INFINITY, true) => return Ok("-Infinity".to_owned()),
        _ => return Err(Bad),
    };
    // The group at this power of 10,000; none is stored for zeros at either end.
    let at = |power: i32| {
        let place = usize::try_from(i32::from(weight) - power).ok();
        place.and_then(|place| groups.get(place)).copied().unwrap_or(0)
    };
    let mut whole: String = (0..=i32::from(weight)).rev().map(|power| format!("{:04}", at(power))).collect();
    whole.drain(..whole.bytes().take_while(|digit| *digit == b'0').count());
    let mut text = if whole.is_empty() { "0".to_owned() } else { whole };
    if scale > 0 {
        let powers = i32::from(scale.div_ceil(4));
        let mut fraction: String = (1..=powers).map(|power| format!("{:04}", at(-power))).collect();
        fraction.truncate(usize::from(scale));
        text.push('.');
        text.push_str(&fraction);
    }
    // There is no negative zero.
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    Ok(if is_zero { text } else { format!("{sign}{text}") })
}

pub(super) fn write(text: &str) -> Option<Vec<u8>> {
    let header = |count: u16, weight: i16, sign: u16, scale: u16| {
        [count.to_be_bytes(), weight.to_be_bytes(), sign.to_be_bytes(), scale.to_be_bytes()].concat()
    };
    match text {
        "NaN" => return Some(header(0, 0, NAN, 0)),
        "Infinity" => return Some(header(0, 0, PLUS_INFINITY, INFINITE_SCALE)),
        "-Infinity" => return Some(header(0, 0, MINUS_INFINITY, INFINITE_SCALE)),
        _ => {}
    }
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (NEGATIVE, rest),
        None => (0, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = decimal(text)?;
    let scale = u16::try_from(fraction.len()).ok().filter(|scale| *scale <= MOST_SCALE)?;
    // Whole groups on both sides of the point.
    let padded_whole = format!("{}{whole}", "0".repeat(whole.len().next_multiple_of(4) - whole.len()));
    let padded_fraction = format!("{fraction}{}", "0".repeat(fraction.len().next_multiple_of(4) - fraction.len()));
    let digits = [padded_whole.as_bytes(), padded_fraction.as_bytes()].concat();
    let groups = digits.chunks(4).map(|group| group.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')));
    let groups: Vec<u16> = groups.collect();
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let trailing = groups.iter().rev().take_while(|group| **group == 0).count();
    let kept = groups.get(leading..groups.len().saturating_sub(trailing)).unwrap_or_default();
    if kept.is_empty() {
        return Some(header(0, 0, 0, scale));
    }
    let weight = i32::try_from(padded_whole.len() / 4).ok()? - 1 - i32::try_from(leading).ok()?;
    let mut out = header(u16::try_from(kept.len()).ok()?, i16::try_from(weight).ok()?, sign, scale);
    kept.iter().for_each(|group| out.extend_from_slice(&group.to_be_bytes()));
    Some(out)
}

/// Digits before and after the point of a number with or without an exponent.
fn decimal(text: &str) -> Option<(String, String)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok().filter(|exponent| (-20_000..=131_072).contains(exponent))?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let mut digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let (whole, fraction) = if let Ok(point) = usize::try_from(point) {
        if digits.len() < point {
            digits.push_str(&"0".repeat(point - digits.len()));
        }
        let (whole, fraction) = digits.split_at_checked(point)?;
        (whole.to_owned(), fraction.to_owned())
    } else {
        (String::new(), format!("{}{digits}", "0".repeat(usize::try_from(-point).ok()?)))
    };
    (whole.len() <= MOST_WHOLE).then_some((whole, fraction))
}
