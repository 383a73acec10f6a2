//! Network namespaces: the daemon's own, and those of containers whose processes are managed.
//!
//! A process can only be diverted to an address of its own namespace, so each namespace gets its own listeners, and
//! upstream sockets are made there too: the connection goes where the process's own would have gone. A thread that
//! entered the namespace stays there and makes sockets on request; sockets keep their namespace wherever they go.

use super::{
    InterceptError, Step,
    kernel::Kernel,
    sockdiag::{LISTEN, SockDiag},
};
use crate::sys;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    ops::RangeInclusive,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

/// Connections the kernel completes before the daemon accepts them; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 16_384;

/// The listeners of one namespace: one or more lanes, each with both families. The kernel spreads connections over the
/// lanes. A host without IPv6 loopback has no IPv6 connections to divert.
pub struct Listeners(Vec<Lane>);

/// What one thread accepts from.
pub struct Lane {
    /// On `127.0.0.1`.
    pub v4: TcpListener,
    /// On `::1`.
    pub v6: Option<TcpListener>,
}

impl Listeners {
    /// Opens `lanes` of listeners in the calling thread's namespace, on `port` or else on the first free one of `range`.
    ///
    /// # Errors
    /// When the port, or every port of the range, is taken.
    pub fn open(
        port: Option<u16>,
        range: RangeInclusive<u16>,
        lanes: usize,
        keepalive: Duration,
    ) -> Result<(Self, u16), InterceptError> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        let candidates: Vec<u16> = port.map_or_else(|| range.collect(), |port| vec![port]);
        for port in candidates {
            match Self::on(port, lanes, keepalive) {
                Ok(listeners) => return Ok((listeners, port)),
                Err(error) => last = error,
            }
        }
        Err(Step::Listen(port).because(last))
    }

    fn on(port: u16, lanes: usize, keepalive: Duration) -> io::Result<Self> {
        // Lanes share the port, so it has to be free before the first: sharing with a stranger is not noticed.
        drop(listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), false, keepalive)?);
        (0..lanes).map(|_| Lane::on(port, lanes > 1, keepalive)).collect::<io::Result<_>>().map(Self)
    }

    /// True when nobody else listens on the port: asked once nobody else can any more.
    ///
    /// # Errors
    /// When the socket table cannot be read.
    pub fn are_alone(&self, port: u16) -> io::Result<bool> {
        let all = self.0.iter().flat_map(|lane| std::iter::once(&lane.v4).chain(&lane.v6));
        let ours: Vec<u64> = all.map(|socket| Ok(rustix::fs::fstat(socket)?.st_ino)).collect::<io::Result<_>>()?;
        let table = SockDiag::open()?.list(sallyport_ebpf::TCP)?;
        let mut there = table.iter().filter(|entry| entry.state == LISTEN && entry.local.port() == port);
        Ok(there.all(|entry| ours.contains(&u64::from(entry.inode))))
    }

    /// True when there is IPv6 loopback.
    pub fn has_v6(&self) -> bool {
        self.0.iter().any(|lane| lane.v6.is_some())
    }

    /// One value a lane.
    pub fn into_lanes(self) -> Vec<Lane> {
        self.0
    }
}

impl Lane {
    fn on(port: u16, shared: bool, keepalive: Duration) -> io::Result<Self> {
        let v4 = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), shared, keepalive)?;
        let v6 = match listen(SocketAddr::from((Ipv6Addr::LOCALHOST, port)), shared, keepalive) {
            Ok(v6) => Some(v6),
            Err(e) if matches!(e.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT)) => None,
            Err(e) => return Err(e),
        };
        Ok(Self { v4, v6 })
    }
}

/// Accepted sockets inherit the options, so they cost nothing per flow.
fn listen(addr: SocketAddr, shared: bool, keepalive: Duration) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(keepalive))?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// One network namespace the daemon serves.
pub struct Namespace {
    /// The kernel's name for it.
    pub cookie: u64,
    /// `None` for the daemon's own: any thread will do.
    maker: Option<mpsc::Sender<Job>>,
}

enum Job {
    Socket(Domain, tokio::sync::oneshot::Sender<io::Result<Socket>>),
    Inside(Box<dyn FnOnce() + Send>),
}

