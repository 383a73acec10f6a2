//! One statement: which kind it is, and who follows it.

use pg_query::NodeEnum;
use pg_query::protobuf::Node;

use super::super::facts::{Output, Unknown};
use super::Walker;
use super::select::Query;

impl Walker<'_> {
    /// Follows a whole statement.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not a query is looked for elsewhere")]
    pub(in super::super) fn statement(&mut self, node: &Node) {
        let Some(statement) = &node.node else {
            self.doubt(Unknown::Node);
            self.facts.output = Output::Undecided;
            return;
        };
        let (verb, has_rows) = match statement {
            NodeEnum::SelectStmt(_) => ("select", true),
            NodeEnum::InsertStmt(insert) => ("insert", insert.returning_clause.is_some()),
            NodeEnum::UpdateStmt(update) => ("update", update.returning_clause.is_some()),
            NodeEnum::DeleteStmt(delete) => ("delete", delete.returning_clause.is_some()),
            NodeEnum::MergeStmt(merge) => ("merge", merge.returning_clause.is_some()),
            _ => {
                self.doubt(Unknown::Node);
                self.facts.output = Output::Undecided;
                return;
            }
        };
        self.facts.verb = verb;
        let query = self.query(node, None);
        self.facts.output = if has_rows { self.output(&query) } else { Output::Nothing };
        drop::<Query>(query);
    }
}
