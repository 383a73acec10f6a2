//! An instant as policies see it: on a clock and a calendar of one zone. The clock is read by whoever asks.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use jiff::{Timestamp, Zoned, tz::TimeZone};

/// An instant in a zone, to the second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Moment {
    /// Seconds since 1970, UTC.
    pub(super) seconds: i64,
    /// 0 to 23.
    pub(super) hour: i8,
    /// 0 to 59.
    pub(super) minute: i8,
    /// 1 is Monday.
    pub(super) weekday: i8,
    /// Year, month, day.
    pub(super) date: (i16, i8, i8),
    /// The zone's name.
    pub(super) zone: Zone,
}

/// A zone of the time-zone database.
#[derive(Clone, Debug)]
pub struct Zone {
    name: Arc<str>,
    rules: TimeZone,
}

impl Default for Zone {
    fn default() -> Self {
        Self::new("UTC", TimeZone::UTC)
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Zone {
    /// A zone and the name it was found by, which is all that zones are compared by.
    #[must_use]
    pub fn new(name: &str, rules: TimeZone) -> Self {
        Self { name: name.into(), rules }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Names of days, Monday first.
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Which parts of an instant somebody looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) hour: bool,
    pub(super) minute: bool,
    pub(super) weekday: bool,
    pub(super) date: bool,
    pub(super) instant: bool,
}

impl Moment {
    /// The instant so many seconds after 1970 began, in a zone.
    #[must_use]
    pub fn at(seconds: i64, zone: &Zone) -> Self {
        let stamp = Timestamp::from_second(seconds).unwrap_or_default();
        let local: Zoned = stamp.to_zoned(zone.rules.clone());
        Self {
            seconds: stamp.as_second(),
            hour: local.hour(),
            minute: local.minute(),
            weekday: local.weekday().to_monday_one_offset(),
            date: (local.year(), local.month(), local.day()),
            zone: zone.clone(),
        }
    }

    /// As it is written: `2026-01-31T12:00:00Z` (RFC 3339).
    #[must_use]
    pub fn written(text: &str, zone: &Zone) -> Option<Self> {
        text.parse::<Timestamp>().ok().map(|stamp| Self::at(stamp.as_second(), zone))
    }

    /// So many seconds later, in the same zone.
    #[must_use]
    pub fn after(&self, seconds: i64) -> Self {
        Self::at(self.seconds.saturating_add(seconds), &self.zone)
    }

    /// The day's name.
    pub(super) fn weekday(&self) -> &'static str {
        let index = usize::try_from(self.weekday).ok().and_then(|day| day.checked_sub(1));
        index.and_then(|day| DAYS.get(day)).copied().unwrap_or("monday")
    }

    /// `2026-01-31`
    pub(super) fn date(&self) -> String {
        let (year, month, day) = self.date;
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// `2026-01-31T12:00:00Z`, as Cedar reads it.
    pub(super) fn instant(&self) -> String {
        Timestamp::from_second(self.seconds).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// With everything nobody looks at set to nothing, so that instants that differ in it alone are one.
    pub(super) fn only(&self, parts: Parts) -> Self {
        let keep = |kept: bool, value: i8| if kept { value } else { 0 };
        Self {
            seconds: if parts.instant { self.seconds } else { 0 },
            hour: keep(parts.hour, self.hour),
            minute: keep(parts.minute, self.minute),
            weekday: keep(parts.weekday, self.weekday),
            date: if parts.date { self.date } else { (1970, 1, 1) },
            zone: self.zone.clone(),
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} {:02}:{:02} {}", self.weekday(), self.date(), self.hour, self.minute, self.zone.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_moves_the_clock_and_the_day() {
        let zone = |name| Zone::new(name, TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        // 2026-03-28 23:30 UTC, a Saturday: past midnight in Berlin, the day summer time begins.
        let seconds = 1_774_740_600;
        let utc = Moment::at(seconds, &Zone::default());
        assert_eq!((utc.hour, utc.minute, utc.weekday(), utc.date().as_str()), (23, 30, "saturday", "2026-03-28"));
        let berlin = Moment::at(seconds, &zone("Europe/Berlin"));
        assert_eq!((berlin.hour, berlin.weekday(), berlin.zone.name()), (0, "sunday", "Europe/Berlin"));
        assert_eq!(Moment::at(seconds + 3 * 3600, &zone("Europe/Berlin")).hour, 4);
        assert_eq!(berlin.instant(), "2026-03-28T23:30:00Z");
    }

    #[test]
    fn what_nobody_looks_at_makes_no_difference() {
        let at = |seconds| Moment::at(seconds, &Zone::default());
        let parts = Parts { hour: true, ..Parts::default() };
        assert_eq!(at(0).only(parts), at(3599 + 7 * 86_400).only(parts));
        assert_ne!(at(0).only(parts), at(3600).only(parts));
    }
}
