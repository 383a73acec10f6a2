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
use crate::mask::{self, Classes};
use crate::policy::{Finding, PolicySet, Rejected, Source, Zone, check, load};

/// Carries one of them out on the store below `state_dir`. The configuration is read only when it is needed.
pub(super) fn run(
    configuration: impl Fn() -> Result<Config, Failure>,
    state_dir: &Path,
    command: &Policy,
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    let (paths, cases, expected, write) = match command {
        Policy::Check { paths } => {
            let (paths, _) = configured(paths, configuration)?;
            return good(&set(&paths)?, &classes(&paths)?, screen);
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
    for path in paths.iter().filter(|path| path.is_dir() || !is_classification(path)) {
        sources.extend(named(load::sources(path)?, path, paths));
    }
    Ok(check(&sources).map_err(|findings| Rejected { findings, missing: false })?)
}

/// The classifications below the paths, as one set.
fn classes(paths: &[PathBuf]) -> Result<Classes, Failure> {
    let mut sources = Vec::new();
    for path in paths.iter().filter(|path| path.is_dir() || is_classification(path)) {
        sources.extend(named(mask::load::sources(path)?, path, paths));
    }
    Ok(mask::load::judge(&sources).map_err(|findings| Rejected { findings, missing: false })?)
}

fn is_classification(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

/// With several paths, a name has to say which of them it is below.
fn named(mut sources: Vec<Source>, path: &Path, paths: &[PathBuf]) -> Vec<Source> {
    if paths.len() > 1 && path.is_dir() {
        sources.iter_mut().for_each(|source| source.name = path.join(&source.name).display().to_string());
    }
    sources
}

#[derive(serde::Serialize)]
struct Checked<'a> {
    policies: usize,
    version: String,
    classes: usize,
    rules: usize,
    warnings: Vec<&'a Finding>,
}

fn good(set: &PolicySet, masked: &Classes, screen: &mut Screen) -> Result<Exit, Failure> {
    let (policies, version) = (set.len(), set.version().to_string());
    let (classes, rules) = (masked.iter().count(), masked.rules());
    let warnings: Vec<&Finding> = set.warnings().iter().chain(masked.warnings()).collect();
    if screen.is_json() {
        screen.json(&Checked { policies, version, classes, rules, warnings })?;
        return Ok(Exit::OK);
    }
    for warning in warnings {
        screen.line(&screen.tinted("warning", Tone::Warn))?;
        for line in warning.to_string().lines() {
            screen.line(line)?;
        }
    }
    let policies = if policies == 1 { "1 policy".to_owned() } else { format!("{policies} policies") };
    screen.line(&format!("{} {policies}, version sha256:{version}", screen.tinted("good:", Tone::Good)))?;
    if classes > 0 {
        let said = format!("{classes} classes of what is masked, {rules} rules");
        screen.line(&format!("{} {said}", screen.tinted("good:", Tone::Good)))?;
    }
    Ok(Exit::OK)
}
