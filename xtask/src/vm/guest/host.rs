//! The machine's own commands, its units, and what the daemon recorded.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::super::PAYLOAD;

/// What "soon" is on an emulated processor.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How a command ended, and all it said.
pub(super) struct Said {
    pub code: i32,
    pub text: String,
}

/// Runs a command for a minute at most.
pub(super) fn ask(words: &[&str]) -> Result<Said> {
    let mut command = Command::new("timeout");
    command.arg("60").args(words).stdin(Stdio::null()).env("LC_ALL", "C.UTF-8");
    let done = command.output()?;
    let text = [done.stdout, done.stderr].concat();
    Ok(Said { code: done.status.code().unwrap_or(-1), text: String::from_utf8_lossy(&text).trim().to_owned() })
}

/// Runs a command to success.
pub(super) fn tell(words: &[&str]) -> Result<String> {
    let said = ask(words)?;
    ensure!(said.code == 0, "`{}` ended with {}: {}", words.join(" "), said.code, said.text);
    Ok(said.text)
}

/// Runs a whole line of them.
pub(super) fn tell_all(lines: &str) -> Result<()> {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        tell(&line.split_whitespace().collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Looks again and again until there is something.
pub(super) fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        sleep(Duration::from_millis(100));
    }
}

/// Waits until the daemon says that it is ready.
pub(super) fn active() -> Result<()> {
    until("the unit is active", || Ok((property("ActiveState")? == "active").then_some(()))).with_context(|| {
        ask(&["journalctl", "-u", "sallyport", "-n", "5", "-o", "cat", "--no-pager"])
            .map_or_else(|e| e.to_string(), |said| said.text)
    })
}

/// A property of the daemon's unit.
pub(super) fn property(name: &str) -> Result<String> {
    tell(&["systemctl", "show", "sallyport.service", "--value", "-p", name])
}

/// Makes a service that runs the attempts it is started with.
pub(super) fn make_unit(name: &str) -> Result<()> {
    let unit = format!(
        "[Service]\nType=oneshot\nEnvironmentFile={PAYLOAD}/{name}.env\nExecStart={PAYLOAD}/guest __vm probe $ATTEMPTS\n\
         StandardOutput=truncate:{PAYLOAD}/{name}.out\n"
    );
    Ok(fs::write(format!("/etc/systemd/system/{name}"), unit)?)
}

/// Starts that service anew, and returns what came of each attempt.
pub(super) fn start_unit(name: &str, attempts: &[&str]) -> Result<Vec<String>> {
    fs::write(format!("{PAYLOAD}/{name}.env"), format!("ATTEMPTS={}\n", attempts.join(" ")))?;
    tell(&["systemctl", "restart", name])?;
    results(&fs::read_to_string(format!("{PAYLOAD}/{name}.out"))?, attempts)
}

/// What a probe printed, by attempt.
pub(super) fn results(printed: &str, attempts: &[&str]) -> Result<Vec<String>> {
    let results: Vec<_> = attempts
        .iter()
        .map_while(|it| printed.lines().find_map(|line| line.strip_prefix(it)?.strip_prefix(' ')))
        .collect();
    ensure!(results.len() == attempts.len(), "of {attempts:?} came {printed:?}");
    Ok(results.into_iter().map(str::to_owned).collect())
}

/// What came of one attempt in the service that is in scope.
pub(super) fn job(attempt: &str) -> Result<String> {
    start_unit("job.service", &[attempt])?.pop().context("no result")
}

/// The same in a service whose scope fails open.
pub(super) fn open(attempt: &str) -> Result<String> {
    start_unit("open.service", &[attempt])?.pop().context("no result")
}

/// The same in a service that is in no scope.
pub(super) fn other(attempt: &str) -> Result<String> {
    start_unit("other.service", &[attempt])?.pop().context("no result")
}

/// What `sallyport --json …` prints, a value a line.
pub(super) fn sallyport(words: &[&str]) -> Result<Vec<Value>> {
    let printed = tell(&[&["sallyport", "--json"], words].concat())?;
    Ok(serde_json::Deserializer::from_str(&printed).into_iter().collect::<Result<_, _>>()?)
}

/// Everything recorded of finished connections to an address, as soon as there is one.
pub(super) fn sessions(address: &str) -> Result<Vec<Value>> {
    let finished = |rows: &[Value]| !rows.is_empty() && rows.iter().all(|row| text(row, "outcome") != "open");
    let rows = until(&format!("a record of {address}"), || {
        Ok(Some(sallyport(&["sessions", "list", "--target", address])?).filter(|rows| finished(rows)))
    })?;
    rows.iter().map(|row| sallyport(&["sessions", "show", text(row, "id")])?.pop().context("nothing to show")).collect()
}

/// The one connection recorded to an address.
pub(super) fn session(address: &str) -> Result<Value> {
    let mut rows = sessions(address)?;
    ensure!(rows.len() == 1, "{} records of {address}", rows.len());
    rows.pop().context("no record")
}

/// Fails when anything was recorded of connections to an address.
pub(super) fn no_session(address: &str) -> Result<()> {
    let rows = sallyport(&["sessions", "list", "--target", address])?;
    ensure!(rows.is_empty(), "recorded: {rows:?}");
    Ok(())
}

/// An event with these values, as soon as there is one.
pub(super) fn event(wanted: &[(&str, &str)]) -> Result<Value> {
    let is = |value: &Value, text: &str| {
        value.as_str() == Some(text) || value.as_u64().is_some_and(|number| number.to_string() == text)
    };
    let fits = |event: &Value| wanted.iter().all(|(field, text)| event.get(field).is_some_and(|it| is(it, text)));
    let mut all = Vec::new();
    let found = until("", || {
        all = sallyport(&["sessions", "list", "--events", "--limit", "10000"])?;
        Ok(all.iter().find(|event| fits(event)).cloned())
    });
    let short = |event: &Value| ["kind", "hook", "unit"].map(|field| text(event, field)).join(" ");
    let kinds: BTreeSet<_> = all.iter().map(short).collect();
    found.with_context(|| format!("no event {wanted:?}, only {kinds:?}"))
}

/// The daemon's account of itself.
pub(super) fn status() -> Result<Value> {
    sallyport(&["status"])?.pop().context("no status")
}

/// A text, or nothing.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Fails unless a value has this field with this text.
pub(super) fn expect(value: &Value, field: &str, wanted: &str) -> Result<()> {
    let found = text(value, field);
    if found != wanted {
        bail!("{field} is {found:?}, not {wanted:?}: {value}");
    }
    Ok(())
}
