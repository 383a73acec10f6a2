//! What goes on the record, step by step.

use serde_json::{Value, json};

use super::docket::{Decided, End, Pending, names};
use super::grant::Extent;
use crate::record::{ApprovalRecord, ApprovalState, SessionId, Timestamps};

/// It was asked for.
pub(super) fn asked<W>(pending: &Pending<W>, session: SessionId, at: Timestamps) -> ApprovalRecord {
    let data = json!({
        "asked": pending.request.about(),
        "needs": &*pending.needs,
        "shape": pending.request.shape(),
        "expires_ns": wall(pending.until, at),
    });
    record(pending, Some(session), ApprovalState::Pending, at, &data)
}

/// Somebody approved, and more people are needed.
pub(super) fn counted<W>(pending: &Pending<W>, at: Timestamps) -> ApprovalRecord {
    let data = json!({ "approvers": approvers(pending) });
    let by = Some(names(&pending.votes));
    ApprovalRecord { by, reason: reasons(pending), ..record(pending, None, ApprovalState::Pending, at, &data) }
}

/// It was settled.
pub(super) fn settled<W>(decided: &Decided<W>, at: Timestamps) -> ApprovalRecord {
    let Decided { pending, end, .. } = decided;
    let waiters = pending.waiters.len();
    match end {
        End::Approved(extent) => {
            let data = json!({
                "grant": kind(*extent),
                "seconds": seconds(*extent),
                "approvers": approvers(pending),
                "waiters": waiters,
            });
            let by = Some(names(&pending.votes));
            ApprovalRecord { by, reason: reasons(pending), ..record(pending, None, ApprovalState::Approved, at, &data) }
        }
        End::Denied(by, reason) => {
            let data = json!({ "waiters": waiters });
            let (by, reason) = (Some(by.clone()), reason.clone());
            ApprovalRecord { by, reason, ..record(pending, None, ApprovalState::Denied, at, &data) }
        }
        End::Expired => record(pending, None, ApprovalState::Expired, at, &json!({ "waiters": waiters })),
        End::Withdrawn(why) => {
            let data = json!({ "waiters": waiters });
            let reason = Some(why.clone());
            ApprovalRecord { reason, ..record(pending, None, ApprovalState::Withdrawn, at, &data) }
        }
    }
}

fn record<W>(
    pending: &Pending<W>,
    session: Option<SessionId>,
    state: ApprovalState,
    at: Timestamps,
    data: &Value,
) -> ApprovalRecord {
    ApprovalRecord {
        id: *pending.id.as_bytes(),
        session,
        n: None,
        state,
        digest: *pending.request.digest().as_bytes(),
        at,
        by: None,
        reason: None,
        data: Some(data.to_string()),
    }
}

/// Who approved, each with the groups that count and their words.
fn approvers<W>(pending: &Pending<W>) -> Vec<Value> {
    let one = |vote: &super::people::Vote| {
        let groups: Vec<&String> = vote.approver.groups.intersection(&pending.needs.groups).collect();
        json!({
            "name": vote.approver.person.shown(),
            "groups": groups,
            "channel": vote.approver.channel,
            "reason": vote.reason,
        })
    };
    pending.votes.iter().map(one).collect()
}

fn reasons<W>(pending: &Pending<W>) -> Option<String> {
    let reasons: Vec<&str> = pending.votes.iter().filter_map(|vote| vote.reason.as_deref()).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn kind(extent: Extent) -> &'static str {
    match extent {
        Extent::Once => "once",
        Extent::For(_) => "shape",
        Extent::Session => "session",
    }
}

fn seconds(extent: Extent) -> Option<u64> {
    match extent {
        Extent::For(length) => Some(length.into()),
        Extent::Once | Extent::Session => None,
    }
}

/// The wall time of a boot-time stamp.
pub(super) fn wall(boot_ns: u64, now: Timestamps) -> i64 {
    match boot_ns.checked_sub(now.boot_ns) {
        Some(ahead) => now.wall_ns.saturating_add_unsigned(ahead),
        None => now.wall_ns.saturating_sub_unsigned(now.boot_ns.saturating_sub(boot_ns)),
    }
}
