//! One test's world, from nothing and back to nothing.

use crate::{Cgroup, Daemon, Network, Puppet, Said, Store, cgroup, daemon};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use std::{
    ffi::CStr,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

const PREFIX: &str = "sallyport-test-";

/// Two hosts, a cgroup, a BPF file system, and the directories of a daemon.
pub struct Bed {
    /// Dropped first: it ends every process of the test.
    cgroup: Cgroup,
    bpffs: Mounted,
    network: Network,
    dir: tempfile::TempDir,
    tag: String,
    /// One test at a time on a machine, whatever runs them: programs at the cgroup root are seen by all.
    _turn: fs::File,
}

/// A file system mounted for a test. Unmounting a BPF file system removes every pin, and so detaches every program.
pub struct Mounted(PathBuf);

impl Mounted {
    /// Mounts `source` of a kind on a directory that is there.
    pub fn new(source: &str, at: &Path, kind: &str, options: &CStr) -> Self {
        mount(source, at, kind, MountFlags::empty(), Some(options)).unwrap_or_else(|e| panic!("{}: {e}", at.display()));
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let gone = crate::within(Duration::from_secs(5), || unmount(&self.0, UnmountFlags::empty()).ok());
        if gone.is_none() {
            let _ = unmount(&self.0, UnmountFlags::DETACH);
        }
    }
}

impl Bed {
    /// A new one. Its top cgroup is a slice, so that what is below are units. Fails when not root: these tests are never skipped.
    #[expect(clippy::new_without_default, reason = "it is not a plain value")]
    pub fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "the tests load programs into the kernel: run them as root");
        raise_limit();
        let turn = fs::File::create(std::env::temp_dir().join("sallyport-tests.lock")).unwrap();
        turn.lock().unwrap();
        remove_leftovers();
        let tag = tag();
        let name = format!("{PREFIX}{tag}");
        let dir = named(&name);
        let bpffs = dir.path().join("bpf");
        fs::create_dir(&bpffs).unwrap();
        let bpffs = Mounted::new("bpf", &bpffs, "bpf", c"");
        Self { cgroup: Cgroup::top(&format!("{name}.slice")), bpffs, network: Network::new(), dir, tag, _turn: turn }
    }

    /// A configuration: `scopes` as written, `intercept` within its section, and `rest` after it.
    pub fn config(&self, scopes: &str, intercept: &str, rest: &str) -> String {
        let bpffs = self.bpffs.0.display();
        let resolvers = if intercept.contains("resolvers") { "" } else { "resolvers = []" };
        format!("{scopes}\n[intercept]\nbpffs = \"{bpffs}\"\n{resolvers}\n{intercept}\n{rest}\n")
    }

    /// A daemon with these scopes.
    pub fn daemon(&self, scopes: &str) -> Daemon {
        Daemon::start(self, &self.config(scopes, "", ""))
    }

    /// A scope that selects the unit [`Bed::unit`] of `job`.
    pub fn scope(&self, keys: &str) -> String {
        format!("[scope.jobs]\nunit = \"{}\"\n{keys}\n", self.unit("job"))
    }

    /// A unit's name that no other test uses.
    pub fn unit(&self, name: &str) -> String {
        format!("t{}-{name}.service", self.tag)
    }

    /// The cgroup of a unit.
    pub fn unit_cgroup(&self, name: &str) -> Cgroup {
        self.cgroup.child(&self.unit(name))
    }

    /// A process of the unit `job`, on the host under test.
    pub fn managed(&self) -> Puppet {
        self.inside(&self.unit_cgroup("job"))
    }

    /// A process of a unit that no scope selects, on the host under test.
    pub fn unmanaged(&self) -> Puppet {
        self.inside(&self.unit_cgroup("bystander"))
    }

    /// A process in a cgroup, on the host under test.
    pub fn inside(&self, cgroup: &Cgroup) -> Puppet {
        Puppet::start([
            "--netns".into(),
            self.network.here.path().into(),
            "--cgroup".into(),
            cgroup.path().as_os_str().to_owned(),
        ])
    }

    /// `sallyport WORDS` with this test's files, daemon or not.
    pub fn cli(&self, words: &[&str]) -> Said {
        daemon::cli(&self.dir().join("sallyport.toml"), &self.state(), &self.runtime(), words)
    }

    /// The hosts.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The top cgroup.
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// Where the BPF file system is mounted.
    pub fn bpffs(&self) -> &Path {
        &self.bpffs.0
    }

    /// A directory of this test alone.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.dir().join("state")
    }

    /// The runtime directory.
    pub fn runtime(&self) -> PathBuf {
        self.dir().join("run")
    }

    /// What was recorded.
    pub fn store(&self) -> Store {
        Store::of(&self.state())
    }
}

/// A directory of one test, removed with the value, or by a later test when this one's process was killed.
pub(crate) fn directory() -> tempfile::TempDir {
    named(&format!("{PREFIX}{}", tag()))
}

fn named(name: &str) -> tempfile::TempDir {
    tempfile::Builder::new().prefix(&format!("{name}-")).tempdir().unwrap()
}

fn tag() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, SeqCst))
}

/// As many open files as may be had, for servers and probes of many connections.
pub fn raise_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("a limit below the highest");
}

/// What test processes left that were killed outright: their cgroups and mounts.
pub(crate) fn remove_leftovers() {
    let is_dead = |name: &str| {
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
    };
    let last = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    for entry in fs::read_dir(cgroup::root()).into_iter().flatten().flatten() {
        if is_dead(&last(&entry.path())) {
            cgroup::sweep(&entry.path());
        }
    }
    for line in fs::read_to_string("/proc/self/mounts").unwrap_or_default().lines() {
        let path = PathBuf::from(line.split(' ').nth(1).unwrap_or_default());
        if let Some(parent) = path.parent().filter(|parent| is_dead(&last(parent))) {
            let _ = unmount(&path, UnmountFlags::DETACH);
            let _ = fs::remove_dir_all(parent);
        }
    }
}
