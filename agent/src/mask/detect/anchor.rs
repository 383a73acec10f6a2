//! The pass that knows by four bytes where a key, an assignment or a telling word may begin.

use std::sync::LazyLock;

use super::context::Topic;
use super::{Scan, assignment, token};

/// What may begin somewhere.
#[derive(Clone, Copy)]
enum Anchor {
    /// `eyJ`, and base64url.
    Jwt,
    /// `BEGIN`, with dashes before it.
    Pem,
    /// A key with this prefix, index of [`token::KEYS`].
    Key(usize),
    /// A word before a secret, index of [`assignment::WORDS`].
    Secret(usize),
    /// `Bearer` or `Basic`.
    Scheme,
    /// A word about a topic, index of [`WORDS`].
    Word(usize),
}

/// Words about a topic, in lower case.
const WORDS: [(&str, Topic); 18] = [
    ("social security", Topic::Ssn),
    ("social-security", Topic::Ssn),
    ("social_security", Topic::Ssn),
    ("socialsecurity", Topic::Ssn),
    ("card", Topic::Card),
    ("credit", Topic::Card),
    ("visa", Topic::Card),
    ("mastercard", Topic::Card),
    ("amex", Topic::Card),
    ("american express", Topic::Card),
    ("phone", Topic::Phone),
    ("mobile", Topic::Phone),
    ("cell", Topic::Phone),
    ("whatsapp", Topic::Phone),
    ("msisdn", Topic::Phone),
    ("call me", Topic::Phone),
    ("call us", Topic::Phone),
    ("telefon", Topic::Phone),
];
/// Words of three letters, which need a fourth byte to be looked for.
const SHORT_WORDS: [(&str, Topic); 4] =
    [("ssn", Topic::Ssn), ("tel", Topic::Phone), ("fax", Topic::Phone), ("pan", Topic::Card)];
/// What may stand behind one of them.
const BEHIND_SHORT: &[u8] = b" :=.,;#/-_\"')\t\n\r|";

/// Hashes of four bytes, letters in either case.
const SLOTS: u32 = 1 << 16;

struct Table {
    /// A bit for every hash that some anchor has.
    bits: Box<[u64; SLOTS as usize / 64]>,
    /// Anchors by their four bytes, sorted.
    anchors: Vec<(u32, Anchor)>,
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

fn folded(four: [u8; 4]) -> u32 {
    u32::from_le_bytes(four) | 0x2020_2020
}

fn slot(folded: u32) -> u16 {
    // Knuth's multiplier; the upper bits are the mixed ones.
    (folded.wrapping_mul(2_654_435_761) >> 16) as u16
}

impl Table {
    fn new() -> Self {
        let mut anchors = Vec::new();
        let mut add = |text: &[u8], anchor| {
            if let Some(four) = text.first_chunk::<4>() {
                anchors.push((folded(*four), anchor));
            }
        };
        for last in (b'0'..=b'9').chain(b'a'..=b'z').chain(*b"_-") {
            add(&[b'e', b'y', b'j', last], Anchor::Jwt);
        }
        add(b"begin", Anchor::Pem);
        for (index, (prefix, ..)) in token::KEYS.iter().enumerate() {
            add(prefix.as_bytes(), Anchor::Key(index));
        }
        for (index, word) in assignment::WORDS.iter().enumerate() {
            match word.len() {
                3 => (*b" :=\"'\t\\_-.").iter().chain(b"0123456789").for_each(|behind| {
                    add(&[word.as_bytes(), &[*behind]].concat(), Anchor::Secret(index));
                }),
                _ => add(word.as_bytes(), Anchor::Secret(index)),
            }
        }
        add(b"bearer", Anchor::Scheme);
        add(b"basic", Anchor::Scheme);
        for (index, (word, _)) in WORDS.iter().enumerate() {
            add(word.as_bytes(), Anchor::Word(index));
        }
        for (index, (word, _)) in SHORT_WORDS.iter().enumerate() {
            for behind in BEHIND_SHORT {
                add(&[word.as_bytes(), &[*behind]].concat(), Anchor::Word(WORDS.len() + index));
            }
        }
        anchors.sort_by_key(|(four, _)| *four);
        let mut bits = Box::new([0_u64; SLOTS as usize / 64]);
        for (four, _) in &anchors {
            let slot = slot(*four);
            if let Some(word) = bits.get_mut(usize::from(slot >> 6)) {
                *word |= 1 << (slot & 63);
            }
        }
        Self { bits, anchors }
    }

    fn may_hold(&self, folded: u32) -> bool {
        let slot = slot(folded);
        self.bits.get(usize::from(slot >> 6)).is_some_and(|word| word >> (slot & 63) & 1 == 1)
    }
}

/// Looks at every place of the value.
pub(super) fn scan(scan: &mut Scan<'_>) {
    let table = &*TABLE;
    let value = scan.value;
    for (at, four) in value.array_windows::<4>().enumerate() {
        let four = folded(*four);
        if table.may_hold(four) {
            found(scan, table, four, at);
        }
    }
    // The last three bytes have no fourth one behind them.
    if let Some(at) = value.len().checked_sub(3) {
        (WORDS.len()..WORDS.len() + SHORT_WORDS.len()).for_each(|index| word(scan, at, index));
    }
}

#[cold]
fn found(scan: &mut Scan<'_>, table: &Table, four: u32, at: usize) {
    let first = table.anchors.partition_point(|(known, _)| *known < four);
    let same = table.anchors.iter().skip(first).take_while(|(known, _)| *known == four);
    for (_, anchor) in same {
        match *anchor {
            Anchor::Jwt => token::jwt(scan, at),
            Anchor::Pem => token::private_key(scan, at),
            Anchor::Key(index) => token::key(scan, at, index),
            Anchor::Secret(index) => assignment::after_word(scan, at, index),
            Anchor::Scheme => assignment::after_scheme(scan, at),
            Anchor::Word(index) => word(scan, at, index),
        }
    }
}

/// Notes a word about a topic where it stands by itself, or at the beginning of a longer one.
fn word(scan: &mut Scan<'_>, at: usize, index: usize) {
    let Some((word, topic)) = WORDS.iter().chain(&SHORT_WORDS).nth(index) else { return };
    let found = scan.part(at..at + word.len()).eq_ignore_ascii_case(word.as_bytes());
    if found && !scan.before(at).is_ascii_alphanumeric() {
        scan.topics.add(*topic, at);
    }
}
