//! The types a masked value has to stay valid for.

/// Type of a column or field. Values are in text form, as PostgreSQL writes them where servers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Any text without a form of its own, also raw bytes of protocols that have no other form for them.
    Text,
    /// One signed or unsigned byte.
    Int8,
    /// Two bytes.
    Int16,
    /// Four bytes.
    Int32,
    /// Eight bytes.
    Int64,
    /// IEEE 754 single precision.
    Float32,
    /// IEEE 754 double precision.
    Float64,
    /// A decimal number of any length.
    Numeric,
    /// `t` or `f`.
    Bool,
    /// `2026-01-31`
    Date,
    /// `12:00:00`
    Time,
    /// `2026-01-31 12:00:00`, with fractions perhaps.
    Timestamp,
    /// The same with an offset: `2026-01-31 12:00:00+00`.
    TimestampTz,
    /// `2026-01-31` to `2026-12-31 12:00` apart: a length of time.
    Interval,
    /// 32 hexadecimal digits and four dashes.
    Uuid,
    /// `\x` and hexadecimal digits.
    Bytes,
    /// A JSON document.
    Json,
    /// An address of IPv4 or IPv6.
    Inet,
    /// Anything else: only NULL is known to be valid.
    Other,
}

impl FieldType {
    /// Every type.
    pub const ALL: [Self; 19] = [
        Self::Text,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Float32,
        Self::Float64,
        Self::Numeric,
        Self::Bool,
        Self::Date,
        Self::Time,
        Self::Timestamp,
        Self::TimestampTz,
        Self::Interval,
        Self::Uuid,
        Self::Bytes,
        Self::Json,
        Self::Inet,
        Self::Other,
    ];

    /// The value that says nothing; `None` where there is only NULL.
    pub(super) fn blank(self) -> Option<&'static str> {
        Some(match self {
            Self::Text => "***",
            Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64 | Self::Float32 | Self::Float64 | Self::Numeric => "0",
            Self::Bool => "f",
            Self::Date => "1970-01-01",
            Self::Time | Self::Interval => "00:00:00",
            Self::Timestamp => "1970-01-01 00:00:00",
            Self::TimestampTz => "1970-01-01 00:00:00+00",
            Self::Uuid => "00000000-0000-0000-0000-000000000000",
            Self::Bytes => "\\x",
            Self::Json => "\"***\"",
            Self::Inet => "0.0.0.0",
            Self::Other => return None,
        })
    }

    /// Smallest and largest value of an integer type, for a server that knows signs. Pseudonyms take the part from 0 on,
    /// which an unsigned type of the same width has too.
    pub(super) fn range(self) -> Option<(i64, i64)> {
        match self {
            Self::Int8 => Some((i8::MIN.into(), i8::MAX.into())),
            Self::Int16 => Some((i16::MIN.into(), i16::MAX.into())),
            Self::Int32 => Some((i32::MIN.into(), i32::MAX.into())),
            Self::Int64 => Some((i64::MIN, i64::MAX)),
            Self::Text
            | Self::Float32
            | Self::Float64
            | Self::Numeric
            | Self::Bool
            | Self::Date
            | Self::Time
            | Self::Timestamp
            | Self::TimestampTz
            | Self::Interval
            | Self::Uuid
            | Self::Bytes
            | Self::Json
            | Self::Inet
            | Self::Other => None,
        }
    }

    /// Whether `text` is written as a value of this type is: what may stand in for one.
    pub(super) fn accepts(self, text: &str) -> bool {
        match self {
            Self::Text => true,
            Self::Int8 => text.parse::<i8>().is_ok(),
            Self::Int16 => text.parse::<i16>().is_ok(),
            Self::Int32 => text.parse::<i32>().is_ok(),
            Self::Int64 => text.parse::<i64>().is_ok(),
            Self::Float32 => text.parse::<f32>().is_ok_and(f32::is_finite),
            Self::Float64 => text.parse::<f64>().is_ok_and(f64::is_finite),
            Self::Numeric => is_decimal(text),
            Self::Bool => matches!(text, "t" | "f"),
            Self::Date => is_date(text),
            Self::Time | Self::Interval => is_clock(text),
            Self::Timestamp => is_timestamp(text),
            Self::TimestampTz => text.strip_suffix("+00").is_some_and(is_timestamp),
            Self::Uuid => uuid::Uuid::parse_str(text).is_ok(),
            Self::Bytes => text
                .strip_prefix("\\x")
                .is_some_and(|hex| hex.len().is_multiple_of(2) && hex.bytes().all(|digit| digit.is_ascii_hexdigit())),
            Self::Json => serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
            Self::Inet => text.parse::<std::net::IpAddr>().is_ok(),
            Self::Other => false,
        }
    }
}

/// `2026-01-31`, in a year after 0 as people count.
fn is_date(text: &str) -> bool {
    text.len() == "1970-01-01".len() && text.parse::<jiff::civil::Date>().is_ok_and(|date| date.year() > 0)
}

/// `12:00:00`
fn is_clock(text: &str) -> bool {
    text.len() == "00:00:00".len() && text.matches(':').count() == 2 && text.parse::<jiff::civil::Time>().is_ok()
}

fn is_timestamp(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(date, time)| is_date(date) && is_clock(time))
}

/// `-12.50`: a sign, digits, and perhaps a point and digits.
fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let number = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    digits(whole) && digits(fraction)
}
