//! What this process may do.

use super::Check;
use super::host::Machine;
use crate::config::Config;

/// Needed by the daemon, with the number of each (`linux/capability.h`).
const CAPABILITIES: [(&str, u32); 7] = [
    ("CAP_DAC_READ_SEARCH", 2),
    ("CAP_KILL", 5),
    ("CAP_NET_ADMIN", 12),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_PERFMON", 38),
    ("CAP_BPF", 39),
];

/// May raise its own limits.
const CAP_SYS_RESOURCE: u32 = 24;
/// A flow's: its two sockets and its process.
const FLOW_DESCRIPTORS: u64 = 3;
/// Descriptors besides those of flows: maps, links, the store, listeners of other namespaces.
const OTHER_DESCRIPTORS: u64 = 1024;

/// Everything about this process.
pub(super) fn checks(machine: &Machine, config: &Config) -> Vec<Check> {
    vec![capabilities(machine), descriptors(machine, config.proxy.max_connections.get()), audit(machine)]
}

fn capabilities(machine: &Machine) -> Check {
    const NAME: &str = "capabilities";
    if !machine.privileged {
        return Check::skipped(NAME, "not root");
    }
    let held = effective(machine);
    let missing: Vec<&str> =
        CAPABILITIES.iter().filter(|(_, number)| held & (1 << number) == 0).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Check::ok(NAME, "all that are needed");
    }
    let advice = "run it on the host itself, or give the container or unit these capabilities";
    Check::fail(NAME, format!("missing {}", missing.join(", ")), advice)
}

/// The effective set, as a mask.
fn effective(machine: &Machine) -> u64 {
    let status = machine.text("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn descriptors(machine: &Machine, connections: u32) -> Check {
    const NAME: &str = "open-files";
    let needed = u64::from(connections) * FLOW_DESCRIPTORS + OTHER_DESCRIPTORS;
    // Who holds CAP_SYS_RESOURCE raises the limit at start.
    let raised = (effective(machine) & (1 << CAP_SYS_RESOURCE) != 0).then(|| machine.number("/proc/sys/fs/nr_open"));
    match raised.flatten().or_else(|| hard_limit(machine)) {
        Some(limit) if limit < needed => Check::warn(
            NAME,
            format!("{limit} at most, {needed} for proxy.max_connections = {connections}"),
            format!("raise the limit (LimitNOFILE={needed}), or lower max_connections"),
        ),
        Some(limit) => Check::ok(NAME, format!("{limit} at most, {needed} needed")),
        None => Check::warn(NAME, "unknown", "is /proc mounted?"),
    }
}

/// Of open files, for this process.
fn hard_limit(machine: &Machine) -> Option<u64> {
    let limits = machine.text("/proc/self/limits").ok()?;
    let rest = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match rest.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// The audit login uid says who logged in, whatever they became since.
fn audit(machine: &Machine) -> Check {
    const NAME: &str = "login-uid";
    match machine.text("/proc/self/loginuid").as_deref() {
        Ok("4294967295") => Check::ok(NAME, "kept by the kernel; unset for this process"),
        Ok(uid) => Check::ok(NAME, format!("kept by the kernel; {uid} for this process")),
        Err(_) => Check::warn(
            NAME,
            "not kept: people who share an account cannot be told apart",
            "use a kernel with CONFIG_AUDIT=y, and pam_loginuid for logins",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::host::tests::machine;
    use super::*;

    #[test]
    fn capabilities_are_all_or_fail() {
        for (mask, expected) in
            [("000001ffffffffff", State::Ok), ("00000000a80425fb", State::Fail), ("", State::Fail), ("zz", State::Fail)]
        {
            let (_dir, machine) = machine(&[("/proc/self/status", &format!("Name:\tx\nCapEff:\t{mask}\n"))]);
            assert_eq!(capabilities(&machine).state, expected, "{mask}");
        }
        let (_dir, mut machine) = machine(&[]);
        machine.privileged = false;
        assert_eq!(capabilities(&machine).state, State::Skipped);
    }

    #[test]
    fn enough_descriptors() {
        for (hard, expected) in [("524288", State::Ok), ("4096", State::Warn), ("unlimited", State::Ok)] {
            let line =
                format!("Limit  Soft Hard Units\nMax open files            1024                 {hard}  files\n");
            let (_dir, machine) = machine(&[("/proc/self/limits", &line)]);
            assert_eq!(descriptors(&machine, 10_000).state, expected, "{hard}");
        }
        let may_raise = [("/proc/self/status", "CapEff:\t000001ffffffffff\n"), ("/proc/sys/fs/nr_open", "1048576")];
        let (_dir, machine) = machine(&may_raise);
        assert_eq!(descriptors(&machine, 10_000).state, State::Ok);
    }

    #[test]
    fn login_uid() {
        let (_dir, with) = machine(&[("/proc/self/loginuid", "1000")]);
        assert_eq!(audit(&with).state, State::Ok);
        let (_dir, without) = machine(&[]);
        assert_eq!(audit(&without).state, State::Warn);
    }
}
