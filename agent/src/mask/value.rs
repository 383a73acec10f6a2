//! Masks one value: what comes out is valid for the type, or NULL.

use std::borrow::Cow;

use jiff::civil::{Date, date};

use super::field::FieldType;
use super::function::{DateUnit, Function, Rule};

/// What is sent instead of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Masked {
    /// NULL, or whatever the protocol has for "there is none".
    Null,
    /// A text of the type that was asked for.
    Text(Cow<'static, [u8]>),
}

impl Masked {
    fn fixed(field: FieldType) -> Self {
        field.blank().map_or(Self::Null, |text| Self::Text(Cow::Borrowed(text.as_bytes())))
    }

    fn of(text: String) -> Self {
        Self::Text(Cow::Owned(text.into_bytes()))
    }

    /// The text that is sent; `None` for NULL.
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text),
        }
    }

    /// The same, as it is kept.
    #[must_use]
    pub fn into_text(self) -> Option<Cow<'static, [u8]>> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text),
        }
    }
}

/// Masks `value`, the text form of a `field`. What a function cannot do to a type or a value, it redacts.
#[must_use]
pub fn mask(rule: &Rule, field: FieldType, value: &[u8]) -> Masked {
    if field == FieldType::Other {
        return Masked::Null;
    }
    let text = || std::str::from_utf8(value).ok();
    let masked = match &rule.function {
        Function::Null => return Masked::Null,
        Function::Redact => None,
        Function::Constant(constant) => replaced(field, constant),
        Function::Hash => hashed(rule, field, value),
        Function::TruncateDate(unit) => text().and_then(|text| truncated(*unit, field, text)),
        Function::Generalise(step) => text().and_then(|text| generalised(*step, field, text)),
        Function::KeepLast(keep) => text().and_then(|text| kept(usize::from(*keep), field, text)),
    };
    masked.map_or_else(|| Masked::fixed(field), Masked::of)
}

fn replaced(field: FieldType, constant: &str) -> Option<String> {
    if field == FieldType::Json {
        return serde_json::to_string(constant).ok();
    }
    field.accepts(constant).then(|| constant.to_owned())
}

/// Pseudonyms of so many bits are long enough not to meet by accident: 2^64 values make one meeting likely.
const PSEUDONYM_BYTES: usize = 16;
/// Days from 1900-01-01 to 2099-12-31: dates every server and driver can read.
const DAYS: u64 = 73_049;
const DAY_SECONDS: u64 = 86_400;
/// Largest whole numbers that the two float types hold exactly, and numerics of fifteen digits.
const FLOAT32: u64 = 1 << 24;
const FLOAT64: u64 = 1 << 53;
const NUMERIC: u64 = 1_000_000_000_000_000;

fn hashed(rule: &Rule, field: FieldType, value: &[u8]) -> Option<String> {
    let value = plain(field, value);
    // Small types are small enough to meet the value itself.
    (0..4).find_map(|attempt| {
        let pseudonym = pseudonym(field, &rule.key.tag(&value, attempt))?;
        (pseudonym.as_bytes() != &*value).then_some(pseudonym)
    })
}

/// A value as it is hashed: the same for all ways to write the same.
fn plain(field: FieldType, value: &[u8]) -> Cow<'_, [u8]> {
    let text = std::str::from_utf8(value).ok();
    let whole = text.filter(|_| field.range().is_some()).and_then(|text| text.trim().parse::<i128>().ok());
    let uuid = text.filter(|_| field == FieldType::Uuid).and_then(|text| uuid::Uuid::try_parse(text.trim()).ok());
    match (whole, uuid) {
        (Some(number), _) => Cow::Owned(number.to_string().into_bytes()),
        (None, Some(uuid)) => Cow::Owned(uuid.to_string().into_bytes()),
        (None, None) => Cow::Borrowed(value),
    }
}

