//! What masking a value gives: by example, and for anything at all.

use proptest::prelude::*;

use super::field::FieldType;
use super::function::{DateUnit, Function, Rule};
use super::key::Key;
use super::value::{Masked, mask};

fn rule(function: Function) -> Rule {
    Rule::new(function, "pii", &Key::new([7; 32]))
}

/// What is sent instead, `NULL` for none.
fn masked(function: Function, field: FieldType, value: &str) -> String {
    match mask(&rule(function), field, value.as_bytes()) {
        Masked::Null => "NULL".to_owned(),
        Masked::Text(text) => String::from_utf8(text.into_owned()).unwrap(),
    }
}

/// Whether a text is one of the type, decided by other means than the room's own.
fn is_valid(field: FieldType, text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let day = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        text.len() == 10
            && parts.len() == 3
            && parts.iter().all(|part| digits(part))
            && jiff::civil::Date::new(parts[0].parse().unwrap(), parts[1].parse().unwrap(), parts[2].parse().unwrap())
                .is_ok()
    };
    let clock = |text: &str| {
        let parts: Vec<u8> = text.split(':').filter_map(|part| part.parse().ok()).collect();
        text.len() == 8 && parts.len() == 3 && parts[0] < 24 && parts[1] < 60 && parts[2] < 60
    };
    match field {
        FieldType::Text => true,
        FieldType::Int8 => text.parse::<i8>().is_ok(),
        FieldType::Int16 => text.parse::<i16>().is_ok(),
        FieldType::Int32 => text.parse::<i32>().is_ok(),
        FieldType::Int64 => text.parse::<i64>().is_ok(),
        FieldType::Float32 | FieldType::Float64 => text.parse::<f64>().is_ok_and(f64::is_finite),
        FieldType::Numeric => text.trim_start_matches('-').split('.').all(digits),
        FieldType::Bool => text == "t" || text == "f",
        FieldType::Date => day(text),
        FieldType::Time | FieldType::Interval => clock(text),
        FieldType::Timestamp => text.split_once(' ').is_some_and(|(date, time)| day(date) && clock(time)),
        FieldType::TimestampTz => {
            let plain = text.strip_suffix("+00").and_then(|text| text.split_once(' '));
            plain.is_some_and(|(date, time)| day(date) && clock(time))
        }
        FieldType::Uuid => {
            let lengths: Vec<usize> = text.split('-').map(str::len).collect();
            lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
        }
        FieldType::Bytes => text.strip_prefix("\\x").is_some_and(|hex| hex.len() % 2 == 0),
        FieldType::Json => serde_json::from_str::<serde_json::Value>(text).is_ok(),
        FieldType::Inet => text.parse::<std::net::IpAddr>().is_ok(),
        FieldType::Other => false,
    }
}

#[test]
fn keeping_the_last_never_shows_more() {
    let kept = |keep, value: &str| masked(Function::KeepLast(keep), FieldType::Text, value);
    for (keep, value, expected) in [
        (4, "4111111111111111", "***1111"),
        (4, "123-45-6789", "***6789"),
        // Shorter than twice what is kept: nothing at all.
        (4, "1234", "***"),
        (4, "1234567", "***"),
        (4, "12345678", "***5678"),
        (1, "ab", "***b"),
        (1, "a", "***"),
        (1, "", "***"),
        (0, "12345678", "***"),
        (2, "grüße", "***ße"),
        (1, "👩🏽\u{200d}🔬x", "***x"),
        (1, "日本語", "***語"),
    ] {
        assert_eq!(kept(keep, value), expected, "{keep} of {value}");
    }
    let broken = mask(&rule(Function::KeepLast(2)), FieldType::Text, b"abcdef\xff\xfe");
    assert_eq!(broken.text(), Some(&b"***"[..]));
    let kept = |field, value: &str| masked(Function::KeepLast(4), field, value);
    assert_eq!(kept(FieldType::Int64, "4111111111111111"), "1111");
    assert_eq!(kept(FieldType::Int64, "-4111111110011"), "11");
    assert_eq!(kept(FieldType::Int32, "1234567"), "0");
    assert_eq!(kept(FieldType::Int16, "32767"), "0");
    assert_eq!(kept(FieldType::Numeric, "12345678.25"), "0");
    assert_eq!(kept(FieldType::Json, "\"ada@example.org\""), "\"***.org\"");
    assert_eq!(kept(FieldType::Json, "{\"a\": \"ada@example.org\"}"), "\"***\"");
    assert_eq!(kept(FieldType::Uuid, "6F9619FF-8B86-D011-B42D-00CF4FC964FF"), "00000000-0000-0000-0000-0000000064ff");
}

#[test]
fn dates_and_numbers_get_coarser() {
    let month = |field, value: &str| masked(Function::TruncateDate(DateUnit::Month), field, value);
    assert_eq!(month(FieldType::Date, "1985-12-31"), "1985-12-01");
    assert_eq!(masked(Function::TruncateDate(DateUnit::Year), FieldType::Date, "1985-12-31"), "1985-01-01");
    assert_eq!(month(FieldType::Timestamp, "1985-12-31 23:59:59.123"), "1985-12-01 00:00:00");
    assert_eq!(month(FieldType::TimestampTz, "1985-12-31 23:59:59+02"), "1985-12-01 00:00:00+00");
    assert_eq!(month(FieldType::Text, "1985-12-31T23:59:59Z"), "1985-12-01");
    assert_eq!(month(FieldType::Json, "\"1985-12-31\""), "\"1985-12-01\"");
    for odd in ["infinity", "0044-03-15 BC", "31.12.1985", "1985-02-30", "1985-12-31abc", "", "1985-12-3é"] {
        assert_eq!(month(FieldType::Date, odd), "1970-01-01", "{odd}");
    }
    let tens = |field, value: &str| masked(Function::Generalise(10), field, value);
    assert_eq!(tens(FieldType::Int32, "37"), "30");
    assert_eq!(tens(FieldType::Int32, "-37"), "-40");
    assert_eq!(tens(FieldType::Numeric, "-30.5"), "-40");
    assert_eq!(tens(FieldType::Numeric, "-30.0"), "-30");
    assert_eq!(tens(FieldType::Float64, "1e9"), "0");
    assert_eq!(tens(FieldType::Text, "37 years"), "***");
    assert_eq!(tens(FieldType::Json, "37"), "30");
    assert_eq!(tens(FieldType::Int8, "-128"), "-120");
    assert_eq!(masked(Function::Generalise(100_000), FieldType::Int16, "-5"), "0");
}

