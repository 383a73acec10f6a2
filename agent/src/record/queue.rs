//! What waits for the writer, in the order it came: the urgent, whose senders wait for its commit, and the patient, which
//! is in the intents already or can be told later.
//!
//! Bounded: whoever comes when it is full waits for room.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::command::Command;
use super::intents::{Intent, Intents};
use super::{RecordError, SessionId, SessionStart};
use crate::identity::Identity;

/// Records that may wait or be with the writer.
const ROOM: usize = 16_384;
/// How long the patient wait for company. A kill in this time costs how a session ended, never that it began.
pub(super) const LINGER: Duration = Duration::from_millis(10);
/// So many are company enough.
pub(super) const COMPANY: usize = 1024;
/// After a failure the patient are tried again this often.
const RETRY: Duration = Duration::from_secs(1);
/// Processes whose row is known; past this all are forgotten.
const KNOWN: usize = 8192;

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    room: Semaphore,
}

#[derive(Debug)]
struct State {
    /// In the order they came.
    waiting: Vec<Command>,
    /// Somebody waits for one of them.
    urgent: bool,
    since: Option<Instant>,
    intents: Intents,
    /// Process rows that are committed, by the identity's address. Keeping it alive keeps the address its own.
    known: HashMap<usize, (Arc<Identity>, i64)>,
    /// The last commit failed: until one succeeds nobody is told that anything is recorded.
    failing: bool,
    /// Another segment is being begun: until it is, nothing goes into the intents.
    changing: bool,
    closed: bool,
}

impl State {
    fn take(&mut self) -> Vec<Command> {
        self.since = None;
        self.urgent = false;
        std::mem::take(&mut self.waiting)
    }
}

impl Queue {
    pub(super) fn new(intents: Intents) -> Self {
        let state = State {
            waiting: Vec::new(),
            urgent: false,
            since: None,
            intents,
            known: HashMap::new(),
            failing: false,
            changing: false,
            closed: false,
        };
        Self { state: Mutex::new(state), wake: Condvar::new(), room: Semaphore::new(ROOM) }
    }

    /// Writes an intent and leaves the rest for later. Gives the start back when its process has no row yet, or the
    /// store is failing: then only a commit will do.
    pub(super) async fn intend(&self, id: SessionId, start: SessionStart) -> Result<Option<SessionStart>, RecordError> {
        self.make_room().await?;
        let mut state = self.lock();
        let process = state.known.get(&Arc::as_ptr(&start.identity).addr()).map(|(_, row)| *row);
        let ready = !state.failing && !state.changing && !state.closed && Intent::fits(&start);
        let Some(process) = process.filter(|_| ready) else {
            self.room.add_permits(1);
            return Ok(Some(start));
        };
        let who = Arc::clone(&start.identity);
        let intent = Intent::new(id, process, start);
        if let Err(error) = state.intents.write(&intent) {
            self.room.add_permits(1);
            return Err(state.intents.failed(error));
        }
        self.add_patient(state, Command::Intended { intent, who });
        Ok(None)
    }

    /// Adds what can be told later.
    pub(super) async fn add_later(&self, command: Command) -> Result<(), RecordError> {
        self.make_room().await?;
        self.add_patient(self.open()?, command);
        Ok(())
    }

    /// The same where nobody can wait for room.
    pub(super) fn try_add_later(&self, command: Command) {
        if let (Ok(permit), Ok(state)) = (self.room.try_acquire(), self.open()) {
            permit.forget();
            self.add_patient(state, command);
        }
    }

    /// Adds what a thread waits for; false when there is no room, or nothing is taken any more.
    pub(super) fn try_add_now(&self, command: Command) -> bool {
        let (Ok(permit), Ok(mut state)) = (self.room.try_acquire(), self.open()) else { return false };
        permit.forget();
        state.waiting.push(command);
        state.urgent = true;
        drop(state);
        self.wake.notify_one();
        true
    }

