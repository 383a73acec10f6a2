//! Where values come from: a column is wrapped in expressions and queries, as bytes say, with any text beside it. Whoever
//! asks is told that the result is made of it, or that it cannot be told; never that it is clear.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sallyport::protocol::postgres::sql::{
    Catalog, Lineage, Names, Output, Path, Question, Reading, Understood, Unlisted, parse,
};

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let mut reading = Reading::default();
    let mut take = |question, row: &[Option<&str>]| reading.row(question, row).expect("it is a row");
    take(Question::Session, &[Some("public"), Some("ada")]);
    take(Question::Schemas, &[Some("public")]);
    for (oid, name, kind) in [("1", "t", "r"), ("2", "u", "r"), ("3", "v", "v")] {
        take(Question::Relations, &[Some(oid), Some("public"), Some(name), Some(kind), Some("f")]);
        for column in ["id", if name == "u" { "note" } else { "ssn" }] {
            take(Question::Columns, &[Some(oid), Some(column), Some("25"), None]);
        }
    }
    take(Question::Views, &[Some("3"), Some("SELECT t.id, t.ssn FROM public.t")]);
    for name in "lower upper concat row_to_json to_json count max array_agg string_agg first_value length".split(' ') {
        let row = [Some("pg_catalog"), Some(name), Some("i"), Some("internal"), Some("25"), None, None];
        take(Question::Functions, &row);
    }
    reading.finish()
});

/// The column, as one may write it where there is a `t`.
const COLUMNS: &[&str] = &[
    "ssn",
    "t.ssn",
    "(t).ssn",
    "(t.*)::text",
    "t::text",
    "row_to_json(t)",
    "ssn(t)",
    "t",
    "\"ssn\"",
    "U&\"s\\0073n\"",
    "(SELECT ssn)",
    "(t.ssn)",
    "to_json(t.*)",
    "(ROW(t.*)).f2",
    "t.\"ssn\"",
];
/// Where it may come from.
const SOURCES: &[&str] = &[
    "t",
    "public.t",
    "ONLY t",
    "public.v AS t",
    "t AS t(id, ssn)",
    "(SELECT * FROM t) AS t",
    "(TABLE t) t",
    "u JOIN t USING (id)",
    "u NATURAL JOIN t",
    "u, LATERAL (SELECT * FROM t) t",
    "(u CROSS JOIN t)",
    "t TABLESAMPLE SYSTEM (50)",
    "(SELECT id, ssn FROM v UNION ALL SELECT id, note FROM u) t",
    "(VALUES ('1', 'x')) AS s(id, x) RIGHT JOIN t ON true",
];
/// Values made of a value `@`, with any other `#`.
const VALUES: &[&str] = &[
    "upper(@)",
    "(@ || (#)::text)",
    "((#)::text || @)",
    "@::varchar(10)",
    "CAST(@ AS text)",
    "coalesce((#)::text, @)",
    "coalesce(@, (#)::text)",
    "CASE WHEN @ = '1' THEN (#)::text END",
    "CASE (#) WHEN 1 THEN @ END",
    "(SELECT @ LIMIT 1)",
    "(SELECT 'y' WHERE @ = '1')",
    "EXISTS (SELECT 1 WHERE @ > 'a')",
    "(@ IN ('1', (#)::text))",
    "((#)::text IN (@))",
    "('1' = ANY (ARRAY[@]))",
    "(ARRAY[(#)::text, @])[2]",
    "(ARRAY['a'])[length(@)]",
    "concat(#, @)",
    "ROW(#, @)",
    "(@ COLLATE \"C\")",
    "nullif(@, (#)::text)",
    "greatest(@, (#)::text)",
    "(@ IS NULL)",
    "(@ IS DISTINCT FROM (#)::text)",
    "(@ LIKE '1%' ESCAPE '!')",
    "(NOT (@ BETWEEN 'a' AND 'b'))",
    "substring(@ from 1 for 3)",
    "json_build_object('k', @)",
    "(to_json(@) ->> 'a')",
    "xmlforest(@ AS a)",
    "(VALUES (@))",
    "(WITH w AS (SELECT @ AS y) SELECT y FROM w)",
    "((@, #) = (1, 2))",
    "(ARRAY(SELECT @))",
    "(SELECT max(y) FROM (SELECT @ AS y) AS q)",
    "overlay(@ placing 'x' from 1)",
    "position(@ in 'x')",
    "(@ AT TIME ZONE 'UTC')",
    "unknown_function(@)",
    "OPERATOR(pg_catalog.-) @",
];
/// Queries of which the first column is made of the first of another.
const QUERIES: &[&str] = &[
    "SELECT x FROM (@) s",
    "SELECT (s).x FROM (@) s",
    "SELECT * FROM (@) s",
    "SELECT y AS x FROM (@) s(y)",
    "WITH c AS (@) SELECT x FROM c",
    "WITH t AS (@), u AS (SELECT * FROM t) SELECT x FROM u",
    "WITH RECURSIVE c(x) AS ((@) UNION ALL SELECT x FROM c) SELECT x FROM c",
    "(@) UNION ALL SELECT NULL",
    "(@) EXCEPT SELECT NULL",
    "SELECT x FROM u, LATERAL (@) o",
    "SELECT x FROM u LEFT JOIN (@) s ON true",
    "SELECT row_to_json(s) AS x FROM (@) s",
    "SELECT s AS x FROM (@) s",
    "SELECT array_agg(x) AS x FROM (@) s",
    "SELECT first_value(x) OVER (ORDER BY x) AS x FROM (@) s",
    "SELECT (SELECT x FROM (@) s LIMIT 1) AS x",
    "SELECT DISTINCT ON (x) x FROM (@) s ORDER BY x LIMIT 3",
    "SELECT ARRAY(@) AS x",
    "SELECT s.x FROM (SELECT NULL AS x) a FULL JOIN (@) s USING (x)",
    "SELECT x FROM (@) s GROUP BY ROLLUP (x)",
];
/// Statements that give what a query gives.
const STATEMENTS: &[&str] =
    &["@", "COPY (@) TO STDOUT", "(@) LIMIT 1", "(@) FOR UPDATE", "WITH z AS (DELETE FROM u) @"];

