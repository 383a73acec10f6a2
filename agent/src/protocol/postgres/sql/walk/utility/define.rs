//! Statements that make and change relations: what appears, what is computed from stored data, what goes.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, AlterTableType, ConstrType, CreateFunctionStmt, CreateStmt, DropBehavior, DropStmt,
    IndexStmt, Node, ObjectType, RangeVar, RenameStmt, RuleStmt, ViewStmt,
};

use super::super::super::catalog::SYSTEM;
use super::super::super::facts::{Kind, Name, Output, Relation, Unknown};
use super::super::super::names::Unlisted;
use super::super::super::trace::{Trace, Val};
use super::super::dml::Written;
use super::super::scope::{Field, Item, Scope};
use super::super::select::shared;
use super::super::tree::words;
use super::super::{Target, Walker};
use super::list::object;

/// `RELPERSISTENCE_TEMP` of the server's `pg_class.h`.
const TEMPORARY: &str = "t";

impl Walker<'_> {
    /// Whether it is one of these.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not one of these is looked for elsewhere")]
    pub(in super::super) fn defined(&mut self, statement: &NodeEnum) -> bool {
        self.facts.verb = match statement {
            NodeEnum::CreateStmt(create) => self.table(create, "create table"),
            NodeEnum::CreateForeignTableStmt(create) => match &create.base_stmt {
                Some(base) => {
                    // What a server elsewhere has may be what is here.
                    self.facts.stores.push((Target::Nameless, Trace::Undecided));
                    self.table(base, "create foreign table")
                }
                None => return false,
            },
            NodeEnum::CreateSeqStmt(create) => {
                create.sequence.iter().for_each(|range| self.appears(range));
                "create sequence"
            }
            NodeEnum::CompositeTypeStmt(create) => {
                create.typevar.iter().for_each(|range| self.appears(range));
                "create type"
            }
            NodeEnum::ViewStmt(view) => self.view(view),
            NodeEnum::IndexStmt(index) => self.index(index),
            NodeEnum::AlterTableStmt(alter) => self.altered(alter),
            NodeEnum::RenameStmt(rename) => self.renamed(rename),
            NodeEnum::AlterObjectSchemaStmt(alter) => {
                match &alter.relation {
                    Some(range) => self.appears(range),
                    None => self.facts.unlists = Unlisted::Any,
                }
                object(alter.object_type).alter
            }
            NodeEnum::DropStmt(drop) => self.dropped(drop),
            NodeEnum::RuleStmt(rule) => self.rule(rule),
            NodeEnum::CreateFunctionStmt(create) => self.function(create),
            NodeEnum::CreateSchemaStmt(create) => {
                self.facts.unlists = Unlisted::Any;
                for node in &create.schema_elts {
                    self.statement(node);
                }
                "create schema"
            }
            _ => return false,
        };
        self.facts.kinds.insert(Kind::Ddl);
        self.facts.changes_catalog = true;
        self.facts.output = Output::Nothing;
        true
    }

    /// A relation is made, or becomes another: the catalog does not tell what it is.
    pub(in super::super) fn appears(&mut self, range: &RangeVar) {
        self.facts.changes_catalog = true;
        self.facts.temporary |= range.relpersistence == TEMPORARY || range.schemaname.starts_with("pg_temp");
        self.unlist(&range.relname);
    }

    fn unlist(&mut self, name: &str) {
        self.facts.unlists.add(&Unlisted::Named([Name::from(name)].into()));
    }

    /// The schema something is made in; empty where that is not known.
    pub(in super::super) fn creation_schema(&self, range: &RangeVar) -> Name {
        if !range.schemaname.is_empty() || range.relpersistence == TEMPORARY {
            return range.schemaname.as_str().into();
        }
        // The first one that is listed; the server's own is not one to make things in.
        let mut path = self.path.iter().flatten();
        path.find(|schema| &***schema != SYSTEM).cloned().unwrap_or_else(|| "".into())
    }

    fn table(&mut self, create: &CreateStmt, verb: &'static str) -> &'static str {
        if let Some(range) = &create.relation {
            self.appears(range);
        }
        let (schema, table) = match &create.relation {
            Some(range) => (self.creation_schema(range), range.relname.as_str().into()),
            None => ("".into(), "".into()),
        };
        self.parts_of_table(create, &Relation { schema, table });
        verb
    }

    fn view(&mut self, view: &ViewStmt) -> &'static str {
        if let Some(query) = view.query.as_deref() {
            self.query(query, None);
        }
        view.view.iter().for_each(|range| self.appears(range));
        "create view"
    }

    fn index(&mut self, index: &IndexStmt) -> &'static str {
        let Some(range) = &index.relation else { return "create index" };
        let items = [self.stored(range)];
        let scope = Scope { items: &items, goes_on: false, outer: None };
        for node in index.index_params.iter().chain(&index.index_including_params) {
            if let Some(NodeEnum::IndexElem(element)) = &node.node {
                if element.name.is_empty() {
                    self.optional(element.expr.as_deref(), Some(&scope));
                } else {
                    let value = self.plain_column(&element.name, Some(&scope));
                    self.looked_at(&value.trace);
                }
            }
        }
        self.optional(index.where_clause.as_deref(), Some(&scope));
        "create index"
    }

    fn altered(&mut self, alter: &AlterTableStmt) -> &'static str {
        let verb = object(alter.objtype).alter;
        let Some(range) = &alter.relation else { return verb };
        let written = self.reshaped(range);
        let commands = || {
            alter.cmds.iter().filter_map(|node| match &node.node {
                Some(NodeEnum::AlterTableCmd(command)) => Some(&**command),
                Some(_) | None => None,
            })
        };
        if commands().count() < alter.cmds.len() {
            self.doubt(Unknown::Node);
        }
        // Columns that are added with it have no values yet.
        let mut row = written.item.clone();
        let mut fields = row.fields.to_vec();
        for command in commands() {
            if let (Ok(AlterTableType::AtAddColumn), Some(NodeEnum::ColumnDef(column))) =
                (AlterTableType::try_from(command.subtype), command.def.as_deref().and_then(|def| def.node.as_ref()))
            {
                fields.push(Field { name: column.colname.as_str().into(), value: Val::default() });
            }
        }
        row.fields = shared(fields);
        for command in commands() {
            if row.open && !stores_from_row(command) {
                // Whatever its columns are, of them nothing comes out.
                self.of_its_own(|walker| walker.command(command, &written, &row));
            } else {
                self.command(command, &written, &row);
            }
        }
        verb
    }

    /// A relation whose columns may be others from now on, and with them those of its relatives.
    fn reshaped(&mut self, range: &RangeVar) -> Written {
        self.appears(range);
        let written = self.written(range);
        for table in written.item.table.map(|table| self.catalog.family(table)).unwrap_or_default() {
            if let Some(relation) = self.catalog.relation(table) {
                self.unlist(&relation.table);
            }
        }
        written
    }

    fn command(&mut self, command: &AlterTableCmd, written: &Written, row: &Item) {
        let items = std::slice::from_ref(row);
        let scope = Scope { items, goes_on: false, outer: None };
        let subtype = AlterTableType::try_from(command.subtype);
        match subtype {
            Ok(AlterTableType::AtDropColumn) => {
                self.facts.kinds.insert(Kind::Destructive);
            }
            Ok(
                AlterTableType::AtChangeOwner
                | AlterTableType::AtEnableRowSecurity
                | AlterTableType::AtDisableRowSecurity
                | AlterTableType::AtForceRowSecurity
                | AlterTableType::AtNoForceRowSecurity,
            ) => {
                self.facts.kinds.insert(Kind::Dcl);
            }
            // Where a foreign table has its rows from.
            Ok(AlterTableType::AtGenericOptions | AlterTableType::AtAlterColumnGenericOptions) => {
                self.facts.stores.push((Target::Nameless, Trace::Undecided));
            }
            Ok(_) | Err(_) => {}
        }
        let Some(def) = command.def.as_deref() else { return };
        match (&def.node, subtype) {
            (Some(NodeEnum::ColumnDef(column)), Ok(AlterTableType::AtAlterColumnType)) => {
                column.type_name.iter().for_each(|type_name| self.type_name(type_name));
                // `USING`, or else what it was.
                let value = self.optional(column.raw_default.as_deref(), Some(&scope));
                self.store(written, &command.name, &value);
            }
            (Some(NodeEnum::ColumnDef(column)), _) => {
                column.type_name.iter().for_each(|type_name| self.type_name(type_name));
                self.constraints(&column.constraints, (&written.relation, Some(&column.colname)), Some(&scope));
            }
            (Some(NodeEnum::Constraint(constraint)), _) => {
                self.constraint(constraint, (&written.relation, None), Some(&scope));
            }
            (_, Ok(AlterTableType::AtColumnDefault | AlterTableType::AtSetExpression)) => {
                let value = self.kept(Some(def), Some(&scope));
                self.store(written, &command.name, &value);
            }
            // Another relation comes in, or goes.
            (Some(NodeEnum::PartitionCmd(partition)), _) => {
                partition.name.iter().for_each(|range| drop(self.reshaped(range)));
                partition.bound.iter().for_each(|bound| self.bound(bound));
            }
            (Some(NodeEnum::RangeVar(range)), Ok(AlterTableType::AtAddInherit | AlterTableType::AtDropInherit)) => {
                self.reshaped(range);
            }
            (Some(_) | None, _) => {}
        }
    }

    fn renamed(&mut self, rename: &RenameStmt) -> &'static str {
        let kind = ObjectType::try_from(rename.rename_type);
        match &rename.relation {
            // Columns of tables that are of the type are renamed with it.
            Some(_) if kind == Ok(ObjectType::ObjectAttribute) => self.facts.unlists = Unlisted::Any,
            Some(range) => {
                // Names of indexes and sequences are nobody's columns.
                if matches!(kind, Ok(ObjectType::ObjectIndex | ObjectType::ObjectSequence)) {
                    self.appears(range);
                } else {
                    self.reshaped(range);
                }
                self.unlist(&rename.newname);
            }
            None => self.facts.unlists = Unlisted::Any,
        }
        object(rename.rename_type).alter
    }

    fn dropped(&mut self, drop: &DropStmt) -> &'static str {
        self.facts.kinds.insert(Kind::Destructive);
        let cascades = matches!(DropBehavior::try_from(drop.behavior), Ok(DropBehavior::DropCascade));
        let kind = ObjectType::try_from(drop.remove_type);
        let is_relation = matches!(
            kind,
            Ok(ObjectType::ObjectTable
                | ObjectType::ObjectView
                | ObjectType::ObjectMatview
                | ObjectType::ObjectSequence
                | ObjectType::ObjectForeignTable)
        );
        if is_relation && !cascades {
            for node in &drop.objects {
                let Some(NodeEnum::List(list)) = &node.node else { continue };
                let name = words(&list.items).unwrap_or_default();
                let (schema, name) = match name.as_slice() {
                    [name] => ("", *name),
                    [.., schema, name] => (*schema, *name),
                    [] => continue,
                };
                self.unlist(name);
                let range = RangeVar { schemaname: schema.into(), relname: name.into(), ..RangeVar::default() };
                self.written(&range);
            }
        } else if !matches!(kind, Ok(ObjectType::ObjectIndex | ObjectType::ObjectTrigger | ObjectType::ObjectPolicy)) {
            self.facts.unlists = Unlisted::Any;
        }
        object(drop.remove_type).drop
    }

    fn rule(&mut self, rule: &RuleStmt) -> &'static str {
        // What a rule does is done to others' statements, later.
        self.doubt(Unknown::Rule);
        self.facts.unlists = Unlisted::Any;
        if let Some(range) = &rule.relation {
            self.written(range);
        }
        "create rule"
    }

    fn function(&mut self, create: &CreateFunctionStmt) -> &'static str {
        self.doubt(Unknown::Language);
        self.facts.unlists = Unlisted::Any;
        if create.is_procedure { "create procedure" } else { "create function" }
    }
}

/// Whether a column is computed from others of its row.
fn stores_from_row(command: &AlterTableCmd) -> bool {
    let is_generated = |node: &Node| matches!(&node.node, Some(NodeEnum::Constraint(one)) if one.contype == ConstrType::ConstrGenerated as i32);
    match AlterTableType::try_from(command.subtype) {
        Ok(AlterTableType::AtAddConstraint) => false,
        Ok(AlterTableType::AtAddColumn) => match command.def.as_deref().map(|def| &def.node) {
            Some(Some(NodeEnum::ColumnDef(column))) => column.constraints.iter().any(is_generated),
            Some(_) | None => true,
        },
        Ok(_) | Err(_) => true,
    }
}
