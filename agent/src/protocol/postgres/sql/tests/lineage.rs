//! What each column that comes back is made from.

use super::fixture::{check, output};

fn outputs(cases: &[(&str, &str)]) {
    check(cases, |facts| output(&facts.output));
}

#[test]
fn plain_queries() {
    outputs(&[
        ("SELECT ssn FROM users", "users.ssn"),
        ("SELECT u.ssn AS x, 1 FROM users u", "users.ssn -"),
        ("SELECT * FROM users", "users.id users.name users.email users.ssn users.note"),
        ("SELECT u.* FROM users u, orders o", "users.id users.name users.email users.ssn users.note"),
        ("SELECT public.users.ssn FROM public.users", "users.ssn"),
        ("SELECT public.users.* FROM public.users", "users.id users.name users.email users.ssn users.note"),
        ("SELECT nick, ssn FROM other.users", "other.users.nick other.users.ssn"),
        ("TABLE orders", "orders.id orders.user_id orders.total orders.card"),
        ("VALUES (1, 'a')", "- -"),
        ("SELECT body FROM notes", "ada.notes.body"),
        ("SELECT ctid, xmin, tableoid, u.ctid FROM users u", "- - - -"),
        ("SELECT SSN, \"ssn\" FROM USERS", "users.ssn users.ssn"),
        ("SELECT id FROM users LIMIT 1", "users.id"),
        ("SELECT 1 WHERE true", "-"),
        ("SELECT", ""),
        ("SELECT now(), current_date, current_user, random()", "- - - -"),
    ]);
}

#[test]
fn what_is_not_known_is_undecided() {
    outputs(&[
        ("SELECT nobody FROM users", "?"),
        ("SELECT \"SSN\" FROM users", "?"),
        ("SELECT ssn FROM nowhere", "?"),
        ("SELECT * FROM nowhere", "any"),
        ("SELECT n.* FROM nowhere n, users", "any"),
        ("SELECT id FROM users, orders", "?"),
        ("SELECT u.id FROM users u, users u", "?"),
        ("SELECT users.id FROM users u", "?"),
        ("SELECT x.ssn FROM users", "?"),
        ("SELECT ssn FROM pg_temp.users", "?"),
        ("SELECT u.ssn, n.x FROM users u, nowhere n", "users.ssn ?"),
        ("SELECT ssn, total FROM users u, nowhere n", "users.ssn ?"),
        ("SELECT leak(id) FROM users", "?"),
        ("SELECT peek(1)", "?"),
        ("SELECT gather(ssn) FROM users", "?"),
        ("SELECT public.leak(1)", "?"),
        ("SELECT unheard_of(ssn) FROM users", "?"),
        ("SELECT other.lower(ssn) FROM users", "?"),
        ("SELECT ssn::secret_type FROM users", "?"),
        ("SELECT CAST(ssn AS secret_type) FROM users", "?"),
        ("SELECT 1::secret_type, (1::secret_type).ssn, 'x'::secret_type", "? ? -"),
        ("SHOW application_name", "?"),
        ("SELECT current_setting('Application_Name')", "?"),
        ("SELECT ssn === 'x' FROM users", "?"),
        ("SELECT ssn OPERATOR(public.===) 'x' FROM users", "?"),
        ("SELECT query_to_xml('select ssn from users', true, true, '')", "?"),
        ("SELECT table_to_xml('users', true, true, '')", "?"),
        ("SELECT pg_read_file('/etc/passwd')", "?"),
        ("SELECT lo_get(1)", "?"),
        ("SELECT current_setting('app.secret')", "?"),
        ("SELECT current_setting($1)", "?"),
        ("SELECT * FROM dblink('x', 'select 1') AS t(a text)", "?"),
        ("SELECT most_common_vals FROM pg_stats", "?"),
        ("SELECT query, pid FROM pg_stat_activity", "? pg_catalog.pg_stat_activity.pid"),
        ("SELECT * FROM v_loop", "?"),
        ("SELECT x FROM v_written", "?"),
        ("SELECT * FROM leak(1)", "?"),
        ("SELECT * FROM rows(1)", "? ?"),
        ("SELECT * FROM lower('x')", "-"),
        ("SELECT * FROM unheard_of(1)", "any"),
        ("SELECT s FROM unheard_of(1) s", "?"),
        ("SELECT (peek(1)).*", "any"),
        ("EXECUTE p(1)", "any"),
        ("FETCH 10 FROM c", "any"),
        ("CALL leak(1)", "any"),
        ("SHOW app.secret", "?"),
        ("SELECT * FROM users u JOIN nowhere n USING (id)", "any"),
        ("SELECT ssn FROM users UNION SELECT id, ssn FROM users", "any"),
        ("EXPLAIN VERBOSE SELECT peek(1)", "?"),
    ]);
}

