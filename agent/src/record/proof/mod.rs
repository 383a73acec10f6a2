//! What makes the store tamper-evident: each record is a leaf of an append-only Merkle log whose head is signed.
//!
//! Hashing and proofs are those of RFC 6962 and RFC 9162; checkpoints are those of C2SP (tlog-checkpoint in a
//! signed-note), so that others' tools can check them. Nothing here knows what a record is.

mod hash;
#[cfg(test)]
mod known;
#[cfg(test)]
mod proofs_test;
mod prover;
mod tree;
mod verify;

pub use hash::{HASH_BYTES, Hash, Leaf, NotAHash, leaf, node};
pub use prover::{Hashes, Prover, ProverError};
pub use tree::{Frontier, FrontierError, Head, MAX_SIZE, TILE_LEAVES};
pub use verify::{ProofError, verify_consistency, verify_inclusion};
