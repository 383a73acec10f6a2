//! A connection that waits for people: accepted and silent, with nothing towards the upstream, until it may go on.

use super::{Proxy, dial, nothing_moved, reset};
use crate::{
    approve::{Answer, Ask, End, Glass, Id, Office, Request, Session, Standing, Waiting},
    identity::Identity,
    intercept::arrival::Intercepted,
    policy::{self, Denied, Gate, Held, Judged, Moment, Permitted},
    record::{Decision, Outcome, RequestRecord, SessionExtra, SessionId, SessionStart, Timestamps},
    sys,
};
use std::{io, os::fd::OwnedFd, sync::Arc};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::watch,
};

/// How often one connection asks anew: policies that change as often have something wrong with them.
const ROUNDS: usize = 16;

/// What waiting came to.
enum Waited {
    /// It may go on under an approval; and under a grant or a break-glass, where that may end before it.
    Approved(Permitted, Id, Option<Id>),
    /// It is allowed without any.
    Allowed(Permitted),
    /// It may not.
    Over(Intercepted, Outcome, String),
}

/// What waits, beside the connection itself.
#[derive(Clone, Copy)]
struct Case<'a> {
    session: SessionId,
    start: &'a SessionStart,
}

#[expect(clippy::large_enum_variant, reason = "one for each wait, moved once")]
enum Step {
    Done(Waited),
    /// Policies ask for something else by now.
    Again(Box<Held>),
}

impl Proxy {
    /// Has a connection wait for its approval.
    pub(super) async fn held(&self, held: Box<Held>, start: SessionStart) {
        let Some(office) = &self.office else {
            let why = policy::Denial::Policy(held.verdict().client_text());
            let verdict = Some(Arc::clone(held.verdict()));
            let (intercepted, identity) = held.into_parts();
            return self.refused(Denied { intercepted, identity, why, verdict }, start).await;
        };
        let policies = held.verdict().recorded();
        let Some(session) = self.begin_held(&start, policies.clone()).await else {
            return reset(&held.into_parts().0.into_client());
        };
        let waited = match self.broken_for(&start) {
            Some(glass) => self.by_glass(office, held, &glass, session).await,
            None => self.wait(office, held, Case { session, start: &start }).await,
        };
        self.answered(waited, session, policies, start.scope).await;
    }

    /// What policies deny and a break-glass may allow: they are asked again with it as a fact.
    pub(super) async fn behind_glass(&self, denied: Denied, start: SessionStart, glass: Glass) {
        let gate = self.gate();
        let circumstances = policy::question::Circumstances { break_glass: true, ..self.circumstances(&start) };
        let Denied { intercepted, identity, why, verdict } = denied;
        let Some(office) = &self.office else {
            return self.refused(Denied { intercepted, identity, why, verdict }, start).await;
        };
        let target = self.target_of(&intercepted);
        match policy::connect(intercepted, identity, target, &gate, circumstances) {
            Judged::Denied(denied) => self.refused(*denied, start).await,
            Judged::Held(held) => self.held(held, start).await,
            Judged::Permitted(permitted) => {
                let policies = permitted.verdict().recorded();
                let Some(session) = self.begin_held(&start, policies.clone()).await else {
                    return reset(&permitted.into_intercepted().into_client());
                };
                let request = Request::connect(permitted.question());
                let waited = match office.break_through(&request, &Arc::default(), &glass, session).await {
                    Ok(release) => Waited::Approved(permitted, release.id(), Some(glass.id)),
                    Err(error) => Waited::Over(permitted.into_intercepted(), Outcome::Failed, error.to_string()),
                };
                self.answered(waited, session, policies, start.scope).await;
            }
        }
    }

    pub(super) fn broken_for(&self, start: &SessionStart) -> Option<Glass> {
        self.office.as_ref()?.broken_for(start.scope.as_deref(), start.identity.workload.as_str())
    }

    /// The session begins when the wait does, so that whoever approves finds it. Whatever the configuration says of
    /// what cannot be recorded: it cannot be approved.
    async fn begin_held(&self, start: &SessionStart, policies: Option<Arc<str>>) -> Option<SessionId> {
        let extra = SessionExtra { policies: policies.as_deref().map(str::to_owned), ..start.extra.clone() };
        let begun = self.recorder.begin(SessionStart { decision: Decision::Held, extra, ..start.clone() }).await;
        begun
            .inspect_err(|error| {
                tracing::error!(%error, "a held connection could not be recorded");
                self.unrecorded.note();
            })
            .ok()
    }

