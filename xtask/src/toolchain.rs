//! Finds a compiler that can build the kernel half; shared with `agent/build.rs`, so it uses `std` alone.
//!
//! `bpfel-unknown-none` ships no prebuilt `core`: a compiler counts only with the library's source beside it. Debian's
//! web toolchain comes first because it is pinned by the distribution, and `bpf-linker` is built for its LLVM; a linker
//! on a newer LLVM reads its output too, whereas the reverse fails late and obscurely.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest minor version of Rust 1 that compiles the workspace; `rust-version` in the root manifest.
const OLDEST_MINOR: u32 = 95;

/// A Rust installation: `bin/cargo`, `bin/rustc` and `lib/rustlib/src` below one directory.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// That directory, as `rustc --print sysroot` names it.
    pub sysroot: PathBuf,
}

impl Toolchain {
    /// The first usable of Debian's and rustup's nightly.
    pub fn find() -> Option<Self> {
        Self::at(PathBuf::from("/usr")).or_else(|| {
            let rustc = Command::new("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]).output().ok()?;
            let sysroot = String::from_utf8(rustc.stdout).ok()?;
            Self::at(PathBuf::from(sysroot.trim()))
        })
    }

    fn at(sysroot: PathBuf) -> Option<Self> {
        let complete = sysroot.join("lib/rustlib/src/rust/library/core").is_dir() && sysroot.join("bin/cargo").exists();
        let toolchain = Self { sysroot };
        (complete && minor(&toolchain.version("release")?)? >= OLDEST_MINOR).then_some(toolchain)
    }

    /// The value of one line of `rustc -vV`, such as `release` or `LLVM version`.
    pub fn version(&self, field: &str) -> Option<String> {
        let rustc = Command::new(self.sysroot.join("bin/rustc")).arg("-vV").output().ok()?;
        let text = String::from_utf8(rustc.stdout).ok()?;
        text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(": ").map(str::to_owned))
    }
}

/// A program by its name, on the path or among what cargo installed.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain([cargo_home().join("bin")]).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Where cargo keeps what it downloads and installs.
pub fn cargo_home() -> PathBuf {
    let default = || Path::new(&env::var_os("HOME").unwrap_or_default()).join(".cargo");
    env::var_os("CARGO_HOME").map_or_else(default, PathBuf::from)
}

/// `95` of `1.95.0` or `1.97.0-nightly`.
fn minor(release: &str) -> Option<u32> {
    release.strip_prefix("1.")?.split('.').next()?.parse().ok()
}
