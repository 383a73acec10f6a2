//! A catalog from the rows a server answers with.

use std::collections::HashSet;

use super::{Catalog, Definition, Function, Language, Name, Question, RECORD, Table, TableColumn, TableKind};

/// Most of each kind of row. A database with more is not understood rather than half understood.
const MOST_RELATIONS: usize = 200_000;
const MOST_COLUMNS: usize = 2_000_000;
const MOST_OTHERS: usize = 500_000;

/// Most bytes of all texts together: names and queries of views.
const MOST_TEXT: usize = 256 << 20;

/// Why rows do not make a catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// More than is kept.
    #[error("the catalog is too large: more than {most} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many are kept.
        most: usize,
    },
    /// A row is not what was asked for.
    #[error("a row of the catalog's {0:?} is not what was asked for")]
    Row(Question),
}

/// A catalog that is being read, row by row, question by question in the order of [`Question::ALL`].
#[derive(Debug, Default)]
pub struct Reading {
    catalog: Catalog,
    names: HashSet<Name>,
    columns: usize,
    others: usize,
    text: usize,
}

impl Reading {
    /// Takes a row.
    ///
    /// # Errors
    ///
    /// [`CatalogError`] if there are too many, or it is not of the shape that was asked for.
    pub fn row(&mut self, question: Question, row: &[Option<&str>]) -> Result<(), CatalogError> {
        self.text = row.iter().flatten().fold(self.text, |sum, cell| sum.saturating_add(cell.len()));
        if self.text > MOST_TEXT {
            return Err(CatalogError::TooLarge { what: "bytes", most: MOST_TEXT });
        }
        let taken = match (question, row) {
            (Question::Session, [path, Some(role)]) => {
                self.catalog.search_path = path.map(Into::into);
                self.catalog.role = Some((*role).into());
                Some(())
            }
            (Question::Schemas, [Some(name)]) => {
                let name = self.name(name);
                self.catalog.schemas.insert(name);
                Some(())
            }
            (Question::Relations, [Some(oid), Some(schema), Some(name), Some(kind), Some(rules)]) => {
                self.relation(oid, (schema, name), kind, rules)
            }
            (Question::Columns, [Some(relation), Some(name), Some(oid), generated]) => {
                self.column(relation, (name, oid), *generated)
            }
            (Question::Views, [Some(oid), Some(text)]) => self.view(oid, text),
            (Question::Inheritance, [Some(child), Some(parent)]) => self.inherits(child, parent),
            (Question::Functions, [Some(schema), Some(name), rest @ ..]) => self.function(schema, name, rest),
            (Question::Types, [Some(oid), Some(relation), Some(base), Some(array)]) => {
                self.composite(oid, (relation, base), array)
            }
            (Question::Operators, [Some(schema), Some(name)]) => {
                let (schema, name) = (self.name(schema), self.name(name));
                self.catalog.operators.entry(name).or_default().push(schema);
                Some(())
            }
            (Question::Casts, [Some(target)]) => {
                let target = self.name(target);
                self.catalog.casts.insert(target);
                Some(())
            }
            _ => None,
        };
        taken.ok_or(CatalogError::Row(question))?;
        self.within()
    }

    /// The catalog, when all rows were taken.
    #[must_use]
    pub fn finish(self) -> Catalog {
        self.catalog
    }

    fn within(&mut self) -> Result<(), CatalogError> {
        self.others = self.others.saturating_add(1);
        let others = self.others.saturating_sub(self.columns).saturating_sub(self.catalog.tables.len());
        for (what, count, most) in [
            ("relations", self.catalog.tables.len(), MOST_RELATIONS),
            ("columns", self.columns, MOST_COLUMNS),
            ("other rows", others, MOST_OTHERS),
        ] {
            if count > most {
                return Err(CatalogError::TooLarge { what, most });
            }
        }
        Ok(())
    }

    /// Names are kept once: most columns are called as others.
    fn name(&mut self, name: &str) -> Name {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let name: Name = name.into();
        self.names.insert(name.clone());
        name
    }

