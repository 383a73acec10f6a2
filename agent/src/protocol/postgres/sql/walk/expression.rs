//! Expressions: what each value is made from.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExpr, AExprKind, AIndirection, CaseExpr, ColumnRef, Node, SubLink, SubLinkType, TypeCast, TypeName,
};

use super::super::catalog::SYSTEM;
use super::super::facts::{Unknown, Use};
use super::super::trace::{Trace, Val};
use super::scope::{Item, Outer};
use super::tree::{is_star, is_string, word, words};
use super::{GROWTH, RED_ZONE, Walker};

/// Operators whose result says how two values compare, and is neither of them.
const COMPARISONS: [&str; 22] = [
    "=", "<>", "!=", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~", "~*", "!~", "!~*", "@>", "<@", "&&", "?",
    "?|", "?&", "@@",
];

impl Walker<'_> {
    /// What an expression's value is made from.
    pub(super) fn expression(&mut self, node: &Node, scope: Outer<'_>) -> Val {
        if !self.spend(1) {
            return Val::undecided();
        }
        stacker::maybe_grow(RED_ZONE, GROWTH, || self.followed(node, scope))
    }

    pub(super) fn optional(&mut self, node: Option<&Node>, scope: Outer<'_>) -> Val {
        node.map_or_else(Val::default, |node| self.expression(node, scope))
    }

    /// All of a list, as one value.
    pub(super) fn all(&mut self, nodes: &[Node], scope: Outer<'_>) -> Val {
        let values: Vec<_> = nodes.iter().map(|node| self.expression(node, scope)).collect();
        self.combine(values)
    }

    /// All of a list, looked at for what it does; nothing comes of it.
    pub(super) fn beside(&mut self, nodes: &[Node], scope: Outer<'_>) {
        for node in nodes {
            self.expression(node, scope);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of 271 kinds of nodes these are expressions; any other is unknown"
    )]
    fn followed(&mut self, node: &Node, scope: Outer<'_>) -> Val {
        let Some(node) = &node.node else { return Val::default() };
        match node {
            NodeEnum::ColumnRef(_) if self.own.is_some() => Val { trace: Trace::default(), loose: self.own },
            NodeEnum::ColumnRef(reference) => {
                let value = self.column(reference, scope);
                self.looked_at(&value.trace);
                value
            }
            NodeEnum::AConst(constant) if constant.isnull => Val::default(),
            NodeEnum::AConst(constant) => self.constant(constant.location),
            NodeEnum::ParamRef(parameter) => self.parameter(parameter.number),
            NodeEnum::AExpr(expression) => self.operation(expression, scope),
            NodeEnum::BoolExpr(expression) => self.verdict(&expression.args, scope),
            NodeEnum::NullTest(test) => self.tested(test.arg.as_deref(), scope),
            NodeEnum::BooleanTest(test) => self.tested(test.arg.as_deref(), scope),
            NodeEnum::TypeCast(cast) => self.cast(cast, scope),
            NodeEnum::CollateClause(collate) => self.optional(collate.arg.as_deref(), scope),
            NodeEnum::FuncCall(call) => self.call(call, scope),
            NodeEnum::SubLink(link) => self.sublink(link, scope),
            NodeEnum::CaseExpr(case) => self.case(case, scope),
            NodeEnum::CoalesceExpr(coalesce) => self.all(&coalesce.args, scope),
            NodeEnum::MinMaxExpr(extreme) => self.all(&extreme.args, scope),
            NodeEnum::RowExpr(row) => self.all(&row.args, scope),
            NodeEnum::AArrayExpr(array) => self.all(&array.elements, scope),
            NodeEnum::List(list) => self.all(&list.items, scope),
            NodeEnum::AIndirection(indirection) => self.indirection(indirection, scope),
            NodeEnum::NamedArgExpr(argument) => self.optional(argument.arg.as_deref(), scope),
            NodeEnum::ResTarget(target) => self.optional(target.val.as_deref(), scope),
            NodeEnum::GroupingFunc(grouping) => {
                self.beside(&grouping.args, scope);
                Val::default()
            }
            NodeEnum::CurrentOfExpr(current) => {
                self.facts.uses.push(Use::Current(current.cursor_name.clone()));
                Val::default()
            }
            NodeEnum::SqlvalueFunction(_) | NodeEnum::SetToDefault(_) => Val::default(),
            NodeEnum::MergeSupportFunc(_) => self.grown("merge_action", Val::default()),
            NodeEnum::XmlExpr(xml) => {
                let named = self.all(&xml.named_args, scope);
                let others = self.all(&xml.args, scope);
                self.combine([named, others])
            }
            NodeEnum::XmlSerialize(xml) => self.optional(xml.expr.as_deref(), scope),
            other => {
                let value = self.json(other, scope);
                super::json::word_of(other).map_or(value.clone(), |word| self.grown(word, value))
            }
        }
    }

    /// What is syntax to newer servers only, and a function of that name to others.
    pub(super) fn grown(&mut self, name: &'static str, value: Val) -> Val {
        let (meant, stale) = self.functions_meant(&[name]);
        let written = stale || meant.iter().any(|function| &*function.schema != SYSTEM);
        if written { self.applied(&[name], value) } else { value }
    }

    /// A condition: its constants have met what they are compared with.
    fn verdict(&mut self, nodes: &[Node], scope: Outer<'_>) -> Val {
        let mut all = Trace::default();
        for node in nodes {
            let value = self.expression(node, scope);
            let work = all.add(&value.trace);
            self.spend(work);
        }
        all.into()
    }

    fn tested(&mut self, node: Option<&Node>, scope: Outer<'_>) -> Val {
        self.optional(node, scope).trace.into()
    }

    fn operation(&mut self, expression: &AExpr, scope: Outer<'_>) -> Val {
        let left = self.optional(expression.lexpr.as_deref(), scope);
        let right = self.optional(expression.rexpr.as_deref(), scope);
        let mut value = self.combine([left, right]);
        let Some(name) = words(&expression.name) else { return self.undecided(Unknown::Node) };
        // These stand for others.
        let operators: &[&str] = match AExprKind::try_from(expression.kind) {
            Ok(AExprKind::AexprBetween | AExprKind::AexprBetweenSym) => &[">=", "<="],
            Ok(AExprKind::AexprNotBetween | AExprKind::AexprNotBetweenSym) => &["<", ">"],
            Ok(_) | Err(_) => &[],
        };
        let runs = match operators {
            [] => self.runs_written(&name),
            several => several.iter().any(|name| self.runs_written(&[name])),
        };
        if runs {
            value.trace = Trace::Undecided;
            self.settle(&value);
        }
        let compares = match AExprKind::try_from(expression.kind) {
            Ok(AExprKind::AexprOp | AExprKind::Undefined) | Err(_) => {
                name.last().is_some_and(|name| COMPARISONS.contains(name))
            }
            Ok(AExprKind::AexprNullif) => false,
            Ok(
                AExprKind::AexprOpAny
                | AExprKind::AexprOpAll
                | AExprKind::AexprDistinct
                | AExprKind::AexprNotDistinct
                | AExprKind::AexprIn
                | AExprKind::AexprLike
                | AExprKind::AexprIlike
                | AExprKind::AexprSimilar
                | AExprKind::AexprBetween
                | AExprKind::AexprNotBetween
                | AExprKind::AexprBetweenSym
                | AExprKind::AexprNotBetweenSym,
            ) => true,
        };
        if compares {
            value.loose = None;
        }
        value
    }

    fn cast(&mut self, cast: &TypeCast, scope: Outer<'_>) -> Val {
        let value = self.optional(cast.arg.as_deref(), scope);
        let Some(type_name) = &cast.type_name else { return value };
        self.type_name(type_name);
        let name = type_name.names.last().and_then(word).unwrap_or_default();
        // A string is read by its type, and by no cast.
        let is_text = cast.arg.as_deref().is_some_and(is_string);
        if self.catalog.casts_by_code(name) && !is_text {
            self.opaque();
            return self.lost(&value, Unknown::Function);
        }
        value
    }

    /// Lengths and precisions are constants that hold no data; bounds of arrays are not even those.
    pub(super) fn type_name(&mut self, type_name: &TypeName) {
        self.beside(&type_name.typmods, None);
    }

    fn case(&mut self, case: &CaseExpr, scope: Outer<'_>) -> Val {
        let tested = case.arg.as_deref().map(|arg| self.expression(arg, scope));
        let mut chosen = Trace::default();
        if tested.is_some() && self.runs_written(&["="]) {
            chosen = Trace::Undecided;
        }
        let mut results = Vec::new();
        for when in &case.args {
            let Some(NodeEnum::CaseWhen(when)) = &when.node else { return self.undecided(Unknown::Node) };
            let condition = self.optional(when.expr.as_deref(), scope);
            let condition = match &tested {
                Some(tested) => self.combine([tested.clone(), condition]),
                None => condition,
            };
            let work = chosen.add(&condition.trace);
            self.spend(work);
            results.push(self.optional(when.result.as_deref(), scope));
        }
        results.push(self.optional(case.defresult.as_deref(), scope));
        let mut value = self.combine(results);
        let work = value.trace.add(&chosen);
        self.spend(work);
        value
    }

    fn sublink(&mut self, link: &SubLink, scope: Outer<'_>) -> Val {
        // The server has none where all columns are of one row.
        if self.own.is_some() {
            return self.undecided(Unknown::Node);
        }
        let tested = self.optional(link.testexpr.as_deref(), scope);
        let before = std::mem::take(&mut self.conditions);
        let query = match link.subselect.as_deref() {
            Some(query) => self.query(query, scope),
            None => super::select::Query::unknown(),
        };
        let chosen = std::mem::replace(&mut self.conditions, before);
        let mut value = if query.open {
            self.undecided(Unknown::Column)
        } else {
            self.combine(query.fields.into_iter().map(|field| field.value))
        };
        let kind = SubLinkType::try_from(link.sub_link_type);
        let operator = match words(&link.oper_name) {
            // `IN`
            Some(none) if none.is_empty() && kind == Ok(SubLinkType::AnySublink) => vec!["="],
            written => written.unwrap_or_default(),
        };
        if !operator.is_empty() && self.runs_written(&operator) {
            let both = self.combine([tested, value]);
            return self.lost(&both, Unknown::Function);
        }
        match kind {
            Ok(SubLinkType::ExistsSublink) => chosen.into(),
            Ok(SubLinkType::AllSublink | SubLinkType::AnySublink | SubLinkType::RowcompareSublink) => {
                let mut value = self.combine([tested, value]);
                let work = value.trace.add(&chosen);
                self.spend(work);
                value.trace.into()
            }
            Ok(SubLinkType::ExprSublink | SubLinkType::ArraySublink | SubLinkType::MultiexprSublink) => {
                // Of a constant, that there is one is all it says.
                if value.trace.is_nothing() {
                    value.trace = chosen;
                }
                value
            }
            Ok(SubLinkType::CteSublink | SubLinkType::Undefined) | Err(_) => self.undecided(Unknown::Node),
        }
    }

    fn indirection(&mut self, indirection: &AIndirection, scope: Outer<'_>) -> Val {
        let Some(arg) = indirection.arg.as_deref() else { return self.undecided(Unknown::Node) };
        let mut steps = indirection.indirection.as_slice();
        let mut value = match (self.row(arg, scope), steps) {
            // `(t).column` and `(t).*`
            (Some(item), [first, rest @ ..]) if word(first).is_some() => {
                steps = rest;
                let value = self.member(&item, word(first).unwrap_or_default());
                self.looked_at(&value.trace);
                value
            }
            (Some(_) | None, _) => self.expression(arg, scope),
        };
        for step in steps {
            value = match &step.node {
                Some(NodeEnum::AIndices(indices)) => {
                    let (low, high) = (indices.lidx.as_deref(), indices.uidx.as_deref());
                    let bounds = [self.optional(low, scope), self.optional(high, scope)];
                    let chosen = self.combine(bounds);
                    let work = value.trace.add(&chosen.trace);
                    self.spend(work);
                    value
                }
                Some(NodeEnum::String(name)) => self.attribute(&name.sval, value),
                Some(NodeEnum::AStar(_)) => value,
                Some(_) | None => self.undecided(Unknown::Node),
            };
        }
        value
    }

    /// An attribute of some composite value, or a function of it in other words.
    fn attribute(&mut self, name: &str, value: Val) -> Val {
        let (meant, stale) = self.functions_meant(&[name]);
        if meant.is_empty() && !stale { value } else { self.applied(&[name], value) }
    }

    /// The FROM item whose row an expression is, if it is one.
    pub(super) fn row(&mut self, node: &Node, scope: Outer<'_>) -> Option<Item> {
        let Some(NodeEnum::ColumnRef(reference)) = &node.node else { return None };
        let name = match reference.fields.as_slice() {
            [name] => word(name)?,
            [name, star] if is_star(star) => return self.item(None, word(name)?, scope).ok()?,
            _ => return None,
        };
        if self.is_column(name, scope) { None } else { self.item(None, name, scope).ok()? }
    }

    fn column(&mut self, reference: &ColumnRef, scope: Outer<'_>) -> Val {
        match reference.fields.as_slice() {
            [star] if is_star(star) => self.everything(scope),
            [table, star] if is_star(star) => self.whole_named(None, word(table), scope),
            [schema, table, star] | [_, schema, table, star] if is_star(star) => {
                self.whole_named(word(schema), word(table), scope)
            }
            [name] => match word(name) {
                Some(name) => self.plain_column(name, scope),
                None => self.undecided(Unknown::Node),
            },
            [table, name] => self.qualified(None, word(table), word(name), scope),
            [schema, table, name] | [_, schema, table, name] => {
                self.qualified(word(schema), word(table), word(name), scope)
            }
            _ => self.undecided(Unknown::Node),
        }
    }

    fn everything(&mut self, scope: Outer<'_>) -> Val {
        let Some(fields) = self.star(scope) else { return self.undecided(Unknown::Column) };
        self.combine(fields.into_iter().map(|field| field.value))
    }

    fn whole_named(&mut self, schema: Option<&str>, table: Option<&str>, scope: Outer<'_>) -> Val {
        match table.map(|table| self.item(schema, table, scope)) {
            Some(Ok(Some(item))) => self.whole(&item),
            Some(Ok(None) | Err(())) | None => self.undecided(Unknown::Column),
        }
    }

    fn qualified(&mut self, schema: Option<&str>, table: Option<&str>, name: Option<&str>, scope: Outer<'_>) -> Val {
        let (Some(table), Some(name)) = (table, name) else { return self.undecided(Unknown::Node) };
        match self.item(schema, table, scope) {
            Ok(Some(item)) => self.member(&item, name),
            Ok(None) | Err(()) => self.undecided(Unknown::Column),
        }
    }
}
