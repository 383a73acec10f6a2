//! `root.crt` of users, for libpq and the drivers that read what it reads.
//!
//! Root writes here where users can put links, so every step of the way is taken without following any, and only a file
//! that is the user's own, under one name, is touched.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

/// Longest file that is touched.
const MOST_BYTES: u64 = 4 << 20;

/// A user with a file of authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// The user's number.
    pub(super) uid: u32,
    /// The file, as it is below the root.
    pub(super) path: PathBuf,
}

/// Users of the passwd file below `root` that have one.
///
/// One is never made: libpq verifies certificates as soon as it exists, also where `sslmode=require` did not before.
pub(super) fn owners(root: &Path) -> Vec<Owner> {
    let passwd = fs::read_to_string(root.join("etc/passwd")).unwrap_or_default();
    let mut owners: Vec<Owner> = Vec::new();
    for line in passwd.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let (Some(uid), Some(home)) = (fields.get(2).and_then(|uid| uid.parse().ok()), fields.get(5)) else { continue };
        let path = Path::new(home).join(".postgresql/root.crt");
        if home.len() > 1 && below(root, &path).is_file() && !owners.iter().any(|owner| owner.path == path) {
            owners.push(Owner { uid, path });
        }
    }
    owners
}

/// Where a path is, below the root.
pub(super) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Opens a user's file for reading and writing.
///
/// # Errors
/// When it is not there, not the user's own, or there is a link on the way to it.
pub(super) fn open(root: &Path, path: &Path, uid: u32) -> io::Result<File> {
    let directory = rustix::fs::open(root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let relative = path.strip_prefix("/").unwrap_or(path);
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = match openat2(&directory, relative, flags, Mode::empty(), resolve) {
        // Homes behind a link of root's own, as /home -> /srv/home: the link is followed, what is inside is not.
        Err(rustix::io::Errno::LOOP) => inside_home(root, path, flags)?,
        opened => opened?,
    };
    let file = File::from(file);
    let found = file.metadata()?;
    let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    if !found.is_file() || found.uid() != uid || found.nlink() != 1 {
        return refuse("it is not a file of that user alone");
    }
    if found.len() > MOST_BYTES {
        return refuse("it is larger than 4 MiB");
    }
    Ok(file)
}

/// What is above a home is root's, and its links are meant.
fn inside_home(root: &Path, path: &Path, flags: OFlags) -> io::Result<rustix::fd::OwnedFd> {
    let home = path.parent().and_then(Path::parent).unwrap_or(path);
    let inside = path.strip_prefix(home).unwrap_or(path);
    let above = below(root, home.parent().unwrap_or(home)).canonicalize()?;
    let name = home.file_name().map(Path::new).unwrap_or(home);
    if !trusted(&above)? {
        return Err(rustix::io::Errno::LOOP.into());
    }
    let directory = rustix::fs::openat(CWD, &above, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(&directory, name.join(inside), flags, Mode::empty(), resolve)?)
}

/// Whether nobody but root can change what is on the way to a directory.
fn trusted(directory: &Path) -> io::Result<bool> {
    for step in directory.ancestors() {
        let found = fs::metadata(step)?;
        if found.uid() != 0 || found.mode() & 0o022 != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// All of it.
pub(super) fn text(file: &mut File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(MOST_BYTES + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// Puts something else in it: same file, same owner, same mode. `kept` bytes of its beginning stay untouched.
pub(super) fn replace(file: &mut File, kept: u64, rest: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(kept))?;
    file.write_all(rest)?;
    file.set_len(kept + rest.len() as u64)?;
    file.sync_all()
}
