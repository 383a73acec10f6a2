//! Interception from nothing to proven, and back: what the daemon and a command run on its own have in common.

use super::{
    AppError,
    hall::{Hall, Lanes, Phase},
    masking,
    policies::{self, Policies},
    reports,
    targets::Targets,
};
use crate::{
    approve::{self, Office},
    config::{self, Config},
    identity::Attestor,
    intercept::{
        InterceptError, OrigDst,
        arrival::Desk,
        canary,
        kernel::{Kernel, PinDir, Setup},
        namespace::{Listeners, Namespace, guard_devices},
        places::Places,
        sweep,
        tables::{self, Sockets, Tables},
        watch::Watch,
    },
    mask::Classes,
    proxy::{
        Cancellations, Catalogs, Directory, Live, Proxy, Unrecorded,
        tls::{Connector, Scope, Terminator},
    },
    record::{EventKind, EventRecord, Recorder, Timestamps},
};
use aya::maps::{MapData, RingBuf};
use rustix::fs::{FlockOperation, flock};
use sallyport_ebpf::{ABI_VERSION, Settings};
use std::{
    fs::File,
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool, mpsc as blocking},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
};
use tokio_util::task::TaskTracker;

/// Threads that serve flows; more than this many would mostly wait for the store.
const MAX_LANES: usize = 16;
/// Reports on their way to the store.
const NEWS: usize = 1024;
/// How long flows that were told to end get for saying so in the store.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What to start.
pub(super) struct Plan<'a> {
    /// Timeouts, capacities and scopes.
    pub config: &'a Config,
    /// Name of the pin directory.
    pub instance: &'a str,
    /// Mount point of the v2 hierarchy.
    pub cgroup_root: &'a Path,
    /// The daemon's own cgroup.
    pub own_cgroup: u64,
    /// The store.
    pub recorder: Recorder,
    /// The selected cgroups are all there already.
    pub settled: bool,
    /// Where people are asked, if anywhere.
    pub office: Option<Arc<Office>>,
}

