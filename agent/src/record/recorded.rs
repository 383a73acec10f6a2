//! The proof that a connection was recorded: nothing is sent to an upstream without one.

use tokio::net::TcpStream;

use super::{Durability, RecordError, Recorder, RequestRecord, SessionId, SessionStart};
use crate::policy::{Cleared, Permitted};

/// A permitted connection that is in the store, or whose scope of failure says it may go on without.
///
/// It cannot be made without the recorder:
/// ```compile_fail
/// fn skip(permitted: sallyport::policy::Permitted) -> sallyport::record::Recorded {
///     sallyport::record::Recorded { permitted, session: None }
/// }
/// ```
/// and not from a connection that was not decided upon:
/// ```compile_fail
/// fn undecided(one: sallyport::intercept::arrival::Intercepted) -> sallyport::record::Recorded {
///     sallyport::record::Recorded::unrecorded(one)
/// }
/// ```
pub struct Recorded {
    permitted: Permitted,
    session: Option<SessionId>,
}

impl Recorded {
    /// For `audit.on_failure = "allow"`: goes on although the store failed.
    pub(crate) fn unrecorded(permitted: Permitted) -> Self {
        Self { permitted, session: None }
    }

    /// Whether it is in the store.
    pub(crate) fn is_recorded(&self) -> bool {
        self.session.is_some()
    }

    /// What was decided upon.
    pub(crate) fn permitted(&self) -> &Permitted {
        &self.permitted
    }

    /// The client's stream, to be relayed, and the session to end afterwards.
    pub(crate) fn into_parts(self) -> (TcpStream, Option<SessionId>) {
        (self.permitted.into_intercepted().into_client(), self.session)
    }
}

/// A connection that could not be recorded.
pub struct Unrecorded {
    /// The connection.
    pub permitted: Permitted,
    /// Why not.
    pub error: RecordError,
}

impl Recorder {
    /// Records that a permitted connection begins; see [`Recorder::begin`].
    ///
    /// # Errors
    /// The connection, back, when it could not be recorded.
    pub async fn record(&self, permitted: Permitted, start: SessionStart) -> Result<Recorded, Box<Unrecorded>> {
        match self.begin(start).await {
            Ok(session) => Ok(Recorded { permitted, session: Some(session) }),
            Err(error) => Err(Box::new(Unrecorded { permitted, error })),
        }
    }

    /// Records under what a connection goes on that was held: its session began when it was.
    ///
    /// # Errors
    /// The connection, back, when it could not be recorded.
    pub async fn record_held(&self, permitted: Permitted, request: RequestRecord) -> Result<Recorded, Box<Unrecorded>> {
        let session = request.session;
        match self.request(request, Durability::BeforeForward).await {
            Ok(()) => Ok(Recorded { permitted, session: Some(session) }),
            Err(error) => Err(Box::new(Unrecorded { permitted, error })),
        }
    }
}

/// A request that was cleared and is in the store, or whose scope of failure says it may go on without.
///
/// It cannot be made without the recorder:
/// ```compile_fail
/// fn skip(cleared: sallyport::policy::Cleared<'_>) -> sallyport::record::RecordedRequest<'_> {
///     sallyport::record::RecordedRequest(cleared)
/// }
/// ```
#[derive(Debug)]
#[must_use = "what is recorded is sent"]
pub struct RecordedRequest<'a>(Cleared<'a>);

impl<'a> RecordedRequest<'a> {
    /// For `audit.on_failure = "allow"`: goes on although the store failed.
    pub(crate) fn unrecorded(cleared: Cleared<'a>) -> Self {
        Self(cleared)
    }

    /// What is sent.
    pub(crate) fn into_bytes(self) -> &'a [u8] {
        self.0.into_bytes()
    }
}

impl Recorder {
    /// Records a request that was cleared; see [`Recorder::request`].
    ///
    /// # Errors
    /// The request, back, when it could not be recorded.
    pub async fn cleared<'a>(
        &self,
        cleared: Cleared<'a>,
        request: RequestRecord,
        durability: Durability,
    ) -> Result<RecordedRequest<'a>, (Cleared<'a>, RecordError)> {
        match self.request(request, durability).await {
            Ok(()) => Ok(RecordedRequest(cleared)),
            Err(error) => Err((cleared, error)),
        }
    }
}
