//! Everything about one session, from all segments it is in.

use std::collections::HashMap;

use rusqlite::Row;

use super::super::{ApprovalState, SessionId, StoreError};
use super::carried::End;
use super::found::{ApprovalRow, EventRow, SessionDetail, parsed, session_detail};
use super::list::{Part, SESSION_COLUMNS, SESSION_TABLES, hex, id_range, json_list};
use super::segments::Store;
use super::statements::StatementPage;

const DETAIL_COLUMNS: &str = "s.netns, s.started_boot_ns, e.ended_boot_ns,
    p.started_boot_ns AS process_started_boot_ns, p.exe_sha256, p.exe_on_host, p.argv, p.gid, p.login_session,
    p.user_unit, p.slice, p.cgroup, p.cgroup_id, p.parents, p.attestation, s.tls, s.policies, s.tags";

/// What [`step`] reads.
pub(super) const APPROVAL_COLUMNS: &str =
    "a.id, s.id AS session_id, a.n, a.state, a.digest, a.time_ns, a.by, a.reason, a.data";

/// One session and where its rows are.
#[derive(Clone, Debug)]
pub struct Session {
    /// What is known of it.
    pub detail: SessionDetail,
    pub(super) parts: Vec<Part>,
}

/// An approval, or one step in its life.
pub(super) struct Approval {
    pub(super) id: [u8; 16],
    pub(super) session: Option<SessionId>,
    pub(super) row: ApprovalRow,
}

impl Store {
    /// What is known of one session by its id, or by as much of it as no other begins with.
    ///
    /// # Errors
    /// When there is no such session or there are several, or the store cannot be read.
    pub fn show(&self, id: &str) -> Result<SessionDetail, StoreError> {
        Ok(self.session(id)?.detail)
    }

    /// The same, to ask for more of it.
    ///
    /// # Errors
    /// When there is no such session or there are several, or the store cannot be read.
    pub fn session(&self, id: &str) -> Result<Session, StoreError> {
        let parts = self.find(id)?;
        let sql = format!("SELECT {SESSION_COLUMNS}, {DETAIL_COLUMNS} FROM {SESSION_TABLES} WHERE s.seq = ?");
        let mut detail: Option<SessionDetail> = None;
        for part in &parts {
            let Some(segment) = self.segment(part.index)? else { continue };
            let read = |row: &Row<'_>| Ok((session_detail(row)?, End::of(row)?));
            let Some((found, end)) = segment.one(&sql, vec![part.seq.into()], read)? else { continue };
            match (&mut detail, end) {
                (None, _) => detail = Some(found),
                (Some(_), None) => {}
                (Some(first), Some(end)) if end.outcome != "open" => {
                    first.ended_boot_ns = end.ended_boot_ns;
                    end.lay_over(&mut first.session);
                }
                (Some(_), Some(_)) => {}
            }
        }
        let detail = detail.ok_or_else(|| StoreError::NoSession { id: id.to_owned() })?;
        Ok(Session { detail, parts })
    }

