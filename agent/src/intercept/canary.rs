//! Before READY, a process of ours in a managed cgroup tries everything that must be diverted or refused.
//!
//! A hook that is attached and never fires looks exactly like one that works, until somebody gets past it. Addresses
//! are documentation ones (RFC 5737, RFC 3849), chosen so that no byte order reads the same; nothing is sent to them.

use super::{InterceptError, OrigDst, Step, tables::Tables};
use crate::sys::{self, Raw};
use sallyport_ebpf::{CANARY_EGRESS_PORT, CANARY_SCOPE, Placement, Scope, Verdict};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    time::Duration,
};

/// How long one proof may take on a loaded host.
const PATIENCE: Duration = Duration::from_secs(5);

/// Destinations that must arrive here: one per connect hook and form of address, then once more after the canary
/// moved itself out of its cgroup.
const DIVERTED: [(&str, &str); 4] = [
    ("connect4", "198.51.100.7:4660"),
    ("connect6", "[2001:db8:12:34::7]:8755"),
    ("connect6 (v4-mapped)", "203.0.113.9:13398"),
    ("connect4 after leaving the cgroup", "198.51.100.14:22136"),
];

/// Runs the canary. `arrivals` yields the destination of each connection that reached the listeners from
/// [`CANARY_SCOPE`].
///
/// # Errors
/// The first hook that did not do what it must.
pub fn prove(site: &Site<'_>, cage: &Cage, arrivals: &mpsc::Receiver<OrigDst>) -> Result<(), InterceptError> {
    cage.manage(site.tables, true)?;
    let proven = release(site, cage, arrivals);
    cage.manage(site.tables, false)?;
    proven
}

fn release(site: &Site<'_>, cage: &Cage, arrivals: &mpsc::Receiver<OrigDst>) -> Result<(), InterceptError> {
    let failed = |error: io::Error| Step::Canary.because(error);
    let child = Command::new("/proc/self/exe")
        .arg("__canary")
        .args([cage.path.as_os_str(), site.cgroup_root.as_os_str()])
        .args([site.own_port.to_string(), site.v6.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        let said = said.trim().lines().last().unwrap_or("it died").to_owned();
        return Err(Step::Canary.because(io::Error::other(said)));
    }
    // They are looked up side by side, so they come in any order.
    let mut missing: Vec<_> = DIVERTED.iter().filter(|(_, to)| site.v6 || !to.starts_with('[')).collect();
    while let Some((hook, destination)) = missing.first() {
        let Ok(seen) = arrivals.recv_timeout(PATIENCE) else {
            let what = format!("{hook}: a connection to {destination} was diverted and did not arrive");
            return Err(Step::Canary.because(io::Error::other(what)));
        };
        missing.retain(|(_, destination)| seen.0.to_string() != *destination);
    }
    Ok(())
}

/// What the canary needs to know of the daemon.
pub struct Site<'a> {
    /// Mount point of the v2 hierarchy.
    pub cgroup_root: &'a Path,
    /// The kernel half's maps.
    pub tables: &'a Mutex<Tables>,
    /// Port of the listeners.
    pub own_port: u16,
    /// Whether this host has IPv6 loopback.
    pub v6: bool,
}

/// The canary's cgroup.
pub struct Cage {
    path: PathBuf,
    id: u64,
}

impl Cage {
    /// Makes the cgroup. This is done long before the canary sings, so that other instances on this host have classified
    /// it by then.
    ///
    /// # Errors
    /// When the cgroup cannot be made.
    pub fn make(cgroup_root: &Path) -> Result<Self, InterceptError> {
        let path = cgroup_root.join(format!("sallyport-canary-{}", std::process::id()));
        let made = fs::create_dir_all(&path).and_then(|()| fs::metadata(&path));
        let id = made.map_err(|error| Step::Canary.because(error))?.ino();
        Ok(Self { path, id })
    }

