//! Whose answer a server's message is.

use std::sync::Arc;

use super::super::auth::Authentication;
use super::super::copy::{CopyResponse, Direction};
use super::super::error::{ProtocolError, Result};
use super::super::message::Backend;
use super::super::notice::{Report, Severity};
use super::super::notify::Parameter;
use super::super::query::Status;
use super::super::rows::Column;
use super::names::Shape;
use super::pipeline::{Copying, Kind, Pending};
use super::request::{Answer, Fate, Number};
use super::{Phase, Session};

/// Which messages come by themselves.
fn is_asynchronous(message: &Backend<'_>) -> bool {
    matches!(message, Backend::Notice(_) | Backend::Notification(_) | Backend::Parameter(_))
}

impl Session {
    /// Takes a server's message: says which request it answers, and what becomes of it.
    ///
    /// # Errors
    /// A message that no outstanding request can have: the flow ends, and the message is not passed.
    pub fn backend(&mut self, message: &Backend<'_>) -> Result<Answer> {
        match (self.phase, message) {
            (Phase::Startup, _) => return Err(unexpected(message, "before a startup message")),
            (Phase::Authenticating, Backend::Authentication(Authentication::Ok)) => self.phase = Phase::Open,
            (Phase::Authenticating, Backend::Authentication(_) | Backend::Negotiation(_) | Backend::Notice(_)) => {}
            (Phase::Authenticating, Backend::Error(_)) => self.phase = Phase::Ended,
            (Phase::Authenticating, _) => return Err(unexpected(message, "before authentication")),
            (Phase::Open | Phase::Ended, Backend::Authentication(_) | Backend::Negotiation(_)) => {
                return Err(unexpected(message, "after authentication"));
            }
            (Phase::Open | Phase::Ended, Backend::Error(report)) => return self.error(report),
            (Phase::Open | Phase::Ended, Backend::Ready(status)) => return self.ready(*status),
            (Phase::Open | Phase::Ended, Backend::Parameter(parameter)) => self.set(parameter)?,
            (Phase::Open | Phase::Ended, message) if is_asynchronous(message) => {}
            (Phase::Open | Phase::Ended, message) => return self.answer(message),
        }
        Ok(self.beside())
    }

    /// Takes rows or copied data that nobody looks into.
    ///
    /// # Errors
    /// If no outstanding request can have any.
    pub fn bulk(&mut self, tag: u8) -> Result<Answer> {
        let during = "with nothing to answer";
        let pending = self.pipeline.front().ok_or(ProtocolError::Unexpected { kind: tag, during })?;
        let fits = match tag {
            b'D' => takes_rows(pending),
            _ => pending.copying.is_some_and(|copying| copying.gives()) && !pending.failed,
        };
        if !fits {
            return Err(ProtocolError::Unexpected { kind: tag, during: pending.during() });
        }
        Ok(self.beside())
    }

    /// The columns of the rows that come now, each as it is written in them, if anybody told.
    #[must_use]
    pub fn shape(&self) -> Option<Arc<Shape>> {
        let pending = self.pipeline.front()?;
        match &pending.kind {
            Kind::Execute(portal) => portal.as_ref()?.shape(),
            Kind::Query => pending.shape.clone(),
            Kind::Startup
            | Kind::FunctionCall
            | Kind::Sync
            | Kind::Parse
            | Kind::Bind
            | Kind::DescribeStatement(_)
            | Kind::DescribePortal(_)
            | Kind::Close
            | Kind::Denied(..) => None,
        }
    }

