#! Ways to do what is forbidden. None may have an effect; what a case itself names `evaded` may not come back, either.
#! Flags: `passes` it is harmless and is to be let through; `attached` what happens is what the owner of the schema made
#! a part of a harmless statement, and nothing tells of it.
## plain drop
DROP TABLE ledger
## two spaces
drop  table  ledger
## comment between
DROP/**/TABLE/**/ledger
## nested comment
DROP /* /* x */ SELECT */ TABLE ledger
## line comment
DROP -- nothing{{0a}}TABLE ledger
## line comment ended by a carriage return
-- x{{0d}}DROP TABLE ledger
## form feed and vertical tab
DROP{{0c}}TABLE{{0b}}ledger
## mixed case
dRoP tAbLe LeDgEr
## quoted name
DROP TABLE "ledger"
## name with escapes
DROP TABLE U&"l\0065dger"
## name with its own escape
DROP TABLE U&"l!0065dger" UESCAPE '!'
## name with six digits
DROP TABLE U&"\+00006cedger"
## schema and database written
DROP TABLE "public"."ledger"
## after a harmless one
SELECT 1; DROP TABLE ledger
## before a harmless one
DROP TABLE ledger; SELECT 1
## in the middle
SELECT ';'; DROP TABLE ledger; SELECT '--'
## after an empty one
;;;; DROP TABLE ledger
## after a string with a quote
SELECT 'it''s'; DROP TABLE ledger; --'
## after a string with a backslash
SELECT '\'; DROP TABLE ledger; --'
## after an escape string
SELECT E'\'' ; DROP TABLE ledger; --'
## after an escape string that only looks open
SELECT E'\\'; DROP TABLE ledger; --'
## after a dollar string
SELECT $$'$$; DROP TABLE ledger; --'
## after a dollar string with a name
SELECT $a$ $$ $a$; DROP TABLE ledger; --$a$
## a dollar within a name
SELECT 1 AS a$b$; DROP TABLE ledger; SELECT 1 AS c$b$
## after a national string
SELECT N'x'; DROP TABLE ledger
## after a bit string
SELECT B'1', X'1f'; DROP TABLE ledger
## after a string in pieces
SELECT 'a'{{0a}}'b'; DROP TABLE ledger
## behind quoted quotes
SELECT """"; DROP TABLE ledger; --"
## in a nested comment that ends
SELECT 1 /* /* */ */ ; DROP TABLE ledger
## in what looks like a comment's end
SELECT 1 /* -- */ ; DROP TABLE ledger
## operator that looks like a comment
SELECT 1 +-- x{{0a}} 1; DROP TABLE ledger
## operator beside a comment
SELECT 2 */* x */ 3; DROP TABLE ledger
## parameters of psql
SELECT :x; DROP TABLE ledger
## backslashes on
SET standard_conforming_strings TO off
SELECT '\'; DROP TABLE ledger; --'
## backslashes on, with a quote
SET standard_conforming_strings TO off
SELECT '\''; DROP TABLE ledger; --'
## backslashes on in the same message
SET standard_conforming_strings TO off; SELECT '\''; DROP TABLE ledger; --'
## backslashes off in the same message
SET standard_conforming_strings TO off; SET standard_conforming_strings TO on; SELECT '\'; DROP TABLE ledger; --'
## backslashes on by set_config
SELECT set_config('standard_conforming_strings', 'off', false)
SELECT '\''; DROP TABLE ledger; --'
## backslashes on from the start
\new options=-cstandard_conforming_strings=off
SELECT '\''; DROP TABLE ledger; --'
## backslashes on by update
UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'
SELECT '\''; DROP TABLE ledger; --'
## backslashes on within a transaction that goes back
BEGIN
SET standard_conforming_strings TO off
ROLLBACK
SELECT '\'; DROP TABLE ledger; --'
## backslashes on in a pipeline
\query SET standard_conforming_strings TO off
\query SELECT '\''; DROP TABLE ledger; --'
## backslashes on for a local while
BEGIN
SET LOCAL standard_conforming_strings TO off
SELECT '\''; DROP TABLE ledger; --'
COMMIT
## encoding with a backslash in a second byte
SET client_encoding TO 'SJIS'
SELECT '{{8f5c}}'; DROP TABLE ledger; --'
## encoding with a backslash, escape string
SET client_encoding TO 'BIG5'
SELECT E'{{a55c}}'; DROP TABLE ledger; --'
## encoding with a quote in a second byte
SET client_encoding TO 'GBK'
SELECT '{{bf27}}'; DROP TABLE ledger; --'
## encoding set by names
SET NAMES 'GB18030'
SELECT '{{8130}}'; DROP TABLE ledger
## encoding from the start
\new client_encoding=SJIS
SELECT '{{8f5c}}'; DROP TABLE ledger; --'
## encoding by options
\new options=-cclient_encoding=BIG5
SELECT E'{{a55c27}}; DROP TABLE ledger; --'
## encoding in a pipeline
\query SET client_encoding TO 'SJIS'
\query SELECT '{{8f5c}}'; DROP TABLE ledger; --'
## encoding utf7 of nothing
SELECT '+ADs-'; DROP TABLE ledger
## invalid utf-8
DROP TABLE ledger; SELECT '{{ff}}'
## invalid utf-8 in a comment
DROP /* {{ff}} */ TABLE ledger
## overlong utf-8
SELECT '{{c0a7}}; DROP TABLE ledger; --'
## byte order mark
{{efbbbf}}DROP TABLE ledger
## no-break space
DROP{{c2a0}}TABLE ledger
## ideographic space
DROP{{e38080}}TABLE ledger
## letters that fold
DROP TABLE LEDGER
## kelvin sign and its like
DROP TABLE {{e284aa}}edger
## NUL within
SELECT 1{{00}}; DROP TABLE ledger
## NUL before
{{00}}DROP TABLE ledger
## NUL in a comment
DROP /* {{00}} */ TABLE ledger
## without an end
\raw Q|DROP TABLE ledger
## two ends
\raw Q|SELECT 1{{00}}DROP TABLE ledger{{00}}
## parse with two texts
\raw P|{{00}}SELECT 1{{00}}DROP TABLE ledger{{00}}{{0000}}
\sync
## delete everything
DELETE FROM ledger
## delete with a constant
DELETE FROM lists WHERE true
## delete with another constant
DELETE FROM lists WHERE 1 = 1
## delete with a computed constant
DELETE FROM lists WHERE 1 + 1 = 2 OR id = 7
## delete with itself
DELETE FROM lists WHERE id = id
## delete with a subquery that is true
DELETE FROM lists WHERE EXISTS (SELECT 1)
## delete with a random
DELETE FROM lists WHERE random() >= 0
## delete using
DELETE FROM lists USING head
## update without a predicate
UPDATE lists SET text = 'evaded'
## update with a constant
UPDATE lists SET text = 'evaded' WHERE true IS NOT FALSE
## update with a function of nothing
UPDATE lists SET text = 'evaded' WHERE now() IS NOT NULL
## update from without a predicate
UPDATE lists SET text = 'evaded' FROM notes
## insert into the ledger
INSERT INTO ledger VALUES (3, 1)
## insert by a quoted name
INSERT INTO "ledger" AS l VALUES (3, 1)
## update of the ledger
UPDATE ledger SET amount = 0 WHERE id = 1
## update by only
UPDATE ONLY ledger AS notes SET amount = 0 WHERE id = 1
## update by inheritance
UPDATE ledger * SET amount = 0 WHERE id = 1001
## delete from the ledger
DELETE FROM ONLY (ledger) WHERE id = 1
## truncate
TRUNCATE ledger
## truncate with others
TRUNCATE TABLE lists, ledger CASCADE
## upsert
INSERT INTO ledger VALUES (1, 0) ON CONFLICT (id) DO UPDATE SET amount = 0
## common table that deletes
WITH d AS (DELETE FROM ledger WHERE id = 1 RETURNING *) SELECT * FROM d
## common table that is not used
WITH d AS (UPDATE ledger SET amount = 0 WHERE id = 1) SELECT 1
## common table in a common table
WITH a AS (SELECT 1), b AS (INSERT INTO ledger SELECT 9, 9) SELECT * FROM a
## common table in an insert
WITH d AS (DELETE FROM ledger WHERE id = 1 RETURNING id) INSERT INTO inbox SELECT id, 'x' FROM d
## common table in a cursor
BEGIN
DECLARE c CURSOR FOR WITH d AS (DELETE FROM ledger WHERE id = 1 RETURNING id) SELECT * FROM d
FETCH ALL FROM c
COMMIT
## common table in copy
COPY (WITH d AS (DELETE FROM ledger WHERE id = 1 RETURNING id) SELECT * FROM d) TO STDOUT
## common table in a table's making
CREATE TEMP TABLE t AS WITH d AS (DELETE FROM ledger WHERE id = 1 RETURNING id) SELECT * FROM d
## common table shadows the name
WITH ledger AS (SELECT 1 AS id) DELETE FROM ledger WHERE id = 1
## copy in
COPY ledger FROM STDIN
## copy out of a deletion
COPY (DELETE FROM ledger WHERE id = 1 RETURNING *) TO STDOUT
## copy into a file
COPY lists TO '/tmp/evaded-file'
## copy into the server's own directory
COPY (SELECT 1) TO 'evaded.conf'
## copy from a file
COPY inbox (text) FROM '/etc/passwd'
## copy from a program
COPY inbox (text) FROM PROGRAM 'id'
## copy to a program
COPY (SELECT 1) TO PROGRAM 'cat > evaded.program'
## copy to a program with a string's escape
COPY (SELECT 1) TO PROGRAM E'cat \x3e evaded.program'
## copy to a program, dollars
COPY (SELECT 1) TO/**/PROGRAM $$cat > evaded.program$$
## do
DO $$ BEGIN DELETE FROM ledger; END $$
## do in a string
DO 'BEGIN DELETE FROM ledger; END'
## do with an escape string
DO E'BEGIN \x44ELETE FROM ledger; END'
## do in a language
DO LANGUAGE plpgsql $x$ BEGIN EXECUTE 'DELE' || 'TE FROM ledger'; END $x$
## do with an inner exception
DO $$ BEGIN BEGIN DELETE FROM ledger; EXCEPTION WHEN OTHERS THEN NULL; END; END $$
## explain analyze
EXPLAIN ANALYZE DELETE FROM ledger WHERE id = 1
## explain with options
EXPLAIN (COSTS off, ANALYZE true, TIMING off) UPDATE ledger SET amount = 0 WHERE id = 1
## explain analyze verbose
EXPLAIN ANALYZE VERBOSE INSERT INTO ledger VALUES (4, 4)
## explain analyze of a prepared statement
PREPARE p AS DELETE FROM ledger WHERE id = 1
EXPLAIN ANALYZE EXECUTE p
## explain analyze of a table's making
EXPLAIN ANALYZE CREATE TABLE evaded AS SELECT 1
## prepare and execute
PREPARE p AS DELETE FROM ledger WHERE id = 1
EXECUTE p
## prepare under a quoted name
PREPARE "P" AS DELETE FROM ledger WHERE id = 1
PREPARE p AS SELECT 1
EXECUTE "P"
## prepare in the same message
PREPARE p AS DELETE FROM ledger WHERE id = 1; EXECUTE p
## prepare anew in the same message
PREPARE p AS SELECT 1
DEALLOCATE p; PREPARE p AS DELETE FROM ledger WHERE id = 1; EXECUTE p
## prepare anew in a pipeline
\query PREPARE p AS SELECT 1
\query DEALLOCATE p
\query PREPARE p AS DELETE FROM ledger WHERE id = 1
\query EXECUTE p
## prepare anew behind a failing one
PREPARE p AS SELECT 1
\query SELECT 1/0; DEALLOCATE p
\query PREPARE p AS DELETE FROM ledger WHERE id = 1
\query EXECUTE p
## prepare by the protocol, execute in SQL
\parse p|DELETE FROM ledger WHERE id = 1
\sync
EXECUTE p
## prepare in SQL, bind by the protocol
PREPARE p AS DELETE FROM ledger WHERE id = 1
\bind -|p|0
\execute -|0
\sync
## prepare with a long name
PREPARE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab AS SELECT 1
DEALLOCATE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac
PREPARE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaad AS DELETE FROM ledger WHERE id = 1
EXECUTE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab
## execute of a statement made before the record
EXECUTE unheard_of
## parse, bind, execute
\parse -|DELETE FROM ledger WHERE id = 1
\bind -|-|0
\execute -|0
\sync
## parse with a parameter
\parse -|DELETE FROM ledger WHERE id = $1
\bind -|-|0|1
\execute -|0
\sync
## parse of several
\parse -|SELECT 1; DELETE FROM ledger WHERE id = 1
\bind -|-|0
\execute -|0
\sync
## parse without describing, split over syncs
\parse s|DELETE FROM ledger WHERE id = 1
\sync
\bind c|s|0
\execute c|0
\sync
## unnamed statement overwritten in a pipeline
\parse -|SELECT 1
\parse -|DELETE FROM ledger WHERE id = 1
\bind -|-|0
\execute -|0
\sync
## unnamed statement overwritten after an error
\parse -|SELECT 1/0
\bind -|-|0
\execute -|0
\parse -|SELECT 1
\sync
\parse -|DELETE FROM ledger WHERE id = 1
\bind -|-|0
\execute -|0
\sync
## denied parse keeps the former statement
\parse -|DELETE FROM ledger WHERE id = 1
\sync
\parse -|SELECT 'evaded' WHERE false
\sync
\parse -|DROP TABLE ledger
\bind -|-|0
\execute -|0
\sync
## named statement twice
\parse s|SELECT 1
\parse s|DELETE FROM ledger WHERE id = 1
\sync
\bind -|s|0
\execute -|0
\sync
## named statement closed and made anew in a batch
\parse s|SELECT 1
\close S|s
\parse s|DELETE FROM ledger WHERE id = 1
\bind -|s|0
\execute -|0
\sync
## portal executed again
\parse s|SELECT 1
\bind c|s|0
\execute c|1
\execute c|1
\parse t|DELETE FROM ledger WHERE id = 1
\bind c|t|0
\execute c|0
\sync
## empty parse, then a query
\parse -|
\bind -|-|0
\execute -|0
\query DELETE FROM ledger WHERE id = 1
\sync
## query within a batch
\parse -|SELECT 1
\bind -|-|0
DELETE FROM ledger WHERE id = 1
## deallocate all in between
\parse s|SELECT 1
\sync
DISCARD ALL
\parse s|DELETE FROM ledger WHERE id = 1
\bind -|s|0
\execute -|0
\sync
## cursor's current row
BEGIN
DECLARE c CURSOR FOR SELECT * FROM ledger
FETCH 1 FROM c
UPDATE ledger SET amount = 0 WHERE CURRENT OF c
COMMIT
## cursor that deletes its row
BEGIN
DECLARE c CURSOR FOR SELECT * FROM ledger FOR UPDATE
FETCH 1 FROM c
DELETE FROM ledger WHERE CURRENT OF c
COMMIT
## select into
SELECT 1 AS evaded INTO evaded
## select into a temporary table
SELECT 1 AS x INTO TEMPORARY evaded
## create table as
CREATE TABLE evaded AS TABLE ledger
## create table of nothing
CREATE TABLE evaded ()
## create in a schema's making
CREATE SCHEMA evaded CREATE TABLE t (a int)
## alter
ALTER TABLE ledger ADD COLUMN evaded int
## alter if there
ALTER TABLE IF EXISTS ONLY ledger RENAME TO evaded
## alter a view's table
ALTER VIEW balance RENAME TO evaded
## comment as a change
COMMENT ON TABLE ledger IS 'evaded'
## grant
GRANT ALL ON ledger TO others
## grant of a role
GRANT pg_read_server_files TO others
## revoke
REVOKE ALL ON ledger FROM by_trust
## alter role
ALTER ROLE others SUPERUSER
## create role
CREATE USER evaded PASSWORD 'x'
## alter system
ALTER SYSTEM SET work_mem = '5MB'
## alter database
ALTER DATABASE postgres SET work_mem = '5MB'
## default privileges
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO others
## reassign
REASSIGN OWNED BY by_trust TO others
## drop owned
DROP OWNED BY by_trust
## security label and policies
ALTER TABLE ledger ENABLE ROW LEVEL SECURITY
## trigger off
ALTER TABLE ledger DISABLE TRIGGER ALL
## reindex and cluster
CLUSTER ledger USING ledger_pkey
## vacuum full
VACUUM FULL ledger
## import
IMPORT FOREIGN SCHEMA x FROM SERVER y INTO public
## load
LOAD 'auto_explain'
## extension
CREATE EXTENSION adminpack
## language
CREATE LANGUAGE evaded
## function
CREATE FUNCTION evaded() RETURNS int LANGUAGE sql AS 'DELETE FROM ledger; SELECT 1'
## temporary function
CREATE FUNCTION pg_temp.evaded() RETURNS int LANGUAGE sql AS 'DELETE FROM ledger; SELECT 1'
SELECT pg_temp.evaded()
## event trigger
CREATE EVENT TRIGGER evaded ON ddl_command_start EXECUTE FUNCTION zero()
## publication
CREATE PUBLICATION evaded FOR ALL TABLES
## subscription
CREATE SUBSCRIPTION evaded CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false)
## tablespace
CREATE TABLESPACE evaded LOCATION '/tmp'
## user's function
SELECT spend()
## user's function, atomic
SELECT spend_atomic()
## user's function with arguments
SELECT spend_pl(1)
## user's function by its schema
SELECT "public"."spend"()
## user's function by unicode
SELECT U&"sp\0065nd"()
## user's function in FROM
SELECT * FROM spend() s
## user's function in a predicate
SELECT 1 FROM lists WHERE spend() = 1
## user's function in an order
SELECT 1 FROM lists ORDER BY spend()
## user's function in a limit
SELECT 1 FROM lists LIMIT spend()
## user's function in having
SELECT count(*) FROM lists HAVING spend() > 0
## user's function in values
VALUES (spend())
## user's function in a default of coalesce
SELECT coalesce(NULL, spend())
## user's function in a window's frame
SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN spend() PRECEDING AND CURRENT ROW) FROM lists
## user's function in a filter
SELECT count(*) FILTER (WHERE spend() = 1) FROM lists
## user's function in returning
INSERT INTO inbox VALUES (1, 'x') RETURNING spend()
## user's function in a join
SELECT 1 FROM lists a JOIN lists b ON spend() = 1
## user's function in lateral
SELECT 1 FROM lists, LATERAL (SELECT spend()) x
## user's function in a sample
SELECT 1 FROM lists TABLESAMPLE SYSTEM (spend())
## user's function in a parameter of execute
PREPARE p(int) AS SELECT $1
EXECUTE p(spend())
## user's function as an attribute
SELECT (x.id).spend_pl FROM lists x
## user's function of a row's column
SELECT x.spend_pl FROM (SELECT 1 AS y) z, LATERAL (SELECT 1) x(spend_pl), LATERAL (SELECT spend_pl(1)) w
## user's function by call
CALL spend_all()
## user's function by a function call message
\function 16999
## user's operator
SELECT 1 <-> 2
## user's operator written out
SELECT 1 OPERATOR(public.<->) 2
## user's operator in a predicate
SELECT * FROM lists WHERE id <-> 1 = 1
## user's operator by any
SELECT 1 <-> ANY (ARRAY[1, 2]) = 1
## user's aggregate
SELECT spent(id) FROM lists
## user's aggregate as a window
SELECT spent(id) OVER () FROM lists
## explain that folds a function
EXPLAIN SELECT spend_pl(1)
## view that can be written
UPDATE balance SET sum = 0 WHERE no = 1
## view that can be written, insert
INSERT INTO balance VALUES (7, 7)
## view that can be written, delete
DELETE FROM balance WHERE no = 1
## view with a trigger
INSERT INTO window_of VALUES (8)
## view with a rule
INSERT INTO ruled VALUES (8)
## table with a rule
INSERT INTO inbox VALUES (1, 'x')
## table with a trigger [attached]
INSERT INTO outbox VALUES (1, 'x')
## table with a trigger, by copy [attached]
COPY outbox FROM STDIN
## foreign key that deletes [attached]
DELETE FROM head WHERE id = 5
## merge
MERGE INTO ledger l USING lists s ON l.id = s.id WHEN MATCHED THEN UPDATE SET amount = 0
## merge that deletes
MERGE INTO ledger l USING lists s ON l.id = s.id WHEN MATCHED THEN DELETE
## merge that deletes everything
MERGE INTO lists l USING lists s ON true WHEN MATCHED THEN DELETE
## child of the ledger
UPDATE ledger_part SET amount = 0 WHERE id = 1001
## search_path that hides it
SET search_path TO hr
DELETE FROM public.ledger WHERE id = 1
## search_path in a pipeline
\query SET search_path TO public
\query DELETE FROM ledger WHERE id = 1
## search_path set to nothing
SET search_path TO ''
DELETE FROM public.ledger WHERE id = 1
## temporary table of that name
CREATE TEMP TABLE ledger (id int)
DELETE FROM public.ledger WHERE id = 1
## role
SET ROLE by_trust
DELETE FROM ledger WHERE id = 1
## session authorization
SET SESSION AUTHORIZATION by_trust
DELETE FROM ledger WHERE id = 1
## role in the startup
\new role=by_trust
DELETE FROM ledger WHERE id = 1
## replica role
SET session_replication_role TO replica
DELETE FROM ledger WHERE id = 1
## file read
SELECT pg_read_file('pg_hba.conf')
## file read in binary
SELECT pg_read_binary_file('pg_hba.conf')
## file read by a quoted name
SELECT "pg_catalog"."pg_read_file"('pg_hba.conf')
## file read by a unicode name
SELECT U&"pg_re\0061d_file"('pg_hba.conf')
## file read in FROM
SELECT * FROM pg_read_file('pg_hba.conf') x
## file read as an attribute
SELECT ('pg_hba.conf'::text).pg_read_file
## file read as an attribute of a subquery
SELECT f.pg_read_file FROM (SELECT 'pg_hba.conf'::text) f(x), LATERAL (SELECT pg_read_file(f.x)) g
## file read by a large object
SELECT lo_import('pg_hba.conf')
## file listed
SELECT 'evaded' FROM pg_ls_dir('.')
## file's rules
SELECT 'evaded' FROM pg_hba_file_rules
## file's settings
SELECT 'evaded' FROM pg_file_settings
## file's state
SELECT pg_stat_file('pg_hba.conf')
## file written by a large object
SELECT lo_export(4711, 'evaded.object')
## file read through xml
SELECT query_to_xml('SELECT pg_read_file(''pg_hba.conf'')', true, true, '')
## file read by a function call message
\function 2624|pg_hba.conf|{{0000000000000000}}|{{0000000000000400}}
## session ended
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'
## session ended in a common table
WITH x AS (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim') SELECT * FROM x
## session ended by a predicate
SELECT 1 FROM pg_stat_activity WHERE application_name = 'victim' AND pg_terminate_backend(pid)
## session cancelled
SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'
## configuration read anew
SELECT pg_reload_conf() AS evaded
## log rotated
SELECT pg_rotate_logfile()
## statistics reset
SELECT pg_stat_reset()
## write-ahead log switched
SELECT pg_switch_wal() IS NULL AS x, 'evaded'
## replication slot
SELECT pg_create_physical_replication_slot('evaded')
## setting by a function
SELECT set_config('application_name', 'evaded', false)
## setting by a function, elsewhere
SELECT 1 FROM lists WHERE set_config('application_name', 'evaded', false) IS NOT NULL
## large object made
SELECT lo_create(9999)
## large object made of bytes
SELECT lo_from_bytea(9998, 'x')
## large object removed
SELECT lo_unlink(4711)
## large object cut
SELECT lo_truncate(lo_open(4711, 131072), 0)
## large object written
SELECT lowrite(lo_open(4711, 131072), 'evaded')
## large object put
SELECT lo_put(4711, 0, 'evaded')
## large object removed by a function call message
\function 964|{{00001267}}
## text that is run
SELECT query_to_xml('DELETE FROM ledger', true, true, '')
## text that is run by a cursor
SELECT cursor_to_xml('c', 1, true, true, '')
## text that is run for statistics
SELECT * FROM ts_stat('DELETE FROM ledger RETURNING NULL::tsvector')
## catalog written
UPDATE pg_catalog.pg_class SET relname = 'evaded' WHERE relname = 'ledger'
## catalog written with permission
SET allow_system_table_mods TO on
DELETE FROM pg_catalog.pg_class WHERE relname = 'ledger'
## catalog of roles
UPDATE pg_authid SET rolsuper = true WHERE rolname = 'others'
## nextval and setval
SELECT setval(pg_get_serial_sequence('ledger', 'id'), 1)
## advisory locks of everyone
LOCK TABLE ledger IN ACCESS EXCLUSIVE MODE; DELETE FROM ledger WHERE id = 1
## two-phase
BEGIN; DELETE FROM ledger WHERE id = 1; PREPARE TRANSACTION 'evaded'
## chained transactions
BEGIN; SELECT 1; COMMIT AND CHAIN; DELETE FROM ledger WHERE id = 1; COMMIT
## implicit transaction
SELECT 1; DELETE FROM ledger WHERE id = 1; COMMIT
## in a failed transaction
BEGIN
SELECT 1 / 0
DELETE FROM ledger WHERE id = 1
COMMIT
DELETE FROM ledger WHERE id = 1
## replication
\new replication=database
CREATE_REPLICATION_SLOT evaded LOGICAL test_decoding
## replication, physical
\new replication=true
CREATE_REPLICATION_SLOT evaded PHYSICAL
## replication that runs SQL
\new replication=database
DELETE FROM ledger WHERE id = 1
## replication's backup
\new replication=true
BASE_BACKUP
## replication's timeline
\new replication=true
TIMELINE_HISTORY 1
## replication's stream
\new replication=true
START_REPLICATION 0/0
## a very long statement
SELECT '{{2000000*x}}'; DROP TABLE ledger
## a very deep statement
SELECT {{20000*(}}1{{20000*)}}; DROP TABLE ledger
## many statements
{{30000*SELECT 1;}} DROP TABLE ledger
## a long list
SELECT * FROM lists WHERE id IN (0{{100000*,1}}); DROP TABLE ledger
## many unions
SELECT 1 {{6000* UNION ALL SELECT 1}}; DROP TABLE ledger
## a name that is cut
DROP TABLE ledger{{0*x}}, aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab
## keywords as names
SELECT 1 AS "select"; DROP TABLE ledger; SELECT 1 AS "drop"
## unknown message
\raw y|DROP TABLE ledger{{00}}
## function call that is malformed
\raw F|{{0000}}
## copy data outside of copy
\data DROP TABLE ledger
\done
## password message out of turn
\raw p|DROP TABLE ledger{{00}}
## harmless: word in a string [passes]
SELECT 'DROP TABLE ledger; DELETE FROM ledger'
## harmless: word in a comment [passes]
SELECT 1 /* DROP TABLE ledger */ -- DELETE FROM ledger
## harmless: word as a name [passes]
SELECT 1 AS "drop table ledger", id AS delete FROM lists
## harmless: reading the ledger [passes]
SELECT l.*, count(*) OVER () FROM ledger l WHERE amount > 0
## harmless: update with a predicate [passes]
UPDATE lists SET text = text WHERE id = 1
## harmless: delete with a predicate [passes]
DELETE FROM lists WHERE id = 99
## harmless: insert [passes]
INSERT INTO head VALUES (1) ON CONFLICT DO NOTHING
DELETE FROM head WHERE id = 1
## harmless: explain [passes]
EXPLAIN SELECT * FROM ledger
## harmless: explain of a query with conditions [passes]
EXPLAIN (COSTS off) SELECT l.id FROM ledger l JOIN lists USING (id) WHERE amount > 3
## harmless: prepare, execute, deallocate [passes]
PREPARE p(int) AS SELECT * FROM ledger WHERE id = $1
EXECUTE p(1)
DEALLOCATE p
## harmless: cursor [passes]
BEGIN
DECLARE c CURSOR FOR SELECT * FROM ledger ORDER BY id
FETCH 1 FROM c
COMMIT
## harmless: settings [passes]
SET work_mem TO '8MB'
SET search_path TO public
SET standard_conforming_strings TO on
SHOW work_mem
RESET work_mem
## harmless: functions of the server [passes]
SELECT upper('x'), now(), generate_series(1, 2), to_char(now(), 'YYYY'), random(), md5('x'), current_setting('work_mem')
## harmless: json [passes]
SELECT jsonb_agg(l), json_build_object('a', 1) FROM ledger l
## harmless: copy out [passes]
COPY (SELECT id FROM ledger) TO STDOUT
## harmless: transaction [passes]
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY
SELECT 1
SAVEPOINT a
ROLLBACK TO SAVEPOINT a
COMMIT
## harmless: parse, bind, execute [passes]
\parse s|SELECT * FROM ledger WHERE id = $1
\bind -|s|0|1
\execute -|0
\close S|s
\sync
## harmless: catalogs [passes]
SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public' AND pg_table_is_visible(c.oid)
## harmless: non-ascii [passes]
SELECT 'Grüße, 世界', U&'\00e9', E'\u00e9' AS "naïve"
## harmless: common tables and windows [passes]
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT n, sum(n) OVER (ORDER BY n) FROM t
## harmless: empty [passes]
;
## harmless: listen [passes]
LISTEN a
UNLISTEN a
## update of what is between itself
UPDATE lists SET text = 'x' WHERE id BETWEEN id AND id
## update of what is one of several, itself among them
UPDATE lists SET text = 'x' WHERE id IN (7, id)
## update of what is itself, cast and collated
UPDATE lists SET text = 'x' WHERE id::text = lists.id::text COLLATE "C"
## delete of a row that is itself
DELETE FROM lists WHERE (id, text) = (id, text)
## delete on a condition about another table
DELETE FROM lists WHERE (SELECT count(*) FROM ledger) > 0
## delete on a condition about another table that exists
DELETE FROM lists WHERE EXISTS (SELECT 1 FROM ledger WHERE ledger.id = 1)
## delete using another table
DELETE FROM lists USING ledger WHERE ledger.id = 1
## merge that changes everything
MERGE INTO lists l USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET text = 'x'
## merge that changes what is itself
MERGE INTO lists l USING (SELECT 1) s ON l.id = l.id WHEN MATCHED THEN UPDATE SET text = 'x'
## merge that changes on a condition about its source
MERGE INTO lists l USING ledger s ON s.id = 1 WHEN MATCHED THEN UPDATE SET text = 'x'
## harmless: between, simple case, in, using [passes]
SELECT CASE id WHEN 1 THEN 'a' END FROM lists WHERE id BETWEEN 1 AND 2 AND id IN (SELECT id FROM lists) ORDER BY id USING <
## harmless: joined by using [passes]
SELECT count(*) FROM lists a JOIN lists b USING (id)
## harmless: functions in from [passes]
SELECT t.x, t.n FROM notes, unnest(tags) WITH ORDINALITY AS t(x, n)
## harmless: series beside an array [passes]
SELECT a, b FROM ROWS FROM (unnest(ARRAY['a', 'b']), generate_series(1, 3)) AS t(a, b)
