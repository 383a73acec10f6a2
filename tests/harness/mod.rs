//! What the tests stand on: cgroups, namespaces, servers and the daemon under test.
//!
//! A [`Bed`] is one test's world: two network namespaces joined by a cable, a cgroup, a BPF file system and the
//! directories of a daemon, all of it gone when the value is dropped.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test whose world cannot be set up has failed, and shall say where"
)]

pub mod bed;
pub mod capture;
pub mod cgroup;
pub mod client;
pub mod daemon;
pub mod dice;
pub mod network;
pub mod pattern;
pub mod postgres;
pub mod powercut;
pub mod puppet;
pub mod scribe;
pub mod server;
pub mod site;
pub mod store;
pub mod written;

pub use bed::Bed;
pub use capture::{Capture, Frame};
pub use cgroup::Cgroup;
pub use client::Client;
pub use daemon::{Daemon, Said};
pub use dice::Dice;
pub use network::{Namespace, Network};
pub use postgres::{Postgres, Role};
pub use powercut::{Image, PowerCut};
pub use puppet::Puppet;
pub use scribe::Scribe;
pub use server::Server;
pub use site::Site;
pub use store::{Record, Store};
pub use written::Written;

use std::time::{Duration, Instant};

/// How long a condition may take on a loaded machine before it counts as never.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `look` finds something; `what` it is, for the failure.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, look).unwrap_or_else(|| panic!("{what}: not within {PATIENCE:?}"))
}

/// Looks again and again for as long as `time`.
pub fn within<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + time;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
