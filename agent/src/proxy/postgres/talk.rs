//! What a client asks for: understood, decided, recorded, sent. And what the server answers.

use std::{collections::HashMap, sync::Arc, time::Instant};

use tokio::sync::{Notify, watch};

use super::{
    cancel::{Cancellations, Registered},
    catalogs::{Known, Shelf},
    fault::{Fault, Who},
    hold::{Hold, Leave, Refused, Said},
    keeping::Keeping,
    ledger::Ledger,
    matter::Matter,
    meaning::Meaning,
    naming::Naming,
    opening::Secured,
    plain::Plain,
    portals::Portals,
    reading::{self, Unready},
    setting::Setting,
    tally::Tally,
    upstream::{Outgoing, Upstream},
};
use crate::{
    config::OnFailure,
    mask::Classes,
    policy::{self, Cleared, Recent, Ruled, Verdict, Version},
    protocol::postgres::{
        Frontend,
        notice::Fields,
        notify::KeyData,
        query::Status,
        session::{Asked, Number, Passed, Request, Session, Turn},
        sql::{Transaction, Unlisted},
    },
    record::{Decision, Durability, RecordedRequest, RequestRecord, Timestamps},
};

/// Most approved portals that are remembered until they are run.
const MOST_APPROVED: usize = 1024;
/// What became of a client's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It was seen to.
    Taken,
    /// It is shown again after an answer of the server.
    Later,
    /// It is shown again once the catalog was read.
    Catalog,
    /// It is shown again once the server was asked what names mean and how texts are read.
    Names,
    /// It is shown again when people have answered.
    Held,
}

/// A request that may go on.
struct Leaving<'a> {
    cleared: Cleared<'a>,
    bytes: u64,
    /// The facts, as they are recorded.
    recorded: Arc<str>,
    approval: Option<Leave>,
}

/// A session and everything that is known of it.
pub(super) struct Talk<'a> {
    pub(super) setting: Setting<'a>,
    pub(super) session: Session,
    pub(super) ledger: Ledger,
    pub(super) hold: Option<Hold>,
    /// What the client is told as soon as something may be put between two messages.
    pub(super) notices: Vec<Vec<u8>>,
    /// What was held before policies changed: it gives its place up to who asks the same.
    former: Option<Hold>,
    /// What policies allowed lately.
    recent: Recent,
    /// Results that are shown as they are.
    pub(super) plain: Plain,
    leave: Option<Leave>,
    refused: Option<Refused>,
    /// Portals that were bound under an approval, by the request that made them.
    pub(super) approved: HashMap<Number, Leave>,
    pub(super) database: Arc<str>,
    /// Where the database's catalog is kept.
    pub(super) shelf: Arc<Shelf>,
    /// The catalog as this session last looked at it.
    pub(super) known: Arc<Known>,
    /// What an open transaction sees of its own changes.
    pub(super) private: Option<Arc<Known>>,
    /// When the catalog could not be read.
    pub(super) unread: Option<Instant>,
    /// The classification that holds.
    pub(super) classes: Arc<Classes>,
    pub(super) naming: Naming,
    /// What portals give that were bound or declared.
    pub(super) portals: Portals,
    /// Texts that were read under the names that hold.
    pub(super) texts: HashMap<Box<[u8]>, Arc<Meaning>>,
    /// Whether anything is hidden from this workload, and when that was asked.
    pub(super) restricted: Option<(Version, u64, bool)>,
    /// Whether the transaction block that is open changed anything.
    pub(super) block_changed: bool,
    /// What is kept of results, where anything is.
    pub(super) keeping: Option<Keeping>,
    /// Transaction blocks that were begun.
    pub(super) transactions: u64,
    /// Whether the client's TLS ends here.
    pub(super) ends_tls: bool,
    /// How many changes of the catalog there were when the transaction block that is open began.
    pub(super) block_changes: u64,
    /// Whether the transaction that is open changes the catalog.
    pub(super) changed_catalog: bool,
    /// Its place among the sessions that can be cancelled.
    pub(super) registered: Option<Registered<'a>>,
    /// Told when its client wants to cancel.
    pub(super) cancelled: Arc<Notify>,
    /// Changes when policies may say something else.
    pub(super) judgements: watch::Receiver<()>,
    pub(super) tally: Tally,
}

