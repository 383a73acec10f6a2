//! Where the store is, which segment is written, and how one follows another.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpoint::Checkpointer;
use super::command::Command;
use super::intents::Intents;
use super::ledger::{Ledger, read_head};
use super::options::Options;
use super::proof::Frontier;
use super::queue::Queue;
use super::recorder::Role;
use super::reserve::Reserve;
use super::retain::{self, Retention};
use super::rows::Rows;
use super::segment::{self, Live, Sealed};
use super::stamp::Stamper;
use super::writer::Writer;
use super::{EventKind, EventRecord, RecordError, Timestamps, damage, file, writers};

/// After a failure another segment is tried this much later.
const LATER: Duration = Duration::from_secs(60);
/// How often the size of the segment's file is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// The directory of the store and what is known about keeping it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) options: Options,
    role: Role,
    /// Gives back what it finalised and could not tell.
    finaliser: Option<JoinHandle<Vec<Sealed>>>,
    not_before: Instant,
}

/// Everything the writer works with.
pub(super) struct Opened {
    pub(super) place: Place,
    pub(super) live: Live,
    pub(super) rows: Rows,
    pub(super) checkpointer: Checkpointer,
    pub(super) stamper: Stamper,
    pub(super) reserve: Reserve,
}

/// Opens the store and starts the writer's thread; returns when the store is ready.
pub(super) fn start(state_dir: &Path, options: &Options, role: Role) -> Result<Arc<Queue>, RecordError> {
    let directory = &file::directory(state_dir);
    file::prepare_directory(directory)?;
    let lock = (role == Role::Daemon).then(|| file::lock_for_daemon(directory)).transpose()?;
    let opening = file::lock_for_opening(directory)?;
    let stamper = Stamper::open(state_dir, directory, options, role)?;
    let mut others = Reserve::of_another(directory);
    let enter = || enter(directory, &stamper, role);
    let entered = if role == Role::Daemon { enter() } else { others.or_spend(enter) };
    let Entered { live, rows, abandoned, damaged } = entered?;
    let row = rows.writer;
    drop(opening);
    if abandoned.sessions > 0 {
        tracing::warn!(sessions = abandoned.sessions, "ended sessions that a killed process left open");
    }
    let intents =
        Intents::open(&live.path, row).map_err(|e| RecordError::file("open the intents of", &live.path, e))?;
    let queue = Arc::new(Queue::new(intents));
    let checkpointer = Checkpointer::start(&live.path)?;
    let reserve = match role {
        Role::Daemon => Reserve::keep(directory, &live.path),
        Role::Exec => others,
    };
    let mut place = Place {
        directory: directory.to_owned(),
        options: options.clone(),
        role,
        finaliser: None,
        not_before: Instant::now(),
    };
    place.finalise_closed(live.number, &queue);
    let path = live.path.clone();
    let opened = Opened { place, live, rows, checkpointer, stamper, reserve };
    let mut writer = Writer::new(opened, Arc::clone(&queue), lock);
    if let Some(damaged) = damaged {
        writer.note(&damaged)?;
    }
    thread::Builder::new()
        .name("recorder".to_owned())
        .spawn(move || writer.run())
        .map_err(|e| RecordError::file("start the thread that writes", &path, e))?;
    Ok(queue)
}

/// A segment this writer is registered in.
struct Entered {
    live: Live,
    rows: Rows,
    abandoned: writers::Abandoned,
    damaged: Option<EventRecord>,
}

/// Opens the segment that is written, under the lock for that, and registers this writer in it.
fn enter(directory: &Path, stamper: &Stamper, role: Role) -> Result<Entered, RecordError> {
    let (mut live, damaged) = find_live(directory, stamper, role)?;
    let mut ledger = Ledger::new(live.log()?);
    let (abandoned, row) = register(&live, &mut ledger, stamper, role)?;
    let mut rows = Rows::new(ledger, row);
    if live.is_closed()? {
        // Closed by a daemon that was killed before it had begun the next.
        let next = Live::open(directory, live.number + 1, stamper.origin(), rows.ledger.committed())?;
        let mut ledger = Ledger::new(next.log()?);
        let row = register(&next, &mut ledger, stamper, role)?.1;
        (live, rows) = (next, Rows::new(ledger, row));
    }
    abandoned.forget(&live.path);
    Ok(Entered { live, rows, abandoned, damaged })
}

