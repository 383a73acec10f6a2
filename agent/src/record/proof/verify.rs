//! Proofs about a log, checked: that a leaf is in it, and that it only grew (RFC 9162, sections 2.1.3.2 and 2.1.4.2).
//!
//! A proof is the list of hashes of RFC 6962, section 2.1, which RFC 9162 left as they were. It may come from a
//! stranger. From bottom to top it goes along the *inner* levels, where the path to the place in question and the path
//! to the last leaf differ, and then along the *border*, where the tree's right edge only has subtrees to its left.

use super::hash::{Hash, node};
use super::tree::Head;

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// There is no such leaf.
    #[error("leaf {index} is outside a log of {size} leaves, which count from 0")]
    Outside {
        /// The leaf asked about.
        index: u64,
        /// Leaves of the log.
        size: u64,
    },
    /// A log only grows.
    #[error("a log of {old} leaves cannot have become one of {new}")]
    Shrunk {
        /// Leaves of the log that is said to be older.
        old: u64,
        /// Leaves of the other.
        new: u64,
    },
    /// Not as many hashes as the proof has to have.
    #[error("the proof has {found} hashes, and {expected} are needed")]
    Length {
        /// Hashes there were.
        found: usize,
        /// Hashes there should be.
        expected: usize,
    },
    /// The hashes lead to another root.
    #[error("root {found} follows from the proof, and the log of {size} leaves has root {expected}")]
    Root {
        /// Leaves of the log.
        size: u64,
        /// Root that follows.
        found: Hash,
        /// Root of the log.
        expected: Hash,
    },
}

/// Whether leaf `index`, counted from 0, of the log with that head has that hash.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_inclusion(head: &Head, index: u64, leaf: Hash, proof: &[Hash]) -> Result<(), ProofError> {
    if index >= head.size {
        return Err(ProofError::Outside { index, size: head.size });
    }
    let (inner, border) = levels(index, head.size);
    let (inner, border) = parts(proof, inner, border)?;
    is_root(head, along_border(along_inner(leaf, inner, index), border))
}

/// Whether the log with the head `new` is what became of the one with the head `old` by appending alone.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_consistency(old: &Head, new: &Head, proof: &[Hash]) -> Result<(), ProofError> {
    if old.size > new.size {
        return Err(ProofError::Shrunk { old: old.size, new: new.size });
    }
    if old.size == 0 || old.size == new.size {
        // That a log became itself, or grew out of nothing, is seen without a proof.
        parts(proof, 0, 0)?;
        let expected = |head: &Head| if head.size == 0 { Hash::empty_root() } else { new.root };
        is_root(new, expected(new))?;
        return is_root(old, expected(old));
    }
    // The smallest perfect subtree of the old log is where the proof begins. If it is the whole, its root is known.
    let height = old.size.trailing_zeros();
    let (seed, rest) = match proof.split_first() {
        _ if old.size.is_power_of_two() => (old.root, proof),
        Some((seed, rest)) => (*seed, rest),
        None => return Err(ProofError::Length { found: 0, expected: needed(old.size, new.size) }),
    };
    let (inner, border) = levels(old.size - 1, new.size);
    let lengths = parts(rest, inner - height as usize, border);
    let wrong = |_| ProofError::Length { found: proof.len(), expected: needed(old.size, new.size) };
    let (inner, border) = lengths.map_err(wrong)?;
    let place = (old.size - 1) >> height;
    // Of the inner levels the old log has only what is left of its path.
    let lefts = inner.iter().zip(bits(place)).filter(|(_, right)| *right).map(|(hash, _)| hash);
    is_root(old, along_border(along_border(seed, lefts), border))?;
    is_root(new, along_border(along_inner(seed, inner, place), border))
}

/// Hashes in the proof that a log of so many leaves became one of more.
fn needed(old: u64, new: u64) -> usize {
    let (inner, border) = levels(old - 1, new);
    inner - old.trailing_zeros() as usize + border + usize::from(!old.is_power_of_two())
}

/// Inner levels and border hashes on the way from a leaf to the root.
fn levels(index: u64, size: u64) -> (usize, usize) {
    let inner = u64::BITS - (index ^ (size - 1)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    (inner as usize, border as usize)
}

/// Splits a proof that has exactly those parts.
fn parts(proof: &[Hash], inner: usize, border: usize) -> Result<(&[Hash], &[Hash]), ProofError> {
    let wrong = ProofError::Length { found: proof.len(), expected: inner + border };
    proof.split_at_checked(inner).filter(|(_, rest)| rest.len() == border).ok_or(wrong)
}

/// Up the levels where a sibling is on the side that the place's bit says.
fn along_inner(from: Hash, siblings: &[Hash], place: u64) -> Hash {
    let step =
        |below, (sibling, right): (&Hash, bool)| if right { node(*sibling, below) } else { node(below, *sibling) };
    siblings.iter().zip(bits(place)).fold(from, step)
}

/// Up the levels where every sibling is on the left.
fn along_border<'a>(from: Hash, siblings: impl IntoIterator<Item = &'a Hash>) -> Hash {
    siblings.into_iter().fold(from, |below, sibling| node(*sibling, below))
}

/// Whether a path turns right, from the lowest level up.
fn bits(place: u64) -> impl Iterator<Item = bool> {
    (0..u64::BITS).map(move |level| place >> level & 1 == 1)
}

fn is_root(head: &Head, found: Hash) -> Result<(), ProofError> {
    if found == head.root {
        return Ok(());
    }
    Err(ProofError::Root { size: head.size, found, expected: head.root })
}
