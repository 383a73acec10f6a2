//! The writer thread: takes everything that waits, commits it as one transaction, answers everyone who waits for it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::checkpoint::Checkpointer;
use super::intents::{self, Intent, Intents};
use super::process::ProcessRows;
use super::queue::Queue;
use super::recorder::Role;
use super::{
    EventRecord, Outcome, RecordError, SessionEnd, SessionId, SessionStart, Timestamps, file, rows, schema, writers,
};

pub(super) type Reply = oneshot::Sender<Result<(), RecordError>>;

/// One thing for the writer to do.
#[derive(Debug)]
pub(super) enum Command {
    /// A session whose process may have no row yet.
    Begin(Box<Begin>),
    /// A session that is in the intents.
    Intended(Intent),
    End {
        id: SessionId,
        end: Box<SessionEnd>,
    },
    Event {
        event: Box<EventRecord>,
        reply: Reply,
    },
    Flush(Reply),
    Close(Reply),
}

#[derive(Debug)]
pub(super) struct Begin {
    pub(super) id: SessionId,
    pub(super) start: SessionStart,
    pub(super) reply: Reply,
}

/// Opens the segment and starts the thread; returns when the store is ready.
pub(super) fn start(directory: &Path, segment: &Path, role: Role) -> Result<Arc<Queue>, RecordError> {
    file::prepare(directory, segment)?;
    let lock = (role == Role::Daemon).then(|| file::lock_for_daemon(directory)).transpose()?;
    let opening = file::lock_for_opening(directory)?;
    let mut conn = file::connect(segment)?;
    schema::migrate(&mut conn, segment, schema::STEPS)?;
    let failed = |e| RecordError::sqlite("register as a writer", segment, e);
    let tx = conn.transaction().map_err(failed)?;
    let abandoned = writers::interrupt_abandoned(&tx, segment).map_err(failed)?;
    let writer = writers::register(&tx, role).map_err(failed)?;
    tx.commit().map_err(failed)?;
    abandoned.writers.iter().for_each(|writer| intents::forget(segment, *writer));
    drop(opening);
    if abandoned.sessions > 0 {
        tracing::warn!(sessions = abandoned.sessions, "ended sessions that a killed process left open");
    }
    let intents = Intents::open(segment, writer).map_err(|e| RecordError::file("open the intents of", segment, e))?;
    let queue = Arc::new(Queue::new(intents));
    let checkpointer = Checkpointer::start(segment)?;
    let writer = Writer {
        conn,
        segment: segment.to_owned(),
        row: writer,
        processes: ProcessRows::default(),
        open: HashSet::new(),
        queue: Arc::clone(&queue),
        checkpointer,
        _lock: lock,
    };
    thread::Builder::new()
        .name("recorder".to_owned())
        .spawn(move || writer.run())
        .map_err(|e| RecordError::file("start the thread that writes", segment, e))?;
    Ok(queue)
}

struct Writer {
    conn: Connection,
    segment: PathBuf,
    row: i64,
    processes: ProcessRows,
    /// Sessions this writer began and did not end.
    open: HashSet<SessionId>,
    queue: Arc<Queue>,
    checkpointer: Checkpointer,
    /// Held by the daemon until the store is closed.
    _lock: Option<file::Lock>,
}

impl Writer {
    fn run(mut self) {
        let mut closing = None;
        while let Some(batch) = self.queue.take() {
            if let Some(reply) = self.serve(batch) {
                // What was sent before the close is recorded; what comes after is refused.
                self.queue.close();
                closing = Some(reply);
            }
        }
        let outcome = self.finish();
        if let Err(error) = &outcome {
            tracing::error!(%error, "the store could not be closed in order");
        }
        if let Some(reply) = closing {
            let _ = reply.send(outcome);
        }
    }

