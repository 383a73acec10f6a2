//! An access review as one HTML file that needs nothing else: no script, no link, nothing from elsewhere.

use super::super::sessions::amount::time;
use super::tables::{Table, facts, general, name, of_identity};
use crate::config::steers;
use crate::record::read::AccessReview;

/// Even if something got through, a browser would not run or load it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'";
const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1b1b1b; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem; }
h3 { font-size: 1rem; margin-bottom: .3rem; } h2, h3, td { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .6rem; vertical-align: top; }
th { border-bottom: 2px solid #999; } td { border-bottom: 1px solid #ddd; } dl { display: grid;
grid-template-columns: max-content auto; gap: .1rem 1rem; } dt { color: #555; } dd { margin: 0; }
.Refused td { background: #fdf1f0; } @media print { body { margin: 0; max-width: none; } }
";

/// The whole report.
pub(super) fn write(review: &AccessReview) -> String {
    let title = format!("Access review, {} to {}", time(review.since_ns), time(review.until_ns));
    let title = escaped(&title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
        <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
        <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
        </head>\n<body>\n<h1>{title}</h1>\n"
    );
    if review.identities.is_empty() {
        out.push_str("<p>Nobody was seen.</p>\n");
    }
    for identity in &review.identities {
        out.push_str(&format!("<section>\n<h2>{}</h2>\n<dl>\n", escaped(&name(&identity.identity))));
        for (label, value) in facts(&identity.identity) {
            out.push_str(&format!("<dt>{label}</dt><dd>{}</dd>\n", escaped(&value)));
        }
        out.push_str("</dl>\n");
        for part in of_identity(identity) {
            out.push_str(&table("h3", &part));
        }
        out.push_str("</section>\n");
    }
    for part in general(review) {
        out.push_str(&table("h2", &part));
    }
    out + "</body>\n</html>\n"
}

fn table(level: &str, table: &Table) -> String {
    let mut out = format!("<{level}>{}</{level}>\n", table.title);
    if table.rows.is_empty() {
        return out + &format!("<p>{}</p>\n", table.empty);
    }
    let cells = |tag: &str, fields: &mut dyn Iterator<Item = String>| {
        fields.map(|field| format!("<{tag}>{field}</{tag}>")).collect::<String>()
    };
    let head = cells("th", &mut table.columns.iter().map(|title| (*title).to_owned()));
    out.push_str(&format!("<table class=\"{}\">\n<thead><tr>{head}</tr></thead>\n<tbody>\n", class(table.title)));
    for row in &table.rows {
        out.push_str(&format!("<tr>{}</tr>\n", cells("td", &mut row.iter().map(|field| escaped(field)))));
    }
    out + "</tbody>\n</table>\n"
}

/// The first word of a title.
fn class(title: &str) -> &str {
    title.split(' ').next().unwrap_or("")
}

/// Text as text, wherever it stands.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\r' | '\t' => out.push(' '),
            c if steers(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_never_becomes_markup(text in ".*") {
            let out = escaped(&text);
            prop_assert!(!out.contains(['<', '>', '"', '\'']) && !out.chars().any(steers));
            let entities = ["&lt;", "&gt;", "&amp;", "&quot;", "&#39;"];
            for (at, _) in out.match_indices('&') {
                prop_assert!(entities.iter().any(|entity| out[at..].starts_with(entity)), "{}", out);
            }
        }
    }
}
