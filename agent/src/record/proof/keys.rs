//! Where the key that signs checkpoints is kept, and the public keys of those that did before.
//!
//! The key is the credential `sallyport-checkpoint-key` that systemd gives, or a file that the configuration names, or
//! `STATE/keys/checkpoint.key`, which is made when it is needed. Whichever it is, its public part stands in
//! `STATE/keys/checkpoint.pub`; when that names another key, the other is retired: `STATE/keys/retired/ID.pub`. So a
//! checkpoint of any time can be verified, also after an operator exchanged a credential.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::signer::{KeyName, KeyTextError, Signer, VerifierKey};

/// Name of the credential in `$CREDENTIALS_DIRECTORY`.
const CREDENTIAL: &str = "sallyport-checkpoint-key";
const KEY: &str = "checkpoint.key";
const PUBLIC: &str = "checkpoint.pub";
const RETIRED: &str = "retired";
const DIRECTORY_MODE: u32 = 0o755;
const KEY_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;
/// Longest file of keys that is read, bytes; one key has 300 at most.
const MAX_FILE: u64 = 64 << 10;

/// Why there is no key to sign with, or why the public ones cannot be told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KeyError {
    /// A file or directory could not be read or written.
    #[error("cannot {doing} {path}: check that it may be, and that its file system is neither full nor read-only")]
    File {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The configured key is not there.
    #[error(
        "the key {path} that the configuration names is not there: put it there, or name none and one is made in the state directory"
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Not a plain file.
    #[error("{path} is not a plain file: put the key itself there")]
    NotAFile {
        /// What it is instead of.
        path: PathBuf,
    },
    /// Others may read the key.
    #[error(
        "others may read the key {path} (mode {mode:04o}), so their checkpoints could pass for this log's: replace it if they may have, and run `chmod 600 {path}`"
    )]
    Readable {
        /// The key.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The key is somebody else's.
    #[error(
        "the key {path} belongs to user {uid}, neither root nor the one who runs this: replace it if that user is not to sign, and run `chown root {path}`"
    )]
    Owner {
        /// The key.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// Others may exchange what is in the directory of keys.
    #[error(
        "others may change the keys in {path} (mode {mode:04o}, owner {uid}): look whether they did, then run `chown root {path}` and `chmod 700 {path}`"
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// Its owner.
        uid: u32,
    },
    /// Not a key.
    #[error("{path} does not hold a key: restore it from a copy, or move it away and another is made or written")]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyTextError,
    },
    /// The key in force is not one that was made here.
    #[error(
        "the key in force is {path}, which is not for this program to change: put another there and restart; the old one's public part is kept"
    )]
    NotOurs {
        /// Where it is.
        path: PathBuf,
    },
    /// The system gave no random numbers.
    #[error("the system has no random numbers for a new key")]
    Random(#[source] getrandom::Error),
}

impl KeyError {
    fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { doing, path: path.to_owned(), source: Arc::new(source) }
    }
}

/// Where a key is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A credential of systemd.
    Credential,
    /// The configured file.
    File,
    /// Made by this program, in the state directory.
    State,
}

/// Where the key can be, in the order in which it is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPlaces {
    credential: Option<PathBuf>,
    file: Option<PathBuf>,
    directory: PathBuf,
}

impl KeyPlaces {
    /// For that state directory and what the configuration names; systemd's credentials are found in the environment.
    pub fn new(state_dir: &Path, configured: Option<&Path>) -> Self {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self::with(credentials.as_deref(), configured, state_dir)
    }

    fn with(credentials: Option<&Path>, configured: Option<&Path>, state_dir: &Path) -> Self {
        Self {
            credential: credentials.map(|directory| directory.join(CREDENTIAL)),
            file: configured.map(Path::to_owned),
            directory: state_dir.join("keys"),
        }
    }

    /// The key that is there, without making one.
    fn find(&self) -> Result<Option<(Signer, KeySource, PathBuf)>, KeyError> {
        if let Some(path) = &self.credential
            && let Some(signer) = read_signer(path, KeySource::Credential)?
        {
            return Ok(Some((signer, KeySource::Credential, path.clone())));
        }
        if let Some(path) = &self.file {
            let signer = read_signer(path, KeySource::File)?.ok_or_else(|| KeyError::Missing { path: path.clone() })?;
            return Ok(Some((signer, KeySource::File, path.clone())));
        }
        let path = self.directory.join(KEY);
        Ok(read_signer(&path, KeySource::State)?.map(|signer| (signer, KeySource::State, path)))
    }
}

