//! SQL of strangers: any text is parsed and understood or refused, over an empty catalog and over a small one, and what is
//! understood lies within the text.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sallyport::protocol::postgres::sql::{Catalog, Names, Path, Question, Reading, Unlisted, parse};

static SMALL: LazyLock<Catalog> = LazyLock::new(|| {
    let mut reading = Reading::default();
    let mut take = |question, row: &[Option<&str>]| reading.row(question, row).expect("it is a row");
    take(Question::Session, &[Some("public"), Some("ada")]);
    take(Question::Schemas, &[Some("public")]);
    for (oid, name, kind) in [("1", "t", "r"), ("2", "v", "v"), ("3", "c", "c")] {
        take(Question::Relations, &[Some(oid), Some("public"), Some(name), Some(kind), Some("f")]);
        take(Question::Columns, &[Some(oid), Some("a"), Some("25"), None]);
        take(Question::Columns, &[Some(oid), Some("b"), Some("9"), None]);
    }
    take(Question::Views, &[Some("2"), Some("SELECT t.a, t.b FROM public.t")]);
    take(Question::Types, &[Some("9"), Some("3"), Some("0"), Some("10")]);
    for name in ["f", "lower", "set_config"] {
        let row = [Some("pg_catalog"), Some(name), Some("i"), Some("internal"), Some("25"), None, None];
        take(Question::Functions, &row);
    }
    reading.finish()
});

fuzz_target!(|sql: &str| {
    let Ok(script) = parse(sql) else { return };
    let names = Names { path: Path::of("public"), user: Some("ada".into()), unlisted: Unlisted::default() };
    for catalog in [&Catalog::default(), &*SMALL] {
        let all = script.understand(catalog, &names);
        assert_eq!(all.len(), script.statements());
        for facts in all {
            assert!(sql.get(facts.text.clone()).is_some());
            assert!(!facts.verb.is_empty());
            for literal in facts.literals {
                assert!(facts.text.start <= literal.at.start && literal.at.end <= facts.text.end);
                assert!(sql.get(literal.at).is_some());
            }
        }
    }
});
