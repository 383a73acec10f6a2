//! Dates, times and intervals (`datetime.c`, `timestamp.c`, `date.c`): microseconds and days since 2000-01-01.

use super::super::wire::Reader;
use super::{Bad, Result};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Days from 0000-03-01, where the calendar's cycle of 400 years begins, to 2000-01-01.
const CYCLE_TO_2000: i64 = 730_425;
/// Days of 400 years.
const CYCLE: i64 = 146_097;

pub(super) fn read_date(reader: &mut Reader<'_>) -> Result<String, Bad> {
    Ok(match reader.i32()? {
        i32::MAX => "infinity".to_owned(),
        i32::MIN => "-infinity".to_owned(),
        days => {
            let (date, era) = date(i64::from(days));
            date + era
        }
    })
}

pub(super) fn write_date(text: &str) -> Option<Vec<u8>> {
    let days = match text {
        "infinity" => i32::MAX,
        "-infinity" => i32::MIN,
        text => i32::try_from(parse_date(text)?).ok()?,
    };
    Some(days.to_be_bytes().to_vec())
}

/// `2026-01-31`, and what follows everything if it is before our era.
fn date(days: i64) -> (String, &'static str) {
    let days = days + CYCLE_TO_2000;
    let (cycle, day) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March on.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + cycle * 400 + next;
    let (year, era) = if year <= 0 { (1 - year, " BC") } else { (year, "") };
    (format!("{year:04}-{month:02}-{day:02}"), era)
}

