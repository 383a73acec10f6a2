//! Where data goes: what is stored from what, and which columns constants and parameters meet.

use super::super::Understood;
use super::fixture::{check, column, lineage};

/// Where something arrives as it was.
fn carried(facts: &Understood) -> String {
    let into = facts.stores.iter().filter(|store| store.unchanged).filter_map(|store| store.into.as_ref());
    into.map(column).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_arrives_as_it_was() {
    check(
        &[
            ("INSERT INTO orders (card) SELECT ssn FROM users", "orders.card"),
            ("INSERT INTO orders (card) SELECT u.ssn FROM users u JOIN people p ON true", "orders.card"),
            ("INSERT INTO people SELECT * FROM people", "people.id people.ssn"),
            ("INSERT INTO orders (id, card) SELECT 1, ssn FROM users", "orders.card"),
            ("INSERT INTO orders (id, card) SELECT id, left(ssn, 3) FROM users", "orders.id"),
            ("INSERT INTO orders (card) SELECT left(ssn, 3) FROM users", ""),
            ("INSERT INTO orders (card) SELECT ssn::varchar(3) FROM users", ""),
            ("INSERT INTO orders (card) SELECT ssn FROM (SELECT left(ssn, 3) AS ssn FROM users) u", ""),
            ("INSERT INTO orders (card) SELECT ssn FROM v_users", ""),
            ("INSERT INTO orders (card) SELECT ssn FROM users u (a, b, c, d, ssn)", ""),
            ("INSERT INTO orders (card) SELECT ssn FROM users UNION SELECT left(ssn, 3) FROM users", ""),
            ("WITH users AS (SELECT 'x' AS ssn) INSERT INTO orders (card) SELECT people.ssn FROM people", ""),
            ("INSERT INTO orders (card) VALUES ((SELECT ssn FROM users))", ""),
            ("INSERT INTO orders (card) SELECT made FROM badges", ""),
            ("INSERT INTO v_users (who) SELECT ssn FROM users", ""),
            (
                "INSERT INTO orders (id, card) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET card = excluded.card",
                "orders.card",
            ),
            (
                "INSERT INTO orders (id, card) VALUES ($1, $2) ON CONFLICT (id) \
                 DO UPDATE SET card = left(excluded.card, 3), total = excluded.total",
                "orders.total",
            ),
            ("UPDATE users SET ssn = ssn, name = upper(note)", "users.ssn"),
            ("UPDATE users SET ssn = coalesce($1, ssn)", "users.ssn"),
            ("UPDATE users SET ssn = coalesce(left(ssn, 3), ssn)", ""),
            ("UPDATE users SET ssn = left(ssn, 3)", ""),
            ("UPDATE users SET ssn = (SELECT ssn FROM people)", ""),
            ("UPDATE users SET (ssn, note) = (SELECT left(ssn, 3), ssn FROM people)", ""),
            ("CREATE TABLE x AS SELECT ssn FROM users", "ada.x.ssn"),
            ("CREATE TABLE x (a) AS SELECT left(ssn, 3) FROM users", ""),
            ("SELECT left(ssn, 3) AS ssn INTO x FROM users", ""),
            ("MERGE INTO users u USING orders o ON true WHEN NOT MATCHED THEN INSERT (name) VALUES (o.card)", ""),
        ],
        carried,
    );
}

fn stores(facts: &Understood) -> String {
    let into = |store: &super::super::Store| store.into.as_ref().map_or("nowhere".to_owned(), column);
    facts.stores.iter().map(|store| format!("{}<{}", into(store), lineage(&store.from))).collect::<Vec<_>>().join(" ")
}

#[test]
fn stored_from_stored() {
    check(
        &[
            ("INSERT INTO orders (card) VALUES ('1')", ""),
            ("INSERT INTO orders (card) SELECT ssn FROM users", "orders.card<users.ssn"),
            ("INSERT INTO orders SELECT 1, ssn FROM users", "orders.user_id<users.ssn"),
            ("INSERT INTO orders (card) VALUES ((SELECT ssn FROM users))", "orders.card<users.ssn"),
            ("UPDATE users SET name = ssn || 'x', note = 'y'", "users.name<users.ssn"),
            ("UPDATE users SET (name, note) = (SELECT card, 1 FROM orders)", "users.name<orders.card"),
            ("UPDATE users SET name = o.card FROM orders o", "users.name<orders.card"),
            ("INSERT INTO users (id) VALUES (1) ON CONFLICT DO NOTHING", ""),
            (
                "INSERT INTO users (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = users.ssn",
                "users.name<users.ssn",
            ),
            (
                "MERGE INTO users u USING orders o ON true WHEN NOT MATCHED THEN INSERT (name) VALUES (o.card)",
                "users.name<orders.card",
            ),
            ("CREATE TABLE x AS SELECT ssn, 1 AS one FROM users", "ada.x.ssn<users.ssn"),
            ("CREATE TABLE other.x (a) AS SELECT ssn FROM users", "other.x.a<users.ssn"),
            ("SELECT ssn AS a INTO x FROM users", "ada.x.a<users.ssn"),
            ("CREATE MATERIALIZED VIEW x AS SELECT ssn FROM users", "ada.x.ssn<users.ssn"),
            ("CREATE TABLE x AS EXECUTE p", "ada.x.<?"),
            ("EXECUTE p('a', now(), $1, upper('b'))", ""),
            ("EXECUTE p('a', peek(1))", "nowhere<?"),
            ("EXECUTE p(query_to_xml('x', true, true, '')::text)", "nowhere<?"),
            ("EXPLAIN EXECUTE p(peek(1))", "nowhere<?"),
            ("EXPLAIN EXECUTE p(1)", ""),
            ("EXPLAIN (VERBOSE) CREATE TABLE x AS EXECUTE p(peek(1))", "nowhere<? ada.x.<?"),
            ("COPY users (ssn) TO '/tmp/x'", "nowhere<users.ssn"),
            ("COPY (SELECT leak(1)) TO PROGRAM 'x'", "nowhere<?"),
            ("SELECT set_config('a.b', ssn, false) FROM users", "nowhere<users.ssn"),
            ("SELECT pg_notify('c', ssn) FROM users", "nowhere<users.ssn"),
            ("SELECT pg_advisory_lock(ssn::int) FROM users", "nowhere<users.ssn"),
            ("ALTER TABLE users ALTER note TYPE text USING ssn", "users.note<users.ssn"),
            ("ALTER TABLE users ADD x text GENERATED ALWAYS AS (ssn) STORED", "users.x<users.ssn"),
            ("INSERT INTO nowhere (a) SELECT ssn FROM users", ".nowhere.a<users.ssn"),
            ("INSERT INTO v_users (who) SELECT ssn FROM users", "users.name<users.ssn v_users.who<users.ssn"),
            ("EXPLAIN INSERT INTO orders (card) SELECT ssn FROM users", ""),
            ("EXPLAIN ANALYZE INSERT INTO orders (card) SELECT ssn FROM users", "orders.card<users.ssn"),
            ("WITH i AS (INSERT INTO orders (card) SELECT ssn FROM users) SELECT 1", "orders.card<users.ssn"),
        ],
        stores,
    );
}

#[test]
fn what_is_computed_later_is_stored_at_once() {
    check(
        &[
            ("CREATE TABLE x (a int DEFAULT 1 CHECK (a > 0), b text DEFAULT now(), CHECK (upper(b) <> 'c'))", ""),
            ("CREATE TABLE x (a int, b int GENERATED ALWAYS AS (a + 1) STORED)", ""),
            ("CREATE TABLE x (a text DEFAULT peek(1))", "ada.x.a<?"),
            ("CREATE TABLE other.x (a text DEFAULT query_to_xml('x', true, true, '')::text)", "other.x.a<?"),
            ("CREATE TABLE x (a text GENERATED ALWAYS AS (a || peek(1)) STORED)", "ada.x.a<?"),
            ("CREATE TABLE x (a int CHECK (peek(1) IS NOT NULL))", "nowhere<?"),
            ("CREATE TABLE x (a int, CHECK (table_to_xml('x', true, true, '') IS NULL))", "nowhere<?"),
            ("CREATE TABLE x (a int CHECK ((SELECT ssn FROM users) IS NULL))", "nowhere<?"),
            ("CREATE TABLE x (a text DEFAULT set_config('search_path', 'other', false))", "ada.x.a<?"),
            ("CREATE TABLE x PARTITION OF events FOR VALUES IN (peek(1))", "nowhere<?"),
            ("CREATE TABLE x PARTITION OF events FOR VALUES FROM (minvalue) TO (peek(1))", "nowhere<?"),
            ("CREATE TABLE x PARTITION OF events FOR VALUES FROM (minvalue, 1) TO (2, maxvalue)", ""),
            ("CREATE TABLE x PARTITION OF events (CHECK (id > 0)) FOR VALUES IN ('a')", ""),
            ("CREATE TABLE x (a int) PARTITION BY LIST (peek(a))", "nowhere<?"),
            ("CREATE TABLE x (a int) PARTITION BY LIST ((a + 1))", ""),
            ("CREATE TABLE x (LIKE users, CHECK (ssn <> name))", ""),
            ("CREATE TABLE x (a int, EXCLUDE (peek(a) WITH =) WHERE (a > 0))", "nowhere<?"),
            ("ALTER TABLE orders ADD x text DEFAULT peek(1)", "orders.x<?"),
            ("ALTER TABLE orders ADD x int CHECK (x > 0), ADD CHECK (x < 9)", ""),
            ("ALTER TABLE orders ADD CHECK (peek(1) IS NULL)", "nowhere<?"),
            ("ALTER TABLE orders ALTER total SET DEFAULT set_config('a', 'b', false)", "orders.total<?"),
            ("ALTER TABLE nowhere ADD x int CHECK (x > y) DEFAULT 1, ADD CHECK (z > 0)", ""),
            ("ALTER TABLE nowhere ADD x text GENERATED ALWAYS AS (ssn) STORED", ".nowhere.x<?"),
            ("ALTER TABLE events ATTACH PARTITION badges FOR VALUES IN (peek(1))", "nowhere<?"),
            ("CREATE DOMAIN x AS text CHECK (VALUE <> 'a') DEFAULT 'b'", ""),
            ("CREATE DOMAIN x AS text CHECK (peek(1) = VALUE)", "nowhere<?"),
            ("CREATE DOMAIN x AS text DEFAULT peek(1)", "nowhere<?"),
            ("ALTER DOMAIN x ADD CHECK (peek(1) = VALUE)", "nowhere<?"),
            ("ALTER DOMAIN x SET DEFAULT peek(1)", "nowhere<?"),
            ("CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW WHEN (new.id > 0) EXECUTE FUNCTION f()", ""),
            (
                "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW WHEN (peek(1) = '') EXECUTE FUNCTION f()",
                "nowhere<?",
            ),
            (
                "CREATE POLICY p ON orders USING (user_id = 1) WITH CHECK (total > 0)",
                "nowhere<orders.total+orders.user_id",
            ),
            ("CREATE POLICY p ON orders USING ((SELECT count(*) FROM users WHERE ssn <> '') > 0)", "nowhere<users.ssn"),
            ("CREATE POLICY p ON orders USING (peek(1) = '')", "nowhere<?"),
            ("ALTER POLICY p ON orders USING (set_config('a', 'b', false) = '')", "nowhere<?"),
        ],
        stores,
    );
}

#[test]
fn what_comes_from_elsewhere_may_be_anything() {
    check(
        &[
            ("CREATE FOREIGN TABLE x (a text) SERVER s", "nowhere<?"),
            ("ALTER FOREIGN TABLE x OPTIONS (SET table_name 'users')", "nowhere<?"),
            ("ALTER FOREIGN TABLE x ALTER a OPTIONS (SET column_name 'ssn')", "nowhere<?"),
            ("IMPORT FOREIGN SCHEMA public FROM SERVER s INTO other", "nowhere<?"),
            ("CREATE SERVER s FOREIGN DATA WRAPPER f", "nowhere<?"),
            ("ALTER SERVER s OPTIONS (SET host 'x')", "nowhere<?"),
            ("CREATE USER MAPPING FOR ada SERVER s", "nowhere<?"),
            ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", "nowhere<?"),
            ("COPY orders (card) FROM STDIN", ""),
            ("COPY orders (card, total) FROM PROGRAM 'x'", "orders.card<? orders.total<?"),
            ("COPY orders (card) FROM '/tmp/x'", "orders.card<?"),
        ],
        stores,
    );
}

/// Each constant's text and what is near it.
fn check_literals(cases: &[(&str, &str)]) {
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|(sql, expected)| {
            let facts = super::fixture::one(sql);
            let literals =
                facts.literals.iter().map(|found| format!("{}~{}", &sql[found.at.clone()], lineage(&found.near)));
            let parameters =
                facts.parameters.iter().zip(1..).map(|(near, number)| format!("${number}~{}", lineage(near)));
            let found = literals.chain(parameters).collect::<Vec<_>>().join(" ");
            (found != *expected).then(|| format!("{sql}\n    found    {found}\n    expected {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn constants_and_parameters_know_what_they_meet() {
    check_literals(&[
        ("SELECT 'x', 1", "'x'~- 1~-"),
        ("SELECT * FROM users WHERE ssn = '1' AND name = $1 AND id = -5", "'1'~users.ssn 5~users.id $1~users.name"),
        (
            "SELECT * FROM users WHERE ssn IN ('1', $2) OR id BETWEEN 3 AND $1",
            "'1'~users.ssn 3~users.id $1~users.id $2~users.ssn",
        ),
        ("SELECT * FROM users WHERE upper(ssn || 'x') = E'y'", "'x'~users.ssn E'y'~users.ssn"),
        ("SELECT * FROM users WHERE (ssn = '1') = true", "'1'~users.ssn"),
        ("SELECT ssn LIKE '1%' FROM users LIMIT 5", "'1%'~users.ssn 5~-"),
        ("SELECT CASE WHEN ssn = '1' THEN 'y' ELSE 'n' END FROM users", "'1'~users.ssn 'y'~- 'n'~-"),
        ("SELECT CASE ssn WHEN '1' THEN name ELSE 'n' END FROM users", "'1'~users.ssn 'n'~users.name"),
        ("SELECT coalesce(ssn, 'none') FROM users", "'none'~users.ssn"),
        ("INSERT INTO users (id, ssn) VALUES (1, '2'), ($1, $2)", "1~users.id '2'~users.ssn $1~users.id $2~users.ssn"),
        ("INSERT INTO users (ssn) SELECT 'x' UNION ALL SELECT $1", "'x'~users.ssn $1~users.ssn"),
        ("INSERT INTO v_users (who) VALUES ('x')", "'x'~users.name+v_users.who"),
        (
            "UPDATE users SET ssn = '1', (name, note) = ('a', 'b') WHERE id = 1",
            "'1'~users.ssn 'a'~users.name 'b'~users.note 1~users.id",
        ),
        ("SELECT * FROM (VALUES ('a'), ('b')) v(x) JOIN users ON v.x = ssn", "'a'~users.ssn 'b'~users.ssn"),
        ("WITH v AS (SELECT 'a' AS x) SELECT * FROM v, users WHERE ssn = x", "'a'~users.ssn"),
        ("SELECT * FROM users WHERE ssn = (SELECT 'a')", "'a'~users.ssn"),
        ("SELECT * FROM users WHERE leak('a') AND unheard_of(ssn, 'b') = 'c'", "'a'~? 'b'~? 'c'~?"),
        ("SELECT * FROM nowhere WHERE x = 'a'", "'a'~?"),
        ("SELECT 1 FROM users WHERE note = ROW(1, 'a')::secret_type", "1~- 1~? 'a'~?"),
        ("INSERT INTO nowhere VALUES ('a')", "'a'~?"),
        ("SELECT 'a'::varchar(10), ssn::varchar(4) FROM users", "'a'~- 10~- 4~-"),
        ("SET x.y = 'secret'", "'secret'~?"),
        ("CREATE ROLE eve PASSWORD 'secret'", "'secret'~?"),
        ("DO 'x'", "'x'~?"),
        ("NOTIFY x, 'secret'", "'secret'~?"),
        ("COPY users TO '/tmp/x' (FORMAT 'csv')", "'/tmp/x'~? 'csv'~?"),
        ("EXECUTE p('a', 1)", "'a'~? 1~?"),
        ("PREPARE p AS SELECT * FROM users WHERE ssn = $1 AND id = 3", "3~users.id $1~users.ssn"),
        (
            "SELECT $$a$$, U&'b', B'1', X'2', 1.5, DATE '2020-01-01' FROM users",
            "$$a$$~- U&'b'~- B'1'~- X'2'~- 1.5~- '2020-01-01'~-",
        ),
        ("SELECT 1; ", "1~-"),
        ("CREATE TABLE x AS SELECT 'a' AS y", "'a'~?"),
        ("CREATE TABLE x (y text DEFAULT 'a' CHECK (y <> 'b'))", "'a'~? 'b'~?"),
        ("ALTER TABLE users ALTER ssn SET DEFAULT 'a', ADD z text DEFAULT 'b'", "'a'~users.ssn 'b'~?"),
        ("CREATE INDEX ON users (id) WHERE ssn = 'a'", "'a'~users.ssn"),
        ("SELECT $3", "$1~- $2~- $3~-"),
        ("SELECT * FROM users WHERE ssn = - 5 AND id < +6", "5~users.ssn 6~users.id"),
        ("SELECT * FROM users WHERE (id, ssn) = (1, 'x')", "1~users.id+users.ssn 'x'~users.id+users.ssn"),
        ("MERGE INTO users USING orders ON true WHEN NOT MATCHED THEN INSERT (ssn) VALUES ('x')", "'x'~users.ssn"),
    ]);
}
