//! The kernel half at work: load it, attach it at the cgroup root, pin it, or adopt what a predecessor left.

use super::{InterceptError, Step, btf};
use crate::sys::{self, Attach, Raw};
use aya::{
    Btf, Ebpf, EbpfLoader,
    programs::{
        CgroupSkb, CgroupSock, CgroupSockAddr, CgroupSockopt, Lsm, Program, SchedClassifier, SockOps, TracePoint,
        links::FdLink,
        tc::{self, NlOptions, TcAttachOptions, TcAttachType},
    },
};
use sallyport_ebpf::{ABI_VERSION, ATTACH_CGROUP, ATTACH_PID, FORK_CHILD, FORK_CHILD_OLD, Offsets};
use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sallyport-ebpf"));

/// Programs attached at the cgroup root, in the order of attaching: what refuses comes before what diverts, so a
/// half-attached set is closed rather than open. Sockets are remembered last: whatever is known of one, it cannot have
/// been connected unseen.
const AT_ROOT: [(&str, Attach); 11] = [
    ("on_getpeername4", Attach::Getpeername4),
    ("on_getpeername6", Attach::Getpeername6),
    ("on_bind4", Attach::Bind4),
    ("on_bind6", Attach::Bind6),
    ("on_setsockopt", Attach::Setsockopt),
    ("on_egress", Attach::InetEgress),
    ("on_sendmsg4", Attach::Sendmsg4),
    ("on_sendmsg6", Attach::Sendmsg6),
    ("on_connect4", Attach::Connect4),
    ("on_connect6", Attach::Connect6),
    ("on_sock_create", Attach::SockCreate),
];

/// The program at our own cgroup, where the listeners' sockets are: nobody else's connections run it.
const AT_HOME: (&str, Attach) = ("on_socket_event", Attach::SockOps);

/// Programs on tracepoints, with category and name.
const AT_TRACEPOINT: [(&str, &str, &str); 3] = [
    ("on_exec", "sched", "sched_process_exec"),
    ("on_exit", "sched", "sched_process_exit"),
    ("on_migrate", "cgroup", "cgroup_attach_task"),
];

/// The program on forks, of which the kernel's record fits one.
const ON_FORK: [(&str, usize); 2] = [("on_fork", FORK_CHILD), ("on_fork_old", FORK_CHILD_OLD)];

/// The program on devices, and those where LSM programs can fire, with their hooks.
const ON_DEVICE: &str = "on_device";
const AT_LSM: [(&str, &str); 2] = [("lsm_socket_create", "socket_create"), ("lsm_socket_connect", "socket_connect")];

/// What is missing when LSM programs cannot fire.
const LSM: &str = "lsm";

/// Maps that outlive the daemon. All but the read-only data.
pub(super) const PINNED_MAPS: [&str; 13] = [
    "SETTINGS",
    "SCOPES",
    "COUNTERS",
    "FLOWS",
    "CGROUPS",
    "USERS",
    "EXES",
    "MEMBERS",
    "RESOLVERS",
    "NAMESPACES",
    "REPORTED",
    "EVENTS",
    "SOCKETS",
];

/// The instance name of the daemon.
pub const DAEMON: &str = "daemon";

/// Where one instance keeps its pins: `BPFFS/sallyport/INSTANCE/`.
#[derive(Clone, Debug)]
pub struct PinDir(PathBuf);

impl PinDir {
    /// The directory of an instance (`daemon`, or one of a command run on its own).
    pub fn new(bpffs: &Path, instance: &str) -> Self {
        Self(bpffs.join("sallyport").join(instance))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// True for the daemon's own, of which there is one on a host.
    fn is_daemon(&self) -> bool {
        self.0.ends_with(DAEMON)
    }

    /// Where links are pinned.
    pub fn links(&self) -> PathBuf {
        self.0.join("links")
    }

    /// Names of what is attached, from the pinned links.
    pub fn attached(&self) -> Vec<String> {
        let mut names: Vec<String> = entries(&self.links()).iter().filter_map(|path| name_of(path)).collect();
        names.sort();
        names
    }

    /// The pinned maps of whichever version, if any.
    pub fn maps(&self) -> Option<PathBuf> {
        entries(&self.0).into_iter().find(|path| name_of(path).is_some_and(|name| name.starts_with("maps-")))
    }

    /// The pinned maps of the other instances on this host.
    pub fn others(bpffs: &Path, instance: &str) -> Vec<PathBuf> {
        let dirs = entries(&bpffs.join("sallyport")).into_iter().filter(|dir| !dir.ends_with(instance));
        dirs.filter_map(|dir| Self(dir).maps()).collect()
    }

    /// Removes every pin: the programs detach, and whatever they enforced ends.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(&self) -> io::Result<()> {
        if self.is_daemon() {
            for device in entries(Path::new("/sys/class/net")).iter().filter_map(|path| name_of(path)) {
                // There only before Linux 6.6.
                let _ = tc::qdisc_detach_program(&device, TcAttachType::Egress, ON_DEVICE);
            }
        }
        match fs::remove_dir_all(&self.0) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }
}

