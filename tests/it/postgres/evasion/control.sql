#! What nobody protects comes back byte for byte, beside what is.
## plain
SELECT * FROM notes ORDER BY id
## every type by itself
SELECT id, title, body, n, amount, ratio, tags, doc, at, day, flag, key, bytes FROM notes ORDER BY id DESC
## rows
SELECT x FROM notes x ORDER BY id
## json
SELECT to_jsonb(x), row_to_json(x) FROM notes x ORDER BY id
## expressions
SELECT upper(title), n * 2, amount + 1, doc -> 'a', tags[1], day + 1, NOT flag FROM notes ORDER BY id
## aggregates
SELECT count(*), sum(n), string_agg(title, ',' ORDER BY id), array_agg(n ORDER BY id) FROM notes
## columns beside protected ones
SELECT id, name, note FROM users ORDER BY id
## columns beside protected ones in a star of a subquery
SELECT * FROM (SELECT id, name FROM users) u ORDER BY 1
## joined with a protected table
SELECT u.name, o.total, o.placed FROM users u JOIN orders o ON o.user_id = u.id ORDER BY o.id
## joined by using
SELECT id, title, name FROM notes JOIN users USING (id) ORDER BY id
## views
SELECT called, id FROM people ORDER BY id
## common tables
WITH a AS (SELECT id, name FROM users), b AS (SELECT id, title FROM notes) SELECT * FROM a JOIN b USING (id) ORDER BY 1
## unions
SELECT name FROM users UNION SELECT title FROM notes ORDER BY 1
## windows
SELECT id, row_number() OVER (ORDER BY id), sum(total) OVER (PARTITION BY user_id ORDER BY id) FROM orders ORDER BY id
## constants
SELECT 1, 'text', NULL, true, 1.5, '2024-01-01'::date, ARRAY[1, 2], ROW(1, 'a'), '{"a": 1}'::jsonb
## constants that look protected
SELECT '078-05-1120', '4111111111111111', 'ada@example.org', '***'
## values
VALUES (1, 'a'), (2, NULL)
## series
SELECT generate_series(1, 5), repeat('x', 3)
## no columns
SELECT FROM notes
## no rows
SELECT title FROM notes WHERE false
## settings
SHOW work_mem
## all settings' names
SELECT name FROM pg_settings WHERE name LIKE 'work%'
## the server's catalog
SELECT relname, relkind FROM pg_class WHERE relname IN ('users', 'notes') ORDER BY 1
## catalog by casts
SELECT 'users'::regclass, 'int4'::regtype, current_database()::text <> '', current_user
## information schema
SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'users' ORDER BY ordinal_position
## plan
EXPLAIN (COSTS off) SELECT title FROM notes WHERE id = 1
## errors
SELECT 1 / 0
## error of a name
SELECT nothing FROM notes
## error of a cast
SELECT title::int FROM notes WHERE id = 1
## notice
SELECT 1; ROLLBACK
## writes
UPDATE notes SET n = n WHERE id = 1 RETURNING id, title, n
## insert and delete
INSERT INTO inbox VALUES (1, 'a') RETURNING *
DELETE FROM inbox WHERE id = 1 RETURNING id
## transactions
BEGIN
SAVEPOINT a
SELECT title FROM notes WHERE id = 1
ROLLBACK TO a
COMMIT
## prepared
PREPARE p(int) AS SELECT title FROM notes WHERE id = $1
EXECUTE p(1)
DEALLOCATE p
## cursor
BEGIN
DECLARE c CURSOR FOR SELECT title, n FROM notes ORDER BY id
FETCH 2 FROM c
MOVE 1 FROM c
CLOSE c
COMMIT
## copy
COPY notes TO STDOUT
## copy as csv
COPY (SELECT id, name FROM users ORDER BY id) TO STDOUT (FORMAT csv, HEADER)
## copy in binary
COPY (SELECT id, title, n FROM notes ORDER BY id) TO STDOUT (FORMAT binary)
## several statements
SELECT 1; SELECT title FROM notes ORDER BY id; SELECT 2
## portal in pieces
\parse s|SELECT id, title FROM notes ORDER BY id
\describe S|s
\bind c|s|1
\describe P|c
\execute c|1
\execute c|0
\close P|c
\sync
## parameters
\parse -|SELECT title FROM notes WHERE id = $1 OR title = $2
\bind -|-|0|1|two
\execute -|0
\sync
## predicates on protected columns change nothing of the others
SELECT name FROM users WHERE ssn LIKE '%-%' ORDER BY id
## error of a parameter
\parse -|INSERT INTO notes (id, n) VALUES ($1, $2)
\bind -|-|0|9|many
\sync
## error of a value
INSERT INTO notes (id, doc) VALUES (9, '{bad')
## error of a constraint
INSERT INTO notes (id) VALUES (1)
## new names
CREATE DOMAIN number AS int
CREATE TYPE colour AS ENUM ('red')
CREATE SCHEMA mine
SELECT called FROM people ORDER BY id
