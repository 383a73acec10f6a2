//! What databases hold: read over a session that is at rest, kept for all that go to the same place.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use lru::LruCache;

use super::{
    fault::{Fault, Who},
    meaning::Meaning,
    protection::Protection,
    upstream::Upstream,
};
use crate::{
    mask::Classes,
    policy::question::Target,
    protocol::postgres::{
        Backend, Frame, Framer, ProtocolError,
        query::{Status, put_query},
        sql::{Catalog, CatalogError, Question, Reading, TEMPORARIES},
    },
};

/// A catalog counts for so long: others change databases too, past this host.
const LIFETIME: Duration = Duration::from_secs(60);
/// Reading one takes no longer than this.
const PATIENCE: Duration = Duration::from_secs(20);
/// Databases whose catalogs are kept.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);
/// Counters of changes.
const COUNTERS: usize = 256;
/// Texts whose meaning is kept with a catalog.
const MEANINGS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
/// The longest text that is kept, bytes.
pub(super) const LONGEST: usize = 16 << 10;

/// A place, a database, a role, and what its startup message says of settings.
pub(super) type Key = (SocketAddr, Box<str>, Box<str>, Box<[u8]>);

/// Catalogs of databases.
#[derive(Debug)]
pub struct Catalogs {
    shelves: Mutex<LruCache<Key, Arc<Shelf>>>,
    /// Changes of databases, by their names' hashes: whatever way, role and settings a change is made with, it is seen by
    /// all. Databases that share a counter are read once more than needed.
    changes: [Arc<AtomicU64>; COUNTERS],
}

/// The place of one database's catalog.
#[derive(Debug)]
pub(super) struct Shelf {
    /// Counts changes that were seen.
    changes: Arc<AtomicU64>,
    read: ArcSwapOption<Known>,
}

/// A catalog that was read, with what came of it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) catalog: Catalog,
    pub(super) protection: Protection,
    meanings: Mutex<LruCache<Box<[u8]>, Arc<Meaning>>>,
    changes: u64,
    at: Instant,
}

/// What reading came to.
pub(super) struct Read {
    catalog: Catalog,
    /// Temporary relations of the session: in no catalog.
    pub(super) temporary: Vec<String>,
    /// Messages that came meanwhile, and are not about it.
    pub(super) beside: Vec<u8>,
}

/// Why there is no catalog.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("the server refused: {0}")]
    Refused(String),
}

impl Read {
    /// The path a session of this role begins with.
    pub(super) fn search_path(&self) -> Option<&str> {
        self.catalog.search_path()
    }
}

impl Default for Catalogs {
    fn default() -> Self {
        Self { shelves: Mutex::new(LruCache::new(MOST)), changes: std::array::from_fn(|_| Arc::default()) }
    }
}

impl Catalogs {
    /// The shelf of a database.
    pub(super) fn shelf(&self, key: Key) -> Arc<Shelf> {
        let mut hasher = DefaultHasher::new();
        key.1.hash(&mut hasher);
        let [counter, ..] = hasher.finish().to_le_bytes();
        let changes = self.changes.get(usize::from(counter)).map(Arc::clone).unwrap_or_default();
        let mut all = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.get_or_insert(key, || Arc::new(Shelf { changes, read: ArcSwapOption::empty() })))
    }
}

impl Shelf {
    /// What is known, if it still counts under this classification.
    pub(super) fn fresh(&self, classes: &Arc<Classes>) -> Option<Arc<Known>> {
        let known = self.read.load_full()?;
        let counts = known.changes == self.changes.load(SeqCst)
            && known.at.elapsed() < LIFETIME
            && Arc::ptr_eq(known.protection.classes(), classes);
        counts.then_some(known)
    }

    /// Something in the database was changed.
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, SeqCst);
    }

    /// Whether there was no change since this was read.
    pub(super) fn is_current(&self, known: &Known) -> bool {
        known.changes == self.changes()
    }

    /// How many changes there were: to be asked before reading.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(SeqCst)
    }

    /// Keeps what was read after so many changes.
    pub(super) fn keep(&self, read: Read, changes: u64, classes: Arc<Classes>, target: Arc<Target>) -> Arc<Known> {
        let known = Known::of(read, changes, classes, target);
        self.read.store(Some(Arc::clone(&known)));
        known
    }
}

impl Known {
    /// Nothing is known of the database.
    pub(super) fn nothing(classes: Arc<Classes>, target: Arc<Target>) -> Arc<Self> {
        let read = Read { catalog: Catalog::default(), temporary: Vec::new(), beside: Vec::new() };
        Self::of(read, 0, classes, target)
    }

