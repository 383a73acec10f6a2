//! Builds the kernel half and leaves it in `OUT_DIR/sallyport-ebpf`, for the daemon to embed.
//!
//! All profiles share one target directory, so `core` is compiled once and a later profile costs a second.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

#[path = "../xtask/src/toolchain.rs"]
mod toolchain;

const TARGET: &str = "bpfel-unknown-none";

fn main() -> ExitCode {
    let agent = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = agent.parent().unwrap_or(&agent);
    for input in ["agent-ebpf/src", "agent-ebpf/Cargo.toml", "Cargo.toml", "Cargo.lock", "xtask/src/toolchain.rs"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    let (Some(toolchain), Some(_)) = (toolchain::Toolchain::find(), toolchain::bpf_linker()) else {
        println!("cargo::error={}", toolchain::MISSING);
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

fn build(root: &Path, toolchain: &toolchain::Toolchain) -> Result<(), String> {
    let target_dir = root.join("target/ebpf");
    let status = toolchain
        .cargo()
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
