//! Where the measurements happen: cgroups and network namespaces of their own, and a guard who removes them.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::wire::READY;
use crate::process::{output, target};

/// What proc(5) counts in, on every architecture we build for.
pub(in crate::bench) const USER_HZ: f64 = 100.0;
/// Descriptors for each of the processes: ten thousand flows are twenty thousand in a proxy.
const DESCRIPTORS: u64 = 65_536;
/// Those a proxy needs for other things than idle flows.
const OTHER_DESCRIPTORS: u64 = 300;
/// Local ports, apart from those that somebody listens on.
const LOCAL_PORTS: &str = "30000 65535";
/// Closed connections that keep their port for a minute, at most: more would use up all ports, and finding the last
/// free one would be what is measured.
const WAITING: u32 = 4096;

/// What runs in a cgroup of its own.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) enum Place {
    /// Managed by the daemon.
    Managed,
    /// In no scope.
    Free,
    /// The daemon itself.
    Daemon,
}

impl Place {
    const ALL: [Self; 3] = [Self::Managed, Self::Free, Self::Daemon];

    fn name(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Free => "free",
            Self::Daemon => "daemon",
        }
    }
}

/// Directory, cgroups and guard of one run. All of it goes when this is dropped, or the process dies.
pub(in crate::bench) struct Site {
    /// For everybody's files; a BPF file system is mounted on `bpf` in it.
    pub(in crate::bench) directory: PathBuf,
    /// How many flows a proxy has descriptors for.
    pub(in crate::bench) most_flows: u64,
    cgroups: PathBuf,
    guard: Child,
    began: (Instant, f64),
}

impl Site {
    pub(in crate::bench) fn make() -> Result<Self> {
        let descriptors = raise_descriptors()?;
        let directory = tempfile::Builder::new().prefix("sallyport-bench-").tempdir()?.keep();
        let name = format!("bench-{}", std::process::id());
        let cgroups = cgroup_root()?.join(name);
        let mut guard = Command::new(target("release/xtask"));
        guard.args(["__bench", "guard"]).arg(&directory).arg(&cgroups).stdin(Stdio::piped());
        // Out of the reach of the terminal's Ctrl-C.
        let guard = guard.process_group(0).spawn().context("cannot start the guard")?;
        let most_flows = descriptors.saturating_sub(OTHER_DESCRIPTORS) / 2;
        let began = (Instant::now(), busy_seconds()?);
        let site = Self { directory, most_flows, cgroups, guard, began };
        for place in Place::ALL {
            fs::create_dir_all(site.cgroups.join(place.name()))?;
        }
        let bpf = site.directory.join("bpf");
        fs::create_dir(&bpf)?;
        mount("bpf", &bpf, "bpf", MountFlags::empty(), None).context("cannot mount a BPF file system")?;
        Ok(site)
    }

    /// The managed cgroup as a configuration names it.
    pub(in crate::bench) fn managed(&self) -> String {
        let name = self.cgroups.file_name().unwrap_or_default().to_string_lossy();
        format!("/{name}/{}", Place::Managed.name())
    }

    /// A command in one of the cgroups and in a network namespace.
    pub(in crate::bench) fn command(&self, place: Place, network: &Network, program: impl AsRef<Path>) -> Command {
        let mut command = self.inside(place);
        command.arg("nsenter").arg(format!("--net=/proc/{}/ns/net", network.server.0.id())).arg("--");
        command.arg(program.as_ref());
        command
    }

    /// What others than this run used of the processors since it began, as a share of all there is: how much the
    /// absolute figures are worth.
    pub(in crate::bench) fn used_by_others(&self) -> Result<f64> {
        let stat = fs::read_to_string(self.cgroups.join("cpu.stat"))?;
        let own = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")).context("no usage in cpu.stat")?;
        let own = own.parse::<f64>()? / 1e6;
        let (start, before) = self.began;
        let all = start.elapsed().as_secs_f64() * available_parallelism()?.get() as f64;
        Ok((busy_seconds()? - before - own).max(0.0) / all)
    }

    fn inside(&self, place: Place) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 0 > \"$0\" && exec \"$@\""]);
        command.arg(self.cgroups.join(place.name()).join("cgroup.procs"));
        command
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        if !self.guard.wait().is_ok_and(|status| status.success()) {
            eprintln!("warning: {} or {} may be left", self.directory.display(), self.cgroups.display());
        }
    }
}

