//! How an operator talks to the running daemon: a root-only UNIX socket, one JSON object a line.
//!
//! No TCP, no tokens: the kernel says who is on the other end, and only root outside every scope is answered.

mod client;
mod protocol;
mod server;
mod socket;

pub use self::client::{Client, ClientError};
pub use self::protocol::{
    Bypass, BypassLength, BypassRequest, MAX_LINE, OpenScope, PinnedState, Reason, Request, Response, ScopeChoice,
    ScopeStatus, Status,
};
pub use self::server::{Access, Handler, Peer, serve};
pub use self::socket::{Listener, SOCKET_NAME, SocketError};
