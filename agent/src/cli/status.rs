//! `sallyport status`: the daemon as it is, or what it left when it is gone.

use std::time::Duration;

use jiff::Timestamp;

use super::exit::{Exit, Failure};
use super::screen::{Screen, Tone, printable};
use super::table::{self, Cell, Column};
use super::when::When;
use crate::app;
use crate::config::{Config, Fail, Mode, in_words};
use crate::control::{Client, ClientError, PinnedState, Request, Response, ScopeStatus, Status};

/// Asks the daemon and prints what it says.
pub(super) fn show(config: &Config, screen: &mut Screen) -> Result<Exit, Failure> {
    let response = match Client::connect(&config.runtime_dir) {
        Ok(mut client) => client.ask(&Request::Status)?,
        Err(error @ ClientError::NobodyListens(_)) => return gone(config, &error, screen),
        Err(error) => return Err(error.into()),
    };
    match response {
        Response::Status(status) if screen.is_json() => screen.json(&Running { running: true, status: &status })?,
        Response::Status(status) => running(&status, screen)?,
        other @ (Response::Bypassed { .. }
        | Response::PoliciesReloaded { .. }
        | Response::Approvals(_)
        | Response::Refused { .. }
        | Response::Forbidden { .. }
        | Response::Malformed { .. }) => {
            return Err(unexpected(other));
        }
    }
    Ok(Exit::OK)
}

/// What an answer means that is not the one asked for.
pub(super) fn unexpected(response: Response) -> Failure {
    match response {
        Response::Forbidden { message } => Failure::new(Exit::NO_PERMISSION, format!("the daemon refused: {message}")),
        Response::Refused { message } => Failure::new(Exit::UNAVAILABLE, format!("the daemon refused: {message}")),
        Response::Malformed { message } => {
            Failure::new(Exit::UNAVAILABLE, format!("the daemon did not understand (another version?): {message}"))
        }
        Response::Status(_)
        | Response::Bypassed { .. }
        | Response::PoliciesReloaded { .. }
        | Response::Approvals(_) => {
            Failure::new(Exit::UNAVAILABLE, "the daemon answered something else than was asked")
        }
    }
}

#[derive(serde::Serialize)]
struct Running<'a> {
    running: bool,
    #[serde(flatten)]
    status: &'a Status,
}

#[derive(serde::Serialize)]
struct Gone<'a> {
    running: bool,
    pinned: &'a PinnedState,
}

fn gone(config: &Config, error: &ClientError, screen: &mut Screen) -> Result<Exit, Failure> {
    let pinned = app::pinned_state(config);
    if screen.is_json() {
        screen.json(&Gone { running: false, pinned: &pinned })?;
        return Ok(Exit::UNAVAILABLE);
    }
    let headline = screen.tinted("not running", Tone::Bad);
    screen.line(&format!("sallyport is {headline}: {error}"))?;
    if pinned.pins.is_empty() {
        screen.line("Nothing is pinned in the kernel; no process is held back.")?;
        return Ok(Exit::UNAVAILABLE);
    }
    screen.line(&format!("Still in the kernel: {}", pinned.pins.join(", ")))?;
    screen.line("Processes of a closed scope cannot connect until the daemon runs again.")?;
    if !pinned.scopes.is_empty() {
        screen.line("")?;
        scopes(&pinned.scopes, screen)?;
    }
    screen.line("")?;
    screen.line("Start it:        systemctl start sallyport")?;
    screen.line("Open a scope:    sallyport bypass --scope NAME --for 1h --reason TEXT")?;
    screen.line("Take it all out: sallyport bypass --detach --reason TEXT")?;
    Ok(Exit::UNAVAILABLE)
}

