//! The only room that moves client bytes: identified, decided, recorded, then relayed.

pub mod credential;
mod dial;
mod held;
mod live;
mod pipes;
mod postgres;
mod relay;
mod targets;
pub mod tls;
pub mod vigil;

use postgres::Setting;
use tls::{Connector, Terminator};

pub use live::Live;
pub use postgres::{Cancellations, Catalogs};
pub use relay::Totals;
pub use targets::Directory;

use crate::{
    approve::{self, Office},
    config::{self, OnFailure, ScopeName},
    identity::{Attestor, Identity},
    intercept::{
        OrigDst,
        arrival::{Arrival, Intercepted, socket_addr},
        namespace::Namespace,
    },
    mask::Classes,
    policy::{
        self, Denied, Gate, Holder, Judged, Moment, Permitted, Question, Zone,
        question::{Circumstances, Target},
    },
    record::{
        Decision, EventKind, EventRecord, Outcome, Protocol, Recorded, Recorder, SessionEnd, SessionExtra, SessionId,
        SessionStart, Timestamps,
    },
};
use arc_swap::ArcSwap;
use sallyport_ebpf::{MPTCP, Task};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, watch},
};

/// What every flow needs.
pub struct Proxy {
    /// Who is who.
    pub attestor: Arc<Attestor>,
    /// Where everything is written before it happens.
    pub recorder: Recorder,
    /// Timeouts.
    pub limits: config::Proxy,
    /// When recording fails.
    pub on_failure: OnFailure,
    /// Port of the listeners.
    pub own_port: u16,
    /// Room for flows.
    pub room: Semaphore,
    /// Turns true when live flows have to end now.
    pub ended: watch::Receiver<bool>,
    /// Whether running out of room was said already.
    pub told_full: AtomicBool,
    /// What could not be recorded.
    pub unrecorded: Unrecorded,
    /// What is known of servers.
    pub targets: Arc<ArcSwap<Directory>>,
    /// The policies that hold.
    pub policies: Holder,
    /// Whether what they deny is let through, everywhere.
    pub observe: bool,
    /// The time zone of hours and days in policies.
    pub zone: Zone,
    /// Flows that go on.
    pub live: Live,
    /// PostgreSQL sessions that can be cancelled.
    pub cancellations: Cancellations,
    /// What their databases hold.
    pub catalogs: Catalogs,
    /// Reaches upstreams by TLS.
    pub connector: Connector,
    /// Ends the TLS of clients.
    pub terminator: Terminator,
    /// The classification that holds.
    pub classes: ArcSwap<Classes>,
    /// Where people are asked; `None` where nobody could answer.
    pub office: Option<Arc<Office>>,
}

/// Connections that could not be recorded: counted for the status, and told to the store once it works again.
#[derive(Debug, Default)]
pub struct Unrecorded {
    total: AtomicU64,
    untold: Mutex<Option<(u64, Timestamps, Timestamps)>>,
}

impl Unrecorded {
    /// How many there were since the start.
    pub fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    fn note(&self) {
        self.total.fetch_add(1, Relaxed);
        let now = Timestamps::now();
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        *untold = Some(untold.map_or((1, now, now), |(count, first, _)| (count + 1, first, now)));
    }

    fn take(&self) -> Option<(u64, Timestamps, Timestamps)> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What the record says of a scope.
pub struct Label {
    /// Its name.
    pub name: ScopeName,
    /// Its tags, separated by blanks.
    pub tags: Option<String>,
    /// Whether it only says what would be refused.
    pub observe: bool,
}

impl Label {
    /// As the configuration says.
    pub fn of(scope: &config::Scope) -> Self {
        let tags: Vec<&str> = scope.tags.iter().map(config::Tag::as_str).collect();
        let tags = (!tags.is_empty()).then(|| tags.join(" "));
        Self { name: scope.name.clone(), tags, observe: scope.mode == config::Mode::Observe }
    }
}

impl Proxy {
    /// Serves one arrival to its end. `name` is the scope's name for the record.
    pub async fn serve(&self, arrival: Arrival, name: impl Fn(u32) -> Option<Label>) {
        let Ok(_place) = self.room.try_acquire() else {
            if !self.told_full.swap(true, Relaxed) {
                tracing::error!(limit = self.limits.max_connections, "refusing connections: `max_connections` reached");
            }
            return reset(&client_of(arrival));
        };
        self.told_full.store(false, Relaxed);
        match arrival {
            Arrival::Intercepted(intercepted) => {
                let scope = name(intercepted.scope());
                self.intercepted(intercepted, scope).await;
            }
            Arrival::Clear(client, destination, namespace) => self.pass(&client, destination, &namespace).await,
            Arrival::Stray(client, peer) => {
                reset(&client);
                let detail = format!("{} connected straight to the listener, or was diverted for nobody", peer.0);
                self.note(refusal(None, None, detail)).await;
            }
            Arrival::Unplaced(client, flow) => {
                reset(&client);
                let destination = socket_addr(&flow.dest, flow.dest_port);
                let detail = "its cgroup or executable could not be established any more".to_owned();
                self.note(refusal(Some(flow.task), Some(destination), detail)).await;
            }
        }
    }

