//! People's approval of what policies hold: asked, waited for, counted, bound to one exact request, and recorded.
//!
//! `docket` is the whole meaning and pure: what waits, who may answer, what an answer releases. `office` gives it a
//! clock, the record and those who wait; `crier` and `door` are the ways out and in for people who are elsewhere. A held request goes on with a [`Release`] only, which is made here for its
//! digest, and after policies were asked again with the approval as a fact.

mod crier;
mod docket;
mod door;
mod glass;
mod grant;
mod link;
mod local;
mod office;
mod page;
mod people;
mod request;
mod secret;
mod slack;
mod steps;
#[cfg(test)]
mod tests;
mod webhook;

pub use crier::Crier;
pub use docket::{Answer, Ask, DENIED_FOR, Docket, End, Pending, Refusal, Rules, Settled};
pub use door::Door;
pub use glass::{Glass, Whom};
pub use grant::{Extent, Grant, Id, Length, Release, Session};
pub use link::{Choice, Links, Ticket};
pub use local::{Host, Unknown};
pub use office::{Effect, Office, Standing, Teller, Unheard, Waiting};
pub use people::{Approver, Channel, Person, Vote, Votes};
pub use request::{About, Digest, Inner, Request, Statement};
pub use secret::Secret;
pub use slack::{Chat, Pressed, Refused};
pub use webhook::{Messages, Receiver, Undelivered};
