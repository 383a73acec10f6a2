//! `sallyport exec`: one command, intercepted, without a daemon.
//!
//! The command gets a cgroup of its own, which is the only scope of an interception of its own. When this process is
//! killed, the programs stay until the next start finds their cgroup empty: the command is refused, not released.

use super::{
    AppError, cgroup,
    cgroup::Cgroup,
    daemon::{keep_memory_private, raise_limits, runtime},
    engine::{Engine, Plan},
};
use crate::{
    config::{Config, Scope, ScopeName, Selectors},
    intercept::{
        kernel::{DAEMON, PinDir},
        places, tables,
    },
    record::{Recorder, Role},
    sys,
};
use std::{
    ffi::OsString,
    fs, io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Signals that are meant for the command.
const PASSED_ON: [i32; 7] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];
/// Flows end with the command; their last bytes and records get this long.
const DRAIN: Duration = Duration::from_secs(2);
const PREFIX: &str = "exec-";

/// Runs a command intercepted; returns what it exited with. A command that was killed by a signal kills us by it too.
///
/// # Errors
/// When interception cannot be set up, or the command cannot be run.
pub fn exec(config: &Config, command: &[OsString]) -> Result<i32, AppError> {
    raise_limits();
    keep_memory_private();
    let status = runtime()?.block_on(supervise(config, command))?;
    if let Some(signal) = status.signal() {
        sys::die_by(signal);
    }
    Ok(status.code().unwrap_or(i32::from(u8::MAX)))
}

async fn supervise(config: &Config, command: &[OsString]) -> Result<std::process::ExitStatus, AppError> {
    let root = places::cgroup_root().map_err(AppError::system("finding the cgroup v2 hierarchy"))?;
    if is_managed_already(&config.intercept.bpffs) {
        return Err(AppError::Managed);
    }
    remove_leftovers(&config.intercept.bpffs, &root);
    let instance = format!("{PREFIX}{}", std::process::id());
    let inside = Cgroup::make(&root, &format!("sallyport-{instance}"))?;
    let mut outside = Cgroup::make(&root, &format!("sallyport-{instance}-agent"))?;
    outside.enter(&root)?;
    let config = Config { scopes: scope_of(&inside, &root), ..config.clone() };
    let recorder = Recorder::open_as(&config.state_dir, Role::Exec, &super::store::options(&config))?;
    for maps in PinDir::others(&config.intercept.bpffs, &instance) {
        tables::introduce(&maps, &[inside.id()?]);
    }
    let plan = Plan {
        config: &config,
        instance: &instance,
        cgroup_root: &root,
        own_cgroup: outside.id()?,
        recorder,
        settled: true,
        // Nobody could answer.
        office: None,
    };
    let pins = PinDir::new(&config.intercept.bpffs, &instance);
    let unpinned = Unpin(&pins);
    let engine = Engine::start(plan).await?;
    let signals = Signals::listen()?;
    let status = match sys::spawn_in(&mut prepare(command), inside.path()) {
        Ok(mut child) => signals.wait(&mut child).await,
        Err(source) => {
            let command = command.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            Err(AppError::Command { command, source })
        }
    };
    let left = inside.kill();
    if left > 0 {
        tracing::warn!(processes = left, "ended what the command left running: nobody would proxy it");
    }
    engine.stop(DRAIN, None).await;
    drop(unpinned);
    status
}

/// Two interceptions of one process would each take the other for its destination.
fn is_managed_already(bpffs: &Path) -> bool {
    let maps = PinDir::new(bpffs, DAEMON).maps();
    maps.is_some_and(|maps| tables::is_member(&maps, std::process::id()))
}

/// Removes the pins however the command ends, short of a kill.
struct Unpin<'a>(&'a PinDir);

impl Drop for Unpin<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.remove() {
            tracing::warn!(%error, path = %self.0.path().display(), "pins were left behind");
        }
    }
}

fn prepare(command: &[OsString]) -> Command {
    let mut words = command.iter();
    let mut prepared = Command::new(words.next().cloned().unwrap_or_default());
    prepared.args(words);
    prepared
}

fn scope_of(cgroup: &Cgroup, root: &Path) -> Vec<Scope> {
    let below = cgroup.path().strip_prefix(root).unwrap_or(cgroup.path());
    let selectors = Selectors { cgroups: vec![Path::new("/").join(below)], ..Selectors::default() };
    ScopeName::new("exec").map(|name| Scope::new(name, selectors)).into_iter().collect()
}

/// What is passed on, listened to from before the command begins: one that comes at once must not end us instead.
struct Signals {
    ended: Signal,
    meant: UnboundedReceiver<i32>,
}

impl Signals {
    fn listen() -> Result<Self, AppError> {
        let failed = || AppError::system("listening to signals");
        let ended = signal(SignalKind::child()).map_err(failed())?;
        let (got, meant) = unbounded_channel();
        for number in PASSED_ON {
            let mut stream = signal(SignalKind::from_raw(number)).map_err(failed())?;
            let got = got.clone();
            tokio::spawn(async move { while stream.recv().await.is_some() && got.send(number).is_ok() {} });
        }
        Ok(Self { ended, meant })
    }

    /// Waits for the command, and passes signals on. Those a terminal sends reach the command by themselves.
    async fn wait(mut self, child: &mut Child) -> Result<std::process::ExitStatus, AppError> {
        let pid = rustix::process::Pid::from_child(child);
        loop {
            if let Some(status) = child.try_wait().map_err(AppError::system("waiting for the command"))? {
                return Ok(status);
            }
            tokio::select! {
                _ = self.ended.recv() => {}
                Some(number) = self.meant.recv() => {
                    if !by_terminal(number)
                        && let Some(signal) = rustix::process::Signal::from_named_raw(number)
                    {
                        // A command that is gone already is about to be waited for.
                        let _ = rustix::process::kill_process(pid, signal);
                    }
                }
            }
        }
    }
}

/// True when a terminal sends this signal to its whole foreground group, the command included.
fn by_terminal(number: i32) -> bool {
    let foreground = rustix::termios::tcgetpgrp(io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp());
    foreground && matches!(number, libc::SIGINT | libc::SIGQUIT | libc::SIGWINCH)
}

/// Pins and cgroups of commands whose supervisor was killed: removed once nobody is left inside.
fn remove_leftovers(bpffs: &Path, root: &Path) {
    cgroup::remove_leftovers(root);
    let Ok(entries) = fs::read_dir(bpffs.join("sallyport")) else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let Some(pid) = name.strip_prefix(PREFIX) else { continue };
        let lives = PathBuf::from(format!("/proc/{pid}")).exists();
        let inhabited = root.join(format!("sallyport-{name}")).exists();
        if !lives && !inhabited {
            // Whoever cannot remove it now finds it again.
            let _ = PinDir::new(bpffs, &name).remove();
        }
    }
}
