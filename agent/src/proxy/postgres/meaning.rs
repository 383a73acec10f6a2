//! What a text means, as far as policies, masking and the record are concerned.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::protection::Protection;
use crate::{
    mask::{FieldType, detect::Context},
    policy::question::{ColumnName, Execute, Resource, TableName},
    protocol::postgres::sql::{
        Catalog, Change, Column, Copied, Deed, Kind, Lineage, Names, Output, Relation, Script, Store, Transaction,
        Understood, Unknown, Unlisted, Use,
    },
};

/// What stands for a constant that is not recorded.
const HIDDEN: &str = "'***'";
/// What stands for any constant in a shape.
const BLANK: &str = "?";

/// What one text means.
#[derive(Debug)]
pub(super) struct Meaning {
    /// The text, as it was sent.
    pub(super) text: Box<[u8]>,
    /// The facts, with the length of the text itself.
    pub(super) facts: Arc<Execute>,
    /// What each statement is called.
    pub(super) verbs: Vec<&'static str>,
    /// In a word or two.
    pub(super) kind: Arc<str>,
    /// The text, what is protected in it masked.
    pub(super) statement: Arc<str>,
    /// The text without its constants: what people approve.
    pub(super) shape: Arc<str>,
    /// Whether it changes what stays.
    pub(super) changes: bool,
    /// Why it could not be read; nothing else is known then.
    pub(super) unreadable: Option<Arc<str>>,
    /// What each statement gives.
    pub(super) outputs: Vec<Output>,
    /// How each statement copies what it gives.
    pub(super) copied: Vec<Option<Copied>>,
    /// What is near each parameter.
    pub(super) parameters: Vec<Lineage>,
    /// What it writes from other data.
    pub(super) stores: Vec<Store>,
    /// What it does to names of statements and cursors, by statement.
    pub(super) deeds: Vec<(u32, Deed)>,
    /// What it runs by name, by statement.
    pub(super) uses: Vec<(u32, Use)>,
    /// What it does to settings.
    pub(super) settings: Vec<Change>,
    /// What it does to transactions.
    pub(super) transactions: Vec<Transaction>,
    /// Relations that are other than the catalog says once it was run.
    pub(super) unlists: Unlisted,
    /// Whether the catalog is to be read again.
    pub(super) changes_catalog: bool,
    /// Whether it looks at anything that the catalog describes.
    pub(super) touches: bool,
}

/// Where a text is read.
pub(super) struct Place<'a> {
    pub(super) database: &'a str,
    pub(super) catalog: &'a Catalog,
    pub(super) protection: &'a Protection,
    pub(super) names: &'a Names,
}

impl Meaning {
    /// Of a text that was not understood.
    pub(super) fn unknown(database: &str, text: &[u8], kind: &str, why: &str) -> Self {
        let unread: Arc<str> = format!("({} bytes that were not understood)", text.len()).into();
        let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
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
        Self {
            text: text.into(),
            verbs: Vec::new(),
            facts: Arc::new(facts),
            kind: kind.into(),
            // Approved for a time, it is this very text and not another of its length.
            shape: format!("{unread}, SHA-256 {digest}").into(),
            statement: unread,
            changes: true,
            unreadable: None,
            outputs: Vec::new(),
            copied: Vec::new(),
            parameters: Vec::new(),
            stores: Vec::new(),
            deeds: vec![(0, Deed::Opaque)],
            uses: Vec::new(),
            settings: vec![Change::Opaque],
            transactions: Vec::new(),
            unlists: Unlisted::Any,
            changes_catalog: true,
            touches: false,
        }
    }

    /// Of a text that no parser reads.
    pub(super) fn unreadable(database: &str, text: &[u8], why: &str) -> Self {
        Self { unreadable: Some(why.into()), ..Self::unknown(database, text, "statement", "text") }
    }

    /// Of a text that was parsed.
    pub(super) fn of(text: &str, script: &Script, place: &Place<'_>) -> Self {
        let understood = script.understand(place.catalog, place.names);
        let hidden = |near: &Lineage| place.protection.is_protected(near);
        let classes = place.protection.classes();
        // A constant that nobody classified is searched as any value is.
        let searched = |at: &Range<usize>| {
            let value = text.get(at.clone())?;
            let found = classes.mask_found(&Context::default(), FieldType::Text, value.as_bytes())?;
            Some(String::from_utf8_lossy(found.text().unwrap_or(HIDDEN.as_bytes())).into_owned())
        };
        let mut literals: Vec<(Range<usize>, Option<String>)> = Vec::new();
        let (mut outputs, mut copied, mut parameters, mut stores) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut deeds, mut uses, mut settings, mut transactions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut unlists = Unlisted::default();
        for (at, one) in (0_u32..).zip(&understood) {
            literals.extend(one.literals.iter().map(|literal| {
                let instead = if hidden(&literal.near) { Some(HIDDEN.to_owned()) } else { searched(&literal.at) };
                (literal.at.clone(), instead)
            }));
            outputs.push(one.output.clone());
            copied.push(one.copied.clone());
            stores.extend(one.stores.iter().cloned());
            deeds.extend(one.deeds.iter().map(|deed| (at, deed.clone())));
            uses.extend(one.uses.iter().map(|name| (at, name.clone())));
            settings.extend(one.settings.iter().cloned());
            transactions.extend(one.transaction.clone());
            for (place, near) in one.parameters.iter().enumerate() {
                match parameters.get_mut(place) {
                    Some(known) => join(known, near),
                    None => parameters.push(near.clone()),
                }
            }
            unlists.add(&one.unlists);
        }
        let facts = facts(&understood, place, text.len());
        Self {
            text: text.as_bytes().into(),
            verbs: understood.iter().map(|one| one.verb).collect(),
            kind: facts.verb.as_deref().unwrap_or("empty").into(),
            statement: replaced(text, literals.iter().filter_map(|(at, instead)| Some((at, instead.as_deref()?))))
                .into(),
            shape: replaced(text, literals.iter().map(|(at, _)| (at, BLANK))).into(),
            changes: understood.iter().any(changes),
            unreadable: None,
            outputs,
            copied,
            parameters,
            stores,
            deeds,
            uses,
            settings,
            transactions,
            unlists,
            changes_catalog: understood.iter().any(|one| one.changes_catalog),
            touches: understood.iter().any(touches),
            facts: Arc::new(facts),
        }
    }

