//! However a column is wrapped, it is found again or the result is undecided.

use proptest::prelude::*;

use super::super::{Catalog, Lineage, Output, parse};
use super::fixture::{catalog, column, names};

/// Values made of a value.
const EXPRESSIONS: &[&str] = &[
    "upper(@)",
    "(@ || 'x')",
    "@::varchar(10)",
    "coalesce(NULL, @)",
    "CASE WHEN @ = '1' THEN 'y' ELSE 'n' END",
    "CASE @ WHEN '1' THEN 'y' END",
    "(SELECT @)",
    "(SELECT 'y' WHERE @ = '1')",
    "EXISTS (SELECT 1 WHERE @ > 'a')",
    "(@ IN ('1', '2'))",
    "('1' = ANY (ARRAY[@]))",
    "(ARRAY[@, 'b'])[1]",
    "ROW(1, @)",
    "json_build_object('k', @)",
    "(to_jsonb(@) #>> '{}')",
    "xmlforest(@ AS a)",
    "nullif(@, '')",
    "greatest(@, 'a')",
    "(@ IS NULL)",
    "(NOT (@ LIKE '1%'))",
    "substring(@ from 1 for 3)",
    "(VALUES (@))",
    "json_array(@)",
];

/// Queries whose first column is called x, made of one.
const QUERIES: &[&str] = &[
    "SELECT x FROM (@) s",
    "SELECT s.x FROM (@) s",
    "SELECT (s).x FROM (@) s",
    "SELECT * FROM (@) s",
    "SELECT s.* FROM (@) s",
    "SELECT y AS x FROM (@) s(y)",
    "WITH c AS (@) SELECT x FROM c",
    "WITH c(y) AS MATERIALIZED (@) SELECT y AS x FROM c",
    "WITH RECURSIVE c(x) AS ((@) UNION ALL SELECT x FROM c) SELECT x FROM c",
    "SELECT x FROM (SELECT 'a' AS x UNION (@)) u",
    "(@) EXCEPT SELECT 'a'",
    "SELECT o.x FROM orders, LATERAL (@) o",
    "SELECT x FROM orders JOIN (@) s ON true",
    "SELECT x FROM (SELECT 'a' AS x) a FULL JOIN (@) b USING (x)",
    "SELECT x FROM (SELECT 'a' AS x) a NATURAL JOIN (@) b",
    "SELECT j.x FROM ((@) a CROSS JOIN orders) j",
    "SELECT row_to_json(s) AS x FROM (@) s",
    "SELECT s::text AS x FROM (@) s",
    "SELECT array_agg(x) AS x FROM (@) s",
    "SELECT string_agg(s.x, ',' ORDER BY 1) AS x FROM (@) s",
    "SELECT count(*) FILTER (WHERE x = 'a') AS x FROM (@) s",
    "SELECT first_value(x) OVER (ORDER BY x) AS x FROM (@) s",
    "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY x) AS x FROM (@) s",
    "SELECT DISTINCT ON (x) x FROM (@) s ORDER BY x LIMIT 3",
    "SELECT (SELECT x FROM (@) s LIMIT 1) AS x",
    "SELECT ARRAY(@) AS x",
    "SELECT 'a' = ALL (@) AS x",
    "SELECT g AS x FROM (@) s, generate_series(1, length(s.x)) g",
    "SELECT x FROM (@) s WHERE x > 'a' GROUP BY x HAVING x < 'b'",
    "SELECT x(s) AS x FROM (@) s",
];

fn wrapped(start: &str, expressions: &[usize], queries: &[usize]) -> String {
    let expression = expressions.iter().fold(start.to_owned(), |inner, at| EXPRESSIONS[*at].replace('@', &inner));
    let first = format!("SELECT {expression} AS x FROM users");
    queries.iter().fold(first, |inner, at| QUERIES[*at].replace('@', &inner))
}

fn first_column(catalog: &Catalog, sql: &str) -> Lineage {
    let script = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    match script.understand(catalog, &names()).remove(0).output {
        Output::Columns(columns) => columns.into_iter().next().expect("a query gives at least x"),
        Output::Undecided => Lineage::Undecided,
        Output::Nothing => panic!("{sql} gives rows"),
    }
}

proptest! {
    #[test]
    fn a_wrapped_column_is_found_again(
        expressions in prop::collection::vec(0..EXPRESSIONS.len(), 0..4),
        queries in prop::collection::vec(0..QUERIES.len(), 0..4),
    ) {
        let catalog = catalog();
        let sql = wrapped("ssn", &expressions, &queries);
        if let Lineage::Of(columns) = first_column(&catalog, &sql) {
            prop_assert!(columns.iter().any(|found| column(found) == "users.ssn"), "{}", sql);
        }
        // Nor is everything just said to be made of everything.
        let sql = wrapped("name", &expressions, &queries);
        if let Lineage::Of(columns) = first_column(&catalog, &sql) {
            prop_assert!(!columns.iter().any(|found| column(found) == "users.ssn"), "{}", sql);
        }
    }
}

#[test]
fn most_wrappings_are_decided() {
    let catalog = catalog();
    for at in 0..EXPRESSIONS.len() {
        let sql = wrapped("ssn", &[at], &[]);
        assert!(matches!(first_column(&catalog, &sql), Lineage::Of(found) if found.len() == 1), "{sql}");
    }
    for at in 0..QUERIES.len() {
        let sql = wrapped("ssn", &[], &[at]);
        assert!(matches!(first_column(&catalog, &sql), Lineage::Of(found) if found.len() == 1), "{sql}");
    }
}
