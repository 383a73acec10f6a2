//! The manual page of the store, `sallyport-store(5)`, from the views themselves.

use std::fmt::Write as _;

use crate::record::read::{View, views};

/// The page, in the macros of man(7).
///
/// # Errors
/// When SQLite does not take this version's own tables.
pub(super) fn store_page() -> rusqlite::Result<String> {
    Ok(page(&views()?))
}

/// What stands before the views.
const OPENING: &[&str] = &[
    ".SH DESCRIPTION",
    "Everything that sallyport records is in SQLite databases, one a segment, which any program that reads SQLite can \
    open. A segment that is written to is named",
    ".IR NNNNNN .live.sqlite ,",
    "one that is finished",
    ".IR NNNNNN .sqlite ,",
    "and of one that was removed a stub",
    ".IR NNNNNN .pruned",
    "stays. Root and the members of the group",
    ".B sallyport-audit",
    "may read them.",
    ".PP",
    "The views described here are stable: columns are only ever added, at the end. The tables behind them may change with \
    a version. A session that was open when its segment was finished has a row in the next one as well, in which",
    ".I continues",
    "is not null.",
    ".SH EXAMPLES",
    ".EX",
    "sqlite3 -readonly /var/lib/sallyport/sessions/000001.live.sqlite \\",
    "  \"SELECT time, workload, statement FROM statements WHERE decision = 'deny'\"",
    ".EE",
];

fn page(views: &[View]) -> String {
    let mut out = format!(
        ".TH SALLYPORT-STORE 5 \"\" \"sallyport {}\" \"File formats\"\n.SH NAME\nsallyport-store \\- what sallyport records\n\
        .SH SYNOPSIS\n.I /var/lib/sallyport/sessions/*.sqlite\n",
        env!("CARGO_PKG_VERSION")
    );
    for line in OPENING {
        let line = if line.starts_with('.') { (*line).to_owned() } else { escaped(line) };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{line}");
    }
    for view in views {
        let _ = writeln!(out, ".SH VIEW {}\n{}", escaped(&view.name.to_uppercase()), text(&view.purpose));
        for column in &view.columns {
            let _ = writeln!(out, ".TP\n.B {}\n{}", escaped(&column.name), text(column.meaning));
        }
    }
    out.push_str(".SH SEE ALSO\n.BR sallyport-sessions (1),\n.BR sqlite3 (1)\n");
    out
}

/// Text of a paragraph: what begins like a request does not.
fn text(text: &str) -> String {
    let text = escaped(text);
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('`', "\\(ga")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_view_and_column() {
        let page = store_page().unwrap();
        for view in views().unwrap() {
            assert!(page.contains(&format!(".SH VIEW {}\n", view.name.to_uppercase())), "{}", view.name);
            for column in view.columns {
                assert!(page.contains(&format!(".B {}\n{}\n", escaped(&column.name), text(column.meaning))));
            }
        }
        // Nothing but requests begins with a dot.
        let known = [".TH", ".SH", ".I ", ".IR", ".B ", ".BR", ".PP", ".TP", ".EX", ".EE"];
        for line in page.lines().filter(|line| line.starts_with('.')) {
            assert!(known.iter().any(|request| format!("{line} ").starts_with(request)), "{line}");
        }
    }
}
