//! The daemon's end: who is answered, and how much of their time and ours they may take.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::protocol::{MAX_LINE, Request, Response};
use super::socket::Listener;
use crate::sys;

/// Operators at once.
const MAX_PEERS: usize = 16;
/// How long a peer may take over one line, and we over one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is on the other end, by the kernel's word.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Process that connected.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// A handle to that very process, where the kernel gives one (Linux 6.5): its number may be another's by now.
    pub handle: Option<Arc<OwnedFd>>,
}

impl Peer {
    fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let handle = sys::peer_handle(stream.as_fd()).ok().map(Arc::new);
        Ok(Self { pid: credentials.pid().unwrap_or(0), uid: credentials.uid(), gid: credentials.gid(), handle })
    }

    /// Whether the process that connected is still there, so that what was read of its number was read of it.
    #[must_use]
    pub fn lives(&self) -> bool {
        let Some(handle) = &self.handle else { return true };
        let mut end = [PollFd::new(handle, PollFlags::IN)];
        poll(&mut end, Some(&Timespec::default())).is_ok_and(|ended| ended == 0)
    }
}

/// Who is answered.
pub struct Access {
    /// The only user that is; `None` where the socket's own mode says who may connect.
    pub uid: Option<u32>,
    /// Says of a process that it is managed itself, and so must not steer its own guard.
    pub managed: Box<dyn Fn(i32) -> bool + Send + Sync>,
}

impl Access {
    /// Root, unless `managed` says so of the process.
    pub fn root(managed: impl Fn(i32) -> bool + Send + Sync + 'static) -> Self {
        Self { uid: Some(0), managed: Box::new(managed) }
    }

    /// Whoever the socket lets connect, unless `managed` says so of the process.
    pub fn members(managed: impl Fn(i32) -> bool + Send + Sync + 'static) -> Self {
        Self { uid: None, managed: Box::new(managed) }
    }

    fn refusal(&self, peer: &Peer) -> Option<&'static str> {
        if self.uid.is_some_and(|uid| peer.uid != uid) {
            return Some("only root may talk to the daemon");
        }
        if peer.pid <= 0 {
            return Some("the peer is in another pid namespace, so it cannot be told apart from a managed process");
        }
        if (self.managed)(peer.pid) {
            return Some("a managed process may not talk to the daemon that guards it");
        }
        (!peer.lives()).then_some("the process that connected is gone")
    }
}

/// What the daemon does with requests.
pub trait Handler: Send + Sync + 'static {
    /// Carries out `request`, which `peer` was allowed to make.
    fn handle(&self, peer: &Peer, request: Request) -> impl Future<Output = Response> + Send;
}

/// Answers until the future is dropped, which also removes the socket.
pub async fn serve<H: Handler>(listener: Listener, handler: Arc<H>, access: Access) -> io::Result<()> {
    let (socket, _place) = listener.into_parts();
    socket.set_nonblocking(true)?;
    let socket = UnixListener::from_std(socket)?;
    let access = Arc::new(access);
    let places = Arc::new(Semaphore::new(MAX_PEERS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Most likely out of descriptors: others will be closed.
                tracing::warn!(%error, "control socket: cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (handler, access) = (Arc::clone(&handler), Arc::clone(&access));
        tokio::spawn(async move {
            if let Err(error) = converse(stream, &*handler, &access).await {
                tracing::debug!(%error, "control socket: conversation ended");
            }
            drop(place);
        });
    }
}

async fn converse<H: Handler>(stream: UnixStream, handler: &H, access: &Access) -> io::Result<()> {
    let peer = Peer::of(&stream)?;
    let mut stream = BufReader::new(stream);
    if let Some(message) = access.refusal(&peer) {
        tracing::warn!(pid = peer.pid, uid = peer.uid, "control socket: refused, {message}");
        return answer(&mut stream, &Response::Forbidden { message: message.to_owned() }).await;
    }
    let mut line = Vec::new();
    loop {
        line.clear();
        // One byte more than allowed shows that it was too long.
        let most = MAX_LINE as u64 + 1;
        let length = timeout(PATIENCE, (&mut stream).take(most).read_until(b'\n', &mut line)).await??;
        if length == 0 {
            return Ok(());
        }
        if line.pop() != Some(b'\n') {
            let message = if length > MAX_LINE { "the line is too long" } else { "the line has no end" };
            return answer(&mut stream, &Response::Malformed { message: message.to_owned() }).await;
        }
        match serde_json::from_slice(&line) {
            Ok(request) => {
                let response = handler.handle(&peer, request).await;
                answer(&mut stream, &response).await?;
            }
            Err(error) => {
                return answer(&mut stream, &Response::Malformed { message: error.to_string() }).await;
            }
        }
    }
}

async fn answer(stream: &mut BufReader<UnixStream>, response: &Response) -> io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    timeout(PATIENCE, stream.get_mut().write_all(&line)).await?
}
