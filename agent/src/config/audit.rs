//! `[audit]`: what is recorded, how durably, for how long.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::check::{DAY, MINUTE, SECOND, choice, directory, length};
use super::duration::duration;
use super::error::{Problems, quoted};
use super::raw::{RawAudit, Setting};
use super::valid::Tag;

/// `[audit]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// What happens to what cannot be recorded.
    pub on_failure: OnFailure,
    /// When requests go on, unless it is left to what they do.
    pub durability: Durability,
    /// A segment of the store is closed when it is this large, bytes.
    pub segment_size: u64,
    /// A segment of the store is closed when it is this old.
    pub segment_age: Duration,
    /// Checkpoints are signed this often while there is something new.
    pub checkpoint_every: Duration,
    /// Where they are appended besides.
    pub checkpoint_file: Option<PathBuf>,
    /// The key that signs them; `None` for the one beside the store.
    pub key_file: Option<PathBuf>,
    /// Bytes of payload kept of one event.
    pub payload_per_event: u64,
    /// Bytes of payload kept of one session; zero keeps none.
    pub payload_per_session: u64,
    /// Whether payloads are encrypted.
    pub encrypt_payload: bool,
    /// The key for that, unless systemd gives one.
    pub payload_key: Option<PathBuf>,
    /// Segments are removed when they are this old; `None` keeps them.
    pub keep: Option<Duration>,
    /// The oldest segments are removed when all are larger than this together, bytes.
    pub keep_size: Option<u64>,
    /// Segments with sessions of these tags are kept at least so long.
    pub keep_tagged: Vec<(Tag, Duration)>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            on_failure: OnFailure::default(),
            durability: Durability::default(),
            segment_size: 1 << 30,
            segment_age: DAY,
            checkpoint_every: MINUTE,
            checkpoint_file: None,
            key_file: None,
            payload_per_event: 64 << 10,
            payload_per_session: 0,
            encrypt_payload: false,
            payload_key: None,
            keep: None,
            keep_size: None,
            keep_tagged: Vec::new(),
        }
    }
}

/// What happens to a flow that cannot be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It stops.
    #[default]
    Deny,
    /// It goes on, and the daemon says so in its log.
    Allow,
}

/// When a request goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// What changes data waits for the disk, what reads does not.
    #[default]
    ByRequest,
    /// Everything waits for the disk.
    BeforeForward,
    /// Nothing does.
    Batched,
}

pub(super) fn check(raw: &RawAudit, problems: &mut Problems) -> Audit {
    let default = Audit::default();
    let on_failure = &[("deny", OnFailure::Deny), ("allow", OnFailure::Allow)];
    let durability = &[
        ("by-request", Durability::ByRequest),
        ("before-forward", Durability::BeforeForward),
        ("batched", Durability::Batched),
    ];
    let switch = &[("no", false), ("yes", true)];
    let mut file = |key, setting: &Setting<String>| setting.as_ref().and_then(|path| directory(key, path, problems));
    let checkpoint_file = file("checkpoint_file", &raw.checkpoint_file);
    let key_file = file("key_file", &raw.key_file);
    let payload_key = file("payload_key", &raw.payload_key);
    let mut amount = |key, setting: &Setting<String>, range| size(key, setting, range, problems);
    let segment_size = amount("segment_size", &raw.segment_size, 64 << 10..=1 << 40);
    let payload_per_event = amount("payload_per_event", &raw.payload_per_event, 0..=16 << 20);
    let payload_per_session = amount("payload_per_session", &raw.payload_per_session, 0..=1 << 40);
    let keep_size = amount("keep_size", &raw.keep_size, 1 << 20..=u64::MAX);
    Audit {
        on_failure: choice("on_failure", &raw.on_failure, on_failure, problems),
        durability: choice("durability", &raw.durability, durability, problems),
        segment_size: segment_size.unwrap_or(default.segment_size),
        segment_age: length("segment_age", &raw.segment_age, SECOND..=400 * DAY, problems)
            .unwrap_or(default.segment_age),
        checkpoint_every: length("checkpoint_every", &raw.checkpoint_every, SECOND / 10..=DAY, problems)
            .unwrap_or(default.checkpoint_every),
        checkpoint_file,
        key_file,
        payload_per_event: payload_per_event.unwrap_or(default.payload_per_event),
        payload_per_session: payload_per_session.unwrap_or(default.payload_per_session),
        encrypt_payload: choice("encrypt_payload", &raw.encrypt_payload, switch, problems),
        payload_key,
        keep: length("keep", &raw.keep, MINUTE..=36_500 * DAY, problems),
        keep_size,
        keep_tagged: raw.keep_tagged.iter().filter_map(|entry| tagged(entry, problems)).collect(),
    }
}

/// `TAG=LENGTH`.
fn tagged(entry: &toml::Spanned<String>, problems: &mut Problems) -> Option<(Tag, Duration)> {
    let found = entry.get_ref().split_once('=').and_then(|(tag, kept)| {
        let kept = duration(kept).ok()?;
        Some((Tag::new(tag.trim())?, kept))
    });
    if found.is_none() {
        let message = format!("{} says of no tag how long it is kept", quoted(entry.get_ref()));
        problems.add(entry.span(), message, Some("write it like \"pci=2555d\"".to_owned()));
    }
    found
}

const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

fn size(key: &str, setting: &Setting<String>, range: RangeInclusive<u64>, problems: &mut Problems) -> Option<u64> {
    let text = setting.as_ref()?;
    let Some(bytes) = bytes(text.get_ref()) else {
        let help = Some("write it like \"64KiB\", \"16MiB\" or \"1GiB\"".to_owned());
        problems.add(text.span(), format!("`{key}` is not a size"), help);
        return None;
    };
    if range.contains(&bytes) {
        return Some(bytes);
    }
    let (least, most) = (range.start(), range.end());
    problems.add(text.span(), format!("`{key}` must be from {least} to {most} bytes"), None);
    None
}

fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    if text == "0" {
        return Some(0);
    }
    let (unit, scale) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
    text.strip_suffix(unit)?.trim_end().parse::<u64>().ok()?.checked_mul(*scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        for (text, expected) in [
            ("0", Some(0)),
            ("64KiB", Some(65_536)),
            ("16 MiB", Some(16 << 20)),
            ("1GB", Some(1_000_000_000)),
            ("5B", Some(5)),
            ("5", None),
            ("MiB", None),
            ("1.5GiB", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
