//! How deep the tree of a text can get, at most, told from its tokens alone.
//!
//! A token makes a tree deeper by one node at most, with what wraps it. So do all tokens on a way down from the root; of
//! tokens between brackets a way down takes those of one list element, and then those of one pair of brackets inside it.
//! AND and OR are lists, too: the grammar makes one node of a whole chain. Only set operations and joins nest without
//! brackets while commas and AND stand between them: all of them count.

use pg_query::protobuf::{ScanToken, Token};

/// Deepest that is parsed.
pub(super) const MOST: usize = 1500;

/// A pair of brackets, or CASE and END, or a whole statement.
#[derive(Debug, Default)]
struct Group {
    /// Tokens of the element at hand.
    tokens: usize,
    /// The deepest brackets in it.
    inside: usize,
    /// The deepest element so far.
    deepest: usize,
    /// What nests across elements.
    spine: usize,
    /// A BETWEEN whose AND is still to come.
    between: bool,
    is_case: bool,
}

impl Group {
    fn element(&mut self) {
        self.deepest = self.deepest.max(self.tokens.saturating_add(self.inside));
        (self.tokens, self.inside) = (0, 0);
    }

    fn depth(mut self) -> usize {
        self.element();
        self.deepest.saturating_add(self.spine)
    }
}

/// The most nodes there can be on a way down.
pub(super) fn of(tokens: &[ScanToken]) -> usize {
    let mut outer: Vec<Group> = Vec::new();
    let mut group = Group::default();
    let mut deepest = 0_usize;
    for token in tokens {
        #[expect(clippy::wildcard_enum_match_arm, reason = "any other token counts as one")]
        match Token::try_from(token.token).unwrap_or(Token::Nul) {
            Token::Ascii40 | Token::Ascii91 | Token::Case => {
                group.tokens = group.tokens.saturating_add(1);
                let is_case = token.token == Token::Case as i32;
                outer.push(std::mem::replace(&mut group, Group { is_case, ..Group::default() }));
            }
            closing @ (Token::Ascii41 | Token::Ascii93 | Token::EndP) => {
                // END also ends transactions, and unmatched brackets are an error to come.
                let matches = group.is_case == (closing == Token::EndP);
                if let Some(around) = outer.pop_if(|_| matches) {
                    let inside = std::mem::replace(&mut group, around).depth();
                    group.inside = group.inside.max(inside);
                }
            }
            Token::Ascii44 => group.element(),
            Token::Ascii59 if outer.is_empty() => deepest = deepest.max(std::mem::take(&mut group).depth()),
            Token::And if group.between => {
                group.between = false;
                group.tokens = group.tokens.saturating_add(1);
            }
            Token::And | Token::Or => group.element(),
            Token::Union | Token::Intersect | Token::Except | Token::Join => {
                group.spine = group.spine.saturating_add(1);
            }
            Token::Between => {
                group.between = true;
                group.tokens = group.tokens.saturating_add(1);
            }
            Token::SqlComment | Token::CComment => {}
            _ => group.tokens = group.tokens.saturating_add(1),
        }
    }
    let mut inside = group.depth();
    while let Some(mut around) = outer.pop() {
        around.inside = around.inside.max(inside);
        inside = around.depth();
    }
    deepest.max(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_wide_and_chains_are_deep() {
        for (sql, expected) in [
            ("", 0),
            ("SELECT 1", 2),
            ("SELECT 1; SELECT 1, 2, 3; BEGIN; END", 2),
            ("SELECT 1, 2, 3", 2),
            ("SELECT 1 + 2 + 3", 6),
            ("SELECT a AND b AND c OR d", 2),
            ("SELECT a BETWEEN 1 AND 2 AND c", 6),
            ("SELECT ((1)), f(g(2))", 5),
            ("SELECT 1 UNION SELECT 2, 3 UNION SELECT 4", 6),
            ("SELECT CASE WHEN a AND b THEN 1 END AND c", 5),
            ("SELECT 1 -- comment, ((((\n", 2),
            ("SELECT ((", 3),
            ("))))", 0),
        ] {
            let tokens = if sql.is_empty() { Vec::new() } else { pg_query::scan_tokens(sql).unwrap() };
            assert_eq!(of(&tokens), expected, "{sql}");
        }
    }
}
