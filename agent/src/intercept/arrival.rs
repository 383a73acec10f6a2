//! A connection arrives: it is looked up once, and is then intercepted, passed untouched, or refused.

use super::{
    ClientAddr, OrigDst, namespace::Namespace, places::Places, places::ScopeIndex, tables::Sockets, tables::Tables,
};
use sallyport_ebpf::{Addr, Flow, V4_MAPPED, Verdict};
use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex},
};
use tokio::net::TcpStream;

/// A managed process's connection, with what the kernel attests of it. Made here only, and consumed once.
///
/// It cannot be made up elsewhere:
/// ```compile_fail
/// fn make_up(one: sallyport::intercept::arrival::Intercepted) -> sallyport::intercept::arrival::Intercepted {
///     sallyport::intercept::arrival::Intercepted { scope: 0, ..one }
/// }
/// ```
/// nor used twice:
/// ```compile_fail
/// fn twice(one: sallyport::intercept::arrival::Intercepted) -> [sallyport::intercept::arrival::Intercepted; 2] {
///     [one.clone(), one]
/// }
/// ```
pub struct Intercepted {
    client: TcpStream,
    peer: ClientAddr,
    flow: Flow,
    scope: ScopeIndex,
    namespace: Arc<Namespace>,
}

impl Intercepted {
    /// The client's end.
    pub fn peer(&self) -> ClientAddr {
        self.peer
    }

    /// Where the process asked to go.
    pub fn destination(&self) -> OrigDst {
        OrigDst(socket_addr(&self.flow.dest, self.flow.dest_port))
    }

    /// What the kernel saw at connect.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// The scope the process is in.
    pub fn scope(&self) -> ScopeIndex {
        self.scope
    }

    /// The namespace the connection came from and goes out of.
    pub fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    /// The client's socket, to be watched. What it sends is not to be read before the connection may go on.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }

    /// The client's stream, for the proxy and for resetting a refused client.
    pub fn into_client(self) -> TcpStream {
        self.client
    }
}

/// What an accepted connection turned out to be.
pub enum Arrival {
    /// Of a managed process.
    Intercepted(Intercepted),
    /// Of a process that was unknown when it connected and is in no scope: passed untouched, this once.
    Clear(TcpStream, OrigDst, Arc<Namespace>),
    /// Nobody knows it: it was not diverted.
    Stray(TcpStream, ClientAddr),
    /// Diverted, but what it belongs to cannot be established any more.
    Unplaced(TcpStream, Box<Flow>),
}

/// What arrivals are looked up in.
pub struct Desk {
    /// What the kernel half knows of accepted sockets.
    pub sockets: Sockets,
    /// The other tables.
    pub tables: Arc<Mutex<Tables>>,
    /// Which processes are in which scope.
    pub places: Mutex<Arc<Places>>,
}

impl Desk {
    /// Looks a connection up, once.
    pub fn receive(&self, client: TcpStream, peer: SocketAddr, from: &Arc<Namespace>) -> Arrival {
        let peer = ClientAddr(peer);
        let flow = self.sockets.flow(client.as_fd()).filter(|flow| flow.netns == from.cookie);
        let Some(flow) = flow else { return Arrival::Stray(client, peer) };
        let namespace = Arc::clone(from);
        if flow.verdict == Verdict::Managed as u32 {
            return Arrival::Intercepted(Intercepted { client, peer, flow, scope: flow.scope, namespace });
        }
        match self.classify(&flow) {
            Some(place) if place.verdict == Verdict::Managed as u32 => {
                Arrival::Intercepted(Intercepted { client, peer, flow, scope: place.scope, namespace })
            }
            Some(_) => Arrival::Clear(client, OrigDst(socket_addr(&flow.dest, flow.dest_port)), namespace),
            None => Arrival::Unplaced(client, Box::new(flow)),
        }
    }

    /// Classifies the task of a flow or event, and lets the kernel know.
    pub fn classify(&self, flow: &Flow) -> Option<sallyport_ebpf::Placement> {
        let places = self.places();
        let mut tables = self.tables.lock().ok()?;
        places.classify(&flow.task, &mut tables)
    }

    /// The selectors as of now.
    pub fn places(&self) -> Arc<Places> {
        match self.places.lock() {
            Ok(places) => Arc::clone(&places),
            Err(poisoned) => Arc::clone(&poisoned.into_inner()),
        }
    }
}

/// An address as the kernel half writes it.
pub fn addr(ip: IpAddr) -> Addr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// A socket address from the kernel half's form; v4-mapped addresses become IPv4.
pub fn socket_addr(addr: &Addr, port: u16) -> SocketAddr {
    let v6 = Ipv6Addr::from(*addr);
    let ip = if addr.starts_with(&V4_MAPPED) { v6.to_canonical() } else { IpAddr::V6(v6) };
    SocketAddr::new(ip, port)
}
