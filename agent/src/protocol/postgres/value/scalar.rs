//! Types of one value: which function reads and writes which.

use super::super::wire::{Oid, Reader};
use super::{Bad, Result, ValueError, geometry, network, number, numeric, search, time, whole};

/// Whether a type is one of these.
pub(super) fn is_known(oid: Oid) -> bool {
    matches!(
        oid,
        16..=21
            | 23..=29
            | 114
            | 142
            | 194
            | 600..=604
            | 628
            | 650
            | 700
            | 701
            | 705
            | 718
            | 774
            | 790
            | 829
            | 869
            | 1033
            | 1042
            | 1043
            | 1082
            | 1083
            | 1114
            | 1184
            | 1186
            | 1266
            | 1560
            | 1562
            | 1700
            | 1790
            | 2202..=2206
            | 2275
            | 2278
            | 2950
            | 2970
            | 3220
            | 3614
            | 3615
            | 3642
            | 3734
            | 3769
            | 3802
            | 4072
            | 4089
            | 4096
            | 4191
            | 5038
            | 5069
    )
}

pub(super) fn read(oid: Oid, binary: &[u8]) -> Result<String> {
    match oid {
        // Two of these, `aclitem` and `gtsvector`, have no binary form; their text is kept as it is.
        19 | 25 | 114 | 142 | 194 | 705 | 1033 | 1042 | 1043 | 1790 | 2275 | 3642 => text(binary),
        // Versions of a form that has had one so far.
        3802 | 4072 => match binary.split_first() {
            Some((1, rest)) => text(rest),
            Some(_) | None => Err(ValueError::Binary(oid)),
        },
        17 => Ok(format!("\\x{}", hex(binary))),
        oid => whole(oid, binary, |reader| read_fixed(oid, reader)),
    }
}

fn read_fixed(oid: Oid, reader: &mut Reader<'_>) -> Result<String, Bad> {
    match oid {
        16 => number::read_bool(reader),
        18 => number::read_char(reader),
        20 => Ok(i64::from_be_bytes(reader.array()?).to_string()),
        21 => Ok(reader.i16()?.to_string()),
        23 => Ok(reader.i32()?.to_string()),
        // Names of what these number are the server's to know.
        24 | 26 | 28 | 29 | 2202..=2206 | 3734 | 3769 | 4089 | 4096 | 4191 => Ok(reader.u32()?.to_string()),
        27 => Ok(format!("({},{})", reader.u32()?, reader.u16()?)),
        700 => Ok(number::float4(f32::from_be_bytes(reader.array()?))),
        701 => Ok(number::float8(f64::from_be_bytes(reader.array()?))),
        790 => Ok(number::money(i64::from_be_bytes(reader.array()?))),
        1700 => numeric::read(reader),
        1082 => time::read_date(reader),
        1083 => time::read_time(reader),
        1266 => time::read_timetz(reader),
        1114 => time::read_timestamp(reader, ""),
        1184 => time::read_timestamp(reader, "+00"),
        1186 => time::read_interval(reader),
        650 | 869 => network::read_inet(reader, oid == 650),
        829 => Ok(network::mac(reader.array::<6>()?)),
        774 => Ok(network::mac(reader.array::<8>()?)),
        600..=604 | 628 | 718 => geometry::read(oid, reader),
        1560 | 1562 => read_bits(reader),
        2278 => Ok(String::new()),
        2950 => Ok(uuid(reader.array()?)),
        2970 | 5038 => read_snapshot(reader),
        3614 => search::read_vector(reader),
        3615 => search::read_query(reader),
        3220 => Ok(format!("{:X}/{:X}", reader.u32()?, reader.u32()?)),
        5069 => Ok(u64::from_be_bytes(reader.array()?).to_string()),
        _ => Err(Bad),
    }
}

