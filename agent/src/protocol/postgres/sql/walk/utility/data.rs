//! Statements that move data without being queries: COPY, TRUNCATE, EXPLAIN, tables made of queries, and code.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CallStmt, CopyStmt, CreateTableAsStmt, DefElem, ExplainStmt, IntoClause, Node, ObjectType, RangeVar, TruncateStmt,
    VacuumStmt,
};

use super::super::super::facts::{Argument, Column, Copied, Kind, Lineage, Name, Output, Relation, Unknown};
use super::super::super::names::Unlisted;
use super::super::super::trace::{Trace, Val};
use super::super::scope::{Field, Item, Scope};
use super::super::select::{Query, rename};
use super::super::tree::word;
use super::super::{Facts, Target, Walker};

impl Walker<'_> {
    /// Whether it is one of these.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not one of these is looked for elsewhere")]
    pub(in super::super) fn data(&mut self, statement: &NodeEnum) -> bool {
        self.facts.verb = match statement {
            NodeEnum::CopyStmt(copy) => self.copy(copy),
            NodeEnum::TruncateStmt(truncate) => self.truncate(truncate),
            NodeEnum::ExplainStmt(explain) => self.explain(explain),
            NodeEnum::CreateTableAsStmt(create) => self.table_as(create),
            NodeEnum::RefreshMatViewStmt(refresh) => {
                self.facts.kinds.insert(Kind::Write);
                if let Some(range) = &refresh.relation {
                    self.written(range);
                }
                "refresh materialized view"
            }
            NodeEnum::CallStmt(call) => self.called(call),
            NodeEnum::DoStmt(_) => {
                self.code();
                "do"
            }
            NodeEnum::VacuumStmt(vacuum) => self.maintained(vacuum),
            _ => return false,
        };
        true
    }

    /// ANALYZE, and VACUUM that writes tables anew, compute expressions of indexes and statistics over all rows.
    fn maintained(&mut self, vacuum: &VacuumStmt) -> &'static str {
        // Statistics are data of the server's own: no object is made or changed.
        self.facts.kinds.insert(if vacuum.is_vacuumcmd { Kind::Ddl } else { Kind::Write });
        let names = vacuum.options.iter().map(option);
        let computes = !vacuum.is_vacuumcmd || names.into_iter().any(|(name, _)| name == "analyze" || name == "full");
        if computes && vacuum.rels.is_empty() {
            // All tables.
            self.doubt(Unknown::Relation);
        }
        for node in vacuum.rels.iter().filter(|_| computes) {
            let Some(NodeEnum::VacuumRelation(relation)) = &node.node else {
                self.doubt(Unknown::Node);
                continue;
            };
            if let Some(range) = &relation.relation {
                let item = self.stored(range);
                item.fields.iter().for_each(|field| self.looked_at(&field.value.trace));
            }
        }
        if vacuum.is_vacuumcmd { "vacuum" } else { "analyze" }
    }

    /// Code in some language: it may do anything.
    fn code(&mut self) {
        self.facts.kinds.extend([Kind::Read, Kind::Write]);
        self.doubt(Unknown::Language);
        self.opaque();
        self.facts.changes_catalog = true;
        self.facts.unlists = Unlisted::Any;
    }

    fn called(&mut self, call: &CallStmt) -> &'static str {
        if let Some(function) = call.funccall.as_deref() {
            self.call(function, None);
        }
        self.code();
        self.facts.output = Output::Undecided;
        "call"
    }

    fn truncate(&mut self, truncate: &TruncateStmt) -> &'static str {
        self.facts.kinds.extend([Kind::Write, Kind::Destructive]);
        self.conditioned(false);
        for node in &truncate.relations {
            match &node.node {
                Some(NodeEnum::RangeVar(range)) => drop(self.written(range)),
                Some(_) | None => self.doubt(Unknown::Node),
            }
        }
        "truncate"
    }

    fn explain(&mut self, explain: &ExplainStmt) -> &'static str {
        // To plan a prepared statement, its arguments are computed.
        let computes = explain.query.as_deref().is_some_and(executes);
        let runs = computes || explain.options.iter().any(is_analyze);
        if let Some(query) = explain.query.as_deref() {
            self.explained(query);
        }
        if !runs {
            // It is planned, not run: what it would change stays, what it would read is estimated.
            let planned = std::mem::take(&mut self.facts);
            self.facts = Facts {
                reads: planned.reads,
                strangers_read: planned.strangers_read,
                columns_read: planned.columns_read,
                predicates: planned.predicates,
                functions: planned.functions,
                unknown: planned.unknown,
                uses: planned.uses,
                ..Facts::default()
            };
        }
        self.facts.kinds.insert(Kind::Read);
        // A plan shows constants, and what functions of constants came to.
        let calls = [Unknown::Function, Unknown::DynamicSql, Unknown::Plan, Unknown::Node];
        let shows = if calls.iter().any(|why| self.facts.unknown.contains(why)) {
            Lineage::Undecided
        } else {
            Lineage::nothing()
        };
        self.facts.output = Output::Columns(vec![shows]);
        "explain"
    }

    fn explained(&mut self, query: &Node) {
        match &query.node {
            Some(NodeEnum::ExecuteStmt(execute)) => self.executed(execute),
            Some(NodeEnum::CreateTableAsStmt(create)) => {
                self.table_as(create);
            }
            Some(NodeEnum::DeclareCursorStmt(declare)) => {
                if let Some(query) = declare.query.as_deref() {
                    self.top(query);
                }
            }
            // The grammar has queries here besides; what is none is unknown to who follows them.
            Some(_) | None => {
                self.top(query);
            }
        }
    }

    fn table_as(&mut self, create: &CreateTableAsStmt) -> &'static str {
        let query = match create.query.as_deref() {
            Some(Node { node: Some(NodeEnum::ExecuteStmt(execute)) }) => {
                self.executed(execute);
                Query::unknown()
            }
            Some(node) => self.query(node, None),
            None => Query::unknown(),
        };
        if let Some(into) = create.into.as_deref() {
            self.made(into, &query);
        }
        match ObjectType::try_from(create.objtype) {
            Ok(ObjectType::ObjectMatview) => "create materialized view",
            Ok(_) | Err(_) => "create table as",
        }
    }

    /// A table made of what a query gives.
    pub(in super::super) fn made(&mut self, into: &IntoClause, query: &Query) {
        self.facts.kinds.extend([Kind::Ddl, Kind::Write]);
        let Some(range) = &into.rel else { return self.doubt(Unknown::Node) };
        self.appears(range);
        let mut fields = query.fields.clone();
        rename(&mut fields, &into.col_names);
        if query.open {
            fields = vec![Field { name: "".into(), value: Val::undecided() }];
        }
        let relation = Relation { schema: self.creation_schema(range), table: range.relname.as_str().into() };
        for field in fields {
            self.named_store(&relation, &field.name, &field.value);
        }
    }

    /// A value goes into a column that is only now made.
    pub(in super::super) fn named_store(&mut self, relation: &Relation, column: &str, value: &Val) {
        let Relation { schema, table } = relation.clone();
        let column = Column { schema, table, column: column.into() };
        self.facts.stranger_columns.insert(column.clone());
        self.facts.stores.push((Target::Stranger(column), value.trace.clone()));
        if let Some(group) = value.loose {
            // Of a column nobody has classified, nothing is known.
            let work = self.groups.near(group, &Trace::Undecided);
            self.spend(work);
        }
    }

    fn copy(&mut self, copy: &CopyStmt) -> &'static str {
        let query = match (copy.query.as_deref(), &copy.relation) {
            (Some(query), _) => self.top(query),
            (None, Some(range)) if copy.is_from => self.copied_in(copy, range),
            (None, Some(range)) => self.copied_out(copy, range),
            (None, None) => Query::unknown(),
        };
        if copy.is_program {
            self.facts.kinds.insert(Kind::Program);
        } else if !copy.filename.is_empty() {
            self.facts.kinds.insert(Kind::File);
        }
        let to_client = copy.filename.is_empty();
        if copy.is_from {
            self.facts.kinds.insert(Kind::Write);
        } else if to_client {
            self.facts.kinds.insert(Kind::Read);
            self.facts.output = self.output(&query);
            let options = copy.options.iter().map(option).collect();
            self.facts.copied = Some(Copied { table: copy.query.is_none(), options });
        } else {
            self.facts.kinds.insert(Kind::Read);
            if query.open {
                self.facts.stores.push((Target::Nameless, Trace::Undecided));
            }
            for field in query.fields {
                self.facts.stores.push((Target::Nameless, field.value.trace));
            }
        }
        "copy"
    }

    fn copied_out(&mut self, copy: &CopyStmt, range: &RangeVar) -> Query {
        let item = self.stored(range);
        if item.open {
            return Query::unknown();
        }
        let fields = self.copied_fields(copy, &item);
        fields.iter().for_each(|field| self.looked_at(&field.value.trace));
        Query::of(fields)
    }

    fn copied_in(&mut self, copy: &CopyStmt, range: &RangeVar) -> Query {
        let written = self.written(range);
        let mut columns: Vec<Name> =
            self.copied_fields(copy, &written.item).into_iter().map(|field| field.name).collect();
        if written.item.open {
            columns = copy.attlist.iter().filter_map(word).map(Into::into).collect();
        }
        // The client's own rows, or else what nobody here knows: a file or a program may have anything.
        let from_client = copy.filename.is_empty() && !copy.is_program;
        let value = if from_client { Val::default() } else { Val::undecided() };
        for column in columns {
            self.store(&written, &column, &value);
        }
        let items = [written.item];
        let scope = Scope { items: &items, goes_on: false, outer: None };
        let value = self.optional(copy.where_clause.as_deref(), Some(&scope));
        self.chosen_by(&value);
        Query::default()
    }

    /// The columns that are copied: those listed, or all that are not generated.
    fn copied_fields(&mut self, copy: &CopyStmt, item: &Item) -> Vec<Field> {
        if copy.attlist.is_empty() {
            let table = item.table.and_then(|table| self.catalog.table(table));
            let generated =
                |at: usize| table.and_then(|table| table.columns.get(at)).is_some_and(|c| c.generated.is_some());
            let fields = item.fields.iter().enumerate().filter(|(at, _)| !generated(*at));
            return fields.map(|(_, field)| field.clone()).collect();
        }
        let mut fields = Vec::new();
        for name in copy.attlist.iter().filter_map(word) {
            match item.fields.iter().find(|field| &*field.name == name) {
                Some(field) => fields.push(field.clone()),
                None => {
                    let value = self.undecided(Unknown::Column);
                    fields.push(Field { name: name.into(), value });
                }
            }
        }
        fields
    }
}

