//! Where requests wait and people answer: the docket with its clock, its record and those who wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::{
    crier::Crier,
    docket::{Answer, Ask, Asked, Decided, Docket, End, Heard, Refusal, Rules},
    glass::{Glass, Glasses, Whom},
    grant::{Extent, Grant, Id, Length, Release},
    people::{Approver, Vote},
    request::Request,
    steps,
};
use crate::policy::Approval;
use crate::record::{
    ApprovalRecord, ApprovalState, EventKind, EventRecord, RecordError, Recorder, SessionId, Timestamps,
};

/// How often the time is looked at while anything waits for it: timers of the runtime stand still in suspend.
const LOOK: Duration = Duration::from_millis(500);

/// How one that waits is told.
#[derive(Debug)]
pub struct Teller {
    session: SessionId,
    reply: oneshot::Sender<Answer>,
}

/// Why an approver's word had no effect.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// They may not, or there is nothing.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be recorded.
    #[error("it could not be recorded, and so has no effect")]
    Unrecorded(#[from] RecordError),
}

/// What an approver's word came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// More people are needed.
    Counted,
    /// It was approved.
    Approved,
    /// It was denied.
    Denied,
    /// The requester's own no.
    Withdrawn,
    /// A grant or a break-glass ended before its time.
    Revoked,
}

/// What comes of asking.
pub enum Standing {
    /// A grant covers it.
    Granted(Release),
    /// It waits.
    Waiting(Waiting),
}

/// Where requests wait and people answer.
pub struct Office {
    docket: Mutex<Docket<Teller>>,
    glasses: Mutex<Glasses>,
    /// One decision at a time, so that what is counted is what is on the record.
    turn: tokio::sync::Mutex<()>,
    recorder: Recorder,
    left: mpsc::UnboundedSender<Decided<Teller>>,
    leaving: Mutex<Option<mpsc::UnboundedReceiver<Decided<Teller>>>>,
    /// Something waits for time to pass.
    busy: Notify,
    /// Those who are told of what is asked for.
    announced: watch::Sender<u64>,
    /// Those who wait are told when a glass is broken.
    broken: watch::Sender<()>,
    /// Who says outside what happens here.
    crier: Option<Crier>,
    /// What ended before the flows under it did.
    lapsed: mpsc::UnboundedSender<Id>,
}

impl Office {
    /// An empty one. What comes out beside it are the grants and break-glasses that end while flows run under them.
    #[must_use]
    pub fn open(rules: Rules, recorder: Recorder, crier: Option<Crier>) -> (Arc<Self>, mpsc::UnboundedReceiver<Id>) {
        // Neither can hold more than there are waiters and grants, which are bounded.
        let (left, leaving) = mpsc::unbounded_channel();
        let (lapsed, lapses) = mpsc::unbounded_channel();
        let office = Self {
            docket: Mutex::new(Docket::new(rules)),
            glasses: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            recorder,
            left,
            leaving: Mutex::new(Some(leaving)),
            busy: Notify::new(),
            announced: watch::Sender::new(0),
            broken: watch::Sender::default(),
            crier,
            lapsed,
        };
        (Arc::new(office), lapses)
    }

