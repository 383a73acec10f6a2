//! What is spoken on a flow: codecs and session machines without sockets, files, clocks or runtime.
//!
//! Bytes and decisions go in, events and bytes come out. What cannot be understood is an error, and is not passed.

pub mod postgres;
mod sniff;

pub use sniff::{Sniffed, sniff};
