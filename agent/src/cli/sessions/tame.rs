//! What passed in a session, made safe for the terminal it is shown on.
//!
//! A session with a terminal needs some of a terminal's language: colours, the cursor, erasing. Nothing that makes the
//! terminal answer, keep or reach anything (titles, clipboard, reports, files) is let through.

/// Longest control sequence that is let through, bytes.
const LONGEST: usize = 64;

/// Lets through what a terminal session needs to look like it did.
#[derive(Debug, Default)]
pub(super) struct Tamer {
    state: State,
    sequence: Vec<u8>,
    /// The beginning of a character whose end has not come.
    partial: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and a byte that wants one more.
    Charset,
    /// After ESC [.
    Control,
    /// In a string for the terminal, which ends with BEL or ESC \.
    String,
    /// There after an ESC.
    StringEscape,
}

impl Tamer {
    /// What of these bytes may be shown. Sequences and characters that go on in the next bytes wait for them.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            self.one(*byte, &mut out);
        }
        out
    }

    fn one(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.state = match self.state {
            State::Text => return self.text(byte, out),
            State::Escape => match byte {
                b'[' => {
                    self.sequence.clear();
                    State::Control
                }
                b']' | b'P' | b'X' | b'^' | b'_' => State::String,
                b'(' | b')' | b'#' | b'%' | b' ' => State::Charset,
                // Save and restore the cursor; line up, line down.
                b'7' | b'8' | b'M' | b'D' | b'E' => {
                    out.extend([0x1b, byte]);
                    State::Text
                }
                0x1b => State::Escape,
                _ => State::Text,
            },
            State::Charset => State::Text,
            State::Control => match byte {
                0x20..=0x3f if self.sequence.len() < LONGEST => {
                    self.sequence.push(byte);
                    State::Control
                }
                0x40..=0x7e => {
                    if is_harmless(&self.sequence, byte) {
                        out.extend(b"\x1b[");
                        out.extend(&self.sequence);
                        out.push(byte);
                    }
                    State::Text
                }
                0x1b => State::Escape,
                _ => State::Text,
            },
            State::String => match byte {
                0x07 => State::Text,
                0x1b => State::StringEscape,
                _ => State::String,
            },
            State::StringEscape => match byte {
                b'\\' => State::Text,
                0x1b => State::StringEscape,
                _ => State::String,
            },
        };
    }

    fn text(&mut self, byte: u8, out: &mut Vec<u8>) {
        if byte >= 0x80 {
            self.partial.push(byte);
            match std::str::from_utf8(&self.partial) {
                Ok(text) => {
                    // C1 controls are the same sequences in one character; marks that reorder are not text either.
                    if !text.chars().any(crate::config::steers) {
                        out.extend(&self.partial);
                    }
                    self.partial.clear();
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => {
                    out.extend("\u{fffd}".bytes());
                    self.partial.clear();
                }
            }
            return;
        }
        if !self.partial.is_empty() {
            out.extend("\u{fffd}".bytes());
            self.partial.clear();
        }
        match byte {
            0x1b => self.state = State::Escape,
            0x20..=0x7e | b'\n' | b'\r' | b'\t' | 0x08 => out.push(byte),
            _ => {}
        }
    }
}

/// Moves, erases, scrolls, colours and the usual modes.
fn is_harmless(parameters: &[u8], last: u8) -> bool {
    let plain = parameters.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b':'));
    match last {
        b'A'..=b'M' | b'P' | b'S' | b'T' | b'X' | b'Z' | b'@' | b'`' | b'a' | b'd' | b'e' | b'f' | b'm' | b'r' => plain,
        b'h' | b'l' => {
            let modes = parameters.strip_prefix(b"?").unwrap_or(parameters);
            // Autowrap, the cursor, other screens; not mouse reports, focus reports or pasting.
            let known: [&[u8]; 7] = [b"4", b"7", b"12", b"25", b"47", b"1047", b"1049"];
            modes.split(|byte| *byte == b';').all(|mode| known.contains(&mode))
        }
        _ => false,
    }
}

/// Bytes of anything else: text with its lines, the rest in escapes.
pub(super) fn plain(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for piece in bytes.utf8_chunks() {
        let mut chars = piece.valid().chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\n' | '\t' => text.push(c),
                '\r' if chars.peek() == Some(&'\n') => {}
                c if crate::config::steers(c) => text.extend(c.escape_default()),
                c => text.push(c),
            }
        }
        for byte in piece.invalid() {
            text.extend(byte.escape_ascii().map(char::from));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn passed(bytes: &[u8]) -> String {
        String::from_utf8(Tamer::default().pass(bytes)).unwrap()
    }

    #[test]
    fn a_terminal_session_keeps_its_looks() {
        for text in ["ls\r\n", "\x1b[1;31mred\x1b[0m", "\x1b[2J\x1b[H", "\x1b[?25l", "\x1b[?1049h", "ü€😀", "a\x08b"]
        {
            assert_eq!(passed(text.as_bytes()), text, "{text:?}");
        }
    }

    #[test]
    fn what_makes_a_terminal_act_is_left_out() {
        for text in [
            "\x1b]52;c;cm0gLXJmIC8=\x07",
            "\x1b]0;title\x1b\\",
            "\x1bP+q544e\x1b\\",
            "\x1b[c",
            "\x1b[6n",
            "\x1b[?1000h",
            "\x1b[?2004h",
            "\x1b[>0q",
            "\x1b[21t",
            "\x1bc",
            "\u{9b}6n",
            "\u{202e}",
            "\x07\x00\x0e\x05",
            "\x1b_Gf=100\x1b\\",
        ] {
            let shown = passed(text.as_bytes());
            assert!(!shown.contains(['\x1b', '\u{9b}', '\u{202e}', '\x07', '\x05']), "{text:?}: {shown:?}");
        }
        assert_eq!(passed(b"a\x1b]0;t\x07b\x1b[6nc"), "abc");
    }

    #[test]
    fn pieces_may_be_cut_anywhere() {
        let text = "a\x1b[1;31mü\x1b]0;t\x07€\x1b[0m".as_bytes();
        let mut tamer = Tamer::default();
        let piecewise: Vec<u8> = text.iter().flat_map(|byte| tamer.pass(&[*byte])).collect();
        assert_eq!(piecewise, Tamer::default().pass(text));
    }

    #[test]
    fn other_bytes_are_spelt_out() {
        assert_eq!(plain(b"GET /\r\nx\x1b[2J\x00\xffz"), "GET /\nx\\u{1b}[2J\\u{0}\\xffz");
    }

    proptest! {
        #[test]
        fn nothing_steers(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(plain(&bytes).chars().all(|c| c == '\n' || c == '\t' || !crate::config::steers(c)));
            let shown = Tamer::default().pass(&bytes);
            let text = String::from_utf8(shown).unwrap();
            // Every ESC that is left begins one of the sequences that are let through.
            for after in text.split('\x1b').skip(1) {
                let rest = after.as_bytes();
                let harmless = match rest.split_first() {
                    Some((b'[', rest)) => {
                        let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte));
                        end.is_some_and(|end| is_harmless(&rest[..end], rest[end]))
                    }
                    Some((byte, _)) => b"78MDE".contains(byte),
                    None => false,
                };
                prop_assert!(harmless, "{:?}", after);
            }
        }
    }
}