    /// What it means with what it runs by name: the text behind the name of a statement's place.
    pub(super) fn with(&self, named: &[(u32, Arc<Meaning>)]) -> Self {
        let mut facts = (*self.facts).clone();
        let mut outputs = self.outputs.clone();
        let mut stores = self.stores.clone();
        let mut changes = self.changes;
        for (at, inner) in named {
            add(&mut facts, &inner.facts);
            changes |= inner.changes;
            stores.extend(inner.stores.iter().cloned());
            let place = usize::try_from(*at).ok().and_then(|at| outputs.get_mut(at));
            if let (Some(output), Some(given)) = (place, inner.outputs.first()) {
                output.clone_from(given);
            }
        }
        if let Some(unknown) = &mut facts.unknown_parts {
            unknown.remove(Unknown::Plan.word());
            facts.opaque = !unknown.is_empty();
        }
        Self {
            text: self.text.clone(),
            verbs: self.verbs.iter().chain(named.iter().flat_map(|(_, inner)| &inner.verbs)).copied().collect(),
            facts: Arc::new(facts),
            kind: Arc::clone(&self.kind),
            statement: Arc::clone(&self.statement),
            shape: Arc::clone(&self.shape),
            changes,
            unreadable: named.iter().find_map(|(_, inner)| inner.unreadable.clone()),
            outputs,
            copied: self.copied.clone(),
            parameters: self.parameters.clone(),
            stores,
            deeds: self.deeds.clone(),
            uses: Vec::new(),
            settings: [&self.settings, named.first().map_or(&Vec::new(), |(_, inner)| &inner.settings)]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            transactions: self.transactions.clone(),
            unlists: self.unlists.clone(),
            changes_catalog: self.changes_catalog || named.iter().any(|(_, inner)| inner.changes_catalog),
            touches: true,
        }
    }

    /// The facts of a request that has so many bytes besides the text.
    pub(super) fn facts_with(&self, more: usize) -> Arc<Execute> {
        if more == 0 {
            return Arc::clone(&self.facts);
        }
        Arc::new(Execute { bytes: self.facts.bytes + more as u64, ..(*self.facts).clone() })
    }
}

/// Whether anything it says may be other once the catalog was read.
fn touches(one: &Understood) -> bool {
    let plain = |unknown: &Unknown| matches!(unknown, Unknown::Plan | Unknown::Language | Unknown::Node);
    !one.reads.is_empty()
        || !one.writes.is_empty()
        || !one.functions.is_empty()
        || !one.unknown.iter().all(plain)
        || one.changes_catalog
}

fn changes(one: &Understood) -> bool {
    let lasting = |kind: &Kind| !matches!(kind, Kind::Read | Kind::Session);
    let ends = matches!(
        one.transaction,
        Some(Transaction::Commit { .. } | Transaction::Prepare | Transaction::CommitPrepared)
    );
    ends || one.kinds.iter().any(lasting) || !one.unknown.is_empty()
}

fn join(known: &mut Lineage, more: &Lineage) {
    match (&mut *known, more) {
        (Lineage::Of(all), Lineage::Of(more)) => all.extend(more.iter().cloned()),
        (Lineage::Of(_), Lineage::Undecided) => *known = Lineage::Undecided,
        (Lineage::Undecided, _) => {}
    }
}

/// The text with some of its parts replaced.
fn replaced<'a>(text: &str, parts: impl Iterator<Item = (&'a Range<usize>, &'a str)>) -> String {
    let mut parts: Vec<(&Range<usize>, &str)> = parts.collect();
    parts.sort_by_key(|(part, _)| part.start);
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (part, with) in parts {
        // What overlaps was replaced already.
        if let Some(before) = text.get(at..part.start) {
            out.push_str(before);
            out.push_str(with);
            at = part.end;
        }
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

fn facts(understood: &[Understood], place: &Place<'_>, bytes: usize) -> Execute {
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
fn add(facts: &mut Execute, more: &Execute) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_replaced_where_they_are() {
        let text = "select 'ä', 12 where a = '1'";
        let parts = [text.find("12").map(|at| at..at + 2), text.find("'1'").map(|at| at..at + 3)];
        let parts: Vec<Range<usize>> = parts.into_iter().flatten().collect();
        assert_eq!(replaced(text, parts.iter().rev().map(|at| (at, "?"))), "select 'ä', ? where a = ?");
        assert_eq!(replaced(text, std::iter::empty()), text);
    }
}
