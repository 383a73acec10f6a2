//! What holds when the daemon is killed, stopped, bypassed, replaced or removed.

use std::fs;

use anyhow::{Result, ensure};

use super::super::PAYLOAD;
use super::Guest;
use super::flows::intercepted;
use super::host::{active, ask, event, job, no_session, open, other, property, tell};
use super::probe;
use super::site::DEVICE;

const PINS: &str = "/sys/fs/bpf/sallyport";

/// The job cannot connect, and the others can. Returns what the job was told.
fn closed(guest: &mut Guest) -> Result<String> {
    let to = guest.fresh();
    let came = job(&format!("tcp={to}"))?;
    ensure!(!came.starts_with("ok"), "the job got through: {came}");
    let packet = job("socket=17,3,3")?;
    ensure!(packet != "ok", "the job got a packet socket");
    // As somebody who was there before.
    direct(guest, |attempt| Ok(probe::tcp(attempt.trim_start_matches("tcp="))?))?;
    Ok(came)
}

/// A connection that works and is not recorded.
fn direct(guest: &mut Guest, unit: fn(&str) -> Result<String>) -> Result<()> {
    let to = guest.fresh();
    let came = unit(&format!("tcp={to}"))?;
    ensure!(came == format!("ok with {to}"), "{came}");
    no_session(&to)
}

pub(super) fn bypass(guest: &mut Guest) -> Result<String> {
    let said = tell(&["sallyport", "bypass", "--scope", "jobs", "--for", "10m", "--reason", "maintenance"])?;
    direct(guest, job)?;
    event(&[("kind", "bypass-opened"), ("scope", "jobs")])?;
    Ok(said)
}

pub(super) fn closed_again(guest: &mut Guest) -> Result<String> {
    tell(&["sallyport", "bypass", "--scope", "jobs", "--close"])?;
    event(&[("kind", "bypass-closed"), ("scope", "jobs")])?;
    intercepted(&guest.fresh())
}

/// The unit waits a while before it starts again: see `start::package`.
pub(super) fn kill(guest: &mut Guest) -> Result<String> {
    tell(&["systemctl", "kill", "--signal=KILL", "--kill-whom=main", "sallyport"])?;
    let came = closed(guest)?;
    let state = property("SubState")?;
    ensure!(state == "auto-restart", "too late, the daemon is {state}");
    Ok(came)
}

pub(super) fn back(guest: &mut Guest) -> Result<String> {
    active()?;
    let workload = intercepted(&guest.fresh())?;
    event(&[("kind", "adopted")])?;
    ensure!(property("NRestarts")? == "1", "it restarted more than once");
    Ok(workload)
}

/// The same package again stands for the next one.
pub(super) fn upgrade(guest: &mut Guest) -> Result<String> {
    let before = property("MainPID")?;
    tell(&["dpkg", "--force-confold", "--install", &format!("{PAYLOAD}/sallyport.deb")])?;
    active()?;
    ensure!(property("MainPID")? != before, "the old one still runs");
    intercepted(&guest.fresh())
}

pub(super) fn stop(guest: &mut Guest) -> Result<String> {
    tell(&["systemctl", "stop", "sallyport"])?;
    let came = closed(guest)?;
    let status = ask(&["sallyport", "status"])?;
    ensure!(status.code == 69 && status.text.contains("Still in the kernel"), "{}: {}", status.code, status.text);
    Ok(came)
}

/// A unit that may connect when nobody guards the door, started while nobody does.
pub(super) fn open_while_stopped(guest: &mut Guest) -> Result<String> {
    direct(guest, open)?;
    Ok(String::new())
}

/// A unit that is started while there is no daemon to say what it is.
pub(super) fn unmanaged_while_stopped(guest: &mut Guest) -> Result<String> {
    direct(guest, other)?;
    Ok(String::new())
}

pub(super) fn bypass_while_stopped(guest: &mut Guest) -> Result<String> {
    tell(&["sallyport", "bypass", "--scope", "jobs", "--for", "10m", "--reason", "maintenance"])?;
    let opened = direct(guest, job);
    tell(&["sallyport", "bypass", "--scope", "jobs", "--close"])?;
    opened?;
    closed(guest)
}

pub(super) fn start(guest: &mut Guest) -> Result<String> {
    tell(&["systemctl", "start", "sallyport"])?;
    intercepted(&guest.fresh())
}

pub(super) fn detach(guest: &mut Guest) -> Result<String> {
    tell(&["systemctl", "stop", "sallyport"])?;
    let said = tell(&["sallyport", "bypass", "--detach", "--reason", "maintenance"])?;
    gone()?;
    direct(guest, job)?;
    ensure!(job("socket=17,3,3")? == "ok", "the job gets no packet socket");
    event(&[("kind", "detached")])?;
    Ok(said.lines().next().unwrap_or_default().to_owned())
}

/// Nothing may stay in the kernel that only the removed program could take out. The record stays.
pub(super) fn removal(guest: &mut Guest) -> Result<String> {
    tell(&["dpkg", "--remove", "sallyport"])?;
    gone()?;
    let to = guest.fresh();
    let came = job(&format!("tcp={to}"))?;
    ensure!(came == format!("ok with {to}"), "{came}");
    ensure!(fs::exists("/var/lib/sallyport/sessions")?, "the record is gone");
    tell(&["dpkg", "--purge", "sallyport"])?;
    let kept = fs::exists("/var/lib/sallyport/sessions")?;
    Ok(format!("after purging, the record is {}", if kept { "still there" } else { "gone" }))
}

/// Neither pins nor programs at the device.
fn gone() -> Result<()> {
    let pins = tell(&["find", "/sys/fs/bpf", "-path", &format!("{PINS}/*"), "-not", "-type", "d"])?;
    ensure!(pins.is_empty(), "pinned: {pins}");
    let filters = tell(&["tc", "filter", "show", "dev", DEVICE, "egress"])?;
    ensure!(filters.is_empty(), "at the device: {filters}");
    Ok(())
}
