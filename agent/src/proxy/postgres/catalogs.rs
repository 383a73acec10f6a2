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
    naming::Said,
    protection::Protection,
    upstream::Upstream,
};
use crate::{
    mask::Classes,
    policy::question::Target,
    protocol::postgres::{
        Backend, Frame, Framer, ProtocolError,
        query::{Status, put_query},
        sql::{Catalog, CatalogError, Name, Path, Question, Quoting, Reading, TEMPORARIES},
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
    /// What names mean in them.
    names: Option<(Path, Option<Name>)>,
    changes: u64,
    at: Instant,
}

/// What reading came to.
pub(super) struct Read {
    catalog: Catalog,
    /// Temporary relations of the session: in no catalog.
    pub(super) temporary: Vec<String>,
    /// Whether the transaction it was read in sees the database as it was when it began.
    pub(super) looks_back: bool,
    /// What names meant to who read it, where that was certain.
    pub(super) names: Option<(Path, Option<Name>)>,
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
    /// Nothing is known of the database, after so many changes.
    pub(super) fn nothing(changes: u64, classes: Arc<Classes>, target: Arc<Target>) -> Arc<Self> {
        let (catalog, names) = (Catalog::default(), None);
        let meanings = Mutex::new(LruCache::new(MEANINGS));
        let protection = Protection::blind(classes, target);
        Arc::new(Self { catalog, protection, meanings, names, changes, at: Instant::now() })
    }

    /// What was read after so many changes.
    pub(super) fn of(read: Read, changes: u64, classes: Arc<Classes>, target: Arc<Target>) -> Arc<Self> {
        let protection = Protection::of(classes, target, &read.catalog);
        let meanings = Mutex::new(LruCache::new(MEANINGS));
        Arc::new(Self { catalog: read.catalog, protection, meanings, names: read.names, changes, at: Instant::now() })
    }

    /// Whether meanings that are kept here are those of a session with these names.
    pub(super) fn is_for(&self, (path, user): (&Path, Option<&Name>)) -> bool {
        self.names.as_ref().is_some_and(|names| (&names.0, names.1.as_ref()) == (path, user))
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
    let mut queries = vec![(Ask::Nothing, format!("{ISOLATION}; {begin}; {SETTINGS}"))];
    queries.extend(Question::ALL.map(|question| (Ask::Catalog(question), question.sql().to_owned())));
    queries.push((Ask::Temporaries, TEMPORARIES.to_owned()));
    queries.push((Ask::Nothing, end.to_owned()));
    let (mut reading, mut temporary) = (Reading::default(), Vec::new());
    let mut isolation = None;
    let beside = converse(server, framer, &queries, |ask, cells| {
        match ask {
            Ask::Catalog(question) => reading.row(*question, cells)?,
            Ask::Temporaries => temporary.extend(cells.iter().flatten().map(|name| (*name).to_owned())),
            Ask::Nothing => isolation = cells.first().copied().flatten().map(str::to_owned),
        }
        Ok(())
    })
    .await?;
    let looks_back = isolation.as_deref().is_none_or(looks_back);
    Ok(Read { catalog: reading.finish(), temporary, looks_back, names: None, beside })
}

/// What an answer's rows are.
enum Ask {
    Catalog(Question),
    Temporaries,
    Nothing,
}

/// Words that nobody can give another meaning, and that make no transaction look at anything.
const NAMES: &str = "SHOW search_path; SHOW role; SHOW session_authorization; SHOW standard_conforming_strings;
    SHOW client_encoding";
const ISOLATION: &str = "SHOW transaction_isolation";

fn looks_back(isolation: &str) -> bool {
    !matches!(isolation, "read committed" | "read uncommitted")
}

/// Asks what names mean and how texts are read, over a session that is at rest. With messages that came meanwhile.
pub(super) async fn names(server: &mut Upstream, framer: &mut Framer) -> Result<(Said, Vec<u8>), Fault> {
    let mut told: Vec<Option<String>> = Vec::new();
    let queries = [((), NAMES.to_owned())];
    let asked = converse(server, framer, &queries, |(), cells| {
        told.push(cells.first().copied().flatten().map(str::to_owned));
        Ok(())
    });
    let beside = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(beside)) => beside,
        Ok(Err(Unread::Fault(fault))) => return Err(fault),
        // Nothing is known then, and nothing is read by it.
        Ok(Err(Unread::Catalog(_) | Unread::Refused(_))) => Vec::new(),
        Err(_) => return Err(Fault::Server(std::io::ErrorKind::TimedOut.into())),
    };
    Ok((said(&told), beside))
}

fn said(told: &[Option<String>]) -> Said {
    let at = |place: usize| told.get(place).and_then(Option::as_deref);
    // In another encoding, what is not ASCII says nothing here.
    let path = at(0).filter(|path| path.is_ascii() || at(4) == Some("UTF8")).map_or(Path::Unknown, Path::of);
    let user = match at(1) {
        Some("none") => at(2),
        role => role,
    };
    Said {
        path,
        user: user.filter(|user| user.is_ascii() || at(4) == Some("UTF8")).map(Name::from),
        quoting: if at(3) == Some("on") { Quoting::Standard } else { Quoting::Backslash },
        encoding: at(4).unwrap_or("unknown").into(),
    }
}

/// Sends queries, and shows each row of their answers. Gives back messages that came meanwhile and are not about them.
async fn converse<Q>(
    server: &mut Upstream,
    framer: &mut Framer,
    queries: &[(Q, String)],
    mut row: impl FnMut(&Q, &[Option<&str>]) -> Result<(), CatalogError>,
) -> Result<Vec<u8>, Unread> {
    for (_, query) in queries {
        put_query(server.own(), query.as_bytes());
    }
    let mut beside = Vec::new();
    let mut failed: Option<Unread> = None;
    for (question, _) in queries {
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
            #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else says anything of what was asked")]
            let done = match Backend::decode(tag, body).map_err(protocol)? {
                Backend::Row(cells) if failed.is_none() => {
                    let cells: Vec<Option<&str>> =
                        cells.cells().map(|cell| cell.map(|cell| std::str::from_utf8(cell).unwrap_or("\0"))).collect();
                    failed = row(question, &cells).err().map(Unread::from);
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
    failed.map_or(Ok(beside), Err)
}