/// Opens the segment that is written, or begins the first. One that is damaged is set aside, and another begun where the
/// log stood: at the end of the segment before, or further on by the last checkpoint.
fn find_live(directory: &Path, stamper: &Stamper, role: Role) -> Result<(Live, Option<EventRecord>), RecordError> {
    let failed = |e| RecordError::file("list", directory, e);
    let found = file::segments(directory).map_err(failed)?;
    let (_, aside) = file::absent(directory).map_err(failed)?;
    let origin = stamper.origin();
    let number = found.last().map_or(1, |last| last.number + u64::from(!last.live));
    // Who set one aside may have been killed, or found the disk full, before another was begun.
    let number = aside.keys().next_back().map_or(number, |last| number.max(last + 1));
    let is_new = found.iter().all(|segment| segment.number != number);
    // Only a segment that has to be begun asks where the log stood before.
    let before = found.iter().rev().find(|segment| segment.number < number);
    let end = before.map_or(Ok(Frontier::new()), |before| log_of(&before.path))?;
    let known = damage::last_known(directory);
    let (is_lost, log) = if known.size() > end.size() { (is_new, known) } else { (false, end) };
    match Live::open(directory, number, origin, &log) {
        Err(RecordError::Corrupt { path }) => {
            // A daemon that runs writes it on, and finds out itself.
            let alone = (role == Role::Exec).then(|| file::lock_for_daemon(directory)).transpose();
            let _alone = alone.map_err(|_| RecordError::Corrupt { path: path.clone() })?;
            let event = set_aside(&path, &log)?;
            Ok((Live::open(directory, number + 1, origin, &log)?, Some(event)))
        }
        opened => Ok((opened?, is_lost.then(|| lost(&log)))),
    }
}

/// What there is to record when records were signed and are not there.
fn lost(known: &Frontier) -> EventRecord {
    let size = known.size();
    let detail = format!("the last segment was not there any more; the log goes on after its first {size} records");
    tracing::error!("{detail}");
    EventRecord { detail: Some(detail), ..EventRecord::new(EventKind::StoreDamaged, Timestamps::now()) }
}

/// Sets a damaged segment aside; returns what there is to record of it.
fn set_aside(path: &Path, known: &Frontier) -> Result<EventRecord, RecordError> {
    let aside = damage::set_aside(path)?;
    let (path, aside, size) = (path.display(), aside.display(), known.size());
    let detail = format!("{path} was damaged and is now {aside}; the log goes on after its first {size} records");
    tracing::error!("{detail}");
    Ok(EventRecord { detail: Some(detail), ..EventRecord::new(EventKind::StoreDamaged, Timestamps::now()) })
}

fn log_of(closed: &Path) -> Result<Frontier, RecordError> {
    let read = || read_head(&file::connect_read_only(closed)?);
    read().map_err(|e| RecordError::sqlite("read the head of", closed, e))
}

/// Takes care of what killed writers left, and registers this one.
fn register(
    live: &Live,
    ledger: &mut Ledger,
    stamper: &Stamper,
    role: Role,
) -> Result<(writers::Abandoned, i64), RecordError> {
    let conn = &live.conn;
    let mut run = || {
        ledger.begin(conn)?;
        let abandoned = writers::interrupt_abandoned(conn, ledger, &live.path)?;
        let row = writers::register(conn, ledger, role)?;
        stamper.introduce(conn, ledger)?;
        ledger.commit(conn)?;
        Ok((abandoned, row))
    };
    run().map_err(|e| RecordError::sqlite("register as a writer", &live.path, e))
}

