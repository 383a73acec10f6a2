//! What is said over the control socket.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::approvals::{ApprovalsRequest, ApprovalsResponse, GlassLine};
use crate::config::{Fail, Mode, ScopeName};

/// Longest line either side accepts; a status of 255 scopes is under 48 KiB.
pub const MAX_LINE: usize = 64 * 1024;

/// What an operator asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// What is attached, in scope, in flight.
    Status,
    /// Open or close scopes.
    Bypass(BypassRequest),
    /// Read the policies again now.
    ReloadPolicies,
    /// Answered at the approvals' socket only.
    Approvals(ApprovalsRequest),
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "snake_case")]
pub enum Response {
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::Bypass`]: the scopes it touched, as they are now.
    Bypassed {
        /// One entry a scope.
        scopes: Vec<OpenScope>,
    },
    /// To [`Request::ReloadPolicies`]: they are good, and hold.
    PoliciesReloaded {
        /// How many.
        policies: u64,
        /// Digest of the set, hexadecimal.
        version: String,
    },
    /// To [`Request::Approvals`].
    Approvals(Box<ApprovalsResponse>),
    /// The request was understood and not carried out.
    Refused {
        /// One sentence for the operator.
        message: String,
    },
    /// Whoever asks may not; the connection closes.
    Forbidden {
        /// One sentence for the operator.
        message: String,
    },
    /// The request was not understood; the connection closes.
    Malformed {
        /// One sentence for the operator.
        message: String,
    },
}

/// Which scopes a request is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeChoice {
    /// Every configured scope.
    All,
    /// One.
    Named(ScopeName),
}

/// Open or close scopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BypassRequest {
    /// Which.
    pub scope: ScopeChoice,
    /// What to do.
    pub bypass: Bypass,
}

/// What to do with a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Bypass {
    /// Let its connections pass undiverted for a while.
    Open {
        /// How long from now.
        seconds: BypassLength,
        /// Why; recorded.
        reason: Reason,
    },
    /// End an earlier opening now.
    Close {
        /// Why, if there is more to say; recorded.
        reason: Option<Reason>,
    },
}

/// How long a scope may be opened: one second to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct BypassLength(u64);

impl BypassLength {
    /// Nobody remembers next week what was opened today.
    pub const MAX: Duration = Duration::from_secs(24 * 3600);

    /// `None` outside one second to [`Self::MAX`]; parts of a second are dropped.
    pub fn new(length: Duration) -> Option<Self> {
        (Duration::from_secs(1)..=Self::MAX).contains(&length).then_some(Self(length.as_secs()))
    }

    /// The length.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl TryFrom<u64> for BypassLength {
    type Error = &'static str;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        Self::new(Duration::from_secs(seconds)).ok_or("a bypass lasts from one second to 24 hours")
    }
}

impl From<BypassLength> for u64 {
    fn from(length: BypassLength) -> Self {
        length.0
    }
}

/// Why an operator does something: some text, on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

impl Reason {
    /// Longest reason, in bytes.
    pub const MAX: usize = 1000;

    /// Trims; `None` when nothing is left, when it is too long or not one line of plain text.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = !text.is_empty() && text.len() <= Self::MAX && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Reason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text).ok_or("a reason is one line of 1 to 1000 bytes")
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

/// The daemon as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Of the daemon, which need not be that of the command that asks.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since it was ready.
    pub uptime_seconds: u64,
    /// The proxy's port.
    pub listener_port: u16,
    /// Attached programs, by name, in the order of a packet's life.
    pub hooks: Vec<String>,
    /// In the configuration's order.
    pub scopes: Vec<ScopeStatus>,
    /// Flows open now.
    pub live_flows: u64,
    /// Sums over all processors, by `sallyport_ebpf::Counter` in `snake_case`.
    pub counters: BTreeMap<String, u64>,
    /// Reports the kernel half had no room for.
    pub lost_events: u64,
    /// Requests that wait for approval.
    pub pending_approvals: u64,
    /// Every break-glass that holds.
    pub break_glass: Vec<GlassLine>,
}

/// One scope as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeStatus {
    /// Its name.
    pub name: ScopeName,
    /// Refuse or only report.
    pub mode: Mode,
    /// Without the daemon.
    pub fail: Fail,
    /// Until when it is open by `bypass`: seconds since 1970.
    pub open_until: Option<i64>,
}

/// A scope after a bypass request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenScope {
    /// Its name.
    pub name: ScopeName,
    /// Until when it is open: seconds since 1970; absent when closed.
    pub open_until: Option<i64>,
}

/// What a daemon that is gone left in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedState {
    /// Pinned programs and maps, by file name below the pin directory.
    pub pins: Vec<String>,
    /// Scopes the pinned maps still hold.
    pub scopes: Vec<ScopeStatus>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<Request, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn requests_read() {
        assert_eq!(request(r#"{"request":"status"}"#).unwrap(), Request::Status);
        let open =
            r#"{"request":"bypass","scope":{"named":"jobs"},"bypass":{"open":{"seconds":60,"reason":"upgrade"}}}"#;
        let expected = Request::Bypass(BypassRequest {
            scope: ScopeChoice::Named(ScopeName::new("jobs").unwrap()),
            bypass: Bypass::Open {
                seconds: BypassLength::new(Duration::from_secs(60)).unwrap(),
                reason: Reason::new("upgrade").unwrap(),
            },
        });
        assert_eq!(request(open).unwrap(), expected);
        assert_eq!(request(&serde_json::to_string(&expected).unwrap()).unwrap(), expected);
    }

    #[test]
    fn requests_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"request":"reboot"}"#,
            r#"{"request":"bypass"}"#,
            r#"{"request":"bypass","scope":"all","bypass":{"open":{"seconds":0,"reason":"x"}}}"#,
            r#"{"request":"bypass","scope":"all","bypass":{"open":{"seconds":86401,"reason":"x"}}}"#,
            r#"{"request":"bypass","scope":"all","bypass":{"open":{"seconds":60,"reason":"  "}}}"#,
            r#"{"request":"bypass","scope":"all","bypass":{"open":{"seconds":60}}}"#,
            r#"{"request":"bypass","scope":"all","bypass":{"open":{"seconds":60,"reason":"a\nb"}}}"#,
            r#"{"request":"bypass","scope":{"named":"No Such"},"bypass":{"close":{"reason":null}}}"#,
            r#"{"request":"bypass","scope":"all","bypass":{"close":{}},"as":"root"}"#,
        ] {
            assert!(request(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reasons() {
        assert_eq!(Reason::new("  db upgrade ").unwrap().as_str(), "db upgrade");
        for text in ["", " \t", "a\nb", "\u{1b}[31m"] {
            assert_eq!(Reason::new(text), None, "{text:?}");
        }
        assert!(Reason::new(&"x".repeat(1000)).is_some());
        assert!(Reason::new(&"x".repeat(1001)).is_none());
    }
}
