//! `sallyport policy`: what policies say, before anybody depends on it.

mod explain;
mod test;

use std::path::{Path, PathBuf};

use super::args::Policy;
use super::exit::{Exit, Failure};
use super::screen::{Screen, Tone};
use crate::config::Config;
use crate::policy::{Finding, PolicySet, Rejected, check, load};

/// Carries one of them out. The configuration is read only for a directory that was not named.
pub(super) fn run(
    configuration: impl FnOnce() -> Result<Config, Failure>,
    command: &Policy,
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    let (Policy::Check { paths } | Policy::Test { paths, .. } | Policy::Explain { paths, .. }) = command;
    let (paths, zone) = if paths.is_empty() {
        let config = configuration()?.policy;
        (vec![config.directory], config.zone)
    } else {
        (paths.clone(), crate::policy::Zone::default())
    };
    let set = set(&paths)?;
    match command {
        Policy::Check { .. } => good(&set, screen),
        Policy::Test { cases, expected, write, .. } => {
            let first = paths.first().map(PathBuf::as_path).unwrap_or(Path::new("."));
            let files = test::Files::beside(first, cases.as_deref(), expected.as_deref());
            test::run(&set, &files, *write, screen)
        }
        Policy::Explain { question, .. } => explain::run(&set, question, &zone, screen),
    }
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
