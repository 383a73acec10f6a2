//! From the kernel half's reports to the store: named, attributed, and storms made into counts.

use crate::{
    identity::{Attestor, Identity},
    intercept::{
        arrival::{Desk, socket_addr},
        places::Places,
        sweep::Leftover,
    },
    record::{Decision, EventKind, EventRecord, Recorder, Timestamps},
};
use sallyport_ebpf::{self as abi, Event, Hook};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::mpsc, task::JoinHandle};

/// How long alike events are gathered.
const GATHER: Duration = Duration::from_millis(100);

/// Events alike in everything an auditor would tell apart.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    kind: u32,
    hook: u32,
    scope: u32,
    tgid: u32,
    start_ns: u64,
    dest: abi::Addr,
    dest_port: u16,
    family: u32,
    protocol: u32,
}

/// Alike events so far, and who did the first: looked up at once, since the process may be gone in a moment.
struct Gathered {
    first: Event,
    last_ns: u64,
    count: u64,
    identity: JoinHandle<Option<Arc<Identity>>>,
}

/// Records what the kernel half reports until the channel closes.
pub(super) async fn record(
    mut news: mpsc::Receiver<Event>,
    desk: Arc<Desk>,
    attestor: Arc<Attestor>,
    recorder: Recorder,
) {
    while let Some(first) = news.recv().await {
        let mut gathered = HashMap::new();
        add(&mut gathered, first, &attestor);
        let until = tokio::time::Instant::now() + GATHER;
        while let Ok(Some(next)) = tokio::time::timeout_at(until, news.recv()).await {
            add(&mut gathered, next, &attestor);
        }
        for Gathered { first, last_ns, count, identity } in gathered.into_values() {
            let identity = identity.await.ok().flatten();
            let told = told(&first, (last_ns, count), identity, &desk.places());
            if let Some(event) = told
                && let Err(error) = recorder.event(event).await
            {
                tracing::error!(%error, "an event could not be recorded");
            }
        }
    }
}

fn add(gathered: &mut HashMap<Key, Gathered>, event: Event, attestor: &Arc<Attestor>) {
    let key = Key {
        kind: event.kind,
        hook: event.hook,
        scope: event.scope,
        tgid: event.task.tgid,
        start_ns: event.task.start_ns,
        dest: event.dest,
        dest_port: event.dest_port,
        family: event.family,
        protocol: event.protocol,
    };
    let alike = gathered.entry(key).or_insert_with(|| Gathered {
        first: event,
        last_ns: event.stamp_ns,
        count: 0,
        identity: identify(Arc::clone(attestor), event),
    });
    alike.last_ns = event.stamp_ns.max(alike.last_ns);
    alike.count += 1;
}

/// The task at a packet hook may be a bystander, and is not named.
fn identify(attestor: Arc<Attestor>, event: Event) -> JoinHandle<Option<Arc<Identity>>> {
    tokio::task::spawn_blocking(move || {
        if event.hook == Hook::Egress as u32 || event.hook == Hook::Device as u32 {
            return None;
        }
        attestor.cached(&event.task).or_else(|| attestor.attest(&event.task).ok())
    })
}

fn told(
    event: &Event,
    (last_ns, count): (u64, u64),
    identity: Option<Arc<Identity>>,
    places: &Places,
) -> Option<EventRecord> {
    if event.scope == abi::CANARY_SCOPE {
        return None;
    }
    let (kind, decision) = meaning(event.kind, places.observes(event.scope))?;
    let now = Timestamps::now();
    let destination = (event.dest != abi::Addr::default()).then(|| socket_addr(&event.dest, event.dest_port));
    Some(EventRecord {
        hook: hook(event.hook),
        decision,
        scope: places.scope(event.scope).map(|scope| scope.name.as_str().to_owned()),
        task: identity.is_none().then_some(event.task),
        identity,
        protocol: u16::try_from(event.protocol).ok(),
        destination,
        count,
        first: at(now, event.stamp_ns),
        last: at(now, last_ns),
        detail: Some(sentence(event)),
        ..EventRecord::new(kind, now)
    })
}

