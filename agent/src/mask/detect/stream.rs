//! Detection in a text that arrives in pieces: values are found wherever it was cut.
//!
//! What may still become a value, or decide about one, is held back: [`MARGIN`] bytes, the whole of the word they begin
//! in, and a value that has not ended yet. Every value has a greatest length, so no more than [`HELD`] bytes, a quarter of
//! that and the latest piece wait.

use super::{Confidence, Context, Detector, Detectors, Ends, search};

/// Values with spaces in them, and the words around a number that say what it is, are shorter.
const MARGIN: usize = 160;
/// Longest word that is held back whole: a secret behind its name.
const WORD: usize = 8 * 1024;
/// So much of what is gone is kept, for its words.
const BEHIND: usize = 160;
/// Most bytes that a value can hold back: the longest private key, and what may follow it.
pub const HELD: usize = super::token::MOST_PEM + WORD + MARGIN;

/// A part of the text, as it may go on.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Nothing was found here.
    Clear(&'a [u8]),
    /// A protected value, whole.
    Found {
        /// What it is.
        detector: Detector,
        /// How sure that is.
        confidence: Confidence,
        /// The value.
        value: &'a [u8],
    },
}

/// A text on its way through.
#[derive(Debug)]
pub struct Stream {
    detectors: Detectors,
    context: Context,
    /// Some of what has gone on, and everything that has not.
    buffer: Vec<u8>,
    /// How much of the buffer has gone on.
    gone: usize,
    /// At which length of the buffer another look pays.
    due: usize,
    /// Where in the buffer what was found already ends.
    ends: Ends,
}

impl Stream {
    /// A text that begins. A field that is a secret by its name is the caller's to mask as a whole.
    #[must_use]
    pub fn new(detectors: Detectors, mut context: Context) -> Self {
        context.secret = false;
        Self { detectors, context, buffer: Vec::new(), gone: 0, due: 0, ends: Ends::default() }
    }

    /// Takes more of the text, and hands what can be told to `sink`, in order.
    pub fn push(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < self.due {
            return;
        }
        self.release(false, sink);
        let held = self.buffer.len() - self.gone;
        // What is held is looked at again only when there is a quarter more of it: pieces of a byte cost no square.
        self.due = self.buffer.len() + held / 4;
    }

    /// The text has ended, or cannot wait: hands over the rest. What follows is another text.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Piece<'_>)) {
        self.release(true, sink);
        self.buffer.clear();
        (self.gone, self.due, self.ends) = (0, 0, Ends::default());
    }

    /// How many bytes wait.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.len() - self.gone
    }

    fn release(&mut self, all: bool, sink: &mut dyn FnMut(Piece<'_>)) {
        let (mut hits, passed) = search(&self.detectors, &self.context, &self.buffer, self.ends);
        let mut end = if all { self.buffer.len() } else { self.told() };
        // A text that strings value to value without an end does not wait for one.
        let waits = self.buffer.len() - self.gone <= HELD;
        if let Some(open) = hits.iter_mut().find(|hit| hit.range.start < end && hit.range.end > end) {
            if waits {
                end = open.range.start;
            } else {
                open.range.end = end;
            }
        }
        let part = |range| self.buffer.get(range).unwrap_or_default();
        let mut at = self.gone;
        for hit in hits.iter().filter(|hit| hit.range.end <= end && hit.range.end > self.gone) {
            // A value that began in what is gone is protected from here on.
            let start = hit.range.start.max(at);
            if start > at {
                sink(Piece::Clear(part(at..start)));
            }
            sink(Piece::Found {
                detector: hit.detector,
                confidence: hit.confidence,
                value: part(start..hit.range.end),
            });
            at = hit.range.end;
        }
        if end > at {
            sink(Piece::Clear(part(at..end)));
        }
        let gone = end.max(at);
        if let Some(ends) = passed.iter().rev().find(|ends| ends.secret <= gone && ends.key <= gone) {
            self.ends = *ends;
        }
        self.forget(gone);
    }

    /// Up to where no byte that is still to come changes anything, open values aside.
    fn told(&self) -> usize {
        let Some(margin) = self.buffer.len().checked_sub(MARGIN) else { return self.gone };
        let before = self.buffer.get(..margin).unwrap_or_default();
        let word = before.iter().rev().take(WORD).take_while(|byte| !byte.is_ascii_whitespace()).count();
        // A longer word is no secret's: it goes on as it comes.
        if word == WORD { margin } else { (margin - word).max(self.gone) }
    }

    fn forget(&mut self, gone: usize) {
        let mut first = gone.saturating_sub(BEHIND);
        if first > 0 {
            // Half a word could be taken for another one.
            let half = self.buffer.get(first..gone).unwrap_or_default();
            first += half.iter().take(BEHIND / 2).position(u8::is_ascii_whitespace).unwrap_or(0);
        }
        self.buffer.drain(..first);
        self.gone = gone - first;
        let Ends { secret, key } = self.ends;
        self.ends = Ends { secret: secret.saturating_sub(first), key: key.saturating_sub(first) };
    }
}
