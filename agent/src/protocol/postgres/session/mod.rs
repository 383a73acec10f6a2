//! A session as the server sees it, and whose answer is whose.
//!
//! Messages are shown to it in the order they cross the proxy, in both directions. A request comes back as [`Asked`],
//! with what its names stand for, and is then passed or denied; an answer comes back with the request it belongs to.
//!
//! **A denial never touches the server's transaction.** The client gets an ErrorResponse at the place of the answer, after
//! everything before it is answered; then, for a simple query or function call, ReadyForQuery with the state the server
//! itself told last (or tells to a Sync in the request's place, if a batch is open); in the extended protocol everything
//! up to the client's Sync is dropped, and the server's answer to that Sync tells the state. Inside a transaction block the
//! client so sees ERROR and then `T`: unlike an error of the server, a denial leaves the block usable, and what the same
//! batch did before the denial is committed by its Sync.
//!
//! Protocol documentation: "Message Flow".

mod answers;
mod names;
mod pipeline;
mod request;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::HashMap;

pub use names::{Found, Portal, Shape, Statement};
pub use request::{Answer, Asked, Deed, Effect, Fate, Number, Passed, Request, Routine, Turn};

use super::error::{ProtocolError, Result};
use super::extended::{FLUSH, Object};
use super::message::Frontend;
use super::query::Status;
use super::startup::{Replication, Start};
use names::Names;
use pipeline::{Kind, Pending, Pipeline};

/// What one session may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Requests that are not yet answered; more have to wait. A server keeps answers of 8 KiB to itself until it is asked
    /// for them, so fewer than 2,000 could wait for ever.
    pub requests: usize,
    /// Prepared statements and portals.
    pub names: usize,
    /// Their texts and parameters, in bytes.
    pub kept: usize,
    /// Settings the server tells.
    pub parameters: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { requests: 10_000, names: 65_536, kept: 256 << 20, parameters: 1_000 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Startup,
    Authenticating,
    Open,
    Ended,
}

/// A name and a value.
type Setting = (Box<[u8]>, Box<[u8]>);

/// The state of one session.
#[derive(Debug)]
pub struct Session {
    room: Room,
    phase: Phase,
    start: Vec<Setting>,
    database: Box<[u8]>,
    replication: Replication,
    parameters: HashMap<Box<[u8]>, Box<[u8]>>,
    status: Status,
    names: Names,
    pipeline: Pipeline,
    /// Number of the next request.
    next: Number,
    /// Counts Syncs: what is skipped after a failure is skipped within one batch.
    batch: u64,
    /// Whether extended requests were passed since the last Sync.
    batch_open: bool,
    /// Whether everything up to the next Sync is dropped.
    skipping: bool,
    /// Whether a denied request has to be answered before anything else can be passed.
    blocked: bool,
    /// Bytes of ours for the server.
    to_server: Vec<u8>,
    /// Whether a Flush of ours follows the last request.
    flushed: bool,
}

impl Session {
    /// A connection on which nothing has been said.
    #[must_use]
    pub fn new(room: Room) -> Self {
        Self {
            room,
            phase: Phase::Startup,
            start: Vec::new(),
            database: Box::default(),
            replication: Replication::No,
            parameters: HashMap::new(),
            status: Status::Idle,
            names: Names::default(),
            pipeline: Pipeline::new(),
            next: 0,
            batch: 0,
            batch_open: false,
            skipping: false,
            blocked: false,
            to_server: Vec::new(),
            flushed: false,
        }
    }

    /// The client's startup message was accepted and goes to the server.
    ///
    /// # Errors
    /// If there was one before.
    pub fn start(&mut self, start: &Start<'_>) -> Result<Routine> {
        if self.phase != Phase::Startup {
            return Err(ProtocolError::Unexpected { kind: 0, during: "after a startup message" });
        }
        self.phase = Phase::Authenticating;
        self.start = start.parameters().map(|(name, value)| (name.into(), value.into())).collect();
        self.database = start.database().into();
        self.replication = start.replication();
        self.push(Kind::Startup);
        Ok(Routine::new())
    }

