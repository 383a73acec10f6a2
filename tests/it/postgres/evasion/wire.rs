//! A client that speaks the protocol itself, says anything it is told to, and keeps every byte it is answered.

use crate::postgres::World;
use sallyport_tests::{PATIENCE, Role};
use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// Connects, and is a pipe from then on. The output is the connection's alone, so that its end is seen.
const PIPE: &str = "exec 3<>/dev/tcp/$PGHOST/$PGPORT && { cat <&3 & } && exec cat >&3";

/// A message of the server: its tag and its body.
pub type Message = (u8, Vec<u8>);

/// A connection. It is cut when dropped.
pub struct Wire {
    child: Child,
    input: Option<ChildStdin>,
    heard: Receiver<Vec<u8>>,
    /// Bytes that are no whole message yet.
    rest: Vec<u8>,
    /// Everything that was received since [`Wire::take`].
    pub received: Vec<u8>,
    /// How many times it has yet to be told that the server is ready.
    owed: usize,
    pub closed: bool,
}

impl Wire {
    /// Logs in to a database, from a unit, with other parameters besides.
    pub fn open(world: &World, unit: &str, database: &str, more: &[(&str, &str)]) -> Self {
        let mut command = world.command(unit, "bash", Role::Trust);
        command.args(["-c", PIPE]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("a shell");
        let (input, mut output) = (child.stdin.take(), child.stdout.take().expect("a pipe"));
        let (tell, heard) = channel();
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                if tell.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut wire = Self { child, input, heard, rest: Vec::new(), received: Vec::new(), owed: 1, closed: false };
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        let own = [("user", Role::Trust.name()), ("database", database), ("application_name", "evasion")];
        for (name, value) in own.iter().chain(more) {
            body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
        }
        body.push(0);
        let mut startup = u32::try_from(body.len() + 4).expect("a short message").to_be_bytes().to_vec();
        startup.extend(body);
        wire.write(&startup);
        wire
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        if let Some(input) = &mut self.input {
            // Who was cut off finds out by reading.
            let _ = input.write_all(bytes).and_then(|()| input.flush());
        }
    }

    /// Sends a message.
    pub fn send(&mut self, tag: u8, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).expect("a message").to_be_bytes();
        self.owed += usize::from(matches!(tag, b'Q' | b'S' | b'F'));
        self.write(&[&[tag], &length[..], body].concat());
    }

    /// Everything until the server is ready for more, or the end. Whoever is asked for data has none.
    pub fn until_ready(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while self.owed > 0 && !self.closed {
            match self.next() {
                Some(message) => {
                    match message.0 {
                        b'Z' => self.owed -= 1,
                        b'G' => self.send(b'f', b"none\0"),
                        b'W' => self.send(b'c', b""),
                        _ => {}
                    }
                    messages.push(message);
                }
                None => self.closed = true,
            }
        }
        messages
    }

    fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((head, _)) = self.rest.split_at_checked(5) {
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize + 1;
                if self.rest.len() >= length {
                    let message: Vec<u8> = self.rest.drain(..length).collect();
                    return Some((message[0], message[5..].to_vec()));
                }
            }
            match self.heard.recv_timeout(PATIENCE) {
                Ok(bytes) => {
                    self.received.extend_from_slice(&bytes);
                    self.rest.extend(bytes);
                }
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("no answer within {PATIENCE:?}"),
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The server closes, and so everything in between ends; it is killed where it does not.
        self.send(b'X', b"");
        drop(self.input.take());
        let _ = sallyport_tests::within(Duration::from_secs(2), || self.child.try_wait().ok().flatten());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The cells of a row.
pub fn cells(row: &[u8]) -> Vec<Option<Vec<u8>>> {
    let (count, mut rest) = row.split_at_checked(2).expect("a count");
    let mut cells = Vec::new();
    for _ in 0..u16::from_be_bytes([count[0], count[1]]) {
        let (length, after) = rest.split_at_checked(4).expect("a length");
        let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        let (cell, after) = after.split_at(usize::try_from(length).unwrap_or(0));
        cells.push((length >= 0).then(|| cell.to_vec()));
        rest = after;
    }
    cells
}

/// A field of an error or a notice.
pub fn field(report: &[u8], code: u8) -> String {
    let fields = report.split(|byte| *byte == 0);
    let found = fields.filter_map(|field| field.split_first()).find(|(first, _)| **first == code);
    found.map(|(_, text)| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
}
