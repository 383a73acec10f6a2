//! Everything that waits for people, and what they said. Pure: time, and who speaks, are passed in.
//!
//! What is decided is first taken out of the docket as a [`Decided`], then recorded, and only then carried out: so
//! nothing takes effect that is not on the record, and nobody decides anything twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{
    grant::{Covers, Extent, Grant, Id, Length, Release, Session},
    people::{Approver, Vote, Votes, counts},
    request::{Digest, Request},
};
use crate::policy::Approval;

/// Most that waits at once, of everybody together.
const MOST: usize = 1024;
/// Of one user, whatever its processes call themselves.
const MOST_OF_USER: usize = MOST / 4;
/// Connections that wait for one answer.
const MOST_WAITERS: usize = 256;
/// Grants that hold at once.
const MOST_GRANTS: usize = 1024;
/// What was settled lately, to be shown.
const REMEMBERED: usize = 256;
/// Whoever asks again what was just denied is not heard: nobody is to be worn down.
pub const DENIED_FOR: Duration = Duration::from_secs(60);

/// What holds for everybody.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long a request waits, from when it was first asked.
    pub expiry: Duration,
    /// How many requests of one identity wait at once.
    pub per_identity: usize,
}

/// A question to people.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What.
    pub request: Arc<Request>,
    /// What it needs.
    pub needs: Arc<Approval>,
    /// In which session.
    pub session: Session,
}

/// What comes of asking.
#[derive(Debug)]
pub enum Asked {
    /// A grant covers it.
    Granted(Release),
    /// It waits, under this number. The name is there when it is the first to ask this, which is to be recorded.
    Waits(u64, Option<Id>),
}

/// Why nobody is asked, or nobody is heard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// One identity, or all of them, ask too much.
    #[error("too many requests wait for approval")]
    TooMany,
    /// It was denied a moment ago.
    #[error("this was denied just now by {0}")]
    Denied(String),
    /// The docket is closed.
    #[error("approvals are not waited for any more: the daemon stops")]
    Closed,
    /// No such approval waits.
    #[error("no such approval is waited for")]
    Unknown,
    /// It was waited for too long.
    #[error("it has expired")]
    Expired,
    /// Nobody approves what they ask for themselves.
    #[error("{0} asks for this and cannot approve it")]
    Requester(String),
    /// The approver is in none of the groups.
    #[error("this needs the approval of {0}; {1} is not one of them")]
    NotOfGroup(String, String),
    /// A reason is asked for.
    #[error("this approval needs a reason")]
    NoReason,
    /// There are too many grants already.
    #[error("too many grants hold already; approve it once")]
    TooManyGrants,
}

/// How something was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// By enough people.
    Approved(Extent),
    /// By somebody, who said why.
    Denied(String, Option<String>),
    /// By nobody, in time.
    Expired,
    /// It is not asked any more, and why not.
    Withdrawn(String),
}

/// What a waiter is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go on with this.
    Released(Release),
    /// Do not.
    Ended(End),
    /// It was decided and could not be recorded.
    Unrecorded,
}

/// One request that waits.
#[derive(Debug)]
pub struct Pending<W> {
    /// Its name.
    pub id: Id,
    /// What is asked.
    pub request: Arc<Request>,
    /// What it needs.
    pub needs: Arc<Approval>,
    /// When it was first asked, boot-time nanoseconds.
    pub asked: u64,
    /// Until when it waits.
    pub until: u64,
    /// Who approved so far.
    pub votes: Votes,
    /// How much they grant.
    pub extent: Option<Extent>,
    /// Who waits for it, oldest first.
    pub waiters: Vec<Waiter<W>>,
    /// Whether it is on the record; before that nobody can decide it.
    announced: bool,
}

/// One that waits.
#[derive(Debug)]
pub struct Waiter<W> {
    number: u64,
    session: Session,
    /// How to tell it.
    pub reply: W,
}

/// What was settled lately.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Its name.
    pub id: Id,
    /// What was asked.
    pub request: Arc<Request>,
    /// What it needed.
    pub needs: Arc<Approval>,
    /// When it was first asked.
    pub asked: u64,
    /// When it was settled.
    pub at: u64,
    /// How.
    pub end: End,
    /// By whom, where somebody did.
    pub by: Option<String>,
}

