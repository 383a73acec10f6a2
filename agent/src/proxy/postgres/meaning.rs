//! What a text means, as far as policies, masking and the record are concerned.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::facts::{add, facts};
use super::matter::Values;
use super::protection::Protection;
use crate::{
    mask::{Classes, FieldType, detect::Context},
    policy::question::{Execute, Resource},
    protocol::postgres::sql::{
        Catalog, Change, Copied, Deed, Kind, Lineage, Names, Output, Script, Store, Transaction, Understood, Unknown,
        Unlisted, Use,
    },
};

/// What stands for a constant that is not recorded.
const HIDDEN: &str = "'***'";
/// What stands for any constant in a shape.
const BLANK: &str = "?";
/// The first number of what users make (`FirstNormalObjectId`).
const FIRST_NORMAL: u32 = 16_384;
/// Most lengths of texts whose facts are kept.
const MOST_SIZES: usize = 64;

/// Facts of a text of so many bytes, and as they are recorded.
type OfSize = (u64, Arc<Execute>, Arc<str>);

/// What one text means.
#[derive(Debug)]
pub(super) struct Meaning {
    /// The text, as it was sent.
    pub(super) text: Box<[u8]>,
    /// The facts, with the length of the text itself.
    pub(super) facts: Arc<Execute>,
    /// The same, as they are recorded.
    pub(super) recorded: Arc<str>,
    /// The text, what is protected in it masked; its shape, where that stands for many texts.
    pub(super) statement: Arc<str>,
    /// The constants of a text whose shape is recorded, masked as they have to be.
    pub(super) constants: Option<Box<str>>,
    essence: Arc<Essence>,
}

/// What texts mean that differ in their constants only.
#[derive(Debug)]
pub(super) struct Essence {
    /// In a word or two.
    pub(super) kind: Arc<str>,
    /// What each statement is called.
    pub(super) verbs: Vec<&'static str>,
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
    /// What each statement gives that no class is in, whatever is read besides.
    pub(super) unclassified: Vec<bool>,
    /// Whether what is near each parameter is protected.
    pub(super) parameters: Vec<bool>,
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
    /// Whether it is so for this session alone: temporary tables are nobody else's.
    pub(super) only_own: bool,
    /// Whether it looks at anything that the catalog describes.
    pub(super) touches: bool,
    /// What it runs by name, and what that runs, in order: who approves the one approves the other.
    pub(super) behind: Vec<Behind>,
    /// Where constants are, and whether each is protected.
    places: Vec<(Range<usize>, bool)>,
    /// Facts of other lengths, and as they are recorded.
    sizes: Mutex<Vec<OfSize>>,
}

/// A text that another one runs by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    /// As it was sent.
    pub(super) text: Box<[u8]>,
    /// The values that were bound to it.
    pub(super) values: Values,
    /// Without its constants.
    pub(super) shape: Arc<str>,
}

impl Behind {
    pub(super) fn of(inner: &Meaning, values: Values) -> Self {
        Self { text: inner.text.clone(), values, shape: Arc::clone(&inner.shape) }
    }

    /// What nobody was seen to make.
    pub(super) fn unseen() -> Self {
        Self { text: Box::default(), values: Values::new(), shape: "(what was not seen to be made)".into() }
    }
}

impl Deref for Meaning {
    type Target = Essence;

