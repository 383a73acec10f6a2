//! What passed in a session, piece by piece.

use std::collections::VecDeque;
use std::path::Path;

use rusqlite::Row;

use super::super::payload::{ENCRYPTED, ZSTD};
use super::super::sealing::ChunkKeys;
use super::super::{Direction, StoreError};
use super::list::hex;
use super::one::Session;
use super::segments::Store;

/// The largest chunk that is unpacked, bytes: a store from elsewhere must not take more memory than that.
pub const MAX_CHUNK: usize = 64 << 20;
/// Pieces looked up at a time, without their bytes.
const PAGE: u32 = 512;

/// The keys payloads were encrypted with.
#[derive(Debug, Default)]
pub struct PayloadKeys(ChunkKeys);

impl PayloadKeys {
    /// Reads the keys where the configuration or systemd says they are. None, when there are none to be had: then what is
    /// encrypted stays so.
    #[must_use]
    pub fn load(file: Option<&Path>) -> Self {
        Self(ChunkKeys::load(file).unwrap_or_default())
    }
}

/// A piece of what passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadRow {
    /// Number of the request it belongs to.
    pub sequence: Option<u64>,
    /// Which way it went.
    pub direction: Direction,
    /// Nanoseconds since the session began.
    pub after_ns: i64,
    /// How many bytes went this way before it.
    pub position: u64,
    /// How many bytes of it were kept.
    pub length: u64,
    /// How many there were, when some were cut off.
    pub full_length: Option<u64>,
    /// What is known of them.
    pub bytes: Bytes,
}

/// Bytes of a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// As they passed, after masking.
    Plain(Vec<u8>),
    /// Encrypted, and the key is not there. Their digest, hexadecimal.
    Encrypted(String),
    /// None were kept.
    Cut,
    /// What is stored is not what it says it is.
    Damaged,
}

/// The pieces of one session, in the order they were recorded.
#[derive(Debug)]
pub struct Payloads<'a> {
    store: &'a Store,
    session: &'a Session,
    keys: &'a PayloadKeys,
    part: usize,
    last: i64,
    waiting: VecDeque<Piece>,
}

/// A piece whose bytes were not fetched yet.
#[derive(Debug)]
struct Piece {
    index: usize,
    chunk: Option<i64>,
    row: PayloadRow,
}

impl Store {
    /// What passed in a session. Nothing of the store is held between two pieces.
    #[must_use]
    pub fn payloads<'a>(&'a self, session: &'a Session, keys: &'a PayloadKeys) -> Payloads<'a> {
        Payloads { store: self, session, keys, part: 0, last: -1, waiting: VecDeque::new() }
    }
}

impl Iterator for Payloads<'_> {
    type Item = Result<PayloadRow, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.step() {
            Ok(found) => found.map(Ok),
            Err(error) => {
                self.part = usize::MAX;
                Some(Err(error))
            }
        }
    }
}

impl Payloads<'_> {
    fn step(&mut self) -> Result<Option<PayloadRow>, StoreError> {
        while self.waiting.is_empty() {
            let Some(part) = self.session.parts.get(self.part).copied() else { return Ok(None) };
            let found = match self.store.segment(part.index)? {
                None => Vec::new(),
                Some(segment) => segment.rows(
                    "SELECT seq, n, direction, boot_ns, position, length, full_length, chunk FROM payload
                    WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?",
                    vec![part.seq.into(), self.last.into(), PAGE.into()],
                    |row| Ok((row.get("seq")?, piece(row, part.index)?)),
                )?,
            };
            match found.last() {
                Some((seq, _)) => self.last = *seq,
                None => self.part += 1,
            }
            self.waiting.extend(found.into_iter().map(|(_, piece)| piece));
        }
        let Some(Piece { index, chunk, mut row }) = self.waiting.pop_front() else { return Ok(None) };
        if let Some(chunk) = chunk {
            row.bytes = self.bytes(index, chunk)?;
        }
        Ok(Some(row))
    }

    fn bytes(&self, index: usize, chunk: i64) -> Result<Bytes, StoreError> {
        let Some(segment) = self.store.segment(index)? else { return Ok(Bytes::Damaged) };
        // SQLite knows the length of a blob without reading it.
        let sql = "SELECT digest, size, coding, key, CASE WHEN length(data) <= ? THEN data END AS data
            FROM chunk WHERE seq = ?";
        let most = i64::try_from(MAX_CHUNK).unwrap_or(i64::MAX);
        let found = segment.one(sql, vec![most.into(), chunk.into()], |row| {
            Ok(Chunk {
                digest: row.get("digest")?,
                size: row.get("size")?,
                coding: row.get("coding")?,
                key: row.get("key")?,
                data: row.get("data")?,
            })
        })?;
        Ok(found.map_or(Bytes::Damaged, |chunk| chunk.unpack(&self.keys.0)))
    }
}

