//! What portals give. The server decides that when it binds or declares them: names and views may mean something else by
//! the time they are run, and they still give the same.

use std::{collections::HashMap, sync::Arc};

use super::{meaning::Meaning, talk::Talk};
use crate::protocol::postgres::{
    session::{Asked, Found, Number, Request},
    sql::{Deed, Transaction},
};

/// Most portals with a name that are remembered; those of others are unknown.
const MOST: usize = 8192;

/// A portal that was bound or declared.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) meaning: Arc<Meaning>,
    /// How many changes of the catalog there were when it was sent; none, if it was read by an older one.
    changes: Option<u64>,
    /// The server made it, and nothing had changed by then.
    settled: bool,
    hold: bool,
    /// How often names had come to mean something else, for a portal of Bind: a statement that is no query is looked at again
    /// when it is run.
    pub(super) named: Option<u64>,
    /// Bound by itself, and not run yet.
    pub(super) unrun: bool,
}

impl Made {
    /// How many changes of the catalog there had been when it was certainly right; now there were so many.
    pub(super) fn changes(&self, now: Option<u64>) -> Option<u64> {
        if self.settled { now } else { self.changes }
    }
}

type Key = (Number, Box<[u8]>);

/// The portals of one session.
#[derive(Debug, Default)]
pub(super) struct Portals {
    /// The unnamed one.
    unnamed: Option<(Number, Made)>,
    named: HashMap<Key, Made>,
}

impl Portals {
    /// A request that binds a portal was passed. Gives back one whose place it takes and that was never run.
    pub(super) fn bound(
        &mut self,
        key: (Number, &[u8]),
        meaning: Arc<Meaning>,
        (changes, named): (Option<u64>, u64),
    ) -> Option<Made> {
        let made = Made { meaning, changes, settled: false, hold: false, named: Some(named), unrun: true };
        let (number, name) = key;
        if name.is_empty() {
            let before = self.unnamed.replace((number, made));
            return before.map(|(_, made)| made).filter(|made| made.unrun);
        }
        self.insert((number, name.into()), made);
        None
    }

    /// A request that declares a cursor was passed.
    pub(super) fn declared(&mut self, key: (Number, &[u8]), meaning: Arc<Meaning>, changes: Option<u64>, hold: bool) {
        self.insert((key.0, key.1.into()), Made { meaning, changes, settled: false, hold, named: None, unrun: false });
    }

    fn insert(&mut self, key: Key, made: Made) {
        if !self.is_full() {
            self.named.insert(key, made);
        }
    }

    /// Whether no other with a name is remembered.
    pub(super) fn is_full(&self) -> bool {
        self.named.len() >= MOST
    }

    /// Forgets those with a name that are not there any more.
    pub(super) fn keep(&mut self, is_there: impl Fn(Number, &[u8]) -> bool) {
        self.named.retain(|(number, name), _| is_there(*number, name));
    }

    /// The portal of this name that a request made.
    pub(super) fn get(&mut self, number: Number, name: &[u8]) -> Option<&mut Made> {
        match &mut self.unnamed {
            Some((made_by, made)) if name.is_empty() => (*made_by == number).then_some(made),
            None if name.is_empty() => None,
            Some(_) | None => self.named.get_mut(&(number, name.into())),
        }
    }

    /// The server answered what a request asked for, after so many changes of the catalog.
    pub(super) fn settle(&mut self, number: Number, changes: u64) {
        let unnamed = self.unnamed.iter_mut().filter(|(made_by, _)| *made_by == number).map(|(_, made)| made);
        let named = self.named.iter_mut().filter(|((made_by, _), _)| *made_by == number).map(|(_, made)| made);
        for made in unnamed.chain(named) {
            made.settled = made.changes == Some(changes);
        }
    }

    /// A batch ended, and `next` is the oldest request after it: portals that were bound and not run, which are told once.
    pub(super) fn unrun(&mut self, next: Number) -> Vec<Arc<Meaning>> {
        let unnamed = self.unnamed.iter_mut().filter(|(number, _)| *number < next).map(|(_, made)| made);
        let named = self.named.iter_mut().filter(|((number, _), _)| *number < next).map(|(_, made)| made);
        unnamed
            .chain(named)
            .filter_map(|made| std::mem::take(&mut made.unrun).then(|| Arc::clone(&made.meaning)))
            .collect()
    }

    /// A transaction ended, and `next` is the oldest request after it: what it does not outlive is gone.
    pub(super) fn rest(&mut self, next: Number) {
        self.unnamed = self.unnamed.take().filter(|(number, _)| *number >= next);
        self.named.retain(|(number, _), made| made.hold || *number >= next);
    }
}

