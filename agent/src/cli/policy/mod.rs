//! `sallyport policy`: what policies say, before anybody depends on it.

mod diff;
mod explain;
mod recorded;
mod suggest;
mod test;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::args::Policy;
use super::exit::{Exit, Failure};
use super::screen::{Screen, Tone};
use crate::config::Config;
use crate::control::{Client, Request, Response};
use crate::policy::{Finding, PolicySet, Rejected, Zone, check, load};

/// Carries one of them out on the store below `state_dir`. The configuration is read only when it is needed.
pub(super) fn run(
    configuration: impl Fn() -> Result<Config, Failure>,
    state_dir: &Path,
    command: &Policy,
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    let (paths, cases, expected, write) = match command {
        Policy::Check { paths } => {
            return good(&set(&configured(paths, configuration)?.0)?, screen);
        }
        Policy::Explain { paths, question, recorded } => {
            let (paths, zone) = configured(paths, &configuration)?;
            let (question, decision) = match (question, recorded) {
                (_, Some(name)) => {
                    let known = recorded::Known { zone, ..recorded::Known::of(configuration()) };
                    let (question, decision) = recorded::named(state_dir, name, &known)?;
                    (question, Some(decision))
                }
                (Some(path), None) => (explain::question(path, &zone)?, None),
                (None, None) => return Err(Failure::new(Exit::USAGE, "name --question FILE or --recorded ID")),
            };
            return explain::run(&set(&paths)?, &question, decision, screen);
        }
        Policy::Diff { before, after, against, since } => {
            let sets = (set(std::slice::from_ref(before))?, set(std::slice::from_ref(after))?);
            let known = recorded::Known::of(configuration());
            let (all, unknown) = recorded::since(against.as_deref().unwrap_or(state_dir), *since, &known)?;
            return diff::run((&sets.0, &sets.1), (&all, unknown), screen);
        }
        Policy::Reload => return reload(&configuration()?, screen),
        Policy::Suggest { since } => {
            let (all, unknown) = recorded::since(state_dir, *since, &recorded::Known::of(configuration()))?;
            return suggest::run(all, unknown, screen);
        }
        Policy::Test { paths, cases, expected, write } => (paths, cases, expected, *write),
    };
    let (paths, _) = configured(paths, configuration)?;
    let first = paths.first().map(PathBuf::as_path).unwrap_or(Path::new("."));
    let files = test::Files::beside(first, cases.as_deref(), expected.as_deref());
    test::run(&set(&paths)?, &files, write, screen)
}

fn reload(config: &Config, screen: &mut Screen) -> Result<Exit, Failure> {
    super::needs_root("policy reload")?;
    match Client::connect(&config.runtime_dir)?.ask(&Request::ReloadPolicies)? {
        Response::PoliciesReloaded { policies, version } if screen.is_json() => {
            screen.json(&serde_json::json!({ "policies": policies, "version": version }))?;
        }
        Response::PoliciesReloaded { policies, version } => {
            screen.line(&format!(
                "{} {policies} in force, version sha256:{version}",
                screen.tinted("good:", Tone::Good)
            ))?;
        }
        other @ (Response::Status(_)
        | Response::Bypassed { .. }
        | Response::Approvals(_)
        | Response::Refused { .. }
        | Response::Forbidden { .. }
        | Response::Malformed { .. }) => return Err(super::status::unexpected(other)),
    }
    Ok(Exit::OK)
}

/// The paths that were named, or else the configured directory and zone.
fn configured(
    paths: &[PathBuf],
    configuration: impl FnOnce() -> Result<Config, Failure>,
) -> Result<(Vec<PathBuf>, Zone), Failure> {
    if !paths.is_empty() {
        return Ok((paths.to_vec(), Zone::default()));
    }
    let config = configuration()?.policy;
    Ok((vec![config.directory], config.zone))
}

/// Everything below the paths, as one set.
fn set(paths: &[PathBuf]) -> Result<PolicySet, Failure> {
    let mut sources = Vec::new();
    for path in paths {
        for mut source in load::sources(path)? {
            // With several paths, a name has to say which of them it is below.
            if paths.len() > 1 && path.is_dir() {
                source.name = path.join(&source.name).display().to_string();
            }
            sources.push(source);
        }
    }
    Ok(check(&sources).map_err(|findings| Rejected { findings, missing: false })?)
}

#[derive(serde::Serialize)]
struct Checked<'a> {
    policies: usize,
    version: String,
    warnings: &'a [Finding],
}

fn good(set: &PolicySet, screen: &mut Screen) -> Result<Exit, Failure> {
    let (policies, version) = (set.len(), set.version().to_string());
    if screen.is_json() {
        screen.json(&Checked { policies, version, warnings: set.warnings() })?;
        return Ok(Exit::OK);
    }
    for warning in set.warnings() {
        screen.line(&screen.tinted("warning", Tone::Warn))?;
        for line in warning.to_string().lines() {
            screen.line(line)?;
        }
    }
    let policies = if policies == 1 { "1 policy".to_owned() } else { format!("{policies} policies") };
    screen.line(&format!("{} {policies}, version sha256:{version}", screen.tinted("good:", Tone::Good)))?;
    Ok(Exit::OK)
}
