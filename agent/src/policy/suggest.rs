//! Policies that permit what was seen and as little else as a person would write down.
//!
//! One policy for each workload, kind of question and thing that was asked about; all that the requests touched together
//! becomes its conditions. The text is checked and every question put to it again, so what it does not permit is known.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use cedar_policy::{EntityId, EntityUid};

use super::check::{Finding, Source, check};
use super::facts::{Scene, table_id};
use super::question::{Asked, Execute, Question, Resource};
use super::vocabulary::{Kind, Vocabulary};

/// Something that was asked, and may go on being asked.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What.
    pub question: Question,
    /// How often.
    pub count: u64,
}

/// Policies, and what became of the questions they were made from.
#[derive(Clone, Debug, Default)]
pub struct Suggestion {
    /// In Cedar.
    pub text: String,
    /// How many policies.
    pub policies: usize,
    /// How often something was asked that they permit.
    pub permitted: u64,
    /// What they do not permit all the same, each with how often it was asked.
    pub left_out: Vec<(String, u64)>,
}

/// What one policy is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    workload: String,
    action: &'static str,
    /// Empty for connections: their targets are listed.
    resource: String,
}

/// What was seen of it.
#[derive(Debug, Default)]
struct Habit {
    count: u64,
    /// Whom the workload acted for; `None` when for nobody.
    people: BTreeSet<Option<String>>,
    targets: BTreeSet<String>,
    requests: Option<Requests>,
}

/// What requests had in common.
#[derive(Debug)]
enum Requests {
    Sql(Sql),
    /// Methods and hosts, and their paths: what has one address may have many hosts.
    Http(BTreeMap<(String, String), BTreeSet<String>>),
    Kubernetes(BTreeSet<KubernetesRequest>),
    /// How, and which program.
    Ssh(BTreeSet<(String, Option<String>)>),
    /// Verbs; `None` when the protocol has none.
    Other(BTreeSet<Option<String>>),
}

/// Verb, API group, resource and namespace.
type KubernetesRequest = (Option<String>, String, String, Option<String>);

#[derive(Debug, Default)]
struct Sql {
    kinds: BTreeSet<String>,
    reads: BTreeSet<String>,
    writes: BTreeSet<String>,
    functions: BTreeSet<String>,
    /// Some had no predicate, some were not understood.
    without_predicate: bool,
    opaque: bool,
}

/// Makes policies that permit what was seen.
///
/// # Errors
/// What is wrong with them: a defect of this module.
pub fn suggest(seen: &[Seen]) -> Result<Suggestion, Vec<Finding>> {
    let words = Vocabulary::shared().map_err(|error| vec![Finding::whole("suggested", error.to_string())])?;
    let mut habits: BTreeMap<Subject, Habit> = BTreeMap::new();
    for one in seen {
        // What cannot even be asked cannot be permitted.
        let Ok(scene) = Scene::of(words, &one.question) else { continue };
        let Some((resource, requests)) = resource(words, &one.question) else { continue };
        let action = one.question.asked.action().as_str();
        let subject = Subject { workload: scene.asker.uid.to_string(), action, resource };
        let habit = habits.entry(subject).or_default();
        habit.count += one.count;
        let workload = one.question.subject.workload();
        habit
            .people
            .insert(workload.person.as_ref().and_then(|who| Some(uid(words, Kind::Person, &who.subject)?.to_string())));
        if matches!(one.question.asked, Asked::Connect) {
            habit.targets.insert(scene.object.uid.to_string());
        }
        match (&mut habit.requests, requests) {
            (Some(known), Some(more)) => known.add(more),
            (known @ None, more) => *known = more,
            (Some(_), None) => {}
        }
    }
    let text = written(&habits);
    let set = check(&[Source { name: "suggested".to_owned(), text: text.clone() }])?;
    let mut suggestion = Suggestion { text, policies: habits.len(), ..Suggestion::default() };
    for one in seen {
        if set.judge(&one.question).allows() {
            suggestion.permitted += one.count;
        } else {
            let (who, target) = (&one.question.subject.workload().spiffe, one.question.target.id());
            suggestion
                .left_out
                .push((format!("{} by {who} of {target}", one.question.asked.action().as_str()), one.count));
        }
    }
    Ok(suggestion)
}

