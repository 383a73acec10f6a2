//! Unchanged clients: what they do and print is the same, byte for byte, whether they are intercepted or not.

use super::{World, kept, script};
use sallyport_tests::{Client, Role, Said, client::LONG, daemon::built, postgres::program};
use std::path::{Path, PathBuf};

/// The unit that no scope selects, and the one that a scope does.
const UNITS: [&str; 2] = ["bystander", "job"];

/// Runs the same directly and intercepted, each on an empty database, and compares.
pub(super) fn same(world: &World, run: impl Fn(&str) -> Said) -> Said {
    let [direct, intercepted] = UNITS.map(|unit| {
        world.server.empty();
        let said = run(unit);
        said.good();
        assert_eq!(world.sessions().is_empty(), unit == "bystander", "who was intercepted, and who not");
        said
    });
    alike(&direct.out, &intercepted.out);
    alike(&direct.err, &intercepted.err);
    for session in world.sessions() {
        assert_eq!((&session["target"], &session["decision"]), (&"orders".into(), &"allow".into()), "{session:#}");
    }
    intercepted
}

/// Compares what does not depend on the server's process numbers.
pub(super) fn alike(direct: &str, intercepted: &str) {
    let known = |line: &str| match line.split_once(" process with PID ") {
        Some((before, _)) => before.to_owned(),
        None => line.to_owned(),
    };
    let (direct, intercepted): (Vec<_>, Vec<_>) = (direct.lines().collect(), intercepted.lines().collect());
    for (direct, intercepted) in direct.iter().zip(&intercepted) {
        assert_eq!(known(direct), known(intercepted));
    }
    assert_eq!(direct.len(), intercepted.len(), "{direct:#?}\n{intercepted:#?}");
}

/// A program with a script of ours, which ends by saying so.
fn scripted(world: &World, program: impl AsRef<Path>, arguments: &[PathBuf]) {
    let said = same(world, |unit| {
        let mut command = world.command(unit, program.as_ref(), Role::Scram);
        command.env("PGOPTIONS", "").args(arguments);
        Client::start(&mut command).end_within(LONG)
    });
    assert!(said.out.contains("the last line"), "{said:?}");
}

pub(super) fn psql(world: &World) {
    scripted(world, program("psql"), &["-X".into(), "-f".into(), script("session.sql")]);
}

#[test]
fn clients_psql() {
    psql(&World::new());
}

pub(super) fn psycopg(world: &World) {
    scripted(world, kept("python/bin/python"), &[script("psycopg3.py")]);
}

#[test]
fn clients_psycopg() {
    psycopg(&World::new());
}

pub(super) fn asyncpg(world: &World) {
    scripted(world, kept("python/bin/python"), &[script("asyncpg_client.py")]);
}

#[test]
fn clients_asyncpg() {
    asyncpg(&World::new());
}

pub(super) fn node_postgres(world: &World) {
    let run = format!("NODE_PATH={} exec node --no-deprecation \"$0\"", kept("node/node_modules").display());
    scripted(world, "sh", &["-c".into(), run.into(), script("node_postgres.js")]);
}

#[test]
fn clients_node_postgres() {
    node_postgres(&World::new());
}

pub(super) fn tokio_postgres(world: &World) {
    scripted(world, built("sallyport-tokio-postgres"), &[]);
}

#[test]
fn clients_tokio_postgres() {
    tokio_postgres(&World::new());
}

pub(super) fn jdbc(world: &World) {
    let arguments = ["-cp".into(), "/usr/share/java/postgresql.jar".into(), script("Jdbc.java")];
    scripted(world, "java", &arguments);
}

#[test]
fn clients_jdbc() {
    jdbc(&World::new());
}

