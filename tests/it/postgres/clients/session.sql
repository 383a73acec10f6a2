-- What people and scripts do in psql, with output that is the same each time.
\set VERBOSITY verbose
\set SHOW_CONTEXT always
\pset null '(null)'
SELECT current_user, current_database(), current_setting('server_encoding');
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text UNIQUE, born date, balance numeric(12, 2), note jsonb);
CREATE TABLE parts (id serial PRIMARY KEY, tags text[], span int4range, raw bytea, at timestamptz, pair point);
INSERT INTO customers VALUES
    (1, 'Ada', 'ada@example.org', '1815-12-10', 12.50, '{"vip": true}'),
    (2, 'Grace', 'grace@example.org', '1906-12-09', -3, NULL),
    (3, E'O''Neil\twith\ttabs', NULL, NULL, 0, '[]');
INSERT INTO parts (tags, span, raw, at, pair) VALUES
    ('{a,b,NULL,"c d"}', '[1,5)', '\x00ff10', '2026-01-31 12:00:00+02', '(1.5,-2)') RETURNING *;
\d customers
\dt
SELECT * FROM customers ORDER BY id;
SELECT count(*), sum(balance) FROM customers;
-- Several statements in one message, with results of each.
SELECT 1 AS one\; SELECT 2 AS two WHERE false\; SELECT 3 AS three;
-- Errors, and what follows them.
SELECT 1/0;
SELECT nonsense FROM customers;
INSERT INTO customers VALUES (1, 'Twice', NULL, NULL, 0, NULL);
SELECT 1\; SELECT 1/0\; SELECT 2;
BEGIN;
INSERT INTO customers VALUES (4, 'Gone', NULL, NULL, 0, NULL);
SELECT broken;
SELECT 1;
ROLLBACK;
SELECT count(*) FROM customers;
BEGIN;
SAVEPOINT s;
SELECT broken;
ROLLBACK TO s;
UPDATE customers SET balance = balance + 1 WHERE id < 3;
COMMIT;
-- Notices and warnings.
DO $$BEGIN RAISE NOTICE 'a notice: %', 42; RAISE WARNING 'a warning'; END$$;
DROP TABLE IF EXISTS never;
ROLLBACK;
-- The extended protocol.
PREPARE find (int) AS SELECT name FROM customers WHERE id = $1;
EXECUTE find(1);
EXECUTE find(99);
DEALLOCATE find;
EXECUTE find(1);
-- COPY in and out, and one that fails.
COPY customers FROM STDIN;
10	Edsger	edsger@example.org	1930-05-11	1.00	{"a": [1, 2]}
11	Barbara	\N	\N	\N	\N
\.
COPY customers (id, name) FROM STDIN;
12	Tony
not a number	Fails
\.
COPY customers TO STDOUT;
COPY (SELECT id, name FROM customers ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER);
\copy parts TO STDOUT
-- Cursors.
BEGIN;
DECLARE c CURSOR FOR SELECT generate_series(1, 10) AS n;
FETCH 3 FROM c;
FETCH BACKWARD 1 FROM c;
MOVE 5 FROM c;
FETCH ALL FROM c;
CLOSE c;
COMMIT;
\set FETCH_COUNT 4
SELECT generate_series(1, 10) AS fetched;
\unset FETCH_COUNT
-- Parameters that the server reports, and encodings.
SET client_encoding = 'LATIN1';
SELECT 'ä' = U&'\00e4' AS same;
RESET client_encoding;
SET application_name = 'another name';
SHOW application_name;
SELECT repeat('x', 100000) AS long \g (format=unaligned tuples_only=on) | wc -c
-- Describing without running, and results as commands.
SELECT 1::int AS a, 'x'::varchar(7) AS b, now() AS c \gdesc
SELECT 'SELECT ' || generate_series(1, 3) \gexec
-- Large objects and functions.
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
SELECT twice(21);
LISTEN news;
NOTIFY news;
VACUUM customers;
EXPLAIN (COSTS off) SELECT * FROM customers WHERE id = 1;
SELECT;
;
SELECT 'the last line';