#[test]
fn expressions() {
    outputs(&[
        ("SELECT ssn || name FROM users", "users.name+users.ssn"),
        ("SELECT ssn || '' FROM users", "users.ssn"),
        ("SELECT ssn::text, CAST(ssn AS varchar(4)), text(ssn) FROM users", "users.ssn users.ssn ?"),
        (
            "SELECT upper(ssn), substr(ssn, 1, 3), substring(ssn from 2 for 3) FROM users",
            "users.ssn users.ssn users.ssn",
        ),
        ("SELECT pg_catalog.upper(ssn) FROM users", "users.ssn"),
        ("SELECT crypt(ssn, 'x') FROM users", "users.ssn"),
        ("SELECT CASE WHEN ssn = '1' THEN 'y' ELSE name END FROM users", "users.name+users.ssn"),
        ("SELECT CASE ssn WHEN '1' THEN 'y' END FROM users", "users.ssn"),
        ("SELECT max(ssn), count(*), count(name) FROM users", "users.ssn - users.name"),
        ("SELECT count(*) FILTER (WHERE ssn = '1') FROM users", "users.ssn"),
        (
            "SELECT coalesce(note, ssn), nullif(ssn, ''), greatest(ssn, 'a') FROM users",
            "users.note+users.ssn users.ssn users.ssn",
        ),
        (
            "SELECT ARRAY[ssn, name], (ARRAY[ssn])[1], ('{a,b}'::text[])[length(ssn)] FROM users",
            "users.name+users.ssn users.ssn users.ssn",
        ),
        (
            "SELECT ssn IS NULL, ssn = '1', NOT (ssn > 'a'), ssn IS DISTINCT FROM 'x' FROM users",
            "users.ssn users.ssn users.ssn users.ssn",
        ),
        (
            "SELECT ssn LIKE '1%', ssn ~ 'x', ssn IN ('1', '2'), ssn BETWEEN 'a' AND 'b' FROM users",
            "users.ssn users.ssn users.ssn users.ssn",
        ),
        ("SELECT ssn = ANY ($1), 'a' = ALL (ARRAY[ssn]) FROM users", "users.ssn users.ssn"),
        ("SELECT string_agg(ssn, ','), array_agg(ssn ORDER BY name) FROM users", "users.ssn users.ssn"),
        ("SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ssn) FROM users", "users.ssn"),
        (
            "SELECT row_number() OVER (ORDER BY ssn), first_value(ssn) OVER w, lag(name) OVER (PARTITION BY ssn) FROM users WINDOW w AS (ORDER BY id)",
            "- users.ssn users.name",
        ),
        ("SELECT ssn COLLATE \"C\", ssn AT TIME ZONE 'x' FROM users", "users.ssn users.ssn"),
        ("SELECT note -> 'a' ->> 'b', note #>> '{a,b}' FROM users", "users.note users.note"),
        ("SELECT json_build_object('a', ssn, 'b', name) FROM users", "users.name+users.ssn"),
        (
            "SELECT xmlforest(ssn AS x), xmlelement(name a, ssn), xmlconcat(xmlelement(name b, xmlattributes(ssn AS c)))::text FROM users",
            "users.ssn users.ssn users.ssn",
        ),
        (
            "SELECT xmlserialize(content xmlforest(ssn) AS text), xmlparse(document ssn) FROM users",
            "users.ssn users.ssn",
        ),
        (
            "SELECT json_object('k' VALUE ssn), json_array(ssn, name), json_arrayagg(ssn), json_objectagg(name VALUE ssn) FROM users",
            "users.ssn users.name+users.ssn users.ssn users.name+users.ssn",
        ),
        (
            "SELECT json_value(note, '$.a'), json_query(note, '$.b' DEFAULT ssn ON EMPTY), json_exists(note, '$'), note IS JSON FROM users",
            "users.note users.note+users.ssn users.note users.note",
        ),
        (
            "SELECT JSON(ssn), json_scalar(ssn), json_serialize(ssn), json_array(SELECT ssn FROM users) FROM users",
            "users.ssn users.ssn users.ssn users.ssn",
        ),
        ("SELECT GROUPING(ssn) FROM users GROUP BY GROUPING SETS ((ssn), ())", "-"),
        ("SELECT (ssn, name) = ('1', 'a'), ROW(ssn) FROM users", "users.name+users.ssn users.ssn"),
        ("SELECT $1, $2::text || ssn FROM users", "- users.ssn"),
        (
            "SELECT lower(VARIADIC ssn), replace(name, from_text => ssn, to_text => '') FROM users",
            "users.ssn users.name+users.ssn",
        ),
        (
            "SELECT extract(year from ssn), overlay(ssn placing 'x' from 1), position('x' in ssn), trim(ssn) FROM users",
            "users.ssn users.ssn users.ssn users.ssn",
        ),
    ]);
}