/// The key that signs, and those that did.
#[derive(Debug)]
pub struct Keys {
    signer: Signer,
    source: KeySource,
    retired: Vec<VerifierKey>,
}

/// One key in place of another.
#[derive(Debug)]
pub struct Rotation {
    /// The key that no longer signs.
    pub old: VerifierKey,
    /// The new one, and all before it.
    pub keys: Keys,
}

impl Keys {
    /// Finds the key, or makes one of that name. A key that is there keeps the name it has, whatever is asked for: it is
    /// the log's, and outlives a change of the host's.
    ///
    /// # Errors
    /// When the key is not there, not a key or not kept from others, or when its public part cannot be written.
    pub fn load(places: &KeyPlaces, name: &KeyName) -> Result<Self, KeyError> {
        let _lock = lock(&places.directory)?;
        let (signer, source) = match places.find()? {
            Some((signer, source, _)) => (signer, source),
            None => (make(&places.directory, name)?, KeySource::State),
        };
        publish(&places.directory, signer.public())?;
        let mut retired = read_retired(&places.directory)?;
        retired.retain(|key| key != signer.public());
        Ok(Self { signer, source, retired })
    }

    /// As [`Keys::load`] for a process beside the one whose log it is: `None` when a key is in force that this process
    /// cannot see, such as a credential of another's. Then it must not sign, rather than with a key of its own.
    ///
    /// # Errors
    /// What [`Keys::load`] says.
    pub fn load_beside(places: &KeyPlaces, name: &KeyName) -> Result<Option<Self>, KeyError> {
        let hidden = places.find()?.is_none() && !read_public(&places.directory.join(PUBLIC))?.is_empty();
        if hidden { Ok(None) } else { Self::load(places, name).map(Some) }
    }

    /// Whether the key that signs is no longer the one in force.
    pub fn is_replaced(&self, state_dir: &Path) -> bool {
        // What cannot be read now says nothing.
        public_keys(state_dir).is_ok_and(|keys| keys.first().is_some_and(|first| first != self.public()))
    }

    /// Makes a key of the same name in place of the one in the state directory, whose public part is retired.
    ///
    /// # Errors
    /// [`KeyError::NotOurs`] for a key from elsewhere, [`KeyError::Missing`] when there is none, and what
    /// [`Keys::load`] says. Whatever fails, a key is in force and the other is not forgotten.
    pub fn rotate(places: &KeyPlaces) -> Result<Rotation, KeyError> {
        let old = {
            let _lock = lock(&places.directory)?;
            let path = places.directory.join(KEY);
            let old = match places.find()? {
                Some((signer, KeySource::State, _)) => signer.public().clone(),
                Some((_, _, path)) => return Err(KeyError::NotOurs { path }),
                None => return Err(KeyError::Missing { path }),
            };
            // Before the secret is gone: a crash in between leaves a key that is in force and retired, which `load` sees.
            retire(&places.directory, &old)?;
            make(&places.directory, old.name())?;
            old
        };
        let keys = Self::load(places, old.name())?;
        Ok(Rotation { old, keys })
    }

    /// What signs.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Where it is from.
    pub fn source(&self) -> KeySource {
        self.source
    }

    /// Its public part.
    pub fn public(&self) -> &VerifierKey {
        self.signer.public()
    }

    /// The public keys that signed before, ordered by id.
    pub fn retired(&self) -> &[VerifierKey] {
        &self.retired
    }

    /// Every key whose checkpoints are this log's: the one in force, then the retired.
    pub fn known(&self) -> Vec<VerifierKey> {
        std::iter::once(self.public()).chain(&self.retired).cloned().collect()
    }
}