fn uid(words: &Vocabulary, kind: Kind, id: &str) -> Option<EntityUid> {
    words.uid(kind, id)
}

/// The resource in a policy's head, and what its conditions are made of.
fn resource(words: &Vocabulary, question: &Question) -> Option<(String, Option<Requests>)> {
    let execute = match &question.asked {
        Asked::Connect => return Some((String::new(), None)),
        Asked::Execute(execute) => execute,
        // What is classified is revealed by a decision of somebody's, not by habit.
        Asked::Reveal(_) => return None,
    };
    let id = question.target.id();
    let target = uid(words, Kind::Target, &id)?;
    let inside = |kind: Kind| format!("is {} in {target}", kind.as_str());
    Some(match &execute.resource {
        Resource::Target => (format!("== {target}"), Some(Requests::Other(BTreeSet::from([execute.verb.clone()])))),
        Resource::Database { .. } => {
            let database = Scene::of(words, question).ok()?.object.uid;
            (format!("== {database}"), Some(Requests::Sql(sql(words, &id, execute))))
        }
        Resource::HttpRoute(route) => {
            let paths = BTreeSet::from([route.path.clone()]);
            (
                inside(Kind::HttpRoute),
                Some(Requests::Http([((route.method.clone(), route.host.clone()), paths)].into())),
            )
        }
        Resource::KubernetesObject { group, resource, namespace, .. } => {
            let one = (execute.verb.clone(), group.clone(), resource.clone(), namespace.clone());
            (inside(Kind::KubernetesObject), Some(Requests::Kubernetes(BTreeSet::from([one]))))
        }
        Resource::SshCommand { how, program, .. } => {
            (inside(Kind::SshCommand), Some(Requests::Ssh(BTreeSet::from([(how.clone(), program.clone())]))))
        }
    })
}

fn sql(words: &Vocabulary, target: &str, execute: &Execute) -> Sql {
    let tables = |all: &Option<BTreeSet<super::question::TableName>>| {
        let ids = all.iter().flatten().filter_map(|name| uid(words, Kind::Table, &table_id(target, name)));
        ids.map(|uid| uid.to_string()).collect::<BTreeSet<_>>()
    };
    Sql {
        kinds: execute.kinds.clone().unwrap_or_default(),
        reads: tables(&execute.reads),
        writes: tables(&execute.writes),
        functions: execute.functions.clone().unwrap_or_default(),
        without_predicate: execute.has_predicate != Some(true),
        opaque: execute.opaque || execute.unknown_parts.iter().flatten().next().is_some(),
    }
}

impl Requests {
    /// Requests to one resource are of one kind.
    fn add(&mut self, more: Self) {
        match (self, more) {
            (Self::Sql(known), Self::Sql(more)) => {
                known.kinds.extend(more.kinds);
                known.reads.extend(more.reads);
                known.writes.extend(more.writes);
                known.functions.extend(more.functions);
                known.without_predicate |= more.without_predicate;
                known.opaque |= more.opaque;
            }
            (Self::Http(known), Self::Http(more)) => {
                for (route, paths) in more {
                    known.entry(route).or_default().extend(paths);
                }
            }
            (Self::Kubernetes(known), Self::Kubernetes(more)) => known.extend(more),
            (Self::Ssh(known), Self::Ssh(more)) => known.extend(more),
            (Self::Other(known), Self::Other(more)) => known.extend(more),
            (Self::Sql(_) | Self::Http(_) | Self::Kubernetes(_) | Self::Ssh(_) | Self::Other(_), _) => {}
        }
    }

