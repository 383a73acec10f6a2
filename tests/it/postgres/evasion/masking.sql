#! Ways to see a protected value. Flags: `clear=1,3` columns (or `clear`: all) that are to come back as they are, `denied` the
#! statement is to be refused, `either` it may be, `simple` it is not run with the extended protocol too, `reset` databases
#! are made anew after it.
## alias
SELECT ssn AS x FROM users ORDER BY id
## star [clear=1,2,4]
SELECT * FROM users ORDER BY id
## table command [clear=1,2,3,5]
TABLE orders
## qualified
SELECT users.ssn FROM public.users
## qualified by schema
SELECT public.users.ssn FROM public.users
## qualified by alias
SELECT u."ssn" FROM users AS u
## quoted names
SELECT "ssn" AS "name" FROM "public"."users"
## upper case
SELECT SSN FROM USERS
## unicode identifier
SELECT U&"s\0073n" FROM U&"u\0073ers"
## unicode identifier with its own escape
SELECT U&"!0073sn" UESCAPE '!' FROM users
## casts
SELECT ssn::varchar, CAST(ssn AS bytea), ssn::char(20), ssn::name, ssn::text::json IS NULL FROM users WHERE false
## cast to varchar
SELECT ssn::varchar(11) FROM users
## cast to bytea
SELECT ssn::bytea FROM users
## cast to name
SELECT ssn::name, ssn::bpchar FROM users
## cast by function
SELECT name(ssn), bpchar(ssn), text(ssn) FROM users
## cast of digits to a number
SELECT replace(ssn, '-', '')::int, replace(ssn, '-', '')::numeric, replace(ssn, '-', '')::float8 FROM users
## cast to an array
SELECT ('{' || ssn || '}')::text[] FROM users
## cast to regtype and back
SELECT quote_literal(ssn), quote_ident(ssn), quote_nullable(ssn) FROM users
## concatenation
SELECT ssn || '' FROM users
## concat
SELECT concat('a', ssn), concat_ws('-', name, ssn), format('%s/%s', name, ssn) FROM users
## string functions
SELECT upper(ssn), lower(ssn), initcap(ssn), reverse(ssn), trim(ssn), lpad(ssn, 20, '.'), rpad(ssn, 20), repeat(ssn, 2) FROM users
## substrings
SELECT substr(ssn, 1, 6), substring(ssn from 5), substring(ssn, '\d+-\d+'), left(ssn, 7), right(ssn, 7), split_part(ssn, '-', 1) FROM users
## overlay
SELECT overlay(ssn placing 'xx' from 4 for 1), translate(ssn, '-', ''), replace(ssn, '-', '.') FROM users
## regular expressions
SELECT regexp_replace(ssn, '-', '', 'g'), regexp_match(ssn, '(\d+)-(\d+)'), regexp_substr(ssn, '\d+') FROM users
## regexp_split_to_table
SELECT regexp_split_to_table(ssn, '') FROM users WHERE id = 1
## regexp_split_to_array
SELECT regexp_split_to_array(ssn, '-'), string_to_array(ssn, NULL) FROM users
## regexp_matches
SELECT regexp_matches(ssn, '.', 'g') FROM users WHERE id = 1
## string_to_table [clear=1,2,4]
SELECT * FROM users, string_to_table(ssn, '-') AS t(piece) WHERE id = 1
## digits by place
SELECT substr(ssn, i, 1) FROM users, generate_series(1, 11) i WHERE id = 1 ORDER BY i
## digits by place in a subquery
SELECT (SELECT substr(ssn, i, 1) FROM users WHERE id = 1) FROM generate_series(1, 11) i
## codes
SELECT ascii(substr(ssn, i, 1)) FROM users, generate_series(1, 11) i WHERE id = 1
## code of a byte
SELECT get_byte(ssn::bytea, i), get_bit(ssn::bytea, i) FROM users, generate_series(0, 10) i WHERE id = 1
## encodings
SELECT encode(ssn::bytea, 'hex'), encode(ssn::bytea, 'base64'), encode(ssn::bytea, 'escape'), convert_to(ssn, 'utf8') FROM users
## other encodings
SELECT convert(ssn::bytea, 'utf8', 'latin1'), convert_from(ssn::bytea, 'utf8'), to_hex(replace(ssn, '-', '')::int) FROM users
## digests
SELECT md5(ssn), sha256(ssn::bytea), hashtext(ssn) FROM users
## lengths
SELECT length(ssn) * 10, octet_length(ssn) * 10, bit_length(ssn) FROM users
## aggregates
SELECT min(ssn), max(ssn), string_agg(ssn, ','), array_agg(ssn), json_agg(ssn), jsonb_agg(ssn), xmlagg(xmlelement(name a, ssn)) FROM users
## aggregates with order
SELECT string_agg(ssn, ',' ORDER BY id), (array_agg(ssn ORDER BY id))[1] FROM users
## ordered-set aggregates
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ssn), mode() WITHIN GROUP (ORDER BY ssn) FROM users
## aggregate of objects
SELECT json_object_agg(id, ssn), jsonb_object_agg(ssn, id) FROM users
## numeric aggregates
SELECT sum(replace(ssn, '-', '')::bigint), avg(replace(ssn, '-', '')::bigint), max(num), bit_and(num) FROM users, vault
## case
SELECT CASE WHEN true THEN ssn END FROM users
## case that tells [clear=2]
SELECT CASE WHEN ssn LIKE '8%' THEN 'eight' ELSE 'other' END, id FROM users ORDER BY id
## case on a value
SELECT CASE ssn WHEN '871-62-5394' THEN 'it is' ELSE 'it is not' END FROM users
## comparison
SELECT ssn > '5' AND true, (ssn > '5')::text, (ssn LIKE '8%')::int + 5 FROM users
## coalesce and its like
SELECT coalesce(ssn, 'x'), nullif(ssn, 'x'), greatest(ssn, 'a'), least(ssn, 'zzz') FROM users
## array constructor
SELECT ARRAY[ssn], (ARRAY['a', ssn])[2], ARRAY(SELECT ssn FROM users) FROM users
## array functions
SELECT array_to_string(ARRAY[ssn], ','), array_append('{}', ssn), array_cat(ARRAY[ssn], '{}'), array_fill(ssn, '{2}') FROM users
## unnest
SELECT unnest(ARRAY[ssn, ssn]) FROM users
## unnest in FROM
SELECT t.x FROM users, unnest(ARRAY[ssn]) AS t(x)
## unnest of an aggregate
SELECT unnest((SELECT array_agg(ssn) FROM users))
## row comparison
SELECT ROW(ssn) = ROW('871-62-5394'), (ssn, id) < ('9', 1) FROM users WHERE id = 2
## whole row
SELECT users FROM users
## whole row by alias
SELECT u FROM users u
## whole row as text
SELECT u::text, (u.*)::text, ROW(u.*)::text FROM users u
## row of the row
SELECT ROW(u.ssn, u.id), ROW(u) FROM users u
## field of a row [clear=2]
SELECT (u).ssn, (u).id FROM users u
## star of a row [clear=1,2,4]
SELECT (u).* FROM users u
## functional notation
SELECT ssn(users) FROM users
## functional notation by alias
SELECT ssn(u), u.ssn FROM users u
## attribute notation of a function
SELECT u.row_to_json FROM users u
## attribute notation of a cast
SELECT u.text FROM users u
## attribute notation of a text
SELECT s.upper FROM (SELECT ssn FROM users) s
## row_to_json
SELECT row_to_json(u), to_json(u), to_jsonb(u), row_to_json(u.*, true) FROM users u
## to_jsonb and paths
SELECT to_jsonb(u) ->> 'ssn', to_jsonb(u) #>> '{ssn}', jsonb_path_query(to_jsonb(u), '$.ssn') FROM users u
## subscript of jsonb
SELECT (to_jsonb(u))['ssn'] FROM users u
## jsonb_each
SELECT e.value FROM users u, jsonb_each_text(to_jsonb(u)) e WHERE e.key = 'ssn'
## jsonb_each in the target list
SELECT jsonb_each(to_jsonb(u)) FROM users u
## jsonb_array_elements
SELECT jsonb_array_elements_text(jsonb_agg(ssn)) FROM users
## jsonb_to_record
SELECT r.ssn FROM users u, jsonb_to_record(to_jsonb(u)) AS r(ssn text)
## jsonb_populate_record
SELECT r.name FROM users u, jsonb_populate_record(NULL::notes, jsonb_build_object('title', u.ssn)) AS n, LATERAL (SELECT n.title AS name) r
## json_populate_record as a value
SELECT (jsonb_populate_record(NULL::notes, jsonb_build_object('title', ssn))).title FROM users
## json builders
SELECT json_build_array(ssn), jsonb_build_object('k', ssn), json_build_object(ssn, 1), jsonb_set('{}', '{a}', to_jsonb(ssn)) FROM users
## jsonb_pretty
SELECT jsonb_pretty(to_jsonb(u)), jsonb_strip_nulls(to_jsonb(u)) FROM users u
## xmlforest
SELECT xmlforest(ssn), xmlelement(name e, xmlattributes(ssn AS a)), xmlpi(name p, ssn), xmlcomment(replace(ssn, '-', '')) FROM users
## xml as text
SELECT xmlserialize(content xmlforest(ssn) AS text), xpath('//ssn/text()', xmlelement(name r, xmlforest(ssn))) FROM users
## xmltable
SELECT x.v FROM users u, XMLTABLE('/r' PASSING xmlelement(name r, u.ssn) COLUMNS v text PATH 'text()') x
## scalar subquery
SELECT (SELECT ssn FROM users WHERE id = 1)
## scalar subquery in an expression
SELECT 'x' || (SELECT max(ssn) FROM users)
## correlated subquery [clear=1]
SELECT id, (SELECT u.ssn FROM users u WHERE u.id = orders.user_id) FROM orders ORDER BY id
## correlated by outer column
SELECT (SELECT u.ssn) FROM users u
## deep correlation
SELECT (SELECT (SELECT (SELECT u.ssn || ''))) FROM users u
## exists
SELECT EXISTS (SELECT 1 FROM users WHERE ssn LIKE '87%')::text
## in
SELECT ('871-62-5394' IN (SELECT ssn FROM users))::text, ('871-62-5394' = ANY (SELECT ssn FROM users))::text
## array subquery
SELECT array_to_string(ARRAY(SELECT ssn FROM users), ';')
## derived table
SELECT x FROM (SELECT ssn AS x FROM users) s
## derived table with column names
SELECT b FROM (SELECT id, ssn FROM users) s(a, b)
## derived table in a derived table
SELECT z FROM (SELECT y AS z FROM (SELECT ssn || '' AS y FROM users) a) b
## swapped names [clear=2]
SELECT s.id, s.ssn FROM (SELECT ssn AS id, id AS ssn FROM users) s
## swapped column list [clear=4]
SELECT u.id, u.name, u.ssn, u.note FROM users AS u(ssn, note, id, name) WHERE false
## swapped column list with rows [clear=1,2]
SELECT u.b, u.a, u.id FROM users AS u(a, b, id, c)
## lateral
SELECT l.x FROM users u, LATERAL (SELECT u.ssn AS x) l
## lateral left join
SELECT l.x FROM users u LEFT JOIN LATERAL (SELECT u.ssn || '' AS x) l ON true
## lateral values
SELECT l.x FROM users u, LATERAL (VALUES (u.ssn), ('x')) l(x)
## rows from
SELECT a, b FROM users u, ROWS FROM (unnest(ARRAY[u.ssn]), generate_series(1, 1)) AS r(a, b)
## common table
WITH s AS (SELECT ssn FROM users) SELECT * FROM s
## common table with names
WITH s(a, b) AS (SELECT id, ssn FROM users), t AS (SELECT b AS c FROM s) SELECT c FROM t
## materialized common table
WITH s AS MATERIALIZED (SELECT ssn AS title FROM users) SELECT title FROM s AS notes
## common table named like an unprotected one
WITH notes AS (SELECT ssn AS title FROM users) SELECT title FROM notes
## common table named like the protected one [clear]
WITH users AS (SELECT id, title AS ssn FROM notes) SELECT ssn FROM users
## recursive
WITH RECURSIVE r(n, v) AS (SELECT 1, ssn FROM users WHERE id = 1 UNION ALL SELECT n + 1, v FROM r WHERE n < 3) SELECT v FROM r
## recursive, by the second part
WITH RECURSIVE r(n, v) AS (SELECT 1, 'x' UNION ALL SELECT n + 1, (SELECT min(ssn) FROM users) FROM r WHERE n < 3) SELECT v FROM r
## recursive, in a circle
WITH RECURSIVE r(n, a, b, c) AS (SELECT 1, (SELECT min(ssn) FROM users), '', '' UNION ALL SELECT n + 1, '', a, b FROM r WHERE n < 4) SELECT c FROM r
## recursive, character by character
WITH RECURSIVE r(n, v) AS (SELECT 1, substr(ssn, 1, 1) FROM users WHERE id = 1 UNION ALL SELECT n + 1, substr((SELECT ssn FROM users WHERE id = 1), n + 1, 1) FROM r WHERE n < 11) SELECT v FROM r
## recursive, searched
WITH RECURSIVE r(v) AS (SELECT ssn FROM users UNION SELECT v FROM r) SEARCH BREADTH FIRST BY v SET o CYCLE v SET is_cycle USING path SELECT o, path FROM r
## returning of a common table
WITH d AS (UPDATE users SET note = note WHERE id = 1 RETURNING ssn) SELECT ssn FROM d
## union
SELECT title FROM notes WHERE false UNION SELECT ssn FROM users
## union by the first part
SELECT ssn FROM users UNION ALL SELECT title FROM notes WHERE false
## union deep
SELECT x FROM (SELECT title AS x FROM notes WHERE false UNION ALL (SELECT 'x' WHERE false UNION ALL SELECT ssn FROM users)) s
## intersect
SELECT ssn FROM users INTERSECT SELECT ssn FROM users
## except
SELECT ssn FROM users EXCEPT SELECT title FROM notes
## values
VALUES ((SELECT min(ssn) FROM users))
## values in FROM
SELECT column1 FROM (VALUES ((SELECT min(ssn) FROM users))) v
## join using [clear=1]
SELECT id, ssn FROM users JOIN (SELECT id FROM users) o USING (id)
## join using the protected column
SELECT ssn FROM users u JOIN (SELECT ssn FROM users) o USING (ssn)
## natural join
SELECT ssn FROM users NATURAL JOIN (SELECT ssn FROM users) o
## full join
SELECT ssn FROM (SELECT ssn FROM users) a FULL JOIN (SELECT 'x' AS ssn WHERE false) b USING (ssn)
## join alias
SELECT j.x FROM (users u CROSS JOIN head h) AS j(a, b, x, c, d)
## join using alias
SELECT j.ssn FROM users a JOIN users b USING (ssn) AS j
## self join [clear=1]
SELECT a.id, b.ssn FROM users a, users b WHERE a.id = b.id ORDER BY 1
## cross join of both
SELECT card, ssn FROM orders, users WHERE users.id = user_id
## window functions
SELECT first_value(ssn) OVER (ORDER BY id), lag(ssn) OVER w, lead(ssn, 1, 'x') OVER w, nth_value(ssn, 2) OVER w FROM users WINDOW w AS (ORDER BY id)
## aggregates as windows
SELECT string_agg(ssn, ',') OVER (ORDER BY id), max(ssn) OVER () FROM users
## distinct on
SELECT DISTINCT ON (name) ssn FROM users
## group by [clear=2]
SELECT ssn, count(*) + 10 FROM users GROUP BY ssn HAVING count(*) = 1
## grouping sets
SELECT ssn FROM users GROUP BY GROUPING SETS ((ssn), ())
## cube [clear=2]
SELECT ssn, name FROM users GROUP BY CUBE (ssn, name) ORDER BY 1, 2 LIMIT 2
## tablesample
SELECT ssn FROM users TABLESAMPLE BERNOULLI (100)
## only
SELECT ssn FROM ONLY users
## for update
SELECT ssn FROM users FOR UPDATE
## ctid [clear=1]
SELECT ctid, ssn FROM users
## set-returning in the list [clear=1]
SELECT generate_series(1, 2) + 100, ssn FROM users
## view
SELECT s FROM people
## view of a view
SELECT up FROM people_of_people
## view with a barrier
SELECT n FROM barred
## view with a whole row
SELECT u FROM whole
## field of a view's row
SELECT (u).ssn FROM whole
## view with a union
SELECT t FROM united WHERE t LIKE '%-%-%'
## recursive view
SELECT v FROM counted
## row of a view
SELECT p FROM people p
## json of a view
SELECT to_jsonb(p) FROM people_of_people p
## materialized view
SELECT kept FROM frozen
## child
SELECT ssn FROM users_old
## only the child
SELECT ssn FROM ONLY users_old
## whole row of the child
SELECT u FROM users_old u
## child as the parent
SELECT (u::users).ssn FROM users_old u
## partitioned table
SELECT ssn FROM parts
## partition itself
SELECT ssn FROM parts_low
## generated column
SELECT tail FROM derived
## generated column by another name
SELECT u.x FROM (SELECT tail AS x FROM derived) u
## same name in another schema [clear]
SELECT ssn FROM hr.users
## same name by search_path [clear simple]
SET search_path TO hr, public
SELECT ssn FROM users
## protected one by search_path [simple]
SET search_path TO hr
SELECT ssn FROM public.users
SET search_path TO public, hr
SELECT ssn FROM users
## local search_path goes back with its transaction [simple]
SET search_path TO hr, public
BEGIN
SET LOCAL search_path TO public
SELECT ssn FROM users
ROLLBACK
SELECT ssn FROM users WHERE false
BEGIN
SET search_path TO public
COMMIT
SELECT ssn FROM users
## search_path goes back with a savepoint [simple]
SET search_path TO public
BEGIN
SAVEPOINT a
SET search_path TO hr
ROLLBACK TO a
SELECT ssn FROM users
## search_path by set_config [simple clear=0 either]
SET search_path TO hr
SELECT set_config('search_path', 'pub' || 'lic', false) IS NULL
SELECT ssn FROM users
## search_path at the start [either]
\new options=-csearch_path=hr
SET search_path TO DEFAULT
RESET search_path
SELECT ssn FROM public.users
## search_path by update of pg_settings [simple either clear]
SET search_path TO hr
UPDATE pg_settings SET setting = 'public' WHERE name = 'search_path' RETURNING 'was set'
SELECT ssn FROM users
## typed columns
SELECT num, amount, ratio FROM vault
## typed columns as others
SELECT num::text, amount::text, num::float8, num + 1, -num, num / 10, num % 1000000, ratio::text FROM vault
## json columns
SELECT doc, plain FROM vault
## json paths
SELECT doc -> 'ssn', doc ->> 'ssn', plain ->> 'ssn', doc -> 'n', jsonb_path_query(doc, '$.*') FROM vault
## json keys
SELECT jsonb_object_keys(doc) FROM vault
## arrays
SELECT list, list[1], list[1:1], nums, nums[1] FROM vault
## array functions on stored arrays
SELECT array_to_string(list, ' '), unnest(list), list::text FROM vault
## composites
SELECT pair, (pair).left_half, (pair).right_half, (pair).* FROM vault
## composite as text
SELECT pair::text, to_jsonb(pair), ROW(pair) FROM vault
## bytea
SELECT bytes, encode(bytes, 'hex'), bytes || '\x00' FROM vault
## dates
SELECT day, day + interval '1 day', extract(epoch from day), to_char(day, 'YYYYMMDDHH24MISS'), age(day, 'epoch') FROM vault
## ranges
SELECT span, lower(span), upper(span), spans, span::text FROM vault
## range made of it
SELECT int8range(num, num + 1), int8range(num, NULL), range_agg(span) FROM vault GROUP BY num
## domain
SELECT dom, dom::text, chars FROM vault
## xml
SELECT markup, xpath('//text()', markup), markup::text FROM vault
## text search vector
SELECT vector, strip(vector), tsvector_to_array(vector), unnest(vector) FROM vault
## text search functions
SELECT to_tsvector('simple', ssn), ts_headline('simple', ssn, 'x'::tsquery), plainto_tsquery('simple', ssn) FROM users
## ts_stat
SELECT word FROM ts_stat('SELECT vector FROM vault')
## enumeration
SELECT mood, mood::text FROM vault
## labels of an enumeration [clear]
SELECT enumlabel FROM pg_enum WHERE enumlabel LIKE 'calm'
## addresses
SELECT place, host(place), text(place) FROM vault
## whole vault
SELECT v FROM vault v
## whole vault as json
SELECT to_jsonb(v), row_to_json(v), v::text FROM vault v
## star of the vault [clear=1]
SELECT * FROM vault
## to_char
SELECT to_char(num, '999999999'), to_char(amount, 'FM999999999.99'), num::money FROM vault
## arithmetic with bits
SELECT num # 1, num << 1, ~num, num::bit(40) FROM vault
## chr of digits
SELECT chr((num / 10000000)::int) FROM vault
## card
SELECT card FROM orders
## card in two parts
SELECT left(card, 12), right(card, 12) FROM orders
## card as a number
SELECT card::numeric, card::bigint FROM orders
## card in another table's row
SELECT o FROM orders o
## last digits after a rotation
SELECT right(card, 4) || left(card, 12), substr(card, 5) || left(card, 4) FROM orders
## card by pieces of four
SELECT substr(card, 1, 4) FROM orders UNION ALL SELECT substr(card, 5, 4) FROM orders UNION ALL SELECT substr(card, 9, 4) FROM orders
## union of a card and something else
SELECT x FROM (SELECT left(card, 12) AS x FROM orders UNION ALL SELECT card FROM orders) s
## union of a card and something else, the other way round
SELECT card FROM orders UNION ALL SELECT left(card, 12) FROM orders
## union of a card and something else in a derived table
SELECT card FROM (SELECT card FROM orders UNION ALL SELECT left(card, 12) FROM orders) s
## card in another case's column
SELECT card FROM (SELECT CASE WHEN id > 0 THEN left(card, 12) ELSE card END AS card FROM orders) s
## card in a common table of two
WITH RECURSIVE r(card, n) AS (SELECT card, 1 FROM orders UNION ALL SELECT left(card, 16 - n), n + 1 FROM r WHERE n < 4) SELECT card FROM r
## card in a view of its own [either reset simple]
CREATE VIEW w AS SELECT left(card, 12) AS card FROM orders
SELECT card FROM w
## alias that keeps the name
SELECT left(card, 12) AS card FROM orders
## user's function
SELECT ssn_of(1)
## user's function in FROM
SELECT * FROM ssn_of(1)
## user's function, immutable
SELECT ssn_pure(1)
## user's function, atomic
SELECT ssn_atomic(1)
## user's function that returns rows [clear=0]
SELECT * FROM all_of_them()
## field of a function's row
SELECT (all_of_them()).ssn
## function of two
SELECT two_of_them(), (two_of_them()).a
## function in an expression
SELECT upper(ssn_of(1)) || 'x', length(ssn_of(1)) * 10
## function of a row
SELECT ssn_of(u.id) FROM users u
## attribute notation of a user's function
SELECT o.x FROM (SELECT (1).ssn_of AS x) o
## operator of a user
SELECT 'a' ||| 'b'
## operator written out
SELECT 'a' OPERATOR(public.|||) 'b'
## aggregate of a user
SELECT glued(title) FROM notes
## aggregate of a user as a window
SELECT glued(title) OVER () FROM notes
## cast of a user
SELECT 1::users, (1::users).ssn, CAST(2 AS users)
## function in a predicate [clear]
SELECT title FROM notes WHERE title < ssn_of(1)
## function that raises a notice [simple]
SELECT said()
## function that throws
SELECT thrown()
## function that throws names
SELECT thrown_in_names()
## function that throws a code
SELECT thrown_in_code()
## function that sets the application's name [simple]
SELECT named()
SHOW application_name
SELECT current_setting('application_name')
## function that sets a setting [simple]
SELECT put_by()
SHOW my.value
SELECT current_setting('my.value')
SELECT setting FROM pg_settings WHERE name = 'my.value'
SELECT * FROM pg_show_all_settings() WHERE name = 'my.value'
## function that notifies [simple]
LISTEN ears
SELECT told()
## notification of the text [denied]
LISTEN ears
SELECT pg_notify('ears', ssn) FROM users
## notification with a channel of it [either simple]
SELECT pg_notify('x' || ssn, '') FROM users
## set_config of it [denied]
SELECT set_config('application_name', ssn, false) FROM users
## set_config of it by a subquery [denied]
SELECT set_config('my.value', (SELECT min(ssn) FROM users), false)
## function that opens a cursor [simple denied]
BEGIN
SELECT opened()
FETCH ALL FROM held
## procedure [simple]
CALL handed('')
## do that raises [denied]
DO $$ BEGIN RAISE NOTICE '%', (SELECT min(ssn) FROM users); END $$
## do that throws [denied]
DO $$ BEGIN RAISE EXCEPTION '%', (SELECT min(ssn) FROM users); END $$
## do that fills a table [denied reset simple]
CREATE TEMP TABLE t (x text)
DO $$ BEGIN INSERT INTO t SELECT ssn FROM users; END $$
SELECT x FROM t
## do that names the application [denied]
DO $$ BEGIN PERFORM set_config('application_name', (SELECT min(ssn) FROM users), false); END $$
## do that notifies [denied]
LISTEN ears
DO $$ BEGIN PERFORM pg_notify('ears', (SELECT min(ssn) FROM users)); END $$
## new function [denied reset simple]
CREATE FUNCTION mine() RETURNS text LANGUAGE sql AS 'SELECT min(ssn) FROM users'
SELECT mine()
## new function, temporary [denied reset simple]
CREATE FUNCTION pg_temp.mine() RETURNS text LANGUAGE sql AS 'SELECT min(ssn) FROM users'
SELECT pg_temp.mine()
## new view [either reset simple]
CREATE VIEW mine AS SELECT ssn AS x FROM users
SELECT x FROM mine
## new temporary view [either reset simple]
CREATE TEMP VIEW mine AS SELECT ssn AS x FROM users
SELECT x FROM mine
## new temporary view named like another [either reset simple]
CREATE TEMP VIEW notes AS SELECT 1 AS id, ssn AS title FROM users
SELECT title FROM notes
SELECT title FROM pg_temp.notes
## new temporary view in one message [either reset simple]
CREATE TEMP VIEW notes AS SELECT 1 AS id, ssn AS title FROM users; SELECT title FROM notes
## new view in a transaction [either reset simple any]
BEGIN
CREATE OR REPLACE VIEW people AS SELECT id, ssn AS called, name AS s FROM users
SELECT called FROM people
SELECT s FROM people
ROLLBACK
SELECT called FROM people
SELECT s FROM people
## temporary table [denied reset simple]
CREATE TEMP TABLE t AS SELECT ssn AS x FROM users
SELECT x FROM t
## table [denied reset simple]
CREATE TABLE t AS SELECT ssn AS x FROM users
SELECT x FROM t
## table with the column's name [denied reset simple]
CREATE TABLE t AS SELECT ssn FROM users
SELECT ssn FROM t
## select into [denied reset simple]
SELECT ssn AS x INTO t FROM users
SELECT x FROM t
## select into a temporary table [denied reset simple]
SELECT ssn AS x INTO TEMP t FROM users
SELECT x FROM t
## table from a prepared statement [denied reset simple]
PREPARE p AS SELECT ssn FROM users
CREATE TEMP TABLE t AS EXECUTE p
SELECT * FROM t
## table from a function [denied reset simple]
CREATE TEMP TABLE t AS SELECT ssn_of(1) AS x
SELECT x FROM t
## materialized view made anew [denied reset simple]
CREATE MATERIALIZED VIEW m AS SELECT ssn AS x FROM users
SELECT x FROM m
## insert into another table [denied reset simple]
INSERT INTO notes (id, title) SELECT id + 100, ssn FROM users
SELECT title FROM notes WHERE id > 100
## insert by values [denied reset simple]
INSERT INTO notes (id, title) VALUES (101, (SELECT min(ssn) FROM users))
SELECT title FROM notes WHERE id > 100
## insert by a common table [denied reset simple]
WITH s AS (SELECT id + 100 AS id, ssn FROM users) INSERT INTO notes (id, title) SELECT * FROM s RETURNING title
## insert by a written common table [denied reset simple]
WITH d AS (DELETE FROM users WHERE id = 3 RETURNING ssn) INSERT INTO notes (id, title) SELECT 103, ssn FROM d
## insert of a row as json [denied reset simple]
INSERT INTO notes (id, doc) SELECT 102, to_jsonb(u) FROM users u WHERE id = 1
SELECT doc FROM notes WHERE id = 102
## insert with a conflict [denied reset simple]
INSERT INTO notes (id, title) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET title = (SELECT min(ssn) FROM users) RETURNING title
## update of another column [denied reset simple]
UPDATE users SET note = ssn
SELECT note FROM users
## update of the row's own name [denied reset simple]
UPDATE users SET name = ssn WHERE id = 1 RETURNING name
## update from another table [denied reset simple]
UPDATE notes SET title = u.ssn FROM users u WHERE u.id = notes.id
SELECT title FROM notes
## update of several columns [denied reset simple]
UPDATE users SET (note, name) = (SELECT u.ssn, u.ssn FROM users u WHERE u.id = users.id)
## swap [denied reset simple]
UPDATE users SET ssn = name || '-----------', name = ssn
SELECT name FROM users
## update of an array's element [denied reset simple]
UPDATE notes SET tags[1] = (SELECT min(ssn) FROM users)
SELECT tags FROM notes
## update of a field in json [denied reset simple]
UPDATE notes SET doc['x'] = (SELECT to_jsonb(min(ssn)) FROM users)
SELECT doc FROM notes
## merge [denied reset simple]
MERGE INTO notes n USING users u ON n.id = u.id WHEN MATCHED THEN UPDATE SET title = u.ssn WHEN NOT MATCHED THEN INSERT (id, title) VALUES (u.id, u.ssn)
SELECT title FROM notes
## through a view that can be written [denied reset simple]
UPDATE people SET called = s
SELECT called FROM people
## through a large object [denied reset simple]
SELECT lo_from_bytea(5000, (SELECT min(ssn) FROM users)::bytea)
SELECT lo_get(5000)
## through a large object that is there [simple]
SELECT lo_get(4711)
SELECT convert_from(lo_get(4711), 'utf8')
SELECT loread(lo_open(4711, 262144), 100)
SELECT data FROM pg_largeobject
## through a sequence [denied reset simple]
CREATE SEQUENCE q
SELECT setval('q', replace(ssn, '-', '')::bigint) FROM users WHERE id = 1
SELECT last_value FROM q
## through an advisory lock [simple denied]
SELECT pg_advisory_lock(replace(ssn, '-', '')::bigint) FROM users WHERE id = 1
SELECT objid FROM pg_locks WHERE locktype = 'advisory'
## through a lock's two keys [simple denied]
SELECT pg_try_advisory_lock(1, replace(ssn, '-', '')::int) FROM users WHERE id = 1
SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'
## renamed column [denied reset simple]
ALTER TABLE users RENAME COLUMN ssn TO harmless
SELECT harmless FROM users
## renamed table [denied reset simple]
ALTER TABLE users RENAME TO persons
SELECT ssn FROM persons
## moved table [denied reset simple]
ALTER TABLE users SET SCHEMA hr
SELECT ssn FROM hr.users
## renamed in a transaction [denied reset simple]
BEGIN; ALTER TABLE users RENAME COLUMN ssn TO harmless; SELECT harmless FROM users
## swapped names of columns [denied reset simple]
ALTER TABLE users RENAME COLUMN name TO tmp
ALTER TABLE users RENAME COLUMN ssn TO name
SELECT name FROM users
## renamed column of a view [reset simple either]
ALTER VIEW people RENAME COLUMN s TO nothing
SELECT nothing FROM people
## other type using it [denied reset simple]
ALTER TABLE users ALTER COLUMN note TYPE text USING ssn
SELECT note FROM users
## new column with a default [denied reset simple]
ALTER TABLE users ADD COLUMN copy text GENERATED ALWAYS AS (ssn || '') STORED
SELECT copy FROM users
## inheriting table [either reset simple]
CREATE TABLE child () INHERITS (users)
SELECT name FROM child
## table of the same shape [reset simple either]
CREATE TABLE likeness (LIKE users INCLUDING ALL)
SELECT ssn FROM likeness
## detached partition [denied reset simple]
ALTER TABLE parts DETACH PARTITION parts_low
SELECT ssn FROM parts_low
## index on an expression that throws [either reset simple]
CREATE INDEX i ON users ((ssn::int))
## check that fails [denied reset simple]
ALTER TABLE users ADD CONSTRAINT c CHECK (ssn = 'x')
## rule that copies [denied reset simple]
CREATE RULE r AS ON UPDATE TO users DO ALSO INSERT INTO notes (id, title) VALUES (NEW.id + 50, OLD.ssn)
UPDATE users SET note = 'x' WHERE id = 1
SELECT title FROM notes
## trigger that copies [denied reset simple]
CREATE FUNCTION cp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO notes (id, title) VALUES (NEW.id + 50, OLD.ssn); RETURN NEW; END'
## policy of rows that throws [either reset simple]
CREATE POLICY p ON users USING (ssn::int > 0)
## policy of rows on another table [either reset simple]
CREATE POLICY p ON notes USING ((SELECT min(ssn) FROM users)::int > 0)
## comment made of it [either reset simple]
COMMENT ON COLUMN users.ssn IS 'about it'
## statistics
SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE tablename = 'users' AND attname = 'ssn'
## statistics of the expression
SELECT histogram_bounds FROM pg_stats WHERE tablename = 'by_end'
## statistics, raw
SELECT stavalues1, stavalues2 FROM pg_statistic WHERE starelid = 'users'::regclass
## extended statistics
SELECT most_common_vals FROM pg_stats_ext
## extended statistics, raw [any]
SELECT m.* FROM pg_statistic_ext_data, pg_mcv_list_items(stxdmcv) m
## statistics of the generated column
SELECT histogram_bounds::text::text[] FROM pg_stats WHERE attname = 'tail'
## statistics as json
SELECT to_jsonb(s) FROM pg_stats s WHERE s.tablename = 'users'
## plan [clear=0]
EXPLAIN SELECT * FROM users WHERE ssn > ssn_pure(1)
## plan with folded function [simple]
EXPLAIN (VERBOSE, COSTS off) SELECT ssn_pure(1)
## plan with folded function as json [simple]
EXPLAIN (VERBOSE, FORMAT json) SELECT ssn_pure(1)
## plan of a predicate with folded function [simple]
EXPLAIN (VERBOSE, COSTS off) SELECT id FROM notes WHERE title = ssn_pure(1)
## plan that is run [simple]
EXPLAIN (ANALYZE, TIMING off, SUMMARY off, COSTS off) SELECT id FROM users WHERE ssn = ssn_pure(1)
## plan of a literal [simple either own]
EXPLAIN (COSTS off) SELECT id FROM users WHERE ssn = '871-62-5394'
## literal in a predicate [clear]
SELECT name FROM users WHERE ssn = '871-62-5394'
## literals in many places [clear]
SELECT name FROM users WHERE ssn IN ('871-62-5394', '342-19-7785') OR '615-84-2093' = ssn OR ssn BETWEEN '342-19-7785' AND '342-19-7785'
## literal behind a cast [clear]
SELECT name FROM users WHERE ssn = CAST('871-62-5394' AS text) OR ssn = '342-19-7785'::varchar
## literal in a function [clear]
SELECT name FROM users WHERE ssn = lower('871-62-5394') OR position('342-19-7785' in ssn) > 0
## literal in pieces [clear]
SELECT name FROM users WHERE ssn = '871-62' || '-5394'
## literal in a list of rows [clear]
SELECT name FROM users WHERE (id, ssn) IN ((1, '871-62-5394'))
## literal in values [clear]
SELECT name FROM users JOIN (VALUES ('871-62-5394')) v(x) ON v.x = ssn
## literal in a common table [clear]
WITH v(x) AS (SELECT '871-62-5394') SELECT name FROM users JOIN v ON v.x = ssn
## literal in an array [clear]
SELECT name FROM users WHERE ssn = ANY ('{871-62-5394,342-19-7785}')
## literal in dollars [clear]
SELECT name FROM users WHERE ssn = $x$871-62-5394$x$ OR ssn = E'342\x2d19-7785'
## literal that is inserted [clear]
INSERT INTO users (id, name, ssn) VALUES (77, 'x', '871-62-5394-9') ON CONFLICT DO NOTHING
DELETE FROM users WHERE ssn = '871-62-5394-9'
## literal that is inserted from a select [clear]
INSERT INTO users (id, name, ssn) SELECT 78, 'x', '871-62-5394-8'
DELETE FROM users WHERE id = 78
## literal in an update [clear]
UPDATE users SET ssn = '342-19-7785' WHERE id = 2
## literal that is prepared [clear simple]
PREPARE p(text) AS SELECT name FROM users WHERE ssn = $1
EXECUTE p('871-62-5394')
## literal of a number [clear]
SELECT id FROM vault WHERE num = 871625394 OR num BETWEEN 871625394 AND 871625394
## literal in having [clear]
SELECT count(*) FROM users GROUP BY name HAVING max(ssn) = '871-62-5394'
## literal in a comment [clear]
SELECT name /* ' */ FROM users WHERE ssn = '871-62-5394' -- '
## literal in an order [clear]
SELECT name FROM users ORDER BY ssn = '871-62-5394', id
## literal with a wrong syntax [either]
SELEC name FROM users WHERE ssn = '871-62-5394'
## literal of a table that is not there [either]
SELECT * FROM nowhere WHERE ssn = '871-62-5394'
## parameter [clear]
\parse -|SELECT name FROM users WHERE ssn = $1
\bind -|-|0|871-62-5394
\execute -|0
\sync
## parameter in pieces [clear]
\parse -|SELECT name FROM users WHERE ssn = $1 || $2
\bind -|-|0|871-62-|5394
\execute -|0
\sync
## parameter that comes back [either own]
\parse -|SELECT $1::text FROM users WHERE ssn = $1
\bind -|-|0|871-62-5394
\describe P|-
\execute -|0
\sync
## error of a cast
SELECT ssn::int FROM users
## error of a cast in a predicate
SELECT name FROM users WHERE ssn::int > 0
## error of a cast in an order
SELECT name FROM users ORDER BY ssn::uuid
## error of a date
SELECT to_date(ssn, 'YYYY'), ssn::date FROM users
## error of json
SELECT ssn::json FROM users WHERE id = 1
## error of an array
SELECT ssn::int[] FROM users
## error of an enumeration
SELECT ssn::mood FROM users
## error of a regular class
SELECT ssn::regclass FROM users
## error of a regular class through the name
SELECT pg_relation_size(ssn) FROM users
## error of a setting [either]
SELECT current_setting(ssn) FROM users
## error of set_config [either]
SELECT set_config(ssn, 'x', false) FROM users
## error of a unique constraint
INSERT INTO users (id, name, ssn) VALUES (50, 'x', '871-62-5394')
## error of a unique constraint in an update
UPDATE users SET ssn = '871-62-5394' WHERE id = 2
## error of a check, which tells the whole row
UPDATE users SET ssn = left(ssn, 7) WHERE id = 1
## error of not null, which tells the whole row
UPDATE users SET name = NULL WHERE id = 1
## error of not null in an insert
INSERT INTO users (id, ssn) VALUES (60, '871-62-5394-7')
## error of not null in an upsert
INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = NULL
## error of a domain
UPDATE vault SET dom = dom::text || 'x'
## error of a length
SELECT ssn::char(3)::varchar(3), CAST(ssn AS bit(3)) FROM users
## error of a length in an assignment [denied]
UPDATE orders SET placed = NULL, total = card::numeric WHERE id = 10
## error of a foreign key [either]
UPDATE orders SET user_id = (SELECT replace(ssn, '-', '')::int FROM users WHERE id = 1)
## error of a division
SELECT 1 / (length(ssn) - 11) FROM users
## error of a conversion
SELECT convert_from(ssn::bytea || '\xff', 'utf8') FROM users
## error of a regular expression
SELECT 'x' ~ ('(' || ssn) FROM users
## error of a function's argument
SELECT xmlparse(document ssn) FROM users
## error of a user's function with a cast
SELECT ssn_of(1)::int
## error of a cast in an aggregate
SELECT sum(ssn::int) FROM users
## error in a common table
WITH s AS (SELECT ssn::int AS x FROM users) SELECT count(*) FROM s WHERE x > 0
## error of a view
SELECT s::int FROM people
## error of a raise through a cast of a row
SELECT u::text::int FROM users u
## error in a prepared statement [simple]
PREPARE p AS SELECT ssn::int FROM users
EXECUTE p
## error in a cursor [simple]
BEGIN
DECLARE c CURSOR FOR SELECT ssn::int FROM users
FETCH c
## error when a transaction ends [either reset simple]
CREATE TABLE late (x text UNIQUE DEFERRABLE INITIALLY DEFERRED)
BEGIN
INSERT INTO late SELECT ssn FROM users
INSERT INTO late SELECT ssn FROM users
COMMIT
## prepared [simple]
PREPARE p AS SELECT ssn FROM users
EXECUTE p
## prepared with a parameter [simple]
PREPARE p(int) AS SELECT ssn AS name FROM users WHERE id = $1
EXECUTE p(1)
EXECUTE p(2)
## prepared anew under its name [simple clear=0]
PREPARE p AS SELECT title FROM notes WHERE false
EXECUTE p
DEALLOCATE p
PREPARE p AS SELECT ssn FROM users
EXECUTE p
## prepared, and the table is another by then [simple]
SET search_path TO hr, public
PREPARE p AS SELECT ssn FROM users WHERE id < 100
SET search_path TO public
EXECUTE p
## prepared in one message with its use [simple]
PREPARE p AS SELECT ssn FROM users; EXECUTE p
## prepared anew in one message with its use [simple clear=0]
PREPARE p AS SELECT name FROM users WHERE false
DEALLOCATE p; PREPARE p AS SELECT ssn FROM users; EXECUTE p
## prepared and dropped in one message with its use [simple denied]
PREPARE p AS SELECT name FROM users WHERE false
DEALLOCATE ALL; EXECUTE p
## prepared that is explained [simple]
PREPARE p AS SELECT ssn_pure(1)
EXPLAIN (VERBOSE, COSTS off) EXECUTE p
## prepared statements' texts [simple clear=0]
PREPARE p AS SELECT name FROM users WHERE ssn = '871-62-5394'
SELECT statement FROM pg_prepared_statements
## cursor [simple]
BEGIN
DECLARE c CURSOR FOR SELECT ssn FROM users
FETCH 1 FROM c
FETCH ALL FROM c
## cursor that scrolls [simple]
BEGIN
DECLARE c SCROLL CURSOR FOR SELECT ssn FROM users
MOVE LAST FROM c
FETCH BACKWARD 2 FROM c
FETCH ABSOLUTE 1 FROM c
## cursor that is held [simple]
BEGIN
DECLARE c CURSOR WITH HOLD FOR SELECT ssn FROM users
COMMIT
FETCH ALL FROM c
CLOSE c
## binary cursor [simple]
BEGIN
DECLARE c BINARY CURSOR FOR SELECT ssn, length(ssn) * 10 FROM users
FETCH ALL FROM c
## binary cursor of all types [simple]
BEGIN
DECLARE c BINARY CURSOR FOR SELECT num, amount, doc, list, nums, pair, bytes, day, span, dom, ratio, place FROM vault
FETCH ALL FROM c
## cursor in one message with its use [simple]
BEGIN; DECLARE c CURSOR FOR SELECT ssn FROM users; FETCH ALL FROM c; COMMIT
## cursor as another statement's name [simple]
BEGIN
DECLARE notes CURSOR FOR SELECT ssn FROM users
FETCH ALL FROM notes
## cursor to xml [simple]
BEGIN
DECLARE c CURSOR FOR SELECT ssn FROM users
SELECT cursor_to_xml('c', 10, false, true, '')
## cursor fetched by the protocol [simple clear=0]
BEGIN
DECLARE c CURSOR FOR SELECT ssn FROM users
\parse -|FETCH ALL FROM c
\bind -|-|1
\describe P|-
\execute -|0
\sync
## protocol's portal fetched by SQL [simple clear=0]
BEGIN
\parse -|SELECT ssn FROM users
\bind c|-|0
\sync
FETCH ALL FROM c
## portal in pieces [clear=0]
\parse -|SELECT ssn FROM users
\bind c|-|1
\describe P|c
\execute c|1
\execute c|1
\execute c|0
\sync
## portal without a description
\parse -|SELECT ssn FROM users
\bind -|-|1
\execute -|0
\sync
## statement described and executed again
\parse s|SELECT ssn FROM users
\describe S|s
\sync
\bind -|s|0
\execute -|0
\sync
\bind -|s|1
\execute -|0
\sync
## unnamed statement overwritten in one batch
\parse -|SELECT title FROM notes WHERE false
\bind a|-|0
\parse -|SELECT ssn FROM users
\bind b|-|0
\execute a|0
\execute b|0
\sync
## described as one thing, run as another
\parse -|SELECT title FROM notes WHERE false
\describe S|-
\parse -|SELECT ssn AS title FROM users
\bind -|-|0
\execute -|0
\sync
## names used anew after an error [clear=0]
\parse s|SELECT title FROM notes WHERE false
\bind c|s|0
\execute c|0
\sync
\parse s|SELECT 1
\sync
\close S|s
\parse s|SELECT ssn FROM users
\bind c|s|0
\execute c|0
\sync
## pipeline of batches
\parse -|SELECT ssn FROM users
\bind -|-|0
\execute -|0
\sync
\parse -|SELECT card FROM orders
\bind -|-|1
\execute -|0
\sync
\query SELECT min(ssn) FROM users
\query SELECT max(ssn) FROM users
## flush
\parse -|SELECT ssn FROM users
\bind -|-|1
\flush
\execute -|2
\flush
\execute -|0
\flush
\sync
## several statements in one message [simple]
SELECT 1 WHERE false; SELECT ssn FROM users; SELECT card FROM orders
## several, the first without rows [simple]
BEGIN; SET LOCAL work_mem = '4MB'; SELECT ssn FROM users; COMMIT
## several, with others' columns between [simple clear=0]
SELECT title FROM notes WHERE false;;; SELECT ssn FROM users
## several, the last fails [simple]
SELECT ssn FROM users; SELECT 1 / 0
## function call of a user's function [either]
\function 2199|1
## function call of a large object [either]
\function 3458|{{00001267}}
## copy of a table
COPY users TO STDOUT
## copy of columns
COPY users (ssn) TO STDOUT
## copy of a query
COPY (SELECT ssn FROM users) TO STDOUT
## copy of an expression
COPY (SELECT 'x' || ssn AS name FROM users) TO STDOUT
## copy as csv
COPY (SELECT ssn, card FROM users, orders) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)
## copy with another delimiter
COPY users TO STDOUT (DELIMITER '-')
## copy with a delimiter that is a digit [denied]
COPY users TO STDOUT (DELIMITER '6')
## copy with a null of digits [denied]
COPY (SELECT NULLIF(ssn, '') FROM users) TO STDOUT (NULL '-62-')
## copy with another encoding [denied]
COPY users TO STDOUT (ENCODING 'utf16')
## copy with latin1
COPY users TO STDOUT (ENCODING 'latin1')
## copy in binary
COPY users TO STDOUT (FORMAT binary)
## copy of a vault
COPY vault TO STDOUT
## copy of a vault in binary [either]
COPY vault TO STDOUT (FORMAT binary)
## copy of a view
COPY (TABLE people) TO STDOUT
## copy of returning
COPY (UPDATE users SET note = note RETURNING ssn) TO STDOUT
## copy of a user's function
COPY (SELECT ssn_of(1)) TO STDOUT
## copy with the old syntax
COPY BINARY users TO STDOUT
## copy with the old csv syntax
COPY users TO STDOUT CSV QUOTE '8' ESCAPE '7'
## copy of the child
COPY users_old TO STDOUT
## copy in the extended protocol
\x COPY users TO STDOUT
## copy in a batch
\parse s|COPY (SELECT ssn FROM users) TO STDOUT
\bind -|s|0
\execute -|0
\bind -|s|0
\execute -|0
\sync
## copy twice in one message [simple]
COPY users (ssn) TO STDOUT; COPY orders (card) TO STDOUT
## copy to a file [denied reset simple]
COPY users TO '/tmp/evaded-copy'
SELECT pg_read_file('/tmp/evaded-copy')
## copy to a program [denied]
COPY users TO PROGRAM 'cat'
## query_to_xml
SELECT query_to_xml('SELECT ssn FROM users', false, false, '')
## query_to_xml with a hidden name
SELECT query_to_xml('SELECT s' || 'sn FROM users', false, false, '')
## table_to_xml
SELECT table_to_xml('users', false, true, '')
## schema_to_xml
SELECT schema_to_xml('public', false, true, '')
## database_to_xml
SELECT database_to_xml(false, true, '')
## ts_stat of a query
SELECT word FROM ts_stat('SELECT to_tsvector(''simple'', ssn) FROM users')
## ts_rewrite of a query [either]
SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, plainto_tsquery(''simple'', ssn) FROM users WHERE id = 1')
## activity of others [simple]
SELECT query FROM pg_stat_activity WHERE query LIKE '%ssn%'
## activity by its function [simple]
SELECT query FROM pg_stat_get_activity(NULL) WHERE query LIKE '%ssn%'
## activity by another function [simple]
SELECT pg_stat_get_backend_activity(i) FROM pg_stat_get_backend_idset() i
## own query [simple clear]
SELECT current_query() || 'x'
## server's files
SELECT pg_read_file('base/' || oid || '/' || pg_relation_filenode('users')) FROM pg_database WHERE datname = current_database()
## server's files in binary
SELECT pg_read_binary_file(pg_relation_filepath('users'))
## write-ahead log
SELECT encode(pg_read_binary_file('pg_wal/' || pg_walfile_name(pg_current_wal_lsn())), 'hex')
## logical decoding [either simple]
SELECT pg_create_logical_replication_slot('evaded', 'test_decoding')
SELECT data FROM pg_logical_slot_get_changes('evaded', NULL, NULL)
SELECT pg_drop_replication_slot('evaded')
## logical message [denied]
SELECT pg_logical_emit_message(false, 'a', ssn) FROM users
## currtid
SELECT currtid2('users', '(0,1)')
## definitions of what is there [simple clear]
SELECT pg_get_viewdef('people'), pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ssn_is_long'
## dblink that is not there [either]
SELECT * FROM dblink('dbname=orders', 'SELECT ssn FROM users') AS t(x text)
## extension that reads pages [denied reset simple]
CREATE EXTENSION pageinspect
SELECT encode(get_raw_page('users', 0), 'hex')
## extension that reads rows [denied reset simple]
CREATE EXTENSION dblink
SELECT * FROM dblink('dbname=' || current_database(), 'SELECT ssn FROM users') AS t(x text)
## foreign table [denied reset simple]
CREATE EXTENSION file_fdw
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw
## returning of an insert
INSERT INTO users (id, name, ssn) VALUES (90, 'x', '871-62-5394-90') ON CONFLICT (id) DO UPDATE SET note = 'x' RETURNING ssn
DELETE FROM users WHERE id = 90 RETURNING ssn
## returning all [clear=1,2,4]
UPDATE users SET note = note WHERE id < 3 RETURNING *
## returning an expression
UPDATE users SET note = note RETURNING upper(ssn), users, (SELECT max(u.ssn) FROM users u)
## returning from another table
UPDATE notes SET title = title FROM users u WHERE u.id = notes.id RETURNING u.ssn
## returning of a delete using
DELETE FROM lists USING users u WHERE lists.id = u.id RETURNING u.ssn
## order by
SELECT ssn FROM users ORDER BY ssn DESC LIMIT 1 OFFSET 1
## limit by a value [simple clear]
SELECT title FROM notes LIMIT (SELECT length(ssn) - 10 FROM users WHERE id = 1)
## current_setting of a name
SELECT current_setting('my.none', true) || ssn FROM users
## string literal with a name that is no column [clear]
SELECT 'ssn', 'users.ssn', '***' FROM notes
## merge of ranges
SELECT range_merge(span, span), span * span, span + span FROM vault
## json path with variables
SELECT jsonb_path_query_array('["x"]', '$[*] ? (@ != $v)', jsonb_build_object('v', ssn)), jsonb_path_query_first(jsonb_build_object('v', ssn), '$.v') FROM users
## text of a row of rows
SELECT ARRAY(SELECT u FROM users u)::text
## array of rows
SELECT array_agg(u), array_agg(ROW(u.ssn)) FROM users u
## record in an array, unnested
SELECT (x.r).ssn FROM (SELECT unnest(array_agg(u)) AS r FROM users u) x
## json of a subquery's row
SELECT row_to_json(t) FROM (SELECT ssn AS n, id FROM users) t
## xml of a row
SELECT xmlforest(u AS x) FROM users u
## hashed and salted
SELECT encode(sha512(('salt' || ssn)::bytea), 'hex') FROM users
## collation
SELECT ssn COLLATE "C", (ssn COLLATE "POSIX") || '' FROM users
## time zone named after it [either]
SELECT now() AT TIME ZONE ssn FROM users
## prefix of it as a table's name [simple either]
SELECT to_regclass(ssn), to_regtype(name) FROM users
## json strings in other encodings
SELECT to_json(ssn)::text::bytea, ascii(to_json(ssn)::text) FROM users
## quoted in a format
SELECT format('%L %I', ssn, ssn), format('%1$s', VARIADIC ARRAY[ssn]) FROM users
## bits
SELECT ssn::bytea::text::bytea, ('x' || md5(ssn))::bit(32)::int FROM users
## lateral over a set-returning function
SELECT l FROM users u, LATERAL regexp_split_to_table(u.ssn, '-') l
## with ordinality
SELECT c.x FROM users u, LATERAL string_to_table(u.ssn, NULL) WITH ORDINALITY c(x, n) WHERE u.id = 1 ORDER BY n
## number of series [simple any]
SELECT count(*) * 3 FROM users u, generate_series(1, substr(u.ssn, 1, 3)::int)
## domain over an array
SELECT ARRAY[dom]::text, (ARRAY[dom])[1] FROM vault
## cast to a composite
SELECT ROW(ssn, 1)::pair, (ROW(ssn, 1)::pair).left_half FROM users
## cast of a record's text
SELECT ('(' || ssn || ',1)')::pair FROM users
## greatest of a type
SELECT greatest(num, 0), least(num, 9999999999) FROM vault
## null of it
SELECT ssn IS NULL OR NULL, (ssn IS NOT NULL)::text FROM users
## overlaps
SELECT (day, day) OVERLAPS (day, day) FROM vault WHERE false
## date truncation
SELECT date_trunc('second', day), date_part('epoch', day), make_interval(secs => extract(epoch from day)) FROM vault
## inet of it
SELECT place + 1, broadcast(place), abbrev(place), place::text FROM vault
## setting that is like another but for a constant [simple any]
SELECT put_by()
SELECT current_setting('work_mem')
SELECT current_setting('my.value')
## cast that is like another but for a constant [simple any]
SELECT '(1,a,b,c)'::users IS NOT NULL
SELECT ('(1,a,b,c)'::users).note IS NULL
SELECT ('(1,a,b,c)'::users)
SELECT (1::users)
## search_path that is like another but for a constant [simple any]
\new options=-csearch_path=hr
SELECT set_config('work_mem', '4MB', false)
SELECT set_config('search_path', 'public', false)
SELECT ssn || '' FROM users
## cast of a string to the same type [any]
SELECT '(1,a,b,c)'::users
## view made anew by a session with other settings [simple clear=0 either reset any]
SELECT called FROM people WHERE false
\new options=-cwork_mem=5MB
CREATE OR REPLACE VIEW people AS SELECT id, ssn AS called, name AS s FROM users
\new application_name=other
SELECT called FROM people
## search_path that an error of its batch takes back
\parse -|SET search_path TO hr
\bind -|-|0
\execute -|0
\parse -|SELECT 1/0
\bind -|-|0
\execute -|0
\sync
\parse -|SELECT ssn || '' FROM users
\bind -|-|0
\execute -|0
\sync
## search_path that an error of its batch takes back, asked later
\parse -|SET search_path TO hr
\bind -|-|0
\execute -|0
\parse -|SELECT 1/0
\bind -|-|0
\execute -|0
\sync
\wait
SELECT ssn || '' FROM users
## search_path taken back by a transaction that goes on [simple]
BEGIN
SET search_path TO hr
ROLLBACK AND CHAIN
SELECT ssn || '' FROM users
ROLLBACK
## local search_path that ends with a transaction that goes on [simple]
BEGIN
SET LOCAL search_path TO hr
COMMIT AND CHAIN
SELECT ssn || '' FROM users
ROLLBACK
## search_path taken back in the batch that begins anew
BEGIN
SET search_path TO hr
\parse -|ROLLBACK
\bind -|-|0
\execute -|0
\parse -|BEGIN
\bind -|-|0
\execute -|0
\sync
SELECT ssn || '' FROM users
ROLLBACK
## search_path taken back in the batch that asks [either]
BEGIN
SET search_path TO hr
\parse -|ROLLBACK
\bind -|-|0
\execute -|0
\parse -|SELECT ssn || '' FROM users
\bind -|-|0
\execute -|0
\sync
## local search_path and what follows its end, not waited for
\query BEGIN
\query SET LOCAL search_path TO hr
\query COMMIT
\query SELECT ssn || '' FROM users
## local search_path and what follows its savepoint, not waited for
\query BEGIN
\query SAVEPOINT a
\query SET LOCAL search_path TO hr
\query ROLLBACK TO a
\query SELECT ssn || '' FROM users
\query ROLLBACK
## statement that was prepared before its path went back, not waited for
PREPARE back AS SELECT ssn || '' FROM users
\query BEGIN
\query SET LOCAL search_path TO hr
\query COMMIT
\query EXECUTE back
## quoting that is changed in a batch [either]
\parse -|SET standard_conforming_strings TO off
\bind -|-|0
\execute -|0
\parse -|SELECT '\'' || ssn || '' FROM users --'
\bind -|-|0
\execute -|0
\sync
## quoting that is changed in a batch, with a flush [either]
\parse -|SET standard_conforming_strings TO off
\bind -|-|0
\execute -|0
\flush
\wait
\parse -|SELECT '\'' || ssn || '' FROM users --'
\bind -|-|0
\execute -|0
\sync
## quoting that goes back with its transaction, not waited for [either]
\query BEGIN
\query SET LOCAL standard_conforming_strings TO off
\query COMMIT
\query SELECT '\' || ssn || '' FROM users --'
## quoting that was another when it was prepared [either]
PREPARE quoted AS SELECT '\' || ssn || '' FROM users --'
SET standard_conforming_strings TO off
EXECUTE quoted
## quoting that was another when it was parsed [either]
\parse quoted|SELECT '\' || ssn || '' FROM users --'
\sync
SET standard_conforming_strings TO off
\bind -|quoted|0
\execute -|0
\sync
## encoding that is changed in a batch [either]
\parse -|SET client_encoding TO 'GBK'
\bind -|-|0
\execute -|0
\parse -|SELECT E'{{e38182}}\' || ssn || '' FROM users --'
\bind -|-|0
\execute -|0
\sync
## cursor declared before its path changed [simple]
BEGIN
DECLARE kept CURSOR FOR SELECT ssn || '' FROM users
SET LOCAL search_path TO hr
FETCH 1 FROM kept
ROLLBACK
## portal bound before its path changed [either]
BEGIN
\parse -|SELECT ssn || '' FROM users
\bind kept|-|0
\flush
\wait
\parse -|SET LOCAL search_path TO hr
\bind -|-|0
\execute -|0
\execute kept|0
\sync
ROLLBACK
## portal fetched from after its path changed [either]
BEGIN
\parse -|SELECT ssn || '' FROM users
\bind kept|-|0
\sync
SET LOCAL search_path TO hr
FETCH 1 FROM kept
ROLLBACK
## view that goes back with a savepoint [any simple reset]
CREATE VIEW back AS SELECT ssn || '' AS t FROM users
BEGIN
SAVEPOINT a
CREATE OR REPLACE VIEW back AS SELECT title || '' AS t FROM notes
SELECT t || '' FROM back
ROLLBACK TO a
SELECT t || '' FROM back
ROLLBACK
## view that goes back with a transaction that goes on [any simple reset]
CREATE VIEW back AS SELECT ssn || '' AS t FROM users
BEGIN
CREATE OR REPLACE VIEW back AS SELECT title || '' AS t FROM notes
SELECT t || '' FROM back
ROLLBACK AND CHAIN
SELECT t || '' FROM back
ROLLBACK
## held cursor of a view that is replaced [any simple reset]
CREATE VIEW held AS SELECT ssn || '' AS t FROM users
BEGIN
DECLARE kept CURSOR WITH HOLD FOR SELECT t || '' FROM held
COMMIT
CREATE OR REPLACE VIEW held AS SELECT title || '' AS t FROM notes
FETCH 1 FROM kept
## argument of a prepared statement that comes back [denied simple]
PREPARE p(text) AS SELECT $1 || ''
EXECUTE p(query_to_xml('select ssn from users', true, true, '')::text)
## argument of a prepared statement from a function [denied simple]
PREPARE p(text) AS SELECT $1 || ''
EXECUTE p(ssn_of(1))
## argument of a prepared statement that is explained [denied simple]
PREPARE p(text) AS SELECT $1 || ''
EXPLAIN (VERBOSE) EXECUTE p(ssn_of(1))
## argument of a prepared statement that is a row [denied simple]
PREPARE p(users) AS SELECT ($1).ssn
EXECUTE p(to_users(1))
## argument of a prepared statement that stores it [denied simple reset]
PREPARE p(text) AS INSERT INTO notes (id, title) VALUES (501, $1)
EXECUTE p(query_to_xml('select ssn from users', true, true, '')::text)
SELECT title FROM notes WHERE id = 501
## argument of a prepared statement that locks by it [denied simple]
PREPARE p(bigint) AS SELECT pg_advisory_lock($1)
EXECUTE p(replace(ssn_of(1), '-', '')::bigint)
SELECT objid FROM pg_locks WHERE locktype = 'advisory'
## argument of a prepared statement that a table is made of [denied simple reset]
PREPARE p(text) AS SELECT $1 AS x
CREATE TEMP TABLE t AS EXECUTE p(ssn_of(1))
SELECT x FROM t
## returned where a cursor is [simple clear=0 reset]
BEGIN
DECLARE c CURSOR FOR SELECT title FROM notes WHERE false
FETCH c
COMMIT
BEGIN
DECLARE c CURSOR FOR SELECT id FROM users WHERE id = 1 FOR UPDATE
MOVE c
UPDATE users SET note = 'x' WHERE CURRENT OF c RETURNING ssn || ''
## search_path by set_config that is not run [simple clear=0]
SET search_path TO public, hr
SELECT set_config('search_path', 'hr', false) WHERE false
SELECT ssn || '' FROM users
## search_path by set_config that is prepared only [simple clear=0]
SET search_path TO public, hr
PREPARE p AS SELECT set_config('search_path', 'hr', false)
SELECT ssn || '' FROM users
## search_path by set_config in a cursor that is not fetched [simple clear=0]
SET search_path TO public, hr
BEGIN
DECLARE c CURSOR FOR SELECT set_config('search_path', 'hr', false)
SELECT ssn || '' FROM users
## search_path by set_config in a branch [simple any]
SET search_path TO public, hr
SELECT CASE WHEN id > 0 THEN '' ELSE set_config('search_path', 'hr', false) END FROM ledger
SELECT ssn || '' FROM users
## search_path by set_config in an explained argument [simple any]
SET search_path TO hr
PREPARE p(text) AS SELECT 1
EXPLAIN EXECUTE p(set_config('search_path', 'public', false))
SELECT ssn || '' FROM users
## default of a table that is made [denied simple reset]
CREATE TABLE later (id int, x text DEFAULT query_to_xml('select ssn from users', true, true, '')::text)
INSERT INTO later (id) VALUES (1)
SELECT x FROM later
## default by a function of a temporary table that is made [denied simple reset]
CREATE TEMP TABLE later (id int, x text DEFAULT ssn_of(1))
INSERT INTO later (id) VALUES (1) RETURNING x
## default of a column that is added [denied simple reset]
ALTER TABLE notes ADD COLUMN y text DEFAULT query_to_xml('select ssn from users', true, true, '')::text
SELECT y FROM notes
## generated column of a table that is made [denied simple reset]
CREATE TABLE later (id int, x text GENERATED ALWAYS AS (ssn_pure(id)) STORED)
INSERT INTO later (id) VALUES (1)
SELECT x FROM later
## bound of a partition [denied simple reset]
CREATE TABLE later (x text) PARTITION BY LIST (x)
CREATE TABLE later_a PARTITION OF later FOR VALUES IN ((query_to_xml('select ssn from users', true, true, '')::text))
SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'later_a'
## bound of a partition that is attached [denied simple reset]
CREATE TABLE later (x text) PARTITION BY LIST (x)
CREATE TABLE later_a (x text)
ALTER TABLE later ATTACH PARTITION later_a FOR VALUES IN ((ssn_of(1)))
## check of a table that is made [denied simple reset]
CREATE TABLE later (id int CHECK (query_to_xml('select ssn::int from users', true, true, '') IS NOT NULL))
INSERT INTO later VALUES (1)
## check that is added [denied simple reset]
CREATE TABLE later (id int)
ALTER TABLE later ADD CHECK (query_to_xml('select ssn::int from users', true, true, '') IS NULL)
INSERT INTO later VALUES (1)
## check of a domain [denied simple reset]
CREATE DOMAIN later AS int CHECK (ssn_of(1)::int > VALUE)
SELECT 1::later
## search_path by a default [denied simple reset]
CREATE TABLE later (id int, x text DEFAULT set_config('search_path', 'hr', false))
INSERT INTO later (id) VALUES (1)
SELECT ssn || '' FROM users
## condition of a trigger [denied simple reset]
CREATE TRIGGER later BEFORE INSERT ON notes FOR EACH ROW WHEN (query_to_xml('select ssn::int from users', true, true, '') IS NULL) EXECUTE FUNCTION suppress_redundant_updates_trigger()
INSERT INTO notes (id) VALUES (900)
## condition of row security [denied simple reset]
CREATE POLICY later ON notes USING ((SELECT min(ssn) FROM users)::int > 0)
## condition of row security, looked at inside [denied simple reset]
CREATE POLICY later ON notes USING ((SELECT max(id) FROM users WHERE ssn::int > 0) > 0)
## renamed by a parent that is made for it [denied simple reset]
CREATE TABLE above (id int, ssn text) PARTITION BY RANGE (id)
ALTER TABLE above ATTACH PARTITION parts_low FOR VALUES FROM (MINVALUE) TO (MAXVALUE)
## renamed in the parent [denied simple reset]
ALTER TABLE parts RENAME COLUMN ssn TO harmless
SELECT left(harmless, 20) FROM parts_low
## inherited by a parent that is made for it [denied simple reset]
CREATE TABLE above (id int, name text, ssn text, note text)
ALTER TABLE users INHERIT above
## error of statistics [simple reset]
CREATE STATISTICS later ON (ssn::int), name FROM users
ANALYZE users
## error of statistics when it is vacuumed [simple reset]
CREATE STATISTICS later ON (ssn::int), name FROM users
VACUUM (ANALYZE) users
## table of another server [denied simple reset]
CREATE FOREIGN TABLE ft (x text OPTIONS (column_name 'ssn')) SERVER loop OPTIONS (table_name 'users')
## another server [denied simple reset]
CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'localhost')
## tables of another server [denied simple reset]
IMPORT FOREIGN SCHEMA public FROM SERVER loop INTO hr
## copied from a program [denied simple reset]
COPY notes (id, title) FROM PROGRAM 'echo 700,x' (FORMAT csv)
## copied from a file [denied simple reset]
COPY notes (id, title) FROM '/tmp/nothing' (FORMAT csv)
## columns after those of a function of unknown shape [simple]
SELECT t.c FROM users u, ROWS FROM (jsonb_populate_record(NULL::users, to_jsonb(u)), json_each('{"a":1}')) AS t(a, b, c, d, e, f)
## columns after an array of rows that a query made [simple]
SELECT b FROM (SELECT array_agg(ROW('k', replace(ssn, '-', '')::int)::pair) AS x FROM users) s, ROWS FROM (unnest(s.x), json_each('{"a":1}')) AS t(a, b, c, d)
## row number after columns of unknown shape [simple any]
SELECT t.c FROM users u, jsonb_populate_record(NULL::users, to_jsonb(u)) WITH ORDINALITY AS t(a, b, c, d, e)
## constant in a row that is cast by code [simple any]
SELECT count(*) FROM users WHERE users = ROW(1, 'a', '871-62-5394', 'x')::users
## error of a cursor that is kept, when it is committed [simple any]
BEGIN
DECLARE c CURSOR WITH HOLD FOR SELECT ssn::int FROM users
COMMIT
## error of a cursor that is kept, at the end of a batch [any]
\parse -|DECLARE c CURSOR WITH HOLD FOR SELECT ssn::int FROM users
\bind -|-|0
\execute -|0
\sync
## error of a cursor that is moved [simple any]
BEGIN
DECLARE c CURSOR FOR SELECT ssn::int FROM users
MOVE ALL FROM c
ROLLBACK
## error of statistics [simple any reset]
CREATE STATISTICS of_it ON (ssn::int) FROM users
ANALYZE users
VACUUM ANALYZE users
## error while a statement is planned [any]
\parse -|SELECT ssn_pure(1)::int
\bind -|-|0
\execute -|0
\sync
## error of a constraint that waits for the commit [simple any]
BEGIN
UPDATE tenants SET ssn = (SELECT ssn FROM tenants WHERE id = 2) WHERE id = 1
COMMIT
## error of a constraint that waits for the end of a batch [any]
\parse -|UPDATE tenants SET ssn = (SELECT ssn FROM tenants WHERE id = 2)
\bind -|-|0
\execute -|0
\sync
## error of a constraint that waits for a query behind a batch [any]
\parse -|UPDATE tenants SET ssn = (SELECT ssn FROM tenants WHERE id = 2)
\bind -|-|0
\execute -|0
\flush
SELECT 1
## error of a constraint that waits until it is told [simple any]
BEGIN
UPDATE tenants SET ssn = (SELECT ssn FROM tenants WHERE id = 2) WHERE id = 1
SET CONSTRAINTS ALL IMMEDIATE
ROLLBACK
## error of a key that empties [simple any]
DELETE FROM houses WHERE id = 1
## error of a key that changes [simple any]
UPDATE houses SET id = 2000 WHERE id = 2
## conditions of rows [simple denied]
CREATE POLICY p ON notes USING ((SELECT min(ssn) FROM users)::int > 0)
## stored in parts where a class leaves something [simple denied]
UPDATE orders SET card = left(card, 12)
## stored by another way to put it [simple denied]
UPDATE orders SET card = (SELECT substr(o.card, 1, 8) FROM orders o WHERE o.id = 11) WHERE id = 10
## stored in parts by an insert [simple denied]
INSERT INTO orders (id, card) SELECT id + 1000, right(card, 12) FROM orders
## stored in parts under a view [simple denied]
INSERT INTO orders (id, card) SELECT 1000, c FROM (SELECT left(card, 12) AS c FROM orders) o
## stored as it is where a class leaves something [simple any reset]
INSERT INTO orders (id, card) SELECT id + 1000, card FROM orders
SELECT card FROM orders
INSERT INTO orders (id, card) VALUES (1, '0') ON CONFLICT (id) DO UPDATE SET card = excluded.card
## stored from a stricter class [simple denied]
UPDATE orders SET card = (SELECT ssn FROM users WHERE id = 1)
## stored where nobody knows what it is, and a class leaves something [simple denied]
INSERT INTO orders (id, card) VALUES (1000, query_to_xml('select ssn from users', true, true, '')::text)
## stored by a function where a class leaves something [simple denied]
INSERT INTO orders (id, card) VALUES (1000, ssn_of(1))
## stored by a function where nothing is left [simple any reset]
INSERT INTO users (id, name, ssn) VALUES (1000, 'x', ssn_of(1) || ' again')
SELECT ssn FROM users
## replication of everything [simple denied]
\new replication=database
BASE_BACKUP (CHECKPOINT 'fast', WAL false)
## replication of changes [simple denied]
\new replication=database
CREATE_REPLICATION_SLOT shown TEMPORARY LOGICAL test_decoding
## replication that runs SQL [simple denied]
\new replication=database
SELECT ssn FROM users
## domain with a condition [simple denied]
CREATE DOMAIN checked AS text CHECK (query_to_xml('select ssn::int from users', true, true, '') IS NOT NULL)
## domain with a default [simple denied]
CREATE DOMAIN filled AS text DEFAULT ssn_of(1)
## trigger on what is not protected [simple denied]
CREATE TRIGGER seen BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION zero()
## portal of a name that stands for something else when it is run [any]
PREPARE other AS SELECT title FROM notes
BEGIN
\parse -|EXECUTE other
\bind kept|-|0
\sync
DEALLOCATE other
PREPARE other AS SELECT ssn FROM users
\execute kept|0
\sync
ROLLBACK
