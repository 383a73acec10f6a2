//! `cargo xtask build` and `cargo xtask run`: the daemon as its users get it.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::process::{self, as_root, cargo, status, target};
use crate::setup::{self, Extent};

/// Leaves `target/release/sallyport`, or `target/debug/sallyport`.
///
/// The package is built alone: next to the tests it would share their choice of features.
pub(crate) fn build(release: bool) -> Result<()> {
    let profile: &[&str] = if release { &["--release"] } else { &[] };
    process::run(cargo(["build", "--package", "sallyport"]).args(profile))
}

/// Runs one command intercepted with the default policy, shows what was recorded, and ends as the command did.
pub(crate) fn run(command: &[OsString]) -> Result<ExitCode> {
    setup::ensure(Extent::Build)?;
    build(true)?;
    let state = tempfile::Builder::new().prefix("sallyport-").tempdir()?.keep();
    let ended = status(sallyport(&state)?.args(["exec", "--"]).args(command))?;
    eprintln!("recorded in {}:", state.display());
    process::run(sallyport(&state)?.args(["sessions", "list"]))?;
    // As a shell says it: 128 and the number of the signal.
    let code =
        ended.code().or_else(|| Some(128 + ended.signal()?)).context("the command neither exited nor was killed")?;
    Ok(ExitCode::from(u8::try_from(code)?))
}

fn sallyport(state: &Path) -> Result<Command> {
    let mut command = as_root(target("release/sallyport"))?;
    command.arg("--state-dir").arg(state);
    Ok(command)
}
