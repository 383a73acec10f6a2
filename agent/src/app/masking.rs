//! The classification of a running daemon, and the key its pseudonyms are made with.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use zeroize::Zeroizing;

use super::AppError;
use crate::{
    config::Config,
    mask::{Classes, Key, load},
};

/// The key's file in the state directory.
const KEY: &str = "mask.key";
/// Its length in bytes.
const LENGTH: usize = 32;

/// The classification as it is at the start, and the key.
///
/// # Errors
/// When it is wrong, or the key cannot be read or made.
pub(super) fn open(config: &Config) -> Result<(Arc<Classes>, Arc<Key>), AppError> {
    let key = Arc::new(key(&config.state_dir).map_err(AppError::system("reading the key of pseudonyms, mask.key"))?);
    let classes = match load::load(&config.policy.directory, &key) {
        Ok(classes) => classes,
        Err(rejected) if rejected.missing && !config.policy.required => Classes::empty(),
        Err(rejected) => return Err(AppError::Policies(rejected)),
    };
    for warning in classes.warnings() {
        tracing::warn!("{warning}");
    }
    Ok((Arc::new(classes), key))
}

/// Reads the key, made when it is first asked for: whoever comes second takes the first one's.
fn key(state: &Path) -> io::Result<Key> {
    let path = state.join(KEY);
    if !path.try_exists()? {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        getrandom::fill(bytes.as_mut_slice()).map_err(io::Error::other)?;
        let new = state.join(format!(".{KEY}.{}", std::process::id()));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes.as_slice()).and_then(|()| file.sync_all())?;
        let linked = fs::hard_link(&new, &path);
        fs::remove_file(&new)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    let file = File::open(&path)?;
    let found = file.metadata()?;
    if found.mode() & 0o077 != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "others may read it; chmod 600"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH + 1));
    file.take(LENGTH as u64 + 1).read_to_end(&mut bytes)?;
    let bytes: [u8; LENGTH] = bytes.as_slice().try_into().map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "it is not 32 bytes; what was made with it needs it back")
    })?;
    Ok(Key::new(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        key(dir.path()).unwrap();
        let path = dir.path().join(KEY);
        let first = fs::read(&path).unwrap();
        key(dir.path()).unwrap();
        assert_eq!((fs::read(&path).unwrap(), first.len()), (first.clone(), LENGTH));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(key(dir.path()).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"short").unwrap();
        assert!(key(dir.path()).is_err());
    }
}
