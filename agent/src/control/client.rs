//! The command line's end: one question, one answer, and no waiting for a daemon that hangs.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::protocol::{MAX_LINE, Request, Response};
use super::socket::{APPROVALS_NAME, SOCKET_NAME};

/// How long any one step may take. A healthy daemon answers in a millisecond.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon runs.
    #[error("no daemon answers at {0}")]
    NobodyListens(PathBuf),
    /// Not root, nor a member of the group that may.
    #[error("no permission to talk to the daemon at {0}; {1}")]
    NotPermitted(PathBuf, &'static str),
    /// Something that is not the daemon has its socket.
    #[error("{path} belongs to user {uid}, not to the daemon")]
    Impostor {
        /// The socket.
        path: PathBuf,
        /// Who listens there.
        uid: u32,
    },
    /// The daemon is there and does not answer.
    #[error("the daemon at {path} did not answer")]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon said something this version does not understand.
    #[error("the daemon at {path} speaks another version")]
    Strange {
        /// The socket.
        path: PathBuf,
        /// What was not understood.
        source: serde_json::Error,
    },
}

impl ClientError {
    fn dialling(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
            return Self::NobodyListens(path);
        }
        if source.kind() == io::ErrorKind::PermissionDenied {
            let approvals = path.ends_with(APPROVALS_NAME);
            return Self::NotPermitted(
                path,
                if approvals { "be root or a member of `approvals.group`" } else { "be root" },
            );
        }
        Self::Io { path, source }
    }
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the daemon of `runtime_dir`.
    pub fn connect(runtime_dir: &Path) -> Result<Self, ClientError> {
        Self::dial(runtime_dir.join(SOCKET_NAME), 0)
    }

    /// Connects to the approvers' socket of `runtime_dir`.
    pub fn connect_to_approvals(runtime_dir: &Path) -> Result<Self, ClientError> {
        Self::dial(runtime_dir.join(APPROVALS_NAME), 0)
    }

    fn dial(path: PathBuf, expected: u32) -> Result<Self, ClientError> {
        let stream = dial(&path).map_err(|source| ClientError::dialling(&path, source))?;
        let peer = rustix::net::sockopt::socket_peercred(&stream)
            .map_err(|error| ClientError::Io { path: path.clone(), source: error.into() })?;
        let uid = peer.uid.as_raw();
        if uid != expected {
            return Err(ClientError::Impostor { path, uid });
        }
        Ok(Self { path, stream: BufReader::new(stream) })
    }

    /// Asks and waits for the answer.
    pub fn ask(&mut self, request: &Request) -> Result<Response, ClientError> {
        let line = self.exchange(request).map_err(|source| ClientError::Io { path: self.path.clone(), source })?;
        serde_json::from_slice(&line).map_err(|source| ClientError::Strange { path: self.path.clone(), source })
    }

    fn exchange(&mut self, request: &Request) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        // A daemon that refuses closes without reading; its answer is there all the same.
        let sent = self.stream.get_mut().write_all(&line);
        line.clear();
        (&mut self.stream).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        if line.last() == Some(&b'\n') {
            return Ok(line);
        }
        sent?;
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer has no end"))
    }
}

/// Connects with a limit: the kernel's send timeout also bounds waiting for a full backlog.
fn dial(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::protocol::Status;
    use super::super::server::{Access, Handler, Peer, serve};
    use super::super::socket::Listener;
    use super::*;

    struct Version;

    impl Handler for Version {
        async fn handle(&self, peer: &Peer, request: Request) -> Response {
            match request {
                Request::Status => Response::Status(Status { version: "1".into(), ..Status::default() }),
                Request::Bypass(_) | Request::ReloadPolicies | Request::Approvals(_) => {
                    Response::Refused { message: format!("not you, {}", peer.pid) }
                }
            }
        }
    }

    fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    /// Runs `test` against a daemon with `access`.
    async fn with_daemon<T: Send + 'static>(access: Access, test: impl FnOnce(&Path) -> T + Send + 'static) -> T {
        let dir = tempfile::tempdir().unwrap();
        let daemon = tokio::spawn(serve(Listener::bind(dir.path()).unwrap(), Arc::new(Version), access));
        let path = dir.path().to_owned();
        let result = tokio::task::spawn_blocking(move || test(&path)).await.unwrap();
        daemon.abort();
        result
    }

    fn trusting() -> Access {
        Access { uid: Some(own_uid()), managed: Box::new(|_| false) }
    }

    #[tokio::test]
    async fn asks_twice() {
        with_daemon(trusting(), |dir| {
            let mut client = Client::dial(dir.join(SOCKET_NAME), own_uid()).unwrap();
            for _ in 0..2 {
                assert!(
                    matches!(client.ask(&Request::Status).unwrap(), Response::Status(status) if status.version == "1")
                );
            }
        })
        .await;
    }

    #[tokio::test]
    async fn strangers_and_the_managed_are_refused() {
        let refused = |access| {
            with_daemon(access, |dir| {
                let response = Client::dial(dir.join(SOCKET_NAME), own_uid()).unwrap().ask(&Request::Status).unwrap();
                matches!(response, Response::Forbidden { .. })
            })
        };
        assert!(refused(Access { uid: Some(own_uid() + 1), managed: Box::new(|_| false) }).await);
        let own = std::process::id().cast_signed();
        assert!(refused(Access { uid: Some(own_uid()), managed: Box::new(move |pid| pid == own) }).await);
        assert!(refused(Access::members(move |pid| pid == own)).await);
    }

    #[tokio::test]
    async fn nonsense_gets_one_answer_and_no_more() {
        for nonsense in [vec![b'x'; MAX_LINE * 4], b"{}\n".to_vec(), b"\xff\xfe\n".to_vec(), b"\n".to_vec()] {
            let answer = with_daemon(trusting(), move |dir| {
                let mut stream = dial(&dir.join(SOCKET_NAME)).unwrap();
                let _ = stream.write_all(&nonsense);
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer);
                answer
            })
            .await;
            assert!(matches!(serde_json::from_slice(&answer).unwrap(), Response::Malformed { .. }));
        }
    }

    #[test]
    fn nobody_listens() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Client::connect(dir.path()), Err(ClientError::NobodyListens(_))));
        drop(std::os::unix::net::UnixListener::bind(dir.path().join(SOCKET_NAME)).unwrap());
        assert!(matches!(Client::connect(dir.path()), Err(ClientError::NobodyListens(_))));
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_an_error() {
        let long = PathBuf::from(format!("/{}", "x".repeat(200)));
        assert!(matches!(Client::connect(&long), Err(ClientError::Io { .. })));
    }
}
