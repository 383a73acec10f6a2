//! Looks for protected values in bytes, in the encodings that a database turns them into.

use std::collections::HashMap;

/// Everything that nobody may see, as it is stored.
const VALUES: [&str; 6] =
    ["871-62-5394", "342-19-7785", "615-84-2093", "538-07-1946", "4929471650381726", "5310882746195037"];
/// How much of a value nobody must be sent in one piece.
const SENT: usize = 6;
/// How much of one must not be kept: among numbers of all kinds, less would be found by chance.
const KEPT: usize = 9;
/// As long as the shortest piece.
const START: usize = 4;

/// Pieces of values in any encoding, each with what it is a piece of, by how they begin.
pub struct Secrets {
    pieces: HashMap<[u8; START], Vec<(Vec<u8>, String)>>,
}

impl Secrets {
    /// To be looked for in what was sent.
    pub fn sent() -> Self {
        Self::of(SENT)
    }

    /// To be looked for in what is kept.
    pub fn kept() -> Self {
        Self::of(KEPT)
    }

    fn of(length: usize) -> Self {
        let mut pieces = Vec::new();
        for value in VALUES {
            let digits: String = value.chars().filter(char::is_ascii_digit).collect();
            let reversed: String = digits.chars().rev().collect();
            for (form, text) in [("as it is", value), ("digits", &digits), ("reversed", &reversed)] {
                for window in text.as_bytes().windows(length) {
                    let mut add = |encoding: &str, bytes: Vec<u8>| {
                        pieces.push((bytes, format!("{value} ({form}, {encoding})")));
                    };
                    add("plain", window.to_vec());
                    add("hex", window.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect());
                    add("wide", window.iter().flat_map(|byte| [0, *byte]).skip(1).collect());
                    for cut in 0..3 {
                        add("base64", base64(&text.as_bytes()[cut..]));
                    }
                }
            }
            // As numbers in binary cells.
            if let Ok(number) = digits.parse::<i32>() {
                pieces.push((number.to_be_bytes().to_vec(), format!("{value} (int4)")));
                pieces.push((f64::from(number).to_be_bytes().to_vec(), format!("{value} (float8)")));
            }
        }
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for (piece, what) in pieces {
            let start = *piece.first_chunk().expect("no piece is shorter");
            all.entry(start).or_default().push((piece, what));
        }
        Self { pieces: all }
    }

    /// The first value that is in there.
    pub fn found_in(&self, bytes: &[u8]) -> Option<&str> {
        bytes.windows(START).enumerate().find_map(|(at, start)| {
            let begun = self.pieces.get(start)?;
            begun.iter().find(|(piece, _)| bytes[at..].starts_with(piece)).map(|(_, what)| what.as_str())
        })
    }

    /// The text around the first value that is in there.
    pub fn shown_in(&self, bytes: &[u8]) -> Option<String> {
        let what = self.found_in(bytes)?;
        let end =
            (0..=bytes.len()).step_by(64).chain([bytes.len()]).find(|end| self.found_in(&bytes[..*end]).is_some())?;
        let around = &bytes[end.saturating_sub(400)..bytes.len().min(end + 100)];
        Some(format!("{what} in `{}`", String::from_utf8_lossy(around)))
    }

    /// As [`Secrets::found_in`], with everything but digits left out: values that come in small pieces.
    pub fn found_among_digits(&self, bytes: &[u8]) -> Option<&str> {
        let digits: Vec<u8> = bytes.iter().copied().filter(u8::is_ascii_digit).collect();
        self.found_in(&digits)
    }
}

/// Twelve characters of a text's base64, or what there is.
fn base64(text: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let number = three.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| LETTERS[number >> shift & 63])
    };
    text.chunks_exact(3).take(2).flat_map(group).collect()
}

#[test]
fn evasion_secrets_are_found() {
    let secrets = Secrets::sent();
    for seen in
        ["x 871-62-5394", "871625394", "3837312d36322d", "4935261", "8\x007\x001\x006\x002\x005", "ODcxLTYyLTUzOTQ="]
    {
        assert!(secrets.found_in(seen.as_bytes()).is_some(), "{seen}");
    }
    assert!(secrets.found_in(&871_625_394_i32.to_be_bytes()).is_some());
    assert!(secrets.found_among_digits(b"8|7|1|6|2|5").is_some());
    for unseen in ["", "***", "2024-02-03 1726", "871-6", "0000000000"] {
        assert!(secrets.found_in(unseen.as_bytes()).is_none(), "{unseen}");
    }
}
