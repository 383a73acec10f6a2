//! Builds the kernel half and leaves it in `OUT_DIR/sallyport-ebpf`, for the daemon to embed.
//!
//! All profiles share one target directory, so `core` is compiled once and a later profile costs a second.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use toolchain::{Toolchain, cargo_home, program};

#[path = "../xtask/src/toolchain.rs"]
mod toolchain;

/// Said, alone, when the kernel half cannot be built on this machine.
const MISSING: &str =
    "the kernel half needs a Rust compiler with its library source, and bpf-linker: run `cargo xtask setup`";

const TARGET: &str = "bpfel-unknown-none";

fn main() -> ExitCode {
    let agent = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = agent.parent().unwrap_or(&agent);
    for input in ["agent-ebpf/src", "agent-ebpf/Cargo.toml", "Cargo.toml", "Cargo.lock", "xtask/src/toolchain.rs"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    let (Some(toolchain), Some(_)) = (Toolchain::find(), program("bpf-linker")) else {
        println!("cargo::error={MISSING}");
        return ExitCode::SUCCESS;
    };
    match build(root, &toolchain) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build(root: &Path, toolchain: &Toolchain) -> Result<(), String> {
    let target_dir = root.join("target/ebpf");
    let status = cargo(&toolchain.sysroot.join("bin"))
        .current_dir(root)
        .args(["build", "--release", "--package", "sallyport-ebpf", "--bin", "sallyport-ebpf"])
        .args(["--target", TARGET, "-Z", "build-std=core", "--target-dir"])
        .arg(&target_dir)
        // The daemon's own release settings are not for the kernel: the linker wants whole, unsplit bitcode.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        // BTF is made from debug information.
        .env("RUSTFLAGS", "-C debuginfo=2 -C link-arg=--btf")
        .status()
        .map_err(|error| format!("cannot start {}: {error}", toolchain.sysroot.join("bin/cargo").display()))?;
    if !status.success() {
        return Err("the kernel half does not build; the compiler's own words are above".to_owned());
    }
    let object = target_dir.join(TARGET).join("release/sallyport-ebpf");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("sallyport-ebpf");
    fs::copy(&object, &out).map_err(|error| format!("cannot copy {}: {error}", object.display()))?;
    Ok(())
}

/// The cargo of that toolchain, freed of what an outer cargo, rustup or clippy left in the environment.
fn cargo(bin: &Path) -> Command {
    let mut cargo = Command::new(bin.join("cargo"));
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_inherited)) {
        cargo.env_remove(name);
    }
    let rest = env::var_os("PATH").unwrap_or_default();
    let path = [bin.to_path_buf(), cargo_home().join("bin")].into_iter().chain(env::split_paths(&rest));
    if let Ok(path) = env::join_paths(path) {
        cargo.env("PATH", path);
    }
    cargo.env("RUSTC", bin.join("rustc")).env("RUSTC_BOOTSTRAP", "1");
    cargo
}

/// Whether an environment variable configures the compilation under way rather than the machine.
fn is_inherited(name: &str) -> bool {
    const OURS: [&str; 4] = ["CARGO", "RUST", "CLIPPY", "LD_LIBRARY_PATH"];
    const MACHINE: [&str; 5] = ["CARGO_HOME", "CARGO_HTTP", "CARGO_NET", "CARGO_REGISTR", "RUSTUP_HOME"];
    OURS.iter().any(|prefix| name.starts_with(prefix)) && !MACHINE.iter().any(|prefix| name.starts_with(prefix))
}
