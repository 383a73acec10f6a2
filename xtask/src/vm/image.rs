//! The machine's first disk: a Debian made once for each list of packages, and kept.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::PAYLOAD;
use crate::process::{output, run as succeed, target};

const SUITE: &str = "bookworm";

/// On top of the essential packages.
const PACKAGES: [&str; 15] = [
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "kmod",
    "systemd",
    "systemd-sysv",
    "dbus",
    "udev",
    // Sessions of people who log in.
    "libpam-systemd",
    "sudo",
    // The network, and clients.
    "netbase",
    "iproute2",
    "procps",
    "curl",
    "ca-certificates",
    "socat",
];

/// Starts what the second disk brings, and ends the machine afterwards.
const UNIT: &str = "
[Unit]
Description=The checks
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'mkdir -p PAYLOAD && tar -xf /dev/vdb -C PAYLOAD && exec PAYLOAD/guest __vm guest'
StandardOutput=file:/dev/ttyS1
StandardError=inherit

[Install]
WantedBy=multi-user.target
";

/// Files of a finished machine.
pub(super) struct Image {
    /// Its file system.
    pub disk: PathBuf,
    pub kernel: PathBuf,
    pub initrd: PathBuf,
}

impl Image {
    /// The one that fits, made now if there is none: a few minutes then, and half a gigabyte.
    pub(super) fn ready() -> Result<Self> {
        let mut key = DefaultHasher::new();
        (SUITE, PACKAGES, UNIT).hash(&mut key);
        let home = target(&format!("vm/{SUITE}-{:016x}", key.finish()));
        let image = Self { disk: home.join("disk"), kernel: home.join("kernel"), initrd: home.join("initrd") };
        if !image.disk.exists() {
            image.make(&home).context("the machine's file system could not be made")?;
        }
        Ok(image)
    }

    fn make(&self, home: &Path) -> Result<()> {
        let root = home.join("root");
        println!("making a Debian {SUITE}; it is kept for the next time");
        if home.exists() {
            fs::remove_dir_all(home)?;
        }
        fs::create_dir_all(home)?;
        let mut debootstrap = Command::new("debootstrap");
        debootstrap.arg("--variant=minbase").arg(format!("--include={}", PACKAGES.join(",")));
        // Without a mirror it takes the distribution's own.
        output(debootstrap.arg(SUITE).arg(&root).args(mirror()))?;
        furnish(&root)?;
        for (name, to) in [("vmlinuz-", &self.kernel), ("initrd.img-", &self.initrd)] {
            fs::copy(starting_with(&root.join("boot"), name)?, to)?;
        }
        let unfinished = home.join("unfinished");
        // Thrown away after each run: a journal would only be work.
        let mut mke2fs = Command::new("mke2fs");
        mke2fs.args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"]).arg(&root).arg(&unfinished).arg("2G");
        succeed(&mut mke2fs)?;
        fs::rename(unfinished, &self.disk)?;
        Ok(fs::remove_dir_all(root)?)
    }
}

/// What debootstrap leaves out, and what it copied from this machine.
fn furnish(root: &Path) -> Result<()> {
    let units = root.join("etc/systemd/system");
    fs::write(units.join("vm-test.service"), UNIT.replace("PAYLOAD", PAYLOAD))?;
    fs::create_dir_all(units.join("multi-user.target.wants"))?;
    symlink("../vm-test.service", units.join("multi-user.target.wants/vm-test.service"))?;
    fs::write(root.join("etc/hostname"), "guest\n")?;
    fs::write(root.join("etc/resolv.conf"), "")?;
    let archives = root.join("var/cache/apt/archives");
    fs::remove_dir_all(&archives)?;
    Ok(fs::create_dir(archives)?)
}

fn starting_with(directory: &Path, name: &str) -> Result<PathBuf> {
    let files = fs::read_dir(directory)?.filter_map(|file| Some(file.ok()?.path()));
    let is_it = |path: &PathBuf| path.file_name().is_some_and(|it| it.to_string_lossy().starts_with(name));
    files.filter(is_it).max().with_context(|| format!("there is no {name} in it"))
}

/// Where this machine takes that suite from, if it does.
fn mirror() -> Option<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let mut more: Vec<_> = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .filter_map(|file| Some(file.ok()?.path()))
        .collect();
    more.sort();
    files.append(&mut more);
    files.iter().filter_map(|file| fs::read_to_string(file).ok()).find_map(|text| source(&text, SUITE))
}

/// The first address with a suite's main component, in either format of sources.list(5).
fn source(text: &str, suite: &str) -> Option<String> {
    let lines = || text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let one_line = lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim();
        let rest = rest.strip_prefix('[').map_or(Some(rest), |rest| Some(rest.split_once(']')?.1))?;
        let words: Vec<_> = rest.split_whitespace().collect();
        let [address, of, components @ ..] = words.as_slice() else { return None };
        (*of == suite && components.contains(&"main")).then(|| (*address).to_owned())
    });
    let without_comments = lines().collect::<Vec<_>>().join("\n");
    let stanza = || {
        without_comments.split("\n\n").find_map(|stanza| {
            let field = |name: &str| {
                let value = stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
                Some(value.split_whitespace().collect::<Vec<_>>())
            };
            let fits = field("Types")?.contains(&"deb")
                && field("Suites")?.contains(&suite)
                && field("Components")?.contains(&"main");
            field("URIs")?.first().filter(|_| fits).map(|address| (*address).to_owned())
        })
    };
    one_line.or_else(stanza).filter(|address| address.starts_with("http") || address.starts_with("file:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_mirror_in_both_formats() {
        let old = "# deb http://no.example/debian bookworm main\n\
            deb http://security.example/debian bookworm-security main\n\
            deb [arch=amd64 signed-by=/k] https://one.example/debian bookworm contrib main\n";
        assert_eq!(source(old, SUITE).as_deref(), Some("https://one.example/debian"));
        assert_eq!(source(old, "trixie"), None);
        let new = "Types: deb deb-src\n# a comment\nURIs: http://two.example/debian\nSuites: bookworm bookworm-updates\n\
            Components: main\n\nTypes: deb\nURIs: http://three.example/debian\nSuites: trixie\nComponents: main contrib\n";
        assert_eq!(source(new, SUITE).as_deref(), Some("http://two.example/debian"));
        assert_eq!(source(new, "trixie").as_deref(), Some("http://three.example/debian"));
        assert_eq!(source("deb mirror+file:/etc/list bookworm main", SUITE), None);
        assert_eq!(source("", SUITE), None);
    }
}
