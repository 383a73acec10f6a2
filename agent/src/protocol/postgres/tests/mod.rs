//! Whole streams: split anywhere, written back, arbitrary.

mod messages;
mod streams;
