//! `cargo xtask fuzz`: opens the fuzz doors of `agent/fuzz/fuzz_targets`, one after the other.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::process::{cargo, root, status, target};

/// Runs `only` that door, or all of them, for so many seconds each.
pub(crate) fn run(seconds: u32, only: Option<&str>) -> Result<()> {
    let fuzz = root().join("agent/fuzz");
    let mut doors = Vec::new();
    for file in fs::read_dir(fuzz.join("fuzz_targets"))? {
        doors.push(file?.path().file_stem().context("a fuzz target without a name")?.to_string_lossy().into_owned());
    }
    doors.sort();
    if let Some(only) = only {
        if !doors.iter().any(|door| door == only) {
            bail!("no fuzz door is named `{only}`; there are: {}", doors.join(", "));
        }
        doors.retain(|door| door == only);
    }
    // The versions under test are those of the product: cargo adds to this copy only what fuzzing itself needs.
    fs::copy(root().join("Cargo.lock"), fuzz.join("Cargo.lock"))?;
    let mut failed = Vec::new();
    // What a door leaves behind goes with it.
    let temporary = target("fuzz").join("tmp");
    for door in &doors {
        fs::create_dir_all(&temporary)?;
        println!("== {door}");
        let mut command = cargo(["fuzz", "run", "--fuzz-dir"]);
        command.arg(&fuzz).arg("--target-dir").arg(target("fuzz"));
        // Memory safety is the compiler's part here; without the sanitizer a door tries several times as much.
        command.args(["--sanitizer", "none", door, "--", &format!("-max_total_time={seconds}"), "-verbosity=0"]);
        // Coverage instrumentation is not a stable flag, and stable is the toolchain that everybody has.
        if !status(command.env("RUSTC_BOOTSTRAP", "1").env("TMPDIR", &temporary))?.success() {
            failed.push(door.as_str());
        }
        fs::remove_dir_all(&temporary)?;
    }
    if !failed.is_empty() {
        bail!("these doors did not hold: {}; what broke one is in agent/fuzz/artifacts", failed.join(", "));
    }
    Ok(())
}
