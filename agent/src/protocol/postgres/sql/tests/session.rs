//! What statements do to the session: settings, names, prepared statements, cursors, transactions.

use super::super::{
    Change, Deed, Names, Output, Path, Quoting, Transaction, Understood, Unlisted, Use, parse, parse_quoted,
};
use super::fixture::{catalog, lineage, names, one, output, understood};

#[test]
fn settings() {
    let set = |name: &str, value: &str, local| Change::Set { name: name.into(), value: Some(value.into()), local };
    for (sql, expected) in [
        ("SET search_path = a, \"B\", 'c d'", set("search_path", r#""a", "B", "c d""#, false)),
        ("SET LOCAL Search_Path TO x", set("search_path", r#""x""#, true)),
        ("SET work_mem = 5", set("work_mem", "5", false)),
        ("SET TIME ZONE 'UTC'", set("timezone", "UTC", false)),
        ("SET x TO DEFAULT", Change::Reset { name: "x".into(), local: false }),
        ("RESET x", Change::Reset { name: "x".into(), local: false }),
        ("RESET ALL", Change::ResetAll),
        ("DISCARD ALL", Change::DiscardAll),
        ("SET ROLE eve", Change::Role { name: Some("eve".into()), local: false }),
        ("SET LOCAL ROLE NONE", Change::Role { name: None, local: true }),
        ("RESET ROLE", Change::Role { name: None, local: false }),
        ("SET SESSION AUTHORIZATION eve", Change::SessionAuthorization { name: Some("eve".into()), local: false }),
        ("SET SESSION AUTHORIZATION DEFAULT", Change::SessionAuthorization { name: None, local: false }),
        ("SELECT set_config('search_path', 'a', true)", set("search_path", "a", true)),
        ("SELECT set_config('Role', 'eve', false)", Change::Role { name: Some("eve".into()), local: false }),
        ("SELECT set_config('a' || 'b', 'c', false)", Change::Opaque),
        ("SELECT set_config('a', 'b', $1)", Change::Opaque),
        ("SELECT set_config('a', $1, false)", Change::Set { name: "a".into(), value: None, local: false }),
        ("DO 'x'", Change::Opaque),
        ("SELECT leak(1)", Change::Opaque),
        ("SELECT * FROM v_written", Change::Opaque),
        ("SELECT pg_catalog.set_config('a', 'b'::text, true)", set("a", "b", true)),
    ] {
        assert_eq!(one(sql).settings, [expected], "{sql}");
    }
    let both = one("SELECT set_config('a', 'b', false), set_config('c', 'd', false)");
    assert_eq!(both.settings, [set("a", "b", false), set("c", "d", false)]);
    // What may not be computed, or be cut by a cast, is not known to be done.
    let perhaps = Change::Set { name: "a".into(), value: None, local: false };
    for (sql, expected) in [
        ("EXPLAIN ANALYZE SELECT set_config('a', 'b', false)", &perhaps),
        ("SELECT set_config('a', 'b', false) WHERE false", &perhaps),
        ("SELECT set_config('a', 'b', false) LIMIT 0", &perhaps),
        ("SELECT set_config('a', 'b', false) OFFSET 1", &perhaps),
        ("SELECT set_config('a', 'b', false) FROM users", &perhaps),
        ("SELECT set_config('a', 'b', false) HAVING false", &perhaps),
        ("SELECT set_config('a', 'b', false) UNION ALL SELECT 'x'", &perhaps),
        ("SELECT set_config('a', 'b', false) || ''", &perhaps),
        ("SELECT CASE WHEN false THEN set_config('a', 'b', false) END", &perhaps),
        ("SELECT coalesce('x', set_config('a', 'b', false))", &perhaps),
        ("SELECT 1, (SELECT set_config('a', 'b', false) WHERE false)", &perhaps),
        ("SELECT set_config('a', 'b', false) FILTER (WHERE false)", &perhaps),
        ("WITH x AS (SELECT set_config('a', 'b', false)) SELECT 1", &perhaps),
        ("VALUES (set_config('a', 'b', false))", &perhaps),
        ("DELETE FROM users WHERE false RETURNING set_config('a', 'b', false)", &perhaps),
        ("PREPARE p AS SELECT set_config('a', 'b', false)", &perhaps),
        ("DECLARE c CURSOR FOR SELECT set_config('a', 'b', false)", &perhaps),
        ("SELECT set_config('a', 'bc'::varchar(1), false)", &perhaps),
        ("SELECT set_config('ab'::varchar(1), 'c', false)", &Change::Opaque),
        ("EXPLAIN EXECUTE p(set_config('a', 'b', false))", &perhaps),
    ] {
        assert_eq!(one(sql).settings, std::slice::from_ref(expected), "{sql}");
    }
    for sql in ["SELECT 1", "EXPLAIN SELECT set_config('a', 'b', false)", "SET TRANSACTION READ ONLY"] {
        assert_eq!(one(sql).settings, [], "{sql}");
    }
}

#[test]
fn prepared_statements_and_cursors() {
    let sql = "/* x */ PREPARE p (int, text[]) AS /* y */ SELECT 1 AS a; DECLARE \"C\" SCROLL CURSOR WITH HOLD FOR SELECT 2 FOR UPDATE";
    let all = understood(sql);
    let at = |text: &str| sql.find(text).map(|start| start..start + text.len()).unwrap();
    let types = vec!["pg_catalog.int4".to_owned(), "text[]".to_owned()];
    assert_eq!(all[0].deeds, [Deed::Prepare { name: "p".into(), sql: at("/* y */ SELECT 1 AS a"), types }]);
    let declared = Deed::Declare { name: "C".into(), sql: at("SELECT 2 FOR UPDATE"), hold: true };
    assert_eq!(all[1].deeds, [declared]);
    for (sql, expected) in [
        ("DEALLOCATE p", Deed::Deallocate("p".into())),
        ("DEALLOCATE PREPARE ALL", Deed::DeallocateAll),
        ("CLOSE c", Deed::Close("c".into())),
        ("CLOSE ALL", Deed::CloseAll),
        ("DISCARD ALL", Deed::DiscardAll),
        ("DO 'x'", Deed::Opaque),
        ("CALL leak(1)", Deed::Opaque),
        ("SELECT leak(1)", Deed::Opaque),
        ("SELECT query_to_xml('x', true, true, '')", Deed::Opaque),
    ] {
        assert_eq!(one(sql).deeds, [expected], "{sql}");
    }
    assert_eq!(one("SELECT upper('x')").deeds, []);
}

#[test]
fn what_is_used_by_name() {
    let sql = "EXECUTE p('a', 1 + 2, $1)";
    let Use::Execute { name, arguments } = one(sql).uses.remove(0) else { panic!("it is executed") };
    let texts: Vec<Vec<_>> = arguments.iter().map(|all| all.iter().map(|at| &sql[at.clone()]).collect()).collect();
    assert_eq!((name.as_str(), texts), ("p", vec![vec!["'a'"], vec!["1", "2"], vec![]]));
    for (sql, expected) in [
        ("FETCH ALL FROM c", Use::Fetch { name: "c".into(), only_moves: false }),
        ("MOVE c", Use::Fetch { name: "c".into(), only_moves: true }),
        ("UPDATE users SET id = 1 WHERE CURRENT OF c", Use::Current("c".into())),
        ("EXPLAIN ANALYZE EXECUTE p", Use::Execute { name: "p".into(), arguments: vec![] }),
        ("CREATE TABLE x AS EXECUTE p", Use::Execute { name: "p".into(), arguments: vec![] }),
    ] {
        assert_eq!(one(sql).uses.last(), Some(&expected), "{sql}");
    }
}

#[test]
fn transactions() {
    for (sql, expected) in [
        ("BEGIN READ ONLY", Transaction::Begin),
        ("END", Transaction::Commit { chain: false }),
        ("COMMIT AND CHAIN", Transaction::Commit { chain: true }),
        ("ABORT", Transaction::Rollback { chain: false }),
        ("SAVEPOINT a", Transaction::Savepoint("a".into())),
        ("ROLLBACK TO SAVEPOINT a", Transaction::RollbackTo("a".into())),
        ("RELEASE a", Transaction::Release("a".into())),
        ("PREPARE TRANSACTION 'x'", Transaction::Prepare),
        ("COMMIT PREPARED 'x'", Transaction::CommitPrepared),
        ("ROLLBACK PREPARED 'x'", Transaction::RollbackPrepared),
    ] {
        assert_eq!(one(sql).transaction, Some(expected), "{sql}");
    }
}

/// What the last statement of a message gives.
fn last(sql: &str) -> String {
    output(&understood(sql).pop().unwrap().output)
}

#[test]
fn one_statement_decides_what_names_mean_in_the_next() {
    for (sql, expected) in [
        ("SET search_path = other; SELECT * FROM users", "other.users.id other.users.nick other.users.ssn"),
        ("SET search_path = other, public; SELECT lower(ssn) FROM users", "?"),
        ("SELECT set_config('search_path', 'other', false); SELECT nick FROM users", "other.users.nick"),
        ("SELECT set_config('search_path', $1, false); SELECT ssn FROM users", "?"),
        ("SELECT set_config('search_path', 'other', false) WHERE false; SELECT ssn FROM users", "?"),
        ("PREPARE p AS SELECT set_config('search_path', 'other', false); SELECT ssn FROM users", "?"),
        ("SELECT * FROM v_setting; SELECT ssn FROM users", "?"),
        ("SELECT set_config('search_path', $1, false); SELECT card FROM orders", "orders.card"),
        ("SET search_path = other; RESET search_path; SELECT ssn FROM users", "?"),
        ("SET search_path = nowhere; SELECT ssn FROM users", "?"),
        ("SET search_path = ''; SELECT relname FROM pg_class", "pg_catalog.pg_class.relname"),
        ("SET ROLE eve; SELECT ssn FROM users", "?"),
        ("DO 'x'; SELECT ssn FROM users", "?"),
        ("SELECT leak(1); SELECT ssn FROM users", "?"),
        ("SELECT peek(1); SELECT card FROM orders", "orders.card"),
        ("CREATE TEMP TABLE users AS SELECT 1 AS ssn; SELECT ssn FROM users", "?"),
        ("ALTER TABLE users RENAME ssn TO x; SELECT name FROM users", "?"),
        ("ALTER TABLE users RENAME TO x; SELECT name FROM x", "?"),
        ("DROP TABLE users; SELECT name FROM users", "?"),
        ("DROP TABLE users; SELECT card FROM orders", "orders.card"),
        ("CREATE FUNCTION upper(text) RETURNS text LANGUAGE sql AS ''; SELECT upper('x')", "?"),
        ("CREATE VIEW x AS SELECT 1; SELECT * FROM x", "any"),
        ("BEGIN; SET LOCAL search_path = other; COMMIT; SELECT ssn FROM users", "?"),
        ("BEGIN; SELECT ssn FROM users", "users.ssn"),
    ] {
        assert_eq!(last(sql), expected, "{sql}");
    }
}

#[test]
fn what_the_catalog_does_not_tell_afterwards() {
    let temporary = one("CREATE TEMP TABLE users AS SELECT 1");
    assert!(temporary.changes_catalog && temporary.temporary);
    assert_eq!(temporary.unlists, Unlisted::Named(["users".into()].into()));
    let plain = one("CREATE TABLE t (id int)");
    assert!(plain.changes_catalog && !plain.temporary);
    assert!(one("CREATE TABLE pg_temp.t (id int)").temporary);
    assert!(!one("SELECT 1").changes_catalog);
    assert!(one("DO 'x'").changes_catalog);
    assert_eq!(one("CREATE CAST (text AS int) WITH INOUT").unlists, Unlisted::Any);
}

fn with(path: Path, sql: &str) -> Understood {
    let names = Names { path, ..names() };
    parse(sql).unwrap().understand(&catalog(), &names).remove(0)
}

#[test]
fn an_unknown_path_leaves_what_only_one_can_be() {
    assert_eq!(output(&with(Path::Unknown, "SELECT card FROM orders").output), "orders.card");
    assert_eq!(output(&with(Path::Unknown, "SELECT ssn FROM users").output), "?");
    assert_eq!(output(&with(Path::Unknown, "SELECT ssn FROM public.users").output), "users.ssn");
    assert_eq!(output(&with(Path::Unknown, "SELECT lower(card) FROM orders").output), "?");
    assert_eq!(output(&with(Path::Unknown, "SELECT upper(card) FROM orders").output), "orders.card");
    let other_role = Names { user: Some("eve".into()), ..names() };
    let found = parse("SELECT ssn FROM users").unwrap().understand(&catalog(), &other_role);
    assert_eq!(output(&found[0].output), "?");
    let shadowed = Path::Known(vec!["pg_catalog".into(), "other".into()]);
    assert_eq!(output(&with(shadowed, "SELECT lower(ssn) FROM users").output), "?");
}

#[test]
fn paths_are_read_as_the_server_reads_them() {
    let known = |names: &[&str]| Path::Known(names.iter().map(|name| (*name).into()).collect());
    for (setting, expected) in [
        ("\"$user\", public", known(&["$user", "public"])),
        ("", known(&[])),
        (" A , \"b\"\"c\",d ", known(&["a", "b\"c", "d"])),
        ("a,", Path::Unknown),
        ("\"a", Path::Unknown),
        ("a b", Path::Unknown),
        ("\"\"", Path::Unknown),
        ("ä", Path::Unknown),
    ] {
        assert_eq!(Path::of(setting), expected, "{setting}");
    }
}

#[test]
fn backslashes_escape_where_the_session_says_so() {
    // With a backslash that escapes the quote, the comment is part of a string.
    let sql = r"SELECT 'a\', ssn /*' FROM users --*/ FROM users";
    let standard = parse(r"SELECT 'a\', ssn /*' FROM users --*/ FROM users").unwrap().understand(&catalog(), &names());
    assert_eq!(output(&standard[0].output), "- users.ssn");
    let escaped = parse_quoted(sql, Quoting::Backslash).unwrap().understand(&catalog(), &names());
    assert_eq!(output(&escaped[0].output), "-");
    assert_eq!(escaped[0].literals.iter().map(|found| lineage(&found.near)).collect::<Vec<_>>(), ["?"]);
    let prepared =
        parse_quoted(r"PREPARE p AS SELECT '\''", Quoting::Backslash).unwrap().understand(&catalog(), &names());
    assert_eq!(prepared[0].deeds, [Deed::Opaque]);
    assert_eq!(prepared[0].output, Output::Nothing);
    // Where there is no backslash there is no difference.
    let plain = parse_quoted("PREPARE p AS SELECT 1", Quoting::Backslash).unwrap().understand(&catalog(), &names());
    assert!(matches!(plain[0].deeds[..], [Deed::Prepare { .. }]));
}

#[test]
fn texts_of_statements_are_their_bytes() {
    let sql = "SELECT 1;  SELECT 'ü' ; ;SELECT 3";
    let texts: Vec<_> = understood(sql).into_iter().map(|facts| sql[facts.text].trim().to_owned()).collect();
    assert_eq!(texts, ["SELECT 1", "SELECT 'ü'", "SELECT 3"]);
}

#[test]
fn code_behind_operators_and_words_is_noticed() {
    let path = || Path::Known(vec!["other".into(), "public".into()]);
    let opaque = |sql: &str, path: Path| with(path, sql).settings.contains(&Change::Opaque);
    for sql in [
        "SELECT 1 WHERE 1 BETWEEN 2 AND 3",
        "SELECT 1 WHERE 1 BETWEEN SYMMETRIC 2 AND 3",
        "SELECT 1 WHERE 1 NOT BETWEEN 2 AND 3",
        "SELECT CASE 1 WHEN 2 THEN 3 END",
        "SELECT 1 WHERE 1 IN (SELECT 2)",
        "SELECT 1 WHERE 1 NOT IN (SELECT 2)",
        "SELECT 1 WHERE 1 = ANY (SELECT 2)",
        "SELECT nullif(1, 2)",
        "SELECT 1 FROM orders a JOIN orders b USING (id)",
        "SELECT 1 FROM orders a NATURAL JOIN orders b",
        "SELECT id FROM orders ORDER BY id USING <",
        "SELECT max(id ORDER BY id USING <) FROM orders",
        "SELECT json_value('{}', '$')",
        "SELECT json_array(1, 2)",
        "SELECT json_object('{a,b}')",
        "SELECT json_object('a': 1)",
        "SELECT merge_action()",
    ] {
        assert!(opaque(sql, path()), "{sql}");
        assert!(!opaque(sql, names().path), "{sql}");
    }
    for sql in ["SELECT CASE WHEN true THEN 3 END", "SELECT 1 WHERE EXISTS (SELECT 2)", "SELECT json_scalar(1)"] {
        assert!(!opaque(sql, path()), "{sql}");
    }
}