    /// The docket, to look at.
    pub fn docket(&self) -> MutexGuard<'_, Docket<Teller>> {
        self.docket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes with every request that begins to wait or ends.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.announced.subscribe()
    }

    /// Changes when a glass is broken.
    pub fn breakings(&self) -> watch::Receiver<()> {
        self.broken.subscribe()
    }

    /// Asks for an approval on behalf of a recorded session. From the return on it is on the record that it waits.
    ///
    /// # Errors
    /// When nobody will be asked.
    pub async fn ask(self: &Arc<Self>, ask: &Ask, session: SessionId) -> Result<Standing, Unheard> {
        let (reply, answer) = oneshot::channel();
        let asked = self.docket().ask(ask, Teller { session, reply }, now())?;
        let (number, new) = match asked {
            Asked::Granted(release) => return Ok(Standing::Granted(release)),
            Asked::Waits(number, new) => (number, new),
        };
        let waiting = Waiting { office: Arc::clone(self), number, answer, why: "its client is gone" };
        if let Some(id) = new {
            self.announce(id).await?;
        }
        Ok(Standing::Waiting(waiting))
    }

    async fn announce(&self, id: Id) -> Result<(), RecordError> {
        let at = Timestamps::now();
        let step = {
            let docket = self.docket();
            let step = docket.one(id).and_then(|pending| {
                let session = pending.waiters.first()?.reply.session;
                Some(steps::asked(pending, session, at))
            });
            // Nobody waits any more.
            let Some(step) = step else { return Ok(()) };
            step
        };
        match self.recorder.approval(step).await {
            Ok(()) => {
                let news = self.docket().announce(id).map(|pending| {
                    let about = pending.request.about();
                    let text = format!("{} to {} {}", about.requester, about.kind, about.target);
                    tracing::info!(approval = %id, "an approval is waited for: {text}; it needs {}", pending.needs);
                    self.crier.as_ref().map(|crier| crier.waits(pending))
                });
                self.changed();
                self.cry(news.flatten()).await;
                Ok(())
            }
            Err(error) => {
                let taken = self.docket().take(id);
                taken
                    .into_iter()
                    .flat_map(|pending| pending.waiters)
                    .for_each(|one| tell(one.reply, Answer::Unrecorded));
                Err(error)
            }
        }
    }

    /// Counts somebody's approval.
    ///
    /// # Errors
    /// When it has no effect.
    pub async fn approve(&self, id: Id, vote: Vote, extent: Extent) -> Result<Effect, Unheard> {
        let _turn = self.turn.lock().await;
        let before = self.docket().one(id).map(|pending| (pending.votes.clone(), pending.extent));
        let heard = self.docket().approve(id, vote, extent, now())?;
        match heard {
            Heard::Enough(decided) => self.settle(*decided).await.map(|()| Effect::Approved).map_err(Unheard::from),
            Heard::Counted(id) => {
                let step = self.docket().one(id).map(|pending| steps::counted(pending, Timestamps::now()));
                let Some(step) = step else { return Err(Refusal::Unknown.into()) };
                if let Err(error) = self.recorder.approval(step).await {
                    let (votes, extent) = before.unwrap_or_default();
                    self.docket().uncount(id, votes, extent);
                    return Err(error.into());
                }
                self.changed();
                Ok(Effect::Counted)
            }
        }
    }

    /// Denies a request, or ends a grant or a break-glass.
    ///
    /// # Errors
    /// When it has no effect.
    pub async fn deny(&self, id: Id, by: &Approver, reason: &str) -> Result<Effect, Unheard> {
        let _turn = self.turn.lock().await;
        let decided = self.docket().deny(id, by, Some(reason), now());
        match decided {
            Ok(decided) => {
                let own = matches!(decided.end, End::Withdrawn(_));
                let effect = if own { Effect::Withdrawn } else { Effect::Denied };
                self.settle(decided).await.map(|()| effect).map_err(Unheard::from)
            }
            Err(Refusal::Unknown) => self.revoke(id, by, reason).await,
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// What was granted ends at once, recorded or not: less is allowed afterwards, never more.
    async fn revoke(&self, id: Id, by: &Approver, reason: &str) -> Result<Effect, Unheard> {
        let who = by.person.shown();
        let grant = self.docket().revoke(id);
        let glass = grant.is_none().then(|| self.glasses().mend(id)).flatten();
        if grant.is_none() && glass.is_none() {
            return Err(Refusal::Unknown.into());
        }
        // Nobody listens while the daemon ends.
        let _ = self.lapsed.send(id);
        if let Some(grant) = grant {
            self.recorder.approval(revoked(&grant, who, reason)).await?;
        }
        if let Some(glass) = glass {
            self.recorder.event(mended(&glass, &format!("by {who}: {reason}"))).await?;
        }
        Ok(Effect::Revoked)
    }

    /// Records what was decided, then tells those who wait.
    async fn settle(&self, decided: Decided<Teller>) -> Result<(), RecordError> {
        let recorded = self.recorder.approval(steps::settled(&decided, Timestamps::now())).await;
        if let Err(error) = recorded {
            decided.pending.waiters.into_iter().for_each(|one| tell(one.reply, Answer::Unrecorded));
            return Err(error);
        }
        let id = decided.pending.id;
        let (answers, again, news) = {
            let mut docket = self.docket();
            let (answers, again) = docket.carry_out(decided);
            let settled = docket.settled().rev().find(|settled| settled.id == id);
            let news = settled.and_then(|settled| Some(self.crier.as_ref()?.settled(settled)));
            (answers, again, news)
        };
        answers.into_iter().for_each(|(teller, answer)| tell(teller, answer));
        self.changed();
        if let Some(id) = again {
            // Whoever waits on is told by its own answer.
            let _ = self.announce(id).await;
        }
        self.cry(news).await;
        Ok(())
    }

    async fn cry(&self, news: Option<serde_json::Value>) {
        if let (Some(crier), Some(news)) = (&self.crier, news) {
            crier.cry(news).await;
        }
    }

    /// Lets a request through that a break-glass holds for; recorded first. `None` where none does.
    ///
    /// # Errors
    /// When it could not be recorded.
    pub async fn break_through(
        &self,
        request: &Request,
        needs: &Arc<Approval>,
        glass: &Glass,
        session: SessionId,
    ) -> Result<Release, RecordError> {
        let data = serde_json::json!({
            "asked": request.about(),
            "needs": &**needs,
            "grant": "break-glass",
            "break_glass": glass.id.to_string(),
        });
        let step = ApprovalRecord {
            id: *Id::random().as_bytes(),
            session: Some(session),
            n: None,
            state: ApprovalState::Approved,
            digest: *request.digest().as_bytes(),
            at: Timestamps::now(),
            by: Some(format!("{} (break-glass)", glass.by)),
            reason: Some(glass.reason.clone()),
            data: Some(data.to_string()),
        };
        let id = Id(step.id);
        self.recorder.approval(step).await?;
        let about = request.about();
        tracing::warn!(break_glass = %glass.id, workload = about.workload, target = about.target, "passed by break-glass");
        Ok(Release::new(id, request, Arc::clone(needs)))
    }

    /// Breaks a glass: recorded first.
    ///
    /// # Errors
    /// When it could not be recorded, or too many are broken.
    pub async fn break_glass(&self, whom: Whom, length: Length, by: &str, reason: &str) -> Result<Glass, Unheard> {
        let _turn = self.turn.lock().await;
        if !self.glasses().have_room() {
            return Err(Refusal::TooManyGrants.into());
        }
        let seconds: u64 = length.into();
        let until = now().saturating_add(seconds.saturating_mul(1_000_000_000));
        let glass = Glass { id: Id::random(), whom, until, by: by.to_owned(), reason: reason.to_owned() };
        let detail = format!("{} for {}, for {seconds} s by {by}: {reason}", glass.id, glass.whom);
        tracing::warn!("break-glass: {detail}");
        self.recorder.event(event(EventKind::BreakGlassOpened, &glass, detail)).await?;
        self.glasses().add(glass.clone());
        self.broken.send_replace(());
        self.busy.notify_one();
        self.changed();
        Ok(glass)
    }

    /// The break-glass that holds for a workload of a scope.
    pub fn broken_for(&self, scope: Option<&str>, workload: &str) -> Option<Glass> {
        self.glasses().holds(scope, workload, now()).cloned()
    }

    /// Every break-glass that holds.
    pub fn broken(&self) -> Vec<Glass> {
        self.glasses().now(now()).cloned().collect()
    }

    /// Whether a grant or a break-glass still holds.
    pub fn holds(&self, id: Id) -> bool {
        let now = now();
        self.docket().grants(now).any(|grant| grant.id == id) || self.glasses().now(now).any(|glass| glass.id == id)
    }

    fn glasses(&self) -> MutexGuard<'_, Glasses> {
        self.glasses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.announced.send_modify(|count| *count = count.wrapping_add(1));
        self.busy.notify_one();
    }

    /// Lets time pass, and records who left.
    pub async fn serve(self: Arc<Self>) {
        let leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut leaving) = leaving else { return };
        loop {
            let idle = self.is_idle();
            tokio::select! {
                Some(decided) = leaving.recv() => self.settle_anyway(decided).await,
                () = self.busy.notified(), if idle => {}
                () = tokio::time::sleep(LOOK), if !idle => {}
            }
            let over = self.docket().pass(now());
            for decided in over {
                self.settle_anyway(decided).await;
            }
            let mended = self.glasses().pass(now());
            for glass in mended {
                // Nobody listens while the daemon ends.
                let _ = self.lapsed.send(glass.id);
                tracing::warn!(break_glass = %glass.id, "break-glass is over");
                if let Err(error) = self.recorder.event(self::mended(&glass, "its time is over")).await {
                    tracing::error!(%error, "the end of a break-glass could not be recorded");
                }
            }
        }
    }

    fn is_idle(&self) -> bool {
        let docket = self.docket();
        docket.pending().is_empty() && docket.grants(0).next().is_none() && self.glasses().now(0).next().is_none()
    }

    /// Withdraws everything.
    pub async fn close(&self, why: &str) {
        let all = self.docket().close(why, now());
        for decided in all {
            self.settle_anyway(decided).await;
        }
    }

    async fn settle_anyway(&self, decided: Decided<Teller>) {
        if let Err(error) = self.settle(decided).await {
            tracing::error!(%error, "the end of an approval could not be recorded");
        }
    }
}

