//! Cancellations: who may cancel what, and of which session.
//!
//! A client cancels on a connection of its own, with the key its session was given. It is passed on if a session through
//! this proxy to the same place has that key, and the one who asks is the workload that has the session.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// A place, a process and its key.
type Key = (SocketAddr, u32, Box<[u8]>);

/// Sessions that can be cancelled.
#[derive(Default)]
pub struct Cancellations(Mutex<HashMap<Key, Entry>>);

struct Entry {
    /// The workload's SPIFFE ID.
    workload: Arc<str>,
    database: Arc<str>,
    asked: Arc<Notify>,
}

/// A session's place among them, given back when dropped.
pub(super) struct Registered<'a> {
    all: &'a Cancellations,
    key: Key,
}

/// What a key stands for.
pub(super) struct Found {
    pub(super) database: Arc<str>,
    /// Tells the session that its client wants to cancel.
    pub(super) asked: Arc<Notify>,
}

impl Cancellations {
    /// Enters a session that was given this key; `asked` is told when it is used.
    pub(super) fn register(
        &self,
        (place, process, key): (SocketAddr, u32, &[u8]),
        workload: &str,
        database: &str,
        asked: &Arc<Notify>,
    ) -> Registered<'_> {
        let key = (place, process, Box::from(key));
        let entry = Entry { workload: workload.into(), database: database.into(), asked: Arc::clone(asked) };
        self.lock().insert(key.clone(), entry);
        Registered { all: self, key }
    }

    /// The session of this key, if it is this workload's own.
    pub(super) fn find(&self, place: SocketAddr, process: u32, key: &[u8], workload: &str) -> Option<Found> {
        let sessions = self.lock();
        let entry = sessions.get(&(place, process, Box::from(key)))?;
        let found = || Found { database: Arc::clone(&entry.database), asked: Arc::clone(&entry.asked) };
        (*entry.workload == *workload).then(found)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_good_for_its_own_workload_only() {
        let (all, asked) = (Cancellations::default(), Arc::new(Notify::new()));
        let place: SocketAddr = "10.0.0.5:5432".parse().unwrap();
        let other: SocketAddr = "10.0.0.6:5432".parse().unwrap();
        let registered = all.register((place, 7, b"key!"), "spiffe://a", "app", &asked);
        assert_eq!(&*all.find(place, 7, b"key!", "spiffe://a").unwrap().database, "app");
        for (place, process, key, workload) in [
            (other, 7, &b"key!"[..], "spiffe://a"),
            (place, 8, b"key!", "spiffe://a"),
            (place, 7, b"key?", "spiffe://a"),
            (place, 7, b"key!", "spiffe://b"),
        ] {
            assert!(all.find(place, process, key, workload).is_none());
        }
        drop(registered);
        assert!(all.find(place, 7, b"key!", "spiffe://a").is_none());
    }
}