/// Days since 2000-01-01.
fn parse_date(text: &str) -> Option<i64> {
    let (text, before) = text.strip_suffix(" BC").map_or((text, false), |text| (text, true));
    let mut parts = text.split('-');
    let (year, month, day) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    let year = if before { 1 - year } else { year };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if parts.next().is_some() || !(1..=longest).contains(&day) || (!before && year == 0) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (cycle, of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
    let days = cycle * CYCLE + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + (153 * month + 2) / 5 + day - 1;
    Some(days - CYCLE_TO_2000)
}

/// A number of digits alone, at most nine.
fn number(text: &str) -> Option<i64> {
    let digits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// `04:05:06.789` of not negative microseconds.
fn clock(micros: u64) -> String {
    let [second, minute, hour] = [SECOND, MINUTE, HOUR].map(i64::unsigned_abs);
    let text = format!("{:02}:{:02}:{:02}", micros / hour, micros % hour / minute, micros % minute / second);
    match micros % second {
        0 => text,
        fraction => format!("{text}.{fraction:06}").trim_end_matches('0').to_owned(),
    }
}

fn parse_clock(text: &str) -> Option<i64> {
    let (text, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = text.split(':');
    let (hours, minutes) = (number(parts.next()?)?, number(parts.next()?)?);
    let seconds = parts.next().map_or(Some(0), number)?;
    if parts.next().is_some() || minutes > 59 || seconds > 59 || fraction.len() > 6 {
        return None;
    }
    let micros = number(&format!("{fraction:0<6}"))?;
    hours.checked_mul(HOUR)?.checked_add(minutes * MINUTE + seconds * SECOND + micros)
}

/// A time of day, at most 24:00:00.
fn time_of_day(reader: &mut Reader<'_>) -> Result<u64, Bad> {
    let micros = i64::from_be_bytes(reader.array()?);
    if (0..=DAY).contains(&micros) { Ok(micros.unsigned_abs()) } else { Err(Bad) }
}

pub(super) fn read_time(reader: &mut Reader<'_>) -> Result<String, Bad> {
    time_of_day(reader).map(clock)
}

pub(super) fn write_time(text: &str) -> Option<Vec<u8>> {
    let micros = parse_clock(text).filter(|micros| *micros <= DAY)?;
    Some(micros.to_be_bytes().to_vec())
}

pub(super) fn read_timetz(reader: &mut Reader<'_>) -> Result<String, Bad> {
    let time = time_of_day(reader)?;
    // Seconds to the west.
    let west = reader.i32()?;
    let (sign, size) = (if west > 0 { '-' } else { '+' }, west.unsigned_abs());
    if size > 16 * 3600 {
        return Err(Bad);
    }
    let (hours, minutes, seconds) = (size / 3600, size % 3600 / 60, size % 60);
    Ok(match (minutes, seconds) {
        (0, 0) => format!("{}{sign}{hours:02}", clock(time)),
        (_, 0) => format!("{}{sign}{hours:02}:{minutes:02}", clock(time)),
        _ => format!("{}{sign}{hours:02}:{minutes:02}:{seconds:02}", clock(time)),
    })
}

pub(super) fn write_timetz(text: &str) -> Option<Vec<u8>> {
    let (time, west) = split_zone(text)?;
    let micros = parse_clock(time).filter(|micros| *micros <= DAY)?;
    let mut out = micros.to_be_bytes().to_vec();
    out.extend_from_slice(&i32::try_from(west).ok()?.to_be_bytes());
    Some(out)
}

/// What is before a zone, and its seconds to the west.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    let (before, zone) = text.split_at_checked(text.rfind(['+', '-'])?)?;
    let (west, zone) = zone.strip_prefix('-').map_or((-1, zone.strip_prefix('+')), |zone| (1, Some(zone)));
    let mut seconds = 0;
    for (part, unit) in zone?.split(':').zip([3600, 60, 1, 0]) {
        seconds += number(part).filter(|value| unit > 0 && (unit == 3600 || *value < 60))? * unit;
    }
    (seconds <= 16 * 3600).then_some((before, west * seconds))
}

pub(super) fn read_timestamp(reader: &mut Reader<'_>, zone: &str) -> Result<String, Bad> {
    Ok(match i64::from_be_bytes(reader.array()?) {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        micros => {
            let (date, era) = date(micros.div_euclid(DAY));
            format!("{date} {}{zone}{era}", clock(micros.rem_euclid(DAY).unsigned_abs()))
        }
    })
}

pub(super) fn write_timestamp(text: &str, zoned: bool) -> Option<Vec<u8>> {
    let micros = match text {
        "infinity" => i64::MAX,
        "-infinity" => i64::MIN,
        text => {
            let (text, era) = text.strip_suffix(" BC").map_or((text, ""), |text| (text, " BC"));
            let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
            let (time, west) = match (zoned, split_zone(time)) {
                (true, Some(zone)) => zone,
                (true, None) => (time.strip_suffix('Z').unwrap_or(time), 0),
                (false, _) => (time, 0),
            };
            let time = parse_clock(time).filter(|micros| *micros <= DAY)?;
            let days = parse_date(&format!("{date}{era}"))?;
            days.checked_mul(DAY)?.checked_add(time)?.checked_add(west * SECOND)?
        }
    };
    Some(micros.to_be_bytes().to_vec())
}

pub(super) fn read_interval(reader: &mut Reader<'_>) -> Result<String, Bad> {
    let micros = i64::from_be_bytes(reader.array()?);
    let (days, months) = (reader.i32()?, reader.i32()?);
    match (micros, days, months) {
        (i64::MAX, i32::MAX, i32::MAX) => return Ok("infinity".to_owned()),
        (i64::MIN, i32::MIN, i32::MIN) => return Ok("-infinity".to_owned()),
        _ => {}
    }
    let (mut text, mut before) = (String::new(), false);
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value != 0 {
            let blank = if text.is_empty() { "" } else { " " };
            let plus = if before && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            text.push_str(&format!("{blank}{plus}{value} {unit}{plural}"));
            before = value < 0;
        }
    }
    if micros != 0 || text.is_empty() {
        let blank = if text.is_empty() { "" } else { " " };
        let sign = if micros < 0 {
            "-"
        } else if before {
            "+"
        } else {
            ""
        };
        text.push_str(&format!("{blank}{sign}{}", clock(micros.unsigned_abs())));
    }
    Ok(text)
}

pub(super) fn write_interval(text: &str) -> Option<Vec<u8>> {
    let out = |micros: i64, days: i32, months: i32| {
        [&micros.to_be_bytes()[..], &days.to_be_bytes(), &months.to_be_bytes()].concat()
    };
    match text {
        "infinity" => return Some(out(i64::MAX, i32::MAX, i32::MAX)),
        "-infinity" => return Some(out(i64::MIN, i32::MIN, i32::MIN)),
        "" => return None,
        _ => {}
    }
    let (mut micros, mut days, mut months) = (0_i64, 0_i32, 0_i32);
    let mut words = text.split(' ');
    while let Some(word) = words.next() {
        if word.contains(':') {
            let (sign, time) = word.strip_prefix('-').map_or((1, word.trim_start_matches('+')), |rest| (-1, rest));
            micros = micros.checked_add(sign * parse_clock(time)?)?;
            continue;
        }
        let value: i32 = word.parse().ok()?;
        match words.next()? {
            "year" | "years" => months = months.checked_add(value.checked_mul(12)?)?,
            "mon" | "mons" | "month" | "months" => months = months.checked_add(value)?,
            "day" | "days" => days = days.checked_add(value)?,
            _ => return None,
        }
    }
    Some(out(micros, days, months))
}
