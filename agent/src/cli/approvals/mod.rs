//! `sallyport approvals`: what waits for people, and their answers, over the approvers' socket.

pub(super) mod args;

use std::collections::HashMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use self::args::{Approvals, Approve, BreakGlass, List};
use super::exit::{Exit, Failure};
use super::screen::{Screen, Tone, printable};
use super::status::{local_time, unexpected};
use super::table::{self, Cell, Column};
use crate::approve::{Effect, Extent};
use crate::control::{
    ApprovalLine, ApprovalShown, ApprovalsRequest, ApprovalsResponse, Client, GlassLine, Request, Response,
};
use crate::record::ApprovalState;

/// How often the daemon is asked while following.
const EVERY: Duration = Duration::from_millis(300);
/// Letters of a name that are shown in lists; names are random, so these tell them apart.
const SHORT: usize = 10;

/// Carries a command out.
pub(super) fn run(runtime_dir: &Path, command: &Approvals, screen: &mut Screen) -> Result<Exit, Failure> {
    match command {
        Approvals::List(args) if args.follow => follow(runtime_dir, args, screen)?,
        Approvals::List(args) => list(runtime_dir, args, screen)?,
        Approvals::Show { id } => show(runtime_dir, id, screen)?,
        Approvals::Approve(args) => approve(runtime_dir, args, screen)?,
        Approvals::Deny { id, reason } => {
            let request = ApprovalsRequest::Deny { id: id.clone(), reason: reason.clone() };
            decide(runtime_dir, request, screen)?;
        }
        Approvals::BreakGlass(args) => break_glass(runtime_dir, args, screen)?,
    }
    Ok(Exit::OK)
}

fn ask(runtime_dir: &Path, request: ApprovalsRequest) -> Result<ApprovalsResponse, Failure> {
    match Client::connect_to_approvals(runtime_dir)?.ask(&Request::Approvals(request))? {
        Response::Approvals(response) => Ok(*response),
        other @ (Response::Status(_)
        | Response::Bypassed { .. }
        | Response::PoliciesReloaded { .. }
        | Response::Refused { .. }
        | Response::Forbidden { .. }
        | Response::Malformed { .. }) => Err(unexpected(other)),
    }
}

fn strange() -> Failure {
    Failure::new(Exit::UNAVAILABLE, "the daemon answered something else than was asked")
}

/// Everything, page by page.
fn fetch(runtime_dir: &Path, settled: bool) -> Result<(Vec<ApprovalLine>, Vec<GlassLine>), Failure> {
    let mut all: Vec<ApprovalLine> = Vec::new();
    loop {
        let after = all.last().map(|line| line.id.clone());
        let response = ask(runtime_dir, ApprovalsRequest::List { after, settled })?;
        let ApprovalsResponse::Page { approvals, more, break_glass } = response else { return Err(strange()) };
        let done = !more || approvals.is_empty();
        all.extend(approvals);
        if done {
            return Ok((all, break_glass));
        }
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    approvals: &'a [ApprovalLine],
    break_glass: &'a [GlassLine],
}

fn list(runtime_dir: &Path, args: &List, screen: &mut Screen) -> Result<(), Failure> {
    let (approvals, break_glass) = fetch(runtime_dir, args.all)?;
    if screen.is_json() {
        return Ok(screen.json(&Listed { approvals: &approvals, break_glass: &break_glass })?);
    }
    for glass in &break_glass {
        told_glass(glass, screen)?;
    }
    if approvals.is_empty() {
        return Ok(screen.line("Nothing waits for approval.")?);
    }
    let columns = [
        Column::Left("ID"),
        Column::Left("STATE"),
        Column::Left("ASKED"),
        Column::Left("UNTIL"),
        Column::Cut("WHO"),
        Column::Cut("WHAT"),
        Column::Right("WAITING"),
        Column::Cut("NEEDS"),
        Column::Cut("BY"),
    ];
    let rows = approvals.iter().map(|line| {
        [
            short(&line.id).into(),
            Cell::new(line.state.as_str(), tone(line.state)),
            local_time(line.asked).into(),
            line.until.map_or_else(|| Cell::new("-", Tone::Dim), |until| local_time(until).into()),
            who(line).into(),
            format!("{} {}", line.kind, line.target).into(),
            line.waiting.to_string().into(),
            line.needs.as_str().into(),
            line.by.join(", ").into(),
        ]
    });
    Ok(table::print(screen, columns, rows.collect())?)
}

/// Prints every request as it begins to wait and as it is settled, until it is interrupted.
fn follow(runtime_dir: &Path, args: &List, screen: &mut Screen) -> Result<(), Failure> {
    let mut seen: HashMap<String, (ApprovalState, usize)> = HashMap::new();
    let mut first = true;
    loop {
        let (all, _) = fetch(runtime_dir, true)?;
        for line in &all {
            let stands = (line.state, line.by.len());
            let news = seen.insert(line.id.clone(), stands) != Some(stands);
            let old = first && line.state != ApprovalState::Pending && !args.all;
            if news && !old {
                told(line, screen)?;
            }
        }
        // What the daemon has forgotten needs no place here either.
        seen.retain(|id, _| all.iter().any(|line| line.id == *id));
        first = false;
        screen.show()?;
        thread::sleep(EVERY);
    }
}

fn told(line: &ApprovalLine, screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return Ok(screen.json(line)?);
    }
    let state = screen.tinted(line.state.as_str(), tone(line.state));
    let by = if line.by.is_empty() { String::new() } else { format!(" by {}", line.by.join(", ")) };
    let why = line.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let rest = match line.state {
        ApprovalState::Pending => format!("{} to {} {}; needs {}{by}", who(line), line.kind, line.target, line.needs),
        ApprovalState::Approved | ApprovalState::Denied | ApprovalState::Expired | ApprovalState::Withdrawn => {
            format!("{} to {} {}{by}{why}", who(line), line.kind, line.target)
        }
    };
    Ok(screen.line(&format!("{}  {state}  {}", short(&line.id), printable(&rest)))?)
}

