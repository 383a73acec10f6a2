//! `sallyport run`: the daemon.

use super::{
    AppError, approvals, cgroup,
    engine::{Engine, Plan},
};
use crate::{
    approve::{Host, Office},
    config::Config,
    control::{
        Access, Bypass, BypassRequest, Handler, Listener, OpenScope, Peer, Request, Response, ScopeChoice, ScopeStatus,
        Status, serve,
    },
    intercept::{
        kernel::{DAEMON, PinDir},
        places,
    },
    record::{EventKind, EventRecord, Recorder, Role, Timestamps},
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use sallyport_ebpf as abi;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, PoisonError},
    time::Instant,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs until SIGTERM or SIGINT. `reload` reads the configuration again, for SIGHUP.
///
/// # Errors
/// When interception cannot be set up and proven: the daemon never runs half.
pub fn run(config: &Config, reload: impl Fn() -> Result<Config, String>) -> Result<(), AppError> {
    raise_limits();
    keep_memory_private();
    // For the commands it runs as well: they handle passwords.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    runtime()?.block_on(async {
        // First of all, and while it is held no other daemon gets further than here.
        let control = Listener::bind(&config.runtime_dir)?;
        let approvers = Listener::bind_approvals(&config.runtime_dir, approvals::group(config)?)?;
        let began = Timestamps::now();
        let recorder = Recorder::open_as(&config.state_dir, Role::Daemon, &super::store::options(config))?;
        let (outside, crier) = approvals::Outside::open(config, &recorder).await?;
        let (office, mut lapses) = Office::open(approvals::rules(config), recorder.clone(), crier);
        let root = places::cgroup_root().map_err(AppError::system("finding the cgroup v2 hierarchy"))?;
        cgroup::remove_leftovers(&root);
        let (own_cgroup, _cgroup) = cgroup::own(&root)?;
        let plan = Plan {
            config,
            instance: DAEMON,
            cgroup_root: &root,
            own_cgroup,
            recorder: recorder.clone(),
            settled: false,
            office: Some(Arc::clone(&office)),
        };
        let engine = Arc::new(Engine::start(plan).await?);
        let adopted = if engine.kernel.adopted { EventKind::Adopted } else { EventKind::Started };
        recorder.event(Engine::note(adopted, format!("version {}", env!("CARGO_PKG_VERSION")))).await?;
        let operator = Operator {
            engine: Arc::clone(&engine),
            office: Arc::clone(&office),
            recorder: recorder.clone(),
            since: Instant::now(),
        };
        let guard = || {
            let guarded = Arc::clone(&engine);
            move |pid| is_managed(&guarded, pid)
        };
        let control = tokio::spawn(serve(control, Arc::new(operator), Access::root(guard())));
        let clerk = approvals::Clerk {
            engine: Arc::clone(&engine),
            office: Arc::clone(&office),
            host: Host::default(),
            group: config.approvals.group.clone(),
        };
        let approvers = tokio::spawn(serve(approvers, Arc::new(clerk), Access::members(guard())));
        let outside = tokio::spawn(outside.serve(Arc::clone(&office)));
        let waiting = tokio::spawn(Arc::clone(&office).serve());
        let lapsing = Arc::clone(&engine);
        let lapsing = tokio::spawn(async move {
            while let Some(id) = lapses.recv().await {
                let flows = lapsing.lapse(id);
                tracing::info!(approval = %id, flows, "what ran under a grant that is over was judged again");
            }
        });
        let (state, left) = (config.state_dir.clone(), recorder.clone());
        let left = tokio::spawn(async move { approvals::withdraw_left(&state, began, &left).await });
        // Before anybody is told where to send them.
        let signals = Signals::listen()?;
        ready(&engine);
        wait(&engine, config, (&root, &recorder), signals, reload).await?;
        notify(&[sd_notify::NotifyState::Stopping]);
        // Gone once the listeners and their last answers are.
        outside.abort();
        for task in [control, approvers] {
            task.abort();
            let _ = task.await;
        }
        office.close("the daemon stops").await;
        let note = Engine::note(EventKind::Stopped, "on request");
        engine.stop(config.proxy.drain_timeout, Some(note)).await;
        [waiting, lapsing, left].iter().for_each(tokio::task::JoinHandle::abort);
        Ok(())
    })
}

/// What the daemon is told by.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, AppError> {
        let listen = |kind| signal(kind).map_err(AppError::system("waiting for signals"));
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, hangup: listen(SignalKind::hangup())? })
    }
}

