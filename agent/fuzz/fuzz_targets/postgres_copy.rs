//! Rows of a COPY, with options of strangers: what is kept is the same however it was cut, a column that is replaced is
//! gone, and what is written reads as it was meant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sallyport::protocol::postgres::copy::{
    Change, CopyError, Options, Rows,
    options::{Argument, Format},
};

const MOST: usize = 1 << 16;

/// What a value was, or has become.
type Cell = Option<Vec<u8>>;

/// Everything that happens to a stream, and what goes on of it.
fn pass(
    mut rows: Rows,
    stream: &[u8],
    step: usize,
    change: &mut dyn FnMut(usize, Option<&[u8]>) -> Change,
) -> (Result<(), CopyError>, Vec<u8>, Vec<(usize, Cell)>) {
    let (mut out, mut seen) = (Vec::new(), Vec::new());
    let mut each = |column: usize, value: Option<&[u8]>| {
        seen.push((column, value.map(<[u8]>::to_vec)));
        change(column, value)
    };
    let pushed = stream.chunks(step.max(1)).try_for_each(|data| rows.push(data, &mut out, &mut each));
    let result = pushed.and_then(|()| rows.finish(&mut out, &mut each));
    (result, out, seen)
}

fn chosen(words: [&str; 4], special: [u8; 3]) -> Option<Options> {
    let special = special.map(|byte| char::from(byte).to_string());
    let names = ["delimiter", "quote", "escape"];
    let mut pairs = vec![
        ("header", Argument::Text(words[2])),
        ("format", Argument::Text(words[0])),
        ("encoding", Argument::Text(words[3])),
    ];
    // What is zero is not given.
    pairs.extend(names.iter().zip(&special).filter(|(_, text)| *text != "\0").map(|(n, t)| (*n, Argument::Text(t))));
    if words[1] != "-" {
        pairs.push(("null", Argument::Text(words[1])));
    }
    Options::from_pairs("UTF8", pairs).ok()
}

fuzz_target!(|input: (u8, u8, [u8; 3], &str, u8, u8, &[u8])| {
    let (format, header, special, null, columns, step, stream) = input;
    let format = ["text", "csv", "binary"][usize::from(format % 3)];
    let Some(options) = chosen(
        [format, null, ["off", "on"][usize::from(header % 2)], ["UTF8", "SQL_ASCII"][usize::from(header / 2 % 2)]],
        special,
    ) else {
        return;
    };
    let (columns, step) = (usize::from(columns % 5), usize::from(step));
    let rows = || Rows::new(options.clone(), columns, MOST);

    let kept = pass(rows(), stream, step, &mut |_, _| Change::Keep);
    assert!(stream.starts_with(&kept.1));
    assert!(kept.0.is_err() || kept.1 == stream);
    assert_eq!(kept, pass(rows(), stream, stream.len(), &mut |_, _| Change::Keep));
    if kept.0.is_err() || columns == 0 {
        return;
    }
    let at = step % columns;
    for new in [Some(&b"x"[..]), Some(b"\\.\"',\n"), None] {
        let mut change = |column, _: Option<&[u8]>| match new {
            _ if column != at => Change::Keep,
            Some(new) => Change::Value(new.to_vec()),
            None => Change::Null,
        };
        let (result, out, _) = pass(rows(), stream, step, &mut change);
        assert_eq!(result, Ok(()));
        // Whoever reads what went on finds the new value in this column, the old ones in all others, and nothing else.
        let again = pass(Rows::new(options.clone(), columns, usize::MAX), &out, step, &mut |_, _| Change::Keep);
        assert_eq!(again.0, Ok(()));
        assert_eq!(again.1, out);
        let expected: Vec<(usize, Cell)> = kept
            .2
            .iter()
            .cloned()
            .map(|(column, old)| match column == at {
                true => (column, new.map(<[u8]>::to_vec)),
                false => (column, old),
            })
            .collect();
        assert_eq!(again.2, expected);
        gone(&options, stream, (at, columns), &out);
    }
});

/// No byte of the old values is in what went on: streams whose columns differ only there end up as the same bytes.
fn gone(options: &Options, stream: &[u8], (at, columns): (usize, usize), out: &[u8]) {
    let quiet = |stream: &[u8]| {
        let mut null = |column, _: Option<&[u8]>| if column == at { Change::Null } else { Change::Keep };
        pass(Rows::new(options.clone(), columns, usize::MAX), stream, stream.len(), &mut null).1
    };
    let mut other = |column, old: Option<&[u8]>| match old {
        Some(old) if column == at => Change::Value(vec![b'a'; old.len() % 7 + 1]),
        Some(_) | None => Change::Keep,
    };
    let (_, changed, _) = pass(Rows::new(options.clone(), columns, MOST), stream, stream.len(), &mut other);
    assert_eq!(quiet(&changed), quiet(stream));
    assert_eq!(quiet(out), quiet(stream));
    assert!(options.format() != Format::Binary || out.starts_with(b"PGCOPY"));
}
