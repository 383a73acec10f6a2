//! A small catalog, and facts as short texts to compare with.

use std::collections::BTreeSet;

use super::super::{
    Catalog, Column, Lineage, Names, Output, Path, Question, Reading, Relation, Understood, Unlisted, parse,
};

/// Relations: schema, name, kind, columns.
const RELATIONS: &[(&str, &str, &str, &str)] = &[
    ("public", "users", "r", "id name email ssn note"),
    ("public", "orders", "r", "id user_id total card"),
    ("public", "v_users", "v", "id who ssn"),
    ("public", "v_deep", "v", "who secret"),
    ("public", "v_written", "v", "id x"),
    ("public", "mv_users", "m", "id ssn"),
    ("public", "v_loop", "v", "id"),
    ("public", "v_setting", "v", "x"),
    ("public", "v_filtered", "v", "id"),
    ("public", "events", "p", "id at body"),
    ("public", "events_old", "r", "id at body"),
    ("public", "people", "r", "id ssn"),
    ("public", "staff", "r", "id ssn badge"),
    ("public", "address", "c", "street city"),
    ("public", "homes", "r", "id home:900 tags:1009 others:901"),
    ("public", "ruled", "r", "id ssn"),
    ("public", "badges", "r", "ssn badge made"),
    ("other", "users", "r", "id nick ssn"),
    ("ada", "notes", "r", "id body"),
    ("pg_catalog", "pg_class", "r", "oid relname relkind"),
    ("pg_catalog", "pg_stats", "v", "schemaname tablename most_common_vals"),
    ("pg_catalog", "pg_stat_activity", "v", "pid usename query"),
    ("information_schema", "tables", "v", "table_schema table_name"),
];

const VIEWS: &[(&str, &str)] = &[
    ("v_users", " SELECT u.id, u.name AS who, u.ssn FROM public.users u;"),
    ("v_deep", "SELECT v_users.who, v_users.ssn || '!'::text AS secret FROM public.v_users WHERE v_users.id > 3"),
    ("v_written", "SELECT id, public.leak(id) AS x FROM public.users"),
    ("mv_users", "SELECT users.id, users.ssn FROM public.users"),
    ("v_setting", "SELECT pg_catalog.set_config('search_path', 'other', false) AS x"),
    ("v_loop", "SELECT id FROM public.v_loop"),
    ("v_filtered", "SELECT id FROM public.users WHERE ssn <> ''"),
];

/// Functions: schema, names, volatility, language, type of the result.
const FUNCTIONS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "pg_catalog",
        "lower upper length substr substring btrim md5 concat coalesce count max min sum avg array_agg string_agg \
         row_to_json to_json to_jsonb json_agg jsonb_agg json_build_object jsonb_build_object array_to_string \
         row_number rank lag first_value percentile_disc mode timezone left right replace format generate_series \
         xmlagg json_object_agg quote_literal encode unnest regexp_matches overlay position extract like_escape",
        "i",
        "internal",
        "25",
    ),
    (
        "pg_catalog",
        "now pg_typeof current_setting pg_get_viewdef query_to_xml pg_read_file table_to_xml ts_stat",
        "s",
        "internal",
        "25",
    ),
    (
        "pg_catalog",
        "random set_config pg_notify pg_terminate_backend pg_sleep nextval lo_import lo_get pg_advisory_lock \
         pg_create_logical_replication_slot pg_create_physical_replication_slot pg_copy_logical_replication_slot \
         pg_drop_replication_slot pg_replication_origin_create pg_replication_origin_advance pg_switch_wal",
        "v",
        "internal",
        "25",
    ),
    ("information_schema", "_pg_expandarray", "i", "sql", "2249"),
    ("information_schema", "_pg_own", "i", "sql", "25"),
    ("public", "_pg_expandarray", "i", "sql", "25"),
    ("public", "leak", "v", "plpgsql", "25"),
    ("public", "peek", "s", "sql", "25"),
    ("public", "crypt", "i", "c", "25"),
    ("public", "dblink", "v", "c", "2249"),
    ("other", "lower json_value json_array json_object merge_action", "i", "sql", "25"),
    ("public", "gather", "i", "aggregate", "25"),
];

