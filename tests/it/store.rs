//! What is left of a store when its writer is killed, its power cut, or its disk full: what was promised, once, in a log
//! that verifies.

use sallyport::record::{Damage, Options, Recorder, Role, Timestamps, verify};
use sallyport_tests::{
    Dice, PowerCut, Scribe, Written,
    powercut::{ROOMY, Trouble},
    scribe::{Acknowledged, Loss, Promise, promised},
    until,
};
use std::{collections::BTreeSet, fs, path::Path, thread, time::Duration};

/// Fifty milliseconds are promised; a machine that runs other tests beside this one may be late.
const SOON: Duration = Duration::from_millis(200);
/// Segments that are never full, and such that are full several times a second; and how late a record may be that is
/// not waited for: it waits for another segment to be begun, which on a loaded machine takes longer than it should.
const SEGMENTS: [(u64, Duration); 2] = [(1 << 30, SOON), (64 << 10, Duration::from_millis(500))];

/// Opens a store as the next daemon would, closes it, and finds everything that was promised in it, once.
fn check(state: &Path, promised: &BTreeSet<String>, round: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let opened = Recorder::open_as(state, Role::Daemon, &Options::default());
    let recorder = opened.unwrap_or_else(|error| panic!("{round}: {error:?}"));
    runtime.block_on(recorder.close()).unwrap_or_else(|error| panic!("{round}: {error:?}"));
    let written = Written::read(state);
    let missing: Vec<&String> = promised.iter().filter(|key| !written.has(key)).collect();
    assert!(missing.is_empty(), "{round}: {} of {} are missing: {:?}", missing.len(), promised.len(), head(&missing));
    assert!(written.twice().is_empty(), "{round}: twice: {:?}", head(&written.twice()));
    assert_eq!(written.gap(), None, "{round}: the numbers of the log");
    assert!(!written.events().contains("store-damaged"), "{round}: what was recorded was given up");
    let report = verify(state, &|_| Err("no checkpoint is to be read".to_owned()), None);
    let report = report.unwrap_or_else(|error| panic!("{round}: {error:?}"));
    let damage: Vec<_> = report.findings.iter().filter(|one| one.damage != Damage::ForgedCheckpoint).collect();
    assert!(damage.is_empty(), "{round}: {damage:?}");
}

fn head<T>(all: &[T]) -> &[T] {
    &all[..all.len().min(8)]
}

/// A random moment: right from the start, or when it has been at work for a while.
fn some_time(scribe: &Scribe, dice: &mut Dice) {
    if !dice.once_in(4) {
        until("something is recorded", || (scribe.count() > 0 || !scribe.refused().is_empty()).then_some(()));
    }
    thread::sleep(Duration::from_micros(dice.upto(200_000)));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a copy");
        }
    }
}

/// A hundred kills, ten of each store in a row, so that what one leaves behind is what the next meets.
#[test]
fn killed_at_any_moment_it_keeps_what_it_acknowledged() {
    let mut dice = Dice::new(1);
    for store in 0..10 {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("state");
        let (segment, soon) = SEGMENTS[store % SEGMENTS.len()];
        let mut kept = BTreeSet::new();
        for kill in 0..10 {
            let round = format!("store {store}, kill {kill}");
            let scribe = Scribe::start(&state, dice.any() >> 1, segment);
            some_time(&scribe, &mut dice);
            assert!(scribe.refused().is_empty(), "{round}: {:?}", scribe.refused());
            let (acknowledged, at) = scribe.kill();
            kept.extend(promised(&acknowledged, Loss::Kill, at, soon));
            if !state.exists() {
                continue;
            }
            let looked_at = directory.path().join("copy");
            copy(&state, &looked_at);
            check(&looked_at, &kept, &round);
            fs::remove_dir_all(&looked_at).expect("a directory");
        }
        assert!(kept.len() > 1000, "store {store}: only {} records", kept.len());
    }
}

