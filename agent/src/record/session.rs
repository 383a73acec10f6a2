//! What is recorded of one connection: when it begins, and when it ends.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::identity::Identity;

/// Name of one session: a UUID of version 7 (RFC 9562), so names sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Uuid);

impl SessionId {
    pub(super) fn now() -> Self {
        Self(Uuid::now_v7())
    }

    pub(super) fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for SessionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One instant on two clocks: the wall's, for people, and the boot-time clock, which never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamps {
    /// Nanoseconds since 1970, UTC.
    pub wall_ns: i64,
    /// Nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`): the clock of the kernel half.
    pub boot_ns: u64,
}

impl Timestamps {
    /// Reads both clocks.
    #[must_use]
    pub fn now() -> Self {
        let nanoseconds = |clock| {
            let t = clock_gettime(clock);
            t.tv_sec.saturating_mul(1_000_000_000).saturating_add(t.tv_nsec)
        };
        Self { wall_ns: nanoseconds(ClockId::Realtime), boot_ns: nanoseconds(ClockId::Boottime).cast_unsigned() }
    }
}

/// What is spoken in a session, as far as it is known when the session begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Plain TCP.
    Tcp,
    /// Multipath TCP (RFC 8684), asked for by the client.
    Mptcp,
    /// PostgreSQL, by either of these: a target says so.
    Postgres,
}

impl Protocol {
    /// The name used in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Mptcp => "mptcp",
            Self::Postgres => "postgres",
        }
    }
}

/// What policy said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It may.
    Allow,
    /// It may not, and did not.
    Deny,
    /// It may not; the scope only observes, so it did.
    WouldDeny,
    /// It waits for a person.
    Held,
}

impl Decision {
    /// The name used in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::WouldDeny => "would-deny",
            Self::Held => "held",
        }
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Deny => 1,
            Self::WouldDeny => 2,
            Self::Held => 3,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        [Self::Allow, Self::Deny, Self::WouldDeny, Self::Held].into_iter().find(|decision| decision.code() == code)
    }
}

/// A connection that is about to be answered.
#[derive(Clone, Debug)]
pub struct SessionStart {
    /// Who opened it.
    pub identity: Arc<Identity>,
    /// Name of the scope it belongs to.
    pub scope: Option<String>,
    /// What is spoken.
    pub protocol: Protocol,
    /// The client's own address.
    pub client: SocketAddr,
    /// Where it was going.
    pub destination: SocketAddr,
    /// Cookie of the client's network namespace.
    pub netns: u64,
    /// What policy said.
    pub decision: Decision,
    /// When the client asked.
    pub started: Timestamps,
    /// What is known besides; seldom anything when the connection begins.
    pub extra: SessionExtra,
}

/// What is known of some sessions only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionExtra {
    /// The person the workload acts for.
    pub person: Option<String>,
    /// Name of the configured target.
    pub target: Option<String>,
    /// Versions, names and certificates of TLS on both sides: a JSON object.
    pub tls: Option<String>,
    /// Ids of the policies that decided: a JSON array.
    pub policies: Option<String>,
    /// Tags for retention, separated by blanks.
    pub tags: Option<String>,
}

impl SessionExtra {
    /// In the order of the table's columns.
    pub(super) fn columns(&self) -> [Option<&str>; 5] {
        [&self.person, &self.target, &self.tls, &self.policies, &self.tags].map(Option::as_deref)
    }

    pub(super) fn from_columns([person, target, tls, policies, tags]: [Option<String>; 5]) -> Self {
        Self { person, target, tls, policies, tags }
    }
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEnd {
    /// Bytes from the client to the destination.
    pub bytes_out: u64,
    /// Bytes from the destination to the client.
    pub bytes_in: u64,
    /// In one word.
    pub outcome: Outcome,
    /// In a sentence, for the operator.
    pub detail: Option<String>,
    /// When.
    pub ended: Timestamps,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Both sides closed in order.
    Completed,
    /// The client reset.
    ClientReset,
    /// The destination reset.
    UpstreamReset,
    /// The destination refused the connection.
    UpstreamRefused,
    /// The destination did not answer in time.
    UpstreamTimeout,
    /// No route to the destination.
    UpstreamUnreachable,
    /// Nothing moved for too long.
    IdleTimeout,
    /// Ended by the daemon's own stop.
    Drained,
    /// Not something the proxy serves, such as its own address.
    Refused,
    /// Denied by policy.
    Denied,
    /// The daemon could not go on.
    Failed,
    /// The daemon was killed while it was open; found later.
    Interrupted,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 12] = [
        Self::Completed,
        Self::ClientReset,
        Self::UpstreamReset,
        Self::UpstreamRefused,
        Self::UpstreamTimeout,
        Self::UpstreamUnreachable,
        Self::IdleTimeout,
        Self::Drained,
        Self::Refused,
        Self::Denied,
        Self::Failed,
        Self::Interrupted,
    ];

    /// The name used in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::ClientReset => "client-reset",
            Self::UpstreamReset => "upstream-reset",
            Self::UpstreamRefused => "upstream-refused",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::UpstreamUnreachable => "upstream-unreachable",
            Self::IdleTimeout => "idle-timeout",
            Self::Drained => "drained",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}
