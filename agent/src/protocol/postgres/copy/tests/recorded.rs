//! Streams of a real server.
