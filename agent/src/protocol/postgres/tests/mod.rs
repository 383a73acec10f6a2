//! Whole streams: split anywhere, written back, arbitrary; recorded conversations; and a server that is only a model.

mod messages;
mod model;
mod replay;
mod streams;