fn meaning(kind: u32, observed: bool) -> Option<(EventKind, Option<Decision>)> {
    let deny = if observed { Decision::WouldDeny } else { Decision::Deny };
    const REFUSED: u32 = abi::EventKind::Refused as u32;
    const DROPPED: u32 = abi::EventKind::Dropped as u32;
    const FOREIGN: u32 = abi::EventKind::ForeignSocket as u32;
    const ESCAPED: u32 = abi::EventKind::Escaped as u32;
    const FAILED_OPEN: u32 = abi::EventKind::FailedOpen as u32;
    const BYPASSED: u32 = abi::EventKind::Bypassed as u32;
    Some(match kind {
        REFUSED => (EventKind::Refused, Some(deny)),
        DROPPED => (EventKind::Dropped, Some(deny)),
        FOREIGN => (EventKind::ForeignSocket, Some(deny)),
        ESCAPED => (EventKind::Escaped, Some(Decision::Deny)),
        FAILED_OPEN => (EventKind::FailedOpen, Some(Decision::Allow)),
        BYPASSED => (EventKind::Bypassed, Some(Decision::Allow)),
        _ => return None,
    })
}

/// Records what was found open in namespaces that were entered late.
pub(super) async fn record_swept(mut swept: mpsc::UnboundedReceiver<Leftover>, desk: Arc<Desk>, recorder: Recorder) {
    while let Some(found) = swept.recv().await {
        if let Err(error) = recorder.event(leftover(&found, &desk.places())).await {
            tracing::error!(%error, "an ended connection could not be recorded");
        }
    }
}

/// A connection that was there before the programs.
pub(super) fn leftover(found: &Leftover, places: &Places) -> EventRecord {
    EventRecord {
        decision: Some(if found.destroyed { Decision::Deny } else { Decision::WouldDeny }),
        scope: places.scope(found.scope).map(|scope| scope.name.as_str().to_owned()),
        destination: Some(found.remote),
        detail: Some(match found.pid {
            Some(pid) => format!("process {pid} held a connection from {} since before", found.local),
            None => format!("a connection from {} was open since before", found.local),
        }),
        ..EventRecord::new(EventKind::Swept, Timestamps::now())
    }
}

/// The wall time of a boot-time stamp.
fn at(now: Timestamps, boot_ns: u64) -> Timestamps {
    let ago = now.boot_ns.saturating_sub(boot_ns);
    Timestamps { wall_ns: now.wall_ns.saturating_sub_unsigned(ago), boot_ns }
}

fn hook(number: u32) -> Option<Hook> {
    const ALL: [Hook; abi::HOOKS as usize] = [
        Hook::SockCreate,
        Hook::Bind,
        Hook::Connect4,
        Hook::Connect6,
        Hook::Sendmsg4,
        Hook::Sendmsg6,
        Hook::SockOps,
        Hook::Egress,
        Hook::Setsockopt,
        Hook::Device,
        Hook::Lsm,
        Hook::Migrate,
    ];
    ALL.get(number as usize).copied()
}

fn sentence(event: &Event) -> String {
    match hook(event.hook) {
        Some(Hook::SockCreate | Hook::Lsm) => format!(
            "a socket of family {}, type {}, protocol {}: only TCP through the proxy, and DNS",
            event.family, event.sock_type, event.protocol
        ),
        Some(Hook::Bind) => format!("port {} is the proxy's own", event.local_port),
        Some(Hook::Setsockopt) => "an option by which packets leave past every hook".to_owned(),
        Some(Hook::Migrate) if event.kind == abi::EventKind::ForeignSocket as u32 => {
            format!("process {} carried a packet socket into its scope and was ended", event.task.tgid)
        }
        Some(Hook::Migrate) => "a managed process moved a process out of its scope; it stays managed".to_owned(),
        Some(Hook::Egress) => "a packet was leaving past the proxy".to_owned(),
        Some(Hook::Device) => "a packet socket was sending past the proxy".to_owned(),
        _ if event.kind == abi::EventKind::FailedOpen as u32 => {
            "the daemon was not running, and the scope fails open".to_owned()
        }
        _ if event.kind == abi::EventKind::Bypassed as u32 => "the scope was open by an operator's bypass".to_owned(),
        _ if event.protocol == u32::from(abi::UDP) => "UDP other than DNS to a configured resolver".to_owned(),
        _ => "not allowed".to_owned(),
    }
}
