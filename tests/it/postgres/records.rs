//! What is on the record of a session: every statement, in order, with what came of it.

use super::{World, kept, script};
use sallyport_tests::{Client, Record, Role, Site, client::LONG};

/// Decision, rows, status and whether there was an error, of each statement in order.
fn told(statements: &[Record]) -> Vec<(String, i64, String, bool)> {
    for (at, one) in statements.iter().enumerate() {
        // The first is that the session began.
        assert_eq!(one["sequence"], at + 2, "{one:#}");
        assert!(one["duration_ns"].as_u64().is_some_and(|time| time > 0), "{one:#}");
    }
    let text = |one: &Record, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let each = |one: &Record| {
        let rows = one["rows"].as_i64().unwrap_or(-1);
        (text(one, "decision"), rows, text(one, "status"), !one["error"].is_null())
    };
    statements.iter().map(each).collect()
}

fn fine(rows: i64) -> (String, i64, String, bool) {
    ("allow".into(), rows, "done".into(), false)
}

#[test]
fn records_every_statement_of_psql_in_order() {
    let world = World::new();
    let said = world.psql(
        Role::Scram,
        "SELECT 1;\nCREATE TABLE t (n int);\nINSERT INTO t SELECT generate_series(1, 7);\nUPDATE t SET n = 0 WHERE n < 3;\n\
         SELECT 1/0;\nCOPY t TO STDOUT;\nSELECT 1\\; SELECT n FROM t\\; SELECT 2;\nDELETE FROM t;\n",
    );
    assert!(said.err.contains("division by zero"), "{said:?}");
    let session = world.ended();
    assert_eq!((&session["outcome"], &session["protocol"]), (&"completed".into(), &"postgres".into()), "{session:#}");
    let statements = world.statements(&session);
    let mut expected = [1, 0, 7, 2, 0, 7, 9, 7].map(fine);
    expected[4].2 = "error".into();
    expected[4].3 = true;
    assert_eq!(told(&statements), expected, "{statements:#?}");
    assert!(statements[4]["error"].as_str().is_some_and(|error| error.starts_with("22012")), "{:#}", statements[4]);
}

#[test]
fn records_what_is_run_however_it_was_prepared() {
    let world = World::new();
    let mut command = world.managed(kept("python/bin/python"), Role::Scram);
    Client::start(command.arg(script("recorded.py"))).end_within(LONG).good();
    let session = world.ended();
    let statements = world.statements(&session);
    // BEGIN; three executions of one prepared statement; twenty of a pipeline; a cursor's parts; COPY in; COMMIT.
    let mut expected = vec![fine(0), fine(0)];
    expected.extend([fine(1), fine(1), fine(1)]);
    expected.extend((0..20).map(|_| fine(1)));
    expected.extend([fine(0), fine(4), fine(4), fine(2), fine(0)]);
    expected.push(fine(50));
    expected.push(fine(0));
    assert_eq!(told(&statements), expected, "{statements:#?}");
}

#[test]
fn records_where_nobody_said_what_is_spoken() {
    let world = World::made(Site::new(""), |site| site.bed.config(&site.bed.scope(""), "", ""));
    let said = world.psql(Role::Scram, "SELECT 1;\nSELECT 2;\n");
    assert_eq!(said.good().out, "1\n2\n");
    let session = world.ended();
    // The row was written before a byte came; what was spoken is told by what it was asked.
    assert_eq!((&session["protocol"], &session["target"]), (&"tcp".into(), &serde_json::Value::Null));
    assert_eq!(told(&world.statements(&session)), [fine(1), fine(1)]);
    let begun = &world.daemon.store().show(&session)["statements"][0];
    assert_eq!((&begun["kind"], &begun["statement"]), (&"startup".into(), &"database orders as by_scram".into()));
}
