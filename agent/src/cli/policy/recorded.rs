//! What was recorded, as questions to put again.

use std::path::Path;
use std::sync::Arc;

use super::super::exit::{Exit, Failure};
use super::super::when::When;
use crate::config::{self, Config};
use crate::policy::question::{Asked, Circumstances, Execute, Person, Subject, Target, Workload};
use crate::policy::{Moment, Protocol, Question, Zone};
use crate::proxy::Directory;
use crate::record::read::Asked as Row;
use crate::record::{SessionDetail, SessionId, Store};

const NS: i64 = 1_000_000_000;

/// Something that was asked, alike ones counted together.
pub(super) struct Recorded {
    pub(super) question: Question,
    /// `allow`, `deny`, `would-deny`, `held`.
    pub(super) decision: String,
    pub(super) count: u64,
    /// A session it was in.
    pub(super) example: SessionId,
}

/// What the configuration adds to what was recorded.
#[derive(Default)]
pub(super) struct Known {
    pub(super) zone: Zone,
    /// A recorded target is what the one of its name is now.
    pub(super) targets: Vec<config::Target>,
}

impl Known {
    /// Without a configuration, what was recorded says less, and is asked all the same.
    pub(super) fn of(configuration: Result<Config, Failure>) -> Self {
        configuration
            .map_or_else(|_| Self::default(), |config| Self { zone: config.policy.zone, targets: config.targets })
    }

    fn target(&self, row: &Row, protocol: Protocol) -> Option<Target> {
        let bare = Target::opaque(row.dest_addr.parse().ok()?, row.dest_port);
        let Some(name) = &row.target else { return Some(Target { protocol, ..bare }) };
        let Some(known) = self.targets.iter().find(|target| target.name.as_str() == name) else {
            return Some(Target { protocol, name: Some(name.clone()), ..bare });
        };
        // A connection is judged by what is expected there, a request by what was spoken.
        let protocol = if row.facts.is_none() { known.protocol } else { protocol };
        Some(Target { protocol, ..Directory::describe(known, bare.address, bare.port) })
    }
}

/// Everything that was asked since an instant, and how much of it is in no form that can be asked again.
pub(super) fn since(state_dir: &Path, since: Option<When>, known: &Known) -> Result<(Vec<Recorded>, u64), Failure> {
    let store = Store::open_read_only(state_dir)?;
    let (mut all, mut unknown) = (Vec::new(), 0);
    store.asked(since.map_or(i64::MIN, When::nanoseconds), i64::MAX, |row| match question(&row, known) {
        Some(question) => {
            let Row { decision, count, example, .. } = row;
            all.push(Recorded { question, decision, count, example });
        }
        None => unknown += row.count,
    })?;
    Ok((all, unknown))
}

fn question(row: &Row, known: &Known) -> Option<Question> {
    let workload = Workload {
        spiffe: row.workload.clone(),
        uid: row.uid,
        gid: row.gid,
        attestation: row.attestation.clone(),
        user: row.user.clone(),
        unit: row.unit.clone(),
        user_unit: row.user_unit.clone(),
        slice: row.slice.clone(),
        container: row.container.clone(),
        executable: row.exe.clone(),
        digest: row.exe_sha256.clone(),
        login_uid: row.login_uid,
        login_user: row.login_user.clone(),
        person: row.person.as_deref().map(person),
    };
    let (protocol, asked) = match &row.facts {
        None => (Protocol::Tcp, Asked::Connect),
        Some(facts) => {
            let execute: Execute = serde_json::from_str(facts).ok()?;
            (spoken(&execute), Asked::Execute(Arc::new(execute)))
        }
    };
    let moment = Moment::at(row.first_ns.div_euclid(NS), &known.zone);
    Some(Question {
        subject: Arc::new(Subject::new(workload)),
        target: Arc::new(known.target(row, protocol)?),
        asked,
        circumstances: Circumstances { moment, age: row.age_ns / NS.unsigned_abs(), ..Circumstances::default() },
    })
}

