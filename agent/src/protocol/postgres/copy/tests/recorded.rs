//! What PostgreSQL 15 sends for one table in every format (`recorded/`), read and with a column replaced.

use super::super::options::{Argument, Format, Options};
use super::super::{Change, Rows};
use super::{MOST, Table, pass, read};
use crate::protocol::postgres::value;

/// A stream, and the list of options.
type Recorded<'a> = (&'static [u8], &'a [(&'a str, Argument<'a>)]);

/// Every stream, and the options it was asked for with.
fn streams() -> Vec<(&'static [u8], Options)> {
    let text = Argument::Text;
    let all: [Recorded<'_>; 6] = [
        (include_bytes!("recorded/plain.text"), &[]),
        (
            include_bytes!("recorded/semicolon.text"),
            &[("header", text("true")), ("delimiter", text(";")), ("null", text("NULL"))],
        ),
        (include_bytes!("recorded/plain.csv"), &[("format", text("csv"))]),
        (
            include_bytes!("recorded/forced.csv"),
            &[("format", text("csv")), ("header", Argument::Absent), ("force_quote", Argument::Star)],
        ),
        (
            include_bytes!("recorded/odd.csv"),
            &[
                ("format", text("csv")),
                ("delimiter", text(";")),
                ("quote", text("'")),
                ("escape", text("\\")),
                ("null", text("NULL")),
                ("force_quote", Argument::List),
            ],
        ),
        (include_bytes!("recorded/plain.binary"), &[("format", text("binary"))]),
    ];
    all.map(|(stream, pairs)| (stream, Options::from_pairs("UTF8", pairs.iter().copied()).unwrap())).to_vec()
}

/// The table, as it was filled.
fn people() -> Table {
    let rows: [[Option<&str>; 4]; 5] = [
        [Some("1"), Some("ada@example.org"), Some("line\nbreak\ttab\\back \"q\", c; 's'"), Some("NULL")],
        [Some("2"), Some(""), None, Some("\\N")],
        [Some("3"), None, Some("\\."), Some("\r\n\u{8}\u{c}\u{b}\u{1}")],
        [Some("-4"), Some("zoé@example.org"), Some("  spaces  "), Some("\"")],
        [Some("5"), Some("\\"), Some("a\\.b"), Some("\\\"")],
    ];
    rows.iter().map(|row| row.iter().map(|value| value.map(|text| text.as_bytes().to_vec())).collect()).collect()
}

/// What a stream holds, numbers as text.
fn texts(options: &Options, stream: &[u8]) -> Table {
    let mut table = read(options, 4, stream).unwrap();
    if options.format() == Format::Binary {
        for id in table.iter_mut().filter_map(|row| row[0].as_mut()) {
            *id = value::to_text(23, id).unwrap().into_bytes();
        }
    }
    table
}

#[test]
fn a_real_servers_rows_are_read() {
    for (stream, options) in streams() {
        let mut expected = people();
        if options.null_hides_a_value() {
            // The server wrote this value and nulls alike.
            expected[0][3] = None;
        }
        assert_eq!(texts(&options, stream), expected, "{options:?}");
    }
}

#[test]
fn a_masked_column_of_a_real_server_is_gone() {
    for (stream, options) in streams() {
        for new in [Some("***, \"masked\"\n"), None] {
            let mut expected = people();
            if options.null_hides_a_value() {
                expected[0][3] = None;
            }
            expected.iter_mut().for_each(|row| row[1] = new.map(|new| new.as_bytes().to_vec()));
            let change = |column: usize, _: Option<&[u8]>| match new {
                _ if column != 1 => Change::Keep,
                Some(new) => Change::Value(new.as_bytes().to_vec()),
                None => Change::Null,
            };
            for cut in [1, 7, stream.len()] {
                let (result, out, _) = pass(Rows::new(options.clone(), 4, MOST), stream, &[cut], change);
                assert_eq!(result, Ok(()));
                assert_eq!(texts(&options, &out), expected);
                assert!(!out.windows(8).any(|part| part == b"@example"), "{}", out.escape_ascii());
            }
        }
    }
}
