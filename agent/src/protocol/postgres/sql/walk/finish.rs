//! From numbers to names: what was gathered, as enforcement points read it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::super::facts::{Column, Lineage, Literal, Output, Relation, Store, Understood, Unknown, Use};
use super::super::text::Script;
use super::super::trace::{Cell, Trace};
use super::select::Query;
use super::{Target, Walker};

/// Most columns that the lineages of a statement name together; what is more may be anything.
pub(super) const MOST_NAMED: usize = 500_000;

impl Walker<'_> {
    /// What was gathered about the statement of these bytes.
    pub(in super::super) fn finish(mut self, script: &Script, text: Range<usize>) -> Understood {
        let mut literals = Vec::new();
        let first = script.constants.partition_point(|constant| constant.start < text.start);
        let mut before = text.start;
        for at in script.constants.iter().skip(first).take_while(|constant| constant.end <= text.end) {
            literals.push(Literal { at: at.clone(), near: self.near(at, before) });
            before = at.end;
        }
        if !script.scanned && !self.literals.is_empty() {
            literals.push(Literal { at: text.clone(), near: Lineage::Undecided });
        }
        let last = self.parameters.keys().next_back().copied().unwrap_or(0);
        let parameters = (1..=last).map(|number| match self.parameters.get(&number).copied() {
            Some(group) => {
                let trace = self.groups.found(group);
                self.lineage(&trace)
            }
            None => Lineage::nothing(),
        });
        let parameters = parameters.collect();
        let stored: Vec<_> = std::mem::take(&mut self.facts.stores);
        let stored = stored.into_iter().filter(|(_, trace)| !trace.is_nothing());
        let changed = self.facts.changed.take();
        let stores = stored.map(|(into, from)| {
            let (into, from) = (self.target(&into), self.lineage(&from));
            let is_same = |into: &Column| changed.as_ref().is_some_and(|changed| !changed.contains(&into.column));
            Store { unchanged: into.as_ref().is_some_and(is_same), into, from }
        });
        let stores = stores.collect();
        let mut facts = std::mem::take(&mut self.facts);
        // Whoever looks at a column looks at its table's rows.
        facts.reads.extend(facts.columns_read.iter().map(|cell| cell.0));
        Understood {
            text,
            verb: facts.verb,
            reads: self.relations(&facts.reads, facts.strangers_read.clone()),
            writes: self.relations(&facts.writes, facts.strangers_written.clone()),
            columns_read: self.columns(&facts.columns_read).collect(),
            columns_written: self
                .columns(&facts.columns_written)
                .chain(facts.stranger_columns.iter().cloned())
                .collect(),
            predicates: self.columns(&facts.predicates).collect(),
            functions: facts.functions.iter().map(|name| name.as_ref().to_owned()).collect(),
            stores,
            kinds: facts.kinds,
            has_predicate: facts.has_predicate,
            unknown: facts.unknown,
            output: facts.output,
            copied: facts.copied,
            literals,
            parameters,
            deeds: facts.deeds,
            uses: facts.uses.into_iter().map(|used| located(used, script)).collect(),
            settings: facts.settings,
            transaction: facts.transaction,
            changes_catalog: facts.changes_catalog,
            unlists: facts.unlists,
            temporary: facts.temporary,
        }
    }

    /// What is near a constant. One in a place that was not walked may be anything.
    fn near(&mut self, at: &Range<usize>, before: usize) -> Lineage {
        // A negative number is where its sign is: after whatever constant is before it.
        let exact = self.literals.get(&at.start);
        let exact = exact.or_else(|| self.literals.range(before..at.start).next_back().map(|(_, group)| group));
        match exact.copied() {
            Some(group) => {
                let trace = self.groups.found(group);
                self.lineage(&trace)
            }
            None => Lineage::Undecided,
        }
    }

    /// A query's columns, as what comes back.
    pub(super) fn output(&mut self, query: &Query) -> Output {
        if query.open {
            return Output::Undecided;
        }
        Output::Columns(query.fields.iter().map(|field| self.lineage(&field.value.trace)).collect())
    }

    /// A set that was named before is not named again: most constants of a long INSERT share theirs.
    fn lineage(&mut self, trace: &Trace) -> Lineage {
        let Trace::Of(cells) = trace else { return Lineage::Undecided };
        let address = Arc::as_ptr(cells).addr();
        if let Some((_, known)) = self.named.get(&address) {
            return known.clone();
        }
        let columns: BTreeSet<_> = self.columns(cells).take(self.nameable).collect();
        self.nameable = self.nameable.saturating_sub(columns.len());
        if self.nameable == 0 {
            self.doubt(Unknown::Effort);
            return Lineage::Undecided;
        }
        let lineage = Lineage::Of(Arc::new(columns));
        self.named.insert(address, (Arc::clone(cells), lineage.clone()));
        lineage
    }

    fn columns<'s>(&'s self, cells: &'s BTreeSet<Cell>) -> impl Iterator<Item = Column> + 's {
        cells.iter().flat_map(|cell| self.catalog.columns(*cell))
    }

    fn relations(&self, tables: &BTreeSet<u32>, strangers: BTreeSet<Relation>) -> BTreeSet<Relation> {
        let families = tables.iter().flat_map(|table| self.catalog.family(*table));
        let known = families.filter_map(|table| self.catalog.relation(table));
        known.chain(strangers).collect()
    }

    fn target(&self, target: &Target) -> Option<Column> {
        match target {
            Target::Cell(cell) => {
                let (relation, column) = (self.catalog.relation(cell.0)?, self.catalog.column(*cell)?);
                Some(Column { schema: relation.schema, table: relation.table, column: column.name.clone() })
            }
            Target::Stranger(column) => Some(column.clone()),
            Target::Nameless => None,
        }
    }
}

/// Constants' whole ranges for where they begin.
fn located(used: Use, script: &Script) -> Use {
    let Use::Execute { name, mut arguments } = used else { return used };
    for at in arguments.iter_mut().flatten() {
        let next = script.constants.partition_point(|constant| constant.start < at.start);
        if let Some(constant) = script.constants.get(next) {
            *at = constant.clone();
        }
    }
    Use::Execute { name, arguments }
}
