//! Arrays (`arrayfuncs.c`), and the two kinds that are written as lists of numbers.

use super::super::wire::{Oid, Reader, put_value};
use super::{Bad, Kind, Result, ValueError, kind, read as read_value, whole, write as write_value};

/// Most dimensions (`MAXDIM`).
const MOST_DIMENSIONS: usize = 6;

/// What stands between the elements.
fn delimiter(element: Oid) -> char {
    if element == 603 { ';' } else { ',' }
}

/// A binary array's header; its elements follow.
pub(super) struct Header {
    /// Whether there may be nulls.
    pub(super) nulls: i32,
    /// The element type.
    pub(super) element: Oid,
    /// Length and lower bound of each dimension.
    pub(super) dimensions: Vec<(i32, i32)>,
}

impl Header {
    /// Reads the header of an array of this element type.
    pub(super) fn read(reader: &mut Reader<'_>, expected: Oid) -> Result<Self, Bad> {
        let count = usize::try_from(reader.i32()?).map_err(|_| Bad)?;
        let (nulls, element) = (reader.i32()?, reader.u32()?);
        if count > MOST_DIMENSIONS || !matches!(nulls, 0 | 1) || element != expected {
            return Err(Bad);
        }
        let mut dimensions = Vec::with_capacity(count);
        for _ in 0..count {
            let (length, lower) = (reader.i32()?, reader.i32()?);
            if length < 0 || lower.checked_add(length).is_none() {
                return Err(Bad);
            }
            dimensions.push((length, lower));
        }
        Ok(Self { nulls, element, dimensions })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let count = i32::try_from(self.dimensions.len()).unwrap_or(0);
        for number in [count, self.nulls, self.element.cast_signed()] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        for (length, lower) in &self.dimensions {
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&lower.to_be_bytes());
        }
    }
}

/// A binary array's header and its elements, of which there are as many as its dimensions say; `None` is null.
pub(super) fn elements(oid: Oid, element: Oid, binary: &[u8]) -> Result<(Header, Vec<Option<&[u8]>>)> {
    let (header, elements) = whole(oid, binary, |reader| {
        let header = Header::read(reader, element)?;
        let mut elements = Vec::new();
        while !reader.is_empty() {
            elements.push(reader.value()?);
        }
        Ok((header, elements))
    })?;
    let count = header
        .dimensions
        .iter()
        .try_fold(1_usize, |product, (length, _)| product.checked_mul(usize::try_from(*length).unwrap_or(0)));
    let count = if header.dimensions.is_empty() { Some(0) } else { count };
    if count != Some(elements.len()) {
        return Err(ValueError::Binary(oid));
    }
    Ok((header, elements))
}

pub(super) fn read(oid: Oid, element: Oid, binary: &[u8], nested: u8) -> Result<String> {
    let (header, elements) = elements(oid, element, binary)?;
    if elements.is_empty() {
        return Ok("{}".to_owned());
    }
    let mut text = String::new();
    if header.dimensions.iter().any(|(_, lower)| *lower != 1) {
        for (length, lower) in &header.dimensions {
            text.push_str(&format!("[{lower}:{}]", lower + length - 1));
        }
        text.push('=');
    }
    let lengths: Vec<usize> =
        header.dimensions.iter().filter_map(|(length, _)| usize::try_from(*length).ok()).collect();
    let mut texts = Vec::with_capacity(elements.len());
    for element in elements {
        let element = element.map(|bytes| read_value(header.element, bytes, nested + 1)).transpose()?;
        texts.push(element.map_or_else(|| "NULL".to_owned(), |text| quoted(&text, delimiter(header.element))));
    }
    nest(&lengths, delimiter(header.element), &mut texts.into_iter(), &mut text);
    Ok(text)
}

fn nest(lengths: &[usize], delimiter: char, elements: &mut impl Iterator<Item = String>, out: &mut String) {
    let Some((length, inner)) = lengths.split_first() else {
        out.extend(elements.next());
        return;
    };
    out.push('{');
    for place in 0..*length {
        if place > 0 {
            out.push(delimiter);
        }
        nest(inner, delimiter, elements, out);
    }
    out.push('}');
}

/// An element as it stands in an array's text.
pub(super) fn quoted(text: &str, delimiter: char) -> String {
    let special = |c: char| matches!(c, '"' | '\\' | '{' | '}') || c == delimiter || is_blank(c);
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// What the server's array and record readers take for blank.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// A piece of an array's text.
pub(super) enum Token {
    /// `{`
    Open,
    /// `}`
    Close,
    /// Between two elements.
    Delimiter,
    /// An element; `None` is null.
    Element(Option<String>),
}

/// Takes an array's text apart: the bounds it begins with, if any, and the rest.
pub(super) fn tokens(text: &str, delimiter: char) -> Option<(&str, Vec<Token>)> {
    let (bounds, body) = match text.find('=').filter(|_| text.starts_with('[')) {
        Some(at) => text.split_at_checked(at + 1)?,
        None => ("", text),
    };
    let (mut found, mut chars) = (Vec::new(), body.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '{' => found.push(Token::Open),
            '}' => found.push(Token::Close),
            c if c == delimiter => found.push(Token::Delimiter),
            c if is_blank(c) => {}
            '"' => {
                let mut element = String::new();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => element.push(chars.next()?),
                        c => element.push(c),
                    }
                }
                found.push(Token::Element(Some(element)));
            }
            c => {
                let mut element = String::new();
                let mut next = Some(c);
                while let Some(c) = next {
                    element.push(if c == '\\' { chars.next()? } else { c });
                    next = chars.next_if(|c| *c != delimiter && !matches!(*c, '{' | '}' | '"'));
                }
                let element = element.trim_end_matches(is_blank);
                found.push(Token::Element((!element.eq_ignore_ascii_case("null")).then(|| element.to_owned())));
            }
        }
    }
    Some((bounds, found))
}

