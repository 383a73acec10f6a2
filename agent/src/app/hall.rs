//! Where connections are received: one thread a lane, each with its own runtime, so that a flow never changes threads
//! and waking one never wakes another.

use super::AppError;
use crate::{
    intercept::{
        OrigDst,
        arrival::{Arrival, Desk},
        namespace::{Lane, Listeners, Namespace},
    },
    proxy::{Label, Proxy, vigil},
};
use sallyport_ebpf::CANARY_SCOPE;
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc as blocking,
    },
    thread,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};
use tokio_util::task::TaskTracker;

/// How far the lanes have come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Accepting.
    Open,
    /// Not accepting; flows go on.
    Closed,
    /// Nothing goes on.
    Ended,
}

/// The threads that serve the daemon's own namespace.
pub(super) struct Lanes {
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    phase: watch::Sender<Phase>,
}

impl Lanes {
    /// Starts one thread a lane. `phase` is what the hall follows.
    pub(super) fn start(
        hall: &Hall,
        phase: watch::Sender<Phase>,
        own: &Arc<Namespace>,
        listeners: Listeners,
    ) -> Result<Self, AppError> {
        let mut threads = Vec::new();
        for lane in listeners.into_lanes() {
            let (hall, own, mut seen) = (hall.clone(), Arc::clone(own), hall.phase.clone());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(AppError::system("starting a lane"))?;
            let body = move || {
                runtime.block_on(async {
                    if hall.proxy.limits.busy_poll {
                        drop(tokio::spawn(vigil::keep()));
                    }
                    let accepted = hall.guests.track_future(hall.accept(&own, lane)).await;
                    if let Err(error) = accepted {
                        tracing::error!(%error, "a lane cannot accept");
                    }
                    // An engine that is gone has ended.
                    let _ = seen.wait_for(|phase| *phase >= Phase::Ended).await;
                });
            };
            let thread = thread::Builder::new().name("lane".to_owned()).spawn(body);
            threads.push(thread.map_err(AppError::system("starting a lane"))?);
        }
        Ok(Self { threads: Mutex::new(threads), phase })
    }

    /// Stops accepting, here and in other namespaces, once what waits has been accepted.
    pub(super) fn close(&self) {
        self.phase.send_replace(Phase::Closed);
    }

    /// Ends the threads, and whatever flows are left with them.
    pub(super) fn end(&self) {
        self.phase.send_replace(Phase::Ended);
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // A lane that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// What receiving takes.
#[derive(Clone)]
pub(super) struct Hall {
    pub(super) desk: Arc<Desk>,
    pub(super) proxy: Arc<Proxy>,
    /// Destinations of the canary's connections.
    pub(super) sung: blocking::Sender<OrigDst>,
    /// Until when to accept.
    pub(super) phase: watch::Receiver<Phase>,
    /// Everything that accepts or was accepted, from the moment it is.
    pub(super) guests: TaskTracker,
}

impl Hall {
    /// Accepts from one lane until the phase is over.
    async fn accept(&self, from: &Arc<Namespace>, lane: Lane) -> io::Result<()> {
        let first = self.clone().serve(tokio::net::TcpListener::from_std(lane.v4)?, Arc::clone(from));
        match lane.v6 {
            Some(second) => {
                let second = tokio::net::TcpListener::from_std(second)?;
                tokio::join!(first, self.clone().serve(second, Arc::clone(from)));
            }
            None => first.await,
        }
        Ok(())
    }

    async fn serve(mut self, listener: tokio::net::TcpListener, from: Arc<Namespace>) {
        let told = AtomicBool::new(false);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = self.phase.wait_for(|phase| *phase >= Phase::Closed) => break,
            };
            match accepted {
                Ok((client, peer)) => {
                    told.store(false, Relaxed);
                    self.receive(client, peer, &from);
                }
                Err(error) => {
                    // Out of descriptors, most likely: others will be closed.
                    if !told.swap(true, Relaxed) {
                        tracing::error!(%error, "connections cannot be accepted for the moment");
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        // Whoever believes to be connected is served to the end, or at least recorded.
        let Ok(listener) = listener.into_std() else { return };
        while let Ok((client, peer)) = listener.accept() {
            if client.set_nonblocking(true).is_ok()
                && let Ok(client) = tokio::net::TcpStream::from_std(client)
            {
                self.receive(client, peer, &from);
            }
        }
    }

    fn receive(&self, client: tokio::net::TcpStream, peer: SocketAddr, from: &Arc<Namespace>) {
        let (hall, from) = (self.clone(), Arc::clone(from));
        tokio::spawn(self.guests.track_future(async move {
            let arrival = hall.desk.receive(client, peer, &from);
            hall.welcome(arrival).await;
        }));
    }

    async fn welcome(&self, arrival: Arrival) {
        if let Arrival::Intercepted(intercepted) = &arrival
            && intercepted.scope() == CANARY_SCOPE
        {
            // Nobody waits for it any more after the start.
            let _ = self.sung.send(intercepted.destination());
            return;
        }
        let name = |index| self.desk.places().scope(index).map(Label::of);
        self.proxy.serve(arrival, name).await;
    }

    /// Accepts from namespaces as they are found, and lets them go when nobody is in them.
    pub(super) async fn receive_namespaces(
        self,
        mut opened: mpsc::UnboundedReceiver<(Arc<Namespace>, Listeners)>,
        mut closed: mpsc::UnboundedReceiver<u64>,
    ) {
        let mut acceptors: HashMap<u64, Vec<AbortHandle>> = HashMap::new();
        loop {
            tokio::select! {
                Some((namespace, listeners)) = opened.recv() => {
                    let cookie = namespace.cookie;
                    let tasks = listeners.into_lanes().into_iter().map(|lane| {
                        let (hall, namespace) = (self.clone(), Arc::clone(&namespace));
                        tokio::spawn(self.guests.track_future(async move {
                            if let Err(error) = hall.accept(&namespace, lane).await {
                                tracing::error!(%error, "a network namespace cannot be served");
                            }
                        }))
                    });
                    let tasks = tasks.map(|task| task.abort_handle()).collect();
                    acceptors.insert(cookie, tasks);
                }
                Some(cookie) = closed.recv() => {
                    acceptors.remove(&cookie).iter().flatten().for_each(AbortHandle::abort);
                }
                else => return,
            }
        }
    }
}
