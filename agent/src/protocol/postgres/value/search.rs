//! Text search: `tsvector` (`tsvector.c`), `tsquery` (`tsquery.c`).

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use super::super::wire::Reader;
use super::array::is_blank;
use super::{Bad, Result};

/// Longest lexeme (`MAXSTRLEN`), bytes.
const MOST_LEXEME: usize = 2046;
/// Most positions of a lexeme (`MAXNUMPOS`), and the last one there is (`MAXENTRYPOS`).
const MOST_POSITIONS: usize = 255;
const LAST_POSITION: u16 = (1 << 14) - 1;
/// Longest query anybody reads, and parentheses inside each other in it: ours, not the server's.
const MOST_ITEMS: usize = 4096;
const MOST_NESTED: usize = 64;

const VALUE: u8 = 1;
const OPERATOR: u8 = 2;
const NOT: u8 = 1;
const AND: u8 = 2;
const OR: u8 = 3;
const PHRASE: u8 = 4;

/// How strongly an operator binds (`tsearch_op_priority`).
fn binding(operator: u8) -> Option<u8> {
    match operator {
        NOT => Some(4),
        PHRASE => Some(3),
        AND => Some(2),
        OR => Some(1),
        _ => None,
    }
}

/// What binds more strongly than any operator.
const ALONE: u8 = 5;

fn read_lexeme<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Bad> {
    let lexeme = str::from_utf8(reader.string()?).map_err(|_| Bad)?;
    if lexeme.is_empty() || lexeme.len() > MOST_LEXEME { Err(Bad) } else { Ok(lexeme) }
}

fn quoted(lexeme: &str) -> String {
    format!("'{}'", lexeme.replace('\\', "\\\\").replace('\'', "''"))
}

/// A lexeme: in quotes, or up to a blank, a colon or one of `ends`.
fn lexeme(chars: &mut Peekable<Chars<'_>>, ends: &[char]) -> Option<String> {
    let (quoted, mut text) = (chars.next_if_eq(&'\'').is_some(), String::new());
    let more = |c: &char| quoted || !(is_blank(*c) || *c == ':' || ends.contains(c));
    while let Some(c) = chars.next_if(more) {
        match c {
            '\'' if quoted && chars.next_if_eq(&'\'').is_none() => {
                return (!text.is_empty() && text.len() <= MOST_LEXEME).then_some(text);
            }
            '\\' => text.push(chars.next()?),
            '\0' => return None,
            c => text.push(c),
        }
    }
    (!quoted && !text.is_empty() && text.len() <= MOST_LEXEME).then_some(text)
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| is_blank(*c)).is_some() {}
}

pub(super) fn read_vector(reader: &mut Reader<'_>) -> Result<String, Bad> {
    let count = reader.u32()?;
    let (mut text, mut before) = (String::new(), "");
    for _ in 0..count {
        let lexeme = read_lexeme(reader)?;
        // In order, and each once: otherwise it would be written back as another value.
        if lexeme <= before {
            return Err(Bad);
        }
        before = lexeme;
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&quoted(lexeme));
        read_positions(reader, &mut text)?;
    }
    Ok(text)
}

fn read_positions(reader: &mut Reader<'_>, text: &mut String) -> Result<(), Bad> {
    let count = usize::from(reader.u16()?);
    if count > MOST_POSITIONS {
        return Err(Bad);
    }
    let mut before = 0;
    for place in 0..count {
        text.push(if place == 0 { ':' } else { ',' });
        let both = reader.u16()?;
        let position = both & LAST_POSITION;
        if position <= before {
            return Err(Bad);
        }
        before = position;
        text.push_str(&position.to_string());
        text.push_str(["", "C", "B", "A"].get(usize::from(both >> 14)).ok_or(Bad)?);
    }
    Ok(())
}

