//! Pages of sessions, newest first.

use rusqlite::Row;
use rusqlite::types::Value;

use super::super::{ApprovalState, Decision, SessionId, StoreError};
use super::carried::{Carried, Here, MASKED, extra_columns, statement_decided};
use super::filter::{Filter, Sql};
use super::found::{SessionRow, session_row};
use super::segments::{Segment, Store};

/// Some of what fits, and whether there is more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// Whether more fits.
    pub more: bool,
}

impl<T> Page<T> {
    /// Cuts what was fetched, one more than wanted, to the page.
    pub(super) fn of(mut rows: Vec<T>, limit: usize) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        Self { rows, more }
    }
}

/// So many of the newest sessions are looked at one by one before an index is asked where those that fit are.
const WINDOW: u32 = 4_000;
/// An index that names more than this is no help.
const MANY: i64 = 400_000;

/// Columns of a session for a list, from `s`, `p` and `e`.
pub(super) const SESSION_COLUMNS: &str = "s.id, s.started_ns, e.ended_ns, s.scope, p.workload, s.decision,
    coalesce(e.outcome, 'open') AS outcome, e.detail, s.protocol, s.client_addr, s.client_port, s.dest_addr,
    s.dest_port, e.bytes_out, e.bytes_in, p.pid, p.exe, p.uid, p.user, p.login_user, p.login_uid, p.unit, p.container,
    s.person, s.target, s.seq, coalesce(s.continues, s.seq) AS first";
/// Sessions lead: the order is theirs.
pub(super) const SESSION_TABLES: &str =
    "session s CROSS JOIN process p ON p.seq = s.process LEFT JOIN session_end e ON e.session = s.seq";

/// What fits, as far as it can be said before a segment is looked at.
struct Query<'a> {
    filter: &'a Filter,
    /// Ids of the sessions with such an approval, a JSON array of hexadecimal texts.
    approved: Option<String>,
    wanted: usize,
}

/// A segment and what is known besides about its sessions.
struct Place<'a> {
    segment: &'a Segment,
    carried: &'a Carried,
    late: String,
    newest: bool,
    gap: Option<i64>,
}

/// Just before the last row that was given: start and number.
type Below = (i64, i64);

