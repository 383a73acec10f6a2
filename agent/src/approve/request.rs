//! What is asked, exactly: by whom, of which target, with every byte and parameter, under one digest.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::people::Person;
use crate::policy::{
    Question,
    question::{Asked, Target, Workload},
};

/// SHA-256 over everything that an approval is bound to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Feeds fields to a digest, each with its length, so that no two lists of fields meet.
struct Fields(Sha256);

impl Fields {
    fn new(purpose: &str) -> Self {
        let mut fields = Self(Sha256::new());
        fields.add(purpose.as_bytes());
        fields
    }

    fn add(&mut self, field: &[u8]) {
        self.0.update((field.len() as u64).to_be_bytes());
        self.0.update(field);
    }

    fn digest(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// A statement, exactly as it would be sent.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// In a word or two.
    pub kind: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Its parameters, in order; `None` is null.
    pub parameters: &'a [Option<&'a [u8]>],
    /// Its shape: literals masked. This is what people see.
    pub shape: &'a str,
    /// What it would touch, a JSON object, masked.
    pub touches: Option<&'a str>,
}

/// What an approver sees. Masked: nothing in it may be secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// `connect`, or the statement's kind.
    pub kind: String,
    /// Identity of the process, a SPIFFE ID.
    pub workload: String,
    /// Who asks, in short.
    pub requester: String,
    /// Name of its user.
    pub user: Option<String>,
    /// Its user.
    pub uid: u32,
    /// Audit login uid.
    pub login_uid: Option<u32>,
    /// Its name.
    pub login_user: Option<String>,
    /// Whom it acts for.
    pub person: Option<String>,
    /// Unit.
    pub unit: Option<String>,
    /// Container.
    pub container: Option<String>,
    /// Program.
    pub executable: Option<String>,
    /// The program's digest.
    pub sha256: Option<String>,
    /// Where to, by name.
    pub target: String,
    /// Where to.
    pub address: String,
    /// What is spoken there.
    pub protocol: String,
    /// The statement's shape.
    pub statement: Option<String>,
    /// What it would touch.
    pub touches: Option<serde_json::Value>,
}

/// Most of a shape that is kept for people to see; the digest is of all of it.
const SHAPE_SHOWN: usize = 8 << 10;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    digest: Digest,
    shape: Digest,
    place: Digest,
    requester: Person,
    about: About,
}

impl Request {
    /// To open the flow a question is about.
    #[must_use]
    pub fn connect(question: &Question) -> Self {
        Self::of(question, None)
    }

    /// To run a statement.
    #[must_use]
    pub fn execute(question: &Question, statement: Statement<'_>) -> Self {
        Self::of(question, Some(statement))
    }

    fn of(question: &Question, statement: Option<Statement<'_>>) -> Self {
        let (workload, target) = (question.subject.workload(), &question.target);
        let place = Self::place_of(workload, target);
        let mut shape = Fields::new("sallyport approval: shape");
        let mut exact = Fields::new("sallyport approval: request");
        for fields in [&mut shape, &mut exact] {
            fields.add(place.as_bytes());
            fields.add(action(&question.asked).as_bytes());
        }
        if let Some(statement) = &statement {
            shape.add(statement.shape.as_bytes());
            exact.add(statement.bytes);
            for parameter in statement.parameters {
                exact.add(&[u8::from(parameter.is_some())]);
                exact.add(parameter.unwrap_or_default());
            }
        }
        let requester = Person::behind(workload);
        let about = about(workload, target, &requester, statement);
        Self { digest: exact.digest(), shape: shape.digest(), place, requester, about }
    }

    /// Who, with everything that is attested of them, and where.
    fn place_of(workload: &Workload, target: &Target) -> Digest {
        let mut fields = Fields::new("sallyport approval: place");
        // Plain structures: the order of their fields is that of their declaration.
        fields.add(&serde_json::to_vec(workload).unwrap_or_default());
        fields.add(&serde_json::to_vec(target).unwrap_or_default());
        fields.digest()
    }

    /// Of the exact request, the identity and the target.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Of the request's shape, the identity and the target.
    #[must_use]
    pub fn shape(&self) -> Digest {
        self.shape
    }

