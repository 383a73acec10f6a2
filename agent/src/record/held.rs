//! What is in the journal and not yet committed, with what came in between.
//!
//! Who waits for the disk has been answered; the tables get all of it in one commit, as they get what nobody waits for.

use std::path::Path;
use std::time::{Duration, Instant};

use super::SessionId;
use super::command::Command;
use super::journal::Journal;
use super::queue::{COMPANY, LINGER};
use super::rows::Rows;

/// After a failure to make a journal another try is made so much later.
const LATER: Duration = Duration::from_secs(10);

/// Commands that wait for the next commit, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Held {
    commands: Vec<Command>,
    since: Option<Instant>,
    /// Made when there is the first to journal.
    journal: Option<Journal>,
    /// None could be made then.
    failed: Option<Instant>,
}

impl Held {
    /// When it is to be committed.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + LINGER)
    }

    /// Whether somebody waits for a batch, and nothing in it needs a commit.
    pub(super) fn can_take(&self, batch: &[Command], rows: &Rows) -> bool {
        if self.commands.len() >= COMPANY || !batch.iter().any(Command::waits_for_disk) {
            return false;
        }
        let all = || self.commands.iter().chain(batch);
        let ended: Vec<SessionId> =
            all().filter_map(|command| if let Command::End { id, .. } = command { Some(*id) } else { None }).collect();
        // A request of a session that is not open is refused, which a commit finds out.
        let is_open = |session: SessionId| {
            let begins =
                |command: &Command| matches!(command, Command::Intended { intent, .. } if intent.id == session);
            (rows.open.contains_key(&session) || all().any(begins)) && !ended.contains(&session)
        };
        let can_wait = |command: &Command| match command {
            Command::Request { request, .. } => is_open(request.session),
            Command::Intended { .. } | Command::End { .. } | Command::Response(_) | Command::Payload(_) => true,
            Command::Begin(_)
            | Command::Event { .. }
            | Command::Approval { .. }
            | Command::Sealed(_)
            | Command::Flush(_)
            | Command::Close(_) => false,
        };
        batch.iter().all(can_wait)
    }

    /// Puts a batch into the journal; what it builds on is on the disk. False when that is not possible now: a commit does
    /// it then, or says why not.
    pub(super) fn journal(&mut self, batch: &[Command], segment: &Path, rows: &Rows) -> bool {
        if self.journal.is_none() && self.failed.is_none_or(|at| at.elapsed() >= LATER) {
            let made = Journal::make(segment, rows.writer);
            self.failed = made.is_err().then(Instant::now);
            self.journal = made.ok();
        }
        self.journal.as_mut().is_some_and(|journal| journal.write(batch, &rows.words).unwrap_or(false))
    }

    /// Takes a batch that is in the journal, and answers who waits for it. Says whether it is time to commit.
    pub(super) fn take(&mut self, mut batch: Vec<Command>) -> bool {
        for command in &mut batch {
            if let Command::Request { reply, .. } = command
                && let Some(reply) = reply.take()
            {
                // Who does not wait any more has said so in another way.
                let _ = reply.send(Ok(()));
            }
        }
        self.commands.append(&mut batch);
        self.since.get_or_insert_with(Instant::now).elapsed() >= LINGER
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Gives back what is to be committed now.
    pub(super) fn release(&mut self) -> Vec<Command> {
        self.since = None;
        std::mem::take(&mut self.commands)
    }

    /// Everything in the journal is committed, and that is on the disk.
    pub(super) fn all_on_disk(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.all_committed();
        }
    }

    /// Goes on without a journal; only when everything in it is committed, or can not be any more.
    pub(super) fn end_journal(&mut self) {
        self.journal.take().into_iter().for_each(Journal::remove);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_committed_however_many_ask() {
        let mut held = Held::default();
        assert!(!held.take(Vec::new()) && held.due().is_some());
        held.since = held.since.and_then(|since| since.checked_sub(LINGER));
        assert!(held.take(Vec::new()), "others that ask do not put it off");
        held.release();
        assert!(held.due().is_none() && !held.take(Vec::new()));
    }
}