    /// What the startup message said, in order.
    pub fn start_parameters(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.start.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The database it is in, as the server reads the startup message: the last that is named, or else the user's.
    #[must_use]
    pub fn database(&self) -> &[u8] {
        &self.database
    }

    /// What the server last told a setting to be: `standard_conforming_strings`, `client_encoding`, ...
    #[must_use]
    pub fn parameter(&self, name: &[u8]) -> Option<&[u8]> {
        self.parameters.get(name).map(|value| &**value)
    }

    /// Where the transaction stood when the server last told.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether the next request is run inside a transaction block: one is open, and nothing that waits for an answer can
    /// end it.
    #[must_use]
    pub fn in_block(&self) -> bool {
        self.status == Status::Block && self.pipeline.iter().all(|pending| pending.kind.only_prepares())
    }

    /// Whether the session has ended, by either side.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Whether the server has nothing left to answer.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.pipeline.is_empty()
    }

    /// Whether the server waits for a request, and nothing but a transaction block is open.
    #[must_use]
    pub fn at_rest(&self) -> bool {
        self.phase == Phase::Open && self.pipeline.is_empty() && !self.batch_open && !self.skipping && !self.blocked
    }

    /// Asks the server for the answers it keeps to itself, where it does: something waits for them.
    pub fn urge(&mut self) {
        self.flush();
    }

    /// What the next request would mean by a statement's name; empty for the unnamed one.
    #[must_use]
    pub fn statement(&self, name: &[u8]) -> Found<Statement> {
        self.names.statements.find(name, self.batch, self.oldest())
    }

    /// What the next request would mean by a portal's or cursor's name; empty for the unnamed one.
    #[must_use]
    pub fn portal(&self, name: &[u8]) -> Found<Portal> {
        self.names.portals.find(name, self.batch, self.oldest())
    }

