//! Statements that make and change relations: what appears, what is computed from stored data, what goes.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, AlterTableType, ConstrType, Constraint, CreateFunctionStmt, CreateStmt,
    DropBehavior, DropStmt, IndexStmt, Node, ObjectType, RangeVar, RenameStmt, RuleStmt, ViewStmt,
};

use super::super::super::catalog::SYSTEM;
use super::super::super::facts::{Kind, Name, Output, Unknown};
use super::super::super::names::Unlisted;
use super::super::super::trace::{Trace, Val};
use super::super::Walker;
use super::super::dml::Written;
use super::super::scope::{Item, Scope};
use super::super::tree::words;
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
                Some(base) => self.table(base, "create foreign table"),
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
        // Defaults and checks see no rows now; what they call is noted.
        let nothing = [Item::unknown(None)];
        let scope = Scope { items: &nothing, goes_on: false, outer: None };
        let before = self.facts.unknown.clone();
        for node in create.table_elts.iter().chain(&create.constraints) {
            match &node.node {
                Some(NodeEnum::ColumnDef(column)) => {
                    column.type_name.iter().for_each(|type_name| self.type_name(type_name));
                    column.constraints.iter().for_each(|node| self.constraint(node, &scope));
                }
                Some(NodeEnum::Constraint(_)) => self.constraint(node, &scope),
                Some(_) | None => {}
            }
        }
        self.facts.unknown = before;
        verb
    }

    fn constraint(&mut self, node: &Node, scope: &Scope<'_>) {
        if let Some(NodeEnum::Constraint(constraint)) = &node.node {
            let Constraint { raw_expr, .. } = &**constraint;
            let value = self.optional(raw_expr.as_deref(), Some(scope));
            // A default is stored some day, in a column nobody has classified.
            self.settle(&Val { trace: Trace::Undecided, ..value });
        }
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
        self.appears(range);
        let written = self.written(range);
        for node in &alter.cmds {
            match &node.node {
                Some(NodeEnum::AlterTableCmd(command)) => self.command(command, &written),
                Some(_) | None => self.doubt(Unknown::Node),
            }
        }
        verb
    }

    fn command(&mut self, command: &AlterTableCmd, written: &Written) {
        let items = [written.item.clone()];
        let scope = Scope { items: &items, goes_on: false, outer: None };
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
            Ok(_) | Err(_) => {}
        }
        let Some(NodeEnum::ColumnDef(column)) = command.def.as_deref().and_then(|def| def.node.as_ref()) else {
            let Some(def) = command.def.as_deref() else { return };
            // Defaults and checks, and the expression of a generated column.
            match (&def.node, subtype) {
                (Some(NodeEnum::Constraint(_)), _) => self.constraint(def, &scope),
                (_, Ok(AlterTableType::AtColumnDefault | AlterTableType::AtSetExpression)) => {
                    let value = self.expression(def, Some(&scope));
                    self.store(written, &command.name, &value);
                }
                _ => {}
            }
            return;
        };
        column.type_name.iter().for_each(|type_name| self.type_name(type_name));
        if subtype == Ok(AlterTableType::AtAlterColumnType) {
            // `USING`, or else what it was.
            let value = self.optional(column.raw_default.as_deref(), Some(&scope));
            self.store(written, &command.name, &value);
            return;
        }
        for node in &column.constraints {
            let Some(NodeEnum::Constraint(constraint)) = &node.node else { continue };
            let value = self.optional(constraint.raw_expr.as_deref(), Some(&scope));
            self.settle(&Val { trace: Trace::Undecided, ..value.clone() });
            if constraint.contype == ConstrType::ConstrGenerated as i32 {
                self.named_store(&written.relation, &column.colname, &value);
            }
        }
    }

    fn renamed(&mut self, rename: &RenameStmt) -> &'static str {
        match &rename.relation {
            Some(range) => {
                self.appears(range);
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
