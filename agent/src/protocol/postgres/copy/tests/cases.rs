//! What stands in a stream, one thing at a time.

use super::super::options::{Format, Options};
use super::super::{Change, CopyError, Rows};
use super::{MOST, Table, options, pass, read};

/// Rows as one line: fields between `|`, rows between `/`, `~` for null, other than ASCII escaped.
fn shown(table: &Table) -> String {
    let field =
        |field: &Option<Vec<u8>>| field.as_ref().map_or("~".to_owned(), |value| value.escape_ascii().to_string());
    let rows: Vec<String> = table.iter().map(|row| row.iter().map(field).collect::<Vec<_>>().join("|")).collect();
    rows.join("/")
}

fn check(options: &Options, columns: usize, cases: &[(&[u8], Result<&str, CopyError>)]) {
    for (stream, expected) in cases {
        let found = read(options, columns, stream).map(|table| shown(&table));
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{}", stream.escape_ascii());
    }
}

#[test]
fn text_is_read_as_the_server_reads_it() {
    check(
        &Options::new(Format::Text),
        2,
        &[
            (b"", Ok("")),
            (b"a\tb\n", Ok("a|b")),
            (b"a\tb\nc\td", Ok("a|b/c|d")),
            (b"\t\n", Ok("|")),
            (b"\\N\t\\\\N\n", Ok("~|\\\\N")),
            (b"\\b\\f\\n\\r\t\\t\\v\\q\\\\\n", Ok("\\x08\\x0c\\n\\r|\\t\\x0bq\\\\")),
            (b"\\101\\7\\18\t\\x41\\x4\\xg\\x\n", Ok("A\\x07\\x018|A\\x04xgx")),
            (b"\\777\\1011\t\\xffa\n", Ok("\\xffA1|\\xffa")),
            (b"a\\\tb\tc\\\nd\n", Ok("a\\tb|c\\nd")),
            (b"\\x4e\t\\116\n", Ok("N|N")),
            (b"a\tb\r\nc\td\r\n", Ok("a|b/c|d")),
            (b"a\tb\rc\td\r", Ok("a|b/c|d")),
            (b"a\tb\n\\.\n", Ok("a|b")),
            (b"a\tb\r\n\\.\r\n", Ok("a|b")),
            (b"\\.\r", Ok("")),
            (b"a\n", Err(CopyError::Fields(2))),
            (b"a\tb\tc\n", Err(CopyError::Fields(2))),
            (b"\n", Err(CopyError::Fields(2))),
            (b"a\tb\nc\td\r\n", Err(CopyError::LineEnd)),
            (b"a\tb\r\nc\td\n", Err(CopyError::LineEnd)),
            (b"a\tb\r\nc\rc\td\r\n", Err(CopyError::LineEnd)),
            (b"a\tb\rc\td\n", Err(CopyError::LineEnd)),
            (b"a\tb\\.\n", Err(CopyError::Marker)),
            (b"\\.a\n", Err(CopyError::Marker)),
            (b"\\.", Err(CopyError::Marker)),
            (b"a\tb\n\\.\r\n", Err(CopyError::LineEnd)),
            (b"\\.\na\tb\n", Err(CopyError::AfterEnd)),
            (b"a\tb\\", Err(CopyError::Short)),
            (b"a\tb\0\n", Err(CopyError::Zero)),
            (b"a\t\\0\n", Err(CopyError::Zero)),
            (b"a\t\\x00\n", Err(CopyError::Zero)),
            (b"a\t\\400\n", Err(CopyError::Zero)),
        ],
    );
}

/// Options, a stream, and what it holds.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [u8], Result<&'a str, CopyError>);

#[test]
fn text_has_options() {
    let cases: [Case<'_>; 6] = [
        (&[("delimiter", "|")], b"a\\|b|\t\n", Ok("a|b|\\t")),
        // The digits of an escape are its own, even if one is the delimiter.
        (&[("delimiter", "A")], b"\\x4AA\\A\n", Ok("J|A")),
        (&[("null", "")], b"\ta\n", Ok("~|a")),
        // Compared as it stands, not as it reads.
        (&[("null", "nil")], b"nil\t\\156il\n", Ok("~|nil")),
        (&[("null", "\\x41")], b"A\t\\x41\n", Ok("A|~")),
        (&[("header", "true"), ("null", "x")], b"x\ty\nx\ty\n", Ok("~|y")),
    ];
    for (pairs, stream, expected) in cases {
        check(&options(pairs), 2, &[(stream, expected)]);
    }
    check(&options(&[("header", "match")]), 2, &[(b"x\ny\tz\n", Err(CopyError::Fields(2))), (b"x\ty\n\\.\n", Ok(""))]);
}

