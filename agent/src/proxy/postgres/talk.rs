//! What a client asks for: understood, decided, recorded, sent. And what the server answers.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{Notify, watch};

use super::{
    cancel::{Cancellations, Registered},
    fault::{Fault, Who},
    hold::{Hold, Leave, Refused, Said},
    ledger::Ledger,
    meaning::Meaning,
    setting::Setting,
    tally::Tally,
    upstream::{Outgoing, Upstream},
};
use crate::{
    approve::Id,
    config::OnFailure,
    policy::{self, Approval, Cleared, Ruled, Verdict, question::Execute},
    protocol::postgres::{
        Frontend,
        notice::Fields,
        notify::KeyData,
        session::{Asked, Number, Passed, Request, Session, Turn},
    },
    record::{Decision, Durability, RecordedRequest, RequestRecord, Timestamps},
};

/// Most approved portals that are remembered until they are run.
const MOST_APPROVED: usize = 1024;
/// Most texts whose meaning a session remembers.
const MOST_KNOWN: usize = 256;
/// The longest text that is remembered, bytes.
const LONGEST_KNOWN: usize = 16 << 10;

/// What became of a client's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It was seen to.
    Taken,
    /// It is shown again after an answer of the server.
    Later,
    /// It is shown again when people have answered.
    Held,
}

/// What a request is about.
struct Matter {
    meaning: Arc<Meaning>,
    /// Values that go with the text; `None` is null.
    parameters: Vec<Option<Box<[u8]>>>,
    /// Whether it only prepares what another message runs.
    prepares: bool,
}

/// A request that may go on.
struct Leaving<'a> {
    cleared: Cleared<'a>,
    facts: Arc<Execute>,
    approval: Option<(Arc<Approval>, Id)>,
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
    leave: Option<Leave>,
    refused: Option<Refused>,
    /// Portals that were bound under an approval, by the request that made them.
    approved: HashMap<Number, (Arc<Approval>, Id)>,
    known: HashMap<Box<[u8]>, Arc<Meaning>>,
    database: Arc<str>,
    /// Its place among the sessions that can be cancelled.
    pub(super) registered: Option<Registered<'a>>,
    /// Told when its client wants to cancel.
    pub(super) cancelled: Arc<Notify>,
    /// Changes when policies may say something else.
    pub(super) judgements: watch::Receiver<()>,
    pub(super) tally: Tally,
}