    /// Conditions, all of which have to hold.
    fn conditions(&self) -> Vec<String> {
        match self {
            Self::Sql(sql) => sql.conditions(),
            Self::Http(routes) => {
                let each = routes.iter().map(|((method, host), paths)| {
                    let (method, host) = (quoted(method), quoted(host));
                    let paths = one_of("resource.path", &all_quoted(paths));
                    format!("resource.method == {method} && resource.host == {host} && {paths}")
                });
                vec![any(each)]
            }
            Self::Kubernetes(all) => {
                let each = all.iter().map(|(verb, group, resource, namespace)| {
                    let (group, resource) = (quoted(group), quoted(resource));
                    let mut parts = vec![format!("resource.group == {group} && resource.resource == {resource}")];
                    parts.extend(verb.as_ref().map(|verb| format!("context.verb == {}", quoted(verb))));
                    parts.push(optional("namespace", namespace.as_deref()));
                    parts.join(" && ")
                });
                vec![any(each)]
            }
            Self::Ssh(all) => {
                let each = all.iter().map(|(how, program)| {
                    format!("resource.kind == {} && {}", quoted(how), optional("program", program.as_deref()))
                });
                vec![any(each)]
            }
            Self::Other(verbs) if verbs.contains(&None) => Vec::new(),
            Self::Other(verbs) => {
                let verbs: BTreeSet<String> = verbs.iter().flatten().map(|verb| quoted(verb)).collect();
                vec![format!("context has verb && {}", one_of("context.verb", &verbs))]
            }
        }
    }
}

impl Sql {
    fn conditions(&self) -> Vec<String> {
        let mut all = vec![within("context.kinds", &all_quoted(&self.kinds))];
        all.push(within("context.reads", &self.reads));
        all.push(within("context.writes", &self.writes));
        all.push(within("context.functions", &all_quoted(&self.functions)));
        if self.kinds.contains("destructive") && !self.without_predicate {
            all.push("(context.has_predicate || !context.kinds.contains(\"destructive\"))".to_owned());
        }
        if !self.opaque {
            all.push("!context.opaque".to_owned());
            all.push("context.unknown_parts.isEmpty()".to_owned());
        }
        all
    }
}

fn optional(attribute: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("resource has {attribute} && resource.{attribute} == {}", quoted(value)),
        None => format!("!(resource has {attribute})"),
    }
}

fn any(each: impl Iterator<Item = String>) -> String {
    let each: Vec<String> = each.map(|one| format!("({one})")).collect();
    if each.len() == 1 { each.concat() } else { format!("({})", each.join("\n    || ")) }
}

/// The set has nothing else in it.
fn within(set: &str, all: &BTreeSet<String>) -> String {
    if all.is_empty() { format!("{set}.isEmpty()") } else { format!("{}.containsAll({set})", list(all)) }
}

/// The value is one of these.
fn one_of(value: &str, all: &BTreeSet<String>) -> String {
    match all.first() {
        Some(only) if all.len() == 1 => format!("{value} == {only}"),
        _ => format!("{}.contains({value})", list(all)),
    }
}

fn list(all: &BTreeSet<String>) -> String {
    let one_line = all.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    if one_line.len() <= 80 {
        return format!("[{one_line}]");
    }
    format!("[\n    {}\n  ]", all.iter().map(String::as_str).collect::<Vec<_>>().join(",\n    "))
}

fn quoted(text: &str) -> String {
    // As Cedar writes the text of an id.
    format!("\"{}\"", EntityId::new(text).escaped())
}

fn all_quoted(all: &BTreeSet<String>) -> BTreeSet<String> {
    all.iter().map(|text| quoted(text)).collect()
}

