//! The writer thread: takes everything that waits, commits it as one transaction, answers everyone who waits for it.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpoint::Checkpointer;
use super::intents::Intent;
use super::opening::{Opened, Place};
use super::payload::{self, Piece};
use super::queue::Queue;
use super::request::{ApprovalRecord, RequestRecord, ResponseRecord};
use super::reserve::Reserve;
use super::rows::Rows;
use super::segment::{self, Live, Sealed};
use super::stamp::Stamper;
use super::{
    EventKind, EventRecord, Outcome, RecordError, SessionEnd, SessionId, SessionStart, Timestamps, file, writers,
};
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
    fn is_patient(&self) -> bool {
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
    fn is_vital(&self) -> bool {
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

    fn waits_for_disk(&self) -> bool {
        matches!(self, Self::Request { reply: Some(_), .. } | Self::Approval { .. } | Self::Flush(_))
    }
}

pub(super) struct Writer {
    place: Place,
    live: Live,
    rows: Rows,
    queue: Arc<Queue>,
    checkpointer: Checkpointer,
    stamper: Stamper,
    reserve: Reserve,
    /// Wall time minus boot time when last looked at, nanoseconds.
    offset: i64,
    /// Held by the daemon until the store is closed.
    _lock: Option<file::Lock>,
}

/// The wall clock may lag this far behind before that is an event, nanoseconds.
const STEP: i64 = 1_000_000_000;

impl Writer {
    pub(super) fn new(opened: Opened, queue: Arc<Queue>, lock: Option<file::Lock>) -> Self {
        let Opened { place, live, rows, checkpointer, stamper, reserve } = opened;
        Self { place, live, rows, queue, checkpointer, stamper, reserve, offset: offset(), _lock: lock }
    }

    pub(super) fn run(mut self) {
        let mut closing = None;
        while let Some(batch) = self.queue.take(self.stamper.due(self.rows.ledger.committed())) {
            if batch.is_empty() {
                self.stamp();
            } else if let Some(reply) = self.serve(batch) {
                // What was sent before the close is recorded; what comes after is refused.
                self.queue.close();
                closing = Some(reply);
            } else if self.is_full_grown() {
                self.change_segment();
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
        let outcome = if self.reserve.is_spent() { Err(self.reserve.error()) } else { self.commit(&batch) };
        if outcome.is_ok() {
            let synced = self.sync_for(&batch);
            let closing = batch.drain(..).filter_map(|command| self.answer(command, &synced)).last();
            self.queue.committed();
            self.stamp();
            return closing;
        }
        if let Err(RecordError::Full { .. }) = outcome {
            self.reserve.spend();
        }
        // One that cannot be recorded must not take the others with it.
        let mut closing = None;
        let mut left = Vec::new();
        let mut waits = None;
        let full = !self.reserve.renew();
        for command in batch {
            let alone = std::slice::from_ref(&command);
            // What comes after a record that waits may build on it: it waits as well.
            let outcome = if let (Some(error), false) = (&waits, matches!(command, Command::Event { .. })) {
                Err(RecordError::clone(error))
            } else if full && !command.is_vital() {
                Err(self.reserve.error())
            } else {
                self.commit(alone)
            };
            let outcome = outcome.and_then(|()| self.sync_for(alone));
            match (&outcome, command) {
                (Err(error), command) if command.is_patient() => {
                    if left.is_empty() {
                        tracing::error!(%error, "records wait for the store to work again");
                    }
                    waits = Some(error.clone());
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
                if outcome.is_ok()
                    && let Some(row) = self.rows.processes.known(&begin.start.identity)
                {
                    self.queue.learn(&begin.start.identity, row);
                }
                begin.reply
            }
            Command::Event { reply, .. }
            | Command::Approval { reply, .. }
            | Command::Request { reply: Some(reply), .. }
            | Command::Flush(reply) => reply,
            Command::Close(reply) => return Some(reply),
            Command::Intended { .. }
            | Command::End { .. }
            | Command::Request { .. }
            | Command::Response(_)
            | Command::Payload(_)
            | Command::Sealed(_) => return None,
        };
        if let Err(error) = outcome {
            tracing::error!(%error, "a record could not be written");
        }
        // Who does not wait any more has said so in another way.
        let _ = reply.send(outcome.clone());
        None
    }

    /// Waits for the disk when somebody in the batch does. What is committed is not written again when this fails.
    fn sync_for(&self, batch: &[Command]) -> Result<(), RecordError> {
        if batch.iter().any(Command::waits_for_disk) { self.checkpointer.sync() } else { Ok(()) }
    }

    fn commit(&mut self, batch: &[Command]) -> Result<(), RecordError> {
        if batch.iter().all(|c| matches!(c, Command::Flush(_) | Command::Close(_))) {
            return Ok(());
        }
        let outcome = self.transact(batch);
        if outcome.is_err() {
            self.rows.roll_back(&self.live.conn);
        }
        self.checkpointer.committed();
        outcome.map_err(|e| RecordError::sqlite("write a record", &self.live.path, e))
    }

    fn transact(&mut self, batch: &[Command]) -> rusqlite::Result<()> {
        let (conn, rows) = (&self.live.conn, &mut self.rows);
        rows.start(conn)?;
        if let Some(event) = stepped(&mut self.offset) {
            rows.event(conn, &event)?;
        }
        for command in batch {
            match command {
                Command::Begin(begin) => {
                    let intent = Intent::new(begin.id, 0, begin.start.clone());
                    rows.begin(conn, &intent, &begin.start.identity)?;
                }
                Command::Intended { intent, who } => rows.begin(conn, intent, who)?,
                Command::End { id, end } => {
                    self.stamper.session_ended();
                    rows.end(conn, *id, end)?;
                }
                Command::Event { event, .. } => rows.event(conn, event)?,
                Command::Request { request, .. } => drop(rows.request(conn, request)?),
                Command::Response(response) => rows.response(conn, response)?,
                Command::Approval { approval, .. } => rows.approval(conn, approval)?,
                Command::Payload(piece) => payload::add(conn, rows, piece)?,
                Command::Sealed(sealed) => segment::seal(conn, &mut rows.ledger, sealed)?,
                Command::Flush(_) | Command::Close(_) => {}
            }
        }
        rows.ledger.commit(conn)
    }

    /// Signs what the log is now, when it is time to.
    fn stamp(&mut self) {
        if self.stamper.due(self.rows.ledger.committed()).is_some_and(|due| due <= Instant::now()) {
            self.stamp_now();
        }
    }

    fn stamp_now(&mut self) {
        if let Err(error) = self.stamper.stamp(&self.live.conn, self.rows.ledger.committed()) {
            tracing::error!(%error, path = %self.live.path.display(), "a checkpoint could not be recorded");
        }
    }

    /// Records an event before anything else is.
    pub(super) fn note(&mut self, event: &EventRecord) -> Result<(), RecordError> {
        let written = self.rows.start(&self.live.conn).and_then(|()| {
            self.rows.event(&self.live.conn, event)?;
            self.rows.ledger.commit(&self.live.conn)
        });
        written.map_err(|e| RecordError::sqlite("write a record", &self.live.path, e))
    }

    fn is_full_grown(&mut self) -> bool {
        self.place.may_rotate()
            && !self.reserve.is_spent()
            && self.place.options.is_full_grown(self.live.bytes(), self.live.opened)
            // A process that writes along keeps the segment open.
            && writers::are_others(&self.live.conn, self.rows.writer).is_ok_and(|others| !others)
    }

    /// Closes the segment and goes on in another. When none can be begun, everything stays as it is.
    fn change_segment(&mut self) {
        let waiting = self.queue.pause();
        let closing = self.serve(waiting);
        self.stamp_now();
        let with = (&mut self.checkpointer, &mut self.stamper);
        let changed = self.place.change(&mut self.live, &mut self.rows, with, &self.queue);
        match changed {
            Ok(intents) => self.queue.resume(Some(intents)),
            Err(error) => {
                self.queue.resume(None);
                self.place.try_later();
                tracing::error!(%error, "another segment could not be begun; this one goes on");
            }
        }
        if let Some(reply) = closing {
            // Nobody closes while a segment is being changed but by closing the queue as well.
            let _ = reply.send(Ok(()));
            self.queue.close();
        }
    }

    fn finish(mut self) -> Result<(), RecordError> {
        let sealed = self.place.wait_for_finaliser();
        let failed = |e| RecordError::sqlite("close the store", &self.live.path, e);
        let end = SessionEnd {
            bytes_out: 0,
            bytes_in: 0,
            outcome: Outcome::Interrupted,
            detail: Some("the recording process stopped while it was open".to_owned()),
            ended: Timestamps::now(),
        };
        let close = |rows: &mut Rows, conn: &Connection| {
            rows.start(conn)?;
            let open: Vec<SessionId> = rows.open.keys().copied().collect();
            open.into_iter().try_for_each(|id| rows.end(conn, id, &end))?;
            sealed.iter().try_for_each(|sealed| segment::seal(conn, &mut rows.ledger, sealed))?;
            let writer = rows.writer;
            writers::close(conn, &mut rows.ledger, writer)?;
            rows.ledger.commit(conn)
        };
        close(&mut self.rows, &self.live.conn).map_err(failed)?;
        self.stamp_now();
        self.queue.remove_intents();
        self.checkpointer.finish()
    }
}

fn offset() -> i64 {
    let now = Timestamps::now();
    now.wall_ns.saturating_sub(now.boot_ns.cast_signed())
}

/// An event when the wall clock was set back since the last time.
fn stepped(before: &mut i64) -> Option<EventRecord> {
    let now = offset();
    let back = before.saturating_sub(now);
    *before = now;
    (back > STEP).then(|| EventRecord {
        detail: Some(format!("by {:.3} s; the boot-time clock tells the order", back as f64 / 1e9)),
        ..EventRecord::new(EventKind::ClockStepped, Timestamps::now())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_is_told_once_and_one_set_forward_is_not() {
        let mut before = offset() + 10 * STEP;
        let event = stepped(&mut before).unwrap();
        assert_eq!(event.kind, EventKind::ClockStepped);
        assert!(event.detail.unwrap().contains("by 10.0") || before != offset());
        assert!(stepped(&mut before).is_none());
        before -= 10 * STEP;
        assert!(stepped(&mut before).is_none());
    }
}
