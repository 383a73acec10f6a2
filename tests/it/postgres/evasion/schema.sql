-- What the corpora are about: protected values in every kind of column, and ways to them that were there before.
CREATE TABLE users (
    id int PRIMARY KEY,
    name text NOT NULL,
    ssn text UNIQUE CONSTRAINT ssn_is_long CHECK (length(ssn) >= 11),
    note text
);
INSERT INTO users VALUES
    (1, 'ada', '871-62-5394', 'first'), (2, 'grace', '342-19-7785', 'second'), (3, 'alan', '615-84-2093', NULL);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, total numeric(10, 2), card text, placed date);
INSERT INTO orders VALUES
    (10, 1, 9.50, '4929471650381726', '2024-02-03'), (11, 2, 120, '5310882746195037', '2024-05-06'),
    (12, 2, 3.25, '4929471650381726', '2024-07-08');
CREATE TABLE notes (
    id int PRIMARY KEY, title text, body varchar(200), n bigint, amount numeric, ratio float8, tags text[], doc jsonb,
    at timestamptz, day date, flag bool, key uuid, bytes bytea
);
INSERT INTO notes VALUES
    (1, 'one', 'a body', 7, 1.25, 0.5, '{red,green}', '{"a": [1, 2]}', '2024-01-02 03:04:05+00', '2024-01-02', true,
     '6fa459ea-ee8a-3ca4-894e-db77e160355e', '\x00ff'),
    (2, 'two', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (3, 'drei', 'ein Körper', -9, 1e20, 'NaN', '{}', '[]', 'infinity', '-infinity', false,
     '00000000-0000-0000-0000-000000000000', '\x');

-- Protected values of other types.
CREATE TYPE pair AS (left_half text, right_half int);
CREATE DOMAIN ssn_text AS text CHECK (VALUE ~ '^[0-9-]*$');
CREATE TYPE mood AS ENUM ('ssn 871-62-5394', 'calm');
CREATE TABLE vault (
    id int PRIMARY KEY, num bigint, amount numeric, doc jsonb, plain json, list text[], nums int[], pair pair, bytes bytea,
    day timestamptz, span int8range, spans int8multirange, dom ssn_text, chars char(11), markup xml, vector tsvector,
    mood mood, ratio float8, place inet
);
INSERT INTO vault VALUES (
    1, 871625394, 871625394.871625394, '{"ssn": "871-62-5394", "n": 871625394, "871-62-5394": []}', '{"ssn": "871-62-5394"}',
    '{871-62-5394,615-84-2093}', '{871625394,615842093}', ROW('871-62-5394', 871625394), '871-62-5394',
    'epoch'::timestamptz + 871625394 * interval '1 s', '[871625394,871625395)', '{[871625394,871625395)}', '871-62-5394',
    '871-62-5394', '<ssn>871-62-5394</ssn>', to_tsvector('simple', '871-62-5394 is 871625394'), 'ssn 871-62-5394',
    871625394, '8.71.62.53'
);

-- Ways to them.
CREATE TABLE derived (id int, ssn text, tail text GENERATED ALWAYS AS (right(ssn, 11)) STORED);
INSERT INTO derived VALUES (1, '871-62-5394');
CREATE VIEW people AS SELECT id, name AS called, ssn AS s FROM users;
CREATE VIEW people_of_people AS SELECT upper(s) AS up, called FROM people WHERE id > 0;
CREATE VIEW barred WITH (security_barrier) AS SELECT ssn AS n, id FROM users WHERE id = 1;
CREATE VIEW whole AS SELECT u, u.id FROM users u;
CREATE VIEW united AS SELECT title AS t FROM notes UNION ALL SELECT ssn FROM users;
CREATE RECURSIVE VIEW counted (n, v) AS SELECT 1, (SELECT min(ssn) FROM users) UNION ALL SELECT n + 1, v FROM counted WHERE n < 3;
CREATE MATERIALIZED VIEW frozen AS SELECT id, ssn AS kept FROM users;
CREATE TABLE users_old (since date) INHERITS (users);
INSERT INTO users_old (id, name, ssn, note) VALUES (4, 'old', '538-07-1946', 'child');
CREATE TABLE parts (id int, ssn text) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10);
INSERT INTO parts VALUES (1, '871-62-5394');
CREATE SCHEMA hr;
CREATE TABLE hr.users (id int, ssn text);
INSERT INTO hr.users VALUES (1, 'no number');
CREATE FUNCTION ssn_of(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ssn FROM users WHERE id = $1';
CREATE FUNCTION ssn_pure(int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT ssn FROM users WHERE id = $1); END';
CREATE FUNCTION ssn_atomic(int) RETURNS text BEGIN ATOMIC SELECT ssn FROM users WHERE users.id = $1; END;
CREATE FUNCTION all_of_them() RETURNS SETOF users LANGUAGE sql AS 'SELECT * FROM users';
CREATE FUNCTION two_of_them(OUT a text, OUT b text) LANGUAGE plpgsql AS 'BEGIN SELECT min(ssn), max(ssn) INTO a, b FROM users; END';
CREATE FUNCTION said() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', (SELECT min(ssn) FROM users); END $$;
CREATE FUNCTION thrown() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'x' USING DETAIL = (SELECT min(ssn) FROM users), HINT = (SELECT max(ssn) FROM users), ERRCODE = 'P9999'; END $$;
CREATE FUNCTION thrown_in_names() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'x' USING COLUMN = (SELECT min(ssn) FROM users), CONSTRAINT = (SELECT max(ssn) FROM users), DATATYPE = (SELECT min(ssn) FROM users), TABLE = (SELECT min(ssn) FROM users), SCHEMA = (SELECT min(ssn) FROM users); END $$;
CREATE FUNCTION thrown_in_code() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = (SELECT left(replace(min(ssn), '-', ''), 5) FROM users); END $$;
CREATE FUNCTION told() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('ears', (SELECT min(ssn) FROM users)); END $$;
CREATE FUNCTION named() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('application_name', (SELECT min(ssn) FROM users), false); END $$;
CREATE FUNCTION put_by() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('my.value', (SELECT min(ssn) FROM users), false); END $$;
CREATE FUNCTION opened() RETURNS refcursor LANGUAGE plpgsql AS $$ DECLARE c refcursor := 'held'; BEGIN OPEN c FOR SELECT ssn FROM users; RETURN c; END $$;
CREATE PROCEDURE handed(INOUT v text) LANGUAGE plpgsql AS $$ BEGIN v := (SELECT min(ssn) FROM users); END $$;
CREATE FUNCTION glue(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1 || (SELECT min(ssn) FROM public.users)';
CREATE OPERATOR ||| (FUNCTION = glue, LEFTARG = text, RIGHTARG = text);
CREATE AGGREGATE glued(text) (SFUNC = glue, STYPE = text, INITCOND = '');
CREATE FUNCTION to_users(int) RETURNS users LANGUAGE sql AS 'SELECT u FROM users u WHERE id = $1';
CREATE CAST (int AS users) WITH FUNCTION to_users(int);
SELECT lo_from_bytea(4711, '871-62-5394');
CREATE INDEX by_end ON users (right(ssn, 11));
CREATE STATISTICS both_of (mcv) ON name, ssn FROM users;
INSERT INTO users (id, name, ssn) SELECT i, 'extra', '871-62-5394-' || i FROM generate_series(100, 140) i;
ANALYZE;
DELETE FROM users WHERE id >= 100;

-- What must not be changed.
CREATE TABLE ledger (id int PRIMARY KEY, amount int);
INSERT INTO ledger VALUES (1, 100), (2, 200);
CREATE VIEW balance AS SELECT id AS no, amount AS sum FROM ledger;
CREATE VIEW window_of AS SELECT max(id) AS m FROM ledger;
CREATE FUNCTION into_ledger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO ledger VALUES (NEW.m, 0); RETURN NEW; END';
CREATE TRIGGER instead INSTEAD OF INSERT ON window_of FOR EACH ROW EXECUTE FUNCTION into_ledger();
CREATE VIEW ruled AS SELECT 1 AS m;
CREATE RULE goes_elsewhere AS ON INSERT TO ruled DO INSTEAD INSERT INTO ledger VALUES (NEW.m, 0);
CREATE TABLE inbox (id int, text text);
CREATE RULE also AS ON INSERT TO inbox DO ALSO UPDATE ledger SET amount = 0;
CREATE TABLE outbox (id int, text text);
CREATE FUNCTION zero() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE ledger SET amount = 0; RETURN NEW; END';
CREATE TRIGGER zeroing BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION zero();
CREATE TABLE head (id int PRIMARY KEY);
INSERT INTO head VALUES (5);
ALTER TABLE ledger ADD COLUMN of int DEFAULT NULL REFERENCES head ON DELETE CASCADE;
INSERT INTO ledger VALUES (3, 300, 5);
CREATE TABLE ledger_part (CHECK (id > 1000)) INHERITS (ledger);
INSERT INTO ledger_part VALUES (1001, 5);
CREATE FUNCTION spend() RETURNS int LANGUAGE sql AS 'UPDATE ledger SET amount = 0; SELECT 1';
CREATE FUNCTION spend_atomic() RETURNS int BEGIN ATOMIC UPDATE ledger SET amount = 0; SELECT 1; END;
CREATE FUNCTION spend_pl(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM ledger; RETURN 1; END';
CREATE FUNCTION spend_two(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM ledger; RETURN 1; END';
CREATE OPERATOR <-> (FUNCTION = spend_two, LEFTARG = int, RIGHTARG = int);
CREATE AGGREGATE spent(int) (SFUNC = spend_two, STYPE = int, INITCOND = '1');
CREATE PROCEDURE spend_all() LANGUAGE plpgsql AS 'BEGIN DELETE FROM ledger; COMMIT; END';
CREATE TABLE lists (id int, text text);
INSERT INTO lists VALUES (1, 'a'), (2, 'b');

-- What a server does late, or to others: constraints that wait, and keys that act.
CREATE TABLE houses (id int PRIMARY KEY, name text);
INSERT INTO houses VALUES (1, 'first'), (2, 'second');
CREATE TABLE tenants (
    id int PRIMARY KEY, house int NOT NULL REFERENCES houses ON DELETE SET NULL ON UPDATE CASCADE, CHECK (house < 1000),
    ssn text UNIQUE DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO tenants VALUES (1, 1, '871-62-5394'), (2, 2, '342-19-7785');
