//! What the kernel offers.

use std::path::Path;

use super::Check;
use super::host::Machine;

/// `SO_NETNS_COOKIE` and the helper of that name in `sock_ops` programs.
const LEAST_KERNEL: (u32, u32) = (5, 15);
/// The oldest kernel the tests run on.
const TESTED_KERNEL: (u32, u32) = (6, 1);

/// Everything about the kernel that needs no configuration.
pub(super) fn checks(machine: &Machine) -> Vec<Check> {
    let all = [release, type_information, compiler, cgroup2, modules, lockdown, unprivileged_bpf, io_uring];
    all.iter().map(|check| check(machine)).collect()
}

fn release(machine: &Machine) -> Check {
    const NAME: &str = "kernel";
    let release = machine.text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let Some(version) = version(&release) else {
        return Check::warn(NAME, format!("unreadable release `{release}`"), "is /proc mounted?");
    };
    let (major, minor) = LEAST_KERNEL;
    if version < LEAST_KERNEL {
        return Check::fail(NAME, release, format!("Linux {major}.{minor} is the least; 6.1 or later is better"));
    }
    if version < TESTED_KERNEL {
        return Check::warn(NAME, release, "older than what is tested; 6.1 or later is better");
    }
    Check::ok(NAME, format!("Linux {release}"))
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn type_information(machine: &Machine) -> Check {
    const NAME: &str = "btf";
    const PATH: &str = "/sys/kernel/btf/vmlinux";
    if machine.path(PATH).is_file() {
        return Check::ok(NAME, PATH);
    }
    Check::fail(NAME, format!("{PATH} is not there"), "use a kernel built with CONFIG_DEBUG_INFO_BTF=y")
}

/// Newer kernels can be built to compile always; then there is no switch.
fn compiler(machine: &Machine) -> Check {
    const NAME: &str = "bpf-jit";
    match machine.text("/proc/sys/net/core/bpf_jit_enable").as_deref() {
        Ok("0") => Check::warn(NAME, "off: programs are interpreted", "sysctl -w net.core.bpf_jit_enable=1"),
        Err(_) if !machine.privileged => Check::skipped(NAME, "readable by root only"),
        Ok(_) | Err(_) => Check::ok(NAME, "on"),
    }
}

fn cgroup2(machine: &Machine) -> Check {
    const NAME: &str = "cgroup-v2";
    let Some(path) = machine.cgroup2() else {
        let advice = "mount it: mount -t cgroup2 none /sys/fs/cgroup (or boot with systemd.unified_cgroup_hierarchy=1)";
        return Check::fail(NAME, "not mounted", advice);
    };
    let hybrid = machine.mounts().iter().any(|mount| mount.kind == "cgroup");
    let shape = if hybrid { "hybrid, beside v1" } else { "unified" };
    Check::ok(NAME, format!("{} ({shape})", path.display()))
}

/// The modules' list says whether packet sockets can be refused when they are made.
fn modules(machine: &Machine) -> Check {
    const NAME: &str = "lsm";
    const LATER: &str = "packet sockets are stopped where they send, at the device";
    let Ok(active) = machine.text("/sys/kernel/security/lsm") else {
        let mounted = machine.mounts().iter().any(|mount| mount.kind == "securityfs");
        return match (mounted, machine.privileged) {
            (true, false) => Check::skipped(NAME, "readable by root only"),
            (true, true) => Check::warn(NAME, format!("the list is not there; {LATER}"), "enable CONFIG_BPF_LSM"),
            (false, _) => {
                let advice = "to know: mount -t securityfs none /sys/kernel/security";
                Check::warn(NAME, format!("securityfs is not mounted, so unknown; {LATER}"), advice)
            }
        };
    };
    if !active.split(',').any(|module| module == "bpf") {
        let advice = format!("boot with lsm={active},bpf to refuse them when they are made");
        return Check::warn(NAME, format!("{active}: no bpf; {LATER}"), advice);
    }
    if lockdown_mode(machine).as_deref() == Some("confidentiality") {
        return Check::warn(NAME, format!("{active}; lockdown refuses LSM programs; {LATER}"), "see the next check");
    }
    Check::ok(NAME, format!("{active}: packet sockets are stopped when they are made"))
}

fn lockdown(machine: &Machine) -> Check {
    const NAME: &str = "lockdown";
    match lockdown_mode(machine).as_deref() {
        Some("confidentiality") => {
            let found = "confidentiality: kernel memory cannot be read, LSM and tracing programs do not load";
            Check::warn(NAME, found, "lockdown=integrity on the kernel's command line is enough for most hosts")
        }
        Some(mode) => Check::ok(NAME, mode),
        None => Check::ok(NAME, "not seen (off, or securityfs is not mounted)"),
    }
}

/// The mode in brackets of `none [integrity] confidentiality`.
fn lockdown_mode(machine: &Machine) -> Option<String> {
    let text = machine.text("/sys/kernel/security/lockdown").ok()?;
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(mode, _)| mode.to_owned())
}

