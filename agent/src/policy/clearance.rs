//! May this request be run? Pure: values in, a decision out.
//!
//! A request that may go on is a [`Cleared`], which only this module makes. It carries the bytes it was asked for.

use std::sync::Arc;

use super::{
    Approval, Holder, Outcome, Recent, Verdict,
    question::{Execute, Question},
};

/// A request that policies let through, or would not where they only observe.
///
/// It cannot be made without a decision:
/// ```compile_fail
/// fn skip(bytes: &[u8], verdict: std::sync::Arc<sallyport::policy::Verdict>) -> sallyport::policy::Cleared<'_> {
///     sallyport::policy::Cleared { bytes, verdict }
/// }
/// ```
/// nor used twice:
/// ```compile_fail
/// fn twice(one: sallyport::policy::Cleared<'_>) -> [sallyport::policy::Cleared<'_>; 2] {
///     [one.clone(), one]
/// }
/// ```
#[derive(Debug)]
#[must_use = "what is cleared is recorded and sent"]
pub struct Cleared<'a> {
    bytes: &'a [u8],
    verdict: Arc<Verdict>,
}

impl<'a> Cleared<'a> {
    /// What was answered; a denial where it is only observed.
    #[must_use]
    pub fn verdict(&self) -> &Arc<Verdict> {
        &self.verdict
    }

    /// The request, once it was recorded.
    pub(crate) fn into_bytes(self) -> &'a [u8] {
        self.bytes
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Ruled<'a> {
    /// It may go on.
    Cleared(Cleared<'a>),
    /// It waits for this approval.
    Held(Arc<Verdict>, Arc<Approval>),
    /// It may not.
    Denied(Arc<Verdict>),
}

/// Decides whether a request of these bytes may be run; `observe` lets through what policies deny. What is allowed is kept
/// for [`as_before`].
#[must_use]
pub fn execute<'a>(
    bytes: &'a [u8],
    question: &Question,
    policies: &Holder,
    (observe, recent): (bool, &mut Recent),
) -> Ruled<'a> {
    let verdict = policies.decide_for(question, recent);
    match &verdict.outcome {
        Outcome::Hold(needs) if !observe => Ruled::Held(Arc::clone(&verdict), Arc::clone(needs)),
        Outcome::Deny if !observe => Ruled::Denied(verdict),
        Outcome::Allow | Outcome::Hold(_) | Outcome::Deny => Ruled::Cleared(Cleared { bytes, verdict }),
    }
}

/// A request of a flow that was allowed to act on these very facts before, where no policy could say otherwise now.
#[must_use]
pub fn as_before<'a>(bytes: &'a [u8], facts: &Arc<Execute>, policies: &Holder, recent: &Recent) -> Option<Cleared<'a>> {
    policies.allowed(facts, recent).map(|verdict| Cleared { bytes, verdict })
}

/// A request that only prepares what is held when it is run: it may go on, as nothing comes of it before that.
#[must_use]
pub fn prepare<'a>(bytes: &'a [u8], verdict: &Arc<Verdict>) -> Option<Cleared<'a>> {
    matches!(verdict.outcome, Outcome::Hold(_)).then(|| Cleared { bytes, verdict: Arc::clone(verdict) })
}
