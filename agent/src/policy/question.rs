//! What policies are asked: who, where, what, and under which circumstances. What is not known is `None`.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Action, Protocol, approval::Approval, moment::Moment};
use crate::identity::Identity;

/// A process, as policies see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Workload {
    /// SPIFFE ID.
    pub spiffe: String,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// `live` or `kernel-only`.
    pub attestation: String,
    /// Name of the uid.
    pub user: Option<String>,
    /// Unit of the system service manager.
    pub unit: Option<String>,
    /// Unit of a user's own manager.
    pub user_unit: Option<String>,
    /// Innermost slice.
    pub slice: Option<String>,
    /// Container id.
    pub container: Option<String>,
    /// Path of the program, where the host has that very file.
    pub executable: Option<String>,
    /// SHA-256 of the program, hex.
    pub digest: Option<String>,
    /// Audit login uid.
    pub login_uid: Option<u32>,
    /// Its name.
    pub login_user: Option<String>,
    /// Whom it acts for.
    pub person: Option<Person>,
}

/// Somebody who logged in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Person {
    /// OIDC subject.
    pub subject: String,
    /// User name on the host.
    pub login: Option<String>,
    /// OIDC issuer.
    pub issuer: Option<String>,
    /// Groups.
    pub groups: BTreeSet<String>,
}

impl Workload {
    /// The facts of an attested process; `person` when one is bound to it.
    #[must_use]
    pub fn of(identity: &Identity, person: Option<Person>) -> Self {
        let process = &identity.process;
        let on_host = process.executable.as_ref().filter(|executable| executable.on_host);
        Self {
            spiffe: identity.workload.as_str().to_owned(),
            uid: process.uid,
            gid: process.gid,
            attestation: process.attestation.as_str().to_owned(),
            user: process.user.clone(),
            unit: process.unit.clone(),
            user_unit: process.user_unit.clone(),
            slice: process.slice.clone(),
            container: process.container.clone(),
            // A name that is not text is no name: a policy that asks for one does not match it.
            executable: on_host.and_then(|executable| executable.path.to_str()).map(str::to_owned),
            digest: process.executable.as_ref().and_then(|executable| executable.sha256).map(|sha| sha.to_string()),
            login_uid: process.login.as_ref().map(|login| login.uid),
            login_user: process.login.as_ref().and_then(|login| login.user.clone()),
            person,
        }
    }

    /// The host's name in the SPIFFE ID.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let mut segments = self.spiffe.strip_prefix("spiffe://")?.split('/').skip(1);
        (segments.next() == Some("host")).then(|| segments.next())?
    }
}

/// A workload with the version of its facts: whatever changes in them, a group say, is another version.
#[derive(Clone, Debug)]
pub struct Subject {
    workload: Workload,
    version: [u8; 32],
}

impl Subject {
    /// Numbers the facts by their digest.
    #[must_use]
    pub fn new(workload: Workload) -> Self {
        let mut digest = Sink(Sha256::new());
        workload.hash(&mut digest);
        Self { workload, version: digest.0.finalize().into() }
    }

    /// The facts.
    #[must_use]
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// Digest of the facts.
    #[must_use]
    pub fn version(&self) -> &[u8; 32] {
        &self.version
    }
}

impl PartialEq for Subject {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
    }
}

impl Eq for Subject {}

impl Hash for Subject {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.version.hash(state);
    }
}

/// Feeds a digest with what a value hashes: lengths and discriminants included, so that no two values meet.
struct Sink(Sha256);

impl Hasher for Sink {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

/// Where a flow goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where the process connects to.
    pub address: IpAddr,
    /// And the port.
    pub port: u16,
    /// Name of the configured target.
    #[serde(default)]
    pub name: Option<String>,
    /// Host name.
    #[serde(default)]
    pub host: Option<String>,
    /// As configured.
    #[serde(default)]
    pub environment: Option<String>,
    /// As configured.
    #[serde(default)]
    pub tags: BTreeSet<String>,
}