#[test]
fn csv_is_read_as_the_server_reads_it() {
    check(
        &Options::new(Format::Csv),
        2,
        &[
            (b"", Ok("")),
            (b"a,b\n", Ok("a|b")),
            (b"a,b\nc,d", Ok("a|b/c|d")),
            (b",\"\"\n", Ok("~|")),
            (b"\"a,b\",\"c\"\"d\"\n", Ok("a,b|c\\\"d")),
            (b"\"a\nb\",\"c\r\nd\re\"\n", Ok("a\\nb|c\\r\\nd\\re")),
            (b"x\"a,\"y,\"a\"\"\"\n", Ok("xa,y|a\\\"")),
            (b"\"a\"b\"c\", a \n", Ok("abc| a ")),
            (b"\\N,\\\n", Ok("\\\\N|\\\\")),
            (b"a,b\r\nc,\"d\n\"\r\n", Ok("a|b/c|d\\n")),
            (b"a,b\rc,d\r", Ok("a|b/c|d")),
            (b"a,\"\n\\.\n\"\n", Ok("a|\\n\\\\.\\n")),
            (b"a,b\n\\.\n", Ok("a|b")),
            (b"\\.,b\n", Ok("\\\\.|b")),
            (b"a\n", Err(CopyError::Fields(2))),
            (b"a,b,c\n", Err(CopyError::Fields(2))),
            (b"a,\"b\n", Err(CopyError::Quote)),
            (b"a,b\nc,d\r\n", Err(CopyError::LineEnd)),
            (b"a,b\r\nc,d\n", Err(CopyError::LineEnd)),
            (b"a,b\n\\.\r\n", Err(CopyError::LineEnd)),
            (b"\\.\na,b\n", Err(CopyError::AfterEnd)),
            (b"a,\"\0\"\n", Err(CopyError::Zero)),
        ],
    );
}

#[test]
fn csv_has_options() {
    let cases: [Case<'_>; 7] = [
        (&[("delimiter", ";")], b"a;\"b;c\"\n", Ok("a|b;c")),
        (&[("quote", "'")], b"'a,',\"b\"\n", Ok("a,|\\\"b\\\"")),
        (&[("escape", "\\")], b"\"a\\\"\\\\b\\c\",\"\\\"\n\"\n", Ok("a\\\"\\\\b\\\\c|\\\"\\n")),
        (&[("escape", "\\")], b"\\\"a,b\"c,d\n", Ok("\\\\a,bc|d")),
        (&[("escape", "\\")], b"\"a\"\"b\",c\n", Ok("ab|c")),
        (&[("null", "NULL")], b"NULL,\"NULL\"\n,\"\"\n", Ok("~|NULL/|")),
        (&[("header", "on")], b"\"x\ny\",z\na,b\n", Ok("a|b")),
    ];
    for (pairs, stream, expected) in cases {
        let pairs = [&[("format", "csv")], pairs].concat();
        check(&options(&pairs), 2, &[(stream, expected)]);
    }
}

#[test]
fn no_columns_are_empty_lines() {
    for format in [Format::Text, Format::Csv] {
        let options = Options::new(format);
        check(&options, 0, &[(b"\n\n", Ok("")), (b"a\n", Err(CopyError::Fields(0)))]);
        let mut rows = Rows::new(options.clone(), 0, MOST);
        rows.watch(b"\n\n\n", &mut |_, _| {}).unwrap();
        assert_eq!(rows.count(), 3);
        check(&options, 1, &[(b"a\nb\n", Ok("a/b"))]);
    }
    check(&Options::new(Format::Csv), 1, &[(b"\n\"\"\n", Ok("~/"))]);
    check(&Options::new(Format::Text), 1, &[(b"\n", Ok(""))]);
}