    async fn intercepted(&self, intercepted: Intercepted, scope: Option<Label>) {
        let identity = match self.identify(&intercepted).await {
            Ok(identity) => identity,
            Err(why) => {
                let event = refusal(Some(intercepted.flow().task), Some(intercepted.destination().0), why);
                reset(&intercepted.into_client());
                return self
                    .note(EventRecord {
                        kind: EventKind::Unattested,
                        scope: scope.map(|scope| scope.name.into()),
                        ..event
                    })
                    .await;
            }
        };
        let observe = self.observe || scope.as_ref().is_some_and(|scope| scope.observe);
        let gate = Gate { own_port: self.own_port, policies: &self.policies, observe };
        let target = self.target_of(&intercepted);
        let start = start(&intercepted, Arc::clone(&identity), scope, &target);
        let circumstances = self.circumstances(&start);
        match policy::connect(intercepted, identity, target, &gate, circumstances) {
            Judged::Permitted(permitted) => {
                let verdict = permitted.verdict();
                let decision = if verdict.allows() { Decision::Allow } else { Decision::WouldDeny };
                let policies = verdict.recorded().map(|text| text.to_string());
                let extra = SessionExtra { policies, ..start.extra.clone() };
                self.permitted(permitted, SessionStart { decision, extra, ..start }, observe).await;
            }
            // Apart, so that a flow that goes on does not take the room they need.
            Judged::Held(held) => Box::pin(self.held(held, start)).await,
            Judged::Denied(denied) => Box::pin(self.denied(*denied, start)).await,
        }
    }

    /// Nothing goes through, unless a break-glass holds that policies know of.
    async fn denied(&self, denied: Denied, start: SessionStart) {
        match self.broken_for(&start) {
            Some(glass) => self.behind_glass(denied, start, glass).await,
            None => self.refused(denied, start).await,
        }
    }

    async fn refused(&self, denied: Denied, start: SessionStart) {
        reset(&denied.intercepted.into_client());
        let policies = denied.verdict.as_ref().and_then(|verdict| verdict.recorded()).map(|text| text.to_string());
        let extra = SessionExtra { policies, ..start.extra.clone() };
        match self.recorder.begin(SessionStart { decision: Decision::Deny, extra, ..start }).await {
            Ok(session) => self.end(session, nothing_moved(Outcome::Denied, denied.why.to_string())).await,
            Err(error) => tracing::error!(%error, "a denied connection could not be recorded"),
        }
    }

    /// What is known of where a connection goes.
    fn target_of(&self, intercepted: &Intercepted) -> Arc<Target> {
        Arc::new(self.targets.load().find(intercepted.destination().0))
    }

    fn circumstances(&self, start: &SessionStart) -> Circumstances {
        let moment = Moment::at(start.started.wall_ns.div_euclid(1_000_000_000), &self.zone);
        let age = start.started.boot_ns.saturating_sub(start.identity.process.started) / 1_000_000_000;
        Circumstances { moment, age, ..Circumstances::default() }
    }

    /// Judges every live flow again, as of `moment`, and ends those that are not allowed any more; says how many.
    pub fn judge_again(&self, moment: &Moment) -> usize {
        self.live.judge(&self.policies, moment, &self.targets.load())
    }

    /// Judges the flows under a grant or a break-glass that is over; says how many were ended.
    pub fn lapse(&self, id: approve::Id) -> usize {
        self.live.lapse(&self.policies, id)
    }

    /// Recorded before any byte goes: the connection to the upstream is being opened meanwhile, and stays silent.
    async fn permitted(&self, permitted: Permitted, start: SessionStart, observe: bool) {
        let scope = start.scope.clone();
        let destination = permitted.intercepted().destination();
        let namespace = Arc::clone(permitted.intercepted().namespace());
        // What is only observed is not ended either.
        let place =
            (!observe).then(|| self.live.enter(&self.policies, permitted.question(), permitted.verdict(), None));
        let dialled = dial::dial(&namespace, destination, &self.limits);
        let (recorded, dialled) = tokio::join!(self.recorder.record(permitted, start), dialled);
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(failed) => {
                tracing::error!(error = %failed.error, "a connection could not be recorded");
                self.unrecorded.note();
                match self.on_failure {
                    OnFailure::Deny => return reset(&failed.permitted.into_intercepted().into_client()),
                    OnFailure::Allow => Recorded::unrecorded(failed.permitted),
                }
            }
        };
        if recorded.is_recorded()
            && let Some((count, first, last)) = self.unrecorded.take()
        {
            let (decision, detail) = match self.on_failure {
                OnFailure::Deny => (Decision::Deny, "connections were refused because they could not be recorded"),
                OnFailure::Allow => (Decision::Allow, "connections went on although they could not be recorded"),
            };
            let (decision, detail) = (Some(decision), Some(detail.to_owned()));
            let event = EventRecord { decision, count, last, detail, ..EventRecord::new(EventKind::Unrecorded, first) };
            Box::pin(self.note(event)).await;
        }
        self.carry(recorded, dialled, place, scope).await;
    }

