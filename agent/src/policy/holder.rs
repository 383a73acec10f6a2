//! The set that holds now, and the decisions it made: replaced in one step, never waited for.
//!
//! Decisions are remembered beside the set that made them, under everything its policies can look at. So a reload starts
//! with none, and another group, another fact, another hour are other questions.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use lru::LruCache;

use super::{
    facts::Scene,
    load::{Rejected, load},
    question::{Asked, Execute, Question, Setting, Subject, Workload},
    set::{PolicySet, Verdict, Version},
};
use crate::identity::Identity;

/// Remembered decisions of one shard; a question with its answer is about 2 KiB.
const PER_SHARD: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);
/// Shards, by who asks, so that lanes seldom meet.
const SHARDS: usize = 8;
/// Remembered entities of one shard; those of a question are about 8 KiB.
const SCENES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(127);

/// What a flow keeps of what it was allowed.
const RECENT: usize = 64;
/// Who asked lately; each is about 2 KiB.
const SUBJECTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// A verdict, and how long it took.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What the policies say.
    pub verdict: Arc<Verdict>,
    /// Whether it was remembered.
    pub remembered: bool,
    /// How long it took to find out.
    pub took: Duration,
}

/// Facts that one flow was lately allowed to act on: their address is enough to know them again. Every question of a flow
/// must have the same subject, target and circumstances, but for time and what the session did; where policies look at
/// those, nothing is kept here.
#[derive(Default)]
pub struct Recent {
    /// What allowed them; alive no longer than it holds, but its address stays its own.
    by: Weak<Generation>,
    allowed: VecDeque<(Arc<Execute>, Arc<Verdict>)>,
}

struct Generation {
    set: PolicySet,
    shards: Vec<Mutex<Shard>>,
}

/// What is remembered of some of those who ask.
struct Shard {
    verdicts: LruCache<Question, Arc<Verdict>>,
    /// The entities of what is asked: requests of one session differ in their facts only.
    scenes: LruCache<Setting, Arc<Scene>>,
}

/// An identity, and it as policies see it.
type Known = (Arc<Identity>, Arc<Subject>);

/// The policies that hold now.
pub struct Holder {
    current: ArcSwap<Generation>,
    /// Who asked lately, by the identity's address. Keeping it alive keeps the address its own.
    subjects: Mutex<LruCache<usize, Known>>,
    /// Freed by whoever reloads, not by a request that happens to be the last to look.
    retired: Mutex<Vec<Arc<Generation>>>,
    clock: fn() -> Duration,
}

impl Generation {
    fn new(set: PolicySet) -> Arc<Self> {
        let shard = || Shard { verdicts: LruCache::new(PER_SHARD), scenes: LruCache::new(SCENES) };
        let shards = (0..SHARDS).map(|_| Mutex::new(shard())).collect();
        Arc::new(Self { set, shards })
    }

    fn shard(&self, question: &Question) -> Option<MutexGuard<'_, Shard>> {
        let [first, ..] = question.subject.version();
        let shard = self.shards.get(usize::from(*first) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Evaluates; never under the lock.
    fn judge(&self, question: &Question) -> Verdict {
        self.set.judge_in(question, |words| {
            let setting = question.setting();
            let known = self.shard(question).and_then(|mut shard| shard.scenes.get(&setting).map(Arc::clone));
            if let Some(scene) = known {
                return Ok(scene);
            }
            let scene = Arc::new(Scene::of(words, question)?);
            if let Some(mut shard) = self.shard(question) {
                shard.scenes.put(setting, Arc::clone(&scene));
            }
            Ok(scene)
        })
    }
}

impl Holder {
    /// Holds a set. `clock` tells how long decisions take.
    #[must_use]
    pub fn new(set: PolicySet, clock: fn() -> Duration) -> Self {
        let subjects = Mutex::new(LruCache::new(SUBJECTS));
        Self { current: ArcSwap::new(Generation::new(set)), subjects, retired: Mutex::default(), clock }
    }

    /// The facts of an attested process that acts for nobody, numbered once.
    #[must_use]
    pub fn subject(&self, identity: &Arc<Identity>) -> Arc<Subject> {
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, subject) = subjects.get_or_insert(Arc::as_ptr(identity).addr(), || {
            (Arc::clone(identity), Arc::new(Subject::new(Workload::of(identity, None))))
        });
        Arc::clone(subject)
    }

