//! One side of a flow: its stream, what came of it and was not taken yet, and what is still to go.
//!
//! A flow that is idle holds no buffer: they are lent by the thread, and given back when they are empty.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

/// How much is read at once.
const READ: usize = 64 << 10;
/// Output above this is written before more is made.
pub(super) const HIGH: usize = 256 << 10;
/// Buffers that a thread keeps to lend.
const KEPT: usize = 16;
/// A buffer that grew beyond this is given up instead of kept.
const KEPT_SIZE: usize = 512 << 10;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn borrow() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

fn give_back(buffer: &mut Vec<u8>) {
    if buffer.capacity() == 0 {
        return;
    }
    let mut buffer = std::mem::take(buffer);
    buffer.clear();
    if buffer.capacity() <= KEPT_SIZE {
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEPT {
                spare.push(buffer);
            }
        });
    }
}

/// A stream with its buffers.
pub(super) struct Side<S> {
    stream: S,
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
    sent: usize,
    /// Whether what was written may still be inside the stream.
    unflushed: bool,
    ended: bool,
    moved: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Side<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            sent: 0,
            unflushed: false,
            ended: false,
            moved: 0,
        }
    }

    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// What came and was not taken.
    pub(super) fn input(&self) -> &[u8] {
        self.input.get(self.taken..).unwrap_or_default()
    }

    /// What came, and the place for what goes back.
    pub(super) fn split(&mut self) -> (&[u8], &mut Vec<u8>) {
        if self.output.capacity() == 0 {
            self.output = borrow();
        }
        (self.input.get(self.taken..).unwrap_or_default(), &mut self.output)
    }

    /// Takes bytes from the front.
    pub(super) fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        if self.taken >= self.input.len() {
            self.taken = 0;
            give_back(&mut self.input);
        }
    }

    /// Where to append what goes out.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        self.split().1
    }

    /// Bytes that are still to go.
    pub(super) fn waiting(&self) -> usize {
        self.output.len().saturating_sub(self.sent)
    }

    /// Whether anything is still on its way to the socket: what waits here, and what the stream keeps.
    pub(super) fn unsent(&self) -> bool {
        self.waiting() > 0 || self.unflushed
    }

    /// Whether the peer said that nothing more comes.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes read since the beginning.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// The stream, where nothing is left of it here.
    pub(super) fn into_stream(self) -> Option<S> {
        (self.input().is_empty() && self.waiting() == 0).then_some(self.stream)
    }

    /// Puts bytes before everything that comes, as if they had come.
    pub(super) fn unread(&mut self, mut bytes: Vec<u8>) {
        bytes.extend_from_slice(self.input());
        self.input = bytes;
        self.taken = 0;
    }

    /// Reads what there is; ready when something came, or the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.input.capacity() == 0 {
            self.input = borrow();
        }
        if self.taken > 0 {
            self.input.drain(..self.taken);
            self.taken = 0;
        }
        // What is longer than one read is likely to be much longer.
        self.input.reserve(READ.max(self.input.len()));
        let read = poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input);
        if self.input.is_empty() {
            give_back(&mut self.input);
        }
        let read = ready!(read)?;
        self.ended = read == 0;
        self.moved += read as u64;
        Poll::Ready(Ok(()))
    }

    /// Writes what is to go; ready when nothing is left.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.waiting() > 0 {
            let rest = self.output.get(self.sent..).unwrap_or_default();
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
            self.unflushed = true;
            // A peer that never takes all must not have everything kept that it ever took.
            if self.sent >= HIGH {
                self.output.drain(..self.sent);
                self.sent = 0;
            }
        }
        self.sent = 0;
        give_back(&mut self.output);
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes everything that is to go.
    pub(super) async fn drain(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_drain(cx)).await
    }

    /// Says that nothing more comes, after everything that is to go.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.drain().await?;
        std::future::poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await
    }

    /// Reads once.
    pub(super) async fn fill(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_fill(cx)).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn an_idle_side_holds_no_buffer() {
        let (here, mut there) = tokio::io::duplex(1 << 10);
        let mut side = Side::new(here);
        there.write_all(b"abc").await.unwrap();
        side.fill().await.unwrap();
        side.take(1);
        assert_eq!(side.input(), b"bc");
        side.out().extend_from_slice(b"xyz");
        side.take(2);
        side.drain().await.unwrap();
        assert_eq!((side.input.capacity(), side.output.capacity(), side.moved()), (0, 0, 3));
        let mut seen = [0; 3];
        there.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"xyz");
        drop(there);
        side.fill().await.unwrap();
        assert!(side.ended() && side.input().is_empty());
    }
    /// TLS keeps what its socket does not take, and says that it was written.
    #[tokio::test]
    async fn what_the_stream_kept_is_written_too() {
        let (here, mut there) = tokio::io::duplex(2);
        let mut side = Side::new(tokio::io::BufStream::new(here));
        side.out().extend_from_slice(b"the end");
        // Nothing waits any more, and yet it is not sent: whoever goes on when it is has to know.
        let polled = std::future::poll_fn(|cx| Poll::Ready(side.poll_drain(cx))).await;
        assert!(polled.is_pending() && side.waiting() == 0 && side.unsent());
        let mut seen = [0; 7];
        let read = async {
            // Nobody reads yet, so the flush does not come to its end at once.
            tokio::task::yield_now().await;
            there.read_exact(&mut seen).await
        };
        let both = async { tokio::join!(side.drain(), read) };
        let (drained, read) = tokio::time::timeout(std::time::Duration::from_secs(5), both).await.unwrap();
        drained.unwrap();
        read.unwrap();
        assert_eq!((&seen, side.unsent()), (b"the end", false));
    }

    #[tokio::test]
    async fn what_a_slow_peer_took_is_not_kept() {
        use std::future::poll_fn;
        let (here, mut there) = tokio::io::duplex(50 << 10);
        let mut side = Side::new(here);
        let mut seen = vec![0; 50 << 10];
        for _ in 0..400 {
            // A task may do so much at a time.
            tokio::task::yield_now().await;
            while side.waiting() < HIGH {
                side.out().extend_from_slice(&[7; 64 << 10]);
            }
            let _ = poll_fn(|cx| Poll::Ready(side.poll_drain(cx).is_ready())).await;
            there.read_exact(&mut seen).await.unwrap();
        }
        assert!(side.output.len() < 4 * HIGH, "{} bytes are kept, {} wait", side.output.len(), side.waiting());
    }
}
