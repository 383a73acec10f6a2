//! What a session asks about, what it is told, and what it answers.

use std::sync::Arc;

use super::super::extended::{Bind, Object, Parse};
use super::super::function::FunctionCall;
use super::super::wire::Oid;
use super::names::{Portal, Statement};

/// A request of a session, counted from 0 in the order they were passed or denied; 0 is the startup.
pub type Number = u64;

/// A request, with what its names stand for.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    /// SQL, any number of statements.
    Simple {
        /// In the client's encoding.
        sql: &'a [u8],
    },
    /// A command of a replication session; in a logical one perhaps SQL.
    Replication {
        /// In the client's encoding.
        command: &'a [u8],
    },
    /// Makes a statement.
    Parse(Parse<'a>),
    /// Makes a portal.
    Bind {
        /// Parameters and formats.
        bind: Bind<'a>,
        /// What it is made of; `None` if nobody was seen to make it.
        statement: Option<Arc<Statement>>,
    },
    /// Asks what a statement gives.
    DescribeStatement(Option<Arc<Statement>>),
    /// Asks what a portal gives.
    DescribePortal(Option<Arc<Portal>>),
    /// Runs a portal.
    Execute {
        /// What is run; `None` if nobody was seen to make it.
        portal: Option<Arc<Portal>>,
        /// After how many rows to pause; zero and less for never.
        max_rows: i32,
    },
    /// Drops a statement or portal, or nothing.
    Close(Object<'a>),
    /// Calls a function.
    FunctionCall(FunctionCall<'a>),
    /// Data for the COPY that goes on, or its beginning where it is handed out in pieces.
    CopyData(&'a [u8]),
}

/// A request that waits for a decision. It is not yet part of the session: passing or denying it makes it so, and
/// dropping it leaves the session as if it had not come.
#[derive(Debug)]
#[must_use = "a request is passed or denied"]
pub struct Asked<'a> {
    pub(super) number: Number,
    pub(super) request: Request<'a>,
}

impl<'a> Asked<'a> {
    /// Its number, which answers refer to. Copied data has the number of its COPY.
    #[must_use]
    pub fn number(&self) -> Number {
        self.number
    }

    /// What is asked for.
    #[must_use]
    pub fn request(&self) -> &Request<'a> {
        &self.request
    }

    /// Whether it asks for nothing that was not asked for before: what something is, to drop it, or data of a COPY.
    #[must_use]
    pub fn routine(&self) -> Option<Routine> {
        match self.request {
            Request::DescribeStatement(_) | Request::DescribePortal(_) | Request::Close(_) | Request::CopyData(_) => {
                Some(Routine::new())
            }
            Request::Simple { .. }
            | Request::Replication { .. }
            | Request::Parse(_)
            | Request::Bind { .. }
            | Request::Execute { .. }
            | Request::FunctionCall(_) => None,
        }
    }
}

/// What becomes of a client's message.
#[derive(Debug)]
#[must_use]
pub enum Turn<'a> {
    /// Somebody has to decide.
    Ask(Asked<'a>),
    /// It goes to the server as it is.
    Pass(Routine),
    /// It goes nowhere: the server would ignore it, or is not to see it.
    Drop,
    /// What it means is decided by an answer that is still to come: show it again after that.
    Wait,
}

/// A message that asks for nothing by itself. Only a session says so of one.
#[derive(Debug)]
pub struct Routine {
    _private: (),
}

impl Routine {
    pub(super) const fn new() -> Self {
        Self { _private: () }
    }
}

/// Whether a passed request still matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Passed {
    /// It goes to the server.
    Forward,
    /// Something before it has failed meanwhile, and the server skips it: it goes nowhere.
    Skipped,
}

/// What a statement does to names, as whoever reads SQL finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect<'a> {
    /// Which statement of the request does it, from 0; statements that are empty do not count.
    pub statement: u32,
    /// What it does.
    pub deed: Deed<'a>,
}

/// SQL that is about names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed<'a> {
    /// `PREPARE name (types) AS sql`
    Prepare {
        /// As the server folds it.
        name: &'a [u8],
        /// What follows `AS`.
        sql: &'a [u8],
        /// As far as they are known.
        types: &'a [Oid],
    },
    /// `DEALLOCATE name`
    Deallocate(&'a [u8]),
    /// `DEALLOCATE ALL`
    DeallocateAll,
    /// `DECLARE name CURSOR FOR sql`
    Declare {
        /// As the server folds it.
        name: &'a [u8],
        /// What follows `FOR`.
        sql: &'a [u8],
        /// `WITH HOLD`
        hold: bool,
    },
    /// `CLOSE name`
    Close(&'a [u8]),
    /// `CLOSE ALL`
    CloseAll,
    /// `DISCARD ALL`
    DiscardAll,
    /// Code that cannot be read and may have prepared or dropped anything.
    Opaque,
}

/// What becomes of a server's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes to the client.
    Pass,
    /// It answers a request the client did not make.
    Swallow,
    /// The client gets these bytes instead.
    Instead(Box<[u8]>),
}

/// Whose answer a server's message is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Answer {
    /// The request it answers or interrupts; `None` if there is none.
    pub request: Option<Number>,
    /// What becomes of it.
    pub fate: Fate,
    /// Whether the request is finished with it.
    pub done: bool,
    /// Requests the server skips because of it, by their numbers: from the first up to and without the second.
    pub skipped: Option<(Number, Number)>,
}
