//! Properties of rewriting: what is kept stays, what is replaced is gone, what is written is read back.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::options::{Argument, Format, Options};
use super::super::{Change, CopyError, Rows};
use super::{MOST, Table, keep, options, pass, read};

/// Options of every kind, all of which the server takes.
fn any_options() -> impl Strategy<Value = Options> {
    let list: [&[(&str, &str)]; 15] = [
        &[],
        &[("delimiter", "|"), ("null", "")],
        &[("delimiter", "N"), ("null", "nil")],
        &[("null", "\\x61")],
        &[("null", "a"), ("delimiter", "\u{1}")],
        &[("header", "true")],
        &[("format", "csv")],
        &[("format", "csv"), ("header", "match"), ("delimiter", "\t")],
        &[("format", "csv"), ("quote", "'"), ("escape", "\\"), ("null", "a")],
        &[("format", "csv"), ("escape", ",")],
        &[("format", "csv"), ("escape", "a"), ("null", "\\N")],
        &[("format", "csv"), ("delimiter", "x"), ("null", "\\")],
        &[("format", "csv"), ("delimiter", "\""), ("quote", "a"), ("null", "nil")],
        &[("format", "csv"), ("quote", "|"), ("escape", ".")],
        &[("format", "binary")],
    ];
    proptest::sample::select(list.map(options).to_vec())
}

/// Mostly what means something somewhere.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![4 => proptest::sample::select(b"\\\\..nNxa016,,|\"\"'\t\r\n\x0b ".to_vec()), 1 => 1..=255_u8]
}

fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::weighted(0.9, vec(byte(), 0..6))
}

fn table() -> impl Strategy<Value = Table> {
    (0..4_usize).prop_flat_map(|columns| vec(vec(value(), columns), 0..5))
}

/// A stream of these rows, as a server writes it.
fn written(options: &Options, table: &Table) -> Vec<u8> {
    let mut out = Vec::new();
    let binary = options.format() == Format::Binary;
    if binary {
        out.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    }
    let header = options.header().then(|| table.first().map_or(vec![], |row| vec![Some(b"c".to_vec()); row.len()]));
    for row in header.iter().chain(table) {
        if binary {
            out.extend_from_slice(&i16::try_from(row.len()).unwrap().to_be_bytes());
        }
        for (column, value) in row.iter().enumerate() {
            if column > 0 && !binary {
                out.push(options.delimiter);
            }
            options.put(value.as_deref(), &mut out).unwrap();
        }
        if !binary {
            out.push(b'\n');
        }
    }
    if binary {
        out.extend_from_slice(b"\xff\xff");
    }
    out
}

