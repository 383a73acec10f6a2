//! Fields of text: delimiters and backslashes.
//!
//! SQL reference: "COPY", section "Text Format"; `CopyReadAttributesText`, `CopyAttributeOutText`.

use memchr::memchr2;

use super::options::Options;
use super::rows::Field;

/// The field that begins here. Its value is in the line, or in `scratch` if it has backslashes.
pub(super) fn field<'a>(options: &Options, line: &'a [u8], at: usize, scratch: &'a mut Vec<u8>) -> Field<'a> {
    let (mut end, mut plain, mut next) = (at, at, None);
    scratch.clear();
    loop {
        let rest = line.get(end..).unwrap_or_default();
        let Some(found) = memchr2(options.delimiter, b'\\', rest) else {
            end = line.len();
            break;
        };
        end += found;
        let Some((b'\\', escaped)) = line.get(end..).and_then(<[u8]>::split_first) else {
            next = Some(end + 1);
            break;
        };
        scratch.extend_from_slice(line.get(plain..end).unwrap_or_default());
        // The digits of an escape belong to it, even if one is the delimiter.
        let (byte, len) = unescape(escaped);
        scratch.extend(byte);
        end += 1 + len;
        plain = end;
    }
    let raw = line.get(at..end).unwrap_or_default();
    let value = if raw == options.null {
        None
    } else if plain == at {
        Some(raw)
    } else {
        scratch.extend_from_slice(line.get(plain..end).unwrap_or_default());
        Some(&**scratch)
    };
    Field { end, next, value }
}

/// The byte that stands for what follows a backslash, and how much of that does. At the end of the data it is nothing.
fn unescape(rest: &[u8]) -> (Option<u8>, usize) {
    let Some(first) = rest.first().copied() else { return (None, 0) };
    let digits = |from: usize, most: usize, radix: u32| {
        let found = rest.iter().skip(from).take(most).map_while(move |byte| char::from(*byte).to_digit(radix));
        found.fold((0_u32, 0_usize), |(value, count), digit| (value * radix + digit, count + 1))
    };
    // Of an octal number past 255 the server keeps the low byte.
    let low = |value: u32| value.to_le_bytes().first().copied();
    match first {
        b'0'..=b'7' => {
            let (value, count) = digits(0, 3, 8);
            (low(value), count)
        }
        b'x' => match digits(1, 2, 16) {
            (_, 0) => (Some(b'x'), 1),
            (value, count) => (low(value), 1 + count),
        },
        b'b' => (Some(0x08), 1),
        b'f' => (Some(0x0C), 1),
        b'n' => (Some(b'\n'), 1),
        b'r' => (Some(b'\r'), 1),
        b't' => (Some(b'\t'), 1),
        b'v' => (Some(0x0B), 1),
        other => (Some(other), 1),
    }
}

/// What a field that is not null and reads so would hold; `None` if it is no field.
pub(super) fn unescaped(options: &Options, raw: &[u8]) -> Option<Vec<u8>> {
    let nothing = Options { null: vec![options.delimiter], ..options.clone() };
    let mut scratch = Vec::new();
    let field = field(&nothing, raw, 0, &mut scratch);
    if field.next.is_some() { None } else { field.value.map(<[u8]>::to_vec) }
}

/// Appends a field that is not null, as the server writes it.
pub(super) fn escape(options: &Options, value: &[u8], out: &mut Vec<u8>) {
    for byte in value {
        let letter = match byte {
            0x08 => b'b',
            0x0C => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0B => b'v',
            b'\\' => b'\\',
            other if *other == options.delimiter => *other,
            other => {
                out.push(*other);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
}

/// Appends a field that reads as this value. Where null is written as nothing, the empty text is null.
pub(super) fn put(options: &Options, value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    escape(options, value, out);
    // What would be taken for null has its first byte in octal.
    if out.get(start..) == Some(&*options.null)
        && let Some((first, rest)) = value.split_first()
    {
        out.truncate(start);
        out.extend_from_slice(format!("\\{first:03o}").as_bytes());
        escape(options, rest, out);
    }
}
