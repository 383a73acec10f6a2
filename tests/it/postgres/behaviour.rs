//! What clients rely on besides answers: cancellation, endings, replication, and results larger than memory.

use super::{PORT, World, kept, script};
use rustix::process::Signal;
use sallyport_tests::{Client, Record, Role, client::LONG, postgres::program, until};
use std::{fs, process::Stdio};

/// A client that reads statements from its input.
fn psql(world: &World, role: Role) -> Client {
    let mut command = world.managed(program("psql"), role);
    Client::start(command.args(["-XqAt", "-f", "-"]).stdin(Stdio::piped()))
}

/// Waits until the server runs something like this for a client.
fn running(world: &World, statement: &str) {
    let count = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '{statement}'"
    );
    until("the server is at it", || (world.server.sql("postgres", &count) != "0").then_some(()));
}

/// The newest session, once it has ended.
fn last(world: &World) -> Record {
    until("the session has ended", || world.sessions().pop().filter(|session| session["outcome"] != "open"))
}

pub(super) fn cancellation(world: &World) {
    let mut client = psql(world, Role::Scram);
    client.say("SELECT pg_sleep(600);\n");
    running(world, "%pg_sleep%");
    client.signal(Signal::INT);
    client.until_said("ERROR:  canceling statement due to user request");
    drop(client);
    // The request to cancel is a session of its own, and on the record.
    let kinds = until("both are recorded", || {
        let sessions = world.sessions();
        let kinds: Vec<_> =
            sessions.iter().flat_map(|one| world.statements(one)).map(|one| one["kind"].clone()).collect();
        (sessions.len() == 2 && kinds.len() == 2).then_some(kinds)
    });
    assert!(kinds.contains(&"cancel".into()), "{kinds:?}");
}

#[test]
fn behaviour_cancellation_reaches_the_server() {
    cancellation(&World::new());
}

#[test]
fn behaviour_of_cancellation_by_another_workload() {
    let world = World::new();
    let mut client = psql(&world, Role::Scram);
    client.say("SELECT pg_backend_pid();\nSELECT pg_sleep(600);\n");
    running(&world, "%pg_sleep%");
    // A key that is nobody's: guessing is not for managed processes.
    let pid: u32 = client.out().trim().parse().expect("a number");
    let mut job = world.site.bed.managed();
    job.must("socket s tcp4");
    job.must(&format!("connect s {}", world.server.addr()));
    let packet = [16_u32, 80_877_102, pid, 7].iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let hex: String = packet.iter().map(|byte| format!("{byte:02x}")).collect();
    job.must(&format!("sendhex s {} {hex}", world.server.addr()));
    assert!(job.ask("read s 1").is_err());
    let refused = world.daemon.store().session("refused", |session| session["outcome"] == "refused");
    assert!(refused["detail"].as_str().is_some_and(|text| text.contains("no session of this workload")), "{refused}");
    assert!(client.runs());
    world.server.sql("postgres", &format!("SELECT pg_cancel_backend({pid})"));
    client.until_said("canceling statement");
}

#[test]
fn behaviour_when_the_server_goes_in_the_middle() {
    let mut world = World::new();
    let mut client = psql(&world, Role::Scram);
    client.say("SELECT pg_sleep(600);\n");
    running(&world, "%pg_sleep%");
    world.server.crash();
    let said = client.end();
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(
        said.err.contains("terminating connection") || said.err.contains("connection to the server was lost"),
        "{said:?}"
    );
    let session = last(&world);
    let statements = world.statements(&session);
    assert_eq!(statements.len(), 1, "{statements:#?}");
    assert_ne!(statements[0]["status"], "done", "{statements:#?}");
}

pub(super) fn termination(world: &World) {
    let mut client = psql(world, Role::Scram);
    client.say("SELECT pg_sleep(600);\n");
    running(world, "%pg_sleep%");
    world.server.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'by_scram'");
    let said = client.end();
    assert!(said.err.contains("FATAL:  terminating connection due to administrator command"), "{said:?}");
    let error = world.statements(&last(world))[0]["error"].clone();
    assert!(error.as_str().is_some_and(|error| error.starts_with("57P01")), "{error}");
}

#[test]
fn behaviour_when_a_backend_is_terminated() {
    termination(&World::new());
}

