//! Relations as FROM items: tables by their columns, views by what they are made of.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use super::super::builtin;
use super::super::catalog::{Definition, Expansion, Table, TableKind};
use super::super::facts::{Deed, Unknown};
use super::super::names::{Names, Path, Unlisted};
use super::super::text::Script;
use super::super::trace::Trace;
use super::scope::{Field, Fields, Item, Scope};
use super::select::Query;
use super::{FUEL, Walker};

/// Most views within views.
const MOST_VIEWS: usize = 64;

impl Walker<'_> {
    /// A relation's columns. Of a view's, each is made of itself and of what is behind it, so that either may be named.
    pub(super) fn table_fields(&mut self, table: u32) -> Fields {
        if let Some(known) = self.fields.get(&table) {
            return Rc::clone(known);
        }
        let Some(found) = self.catalog.table(table) else { return Rc::default() };
        let behind = match found.kind {
            TableKind::View if !found.is_system() => Some(self.behind(table, found)),
            TableKind::View | TableKind::Table | TableKind::Sequence | TableKind::Composite => None,
        };
        let mut fields = Vec::with_capacity(found.columns.len());
        for (column, at) in found.columns.iter().zip(0_u32..) {
            let mut trace = Trace::one((table, at));
            if found.is_system() && builtin::shows_data(&found.name, &column.name) {
                trace = Trace::Undecided;
            }
            if let Some(behind) = &behind {
                let made_of = usize::try_from(at).ok().and_then(|at| behind.traces.get(at));
                trace.add(made_of.unwrap_or(&Trace::Undecided));
            }
            fields.push(Field { name: column.name.clone(), value: trace.into() });
        }
        self.spend(fields.len());
        let mut fields = Rc::new(fields);
        if found.columns.iter().any(|column| column.generated.is_some()) {
            fields = self.generated(table, found, &fields);
        }
        self.fields.insert(table, Rc::clone(&fields));
        fields
    }

    /// Generated columns are made of others of the same row.
    fn generated(&mut self, table: u32, found: &Table, stored: &Fields) -> Fields {
        // What computes one sees only those that are stored.
        let mut row = Item::new(Some(found.name.clone()), Rc::clone(stored));
        row.table = Some(table);
        let mut fields = stored.to_vec();
        for (column, field) in found.columns.iter().zip(&mut fields) {
            let Some(definition) = &column.generated else { continue };
            let expansion = self.expanded_once(definition, table, std::slice::from_ref(&row));
            self.facts.functions.extend(expansion.functions.iter().cloned());
            self.facts.unknown.extend(expansion.unknown.iter().copied());
            field.value.trace.add(expansion.traces.first().unwrap_or(&Trace::Undecided));
        }
        Rc::new(fields)
    }

    fn behind(&mut self, view: u32, found: &Table) -> Arc<Expansion> {
        let expansion = self.expansion(view, found);
        self.facts.reads.extend(expansion.reads.iter().copied());
        self.facts.columns_read.extend(expansion.cells.iter().copied());
        self.facts.functions.extend(expansion.functions.iter().cloned());
        self.facts.unknown.extend(expansion.unknown.iter().copied());
        if expansion.opaque {
            self.opaque();
        }
        expansion
    }

    fn expansion(&mut self, view: u32, found: &Table) -> Arc<Expansion> {
        match &found.view {
            Some(definition) => self.expanded_once(definition, view, &[]),
            None => Arc::new(not_expanded()),
        }
    }

    /// What a text of the catalog comes down to, seen from inside these.
    fn expanded_once(&mut self, definition: &Definition, of: u32, inside: &[Item]) -> Arc<Expansion> {
        if let Some(known) = definition.known() {
            return known;
        }
        if self.views.contains(&of) || self.views.len() >= MOST_VIEWS {
            return Arc::new(not_expanded());
        }
        let script = definition.script();
        let expansion = Arc::new(script.map_or_else(not_expanded, |script| self.expand(&script, of, inside)));
        // What was cut short here may be whole elsewhere.
        let cut = expansion.unknown.contains(&Unknown::Relation) && !self.views.is_empty();
        if !cut && !expansion.unknown.contains(&Unknown::Effort) {
            definition.keep(&expansion);
        }
        expansion
    }

    fn expand(&mut self, script: &Script, of: u32, inside: &[Item]) -> Expansion {
        // Names in it carry their schemas, and those that do not are of the server.
        let names = Names { path: Path::Known(Vec::new()), user: None, unlisted: Unlisted::default() };
        let mut walker = Walker::new(self.catalog, &names);
        walker.views.clone_from(&self.views);
        walker.views.push(of);
        walker.fuel = self.fuel.min(FUEL);
        let scope = Scope { items: inside, goes_on: false, outer: None };
        let query = match script.tree.stmts.first().and_then(|statement| statement.stmt.as_deref()) {
            Some(node) => stacker::grow(super::GROWTH, || walker.query(node, Some(&scope))),
            None => Query::unknown(),
        };
        self.fuel = self.fuel.min(walker.fuel);
        let facts = walker.facts;
        Expansion {
            traces: query.fields.into_iter().map(|field| field.value.trace).collect(),
            reads: facts.reads,
            cells: facts.predicates,
            functions: facts.functions,
            unknown: facts.unknown,
            opaque: facts.deeds.contains(&Deed::Opaque) || !facts.settings.is_empty(),
        }
    }
}

fn not_expanded() -> Expansion {
    Expansion { unknown: BTreeSet::from([Unknown::Relation]), ..Expansion::default() }
}
