//! Booleans, single bytes, floating-point numbers and money.

use super::super::wire::Reader;
use super::{Bad, Result};

pub(super) fn read_bool(reader: &mut Reader<'_>) -> Result<String, Bad> {
    // The server takes any byte but zero for true.
    Ok(if reader.u8()? == 0 { "f" } else { "t" }.to_owned())
}

pub(super) fn write_bool(text: &str) -> Option<Vec<u8>> {
    match text {
        "t" | "true" | "on" | "yes" | "1" => Some(vec![1]),
        "f" | "false" | "off" | "no" | "0" => Some(vec![0]),
        _ => None,
    }
}

/// `"char"`: a byte; none is the zero byte, and what is not ASCII is written in octal.
pub(super) fn read_char(reader: &mut Reader<'_>) -> Result<String, Bad> {
    Ok(match reader.u8()? {
        0 => String::new(),
        byte if byte.is_ascii() => char::from(byte).to_string(),
        byte => format!("\\{byte:03o}"),
    })
}

pub(super) fn write_char(text: &str) -> Option<Vec<u8>> {
    match text.as_bytes() {
        [] => Some(vec![0]),
        [byte] => Some(vec![*byte]),
        [b'\\', octal @ ..] if octal.len() == 3 => {
            u8::from_str_radix(std::str::from_utf8(octal).ok()?, 8).ok().map(|byte| vec![byte])
        }
        _ => None,
    }
}

/// The shortest text that reads as the same number, as since version 12.
pub(super) fn float8(number: f64) -> String {
    special(number).unwrap_or_else(|| shortest(&format!("{number:e}"), 15))
}

/// The same for four bytes.
pub(super) fn float4(number: f32) -> String {
    special(f64::from(number)).unwrap_or_else(|| shortest(&format!("{number:e}"), 6))
}

fn special(number: f64) -> Option<String> {
    let word = match number {
        n if n.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => return None,
    };
    Some(word.to_owned())
}

/// `scientific` is digits with or without a point, and an exponent; written out unless that is -4 below or `most` above.
fn shortest(scientific: &str, most: i32) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    if !(-4..most).contains(&exponent) {
        let (direction, size) = if exponent < 0 { ('-', -exponent) } else { ('+', exponent) };
        return format!("{sign}{mantissa}e{direction}{size:02}");
    }
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let Ok(point) = usize::try_from(exponent + 1) else {
        let zeros = "0".repeat(usize::try_from(-1 - exponent).unwrap_or(0));
        return format!("{sign}0.{zeros}{digits}");
    };
    match digits.split_at_checked(point) {
        None => format!("{sign}{digits}{}", "0".repeat(point - digits.len())),
        Some(("", fraction)) => format!("{sign}0.{fraction}"),
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
    }
}

/// What Rust reads and the server does not is left out: `inf`, `nan` with signs and the like are words of their own.
fn is_number(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity")
        || text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
}

pub(super) fn parse_float8(text: &str) -> Option<f64> {
    text.parse().ok().filter(|_| is_number(text))
}

pub(super) fn parse_float4(text: &str) -> Option<f32> {
    text.parse().ok().filter(|_| is_number(text))
}

/// As with `lc_monetary = C`: `-$1,234.56`.
pub(super) fn money(cents: i64) -> String {
    let (sign, size) = (if cents < 0 { "-" } else { "" }, cents.unsigned_abs());
    let whole = (size / 100).to_string();
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}${grouped}.{:02}", size % 100)
}

pub(super) fn parse_money(text: &str) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let text = text.strip_prefix('$').unwrap_or(text).replace(',', "");
    let (whole, cents) = text.split_once('.').unwrap_or((&text, "00"));
    if cents.len() != 2 || !whole.bytes().chain(cents.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (whole, cents): (i128, i128) = (whole.parse().ok()?, cents.parse().ok()?);
    i64::try_from(sign * whole.checked_mul(100)?.checked_add(cents)?).ok()
}
