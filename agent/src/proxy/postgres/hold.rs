//! A request that waits for people. The session stays alive meanwhile, and the client can give up.

use std::sync::Arc;

use super::{meaning::Meaning, talk::Talk};
use crate::{
    approve::{self, Answer, Ask, Digest, End, Id, Request, Standing, Statement, Waiting},
    policy::{Approval, Question, Verdict},
    protocol::postgres::notice::Fields,
};

const INSUFFICIENT_PRIVILEGE: [u8; 5] = *b"42501";
const QUERY_CANCELED: [u8; 5] = *b"57014";

/// What is waited for.
pub(super) struct Hold {
    waiting: Waiting,
    request: Arc<Request>,
    verdict: Arc<Verdict>,
}

/// What people said yes to.
pub(super) struct Leave {
    pub(super) digest: Digest,
    pub(super) approval: Arc<Approval>,
    pub(super) id: Id,
}

/// What may not be run, for the client and for the record.
pub(super) struct Refused {
    /// Of the request, where people were asked.
    pub(super) digest: Option<Digest>,
    pub(super) verdict: Arc<Verdict>,
    sqlstate: [u8; 5],
    text: String,
    hint: Option<String>,
    pub(super) log: String,
}

/// What comes of asking.
pub(super) enum Asked {
    Leave(Leave),
    Refused(Refused),
    Waits(Hold),
}

/// What people said.
pub(super) enum Said {
    Leave(Leave),
    Refused(Refused),
    /// Nothing; but policies may say something else by now.
    Again,
}

impl Refused {
    /// Policies deny it.
    pub(super) fn by_policy(verdict: &Arc<Verdict>) -> Self {
        let text = verdict.client_text();
        let ids = verdict.policies.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ");
        let hint = (!ids.is_empty()).then(|| format!("Sallyport policy: {ids}"));
        let log = if ids.is_empty() { text.clone() } else { format!("{text} ({ids})") };
        Self { digest: None, verdict: Arc::clone(verdict), sqlstate: INSUFFICIENT_PRIVILEGE, text, hint, log }
    }

    /// It is not passed for another reason than a policy.
    pub(super) fn by_us(verdict: &Arc<Verdict>, text: String) -> Self {
        let (log, verdict) = (text.clone(), Arc::clone(verdict));
        Self { digest: None, verdict, sqlstate: INSUFFICIENT_PRIVILEGE, text, hint: None, log }
    }

    fn by_people(request: &Request, verdict: &Arc<Verdict>, text: String) -> Self {
        let log = text.clone();
        let (digest, verdict, sqlstate) = (Some(request.digest()), Arc::clone(verdict), INSUFFICIENT_PRIVILEGE);
        Self { digest, verdict, sqlstate, text, hint: None, log }
    }

    /// For the client.
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields { hint: self.hint.as_deref(), sqlstate: self.sqlstate, ..Fields::denied(&self.text) }
    }
}

/// What people are asked, bound to every byte of it.
pub(super) fn request(question: &Question, meaning: &Meaning, parameters: &[Option<Box<[u8]>>]) -> Arc<Request> {
    let parameters: Vec<Option<&[u8]>> = parameters.iter().map(Option::as_deref).collect();
    let touches = serde_json::to_string(&*meaning.facts).ok();
    Arc::new(Request::execute(
        question,
        Statement {
            kind: &meaning.kind,
            bytes: &meaning.text,
            parameters: &parameters,
            shape: &meaning.shape,
            touches: touches.as_deref(),
        },
    ))
}

impl Hold {
    /// Waits for what people say.
    pub(super) async fn said(&mut self) -> Said {
        let refused = |text: String| Said::Refused(Refused::by_people(&self.request, &self.verdict, text));
        match self.waiting.answer().await {
            Answer::Released(release) => {
                let id = release.id();
                match release.for_request(&self.request) {
                    Some(approval) => Said::Leave(Leave { digest: self.request.digest(), approval, id }),
                    None => refused("another request was approved than this one".to_owned()),
                }
            }
            Answer::Ended(End::Denied(by, Some(reason))) => refused(format!("denied by {by}: {reason}")),
            Answer::Ended(End::Denied(by, None)) => refused(format!("denied by {by}")),
            Answer::Ended(End::Expired) => refused("nobody approved it in time".to_owned()),
            Answer::Ended(End::Withdrawn(why)) => refused(format!("withdrawn: {why}")),
            // Said with a release, and not like this.
            Answer::Ended(End::Approved(_)) => refused("approved without a release".to_owned()),
            Answer::Unrecorded => refused("the answer could not be recorded".to_owned()),
        }
    }

    /// The client has given up.
    pub(super) fn cancelled(&self) -> Said {
        let text = "canceling statement due to user request".to_owned();
        let refused = Refused::by_people(&self.request, &self.verdict, text);
        Said::Refused(Refused { sqlstate: QUERY_CANCELED, ..refused })
    }
}

impl Talk<'_> {
    /// Asks people, or finds that they have answered already, or that there are none.
    pub(super) async fn ask(&mut self, request: Arc<Request>, needs: Arc<Approval>, verdict: &Arc<Verdict>) -> Asked {
        let (Some(office), Some(session)) = (&self.setting.proxy.office, self.setting.session) else {
            return Asked::Refused(Refused::by_policy(verdict));
        };
        let identity = &self.setting.identity;
        if let Some(glass) = office.broken_for(self.setting.scope.as_deref(), identity.workload.as_str()) {
            let released = office.break_through(&request, &needs, &glass, session).await;
            let leave = released.ok().and_then(|release| {
                let id = release.id();
                Some(Leave { digest: request.digest(), approval: release.for_request(&request)?, id })
            });
            let unrecorded =
                || Refused::by_people(&request, verdict, "the break-glass could not be recorded".to_owned());
            return leave.map_or_else(|| Asked::Refused(unrecorded()), Asked::Leave);
        }
        let of = super::super::held::session_of(identity);
        let ask = Ask { request: Arc::clone(&request), needs: Arc::clone(&needs), session: of };
        match office.ask(&ask, session).await {
            Ok(Standing::Granted(release)) => {
                let id = release.id();
                match release.for_request(&request) {
                    Some(approval) => Asked::Leave(Leave { digest: request.digest(), approval, id }),
                    None => Asked::Refused(Refused::by_policy(verdict)),
                }
            }
            Ok(Standing::Waiting(waiting)) => {
                let id = pending(office, request.digest()).map_or_else(String::new, |id| format!(" {id}"));
                let told = format!("this waits for approval{id}: it needs {needs}");
                let hint = format!("an approver runs: sallyport approvals approve{id}");
                let mut notice = Vec::new();
                Fields { hint: Some(&hint), ..Fields::told(&told) }.notice(&mut notice);
                self.notices.push(notice);
                Asked::Waits(Hold { waiting, request, verdict: Arc::clone(verdict) })
            }
            Err(refused) => Asked::Refused(Refused::by_people(&request, verdict, refused.to_string())),
        }
    }
}

fn pending(office: &approve::Office, digest: Digest) -> Option<Id> {
    let docket = office.docket();
    docket.pending().into_iter().find(|pending| pending.request.digest() == digest).map(|pending| pending.id)
}
