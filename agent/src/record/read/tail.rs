//! What is recorded from now on, as it is committed.

use std::rc::Rc;

use rusqlite::Row;

use super::super::StoreError;
use super::events::{EVENT_COLUMNS, EVENT_TABLES};
use super::filter::{Filter, Sql};
use super::found::{ApprovalRow, EventRow, SessionRow, StatementRow, event_row, session_row, statement_row};
use super::list::{SESSION_COLUMNS, SESSION_TABLES};
use super::one::{APPROVAL_COLUMNS, step};
use super::segments::{Segment, Store};
use super::statements::{STATEMENT_COLUMNS, STATEMENT_TABLES, STATEMENT_WORDS};

/// Records looked at in one step, so that a burst does not take all memory.
const STEP: i64 = 4096;

/// Something that was recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Followed {
    /// A session began.
    Began(SessionRow),
    /// It ended.
    Ended(SessionRow),
    /// A statement was decided upon; what came back is there if it came at once.
    Statement(StatementRow),
    /// What came back for a statement given before.
    Response(StatementRow),
    /// A step of an approval, given as one that stands like this.
    Approval(ApprovalRow),
    /// Anything else.
    Event(EventRow),
}

/// Where one is in a store that grows.
#[derive(Debug)]
pub struct Tail {
    store: Store,
    filter: Filter,
    /// Number of the segment that is read.
    number: u64,
    segment: Option<Rc<Segment>>,
    /// Number of the next record.
    next: i64,
}

impl Tail {
    /// Starts at the end of the store. Times do not matter in the filter.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(store: Store, filter: Filter) -> Result<Self, StoreError> {
        let filter = Filter { since_ns: None, until_ns: None, ..filter };
        let newest = store.newest_first().next().unwrap_or(0);
        let (number, segment) = (store.number(newest), store.segment(newest)?);
        let next = segment.as_ref().map_or(Ok(0), |segment| segment.size())?;
        Ok(Self { store, filter, number, segment, next })
    }

    /// What was committed since the last time, in order. Not all at once when it is much: `true` says that there is more.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn poll(&mut self) -> Result<(Vec<Followed>, bool), StoreError> {
        let newer = self.store.again()?;
        let follows = newer.oldest_first().find(|index| newer.number(*index) > self.number);
        let Some(segment) = self.segment.clone() else {
            self.go_on(newer, follows)?;
            return Ok((Vec::new(), self.segment.is_some()));
        };
        // All of it is there when another segment was seen before it was read.
        let (found, end, size) = segment.at_once(|| {
            let size = segment.size()?;
            let end = size.min(self.next.saturating_add(STEP));
            Ok((if end > self.next { self.between(&segment, self.next, end)? } else { Vec::new() }, end, size))
        })?;
        self.next = self.next.max(end);
        if self.next < size {
            return Ok((found, true));
        }
        let goes_on = follows.is_some();
        if goes_on {
            self.go_on(newer, follows)?;
        }
        Ok((found, goes_on))
    }

    fn go_on(&mut self, newer: Store, follows: Option<usize>) -> Result<(), StoreError> {
        let index = follows.or_else(|| newer.newest_first().next());
        if let Some(index) = index
            && let Some(segment) = newer.segment(index)?
        {
            // After damage the log goes on from its last checkpoint, which is before what was read.
            self.next = segment.one("SELECT seq FROM segment", Vec::new(), |row| row.get(0))?.unwrap_or(self.next);
            (self.number, self.segment) = (newer.number(index), Some(segment));
        }
        self.store = newer;
        Ok(())
    }

    /// Everything from one number to before another, in order.
    fn between(&self, segment: &Segment, from: i64, to: i64) -> Result<Vec<Followed>, StoreError> {
        let filter = &self.filter;
        let mut step = Step { segment, filter, from, to, found: Vec::new() };
        let any_stand = filter.standing().is_none();
        if !filter.masked && filter.approval.is_none() {
            if any_stand {
                step.add_began()?;
                step.add_events()?;
            }
            step.add_ended()?;
        }
        if any_stand && !filter.masked && filter.decision.is_none() {
            step.add_approvals()?;
        }
        if any_stand {
            step.add_statements()?;
            step.add_responses()?;
        }
        step.found.sort_by_key(|(at, _)| *at);
        Ok(step.found.into_iter().map(|(_, followed)| followed).collect())
    }
}

/// What is gathered of one segment, with its numbers.
struct Step<'a> {
    segment: &'a Segment,
    filter: &'a Filter,
    from: i64,
    to: i64,
    found: Vec<(i64, Followed)>,
}

