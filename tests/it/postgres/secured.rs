//! Unchanged clients inside TLS: what they verify is the host's own authority, and what they see is the same.

use super::{World, behaviour, clients, kept, script, secured};
use sallyport_tests::{Client, Record, Role, Said, Site, client::LONG, postgres::program, until};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

/// A file for the daemon alone, replaced as operators should.
fn keep(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("a file");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).expect("a mode");
    fs::rename(new, path).expect("a name");
}

/// A credential: Sallyport logs in as this role with its password.
fn held(site: &Site, role: Role) -> String {
    let path = site.bed.dir().join("password");
    keep(&path, &role.password());
    format!("[[target.orders.credential]]\nrole = \"{}\"\npassword_file = \"{}\"\n", role.name(), path.display())
}

fn world() -> World {
    World::secured(|site| held(site, Role::Scram))
}

/// What the record says of how each session began.
fn beginnings(world: &World) -> Vec<String> {
    let begins = |session: &Record| {
        let shown = world.daemon.store().show(session);
        let all = shown["statements"].as_array().expect("statements").clone();
        all.into_iter().find(|one| one["kind"] == "startup")
    };
    let sessions = world.sessions();
    let found = sessions.iter().filter_map(begins);
    found.map(|one| one["detail"].as_str().expect("a text").to_owned()).collect()
}

/// Every session was inside TLS on both sides, and verified as a whole; who logged in is as it should be.
fn all_secured(world: &World, login: &str) {
    let all = beginnings(world);
    assert!(!all.is_empty());
    for one in &all {
        let (how, tls) = one.split_once("; TLS ").expect("both are told");
        assert_eq!(how, login);
        let tls: Record = serde_json::from_str(tls).expect("JSON");
        assert_eq!((&tls["client"]["version"], &tls["server"]["version"]), (&"TLSv1.3".into(), &"TLSv1.3".into()));
        assert_eq!(tls["server"]["verified"], "full", "{tls:#}");
    }
}

const HELD: &str = "login by Sallyport, scram-sha-256-plus";

#[test]
fn secured_psql() {
    let world = world();
    clients::psql(&world);
    all_secured(&world, HELD);
}

#[test]
fn secured_psycopg() {
    let world = world();
    clients::psycopg(&world);
    all_secured(&world, HELD);
}

#[test]
fn secured_asyncpg() {
    let world = world();
    clients::asyncpg(&world);
    all_secured(&world, HELD);
}

#[test]
fn secured_node_postgres() {
    let world = world();
    clients::node_postgres(&world);
    all_secured(&world, HELD);
}

#[test]
fn secured_tokio_postgres() {
    let world = world();
    clients::tokio_postgres(&world);
    all_secured(&world, HELD);
}

#[test]
fn secured_jdbc() {
    let world = world();
    clients::jdbc(&world);
    all_secured(&world, HELD);
}

#[test]
fn secured_pgbench() {
    let world = World::secured(|_| String::new());
    clients::pgbench(&world);
    all_secured(&world, "login by the client");
}

#[test]
fn secured_pg_dump_and_pg_restore() {
    let world = World::secured(|_| String::new());
    clients::dumps(&world);
    all_secured(&world, "login by the client");
}

/// What `psql` says of one statement, with more variables; and its exit code.
fn ask(world: &World, unit: &str, role: Role, more: &[(&str, &str)]) -> Said {
    let mut command = world.command(unit, program("psql"), role);
    let statement = "SELECT current_user, ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    command.envs(more.iter().copied()).args(["-XAt", "-c", statement]);
    Client::start(&mut command).end()
}

/// As libpq words it, whoever is asked.
fn asked(world: &World, unit: &str, role: Role, more: &[(&str, &str)]) -> String {
    let said = ask(world, unit, role, more);
    format!("{:?} {}{}", said.code, said.out, said.err)
}

#[test]
fn secured_by_every_mode_of_libpq() {
    let world = World::secured(|_| String::new());
    let modes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
    let run = |unit: &str| {
        let mut out = String::new();
        for mode in modes {
            let roots = if mode.starts_with("verify") { world.authority(unit) } else { "/nowhere".into() };
            let roots = roots.to_str().expect("text");
            out += &asked(&world, unit, Role::Md5, &[("PGSSLMODE", mode), ("PGSSLROOTCERT", roots)]);
        }
        // By name, as far as the address is known without asking anybody.
        let address = world.server.addr().ip().to_string();
        let named = [("PGHOST", sallyport_tests::postgres::NAME), ("PGHOSTADDR", &address)];
        out += &asked(&world, unit, Role::Md5, &named);
        // The server has one name, and no other.
        out += &asked(&world, unit, Role::Md5, &[("PGHOST", "db.elsewhere.test"), ("PGHOSTADDR", &address)]);
        Said { code: Some(0), out, err: String::new() }
    };
    let direct = run("bystander").out;
    assert_eq!(direct.matches("by_md5|t|TLSv1.3").count(), 5, "{direct}");
    assert_eq!(direct.matches("by_md5|f|").count(), 2, "{direct}");
    let intercepted = run("job").out;
    assert_eq!(direct.lines().take(7).collect::<Vec<_>>(), intercepted.lines().take(7).collect::<Vec<_>>());
    // The wrong name is refused on the way in both cases, in other words.
    assert!(direct.lines().nth(7).is_some_and(|line| line.starts_with("Some(2)")), "{direct}");
    assert!(intercepted.lines().nth(7).is_some_and(|line| line.starts_with("Some(2)")), "{intercepted}");
    // Of a server without TLS, each hears what it would have heard.
    world.server.sql("postgres", "ALTER SYSTEM SET ssl = off");
    world.server.sql("postgres", "SELECT pg_reload_conf()");
    until("the server is without", || {
        let said = asked(&world, "bystander", Role::Md5, &[("PGSSLMODE", "prefer")]);
        said.contains("by_md5|f|").then_some(())
    });
    for mode in modes {
        let [direct, intercepted] =
            ["bystander", "job"].map(|unit| asked(&world, unit, Role::Md5, &[("PGSSLMODE", mode)]));
        assert_eq!(direct, intercepted, "{mode}");
    }
}