/// What the kernel half is loaded with.
pub struct Setup<'a> {
    /// Mount point of the v2 hierarchy.
    pub cgroup_root: &'a Path,
    /// Where to pin, or adopt from.
    pub pins: PinDir,
    /// Capacity of the flow table.
    pub max_flows: u32,
}

/// The loaded kernel half.
pub struct Kernel {
    programs: Mutex<Ebpf>,
    cgroup: File,
    home: File,
    pins: PinDir,
    maps: PathBuf,
    /// Devices that have the device program, by namespace cookie and index.
    guarded: Mutex<HashSet<(u64, u32)>>,
    /// True when pinned maps of a predecessor were taken over.
    pub adopted: bool,
    /// Which program fits this kernel's record of forks.
    on_fork: &'static str,
    /// Why a hook that can be missing is missing, for the log and `status`.
    pub missing: Vec<(&'static str, String)>,
}

impl Kernel {
    /// Loads every program against pinned maps, made now or adopted. Nothing changes on the host yet.
    ///
    /// # Errors
    /// When the kernel refuses; the step says what to look at.
    pub fn load(setup: &Setup<'_>) -> Result<Self, InterceptError> {
        let cgroup = File::open(setup.cgroup_root).map_err(Step::OpenCgroup.failed())?;
        let home = home(setup.cgroup_root).and_then(File::open).map_err(Step::OpenCgroup.failed())?;
        let maps = setup.pins.path().join(format!("maps-v{ABI_VERSION}-{}", setup.max_flows));
        let adopted = maps.join("SETTINGS").exists();
        fs::create_dir_all(&maps).map_err(Step::Pin.failed())?;
        fs::create_dir_all(setup.pins.links()).map_err(Step::Pin.failed())?;
        let offsets = fs::read("/sys/kernel/btf/vmlinux").ok().and_then(|btf| btf::offsets(&btf));
        let offsets = Raw(offsets.unwrap_or_default());
        let attach = ("cgroup", "cgroup_attach_task");
        event_field(attach, ("dst_id", 8)).and_then(|found| expect(attach, "dst_id", found == ATTACH_CGROUP))?;
        event_field(attach, ("pid", 4)).and_then(|found| expect(attach, "pid", found == ATTACH_PID))?;
        let fork = ("sched", "sched_process_fork");
        let child = event_field(fork, ("child_pid", 4))?;
        let on_fork = ON_FORK.iter().find(|(_, offset)| *offset == child).map(|(name, _)| *name);
        expect(fork, "child_pid", on_fork.is_some())?;
        let btf = Btf::from_sys_fs().ok();
        let mut loader = EbpfLoader::new();
        loader.btf(btf.as_ref()).map_max_entries("FLOWS", setup.max_flows);
        loader.override_global("OFFSETS", &offsets, true);
        for name in PINNED_MAPS {
            loader.map_pin_path(name, maps.join(name));
        }
        let programs = loader.load(OBJECT).map_err(|e| Step::Load.because(e))?;
        let mut kernel = Self {
            programs: Mutex::new(programs),
            cgroup,
            home,
            pins: setup.pins.clone(),
            maps,
            guarded: Mutex::default(),
            adopted,
            on_fork: on_fork.unwrap_or_default(),
            missing: Vec::new(),
        };
        if offsets.0 == Offsets::default() {
            kernel
                .missing
                .push(("types", "no usable BTF: start times, login uids and executables are read late".into()));
        }
        kernel.load_programs(btf.as_ref())?;
        Ok(kernel)
    }

