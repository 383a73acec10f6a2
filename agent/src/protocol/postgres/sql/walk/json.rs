//! SQL/JSON: what is made of a document comes from all of it, its path and its defaults.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    JsonAggConstructor, JsonBehavior, JsonExprOp, JsonKeyValue, JsonOutput, JsonTable, JsonValueExpr, Node,
};

use super::super::facts::Unknown;
use super::super::trace::Val;
use super::Walker;
use super::scope::{Field, Item, Outer};
use super::select::shared;

impl Walker<'_> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is left over is unknown")]
    pub(super) fn json(&mut self, node: &NodeEnum, scope: Outer<'_>) -> Val {
        match node {
            NodeEnum::JsonValueExpr(value) => self.json_value(Some(value), scope),
            NodeEnum::JsonIsPredicate(test) => self.optional(test.expr.as_deref(), scope).trace.into(),
            NodeEnum::JsonParseExpr(parse) => {
                self.json_output(parse.output.as_ref());
                self.json_value(parse.expr.as_deref(), scope)
            }
            NodeEnum::JsonScalarExpr(scalar) => {
                self.json_output(scalar.output.as_ref());
                self.optional(scalar.expr.as_deref(), scope)
            }
            NodeEnum::JsonSerializeExpr(serialize) => {
                self.json_output(serialize.output.as_ref());
                self.json_value(serialize.expr.as_deref(), scope)
            }
            NodeEnum::JsonObjectConstructor(object) => {
                self.json_output(object.output.as_ref());
                self.all(&object.exprs, scope)
            }
            NodeEnum::JsonArrayConstructor(array) => {
                self.json_output(array.output.as_ref());
                self.all(&array.exprs, scope)
            }
            NodeEnum::JsonArrayQueryConstructor(array) => {
                self.json_output(array.output.as_ref());
                let query = match array.query.as_deref() {
                    Some(query) => self.query(query, scope),
                    None => super::select::Query::unknown(),
                };
                if query.open {
                    return self.undecided(Unknown::Column);
                }
                self.combine(query.fields.into_iter().map(|field| field.value))
            }
            NodeEnum::JsonKeyValue(pair) => self.json_pair(Some(pair), scope),
            NodeEnum::JsonObjectAgg(object) => {
                let value = self.json_pair(object.arg.as_deref(), scope);
                self.json_aggregate(object.constructor.as_deref(), value, scope)
            }
            NodeEnum::JsonArrayAgg(array) => {
                let value = self.json_value(array.arg.as_deref(), scope);
                self.json_aggregate(array.constructor.as_deref(), value, scope)
            }
            NodeEnum::JsonFuncExpr(function) => {
                self.json_output(function.output.as_ref());
                let document = self.json_value(function.context_item.as_deref(), scope);
                let path = self.optional(function.pathspec.as_deref(), scope);
                let passing = self.all(&function.passing, scope);
                let empty = self.json_behavior(function.on_empty.as_deref(), scope);
                let error = self.json_behavior(function.on_error.as_deref(), scope);
                self.combine([document, path, passing, empty, error])
            }
            NodeEnum::JsonArgument(argument) => self.json_value(argument.val.as_deref(), scope),
            _ => self.undecided(Unknown::Node),
        }
    }

    fn json_value(&mut self, value: Option<&JsonValueExpr>, scope: Outer<'_>) -> Val {
        self.optional(value.and_then(|value| value.raw_expr.as_deref()), scope)
    }

    fn json_pair(&mut self, pair: Option<&JsonKeyValue>, scope: Outer<'_>) -> Val {
        let key = self.optional(pair.and_then(|pair| pair.key.as_deref()), scope);
        let value = self.json_value(pair.and_then(|pair| pair.value.as_deref()), scope);
        self.combine([key, value])
    }

    fn json_output(&mut self, output: Option<&JsonOutput>) {
        if let Some(type_name) = output.and_then(|output| output.type_name.as_ref()) {
            self.type_name(type_name);
        }
    }

    fn json_behavior(&mut self, behavior: Option<&JsonBehavior>, scope: Outer<'_>) -> Val {
        self.optional(behavior.and_then(|behavior| behavior.expr.as_deref()), scope)
    }

    fn json_aggregate(&mut self, aggregate: Option<&JsonAggConstructor>, mut value: Val, scope: Outer<'_>) -> Val {
        let Some(aggregate) = aggregate else { return value };
        self.json_output(aggregate.output.as_ref());
        if let Some(filter) = aggregate.agg_filter.as_deref() {
            let filter = self.expression(filter, scope);
            self.chosen_by(&filter);
            let work = value.trace.add(&filter.trace);
            self.spend(work);
        }
        self.sorted(&aggregate.agg_order, scope);
        if let Some(over) = aggregate.over.as_deref() {
            self.window(over, scope);
        }
        value
    }

    pub(super) fn json_table(&mut self, table: &JsonTable, scope: Outer<'_>) -> Item {
        let document = self.json_value(table.context_item.as_deref(), scope);
        let path = self.optional(table.pathspec.as_deref().and_then(|path| path.string.as_deref()), scope);
        let passing = self.all(&table.passing, scope);
        let error = self.json_behavior(table.on_error.as_deref(), scope);
        let whole = self.combine([document, path, passing, error]);
        let mut fields = Vec::new();
        self.json_columns(&table.columns, &whole, &mut fields, scope);
        let item = Item::new(Some("json_table".into()), shared(fields));
        self.aliased(item, table.alias.as_ref())
    }

    fn json_columns(&mut self, nodes: &[Node], whole: &Val, fields: &mut Vec<Field>, scope: Outer<'_>) {
        for node in nodes {
            let Some(NodeEnum::JsonTableColumn(column)) = &node.node else {
                self.doubt(Unknown::Node);
                continue;
            };
            if let Some(type_name) = &column.type_name {
                self.type_name(type_name);
            }
            let path = self.optional(column.pathspec.as_deref().and_then(|path| path.string.as_deref()), scope);
            let empty = self.json_behavior(column.on_empty.as_deref(), scope);
            let error = self.json_behavior(column.on_error.as_deref(), scope);
            let value = self.combine([whole.clone(), path, empty, error]);
            if column.columns.is_empty() {
                fields.push(Field { name: column.name.as_str().into(), value });
            } else {
                stacker::maybe_grow(super::RED_ZONE, super::GROWTH, || {
                    self.json_columns(&column.columns, &value, fields, scope);
                });
            }
        }
    }
}

