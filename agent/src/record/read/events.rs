//! Pages of events, newest first.

use rusqlite::types::Value;

use super::super::StoreError;
use super::filter::{Filter, Sql, endpoint};
use super::found::{EventRow, event_row};
use super::list::{Page, Part};
use super::segments::{Segment, Store};

/// So many of the newest events are looked at one by one before an index is asked.
const WINDOW: u32 = 20_000;
/// An index that names more processes than this is no help.
const MANY: i64 = 200_000;
/// Records of several threads come in this much out of order at most, nanoseconds.
pub(super) const DISORDER: i64 = 60_000_000_000;
/// Events alike are made into one for less than this, nanoseconds.
const LONGEST: i64 = 3_600_000_000_000;

pub(super) const EVENT_COLUMNS: &str = "v.seq AS id, v.first_ns, v.last_ns, v.kind, v.hook, v.decision, v.scope,
    v.count, p.workload, coalesce(p.pid, v.pid) AS pid, coalesce(p.uid, v.uid) AS uid,
    coalesce(p.cgroup_id, v.cgroup_id) AS cgroup_id, p.exe, p.user, p.login_user, p.unit, v.protocol, v.dest_addr,
    v.dest_port, v.detail, s.id AS session_id, v.data";
pub(super) const EVENT_TABLES: &str =
    "event v LEFT JOIN process p ON p.seq = v.process LEFT JOIN session s ON s.seq = v.session";

impl Store {
    /// The events that fit, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn events(&self, filter: &Filter) -> Result<Vec<EventRow>, StoreError> {
        Ok(self.events_page(filter, None, filter.limit.unwrap_or(u32::MAX))?.rows)
    }

    /// The events that fit, newest first, at most `limit` older than the one of number `after`. How sessions end, and
    /// what is masked or approved in them, does not matter here.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn events_page(&self, filter: &Filter, after: Option<i64>, limit: u32) -> Result<Page<EventRow>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let wanted = limit.saturating_add(1);
        let mut rows = Vec::new();
        for index in self.newest_first() {
            let Some(segment) = self.segment(index)? else { continue };
            segment.events(filter, after.unwrap_or(i64::MAX), wanted, &mut rows)?;
            if rows.len() >= wanted {
                break;
            }
        }
        Ok(Page::of(rows, limit))
    }

    /// The events that happened in a session, oldest first.
    pub(super) fn events_of(&self, parts: &[Part]) -> Result<Vec<EventRow>, StoreError> {
        let mut rows = Vec::new();
        for part in parts {
            let Some(segment) = self.segment(part.index)? else { continue };
            let sql = format!(
                "SELECT {EVENT_COLUMNS} FROM {EVENT_TABLES} WHERE v.session IS NOT NULL AND v.session = ? ORDER BY v.seq"
            );
            rows.extend(segment.rows(&sql, vec![part.seq.into()], event_row)?);
        }
        Ok(rows)
    }
}

impl Filter {
    /// The conditions on an event `v` with its process `p` and session `s`.
    pub(super) fn event(&self) -> Sql {
        let mut sql = self.process();
        sql.by("v.last_ns >= ?", self.since_ns);
        sql.by("v.first_ns < ?", self.until_ns);
        sql.by("v.decision = ?", self.decision.map(|decision| decision.as_str().to_owned()));
        sql.by("instr(s.person, ?) > 0", self.person.clone());
        sql.by(&format!("instr({}, ?) > 0", endpoint("v")), self.target.clone());
        sql
    }
}

impl Segment {
    fn events(&self, filter: &Filter, after: i64, wanted: usize, rows: &mut Vec<EventRow>) -> Result<(), StoreError> {
        let fetch = |more: Sql, rows: &mut Vec<EventRow>| {
            let mut conditions = more;
            let filter = filter.event();
            if !filter.text.is_empty() {
                conditions.and(&filter.text, filter.values);
            }
            let missing = i64::try_from(wanted - rows.len()).unwrap_or(i64::MAX);
            conditions.values.push(missing.into());
            let sql = format!(
                "SELECT {EVENT_COLUMNS} FROM {EVENT_TABLES} WHERE {} ORDER BY v.seq DESC LIMIT ?",
                conditions.text
            );
            rows.extend(self.rows(&sql, conditions.values, event_row)?);
            Ok::<(), StoreError>(())
        };
        let (low, high) = self.event_range(filter, after)?;
        let floor = self.one(
            "SELECT min(seq), count(*) FROM (SELECT seq FROM event WHERE seq < ? AND seq >= ? ORDER BY seq DESC LIMIT ?)",
            vec![high.into(), low.into(), WINDOW.into()],
            |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, u32>(1)?)),
        )?;
        let Some((Some(floor), count)) = floor else { return Ok(()) };
        fetch(Sql::new("v.seq < ? AND v.seq >= ?", [high.into(), floor.into()]), rows)?;
        if count < WINDOW || rows.len() >= wanted {
            return Ok(());
        }
        let mut rest = Sql::new("v.seq < ? AND v.seq >= ?", [Value::from(floor), low.into()]);
        let drivers = if self.has_index("event_process") { self.process_drivers(filter) } else { Vec::new() };
        if let Some(driver) = self.rarest(drivers, MANY)? {
            let condition = format!(
                "v.seq IN (SELECT w.seq FROM (SELECT seq FROM ({})) q CROSS JOIN event w
                WHERE w.process IS NOT NULL AND w.process = q.seq)",
                driver.text
            );
            rest.and(&condition, driver.values);
        }
        fetch(rest, rows)
    }

    /// The numbers between which events of the time asked for lie.
    fn event_range(&self, filter: &Filter, after: i64) -> Result<(i64, i64), StoreError> {
        let steady = self.has_steady_clock()?;
        let low = match filter.since_ns {
            Some(since) if steady => self.first_at("event", "last_ns", since.saturating_sub(DISORDER))?,
            _ => 0,
        };
        let high = match filter.until_ns {
            Some(until) if steady => self.first_at("event", "last_ns", until.saturating_add(LONGEST))?.min(after),
            _ => after,
        };
        Ok((low, high))
    }

    /// Whether the wall clock never went back while this segment was written, so far as that is easily known.
    pub(super) fn has_steady_clock(&self) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM event WHERE kind = 'clock-stepped' LIMIT 1";
        Ok(self.has_index("event_clock_stepped") && self.one(sql, Vec::new(), |_| Ok(()))?.is_none())
    }

    /// The number of the first row of a table that is not older than `time`, where rows are in order of time.
    pub(super) fn first_at(&self, table: &str, column: &str, time: i64) -> Result<i64, StoreError> {
        let edges = format!("SELECT min(seq) FROM {table} UNION ALL SELECT max(seq) FROM {table}");
        let edges = self.rows(&edges, Vec::new(), |row| row.get::<_, Option<i64>>(0))?;
        let &[Some(mut low), Some(last)] = edges.as_slice() else { return Ok(0) };
        let mut high = last + 1;
        let probe = format!("SELECT seq, {column} FROM {table} WHERE seq >= ? ORDER BY seq LIMIT 1");
        while low < high {
            let middle = low + (high - low) / 2;
            let found =
                self.one(&probe, vec![middle.into()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
            match found {
                Some((seq, at)) if at < time => low = seq + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }
}
