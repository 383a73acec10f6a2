//! Rows that are read, rewritten and written.

mod cases;
mod options;
mod recorded;
mod rewriting;

use super::options::{Argument, Options};
use super::{Change, CopyError, Rows};

/// Longest row in these tests.
const MOST: usize = 1000;

/// All rows of a stream, null as `None`.
type Table = Vec<Vec<Option<Vec<u8>>>>;

/// In an encoding where every byte is good.
fn options(pairs: &[(&str, &str)]) -> Options {
    let pairs = [&[("encoding", "SQL_ASCII")], pairs].concat();
    Options::from_pairs("UTF8", pairs.iter().map(|(name, text)| (*name, Argument::Text(text)))).unwrap()
}

/// Reads a stream that arrives in pieces of these lengths, over and over; what is said of each value is done. The result is
/// what goes on, and what was seen.
fn pass(
    mut rows: Rows,
    stream: &[u8],
    cuts: &[usize],
    change: impl Fn(usize, Option<&[u8]>) -> Change,
) -> (Result<(), CopyError>, Vec<u8>, Table) {
    let (mut out, mut table) = (Vec::new(), Table::new());
    let mut seen = |column: usize, value: Option<&[u8]>| {
        if column == 0 {
            table.push(Vec::new());
        }
        let row = table.last_mut().unwrap();
        assert_eq!(row.len(), column);
        row.push(value.map(<[u8]>::to_vec));
        change(column, value)
    };
    let mut cuts = cuts.iter().copied().filter(|cut| *cut > 0).cycle();
    let (mut rest, mut result) = (stream, Ok(()));
    while result.is_ok() && !rest.is_empty() {
        let (arrived, more) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
        rest = more;
        result = rows.push(arrived, &mut out, &mut seen);
        assert!(rows.held() <= MOST);
    }
    let result = result.and_then(|()| rows.finish(&mut out, &mut seen));
    if let Err(error) = result {
        assert_ne!(error, CopyError::GivenUp);
        let len = out.len();
        assert_eq!(rows.push(b"", &mut out, &mut seen), Err(CopyError::GivenUp));
        assert_eq!((rows.finish(&mut out, &mut seen), out.len()), (Err(CopyError::GivenUp), len));
    }
    (result, out, table)
}

fn keep(_: usize, _: Option<&[u8]>) -> Change {
    Change::Keep
}

/// What one stream holds.
fn read(options: &Options, columns: usize, stream: &[u8]) -> Result<Table, CopyError> {
    let (result, out, table) = pass(Rows::new(options.clone(), columns, MOST), stream, &[], keep);
    result.map(|()| {
        assert_eq!(out, stream, "what is kept is the same");
        table
    })
}
