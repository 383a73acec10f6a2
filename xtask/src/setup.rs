//! `cargo xtask setup`: brings a machine that has only rustup's stable toolchain to where everything runs.
//!
//! First look, then say, then do. Where nothing is missing, looking is all that happens.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::clients;
use crate::needs::{self, Package, Program};
use crate::process::{as_root, cargo, output, run, status, target};
use crate::toolchain::{Toolchain, program};

/// Longest wait for a toolchain through rustup, where the network may swallow the request.
const RUSTUP_SECONDS: &str = "600";

/// Installs packages without letting the servers among them start, now or with the machine: tests start their own, on
/// their own ports. A service that was there before is left as it is.
const INSTALL: &str = "
    set -e
    export DEBIAN_FRONTEND=noninteractive
    new=
    for service in $SERVICES; do
        dpkg-query --status \"$service\" > /dev/null 2>&1 || new=\"$new $service\"
    done
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
    fi
    apt-get install --yes --quiet --no-install-recommends \"$@\"
    for service in $new; do
        if command -v systemctl > /dev/null; then systemctl disable --quiet \"$service\" 2> /dev/null || true; fi
    done";

/// How much of the list is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What it takes to build the daemon and run it.
    Build,
    /// Tests, measurements and packages too.
    Everything,
}

/// What a look at the machine found missing.
struct Missing {
    components: Vec<Package>,
    packages: Vec<Package>,
    programs: Vec<&'static Program>,
    clients: Vec<Package>,
    compiler: bool,
    linker: bool,
    bpffs: bool,
}

