//! Statements that wait for people: the client is told, and what is approved runs, once.

use super::{World, kept, script};
use rustix::process::Signal;
use sallyport_tests::{Client, Role, client::LONG, postgres::program, until};
use std::process::Stdio;

/// Longer statements than 1000 bytes need a person.
const ASK: &str = r#"
permit(principal, action in [Action::"connect", Action::"execute"], resource);
@id("ask") forbid(principal, action == Action::"execute", resource)
when { context.bytes >= 1000 } unless { context has approval && context.approval.people >= 1 };
"#;
const OPEN: &str = r#"permit(principal, action in [Action::"connect", Action::"execute"], resource);"#;

/// A statement that needs a person; no two of different numbers are the same.
fn held(number: usize) -> String {
    format!("SELECT 'ran {number}' WHERE 'asked' <> '{}';\n", "x".repeat(1000))
}

fn world() -> World {
    let world = World::ruled(ASK);
    world.server.sql("orders", "ALTER ROLE by_scram SET log_statement = 'all'");
    world
}

/// A client that reads statements from its input.
fn psql(world: &World) -> Client {
    let mut command = world.managed(program("psql"), Role::Scram);
    Client::start(command.args(["-XqAt", "-f", "-"]).stdin(Stdio::piped()))
}

#[test]
fn held_until_approved_and_then_once() {
    let world = world();
    let mut client = psql(&world);
    client.say("SELECT 'early';\n");
    client.say(&held(1));
    let id = world.daemon.waiting();
    client.until_said(&format!("NOTICE:  this waits for approval {id}: it needs one person"));
    client.until_said(&format!("HINT:  an approver runs: sallyport approvals approve {id}"));
    assert!(!client.out().contains("ran") && !world.server.log().contains("asked"), "{}", world.server.log());
    let shown = world.daemon.cli(&["approvals", "show", &id, "--json"]).json();
    assert_eq!(shown["about"]["target"], "orders", "{shown:#}");
    world.daemon.cli(&["approvals", "approve", &id, "--reason", "ticket 4711"]).good();
    client.until_said("ran 1");
    // Once is once.
    client.say(&held(1));
    let again = world.daemon.waiting();
    assert_ne!(id, again);
    world.daemon.cli(&["approvals", "deny", &again, "--reason", "enough"]).good();
    client.until_said("ERROR:  denied by root: enough");
    client.say("SELECT 'late';\n");
    let said = client.end();
    assert_eq!(said.out, "early\nran 1\nlate\n", "{said:?}");
    let session = world.ended();
    let statements = world.statements(&session);
    let decided: Vec<_> = statements.iter().map(|one| one["decision"].as_str().expect("a decision")).collect();
    assert_eq!(decided, ["allow", "allow", "deny", "allow"], "{statements:#?}");
    let approval = &world.daemon.store().show(&session)["approvals"][0];
    assert_eq!(statements[1]["approval_id"], approval["id"], "{approval:#}");
    assert_eq!((&approval["by"], &approval["reason"]), (&"root".into(), &"ticket 4711".into()));
}

#[test]
fn held_until_it_expires() {
    let world = World::made(sallyport_tests::Site::new(ASK), |site| {
        site.config("", &format!("[approve]\nexpiry = \"2s\"\n{}", super::target("")))
    });
    let said = world.psql(Role::Scram, &format!("{}SELECT 'late';", held(1)));
    assert_eq!(said.out, "late\n", "{said:?}");
    assert!(said.err.contains("ERROR:  nobody approved it in time"), "{said:?}");
}

#[test]
fn held_until_the_client_gives_up() {
    let world = world();
    // By Ctrl-C.
    let mut client = psql(&world);
    client.say(&held(1));
    world.daemon.waiting();
    client.signal(Signal::INT);
    client.until_said("ERROR:  canceling statement due to user request");
    until("nothing waits", || world.daemon.approvals().is_empty().then_some(()));
    drop(client);
    // By going away.
    let mut client = psql(&world);
    client.say(&held(2));
    world.daemon.waiting();
    client.signal(Signal::KILL);
    until("nothing waits", || world.daemon.approvals().is_empty().then_some(()));
    let outcome = until("its session has ended", || {
        world.sessions().last().map(|session| session["outcome"].clone()).filter(|outcome| outcome != "open")
    });
    assert!(outcome == "client-reset" || outcome == "completed", "{outcome}");
    assert!(!world.server.log().contains("asked"), "{}", world.server.log());
}

#[test]
fn held_until_policies_say_otherwise() {
    let world = world();
    let mut client = psql(&world);
    client.say(&held(1));
    world.daemon.waiting();
    world.site.write(OPEN);
    client.until_said("ran 1");
    assert!(world.daemon.approvals().is_empty());
    let said = client.end();
    assert_eq!(said.out, "ran 1\n");
}

#[test]
fn held_in_pipelines_and_by_parameters() {
    let world = world();
    let mut command = world.managed(kept("python/bin/python"), Role::Scram);
    let client = Client::start(command.arg(script("held.py")));
    for _ in 0..3 {
        let id = world.daemon.waiting();
        world.daemon.cli(&["approvals", "approve", &id]).good();
        until("it goes on", || (!world.daemon.approvals().iter().any(|one| one["id"] == id.as_str())).then_some(()));
    }
    client.until_said("cancel me");
    world.daemon.waiting();
    let said = client.end_within(LONG);
    said.good();
    assert_eq!(
        said.out,
        "in a pipeline: (1,) (1000,) (3,)
by parameter: (10,) (1200,) (20,)
committed: (1,)
cancel me
cancelled: 57014, then (4,)
"
    );
}

#[test]
fn held_requests_that_are_alike_wait_as_one() {
    let world = world();
    let mut clients = [psql(&world), psql(&world), psql(&world)];
    clients.iter_mut().for_each(|client| client.say(&held(1)));
    until("all of them wait", || (world.daemon.approvals().first()?["waiting"] == 3).then_some(()));
    let id = world.daemon.waiting();
    world.daemon.cli(&["approvals", "approve", &id, "--for", "1m"]).good();
    for client in &clients {
        client.until_said("ran 1");
    }
    // A grant is for what was shown, not for something else of the same length.
    clients[0].say(&held(1).replace("SELECT", "TABLE "));
    let other = world.daemon.waiting();
    assert_ne!(id, other);
}
