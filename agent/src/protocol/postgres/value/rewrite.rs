//! Replacing what is inside a cell, element by element, so that it stays a cell of its type.

use super::super::wire::{Format, Oid, put_value};
use super::array::{Token, delimiter_of, elements, quoted, tokens};
use super::composite::fields;
use super::{Kind, MOST_NESTED, Result, ValueError, from_text, kind, to_text, whole, write};

/// What is found inside a cell: one value of a type that has no parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// Its type.
    pub oid: Oid,
    /// Its text form.
    pub text: &'a str,
}

/// A cell with each of its leaves replaced by what `change` says: a text of the same type, or `None` for null.
///
/// Elements of arrays and fields of binary records are looked at one by one; ranges, and records in text form, whose fields
/// do not say their type, are leaves. `None` is null.
///
/// # Errors
/// A cell that cannot be read, or a replacement that is not of the leaf's type: nothing of the cell may be passed.
pub fn rewrite(
    oid: Oid,
    format: Format,
    cell: &[u8],
    change: &mut dyn FnMut(Leaf<'_>) -> Option<String>,
) -> Result<Option<Vec<u8>>> {
    match format {
        Format::Text => text(oid, cell, change),
        Format::Binary => binary(oid, cell, change, 0),
    }
}

fn text(oid: Oid, cell: &[u8], change: &mut dyn FnMut(Leaf<'_>) -> Option<String>) -> Result<Option<Vec<u8>>> {
    let text = std::str::from_utf8(cell).map_err(|_| ValueError::Encoding)?;
    let mut leaf = |oid, text: &str| -> Result<Option<String>> {
        let Some(new) = change(Leaf { oid, text }) else { return Ok(None) };
        // Types whose text is anything need no second look; a record's text cannot be checked.
        if new != text && !matches!(oid, 19 | 25 | 1042 | 1043 | 2249) {
            write(oid, &new, 0)?;
        }
        Ok(Some(new))
    };
    let Some((element, delimiter)) = delimiter_of(oid) else {
        kind(oid).ok_or(ValueError::Unknown(oid))?;
        return Ok(leaf(oid, text)?.map(String::into_bytes));
    };
    let (bounds, tokens) = tokens(text, delimiter).ok_or(ValueError::Text(oid))?;
    let mut out = bounds.to_owned();
    for token in tokens {
        match token {
            Token::Open => out.push('{'),
            Token::Close => out.push('}'),
            Token::Delimiter => out.push(delimiter),
            Token::Element(None) => out.push_str("NULL"),
            Token::Element(Some(old)) => match leaf(element, &old)? {
                Some(new) => out.push_str(&quoted(&new, delimiter)),
                None => out.push_str("NULL"),
            },
        }
    }
    Ok(Some(out.into_bytes()))
}

fn binary(
    oid: Oid,
    cell: &[u8],
    change: &mut dyn FnMut(Leaf<'_>) -> Option<String>,
    nested: u8,
) -> Result<Option<Vec<u8>>> {
    if nested > MOST_NESTED {
        return Err(ValueError::Nested);
    }
    match kind(oid).ok_or(ValueError::Unknown(oid))? {
        Kind::Scalar | Kind::Vector(_) | Kind::Range(_) | Kind::Multirange(_) => {
            let new = change(Leaf { oid, text: &to_text(oid, cell)? });
            new.map(|text| from_text(oid, text.as_bytes())).transpose()
        }
        Kind::Array(element) => {
            let (mut header, elements) = elements(oid, element, cell)?;
            let mut body = Vec::new();
            for old in elements {
                let new = old.map(|old| binary(header.element, old, change, nested + 1)).transpose()?.flatten();
                header.nulls |= i32::from(new.is_none());
                put_value(&mut body, new.as_deref());
            }
            let mut out = Vec::new();
            header.write(&mut out);
            out.append(&mut body);
            Ok(Some(out))
        }
        Kind::Record => {
            let fields = whole(oid, cell, fields)?;
            let mut out = u32::try_from(fields.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
            for (field, old) in fields {
                let new = old.map(|old| binary(field, old, change, nested + 1)).transpose()?.flatten();
                out.extend_from_slice(&field.to_be_bytes());
                put_value(&mut out, new.as_deref());
            }
            Ok(Some(out))
        }
    }
}