/// Installs what is missing; silent, and done within a second, when nothing is.
pub(crate) fn ensure(extent: Extent) -> Result<()> {
    let missing = Missing::look(extent)?;
    if missing.nothing() {
        return Ok(());
    }
    missing.say();
    let start = Instant::now();
    missing.install()?;
    let left = Missing::look(extent)?;
    if !left.nothing() {
        left.say();
        bail!("the above is still missing after installing it");
    }
    println!("setup: done in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

impl Missing {
    fn look(extent: Extent) -> Result<Self> {
        let everything = extent == Extent::Everything;
        let wanted = |list: &[Package]| if everything { list.to_vec() } else { Vec::new() };
        let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let present = |name: &str| fs::exists(format!("{}/bin/{name}", sysroot.trim())).unwrap_or(false);
        let mut packages = wanted(&needs::PACKAGES);
        // Node's own packages bring it along, and cannot be had together with the distribution's.
        packages.retain(|(name, _)| *name != "npm" || program(name).is_none());
        let mut components = wanted(&needs::COMPONENTS);
        components.retain(|(name, _)| !present(&format!("cargo-{}", name.trim_start_matches("rust"))));
        Ok(Self {
            components,
            packages: not_installed(&packages)?,
            programs: needs::PROGRAMS.iter().filter(|p| everything && program(p.name).is_none()).collect(),
            clients: if everything { clients::missing() } else { Vec::new() },
            compiler: Toolchain::find().is_none(),
            linker: program(needs::LINKER.name).is_none(),
            bpffs: !is_mounted(needs::BPFFS)?,
        })
    }

    fn nothing(&self) -> bool {
        let lists = self.components.len() + self.packages.len() + self.programs.len() + self.clients.len();
        lists == 0 && !self.compiler && !self.linker && !self.bpffs
    }

    fn say(&self) {
        println!("setup: this machine lacks");
        let say = |what: &str, why: &str| println!("  {what:<18} {why}");
        self.components.iter().chain(&self.packages).chain(&self.clients).for_each(|(name, why)| say(name, why));
        self.programs.iter().for_each(|p| say(p.name, p.why));
        if self.compiler {
            needs::KERNEL_TOOLCHAIN.iter().for_each(|(name, why)| say(name, why));
        }
        if self.linker {
            say(needs::LINKER.name, needs::LINKER.why);
        }
        if self.bpffs {
            say(needs::BPFFS, "mounted: it holds what outlives the daemon");
        }
    }

    fn install(&self) -> Result<()> {
        if self.bpffs {
            run(as_root("mount")?.args(["-t", "bpf", "bpf", needs::BPFFS]))?;
        }
        if !self.packages.is_empty() || self.compiler || self.linker {
            run(as_root("apt-get")?.args(["update", "--quiet"]))?;
        }
        install_packages(&self.packages.iter().map(|(name, _)| *name).collect::<Vec<_>>())?;
        for (name, _) in &self.components {
            run(Command::new("rustup").args(["component", "add", name]))?;
        }
        if self.compiler {
            install_compiler()?;
        }
        if self.linker {
            install_linker(&Toolchain::find().context("the compiler just installed cannot be used")?)?;
        }
        if !self.clients.is_empty() {
            clients::install()?;
        }
        install_programs(&self.programs)
    }
}

/// A compiler with its library's source: the distribution's where it has one, else rustup's nightly.
fn install_compiler() -> Result<()> {
    let names = needs::KERNEL_TOOLCHAIN.map(|(name, _)| name);
    if offered(&names)? {
        return install_packages(&names);
    }
    println!("setup: no {} here, asking rustup for a nightly", names.join(", "));
    let nightly = ["rustup", "toolchain", "install", "nightly", "--profile", "minimal", "--component", "rust-src"];
    if !status(Command::new("timeout").arg(RUSTUP_SECONDS).args(nightly))?.success() {
        bail!("neither this distribution nor rustup offers a compiler with its library source");
    }
    Ok(())
}

/// The linker, built on the compiler's own LLVM where that is packaged, else as its authors built it.
fn install_linker(toolchain: &Toolchain) -> Result<()> {
    let Program { name, version, flags, .. } = needs::LINKER;
    let llvm = toolchain.version("LLVM version").context("the compiler does not name its LLVM")?;
    let llvm = llvm.split('.').next().unwrap_or_default();
    let (dev, polly) = (format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev"));
    if !offered(&[&dev, &polly])? {
        println!("setup: no {dev} here, fetching a built {name}");
        run(&mut cargo(["install", "--locked", "cargo-binstall"]))?;
        return run(&mut cargo(["binstall", "--no-confirm", "--version", version, name]));
    }
    install_packages(&[&dev, &polly])?;
    let features = format!("llvm-{llvm}");
    let mut install = cargo(["install", "--locked", name, "--version", version]);
    run(install.args(flags).args(["--features", &features]).env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}")))
}

/// Programs from crates.io, compiled side by side so that they share their dependencies.
fn install_programs(programs: &[&Program]) -> Result<()> {
    let shared = target("tools");
    for Program { name, version, flags, .. } in programs {
        let mut install = cargo(["install", "--locked", name, "--version", version]);
        // Waiting for them to be optimised takes longer than they will ever save.
        let quick = [("OPT_LEVEL", "1"), ("LTO", "off"), ("CODEGEN_UNITS", "16"), ("DEBUG", "0")];
        install.envs(quick.map(|(key, value)| (format!("CARGO_PROFILE_RELEASE_{key}"), value)));
        run(install.args(*flags).arg("--target-dir").arg(&shared))?;
    }
    if shared.exists() {
        fs::remove_dir_all(&shared)?;
    }
    Ok(())
}

fn install_packages(names: &[&str]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let script = format!("SERVICES='{}'{INSTALL}", needs::SERVICES.join(" "));
    run(as_root("sh")?.args(["-c", &script, "install"]).args(names))
}

fn not_installed(packages: &[Package]) -> Result<Vec<Package>> {
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = Command::new("dpkg-query");
    query
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\\n"])
        .args(packages.iter().map(|(name, _)| name));
    // It fails when it has never heard of one; what it knows of the others is printed all the same.
    let known = query.output().context("only Debian and its descendants are catered for: there is no dpkg-query")?;
    let known = String::from_utf8_lossy(&known.stdout).into_owned();
    let there = |name: &str| known.lines().any(|line| line.split_once(' ') == Some((name, "installed")));
    Ok(packages.iter().filter(|(name, _)| !there(name)).copied().collect())
}

/// Whether the distribution has all of them.
fn offered(names: &[&str]) -> Result<bool> {
    let policy = output(Command::new("apt-cache").arg("policy").args(names).env("LC_ALL", "C"))?;
    let candidates = policy.lines().filter_map(|line| line.trim().strip_prefix("Candidate: "));
    Ok(candidates.filter(|version| *version != "(none)").count() == names.len())
}

fn is_mounted(path: &str) -> Result<bool> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    Ok(mounts.lines().any(|line| line.split(' ').nth(1) == Some(path)))
}
