//! Prepared statements and portals by name, as the server has them or will have them.
//!
//! A request changes names when it is passed, before the server has said whether it worked. Inside a batch that is
//! exact, because after a failure the server skips everything to the next Sync; across batches a name is unsettled until
//! the request that made it is answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::error::Result;
use super::super::extended::Bind;
use super::super::rows::Columns;
use super::super::wire::{Format, Oid};
use super::request::Number;

/// What a statement or portal gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// No rows.
    Nothing,
    /// Rows of these columns: the body of the server's RowDescription.
    Columns(Box<[u8]>),
}

impl Shape {
    /// The columns, if there are rows.
    #[must_use]
    pub fn columns(&self) -> Option<Columns<'_>> {
        match self {
            Self::Nothing => None,
            Self::Columns(body) => Columns::decode(body).ok(),
        }
    }
}

/// A shape that is told once and again, each time by the server.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<Option<Arc<Shape>>>);

impl Told {
    pub(super) fn tell(&self, shape: Arc<Shape>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(shape);
    }

    pub(super) fn last(&self) -> Option<Arc<Shape>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A prepared statement.
#[derive(Debug)]
pub struct Statement {
    /// Its name; empty for the unnamed one.
    pub name: Box<[u8]>,
    /// Its text as it was sent: what Parse said, or the statement inside PREPARE.
    pub sql: Box<[u8]>,
    /// Types of its first parameters, as they were given.
    pub types: Box<[Oid]>,
    /// The request that made it.
    pub made_by: Number,
    pub(super) shape: Told,
}

impl Statement {
    /// What it gives, if the server has told. Formats in it are not those of any portal.
    #[must_use]
    pub fn shape(&self) -> Option<Arc<Shape>> {
        self.shape.last()
    }
}

/// A portal: a statement with its parameters, or a cursor.
#[derive(Debug)]
pub struct Portal {
    /// Its name; empty for the unnamed one.
    pub name: Box<[u8]>,
    /// What it was bound from; `None` for a cursor.
    pub statement: Option<Arc<Statement>>,
    /// A cursor's query; empty for a portal of Bind.
    pub query: Box<[u8]>,
    /// The request that made it.
    pub made_by: Number,
    /// Whether it outlives its transaction.
    pub hold: bool,
    pub(super) bind: Box<[u8]>,
    pub(super) shape: Told,
}

impl Portal {
    /// Its parameters and formats; `None` for a cursor.
    #[must_use]
    pub fn bind(&self) -> Option<Bind<'_>> {
        Bind::decode(&self.bind).ok()
    }

    /// The text it runs.
    #[must_use]
    pub fn sql(&self) -> &[u8] {
        self.statement.as_ref().map_or(&self.query, |statement| &statement.sql)
    }

    /// What it gives, if the server has told of it or of its statement.
    #[must_use]
    pub fn shape(&self) -> Option<Arc<Shape>> {
        self.shape.last().or_else(|| self.statement.as_ref()?.shape())
    }

    /// How the column at this place, from 0, is written; `None` for a cursor, of which only its description tells.
    #[must_use]
    pub fn format(&self, place: usize) -> Option<Format> {
        self.bind().map(|bind| bind.results.at(place))
    }
}

/// What is kept by name.
pub(super) trait Named {
    /// Bytes it takes.
    fn weight(&self) -> usize;
}

impl Named for Statement {
    fn weight(&self) -> usize {
        self.name.len() + self.sql.len() + self.types.len() * 4
    }
}

impl Named for Portal {
    fn weight(&self) -> usize {
        self.name.len() + self.bind.len() + self.query.len()
    }
}

/// What is known under a name.
#[derive(Clone, Debug)]
pub enum Found<T> {
    /// This.
    Known(Arc<T>),
    /// Nothing that was seen to be made.
    Missing,
    /// An answer that is still to come decides.
    Unsettled,
}

/// Who changes a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    pub(super) number: Number,
    /// Which statement of the request does it, from 0.
    pub(super) statement: u32,
    pub(super) batch: u64,
    /// Whether what follows in the batch is skipped if this fails.
    pub(super) exact: bool,
    /// Whether nothing can keep it from happening.
    pub(super) certain: bool,
}

#[derive(Debug)]
struct Entry<T> {
    value: Option<Arc<T>>,
    by: By,
    pending: bool,
}

impl<T> Entry<T> {
    /// Whether an answer is still to come. What came back by undoing may have been answered in between.
    fn is_pending(&self, oldest: Number) -> bool {
        self.pending && self.by.number >= oldest
    }
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), by: self.by, pending: self.pending }
    }
}

/// What becomes of a change if its own request fails. If the request is skipped, it never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnFailure {
    Undo,
    Keep,
    /// The old one is gone and the new one was not made.
    Clear,
}

/// A change that may have to be undone.
#[derive(Debug)]
pub(super) struct Change<T> {
    name: Box<[u8]>,
    new: Option<Arc<T>>,
    old: Option<Entry<T>>,
    by: By,
    on_failure: OnFailure,
}

impl<T> Change<T> {
    /// Whether the request's first statements, so many of them, have done it, or failing does.
    pub(super) fn done_by(&self, statements: u32) -> bool {
        self.on_failure != OnFailure::Undo || self.by.statement < statements
    }
}

/// Names of one kind.
#[derive(Debug)]
pub(super) struct Table<T> {
    entries: HashMap<Box<[u8]>, Entry<T>>,
    weight: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), weight: 0 }
    }
}

