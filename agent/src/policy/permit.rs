//! May this identity open a flow to this target? Pure: values in, a decision out.
//!
//! A flow that may go on is a [`Permitted`], which only this module makes. Without policies everything that is
//! identified is permitted and recorded; what can never be right is denied.

use super::{
    Approval, Holder, Moment, Outcome, Verdict,
    question::{Asked, Circumstances, Question, Target},
};
use crate::{
    approve::{Release, Request},
    identity::Identity,
    intercept::{OrigDst, arrival::Intercepted},
};
use std::{net::IpAddr, sync::Arc};

/// An intercepted, identified connection that may go on.
///
/// It cannot be made without a decision:
/// ```compile_fail
/// fn skip(intercepted: sallyport::intercept::arrival::Intercepted,
///     identity: std::sync::Arc<sallyport::identity::Identity>) -> sallyport::policy::Permitted {
///     sallyport::policy::Permitted { intercepted, identity }
/// }
/// ```
pub struct Permitted {
    intercepted: Intercepted,
    identity: Arc<Identity>,
    question: Question,
    verdict: Arc<Verdict>,
}

impl Permitted {
    /// The connection.
    pub fn intercepted(&self) -> &Intercepted {
        &self.intercepted
    }

    /// Who opened it.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// What was asked, to be asked again when policies change.
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// What was answered; a denial where it is only observed.
    pub fn verdict(&self) -> &Arc<Verdict> {
        &self.verdict
    }

    /// The connection, once it was recorded.
    pub(crate) fn into_intercepted(self) -> Intercepted {
        self.intercepted
    }
}

/// A connection that may go on once people approve it. Nothing goes upstream meanwhile.
pub struct Held {
    intercepted: Intercepted,
    identity: Arc<Identity>,
    question: Question,
    verdict: Arc<Verdict>,
    needs: Arc<Approval>,
    request: Arc<Request>,
}

impl Held {
    /// The connection.
    pub fn intercepted(&self) -> &Intercepted {
        &self.intercepted
    }

    /// Who opened it.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// What was answered.
    pub fn verdict(&self) -> &Arc<Verdict> {
        &self.verdict
    }

    /// The approval it needs.
    pub fn needs(&self) -> &Arc<Approval> {
        &self.needs
    }

    /// What people are asked.
    pub fn request(&self) -> &Arc<Request> {
        &self.request
    }

    /// The connection and who opened it, to be judged anew.
    pub(crate) fn into_parts(self) -> (Intercepted, Arc<Identity>) {
        (self.intercepted, self.identity)
    }

    /// Asks the policies again: others may hold by now, or another hour.
    pub fn again(mut self, target: Arc<Target>, gate: &Gate<'_>, moment: &Moment) -> Judged {
        self.question.target = target;
        self.judge(None, gate, moment)
    }

    /// Asks the policies again, with what was approved as a fact. A release of another request is none.
    /// Where something else is known of the target by now, it is another request, and asked anew.
    pub fn release(mut self, release: Release, target: Arc<Target>, gate: &Gate<'_>, moment: &Moment) -> Judged {
        let approved = release.for_request(&self.request);
        let same = self.question.target == target;
        self.question.target = target;
        match approved {
            Some(approval) if same => self.judge(Some(approval), gate, moment),
            Some(_) => self.judge(None, gate, moment),
            None => {
                let Self { intercepted, identity, verdict, .. } = self;
                Judged::Denied(Box::new(Denied { intercepted, identity, why: Denial::Other, verdict: Some(verdict) }))
            }
        }
    }

    fn judge(self, approval: Option<Arc<Approval>>, gate: &Gate<'_>, moment: &Moment) -> Judged {
        let Self { intercepted, identity, mut question, .. } = self;
        question.circumstances.pass_to(moment);
        let bare = question.clone();
        question.circumstances.approval = approval;
        let approved = question.circumstances.approval.is_some();
        let judged = decide(intercepted, identity, question, gate);
        match judged {
            // Another approval may be enough where this one is not.
            Judged::Denied(denied) if approved => {
                let Denied { intercepted, identity, .. } = *denied;
                decide(intercepted, identity, bare, gate)
            }
            judged @ (Judged::Permitted(_) | Judged::Held(_) | Judged::Denied(_)) => judged,
        }
    }
}

