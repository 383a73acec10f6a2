//! Texts in, decisions out: what the check refuses, and what questions are answered.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names what it wants")]

use std::sync::Arc;

use super::{question::*, *};

fn checked(text: &str) -> Result<PolicySet, Vec<Finding>> {
    check(&[Source { name: "a.cedar".to_owned(), text: text.to_owned() }])
}

fn set(text: &str) -> PolicySet {
    checked(text).unwrap_or_else(|found| {
        panic!("{}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    })
}

/// `LINE:COLUMN message` of everything that is wrong.
fn wrong(text: &str) -> Vec<String> {
    let Err(found) = checked(text) else { panic!("nothing is wrong with {text}") };
    found
        .into_iter()
        .map(|finding| match finding.problem {
            Some(problem) => {
                let help = problem.help.map(|help| format!(" = {help}")).unwrap_or_default();
                format!("{}:{} {}{help}", problem.line, problem.column, problem.message)
            }
            None => finding.whole.unwrap_or_default(),
        })
        .collect()
}

pub(super) fn subject(unit: &str, groups: &[&str]) -> Arc<Subject> {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    let person = Person { subject: "ada".to_owned(), groups, ..Person::default() };
    Arc::new(Subject::new(Workload {
        spiffe: format!("spiffe://example.org/host/h1/unit/{unit}"),
        unit: Some(unit.to_owned()),
        attestation: "live".to_owned(),
        person: Some(person),
        ..Workload::default()
    }))
}

fn target(protocol: Protocol) -> Arc<Target> {
    let opaque = Target::opaque("10.0.0.5".parse().unwrap(), 5432);
    Arc::new(Target { protocol, name: Some("payments".to_owned()), ..opaque })
}

pub(super) fn connect(unit: &str, groups: &[&str]) -> Question {
    Question {
        subject: subject(unit, groups),
        target: target(Protocol::Tcp),
        asked: Asked::Connect,
        circumstances: Circumstances::default(),
    }
}

fn sql(verb: &str, kinds: &[&str], predicate: bool) -> Question {
    let execute = Execute {
        resource: Resource::Database { name: "ledger".to_owned() },
        verb: Some(verb.to_owned()),
        kinds: Some(kinds.iter().map(|&kind| kind.to_owned()).collect()),
        statements: Some(1),
        reads: Some([].into()),
        writes: Some([].into()),
        functions: Some([].into()),
        has_predicate: Some(predicate),
        unknown_parts: Some([].into()),
        ..Execute::default()
    };
    let target = target(Protocol::Postgres);
    Question { target, asked: Asked::Execute(Arc::new(execute)), ..connect("batch.service", &[]) }
}

fn with(question: &Question, change: impl FnOnce(&mut Circumstances)) -> Question {
    let mut changed = question.clone();
    change(&mut changed.circumstances);
    changed
}

fn needs(verdict: &Verdict) -> String {
    match &verdict.outcome {
        Outcome::Hold(approval) => approval.to_string(),
        other => panic!("not held: {other:?} {verdict:?}"),
    }
}

#[test]
fn permits_allow_and_forbids_deny_and_nothing_is_permitted_by_itself() {
    let text = r#"
        @id("batch-may")
        permit(principal, action == Action::"connect", resource) when { principal has unit && principal.unit == "batch.service" };
        @id("no-guests") @message("guests may not")
        forbid(principal in Group::"guests", action, resource);
    "#;
    let set = set(text);
    let allowed = set.judge(&connect("batch.service", &["staff"]));
    assert_eq!((allowed.outcome.clone(), allowed.policies.as_slice()), (Outcome::Allow, &["batch-may".into()][..]));
    let other = set.judge(&connect("cron.service", &[]));
    assert_eq!((other.outcome.clone(), other.cause), (Outcome::Deny, Cause::NotPermitted));
    assert_eq!(other.client_text(), "no policy permits this");
    let guest = set.judge(&connect("batch.service", &["guests"]));
    assert_eq!((guest.outcome.clone(), guest.client_text().as_str()), (Outcome::Deny, "guests may not"));
    assert_eq!(guest.policies, ["no-guests".into()]);
    assert_eq!(&*guest.recorded().unwrap(), format!("[\"sha256:{}\",\"no-guests\"]", set.version()));
}

#[test]
fn without_policies_everything_or_nothing() {
    let column = ColumnName { database: "d".into(), schema: "s".into(), table: "t".into(), column: "c".into() };
    let reveal = |class: Option<&str>| Question {
        asked: Asked::Reveal(Arc::new(Reveal {
            field: Field::Column(column.clone()),
            classes: class.into_iter().map(str::to_owned).collect(),
        })),
        ..connect("x", &[])
    };
    let observed = PolicySet::unconfigured();
    assert!(observed.judge(&connect("x", &[])).allows());
    assert!(observed.judge(&sql("drop", &["ddl"], false)).allows());
    assert!(observed.judge(&reveal(None)).allows());
    assert!(!observed.judge(&reveal(Some("pan"))).allows());
    assert!(!PolicySet::empty().judge(&connect("x", &[])).allows());
    assert!(!PolicySet::empty().judge(&sql("select", &["read"], true)).allows());
    let auditors =
        set(r#"permit(principal, action == Action::"reveal", resource) when { !resource.classes.contains("pan") };"#);
    assert!(auditors.judge(&reveal(Some("pii.email"))).allows());
    assert!(!auditors.judge(&reveal(Some("pan"))).allows());
}

#[test]
fn a_request_that_needs_approval_is_held_for_exactly_that() {
    let text = r#"
        permit(principal, action == Action::"execute", resource is Database);
        @id("two-eyes") @message("deletes without a condition need two people")
        forbid(principal, action == Action::"execute", resource is Database)
        when { context.kinds.contains("destructive") && !context.has_predicate }
        unless { context has approval && context.approval.groups.contains(Group::"dba") && context.approval.people >= 2 && context.approval.reason };
    "#;
    let set = set(text);
    assert!(set.judge(&sql("delete", &["write", "destructive"], true)).allows());
    let risky = sql("delete", &["write", "destructive"], false);
    let held = set.judge(&risky);
    assert_eq!(needs(&held), "2 people of dba, with a reason");
    assert_eq!(held.policies, ["two-eyes".into()]);
    assert!(
        held.client_text()
            .starts_with("deletes without a condition need two people; this needs the approval of 2 people")
    );
    let Outcome::Hold(needed) = &held.outcome else { panic!() };
    assert!(set.judge(&with(&risky, |given| given.approval = Some(Arc::clone(needed)))).allows());
    for less in [
        Approval { people: 1, ..Approval::clone(needed) },
        Approval { reason: false, ..Approval::clone(needed) },
        Approval { groups: ["security".to_owned()].into(), ..Approval::clone(needed) },
    ] {
        let verdict = set.judge(&with(&risky, |given| given.approval = Some(Arc::new(less))));
        assert_eq!(
            verdict.outcome,
            Outcome::Deny,
            "what was approved is not what is needed, and is not asked for again"
        );
    }
}

#[test]
fn what_no_approval_helps_is_denied_and_not_held() {
    let text = r#"
        permit(principal, action == Action::"connect", resource) when { context has approval && context.approval.people > 1 };
        forbid(principal in Group::"guests", action, resource);
    "#;
    let set = set(text);
    assert_eq!(needs(&set.judge(&connect("x", &["staff"]))), "2 people");
    assert_eq!(set.judge(&connect("x", &["guests"])).outcome, Outcome::Deny);
}

#[test]
fn approvals_that_could_harm_or_cannot_be_found_are_refused() {
    let policy = |effect: &str, condition: &str| {
        format!("{effect}(principal, action == Action::\"connect\", resource) {condition};")
    };
    for (effect, condition) in [
        ("forbid", "when { context has approval }"),
        ("permit", "unless { context has approval }"),
        ("permit", "when { context has approval && context.approval.people < 3 }"),
        ("permit", "when { context has approval && context.approval.people == 3 }"),
        ("permit", "when { context has approval && context.approval.people + 1 > 3 }"),
        ("permit", "when { context has approval && !context.approval.reason }"),
        ("permit", "when { context has approval && context.approval.reason == true }"),
        ("permit", "when { context has approval && context.approval.groups == [Group::\"a\"] }"),
        ("permit", "when { if context has approval then context.time.hour > 3 else context.time.hour < 3 }"),
    ] {
        let found = wrong(&policy(effect, condition));
        assert!(found.iter().any(|one| one.contains("approval")), "{condition}: {found:?}");
    }
    for (effect, condition) in [
        ("permit", "when { context has approval && 2 <= context.approval.people }"),
        ("permit", "when { context has approval && !(context.approval.people < 2) }"),
        (
            "forbid",
            "unless { context has approval && context.approval.groups.containsAny([Group::\"a\", Group::\"b\"]) }",
        ),
        ("forbid", "when { !(context has approval && context.approval.reason) }"),
    ] {
        set(&policy(effect, condition));
    }
}

#[test]
fn mistakes_have_places_and_suggestions() {
    let cases = [
        ("permit(principal, action == Action::\"conect\", resource);", "1:29", "connect"),
        ("permit(principal, action, resource)\n  when { context.protokol == \"x\" };", "2:10", "protocol"),
        ("permit(principal is Workloads, action, resource);", "1:21", "Workload"),
        ("permit(principal, action, resource) whem { true };", "1:", ""),
        ("permit(principal, action, resource", "1:", ""),
        (
            "@id(\"a\") permit(principal, action, resource);\n@id(\"a\") permit(principal, action, resource);",
            "2:1",
            "taken in a.cedar, line 1",
        ),
        ("@approval(\"dba\") permit(principal, action, resource);", "1:2", "conditions"),
        ("@mesage(\"x\") permit(principal, action, resource);", "1:2", "@message"),
        ("permit(principal == ?principal, action, resource);", "1:1", "name the principal"),
        ("permit(principal, action, resource) when { context.time.hour > \"x\" };", "1:64", ""),
        (
            "permit(principal, action == Action::\"execute\", resource) when { context.verb == \"x\" };",
            "1:65",
            "has verb",
        ),
    ];
    for (text, place, help) in cases {
        let found = wrong(text);
        assert!(found[0].starts_with(place), "{text}: {found:?}");
        assert!(found.iter().any(|one| one.contains(help)), "{text}: {found:?}");
    }
}

#[test]
fn every_mistake_is_reported_at_once() {
    let found = wrong(
        "permit(principal, action, resource) when { context.a };\npermit(principal, action, resource) when { context.b };",
    );
    let lines = |line: &str| found.iter().any(|one| one.starts_with(line));
    assert!(lines("1:") && lines("2:"), "{found:?}");
}

#[test]
fn a_policy_may_only_need_what_its_protocol_supplies() {
    let policy = |resource: &str, condition: &str| {
        format!("permit(principal, action == Action::\"execute\", resource{resource}) when {{ {condition} }};")
    };
    // Always there for one protocol, and for every protocol of a kind.
    set(&policy("", "context.protocol == \"postgres\" && context.has_predicate"));
    set(&policy(" is Database", "context.verb == \"select\""));
    set(&policy(" is HttpRoute", "resource.method == \"GET\" && context.verb == \"get\""));
    // Columns are known only where the catalogue is.
    let found = wrong(&policy(" is Database", "context.classes_read.contains(\"pan\")"));
    assert!(found[0].contains("has classes_read"), "{found:?}");
    set(&policy(" is Database", "context has classes_read && context.classes_read.contains(\"pan\")"));
    // Redis has verbs and no predicates.
    set(&policy("", "context.protocol == \"redis\" && context.verb == \"get\""));
    let found = wrong(&policy("", "context.protocol == \"redis\" && context.has_predicate"));
    assert!(found[0].contains("where redis is spoken") && found[0].contains("guard it"), "{found:?}");
    let found = wrong(&policy(" is SshCommand", "context.statements == 1"));
    assert!(found[0].contains("where ssh is spoken"), "{found:?}");
    let found = wrong(&policy(" is HttpRoute", "context.protocol == \"redis\""));
    assert!(found.iter().any(|one| one.contains("no protocol")) || found[0].contains("protocol"), "{found:?}");
}

#[test]
fn suspicious_policies_are_pointed_out() {
    let warnings = |text: &str| set(text).warnings().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(warnings("permit(principal, action, resource) when { false };").contains("a.cedar#1"));
    assert!(warnings("permit(principal, action == Action::\"connect\", resource is Table);").contains("a.cedar#1"));
    let void = "permit(principal, action == Action::\"connect\", resource);\nforbid(principal, action, resource);";
    assert!(warnings(void).contains("`a.cedar#1` can permit nothing: `a.cedar#2` forbids all of it"));
    let guarded =
        "permit(principal, action == Action::\"execute\", resource is SshCommand) when { context has has_predicate };";
    assert!(warnings(guarded).contains("where ssh is spoken"), "{}", warnings(guarded));
    assert_eq!(
        warnings("permit(principal, action, resource);\nforbid(principal, action == Action::\"connect\", resource);"),
        ""
    );
}

#[test]
fn a_forbid_that_cannot_be_evaluated_holds() {
    let text = "permit(principal, action, resource);\n@id(\"over\") forbid(principal, action == Action::\"connect\", resource) \
                when { resource.port * 9223372036854775807 > 1 };";
    let verdict = set(text).judge(&connect("x", &[]));
    assert_eq!((verdict.outcome.clone(), verdict.cause), (Outcome::Deny, Cause::Unevaluated));
    assert_eq!(verdict.policies, ["over".into()]);
    assert!(verdict.errors[0].contains("over"), "{:?}", verdict.errors);
}

#[test]
fn facts_that_do_not_fit_the_protocol_are_no_question() {
    let set = set("permit(principal, action, resource);");
    let complete = sql("select", &["read"], true);
    assert!(set.judge(&complete).allows());
    let Asked::Execute(execute) = &complete.asked else { panic!() };
    let lacking = Execute { verb: None, ..Execute::clone(execute) };
    let lacking = Question { asked: Asked::Execute(Arc::new(lacking)), ..complete.clone() };
    let verdict = set.judge(&lacking);
    assert_eq!((verdict.outcome.clone(), verdict.cause), (Outcome::Deny, Cause::Unanswerable));
    assert_eq!(verdict.errors, ["`postgres` must supply `verb`"]);
    let elsewhere = Question { target: target(Protocol::Ssh), ..complete };
    assert_eq!(set.judge(&elsewhere).cause, Cause::Unanswerable);
}

#[test]
fn what_no_policy_reads_makes_no_other_question() {
    let at = |seconds| {
        with(&connect("x", &[]), |given| {
            given.moment = Moment::at(seconds, &Zone::default());
            given.age = seconds.unsigned_abs();
        })
    };
    let indifferent = set("permit(principal, action, resource);");
    assert_eq!(indifferent.essence(&at(0)), indifferent.essence(&at(86_399)));
    let by_day = set("permit(principal, action, resource) when { context.time.weekday != \"sunday\" };");
    assert_eq!(by_day.essence(&at(0)), by_day.essence(&at(3600)));
    assert_ne!(by_day.essence(&at(0)), by_day.essence(&at(86_400)));
    let by_age = set("permit(principal, action, resource) when { context.identity.age < 10 };");
    assert_ne!(by_age.essence(&at(0)), by_age.essence(&at(1)));
    let whole = set("permit(principal, action, resource) when { context.identity == context.identity };");
    assert_ne!(whole.essence(&at(0)), whole.essence(&at(1)));
}

#[test]
fn the_version_is_that_of_the_files() {
    let source = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
    let policy = "permit(principal, action, resource);";
    let version = |sources: &[Source]| check(sources).unwrap_or_else(|_| panic!()).version();
    let (a, b) = (source("a.cedar", policy), source("b.cedar", policy));
    assert_eq!(version(&[a.clone(), b.clone()]), version(&[b.clone(), a.clone()]));
    let longer = source("a.cedar", &format!("{policy} "));
    let [first, second, third] = [a, b, longer].map(|one| version(&[one]));
    assert!(first != second && second != third && first != third);
}
