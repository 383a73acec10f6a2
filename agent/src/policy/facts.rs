//! Questions as Cedar sees them: entities, and the context.

use std::collections::HashSet;

use cedar_policy::{
    Context, ContextCreationError, Entities, Entity, EntityAttrEvaluationError, EntityUid, ExpressionConstructionError,
    Request, RestrictedExpression as Value, entities_errors::EntitiesError,
};

use super::{
    approval::Approval,
    moment::{Moment, Parts},
    question::{
        Asked, Circumstances, ColumnName, Execute, Field, Question, Resource, Route, TableName, Target, Workload,
    },
    shape::Reads,
    vocabulary::{Kind, Vocabulary},
};

/// Why a question cannot be put.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// A kind or an action without a name: a defect of the build.
    #[error("the vocabulary lacks `{0}`")]
    Vocabulary(&'static str),
    /// An attribute is no value.
    #[error("a fact is no value of its type")]
    Attribute(#[from] Box<EntityAttrEvaluationError>),
    /// Entities contradict one another.
    #[error("the entities of a question contradict one another")]
    Entities(#[from] Box<EntitiesError>),
    /// A record names something twice.
    #[error("a fact is given twice")]
    Twice(#[from] Box<ExpressionConstructionError>),
    /// The context is no record of values.
    #[error("the facts of a question contradict one another")]
    Context(#[from] Box<ContextCreationError>),
    /// A protocol's facts are not what it always, or ever, supplies.
    #[error("`{protocol}` {says} `{fact}`")]
    Capability {
        /// Which protocol.
        protocol: &'static str,
        /// What is wrong.
        says: &'static str,
        /// About which fact.
        fact: &'static str,
    },
}

/// Who asks, and everything they are in.
pub(super) struct Asker {
    /// The workload.
    pub(super) uid: EntityUid,
    /// What it is in.
    pub(super) within: Vec<EntityUid>,
    entities: Vec<Entity>,
}

/// What is asked about, and everything it is in.
pub(super) struct Object {
    /// Which kind.
    pub(super) kind: Kind,
    /// The thing.
    pub(super) uid: EntityUid,
    /// What it is in.
    pub(super) within: Vec<EntityUid>,
    entities: Vec<Entity>,
}

/// A question, ready for Cedar but for the context.
pub(super) struct Scene {
    pub(super) asker: Asker,
    pub(super) object: Object,
    pub(super) entities: Entities,
    action: EntityUid,
}

type Fields = Vec<(&'static str, Value)>;

impl Scene {
    /// Builds the entities of a question.
    pub(super) fn of(words: &Vocabulary, question: &Question) -> Result<Self, FactsError> {
        let asker = asker(words, question.subject.workload())?;
        let object = object(words, &question.target, &question.asked)?;
        let all = asker.entities.iter().chain(&object.entities).cloned();
        let entities = Entities::from_entities(all, None).map_err(Box::new)?;
        let action = question.asked.action();
        let action = words.action(action).cloned().ok_or(FactsError::Vocabulary("Action"))?;
        Ok(Self { asker, object, entities, action })
    }

    /// The question with a context.
    pub(super) fn request(&self, context: Context) -> Result<Request, FactsError> {
        let (principal, resource) = (self.asker.uid.clone(), self.object.uid.clone());
        // Without a schema nothing is validated: the types have seen to it.
        Request::new(principal, self.action.clone(), resource, context, None)
            .map_err(|_| FactsError::Vocabulary("Request"))
    }
}

fn uid(words: &Vocabulary, kind: Kind, id: &str) -> Result<EntityUid, FactsError> {
    words.uid(kind, id).ok_or(FactsError::Vocabulary(kind.as_str()))
}

fn entity(uid: &EntityUid, fields: Fields, parents: impl IntoIterator<Item = EntityUid>) -> Result<Entity, FactsError> {
    let attributes = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Entity::new(uid.clone(), attributes, parents.into_iter().collect::<HashSet<_>>()).map_err(Box::new)?)
}

fn text(text: &str) -> Value {
    Value::new_string(text.to_owned())
}

fn long(number: u64) -> Value {
    Value::new_long(i64::try_from(number).unwrap_or(i64::MAX))
}

fn texts<'a>(all: impl IntoIterator<Item = &'a String>) -> Value {
    Value::new_set(all.into_iter().map(|one| text(one)))
}

fn maybe(fields: &mut Fields, name: &'static str, value: Option<&str>) {
    fields.extend(value.map(|value| (name, text(value))));
}

fn asker(words: &Vocabulary, who: &Workload) -> Result<Asker, FactsError> {
    let mut fields: Fields = vec![
        ("spiffe", text(&who.spiffe)),
        ("uid", long(who.uid.into())),
        ("gid", long(who.gid.into())),
        ("attestation", text(&who.attestation)),
    ];
    for (name, value) in [
        ("user", &who.user),
        ("unit", &who.unit),
        ("user_unit", &who.user_unit),
        ("slice", &who.slice),
        ("container", &who.container),
        ("executable", &who.executable),
        ("digest", &who.digest),
        ("login_user", &who.login_user),
    ] {
        maybe(&mut fields, name, value.as_deref());
    }
    fields.extend(who.login_uid.map(|uid| ("login_uid", long(uid.into()))));
    let (mut entities, mut within, mut parents) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(host) = who.host() {
        let host = uid(words, Kind::Host, host)?;
        entities.push(entity(&host, Vec::new(), [])?);
        parents.push(host);
    }
    if let Some(person) = &who.person {
        let somebody = uid(words, Kind::Person, &person.subject)?;
        let groups = person.groups.iter().map(|group| uid(words, Kind::Group, group));
        let groups = groups.collect::<Result<Vec<_>, _>>()?;
        let mut known = Vec::new();
        maybe(&mut known, "login", person.login.as_deref());
        maybe(&mut known, "issuer", person.issuer.as_deref());
        entities.push(entity(&somebody, known, groups.iter().cloned())?);
        for group in &groups {
            entities.push(entity(group, Vec::new(), [])?);
        }
        fields.push(("person", Value::new_entity_uid(somebody.clone())));
        parents.push(somebody);
        within.extend(groups);
    }
    let workload = uid(words, Kind::Workload, &who.spiffe)?;
    within.extend(parents.iter().cloned());
    entities.push(entity(&workload, fields, parents)?);
    Ok(Asker { uid: workload, within, entities })
}

/// Joins names into an id that no other names make.
fn path<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let parts: Vec<String> = parts.into_iter().map(|part| part.replace('%', "%25").replace('/', "%2F")).collect();
    parts.join("/")
}

pub(super) fn table_id(target: &str, name: &TableName) -> String {
    path([target, &name.database, &name.schema, &name.table])
}

fn column_id(target: &str, name: &ColumnName) -> String {
    path([target, &name.database, &name.schema, &name.table, &name.column])
}

fn route_id(target: &str, route: &Route) -> String {
    // The path keeps its slashes: it is the last part and may hold any.
    format!("{}/{} {}{}", path([target]), route.method, route.host, route.path)
}

/// Grows a chain of entities, each in the one before.
struct Chain<'a> {
    words: &'a Vocabulary,
    entities: Vec<Entity>,
    chain: Vec<EntityUid>,
}

impl Chain<'_> {
    fn push(&mut self, kind: Kind, id: &str, fields: Fields) -> Result<(), FactsError> {
        let one = uid(self.words, kind, id)?;
        self.entities.push(entity(&one, fields, self.chain.last().cloned())?);
        self.chain.push(one);
        Ok(())
    }

    fn named(&mut self, kind: Kind, id: &str, name: &str) -> Result<(), FactsError> {
        self.push(kind, id, vec![("name", text(name))])
    }

    fn route(&mut self, target: &str, route: &Route) -> Result<(), FactsError> {
        let fields = vec![("method", text(&route.method)), ("host", text(&route.host)), ("path", text(&route.path))];
        self.push(Kind::HttpRoute, &route_id(target, route), fields)
    }

    fn end(mut self, kind: Kind) -> Result<Object, FactsError> {
        let uid = self.chain.pop().ok_or(FactsError::Vocabulary("Target"))?;
        Ok(Object { kind, uid, within: self.chain, entities: self.entities })
    }
}

