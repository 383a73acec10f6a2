//! Texts that are made to hurt: deep, long, doubling. Test threads have two megabytes of stack, as plain threads do.

use super::super::{MOST_BYTES, MOST_TOKENS, Output, Understood, Unknown, Unreadable, parse};
use super::fixture::{catalog, names};

/// Parsed and understood, or refused.
fn survives(sql: &str) -> Result<Vec<Understood>, Unreadable> {
    parse(sql).map(|script| script.understand(&catalog(), &names()))
}

/// What nests, by how often.
fn nested(times: usize) -> Vec<String> {
    let around =
        |open: &str, inner: &str, close: &str| format!("SELECT {}{inner}{}", open.repeat(times), close.repeat(times));
    vec![
        around("", "1", "+1"),
        around("NOT ", "true", ""),
        around("- ", "id", ""),
        around("(", "1", ")"),
        around("(SELECT ", "1", ")"),
        around("* FROM (SELECT ", "1", ") x"),
        around("lower(", "'x'", ")"),
        around("CASE WHEN true THEN ", "1", " END"),
        around("", "1", "::text"),
        around("", "'x'", " COLLATE \"C\""),
        around("ARRAY[", "1", "]"),
        around("", "1", " UNION SELECT 1"),
        around("", "1 FROM users", " JOIN users ON true"),
        around("", "1 FROM users", " NATURAL JOIN users"),
        around("1 WHERE EXISTS (SELECT ", "true", ")"),
        around("", "(SELECT u FROM users u)", ".x"),
        format!("SELECT 1 GROUP BY {}1{}", "GROUPING SETS (".repeat(times), ")".repeat(times)),
        format!("SELECT {}1{}", "CASE WHEN true AND NOT NOT ".repeat(times), " THEN 1 END".repeat(times)),
        format!("SELECT {} true", "1 BETWEEN 2 AND NOT NOT ".repeat(times)),
        format!("SELECT {}1{}", "json_objectagg('a': ".repeat(times), ")".repeat(times)),
        format!("SELECT {}1{}", "(VALUES(".repeat(times), "))".repeat(times)),
        format!("SELECT {}1{}", "row_number() OVER (ORDER BY ".repeat(times), ")".repeat(times)),
        format!("{}SELECT 1{}", "WITH a AS (".repeat(times), ") SELECT 1".repeat(times)),
        format!("{}SELECT 1", "EXPLAIN ".repeat(times)),
        format!("{}SELECT 1{}", "(".repeat(times), ")".repeat(times)),
    ]
}

#[test]
fn what_is_deep_is_refused_or_survived() {
    for times in [50, 300, 1000, 20_000] {
        for sql in nested(times) {
            if let Err(error) = survives(&sql) {
                let known = matches!(error, Unreadable::TooDeep | Unreadable::Syntax | Unreadable::TooLong { .. });
                assert!(known, "{times} times {sql:.40}: {error}");
            }
        }
    }
}

#[test]
fn what_is_just_not_too_deep_is_decoded_within_the_stack() {
    for shape in 0..nested(1).len() {
        // The most of each that the estimate lets through, found by halving.
        let (mut fits, mut fails) = (1, 4000);
        while fails - fits > 1 {
            let times = (fits + fails) / 2;
            match survives(&nested(times)[shape]) {
                Ok(_) => fits = times,
                Err(_) => fails = times,
            }
        }
        assert!(fits > 50 || nested(1)[shape].starts_with("EXPLAIN"), "{:.40}: {fits}", nested(9)[shape]);
    }
}

#[test]
fn ordinary_depth_is_understood() {
    let parentheses = format!("SELECT {}1{}", "(".repeat(200), ")".repeat(200));
    let sums = format!("SELECT 1{}", "+1".repeat(300));
    let conditions = format!("SELECT 1 WHERE true{}", " AND 1 = 1 OR (2 = 2 AND 3 = 3)".repeat(2000));
    let rows = format!("INSERT INTO users VALUES (1, 'x'){}", ", (2, lower('y'))".repeat(5000));
    for sql in [parentheses, sums, conditions, rows] {
        assert!(survives(&sql).is_ok(), "{sql:.40}");
    }
}

#[test]
fn what_is_long_is_refused() {
    let long = format!("SELECT '{}'", "x".repeat(MOST_BYTES));
    assert_eq!(survives(&long).unwrap_err(), Unreadable::TooLong { what: "bytes", most: MOST_BYTES });
    let many = format!("SELECT 1{}", ",1".repeat(MOST_TOKENS / 2));
    assert_eq!(survives(&many).unwrap_err(), Unreadable::TooLong { what: "tokens", most: MOST_TOKENS });
    assert_eq!(survives("SELECT 1\0").unwrap_err(), Unreadable::Zero);
    for sql in ["SELEC 1", "SELECT 'x", "SELECT 1 FROM", "/* x", "\u{feff}SELECT 1", "SELECT $$x"] {
        assert_eq!(survives(sql).unwrap_err(), Unreadable::Syntax, "{sql}");
    }
    assert_eq!(survives("").unwrap(), []);
    assert_eq!(survives(" ;; -- x").unwrap(), []);
}

#[test]
fn wide_rows_are_not_counted_beyond_what_the_server_has() {
    let wide = format!("SELECT 1{}", ",1".repeat(3000));
    assert_eq!(survives(&wide).unwrap()[0].output, Output::Undecided);
}

#[test]
fn what_doubles_ends() {
    let mut doubling = "WITH a0 AS (SELECT * FROM users)".to_owned();
    let mut crossed = doubling.clone();
    for level in 1..60 {
        let before = level - 1;
        doubling += &format!(", a{level} AS (SELECT * FROM a{before} x, a{before} y)");
        crossed +=
            &format!(", a{level} AS (SELECT x.ssn || y.ssn AS ssn FROM a{before} x, a{before} y WHERE x.ssn = y.ssn)");
    }
    let found = survives(&(doubling + " SELECT * FROM a59")).unwrap();
    assert_eq!(found[0].output, Output::Undecided);
    let found = survives(&(crossed + " SELECT ssn FROM a59")).unwrap();
    assert_eq!(super::fixture::output(&found[0].output), "users.ssn");
    let inner = "SELECT 1 AS n UNION ALL SELECT n FROM r";
    let mut recursive = inner.to_owned();
    for _ in 0..12 {
        recursive = format!("SELECT 1 AS n UNION ALL (WITH RECURSIVE r AS ({recursive}) SELECT n FROM r)");
    }
    let found = survives(&format!("WITH RECURSIVE r AS ({recursive}) SELECT n FROM r")).unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn too_much_work_is_said_to_be_too_much() {
    // Each reference looks through all columns of all items.
    let tables: Vec<_> = (0..4000).map(|number| format!("users u{number}")).collect();
    let names: Vec<_> = (0..1000).map(|_| "nobody").collect();
    let sql = format!("SELECT {} FROM {}", names.join(","), tables.join(","));
    let found = survives(&sql).unwrap();
    assert!(found[0].unknown.contains(&Unknown::Effort));
    assert!(!super::fixture::output(&found[0].output).contains("users"));
}

#[test]
fn many_statements_are_read() {
    let found = survives(&"SELECT 1;".repeat(20_000)).unwrap();
    assert_eq!(found.len(), 20_000);
}

#[test]
fn errors_hold_nothing_of_the_statement() {
    for sql in ["SELECT secret secret secret FROM", "SELECT 'secret"] {
        let error = survives(sql).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
    assert!(!format!("{:?}", parse("SELECT 'secret'").unwrap()).contains("secret"));
}
