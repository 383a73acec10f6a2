//! What is kept of results, as much as the configuration says: masked, whoever may see them in clear.

use super::{fault::Fault, masks::Masks, talk::Talk};
use crate::{
    config::OnFailure,
    protocol::postgres::rows::Row,
    record::{Direction, Tap},
};

/// Kept bytes that are handed on at once.
const PIECE: usize = 32 << 10;

/// What passed of one request, and is not with the recorder yet.
pub(super) struct Keeping {
    tap: Tap,
    n: u64,
    bytes: Vec<u8>,
    position: u64,
}

impl Keeping {
    pub(super) fn new(tap: Tap) -> Self {
        Self { tap, n: 0, bytes: Vec::new(), position: 0 }
    }

    /// Whether it is time to hand it on.
    fn is_full(&self) -> bool {
        self.bytes.len() >= PIECE
    }

    /// Keeps what the client got for a request.
    pub(super) fn bytes(&mut self, n: u64, bytes: &[u8]) {
        self.n = n;
        self.bytes.extend_from_slice(bytes);
    }

    /// Keeps a row, with more of it masked than the client saw.
    pub(super) fn row(&mut self, n: u64, masks: &Masks, row: &Row<'_>, bytes: &[u8]) -> Result<(), Fault> {
        self.n = n;
        masks.row(row, bytes, &mut self.bytes).map_err(Fault::Unmasked)?;
        Ok(())
    }
}

impl Talk<'_> {
    /// Hands on what is kept: all of it, or only if it is much.
    pub(super) async fn hand_on(&mut self, all: bool) -> Result<(), Fault> {
        let Some(keeping) = &mut self.keeping else { return Ok(()) };
        if keeping.bytes.is_empty() || !(all || keeping.is_full()) {
            return Ok(());
        }
        let bytes = std::mem::take(&mut keeping.bytes);
        let (position, length) = (keeping.position, bytes.len() as u64);
        keeping.position += length;
        match keeping.tap.pass(Direction::In, position, Some(keeping.n), bytes).await {
            Err(error) if self.setting.proxy.on_failure == OnFailure::Deny => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
