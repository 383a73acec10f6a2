//! One statement: which kind it is, and who follows it.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, SelectStmt};

use super::super::facts::{Kind, Output, Unknown};
use super::Walker;
use super::select::Query;
use super::tree::{exact_text, words};

impl Walker<'_> {
    /// Follows a whole statement.
    pub(in super::super) fn statement(&mut self, node: &Node) {
        let Some(statement) = &node.node else {
            self.facts.output = Output::Undecided;
            self.doubt(Unknown::Node);
            return;
        };
        self.facts.changed = self.changed(statement);
        let followed = self.queried(statement, node)
            || self.session(statement)
            || self.data(statement)
            || self.defined(statement)
            || self.listed(statement);
        if !followed {
            self.facts.verb = "unknown";
            self.facts.output = Output::Undecided;
            self.doubt(Unknown::Node);
            self.opaque();
        }
    }

    /// Queries and what changes rows.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not one of these is looked for elsewhere")]
    fn queried(&mut self, statement: &NodeEnum, node: &Node) -> bool {
        let (verb, has_rows) = match statement {
            NodeEnum::SelectStmt(select) => match into(select) {
                Some(_) => ("select into", false),
                None => ("select", true),
            },
            NodeEnum::InsertStmt(insert) => ("insert", insert.returning_clause.is_some()),
            NodeEnum::UpdateStmt(update) => ("update", update.returning_clause.is_some()),
            NodeEnum::DeleteStmt(delete) => ("delete", delete.returning_clause.is_some()),
            NodeEnum::MergeStmt(merge) => ("merge", merge.returning_clause.is_some()),
            _ => return false,
        };
        self.facts.verb = verb;
        if verb == "select" {
            // VALUES, too, which gives rows to whoever asks and is no query where it only fills a table.
            self.facts.kinds.insert(Kind::Read);
        }
        self.sets = matches!(statement, NodeEnum::SelectStmt(select) if only_sets(select));
        let query = self.top(node);
        self.sets = false;
        self.facts.output = if has_rows { self.output(&query) } else { Output::Nothing };
        true
    }

    /// A query that stands alone: it may make a table of what it gives.
    pub(super) fn top(&mut self, node: &Node) -> Query {
        let query = self.query(node, None);
        if let Some(NodeEnum::SelectStmt(select)) = &node.node
            && let Some(into) = into(select)
        {
            self.made(into, &query);
        }
        query
    }
}

/// Whether all it does is to call `set_config`, each target once and for certain.
fn only_sets(select: &SelectStmt) -> bool {
    let targets = !select.target_list.is_empty() && select.target_list.iter().all(sets);
    let bare = select.distinct_clause.is_empty()
        && select.into_clause.is_none()
        && select.from_clause.is_empty()
        && select.where_clause.is_none()
        && select.group_clause.is_empty()
        && select.having_clause.is_none()
        && select.window_clause.is_empty()
        && select.values_lists.is_empty()
        && select.sort_clause.is_empty()
        && select.limit_offset.is_none()
        && select.limit_count.is_none()
        && select.locking_clause.is_empty()
        && select.with_clause.is_none()
        && select.larg.is_none()
        && select.rarg.is_none();
    targets && bare
}

/// Whether a target is a bare call of `set_config`.
fn sets(target: &Node) -> bool {
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return false };
    let Some(NodeEnum::FuncCall(call)) = target.val.as_deref().and_then(|value| value.node.as_ref()) else {
        return false;
    };
    let is_plain = |node: &Node| match &node.node {
        Some(NodeEnum::ParamRef(_)) => true,
        Some(_) | None => exact_text(node).is_some(),
    };
    matches!(words(&call.funcname).as_deref(), Some(["set_config"] | ["pg_catalog", "set_config"]))
        && call.args.iter().all(is_plain)
        && call.agg_filter.is_none()
        && call.over.is_none()
        && call.agg_order.is_empty()
}

/// `SELECT … INTO`: of a set operation, the leftmost query has it.
fn into(select: &SelectStmt) -> Option<&pg_query::protobuf::IntoClause> {
    let mut leftmost = select;
    while let Some(left) = leftmost.larg.as_deref() {
        leftmost = left;
    }
    leftmost.into_clause.as_deref()
}
