//! What is asked, exactly: by whom, of which target, with every byte and parameter, under one digest.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::people::Person;
use crate::policy::{
    Question,
    question::{Asked, Execute, Target, Workload},
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

    /// How many there are, and each: null is another than the empty one.
    fn add_parameters(&mut self, parameters: &[Option<&[u8]>]) {
        self.add(&(parameters.len() as u64).to_be_bytes());
        for parameter in parameters {
            self.add(&[u8::from(parameter.is_some())]);
            self.add(parameter.unwrap_or_default());
        }
    }

    /// As whom it would run.
    fn add_actor(&mut self, statement: &Statement<'_>) {
        self.add_parameters(&[statement.role.map(str::as_bytes)]);
        self.add(&(statement.began.len() as u64).to_be_bytes());
        for (name, value) in statement.began {
            self.add(name);
            self.add(value);
        }
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
    /// What it runs by name, in order.
    pub inner: &'a [Inner<'a>],
    /// As which role of the server, if that is known.
    pub role: Option<&'a str>,
    /// What the session said when it began that decides as whom it acts: names and values.
    pub began: &'a [(&'a [u8], &'a [u8])],
    /// What it would touch, a JSON object, masked.
    pub touches: Option<&'a str>,
}

/// A statement that another one runs by name: the names may stand for others the next time.
#[derive(Clone, Copy, Debug)]
pub struct Inner<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// The parameters that were bound to it.
    pub parameters: &'a [Option<&'a [u8]>],
    /// Its shape.
    pub shape: &'a str,
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
    /// The statement's shape, and the shapes of what it runs by name.
    pub statement: Option<String>,
    /// As which role of the server.
    pub role: Option<String>,
    /// What it would touch.
    pub touches: Option<serde_json::Value>,
}

/// Most of a shape that is kept for people to see; the digest is of all of it.
const SHAPE_SHOWN: usize = 8 << 10;
/// Most of the shape of a statement that runs others: what it runs is not to be pushed out of sight.
const RUNNER_SHOWN: usize = 400;

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
        if let Asked::Execute(facts) = &question.asked {
            let scene = scene(facts);
            shape.add(&scene);
            exact.add(&scene);
        }
        if let Some(statement) = &statement {
            for fields in [&mut shape, &mut exact] {
                fields.add_actor(statement);
                fields.add(&(statement.inner.len() as u64).to_be_bytes());
            }
            for inner in statement.inner {
                shape.add(inner.shape.as_bytes());
                exact.add(inner.bytes);
                exact.add_parameters(inner.parameters);
            }
            shape.add(statement.shape.as_bytes());
            exact.add(statement.bytes);
            exact.add_parameters(statement.parameters);
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

/// Where it would act: the database, and what its names stand for there. Its size and what is guessed of it are left out, in
/// which requests of one shape may differ.
fn scene(facts: &Execute) -> Vec<u8> {
    let Execute { resource, opaque, reads, writes, functions, unknown_parts, .. } = facts;
    serde_json::to_vec(&(resource, opaque, reads, writes, functions, unknown_parts)).unwrap_or_default()
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
        statement: statement.as_ref().map(shown),
        role: statement.map(|statement| statement.role.unwrap_or("(not known)").to_owned()),
        touches: statement.and_then(|statement| serde_json::from_str(statement.touches?).ok()),
    }
}

/// A statement's shape, followed by what it runs.
fn shown(statement: &Statement<'_>) -> String {
    let most = if statement.inner.is_empty() { SHAPE_SHOWN } else { RUNNER_SHOWN };
    let mut shown = beginning(statement.shape, most);
    for inner in statement.inner {
        shown.push_str("; it runs: ");
        let left = SHAPE_SHOWN.saturating_sub(shown.len());
        shown.push_str(&beginning(inner.shape, left));
    }
    shown
}

