//! The daemon's own log: to the journal where there is one, else lines on stderr.
//!
//! What the log may hold is decided where it is written: no credential, no statement, no result.

use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::{env, fs};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::{Level, Log, Telemetry};

/// Starts logging as `config` says. A second call in one process changes nothing.
pub fn start(config: &Telemetry) {
    let output = match config.log {
        Log::Auto if stderr_is_journal() => journal(),
        Log::Auto | Log::Text => text(),
        Log::Journald => journal(),
        Log::Json => fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed(),
    };
    let _ = tracing_subscriber::registry().with(output.with_filter(filter(config.level))).try_init();
}

/// Libraries speak up only about what may be wrong: their details are no operator's business.
fn filter(level: Level) -> Targets {
    let own = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(own.min(LevelFilter::WARN)).with_target("sallyport", own)
}

type Output = Box<dyn Layer<Registry> + Send + Sync>;

fn text() -> Output {
    let colour = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    fmt::layer().with_ansi(colour).with_target(false).with_writer(io::stderr).boxed()
}

/// Without a journal to write to, lines on stderr are better than silence.
fn journal() -> Output {
    match tracing_journald::layer() {
        Ok(layer) => layer.with_syslog_identifier("sallyport".to_owned()).with_field_prefix(None).boxed(),
        Err(_) => text(),
    }
}

/// Whether stderr goes to the journal: `$JOURNAL_STREAM` names its device and inode (systemd.exec(5)).
fn stderr_is_journal() -> bool {
    let told = env::var("JOURNAL_STREAM").ok();
    let found = fs::metadata("/proc/self/fd/2").ok().map(|stderr| (stderr.dev(), stderr.ino()));
    told.as_deref().and_then(stream_id).is_some_and(|told| found == Some(told))
}

fn stream_id(text: &str) -> Option<(u64, u64)> {
    let (device, inode) = text.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use tracing::Level as Severity;

    use super::*;

    #[test]
    fn journal_streams() {
        assert_eq!(stream_id("9:12345"), Some((9, 12345)));
        for text in ["", "9", "9:", ":1", "a:b", "9:1:2"] {
            assert_eq!(stream_id(text), None, "{text}");
        }
    }

    #[test]
    fn libraries_keep_quiet() {
        let filter = filter(Level::Debug);
        assert!(filter.would_enable("sallyport::proxy", &Severity::DEBUG));
        assert!(!filter.would_enable("sallyport::proxy", &Severity::TRACE));
        assert!(!filter.would_enable("mio::poll", &Severity::INFO));
        assert!(filter.would_enable("mio::poll", &Severity::WARN));
        assert!(!self::filter(Level::Error).would_enable("mio::poll", &Severity::WARN));
    }
}