pub(super) fn departure(world: &World) {
    world.server.sql("postgres", "ALTER SYSTEM SET client_connection_check_interval = '100ms'");
    world.server.sql("postgres", "SELECT pg_reload_conf()");
    let mut client = psql(world, Role::Scram);
    client.say("SELECT pg_sleep(600);\n");
    running(world, "%pg_sleep%");
    client.signal(Signal::KILL);
    let session = last(world);
    assert_ne!(session["outcome"], "open");
    // The server is not left with the work.
    until("the server gives up", || {
        let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'by_scram'";
        (world.server.sql("postgres", left) == "0").then_some(())
    });
    // Whoever leaves in the middle of a result leaves nothing behind either.
    let mut client = psql(world, Role::Scram);
    client.say("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000000)) TO STDOUT;\n");
    running(world, "COPY%");
    client.signal(Signal::KILL);
    until("the server gives up", || {
        let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'by_scram'";
        (world.server.sql("postgres", left) == "0").then_some(())
    });
}

#[test]
fn behaviour_when_the_client_goes_in_the_middle() {
    departure(&World::new());
}

/// Peak of the daemon's memory, KiB.
fn peak(world: &World) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", world.daemon.pid().as_raw_nonzero())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("its peak");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn behaviour_of_results_larger_than_memory() {
    let world = World::new();
    let run = |script: &str, bytes: u64| {
        let mut command = world.managed("sh", Role::Scram);
        let psql = program("psql");
        command.args(["-c", "\"$0\" -XqAt -v ON_ERROR_STOP=1 -c \"$1\" | wc -c"]).arg(psql).arg(script);
        let said = Client::start(&mut command).end_within(LONG);
        assert_eq!(said.good().out.trim().parse(), Ok(bytes), "{said:?}");
    };
    run("SELECT 1", 2);
    let before = peak(&world);
    // Sixteen times less than what passes through.
    run("COPY (SELECT repeat('x', 999) FROM generate_series(1, 1000000)) TO STDOUT", 1_000_000_000);
    let after = peak(&world);
    assert!(after < before + 64 * 1024, "the daemon grew from {before} KiB to {after} KiB");
    // One row is gathered, up to a limit.
    run("SELECT repeat('x', 60000000)", 60_000_001);
    let session = last(&world);
    let statement = &world.statements(&session)[0];
    assert_eq!(statement["rows"], 1, "{statement:#}");
    assert!(statement["bytes_in"].as_u64().is_some_and(|bytes| bytes > 60_000_000), "{statement:#}");
}

#[test]
fn behaviour_of_large_values_both_ways() {
    let world = World::new();
    let mut command = world.managed(kept("python/bin/python"), Role::Scram);
    let said = Client::start(command.arg(script("large.py"))).end_within(LONG);
    assert_eq!(
        said.good().out,
        "bound 30000000
read back True
binary True
copied 60000000
"
    );
}

#[test]
fn behaviour_of_replication() {
    let world = World::new();
    let run = |program_name: &str, words: &[&str]| {
        let mut command = world.managed(program(program_name), Role::Trust);
        Client::start(command.args(words)).end_within(LONG)
    };
    let said = run("psql", &["-XAt", "replication=database dbname=orders", "-c", "IDENTIFY_SYSTEM"]);
    assert!(said.good().out.trim_end().ends_with("|orders"), "{said:?}");
    run("pg_receivewal", &["--slot=taken", "--create-slot"]).good();
    let end = world
        .server
        .sql("orders", "SET synchronous_commit = on; CREATE TABLE more AS SELECT generate_series(1, 100000) n; SELECT pg_current_wal_lsn(); CREATE TABLE rest AS SELECT 1");
    let said = run("pg_receivewal", &["-D", ".", "-v", "--slot=taken", "--no-sync", "--no-loop", "--endpos", &end]);
    let received = fs::read_dir(world.site.bed.dir()).expect("a directory").flatten();
    let received: Vec<_> = received.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    assert!(received.iter().any(|name| name.starts_with("0000000")), "{said:?} {received:?} to {end}");
    run("pg_basebackup", &["-D", "copy", "-X", "fetch", "--no-sync", "--checkpoint=fast"]).good();
    assert!(world.site.bed.dir().join("copy/PG_VERSION").exists());
    let sessions = world.sessions();
    let kinds: Vec<_> = sessions.iter().flat_map(|one| world.statements(one)).map(|one| one["kind"].clone()).collect();
    assert!(kinds.contains(&"replication".into()), "{kinds:?} at {PORT}");
}
