//! FROM: relations, subqueries, functions, joins and what they make visible.

use std::collections::BTreeSet;
use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    Alias, ColumnRef, JoinExpr, Node, RangeFunction, RangeSubselect, RangeTableFunc, RangeTableSample, RangeVar,
};

use super::super::builtin;
use super::super::catalog::{SYSTEM, Shape};
use super::super::facts::{Kind, Name, Unknown};
use super::super::trace::Val;
use super::resolve::Meant;
use super::scope::{Field, Item, MOST_FIELDS, Outer, Scope};
use super::select::{rename, shared};
use super::tree::{word, words};
use super::{GROWTH, RED_ZONE, Walker};

impl Walker<'_> {
    pub(super) fn items_of(&mut self, nodes: &[Node], outer: Outer<'_>) -> Vec<Item> {
        let mut items = Vec::new();
        for node in nodes {
            let more = {
                let before = Scope { items: &items, goes_on: false, outer };
                self.item_of(node, Some(&before), outer)
            };
            items.extend(more);
        }
        items
    }

    /// One item, which sees those before it only if it is lateral.
    pub(super) fn item_of(&mut self, node: &Node, lateral: Outer<'_>, outer: Outer<'_>) -> Vec<Item> {
        if !self.spend(1) {
            return vec![Item::unknown(None)];
        }
        stacker::maybe_grow(RED_ZONE, GROWTH, || match &node.node {
            Some(NodeEnum::RangeVar(range)) => vec![self.range(range)],
            Some(NodeEnum::RangeSubselect(select)) => {
                vec![self.subselect(select, if select.lateral { lateral } else { outer })]
            }
            Some(NodeEnum::RangeFunction(function)) => vec![self.range_function(function, lateral)],
            Some(NodeEnum::JoinExpr(join)) => self.join(join, lateral, outer),
            Some(NodeEnum::RangeTableSample(sample)) => self.sample(sample, lateral, outer),
            Some(NodeEnum::RangeTableFunc(table)) => vec![self.xml_table(table, lateral)],
            Some(NodeEnum::JsonTable(table)) => vec![self.json_table(table, lateral)],
            _ => {
                self.doubt(Unknown::Node);
                vec![Item::unknown(None)]
            }
        })
    }

    fn range(&mut self, range: &RangeVar) -> Item {
        let name: Name = range.relname.as_str().into();
        let item = if range.schemaname.is_empty() { self.cte_item(&name) } else { None };
        let item = item.unwrap_or_else(|| self.stored(range));
        self.aliased(item, range.alias.as_ref())
    }

    fn cte_item(&mut self, name: &Name) -> Option<Item> {
        let table = self.ctes.get(name)?.last()?;
        let mut item = Item::new(Some(name.clone()), Rc::clone(&table.fields));
        item.open = table.open;
        if item.open {
            self.doubt(Unknown::Column);
        }
        Some(item)
    }

    /// A relation that is read.
    pub(super) fn stored(&mut self, range: &RangeVar) -> Item {
        let name: Name = range.relname.as_str().into();
        match self.relation(range) {
            Meant::Table(table) => {
                self.facts.reads.insert(table);
                if self.catalog.table(table).is_some_and(|found| found.is_system() && builtin::shows_files(&found.name))
                {
                    self.facts.kinds.insert(Kind::File);
                }
                self.table_item(table)
            }
            Meant::Stranger(relation) => {
                self.facts.strangers_read.insert(relation);
                Item::unknown(Some(name))
            }
        }
    }

    pub(super) fn table_item(&mut self, table: u32) -> Item {
        let fields = self.table_fields(table);
        let found = self.catalog.table(table);
        let mut item = Item::new(found.map(|found| found.name.clone()), fields);
        item.schema = found.map(|found| found.schema.clone());
        item.stored = true;
        item.table = Some(table);
        item
    }

    pub(super) fn aliased(&mut self, mut item: Item, alias: Option<&Alias>) -> Item {
        let Some(alias) = alias else { return item };
        item.name = Some(alias.aliasname.as_str().into());
        item.named = true;
        item.schema = None;
        if !alias.colnames.is_empty() {
            let mut fields = item.fields.to_vec();
            rename(&mut fields, &alias.colnames);
            self.spend(fields.len());
            item.fields = shared(fields);
        }
        item
    }

    fn subselect(&mut self, select: &RangeSubselect, scope: Outer<'_>) -> Item {
        let query = match select.subquery.as_deref() {
            Some(query) => self.query(query, scope),
            None => super::select::Query::unknown(),
        };
        let mut item = Item::new(None, shared(query.fields));
        item.open = query.open;
        self.aliased(item, select.alias.as_ref())
    }

    fn join(&mut self, join: &JoinExpr, lateral: Outer<'_>, outer: Outer<'_>) -> Vec<Item> {
        let (Some(left), Some(right)) = (join.larg.as_deref(), join.rarg.as_deref()) else {
            self.doubt(Unknown::Node);
            return vec![Item::unknown(None)];
        };
        let mut items = self.item_of(left, lateral, outer);
        let left_count = items.len();
        let right = {
            let seen = Scope { items: &items, goes_on: lateral.is_some(), outer: lateral };
            self.item_of(right, Some(&seen), outer)
        };
        items.extend(right);
        let alias = join.alias.as_ref();
        if join.is_natural || !join.using_clause.is_empty() {
            return self.merged_join(join, items, left_count);
        }
        if let Some(condition) = join.quals.as_deref() {
            let scope = Scope { items: &items, goes_on: false, outer };
            let value = self.expression(condition, Some(&scope));
            self.chosen_by(&value);
        }
        if alias.is_none() {
            return items;
        }
        let whole = Scope { items: &items, goes_on: false, outer: None };
        let fields = self.star(Some(&whole));
        let item = self.joined(fields);
        vec![self.aliased(item, alias)]
    }

    fn joined(&mut self, fields: Option<Vec<Field>>) -> Item {
        match fields {
            Some(fields) => Item::new(None, shared(fields)),
            None => {
                self.doubt(Unknown::Column);
                Item { stored: false, ..Item::unknown(None) }
            }
        }
    }

    /// A join by columns of one name: these come first and are one, whatever side they are of.
    fn merged_join(&mut self, join: &JoinExpr, mut items: Vec<Item>, left_count: usize) -> Vec<Item> {
        let (left, right) = items.split_at_checked(left_count).unwrap_or((&items, &[]));
        let left = self.star(Some(&Scope { items: left, goes_on: false, outer: None }));
        let right = self.star(Some(&Scope { items: right, goes_on: false, outer: None }));
        let merged = match (left, right) {
            (Some(left), Some(right)) => self.merge_columns(join, left, right),
            _ => None,
        };
        let item = self.joined(merged);
        if join.alias.is_some() {
            return vec![self.aliased(item, join.alias.as_ref())];
        }
        if let Some(alias) = &join.join_using_alias {
            // Only the merged columns are seen by that name.
            let count = if item.open { 0 } else { join.using_clause.len() };
            let fields = item.fields.iter().take(count).cloned().collect();
            let mut using = Item::new(Some(alias.aliasname.as_str().into()), shared(fields));
            using.open = item.open;
            using.plain = false;
            items.push(using);
        }
        items.iter_mut().for_each(|side| side.plain = false);
        items.push(item);
        items
    }

    fn merge_columns(&mut self, join: &JoinExpr, left: Vec<Field>, right: Vec<Field>) -> Option<Vec<Field>> {
        self.spend(left.len().saturating_add(right.len()));
        let names: Vec<Name> = if join.is_natural {
            let right: BTreeSet<_> = right.iter().map(|field| &field.name).collect();
            left.iter().map(|field| &field.name).filter(|name| right.contains(name)).cloned().collect()
        } else {
            words(&join.using_clause)?.into_iter().map(Into::into).collect()
        };
        let one = |fields: &[Field], name: &Name| {
            let mut named = fields.iter().filter(|field| field.name == *name);
            let only = named.next()?.clone();
            named.next().is_none().then_some(only)
        };
        self.runs_written(&["="]);
        let mut all = Vec::new();
        for name in &names {
            let (a, b) = (one(&left, name)?, one(&right, name)?);
            let value = self.combine([a.value, b.value]);
            self.looked_at(&value.trace);
            self.chosen_by(&value);
            all.push(Field { name: name.clone(), value });
        }
        let rest = left.into_iter().chain(right).filter(|field| !names.contains(&field.name));
        all.extend(rest);
        (all.len() <= MOST_FIELDS.saturating_mul(4)).then_some(all)
    }

    fn sample(&mut self, sample: &RangeTableSample, lateral: Outer<'_>, outer: Outer<'_>) -> Vec<Item> {
        let args = self.all(&sample.args, lateral);
        let repeatable = self.optional(sample.repeatable.as_deref(), lateral);
        self.chosen_by(&args);
        self.chosen_by(&repeatable);
        let method = words(&sample.method).unwrap_or_default();
        if !matches!(method.as_slice(), ["system" | "bernoulli"] | ["pg_catalog", "system" | "bernoulli"]) {
            self.doubt(Unknown::Function);
        }
        match sample.relation.as_deref() {
            Some(relation) => self.item_of(relation, lateral, outer),
            None => vec![Item::unknown(None)],
        }
    }

    /// Functions in FROM: each adds its columns, then perhaps a row number.
    fn range_function(&mut self, range: &RangeFunction, scope: Outer<'_>) -> Item {
        let mut fields: Vec<Field> = Vec::new();
        let mut open = false;
        let alone = range.functions.len() == 1;
        let alias = range.alias.as_ref().filter(|_| alone).map(|alias| alias.aliasname.as_str());
        let mut scalar = alone && !range.ordinality;
        let mut name: Option<Name> = None;
        for node in &range.functions {
            let Some(NodeEnum::List(list)) = &node.node else {
                self.doubt(Unknown::Node);
                return Item::unknown(None);
            };
            let Some(call) = list.items.first() else { return Item::unknown(None) };
            let value = self.expression(call, scope);
            // How many rows it gives.
            self.chosen_by(&value);
            let definitions = match list.items.get(1).map(|second| &second.node) {
                Some(Some(NodeEnum::List(definitions))) if !definitions.items.is_empty() => &definitions.items,
                Some(_) | None => &range.coldeflist,
            };
            let called = super::label::label(call).unwrap_or_default();
            name.get_or_insert_with(|| called.into());
            let columns = self.function_columns((call, definitions), alias.unwrap_or(called), scope);
            match columns {
                Some((names, is_scalar)) => {
                    scalar &= is_scalar;
                    fields.extend(names.into_iter().map(|name| Field { name, value: value.clone() }));
                }
                None => {
                    // Whatever its columns are, by its own name it is all of them.
                    open = true;
                    fields.push(Field { name: alias.unwrap_or(called).into(), value });
                }
            }
        }
        if range.ordinality {
            fields.push(Field { name: "ordinality".into(), value: Val::default() });
        }
        // Of one that is not known, nobody knows which place the columns of the next have.
        if open && (!alone || range.ordinality) {
            self.doubt(Unknown::Column);
            fields.clear();
        }
        let mut item = Item::new(name, shared(fields));
        item.open = open;
        item.scalar = scalar;
        self.aliased(item, range.alias.as_ref())
    }

    /// Names of a function's columns, and whether it has only one; `None` if they are not known.
    fn function_columns(
        &mut self,
        (call, definitions): (&Node, &[Node]),
        alone: &str,
        scope: Outer<'_>,
    ) -> Option<(Vec<Name>, bool)> {
        if !definitions.is_empty() {
            let mut names = Vec::new();
            for definition in definitions {
                let Some(NodeEnum::ColumnDef(column)) = &definition.node else { return None };
                column.type_name.iter().for_each(|type_name| self.type_name(type_name));
                names.push(column.colname.as_str().into());
            }
            return Some((names, false));
        }
        let one = |name: Option<Name>| Some((vec![name.unwrap_or_else(|| alone.into())], true));
        let Some(NodeEnum::FuncCall(function)) = &call.node else {
            // CURRENT_DATE and the like.
            return one(None);
        };
        let name = words(&function.funcname)?;
        let (meant, stale) = self.functions_meant(&name);
        if stale {
            return None;
        }
        let ours = meant.iter().all(|function| &*function.schema == SYSTEM);
        if name.last() == Some(&"unnest") && ours {
            let columns = vec![Name::from(alone); function.args.len()];
            return self.unnested(&function.args, scope).then_some((columns, function.args.len() == 1));
        }
        match self.catalog.shape(&meant) {
            Shape::Scalar(name) => one(name),
            Shape::Columns(names) => Some((names, false)),
            Shape::Unknown => None,
        }
    }

    /// Whether each argument of unnest gives one column: not so arrays of rows.
    fn unnested(&mut self, arguments: &[Node], scope: Outer<'_>) -> bool {
        arguments.iter().all(|argument| match &argument.node {
            Some(NodeEnum::AArrayExpr(array)) => {
                array.elements.iter().all(|element| matches!(&element.node, Some(NodeEnum::AConst(_))))
            }
            Some(NodeEnum::TypeCast(cast)) => cast.type_name.as_ref().is_some_and(|name| {
                let names = words(&name.names).unwrap_or_default();
                let ([last] | [SYSTEM, last]) = names.as_slice() else { return false };
                matches!(
                    *last,
                    "text" | "oid" | "int2" | "int4" | "int8" | "uuid" | "varchar" | "numeric" | "date" | "timestamptz"
                )
            }),
            Some(NodeEnum::FuncCall(call)) => {
                let name = call.funcname.last().and_then(word).unwrap_or_default();
                self.catalog.gives_plain_array(name)
            }
            Some(NodeEnum::ColumnRef(reference)) => {
                let kind = self.stored_type(reference, scope);
                kind.is_some_and(|kind| !self.catalog.may_hold_rows(kind))
            }
            Some(_) | None => false,
        })
    }

    /// The type of a column that a relation itself has. Of what a query makes, the type is not known.
    fn stored_type(&self, reference: &ColumnRef, scope: Outer<'_>) -> Option<u32> {
        let (table, name) = match reference.fields.as_slice() {
            [name] => (None, word(name)?),
            [table, name] => (Some(word(table)?), word(name)?),
            _ => return None,
        };
        let mut found = None;
        let mut level = scope;
        while let Some(part) = level {
            let meant = |item: &&Item| match table {
                Some(table) => item.named && item.name.as_deref() == Some(table),
                None => item.plain,
            };
            for item in part.items.iter().filter(meant) {
                let mut places = item.fields.iter().zip(0_u32..).filter(|(field, _)| &*field.name == name);
                let place = places.next();
                if item.open || places.next().is_some() || (place.is_some() && found.is_some()) {
                    return None;
                }
                found = found.or_else(|| Some((item.table, place?.1)));
            }
            if found.is_some() && !part.goes_on {
                break;
            }
            level = part.outer;
        }
        let (table, place) = found?;
        self.catalog.column((table?, place)).map(|column| column.type_oid)
    }

    fn xml_table(&mut self, table: &RangeTableFunc, scope: Outer<'_>) -> Item {
        let mut parts = self.all(&table.namespaces, scope);
        let document = self.optional(table.docexpr.as_deref(), scope);
        let row = self.optional(table.rowexpr.as_deref(), scope);
        parts = self.combine([parts, document, row]);
        let mut fields = Vec::new();
        for node in &table.columns {
            let Some(NodeEnum::RangeTableFuncCol(column)) = &node.node else {
                self.doubt(Unknown::Node);
                return Item::unknown(None);
            };
            let path = self.optional(column.colexpr.as_deref(), scope);
            let default = self.optional(column.coldefexpr.as_deref(), scope);
            let value = self.combine([parts.clone(), path, default]);
            fields.push(Field { name: column.colname.as_str().into(), value });
        }
        let item = Item::new(Some("xmltable".into()), shared(fields));
        self.aliased(item, table.alias.as_ref())
    }
}
