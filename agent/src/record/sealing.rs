//! Payload chunks under a key: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), a random nonce before each chunk.
//!
//! The digest that finds equal chunks is keyed as well, so that nobody without the key can try what a chunk holds.

use std::path::{Path, PathBuf};
use std::{fs, io};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::RecordError;

const NONCE: usize = 24;
/// Credential of systemd that holds the key in force; those of before are `sallyport-payload-key.*`.
const CREDENTIAL: &str = "sallyport-payload-key";

/// One key.
pub(crate) struct Sealer {
    id: String,
    cipher: XChaCha20Poly1305,
    /// SHA-256 state after the key for digests.
    digests: Sha256,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Sealer {
    /// The key of 32 bytes, or of 64 hexadecimal digits.
    fn new(text: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0_u8; 32]);
        let trimmed = text.trim_ascii();
        if text.len() == key.len() {
            key.copy_from_slice(text);
        } else if trimmed.len() == 64 {
            for (byte, digits) in key.iter_mut().zip(trimmed.chunks(2)) {
                *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            }
        } else {
            return None;
        }
        let derived = |purpose: &str| Sha256::new().chain_update(purpose).chain_update(*key).finalize();
        let id = derived("sallyport payload key id");
        let id = id.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let cipher = XChaCha20Poly1305::new_from_slice(&*key).ok()?;
        // One block of key, so that the state after it cannot be reached without the key; then the digest is hashed again.
        let digests = Sha256::new().chain_update(derived("sallyport payload digest")).chain_update([0; 32]);
        Some(Self { id, cipher, digests })
    }

    /// Names the key without telling anything of it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Keyed digest of plain bytes: nested, as in HMAC.
    pub(super) fn digest(&self, plain: &[u8]) -> [u8; 32] {
        let inner = self.digests.clone().chain_update(plain).finalize();
        self.digests.clone().chain_update([1]).chain_update(inner).finalize().into()
    }

    /// Nonce and cipher text.
    pub(super) fn seal(&self, digest: &[u8; 32], plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        // Sixteen bytes of it are as random as a session id; equal chunks are stored once, so no nonce comes twice.
        let (first, rest) = nonce.split_at_mut(16);
        first.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        rest.copy_from_slice(uuid::Uuid::new_v4().as_bytes().get(..8).unwrap_or(&[0; 8]));
        let sealed = self.cipher.encrypt(&nonce.into(), Payload { msg: plain, aad: digest });
        let mut out = nonce.to_vec();
        // Encrypting to memory does not fail; what cannot be opened is better than what is not sealed.
        out.extend(sealed.unwrap_or_default());
        out
    }

    /// What was sealed; `None` when it was with another key, or changed since.
    pub(crate) fn open(&self, digest: &[u8; 32], data: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = data.split_first_chunk::<NONCE>()?;
        self.cipher.decrypt(&(*nonce).into(), Payload { msg: sealed, aad: digest }).ok()
    }
}

/// The key in force and those of before, to read what they sealed.
#[derive(Debug, Default)]
pub(crate) struct ChunkKeys(Vec<Sealer>);

impl ChunkKeys {
    /// Reads the keys: the credential of systemd, or else a file, with those of before beside it (`FILE.*`).
    ///
    /// # Errors
    /// When there is none, or one is not 32 bytes or 64 hexadecimal digits.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, RecordError> {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| Path::new(&dir).join(CREDENTIAL));
        let Some(path) = credentials.filter(|path| path.exists()).or_else(|| file.map(Path::to_owned)) else {
            return Err(RecordError::NoPayloadKey);
        };
        let mut keys = vec![read(&path)?];
        for before in before(&path) {
            keys.push(read(&before)?);
        }
        Ok(Self(keys))
    }

    /// The key in force.
    pub(crate) fn current(&self) -> Option<&Sealer> {
        self.0.first()
    }

    /// The key of this name.
    pub(crate) fn named(&self, id: &str) -> Option<&Sealer> {
        self.0.iter().find(|key| key.id == id)
    }
}

fn before(path: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let prefix = format!("{name}.");
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|e| e.path())
        .filter(|p| p.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(&prefix)))
        .collect()
}

fn read(path: &Path) -> Result<Sealer, RecordError> {
    let text = fs::read(path).map(Zeroizing::new).map_err(|e| RecordError::file("read", path, e))?;
    Sealer::new(&text).ok_or_else(|| {
        let what = io::Error::new(io::ErrorKind::InvalidData, "a payload key is 32 bytes or 64 hexadecimal digits");
        RecordError::file("use the key in", path, what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_digest_only() {
        let key = Sealer::new(&[7; 32]).unwrap();
        let same = Sealer::new("07".repeat(32).as_bytes()).unwrap();
        let other = Sealer::new(&[8; 32]).unwrap();
        let digest = key.digest(b"plain");
        let sealed = key.seal(&digest, b"plain");
        assert_eq!(same.open(&digest, &sealed).as_deref(), Some(&b"plain"[..]));
        assert_eq!(other.open(&digest, &sealed), None);
        assert_eq!(key.open(&key.digest(b"other"), &sealed), None);
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(key.open(&digest, &changed), None);
        assert_ne!(key.digest(b"plain"), other.digest(b"plain"));
        assert_ne!(sealed, key.seal(&digest, b"plain"));
        assert_eq!(key.id(), same.id());
        assert!(Sealer::new(b"short").is_none());
        assert!(!format!("{key:?}").contains("7, 7"));
    }
}
