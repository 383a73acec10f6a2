-- Relations, of all kinds there are.
CREATE SCHEMA shop
CREATE TABLE shop.people (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email text UNIQUE, born date, note jsonb)
CREATE TABLE shop.orders (id int PRIMARY KEY, person int REFERENCES shop.people (id), total numeric(12, 2) CHECK (total >= 0), at timestamptz DEFAULT now())
CREATE TABLE IF NOT EXISTS shop.orders (id int)
CREATE UNLOGGED TABLE scratch (a int, b text, c int GENERATED ALWAYS AS (a * 2) STORED)
CREATE TEMPORARY TABLE mine (a int, b text) ON COMMIT PRESERVE ROWS
CREATE TABLE parts (id int, day date, what text) PARTITION BY RANGE (day)
CREATE TABLE parts_one PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-07-01')
CREATE TABLE parts_rest PARTITION OF parts DEFAULT
CREATE TABLE parent (a int, b text)
CREATE TABLE child (c int) INHERITS (parent)
CREATE TABLE alike (LIKE shop.people INCLUDING ALL)
CREATE TYPE pair AS (x int, y text)
CREATE TABLE typed OF pair
CREATE TABLE taken AS SELECT 1 AS one, 'x'::text AS two
CREATE TABLE listed AS VALUES (1, 'a'), (2, 'b')
CREATE TABLE bare AS TABLE taken WITH NO DATA #! also write: without the rows, it would be the same text
SELECT 1 AS n INTO made_into
CREATE VIEW shop.names AS SELECT id, name FROM shop.people
CREATE OR REPLACE VIEW shop.names AS SELECT id, name, email FROM shop.people
CREATE VIEW above AS SELECT n.name, o.total FROM shop.names n JOIN shop.orders o ON o.person = n.id
CREATE RECURSIVE VIEW counted (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counted WHERE n < 5
CREATE TEMPORARY VIEW passing AS SELECT a FROM scratch
CREATE MATERIALIZED VIEW sums AS SELECT person, sum(total) AS total FROM shop.orders GROUP BY person
CREATE UNIQUE INDEX sums_person ON sums (person)
CREATE INDEX people_lower ON shop.people (lower(name)) WHERE born IS NOT NULL
CREATE INDEX CONCURRENTLY orders_at ON shop.orders USING brin (at)
CREATE SEQUENCE numbers START 10 INCREMENT 5
CREATE STATISTICS dependent (ndistinct) ON person, total FROM shop.orders
-- Rows go in.
INSERT INTO shop.people (name, email, born) VALUES ('Ada', 'ada@example.org', '1815-12-10'), ('Grace', 'grace@example.org', NULL)
INSERT INTO shop.people (name) SELECT 'person ' || n FROM generate_series(1, 20) n
INSERT INTO shop.orders SELECT n, 1 + n % 2, n * 1.5 FROM generate_series(1, 30) n RETURNING id, total
INSERT INTO shop.orders VALUES (1, 1, 3) ON CONFLICT (id) DO UPDATE SET total = excluded.total WHERE orders.total < 100
INSERT INTO shop.orders VALUES (1, 1, 3) ON CONFLICT DO NOTHING
INSERT INTO scratch DEFAULT VALUES
INSERT INTO scratch (a, b) VALUES (1, 'x'), (2, DEFAULT)
INSERT INTO mine SELECT a, b FROM scratch WHERE a IS NOT NULL
INSERT INTO parts SELECT n, '2026-06-01'::date + n, 'x' FROM generate_series(1, 60) n
INSERT INTO parent VALUES (1, 'p')
INSERT INTO child VALUES (2, 'c', 3)
WITH new AS (INSERT INTO scratch (a) VALUES (7) RETURNING a) INSERT INTO mine SELECT a, 'from with' FROM new
INSERT INTO shop.names (name) VALUES ('through a view')
-- Queries.
SELECT 1
SELECT
VALUES (1, 2), (3, 4)
TABLE shop.people
SELECT * FROM shop.people ORDER BY id LIMIT 3 OFFSET 1
SELECT DISTINCT ON (person) person, total FROM shop.orders ORDER BY person, total DESC
SELECT p.name, count(*) FROM shop.people p LEFT JOIN shop.orders o ON o.person = p.id GROUP BY p.name HAVING count(*) > 1
SELECT name FROM shop.names WHERE id < 5
SELECT * FROM above
SELECT * FROM counted
SELECT a FROM passing
SELECT total FROM sums #! plan shop.orders: rows of it were put by
SELECT id FROM shop.people UNION SELECT person FROM shop.orders
SELECT id FROM shop.people EXCEPT ALL SELECT person FROM shop.orders INTERSECT SELECT a FROM scratch
WITH big AS MATERIALIZED (SELECT * FROM shop.orders WHERE total > 10) SELECT p.name FROM shop.people p WHERE EXISTS (SELECT FROM big b WHERE b.person = p.id)
WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < (SELECT count(*) FROM scratch)) SELECT * FROM r
SELECT (SELECT max(total) FROM shop.orders o WHERE o.person = p.id) FROM shop.people p
SELECT * FROM shop.people p, LATERAL (SELECT total FROM shop.orders o WHERE o.person = p.id LIMIT 1) x
SELECT name, row_number() OVER (PARTITION BY born ORDER BY id) FROM shop.people
SELECT person, total, GROUPING(person, total) FROM shop.orders GROUP BY CUBE (person, total)
SELECT * FROM shop.people TABLESAMPLE BERNOULLI (50) REPEATABLE (7)
SELECT * FROM parts WHERE id < 5
SELECT * FROM ONLY parent
SELECT * FROM parent
SELECT * FROM generate_series(1, 3) WITH ORDINALITY AS t (a, b)
SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY['a', 'b'])) AS t (a, b)
SELECT * FROM json_to_recordset('[{"a": 1}]') AS x (a int)
SELECT * FROM xmltable('/r/a' PASSING ('<r><a>1</a></r>'::xml) COLUMNS a int PATH '.')
SELECT id FROM shop.orders WHERE id = 1 FOR UPDATE #! also session write: it locks
SELECT id FROM shop.orders o JOIN shop.people p USING (id) WHERE id = 1 FOR SHARE OF o SKIP LOCKED #! also session write: it locks
SELECT name FROM shop.people WHERE id = ANY (ARRAY(SELECT person FROM shop.orders))
SELECT CASE WHEN id > 1 THEN name ELSE (SELECT b FROM scratch LIMIT 1) END FROM shop.people
SELECT p FROM shop.people p
SELECT row_to_json(p) FROM shop.people p
SELECT relname FROM pg_class WHERE oid = 'shop.people'::regclass
SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop'
SELECT nextval('numbers') #! also write: the sequence goes on
SELECT currval('numbers'), lastval()
SELECT setval('numbers', 100) #! also write: the sequence goes on
SELECT last_value FROM numbers
SELECT set_config('application_name', 'kinds', false) #! also session: as SET does
SELECT pg_notify('news', 'hello') #! also session: as NOTIFY does
SELECT pg_advisory_lock(7), pg_advisory_unlock(7) #! also session: as LOCK does
SELECT pg_sleep(0) #! also session: it holds the session
SELECT lo_create(4711) #! also write: an object is made
SELECT lo_unlink(4711) #! also write destructive: an object goes
SELECT current_setting('server_version')
SELECT pg_cancel_backend(0) #! also session destructive: it ends what others do
-- Rows change and go.
UPDATE shop.people SET note = '{}' WHERE id = 1
UPDATE shop.people SET note = '{}'
UPDATE shop.people p SET name = o.total::text FROM shop.orders o WHERE o.person = p.id AND o.id = 3 RETURNING p.*, o.id
UPDATE shop.orders SET (total, at) = (SELECT 5, now()) WHERE id = 2
WITH old AS (SELECT id FROM shop.orders WHERE total > 40) UPDATE shop.orders SET total = 40 WHERE id IN (SELECT id FROM old)
UPDATE parts SET what = 'y' WHERE id < 3
UPDATE parent SET b = 'q'
UPDATE ONLY parent SET b = 'r'
UPDATE shop.names SET name = 'other' WHERE id = 2
DELETE FROM shop.orders WHERE id > 25
DELETE FROM shop.orders o USING shop.people p WHERE p.id = o.person AND p.name = 'nobody' RETURNING o.*
DELETE FROM scratch
DELETE FROM mine RETURNING *
UPDATE shop.people SET name = name WHERE id = 4 RETURNING email
DELETE FROM parts WHERE id = 50
WITH gone AS (DELETE FROM shop.orders WHERE id = 20 RETURNING *) SELECT count(*) FROM gone
WITH gone AS (DELETE FROM shop.orders WHERE id = 21 RETURNING id, person) INSERT INTO mine SELECT id, 'moved' FROM gone
WITH a AS (UPDATE shop.people SET note = NULL RETURNING id), b AS (SELECT max(id) AS m FROM shop.orders) SELECT * FROM a, b
MERGE INTO shop.orders o USING (VALUES (1, 9.5), (900, 1)) AS v (id, total) ON o.id = v.id WHEN MATCHED THEN UPDATE SET total = v.total WHEN NOT MATCHED THEN INSERT (id, person, total) VALUES (v.id, 1, v.total)
MERGE INTO shop.orders o USING mine m ON m.a = o.id WHEN MATCHED AND m.b = 'moved' THEN DELETE WHEN MATCHED THEN DO NOTHING #! also destructive: it deletes
MERGE INTO scratch s USING shop.people p ON p.id = s.a WHEN NOT MATCHED THEN INSERT (a, b) VALUES (p.id, p.name)
TRUNCATE scratch
TRUNCATE TABLE mine, child RESTART IDENTITY CASCADE
TRUNCATE ONLY parent
REFRESH MATERIALIZED VIEW sums
REFRESH MATERIALIZED VIEW CONCURRENTLY sums
-- COPY.
COPY shop.people TO STDOUT
COPY shop.people (id, name) TO STDOUT WITH (FORMAT csv, HEADER)
COPY (SELECT name FROM shop.names) TO STDOUT
COPY (DELETE FROM mine RETURNING a) TO STDOUT #! also write destructive: what it copies it deletes
COPY shop.people (name) FROM STDIN #! refused 57014: no data comes
COPY scratch (a) TO '/dev/null' #! kinds read file: the server writes a file
COPY scratch (a) FROM '/dev/null' #! kinds write file: the server reads a file
COPY scratch (a) TO PROGRAM 'cat > /dev/null' #! kinds read program: the server runs a program
COPY scratch (a) FROM PROGRAM 'true' #! kinds write program: the server runs a program
-- Settings, and what else a session keeps.
SET search_path = public, shop
SET LOCAL work_mem = '4MB'
SET TIME ZONE 'UTC'
SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE
SET client_min_messages TO warning
SET NAMES 'UTF8'
RESET client_min_messages
RESET ALL
SHOW search_path
SHOW ALL
SHOW TIME ZONE
SET ROLE postgres
RESET ROLE
SET SESSION AUTHORIZATION DEFAULT
DISCARD PLANS
DISCARD SEQUENCES
DISCARD TEMP
LISTEN news
NOTIFY news, 'payload'
UNLISTEN news
UNLISTEN *
LOAD 'plpgsql' #! also program: a library is code
CHECKPOINT #! also write: files are written
PREPARE find (int) AS SELECT name FROM shop.people WHERE id = $1
EXECUTE find (1)
PREPARE put (int, text) AS INSERT INTO scratch (a, b) VALUES ($1, $2) RETURNING a #! also read write: what is prepared will be run
EXECUTE put (1, 'x')
PREPARE cut AS DELETE FROM scratch #! also write destructive: what is prepared will be run
EXECUTE cut
CREATE TABLE run_into AS EXECUTE find (2)
DEALLOCATE find
DEALLOCATE PREPARE put
DEALLOCATE ALL
-- Transactions and cursors.
BEGIN
SAVEPOINT one
INSERT INTO scratch (a) VALUES (5)
ROLLBACK TO SAVEPOINT one
RELEASE SAVEPOINT one
SET TRANSACTION ISOLATION LEVEL READ COMMITTED
SET LOCAL statement_timeout = 0
SET CONSTRAINTS ALL DEFERRED
LOCK TABLE shop.people IN SHARE MODE #! also write: it keeps out who writes
LOCK shop.orders NOWAIT #! also write: it keeps out who writes
DECLARE c SCROLL CURSOR FOR SELECT id, name FROM shop.people ORDER BY id
FETCH 2 FROM c
FETCH BACKWARD 1 IN c
MOVE FORWARD 3 FROM c
FETCH ALL c
CLOSE c
DECLARE held CURSOR WITH HOLD FOR SELECT total FROM above
DECLARE u CURSOR FOR SELECT * FROM shop.orders WHERE id < 3 FOR UPDATE #! also session write: it locks, as who writes does
FETCH u #! also write: it locks, as who writes does
UPDATE shop.orders SET total = 1 WHERE CURRENT OF u #! also session: its cursor locks
DELETE FROM shop.orders WHERE CURRENT OF u #! also session: its cursor locks
COMMIT
FETCH 1 FROM held
CLOSE ALL
START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY
COMMIT AND CHAIN
ROLLBACK AND CHAIN
ABORT
BEGIN WORK
END
BEGIN READ WRITE
SELECT 1/0 #! refused 22012: the transaction has failed
ROLLBACK
BEGIN
SELECT 1/0 #! refused 22012: the transaction has failed
COMMIT #! verb ROLLBACK: a failed transaction cannot be committed
-- Names that mean something else than they seem to.
CREATE TEMP TABLE mine (a int, b text)
WITH people AS (SELECT 1 AS id) SELECT * FROM people
WITH people AS (SELECT 1 AS id) SELECT * FROM shop.people
WITH people AS (SELECT id FROM shop.people) SELECT * FROM people JOIN shop.orders o ON o.person = people.id
SELECT * FROM (WITH x AS (SELECT person FROM shop.orders) SELECT * FROM x) y, (WITH x AS (SELECT a FROM mine) SELECT * FROM x) z
SELECT * FROM "shop"."people" WHERE "id" = 1
SELECT * FROM SHOP.People
SELECT * FROM U&"sh\006fp".U&"people"
SELECT * FROM orders.shop.people
SET search_path = shop
SELECT * FROM people
INSERT INTO orders SELECT id + 1000, id, 0 FROM people
CREATE TEMP TABLE people (id int)
SELECT * FROM people
INSERT INTO people VALUES (1)
DROP TABLE pg_temp.people
SELECT * FROM people
SELECT * FROM public.mine #! refused 42P01: it is temporary, and elsewhere
SELECT * FROM pg_temp.mine
RESET search_path
BEGIN; SET LOCAL search_path = shop; SELECT id FROM people; COMMIT
SELECT * FROM people #! refused 42P01: the path is as it was
-- Queries where one does not look for them.
SELECT 1 LIMIT (SELECT count(*) FROM shop.orders)
SELECT name FROM shop.people ORDER BY (SELECT max(total) FROM shop.orders)
SELECT count(*) FILTER (WHERE id IN (SELECT person FROM shop.orders)) FROM shop.people
VALUES ((SELECT max(id) FROM shop.people))
SELECT ARRAY(SELECT id FROM shop.orders), (SELECT ARRAY[max(a)] FROM mine)
SELECT sum(id) OVER (ORDER BY (SELECT max(a) FROM mine)) FROM shop.people
SELECT greatest(1, (SELECT max(id) FROM shop.people)), coalesce((SELECT b FROM scratch LIMIT 1), 'x')
SELECT * FROM shop.people p JOIN shop.orders o ON o.id = (SELECT max(a) FROM mine)
SELECT * FROM generate_series(1, (SELECT max(id)::int FROM shop.people))
SELECT (1, 2) IN (SELECT id, person FROM shop.orders)
SELECT (ARRAY[1, 2])[(SELECT max(a) FROM mine)]
SELECT xmlelement(name x, (SELECT max(name) FROM shop.people))
SELECT json_build_object('a', (SELECT json_agg(o) FROM shop.orders o))
SELECT max(id) FROM shop.people GROUP BY (SELECT 1 FROM mine LIMIT 1)
SELECT max(id) FROM shop.people HAVING max(id) > (SELECT count(*) FROM shop.orders)
INSERT INTO scratch (a) VALUES ((SELECT max(id) FROM shop.people))
INSERT INTO scratch (a) VALUES (1) RETURNING (SELECT max(name) FROM shop.people)
INSERT INTO shop.orders VALUES (2, 1, 3) ON CONFLICT (id) DO UPDATE SET total = (SELECT max(a) FROM mine) WHERE EXISTS (SELECT FROM scratch)
UPDATE scratch SET b = (SELECT name FROM shop.people WHERE id = scratch.a)
UPDATE shop.orders SET total = DEFAULT WHERE person IN (SELECT id FROM shop.names)
DELETE FROM mine WHERE a NOT IN (SELECT person FROM shop.orders)
DELETE FROM ONLY parent WHERE a = (SELECT max(id) FROM shop.people)
MERGE INTO scratch s USING (SELECT id FROM shop.names) n ON n.id = s.a WHEN MATCHED THEN UPDATE SET b = (SELECT max(b) FROM mine)
COPY (SELECT a FROM mine WHERE a IN (SELECT id FROM shop.people)) TO STDOUT
COPY (UPDATE mine SET a = a RETURNING *) TO STDOUT #! also write: what it copies it changes
WITH a AS (SELECT * FROM shop.people), b AS (DELETE FROM mine WHERE a IN (SELECT id FROM a) RETURNING *) TABLE b
WITH a AS (INSERT INTO mine VALUES (1) RETURNING a), b AS (UPDATE scratch SET a = 1 RETURNING a), c AS (DELETE FROM taken RETURNING one) SELECT 1
SELECT * INTO TEMP aside FROM shop.people
CREATE TABLE with_cte AS WITH x AS (SELECT * FROM shop.orders) SELECT * FROM x
CREATE TEMP TABLE from_values AS VALUES (1)
SELECT * FROM shop.orders o WHERE o.id = 1 FOR NO KEY UPDATE NOWAIT #! also session write: it locks
SELECT * FROM (SELECT id FROM shop.people FOR KEY SHARE) x #! also session write: it locks
-- Where writing one table writes another.
CREATE TABLE log (what text)
CREATE RULE logged AS ON INSERT TO taken DO ALSO INSERT INTO log VALUES ('x')
INSERT INTO taken VALUES (9, 'y')
CREATE RULE elsewhere AS ON DELETE TO taken DO INSTEAD UPDATE listed SET column2 = 'gone'
DELETE FROM taken #! plan public.taken: a rule stands in for it, which is said to be unknown
CREATE VIEW two AS SELECT a.id, b.total FROM shop.people a JOIN shop.orders b ON b.person = a.id
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES ('instead'); RETURN NEW; END$$
CREATE TRIGGER instead INSTEAD OF INSERT ON two FOR EACH ROW EXECUTE FUNCTION instead()
INSERT INTO two VALUES (1, 2) #! plan shop.orders shop.people: a trigger stands in for them, and triggers are not followed
CREATE VIEW checked AS SELECT * FROM shop.names WHERE id < 100 WITH LOCAL CHECK OPTION
UPDATE checked SET name = 'seen' WHERE id = 3
DELETE FROM checked WHERE id = 4711
DROP VIEW checked, two
DROP FUNCTION instead
-- Plans of what is not run, and of what is.
PREPARE removal AS DELETE FROM mine RETURNING a #! also read write destructive: what is prepared will be run
EXPLAIN EXECUTE removal #! also write destructive: what is named counts as run, planned or not
EXPLAIN ANALYZE EXECUTE removal #! also write destructive: it is run
EXPLAIN VERBOSE UPDATE scratch SET a = 1
EXPLAIN (ANALYZE on, BUFFERS) UPDATE scratch SET a = 1 #! also write: it is run
EXPLAIN (ANALYZE TRUE) DELETE FROM mine #! also write destructive: it is run
EXPLAIN (ANALYZE 1, FORMAT yaml) SELECT nextval('numbers') #! also write: it is run
EXPLAIN (ANALYZE 0) DELETE FROM mine
EXPLAIN DECLARE x CURSOR FOR SELECT * FROM shop.people
EXPLAIN CREATE TABLE not_made AS SELECT * FROM shop.people
EXPLAIN ANALYZE CREATE MATERIALIZED VIEW made AS SELECT 1 AS n #! also ddl write: it is run
DEALLOCATE removal
CREATE SCHEMA together CREATE TABLE ta (n int) CREATE VIEW va AS SELECT n FROM ta GRANT SELECT ON ta TO PUBLIC #! also dcl: it grants
DROP SCHEMA together CASCADE
-- Code.
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * n'
CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$
CREATE FUNCTION of_people() RETURNS SETOF shop.people LANGUAGE sql BEGIN ATOMIC SELECT * FROM shop.people; END
CREATE PROCEDURE work(n int) LANGUAGE plpgsql AS $$BEGIN INSERT INTO scratch (a) VALUES (n); END$$
CREATE PROCEDURE quiet() LANGUAGE sql AS 'SELECT 1'
SELECT twice(21)
SELECT name FROM of_people()
CALL work(3)
CALL quiet()
DO $$BEGIN PERFORM 1; END$$
DO LANGUAGE plpgsql 'BEGIN INSERT INTO scratch (a) VALUES (4); END'
CREATE AGGREGATE total_of (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0')
SELECT total_of(a) FROM scratch
CREATE TRIGGER touched BEFORE UPDATE ON shop.people FOR EACH ROW EXECUTE FUNCTION touch()
CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION no_such() #! refused 42883: there is no such function
CREATE FUNCTION watched() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'
CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION watched()
ALTER EVENT TRIGGER watch DISABLE
DROP EVENT TRIGGER watch
CREATE RULE quiet_rule AS ON INSERT TO typed DO INSTEAD NOTHING
DROP RULE quiet_rule ON typed
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)
ALTER OPERATOR === (int, int) SET (RESTRICT = eqsel)
CREATE OPERATOR FAMILY fam USING btree
ALTER OPERATOR FAMILY fam USING btree RENAME TO family
CREATE OPERATOR CLASS cls FOR TYPE pair USING btree FAMILY family AS OPERATOR 1 <(record, record), FUNCTION 1 btrecordcmp(record, record)
DROP OPERATOR CLASS cls USING btree
DROP OPERATOR FAMILY family USING btree
DROP OPERATOR === (int, int)
CREATE CAST (pair AS text) WITH INOUT AS ASSIGNMENT
DROP CAST (pair AS text)
CREATE CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8
DROP CONVERSION conv
CREATE LANGUAGE plsample HANDLER plpgsql_call_handler
DROP LANGUAGE plsample
CREATE TRANSFORM FOR int LANGUAGE plpgsql (FROM SQL WITH FUNCTION prsd_lextype(internal))
DROP TRANSFORM FOR int LANGUAGE plpgsql
CREATE ACCESS METHOD another TYPE INDEX HANDLER bthandler
DROP ACCESS METHOD another
-- Types, text search and the rest.
CREATE TYPE state AS ENUM ('new', 'old')
ALTER TYPE state ADD VALUE 'older' AFTER 'old'
ALTER TYPE state RENAME VALUE 'new' TO 'young'
CREATE TYPE spanned AS RANGE (SUBTYPE = float8)
CREATE TYPE shell
DROP TYPE shell
CREATE DOMAIN email AS text CHECK (VALUE ~ '@')
ALTER DOMAIN email SET NOT NULL
ALTER DOMAIN email ADD CONSTRAINT short CHECK (length(VALUE) < 100)
CREATE COLLATION german FROM "C"
ALTER COLLATION german RENAME TO deutsch
DROP COLLATION deutsch
CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple)
ALTER TEXT SEARCH DICTIONARY dict (ACCEPT = false)
CREATE TEXT SEARCH CONFIGURATION conf (COPY = simple)
ALTER TEXT SEARCH CONFIGURATION conf ALTER MAPPING FOR word WITH dict
DROP TEXT SEARCH CONFIGURATION conf
DROP TEXT SEARCH DICTIONARY dict
CREATE EXTENSION citext
ALTER EXTENSION citext SET SCHEMA shop #! kinds ddl: its code stays as it is
ALTER EXTENSION citext UPDATE
COMMENT ON EXTENSION citext IS 'text'
DROP EXTENSION citext
CREATE EXTENSION file_fdw
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw
ALTER SERVER files OPTIONS (ADD nonsense 'x') #! refused HV00D: no such option
CREATE FOREIGN TABLE passwd (line text) SERVER files OPTIONS (filename '/etc/hostname')
SELECT line FROM passwd
ALTER FOREIGN TABLE passwd OPTIONS (SET filename '/dev/null')
DROP FOREIGN TABLE passwd
CREATE USER MAPPING FOR CURRENT_USER SERVER files
DROP USER MAPPING FOR CURRENT_USER SERVER files
DROP SERVER files
CREATE FOREIGN DATA WRAPPER nothing
ALTER FOREIGN DATA WRAPPER nothing OPTIONS (a 'b')
DROP FOREIGN DATA WRAPPER nothing
DROP EXTENSION file_fdw
CREATE PUBLICATION told FOR TABLE shop.people
ALTER PUBLICATION told ADD TABLE shop.orders
DROP PUBLICATION told
CREATE SUBSCRIPTION heard CONNECTION 'dbname=nowhere' PUBLICATION told WITH (connect = false)
ALTER SUBSCRIPTION heard DISABLE
ALTER SUBSCRIPTION heard SET (slot_name = NONE)
DROP SUBSCRIPTION heard
SECURITY LABEL ON TABLE scratch IS 'secret' #! refused 22023: no provider is loaded
-- Objects change.
ALTER TABLE shop.people ADD COLUMN extra int DEFAULT 3
ALTER TABLE shop.people ALTER COLUMN extra TYPE bigint, ALTER COLUMN extra SET NOT NULL
ALTER TABLE shop.people RENAME COLUMN extra TO more
ALTER TABLE shop.people DROP COLUMN more #! also destructive: values go with it
ALTER TABLE shop.people ADD CONSTRAINT named CHECK (name <> '') NOT VALID
ALTER TABLE shop.people VALIDATE CONSTRAINT named
ALTER TABLE shop.people DROP CONSTRAINT named
ALTER TABLE shop.people DISABLE TRIGGER touched
ALTER TABLE shop.people CLUSTER ON people_pkey
ALTER TABLE scratch RENAME TO scrap
ALTER TABLE scrap RENAME TO scratch
ALTER TABLE scratch SET SCHEMA shop
ALTER TABLE shop.scratch SET SCHEMA public
ALTER TABLE scratch SET LOGGED
ALTER TABLE parts DETACH PARTITION parts_rest
ALTER TABLE parts ATTACH PARTITION parts_rest DEFAULT
ALTER TABLE child NO INHERIT parent
ALTER TABLE shop.people ENABLE ROW LEVEL SECURITY #! also dcl: who sees what changes
CREATE POLICY own ON shop.people USING (name = current_user)
ALTER POLICY own ON shop.people USING (true)
DROP POLICY own ON shop.people
ALTER INDEX shop.people_lower RENAME TO people_lowered
ALTER INDEX shop.people_lowered SET (fillfactor = 70)
ALTER VIEW shop.names ALTER COLUMN name SET DEFAULT 'x'
ALTER VIEW shop.names RENAME TO called
ALTER MATERIALIZED VIEW sums RENAME TO totals
ALTER SEQUENCE numbers RESTART WITH 3
ALTER STATISTICS dependent SET STATISTICS 100
ALTER FUNCTION twice(int) STABLE
ALTER FUNCTION twice(int) RENAME TO doubled
ALTER PROCEDURE quiet() SET search_path = public
ALTER ROUTINE doubled(int) COST 5
ALTER AGGREGATE total_of (int) RENAME TO all_of
ALTER TRIGGER touched ON shop.people RENAME TO was_touched
ALTER TYPE pair ADD ATTRIBUTE z int CASCADE
ALTER TYPE pair DROP ATTRIBUTE z CASCADE #! also destructive: values go with it
ALTER SCHEMA shop RENAME TO store
ALTER SCHEMA store RENAME TO shop
COMMENT ON TABLE shop.people IS 'who'
COMMENT ON COLUMN shop.people.name IS NULL
-- Who may do what.
CREATE ROLE kinds_reader NOLOGIN
CREATE USER kinds_user PASSWORD 'x'
CREATE GROUP kinds_group
ALTER ROLE kinds_reader CREATEDB
ALTER USER kinds_user SET work_mem = '4MB'
ALTER GROUP kinds_group ADD USER kinds_user
GRANT kinds_reader TO kinds_user
REVOKE kinds_reader FROM kinds_user
GRANT SELECT, UPDATE ON shop.people TO kinds_reader
GRANT SELECT (name) ON shop.people TO PUBLIC
GRANT USAGE ON SCHEMA shop TO kinds_reader WITH GRANT OPTION
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO kinds_reader
GRANT SET ON PARAMETER work_mem TO kinds_reader
REVOKE ALL ON shop.people FROM kinds_reader CASCADE
REVOKE SET ON PARAMETER work_mem FROM kinds_reader
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO kinds_reader
ALTER DEFAULT PRIVILEGES IN SCHEMA shop REVOKE SELECT ON TABLES FROM kinds_reader
ALTER TABLE scratch OWNER TO kinds_user #! also dcl: an owner may do everything
ALTER FUNCTION doubled(int) OWNER TO kinds_user #! kinds dcl: an owner may do everything
ALTER SCHEMA shop OWNER TO kinds_user #! kinds dcl: an owner may do everything
REASSIGN OWNED BY kinds_user TO CURRENT_USER
DROP OWNED BY kinds_user, kinds_reader
DROP ROLE kinds_reader
DROP USER kinds_user
DROP GROUP kinds_group
-- Upkeep.
VACUUM shop.people
VACUUM (FULL, ANALYZE) scratch
ANALYZE
ANALYZE shop.people (name)
REINDEX TABLE shop.people
REINDEX INDEX CONCURRENTLY shop.people_lowered
REINDEX SCHEMA shop
CLUSTER shop.people
CLUSTER
ALTER SYSTEM SET work_mem = '5MB'
ALTER SYSTEM RESET work_mem
CREATE DATABASE kinds_other
ALTER DATABASE kinds_other SET work_mem = '4MB'
ALTER DATABASE kinds_other RENAME TO kinds_another
DROP DATABASE kinds_another WITH (FORCE)
EXPLAIN SELECT * FROM shop.people
EXPLAIN (FORMAT JSON) DELETE FROM shop.orders
EXPLAIN ANALYZE SELECT name FROM shop.people
EXPLAIN (ANALYZE, COSTS off, TIMING off) INSERT INTO scratch (a) SELECT id FROM shop.people #! also write: it is run
EXPLAIN (ANALYZE false) DELETE FROM shop.orders WHERE id = 1
EXPLAIN ANALYZE CREATE TABLE explained AS SELECT 1 AS n #! also ddl write: it is run
-- Two phases, where the server allows them: it does not, here.
BEGIN
PREPARE TRANSACTION 'kinds' #! refused 55000: none are allowed; also write: it outlives the session
ROLLBACK PREPARED 'kinds' #! refused 42704: there is none; also write: it outlives the session
COMMIT PREPARED 'kinds' #! refused 42704: there is none; also write: it outlives the session
-- Several in a message.
SELECT 1; SELECT 2; SELECT 3
INSERT INTO scratch (a) VALUES (1); UPDATE scratch SET a = 2 WHERE a = 1; DELETE FROM scratch WHERE a = 2; SELECT count(*) FROM scratch
BEGIN; CREATE TABLE soon (n int); INSERT INTO soon VALUES (1); SELECT n FROM soon; DROP TABLE soon; COMMIT
CREATE TEMP TABLE t1 (n int); INSERT INTO t1 VALUES (1); SELECT * FROM t1
;;
;SELECT 1;;
/* nothing */ -- at all
SELECT ';', $$;$$, E'\';' ; SELECT 2 -- ;
SET work_mem = '8MB'; SHOW work_mem; RESET work_mem
PREPARE several AS SELECT 1; EXECUTE several; DEALLOCATE several
BEGIN; DECLARE q CURSOR FOR SELECT id FROM shop.people; FETCH 1 FROM q; CLOSE q; COMMIT
COPY (SELECT 1) TO STDOUT; SELECT 2; COPY shop.people TO STDOUT
GRANT SELECT ON scratch TO PUBLIC; REVOKE SELECT ON scratch FROM PUBLIC
-- Everything goes.
DROP TRIGGER was_touched ON shop.people
DROP FUNCTION touch(), doubled(int), of_people()
DROP PROCEDURE work(int), quiet
DROP ROUTINE watched()
DROP AGGREGATE all_of (int)
DROP INDEX shop.people_lowered
DROP INDEX CONCURRENTLY shop.orders_at
DROP STATISTICS dependent
DROP MATERIALIZED VIEW totals
DROP VIEW above, shop.called
DROP VIEW IF EXISTS never
DROP SEQUENCE numbers
DROP DOMAIN email
DROP TYPE state, spanned
DROP TABLE scratch, parts, parent, child CASCADE
DROP SCHEMA shop CASCADE
DISCARD ALL