#[test]
fn rows_and_composites() {
    outputs(&[
        ("SELECT u FROM users u", "users.email+users.id+users.name+users.note+users.ssn"),
        ("SELECT users FROM users", "users.email+users.id+users.name+users.note+users.ssn"),
        ("SELECT (u).ssn, (u).* FROM users u", "users.ssn users.id users.name users.email users.ssn users.note"),
        (
            "SELECT row_to_json(p), row_to_json(p.*) FROM (SELECT id, ssn FROM users) p",
            "users.id+users.ssn users.id+users.ssn",
        ),
        ("SELECT to_jsonb(u) ->> 'ssn' FROM users u", "users.email+users.id+users.name+users.note+users.ssn"),
        ("SELECT ROW(o.*) FROM orders o", "orders.card+orders.id+orders.total+orders.user_id"),
        ("SELECT (SELECT u FROM users u LIMIT 1).ssn", "users.email+users.id+users.name+users.note+users.ssn"),
        ("SELECT o::text FROM orders o", "orders.card+orders.id+orders.total+orders.user_id"),
        ("SELECT ssn(u), u.ssn, ssn(users.*) FROM users u, orders users", "users.ssn users.ssn ?"),
        ("SELECT ssn(users) FROM users", "users.ssn"),
        ("SELECT u.upper FROM (SELECT ssn FROM users) u", "users.ssn"),
        ("SELECT u.leak FROM users u", "?"),
        ("SELECT u.unheard FROM (SELECT ssn FROM users) u", "?"),
        ("SELECT home, (home).city, (homes.home).street FROM homes", "homes.home homes.home homes.home"),
        ("SELECT (home).* FROM homes", "homes.home homes.home"),
        ("SELECT (home).leak FROM homes", "?"),
        ("SELECT array_agg(u) FROM (SELECT id, ssn FROM users) u", "users.id+users.ssn"),
        ("SELECT count(u), count(u.*) FROM (SELECT ssn FROM users) u", "users.ssn users.ssn"),
        ("SELECT ssn FROM (SELECT id AS users, ssn FROM users) ssn", "users.ssn"),
        ("SELECT name FROM orders name", "orders.card+orders.id+orders.total+orders.user_id"),
    ]);
}

