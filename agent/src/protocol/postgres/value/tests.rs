//! Known encodings, as a server gave them, and what must hold for any.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::wire::Format;
use super::*;

/// Type, text and binary form, as a server gives them.
fn known() -> Vec<(Oid, String, Vec<u8>)> {
    let lines = include_str!("../fixtures/values.tsv").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let parts: Vec<&str> = line.split('\t').collect();
            let text = parts[1].replace("\\\\", "\0").replace("\\n", "\n").replace('\0', "\\");
            (parts[0].parse().unwrap(), text, scalar::unhex(parts[2]).unwrap())
        })
        .collect()
}

/// Whether a type has parts that do not say their type in text form.
fn has_record(oid: Oid) -> bool {
    matches!(oid, 2249 | 2287)
}

#[test]
fn values_are_written_as_the_server_does() {
    let known = known();
    assert!(known.len() > 200);
    for (oid, text, binary) in known {
        assert_eq!(to_text(oid, &binary).as_deref(), Ok(&*text), "{oid} {binary:?}");
        if !has_record(oid) {
            assert_eq!(from_text(oid, text.as_bytes()), Ok(binary), "{oid} {text:?}");
        }
    }
}

#[test]
fn values_that_are_not_of_their_type_are_refused() {
    for (oid, _, binary) in known() {
        let is_text = matches!(oid, 17 | 19 | 25 | 114 | 142 | 194 | 1042 | 1043 | 3802 | 4072);
        // What is cut off is noticed, but in what is any text; and so is what is put on.
        if let (false, Some((_, less))) = (is_text, binary.split_last()) {
            assert!(to_text(oid, less).is_err(), "{oid} {binary:?}");
            assert!(to_text(oid, &[&binary[..], &[0]].concat()).is_err(), "{oid} {binary:?}");
        }
    }
    for (oid, text) in [
        (16, "maybe"),
        (23, "1.5"),
        (23, ""),
        (23, "2147483648"),
        (701, "nan"),
        (701, "inf"),
        (1700, "1.2.3"),
        (1700, "--1"),
        (1700, "."),
        (1082, "2026-02-29"),
        (1082, "2026-13-01"),
        (1082, "0000-01-01"),
        (1083, "24:00:00.000001"),
        (1083, "12:60:00"),
        (1114, "2026-01-31 25:00:00"),
        (1186, "1 parsec"),
        (2950, "a0eebc99"),
        (869, "10.0.0.256"),
        (869, "10.0.0.0/33"),
        (650, "10.0.0.1/8"),
        (829, "08:00:2b"),
        (1560, "102"),
        (17, "\\x0"),
        (17, "abc"),
        (600, "(1)"),
        (1007, "{1,2"),
        (1007, "{1,}"),
        (1007, "{{1},{2,3}}"),
        (1007, "{1}}"),
        (1007, "{1 2}"),
        (1007, "1"),
        (1007, "[0:5]={1}"),
        (1007, "{{},{}}"),
        (3904, "[1,2"),
        (3904, "[1,2)x"),
        (3904, "1,2"),
        (4451, "{[1,2),}"),
        (790, "$1.2"),
        (2249, "(1)"),
        (16_384, "x"),
        (1009, "{\"a}"),
    ] {
        assert!(from_text(oid, text.as_bytes()).is_err(), "{oid} {text:?}");
    }
    // What is infinite is not included, whatever its flag says.
    assert_eq!(to_text(3926, &[0x1E]).as_deref(), Ok("(,)"));
    // An array of numbers that says it is one of texts.
    let other = from_text(1009, b"{abcd}").unwrap();
    assert_eq!(to_text(1007, &other), Err(ValueError::Binary(1007)));
    assert!(rewrite(1007, Format::Binary, &other, &mut |_| None).is_err());
    // Lengths whose product is beyond any number do not stand for an array of none.
    let lengths = [i32::MAX.to_be_bytes(), [0; 4]].concat().repeat(6);
    let huge = [&6_i32.to_be_bytes()[..], &[0; 4], &23_i32.to_be_bytes(), &lengths].concat();
    assert_eq!(to_text(1007, &huge), Err(ValueError::Binary(1007)));
    assert_eq!(to_text(25, &[0xFF]), Err(ValueError::Encoding));
    assert_eq!(to_text(16_384, b"x"), Err(ValueError::Unknown(16_384)));
}