impl Namespace {
    /// The namespace the daemon runs in.
    ///
    /// # Errors
    /// When the kernel has no namespace cookies (before Linux 5.14).
    pub fn own() -> Result<Arc<Self>, InterceptError> {
        let socket = make_socket(Domain::IPV4).map_err(Step::Namespace.failed())?;
        let cookie = sys::netns_cookie(socket.as_fd()).map_err(Step::Namespace.failed())?;
        Ok(Arc::new(Self { cookie, maker: None }))
    }

    /// Enters the namespace a process is in, opens the listeners there, guards its devices and runs `inside` there.
    ///
    /// # Errors
    /// When the process is gone, is in another namespace than `cookie` by now, or the port is taken there.
    pub fn enter(
        seen: Seen,
        kernel: Arc<Kernel>,
        port: u16,
        keepalive: Duration,
        inside: impl FnOnce() + Send + 'static,
    ) -> Result<(Arc<Self>, Listeners), InterceptError> {
        let Seen { pid, cookie } = seen;
        let net = File::open(format!("/proc/{pid}/ns/net")).map_err(Step::Namespace.failed())?;
        let net = OwnedFd::from(net);
        let (ready, opened) = mpsc::channel();
        let (maker, jobs) = mpsc::channel();
        let thread = thread::Builder::new().name("netns".to_owned());
        let body = move || {
            let entered = enter(&net, cookie).and_then(|cookie| Ok((cookie, Listeners::on(port, 1, keepalive)?)));
            let here = entered.as_ref().map(|(cookie, _)| *cookie).ok();
            // The other end waits; it is gone only when the daemon is.
            let _ = ready.send(entered);
            if let Some(cookie) = here {
                guard_devices(&kernel, cookie);
                inside();
                work(&jobs);
            }
        };
        thread.spawn(body).map_err(Step::Namespace.failed())?;
        let entered = opened.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
        let (cookie, listeners) = entered.map_err(Step::Namespace.failed())?;
        Ok((Arc::new(Self { cookie, maker: Some(maker) }), listeners))
    }

    /// A new TCP socket in this namespace.
    ///
    /// # Errors
    /// What socket(2) says.
    pub async fn socket(&self, domain: Domain) -> io::Result<Socket> {
        let Some(maker) = &self.maker else { return make_socket(domain) };
        let (reply, made) = tokio::sync::oneshot::channel();
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        maker.send(Job::Socket(domain, reply)).map_err(|_| gone())?;
        made.await.map_err(|_| gone())?
    }

    /// Has something done in the namespace, soon: by its thread, or in the daemon's own here and now.
    pub fn inside(&self, what: impl FnOnce() + Send + 'static) {
        match &self.maker {
            // A thread that is gone serves nobody, and its namespace's flows are refused.
            Some(maker) => drop(maker.send(Job::Inside(Box::new(what)))),
            None => what(),
        }
    }
}

/// A process, and the namespace the kernel saw it in.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The process.
    pub pid: u32,
    /// The namespace's cookie, when the kernel named it.
    pub cookie: Option<u64>,
}

fn enter(net: &OwnedFd, expected: Option<u64>) -> io::Result<u64> {
    move_into_link_name_space(net.as_fd(), Some(LinkNameSpaceType::Network))?;
    let socket = make_socket(Domain::IPV4)?;
    let cookie = sys::netns_cookie(socket.as_fd())?;
    if expected.is_none_or(|expected| expected == cookie) {
        Ok(cookie)
    } else {
        Err(io::Error::new(io::ErrorKind::NotFound, "the process has entered another network namespace since"))
    }
}

fn work(jobs: &mpsc::Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Socket(domain, reply) => drop(reply.send(make_socket(domain))),
            Job::Inside(what) => what(),
        }
    }
}

fn make_socket(domain: Domain) -> io::Result<Socket> {
    Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))
}

/// Puts the device program on every device of the calling thread's namespace but loopback.
pub fn guard_devices(kernel: &Kernel, cookie: u64) {
    let Ok(socket) = make_socket(Domain::IPV4) else { return };
    let listed = fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    let names = listed.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim());
    let devices = names.filter(|name| *name != "lo");
    let named = devices.filter_map(|name| {
        let index = rustix::net::netdevice::name_to_index(&socket, name).ok()?;
        Some((index, name.to_owned()))
    });
    kernel.guard_devices(cookie, &named.collect::<Vec<_>>());
}