/// As it will be read: an empty text may look like a null.
fn expected(options: &Options, table: &Table) -> Table {
    let blind = options.format() == Format::Text && options.null.is_empty();
    let value = |value: &Option<Vec<u8>>| value.clone().filter(|value| !(blind && value.is_empty()));
    table.iter().filter(|row| !row.is_empty()).map(|row| row.iter().map(value).collect()).collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_and_kept(options in any_options(), table in table(), cuts in vec(1..9_usize, 1..4)) {
        let (columns, stream) = (table.first().map_or(0, Vec::len), written(&options, &table));
        let rows = Rows::new(options.clone(), columns, MOST);
        let (result, out, found) = pass(rows, &stream, &cuts, keep);
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(&out, &stream);
        prop_assert_eq!(found, expected(&options, &table));
    }

    #[test]
    fn what_is_replaced_is_gone_and_the_rest_stays(
        options in any_options(),
        table in table(),
        new in value(),
        at in 0..4_usize,
        cuts in vec(1..9_usize, 1..4),
    ) {
        let (columns, stream) = (table.first().map_or(0, Vec::len), written(&options, &table));
        let change = |column: usize, _: Option<&[u8]>| match &new {
            _ if column != at => Change::Keep,
            Some(value) => Change::Value(value.clone()),
            None => Change::Null,
        };
        let (result, out, _) = pass(Rows::new(options.clone(), columns, MOST), &stream, &cuts, change);
        prop_assert_eq!(result, Ok(()));
        let mut replaced = table;
        replaced.iter_mut().filter_map(|row| row.get_mut(at)).for_each(|value| value.clone_from(&new));
        prop_assert_eq!(read(&options, columns, &out), Ok(expected(&options, &replaced)));
        // Not a byte is other than a server would have written.
        prop_assert_eq!(out, written(&options, &replaced));
    }

    #[test]
    fn any_bytes_are_rows_or_refused_however_cut(
        options in any_options(),
        bytes in vec(byte(), 0..60),
        begun in any::<bool>(),
        columns in 0..4_usize,
        cuts in vec(1..9_usize, 1..4),
        most in 1..40_usize,
    ) {
        let begin: &[u8] = if begun && options.format() == Format::Binary { b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0" } else { b"" };
        let stream = [begin, &bytes].concat();
        let (whole, out, table) = pass(Rows::new(options.clone(), columns, most), &stream, &[], keep);
        prop_assert!(stream.starts_with(&out));
        prop_assert!(whole.is_err() || out == stream);
        let (cut, out_cut, table_cut) = pass(Rows::new(options.clone(), columns, most), &stream, &cuts, keep);
        prop_assert_eq!((whole, &out, &table), (cut, &out_cut, &table_cut));
        // What could be read can be rewritten, row by row, and read again.
        let constant = |_: usize, _: Option<&[u8]>| Change::Value(b"x".to_vec());
        let (result, out, _) = pass(Rows::new(options.clone(), columns, MOST), &stream, &cuts, constant);
        if whole.is_ok() {
            prop_assert_eq!(result, Ok(()));
            let all = read(&options, columns, &out).unwrap();
            prop_assert_eq!(all.len(), table.len());
            prop_assert!(all.iter().flatten().all(|value| value.as_deref() == Some(b"x")));
        }
    }
}

#[test]
fn new_values_have_the_quotes_they_need() {
    let cases: [(&[u8], &str, &[u8]); 7] = [
        (b"a,\"b\"\n", "c", b"c,c\n"),
        (b"a,\"b\"\n", "", b"\"\",\"\"\n"),
        (b"a,\"b\"\n", "\"", b"\"\"\"\",\"\"\"\"\n"),
        (b",b\n", "c\n", b"\"c\n\",\"c\n\"\n"),
        (b"a,b\r\n", "\r", b"\"\r\",\"\r\"\r\n"),
        (b"a,b\n\\.\n", "\\.", b"\"\\.\",\"\\.\"\n\\.\n"),
        (b"a,b", "1,5", b"\"1,5\",\"1,5\""),
    ];
    for (stream, new, expected) in cases {
        let change = |_: usize, _: Option<&[u8]>| Change::Value(new.as_bytes().to_vec());
        let (result, out, _) = pass(Rows::new(Options::new(Format::Csv), 2, MOST), stream, &[], change);
        assert_eq!((result, out.as_slice()), (Ok(()), expected), "{new:?}");
    }
    let forced =
        Options::from_pairs("UTF8", [("format", Argument::Text("csv")), ("force_quote", Argument::List)]).unwrap();
    let change =
        |column: usize, _: Option<&[u8]>| if column == 0 { Change::Value(b"x".to_vec()) } else { Change::Null };
    let (result, out, _) = pass(Rows::new(forced, 3, MOST), b"a,\"b\",\n", &[], change);
    assert_eq!((result, out.as_slice()), (Ok(()), &b"\"x\",,\n"[..]));
}

#[test]
fn new_values_are_escaped_and_no_nulls() {
    for (pairs, new, expected) in [
        (&[][..], "a\tb\\\n\r\u{8}\u{b}\u{c}\u{1}", "a\\tb\\\\\\n\\r\\b\\v\\f\u{1}"),
        (&[("delimiter", "|")], "a|\t", "a\\|\\t"),
        (&[("null", "nil")], "nil", "\\156il"),
        (&[("null", "nil")], "nils", "nils"),
        (&[("null", "")], "", ""),
        (&[("null", "")], "a", "a"),
    ] {
        let change = |_: usize, _: Option<&[u8]>| Change::Value(new.as_bytes().to_vec());
        let (result, out, _) = pass(Rows::new(options(pairs), 1, MOST), b"old\n", &[], change);
        assert_eq!(
            (result, out.escape_ascii().to_string()),
            (Ok(()), format!("{}\\n", expected.as_bytes().escape_ascii()))
        );
    }
    for options in [Options::new(Format::Text), Options::new(Format::Csv)] {
        assert_eq!(options.put(Some(b"a\0"), &mut Vec::new()), Err(CopyError::Value));
    }
}

/// `SET client_encoding = 'SJIS'; COPY (SELECT U&'\8868', 'secret', U&'\30DD') TO STDOUT (DELIMITER '|')`, in one query, as
/// PostgreSQL 15 answers it: read as UTF-8, the secret would be in the first column.
#[test]
fn letters_of_another_encoding_do_not_shift_columns() {
    let stream = b"\x95\\|secret|\x83|\n";
    let pairs = [("delimiter", Argument::Text("|"))];
    let (result, out, table) =
        pass(Rows::new(Options::from_pairs("UTF8", pairs).unwrap(), 3, MOST), stream, &[1], keep);
    assert_eq!((result, out.as_slice(), table.len()), (Err(CopyError::Encoding), &b""[..], 0));
    let (result, ..) = pass(Rows::new(Options::new(Format::Csv), 1, MOST), b"\"\xe9\"\n", &[], keep);
    assert_eq!(result, Err(CopyError::Encoding));
    let (result, _, table) = pass(Rows::new(Options::new(Format::Csv), 1, MOST), "zoé\n".as_bytes(), &[4], keep);
    assert_eq!((result, table), (Ok(()), vec![vec![Some("zoé".as_bytes().to_vec())]]));
}

#[test]
fn a_last_row_does_not_vanish() {
    for (stream, expected) in [(&b"a"[..], &b"\n"[..]), (b"a\r\nb", b"\r\n\r\n"), (b"a\rb", b"\r\r"), (b"a\n", b"\n")] {
        let (result, out, _) = pass(Rows::new(Options::new(Format::Csv), 1, MOST), stream, &[1], |_, _| Change::Null);
        assert_eq!((result, out.as_slice()), (Ok(()), expected));
    }
}

#[test]
fn a_header_is_nobodys_value() {
    for (options, stream) in [
        (options(&[("header", "true")]), b"secret\tb\n1\t2\n".as_slice()),
        (options(&[("format", "csv"), ("header", "true")]), b"secret,b\n1,2\n"),
    ] {
        let (result, out, table) = pass(Rows::new(options, 2, MOST), stream, &[2], |_, _| Change::Value(b"x".to_vec()));
        assert_eq!((result, table.len()), (Ok(()), 1));
        assert!(out.starts_with(&stream[..9]) && out.ends_with(b"x\n"));
    }
}