fn object(words: &Vocabulary, target: &Target, asked: &Asked) -> Result<Object, FactsError> {
    let id = target.id();
    let mut chain = Chain { words, entities: Vec::new(), chain: Vec::new() };
    chain.push(Kind::Target, &id, target_fields(target))?;
    let kind = match asked {
        Asked::Connect => Kind::Target,
        Asked::Execute(execute) => resource(&mut chain, &id, &execute.resource)?,
        Asked::Reveal(reveal) => {
            let classes = ("classes", texts(&reveal.classes));
            match &reveal.field {
                Field::Column(name) => {
                    chain.named(Kind::Database, &path([id.as_str(), &name.database]), &name.database)?;
                    let schema = path([id.as_str(), &name.database, &name.schema]);
                    chain.named(Kind::Schema, &schema, &name.schema)?;
                    let ColumnName { database, schema, table, column } = name.clone();
                    let table = TableName { database, schema, table };
                    chain.named(Kind::Table, &table_id(&id, &table), &table.table)?;
                    chain.push(Kind::Column, &column_id(&id, name), vec![("name", text(&column)), classes])?;
                }
                Field::Answer { route, field } => {
                    chain.route(&id, route)?;
                    let column = format!("{}/{}", route_id(&id, route), path([field.as_str()]));
                    chain.push(Kind::Column, &column, vec![("name", text(field)), classes])?;
                }
            }
            Kind::Column
        }
    };
    chain.end(kind)
}