    fn load_programs(&mut self, btf: Option<&Btf>) -> Result<(), InterceptError> {
        let programs = self.programs.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (name, program) in programs.programs_mut() {
            let hook = AT_LSM.iter().find(|(lsm, _)| *lsm == name).map(|(_, hook)| *hook);
            if ON_FORK.iter().any(|(fork, _)| *fork == name) && name != self.on_fork {
                continue;
            }
            let Err(error) = load_one(program, hook, btf) else { continue };
            // These are extra where the kernel has them; everything else is the promise itself.
            match name {
                ON_DEVICE => self.missing.push((ON_DEVICE, reason(&error))),
                _ if hook.is_some() => self.missing.push((LSM, reason(&error))),
                _ => return Err(Step::Verify(name.to_owned()).because(io::Error::other(last_words(&error)))),
            }
        }
        Ok(())
    }

    /// Attaches or replaces every program. A link that a predecessor pinned gets the new program in one step.
    ///
    /// # Errors
    /// When the kernel refuses a hook the promise rests on.
    pub fn attach(&mut self) -> Result<(), InterceptError> {
        let links = self.pins.links();
        let cgroup = self.cgroup.as_raw_fd() as u32;
        let (name, kind) = AT_HOME;
        let home = self.home.as_raw_fd() as u32;
        // A predecessor's home was another cgroup, and its listeners are gone with it.
        let link = sys::link_create(self.fd(name)?, home, kind).map_err(Step::Attach(name.into()).failed())?;
        replace_pin(&links.join(name), |path| sys::pin(link.as_fd(), path))?;
        for (name, kind) in AT_ROOT {
            replace_or_create(self.fd(name)?, cgroup, kind, &links.join(name))
                .map_err(Step::Attach(name.into()).failed())?;
        }
        let fork = (self.on_fork, "sched", "sched_process_fork");
        for (name, category, event) in AT_TRACEPOINT.into_iter().chain([fork]) {
            let program: &mut TracePoint = self.program(name)?;
            let attached = program.attach(category, event).and_then(|id| program.take_link(id));
            let link = attached.map_err(|e| Step::Attach(name.into()).because(e))?;
            let link = FdLink::try_from(link).map_err(|e| Step::Attach(name.into()).because(e))?;
            replace_pin(&links.join(name), |path| pin(link, path))?;
        }
        if !self.missing.iter().any(|(name, _)| *name == LSM) {
            self.attach_lsm(&links)?;
        }
        self.remove_other_versions();
        Ok(())
    }

    fn attach_lsm(&mut self, links: &Path) -> Result<(), InterceptError> {
        for (name, _) in AT_LSM {
            let program: &mut Lsm = self.program(name)?;
            let attached = program.attach().and_then(|id| program.take_link(id));
            let link = attached.map_err(|e| Step::Attach(name.into()).because(e))?;
            replace_pin(&links.join(name), |path| pin(link.into(), path))?;
        }
        Ok(())
    }

    /// Judges packet sockets at these devices, given by index and name, of the calling thread's namespace; they are all
    /// it has.
    pub fn guard_devices(&self, netns: u64, devices: &[(u32, String)]) {
        let lost = |_| tracing::error!("a thread died while it guarded devices; new devices are not guarded");
        let Ok(mut guarded) = self.guarded.lock().map_err(lost) else { return };
        let pin = |index: u32| self.pins.links().join(format!("{ON_DEVICE}-{netns}-{index}"));
        let is_gone = |(of, index): &(u64, u32)| *of == netns && !devices.iter().any(|(known, _)| known == index);
        for (_, index) in guarded.extract_if(is_gone) {
            // A pin of a device that is gone names nothing; it may be gone itself.
            let _ = fs::remove_file(pin(index));
        }
        for (index, name) in devices {
            if guarded.contains(&(netns, *index)) {
                continue;
            }
            match self.guard_device((*index, name), &pin(*index)) {
                Ok(()) => drop(guarded.insert((netns, *index))),
                Err(error) => tracing::warn!(device = name, %error, "packet sockets on this device are not judged"),
            }
        }
    }

    fn guard_device(&self, (index, name): (u32, &str), pin: &Path) -> io::Result<()> {
        let mut programs = self.programs.lock().map_err(|_| io::Error::other("the programs are lost"))?;
        let Some(Program::SchedClassifier(program)) = programs.program_mut(ON_DEVICE) else { return Ok(()) };
        let Ok(fd) = program.fd() else { return Ok(()) };
        match replace_or_create(fd.as_fd(), index, Attach::TcxEgress, pin) {
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => self.filter_device(program, name),
            done => done,
        }
    }