/// Interception, running.
pub(super) struct Engine {
    pub(super) kernel: Arc<Kernel>,
    pub(super) desk: Arc<Desk>,
    pub(super) port: u16,
    own_cgroup: u64,
    own_netns: u64,
    recorder: Recorder,
    proxy: Arc<Proxy>,
    policies: Arc<Policies>,
    targets: Arc<Targets>,
    capacity: usize,
    end_flows: watch::Sender<bool>,
    rescoped: watch::Sender<()>,
    lanes: Lanes,
    guests: TaskTracker,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// The kernel half with its tables, configured and attached.
struct Attached {
    kernel: Kernel,
    tables: Arc<Mutex<Tables>>,
    sockets: Sockets,
    ring: RingBuf<MapData>,
    places: Places,
    own: Arc<Namespace>,
    listeners: Listeners,
    port: u16,
}

impl Engine {
    /// Loads, attaches, sweeps and proves. When this returns, nothing of a managed process goes past the proxy.
    pub(super) async fn start(plan: Plan<'_>) -> Result<Self, AppError> {
        let cage = canary::Cage::make(plan.cgroup_root)?;
        for maps in PinDir::others(&plan.config.intercept.bpffs, plan.instance) {
            tables::introduce(&maps, &[plan.own_cgroup, cage.id()]);
        }
        let attached = attach(&plan)?;
        let Attached { kernel, tables, sockets, ring, places, own, listeners, port } = attached;
        let (kernel, places) = (Arc::new(kernel), Arc::new(places));
        let desk = Arc::new(Desk { sockets, tables, places: Mutex::new(Arc::clone(&places)) });
        let (end_flows, ended) = watch::channel(false);
        let attestor = Arc::new(attestor(plan.config, plan.cgroup_root)?);
        // Looked at before it is read: what changes meanwhile is read again.
        let marks = policies::class_marks(&plan.config.policy.directory);
        let (classes, mask_key) = masking::open(plan.config)?;
        let proxy = Arc::new(proxy(&plan, &attestor, (port, ended), classes)?);
        let targets = Arc::new(Targets::over(Arc::clone(&proxy.targets)));
        targets.resolve().await;
        let capacity = plan.config.proxy.max_connections.get() as usize;
        let directory = plan.config.policy.directory.clone();
        let policies = Policies::new(directory, (mask_key, marks), Arc::clone(&proxy), plan.recorder.clone());
        let v6 = listeners.has_v6();
        let (sung, arrivals) = blocking::channel();
        let (phase, seen) = watch::channel(Phase::Open);
        let guests = TaskTracker::new();
        let hall =
            Hall { desk: Arc::clone(&desk), proxy: Arc::clone(&proxy), sung, phase: seen, guests: guests.clone() };
        let (opened_tx, opened) = mpsc::unbounded_channel();
        let (closed_tx, closed) = mpsc::unbounded_channel();
        let (news_tx, news) = mpsc::channel(NEWS);
        let (swept_tx, swept) = mpsc::unbounded_channel();
        let (rescoped, rescoped_rx) = watch::channel(());
        let watcher = Arc::new(Watch {
            desk: Arc::clone(&desk),
            kernel: Arc::clone(&kernel),
            own: Arc::clone(&own),
            port,
            keepalive: plan.config.proxy.keepalive,
            resolvers: plan.config.intercept.resolvers.clone(),
            opened: opened_tx,
            closed: closed_tx,
            news: news_tx,
            swept: swept_tx,
            own_cgroup: plan.own_cgroup,
            rescoped: rescoped_rx,
            others: Mutex::default(),
            door: Mutex::default(),
            arrived: Mutex::default(),
        });
        watcher.publish_resolvers()?;
        let lanes = Lanes::start(&hall, phase, &own, listeners)?;
        let mut tasks = vec![tokio::spawn(hall.receive_namespaces(opened, closed))];
        let reporter = reports::record(news, Arc::clone(&desk), attestor, plan.recorder.clone());
        tasks.push(tokio::spawn(reporter));
        tasks.push(tokio::spawn(reports::record_swept(swept, Arc::clone(&desk), plan.recorder.clone())));
        tasks.push(tokio::spawn(async move {
            if let Err(error) = watcher.follow(ring).await {
                tracing::error!(%error, "the kernel's reports cannot be read any more");
            }
        }));
        tasks.push(tokio::spawn(Arc::clone(&policies).follow()));
        tasks.push(tokio::spawn(Arc::clone(&targets).follow()));
        let engine = Self {
            policies,
            targets,
            kernel,
            desk,
            port,
            own_cgroup: plan.own_cgroup,
            own_netns: own.cookie,
            recorder: plan.recorder,
            proxy,
            capacity,
            end_flows,
            rescoped,
            lanes,
            guests,
            tasks: Mutex::new(tasks),
        };
        engine.secure((plan.cgroup_root, cage), v6, arrivals).await?;
        Ok(engine)
    }

    /// Guards devices, ends what was open before, and lets the canary sing.
    async fn secure(
        &self,
        (root, cage): (&Path, canary::Cage),
        v6: bool,
        arrivals: blocking::Receiver<OrigDst>,
    ) -> Result<(), AppError> {
        guard_devices(&self.kernel, self.own_netns);
        self.sweep().await?;
        let (root, tables, own_port) = (root.to_owned(), Arc::clone(&self.desk.tables), self.port);
        let sung = tokio::task::spawn_blocking(move || {
            canary::prove(&canary::Site { cgroup_root: &root, tables: &tables, own_port, v6 }, &cage, &arrivals)
        });
        match sung.await {
            Ok(proven) => Ok(proven?),
            Err(error) => Err(AppError::System { what: "the canary", source: error.into() }),
        }
    }

    /// Ends, or in `observe` reports, what managed processes hold from before.
    pub(super) async fn sweep(&self) -> Result<(), AppError> {
        let places = self.desk.places();
        let found = {
            let tables = self.desk.tables.lock().unwrap_or_else(PoisonError::into_inner);
            sweep::sweep(&places, &tables, sweep::Own { cgroup: self.own_cgroup, port: self.port })?
        };
        for leftover in &found {
            self.recorder.event(reports::leftover(leftover, &places)).await?;
        }
        Ok(())
    }