    fn deref(&self) -> &Essence {
        &self.essence
    }
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
        let recorded = recorded(&facts);
        let essence = Essence {
            kind: kind.into(),
            verbs: Vec::new(),
            // Approved for a time, it is this very text and not another of its length.
            shape: format!("{unread}, SHA-256 {digest}").into(),
            changes: true,
            unreadable: None,
            outputs: Vec::new(),
            unclassified: Vec::new(),
            copied: Vec::new(),
            parameters: Vec::new(),
            stores: Vec::new(),
            deeds: vec![(0, Deed::Opaque)],
            uses: Vec::new(),
            settings: vec![Change::Opaque],
            transactions: Vec::new(),
            unlists: Unlisted::Any,
            changes_catalog: true,
            only_own: false,
            touches: false,
            behind: Vec::new(),
            places: Vec::new(),
            sizes: Mutex::default(),
        };
        let (text, facts, essence) = (text.into(), Arc::new(facts), Arc::new(essence));
        Self { text, facts, recorded, statement: unread, constants: None, essence }
    }

    /// Of a name that nobody was seen to make: what it runs may be anything.
    pub(super) fn unseen(database: &str) -> Self {
        let why = "it runs a statement or portal that was not seen to be made; prepare it again";
        let mut unseen = Self::unknown(database, b"", "execute", Unknown::Plan.word());
        if let Some(essence) = Arc::get_mut(&mut unseen.essence) {
            essence.unreadable = Some(why.into());
            essence.outputs = vec![Output::Undecided];
        }
        unseen
    }

    /// Of a call by a function's number. Those the server brings run no SQL of others.
    pub(super) fn call(database: &str, function: u32) -> Self {
        let mut call = Self::unknown(database, b"", "function call", Unknown::Function.word());
        if let Some(essence) = Arc::get_mut(&mut call.essence).filter(|_| function < FIRST_NORMAL) {
            (essence.deeds, essence.settings) = (Vec::new(), Vec::new());
            (essence.unlists, essence.changes_catalog) = (Unlisted::default(), false);
        }
        call
    }

    /// Of a text that no parser reads.
    pub(super) fn unreadable(database: &str, text: &[u8], why: &str) -> Self {
        let mut unknown = Self::unknown(database, text, "statement", "text");
        if let Some(essence) = Arc::get_mut(&mut unknown.essence) {
            essence.unreadable = Some(why.into());
        }
        unknown
    }

    /// Of a text that was parsed.
    pub(super) fn of(text: &str, script: &Script, place: &Place<'_>) -> Self {
        let understood = script.understand(place.catalog, place.names);
        let hidden = |near: &Lineage| place.protection.is_protected(near);
        let unclassified = |output: &Output| match output {
            Output::Nothing => true,
            Output::Undecided => false,
            Output::Columns(lineages) => lineages.iter().all(|lineage| match lineage {
                Lineage::Of(columns) => !columns.iter().any(|column| place.protection.classifies(column)),
                Lineage::Undecided => false,
            }),
        };
        let mut literals: Vec<(Range<usize>, bool)> = Vec::new();
        let (mut outputs, mut copied, mut parameters, mut stores) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut deeds, mut uses, mut settings, mut transactions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut unlists = Unlisted::default();
        for (at, one) in (0_u32..).zip(&understood) {
            literals.extend(one.literals.iter().map(|literal| (literal.at.clone(), hidden(&literal.near))));
            outputs.push(one.output.clone());
            copied.push(one.copied.clone());
            stores.extend(one.stores.iter().cloned());
            deeds.extend(one.deeds.iter().map(|deed| (at, deed.clone())));
            uses.extend(one.uses.iter().map(|name| (at, name.clone())));
            settings.extend(one.settings.iter().cloned());
            transactions.extend(one.transaction.clone());
            for (place, near) in one.parameters.iter().enumerate() {
                match parameters.get_mut(place) {
                    Some(known) => *known |= hidden(near),
                    None => parameters.push(hidden(near)),
                }
            }
            unlists.add(&one.unlists);
        }
        let facts = facts(&understood, place, text.len());
        let essence = Essence {
            kind: facts.verb.as_deref().unwrap_or("empty").into(),
            verbs: understood.iter().map(|one| one.verb).collect(),
            shape: replaced(text, literals.iter().map(|(at, _)| (at, BLANK))).into(),
            changes: understood.iter().any(changes),
            unreadable: None,
            unclassified: outputs.iter().map(unclassified).collect(),
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
            only_own: understood.iter().all(|one| !one.changes_catalog || makes_temporary(one)),
            touches: understood.iter().any(touches),
            behind: Vec::new(),
            places: literals,
            sizes: Mutex::default(),
        };
        let places = essence.places.iter().map(|(at, hide)| (at.clone(), *hide));
        let statement = statement(text, places, place.protection.classes()).into();
        let (text, recorded) = (text.as_bytes().into(), recorded(&facts));
        Self { text, facts: Arc::new(facts), recorded, statement, constants: None, essence: Arc::new(essence) }
    }

    /// What another text means that differs from this one in its constants, which are there; `None` if that cannot be told.
    pub(super) fn of_like(&self, text: &str, constants: &[Range<usize>], classes: &Classes) -> Option<Self> {
        // Of these, a constant may be the name of something.
        let asks_setting = self.facts.functions.iter().flatten().any(|name| name == "current_setting");
        let by_value = !self.settings.is_empty() || !self.uses.is_empty() || !self.deeds.is_empty() || asks_setting;
        if by_value || constants.len() != self.places.len() || self.unreadable.is_some() {
            return None;
        }
        let places = constants.iter().zip(&self.places).map(|(at, (_, hide))| (at.clone(), *hide));
        let mut written = String::new();
        for part in places.map(|place| shown(text, place, classes)) {
            let comma = if written.is_empty() { "" } else { ", " };
            written.push_str(comma);
            written.push_str(&part);
        }
        let (facts, recorded) = self.sized(text.len() as u64);
        let (statement, essence) = (Arc::clone(&self.shape), Arc::clone(&self.essence));
        let (text, constants) = (text.as_bytes().into(), Some(written.into()));
        Some(Self { text, facts, recorded, statement, constants, essence })
    }

    /// Whether the constants of its text are where these are: then others like it can be told by theirs.
    pub(super) fn has_constants(&self, constants: &[Range<usize>]) -> bool {
        constants.iter().eq(self.places.iter().map(|(at, _)| at))
    }

    /// What it has in common with texts that differ in constants only.
    pub(super) fn essence(&self) -> &Arc<Essence> {
        &self.essence
    }

    /// The facts of a request of so many bytes, and as they are recorded.
    fn sized(&self, bytes: u64) -> (Arc<Execute>, Arc<str>) {
        if bytes == self.facts.bytes {
            return (Arc::clone(&self.facts), Arc::clone(&self.recorded));
        }
        let mut sizes = self.essence.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, facts, recorded)) = sizes.iter().find(|(size, ..)| *size == bytes) {
            return (Arc::clone(facts), Arc::clone(recorded));
        }
        let facts = Execute { bytes, ..(*self.facts).clone() };
        let recorded = recorded(&facts);
        let facts = Arc::new(facts);
        if sizes.len() < MOST_SIZES {
            sizes.push((bytes, Arc::clone(&facts), Arc::clone(&recorded)));
        }
        (facts, recorded)
    }

    /// What it means with what it runs by name: the text behind the name of a statement's place.
    pub(super) fn with(&self, named: &[(u32, Arc<Meaning>)]) -> Self {
        let mut facts = (*self.facts).clone();
        let (mut outputs, mut unclassified) = (self.outputs.clone(), self.unclassified.clone());
        let (mut stores, mut settings) = (self.stores.clone(), self.settings.clone());
        let (mut deeds, mut unlists) = (self.deeds.clone(), self.unlists.clone());
        let mut changes = self.changes;
        for (at, inner) in named {
            add(&mut facts, &inner.facts);
            changes |= inner.changes;
            stores.extend(inner.stores.iter().cloned());
            unlists.add(&inner.unlists);
            // What can be prepared does nothing to names itself; code it calls may.
            deeds.extend(inner.deeds.iter().filter(|(_, deed)| *deed == Deed::Opaque).map(|_| (*at, Deed::Opaque)));
            let at = usize::try_from(*at).unwrap_or(usize::MAX);
            let verb = self.verbs.get(at).copied().unwrap_or_default();
            match verb {
                "execute" => settings.extend(inner.settings.iter().cloned()),
                // It is not run, or only in part.
                _ if !inner.settings.is_empty() => settings.push(Change::Opaque),
                _ => {}
            }
            if let (Some(output), Some(place)) = (outputs.get_mut(at), unclassified.get_mut(at)) {
                match verb {
                    "execute" | "fetch" => {
                        *output = inner.outputs.first().cloned().unwrap_or(Output::Undecided);
                        *place = inner.unclassified.first().is_some_and(|first| *first);
                    }
                    "explain" if !self.computes() && !inner.computes() => {
                        (*output, *place) = (Output::Columns(vec![Lineage::nothing()]), true);
                    }
                    // What uses a cursor gives rows of its own.
                    _ => {}
                }
            }
        }
        if let Some(unknown) = &mut facts.unknown_parts {
            unknown.remove(Unknown::Plan.word());
            facts.opaque = !unknown.is_empty();
        }
        let essence = Essence {
            kind: Arc::clone(&self.kind),
            verbs: self.verbs.iter().chain(named.iter().flat_map(|(_, inner)| &inner.verbs)).copied().collect(),
            shape: Arc::clone(&self.shape),
            changes,
            unreadable: named.iter().find_map(|(_, inner)| inner.unreadable.clone()),
            outputs,
            unclassified,
            copied: self.copied.clone(),
            parameters: self.parameters.clone(),
            stores,
            deeds,
            uses: Vec::new(),
            settings,
            transactions: self.transactions.clone(),
            unlists,
            only_own: self.only_own && named.iter().all(|(_, inner)| inner.only_own),
            changes_catalog: self.changes_catalog || named.iter().any(|(_, inner)| inner.changes_catalog),
            touches: true,
            behind: Vec::new(),
            places: Vec::new(),
            sizes: Mutex::default(),
        };
        let (text, statement, recorded) = (self.text.clone(), Arc::clone(&self.statement), recorded(&facts));
        let constants = self.constants.clone();
        Self { text, facts: Arc::new(facts), recorded, statement, constants, essence: Arc::new(essence) }
    }

    /// Whether its plan may show what functions came to.
    fn computes(&self) -> bool {
        let calls = [Unknown::Function, Unknown::DynamicSql, Unknown::Node];
        self.facts.unknown_parts.iter().flatten().any(|part| calls.iter().any(|why| why.word() == part))
    }

    /// The same, with the texts that it was found to run by name.
    pub(super) fn running(mut self, behind: Vec<Behind>) -> Self {
        if let Some(essence) = Arc::get_mut(&mut self.essence) {
            essence.behind = behind;
        }
        self
    }

    /// The facts of a request that has so many bytes besides the text, and as they are recorded.
    pub(super) fn facts_with(&self, more: usize) -> (Arc<Execute>, Arc<str>) {
        self.sized((self.text.len() + more) as u64)
    }
}

