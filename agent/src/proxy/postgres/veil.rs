//! What this workload may not see in clear, and how that is kept from it.

use std::sync::Arc;

use super::{
    answers::unmaskable,
    facts::column_name,
    fault::Fault,
    hold::Refused,
    masks::{Cover, Covered, Masks},
    matter::REPLICATION,
    meaning::Meaning,
    talk::Talk,
};
use crate::{
    mask::{Class, detect::Context},
    policy::{
        Cause, Question, Verdict,
        question::{Asked, Field, Reveal, TableName},
    },
    protocol::postgres::{
        notice::Fields,
        rows::{Column as Told, Row},
        session::{Number, Shape},
        sql::{Column, Kind, Lineage, Output, Store, Unknown},
    },
    record::Timestamps,
};

/// Seconds for which it is remembered whether anything is hidden.
const REMEMBERED: u64 = 15;
/// What is said of a result whose statement was read by a catalog that does not hold any more.
const LOST: &str =
    "the database was changed while this statement ran, so nothing of its result can be shown: it is NULL";
/// Statements that bring code of their own, or conditions that are evaluated in the statements of others.
const CODE: [&str; 8] = [
    "do",
    "create function",
    "create procedure",
    "create aggregate",
    "create rule",
    "create cast",
    "create policy",
    "alter policy",
];
/// Statements of kind `ddl` that leave names and contents of columns as they are, or make what is followed by lineage.
const HARMLESS: [&str; 19] = [
    "select into",
    "create view",
    "create table as",
    "create materialized view",
    "refresh materialized view",
    "select",
    "explain",
    "prepare",
    "create index",
    "create statistics",
    "analyze",
    "vacuum",
    "reindex",
    // New names, of types without conditions of their own; and what goes takes its values along.
    "create domain",
    "create type",
    "create schema",
    "drop view",
    "drop materialized view",
    "drop statistics",
];

