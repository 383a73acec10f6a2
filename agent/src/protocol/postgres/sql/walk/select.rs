//! Queries: SELECT, VALUES, set operations, WITH, and data-modifying statements where they stand as queries.

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{CommonTableExpr, Node, SelectStmt, SetOperation, WithClause};

use super::super::facts::{Kind, Name, Unknown};
use super::super::trace::Val;
use super::scope::{Field, MOST_FIELDS, Outer, Scope};
use super::tree::{bare_name, is_star, position, word};
use super::{GROWTH, RED_ZONE, Walker};

/// Rounds in which a recursive query's columns settle; seldom more than two are needed.
const ROUNDS: usize = 4;

/// What a query gives.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) fields: Vec<Field>,
    /// Its columns are not known; there are no fields then.
    pub(super) open: bool,
}

impl Query {
    pub(super) fn unknown() -> Self {
        Self { fields: Vec::new(), open: true }
    }

    pub(super) fn of(fields: Vec<Field>) -> Self {
        if fields.len() > MOST_FIELDS { Self::unknown() } else { Self { fields, open: false } }
    }
}

impl Walker<'_> {
    /// A node that is a query.
    pub(super) fn query(&mut self, node: &Node, outer: Outer<'_>) -> Query {
        match &node.node {
            Some(NodeEnum::SelectStmt(select)) => self.select(select, outer),
            Some(NodeEnum::InsertStmt(insert)) => self.insert(insert, outer),
            Some(NodeEnum::UpdateStmt(update)) => self.update(update, outer),
            Some(NodeEnum::DeleteStmt(delete)) => self.delete(delete, outer),
            Some(NodeEnum::MergeStmt(merge)) => self.merge(merge, outer),
            Some(_) | None => {
                self.doubt(Unknown::Node);
                Query::unknown()
            }
        }
    }

    pub(super) fn select(&mut self, select: &SelectStmt, outer: Outer<'_>) -> Query {
        if !self.spend(1) {
            return Query::unknown();
        }
        stacker::maybe_grow(RED_ZONE, GROWTH, || {
            let with = self.enter(select.with_clause.as_ref(), outer);
            let query = match SetOperation::try_from(select.op) {
                Ok(SetOperation::SetopNone) if !select.values_lists.is_empty() => self.values(select, outer),
                Ok(SetOperation::SetopNone) => self.plain_select(select, outer),
                Ok(SetOperation::SetopUnion | SetOperation::SetopIntersect | SetOperation::SetopExcept) => {
                    self.set_operation(select, outer)
                }
                Ok(SetOperation::Undefined) | Err(_) => {
                    self.doubt(Unknown::Node);
                    Query::unknown()
                }
            };
            self.leave(&with);
            query
        })
    }

    fn plain_select(&mut self, select: &SelectStmt, outer: Outer<'_>) -> Query {
        self.facts.kinds.insert(Kind::Read);
        let items = self.items_of(&select.from_clause, outer);
        let scope = Scope { items: &items, goes_on: false, outer };
        let scope = Some(&scope);
        for condition in [&select.where_clause, &select.having_clause] {
            let value = self.optional(condition.as_deref(), scope);
            self.chosen_by(&value);
        }
        let query = self.targets(&select.target_list, scope);
        let local = Scope { items: &items, goes_on: false, outer: None };
        for node in &select.group_clause {
            self.grouped(node, &query, (scope, Some(&local)));
        }
        for node in &select.window_clause {
            match &node.node {
                Some(NodeEnum::WindowDef(window)) => self.window(window, scope),
                Some(_) | None => self.doubt(Unknown::Node),
            }
        }
        self.distinct(&select.distinct_clause, &query, scope);
        self.ordered(select, &query, scope);
        if !select.locking_clause.is_empty() {
            // FOR UPDATE and its like: rows are marked, and others wait until the transaction ends. The server has none of it
            // in a transaction that only reads.
            self.facts.kinds.extend([Kind::Session, Kind::Write]);
        }
        query
    }

    fn distinct(&mut self, clause: &[Node], query: &Query, scope: Outer<'_>) {
        match clause {
            [] => {}
            // Plain DISTINCT is a list of one empty node.
            [all] if all.node.is_none() => self.told_apart(query),
            on => on.iter().for_each(|node| self.by_output(node, query, scope)),
        }
    }

    /// Rows that are alike are one.
    fn told_apart(&mut self, query: &Query) {
        for field in &query.fields {
            self.chosen_by(&field.value);
        }
        if query.open {
            self.doubt(Unknown::Column);
        }
    }

    fn ordered(&mut self, select: &SelectStmt, query: &Query, scope: Outer<'_>) {
        for node in &select.sort_clause {
            match &node.node {
                Some(NodeEnum::SortBy(by)) => {
                    self.sorted_by(by);
                    match by.node.as_deref() {
                        Some(node) => self.by_output(node, query, scope),
                        None => self.doubt(Unknown::Node),
                    }
                }
                Some(_) | None => self.doubt(Unknown::Node),
            }
        }
        for bound in [&select.limit_count, &select.limit_offset] {
            let value = self.optional(bound.as_deref(), scope);
            self.chosen_by(&value);
        }
    }

    /// What ORDER BY and DISTINCT ON name: an output by position or name, or else an expression.
    fn by_output(&mut self, node: &Node, query: &Query, scope: Outer<'_>) {
        if let Some(name) = bare_name(node) {
            let mut named = query.fields.iter().filter(|field| &*field.name == name).peekable();
            if named.peek().is_some() {
                named.for_each(|field| self.chosen_by(&field.value));
                return;
            }
        }
        self.by_position(node, query, scope);
    }

    fn by_position(&mut self, node: &Node, query: &Query, scope: Outer<'_>) {
        let value = match position(node) {
            Some(at) => match query.fields.get(at) {
                Some(field) => {
                    self.expression(node, scope);
                    field.value.clone()
                }
                None => self.undecided(Unknown::Column),
            },
            None => self.expression(node, scope),
        };
        self.chosen_by(&value);
    }

    /// GROUP BY: an input column before an output of that name, and that before one of a query around.
    fn grouped(&mut self, node: &Node, query: &Query, (scope, local): (Outer<'_>, Outer<'_>)) {
        if let Some(NodeEnum::GroupingSet(set)) = &node.node {
            stacker::maybe_grow(RED_ZONE, GROWTH, || {
                set.content.iter().for_each(|node| self.grouped(node, query, (scope, local)));
            });
            return;
        }
        match bare_name(node) {
            Some(name) if !self.is_column(name, local) => self.by_output(node, query, scope),
            Some(_) | None => self.by_position(node, query, scope),
        }
    }

    pub(super) fn targets(&mut self, targets: &[Node], scope: Outer<'_>) -> Query {
        let mut query = Query::default();
        for node in targets {
            let Some(NodeEnum::ResTarget(target)) = &node.node else {
                self.doubt(Unknown::Node);
                return Query::unknown();
            };
            let Some(value) = target.val.as_deref() else {
                self.doubt(Unknown::Node);
                return Query::unknown();
            };
            match self.expanded(value, scope) {
                Expanded::No => {
                    let found = self.expression(value, scope);
                    let name = if target.name.is_empty() { super::label::label(value) } else { Some(&*target.name) };
                    // A column whose name is not known might be taken for one of a query around.
                    query.open |= name.is_none();
                    query.fields.push(Field { name: name.unwrap_or_default().into(), value: found });
                }
                Expanded::Fields(fields) => {
                    fields.iter().for_each(|field| self.looked_at(&field.value.trace));
                    query.fields.extend(fields);
                }
                Expanded::Unknown => {
                    self.doubt(Unknown::Column);
                    query.open = true;
                }
            }
            if query.fields.len() > MOST_FIELDS {
                query.open = true;
            }
            if query.open {
                query.fields.clear();
            }
        }
        query
    }

    /// The columns a star stands for.
    fn expanded(&mut self, value: &Node, scope: Outer<'_>) -> Expanded {
        let found = match &value.node {
            Some(NodeEnum::ColumnRef(reference)) => match reference.fields.as_slice() {
                [.., last] if !is_star(last) => return Expanded::No,
                [_] => return self.star(scope).map_or(Expanded::Unknown, Expanded::Fields),
                [table, _] => word(table).map(|table| self.item(None, table, scope)),
                [schema, table, _] | [_, schema, table, _] => {
                    word(table).map(|table| self.item(word(schema), table, scope))
                }
                _ => None,
            },
            Some(NodeEnum::AIndirection(indirection)) => match indirection.indirection.as_slice() {
                [only] if is_star(only) => {
                    let Some(arg) = indirection.arg.as_deref() else { return Expanded::Unknown };
                    match self.row(arg, scope) {
                        Some(item) => Some(Ok(Some(item))),
                        None => return self.parts(arg, scope),
                    }
                }
                [.., last] if is_star(last) => {
                    self.expression(value, scope);
                    return Expanded::Unknown;
                }
                _ => return Expanded::No,
            },
            Some(_) | None => return Expanded::No,
        };
        match found {
            Some(Ok(Some(item))) if !item.open => Expanded::Fields(item.fields.to_vec()),
            Some(_) | None => Expanded::Unknown,
        }
    }

    /// The columns of a stored composite: of how many, its type says.
    fn parts(&mut self, arg: &Node, scope: Outer<'_>) -> Expanded {
        let value = self.expression(arg, scope);
        let mut cells = value.trace.cells();
        let (Some(cell), None, Some(NodeEnum::ColumnRef(_))) = (cells.next(), cells.next(), &arg.node) else {
            return Expanded::Unknown;
        };
        let composite = self.catalog.column(cell).and_then(|column| self.catalog.composite(column.type_oid));
        let Some(composite) = composite else { return Expanded::Unknown };
        let field = |name: &Name| Field { name: name.clone(), value: value.clone() };
        Expanded::Fields(composite.columns.iter().map(|column| field(&column.name)).collect())
    }

    fn values(&mut self, select: &SelectStmt, outer: Outer<'_>) -> Query {
        let mut columns: Vec<Val> = Vec::new();
        for (row, node) in select.values_lists.iter().enumerate() {
            let Some(NodeEnum::List(list)) = &node.node else {
                self.doubt(Unknown::Node);
                return Query::unknown();
            };
            if row > 0 && list.items.len() != columns.len() {
                self.doubt(Unknown::Column);
                return Query::unknown();
            }
            for (at, node) in list.items.iter().enumerate() {
                let value = self.expression(node, outer);
                match columns.get_mut(at) {
                    Some(column) => {
                        let mine = std::mem::take(column);
                        let both = self.combine([mine, value]);
                        if let Some(column) = columns.get_mut(at) {
                            *column = both;
                        }
                    }
                    None => columns.push(value),
                }
            }
        }
        let named = columns.into_iter().zip(1_usize..);
        let fields = named.map(|(value, number)| Field { name: format!("column{number}").into(), value });
        let query = Query::of(fields.collect());
        self.ordered(select, &query, outer);
        query
    }

    fn set_operation(&mut self, select: &SelectStmt, outer: Outer<'_>) -> Query {
        let arm = |walker: &mut Self, arm: Option<&SelectStmt>| match arm {
            Some(arm) => walker.select(arm, outer),
            None => Query::unknown(),
        };
        let left = arm(self, select.larg.as_deref());
        let right = arm(self, select.rarg.as_deref());
        let query = self.merged(left, right);
        let only_appends = select.all && SetOperation::try_from(select.op) == Ok(SetOperation::SetopUnion);
        if !only_appends {
            self.told_apart(&query);
        }
        self.ordered(select, &query, outer);
        query
    }

    /// Columns that may be of either.
    fn merged(&mut self, left: Query, right: Query) -> Query {
        if left.open || right.open || left.fields.len() != right.fields.len() {
            self.doubt(Unknown::Column);
            return Query::unknown();
        }
        let both = left.fields.into_iter().zip(right.fields);
        let fields =
            both.map(|(left, right)| Field { name: left.name, value: self.combine([left.value, right.value]) });
        Query { fields: fields.collect(), open: false }
    }

    /// Takes up a WITH clause; gives the names to [`Self::leave`].
    pub(super) fn enter(&mut self, with: Option<&WithClause>, outer: Outer<'_>) -> Vec<Name> {
        let Some(with) = with else { return Vec::new() };
        let mut names: Vec<Name> = Vec::new();
        let tables: Vec<Option<&CommonTableExpr>> = with
            .ctes
            .iter()
            .map(|node| match &node.node {
                Some(NodeEnum::CommonTableExpr(table)) => Some(&**table),
                Some(_) | None => None,
            })
            .collect();
        if with.recursive {
            // Those further down are seen from above, too, before it is known what they give.
            for table in tables.iter().copied().flatten() {
                self.push_cte(&table.ctename, Vec::new(), true);
                names.push(table.ctename.as_str().into());
            }
        }
        for table in tables {
            let Some(table) = table else {
                self.doubt(Unknown::Node);
                continue;
            };
            let query = if with.recursive { self.recursive(table, outer) } else { self.common(table, outer) };
            if !with.recursive {
                names.push(table.ctename.as_str().into());
                self.push_cte(&table.ctename, query.fields, query.open);
            } else {
                self.replace_cte(&table.ctename, query);
            }
        }
        names
    }

    pub(super) fn leave(&mut self, names: &[Name]) {
        names.iter().for_each(|name| self.pop_cte(name));
    }

    fn replace_cte(&mut self, name: &str, query: Query) {
        self.pop_cte(name);
        self.push_cte(name, query.fields, query.open);
    }

    fn common(&mut self, table: &CommonTableExpr, outer: Outer<'_>) -> Query {
        let Some(node) = table.ctequery.as_deref() else { return Query::unknown() };
        let query = self.query(node, outer);
        self.labelled(query, table)
    }

    /// A table of WITH RECURSIVE: what it gives is put into itself until nothing is added.
    fn recursive(&mut self, table: &CommonTableExpr, outer: Outer<'_>) -> Query {
        let Some(NodeEnum::SelectStmt(select)) = table.ctequery.as_deref().and_then(|node| node.node.as_ref()) else {
            return self.common(table, outer);
        };
        let (Some(first), Some(_)) = (select.larg.as_deref(), select.rarg.as_deref()) else {
            return self.common(table, outer);
        };
        let with = self.enter(select.with_clause.as_ref(), outer);
        let mut known = self.select(first, outer);
        self.leave(&with);
        for _ in 0..ROUNDS {
            let seed = Query { fields: known.fields.clone(), open: known.open };
            let seed = self.labelled(seed, table);
            self.replace_cte(&table.ctename, seed);
            let next = self.select(select, outer);
            let settled = next.open == known.open
                && next.fields.iter().zip(&known.fields).all(|(a, b)| a.value.trace == b.value.trace);
            known = next;
            if settled || known.open {
                return self.labelled(known, table);
            }
        }
        self.doubt(Unknown::Effort);
        known.fields.iter_mut().for_each(|field| field.value = Val::undecided());
        let last = Query { fields: known.fields.clone(), open: false };
        let last = self.labelled(last, table);
        self.replace_cte(&table.ctename, last);
        self.select(select, outer);
        self.labelled(known, table)
    }

    /// Column names as WITH gives them, and the columns SEARCH and CYCLE add.
    fn labelled(&mut self, mut query: Query, table: &CommonTableExpr) -> Query {
        rename(&mut query.fields, &table.aliascolnames);
        let mut all = || {
            let values: Vec<_> = query.fields.iter().map(|field| field.value.clone()).collect();
            Val { loose: None, ..self.combine(values) }
        };
        let mut added: Vec<Field> = Vec::new();
        if let Some(search) = &table.search_clause {
            added.push(Field { name: search.search_seq_column.as_str().into(), value: all() });
        }
        if let Some(cycle) = &table.cycle_clause {
            added.push(Field { name: cycle.cycle_mark_column.as_str().into(), value: all() });
            added.push(Field { name: cycle.cycle_path_column.as_str().into(), value: all() });
        }
        query.fields.retain(|field| !added.iter().any(|other| other.name == field.name));
        query.fields.extend(added);
        if query.open {
            query.fields.clear();
        }
        query
    }
}

enum Expanded {
    /// It is an expression.
    No,
    Fields(Vec<Field>),
    Unknown,
}

/// Gives the first fields these names.
pub(super) fn rename(fields: &mut [Field], names: &[Node]) {
    for (field, name) in fields.iter_mut().zip(names) {
        if let Some(name) = word(name) {
            field.name = name.into();
        }
    }
}

/// Fields as items share them.
pub(super) fn shared(fields: Vec<Field>) -> Rc<Vec<Field>> {
    Rc::new(fields)
}
