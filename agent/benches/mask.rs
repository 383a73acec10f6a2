//! What finding and masking protected values costs: `cargo xtask bench mask`. Prints `NAME VALUE`, a number a line.
#![expect(clippy::expect_used, reason = "a measurement whose ground gives way is none")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use sallyport::mask::detect::{Context, Detectors, Piece, detect_in};
use sallyport::mask::{Classes, FieldType, Key, classes::check, mask};
use sallyport::policy::{Source, question::Target};

/// The classifications that are shipped.
const SHIPPED: &str = include_str!("../../policies/classes.toml");
/// Rounds, of which the middle one counts.
const ROUNDS: usize = 31;
/// How often something small is done in a round.
const TIMES: usize = 20_000;

fn main() {
    let source = Source { name: "classes.toml".to_owned(), text: SHIPPED.to_owned() };
    let classes =
        check(&[source], &Key::new([7; 32])).unwrap_or_else(|found| panic!("{}", found.first().expect("one")));
    let texts = [("prose", prose()), ("json", json()), ("log", log()), ("rows", rows())];
    let slowest = texts.iter().map(|(name, text)| speed(&format!("mask.detect_{name}_mb_s"), &classes, text));
    println!("mask.detect_mb_s {}", slowest.fold(f64::MAX, f64::min));
    stream(&classes, &log());
    values(&classes);
}

/// Seconds of the middle round.
fn median(mut round: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    *times.get(ROUNDS / 2).expect("a round")
}

fn speed(name: &str, classes: &Classes, text: &str) -> f64 {
    let context = Context::default();
    let detectors: &Detectors = classes.detectors();
    assert!(detect_in(detectors, &context, text.as_bytes()).is_empty(), "{name}: the text is not clean");
    let took = median(|| {
        black_box(detect_in(detectors, &context, black_box(text.as_bytes())));
    });
    let speed = text.len() as f64 / took / 1e6;
    println!("{name} {speed}");
    speed
}

fn stream(classes: &Classes, text: &str) {
    let took = median(|| {
        let mut stream = classes.stream(Context::default());
        let mut out = Vec::with_capacity(text.len());
        let mut sink = |piece: Piece<'_>| classes.mask_piece(&piece, &mut out);
        text.as_bytes().chunks(8192).for_each(|chunk| stream.push(chunk, &mut sink));
        stream.finish(&mut sink);
        assert_eq!(out.len(), text.len(), "every byte came through");
    });
    println!("mask.stream_mb_s {}", text.len() as f64 / took / 1e6);
}

fn values(classes: &Classes) {
    let each = |name: &str, once: &dyn Fn()| {
        let took = median(|| (0..TIMES).for_each(|_| once()));
        println!("{name} {}", took / TIMES as f64 * 1e9);
    };
    let target = Target::opaque([10, 0, 0, 5].into(), 5432);
    for (name, column, value) in [
        ("mask.redact_ns", "password", "hunter2"),
        ("mask.keep_last_ns", "card_number", "4111111111111111"),
        ("mask.hash_ns", "email", "ada@example.org"),
    ] {
        let class = classes.of_column(&target, Some("public"), Some("person"), column).expect("a class");
        each(name, &|| drop(black_box(mask(class.rule(), FieldType::Text, black_box(value.as_bytes())))));
    }
    each("mask.lookup_ns", &|| {
        black_box(classes.of_column(&target, Some("public"), Some("person"), black_box("quantity")));
    });
    let context = Context::of("comment");
    let cell = b"shipped on 2026-01-31";
    each("mask.clean_cell_ns", &|| drop(black_box(classes.mask_found(&context, FieldType::Text, black_box(cell)))));
}

fn prose() -> String {
    "The quick brown fox jumps over the lazy dog while the market rallied on strong reports, analysts said. "
        .repeat(10_000)
}

fn json() -> String {
    (0..10_000).fold(String::new(), |mut text, n| {
        let _ = writeln!(
            text,
            "{{\"id\":{},\"name\":\"Widget {n}\",\"created_at\":\"2026-01-{:02}T12:{:02}:00Z\",\"price\":{}.{:02},\
             \"tags\":[\"new\",\"blue\"],\"uuid\":\"6f9619ff-8b86-4011-b42d-00cf4fc{n:05}\"}}",
            100_000 + n * 37,
            n % 28 + 1,
            n % 60,
            n % 977,
            n % 100
        );
        text
    })
}

fn log() -> String {
    (0..10_000).fold(String::new(), |mut text, n| {
        let _ = writeln!(
            text,
            "2026-01-31T12:00:{:02}.123Z INFO worker-{} handled path=/api/v1/items/{} status=200 took={}us bytes={}",
            n % 60,
            n % 16,
            n * 7919,
            n % 5000,
            n * 13
        );
        text
    })
}

fn rows() -> String {
    (0..20_000_u64).fold(String::new(), |mut text, n| {
        let (id, amount, day) = (1_000_000_000 + n * 7, n % 1000, n % 28 + 1);
        let _ = writeln!(text, "{id}\t{}\t{amount}.00\tshipped\t2026-01-{day:02}", n * 31);
        text
    })
}
