//! What names stand for inside a query: its FROM items, then those of the queries around it.

use std::rc::Rc;

use super::super::facts::{Name, Unknown};
use super::super::trace::{Trace, Val};
use super::Walker;

/// A column of a FROM item or of a query's result.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: Name,
    pub(super) value: Val,
}

pub(super) type Fields = Rc<Vec<Field>>;

/// One FROM item.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Alias, or else the relation's name; `None` for a join without one.
    pub(super) name: Option<Name>,
    /// Of a relation without alias.
    pub(super) schema: Option<Name>,
    pub(super) fields: Fields,
    /// There may be columns besides.
    pub(super) open: bool,
    /// Its columns are found without its name.
    pub(super) plain: bool,
    /// Its name is found.
    pub(super) named: bool,
    /// It has system columns.
    pub(super) stored: bool,
    /// A function that gives one column, which its name stands for too.
    pub(super) scalar: bool,
    /// Its relation in the catalog.
    pub(super) table: Option<u32>,
}

impl Item {
    pub(super) fn new(name: Option<Name>, fields: Fields) -> Self {
        Self {
            named: name.is_some(),
            name,
            schema: None,
            fields,
            open: false,
            plain: true,
            stored: false,
            scalar: false,
            table: None,
        }
    }

    /// An item nothing is known of but its name.
    pub(super) fn unknown(name: Option<Name>) -> Self {
        Self { open: true, stored: true, ..Self::new(name, Rc::default()) }
    }
}

/// FROM items at hand, and what is around them.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s> {
    pub(super) items: &'s [Item],
    /// What is around is of the same query: items further left.
    pub(super) goes_on: bool,
    pub(super) outer: Option<&'s Scope<'s>>,
}

/// The chain of scopes, innermost first.
pub(super) type Outer<'s> = Option<&'s Scope<'s>>;

/// Most columns of a row, as the server has it: `MaxTupleAttributeNumber`.
pub(super) const MOST_FIELDS: usize = 1664;

/// Columns every stored row has, of which none holds data.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// What a name was found to be.
enum Found {
    One(Val),
    /// Nothing of that name, and nothing more it could be.
    Nobody,
    Several,
    /// Perhaps of an item whose columns are not known.
    Perhaps,
}

impl Walker<'_> {
    /// A column without a qualifier, or else a whole row.
    pub(super) fn plain_column(&mut self, name: &str, scope: Outer<'_>) -> Val {
        let mut level = scope;
        while let Some(innermost) = level {
            let (found, next) = self.in_level(name, innermost);
            match found {
                Found::One(value) => return value,
                Found::Several | Found::Perhaps => return self.undecided(Unknown::Column),
                Found::Nobody => level = next,
            }
        }
        match self.item(None, name, scope) {
            Ok(Some(item)) => self.whole(&item),
            Ok(None) | Err(()) => self.undecided(Unknown::Column),
        }
    }

    /// Looks through one query's items; gives what is around it too.
    fn in_level<'s>(&mut self, name: &str, innermost: &'s Scope<'s>) -> (Found, Outer<'s>) {
        let (mut found, mut open, mut stored) = (Found::Nobody, false, false);
        let mut part = innermost;
        loop {
            for item in part.items.iter().filter(|item| item.plain) {
                open |= item.open;
                stored |= item.stored;
                self.spend(item.fields.len());
                for field in item.fields.iter().filter(|field| &*field.name == name) {
                    found = match found {
                        Found::Nobody => Found::One(field.value.clone()),
                        Found::One(_) | Found::Several | Found::Perhaps => Found::Several,
                    };
                }
            }
            match (part.goes_on, part.outer) {
                (true, Some(outer)) => part = outer,
                _ => break,
            }
        }
        if matches!(found, Found::Nobody) {
            if stored && SYSTEM_COLUMNS.contains(&name) {
                found = Found::One(Val::default());
            } else if open {
                found = Found::Perhaps;
            }
        }
        (found, part.outer.filter(|_| !part.goes_on))
    }

    /// The item of that name, innermost first. `Err` if there are two at once.
    pub(super) fn item(&mut self, schema: Option<&str>, name: &str, scope: Outer<'_>) -> Result<Option<Item>, ()> {
        let mut level = scope;
        let mut found: Option<Item> = None;
        while let Some(part) = level {
            self.spend(part.items.len());
            for item in part.items.iter().filter(|item| item.named && item.name.as_deref() == Some(name)) {
                if schema.is_some() && item.schema.as_deref() != schema {
                    continue;
                }
                if found.is_some() {
                    return Err(());
                }
                found = Some(item.clone());
            }
            if found.is_some() && !part.goes_on {
                return Ok(found);
            }
            level = part.outer;
        }
        Ok(found)
    }

    /// A column of an item: a stored one, a system one, or a function of its rows in other words.
    pub(super) fn member(&mut self, item: &Item, name: &str) -> Val {
        let mut fields = item.fields.iter().filter(|field| &*field.name == name);
        match (fields.next(), fields.next()) {
            (Some(field), None) => field.value.clone(),
            (Some(_), Some(_)) => self.undecided(Unknown::Column),
            (None, _) if item.stored && SYSTEM_COLUMNS.contains(&name) => Val::default(),
            (None, _) if item.open => self.undecided(Unknown::Column),
            (None, _) => {
                let row = self.whole(item);
                self.applied(&[name], row)
            }
        }
    }

    /// A row of an item as one value.
    pub(super) fn whole(&mut self, item: &Item) -> Val {
        if item.open {
            return self.undecided(Unknown::Column);
        }
        let fields = Rc::clone(&item.fields);
        let mut all = Trace::default();
        for field in fields.iter() {
            let work = all.add(&field.value.trace);
            self.spend(work);
        }
        let loose = match fields.as_slice() {
            [only] if item.scalar => only.value.loose,
            _ => self.combine(fields.iter().map(|field| field.value.clone())).loose,
        };
        Val { trace: all, loose }
    }

    /// Whether a name without a qualifier is, or may be, a column.
    pub(super) fn is_column(&mut self, name: &str, scope: Outer<'_>) -> bool {
        let mut level = scope;
        while let Some(innermost) = level {
            let (found, next) = self.in_level(name, innermost);
            match found {
                Found::One(_) | Found::Several | Found::Perhaps => return true,
                Found::Nobody => level = next,
            }
        }
        false
    }

    /// What `*` stands for; `None` if some of it is not known.
    pub(super) fn star(&mut self, scope: Outer<'_>) -> Option<Vec<Field>> {
        let mut parts = Vec::new();
        let mut level = scope;
        while let Some(part) = level {
            parts.push(part.items);
            level = part.outer.filter(|_| part.goes_on);
        }
        let mut fields = Vec::new();
        for item in parts.into_iter().rev().flatten().filter(|item| item.plain) {
            if item.open || fields.len().saturating_add(item.fields.len()) > MOST_FIELDS {
                return None;
            }
            self.spend(item.fields.len());
            fields.extend(item.fields.iter().cloned());
        }
        Some(fields)
    }
}
