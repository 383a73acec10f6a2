//! `cargo xtask vm-test`: the Debian package in a whole machine of its own, with systemd and an older kernel.
//!
//! The machine is emulated, so no virtualisation is needed; it has no network. It gets the package and this program on
//! a second disk, and this program is its test: it writes one line for each check to a serial line, read here.

mod guest;
mod image;
mod machine;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::dist;
use crate::process::{is_root, run as succeed, target};
use crate::setup::{self, Extent};
use image::Image;

/// Where the second disk's content is found inside.
const PAYLOAD: &str = "/opt/vm";

/// Builds the package, makes the machine unless there is one, and judges what its checks say.
pub(crate) fn run() -> Result<()> {
    if !is_root() {
        bail!("a machine's file system is full of files of root's: run this command as root");
    }
    setup::ensure(Extent::Everything)?;
    dist::run()?;
    let image = Image::ready()?;
    let payload = payload()?;
    let start = Instant::now();
    let mut said = BTreeMap::new();
    let ended = machine::boot(&image, &payload, |line| {
        if let Some((name, verdict)) = verdict(line) {
            said.insert(name.to_owned(), verdict);
        }
    })?;
    let failed: Vec<_> = guest::names().filter(|name| said.get(*name) != Some(&true)).collect();
    let silent = failed.iter().filter(|name| !said.contains_key(**name)).count();
    let passed = guest::names().count() - failed.len();
    println!("{passed} passed, {} failed in {:.0} s", failed.len(), start.elapsed().as_secs_f64());
    if failed.is_empty() {
        return Ok(());
    }
    if silent > 0 {
        println!("{silent} said nothing ({ended}); the console's log is {}", machine::console().display());
    }
    bail!("failed: {}", failed.join(", "))
}

/// What runs inside the machine.
pub(crate) fn helper(words: &[OsString]) -> Result<()> {
    let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    guest::run(&words)
}

/// `VM: name: ok …` or `VM: name: FAIL …`
fn verdict(line: &str) -> Option<(&str, bool)> {
    let (name, verdict) = line.trim_end().strip_prefix("VM: ")?.split_once(": ")?;
    match verdict.split(' ').next() {
        Some("ok") => Some((name, true)),
        Some("FAIL") => Some((name, false)),
        _ => None,
    }
}

/// The second disk: an archive with the package and this program.
fn payload() -> Result<PathBuf> {
    let staged = target("vm/payload");
    fs::create_dir_all(&staged)?;
    let files = fs::read_dir(target("dist"))?.filter_map(|file| Some(file.ok()?.path()));
    let package = files.filter(|path| path.extension().is_some_and(|ending| ending == "deb")).max();
    fs::copy(package.context("no package was made")?, staged.join("sallyport.deb"))?;
    // By this name it is found even after somebody built it anew.
    fs::copy("/proc/self/exe", staged.join("guest"))?;
    let archive = target("vm/payload.tar");
    succeed(Command::new("tar").arg("--create").arg("--file").arg(&archive).arg("-C").arg(&staged).arg("."))?;
    Ok(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_machine_says() {
        assert_eq!(verdict("VM: boot: ok 6.1.0\r"), Some(("boot", true)));
        assert_eq!(verdict("VM: boot: ok"), Some(("boot", true)));
        assert_eq!(verdict("VM: boot: FAIL: no"), None);
        assert_eq!(verdict("VM: boot: FAIL no: ok"), Some(("boot", false)));
        assert_eq!(verdict("  boot: ok"), None);
    }

    #[test]
    fn no_two_checks_share_a_name() {
        let names: std::collections::BTreeSet<_> = guest::names().collect();
        assert_eq!(names.len(), guest::names().count());
    }
}
