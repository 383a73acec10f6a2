//! Points and what is made of them (`geo_ops.c`).

use super::super::wire::{Oid, Reader};
use super::number::{float8, parse_float8};
use super::{Bad, Result};

const POINT: Oid = 600;
const LSEG: Oid = 601;
const PATH: Oid = 602;
const BOX: Oid = 603;
const POLYGON: Oid = 604;
const LINE: Oid = 628;
const CIRCLE: Oid = 718;

fn coordinate(reader: &mut Reader<'_>) -> Result<String, Bad> {
    Ok(float8(f64::from_be_bytes(reader.array()?)))
}

fn point(reader: &mut Reader<'_>) -> Result<String, Bad> {
    Ok(format!("({},{})", coordinate(reader)?, coordinate(reader)?))
}

/// A count and so many points.
fn points(reader: &mut Reader<'_>) -> Result<String, Bad> {
    let count = usize::try_from(reader.i32()?).map_err(|_| Bad)?;
    let mut text = String::new();
    for place in 0..count {
        text.push_str(if place > 0 { "," } else { "" });
        text.push_str(&point(reader)?);
    }
    Ok(text)
}

pub(super) fn read(oid: Oid, reader: &mut Reader<'_>) -> Result<String, Bad> {
    Ok(match oid {
        POINT => point(reader)?,
        LSEG => format!("[{},{}]", point(reader)?, point(reader)?),
        BOX => format!("{},{}", point(reader)?, point(reader)?),
        PATH if reader.u8()? == 0 => format!("[{}]", points(reader)?),
        PATH | POLYGON => format!("({})", points(reader)?),
        LINE => format!("{{{},{},{}}}", coordinate(reader)?, coordinate(reader)?, coordinate(reader)?),
        CIRCLE => format!("<{},{}>", point(reader)?, coordinate(reader)?),
        _ => return Err(Bad),
    })
}

pub(super) fn write(oid: Oid, text: &str) -> Option<Vec<u8>> {
    let numbers = numbers(text)?;
    let count = i32::try_from(numbers.len() / 2).ok()?.to_be_bytes();
    let (prefix, expected) = match oid {
        POINT => (vec![], 2),
        LSEG | BOX => (vec![], 4),
        LINE | CIRCLE => (vec![], 3),
        PATH => ([&[u8::from(!text.starts_with('['))][..], &count].concat(), numbers.len() / 2 * 2),
        POLYGON => (count.to_vec(), numbers.len() / 2 * 2),
        _ => return None,
    };
    let bytes = numbers.iter().flat_map(|number| number.to_be_bytes());
    (numbers.len() == expected && !numbers.is_empty()).then(|| prefix.into_iter().chain(bytes).collect())
}

/// Every number, whatever brackets stand between them.
fn numbers(text: &str) -> Option<Vec<f64>> {
    let brackets = ['(', ')', '[', ']', '{', '}', '<', '>'];
    text.split(',').map(|part| parse_float8(part.trim_matches(brackets))).collect()
}
