//! What a flow has from before its first byte: who, where, under which record.

use std::sync::Arc;

use super::super::Proxy;
use crate::{
    identity::Identity,
    policy::{
        Moment, Question,
        question::{Asked, Circumstances, Execute, SessionSoFar, Subject, Target, Tls},
    },
    record::{SessionId, Timestamps},
};

/// Of one flow.
pub(in super::super) struct Setting<'a> {
    pub(in super::super) proxy: &'a Proxy,
    pub(in super::super) identity: Arc<Identity>,
    pub(in super::super) subject: Arc<Subject>,
    /// With the protocol that was found to be spoken.
    pub(in super::super) target: Arc<Target>,
    /// `None` where it goes on although it could not be recorded.
    pub(in super::super) session: Option<SessionId>,
    /// Whether what policies deny is only said.
    pub(in super::super) observe: bool,
    /// The scope's name.
    pub(in super::super) scope: Option<String>,
    /// TLS on the client's side.
    pub(in super::super) tls: Option<Tls>,
}

impl Setting<'_> {
    /// The question whether a request may be run.
    pub(super) fn question(&self, execute: Arc<Execute>, so_far: SessionSoFar, now: Timestamps) -> Question {
        let circumstances = Circumstances {
            moment: Moment::at(now.wall_ns.div_euclid(1_000_000_000), &self.proxy.zone),
            age: now.boot_ns.saturating_sub(self.identity.process.started) / 1_000_000_000,
            tls: self.tls.clone(),
            session: Some(so_far),
            ..Circumstances::default()
        };
        let (subject, target) = (Arc::clone(&self.subject), Arc::clone(&self.target));
        Question { subject, target, asked: Asked::Execute(execute), circumstances }
    }
}
