//! Statements that try to do what is forbidden without looking like it.
//!
//! What counts is what the server did: everything that may not change is looked at after each case, past the daemon.

use super::{
    Field, Findings,
    script::{Case, Outcome, Stage, cases},
};
use sallyport_tests::{Client, Role, postgres::program, until};

/// What is forbidden. Nothing here knows of any particular statement.
const POLICY: &str = r#"
@id("all") permit(principal, action in [Action::"connect", Action::"execute", Action::"reveal"], resource);
@id("kinds") forbid(principal, action == Action::"execute", resource is Database)
when { context.kinds.containsAny(["ddl", "dcl", "file", "program"]) };
@id("destructive") forbid(principal, action == Action::"execute", resource is Database)
when { context.kinds.contains("destructive") && context.verb != "delete" };
@id("predicate") forbid(principal, action == Action::"execute", resource is Database)
when { !context.has_predicate };
@id("ledger") forbid(principal, action == Action::"execute", resource is Database)
when { context.writes.containsAny([LEDGERS]) };
@id("functions") forbid(principal, action == Action::"execute", resource is Database)
when { context.functions.containsAny(["set_config", "pg_terminate_backend", "pg_cancel_backend", "pg_reload_conf",
    "pg_read_file", "query_to_xml", "lo_create", "lo_from_bytea", "lo_unlink", "lo_put", "lowrite", "lo_truncate",
    "pg_switch_wal", "pg_rotate_logfile", "pg_create_physical_replication_slot", "pg_ls_dir", "pg_stat_reset", "setval"]) };
@id("opaque") forbid(principal, action == Action::"execute", resource)
when { context.opaque };
"#;

/// Everything that is not to change, in one line.
const STATE: &str = "
SELECT md5(string_agg(x, ';')), count(*) FILTER (WHERE x IS NULL) FROM (VALUES
    ((SELECT string_agg(l::text, ',' ORDER BY id) FROM ledger l)),
    ((SELECT string_agg(l::text, ',' ORDER BY id) FROM lists l)),
    ((SELECT string_agg(concat(relname, relkind, relnamespace, reltriggers, relrowsecurity, relacl, relfilenode), ',' ORDER BY oid)
      FROM (SELECT *, relhastriggers AS reltriggers FROM pg_class) c
      WHERE relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_toast|^pg_catalog'))),
    ((SELECT string_agg(concat(proname, pronamespace), ',' ORDER BY oid) FROM pg_proc)),
    ((SELECT string_agg(nspname, ',' ORDER BY oid) FROM pg_namespace WHERE nspname !~ '^pg_')),
    ((SELECT string_agg(a::text, ',' ORDER BY oid) FROM pg_authid a)),
    ((SELECT concat('m', string_agg(m::text, ',' ORDER BY roleid, member)) FROM pg_auth_members m)),
    ((SELECT concat('s', string_agg(s::text, ',')) FROM pg_db_role_setting s)),
    ((SELECT concat('d', string_agg(d::text, ',')) FROM pg_default_acl d)),
    ((SELECT string_agg(extname, ',' ORDER BY oid) FROM pg_extension)),
    ((SELECT concat('c', string_agg(description, ',')) FROM pg_description WHERE objoid = 'ledger'::regclass)),
    ((SELECT string_agg(md5(lo_get(oid)), ',' ORDER BY oid) FROM pg_largeobject_metadata)),
    ((SELECT concat('e', string_agg(slot_name, ',')) FROM pg_replication_slots)),
    ((SELECT concat('x', string_agg(gid, ',')) FROM pg_prepared_xacts)),
    ((SELECT concat('p', string_agg(pubname, ',')) FROM pg_publication)),
    ((SELECT concat('t', string_agg(concat(tgname, tgenabled), ',' ORDER BY oid)) FROM pg_trigger)),
    ((SELECT concat('f', string_agg(f, ',' ORDER BY f)) FROM pg_ls_dir('.') f WHERE f ~ 'evaded')),
    ((SELECT concat('y', string_agg(f, ',' ORDER BY f)) FROM pg_ls_dir('/tmp') f WHERE f ~ 'evaded-file')),
    ((SELECT concat('a', pg_read_file('postgresql.auto.conf')))),
    ((SELECT concat('v', string_agg(concat(pid, query_start, state), ',')) FROM pg_stat_activity WHERE application_name = 'victim'))
) s(x)";

#[test]
fn evasion_nothing_forbidden_happens() {
    let ledgers: Vec<String> = (0..99).map(|n| format!(r#"Table::"orders/orders_{n}/public/ledger""#)).collect();
    let field = Field::new(&POLICY.replace("LEDGERS", &ledgers.join(", ")), "");
    let mut findings = Findings::default();
    let mut victim = victim(&field);
    let mut pair = field.pair();
    let mut before = state(&field, &pair[0]);
    for case in cases(include_str!("blocking.sql")) {
        let outcome = Stage { world: &field.world, unit: "job", database: &pair[0] }.say(&case.lines);
        judge(&case, &outcome, &mut findings);
        let now = state(&field, &pair[0]);
        if now != before && !case.is("attached") {
            findings.add(&case.name, format_args!("it had an effect: {:?}", outcome.errors()));
            // Its client goes, and what it asked for goes on.
            let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'victim'";
            field.world.server.sql("postgres", end);
            victim = self::victim(&field);
            pair = field.pair();
            before = state(&field, &pair[0]);
        }
        if now != before && case.is("attached") {
            pair = field.pair();
            before = state(&field, &pair[0]);
        }
    }
    drop(victim);
    findings.none();
}

fn judge(case: &Case, outcome: &Outcome, to: &mut Findings) {
    if std::env::var_os("EVASION_TELL").is_some() {
        eprintln!("{}: closed {}, {:?}", case.name, outcome.closed, outcome.errors());
    }
    let told: Vec<&[u8]> = b"DSdNA".iter().flat_map(|tag| outcome.of(*tag)).collect();
    for seen in ["evaded", "hostssl  all"] {
        if told.iter().any(|body| body.windows(seen.len()).any(|window| window == seen.as_bytes())) {
            to.add(&case.name, format_args!("`{seen}` came back"));
        }
    }
    if case.is("passes") && (outcome.closed || !outcome.errors().is_empty()) {
        to.add(&case.name, format_args!("harmless, and refused: {:?}", outcome.errors()));
    }
}

/// Somebody who is busy for the whole test.
fn victim(field: &Field) -> Client {
    let mut command = field.world.command("bystander", program("psql"), Role::Trust);
    command.env("PGDATABASE", "postgres").env("PGAPPNAME", "victim");
    let client = Client::start(command.args(["-Xqc", "SELECT pg_sleep(600)"]));
    until("the victim is busy", || {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'victim' AND query ~ 'sleep'";
        (field.world.server.sql("postgres", count) == "1").then_some(())
    });
    client
}

fn state(field: &Field, database: &str) -> String {
    if field
        .world
        .server
        .sql(database, "SELECT to_regclass('ledger'), to_regclass('lists')")
        .split('|')
        .any(str::is_empty)
    {
        return "it is gone".to_owned();
    }
    field.world.server.sql(database, STATE)
}
