//! Fields of CSV: delimiters and quotes.
//!
//! SQL reference: "COPY", section "CSV Format"; `CopyReadAttributesCSV`, `CopyAttributeOutCSV`.

use memchr::{memchr2, memchr3};

use super::CopyError;
use super::options::Options;
use super::rows::Field;

/// The field that begins here. Its value is in the line, or in `scratch` if it has quotes.
pub(super) fn field<'a>(
    options: &Options,
    line: &'a [u8],
    at: usize,
    scratch: &'a mut Vec<u8>,
) -> Result<Field<'a>, CopyError> {
    let (mut end, mut quoted, mut next) = (at, false, None);
    scratch.clear();
    loop {
        let rest = line.get(end..).unwrap_or_default();
        let found = memchr2(options.delimiter, options.quote, rest);
        let (plain, special) = rest.split_at_checked(found.unwrap_or(rest.len())).unwrap_or_default();
        end += plain.len();
        if quoted {
            scratch.extend_from_slice(plain);
        }
        let Some((byte, inside)) = special.split_first() else { break };
        if *byte == options.delimiter {
            next = Some(end + 1);
            break;
        }
        if !quoted {
            // Quotes may begin in the middle.
            scratch.extend_from_slice(line.get(at..end).unwrap_or_default());
            quoted = true;
        }
        end += 1 + unquote(options, inside, scratch)?;
    }
    let raw = line.get(at..end).unwrap_or_default();
    let value = match quoted {
        true => Some(&**scratch),
        false if raw == options.null => None,
        false => Some(raw),
    };
    Ok(Field { end, next, value })
}

/// Reads what is in quotes, up to and with the closing one; how much that was.
fn unquote(options: &Options, inside: &[u8], value: &mut Vec<u8>) -> Result<usize, CopyError> {
    let (quote, escape) = (options.quote, options.escape);
    let mut at = 0;
    loop {
        let rest = inside.get(at..).unwrap_or_default();
        let found = memchr2(quote, escape, rest).ok_or(CopyError::Quote)?;
        let (plain, special) = rest.split_at_checked(found).unwrap_or_default();
        value.extend_from_slice(plain);
        at += found;
        match special {
            [first, next, ..] if *first == escape && [quote, escape].contains(next) => {
                value.push(*next);
                at += 2;
            }
            [first, ..] if *first == quote => return Ok(at + 1),
            // An escape before anything else is itself.
            _ => {
                value.push(escape);
                at += 1;
            }
        }
    }
}

/// Appends a field that reads as this value, in quotes if it needs them or may have to have them (`FORCE_QUOTE`). Whether
/// what it replaces had quotes does not matter: that would tell of it.
pub(super) fn put(options: &Options, value: &[u8], out: &mut Vec<u8>) {
    let quoted = options.force_quote
        || value == options.null
        || value == b"\\."
        || value.contains(&options.delimiter)
        || memchr3(options.quote, b'\r', b'\n', value).is_some();
    if !quoted {
        out.extend_from_slice(value);
        return;
    }
    out.push(options.quote);
    for byte in value {
        if [options.quote, options.escape].contains(byte) {
            out.push(options.escape);
        }
        out.push(*byte);
    }
    out.push(options.quote);
}