#[test]
fn a_constant_is_used_where_it_is_valid() {
    let constant = |field| masked(Function::Constant("42".to_owned()), field, "x");
    assert_eq!(constant(FieldType::Text), "42");
    assert_eq!(constant(FieldType::Int8), "42");
    assert_eq!(constant(FieldType::Date), "1970-01-01");
    assert_eq!(constant(FieldType::Json), "\"42\"");
    assert_eq!(masked(Function::Constant("300".to_owned()), FieldType::Int8, "x"), "0");
    assert_eq!(constant(FieldType::Other), "NULL");
}

#[test]
fn pseudonyms_join() {
    let hash = |field, value: &str| masked(Function::Hash, field, value);
    assert_eq!(hash(FieldType::Text, "ada"), hash(FieldType::Text, "ada"));
    assert_ne!(hash(FieldType::Text, "ada"), hash(FieldType::Text, "Ada"));
    assert_eq!(hash(FieldType::Int32, "42"), hash(FieldType::Int32, " +042"));
    assert_eq!(
        hash(FieldType::Uuid, "6F9619FF-8B86-D011-B42D-00CF4FC964FF"),
        hash(FieldType::Uuid, "{6f9619ff-8b86-d011-b42d-00cf4fc964ff}")
    );
    let other = Rule::new(Function::Hash, "pan", &Key::new([7; 32]));
    assert_ne!(
        mask(&other, FieldType::Text, b"ada"),
        mask(&rule(Function::Hash), FieldType::Text, b"ada"),
        "classes do not join"
    );
    // In a type of 128 values every value meets itself now and then, and is given another pseudonym.
    for value in -128..=127_i8 {
        assert_ne!(hash(FieldType::Int8, &value.to_string()), value.to_string());
    }
}

fn functions() -> impl Strategy<Value = Function> {
    prop_oneof![
        Just(Function::Null),
        Just(Function::Redact),
        "[ -~é]{0,12}".prop_map(Function::Constant),
        (-300_000_i64..300_000).prop_map(|number| Function::Constant(number.to_string())),
        Just(Function::Hash),
        Just(Function::TruncateDate(DateUnit::Month)),
        Just(Function::TruncateDate(DateUnit::Year)),
        (2..=u64::MAX).prop_map(Function::Generalise),
        (2..2_000_u64).prop_map(Function::Generalise),
        (1..=32_u8).prop_map(Function::KeepLast),
    ]
}

fn fields() -> impl Strategy<Value = FieldType> {
    (0..FieldType::ALL.len()).prop_map(|at| FieldType::ALL[at])
}

/// Values as servers write them, and anything else.
fn values() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<i16>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        "-?[0-9]{1,40}(\\.[0-9]{0,20})?",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?([+-][0-9]{2})?",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "\"[^\"\\\\]{0,20}\"",
        "\\PC{0,40}",
    ];
    prop_oneof![text.prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 0..60)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_comes_out_is_of_the_type(function in functions(), field in fields(), value in values()) {
        let rule = rule(function);
        let masked = mask(&rule, field, &value);
        prop_assert_eq!(&masked, &mask(&rule, field, &value), "the same again");
        match masked.text() {
            None => prop_assert!(field == FieldType::Other || *rule.function() == Function::Null),
            Some(text) => prop_assert!(is_valid(field, text), "{field:?}: {:?}", String::from_utf8_lossy(text)),
        }
    }

    #[test]
    fn redaction_does_not_depend_on_the_value(field in fields(), one in values(), other in values()) {
        let rule = rule(Function::Redact);
        prop_assert_eq!(mask(&rule, field, &one), mask(&rule, field, &other));
    }

    #[test]
    fn a_pseudonym_does_not_hold_the_value(field in fields(), value in values()) {
        let masked = mask(&rule(Function::Hash), field, &value);
        let Some(text) = masked.text() else { return Ok(()) };
        // What is shorter is in every other pseudonym by accident; it is still never the whole of it.
        let held = value.len() >= 8 && text.windows(value.len()).any(|window| window == value);
        // Types that cannot hold a pseudonym have their one blank value.
        let blank = field == FieldType::Bool || field == FieldType::Interval || text == b"\"***\"";
        prop_assert!(blank || (!held && text != value), "{:?}", String::from_utf8_lossy(text));
    }

    #[test]
    fn at_most_so_much_is_kept(keep in 1..=8_u8, value in "\\PC{0,24}") {
        let masked = mask(&rule(Function::KeepLast(keep)), FieldType::Text, value.as_bytes());
        let text = std::str::from_utf8(masked.text().unwrap()).unwrap();
        let shown = text.strip_prefix("***").unwrap();
        let (length, keep) = (value.chars().count(), usize::from(keep));
        prop_assert!(value.ends_with(shown));
        prop_assert_eq!(shown.chars().count(), if length >= 2 * keep { keep } else { 0 });
    }
}
