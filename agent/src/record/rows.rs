//! What each record looks like as rows: the statements of the hot path.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use foldhash::quality::RandomState;
use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::event::{EventRecord, hook_name};
use super::intents::Intent;
use super::ledger::{Ledger, Value, insert};
use super::process::ProcessRows;
use super::request::{ApprovalRecord, PlainRequest, RequestRecord, ResponseRecord};
use super::schema::{APPROVAL, EVENT, REQUEST, RESPONSE, SESSION, SESSION_END};
use super::words::Words;
use super::{Decision, SessionEnd, SessionId, Timestamps};
use crate::identity::Identity;

/// A session this writer began and did not end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) row: i64,
    pub(super) started: Timestamps,
}

impl Open {
    /// Nanoseconds since the session's start on the boot-time clock.
    pub(super) fn since_start(&self, at: Timestamps) -> i64 {
        at.boot_ns.wrapping_sub(self.started.boot_ns).cast_signed()
    }

    /// How much of that the wall clock missed.
    fn drift(&self, at: Timestamps) -> i64 {
        self.since_start(at).wrapping_sub(at.wall_ns.wrapping_sub(self.started.wall_ns))
    }
}

/// Where rows of one segment go, and the numbers of those that others name.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) ledger: Ledger,
    pub(super) writer: i64,
    pub(super) processes: ProcessRows,
    pub(super) words: Words,
    pub(super) open: HashMap<SessionId, Open, RandomState>,
    /// What `open` was before this transaction.
    undo: Vec<(SessionId, Option<Open>)>,
}

/// The statements that a transaction runs for nearly every record: to find them again each time would take a tenth of it.
pub(super) struct Hot<'c> {
    request: CachedStatement<'c>,
    response: CachedStatement<'c>,
}

impl<'c> Hot<'c> {
    pub(super) fn prepare(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self { request: insert(conn, &REQUEST)?, response: insert(conn, &RESPONSE)? })
    }
}

impl Rows {
    pub(super) fn new(ledger: Ledger, writer: i64) -> Self {
        Self {
            ledger,
            writer,
            processes: ProcessRows::default(),
            words: Words::default(),
            open: HashMap::default(),
            undo: Vec::new(),
        }
    }

    /// Starts a transaction.
    pub(super) fn start(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        self.undo.clear();
        self.ledger.begin(conn)
    }

    /// Undoes the transaction: what was numbered in it is not there.
    pub(super) fn roll_back(&mut self, conn: &Connection) {
        self.ledger.roll_back(conn);
        self.processes.forget();
        self.words.forget();
        for (id, before) in self.undo.drain(..).rev() {
            match before {
                Some(open) => self.open.insert(id, open),
                None => self.open.remove(&id),
            };
        }
    }

    /// Adds a session that begins. One that is there already, by an earlier reading of the same intent, stays as it is.
    pub(super) fn begin(&mut self, conn: &Connection, intent: &Intent, who: &Arc<Identity>) -> rusqlite::Result<()> {
        if self.open.contains_key(&intent.id) {
            return Ok(());
        }
        let process = self.processes.row(conn, &mut self.ledger, who)?;
        let row = session(conn, &mut self.ledger, self.writer, process, intent)?;
        self.undo.push((intent.id, None));
        self.open.insert(intent.id, Open { row, started: intent.started });
        Ok(())
    }

    /// Adds the end of a session. The first end stands: a second one changes nothing.
    pub(super) fn end(&mut self, conn: &Connection, id: SessionId, end: &SessionEnd) -> rusqlite::Result<()> {
        let Some(open) = self.open.remove(&id) else { return Ok(()) };
        self.undo.push((id, Some(open)));
        session_end(conn, &mut self.ledger, open.row, end)
    }