/// A hundred cuts, ten of each store: five of each of two runs, the second on what the last cut of the first left.
#[test]
fn when_the_power_goes_it_keeps_what_it_promised_for_that() {
    let mut dice = Dice::new(2);
    for store in 0..10 {
        let mut disk = PowerCut::new(ROOMY);
        let (segment, soon) = SEGMENTS[store % SEGMENTS.len()];
        let mut kept = BTreeSet::new();
        for run in 0..2 {
            let scribe = Scribe::start(&disk.path().join("state"), dice.any() >> 1, segment);
            let mut cuts = Vec::new();
            for number in 0..5 {
                some_time(&scribe, &mut dice);
                let at = Timestamps::now().boot_ns;
                let acknowledged = scribe.acknowledged();
                let image = disk.cut(dice.any());
                let mut promised = promised(&acknowledged, Loss::Power, at, soon);
                promised.extend(kept.iter().cloned());
                cuts.push((image, promised, format!("store {store}, run {run}, cut {number}")));
            }
            assert!(scribe.refused().is_empty(), "{:?}", scribe.refused());
            drop(scribe);
            for (at, (image, promised, round)) in cuts.into_iter().enumerate() {
                if at == 4 {
                    disk = PowerCut::holding(&image, ROOMY);
                    kept.clone_from(&promised);
                }
                if image.path().join("state").exists() || !promised.is_empty() {
                    check(&image.path().join("state"), &promised, &round);
                }
            }
        }
        assert!(kept.len() > 1000, "store {store}: only {} records", kept.len());
    }
}

/// Breaks the disk under a scribe, waits until it is refused and then mends it; what was refused was refused with
/// `words`, and nothing that was acknowledged before, meanwhile or after is lost, also when the power goes.
fn broken_and_mended(seed: u64, words: &str, mut set: impl FnMut(&mut PowerCut, bool)) {
    let mut disk = PowerCut::new(ROOMY);
    let scribe = Scribe::start(&disk.path().join("state"), seed, SEGMENTS[0].0);
    until("it is at work", || (scribe.count() > 500).then_some(()));
    assert!(scribe.refused().is_empty(), "{:?}", scribe.refused());
    set(&mut disk, true);
    until("records are refused", || (scribe.refused().len() > 50).then_some(()));
    let refused = scribe.refused();
    let unclear: Vec<_> = refused.iter().filter(|why| !why.contains(words)).collect();
    assert!(unclear.is_empty(), "not `{words}`: {:?}", head(&unclear));
    let broken = Timestamps::now().boot_ns;
    thread::sleep(Duration::from_millis(300));
    let on_the_disk = |one: &Acknowledged| one.promise == Promise::Disk && one.at > broken;
    assert!(!scribe.acknowledged().iter().any(on_the_disk), "nothing is on a disk that refuses");
    set(&mut disk, false);
    let mended = Timestamps::now().boot_ns;
    until("it goes on", || {
        let flushed = |one: &Acknowledged| matches!(one.promise, Promise::Everything(since) if since > mended);
        scribe.acknowledged().iter().any(flushed).then_some(())
    });
    let at = Timestamps::now().boot_ns;
    let promised = promised(&scribe.acknowledged(), Loss::Power, at, SOON);
    let image = disk.cut(seed);
    drop(scribe);
    check(&image.path().join("state"), &promised, words);
}

#[test]
fn on_a_full_disk_it_refuses_and_goes_on_when_there_is_space() {
    broken_and_mended(3, "no space left", |disk, broken| {
        let taken = ROOMY - disk.free();
        disk.resize(if broken { taken } else { ROOMY });
    });
}

#[test]
fn on_a_read_only_disk_it_refuses_and_goes_on_when_it_may_write() {
    broken_and_mended(4, "read-only", |disk, broken| {
        disk.set_trouble(if broken { Trouble::ReadOnly } else { Trouble::None });
    });
}

#[test]
fn on_a_disk_that_does_not_sync_it_refuses_and_makes_up_for_what_was_lost() {
    broken_and_mended(5, "cannot", |disk, broken| {
        disk.set_trouble(if broken { Trouble::SyncFails } else { Trouble::None });
    });
}
