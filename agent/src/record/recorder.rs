//! The handle everyone records through.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::queue::Queue;
use super::writer::{self, Begin, Command};
use super::{EventRecord, Outcome, RecordError, SessionEnd, SessionId, SessionStart, Timestamps, file};

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
    segment: Arc<PathBuf>,
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
    /// Opens the store below `state_dir` next to whoever else writes it: [`Recorder::open_as`] with [`Role::Exec`].
    ///
    /// # Errors
    /// As [`Recorder::open_as`].
    pub fn open(state_dir: &Path) -> Result<Self, RecordError> {
        Self::open_as(state_dir, Role::Exec)
    }

    /// Opens the store below `state_dir`, making it if there is none, and starts the writer thread. Sessions that a
    /// killed process left open are marked as interrupted. Blocks.
    ///
    /// # Errors
    /// When the store cannot be written; for a daemon also when another one holds it.
    pub fn open_as(state_dir: &Path, role: Role) -> Result<Self, RecordError> {
        let directory = file::directory(state_dir);
        let segment = file::live_segment(&directory);
        let queue = writer::start(&directory, &segment, role)?;
        Ok(Self { queue: Arc::new(Handle(queue)), segment: Arc::new(segment) })
    }

    /// The file being written.
    #[must_use]
    pub fn segment(&self) -> &Path {
        &self.segment
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