    /// Serves what is recorded, and records how it ended.
    async fn carry(
        &self,
        recorded: Recorded,
        dialled: std::io::Result<TcpStream>,
        place: Option<live::Place<'_>>,
        scope: Option<String>,
    ) {
        let (question, identity) = (recorded.permitted().question().clone(), recorded.permitted().identity().clone());
        let observe = place.is_none();
        let (client, session) = recorded.into_parts();
        let end = match dialled {
            Ok(upstream) => {
                let Question { subject, target, .. } = question;
                let setting = Setting { proxy: self, identity, subject, target, session, observe, scope, tls: None };
                self.speak(setting, (client, upstream), place).await
            }
            Err(error) => {
                reset(&client);
                nothing_moved(dial::outcome(&error), error.to_string())
            }
        };
        if let Some(session) = session {
            self.end(session, end).await;
        }
    }

    /// Serves a flow as what it is: where nothing is configured, its first bytes say.
    async fn speak(
        &self,
        setting: Setting<'_>,
        (client, upstream): (TcpStream, TcpStream),
        mut place: Option<live::Place<'_>>,
    ) -> SessionEnd {
        let target = &setting.target;
        let configured = self.targets.load().upstream((target.address, target.port).into());
        if target.protocol == policy::Protocol::Postgres {
            return self.converse(setting, &configured, (client, upstream), &mut place).await;
        }
        let sniffs = target.protocol == policy::Protocol::Tcp && target.name.is_none();
        match self.forward((&client, &upstream), setting.session, &mut place, sniffs).await {
            Some(end) => end,
            None => {
                let target = Target { protocol: policy::Protocol::Postgres, ..(*setting.target).clone() };
                let setting = Setting { target: Arc::new(target), ..setting };
                Box::pin(self.converse(setting, &configured, (client, upstream), &mut place)).await
            }
        }
    }

    /// Serves a flow whose messages are understood.
    async fn converse(
        &self,
        setting: Setting<'_>,
        upstream: &config::Upstream,
        ends: (TcpStream, TcpStream),
        place: &mut Option<live::Place<'_>>,
    ) -> SessionEnd {
        let totals = Totals::default();
        let mut stop = self.ended.clone();
        let (outcome, detail) = tokio::select! {
            end = postgres::serve(setting, upstream, ends, &totals) => end,
            _ = stop.wait_for(|stop| *stop) => (Outcome::Drained, None),
            verdict = revoked(place) => {
                (Outcome::Denied, Some(format!("not allowed any more: {}", verdict.client_text())))
            }
            () = relay::silence(&totals, self.limits.idle_timeout) => (Outcome::IdleTimeout, None),
        };
        let moved = |counter: &AtomicU64| counter.load(Relaxed);
        SessionEnd {
            bytes_out: moved(&totals.out),
            bytes_in: moved(&totals.back),
            outcome,
            detail,
            ended: Timestamps::now(),
        }
    }

