//! What a request means, as far as policies, masking and the record are concerned.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::policy::question::{Execute, Resource};

/// What one text means.
#[derive(Debug)]
pub(super) struct Meaning {
    /// The facts, with the length of the text itself.
    pub(super) facts: Arc<Execute>,
    /// The text, as it was sent.
    pub(super) text: Box<[u8]>,
    /// In a word or two.
    pub(super) kind: Arc<str>,
    /// The text, what is protected in it masked.
    pub(super) statement: Arc<str>,
    /// The text without its literals: what people approve.
    pub(super) shape: Arc<str>,
    /// Whether it changes data that stays.
    pub(super) changes: bool,
}

impl Meaning {
    /// Of a text that was not understood.
    pub(super) fn unknown(database: &str, text: &[u8], kind: &str, why: &str) -> Self {
        let unread: Arc<str> = format!("({} bytes that were not understood)", text.len()).into();
        let facts = Execute {
            resource: Resource::Database { name: database.to_owned() },
            opaque: true,
            bytes: text.len() as u64,
            verb: Some(kind.to_owned()),
            kinds: Some(BTreeSet::new()),
            statements: Some(1),
            reads: Some(BTreeSet::new()),
            writes: Some(BTreeSet::new()),
            functions: Some(BTreeSet::new()),
            has_predicate: Some(false),
            unknown_parts: Some([why.to_owned()].into()),
            ..Execute::default()
        };
        let (facts, kind, statement) = (Arc::new(facts), kind.into(), Arc::clone(&unread));
        Self { facts, text: text.into(), kind, statement, shape: unread, changes: true }
    }

    /// The facts of a request that has so many bytes besides the text.
    pub(super) fn facts_with(&self, more: usize) -> Arc<Execute> {
        if more == 0 {
            return Arc::clone(&self.facts);
        }
        Arc::new(Execute { bytes: self.facts.bytes + more as u64, ..(*self.facts).clone() })
    }
}