#[test]
fn words_and_snapshots_of_another_form_are_refused() {
    for (oid, text) in [
        (3614, "'a"),
        (3614, "''"),
        (3614, "a:0"),
        (3614, "a:1,"),
        (3614, "a:1x"),
        (3614, "a:"),
        (3615, "a b"),
        (3615, "a &"),
        (3615, "& a"),
        (3615, "(a"),
        (3615, "a)"),
        (3615, "'a"),
        (3615, "!"),
        (3615, "a <x> b"),
        (3615, "a <16385> b"),
        (5038, "10:20"),
        (5038, "20:10:"),
        (5038, "0:1:"),
        (5038, "10:20:9"),
        (5038, "10:20:20"),
        (5038, "10:20:11,11"),
        (4096, "postgres"),
    ] {
        assert!(from_text(oid, text.as_bytes()).is_err(), "{oid} {text:?}");
    }
}

#[test]
fn queries_have_an_end() {
    // Groups from the right bind no stronger than the text says, and are written from the left, as the server does.
    let right = scalar::unhex("0000000502020202010000630001000062000100006100").unwrap();
    let left = from_text(3615, b"a & b & c").unwrap();
    assert_eq!(
        (to_text(3615, &right).as_deref(), to_text(3615, &left).as_deref()),
        (Ok("'a' & 'b' & 'c'"), Ok("'a' & 'b' & 'c'"))
    );
    for deep in ["!".repeat(100) + "a", "(".repeat(100) + "a" + &")".repeat(100)] {
        assert_eq!(from_text(3615, deep.as_bytes()), Err(ValueError::Text(3615)));
    }
    // Operands that are not there, and one too many.
    for wrong in
        ["00000001 0202", "00000001 0201", "00000002 01000061 00 01000061 00", "00000001 0209", "00000001 01100061 00"]
    {
        let binary = scalar::unhex(&wrong.replace(' ', "")).unwrap();
        assert_eq!(to_text(3615, &binary), Err(ValueError::Binary(3615)), "{wrong}");
    }
    assert_eq!(to_text(3615, &[0xFF; 4]), Err(ValueError::Binary(3615)));
}

#[test]
fn words_are_in_order() {
    let two = |one: &[u8], other: &[u8]| [&2_u32.to_be_bytes(), one, other].concat();
    assert_eq!(to_text(3614, &two(b"a\0\0\0", b"b\0\0\x02\0\x01\xc0\x02")).as_deref(), Ok("'a' 'b':1,2A"));
    for (one, other) in [
        (&b"b\0\0\0"[..], &b"a\0\0\0"[..]),
        (b"a\0\0\0", b"a\0\0\0"),
        (b"\0\0\0", b"a\0\0\0"),
        (b"a\0\0\0", b"b\0\0\x01\0\0"),
        (b"a\0\0\0", b"b\0\0\x02\0\x02\0\x02"),
    ] {
        assert_eq!(to_text(3614, &two(one, other)), Err(ValueError::Binary(3614)), "{one:?} {other:?}");
    }
}

#[test]
fn nesting_has_an_end() {
    let mut record = vec![0; 4];
    for _ in 0..40 {
        let mut outer = [1_u32.to_be_bytes(), 2249_u32.to_be_bytes()].concat();
        super::super::wire::put_value(&mut outer, Some(&record));
        record = outer;
    }
    assert_eq!(to_text(2249, &record), Err(ValueError::Nested));
    assert_eq!(rewrite(2249, Format::Binary, &record, &mut |_| None), Err(ValueError::Nested));
}

/// Each leaf replaced by stars of the same length; numbers by nothing.
fn starred(leaf: Leaf<'_>) -> Option<String> {
    match leaf.oid {
        25 | 1043 => Some("*".repeat(leaf.text.chars().count())),
        23 | 1700 => None,
        _ => Some(leaf.text.to_owned()),
    }
}