impl Talk<'_> {
    /// Remembers what a portal that is bound gives. Gives back what was bound in its place and never run.
    pub(super) fn bind(&mut self, asked: &Asked<'_>, meaning: &Arc<Meaning>) -> Option<Arc<Meaning>> {
        let Request::Bind { bind, .. } = asked.request() else { return None };
        self.make_room_for_portals();
        let at = (self.changes(), self.naming.changes());
        let replaced = self.portals.bound((asked.number(), bind.portal), Arc::clone(meaning), at);
        replaced.map(|made| made.meaning)
    }

    /// Remembers what cursors give that a request declares, where it is certain what names mean to them.
    pub(super) fn declare(&mut self, number: Number, meaning: &Arc<Meaning>) {
        let begins = |one: &Transaction| matches!(one, Transaction::Begin);
        if !meaning.settings.is_empty() || !meaning.transactions.iter().all(begins) {
            return;
        }
        self.make_room_for_portals();
        let changes = self.changes();
        for (_, deed) in &meaning.deeds {
            if let Deed::Declare { name, sql, hold } = deed
                && let Some(text) = meaning.text.get(sql.clone())
                && let Ok(inner) = self.meaning(text)
            {
                self.portals.declared((number, name.as_bytes()), inner, changes, *hold);
            }
        }
    }

    /// Forgets portals that were closed, where many are remembered.
    fn make_room_for_portals(&mut self) {
        if self.portals.is_full() {
            let session = &self.session;
            self.portals.keep(|number, name| match session.portal(name) {
                Found::Known(portal) => portal.made_by == number,
                Found::Unsettled => true,
                Found::Missing => false,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning() -> Arc<Meaning> {
        Arc::new(Meaning::unseen("d"))
    }

    #[test]
    fn a_portal_gives_what_it_gave_when_it_was_made() {
        let mut portals = Portals::default();
        let [first, second, cursor] = std::array::from_fn(|_| meaning());
        assert!(portals.bound((1, b""), Arc::clone(&first), (Some(5), 0)).is_none());
        portals.declared((2, b"c"), Arc::clone(&cursor), Some(5), true);
        assert!(Arc::ptr_eq(&portals.get(1, b"").unwrap().meaning, &first));
        assert!(Arc::ptr_eq(&portals.get(2, b"c").unwrap().meaning, &cursor));
        assert!(portals.get(2, b"").is_none() && portals.get(3, b"c").is_none());
        // One that was never run is told of when another takes its place, or at the end.
        let replaced = portals.bound((3, b""), Arc::clone(&second), (Some(5), 0)).unwrap();
        assert!(Arc::ptr_eq(&replaced.meaning, &first) && portals.get(1, b"").is_none());
        assert_eq!([portals.unrun(3).len(), portals.unrun(4).len(), portals.unrun(4).len()], [0, 1, 0]);
        portals.rest(3);
        assert!(portals.get(3, b"").is_some(), "it is of the next batch");
        portals.rest(4);
        assert!(portals.get(3, b"").is_none() && portals.get(2, b"c").is_some(), "what is held stays");
    }

    #[test]
    fn it_is_right_for_good_once_the_server_made_it_and_nothing_had_changed() {
        let mut portals = Portals::default();
        portals.bound((1, b"p"), meaning(), (Some(5), 0));
        assert_eq!(portals.get(1, b"p").unwrap().changes(Some(9)), Some(5), "it is not answered");
        portals.settle(1, 6);
        assert_eq!(portals.get(1, b"p").unwrap().changes(Some(9)), Some(5), "something had changed");
        portals.settle(1, 5);
        assert_eq!(portals.get(1, b"p").unwrap().changes(Some(9)), Some(9));
        portals.bound((2, b"q"), meaning(), (None, 0));
        portals.settle(2, 5);
        assert_eq!(portals.get(2, b"q").unwrap().changes(Some(9)), None);
    }

    #[test]
    fn there_are_not_more_than_so_many() {
        let mut portals = Portals::default();
        for number in 0..MOST as u64 + 9 {
            portals.bound((number, b"p"), meaning(), (None, 0));
        }
        assert!(portals.is_full() && portals.named.len() == MOST);
        portals.keep(|number, name| number % 2 == 0 && name == b"p");
        assert_eq!(portals.named.len(), MOST / 2);
        portals.bound((1, b"q"), meaning(), (None, 0));
        assert!(portals.get(1, b"q").is_some());
    }
}
