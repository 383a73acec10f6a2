//! The way to the server: the one place where anything is written to it.

use std::{
    io,
    os::fd::AsFd as _,
    task::{Context, Poll},
};

use tokio::net::TcpStream;

use super::{side::Side, stream::Stream};
use crate::{policy::Cleared, protocol::postgres::session::Routine, record::RecordedRequest, sys};

/// What may go to the server.
pub(super) enum Outgoing<'a> {
    /// A request that was cleared and recorded.
    Recorded(RecordedRequest<'a>),
    /// A request that only prepares one: it is recorded when it is run.
    Prepared(Cleared<'a>),
    /// What asks for nothing by itself, as the session said.
    Routine(Routine, &'a [u8]),
}

/// What is gathered of a long answer before it is looked at, bytes.
const GATHERED: i32 = 32 << 10;

/// The server's side of a flow.
pub(super) struct Upstream {
    side: Side<Stream>,
    gathers: bool,
}

impl Upstream {
    pub(super) fn new(stream: Stream) -> Self {
        Self { side: Side::new(stream), gathers: false }
    }

    /// Puts it behind what is to go.
    pub(super) fn send(&mut self, outgoing: Outgoing<'_>) {
        let bytes = match outgoing {
            Outgoing::Recorded(recorded) => recorded.into_bytes(),
            Outgoing::Prepared(cleared) => cleared.into_bytes(),
            Outgoing::Routine(Routine { .. }, bytes) => bytes,
        };
        self.side.out().extend_from_slice(bytes);
    }

    /// Has these bytes come first, as if the server had sent them.
    pub(super) fn unread(&mut self, bytes: Vec<u8>) {
        self.side.unread(bytes);
    }

    /// Where messages of our own go: what a session injects, and a login.
    pub(super) fn own(&mut self) -> &mut Vec<u8> {
        self.side.out()
    }

    pub(super) fn socket(&self) -> &TcpStream {
        self.side.stream().socket()
    }

    /// What came and was not taken.
    pub(super) fn input(&self) -> &[u8] {
        self.side.input()
    }

    /// What came, and the place for messages of our own.
    pub(super) fn split(&mut self) -> (&[u8], &mut Vec<u8>) {
        self.side.split()
    }

    /// Takes bytes from the front.
    pub(super) fn take(&mut self, bytes: usize) {
        self.side.take(bytes);
    }

    /// Bytes that are still to go.
    pub(super) fn waiting(&self) -> usize {
        self.side.waiting()
    }

    /// Whether anything is still on its way to the server.
    pub(super) fn unsent(&self) -> bool {
        self.side.unsent()
    }

    /// Whether the server said that nothing more comes.
    pub(super) fn ended(&self) -> bool {
        self.side.ended()
    }

    /// Bytes read since the beginning.
    pub(super) fn moved(&self) -> u64 {
        self.side.moved()
    }

    /// Whether the kernel gathers what comes before it tells of it.
    pub(super) fn gathers(&self) -> bool {
        self.gathers
    }

    /// Has the kernel gather what comes, or tell of every byte: what it has by then, it tells at once.
    pub(super) fn gather(&mut self, gathers: bool) -> io::Result<()> {
        if self.gathers != gathers {
            sys::readable_from(self.socket().as_fd(), if gathers { GATHERED } else { 1 })?;
            self.gathers = gathers;
        }
        Ok(())
    }

    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.side.poll_fill(cx)
    }

    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.side.poll_drain(cx)
    }

    /// Writes everything that is to go.
    pub(super) async fn drain(&mut self) -> io::Result<()> {
        self.side.drain().await
    }

    /// Reads once, however little there is.
    pub(super) async fn fill(&mut self) -> io::Result<()> {
        self.gather(false)?;
        self.side.fill().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn what_is_little_is_read_after_something_was_gathered() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut there, _) = listener.accept().await.unwrap();
        let mut upstream = Upstream::new(Stream::Plain(here));
        upstream.gather(true).unwrap();
        there.write_all(&[0; 40 << 10]).await.unwrap();
        while upstream.moved() < 40 << 10 {
            upstream.fill().await.unwrap();
        }
        there.write_all(b"little").await.unwrap();
        let filled = tokio::time::timeout(std::time::Duration::from_secs(2), upstream.fill()).await;
        assert!(filled.is_ok(), "it is never told of");
    }
}