fn show(runtime_dir: &Path, id: &str, screen: &mut Screen) -> Result<(), Failure> {
    let response = ask(runtime_dir, ApprovalsRequest::Show { id: id.to_owned() })?;
    let ApprovalsResponse::Shown(shown) = response else { return Err(strange()) };
    if screen.is_json() {
        return Ok(screen.json(&shown)?);
    }
    let ApprovalShown { line, about, approval: _, digest } = *shown;
    screen.line(&format!("Approval {}", line.id))?;
    section(
        screen,
        "What is asked",
        &[
            ("kind", Some(about.kind)),
            ("target", Some(about.target)),
            ("address", Some(format!("{} ({})", about.address, about.protocol))),
            ("statement", about.statement),
            ("role", about.role),
            ("touches", about.touches.map(|touches| touches.to_string())),
            ("digest", Some(digest)),
        ],
    )?;
    let user = about.user.map_or_else(|| about.uid.to_string(), |user| format!("{user} ({})", about.uid));
    let login = about.login_uid.map(|uid| about.login_user.map_or(uid.to_string(), |user| format!("{user} ({uid})")));
    section(
        screen,
        "Who asks",
        &[
            ("in short", Some(about.requester)),
            ("workload", Some(about.workload)),
            ("person", about.person),
            ("login", login),
            ("user", Some(user)),
            ("unit", about.unit),
            ("container", about.container),
            ("executable", about.executable),
            ("sha256", about.sha256),
        ],
    )?;
    let by = (!line.by.is_empty()).then(|| line.by.join(", "));
    section(
        screen,
        "How it stands",
        &[
            ("state", Some(line.state.as_str().to_owned())),
            ("needs", Some(line.needs)),
            ("by", by),
            ("why", line.why),
            ("waiting", Some(line.waiting.to_string())),
            ("asked", Some(local_time(line.asked))),
            ("until", line.until.map(local_time)),
        ],
    )
}

fn section(screen: &mut Screen, title: &str, fields: &[(&str, Option<String>)]) -> Result<(), Failure> {
    screen.line("")?;
    screen.line(&screen.tinted(title, Tone::Head))?;
    for (name, value) in fields {
        if let Some(value) = value {
            screen.line(&format!("  {name:<14}  {}", printable(value)))?;
        }
    }
    Ok(())
}

fn approve(runtime_dir: &Path, args: &Approve, screen: &mut Screen) -> Result<(), Failure> {
    let extent = match args.length {
        Some(length) => Extent::For(length),
        None if args.session => Extent::Session,
        None => Extent::Once,
    };
    let request = ApprovalsRequest::Approve { id: args.id.clone(), extent, reason: args.reason.clone() };
    decide(runtime_dir, request, screen)
}

fn decide(runtime_dir: &Path, request: ApprovalsRequest, screen: &mut Screen) -> Result<(), Failure> {
    let response = ask(runtime_dir, request)?;
    let ApprovalsResponse::Decided { id, effect } = response else { return Err(strange()) };
    if screen.is_json() {
        return Ok(screen.json(&serde_json::json!({ "id": id, "effect": effect }))?);
    }
    let (text, tone) = match effect {
        Effect::Counted => ("counted; it needs more people", Tone::Warn),
        Effect::Approved => ("approved", Tone::Good),
        Effect::Denied => ("denied", Tone::Bad),
        Effect::Withdrawn => ("withdrawn: you asked for it yourself", Tone::Plain),
        Effect::Revoked => ("ended; what ran under it was judged again", Tone::Plain),
    };
    Ok(screen.line(&format!("{}: {}", short(&id), screen.tinted(text, tone)))?)
}

fn break_glass(runtime_dir: &Path, args: &BreakGlass, screen: &mut Screen) -> Result<(), Failure> {
    let (whom, seconds, reason) = (args.whom.clone(), args.length, args.reason.clone());
    let response = ask(runtime_dir, ApprovalsRequest::BreakGlass { whom, seconds, reason })?;
    let ApprovalsResponse::Broken(glass) = response else { return Err(strange()) };
    if screen.is_json() {
        return Ok(screen.json(&glass)?);
    }
    told_glass(&glass, screen)?;
    Ok(screen.line(&format!("End it early: sallyport approvals deny {} --reason TEXT", short(&glass.id)))?)
}

fn told_glass(glass: &GlassLine, screen: &mut Screen) -> Result<(), Failure> {
    let (id, until) = (short(&glass.id), local_time(glass.until));
    let text = format!("BREAK-GLASS {id} for {} until {until}, by {}: {}", glass.whom, glass.by, glass.reason);
    Ok(screen.line(&screen.tinted(&printable(&text), Tone::Bad))?)
}

/// Whoever asks, and the last part of the workload's name.
fn who(line: &ApprovalLine) -> String {
    let last = line.workload.rsplit('/').next().unwrap_or_default();
    if line.requester == line.workload { last.to_owned() } else { format!("{}@{last}", line.requester) }
}

fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

fn tone(state: ApprovalState) -> Tone {
    match state {
        ApprovalState::Pending => Tone::Warn,
        ApprovalState::Approved => Tone::Good,
        ApprovalState::Denied => Tone::Bad,
        ApprovalState::Expired | ApprovalState::Withdrawn => Tone::Dim,
    }
}
