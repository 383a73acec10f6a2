//! Chance that can be repeated: the same seed falls the same way.

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as `seed` says.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From zero up to `most`, inclusive.
    pub fn upto(&mut self, most: u64) -> u64 {
        let any = self.any();
        most.checked_add(1).map_or(any, |sides| any % sides)
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.upto(times.saturating_sub(1)) == 0
    }
}
