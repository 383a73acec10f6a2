//! Ranges (`rangetypes.c`), several of them (`multirangetypes.c`), and records (`rowtypes.c`).

use super::super::wire::{Oid, Reader, put_value};
use super::array::is_blank;
use super::{Bad, Result, ValueError, read, whole, write};

const EMPTY: u8 = 0x01;
const LOWER_INCLUDED: u8 = 0x02;
const UPPER_INCLUDED: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;

/// A text between brackets or parentheses, where quotes and backslashes are doubled.
fn quoted(text: &str, special: &[char]) -> String {
    if !text.is_empty() && !text.contains(|c| special.contains(&c) || is_blank(c)) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\""))
}

pub(super) fn read_range(oid: Oid, bound: Oid, binary: &[u8], nested: u8) -> Result<String> {
    let (flags, lower, upper) = whole(oid, binary, |reader| {
        let flags = reader.u8()?;
        let mut one = |infinite| -> Result<Option<&[u8]>, Bad> {
            if flags & (EMPTY | infinite) == 0 { reader.value()?.ok_or(Bad).map(Some) } else { Ok(None) }
        };
        Ok((flags, one(LOWER_INFINITE)?, one(UPPER_INFINITE)?))
    })?;
    if flags & EMPTY != 0 {
        return Ok("empty".to_owned());
    }
    let text = |bytes: Option<&[u8]>| -> Result<String> {
        let Some(bytes) = bytes else { return Ok(String::new()) };
        Ok(quoted(&read(bound, bytes, nested + 1)?, &['"', '\\', '(', ')', '[', ']', ',']))
    };
    // What is infinite is not included.
    let open = if flags & (LOWER_INCLUDED | LOWER_INFINITE) == LOWER_INCLUDED { '[' } else { '(' };
    let close = if flags & (UPPER_INCLUDED | UPPER_INFINITE) == UPPER_INCLUDED { ']' } else { ')' };
    Ok(format!("{open}{},{}{close}", text(lower)?, text(upper)?))
}

/// Reads a bound up to `end`: its text, if it has one.
fn bound_text(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, end: &[char]) -> Option<(Option<String>, char)> {
    let (mut text, mut inside, mut any) = (String::new(), false, false);
    loop {
        let c = chars.next()?;
        match c {
            c if !inside && end.contains(&c) => return Some((any.then_some(text), c)),
            '"' if inside && chars.next_if_eq(&'"').is_some() => text.push('"'),
            '"' => inside = !inside,
            '\\' => text.push(chars.next()?),
            c => text.push(c),
        }
        any = true;
    }
}

pub(super) fn write_range(oid: Oid, bound: Oid, text: &str, nested: u8) -> Result<Vec<u8>> {
    if text == "empty" {
        return Ok(vec![EMPTY]);
    }
    let bad = ValueError::Text(oid);
    let mut chars = text.chars().peekable();
    let mut flags = match chars.next() {
        Some('[') => LOWER_INCLUDED,
        Some('(') => 0,
        _ => return Err(bad),
    };
    let (lower, _) = bound_text(&mut chars, &[',']).ok_or(bad)?;
    let (upper, close) = bound_text(&mut chars, &[')', ']']).ok_or(bad)?;
    if chars.next().is_some() {
        return Err(bad);
    }
    flags |= if close == ']' { UPPER_INCLUDED } else { 0 };
    // What is infinite is not included.
    flags = if lower.is_none() { flags & !LOWER_INCLUDED | LOWER_INFINITE } else { flags };
    flags = if upper.is_none() { flags & !UPPER_INCLUDED | UPPER_INFINITE } else { flags };
    let mut out = vec![flags];
    for text in [lower, upper].into_iter().flatten() {
        put_value(&mut out, Some(&write(bound, &text, nested + 1)?));
    }
    Ok(out)
}

pub(super) fn read_multirange(oid: Oid, range: Oid, binary: &[u8], nested: u8) -> Result<String> {
    let ranges = whole(oid, binary, |reader| {
        let count = reader.u32()?;
        let mut ranges = Vec::new();
        for _ in 0..count {
            ranges.push(reader.value()?.ok_or(Bad)?);
        }
        Ok(ranges)
    })?;
    let texts: Result<Vec<String>> = ranges.into_iter().map(|bytes| read(range, bytes, nested + 1)).collect();
    Ok(format!("{{{}}}", texts?.join(",")))
}

pub(super) fn write_multirange(oid: Oid, range: Oid, text: &str, nested: u8) -> Result<Vec<u8>> {
    let bad = ValueError::Text(oid);
    let mut rest = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).ok_or(bad)?;
    let mut ranges = Vec::new();
    while !rest.is_empty() {
        let (one, after) = rest.split_at_checked(end_of_range(rest).ok_or(bad)?).ok_or(bad)?;
        ranges.push(write(range, one, nested + 1)?);
        rest = match after.strip_prefix(',') {
            Some("") => return Err(bad),
            Some(after) => after,
            None if after.is_empty() => after,
            None => return Err(bad),
        };
    }
    let mut out = u32::try_from(ranges.len()).map_err(|_| bad)?.to_be_bytes().to_vec();
    ranges.iter().for_each(|bytes| put_value(&mut out, Some(bytes)));
    Ok(out)
}

/// Where the first range's text ends.
fn end_of_range(text: &str) -> Option<usize> {
    let (mut inside, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => inside = !inside,
            ')' | ']' if !inside => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// A field of a record: its type and bytes; `None` is null.
pub(super) type Field<'a> = (Oid, Option<&'a [u8]>);

pub(super) fn fields<'a>(reader: &mut Reader<'a>) -> Result<Vec<Field<'a>>, Bad> {
    let count = reader.u32()?;
    let mut fields = Vec::new();
    for _ in 0..count {
        fields.push((reader.u32()?, reader.value()?));
    }
    Ok(fields)
}

pub(super) fn read_record(oid: Oid, binary: &[u8], nested: u8) -> Result<String> {
    let mut texts = Vec::new();
    for (field, value) in whole(oid, binary, fields)? {
        let text = value.map(|bytes| read(field, bytes, nested + 1)).transpose()?;
        // Nothing at all is null; an empty text is quoted.
        texts.push(text.map_or_else(String::new, |text| quoted(&text, &['"', '\\', '(', ')', ','])));
    }
    Ok(format!("({})", texts.join(",")))
}