    /// Takes over another set of scopes: tables first, then connections of whoever is newly in scope.
    pub(super) async fn rescope(&self, scopes: Vec<config::Scope>, root: &Path) -> Result<(), AppError> {
        let places = Arc::new(Places::new(scopes, root.to_owned()));
        {
            let mut tables = self.desk.tables.lock().unwrap_or_else(PoisonError::into_inner);
            places.publish(&mut tables)?;
            let settings = settings(self.port, &places, self.own_cgroup, self.own_netns);
            tables.put_settings(settings)?;
        }
        *self.desk.places.lock().unwrap_or_else(PoisonError::into_inner) = places;
        self.rescoped.send_replace(());
        self.sweep().await
    }

    /// Takes other targets over, and judges live flows by what they say of their destinations.
    pub(super) async fn retarget(&self, targets: &[config::Target]) {
        self.targets.replace(targets).await;
        self.policies.judge().await;
    }

    /// Reads the policies again.
    pub(super) async fn reload_policies(&self) -> Result<(u64, String), String> {
        self.policies.reload().await
    }

    /// Ends what ran under a grant or a break-glass that is over; says how many flows.
    pub(super) fn lapse(&self, id: approve::Id) -> usize {
        self.proxy.lapse(id)
    }

    /// Connections that could not be recorded since the start.
    pub(super) fn unrecorded(&self) -> u64 {
        self.proxy.unrecorded.total()
    }

    /// Flows open now.
    pub(super) fn live_flows(&self) -> u64 {
        self.capacity.saturating_sub(self.proxy.room.available_permits()) as u64
    }

    /// Stops accepting, lets flows finish for `drain`, then ends the rest. The programs stay attached: what was
    /// managed stays closed.
    pub(super) async fn stop(&self, drain: Duration, note: Option<EventRecord>) {
        self.lanes.close();
        self.guests.close();
        if tokio::time::timeout(drain, self.guests.wait()).await.is_err() {
            tracing::warn!(flows = self.live_flows(), "ending flows that did not finish in time");
            // Flows that are gone already need no telling.
            let _ = self.end_flows.send(true);
            if tokio::time::timeout(LAST_WORDS, self.guests.wait()).await.is_err() {
                tracing::error!(flows = self.live_flows(), "flows do not end: how they ended is not recorded");
            }
        }
        self.lanes.end();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks.into_iter().rev() {
            task.abort();
            // Aborted on purpose.
            let _ = task.await;
        }
        if let Some(note) = note
            && let Err(error) = self.recorder.event(note).await
        {
            tracing::error!(%error, "the end could not be recorded");
        }
        if let Err(error) = self.recorder.close().await {
            tracing::error!(%error, "the store could not be closed in order");
        }
    }