impl Step<'_> {
    /// The rows whose number is in this column; all conditions on how their session began hold.
    fn within(&self, column: &str) -> Sql {
        let mut sql = self.numbers(column);
        let beginning = self.filter.beginning();
        if !beginning.text.is_empty() {
            sql.and(&beginning.text, beginning.values);
        }
        sql
    }

    fn numbers(&self, column: &str) -> Sql {
        Sql::new(format!("{column} >= ? AND {column} < ?"), [self.from.into(), self.to.into()])
    }

    fn decision(&self) -> Option<String> {
        self.filter.decision.map(|decision| decision.as_str().to_owned())
    }

    fn add(
        &mut self,
        columns: &str,
        tables: &str,
        conditions: Sql,
        read: fn(&Row<'_>) -> rusqlite::Result<Followed>,
    ) -> Result<(), StoreError> {
        let sql = format!("SELECT {columns} FROM {tables} WHERE {}", conditions.text);
        let rows = self.segment.rows(&sql, conditions.values, |row| Ok((row.get("at")?, read(row)?)))?;
        self.found.extend(rows);
        Ok(())
    }

    fn add_began(&mut self) -> Result<(), StoreError> {
        let mut sql = self.within("s.seq");
        sql.and("s.continues IS NULL", []);
        sql.by("s.decision = ?", self.decision());
        let columns = format!("{SESSION_COLUMNS}, s.seq AS at");
        self.add(&columns, SESSION_TABLES, sql, |row| Ok(Followed::Began(session_row(row)?)))
    }

    fn add_ended(&mut self) -> Result<(), StoreError> {
        let mut sql = self.within("e.seq");
        sql.by("CASE WHEN e.outcome IN ('denied', 'refused') THEN 'deny' ELSE s.decision END = ?", self.decision());
        sql.by("e.outcome = ?", self.filter.standing().map(str::to_owned));
        let tables =
            "session_end e CROSS JOIN session s ON s.seq = e.session CROSS JOIN process p ON p.seq = s.process";
        let columns = format!("{SESSION_COLUMNS}, e.seq AS at");
        self.add(&columns, tables, sql, |row| Ok(Followed::Ended(session_row(row)?)))
    }

    fn add_events(&mut self) -> Result<(), StoreError> {
        let mut sql = self.numbers("v.seq");
        let conditions = self.filter.event();
        if !conditions.text.is_empty() {
            sql.and(&conditions.text, conditions.values);
        }
        let columns = format!("{EVENT_COLUMNS}, v.seq AS at");
        self.add(&columns, EVENT_TABLES, sql, |row| Ok(Followed::Event(event_row(row)?)))
    }

    fn add_approvals(&mut self) -> Result<(), StoreError> {
        let mut sql = self.within("a.seq");
        sql.by("a.state = ?", self.filter.approval.map(|state| state.as_str().to_owned()));
        let tables = "approval a LEFT JOIN session s ON s.seq = a.session LEFT JOIN process p ON p.seq = s.process";
        let columns = format!("{APPROVAL_COLUMNS}, a.seq AS at");
        self.add(&columns, tables, sql, |row| Ok(Followed::Approval(step(row)?.row)))
    }

    fn add_statements(&mut self) -> Result<(), StoreError> {
        let mut sql = self.within("r.seq");
        self.statement(&mut sql);
        let tables = format!("request r {STATEMENT_TABLES} {STATEMENT_WORDS}");
        let columns = format!("{STATEMENT_COLUMNS}, r.seq AS at");
        self.add(&columns, &tables, sql, |row| Ok(Followed::Statement(statement_row(row)?)))
    }

    /// Responses to statements that were given before.
    fn add_responses(&mut self) -> Result<(), StoreError> {
        let mut sql = self.within("a.seq");
        sql.and("r.seq < ?", [self.from.into()]);
        self.statement(&mut sql);
        let tables = format!(
            "response a CROSS JOIN request r ON r.session = a.session AND r.n = a.n
            CROSS JOIN session s ON s.seq = r.session CROSS JOIN process p ON p.seq = s.process {STATEMENT_WORDS}"
        );
        let columns = format!("{STATEMENT_COLUMNS}, a.seq AS at");
        self.add(&columns, &tables, sql, |row| Ok(Followed::Response(statement_row(row)?)))
    }

    fn statement(&self, sql: &mut Sql) {
        sql.by("r.decision = ?", self.filter.decision.map(|decision| i64::from(decision.code())));
        if self.filter.masked {
            sql.and("coalesce(r.masked, a.masked) IS NOT NULL", []);
        }
        let stands = "(SELECT z.state FROM approval z WHERE z.id = r.approval ORDER BY z.seq DESC LIMIT 1) = ?";
        sql.by(stands, self.filter.approval.map(|state| state.as_str().to_owned()));
    }
}

impl Segment {
    /// How far the log goes.
    fn size(&self) -> Result<i64, StoreError> {
        Ok(self.one("SELECT size FROM head", Vec::new(), |row| row.get(0))?.unwrap_or(0))
    }
}
