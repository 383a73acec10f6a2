//! Hashes of the log: of its leaves, its nodes and of nothing (RFC 6962, section 2.1).

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// Bytes of a SHA-256 hash.
pub const HASH_BYTES: usize = 32;

// What keeps a leaf from being taken for a node.
const LEAF_PREFIX: u8 = 0;
const NODE_PREFIX: u8 = 1;

/// A SHA-256 hash: of a leaf, a node or a whole log.
///
/// Shown, parsed and serialised as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; HASH_BYTES]);

/// Not a hash in the text form that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 hash: {expected} expected")]
pub struct NotAHash {
    expected: &'static str,
}

impl Hash {
    /// The root of a log without leaves: the hash of nothing.
    pub fn empty_root() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// Standard base64 with padding, 44 characters: the form that checkpoints have.
    pub fn to_base64(self) -> String {
        Base64::encode_string(&self.0)
    }

    /// Reads what [`Hash::to_base64`] writes.
    ///
    /// # Errors
    /// When the text is not exactly that.
    pub fn from_base64(text: &str) -> Result<Self, NotAHash> {
        let mut bytes = [0; HASH_BYTES];
        match Base64::decode(text, &mut bytes) {
            Ok(decoded) if decoded.len() == HASH_BYTES => Ok(Self(bytes)),
            _ => Err(NotAHash { expected: "44 characters of base64" }),
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let wrong = NotAHash { expected: "64 lowercase hexadecimal digits" };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != HASH_BYTES || !rest.is_empty() {
            return Err(wrong);
        }
        let mut bytes = [0; HASH_BYTES];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low).ok_or(wrong)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The hash of a leaf whose data come in pieces: `SHA-256(0x00 || data)`.
#[derive(Clone, Debug)]
pub struct Leaf(Sha256);

impl Leaf {
    /// A leaf without data so far.
    pub fn new() -> Self {
        Self(Sha256::new_with_prefix([LEAF_PREFIX]))
    }

    /// Adds data; where one piece ends and the next begins makes no difference.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The hash of everything that was added.
    pub fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

impl Default for Leaf {
    fn default() -> Self {
        Self::new()
    }
}

/// The hash of a leaf: `SHA-256(0x00 || data)`.
pub fn leaf(data: &[u8]) -> Hash {
    let mut leaf = Leaf::new();
    leaf.update(data);
    leaf.finish()
}

/// The hash of a node: `SHA-256(0x01 || left || right)`.
pub fn node(left: Hash, right: Hash) -> Hash {
    let mut hasher = Sha256::new_with_prefix([NODE_PREFIX]);
    hasher.update(left.0);
    hasher.update(right.0);
    Hash(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_in_pieces_is_the_leaf() {
        let mut pieces = Leaf::new();
        pieces.update(b"one");
        pieces.update(b"");
        pieces.update(b" two");
        assert_eq!(pieces.finish(), leaf(b"one two"));
        assert_ne!(leaf(&[leaf(b"l").0, leaf(b"r").0].concat()), node(leaf(b"l"), leaf(b"r")));
    }

    #[test]
    fn text_forms_lead_back_and_no_other_is_read() {
        let hash = leaf(b"text");
        let (hex, base64) = (hash.to_string(), hash.to_base64());
        assert_eq!(hex.parse(), Ok(hash));
        assert_eq!(Hash::from_base64(&base64), Ok(hash));
        assert_eq!(serde_json::to_string(&hash).unwrap(), format!("\"{hex}\""));
        assert_eq!(serde_json::from_str::<Hash>(&format!("\"{hex}\"")).unwrap(), hash);
        for wrong in [&hex[1..], &hex.to_uppercase(), &format!("{hex}0"), &format!("{}é", &hex[2..]), ""] {
            assert!(wrong.parse::<Hash>().is_err(), "{wrong}");
        }
        for wrong in [base64.trim_end_matches('='), &base64[4..], &format!("{base64}AAAA"), &format!("{base64}\n"), ""]
        {
            assert!(Hash::from_base64(wrong).is_err(), "{wrong}");
        }
    }
}
