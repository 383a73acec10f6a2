//! Finds protected values by what they look like: in columns nobody classified, in free text, in bodies and logs.
//!
//! Three passes over the bytes, none of which looks back or ahead further than a fixed length, so the time is linear:
//! `anchor` knows by four bytes where a key or a word may begin, `digits` looks at every run of digits, `address` at every
//! `@` and `://`. What they point at is judged by structure, checksum and what stands around it. Nine digits are no social
//! security number, and sixteen that pass the check digit are no card when the column is called `order_id`.
//!
#![doc = include_str!("../corpus/measured.md")]

mod address;
mod anchor;
mod assignment;
mod context;
mod digits;
mod iban;
mod kind;
mod network;
mod phone;
mod stream;
#[cfg(test)]
mod tests;
mod token;

use std::ops::Range;

use context::{Topic, Topics};

pub use context::Context;
pub use kind::{Detector, Detectors};
pub use stream::{HELD, Piece, Stream};

/// How sure a detector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// The shape is right, and nothing speaks against it.
    Likely,
    /// A checksum, a reserved prefix or a word beside it says so as well.
    Certain,
}

/// A protected value inside another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub detector: Detector,
    /// Which bytes.
    pub range: Range<usize>,
    /// How sure that is.
    pub confidence: Confidence,
}

/// Everything in `value` that one of the detectors knows, in order and apart. `name` is the column's or field's, if it
/// has one.
#[must_use]
pub fn detect(detectors: &Detectors, name: &str, value: &[u8]) -> Vec<Hit> {
    detect_in(detectors, &Context::of(name), value)
}

/// The same where the name has been looked at before.
#[must_use]
pub fn detect_in(detectors: &Detectors, context: &Context, value: &[u8]) -> Vec<Hit> {
    search(detectors, context, value, Ends::default()).0
}

/// Where what was found behind a word or a first line ends: what else begins inside it is a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    secret: usize,
    key: usize,
}

/// Searches a value of which something came before; gives the hits, and the ends on the way.
fn search(detectors: &Detectors, context: &Context, value: &[u8], ends: Ends) -> (Vec<Hit>, Vec<Ends>) {
    let mut scan =
        Scan { value, context, detectors, topics: Topics::default(), hits: Vec::new(), ends, passed: Vec::new() };
    anchor::scan(&mut scan);
    address::scan(&mut scan);
    digits::scan(&mut scan);
    network::scan(&mut scan);
    assignment::whole_value(&mut scan);
    let hits = if scan.hits.len() > 1 { apart(scan.hits) } else { scan.hits };
    (hits, scan.passed)
}

/// One value on its way through the passes.
struct Scan<'a> {
    value: &'a [u8],
    context: &'a Context,
    detectors: &'a Detectors,
    topics: Topics,
    hits: Vec<Hit>,
    ends: Ends,
    /// Every state of `ends` but the first.
    passed: Vec<Ends>,
}

impl Scan<'_> {
    /// What was found by a word or a first line reaches to here.
    fn reaches(&mut self, ends: Ends) {
        self.ends = ends;
        self.passed.push(ends);
    }

    fn hit(&mut self, detector: Detector, range: Range<usize>, confidence: Confidence) {
        if self.detectors.has(detector) && !range.is_empty() {
            self.hits.push(Hit { detector, range, confidence });
        }
    }

    /// Whether the name or a word nearby is about a topic.
    fn is_about(&self, topic: Topic, range: &Range<usize>) -> bool {
        self.context.names(topic) || self.topics.near(topic, range)
    }

    /// Whether anything at all is about a topic.
    fn may_be_about(&self, topic: Topic) -> bool {
        self.context.names(topic) || self.topics.any(topic)
    }

    /// The byte at a place; 0 outside, which is part of nothing.
    fn byte(&self, at: usize) -> u8 {
        self.value.get(at).copied().unwrap_or(0)
    }

    /// The byte before a place.
    fn before(&self, at: usize) -> u8 {
        at.checked_sub(1).map_or(0, |at| self.byte(at))
    }

    /// How many bytes from `start` on are in a set, up to a limit.
    fn run(&self, start: usize, most: usize, mut is_in: impl FnMut(u8) -> bool) -> usize {
        let rest = self.value.get(start..).unwrap_or_default();
        rest.iter().take(most).take_while(|byte| is_in(**byte)).count()
    }

    /// The same backwards, ending before `end`.
    fn run_back(&self, end: usize, most: usize, is_in: impl Fn(u8) -> bool) -> usize {
        let rest = self.value.get(..end).unwrap_or_default();
        rest.iter().rev().take(most).take_while(|byte| is_in(**byte)).count()
    }

    fn part(&self, range: Range<usize>) -> &[u8] {
        self.value.get(range).unwrap_or_default()
    }
}

/// Hits that overlap become one, named after a secret before anything else, then the surest and the longest of them: all of
/// their bytes are protected.
fn apart(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by_key(|hit| (hit.range.start, hit.range.end));
    let mut out: Vec<Hit> = Vec::with_capacity(hits.len());
    for hit in hits {
        match out.last_mut().filter(|last| last.range.end > hit.range.start) {
            Some(last) => {
                let all = last.range.start..last.range.end.max(hit.range.end);
                let weight = |hit: &Hit| (hit.detector.is_secret(), hit.confidence, hit.range.len());
                if weight(&hit) > weight(last) {
                    *last = hit;
                }
                last.range = all;
            }
            None => out.push(hit),
        }
    }
    out
}
