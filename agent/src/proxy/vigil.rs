//! Looking again instead of sleeping, for as long as something is likely to come before a sleeper would be awake.
//!
//! To wake a thread on an idle processor takes longer than a server nearby takes to answer. So after a flow has moved its
//! lane keeps looking for a moment: if things came that fast lately, and nobody else waits for the processor.

use std::{
    cell::{Cell, RefCell},
    fs::File,
    future::poll_fn,
    os::unix::fs::FileExt,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use tokio::{task::yield_now, time::sleep};

/// How long it is looked with nothing coming, nanoseconds: about what it takes to wake a sleeper, twice.
const LONGEST: u64 = 100_000;
/// How often it is looked whether others wait for a processor.
const ROUND: Duration = Duration::from_millis(20);
/// For what share of the time somebody may wait when looking begins, and while it goes on: a client and its server alone
/// get in each other's way for a seventh of it.
const QUIET: f64 = 0.25;
const BUSY: f64 = 1.0 / 3.0;
/// How long a lane sleeps like any other thread once they do.
const REST: Duration = Duration::from_millis(100);

/// What moved lately on one thread.
struct Lane {
    last: Cell<Option<Instant>>,
    /// How long it was from one to the next, nanoseconds: a mean in which the latest counts for an eighth.
    gap: Cell<u64>,
    /// How often anything moved.
    moves: Cell<u64>,
    /// Who keeps the vigil, while it sleeps.
    sleeper: RefCell<Option<Waker>>,
}

thread_local! {
    static LANE: Lane = const {
        Lane { last: Cell::new(None), gap: Cell::new(8 * LONGEST), moves: Cell::new(0), sleeper: RefCell::new(None) }
    };
}

/// A flow of this thread has moved.
pub(super) fn moved() {
    LANE.with(|lane| {
        let now = Instant::now();
        let gap = lane.last.replace(Some(now)).map(|last| now.duration_since(last).as_nanos());
        let gap = gap.and_then(|gap| u64::try_from(gap).ok()).unwrap_or(u64::MAX).min(8 * LONGEST);
        lane.gap.set((lane.gap.get() * 7 + gap) / 8);
        lane.moves.set(lane.moves.get().wrapping_add(1));
        if lane.gap.get() < LONGEST
            && let Some(sleeper) = lane.sleeper.take()
        {
            sleeper.wake();
        }
    });
}

/// Keeps looking on the calling thread's runtime, for as long as it is polled. Kernels that do not tell whether anybody
/// waits have it sleep always.
pub async fn keep() {
    let Some(mut pressure) = Pressure::open() else { return };
    loop {
        asleep().await;
        if pressure.is_below(QUIET) {
            look(&mut pressure).await;
        } else {
            sleep(REST).await;
        }
    }
}

/// Until things come fast.
async fn asleep() {
    let mut entered = false;
    poll_fn(|cx| {
        LANE.with(|lane| {
            let mut sleeper = lane.sleeper.borrow_mut();
            if entered && sleeper.is_none() {
                return Poll::Ready(());
            }
            entered = true;
            *sleeper = Some(cx.waker().clone());
            Poll::Pending
        })
    })
    .await;
}

/// Has the runtime look for what came, again and again, until it is not worth it.
async fn look(pressure: &mut Pressure) {
    let state = || LANE.with(|lane| (lane.moves.get(), lane.gap.get()));
    let (mut seen, _) = state();
    let mut since = Instant::now();
    while pressure.is_below(BUSY) {
        // Goes on behind everything that is ready, and behind one look at the sockets.
        yield_now().await;
        let now = Instant::now();
        let (moves, gap) = state();
        if moves != seen {
            (seen, since) = (moves, now);
        }
        if gap >= LONGEST || now.duration_since(since).as_nanos() > u128::from(LONGEST) {
            return;
        }
    }
}

/// Whether others wait for a processor: the kernel's own account (`Documentation/accounting/psi.rst`).
struct Pressure {
    file: File,
    last: Instant,
    /// How long anybody had waited by then.
    total: Duration,
    /// For how much of the last round somebody waited.
    share: f64,
}

impl Pressure {
    fn open() -> Option<Self> {
        let file = File::open("/proc/pressure/cpu").ok()?;
        let total = total(&file)?;
        Some(Self { file, last: Instant::now(), total, share: 1.0 })
    }

    /// Whether somebody waited for less than this share of the last round.
    fn is_below(&mut self, share: f64) -> bool {
        let passed = self.last.elapsed();
        if passed >= ROUND {
            // What cannot be read any more counts as busy.
            let now = total(&self.file).unwrap_or(Duration::MAX);
            self.share = now.saturating_sub(self.total).div_duration_f64(passed);
            self.last += passed;
            self.total = now;
        }
        self.share < share
    }
}

/// How long somebody has waited for a processor since the start of the host.
fn total(pressure: &File) -> Option<Duration> {
    let mut text = [0; 256];
    let read = pressure.read_at(&mut text, 0).ok()?;
    some(std::str::from_utf8(text.get(..read)?).ok()?)
}

fn some(pressure: &str) -> Option<Duration> {
    let line = pressure.lines().find(|line| line.starts_with("some "))?;
    let (_, total) = line.split_once("total=")?;
    total.trim().parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_account_is_read() {
        let said = "some avg10=0.29 avg60=10.13 avg300=11.04 total=17298680877\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(some(said), Some(Duration::from_micros(17_298_680_877)));
        assert_eq!(some("full avg10=0.00 total=7"), None);
        assert_eq!(some("some total=x"), None);
    }

    #[tokio::test]
    async fn only_what_comes_fast_wakes_it() {
        let vigil = tokio::spawn(asleep());
        yield_now().await;
        moved();
        yield_now().await;
        assert!(!vigil.is_finished(), "the first that moves says nothing of how fast the next comes");
        // As often as it takes a mean to follow, and so fast that each is well within the limit.
        for _ in 0..64 {
            moved();
        }
        vigil.await.unwrap();
    }
}