fn beginning(text: &str, most: usize) -> String {
    let shown = text.floor_char_boundary(most);
    let rest = if shown < text.len() { "…" } else { "" };
    format!("{}{rest}", text.get(..shown).unwrap_or_default())
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::question::{Circumstances, Resource, Subject, TableName};

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

    pub(crate) fn statement<'a>(bytes: &'a [u8], parameters: &'a [Option<&'a [u8]>], shape: &'a str) -> Statement<'a> {
        Statement { kind: "delete", bytes, parameters, shape, inner: &[], role: None, began: &[], touches: None }
    }

    /// In a database, where the names of tables stand for these.
    fn within(database: &str, table: (&str, &str)) -> Question {
        let (schema, table) = (table.0.to_owned(), table.1.to_owned());
        let facts = Execute {
            resource: Resource::Database { name: database.to_owned() },
            writes: Some([TableName { database: database.to_owned(), schema, table }].into()),
            ..Execute::default()
        };
        Question { asked: Asked::Execute(Arc::new(facts)), ..question("a", 1) }
    }

    #[test]
    fn what_runs_by_name_and_its_values_count() {
        let inner = |bytes, parameters, shape| [Inner { bytes, parameters, shape }];
        let run = |inner: &[Inner<'_>]| {
            let one = Statement { inner, ..statement(b"execute p", &[], "execute p") };
            Request::execute(&within("d", ("public", "t")), one)
        };
        let base = run(&inner(b"delete 1", &[], "delete ?"));
        assert_eq!(base.digest(), run(&inner(b"delete 1", &[], "delete ?")).digest());
        let others = [
            run(&inner(b"delete 2", &[], "delete ?")),
            run(&inner(b"delete 1", &[Some(b"x")], "delete ?")),
            run(&inner(b"delete 1", &[None], "delete ?")),
            run(&inner(b"truncate t", &[], "truncate t")),
            run(&[inner(b"delete 1", &[], "delete ?"), inner(b"delete 1", &[], "delete ?")].concat()),
            run(&[]),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(base.digest(), other.digest(), "{index}");
        }
        let same_shape: Vec<bool> = others.iter().map(|other| other.shape() == base.shape()).collect();
        assert_eq!(same_shape, [true, true, true, false, false, false]);
    }

    #[test]
    fn where_and_as_whom_it_runs_counts() {
        let run = |question: &Question, role, began: &[(&[u8], &[u8])]| {
            let one = Statement { role, began, ..statement(b"delete 1", &[], "delete ?") };
            Request::execute(question, one)
        };
        let said: &[(&[u8], &[u8])] = &[(b"user", b"app")];
        let base = run(&within("d", ("public", "t")), Some("app"), said);
        for (index, other) in [
            run(&within("e", ("public", "t")), Some("app"), said),
            run(&within("d", ("app", "t")), Some("app"), said),
            run(&within("d", ("public", "u")), Some("app"), said),
            run(&within("d", ("public", "t")), Some("admin"), said),
            run(&within("d", ("public", "t")), None, said),
            run(&within("d", ("public", "t")), Some("app"), &[(b"user", b"admin")]),
            run(&within("d", ("public", "t")), Some("app"), &[]),
        ]
        .iter()
        .enumerate()
        {
            assert_ne!(base.digest(), other.digest(), "{index}");
            assert_ne!(base.shape(), other.shape(), "{index}");
        }
        // How long a text is, and what is guessed of its rows, is nobody's business here.
        let mut longer = within("d", ("public", "t"));
        if let Asked::Execute(facts) = &mut longer.asked {
            *facts = Arc::new(Execute { bytes: 99, estimated_rows: Some(7), ..(**facts).clone() });
        }
        assert_eq!(base.digest(), run(&longer, Some("app"), said).digest());
    }

    #[test]
    fn approvers_see_what_runs_by_name_however_long_the_rest_is() {
        let inner = [Inner { bytes: b"delete from t", parameters: &[], shape: "delete from t where id > ?" }];
        let long = format!("execute p /*{}*/", "x".repeat(9000));
        let one = Statement { inner: &inner, role: Some("app"), ..statement(long.as_bytes(), &[], &long) };
        let request = Request::execute(&question("a", 1), one);
        let shown = request.about().statement.clone().unwrap();
        assert!(
            shown.starts_with("execute p /*xx") && shown.ends_with("x…; it runs: delete from t where id > ?"),
            "{shown}"
        );
        assert!(shown.len() < 500);
        assert_eq!(request.about().role.as_deref(), Some("app"));
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
