//! Records for other programs.

mod asciicast;
mod ocsf;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::exit::{Exit, Failure};
use super::super::screen::Screen;
use super::args::{Export, Format, What};
use super::csv;
use crate::record::read::{Filter, PayloadKeys, Session, StatementRow};
use crate::record::{EventRow, SessionDetail, Store};

/// Records fetched at a time.
const PAGE: u32 = 500;

/// Writes what fits.
pub(super) fn run(
    store: &Store,
    args: &Export,
    keys: impl FnOnce() -> PayloadKeys,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let usage = |message: &str| Err(Failure::new(Exit::USAGE, message));
    if args.format == Format::Asciicast {
        let Some(id) = &args.id else { return usage("a terminal is exported session by session: name one") };
        return asciicast::write(store, &store.session(id)?, &keys(), screen);
    }
    let what = match (args.what, args.format) {
        (Some(What::All), Format::Csv) => {
            return usage("CSV has one kind of record: --what sessions, statements or events");
        }
        (None, Format::Csv) => What::Sessions,
        (what, _) => what.unwrap_or(What::All),
    };
    let mut writer = Writer { screen, format: args.format, headed: false };
    let filter = args.which.filter();
    let wants = |kind: What| what == What::All || what == kind;
    if let Some(id) = &args.id {
        let session = store.session(id)?;
        writer.session(store, &session, &filter, what)?;
        if wants(What::Events) {
            store.events_in(&session)?.iter().try_for_each(|event| writer.event(event))?;
        }
        return Ok(());
    }
    if wants(What::Sessions) || wants(What::Statements) {
        sessions(store, &filter, what, &mut writer)?;
    }
    if wants(What::Events) {
        events(store, &filter, &mut writer)?;
    }
    Ok(())
}

fn sessions(store: &Store, filter: &Filter, what: What, writer: &mut Writer<'_>) -> Result<(), Failure> {
    let mut after: Option<String> = None;
    loop {
        let page = store.list_page(filter, after.as_deref(), PAGE)?;
        for row in &page.rows {
            let session = store.session(&row.id.to_string())?;
            writer.session(store, &session, filter, what)?;
        }
        after = page.rows.last().map(|row| row.id.to_string());
        if !page.more {
            return Ok(());
        }
    }
}

fn events(store: &Store, filter: &Filter, writer: &mut Writer<'_>) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = store.events_page(filter, after, PAGE)?;
        page.rows.iter().try_for_each(|event| writer.event(event))?;
        after = page.rows.last().map(|row| row.id);
        if !page.more {
            return Ok(());
        }
    }
}

struct Writer<'a> {
    screen: &'a mut Screen,
    format: Format,
    /// The line with the names of the columns is written.
    headed: bool,
}

impl Writer<'_> {
    fn session(&mut self, store: &Store, session: &Session, filter: &Filter, what: What) -> Result<(), Failure> {
        let detail = &session.detail;
        if what == What::All || what == What::Sessions {
            match self.format {
                Format::Ocsf => self.screen.json(&ocsf::session(detail))?,
                Format::Csv => self.row(detail)?,
                Format::Jsonl | Format::Asciicast => self.typed("session", detail)?,
            }
        }
        if what != What::All && what != What::Statements {
            return Ok(());
        }
        let mut from = 0;
        loop {
            let page = store.statements(session, from, PAGE)?;
            for row in page.rows.iter().filter(|row| fits(row, filter)) {
                self.statement(detail, row)?;
            }
            from = page.rows.last().map_or(from, |row| row.sequence.saturating_add(1));
            if !page.more {
                break;
            }
        }
        if what == What::All && self.format == Format::Jsonl {
            store.approvals_in(session)?.iter().try_for_each(|approval| self.typed("approval", approval))?;
        }
        Ok(())
    }

    fn statement(&mut self, session: &SessionDetail, row: &StatementRow) -> Result<(), Failure> {
        match self.format {
            Format::Ocsf => Ok(self.screen.json(&ocsf::statement(session, row))?),
            Format::Csv => self.row(row),
            Format::Jsonl | Format::Asciicast => self.typed("statement", row),
        }
    }

    fn event(&mut self, row: &EventRow) -> Result<(), Failure> {
        match self.format {
            Format::Ocsf => Ok(self.screen.json(&ocsf::event(row))?),
            Format::Csv => self.row(row),
            Format::Jsonl | Format::Asciicast => self.typed("event", row),
        }
    }

    fn typed(&mut self, what: &'static str, record: &impl Serialize) -> Result<(), Failure> {
        let mut line = json!({ "type": what });
        if let (Some(line), Value::Object(columns)) = (line.as_object_mut(), value_of(record)?) {
            line.extend(columns);
        }
        Ok(self.screen.json(&line)?)
    }

    /// One line; the first one after the names of its fields.
    fn row(&mut self, record: &impl Serialize) -> Result<(), Failure> {
        let Value::Object(columns) = value_of(record)? else { return Ok(()) };
        if !self.headed {
            self.headed = true;
            let names = columns.keys().map(|name| std::borrow::Cow::from(name.as_str()));
            self.screen.bytes(csv::line(names).as_bytes())?;
        }
        Ok(self.screen.bytes(csv::line(columns.values().map(csv::field)).as_bytes())?)
    }
}

fn value_of(record: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(record).map_err(|error| Failure::caused(Exit::IO, &error))
}

/// Whether a statement is one of those asked for, in a session that is.
fn fits(row: &StatementRow, filter: &Filter) -> bool {
    filter.decision.is_none_or(|decision| decision.as_str() == row.decision) && (!filter.masked || row.masked > 0)
}
