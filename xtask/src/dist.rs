//! `cargo xtask dist`: the Debian package and the archive, in `target/dist`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::process::{cargo, output, root, run as succeed, target};
use crate::product;

/// What the archive holds besides the program and what it writes about itself, from the root of the repository.
const ALONGSIDE: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// Builds the release and packs it. Both files depend on the commit alone, not on the hour.
pub(crate) fn run() -> Result<()> {
    product::build(true)?;
    let dist = emptied("dist")?;
    for (command, below) in [("__man", "release/man"), ("__completions", "release/completions")] {
        succeed(Command::new(target("release/sallyport")).arg(command).arg(emptied(below)?))?;
    }
    let date = output(Command::new("git").current_dir(root()).args(["log", "-1", "--format=%ct"]))?;
    let date = date.trim();
    // Contents and conffiles of the package stand in agent/Cargo.toml.
    let mut deb = cargo(["deb", "--no-build", "--package", "sallyport", "--output"]);
    succeed(deb.arg(&dist).env("SOURCE_DATE_EPOCH", date))?;
    archive(date)?;
    for file in fs::read_dir(&dist)? {
        let file = file?;
        if file.file_type()?.is_file() {
            println!("{} ({} KiB)", file.path().display(), file.metadata()?.len() / 1024);
        }
    }
    Ok(())
}

/// A directory below `target` with nothing in it: what an earlier run left there must not be packed.
fn emptied(below: &str) -> Result<PathBuf> {
    let path = target(below);
    if path.exists() {
        fs::remove_dir_all(&path)?;
    }
    fs::create_dir_all(&path)?;
    Ok(path)
}

/// The same files for other distributions, to be laid out by hand.
fn archive(date: &str) -> Result<()> {
    let name = format!("sallyport-{}-{}-linux", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let docs = fs::read_dir(root())?.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let mut tar = Command::new("tar");
    tar.args(["--create", "--gzip", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--file"])
        .arg(target(&format!("dist/{name}.tar.gz")))
        .arg(format!("--mtime=@{date}"))
        .arg(format!("--transform=s,^,{name}/,"))
        .arg("-C")
        .args([target("release"), "sallyport".into(), "man".into(), "completions".into()])
        .arg("-C")
        .args([root(), "systemd".into()])
        .args(ALONGSIDE)
        .args(docs.filter(|file| file.ends_with(".md")));
    succeed(&mut tar)
}