/// The connection of a session, as it was asked for.
fn connection(detail: &SessionDetail, known: &Known) -> Option<Question> {
    let row = &detail.session;
    let on_host = detail.exe_on_host.unwrap_or(false);
    let asked = Row {
        workload: row.workload.clone(),
        uid: row.uid,
        gid: detail.gid,
        user: row.user.clone(),
        unit: row.unit.clone(),
        user_unit: detail.user_unit.clone(),
        slice: detail.slice.clone(),
        container: row.container.clone(),
        exe: row.exe.clone().filter(|_| on_host),
        exe_sha256: detail.exe_sha256.clone(),
        attestation: detail.attestation.clone(),
        login_uid: row.login_uid,
        login_user: row.login_user.clone(),
        person: row.person.clone(),
        dest_addr: row.dest_addr.clone(),
        dest_port: row.dest_port,
        target: row.target.clone(),
        decision: row.decision.clone(),
        facts: None,
        count: 1,
        first_ns: row.started_ns,
        last_ns: row.started_ns,
        age_ns: detail.started_boot_ns.saturating_sub(detail.process_started_boot_ns),
        example: row.id,
    };
    question(&asked, known)
}

/// The same for a request in it, by its facts.
fn request(detail: &SessionDetail, facts: &serde_json::Value, at_ns: i64, known: &Known) -> Option<Question> {
    let execute: Execute = serde_json::from_value(facts.clone()).ok()?;
    let connection = connection(detail, known)?;
    let protocol = spoken(&execute);
    let target = Target { protocol, ..(*connection.target).clone() };
    let mut circumstances = connection.circumstances;
    circumstances.pass_to(&Moment::at(at_ns.div_euclid(NS), &known.zone));
    Some(Question {
        target: Arc::new(target),
        asked: Asked::Execute(Arc::new(execute)),
        circumstances,
        subject: connection.subject,
    })
}

fn person(subject: &str) -> Person {
    Person { subject: subject.to_owned(), ..Person::default() }
}

/// What a protocol's requests are sent to says which it is, as far as policies are concerned.
fn spoken(execute: &Execute) -> Protocol {
    use crate::policy::question::Resource;
    match execute.resource {
        Resource::Target if execute.verb.is_some() => Protocol::Redis,
        Resource::Target => Protocol::Tcp,
        Resource::Database { .. } => Protocol::Postgres,
        Resource::HttpRoute(_) => Protocol::Http,
        Resource::KubernetesObject { .. } => Protocol::Kubernetes,
        Resource::SshCommand { .. } => Protocol::Ssh,
    }
}

/// `ID`, or `ID/N` for one of its requests.
pub(super) fn named(state_dir: &Path, name: &str, known: &Known) -> Result<(Question, String), Failure> {
    let store = Store::open_read_only(state_dir)?;
    let (id, number) = match name.split_once('/') {
        None => (name, None),
        Some((id, number)) => {
            let wrong = |_| Failure::new(Exit::USAGE, format!("`{number}` is no request's number: write ID/N"));
            (id, Some(number.parse::<u64>().map_err(wrong)?))
        }
    };
    let session = store.session(id)?;
    let incomplete = || Failure::new(Exit::DATA, format!("what was recorded of {name} cannot be asked again"));
    let Some(number) = number else {
        let question = connection(&session.detail, known).ok_or_else(incomplete)?;
        let row = &session.detail.session;
        // A denied connection is recorded with what it was asked with, and ends as denied.
        let decision = if row.outcome == "denied" { "deny".to_owned() } else { row.decision.clone() };
        return Ok((question, decision));
    };
    let page = store.statements(&session, number, 1)?;
    let none = || Failure::new(Exit::NO_INPUT, format!("session {id} has no request {number}"));
    let row = page.rows.first().filter(|row| row.sequence == number).ok_or_else(none)?;
    let question = request(&session.detail, &row.facts, row.time_ns, known).ok_or_else(incomplete)?;
    Ok((question, row.decision.clone()))
}
