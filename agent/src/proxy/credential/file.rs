//! Files that only root and the daemon can read or change.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::CredentialError;

/// Reads a file of at most `most` bytes that belongs to root or the daemon, and to nobody else.
///
/// # Errors
/// See [`CredentialError`].
pub(in crate::proxy) fn private(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    let unreadable = |error: io::Error| CredentialError::Unreadable { path: path.to_owned(), error };
    // What is checked is what is open: a name may mean another file a moment later.
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if !found.is_file() {
        return Err(CredentialError::NoFile(path.to_owned()));
    }
    let ours = found.uid() == 0 || found.uid() == rustix::process::geteuid().as_raw();
    if !ours || found.mode() & 0o077 != 0 {
        return Err(CredentialError::Exposed { file: path.display().to_string() });
    }
    let room = usize::try_from(found.len().min(most)).unwrap_or_default() + 1;
    // With room enough from the start, growing leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err(CredentialError::Long { place: path.display().to_string() });
    }
    Ok(bytes)
}

/// The value of `key` in a text as systemd's `EnvironmentFile=` reads it; the last one holds.
///
/// Values over several lines are not read.
pub(super) fn value(text: &[u8], key: &str) -> Option<Zeroizing<Vec<u8>>> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut values = lines.filter_map(|line| line.strip_prefix(key.as_bytes())?.trim_ascii_start().strip_prefix(b"="));
    values.next_back().map(|value| unquoted(value.trim_ascii()))
}

/// `'as it is'`, `"with \" and \\"`, or bare.
fn unquoted(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let inside = |quote: &[u8]| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(plain) = inside(b"'") {
        return Zeroizing::new(plain.to_vec());
    }
    let Some(escaped) = inside(b"\"") else { return Zeroizing::new(value.to_vec()) };
    let mut plain = Zeroizing::new(Vec::with_capacity(escaped.len()));
    let mut bytes = escaped.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escapes = byte == b'\\' && bytes.peek().is_some_and(|next| b"\"\\`$".contains(next));
        plain.extend(if escapes { bytes.next() } else { Some(byte) });
    }
    plain
}
