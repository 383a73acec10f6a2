//! What a request is about: its meaning, and the values that go with it.

use std::sync::Arc;

use super::{meaning::Meaning, parameters, reading::Unready, talk::Talk};
use crate::protocol::postgres::{
    extended::Bind,
    session::{Asked, Request},
};

/// What commands of a replication session are called.
pub(super) const REPLICATION: &str = "replication";

/// What a request is about.
pub(super) struct Matter {
    pub(super) meaning: Arc<Meaning>,
    /// Length of the values that go with the text, bytes.
    pub(super) values: usize,
    /// The same values, as they are recorded.
    written: Option<String>,
    /// How many changes of the catalog there had been when its portal was certainly made by that meaning, if it is one.
    pub(super) changes: Option<Option<u64>>,
    /// Whether it only prepares what another message runs.
    pub(super) prepares: bool,
}

impl Matter {
    /// A text without values.
    pub(super) fn of(meaning: Arc<Meaning>, prepares: bool) -> Self {
        Self { meaning, values: 0, written: None, changes: None, prepares }
    }

    /// Constants of the text and parameters, as they are recorded.
    pub(super) fn written(&self) -> Option<String> {
        match (&self.meaning.constants, &self.written) {
            (None, None) => None,
            (Some(constants), None) => Some(constants.to_string()),
            (None, Some(written)) => Some(written.clone()),
            (Some(constants), Some(written)) => Some(format!("{constants}; {written}")),
        }
    }
}

impl Talk<'_> {
    /// What it is about.
    pub(super) fn matter(&mut self, asked: &Asked<'_>) -> Result<Matter, Unready> {
        Ok(match asked.request() {
            Request::Simple { sql } => Matter::of(self.meaning(sql)?, false),
            Request::Parse(parse) => Matter::of(self.meaning(parse.sql)?, true),
            Request::Bind { bind, statement } => {
                let statement = statement.as_ref().ok_or(Unready::Missing)?;
                let meaning = self.meaning_of_kept(&statement.sql)?;
                let values = bind.parameters.iter().flatten().map(<[u8]>::len).sum();
                Matter { meaning, values, written: None, changes: None, prepares: true }
            }
            Request::Execute { portal, .. } => {
                let portal = portal.as_ref().ok_or(Unready::Missing)?;
                let (meaning, changes) = self.meaning_of_portal(portal)?;
                let bind = portal.bind();
                let values = bind.iter().flat_map(|bind| bind.parameters.iter()).flatten().map(<[u8]>::len).sum();
                let protection = &self.private.as_ref().unwrap_or(&self.known).protection;
                let written = bind.filter(|bind| bind.parameters.iter().next().is_some());
                let written = written.map(|bind| {
                    parameters::written(&bind, portal.statement.as_deref(), &meaning.parameters, protection)
                });
                Matter { meaning, values, written, changes: Some(changes), prepares: false }
            }
            Request::Replication { command } => {
                Matter::of(Arc::new(Meaning::unknown(&self.database, command, REPLICATION, REPLICATION)), false)
            }
            Request::FunctionCall(call) => Matter::of(Arc::new(Meaning::call(&self.database, call.function)), false),
            // Routine; asked of nobody.
            Request::DescribeStatement(_) | Request::DescribePortal(_) | Request::Close(_) | Request::CopyData(_) => {
                return Err(Unready::Missing);
            }
        })
    }
}

/// Values that go with a text; `None` is null.
pub(super) type Values = Vec<Option<Box<[u8]>>>;

/// The values that were bound.
pub(super) fn bound(bind: Option<&Bind<'_>>) -> Values {
    bind.map(|bind| bind.parameters.iter().map(|value| value.map(Box::from)).collect()).unwrap_or_default()
}

/// The values that go with a request's text.
pub(super) fn values(asked: &Asked<'_>) -> Values {
    match asked.request() {
        Request::Bind { bind, .. } => bound(Some(bind)),
        Request::Execute { portal: Some(portal), .. } => bound(portal.bind().as_ref()),
        Request::Execute { portal: None, .. }
        | Request::Simple { .. }
        | Request::Replication { .. }
        | Request::Parse(_)
        | Request::DescribeStatement(_)
        | Request::DescribePortal(_)
        | Request::Close(_)
        | Request::FunctionCall(_)
        | Request::CopyData(_) => Values::new(),
    }
}
