//! Parameters of a request, as the record has them: by their types, what is protected in them masked.

use std::{borrow::Cow, fmt::Write as _};

use super::protection::Protection;
use crate::{
    mask::{FieldType, Masked, detect::Context},
    protocol::postgres::{Format, extended::Bind, session::Statement, value::to_text},
};

/// What stands for a value that is not recorded.
const HIDDEN: &str = "***";
/// The longest value that is recorded whole, and all of them together, characters.
const LONGEST: usize = 256;
const MOST: usize = 4096;

/// The parameters of a Bind, for people: `$1 = 7, $2 = 'ada', $3 = null`; those that are `hidden` are not shown.
pub(super) fn written(
    bind: &Bind<'_>,
    statement: Option<&Statement>,
    hidden: &[bool],
    protection: &Protection,
) -> String {
    let mut out = String::new();
    for (place, value) in bind.parameters.iter().enumerate() {
        if out.len() > MOST {
            out.push_str(", …");
            break;
        }
        let (comma, number) = (if place == 0 { "" } else { ", " }, place + 1);
        // A string takes everything.
        let _ = write!(out, "{comma}${number} = ");
        // What is near one that nobody knows of is not known.
        let protected = hidden.get(place).is_none_or(|hidden| *hidden);
        let kind = statement.and_then(|statement| statement.types.get(place)).copied().unwrap_or(0);
        match value {
            None => out.push_str("null"),
            Some(_) if protected => out.push_str(HIDDEN),
            Some(value) => show(&mut out, value, (bind.formats.at(place), kind), protection),
        }
    }
    out
}

fn show(out: &mut String, value: &[u8], (format, kind): (Format, u32), protection: &Protection) {
    let text = match format {
        Format::Text => std::str::from_utf8(value).ok().map(Cow::Borrowed),
        Format::Binary => to_text(kind, value).ok().map(Cow::Owned),
    };
    let Some(text) = text else {
        let _ = write!(out, "({} bytes)", value.len());
        return;
    };
    let found = protection.classes().mask_found(&Context::default(), FieldType::Text, text.as_bytes());
    let text = match found.as_ref().map(Masked::text) {
        Some(masked) => String::from_utf8_lossy(masked.unwrap_or(HIDDEN.as_bytes())),
        None => text,
    };
    out.push('\'');
    for (count, letter) in text.chars().enumerate() {
        if count == LONGEST {
            out.push('…');
            break;
        }
        out.push(letter);
        if letter == '\'' {
            out.push(letter);
        }
    }
    out.push('\'');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        mask::Classes,
        policy::question::Target,
        protocol::postgres::{Frontend, sql::Catalog},
    };

    #[test]
    fn values_are_shown_by_type_and_protected_ones_are_not() {
        let target = Arc::new(Target::opaque([10, 0, 0, 5].into(), 5432));
        let protection = Protection::of(Arc::new(Classes::empty()), target, &Catalog::default());
        let hidden = [false; 3];
        // Portal "", statement "", one format (text), three values, no result formats.
        let body = b"\0\0\0\x01\0\0\0\x03\0\0\0\x017\0\0\0\x03d'a\xff\xff\xff\xff\0\0";
        let Ok(Frontend::Bind(bind)) = Frontend::decode(b'B', body) else { panic!("no Bind") };
        assert_eq!(written(&bind, None, &hidden, &protection), "$1 = '7', $2 = 'd''a', $3 = null");
        let shown = |value: &[u8], as_what: (Format, u32)| {
            let mut out = String::new();
            show(&mut out, value, as_what, &protection);
            out
        };
        assert_eq!(shown(&[0, 0, 0, 9], (Format::Binary, 23)), "'9'");
        assert_eq!(shown(&[1, 2, 3], (Format::Binary, 0)), "(3 bytes)");
        let long = "ä".repeat(LONGEST);
        assert_eq!(shown(long.as_bytes(), (Format::Text, 25)), format!("'{long}'"));
        assert_eq!(shown(format!("{long}b").as_bytes(), (Format::Text, 25)), format!("'{long}…'"));
        assert_eq!(written(&bind, None, &[true, false], &protection), "$1 = ***, $2 = 'd''a', $3 = null");
        assert_eq!(written(&bind, None, &[], &protection), "$1 = ***, $2 = ***, $3 = null");
    }
}
