//! The kernel's socket table over netlink: list TCP and UDP sockets, and destroy one (`sock_diag(7)`).
//!
//! Everything is of the calling thread's network namespace. Replies are the kernel's, and every read is bounded.

use super::arrival::{addr, socket_addr};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};
use std::{io, net::SocketAddr, os::fd::OwnedFd};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const INET_DIAG_CGROUP_ID: u16 = 21;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// `nlmsghdr`, and `inet_diag_msg` without attributes.
const HEADER: usize = 16;
const MESSAGE: usize = 72;

/// `TCP_ESTABLISHED`; for UDP: connected.
pub const ESTABLISHED: u8 = 1;
/// `TCP_LISTEN`.
pub const LISTEN: u8 = 10;

/// One socket of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `IPPROTO_TCP` or `IPPROTO_UDP`.
    pub protocol: u8,
    family: u8,
    /// Kernel state, as for TCP.
    pub state: u8,
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// As in `/proc/PID/fd`; zero for sockets nobody holds.
    pub inode: u32,
    /// Cgroup id, where the kernel tells.
    pub cgroup: Option<u64>,
    /// The socket's cookie.
    pub cookie: u64,
    /// `inet_diag_sockid`, as the kernel wrote it.
    id: [u8; 48],
}

/// An open line to the kernel's table.
pub struct SockDiag(OwnedFd);

impl SockDiag {
    /// Opens the line in the calling thread's namespace.
    ///
    /// # Errors
    /// What socket(2) says.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        Ok(Self(socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG))?))
    }

    /// All sockets of a protocol, both families.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn list(&self, protocol: u8) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        for family in [AF_INET, AF_INET6] {
            let request = request(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, [family, protocol], &[0; 48]);
            send(&self.0, &request, SendFlags::empty())?;
            self.replies(|kind, body| {
                if kind == SOCK_DIAG_BY_FAMILY {
                    found.extend(parse(body, protocol));
                }
            })?;
        }
        Ok(found)
    }

    /// Ends a connection: its holder reads `ECONNABORTED`, its peer gets a reset.
    ///
    /// # Errors
    /// `EOPNOTSUPP` without `CONFIG_INET_DIAG_DESTROY`; a socket that is gone is no error.
    pub fn destroy(&self, entry: &Entry) -> io::Result<()> {
        let flags = NLM_F_REQUEST | NLM_F_ACK;
        let request = request(SOCK_DESTROY, flags, [entry.family, entry.protocol], &entry.id);
        send(&self.0, &request, SendFlags::empty())?;
        match self.replies(|_, _| {}) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            done => done,
        }
    }

    /// Reads replies until the kernel says it is done, or says how it failed.
    fn replies(&self, mut take: impl FnMut(u16, &[u8])) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let (len, _) = recv(&self.0, &mut buffer, RecvFlags::empty())?;
            let mut rest = buffer.get(..len).unwrap_or_default();
            while let Some((kind, body, next)) = message(rest) {
                match kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => {
                        return match number(body, 0).map(|code| code.cast_signed()) {
                            Some(0) => Ok(()),
                            Some(code) => Err(io::Error::from_raw_os_error(-code)),
                            None => Err(io::ErrorKind::InvalidData.into()),
                        };
                    }
                    kind => take(kind, body),
                }
                rest = next;
            }
        }
    }
}

/// Type, body and what follows, of the first message.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = number(bytes, 0)? as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let body = bytes.get(HEADER..len)?;
    Some((kind, body, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// `nlmsghdr` and `inet_diag_req_v2` (`include/uapi/linux/inet_diag.h`).
fn request(kind: u16, flags: u16, [family, protocol]: [u8; 2], id: &[u8; 48]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + 56);
    bytes.extend(((HEADER + 56) as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, protocol, 0, 0]);
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(id);
    bytes
}

/// One `inet_diag_msg` with its attributes; `None` when it is cut short.
pub fn parse(body: &[u8], protocol: u8) -> Option<Entry> {
    let id: [u8; 48] = body.get(4..52)?.try_into().ok()?;
    let family = *body.first()?;
    let end = |port: usize, at: usize| {
        let port = u16::from_be_bytes(id.get(port..port + 2)?.try_into().ok()?);
        let raw = id.get(at..at + 16)?;
        let ip = if family == AF_INET {
            addr(<[u8; 4]>::try_from(raw.get(..4)?).ok()?.into())
        } else {
            raw.try_into().ok()?
        };
        Some(socket_addr(&ip, port))
    };
    Some(Entry {
        protocol,
        family,
        state: *body.get(1)?,
        local: end(0, 4)?,
        remote: end(2, 20)?,
        inode: number(body, 68)?,
        cgroup: cgroup(body.get(MESSAGE..)?),
        cookie: u64::from(number(&id, 40)?) | u64::from(number(&id, 44)?) << 32,
        id,
    })
}

/// The cgroup id among the attributes.
fn cgroup(mut attributes: &[u8]) -> Option<u64> {
    loop {
        let head = attributes.get(..4)?;
        let len = usize::from(u16::from_ne_bytes(head.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(head.get(2..4)?.try_into().ok()?);
        let value = attributes.get(4..len)?;
        if kind == INET_DIAG_CGROUP_ID {
            return Some(u64::from_ne_bytes(value.get(..8)?.try_into().ok()?));
        }
        attributes = attributes.get(len.next_multiple_of(4)..)?;
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_is_found_with_both_ends_and_destroyed() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let diag = SockDiag::open().unwrap();
        let local = client.local_addr().unwrap();
        let entries = diag.list(6).unwrap();
        let entry = entries.iter().find(|e| e.local == local && e.state == ESTABLISHED).expect("listed");
        assert_eq!(entry.remote, server.local_addr().unwrap());
        assert!(entry.cgroup.is_some());
        diag.destroy(entry).unwrap();
        diag.destroy(entry).expect("a second time is no error");
        use std::io::Read;
        let error = (&client).read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = message(&bytes);
            let _ = parse(&bytes, 6);
        }
    }
}
