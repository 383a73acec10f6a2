//! How the store is to be kept: what of `[audit]` concerns it.

use std::path::PathBuf;
use std::time::Duration;

use super::Timestamps;
use super::request::Durability;
use super::retain::Retention;

/// Sizes, times and keys of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Name of the log and of the key that signs its checkpoints.
    pub origin: String,
    /// A segment is closed when its file is this large, bytes.
    pub segment_size: u64,
    /// A segment is closed when it is this old.
    pub segment_age: Duration,
    /// A checkpoint is signed this often while there is something new.
    pub checkpoint_every: Duration,
    /// Where checkpoints are appended besides.
    pub checkpoint_file: Option<PathBuf>,
    /// The key that signs them; `None` for the one beside the store.
    pub key_file: Option<PathBuf>,
    /// How durable every request is; `None` leaves it to what the request does.
    pub durability: Option<Durability>,
    /// What is kept of payloads.
    pub payload: PayloadLimits,
    /// What is removed, and when.
    pub retention: Retention,
    /// Whether payloads are encrypted.
    pub encrypt: bool,
    /// The key for that, unless systemd gives one.
    pub payload_key: Option<PathBuf>,
}

/// What is kept of payloads, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadLimits {
    /// Of one event.
    pub event: usize,
    /// Of one session; zero keeps none.
    pub session: u64,
}

impl Default for PayloadLimits {
    fn default() -> Self {
        Self { event: 64 * 1024, session: 0 }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            origin: "sallyport.local".to_owned(),
            segment_size: 1 << 30,
            segment_age: Duration::from_secs(86_400),
            checkpoint_every: Duration::from_secs(60),
            checkpoint_file: None,
            key_file: None,
            durability: None,
            payload: PayloadLimits::default(),
            retention: Retention::default(),
            encrypt: false,
            payload_key: None,
        }
    }
}

impl Options {
    /// Whether a segment is as large or as old as one gets. A day is counted on the boot-time clock where the host was
    /// not restarted meanwhile, so that a clock set back does not keep a segment open.
    pub(super) fn is_full_grown(&self, bytes: u64, opened: Timestamps) -> bool {
        let now = Timestamps::now();
        let age = now.wall_ns.saturating_sub(opened.wall_ns).max(0).cast_unsigned();
        let age = if now.boot_ns >= opened.boot_ns { age.max(now.boot_ns - opened.boot_ns) } else { age };
        bytes >= self.segment_size || u128::from(age) >= self.segment_age.as_nanos()
    }
}