pub(super) fn write_vector(text: &str) -> Option<Vec<u8>> {
    let (mut lexemes, mut chars) = (BTreeMap::<String, BTreeMap<u16, u16>>::new(), text.chars().peekable());
    skip_blanks(&mut chars);
    while chars.peek().is_some() {
        let positions = lexemes.entry(lexeme(&mut chars, &[])?).or_default();
        let mut separator = ':';
        while chars.next_if_eq(&separator).is_some() {
            let (position, weight) = position(&mut chars)?;
            let kept = positions.entry(position).or_default();
            *kept = weight.max(*kept);
            separator = ',';
        }
        match chars.peek() {
            Some(c) if !is_blank(*c) => return None,
            Some(_) | None => skip_blanks(&mut chars),
        }
    }
    let mut out = u32::try_from(lexemes.len()).ok()?.to_be_bytes().to_vec();
    for (lexeme, positions) in lexemes {
        out.extend_from_slice(lexeme.as_bytes());
        out.push(0);
        let count = positions.len().min(MOST_POSITIONS);
        out.extend_from_slice(&u16::try_from(count).ok()?.to_be_bytes());
        for (position, weight) in positions.into_iter().take(count) {
            out.extend_from_slice(&(weight << 14 | position).to_be_bytes());
        }
    }
    Some(out)
}

fn position(chars: &mut Peekable<Chars<'_>>) -> Option<(u16, u16)> {
    let mut position = 0_u16;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        position = position.saturating_mul(10).saturating_add(u16::try_from(digit).ok()?);
        chars.next();
    }
    let weight = match chars.peek() {
        Some('A' | 'a') => 3,
        Some('B' | 'b') => 2,
        Some('C' | 'c') => 1,
        Some('D' | 'd') => 0,
        Some(_) | None => return (position > 0).then_some((position.min(LAST_POSITION), 0)),
    };
    chars.next();
    (position > 0).then_some((position.min(LAST_POSITION), weight))
}

/// An operator before its right operand, and that before the left one.
enum Item {
    Value(String),
    Operator { operator: u8, distance: u16 },
}

fn read_item(reader: &mut Reader<'_>) -> Result<Item, Bad> {
    match reader.u8()? {
        VALUE => {
            let (weight, prefix) = (reader.u8()?, reader.u8()?);
            let mut text = quoted(read_lexeme(reader)?);
            if weight != 0 || prefix != 0 {
                text.push(':');
            }
            let flags = [(prefix != 0, '*'), (weight & 8 != 0, 'A'), (weight & 4 != 0, 'B'), (weight & 2 != 0, 'C')];
            text.extend(flags.into_iter().chain([(weight & 1 != 0, 'D')]).filter_map(|(is, flag)| is.then_some(flag)));
            if weight > 15 || prefix > 1 { Err(Bad) } else { Ok(Item::Value(text)) }
        }
        OPERATOR => {
            let operator = reader.u8()?;
            let distance = if operator == PHRASE { reader.u16()? } else { 0 };
            Ok(Item::Operator { operator, distance })
        }
        _ => Err(Bad),
    }
}

pub(super) fn read_query(reader: &mut Reader<'_>) -> Result<String, Bad> {
    let count = usize::try_from(reader.u32()?).map_err(|_| Bad)?;
    if count > MOST_ITEMS {
        return Err(Bad);
    }
    let items: Result<Vec<Item>, Bad> = (0..count).map(|_| read_item(reader)).collect();
    // From the end: operands come before their operators. Beside each how strongly it binds.
    let mut done: Vec<(String, u8)> = Vec::new();
    let within = |(text, own): (String, u8), least: u8| if own < least { format!("( {text} )") } else { text };
    for item in items?.into_iter().rev() {
        let (operator, distance) = match item {
            Item::Value(text) => {
                done.push((text, ALONE));
                continue;
            }
            Item::Operator { operator, distance } => (operator, distance),
        };
        let own = binding(operator).ok_or(Bad)?;
        let right = done.pop().ok_or(Bad)?;
        if operator == NOT {
            done.push((format!("!{}", within(right, own)), own));
            continue;
        }
        let sign = match (operator, distance) {
            (OR, _) => "|".to_owned(),
            (AND, _) => "&".to_owned(),
            (_, 1) => "<->".to_owned(),
            (_, distance) => format!("<{distance}>"),
        };
        // Phrases are grouped from the left.
        let right = within(right, if operator == PHRASE { own + 1 } else { own });
        let mut text = within(done.pop().ok_or(Bad)?, own);
        text.push_str(&format!(" {sign} {right}"));
        done.push((text, own));
    }
    match (done.pop(), done.is_empty()) {
        (None, true) => Ok(String::new()),
        (Some((text, _)), true) => Ok(text),
        (Some(_) | None, _) => Err(Bad),
    }
}

