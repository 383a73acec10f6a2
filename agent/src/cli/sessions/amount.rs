//! Amounts as people read them, and names short enough for a line.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use jiff::Timestamp;

use super::super::when::When;

/// `1.4 MiB`.
pub(in crate::cli) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut scaled = count as f64 / 1024.0;
    let mut unit = "KiB";
    for larger in UNITS.iter().skip(1) {
        if scaled < 999.95 {
            break;
        }
        scaled /= 1024.0;
        unit = larger;
    }
    format!("{scaled:.1} {unit}")
}

/// `850us`, `12ms`, `3.4s`, `5m12s`, `2h05m`, `3d4h`.
pub(in crate::cli) fn length(nanoseconds: i64) -> String {
    let microseconds = nanoseconds.max(0) / 1000;
    let seconds = microseconds / 1_000_000;
    match seconds {
        0 if microseconds < 1000 => format!("{microseconds}us"),
        0 => format!("{}ms", microseconds / 1000),
        1..60 => format!("{seconds}.{}s", microseconds / 100_000 % 10),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Nanoseconds since 1970 on this host's clock.
pub(in crate::cli) fn time(nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(nanoseconds.into()).map_or_else(|_| nanoseconds.to_string(), When::shown)
}

/// `10.0.0.5:5432`, `[2001:db8::1]:443`; IPv4 in IPv6 clothes is shown as IPv4.
pub(in crate::cli) fn endpoint(address: &str, port: u16) -> String {
    match address.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address.to_canonical(), port).to_string(),
        Err(_) => format!("{address}:{port}"),
    }
}

/// The facts that name a process on one line.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cli) struct Who<'a> {
    /// System unit.
    pub(in crate::cli) unit: Option<&'a str>,
    /// Audit login.
    pub(in crate::cli) login: Option<&'a str>,
    /// Name of the uid.
    pub(in crate::cli) user: Option<&'a str>,
    /// The uid.
    pub(in crate::cli) uid: Option<u32>,
    /// Executable.
    pub(in crate::cli) exe: Option<&'a str>,
}

impl Who<'_> {
    /// The unit of a service; for people and what they start, `user@program`. A login's own unit
    /// (`session-3.scope`) says nothing about who it is.
    pub(in crate::cli) fn line(&self) -> String {
        if let Some(unit) = self.unit.filter(|unit| !(unit.starts_with("session-") || unit.starts_with("user@"))) {
            return unit.to_owned();
        }
        let user = self.login.or(self.user).map(str::to_owned).or_else(|| self.uid.map(|uid| uid.to_string()));
        let program = self.exe.and_then(|exe| Path::new(exe).file_name()).map(|name| name.to_string_lossy());
        match (user, program) {
            (Some(user), Some(program)) => format!("{user}@{program}"),
            (Some(user), None) => user,
            (None, Some(program)) => program.into_owned(),
            (None, None) => "-".to_owned(),
        }
    }
}

/// `1 record`, `2 records`.
pub fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        for (count, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            (184 << 20, "184.0 MiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes(count), expected, "{count}");
        }
    }

    #[test]
    fn lengths() {
        for (nanoseconds, expected) in [
            (-5, "0us"),
            (0, "0us"),
            (850_999, "850us"),
            (12_345_678, "12ms"),
            (3_450_000_000, "3.4s"),
            (312_000_000_000, "5m12s"),
            (7_500_000_000_000, "2h05m"),
            (273_600_000_000_000, "3d4h"),
        ] {
            assert_eq!(length(nanoseconds), expected, "{nanoseconds}");
        }
    }

    #[test]
    fn names() {
        let service = Who { unit: Some("nightly.service"), user: Some("root"), ..Who::default() };
        assert_eq!(service.line(), "nightly.service");
        let person = Who {
            unit: Some("session-3.scope"),
            login: Some("ada"),
            user: Some("root"),
            uid: Some(0),
            exe: Some("/usr/bin/psql"),
        };
        assert_eq!(person.line(), "ada@psql");
        assert_eq!(Who { login: None, user: None, ..person }.line(), "0@psql");
        assert_eq!(Who { uid: None, login: None, user: None, exe: None, ..person }.line(), "-");
        assert_eq!(endpoint("::ffff:10.0.0.5", 5432), "10.0.0.5:5432");
        assert_eq!(endpoint("2001:db8::1", 443), "[2001:db8::1]:443");
        assert_eq!(endpoint("odd", 1), "odd:1");
    }
}
