//! Who opened a connection: kernel-attested facts of a process and the workload name made of them.
//!
//! The kernel half hands over a [`Task`](sallyport_ebpf::Task) captured at `connect`. [`Attestor`] completes it from
//! `/proc` (executable, digest, unit, login, ancestors) and proves that what it read belongs to that very process.
//! What cannot be proven falls back to the kernel's facts alone, and what they cannot name is an error: a denial.
//!
//! `comm`, thread ids, environment and source ports never enter an identity. The argument vector is the process's
//! own claim; it is kept for the record, redacted, and never decides anything.

mod argv;
mod attest;
mod cache;
mod cgroup;
mod executable;
mod habits;
mod passwd;
mod process;
pub mod procfs;
mod secrets;
mod snapshot;
mod spiffe;
#[cfg(test)]
mod tests;

pub use argv::redact;
pub use attest::{AttestError, Attestor};
pub use cgroup::Placement;
pub use executable::Sha256;
pub use process::{Ancestor, Attestation, Executable, Identity, Login, Process};
pub(crate) use secrets::is_secret_name;
pub use spiffe::{SpiffeError, SpiffeId, TrustDomain, unescape_segment};