/// Serves signals until one says stop.
async fn wait(
    engine: &Engine,
    config: &Config,
    (root, recorder): (&Path, &Recorder),
    mut signals: Signals,
    reload: impl Fn() -> Result<Config, String>,
) -> Result<(), AppError> {
    let (mut scopes, mut targets) = (config.scopes.clone(), config.targets.clone());
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.interrupt.recv() => return Ok(()),
            _ = signals.hangup.recv() => {}
        }
        notify(&[sd_notify::NotifyState::Reloading, monotonic()]);
        // What is wrong with them was told where it was found.
        let _ = engine.reload_policies().await;
        match reload() {
            // The old scopes stay on any error.
            Err(errors) => tracing::error!(%errors, "the configuration was not reloaded; the old one stays"),
            Ok(new) => {
                if new.scopes != scopes {
                    engine.rescope(new.scopes.clone(), root).await?;
                    scopes = new.scopes;
                }
                if new.targets != targets {
                    engine.retarget(&new.targets).await;
                    targets = new.targets;
                }
                recorder.event(Engine::note(EventKind::Reloaded, format!("{} scopes", scopes.len()))).await?;
                tracing::info!(scopes = scopes.len(), "reloaded; other sections take effect at the next start");
            }
        }
        notify(&[sd_notify::NotifyState::Ready]);
    }
}

fn monotonic() -> sd_notify::NotifyState<'static> {
    sd_notify::NotifyState::monotonic_usec_now().unwrap_or(sd_notify::NotifyState::Reloading)
}

fn ready(engine: &Engine) {
    for (what, why) in &engine.kernel.missing {
        tracing::warn!(hook = what, reason = why, "this host lacks a hook");
    }
    let hooks = engine.kernel.pins().attached().len();
    tracing::info!(port = engine.port, hooks, adopted = engine.kernel.adopted, "ready");
    notify(&[sd_notify::NotifyState::Ready]);
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager was not told");
    }
}

/// A process that is managed must not steer its own guard.
fn is_managed(engine: &Engine, pid: i32) -> bool {
    let Ok(pid) = u32::try_from(pid) else { return true };
    let member = {
        let tables = engine.desk.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.members.read(&pid).is_some()
    };
    member || engine.desk.places().of_process(pid).is_some()
}

/// What operators ask over the control socket.
struct Operator {
    engine: Arc<Engine>,
    office: Arc<Office>,
    recorder: Recorder,
    since: Instant,
}

impl Handler for Operator {
    async fn handle(&self, peer: &Peer, request: Request) -> Response {
        match request {
            Request::Status => Response::Status(self.status()),
            Request::Bypass(request) => self.bypass(peer, request).await,
            Request::ReloadPolicies => match self.engine.reload_policies().await {
                Ok((policies, version)) => Response::PoliciesReloaded { policies, version },
                Err(message) => Response::Refused { message },
            },
            Request::Approvals(_) => {
                Response::Refused { message: "approvals have a socket of their own beside this one".to_owned() }
            }
        }
    }
}

impl Operator {
    fn status(&self) -> Status {
        let tables = self.engine.desk.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counters = named(&tables.counters());
        counters.insert("unrecorded".to_owned(), self.engine.unrecorded());
        let places = self.engine.desk.places();
        let scopes = (0..).zip(places.scopes()).map(|(index, scope)| ScopeStatus {
            name: scope.name.clone(),
            mode: scope.mode,
            fail: scope.fail,
            open_until: tables.scope(index).and_then(|scope| open_until(&scope)),
        });
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.since.elapsed().as_secs(),
            listener_port: self.engine.port,
            hooks: hooks(&self.engine),
            scopes: scopes.collect(),
            live_flows: self.engine.live_flows(),
            lost_events: counters.get("events_lost").copied().unwrap_or(0),
            counters,
            pending_approvals: self.office.docket().pending().len() as u64,
            break_glass: self.office.broken().iter().map(approvals::glass_line).collect(),
        }
    }

    /// Recorded first: an opening that cannot be recorded is not made.
    async fn bypass(&self, peer: &Peer, request: BypassRequest) -> Response {
        let places = self.engine.desk.places();
        let chosen: Vec<_> = (0..)
            .zip(places.scopes())
            .filter(|(_, scope)| match &request.scope {
                ScopeChoice::All => true,
                ScopeChoice::Named(name) => *name == scope.name,
            })
            .collect();
        if chosen.is_empty() {
            return Response::Refused { message: "there is no such scope".to_owned() };
        }
        let mut touched = Vec::new();
        for (index, scope) in chosen {
            let event = opening(&request.bypass, scope.name.as_str(), &format!("uid {} pid {}", peer.uid, peer.pid));
            if let Err(error) = self.recorder.event(event).await {
                return Response::Refused { message: format!("it could not be recorded: {error}") };
            }
            let until = until(&request.bypass);
            let mut tables = self.engine.desk.tables.lock().unwrap_or_else(PoisonError::into_inner);
            let now = abi::Scope { bypass_until_ns: until, ..tables.scope(index).unwrap_or_default() };
            if let Err(error) = tables.put_scope(index, now) {
                return Response::Refused { message: error.to_string() };
            }
            touched.push(OpenScope { name: scope.name.clone(), open_until: open_until(&now) });
        }
        Response::Bypassed { scopes: touched }
    }
}

