//! Ways past the proxy that a managed unit tries.

use std::fs;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::super::PAYLOAD;
use super::Guest;
use super::host::{self, event, expect, status, tell, text, until};
use super::site::DEVICE;

/// In a scope by its path.
const MANAGED: &str = "/sys/fs/cgroup/vmtest";

const NOT_PERMITTED: &str = "Operation not permitted (os error 1)";

pub(super) fn udp(guest: &mut Guest) -> Result<String> {
    refused(&format!("udp={}", guest.fresh()), "sendmsg4")
}

pub(super) fn ping(_: &mut Guest) -> Result<String> {
    refused("socket=2,3,1", "sock_create")
}

pub(super) fn packet(_: &mut Guest) -> Result<String> {
    refused("socket=17,3,3", "lsm")
}

pub(super) fn vsock(_: &mut Guest) -> Result<String> {
    refused("socket=40,1,0", "lsm")
}

/// A process that is gone before anybody can look at it is still one of that unit.
pub(super) fn in_passing(_: &mut Guest) -> Result<String> {
    let came = host::job("socket=10,3,58")?;
    ensure!(came == NOT_PERMITTED, "{came}");
    let event = event(&[("kind", "refused"), ("hook", "sock_create"), ("unit", "job.service"), ("protocol", "58")])?;
    Ok(text(&event, "workload").to_owned())
}

/// The job is refused, and the refusal is on the record under this hook.
fn refused(attempt: &str, hook: &str) -> Result<String> {
    let came = host::start_unit("job.service", &[attempt, "linger=1000"])?;
    ensure!(came.first().is_some_and(|came| came == NOT_PERMITTED), "{came:?}");
    let event = event(&[("kind", "refused"), ("hook", hook), ("unit", "job.service")])?;
    expect(&event, "scope", "jobs")?;
    Ok(format!("{}: {}", text(&event, "workload"), text(&event, "detail")))
}

/// A packet socket made before its process came into a scope: the process is ended.
pub(super) fn carried(_: &mut Guest) -> Result<String> {
    fs::create_dir_all(MANAGED)?;
    // A cgroup has to be seen before somebody is in it.
    sleep(Duration::from_secs(1));
    ensure!(sender(None)?.success(), "an unmanaged process could not send");
    let ended = sender(Some(MANAGED))?;
    ensure!(!ended.success(), "it was not ended");
    let event = event(&[("kind", "foreign-socket"), ("hook", "migrate"), ("scope", "moved")])?;
    Ok(text(&event, "detail").to_owned())
}

/// The same with nobody there to end it: its frames stop at the device.
pub(super) fn device_while_stopped(_: &mut Guest) -> Result<String> {
    let dropped = || Ok::<_, anyhow::Error>(status()?.pointer("/counters/device_dropped").and_then(Value::as_u64));
    let before = dropped()?.context("no such counter")?;
    tell(&["systemctl", "stop", "sallyport"])?;
    let free = sender(None)?;
    sender(Some(MANAGED))?;
    tell(&["systemctl", "start", "sallyport"])?;
    let after = dropped()?.context("no such counter")?;
    ensure!(free.success() && after == before + 1, "{} frames of two were dropped", after - before);
    Ok("of two frames the managed one".to_owned())
}

/// Sends a frame through a packet socket, after entering a cgroup; how the sender ended.
fn sender(cgroup: Option<&str>) -> Result<ExitStatus> {
    let go = format!("{PAYLOAD}/go");
    if fs::exists(&go)? {
        fs::remove_file(&go)?;
    }
    let wait = format!("SYSTEM:while [ ! -e {go} ]; do sleep 0.1; done; head -c 100 /dev/zero");
    let mut socat = Command::new("socat");
    let mut socat = socat.args(["-u", &wait, &format!("INTERFACE:{DEVICE}")]).stdin(Stdio::null()).spawn()?;
    until("the packet socket is there", || {
        Ok((fs::read_to_string("/proc/net/packet")?.lines().count() > 1).then_some(()))
    })?;
    if let Some(cgroup) = cgroup {
        fs::write(format!("{cgroup}/cgroup.procs"), socat.id().to_string())?;
        // It may be ended for that.
        sleep(Duration::from_secs(2));
    }
    fs::write(go, "")?;
    for _ in 0..100 {
        if let Some(ended) = socat.try_wait()? {
            return Ok(ended);
        }
        sleep(Duration::from_millis(100));
    }
    socat.kill()?;
    bail!("socat did not end")
}