    fn relation(&mut self, oid: &str, (schema, name): (&str, &str), kind: &str, rules: &str) -> Option<()> {
        let kind = match kind {
            "r" | "p" | "f" => TableKind::Table,
            "v" | "m" => TableKind::View,
            "S" => TableKind::Sequence,
            "c" => TableKind::Composite,
            _ => return None,
        };
        let table = Table {
            schema: self.name(schema),
            name: self.name(name),
            kind,
            columns: Vec::new(),
            rules: truth(rules)?,
            view: None,
            parents: Vec::new(),
            children: Vec::new(),
        };
        let at = u32::try_from(self.catalog.tables.len()).ok()?;
        self.catalog.by_oid.insert(oid.parse().ok()?, at);
        self.catalog.by_name.entry(table.name.clone()).or_default().push(at);
        self.catalog.tables.push(table);
        Some(())
    }

    /// What belongs to relations that were not asked for is nobody's.
    fn owner(&mut self, oid: &str) -> Option<Option<&mut Table>> {
        let oid: u32 = oid.parse().ok()?;
        let at = self.catalog.by_oid.get(&oid).copied();
        Some(at.and_then(|at| self.catalog.tables.get_mut(usize::try_from(at).ok()?)))
    }

    fn column(&mut self, relation: &str, (name, type_oid): (&str, &str), by: Option<&str>) -> Option<()> {
        let generated = by.map(|expression| Box::new(Definition::new(&format!("SELECT {expression}"))));
        let column = TableColumn { name: self.name(name), type_oid: type_oid.parse().ok()?, generated };
        self.columns = self.columns.saturating_add(1);
        if let Some(table) = self.owner(relation)? {
            table.columns.push(column);
        }
        Some(())
    }

    fn view(&mut self, oid: &str, text: &str) -> Option<()> {
        if let Some(table) = self.owner(oid)? {
            table.view = Some(Box::new(Definition::new(text)));
        }
        Some(())
    }

    fn inherits(&mut self, child: &str, parent: &str) -> Option<()> {
        let at = |oid: &str| Some(self.catalog.by_oid.get(&oid.parse::<u32>().ok()?).copied());
        let (Some(child_at), Some(parent_at)) = (at(child)?, at(parent)?) else { return Some(()) };
        if let Some(table) = self.owner(child)? {
            table.parents.push(parent_at);
        }
        if let Some(table) = self.owner(parent)? {
            table.children.push(child_at);
        }
        Some(())
    }

    fn function(&mut self, schema: &str, name: &str, rest: &[Option<&str>]) -> Option<()> {
        let [Some(volatility), Some(language), Some(result), modes, names] = rest else { return None };
        let outputs = match (modes, names) {
            (Some(modes), Some(names)) => outputs(modes, names)?,
            (Some(modes), None) => vec![""; outputs(modes, modes)?.len()].into_iter().map(str::to_owned).collect(),
            (None, _) => Vec::new(),
        };
        let function = Function {
            schema: self.name(schema),
            language: if matches!(*language, "internal" | "c") { Language::Compiled } else { Language::Written },
            immutable: *volatility == "i",
            volatile: !matches!(*volatility, "i" | "s"),
            result: result.parse().ok()?,
            outputs: outputs.iter().map(|name| self.name(name)).collect(),
        };
        let name = self.name(name);
        self.catalog.functions.entry(name).or_default().push(function);
        Some(())
    }

    fn composite(&mut self, oid: &str, (relation, base): (&str, &str), array: &str) -> Option<()> {
        let number = |text: &str| text.parse::<u32>().ok();
        let (oid, relation, base) = (number(oid)?, number(relation)?, number(base)?);
        // Arrays of domains, too: what these are of is not looked at.
        self.catalog.row_arrays.insert(number(array)?);
        if relation != 0 {
            self.catalog.composites.insert(oid, relation);
        }
        if base != 0 && oid != RECORD {
            self.catalog.domains.insert(oid, base);
        }
        Some(())
    }
}

fn truth(cell: &str) -> Option<bool> {
    match cell {
        "t" => Some(true),
        "f" => Some(false),
        _ => None,
    }
}

/// Names of those arguments that are outputs.
fn outputs(modes: &str, names: &str) -> Option<Vec<String>> {
    let modes: Vec<String> = serde_json::from_str(modes).ok()?;
    let names: Vec<String> = serde_json::from_str(names).ok()?;
    let both = modes.iter().zip(names);
    Some(both.filter(|(mode, _)| matches!(mode.as_str(), "o" | "b" | "t")).map(|(_, name)| name).collect())
}
