//! Which stored columns are of which class: of one target, as its classification says.

use std::sync::Arc;

use crate::{
    mask::{Class, Classes},
    policy::question::Target,
    protocol::postgres::sql::{Catalog, Column, Lineage},
};

/// The classification of a target.
#[derive(Debug)]
pub(super) struct Protection {
    classes: Arc<Classes>,
    target: Arc<Target>,
    /// Columns that have a class, of all that the catalog has.
    protected: Vec<Column>,
    /// The catalog is not known: any column may have a class.
    blind: bool,
}

impl Protection {
    /// Of a catalog's columns.
    pub(super) fn of(classes: Arc<Classes>, target: Arc<Target>, catalog: &Catalog) -> Self {
        let mut protection = Self { classes, target, protected: Vec::new(), blind: false };
        if protection.classes.rules() > 0 {
            protection.protected = catalog.stored().filter(|column| protection.classifies(column)).collect();
        }
        protection
    }

    /// Of a database of which nothing is known.
    pub(super) fn blind(classes: Arc<Classes>, target: Arc<Target>) -> Self {
        let blind = classes.rules() > 0;
        Self { classes, target, protected: Vec::new(), blind }
    }

    /// Whether any column may have a class, for all that is known.
    pub(super) fn is_blind(&self) -> bool {
        self.blind
    }

    /// The classes that hold.
    pub(super) fn classes(&self) -> &Arc<Classes> {
        &self.classes
    }

    /// Whether any column has a class, or may have.
    pub(super) fn is_any(&self) -> bool {
        self.blind || !self.protected.is_empty()
    }

    /// Every column that has a class.
    pub(super) fn protected(&self) -> &[Column] {
        &self.protected
    }

    /// Classes of a column, the strictest first. A schema or table that is not known may be any.
    pub(super) fn of_column(&self, column: &Column) -> Vec<&Arc<Class>> {
        let known = |name: &str| -> Option<String> { (!name.is_empty()).then(|| name.to_owned()) };
        let (schema, table) = (known(&column.schema), known(&column.table));
        self.classes.every_of_column(&self.target, schema.as_deref(), table.as_deref(), &column.column)
    }

    /// Whether a column has a class.
    pub(super) fn classifies(&self, column: &Column) -> bool {
        !self.of_column(column).is_empty()
    }

    /// Names of a column's classes.
    pub(super) fn class_names(&self, column: &Column) -> Vec<String> {
        self.of_column(column).into_iter().map(|class| class.name().to_owned()).collect()
    }

    /// Whether something of a class may be in what is made from this.
    pub(super) fn is_protected(&self, lineage: &Lineage) -> bool {
        match lineage {
            Lineage::Of(columns) => columns.iter().any(|column| self.classifies(column)),
            Lineage::Undecided => self.is_any(),
        }
    }
}
