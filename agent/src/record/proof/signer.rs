//! Keys of signed notes and their text forms (c2sp.org/signed-note): Ed25519, the signature type `0x01`, and no other.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Encoding};
use ed25519_dalek::{SIGNATURE_LENGTH, Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The signature type of Ed25519.
const ED25519: u8 = 1;
/// A key in a text form: its type and 32 bytes.
const KEY_BYTES: usize = 33;
/// Base64 of that.
const KEY_TEXT: usize = 44;
/// What the text form of a private key begins with.
const PRIVATE: &str = "PRIVATE+KEY+";
/// Longest name of a key: that of a host is at most 253 bytes, and names are repeated in every note.
const MAX_NAME: usize = 200;

/// Name of a key and of the log it signs, such as `sallyport.example.org/host-1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(String);

/// Why a text cannot be the name of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing.
    #[error("the name of a key cannot be empty")]
    Empty,
    /// Longer than a name may be.
    #[error("the name of a key has {found} bytes, and {MAX_NAME} are the most")]
    Long {
        /// Bytes of the text.
        found: usize,
    },
    /// A character that names must not have.
    #[error("the name of a key cannot contain {found:?}: no spaces, no plus and no control characters")]
    Character {
        /// The first of them.
        found: char,
    },
}

impl KeyName {
    /// The name, if it can be one: 1 to 200 bytes without spaces, plus and control characters.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > MAX_NAME {
            return Err(NameError::Long { found: name.len() });
        }
        match name.chars().find(|c| is_barred(*c) || c.is_control()) {
            Some(found) => Err(NameError::Character { found }),
            None => Ok(Self(name.to_owned())),
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the specification keeps a character out of names.
pub(super) fn is_barred(c: char) -> bool {
    c.is_whitespace() || c == '+'
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

/// Tells keys of one name apart; shown as 8 hexadecimal digits. Not a commitment to the key: colliding ones are easily made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub u32);

impl KeyId {
    /// `SHA-256(name || 0x0A || type || key)[:4]`
    fn of(name: &KeyName, key: &VerifyingKey) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(name.as_str());
        hasher.update([b'\n', ED25519]);
        hasher.update(key.as_bytes());
        let [a, b, c, d, ..]: [u8; 32] = hasher.finalize().into();
        Self(u32::from_be_bytes([a, b, c, d]))
    }

    fn parse(text: &str) -> Option<Self> {
        let id = u32::from_str_radix(text, 16).ok().map(Self)?;
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// Why a text is not a key. Says nothing of what the text holds: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// Not in that form.
    #[error("not of the form {0}")]
    Form(&'static str),
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The id is not one.
    #[error("the key's id is not 8 lowercase hexadecimal digits")]
    Id,
    /// The key's bytes cannot be read.
    #[error("the key is not base64 of {KEY_BYTES} bytes")]
    Encoding,
    /// A key for signatures of another kind.
    #[error("the key is of type {found:#04x}, and only Ed25519, 0x01, is known")]
    Type {
        /// Its type.
        found: u8,
    },
    /// Not a point of the curve, or one for which anybody can sign.
    #[error("the key is not a usable Ed25519 key")]
    Unusable,
    /// The id is not that of the key.
    #[error("the text states the key's id as {stated}, and it is {computed}")]
    Mismatch {
        /// In the text.
        stated: KeyId,
        /// Of the name and the key in the text.
        computed: KeyId,
    },
}

const VERIFIER_FORM: &str = "NAME+ID+KEY";
const SIGNER_FORM: &str = "PRIVATE+KEY+NAME+ID+KEY";

/// A public key and its name. As text a *vkey*, `NAME+ID+KEY`, such as
/// `example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    key: VerifyingKey,
}

impl VerifierKey {
    fn new(name: KeyName, key: VerifyingKey) -> Self {
        Self { id: KeyId::of(&name, &key), name, key }
    }

    /// Name of the key.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// What tells it from others of that name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The 32 bytes of the key (RFC 8032).
    pub fn key_bytes(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// Whether these bytes are its signature of a text. Stricter than RFC 8032: also the signature must not use a point
    /// of small order.
    pub(super) fn has_signed(&self, text: &str, signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [ED25519; KEY_BYTES];
        let [_, key @ ..] = &mut bytes;
        key.copy_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, self.id, Base64::encode_string(&bytes))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        let parts = Parts::of(text, VERIFIER_FORM)?;
        let key = VerifyingKey::from_bytes(&parts.key).ok().filter(|key| !key.is_weak());
        let key = Self::new(parts.name, key.ok_or(KeyTextError::Unusable)?);
        if key.id != parts.id {
            return Err(KeyTextError::Mismatch { stated: parts.id, computed: key.id });
        }
        Ok(key)
    }
}

impl Serialize for VerifierKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VerifierKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A key that signs. Its secret is wiped from memory when it is dropped, and shown nowhere but in [`Signer::to_text`].
pub struct Signer {
    key: SigningKey,
    public: VerifierKey,
}

impl Signer {
    /// A new key from the system's random numbers.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn generate(name: &KeyName) -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut())?;
        Ok(Self::new(name.clone(), &seed))
    }

    fn new(name: KeyName, seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        Self { public: VerifierKey::new(name, key.verifying_key()), key }
    }

    /// Reads `PRIVATE+KEY+NAME+ID+KEY`, the form of private keys that Go's `sumdb/note` gave the field.
    ///
    /// # Errors
    /// Why it is not one.
    pub fn from_text(text: &str) -> Result<Self, KeyTextError> {
        let parts = text.strip_prefix(PRIVATE).ok_or(KeyTextError::Form(SIGNER_FORM))?;
        let parts = Parts::of(parts, SIGNER_FORM)?;
        let signer = Self::new(parts.name, &parts.key);
        if signer.public.id != parts.id {
            return Err(KeyTextError::Mismatch { stated: parts.id, computed: signer.public.id });
        }
        Ok(signer)
    }

    /// Writes what [`Signer::from_text`] reads: the secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([ED25519; KEY_BYTES]);
        let [_, key @ ..] = &mut *bytes;
        key.copy_from_slice(self.key.as_bytes());
        let mut buffer = Zeroizing::new([0; KEY_TEXT]);
        let key = Base64::encode(bytes.as_slice(), buffer.as_mut_slice()).unwrap_or_default();
        let public = format!("{}+{}+", self.public.name, self.public.id);
        // At its final size from the beginning: no copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(PRIVATE.len() + public.len() + key.len()));
        text.extend([PRIVATE, &public, key]);
        text
    }

    /// The public part, as verifiers need it.
    pub fn public(&self) -> &VerifierKey {
        &self.public
    }

    /// The signature of a text, as it is.
    pub(super) fn sign(&self, text: &str) -> [u8; SIGNATURE_LENGTH] {
        self.key.sign(text.as_bytes()).to_bytes()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("public", &self.public).finish_non_exhaustive()
    }
}

