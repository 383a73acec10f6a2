//! Answers which class a field is of.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::path::{PathPattern, Step};
use super::{Class, Classes, Place, Written};
use crate::config::Glob;
use crate::policy::question::Target;

/// Rules, found by a column's name where they say one.
#[derive(Debug, Default)]
pub(super) struct Index {
    columns: Vec<ColumnRule>,
    /// Rules of `columns` by a whole name.
    named: HashMap<String, Vec<usize>>,
    /// Rules of `columns` that have a pattern.
    patterns: Vec<usize>,
    fields: Vec<(usize, Vec<Glob>, Vec<PathPattern>)>,
    headers: Vec<(usize, Vec<Glob>, Vec<Glob>)>,
}

#[derive(Debug)]
struct ColumnRule {
    class: usize,
    target: Vec<Glob>,
    schema: Vec<Glob>,
    table: Vec<Glob>,
    column: Vec<Glob>,
}

impl Index {
    pub(super) fn new(rules: Vec<Written>) -> Self {
        let mut index = Self::default();
        for Written { class, target, place, .. } in rules {
            match place {
                Place::Column { schema, table, column } => {
                    let at = index.columns.len();
                    let is_named = |glob: &&Glob| glob.is_literal();
                    for glob in column.iter().filter(is_named) {
                        index.named.entry(glob.as_str().to_owned()).or_default().push(at);
                    }
                    if column.is_empty() || column.iter().any(|glob| !glob.is_literal()) {
                        index.patterns.push(at);
                    }
                    index.columns.push(ColumnRule { class, target, schema, table, column });
                }
                Place::Field(paths) => index.fields.push((class, target, paths)),
                Place::Header(names) => index.headers.push((class, target, names)),
            }
        }
        index
    }
}

fn any(patterns: &[Glob], name: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|glob| glob.matches(name))
}

/// What is not known may be anything.
fn perhaps(patterns: &[Glob], name: Option<&str>) -> bool {
    name.is_none_or(|name| any(patterns, name))
}

/// The names a rule may call a target by: its own, or its address and port; and its host's.
struct Names([Option<String>; 2]);

impl Names {
    fn of(target: &Target) -> Self {
        Self([Some(target.id().to_lowercase()), target.host.as_deref().map(str::to_lowercase)])
    }

    fn fit(&self, patterns: &[Glob]) -> bool {
        patterns.is_empty() || self.0.iter().flatten().any(|name| any(patterns, name))
    }
}

impl Classes {
    /// The class of a column, the strictest where there are several. Names are compared without case. A schema or table
    /// that is not known, as behind an expression, is taken for any. Meant to be asked once a statement: remember it.
    #[must_use]
    pub fn of_column(
        &self,
        target: &Target,
        schema: Option<&str>,
        table: Option<&str>,
        column: &str,
    ) -> Option<&Arc<Class>> {
        self.every_of_column(target, schema, table, column).into_iter().next()
    }

    /// Every class a column is of, the strictest first: what a policy is asked about.
    #[must_use]
    pub fn every_of_column(
        &self,
        target: &Target,
        schema: Option<&str>,
        table: Option<&str>,
        column: &str,
    ) -> Vec<&Arc<Class>> {
        if self.index.columns.is_empty() {
            return Vec::new();
        }
        let target = Names::of(target);
        let lower = |name: Option<&str>| name.map(str::to_lowercase);
        let (schema, table, column) = (lower(schema), lower(table), column.to_lowercase());
        let candidates = self.index.named.get(&column).into_iter().flatten().chain(&self.index.patterns);
        let fits = |rule: &&ColumnRule| {
            any(&rule.column, &column)
                && perhaps(&rule.table, table.as_deref())
                && perhaps(&rule.schema, schema.as_deref())
                && target.fit(&rule.target)
        };
        self.classes_at(candidates.filter_map(|at| self.index.columns.get(*at)).filter(fits).map(|rule| rule.class))
    }

    /// The class of a field of a JSON document, by the way to it.
    #[must_use]
    pub fn of_field(&self, target: &Target, path: &[Step<'_>]) -> Option<&Arc<Class>> {
        let target = Names::of(target);
        let fits = |patterns: &[PathPattern]| patterns.iter().any(|pattern| pattern.covers(path));
        let rules = self.index.fields.iter().filter(|(_, targets, paths)| fits(paths) && target.fit(targets));
        self.classes_at(rules.map(|(class, ..)| *class)).into_iter().next()
    }

    /// The class of an HTTP header.
    #[must_use]
    pub fn of_header(&self, target: &Target, name: &str) -> Option<&Arc<Class>> {
        let (target, name) = (Names::of(target), name.to_lowercase());
        let rules = self.index.headers.iter().filter(|(_, targets, names)| any(names, &name) && target.fit(targets));
        self.classes_at(rules.map(|(class, ..)| *class)).into_iter().next()
    }

    /// Classes are kept strictest first, so their places are their order.
    fn classes_at(&self, places: impl Iterator<Item = usize>) -> Vec<&Arc<Class>> {
        let places: BTreeSet<usize> = places.collect();
        places.into_iter().filter_map(|at| self.classes.get(at)).collect()
    }
}