    fn gate(&self) -> Gate<'_> {
        Gate { own_port: self.own_port, policies: &self.policies, observe: false }
    }

    fn moment(&self) -> Moment {
        Moment::at(Timestamps::now().wall_ns.div_euclid(1_000_000_000), &self.zone)
    }

    /// Root answers for everybody.
    async fn by_glass(&self, office: &Office, held: Box<Held>, glass: &Glass, session: SessionId) -> Waited {
        match office.break_through(held.request(), held.needs(), glass, session).await {
            Ok(release) => {
                let (id, target) = (release.id(), self.target_of(held.intercepted()));
                match held.release(release, target, &self.gate(), &self.moment()) {
                    Judged::Permitted(permitted) => Waited::Approved(permitted, id, Some(glass.id)),
                    Judged::Held(held) => over(*held, Outcome::Denied, "policies changed just now"),
                    Judged::Denied(denied) => denied_now(*denied),
                }
            }
            Err(error) => over(*held, Outcome::Failed, &error.to_string()),
        }
    }

    async fn wait(&self, office: &Arc<Office>, mut held: Box<Held>, case: Case<'_>) -> Waited {
        let line = match Line::watch(held.intercepted()) {
            Ok(line) => line,
            Err(error) => return over(*held, Outcome::Failed, &format!("the client cannot be watched: {error}")),
        };
        for _ in 0..ROUNDS {
            match self.ask(office, held, case, &line).await {
                Step::Done(waited) => return waited,
                Step::Again(again) => held = again,
            }
        }
        over(*held, Outcome::Denied, "policies change too often to be approved")
    }

    async fn ask(&self, office: &Arc<Office>, held: Box<Held>, case: Case<'_>, line: &Line) -> Step {
        let ask = Ask {
            request: Arc::clone(held.request()),
            needs: Arc::clone(held.needs()),
            session: session_of(held.identity()),
        };
        let (held, answer) = match office.ask(&ask, case.session).await {
            Ok(Standing::Granted(release)) => (held, Answer::Released(release)),
            Ok(Standing::Waiting(waiting)) => match self.listen((office, waiting), held, case, line).await {
                Ok(answered) => answered,
                Err(step) => return step,
            },
            Err(refused) => return Step::Done(over(*held, Outcome::Denied, &refused.to_string())),
        };
        let waited = match answer {
            Answer::Released(release) => {
                let (id, target) = (release.id(), self.target_of(held.intercepted()));
                let lasting = office.docket().grants(0).any(|grant| grant.id == id);
                match held.release(release, target, &self.gate(), &self.moment()) {
                    Judged::Permitted(permitted) => Waited::Approved(permitted, id, lasting.then_some(id)),
                    Judged::Held(again) => return Step::Again(again),
                    Judged::Denied(denied) => denied_now(*denied),
                }
            }
            Answer::Ended(end) => ended(&end, *held),
            Answer::Unrecorded => over(*held, Outcome::Failed, "the answer could not be recorded"),
        };
        Step::Done(waited)
    }

    /// Waits for people, for the client to hang up, for other policies, and for the end.
    async fn listen(
        &self,
        (office, mut waiting): (&Arc<Office>, Waiting),
        mut held: Box<Held>,
        case: Case<'_>,
        line: &Line,
    ) -> Result<(Box<Held>, Answer), Step> {
        let (mut judgements, mut stop) = (self.live.judgements(), self.ended.clone());
        let mut breakings = office.breakings();
        breakings.mark_changed();
        // Other policies than those that held it: they changed before anybody here would have been told.
        if held.verdict().version != self.policies.version() {
            judgements.mark_changed();
        }
        loop {
            tokio::select! {
                answer = waiting.answer() => return Ok((held, answer)),
                () = line.hung_up() => {
                    return Err(Step::Done(over(*held, Outcome::ClientReset, "the client hung up while it waited")));
                }
                () = stopped(&mut stop) => {
                    waiting.withdraw("the daemon stops");
                    return Err(Step::Done(over(*held, Outcome::Drained, "the daemon stopped while it waited")));
                }
                _ = breakings.changed() => {
                    if let Some(glass) = self.broken_for(case.start) {
                        waiting.withdraw("a break-glass lets it through");
                        return Err(Step::Done(self.by_glass(office, held, &glass, case.session).await));
                    }
                }
                _ = judgements.changed() => {
                    let (needs, digest) = (Arc::clone(held.needs()), held.request().digest());
                    let target = self.target_of(held.intercepted());
                    match held.again(target, &self.gate(), &self.moment()) {
                        Judged::Held(again) if *again.needs() == needs && again.request().digest() == digest => {
                            held = again;
                        }
                        Judged::Held(again) => {
                            waiting.withdraw("something else is to be approved now");
                            return Err(Step::Again(again));
                        }
                        Judged::Permitted(permitted) => {
                            waiting.withdraw("policies allow it now");
                            return Err(Step::Done(Waited::Allowed(permitted)));
                        }
                        Judged::Denied(denied) => {
                            waiting.withdraw("policies deny it now");
                            return Err(Step::Done(denied_now(*denied)));
                        }
                    }
                }
            }
        }
    }

    /// Does what waiting came to: recorded before a byte goes.
    async fn answered(&self, waited: Waited, session: SessionId, policies: Option<Arc<str>>, scope: Option<String>) {
        let (permitted, approval, under) = match waited {
            Waited::Approved(permitted, approval, under) => (permitted, Some(approval), under),
            Waited::Allowed(permitted) => (permitted, None, None),
            Waited::Over(intercepted, outcome, why) => {
                reset(&intercepted.into_client());
                return self.end(session, nothing_moved(outcome, why)).await;
            }
        };
        let request = RequestRecord {
            session,
            n: 0,
            at: Timestamps::now(),
            kind: Arc::from("connect"),
            statement: None,
            parameters: None,
            decision: Decision::Allow,
            policies,
            facts: None,
            bytes: None,
            detail: None,
            approval: approval.map(|id| *id.as_bytes()),
        };
        let place = self.live.enter(&self.policies, permitted.question(), permitted.verdict(), under);
        // Whoever ended it meanwhile found no flow under it.
        if let (Some(id), Some(office)) = (under, &self.office)
            && !office.holds(id)
        {
            self.lapse(id);
        }
        let destination = permitted.intercepted().destination();
        let namespace = Arc::clone(permitted.intercepted().namespace());
        match self.recorder.record_held(permitted, request).await {
            Ok(recorded) => {
                let dialled = dial::dial(&namespace, destination, &self.limits).await;
                self.carry(recorded, dialled, Some(place), scope).await;
            }
            Err(failed) => {
                tracing::error!(error = %failed.error, "an approved connection could not be recorded");
                self.unrecorded.note();
                reset(&failed.permitted.into_intercepted().into_client());
                self.end(session, nothing_moved(Outcome::Failed, failed.error.to_string())).await;
            }
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever could say so is gone as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn over(held: Held, outcome: Outcome, why: &str) -> Waited {
    Waited::Over(held.into_parts().0, outcome, why.to_owned())
}

fn denied_now(denied: Denied) -> Waited {
    Waited::Over(denied.intercepted, Outcome::Denied, denied.why.to_string())
}

fn ended(end: &End, held: Held) -> Waited {
    let (outcome, why) = match end {
        End::Denied(by, Some(reason)) => (Outcome::Denied, format!("denied by {by}: {reason}")),
        End::Denied(by, None) => (Outcome::Denied, format!("denied by {by}")),
        End::Expired => (Outcome::Denied, "nobody approved it in time".to_owned()),
        End::Withdrawn(why) => (Outcome::Denied, format!("withdrawn: {why}")),
        // Said with a release, and not like this.
        End::Approved(_) => (Outcome::Failed, "approved without a release".to_owned()),
    };
    over(held, outcome, &why)
}

/// What a connection is part of: whoever's login it descends from, or else its process.
pub(super) fn session_of(identity: &Identity) -> Session {
    let process = &identity.process;
    match process.login.as_ref().and_then(|login| login.session) {
        Some(session) => Session::Login(session),
        None => Session::Process(process.tgid, process.started),
    }
}

/// The line to a client that waits. It is watched beside the stream that is relayed later, so that nothing is missed
/// there of what is noticed here, and nothing is taken of what the client sends.
struct Line(AsyncFd<OwnedFd>);

impl Line {
    fn watch(intercepted: &Intercepted) -> io::Result<Self> {
        sys::pollable(intercepted.socket().try_clone_to_owned()?).map(Self)
    }

    /// Waits until the client closes, or half-closes: whoever has nothing more to say hangs up.
    async fn hung_up(&self) {
        loop {
            // What cannot be watched any more is over.
            let Ok(mut seen) = self.0.ready(Interest::READABLE).await else { return };
            if seen.ready().is_read_closed() {
                return;
            }
            seen.clear_ready();
        }
    }
}
