//! What was done, written down before it is done: `STATE/trust.json`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Everything that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// 1.
    pub(super) version: u32,
    /// Below which directory.
    pub(super) root: PathBuf,
    /// The certificate, SHA-256 in hex.
    pub(super) certificate: String,
    /// What was changed, in this order.
    pub(super) changes: Vec<Change>,
}

/// One thing that was done. Paths are as they are below the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Change {
    /// A file of ours.
    File {
        /// Where.
        path: PathBuf,
        /// All of it.
        text: String,
        /// Directories that were made for it, outermost first.
        made: Vec<PathBuf>,
    },
    /// A piece at the end of somebody's file.
    Block {
        /// Where.
        path: PathBuf,
        /// Whose.
        uid: u32,
        /// What was added.
        text: String,
        /// Length of the file before.
        length: u64,
        /// Digest of the file before.
        before: String,
    },
    /// An entry of a Java key store.
    KeyStore {
        /// Where.
        path: PathBuf,
        /// The program that changes it.
        keytool: PathBuf,
        /// The entry's name.
        alias: String,
        /// Where the file as it was before is kept.
        kept: PathBuf,
        /// Digest of the file after; empty until it is done.
        after: String,
    },
    /// A command that takes the files in, now and when they are gone.
    Command {
        /// Program and arguments.
        words: Vec<String>,
    },
}

impl Manifest {
    /// Reads it; `None` when nothing was done.
    pub(super) fn read(state: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read(path(state)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let manifest: Self = serde_json::from_slice(&text)?;
        if manifest.version != 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is of another version of sallyport"));
        }
        Ok(Some(manifest))
    }

    /// Writes it, on the disk when this returns.
    pub(super) fn write(&self, state: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        whole(&path(state), &text, 0o600)
    }

    /// Nothing is done any more.
    pub(super) fn forget(state: &Path) -> io::Result<()> {
        match fs::remove_file(path(state)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Err(_) | Ok(()) => Ok(()),
        }
    }
}

/// Where it is.
pub(super) fn path(state: &Path) -> PathBuf {
    state.join("trust.json")
}

/// SHA-256 in hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts a whole file in its place, on the disk when this returns.
pub(super) fn whole(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let mut making = path.as_os_str().to_owned();
    making.push(".sallyport-new");
    let making = PathBuf::from(making);
    if let Err(error) = fs::remove_file(&making)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&making)?;
    // Whatever the umask is.
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&making, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}
