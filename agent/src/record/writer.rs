//! The writer thread: takes everything that waits, commits it as one transaction, answers everyone.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::thread;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Checkpointer;
use super::process::ProcessRows;
use super::recorder::Role;
use super::{
    EventRecord, Outcome, RecordError, SessionEnd, SessionId, SessionStart, Timestamps, file, rows, schema, writers,
};

/// Records in one transaction at most: bounds how long the first of them waits for the last.
const MAX_BATCH: usize = 1024;

pub(super) type Reply = oneshot::Sender<Result<(), RecordError>>;

/// One thing for the writer to do.
#[derive(Debug)]
pub(super) enum Command {
    Begin(Box<Begin>),
    End { id: SessionId, end: Box<SessionEnd>, reply: Option<Reply> },
    Event { event: Box<EventRecord>, reply: Reply },
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
pub(super) fn start(
    directory: &Path,
    segment: &Path,
    role: Role,
    receiver: mpsc::Receiver<Command>,
) -> Result<(), RecordError> {
    file::prepare(directory, segment)?;
    let lock = (role == Role::Daemon).then(|| file::lock_for_daemon(directory)).transpose()?;
    let opening = file::lock_for_opening(directory)?;
    let mut conn = file::connect(segment)?;
    schema::migrate(&mut conn, segment, schema::STEPS)?;
    let failed = |e| RecordError::sqlite("register as a writer", segment, e);
    let tx = conn.transaction().map_err(failed)?;
    let interrupted = writers::interrupt_abandoned(&tx).map_err(failed)?;
    let writer = writers::register(&tx, role).map_err(failed)?;
    tx.commit().map_err(failed)?;
    drop(opening);
    if interrupted > 0 {
        tracing::warn!(interrupted, "ended sessions that a killed process left open");
    }
    let checkpointer = Checkpointer::start(segment)?;
    let writer = Writer {
        conn,
        segment: segment.to_owned(),
        row: writer,
        processes: ProcessRows::default(),
        open: HashSet::new(),
        checkpointer,
        _lock: lock,
    };
    thread::Builder::new()
        .name("recorder".to_owned())
        .spawn(move || writer.run(receiver))
        .map_err(|e| RecordError::file("start the thread that writes", segment, e))?;
    Ok(())
}

struct Writer {
    conn: Connection,
    segment: PathBuf,
    row: i64,
    processes: ProcessRows,
    /// Sessions this writer began and did not end.
    open: HashSet<SessionId>,
    checkpointer: Checkpointer,
    /// Held by the daemon until the store is closed.
    _lock: Option<file::Lock>,
}

impl Writer {
    fn run(mut self, mut receiver: mpsc::Receiver<Command>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut closing = None;
        while closing.is_none() {
            if receiver.blocking_recv_many(&mut batch, MAX_BATCH) == 0 {
                break;
            }
            closing = self.serve(&mut batch);
        }
        // What was sent before the close is recorded; what comes after is refused by the closed channel.
        receiver.close();
        while receiver.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
            let _ = self.serve(&mut batch);
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
    fn serve(&mut self, batch: &mut Vec<Command>) -> Option<Reply> {
        let outcome = self.commit(batch);
        if outcome.is_err() && batch.len() > 1 {
            // One that cannot be recorded must not take the others with it.
            return std::mem::take(batch).into_iter().filter_map(|c| self.serve_one(c)).last();
        }
        batch.drain(..).filter_map(|command| self.answer(command, &outcome)).last()
    }

    fn serve_one(&mut self, command: Command) -> Option<Reply> {
        let outcome = self.commit(std::slice::from_ref(&command));
        self.answer(command, &outcome)
    }

    fn answer(&mut self, command: Command, outcome: &Result<(), RecordError>) -> Option<Reply> {
        if outcome.is_ok() {
            match &command {
                Command::Begin(begin) => _ = self.open.insert(begin.id),
                Command::End { id, .. } => _ = self.open.remove(id),
                Command::Event { .. } | Command::Flush(_) | Command::Close(_) => {}
            }
        }
        let reply = match command {
            Command::Begin(begin) => begin.reply,
            Command::End { reply: Some(reply), .. } | Command::Event { reply, .. } => reply,
            Command::End { reply: None, .. } => return None,
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
                    rows::begin(&self.conn, self.row, &mut self.processes, begin.id, &begin.start)?;
                }
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
        self.checkpointer.finish()
    }
}
