//! How `sallyport trust` says what it will do, does, and finds.

use std::io;

use serde_json::{Value, json};

use super::Line;
use super::deed::{Deed, Look};
use super::manifest::{Change, Manifest};
use super::stores::{Draft, Store, Verdict};
use crate::cli::screen::{Screen, Tone};
use crate::cli::table::{self, Cell, Column};

/// What would be done, store by store.
pub(super) fn stores(digest: &str, stores: &[Store], screen: &mut Screen) -> io::Result<()> {
    if screen.is_json() {
        let entries = stores.iter().flat_map(|store| {
            let said = said(&store.verdict).into_iter();
            said.map(
                |(does, _, place)| json!({ "store": store.name, "for": store.serves, "does": does, "place": place }),
            )
        });
        return screen.json(&json!({ "certificate": digest, "would": entries.collect::<Vec<Value>>() }));
    }
    screen.line(&format!("This host's authority, SHA-256 {digest}"))?;
    screen.line("")?;
    let mut rows = Vec::new();
    for store in stores {
        for (does, tone, place) in said(&store.verdict) {
            rows.push([Cell::from(store.name), Cell::new(does, tone), Cell::from(place), Cell::from(store.serves)]);
        }
    }
    let columns = [Column::Left("STORE"), Column::Left("WHAT"), Column::Left("WHERE"), Column::Cut("FOR")];
    table::print(screen, columns, rows)
}

fn said(verdict: &Verdict) -> Vec<(&'static str, Tone, String)> {
    match verdict {
        Verdict::Change(drafts) => drafts
            .iter()
            .map(|draft| {
                let does = match draft {
                    Draft::File { .. } => "write",
                    Draft::Block { .. } => "append to",
                    Draft::KeyStore { .. } => "import into",
                    Draft::Command { .. } => "run",
                };
                (does, Tone::Warn, super::place(draft))
            })
            .collect(),
        Verdict::Covered(why) => vec![("nothing", Tone::Good, why.clone())],
        Verdict::Absent(why) => vec![("absent", Tone::Dim, why.clone())],
        Verdict::Left(why) => vec![("nothing", Tone::Dim, why.clone())],
    }
}

/// What will be undone.
pub(super) fn undoing(manifest: &Manifest, screen: &mut Screen) -> io::Result<()> {
    let rows = manifest.changes.iter().map(|change| {
        let does = match change {
            Change::File { .. } => "remove",
            Change::Block { .. } => "take out of",
            Change::KeyStore { .. } => "restore",
            Change::Command { .. } => "run",
        };
        [Cell::new(does, Tone::Warn), Cell::from(change.place())]
    });
    table::print(screen, [Column::Left("WHAT"), Column::Cut("WHERE")], rows.collect())
}

/// What was done.
pub(super) fn done(digest: &str, word: &str, lines: &[Line], screen: &mut Screen) -> io::Result<()> {
    if screen.is_json() {
        let lines: Vec<Value> = lines.iter().map(as_json).collect();
        return screen.json(&json!({ "certificate": digest, "changes": lines }));
    }
    for line in lines {
        let text = match &line.deed {
            Deed::Done => continue,
            Deed::Gone => format!("{}: was not there any more", line.place),
            Deed::Partly(why) => format!("{}: {why}", line.place),
            Deed::Left(why) => screen.tinted(&format!("{}: {why}", line.place), Tone::Warn),
        };
        screen.line(&text)?;
    }
    let count = lines.iter().filter(|line| line.deed == Deed::Done).count();
    screen.line(&format!("{word}: {count} of {} done as meant.", lines.len()))
}

fn as_json(line: &Line) -> Value {
    let (outcome, why) = match &line.deed {
        Deed::Done => ("done", None),
        Deed::Gone => ("gone", None),
        Deed::Partly(why) => ("partly", Some(why)),
        Deed::Left(why) => ("left", Some(why)),
    };
    json!({ "place": line.place, "outcome": outcome, "why": why })
}

/// How everything looks that was done.
pub(super) fn looks(digest: &str, stale: bool, looks: &[(&Change, Look)], screen: &mut Screen) -> io::Result<()> {
    let word = |look: Look| match look {
        Look::InPlace => ("in place", Tone::Good),
        Look::Around => ("in place, file changed", Tone::Good),
        Look::Missing => ("missing", Tone::Bad),
        Look::Other => ("changed", Tone::Bad),
    };
    if screen.is_json() {
        let changes: Vec<Value> =
            looks.iter().map(|(change, look)| json!({ "place": change.place(), "state": word(*look).0 })).collect();
        return screen.json(&json!({ "installed": true, "certificate": digest, "stale": stale, "changes": changes }));
    }
    screen.line(&format!("Installed: SHA-256 {digest}"))?;
    if stale {
        let text = "The authority has another certificate by now: run `sallyport trust install` again.";
        screen.line(&screen.tinted(text, Tone::Warn))?;
    }
    screen.line("")?;
    let files = looks.iter().filter(|(change, _)| !matches!(change, Change::Command { .. }));
    let rows = files.map(|(change, look)| {
        let (word, tone) = word(*look);
        [Cell::new(word, tone), Cell::from(change.place())]
    });
    table::print(screen, [Column::Left("STATE"), Column::Cut("WHERE")], rows.collect())
}

/// Nothing was installed.
pub(super) fn nothing(current: Option<&str>, screen: &mut Screen) -> io::Result<()> {
    if screen.is_json() {
        return screen.json(&json!({ "installed": false, "certificate": current }));
    }
    screen.line("Nothing is installed.")
}

/// Everything is as it is to be.
pub(super) fn unchanged(digest: &str, screen: &mut Screen) -> io::Result<()> {
    if screen.is_json() {
        return screen.json(&json!({ "certificate": digest, "changes": [] }));
    }
    screen.line(&format!("Installed already: SHA-256 {digest}"))
}
