//! Proofs about a log, made: from the stored roots of its tiles and the hashes of a few leaves (RFC 6962, section 2.1).

use std::collections::HashMap;
use std::ops::Range;

use super::hash::{Hash, node};
use super::tree::{Frontier, Head, MAX_SIZE, TILE_LEAVES, TILE_LEVEL};

/// Where the hashes of a log are.
pub trait Hashes {
    /// Why one could not be read.
    type Error;

    /// Root of tile `index`, which covers the leaves from `index * 256` on, all of them there. `None` when it is not
    /// stored; it is then computed from the leaves.
    ///
    /// # Errors
    /// When it cannot be read.
    fn tile(&mut self, index: u64) -> Result<Option<Hash>, Self::Error>;

    /// Hashes of those leaves, 256 at most, in their order.
    ///
    /// # Errors
    /// When they cannot be read.
    fn leaves(&mut self, range: Range<u64>) -> Result<Vec<Hash>, Self::Error>;
}

/// Why a proof could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProverError<E> {
    /// The proof is about something that the log does not have.
    #[error("there is no {asked} in a log of {size}")]
    Outside {
        /// Number of the leaf, or leaves of the older log.
        asked: u64,
        /// Leaves of the log.
        size: u64,
    },
    /// Leaves are missing.
    #[error("the log has {found} of the leaves {from} to {to}")]
    Missing {
        /// The first asked for.
        from: u64,
        /// The one after the last.
        to: u64,
        /// How many there were.
        found: usize,
    },
    /// The hashes could not be read.
    #[error(transparent)]
    Read(#[from] E),
}

/// Makes proofs about a log as it was at one size.
///
/// The first proof reads about every tile's root; what it computed above the tiles is kept, 40 bytes or so for each tile,
/// so that those after it read a few.
#[derive(Debug)]
pub struct Prover<H> {
    hashes: H,
    size: u64,
    /// Leaves before this are not there any more.
    gone: u64,
    /// Roots of perfect subtrees above the tiles, and of those that leaves which are gone left, by height and index.
    above: HashMap<(u32, u64), Hash>,
    /// Of the tile that was looked into last.
    leaves: (Range<u64>, Vec<Hash>),
}

impl<H: Hashes> Prover<H> {
    /// For the log as it was with its first `size` leaves.
    ///
    /// # Errors
    /// [`ProverError::Outside`] for more leaves than a log can have.
    pub fn new(hashes: H, size: u64) -> Result<Self, ProverError<H::Error>> {
        if size > MAX_SIZE {
            return Err(ProverError::Outside { asked: size, size: MAX_SIZE });
        }
        Ok(Self { hashes, size, gone: 0, above: HashMap::new(), leaves: (0..0, Vec::new()) })
    }

    /// For a log whose first leaves were removed, and left this edge.
    #[must_use]
    pub fn after(mut self, edge: &Frontier) -> Self {
        self.gone = edge.size();
        self.above.extend(edge.subtrees().map(|(height, index, root)| ((height, index), root)));
        self
    }

    /// Size and root of the log.
    ///
    /// # Errors
    /// When hashes are missing or cannot be read.
    pub fn head(&mut self) -> Result<Head, ProverError<H::Error>> {
        let root = if self.size == 0 { Hash::empty_root() } else { self.over(0..self.size)? };
        Ok(Head { size: self.size, root })
    }

    /// The proof that leaf `index`, counted from 0, is in the log.
    ///
    /// # Errors
    /// When there is no such leaf, or hashes are missing or cannot be read.
    pub fn inclusion(&mut self, index: u64) -> Result<Vec<Hash>, ProverError<H::Error>> {
        if index >= self.size {
            return Err(ProverError::Outside { asked: index, size: self.size });
        }
        let (mut within, mut siblings) = (0..self.size, Vec::new());
        while within.end - within.start > 1 {
            let middle = split(&within);
            if index < middle {
                siblings.push(middle..within.end);
                within.end = middle;
            } else {
                siblings.push(within.start..middle);
                within.start = middle;
            }
        }
        self.roots_upwards(siblings)
    }

