//! A view's own query, and what it comes down to: found out once, when somebody asks for it.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use super::super::facts::{Name, Unknown};
use super::super::text::{Script, parse};
use super::super::trace::{Cell, Trace};

/// A view's query.
#[derive(Debug)]
pub(in super::super) struct Definition {
    text: Box<str>,
    found: OnceLock<Arc<Expansion>>,
}

/// What a view is made of.
#[derive(Debug, Default)]
pub(in super::super) struct Expansion {
    /// One for each of its columns; fewer if the query could not be followed.
    pub(in super::super) traces: Vec<Trace>,
    pub(in super::super) reads: BTreeSet<u32>,
    /// Columns its rows are chosen by: looked at whatever is asked for.
    pub(in super::super) cells: BTreeSet<Cell>,
    pub(in super::super) functions: BTreeSet<Name>,
    pub(in super::super) unknown: BTreeSet<Unknown>,
    /// It calls code that may do anything.
    pub(in super::super) opaque: bool,
}

impl Definition {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.into(), found: OnceLock::new() }
    }

    pub(in super::super) fn known(&self) -> Option<Arc<Expansion>> {
        self.found.get().cloned()
    }

    pub(in super::super) fn keep(&self, expansion: &Arc<Expansion>) {
        // Two that find out at once find the same.
        let _ = self.found.set(Arc::clone(expansion));
    }

    pub(in super::super) fn script(&self) -> Option<Script> {
        parse(&self.text).ok()
    }
}