impl<'a> Talk<'a> {
    /// A session as this role of the database.
    pub(super) fn new(setting: Setting<'a>, session: Session, role: &str) -> Self {
        let database = String::from_utf8_lossy(session.database()).into_owned();
        let place = (setting.target.address, setting.target.port).into();
        let key = (place, database.as_str().into(), role.into(), settings(&session).into());
        let classes = setting.proxy.classes.load_full();
        Self {
            ledger: Ledger::new(setting.session),
            judgements: setting.proxy.live.judgements(),
            shelf: setting.proxy.catalogs.shelf(key),
            known: Known::nothing(0, Arc::clone(&classes), Arc::clone(&setting.target)),
            naming: Naming::default(),
            portals: Portals::default(),
            keeping: setting.session.and_then(|session| setting.proxy.recorder.tap(session)).map(Keeping::new),
            block_changed: false,
            transactions: 0,
            ends_tls: false,
            database: database.into(),
            classes,
            setting,
            session,
            private: None,
            unread: None,
            texts: HashMap::new(),
            restricted: None,
            block_changes: 0,
            changed_catalog: false,
            registered: None,
            cancelled: Arc::default(),
            hold: None,
            notices: Vec::new(),
            former: None,
            recent: Recent::default(),
            plain: Plain::default(),
            leave: None,
            refused: None,
            approved: HashMap::new(),
            tally: Tally::new(),
        }
    }

