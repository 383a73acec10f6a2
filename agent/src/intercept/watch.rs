//! Follows what the kernel half reports, and keeps its tables true as processes, cgroups, devices and namespaces come
//! and go.

use super::{
    InterceptError,
    arrival::Desk,
    kernel::Kernel,
    namespace::{Listeners, Namespace, Seen, guard_devices},
    nursery::Nursery,
    places::processes,
    sockdiag::SockDiag,
    sweep::{self, Leftover, Own},
};
use crate::{
    config::Resolvers,
    sys::{self, Raw},
};
use aya::maps::{MapData, RingBuf};
use sallyport_ebpf::{CANARY_SCOPE, Endpoint, Event, EventKind, Hook, TCP, Verdict};
use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval},
};

/// How often devices and namespaces are looked at.
const TICK: Duration = Duration::from_secs(2);
/// How often the whole cgroup tree is walked, to forget what is gone.
const CENSUS: Duration = Duration::from_secs(60);

/// How long new members wait for others to be searched with.
const TOGETHER: Duration = Duration::from_millis(5);
const AF_PACKET: u32 = 17;

/// What the watcher works on and with.
pub struct Watch {
    /// Tables and selectors.
    pub desk: Arc<Desk>,
    /// For devices.
    pub kernel: Arc<Kernel>,
    /// The daemon's own namespace.
    pub own: Arc<Namespace>,
    /// Port of the listeners, the same everywhere.
    pub port: u16,
    /// Keep-alive of accepted sockets.
    pub keepalive: Duration,
    /// DNS servers.
    pub resolvers: Resolvers,
    /// Where listeners of new namespaces go, to be accepted from until their handle is dropped.
    pub opened: mpsc::UnboundedSender<(Arc<Namespace>, Listeners)>,
    /// Where namespaces that are gone go.
    pub closed: mpsc::UnboundedSender<u64>,
    /// Where everything worth recording goes. Bounded: a full channel holds the ring back, which counts what it loses.
    pub news: mpsc::Sender<Event>,
    /// Where connections go that were found open in a new namespace.
    pub swept: mpsc::UnboundedSender<Leftover>,
    /// The daemon's own cgroup.
    pub own_cgroup: u64,
    /// Changes when there is another set of scopes.
    pub rescoped: watch::Receiver<()>,
    /// Other namespaces: cookie → inode and handle.
    pub others: Mutex<HashMap<u64, (u64, Arc<Namespace>)>>,
    /// Held while a namespace is being entered: one at a time, so none twice.
    pub door: Mutex<()>,
    /// New members that were not searched yet.
    pub arrived: Mutex<HashSet<u32>>,
}

impl Watch {
    /// Follows the ring until the daemon ends.
    ///
    /// # Errors
    /// When the ring cannot be polled.
    pub async fn follow(self: Arc<Self>, ring: RingBuf<MapData>) -> io::Result<()> {
        let mut ring = sys::pollable(ring)?;
        let mut nursery = Nursery::open()?;
        self.classify_below(&mut nursery, Path::new("/"));
        let mut rescoped = self.rescoped.clone();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut census = Instant::now() + CENSUS;
        loop {
            tokio::select! {
                ready = ring.readable_mut() => {
                    let mut ready = ready?;
                    let mut events = Vec::new();
                    while let Some(item) = ready.get_inner_mut().next() {
                        events.extend(sys::event(&item));
                        if events.len() == 256 {
                            break;
                        }
                    }
                    // Ready stays set while the ring may hold more: a cut-short batch is followed by another.
                    if events.len() < 256 {
                        ready.clear_ready();
                    }
                    for event in events {
                        self.take(event).await;
                    }
                }
                born = nursery.born() => {
                    for path in born? {
                        self.classify_below(&mut nursery, &path);
                    }
                }
                // Other selectors, other directories to watch.
                Ok(()) = rescoped.changed() => self.classify_below(&mut nursery, Path::new("/")),
                _ = tick.tick() => {
                    let full = Instant::now() >= census;
                    if full {
                        census = Instant::now() + CENSUS;
                    }
                    let watch = Arc::clone(&self);
                    // Walks /proc, so not on a thread that moves bytes.
                    let _ = tokio::task::spawn_blocking(move || watch.look_around(full)).await;
                }
            }
        }
    }

    /// Classifies a cgroup and everything below, and watches what may get children that matter.
    fn classify_below(&self, nursery: &mut Nursery, path: &Path) {
        let places = self.desk.places();
        let mut watched = Vec::new();
        let published = {
            let mut tables = self.desk.tables.lock().unwrap_or_else(PoisonError::into_inner);
            places.publish_below(path, &mut tables, |_, path| watched.extend(path.map(Path::to_owned)))
        };
        if let Err(error) = published {
            tracing::error!(%error, "new cgroups could not be classified: they are diverted until they are");
        }
        for path in &watched {
            nursery.watch(&places, path);
        }
        // Children made between the walk and the watch.
        for path in &watched {
            let missed = places.unpublished(path, &self.desk.tables);
            missed.iter().for_each(|path| self.classify_below(nursery, path));
        }
    }