    /// Before Linux 6.6 devices take programs as traffic control filters. Those have no links: they stay until they are
    /// taken away by name, which a second instance would do to the first.
    fn filter_device(&self, program: &mut SchedClassifier, device: &str) -> io::Result<()> {
        if !self.pins.is_daemon() {
            return Err(io::Error::other("only the daemon can, before Linux 6.6"));
        }
        // The queueing discipline may be there already.
        let _ = tc::qdisc_add_clsact(device);
        let _ = tc::qdisc_detach_program(device, TcAttachType::Egress, ON_DEVICE);
        let options = TcAttachOptions::Netlink(NlOptions::default());
        let attached = program.attach_with_options(device, TcAttachType::Egress, options);
        let link = attached.and_then(|id| program.take_link(id)).map_err(io::Error::other)?;
        // The filter outlives us, as a pinned link would.
        std::mem::forget(link);
        Ok(())
    }

    /// The pin directory.
    pub fn pins(&self) -> &PinDir {
        &self.pins
    }

    /// Takes a map out of the loaded object.
    ///
    /// # Errors
    /// When the object has no such map: the two halves were built apart.
    pub(super) fn take_map(&mut self, name: &str) -> Result<aya::maps::Map, InterceptError> {
        self.programs
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take_map(name)
            .ok_or_else(|| InterceptError::NoMap(name.to_owned()))
    }

    fn fd(&mut self, name: &str) -> Result<BorrowedFd<'_>, InterceptError> {
        let programs = self.programs.get_mut().unwrap_or_else(PoisonError::into_inner);
        let program = programs.program(name).and_then(|program| program.fd().ok());
        program.map(AsFd::as_fd).ok_or_else(|| InterceptError::NoProgram(name.to_owned()))
    }

