//! Lengths of time as people write them: `10s`, `5m`, `1h30m`.

use std::time::Duration;

/// Units, largest first; a unit is written at most once and in this order.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// A number with no unit after it.
    #[error("{0} of what? a number needs a unit: ms, s, m, h, d or w")]
    NoUnit(String),
    /// Something that is no number where one belongs.
    #[error("`{0}` is not a whole number followed by a unit")]
    NotANumber(String),
    /// A unit nobody knows.
    #[error("`{0}` is not a unit; units are ms, s, m, h, d, w")]
    UnknownUnit(String),
    /// Units repeated or out of order.
    #[error("units go from large to small, each once")]
    Order,
    /// More than can be held.
    #[error("it is too long")]
    TooLong,
}

/// Reads `10s`, `1h30m`, `500ms`, and a bare `0`.
pub fn duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (digits, after) = split(rest, |c| c.is_ascii_digit());
        if digits.is_empty() {
            return Err(DurationError::NotANumber(short(rest)));
        }
        let (unit, after) = split(after, |c| !c.is_ascii_digit());
        let unit = unit.trim();
        if unit.is_empty() {
            return Err(DurationError::NoUnit(short(digits)));
        }
        if !UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(DurationError::UnknownUnit(short(unit)));
        }
        let (_, scale) = units.find(|(name, _)| *name == unit).ok_or(DurationError::Order)?;
        let number: u64 = digits.parse().map_err(|_| DurationError::TooLong)?;
        let part = number.checked_mul(*scale).ok_or(DurationError::TooLong)?;
        total = total.checked_add(part).ok_or(DurationError::TooLong)?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(total))
}

/// Writes a length of time the way [`duration`] reads it; less than a millisecond is `0s`.
pub fn in_words(length: Duration) -> String {
    let mut left = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (name, scale) in UNITS {
        let count = left / scale;
        if count > 0 {
            text.push_str(&format!("{count}{name}"));
            left %= scale;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// Error texts quote what was written, but not a megabyte of it.
fn short(text: &str) -> String {
    text.chars().take(20).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("10s", 10_000),
            ("500ms", 500),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            (" 2d ", 172_800_000),
            ("1w1d1h1m1s1ms", 604_800_000 + 86_400_000 + 3_600_000 + 60_000 + 1_000 + 1),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses() {
        for (text, error) in [
            ("", DurationError::Empty),
            ("  ", DurationError::Empty),
            ("10", DurationError::NoUnit("10".into())),
            ("1h30", DurationError::NoUnit("30".into())),
            ("s", DurationError::NotANumber("s".into())),
            ("-5s", DurationError::NotANumber("-5s".into())),
            ("1.5h", DurationError::UnknownUnit(".".into())),
            ("10 sec", DurationError::UnknownUnit("sec".into())),
            ("10S", DurationError::UnknownUnit("S".into())),
            ("1m1h", DurationError::Order),
            ("1s1s", DurationError::Order),
            ("99999999999999999999s", DurationError::TooLong),
            ("18446744073709551615s", DurationError::TooLong),
            ("١s", DurationError::NotANumber("١s".into())),
        ] {
            assert_eq!(duration(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(millis in any::<u64>()) {
            let length = Duration::from_millis(millis);
            prop_assert_eq!(duration(&in_words(length)), Ok(length));
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = duration(&text);
        }
    }
}
