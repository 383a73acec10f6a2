//! TLS on both sides of a flow.
//!
//! Towards the upstream, `connect` verifies what the target's configuration wants verified. Towards the client, `accept`
//! shows a certificate of this host's own authority (`authority`, `leaf`). `facts` is what the record keeps of either.
//!
//! Sessions are not resumed: what was verified once is verified again, and nothing is kept for the next connection.
//! An idle connection costs about 1.5 KiB of state a side beside its buffers, which are empty while nothing moves.

mod connect;
mod facts;
mod failure;
mod verify;

pub use connect::{Connected, Connector, Reach, To, name};
pub use facts::{Certificate, Facts, fingerprint, server_end_point};
pub use failure::{Distrust, TlsError};
pub use verify::Level;

#[cfg(test)]
mod connect_test;
#[cfg(test)]
mod made;
