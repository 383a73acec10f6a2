//! May this identity open a flow to this target? Pure: values in, a decision out.
//!
//! A flow that may go on is a [`Permitted`], which only this module makes. Without policies everything that is
//! identified is permitted and recorded; what can never be right is denied.

use super::{
    Holder, Verdict,
    question::{Asked, Circumstances, Question, Subject, Target, Workload},
};
use crate::{
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

/// Decides whether the connection may be opened.
///
/// # Errors
/// The denied connection, with the reason.
pub fn connect(
    intercepted: Intercepted,
    identity: Arc<Identity>,
    gate: &Gate<'_>,
    circumstances: Circumstances,
) -> Result<Permitted, Box<Denied>> {
    if let Some(why) = judge(intercepted.destination(), gate.own_port) {
        return Err(Box::new(Denied { intercepted, identity, why, verdict: None }));
    }
    let destination = intercepted.destination().0;
    let question = Question {
        subject: Arc::new(Subject::new(Workload::of(&identity, None))),
        target: Arc::new(Target::opaque(destination.ip(), destination.port())),
        asked: Asked::Connect,
        circumstances,
    };
    let verdict = gate.policies.decide(&question).verdict;
    if verdict.allows() || gate.observe {
        return Ok(Permitted { intercepted, identity, question, verdict });
    }
    let why = Denial::Policy(verdict.client_text());
    Err(Box::new(Denied { intercepted, identity, why, verdict: Some(verdict) }))
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
