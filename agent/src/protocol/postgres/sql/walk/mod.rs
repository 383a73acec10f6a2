//! Follows a statement's tree and gathers what it does, scope by scope as the server's own analysis does.
//!
//! Whatever is not followed is said so, in `unknown` and as an undecided lineage: there is no silent way out.

mod call;
mod carried;
mod dml;
mod expression;
mod finish;
mod from;
mod json;
mod label;
mod resolve;
mod scope;
mod select;
mod statement;
mod tree;
mod utility;
mod views;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use super::catalog::Catalog;
use super::facts::{Change, Column, Copied, Deed, Kind, Lineage, Name, Output, Relation, Transaction, Unknown, Use};
use super::names::{Names, Unlisted};
use super::trace::{Cell, Group, Groups, Trace, Val};
use scope::Fields;

/// How much work one statement is worth: names looked at and sets joined.
const FUEL: usize = 4_000_000;

/// Room on the stack under which it grows, and by how much.
const RED_ZONE: usize = 256 << 10;
const GROWTH: usize = 4 << 20;

/// What is gathered, by numbers of the catalog.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) verb: &'static str,
    pub(super) kinds: BTreeSet<Kind>,
    reads: BTreeSet<u32>,
    writes: BTreeSet<u32>,
    /// Relations that the catalog does not list.
    strangers_read: BTreeSet<Relation>,
    strangers_written: BTreeSet<Relation>,
    columns_read: BTreeSet<Cell>,
    columns_written: BTreeSet<Cell>,
    stranger_columns: BTreeSet<Column>,
    predicates: BTreeSet<Cell>,
    pub(super) functions: BTreeSet<Name>,
    has_predicate: Option<bool>,
    pub(super) unknown: BTreeSet<Unknown>,
    output: Output,
    copied: Option<Copied>,
    stores: Vec<(Target, Trace)>,
    /// Columns that get more than a table's own; `None` if that cannot be told.
    changed: Option<carried::Changed>,
    deeds: Vec<Deed>,
    uses: Vec<Use>,
    settings: Vec<Change>,
    transaction: Option<Transaction>,
    changes_catalog: bool,
    unlists: Unlisted,
    temporary: bool,
}

/// Where in a statement the one inside it begins.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// After the first AS, and after the first FOR; empty if there is none.
    Found { after_as: Range<usize>, after_for: Range<usize> },
    /// The text was not scanned.
    Unknown,
}

/// Where data is stored.
#[derive(Clone, Debug)]
enum Target {
    Cell(Cell),
    Stranger(Column),
    Nameless,
}

/// Walks one statement.
pub(super) struct Walker<'a> {
    catalog: &'a Catalog,
    names: &'a Names,
    /// Schemas that names without one are looked for in; `None` if they are not known.
    path: Option<Vec<Name>>,
    pub(super) facts: Facts,
    /// Common table expressions by name, innermost last.
    ctes: HashMap<Name, Vec<Cte>>,
    /// What rows of the query at hand were chosen by.
    conditions: Trace,
    groups: Groups,
    /// Constants by where they are.
    literals: BTreeMap<usize, Group>,
    parameters: BTreeMap<u32, Group>,
    fields: HashMap<u32, Fields>,
    /// Views that are being expanded, outermost first.
    views: Vec<u32>,
    pub(super) body: Body,
    /// Whether all the statement does is to set what it says.
    sets: bool,
    /// What is near constants where all columns are of a row that is only made.
    own: Option<Group>,
    fuel: usize,
    /// How many more columns may be named in what is found.
    nameable: usize,
    /// What was named, by the address of the set, which is kept so that it stays there.
    named: HashMap<usize, (Arc<BTreeSet<Cell>>, Lineage)>,
}

/// A common table expression.
#[derive(Clone, Debug)]
struct Cte {
    fields: Fields,
    /// There may be other columns.
    open: bool,
}

