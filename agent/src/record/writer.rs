//! The writer thread: takes everything that waits, commits it as one transaction, answers everyone who waits for it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::checkpoint::Checkpointer;
use super::command::{Command, Reply};
use super::held::Held;
use super::intents::Intent;
use super::opening::{Opened, Place};
use super::pairs::Pairs;
use super::payload;
use super::queue::Queue;
use super::reserve::Reserve;
use super::rows::{Hot, Rows};
use super::segment::{self, Live};
use super::stamp::Stamper;
use super::{EventKind, EventRecord, Outcome, RecordError, SessionEnd, SessionId, Timestamps, file, writers};

pub(super) struct Writer {
    place: Place,
    live: Live,
    rows: Rows,
    queue: Arc<Queue>,
    checkpointer: Checkpointer,
    stamper: Stamper,
    reserve: Reserve,
    held: Held,
    /// Wall time minus boot time when last looked at, nanoseconds.
    offset: i64,
    /// Which of the batch were refused because their session is not open.
    refused: Vec<usize>,
    pairs: Pairs,
    /// A damaged segment was set aside then.
    replaced: Option<Instant>,
    /// After the close: how often what waits is still tried.
    tries: u32,
    lost: bool,
    /// Held by the daemon until the store is closed.
    _lock: Option<file::Lock>,
}

/// Niceness of the thread: a third of the weight of a thread that serves flows.
const NICE: i32 = 5;
/// Records after which somebody else may have the processor; and for how long a batch is held up by that. On a busy host a
/// single turn of others takes this long.
const TURN: usize = 8;
const POLITE: Duration = Duration::from_millis(2);
/// How often what waits is tried after the close, and how long after one another.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);
/// One damaged segment may be set aside in this time: a disk that damages more is not to be written to.
const REPLACED: Duration = Duration::from_secs(60);
/// The wall clock may lag this far behind before that is an event, nanoseconds.
const STEP: i64 = 1_000_000_000;

impl Writer {
    pub(super) fn new(opened: Opened, queue: Arc<Queue>, lock: Option<file::Lock>) -> Self {
        let Opened { place, live, rows, checkpointer, stamper, reserve } = opened;
        Self {
            place,
            live,
            rows,
            queue,
            checkpointer,
            stamper,
            reserve,
            held: Held::default(),
            offset: offset(),
            refused: Vec::new(),
            pairs: Pairs::default(),
            replaced: None,
            tries: TRIES,
            lost: false,
            _lock: lock,
        }
    }

