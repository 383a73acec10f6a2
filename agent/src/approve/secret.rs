//! A secret from a file, which nobody else may read, and which is never shown.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

/// Longest secret.
const LONGEST: u64 = 4096;
/// Shortest: what is shorter can be guessed.
const SHORTEST: usize = 16;

/// A secret shared with somebody else.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Reads it, without blanks around it.
    ///
    /// # Errors
    /// When it cannot be read, may be read or written by others, or is too short.
    pub fn read(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
        let found = file.metadata()?;
        let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        if !found.is_file() {
            return refuse("it is not a regular file");
        }
        if found.mode() & 0o077 != 0 {
            return refuse("others may read it; chmod 600");
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
        file.take(LONGEST + 1).read_to_end(&mut bytes)?;
        let secret = Zeroizing::new(bytes.trim_ascii().to_vec());
        if bytes.len() as u64 > LONGEST || secret.len() < SHORTEST {
            return refuse("a secret has from 16 to 4096 bytes");
        }
        Ok(Self(secret))
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        Self(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_private_and_long_enough() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let read = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Secret::read(&path)
        };
        assert_eq!(read(" 0123456789abcdef\n", 0o600).unwrap().bytes(), b"0123456789abcdef");
        assert!(read("0123456789abcdef\n", 0o640).is_err());
        assert!(read("0123456789abcde\n", 0o600).is_err());
        assert!(Secret::read(dir.path()).is_err());
        assert_eq!(format!("{:?}", Secret::of("hidden")), "Secret");
    }
}