    /// The cgroup's id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Puts the cgroup in a scope of its own, or out of it.
    fn manage(&self, tables: &Mutex<Tables>, managed: bool) -> Result<(), InterceptError> {
        let mut tables = tables.lock().unwrap_or_else(PoisonError::into_inner);
        if !managed {
            tables.cgroups.remove(&self.id);
            return Ok(());
        }
        tables.put_scope(CANARY_SCOPE, Scope::default())?;
        tables.cgroups.put(&self.id, Raw(Placement { verdict: Verdict::Managed as u32, scope: CANARY_SCOPE }))
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        // The child has ended; its cgroup empties a moment after it was reaped.
        for _ in 0..100 {
            if fs::remove_dir(&self.path).is_ok() || !self.path.exists() {
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// The canary itself, in its own process: `CGROUP ROOT PORT V6`. Exits with 0 when everything was as it must be, else
/// says on stdout what was not.
pub fn sing(words: &[String]) -> i32 {
    let [cage, root, port, v6] = words else { return 64 };
    let (Ok(port), Ok(v6)) = (port.parse(), v6.parse()) else { return 64 };
    match attempts(Path::new(cage), Path::new(root), port, v6) {
        Ok(()) => 0,
        Err(what) => {
            println!("{what}");
            1
        }
    }
}

fn attempts(cage: &Path, root: &Path, port: u16, v6: bool) -> Result<(), String> {
    let enter = |cgroup: &Path| {
        fs::write(cgroup.join("cgroup.procs"), "0").map_err(|e| format!("entering {}: {e}", cgroup.display()))
    };
    enter(cage)?;
    let [four, six, mapped, late] = DIVERTED;
    diverted(four, Domain::IPV4)?;
    if v6 {
        diverted(six, Domain::IPV6)?;
    }
    diverted(mapped, if v6 { Domain::IPV6 } else { Domain::IPV4 })?;
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    refused("connect4 to the listener", tcp(Domain::IPV4).and_then(|socket| socket.connect(&own.into())))?;
    refused("bind4 on the listener's port", tcp(Domain::IPV4).and_then(|socket| socket.bind(&own.into())))?;
    datagrams("198.51.100.7:4660", "0.0.0.0:0")?;
    if v6 {
        datagrams("[2001:db8:12:34::7]:8755", "[::]:0")?;
        let own = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
        refused("bind6 on the listener's port", tcp(Domain::IPV6).and_then(|socket| socket.bind(&own.into())))?;
    }
    // With LSM programs the socket itself is refused, and a kernel without packet sockets has nothing to stop.
    match Socket::new(Domain::PACKET, Type::DGRAM, None) {
        Err(e) if e.raw_os_error() == Some(libc::EAFNOSUPPORT) => {}
        made => refused("setsockopt of a packet socket", made.and_then(|s| sys::bypass_qdisc(s.as_fd())))?,
    }
    refused("sock_create (raw)", Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)))?;
    let probe = UdpSocket::bind("127.0.0.1:0").map_err(|e| format!("a UDP socket: {e}"))?;
    refused("cgroup_skb egress", probe.send_to(b"canary", (Ipv4Addr::LOCALHOST, CANARY_EGRESS_PORT)))?;
    enter(root)?;
    diverted(late, Domain::IPV4)
}

/// The connection must succeed, and still show the peer that was asked for.
fn diverted((hook, to): (&str, &str), domain: Domain) -> Result<(), String> {
    let to: SocketAddr = to.parse().map_err(|e| format!("{to}: {e}"))?;
    let asked = match (to, domain) {
        (SocketAddr::V4(v4), Domain::IPV6) => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())),
        (to, _) => to,
    };
    let connected = tcp(domain).and_then(|socket| {
        socket.connect_timeout(&asked.into(), PATIENCE)?;
        socket.peer_addr()
    });
    match connected {
        Ok(peer) if peer.as_socket() == Some(asked) => Ok(()),
        Ok(peer) => Err(format!("{hook}: connected to {asked}, and getpeername says {:?}", peer.as_socket())),
        Err(e) => Err(format!("{hook}: {e} when connecting to {asked}")),
    }
}

fn datagrams(to: &str, from: &str) -> Result<(), String> {
    let socket = UdpSocket::bind(from).map_err(|e| format!("a UDP socket: {e}"))?;
    refused("sendmsg", socket.send_to(b"canary", to))?;
    refused("connect of a datagram socket", socket.connect(to))
}

fn tcp(domain: Domain) -> io::Result<Socket> {
    Socket::new(domain, Type::STREAM, Some(Protocol::TCP))
}

fn refused<T>(what: &str, outcome: io::Result<T>) -> Result<(), String> {
    match outcome {
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => Ok(()),
        Err(e) => Err(format!("{what}: {e} instead of a refusal")),
        Ok(_) => Err(format!("{what}: it was not refused")),
    }
}