fn target_fields(target: &Target) -> Fields {
    let mut fields: Fields = vec![
        ("protocol", text(target.protocol.as_str())),
        ("address", Value::new_ip(target.address.to_string())),
        ("port", long(target.port.into())),
        ("tags", texts(&target.tags)),
    ];
    maybe(&mut fields, "name", target.name.as_deref());
    maybe(&mut fields, "host", target.host.as_deref());
    maybe(&mut fields, "environment", target.environment.as_deref());
    fields
}

fn resource(chain: &mut Chain<'_>, target: &str, resource: &Resource) -> Result<Kind, FactsError> {
    match resource {
        Resource::Target => return Ok(Kind::Target),
        Resource::Database { name } => chain.named(Kind::Database, &path([target, name]), name)?,
        Resource::HttpRoute(route) => chain.route(target, route)?,
        Resource::KubernetesObject { group, resource, namespace, name } => {
            let mut fields: Fields = vec![("group", text(group)), ("resource", text(resource))];
            maybe(&mut fields, "namespace", namespace.as_deref());
            maybe(&mut fields, "name", name.as_deref());
            let (namespace, name) = (namespace.as_deref().unwrap_or_default(), name.as_deref().unwrap_or_default());
            chain.push(Kind::KubernetesObject, &path([target, namespace, resource, name]), fields)?;
        }
        Resource::SshCommand { how, program, line } => {
            let mut fields: Fields = vec![("kind", text(how))];
            maybe(&mut fields, "program", program.as_deref());
            maybe(&mut fields, "line", line.as_deref());
            let id = path([target, program.as_deref().unwrap_or(how)]);
            chain.push(Kind::SshCommand, &id, fields)?;
        }
    }
    Ok(match resource {
        Resource::Target => Kind::Target,
        Resource::Database { .. } => Kind::Database,
        Resource::HttpRoute(_) => Kind::HttpRoute,
        Resource::KubernetesObject { .. } => Kind::KubernetesObject,
        Resource::SshCommand { .. } => Kind::SshCommand,
    })
}

/// Refuses facts that the schema, as the protocol narrows it, does not have.
pub(super) fn check(target: &Target, execute: &Execute, circumstances: &Circumstances) -> Result<(), FactsError> {
    let protocol = target.protocol;
    let kept = [("tls", circumstances.tls.is_some())];
    for (fact, known) in execute.known().into_iter().chain(kept) {
        let says = match known {
            true if !protocol.may_supply(fact) => "cannot supply",
            false if protocol.always().contains(&fact) => "must supply",
            _ => continue,
        };
        return Err(FactsError::Capability { protocol: protocol.as_str(), says, fact });
    }
    Ok(())
}