fn piece(row: &Row<'_>, index: usize) -> rusqlite::Result<Piece> {
    let unsigned = |name: &str| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(name)?.map(i64::cast_unsigned));
    Ok(Piece {
        index,
        chunk: row.get("chunk")?,
        row: PayloadRow {
            sequence: unsigned("n")?,
            direction: if row.get::<_, i64>("direction")? == 0 { Direction::Out } else { Direction::In },
            after_ns: row.get("boot_ns")?,
            position: unsigned("position")?.unwrap_or(0),
            length: unsigned("length")?.unwrap_or(0),
            full_length: unsigned("full_length")?,
            bytes: Bytes::Cut,
        },
    })
}

struct Chunk {
    digest: Vec<u8>,
    size: i64,
    coding: u8,
    key: Option<String>,
    data: Option<Vec<u8>>,
}

impl Chunk {
    fn unpack(self, keys: &ChunkKeys) -> Bytes {
        let Some(mut data) = self.data else { return Bytes::Damaged };
        let size = usize::try_from(self.size).ok().filter(|size| *size <= MAX_CHUNK);
        let Some(size) = size.filter(|_| self.coding & !(ZSTD | ENCRYPTED) == 0) else { return Bytes::Damaged };
        if self.coding & ENCRYPTED != 0 {
            let digest = <&[u8; 32]>::try_from(self.digest.as_slice());
            let key = self.key.as_deref().and_then(|id| keys.named(id));
            match (digest, key) {
                (Ok(digest), Some(key)) => match key.open(digest, &data) {
                    Some(plain) => data = plain,
                    None => return Bytes::Damaged,
                },
                _ => return Bytes::Encrypted(hex(&self.digest)),
            }
        }
        if self.coding & ZSTD != 0 {
            // Room for `size` bytes is all there is: more is an error.
            match zstd::bulk::decompress(&data, size) {
                Ok(plain) => data = plain,
                Err(_) => return Bytes::Damaged,
            }
        }
        if data.len() == size { Bytes::Plain(data) } else { Bytes::Damaged }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(coding: u8, size: i64, data: Vec<u8>) -> Chunk {
        Chunk { digest: vec![7; 32], size, coding, key: Some("k".to_owned()), data: Some(data) }
    }

    #[test]
    fn chunks_are_unpacked_within_bounds() {
        let keys = ChunkKeys::default();
        let packed = zstd::bulk::compress(&[b'a'; 5000], 1).unwrap();
        assert_eq!(chunk(0, 3, b"abc".to_vec()).unpack(&keys), Bytes::Plain(b"abc".to_vec()));
        assert_eq!(chunk(ZSTD, 5000, packed.clone()).unpack(&keys), Bytes::Plain(vec![b'a'; 5000]));
        for (coding, size, data) in [
            (0, 4, b"abc".to_vec()),
            (ZSTD, 4999, packed.clone()),
            (ZSTD, 5001, packed.clone()),
            (ZSTD, (MAX_CHUNK + 1) as i64, packed.clone()),
            (ZSTD, -1, packed.clone()),
            (ZSTD, 10, b"not zstd".to_vec()),
            (4, 3, b"abc".to_vec()),
        ] {
            assert_eq!(chunk(coding, size, data).unpack(&keys), Bytes::Damaged, "{coding} {size}");
        }
        assert_eq!(chunk(ENCRYPTED, 3, b"abc".to_vec()).unpack(&keys), Bytes::Encrypted("07".repeat(32)));
        assert_eq!(Chunk { data: None, ..chunk(0, 3, Vec::new()) }.unpack(&keys), Bytes::Damaged);
    }
}