    /// Adds an event.
    pub(super) fn event(&mut self, conn: &Connection, event: &EventRecord) -> rusqlite::Result<()> {
        let process = event.identity.as_ref().map(|who| self.processes.row(conn, &mut self.ledger, who)).transpose()?;
        let task = event.task.as_ref();
        let destination = event.destination.map(address);
        let session = event.session.and_then(|id| self.open.get(&id)).map(|open| open.row);
        self.ledger.append(
            conn,
            &EVENT,
            &[
                self.writer.into(),
                event.kind.as_str().into(),
                event.hook.map(hook_name).into(),
                event.decision.map(Decision::as_str).into(),
                event.scope.as_deref().into(),
                process.into(),
                task.map(|t| t.tgid).into(),
                task.map(|t| t.uid).into(),
                task.map(|t| t.cgroup).into(),
                event.protocol.into(),
                destination.as_ref().map(|d| d.0.as_str()).into(),
                destination.as_ref().map(|d| d.1).into(),
                event.count.into(),
                event.first.wall_ns.into(),
                event.first.boot_ns.into(),
                event.last.wall_ns.into(),
                event.last.boot_ns.into(),
                event.detail.as_deref().into(),
                session.into(),
                event.data.as_deref().into(),
            ],
        )?;
        Ok(())
    }