    /// The statements of a session from number `from` on, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn statements(&self, session: &Session, from: u64, limit: u32) -> Result<StatementPage, StoreError> {
        self.statements_of(&session.parts, from, limit)
    }

    /// How many statements a session has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn count_statements(&self, session: &Session) -> Result<u64, StoreError> {
        let mut count = 0;
        for part in &session.parts {
            let Some(segment) = self.segment(part.index)? else { continue };
            let sql = "SELECT count(*) FROM request WHERE session = ?";
            count += segment.one(sql, vec![part.seq.into()], |row| row.get::<_, i64>(0))?.unwrap_or(0).cast_unsigned();
        }
        Ok(count)
    }

    /// The numbers of the segments a session is in.
    #[must_use]
    pub fn segments_of(&self, session: &Session) -> Vec<u64> {
        session.parts.iter().map(|part| self.number(part.index)).collect()
    }

    /// The events that happened in a session, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn events_in(&self, session: &Session) -> Result<Vec<EventRow>, StoreError> {
        self.events_of(&session.parts)
    }

    /// The approvals that were asked for in a session, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn approvals_in(&self, session: &Session) -> Result<Vec<ApprovalRow>, StoreError> {
        let id = session.detail.session.id;
        let mut ids: Vec<[u8; 16]> = Vec::new();
        for part in &session.parts {
            let Some(segment) = self.segment(part.index)? else { continue };
            let sql = "SELECT DISTINCT id FROM approval WHERE session = ?";
            ids.extend(segment.rows(sql, vec![part.seq.into()], |row| row.get::<_, [u8; 16]>(0))?);
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = json_list(ids.iter().map(|id| hex(id)));
        let condition = "a.id IN (SELECT unhex(value) FROM json_each(?))";
        let approvals = self.approvals_where(condition, &wanted)?;
        Ok(approvals.into_iter().filter(|one| one.session == Some(id)).map(|one| one.row).collect())
    }

    /// Every approval that was asked for at or after `since_ns` and before `until_ns`, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn approvals(&self, since_ns: i64, until_ns: i64) -> Result<Vec<ApprovalRow>, StoreError> {
        let all = self.approvals_where("? = ''", "")?;
        let wanted = |row: &ApprovalRow| row.requested_ns >= since_ns && row.requested_ns < until_ns;
        Ok(all.into_iter().map(|one| one.row).filter(wanted).collect())
    }

    /// The approvals that stand like this, with their sessions.
    pub(super) fn standing_approvals(&self, state: ApprovalState) -> Result<Vec<Approval>, StoreError> {
        let all = self.approvals_where("? = ''", "")?;
        Ok(all.into_iter().filter(|one| one.row.state == state.as_str()).collect())
    }

    /// Approvals with all their steps made into one row, in the order they were asked for.
    fn approvals_where(&self, condition: &str, value: &str) -> Result<Vec<Approval>, StoreError> {
        let sql = format!(
            "SELECT {APPROVAL_COLUMNS} FROM approval a LEFT JOIN session s ON s.seq = a.session WHERE {condition} ORDER BY a.seq"
        );
        let mut known: HashMap<[u8; 16], usize> = HashMap::new();
        let mut found: Vec<Approval> = Vec::new();
        for index in self.oldest_first() {
            let Some(segment) = self.segment(index)? else { continue };
            for step in segment.rows(&sql, vec![value.to_owned().into()], step)? {
                match known.get(&step.id).and_then(|at| found.get_mut(*at)) {
                    None => {
                        known.insert(step.id, found.len());
                        found.push(step);
                    }
                    Some(Approval { session, row, .. }) => {
                        *session = session.or(step.session);
                        row.session_id = *session;
                        row.decided_ns = Some(step.row.requested_ns);
                        row.state = step.row.state;
                        row.by = step.row.by;
                        row.reason = step.row.reason;
                        row.granted = step.row.request;
                    }
                }
            }
        }
        Ok(found)
    }

    /// The rows of a session in all segments, oldest first.
    pub(super) fn find(&self, id: &str) -> Result<Vec<Part>, StoreError> {
        let (low, high) = id_range(id).ok_or_else(|| StoreError::NotAnId { id: id.to_owned() })?;
        let mut parts: Vec<Part> = Vec::new();
        let sql = "SELECT id, seq, started_ns FROM session WHERE id BETWEEN ? AND ? LIMIT 2";
        for index in self.oldest_first() {
            let Some(segment) = self.segment(index)? else { continue };
            let values = vec![low.to_vec().into(), high.to_vec().into()];
            let found = segment.rows(sql, values, |row| {
                let id = SessionId::from_bytes(row.get(0)?);
                Ok(Part { index, id, seq: row.get(1)?, started_ns: row.get(2)? })
            });
            parts.extend(found?);
        }
        let Some(first) = parts.first().map(|part| part.id) else {
            return Err(StoreError::NoSession { id: id.to_owned() });
        };
        if parts.iter().any(|part| part.id != first) {
            return Err(StoreError::Ambiguous { id: id.to_owned() });
        }
        Ok(parts)
    }
}

pub(super) fn step(row: &Row<'_>) -> rusqlite::Result<Approval> {
    let id: [u8; 16] = row.get("id")?;
    let session = row.get::<_, Option<[u8; 16]>>("session_id")?.map(SessionId::from_bytes);
    Ok(Approval {
        id,
        session,
        row: ApprovalRow {
            id: hex(&id),
            session_id: session,
            sequence: row.get::<_, Option<i64>>("n")?.map(i64::cast_unsigned),
            state: row.get("state")?,
            requested_ns: row.get("time_ns")?,
            decided_ns: None,
            by: row.get("by")?,
            reason: row.get("reason")?,
            request: parsed(row.get("data")?),
            granted: serde_json::Value::Null,
            digest: hex(&row.get::<_, Vec<u8>>("digest")?),
        },
    })
}