impl Place {
    /// Whether it is this writer's business, and time, to look whether the segment is full grown.
    pub(super) fn may_rotate(&mut self) -> bool {
        let now = Instant::now();
        let due = self.role == Role::Daemon && now >= self.not_before;
        if due {
            self.not_before = now + LOOK;
        }
        due
    }

    /// Whether damage found while writing is for this writer to deal with.
    pub(super) fn owns_store(&self) -> bool {
        self.role == Role::Daemon
    }

    /// Not again for a while.
    pub(super) fn try_later(&mut self) {
        self.not_before = Instant::now() + LATER;
    }

    /// Closes the segment and begins the next, under the lock that keeps others from opening either meanwhile.
    pub(super) fn change(
        &mut self,
        live: &mut Live,
        rows: &mut Rows,
        with: (&mut Checkpointer, &Stamper),
        queue: &Arc<Queue>,
    ) -> Result<Intents, RecordError> {
        let _opening = file::lock_for_opening(&self.directory)?;
        let (checkpointer, stamper) = with;
        let failed = |e| RecordError::sqlite("begin another segment after", &live.path, e);
        let number = live.number + 1;
        // One that came since that was looked at wrote to a file that is removed.
        if writers::are_others(&live.conn, rows.writer).map_err(failed)? {
            return Err(RecordError::Busy { path: live.path.clone() });
        }
        // What killed processes left beside this segment belongs into it.
        let abandoned = (|| {
            rows.start(&live.conn)?;
            let abandoned = writers::interrupt_abandoned(&live.conn, &mut rows.ledger, &live.path)?;
            rows.ledger.commit(&live.conn)?;
            Ok(abandoned)
        })();
        let abandoned = abandoned.map_err(|error| {
            rows.roll_back(&live.conn);
            failed(error)
        })?;
        // What the next one goes on from must not be lost where that one's name is kept.
        checkpointer.sync()?;
        abandoned.forget(&live.path);
        // One that an earlier attempt left began where the log is no more.
        segment::remove_live(&self.directory, number)?;
        let next = Live::open(&self.directory, number, stamper.origin(), rows.ledger.committed())?;
        let ledger = Ledger::new(next.log()?);
        let fresh = self.begin(&next, ledger, stamper, Some((&live.conn, rows)))?;
        let intents = Intents::open(&next.path, fresh.writer)
            .map_err(|e| RecordError::file("open the intents of", &next.path, e))?;
        let started = Checkpointer::start(&next.path)?;
        segment::close(&live.conn).map_err(failed)?;
        checkpointer.sync()?;
        (*live, *rows, *checkpointer) = (next, fresh, started);
        self.finalise_closed(live.number, queue);
        Ok(intents)
    }