/// One that waits. Dropped, it waits no more.
pub struct Waiting {
    office: Arc<Office>,
    number: u64,
    answer: oneshot::Receiver<Answer>,
    why: &'static str,
}

impl Waiting {
    /// Waits for the answer.
    pub async fn answer(&mut self) -> Answer {
        (&mut self.answer).await.unwrap_or(Answer::Unrecorded)
    }

    /// Stops waiting, for another reason than that the client is gone.
    pub fn withdraw(mut self, why: &'static str) {
        self.why = why;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let left = self.office.docket().leave(self.number, self.why, now());
        if let Some(decided) = left {
            // Nobody records any more while the daemon ends.
            let _ = self.office.left.send(decided);
        }
    }
}

fn tell(teller: Teller, answer: Answer) {
    // Whoever left meanwhile needs no answer.
    let _ = teller.reply.send(answer);
}

fn revoked(grant: &Grant, by: &str, reason: &str) -> ApprovalRecord {
    ApprovalRecord {
        id: *grant.id.as_bytes(),
        session: None,
        n: None,
        state: ApprovalState::Withdrawn,
        digest: *grant.request.digest().as_bytes(),
        at: Timestamps::now(),
        by: Some(by.to_owned()),
        reason: Some(format!("revoked: {reason}")),
        data: None,
    }
}

fn mended(glass: &Glass, why: &str) -> EventRecord {
    event(EventKind::BreakGlassClosed, glass, format!("{} for {}: {why}", glass.id, glass.whom))
}

fn event(kind: EventKind, glass: &Glass, detail: String) -> EventRecord {
    let scope = match &glass.whom {
        Whom::Scope(name) => Some(name.as_str().to_owned()),
        Whom::Workload(_) => None,
    };
    EventRecord { scope, detail: Some(detail), ..EventRecord::new(kind, Timestamps::now()) }
}

fn now() -> u64 {
    Timestamps::now().boot_ns
}
