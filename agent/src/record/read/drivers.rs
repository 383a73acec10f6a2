//! Where to look first when what is wanted is rare: rows an index names, instead of all rows.
//!
//! Every driver is a query for numbers of rows among which all that fit are found; the conditions themselves are asked
//! of those rows again.

use rusqlite::types::Value;

use super::super::{Decision, Outcome, StoreError};
use super::filter::{Filter, Sql, twice};
use super::segments::Segment;

/// A driver with fewer rows than this is taken without a look at others.
const FEW: i64 = 2_000;
/// Every pair of address and port, a few seeks each: the next port of the address, or the first of the next address.
const PLACES: &str = "WITH RECURSIVE d(x, y) AS (
    SELECT * FROM (SELECT dest_addr, dest_port FROM session ORDER BY dest_addr, dest_port LIMIT 1) UNION ALL SELECT
    CASE WHEN EXISTS (SELECT 1 FROM session WHERE dest_addr = d.x AND dest_port > d.y) THEN d.x
        ELSE (SELECT min(dest_addr) FROM session WHERE dest_addr > d.x) END,
    coalesce((SELECT min(dest_port) FROM session WHERE dest_addr = d.x AND dest_port > d.y),
        (SELECT min(dest_port) FROM session WHERE dest_addr = (SELECT min(dest_addr) FROM session WHERE dest_addr > d.x)))
    FROM d WHERE d.x IS NOT NULL)";

/// The distinct values of an indexed column, one seek each.
fn distinct(table: &str, column: &str) -> String {
    format!(
        "WITH RECURSIVE d(x) AS (SELECT min({column}) FROM {table} WHERE {column} IS NOT NULL UNION ALL
        SELECT (SELECT min({column}) FROM {table} WHERE {column} > d.x) FROM d WHERE d.x IS NOT NULL)"
    )
}

impl Segment {
    /// Of several drivers the one that names fewest rows, and fewer than `many`.
    pub(super) fn rarest(&self, drivers: Vec<Sql>, many: i64) -> Result<Option<Sql>, StoreError> {
        let mut best: Option<(i64, Sql)> = None;
        for driver in drivers {
            let few =
                format!("SELECT json_group_array(seq), count(*) FROM (SELECT seq FROM ({}) LIMIT {FEW})", driver.text);
            let found =
                self.one(&few, driver.values.clone(), |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
            let Some((rows, count)) = found else { continue };
            if count < FEW {
                // They need not be looked up again.
                return Ok(Some(Sql::new("SELECT value AS seq FROM json_each(?)", [rows.into()])));
            }
            let most = best.as_ref().map_or(many, |(count, _)| *count);
            let sql = format!("SELECT count(*) FROM (SELECT 1 FROM ({}) LIMIT {most})", driver.text);
            let count = self.one(&sql, driver.values.clone(), |row| row.get(0))?.unwrap_or(most);
            if count < most {
                best = Some((count, driver));
            }
        }
        Ok(best.map(|(_, driver)| driver))
    }

    /// Drivers for processes: each gives a column `seq`.
    pub(super) fn process_drivers(&self, filter: &Filter) -> Vec<Sql> {
        let mut drivers = Vec::new();
        if let Some(unit) = filter.unit.as_deref().filter(|_| self.has_index("process_user_unit")) {
            let sql = "SELECT seq FROM process WHERE unit = ? UNION ALL
                SELECT seq FROM process WHERE user_unit IS NOT NULL AND user_unit = ?";
            drivers.push(Sql::new(sql, twice(unit)));
        }
        if let Some(user) = filter.user.as_deref().filter(|_| self.has_index("process_login_uid")) {
            let columns = if user.parse::<u32>().is_ok() { ["uid", "login_uid"] } else { ["user", "login_user"] };
            let [a, b] = columns.map(|column| format!("SELECT seq FROM process WHERE {column} = ?"));
            let values = match user.parse::<u32>() {
                Ok(uid) => [Value::from(uid), Value::from(uid)],
                Err(_) => twice(user),
            };
            drivers.push(Sql::new(format!("{a} UNION ALL {b}"), values));
        }
        if let Some(workload) = filter.workload.clone().filter(|_| self.has_index("process_workload")) {
            let sql = format!(
                "{} SELECT p.seq FROM d CROSS JOIN process p WHERE instr(d.x, ?) > 0 AND p.workload = d.x",
                distinct("process", "workload")
            );
            drivers.push(Sql::new(sql, [workload.into()]));
        }
        drivers
    }

    /// Drivers for sessions by what is known of them from the beginning: each gives a column `seq`.
    pub(super) fn beginning_drivers(&self, filter: &Filter) -> Vec<Sql> {
        let of_process = |driver: Sql| {
            let sql = "SELECT s.seq FROM (SELECT seq FROM (";
            let rest = ")) q CROSS JOIN session s WHERE s.process = q.seq";
            Sql::new(format!("{sql}{}{rest}", driver.text), driver.values)
        };
        let mut drivers: Vec<Sql> = self.process_drivers(filter).into_iter().map(of_process).collect();
        let named = |column: &str| {
            let distinct = distinct("session", column);
            format!("{distinct} SELECT s.seq FROM d CROSS JOIN session s WHERE instr(d.x, ?) > 0 AND s.{column} = d.x")
        };
        if let Some(person) = filter.person.clone().filter(|_| self.has_index("session_person")) {
            drivers.push(Sql::new(named("person"), [person.into()]));
        }
        if let Some(target) = filter.target.as_deref()
            && self.has_index("session_destination")
            && self.has_index("session_target")
        {
            let sql = format!(
                "SELECT seq FROM ({PLACES} SELECT s.seq FROM d CROSS JOIN session s
                WHERE instr(CASE WHEN instr(d.x, ':') THEN '[' || d.x || ']' ELSE d.x END || ':' || d.y, ?) > 0
                AND s.dest_addr = d.x AND s.dest_port = d.y) UNION ALL SELECT seq FROM ({})",
                named("target"),
            );
            drivers.push(Sql::new(sql, twice(target)));
        }
        drivers
    }