impl Talk<'_> {
    /// The class of a column that is not to be seen in clear, the strictest.
    pub(super) fn hidden(&self, column: &Column, now: Timestamps) -> Option<Arc<Class>> {
        if self.setting.observe {
            return None;
        }
        let known = self.private.as_ref().unwrap_or(&self.known);
        let classes = known.protection.of_column(column);
        let first = classes.first().map(|class| Arc::clone(class))?;
        let names = classes.into_iter().map(|class| class.name().to_owned()).collect();
        let field = Field::Column(column_name(&self.database, column));
        let asked = Asked::Reveal(Arc::new(Reveal { field, classes: names }));
        let question = Question { asked, ..self.setting.question(Arc::default(), Default::default(), now) };
        (!self.setting.proxy.policies.decide(&question).verdict.allows()).then_some(first)
    }

    /// What is done to a column that is copied.
    pub(super) fn copied_cover(&mut self, lineage: &Lineage, table: bool, now: Timestamps) -> Cover {
        let Lineage::Of(columns) = lineage else {
            return if self.is_restricted() { Cover::Whole } else { Cover::Clear };
        };
        let hidden: Vec<Arc<Class>> = columns.iter().filter_map(|column| self.hidden(column, now)).collect();
        let Some(first) = hidden.first() else { return Cover::Clear };
        // As of a row: only a table's own column is masked by what its class leaves of it.
        if table && hidden.iter().all(|class| Arc::ptr_eq(class, first)) {
            Cover::Class(Arc::clone(first))
        } else {
            Cover::Whole
        }
    }

    /// Whether anything in the database is hidden from this workload.
    pub(super) fn is_restricted(&mut self) -> bool {
        let known = self.private.as_ref().unwrap_or(&self.known);
        if self.setting.observe || !known.protection.is_any() {
            return false;
        }
        if known.protection.is_blind() {
            return true;
        }
        let now = Timestamps::now();
        let (version, second) = (self.setting.proxy.policies.version(), now.boot_ns / 1_000_000_000 / REMEMBERED);
        if let Some((_, _, restricted)) = self.restricted.filter(|(v, s, _)| *v == version && *s == second) {
            return restricted;
        }
        let restricted = known.protection.protected().iter().any(|column| self.hidden(column, now).is_some());
        self.restricted = Some((version, second, restricted));
        restricted
    }

    /// Whether what is made of this may not be seen in clear.
    fn is_hidden(&mut self, lineage: &Lineage, now: Timestamps) -> bool {
        match lineage {
            Lineage::Of(columns) => columns.iter().any(|column| self.hidden(column, now).is_some()),
            Lineage::Undecided => self.is_restricted(),
        }
    }

    /// Whether rows of this are looked into.
    pub(super) fn looks_into(&mut self, output: Option<&Output>) -> bool {
        let now = Timestamps::now();
        let search = !self.classes.detectors().is_empty();
        match output {
            None | Some(Output::Nothing) => false,
            Some(Output::Undecided) => search || self.is_restricted(),
            Some(Output::Columns(columns)) => {
                let stored = |lineage: &Lineage| !matches!(lineage, Lineage::Of(columns) if columns.is_empty());
                columns.iter().any(|lineage| search && stored(lineage) || self.is_hidden(lineage, now))
            }
        }
    }

    /// Why a request that policies allow is not passed all the same.
    pub(super) fn objection(&mut self, meaning: &Meaning, verdict: &Arc<Verdict>, now: Timestamps) -> Option<Refused> {
        if self.setting.observe || verdict.cause == Cause::Unconfigured {
            return None;
        }
        if let Some(why) = &meaning.unreadable {
            let text = format!("this statement was not understood: {why}");
            return Some(Refused::by_us(verdict, text));
        }
        // Every row of every table, as it is stored: no catalog has to be read to know that.
        if &*meaning.kind == REPLICATION && self.classes.rules() > 0 {
            let text = "replication copies what is protected; it is refused where anything has a class";
            return Some(Refused::by_us(verdict, text.to_owned()));
        }
        if self.is_restricted()
            && let Some(text) = self.blinds(meaning, now)
        {
            return Some(Refused::by_us(verdict, text.to_owned()));
        }
        if let Some(refused) = self.uncopiable(meaning, verdict) {
            return Some(refused);
        }
        let strays = meaning.stores.iter().any(|store| self.strays(store, now));
        if strays {
            let text = "this would copy what you may not see to where it is not protected";
            return Some(Refused::by_us(verdict, text.to_owned()));
        }
        None
    }

    /// Whether what is stored would be seen where it goes, or more of it than where it comes from.
    fn strays(&mut self, store: &Store, now: Timestamps) -> bool {
        let known = Arc::clone(self.private.as_ref().unwrap_or(&self.known));
        let columns = match &store.from {
            Lineage::Of(columns) => columns,
            Lineage::Undecided if !self.is_restricted() => return false,
            // It may be anything, so nothing of it may be left where it goes.
            Lineage::Undecided => {
                let instead = store.into.as_ref().and_then(|into| self.hidden(into, now));
                return instead.is_none_or(|class| !class.rule().function().leaves_nothing());
            }
        };
        let hidden = columns.iter().filter_map(|column| self.hidden(column, now).map(|class| (column, class)));
        let hidden: Vec<(&Column, Arc<Class>)> = hidden.collect();
        if hidden.is_empty() {
            return false;
        }
        let Some((into, instead)) = store.into.as_ref().and_then(|into| Some((into, self.hidden(into, now)?))) else {
            return true;
        };
        let own = known.protection.class_names(into);
        if !hidden.iter().all(|(_, class)| own.iter().any(|name| name == class.name())) {
            return true;
        }
        // What a class leaves of a value that was changed first may be any part of it, or tell what it is by many tries.
        let kind = known.catalog.type_of(into);
        let same = |(column, class): &(&Column, Arc<Class>)| {
            Arc::ptr_eq(class, &instead) && kind.is_none_or(|kind| known.catalog.type_of(column) == Some(kind))
        };
        !(instead.rule().function().leaves_nothing() || store.unchanged && hidden.iter().all(same))
    }

    /// Why a request could make protected values visible in a way that nobody could follow.
    fn blinds(&self, meaning: &Meaning, now: Timestamps) -> Option<&'static str> {
        let unknown = |word: Unknown| meaning.facts.unknown_parts.iter().flatten().any(|found| found == word.word());
        let kind = |word: Kind| meaning.facts.kinds.iter().flatten().any(|found| found == word.word());
        if unknown(Unknown::Node) || unknown(Unknown::Effort) {
            return Some("this statement was not understood");
        }
        let brings_code = kind(Kind::Ddl) && unknown(Unknown::Language);
        if brings_code || meaning.verbs.iter().any(|verb| CODE.contains(verb)) {
            return Some("code that may copy protected values is not run for who may not see them");
        }
        if !kind(Kind::Ddl) || meaning.verbs.iter().all(|verb| HARMLESS.contains(verb)) {
            return None;
        }
        let known = self.private.as_ref().unwrap_or(&self.known);
        let tables: Vec<&TableName> =
            [&meaning.facts.reads, &meaning.facts.writes].into_iter().flatten().flatten().collect();
        let is_changed = |column: &&Column| {
            tables.iter().any(|table| *column.table == *table.table && *column.schema == *table.schema)
        };
        let protected = || known.protection.protected().iter();
        if protected().filter(is_changed).any(|column| self.hidden(column, now).is_some()) {
            return Some("a table with protected columns is not changed by who may not see them");
        }
        let may_be_other = |column: &&Column| meaning.unlists.holds(&column.table);
        protected().filter(may_be_other).any(|column| self.hidden(column, now).is_some()).then_some(
            "what may change the meaning of protected columns' names, or bring code, is not run for who may not see them",
        )
    }

    /// Whether the catalog was changed since a request was sent that was read by it.
    pub(super) fn has_moved(&self, meaning: &Meaning, sent: Option<u64>) -> bool {
        meaning.touches && self.known.protection.is_any() && sent != Some(self.shelf.changes())
    }

    /// What is done to the rows of a result, the one at this place of what was asked.
    /// `moved`: what it was read by is not what holds any more.
    pub(super) fn masks(&mut self, meaning: &Meaning, at: usize, columns: &[Told<'_>], moved: bool) -> Arc<Masks> {
        let (known, classes) = (Arc::clone(&self.known), Arc::clone(&self.classes));
        let result = (meaning.essence(), at);
        let settled = !moved && self.private.is_none();
        if settled && let Some(plain) = self.plain.find((&known, &classes), result, columns) {
            return plain;
        }
        if moved && !columns.is_empty() && self.is_restricted() {
            self.tell_of_lost();
            let lost = columns.iter().map(|told| Covered { cover: Cover::Lost, kind: told.kind, format: told.format });
            return Arc::new(Masks::new(lost.collect(), classes));
        }
        let output = meaning.outputs.get(at);
        let masks = Arc::new(self.worked_out(output, columns, moved));
        if settled && !masks.is_busy() && self.is_plain(output, columns) {
            self.plain.keep((&known, &classes), result, columns, &masks);
        }
        masks
    }

    /// Says that a result could not be told apart.
    pub(super) fn tell_of_lost(&mut self) {
        let mut notice = Vec::new();
        Fields { sqlstate: *b"01000", hint: Some("Repeat the statement."), ..Fields::told(LOST) }.notice(&mut notice);
        self.notices.push(notice);
    }

    /// Whether a result is shown as it is to everybody, whatever policies say.
    fn is_plain(&self, output: Option<&Output>, columns: &[Told<'_>]) -> bool {
        let Some(Output::Columns(lineages)) = output else { return false };
        lineages.len() == columns.len()
            && lineages.iter().zip(columns).all(|(lineage, told)| {
                let Lineage::Of(from) = lineage else { return false };
                let origin = self.known.catalog.relation_of(told.table);
                let is_of = |column: &Column| {
                    origin.as_ref().is_some_and(|(of, _)| of.schema == column.schema && of.table == column.table)
                };
                !self.is_classified(lineage) && (told.table == 0 || from.iter().any(is_of))
            })
    }

    fn worked_out(&mut self, output: Option<&Output>, columns: &[Told<'_>], moved: bool) -> Masks {
        let now = Timestamps::now();
        let lineages = match output {
            _ if moved => &[],
            Some(Output::Columns(lineages)) if lineages.len() == columns.len() => lineages.as_slice(),
            // The server gives other columns than were understood: nothing is certain of any.
            Some(Output::Columns(_) | Output::Undecided | Output::Nothing) | None => &[],
        };
        let search = !self.classes.detectors().is_empty();
        let covered = columns.iter().enumerate().map(|(place, told)| {
            let lineage = lineages.get(place).unwrap_or(&Lineage::Undecided);
            let cover = match self.cover(lineage, told, now) {
                Cover::Clear if search && is_searched(lineage) && !self.is_classified(lineage) => {
                    Cover::Search(Context::of(&String::from_utf8_lossy(told.name)))
                }
                cover @ (Cover::Clear | Cover::Search(_) | Cover::Class(_) | Cover::Whole | Cover::Lost) => cover,
            };
            Covered { cover, kind: told.kind, format: told.format }
        });
        let covered: Vec<Covered> = covered.collect();
        let masks = Masks::new(covered.clone(), Arc::clone(&self.classes));
        // Who may see it does not have it put on the record.
        let seen = self.keeping.is_some() && lineages.iter().any(|lineage| self.is_classified(lineage));
        if !seen {
            return masks;
        }
        let kept =
            covered.into_iter().enumerate().map(|(place, covered)| match (lineages.get(place), &covered.cover) {
                (Some(lineage), Cover::Clear) if self.is_classified(lineage) => {
                    Covered { cover: Cover::Whole, ..covered }
                }
                _ => covered,
            });
        masks.keeping(kept.collect())
    }

    fn cover(&mut self, lineage: &Lineage, told: &Told<'_>, now: Timestamps) -> Cover {
        let Lineage::Of(columns) = lineage else {
            return if self.is_restricted() { Cover::Whole } else { Cover::Clear };
        };
        // Places of rows, and transactions.
        if told.table != 0 && told.attribute < 0 {
            return Cover::Clear;
        }
        let known = Arc::clone(self.private.as_ref().unwrap_or(&self.known));
        let origin = (told.table != 0).then(|| known.catalog.relation_of(told.table)).flatten();
        let is_of = |column: &Column| {
            origin.as_ref().is_some_and(|(of, _)| of.schema == column.schema && of.table == column.table)
        };
        // The server says where it comes from; whoever read the text has to know.
        if told.table != 0 && !columns.iter().any(is_of) {
            self.shelf.changed();
            return if self.is_restricted() { Cover::Whole } else { Cover::Clear };
        }
        let hidden: Vec<Arc<Class>> = columns.iter().filter_map(|column| self.hidden(column, now)).collect();
        let Some(first) = hidden.first() else { return Cover::Clear };
        let same = |column: &Column| columns.first().is_some_and(|first| first.column == column.column);
        let direct = columns.iter().all(same) && origin.as_ref().is_some_and(|(_, stores)| *stores);
        // What is made from a column is not masked by what its class leaves of it: that may be any part of it by now.
        if direct && hidden.iter().all(|class| Arc::ptr_eq(class, first)) {
            Cover::Class(Arc::clone(first))
        } else {
            Cover::Whole
        }
    }

    pub(super) fn is_classified(&self, lineage: &Lineage) -> bool {
        let known = self.private.as_ref().unwrap_or(&self.known);
        matches!(lineage, Lineage::Of(columns) if columns.iter().any(|column| known.protection.classifies(column)))
    }

    /// Passes a row.
    pub(super) fn row(
        &mut self,
        number: Option<Number>,
        (row, bytes): (&Row<'_>, &[u8]),
        shape: Option<&Shape>,
        client: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let masks = match number.and_then(|number| self.ledger.open(number)) {
            Some(open) => match &open.masks {
                Some(masks) => Arc::clone(masks),
                None => {
                    let (meaning, sent) = (Arc::clone(&open.meaning), open.changes);
                    let moved = self.has_moved(&meaning, sent);
                    let columns = shape.and_then(Shape::columns);
                    let columns: Vec<Told<'_>> = columns.iter().flat_map(|columns| columns.iter()).collect();
                    let told = columns.iter().enumerate().map(|(place, told)| self.session.as_written(place, *told));
                    let told: Vec<Told<'_>> = told.collect();
                    let masks = if columns.is_empty() && !self.looks_into(meaning.outputs.first()) {
                        // Nobody asked what they are, and nobody has to know.
                        let clear =
                            Covered { cover: Cover::Clear, kind: 0, format: crate::protocol::postgres::Format::Text };
                        Arc::new(Masks::new(vec![clear; row.count()], Arc::clone(&self.classes)))
                    } else {
                        self.masks(&meaning, 0, &told, moved)
                    };
                    if let Some(open) = number.and_then(|number| self.ledger.open(number)) {
                        open.masks = Some(Arc::clone(&masks));
                    }
                    masks
                }
            },
            // Rows of a request that was not run.
            None => return Err(super::answers::out_of_turn()),
        };
        if !masks.is_busy() {
            client.extend_from_slice(bytes);
            return Ok(());
        }
        let masked = masks.row(row, bytes, client).map_err(unmaskable)?;
        if let Some(open) = number.and_then(|number| self.ledger.open(number)) {
            open.masked += masked;
        }
        Ok(())
    }
}

/// Whether detectors look at what is made from this: not at what the client itself said.
fn is_searched(lineage: &Lineage) -> bool {
    !matches!(lineage, Lineage::Of(columns) if columns.is_empty())
}
