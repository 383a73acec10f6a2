//! Requests that are passed, and requests that are denied.

use std::sync::Arc;

use super::super::copy::{Direction, put_copy_fail};
use super::super::error::{ProtocolError, Result};
use super::super::extended::{Bind, Object, Parse, SYNC};
use super::super::notice::Fields;
use super::names::{By, OnFailure, Portal, Statement, Told};
use super::pipeline::{DeniedEnd, Kind, Pending};
use super::request::{Asked, Deed, Effect, Passed, Request};
use super::{Phase, Session};

/// A name, and what it stands for from now on.
type Renamed<T> = (Box<[u8]>, Option<Arc<T>>);

impl Session {
    /// The request may go to the server, with what its SQL does to names.
    ///
    /// # Errors
    /// If another request was passed or denied since this one was asked about.
    pub fn pass(&mut self, asked: Asked<'_>, effects: &[Effect<'_>]) -> Result<Passed> {
        if let Request::CopyData(_) = asked.request {
            let takes = self.pipeline.front().filter(|pending| pending.number == asked.number);
            let takes = takes.and_then(|pending| pending.copying).is_some_and(|copying| copying.takes());
            // A COPY that has failed meanwhile takes no more.
            return Ok(if takes { Passed::Forward } else { Passed::Skipped });
        }
        self.in_turn(&asked)?;
        if self.skipping {
            return Ok(Passed::Skipped);
        }
        let (kind, extended) = match &asked.request {
            Request::Simple { .. } | Request::Replication { .. } => (Kind::Query, false),
            Request::FunctionCall(_) => (Kind::FunctionCall, false),
            Request::Parse(_) => (Kind::Parse, true),
            Request::Bind { .. } => (Kind::Bind, true),
            Request::DescribeStatement(statement) => (Kind::DescribeStatement(statement.clone()), true),
            Request::DescribePortal(portal) => (Kind::DescribePortal(portal.clone()), true),
            Request::Execute { portal, .. } => (Kind::Execute(portal.clone()), true),
            Request::Close(_) => (Kind::Close, true),
            // Seen to above.
            Request::CopyData(_) => return Err(ProtocolError::OutOfTurn),
        };
        let by = By { number: self.next, statement: 0, batch: self.batch, exact: extended, certain: false };
        let mut pending = Pending::new(self.next, kind);
        self.next += 1;
        match asked.request {
            Request::Simple { .. } => {
                // The server drops both unnamed ones before it reads the query, unless it skips it.
                let by = By { exact: true, certain: !self.batch_open, ..by };
                let keep = OnFailure::Keep;
                pending.changes.statements.push(self.names.statements.set(b"", None, by, keep));
                pending.changes.portals.push(self.names.portals.set(b"", None, by, keep));
            }
            Request::Parse(parse) => self.parsed(&parse, by, &mut pending),
            Request::Bind { bind, statement } => self.bound(&bind, statement, by, &mut pending),
            Request::Close(Object::Statement(name)) => {
                pending.changes.statements.push(self.names.statements.set(name, None, by, OnFailure::Undo));
            }
            Request::Close(Object::Portal(name)) => {
                pending.changes.portals.push(self.names.portals.set(name, None, by, OnFailure::Undo));
            }
            Request::Replication { .. }
            | Request::DescribeStatement(_)
            | Request::DescribePortal(_)
            | Request::Execute { .. }
            | Request::FunctionCall(_)
            | Request::CopyData(_) => {}
        }
        for effect in effects {
            self.effect(effect, by, &mut pending);
        }
        self.batch_open |= extended;
        self.flushed = false;
        self.pipeline.push_back(pending);
        Ok(Passed::Forward)
    }

    fn in_turn(&self, asked: &Asked<'_>) -> Result<()> {
        if asked.number != self.next || self.blocked || self.phase != Phase::Open {
            return Err(ProtocolError::OutOfTurn);
        }
        Ok(())
    }

    fn parsed(&mut self, parse: &Parse<'_>, by: By, pending: &mut Pending) {
        let statement = Statement {
            name: parse.statement.into(),
            sql: parse.sql.into(),
            types: parse.types.iter().collect(),
            made_by: by.number,
            shape: Told::default(),
        };
        // A failed Parse has dropped the unnamed statement first.
        let on_failure = if parse.statement.is_empty() { OnFailure::Clear } else { OnFailure::Undo };
        let change = self.names.statements.set(parse.statement, Some(Arc::new(statement)), by, on_failure);
        pending.changes.statements.push(change);
    }

    fn bound(&mut self, bind: &Bind<'_>, statement: Option<Arc<Statement>>, by: By, pending: &mut Pending) {
        let mut body = Vec::new();
        bind.encode_body(&mut body);
        let portal = Portal {
            name: bind.portal.into(),
            statement,
            query: Box::default(),
            made_by: by.number,
            hold: false,
            bind: body.into(),
            shape: Told::default(),
        };
        let on_failure = if bind.portal.is_empty() { OnFailure::Clear } else { OnFailure::Undo };
        pending.changes.portals.push(self.names.portals.set(bind.portal, Some(Arc::new(portal)), by, on_failure));
    }

    fn effect(&mut self, effect: &Effect<'_>, by: By, pending: &mut Pending) {
        let by = By { statement: effect.statement, ..by };
        let mut statements: Vec<Renamed<Statement>> = Vec::new();
        let mut portals: Vec<Renamed<Portal>> = Vec::new();
        match effect.deed {
            Deed::Prepare { name, sql, types } => {
                let (types, shape) = (types.into(), Told::default());
                let made = Statement { name: name.into(), sql: sql.into(), types, made_by: by.number, shape };
                statements.push((name.into(), Some(Arc::new(made))));
            }
            Deed::Deallocate(name) => statements.push((name.into(), None)),
            Deed::Declare { name, sql, hold } => {
                let made = Portal {
                    name: name.into(),
                    statement: None,
                    query: sql.into(),
                    made_by: by.number,
                    hold,
                    bind: Box::default(),
                    shape: Told::default(),
                };
                portals.push((name.into(), Some(Arc::new(made))));
            }
            Deed::Close(name) => portals.push((name.into(), None)),
            Deed::DeallocateAll | Deed::CloseAll | Deed::DiscardAll | Deed::Opaque => {
                if effect.deed != Deed::CloseAll {
                    statements = self.names.statements.names().into_iter().map(|name| (name, None)).collect();
                }
                if effect.deed != Deed::DeallocateAll {
                    portals = self.names.portals.names().into_iter().map(|name| (name, None)).collect();
                }
                // DEALLOCATE ALL is about what has a name.
                statements.retain(|(name, _)| !name.is_empty());
            }
        }
        for (name, new) in statements {
            pending.changes.statements.push(self.names.statements.set(&name, new, by, OnFailure::Undo));
        }
        for (name, new) in portals {
            pending.changes.portals.push(self.names.portals.set(&name, new, by, OnFailure::Undo));
        }
    }

    /// The request does not go to the server, and the client is told why, in its turn: see [`Session::inject`].
    ///
    /// # Errors
    /// If another request was passed or denied since this one was asked about.
    #[expect(clippy::needless_pass_by_value, reason = "a request is decided once")]
    pub fn deny(&mut self, asked: Asked<'_>, why: &Fields<'_>) -> Result<()> {
        let mut reply = Vec::new();
        why.error(&mut reply);
        let reply = reply.into_boxed_slice();
        if let Request::CopyData(_) = asked.request {
            self.deny_copy(asked.number, why, reply);
            return Ok(());
        }
        self.in_turn(&asked)?;
        if self.skipping {
            return Ok(());
        }
        let alone = match asked.request {
            Request::Simple { .. } | Request::Replication { .. } | Request::FunctionCall(_) => true,
            Request::Parse(_)
            | Request::Bind { .. }
            | Request::DescribeStatement(_)
            | Request::DescribePortal(_)
            | Request::Execute { .. }
            | Request::Close(_)
            | Request::CopyData(_) => false,
        };
        let end = match (alone, self.batch_open) {
            (true, false) => DeniedEnd::Ready,
            (true, true) => DeniedEnd::Sync,
            (false, _) => DeniedEnd::Skip,
        };
        if !self.pipeline.is_empty() {
            self.flush();
        }
        self.blocked = end == DeniedEnd::Sync;
        self.skipping = end == DeniedEnd::Skip;
        self.push(Kind::Denied(reply, end));
        Ok(())
    }

    /// Makes the server give a COPY up; its error is the client's place to learn why.
    fn deny_copy(&mut self, number: u64, why: &Fields<'_>, reply: Box<[u8]>) {
        let Some(pending) = self.pipeline.front_mut().filter(|pending| pending.number == number) else { return };
        let Some(copying) = pending.copying.as_mut().filter(|copying| copying.takes()) else { return };
        copying.client_done = true;
        if copying.direction != Direction::Out {
            pending.refusal = Some(reply);
            put_copy_fail(&mut self.to_server, why.message.as_bytes());
        }
    }

    /// Appends what is due now: to be called after every decision and after every server's message was passed on.
    ///
    /// `client` stands between two messages of the server, and `server` between two of the client.
    pub fn inject(&mut self, client: &mut Vec<u8>, server: &mut Vec<u8>) {
        server.append(&mut self.to_server);
        while let Some(Pending { kind: Kind::Denied(reply, end), .. }) = self.pipeline.front() {
            client.extend_from_slice(reply);
            match end {
                DeniedEnd::Ready => self.status.encode(client),
                DeniedEnd::Skip => {}
                DeniedEnd::Sync => {
                    server.extend_from_slice(&SYNC);
                    self.blocked = false;
                    self.batch_open = false;
                    self.batch += 1;
                    if let Some(pending) = self.pipeline.front_mut() {
                        pending.kind = Kind::Sync;
                    }
                    return;
                }
            }
            self.pipeline.pop_front();
        }
    }

    /// Appends a NoticeResponse, where one is possible: `client` must stand between two messages of the server. A client
    /// whose request is held so learns that it waits, and for whom.
    pub fn notice(&self, notice: &Fields<'_>, client: &mut Vec<u8>) -> bool {
        let possible = self.phase == Phase::Open;
        if possible {
            notice.notice(client);
        }
        possible
    }

    /// Asks the server what a portal gives, in place of a client that never did: appends the request, whose answer the
    /// client does not see. Before the portal is executed, or its rows cannot be told apart.
    ///
    /// # Errors
    /// If nothing can be asked now.
    pub fn describe(&mut self, portal: &Arc<Portal>, server: &mut Vec<u8>) -> Result<()> {
        if self.phase != Phase::Open || self.blocked || self.skipping {
            return Err(ProtocolError::OutOfTurn);
        }
        Object::Portal(&portal.name).describe(server);
        self.batch_open = true;
        self.flushed = false;
        self.push(Kind::DescribePortal(Some(Arc::clone(portal)))).ours = true;
        Ok(())
    }
}
