//! The handle everyone records through.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::writer::{self, Begin, Command};
use super::{EventRecord, Outcome, RecordError, SessionEnd, SessionId, SessionStart, Timestamps, file};

/// Records that may wait for the writer; whoever comes later waits for room.
const QUEUE: usize = 4096;

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
    sender: mpsc::Sender<Command>,
    segment: Arc<PathBuf>,
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
        let (sender, receiver) = mpsc::channel(QUEUE);
        writer::start(&directory, &segment, role, receiver)?;
        Ok(Self { sender, segment: Arc::new(segment) })
    }

    /// The file being written.
    #[must_use]
    pub fn segment(&self) -> &Path {
        &self.segment
    }

    /// Records that a session begins. From the return on the record survives `kill -9`.
    ///
    /// When the future is dropped early, a session that was recorded all the same is ended as failed.
    ///
    /// # Errors
    /// When it could not be recorded: the connection must not go on.
    pub async fn begin(&self, start: SessionStart) -> Result<SessionId, RecordError> {
        let id = SessionId::now();
        let (reply, committed) = oneshot::channel();
        let begin = Box::new(Begin { id, start, reply });
        self.sender.send(Command::Begin(begin)).await.map_err(|_| RecordError::Closed)?;
        let mut unclaimed = Unclaimed { sender: &self.sender, id: Some(id) };
        let outcome = committed.await.unwrap_or(Err(RecordError::Closed));
        unclaimed.id = None;
        outcome.map(|()| id)
    }

    /// Records how a session ended. The first end of a session stands.
    ///
    /// # Errors
    /// When it could not be recorded. The session then shows as open, and later as interrupted.
    pub async fn end(&self, id: SessionId, end: SessionEnd) -> Result<(), RecordError> {
        self.ask(|reply| Command::End { id, end: Box::new(end), reply: Some(reply) }).await
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
    pub async fn close(self) -> Result<(), RecordError> {
        self.ask(Command::Close).await
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), RecordError>>) -> Command,
    ) -> Result<(), RecordError> {
        let (reply, done) = oneshot::channel();
        self.sender.send(command(reply)).await.map_err(|_| RecordError::Closed)?;
        done.await.unwrap_or(Err(RecordError::Closed))
    }
}

/// A session whose opener may give up before it learns that it was recorded.
struct Unclaimed<'a> {
    sender: &'a mpsc::Sender<Command>,
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
        let _ = self.sender.try_send(Command::End { id, end, reply: None });
    }
}