pub(super) fn catalog() -> Catalog {
    let mut reading = Reading::default();
    let mut take = |question, row: &[Option<&str>]| reading.row(question, row).unwrap();
    take(Question::Session, &[Some("\"$user\", public"), Some("ada")]);
    for schema in ["public", "other", "ada", "pg_catalog", "information_schema"] {
        take(Question::Schemas, &[Some(schema)]);
    }
    let oid = |name: &str| {
        let at = RELATIONS.iter().position(|(_, table, _, _)| *table == name).unwrap();
        (1000 + at).to_string()
    };
    for (at, (schema, name, kind, columns)) in RELATIONS.iter().enumerate() {
        let oid = (1000 + at).to_string();
        let rules = if *name == "ruled" { "t" } else { "f" };
        take(Question::Relations, &[Some(&oid), Some(schema), Some(name), Some(kind), Some(rules)]);
        for column in columns.split(' ') {
            let (column, type_oid) = column.split_once(':').unwrap_or((column, "25"));
            let generated = (column == "made").then_some("upper((badge || ssn))");
            take(Question::Columns, &[Some(&oid), Some(column), Some(type_oid), generated]);
        }
    }
    for (name, text) in VIEWS {
        take(Question::Views, &[Some(&oid(name)), Some(text)]);
    }
    take(Question::Inheritance, &[Some(&oid("events_old")), Some(&oid("events"))]);
    take(Question::Inheritance, &[Some(&oid("staff")), Some(&oid("people"))]);
    for (schema, names, volatility, language, result) in FUNCTIONS {
        for name in names.split(' ') {
            let row = [Some(*schema), Some(name), Some(*volatility), Some(*language), Some(*result), None, None];
            take(Question::Functions, &row);
        }
    }
    let each = [Some("pg_catalog"), Some("json_each"), Some("i"), Some("internal"), Some("2249")];
    let outputs = [Some(r#"["i","o","o"]"#), Some(r#"["from_json","key","value"]"#)];
    take(Question::Functions, &[&each[..], &outputs[..]].concat());
    let rows = [Some("public"), Some("rows"), Some("s"), Some("sql"), Some("2249")];
    let outputs = [Some(r#"["i","t","t"]"#), Some(r#"["","a","b"]"#)];
    take(Question::Functions, &[&rows[..], &outputs[..]].concat());
    take(Question::Types, &[Some("900"), Some(&oid("address")), Some("0"), Some("901")]);
    take(Question::Operators, &[Some("public"), Some("===")]);
    for operator in ["=", ">=", "<"] {
        take(Question::Operators, &[Some("other"), Some(operator)]);
    }
    take(Question::Casts, &[Some("secret_type")]);
    reading.finish()
}

pub(super) fn names() -> Names {
    Names { path: Path::of("\"$user\", public"), user: Some("ada".into()), unlisted: Unlisted::default() }
}

/// What the statements of a text do.
pub(super) fn understood(sql: &str) -> Vec<Understood> {
    parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).understand(&catalog(), &names())
}

/// What the only statement of a text does.
pub(super) fn one(sql: &str) -> Understood {
    let mut all = understood(sql);
    assert_eq!(all.len(), 1, "{sql}");
    all.remove(0)
}

/// `users.ssn`; the schema is left out where it is public.
pub(super) fn column(column: &Column) -> String {
    if &*column.schema == "public" {
        format!("{}.{}", column.table, column.column)
    } else {
        format!("{}.{}.{}", column.schema, column.table, column.column)
    }
}

pub(super) fn columns(all: &BTreeSet<Column>) -> String {
    all.iter().map(column).collect::<Vec<_>>().join("+")
}

pub(super) fn relations(all: &BTreeSet<Relation>) -> String {
    let name = |relation: &Relation| match &*relation.schema {
        "public" => relation.table.to_string(),
        schema => format!("{schema}.{}", relation.table),
    };
    all.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// `a.b+c.d`, `-` for nothing, `?` for undecided.
pub(super) fn lineage(lineage: &Lineage) -> String {
    match lineage {
        Lineage::Of(none) if none.is_empty() => "-".to_owned(),
        Lineage::Of(some) => columns(some),
        Lineage::Undecided => "?".to_owned(),
    }
}

/// Lineages of the columns that come back: `none`, `any`, or one each.
pub(super) fn output(output: &Output) -> String {
    match output {
        Output::Nothing => "none".to_owned(),
        Output::Undecided => "any".to_owned(),
        Output::Columns(all) => all.iter().map(lineage).collect::<Vec<_>>().join(" "),
    }
}

/// Compares what a statement's text is turned into with what is expected, all cases before it fails.
pub(super) fn check(cases: &[(&str, &str)], found: fn(&Understood) -> String) {
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|(sql, expected)| {
            let found = found(&one(sql));
            (found != *expected).then(|| format!("{sql}\n    found    {found}\n    expected {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
