//! What is known of an attested process.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use super::{Sha256, SpiffeId};

/// A process and the workload it is an instance of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The name policies and records use.
    pub workload: SpiffeId,
    /// The facts that name was made of.
    pub process: Process,
}

/// Facts of one process image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Process id in the initial pid namespace.
    pub tgid: u32,
    /// When the thread group leader started: boot-time clock, nanoseconds. Precise to the clock tick (10 ms) only
    /// when the kernel half could not read it.
    pub started: u64,
    /// The running image; `None` when only the kernel's facts remain.
    pub executable: Option<Executable>,
    /// The process's own claim of how it was called: bounded, secrets replaced by `***`. Never decides anything.
    pub argv: Vec<String>,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Name of [`Process::uid`] in the host's passwd file.
    pub user: Option<String>,
    /// The audit login; `None` for what no person's login started.
    pub login: Option<Login>,
    /// Path of the cgroup below the v2 root, beginning with `/`; empty when it is not known any more.
    pub cgroup: String,
    /// Id of that cgroup: its inode number.
    pub cgroup_id: u64,
    /// Unit of the system service manager. Processes of a user's own manager have `user@UID.service` here.
    pub unit: Option<String>,
    /// Unit of the user's own service manager. Its name is chosen by that user.
    pub user_unit: Option<String>,
    /// Innermost systemd slice above the unit.
    pub slice: Option<String>,
    /// Container id, or name for LXC.
    pub container: Option<String>,
    /// Parent, grandparent, and so on; at most [`Process::MAX_PARENTS`].
    pub parents: Vec<Ancestor>,
    /// How much of this was proven to be this process's.
    pub attestation: Attestation,
}

impl Process {
    /// Ancestors kept; deeper ones are left out.
    pub const MAX_PARENTS: usize = 16;
}

/// The file a process runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Executable {
    /// Path as the process's own mount namespace names it.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// Whether the host has this very inode at that path. A process in its own mount namespace can put anything at
    /// any path, so only then does the path name the program.
    pub on_host: bool,
    /// Device number as `stat` tells it.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Digest of the content; `None` when it could not be read or is larger than the daemon hashes.
    pub sha256: Option<Sha256>,
}

/// The login a process descends from, as the kernel's audit subsystem keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Login {
    /// Audit login uid.
    pub uid: u32,
    /// Audit session id; `None` when unset.
    pub session: Option<u32>,
    /// Name of [`Login::uid`] in the host's passwd file.
    pub user: Option<String>,
}

/// One process above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ancestor {
    /// Process id.
    pub pid: u32,
    /// Start, boot-time clock, nanoseconds, precise to the clock tick.
    pub started: u64,
    /// Path of its executable; `None` for kernel threads and what cannot be read.
    #[serde(serialize_with = "maybe_lossy")]
    pub exe: Option<PathBuf>,
}

/// How an identity was established.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attestation {
    /// Read from the living process, and proven to be the one the kernel saw.
    Live,
    /// The process was gone, replaced or moved: only what the kernel captured at `connect`.
    KernelOnly,
}

impl Attestation {
    /// The name used in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::KernelOnly => "kernel-only",
        }
    }
}

/// A path may hold any bytes; a record is text.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn maybe_lossy<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Path::to_string_lossy).serialize(serializer)
}
