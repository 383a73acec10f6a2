//! Names of relations and functions, by the search path.

use pg_query::protobuf::RangeVar;

use super::super::catalog::{Catalog, Function, SYSTEM};
use super::super::facts::{Name, Relation, Unknown};
use super::super::names::{Names, Path, Unlisted};
use super::Walker;

/// The schemas a name without one is looked for in, in order; `None` if they are not known.
pub(super) fn path(catalog: &Catalog, names: &Names) -> Option<Vec<Name>> {
    let Path::Known(listed) = &names.path else { return None };
    // No names but the server's own are the same for every role.
    if names.user.as_ref() != catalog.role() && !listed.is_empty() {
        return None;
    }
    let mut path: Vec<Name> = Vec::with_capacity(listed.len().saturating_add(1));
    if !listed.iter().any(|schema| &**schema == SYSTEM) {
        path.push(SYSTEM.into());
    }
    for schema in listed {
        let schema = if &**schema == "$user" { names.user.as_ref()? } else { schema };
        if catalog.has_schema(schema) && !path.contains(schema) {
            path.push(schema.clone());
        }
    }
    Some(path)
}

/// What a relation's name stands for.
pub(super) enum Meant {
    Table(u32),
    /// None that the catalog lists, or one of several.
    Stranger(Relation),
}

impl Walker<'_> {
    pub(super) fn relation(&mut self, range: &RangeVar) -> Meant {
        let stranger =
            |schema: &str| Meant::Stranger(Relation { schema: schema.into(), table: range.relname.as_str().into() });
        let schema = range.schemaname.as_str();
        let found = if self.names.unlisted.holds(&range.relname) || schema.starts_with("pg_temp") {
            None
        } else if !schema.is_empty() {
            self.catalog.find(schema, &range.relname)
        } else if let Some(path) = &self.path {
            path.iter().find_map(|schema| self.catalog.find(schema, &range.relname))
        } else {
            // Whatever the path is, it is this one or an error.
            match self.catalog.named(&range.relname) {
                [only] => Some(*only),
                _ => None,
            }
        };
        match found {
            Some(table) => Meant::Table(table),
            None => {
                self.doubt(Unknown::Relation);
                stranger(schema)
            }
        }
    }

    /// Whether something written by a user may be meant, given the schemas that have it.
    pub(super) fn may_mean<'s>(&self, schemas: impl IntoIterator<Item = &'s Name>) -> bool {
        let mut written = schemas.into_iter().filter(|schema| &***schema != SYSTEM).peekable();
        if written.peek().is_none() {
            return false;
        }
        match &self.path {
            Some(path) => written.any(|schema| path.contains(schema)),
            None => true,
        }
    }

    /// The functions a name may stand for.
    pub(super) fn functions_meant(&self, name: &[&str]) -> (Vec<&Function>, bool) {
        let (schema, name) = match name {
            [name] => (None, *name),
            [schema, name] | [_, schema, name] => (Some(*schema), *name),
            _ => return (Vec::new(), true),
        };
        let stale = self.names.unlisted == Unlisted::Any;
        let all = self.catalog.functions(name).iter();
        let meant: Vec<_> = match (schema, &self.path) {
            (Some(schema), _) => all.filter(|function| &*function.schema == schema).collect(),
            (None, Some(path)) => all.filter(|function| path.contains(&function.schema)).collect(),
            (None, None) => all.collect(),
        };
        (meant, stale)
    }
}
