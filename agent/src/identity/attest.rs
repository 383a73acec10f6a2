//! The attestor: kernel facts in, a proven identity out.
//!
//! Order matters. A pidfd is opened first and asked last whether its process still lives: a process id is not reused
//! while its process is not reaped, so everything read in between was read of one process. That this process is the
//! one the kernel half saw is shown by its start time, image, owner, cgroup and login, looked at before and after.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sallyport_ebpf as abi;

use super::cache::Generations;
use super::cgroup::{self, Placement};
use super::executable::{Digests, FileKey};
use super::snapshot::{self, Mismatch, ProcessDir, Snapshot};
use super::{Ancestor, Attestation, Executable, Identity, Login, Process, SpiffeError, SpiffeId, TrustDomain};
use super::{argv, passwd, procfs};

/// Identities kept: more than the live processes of a busy host that make connections.
const CACHED: usize = 8192;
/// Cgroup paths kept by id; ids are never reused until the host restarts.
const CACHED_CGROUPS: usize = 8192;
const PASSWD: &str = "/etc/passwd";

/// Why there is no identity. Whoever asked is denied.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The kernel half saw no process: a kernel thread or an interrupt.
    #[error("the connection belongs to no process")]
    NoProcess,
    /// The process is gone and what the kernel captured names neither a unit, a container, a user nor an executable.
    #[error("process {tgid} cannot be read and its cgroup {cgroup} is not known any more")]
    Unnamed {
        /// Process id.
        tgid: u32,
        /// Id of its cgroup.
        cgroup: u64,
    },
    /// The facts make no valid workload name.
    #[error("no valid workload name can be made of the facts of process {tgid}")]
    Name {
        /// Process id.
        tgid: u32,
        /// What is wrong with the name.
        source: SpiffeError,
    },
}

/// Establishes identities; one per daemon, shared by every connection.
#[derive(Debug)]
pub struct Attestor {
    trust_domain: TrustDomain,
    host: String,
    proc_root: PathBuf,
    cgroup_root: PathBuf,
    passwd: PathBuf,
    digests: Digests,
    identities: Mutex<Generations<Key, Arc<Identity>>>,
    cgroups: Mutex<Generations<u64, String>>,
}

/// Everything the kernel half captured that tells one process image, owner and place from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key(abi::Task);

impl Key {
    /// None when the start time is unknown: then nothing tells one user of a process id from the next.
    fn of(task: &abi::Task) -> Option<Self> {
        (task.facts & abi::FACT_START != 0).then_some(Self(abi::Task { tid: 0, ..*task }))
    }
}

impl Attestor {
    /// An attestor naming workloads `spiffe://TRUST-DOMAIN/host/HOST/…`, reading the proc file system at `proc_root`
    /// and the cgroup v2 tree at `cgroup_root`.
    ///
    /// # Errors
    /// When the trust domain or the host name cannot be part of a SPIFFE ID.
    pub fn new(trust_domain: &str, host: &str, proc_root: PathBuf, cgroup_root: PathBuf) -> Result<Self, SpiffeError> {
        let trust_domain = TrustDomain::new(trust_domain)?;
        SpiffeId::new(&trust_domain, [&b"host"[..], host.as_bytes()])?;
        Ok(Self {
            trust_domain,
            host: host.to_owned(),
            proc_root,
            cgroup_root,
            passwd: PathBuf::from(PASSWD),
            digests: Digests::new(),
            identities: Mutex::new(Generations::new(CACHED)),
            cgroups: Mutex::new(Generations::new(CACHED_CGROUPS)),
        })
    }

    /// The identity established before for exactly these facts. Makes no system call.
    #[must_use]
    pub fn cached(&self, task: &abi::Task) -> Option<Arc<Identity>> {
        let key = Key::of(task)?;
        self.identities.lock().unwrap_or_else(PoisonError::into_inner).find(&key)
    }

    /// Establishes the identity of the process the kernel half saw. Reads files, and may hash an executable: call it
    /// where blocking is allowed.
    ///
    /// A process that is gone, replaced or moved is named by the kernel's facts alone ([`Attestation::KernelOnly`]).
    ///
    /// # Errors
    /// When even those name nothing; the connection is denied.
    pub fn attest(&self, task: &abi::Task) -> Result<Arc<Identity>, AttestError> {
        if let Some(identity) = self.cached(task) {
            return Ok(identity);
        }
        if task.tgid == 0 {
            return Err(AttestError::NoProcess);
        }
        match self.live(task) {
            Ok((process, placement)) => {
                let identity = Arc::new(self.named(process, &placement, task)?);
                if let Some(key) = Key::of(task) {
                    let mut identities = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
                    identities.insert(key, Arc::clone(&identity));
                }
                Ok(identity)
            }
            Err(why) => {
                tracing::debug!(tgid = task.tgid, %why, "falling back to the kernel's facts");
                let (process, placement) = self.kernel_only(task);
                self.named(process, &placement, task).map(Arc::new)
            }
        }
    }

