//! What is recorded, as it is recorded.

use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::super::exit::Failure;
use super::super::screen::{Screen, Tone, one_line};
use super::amount::{Who, bytes, endpoint, length, time};
use super::args::Follow;
use super::list::{destination, who};
use super::show::{text, tone_of};
use crate::record::read::{ApprovalRow, Followed, StatementRow, Tail};
use crate::record::{EventRow, SessionRow, Store};

/// How often the store is asked; asking costs a few reads of memory.
const EVERY: Duration = Duration::from_millis(150);

/// A record with what it is.
#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(rename = "type")]
    what: &'static str,
    #[serde(flatten)]
    record: &'a T,
}

/// Prints until it is interrupted or nobody reads any more.
pub(super) fn run(store: Store, args: &Follow, screen: &mut Screen) -> Result<(), Failure> {
    let mut tail = Tail::new(store, args.which.filter())?;
    loop {
        let (found, more) = tail.poll()?;
        for followed in &found {
            print(followed, screen)?;
        }
        screen.show()?;
        if !more {
            thread::sleep(EVERY);
        }
    }
}

fn print(followed: &Followed, screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return Ok(match followed {
            Followed::Began(record) => screen.json(&Line { what: "session-began", record }),
            Followed::Ended(record) => screen.json(&Line { what: "session-ended", record }),
            Followed::Statement(record) => screen.json(&Line { what: "statement", record }),
            Followed::Response(record) => screen.json(&Line { what: "response", record }),
            Followed::Approval(record) => screen.json(&Line { what: "approval", record }),
            Followed::Event(record) => screen.json(&Line { what: "event", record }),
        }?);
    }
    let line = match followed {
        Followed::Began(row) => began(row, screen),
        Followed::Ended(row) => ended(row, screen),
        Followed::Statement(row) => statement(row, screen),
        Followed::Response(row) => format!("{}  answer     {}", time(row.time_ns), came_back(row)),
        Followed::Approval(row) => approval(row, screen),
        Followed::Event(row) => event(row, screen),
    };
    Ok(screen.line(line.trim_end())?)
}

fn began(row: &SessionRow, screen: &Screen) -> String {
    let head = screen.tinted("session", Tone::Head);
    let who = one_line(&who(row).line());
    format!("{}  {head}    {}  {who} to {}", time(row.started_ns), row.id, one_line(&destination(row)))
}

fn ended(row: &SessionRow, screen: &Screen) -> String {
    let cell_tone = if row.outcome == "completed" || row.outcome == "drained" { Tone::Plain } else { Tone::Warn };
    let outcome = screen.tinted(&one_line(&row.outcome), cell_tone);
    let ended = row.ended_ns.unwrap_or(row.started_ns);
    let amount = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), bytes);
    format!(
        "{}  end        {}  {outcome} after {}, {} out, {} in",
        time(ended),
        row.id,
        length(ended.saturating_sub(row.started_ns)),
        amount(row.bytes_out),
        amount(row.bytes_in)
    )
}

fn statement(row: &StatementRow, screen: &Screen) -> String {
    let decision = screen.tinted(&one_line(&row.decision), tone_of(&row.decision));
    format!("{}  statement  {}/{}  {decision}  {}", time(row.time_ns), row.session_id, row.sequence, text(row))
}

fn came_back(row: &StatementRow) -> String {
    let rows = row.rows.map(|rows| format!("{rows} rows"));
    let masked = (row.masked > 0).then(|| format!("{} values masked", row.masked));
    let parts = [rows, row.duration_ns.map(length), masked, row.error.as_deref().map(one_line)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}/{}  {}", row.session_id, row.sequence, parts.join(", "))
}

fn approval(row: &ApprovalRow, screen: &Screen) -> String {
    let tone = match row.state.as_str() {
        "approved" => Tone::Good,
        "pending" => Tone::Head,
        _ => Tone::Warn,
    };
    let state = screen.tinted(&one_line(&row.state), tone);
    let session = row.session_id.map(|id| format!("  of {id}")).unwrap_or_default();
    let by = row.by.as_deref().map(|by| format!("  by {}", one_line(by))).unwrap_or_default();
    let reason = row.reason.as_deref().map(|reason| format!(": {}", one_line(reason))).unwrap_or_default();
    format!("{}  approval   {}  {state}{session}{by}{reason}", time(row.requested_ns), row.id)
}

fn event(row: &EventRow, screen: &Screen) -> String {
    let who = Who {
        unit: row.unit.as_deref(),
        login: row.login_user.as_deref(),
        user: row.user.as_deref(),
        uid: row.uid,
        exe: row.exe.as_deref(),
    };
    let tone = if row.decision.as_deref() == Some("deny") { Tone::Bad } else { Tone::Head };
    let kind = screen.tinted(&one_line(&row.kind), tone);
    let to = row.dest_addr.as_deref().map(|address| format!(" to {}", endpoint(address, row.dest_port.unwrap_or(0))));
    let (to, detail) = (to.unwrap_or_default(), row.detail.as_deref().unwrap_or(""));
    let text = one_line(&format!("{}{to}  {detail}", who.line()));
    format!("{}  event      {kind}  {text}", time(row.last_ns))
}