/// The public keys that a state directory knows, the one in force first; none when nothing was signed. Needs no secret
/// and makes nothing.
///
/// # Errors
/// When the files cannot be read or do not hold keys.
pub fn public_keys(state_dir: &Path) -> Result<Vec<VerifierKey>, KeyError> {
    let directory = state_dir.join("keys");
    let mut keys = read_public(&directory.join(PUBLIC))?;
    let mut retired = read_retired(&directory)?;
    retired.retain(|key| !keys.contains(key));
    keys.append(&mut retired);
    Ok(keys)
}

/// Makes the directory if need be, and waits until no other process changes what is in it.
fn lock(directory: &Path) -> Result<File, KeyError> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory)
        .map_err(KeyError::file("create", directory))?;
    let opened = File::open(directory).map_err(KeyError::file("open", directory))?;
    let meta = opened.metadata().map_err(KeyError::file("open", directory))?;
    if meta.mode() & 0o022 != 0 || !is_trusted(meta.uid()) {
        let path = directory.to_owned();
        return Err(KeyError::Directory { path, mode: meta.mode() & 0o7777, uid: meta.uid() });
    }
    opened.lock().map_err(KeyError::file("lock", directory))?;
    Ok(opened)
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// A new key in the state directory, in place of the one there.
fn make(directory: &Path, name: &KeyName) -> Result<Signer, KeyError> {
    let signer = Signer::generate(name).map_err(KeyError::Random)?;
    let secret = signer.to_text();
    write(&directory.join(KEY), KEY_MODE, &[secret.as_bytes(), b"\n"])?;
    Ok(signer)
}

/// Tells which key is in force, and retires the one that was.
fn publish(directory: &Path, key: &VerifierKey) -> Result<(), KeyError> {
    let path = directory.join(PUBLIC);
    let before = read_public(&path)?;
    if before == [key.clone()] {
        return Ok(());
    }
    before.iter().filter(|before| *before != key).try_for_each(|before| retire(directory, before))?;
    write(&path, PUBLIC_MODE, &[format!("{key}\n").as_bytes()])
}

fn retire(directory: &Path, key: &VerifierKey) -> Result<(), KeyError> {
    let retired = directory.join(RETIRED);
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(&retired)
        .map_err(KeyError::file("create", &retired))?;
    // Ids are short: several keys may have one.
    let path = retired.join(format!("{}.pub", key.id()));
    let mut keys = read_public(&path)?;
    if keys.contains(key) {
        return Ok(());
    }
    keys.push(key.clone());
    let lines: String = keys.iter().map(|key| format!("{key}\n")).collect();
    write(&path, PUBLIC_MODE, &[lines.as_bytes()])
}

fn read_retired(directory: &Path) -> Result<Vec<VerifierKey>, KeyError> {
    let retired = directory.join(RETIRED);
    let entries = match fs::read_dir(&retired) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(KeyError::file("list", &retired)(e)),
    };
    let mut keys = Vec::new();
    for entry in entries {
        let path = entry.map_err(KeyError::file("list", &retired))?.path();
        if path.extension().is_some_and(|extension| extension == "pub") {
            keys.append(&mut read_public(&path)?);
        }
    }
    keys.sort_by_key(VerifierKey::id);
    Ok(keys)
}

/// The public keys in a file, one a line; none if it is not there.
fn read_public(path: &Path) -> Result<Vec<VerifierKey>, KeyError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
    match read {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(KeyError::file("read", path))?,
    };
    let wrong = |source| KeyError::Text { path: path.to_owned(), source };
    text.lines().map(|line| line.parse().map_err(wrong)).collect()
}

/// The key in a file; `None` if it is not there.
fn read_signer(path: &Path, source: KeySource) -> Result<Option<Signer>, KeyError> {
    // Not waiting for the writer of a named pipe.
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(KeyError::file("open", path)(e)),
    };
    let meta = file.metadata().map_err(KeyError::file("open", path))?;
    if !meta.is_file() {
        return Err(KeyError::NotAFile { path: path.to_owned() });
    }
    check_secrecy(path, source, meta.mode(), meta.uid())?;
    // Larger than what is read, so that no copy is left behind by growing.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
    file.take(MAX_FILE).read_to_end(&mut text).map_err(KeyError::file("read", path))?;
    let line = std::str::from_utf8(&text).unwrap_or_default().trim_ascii();
    Signer::from_text(line).map(Some).map_err(|source| KeyError::Text { path: path.to_owned(), source })
}