/// Something that was settled, out of the docket, waiting to be recorded.
#[derive(Debug)]
#[must_use]
pub struct Decided<W> {
    /// What.
    pub pending: Pending<W>,
    /// How.
    pub end: End,
    at: u64,
}

/// What an approval came to.
#[derive(Debug)]
pub enum Heard<W> {
    /// It was counted; more people are needed.
    Counted(Id),
    /// It was enough.
    Enough(Box<Decided<W>>),
}

/// Everything that waits for people, and every grant.
#[derive(Debug)]
pub struct Docket<W> {
    rules: Rules,
    pending: BTreeMap<Id, Pending<W>>,
    grants: Vec<Grant>,
    settled: VecDeque<Settled>,
    /// What was denied just now, when, and by whom.
    denied: VecDeque<(Digest, u64, String)>,
    next: u64,
    closed: bool,
}

impl<W> Docket<W> {
    /// An empty one.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            pending: BTreeMap::new(),
            grants: Vec::new(),
            settled: VecDeque::new(),
            denied: VecDeque::new(),
            next: 0,
            closed: false,
        }
    }

    /// Asks. Requests that are alike wait as one.
    ///
    /// # Errors
    /// When too much waits already, or it was denied just now.
    pub fn ask(&mut self, ask: &Ask, reply: W, now: u64) -> Result<Asked, Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        let Ask { request, needs, session } = ask;
        if let Some(grant) = self.grants.iter().find(|grant| grant.covers(request, session, needs, now)) {
            return Ok(Asked::Granted(Release::new(grant.id, request, Arc::clone(&grant.approval))));
        }
        if let Some(by) = self.denied_lately(ask, now) {
            return Err(Refusal::Denied(by));
        }
        let number = self.next;
        self.next += 1;
        let waiter = Waiter { number, session: session.clone(), reply };
        let alike = self.pending.values_mut().find(|pending| {
            pending.request.digest() == request.digest() && pending.needs == *needs && now < pending.until
        });
        if let Some(pending) = alike {
            if pending.waiters.len() >= MOST_WAITERS {
                return Err(Refusal::TooMany);
            }
            pending.waiters.push(waiter);
            return Ok(Asked::Waits(number, None));
        }
        self.has_room_for(request)?;
        let asked = self.asked_before(ask, now).unwrap_or(now);
        let id = self.file(ask, asked, vec![waiter]);
        Ok(Asked::Waits(number, Some(id)))
    }

    fn file(&mut self, ask: &Ask, asked: u64, waiters: Vec<Waiter<W>>) -> Id {
        let id = Id::random();
        let pending = Pending {
            id,
            request: Arc::clone(&ask.request),
            needs: Arc::clone(&ask.needs),
            asked,
            until: asked.saturating_add(nanoseconds(self.rules.expiry)),
            votes: Votes::default(),
            extent: None,
            waiters,
            announced: false,
        };
        self.pending.insert(id, pending);
        id
    }

    fn has_room_for(&self, request: &Request) -> Result<(), Refusal> {
        let about = request.about();
        let of =
            |alike: &dyn Fn(&Request) -> bool| self.pending.values().filter(|pending| alike(&pending.request)).count();
        let of_identity = of(&|other| other.about().workload == about.workload);
        let of_user = of(&|other| (other.about().uid, other.about().login_uid) == (about.uid, about.login_uid));
        let full = self.pending.len() >= MOST || of_identity >= self.rules.per_identity || of_user >= MOST_OF_USER;
        if full { Err(Refusal::TooMany) } else { Ok(()) }
    }

    /// Beside what was settled, so that many requests do not push it out: there are no more denials than people make.
    fn remember_denied(&mut self, request: &Request, by: &str, at: u64) {
        self.denied.retain(|denied| at < denied.1.saturating_add(nanoseconds(DENIED_FOR)));
        self.denied.push_back((request.digest(), at, by.to_owned()));
    }

    fn denied_lately(&self, ask: &Ask, now: u64) -> Option<String> {
        let last = self.denied.iter().rev().find(|(digest, ..)| *digest == ask.request.digest())?;
        (now < last.1.saturating_add(nanoseconds(DENIED_FOR))).then(|| last.2.clone())
    }

    /// Whoever hangs up and comes back has been waiting all the time.
    fn asked_before(&self, ask: &Ask, now: u64) -> Option<u64> {
        let last = self
            .settled
            .iter()
            .rev()
            .find(|settled| settled.request.digest() == ask.request.digest() && settled.needs == ask.needs)?;
        let waits = now < last.asked.saturating_add(nanoseconds(self.rules.expiry));
        (matches!(last.end, End::Withdrawn(_)) && waits).then_some(last.asked)
    }

    /// Lets people decide about it, now that it is on the record.
    pub fn announce(&mut self, id: Id) -> Option<&Pending<W>> {
        let pending = self.pending.get_mut(&id)?;
        pending.announced = true;
        Some(pending)
    }

    /// Counts somebody's approval.
    ///
    /// # Errors
    /// When this approver cannot approve this, or not so.
    pub fn approve(&mut self, id: Id, vote: Vote, extent: Extent, now: u64) -> Result<Heard<W>, Refusal> {
        let grants = self.grants.len();
        let pending = self.open(id, now)?;
        let who = &vote.approver;
        if pending.request.requester().is(&who.person) {
            return Err(Refusal::Requester(who.person.shown().to_owned()));
        }
        if !pending.needs.groups.is_empty() && pending.needs.groups.is_disjoint(&who.groups) {
            return Err(Refusal::NotOfGroup(pending.needs.to_string(), who.person.shown().to_owned()));
        }
        if !counts(&vote, &pending.needs) {
            return Err(Refusal::NoReason);
        }
        if extent != Extent::Once && grants >= MOST_GRANTS {
            return Err(Refusal::TooManyGrants);
        }
        pending.votes.count(vote);
        let extent = pending.extent.map_or(extent, |before| before.min(extent));
        pending.extent = Some(extent);
        if !pending.votes.meet(&pending.needs) {
            return Ok(Heard::Counted(id));
        }
        let pending = self.pending.remove(&id).ok_or(Refusal::Unknown)?;
        Ok(Heard::Enough(Box::new(Decided { pending, end: End::Approved(extent), at: now })))
    }

    /// Takes a vote back that could not be recorded.
    pub fn uncount(&mut self, id: Id, votes: Votes, extent: Option<Extent>) {
        if let Some(pending) = self.pending.get_mut(&id) {
            (pending.votes, pending.extent) = (votes, extent);
        }
    }

    /// Ends it by somebody's no; by the requester's it is withdrawn.
    ///
    /// # Errors
    /// When there is nothing to deny.
    pub fn deny(&mut self, id: Id, by: &Approver, reason: Option<&str>, now: u64) -> Result<Decided<W>, Refusal> {
        let pending = self.open(id, now)?;
        let shown = by.person.shown();
        let end = if pending.request.requester().is(&by.person) {
            End::Withdrawn(format!("by {shown}, who asked for it"))
        } else {
            End::Denied(shown.to_owned(), reason.map(str::to_owned))
        };
        let pending = self.pending.remove(&id).ok_or(Refusal::Unknown)?;
        Ok(Decided { pending, end, at: now })
    }

    fn open(&mut self, id: Id, now: u64) -> Result<&mut Pending<W>, Refusal> {
        let pending = self.pending.get_mut(&id).filter(|pending| pending.announced).ok_or(Refusal::Unknown)?;
        if now >= pending.until { Err(Refusal::Expired) } else { Ok(pending) }
    }

    /// What nobody waits for any more, once this waiter is gone.
    pub fn leave(&mut self, number: u64, why: &str, now: u64) -> Option<Decided<W>> {
        let pending =
            self.pending.values_mut().find(|pending| pending.waiters.iter().any(|one| one.number == number))?;
        pending.waiters.retain(|one| one.number != number);
        if !pending.waiters.is_empty() {
            return None;
        }
        let id = pending.id;
        let pending = self.pending.remove(&id)?;
        Some(Decided { pending, end: End::Withdrawn(why.to_owned()), at: now })
    }

    /// What was waited for too long; grants that are over are forgotten.
    pub fn pass(&mut self, now: u64) -> Vec<Decided<W>> {
        self.grants.retain(|grant| now < grant.until);
        let over: Vec<Id> = self.pending.values().filter(|one| now >= one.until).map(|one| one.id).collect();
        let over = over.iter().filter_map(|id| self.pending.remove(id));
        over.map(|pending| Decided { pending, end: End::Expired, at: now }).collect()
    }

    /// Withdraws everything, and takes nothing any more.
    pub fn close(&mut self, why: &str, now: u64) -> Vec<Decided<W>> {
        self.closed = true;
        let all = std::mem::take(&mut self.pending).into_values();
        all.map(|pending| Decided { pending, end: End::Withdrawn(why.to_owned()), at: now }).collect()
    }

    /// Takes out what could not be recorded when it was asked.
    pub fn take(&mut self, id: Id) -> Option<Pending<W>> {
        self.pending.remove(&id)
    }

    /// Carries out what is on the record: a grant holds from now on, and waiters have their answers. What was approved
    /// once releases whoever has waited longest; the others go on waiting, as something new that is to be recorded.
    pub fn carry_out(&mut self, decided: Decided<W>) -> (Vec<(W, Answer)>, Option<Id>) {
        let Decided { pending, end, at } = decided;
        let by = match &end {
            End::Approved(_) => Some(names(&pending.votes)),
            End::Denied(by, _) => Some(by.clone()),
            End::Expired | End::Withdrawn(_) => None,
        };
        let Pending { id, request, needs, asked, waiters, .. } = pending;
        if let End::Denied(by, _) = &end {
            self.remember_denied(&request, by, at);
        }
        while self.settled.len() >= REMEMBERED {
            self.settled.pop_front();
        }
        let (kept, needed) = (Arc::clone(&request), Arc::clone(&needs));
        self.settled.push_back(Settled { id, request: kept, needs: needed, asked, at, end: end.clone(), by });
        let mut waiters = waiters.into_iter();
        let End::Approved(extent) = end else {
            return (waiters.map(|one| (one.reply, Answer::Ended(end.clone()))).collect(), None);
        };
        let covers = match extent {
            Extent::Once => None,
            Extent::For(length) => Some((Covers::Shape, length.duration())),
            Extent::Session => {
                waiters.as_slice().first().map(|one| (Covers::Session(one.session.clone()), Length::MAX))
            }
        };
        let release = |one: Waiter<W>| (one.reply, Answer::Released(Release::new(id, &request, Arc::clone(&needs))));
        let Some((covers, length)) = covers else {
            let first = waiters.next().map(release);
            let session = waiters.as_slice().first().map(|one| one.session.clone());
            let again = session.map(|session| Ask { request, needs, session });
            let again = again.map(|ask| self.file(&ask, asked, waiters.collect()));
            return (first.into_iter().collect(), again);
        };
        let by = self.settled.back().and_then(|settled| settled.by.clone()).unwrap_or_default();
        let until = at.saturating_add(nanoseconds(length));
        let grant = Grant { id, approval: Arc::clone(&needs), until, by, request: Arc::clone(&request), covers };
        let all: Vec<Waiter<W>> = waiters.collect();
        let (covered, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|one| grant.covers(&request, &one.session, &needs, at));
        self.grants.push(grant);
        let answers = covered.into_iter().map(release).collect();
        let session = others.first().map(|one| one.session.clone());
        let again = session.map(|session| Ask { request: Arc::clone(&request), needs: Arc::clone(&needs), session });
        (answers, again.map(|ask| self.file(&ask, asked, others)))
    }

    /// What waits and may be decided, oldest first.
    #[must_use]
    pub fn pending(&self) -> Vec<&Pending<W>> {
        let mut all: Vec<_> = self.pending.values().filter(|pending| pending.announced).collect();
        all.sort_by_key(|pending| (pending.asked, pending.id));
        all
    }

    /// One that waits, on the record or not.
    #[must_use]
    pub fn one(&self, id: Id) -> Option<&Pending<W>> {
        self.pending.get(&id)
    }

    /// What was settled lately, oldest first.
    pub fn settled(&self) -> impl DoubleEndedIterator<Item = &Settled> {
        self.settled.iter()
    }

    /// Grants that hold.
    pub fn grants(&self, now: u64) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(move |grant| now < grant.until)
    }

    /// Ends a grant.
    pub fn revoke(&mut self, id: Id) -> Option<Grant> {
        let at = self.grants.iter().position(|grant| grant.id == id)?;
        Some(self.grants.remove(at))
    }
}

/// Everybody who approved.
#[must_use]
pub fn names(votes: &Votes) -> String {
    votes.iter().map(|vote| vote.approver.person.shown()).collect::<Vec<_>>().join(", ")
}

fn nanoseconds(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
