//! Sockets by name, addresses by text.

use crate::sys;
use rustix::{
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::SocketAddr,
    os::{fd::AsFd, unix::net::UnixStream},
    time::Duration,
};

/// Long enough for a loaded machine, short enough for a test.
const PATIENCE: Duration = Duration::from_secs(8);
/// Local ports of everything the probe opens, unless it binds: outside the range of the rest of the host, so that a
/// packet of its own is known by its source. Low half: first port, high half: last.
const OWN_PORTS: u32 = 61_000 | 65_000 << 16;
const IP_LOCAL_PORT_RANGE: i32 = 51;

/// Makes a socket of a kind: `tcp4`, `udp6`, or `FAMILY,TYPE,PROTOCOL` in numbers.
pub fn make(kind: &str) -> io::Result<Socket> {
    let (family, sort, protocol) = numbers(kind)?;
    let socket = Socket::new_raw(Domain::from(family), Type::from(sort), Some(Protocol::from(protocol)))?;
    adorn(&socket, family);
    Ok(socket)
}

/// As [`make`], by an io_uring.
pub fn make_by_ring(kind: &str) -> io::Result<Socket> {
    let (family, sort, protocol) = numbers(kind)?;
    let socket = sys::ring_socket(family, sort, protocol)?;
    adorn(&socket, family);
    Ok(socket)
}

/// Times and ports; families that know neither do without.
fn adorn(socket: &Socket, family: i32) {
    let _ = socket.set_read_timeout(Some(PATIENCE));
    let _ = socket.set_write_timeout(Some(PATIENCE));
    if family == libc::AF_INET || family == libc::AF_INET6 {
        let _ = sys::set_option(socket, libc::IPPROTO_IP, IP_LOCAL_PORT_RANGE, &OWN_PORTS.to_ne_bytes());
    }
}

fn numbers(kind: &str) -> io::Result<(i32, i32, i32)> {
    const DCCP: i32 = 6;
    const AF_SMC: i32 = 43;
    Ok(match kind {
        "tcp4" => (libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP),
        "tcp6" => (libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_TCP),
        "mptcp4" => (libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP),
        "mptcp6" => (libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_MPTCP),
        "udp4" => (libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDP),
        "udp6" => (libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_UDP),
        "udplite4" => (libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE),
        "ping4" => (libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP),
        "icmp4" => (libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        "icmp6" => (libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6),
        "raw4" => (libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW),
        "raw6" => (libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_RAW),
        "rawtcp4" => (libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_TCP),
        "sctp4" => (libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
        "sctp-seq4" => (libc::AF_INET, libc::SOCK_SEQPACKET, libc::IPPROTO_SCTP),
        "dccp4" => (libc::AF_INET, DCCP, libc::IPPROTO_DCCP),
        "packet-raw" => (libc::AF_PACKET, libc::SOCK_RAW, 0),
        "packet-dgram" => (libc::AF_PACKET, libc::SOCK_DGRAM, 0),
        "xdp" => (libc::AF_XDP, libc::SOCK_RAW, 0),
        "vsock" => (libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        "smc4" => (AF_SMC, libc::SOCK_STREAM, 0),
        other => {
            let parts: Vec<i32> = other.split(',').filter_map(|part| part.parse().ok()).collect();
            let [family, sort, protocol] = parts[..] else { return Err(io::ErrorKind::InvalidInput.into()) };
            (family, sort, protocol)
        }
    })
}

/// An address from text: `10.0.0.1:80`, `[::1]:80`, `vsock:CID:PORT`.
pub fn address(text: &str) -> io::Result<SockAddr> {
    if let Some(rest) = text.strip_prefix("vsock:") {
        let (cid, port) = rest.split_once(':').ok_or(io::ErrorKind::InvalidInput)?;
        let number = |text: &str| text.parse::<u32>().map_err(io::Error::other);
        return Ok(SockAddr::vsock(number(cid)?, number(port)?));
    }
    text.parse::<SocketAddr>().map(SockAddr::from).map_err(io::Error::other)
}

/// `sockaddr_ll`: a device, an Ethernet protocol and a link address.
pub fn link_address(index: u32, protocol: u16, mac: &[u8]) -> SockAddr {
    let mut bytes = Vec::with_capacity(20);
    bytes.extend((libc::AF_PACKET as u16).to_ne_bytes());
    bytes.extend(protocol.to_be_bytes());
    bytes.extend(index.to_ne_bytes());
    bytes.extend([0, 0, 0, mac.len() as u8]);
    bytes.extend(mac);
    bytes.resize(20, 0);
    sys::address(&bytes)
}

/// `AF_UNSPEC`: what ends an association.
pub fn nowhere() -> SockAddr {
    sys::address(&[0; 16])
}

/// Enters the network namespace of a file.
pub fn enter_network(path: &str) -> io::Result<()> {
    let file = File::open(path)?;
    Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// Hands a socket over.
pub fn give(stream: &UnixStream, socket: &Socket) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [socket.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(stream, &[IoSlice::new(b"x")], &mut control, SendFlags::empty())?;
    Ok(())
}

/// Takes a socket that is handed over.
pub fn take(stream: &UnixStream) -> io::Result<Socket> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    rustix::net::recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::empty())?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message
            && let Some(fd) = fds.next()
        {
            return Ok(fd.into());
        }
    }
    Err(io::ErrorKind::NotFound.into())
}
