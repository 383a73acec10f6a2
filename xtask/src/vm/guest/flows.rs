//! Connections of units: whose are intercepted, and what is known of them.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::PAYLOAD;
use super::Guest;
use super::host::{self, expect, no_session, session, sessions, start_unit, tell, text};

pub(super) fn job(guest: &mut Guest) -> Result<String> {
    intercepted(&guest.fresh())
}

/// One connection of the job: it works, it looks direct, and it is recorded under the unit's name.
pub(super) fn intercepted(to: &str) -> Result<String> {
    let came = host::job(&format!("tcp={to}"))?;
    ensure!(came == format!("ok with {to}"), "{came}");
    let session = session(to)?;
    for (field, wanted) in [("unit", "job.service"), ("scope", "jobs"), ("outcome", "completed"), ("decision", "allow")]
    {
        expect(&session, field, wanted)?;
    }
    let workload = text(&session, "workload");
    ensure!(workload.ends_with("/host/guest/unit/job.service"), "workload is {workload}");
    Ok(workload.to_owned())
}

pub(super) fn identity(guest: &mut Guest) -> Result<String> {
    let to = guest.fresh();
    host::job(&format!("tcp={to}"))?;
    let session = session(&to)?;
    expect(&session, "exe", &format!("{PAYLOAD}/guest"))?;
    expect(&session, "attestation", "live")?;
    expect(&session, "slice", "system.slice")?;
    expect(&session, "cgroup", "/system.slice/job.service")?;
    let digest = tell(&["sha256sum", &format!("{PAYLOAD}/guest")])?;
    expect(&session, "exe_sha256", digest.split(' ').next().unwrap_or_default())?;
    ensure!(session.get("uid").and_then(Value::as_u64) == Some(0), "uid: {session}");
    ensure!(session.get("login_uid").is_none_or(Value::is_null), "login_uid: {session}");
    let parent = session.get("parents").and_then(|parents| parents.get(0)).context("no parent")?;
    ensure!(parent.get("pid").and_then(Value::as_u64) == Some(1), "parent: {parent}");
    Ok(format!("sha256 {}", text(&session, "exe_sha256")))
}

pub(super) fn ipv6(guest: &mut Guest) -> Result<String> {
    let to = guest.fresh6();
    let came = host::job(&format!("tcp={to}"))?;
    ensure!(came == format!("ok with {to}"), "{came}");
    let host = to.trim_start_matches('[').split(']').next().unwrap_or_default();
    expect(&session(host)?, "unit", "job.service")?;
    Ok(came)
}

/// A program that knows nothing of us, in a unit that fits a pattern.
pub(super) fn curl(guest: &mut Guest) -> Result<String> {
    let to = guest.fresh();
    let url = format!("http://{to}/");
    let run = ["systemd-run", "--quiet", "--wait", "--pipe", "--unit=curl-1.service"];
    let page = tell(&[&run[..], &["curl", "--silent", "--show-error", "--http1.0", &url]].concat())?;
    ensure!(page == "hello", "it got {page:?}");
    let session = session(&to)?;
    expect(&session, "unit", "curl-1.service")?;
    expect(&session, "exe", "/usr/bin/curl")?;
    Ok(text(&session, "workload").to_owned())
}

pub(super) fn slice(guest: &mut Guest) -> Result<String> {
    let to = guest.fresh();
    let attempt = format!("tcp={to}");
    let run = ["systemd-run", "--quiet", "--wait", "--pipe", "--slice=vmjobs.slice", "--unit=some.service"];
    tell(&[&run[..], &[&format!("{PAYLOAD}/guest"), "__vm", "probe", &attempt]].concat())?;
    let session = session(&to)?;
    expect(&session, "slice", "vmjobs.slice")?;
    expect(&session, "scope", "jobs")?;
    Ok(text(&session, "workload").to_owned())
}

/// Each start of a unit is another cgroup under the same name.
pub(super) fn restart(guest: &mut Guest) -> Result<String> {
    let to = guest.fresh();
    let attempt = format!("tcp={to}");
    for _ in 0..3 {
        let came = host::job(&attempt)?;
        ensure!(came == format!("ok with {to}"), "{came}");
    }
    let sessions = sessions(&to)?;
    ensure!(sessions.len() == 3, "{} of 3 were recorded", sessions.len());
    let mut cgroups: Vec<_> = sessions.iter().filter_map(|session| session.get("cgroup_id")?.as_u64()).collect();
    cgroups.dedup();
    ensure!(cgroups.len() == 3, "the cgroups were {cgroups:?}");
    Ok(format!("cgroups {cgroups:?}"))
}

/// Not a trace of us: neither in what works nor in the record.
pub(super) fn unmanaged(guest: &mut Guest) -> Result<String> {
    let to = guest.fresh();
    let (tcp, udp) = (format!("tcp={to}"), format!("udp={to}"));
    let attempts = [&tcp, &udp, "socket=2,3,1", "socket=17,3,3", "socket=40,1,0"];
    let came = start_unit("other.service", &attempts)?;
    let direct = format!("ok with {to}");
    ensure!(came.first() == Some(&direct), "{came:?}");
    ensure!(came.iter().skip(1).all(|result| result == "ok"), "{came:?}");
    no_session(&to)?;
    Ok(format!("{} kinds of sockets", came.len()))
}
