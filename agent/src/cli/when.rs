//! Points in time as people type them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::config::duration;

/// A point in time, read when it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When(Timestamp);

impl When {
    /// Reads `2h` (ago), `now`, `today`, `yesterday`, a date, a date with a time, RFC 3339, in the host's time zone.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_at(text, &Zoned::now())
    }

    /// The point.
    pub fn timestamp(self) -> Timestamp {
        self.0
    }

    /// Nanoseconds since 1970. The store counts them in 64 bits; what lies outside is before or after everything.
    pub fn nanoseconds(self) -> i64 {
        let edge = if self.0.as_second() < 0 { i64::MIN } else { i64::MAX };
        i64::try_from(self.0.as_nanosecond()).unwrap_or(edge)
    }

    /// `time` on this host's clock.
    pub fn shown(time: Timestamp) -> String {
        let local = time.to_zoned(TimeZone::system());
        jiff::fmt::strtime::format("%Y-%m-%d %H:%M:%S", &local).unwrap_or_else(|_| time.to_string())
    }

    fn parse_at(text: &str, now: &Zoned) -> Result<Self, String> {
        let text = text.trim();
        let zone = now.time_zone();
        let found = match text {
            "now" => Some(now.timestamp()),
            "today" => midnight(now.date(), zone),
            "yesterday" => now.date().yesterday().ok().and_then(|date| midnight(date, zone)),
            _ => ago(text.strip_suffix(" ago").unwrap_or(text), now).or_else(|| written(text, zone)),
        };
        found.map(Self).ok_or_else(|| {
            "write `2h` for two hours ago, `today`, `yesterday`, `2026-01-31` or `2026-01-31 14:00`".to_owned()
        })
    }
}

fn ago(text: &str, now: &Zoned) -> Option<Timestamp> {
    let length = SignedDuration::try_from(duration(text).ok()?).ok()?;
    now.timestamp().checked_sub(length).ok()
}

fn written(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if !text.contains(':') {
        return midnight(text.parse::<Date>().ok()?, zone);
    }
    text.parse::<Timestamp>().or_else(|_| zone.to_timestamp(text.parse::<DateTime>()?)).ok()
}

/// The first moment of `date`, which is not 00:00 everywhere.
fn midnight(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    date.to_zoned(zone.clone()).ok()?.start_of_day().ok().map(|day| day.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let now = "2026-03-10T12:30:00Z".parse::<Timestamp>().unwrap().to_zoned(TimeZone::UTC);
        for (text, expected) in [
            ("now", "2026-03-10T12:30:00Z"),
            ("2h", "2026-03-10T10:30:00Z"),
            ("1d12h", "2026-03-09T00:30:00Z"),
            ("15m ago", "2026-03-10T12:15:00Z"),
            ("today", "2026-03-10T00:00:00Z"),
            ("yesterday", "2026-03-09T00:00:00Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31 14:00", "2026-01-31T14:00:00Z"),
            ("2026-01-31T14:00:05", "2026-01-31T14:00:05Z"),
            ("2026-01-31T14:00:00+02:00", "2026-01-31T12:00:00Z"),
        ] {
            assert_eq!(When::parse_at(text, &now), Ok(When(expected.parse().unwrap())), "{text}");
        }
        for text in ["", "soon", "10", "2026-13-01", "tomorrow-ish", "999999999w"] {
            assert!(When::parse_at(text, &now).is_err(), "{text}");
        }
    }
}
