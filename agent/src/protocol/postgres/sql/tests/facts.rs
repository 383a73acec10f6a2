//! What statements are called, what kind they are, and what they read, write and choose rows by.

use super::super::{DANGEROUS, Understood};
use super::fixture::{check, columns, one, relations};

fn kinds(facts: &Understood) -> String {
    facts.kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(" ")
}

fn unknown(facts: &Understood) -> String {
    facts.unknown.iter().map(|why| why.word()).collect::<Vec<_>>().join(" ")
}

/// Statements with their verbs and kinds.
const KINDS: &[(&str, &str)] = &[
    ("SELECT 1", "select: read"),
    ("VALUES (1), (2)", "select: read"),
    ("INSERT INTO users VALUES (1)", "insert: write"),
    ("INSERT INTO users SELECT * FROM users", "insert: read write"),
    ("UPDATE users SET id = 1", "update: write"),
    ("UPDATE pg_class SET relname = 'x'", "update: write ddl dcl"),
    ("DELETE FROM users", "delete: write destructive"),
    ("DELETE FROM users RETURNING id", "delete: read write destructive"),
    ("WITH d AS (DELETE FROM users RETURNING 1) SELECT 1", "select: read write destructive"),
    ("MERGE INTO users u USING orders o ON true WHEN MATCHED THEN DELETE", "merge: read write destructive"),
    ("MERGE INTO users u USING orders o ON true WHEN NOT MATCHED THEN INSERT VALUES (1)", "merge: read write"),
    ("TRUNCATE users", "truncate: write destructive"),
    ("SELECT * INTO x FROM users", "select into: read write ddl"),
    ("CREATE TABLE x AS SELECT 1", "create table as: read write ddl"),
    ("CREATE MATERIALIZED VIEW x AS SELECT 1", "create materialized view: read write ddl"),
    ("REFRESH MATERIALIZED VIEW mv_users", "refresh materialized view: write"),
    ("CREATE TABLE x (id int DEFAULT 1 CHECK (id > 0))", "create table: ddl"),
    ("CREATE VIEW x AS SELECT 1", "create view: read ddl"),
    ("CREATE INDEX ON users (lower(ssn)) WHERE id > 1", "create index: ddl"),
    ("ALTER TABLE users ADD COLUMN x int", "alter table: ddl"),
    ("ALTER TABLE users DROP COLUMN ssn", "alter table: destructive ddl"),
    ("ALTER TABLE users DISABLE ROW LEVEL SECURITY", "alter table: ddl dcl"),
    ("ALTER TABLE users RENAME COLUMN ssn TO x", "alter table: ddl"),
    ("ALTER TABLE users RENAME TO x", "alter table: ddl"),
    ("ALTER VIEW v_users OWNER TO eve", "alter view: ddl dcl"),
    ("DROP TABLE users", "drop table: destructive ddl"),
    ("DROP FUNCTION leak", "drop function: destructive ddl"),
    ("DROP SCHEMA other CASCADE", "drop schema: destructive ddl"),
    ("CREATE SCHEMA x CREATE TABLE y (id int)", "create schema: ddl"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'", "create function: ddl"),
    ("CREATE RULE r AS ON SELECT TO users DO INSTEAD SELECT 1", "create rule: ddl"),
    ("CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION leak()", "create trigger: ddl"),
    ("CREATE TYPE x AS ENUM ('a')", "create type: ddl"),
    ("CREATE TYPE x AS (a int)", "create type: ddl"),
    ("CREATE DOMAIN x AS text NOT NULL", "create domain: ddl"),
    ("CREATE DOMAIN x AS text CHECK (VALUE <> '')", "create domain: ddl"),
    ("CREATE DOMAIN x AS text DEFAULT leak(1)", "create domain: ddl"),
    ("CREATE AGGREGATE x (int) (sfunc = a, stype = b)", "create aggregate: ddl"),
    ("CREATE EXTENSION dblink", "create extension: ddl program"),
    ("CREATE SERVER s FOREIGN DATA WRAPPER f", "create server: ddl program"),
    ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", "create subscription: ddl program"),
    ("CREATE LANGUAGE plperlu", "create extension: ddl program"),
    ("GRANT SELECT ON users TO eve", "grant: dcl"),
    ("REVOKE ALL ON users FROM eve", "revoke: dcl"),
    ("GRANT admin TO eve", "grant: dcl"),
    ("CREATE ROLE eve SUPERUSER", "create role: dcl"),
    ("ALTER USER eve PASSWORD 'x'", "alter role: dcl"),
    ("DROP OWNED BY eve", "drop owned: destructive ddl dcl"),
    ("CREATE POLICY p ON users USING (true)", "create policy: dcl"),
    ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO eve", "alter default privileges: dcl"),
    ("COPY users TO STDOUT", "copy: read"),
    ("COPY users FROM STDIN", "copy: write"),
    ("COPY users TO '/tmp/x'", "copy: read file"),
    ("COPY users FROM PROGRAM 'curl x'", "copy: write program"),
    ("COPY (SELECT 1) TO PROGRAM 'sh'", "copy: read program"),
    ("EXPLAIN DELETE FROM users", "explain: read"),
    ("EXPLAIN ANALYZE DELETE FROM users", "explain: read write destructive"),
    ("EXPLAIN (ANALYZE off) DELETE FROM users", "explain: read"),
    ("EXPLAIN (ANALYZE on) DELETE FROM users", "explain: read write destructive"),
    ("BEGIN", "begin: session"),
    ("START TRANSACTION ISOLATION LEVEL SERIALIZABLE", "begin: session"),
    ("COMMIT", "commit: session"),
    ("ROLLBACK TO x", "rollback to: session"),
    ("SET x.y = 1", "set: session"),
    ("RESET ALL", "reset: session"),
    ("SHOW ALL", "show: session"),
    ("SET CONSTRAINTS ALL DEFERRED", "set constraints: session"),
    ("PREPARE p AS DELETE FROM users", "prepare: write destructive session"),
    ("DECLARE c CURSOR FOR SELECT 1", "declare: read session"),
    ("FETCH c", "fetch: read session"),
    ("CLOSE c", "close: session"),
    ("DEALLOCATE p", "deallocate: session"),
    ("DISCARD ALL", "discard: session"),
    ("LISTEN x", "listen: session"),
    ("UNLISTEN *", "unlisten: session"),
    ("NOTIFY x, 'y'", "notify: session"),
    ("LOCK TABLE users", "lock: write session"),
    ("LOCK TABLE users IN SHARE MODE", "lock: write session"),
    ("LOCK TABLE users IN ACCESS SHARE MODE", "lock: session"),
    ("LOCK TABLE users IN ROW EXCLUSIVE MODE", "lock: session"),
    ("PREPARE TRANSACTION 'x'", "prepare transaction: write session"),
    ("COMMIT PREPARED 'x'", "commit prepared: write session"),
    ("ROLLBACK PREPARED 'x'", "rollback prepared: write session"),
    ("LOAD 'x'", "load: session program"),
    ("DO 'x'", "do: read write"),
    ("CALL leak(1)", "call: read write"),
    ("VACUUM FULL users", "vacuum: ddl"),
    ("ANALYZE users", "analyze: write"),
    ("CLUSTER users", "cluster: ddl"),
    ("REINDEX TABLE users", "reindex table: ddl"),
    ("CHECKPOINT", "checkpoint: write session"),
    ("ALTER SYSTEM SET x = 1", "alter system: session file program"),
    ("CREATE DATABASE x", "create database: ddl"),
    ("DROP DATABASE x", "drop database: destructive ddl"),
    ("COMMENT ON TABLE users IS 'x'", "comment: ddl"),
    ("SECURITY LABEL ON TABLE users IS 'x'", "security label: dcl"),
    ("SELECT pg_terminate_backend(1)", "select: read destructive session"),
    ("SELECT pg_read_file('x')", "select: read file"),
    ("SELECT lo_import('x')", "select: read write file"),
    ("SELECT dblink('x', 'y')", "select: read write program"),
    ("SELECT set_config('a', 'b', false)", "select: read session"),
    ("SELECT nextval('s')", "select: read write"),
    ("SELECT pg_create_logical_replication_slot('a', 'b')", "select: read write session"),
    ("SELECT pg_create_physical_replication_slot('a', true)", "select: read write session"),
    ("SELECT pg_copy_logical_replication_slot('a', 'b')", "select: read write session"),
    ("SELECT pg_drop_replication_slot('a')", "select: read destructive session"),
    ("SELECT pg_replication_origin_create('a')", "select: read write session"),
    ("SELECT pg_replication_origin_advance('a', '0/1')", "select: read write session"),
    ("SELECT pg_switch_wal()", "select: read write session"),
    ("SELECT pg_advisory_lock(1)", "select: read session"),
    ("SELECT 1 FROM users FOR UPDATE", "select: read write session"),
    ("SELECT * FROM (SELECT 1 FROM users FOR KEY SHARE) x", "select: read write session"),
];

#[test]
fn each_statement_has_a_verb_and_kinds() {
    check(KINDS, |facts| format!("{}: {}", facts.verb, kinds(facts)));
}

#[test]
fn relations_read_and_written() {
    check(
        &[
            ("SELECT 1 FROM users, other.users", "other.users users >"),
            ("SELECT 1 FROM v_deep", "users v_deep v_users >"),
            ("SELECT 1 FROM events", "events events_old >"),
            ("SELECT 1 FROM staff", "people staff >"),
            ("SELECT (SELECT 1 FROM orders) FROM users", "orders users >"),
            ("SELECT 1 FROM nowhere, far.away", ".nowhere far.away >"),
            ("INSERT INTO orders SELECT id FROM users", "users > orders"),
            ("INSERT INTO orders VALUES (1)", "> orders"),
            ("UPDATE users SET name = 'x'", "> users"),
            ("UPDATE users SET name = 'x' WHERE id = 1", "users > users"),
            ("UPDATE users SET name = card FROM orders", "orders > users"),
            ("DELETE FROM v_users WHERE id = 1", "users v_users > users v_users"),
            ("DELETE FROM events", "> events events_old"),
            ("TRUNCATE users, orders", "> orders users"),
            ("MERGE INTO users USING orders ON true WHEN MATCHED THEN DO NOTHING", "orders > users"),
            ("DROP TABLE users, nowhere", "> .nowhere users"),
            ("ALTER TABLE users ADD x int", "> users"),
            ("COPY orders TO STDOUT", "orders >"),
            ("COPY orders FROM STDIN", "> orders"),
            ("PREPARE p AS SELECT 1 FROM orders", "orders >"),
            ("DECLARE c CURSOR FOR SELECT 1 FROM orders", "orders >"),
            ("EXPLAIN DELETE FROM users WHERE id = 1", "users >"),
            ("EXPLAIN ANALYZE DELETE FROM users", "> users"),
            ("CREATE VIEW x AS SELECT * FROM orders", "orders >"),
            ("WITH d AS (DELETE FROM orders RETURNING id) SELECT id FROM d", "orders > orders"),
            ("INSERT INTO ruled (id) VALUES (1)", "> ruled"),
        ],
        |facts| format!("{} > {}", relations(&facts.reads), relations(&facts.writes)).trim().to_owned(),
    );
}

#[test]
fn columns_read_written_and_chosen_by() {
    check(
        &[
            ("SELECT name FROM users WHERE ssn = '1'", "users.name+users.ssn | | users.ssn"),
            ("SELECT name FROM users ORDER BY ssn", "users.name+users.ssn | | users.ssn"),
            ("SELECT ssn AS x FROM users ORDER BY x", "users.ssn | | users.ssn"),
            ("SELECT name, ssn FROM users ORDER BY 2", "users.name+users.ssn | | users.ssn"),
            ("SELECT count(*) FROM users GROUP BY ssn", "users.ssn | | users.ssn"),
            ("SELECT ssn AS x FROM users GROUP BY x", "users.ssn | | users.ssn"),
            ("SELECT 1 FROM users GROUP BY ROLLUP (ssn, name)", "users.name+users.ssn | | users.name+users.ssn"),
            ("SELECT 1 FROM users HAVING max(ssn) > 'a'", "users.ssn | | users.ssn"),
            ("SELECT DISTINCT ssn FROM users", "users.ssn | | users.ssn"),
            ("SELECT DISTINCT ON (ssn) name FROM users", "users.name+users.ssn | | users.ssn"),
            ("SELECT ssn FROM users UNION SELECT name FROM users", "users.name+users.ssn | | users.name+users.ssn"),
            ("SELECT ssn FROM users UNION ALL SELECT name FROM users", "users.name+users.ssn | |"),
            (
                "SELECT 1 FROM users u JOIN orders o ON u.ssn = o.card",
                "orders.card+users.ssn | | orders.card+users.ssn",
            ),
            (
                "SELECT 1 FROM users JOIN people USING (ssn)",
                "people.ssn+staff.ssn+users.ssn | | people.ssn+staff.ssn+users.ssn",
            ),
            (
                "SELECT rank() OVER (PARTITION BY name ORDER BY ssn) FROM users",
                "users.name+users.ssn | | users.name+users.ssn",
            ),
            ("SELECT rank() OVER w FROM users WINDOW w AS (ORDER BY ssn)", "users.ssn | | users.ssn"),
            (
                "SELECT count(DISTINCT ssn), array_agg(id ORDER BY name) FROM users",
                "users.id+users.name+users.ssn | | users.name+users.ssn",
            ),
            (
                "SELECT 1 FROM orders WHERE user_id IN (SELECT id FROM users WHERE ssn = '1')",
                "orders.user_id+users.id+users.ssn | | orders.user_id+users.id+users.ssn",
            ),
            ("SELECT id FROM v_filtered", "users.id+users.ssn+v_filtered.id | |"),
            ("SELECT 1 FROM users LIMIT (SELECT length(ssn) FROM users)", "users.ssn | | users.ssn"),
            ("INSERT INTO users (ssn) VALUES ('1')", "| users.ssn |"),
            ("INSERT INTO users VALUES (1, 'a')", "| users.id+users.name |"),
            (
                "INSERT INTO users (id) VALUES (1) ON CONFLICT (ssn) DO UPDATE SET name = excluded.name WHERE users.note = 'x'",
                "users.name+users.note | users.id+users.name | users.note+users.ssn",
            ),
            (
                "UPDATE users SET (name, note) = (ssn, 'x') WHERE id = 1",
                "users.id+users.ssn | users.name+users.note | users.id",
            ),
            (
                "UPDATE users SET (name, note) = (SELECT card, total FROM orders)",
                "orders.card+orders.total | users.name+users.note |",
            ),
            ("UPDATE v_users SET who = 'x'", "| users.name+v_users.who |"),
            ("DELETE FROM users USING orders WHERE ssn = card", "orders.card+users.ssn | | orders.card+users.ssn"),
            (
                "MERGE INTO users u USING orders o ON u.ssn = o.card WHEN MATCHED AND o.total > 1 THEN UPDATE SET name = o.card WHEN NOT MATCHED THEN INSERT (note) VALUES (o.id)",
                "orders.card+orders.id+orders.total+users.ssn | users.name+users.note | orders.card+orders.total+users.ssn",
            ),
            ("COPY users (id, name) FROM STDIN WHERE ssn > 'a'", "users.ssn | users.id+users.name | users.ssn"),
            ("EXPLAIN SELECT 1 FROM users WHERE ssn = '1'", "users.ssn | | users.ssn"),
        ],
        |facts| {
            let (read, written) = (columns(&facts.columns_read), columns(&facts.columns_written));
            format!("{read} | {written} | {}", columns(&facts.predicates)).trim().replace("  ", " ")
        },
    );
}

#[test]
fn conditions_that_are_constant_are_none() {
    check(
        &[
            ("SELECT 1 FROM users WHERE id = 1", "None"),
            ("DELETE FROM users", "Some(false)"),
            ("DELETE FROM users WHERE id = 1", "Some(true)"),
            ("DELETE FROM users WHERE true", "Some(false)"),
            ("DELETE FROM users WHERE 1 = 1", "Some(false)"),
            ("DELETE FROM users WHERE now() > '2000-01-01'", "Some(false)"),
            ("DELETE FROM users WHERE $1", "Some(false)"),
            ("DELETE FROM users WHERE id = id", "Some(false)"),
            ("DELETE FROM users WHERE id = 1 OR true", "Some(false)"),
            ("DELETE FROM users WHERE id = 1 OR name = 'x'", "Some(true)"),
            ("DELETE FROM users WHERE id = 1 AND true", "Some(true)"),
            ("DELETE FROM users WHERE NOT (1 = 2)", "Some(false)"),
            ("DELETE FROM users WHERE CURRENT OF c", "Some(true)"),
            ("DELETE FROM users WHERE nobody = 1", "Some(false)"),
            ("DELETE FROM users WHERE id = users.id", "Some(false)"),
            ("DELETE FROM users WHERE id::text = id::text COLLATE \"C\"", "Some(false)"),
            ("DELETE FROM users WHERE id BETWEEN id AND id", "Some(false)"),
            ("DELETE FROM users WHERE id BETWEEN SYMMETRIC id AND id", "Some(false)"),
            ("DELETE FROM users WHERE id BETWEEN id AND 5", "Some(true)"),
            ("DELETE FROM users WHERE id IN (3, id)", "Some(false)"),
            ("DELETE FROM users WHERE id IN (3, 4)", "Some(true)"),
            ("DELETE FROM users WHERE (id, name) = (id, name)", "Some(false)"),
            ("DELETE FROM users WHERE (id, name) = (id, 'x')", "Some(true)"),
            ("DELETE FROM users WHERE id IS NOT DISTINCT FROM id", "Some(false)"),
            ("DELETE FROM users WHERE note IS NOT NULL", "Some(true)"),
            ("DELETE FROM users WHERE (SELECT count(*) FROM orders) > 1", "Some(false)"),
            ("DELETE FROM users WHERE EXISTS (SELECT 1 FROM orders WHERE total > 1)", "Some(false)"),
            ("DELETE FROM users WHERE EXISTS (SELECT 1 FROM orders WHERE user_id = users.id)", "Some(true)"),
            ("DELETE FROM users WHERE id IN (SELECT user_id FROM orders)", "Some(true)"),
            ("DELETE FROM users USING orders WHERE total > 1", "Some(false)"),
            ("DELETE FROM users USING orders WHERE user_id = users.id", "Some(true)"),
            ("UPDATE v_users SET who = 'x' WHERE id = 1", "Some(true)"),
            ("TRUNCATE users", "Some(false)"),
            ("MERGE INTO users USING orders ON true WHEN MATCHED THEN DELETE", "Some(false)"),
            ("MERGE INTO users u USING orders o ON o.total > 1 WHEN MATCHED THEN DELETE", "Some(false)"),
            ("MERGE INTO users u USING orders o ON u.id = u.id WHEN MATCHED THEN UPDATE SET name = 'x'", "Some(false)"),
            ("MERGE INTO users u USING orders o ON false WHEN NOT MATCHED BY SOURCE THEN DELETE", "Some(false)"),
            ("MERGE INTO users u USING orders o ON u.id = o.user_id WHEN MATCHED THEN DELETE", "Some(true)"),
            ("MERGE INTO users u USING orders o ON true WHEN MATCHED AND u.id = 1 THEN DELETE", "Some(true)"),
            ("MERGE INTO users u USING orders o ON true WHEN NOT MATCHED THEN INSERT VALUES (1)", "None"),
            ("UPDATE users SET id = 1", "Some(false)"),
            ("WITH u AS (UPDATE users SET id = 1) DELETE FROM users WHERE id = 1", "Some(false)"),
            ("WITH u AS (UPDATE users SET id = 1 WHERE id = 2) DELETE FROM users WHERE id = 1", "Some(true)"),
        ],
        |facts| format!("{:?}", facts.has_predicate),
    );
}

#[test]
fn what_is_not_understood_is_said() {
    check(
        &[
            ("SELECT ssn FROM users", ""),
            ("SELECT 1 FROM nowhere", "relation"),
            ("SELECT nobody FROM users", "column"),
            ("SELECT leak(1)", "function"),
            ("SELECT unheard_of(1)", "function"),
            ("SELECT query_to_xml('x', true, true, '')", "dynamic-sql"),
            ("SELECT current_setting('app.user', true)", ""),
            ("SELECT current_setting(name) FROM users", "dynamic-sql"),
            ("SELECT 1 FROM users WHERE name = current_setting('app.user', true)", "column"),
            ("SELECT information_schema._pg_expandarray(id) FROM users", ""),
            ("SELECT (information_schema._pg_expandarray(id)).n FROM users", ""),
            ("SELECT information_schema._pg_own(id) FROM users", "function"),
            ("SELECT public._pg_expandarray(id) FROM users", "function"),
            ("SELECT s.x FROM unnest('{1}'::pg_catalog.oid[]) AS s(x)", ""),
            ("DO 'x'", "language"),
            ("CREATE DOMAIN x AS text NOT NULL", ""),
            ("CREATE DOMAIN x AS text CHECK (VALUE <> '')", "language"),
            ("CREATE DOMAIN x AS text DEFAULT 'x'", "language"),
            ("CALL leak(1)", "function language"),
            ("EXECUTE p", "plan"),
            ("FETCH c", "plan"),
            ("INSERT INTO ruled VALUES (1)", "rule"),
            ("SELECT x FROM v_written", "function"),
            ("SELECT * FROM v_loop", "relation"),
            ("SELECT 1 FROM users TABLESAMPLE mine (1)", "function"),
            ("DELETE FROM users WHERE leak(id)", "column function"),
        ],
        unknown,
    );
}

#[test]
fn functions_are_named() {
    check(
        &[
            ("SELECT upper(lower('x'))", "lower upper"),
            ("SELECT pg_catalog.upper('x')", "pg_catalog.upper upper"),
            ("SELECT \"LEAK\"(1), Public.Leak(2)", "leak public.leak"),
            ("SELECT * FROM generate_series(1, 2)", "generate_series"),
            ("SELECT u.leak FROM users u", "leak"),
            ("SELECT 1 FROM v_written", "leak public.leak"),
            ("EXPLAIN SELECT pg_sleep(1)", "pg_sleep"),
            ("CALL leak(1)", "leak"),
            ("CREATE TABLE x (id int DEFAULT leak(1))", "leak"),
            ("ALTER TABLE users ALTER name SET DEFAULT leak(1)", "leak"),
        ],
        |facts| facts.functions.iter().cloned().collect::<Vec<_>>().join(" "),
    );
}

#[test]
fn dangerous_functions_are_sorted_so_that_they_are_found() {
    assert!(DANGEROUS.windows(2).all(|pair| pair[0].name < pair[1].name));
    for danger in DANGEROUS {
        let facts = one(&format!("SELECT 1 WHERE {}()", danger.name));
        assert!(facts.functions.contains(danger.name));
    }
}