/// Boot-time nanoseconds until which a request opens a scope; zero closes it.
pub(super) fn until(bypass: &Bypass) -> u64 {
    match bypass {
        Bypass::Open { seconds, .. } => {
            let length = u64::try_from(seconds.duration().as_nanos()).unwrap_or(0);
            Timestamps::now().boot_ns.saturating_add(length)
        }
        Bypass::Close { .. } => 0,
    }
}

/// The record of a request.
pub(super) fn opening(bypass: &Bypass, scope: &str, by: &str) -> EventRecord {
    let (kind, detail) = match bypass {
        Bypass::Open { seconds, reason } => {
            (EventKind::BypassOpened, format!("for {} s by {by}: {}", seconds.duration().as_secs(), reason.as_str()))
        }
        Bypass::Close { reason } => (
            EventKind::BypassClosed,
            format!("by {by}{}", reason.as_ref().map_or_else(String::new, |reason| format!(": {}", reason.as_str()))),
        ),
    };
    EventRecord { scope: Some(scope.to_owned()), ..Engine::note(kind, detail) }
}

/// Until when a scope is open, in seconds since 1970; `None` when it is closed.
pub(super) fn open_until(scope: &abi::Scope) -> Option<i64> {
    let now = Timestamps::now();
    let left = scope.bypass_until_ns.checked_sub(now.boot_ns).filter(|left| *left > 0)?;
    Some(now.wall_ns.saturating_add_unsigned(left) / 1_000_000_000)
}

/// What is attached, without the prefix that keeps a program's name apart from its section's.
fn hooks(engine: &Engine) -> Vec<String> {
    let attached = engine.kernel.pins().attached();
    attached.iter().map(|name| name.trim_start_matches("on_").to_owned()).collect()
}

/// Counters under their names.
fn named(counts: &[u64; abi::COUNTERS as usize]) -> BTreeMap<String, u64> {
    const NAMES: [&str; abi::COUNTERS as usize] = [
        "diverted",
        "published",
        "flow_table_full",
        "storage_full",
        "dns_passed",
        "udp_refused",
        "socket_refused",
        "listener_refused",
        "egress_dropped",
        "device_dropped",
        "events_lost",
        "unknown_diverted",
        "failed_open",
        "bypassed",
        "escapes",
        "option_refused",
        "syn_held",
        "members_full",
    ];
    NAMES.iter().zip(counts).map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// Two descriptors a flow: as many as the system lets us have.
pub(super) fn raise_limits() {
    let wanted = fs::read_to_string("/proc/sys/fs/nr_open").ok().and_then(|text| text.trim().parse().ok());
    let wanted = wanted.unwrap_or(1_048_576);
    let all = Rlimit { current: Some(wanted), maximum: Some(wanted) };
    if setrlimit(Resource::Nofile, all).is_err() {
        let maximum = getrlimit(Resource::Nofile).maximum;
        // What cannot be raised is met as "out of descriptors", and said then.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// Secrets of targets and what clients send are in memory: no core is dumped of it, and nobody without CAP_SYS_PTRACE
/// looks in. What is executed from here can be dumped again.
pub(super) fn keep_memory_private() {
    // This cannot be refused.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// The runtime everything asynchronous runs on.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, AppError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("sallyport").build().map_err(AppError::system("starting threads"))
}

/// Where the daemon's pins are, for those who work past it.
pub(super) fn pins(config: &Config) -> PinDir {
    PinDir::new(&config.intercept.bpffs, DAEMON)
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn memory_is_not_dumped() {
        keep_memory_private();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