    async fn take(self: &Arc<Self>, event: Event) {
        const UNKNOWN: u32 = EventKind::Unknown as u32;
        const NETNS: u32 = EventKind::UnknownNetns as u32;
        const FOREIGN: u32 = EventKind::ForeignSocket as u32;
        const JOINED: u32 = EventKind::Joined as u32;
        match event.kind {
            UNKNOWN => {
                let place = {
                    let mut tables = self.desk.tables.lock().unwrap_or_else(PoisonError::into_inner);
                    self.desk.places().classify(&event.task, &mut tables)
                };
                if place.is_some_and(|place| place.verdict == Verdict::Managed as u32) {
                    self.search(event.task.tgid);
                }
            }
            JOINED => self.search(event.task.tgid),
            NETNS => {
                let watch = Arc::clone(self);
                let seen = Seen { pid: event.task.tgid, cookie: Some(event.netns) };
                tokio::task::spawn_blocking(move || watch.enter(seen));
            }
            FOREIGN => {
                let watch = Arc::clone(self);
                if !self.desk.places().observes(event.scope) {
                    let _ = tokio::task::spawn_blocking(move || watch.end_foreign(event)).await;
                }
                self.tell(event).await;
            }
            _ => self.tell(event).await,
        }
    }

    /// Looks what a new member brought along. Those that come together are looked at together.
    fn search(self: &Arc<Self>, pid: u32) {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.insert(pid);
        if arrived.len() > 1 {
            return;
        }
        let watch = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(TOGETHER).await;
            let _ = tokio::task::spawn_blocking(move || watch.search_arrived()).await;
        });
    }

    fn search_arrived(self: &Arc<Self>) {
        let arrived = std::mem::take(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner));
        for pid in arrived.into_iter().filter(|pid| sweep::holds_packet_socket(*pid)) {
            self.expel(pid);
        }
        self.sweep();
        for (_, namespace) in self.others().values() {
            let watch = Arc::clone(self);
            namespace.inside(move || watch.sweep());
        }
    }

    /// Ends a process that carried a packet socket into its scope: nothing else stops what it can send.
    fn expel(&self, pid: u32) {
        let places = self.desk.places();
        let scope = {
            let tables = self.desk.tables.lock().unwrap_or_else(PoisonError::into_inner);
            tables.members.read(&pid)
        };
        // The canary's own try at a packet socket proves that nothing leaves by one; nobody else is in its scope.
        let Some(scope) = scope.filter(|scope| *scope != CANARY_SCOPE) else { return };
        let mut event =
            Event { kind: EventKind::ForeignSocket as u32, hook: Hook::Migrate as u32, scope, ..Event::default() };
        event.family = AF_PACKET;
        event.task.tgid = pid;
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        event.stamp_ns = now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec).cast_unsigned();
        let observed = places.observes(scope);
        tracing::warn!(pid, observed, "a process carried a packet socket into its scope");
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid.filter(|_| !observed) {
            // One that is gone already sends nothing.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        // A full channel loses the report; the log has it.
        let _ = self.news.try_send(event);
    }

    async fn tell(&self, event: Event) {
        // The receiver lives as long as the daemon.
        let _ = self.news.send(event).await;
    }

    /// Opens a namespace: its listeners first, then the kernel half lets its SYNs through.
    fn enter(self: &Arc<Self>, seen: Seen) {
        let _door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        let inode = fs::metadata(format!("/proc/{}/ns/net", seen.pid)).map_or(0, |meta| meta.ino());
        let known = |(cookie, (known, _)): (&u64, &(u64, _))| seen.cookie == Some(*cookie) || *known == inode;
        if self.others().iter().any(known) {
            return;
        }
        let watch = Arc::clone(self);
        let sweep = move || watch.sweep();
        match Namespace::enter(seen, Arc::clone(&self.kernel), self.port, self.keepalive, sweep) {
            Ok((namespace, listeners)) => {
                let cookie = namespace.cookie;
                self.others().insert(cookie, (inode, Arc::clone(&namespace)));
                let _ = self.opened.send((namespace, listeners));
                let mut tables = self.desk.tables.lock().unwrap_or_else(PoisonError::into_inner);
                if let Err(error) = tables.namespaces.put(&cookie, u32::from(self.port)) {
                    tracing::error!(%error, "managed processes of a network namespace cannot be served");
                }
                tracing::info!(cookie, "serving another network namespace");
            }
            Err(error) => {
                tracing::warn!(pid = seen.pid, %error, "a network namespace cannot be served: its processes are refused");
            }
        }
    }

    /// Ends what members hold open in the calling thread's namespace.
    fn sweep(&self) {
        let places = self.desk.places();
        let found = {
            let tables = self.desk.tables.lock().unwrap_or_else(PoisonError::into_inner);
            sweep::sweep(&places, &tables, Own { cgroup: self.own_cgroup, port: self.port })
        };
        match found {
            Ok(found) => found.into_iter().for_each(|leftover| drop(self.swept.send(leftover))),
            Err(error) => tracing::error!(%error, "connections open in a network namespace could not be ended"),
        }
    }

    fn others(&self) -> std::sync::MutexGuard<'_, HashMap<u64, (u64, Arc<Namespace>)>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Guards new devices, serves namespaces that members are in, leaves those that nobody is in any more.
    fn look_around(self: &Arc<Self>, full: bool) {
        guard_devices(&self.kernel, self.own.cookie);
        if let Err(error) = self.publish_resolvers() {
            tracing::error!(%error, "the DNS servers could not be published");
        }
        let places = self.desk.places();
        let members: HashSet<u32> = {
            let mut tables = self.desk.tables.lock().unwrap_or_else(PoisonError::into_inner);
            if full && let Err(error) = places.publish_cgroups(&mut tables) {
                tracing::error!(%error, "cgroups could not be classified: new ones are diverted until they are");
            }
            tables.members.keys().into_iter().collect()
        };
        self.visit_namespaces(&members);
    }

    fn visit_namespaces(self: &Arc<Self>, members: &HashSet<u32>) {
        let own = fs::metadata("/proc/self/ns/net").map_or(0, |meta| meta.ino());
        let mut inhabited = HashSet::new();
        let mut strangers = HashMap::new();
        for pid in processes() {
            let Ok(inode) = fs::metadata(format!("/proc/{pid}/ns/net")).map(|meta| meta.ino()) else { continue };
            if inode != own {
                inhabited.insert(inode);
                if members.contains(&pid) {
                    strangers.insert(inode, pid);
                }
            }
        }
        let mut gone = Vec::new();
        for (cookie, (inode, namespace)) in self.others().iter() {
            strangers.remove(inode);
            if inhabited.contains(inode) {
                let (kernel, cookie) = (Arc::clone(&self.kernel), *cookie);
                namespace.inside(move || guard_devices(&kernel, cookie));
            } else {
                gone.push(*cookie);
            }
        }
        for pid in strangers.into_values() {
            self.enter(Seen { pid, cookie: None });
        }
        for cookie in gone {
            self.desk.tables.lock().unwrap_or_else(PoisonError::into_inner).namespaces.remove(&cookie);
            self.others().remove(&cookie);
            let _ = self.closed.send(cookie);
            tracing::info!(cookie, "left a network namespace that nobody is in");
        }
    }

    /// Writes the DNS servers into the kernel's table.
    ///
    /// # Errors
    /// When there are more than it holds.
    pub fn publish_resolvers(&self) -> Result<(), InterceptError> {
        let wanted: HashSet<Endpoint> = self.resolvers.now().into_iter().map(endpoint).collect();
        let mut tables = self.desk.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let present: HashSet<Endpoint> = tables.resolvers.keys().into_iter().map(|raw| raw.0).collect();
        for old in present.difference(&wanted) {
            tables.resolvers.remove(&Raw(*old));
        }
        for new in wanted.difference(&present) {
            tables.resolvers.put(&Raw(*new), 1)?;
        }
        Ok(())
    }

    /// Ends a connection that was opened outside every scope and used from inside one, in whichever namespace it is. Until
    /// then, and where the daemon cannot look, the kernel half lets nothing of it out.
    fn end_foreign(&self, event: Event) {
        end_connection(&event);
        for (_, namespace) in self.others().values() {
            namespace.inside(move || end_connection(&event));
        }
    }
}

/// Ends the connection in the calling thread's namespace; socket cookies are unique in the whole system.
fn end_connection(event: &Event) {
    let ended = SockDiag::open().and_then(|diag| {
        let found = diag.list(TCP)?.into_iter().find(|entry| entry.cookie == event.cookie);
        found.map_or(Ok(()), |entry| diag.destroy(&entry))
    });
    if let Err(error) = ended {
        tracing::error!(%error, "a connection handed into a scope could not be ended; its packets are dropped");
    }
}

/// A DNS server as the kernel half looks it up.
fn endpoint(server: std::net::SocketAddr) -> Endpoint {
    Endpoint { addr: super::arrival::addr(server.ip()), port: server.port(), pad: [0; 3] }
}