/// Waits until whoever holds the other end of the standard input is gone, then removes what it made.
pub(in crate::bench) fn guard(directory: &Path, cgroups: &Path) -> Result<()> {
    io::stdin().read_to_end(&mut Vec::new())?;
    if cgroups.exists() {
        fs::write(cgroups.join("cgroup.kill"), "1").context("cannot kill what is left")?;
        remove_cgroups(cgroups)?;
    }
    // It is not there when making it was what failed.
    let _ = unmount(directory.join("bpf"), UnmountFlags::DETACH);
    fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))
}

/// Removes a cgroup with everything below; the killed may take a moment to leave.
fn remove_cgroups(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove_cgroups(&entry.path())?;
        }
    }
    for _ in 0..500 {
        match fs::remove_dir(path) {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => sleep(Duration::from_millis(10)),
            done => return done.with_context(|| format!("cannot remove {}", path.display())),
        }
    }
    bail!("{} does not become empty", path.display())
}

/// Where even the superuser may not raise the limit, as in some containers, all that is allowed has to do.
fn raise_descriptors() -> Result<u64> {
    let wanted = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
    if setrlimit(Resource::Nofile, wanted).is_ok() {
        return Ok(DESCRIPTORS);
    }
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .context("cannot raise the limit of open files")?;
    Ok(maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS))
}

/// Seconds all processors together were not idle, proc_stat(5).
fn busy_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let fields = stat.lines().next().context("an empty /proc/stat")?.split_whitespace().skip(1);
    let ticks = fields.map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    // user nice system idle iowait irq softirq steal; guests are part of user.
    Ok(ticks.iter().take(8).enumerate().filter(|(at, _)| *at != 3 && *at != 4).map(|(_, ticks)| ticks).sum::<f64>()
        / USER_HZ)
}

fn cgroup_root() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut fields = mounts.lines().map(|line| line.split(' '));
    let found = fields.find_map(|mut field| {
        let at = field.nth(1)?;
        (field.next() == Some("cgroup2")).then(|| PathBuf::from(at))
    });
    found.context("no cgroup v2 hierarchy is mounted")
}

/// A process that is killed when its owner lets go of it.
pub(in crate::bench) struct Owned(pub(in crate::bench) Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A network namespace with a server in it; it lives as long as the server.
pub(in crate::bench) struct Network {
    server: Owned,
}

impl Network {
    pub(in crate::bench) fn make(site: &Site) -> Result<Self> {
        let mut command = site.inside(Place::Free);
        let script = format!(
            "ip link set lo up && cd /proc/sys/net/ipv4 && echo {LOCAL_PORTS} > ip_local_port_range && \
             echo {WAITING} > tcp_max_tw_buckets && exec \"$@\""
        );
        command.args(["unshare", "--net", "--", "sh", "-c", &script, "sh"]);
        let (server, _) = helper(command.arg(target("release/xtask")).args(["__bench", "serve"]))?;
        Ok(Self { server: Owned(server) })
    }

    /// Waits until somebody listens on `port` here.
    pub(in crate::bench) fn wait_for(&self, site: &Site, port: u16) -> Result<()> {
        // st 0A is LISTEN, proc_net_tcp(5).
        let wanted = format!(":{port:04X} 00000000:0000 0A ");
        for _ in 0..500 {
            let table = format!("/proc/{}/net/tcp", self.server.0.id());
            if fs::read_to_string(table)?.contains(&wanted) {
                return Ok(());
            }
            sleep(Duration::from_millis(10));
        }
        bail!("nobody listens on port {port} of {}", site.directory.display())
    }

    /// Sends connections of the superuser to the server to `port` instead.
    pub(in crate::bench) fn redirect(&self, site: &Site, port: u16) -> Result<()> {
        let rules = site.directory.join("redirect.nft");
        let server = super::wire::PORT;
        fs::write(
            &rules,
            format!(
                "table ip bench {{\n  chain output {{\n    type nat hook output priority -100;\n    \
                 meta skuid 0 tcp dport {server} redirect to :{port}\n  }}\n}}\n"
            ),
        )?;
        output(site.command(Place::Free, self, "nft").arg("-f").arg(&rules)).map(|_| ())
    }
}

/// Starts one of our own helpers and waits until it says that it is ready.
pub(in crate::bench) fn helper(command: &mut Command) -> Result<(Child, impl BufRead + use<>)> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start a helper")?;
    let mut lines = BufReader::new(child.stdout.take().context("a helper without an output")?);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    if line.trim() != READY {
        bail!("a helper ended before it was ready ({})", child.wait()?);
    }
    Ok((child, lines))
}