pub(super) fn pgbench(world: &World) {
    let run = |unit: &str, words: &[&str]| {
        let mut command = world.command(unit, program("pgbench"), Role::Trust);
        let said = Client::start(command.args(words)).end_within(LONG);
        said.good();
        said
    };
    let said = same(world, |unit| {
        run(unit, &["-i", "-q", "-s", "2"]);
        let mut all = String::new();
        for mode in ["simple", "extended", "prepared"] {
            let seed = ["--random-seed", "7", "-M", mode];
            all += &run(unit, &[&seed[..], &["-t", "50", "-c", "1"]].concat()).out;
            all += &run(unit, &[&seed[..], &["-t", "20", "-c", "8", "-j", "2", "-N"]].concat()).out;
            all += &run(unit, &[&seed[..], &["-t", "20", "-c", "8", "-C", "-S"]].concat()).out;
        }
        let kept =
            |line: &&str| !line.contains("latency") && !line.contains("tps") && !line.contains("connection time");
        let out = all.lines().filter(kept).collect::<Vec<_>>().join("\n");
        let state = world.server.sql(
            "orders",
            "SELECT sum(abalance) FROM pgbench_accounts; SELECT sum(bbalance) FROM pgbench_branches;
             SELECT count(*), sum(delta) FROM pgbench_history",
        );
        Said { code: Some(0), out: format!("{out}\n{state}"), err: String::new() }
    });
    assert_eq!(said.out.matches("number of failed transactions: 0").count(), 9, "{said:?}");
}

#[test]
fn clients_pgbench() {
    pgbench(&World::new());
}

pub(super) fn dumps(world: &World) {
    let fill = std::fs::read_to_string(script("schema.sql")).expect("a file");
    let run = |unit: &str, name: &str, words: &[&str]| {
        let said = Client::start(world.command(unit, program(name), Role::Trust).args(words)).end_within(LONG);
        said.good();
        said
    };
    same(world, |unit| {
        world.server.sql("orders", &fill);
        let plain = ["--restrict-key=none", "--serializable-deferrable"];
        let before = run(unit, "pg_dump", &plain);
        run(unit, "pg_dump", &["-Fd", "-j", "2", "-f", unit]);
        world.server.empty();
        run(unit, "pg_restore", &["-j", "2", "-d", "orders", unit]);
        let after = run(unit, "pg_dump", &plain);
        assert!(before.out.contains("CREATE TABLE shop.orders"), "{before:?}");
        alike(&before.out, &after.out);
        let inserts = run(unit, "pg_dump", &["--restrict-key=none", "--inserts", "--no-owner"]);
        world.server.empty();
        let mut psql = world.command(unit, program("psql"), Role::Trust);
        Client::start_with(psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-f", "-"]), &inserts.out).end().good();
        let again = run(unit, "pg_dump", &plain);
        alike(&before.out, &again.out);
        again
    });
}

#[test]
fn clients_pg_dump_and_pg_restore() {
    dumps(&World::new());
}

#[test]
fn clients_log_in_as_they_always_did() {
    let world = World::new();
    let said = same(&world, |unit| {
        let ask = |role: Role, password: String| {
            let mut command = world.command(unit, program("psql"), role);
            command.env("PGPASSWORD", password).args(["-XAt", "-c", "SELECT current_user"]);
            let said = Client::start(&mut command).end();
            format!("{:?} {}{}", said.code, said.out, said.err)
        };
        let mut out = String::new();
        for role in [Role::Trust, Role::Scram, Role::Md5, Role::Clear] {
            out += &ask(role, role.password());
            if role != Role::Trust {
                out += &ask(role, "another".to_owned());
            }
        }
        Said { code: Some(0), out, err: String::new() }
    });
    assert_eq!(said.out.matches("Some(0) by_").count(), 4, "{said:?}");
    assert_eq!(said.out.matches("password authentication failed for user").count(), 3, "{said:?}");
    // What was tried as a password is in no record.
    let shown: String = world.sessions().iter().map(|one| world.daemon.store().show(one).to_string()).collect();
    assert!(!shown.contains("another") && !shown.contains("hunter2") && !world.daemon.log().contains("hunter2"));
}