    /// Drivers for sessions: each gives a column `seq`. `late` names, as a JSON array, sessions of which more is known
    /// from later segments; `newest` says that there is none later.
    pub(super) fn session_drivers(&self, filter: &Filter, late: &str, newest: bool) -> Vec<Sql> {
        let mut drivers = self.beginning_drivers(filter);
        let also_late = |mut driver: Sql| {
            driver.push(Sql::new(" UNION ALL SELECT value FROM json_each(?)", [late.to_owned().into()]));
            if self.has_index("session_continues") {
                let sql = " UNION ALL SELECT seq FROM session WHERE continues IN (SELECT value FROM json_each(?))";
                driver.push(Sql::new(sql, [late.to_owned().into()]));
            }
            driver
        };
        if filter.masked && self.has_index("response_masked") {
            let sql = "SELECT session AS seq FROM response WHERE masked IS NOT NULL
                UNION ALL SELECT session FROM request WHERE masked IS NOT NULL";
            drivers.push(also_late(Sql::new(sql, [])));
        }
        if let Some(decision) = filter.decision.filter(|decision| *decision != Decision::Allow)
            && ["session_decision", "session_end_outcome", "request_decision"].iter().all(|name| self.has_index(name))
        {
            drivers.push(also_late(decided(decision)));
        }
        match filter.outcome {
            Some(outcome) if outcome != Outcome::Completed && self.has_index("session_end_outcome") => {
                let sql = "SELECT session AS seq FROM session_end WHERE outcome <> 'completed' AND outcome = ?";
                drivers.push(also_late(Sql::new(sql, [outcome.as_str().to_owned().into()])));
            }
            // What was open when its segment was closed is in the next one.
            None if filter.open && !newest && self.has_index("session_continues") => {
                drivers.push(also_late(Sql::new("SELECT 0 AS seq WHERE 0", [])));
            }
            // How many are open is quickly counted: mostly they are among the newest, and then the search is over.
            None if filter.open => {
                let sql = "SELECT seq FROM (SELECT seq FROM session s
                    WHERE NOT EXISTS (SELECT 1 FROM session_end e WHERE e.session = s.seq) ORDER BY seq DESC
                    LIMIT (SELECT count(*) FROM session) - (SELECT count(*) FROM session_end))";
                drivers.push(also_late(Sql::new(sql, [])));
            }
            _ => {}
        }
        drivers
    }
}

fn decided(decision: Decision) -> Sql {
    let mut sql = Sql::new(
        "SELECT seq FROM session WHERE decision <> 'allow' AND decision = ?
        UNION ALL SELECT session FROM request WHERE decision <> 0 AND decision = ?",
        [decision.as_str().to_owned().into(), decision.code().into()],
    );
    if decision == Decision::Deny {
        let ends = " UNION ALL SELECT session FROM session_end
            WHERE outcome <> 'completed' AND outcome IN ('denied', 'refused')";
        sql.push(Sql::new(ends, []));
    }
    sql
}