    /// Reads the living process, and proves it.
    fn live(&self, task: &abi::Task) -> Result<(Process, Placement), Mismatch> {
        let pidfd = open_pidfd(task.tgid)?;
        let dir = ProcessDir::open(&self.proc_root, task.tgid)?;
        let before = Snapshot::take(&dir)?;
        before.agrees(task, &self.cgroup_root)?;
        let executable = self.executable(&dir, &before)?;
        let (cmdline, cut) = dir.read("cmdline", argv::MAX_BYTES)?;
        let parents = self.parents(&dir, before.start_ticks);
        if Snapshot::take(&dir)? != before {
            return Err(Mismatch::Replaced);
        }
        still_lives(&pidfd)?;
        self.remember_cgroup(task.cgroup, &before.cgroup);
        let placement = Placement::of(&before.cgroup);
        let mut process = self.skeleton(task, &placement);
        process.cgroup = before.cgroup;
        process.executable = Some(executable);
        process.argv = argv::argv(&procfs::cmdline(&cmdline), cut);
        process.parents = parents;
        process.attestation = Attestation::Live;
        process.login = self.login(before.loginuid, before.audit_session);
        if task.facts & abi::FACT_START == 0 {
            process.started = before.start_ticks.saturating_mul(procfs::TICK_NS);
        }
        Ok((process, placement))
    }

    /// What the kernel captured, and what its cgroup's id leads to.
    fn kernel_only(&self, task: &abi::Task) -> (Process, Placement) {
        let path = self.cgroup_path(task.cgroup);
        let placement = path.as_deref().map(Placement::of).unwrap_or_default();
        let mut process = self.skeleton(task, &placement);
        process.cgroup = path.unwrap_or_default();
        (process, placement)
    }

    fn skeleton(&self, task: &abi::Task, placement: &Placement) -> Process {
        let has = |fact| task.facts & fact != 0;
        Process {
            tgid: task.tgid,
            started: if has(abi::FACT_START) { task.start_ns } else { 0 },
            executable: None,
            argv: Vec::new(),
            uid: task.uid,
            gid: task.gid,
            user: passwd::user_name(&self.passwd, task.uid),
            login: if has(abi::FACT_AUDIT) { self.login(task.loginuid, task.audit_session) } else { None },
            cgroup: String::new(),
            cgroup_id: task.cgroup,
            unit: placement.unit.clone(),
            user_unit: placement.user_unit.clone(),
            slice: placement.slice.clone(),
            container: placement.container.clone(),
            parents: Vec::new(),
            attestation: Attestation::KernelOnly,
        }
    }

    fn login(&self, uid: u32, session: u32) -> Option<Login> {
        (uid != abi::UNSET).then(|| Login {
            uid,
            session: (session != abi::UNSET).then_some(session),
            user: passwd::user_name(&self.passwd, uid),
        })
    }

    fn executable(&self, dir: &ProcessDir, seen: &Snapshot) -> Result<Executable, Mismatch> {
        // An image that may not be read (a FUSE mount, a removed medium) still has its inode.
        let sha256 = match dir.file("exe") {
            Ok(file) => {
                let key = FileKey::of(&file).map_err(|source| Mismatch::Unreadable { file: "exe", source })?;
                if (key.dev, key.ino) != (seen.exe_dev, seen.exe_ino) {
                    return Err(Mismatch::OtherImage);
                }
                self.digests.of(&file, key)
            }
            Err(Mismatch::Unreadable { .. }) => None,
            Err(e) => return Err(e),
        };
        Ok(Executable {
            path: seen.exe_path.clone(),
            on_host: snapshot::on_host(&seen.exe_path, seen.exe_dev, seen.exe_ino),
            dev: seen.exe_dev,
            ino: seen.exe_ino,
            sha256,
        })
    }

    /// The chain of parents, as far as it can be read and is older than its children.
    fn parents(&self, dir: &ProcessDir, start_ticks: u64) -> Vec<Ancestor> {
        let mut parents = Vec::new();
        let mut child_started = start_ticks;
        let mut next = dir.stat().map_or(0, |stat| stat.ppid);
        while next != 0 && parents.len() < Process::MAX_PARENTS {
            let Ok(dir) = ProcessDir::open(&self.proc_root, next) else { break };
            let Ok(stat) = dir.stat() else { break };
            // A parent younger than its child is another process with a reused id.
            if stat.start_ticks > child_started {
                break;
            }
            let started = stat.start_ticks.saturating_mul(procfs::TICK_NS);
            parents.push(Ancestor { pid: next, started, exe: dir.exe_path().ok() });
            (next, child_started) = (stat.ppid, stat.start_ticks);
        }
        parents
    }