    /// Puts another set in place of the one that holds: for questions asked from now on.
    pub fn replace(&self, set: PolicySet) {
        let old = self.current.swap(Generation::new(set));
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.push(old);
        retired.retain(|generation| Arc::strong_count(generation) > 1);
    }

    /// Reads a directory and lets its policies hold, if they are good and other than those that hold. Says whether.
    ///
    /// # Errors
    /// Everything that is wrong with it; the old set stays. A directory without policies is wrong once there were some:
    /// taking the last file away must neither open nor close everything.
    pub fn reload(&self, directory: &std::path::Path) -> Result<bool, Rejected> {
        let set = load(directory)?;
        if set.is_empty() {
            return match self.policies() {
                0 => Ok(false),
                _ => Err(Rejected::emptied(directory)),
            };
        }
        let changed = self.version() != set.version();
        if changed {
            self.replace(set);
        }
        Ok(changed)
    }

    /// Which set holds.
    #[must_use]
    pub fn version(&self) -> Version {
        self.current.load().set.version()
    }

    /// How many policies hold.
    #[must_use]
    pub fn policies(&self) -> usize {
        self.current.load().set.len()
    }

    /// Whether answers may change as time goes by.
    #[must_use]
    pub fn depends_on_time(&self) -> bool {
        self.current.load().set.depends_on_time()
    }

    /// Decides, or remembers.
    #[must_use]
    pub fn decide(&self, question: &Question) -> Decision {
        let start = (self.clock)();
        let (verdict, remembered) = self.current.load().answer(question);
        Decision { verdict, remembered, took: (self.clock)().saturating_sub(start) }
    }

    /// The same for one flow, which keeps what it is allowed.
    pub(super) fn decide_for(&self, question: &Question, recent: &mut Recent) -> Arc<Verdict> {
        let generation = self.current.load();
        let (verdict, _) = generation.answer(question);
        let lasts = !generation.set.depends_on_time() && !generation.set.reads.session;
        if let Asked::Execute(facts) = &question.asked
            && question.circumstances.approval.is_none()
            && lasts
            && verdict.allows()
        {
            if recent.by.as_ptr() != Arc::as_ptr(&generation) {
                *recent = Recent { by: Arc::downgrade(&generation), allowed: VecDeque::new() };
            }
            recent.allowed.truncate(RECENT - 1);
            recent.allowed.push_front((Arc::clone(facts), Arc::clone(&verdict)));
        }
        verdict
    }

    /// What allowed a flow to act on these very facts, if that still holds.
    pub(super) fn allowed(&self, facts: &Arc<Execute>, recent: &Recent) -> Option<Arc<Verdict>> {
        if recent.by.as_ptr() != Arc::as_ptr(&self.current.load()) {
            return None;
        }
        let known = recent.allowed.iter().find(|(known, _)| Arc::ptr_eq(known, facts));
        known.map(|(_, verdict)| Arc::clone(verdict))
    }
}

