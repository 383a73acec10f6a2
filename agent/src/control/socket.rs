//! The control socket's place in the file system: who may be near it, and when an old one is replaced.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// File name of the socket below the runtime directory.
pub const SOCKET_NAME: &str = "control.sock";
/// File name of the approvers' socket beside it.
pub const APPROVALS_NAME: &str = "approvals.sock";
/// Held while a daemon lives; the kernel lets go of it whatever way the daemon ends.
const LOCK_NAME: &str = "control.lock";

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon holds it.
    #[error("another sallyport daemon is running: it holds {0}")]
    Busy(PathBuf),
    /// Somebody else could replace the socket.
    #[error("{path} {wrong}; others could take the control socket's place")]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// The system refused.
    #[error("cannot make the control socket at {path}")]
    Io {
        /// What was being touched.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The socket, listening, and the lock that says it is ours.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    place: Place,
}

/// Removes the socket when dropped, lock still held.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    _lock: Option<File>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Listener {
    /// Listens at `runtime_dir/control.sock`, making the directory if there is none.
    ///
    /// A socket left by a killed daemon is replaced; one that somebody answers is not.
    pub fn bind(runtime_dir: &Path) -> Result<Self, SocketError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SocketError::Io { path, source }
        };
        match DirBuilder::new().mode(0o700).create(runtime_dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(runtime_dir)(error)),
            _ => {}
        }
        guarded(runtime_dir)?;
        let lock_path = runtime_dir.join(LOCK_NAME);
        let lock = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(&lock_path)
            .map_err(failed(&lock_path))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| SocketError::Busy(lock_path))?;

        let path = runtime_dir.join(SOCKET_NAME);
        if UnixStream::connect(&path).is_ok() {
            return Err(SocketError::Busy(path));
        }
        let socket = listen(&path, None)?;
        Ok(Self { socket, place: Place { path, _lock: Some(lock) } })
    }

    /// Listens at `runtime_dir/approvals.sock`, for root and for a group. Whoever calls this holds the daemon's socket
    /// already, so an old one is a dead daemon's.
    ///
    /// # Errors
    /// When the directory cannot be trusted, or the system refuses.
    pub fn bind_approvals(runtime_dir: &Path, group: Option<u32>) -> Result<Self, SocketError> {
        guarded(runtime_dir)?;
        let failed = |source| SocketError::Io { path: runtime_dir.to_owned(), source };
        let found = fs::metadata(runtime_dir).map_err(failed)?;
        if group.is_some() && found.mode() & 0o011 != 0o011 {
            // Members get as far as the socket, and see nothing on the way.
            let mode = Permissions::from_mode(found.mode() & 0o7777 | 0o011);
            fs::set_permissions(runtime_dir, mode).map_err(failed)?;
        }
        let path = runtime_dir.join(APPROVALS_NAME);
        let socket = listen(&path, group)?;
        Ok(Self { socket, place: Place { path, _lock: None } })
    }

    pub(super) fn into_parts(self) -> (UnixListener, Place) {
        (self.socket, self.place)
    }
}

/// Bound aside and moved into place: from its first moment the socket has its mode, and an old one is replaced without a
/// moment of none.
fn listen(path: &Path, group: Option<u32>) -> Result<UnixListener, SocketError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| SocketError::Io { path, source }
    };
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}", std::process::id()));
    let aside = PathBuf::from(aside);
    let _ = fs::remove_file(&aside);
    let socket = UnixListener::bind(&aside).map_err(failed(&aside))?;
    fs::set_permissions(&aside, Permissions::from_mode(0o600)).map_err(failed(&aside))?;
    if let Some(group) = group {
        std::os::unix::fs::chown(&aside, None, Some(group)).map_err(failed(&aside))?;
        fs::set_permissions(&aside, Permissions::from_mode(0o660)).map_err(failed(&aside))?;
    }
    fs::rename(&aside, path).map_err(failed(path))?;
    Ok(socket)
}

/// Nobody but root and this user may replace anything on the way to `directory`, links on that way included.
fn guarded(directory: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { path: directory.to_owned(), source };
    let written = std::path::absolute(directory).map_err(failed)?;
    let meant = fs::canonicalize(directory).map_err(failed)?;
    for path in written.ancestors().chain(meant.ancestors()) {
        let found = fs::symlink_metadata(path).map_err(|source| SocketError::Io { path: path.to_owned(), source })?;
        // In a sticky directory (/tmp) only a file's owner can move it; that is enough above, not for our own.
        let own = path == written || path == meant;
        if let Some(wrong) = unsafe_to_pass(&found, !own) {
            return Err(SocketError::Unsafe { path: path.to_owned(), wrong });
        }
    }
    Ok(())
}

fn unsafe_to_pass(found: &Metadata, sticky_is_enough: bool) -> Option<&'static str> {
    if found.uid() != 0 && found.uid() != rustix::process::geteuid().as_raw() {
        return Some("belongs to another user");
    }
    if found.is_symlink() {
        return None;
    }
    if !found.is_dir() {
        return Some("is not a directory");
    }
    let sticky = found.mode() & 0o1000 != 0 && sticky_is_enough;
    (found.mode() & 0o022 != 0 && !sticky).then_some("can be written by others")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_private_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = dir.path().join("run");
        let listener = Listener::bind(&runtime).unwrap();
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&runtime), 0o700);
        assert_eq!(mode(&runtime.join(SOCKET_NAME)), 0o600);
        drop(listener);
        assert!(!runtime.join(SOCKET_NAME).exists());
    }

    #[test]
    fn approvers_reach_their_socket_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = dir.path().join("run");
        let _control = Listener::bind(&runtime).unwrap();
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o777;
        let alone = Listener::bind_approvals(&runtime, None).unwrap();
        assert_eq!((mode(&runtime), mode(&runtime.join(APPROVALS_NAME))), (0o700, 0o600));
        drop(alone);
        let own = fs::metadata(&runtime).unwrap().gid();
        let _shared = Listener::bind_approvals(&runtime, Some(own)).unwrap();
        assert_eq!((mode(&runtime), mode(&runtime.join(APPROVALS_NAME))), (0o711, 0o660));
        assert_eq!(mode(&runtime.join(SOCKET_NAME)), 0o600);
    }

    #[test]
    fn a_second_daemon_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Listener::bind(dir.path()).unwrap();
        assert!(matches!(Listener::bind(dir.path()), Err(SocketError::Busy(_))));
        assert!(UnixStream::connect(dir.path().join(SOCKET_NAME)).is_ok(), "the first one still listens");
    }

    #[test]
    fn a_dead_daemons_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        drop(UnixListener::bind(dir.path().join(SOCKET_NAME)).unwrap());
        let _listener = Listener::bind(dir.path()).unwrap();
        assert!(UnixStream::connect(dir.path().join(SOCKET_NAME)).is_ok());
    }

    #[test]
    fn a_stranger_who_answers_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let _stranger = UnixListener::bind(dir.path().join(SOCKET_NAME)).unwrap();
        assert!(matches!(Listener::bind(dir.path()), Err(SocketError::Busy(_))));
    }

    #[test]
    fn open_directories_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o777, 0o1777, 0o770] {
            fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
            assert!(matches!(Listener::bind(dir.path()), Err(SocketError::Unsafe { .. })), "{mode:o}");
        }
        let private = dir.path().join("private");
        assert!(Listener::bind(&private).is_err(), "its parent is open");
        let link = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), link.path().join("link")).unwrap();
        assert!(Listener::bind(&link.path().join("link")).is_err(), "what the link means is open");
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Listener::bind(&file).is_err());
    }
}