impl<'a> Talk<'a> {
    pub(super) fn new(setting: Setting<'a>, session: Session) -> Self {
        let database = session.start_parameters().find(|(name, _)| *name == b"database");
        let user = session.start_parameters().find(|(name, _)| *name == b"user");
        let database = database.or(user).map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        Self {
            ledger: Ledger::new(setting.session),
            judgements: setting.proxy.live.judgements(),
            registered: None,
            cancelled: Arc::default(),
            setting,
            session,
            hold: None,
            notices: Vec::new(),
            former: None,
            leave: None,
            refused: None,
            approved: HashMap::new(),
            known: HashMap::new(),
            database: database.unwrap_or_default().into(),
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
        let turn = self.session.frontend(message).map_err(|error| Fault::Protocol(Who::Client, error))?;
        let asked = match turn {
            Turn::Pass(routine) => {
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
            if self.pass(asked)? {
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
        let Some(matter) = self.matter(&asked) else {
            let why = "this statement or portal was not seen to be made; prepare it again";
            let unknown = Fields { sqlstate: *b"26000", ..Fields::denied(why) };
            self.deny(asked, &unknown)?;
            return Ok(Step::Taken);
        };
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
            if self.pass(asked)? {
                server.send(Outgoing::Prepared(leaving.cleared));
            }
            return Ok(Step::Taken);
        }
        self.tally.request(now.boot_ns / 1_000_000_000);
        let number = asked.number();
        let recorded = self.record(&matter, leaving, now).await?;
        self.ledger.begin(number);
        if self.pass(asked)? {
            server.send(Outgoing::Recorded(recorded));
        } else if let Some(response) = self.ledger.withdraw(number) {
            self.respond(response).await?;
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

    /// What it is about; `None` where it names what nobody was seen to make.
    fn matter(&mut self, asked: &Asked<'_>) -> Option<Matter> {
        let plain = |meaning, prepares| Matter { meaning, parameters: Vec::new(), prepares };
        Some(match asked.request() {
            Request::Simple { sql } => plain(self.meaning(sql), false),
            Request::Parse(parse) => plain(self.meaning(parse.sql), true),
            Request::Bind { bind, statement } => {
                let meaning = self.meaning(&statement.as_ref()?.sql);
                let parameters = bind.parameters.iter().map(|value| value.map(Box::from)).collect();
                Matter { meaning, parameters, prepares: true }
            }
            Request::Execute { portal, .. } => {
                let portal = portal.as_ref()?;
                let meaning = self.meaning(portal.sql());
                let bind = portal.bind();
                let values = bind.iter().flat_map(|bind| bind.parameters.iter());
                Matter { meaning, parameters: values.map(|value| value.map(Box::from)).collect(), prepares: false }
            }
            Request::Replication { command } => {
                plain(Arc::new(Meaning::unknown(&self.database, command, "replication", "replication")), false)
            }
            Request::FunctionCall(_) => {
                plain(Arc::new(Meaning::unknown(&self.database, b"", "function call", "function")), false)
            }
            // Routine; asked of nobody.
            Request::DescribeStatement(_) | Request::DescribePortal(_) | Request::Close(_) | Request::CopyData(_) => {
                return None;
            }
        })
    }

    fn meaning(&mut self, sql: &[u8]) -> Arc<Meaning> {
        if let Some(known) = self.known.get(sql) {
            return Arc::clone(known);
        }
        let meaning = Arc::new(Meaning::unknown(&self.database, sql, "statement", "text"));
        if sql.len() <= LONGEST_KNOWN {
            if self.known.len() >= MOST_KNOWN {
                self.known.clear();
            }
            self.known.insert(sql.into(), Arc::clone(&meaning));
        }
        meaning
    }

    /// Asks the policies. What they hold waits for people, and is then asked again with what they said.
    async fn rule<'m>(
        &mut self,
        asked: &Asked<'_>,
        matter: &Matter,
        bytes: &'m [u8],
        now: Timestamps,
    ) -> Result<Result<Leaving<'m>, Option<Refused>>, Fault> {
        let more = matter.parameters.iter().flatten().map(|value| value.len()).sum();
        let facts = matter.meaning.facts_with(more);
        let so_far = self.tally.so_far(now.boot_ns / 1_000_000_000);
        let mut question = self.setting.question(Arc::clone(&facts), so_far, now);
        let mut approval = match asked.request() {
            Request::Execute { portal: Some(portal), .. } => self.approved.get(&portal.made_by).cloned(),
            _ => None,
        };
        let policies = &self.setting.proxy.policies;
        self.judgements.mark_unchanged();
        let former = self.former.take();
        loop {
            question.circumstances.approval = approval.as_ref().map(|(approval, _)| Arc::clone(approval));
            let (verdict, needs) = match policy::execute(bytes, &question, policies, self.setting.observe) {
                Ruled::Cleared(cleared) => return Ok(Ok(Leaving { cleared, facts, approval })),
                Ruled::Denied(verdict) => return Ok(Err(Some(Refused::by_policy(&verdict)))),
                Ruled::Held(verdict, needs) => (verdict, needs),
            };
            // What only prepares is held where its values are known.
            if matches!(asked.request(), Request::Parse(_)) {
                if let Some(cleared) = policy::prepare(bytes, &verdict) {
                    return Ok(Ok(Leaving { cleared, facts, approval: None }));
                }
            }
            let request = super::hold::request(&question, &matter.meaning, &matter.parameters);
            let digest = request.digest();
            if let Some(refused) = self.refused.take().filter(|refused| refused.digest == Some(digest)) {
                return Ok(Err(Some(refused)));
            }
            match self.leave.take().filter(|leave| leave.digest == digest) {
                Some(leave) if approval.is_none() => approval = Some((leave.approval, leave.id)),
                Some(_) | None => match self.ask(request, needs, &verdict).await {
                    super::hold::Asked::Leave(leave) if approval.is_none() => {
                        approval = Some((leave.approval, leave.id));
                    }
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

    fn pass(&mut self, asked: Asked<'_>) -> Result<bool, Fault> {
        let passed = self.session.pass(asked, &[]).map_err(|error| Fault::Protocol(Who::Client, error))?;
        Ok(passed == Passed::Forward)
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
        let Leaving { cleared, facts, approval } = leaving;
        let decision = if cleared.verdict().allows() { Decision::Allow } else { Decision::WouldDeny };
        let durability = if matter.meaning.changes { Durability::BeforeForward } else { Durability::Batched };
        let approval = approval.map(|(_, id)| *id.as_bytes());
        let record = self.row(matter, (decision, cleared.verdict()), &facts, now);
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

    async fn record_denial(&mut self, matter: &Matter, why: &Refused, now: Timestamps) -> Result<(), Fault> {
        let record = self.row(matter, (Decision::Deny, &why.verdict), &matter.meaning.facts, now);
        let Some(record) = record else { return Ok(()) };
        let record = RequestRecord { detail: Some(why.log.as_str().into()), ..record };
        // A denial needs no record to be one; that it is missing is said where recording fails.
        match self.setting.proxy.recorder.request(record, Durability::Batched).await {
            Err(error) if self.setting.proxy.on_failure == OnFailure::Deny => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A row of the record; `None` where the session itself is on none.
    fn row(
        &mut self,
        matter: &Matter,
        (decision, verdict): (Decision, &Verdict),
        facts: &Arc<Execute>,
        at: Timestamps,
    ) -> Option<RequestRecord> {
        let (session, n) = self.ledger.next()?;
        Some(RequestRecord {
            session,
            n,
            at,
            kind: Arc::clone(&matter.meaning.kind),
            statement: Some(Arc::clone(&matter.meaning.statement)),
            decision,
            policies: verdict.recorded().map(Arc::from),
            facts: serde_json::to_string(&**facts).ok().map(Arc::from),
            bytes: Some(facts.bytes),
            detail: None,
            approval: None,
        })
    }
}