impl Target {
    /// A destination of which nothing more is known.
    #[must_use]
    pub fn opaque(address: IpAddr, port: u16) -> Self {
        let (name, host, environment) = (None, None, None);
        let address = address.to_canonical();
        Self { protocol: Protocol::Tcp, address, port, name, host, environment, tags: BTreeSet::new() }
    }

    /// Its id in policies.
    #[must_use]
    pub fn id(&self) -> String {
        self.name.clone().unwrap_or_else(|| std::net::SocketAddr::new(self.address, self.port).to_string())
    }
}

/// A table, with everything it is in but the target.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableName {
    /// Of which database.
    pub database: String,
    /// Of which schema.
    pub schema: String,
    /// Which table.
    pub table: String,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnName {
    /// Of which database.
    pub database: String,
    /// Of which schema.
    pub schema: String,
    /// Of which table.
    pub table: String,
    /// Which column.
    pub column: String,
}

/// What a request is sent to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Resource {
    /// Nothing more than the target is known.
    #[default]
    Target,
    /// A database of it.
    Database {
        /// Its name.
        name: String,
    },
    /// A method, host and path.
    HttpRoute(Route),
    /// An object of a Kubernetes API.
    KubernetesObject {
        /// API group.
        group: String,
        /// Plural.
        resource: String,
        /// None for what is in no namespace.
        #[serde(default)]
        namespace: Option<String>,
        /// None for a whole collection.
        #[serde(default)]
        name: Option<String>,
    },
    /// A command.
    SshCommand {
        /// `shell`, `exec`, `subsystem` or `forward`.
        how: String,
        /// First word.
        #[serde(default)]
        program: Option<String>,
        /// Every word, secrets masked.
        #[serde(default)]
        line: Option<String>,
    },
}

/// A method, host and path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Upper case.
    pub method: String,
    /// Host name.
    pub host: String,
    /// Decoded, normalised, without the query.
    pub path: String,
}

/// A request's facts; see the schema for what each means. As JSON they are what is recorded with the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "each is explained once, in the schema")]
pub struct Execute {
    pub resource: Resource,
    pub opaque: bool,
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statements: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<BTreeSet<TableName>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<BTreeSet<TableName>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns_read: Option<BTreeSet<ColumnName>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns_written: Option<BTreeSet<ColumnName>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes_read: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes_written: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub functions: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_predicate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected_predicates: Option<BTreeSet<ColumnName>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_parts: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_rows: Option<u64>,
}

impl Execute {
    /// The facts by name, and whether each is known.
    #[must_use]
    pub fn known(&self) -> [(&'static str, bool); 15] {
        [
            ("verb", self.verb.is_some()),
            ("kinds", self.kinds.is_some()),
            ("statements", self.statements.is_some()),
            ("reads", self.reads.is_some()),
            ("writes", self.writes.is_some()),
            ("columns_read", self.columns_read.is_some()),
            ("columns_written", self.columns_written.is_some()),
            ("classes_read", self.classes_read.is_some()),
            ("classes_written", self.classes_written.is_some()),
            ("functions", self.functions.is_some()),
            ("has_predicate", self.has_predicate.is_some()),
            ("protected_predicates", self.protected_predicates.is_some()),
            ("unknown_parts", self.unknown_parts.is_some()),
            ("estimated_rows", self.estimated_rows.is_some()),
            ("counted_rows", self.counted_rows.is_some()),
        ]
    }
}

/// What is to be seen in clear.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reveal {
    /// Which.
    pub field: Field,
    /// Its classification.
    #[serde(default)]
    pub classes: BTreeSet<String>,
}

/// A column of a table, or a field of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Field {
    /// Of a table.
    Column(ColumnName),
    /// Of the answer to a request.
    Answer {
        /// Which request.
        route: Route,
        /// Path of the field.
        field: String,
    },
}