    /// The proof that the log with its first `old` leaves became this one; empty when there is nothing to prove.
    ///
    /// # Errors
    /// When the log never had so many leaves, or hashes are missing or cannot be read.
    pub fn consistency(&mut self, old: u64) -> Result<Vec<Hash>, ProverError<H::Error>> {
        if old > self.size {
            return Err(ProverError::Outside { asked: old, size: self.size });
        }
        if old == 0 {
            return Ok(Vec::new());
        }
        let (mut within, mut siblings) = (0..self.size, Vec::new());
        while within.end != old {
            let middle = split(&within);
            if old <= middle {
                siblings.push(middle..within.end);
                within.end = middle;
            } else {
                siblings.push(within.start..middle);
                within.start = middle;
            }
        }
        if within.start > 0 {
            siblings.push(within);
        }
        self.roots_upwards(siblings)
    }

    fn roots_upwards(&mut self, subtrees: Vec<Range<u64>>) -> Result<Vec<Hash>, ProverError<H::Error>> {
        subtrees.into_iter().rev().map(|subtree| self.over(subtree)).collect()
    }

    /// Root over a range that [`split`] made: a row of perfect subtrees, the largest first.
    fn over(&mut self, range: Range<u64>) -> Result<Hash, ProverError<H::Error>> {
        let size = range.end - range.start;
        let (mut end, mut root) = (range.end, None);
        for height in (0..u64::BITS).filter(|bit| size >> bit & 1 == 1) {
            end -= 1 << height;
            let left = self.perfect(height, end >> height)?;
            root = Some(root.map_or(left, |right| node(left, right)));
        }
        Ok(root.unwrap_or_else(Hash::empty_root))
    }

    /// Root of the `index`th perfect subtree of that height.
    fn perfect(&mut self, height: u32, index: u64) -> Result<Hash, ProverError<H::Error>> {
        if let Some(known) = self.above.get(&(height, index)) {
            return Ok(*known);
        }
        let range = index << height..(index + 1) << height;
        if height == TILE_LEVEL
            && let Some(root) = self.hashes.tile(index)?
        {
            return Ok(root);
        }
        if height > TILE_LEVEL || (range.start < self.gone && self.gone < range.end) {
            let left = self.perfect(height - 1, index << 1)?;
            let right = self.perfect(height - 1, index << 1 | 1)?;
            let root = node(left, right);
            self.above.insert((height, index), root);
            return Ok(root);
        }
        self.inside_tile(range)
    }

    fn inside_tile(&mut self, range: Range<u64>) -> Result<Hash, ProverError<H::Error>> {
        if range.start < self.gone {
            return Err(ProverError::Missing { from: range.start, to: range.end, found: 0 });
        }
        let start = (range.start - range.start % TILE_LEAVES).max(self.gone);
        let tile = start..self.size.min((start / TILE_LEAVES + 1) * TILE_LEAVES);
        if self.leaves.0 != tile {
            let leaves = self.hashes.leaves(tile.clone())?;
            if leaves.len() as u64 != tile.end - tile.start {
                return Err(ProverError::Missing { from: tile.start, to: tile.end, found: leaves.len() });
            }
            self.leaves = (tile, leaves);
        }
        let (from, count) = ((range.start - start) as usize, (range.end - range.start) as usize);
        let mut tree = Frontier::new();
        for leaf in self.leaves.1.iter().skip(from).take(count) {
            tree.append(*leaf);
        }
        Ok(tree.root())
    }
}

/// Where a tree is divided: its left part is the largest perfect tree that is smaller than the whole.
fn split(range: &Range<u64>) -> u64 {
    let last = (range.end - range.start).saturating_sub(1);
    range.start + last.checked_ilog2().map_or(0, |height| 1 << height)
}
