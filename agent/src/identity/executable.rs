//! The running image: its inode and the digest of its content.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, Serializer};
use sha2::Digest as _;

use super::cache::Generations;

/// Digests kept: more than the distinct programs of a busy host.
const CACHED: usize = 4096;
/// Images above this are not hashed: a sparse file of terabytes must not hold the daemon.
const MAX_HASHED: u64 = 1 << 30;
const CHUNK: usize = 128 << 10;

/// A SHA-256 digest; shown as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileKey {
    pub(super) dev: u64,
    pub(super) ino: u64,
    size: u64,
    mtime_ns: i128,
    ctime_ns: i128,
}

impl FileKey {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        let ns = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Ok(Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.size(),
            mtime_ns: ns(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: ns(meta.ctime(), meta.ctime_nsec()),
        })
    }
}

type Slot = Arc<Mutex<Option<Sha256>>>;

/// Digests by file, computed once even when many connections ask at the same time.
#[derive(Debug)]
pub(super) struct Digests(Mutex<Generations<FileKey, Slot>>);

impl Digests {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Generations::new(CACHED)))
    }

    /// The digest of an open file, or `None` when it is too large, changes under the reading, or cannot be read.
    pub(super) fn of(&self, mut file: &File, key: FileKey) -> Option<Sha256> {
        if key.size > MAX_HASHED {
            return None;
        }
        let slot = {
            let mut digests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            digests.find(&key).unwrap_or_else(|| {
                let slot = Slot::default();
                digests.insert(key, Arc::clone(&slot));
                slot
            })
        };
        let mut digest = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if digest.is_none() {
            let computed = hash(&mut file).ok()?;
            if FileKey::of(file).ok()? == key {
                *digest = Some(computed);
            }
        }
        *digest
    }
}

fn hash(reader: &mut impl Read) -> io::Result<Sha256> {
    let mut hasher = sha2::Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut reader = reader.take(MAX_HASHED);
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return Ok(Sha256(hasher.finalize().into())),
            Ok(n) => hasher.update(chunk.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_has_another_digest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let digests = Digests::new();
        let digest = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            let file = File::open(&path).unwrap();
            digests.of(&file, FileKey::of(&file).unwrap()).unwrap().to_string()
        };
        assert_eq!(digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn a_second_look_does_not_read_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        std::fs::write(&path, b"abc").unwrap();
        let digests = Digests::new();
        let file = File::open(&path).unwrap();
        let key = FileKey::of(&file).unwrap();
        let first = digests.of(&file, key).unwrap();
        // At its end the file has nothing more to read: only the cache can answer.
        assert_eq!(digests.of(&file, key), Some(first));
    }

    #[test]
    fn a_file_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("image")).unwrap();
        file.set_len(MAX_HASHED + 1).unwrap();
        assert_eq!(Digests::new().of(&file, FileKey::of(&file).unwrap()), None);
    }
}