pub(super) fn write(oid: Oid, element: Oid, text: &str, nested: u8) -> Result<Vec<u8>> {
    let bad = ValueError::Text(oid);
    let (bounds, tokens) = tokens(text, delimiter(element)).ok_or(bad)?;
    let (lengths, elements) = shape(tokens).ok_or(bad)?;
    let lowers = lower_bounds(bounds, &lengths).ok_or(bad)?;
    let nulls = i32::from(elements.iter().any(Option::is_none));
    let dimensions = lengths.into_iter().zip(lowers).collect();
    let mut out = Vec::new();
    Header { nulls, element, dimensions }.write(&mut out);
    for value in elements {
        let value = value.map(|value| write_value(element, &value, nested + 1)).transpose()?;
        put_value(&mut out, value.as_deref());
    }
    Ok(out)
}

/// The dimensions' lengths and all elements, if every part of a dimension has the same length.
fn shape(tokens: Vec<Token>) -> Option<(Vec<i32>, Vec<Option<String>>)> {
    let (mut lengths, mut elements) = (Vec::<Option<i32>>::new(), Vec::new());
    // How many parts each open brace has so far; the depth of elements, once there are any; whether a part may come now.
    let (mut open, mut depth, mut expects, mut closed) = (Vec::<i32>::new(), None, true, false);
    for token in tokens {
        if closed {
            return None;
        }
        match token {
            Token::Open | Token::Element(_) if !expects => return None,
            Token::Open => {
                if let Some(parts) = open.last_mut() {
                    *parts += 1;
                }
                open.push(0);
                if open.len() > MOST_DIMENSIONS || depth.is_some_and(|depth| open.len() > depth) {
                    return None;
                }
                if lengths.len() < open.len() {
                    lengths.push(None);
                }
            }
            Token::Element(element) => {
                *open.last_mut()? += 1;
                if *depth.get_or_insert(open.len()) != open.len() {
                    return None;
                }
                elements.push(element);
                expects = false;
            }
            Token::Delimiter => {
                if expects || open.is_empty() {
                    return None;
                }
                expects = true;
            }
            Token::Close => {
                let level = open.len().checked_sub(1)?;
                let parts = open.pop()?;
                // `{}` alone is the empty array; `{1,}` is nothing.
                if expects && parts > 0 || (parts == 0 && level > 0) {
                    return None;
                }
                let length = lengths.get_mut(level)?;
                if length.is_some_and(|length| length != parts) {
                    return None;
                }
                *length = Some(parts);
                closed = open.is_empty();
                expects = false;
            }
        }
    }
    let lengths: Option<Vec<i32>> = lengths.into_iter().collect();
    let lengths = if elements.is_empty() { vec![] } else { lengths? };
    closed.then_some((lengths, elements))
}

/// `[0:2][1:3]=`; ones if there is nothing.
fn lower_bounds(bounds: &str, lengths: &[i32]) -> Option<Vec<i32>> {
    if bounds.is_empty() {
        return Some(vec![1; lengths.len()]);
    }
    let bounds = bounds.strip_suffix("]=")?.strip_prefix('[')?;
    let lowers: Option<Vec<i32>> = bounds
        .split("][")
        .zip(lengths)
        .map(|(bound, length)| {
            let (lower, upper): (i32, i32) = {
                let (lower, upper) = bound.split_once(':')?;
                (lower.parse().ok()?, upper.parse().ok()?)
            };
            (upper.checked_sub(lower)?.checked_add(1)? == *length).then_some(lower)
        })
        .collect();
    lowers.filter(|lowers| lowers.len() == lengths.len() && bounds.split("][").count() == lengths.len())
}

pub(super) fn read_vector(oid: Oid, element: Oid, binary: &[u8]) -> Result<String> {
    let text = read(oid, element, binary, 0)?;
    let body = text.rsplit_once('=').map_or(&*text, |(_, body)| body);
    Ok(body.trim_matches(['{', '}']).replace(',', " "))
}

pub(super) fn write_vector(oid: Oid, element: Oid, text: &str) -> Result<Vec<u8>> {
    let numbers: Vec<&str> = text.split_ascii_whitespace().collect();
    let length = i32::try_from(numbers.len()).map_err(|_| ValueError::Text(oid))?;
    let mut out = Vec::new();
    // They count from 0, and have one dimension even when empty.
    Header { nulls: 0, element, dimensions: vec![(length, 0)] }.write(&mut out);
    for number in numbers {
        put_value(&mut out, Some(&write_value(element, number, 1)?));
    }
    Ok(out)
}

/// The delimiter of an array type's text.
pub(super) fn delimiter_of(oid: Oid) -> Option<(Oid, char)> {
    match kind(oid)? {
        Kind::Array(element) => Some((element, delimiter(element))),
        Kind::Scalar | Kind::Vector(_) | Kind::Range(_) | Kind::Multirange(_) | Kind::Record => None,
    }
}
