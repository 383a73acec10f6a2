//! Opens the connection to where the process asked to go, in the namespace it asked from.

use crate::{
    config,
    intercept::{OrigDst, namespace::Namespace},
    record::Outcome,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, TcpKeepalive};
use std::io;
use tokio::net::TcpStream;

/// Connects within the configured time.
pub(super) async fn dial(namespace: &Namespace, to: OrigDst, limits: &config::Proxy) -> io::Result<TcpStream> {
    let socket = namespace.socket(Domain::for_address(to.0)).await?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(limits.keepalive))?;
    match socket.connect(&to.0.into()) {
        Ok(()) => return TcpStream::from_std(socket.into()),
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(e) => return Err(e),
    }
    // Mostly it was over when the call returned, and only not seen yet.
    let mut end = [PollFd::new(&socket, PollFlags::OUT)];
    let seen = poll(&mut end, Some(&Timespec::default()))?;
    let up = seen == 1 && end.iter().all(|end| end.revents() == PollFlags::OUT);
    let stream = TcpStream::from_std(socket.into())?;
    if up {
        return Ok(stream);
    }
    let connected = async {
        stream.writable().await?;
        stream.take_error()?.map_or(Ok(()), Err)
    };
    match tokio::time::timeout(limits.connect_timeout, connected).await {
        Ok(connected) => connected.map(|()| stream),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// What a failed dial is called in the record.
#[expect(clippy::wildcard_enum_match_arm, reason = "`io::ErrorKind` is open-ended")]
pub(super) fn outcome(error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Outcome::UpstreamRefused,
        io::ErrorKind::TimedOut => Outcome::UpstreamTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
            Outcome::UpstreamUnreachable
        }
        _ => Outcome::Failed,
    }
}
