//! One look at a process in `/proc`, comparable with a second look and with what the kernel half captured.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sallyport_ebpf as abi;

use super::{cgroup, procfs};

/// No file of `/proc/PID` that is read here is longer, short of a deliberate attempt.
const MAX_FILE: usize = 16 << 10;

/// Why a look cannot be taken as the process the kernel half saw.
#[derive(Debug, thiserror::Error)]
pub(super) enum Mismatch {
    /// No process with that id, or it exited meanwhile.
    #[error("the process is gone")]
    Gone,
    /// Another process has the id now.
    #[error("the process id belongs to another process")]
    Replaced,
    /// The process runs another image than it did.
    #[error("the process runs another executable")]
    OtherImage,
    /// The process has other user or group ids.
    #[error("the process changed its user or group")]
    OtherUser,
    /// The process is in another cgroup.
    #[error("the process moved to another cgroup")]
    OtherCgroup,
    /// The process has another audit login.
    #[error("the process has another audit login or session")]
    OtherLogin,
    /// `/proc` could not be read.
    #[error("cannot read {file} of the process")]
    Unreadable {
        /// File below `/proc/PID`.
        file: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file of `/proc` is not in the form the kernel writes.
    #[error("{0} of the process is malformed")]
    Malformed(&'static str),
}

/// An open `/proc/PID`: every read through it is of that one process, or fails.
#[derive(Debug)]
pub(super) struct ProcessDir(OwnedFd);

impl ProcessDir {
    pub(super) fn open(proc_root: &Path, pid: u32) -> Result<Self, Mismatch> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(proc_root.join(pid.to_string()), flags, Mode::empty()) {
            Ok(dir) => Ok(Self(dir)),
            Err(rustix::io::Errno::NOENT) => Err(Mismatch::Gone),
            Err(e) => Err(Mismatch::Unreadable { file: "directory", source: e.into() }),
        }
    }

    /// Opens a file, following the link it may be.
    pub(super) fn file(&self, name: &'static str) -> Result<File, Mismatch> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        rustix::fs::openat(self.0.as_fd(), name, flags, Mode::empty())
            .map(File::from)
            .map_err(|e| unreadable(name, e.into()))
    }

    /// The first bytes of a file, and whether there were more.
    pub(super) fn read(&self, name: &'static str, limit: usize) -> Result<(Vec<u8>, bool), Mismatch> {
        procfs::read_bounded(self.file(name)?, limit).map_err(|e| unreadable(name, e))
    }

    pub(super) fn stat(&self) -> Result<procfs::Stat, Mismatch> {
        procfs::stat(&self.read("stat", MAX_FILE)?.0).ok_or(Mismatch::Malformed("stat"))
    }

    /// Where `exe` points, as the process's own mount namespace names it.
    pub(super) fn exe_path(&self) -> Result<PathBuf, Mismatch> {
        use std::os::unix::ffi::OsStringExt as _;
        let link =
            rustix::fs::readlinkat(self.0.as_fd(), "exe", Vec::new()).map_err(|e| unreadable("exe", e.into()))?;
        Ok(PathBuf::from(std::ffi::OsString::from_vec(link.into_bytes())))
    }

    /// Audit login uid and session. A kernel without audit has no such files: unset.
    fn login(&self) -> Result<(u32, u32), Mismatch> {
        let read = |name| match self.read(name, MAX_FILE) {
            Ok((bytes, _)) => procfs::id(&bytes).ok_or(Mismatch::Malformed(name)),
            Err(Mismatch::Gone) => Ok(abi::UNSET),
            Err(e) => Err(e),
        };
        Ok((read("loginuid")?, read("sessionid")?))
    }
}

/// The facts that may change under a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) start_ticks: u64,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) cgroup: String,
    pub(super) loginuid: u32,
    pub(super) audit_session: u32,
    pub(super) exe_dev: u64,
    pub(super) exe_ino: u64,
    pub(super) exe_path: PathBuf,
}

impl Snapshot {
    pub(super) fn take(dir: &ProcessDir) -> Result<Self, Mismatch> {
        let stat = dir.stat()?;
        let status = procfs::status(&dir.read("status", MAX_FILE)?.0).ok_or(Mismatch::Malformed("status"))?;
        let (bytes, _) = dir.read("cgroup", MAX_FILE)?;
        let cgroup = procfs::cgroup(&bytes).ok_or(Mismatch::Malformed("cgroup"))?.to_owned();
        let (loginuid, audit_session) = dir.login()?;
        let meta = rustix::fs::statat(dir.0.as_fd(), "exe", rustix::fs::AtFlags::empty())
            .map_err(|e| unreadable("exe", e.into()))?;
        Ok(Self {
            start_ticks: stat.start_ticks,
            uid: status.uid,
            gid: status.gid,
            cgroup,
            loginuid,
            audit_session,
            exe_dev: meta.st_dev,
            exe_ino: meta.st_ino,
            exe_path: dir.exe_path()?,
        })
    }

    /// Whether this is the process, image, owner and place the kernel half captured.
    pub(super) fn agrees(&self, task: &abi::Task, cgroup_root: &Path) -> Result<(), Mismatch> {
        let started = task.facts & abi::FACT_START != 0;
        if started && task.start_ns / procfs::TICK_NS != self.start_ticks {
            return Err(Mismatch::Replaced);
        }
        if task.facts & abi::FACT_EXE != 0 {
            // btrfs and overlayfs show `stat` another device than the kernel's own: the inode must agree in any case,
            // and the device may differ only for a process that is proven by its start.
            let same_device = kernel_dev(self.exe_dev) == task.exe_dev;
            if self.exe_ino != task.exe_ino || !(same_device || started) {
                return Err(Mismatch::OtherImage);
            }
        }
        if (self.uid, self.gid) != (task.uid, task.gid) {
            return Err(Mismatch::OtherUser);
        }
        if cgroup::id(cgroup_root, &self.cgroup) != Some(task.cgroup) {
            return Err(Mismatch::OtherCgroup);
        }
        let login = (task.loginuid, task.audit_session);
        if task.facts & abi::FACT_AUDIT != 0 && (self.loginuid, self.audit_session) != login {
            return Err(Mismatch::OtherLogin);
        }
        Ok(())
    }
}

/// The kernel's own device number (`MKDEV`: 20 bits of minor) of the one `stat` tells.
pub(super) fn kernel_dev(st_dev: u64) -> u32 {
    (rustix::fs::major(st_dev) << 20) | (rustix::fs::minor(st_dev) & 0xf_ffff)
}

/// A file of a process that has exited is not there any more, or has none.
fn unreadable(file: &'static str, source: io::Error) -> Mismatch {
    let gone = [rustix::io::Errno::SRCH, rustix::io::Errno::NOENT].map(rustix::io::Errno::raw_os_error);
    if source.raw_os_error().is_some_and(|errno| gone.contains(&errno)) {
        return Mismatch::Gone;
    }
    Mismatch::Unreadable { file, source }
}

/// Whether the image's inode is what the host's own mount namespace has at its path.
pub(super) fn on_host(path: &Path, dev: u64, ino: u64) -> bool {
    path.is_absolute() && std::fs::metadata(path).is_ok_and(|meta| meta.dev() == dev && meta.ino() == ino)
}
