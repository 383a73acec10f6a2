//! PostgreSQL's frontend/backend protocol, versions 3.0 and 3.2: bytes to messages, messages to a session's state.
//!
//! `frame` finds messages in a stream, `message` and the files it names read and write them in place, `session` keeps
//! what the server keeps and says which request an answer belongs to, `value` reads and writes the cells themselves.

pub mod error;
pub mod frame;
pub mod message;
pub mod startup;

pub mod auth;
pub mod copy;
pub mod extended;
pub mod function;
pub mod login;
pub mod notice;
pub mod notify;
pub mod query;
pub mod rows;
pub mod scram;
pub mod wire;

pub mod session;
pub mod sql;
pub mod value;

#[cfg(test)]
mod tests;

pub use error::{Malformed, ProtocolError};
pub use frame::{Bulk, Frame, Framer, Limits};
pub use message::{Backend, Frontend};
pub use startup::Startup;
pub use wire::{Format, Formats, Oid, Oids, Values};
