//! Which configured target an address is: networks as they are written, host names as they resolve now.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::net::lookup_host;
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

/// Keeps a directory of targets in step with the configuration and with the name service.
#[derive(Debug)]
pub(super) struct Targets {
    directory: Arc<ArcSwap<Directory>>,
}

/// The addresses a name has or had, and when it was last seen to have them.
type Names = HashMap<String, HashMap<IpAddr, Instant>>;

impl Targets {
    pub(super) fn new(targets: &[config::Target]) -> Self {
        let directory = Directory::new(targets.to_vec(), HashMap::new());
        Self { directory: Arc::new(ArcSwap::from_pointee(directory)) }
    }

    /// What connections are looked up in.
    pub(super) fn directory(&self) -> Arc<ArcSwap<Directory>> {
        Arc::clone(&self.directory)
    }

    /// Takes other targets over; names that are new are resolved at the next turn.
    pub(super) fn replace(&self, targets: &[config::Target]) {
        let now = self.directory.load();
        self.directory.store(Arc::new(Directory::new(targets.to_vec(), now.names().clone())));
    }

    /// Resolves host names, again and again.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut known = Names::new();
        loop {
            let targets = self.directory.load().targets().to_vec();
            let names = targets.iter().flat_map(|target| &target.places).filter_map(|place| match &place.host {
                TargetHost::Name(name) => Some(name.clone()),
                TargetHost::Network(..) => None,
            });
            let mut asked: JoinSet<(String, Vec<IpAddr>)> = JoinSet::new();
            for name in names.collect::<std::collections::BTreeSet<_>>() {
                asked.spawn(resolve(name));
            }
            while let Some(answer) = asked.join_next().await {
                if let Ok((name, addresses)) = answer {
                    learn(&mut known, name, addresses);
                }
            }
            let current = known.iter().map(|(name, all)| (name.clone(), all.keys().copied().collect()));
            let current: HashMap<String, Vec<IpAddr>> = current.collect();
            if current != *self.directory.load().names() {
                // Targets may have been replaced meanwhile.
                let targets = self.directory.load().targets().to_vec();
                self.directory.store(Arc::new(Directory::new(targets, current)));
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

async fn resolve(name: String) -> (String, Vec<IpAddr>) {
    let found = timeout(PATIENCE, lookup_host((name.as_str(), 0))).await;
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