    /// A record of something the daemon itself did.
    pub(super) fn note(kind: EventKind, detail: impl Into<String>) -> EventRecord {
        EventRecord { detail: Some(detail.into()), ..EventRecord::new(kind, Timestamps::now()) }
    }
}

/// What serves every flow.
fn proxy(
    plan: &Plan<'_>,
    attestor: &Arc<Attestor>,
    (own_port, ended): (u16, watch::Receiver<bool>),
    classes: Arc<Classes>,
) -> Result<Proxy, AppError> {
    let config = plan.config;
    Ok(Proxy {
        attestor: Arc::clone(attestor),
        recorder: plan.recorder.clone(),
        limits: config.proxy.clone(),
        on_failure: config.audit.on_failure,
        own_port,
        room: Semaphore::new(config.proxy.max_connections.get() as usize),
        ended,
        told_full: AtomicBool::new(false),
        unrecorded: Unrecorded::default(),
        targets: Arc::new(arc_swap::ArcSwap::from_pointee(Directory::new(config.targets.clone(), Default::default()))),
        policies: policies::open(&config.policy)?,
        observe: config.policy.mode == Some(config::Mode::Observe),
        zone: config.policy.zone.clone(),
        live: Live::default(),
        cancellations: Cancellations::default(),
        catalogs: Catalogs::default(),
        connector: Connector::default(),
        terminator: terminator(config),
        classes: arc_swap::ArcSwap::new(classes),
        office: plan.office.clone(),
    })
}

fn terminator(config: &Config) -> Terminator {
    Terminator::new(config.state_dir.clone(), config.identity.host.as_str().to_owned(), Scope::of(&config.targets))
}

/// Loads the kernel half, fills its tables, listens, and attaches, in this order: when the first program diverts,
/// somebody listens, and everything that exists is classified.
fn attach(plan: &Plan<'_>) -> Result<Attached, AppError> {
    let intercept = &plan.config.intercept;
    let pins = PinDir::new(&intercept.bpffs, plan.instance);
    let setup = Setup { cgroup_root: plan.cgroup_root, pins, max_flows: intercept.max_flows.value() };
    let mut kernel = Kernel::load(&setup)?;
    let (mut tables, sockets, ring) = Tables::open(&mut kernel)?;
    let own = Namespace::own()?;
    let places = Places::new(plan.config.scopes.clone(), plan.cgroup_root.to_owned());
    let places = if plan.settled { places.settled() } else { places };
    // A predecessor's port is guarded by its programs; they have to know us before we may bind it.
    let before = u16::try_from(tables.settings().listener_port).ok().filter(|port| *port != 0);
    tables.put_settings(settings(before.unwrap_or(0), &places, plan.own_cgroup, own.cookie))?;
    let keepalive = plan.config.proxy.keepalive;
    // One instance at a time chooses a port, until its programs keep the others off it.
    let door = File::open(plan.cgroup_root).map_err(AppError::system("opening the cgroup v2 root"))?;
    flock(&door, FlockOperation::LockExclusive)
        .map_err(|error| AppError::System { what: "waiting for another instance to start", source: error.into() })?;
    let (listeners, port) = listen(intercept, before, keepalive)?;
    tables.put_settings(settings(port, &places, plan.own_cgroup, own.cookie))?;
    // Listeners in other namespaces died with the predecessor.
    for cookie in tables.namespaces.keys() {
        tables.namespaces.remove(&cookie);
    }
    places.publish(&mut tables)?;
    kernel.attach()?;
    match listeners.are_alone(port) {
        Ok(true) => {}
        Ok(false) => return Err(InterceptError::SharedPort(port).into()),
        Err(source) => return Err(AppError::System { what: "reading the socket table", source }),
    }
    // Whoever came between the two walks is found by the second, and whoever comes later by the programs.
    places.publish(&mut tables)?;
    let tables = Arc::new(Mutex::new(tables));
    Ok(Attached { kernel, tables, sockets, ring, places, own, listeners, port })
}

/// Listens on the configured port; without one on the predecessor's, or else on a free one.
fn listen(
    intercept: &config::Intercept,
    before: Option<u16>,
    keepalive: Duration,
) -> Result<(Listeners, u16), InterceptError> {
    let range = config::Intercept::FREE_PORTS;
    let lanes = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_LANES);
    match (intercept.listen_port, before) {
        (Some(port), _) => Listeners::open(Some(port.get()), range, lanes, keepalive),
        (None, Some(before)) => Listeners::open(Some(before), range.clone(), lanes, keepalive)
            .or_else(|_| Listeners::open(None, range, lanes, keepalive)),
        (None, None) => Listeners::open(None, range, lanes, keepalive),
    }
}

fn settings(port: u16, places: &Places, own_cgroup: u64, own_netns: u64) -> Settings {
    Settings {
        abi: ABI_VERSION,
        listener_port: u32::from(port),
        matching: places.matching(),
        pad: 0,
        own_cgroup,
        own_netns,
    }
}

fn attestor(config: &Config, root: &Path) -> Result<Attestor, AppError> {
    let (domain, host) = (config.identity.trust_domain.as_str(), config.identity.host.as_str());
    Ok(Attestor::new(domain, host, "/proc".into(), root.to_owned())?)
}
