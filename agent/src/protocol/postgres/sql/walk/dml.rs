//! INSERT, UPDATE, DELETE and MERGE: what is written, from what, and under which condition.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExpr, AExprKind, BoolExprType, CmdType, ColumnRef, DeleteStmt, InsertStmt, MergeStmt, MergeWhenClause, Node,
    OnConflictClause, RangeVar, ResTarget, ReturningClause, ReturningOptionKind, UpdateStmt,
};

use super::super::facts::{Change, Column, Kind, Name, Relation, Unknown};
use super::super::names::Unlisted;
use super::super::trace::{Cell, Trace, Val};
use super::resolve::Meant;
use super::scope::{Field, Item, Outer, Scope};
use super::select::Query;
use super::tree::word;
use super::{GROWTH, RED_ZONE, Target, Walker};

/// A relation that is written to.
pub(super) struct Written {
    pub(super) item: Item,
    pub(super) relation: Relation,
}

impl Walker<'_> {
    pub(super) fn written(&mut self, range: &RangeVar) -> Written {
        let (item, relation) = match self.relation(range) {
            Meant::Table(table) => {
                self.facts.writes.insert(table);
                let item = self.table_item(table);
                if let Some(found) = self.catalog.table(table) {
                    if found.rules {
                        self.doubt(Unknown::Rule);
                    }
                    // What the server knows of objects, of rights and of settings, written by hand.
                    if found.is_system() {
                        self.facts.kinds.extend([Kind::Ddl, Kind::Dcl]);
                        self.facts.settings.push(Change::Opaque);
                        self.facts.changes_catalog = true;
                        self.facts.unlists = Unlisted::Any;
                    }
                    // A view that is written to passes it on.
                    if found.view.is_some() {
                        let behind = item.fields.iter().flat_map(|field| field.value.trace.cells());
                        self.facts.writes.extend(behind.map(|cell| cell.0));
                    }
                }
                let empty = || Relation { schema: "".into(), table: range.relname.as_str().into() };
                (item, self.catalog.relation(table).unwrap_or_else(empty))
            }
            Meant::Stranger(relation) => {
                self.facts.strangers_written.insert(relation.clone());
                (Item::unknown(Some(relation.table.clone())), relation)
            }
        };
        Written { item: self.aliased(item, range.alias.as_ref()), relation }
    }

    /// A value goes into a column.
    pub(super) fn store(&mut self, written: &Written, column: &str, value: &Val) {
        let field = written.item.fields.iter().find(|field| &*field.name == column).cloned();
        let into = match field {
            Some(Field { value: Val { trace, .. }, .. }) => trace,
            None => {
                if !written.item.open {
                    self.doubt(Unknown::Column);
                }
                let Relation { schema, table } = written.relation.clone();
                let column = Column { schema, table, column: column.into() };
                self.facts.stranger_columns.insert(column.clone());
                self.facts.stores.push((Target::Stranger(column), value.trace.clone()));
                Trace::Undecided
            }
        };
        self.facts.columns_written.extend(into.cells());
        if let Some(group) = value.loose {
            let work = self.groups.near(group, &into);
            self.spend(work);
        }
        if !value.trace.is_nothing() {
            let stores = into.cells().map(|cell| (Target::Cell(cell), value.trace.clone()));
            self.facts.stores.extend(stores);
        }
    }

    pub(super) fn insert(&mut self, insert: &InsertStmt, outer: Outer<'_>) -> Query {
        stacker::maybe_grow(RED_ZONE, GROWTH, || {
            self.facts.kinds.insert(Kind::Write);
            let with = self.enter(insert.with_clause.as_ref(), outer);
            let Some(range) = &insert.relation else { return Query::unknown() };
            let written = self.written(range);
            if let Some(select) = insert.select_stmt.as_deref() {
                let query = self.query(select, outer);
                self.inserted(&written, &insert.cols, &query);
            }
            if let Some(conflict) = insert.on_conflict_clause.as_deref() {
                self.conflict(conflict, &written, outer);
            }
            let query = self.returning(insert.returning_clause.as_ref(), &[written.item], outer);
            self.leave(&with);
            query
        })
    }

    fn inserted(&mut self, written: &Written, columns: &[Node], query: &Query) {
        let names: Vec<Name> = if columns.is_empty() {
            written.item.fields.iter().map(|field| field.name.clone()).collect()
        } else {
            columns.iter().filter_map(|node| res_target(node)).map(|target| target.name.as_str().into()).collect()
        };
        if query.open {
            for name in &names {
                self.store(written, name, &Val::undecided());
            }
            return;
        }
        if names.len() < query.fields.len() {
            if !written.item.open {
                self.doubt(Unknown::Column);
            }
            for field in query.fields.iter().skip(names.len()) {
                self.store(written, "", &field.value);
            }
        }
        for (name, field) in names.iter().zip(&query.fields) {
            self.store(written, name, &field.value);
        }
    }

    fn conflict(&mut self, conflict: &OnConflictClause, written: &Written, outer: Outer<'_>) {
        let mut excluded = written.item.clone();
        excluded.name = Some("excluded".into());
        excluded.schema = None;
        // Its columns are found by its name only: unqualified, they would be ambiguous with the table's.
        excluded.plain = false;
        let items = [written.item.clone(), excluded];
        let scope = Scope { items: &items, goes_on: false, outer };
        if let Some(infer) = conflict.infer.as_deref() {
            for node in &infer.index_elems {
                let value = match &node.node {
                    Some(NodeEnum::IndexElem(element)) if element.name.is_empty() => {
                        self.optional(element.expr.as_deref(), Some(&scope))
                    }
                    Some(NodeEnum::IndexElem(element)) => self.plain_column(&element.name, Some(&scope)),
                    Some(_) | None => self.undecided(Unknown::Node),
                };
                self.chosen_by(&value);
            }
            let value = self.optional(infer.where_clause.as_deref(), Some(&scope));
            self.chosen_by(&value);
        }
        self.assigned(&conflict.target_list, written, Some(&scope));
        let value = self.optional(conflict.where_clause.as_deref(), Some(&scope));
        self.looked_at(&value.trace);
        self.chosen_by(&value);
    }

    pub(super) fn update(&mut self, update: &UpdateStmt, outer: Outer<'_>) -> Query {
        stacker::maybe_grow(RED_ZONE, GROWTH, || {
            self.facts.kinds.insert(Kind::Write);
            let with = self.enter(update.with_clause.as_ref(), outer);
            let Some(range) = &update.relation else { return Query::unknown() };
            let written = self.written(range);
            let mut items = vec![written.item.clone()];
            items.extend(self.items_of(&update.from_clause, outer));
            let scope = Scope { items: &items, goes_on: false, outer };
            self.assigned(&update.target_list, &written, Some(&scope));
            self.condition(update.where_clause.as_deref(), &written, Some(&scope));
            let query = self.returning(update.returning_clause.as_ref(), &items, outer);
            self.leave(&with);
            query
        })
    }

    /// `SET column = value, (a, b) = (…)`
    fn assigned(&mut self, targets: &[Node], written: &Written, scope: Outer<'_>) {
        for node in targets {
            let Some(target) = res_target(node) else {
                self.doubt(Unknown::Node);
                continue;
            };
            for step in &target.indirection {
                if let Some(NodeEnum::AIndices(indices)) = &step.node {
                    self.optional(indices.lidx.as_deref(), scope);
                    self.optional(indices.uidx.as_deref(), scope);
                }
            }
            let value = match target.val.as_deref() {
                Some(Node { node: Some(NodeEnum::MultiAssignRef(several)) }) => {
                    let at = usize::try_from(several.colno).ok().and_then(|number| number.checked_sub(1));
                    self.one_of(several.source.as_deref(), at.unwrap_or(usize::MAX), scope)
                }
                value => self.optional(value, scope),
            };
            self.store(written, &target.name, &value);
        }
    }

    /// One of several that are assigned together.
    fn one_of(&mut self, source: Option<&Node>, at: usize, scope: Outer<'_>) -> Val {
        match source.and_then(|source| source.node.as_ref()) {
            Some(NodeEnum::RowExpr(row)) => match row.args.get(at) {
                Some(node) => self.expression(node, scope),
                None => self.undecided(Unknown::Column),
            },
            Some(NodeEnum::SubLink(link)) => {
                let query = match link.subselect.as_deref() {
                    Some(query) => self.query(query, scope),
                    None => Query::unknown(),
                };
                match query.fields.get(at) {
                    Some(field) => field.value.clone(),
                    None => self.undecided(Unknown::Column),
                }
            }
            Some(_) => self.optional(source, scope),
            None => self.undecided(Unknown::Node),
        }
    }

    pub(super) fn delete(&mut self, delete: &DeleteStmt, outer: Outer<'_>) -> Query {
        stacker::maybe_grow(RED_ZONE, GROWTH, || {
            self.facts.kinds.extend([Kind::Write, Kind::Destructive]);
            let with = self.enter(delete.with_clause.as_ref(), outer);
            let Some(range) = &delete.relation else { return Query::unknown() };
            let written = self.written(range);
            let mut items = vec![written.item.clone()];
            items.extend(self.items_of(&delete.using_clause, outer));
            let scope = Scope { items: &items, goes_on: false, outer };
            self.condition(delete.where_clause.as_deref(), &written, Some(&scope));
            let query = self.returning(delete.returning_clause.as_ref(), &items, outer);
            self.leave(&with);
            query
        })
    }

    /// The condition of an update or delete.
    fn condition(&mut self, node: Option<&Node>, written: &Written, scope: Outer<'_>) {
        let value = self.optional(node, scope);
        self.chosen_by(&value);
        let depends = node.is_some_and(|node| self.depends(node, &cells(written), scope));
        self.conditioned(depends);
    }

    /// Rows are changed, on some condition or on none.
    pub(super) fn conditioned(&mut self, depends: bool) {
        let so_far = self.facts.has_predicate.unwrap_or(true);
        self.facts.has_predicate = Some(so_far && depends);
    }

    /// Whether a condition is about the rows that are changed, and not the same for all of them.
    fn depends(&mut self, node: &Node, own: &BTreeSet<Cell>, scope: Outer<'_>) -> bool {
        stacker::maybe_grow(RED_ZONE, GROWTH, || match &node.node {
            Some(NodeEnum::CurrentOfExpr(_)) => true,
            Some(NodeEnum::BoolExpr(expression)) => {
                let mut args = expression.args.iter();
                match BoolExprType::try_from(expression.boolop) {
                    Ok(BoolExprType::AndExpr) => args.any(|node| self.depends(node, own, scope)),
                    Ok(BoolExprType::OrExpr | BoolExprType::NotExpr | BoolExprType::Undefined) | Err(_) => {
                        args.all(|node| self.depends(node, own, scope))
                    }
                }
            }
            Some(NodeEnum::AExpr(expression)) if self.is_idle(expression, scope) => false,
            Some(_) => self.expression(node, scope).trace.cells().any(|cell| own.contains(&cell)),
            None => false,
        })
    }

    /// Whether a column is compared with itself.
    fn is_idle(&mut self, expression: &AExpr, scope: Outer<'_>) -> bool {
        let (Some(left), Some(right)) = (expression.lexpr.as_deref(), expression.rexpr.as_deref()) else {
            return false;
        };
        let several = match &right.node {
            Some(NodeEnum::List(list)) => list.items.as_slice(),
            Some(_) | None => std::slice::from_ref(right),
        };
        match AExprKind::try_from(expression.kind) {
            Ok(AExprKind::AexprIn) => several.iter().any(|one| self.same(left, one, scope)),
            Ok(_) | Err(_) => several.iter().all(|one| self.same(left, one, scope)),
        }
    }

    /// Whether two nodes are the same column, or rows of the same columns, whatever they are cast to.
    fn same(&mut self, left: &Node, right: &Node, scope: Outer<'_>) -> bool {
        let (left, right) = (bare(left), bare(right));
        match (&left.node, &right.node) {
            (Some(NodeEnum::ColumnRef(one)), Some(NodeEnum::ColumnRef(other))) => {
                let name = |reference: &ColumnRef| reference.fields.last().and_then(word).map(str::to_owned);
                name(one) == name(other) && {
                    let (one, other) = (self.expression(left, scope).trace, self.expression(right, scope).trace);
                    one == other
                }
            }
            (Some(NodeEnum::RowExpr(one)), Some(NodeEnum::RowExpr(other))) => {
                one.args.len() == other.args.len()
                    && one.args.iter().zip(&other.args).all(|(one, other)| self.same(one, other, scope))
            }
            (Some(_) | None, _) => false,
        }
    }

    pub(super) fn merge(&mut self, merge: &MergeStmt, outer: Outer<'_>) -> Query {
        stacker::maybe_grow(RED_ZONE, GROWTH, || {
            self.facts.kinds.extend([Kind::Read, Kind::Write]);
            let with = self.enter(merge.with_clause.as_ref(), outer);
            let Some(range) = &merge.relation else { return Query::unknown() };
            let written = self.written(range);
            let mut items = match merge.source_relation.as_deref() {
                Some(source) => self.item_of(source, outer, outer),
                None => vec![Item::unknown(None)],
            };
            items.push(written.item.clone());
            let scope = Scope { items: &items, goes_on: false, outer };
            let value = self.optional(merge.join_condition.as_deref(), Some(&scope));
            self.chosen_by(&value);
            let own = cells(&written);
            let joins = merge.join_condition.as_deref().is_some_and(|node| self.depends(node, &own, Some(&scope)));
            for node in &merge.merge_when_clauses {
                match &node.node {
                    Some(NodeEnum::MergeWhenClause(when)) => {
                        let changes =
                            matches!(CmdType::try_from(when.command_type), Ok(CmdType::CmdDelete | CmdType::CmdUpdate));
                        let chosen = when.condition.as_deref();
                        if changes {
                            let depends = joins || chosen.is_some_and(|node| self.depends(node, &own, Some(&scope)));
                            self.conditioned(depends);
                        }
                        self.when(when, &written, Some(&scope));
                    }
                    Some(_) | None => self.doubt(Unknown::Node),
                }
            }
            let query = self.returning(merge.returning_clause.as_ref(), &items, outer);
            self.leave(&with);
            query
        })
    }

    fn when(&mut self, when: &MergeWhenClause, written: &Written, scope: Outer<'_>) {
        let value = self.optional(when.condition.as_deref(), scope);
        self.chosen_by(&value);
        match CmdType::try_from(when.command_type) {
            Ok(CmdType::CmdDelete) => {
                self.facts.kinds.insert(Kind::Destructive);
            }
            Ok(CmdType::CmdInsert) => {
                let values = when.values.iter().map(|node| self.expression(node, scope));
                let fields = values.map(|value| Field { name: "".into(), value }).collect();
                self.inserted(written, &when.target_list, &Query::of(fields));
            }
            Ok(CmdType::CmdUpdate) => self.assigned(&when.target_list, written, scope),
            Ok(CmdType::CmdNothing) => {}
            Ok(
                CmdType::Undefined | CmdType::CmdUnknown | CmdType::CmdSelect | CmdType::CmdMerge | CmdType::CmdUtility,
            )
            | Err(_) => self.doubt(Unknown::Node),
        }
    }

    /// RETURNING sees the rows as they are, and by `old` and `new` as they were and will be.
    fn returning(&mut self, clause: Option<&ReturningClause>, items: &[Item], outer: Outer<'_>) -> Query {
        let Some(clause) = clause else { return Query::default() };
        self.facts.kinds.insert(Kind::Read);
        let (mut old, mut new): (Name, Name) = ("old".into(), "new".into());
        for node in &clause.options {
            let Some(NodeEnum::ReturningOption(option)) = &node.node else {
                self.doubt(Unknown::Node);
                continue;
            };
            match ReturningOptionKind::try_from(option.option) {
                Ok(ReturningOptionKind::ReturningOptionOld) => old = option.value.as_str().into(),
                Ok(ReturningOptionKind::ReturningOptionNew) => new = option.value.as_str().into(),
                Ok(ReturningOptionKind::Undefined) | Err(_) => self.doubt(Unknown::Node),
            }
        }
        let mut seen = items.to_vec();
        // What is written to is a table, and the only one without FROM; of several, any may be it.
        for name in [old, new] {
            if items.iter().any(|item| item.name.as_ref() == Some(&name)) {
                continue;
            }
            let table = items.iter().rev().find(|item| item.stored).or(items.first());
            if let (Some(table), true) = (table, items.len() == 1) {
                seen.push(Item { name: Some(name), named: true, plain: false, schema: None, ..table.clone() });
            } else {
                seen.push(Item { plain: false, ..Item::unknown(Some(name)) });
            }
        }
        let scope = Scope { items: &seen, goes_on: false, outer };
        self.targets(&clause.exprs, Some(&scope))
    }
}

fn res_target(node: &Node) -> Option<&ResTarget> {
    match &node.node {
        Some(NodeEnum::ResTarget(target)) => Some(target),
        Some(_) | None => None,
    }
}

/// The columns of what is written to, and of what is behind it.
fn cells(written: &Written) -> BTreeSet<Cell> {
    written.item.fields.iter().flat_map(|field| field.value.trace.cells()).collect()
}

/// A node without what it is cast to.
fn bare(node: &Node) -> &Node {
    let mut bare = node;
    loop {
        let inner = match &bare.node {
            Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref(),
            Some(NodeEnum::CollateClause(collate)) => collate.arg.as_deref(),
            Some(_) | None => None,
        };
        match inner {
            Some(inner) => bare = inner,
            None => return bare,
        }
    }
}
