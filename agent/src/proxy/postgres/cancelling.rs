//! A connection that cancels what another one runs.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    setting::Setting,
    upstream::{Outgoing, Upstream},
};
use crate::{
    config::OnFailure,
    policy::{
        self, Recent, Ruled,
        question::{Execute, Resource, SessionSoFar},
    },
    protocol::postgres::Startup,
    record::{Decision, Durability, Outcome, RecordedRequest, RequestRecord, Timestamps},
};

type Ended = (Outcome, Option<String>);

/// Passes a cancellation on, if it is of the workload's own session and policies allow it. `request` is the packet's body.
pub(super) async fn serve(setting: &Setting<'_>, request: &[u8], server: &mut Upstream) -> Ended {
    let Ok(Startup::Cancel(cancel)) = Startup::decode(request) else {
        return (Outcome::Refused, Some("no cancellation".to_owned()));
    };
    let proxy = setting.proxy;
    let place = (setting.target.address, setting.target.port).into();
    let workload = setting.identity.workload.as_str();
    let Some(found) = proxy.cancellations.find(place, cancel.process, cancel.key, workload) else {
        return (Outcome::Refused, Some("a cancellation with the key of no session of this workload".to_owned()));
    };
    let mut packet = Vec::new();
    Startup::Cancel(cancel).encode(&mut packet);
    let facts = Arc::new(facts(&found.database, packet.len()));
    let now = Timestamps::now();
    let question = setting.question(Arc::clone(&facts), SessionSoFar::default(), now);
    let ruled = policy::execute(&packet, &question, &proxy.policies, (setting.observe, &mut Recent::default()));
    let (cleared, verdict) = match ruled {
        Ruled::Cleared(cleared) => {
            let verdict = Arc::clone(cleared.verdict());
            (Some(cleared), verdict)
        }
        // Nobody could be told that it waits.
        Ruled::Held(verdict, _) | Ruled::Denied(verdict) => (None, verdict),
    };
    let decision = match (&cleared, verdict.allows()) {
        (Some(_), true) => Decision::Allow,
        (Some(_), false) => Decision::WouldDeny,
        (None, _) => Decision::Deny,
    };
    let record = setting.session.map(|session| RequestRecord {
        session,
        n: 1,
        at: now,
        kind: Arc::from("cancel"),
        statement: None,
        parameters: None,
        decision,
        policies: verdict.recorded(),
        facts: serde_json::to_string(&*facts).ok().map(Arc::from),
        bytes: Some(facts.bytes),
        detail: cleared.is_none().then(|| Arc::from(verdict.client_text())),
        approval: None,
    });
    let Some(cleared) = cleared else {
        if let Some(record) = record {
            // A denial needs no record to be one; the session's end says it too.
            let _ = proxy.recorder.request(record, Durability::Batched).await;
        }
        return (Outcome::Denied, Some(verdict.client_text()));
    };
    let recorded = match record {
        None => RecordedRequest::unrecorded(cleared),
        Some(record) => match proxy.recorder.cleared(cleared, record, Durability::Batched).await {
            Ok(recorded) => recorded,
            Err((cleared, _)) if proxy.on_failure == OnFailure::Allow => RecordedRequest::unrecorded(cleared),
            Err((_, error)) => return (Outcome::Failed, Some(error.to_string())),
        },
    };
    // What is held has not reached the server.
    found.asked.notify_waiters();
    server.send(Outgoing::Recorded(recorded));
    match passed(server).await {
        Ok(()) => (Outcome::Completed, None),
        Err(error) => (Outcome::UpstreamReset, Some(error.to_string())),
    }
}

/// Waits until the server has seen it, which it says by closing; clients rely on that.
async fn passed(server: &mut Upstream) -> std::io::Result<()> {
    server.drain().await?;
    while !server.ended() {
        server.fill().await?;
        // It has nothing to say.
        let said = server.input().len();
        server.take(said);
    }
    Ok(())
}

fn facts(database: &str, bytes: usize) -> Execute {
    Execute {
        resource: Resource::Database { name: database.to_owned() },
        bytes: bytes as u64,
        verb: Some("cancel".to_owned()),
        kinds: Some(["session".to_owned()].into()),
        statements: Some(1),
        reads: Some(BTreeSet::new()),
        writes: Some(BTreeSet::new()),
        functions: Some(BTreeSet::new()),
        // It has nothing to lack one: false is of what changes every row.
        has_predicate: Some(true),
        unknown_parts: Some(BTreeSet::new()),
        ..Execute::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancellation_changes_no_rows_and_lacks_no_predicate() {
        let facts = facts("d", 16);
        assert_eq!((facts.has_predicate, facts.opaque), (Some(true), false));
        assert_eq!(facts.kinds, Some(["session".to_owned()].into()));
    }
}