    /// Of the identity and the target.
    #[must_use]
    pub fn place(&self) -> Digest {
        self.place
    }

    /// Who must not approve it.
    #[must_use]
    pub fn requester(&self) -> &Person {
        &self.requester
    }

    /// What an approver sees.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }
}

fn action(asked: &Asked) -> &'static str {
    match asked {
        Asked::Connect => "connect",
        Asked::Execute(_) => "execute",
        Asked::Reveal(_) => "reveal",
    }
}

fn about(workload: &Workload, target: &Target, requester: &Person, statement: Option<Statement<'_>>) -> About {
    About {
        kind: statement.map_or("connect", |statement| statement.kind).to_owned(),
        workload: workload.spiffe.clone(),
        requester: requester.shown().to_owned(),
        user: workload.user.clone(),
        uid: workload.uid,
        login_uid: workload.login_uid,
        login_user: workload.login_user.clone(),
        person: workload.person.as_ref().map(|person| person.subject.clone()),
        unit: workload.unit.clone(),
        container: workload.container.clone(),
        executable: workload.executable.clone(),
        sha256: workload.digest.clone(),
        target: target.id(),
        address: std::net::SocketAddr::new(target.address, target.port).to_string(),
        protocol: target.protocol.as_str().to_owned(),
        statement: statement.map(|statement| {
            let shown = statement.shape.floor_char_boundary(SHAPE_SHOWN);
            let rest = if shown < statement.shape.len() { "…" } else { "" };
            format!("{}{rest}", statement.shape.get(..shown).unwrap_or_default())
        }),
        touches: statement.and_then(|statement| serde_json::from_str(statement.touches?).ok()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::question::{Circumstances, Subject};

    pub(crate) fn question(unit: &str, port: u16) -> Question {
        let workload = Workload {
            spiffe: format!("spiffe://example.org/host/h1/unit/{unit}"),
            uid: 500,
            login_uid: Some(1000),
            ..Workload::default()
        };
        Question {
            subject: Arc::new(Subject::new(workload)),
            target: Arc::new(Target::opaque([10, 0, 0, 5].into(), port)),
            asked: Asked::Connect,
            circumstances: Circumstances::default(),
        }
    }

    fn statement<'a>(bytes: &'a [u8], parameters: &'a [Option<&'a [u8]>], shape: &'a str) -> Statement<'a> {
        Statement { kind: "delete", bytes, parameters, shape, touches: None }
    }

    #[test]
    fn every_byte_parameter_identity_and_target_counts() {
        let run = |unit, port, one: Statement<'_>| Request::execute(&question(unit, port), one);
        let base = run("a", 1, statement(b"delete 1", &[Some(b"x"), None], "delete ?"));
        let again = run("a", 1, statement(b"delete 1", &[Some(b"x"), None], "delete ?"));
        assert_eq!(base.digest(), again.digest());
        let others = [
            run("b", 1, statement(b"delete 1", &[Some(b"x"), None], "delete ?")),
            run("a", 2, statement(b"delete 1", &[Some(b"x"), None], "delete ?")),
            run("a", 1, statement(b"delete 2", &[Some(b"x"), None], "delete ?")),
            run("a", 1, statement(b"delete 1", &[Some(b"y"), None], "delete ?")),
            run("a", 1, statement(b"delete 1", &[Some(b"x"), Some(b"")], "delete ?")),
            run("a", 1, statement(b"delete 1", &[Some(b"x")], "delete ?")),
            run("a", 1, statement(b"delete 1", &[None, Some(b"x")], "delete ?")),
            Request::connect(&question("a", 1)),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(base.digest(), other.digest(), "{index}");
        }
        // Of one shape are statements that differ in literals and parameters only, of one identity, to one target.
        let same_shape: Vec<bool> = others.iter().map(|other| other.shape() == base.shape()).collect();
        assert_eq!(same_shape, [false, false, true, true, true, true, true, false]);
    }

    #[test]
    fn time_is_no_part_of_a_request() {
        let mut later = question("a", 1);
        later.circumstances.age = 99;
        assert_eq!(Request::connect(&later).digest(), Request::connect(&question("a", 1)).digest());
    }
}
