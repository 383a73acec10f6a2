//! Says outside what waits and what was settled.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::docket::{Pending, Settled};
use super::link::{Choice, Links};
use super::page::{self, Pair};
use super::steps::wall;
use super::webhook::Messages;
use crate::record::Timestamps;

/// Whom to tell, and who gets links of their own.
pub struct Crier {
    /// The receivers.
    pub messages: Messages,
    /// What signs links.
    pub links: Arc<Mutex<Links>>,
    /// What links begin with; without it there are none.
    pub base: Option<String>,
    /// Who gets links, by names of this host.
    pub people: Vec<String>,
}

impl Crier {
    /// The message that something waits, with a pair of links for everybody but the requester.
    pub(super) fn waits<W>(&self, pending: &Pending<W>) -> Value {
        let expires = wall(pending.until, Timestamps::now()).div_euclid(1_000_000_000);
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = |person: &String| {
            let base = self.base.as_ref()?;
            let link = |choice| {
                let token = links.issue(pending.id, person, choice, pending.until)?;
                Some(format!("{base}/link/{token}"))
            };
            Some(Pair { person: person.clone(), approve: link(Choice::Approve)?, deny: link(Choice::Deny)? })
        };
        let own = |person: &&String| !pending.request.requester().is(&super::Person::named(person, None));
        let pairs: Vec<Pair> = self.people.iter().filter(own).filter_map(pair).collect();
        page::waits(pending, expires, &pairs)
    }

    /// The message that something was settled.
    pub(super) fn settled(&self, settled: &Settled) -> Value {
        page::settled(settled)
    }

    /// Sends one.
    pub(super) async fn cry(&self, message: Value) {
        self.messages.send(&message).await;
    }
}
