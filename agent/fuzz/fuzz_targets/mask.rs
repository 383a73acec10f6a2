//! Values of strangers: hits lie inside them and apart, streams find the same, and what is masked is of its type.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sallyport::mask::detect::{Context, Detectors, Hit, Piece, Stream, detect_in};
use sallyport::mask::{DateUnit, FieldType, Function, Key, Masked, Rule, classes::check, mask};
use sallyport::policy::Source;

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let functions = [
        Function::Redact,
        Function::Constant("42".to_owned()),
        Function::Hash,
        Function::TruncateDate(DateUnit::Month),
        Function::Generalise(10),
        Function::KeepLast(4),
    ];
    functions.into_iter().map(|function| Rule::new(function, "fuzz", &Key::new([7; 32]))).collect()
});

fuzz_target!(|input: (u8, &[u8])| {
    let (first, value) = input;
    found(usize::from(first), value);
    for rule in RULES.iter() {
        for field in FieldType::ALL {
            let masked = mask(rule, field, value);
            assert_eq!(masked == Masked::Null, field == FieldType::Other);
            let text = masked.text().unwrap_or(b"0");
            assert!(field == FieldType::Text || std::str::from_utf8(text).is_ok(), "{field:?}");
            if field == FieldType::Json {
                serde_json::from_slice::<serde_json::Value>(text).unwrap();
            }
        }
    }
    // The same bytes as a classification: it is one, or every mistake lies inside it.
    let text = String::from_utf8_lossy(value).into_owned();
    let lines: Vec<&str> = text.split('\n').collect();
    let source = Source { name: "fuzz.toml".to_owned(), text: text.clone() };
    for finding in check(&[source], &Key::new([0; 32])).err().unwrap_or_default() {
        let Some(problem) = finding.problem else { continue };
        let length = lines[problem.line - 1].chars().count();
        assert!((1..=length + 1).contains(&problem.column), "{problem:?}");
    }
});

fn found(step: usize, value: &[u8]) {
    let (all, context) = (Detectors::all(), Context::default());
    let hits = detect_in(&all, &context, value);
    let mut end = 0;
    for hit in &hits {
        assert!(end <= hit.range.start && hit.range.start < hit.range.end && hit.range.end <= value.len());
        end = hit.range.end;
    }
    let (mut passed, mut streamed) = (Vec::new(), Vec::new());
    let mut sink = |piece: Piece<'_>| match piece {
        Piece::Clear(text) => passed.extend_from_slice(text),
        Piece::Found { detector, confidence, value } => {
            streamed.push(Hit { detector, confidence, range: passed.len()..passed.len() + value.len() });
            passed.extend_from_slice(value);
        }
    };
    let mut stream = Stream::new(all, context);
    value.chunks(step.max(1)).for_each(|chunk| stream.push(chunk, &mut sink));
    stream.finish(&mut sink);
    assert_eq!(passed, value);
    assert_eq!(streamed, hits);
}