/// `NAME+ID+KEY`, with either kind of key.
struct Parts {
    name: KeyName,
    id: KeyId,
    key: Zeroizing<[u8; 32]>,
}

impl Parts {
    fn of(text: &str, form: &'static str) -> Result<Self, KeyTextError> {
        let wrong = || KeyTextError::Form(form);
        let (name, rest) = text.split_once('+').ok_or_else(wrong)?;
        // Base64 may contain a plus.
        let (id, key) = rest.split_once('+').ok_or_else(wrong)?;
        let name = KeyName::new(name)?;
        let id = KeyId::parse(id).ok_or(KeyTextError::Id)?;
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        match Base64::decode(key, bytes.as_mut_slice()) {
            Ok([ED25519, seed @ ..]) => {
                let seed = seed.try_into().map_err(|_| KeyTextError::Encoding)?;
                Ok(Self { name, id, key: Zeroizing::new(seed) })
            }
            Ok([found, _, ..]) => Err(KeyTextError::Type { found: *found }),
            _ => Err(KeyTextError::Encoding),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::{EXAMPLE_VKEY, PETER_SKEY, PETER_VKEY};
    use super::*;

    #[test]
    fn known_keys_are_read_and_written_alike() {
        let signer = Signer::from_text(PETER_SKEY).unwrap();
        assert_eq!(signer.to_text().as_str(), PETER_SKEY);
        assert_eq!(signer.public().to_string(), PETER_VKEY);
        for vkey in [PETER_VKEY, EXAMPLE_VKEY] {
            let key: VerifierKey = vkey.parse().unwrap();
            assert_eq!(key.to_string(), vkey);
            assert_eq!(serde_json::from_str::<VerifierKey>(&serde_json::to_string(&key).unwrap()).unwrap(), key);
        }
        assert_eq!(PETER_VKEY.parse().as_ref(), Ok(signer.public()));
    }

    #[test]
    fn a_key_with_any_part_missing_or_changed_is_refused() {
        for (text, is_key) in [
            (PETER_VKEY, (|text| text.parse::<VerifierKey>().is_ok()) as fn(&str) -> bool),
            (PETER_SKEY, |text| Signer::from_text(text).is_ok()),
        ] {
            for start in 0..text.len() {
                for end in start + 1..=text.len() {
                    assert_eq!(is_key(&text[start..end]), end - start == text.len(), "{start}..{end}");
                }
            }
            for at in 0..text.len() {
                let mut changed = text.as_bytes().to_vec();
                changed[at] += 1;
                assert!(!is_key(std::str::from_utf8(&changed).unwrap()), "{at}");
            }
            assert!(!is_key(&format!("{text}\n")) && !is_key(&format!(" {text}")));
        }
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said() {
        let read = |text: &str| text.parse::<VerifierKey>().unwrap_err();
        let key = "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert_eq!(read("PeterNeumann"), KeyTextError::Form(VERIFIER_FORM));
        assert_eq!(read(&format!("+c74f20a3+{key}")), KeyTextError::Name(NameError::Empty));
        assert_eq!(read(&format!("PeterNeumann+C74F20A3+{key}")), KeyTextError::Id);
        assert_eq!(read(&format!("PeterNeumann++c74f20a{key}")), KeyTextError::Id);
        assert_eq!(read(&format!("PeterNeumann+c74f20a3+{key}AAAA")), KeyTextError::Encoding);
        assert_eq!(read("PeterNeumann+c74f20a3+AQ=="), KeyTextError::Encoding);
        assert_eq!(
            read("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
            KeyTextError::Type { found: 0x65 }
        );
        let zero = Base64::encode_string(&[&[1][..], &[0; 32]].concat());
        assert_eq!(read(&format!("PeterNeumann+c74f20a3+{zero}")), KeyTextError::Unusable);
        assert!(matches!(read(&format!("PeterNeumann+c74f20a4+{key}")), KeyTextError::Mismatch { .. }));
    }

    #[test]
    fn names_are_what_notes_can_carry() {
        assert!(KeyName::new("sallyport.example.org/host-1").is_ok());
        assert!(KeyName::new(&"é".repeat(100)).is_ok());
        assert_eq!(KeyName::new(""), Err(NameError::Empty));
        assert_eq!(KeyName::new(&"é".repeat(101)), Err(NameError::Long { found: 202 }));
        for found in [' ', '+', '\n', '\t', '\0', '\u{7f}', '\u{85}', '\u{a0}', '\u{2003}', '\u{3000}'] {
            assert_eq!(KeyName::new(&format!("host{found}1")), Err(NameError::Character { found }));
        }
    }

    #[test]
    fn new_keys_differ_and_show_no_secret() {
        let name = KeyName::new("host").unwrap();
        let (one, other) = (Signer::generate(&name).unwrap(), Signer::generate(&name).unwrap());
        assert_ne!(one.public(), other.public());
        let text = one.to_text();
        // Base64 has the sign that stands between the parts as well.
        let secret = text.splitn(5, '+').nth(4).unwrap();
        assert!(!format!("{one:?} {one:#?}").contains(secret));
        let again = Signer::from_text(&text).unwrap();
        assert!(one.public().has_signed("text", &again.sign("text")));
        assert!(!one.public().has_signed("text", &other.sign("text")));
    }
}