    /// A column of [`Session::shape`] at its place, from 0, with the format of the rows that come now.
    #[must_use]
    pub fn as_written<'c>(&self, place: usize, column: Column<'c>) -> Column<'c> {
        let format = match self.pipeline.front().map(|pending| &pending.kind) {
            Some(Kind::Execute(Some(portal))) => portal.format(place),
            Some(_) | None => None,
        };
        Column { format: format.unwrap_or(column.format), ..column }
    }

    fn set(&mut self, parameter: &Parameter<'_>) -> Result<()> {
        if self.parameters.len() >= self.room.parameters && !self.parameters.contains_key(parameter.name) {
            return Err(ProtocolError::Limit { what: "settings", limit: self.room.parameters });
        }
        self.parameters.insert(parameter.name.into(), parameter.value.into());
        Ok(())
    }

    /// A message that interrupts nothing.
    fn beside(&self) -> Answer {
        let request = self.pipeline.front().map(|pending| pending.number);
        Answer { request, fate: Fate::Pass, done: false, skipped: None }
    }

    fn answer(&mut self, message: &Backend<'_>) -> Result<Answer> {
        let Some(pending) = self.pipeline.front_mut() else {
            return Err(unexpected(message, "with nothing to answer"));
        };
        let (number, ours) = (pending.number, pending.ours);
        let done = advance(pending, message).ok_or_else(|| unexpected(message, pending.during()))?;
        if let Backend::Copy(copy) = message {
            self.copy_begins(copy)?;
        } else if done {
            if let Some(pending) = self.pipeline.pop_front() {
                self.names.settle(&pending.changes, None);
            }
        } else if let (Backend::Complete(_), Some(pending)) = (message, self.pipeline.front_mut()) {
            self.names.settle(&pending.changes, Some(pending.completed));
            pending.completed += 1;
        }
        let fate = if ours { Fate::Swallow } else { Fate::Pass };
        Ok(Answer { request: Some(number), fate, done, skipped: None })
    }

    /// Syncs that were sent before the client knew that a COPY begins mean nothing to the server, which reads data now.
    /// Anything else it would take for a client that has lost its way.
    fn copy_begins(&mut self, copy: &CopyResponse<'_>) -> Result<()> {
        if copy.direction == Direction::Out {
            return Ok(());
        }
        while self.pipeline.get(1).is_some_and(|pending| matches!(pending.kind, Kind::Sync)) {
            self.pipeline.remove(1);
            self.batch_open = true;
        }
        if self.pipeline.len() > 1 {
            return Err(ProtocolError::Unexpected { kind: b'G', during: "with requests behind it" });
        }
        Ok(())
    }

    fn ready(&mut self, status: Status) -> Result<Answer> {
        let pending = self.pipeline.pop_front_if(|pending| may_end(pending));
        let Some(pending) = pending else {
            let during = self.pipeline.front().map_or("with nothing to answer", Pending::during);
            return Err(ProtocolError::Unexpected { kind: b'Z', during });
        };
        if !pending.failed {
            self.names.settle(&pending.changes, None);
        }
        self.status = status;
        if status == Status::Idle {
            // Portals die with their transaction; statements do not.
            self.names.portals.retain(self.oldest(), |portal| portal.hold);
        }
        Ok(Answer { request: Some(pending.number), fate: Fate::Pass, done: true, skipped: None })
    }

    fn error(&mut self, report: &Report<'_>) -> Result<Answer> {
        if report.severity() == Severity::Fatal {
            self.phase = Phase::Ended;
            return Ok(self.beside());
        }
        let Some(pending) = self.pipeline.front_mut() else {
            return Err(ProtocolError::Unexpected { kind: b'E', during: "with nothing to answer" });
        };
        if pending.failed || matches!(pending.kind, Kind::Denied(..)) {
            return Err(ProtocolError::Unexpected { kind: b'E', during: pending.during() });
        }
        let fate = pending.refusal.take().map_or(Fate::Pass, Fate::Instead);
        pending.failed = true;
        pending.copying = None;
        pending.shape = None;
        let number = pending.number;
        let alone = pending.ends_with_ready();
        let skipped = self.unwind(if alone { 1 } else { self.to_sync() });
        Ok(Answer { request: Some(number), fate, done: !alone, skipped })
    }

    /// How many requests, the first included, are before the next Sync.
    fn to_sync(&self) -> usize {
        let sync = self.pipeline.iter().position(|pending| matches!(pending.kind, Kind::Sync));
        sync.unwrap_or(self.pipeline.len())
    }

    /// The first request has failed, and the server skips those after it, `count` in all.
    fn unwind(&mut self, count: usize) -> Option<(Number, Number)> {
        let oldest = self.oldest();
        for pending in self.pipeline.iter_mut().rev().filter(|pending| !pending.changes.is_empty()) {
            self.names.undo(&mut pending.changes, oldest);
        }
        if let Some(first) = self.pipeline.front_mut() {
            // What a query's finished statements did stays done.
            let done = first.completed;
            first.changes.statements.retain(|change| change.done_by(done));
            first.changes.portals.retain(|change| change.done_by(done));
            self.names.fail(&first.changes);
            first.changes = super::names::Changes::default();
        }
        for pending in self.pipeline.iter_mut().skip(count) {
            self.names.redo(&mut pending.changes);
        }
        let extended = self.pipeline.front().is_some_and(|pending| !pending.ends_with_ready());
        if !extended {
            return None;
        }
        if count == self.pipeline.len() {
            self.skipping = true;
            self.blocked = false;
        }
        let first = self.pipeline.get(1).map(|pending| pending.number);
        let last = self.pipeline.drain(..count).next_back().map(|pending| pending.number);
        first.zip(last).filter(|(first, last)| first <= last).map(|(first, last)| (first, last + 1))
    }
}

