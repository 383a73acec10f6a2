//! `sallyport trust`: this host's authority, and the stores of those who are to trust it.
//!
//! `stores` says what there is and what would be done, `manifest` writes down what is, `deed` does and undoes one change.

pub(super) mod args;
mod deed;
mod homes;
mod manifest;
mod runner;
mod show;
mod stores;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use self::args::{Install, Remove, Trust, Where};
use self::deed::{Deed, Look, Site};
use self::manifest::Manifest;
use self::runner::{Nothing, Runner, ThisHost};
use self::stores::{Draft, Store, Survey, Verdict};
use super::exit::{Exit, Failure};
use super::screen::Screen;
use crate::config::Config;
use crate::proxy::tls::{Authority, Scope, TlsError, certificate_path, fingerprint};

/// Carries a command out.
pub(super) fn run(
    configuration: impl FnOnce() -> Result<Config, Failure>,
    state: &Path,
    command: &Trust,
    screen: &mut Screen,
) -> Result<Exit, Failure> {
    match command {
        Trust::Install(args) => install(&configuration()?, state, args, screen),
        Trust::Status(at) => status(state, at, screen),
        Trust::Remove(args) => remove(state, args, screen),
    }
}

/// What became of one thing.
pub(super) struct Line {
    /// What it was.
    place: String,
    /// What became of it.
    deed: Deed,
}

fn install(config: &Config, state: &Path, args: &Install, screen: &mut Screen) -> Result<Exit, Failure> {
    let (root, runner) = where_to(&args.at, "install")?;
    let pem = authority(config, state)?;
    let digest = digest_of(&pem)?;
    let before = read(state)?;
    if let Some(before) = before.as_ref().filter(|before| before.root != root) {
        let message = format!("it is installed below {}: remove it there first", before.root.display());
        return Err(Failure::new(Exit::USAGE, message));
    }
    let survey = Survey { root: &root, pem: &pem, digest: &digest, skip: &args.skip };
    let stores = survey.stores();
    let site = Site { root: &root, state, runner: runner.as_ref() };
    if before.as_ref().is_some_and(|before| is_all_there(&site, before, &digest, &stores)) {
        show::unchanged(&digest, screen)?;
        return Ok(Exit::OK);
    }
    if !screen.is_json() || !args.yes {
        show::stores(&digest, &stores, screen)?;
    }
    agreed(args.yes, "Install it", screen)?;
    let mut lines = Vec::new();
    if let Some(before) = before {
        // What an earlier certificate left goes first.
        lines = undone(&site, &before);
        lines.retain(|line| matches!(line.deed, Deed::Partly(_) | Deed::Left(_)));
        Manifest::forget(state).map_err(|error| cannot_record(state, &error))?;
    }
    lines.extend(installed(&site, &digest, &stores)?);
    show::done(&digest, "Installed", &lines, screen)?;
    Ok(ending(&lines))
}

/// Makes all changes, each written down before it is made.
fn installed(site: &Site<'_>, digest: &str, stores: &[Store]) -> Result<Vec<Line>, Failure> {
    let (root, certificate) = (site.root.to_owned(), digest.to_owned());
    let mut manifest = Manifest { version: 1, root, certificate, changes: Vec::new() };
    let mut lines = Vec::new();
    for draft in drafts(stores) {
        let mut change = match site.prepare(draft) {
            Ok(change) => change,
            Err(error) => {
                lines.push(Line { place: place(draft), deed: Deed::Left(why(&error)) });
                continue;
            }
        };
        manifest.changes.push(change.clone());
        manifest.write(site.state).map_err(|error| cannot_record(site.state, &error))?;
        let deed = site.make(&mut change).unwrap_or_else(|error| Deed::Left(why(&error)));
        lines.push(Line { place: change.place(), deed: deed.clone() });
        manifest.changes.pop();
        // Commands are run again when all is removed, also where they failed now.
        if deed == Deed::Done || matches!(draft, Draft::Command { .. }) {
            manifest.changes.push(change);
        }
        manifest.write(site.state).map_err(|error| cannot_record(site.state, &error))?;
    }
    Ok(lines)
}

fn why(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return "it is there already, and not by what is written down here".to_owned();
    }
    error.to_string()
}

/// Undoes all changes, files before commands: those take in what is there then.
fn undone(site: &Site<'_>, manifest: &Manifest) -> Vec<Line> {
    let is_command = |change: &&manifest::Change| matches!(change, manifest::Change::Command { .. });
    let files = manifest.changes.iter().rev().filter(|change| !is_command(change));
    let commands = manifest.changes.iter().filter(is_command);
    let undo = |change: &manifest::Change| {
        let deed = site.undo(change).unwrap_or_else(|error| Deed::Left(error.to_string()));
        Line { place: change.place(), deed }
    };
    files.chain(commands).map(undo).collect()
}