/// Whether nobody but root and we can know the key.
fn check_secrecy(path: &Path, source: KeySource, mode: u32, uid: u32) -> Result<(), KeyError> {
    if !is_trusted(uid) {
        return Err(KeyError::Owner { path: path.to_owned(), uid });
    }
    // systemd lets a service's own user read a credential by an access control list, whose mask the group's bits then are.
    let barred = if source == KeySource::Credential { 0o037 } else { 0o077 };
    if mode & barred != 0 {
        return Err(KeyError::Readable { path: path.to_owned(), mode: mode & 0o7777 });
    }
    Ok(())
}

/// Puts a whole file in its place, on the disk when this returns. Only under the lock.
fn write(path: &Path, mode: u32, parts: &[&[u8]]) -> Result<(), KeyError> {
    let mut making = path.as_os_str().to_owned();
    making.push(".new");
    let making = PathBuf::from(making);
    match fs::remove_file(&making) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(KeyError::file("remove", &making)(e)),
        _ => {}
    }
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&making)?;
        // Whatever the umask is.
        file.set_permissions(Permissions::from_mode(mode))?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        fs::rename(&making, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    write().map_err(KeyError::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::super::known::{PETER_SKEY, PETER_VKEY};
    use super::*;

    fn name() -> KeyName {
        KeyName::new("example.org/host-1").unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn put(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_is_made_once_and_only_ours() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(public_keys(state.path()).unwrap(), []);
        let places = KeyPlaces::with(None, None, state.path());
        let keys = Keys::load(&places, &name()).unwrap();
        assert_eq!((keys.source(), keys.public().name(), keys.retired().len()), (KeySource::State, &name(), 0));
        let other = KeyName::new("other").unwrap();
        assert_eq!(Keys::load(&places, &other).unwrap().public(), keys.public());
        assert_eq!(public_keys(state.path()).unwrap(), [keys.public().clone()]);
        let directory = state.path().join("keys");
        assert_eq!(mode(&directory), 0o755);
        assert_eq!(mode(&directory.join(KEY)), 0o600);
        assert_eq!(mode(&directory.join(PUBLIC)), 0o644);
        let line = fs::read_to_string(directory.join(KEY)).unwrap();
        assert_eq!(line, format!("{}\n", keys.signer().to_text().as_str()));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
    }

    #[test]
    fn many_who_make_a_key_get_the_same() {
        let state = tempfile::tempdir().unwrap();
        let places = KeyPlaces::with(None, None, state.path());
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| Keys::load(&places, &name()).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().public().clone()).collect()
        });
        assert!(made.iter().all(|key| *key == made[0]));
    }

    #[test]
    fn a_credential_goes_before_a_file_and_a_file_before_ours() {
        let (state, given) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (file, credential) = (given.path().join("file"), given.path().join(CREDENTIAL));
        let ours = Keys::load(&KeyPlaces::with(None, None, state.path()), &name()).unwrap();
        let with = KeyPlaces::with(Some(given.path()), Some(&file), state.path());
        assert!(matches!(Keys::load(&with, &name()), Err(KeyError::Missing { path }) if path == file));
        put(&file, &format!("{PETER_SKEY}\n"), 0o400);
        let keys = Keys::load(&with, &name()).unwrap();
        assert_eq!((keys.source(), keys.public().to_string().as_str()), (KeySource::File, PETER_VKEY));
        assert_eq!(keys.retired(), [ours.public().clone()]);
        assert!(matches!(Keys::rotate(&with), Err(KeyError::NotOurs { path }) if path == file));
        let third = Signer::generate(&name()).unwrap();
        put(&credential, &third.to_text(), 0o440);
        let keys = Keys::load(&with, &name()).unwrap();
        assert_eq!((keys.source(), keys.public()), (KeySource::Credential, third.public()));
        assert_eq!(keys.known().len(), 3);
        assert_eq!(public_keys(state.path()).unwrap(), keys.known());
        // The first again: in force, and no longer retired.
        let keys = Keys::load(&KeyPlaces::with(None, None, state.path()), &name()).unwrap();
        assert_eq!((keys.public(), keys.retired().len()), (ours.public(), 2));
    }

    #[test]
    fn rotation_keeps_the_name_and_every_public_key() {
        let state = tempfile::tempdir().unwrap();
        let places = KeyPlaces::with(None, None, state.path());
        assert!(matches!(Keys::rotate(&places), Err(KeyError::Missing { .. })));
        let mut olds = vec![Keys::load(&places, &name()).unwrap().public().clone()];
        for _ in 0..3 {
            let Rotation { old, keys } = Keys::rotate(&places).unwrap();
            assert_eq!(Some(&old), olds.last());
            assert_eq!(keys.public().name(), &name());
            assert!(olds.iter().all(|old| keys.retired().contains(old)));
            assert_eq!(keys.retired().len(), olds.len());
            assert!(state.path().join(format!("keys/retired/{}.pub", old.id())).exists());
            olds.push(keys.public().clone());
        }
        let again = Keys::load(&places, &name()).unwrap();
        assert_eq!(Some(again.public()), olds.last());
        assert_eq!(again.known().len(), 4);
    }

    #[test]
    fn a_rotation_cut_short_forgets_nothing() {
        let state = tempfile::tempdir().unwrap();
        let (places, directory) = (KeyPlaces::with(None, None, state.path()), state.path().join("keys"));
        let first = Keys::load(&places, &name()).unwrap();
        // Retired, but the secret is still the old one.
        retire(&directory, first.public()).unwrap();
        let keys = Keys::load(&places, &name()).unwrap();
        assert_eq!((keys.public(), keys.retired()), (first.public(), &[][..]));
        // The secret is new, the public part not yet, and a file was half written.
        let second = make(&directory, &name()).unwrap();
        put(&directory.join("checkpoint.pub.new"), "exam", 0o644);
        let keys = Keys::load(&places, &name()).unwrap();
        assert_eq!((keys.public(), keys.retired()), (second.public(), &[first.public().clone()][..]));
        assert!(!directory.join("checkpoint.pub.new").exists());
    }

    #[test]
    fn a_key_that_others_may_know_is_refused() {
        let (state, path) = (tempfile::tempdir().unwrap(), Path::new("key"));
        let file = state.path().join("file");
        let places = KeyPlaces::with(None, Some(&file), state.path());
        for loose in [0o640, 0o604, 0o644, 0o620, 0o610, 0o666] {
            put(&file, PETER_SKEY, loose);
            let error = Keys::load(&places, &name()).unwrap_err();
            assert!(matches!(&error, KeyError::Readable { mode, .. } if *mode == loose), "{error}");
            assert!(error.to_string().contains(&format!("chmod 600 {}", file.display())));
        }
        assert!(check_secrecy(path, KeySource::Credential, 0o100_440, 0).is_ok());
        for mode in [0o444, 0o460, 0o404, 0o450] {
            assert!(check_secrecy(path, KeySource::Credential, mode, 0).is_err());
        }
        let other = rustix::process::geteuid().as_raw() + 1;
        let owner = check_secrecy(path, KeySource::File, 0o600, other);
        assert!(matches!(owner, Err(KeyError::Owner { uid, .. }) if uid == other));
        fs::set_permissions(state.path().join("keys"), Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(Keys::load(&places, &name()), Err(KeyError::Directory { mode: 0o770, .. })));
    }

    #[test]
    fn what_is_not_a_key_is_said_and_left_as_it_is() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("file");
        let places = KeyPlaces::with(None, Some(&file), state.path());
        for text in ["", PETER_VKEY, &PETER_SKEY[1..], "\u{ff}", &"x".repeat(100_000)] {
            put(&file, text, 0o600);
            let error = Keys::load(&places, &name()).unwrap_err();
            assert!(matches!(&error, KeyError::Text { .. }), "{error}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        assert!(matches!(
            Keys::load(&KeyPlaces::with(None, Some(state.path()), state.path()), &name()),
            Err(KeyError::NotAFile { .. })
        ));
        put(&file, PETER_SKEY, 0o600);
        put(&state.path().join("keys").join(PUBLIC), "damaged\n", 0o644);
        assert!(matches!(Keys::load(&places, &name()), Err(KeyError::Text { .. })));
        assert!(public_keys(state.path()).is_err());
    }
}
