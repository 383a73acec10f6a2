//! Which requests are on the record and not yet answered.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{copying::Copying, masks::Masks, meaning::Meaning};
use crate::{
    protocol::postgres::session::Number,
    record::{ResponseRecord, SessionId, Status, Timestamps},
};

/// Most requests of a transaction that are remembered for what they put off until its end.
const MOST_RAN: usize = 64;

/// Numbers requests, and counts what comes back for each.
pub(super) struct Ledger {
    session: Option<SessionId>,
    next: u64,
    open: VecDeque<Open>,
    /// What is being bound, by the session's numbers: evaluated already, and on no record.
    bound: VecDeque<(Number, Arc<Meaning>)>,
    /// What changed something or declared cursors in the transaction that is open, each once.
    ran: Vec<Arc<Meaning>>,
    /// Whether there was more of that than is remembered.
    ran_more: bool,
}

/// What the server speaks of.
pub(super) enum About {
    /// A request that is run.
    Runs(Arc<Meaning>),
    /// A request that only gets its parameters: the server may evaluate some of it.
    Binds(Arc<Meaning>),
    /// None of these.
    Nothing,
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
        let (open, bound) = (VecDeque::new(), VecDeque::new());
        Self { session, next: 1, open, bound, ran: Vec::new(), ran_more: false }
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

    /// A request is bound under the session's number.
    pub(super) fn bind(&mut self, number: Number, meaning: &Arc<Meaning>) {
        self.bound.push_back((number, Arc::clone(meaning)));
    }

    /// What an answer to this request speaks of.
    pub(super) fn about(&mut self, number: Number) -> About {
        if let Some(open) = self.open(number) {
            return About::Runs(Arc::clone(&open.meaning));
        }
        match self.bound.iter().find(|(bound, _)| *bound == number) {
            Some((_, meaning)) => About::Binds(Arc::clone(meaning)),
            None => About::Nothing,
        }
    }

    /// The request is answered.
    pub(super) fn finish(&mut self, number: Number) -> Option<Open> {
        while self.bound.pop_front_if(|(bound, _)| *bound <= number).is_some() {}
        let open = self.open.pop_front_if(|open| open.number == number)?;
        self.remember(&open.meaning);
        Some(open)
    }

    /// What only reads is over when it is answered; constraints and cursors may be left to the end.
    fn remember(&mut self, meaning: &Arc<Meaning>) {
        let stays = meaning.changes || !meaning.deeds.is_empty();
        let same = |ran: &Arc<Meaning>| Arc::ptr_eq(ran.essence(), meaning.essence());
        if !stays || self.ran.iter().any(same) {
            return;
        }
        self.ran_more |= self.ran.len() >= MOST_RAN;
        if !self.ran_more {
            self.ran.push(Arc::clone(meaning));
        }
    }

    /// What ran in the transaction that is open and may do something at its end; `None` if not all of it is remembered.
    pub(super) fn ran(&self) -> Option<&[Arc<Meaning>]> {
        (!self.ran_more).then_some(self.ran.as_slice())
    }

    /// The transaction is over.
    pub(super) fn rest(&mut self) {
        self.ran.clear();
        self.ran_more = false;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(text: &str) -> Arc<Meaning> {
        Arc::new(Meaning::unknown("shop", text.as_bytes(), "statement", "text"))
    }

    #[test]
    fn a_request_that_is_bound_is_known_until_it_is_answered() {
        let mut ledger = Ledger::new(None);
        let bound = meaning("select 1");
        ledger.bind(2, &bound);
        ledger.begin(3, &bound);
        assert!(matches!(ledger.about(1), About::Nothing));
        assert!(matches!(ledger.about(2), About::Binds(_)));
        assert!(matches!(ledger.about(3), About::Runs(_)));
        ledger.finish(2);
        assert!(matches!(ledger.about(2), About::Nothing));
        assert!(matches!(ledger.about(3), About::Runs(_)));
    }

    #[test]
    fn what_may_be_left_to_the_end_is_remembered_until_then() {
        let mut ledger = Ledger::new(None);
        let first = meaning("update t set a = 1");
        for number in 1..=3 {
            ledger.begin(number, &first);
            ledger.finish(number);
        }
        assert_eq!(ledger.ran().map(<[_]>::len), Some(1));
        for number in 4..200 {
            ledger.begin(number, &meaning("update t set a = 1"));
            ledger.finish(number);
        }
        assert!(ledger.ran().is_none(), "not all of it is remembered");
        ledger.rest();
        assert_eq!(ledger.ran().map(<[_]>::len), Some(0));
    }
}