impl Generation {
    /// Decides, or remembers; and which of them.
    fn answer(&self, question: &Question) -> (Arc<Verdict>, bool) {
        let essence = self.set.essence(question);
        let known = self.shard(&essence).and_then(|mut shard| shard.verdicts.get(&essence).map(Arc::clone));
        let remembered = known.is_some();
        let verdict = known.unwrap_or_else(|| {
            let verdict = Arc::new(self.judge(&essence));
            if let Some(mut shard) = self.shard(&essence) {
                shard.verdicts.put(essence, Arc::clone(&verdict));
            }
            verdict
        });
        (verdict, remembered)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{connect, subject};
    use super::super::{Moment, Source, Zone, check};
    use super::*;

    fn set(text: &str) -> PolicySet {
        check(&[Source { name: "a.cedar".to_owned(), text: text.to_owned() }])
            .unwrap_or_else(|found| panic!("{found:?}"))
    }

    const STAFF: &str = "permit(principal in Group::\"staff\", action, resource);";
    const NOBODY: &str = "forbid(principal, action, resource);";

    #[test]
    fn the_same_question_is_remembered_and_another_is_not() {
        let holder = Holder::new(set(STAFF), || Duration::ZERO);
        let staff = connect("x", &["staff"]);
        assert!(!holder.decide(&staff).remembered);
        let again = holder.decide(&staff);
        assert!(again.remembered && again.verdict.allows());
        // The person left the group: nothing that was decided before counts.
        let left = Question { subject: subject("x", &[]), ..staff.clone() };
        let decision = holder.decide(&left);
        assert!(!decision.remembered && !decision.verdict.allows());
        // The same facts established again are the same question.
        assert!(holder.decide(&connect("x", &["staff"])).remembered);
    }

    #[test]
    fn a_reload_forgets_everything() {
        let holder = Holder::new(set(STAFF), || Duration::ZERO);
        let staff = connect("x", &["staff"]);
        assert!(holder.decide(&staff).verdict.allows());
        let before = holder.version();
        holder.replace(set(NOBODY));
        let decision = holder.decide(&staff);
        assert!(!decision.remembered && !decision.verdict.allows());
        assert!(decision.verdict.version == holder.version() && holder.version() != before);
    }

    #[test]
    fn the_hour_is_another_question_where_a_policy_asks_for_it() {
        let office = "permit(principal, action, resource) when { context.time.hour < 12 };";
        let holder = Holder::new(set(office), || Duration::ZERO);
        let at = |hour: i64| {
            let mut question = connect("x", &[]);
            question.circumstances.moment = Moment::at(hour * 3600, &Zone::default());
            holder.decide(&question)
        };
        assert!(at(11).verdict.allows());
        assert!(at(35).remembered);
        assert!(!at(12).verdict.allows());
    }

    #[test]
    fn no_stale_answer_is_given_while_sets_and_groups_change() {
        let holder = Holder::new(set(STAFF), || Duration::ZERO);
        let versions = [set(STAFF).version(), set(NOBODY).version()];
        let stop = &std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let holder = &holder;
                scope.spawn(move || {
                    for round in 0..4000 {
                        let groups: &[&str] = if round % 2 == 0 { &["staff"] } else { &["guests"] };
                        let verdict = holder.decide(&connect("x", groups)).verdict;
                        // What a verdict says is what the set of its version says.
                        let expected = verdict.version == versions[0] && round % 2 == 0;
                        assert_eq!(verdict.allows(), expected, "{verdict:?}");
                        if stop.load(std::sync::atomic::Ordering::Relaxed) {
                            return;
                        }
                    }
                });
            }
            for round in 0..200 {
                let other = if round % 2 == 0 { NOBODY } else { STAFF };
                holder.replace(set(other));
                // Asked after the change, answered by the change.
                assert_eq!(holder.decide(&connect("y", &["staff"])).verdict.allows(), other == STAFF);
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn memory_is_bounded() {
        let holder = Holder::new(set(STAFF), || Duration::ZERO);
        for number in 0..3 * PER_SHARD.get() {
            let mut question = connect("x", &[]);
            question.circumstances.break_glass = number % 2 == 0;
            question.target = Arc::new(super::super::question::Target::opaque(
                std::net::Ipv4Addr::from_bits(number as u32).into(),
                80,
            ));
            let _ = holder.decide(&question);
        }
        let generation = holder.current.load();
        for shard in &generation.shards {
            let shard = shard.lock().unwrap();
            assert!(shard.verdicts.len() <= PER_SHARD.get() && shard.scenes.len() <= SCENES.get());
        }
    }

    #[test]
    fn a_bad_directory_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.cedar");
        std::fs::write(&file, STAFF).unwrap();
        let holder = Holder::new(PolicySet::unconfigured(), || Duration::ZERO);
        assert!(holder.reload(dir.path()).unwrap());
        assert!(!holder.reload(dir.path()).unwrap(), "nothing changed");
        let version = holder.version();
        for bad in
            [&b"permit(principal, action"[..], b"\xff", b"permit(principal, action, resource) when { context.x };"]
        {
            std::fs::write(&file, bad).unwrap();
            assert!(holder.reload(dir.path()).is_err());
        }
        std::fs::remove_file(&file).unwrap();
        assert!(holder.reload(dir.path()).is_err_and(|rejected| rejected.to_string().contains("no policies any more")));
        std::fs::remove_dir_all(dir.path()).unwrap();
        assert!(holder.reload(dir.path()).is_err_and(|rejected| rejected.missing));
        assert!(holder.version() == version && holder.policies() == 1);
        assert!(holder.decide(&connect("x", &["staff"])).verdict.allows());
    }
}