    /// Adds a request, with what came back when that is known already. False when its session is not open here: then it
    /// must not go on either.
    pub(super) fn request(
        &mut self,
        conn: &Connection,
        hot: &mut Hot<'_>,
        request: &RequestRecord,
        answer: Option<&ResponseRecord>,
    ) -> rusqlite::Result<bool> {
        let Some(open) = self.open.get(&request.session).copied() else { return Ok(false) };
        let mut words = [None; 5];
        for (into, text) in words.iter_mut().zip(request.words()) {
            *into = self.words.row(conn, &mut self.ledger, text)?;
        }
        let came_back = match answer {
            Some(answer) => {
                let took = open.since_start(answer.at).wrapping_sub(open.since_start(request.at));
                let [status, rows, bytes, masked, masks, error] = self.came_back(conn, answer)?;
                [took.into(), status, rows, bytes, masked, masks, error]
            }
            None => NOTHING,
        };
        let add = |values: &[Value<'_>]| self.ledger.append_by(conn, &mut hot.request, &REQUEST, values);
        request_row(open, &request.plain(), (words, came_back), add)?;
        Ok(true)
    }

    /// The columns that tell what came back, in whichever table.
    fn came_back(&mut self, conn: &Connection, response: &ResponseRecord) -> rusqlite::Result<[Value<'static>; 6]> {
        let masks = self.words.row(conn, &mut self.ledger, response.masks.as_deref())?;
        let error = self.words.row(conn, &mut self.ledger, response.error.as_deref())?;
        let masked = (response.masked > 0).then_some(response.masked);
        let status = response.status.code();
        Ok([status.into(), response.rows.into(), response.bytes.into(), masked.into(), masks.into(), error.into()])
    }

    /// Adds what came back. False when its session is not open here.
    pub(super) fn response(
        &mut self,
        conn: &Connection,
        hot: &mut Hot<'_>,
        response: &ResponseRecord,
    ) -> rusqlite::Result<bool> {
        let Some(open) = self.open.get(&response.session).copied() else { return Ok(false) };
        let [status, rows, bytes, masked, masks, error] = self.came_back(conn, response)?;
        let at = open.since_start(response.at);
        self.ledger.append_by(
            conn,
            &mut hot.response,
            &RESPONSE,
            &[open.row.into(), response.n.into(), at.into(), status, rows, bytes, masked, masks, error],
        )?;
        Ok(true)
    }

    /// Adds a step of an approval.
    pub(super) fn approval(&mut self, conn: &Connection, approval: &ApprovalRecord) -> rusqlite::Result<()> {
        let session = approval.session.and_then(|id| self.open.get(&id)).map(|open| open.row);
        self.ledger.append(
            conn,
            &APPROVAL,
            &[
                (&approval.id).into(),
                session.into(),
                approval.n.into(),
                approval.state.as_str().into(),
                (&approval.digest).into(),
                approval.at.wall_ns.into(),
                approval.at.boot_ns.into(),
                approval.by.as_deref().into(),
                approval.reason.as_deref().into(),
                approval.data.as_deref().into(),
            ],
        )?;
        Ok(())
    }
}

/// What a row says of an answer that is not there yet.
pub(super) const NOTHING: [Value<'static>; 7] = [Value::Null; 7];

/// The row of a request, with the numbers of [`RequestRecord::words`] and what came back.
pub(super) fn request_row<T>(
    open: Open,
    request: &PlainRequest<'_>,
    ([kind, statement, policies, facts, detail], came_back): ([Option<i64>; 5], [Value<'_>; 7]),
    add: impl FnOnce(&[Value<'_>]) -> T,
) -> T {
    let [took, status, rows, bytes_in, masked, masks, error] = came_back;
    add(&[
        open.row.into(),
        request.n.into(),
        request.at.wall_ns.into(),
        open.drift(request.at).into(),
        kind.into(),
        request.decision.code().into(),
        statement.into(),
        policies.into(),
        facts.into(),
        request.bytes.into(),
        detail.into(),
        request.approval.into(),
        request.parameters.into(),
        took,
        status,
        rows,
        bytes_in,
        masked,
        masks,
        error,
    ])
}

/// Adds the row of a session.
pub(super) fn session(
    conn: &Connection,
    ledger: &mut Ledger,
    writer: i64,
    process: i64,
    intent: &Intent,
) -> rusqlite::Result<i64> {
    let (client, destination) = (address(intent.client), address(intent.destination));
    let [person, target, tls, policies, tags] = intent.extra.columns();
    ledger.append(
        conn,
        &SESSION,
        &[
            intent.id.as_bytes().into(),
            writer.into(),
            process.into(),
            intent.scope.as_deref().into(),
            intent.protocol.as_str().into(),
            (&client.0).into(),
            client.1.into(),
            (&destination.0).into(),
            destination.1.into(),
            intent.netns.into(),
            intent.decision.as_str().into(),
            intent.started.wall_ns.into(),
            intent.started.boot_ns.into(),
            person.into(),
            target.into(),
            tls.into(),
            policies.into(),
            tags.into(),
            Value::Null,
        ],
    )
}

/// The row of a session, if there is one.
pub(super) fn find_session(conn: &Connection, id: SessionId) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT seq FROM session WHERE id = ?")?.query_row([id.as_bytes()], |row| row.get(0)).optional()
}

/// A session that is in the tables, as whoever began it had it open.
pub(super) fn find_open(conn: &Connection, id: SessionId) -> rusqlite::Result<Option<Open>> {
    let mut found = conn.prepare_cached("SELECT seq, started_ns, started_boot_ns FROM session WHERE id = ?")?;
    let open = found.query_row([id.as_bytes()], |row| {
        let started = Timestamps { wall_ns: row.get(1)?, boot_ns: row.get::<_, i64>(2)?.cast_unsigned() };
        Ok(Open { row: row.get(0)?, started })
    });
    open.optional()
}

/// Adds the end of a session, given by its row.
pub(super) fn session_end(
    conn: &Connection,
    ledger: &mut Ledger,
    session: i64,
    end: &SessionEnd,
) -> rusqlite::Result<()> {
    ledger.append(
        conn,
        &SESSION_END,
        &[
            session.into(),
            end.outcome.as_str().into(),
            end.detail.as_deref().into(),
            end.bytes_out.into(),
            end.bytes_in.into(),
            end.ended.wall_ns.into(),
            end.ended.boot_ns.into(),
        ],
    )?;
    Ok(())
}

/// Address text without the v4-mapped prefix, and port.
fn address(address: SocketAddr) -> (String, u16) {
    (address.ip().to_canonical().to_string(), address.port())
}