/// The context of a question, with `approval` in place of its own when there is one. Of the time, only what somebody
/// `reads` is there.
pub(super) fn context(
    words: &Vocabulary,
    question: &Question,
    approval: Option<&Approval>,
    reads: &Reads,
) -> Result<Context, FactsError> {
    let given = &question.circumstances;
    let mut fields: Fields = vec![
        ("protocol", text(question.target.protocol.as_str())),
        ("time", time(&given.moment, reads.time)?),
        ("identity", assurance(question)?),
    ];
    if let Some(tls) = &given.tls {
        let mut known: Fields = vec![("version", text(&tls.version))];
        maybe(&mut known, "server_name", tls.server_name.as_deref());
        fields.push(("tls", record(known)?));
    }
    if let Some(session) = &given.session {
        let known = vec![
            ("requests", long(session.requests)),
            ("rows", long(session.rows)),
            ("denials", long(session.denials)),
            ("rate", long(session.rate)),
        ];
        fields.push(("session", record(known)?));
    }
    if let Some(approval) = approval.or(given.approval.as_deref()) {
        let groups = approval.groups.iter().map(|group| uid(words, Kind::Group, group).map(Value::new_entity_uid));
        let known = vec![
            ("groups", Value::new_set(groups.collect::<Result<Vec<_>, _>>()?)),
            ("people", long(approval.people.into())),
            ("reason", Value::new_bool(approval.reason)),
        ];
        fields.push(("approval", record(known)?));
    }
    if given.break_glass {
        fields.push(("break_glass", Value::new_bool(true)));
    }
    if let Asked::Execute(execute) = &question.asked {
        request(&mut fields, words, &question.target.id(), execute)?;
    }
    let pairs = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    Ok(Context::from_pairs(pairs).map_err(Box::new)?)
}

fn record(fields: Fields) -> Result<Value, FactsError> {
    Ok(Value::new_record(fields.into_iter().map(|(name, value)| (name.to_owned(), value))).map_err(Box::new)?)
}

fn time(moment: &Moment, parts: Parts) -> Result<Value, FactsError> {
    let number = |value: i8| Value::new_long(value.into());
    let mut known: Fields = vec![("zone", text(moment.zone.name()))];
    if parts.hour {
        known.push(("hour", number(moment.hour)));
    }
    if parts.minute {
        known.push(("minute", number(moment.minute)));
    }
    if parts.weekday {
        known.push(("weekday", text(moment.weekday())));
    }
    if parts.date {
        known.push(("date", text(&moment.date())));
    }
    if parts.instant {
        known.push(("instant", Value::new_datetime(moment.instant())));
    }
    record(known)
}

fn assurance(question: &Question) -> Result<Value, FactsError> {
    let level = text(&question.subject.workload().attestation);
    let mut known: Fields = vec![("age", long(question.circumstances.age)), ("level", level)];
    known.extend(question.circumstances.lease.map(|lease| ("lease", long(lease))));
    record(known)
}

fn request(fields: &mut Fields, words: &Vocabulary, target: &str, known: &Execute) -> Result<(), FactsError> {
    fields.push(("opaque", Value::new_bool(known.opaque)));
    fields.push(("bytes", long(known.bytes)));
    maybe(fields, "verb", known.verb.as_deref());
    for (name, number) in [
        ("statements", known.statements),
        ("estimated_rows", known.estimated_rows),
        ("counted_rows", known.counted_rows),
    ] {
        fields.extend(number.map(|number| (name, long(number))));
    }
    for (name, set) in [
        ("kinds", &known.kinds),
        ("classes_read", &known.classes_read),
        ("classes_written", &known.classes_written),
        ("functions", &known.functions),
        ("unknown_parts", &known.unknown_parts),
    ] {
        fields.extend(set.as_ref().map(|set| (name, texts(set))));
    }
    for (name, set) in [("reads", &known.reads), ("writes", &known.writes)] {
        let Some(set) = set else { continue };
        let ids = set.iter().map(|table| uid(words, Kind::Table, &table_id(target, table)));
        fields.push((name, entities(ids)?));
    }
    for (name, set) in [
        ("columns_read", &known.columns_read),
        ("columns_written", &known.columns_written),
        ("protected_predicates", &known.protected_predicates),
    ] {
        let Some(set) = set else { continue };
        let ids = set.iter().map(|column| uid(words, Kind::Column, &column_id(target, column)));
        fields.push((name, entities(ids)?));
    }
    fields.extend(known.has_predicate.map(|has| ("has_predicate", Value::new_bool(has))));
    Ok(())
}

fn entities(ids: impl Iterator<Item = Result<EntityUid, FactsError>>) -> Result<Value, FactsError> {
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    Ok(Value::new_set(ids.into_iter().map(Value::new_entity_uid)))
}