pub(super) fn write(oid: Oid, text: &str) -> Result<Vec<u8>> {
    let written = match oid {
        19 | 25 | 114 | 142 | 194 | 705 | 1033 | 1042 | 1043 | 1790 | 2275 | 3642 => Some(text.as_bytes().to_vec()),
        3802 | 4072 => Some([&[1], text.as_bytes()].concat()),
        17 => text.strip_prefix("\\x").and_then(unhex),
        16 => number::write_bool(text),
        18 => number::write_char(text),
        20 => text.parse().ok().map(|n: i64| n.to_be_bytes().to_vec()),
        21 => text.parse().ok().map(|n: i16| n.to_be_bytes().to_vec()),
        23 => text.parse().ok().map(|n: i32| n.to_be_bytes().to_vec()),
        24 | 26 | 28 | 29 | 2202..=2206 | 3734 | 3769 | 4089 | 4096 | 4191 => {
            text.parse().ok().map(|n: u32| n.to_be_bytes().to_vec())
        }
        27 => write_tid(text),
        700 => number::parse_float4(text).map(|n| n.to_be_bytes().to_vec()),
        701 => number::parse_float8(text).map(|n| n.to_be_bytes().to_vec()),
        790 => number::parse_money(text).map(|n| n.to_be_bytes().to_vec()),
        1700 => numeric::write(text),
        1082 => time::write_date(text),
        1083 => time::write_time(text),
        1266 => time::write_timetz(text),
        1114 => time::write_timestamp(text, false),
        1184 => time::write_timestamp(text, true),
        1186 => time::write_interval(text),
        650 | 869 => network::write_inet(text, oid == 650),
        829 => network::parse_mac::<6>(text).map(|mac| mac.to_vec()),
        774 => network::parse_mac::<8>(text).map(|mac| mac.to_vec()),
        600..=604 | 628 | 718 => geometry::write(oid, text),
        1560 | 1562 => write_bits(text),
        2278 => text.is_empty().then(Vec::new),
        2950 => write_uuid(text),
        2970 | 5038 => write_snapshot(text),
        3614 => search::write_vector(text),
        3615 => search::write_query(text),
        3220 => write_lsn(text),
        5069 => text.parse().ok().map(|n: u64| n.to_be_bytes().to_vec()),
        _ => return Err(ValueError::Unknown(oid)),
    };
    written.ok_or(ValueError::Text(oid))
}

fn text(binary: &[u8]) -> Result<String> {
    String::from_utf8(binary.to_vec()).map_err(|_| ValueError::Encoding)
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| DIGITS.get(usize::from(value & 15)).map_or('0', |digit| char::from(*digit));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn uuid(bytes: [u8; 16]) -> String {
    let mut text = hex(&bytes);
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    text
}

fn write_uuid(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    unhex(&text.replace('-', "")).filter(|bytes| bytes.len() == 16)
}

fn read_bits(reader: &mut Reader<'_>) -> Result<String, Bad> {
    let count = usize::try_from(reader.i32()?).map_err(|_| Bad)?;
    let bytes = reader.take(count.div_ceil(8))?;
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| if byte >> bit & 1 == 1 { '1' } else { '0' }));
    Ok(bits.take(count).collect())
}

fn write_bits(text: &str) -> Option<Vec<u8>> {
    let count = i32::try_from(text.len()).ok()?;
    let mut out = count.to_be_bytes().to_vec();
    for chunk in text.as_bytes().chunks(8) {
        let mut byte = 0;
        for (place, bit) in chunk.iter().enumerate() {
            match bit {
                b'0' => {}
                b'1' => byte |= 0x80 >> place,
                _ => return None,
            }
        }
        out.push(byte);
    }
    Some(out)
}

fn write_tid(text: &str) -> Option<Vec<u8>> {
    let (block, offset) = text.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    let (block, offset): (u32, u16) = (block.parse().ok()?, offset.parse().ok()?);
    Some([&block.to_be_bytes()[..], &offset.to_be_bytes()].concat())
}

fn write_lsn(text: &str) -> Option<Vec<u8>> {
    let (high, low) = text.split_once('/')?;
    let half = |text| u32::from_str_radix(text, 16).ok();
    Some([half(high)?.to_be_bytes(), half(low)?.to_be_bytes()].concat())
}

/// `pg_snapshot` and `txid_snapshot` (`xid8funcs.c`): the first transaction in progress, the first to come, and which between.
fn read_snapshot(reader: &mut Reader<'_>) -> Result<String, Bad> {
    let count = reader.u32()?;
    let mut next = || reader.array().map(|bytes| u64::from_be_bytes(bytes).to_string());
    let ends = format!("{}:{}:", next()?, next()?);
    let mut between = Vec::new();
    for _ in 0..count {
        between.push(next()?);
    }
    Ok(ends + &between.join(","))
}

fn write_snapshot(text: &str) -> Option<Vec<u8>> {
    let (first, rest) = text.split_once(':')?;
    let (end, between) = rest.split_once(':')?;
    let between = between.split(',').filter(|_| !between.is_empty());
    let numbers: Option<Vec<u64>> = [first, end].into_iter().chain(between).map(|text| text.parse().ok()).collect();
    let numbers = numbers?;
    let ordered = |pair: &[u64]| matches!(pair, [one, next] if one < next);
    let (ends, between) = numbers.split_at_checked(2)?;
    let [first, end] = ends else { return None };
    let inside = between.iter().all(|number| (first..end).contains(&number));
    if *first == 0 || first > end || !inside || !between.windows(2).all(ordered) {
        return None;
    }
    let count = u32::try_from(between.len()).ok()?.to_be_bytes();
    Some([&count[..], &numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>()].concat())
}
