//! Statements found by their words.

use serde::Serialize;

use super::super::exit::{Exit, Failure};
use super::super::screen::{Screen, Tone, one_line};
use super::amount::{Who, endpoint, length, time};
use super::args::{Paging, Search};
use super::show::tone_of;
use super::{number, say_next};
use crate::record::Store;
use crate::record::read::{StatementRow, Words};

/// What stands around a word that was found: noncharacters, which no text has a use for.
const MARKS: [char; 2] = ['\u{fdd0}', '\u{fdd1}'];

/// A statement as JSON.
#[derive(Serialize)]
struct Found<'a> {
    #[serde(flatten)]
    row: &'a StatementRow,
    snippet: Option<String>,
}

/// Prints the statements with the words.
pub(super) fn run(store: &Store, args: &Search, screen: &mut Screen) -> Result<(), Failure> {
    let text = args.words.join(" ");
    let words = if args.fts { Some(Words::raw(&text)) } else { Words::plain(&text) };
    let Some(words) = words else {
        return Err(Failure::new(Exit::USAGE, "there is no letter or digit in what is to be found"));
    };
    let Paging { limit, after } = &args.paging;
    let page = store.search(&words, &args.which.filter(), after.as_deref().map(number).transpose()?, *limit)?;
    screen.page()?;
    if page.rows.is_empty() && !screen.is_json() {
        return Ok(screen.line("Nothing was recorded that fits.")?);
    }
    for row in &page.rows {
        let snippet = store.snippet(&words, row, MARKS)?;
        if screen.is_json() {
            let snippet = snippet.map(|text| text.replace(MARKS, ""));
            screen.json(&Found { row, snippet })?;
        } else {
            print(row, snippet.as_deref(), screen)?;
        }
    }
    let next = page.rows.last().map(|row| row.seq.to_string()).filter(|_| page.more);
    say_next(next.as_deref(), screen)
}

/// Two lines a statement: who and when, and the piece with the words.
fn print(row: &StatementRow, snippet: Option<&str>, screen: &mut Screen) -> Result<(), Failure> {
    let who = Who {
        unit: row.unit.as_deref(),
        login: row.login_user.as_deref(),
        user: row.user.as_deref(),
        uid: Some(row.uid),
        exe: row.exe.as_deref(),
    };
    let to = row.target.clone().unwrap_or_else(|| endpoint(&row.dest_addr, row.dest_port));
    let took = row.duration_ns.map(|took| format!(", {}", length(took))).unwrap_or_default();
    let rows = row.rows.map(|rows| format!("{rows} rows{took}")).unwrap_or_default();
    let head = format!("{}  {}  {}/{}", row.seq, time(row.time_ns), row.session_id, row.sequence);
    let head = screen.tinted(&head, Tone::Dim);
    let decision = screen.tinted(&one_line(&row.decision), tone_of(&row.decision));
    screen.line(format!("{head}  {}  {}  {decision}  {rows}", one_line(&who.line()), one_line(&to)).trim_end())?;
    let text = snippet.or(row.statement.as_deref()).unwrap_or("");
    screen.line(&format!("    {}", highlighted(text, screen)))?;
    Ok(())
}

/// Text on one line with what stands between the marks dressed; marks of the text's own do no harm.
fn highlighted(text: &str, screen: &Screen) -> String {
    let mut line = String::new();
    let mut found = false;
    let folded = one_line(text);
    for (at, piece) in folded.split(MARKS).enumerate() {
        if at > 0 {
            found = !found;
        }
        line.push_str(&screen.tinted(piece, if found { Tone::Warn } else { Tone::Plain }));
    }
    line
}
