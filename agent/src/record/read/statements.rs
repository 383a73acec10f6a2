//! Pages of statements of one session, in the order they were sent.

use rusqlite::types::Value;

use super::super::StoreError;
use super::filter::Sql;
use super::found::{StatementRow, statement_row};
use super::list::Part;
use super::segments::{Segment, Store};

/// Columns of a statement, from `r`, `s`, `p`, `a` and the words.
pub(super) const STATEMENT_COLUMNS: &str = "s.id, r.n, r.time_ns, k.text AS kind, t.text AS statement,
    CASE r.decision WHEN 0 THEN 'allow' WHEN 1 THEN 'deny' WHEN 2 THEN 'would-deny' ELSE 'held' END AS decision,
    d.text AS detail, o.text AS policies, f.text AS facts, r.bytes AS bytes_out,
    coalesce(r.bytes_in, a.bytes) AS bytes_in, coalesce(r.rows, a.rows) AS rows,
    coalesce(r.took_ns, a.boot_ns - (r.time_ns - s.started_ns + r.drift_ns)) AS duration_ns,
    CASE coalesce(r.status, a.status) WHEN 0 THEN 'done' WHEN 1 THEN 'error' WHEN 2 THEN 'cut' END AS status,
    x.text AS error, coalesce(r.masked, a.masked) AS masked, m.text AS masks, r.approval, p.workload, s.person, s.scope, s.target, s.dest_addr,
    s.dest_port, p.exe, p.uid, p.user, p.login_user, p.unit, r.seq, r.time_ns - s.started_ns + r.drift_ns AS boot_ns,
    r.parameters";
/// What stands beside a request `r`, which leads: the order is its. What came back is in its own row or in another.
pub(super) const STATEMENT_TABLES: &str = "CROSS JOIN session s ON s.seq = r.session
    CROSS JOIN process p ON p.seq = s.process
    LEFT JOIN response a ON r.status IS NULL AND a.session = r.session AND a.n = r.n";
/// The texts that requests and responses name.
pub(super) const STATEMENT_WORDS: &str = "LEFT JOIN words k ON k.seq = r.kind LEFT JOIN words t ON t.seq = r.statement
    LEFT JOIN words o ON o.seq = r.policies LEFT JOIN words f ON f.seq = r.facts
    LEFT JOIN words d ON d.seq = r.detail 
    LEFT JOIN words x ON x.seq = coalesce(r.error, a.error)
    LEFT JOIN words m ON m.seq = coalesce(r.masks, a.masks)";

/// Some statements of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct StatementPage {
    /// In the order they were sent.
    pub rows: Vec<StatementRow>,
    /// Whether more follow.
    pub more: bool,
}

impl Store {
    /// Statements of a session, from number `from` on, at most `limit`.
    pub(super) fn statements_of(&self, parts: &[Part], from: u64, limit: u32) -> Result<StatementPage, StoreError> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
        let mut rows = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let Some(segment) = self.segment(part.index)? else { continue };
            let missing = i64::try_from(wanted - rows.len()).unwrap_or(i64::MAX);
            let sql = format!(
                "SELECT {STATEMENT_COLUMNS} FROM request r {STATEMENT_TABLES} {STATEMENT_WORDS} WHERE r.session = ? AND r.n >= ?
                ORDER BY r.n LIMIT ?"
            );
            let values = vec![part.seq.into(), from.cast_signed().into(), missing.into()];
            let found = segment.rows(&sql, values, |row| Ok((statement_row(row)?, row.get::<_, i64>("boot_ns")?)))?;
            for (mut row, boot_ns) in found {
                if row.status.is_none() {
                    self.add_late_response(parts.get(at + 1..).unwrap_or_default(), &mut row, boot_ns)?;
                }
                rows.push(row);
            }
            if rows.len() >= wanted {
                break;
            }
        }
        let more = rows.len() >= wanted;
        rows.truncate(wanted - 1);
        Ok(StatementPage { rows, more })
    }

    /// Completes a statement with a response that came when another segment was written.
    pub(super) fn add_late_response(
        &self,
        later: &[Part],
        row: &mut StatementRow,
        boot_ns: i64,
    ) -> Result<(), StoreError> {
        for part in later {
            let Some(segment) = self.segment(part.index)? else { continue };
            if let Some(late) = segment.response(part.seq, row.sequence)? {
                late.lay_over(row, boot_ns);
                break;
            }
        }
        Ok(())
    }
}

/// What came back, without its request.
struct Late {
    boot_ns: i64,
    status: Option<String>,
    rows: Option<u64>,
    bytes: Option<u64>,
    masked: u64,
    masks: serde_json::Value,
    error: Option<String>,
}

impl Late {
    fn lay_over(self, row: &mut StatementRow, request_boot_ns: i64) {
        row.status = self.status;
        row.rows = self.rows;
        row.bytes_in = self.bytes;
        row.masked = self.masked;
        row.masks = self.masks;
        row.error = self.error;
        row.duration_ns = Some(self.boot_ns.saturating_sub(request_boot_ns));
    }
}

impl Segment {
    fn response(&self, session: i64, n: u64) -> Result<Option<Late>, StoreError> {
        let sql = Sql::new(
            "SELECT a.boot_ns, CASE a.status WHEN 0 THEN 'done' WHEN 1 THEN 'error' WHEN 2 THEN 'cut' END AS status,
            a.rows, a.bytes, a.masked, m.text AS masks, x.text AS error FROM response a
            LEFT JOIN words x ON x.seq = a.error LEFT JOIN words m ON m.seq = a.masks
            WHERE a.session = ? AND a.n = ?",
            [session.into(), Value::from(n.cast_signed())],
        );
        self.one(&sql.text, sql.values, |row| {
            let unsigned =
                |name: &str| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(name)?.map(i64::cast_unsigned));
            Ok(Late {
                boot_ns: row.get("boot_ns")?,
                status: row.get("status")?,
                rows: unsigned("rows")?,
                bytes: unsigned("bytes")?,
                masked: unsigned("masked")?.unwrap_or(0),
                masks: super::found::json(row, "masks")?,
                error: row.get("error")?,
            })
        })
    }
}