fn pseudonym(field: FieldType, tag: &[u8; 32]) -> Option<String> {
    let mut number = [0; 8];
    number.iter_mut().zip(tag).for_each(|(into, byte)| *into = *byte);
    let number = u64::from_be_bytes(number);
    let hex = || {
        let digits = tag.iter().take(PSEUDONYM_BYTES);
        digits.fold(String::with_capacity(2 * PSEUDONYM_BYTES + 2), |mut hex, byte| {
            let digit = |half: u8| char::from(if half < 10 { b'0' + half } else { b'a' + half - 10 });
            hex.push(digit(byte >> 4));
            hex.push(digit(byte & 15));
            hex
        })
    };
    let day = || {
        let days = i64::try_from(number % DAYS).ok()?;
        date(1900, 1, 1).checked_add(jiff::Span::new().try_days(days).ok()?).ok()
    };
    let clock = || {
        let second = (number >> 32) % DAY_SECONDS;
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    };
    if let Some((_, most)) = field.range() {
        // As many low bits as the largest value has.
        return i64::try_from(number & most.unsigned_abs()).ok().map(|number| number.to_string());
    }
    match field {
        FieldType::Text => Some(hex()),
        FieldType::Float32 => Some((number % FLOAT32).to_string()),
        FieldType::Float64 => Some((number % FLOAT64).to_string()),
        FieldType::Numeric => Some((number % NUMERIC).to_string()),
        FieldType::Date => Some(day()?.to_string()),
        FieldType::Time => Some(clock()),
        FieldType::Timestamp => Some(format!("{} {}", day()?, clock())),
        FieldType::TimestampTz => Some(format!("{} {}+00", day()?, clock())),
        FieldType::Uuid => {
            let mut bytes = [0; 16];
            bytes.iter_mut().zip(tag).for_each(|(into, byte)| *into = *byte);
            // Version 8 (RFC 9562): made by a method of our own.
            Some(uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string())
        }
        FieldType::Bytes => Some(format!("\\x{}", hex())),
        FieldType::Json => Some(format!("\"{}\"", hex())),
        FieldType::Inet => {
            // A unique local address (RFC 4193): nobody's on the Internet.
            let mut bytes = [0xfd; 16];
            bytes.iter_mut().skip(1).zip(tag).for_each(|(into, byte)| *into = *byte);
            Some(std::net::Ipv6Addr::from(bytes).to_string())
        }
        // Of two values a pseudonym hides nothing, and lengths of time have no range of their own.
        FieldType::Bool
        | FieldType::Interval
        | FieldType::Other
        | FieldType::Int8
        | FieldType::Int16
        | FieldType::Int32
        | FieldType::Int64 => None,
    }
}

fn truncated(unit: DateUnit, field: FieldType, text: &str) -> Option<String> {
    let cut = |day: Date| match unit {
        DateUnit::Month => day.first_of_month(),
        DateUnit::Year => day.first_of_year(),
    };
    match field {
        FieldType::Date | FieldType::Text => day_of(text).map(|day| cut(day).to_string()),
        FieldType::Timestamp => day_of(text).map(|day| format!("{} 00:00:00", cut(day))),
        FieldType::TimestampTz => day_of(text).map(|day| format!("{} 00:00:00+00", cut(day))),
        FieldType::Json => within_json(text, |inner| truncated(unit, FieldType::Text, inner)),
        FieldType::Int8
        | FieldType::Int16
        | FieldType::Int32
        | FieldType::Int64
        | FieldType::Float32
        | FieldType::Float64
        | FieldType::Numeric
        | FieldType::Bool
        | FieldType::Time
        | FieldType::Interval
        | FieldType::Uuid
        | FieldType::Bytes
        | FieldType::Inet
        | FieldType::Other => None,
    }
}

/// The day a date or timestamp lies on, in its own zone; years of four digits only.
fn day_of(text: &str) -> Option<Date> {
    let text = text.trim();
    let day: Date = text.get(..10)?.parse().ok()?;
    let rest = text.get(10..)?;
    // PostgreSQL marks years before ours behind everything else.
    let clean = rest.bytes().all(|byte| byte.is_ascii_digit() || b" T:.,+-Z".contains(&byte));
    (clean && (rest.is_empty() || rest.starts_with([' ', 'T'])) && day.year() > 0).then_some(day)
}

