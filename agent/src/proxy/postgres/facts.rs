//! What policies are told of a request.

use std::collections::BTreeSet;

use super::meaning::Place;
use crate::{
    policy::question::{ColumnName, Execute, Resource, TableName},
    protocol::postgres::sql::{Column, Relation, Understood},
};

/// The facts of what was understood of a text of so many bytes.
pub(super) fn facts(understood: &[Understood], place: &Place<'_>, bytes: usize) -> Execute {
    let words = |of: fn(&Understood) -> Vec<String>| understood.iter().flat_map(of).collect::<BTreeSet<String>>();
    let tables = |of: fn(&Understood) -> &BTreeSet<Relation>| {
        understood.iter().flat_map(of).map(|table| table_name(place.database, table)).collect::<BTreeSet<_>>()
    };
    let columns = |of: fn(&Understood) -> &BTreeSet<Column>| understood.iter().flat_map(of).collect::<BTreeSet<_>>();
    let names = |columns: &BTreeSet<&Column>| {
        columns.iter().map(|column| column_name(place.database, column)).collect::<BTreeSet<_>>()
    };
    let classes = |columns: &BTreeSet<&Column>| {
        columns.iter().flat_map(|column| place.protection.class_names(column)).collect::<BTreeSet<String>>()
    };
    let (read, written) = (columns(|one| &one.columns_read), columns(|one| &one.columns_written));
    let predicates: BTreeSet<&Column> =
        columns(|one| &one.predicates).into_iter().filter(|column| place.protection.classifies(column)).collect();
    let unknown = words(|one| one.unknown.iter().map(|unknown| unknown.word().to_owned()).collect());
    Execute {
        resource: Resource::Database { name: place.database.to_owned() },
        opaque: !unknown.is_empty(),
        bytes: bytes as u64,
        verb: Some(understood.first().map_or("empty", |one| one.verb).to_owned()),
        kinds: Some(words(|one| one.kinds.iter().map(|kind| kind.word().to_owned()).collect())),
        statements: Some(understood.len() as u64),
        reads: Some(tables(|one| &one.reads)),
        writes: Some(tables(|one| &one.writes)),
        columns_read: Some(names(&read)),
        columns_written: Some(names(&written)),
        classes_read: Some(classes(&read)),
        classes_written: Some(classes(&written)),
        functions: Some(words(|one| one.functions.iter().cloned().collect())),
        has_predicate: Some(understood.iter().all(|one| one.has_predicate != Some(false))),
        protected_predicates: Some(names(&predicates)),
        unknown_parts: Some(unknown),
        ..Execute::default()
    }
}

/// Adds the facts of what is run by name.
pub(super) fn add(facts: &mut Execute, more: &Execute) {
    fn union<T: Ord + Clone>(all: &mut Option<BTreeSet<T>>, more: Option<&BTreeSet<T>>) {
        if let (Some(all), Some(more)) = (all, more) {
            all.extend(more.iter().cloned());
        }
    }
    union(&mut facts.kinds, more.kinds.as_ref());
    union(&mut facts.reads, more.reads.as_ref());
    union(&mut facts.writes, more.writes.as_ref());
    union(&mut facts.columns_read, more.columns_read.as_ref());
    union(&mut facts.columns_written, more.columns_written.as_ref());
    union(&mut facts.classes_read, more.classes_read.as_ref());
    union(&mut facts.classes_written, more.classes_written.as_ref());
    union(&mut facts.functions, more.functions.as_ref());
    union(&mut facts.protected_predicates, more.protected_predicates.as_ref());
    union(&mut facts.unknown_parts, more.unknown_parts.as_ref());
    facts.has_predicate = facts.has_predicate.zip(more.has_predicate).map(|(a, b)| a && b);
    facts.opaque |= more.opaque;
}

fn table_name(database: &str, table: &Relation) -> TableName {
    let (schema, table) = (table.schema.to_string(), table.table.to_string());
    TableName { database: database.to_owned(), schema, table }
}

/// A column as policies name it.
pub(super) fn column_name(database: &str, column: &Column) -> ColumnName {
    let Column { schema, table, column } = column;
    let (schema, table, column) = (schema.to_string(), table.to_string(), column.to_string());
    ColumnName { database: database.to_owned(), schema, table, column }
}
