//! What a COPY's options mean, and which nobody takes.

use super::super::options::{Argument, Format, OptionError, Options};
use super::super::{CopyError, CopyResponse};
use super::options;
use crate::protocol::postgres::copy::Direction;
use crate::protocol::postgres::wire;

#[test]
fn defaults_are_those_of_the_format() {
    let text = options(&[]);
    assert_eq!((text.format(), text.delimiter, &*text.null, text.header()), (Format::Text, b'\t', &b"\\N"[..], false));
    let csv = options(&[("format", "csv")]);
    assert_eq!((csv.delimiter, &*csv.null, csv.quote, csv.escape), (b',', &b""[..], b'"', b'"'));
    assert_eq!(options(&[("format", "csv"), ("quote", "'")]).escape, b'\'');
    let binary = Options::from_pairs("UTF8", [("format", Argument::Text("binary"))]);
    assert_eq!(binary, Ok(Options::new(Format::Binary)));
}

#[test]
fn a_header_has_many_spellings() {
    for (text, expected) in
        [("true", true), ("ON", true), ("1", true), ("Match", true), ("off", false), ("0", false), ("False", false)]
    {
        assert_eq!(options(&[("header", text)]).header(), expected, "{text}");
    }
    let absent = Options::from_pairs("UTF8", [("header", Argument::Absent)]);
    assert!(absent.unwrap().header());
}

#[test]
fn what_says_nothing_about_rows_is_taken() {
    let pairs = [
        ("format", Argument::Text("csv")),
        ("force_quote", Argument::Star),
        ("force_not_null", Argument::List),
        ("force_null", Argument::Star),
        ("freeze", Argument::Absent),
        ("on_error", Argument::Text("ignore")),
        ("log_verbosity", Argument::Text("verbose")),
        ("reject_limit", Argument::Text("3")),
        ("default", Argument::Text("\\D")),
        ("encoding", Argument::Text("LATIN1")),
    ];
    let expected = Options { force_quote: true, utf8: false, ..Options::new(Format::Csv) };
    assert_eq!(Options::from_pairs("SJIS", pairs), Ok(expected));
}

#[test]
fn what_the_server_refuses_is_refused() {
    use OptionError::{Argument as Bad, Conflict, Twice, Unknown};
    let cases: [(&[(&str, &str)], OptionError); 30] = [
        (&[("oids", "true")], Unknown),
        (&[("FORMAT", "csv")], Unknown),
        (&[("format", "json")], Bad("format")),
        (&[("format", "CSV")], Bad("format")),
        (&[("format", "csv"), ("format", "csv")], Twice("format")),
        (&[("header", "maybe")], Bad("header")),
        (&[("header", "2")], Bad("header")),
        (&[("delimiter", "")], Bad("delimiter")),
        (&[("delimiter", "||")], Bad("delimiter")),
        (&[("delimiter", "é")], Bad("delimiter")),
        (&[("delimiter", "\n")], Bad("delimiter")),
        (&[("delimiter", "a")], Conflict("delimiter")),
        (&[("delimiter", "\\")], Conflict("delimiter")),
        (&[("delimiter", "7")], Conflict("delimiter")),
        (&[("null", "a\nb")], Bad("null")),
        (&[("null", "a\rb")], Bad("null")),
        (&[("null", "a\tb")], Conflict("null")),
        (&[("null", "é"), ("encoding", "latin1")], Conflict("null")),
        (&[("quote", "'")], Conflict("quote")),
        (&[("escape", "'")], Conflict("escape")),
        (&[("force_quote", "a")], Bad("force_quote")),
        (&[("format", "csv"), ("delimiter", "\"")], Conflict("delimiter")),
        (&[("format", "csv"), ("null", "a,")], Conflict("null")),
        (&[("format", "csv"), ("null", "a\"")], Conflict("null")),
        (&[("format", "csv"), ("quote", "\r")], Bad("quote")),
        (&[("format", "csv"), ("escape", "ab")], Bad("escape")),
        (&[("format", "binary"), ("header", "true")], Conflict("header")),
        (&[("format", "binary"), ("null", "")], Conflict("null")),
        (&[("format", "binary"), ("delimiter", ",")], Conflict("delimiter")),
        (&[("format", "binary"), ("quote", "'")], Conflict("quote")),
    ];
    for (pairs, expected) in cases {
        let found = Options::from_pairs("UTF8", pairs.iter().map(|(name, text)| (*name, Argument::Text(text))));
        assert_eq!(found, Err(expected), "{pairs:?}");
    }
    assert_eq!(Options::from_pairs("UTF8", [("force_quote", Argument::Star)]), Err(Conflict("force_quote")));
    assert_eq!(Options::from_pairs("UTF8", [("delimiter", Argument::Absent)]), Err(Bad("delimiter")));
}

