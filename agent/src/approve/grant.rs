//! What an approval lets through, and for how long.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::request::{Digest, Request};
use crate::policy::Approval;

/// Name of one approval, in records and on the command line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub(super) [u8; 16]);

impl Id {
    /// A new one: random, so that its first letters tell it apart.
    pub(super) fn random() -> Self {
        Self(*uuid::Uuid::new_v4().as_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for Id {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How long a grant may last: one second to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Length(u64);

impl Length {
    /// Whoever approves today does not know tomorrow.
    pub const MAX: Duration = Duration::from_secs(24 * 3600);

    /// `None` outside one second to [`Self::MAX`]; parts of a second are dropped.
    #[must_use]
    pub fn new(length: Duration) -> Option<Self> {
        (Duration::from_secs(1)..=Self::MAX).contains(&length).then_some(Self(length.as_secs()))
    }

    /// The length.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl TryFrom<u64> for Length {
    type Error = &'static str;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        Self::new(Duration::from_secs(seconds)).ok_or("a grant lasts from one second to 24 hours")
    }
}

impl From<Length> for u64 {
    fn from(length: Length) -> Self {
        length.0
    }
}

/// How much is granted, from the least to the most. Where several people approve, the least of what they say holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// This request, once.
    Once,
    /// Requests of this shape, of this identity to this target, for so long.
    For(Length),
    /// What this session asks of this target and needs no more approval than this.
    Session,
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once => write!(f, "once"),
            Self::For(length) => write!(f, "for {} s", length.0),
            Self::Session => write!(f, "session"),
        }
    }
}

/// Which session a request is part of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Session {
    /// A login, by its audit session.
    Login(u32),
    /// One process, where nobody logged in: its id, and when it started.
    Process(u32, u64),
    /// One flow.
    Flow([u8; 16]),
}

/// A leave for exactly one request. Made when an approval is given or a grant covers it, and used up by the request.
///
/// It cannot be made up:
/// ```compile_fail
/// fn make_up(one: sallyport::approve::Release) -> sallyport::approve::Release {
///     sallyport::approve::Release { people: 9, ..one }
/// }
/// ```
/// nor used twice:
/// ```compile_fail
/// fn twice(one: sallyport::approve::Release) -> [sallyport::approve::Release; 2] {
///     [one.clone(), one]
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Release {
    id: Id,
    digest: Digest,
    approval: Arc<Approval>,
}

impl Release {
    pub(super) fn new(id: Id, request: &Request, approval: Arc<Approval>) -> Self {
        Self { id, digest: request.digest(), approval }
    }

    /// The approval it comes from.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// What was approved, as policies see it; `None` where another request was.
    #[must_use]
    pub fn for_request(self, request: &Request) -> Option<Arc<Approval>> {
        (self.digest == request.digest()).then_some(self.approval)
    }
}

/// An approval that holds for a while.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The approval's name.
    pub id: Id,
    /// What was approved, as policies see it.
    pub approval: Arc<Approval>,
    /// Until when, boot-time nanoseconds. Counted from the approval, not from its use.
    pub until: u64,
    /// Who approved.
    pub by: String,
    /// The request it was given for.
    pub request: Arc<Request>,
    pub(super) covers: Covers,
}

#[derive(Clone, Debug)]
pub(super) enum Covers {
    Shape,
    Session(Session),
}

impl Grant {
    /// Whether it lets a request of a session through that needs so much.
    #[must_use]
    pub fn covers(&self, request: &Request, session: &Session, needs: &Approval, now: u64) -> bool {
        let same = match &self.covers {
            Covers::Shape => self.request.shape() == request.shape(),
            Covers::Session(own) => own == session && self.request.place() == request.place(),
        };
        same && now < self.until && suffices(&self.approval, needs)
    }

    /// In a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.covers {
            Covers::Shape => "shape",
            Covers::Session(_) => "session",
        }
    }
}

/// Whether one approval is at least another. Policies have the last word; this says whether to ask them.
fn suffices(given: &Approval, needs: &Approval) -> bool {
    given.people >= needs.people && (given.reason || !needs.reason) && needs.groups.is_subset(&given.groups)
}