/// Binary data: the preamble, these bytes, the trailer.
fn binary(rows: &[u8]) -> Vec<u8> {
    [b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", rows, b"\xff\xff"].concat()
}

#[test]
fn binary_is_read_as_the_server_reads_it() {
    let row = b"\0\x02\0\0\0\x01a\xff\xff\xff\xff".as_slice();
    let zero = b"\0\x02\0\0\0\0\0\0\0\x02\0\n".as_slice();
    let options = Options::new(Format::Binary);
    let good = binary(&[row, zero].concat());
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let extension = b"PGCOPY\n\xff\r\n\0\0\0\xff\xff\0\0\0\x03abc\xff\xff".as_slice();
    check(
        &options,
        2,
        &[
            (&good, Ok("a|~/|\\x00\\n")),
            (&binary(b""), Ok("")),
            (extension, Ok("")),
            // The server does without a trailer, too.
            (&good[..good.len() - 2], Ok("a|~/|\\x00\\n")),
            (&good[..good.len() - 1], Err(CopyError::Short)),
            (&good[..good.len() - 3], Err(CopyError::Short)),
            (&good[..18], Err(CopyError::Short)),
            (b"", Err(CopyError::Short)),
            (&changed(5, b'X'), Err(CopyError::Signature)),
            (b"a\tb\n", Err(CopyError::Signature)),
            (&changed(12, 1), Err(CopyError::Flags(0x0001_0000))),
            (&changed(11, 0x80), Err(CopyError::Flags(0x8000_0000))),
            (&changed(14, 9), Ok("a|~/|\\x00\\n")),
            (&changed(15, 0xFF), Err(CopyError::Length(-0x0100_0000))),
            (&changed(20, 3), Err(CopyError::Fields(2))),
            (&changed(19, 0xFF), Err(CopyError::Fields(2))),
            (&changed(26, 0x7F), Err(CopyError::Long(MOST))),
            (&changed(29, 0xFE), Err(CopyError::Length(-2))),
            (&[&good[..], b"\0"].concat(), Err(CopyError::AfterEnd)),
            (&[&good[..], b"\xff\xff"].concat(), Err(CopyError::AfterEnd)),
        ],
    );
    check(&options, 0, &[(&binary(b"\0\0\0\0"), Ok("")), (&binary(b"\0\x01"), Err(CopyError::Fields(0)))]);
}

#[test]
fn a_row_is_no_longer_than_allowed() {
    for (format, begin, row) in [
        (Format::Text, &b""[..], [&[b'a'; 9][..], b"\n"].concat()),
        (Format::Csv, b"", [&[b'a'; 8][..], b"\r\n"].concat()),
        (Format::Csv, b"", b"\"\n\n\n\n\n\n\n\"\n".to_vec()),
        (Format::Binary, &binary(b"")[..19], b"\0\x01\0\0\0\x04abcd".to_vec()),
    ] {
        let (options, most) = (Options::new(format), row.len().max(begin.len()));
        let stream = [begin, &row].concat();
        for (most, expected) in [(most, Ok(())), (most - 1, Err(CopyError::Long(most - 1)))] {
            for cut in [1, 3, stream.len()] {
                let (result, _, table) =
                    pass(Rows::new(options.clone(), 1, most), &stream, &[cut], |_, _| Change::Keep);
                assert_eq!(result, expected, "{format:?} {most} {cut}");
                assert_eq!(table.len(), usize::from(expected.is_ok()));
            }
        }
    }
    // A length alone is enough.
    let mut rows = Rows::new(Options::new(Format::Binary), 1, MOST);
    let stream = [&binary(b"")[..19], b"\0\x01\x7f\xff\xff\xff"].concat();
    assert_eq!(rows.push(&stream, &mut Vec::new(), &mut |_, _| Change::Keep), Err(CopyError::Long(MOST)));
}

#[test]
fn what_waits_is_not_shown_and_not_in_debug() {
    let mut rows = Rows::new(Options::new(Format::Text), 2, MOST);
    let mut out = Vec::new();
    rows.push(b"a\tb\nsecret\tc", &mut out, &mut |_, _| Change::Keep).unwrap();
    assert_eq!((out.as_slice(), rows.held(), rows.count()), (&b"a\tb\n"[..], 8, 1));
    assert!(!format!("{rows:?}").contains("secret"));
}

#[test]
fn a_wrong_row_is_not_passed_in_part() {
    let mut rows = Rows::new(Options::new(Format::Text), 2, MOST);
    let mut out = Vec::new();
    let mut change = |_: usize, _: Option<&[u8]>| Change::Value(b"x".to_vec());
    assert_eq!(rows.push(b"a\tb\nc\td\te\n", &mut out, &mut change), Err(CopyError::Fields(2)));
    assert_eq!(out, b"x\tx\n");
    let mut rows = Rows::new(Options::new(Format::Csv), 1, MOST);
    let zero = rows.push(b"a\n", &mut out, &mut |_, _| Change::Value(b"\0".to_vec()));
    assert_eq!((zero, out.as_slice()), (Err(CopyError::Value), &b"x\tx\n"[..]));
}

#[test]
fn looking_on_sees_the_same() {
    let mut rows = Rows::new(Options::new(Format::Csv), 2, MOST);
    let mut seen = Vec::new();
    let mut see = |column: usize, value: Option<&[u8]>| seen.push((column, value.map(<[u8]>::to_vec)));
    rows.watch(b"a,\n\"b", &mut see).unwrap();
    rows.watch(b"\",c", &mut see).unwrap();
    rows.watch_end(&mut see).unwrap();
    let expected = [(0, Some("a")), (1, None), (0, Some("b")), (1, Some("c"))];
    assert_eq!(seen, expected.map(|(column, value)| (column, value.map(|value: &str| value.as_bytes().to_vec()))));
    assert_eq!(rows.count(), 2);
    assert_eq!(rows.watch(b"x", &mut |_, _| {}), Err(CopyError::AfterEnd));
    // A server does not read the names a client sends.
    let mut rows = Rows::new(options(&[("header", "true")]), 2, MOST);
    rows.watch(b"one\nc\td\n", &mut |_, value| assert_ne!(value, Some(&b"one"[..]))).unwrap();
    assert_eq!(rows.count(), 1);
}