impl<T: Named> Table<T> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// What a request of this batch means by a name, with this request the oldest unanswered one.
    pub(super) fn find(&self, name: &[u8], batch: u64, oldest: Number) -> Found<T> {
        match self.entries.get(name) {
            None => Found::Missing,
            Some(e) if e.is_pending(oldest) && !(e.by.exact && e.by.batch == batch) => Found::Unsettled,
            Some(entry) => entry.value.clone().map_or(Found::Missing, Found::Known),
        }
    }

    /// Every name something is known under.
    pub(super) fn names(&self) -> Vec<Box<[u8]>> {
        self.entries.iter().filter(|(_, entry)| entry.value.is_some()).map(|(name, _)| name.clone()).collect()
    }

    /// Changes what a name stands for.
    pub(super) fn set(&mut self, name: &[u8], new: Option<Arc<T>>, by: By, on_failure: OnFailure) -> Change<T> {
        let entry = Entry { value: new.clone(), by, pending: !by.certain };
        let old = self.put(name, (new.is_some() || !by.certain).then_some(entry));
        Change { name: name.into(), new, old, by, on_failure }
    }

    /// The change has happened.
    pub(super) fn settle(&mut self, change: &Change<T>) {
        let Some(entry) = self.entries.get_mut(&change.name) else { return };
        if (entry.by.number, entry.by.statement) != (change.by.number, change.by.statement) {
            return;
        }
        entry.pending = false;
        if entry.value.is_none() {
            self.put(&change.name, None);
        }
    }

    /// The change has not happened, and nothing that came after it.
    pub(super) fn undo(&mut self, change: &mut Change<T>, oldest: Number) {
        let old = change.old.take().filter(|old| old.value.is_some() || old.is_pending(oldest));
        self.put(&change.name, old);
    }

    /// Does again what was undone only because something before it was.
    pub(super) fn redo(&mut self, change: &mut Change<T>) {
        let entry = Entry { value: change.new.clone(), by: change.by, pending: true };
        change.old = self.put(&change.name, Some(entry));
    }

    /// Does of an undone change what its failed request has done.
    pub(super) fn fail(&mut self, change: &Change<T>) {
        let value = match change.on_failure {
            OnFailure::Undo | OnFailure::Keep => change.new.clone(),
            OnFailure::Clear => None,
        };
        let entry = value.map(|value| Entry { value: Some(value), by: change.by, pending: false });
        self.put(&change.name, entry);
    }

    /// Forgets what has happened and is not to be kept.
    pub(super) fn retain(&mut self, oldest: Number, keep: impl Fn(&T) -> bool) {
        let weight = &mut self.weight;
        self.entries.retain(|_, entry| {
            let kept = entry.is_pending(oldest) || entry.value.as_deref().is_some_and(&keep);
            if !kept {
                *weight -= entry.value.as_deref().map_or(0, Named::weight);
            }
            kept
        });
    }

    fn put(&mut self, name: &[u8], entry: Option<Entry<T>>) -> Option<Entry<T>> {
        let weight =
            |entry: &Option<Entry<T>>| entry.as_ref().and_then(|e| e.value.as_deref()).map_or(0, Named::weight);
        let added = weight(&entry);
        let old = match entry {
            Some(entry) => match self.entries.get_mut(name) {
                Some(place) => Some(std::mem::replace(place, entry)),
                None => self.entries.insert(name.into(), entry),
            },
            None => self.entries.remove(name),
        };
        self.weight = (self.weight + added).saturating_sub(weight(&old));
        old
    }
}

/// Both kinds of changes of one request.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) statements: Vec<Change<Statement>>,
    pub(super) portals: Vec<Change<Portal>>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.statements.is_empty() && self.portals.is_empty()
    }
}

/// All names of a session.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) statements: Table<Statement>,
    pub(super) portals: Table<Portal>,
}

impl Names {
    /// Whether there is room for one more, of so many bytes.
    pub(super) fn room(&self, bytes: usize, names: usize, kept: usize) -> Result<()> {
        use super::super::error::ProtocolError::Limit;
        if self.statements.len() + self.portals.len() >= names {
            return Err(Limit { what: "statements and portals", limit: names });
        }
        if self.statements.weight() + self.portals.weight() + bytes > kept {
            return Err(Limit { what: "bytes of statements and portals", limit: kept });
        }
        Ok(())
    }

    /// The statement of a request, from 0, is done; `None` for all of it.
    pub(super) fn settle(&mut self, changes: &Changes, statement: Option<u32>) {
        let done = |number: u32| statement.is_none_or(|statement| statement == number);
        changes.statements.iter().filter(|c| done(c.by.statement)).for_each(|c| self.statements.settle(c));
        changes.portals.iter().filter(|c| done(c.by.statement)).for_each(|c| self.portals.settle(c));
    }

    pub(super) fn undo(&mut self, changes: &mut Changes, oldest: Number) {
        changes.statements.iter_mut().rev().for_each(|change| self.statements.undo(change, oldest));
        changes.portals.iter_mut().rev().for_each(|change| self.portals.undo(change, oldest));
    }

    pub(super) fn redo(&mut self, changes: &mut Changes) {
        changes.statements.iter_mut().for_each(|change| self.statements.redo(change));
        changes.portals.iter_mut().for_each(|change| self.portals.redo(change));
    }

    pub(super) fn fail(&mut self, changes: &Changes) {
        changes.statements.iter().for_each(|change| self.statements.fail(change));
        changes.portals.iter().for_each(|change| self.portals.fail(change));
    }
}
