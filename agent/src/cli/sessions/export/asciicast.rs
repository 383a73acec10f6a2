//! What a terminal showed, in asciicast v2.

use std::time::Duration;

use serde_json::json;

use super::super::super::exit::{Exit, Failure};
use super::super::super::screen::Screen;
use crate::record::read::{Bytes, PayloadKeys, Session};
use crate::record::{Direction, Store};

/// Of a terminal whose size is not known.
const SIZE: (u32, u32) = (80, 24);

/// Writes the head, and a line for each piece that came from the upstream.
pub(super) fn write(store: &Store, session: &Session, keys: &PayloadKeys, screen: &mut Screen) -> Result<(), Failure> {
    let row = &session.detail.session;
    screen.json(&json!({
        "version": 2,
        "width": SIZE.0,
        "height": SIZE.1,
        "timestamp": row.started_ns.div_euclid(1_000_000_000),
        "title": format!("{} {}", row.id, row.target.as_deref().unwrap_or(&row.dest_addr)),
    }))?;
    let mut text = Text::default();
    for piece in store.payloads(session, keys) {
        let piece = piece?;
        if piece.direction != Direction::In {
            continue;
        }
        match &piece.bytes {
            Bytes::Plain(bytes) => {
                let seconds = Duration::from_nanos(piece.after_ns.max(0).cast_unsigned()).as_secs_f64();
                let shown = text.add(bytes);
                if !shown.is_empty() {
                    screen.json(&json!([seconds, "o", shown]))?;
                }
            }
            Bytes::Cut => {}
            Bytes::Encrypted(digest) => {
                let message = format!("the payload is encrypted, digest {digest}, and its key is not here");
                return Err(Failure::new(Exit::NO_PERMISSION, message));
            }
            Bytes::Damaged => {
                return Err(Failure::new(Exit::IO, format!("the payload at {} is damaged", piece.position)));
            }
        }
    }
    Ok(())
}

/// Text in pieces that may end in the middle of a character.
#[derive(Debug, Default)]
struct Text {
    rest: Vec<u8>,
}

impl Text {
    /// All whole characters so far.
    fn add(&mut self, bytes: &[u8]) -> String {
        self.rest.extend(bytes);
        let whole = match std::str::from_utf8(&self.rest) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            // What can never become a character is shown as such, up to the end.
            _ => {
                let tail = self.rest.utf8_chunks().last().map_or(0, |last| last.invalid().len());
                let tail =
                    if is_beginning(self.rest.get(self.rest.len() - tail..).unwrap_or_default()) { tail } else { 0 };
                self.rest.len() - tail
            }
        };
        let left = self.rest.split_off(whole);
        let text = String::from_utf8_lossy(&self.rest).into_owned();
        self.rest = left;
        text
    }
}

/// Whether more bytes could make a character of these.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_whole() {
        let mut text = Text::default();
        let shown: Vec<String> = "aü€😀".bytes().map(|byte| text.add(&[byte])).collect();
        assert_eq!(shown.concat(), "aü€😀");
        assert!(shown.iter().all(|piece| !piece.contains('\u{fffd}')));
        let mut text = Text::default();
        assert_eq!(text.add(b"a\xffb\xe2\x82"), "a\u{fffd}b");
        assert_eq!(text.add(b"\xac!"), "€!");
        assert_eq!(Text::default().add(b"\xff\xff"), "\u{fffd}\u{fffd}");
    }
}