    /// What was read after so many changes.
    pub(super) fn of(read: Read, changes: u64, classes: Arc<Classes>, target: Arc<Target>) -> Arc<Self> {
        let protection = Protection::of(classes, target, &read.catalog);
        let meanings = Mutex::new(LruCache::new(MEANINGS));
        Arc::new(Self { catalog: read.catalog, protection, meanings, changes, at: Instant::now() })
    }

    /// The meaning of a text to a session with the names it began with.
    pub(super) fn meaning(&self, text: &[u8]) -> Option<Arc<Meaning>> {
        self.meanings().get(text).map(Arc::clone)
    }

    /// Keeps it.
    pub(super) fn remember(&self, text: &[u8], meaning: &Arc<Meaning>) {
        self.meanings().put(text.into(), Arc::clone(meaning));
    }

    fn meanings(&self) -> MutexGuard<'_, LruCache<Box<[u8]>, Arc<Meaning>>> {
        self.meanings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SETTINGS: &str = "SET LOCAL search_path = ''; SET LOCAL client_encoding = 'UTF8';
    SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL enable_seqscan = on";

/// Reads the catalog over a session that is at rest: nothing is outstanding, and its transaction stands at `status`.
/// What the session had set holds again afterwards.
pub(super) async fn read(server: &mut Upstream, framer: &mut Framer, status: Status) -> Result<Read, Unread> {
    match tokio::time::timeout(PATIENCE, ask(server, framer, status)).await {
        Ok(read) => read,
        // The session stands somewhere in the middle of it.
        Err(_) => Err(Fault::Server(std::io::ErrorKind::TimedOut.into()).into()),
    }
}

async fn ask(server: &mut Upstream, framer: &mut Framer, status: Status) -> Result<Read, Unread> {
    let (begin, end) = match status {
        Status::Block => ("SAVEPOINT sallyport_catalog", "ROLLBACK TO sallyport_catalog; RELEASE sallyport_catalog"),
        Status::Idle | Status::Failed => ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "ROLLBACK"),
    };
    let mut queries = vec![(None, format!("{begin}; {SETTINGS}"))];
    queries.extend(Question::ALL.map(|question| (Some(question), question.sql().to_owned())));
    queries.push((None, TEMPORARIES.to_owned()));
    queries.push((None, end.to_owned()));
    for (_, query) in &queries {
        put_query(server.own(), query.as_bytes());
    }
    let (mut reading, mut temporary, mut beside) = (Reading::default(), Vec::new(), Vec::new());
    let mut failed: Option<Unread> = None;
    for (question, query) in &queries {
        loop {
            let protocol = |error: ProtocolError| Fault::Protocol(Who::Server, error);
            let Some(frame) = framer.next(server.input()).map_err(protocol)? else {
                if server.ended() {
                    return Err(Fault::Server(std::io::ErrorKind::UnexpectedEof.into()).into());
                }
                server.drain().await.map_err(Fault::Server)?;
                server.fill().await.map_err(Fault::Server)?;
                continue;
            };
            let consumed = frame.consumed();
            let Frame::Message { tag, body, bytes } = frame else {
                return Err(protocol(ProtocolError::OutOfTurn).into());
            };
            #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else says anything of the catalog")]
            let done = match Backend::decode(tag, body).map_err(protocol)? {
                Backend::Row(row) => {
                    let cells: Vec<Option<&str>> =
                        row.cells().map(|cell| cell.map(|cell| std::str::from_utf8(cell).unwrap_or("\0"))).collect();
                    match question {
                        Some(question) if failed.is_none() => {
                            failed = reading.row(*question, &cells).err().map(Unread::from);
                        }
                        None if *query == TEMPORARIES => {
                            temporary.extend(cells.into_iter().flatten().map(str::to_owned));
                        }
                        Some(_) | None => {}
                    }
                    false
                }
                Backend::Error(report) => {
                    let why = String::from_utf8_lossy(report.sqlstate()).into_owned();
                    failed.get_or_insert(Unread::Refused(why));
                    false
                }
                Backend::Notification(_) => {
                    beside.extend_from_slice(bytes);
                    false
                }
                message => matches!(message, Backend::Ready(_)),
            };
            server.take(consumed);
            if done {
                break;
            }
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(Read { catalog: reading.finish(), temporary, beside }),
    }
}
