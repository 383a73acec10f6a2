//! What a session did so far, for policies that limit it.

use crate::policy::question::SessionSoFar;

/// Seconds that a rate is counted over.
const WINDOW: usize = 60;

/// Counters of a session.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    requests: u64,
    rows: u64,
    denials: u64,
    /// Requests of each of the last seconds, and which second is the last.
    seconds: [u32; WINDOW],
    last: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { requests: 0, rows: 0, denials: 0, seconds: [0; WINDOW], last: 0 }
    }

    /// Counts a request, at a second of a clock that never goes back.
    pub(super) fn request(&mut self, second: u64) {
        self.pass_to(second);
        self.requests += 1;
        if let Some(now) = self.seconds.get_mut(Self::place(second)) {
            *now = now.saturating_add(1);
        }
    }

    /// Counts rows that were returned or changed.
    pub(super) fn rows(&mut self, rows: u64) {
        self.rows = self.rows.saturating_add(rows);
    }

    /// Counts a denial.
    pub(super) fn denial(&mut self) {
        self.denials += 1;
    }

    /// As policies see it.
    pub(super) fn so_far(&mut self, second: u64) -> SessionSoFar {
        self.pass_to(second);
        let rate = self.seconds.iter().copied().map(u64::from).sum();
        SessionSoFar { requests: self.requests, rows: self.rows, denials: self.denials, rate }
    }

    fn place(second: u64) -> usize {
        usize::try_from(second % WINDOW as u64).unwrap_or_default()
    }

    fn pass_to(&mut self, second: u64) {
        let passed = second.saturating_sub(self.last).min(WINDOW as u64);
        for gone in 0..passed {
            if let Some(bucket) = self.seconds.get_mut(Self::place(second - gone)) {
                *bucket = 0;
            }
        }
        self.last = self.last.max(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_last_minute() {
        let mut tally = Tally::new();
        for second in [100, 100, 130, 159] {
            tally.request(second);
        }
        tally.rows(7);
        tally.denial();
        assert_eq!(tally.so_far(159), SessionSoFar { requests: 4, rows: 7, denials: 1, rate: 4 });
        assert_eq!(tally.so_far(160).rate, 2);
        assert_eq!(tally.so_far(189).rate, 2);
        assert_eq!(tally.so_far(190).rate, 1);
        assert_eq!(tally.so_far(10_000).rate, 0);
    }
}