    /// Takes a message of the client, whose bytes these are.
    pub(super) async fn request(
        &mut self,
        (message, bytes): (Frontend<'_>, &[u8]),
        client: &mut Vec<u8>,
        server: &mut Upstream,
    ) -> Result<Step, Fault> {
        let ends = matches!(message, Frontend::Sync);
        let turn = self.session.frontend(message).map_err(|error| Fault::Protocol(Who::Client, error))?;
        let asked = match turn {
            Turn::Pass(routine) => {
                if ends && self.session.status() == Status::Idle {
                    // What the batch did may be taken back here.
                    self.naming.ended();
                }
                server.send(Outgoing::Routine(routine, bytes));
                return Ok(Step::Taken);
            }
            Turn::Drop => return Ok(Step::Taken),
            Turn::Wait => {
                self.session.inject(client, server.own());
                return Ok(Step::Later);
            }
            Turn::Ask(asked) => asked,
        };
        let step = if let Some(routine) = asked.routine() {
            if self.pass(asked, None)? {
                server.send(Outgoing::Routine(routine, bytes));
            }
            Step::Taken
        } else {
            self.decide(asked, bytes, server).await?
        };
        self.session.inject(client, server.own());
        Ok(step)
    }

    async fn decide(&mut self, asked: Asked<'_>, bytes: &[u8], server: &mut Upstream) -> Result<Step, Fault> {
        self.look_around();
        let matter = match self.matter(&asked) {
            Ok(matter) => matter,
            Err(Unready::Catalog) => return Ok(Step::Catalog),
            Err(Unready::Names) => return Ok(Step::Names),
            Err(Unready::Answer) => return Ok(Step::Later),
            Err(Unready::Missing) => {
                let meaning = Arc::new(Meaning::unseen(&self.database));
                Matter::of(meaning, matches!(asked.request(), Request::Bind { .. }))
            }
        };
        if self.asks_first(&asked, &matter.meaning, server)? {
            return Ok(Step::Later);
        }
        let now = Timestamps::now();
        let leaving = match self.rule(&asked, &matter, bytes, now).await? {
            Ok(leaving) => leaving,
            Err(Some(why)) => {
                self.tally.denial();
                self.record_denial(&matter, &why, now).await?;
                self.deny(asked, &why.fields())?;
                return Ok(Step::Taken);
            }
            Err(None) => return Ok(Step::Held),
        };
        if matter.prepares {
            if let (Some(approved), Request::Bind { .. }) = (leaving.approval, asked.request())
                && self.approved.len() < MOST_APPROVED
            {
                self.approved.insert(asked.number(), approved);
            }
            let replaced = self.bind(&asked, &matter.meaning);
            let bound = matches!(asked.request(), Request::Bind { .. }).then(|| asked.number());
            if self.pass(asked, None)? {
                bound.into_iter().for_each(|number| self.ledger.bind(number, &matter.meaning));
                server.send(Outgoing::Prepared(leaving.cleared));
            }
            self.record_unrun(replaced).await?;
            return Ok(Step::Taken);
        }
        self.tally.request(now.boot_ns / 1_000_000_000);
        let number = asked.number();
        let recorded = self.record(&matter, leaving, now).await?;
        self.ledger.begin(number, &matter.meaning);
        let changes = matter.changes.unwrap_or_else(|| self.changes());
        let copies = matter.meaning.copied.iter().any(Option::is_some);
        let encoding = self.naming.encoding().filter(|_| copies).cloned();
        self.declare(number, &matter.meaning);
        if self.pass(asked, Some(&matter.meaning))? {
            self.ledger.sent(changes, encoding);
            server.send(Outgoing::Recorded(recorded));
        } else if let Some(response) = self.ledger.withdraw(number) {
            self.respond(Some(response)).await?;
        }
        Ok(Step::Taken)
    }

    /// The server gave it a key to cancel with.
    pub(super) fn keyed(&mut self, key: &KeyData<'_>) {
        let setting = &self.setting;
        let place = (setting.target.address, setting.target.port).into();
        let key = (place, key.process, key.key);
        let workload = setting.identity.workload.as_str();
        let all: &'a Cancellations = &setting.proxy.cancellations;
        self.registered = Some(all.register(key, workload, &self.database, &self.cancelled));
    }

    /// Takes other classifications over, where others hold by now.
    fn look_around(&mut self) {
        let holds = self.setting.proxy.classes.load();
        if !Arc::ptr_eq(&holds, &self.classes) {
            self.classes = Arc::clone(&holds);
            self.settle_names();
        }
    }

    /// Whether the server has to tell first what a portal gives: its rows could not be told apart.
    fn asks_first(&mut self, asked: &Asked<'_>, meaning: &Meaning, server: &mut Upstream) -> Result<bool, Fault> {
        let Request::Execute { portal: Some(portal), .. } = asked.request() else { return Ok(false) };
        let shown = self.classes.detectors().is_empty() && meaning.unclassified.first() == Some(&true);
        if portal.shape().is_some() || shown || !self.looks_into(meaning.outputs.first()) {
            return Ok(false);
        }
        self.session.describe(portal, server.own()).map_err(|error| Fault::Protocol(Who::Client, error))?;
        self.session.urge();
        Ok(true)
    }

    /// Asks the policies. What they hold waits for people, and is then asked again with what they said.
    async fn rule<'m>(
        &mut self,
        asked: &Asked<'_>,
        matter: &Matter,
        bytes: &'m [u8],
        now: Timestamps,
    ) -> Result<Result<Leaving<'m>, Option<Refused>>, Fault> {
        let (facts, recorded) = matter.meaning.facts_with(matter.values);
        let policies = &self.setting.proxy.policies;
        if let Some(cleared) = policy::as_before(bytes, &facts, policies, &self.recent) {
            let refused = self.objection(&matter.meaning, cleared.verdict(), now);
            let leaving = Leaving { cleared, bytes: facts.bytes, recorded, approval: None };
            return Ok(refused.map_or(Ok(leaving), |why| Err(Some(why))));
        }
        let so_far = self.tally.so_far(now.boot_ns / 1_000_000_000);
        let mut question = self.setting.question(Arc::clone(&facts), so_far, now);
        let mut approval = match asked.request() {
            Request::Execute { portal: Some(portal), .. } => self.approved.get(&portal.made_by).cloned(),
            Request::Execute { portal: None, .. }
            | Request::Simple { .. }
            | Request::Replication { .. }
            | Request::Parse(_)
            | Request::Bind { .. }
            | Request::DescribeStatement(_)
            | Request::DescribePortal(_)
            | Request::Close(_)
            | Request::FunctionCall(_)
            | Request::CopyData(_) => None,
        };
        // The names it runs may stand for something else since it was bound.
        approval = approval.filter(|leave| leave.digest == self.put(&question, &matter.meaning, asked).digest());
        self.judgements.mark_unchanged();
        let former = self.former.take();
        loop {
            question.circumstances.approval = approval.as_ref().map(|leave| Arc::clone(&leave.approval));
            let (verdict, needs) =
                match policy::execute(bytes, &question, policies, (self.setting.observe, &mut self.recent)) {
                    Ruled::Cleared(cleared) => {
                        let refused = self.objection(&matter.meaning, cleared.verdict(), now);
                        return Ok(refused.map_or_else(
                            || Ok(Leaving { cleared, bytes: facts.bytes, recorded, approval }),
                            |why| Err(Some(why)),
                        ));
                    }
                    Ruled::Denied(verdict) => return Ok(Err(Some(Refused::by_policy(&verdict)))),
                    Ruled::Held(verdict, needs) => (verdict, needs),
                };
            // What only prepares is held where its values are known.
            if matches!(asked.request(), Request::Parse(_))
                && let Some(cleared) = policy::prepare(bytes, &verdict)
            {
                return Ok(Ok(Leaving { cleared, bytes: facts.bytes, recorded, approval: None }));
            }
            let request = self.put(&question, &matter.meaning, asked);
            let digest = request.digest();
            if let Some(refused) = self.refused.take().filter(|refused| refused.digest == Some(digest)) {
                return Ok(Err(Some(refused)));
            }
            match self.leave.take().filter(|leave| leave.digest == digest) {
                Some(leave) if approval.is_none() => approval = Some(leave),
                Some(_) | None => match self.ask(request, needs, &verdict).await {
                    super::hold::Asked::Leave(leave) if approval.is_none() => approval = Some(leave),
                    super::hold::Asked::Leave(_) => return Ok(Err(Some(Refused::by_policy(&verdict)))),
                    super::hold::Asked::Refused(refused) => return Ok(Err(Some(refused))),
                    super::hold::Asked::Waits(hold) => {
                        self.hold = Some(hold);
                        drop(former);
                        return Ok(Err(None));
                    }
                },
            }
        }
    }

    /// What came of waiting: the request is shown again.
    pub(super) fn answered(&mut self, hold: Hold, said: Said) {
        match said {
            Said::Leave(leave) => self.leave = Some(leave),
            Said::Refused(refused) => self.refused = Some(refused),
            Said::Again => self.former = Some(hold),
        }
    }

    /// Enters it in the session, with what running it does to names.
    fn pass(&mut self, asked: Asked<'_>, runs: Option<&Arc<Meaning>>) -> Result<bool, Fault> {
        let effects = runs.map(|meaning| reading::effects(meaning)).unwrap_or_default();
        let alone = matches!(asked.request(), Request::Simple { .. });
        let passed = self.session.pass(asked, &effects).map_err(|error| Fault::Protocol(Who::Client, error))?;
        if let (Some(meaning), Passed::Forward) = (runs, passed) {
            self.naming.passed(&meaning.settings, &meaning.transactions);
            if alone && self.session.status() == Status::Idle {
                self.naming.ended();
            }
            if meaning.unreadable.is_some() && self.naming.has_doubtful_texts() {
                self.naming.misread();
            }
            let ends = |one: &Transaction| {
                !matches!(one, Transaction::Begin | Transaction::Savepoint(_) | Transaction::Release(_))
            };
            // What the block saw of its own changes may be taken back with them.
            if meaning.transactions.iter().any(ends) && self.private.take().is_some() {
                self.naming.unlist(&Unlisted::Any);
            }
            if !meaning.settings.is_empty() || !meaning.transactions.is_empty() {
                self.settle_names();
            }
            let commits = meaning.transactions.iter().any(|one| matches!(one, Transaction::Commit { .. }));
            // Whoever is judged by what it changes is told before it can be so, and again when it is.
            let shared = meaning.changes_catalog && !meaning.only_own;
            if shared || self.changed_catalog && commits {
                self.shelf.changed();
            }
            if meaning.changes_catalog {
                self.changed_catalog |= shared;
                self.naming.unlist(&meaning.unlists);
                self.settle_names();
            }
        }
        Ok(passed == Passed::Forward)
    }

    /// How many changes of the catalog there were; none, if an older one is read.
    pub(super) fn changes(&self) -> Option<u64> {
        let current = self.shelf.is_current(self.private.as_ref().unwrap_or(&self.known));
        current.then(|| self.shelf.changes())
    }

    /// Records what was bound and never run: planning it may have run code.
    pub(super) async fn record_unrun(&mut self, unrun: impl IntoIterator<Item = Arc<Meaning>>) -> Result<(), Fault> {
        for meaning in unrun {
            let now = Timestamps::now();
            let facts = (Arc::clone(&meaning.recorded), meaning.facts.bytes);
            let matter = Matter::of(meaning, true);
            let Some(record) = self.entry(&matter, (Decision::Allow, None), facts, now) else { continue };
            let record = RequestRecord { detail: Some("bound, and not run".into()), ..record };
            match self.setting.proxy.recorder.request(record, Durability::Batched).await {
                Err(error) if self.setting.proxy.on_failure == OnFailure::Deny => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn deny(&mut self, asked: Asked<'_>, why: &Fields<'_>) -> Result<(), Fault> {
        self.session.deny(asked, why).map_err(|error| Fault::Protocol(Who::Client, error))
    }

    async fn record<'m>(
        &mut self,
        matter: &Matter,
        leaving: Leaving<'m>,
        now: Timestamps,
    ) -> Result<RecordedRequest<'m>, Fault> {
        let Leaving { cleared, bytes, recorded, approval } = leaving;
        let decision = if cleared.verdict().allows() { Decision::Allow } else { Decision::WouldDeny };
        let durability = self.durability(&matter.meaning);
        let approval = approval.map(|leave| *leave.id.as_bytes());
        let record = self.entry(matter, (decision, Some(cleared.verdict())), (recorded, bytes), now);
        let Some(record) = record else { return Ok(RecordedRequest::unrecorded(cleared)) };
        let record = RequestRecord { approval, ..record };
        match self.setting.proxy.recorder.cleared(cleared, record, durability).await {
            Ok(recorded) => Ok(recorded),
            Err((cleared, error)) => match self.setting.proxy.on_failure {
                OnFailure::Deny => Err(error.into()),
                OnFailure::Allow => Ok(RecordedRequest::unrecorded(cleared)),
            },
        }
    }

    /// When a request may go on. What is changed inside a transaction block stays only if the block is committed: until then
    /// its record need not be on the disk, and is before the record of the COMMIT.
    fn durability(&mut self, meaning: &Meaning) -> Durability {
        if !meaning.changes {
            return Durability::Batched;
        }
        let outside = |kind: &String| matches!(kind.as_str(), "program" | "file");
        let stays = meaning.facts.opaque || meaning.facts.kinds.iter().flatten().any(outside);
        let in_block = self.session.in_block() && meaning.outputs.len() == 1;
        match (in_block, meaning.transactions.first()) {
            (true, None) if !stays => {
                self.block_changed = true;
                Durability::Batched
            }
            (true, Some(Transaction::Commit { .. })) if !self.block_changed => Durability::Batched,
            _ => Durability::BeforeForward,
        }
    }

    /// Records for what the session is, and inside what.
    pub(super) async fn record_startup(
        &mut self,
        secured: &Secured,
        role: &str,
        method: Option<&'static str>,
    ) -> Result<(), Fault> {
        let Some((session, n)) = self.ledger.next() else { return Ok(()) };
        let login = method.map_or_else(|| "by the client".to_owned(), |method| format!("by Sallyport, {method}"));
        let secured = serde_json::to_string(secured).unwrap_or_default();
        let record = RequestRecord {
            session,
            n,
            at: Timestamps::now(),
            kind: "startup".into(),
            statement: Some(format!("database {} as {role}", self.database).into()),
            parameters: None,
            decision: Decision::Allow,
            policies: None,
            facts: None,
            bytes: None,
            detail: Some(format!("login {login}; TLS {secured}").into()),
            approval: None,
        };
        match self.setting.proxy.recorder.request(record, Durability::Batched).await {
            Err(error) if self.setting.proxy.on_failure == OnFailure::Deny => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn record_denial(&mut self, matter: &Matter, why: &Refused, now: Timestamps) -> Result<(), Fault> {
        let record = self.entry(
            matter,
            (Decision::Deny, Some(&why.verdict)),
            (Arc::clone(&matter.meaning.recorded), matter.meaning.facts.bytes),
            now,
        );
        let Some(record) = record else { return Ok(()) };
        let record = RequestRecord { detail: Some(why.log.as_str().into()), ..record };
        // A denial needs no record to be one; that it is missing is said where recording fails.
        match self.setting.proxy.recorder.request(record, Durability::Batched).await {
            Err(error) if self.setting.proxy.on_failure == OnFailure::Deny => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A row of the record; `None` where the session itself is on none.
    fn entry(
        &mut self,
        matter: &Matter,
        (decision, verdict): (Decision, Option<&Verdict>),
        (facts, bytes): (Arc<str>, u64),
        at: Timestamps,
    ) -> Option<RequestRecord> {
        let (session, n) = self.ledger.next()?;
        Some(RequestRecord {
            session,
            n,
            at,
            kind: Arc::clone(&matter.meaning.kind),
            statement: Some(Arc::clone(&matter.meaning.statement)),
            parameters: matter.written(),
            decision,
            policies: verdict.and_then(Verdict::recorded),
            facts: Some(facts),
            bytes: Some(bytes),
            detail: self.detail().map(Arc::from),
            approval: None,
        })
    }

    /// In which transaction of the session it runs.
    fn detail(&self) -> Option<String> {
        (self.session.status() != Status::Idle).then(|| format!("transaction {}", self.transactions))
    }
}

/// What a startup message says of settings, as it tells sessions apart that begin with others: names have no case.
fn settings(session: &Session) -> Vec<u8> {
    let others: [&[u8]; 4] = [b"user", b"database", b"application_name", b"replication"];
    let mut said = Vec::new();
    for (name, value) in session.start_parameters().filter(|(name, _)| !others.contains(name)) {
        said.extend(name.to_ascii_lowercase());
        said.push(0);
        said.extend_from_slice(value);
        said.push(0);
    }
    said
}