    pub(super) fn run(mut self) {
        yield_to_flows();
        let mut closing: Option<Reply> = None;
        loop {
            let batch = match self.queue.take(self.due()) {
                Some(batch) => self.hold(batch),
                None if self.held.is_empty() => break,
                // What cannot be committed now is in the queue again.
                None => Some(self.held.release()),
            };
            let Some(batch) = batch else { continue };
            if batch.is_empty() {
                self.stamp();
            } else if let Some(reply) = self.serve(batch) {
                // What was sent before the close is recorded; what comes after is refused.
                self.queue.close();
                closing = Some(reply);
            } else if closing.is_none() && self.is_full_grown() {
                closing = self.change_segment();
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

    /// When there is something to do even if nothing comes.
    fn due(&self) -> Option<Instant> {
        self.stamper.due(self.rows.ledger.committed()).into_iter().chain(self.held.due()).min()
    }

    /// Holds a batch back that is in the journal instead, with everyone answered who waits for it. Gives back what is to be
    /// committed now, in the order it came.
    fn hold(&mut self, mut batch: Vec<Command>) -> Option<Vec<Command>> {
        let can = self.queue.works()
            && !self.reserve.is_spent()
            && self.held.can_take(&batch, &self.rows)
            && self.may_write().is_ok()
            // What is journalled may build on what was committed a moment ago.
            && self.checkpointer.sync_new().is_ok()
            && self.held.journal(&batch, &self.live.path, &self.rows);
        if can {
            // What nobody waits for is among it, however many others ask.
            return self.held.take(batch).then(|| self.held.release());
        }
        let mut all = self.held.release();
        all.append(&mut batch);
        Some(all)
    }

    /// Records a batch and answers it. Returns who asked to close, if anyone did.
    fn serve(&mut self, mut batch: Vec<Command>) -> Option<Reply> {
        let mut outcome = if self.reserve.is_spent() { Err(self.reserve.error()) } else { self.commit(&batch) };
        if matches!(outcome, Err(RecordError::Corrupt { .. })) {
            outcome = self.replace_damaged(&mut batch).unwrap_or(outcome);
        }
        let taken = batch.len();
        if outcome.is_ok() {
            let synced = self.sync_for(&batch);
            if synced.is_ok() && batch.iter().any(Command::waits_for_disk) {
                self.held.all_on_disk();
            }
            let mut closing = None;
            for (at, command) in batch.drain(..).enumerate() {
                let refused = !self.refused.is_empty() && self.refused.contains(&at);
                closing = if refused { self.refuse(command) } else { self.answer(command, &synced) }.or(closing);
            }
            self.queue.release(taken);
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
                (Ok(()), command) if !self.refused.is_empty() => closing = self.refuse(command).or(closing),
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
        self.queue.release(taken - left.len());
        if left.is_empty() {
            self.queue.committed();
        } else {
            self.put_back(left);
        }
        closing
    }

    /// What cannot be recorded now waits; once nothing more is taken, not for ever.
    fn put_back(&mut self, left: Vec<Command>) {
        if self.queue.is_closed() {
            if self.tries == 0 {
                self.lost = true;
                tracing::error!(records = left.len(), "the store did not work until the end: records are lost");
                self.queue.release(left.len());
                return;
            }
            self.tries -= 1;
            thread::sleep(PAUSE);
        }
        self.queue.put_back(left);
    }

    /// Tells who waits that a request's session is not open. Returns who asked to close, as [`Writer::answer`] does.
    fn refuse(&mut self, command: Command) -> Option<Reply> {
        let Some(session) = command.of_session() else { return self.answer(command, &Ok(())) };
        if matches!(command, Command::Response(_) | Command::Request { reply: None, .. }) {
            tracing::error!(%session, "a record of a connection that is not open in the store is dropped");
        }
        self.answer(command, &Err(RecordError::NoSession { session }))
    }

    /// Sets a damaged segment aside and records the batch in another, before whatever came since. `None` when that is not
    /// to be done, or was not possible: then nothing can be recorded.
    fn replace_damaged(&mut self, batch: &mut Vec<Command>) -> Option<Result<(), RecordError>> {
        if !self.place.owns_store() || self.replaced.is_some_and(|at| at.elapsed() < REPLACED) {
            return None;
        }
        self.replaced = Some(Instant::now());
        batch.append(&mut self.queue.pause());
        let replaced = self.place.replace(&mut self.live, &mut self.rows, (&mut self.checkpointer, &self.stamper));
        let (outcome, intents) = match replaced {
            Ok((intents, event)) => {
                self.held.end_journal();
                (self.note(&event).and_then(|()| self.commit(batch)), Some(intents))
            }
            Err(error) => {
                tracing::error!(%error, "a damaged segment could not be replaced");
                (Err(error), None)
            }
        };
        self.queue.resume(intents);
        Some(outcome)
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
        self.may_write()?;
        let outcome = self.transact(batch);
        if outcome.is_err() {
            self.rows.roll_back(&self.live.conn);
        }
        self.checkpointer.committed();
        outcome.map_err(|e| RecordError::sqlite("write a record", &self.live.path, e))
    }

    /// Beside a daemon that set the segment aside, nothing written to it is in the log any more.
    fn may_write(&self) -> Result<(), RecordError> {
        if self.place.owns_store() || self.live.is_there() {
            return Ok(());
        }
        Err(RecordError::Corrupt { path: self.live.path.clone() })
    }

    fn transact(&mut self, batch: &[Command]) -> rusqlite::Result<()> {
        let (conn, rows) = (&self.live.conn, &mut self.rows);
        self.refused.clear();
        self.pairs.find(batch);
        rows.start(conn)?;
        let mut hot = Hot::prepare(conn)?;
        let began = Instant::now();
        if let Some(event) = stepped(&mut self.offset) {
            rows.event(conn, &event)?;
        }
        for (at, command) in batch.iter().enumerate() {
            if at % TURN == TURN - 1 && began.elapsed() < POLITE {
                thread::yield_now();
            }
            let known = match command {
                Command::Begin(begin) => {
                    let intent = Intent::new(begin.id, 0, begin.start.clone());
                    rows.begin(conn, &intent, &begin.start.identity).map(|()| true)
                }
                Command::Intended { intent, who } => rows.begin(conn, intent, who).map(|()| true),
                Command::End { id, end } => {
                    self.stamper.session_ended();
                    rows.end(conn, *id, end).map(|()| true)
                }
                Command::Event { event, .. } => rows.event(conn, event).map(|()| true),
                Command::Request { request, .. } => {
                    rows.request(conn, &mut hot, request, self.pairs.response(batch, at))
                }
                // It stands with its request, if that was recorded.
                Command::Response(_) if let Some(request) = self.pairs.other(at) => {
                    Ok(!self.refused.contains(&request))
                }
                Command::Response(response) => rows.response(conn, &mut hot, response),
                Command::Approval { approval, .. } => rows.approval(conn, approval).map(|()| true),
                Command::Payload(piece) => payload::add(conn, rows, piece).map(|()| true),
                Command::Sealed(sealed) => segment::seal(conn, &mut rows.ledger, sealed).map(|()| true),
                Command::Flush(_) | Command::Close(_) => Ok(true),
            };
            if !known? {
                self.refused.push(at);
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
        if self.may_write().is_err() {
            return;
        }
        if self.stamper.follow_rotation() {
            let (conn, rows) = (&self.live.conn, &mut self.rows);
            let introduced = rows.start(conn).and_then(|()| {
                self.stamper.introduce(conn, &mut rows.ledger)?;
                rows.ledger.commit(conn)
            });
            if let Err(error) = introduced {
                self.rows.roll_back(&self.live.conn);
                tracing::error!(%error, "a new key could not be put on record");
            }
        }
        let log = self.rows.ledger.committed();
        if let Err(error) = self.stamper.stamp(&self.live.conn, log, &self.checkpointer) {
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

    /// Closes the segment and goes on in another. When none can be begun, everything stays as it is. Returns who asked to
    /// close meanwhile, and is told when that is done.
    fn change_segment(&mut self) -> Option<Reply> {
        let waiting = self.queue.pause();
        let closing = self.serve(waiting);
        self.stamp_now();
        let with = (&mut self.checkpointer, &self.stamper);
        let changed = self.place.change(&mut self.live, &mut self.rows, with, &self.queue);
        match changed {
            Ok(intents) => {
                self.held.end_journal();
                self.queue.resume(Some(intents));
            }
            Err(error) => {
                self.queue.resume(None);
                self.place.try_later();
                tracing::error!(%error, "another segment could not be begun; this one goes on");
            }
        }
        if closing.is_some() {
            self.queue.close();
        }
        closing
    }

    fn finish(mut self) -> Result<(), RecordError> {
        let sealed = self.place.wait_for_finaliser();
        self.may_write()?;
        if self.lost {
            // A writer without an end: whoever opens the store next replays its intents and its journal.
            self.checkpointer.finish()?;
            return Err(RecordError::Lost { path: self.live.path });
        }
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
        self.held.end_journal();
        self.checkpointer.finish()
    }
}

/// Whoever serves a flow goes first: nobody waits for what is written a moment later, and who waits for the disk waits
/// for longer than for a processor.
fn yield_to_flows() {
    // Zero is the calling thread. A host that does not allow it is as fair as before.
    let _ = rustix::process::setpriority_process(None, NICE);
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
