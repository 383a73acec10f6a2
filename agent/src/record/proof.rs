//! Shim until the room is there.
use sha2::{Digest as _, Sha256};

/// A hash of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

/// RFC 6962 leaf hash.
pub fn leaf(data: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(data);
    Hash(hasher.finalize().into())
}

fn node(l: &Hash, r: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(l.0);
    hasher.update(r.0);
    Hash(hasher.finalize().into())
}

/// Append-only state.
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }
    /// Leaves.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// Appends.
    pub fn append(&mut self, hash: Hash) -> Option<(u64, Hash)> {
        let mut carry = hash;
        let mut level = 0;
        let mut tile = None;
        while self.size >> level & 1 == 1 {
            if let Some(left) = self.roots.pop() {
                carry = node(&left, &carry);
            }
            level += 1;
            if level == 8 {
                tile = Some((self.size >> 8, carry));
            }
        }
        self.roots.push(carry);
        self.size += 1;
        tile
    }
    /// Root.
    pub fn root(&self) -> Hash {
        let mut all = self.roots.iter().rev();
        match all.next() {
            None => Hash(Sha256::digest([]).into()),
            Some(last) => all.fold(*last, |right, left| node(left, &right)),
        }
    }
    /// Bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut b = self.size.to_be_bytes().to_vec();
        for h in &self.roots {
            b.extend(h.0);
        }
        b
    }
    /// From bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ()> {
        let (size, rest) = bytes.split_first_chunk::<8>().ok_or(())?;
        let size = u64::from_be_bytes(*size);
        let (hashes, left) = rest.as_chunks::<32>();
        if !left.is_empty() || hashes.len() != size.count_ones() as usize {
            return Err(());
        }
        Ok(Self { size, roots: hashes.iter().map(|h| Hash(*h)).collect() })
    }
}
