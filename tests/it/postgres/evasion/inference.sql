#! Ways to learn of a protected value from which rows come back, in which order, or whether they do. All of them are to be
#! refused where a policy forbids predicates on protected columns, but for those with `passes`.
## equality
SELECT name FROM users WHERE ssn = 'x'
## pattern
SELECT count(*) FROM users WHERE ssn LIKE '8%'
## expression
SELECT id FROM users WHERE substr(ssn, 1, 1)::int > 5
## order
SELECT id FROM users ORDER BY ssn
## order by place
SELECT ssn, id FROM users ORDER BY 1
## group
SELECT count(*) FROM users GROUP BY left(ssn, 1)
## distinct
SELECT DISTINCT ssn FROM users
## distinct on
SELECT DISTINCT ON (ssn) id FROM users
## having
SELECT name FROM users GROUP BY name HAVING max(ssn) > '5'
## join
SELECT a.id FROM users a JOIN users b ON a.ssn < b.ssn
## join by using
SELECT a.id FROM users a JOIN users b USING (ssn)
## natural join
SELECT id FROM users NATURAL JOIN (SELECT ssn FROM users) x
## exists
SELECT id FROM notes WHERE EXISTS (SELECT FROM users u WHERE u.id = notes.id AND ssn > '5')
## in
SELECT id FROM notes WHERE 'x' IN (SELECT ssn FROM users)
## scalar subquery
SELECT id FROM notes WHERE title > (SELECT min(ssn) FROM users)
## limit
SELECT id FROM notes LIMIT (SELECT length(ssn) FROM users LIMIT 1)
## window
SELECT id, row_number() OVER (ORDER BY ssn) FROM users
## window's partition
SELECT id, count(*) OVER (PARTITION BY left(ssn, 1)) FROM users
## filter
SELECT count(*) FILTER (WHERE ssn > '5') FROM users
## union
SELECT ssn FROM users UNION SELECT 'x'
## intersect
SELECT ssn FROM users INTERSECT SELECT 'x'
## view
SELECT called FROM people WHERE s > '5'
## derived table
SELECT id FROM (SELECT id, ssn || '' AS x FROM users) s WHERE x > '5'
## common table
WITH s AS (SELECT id, ssn AS x FROM users) SELECT id FROM s WHERE x > '5'
## whole row
SELECT id FROM users u WHERE u::text LIKE '%8%'
## functional notation
SELECT id FROM users u WHERE ssn(u) > '5'
## update
UPDATE users SET note = note WHERE ssn > '5'
## delete
DELETE FROM notes USING users u WHERE u.ssn = 'x'
## generated series
SELECT 1 FROM users u, generate_series(1, substr(u.ssn, 1, 1)::int)
## lateral
SELECT 1 FROM users u, LATERAL (SELECT 1 WHERE u.ssn > '5') x
## unnest of pieces
SELECT 1 FROM users u, regexp_split_to_table(u.ssn, '8')
## set-returning function in the list
SELECT 1, generate_series(1, substr(ssn, 1, 1)::int) FROM users
## sampling
SELECT name FROM users TABLESAMPLE SYSTEM ((SELECT length(ssn) FROM users LIMIT 1))
## copy
COPY (SELECT id FROM users WHERE ssn > '5') TO STDOUT
## cursor
DECLARE c CURSOR WITH HOLD FOR SELECT id FROM users WHERE ssn > '5'
## prepared
PREPARE p AS SELECT id FROM users WHERE ssn > $1
## explain
EXPLAIN ANALYZE SELECT id FROM users WHERE ssn > '5'
## merge
MERGE INTO notes n USING users u ON n.title = u.ssn WHEN MATCHED THEN DO NOTHING
## upsert
INSERT INTO users (id, name, ssn) SELECT id, name, ssn FROM users ON CONFLICT (ssn) DO UPDATE SET note = 'x' WHERE users.ssn > '5'
## generated column
SELECT id FROM derived WHERE tail > '5'
## harmless: reading it [passes]
SELECT ssn FROM users
## harmless: predicate on another column [passes]
SELECT ssn FROM users WHERE id = 1 ORDER BY name
## harmless: join by other columns [passes]
SELECT u.ssn, o.total FROM users u JOIN orders o ON o.user_id = u.id
