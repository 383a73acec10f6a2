//! The store: every session and every refused attempt, in SQLite, before the first byte moves.
//!
//! One file per segment under `STATE/sessions/`, write-ahead logged. A [`Recorder`] owns a writer thread that commits
//! whatever waits as one transaction. A session that begins returns after its commit or, mostly, after one write to the
//! intents beside the segment; from then on `kill -9` loses nothing. A request that may not go on before it is on the disk
//! returns after one synced write to the journal, which is beside the segment as well. Power loss may cost what was
//! committed in the last fortieth of a second, and nobody waited for ([`Recorder::flush`] waits for the disk). Several
//! processes may write one store. Auditors read the views `sessions`, `statements`, `decisions` and `approvals`,
//! which stay as they are when tables change; [`Store`] reads the same files without write access.

mod checkpoint;
mod command;
mod damage;
mod error;
mod event;
mod evidence;
mod file;
mod held;
mod intents;
mod journal;
mod ledger;
mod opening;
mod options;
mod pairs;
mod payload;
mod process;
pub mod proof;
mod queue;
pub mod read;
mod recorded;
mod recorder;
mod request;
mod reserve;
mod retain;
mod rows;
mod schema;
mod sealing;
mod segment;
mod session;
mod stamp;
#[cfg(test)]
mod tests;
mod verify;
mod words;
mod writer;
mod writers;

pub use error::{RecordError, StoreError};
pub use event::{EventKind, EventRecord, hook_name};
pub use evidence::{Evidence, EvidenceError, evidence};
pub use options::{Options, PayloadLimits};
pub use read::{EventRow, Filter, SessionDetail, SessionRow, Store};
pub use recorded::{Recorded, RecordedRequest, Unrecorded};
pub use recorder::{Recorder, Role, Tap};
pub use request::{
    ApprovalRecord, ApprovalState, Direction, Durability, PayloadRecord, RequestRecord, ResponseRecord, Status,
};
pub use retain::{Retention, holds, set_hold};
pub use segment::signers;
pub use session::{Decision, Outcome, Protocol, SessionEnd, SessionExtra, SessionId, SessionStart, Timestamps};
pub use verify::{Damage, Finding, Report, verify};
