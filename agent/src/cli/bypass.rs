//! `sallyport bypass`: the deliberate way out, through the daemon or, when it is dead, past it.

use super::args;
use super::exit::{Exit, Failure};
use super::screen::{Screen, Tone};
use super::status::{local_time, unexpected};
use crate::app;
use crate::config::{Config, Scope, ScopeName, nearest};
use crate::control::{Bypass, BypassRequest, Client, ClientError, OpenScope, Reason, Request, Response, ScopeChoice};

/// Opens or closes scopes, or removes what a dead daemon left.
pub(super) fn run(config: &Config, args: &args::Bypass, screen: &mut Screen) -> Result<Exit, Failure> {
    if args.detach {
        let Some(reason) = &args.reason else { return Err(usage("--detach needs --reason")) };
        return detach(config, reason, screen);
    }
    let request = request(args)?;
    let scopes = match Client::connect(&config.runtime_dir) {
        Ok(mut client) => match client.ask(&Request::Bypass(request))? {
            Response::Bypassed { scopes } => scopes,
            other @ (Response::Status(_)
            | Response::Approvals(_)
            | Response::PoliciesReloaded { .. }
            | Response::Refused { .. }
            | Response::Forbidden { .. }
            | Response::Malformed { .. }) => {
                return Err(unexpected(other));
            }
        },
        Err(ClientError::NobodyListens(_)) => {
            known(config, &request.scope)?;
            app::bypass_offline(config, &request)?
        }
        Err(error) => return Err(error.into()),
    };
    show(&scopes, screen)?;
    Ok(Exit::OK)
}

/// The parser has seen to it that every combination that arrives here makes sense.
fn request(args: &args::Bypass) -> Result<BypassRequest, Failure> {
    let scope = match &args.scope {
        Some(name) => ScopeChoice::Named(name.clone()),
        None if args.all => ScopeChoice::All,
        None => return Err(usage("name a --scope, or --all")),
    };
    let bypass = match (args.length, &args.reason) {
        (Some(seconds), Some(reason)) => Bypass::Open { seconds, reason: reason.clone() },
        (None, reason) if args.close => Bypass::Close { reason: reason.clone() },
        (Some(_), None) => return Err(usage("--for needs --reason")),
        (None, _) => return Err(usage("say --for how long, or --close")),
    };
    Ok(BypassRequest { scope, bypass })
}

fn usage(message: &str) -> Failure {
    Failure::new(Exit::USAGE, message)
}

/// With the daemon dead the configuration is all there is to check a name against.
fn known(config: &Config, choice: &ScopeChoice) -> Result<(), Failure> {
    let ScopeChoice::Named(name) = choice else { return Ok(()) };
    let names = || config.scopes.iter().map(|scope: &Scope| scope.name.as_str());
    if names().any(|known| known == name.as_str()) {
        return Ok(());
    }
    let advice = match nearest(name.as_str(), names()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    };
    Err(usage(&format!("there is no scope `{name}`{advice}")))
}

fn detach(config: &Config, reason: &Reason, screen: &mut Screen) -> Result<Exit, Failure> {
    match Client::connect(&config.runtime_dir) {
        Err(ClientError::NobodyListens(_)) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => {
            let advice = "stop it first, or open a scope with --scope and --for";
            return Err(Failure::new(Exit::UNAVAILABLE, format!("the daemon is running; {advice}")));
        }
    }
    let removed = app::detach(config, reason)?;
    if screen.is_json() {
        screen.json(&serde_json::json!({ "removed": removed }))?;
    } else if removed.is_empty() {
        screen.line("Nothing was pinned in the kernel.")?;
    } else {
        screen.line(&format!("Removed from the kernel: {}", removed.join(", ")))?;
        screen.line(&screen.tinted("No process is managed until the daemon runs again.", Tone::Warn))?;
    }
    Ok(Exit::OK)
}

fn show(scopes: &[OpenScope], screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return Ok(screen.json(&serde_json::json!({ "scopes": scopes }))?);
    }
    for OpenScope { name, open_until } in scopes {
        let line = match open_until {
            Some(until) => {
                format!("{} is {} until {}", label(name), screen.tinted("open", Tone::Bad), local_time(*until))
            }
            None => format!("{} is {}", label(name), screen.tinted("closed", Tone::Good)),
        };
        screen.line(&line)?;
    }
    Ok(())
}

fn label(name: &ScopeName) -> String {
    format!("Scope {name}")
}
