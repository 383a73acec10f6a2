//! Values that must be found and values that must not, made by dice that always fall the same way.

mod measure;
mod negative;
mod positive;

pub(super) use positive::positives;

use super::detect::Detector;

/// A text, the name of the field it is in, and what is in it.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) text: String,
    /// Which detector has to find which bytes.
    pub(super) holds: Option<(Detector, std::ops::Range<usize>)>,
}

/// The same numbers in every run (SplitMix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(super) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(super) fn of(&mut self, alphabet: &str, count: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..count).map(|_| self.pick(&letters)).collect()
    }

    pub(super) fn digits(&mut self, count: usize) -> String {
        self.of("0123456789", count)
    }

    pub(super) fn hex(&mut self, count: usize) -> String {
        self.of("0123456789abcdef", count)
    }

    pub(super) fn alphanumeric(&mut self, count: usize) -> String {
        self.of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", count)
    }
}
