//! The policies of a running daemon: taken over at the start, when their files change, and on request.

use super::{AppError, engine::Engine};
use crate::{
    config::{self, Mode},
    mask::{self, Key},
    policy::{Holder, Moment, PolicySet, Rejected, Zone, load},
    proxy::Proxy,
    record::{EventKind, EventRecord, Recorder, Timestamps},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How often the directory is looked at. A change is in force within this and the time it takes to check it.
const LOOK: Duration = Duration::from_secs(1);
/// How often live flows are judged again where policies look at the time.
const TIME_PASSES: Duration = Duration::from_secs(15);

/// What of the policies a running daemon keeps.
pub(super) struct Policies {
    directory: PathBuf,
    mask_key: Arc<Key>,
    proxy: Arc<Proxy>,
    recorder: Recorder,
    /// One reload at a time; and the files of the classification as they were when they were last read.
    turn: tokio::sync::Mutex<Marks>,
}

/// Files as they were when somebody looked, or why nobody could.
pub(super) type Marks = Result<Vec<load::Mark>, String>;

/// The policies as they are at the start.
///
/// # Errors
/// When they are wrong, or are not where somebody said they are.
pub(super) fn open(config: &config::Policy) -> Result<Holder, AppError> {
    let set = match load::load(&config.directory) {
        Ok(set) => set,
        Err(rejected) if rejected.missing && !config.required => PolicySet::empty(),
        Err(rejected) => return Err(AppError::Policies(rejected)),
    };
    for warning in set.warnings() {
        tracing::warn!("{warning}");
    }
    let set = match config.mode {
        // Nobody asked for anything: everything is observed.
        None | Some(Mode::Observe) if set.is_empty() => PolicySet::unconfigured(),
        None | Some(_) => set,
    };
    Ok(Holder::new(set, clock))
}

fn clock() -> Duration {
    Duration::from_nanos(Timestamps::now().boot_ns)
}

/// Now, for policies.
pub(super) fn moment(zone: &Zone) -> Moment {
    Moment::at(Timestamps::now().wall_ns.div_euclid(1_000_000_000), zone)
}

impl Policies {
    /// `masking`: the key of pseudonyms, and the files of the classification as they were before they were read.
    pub(super) fn new(
        directory: PathBuf,
        (mask_key, marks): (Arc<Key>, Marks),
        proxy: Arc<Proxy>,
        recorder: Recorder,
    ) -> Arc<Self> {
        Arc::new(Self { directory, mask_key, proxy, recorder, turn: tokio::sync::Mutex::new(marks) })
    }

    /// Reads the classification again where its files changed; if it is good, it holds from the next request on.
    async fn reload_classes(&self, before: &mut Marks) -> Result<(), String> {
        let directory = self.directory.clone();
        let looked = tokio::task::spawn_blocking(move || class_marks(&directory)).await;
        let now = looked.unwrap_or_else(|error| Err(error.to_string()));
        if now == *before {
            return Ok(());
        }
        *before = now;
        let (directory, key) = (self.directory.clone(), Arc::clone(&self.mask_key));
        let loaded = tokio::task::spawn_blocking(move || mask::load::load(&directory, &key)).await;
        match loaded {
            Ok(Ok(classes)) => {
                let count = classes.iter().count();
                if count == 0 && self.proxy.classes.load().iter().next().is_none() {
                    return Ok(());
                }
                self.proxy.classes.store(Arc::new(classes));
                tracing::info!(classes = count, "another classification holds");
                self.note(EventKind::PolicyChanged, format!("another classification: {count} classes")).await;
            }
            // There was none, and policies that are not there any more are told of.
            Ok(Err(rejected)) if rejected.missing && self.proxy.classes.load().iter().next().is_none() => {}
            Ok(Err(rejected)) => {
                let told = format!("the classification was not reloaded; the old one stays\n{rejected}");
                tracing::error!("{told}");
                let first = rejected.findings.first().map(ToString::to_string).unwrap_or_default();
                let first = first.lines().next().unwrap_or_default();
                self.note(EventKind::PolicyRejected, format!("classification: {first}")).await;
                return Err(told);
            }
            Err(error) => {
                tracing::error!(%error, "reading the classification failed inside the daemon");
                return Err("reading the classification failed inside the daemon".to_owned());
            }
        }
        Ok(())
    }

    /// Reads the directory again; what is good in it and other than before holds, policies and classification each for
    /// itself, and live flows are judged by it. Gives what holds then, or what is wrong.
    pub(super) async fn reload(&self) -> Result<(u64, String), String> {
        let mut marks = self.turn.lock().await;
        let reloaded = self.reload_policies().await;
        self.reload_classes(&mut marks).await?;
        reloaded
    }

    async fn reload_policies(&self) -> Result<(u64, String), String> {
        let (proxy, directory) = (Arc::clone(&self.proxy), self.directory.clone());
        let reloaded = tokio::task::spawn_blocking(move || proxy.policies.reload(&directory)).await;
        let holds = || Ok((self.proxy.policies.policies() as u64, self.proxy.policies.version().to_string()));
        match reloaded {
            Ok(Ok(changed)) => {
                if changed {
                    self.changed().await;
                }
                holds()
            }
            Ok(Err(rejected)) if rejected.missing && self.proxy.policies.policies() == 0 => holds(),
            Ok(Err(rejected)) => {
                let told = format!("the policies were not reloaded; the old ones stay\n{rejected}");
                tracing::error!("{told}");
                let first = rejected.findings.first().map(ToString::to_string).unwrap_or_default();
                let first = first.lines().next().unwrap_or_default();
                self.note(EventKind::PolicyRejected, format!("{} mistakes: {first}", rejected.findings.len())).await;
                Err(told)
            }
            Err(error) => {
                tracing::error!(%error, "reading the policies failed inside the daemon");
                Err("reading the policies failed inside the daemon".to_owned())
            }
        }
    }

    async fn changed(&self) {
        let (version, policies) = (self.proxy.policies.version(), self.proxy.policies.policies());
        let ended = self.judge().await;
        tracing::info!(policies, ended, "other policies hold: sha256:{version}");
        let detail = format!("{policies} policies, sha256:{version}; {ended} live flows ended");
        self.note(EventKind::PolicyChanged, detail).await;
    }

    async fn note(&self, kind: EventKind, detail: String) {
        let event: EventRecord = Engine::note(kind, detail);
        if let Err(error) = self.recorder.event(event).await {
            tracing::error!(%error, "a change of policies could not be recorded");
        }
    }

    /// Judges live flows again; says how many were told to end.
    pub(super) async fn judge(&self) -> usize {
        let proxy = Arc::clone(&self.proxy);
        let judged = tokio::task::spawn_blocking(move || proxy.judge_again(&moment(&proxy.zone)));
        judged.await.unwrap_or_else(|error| {
            tracing::error!(%error, "judging live flows failed inside the daemon");
            0
        })
    }

    /// Follows the directory, and the time.
    pub(super) async fn follow(self: Arc<Self>) {
        let look = |directory: PathBuf| async {
            tokio::task::spawn_blocking(move || {
                load::marks(&directory).map_err(|rejected: Rejected| rejected.to_string())
            })
            .await
            .unwrap_or_else(|error| Err(error.to_string()))
        };
        let mut before = look(self.directory.clone()).await;
        let mut judged = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = look(self.directory.clone()).await;
            let mut marks = self.turn.lock().await;
            // What is wrong was told where it was found.
            if now != before {
                before = now;
                let _ = self.reload_policies().await;
            }
            let _ = self.reload_classes(&mut marks).await;
            drop(marks);
            if self.proxy.policies.depends_on_time() && judged.elapsed() >= TIME_PASSES {
                judged = tokio::time::Instant::now();
                let ended = self.judge().await;
                if ended > 0 {
                    tracing::info!(ended, "live flows ended: policies look at the time");
                }
            }
        }
    }
}

/// The files of the classification as they are now.
pub(super) fn class_marks(directory: &Path) -> Marks {
    mask::load::marks(directory).map_err(|rejected: Rejected| rejected.to_string())
}