fn generalised(step: u64, field: FieldType, text: &str) -> Option<String> {
    let step = i128::from(step);
    let floor = |number: i128| number.div_euclid(step) * step;
    match field {
        FieldType::Int8 | FieldType::Int16 | FieldType::Int32 | FieldType::Int64 => {
            let (least, most) = field.range()?;
            let number = text.trim().parse::<i128>().ok()?;
            let down = floor(number);
            // Below the type's range there is no multiple; the next one above is as coarse.
            let number = if down < least.into() { down + step } else { down };
            (i128::from(least)..=i128::from(most)).contains(&number).then(|| number.to_string())
        }
        FieldType::Float32 | FieldType::Float64 | FieldType::Numeric | FieldType::Text => {
            whole(text.trim()).map(floor).map(|number| number.to_string())
        }
        FieldType::Json if !text.trim().starts_with('"') => {
            whole(text.trim()).map(floor).map(|number| number.to_string())
        }
        FieldType::Json => within_json(text, |inner| generalised(step.try_into().ok()?, FieldType::Text, inner)),
        FieldType::Bool
        | FieldType::Date
        | FieldType::Time
        | FieldType::Timestamp
        | FieldType::TimestampTz
        | FieldType::Interval
        | FieldType::Uuid
        | FieldType::Bytes
        | FieldType::Inet
        | FieldType::Other => None,
    }
}

/// The largest whole number that is not above a decimal one; `None` for exponents and what is no number.
fn whole(text: &str) -> Option<i128> {
    const MOST_DIGITS: usize = 30;
    let (number, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = number.strip_prefix('-').unwrap_or(number);
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || digits.len() > MOST_DIGITS || !all_digits(digits) || !all_digits(fraction) {
        return None;
    }
    let down = i128::from(number.starts_with('-') && fraction.bytes().any(|digit| digit != b'0'));
    Some(number.parse::<i128>().ok()? - down)
}

fn kept(keep: usize, field: FieldType, text: &str) -> Option<String> {
    match field {
        FieldType::Text => tail(text, keep).map(|tail| format!("***{tail}")),
        FieldType::Json if text.trim().starts_with('"') => {
            within_json(text, |inner| kept(keep, FieldType::Text, inner))
        }
        FieldType::Json
        | FieldType::Int8
        | FieldType::Int16
        | FieldType::Int32
        | FieldType::Int64
        | FieldType::Numeric => {
            let digits = text.trim().trim_start_matches('-');
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let number = tail(digits, keep)?.trim_start_matches('0');
            let number = if number.is_empty() { "0" } else { number };
            field.accepts(number).then(|| number.to_owned())
        }
        FieldType::Uuid => {
            let digits = uuid::Uuid::try_parse(text.trim()).ok()?.simple().to_string();
            let tail = tail(&digits, keep)?;
            uuid::Uuid::try_parse(&format!("{tail:0>32}")).ok().map(|uuid| uuid.to_string())
        }
        FieldType::Float32
        | FieldType::Float64
        | FieldType::Bool
        | FieldType::Date
        | FieldType::Time
        | FieldType::Timestamp
        | FieldType::TimestampTz
        | FieldType::Interval
        | FieldType::Bytes
        | FieldType::Inet
        | FieldType::Other => None,
    }
}

/// The last `keep` characters of a text that is at least twice as long: of a shorter one too much would be seen.
fn tail(text: &str, keep: usize) -> Option<&str> {
    let (start, _) = text.char_indices().rev().nth(keep.checked_sub(1)?)?;
    let hidden = text.get(..start)?.chars().count();
    (hidden >= keep).then(|| text.get(start..)).flatten()
}

/// Masks the text inside a JSON string.
fn within_json(text: &str, function: impl FnOnce(&str) -> Option<String>) -> Option<String> {
    let inner: String = serde_json::from_str(text).ok()?;
    serde_json::to_string(&function(&inner)?).ok()
}
