//! What an output column is called that is given no name.
//!
//! Source: `FigureColname` in the server's `parse_target.c`.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExprKind, JsonExprOp, MinMaxOp, Node, SqlValueFunctionOp, SubLink, SubLinkType, XmlExprOp};

use super::tree::word;

/// The name; `None` where it is not known here.
pub(super) fn label(node: &Node) -> Option<&str> {
    let (name, _) = figured(node)?;
    Some(name.unwrap_or("?column?"))
}

/// A name that was found, and whether it is better than that of a type.
type Figured<'n> = Option<(Option<&'n str>, bool)>;

const GOOD: bool = true;
const WEAK: bool = false;

#[expect(clippy::unnecessary_wraps, reason = "it is one of many ways out")]
fn fixed(name: &str) -> Figured<'_> {
    Some((Some(name), GOOD))
}

const NONE: Figured<'static> = Some((None, WEAK));

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of 271 kinds of nodes these have names; others have none, or are unknown"
)]
fn figured(node: &Node) -> Figured<'_> {
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(reference) => match reference.fields.iter().rev().find_map(word) {
            Some(name) => fixed(name),
            None => NONE,
        },
        NodeEnum::AIndirection(indirection) => match indirection.indirection.iter().rev().find_map(word) {
            Some(name) => fixed(name),
            None => inner(indirection.arg.as_deref()),
        },
        NodeEnum::FuncCall(call) => fixed(call.funcname.last().and_then(word)?),
        NodeEnum::AExpr(expression) if expression.kind == AExprKind::AexprNullif as i32 => fixed("nullif"),
        NodeEnum::TypeCast(cast) => match inner(cast.arg.as_deref())? {
            strong @ (Some(_), GOOD) => Some(strong),
            (name, _) => {
                let type_name = cast.type_name.as_ref().and_then(|name| name.names.last()).and_then(word);
                Some((type_name.or(name), WEAK))
            }
        },
        NodeEnum::CollateClause(collate) => inner(collate.arg.as_deref()),
        NodeEnum::GroupingFunc(_) => fixed("grouping"),
        NodeEnum::MergeSupportFunc(_) => fixed("merge_action"),
        NodeEnum::SubLink(link) => sublink(link),
        NodeEnum::CaseExpr(case) => match case.defresult.as_deref().map(figured) {
            Some(None) => None,
            Some(Some(strong @ (Some(_), GOOD))) => Some(strong),
            Some(Some(_)) | None => Some((Some("case"), WEAK)),
        },
        NodeEnum::AArrayExpr(_) => fixed("array"),
        NodeEnum::RowExpr(_) => fixed("row"),
        NodeEnum::CoalesceExpr(_) => fixed("coalesce"),
        NodeEnum::MinMaxExpr(extreme) => match MinMaxOp::try_from(extreme.op).ok()? {
            MinMaxOp::IsGreatest => fixed("greatest"),
            MinMaxOp::IsLeast => fixed("least"),
            MinMaxOp::Undefined => None,
        },
        NodeEnum::SqlvalueFunction(function) => fixed(value_function(function.op)?),
        NodeEnum::AConst(_)
        | NodeEnum::ParamRef(_)
        | NodeEnum::AExpr(_)
        | NodeEnum::BoolExpr(_)
        | NodeEnum::NullTest(_)
        | NodeEnum::BooleanTest(_)
        | NodeEnum::SetToDefault(_)
        | NodeEnum::JsonIsPredicate(_) => NONE,
        other => document(other),
    }
}

fn sublink(link: &SubLink) -> Figured<'_> {
    match SubLinkType::try_from(link.sub_link_type).ok()? {
        SubLinkType::ExistsSublink => fixed("exists"),
        SubLinkType::ArraySublink => fixed("array"),
        SubLinkType::ExprSublink => {
            let Some(NodeEnum::SelectStmt(select)) = &link.subselect.as_deref()?.node else { return None };
            first_target(select)
        }
        SubLinkType::AllSublink
        | SubLinkType::AnySublink
        | SubLinkType::RowcompareSublink
        | SubLinkType::MultiexprSublink
        | SubLinkType::CteSublink
        | SubLinkType::Undefined => NONE,
    }
}

