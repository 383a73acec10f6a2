//! What a database holds, as its own catalog tells: a value that is read once and asked for every statement.

mod question;
mod reading;
mod view;

use std::collections::{BTreeSet, HashMap, HashSet};

use super::facts::{Column, Name, Relation};
use super::trace::Cell;

pub use question::{Question, TEMPORARIES};
pub use reading::{CatalogError, Reading};
pub(super) use view::{Definition, Expansion};

/// Relations, functions and types of a database.
#[derive(Debug, Default)]
pub struct Catalog {
    tables: Vec<Table>,
    by_name: HashMap<Name, Vec<u32>>,
    by_oid: HashMap<u32, u32>,
    schemas: HashSet<Name>,
    functions: HashMap<Name, Vec<Function>>,
    composites: HashMap<u32, u32>,
    domains: HashMap<u32, u32>,
    row_arrays: HashSet<u32>,
    operators: HashMap<Name, Vec<Name>>,
    casts: HashSet<Name>,
    search_path: Option<Box<str>>,
    role: Option<Name>,
}

/// What `pg_class.relkind` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableKind {
    /// Ordinary, partitioned or foreign.
    Table,
    /// View or materialized view.
    View,
    Sequence,
    /// A type only.
    Composite,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) schema: Name,
    pub(super) name: Name,
    pub(super) kind: TableKind,
    pub(super) columns: Vec<TableColumn>,
    pub(super) rules: bool,
    pub(super) view: Option<Box<Definition>>,
    parents: Vec<u32>,
    children: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct TableColumn {
    pub(super) name: Name,
    pub(super) type_oid: u32,
    /// Its expression, if it is generated, as a query of it.
    pub(super) generated: Option<Box<Definition>>,
}

/// One of perhaps several functions of a name.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) schema: Name,
    pub(super) language: Language,
    pub(super) immutable: bool,
    pub(super) volatile: bool,
    result: u32,
    /// Names of its output arguments; empty if there are none.
    outputs: Vec<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// Compiled: part of the server, or installed by its administrator.
    Compiled,
    /// Code of a user.
    Written,
}

/// Columns of what a function in FROM gives.
pub(super) enum Shape {
    /// One column; perhaps with a name of its own.
    Scalar(Option<Name>),
    Columns(Vec<Name>),
    Unknown,
}

/// The schema of what the server brings.
pub(super) const SYSTEM: &str = "pg_catalog";

const INFORMATION: &str = "information_schema";

/// `record`, whose columns the query tells.
const RECORD: u32 = 2249;

/// Types that stand for others, of which some are rows: `anyelement`, `anyarray`, `anynonarray`, `anycompatible` and
/// its like, and `record[]`.
const POLYMORPHIC: [u32; 7] = [2283, 2277, 2776, 5077, 5078, 5079, 2287];

impl Catalog {
    /// `search_path` as a session of this role begins, or after `RESET`.
    #[must_use]
    pub fn search_path(&self) -> Option<&str> {
        self.search_path.as_deref()
    }

    /// The role it was read as. What another may use is not in it.
    #[must_use]
    pub fn role(&self) -> Option<&Name> {
        self.role.as_ref()
    }

    /// How many relations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Every column of relations that are not the server's own.
    pub fn stored(&self) -> impl Iterator<Item = Column> {
        self.tables.iter().filter(|table| !table.is_system()).flat_map(|table| {
            table.columns.iter().map(|column| Column {
                schema: table.schema.clone(),
                table: table.name.clone(),
                column: column.name.clone(),
            })
        })
    }

    /// The relation of an oid, and whether it stores what it gives.
    #[must_use]
    pub fn relation_of(&self, oid: u32) -> Option<(Relation, bool)> {
        let at = *self.by_oid.get(&oid)?;
        let stores = self.table(at)?.kind == TableKind::Table;
        Some((self.relation(at)?, stores))
    }

    /// The type of a stored column.
    #[must_use]
    pub fn type_of(&self, column: &Column) -> Option<u32> {
        let table = self.table(self.find(&column.schema, &column.table)?)?;
        table.columns.iter().find(|one| one.name == column.column).map(|one| one.type_oid)
    }

    pub(super) fn table(&self, table: u32) -> Option<&Table> {
        self.tables.get(usize::try_from(table).ok()?)
    }

    /// Relations of that name in all schemas.
    pub(super) fn named(&self, name: &str) -> &[u32] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn find(&self, schema: &str, name: &str) -> Option<u32> {
        self.named(name).iter().copied().find(|table| self.table(*table).is_some_and(|table| &*table.schema == schema))
    }

    pub(super) fn has_schema(&self, name: &str) -> bool {
        self.schemas.contains(name)
    }

