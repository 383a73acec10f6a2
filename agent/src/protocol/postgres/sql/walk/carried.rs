//! Statements that put stored values elsewhere: which of them arrive as they were, with nothing done to them on the way.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::{InsertStmt, Node, RangeVar, SelectStmt, SetOperation, UpdateStmt};

use super::super::catalog::TableKind;
use super::super::facts::Name;
use super::Walker;
use super::resolve::Meant;
use super::tree::{is_star, word};

/// Columns a statement stores into that get more than a table's own column, by name.
pub(super) type Changed = BTreeSet<Name>;

impl Walker<'_> {
    /// Where a statement stores anything but columns as they are; `None` where that cannot be told.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else stores something is not looked into")]
    pub(super) fn changed(&mut self, statement: &NodeEnum) -> Option<Changed> {
        match statement {
            NodeEnum::InsertStmt(insert) => self.changed_by_insert(insert),
            NodeEnum::UpdateStmt(update) => self.changed_by_update(update),
            NodeEnum::SelectStmt(select) => self.changed_by_query(select, &[]),
            NodeEnum::CreateTableAsStmt(create) => self.changed_by_query(selected(create.query.as_deref()?)?, &[]),
            _ => None,
        }
    }

    fn changed_by_insert(&mut self, insert: &InsertStmt) -> Option<Changed> {
        let into = self.plain_table(insert.relation.as_ref()?)?;
        if insert.with_clause.is_some() {
            return None;
        }
        let names: Vec<Name> = if insert.cols.is_empty() {
            self.catalog.table(into)?.columns.iter().map(|column| column.name.clone()).collect()
        } else {
            insert.cols.iter().map(named).collect::<Option<_>>()?
        };
        let mut changed = match insert.select_stmt.as_deref() {
            Some(select) => self.changed_by_query(selected(select)?, &names)?,
            None => Changed::new(),
        };
        if let Some(conflict) = insert.on_conflict_clause.as_deref() {
            changed.extend(self.changed_by_targets(&conflict.target_list, &[into])?);
        }
        Some(changed)
    }

    fn changed_by_update(&mut self, update: &UpdateStmt) -> Option<Changed> {
        if update.with_clause.is_some() {
            return None;
        }
        let mut tables = self.plain_tables(&update.from_clause)?;
        tables.push(self.plain_table(update.relation.as_ref()?)?);
        self.changed_by_targets(&update.target_list, &tables)
    }

    /// Of what is assigned by name.
    fn changed_by_targets(&self, targets: &[Node], tables: &[u32]) -> Option<Changed> {
        let mut changed = Changed::new();
        for target in targets {
            let name = named(target)?;
            let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
            if !target.indirection.is_empty() || !self.is_own(target.val.as_deref(), tables) {
                changed.insert(name);
            }
        }
        Some(changed)
    }

    /// Of what a query gives, stored by its place under these names; without names, all of it has to be as it is.
    fn changed_by_query(&mut self, select: &SelectStmt, names: &[Name]) -> Option<Changed> {
        let single = matches!(SetOperation::try_from(select.op), Ok(SetOperation::SetopNone));
        if !single || select.with_clause.is_some() {
            return None;
        }
        // Of VALUES, none is a column of a table, and what the client says is no change of one.
        if !select.values_lists.is_empty() {
            let mut changed = Changed::new();
            for row in &select.values_lists {
                let Some(NodeEnum::List(row)) = &row.node else { return None };
                changed.extend(
                    names.iter().zip(&row.items).filter(|(_, value)| !is_said(value)).map(|(name, _)| name.clone()),
                );
            }
            return Some(changed);
        }
        let tables = self.plain_tables(&select.from_clause)?;
        let own: Vec<bool> = select
            .target_list
            .iter()
            .map(|target| match &target.node {
                Some(NodeEnum::ResTarget(target)) => self.is_own(target.val.as_deref(), &tables),
                Some(_) | None => false,
            })
            .collect();
        if own.iter().all(|own| *own) {
            return Some(Changed::new());
        }
        // A star is of as many columns as nobody counts here.
        if names.len() < own.len() || select.target_list.iter().any(has_star) {
            return None;
        }
        Some(names.iter().zip(own).filter(|(_, own)| !own).map(|(name, _)| name.clone()).collect())
    }

    /// The tables of FROM, where there is nothing else in it.
    fn plain_tables(&mut self, from: &[Node]) -> Option<Vec<u32>> {
        let (mut tables, mut left): (Vec<u32>, Vec<&Node>) = (Vec::new(), from.iter().collect());
        while let Some(node) = left.pop() {
            match &node.node {
                Some(NodeEnum::RangeVar(range)) => tables.push(self.plain_table(range)?),
                Some(NodeEnum::JoinExpr(join)) if join.alias.is_none() => {
                    left.extend([join.larg.as_deref()?, join.rarg.as_deref()?]);
                }
                Some(_) | None => return None,
            }
        }
        Some(tables)
    }

    /// A table under its own column names: what is read of it is what is stored in it.
    fn plain_table(&mut self, range: &RangeVar) -> Option<u32> {
        if range.alias.as_ref().is_some_and(|alias| !alias.colnames.is_empty()) {
            return None;
        }
        let Meant::Table(table) = self.relation(range) else { return None };
        self.catalog.table(table).filter(|found| found.kind == TableKind::Table).map(|_| table)
    }

    /// Whether an expression is nothing but a column that one of these tables stores, or all of them; or that where it is
    /// not null, and else what the client says.
    fn is_own(&self, value: Option<&Node>, tables: &[u32]) -> bool {
        let value = value.and_then(|value| value.node.as_ref());
        if let Some(NodeEnum::CoalesceExpr(coalesce)) = value {
            return coalesce.args.iter().all(|value| is_plain(value) || self.is_stored(value.node.as_ref(), tables));
        }
        self.is_stored(value, tables)
    }

    fn is_stored(&self, value: Option<&NodeEnum>, tables: &[u32]) -> bool {
        let Some(NodeEnum::ColumnRef(reference)) = value else { return false };
        let Some(last) = reference.fields.last() else { return false };
        let mut columns =
            tables.iter().filter_map(|table| self.catalog.table(*table)).flat_map(|table| &table.columns).peekable();
        if is_star(last) {
            return columns.peek().is_some() && columns.all(|column| column.generated.is_none());
        }
        let Some(name) = word(last) else { return false };
        let mut found = columns.filter(|column| &*column.name == name).peekable();
        found.peek().is_some() && found.all(|column| column.generated.is_none())
    }
}

/// Whether a value is what the client says, or what a function makes of that.
fn is_said(value: &Node) -> bool {
    match &value.node {
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_plain),
        Some(NodeEnum::FuncCall(call)) => call.args.iter().all(is_plain),
        Some(NodeEnum::SetToDefault(_)) => true,
        Some(_) | None => is_plain(value),
    }
}

fn is_plain(value: &Node) -> bool {
    matches!(&value.node, Some(NodeEnum::AConst(_) | NodeEnum::ParamRef(_)))
}

fn selected(node: &Node) -> Option<&SelectStmt> {
    match &node.node {
        Some(NodeEnum::SelectStmt(select)) => Some(select),
        Some(_) | None => None,
    }
}

/// The column a value is stored into.
fn named(target: &Node) -> Option<Name> {
    match &target.node {
        Some(NodeEnum::ResTarget(target)) => Some(target.name.as_str().into()),
        Some(_) | None => None,
    }
}

fn has_star(target: &Node) -> bool {
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return true };
    let Some(NodeEnum::ColumnRef(reference)) = target.val.as_deref().and_then(|value| value.node.as_ref()) else {
        return false;
    };
    reference.fields.iter().any(is_star)
}
