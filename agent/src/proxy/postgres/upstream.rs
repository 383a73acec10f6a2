//! The way to the server: the one place where anything is written to it.

use std::{
    io,
    task::{Context, Poll},
};

use tokio::net::TcpStream;

use super::{side::Side, stream::Stream};
use crate::{policy::Cleared, protocol::postgres::session::Routine, record::RecordedRequest};

/// What may go to the server.
pub(super) enum Outgoing<'a> {
    /// A request that was cleared and recorded.
    Recorded(RecordedRequest<'a>),
    /// A request that only prepares one: it is recorded when it is run.
    Prepared(Cleared<'a>),
    /// What asks for nothing by itself, as the session said.
    Routine(Routine, &'a [u8]),
}

/// The server's side of a flow.
pub(super) struct Upstream(Side<Stream>);

impl Upstream {
    pub(super) fn new(stream: Stream) -> Self {
        Self(Side::new(stream))
    }

    /// Puts it behind what is to go.
    pub(super) fn send(&mut self, outgoing: Outgoing<'_>) {
        let bytes = match outgoing {
            Outgoing::Recorded(recorded) => recorded.into_bytes(),
            Outgoing::Prepared(cleared) => cleared.into_bytes(),
            Outgoing::Routine(Routine { .. }, bytes) => bytes,
        };
        self.0.out().extend_from_slice(bytes);
    }

    /// Has these bytes come first, as if the server had sent them.
    pub(super) fn unread(&mut self, bytes: Vec<u8>) {
        self.0.unread(bytes);
    }

    /// Where messages of our own go: what a session injects, and a login.
    pub(super) fn own(&mut self) -> &mut Vec<u8> {
        self.0.out()
    }

    pub(super) fn socket(&self) -> &TcpStream {
        self.0.stream().socket()
    }

    /// What came and was not taken.
    pub(super) fn input(&self) -> &[u8] {
        self.0.input()
    }

    /// What came, and the place for messages of our own.
    pub(super) fn split(&mut self) -> (&[u8], &mut Vec<u8>) {
        self.0.split()
    }

    /// Takes bytes from the front.
    pub(super) fn take(&mut self, bytes: usize) {
        self.0.take(bytes);
    }

    /// Bytes that are still to go.
    pub(super) fn waiting(&self) -> usize {
        self.0.waiting()
    }

    /// Whether anything is still on its way to the server.
    pub(super) fn unsent(&self) -> bool {
        self.0.unsent()
    }

    /// Whether the server said that nothing more comes.
    pub(super) fn ended(&self) -> bool {
        self.0.ended()
    }

    /// Bytes read since the beginning.
    pub(super) fn moved(&self) -> u64 {
        self.0.moved()
    }

    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_fill(cx)
    }

    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_drain(cx)
    }

    /// Writes everything that is to go.
    pub(super) async fn drain(&mut self) -> io::Result<()> {
        self.0.drain().await
    }

    /// Reads once.
    pub(super) async fn fill(&mut self) -> io::Result<()> {
        self.0.fill().await
    }
}
