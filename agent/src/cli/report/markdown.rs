//! An access review in Markdown. What the store holds is text, never markup.

use super::super::sessions::amount::time;
use super::tables::{Table, facts, general, name, of_identity};
use crate::config::steers;
use crate::record::read::AccessReview;

/// The whole report.
pub(super) fn write(review: &AccessReview) -> String {
    let mut out = format!("# Access review, {} to {}\n", time(review.since_ns), time(review.until_ns));
    if review.identities.is_empty() {
        out.push_str("\nNobody was seen.\n");
    }
    for identity in &review.identities {
        out.push_str(&format!("\n## {}\n\n", escaped(&name(&identity.identity))));
        for (label, value) in facts(&identity.identity) {
            out.push_str(&format!("- {label}: {}\n", escaped(&value)));
        }
        for part in of_identity(identity) {
            out.push_str(&table("###", &part));
        }
    }
    for part in general(review) {
        out.push_str(&table("##", &part));
    }
    out
}

fn table(level: &str, table: &Table) -> String {
    let mut out = format!("\n{level} {}\n\n", table.title);
    if table.rows.is_empty() {
        return out + table.empty + "\n";
    }
    let line = |fields: &[String]| format!("| {} |\n", fields.join(" | "));
    out.push_str(&line(&table.columns.iter().map(|title| (*title).to_owned()).collect::<Vec<_>>()));
    out.push_str(&line(&vec!["---".to_owned(); table.columns.len()]));
    for row in &table.rows {
        out.push_str(&line(&row.iter().map(|field| escaped(field)).collect::<Vec<_>>()));
    }
    out
}

/// Text as text: every mark that means something in Markdown or HTML, and what steers a terminal, is taken its meaning.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if steers(c) => out.push_str(&format!("\\\\u{{{:x}}}", u32::from(c))),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A colon would let a viewer make a link of an address.
            ':' if out.ends_with("http") || out.ends_with("https") => out.push_str("&#58;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            '-' | '=' if out.is_empty() => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn marks_are_text() {
        assert_eq!(escaped("a|b\n<script>"), r"a\|b &lt;script&gt;");
        assert_eq!(escaped("![x](http://e)"), r"\!\[x\]\(http&#58;//e\)");
        assert_eq!(escaped("- \x1b[31m"), r"\- \\u{1b}\[31m");
    }

    proptest! {
        #[test]
        fn nothing_gets_out_of_its_cell(text in ".*") {
            let out = escaped(&text);
            prop_assert!(!out.contains(['\n', '\r', '<', '>']) && !out.chars().any(steers));
            let bytes = out.as_bytes();
            for (at, byte) in bytes.iter().enumerate().filter(|(_, byte)| b"|`*_[]!".contains(byte)) {
                let slashes = bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
                prop_assert!(slashes % 2 == 1, "{out:?} at {at}: {byte}");
            }
        }
    }
}
