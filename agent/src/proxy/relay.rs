//! Moves bytes both ways until both ends are done: back-pressure, half-close, resets mirrored.
//!
//! Nothing is held while a flow is idle. Small amounts go through a buffer that all flows of a thread share; when a
//! direction fills it again and again, it changes over to `splice(2)`, where pages go from socket to socket through a
//! pipe and are never copied here. The pipe goes back when the burst is over.

use super::pipes::Pipe;
use crate::record::{Direction, RecordError, Tap};
use rustix::net::RecvFlags;
use std::{
    cell::RefCell,
    io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    io::Interest,
    net::TcpStream,
    time::{Instant, sleep_until},
};

/// One read of the copying path. Large enough that a full one means bulk.
const BUFFER: usize = 64 * 1024;
/// This many full reads in a row are a bulk transfer.
const BULK_AFTER: u32 = 2;
/// A splice that moves less than this ends the bulk transfer, once the socket is empty.
const TRICKLE: usize = 16 * 1024;
/// Reads in a row before other flows of the thread get their turn.
const TURN: u32 = 16;

thread_local! {
    static SHARED: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into_boxed_slice());
}

/// How a relay ended. The side is the one whose socket said so.
#[derive(Debug)]
pub enum End {
    /// Both sides closed in order.
    Closed,
    /// Nothing was moved: it is PostgreSQL, and is understood elsewhere.
    Spoken,
    /// The client's socket failed.
    Client(io::Error),
    /// The upstream's socket failed.
    Upstream(io::Error),
    /// The daemon stops, and the time to finish is over.
    Drained,
    /// Neither side sent anything for the idle time.
    Idle,
    /// Policy does not allow it any more; this is its message.
    Revoked(String),
    /// What passed could not be recorded, and may not pass then.
    Unrecorded(RecordError),
}

/// Bytes moved each way, readable at any time.
#[derive(Debug, Default)]
pub struct Totals {
    /// Client to upstream.
    pub out: AtomicU64,
    /// Upstream to client.
    pub back: AtomicU64,
}

/// Relays until both directions ended, one failed, or nothing moved for `idle`. With a tap everything is recorded before
/// it is sent on.
pub async fn relay(
    client: &TcpStream,
    upstream: &TcpStream,
    totals: &Totals,
    idle: Duration,
    tap: Option<&Tap>,
) -> End {
    let one_way = async |from, to, moved, direction| match tap {
        Some(tap) => pump_recorded(from, to, moved, (tap, direction)).await,
        None => pump(from, to, moved).await,
    };
    let out = async {
        one_way(client, upstream, &totals.out, Direction::Out)
            .await
            .map_err(|side| side.pick(End::Client, End::Upstream))
    };
    let back = async {
        one_way(upstream, client, &totals.back, Direction::In)
            .await
            .map_err(|side| side.pick(End::Upstream, End::Client))
    };
    tokio::select! {
        ended = async { tokio::try_join!(out, back) } => ended.map_or_else(|end| end, |_| End::Closed),
        () = silence(totals, idle) => End::Idle,
    }
}

/// Which socket of one direction failed.
enum Side {
    Source(io::Error),
    Sink(io::Error),
    Record(RecordError),
}

impl Side {
    fn pick(self, source: fn(io::Error) -> End, sink: fn(io::Error) -> End) -> End {
        match self {
            Self::Source(error) => source(error),
            Self::Sink(error) => sink(error),
            Self::Record(error) => End::Unrecorded(error),
        }
    }
}

/// Ends when nothing moved for the whole time.
pub(super) async fn silence(totals: &Totals, idle: Duration) {
    let mut seen = (totals.out.load(Relaxed), totals.back.load(Relaxed));
    loop {
        let Some(until) = Instant::now().checked_add(idle) else { return std::future::pending().await };
        sleep_until(until).await;
        let now = (totals.out.load(Relaxed), totals.back.load(Relaxed));
        if now == seen {
            return;
        }
        seen = now;
    }
}

