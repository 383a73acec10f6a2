//! What is recorded besides sessions: refused attempts, and what the daemon itself did.

use std::net::SocketAddr;
use std::sync::Arc;

use sallyport_ebpf as abi;
use serde::Serialize;

use super::{Decision, SessionId, Timestamps};
use crate::identity::Identity;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A managed process asked for something that was refused.
    Refused,
    /// A packet of a managed socket was dropped on its way out.
    Dropped,
    /// A managed process sent on a socket opened outside every scope.
    ForeignSocket,
    /// A managed process tried to leave its scope.
    Escaped,
    /// A connection passed undiverted because its scope fails open.
    FailedOpen,
    /// A connection passed undiverted because its scope is open by `bypass`.
    Bypassed,
    /// No identity could be established.
    Unattested,
    /// The daemon is ready.
    Started,
    /// The daemon ends.
    Stopped,
    /// The daemon took over programs an earlier one left attached.
    Adopted,
    /// A connection older than the programs was closed.
    Swept,
    /// An operator opened a scope.
    BypassOpened,
    /// That opening ended.
    BypassClosed,
    /// An operator detached the programs.
    Detached,
    /// The configuration was read again.
    Reloaded,
    /// Reports were lost; the count says how many.
    Lost,
    /// Who acts, or for whom, is another from here on.
    IdentityChanged,
    /// Another set of policies decides from here on.
    PolicyChanged,
    /// Another set of policies was refused, and the one of before goes on deciding.
    PolicyRejected,
    /// Something went on although it could not be recorded; the count says how often.
    Unrecorded,
    /// The wall clock was set back.
    ClockStepped,
    /// A segment was found damaged, and set aside.
    StoreDamaged,
    /// An old segment was removed; what stands for it is in the detail.
    Pruned,
    /// A segment may not be removed from here on.
    HoldPlaced,
    /// It may again.
    HoldLifted,
    /// Checkpoints are signed with another key from here on.
    KeyRotated,
    /// Root lets somebody through without approval for a while.
    BreakGlassOpened,
    /// That ended.
    BreakGlassClosed,
    /// A receiver outside could not be told of something.
    NotificationFailed,
}

impl EventKind {
    /// The name used in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Dropped => "dropped",
            Self::ForeignSocket => "foreign-socket",
            Self::Escaped => "escaped",
            Self::FailedOpen => "failed-open",
            Self::Bypassed => "bypassed",
            Self::Unattested => "unattested",
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Adopted => "adopted",
            Self::Swept => "swept",
            Self::BypassOpened => "bypass-opened",
            Self::BypassClosed => "bypass-closed",
            Self::Detached => "detached",
            Self::Reloaded => "reloaded",
            Self::Lost => "lost",
            Self::IdentityChanged => "identity-changed",
            Self::PolicyChanged => "policy-changed",
            Self::PolicyRejected => "policy-rejected",
            Self::Unrecorded => "unrecorded",
            Self::ClockStepped => "clock-stepped",
            Self::StoreDamaged => "store-damaged",
            Self::Pruned => "pruned",
            Self::HoldPlaced => "hold-placed",
            Self::HoldLifted => "hold-lifted",
            Self::KeyRotated => "key-rotated",
            Self::BreakGlassOpened => "break-glass-opened",
            Self::BreakGlassClosed => "break-glass-closed",
            Self::NotificationFailed => "notification-failed",
        }
    }
}

/// One event, or several alike made into one.
#[derive(Clone, Debug)]
pub struct EventRecord {
    /// What happened.
    pub kind: EventKind,
    /// Which hook of the kernel half saw it.
    pub hook: Option<abi::Hook>,
    /// What was decided, where something was.
    pub decision: Option<Decision>,
    /// Name of the scope.
    pub scope: Option<String>,
    /// Who did it, when that could be established.
    pub identity: Option<Arc<Identity>>,
    /// Who did it, as the kernel saw it, when [`EventRecord::identity`] is not known.
    pub task: Option<abi::Task>,
    /// `IPPROTO_*`.
    pub protocol: Option<u16>,
    /// Where it was going.
    pub destination: Option<SocketAddr>,
    /// How many were made into this one.
    pub count: u64,
    /// When the first of them happened.
    pub first: Timestamps,
    /// When the last of them happened.
    pub last: Timestamps,
    /// In a sentence, for the operator.
    pub detail: Option<String>,
    /// The session it happened in.
    pub session: Option<SessionId>,
    /// For machines, a JSON object.
    pub data: Option<String>,
}

impl EventRecord {
    /// Whether it is about the daemon or an operator's deed: recorded even when there is room for nothing else.
    pub(super) fn is_vital(&self) -> bool {
        matches!(
            self.kind,
            EventKind::Started
                | EventKind::Stopped
                | EventKind::Adopted
                | EventKind::BypassOpened
                | EventKind::BypassClosed
                | EventKind::BreakGlassOpened
                | EventKind::BreakGlassClosed
                | EventKind::Detached
                | EventKind::Unrecorded
                | EventKind::Pruned
        )
    }

    /// One event at one instant; the rest is filled in with `EventRecord { scope, ..EventRecord::new(kind, at) }`.
    #[must_use]
    pub fn new(kind: EventKind, at: Timestamps) -> Self {
        Self {
            kind,
            hook: None,
            decision: None,
            scope: None,
            identity: None,
            task: None,
            protocol: None,
            destination: None,
            count: 1,
            first: at,
            last: at,
            detail: None,
            session: None,
            data: None,
        }
    }
}

/// The name a hook has in records.
#[must_use]
pub fn hook_name(hook: abi::Hook) -> &'static str {
    match hook {
        abi::Hook::SockCreate => "sock_create",
        abi::Hook::Bind => "bind",
        abi::Hook::Connect4 => "connect4",
        abi::Hook::Connect6 => "connect6",
        abi::Hook::Sendmsg4 => "sendmsg4",
        abi::Hook::Sendmsg6 => "sendmsg6",
        abi::Hook::SockOps => "sock_ops",
        abi::Hook::Egress => "egress",
        abi::Hook::Setsockopt => "setsockopt",
        abi::Hook::Device => "device",
        abi::Hook::Lsm => "lsm",
        abi::Hook::Migrate => "migrate",
    }
}
