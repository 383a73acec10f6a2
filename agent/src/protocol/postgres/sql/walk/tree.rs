//! Small questions to nodes of the tree.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, a_const};

/// A node that is a name.
pub(super) fn word(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::String(string)) => Some(&string.sval),
        Some(_) | None => None,
    }
}

/// A list of names; `None` if anything else is in it.
pub(super) fn words(nodes: &[Node]) -> Option<Vec<&str>> {
    nodes.iter().map(word).collect()
}

pub(super) fn is_star(node: &Node) -> bool {
    matches!(&node.node, Some(NodeEnum::AStar(_)))
}

/// A constant string or number, as text; `None` for anything else.
pub(super) fn constant_text(node: &Node) -> Option<String> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match constant.val.as_ref()? {
            a_const::Val::Ival(number) => Some(number.ival.to_string()),
            a_const::Val::Fval(number) => Some(number.fval.clone()),
            a_const::Val::Boolval(truth) => Some(truth.boolval.to_string()),
            a_const::Val::Sval(string) => Some(string.sval.clone()),
            a_const::Val::Bsval(bits) => Some(bits.bsval.clone()),
        },
        Some(NodeEnum::TypeCast(cast)) => constant_text(cast.arg.as_deref()?),
        Some(_) | None => None,
    }
}

/// A constant that no cast makes another, as text.
pub(super) fn exact_text(node: &Node) -> Option<String> {
    match &node.node {
        Some(NodeEnum::TypeCast(cast)) => {
            let kind = cast.type_name.as_ref()?;
            let exact = matches!(
                words(&kind.names)?.as_slice(),
                ["text" | "bool" | "boolean"] | ["pg_catalog", "text" | "bool"]
            );
            let whole = kind.typmods.is_empty() && kind.array_bounds.is_empty();
            exact_text(cast.arg.as_deref()?).filter(|_| exact && whole)
        }
        Some(_) | None => constant_text(node),
    }
}

/// Whether it is a string constant, whose type is yet to be found, or a null.
pub(super) fn is_string(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => {
            matches!(constant.val, None | Some(a_const::Val::Sval(_)))
        }
        Some(_) | None => false,
    }
}

/// An integer constant: a position, in ORDER BY and GROUP BY.
pub(super) fn position(node: &Node) -> Option<usize> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match constant.val.as_ref()? {
            a_const::Val::Ival(number) => usize::try_from(number.ival).ok()?.checked_sub(1),
            a_const::Val::Fval(_) | a_const::Val::Boolval(_) | a_const::Val::Sval(_) | a_const::Val::Bsval(_) => None,
        },
        Some(_) | None => None,
    }
}

/// A column reference of one name.
pub(super) fn bare_name(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::ColumnRef(reference)) => match reference.fields.as_slice() {
            [only] => word(only),
            _ => None,
        },
        Some(_) | None => None,
    }
}