/// One of the three questions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// May a flow be opened?
    Connect,
    /// May this be run?
    Execute(Arc<Execute>),
    /// May this be seen in clear?
    Reveal(Arc<Reveal>),
}

impl Asked {
    /// Which of them.
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            Self::Connect => Action::Connect,
            Self::Execute(_) => Action::Execute,
            Self::Reveal(_) => Action::Reveal,
        }
    }
}

/// Who, where and about which thing: questions that share it are about the same entities.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Setting {
    subject: Arc<Subject>,
    target: Arc<Target>,
    action: Action,
    resource: Option<Resource>,
    reveal: Option<Arc<Reveal>>,
}

impl Question {
    pub(super) fn setting(&self) -> Setting {
        let (resource, reveal) = match &self.asked {
            Asked::Connect => (None, None),
            Asked::Execute(execute) => (Some(execute.resource.clone()), None),
            Asked::Reveal(reveal) => (None, Some(Arc::clone(reveal))),
        };
        let (subject, target) = (Arc::clone(&self.subject), Arc::clone(&self.target));
        Setting { subject, target, action: self.asked.action(), resource, reveal }
    }
}

/// Everything else a policy may look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Circumstances {
    /// When.
    pub moment: Moment,
    /// Seconds since the process started.
    pub age: u64,
    /// Seconds left of the person's token.
    pub lease: Option<u64>,
    /// TLS on the process's side.
    pub tls: Option<Tls>,
    /// What the session did so far.
    pub session: Option<SessionSoFar>,
    /// An approval that was given.
    pub approval: Option<Arc<Approval>>,
    /// Whether a break-glass grant holds.
    pub break_glass: bool,
}

impl Circumstances {
    /// Lets time pass until a moment.
    pub fn pass_to(&mut self, moment: &Moment) {
        let passed = u64::try_from(moment.seconds.saturating_sub(self.moment.seconds)).unwrap_or(0);
        self.age = self.age.saturating_add(passed);
        self.lease = self.lease.map(|lease| lease.saturating_sub(passed));
        self.moment = moment.clone();
    }
}

/// TLS on the process's side.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// `1.2` or `1.3`.
    pub version: Arc<str>,
    /// SNI.
    #[serde(default)]
    pub server_name: Option<Arc<str>>,
}

/// Counters of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionSoFar {
    /// Requests.
    pub requests: u64,
    /// Rows returned or changed.
    pub rows: u64,
    /// Requests denied.
    pub denials: u64,
    /// Requests within the last minute.
    pub rate: u64,
}

/// Who asks what, where, when. Cheap to clone: it is the key of the decision cache as well.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Who.
    pub subject: Arc<Subject>,
    /// Where.
    pub target: Arc<Target>,
    /// What.
    pub asked: Asked,
    /// Under which circumstances.
    pub circumstances: Circumstances,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_change_of_a_fact_is_another_version() {
        let person = |group: &str| Person { groups: [group.to_owned()].into(), ..Person::default() };
        let of = |group| Subject::new(Workload { person: Some(person(group)), ..Workload::default() });
        assert_eq!(of("dba"), of("dba"));
        assert_ne!(of("dba"), of("dbb"));
        // The same letters in other fields are other facts.
        let (unit, user) = (Some("x".to_owned()), Some("x".to_owned()));
        assert_ne!(
            Subject::new(Workload { unit, ..Workload::default() }),
            Subject::new(Workload { user, ..Workload::default() })
        );
    }

    #[test]
    fn the_host_is_the_one_of_the_id() {
        let host =
            |spiffe: &str| Workload { spiffe: spiffe.to_owned(), ..Workload::default() }.host().map(str::to_owned);
        assert_eq!(host("spiffe://example.org/host/h1/unit/cron.service").as_deref(), Some("h1"));
        assert_eq!(host("spiffe://example.org/unit/host/h1"), None);
    }
}
