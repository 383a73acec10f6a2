//! People: known by the login that the kernel remembers, whoever they have become since.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::PAYLOAD;
use super::Guest;
use super::host::{expect, results, session, tell, text};

/// Starts something in a login session of its own, through the same modules as `login`.
const LOGIN: [&str; 6] = ["systemd-run", "--quiet", "--wait", "--pipe", "--uid=alice", "--property=PAMName=login"];

/// Runs a command that ends in a probe, and returns what was recorded of its connection.
fn probed(guest: &mut Guest, before: &[&str]) -> Result<Value> {
    let to = guest.fresh();
    let attempt = format!("tcp={to}");
    let printed = tell(&[before, &[&format!("{PAYLOAD}/guest"), "__vm", "probe", &attempt]].concat())?;
    let came = results(&printed, &[&attempt])?;
    ensure!(came.first() == Some(&format!("ok with {to}")), "{came:?}");
    let session = session(&to)?;
    expect(&session, "scope", "people")?;
    Ok(session)
}

/// Fails unless the login is alice's, and returns the audit session.
fn logged_in(session: &Value) -> Result<String> {
    let alice = tell(&["id", "-u", "alice"])?.parse::<u64>()?;
    expect(session, "login_user", "alice")?;
    ensure!(session.get("login_uid").and_then(Value::as_u64) == Some(alice), "login_uid: {session}");
    let audit = session.get("login_session").and_then(Value::as_u64).context("no audit session")?;
    Ok(format!("audit session {audit}, {}, {}", text(session, "cgroup"), text(session, "workload")))
}

pub(super) fn login(guest: &mut Guest) -> Result<String> {
    let session = probed(guest, &LOGIN)?;
    expect(&session, "user", "alice")?;
    logged_in(&session)
}

/// Root by now, and still alice.
pub(super) fn sudo(guest: &mut Guest) -> Result<String> {
    let rule = "/etc/sudoers.d/alice";
    fs::write(rule, "alice ALL=(ALL) NOPASSWD: ALL\n")?;
    fs::set_permissions(rule, fs::Permissions::from_mode(0o440))?;
    let session = probed(guest, &[&LOGIN[..], &["sudo", "--non-interactive"]].concat())?;
    expect(&session, "user", "root")?;
    logged_in(&session)
}

/// Nobody logged in here: root became alice.
pub(super) fn su(guest: &mut Guest) -> Result<String> {
    let session = probed(guest, &["setpriv", "--reuid=alice", "--regid=alice", "--init-groups"])?;
    expect(&session, "user", "alice")?;
    ensure!(session.get("login_uid").is_none_or(Value::is_null), "login_uid: {session}");
    Ok(text(&session, "workload").to_owned())
}