impl Store {
    /// The sessions that fit, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<Vec<SessionRow>, StoreError> {
        Ok(self.list_page(filter, None, filter.limit.unwrap_or(u32::MAX))?.rows)
    }

    /// The sessions that fit, newest first, at most `limit` after the one named.
    ///
    /// # Errors
    /// When the store cannot be read, or has no such session.
    pub fn list_page(&self, filter: &Filter, after: Option<&str>, limit: u32) -> Result<Page<SessionRow>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let approved = filter.approval.map(|state| self.sessions_with(state)).transpose()?;
        let query = Query { filter, approved, wanted: limit.saturating_add(1) };
        let start = after.map(|id| self.place_of(id)).transpose()?;
        let mut carried = Carried::default();
        let mut rows = Vec::new();
        let mut newest = true;
        for index in self.newest_first() {
            let Some(segment) = self.segment(index)? else { continue };
            let below = match start {
                Some((at, _)) if index > at => None,
                Some((at, below)) if index == at => Some(below),
                _ => Some((i64::MAX, i64::MAX)),
            };
            if let Some(below) = below {
                let (late, gap) = (carried.keys(), self.gap_before(index)?);
                let place = Place { segment: &segment, carried: &carried, late, newest, gap };
                query.fill(&place, below, &mut rows)?;
            }
            if rows.len() >= query.wanted {
                break;
            }
            newest = false;
            if index > 0 {
                carried.learn(&segment, filter)?;
            }
        }
        Ok(Page::of(rows, limit))
    }

    /// Where the first row of a session is.
    fn place_of(&self, id: &str) -> Result<(usize, Below), StoreError> {
        let parts = self.find(id)?;
        let first = parts.first().ok_or_else(|| StoreError::NoSession { id: id.to_owned() })?;
        Ok((first.index, (first.started_ns, first.seq)))
    }

    /// The sessions with an approval that stands like this.
    fn sessions_with(&self, state: ApprovalState) -> Result<String, StoreError> {
        let approvals = self.standing_approvals(state)?;
        let ids = approvals.iter().filter_map(|one| one.session.as_ref()).map(|id| hex(id.as_bytes()));
        Ok(json_list(ids))
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A JSON array of texts without anything to escape.
pub(super) fn json_list(texts: impl Iterator<Item = String>) -> String {
    let quoted: Vec<String> = texts.map(|text| format!("\"{text}\"")).collect();
    format!("[{}]", quoted.join(","))
}

impl Query<'_> {
    /// Adds the rows of one segment until there are as many as wanted: the newest by looking, the rest by an index.
    fn fill(&self, place: &Place<'_>, below: Below, rows: &mut Vec<SessionRow>) -> Result<(), StoreError> {
        let below = match self.filter.until_ns {
            Some(until) if until <= below.0 => (until, i64::MIN),
            _ => below,
        };
        if self.asks_nothing() {
            return self.fetch(place, &Sql::default(), below, rows);
        }
        let floor = place.segment.one(
            "SELECT min(started_ns), count(*) FROM (SELECT started_ns FROM session WHERE started_ns <= ?
            ORDER BY started_ns DESC LIMIT ?)",
            vec![below.0.into(), WINDOW.into()],
            |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, u32>(1)?)),
        )?;
        let Some((Some(floor), count)) = floor else { return Ok(()) };
        self.fetch(place, &Sql::new("s.started_ns >= ?", [floor.into()]), below, rows)?;
        let exhausted = count < WINDOW || self.filter.since_ns.is_some_and(|since| floor < since);
        if exhausted || rows.len() >= self.wanted {
            return Ok(());
        }
        let below = (floor, i64::MIN);
        let mut drivers = Vec::new();
        if let Some(approved) = &self.approved {
            let sql = "SELECT seq FROM session WHERE id IN (SELECT unhex(value) FROM json_each(?))";
            drivers.push(Sql::new(sql, [approved.clone().into()]));
        }
        drivers.extend(place.segment.session_drivers(self.filter, &place.late, place.newest));
        match place.segment.rarest(drivers, MANY)? {
            Some(driver) => {
                let sql = Sql::new(format!("s.seq IN (SELECT seq FROM ({}))", driver.text), driver.values);
                self.fetch_driven(place, &sql, below, rows)
            }
            None => self.fetch(place, &Sql::default(), below, rows),
        }
    }

    /// Whether every session fits that is not too young: then nothing has to be looked for.
    fn asks_nothing(&self) -> bool {
        let Filter { since_ns, until_ns, limit, .. } = *self.filter;
        *self.filter == Filter { since_ns, until_ns, limit, ..Filter::default() }
    }

    fn fetch(&self, place: &Place<'_>, more: &Sql, below: Below, rows: &mut Vec<SessionRow>) -> Result<(), StoreError> {
        self.fetch_in_order("s.started_ns", place, (more, below), rows)
    }

    /// The same where the rows come from a driver: the plus keeps SQLite from going through all starts instead.
    fn fetch_driven(
        &self,
        place: &Place<'_>,
        driver: &Sql,
        below: Below,
        rows: &mut Vec<SessionRow>,
    ) -> Result<(), StoreError> {
        self.fetch_in_order("+s.started_ns", place, (driver, below), rows)
    }

    fn fetch_in_order(
        &self,
        started: &str,
        place: &Place<'_>,
        (more, mut below): (&Sql, Below),
        rows: &mut Vec<SessionRow>,
    ) -> Result<(), StoreError> {
        while rows.len() < self.wanted {
            let missing = self.wanted - rows.len();
            let sql = self.sql(started, place, (more, below), missing);
            let found = place.segment.rows(&sql.text, sql.values, candidate)?;
            let complete = found.len() < missing;
            for mut candidate in found {
                below = (candidate.row.started_ns, candidate.seq);
                if place.carried.complete(candidate.first, &mut candidate.row, candidate.here, self.filter) {
                    rows.push(candidate.row);
                }
            }
            if complete {
                break;
            }
        }
        Ok(())
    }

    fn sql(&self, started: &str, place: &Place<'_>, (more, below): (&Sql, Below), limit: usize) -> Sql {
        let mut sql = Sql::new(format!("SELECT {SESSION_COLUMNS}, "), []);
        sql.push(extra_columns(self.filter));
        let mut conditions = Sql::default();
        if !more.text.is_empty() {
            conditions.and(&more.text, more.values.clone());
        }
        conditions.and(&format!("({started}, s.seq) < (?, ?)"), [below.0.into(), below.1.into()]);
        conditions.by(&format!("{started} >= ?"), self.filter.since_ns);
        self.conditions(place, &mut conditions);
        sql.push(Sql::new(format!(" FROM {SESSION_TABLES} WHERE "), []));
        sql.push(conditions);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        sql.push(Sql::new(format!(" ORDER BY {started} DESC, s.seq DESC LIMIT ?"), [limit.into()]));
        sql
    }

    /// Everything but the time. Of a session that goes on in a later segment only the beginning is judged here.
    fn conditions(&self, place: &Place<'_>, sql: &mut Sql) {
        let filter = self.filter;
        let beginning = filter.beginning();
        if !beginning.text.is_empty() {
            sql.and(&beginning.text, beginning.values);
        }
        match place.gap {
            Some(size) => sql.and("s.continues IS NULL OR s.continues >= ?", [size.into()]),
            None => sql.and("s.continues IS NULL", []),
        }
        let mut or_late = |condition: &str, values: Vec<Value>| {
            let late = "coalesce(s.continues, s.seq) IN (SELECT value FROM json_each(?))";
            let values = values.into_iter().chain([place.late.clone().into()]);
            sql.and(&format!("{condition} OR {late}"), values);
        };
        if let Some(standing) = filter.standing() {
            or_late("coalesce(e.outcome, 'open') = ?", vec![standing.to_owned().into()]);
        }
        if let Some(decision) = filter.decision {
            let own = "CASE WHEN e.outcome IN ('denied', 'refused') THEN 'deny' ELSE s.decision END = ?";
            let mut condition = Sql::new(own, [decision.as_str().to_owned().into()]);
            if decision != Decision::Allow {
                condition.push(Sql::new(" OR ", []));
                condition.push(statement_decided(decision));
            }
            or_late(&condition.text, condition.values);
        }
        if filter.masked {
            or_late(MASKED, Vec::new());
        }
        if let Some(approved) = &self.approved {
            sql.and("s.id IN (SELECT unhex(value) FROM json_each(?))", [approved.clone().into()]);
        }
    }
}

struct Candidate {
    row: SessionRow,
    seq: i64,
    first: i64,
    here: Here,
}

fn candidate(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        row: session_row(row)?,
        seq: row.get("seq")?,
        first: row.get("first")?,
        here: Here { decided: row.get("decided")?, masked: row.get("masked")? },
    })
}

/// A session's row in one of the segments it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) index: usize,
    pub(super) seq: i64,
    pub(super) id: SessionId,
    pub(super) started_ns: i64,
}

/// The first and the last id that begin with these digits.
pub(super) fn id_range(prefix: &str) -> Option<([u8; 16], [u8; 16])> {
    let digits: String = prefix.chars().filter(|c| *c != '-').collect();
    if digits.is_empty() || digits.len() > 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let filled = |fill: &str| {
        let text = format!("{digits}{}", fill.repeat(32 - digits.len()));
        u128::from_str_radix(&text, 16).ok().map(u128::to_be_bytes)
    };
    Some((filled("0")?, filled("f")?))
}
