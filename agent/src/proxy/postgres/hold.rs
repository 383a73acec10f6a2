//! A request that waits for people. The session stays alive meanwhile, and the client can give up.

use std::sync::Arc;

use super::{
    matter::{Values, values},
    meaning::{Behind, Meaning},
    talk::Talk,
};
use crate::{
    approve::{self, Answer, Ask, Digest, End, Id, Inner, Request, Standing, Statement, Waiting},
    policy::{Approval, Question, Verdict},
    protocol::postgres::{notice::Fields, session},
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
#[derive(Clone)]
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

/// Parameters of a startup message that decide as whom a session acts. Names of settings have no case.
const AS_WHOM: [&str; 4] = ["user", "role", "session_authorization", "options"];

/// As whom a session acts.
struct Actor<'a> {
    /// Its role by now, if that is known.
    role: Option<&'a str>,
    /// What it said when it began.
    began: &'a [(&'a [u8], &'a [u8])],
}

fn borrowed(values: &Values) -> Vec<Option<&[u8]>> {
    values.iter().map(Option::as_deref).collect()
}

/// What people are asked: bound to every byte of it, to what it runs by name, and to as whom it would run.
fn request(question: &Question, meaning: &Meaning, values: &Values, actor: &Actor<'_>) -> Request {
    let behind: Vec<(&Behind, Vec<Option<&[u8]>>)> =
        meaning.behind.iter().map(|behind| (behind, borrowed(&behind.values))).collect();
    let inner: Vec<Inner<'_>> = behind
        .iter()
        .map(|(behind, parameters)| Inner { bytes: &behind.text, parameters, shape: &behind.shape })
        .collect();
    let touches = serde_json::to_string(&*meaning.facts).ok();
    Request::execute(
        question,
        Statement {
            kind: &meaning.kind,
            bytes: &meaning.text,
            parameters: &borrowed(values),
            shape: &meaning.shape,
            inner: &inner,
            role: actor.role,
            began: actor.began,
            touches: touches.as_deref(),
        },
    )
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
    /// What people are asked about a request of this session.
    pub(super) fn put(&self, question: &Question, meaning: &Meaning, asked: &session::Asked<'_>) -> Arc<Request> {
        let decides = |name: &[u8]| AS_WHOM.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        let began: Vec<(&[u8], &[u8])> = self.session.start_parameters().filter(|(name, _)| decides(name)).collect();
        let role = self.naming.names().user;
        let actor = Actor { role: role.as_deref(), began: &began };
        Arc::new(request(question, meaning, &values(asked), &actor))
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::question::{Asked, Circumstances, Subject, Target, Workload};

    /// What is asked of `execute p`, where `p` is this text with this value.
    fn asked(text: &str, value: &str, role: &str) -> Request {
        let inner = Meaning::unknown("d", text.as_bytes(), "delete", "text");
        let behind = Behind::of(&inner, vec![Some(value.as_bytes().into())]);
        let meaning = Meaning::unknown("d", b"execute p", "execute", "text").running(vec![behind]);
        let question = Question {
            subject: Arc::new(Subject::new(Workload::default())),
            target: Arc::new(Target::opaque([10, 0, 0, 5].into(), 5432)),
            asked: Asked::Execute(Arc::clone(&meaning.facts)),
            circumstances: Circumstances::default(),
        };
        request(&question, &meaning, &Values::new(), &Actor { role: Some(role), began: &[] })
    }

    #[test]
    fn what_a_name_stands_for_is_bound_and_shown() {
        let base = asked("delete from ledger where id = 3", "x", "app");
        assert_eq!(base.digest(), asked("delete from ledger where id = 3", "x", "app").digest());
        for other in [
            asked("delete from ledger where id > 40", "x", "app"),
            asked("delete from ledger where id = 3", "y", "app"),
            asked("delete from ledger where id = 3", "x", "admin"),
        ] {
            assert_ne!(base.digest(), other.digest());
        }
        let shown = base.about().statement.as_deref().unwrap_or_default();
        assert!(shown.contains("; it runs: (31 bytes that were not understood)"), "{shown}");
    }
}