/// The text as it is recorded: constants that are protected are left out, and what is found in others is masked.
fn statement(text: &str, constants: impl Iterator<Item = (Range<usize>, bool)>, classes: &Classes) -> String {
    let parts: Vec<(Range<usize>, String)> =
        constants.map(|place| (place.0.clone(), shown(text, place, classes).into_owned())).collect();
    replaced(text, parts.iter().map(|(at, instead)| (at, instead.as_str())))
}

/// One constant as it is recorded.
fn shown<'t>(text: &'t str, (at, hide): (Range<usize>, bool), classes: &Classes) -> Cow<'t, str> {
    let Some(value) = text.get(at).filter(|_| !hide) else { return HIDDEN.into() };
    match classes.mask_found(&Context::default(), FieldType::Text, value.as_bytes()) {
        Some(found) => String::from_utf8_lossy(found.text().unwrap_or(HIDDEN.as_bytes())).into_owned().into(),
        None => value.into(),
    }
}

fn recorded(facts: &Execute) -> Arc<str> {
    serde_json::to_string(facts).unwrap_or_default().into()
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

/// Whether a temporary table is all that is made, and nothing is run that could make more.
fn makes_temporary(one: &Understood) -> bool {
    one.temporary && one.unknown.is_empty() && matches!(one.verb, "create table" | "create table as" | "select into")
}

fn changes(one: &Understood) -> bool {
    let lasting = |kind: &Kind| !matches!(kind, Kind::Read | Kind::Session);
    let ends = matches!(
        one.transaction,
        Some(Transaction::Commit { .. } | Transaction::Prepare | Transaction::CommitPrepared)
    );
    ends || one.kinds.iter().any(lasting) || !one.unknown.is_empty()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::question::Target,
        protocol::postgres::sql::{Path, parse},
    };

    #[test]
    fn a_temporary_table_is_nobody_elses() {
        let names = Names { path: Path::Known(Vec::new()), user: None, unlisted: Unlisted::default() };
        for (text, expected) in [
            ("CREATE TEMP TABLE t (id int)", true),
            ("CREATE TEMP TABLE t AS SELECT 1", true),
            ("SELECT 1 AS id INTO TEMP t", true),
            ("CREATE TABLE t (id int)", false),
            ("CREATE TEMP TABLE t AS SELECT nobody_knows()", false),
            ("CREATE TEMP VIEW t AS SELECT 1", false),
            ("DROP TABLE t", false),
        ] {
            let script = parse(text).unwrap();
            let found = script.understand(&Catalog::default(), &names);
            assert_eq!(found.iter().all(makes_temporary), expected, "{text}");
        }
    }

    #[test]
    fn constants_are_replaced_where_they_are() {
        let text = "select 'ä', 12 where a = '1'";
        let parts = [text.find("12").map(|at| at..at + 2), text.find("'1'").map(|at| at..at + 3)];
        let parts: Vec<Range<usize>> = parts.into_iter().flatten().collect();
        assert_eq!(replaced(text, parts.iter().rev().map(|at| (at, "?"))), "select 'ä', ? where a = ?");
        assert_eq!(replaced(text, std::iter::empty()), text);
    }

    /// What one text means where the other is what it runs by name.
    fn with(text: &str, inner: &str) -> Meaning {
        let (catalog, target) = (Catalog::default(), Arc::new(Target::opaque([10, 0, 0, 5].into(), 5432)));
        let protection = Protection::of(Arc::new(Classes::empty()), target, &catalog);
        let names = Names { path: Path::Known(Vec::new()), user: None, unlisted: Unlisted::default() };
        let place = Place { database: "d", catalog: &catalog, protection: &protection, names: &names };
        let [outer, inner] = [text, inner].map(|text| Meaning::of(text, &parse(text).expect("it is SQL"), &place));
        outer.with(&[(0, Arc::new(inner))])
    }

    #[test]
    fn what_is_run_by_name_gives_its_rows_only_where_they_come_back() {
        let nothing = || Output::Columns(vec![Lineage::nothing()]);
        assert_eq!(with("EXECUTE p", "SELECT 1").outputs, [nothing()]);
        assert_eq!(with("FETCH c", "SELECT 1").outputs, [nothing()]);
        assert_eq!(with("EXPLAIN EXECUTE p", "SELECT 1, 2").outputs, [nothing()]);
        assert_eq!(with("EXPLAIN EXECUTE p", "SELECT f()").outputs, [Output::Columns(vec![Lineage::Undecided])]);
        let current = "UPDATE t SET a = 1 WHERE CURRENT OF c RETURNING b";
        assert_eq!(with(current, "SELECT 1").outputs, [Output::Columns(vec![Lineage::Undecided])]);
        assert_eq!(with("CREATE TABLE x AS EXECUTE p", "SELECT 1").outputs, [Output::Nothing]);
    }

    #[test]
    fn what_is_run_by_name_sets_what_it_says_only_if_it_is_run_whole() {
        let sets = "SELECT set_config('a', 'b', false)";
        let set = Change::Set { name: "a".to_owned(), value: Some("b".to_owned()), local: false };
        assert_eq!(with("EXECUTE p", sets).settings, [set]);
        assert_eq!(with("FETCH c", sets).settings, [Change::Opaque]);
        assert_eq!(with("EXPLAIN EXECUTE p", sets).settings, [Change::Opaque]);
        assert_eq!(with("EXECUTE p", "SELECT f()").settings, []);
    }
}