    /// Records a batch and answers it. Returns who asked to close, if anyone did.
    fn serve(&mut self, mut batch: Vec<Command>) -> Option<Reply> {
        let outcome = self.commit(&batch);
        if outcome.is_ok() {
            let closing = batch.drain(..).filter_map(|command| self.answer(command, &outcome)).last();
            self.queue.committed();
            return closing;
        }
        // One that cannot be recorded must not take the others with it.
        let mut closing = None;
        let mut left = Vec::new();
        for command in batch {
            let outcome = self.commit(std::slice::from_ref(&command));
            match (&outcome, command) {
                (Err(error), command @ (Command::Intended(_) | Command::End { .. })) => {
                    if left.is_empty() {
                        tracing::error!(%error, "records wait for the store to work again");
                    }
                    left.push(command);
                }
                (_, command) => closing = self.answer(command, &outcome).or(closing),
            }
        }
        if left.is_empty() {
            self.queue.committed();
        } else if closing.is_none() {
            self.queue.put_back(left);
        }
        closing
    }

    fn answer(&mut self, command: Command, outcome: &Result<(), RecordError>) -> Option<Reply> {
        let reply = match command {
            Command::Begin(begin) => {
                if outcome.is_ok() {
                    self.open.insert(begin.id);
                    if let Some(row) = self.processes.known(&begin.start.identity) {
                        self.queue.learn(&begin.start.identity, row);
                    }
                }
                begin.reply
            }
            Command::Intended(intent) => {
                self.open.insert(intent.id);
                return None;
            }
            Command::End { id, .. } => {
                self.open.remove(&id);
                return None;
            }
            Command::Event { reply, .. } => reply,
            Command::Flush(reply) => {
                let _ = reply.send(outcome.clone().and_then(|()| self.checkpointer.sync()));
                return None;
            }
            Command::Close(reply) => return Some(reply),
        };
        if let Err(error) = outcome {
            tracing::error!(%error, "a record could not be written");
        }
        // Who does not wait any more has said so in another way.
        let _ = reply.send(outcome.clone());
        None
    }

    fn commit(&mut self, batch: &[Command]) -> Result<(), RecordError> {
        if batch.iter().all(|c| matches!(c, Command::Flush(_) | Command::Close(_))) {
            return Ok(());
        }
        let outcome = self.transact(batch);
        if outcome.is_err() {
            self.processes.forget();
            if !self.conn.is_autocommit() {
                let _ = self.conn.execute_batch("ROLLBACK");
            }
        }
        self.checkpointer.committed();
        outcome.map_err(|e| RecordError::sqlite("write a record", &self.segment, e))
    }

    fn transact(&mut self, batch: &[Command]) -> rusqlite::Result<()> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for command in batch {
            match command {
                Command::Begin(begin) => {
                    let process = self.processes.row(&self.conn, &begin.start.identity)?;
                    rows::begin(&self.conn, self.row, &Intent::new(begin.id, process, begin.start.clone()))?;
                }
                Command::Intended(intent) => rows::begin(&self.conn, self.row, intent)?,
                Command::End { id, end, .. } => rows::end(&self.conn, *id, end)?,
                Command::Event { event, .. } => rows::event(&self.conn, self.row, &mut self.processes, event)?,
                Command::Flush(_) | Command::Close(_) => {}
            }
        }
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn finish(self) -> Result<(), RecordError> {
        let failed = |e| RecordError::sqlite("close the store", &self.segment, e);
        let end = SessionEnd {
            bytes_out: 0,
            bytes_in: 0,
            outcome: Outcome::Interrupted,
            detail: Some("the recording process stopped while it was open".to_owned()),
            ended: Timestamps::now(),
        };
        let close = || {
            let tx = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
            self.open.iter().try_for_each(|id| rows::end(&tx, *id, &end))?;
            writers::close(&tx, self.row)?;
            tx.commit()
        };
        close().map_err(failed)?;
        self.queue.remove_intents();
        self.checkpointer.finish()
    }
}