impl<'a> Walker<'a> {
    pub(super) fn new(catalog: &'a Catalog, names: &'a Names) -> Self {
        Self {
            catalog,
            names,
            path: resolve::path(catalog, names),
            facts: Facts::default(),
            ctes: HashMap::new(),
            conditions: Trace::default(),
            groups: Groups::default(),
            literals: BTreeMap::new(),
            parameters: BTreeMap::new(),
            fields: HashMap::new(),
            views: Vec::new(),
            body: Body::Unknown,
            sets: false,
            own: None,
            fuel: FUEL,
            nameable: finish::MOST_NAMED,
            named: HashMap::new(),
        }
    }

    /// Notes why facts are incomplete.
    fn doubt(&mut self, why: Unknown) {
        self.facts.unknown.insert(why);
    }

    /// Notes it, and gives the value that follows.
    fn undecided(&mut self, why: Unknown) -> Val {
        self.doubt(why);
        Val::undecided()
    }

    /// Pays for work; false when there is nothing left to pay with.
    fn spend(&mut self, work: usize) -> bool {
        self.fuel = self.fuel.saturating_sub(work.saturating_add(1));
        if self.fuel == 0 {
            self.doubt(Unknown::Effort);
        }
        self.fuel > 0
    }

    /// One value from several: all are near the constants among them.
    fn combine(&mut self, values: impl IntoIterator<Item = Val>) -> Val {
        let mut all = Val::default();
        for value in values {
            let mut work = all.trace.add(&value.trace);
            all.loose = match (all.loose, value.loose) {
                (Some(a), Some(b)) => {
                    work = work.saturating_add(self.groups.unite(a, b));
                    Some(a)
                }
                (a, b) => a.or(b),
            };
            if !self.spend(work) {
                all.trace = Trace::Undecided;
            }
        }
        self.settle(&all);
        all
    }

    /// Says that what a value is made of is near its constants.
    fn settle(&mut self, value: &Val) {
        if let Some(group) = value.loose {
            let work = self.groups.near(group, &value.trace);
            self.spend(work);
        }
    }

    /// Notes that columns were looked at.
    fn looked_at(&mut self, trace: &Trace) {
        self.facts.columns_read.extend(trace.cells());
    }

    /// Notes that rows are chosen, ordered or grouped by a value.
    fn chosen_by(&mut self, value: &Val) {
        if value.trace == Trace::Undecided {
            self.doubt(Unknown::Column);
        }
        self.facts.predicates.extend(value.trace.cells());
        let work = self.conditions.add(&value.trace);
        self.spend(work);
    }

    /// Code somebody wrote is run, and may do anything.
    fn opaque(&mut self) {
        if !self.facts.deeds.contains(&Deed::Opaque) {
            self.facts.deeds.push(Deed::Opaque);
        }
        if !self.facts.settings.contains(&Change::Opaque) {
            self.facts.settings.push(Change::Opaque);
        }
    }

    fn constant(&mut self, location: i32) -> Val {
        let loose = usize::try_from(location).ok().map(|at| {
            let groups = &mut self.groups;
            *self.literals.entry(at).or_insert_with(|| groups.new_group())
        });
        Val { trace: Trace::default(), loose }
    }

    fn parameter(&mut self, number: i32) -> Val {
        let Ok(number @ 1..=65535) = u32::try_from(number) else { return self.undecided(Unknown::Node) };
        let groups = &mut self.groups;
        let group = *self.parameters.entry(number).or_insert_with(|| groups.new_group());
        Val { trace: Trace::default(), loose: Some(group) }
    }

    fn push_cte(&mut self, name: &str, fields: Vec<scope::Field>, open: bool) {
        self.ctes.entry(name.into()).or_default().push(Cte { fields: Rc::new(fields), open });
    }

    fn pop_cte(&mut self, name: &str) {
        if let Some(stack) = self.ctes.get_mut(name) {
            stack.pop();
        }
    }
}