fn status(state: &Path, at: &Where, screen: &mut Screen) -> Result<Exit, Failure> {
    let root = root(at)?;
    let current = fs::read_to_string(certificate_path(state)).ok();
    let current = current.map(|pem| digest_of(&pem)).transpose()?;
    let Some(manifest) = read(state)? else {
        show::nothing(current.as_deref(), screen)?;
        return Ok(Exit::OK);
    };
    if manifest.root != root {
        let message = format!("it is installed below {}: add --root {0}", manifest.root.display());
        return Err(Failure::new(Exit::USAGE, message));
    }
    let site = Site { root: &root, state, runner: &Nothing };
    let looks: Vec<_> = manifest.changes.iter().map(|change| (change, site.look(change))).collect();
    let stale = current.is_some_and(|current| current != manifest.certificate);
    show::looks(&manifest.certificate, stale, &looks, screen)?;
    let good = !stale && looks.iter().all(|(_, look)| matches!(look, Look::InPlace | Look::Around));
    Ok(if good { Exit::OK } else { Exit::UNAVAILABLE })
}

fn remove(state: &Path, args: &Remove, screen: &mut Screen) -> Result<Exit, Failure> {
    let (root, runner) = where_to(&args.at, "remove")?;
    let Some(manifest) = read(state)? else {
        show::nothing(None, screen)?;
        return Ok(Exit::OK);
    };
    if manifest.root != root {
        let message = format!("it is installed below {}: add --root {0}", manifest.root.display());
        return Err(Failure::new(Exit::USAGE, message));
    }
    if !screen.is_json() {
        show::undoing(&manifest, screen)?;
    }
    agreed(args.yes, "Remove it", screen)?;
    let lines = undone(&Site { root: &root, state, runner: runner.as_ref() }, &manifest);
    Manifest::forget(state).map_err(|error| cannot_record(state, &error))?;
    show::done(&manifest.certificate, "Removed", &lines, screen)?;
    Ok(ending(&lines))
}

fn ending(lines: &[Line]) -> Exit {
    let left = lines.iter().any(|line| matches!(line.deed, Deed::Left(_)));
    if left { Exit::UNAVAILABLE } else { Exit::OK }
}

/// Whether everything that would be done is done.
fn is_all_there(site: &Site<'_>, manifest: &Manifest, digest: &str, stores: &[Store]) -> bool {
    let wanted: Vec<String> = drafts(stores).map(place).collect();
    let there = manifest.changes.iter().filter(|change| matches!(site.look(change), Look::InPlace | Look::Around));
    let there: Vec<String> = there.map(manifest::Change::place).collect();
    manifest.certificate == digest && wanted.iter().all(|place| there.contains(place))
}

fn drafts(stores: &[Store]) -> impl Iterator<Item = &Draft> {
    stores.iter().flat_map(|store| match &store.verdict {
        Verdict::Change(drafts) => drafts.as_slice(),
        Verdict::Covered(_) | Verdict::Absent(_) | Verdict::Left(_) => &[],
    })
}

fn place(draft: &Draft) -> String {
    match draft {
        Draft::File { path, .. } | Draft::Block { path, .. } | Draft::KeyStore { path, .. } => {
            path.display().to_string()
        }
        Draft::Command { words } => runner::shown(words),
    }
}

fn where_to(at: &Where, command: &str) -> Result<(PathBuf, Box<dyn Runner>), Failure> {
    let root = root(at)?;
    if root != Path::new("/") {
        return Ok((root, Box::new(Nothing)));
    }
    super::needs_root(&format!("trust {command}"))?;
    Ok((root, Box::new(ThisHost)))
}

fn root(at: &Where) -> Result<PathBuf, Failure> {
    let root = at.root.as_deref().unwrap_or(Path::new("/"));
    root.canonicalize().map_err(|error| Failure::new(Exit::NO_INPUT, format!("cannot use --root: {error}")))
}

/// The certificate of this host's authority, PEM; it is made if need be.
fn authority(config: &Config, state: &Path) -> Result<String, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let failed = |error: TlsError| Failure::caused(Exit::IO, &error);
    Authority::open(state, config.identity.host.as_str(), &Scope::of(&config.targets), now).map_err(failed)?;
    let path = certificate_path(state);
    fs::read_to_string(&path)
        .map_err(|error| Failure::new(Exit::IO, format!("cannot read {}: {error}", path.display())))
}

fn digest_of(pem: &str) -> Result<String, Failure> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let der = CertificateDer::from_pem_slice(pem.as_bytes());
    let der = der.map_err(|_| Failure::new(Exit::DATA, "the authority's certificate is not PEM"))?;
    Ok(fingerprint(&der))
}

fn read(state: &Path) -> Result<Option<Manifest>, Failure> {
    let path = manifest::path(state);
    Manifest::read(state).map_err(|error| {
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        let exit = if denied { Exit::NO_PERMISSION } else { Exit::DATA };
        Failure::new(exit, format!("cannot read {}: {error}", path.display()))
    })
}

fn cannot_record(state: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::IO, format!("cannot write {}: {error}", manifest::path(state).display()))
}

/// Asks, unless told not to; without a terminal there is nobody to ask.
fn agreed(yes: bool, question: &str, screen: &mut Screen) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !screen.is_terminal() || screen.is_json() {
        return Err(Failure::new(Exit::USAGE, "nothing was changed: there is no terminal to ask on, so add --yes"));
    }
    screen.line(&format!("{question}? [y/N]"))?;
    screen.show()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::USAGE, "nothing was changed")),
    }
}
