//! Statements that policies deny: what the client sees, that the server never does, and what goes on afterwards.

use super::{World, kept, script};
use sallyport_tests::{Client, Role, client::LONG, until};

/// Longer statements than 2000 bytes are denied. That is told by their length alone, whoever reads them and how well.
const SHORT_ONLY: &str = r#"
permit(principal, action in [Action::"connect", Action::"execute"], resource);
@id("short-only") @message("statements this long are not for here")
forbid(principal, action == Action::"execute", resource) when { context.bytes >= 2000 };
"#;

/// A statement of so many bytes at least.
fn long(bytes: usize) -> String {
    format!("SELECT length('forbidden{}');", "x".repeat(bytes))
}

/// A world in which the server logs all that it is asked.
fn world(policy: &str) -> World {
    let world = World::ruled(policy);
    world.server.sql("orders", "ALTER ROLE by_scram SET log_statement = 'all'");
    world
}

#[test]
fn denied_statements_are_errors_and_the_connection_goes_on() {
    let world = world(SHORT_ONLY);
    let said = world.psql(
        Role::Scram,
        &format!(
            "\\set VERBOSITY verbose\nSELECT 1;\n{0}\nSELECT 2;\nSELECT 3\\; {0}\nSELECT 4;\n{0}\n{0}\nSELECT 5;",
            long(2000)
        ),
    );
    // Two statements in one message are one request: none of them is run.
    assert_eq!(said.out, "1\n2\n4\n5\n", "{said:?}");
    let error = "ERROR:  42501: statements this long are not for here\nHINT:  Sallyport policy: short-only\n";
    assert_eq!(said.err.matches(&error[..error.len() - 1]).count(), 4, "{said:?}");
    let log = world.server.log();
    assert!(log.contains("SELECT 5") && !log.contains("forbidden"), "{log}");
}

#[test]
fn denied_statements_leave_the_transaction_as_the_server_has_it() {
    let world = world(SHORT_ONLY);
    let said = world.psql(
        Role::Scram,
        &format!(
            "CREATE TABLE kept (n int);\nBEGIN;\nINSERT INTO kept VALUES (1);\n{0}\n\\echo :ERROR\n\
             INSERT INTO kept VALUES (2);\nCOMMIT;\nSELECT * FROM kept;\n\
             BEGIN;\nSELECT 1/0;\n{0}\nSELECT 1;\nROLLBACK;\nSELECT count(*) FROM kept;",
            long(2000)
        ),
    );
    assert_eq!(said.out, "true\n1\n2\n2\n", "{said:?}");
    assert_eq!(said.err.matches("statements this long").count(), 2, "{said:?}");
    assert!(said.err.contains("current transaction is aborted"), "{said:?}");
}

#[test]
fn denied_statements_in_pipelines_and_by_their_parameters() {
    let world = world(SHORT_ONLY);
    let mut command = world.managed(kept("python/bin/python"), Role::Scram);
    let said = Client::start(command.arg(script("denied.py"))).end_within(LONG);
    said.good();
    assert_eq!(
        said.out,
        "in a pipeline: 42501 (1,)
afterwards: (None,)
by parameter: (10,) 42501 (20,)
prepared: (10,) 42501 (20,)
copied: 42501
committed: (1,)
in a transaction: INTRANS, then (3,)
asyncpg: 10 42501 20
asyncpg in a transaction: [1, 2]
"
    );
    let log = world.server.log();
    assert!(log.contains("SELECT length") && !log.contains("forbidden"), "{log}");
}

#[test]
fn denied_by_policies_that_changed_under_a_session() {
    let world = world(SHORT_ONLY);
    let mut command = world.managed(sallyport_tests::postgres::program("psql"), Role::Scram);
    let mut client = Client::start(command.args(["-XqAt", "-f", "-"]).stdin(std::process::Stdio::piped()));
    client.say("SELECT length(repeat('x', 10));\n");
    client.until_said("10");
    // Whoever is connected may stay, but say no more.
    world.site.write(
        r#"permit(principal, action == Action::"connect", resource);
           @message("closed for today") forbid(principal, action == Action::"execute", resource);"#,
    );
    until("the change is recorded", || {
        let events = world.daemon.store().events();
        events.iter().any(|event| event["kind"] == "policy-changed").then_some(())
    });
    client.say("SELECT 20;\n");
    client.until_said("closed for today");
    world.site.write(SHORT_ONLY);
    until("the other change is recorded", || {
        let events = world.daemon.store().events();
        (events.iter().filter(|event| event["kind"] == "policy-changed").count() == 2).then_some(())
    });
    client.say("SELECT 30;\n");
    let said = client.end();
    assert_eq!(said.out, "10\n30\n", "{said:?}");
}

