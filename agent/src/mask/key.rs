//! The key of pseudonyms, and HMAC-SHA-256 (RFC 2104) under it, apart for every class.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Block of SHA-256, bytes.
const BLOCK: usize = 64;
/// What this use of the key is named, so that no other use of the same key gives the same values.
const DOMAIN: &[u8] = b"sallyport mask pseudonym v1\0";

/// The secret that pseudonyms are made with. Whoever has it can try out what a pseudonym stands for.
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// A key of 256 random bits.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key of one class: equal values are equal within a class, and say nothing across classes.
    pub(super) fn of_class(&self, class: &str) -> ClassKey {
        let base = Hmac::new(self.0.as_slice());
        ClassKey(Hmac::new(&base.of(&[DOMAIN, class.as_bytes()])))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(hidden)")
    }
}

/// The key of a class, with the key's part of the work done.
#[derive(Clone)]
pub(super) struct ClassKey(Hmac);

impl ClassKey {
    /// The pseudonym's bits of a value; `attempt` tells further ones of the same value apart.
    pub(super) fn tag(&self, value: &[u8], attempt: u8) -> [u8; 32] {
        self.0.of(&[&[attempt], value])
    }
}

impl fmt::Debug for ClassKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClassKey(hidden)")
    }
}

#[derive(Clone)]
struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    /// Keys are at most a block long here.
    fn new(key: &[u8]) -> Self {
        let padded = |pad: u8| {
            let mut block = Zeroizing::new([pad; BLOCK]);
            block.iter_mut().zip(key).for_each(|(into, byte)| *into ^= byte);
            Sha256::new().chain_update(block.as_slice())
        };
        Self { inner: padded(0x36), outer: padded(0x5c) }
    }

    fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut inner = self.inner.clone();
        parts.iter().for_each(|part| inner.update(part));
        self.outer.clone().chain_update(inner.finalize()).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 4231, test cases 1 and 2.
    #[test]
    fn it_is_hmac_sha_256() {
        let tag = Hmac::new(&[0x0b; 20]).of(&[b"Hi ", b"There"]);
        assert_eq!(hex(&tag), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        let tag = Hmac::new(b"Jefe").of(&[b"what do ya want for nothing?"]);
        assert_eq!(hex(&tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn classes_and_keys_are_apart() {
        let tag = |key: u8, class: &str| Key::new([key; 32]).of_class(class).tag(b"ada@example.org", 0);
        assert_eq!(tag(1, "pan"), tag(1, "pan"));
        assert_ne!(tag(1, "pan"), tag(1, "pii.email"));
        assert_ne!(tag(1, "pan"), tag(2, "pan"));
        assert!(!format!("{:?}", Key::new([7; 32])).contains('7'));
    }
}
