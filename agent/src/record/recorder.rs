//! The handle everyone records through.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::command::{Begin, Command};
use super::options::{Options, PayloadLimits};
use super::payload::{self, Meter};
use super::queue::Queue;
use super::request::{ApprovalRecord, Direction, Durability, PayloadRecord, RequestRecord, ResponseRecord};
use super::sealing::ChunkKeys;
use super::{EventRecord, Outcome, RecordError, SessionEnd, SessionId, SessionStart, Timestamps, opening};

/// Why a process writes the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The daemon: one per store.
    Daemon,
    /// One command run intercepted, or an operator's act: any number, next to the daemon.
    Exec,
}

impl Role {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Exec => "exec",
        }
    }
}

/// Records sessions and events; cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: Arc<Handle>,
    limits: PayloadLimits,
    durability: Option<Durability>,
    keys: Option<Arc<ChunkKeys>>,
}

/// The queue, closed when the last recorder is gone.
#[derive(Debug)]
struct Handle(Arc<Queue>);

impl Deref for Handle {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Recorder {
    /// Opens the store below `state_dir` with what holds without a configuration, next to whoever else writes it.
    ///
    /// # Errors
    /// As [`Recorder::open_as`].
    pub fn open(state_dir: &Path) -> Result<Self, RecordError> {
        Self::open_as(state_dir, Role::Exec, &Options::default())
    }

    /// Opens the store below `state_dir`, making it if there is none, and starts the writer thread. Sessions that a
    /// killed process left open are marked as interrupted. Blocks.
    ///
    /// # Errors
    /// When the store cannot be written; for a daemon also when another one holds it.
    pub fn open_as(state_dir: &Path, role: Role, options: &Options) -> Result<Self, RecordError> {
        let keys = options.encrypt.then(|| ChunkKeys::load(options.payload_key.as_deref())).transpose()?;
        let queue = opening::start(state_dir, options, role)?;
        Ok(Self {
            queue: Arc::new(Handle(queue)),
            limits: options.payload,
            durability: options.durability,
            keys: keys.map(Arc::new),
        })
    }

    /// Records that a session begins. From the return on the record survives `kill -9`: it is in the intents, or in the
    /// tables.
    ///
    /// When the future is dropped early, a session that was recorded all the same is ended as failed.
    ///
    /// # Errors
    /// When it could not be recorded: the connection must not go on.
    pub async fn begin(&self, start: SessionStart) -> Result<SessionId, RecordError> {
        let id = SessionId::now();
        let Some(start) = self.queue.intend(id, start).await? else { return Ok(id) };
        let (reply, committed) = oneshot::channel();
        self.queue.add_now(Command::Begin(Box::new(Begin { id, start, reply }))).await?;
        let mut unclaimed = Unclaimed { queue: &self.queue, id: Some(id) };
        let outcome = committed.await.unwrap_or(Err(RecordError::Closed));
        unclaimed.id = None;
        outcome.map(|()| id)
    }

    /// Records how a session ended, a moment after the return. The first end of a session stands.
    ///
    /// # Errors
    /// When the recorder is closed. The session then shows as interrupted.
    pub async fn end(&self, id: SessionId, end: SessionEnd) -> Result<(), RecordError> {
        self.queue.add_later(Command::End { id, end: Box::new(end) }).await
    }

    /// Records an event.
    ///
    /// # Errors
    /// When it could not be recorded.
    pub async fn event(&self, event: EventRecord) -> Result<(), RecordError> {
        self.ask(|reply| Command::Event { event: Box::new(event), reply }).await
    }

    /// Records a request with its decision, as durably as asked or, before that, as the configuration says.
    ///
    /// # Errors
    /// When it could not be recorded: it must not be forwarded.
    pub async fn request(&self, request: RequestRecord, durability: Durability) -> Result<(), RecordError> {
        let request = Box::new(request);
        match self.durability.unwrap_or(durability) {
            Durability::BeforeForward => self.ask(|reply| Command::Request { request, reply: Some(reply) }).await,
            Durability::Batched => self.queue.add_later(Command::Request { request, reply: None }).await,
        }
    }

    /// Records what came back for a request, a moment after the return.
    ///
    /// # Errors
    /// When the recorder is closed.
    pub async fn response(&self, response: ResponseRecord) -> Result<(), RecordError> {
        self.queue.add_later(Command::Response(Box::new(response))).await
    }

    /// Records a step of an approval; on the disk when this returns.
    ///
    /// # Errors
    /// When it could not be recorded: it must not take effect.
    pub async fn approval(&self, approval: ApprovalRecord) -> Result<(), RecordError> {
        let approval = Box::new(approval);
        self.ask(|reply| Command::Approval { approval, reply }).await
    }

    /// Starts to keep what passes in a session; `None` when the configuration keeps nothing.
    #[must_use]
    pub fn tap(&self, session: SessionId) -> Option<Tap> {
        let recorder = self.clone();
        (self.limits.session > 0).then(|| Tap { recorder, session, meter: Meter::default() })
    }

    /// Waits until all that was recorded before is on the disk, power loss included.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn flush(&self) -> Result<(), RecordError> {
        self.ask(Command::Flush).await
    }

    /// Writes everything queued to the disk and ends the writer, for every clone of this handle. What is still open is
    /// marked as interrupted.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn close(&self) -> Result<(), RecordError> {
        self.ask(Command::Close).await
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), RecordError>>) -> Command,
    ) -> Result<(), RecordError> {
        let (reply, done) = oneshot::channel();
        self.queue.add_now(command(reply)).await?;
        done.await.unwrap_or(Err(RecordError::Closed))
    }
}

/// Keeps what passes in one session, as much as the configuration says.
#[derive(Debug)]
pub struct Tap {
    recorder: Recorder,
    session: SessionId,
    meter: Meter,
}

impl Tap {
    /// Records masked bytes that passed. What is past the limits is counted and digested, not kept.
    ///
    /// # Errors
    /// When the recorder is closed.
    pub async fn pass(
        &self,
        direction: Direction,
        position: u64,
        n: Option<u64>,
        bytes: Vec<u8>,
    ) -> Result<(), RecordError> {
        let keep = self.meter.take(bytes.len(), self.recorder.limits);
        let record = PayloadRecord { session: self.session, n, direction, at: Timestamps::now(), position, bytes };
        let sealer = self.recorder.keys.as_ref().and_then(|keys| keys.current());
        let piece = payload::prepare(record, keep, sealer);
        self.recorder.queue.add_later(Command::Payload(Box::new(piece))).await
    }
}

/// A session whose opener may give up before it learns that it was recorded.
struct Unclaimed<'a> {
    queue: &'a Queue,
    id: Option<SessionId>,
}

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let end = Box::new(SessionEnd {
            bytes_out: 0,
            bytes_in: 0,
            outcome: Outcome::Failed,
            detail: Some("the connection was given up while its record was being made".to_owned()),
            ended: Timestamps::now(),
        });
        // With a full queue the session stays open until the writer closes, and is interrupted then.
        self.queue.try_add_later(Command::End { id, end });
    }
}
