//! Where connections are received: one thread a lane, each with its own runtime, so that a flow never changes threads
//! and waking one never wakes another.

use super::AppError;
use crate::{
    intercept::{
        OrigDst,
        arrival::{Arrival, Desk},
        namespace::{Lane, Listeners, Namespace},
    },
    proxy::Proxy,
};
use sallyport_ebpf::CANARY_SCOPE;
use std::{
    collections::HashMap,
    io,
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

/// Tasks that accept in other namespaces, by cookie.
pub(super) type Acceptors = Arc<Mutex<HashMap<u64, Vec<AbortHandle>>>>;

/// How far the lanes have come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Accepting.
    Open,
    /// Not accepting; flows go on.
    Closed,
    /// Nothing goes on.
    Ended,
}

/// The threads that serve the daemon's own namespace.
pub(super) struct Lanes {
    threads: Vec<thread::JoinHandle<()>>,
    phase: watch::Sender<Phase>,
}

impl Lanes {
    /// Starts one thread a lane.
    pub(super) fn start(hall: &Hall, own: &Arc<Namespace>, listeners: Listeners) -> Result<Self, AppError> {
        let (phase, seen) = watch::channel(Phase::Open);
        let mut threads = Vec::new();
        for lane in listeners.into_lanes() {
            let (hall, own, mut seen) = (hall.clone(), Arc::clone(own), seen.clone());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(AppError::system("starting a lane"))?;
            let body = move || {
                runtime.block_on(async {
                    tokio::select! {
                        accepted = hall.accept(&own, lane) => {
                            if let Err(error) = accepted {
                                tracing::error!(%error, "a lane cannot accept");
                            }
                        }
                        // An engine that is gone has ended.
                        _ = seen.wait_for(|phase| *phase >= Phase::Closed) => {}
                    }
                    let _ = seen.wait_for(|phase| *phase >= Phase::Ended).await;
                });
            };
            let thread = thread::Builder::new().name("lane".to_owned()).spawn(body);
            threads.push(thread.map_err(AppError::system("starting a lane"))?);
        }
        Ok(Self { threads, phase })
    }

    /// Stops accepting.
    pub(super) fn close(&self) {
        self.phase.send_replace(Phase::Closed);
    }

    /// Ends the threads, and whatever flows are left with them.
    pub(super) fn end(&mut self) {
        self.phase.send_replace(Phase::Ended);
        for thread in self.threads.drain(..) {
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
}

impl Hall {
    /// Accepts from one lane until the future is dropped.
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

    async fn serve(self, listener: tokio::net::TcpListener, from: Arc<Namespace>) {
        let told = AtomicBool::new(false);
        loop {
            let (client, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: others will be closed.
                    if !told.swap(true, Relaxed) {
                        tracing::error!(%error, "connections cannot be accepted for the moment");
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            told.store(false, Relaxed);
            let hall = self.clone();
            let from = Arc::clone(&from);
            tokio::spawn(async move {
                let arrival = hall.desk.receive(client, peer, &from);
                hall.welcome(arrival).await;
            });
        }
    }

    async fn welcome(&self, arrival: Arrival) {
        if let Arrival::Intercepted(intercepted) = &arrival
            && intercepted.scope() == CANARY_SCOPE
        {
            // Nobody waits for it any more after the start.
            let _ = self.sung.send(intercepted.destination());
            return;
        }
        let name = |index| self.desk.places().scope(index).map(|scope| scope.name.clone());
        self.proxy.serve(arrival, name).await;
    }

    /// Accepts from namespaces as they are found, and lets them go when nobody is in them.
    pub(super) async fn receive_namespaces(
        self,
        acceptors: Acceptors,
        mut opened: mpsc::UnboundedReceiver<(Arc<Namespace>, Listeners)>,
        mut closed: mpsc::UnboundedReceiver<u64>,
    ) {
        loop {
            tokio::select! {
                Some((namespace, listeners)) = opened.recv() => {
                    let cookie = namespace.cookie;
                    let tasks = listeners.into_lanes().into_iter().map(|lane| {
                        let (hall, namespace) = (self.clone(), Arc::clone(&namespace));
                        tokio::spawn(async move {
                            if let Err(error) = hall.accept(&namespace, lane).await {
                                tracing::error!(%error, "a network namespace cannot be served");
                            }
                        })
                    });
                    let tasks = tasks.map(|task| task.abort_handle()).collect();
                    acceptors.lock().unwrap_or_else(PoisonError::into_inner).insert(cookie, tasks);
                }
                Some(cookie) = closed.recv() => {
                    let gone = acceptors.lock().unwrap_or_else(PoisonError::into_inner).remove(&cookie);
                    gone.iter().flatten().for_each(AbortHandle::abort);
                }
                else => return,
            }
        }
    }
}