    fn remember_cgroup(&self, id: u64, path: &str) {
        self.cgroups.lock().unwrap_or_else(PoisonError::into_inner).insert(id, path.to_owned());
    }

    fn cgroup_path(&self, id: u64) -> Option<String> {
        let known = self.cgroups.lock().unwrap_or_else(PoisonError::into_inner).find(&id);
        known.or_else(|| {
            let path = cgroup::find(&self.cgroup_root, id)?;
            self.remember_cgroup(id, &path);
            Some(path)
        })
    }

    fn named(&self, process: Process, placement: &Placement, task: &abi::Task) -> Result<Identity, AttestError> {
        let name = self.workload(&process, placement, task);
        let name = name.ok_or(AttestError::Unnamed { tgid: task.tgid, cgroup: task.cgroup })?;
        let mut segments = vec![b"host".to_vec(), self.host.clone().into_bytes()];
        segments.extend(name);
        let workload = SpiffeId::new(&self.trust_domain, segments.iter().map(Vec::as_slice))
            .map_err(|source| AttestError::Name { tgid: task.tgid, source })?;
        Ok(Identity { workload, process })
    }

    /// The path below the host: what root made first, then what the owner of it made inside.
    fn workload(&self, process: &Process, placement: &Placement, task: &abi::Task) -> Option<Vec<Vec<u8>>> {
        let pair = |kind: &str, name: &str| vec![kind.as_bytes().to_vec(), name.as_bytes().to_vec()];
        let container = placement.container.as_deref();
        if let Some(id) = container.filter(|_| placement.container_is_root_made) {
            return Some(pair("container", id));
        }
        let mut name = if let Some(owner) = placement.user {
            self.person(process, owner)
        } else if let Some(unit) = &placement.unit {
            pair("unit", unit)
        } else {
            return program(process, task);
        };
        if let Some(id) = container {
            name.extend(pair("container", id));
        } else if let Some(unit) = &placement.user_unit {
            name.extend(pair("unit", unit));
        }
        Some(name)
    }

    /// A person is who logged in, also after `sudo` or in a session of another user's; else the owner of the session.
    fn person(&self, process: &Process, owner: u32) -> Vec<Vec<u8>> {
        let (uid, user) = match &process.login {
            Some(login) => (login.uid, login.user.clone()),
            None => (owner, passwd::user_name(&self.passwd, owner)),
        };
        match user {
            Some(user) => vec![b"user".to_vec(), user.into_bytes()],
            None => vec![b"uid".to_vec(), uid.to_string().into_bytes()],
        }
    }
}

/// A process outside every unit is named by its program: by path when the host agrees, else by digest, else by inode.
fn program(process: &Process, task: &abi::Task) -> Option<Vec<Vec<u8>>> {
    use std::os::unix::ffi::OsStrExt as _;
    /// Longer paths would not fit into an id when escaped.
    const MAX_PATH: usize = 480;
    if let Some(exe) = &process.executable {
        let path = exe.path.as_os_str().as_bytes();
        if exe.on_host && path.len() <= MAX_PATH {
            let parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty());
            return Some(std::iter::once(&b"exe"[..]).chain(parts).map(<[u8]>::to_vec).collect());
        }
        if let Some(digest) = exe.sha256 {
            return Some(vec![b"exe-sha256".to_vec(), digest.to_string().into_bytes()]);
        }
    }
    if task.facts & abi::FACT_EXE == 0 {
        return None;
    }
    let device = format!("{}.{}", task.exe_dev >> 20, task.exe_dev & 0xf_ffff);
    Some(vec![b"exe-inode".to_vec(), device.into_bytes(), task.exe_ino.to_string().into_bytes()])
}

fn open_pidfd(tgid: u32) -> Result<OwnedFd, Mismatch> {
    let pid = i32::try_from(tgid).ok().and_then(Pid::from_raw).ok_or(Mismatch::Gone)?;
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => Ok(fd),
        Err(rustix::io::Errno::SRCH) => Err(Mismatch::Gone),
        Err(e) => Err(Mismatch::Unreadable { file: "pidfd", source: e.into() }),
    }
}

/// A pidfd becomes readable when its process exits.
fn still_lives(pidfd: &OwnedFd) -> Result<(), Mismatch> {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut fds, Some(&now)) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Mismatch::Gone),
        Err(e) => Err(Mismatch::Unreadable { file: "pidfd", source: e.into() }),
    }
}

#[cfg(test)]
impl Attestor {
    pub(super) fn with_passwd(self, passwd: PathBuf) -> Self {
        Self { passwd, ..self }
    }
}