    /// Adds what somebody waits for.
    pub(super) async fn add_now(&self, command: Command) -> Result<(), RecordError> {
        self.make_room().await?;
        let mut state = self.open()?;
        state.waiting.push(command);
        state.urgent = true;
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// For the writer: waits for something to do; once it is `due`, what there is, perhaps nothing. `None` when the queue is closed and
    /// empty.
    pub(super) fn take(&self, due: Option<Instant>) -> Option<Vec<Command>> {
        let mut state = self.lock();
        loop {
            let patience = if state.failing { RETRY } else { LINGER };
            let left = state.since.map(|since| patience.saturating_sub(since.elapsed()));
            let enough = state.waiting.len() >= COMPANY && !state.failing;
            if state.urgent || enough || left == Some(Duration::ZERO) || state.closed {
                let batch = state.take();
                return (!batch.is_empty()).then_some(batch);
            }
            let now = Instant::now();
            if due.is_some_and(|due| due <= now) && (state.waiting.is_empty() || !state.failing) {
                return Some(state.take());
            }
            let left = left.into_iter().chain(due.map(|due| due.saturating_duration_since(now))).min();
            state = match left.map(|left| left.max(Duration::from_millis(1))) {
                Some(left) => self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Whether the last commit succeeded.
    pub(super) fn works(&self) -> bool {
        !self.lock().failing
    }

    /// For the writer: what was taken is committed.
    pub(super) fn committed(&self) {
        let mut state = self.lock();
        state.failing = false;
        if state.waiting.is_empty() {
            state.intents.all_committed();
        }
    }

    /// For the writer, before it begins another segment: from here on nothing goes into the intents. Returns what waits.
    pub(super) fn pause(&self) -> Vec<Command> {
        let mut state = self.lock();
        state.changing = true;
        state.known.clear();
        state.take()
    }

    /// For the writer: these were answered, and make room.
    pub(super) fn release(&self, answered: usize) {
        self.room.add_permits(answered);
    }

    /// For the writer: goes on, with the intents of another segment or, when none could be begun, with those of before.
    pub(super) fn resume(&self, intents: Option<Intents>) {
        let mut state = self.lock();
        if let Some(intents) = intents {
            state.known.clear();
            state.intents.remove();
            state.intents = intents;
        }
        state.changing = false;
    }

    /// For the writer: these could not be committed. They are tried again, before anything that came since, and take room
    /// until they are.
    pub(super) fn put_back(&self, mut commands: Vec<Command>) {
        let mut state = self.lock();
        state.failing = true;
        commands.append(&mut state.waiting);
        state.waiting = commands;
        state.since = Some(Instant::now());
    }

    /// For the writer: the committed row of a process.
    pub(super) fn learn(&self, identity: &Arc<Identity>, row: i64) {
        let mut state = self.lock();
        if state.known.len() >= KNOWN {
            state.known.clear();
        }
        state.known.insert(Arc::as_ptr(identity).addr(), (Arc::clone(identity), row));
    }

    /// Whether nothing is taken any more.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Nothing is taken any more; what waits is still for the writer.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.wake.notify_one();
    }

    /// For the writer, at its end: everything is committed.
    pub(super) fn remove_intents(&self) {
        self.lock().intents.remove();
    }

    fn add_patient(&self, mut state: MutexGuard<'_, State>, command: Command) {
        state.waiting.push(command);
        let first = state.since.is_none();
        if first {
            state.since = Some(Instant::now());
        }
        let enough = state.waiting.len() == COMPANY;
        drop(state);
        if first || enough {
            self.wake.notify_one();
        }
    }

    async fn make_room(&self) -> Result<(), RecordError> {
        let permit = self.room.acquire().await.map_err(|_| RecordError::Closed)?;
        permit.forget();
        Ok(())
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, RecordError> {
        let state = self.lock();
        if state.closed { Err(RecordError::Closed) } else { Ok(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
