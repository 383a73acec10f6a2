//! How people talk to the running daemon: UNIX sockets, one JSON object a line.
//!
//! No TCP, no tokens: the kernel says who is on the other end. Operators are root; approvers may be members of a group and
//! have a socket of their own, where nothing but approvals is spoken of. Nobody inside a scope is answered at either.

mod approvals;
mod client;
mod protocol;
mod server;
mod socket;

pub use self::approvals::{ApprovalLine, ApprovalShown, ApprovalsRequest, ApprovalsResponse, GlassLine};
pub use self::client::{Client, ClientError};
pub use self::protocol::{
    Bypass, BypassLength, BypassRequest, MAX_LINE, OpenScope, PinnedState, Reason, Request, Response, ScopeChoice,
    ScopeStatus, Status,
};
pub use self::server::{Access, Handler, Peer, serve};
pub use self::socket::{APPROVALS_NAME, Listener, SOCKET_NAME, SocketError};
