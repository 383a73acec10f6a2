//! The load generator, one thread but for downloads: it does what it reads, line by line, and answers with numbers.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use super::wire::{PING, READY, SERVER, Wish};

/// Nothing takes this long unless something is broken.
const PATIENCE: Duration = Duration::from_secs(15);
/// One read of a download.
const READ: usize = 256 * 1024;

/// Obeys until the standard input ends.
pub(super) fn run() -> Result<()> {
    let mut held = Vec::new();
    println!("{READY}");
    for line in io::stdin().lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let what = words.next().unwrap_or_default();
        let numbers = words.map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let answer = match (what, numbers.as_slice()) {
            ("ping", [parallel, millis]) => ping(*parallel, Duration::from_millis(*millis))?,
            ("touch", [count]) => touch(*count)?,
            ("download", [streams, bytes]) => vec![download(*streams, *bytes)?],
            ("hold", [count]) => {
                for _ in 0..*count {
                    let mut stream = open()?;
                    echo(&mut stream)?;
                    held.push(stream);
                }
                vec![held.len() as f64]
            }
            ("echo", []) => vec![held.iter_mut().filter_map(|stream| echo(stream).ok()).count() as f64],
            ("release", []) => {
                held.clear();
                vec![]
            }
            _ => bail!("the load generator does not know `{line}`"),
        };
        let answer: Vec<String> = answer.iter().map(f64::to_string).collect();
        println!("{}", answer.join(" "));
    }
    Ok(())
}

fn open() -> io::Result<TcpStream> {
    let stream = TcpStream::connect(SERVER)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn echo(stream: &mut TcpStream) -> io::Result<()> {
    let wish = Wish::Echo.write();
    stream.write_all(&wish)?;
    let mut back = [0; PING];
    stream.read_exact(&mut back)?;
    if back == wish { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
}

/// Microseconds of the middle and of the 99th percentile, and how many there were.
fn percentiles(mut times: Vec<Duration>) -> Result<Vec<f64>> {
    times.sort_unstable();
    let at = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(rank).map(|time| time.as_secs_f64() * 1e6).context("nothing was measured")
    };
    Ok(vec![at(50)?, at(99)?, times.len() as f64])
}

/// Connect and close, one after the other.
fn touch(count: u64) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        drop(TcpStream::connect(SERVER)?);
        times.push(start.elapsed());
    }
    percentiles(times)
}

/// Seconds until every one of `streams` has received `bytes`.
fn download(streams: u64, bytes: u64) -> Result<f64> {
    let together = Barrier::new(usize::try_from(streams)? + 1);
    thread::scope(|scope| {
        let one = || -> Result<()> {
            let opened = open().and_then(|mut stream| echo(&mut stream).map(|()| stream));
            together.wait();
            let mut stream = opened?;
            stream.write_all(&Wish::Send(bytes).write())?;
            let mut buffer = vec![0; READ];
            let mut left = bytes;
            while left > 0 {
                match stream.read(&mut buffer)? {
                    0 => bail!("a download ended early"),
                    read => left = left.saturating_sub(read as u64),
                }
            }
            Ok(())
        };
        let threads: Vec<_> = (0..streams).map(|_| scope.spawn(one)).collect();
        together.wait();
        let start = Instant::now();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a download panicked"))??;
        }
        Ok(start.elapsed().as_secs_f64())
    })
}

/// One connection of a ping: opened, then waiting for its echo.
struct Attempt {
    stream: TcpStream,
    start: Instant,
    sent: bool,
}

/// Connect, one round trip, close, and the next: `parallel` at a time, each started when one is done, for `time`.
fn ping(parallel: u64, time: Duration) -> Result<Vec<f64>> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut attempts =
        (0..parallel).map(|index| Attempt::start(&epoll, index).map(Some)).collect::<Result<Vec<_>>>()?;
    let until = Instant::now() + time;
    let mut times = Vec::new();
    let mut events = Vec::with_capacity(256);
    let patience = Timespec::try_from(PATIENCE)?;
    let mut open = attempts.len();
    while open > 0 {
        events.clear();
        if epoll::wait(&epoll, spare_capacity(&mut events), Some(&patience))? == 0 {
            bail!("{open} of {parallel} connections got no answer");
        }
        for event in &events {
            let index = event.data.u64();
            let Some(place) = attempts.get_mut(usize::try_from(index)?) else { continue };
            let Some(attempt) = place else { continue };
            if !attempt.go_on()? {
                continue;
            }
            times.extend(place.take().map(Attempt::finish));
            if Instant::now() < until {
                *place = Some(Attempt::start(&epoll, index)?);
            } else {
                open -= 1;
            }
        }
    }
    percentiles(times)
}

impl Attempt {
    fn start(epoll: &OwnedFd, index: u64) -> Result<Self> {
        let start = Instant::now();
        let fd =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
        match connect(&fd, &SERVER) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(e) => return Err(e).context("cannot connect"),
        }
        epoll::add(epoll, &fd, EventData::new_u64(index), EventFlags::IN | EventFlags::OUT | EventFlags::ET)?;
        Ok(Self { stream: fd.into(), start, sent: false })
    }

    /// Takes the next step; true when the echo is there.
    fn go_on(&mut self) -> Result<bool> {
        if !self.sent {
            self.stream.write_all(&Wish::Echo.write()).context("a connection failed before its first byte")?;
            self.sent = true;
            return Ok(false);
        }
        let mut back = [0; PING];
        match self.stream.read(&mut back) {
            Ok(PING) => Ok(true),
            Ok(read) => bail!("an echo came back with {read} bytes"),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e).context("a connection failed before its echo"),
        }
    }

    /// Closes; how long all of it took.
    fn finish(self) -> Duration {
        drop(self.stream);
        self.start.elapsed()
    }
}
