//! What makes the store tamper-evident: each record is a leaf of an append-only Merkle log whose head is signed.
//!
//! Hashing and proofs are those of RFC 6962 and RFC 9162; checkpoints are those of C2SP (tlog-checkpoint in a
//! signed-note), so that others' tools can check them. Nothing here knows what a record is.

mod checkpoint;
mod hash;
mod keys;
#[cfg(test)]
mod known;
mod note;
#[cfg(test)]
mod proofs_test;
mod prover;
mod signer;
mod tree;
mod verify;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use hash::{HASH_BYTES, Hash, Leaf, NotAHash, leaf, node};
pub use keys::{KeyError, KeyPlaces, KeySource, Keys, Rotation, public_keys};
pub use note::{MAX_NOTE, MAX_SIGNATURES, Note, NoteError, Verified, sign};
pub use prover::{Hashes, Prover, ProverError};
pub use signer::{KeyId, KeyName, KeyTextError, NameError, Signer, VerifierKey};
pub use tree::{Frontier, FrontierError, Head, MAX_SIZE, TILE_LEAVES};
pub use verify::{ProofError, verify_consistency, verify_inclusion};
