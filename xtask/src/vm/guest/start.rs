//! From the boot to a daemon that manages somebody.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::super::PAYLOAD;
use super::Guest;
use super::host::{active, ask, property, status, tell, text, until};

/// What must be attached on this kernel, where `bpf` is among the security modules.
const HOOKS: [&str; 17] = [
    "bind4",
    "bind6",
    "connect4",
    "connect6",
    "egress",
    "exec",
    "exit",
    "getpeername4",
    "getpeername6",
    "lsm_socket_create",
    "migrate",
    "sendmsg4",
    "sendmsg6",
    "setsockopt",
    "sock_create",
    "socket_event",
    "lsm_socket_connect",
];

const CONFIGURATION: &str = r#"
[scope.jobs]
unit = ["job.service", "curl-*.service"]
slice = "vmjobs.slice"
[scope.open]
unit = "open.service"
fail = "open"
[scope.people]
user = "alice"
[scope.moved]
cgroup = "/vmtest"
"#;

/// Long enough to look at what happens meanwhile.
const SLOW: &str = "[Service]\nRestartSec=8s\n";

pub(super) fn boot(_: &mut Guest) -> Result<String> {
    let (kernel, modules) = (tell(&["uname", "-r"])?, fs::read_to_string("/sys/kernel/security/lsm")?);
    ensure!(kernel.starts_with("6.1."), "this is {kernel}");
    ensure!(modules.split(',').any(|name| name.trim() == "bpf"), "active modules: {modules}");
    ensure!(fs::read_to_string("/proc/1/comm")?.trim() == "systemd");
    Ok(format!("{kernel}; {modules}"))
}

pub(super) fn package(_: &mut Guest) -> Result<String> {
    let slow = "/run/systemd/system/sallyport.service.d";
    fs::create_dir_all(slow)?;
    fs::write(format!("{slow}/slow.conf"), SLOW)?;
    tell(&["dpkg", "--install", &format!("{PAYLOAD}/sallyport.deb")])?;
    let group = tell(&["stat", "--format=%U:%G %a", "/var/lib/sallyport"])?;
    ensure!(group == "root:sallyport-audit 750", "the state directory is {group}");
    Ok(format!("{}, {}", tell(&["sallyport", "--version"])?, tell(&["systemctl", "is-enabled", "sallyport"])?))
}

pub(super) fn unit(_: &mut Guest) -> Result<String> {
    active()?;
    for (name, wanted) in [("Type", "notify"), ("NRestarts", "0"), ("NoNewPrivileges", "yes"), ("Result", "success")] {
        let found = property(name)?;
        ensure!(found == wanted, "{name} is {found}");
    }
    let took = property("ActiveEnterTimestampMonotonic")?.parse::<f64>()?
        - property("ExecMainStartTimestampMonotonic")?.parse::<f64>()?;
    Ok(format!("ready after {:.1} s, {} kB", took / 1e6, property("MemoryCurrent")?.parse::<u64>().unwrap_or(0) / 1024))
}

pub(super) fn doctor(_: &mut Guest) -> Result<String> {
    let said = ask(&["sallyport", "doctor"])?;
    ensure!(said.code == 0, "it ended with {}: {}", said.code, said.text);
    let warnings: Vec<_> = said.text.lines().filter(|line| line.contains("warn")).collect();
    Ok(warnings.join("; "))
}

pub(super) fn programs(_: &mut Guest) -> Result<String> {
    let status = status()?;
    let attached: Vec<_> = status.get("hooks").and_then(Value::as_array).into_iter().flatten().collect();
    let missing: Vec<_> = HOOKS.iter().filter(|hook| !attached.iter().any(|it| it.as_str() == Some(hook))).collect();
    ensure!(missing.is_empty(), "missing {missing:?} of {attached:?}");
    // One program for the records of older kernels, one for those of newer ones.
    let forks = attached.iter().filter_map(|hook| hook.as_str()).filter(|hook| hook.starts_with("fork")).count();
    ensure!(forks == 1, "{forks} programs for forks");
    Ok(format!("{} attached", attached.len()))
}

pub(super) fn reload(_: &mut Guest) -> Result<String> {
    fs::write("/etc/sallyport/sallyport.toml", CONFIGURATION)?;
    tell(&["systemctl", "reload", "sallyport"])?;
    let names = until("the scopes are known", || {
        let status = status()?;
        let scopes = status.get("scopes").and_then(Value::as_array).cloned().unwrap_or_default();
        let names: Vec<_> = scopes.iter().map(|scope| text(scope, "name").to_owned()).collect();
        Ok((names.len() == 4).then_some(names))
    })?;
    active()?;
    ensure!(property("NRestarts")? == "0", "it restarted");
    Ok(names.join(", "))
}

/// What the daemon warned about since the start; a setting of its sandbox that is too tight would show here.
pub(super) fn sandbox(_: &mut Guest) -> Result<String> {
    let unit = "_SYSTEMD_UNIT=sallyport.service";
    let warnings = tell(&["journalctl", "--no-pager", "--output=cat", "--priority=warning", "--quiet", unit])?;
    ensure!(warnings.is_empty(), "{warnings}");
    let exposure = ask(&["systemd-analyze", "security", "--no-pager", "sallyport.service"])?;
    Ok(exposure.text.lines().last().unwrap_or_default().to_owned())
}
