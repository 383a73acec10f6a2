//! Texts that many rows share, written once per segment and named by their number.

use std::collections::HashMap;

use foldhash::quality::RandomState;
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest as _, Sha256};

use super::ledger::Ledger;
use super::schema::WORDS;

/// Texts whose number is known without asking; past this all are forgotten.
const KNOWN: usize = 16_384;
/// Longest text remembered, bytes; longer ones are looked up by digest.
const LONGEST: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Words(HashMap<Box<str>, i64, RandomState>);

impl Words {
    /// The number of a text, inserted when it has none; inside the caller's transaction.
    pub(super) fn row(
        &mut self,
        conn: &Connection,
        ledger: &mut Ledger,
        text: Option<&str>,
    ) -> rusqlite::Result<Option<i64>> {
        let Some(text) = text else { return Ok(None) };
        if let Some(row) = self.0.get(text) {
            return Ok(Some(*row));
        }
        let digest: [u8; 32] = Sha256::digest(text).into();
        let found = conn
            .prepare_cached("SELECT seq FROM words WHERE digest = ?")?
            .query_row([&digest], |row| row.get(0))
            .optional()?;
        let row = match found {
            Some(row) => row,
            None => ledger.append(conn, &WORDS, &[(&digest).into(), text.into()])?,
        };
        if text.len() <= LONGEST {
            if self.0.len() >= KNOWN {
                self.0.clear();
            }
            self.0.insert(text.into(), row);
        }
        Ok(Some(row))
    }

    /// The number of a text that is remembered.
    pub(super) fn known(&self, text: &str) -> Option<i64> {
        self.0.get(text).copied()
    }

    /// Forgets all: rows of a transaction that was rolled back are not there.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}