    fn program<'a, P>(&'a mut self, name: &str) -> Result<&'a mut P, InterceptError>
    where
        &'a mut P: TryFrom<&'a mut Program>,
    {
        let programs = self.programs.get_mut().unwrap_or_else(PoisonError::into_inner);
        let program = programs.program_mut(name).and_then(|program| program.try_into().ok());
        program.ok_or_else(|| InterceptError::NoProgram(name.to_owned()))
    }

    /// Maps of another ABI version or capacity are of no use once every link runs the new programs.
    fn remove_other_versions(&self) {
        for path in entries(self.pins.path()) {
            let is_maps = name_of(&path).is_some_and(|name| name.starts_with("maps-"));
            if is_maps && path != self.maps && fs::remove_dir_all(&path).is_ok() {
                tracing::warn!(path = %path.display(), "replaced the maps of another version");
            }
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the object has no programs of other types")]
fn load_one(program: &mut Program, lsm: Option<&str>, btf: Option<&Btf>) -> Result<(), aya::programs::ProgramError> {
    match program {
        Program::CgroupSkb(p) => CgroupSkb::load(p),
        Program::CgroupSock(p) => CgroupSock::load(p),
        Program::CgroupSockAddr(p) => CgroupSockAddr::load(p),
        Program::CgroupSockopt(p) => CgroupSockopt::load(p),
        Program::SockOps(p) => SockOps::load(p),
        Program::TracePoint(p) => TracePoint::load(p),
        Program::SchedClassifier(p) => SchedClassifier::load(p),
        Program::Lsm(p) => match (lsm, btf) {
            (Some(hook), Some(btf)) if lsm_can_fire() => Lsm::load(p, hook, btf),
            _ => Err(io::Error::other("`bpf` is not in the kernel's active LSM list").into()),
        },
        _ => Ok(()),
    }
}

/// True when an attached LSM program would be called: `bpf` is in the active list.
pub fn lsm_can_fire() -> bool {
    let list = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    list.trim().split(',').any(|name| name == "bpf")
}

fn replace_or_create(program: BorrowedFd<'_>, target: u32, kind: Attach, path: &Path) -> io::Result<()> {
    match sys::pinned(path) {
        Ok(link) => match sys::link_update(link.as_fd(), program) {
            // The device or cgroup under the old link is gone: the pin is a name for nothing.
            Err(e) if e.raw_os_error() == Some(libc::ENOLINK) => fs::remove_file(path)?,
            done => return done,
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    sys::pin(sys::link_create(program, target, kind)?.as_fd(), path)
}

fn pin(link: FdLink, path: &Path) -> io::Result<()> {
    link.pin(path).map(drop).map_err(io::Error::other)
}

/// For links whose program or cgroup cannot be replaced: the new one runs before the old one goes.
fn replace_pin(path: &Path, pin: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), InterceptError> {
    // No dots: bpf file systems reserve them.
    let mut old = path.as_os_str().to_owned();
    old.push("-old");
    let unless_missing = |done: io::Result<()>| match done {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Step::Pin.because(e)),
        _ => Ok(()),
    };
    unless_missing(fs::rename(path, &old))?;
    pin(path).map_err(Step::Pin.failed())?;
    unless_missing(fs::remove_file(&old))
}

/// Offset of a field in the record of a kernel event; it moves between kernel versions.
fn event_field((category, event): (&str, &str), field: (&str, u32)) -> Result<usize, InterceptError> {
    let path = tracefs()?.join("events").join(category).join(event).join("format");
    let format = fs::read_to_string(&path).map_err(Step::Tracefs.failed())?;
    find_field(&format, field)
        .ok_or_else(|| InterceptError::EventFormat { event: event.to_owned(), missing: field.0.to_owned() })
}

fn expect((_, event): (&str, &str), field: &str, fits: bool) -> Result<(), InterceptError> {
    let odd = || InterceptError::EventFormat { event: event.to_owned(), missing: format!("{field} at a known offset") };
    fits.then_some(()).ok_or_else(odd)
}

/// Offset of a field of this name and size (bytes), in the text of an event's format.
fn find_field(format: &str, (name, size): (&str, u32)) -> Option<usize> {
    format.lines().find_map(|line| {
        let mut parts = line.trim().split(';').map(str::trim);
        let declared = parts.next()?.strip_prefix("field:")?.split(' ').next_back()?;
        let offset = parts.next()?.strip_prefix("offset:")?.parse().ok()?;
        let found: u32 = parts.next()?.strip_prefix("size:")?.parse().ok()?;
        (declared == name && found == size).then_some(offset)
    })
}

/// Where tracefs is; it is mounted now if nobody has.
fn tracefs() -> Result<PathBuf, InterceptError> {
    const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
    let find = || PLACES.iter().map(PathBuf::from).find(|path| path.join("events/sched").exists());
    if let Some(path) = find() {
        return Ok(path);
    }
    let flags = rustix::mount::MountFlags::NOSUID | rustix::mount::MountFlags::NODEV;
    rustix::mount::mount("tracefs", PLACES[0], "tracefs", flags, None)
        .map_err(|e| Step::Tracefs.because(io::Error::from(e)))?;
    find().ok_or_else(|| Step::Tracefs.because(io::Error::from(io::ErrorKind::NotFound)))
}

/// The cgroup we are in.
fn home(root: &Path) -> io::Result<PathBuf> {
    let listed = fs::read_to_string("/proc/self/cgroup")?;
    let path = listed.lines().find_map(|line| line.strip_prefix("0::/"));
    path.map(|path| root.join(path)).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).map(|dir| dir.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

fn name_of(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// The end of what the verifier said; the rest is a listing of the program.
fn last_words(error: &aya::programs::ProgramError) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.trim().lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}

fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.1 and 6.18 print it.
    const OLD: &str = "\tfield:char child_comm[16];\toffset:28;\tsize:16;\tsigned:1;\n\tfield:pid_t child_pid;\toffset:44;\tsize:4;\tsigned:1;\n";
    const NEW: &str = "\tfield:__data_loc char[] child_comm;\toffset:16;\tsize:4;\tsigned:0;\n\tfield:pid_t child_pid;\toffset:20;\tsize:4;\tsigned:1;\n";

    #[test]
    fn a_field_is_found_by_name_and_size() {
        for (format, field, expected) in [
            (OLD, ("child_pid", 4), Some(44)),
            (NEW, ("child_pid", 4), Some(20)),
            (NEW, ("child_pid", 8), None),
            (NEW, ("pid", 4), None),
            ("", ("child_pid", 4), None),
            ("field:;offset:;size:;", ("child_pid", 4), None),
        ] {
            assert_eq!(find_field(format, field), expected, "{field:?} in {format}");
        }
    }
}
