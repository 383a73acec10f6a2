//! What may be done, by whom, where: Cedar policies over attested identity and understood requests.
//!
//! Three questions are asked (`question`), of a set of policies that was checked as a whole (`check`) against a schema
//! (`vocabulary`). Everything but [`load`] is pure: texts, values and the time in, a decision out.

mod approval;
pub mod cases;
mod check;
mod clearance;
mod facts;
mod holder;
mod index;
pub mod load;
mod moment;
mod permit;
mod protocol;
pub mod question;
mod set;
mod shape;
mod suggest;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use approval::Approval;
pub use check::{Finding, MAX_POLICIES, Source, check};
pub use clearance::{Cleared, Ruled, as_before, execute, prepare};
pub use holder::{Decision, Holder, Recent};
pub use load::Rejected;
pub use moment::{Moment, Zone};
pub use permit::{Denial, Denied, Gate, Held, Judged, Permitted, connect};
pub use protocol::Protocol;
pub use question::Question;
pub use set::{Cause, Outcome, PolicySet, Verdict, Version};
pub use suggest::{Seen, Suggestion, suggest};
pub use vocabulary::{Action, SCHEMA, VocabularyError};