#[test]
fn secured_clients_log_in_as_they_always_did() {
    let world = World::secured(|_| String::new());
    // Two connections are two channels: a client that insists on one, or could, notices.
    let unbound = ("PGCHANNELBINDING", "disable");
    for role in [Role::Trust, Role::Scram, Role::Md5, Role::Clear] {
        for password in [role.password(), "another".to_owned()] {
            let more = [unbound, ("PGPASSWORD", password.as_str())];
            let [direct, intercepted] = ["bystander", "job"].map(|unit| asked(&world, unit, role, &more));
            assert_eq!(direct, intercepted);
            let let_in = role == Role::Trust || password != "another";
            assert_eq!(direct.starts_with("Some(0)"), let_in, "{direct}");
        }
    }
    for binding in ["prefer", "require"] {
        let said = ask(&world, "job", Role::Scram, &[("PGCHANNELBINDING", binding)]);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
    }
}

#[test]
fn secured_with_credentials_of_every_kind() {
    let mut world = World::secured(|_| String::new());
    let (certificate, key) = world.server.client_certificate();
    let ours = world.site.bed.dir().join("client.key");
    keep(&ours, &fs::read_to_string(key).expect("a key"));
    let shown = format!(
        "client_certificate = \"{}\"\nclient_key = \"{}\"\nrequire_auth = [\"none\"]\n[[target.orders.credential]]\nrole = \"by_cert\"\n",
        certificate.display(),
        ours.display()
    );
    for (role, keys, method) in [
        (Role::Scram, held(&world.site, Role::Scram), "scram-sha-256-plus"),
        (Role::Md5, format!("require_auth = [\"md5\"]\n{}", held(&world.site, Role::Md5)), "md5"),
        (Role::Clear, format!("require_auth = [\"password\"]\n{}", held(&world.site, Role::Clear)), "password"),
        (Role::Cert, shown, "none"),
    ] {
        keep(&world.site.bed.dir().join("password"), &role.password());
        world.daemon.reload(&secured(&world.site, &world.server, &keys));
        for (client, server) in [("TLSv1.2", "TLSv1.3"), ("TLSv1.3", "TLSv1.2")] {
            world.server.sql("postgres", &format!("ALTER SYSTEM SET ssl_max_protocol_version = '{server}'"));
            world.server.sql("postgres", "SELECT pg_reload_conf()");
            let settled = format!("by_trust|t|{server}");
            until("the server has the version", || {
                let said = ask(&world, "bystander", Role::Trust, &[]);
                said.out.contains(&settled).then_some(())
            });
            // What the client has is no credential of anybody.
            let more = [("PGUSER", "somebody"), ("PGPASSWORD", "anything"), ("PGSSLMAXPROTOCOLVERSION", client)];
            let said = ask(&world, "job", Role::Trust, &more);
            assert_eq!(said.good().out, format!("{}|t|{server}\n", role.name()), "{said:?}");
            let begun = beginnings(&world).pop().expect("a session");
            let (how, tls) = begun.split_once("; TLS ").expect("both are told");
            assert_eq!(how, format!("login by Sallyport, {method}"));
            let tls: Record = serde_json::from_str(tls).expect("JSON");
            assert_eq!((&tls["client"]["version"], &tls["server"]["version"]), (&client.into(), &server.into()));
        }
    }
    let shown: String = world.sessions().iter().map(|one| world.daemon.store().show(one).to_string()).collect();
    assert!(!shown.contains("hunter2") && !world.daemon.log().contains("hunter2"));
}