/// A text that is an expression of its own, and cannot end the parentheses it is put into.
fn beside(bytes: &[u8]) -> &str {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" _.,+*<>=|%^!~".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) { text } else { "1" }
}

fn pick<'a>(choices: &[&'a str], byte: u8) -> &'a str {
    choices[usize::from(byte) % choices.len()]
}

/// The statement that bytes stand for.
fn statement(bytes: &[u8]) -> Option<String> {
    let (&[column, source, statement, counts], rest) = bytes.split_first_chunk()?;
    let (values, queries) = (usize::from(counts % 6), usize::from(counts / 6 % 6));
    let (values, rest) = rest.split_at_checked(values)?;
    let (queries, rest) = rest.split_at_checked(queries)?;
    let other = beside(rest);
    let wrap = |inner: String, template: &str| template.replace('#', other).replace('@', &inner);
    let value = values.iter().fold(pick(COLUMNS, column).to_owned(), |inner, at| wrap(inner, pick(VALUES, *at)));
    let query = format!("SELECT {value} AS x FROM {}", pick(SOURCES, source));
    let query = queries.iter().fold(query, |inner, at| wrap(inner, pick(QUERIES, *at)));
    Some(wrap(query, pick(STATEMENTS, statement)))
}

fn is_clear(understood: &Understood) -> bool {
    let Output::Columns(columns) = &understood.output else { return understood.output == Output::Nothing };
    match columns.first() {
        Some(Lineage::Of(made_of)) => !made_of.iter().any(|column| &*column.column == "ssn"),
        Some(Lineage::Undecided) => false,
        None => true,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some(sql) = statement(bytes) else { return };
    let Ok(script) = parse(&sql) else { return };
    let names = Names { path: Path::of("public"), user: Some("ada".into()), unlisted: Unlisted::default() };
    let all = script.understand(&CATALOG, &names);
    assert_eq!(all.len(), 1, "{sql}");
    assert!(!all.iter().any(is_clear), "{sql}");
});