/// An option as it is written.
fn option(option: &Node) -> (String, Argument) {
    let Some(NodeEnum::DefElem(element)) = &option.node else { return (String::new(), Argument::Other) };
    let argument = match element.arg.as_deref().map(|arg| &arg.node) {
        None => Argument::Absent,
        Some(Some(NodeEnum::String(text))) => Argument::Text(text.sval.clone()),
        Some(Some(NodeEnum::Integer(number))) => Argument::Text(number.ival.to_string()),
        Some(Some(NodeEnum::Float(number))) => Argument::Text(number.fval.clone()),
        Some(Some(NodeEnum::Boolean(truth))) => Argument::Text(truth.boolval.to_string()),
        Some(Some(NodeEnum::AStar(_))) => Argument::Star,
        Some(Some(NodeEnum::List(_))) => Argument::List,
        Some(_) => Argument::Other,
    };
    (element.defname.clone(), argument)
}

/// Whether it runs a prepared statement, or makes a table of what that gives.
fn executes(query: &Node) -> bool {
    match &query.node {
        Some(NodeEnum::ExecuteStmt(_)) => true,
        Some(NodeEnum::CreateTableAsStmt(create)) => {
            matches!(create.query.as_deref(), Some(Node { node: Some(NodeEnum::ExecuteStmt(_)) }))
        }
        Some(_) | None => false,
    }
}

/// `ANALYZE`, unless it says it is off.
fn is_analyze(option: &Node) -> bool {
    let Some(NodeEnum::DefElem(element)) = &option.node else { return false };
    let DefElem { defname, arg, .. } = &**element;
    if defname != "analyze" {
        return false;
    }
    let text = arg.as_deref().and_then(|arg| match &arg.node {
        Some(NodeEnum::String(text)) => Some(text.sval.to_lowercase()),
        Some(NodeEnum::Integer(number)) => Some(number.ival.to_string()),
        Some(NodeEnum::Boolean(truth)) => Some(truth.boolval.to_string()),
        Some(_) | None => None,
    });
    !matches!(text.as_deref(), Some("false" | "off" | "0"))
}
