//! Flows that go on, so that they can be judged again.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::sync::{oneshot, watch};

use crate::{
    approve::Id,
    policy::{Holder, Moment, Question, Verdict, question::Target},
};

use super::Directory;

/// Flows that go on, by number.
#[derive(Default)]
pub struct Live {
    flows: Mutex<HashMap<u64, Flow>>,
    next: AtomicU64,
    judged: watch::Sender<()>,
}

struct Flow {
    question: Question,
    /// The grant or break-glass without which it may not be allowed.
    under: Option<Id>,
    revoked: oneshot::Sender<Arc<Verdict>>,
}

/// A flow's place among the live ones, given back when dropped.
pub struct Place<'a> {
    live: &'a Live,
    number: u64,
    revoked: oneshot::Receiver<Arc<Verdict>>,
}

impl Live {
    /// Enters a flow that was allowed by `verdict`, `under` a grant or a break-glass. If other policies hold since, it is
    /// judged by them at once: whoever changes them judges only flows that are entered.
    pub fn enter(&self, policies: &Holder, question: &Question, verdict: &Verdict, under: Option<Id>) -> Place<'_> {
        let (sender, revoked) = oneshot::channel();
        let number = self.next.fetch_add(1, Relaxed);
        let flow = Flow { question: question.clone(), under, revoked: sender };
        self.flows().insert(number, flow);
        if verdict.version != policies.version() {
            self.judge_one(policies, number);
        }
        Place { live: self, number, revoked }
    }

    /// Judges every flow again, as of `moment` and by what is known of its destination now; those that are not allowed
    /// any more are told to end. Says how many.
    pub fn judge(&self, policies: &Holder, moment: &Moment, targets: &Directory) -> usize {
        let asked: Vec<(u64, Question)> = {
            let mut flows = self.flows();
            for flow in flows.values_mut() {
                flow.question.circumstances.pass_to(moment);
                let Target { address, port, .. } = *flow.question.target;
                let target = targets.find((address, port).into());
                if target != *flow.question.target {
                    flow.question.target = Arc::new(target);
                }
            }
            flows.iter().map(|(number, flow)| (*number, flow.question.clone())).collect()
        };
        self.judged.send_replace(());
        // Not under the lock: new flows are entered meanwhile.
        asked.into_iter().filter(|(number, question)| self.revoke(policies, *number, question)).count()
    }

    /// Judges the flows under a grant or a break-glass that is over, without it; says how many were told to end.
    pub fn lapse(&self, policies: &Holder, id: Id) -> usize {
        let asked: Vec<(u64, Question)> = {
            let mut flows = self.flows();
            let under = flows.iter_mut().filter(|(_, flow)| flow.under == Some(id));
            let bare = under.map(|(number, flow)| {
                flow.under = None;
                flow.question.circumstances.approval = None;
                flow.question.circumstances.break_glass = false;
                (*number, flow.question.clone())
            });
            bare.collect()
        };
        asked.into_iter().filter(|(number, question)| self.revoke(policies, *number, question)).count()
    }

    /// Changes whenever flows are judged again: what is held has to be as well.
    pub fn judgements(&self) -> watch::Receiver<()> {
        self.judged.subscribe()
    }

    fn judge_one(&self, policies: &Holder, number: u64) {
        let question = self.flows().get(&number).map(|flow| flow.question.clone());
        if let Some(question) = question {
            self.revoke(policies, number, &question);
        }
    }

    fn revoke(&self, policies: &Holder, number: u64, question: &Question) -> bool {
        let verdict = policies.decide(question).verdict;
        if verdict.allows() {
            return false;
        }
        let Some(flow) = self.flows().remove(&number) else { return false };
        flow.revoked.send(verdict).is_ok()
    }

    fn flows(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Flow>> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Waits until the flow is not allowed any more.
    pub async fn revoked(&mut self) -> Arc<Verdict> {
        match (&mut self.revoked).await {
            Ok(verdict) => verdict,
            // Nobody can revoke it any more.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.live.flows().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::{
        PolicySet, Source, check,
        question::{Asked, Circumstances, Subject, Workload},
    };

    fn set(text: &str) -> PolicySet {
        check(&[Source { name: "a.cedar".to_owned(), text: text.to_owned() }])
            .unwrap_or_else(|found| panic!("{found:?}"))
    }

    fn question(port: u16) -> Question {
        Question {
            subject: Arc::new(Subject::new(Workload::default())),
            target: Arc::new(Target::opaque([10, 0, 0, 5].into(), port)),
            asked: Asked::Connect,
            circumstances: Circumstances::default(),
        }
    }

    const ALL: &str = "permit(principal, action, resource);";
    const NOT_1: &str = "permit(principal, action == Action::\"connect\", resource) when { resource.port != 1 };";

    #[test]
    fn flows_that_are_not_allowed_any_more_are_revoked() {
        let (live, policies) = (Live::default(), Holder::new(set(ALL), || Duration::ZERO));
        let verdict = policies.decide(&question(1)).verdict;
        let [mut one, mut two] = [1, 2].map(|port| live.enter(&policies, &question(port), &verdict, None));
        assert_eq!(live.judge(&policies, &Moment::default(), &Directory::default()), 0);
        policies.replace(set(NOT_1));
        assert_eq!(live.judge(&policies, &Moment::default(), &Directory::default()), 1);
        assert!(one.revoked.try_recv().is_ok_and(|verdict| !verdict.allows()));
        assert!(two.revoked.try_recv().is_err());
        drop((one, two));
        assert!(live.flows().is_empty());
    }

    #[test]
    fn what_runs_under_a_grant_ends_with_it() {
        let needy = "permit(principal, action, resource) when { context has break_glass && context.break_glass };";
        let (live, policies) = (Live::default(), Holder::new(set(needy), || Duration::ZERO));
        let mut asked = question(1);
        asked.circumstances.break_glass = true;
        let verdict = policies.decide(&asked).verdict;
        let ids = [Id::from([1; 16]), Id::from([2; 16])];
        let [mut one, mut two] = ids.map(|id| live.enter(&policies, &asked, &verdict, Some(id)));
        assert_eq!(live.lapse(&policies, ids[0]), 1);
        assert!(one.revoked.try_recv().is_ok() && two.revoked.try_recv().is_err());
    }

    #[test]
    fn a_flow_that_was_judged_by_the_old_policies_is_judged_when_it_enters() {
        let (live, policies) = (Live::default(), Holder::new(set(ALL), || Duration::ZERO));
        let verdict = policies.decide(&question(1)).verdict;
        policies.replace(set(NOT_1));
        // Nobody was live when the policies changed.
        assert_eq!(live.judge(&policies, &Moment::default(), &Directory::default()), 0);
        assert!(live.enter(&policies, &question(1), &verdict, None).revoked.try_recv().is_ok());
    }
}