#[test]
fn masked_cells_are_cells_of_their_type() {
    for (oid, text, masked) in [
        (25, "ada", Some("***")),
        (23, "7", None),
        (1009, "{ada,\"a b\",NULL}", Some("{***,***,NULL}")),
        (1009, "[0:1]={a,b}", Some("[0:1]={*,*}")),
        (1007, "{1,2}", Some("{NULL,NULL}")),
        (1184, "2026-01-31 04:05:06+00", Some("2026-01-31 04:05:06+00")),
        (3904, "[1,5)", Some("[1,5)")),
    ] {
        let binary = from_text(oid, text.as_bytes()).unwrap();
        let masked = masked.map(str::to_owned);
        let new = rewrite(oid, Format::Binary, &binary, &mut starred).unwrap();
        assert_eq!(new.map(|new| to_text(oid, &new).unwrap()), masked, "{oid} {text}");
        let new = rewrite(oid, Format::Text, text.as_bytes(), &mut starred).unwrap();
        assert_eq!(new.map(|new| String::from_utf8(new).unwrap()), masked, "{oid} {text}");
    }
    // Text in a number's cell would break whoever reads it.
    let stars = &mut |_: Leaf<'_>| Some("***".to_owned());
    assert_eq!(rewrite(23, Format::Binary, &[0, 0, 0, 7], stars), Err(ValueError::Text(23)));
    assert_eq!(rewrite(23, Format::Text, b"7", stars), Err(ValueError::Text(23)));
    assert_eq!(rewrite(1007, Format::Text, b"{7}", stars), Err(ValueError::Text(23)));
}

#[test]
fn leaves_left_alone_leave_the_cell_alone() {
    for (oid, text, binary) in known() {
        let mut same = |leaf: Leaf<'_>| Some(leaf.text.to_owned());
        if let Kind::Array(_) | Kind::Record | Kind::Scalar = kind(oid).unwrap() {
            assert_eq!(rewrite(oid, Format::Binary, &binary, &mut same), Ok(Some(binary)), "{oid} {text:?}");
        }
        assert_eq!(
            rewrite(oid, Format::Text, text.as_bytes(), &mut same),
            Ok(Some(text.clone().into_bytes())),
            "{oid} {text:?}"
        );
    }
}

fn types() -> impl Strategy<Value = Oid> {
    let all: Vec<Oid> = (0..7000).filter(|oid| kind(*oid).is_some()).collect();
    proptest::sample::select(all)
}

proptest! {
    #[test]
    fn any_bytes_are_a_value_or_refused(oid in types(), bytes in vec(any::<u8>(), 0..40)) {
        if let Ok(text) = to_text(oid, &bytes)
            && let Ok(binary) = from_text(oid, text.as_bytes())
        {
            prop_assert_eq!(to_text(oid, &binary), Ok(text), "{}", oid);
        }
        let _ = rewrite(oid, Format::Binary, &bytes, &mut starred);
    }

    #[test]
    fn any_text_is_a_value_or_refused(oid in types(), text in "[-+0-9.:e,{}()\\[\\]\"\\\\ aZ=/]{0,20}") {
        if let Ok(binary) = from_text(oid, text.as_bytes()) {
            let text = to_text(oid, &binary).unwrap();
            prop_assert_eq!(from_text(oid, text.as_bytes()), Ok(binary), "{} {}", oid, text);
        }
        let _ = rewrite(oid, Format::Text, text.as_bytes(), &mut starred);
    }

    #[test]
    fn numbers_are_written_as_read(bits in any::<u64>(), digits in "-?[0-9]{1,40}(\\.[0-9]{1,30})?") {
        let number = f64::from_bits(bits);
        let text = to_text(701, &number.to_be_bytes()).unwrap();
        prop_assert!(number.is_nan() || text.parse::<f64>() == Ok(number));
        let binary = from_text(1700, digits.as_bytes()).unwrap();
        let (sign, size) = digits.strip_prefix('-').map_or(("", &*digits), |rest| ("-", rest));
        let size = size.trim_start_matches('0');
        let size = if size.is_empty() || size.starts_with('.') { format!("0{size}") } else { size.to_owned() };
        // There is no negative zero.
        let sign = if size.chars().all(|c| matches!(c, '0' | '.')) { "" } else { sign };
        prop_assert_eq!(to_text(1700, &binary), Ok(format!("{sign}{size}")));
    }

    #[test]
    fn days_are_counted_without_a_gap(day in -2_400_000_i32..200_000_000) {
        let text = to_text(1082, &day.to_be_bytes()).unwrap();
        prop_assert_eq!(from_text(1082, text.as_bytes()), Ok(day.to_be_bytes().to_vec()), "{}", text);
    }
}
