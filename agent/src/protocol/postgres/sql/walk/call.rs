//! Calls of functions and operators: those of the server are known by name, anybody else's may do anything.

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, Node, SortBy, WindowDef};

use super::super::builtin::{self, Nature};
use super::super::catalog::{Language, SYSTEM};
use super::super::facts::{Change, Kind, Unknown};
use super::super::names::Unlisted;
use super::super::trace::Val;
use super::scope::Outer;
use super::tree::{constant_text, exact_text, words};
use super::{Target, Walker};

/// Who wrote what is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Author {
    /// The server brings it.
    Server,
    /// It is compiled, and its result depends on its arguments only.
    Pure,
    /// It is compiled, and what it looks at is not known.
    Foreign,
    /// Somebody wrote it; perhaps it changes things.
    User { volatile: bool },
    /// There is no such function: an attribute, or an error.
    Nobody,
}

impl Walker<'_> {
    pub(super) fn call(&mut self, call: &FuncCall, scope: Outer<'_>) -> Val {
        let Some(name) = words(&call.funcname) else { return self.undecided(Unknown::Node) };
        if let ([function], [argument]) = (name.as_slice(), call.args.as_slice())
            && let Some(value) = self.projection(function, argument, scope)
        {
            return value;
        }
        let arguments = self.all(&call.args, scope);
        let ordered = self.sorted(&call.agg_order, scope);
        let mut value = if call.agg_within_group { self.combine([arguments, ordered]) } else { arguments };
        if let Some(filter) = call.agg_filter.as_deref() {
            let filter = self.expression(filter, scope);
            self.chosen_by(&filter);
            let work = value.trace.add(&filter.trace);
            self.spend(work);
        }
        if call.agg_distinct {
            self.chosen_by(&value);
        }
        if let Some(over) = call.over.as_deref() {
            self.window(over, scope);
        }
        if name.last().is_some_and(|name| builtin::gives_rows(name)) {
            self.chosen_by(&value);
        }
        if name.last() == Some(&"set_config") {
            self.set_config(&call.args);
        }
        if name.last() == Some(&"current_setting") {
            match call.args.first().and_then(constant_text) {
                Some(setting) if !builtin::is_anybodys(&setting) => {}
                // What somebody put there, which is not known; but which setting it is, is.
                Some(_) => {
                    let given = self.applied(&name, Val::default());
                    return Val { loose: given.loose, ..Val::undecided() };
                }
                None => {
                    self.applied(&name, Val::default());
                    return self.undecided(Unknown::DynamicSql);
                }
            }
        }
        // The server's grammar gives this one a schema, where older ones look for it.
        if name == [SYSTEM, "json_object"] {
            value = self.grown("json_object", value);
        }
        self.applied(&name, value)
    }

    /// `column(t)` is `t.column`, unless there is a function of that name.
    fn projection(&mut self, name: &str, argument: &Node, scope: Outer<'_>) -> Option<Val> {
        let (meant, stale) = self.functions_meant(&[name]);
        if stale || !meant.is_empty() {
            return None;
        }
        let item = self.row(argument, scope)?;
        if !item.open && !item.fields.iter().any(|field| &*field.name == name) {
            return None;
        }
        let value = self.member(&item, name);
        self.looked_at(&value.trace);
        Some(value)
    }

    /// ORDER BY of an aggregate.
    pub(super) fn sorted(&mut self, nodes: &[Node], scope: Outer<'_>) -> Val {
        let mut values = Vec::new();
        for node in nodes {
            let value = match &node.node {
                Some(NodeEnum::SortBy(by)) => {
                    self.sorted_by(by);
                    self.optional(by.node.as_deref(), scope)
                }
                Some(_) | None => self.undecided(Unknown::Node),
            };
            self.chosen_by(&value);
            values.push(value);
        }
        self.combine(values)
    }

    /// `ORDER BY … USING` an operator.
    pub(super) fn sorted_by(&mut self, by: &SortBy) {
        if !by.use_op.is_empty() {
            self.runs_written(&words(&by.use_op).unwrap_or_default());
        }
    }

    pub(super) fn window(&mut self, window: &WindowDef, scope: Outer<'_>) {
        self.sorted(&window.order_clause, scope);
        for node in &window.partition_clause {
            let value = self.expression(node, scope);
            self.chosen_by(&value);
        }
        for bound in [&window.start_offset, &window.end_offset] {
            let value = self.optional(bound.as_deref(), scope);
            self.chosen_by(&value);
        }
    }

    fn author(&self, name: &[&str]) -> Author {
        let (meant, stale) = self.functions_meant(name);
        if stale {
            return Author::User { volatile: true };
        }
        let mut author = Author::Nobody;
        let last = name.last().copied().unwrap_or_default();
        for function in meant {
            let this = match function.language {
                _ if &*function.schema == SYSTEM => Author::Server,
                _ if !function.volatile && builtin::is_standard(&function.schema, last) => Author::Server,
                Language::Compiled if function.immutable => Author::Pure,
                Language::Compiled => Author::Foreign,
                Language::Written => Author::User { volatile: function.volatile },
            };
            // Which of several is called depends on types: the worst may be.
            author = match (author, this) {
                (Author::User { volatile: a }, Author::User { volatile: b }) => Author::User { volatile: a || b },
                (user @ Author::User { .. }, _) | (_, user @ Author::User { .. }) => user,
                (Author::Foreign, _) | (_, Author::Foreign) => Author::Foreign,
                (Author::Server, _) | (_, Author::Server) => Author::Server,
                (Author::Pure, _) | (_, Author::Pure) => Author::Pure,
                (Author::Nobody, Author::Nobody) => Author::Nobody,
            };
        }
        author
    }

    /// What a function gives of this.
    pub(super) fn applied(&mut self, name: &[&str], value: Val) -> Val {
        let Some(last) = name.last() else { return self.undecided(Unknown::Node) };
        self.facts.functions.insert(last.to_lowercase().into());
        if name.len() > 1 {
            self.facts.functions.insert(name.join(".").to_lowercase().into());
        }
        let is_dangerous = builtin::find(last);
        match self.author(name) {
            Author::Server | Author::Pure => {}
            Author::Foreign => {
                // What extensions bring is known by name, too.
                if let Some(danger) = is_dangerous {
                    self.facts.kinds.extend(danger.kinds);
                    if danger.nature == Nature::Runs {
                        self.opaque();
                    }
                }
                return self.lost(&value, Unknown::Function);
            }
            Author::User { volatile } => {
                self.opaque();
                if volatile {
                    self.facts.changes_catalog = true;
                    self.facts.unlists = Unlisted::Any;
                }
                return self.lost(&value, Unknown::Function);
            }
            Author::Nobody => return self.lost(&value, Unknown::Function),
        }
        let Some(danger) = is_dangerous else { return value };
        self.facts.kinds.extend(danger.kinds);
        match danger.nature {
            Nature::Plain => value,
            Nature::Sink => {
                self.facts.stores.push((Target::Nameless, value.trace.clone()));
                value
            }
            Nature::Reads => self.lost(&value, Unknown::DynamicSql),
            Nature::Runs => {
                self.opaque();
                self.lost(&value, Unknown::DynamicSql)
            }
        }
    }

    /// A value made from anything: its constants may have met anything.
    pub(super) fn lost(&mut self, value: &Val, why: Unknown) -> Val {
        let lost = Val { loose: value.loose, ..self.undecided(why) };
        self.settle(&lost);
        lost
    }

    /// Whether an operator runs code somebody wrote; that is noted.
    pub(super) fn runs_written(&mut self, name: &[&str]) -> bool {
        let written = self.operator_is_written(name);
        if written {
            self.doubt(Unknown::Function);
            self.opaque();
        }
        written
    }

    /// Whether an operator is somebody's.
    pub(super) fn operator_is_written(&self, name: &[&str]) -> bool {
        match name {
            [name] => self.may_mean(self.catalog.written_operators(name)),
            [schema, name] => self.catalog.written_operators(name).iter().any(|written| &**written == *schema),
            _ => true,
        }
    }

    fn set_config(&mut self, arguments: &[Node]) {
        let mut texts = arguments.iter().map(exact_text);
        let (name, value, local) = (texts.next().flatten(), texts.next().flatten(), texts.next().flatten());
        self.facts.kinds.insert(Kind::Session);
        match (name, local.as_deref()) {
            (Some(name), Some(local @ ("true" | "false" | "t" | "f"))) => {
                // Where it may not be computed, or not once, what holds after it is not known.
                self.setting(name.to_lowercase(), value.filter(|_| self.sets), local.starts_with('t'));
            }
            _ => self.facts.settings.push(Change::Opaque),
        }
    }
}
