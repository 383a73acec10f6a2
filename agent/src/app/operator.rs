//! What operators do while no daemon runs: look at what it left, open a scope in the pinned table, take it all out.

use super::{
    AppError,
    daemon::{open_until, opening, pins, runtime, until},
    engine::Engine,
};
use crate::{
    config::Config,
    control::{BypassRequest, OpenScope, PinnedState, Reason, ScopeChoice, ScopeStatus},
    intercept::{places::digest, tables::pinned_scopes},
    record::proof::{KeyPlaces, Keys},
    record::{EventKind, EventRecord, RecordError, Recorder, Role, set_hold},
    sys::Raw,
};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What a daemon that is gone left in the kernel.
pub fn pinned_state(config: &Config) -> PinnedState {
    let pins = pins(config);
    let Some(maps) = pins.maps() else { return PinnedState::default() };
    let table = pinned_scopes(&maps).ok();
    let entries: Vec<_> = table.iter().flat_map(|table| table.iter().flatten()).collect();
    let scopes = config.scopes.iter().filter_map(|scope| {
        let held = entries.iter().find(|held| held.0.name == digest(scope.name.as_str()))?;
        let open_until = open_until(&held.0);
        Some(ScopeStatus { name: scope.name.clone(), mode: scope.mode, fail: scope.fail, open_until })
    });
    PinnedState { pins: pins.attached(), scopes: scopes.collect() }
}

/// Opens or closes scopes in the pinned table. Recorded first.
///
/// # Errors
/// When nothing is pinned, the scope is not in the table, or it cannot be recorded.
pub fn bypass_offline(config: &Config, request: &BypassRequest) -> Result<Vec<OpenScope>, AppError> {
    let maps = pins(config).maps().unwrap_or_else(|| PathBuf::from("/nonexistent"));
    let mut table = pinned_scopes(&maps)?;
    let chosen = config.scopes.iter().filter(|scope| match &request.scope {
        ScopeChoice::All => true,
        ScopeChoice::Named(name) => *name == scope.name,
    });
    let mut touched = Vec::new();
    let mut events = Vec::new();
    let mut writes = Vec::new();
    for scope in chosen {
        let name = digest(scope.name.as_str());
        let held = (0..)
            .zip(table.iter())
            .find_map(|(index, held)| held.ok().filter(|held| held.0.name == name).map(|held| (index, held.0)));
        let Some((index, held)) = held else { return Err(AppError::NoScope(scope.name.as_str().to_owned())) };
        let now = sallyport_ebpf::Scope { bypass_until_ns: until(&request.bypass), ..held };
        events.push(opening(&request.bypass, scope.name.as_str(), &whoami()));
        writes.push((index, now));
        touched.push(OpenScope { name: scope.name.clone(), open_until: open_until(&now) });
    }
    record(config, events)?;
    for (index, now) in writes {
        table.set(index, Raw(now), 0).map_err(|error| AppError::System {
            what: "writing the pinned scope table",
            source: std::io::Error::other(error),
        })?;
    }
    Ok(touched)
}

/// Takes the programs out of the kernel; what they were is returned. Recorded first.
///
/// # Errors
/// When it cannot be recorded, or the bpf file system refuses.
pub fn detach(config: &Config, reason: &Reason) -> Result<Vec<String>, AppError> {
    let pins = pins(config);
    let attached = pins.attached();
    if !attached.is_empty() {
        let detail = format!("by {}: {}", whoami(), reason.as_str());
        record(config, vec![Engine::note(EventKind::Detached, detail)])?;
    }
    pins.remove().map_err(AppError::system("removing pins"))?;
    Ok(attached)
}

/// Keeps segments from being removed, or no longer. Recorded first.
///
/// # Errors
/// When it cannot be recorded, or the mark beside a segment cannot be changed.
pub fn hold(config: &Config, segments: &BTreeSet<u64>, reason: &Reason, lift: bool) -> Result<(), AppError> {
    let (kind, done) =
        if lift { (EventKind::HoldLifted, "may be removed") } else { (EventKind::HoldPlaced, "is kept") };
    let detail = |number: &u64| format!("segment {number} {done}, by {}: {}", whoami(), reason.as_str());
    record(config, segments.iter().map(|number| Engine::note(kind, detail(number))).collect())?;
    for number in segments {
        set_hold(&config.state_dir, *number, (!lift).then(|| reason.as_str()))?;
    }
    Ok(())
}

/// Puts a new key for checkpoints in force; returns the old and the new one. The record is under the new one already.
///
/// # Errors
/// When the key in force is not one that was made here, or it cannot be recorded.
pub fn rotate_key(config: &Config) -> Result<(String, String), AppError> {
    let places = KeyPlaces::new(&config.state_dir, config.audit.key_file.as_deref());
    let rotation = Keys::rotate(&places).map_err(RecordError::from)?;
    let (old, new) = (rotation.old.to_string(), rotation.keys.public().to_string());
    let detail = format!("{new} signs in place of {old}, by {}", whoami());
    record(config, vec![Engine::note(EventKind::KeyRotated, detail)])?;
    Ok((old, new))
}

fn whoami() -> String {
    format!("uid {} pid {}", rustix::process::getuid().as_raw(), std::process::id())
}

fn record(config: &Config, events: Vec<EventRecord>) -> Result<(), AppError> {
    let recorder = Recorder::open_as(&config.state_dir, Role::Exec, &super::store::options(config))?;
    runtime()?.block_on(async {
        for event in events {
            recorder.event(event).await?;
        }
        Ok(recorder.close().await?)
    })
}
