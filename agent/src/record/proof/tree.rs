//! The growing end of the log: an append-only Merkle tree of which only the edge is kept (RFC 6962, section 2.1).
//!
//! A tree of n leaves is a row of perfect subtrees, one for each bit of n, the largest first. Their roots are all that
//! an append or the tree's root needs.

use super::hash::{HASH_BYTES, Hash, node};

/// Leaves of a tile, the subtree whose root is worth storing: 2⁸, as in C2SP's tlog-tiles.
pub const TILE_LEAVES: u64 = 1 << TILE_LEVEL;
/// Height of a tile.
pub(super) const TILE_LEVEL: u32 = 8;
/// Most leaves of a tree. Rows are numbered with 63 bits, and what is read from a file leaves as many again to append.
pub const MAX_SIZE: u64 = 1 << 62;

/// How large a tree is, and its root: what a checkpoint states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// Leaves.
    pub size: u64,
    /// Root over all of them.
    pub root: Hash,
}

/// The state of an append-only tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Of the perfect subtrees, the largest first: one for each bit of `size` that is set.
    roots: Vec<Hash>,
}

/// Why bytes are not the state of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// Fewer bytes than the size takes.
    #[error("the log's edge is cut short: {found} bytes, and its size alone takes 8")]
    Short {
        /// Bytes there were.
        found: usize,
    },
    /// More leaves than a log can have.
    #[error("the log's edge claims {size} leaves, and {MAX_SIZE} are the most")]
    TooLarge {
        /// Claimed leaves.
        size: u64,
    },
    /// Not as many hashes as a tree of that size has.
    #[error("the log's edge has {found} bytes of hashes, and a tree of {size} leaves has {expected}")]
    Hashes {
        /// Claimed leaves.
        size: u64,
        /// Bytes after the size.
        found: usize,
        /// Bytes there should be.
        expected: usize,
    },
}

impl Frontier {
    /// A tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf, by its hash. Each 256th completes a tile, whose index and root are returned.
    pub fn append(&mut self, leaf: Hash) -> Option<(u64, Hash)> {
        let (mut carry, mut tile) = (leaf, None);
        // As in counting: every one at the end of the size is carried over.
        for level in 1..=self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                carry = node(left, carry);
            }
            if level == TILE_LEVEL {
                tile = Some((self.size >> TILE_LEVEL, carry));
            }
        }
        self.roots.push(carry);
        self.size += 1;
        tile
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        let from_the_right = self.roots.iter().rev().copied();
        from_the_right.reduce(|right, left| node(left, right)).unwrap_or_else(Hash::empty_root)
    }

    /// Size and root.
    pub fn head(&self) -> Head {
        Head { size: self.size, root: self.root() }
    }

    /// The perfect subtrees it is made of: height, index among those of the height, root.
    pub(super) fn subtrees(&self) -> impl Iterator<Item = (u32, u64, Hash)> {
        let heights = (0..u64::BITS).rev().filter(|height| self.size >> height & 1 == 1);
        // What is larger than a subtree stands to the left of it.
        heights.zip(&self.roots).map(|(height, root)| (height, (self.size >> height) - 1, *root))
    }

    /// The state as bytes: the size, 64 bits big-endian, and the subtrees' roots, the largest first. At most 8 + 62 × 32.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(size_of::<u64>() + self.roots.len() * HASH_BYTES);
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(self.roots.iter().flat_map(|root| root.0));
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] writes.
    ///
    /// # Errors
    /// When the bytes are not exactly that. Whether the hashes are right only a checkpoint can tell.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, rest) = bytes.split_first_chunk().ok_or(FrontierError::Short { found: bytes.len() })?;
        let size = u64::from_be_bytes(*size);
        if size > MAX_SIZE {
            return Err(FrontierError::TooLarge { size });
        }
        let expected = size.count_ones() as usize * HASH_BYTES;
        if rest.len() != expected {
            return Err(FrontierError::Hashes { size, found: rest.len(), expected });
        }
        let roots = rest.as_chunks().0.iter().copied().map(Hash).collect();
        Ok(Self { size, roots })
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::{LEAVES, ROOTS, hash};
    use super::super::leaf;
    use super::*;

    #[test]
    fn grows_through_the_known_roots() {
        let mut tree = Frontier::new();
        assert_eq!(tree.root(), hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
        for (data, root) in LEAVES.into_iter().zip(ROOTS) {
            assert_eq!(tree.append(leaf(data)), None);
            assert_eq!(tree.root(), hash(root));
        }
        assert_eq!(tree.head().size, 8);
    }

    #[test]
    fn every_256th_leaf_completes_a_tile() {
        let (mut tree, mut tile, mut tiles) = (Frontier::new(), Frontier::new(), Vec::new());
        for n in 0..1024_u64 {
            let hash = leaf(&n.to_be_bytes());
            tile.append(hash);
            let completed = tree.append(hash);
            assert_eq!(completed.is_some(), n % TILE_LEAVES == 255, "{n}");
            if let Some((index, root)) = completed {
                assert_eq!((index, root), (n / TILE_LEAVES, tile.root()));
                tiles.push(root);
                tile = Frontier::new();
            }
        }
        let mut upper = Frontier::new();
        for root in tiles {
            upper.append(root);
        }
        assert_eq!(upper.root(), tree.root());
    }

    #[test]
    fn goes_on_from_its_bytes() {
        let mut tree = Frontier::new();
        for n in 0..300_u64 {
            let mut again = Frontier::from_bytes(&tree.to_bytes()).unwrap();
            assert_eq!(again, tree);
            let hash = leaf(&n.to_be_bytes());
            assert_eq!(again.append(hash), tree.append(hash));
            assert_eq!(again, tree);
        }
    }

    #[test]
    fn refuses_bytes_that_are_no_tree() {
        let of = |size: u64, hashes: usize| [&size.to_be_bytes()[..], &vec![7; hashes]].concat();
        assert_eq!(Frontier::from_bytes(&[0; 7]), Err(FrontierError::Short { found: 7 }));
        let large = MAX_SIZE + 1;
        assert_eq!(Frontier::from_bytes(&of(large, 64)), Err(FrontierError::TooLarge { size: large }));
        for (size, found, expected) in [(0, 32, 0), (3, 32, 64), (3, 65, 64), (3, 96, 64), (4, 31, 32)] {
            let wrong = FrontierError::Hashes { size, found, expected };
            assert_eq!(Frontier::from_bytes(&of(size, found)), Err(wrong));
        }
        assert!(Frontier::from_bytes(&of(MAX_SIZE, 32)).is_ok());
    }
}