#[test]
fn subqueries() {
    outputs(&[
        ("SELECT x FROM (SELECT ssn AS x FROM users) s", "users.ssn"),
        ("SELECT * FROM (SELECT id, ssn FROM users) s(a, b)", "users.id users.ssn"),
        ("SELECT b FROM (SELECT id, ssn FROM users) s(a, b)", "users.ssn"),
        ("SELECT ssn FROM (SELECT id, ssn FROM users) s(a, b)", "?"),
        ("SELECT (SELECT ssn FROM users LIMIT 1), ARRAY(SELECT ssn FROM users)", "users.ssn users.ssn"),
        ("SELECT EXISTS (SELECT 1 FROM users WHERE ssn = '1'), EXISTS (SELECT ssn FROM users)", "users.ssn -"),
        (
            "SELECT 1 IN (SELECT id FROM users), id = ANY (SELECT user_id FROM orders WHERE card = '4') FROM users",
            "users.id orders.card+orders.user_id+users.id",
        ),
        (
            "SELECT (SELECT 'y' FROM users WHERE ssn = '1'), (SELECT count(*) FROM users u WHERE u.ssn = o.card) FROM orders o",
            "users.ssn orders.card+users.ssn",
        ),
        (
            "SELECT (SELECT o.card || u.name FROM orders o WHERE o.user_id = u.id) FROM users u",
            "orders.card+users.name",
        ),
        ("SELECT (SELECT ssn) FROM users", "users.ssn"),
        ("SELECT (SELECT (SELECT (SELECT ssn))) FROM users", "users.ssn"),
        ("SELECT (SELECT id FROM orders LIMIT 1) FROM users", "orders.id"),
        ("SELECT ssn FROM users u, LATERAL (SELECT u.ssn AS copy) l", "users.ssn"),
        ("SELECT copy FROM users u, LATERAL (SELECT u.ssn AS copy) l", "users.ssn"),
        ("SELECT copy FROM users u LEFT JOIN LATERAL (SELECT ssn AS copy) l ON true", "users.ssn"),
        ("SELECT copy FROM users u, (SELECT u.ssn AS copy) l", "?"),
        ("SELECT * FROM (VALUES ('a', 1)) v(x, y)", "- -"),
        ("SELECT column1 FROM (VALUES ((SELECT max(ssn) FROM users))) v", "users.ssn"),
        ("SELECT upper, \"?column?\" FROM (SELECT upper(ssn), ssn || 'x' FROM users) s", "users.ssn users.ssn"),
        (
            "SELECT \"case\", \"coalesce\", max, ssn FROM (SELECT CASE WHEN true THEN name END, coalesce(email), max(note), ssn::varchar FROM users) s",
            "users.name users.email users.note users.ssn",
        ),
        ("SELECT text FROM (SELECT (ssn || 'x')::text FROM users) s", "users.ssn"),
        ("SELECT (SELECT s.exists FROM (SELECT EXISTS (SELECT FROM users WHERE ssn = 'x')) s)", "users.ssn"),
    ]);
}

#[test]
fn joins() {
    outputs(&[
        (
            "SELECT * FROM users u JOIN orders o ON u.id = o.user_id",
            "users.id users.name users.email users.ssn users.note orders.id orders.user_id orders.total orders.card",
        ),
        ("SELECT id, ssn, card FROM users JOIN orders USING (id)", "orders.id+users.id users.ssn orders.card"),
        (
            "SELECT * FROM (SELECT id, ssn FROM users) a NATURAL JOIN (SELECT ssn, card FROM orders, LATERAL (SELECT total AS ssn) x) b",
            "orders.total+users.ssn users.id orders.card",
        ),
        ("SELECT u.id, o.id FROM users u JOIN orders o USING (id)", "users.id orders.id"),
        ("SELECT j.ssn, j.id FROM (users u JOIN orders o USING (id)) j", "users.ssn orders.id+users.id"),
        ("SELECT j.card FROM (users u CROSS JOIN orders o) AS j(a, b, c, d, e, f, g, h, card)", "orders.card"),
        ("SELECT u.ssn FROM (users u CROSS JOIN orders o) AS j(a)", "?"),
        ("SELECT k.id FROM users JOIN orders USING (id) AS k", "orders.id+users.id"),
        ("SELECT k.ssn FROM users JOIN orders USING (id) AS k", "?"),
        ("SELECT a.ssn, b.ssn FROM users a LEFT JOIN other.users b ON true", "users.ssn other.users.ssn"),
        ("SELECT x.ssn FROM users AS x(a, b, c, ssn, note)", "users.ssn"),
        ("SELECT x.name FROM users AS x(id, ssn)", "?"),
        ("SELECT x.ssn FROM users AS x(id, ssn_, email, ssn_2)", "?"),
        ("SELECT ssn FROM users TABLESAMPLE system (10)", "users.ssn"),
        ("SELECT id FROM users JOIN orders USING (id) JOIN notes USING (id)", "ada.notes.id+orders.id+users.id"),
        ("SELECT total FROM users, orders JOIN notes ON notes.id = total", "orders.total"),
    ]);
}