/// A query's items, operands before their operators.
#[derive(Default)]
struct Items(Vec<Vec<u8>>);

impl Items {
    fn operator(&mut self, operator: u8, distance: u16) {
        let mut item = vec![OPERATOR, operator];
        if operator == PHRASE {
            item.extend_from_slice(&distance.to_be_bytes());
        }
        self.0.push(item);
    }

    /// Operands of operators that bind at least as strongly as this.
    fn read(&mut self, chars: &mut Peekable<Chars<'_>>, least: u8, nested: usize) -> Option<()> {
        if nested > MOST_NESTED || self.0.len() > MOST_ITEMS {
            return None;
        }
        skip_blanks(chars);
        if chars.next_if_eq(&'!').is_some() {
            self.read(chars, ALONE, nested + 1)?;
            self.operator(NOT, 0);
        } else if chars.next_if_eq(&'(').is_some() {
            self.read(chars, 1, nested + 1)?;
            chars.next_if_eq(&')')?;
        } else {
            self.value(chars)?;
        }
        loop {
            skip_blanks(chars);
            let operator = match chars.peek() {
                Some('|') => OR,
                Some('&') => AND,
                Some('<') => PHRASE,
                Some(_) | None => return Some(()),
            };
            let own = binding(operator)?;
            if own < least {
                return Some(());
            }
            chars.next();
            let distance = if operator == PHRASE { distance(chars)? } else { 0 };
            self.read(chars, own + 1, nested + 1)?;
            self.operator(operator, distance);
        }
    }

    fn value(&mut self, chars: &mut Peekable<Chars<'_>>) -> Option<()> {
        let lexeme = lexeme(chars, &['!', '&', '|', '(', ')', '<'])?;
        let (mut weight, mut prefix) = (0, 0);
        if chars.next_if_eq(&':').is_some() {
            while let Some(flag) = chars.next_if(|c| matches!(c, '*' | 'A'..='D' | 'a'..='d')) {
                match flag.to_ascii_uppercase() {
                    '*' => prefix = 1,
                    'A' => weight |= 8,
                    'B' => weight |= 4,
                    'C' => weight |= 2,
                    _ => weight |= 1,
                }
            }
        }
        self.0.push([&[VALUE, weight, prefix], lexeme.as_bytes(), &[0]].concat());
        Some(())
    }
}

/// What follows `<`.
fn distance(chars: &mut Peekable<Chars<'_>>) -> Option<u16> {
    let text: String = std::iter::from_fn(|| chars.next_if(|c| *c == '-' || c.is_ascii_digit())).take(6).collect();
    chars.next_if_eq(&'>')?;
    if text == "-" { Some(1) } else { text.parse().ok().filter(|distance| *distance <= 1 << 14) }
}

pub(super) fn write_query(text: &str) -> Option<Vec<u8>> {
    let (mut items, mut chars) = (Items::default(), text.chars().peekable());
    skip_blanks(&mut chars);
    if chars.peek().is_some() {
        items.read(&mut chars, 1, 0)?;
    }
    if chars.next().is_some() || items.0.len() > MOST_ITEMS {
        return None;
    }
    let mut out = u32::try_from(items.0.len()).ok()?.to_be_bytes().to_vec();
    out.extend(items.0.into_iter().rev().flatten());
    Some(out)
}
