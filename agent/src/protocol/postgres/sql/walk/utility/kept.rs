//! Expressions that are kept and computed with later statements: defaults, checks, bounds, conditions of policies.
//!
//! Nobody sees them when they are computed. So what they give counts as stored when they are made, and what they do besides as
//! something that cannot be told.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterDomainStmt, ConstrType, Constraint, CreateStmt, CreateTrigStmt, Node, PartitionBoundSpec, RangeVar,
};

use super::super::super::facts::{Relation, Unknown};
use super::super::super::trace::{Trace, Val};
use super::super::scope::{Outer, Scope};
use super::super::tree::bare_name;
use super::super::{Target, Walker};

impl Walker<'_> {
    /// Follows an expression of which nobody sees later that it is computed.
    pub(in super::super) fn kept(&mut self, node: Option<&Node>, scope: Outer<'_>) -> Val {
        let before = (self.facts.settings.len(), self.facts.deeds.len());
        let mut value = self.optional(node, scope);
        if before != (self.facts.settings.len(), self.facts.deeds.len()) {
            value.trace = Trace::Undecided;
        }
        value
    }

    /// Follows expressions whose columns are those of a row that is only made, and so of nothing stored.
    pub(in super::super) fn of_its_own<T>(&mut self, follow: impl FnOnce(&mut Self) -> T) -> T {
        let group = self.groups.new_group();
        self.groups.near(group, &Trace::Undecided);
        let before = self.own.replace(group);
        let followed = follow(self);
        self.own = before;
        followed
    }

    /// A value that shows in errors and plans, and in no column.
    fn shown_later(&mut self, value: Val) {
        self.settle(&Val { trace: Trace::Undecided, loose: value.loose });
        if !value.trace.is_nothing() {
            self.facts.stores.push((Target::Nameless, value.trace));
        }
    }

    /// What is computed for a table that is made: it has no rows yet, and its columns are nobody's.
    pub(in super::super) fn parts_of_table(&mut self, create: &CreateStmt, relation: &Relation) {
        let before = self.facts.unknown.clone();
        self.of_its_own(|walker| {
            for node in create.table_elts.iter().chain(&create.constraints) {
                match &node.node {
                    Some(NodeEnum::ColumnDef(column)) => {
                        column.type_name.iter().for_each(|type_name| walker.type_name(type_name));
                        walker.constraints(&column.constraints, (relation, Some(&column.colname)), None);
                    }
                    Some(NodeEnum::Constraint(constraint)) => walker.constraint(constraint, (relation, None), None),
                    Some(_) | None => {}
                }
            }
            for node in create.partspec.iter().flat_map(|by| &by.part_params) {
                if let Some(NodeEnum::PartitionElem(element)) = &node.node {
                    let value = walker.kept(element.expr.as_deref(), None);
                    walker.shown_later(value);
                }
            }
        });
        if let Some(bound) = &create.partbound {
            self.bound(bound);
        }
        // What it calls is called with rows, some day; it is not called now.
        let now = |why: &Unknown| before.contains(why) || matches!(why, Unknown::Node | Unknown::Effort);
        self.facts.unknown.retain(now);
    }

    pub(in super::super) fn constraints(&mut self, nodes: &[Node], of: (&Relation, Option<&str>), scope: Outer<'_>) {
        for node in nodes {
            if let Some(NodeEnum::Constraint(constraint)) = &node.node {
                self.constraint(constraint, of, scope);
            }
        }
    }

    /// A default, a check or what a column is generated from; an exclusion's parts.
    pub(in super::super) fn constraint(
        &mut self,
        constraint: &Constraint,
        (relation, column): (&Relation, Option<&str>),
        scope: Outer<'_>,
    ) {
        let value = self.kept(constraint.raw_expr.as_deref(), scope);
        let fills = matches!(
            ConstrType::try_from(constraint.contype),
            Ok(ConstrType::ConstrDefault | ConstrType::ConstrGenerated)
        );
        match column.filter(|_| fills && !value.trace.is_nothing()) {
            // In a column nobody has classified, or in one that is protected by its name.
            Some(column) => self.named_store(relation, column, &value),
            None => self.shown_later(value),
        }
        let condition = self.kept(constraint.where_clause.as_deref(), scope);
        self.shown_later(condition);
        for node in &constraint.exclusions {
            let Some(NodeEnum::List(pair)) = &node.node else { continue };
            if let Some(Some(NodeEnum::IndexElem(element))) = pair.items.first().map(|first| &first.node) {
                let value = self.kept(element.expr.as_deref(), scope);
                self.shown_later(value);
            }
        }
    }

    /// Where a partition begins and ends, which the catalog shows.
    pub(in super::super) fn bound(&mut self, bound: &PartitionBoundSpec) {
        for node in bound.listdatums.iter().chain(&bound.lowerdatums).chain(&bound.upperdatums) {
            if !matches!(bare_name(node), Some("minvalue" | "maxvalue")) {
                let value = self.kept(Some(node), None);
                self.shown_later(value);
            }
        }
    }

    /// Conditions of row security: they may look at any table, with every statement about theirs.
    pub(in super::super) fn policy(&mut self, table: Option<&RangeVar>, conditions: [Option<&Node>; 2]) {
        let items: Vec<_> = table.map(|range| self.stored(range)).into_iter().collect();
        let scope = Scope { items: &items, goes_on: false, outer: None };
        let mut looks_at = Trace::default();
        for condition in conditions {
            let value = self.kept(condition, Some(&scope));
            let work = looks_at.add(&value.trace);
            self.spend(work);
            self.settle(&Val { trace: Trace::Undecided, loose: value.loose });
        }
        // An error inside shows what was looked at, whatever comes out.
        let inside = self.facts.columns_read.iter().chain(&self.facts.predicates).copied().collect();
        looks_at.add(&Trace::Of(std::sync::Arc::new(inside)));
        if !self.facts.unknown.is_empty() {
            looks_at = Trace::Undecided;
        }
        self.facts.stores.push((Target::Nameless, looks_at));
    }

    /// What a domain is checked by and is without a value.
    pub(in super::super) fn domain(&mut self, constraints: &[Node]) {
        let nobody = Relation { schema: "".into(), table: "".into() };
        self.of_its_own(|walker| walker.constraints(constraints, (&nobody, None), None));
    }

    pub(in super::super) fn altered_domain(&mut self, alter: &AlterDomainStmt) {
        let Some(def) = alter.def.as_deref() else { return };
        if matches!(&def.node, Some(NodeEnum::Constraint(_))) {
            self.domain(std::slice::from_ref(def));
        } else {
            let value = self.of_its_own(|walker| walker.kept(Some(def), None));
            self.shown_later(value);
        }
    }

    /// The condition of a trigger.
    pub(in super::super) fn trigger(&mut self, trigger: &CreateTrigStmt) {
        let value = self.of_its_own(|walker| walker.kept(trigger.when_clause.as_deref(), None));
        self.shown_later(value);
    }
}