    /// What the client's next message means now.
    ///
    /// # Errors
    /// A message that cannot come now, or too much of everything: the flow ends, and the message is not passed.
    pub fn frontend<'a>(&mut self, message: Frontend<'a>) -> Result<Turn<'a>> {
        let kind = message.tag();
        match (self.phase, &message) {
            (Phase::Authenticating | Phase::Open, Frontend::Terminate) => {
                self.phase = Phase::Ended;
                return Ok(Turn::Pass(Routine::new()));
            }
            (Phase::Authenticating, Frontend::Secret(_)) => return Ok(Turn::Pass(Routine::new())),
            (Phase::Open, Frontend::Secret(_)) => {
                return Err(ProtocolError::Unexpected { kind, during: "after authentication" });
            }
            (Phase::Open, _) => {}
            (Phase::Startup | Phase::Authenticating, _) => {
                return Err(ProtocolError::Unexpected { kind, during: "before authentication" });
            }
            (Phase::Ended, _) => return Err(ProtocolError::Unexpected { kind, during: "after the end" }),
        }
        if self.blocked {
            return Ok(Turn::Wait);
        }
        if self.skipping {
            if message != Frontend::Sync {
                return Ok(Turn::Drop);
            }
        } else if let Some(turn) = self.copying(&message)? {
            return Ok(turn);
        }
        if self.pipeline.len() >= self.room.requests && message != Frontend::Flush {
            return Ok(Turn::Wait);
        }
        match message {
            Frontend::Sync => {
                self.skipping = false;
                self.sync();
                Ok(Turn::Pass(Routine::new()))
            }
            Frontend::Flush => Ok(Turn::Pass(Routine::new())),
            Frontend::Secret(_)
            | Frontend::Query(_)
            | Frontend::Parse(_)
            | Frontend::Bind(_)
            | Frontend::Describe(_)
            | Frontend::Execute(_)
            | Frontend::Close(_)
            | Frontend::FunctionCall(_)
            | Frontend::CopyData(_)
            | Frontend::CopyDone
            | Frontend::CopyFail(_)
            | Frontend::Terminate => {
                Ok(self.request(message)?.map_or(Turn::Wait, |request| Turn::Ask(Asked { number: self.next, request })))
            }
        }
    }

    /// What a message is while data is copied to the server, or if it is copied data.
    fn copying<'a>(&mut self, message: &Frontend<'a>) -> Result<Option<Turn<'a>>> {
        let is_copy = matches!(message, Frontend::CopyData(_) | Frontend::CopyDone | Frontend::CopyFail(_));
        let front = self.pipeline.front_mut();
        let takes = front.and_then(|p| Some((p.number, p.copying.as_mut().filter(|copying| copying.takes())?)));
        let Some((number, copying)) = takes else {
            // The server ignores what comes after a COPY has failed; but one that is about to begin does not.
            let wait = is_copy && self.pipeline.iter().any(Pending::may_copy);
            if wait {
                self.flush();
            }
            return Ok(is_copy.then_some(if wait { Turn::Wait } else { Turn::Drop }));
        };
        match message {
            Frontend::CopyData(data) => Ok(Some(Turn::Ask(Asked { number, request: Request::CopyData(data) }))),
            Frontend::CopyDone | Frontend::CopyFail(_) => {
                copying.client_done = true;
                Ok(Some(Turn::Pass(Routine::new())))
            }
            // The server takes these for nothing while it reads data, so it need not see them.
            Frontend::Flush | Frontend::Sync if copying.direction == super::copy::Direction::In => Ok(Some(Turn::Drop)),
            Frontend::Flush
            | Frontend::Sync
            | Frontend::Secret(_)
            | Frontend::Query(_)
            | Frontend::Parse(_)
            | Frontend::Bind(_)
            | Frontend::Describe(_)
            | Frontend::Execute(_)
            | Frontend::Close(_)
            | Frontend::FunctionCall(_)
            | Frontend::Terminate => {
                Err(ProtocolError::Unexpected { kind: message.tag(), during: "while data is copied" })
            }
        }
    }

    /// A request with what its names stand for; `None` if an answer has to come first.
    fn request<'a>(&self, message: Frontend<'a>) -> Result<Option<Request<'a>>> {
        let room = |bytes| self.names.room(bytes, self.room.names, self.room.kept);
        Ok(Some(match message {
            Frontend::Query(command) if self.replication != Replication::No => Request::Replication { command },
            Frontend::Query(sql) => Request::Simple { sql },
            Frontend::Parse(parse) => {
                room(parse.statement.len() + parse.sql.len())?;
                Request::Parse(parse)
            }
            Frontend::Bind(bind) => {
                room(bind.portal.len() + bind.parameters.size())?;
                let Some(statement) = known(self.statement(bind.statement)) else {
                    return Ok(None);
                };
                Request::Bind { bind, statement }
            }
            Frontend::Describe(Object::Statement(name)) => {
                let Some(statement) = known(self.statement(name)) else { return Ok(None) };
                Request::DescribeStatement(statement)
            }
            Frontend::Describe(Object::Portal(name)) => {
                let Some(portal) = known(self.portal(name)) else { return Ok(None) };
                Request::DescribePortal(portal)
            }
            Frontend::Execute(execute) => {
                let Some(portal) = known(self.portal(execute.portal)) else { return Ok(None) };
                Request::Execute { portal, max_rows: execute.max_rows }
            }
            Frontend::Close(object) => Request::Close(object),
            Frontend::FunctionCall(call) => Request::FunctionCall(call),
            Frontend::Secret(_)
            | Frontend::Flush
            | Frontend::Sync
            | Frontend::CopyData(_)
            | Frontend::CopyDone
            | Frontend::CopyFail(_)
            | Frontend::Terminate => {
                return Err(ProtocolError::Unexpected { kind: message.tag(), during: "as a request" });
            }
        }))
    }

    /// The oldest request that is not yet answered, or else the next one.
    #[must_use]
    pub fn oldest(&self) -> Number {
        self.pipeline.front().map_or(self.next, |pending| pending.number)
    }

    /// Asks for the answers to an open batch, which the server else keeps to itself.
    fn flush(&mut self) {
        if self.batch_open && !self.flushed {
            self.flushed = true;
            self.to_server.extend_from_slice(&FLUSH);
        }
    }

    fn sync(&mut self) {
        self.push(Kind::Sync);
        self.batch += 1;
        self.batch_open = false;
    }

    fn push(&mut self, kind: Kind) -> &mut Pending {
        let number = self.next;
        self.next += 1;
        self.pipeline.push_back_mut(Pending::new(number, kind))
    }
}

/// `None` if it is not yet known; `Some(None)` if nothing is known.
fn known<T>(found: Found<T>) -> Option<Option<std::sync::Arc<T>>> {
    match found {
        Found::Known(found) => Some(Some(found)),
        Found::Missing => Some(None),
        Found::Unsettled => None,
    }
}