fn written(habits: &BTreeMap<Subject, Habit>) -> String {
    let mut text = String::new();
    for (number, (subject, habit)) in (1..).zip(habits) {
        let mut conditions = Vec::new();
        let resource = match (habit.targets.first(), habit.targets.len()) {
            (Some(only), 1) => format!(" == {only}"),
            (Some(_), _) => {
                conditions.push(format!("{}.contains(resource)", list(&habit.targets)));
                String::new()
            }
            (None, _) => format!(" {}", subject.resource),
        };
        // For some people and for nobody as well: then it does not matter for whom.
        let people: Option<BTreeSet<String>> = habit.people.iter().cloned().collect();
        if let Some(people) = people {
            conditions.push(format!("principal has person && {}", one_of("principal.person", &people)));
        }
        conditions.extend(habit.requests.iter().flat_map(Requests::conditions));
        let times = if habit.count == 1 { "once".to_owned() } else { format!("{} times", habit.count) };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "// seen {times}\n@id(\"seen.{number}.{}\")\npermit(principal == {}, action == Action::\"{}\", resource{resource})",
            subject.action, subject.workload, subject.action
        );
        if !conditions.is_empty() {
            let _ = write!(text, "\nwhen {{\n  {}\n}}", conditions.join("\n  && "));
        }
        text.push_str(";\n\n");
    }
    text.truncate(text.trim_end().len());
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::policy::question::{Circumstances, Person, Route, TableName, Target, Workload};
    use crate::policy::{Protocol, question};

    fn question(workload: &str, port: u16, protocol: Protocol, asked: Asked) -> Question {
        let workload = Workload { spiffe: workload.to_owned(), attestation: "live".to_owned(), ..Workload::default() };
        let target = Target { protocol, ..Target::opaque("10.0.0.5".parse().unwrap(), port) };
        Question {
            subject: Arc::new(question::Subject::new(workload)),
            target: Arc::new(target),
            asked,
            circumstances: Circumstances::default(),
        }
    }

    fn once(question: Question) -> Seen {
        Seen { question, count: 1 }
    }

    fn select(kinds: &[&str], table: &str, predicate: bool) -> Asked {
        let names = |one: &str| {
            Some(BTreeSet::from([TableName { database: "shop".into(), schema: "public".into(), table: one.into() }]))
        };
        let writes = kinds.contains(&"write");
        Asked::Execute(Arc::new(Execute {
            resource: Resource::Database { name: "shop".into() },
            verb: Some("select".into()),
            kinds: Some(kinds.iter().map(|kind| (*kind).to_owned()).collect()),
            statements: Some(1),
            reads: if writes { Some(BTreeSet::new()) } else { names(table) },
            writes: if writes { names(table) } else { Some(BTreeSet::new()) },
            functions: Some(BTreeSet::new()),
            has_predicate: Some(predicate),
            unknown_parts: Some(BTreeSet::new()),
            ..Execute::default()
        }))
    }

    const BACKUP: &str = "spiffe://example.org/host/h1/unit/backup.service";

    #[test]
    fn a_workload_gets_one_policy_for_all_it_connects_to() {
        let seen = [5432, 5433, 5432].map(|port| once(question(BACKUP, port, Protocol::Tcp, Asked::Connect)));
        let made = suggest(&seen).unwrap();
        assert_eq!((made.policies, made.permitted, made.left_out.len()), (1, 3, 0), "{}", made.text);
        assert_eq!(
            made.text,
            "// seen 3 times\n@id(\"seen.1.connect\")\npermit(principal == Workload::\"spiffe://example.org/host/h1/unit/backup.service\", \
             action == Action::\"connect\", resource)\nwhen {\n  [Target::\"10.0.0.5:5432\", Target::\"10.0.0.5:5433\"].contains(resource)\n};\n"
        );
        let set = check(&[Source { name: "x".into(), text: made.text }]).unwrap();
        assert!(!set.judge(&question(BACKUP, 5434, Protocol::Tcp, Asked::Connect)).allows());
        assert!(!set.judge(&question("spiffe://example.org/x", 5432, Protocol::Tcp, Asked::Connect)).allows());
    }

    #[test]
    fn requests_are_permitted_with_what_they_touched_and_nothing_else() {
        let ask = |asked| question(BACKUP, 5432, Protocol::Postgres, asked);
        let seen =
            [select(&["read"], "orders", true), select(&["write", "destructive"], "log", true)].map(|a| once(ask(a)));
        let made = suggest(&seen).unwrap();
        assert_eq!((made.policies, made.permitted), (1, 2), "{}", made.text);
        let set = check(&[Source { name: "x".into(), text: made.text.clone() }]).unwrap();
        for (asked, allowed) in [
            (select(&["read"], "orders", true), true),
            (select(&["read"], "people", true), false),
            (select(&["write"], "orders", true), false),
            (select(&["write", "destructive"], "log", false), false),
            (select(&["ddl"], "orders", true), false),
        ] {
            assert_eq!(set.judge(&ask(asked.clone())).allows(), allowed, "{asked:?}\n{}", made.text);
        }
    }

    #[test]
    fn every_protocol_has_its_own_conditions() {
        let run = |protocol, resource, verb: Option<&str>| {
            let verb = Some(verb.unwrap_or("exec").to_owned());
            let kinds = Some(BTreeSet::from(["read".to_owned()]));
            let statements = (protocol == Protocol::Redis).then_some(1);
            let execute = Execute { resource, verb, kinds, statements, ..Execute::default() };
            question(BACKUP, 443, protocol, Asked::Execute(Arc::new(execute)))
        };
        let at = |host: &str, path: &str| {
            Resource::HttpRoute(Route { method: "GET".into(), host: host.into(), path: path.into() })
        };
        let route = |path: &str| at("h", path);
        let of = |group: &str, resource: &str| Resource::KubernetesObject {
            group: group.into(),
            resource: resource.into(),
            namespace: Some("web".into()),
            name: None,
        };
        let pod = |resource: &str| of("", resource);
        let ssh =
            |program: &str| Resource::SshCommand { how: "exec".into(), program: Some(program.into()), line: None };
        for (seen, other) in [
            (run(Protocol::Http, route("/a"), Some("get")), run(Protocol::Http, route("/b"), Some("get"))),
            (run(Protocol::Http, route("/a"), Some("get")), run(Protocol::Http, at("admin", "/a"), Some("get"))),
            (
                run(Protocol::Kubernetes, pod("pods"), Some("list")),
                run(Protocol::Kubernetes, of("metrics.k8s.io", "pods"), Some("list")),
            ),
            (
                run(Protocol::Kubernetes, pod("pods"), Some("list")),
                run(Protocol::Kubernetes, pod("secrets"), Some("list")),
            ),
            (
                run(Protocol::Kubernetes, pod("pods"), Some("list")),
                run(Protocol::Kubernetes, pod("pods"), Some("delete")),
            ),
            (run(Protocol::Ssh, ssh("uptime"), None), run(Protocol::Ssh, ssh("rm"), None)),
            (
                run(Protocol::Redis, Resource::Target, Some("get")),
                run(Protocol::Redis, Resource::Target, Some("flushall")),
            ),
        ] {
            let made = suggest(&[once(seen.clone())]).unwrap();
            assert_eq!((made.policies, made.permitted), (1, 1), "{seen:?}\n{}", made.text);
            let set = check(&[Source { name: "x".into(), text: made.text.clone() }]).unwrap();
            assert!(!set.judge(&other).allows(), "{other:?}\n{}", made.text);
        }
    }

    #[test]
    fn who_it_acted_for_is_part_of_it_unless_it_did_not_matter() {
        let for_whom = |person: Option<&str>| {
            let mut one = question(BACKUP, 22, Protocol::Tcp, Asked::Connect);
            let mut workload = one.subject.workload().clone();
            workload.person = person.map(|subject| Person { subject: subject.into(), ..Person::default() });
            one.subject = Arc::new(question::Subject::new(workload));
            one
        };
        let made = suggest(&[once(for_whom(Some("ada"))), once(for_whom(Some("bob")))]).unwrap();
        let set = check(&[Source { name: "x".into(), text: made.text }]).unwrap();
        assert!(set.judge(&for_whom(Some("bob"))).allows());
        assert!(!set.judge(&for_whom(Some("eve"))).allows() && !set.judge(&for_whom(None)).allows());
        let made = suggest(&[once(for_whom(Some("ada"))), once(for_whom(None))]).unwrap();
        assert!(!made.text.contains("person"), "{}", made.text);
    }

    proptest! {
        #[test]
        fn whatever_was_seen_is_permitted_however_it_is_written(
            seen in prop::collection::vec((".{0,12}", 0..4_u16, ".{0,8}", ".{0,8}"), 0..12)
        ) {
            let seen: Vec<Seen> = seen.into_iter().map(|(workload, port, table, kind)| {
                let workload = format!("spiffe://example.org/{workload}");
                let asked = if port == 0 { Asked::Connect } else { select(&[kind.as_str()], &table, port == 1) };
                let protocol = if port == 0 { Protocol::Tcp } else { Protocol::Postgres };
                once(question(&workload, 5430 + port, protocol, asked))
            }).collect();
            let made = suggest(&seen).unwrap();
            prop_assert_eq!(made.permitted, seen.len() as u64, "{}", made.text);
            prop_assert_eq!(made.left_out, vec![]);
        }
    }
}