fn running(status: &Status, screen: &mut Screen) -> Result<(), Failure> {
    let headline = screen.tinted("running", Tone::Good);
    let uptime = in_words(Duration::from_secs(status.uptime_seconds));
    screen.line(&format!("sallyport {} is {headline}: process {}, for {uptime}", status.version, status.pid))?;
    screen.line(&format!("Listening on port {}; {} live flows", status.listener_port, status.live_flows))?;
    screen.line(&format!("Attached: {}", status.hooks.join(", ")))?;
    screen.line("")?;
    scopes(&status.scopes, screen)?;
    let counted: Vec<_> = status.counters.iter().filter(|(_, count)| **count > 0).collect();
    if !counted.is_empty() {
        screen.line("")?;
        let rows = counted.iter().map(|(name, count)| [name.replace('_', " ").into(), count.to_string().into()]);
        table::print(screen, [Column::Left("COUNTER"), Column::Right("COUNT")], rows.collect())?;
    }
    if status.pending_approvals > 0 {
        screen.line("")?;
        let waiting = format!("{} requests wait for approval: sallyport approvals list", status.pending_approvals);
        screen.line(&screen.tinted(&waiting, Tone::Warn))?;
    }
    for glass in &status.break_glass {
        screen.line("")?;
        let (until, by) = (local_time(glass.until), &glass.by);
        let text = format!("BREAK-GLASS for {} until {until}, by {by}: {}", glass.whom, glass.reason);
        screen.line(&screen.tinted(&printable(&text), Tone::Bad))?;
    }
    if status.lost_events > 0 {
        screen.line("")?;
        let warning = format!("{} kernel events were lost", status.lost_events);
        screen.line(&screen.tinted(&warning, Tone::Warn))?;
    }
    Ok(())
}

/// A table of scopes, used for the living and the dead.
fn scopes(scopes: &[ScopeStatus], screen: &mut Screen) -> Result<(), Failure> {
    if scopes.is_empty() {
        screen.line("No scope is configured: no process is managed.")?;
        return Ok(());
    }
    let columns = [Column::Left("SCOPE"), Column::Left("MODE"), Column::Left("FAIL"), Column::Left("OPEN UNTIL")];
    let rows = scopes.iter().map(|scope| {
        [
            scope.name.as_str().into(),
            match scope.mode {
                Mode::Enforce => "enforce".into(),
                Mode::Observe => Cell::new("observe", Tone::Warn),
            },
            match scope.fail {
                Fail::Closed => "closed".into(),
                Fail::Open => Cell::new("open", Tone::Warn),
            },
            match scope.open_until {
                Some(until) => Cell::new(local_time(until), Tone::Bad),
                None => Cell::new("-", Tone::Dim),
            },
        ]
    });
    Ok(table::print(screen, columns, rows.collect())?)
}

/// Seconds since 1970 on this host's clock.
pub(super) fn local_time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), When::shown)
}

#[cfg(test)]
mod tests {
    use super::super::screen::tests::Paper;
    use super::*;
    use crate::config::ScopeName;

    fn sample() -> Status {
        Status {
            version: "0.1.0".into(),
            pid: 42,
            uptime_seconds: 3_661,
            listener_port: 20_000,
            hooks: vec!["connect4".into(), "egress".into()],
            scopes: vec![ScopeStatus {
                name: ScopeName::new("jobs").unwrap(),
                mode: Mode::Observe,
                fail: Fail::Closed,
                open_until: None,
            }],
            live_flows: 3,
            counters: [("diverted".to_owned(), 12), ("udp_refused".to_owned(), 0)].into(),
            lost_events: 1,
            pending_approvals: 0,
            break_glass: Vec::new(),
        }
    }

    #[test]
    fn people_see_what_matters() {
        let paper = Paper::default();
        let mut screen = paper.screen(false, None);
        running(&sample(), &mut screen).unwrap();
        screen.flush().unwrap();
        let expected = "\
sallyport 0.1.0 is running: process 42, for 1h1m1s
Listening on port 20000; 3 live flows
Attached: connect4, egress

SCOPE  MODE     FAIL    OPEN UNTIL
jobs   observe  closed  -

COUNTER   COUNT
diverted     12

1 kernel events were lost
";
        assert_eq!(paper.text(), expected);
    }
}