#[test]
fn denied_connections_never_reach_the_server() {
    let world = world(
        r#"permit(principal, action, resource);
           @message("not to this one") forbid(principal, action == Action::"connect", resource == Target::"orders");"#,
    );
    let said = world.psql(Role::Scram, "SELECT 'forbidden';");
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
    let session = world.daemon.store().session("denied", |session| session["outcome"] == "denied");
    assert_eq!((&session["target"], &session["detail"]), (&"orders".into(), &"not to this one".into()));
    assert_eq!(session["protocol"], "postgres", "{session:#}");
    assert!(!world.server.log().contains("by_scram"), "{}", world.server.log());
}

#[test]
fn denied_only_on_the_record_where_a_scope_observes() {
    let world = World::made(sallyport_tests::Site::new(SHORT_ONLY), |site| {
        site.config("mode = \"observe\"", &super::target(""))
    });
    let said = world.psql(Role::Scram, &format!("SELECT 1;\n{}\nSELECT 2;", long(2000)));
    assert_eq!((said.out.as_str(), said.err.as_str()), ("1\n2009\n2\n", ""), "{said:?}");
    let session = world.ended();
    let decisions: Vec<_> = world.statements(&session).iter().map(|one| one["decision"].clone()).collect();
    assert_eq!(decisions, ["allow", "would-deny", "allow"]);
}

#[test]
fn a_classification_holds_once_an_operator_had_it_read() {
    let world = world(r#"permit(principal, action in [Action::"connect", Action::"execute"], resource);"#);
    let ask = || {
        world.psql(
            Role::Scram,
            "CREATE TABLE IF NOT EXISTS seen AS SELECT 'plain'::text AS word; SELECT word FROM seen;",
        )
    };
    assert_eq!(ask().out.lines().last(), Some("plain"));
    let reload = |classes: &str| {
        std::fs::write(world.site.policies.join("classes.toml"), classes).unwrap();
        world.site.bed.cli(&["policy", "reload"])
    };
    let said = reload("[class.word]\nmask = \"redact\"\n[[column]]\nclass = \"word\"\ncolumn = \"word\"\n");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_ne!(ask().out.lines().last(), Some("plain"));
    // What is wrong changes nothing, and is told.
    let said = reload("[class.word]\nmask = \"nonsense\"\n");
    assert!(said.code != Some(0) && said.err.contains("nonsense"), "{said:?}");
    assert_ne!(ask().out.lines().last(), Some("plain"));
}

#[test]
fn every_row_of_a_long_result_is_masked_and_counted() {
    let world = world(r#"permit(principal, action in [Action::"connect", Action::"execute"], resource);"#);
    let classes = "[class.word]\nmask = \"redact\"\n[[column]]\nclass = \"word\"\ncolumn = \"word\"\n";
    std::fs::write(world.site.policies.join("classes.toml"), classes).unwrap();
    world.site.bed.cli(&["policy", "reload"]).good();
    // Far more than is gathered, or waits, at a time; with rows in between in which nothing is to be masked.
    let script = "CREATE TABLE long AS
        SELECT n, CASE WHEN n % 3 > 0 THEN 'secret' || n END AS word, repeat('x', n % 500) AS rest
        FROM generate_series(1, 60000) n;
        SELECT * FROM long ORDER BY n;";
    let said = world.psql(Role::Scram, script);
    let expected = (1..=60_000_usize).map(|n| {
        let word = if n.is_multiple_of(3) { "" } else { "***" };
        format!("{n}|{word}|{}", "x".repeat(n % 500))
    });
    assert!(said.good().out.lines().eq(expected), "rows are missing, doubled or changed");
    let statements = world.statements(&world.ended());
    let read = statements.last().unwrap();
    assert_eq!((&read["rows"], &read["masked"]), (&60_000.into(), &40_000.into()), "{read:#}");
}
