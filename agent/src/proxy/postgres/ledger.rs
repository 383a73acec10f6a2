//! Which requests are on the record and not yet answered.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{copying::Copying, masks::Masks, meaning::Meaning};
use crate::{
    protocol::postgres::session::Number,
    record::{ResponseRecord, SessionId, Status, Timestamps},
};

/// Numbers requests, and counts what comes back for each.
pub(super) struct Ledger {
    session: Option<SessionId>,
    next: u64,
    open: VecDeque<Open>,
}

/// A request that is not yet answered.
pub(super) struct Open {
    number: Number,
    /// Its number on the record.
    pub(super) n: u64,
    /// What was asked.
    pub(super) meaning: Arc<Meaning>,
    /// How many changes of the database's catalog there were when it was sent; none, if it was read by an older one.
    pub(super) changes: Option<u64>,
    /// How texts were encoded then, where it is certain.
    pub(super) encoding: Option<Arc<str>>,
    /// What is done to the rows that come now.
    pub(super) masks: Option<Arc<Masks>>,
    /// What is done to the data that is copied now.
    pub(super) copying: Option<Copying>,
    /// Whether data is copied to the client now.
    pub(super) copies: bool,
    /// Statements of it that were answered.
    pub(super) completed: usize,
    /// Rows returned or changed, as the server says.
    pub(super) rows: u64,
    /// Bytes that came for it.
    pub(super) bytes: u64,
    /// Values that were masked.
    pub(super) masked: u64,
    /// The server's error, masked.
    pub(super) error: Option<Arc<str>>,
}

impl Open {
    /// Its number in the session.
    pub(super) fn number(&self) -> Number {
        self.number
    }
}

impl Ledger {
    pub(super) fn new(session: Option<SessionId>) -> Self {
        Self { session, next: 1, open: VecDeque::new() }
    }

    /// The number of the next request on the record, where there is one.
    pub(super) fn next(&mut self) -> Option<(SessionId, u64)> {
        let n = self.next;
        self.next += 1;
        Some((self.session?, n))
    }

    /// The request that was numbered last goes to the server under the session's number.
    pub(super) fn begin(&mut self, number: Number, meaning: &Arc<Meaning>) {
        let (n, meaning) = (self.next.saturating_sub(1), Arc::clone(meaning));
        let masks = None;
        self.open.push_back(Open {
            number,
            n,
            meaning,
            changes: None,
            encoding: None,
            masks,
            copying: None,
            copies: false,
            completed: 0,
            rows: 0,
            bytes: 0,
            masked: 0,
            error: None,
        });
    }

    /// The request that was begun last was sent after so many changes of the catalog it was read by, with texts in this
    /// encoding.
    pub(super) fn sent(&mut self, changes: Option<u64>, encoding: Option<Arc<str>>) {
        if let Some(open) = self.open.back_mut() {
            (open.changes, open.encoding) = (changes, encoding);
        }
    }

    /// The request that an answer is for.
    pub(super) fn open(&mut self, number: Number) -> Option<&mut Open> {
        // Answers come in order, so it is the first, or not among them.
        self.open.front_mut().filter(|open| open.number == number)
    }

    /// The request that is answered now, if it is on the record.
    pub(super) fn first(&self) -> Option<&Open> {
        self.open.front()
    }

    /// Counts bytes that came, and values in them that were masked.
    pub(super) fn count(&mut self, bytes: usize, masked: u64) {
        if let Some(open) = self.open.front_mut() {
            open.bytes += bytes as u64;
            open.masked += masked;
        }
    }

    /// The request is answered.
    pub(super) fn finish(&mut self, number: Number) -> Option<Open> {
        self.open.pop_front_if(|open| open.number == number)
    }

    /// What the server skips: numbered from the first up to and without the second.
    pub(super) fn skip(&mut self, (from, to): (Number, Number)) -> Vec<Open> {
        std::iter::from_fn(|| self.open.pop_front_if(|open| (from..to).contains(&open.number))).collect()
    }

    /// The request does not go after all.
    pub(super) fn withdraw(&mut self, number: Number) -> Option<ResponseRecord> {
        let open = self.open.pop_back_if(|open| open.number == number)?;
        self.response(open, Status::Cut)
    }

    /// Nothing more comes.
    pub(super) fn cut(&mut self) -> Vec<ResponseRecord> {
        let open = std::mem::take(&mut self.open);
        open.into_iter().filter_map(|open| self.response(open, Status::Cut)).collect()
    }

    /// What there is to record of it.
    pub(super) fn response(&self, open: Open, status: Status) -> Option<ResponseRecord> {
        Some(ResponseRecord {
            session: self.session?,
            n: open.n,
            at: Timestamps::now(),
            status,
            rows: Some(open.rows),
            bytes: Some(open.bytes),
            masked: open.masked,
            masks: None,
            error: open.error,
        })
    }
}