/// The function that older servers take an expression for.
#[expect(clippy::wildcard_enum_match_arm, reason = "others are syntax to every server, or unknown")]
pub(super) fn word_of(node: &NodeEnum) -> Option<&'static str> {
    Some(match node {
        NodeEnum::JsonParseExpr(_) => "json",
        NodeEnum::JsonScalarExpr(_) => "json_scalar",
        NodeEnum::JsonSerializeExpr(_) => "json_serialize",
        NodeEnum::JsonObjectConstructor(_) => "json_object",
        NodeEnum::JsonArrayConstructor(_) | NodeEnum::JsonArrayQueryConstructor(_) => "json_array",
        NodeEnum::JsonObjectAgg(_) => "json_objectagg",
        NodeEnum::JsonArrayAgg(_) => "json_arrayagg",
        NodeEnum::JsonFuncExpr(function) => match JsonExprOp::try_from(function.op) {
            Ok(JsonExprOp::JsonExistsOp) => "json_exists",
            Ok(JsonExprOp::JsonQueryOp) => "json_query",
            Ok(JsonExprOp::JsonValueOp) => "json_value",
            Ok(JsonExprOp::JsonTableOp) => "json_table",
            Ok(JsonExprOp::Undefined) | Err(_) => return None,
        },
        _ => return None,
    })
}
