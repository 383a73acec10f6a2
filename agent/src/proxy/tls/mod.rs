//! TLS on both sides of a flow.
//!
//! Towards the upstream, `connect` verifies what the target's configuration wants verified. Towards the client, `accept`
//! shows a certificate of this host's own authority (`authority`, `leaf`). `facts` is what the record keeps of either.
//!
//! Sessions are not resumed: what was verified once is verified again, and nothing is kept for the next connection.
//! An idle connection costs some 6 KiB a side: below 2 KiB of state with its keys, and the 4 KiB rustls reads into.

mod accept;
mod authority;
mod connect;
mod facts;
mod failure;
mod leaf;
mod scope;
mod terminator;
mod verify;

pub use accept::{Accepted, Acceptor, Hello, Hints};
pub use authority::{Authority, certificate_path};
pub use connect::{Connected, Connector, Reach, To, name};
pub use facts::{Certificate, Facts, fingerprint, server_end_point};
pub use failure::{Distrust, TlsError};
pub use scope::Scope;
pub use terminator::Terminator;
pub use verify::Level;

#[cfg(test)]
mod accept_test;
#[cfg(test)]
mod authority_test;
#[cfg(test)]
mod connect_test;
#[cfg(test)]
mod made;