#[test]
fn common_tables_and_sets() {
    outputs(&[
        ("WITH s AS (SELECT ssn FROM users) SELECT * FROM s", "users.ssn"),
        ("WITH s(x) AS (SELECT ssn FROM users), t AS (SELECT x || 'a' AS y FROM s) SELECT y FROM t", "users.ssn"),
        ("WITH users AS (SELECT 1 AS ssn) SELECT ssn FROM users", "-"),
        ("WITH users AS (SELECT ssn FROM users) SELECT ssn FROM users", "users.ssn"),
        ("WITH users AS (SELECT 1 AS ssn) SELECT ssn FROM public.users", "users.ssn"),
        (
            "WITH a AS (SELECT 1 AS x) SELECT (WITH a AS (SELECT ssn AS x FROM users) SELECT x FROM a), (SELECT x FROM a)",
            "users.ssn -",
        ),
        (
            "WITH RECURSIVE r(a, b) AS (SELECT 1, '' UNION ALL SELECT a + 1, (SELECT ssn FROM users) FROM r) SELECT a, b FROM r",
            "- users.ssn",
        ),
        (
            "WITH RECURSIVE r(a, b, c) AS (SELECT ssn, '', '' FROM users UNION ALL SELECT '', a, b FROM r) SELECT c FROM r",
            "users.ssn",
        ),
        ("WITH RECURSIVE r AS (SELECT id FROM users UNION SELECT r.id FROM r) SELECT * FROM r", "users.id"),
        ("WITH RECURSIVE a AS (SELECT x FROM b), b AS (SELECT ssn AS x FROM users) SELECT x FROM a", "?"),
        (
            "WITH RECURSIVE r(n) AS (SELECT ssn FROM users UNION ALL SELECT n FROM r) SEARCH DEPTH FIRST BY n SET o SELECT o FROM r",
            "users.ssn",
        ),
        ("WITH d AS (DELETE FROM users WHERE id = 1 RETURNING ssn) SELECT ssn FROM d", "users.ssn"),
        ("WITH i AS (INSERT INTO users (ssn) VALUES ('1') RETURNING *) SELECT i.ssn FROM i", "users.ssn"),
        ("WITH i AS (INSERT INTO users (ssn) VALUES ('1')) SELECT 1", "-"),
        ("SELECT name FROM users UNION SELECT ssn FROM users", "users.name+users.ssn"),
        ("SELECT name FROM users UNION ALL (SELECT 'x' INTERSECT SELECT ssn FROM users)", "users.name+users.ssn"),
        ("SELECT ssn AS a FROM users EXCEPT VALUES ('1') ORDER BY a", "users.ssn"),
        ("SELECT a FROM (SELECT name AS a FROM users UNION SELECT ssn AS b FROM users) u", "users.name+users.ssn"),
        ("SELECT DISTINCT ON (name) ssn FROM users", "users.ssn"),
    ]);
}

#[test]
fn functions_in_from() {
    outputs(&[
        ("SELECT * FROM generate_series(1, 3)", "-"),
        ("SELECT g FROM users u, generate_series(1, length(u.ssn)) g", "users.ssn"),
        (
            "SELECT g.g, generate_series FROM users u, generate_series(1, length(u.ssn)) g, generate_series(1, 2)",
            "users.ssn -",
        ),
        ("SELECT key, value FROM users, json_each(note)", "users.note users.note"),
        ("SELECT e.v FROM users, json_each(note) AS e(k, v)", "users.note"),
        ("SELECT x.a FROM users, json_to_thing(note) AS x(a text)", "?"),
        ("SELECT u, o FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY AS u(u, o)", "- -"),
        ("SELECT t.x FROM users, unnest(ssn::text[]) AS t(x)", "users.ssn"),
        ("SELECT * FROM homes h, unnest(h.tags) t", "homes.id homes.home homes.tags homes.others homes.tags"),
        ("SELECT * FROM homes h, unnest(h.others) t", "any"),
        ("SELECT t, t.street FROM homes h, unnest(h.others) t", "homes.others ?"),
        ("SELECT * FROM unnest($1::users[])", "any"),
        ("SELECT * FROM unnest($1::other.text[])", "any"),
        // Made by a query: of a type nobody knows.
        ("SELECT t.b FROM (SELECT array_agg(ROW(id, ssn)) AS x FROM users) s, unnest(s.x) AS t(a, b)", "?"),
        ("SELECT t.a FROM (SELECT array_agg(ssn) AS x FROM users) s, unnest(s.x) AS t(a)", "users.ssn"),
        ("SELECT t.a FROM homes AS h(i, a, x), unnest(h.x) AS t(a)", "homes.tags"),
        ("SELECT t.b FROM homes AS h(i, a, tags, x), unnest(h.x) AS t(a, b)", "?"),
        // After columns that are not known, no place is.
        ("SELECT t.c FROM users u, ROWS FROM (unnest(NULL::users[]), json_each(u.note)) AS t(a, b, c)", "?"),
        ("SELECT t.a FROM users u, ROWS FROM (json_each(u.note), unnest(NULL::users[])) AS t(a, b, c)", "?"),
        ("SELECT b FROM users u, unnest(NULL::users[]) WITH ORDINALITY AS t(a, b)", "?"),
        ("SELECT * FROM ROWS FROM (generate_series(1, 2), lower('x')) AS r(a, b)", "- -"),
        ("SELECT x FROM users, xmltable('/a' PASSING note COLUMNS x text PATH 'b', n FOR ORDINALITY) t", "users.note"),
        (
            "SELECT x, y FROM users, json_table(note, '$[*]' COLUMNS (x text PATH '$.a', NESTED PATH '$.b' COLUMNS (y int))) t",
            "users.note users.note",
        ),
        ("SELECT * FROM current_date", "-"),
        ("SELECT upper FROM users, upper(ssn)", "users.ssn"),
    ]);
}