/// Whether ReadyForQuery may come to a request now.
fn may_end(pending: &Pending) -> bool {
    pending.failed && pending.ends_with_ready()
        || match pending.kind {
            Kind::FunctionCall => pending.halfway,
            Kind::Query => pending.copying.is_none(),
            Kind::Startup | Kind::Sync => true,
            Kind::Parse
            | Kind::Bind
            | Kind::DescribeStatement(_)
            | Kind::DescribePortal(_)
            | Kind::Execute(_)
            | Kind::Close
            | Kind::Denied(..) => false,
        }
}

fn takes_rows(pending: &Pending) -> bool {
    let query = matches!(pending.kind, Kind::Query) && pending.shape.is_some();
    !pending.failed && pending.copying.is_none() && (query || matches!(pending.kind, Kind::Execute(_)))
}

/// Moves a request on by an answer: whether it is finished, or nothing if it cannot have that answer.
fn advance(pending: &mut Pending, message: &Backend<'_>) -> Option<bool> {
    if pending.failed {
        return None;
    }
    if let Some(copying) = &mut pending.copying {
        if copying.takes() || copying.gives() {
            return copied(copying, message);
        }
        // What ends a COPY, or follows it in replication, are ordinary results.
        pending.copying = None;
    }
    let tell = |columns: &super::super::rows::Columns<'_>| Arc::new(Shape::Columns(columns.to_body().into()));
    match (&pending.kind, message) {
        (Kind::Parse, Backend::ParseComplete)
        | (Kind::Bind, Backend::BindComplete)
        | (Kind::Close, Backend::CloseComplete) => Some(true),
        (Kind::Startup, Backend::KeyData(_)) => Some(false),
        (Kind::DescribeStatement(_), Backend::Parameters(_)) if !pending.halfway => {
            pending.halfway = true;
            Some(false)
        }
        (Kind::DescribeStatement(statement), Backend::Columns(_) | Backend::NoData) if pending.halfway => {
            let shape = if let Backend::Columns(columns) = message { tell(columns) } else { Arc::new(Shape::Nothing) };
            if let Some(statement) = statement {
                statement.shape.tell(shape);
            }
            Some(true)
        }
        (Kind::DescribePortal(portal), Backend::Columns(_) | Backend::NoData) => {
            let shape = if let Backend::Columns(columns) = message { tell(columns) } else { Arc::new(Shape::Nothing) };
            if let Some(portal) = portal {
                portal.shape.tell(shape);
            }
            Some(true)
        }
        (Kind::Execute(_), Backend::Row(_)) => Some(false),
        (Kind::Execute(_), Backend::Complete(_) | Backend::Empty | Backend::Suspended) => Some(true),
        (Kind::Query, Backend::Columns(columns)) => {
            pending.shape = Some(tell(columns));
            Some(false)
        }
        (Kind::Query, Backend::Row(_)) if pending.shape.is_some() => Some(false),
        (Kind::Query, Backend::Complete(_) | Backend::Empty) => {
            pending.shape = None;
            Some(false)
        }
        (Kind::Query | Kind::Execute(_), Backend::Copy(copy)) => {
            let both = copy.direction == Direction::Both;
            if both && !matches!(pending.kind, Kind::Query) {
                return None;
            }
            pending.copying = Some(Copying { direction: copy.direction, client_done: false, server_done: false });
            Some(false)
        }
        (Kind::FunctionCall, Backend::FunctionResult(_)) if !pending.halfway => {
            pending.halfway = true;
            Some(false)
        }
        _ => None,
    }
}

/// Moves a COPY on, which finishes nothing yet; or nothing if the message has no place in it.
fn copied(copying: &mut Copying, message: &Backend<'_>) -> Option<bool> {
    let done = matches!(message, Backend::CopyDone);
    let fits = copying.gives() && (done || matches!(message, Backend::CopyData(_)));
    copying.server_done |= fits && done;
    fits.then_some(false)
}

fn unexpected(message: &Backend<'_>, during: &'static str) -> ProtocolError {
    ProtocolError::Unexpected { kind: message.tag(), during }
}
