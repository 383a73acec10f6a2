//! The server of the measurements, one thread: it echoes pings, or sends as many bytes as it was asked for.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket};

use super::wire::{BLOCK, PING, PORT, READY, Wish};

/// As many as the kernel lets wait: a full queue would be measured as a slow connect.
const BACKLOG: i32 = 16_384;
/// Blocks sent to one client before the others get their turn.
const TURN: u32 = 16;

struct Client {
    stream: TcpStream,
    asked: [u8; PING],
    filled: usize,
    owed: u64,
}

/// Serves until killed.
pub(super) fn run() -> Result<()> {
    let listener = open().context("cannot listen")?;
    println!("{READY}");
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, key(&listener), EventFlags::IN)?;
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut events = Vec::with_capacity(256);
    let block = vec![b'x'; BLOCK];
    loop {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            if event.data.u64() == key(&listener).u64() {
                accept(&listener, &epoll, &mut clients)?;
                continue;
            }
            let Some(place) = clients.get_mut(usize::try_from(event.data.u64())?) else { continue };
            let Some(client) = place else { continue };
            let owed = client.owed > 0;
            // A client that fails or leaves is simply gone; the load generator says what that means.
            if !client.serve(&block).unwrap_or(false) {
                *place = None;
            } else if owed != (client.owed > 0) {
                let interest = if client.owed > 0 { EventFlags::OUT } else { EventFlags::IN };
                epoll::modify(&epoll, &client.stream, key(&client.stream), interest)?;
            }
        }
    }
}

fn open() -> io::Result<TcpListener> {
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&fd, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT))?;
    listen(&fd, BACKLOG)?;
    let listener = TcpListener::from(fd);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn accept(listener: &TcpListener, epoll: impl AsFd, clients: &mut Vec<Option<Client>>) -> Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            // It was reset while it waited.
            Err(e) if e.kind() == ErrorKind::ConnectionAborted => continue,
            Err(e) => return Err(e).context("cannot accept"),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        epoll::add(&epoll, &stream, key(&stream), EventFlags::IN)?;
        let at = usize::try_from(stream.as_raw_fd())?;
        if clients.len() <= at {
            clients.resize_with(at + 1, || None);
        }
        if let Some(place) = clients.get_mut(at) {
            *place = Some(Client { stream, asked: [0; PING], filled: 0, owed: 0 });
        }
    }
}

fn key(fd: &impl AsRawFd) -> EventData {
    EventData::new_u64(u64::from(fd.as_raw_fd().unsigned_abs()))
}

impl Client {
    /// Does what it can without waiting; false once the client is done.
    fn serve(&mut self, block: &[u8]) -> io::Result<bool> {
        if self.owed > 0 {
            return self.pay(block).map(|()| true);
        }
        let Some(room) = self.asked.get_mut(self.filled..) else { return Ok(false) };
        match self.stream.read(room) {
            Ok(0) => return Ok(false),
            Ok(read) => self.filled += read,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(e) => return Err(e),
        }
        if self.filled == PING {
            self.filled = 0;
            match Wish::read(&self.asked) {
                Wish::Echo => self.stream.write_all(&self.asked)?,
                Wish::Send(bytes) => {
                    self.owed = bytes;
                    self.pay(block)?;
                }
            }
        }
        Ok(true)
    }

    fn pay(&mut self, block: &[u8]) -> io::Result<()> {
        for _ in 0..TURN {
            let length = usize::try_from(self.owed).unwrap_or(BLOCK).min(BLOCK);
            match self.stream.write(block.get(..length).unwrap_or(block)) {
                Ok(written) => self.owed -= written as u64,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
            if self.owed == 0 {
                break;
            }
        }
        Ok(())
    }
}