#[test]
fn a_null_does_not_swallow_what_follows() {
    let cases: [(&[(&str, &str)], &str); 9] = [
        // Two columns would become one, and two such rows one of as many columns.
        (&[("null", "\\")], "null"),
        (&[("null", "a\\\\\\")], "null"),
        (&[("null", "\\x"), ("delimiter", "A")], "null"),
        (&[("null", "\\x4"), ("delimiter", "A")], "null"),
        (&[("null", "\\.")], "null"),
        (&[("null", "a\\.b")], "null"),
        (&[("format", "csv"), ("null", "\\.")], "null"),
        (&[("format", "csv"), ("delimiter", ".")], "delimiter"),
        (&[("format", "csv"), ("quote", "\\")], "quote"),
    ];
    for (pairs, name) in cases {
        let found = Options::from_pairs("UTF8", pairs.iter().map(|(name, text)| (*name, Argument::Text(text))));
        assert_eq!(found, Err(OptionError::Conflict(name)), "{pairs:?}");
    }
    for null in ["\\\\", "\\x", "\\1", "a\\b", "."] {
        options(&[("null", null)]);
    }
    options(&[("format", "csv"), ("null", "\\")]);
}

#[test]
fn letters_hide_no_delimiters() {
    for encoding in
        ["UTF8", "utf-8", "SQL_ASCII", "LATIN9", "WIN1252", "Windows-1250", "KOI8R", "EUC_JP", "ISO_8859_5", "win866"]
    {
        assert!(Options::from_pairs("SJIS", [("encoding", Argument::Text(encoding))]).is_ok(), "{encoding}");
        // The session's may have changed a moment ago; lines show only that they are UTF-8.
        assert_eq!(Options::from_pairs(encoding, []).is_ok(), encoding.to_lowercase().starts_with("utf"), "{encoding}");
    }
    for encoding in
        ["SJIS", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004", "Windows-932", "win936", "", "utf16"]
    {
        assert_eq!(Options::from_pairs(encoding, []), Err(OptionError::Encoding), "{encoding}");
        let named = Options::from_pairs("UTF8", [("encoding", Argument::Text(encoding))]);
        assert_eq!(named, Err(OptionError::Encoding), "{encoding}");
        assert!(Options::from_pairs(encoding, [("format", Argument::Text("binary"))]).is_ok(), "{encoding}");
    }
}

#[test]
fn a_null_may_look_like_a_value() {
    let cases: [(&[(&str, &str)], bool); 7] = [
        (&[], false),
        (&[("null", "")], false),
        (&[("null", "nil")], true),
        (&[("null", "\\\\N")], true),
        (&[("null", "\\t")], true),
        (&[("null", "\\x41")], false),
        (&[("format", "csv"), ("null", "nil")], false),
    ];
    for (pairs, expected) in cases {
        assert_eq!(options(pairs).null_hides_a_value(), expected, "{pairs:?}");
    }
}

#[test]
fn the_server_has_to_agree() {
    for (format, told, good) in [
        (Format::Text, wire::Format::Text, true),
        (Format::Csv, wire::Format::Text, true),
        (Format::Binary, wire::Format::Binary, true),
        (Format::Csv, wire::Format::Binary, false),
        (Format::Binary, wire::Format::Text, false),
    ] {
        let response = CopyResponse { direction: Direction::Out, format: told, columns: wire::Formats::default() };
        let expected = if good { Ok(()) } else { Err(CopyError::Disagreement) };
        assert_eq!(Options::new(format).agree(&response), expected);
    }
}

#[test]
fn formats_of_columns_agree_with_the_whole() {
    for (body, good) in [
        (&b"\0\0\x02\0\0\0\0"[..], true),
        (b"\x01\0\x01\0\x01", true),
        (b"\x01\0\x00", true),
        (b"\0\0\x01\0\x01", false),
        (b"\x02\0\0", false),
        (b"\0\0\x01\0", false),
    ] {
        assert_eq!(CopyResponse::decode(Direction::In, body).is_ok(), good, "{body:?}");
    }
}
