//! Who records into a store under test: what is killed, and has its power cut.
//!
//! `sallyport-scribe write STATE SEED SEGMENT_BYTES` records sessions and what is in them from several writers at once,
//! until it is killed, and says each record on standard output as soon as it is acknowledged. It dies with the test.
//! `measure DIRECTORY` and `fill STATE RECORDS` are for `cargo xtask bench`.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a scribe that is told nonsense shall say so and die"
)]

mod material;
mod measure;
mod write;

use std::{env, path::Path};

fn main() {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).expect("a tie to the test");
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["write", state, seed, segment] => {
            let segment = segment.parse().expect("a number of bytes");
            write::run(Path::new(state), seed.parse().expect("a seed"), segment);
        }
        ["measure", directory] => measure::run(Path::new(directory)),
        ["fill", state, records] => measure::fill(Path::new(state), records.parse().expect("a number")),
        _ => panic!("{words:?}: this is between the tests and themselves"),
    }
}
