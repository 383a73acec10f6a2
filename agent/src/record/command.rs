//! What the writer is told to do.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::intents::Intent;
use super::payload::Piece;
use super::request::{ApprovalRecord, RequestRecord, ResponseRecord};
use super::segment::Sealed;
use super::{EventRecord, RecordError, SessionEnd, SessionId, SessionStart};
use crate::identity::Identity;

pub(super) type Reply = oneshot::Sender<Result<(), RecordError>>;

/// One thing for the writer to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the common one")]
pub(super) enum Command {
    /// A session that is not in the intents.
    Begin(Box<Begin>),
    /// A session that is in the intents.
    Intended {
        intent: Intent,
        who: Arc<Identity>,
    },
    End {
        id: SessionId,
        end: Box<SessionEnd>,
    },
    Event {
        event: Box<EventRecord>,
        reply: Reply,
    },
    /// Someone who waits for the disk waits with `reply`.
    Request {
        request: Box<RequestRecord>,
        reply: Option<Reply>,
    },
    Response(Box<ResponseRecord>),
    Approval {
        approval: Box<ApprovalRecord>,
        reply: Reply,
    },
    Payload(Box<Piece>),
    /// An earlier segment has its final file.
    Sealed(Box<Sealed>),
    Flush(Reply),
    Close(Reply),
}

#[derive(Debug)]
pub(super) struct Begin {
    pub(super) id: SessionId,
    pub(super) start: SessionStart,
    pub(super) reply: Reply,
}

impl Command {
    /// What nobody waits for: it is tried again until the store works.
    pub(super) fn is_patient(&self) -> bool {
        matches!(
            self,
            Self::Intended { .. }
                | Self::End { .. }
                | Self::Request { reply: None, .. }
                | Self::Response(_)
                | Self::Payload(_)
                | Self::Sealed(_)
        )
    }

    /// What is recorded even on the last reserved space.
    pub(super) fn is_vital(&self) -> bool {
        match self {
            Self::Event { event, .. } => event.is_vital(),
            Self::End { .. } | Self::Close(_) | Self::Flush(_) => true,
            Self::Begin(_)
            | Self::Intended { .. }
            | Self::Request { .. }
            | Self::Response(_)
            | Self::Approval { .. }
            | Self::Payload(_)
            | Self::Sealed(_) => false,
        }
    }

    /// The session of a request or of what came back.
    pub(super) fn of_session(&self) -> Option<SessionId> {
        if let Self::Request { request, .. } = self {
            return Some(request.session);
        }
        if let Self::Response(response) = self { Some(response.session) } else { None }
    }

    pub(super) fn waits_for_disk(&self) -> bool {
        matches!(self, Self::Request { reply: Some(_), .. } | Self::Approval { .. } | Self::Flush(_))
    }
}