/// A connection that may not go on, and why.
pub struct Denied {
    /// The connection, to be reset.
    pub intercepted: Intercepted,
    /// Who opened it.
    pub identity: Arc<Identity>,
    /// For the record.
    pub why: Denial,
    /// What the policies said, if they were asked.
    pub verdict: Option<Arc<Verdict>>,
}

/// Why a connection is denied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The proxy would connect to itself.
    #[error("the destination is the proxy's own listener")]
    OwnListener,
    /// Port zero, or an address no TCP connection can have as its end.
    #[error("the destination is no address a connection can end at")]
    NoDestination,
    /// The policies do not allow it; this is their message.
    #[error("{0}")]
    Policy(String),
    /// Something else was approved.
    #[error("another request was approved than this one")]
    Other,
}

/// What becomes of a connection.
#[expect(clippy::large_enum_variant, reason = "the large one is the common one, and is moved once")]
pub enum Judged {
    /// It may go on.
    Permitted(Permitted),
    /// It waits for people.
    Held(Box<Held>),
    /// It may not.
    Denied(Box<Denied>),
}

/// What a connection is judged by.
pub struct Gate<'a> {
    /// Port of the proxy's listeners.
    pub own_port: u16,
    /// The policies.
    pub policies: &'a Holder,
    /// Whether what they deny is let through.
    pub observe: bool,
}

/// Decides whether the connection may be opened; `target` is what is known of its destination.
pub fn connect(
    intercepted: Intercepted,
    identity: Arc<Identity>,
    target: Arc<Target>,
    gate: &Gate<'_>,
    circumstances: Circumstances,
) -> Judged {
    if let Some(why) = judge(intercepted.destination(), gate.own_port) {
        return Judged::Denied(Box::new(Denied { intercepted, identity, why, verdict: None }));
    }
    let question = Question { subject: gate.policies.subject(&identity), target, asked: Asked::Connect, circumstances };
    decide(intercepted, identity, question, gate)
}

fn decide(intercepted: Intercepted, identity: Arc<Identity>, question: Question, gate: &Gate<'_>) -> Judged {
    let verdict = gate.policies.decide(&question).verdict;
    match &verdict.outcome {
        Outcome::Hold(needs) if !gate.observe => {
            let (needs, request) = (Arc::clone(needs), Arc::new(Request::connect(&question)));
            Judged::Held(Box::new(Held { intercepted, identity, question, verdict, needs, request }))
        }
        Outcome::Deny if !gate.observe => {
            let why = Denial::Policy(verdict.client_text());
            Judged::Denied(Box::new(Denied { intercepted, identity, why, verdict: Some(verdict) }))
        }
        Outcome::Allow | Outcome::Hold(_) | Outcome::Deny => {
            Judged::Permitted(Permitted { intercepted, identity, question, verdict })
        }
    }
}

fn judge(destination: OrigDst, own_port: u16) -> Option<Denial> {
    let (ip, port) = (destination.0.ip(), destination.0.port());
    // Every loopback and unspecified address reaches the listeners; other addresses of this host do not.
    if port == own_port && (ip.is_loopback() || ip.is_unspecified()) {
        return Some(Denial::OwnListener);
    }
    let nowhere = match ip {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    };
    (port == 0 || nowhere).then_some(Denial::NoDestination)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_judged_as_the_table_says() {
        let own = 20_001;
        let table = [
            ("10.0.0.5:5432", None),
            ("[2001:db8::5]:5432", None),
            ("127.0.0.1:5432", None),
            ("127.0.0.1:20001", Some(Denial::OwnListener)),
            ("127.9.8.7:20001", Some(Denial::OwnListener)),
            ("0.0.0.0:20001", Some(Denial::OwnListener)),
            ("[::1]:20001", Some(Denial::OwnListener)),
            ("[::]:20001", Some(Denial::OwnListener)),
            ("10.0.0.5:20001", None),
            ("10.0.0.5:0", Some(Denial::NoDestination)),
            ("255.255.255.255:80", Some(Denial::NoDestination)),
            ("224.0.0.1:80", Some(Denial::NoDestination)),
            ("[ff02::1]:80", Some(Denial::NoDestination)),
        ];
        for (destination, expected) in table {
            assert_eq!(judge(OrigDst(destination.parse().unwrap()), own), expected, "{destination}");
        }
    }
}
