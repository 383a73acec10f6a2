//! Sallyport's own things: its file, its scopes, its daemon, what it pinned, its store.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access, statvfs};

use super::Check;
use super::host::Machine;
use crate::app;
use crate::config::{Config, ConfigErrors};
use crate::control::{Client, ClientError};

/// Less free room than this is a warning: a busy host records that much in a day.
const LITTLE_ROOM: u64 = 1 << 30;

/// Everything of our own but the file.
pub(super) fn checks(machine: &Machine, config: &Config) -> Vec<Check> {
    let (daemon, running) = daemon(machine, config);
    let mut checks = vec![scopes(machine, config), daemon];
    checks.push(match running {
        Some(running) => pins(config, running),
        None => Check::skipped("pinned", "needs root"),
    });
    checks.push(store(machine, &config.state_dir));
    checks
}

/// The file: right, and writable by root alone, since whoever writes it decides who is managed.
pub(super) fn config_file(path: &Path, loaded: &Result<Config, ConfigErrors>) -> Check {
    const NAME: &str = "configuration";
    let shown = path.display();
    if let Err(errors) = loaded {
        let count = errors.problems().len();
        let denied = errors.unreadable_because().is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        return match (denied, count) {
            (true, _) => Check::skipped(NAME, errors.to_string()),
            (false, 0) => Check::fail(NAME, errors.to_string(), "correct the path or the file"),
            (false, _) => Check::fail(NAME, errors.to_string(), "correct the file; nothing was started with it"),
        };
    }
    let Ok(found) = fs::metadata(path) else {
        return Check::ok(NAME, format!("no {shown}: the defaults hold"));
    };
    if found.mode() & 0o022 != 0 {
        return Check::fail(
            NAME,
            format!("{shown} can be written by others than its owner"),
            format!("chmod go-w {shown}"),
        );
    }
    if found.uid() != 0 {
        let found = format!("{shown} belongs to user {}", found.uid());
        return Check::warn(NAME, found, format!("chown root {shown}"));
    }
    Check::ok(NAME, shown.to_string())
}

fn scopes(machine: &Machine, config: &Config) -> Check {
    const NAME: &str = "scopes";
    if config.scopes.is_empty() {
        return Check::ok(NAME, "none: the daemon would manage no process; `sallyport exec` works without");
    }
    let missing: Vec<String> = config
        .scopes
        .iter()
        .flat_map(|scope| &scope.selectors.exes)
        .filter(|exe| !machine.path(exe).is_file())
        .map(|exe| exe.display().to_string())
        .collect();
    if !missing.is_empty() {
        let found = format!("selected executables that are not there: {}", missing.join(", "));
        return Check::warn(NAME, found, "correct the path, or install the program");
    }
    let units =
        config.scopes.iter().any(|scope| !scope.selectors.units.is_empty() || !scope.selectors.slices.is_empty());
    if units && !machine.path("/run/systemd/system").is_dir() {
        let advice = "select by cgroup, user or exe";
        return Check::warn(NAME, "units are selected, but systemd does not run this host", advice);
    }
    let names: Vec<&str> = config.scopes.iter().map(|scope| scope.name.as_str()).collect();
    Check::ok(NAME, names.join(", "))
}

/// The check, and whether a daemon runs where that can be known.
fn daemon(machine: &Machine, config: &Config) -> (Check, Option<bool>) {
    const NAME: &str = "daemon";
    match Client::connect(&config.runtime_dir) {
        Ok(_) => (Check::ok(NAME, "running"), Some(true)),
        Err(ClientError::NobodyListens(_)) => (Check::ok(NAME, "not running"), machine.privileged.then_some(false)),
        Err(ClientError::NotPermitted(..)) => (Check::skipped(NAME, "needs root"), None),
        Err(error) => {
            let advice = "look at its log: journalctl -u sallyport";
            (Check::warn(NAME, error.to_string(), advice), Some(true))
        }
    }
}

fn pins(config: &Config, running: bool) -> Check {
    const NAME: &str = "pinned";
    let state = app::pinned_state(config);
    match (state.pins.len(), running) {
        (0, _) => Check::ok(NAME, "nothing"),
        (count, true) => Check::ok(NAME, format!("{count} programs and maps, by the running daemon")),
        (count, false) => Check::warn(
            NAME,
            format!("{count} programs and maps of a daemon that is gone; closed scopes cannot connect"),
            "start the daemon, or take them out: sallyport bypass --detach --reason TEXT",
        ),
    }
}

fn store(machine: &Machine, state_dir: &Path) -> Check {
    const NAME: &str = "store";
    let shown = state_dir.display();
    // What does not exist yet is made at start, below the nearest directory there is.
    let existing = state_dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if !existing.is_dir() {
        let advice = "name another --state-dir";
        return Check::fail(NAME, format!("{} is not a directory", existing.display()), advice);
    }
    if !machine.privileged {
        return Check::skipped(NAME, format!("{shown}: whether it can be written is for root to see"));
    }
    if let Err(error) = access(existing, Access::WRITE_OK | Access::EXEC_OK) {
        let advice = "make it writable for root, or name another --state-dir";
        return Check::fail(NAME, format!("{} cannot be written: {error}", existing.display()), advice);
    }
    let room = statvfs(existing).map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize)).unwrap_or(0);
    let found = format!("{shown}, {} MiB free", room >> 20);
    if room < LITTLE_ROOM {
        return Check::warn(NAME, found, "make room: flows stop when they cannot be recorded");
    }
    Check::ok(NAME, found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::State;
    use super::super::host::tests::machine;
    use super::*;
    use crate::config::ThisHost;

    #[test]
    fn who_may_write_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sallyport.toml");
        let check = || config_file(&path, &Config::load(&path, false)).state;
        assert_eq!(check(), State::Ok, "no file");
        fs::write(&path, "").unwrap();
        for mode in [0o666, 0o664, 0o602] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(check(), State::Fail, "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_ne!(check(), State::Fail);
        fs::write(&path, "[scope]\nx = 1\n").unwrap();
        assert_eq!(check(), State::Fail);
    }

    #[test]
    fn selected_executables_exist() {
        let text = b"[scope.a]\nexe = '/opt/x'\n";
        let config = Config::parse(text, Path::new("x"), &ThisHost).unwrap();
        let (_dir, without) = machine(&[]);
        assert_eq!(scopes(&without, &config).state, State::Warn);
        let (_dir, with) = machine(&[("/opt/x", "")]);
        assert_eq!(scopes(&with, &config).state, State::Ok);
        let config = Config::parse(b"[scope.a]\nunit = 'x.service'\n", Path::new("x"), &ThisHost).unwrap();
        assert_eq!(scopes(&with, &config).state, State::Warn, "no systemd");
    }

    #[test]
    fn a_store_that_is_a_file_fails() {
        let (dir, machine) = machine(&[("/file", "")]);
        assert_eq!(store(&machine, &dir.path().join("file/below")).state, State::Fail);
        assert_ne!(store(&machine, &dir.path().join("not/yet")).state, State::Fail);
    }
}