/// One direction until end of file, which is passed on as a half-close.
async fn pump(source: &TcpStream, sink: &TcpStream, moved: &AtomicU64) -> Result<(), Side> {
    let mut full_in_a_row = 0;
    let mut turn = 0;
    loop {
        if full_in_a_row >= BULK_AFTER
            && let Some(pipe) = Pipe::lease()
        {
            if splice_burst(source, sink, moved, &pipe).await? == Burst::EndOfFile {
                return half_close(sink);
            }
            full_in_a_row = 0;
        }
        let Some(step) = copy_once(source, sink)? else {
            source.readable().await.map_err(Side::Source)?;
            turn = 0;
            continue;
        };
        if step.read == 0 {
            return half_close(sink);
        }
        moved.fetch_add(step.read as u64, Relaxed);
        if !step.left.is_empty() {
            write_all(sink, &step.left).await.map_err(Side::Sink)?;
        }
        full_in_a_row = if step.read == BUFFER { full_in_a_row + 1 } else { 0 };
        turn += 1;
        if turn == TURN {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// The same, with every byte recorded before it is sent on.
async fn pump_recorded(
    source: &TcpStream,
    sink: &TcpStream,
    moved: &AtomicU64,
    (tap, direction): (&Tap, Direction),
) -> Result<(), Side> {
    loop {
        let mut data = Vec::new();
        let read = SHARED.with_borrow_mut(|buffer| {
            let read = read(source, buffer)?;
            data.extend(buffer.get(..read.unwrap_or_default()).unwrap_or_default());
            Ok(read)
        });
        match read.map_err(Side::Source)? {
            None => source.readable().await.map_err(Side::Source)?,
            Some(0) => return half_close(sink),
            Some(read) => {
                tap.pass(direction, moved.load(Relaxed), None, data.clone()).await.map_err(Side::Record)?;
                moved.fetch_add(read as u64, Relaxed);
                write_all(sink, &data).await.map_err(Side::Sink)?;
            }
        }
    }
}

/// What one read and write did.
struct Copied {
    read: usize,
    /// What the sink did not take at once.
    left: Vec<u8>,
}

/// Reads once and writes at once what the sink takes; `None` when there is nothing to read.
fn copy_once(source: &TcpStream, sink: &TcpStream) -> Result<Option<Copied>, Side> {
    SHARED.with_borrow_mut(|buffer| {
        let read = match read(source, buffer).map_err(Side::Source)? {
            None => return Ok(None),
            Some(0) => return Ok(Some(Copied { read: 0, left: Vec::new() })),
            Some(read) => read,
        };
        let data = buffer.get(..read).unwrap_or_default();
        let written = match sink.try_write(data) {
            Ok(written) => written,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
            Err(e) => return Err(Side::Sink(e)),
        };
        Ok(Some(Copied { read, left: data.get(written..).unwrap_or_default().to_vec() }))
    })
}

/// Reads once; `None` when there is nothing. A short read took all there was, so the next one waits for the socket to say
/// that there is more instead of asking it.
fn read(source: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let mut taken = None;
    let outcome = source.try_io(Interest::READABLE, || {
        let (read, _) = rustix::net::recv(source, &mut *buffer, RecvFlags::empty())?;
        taken = Some(read);
        if read == 0 || read == buffer.len() { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    });
    match outcome {
        Err(e) if e.kind() != io::ErrorKind::WouldBlock => Err(e),
        _ => Ok(taken),
    }
}

async fn write_all(sink: &TcpStream, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        sink.writable().await?;
        match sink.try_write(data) {
            Ok(written) => data = data.get(written..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Burst {
    Over,
    EndOfFile,
}

/// Moves a bulk transfer through a pipe until it is over. The pipe is empty whenever this returns in order.
async fn splice_burst(source: &TcpStream, sink: &TcpStream, moved: &AtomicU64, pipe: &Pipe) -> Result<Burst, Side> {
    loop {
        let taken = match source.try_io(Interest::READABLE, || pipe.fill_from(source)) {
            Ok(0) => return Ok(Burst::EndOfFile),
            Ok(taken) => taken,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                source.readable().await.map_err(Side::Source)?;
                continue;
            }
            Err(e) => return Err(Side::Source(e)),
        };
        let mut left = taken;
        while left > 0 {
            match sink.try_io(Interest::WRITABLE, || pipe.drain_into(sink, left)) {
                Ok(written) => {
                    left = left.saturating_sub(written);
                    moved.fetch_add(written as u64, Relaxed);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => sink.writable().await.map_err(Side::Sink)?,
                Err(e) => return Err(Side::Sink(e)),
            }
        }
        if taken < TRICKLE {
            return Ok(Burst::Over);
        }
        tokio::task::coop::consume_budget().await;
    }
}

fn half_close(sink: &TcpStream) -> Result<(), Side> {
    match socket2::SockRef::from(sink).shutdown(std::net::Shutdown::Write) {
        // The peer may be gone already; the other direction says how.
        Err(e) if e.kind() != io::ErrorKind::NotConnected => Err(Side::Sink(e)),
        _ => Ok(()),
    }
}