fn unprivileged_bpf(machine: &Machine) -> Check {
    const NAME: &str = "unprivileged-bpf";
    match machine.number("/proc/sys/kernel/unprivileged_bpf_disabled") {
        Some(0) => Check::warn(NAME, "anyone may load programs", "sysctl -w kernel.unprivileged_bpf_disabled=1"),
        Some(_) => Check::ok(NAME, "disabled"),
        None => Check::ok(NAME, "no such switch"),
    }
}

/// Its connects and sends run the same hooks, so it is only reported.
fn io_uring(machine: &Machine) -> Check {
    let found = match machine.number("/proc/sys/kernel/io_uring_disabled") {
        Some(2) => "disabled",
        Some(1) => "for members of io_uring_group only; its connections are intercepted too",
        Some(_) | None => "available; its connections are intercepted too",
    };
    Check::ok("io_uring", found)
}

/// Pins need a BPF file system: without one nothing outlives the daemon, and a dead daemon would fail open.
pub(super) fn bpffs(machine: &Machine, path: &Path) -> Check {
    const NAME: &str = "bpffs";
    let mounts = machine.mounts();
    let covering = mounts.iter().filter(|mount| path.starts_with(&mount.path));
    let nearest = covering.max_by_key(|mount| mount.path.components().count());
    match nearest {
        Some(mount) if mount.kind == "bpf" => Check::ok(NAME, path.display().to_string()),
        _ => Check::fail(
            NAME,
            format!("no BPF file system at {}", path.display()),
            format!("mount -t bpf bpf {}", path.display()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::host::tests::machine;
    use super::*;

    fn state(check: fn(&Machine) -> Check, files: &[(&str, &str)]) -> State {
        let (_dir, machine) = machine(files);
        check(&machine).state
    }

    #[test]
    fn kernel_releases() {
        for (text, expected) in [
            ("6.18.44-fc", State::Ok),
            ("6.1.0-25-cloud-amd64\n", State::Ok),
            ("5.15.0", State::Warn),
            ("5.14.21", State::Fail),
            ("4.19.0", State::Fail),
            ("5.4", State::Fail),
            ("unknown", State::Warn),
        ] {
            assert_eq!(state(release, &[("/proc/sys/kernel/osrelease", text)]), expected, "{text}");
        }
        assert_eq!(state(release, &[]), State::Warn);
    }

    #[test]
    fn modules_and_lockdown() {
        const LSM: &str = "/sys/kernel/security/lsm";
        const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
        assert_eq!(state(modules, &[(LSM, "lockdown,yama,bpf")]), State::Ok);
        assert_eq!(state(modules, &[(LSM, "lockdown,yama")]), State::Warn);
        assert_eq!(state(modules, &[(LSM, "lockdown,bpfx")]), State::Warn);
        let confidential = (LOCKDOWN, "none integrity [confidentiality]");
        assert_eq!(state(modules, &[(LSM, "lockdown,bpf"), confidential]), State::Warn);
        assert_eq!(state(lockdown, &[confidential]), State::Warn);
        assert_eq!(state(lockdown, &[(LOCKDOWN, "none [integrity] confidentiality")]), State::Ok);
        let (_dir, bare) = machine(&[]);
        let found = modules(&bare);
        assert!(found.found.contains("securityfs is not mounted"), "{found:?}");
        assert!(found.found.contains("at the device"), "{found:?}");
    }

    #[test]
    fn switches() {
        const JIT: &str = "/proc/sys/net/core/bpf_jit_enable";
        assert_eq!(state(compiler, &[(JIT, "0")]), State::Warn);
        assert_eq!(state(compiler, &[(JIT, "1")]), State::Ok);
        const UNPRIVILEGED: &str = "/proc/sys/kernel/unprivileged_bpf_disabled";
        assert_eq!(state(unprivileged_bpf, &[(UNPRIVILEGED, "0")]), State::Warn);
        assert_eq!(state(unprivileged_bpf, &[(UNPRIVILEGED, "2")]), State::Ok);
        assert_eq!(state(type_information, &[]), State::Fail);
        assert_eq!(state(type_information, &[("/sys/kernel/btf/vmlinux", "x")]), State::Ok);
        assert_eq!(state(cgroup2, &[("/proc/self/mounts", "x / ext4 rw 0 0\n")]), State::Fail);
        let unified = ("/proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
        assert_eq!(state(cgroup2, &[unified]), State::Ok);
    }

    #[test]
    fn bpf_file_systems() {
        let lines = "s /sys sysfs rw 0 0\nb /sys/fs/bpf bpf rw 0 0\n";
        let (_dir, machine) = machine(&[("/proc/self/mounts", lines)]);
        for (path, expected) in [
            ("/sys/fs/bpf", State::Ok),
            ("/sys/fs/bpf/below", State::Ok),
            ("/sys/fs", State::Fail),
            ("/sys/fs/bpfx", State::Fail),
        ] {
            assert_eq!(bpffs(&machine, Path::new(path)).state, expected, "{path}");
        }
    }
}