/// XML and JSON.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is left over is unknown")]
fn document(node: &NodeEnum) -> Figured<'_> {
    match node {
        NodeEnum::XmlExpr(xml) => match XmlExprOp::try_from(xml.op).ok()? {
            XmlExprOp::IsXmlconcat => fixed("xmlconcat"),
            XmlExprOp::IsXmlelement => fixed("xmlelement"),
            XmlExprOp::IsXmlforest => fixed("xmlforest"),
            XmlExprOp::IsXmlparse => fixed("xmlparse"),
            XmlExprOp::IsXmlpi => fixed("xmlpi"),
            XmlExprOp::IsXmlroot => fixed("xmlroot"),
            XmlExprOp::IsXmlserialize => fixed("xmlserialize"),
            XmlExprOp::IsDocument => NONE,
            XmlExprOp::Undefined => None,
        },
        NodeEnum::XmlSerialize(_) => fixed("xmlserialize"),
        NodeEnum::JsonParseExpr(_) => fixed("json"),
        NodeEnum::JsonScalarExpr(_) => fixed("json_scalar"),
        NodeEnum::JsonSerializeExpr(_) => fixed("json_serialize"),
        NodeEnum::JsonObjectConstructor(_) => fixed("json_object"),
        NodeEnum::JsonArrayConstructor(_) | NodeEnum::JsonArrayQueryConstructor(_) => fixed("json_array"),
        NodeEnum::JsonObjectAgg(_) => fixed("json_objectagg"),
        NodeEnum::JsonArrayAgg(_) => fixed("json_arrayagg"),
        NodeEnum::JsonFuncExpr(function) => match JsonExprOp::try_from(function.op).ok()? {
            JsonExprOp::JsonExistsOp => fixed("json_exists"),
            JsonExprOp::JsonQueryOp => fixed("json_query"),
            JsonExprOp::JsonValueOp => fixed("json_value"),
            JsonExprOp::JsonTableOp | JsonExprOp::Undefined => None,
        },
        _ => None,
    }
}

fn inner(node: Option<&Node>) -> Figured<'_> {
    stacker::maybe_grow(super::RED_ZONE, super::GROWTH, || figured(node?))
}

fn first_target(select: &pg_query::protobuf::SelectStmt) -> Figured<'_> {
    // Of a set operation, the leftmost query names the columns.
    let mut leftmost = select;
    while let Some(left) = leftmost.larg.as_deref() {
        leftmost = left;
    }
    if !leftmost.values_lists.is_empty() {
        return fixed("column1");
    }
    let Some(NodeEnum::ResTarget(target)) = &leftmost.target_list.first()?.node else { return None };
    if !target.name.is_empty() {
        return fixed(&target.name);
    }
    let value = target.val.as_deref()?;
    let is_star = matches!(&value.node, Some(NodeEnum::ColumnRef(reference))
        if reference.fields.last().is_some_and(super::tree::is_star));
    let (name, _) = if is_star { return None } else { inner(Some(value))? };
    fixed(name.unwrap_or("?column?"))
}

fn value_function(op: i32) -> Option<&'static str> {
    use SqlValueFunctionOp as Op;
    Some(match Op::try_from(op).ok()? {
        Op::SvfopCurrentDate => "current_date",
        Op::SvfopCurrentTime | Op::SvfopCurrentTimeN => "current_time",
        Op::SvfopCurrentTimestamp | Op::SvfopCurrentTimestampN => "current_timestamp",
        Op::SvfopLocaltime | Op::SvfopLocaltimeN => "localtime",
        Op::SvfopLocaltimestamp | Op::SvfopLocaltimestampN => "localtimestamp",
        Op::SvfopCurrentRole => "current_role",
        Op::SvfopCurrentUser => "current_user",
        Op::SvfopUser => "user",
        Op::SvfopSessionUser => "session_user",
        Op::SvfopCurrentCatalog => "current_catalog",
        Op::SvfopCurrentSchema => "current_schema",
        Op::SqlvalueFunctionOpUndefined => return None,
    })
}