    /// Relays bytes; nothing when it turns out, where that is looked for, that they can be understood.
    async fn forward(
        &self,
        (client, upstream): (&TcpStream, &TcpStream),
        session: Option<SessionId>,
        place: &mut Option<live::Place<'_>>,
        sniffs: bool,
    ) -> Option<SessionEnd> {
        let totals = Totals::default();
        let tap = session.and_then(|session| self.recorder.tap(session));
        let mut ended = self.ended.clone();
        let relayed = async {
            if sniffs && postgres::is_spoken(client, upstream).await {
                return relay::End::Spoken;
            }
            relay::relay(client, upstream, &totals, self.limits.idle_timeout, tap.as_ref()).await
        };
        let end = tokio::select! {
            end = relayed => end,
            _ = ended.wait_for(|ended| *ended) => relay::End::Drained,
            verdict = revoked(place) => relay::End::Revoked(verdict.client_text()),
            () = relay::silence(&totals, self.limits.idle_timeout), if sniffs => relay::End::Idle,
        };
        let (outcome, detail) = match end {
            relay::End::Spoken => return None,
            relay::End::Closed => (Outcome::Completed, None),
            relay::End::Client(error) => (Outcome::ClientReset, Some(error.to_string())),
            relay::End::Upstream(error) => (Outcome::UpstreamReset, Some(error.to_string())),
            relay::End::Idle => (Outcome::IdleTimeout, None),
            relay::End::Drained => (Outcome::Drained, None),
            relay::End::Revoked(message) => (Outcome::Denied, Some(format!("not allowed any more: {message}"))),
            relay::End::Unrecorded(error) => (Outcome::Failed, Some(error.to_string())),
        };
        if outcome != Outcome::Completed {
            reset(client);
            reset(upstream);
        }
        let moved = |counter: &AtomicU64| counter.load(Relaxed);
        Some(SessionEnd {
            bytes_out: moved(&totals.out),
            bytes_in: moved(&totals.back),
            outcome,
            detail,
            ended: Timestamps::now(),
        })
    }

    /// A connection of a process in no scope, diverted only because nobody knew that yet.
    async fn pass(&self, client: &TcpStream, destination: OrigDst, namespace: &Namespace) {
        match dial::dial(namespace, destination, &self.limits).await {
            // No idle limit: nothing may change for a process that is not managed.
            Ok(upstream) => {
                let end = relay::relay(client, &upstream, &Totals::default(), Duration::MAX, None).await;
                if !matches!(end, relay::End::Closed) {
                    reset(client);
                    reset(&upstream);
                }
            }
            Err(_) => reset(client),
        }
    }

    async fn identify(&self, intercepted: &Intercepted) -> Result<Arc<Identity>, String> {
        let task = intercepted.flow().task;
        if let Some(known) = self.attestor.cached(&task) {
            return Ok(known);
        }
        let attestor = Arc::clone(&self.attestor);
        match tokio::task::spawn_blocking(move || attestor.attest(&task)).await {
            Ok(attested) => attested.map_err(|error| error.to_string()),
            Err(_) => Err("attesting the process failed inside the daemon".to_owned()),
        }
    }

    async fn end(&self, session: SessionId, end: SessionEnd) {
        if let Err(error) = self.recorder.end(session, end).await {
            tracing::error!(%error, "the end of a session could not be recorded");
        }
    }

    async fn note(&self, event: EventRecord) {
        if let Err(error) = self.recorder.event(event).await {
            tracing::error!(%error, "a refused attempt could not be recorded");
        }
    }
}

async fn revoked(place: &mut Option<live::Place<'_>>) -> Arc<policy::Verdict> {
    match place {
        Some(place) => place.revoked().await,
        None => std::future::pending().await,
    }
}

fn start(intercepted: &Intercepted, identity: Arc<Identity>, scope: Option<Label>, target: &Target) -> SessionStart {
    let flow = intercepted.flow();
    let (scope, tags) = scope.map_or((None, None), |scope| (Some(scope.name), scope.tags));
    let all = tags.into_iter().chain(target.tags.iter().cloned());
    let tags = all.reduce(|all, tag| format!("{all} {tag}"));
    SessionStart {
        identity,
        scope: scope.map(String::from),
        // Where nobody said so, it is not known yet, and the row is written before anybody can know.
        protocol: if target.protocol == policy::Protocol::Postgres {
            Protocol::Postgres
        } else if flow.protocol == MPTCP {
            Protocol::Mptcp
        } else {
            Protocol::Tcp
        },
        client: intercepted.peer().0,
        destination: intercepted.destination().0,
        netns: flow.netns,
        decision: Decision::Allow,
        started: Timestamps::now(),
        extra: SessionExtra { tags, target: target.name.clone(), ..SessionExtra::default() },
    }
}

fn nothing_moved(outcome: Outcome, detail: String) -> SessionEnd {
    SessionEnd { bytes_out: 0, bytes_in: 0, outcome, detail: Some(detail), ended: Timestamps::now() }
}

fn refusal(task: Option<Task>, destination: Option<SocketAddr>, detail: String) -> EventRecord {
    EventRecord {
        decision: Some(Decision::Deny),
        task,
        destination,
        detail: Some(detail),
        ..EventRecord::new(EventKind::Refused, Timestamps::now())
    }
}

fn client_of(arrival: Arrival) -> TcpStream {
    match arrival {
        Arrival::Intercepted(intercepted) => intercepted.into_client(),
        Arrival::Clear(client, ..) | Arrival::Stray(client, _) | Arrival::Unplaced(client, _) => client,
    }
}

/// Makes the close of this socket a reset.
fn reset(socket: &TcpStream) {
    // A socket that takes no option any more is closed already.
    let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
}
