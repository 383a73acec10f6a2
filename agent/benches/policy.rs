//! What decisions cost: `cargo xtask bench policy`. Prints `NAME VALUE`, a number a line.
#![expect(clippy::expect_used, reason = "a measurement whose ground gives way is none")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sallyport::policy::{
    Holder, PolicySet, Protocol, Question, Source, check,
    load::load,
    question::{Asked, Circumstances, Execute, Person, Resource, Subject, TableName, Target, Workload},
};

/// Policies that apply to everybody everywhere, as a baseline's do; the rest name a target, a workload or a group.
const GENERAL: usize = 20;

fn main() {
    for (name, policies) in [("", 100), ("_10000", 10_000)] {
        let set = check(&[Source { name: "a.cedar".to_owned(), text: text(policies) }]);
        let set = set.unwrap_or_else(|found| panic!("{}", found.first().expect("a finding")));
        decide(name, set);
    }
    reload();
}

/// So many policies of the kinds a host with many services has.
fn text(policies: usize) -> String {
    let mut text = String::new();
    for n in 0..GENERAL {
        let kind = ["ddl", "dcl", "file", "program", "destructive"].get(n % 5).expect("five");
        let _ = writeln!(
            text,
            "@id(\"general-{n}\") @message(\"not here\")\nforbid(principal, action == Action::\"execute\", resource is Database) \
             when {{ context.kinds.contains(\"{kind}\") && context.statements > {n} }} \
             unless {{ context has approval && context.approval.people >= 2 }};"
        );
    }
    for n in GENERAL..policies {
        let _ = match n % 4 {
            0 => writeln!(
                text,
                "@id(\"p{n}\") permit(principal, action == Action::\"execute\", resource in Target::\"db-{n}\") \
                 when {{ principal has unit && principal.unit == \"job-{n}.service\" }};"
            ),
            1 => writeln!(
                text,
                "@id(\"p{n}\") permit(principal in Group::\"team-{n}\", action == Action::\"execute\", resource is Database) \
                 when {{ context.kinds.contains(\"read\") && context.has_predicate }};"
            ),
            2 => writeln!(
                text,
                "@id(\"p{n}\") permit(principal, action, resource) when {{ principal has unit && \
                 principal.unit == \"job-{n}.service\" && context.protocol == \"postgres\" }};"
            ),
            _ => writeln!(
                text,
                "@id(\"p{n}\") forbid(principal, action == Action::\"execute\", resource in Target::\"db-{n}\") \
                 when {{ context.time.hour < 6 }} unless {{ principal in Group::\"on-call\" }};"
            ),
        };
    }
    text
}

fn question(statement: u64) -> Question {
    let texts = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<BTreeSet<_>>();
    let table = |name: &str| TableName { database: "ledger".into(), schema: "public".into(), table: name.to_owned() };
    let execute = Execute {
        resource: Resource::Database { name: "ledger".to_owned() },
        bytes: statement,
        verb: Some("select".to_owned()),
        kinds: Some(texts(&["read"])),
        statements: Some(1),
        reads: Some([table("account"), table("booking"), table("customer")].into()),
        writes: Some(BTreeSet::new()),
        functions: Some(texts(&["sum", "now"])),
        has_predicate: Some(true),
        unknown_parts: Some(BTreeSet::new()),
        ..Execute::default()
    };
    let opaque = Target::opaque([10, 0, 0, 5].into(), 5432);
    Question {
        subject: Arc::new(subject()),
        target: Arc::new(Target { protocol: Protocol::Postgres, name: Some("db-40".to_owned()), ..opaque }),
        asked: Asked::Execute(Arc::new(execute)),
        circumstances: Circumstances::default(),
    }
}

fn subject() -> Subject {
    let groups = (0..8).map(|n| format!("team-{}", 21 + 4 * n)).collect();
    let person = Person { subject: "ada".to_owned(), groups, ..Person::default() };
    Subject::new(Workload {
        spiffe: "spiffe://example.org/host/h1/unit/job-40.service".to_owned(),
        unit: Some("job-40.service".to_owned()),
        executable: Some("/usr/bin/job".to_owned()),
        attestation: "live".to_owned(),
        person: Some(person),
        ..Workload::default()
    })
}

fn clock() -> Duration {
    thread_local!(static START: Instant = Instant::now());
    START.with(Instant::elapsed)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).expect("a time").as_secs_f64() * 1e6
}

fn decide(name: &str, set: PolicySet) {
    let holder = Holder::new(set, clock);
    let questions: Vec<Question> = (0..2000).map(question).collect();
    let timed = |question: &Question| {
        let start = Instant::now();
        let decision = holder.decide(question);
        let took = start.elapsed();
        assert!(decision.verdict.allows(), "{:?}", decision.verdict);
        (took, decision.remembered)
    };
    let cold: Vec<_> = questions.iter().map(timed).collect();
    assert!(cold.iter().all(|(_, remembered)| !remembered), "an answer was remembered that nobody gave");
    println!("policy.decide_cold{name}_us {}", median(cold.into_iter().map(|(took, _)| took).collect()));
    let last = questions.last().expect("a question");
    let warm: Vec<_> = (0..20_000).map(|_| timed(last)).collect();
    assert!(warm.iter().all(|(_, remembered)| *remembered), "an answer was forgotten");
    if name.is_empty() {
        println!("policy.decide_warm_us {}", median(warm.into_iter().map(|(took, _)| took).collect()));
    }
}

/// A thousand policies in twenty files, read and put in place again and again while another thread asks.
fn reload() {
    let directory = std::env::temp_dir().join(format!("sallyport-bench-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    let policies = text(1000);
    let lines: Vec<&str> = policies.split_inclusive(";\n").collect();
    for (n, chunk) in lines.chunks(50).enumerate() {
        fs::write(directory.join(format!("{n:02}.cedar")), chunk.concat()).expect("a file");
    }
    let loaded = || load(&directory).unwrap_or_else(|rejected| panic!("{rejected}"));
    let holder = Holder::new(loaded(), clock);
    let stop = AtomicBool::new(false);
    let (times, mut waits) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let questions: Vec<Question> = (0..64).map(question).collect();
            let mut waits = Vec::new();
            for question in questions.iter().cycle() {
                let decision = holder.decide(question);
                waits.push(decision.took);
                std::thread::sleep(Duration::from_micros(50));
                if stop.load(Relaxed) {
                    break;
                }
            }
            waits
        });
        let mut times = Vec::new();
        for _ in 0..15 {
            let start = Instant::now();
            holder.replace(loaded());
            times.push(start.elapsed());
        }
        stop.store(true, Relaxed);
        (times, asking.join().expect("the asking thread"))
    });
    waits.sort_unstable();
    let wait = |per_mille: usize| waits.get((waits.len() - 1) * per_mille / 1000).expect("a wait").as_secs_f64() * 1e3;
    println!("policy.reload_ms {}", median(times) / 1e3);
    println!("policy.reload_wait_p999_ms {}", wait(999));
    println!("policy.reload_wait_max_ms {}", wait(1000));
    // Left-overs in a temporary directory are no measurement's business.
    let _ = fs::remove_dir_all(&directory);
}
