//! What is said over the approvals' socket.

use serde::{Deserialize, Serialize};

use super::protocol::Reason;
use crate::approve::{About, Effect, Extent, Length, Whom};
use crate::policy::Approval;
use crate::record::ApprovalState;

/// What an approver asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ApprovalsRequest {
    /// What waits, oldest first, in pages.
    List {
        /// The last one of the page before.
        after: Option<String>,
        /// With what was settled lately.
        settled: bool,
    },
    /// Everything about one.
    Show {
        /// Its name, or how that begins.
        id: String,
    },
    /// Say yes.
    Approve {
        /// Its name, or how that begins.
        id: String,
        /// How much.
        extent: Extent,
        /// Why.
        reason: Option<Reason>,
    },
    /// Say no; or end what was granted.
    Deny {
        /// Its name, or how that begins.
        id: String,
        /// Why.
        reason: Reason,
    },
    /// Let somebody through for a while without approval; root only.
    BreakGlass {
        /// Whom.
        whom: Whom,
        /// How long.
        seconds: Length,
        /// Why.
        reason: Reason,
    },
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "kebab-case")]
pub enum ApprovalsResponse {
    /// To [`ApprovalsRequest::List`].
    Page {
        /// As many as fit.
        approvals: Vec<ApprovalLine>,
        /// Whether there are more.
        more: bool,
        /// Every break-glass that holds.
        break_glass: Vec<GlassLine>,
    },
    /// To [`ApprovalsRequest::Show`].
    Shown(Box<ApprovalShown>),
    /// To [`ApprovalsRequest::Approve`] and [`ApprovalsRequest::Deny`].
    Decided {
        /// The whole name.
        id: String,
        /// What it came to.
        effect: Effect,
    },
    /// To [`ApprovalsRequest::BreakGlass`].
    Broken(GlassLine),
}

/// One approval, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalLine {
    /// Its name.
    pub id: String,
    /// How it stands.
    pub state: ApprovalState,
    /// `connect`, or the statement's kind.
    pub kind: String,
    /// Who asks.
    pub requester: String,
    /// From which workload, a SPIFFE ID.
    pub workload: String,
    /// Where to.
    pub target: String,
    /// What it needs.
    pub needs: String,
    /// Who approved it, or decided otherwise.
    pub by: Vec<String>,
    /// How many connections wait for it.
    pub waiting: usize,
    /// When it was asked: seconds since 1970.
    pub asked: i64,
    /// Until when it waits, or what was granted holds: seconds since 1970.
    pub until: Option<i64>,
    /// Why it ended.
    pub why: Option<String>,
}

/// One approval with all there is to know before deciding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalShown {
    /// In short.
    #[serde(flatten)]
    pub line: ApprovalLine,
    /// What is asked, by whom, and what it would touch.
    pub about: About,
    /// What it needs.
    pub approval: Approval,
    /// Digest of the exact request, the identity and the target, hexadecimal.
    pub digest: String,
}

/// One break-glass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlassLine {
    /// Its name.
    pub id: String,
    /// For whom.
    pub whom: String,
    /// Until when: seconds since 1970.
    pub until: i64,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}
