//! What later segments say of sessions that began in earlier ones.

use std::collections::HashMap;

use rusqlite::Row;

use super::super::{Decision, StoreError};
use super::filter::{Filter, Sql};
use super::found::SessionRow;
use super::segments::Segment;

/// What came later, by the number of a session's first row.
#[derive(Debug, Default)]
pub(super) struct Carried(HashMap<i64, Later>);

#[derive(Clone, Debug, Default)]
struct Later {
    end: Option<End>,
    decided: bool,
    masked: bool,
}

/// How a session ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) outcome: String,
    pub(super) detail: Option<String>,
    pub(super) bytes_out: Option<u64>,
    pub(super) bytes_in: Option<u64>,
    pub(super) ended_ns: Option<i64>,
    pub(super) ended_boot_ns: Option<u64>,
}

impl End {
    /// From columns with the names of `session_end`'s; `None` where there is no end.
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let Some(outcome) = row.get("outcome")? else { return Ok(None) };
        let unsigned = |name: &str| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(name)?.map(i64::cast_unsigned));
        Ok(Some(Self {
            outcome,
            detail: row.get("detail")?,
            bytes_out: unsigned("bytes_out")?,
            bytes_in: unsigned("bytes_in")?,
            ended_ns: row.get("ended_ns")?,
            ended_boot_ns: unsigned("ended_boot_ns")?,
        }))
    }

    /// Puts it into a row.
    pub(super) fn lay_over(self, row: &mut SessionRow) {
        row.outcome = self.outcome;
        row.detail = self.detail;
        row.bytes_out = self.bytes_out;
        row.bytes_in = self.bytes_in;
        row.ended_ns = self.ended_ns;
    }
}

/// Whether a statement of the session `s` was decided like this.
pub(super) fn statement_decided(decision: Decision) -> Sql {
    Sql::new(
        "EXISTS (SELECT 1 FROM request r WHERE r.session = s.seq AND r.decision <> 0 AND r.decision = ?)",
        [decision.code().into()],
    )
}

/// Whether something was masked in the session `s`.
pub(super) const MASKED: &str = "(EXISTS (SELECT 1 FROM request r WHERE r.session = s.seq AND r.masked IS NOT NULL)
    OR EXISTS (SELECT 1 FROM response a WHERE a.session = s.seq AND a.masked IS NOT NULL))";

/// The columns `decided` and `masked` of the session `s`: only what the filter asks for is looked up.
pub(super) fn extra_columns(filter: &Filter) -> Sql {
    let mut sql = match filter.decision {
        Some(decision) => statement_decided(decision),
        None => Sql::new("0", []),
    };
    sql.text.push_str(" AS decided, ");
    sql.text.push_str(if filter.masked { MASKED } else { "0" });
    sql.text.push_str(" AS masked");
    sql
}

impl Carried {
    /// Adds what a segment says of sessions that began before it. Segments are given newest first.
    pub(super) fn learn(&mut self, segment: &Segment, filter: &Filter) -> Result<(), StoreError> {
        let mut sql = Sql::new(
            "SELECT s.continues, e.outcome, e.detail, e.bytes_out, e.bytes_in, e.ended_ns, e.ended_boot_ns, ",
            [],
        );
        sql.push(extra_columns(filter));
        let tables = " FROM session s LEFT JOIN session_end e ON e.session = s.seq WHERE s.continues IS NOT NULL";
        sql.push(Sql::new(tables, []));
        segment.each(&sql.text, sql.values, |row| {
            let later = self.0.entry(row.get("continues")?).or_default();
            if later.end.is_none() {
                later.end = End::of(row)?;
            }
            later.decided |= row.get::<_, bool>("decided")?;
            later.masked |= row.get::<_, bool>("masked")?;
            Ok(true)
        })
    }

    /// The first rows' numbers, a JSON array.
    pub(super) fn keys(&self) -> String {
        let keys: Vec<String> = self.0.keys().map(i64::to_string).collect();
        format!("[{}]", keys.join(","))
    }

    /// Lays over what came later. False when the session, seen as a whole, does not fit.
    pub(super) fn complete(&self, key: i64, row: &mut SessionRow, found: Here, filter: &Filter) -> bool {
        let Some(later) = self.0.get(&key).cloned() else { return true };
        if let Some(end) = later.end {
            end.lay_over(row);
        }
        let refused = matches!(row.outcome.as_str(), "denied" | "refused");
        let decision = if refused { "deny" } else { row.decision.as_str() };
        filter.standing().is_none_or(|standing| standing == row.outcome)
            && filter.decision.is_none_or(|d| d.as_str() == decision || later.decided || found.decided)
            && (!filter.masked || later.masked || found.masked)
    }
}

/// What the first segment itself says about what is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here {
    pub(super) decided: bool,
    pub(super) masked: bool,
}