#[test]
fn views() {
    outputs(&[
        ("SELECT ssn FROM v_users", "users.ssn+v_users.ssn"),
        ("SELECT * FROM v_deep", "users.name+v_deep.who+v_users.who users.ssn+v_deep.secret+v_users.ssn"),
        ("SELECT ssn FROM mv_users", "mv_users.ssn+users.ssn"),
        ("SELECT id FROM v_filtered", "users.id+v_filtered.id"),
        ("SELECT relname FROM pg_class", "pg_catalog.pg_class.relname"),
        ("SELECT table_name FROM information_schema.tables", "information_schema.tables.table_name"),
        ("SELECT made, badge FROM badges", "badges.badge+badges.made+badges.ssn badges.badge"),
        ("COPY badges TO STDOUT", "badges.ssn badges.badge"),
        ("SELECT ssn FROM people", "people.ssn+staff.ssn"),
        ("SELECT ssn, badge FROM staff", "people.ssn+staff.ssn staff.badge"),
        ("SELECT body FROM events_old", "events.body+events_old.body"),
        ("SELECT body FROM ONLY events", "events.body+events_old.body"),
    ]);
}

#[test]
fn what_changes_rows_gives_back() {
    outputs(&[
        ("INSERT INTO users VALUES (1)", "none"),
        ("INSERT INTO users (id) VALUES (1) RETURNING ssn, id + 1", "users.ssn users.id"),
        (
            "INSERT INTO users AS u (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = excluded.ssn RETURNING u.*",
            "users.id users.name users.email users.ssn users.note",
        ),
        (
            "UPDATE users u SET name = o.card FROM orders o WHERE o.user_id = u.id RETURNING u.ssn, o.card",
            "users.ssn orders.card",
        ),
        ("UPDATE users SET id = 1 RETURNING *", "users.id users.name users.email users.ssn users.note"),
        ("UPDATE users SET id = 1 RETURNING old.ssn, new.ssn, WITH_OLD.x", "users.ssn users.ssn ?"),
        ("UPDATE users SET id = 1 RETURNING WITH (OLD AS o) o.ssn", "users.ssn"),
        ("DELETE FROM users u USING orders o WHERE o.user_id = u.id RETURNING o.card, ssn", "orders.card users.ssn"),
        (
            "MERGE INTO users u USING orders o ON u.id = o.user_id WHEN MATCHED THEN DELETE RETURNING merge_action(), card, ssn",
            "- orders.card users.ssn",
        ),
        ("COPY users TO STDOUT", "users.id users.name users.email users.ssn users.note"),
        ("COPY users (ssn, id) TO STDOUT", "users.ssn users.id"),
        ("COPY (SELECT ssn FROM users) TO STDOUT", "users.ssn"),
        ("COPY (DELETE FROM users RETURNING ssn) TO STDOUT", "users.ssn"),
        ("COPY users FROM STDIN", "none"),
        ("COPY users TO '/tmp/x'", "none"),
        ("EXPLAIN SELECT ssn FROM users", "-"),
        ("EXPLAIN (ANALYZE, VERBOSE) SELECT ssn FROM users", "-"),
        ("SHOW search_path", "-"),
        ("SHOW ALL", "- - -"),
        ("SELECT ssn INTO copy FROM users", "none"),
        ("CREATE TABLE copy AS SELECT ssn FROM users", "none"),
        ("MOVE 3 IN c", "none"),
        ("DECLARE c CURSOR FOR SELECT ssn FROM users", "none"),
        ("PREPARE p AS SELECT ssn FROM users", "none"),
    ]);
}