    /// Sets the segment aside, which turned out to be damaged while it was written, and begins another where the log stood.
    /// What is open is carried over if it can still be read. Returns what there is to record of it as well.
    pub(super) fn replace(
        &self,
        live: &mut Live,
        rows: &mut Rows,
        with: (&mut Checkpointer, &Stamper),
    ) -> Result<(Intents, EventRecord), RecordError> {
        let _opening = file::lock_for_opening(&self.directory)?;
        let (checkpointer, stamper) = with;
        let known = rows.ledger.committed();
        let event = set_aside(&live.path, known)?;
        let next = Live::open(&self.directory, live.number + 1, stamper.origin(), known)?;
        let carried = self.begin(&next, Ledger::new(next.log()?), stamper, Some((&live.conn, rows)));
        let fresh = match carried {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::error!(%error, open = rows.open.len(), "open connections cannot be carried over, and end");
                let _ = next.conn.execute_batch("ROLLBACK");
                self.begin(&next, Ledger::new(next.log()?), stamper, None)?
            }
        };
        let intents = Intents::open(&next.path, fresh.writer)
            .map_err(|e| RecordError::file("open the intents of", &next.path, e))?;
        let started = Checkpointer::start(&next.path)?;
        (*live, *rows, *checkpointer) = (next, fresh, started);
        Ok((intents, event))
    }

    /// The first rows of a segment: this writer, its key, and the sessions of another segment.
    fn begin(
        &self,
        next: &Live,
        mut ledger: Ledger,
        stamper: &Stamper,
        from: Option<(&Connection, &Rows)>,
    ) -> Result<Rows, RecordError> {
        let begun = || -> rusqlite::Result<Rows> {
            ledger.begin(&next.conn)?;
            let row = writers::register(&next.conn, &mut ledger, self.role)?;
            stamper.introduce(&next.conn, &mut ledger)?;
            let mut fresh = Rows::new(ledger, row);
            if let Some((conn, before)) = from {
                segment::carry(conn, &next.conn, before, &mut fresh)?;
            }
            fresh.ledger.commit(&next.conn)?;
            Ok(fresh)
        };
        begun().map_err(|e| RecordError::sqlite("begin a segment in", &next.path, e))
    }

    /// Finalises what was closed before a segment, and removes what is due, away from the writer's path.
    fn finalise_closed(&mut self, before: u64, queue: &Arc<Queue>) {
        if self.role != Role::Daemon {
            return;
        }
        // One that still works may wait for the writer, who calls here: what is left is for the next change or start.
        if self.finaliser.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let (directory, queue) = (self.directory.clone(), Arc::downgrade(queue));
        let retention = self.options.retention.clone();
        let work = move || {
            let untold = finalise(&directory, before, &queue);
            if let Err(error) = prune(&directory, &retention, &queue) {
                tracing::error!(%error, "old segments could not be removed; the next start tries");
            }
            untold
        };
        self.finaliser = thread::Builder::new().name("finaliser".to_owned()).spawn(work).ok();
    }

    /// Until the thread that finalises is done; returns what it could not tell.
    pub(super) fn wait_for_finaliser(&mut self) -> Vec<Sealed> {
        // A panic there was reported by the thread itself.
        self.finaliser.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

/// Segments this far back are named in a later one for certain.
const NAMED: u64 = 4;

fn finalise(directory: &Path, before: u64, queue: &Weak<Queue>) -> Vec<Sealed> {
    let mut untold = Vec::new();
    for closed in file::segments(directory).unwrap_or_default() {
        if closed.number >= before || !closed.live && closed.number + NAMED < before {
            continue;
        }
        match segment::finalise(directory, closed.number) {
            Ok(sealed) => {
                let command = Command::Sealed(Box::new(sealed.clone()));
                if !queue.upgrade().is_some_and(|queue| queue.try_add_now(command)) {
                    untold.push(sealed);
                }
            }
            Err(error) => tracing::error!(%error, "a closed segment could not be finalised; the next start tries"),
        }
    }
    untold
}

/// Removes what is due; each removal is recorded first.
fn prune(directory: &Path, retention: &Retention, queue: &Weak<Queue>) -> Result<(), RecordError> {
    for due in retain::due(directory, retention)? {
        let Some((edge, note)) = segment::last_words(&due.path)? else {
            tracing::warn!(path = %due.path.display(), "not removed: nothing signed can stand for all of it");
            return Ok(());
        };
        let event = EventRecord { detail: Some(due.told()), ..EventRecord::new(EventKind::Pruned, Timestamps::now()) };
        if retain::is_held(directory, due.number) {
            return Ok(());
        }
        let (reply, recorded) = oneshot::channel();
        let told = queue.upgrade().is_some_and(|q| q.try_add_now(Command::Event { event: Box::new(event), reply }));
        let (reply, synced) = oneshot::channel();
        // A stub without this record is a removal by somebody else: the record is on the disk first.
        let told = told && queue.upgrade().is_some_and(|queue| queue.try_add_now(Command::Flush(reply)));
        let on_disk = || matches!((recorded.blocking_recv(), synced.blocking_recv()), (Ok(Ok(())), Ok(Ok(()))));
        if !told || !on_disk() {
            return Ok(());
        }
        retain::remove(directory, &due, &edge, &note)?;
    }
    Ok(())
}