#[test]
fn secured_with_credentials_that_change() {
    let mut world = world();
    let who = |world: &World| ask(world, "job", Role::Trust, &[("PGUSER", "somebody")]);
    assert!(who(&world).good().out.starts_with("by_scram|t|"));
    world.server.sql("postgres", "ALTER ROLE by_scram PASSWORD 'rotated'");
    let said = who(&world);
    assert!(said.code == Some(2) && said.err.contains("Sallyport could not log in to the database"), "{said:?}");
    keep(&world.site.bed.dir().join("password"), "rotated\n");
    assert!(who(&world).good().out.starts_with("by_scram|t|"));
    // A certificate and its key.
    let dir = world.site.bed.dir().to_owned();
    let (certificate, key) = (dir.join("client.pem"), dir.join("client.key"));
    let pair = rcgen::generate_simple_self_signed(vec![Role::Cert.name().to_owned()]).expect("a certificate");
    keep(&certificate, &pair.cert.pem());
    keep(&key, &pair.signing_key.serialize_pem());
    let keys = format!(
        "client_certificate = \"{}\"\nclient_key = \"{}\"\nrequire_auth = [\"none\"]\n[[target.orders.credential]]\nrole = \"by_cert\"\n",
        certificate.display(),
        key.display()
    );
    world.daemon.reload(&secured(&world.site, &world.server, &keys));
    assert_eq!(who(&world).code, Some(2));
    let (theirs, their_key) = world.server.client_certificate();
    keep(&key, &fs::read_to_string(their_key).expect("a key"));
    keep(&certificate, &fs::read_to_string(theirs).expect("a certificate"));
    assert!(who(&world).good().out.starts_with("by_cert|t|"));
}

#[test]
fn secured_by_nobody_is_refused() {
    // Nobody said whom to trust, and the system's authorities know nothing of the server.
    let mut world = World::new();
    world.secured = true;
    let host = world.site.bed.dir().join("host");
    fs::create_dir(&host).expect("a directory");
    world.daemon.cli(&["trust", "install", "--yes", "--root", host.to_str().expect("text")]);
    let said = ask(&world, "job", Role::Clear, &[("PGSSLMODE", "require"), ("PGSSLROOTCERT", "/nowhere")]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
    assert!(!world.server.log().contains("by_clear"), "{}", world.server.log());
    // A client that does not know the host's authority goes no further either.
    let theirs = world.server.authority();
    let said = ask(&world, "job", Role::Clear, &[("PGSSLROOTCERT", theirs.to_str().expect("text"))]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
}

/// A script that moves tens of megabytes.
fn large(name: &str) {
    let world = world();
    let said = clients::same(&world, |unit| {
        let mut command = world.command(unit, kept("python/bin/python"), Role::Scram);
        Client::start(command.arg(script(name))).end_within(LONG)
    });
    assert!(said.out.lines().count() > 3, "{said:?}");
    all_secured(&world, HELD);
}

#[test]
fn secured_large_values() {
    large("large.py");
}

#[test]
fn secured_large_results() {
    large("many.py");
}

#[test]
fn secured_large_results_of_psql() {
    let world = world();
    let psql = program("psql");
    let said = clients::same(&world, |unit| {
        let mut command = world.command(unit, "sh", Role::Scram);
        let rows = "SELECT n, repeat(md5(n::text), 32) FROM generate_series(1, 50000) n";
        command.args(["-c", "\"$0\" -XAt -v ON_ERROR_STOP=1 -c \"$1\" | sha256sum"]).arg(&psql).arg(rows);
        Client::start(&mut command).end_within(LONG)
    });
    // Of nothing, too, there would be a sum.
    assert!(!said.out.starts_with("e3b0c442"), "{said:?}");
    let session = world.ended();
    assert!(world.statements(&session)[0]["bytes_in"].as_u64().is_some_and(|bytes| bytes > 50_000_000), "{session:#}");
    all_secured(&world, HELD);
}

#[test]
fn secured_cancellation_reaches_the_server() {
    behaviour::cancellation(&world());
}

#[test]
fn secured_when_a_backend_is_terminated() {
    behaviour::termination(&world());
}

#[test]
fn secured_when_the_client_goes_in_the_middle() {
    behaviour::departure(&world());
}

/// Results of every size around what fits between a server and a client that does not read yet: the last bytes arrive
/// when it does, although nothing follows them.
#[test]
fn secured_results_arrive_to_their_end() {
    let world = world();
    let mut command = world.command("job", "sh", Role::Scram);
    let script = "exec 3<&0; for n in $(seq 1 160); do
        \"$0\" -XAt -c \"COPY (SELECT repeat('x', 65535) FROM generate_series(1, $n)) TO STDOUT\" < /dev/null |
            (read _ <&3; wc -c) &
        done; wait";
    let client = Client::start(command.args(["-c", script]).arg(program("psql")).stdin(Stdio::piped()));
    // What is small fits, and its client has gone.
    let stuck = "SELECT count(*) > 150 FROM pg_stat_activity
        WHERE usename = 'by_scram' AND query LIKE 'COPY%' AND (state = 'idle' OR wait_event = 'ClientWrite')";
    until("all of them wait", || (world.server.sql("postgres", stuck) == "t").then_some(()));
    // All of them read on.
    let said = client.end_within(LONG);
    let mut sizes: Vec<usize> = said.good().out.lines().map(|line| line.trim().parse().expect("a number")).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, (1..=160).map(|rows| rows * 65_536).collect::<Vec<_>>(), "{said:?}");
}
