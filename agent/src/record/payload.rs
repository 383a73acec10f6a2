//! Payload bytes on their way into the store: cut to what is kept, compressed, and told once.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest as _, Sha256};

use super::ledger::Value;
use super::options::PayloadLimits;
use super::request::{Direction, PayloadRecord};
use super::rows::Rows;
use super::schema::{CHUNK, PAYLOAD};
use super::{SessionId, Timestamps, sealing::Sealer};

/// The chunk is compressed with zstd (RFC 8878).
pub(crate) const ZSTD: u8 = 1;
/// The chunk is encrypted, after compression.
pub(crate) const ENCRYPTED: u8 = 2;
/// Compression level: payload passes by at wire speed.
const LEVEL: i32 = 1;
/// Below this compression gains nothing, bytes.
const SMALL: usize = 64;

/// A payload record as it is stored.
#[derive(Debug)]
pub(super) struct Piece {
    session: SessionId,
    n: Option<u64>,
    direction: Direction,
    at: Timestamps,
    position: u64,
    /// Kept bytes, uncompressed.
    length: usize,
    chunk: Option<Chunk>,
    /// Length and SHA-256 of all, when some were cut off.
    full: Option<(usize, [u8; 32])>,
}

#[derive(Debug)]
struct Chunk {
    digest: [u8; 32],
    coding: u8,
    data: Vec<u8>,
    key: Option<String>,
}

/// How much of one session was kept so far.
#[derive(Debug, Default)]
pub(super) struct Meter(AtomicU64);

impl Meter {
    /// How many of `wanted` bytes may be kept.
    pub(super) fn take(&self, wanted: usize, limits: PayloadLimits) -> usize {
        let wanted = wanted.min(limits.event) as u64;
        let taken = self.0.fetch_add(wanted, Relaxed);
        let left = limits.session.saturating_sub(taken);
        usize::try_from(wanted.min(left)).unwrap_or_default()
    }
}

/// Cuts, compresses and encrypts, on the sender's thread.
pub(super) fn prepare(record: PayloadRecord, keep: usize, sealer: Option<&Sealer>) -> Piece {
    let PayloadRecord { session, n, direction, at, position, bytes } = record;
    let full = (keep < bytes.len()).then(|| (bytes.len(), Sha256::digest(&bytes).into()));
    let kept = bytes.get(..keep).unwrap_or(&bytes);
    let chunk = (!kept.is_empty()).then(|| chunk(kept, sealer));
    Piece { session, n, direction, at, position, length: kept.len(), chunk, full }
}

fn chunk(bytes: &[u8], sealer: Option<&Sealer>) -> Chunk {
    let packed = if bytes.len() < SMALL { None } else { zstd::bulk::compress(bytes, LEVEL).ok() };
    let packed = packed.filter(|packed| packed.len() < bytes.len());
    let (coding, data) = packed.map_or_else(|| (0, bytes.to_vec()), |packed| (ZSTD, packed));
    match sealer {
        None => Chunk { digest: Sha256::digest(bytes).into(), coding, data, key: None },
        Some(sealer) => {
            let digest = sealer.digest(bytes);
            let data = sealer.seal(&digest, &data);
            Chunk { digest, coding: coding | ENCRYPTED, data, key: Some(sealer.id().to_owned()) }
        }
    }
}

/// Adds a piece, and its chunk unless the segment has it.
pub(super) fn add(conn: &Connection, rows: &mut Rows, piece: &Piece) -> rusqlite::Result<()> {
    let Some(open) = rows.open.get(&piece.session).copied() else { return Ok(()) };
    let chunk = piece.chunk.as_ref().map(|chunk| store(conn, rows, chunk, piece.length)).transpose()?;
    let full = piece.full.as_ref();
    rows.ledger.append(
        conn,
        &PAYLOAD,
        &[
            open.row.into(),
            piece.n.into(),
            piece.direction.code().into(),
            open.since_start(piece.at).into(),
            piece.position.into(),
            (piece.length as u64).into(),
            chunk.into(),
            full.map(|(length, _)| *length as u64).into(),
            full.map_or(Value::Null, |(_, digest)| digest.into()),
        ],
    )?;
    Ok(())
}

fn store(conn: &Connection, rows: &mut Rows, chunk: &Chunk, size: usize) -> rusqlite::Result<i64> {
    let found = conn
        .prepare_cached("SELECT seq FROM chunk WHERE digest = ?")?
        .query_row([&chunk.digest], |row| row.get(0))
        .optional()?;
    match found {
        Some(row) => Ok(row),
        None => rows.ledger.append(
            conn,
            &CHUNK,
            &[
                (&chunk.digest).into(),
                (size as u64).into(),
                chunk.coding.into(),
                chunk.data.as_slice().into(),
                chunk.key.as_deref().into(),
            ],
        ),
    }
}
