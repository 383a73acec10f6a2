//! What is recorded inside a session: requests with their decisions, what came back, what was approved, what passed.

use std::sync::Arc;

use super::{Decision, SessionId, Timestamps};

/// When the sender of a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Once the record is on the disk.
    BeforeForward,
    /// At once; the record reaches the disk within fifty milliseconds.
    Batched,
}

/// A request that was understood and decided upon. Masked already: nothing in it may be secret.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// Of which session.
    pub session: SessionId,
    /// Counts the session's requests from zero.
    pub n: u64,
    /// When it was complete.
    pub at: Timestamps,
    /// In a word or two: `select`, `insert`, `GET`.
    pub kind: Arc<str>,
    /// The statement's shape, literals masked.
    pub statement: Option<Arc<str>>,
    /// What it was run with: constants of the statement in order, and parameters by number. Masked.
    pub parameters: Option<String>,
    /// What policy said.
    pub decision: Decision,
    /// Ids of the policies that decided, a JSON array.
    pub policies: Option<Arc<str>>,
    /// What the request touches, a JSON object.
    pub facts: Option<Arc<str>>,
    /// Length on the wire.
    pub bytes: Option<u64>,
    /// In a sentence, for the operator.
    pub detail: Option<Arc<str>>,
    /// The approval it ran under.
    pub approval: Option<[u8; 16]>,
}

/// What a request says but for its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlainRequest<'a> {
    pub(super) n: u64,
    pub(super) at: Timestamps,
    pub(super) decision: Decision,
    pub(super) bytes: Option<u64>,
    pub(super) approval: Option<&'a [u8; 16]>,
    pub(super) parameters: Option<&'a str>,
}

impl RequestRecord {
    /// What many requests share: kind, statement, policies, facts, detail.
    pub(super) fn words(&self) -> [Option<&str>; 5] {
        let [statement, policies, facts, detail] =
            [&self.statement, &self.policies, &self.facts, &self.detail].map(Option::as_deref);
        [Some(&*self.kind), statement, policies, facts, detail]
    }

    /// The rest.
    pub(super) fn plain(&self) -> PlainRequest<'_> {
        PlainRequest {
            n: self.n,
            at: self.at,
            decision: self.decision,
            bytes: self.bytes,
            approval: self.approval.as_ref(),
            parameters: self.parameters.as_deref(),
        }
    }
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// In order.
    Done,
    /// With an error of the upstream.
    Error,
    /// Before it was complete.
    Cut,
}

impl Status {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Cut => 2,
        }
    }
}

/// What came back for a request.
#[derive(Clone, Debug)]
pub struct ResponseRecord {
    /// Of which session.
    pub session: SessionId,
    /// The request's number.
    pub n: u64,
    /// When it was complete.
    pub at: Timestamps,
    /// How it ended.
    pub status: Status,
    /// Rows returned or changed.
    pub rows: Option<u64>,
    /// Length on the wire.
    pub bytes: Option<u64>,
    /// Values that were masked.
    pub masked: u64,
    /// Which columns were masked and how, a JSON object.
    pub masks: Option<Arc<str>>,
    /// The upstream's error, masked.
    pub error: Option<Arc<str>>,
}

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the client.
    Out,
    /// From the upstream.
    In,
}

impl Direction {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Out => 0,
            Self::In => 1,
        }
    }
}

/// Bytes that passed, after masking.
#[derive(Clone, Debug)]
pub struct PayloadRecord {
    /// Of which session.
    pub session: SessionId,
    /// The request they belong to, where there is one.
    pub n: Option<u64>,
    /// Which way.
    pub direction: Direction,
    /// When the last of them passed.
    pub at: Timestamps,
    /// How many went this way before them.
    pub position: u64,
    /// The bytes; cut by the recorder where the configuration says so.
    pub bytes: Vec<u8>,
}

/// How an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// Asked for.
    Pending,
    /// Granted.
    Approved,
    /// Refused by a person.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// Nobody waits for it any more.
    Withdrawn,
}

impl ApprovalState {
    /// The name used in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// One step in the life of an approval.
#[derive(Clone, Debug)]
pub struct ApprovalRecord {
    /// Its name, the same at every step.
    pub id: [u8; 16],
    /// The session that waits.
    pub session: Option<SessionId>,
    /// Its request.
    pub n: Option<u64>,
    /// How it stands now.
    pub state: ApprovalState,
    /// Of the exact request, the identity and the target.
    pub digest: [u8; 32],
    /// When.
    pub at: Timestamps,
    /// Who decided.
    pub by: Option<String>,
    /// Why, in the words of who decided.
    pub reason: Option<String>,
    /// What was asked, or what was granted: a JSON object.
    pub data: Option<String>,
}