    pub(super) fn functions(&self, name: &str) -> &[Function] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// Schemas with an operator of that name that somebody wrote.
    pub(super) fn written_operators(&self, name: &str) -> &[Name] {
        self.operators.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a cast to a type of that name runs code somebody wrote.
    pub(super) fn casts_by_code(&self, type_name: &str) -> bool {
        self.casts.contains(type_name)
    }

    /// Columns of a composite type, or of a domain over one.
    pub(super) fn composite(&self, type_oid: u32) -> Option<&Table> {
        let mut oid = type_oid;
        // Domains over domains end somewhere; the server does not let them go in circles.
        for _ in 0..32 {
            match self.domains.get(&oid) {
                Some(base) => oid = *base,
                None => break,
            }
        }
        self.table(*self.by_oid.get(self.composites.get(&oid)?)?)
    }

    /// What functions give in FROM, if all of these agree.
    pub(super) fn shape(&self, functions: &[&Function]) -> Shape {
        let [first, others @ ..] = functions else { return Shape::Unknown };
        let columns = |function: &Function| self.composite(function.result).map(|table| &table.name);
        let alike = |other: &&Function| {
            let is_record = |function: &Function| function.result == RECORD;
            other.outputs == first.outputs && is_record(other) == is_record(first) && columns(other) == columns(first)
        };
        if !others.iter().all(alike) || POLYMORPHIC.contains(&first.result) {
            return Shape::Unknown;
        }
        match first.outputs.as_slice() {
            [] if first.result == RECORD => Shape::Unknown,
            [] => match self.composite(first.result) {
                Some(table) => Shape::Columns(table.columns.iter().map(|column| column.name.clone()).collect()),
                None => Shape::Scalar(None),
            },
            [one] => Shape::Scalar(Some(one.clone())),
            several => Shape::Columns(several.to_vec()),
        }
    }

    /// Whether a built-in function gives arrays of something else than rows, whichever of its name is called.
    pub(super) fn gives_plain_array(&self, name: &str) -> bool {
        let functions = self.functions(name);
        let plain = |function: &Function| {
            &*function.schema == SYSTEM
                && !POLYMORPHIC.contains(&function.result)
                && !self.may_hold_rows(function.result)
        };
        !functions.is_empty() && functions.iter().all(plain)
    }

    /// Whether a type is an array of rows, or a domain, which may be one.
    pub(super) fn may_hold_rows(&self, type_oid: u32) -> bool {
        self.row_arrays.contains(&type_oid) || self.domains.contains_key(&type_oid)
    }

    /// A relation as facts name it.
    pub(super) fn relation(&self, table: u32) -> Option<Relation> {
        self.table(table).map(|table| Relation { schema: table.schema.clone(), table: table.name.clone() })
    }

    /// A relation and those it shares rows with: ancestors, and all that descends from it.
    pub(super) fn family(&self, table: u32) -> BTreeSet<u32> {
        let mut family = BTreeSet::from([table]);
        self.follow(&mut family, table, |table| &table.parents);
        self.follow(&mut family, table, |table| &table.children);
        family
    }

    fn follow(&self, family: &mut BTreeSet<u32>, from: u32, next: fn(&Table) -> &Vec<u32>) {
        let mut waiting = vec![from];
        let mut seen = BTreeSet::from([from]);
        while let Some(table) = waiting.pop().and_then(|table| self.table(table)) {
            waiting.extend(next(table).iter().copied().filter(|relative| seen.insert(*relative)));
        }
        family.extend(seen);
    }

    /// A column as facts name it, and the same column of relatives: children have their parents' columns by name.
    pub(super) fn columns(&self, cell: Cell) -> impl Iterator<Item = Column> {
        let name = self.column(cell).map(|column| column.name.clone());
        let has = |table: &Table, name: &Name| table.columns.iter().any(|column| column.name == *name);
        let family = name.iter().flat_map(|_| self.family(cell.0)).collect::<Vec<_>>();
        family.into_iter().filter_map(move |relative| {
            let (table, name) = (self.table(relative)?, name.as_ref()?);
            has(table, name).then(|| Column {
                schema: table.schema.clone(),
                table: table.name.clone(),
                column: name.clone(),
            })
        })
    }

    pub(super) fn column(&self, (table, column): Cell) -> Option<&TableColumn> {
        self.table(table)?.columns.get(usize::try_from(column).ok()?)
    }
}

impl Table {
    /// Whether the server brings it: what it is made of is not looked into.
    pub(super) fn is_system(&self) -> bool {
        matches!(&*self.schema, SYSTEM | INFORMATION)
    }
}
