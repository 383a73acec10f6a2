//! Requests that were passed and are not yet answered, in order.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::copy::Direction;
use super::names::{Changes, Portal, Shape, Statement};
use super::request::Number;

/// How a denied request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeniedEnd {
    /// With a ReadyForQuery of ours, that repeats the server's last.
    Ready,
    /// With the server's own, of a Sync in its place: a batch is open that only the server knows the state of.
    Sync,
    /// With the Sync the client is to send.
    Skip,
}

#[derive(Debug)]
pub(super) enum Kind {
    Startup,
    Query,
    FunctionCall,
    Sync,
    Parse,
    Bind,
    DescribeStatement(Option<Arc<Statement>>),
    DescribePortal(Option<Arc<Portal>>),
    Execute(Option<Arc<Portal>>),
    Close,
    /// The bytes the client gets once everything before is answered.
    Denied(Box<[u8]>, DeniedEnd),
}

impl Kind {
    /// Whether nothing is run by it.
    pub(super) fn only_prepares(&self) -> bool {
        match self {
            Self::Parse | Self::Bind | Self::DescribeStatement(_) | Self::DescribePortal(_) | Self::Close => true,
            Self::Startup | Self::Query | Self::FunctionCall | Self::Sync | Self::Execute(_) | Self::Denied(..) => {
                false
            }
        }
    }
}

/// Where a COPY stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copying {
    pub(super) direction: Direction,
    pub(super) client_done: bool,
    pub(super) server_done: bool,
}

impl Copying {
    /// Whether the client may still send data.
    pub(super) fn takes(&self) -> bool {
        !self.client_done && self.direction != Direction::Out
    }

    /// Whether the server may still send data.
    pub(super) fn gives(&self) -> bool {
        !self.server_done && self.direction != Direction::In
    }
}

/// A request that is not yet answered.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) number: Number,
    pub(super) kind: Kind,
    /// An ErrorResponse has come, and ReadyForQuery has not.
    pub(super) failed: bool,
    /// ParameterDescription or a function's result has come.
    pub(super) halfway: bool,
    /// Statements of a simple query that are done.
    pub(super) completed: u32,
    pub(super) copying: Option<Copying>,
    /// The columns of the rows that come now.
    pub(super) shape: Option<Arc<Shape>>,
    /// Nobody but this session asked.
    pub(super) ours: bool,
    /// What the client gets instead of the server's error, which is the answer to our CopyFail.
    pub(super) refusal: Option<Box<[u8]>>,
    pub(super) changes: Changes,
}

impl Pending {
    pub(super) fn new(number: Number, kind: Kind) -> Self {
        Self {
            number,
            kind,
            failed: false,
            halfway: false,
            completed: 0,
            copying: None,
            shape: None,
            ours: false,
            refusal: None,
            changes: Changes::default(),
        }
    }

    /// Whether ReadyForQuery ends it.
    pub(super) fn ends_with_ready(&self) -> bool {
        matches!(self.kind, Kind::Startup | Kind::Query | Kind::FunctionCall | Kind::Sync)
    }

    /// Whether a COPY may still begin in it.
    pub(super) fn may_copy(&self) -> bool {
        !self.failed && self.refusal.is_none() && matches!(self.kind, Kind::Query | Kind::Execute(_))
    }

    /// What goes on, for an error's text.
    pub(super) fn during(&self) -> &'static str {
        match self.kind {
            Kind::Startup => "during startup",
            Kind::Query => "during a simple query",
            Kind::FunctionCall => "during a function call",
            Kind::Sync => "during Sync",
            Kind::Parse => "during Parse",
            Kind::Bind => "during Bind",
            Kind::DescribeStatement(_) | Kind::DescribePortal(_) => "during Describe",
            Kind::Execute(_) => "during Execute",
            Kind::Close => "during Close",
            Kind::Denied(..) => "before a denial was sent",
        }
    }
}

/// The queue of them.
pub(super) type Pipeline = VecDeque<Pending>;
