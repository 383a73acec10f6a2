//! Which configured target an address is: networks as they are written, host names as they resolve now.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::net::lookup_host;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{self, TargetHost};
use crate::proxy::Directory;

/// How often host names are resolved again.
const EVERY: Duration = Duration::from_secs(30);
/// Who does not answer by then is asked again the next time.
const PATIENCE: Duration = Duration::from_secs(5);
/// An address that a name had counts so much longer: a process may have asked before it changed.
const AFTERGLOW: Duration = Duration::from_secs(600);
/// Most addresses of one name.
const MOST: usize = 256;

/// The addresses a name has or had, and when it was last seen to have them.
type Names = HashMap<String, HashMap<IpAddr, Instant>>;

/// Keeps a directory of targets in step with the configuration and with the name service.
#[derive(Debug)]
pub(super) struct Targets {
    directory: Arc<ArcSwap<Directory>>,
    known: Mutex<Names>,
}

impl Targets {
    /// Keeps that one.
    pub(super) fn over(directory: Arc<ArcSwap<Directory>>) -> Self {
        Self { directory, known: Mutex::default() }
    }

    /// Takes other targets over, with their host names resolved.
    pub(super) async fn replace(&self, targets: &[config::Target]) {
        let names = self.directory.load().names().clone();
        self.directory.store(Arc::new(Directory::new(targets.to_vec(), names)));
        self.resolve().await;
    }

    /// Resolves host names once. Takes at most as long as a name server is waited for.
    pub(super) async fn resolve(&self) {
        let mut known = self.known.lock().await;
        let targets = self.directory.load().targets().to_vec();
        let names = targets.iter().flat_map(|target| &target.places).filter_map(|place| match &place.host {
            TargetHost::Name(name) => Some(name.clone()),
            TargetHost::Network(..) => None,
        });
        let mut asked: JoinSet<(String, Vec<IpAddr>)> = JoinSet::new();
        for name in names.collect::<BTreeSet<_>>() {
            asked.spawn(resolve(name));
        }
        while let Some(answer) = asked.join_next().await {
            if let Ok((name, addresses)) = answer {
                learn(&mut known, name, addresses);
            }
        }
        let current = known.iter().map(|(name, all)| (name.clone(), all.keys().copied().collect()));
        let current: HashMap<String, Vec<IpAddr>> = current.collect();
        // Whoever replaces targets waits for the lock before it resolves theirs: these are the ones that hold.
        self.directory.store(Arc::new(Directory::new(self.directory.load().targets().to_vec(), current)));
    }

    /// Resolves host names again and again.
    pub(super) async fn follow(self: Arc<Self>) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.resolve().await;
        }
    }
}

async fn resolve(name: String) -> (String, Vec<IpAddr>) {
    let found = timeout(PATIENCE, lookup_host((name.clone(), 0))).await;
    let addresses = match found {
        Ok(Ok(found)) => found.take(MOST).map(|address: SocketAddr| address.ip().to_canonical()).collect(),
        Ok(Err(error)) => {
            tracing::warn!(name, %error, "the host name of a target does not resolve; what it had counts for a while");
            Vec::new()
        }
        Err(_) => {
            tracing::warn!(name, "the host name of a target was not resolved in time; what it had counts for a while");
            Vec::new()
        }
    };
    (name, addresses)
}

fn learn(known: &mut Names, name: String, addresses: Vec<IpAddr>) {
    let now = Instant::now();
    let entry = known.entry(name).or_default();
    entry.extend(addresses.into_iter().map(|address| (address, now)));
    entry.retain(|_, seen| now.duration_since(*seen) < AFTERGLOW);
}
