//! Lists of sessions and of events.

use std::io;

use super::super::screen::{Screen, Tone};
use super::super::table::{self, Cell, Column};
use super::amount::{Who, bytes, endpoint, length, time};
use crate::record::{EventRow, SessionRow};

/// Enough of an id to hold its millisecond and some chance: two sessions rarely share it.
const SHORT_ID: usize = 18;

/// One line a session, newest first; as JSON, one object a line.
pub(super) fn sessions(rows: &[SessionRow], screen: &mut Screen) -> io::Result<()> {
    if screen.is_json() {
        return rows.iter().try_for_each(|row| screen.json(row));
    }
    if rows.is_empty() {
        return screen.line("Nothing was recorded that fits.");
    }
    let ids: Vec<String> = rows.iter().map(|row| row.id.to_string()).collect();
    let shown = distinct(&ids);
    let columns = [
        Column::Left("ID"),
        Column::Left("TIME"),
        Column::Cut("WHO"),
        Column::Cut("DESTINATION"),
        Column::Right("OUT"),
        Column::Right("IN"),
        Column::Right("LASTED"),
        Column::Left("OUTCOME"),
    ];
    let amount = |count: Option<u64>| Cell::from(count.map_or_else(|| "-".to_owned(), bytes));
    let lines = rows.iter().zip(&ids).map(|(row, id)| {
        [
            id.get(..shown).unwrap_or(id).into(),
            time(row.started_ns).into(),
            who(row).line().into(),
            destination(row).into(),
            amount(row.bytes_out),
            amount(row.bytes_in),
            row.ended_ns.map_or_else(|| "-".to_owned(), |ended| length(ended.saturating_sub(row.started_ns))).into(),
            outcome(&row.outcome, &row.decision),
        ]
    });
    table::print(screen, columns, lines.collect())
}

/// One line an event, newest first; as JSON, one object a line.
pub(super) fn events(rows: &[EventRow], screen: &mut Screen) -> io::Result<()> {
    if screen.is_json() {
        return rows.iter().try_for_each(|row| screen.json(row));
    }
    if rows.is_empty() {
        return screen.line("Nothing was recorded that fits.");
    }
    let columns = [
        Column::Right("ID"),
        Column::Left("TIME"),
        Column::Left("WHAT"),
        Column::Right("TIMES"),
        Column::Left("SCOPE"),
        Column::Cut("WHO"),
        Column::Cut("DESTINATION"),
        Column::Left("HOOK"),
        Column::Cut("DETAIL"),
    ];
    let lines = rows.iter().map(|row| {
        let who = Who {
            unit: row.unit.as_deref(),
            login: row.login_user.as_deref(),
            user: row.user.as_deref(),
            uid: row.uid,
            exe: row.exe.as_deref(),
        };
        let target = row.dest_addr.as_deref().map(|address| endpoint(address, row.dest_port.unwrap_or(0)));
        [
            row.id.to_string().into(),
            time(row.last_ns).into(),
            Cell::new(&row.kind, if row.decision.as_deref() == Some("deny") { Tone::Bad } else { Tone::Plain }),
            row.count.to_string().into(),
            row.scope.as_deref().unwrap_or("-").into(),
            who.line().into(),
            target.unwrap_or_else(|| "-".to_owned()).into(),
            row.hook.as_deref().unwrap_or("-").into(),
            row.detail.as_deref().unwrap_or("").into(),
        ]
    });
    table::print(screen, columns, lines.collect())
}

/// Where a session went: the configured name where there is one.
pub(super) fn destination(row: &SessionRow) -> String {
    let endpoint = endpoint(&row.dest_addr, row.dest_port);
    row.target.as_ref().map_or_else(|| endpoint.clone(), |target| format!("{target} ({endpoint})"))
}

/// The naming facts of a session's process.
pub(super) fn who(row: &SessionRow) -> Who<'_> {
    Who {
        unit: row.unit.as_deref(),
        login: row.login_user.as_deref(),
        user: row.user.as_deref(),
        uid: Some(row.uid),
        exe: row.exe.as_deref(),
    }
}

/// An outcome, and that an observing scope let pass what would have been denied.
pub(super) fn outcome(outcome: &str, decision: &str) -> Cell {
    if decision == "would-deny" {
        return Cell::new(format!("{outcome}, would be denied"), Tone::Warn);
    }
    let tone = match outcome {
        "completed" | "drained" => Tone::Plain,
        "open" => Tone::Good,
        "denied" | "refused" | "failed" => Tone::Bad,
        _ => Tone::Warn,
    };
    Cell::new(outcome, tone)
}

/// How many characters tell all ids apart, at least [`SHORT_ID`].
fn distinct(ids: &[String]) -> usize {
    let mut sorted: Vec<&str> = ids.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let shared = sorted
        .iter()
        .zip(sorted.iter().skip(1))
        .map(|(a, b)| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count());
    shared.max().unwrap_or(0).saturating_add(1).max(SHORT_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_long_as_they_must_be() {
        let ids = |ids: &[&str]| distinct(&ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        assert_eq!(ids(&[]), SHORT_ID);
        assert_eq!(ids(&["0198c3a2-7b1c-7abc-8123-000000000001", "0198c3a2-7b1d-7abc-8123-000000000001"]), SHORT_ID);
        assert_eq!(ids(&["0198c3a2-7b1c-7abc-8123-000000000001", "0198c3a2-7b1c-7abc-8124-000000000001"]), 23);
    }
}
