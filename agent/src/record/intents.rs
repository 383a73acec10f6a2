//! Intents: a session that begins is written here by the thread that serves it, in one write(2), and gets into the
//! tables a moment later together with others.
//!
//! From the write on it survives `kill -9`. Whoever opens the store next puts the intents of a killed writer into the
//! tables; one that is there already changes nothing. The file is emptied whenever all it holds has been committed.
//!
//! A record is `length:u32 check:u32 body`, numbers little-endian. The check tells a torn last record from a whole one;
//! it is no seal.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::ledger::Ledger;
use super::session::SessionExtra;
use super::{Decision, Protocol, RecordError, SessionId, SessionStart, Timestamps, rows};

/// The file is emptied when it is longer than this, bytes, and everything in it is committed.
const LONG: u64 = 256 * 1024;
/// Longest body; a session with more to say is committed at once instead.
const MAX_BODY: usize = 4096;
/// Fixed fields, and the lengths of six texts.
const FIXED: usize = 16 + 8 + 8 + 8 + 8 + 1 + 1 + 18 + 18 + 6 * 2;
/// Length and check.
const HEADER: usize = 8;
/// The length that says that there is no text.
const NO_TEXT: u16 = u16::MAX;
const MODE: u32 = 0o640;

/// A session that begins, with its process as a row number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Intent {
    pub(super) id: SessionId,
    pub(super) process: i64,
    pub(super) netns: u64,
    pub(super) started: Timestamps,
    pub(super) protocol: Protocol,
    pub(super) decision: Decision,
    pub(super) client: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) scope: Option<String>,
    pub(super) extra: SessionExtra,
}

impl Intent {
    pub(super) fn new(id: SessionId, process: i64, start: SessionStart) -> Self {
        let SessionStart { scope, protocol, client, destination, netns, decision, started, extra, .. } = start;
        Self { id, process, netns, started, protocol, decision, client, destination, scope, extra }
    }

    fn texts(&self) -> [Option<&str>; 6] {
        let [a, b, c, d, e] = self.extra.columns();
        [self.scope.as_deref(), a, b, c, d, e]
    }

    /// Whether a session can be written as an intent.
    pub(super) fn fits(start: &SessionStart) -> bool {
        let texts = start.extra.columns().into_iter().chain([start.scope.as_deref()]);
        FIXED + texts.flatten().map(str::len).sum::<usize>() <= MAX_BODY
    }

    /// Appends the record.
    pub(super) fn encode(&self, buffer: &mut Vec<u8>) {
        put(buffer, |buffer| self.put_body(buffer));
    }

    fn put_body(&self, buffer: &mut Vec<u8>) {
        buffer.extend(self.id.as_bytes());
        buffer.extend(self.process.to_le_bytes());
        buffer.extend(self.netns.to_le_bytes());
        buffer.extend(self.started.wall_ns.to_le_bytes());
        buffer.extend(self.started.boot_ns.to_le_bytes());
        buffer.push(match self.protocol {
            Protocol::Tcp => 0,
            Protocol::Mptcp => 1,
            Protocol::Postgres => 2,
        });
        buffer.push(self.decision.code());
        for address in [self.client, self.destination] {
            let ip = match address.ip() {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            buffer.extend(ip.octets());
            buffer.extend(address.port().to_le_bytes());
        }
        for text in self.texts() {
            buffer.extend(text.map_or(NO_TEXT, |text| text.len() as u16).to_le_bytes());
            buffer.extend(text.unwrap_or_default().as_bytes());
        }
    }

    /// The first record of `bytes` and what follows; `None` at the end, or at a record that is not whole.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (body, rest) = take(bytes, FIXED..=MAX_BODY)?;
        let mut body = Reader(body);
        let intent = Self {
            id: SessionId::from_bytes(body.take()?),
            process: i64::from_le_bytes(body.take()?),
            netns: u64::from_le_bytes(body.take()?),
            started: Timestamps {
                wall_ns: i64::from_le_bytes(body.take()?),
                boot_ns: u64::from_le_bytes(body.take()?),
            },
            protocol: match body.take()? {
                [0] => Protocol::Tcp,
                [1] => Protocol::Mptcp,
                [2] => Protocol::Postgres,
                _ => return None,
            },
            decision: Decision::from_code(u8::from_le_bytes(body.take()?))?,
            client: body.address()?,
            destination: body.address()?,
            scope: body.text()?,
            extra: SessionExtra::from_columns([body.text()?, body.text()?, body.text()?, body.text()?, body.text()?]),
        };
        Some((intent, rest))
    }
}

/// Appends a record with what `body` appends.
pub(super) fn put(buffer: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend([0; HEADER]);
    body(buffer);
    let Some((header, body)) = buffer.get_mut(start..).and_then(|record| record.split_at_mut_checked(HEADER)) else {
        return;
    };
    let (length, check) = (body.len() as u32, check(body));
    let fields = length.to_le_bytes().into_iter().chain(check.to_le_bytes());
    header.iter_mut().zip(fields).for_each(|(into, byte)| *into = byte);
}

/// The body of the first record, and what follows it; `None` at one that is not whole, or not of such a length.
pub(super) fn take(bytes: &[u8], lengths: RangeInclusive<usize>) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader(bytes);
    let length = u32::from_le_bytes(reader.take()?) as usize;
    let expected = u32::from_le_bytes(reader.take()?);
    let (body, rest) = reader.0.split_at_checked(length).filter(|_| lengths.contains(&length))?;
    (check(body) == expected).then_some((body, rest))
}

/// Reads the fields of a record.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    /// A text, or that there is none; the outer `None` when the bytes are not whole.
    fn text(&mut self) -> Option<Option<String>> {
        let length = u16::from_le_bytes(self.take()?);
        if length == NO_TEXT {
            return Some(None);
        }
        let (text, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(Some(std::str::from_utf8(text).ok()?.to_owned()))
    }

    fn address(&mut self) -> Option<SocketAddr> {
        let ip = Ipv6Addr::from(self.take::<16>()?).to_canonical();
        Some(SocketAddr::new(ip, u16::from_le_bytes(self.take()?)))
    }
}

/// FNV-1a.
fn check(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The intents of one writer.
#[derive(Debug)]
pub(super) struct Intents {
    file: File,
    path: PathBuf,
    bytes: u64,
    buffer: Vec<u8>,
}

impl Intents {
    /// Opens the file of a writer, given by its row.
    pub(super) fn open(segment: &Path, writer: i64) -> io::Result<Self> {
        let path = path(segment, writer);
        let file = OpenOptions::new().append(true).create(true).mode(MODE).open(&path)?;
        Ok(Self { file, path, bytes: 0, buffer: Vec::with_capacity(MAX_BODY) })
    }

    /// Writes one intent. A write that stopped halfway is cut off again, so that what follows can be read.
    pub(super) fn write(&mut self, intent: &Intent) -> io::Result<()> {
        self.buffer.clear();
        intent.encode(&mut self.buffer);
        let written = self.file.write_all(&self.buffer);
        match written {
            Ok(()) => self.bytes += self.buffer.len() as u64,
            Err(_) => self.file.set_len(self.bytes)?,
        }
        written
    }

    /// Why an intent could not be written.
    pub(super) fn failed(&self, error: io::Error) -> RecordError {
        RecordError::file("write an intent to", &self.path, error)
    }

    /// Empties a long file; only when everything in it is committed.
    pub(super) fn all_committed(&mut self) {
        // One that cannot be emptied grows, and is read in vain some day.
        if self.bytes > LONG && self.file.set_len(0).is_ok() {
            self.bytes = 0;
        }
    }

    /// Removes the file; only when everything in it is committed.
    pub(super) fn remove(&self) {
        // One that stays is read in vain some day.
        let _ = fs::remove_file(&self.path);
    }
}

/// Puts the intents of a writer that is gone into the tables, inside the caller's transaction.
pub(super) fn replay(conn: &Connection, ledger: &mut Ledger, segment: &Path, writer: i64) -> rusqlite::Result<()> {
    let bytes = fs::read(path(segment, writer)).unwrap_or_default();
    let mut rest = bytes.as_slice();
    while let Some((intent, next)) = Intent::decode(rest) {
        restore(conn, ledger, writer, &intent)?;
        rest = next;
    }
    Ok(())
}

/// Puts one of them into the tables, unless it is there.
pub(super) fn restore(conn: &Connection, ledger: &mut Ledger, writer: i64, intent: &Intent) -> rusqlite::Result<()> {
    // A power cut may have spared the intent and not its process.
    let whose = conn.prepare_cached("SELECT 1 FROM process WHERE seq = ?")?.exists([intent.process])?;
    if whose && rows::find_session(conn, intent.id)?.is_none() {
        rows::session(conn, ledger, writer, intent.process, intent)?;
    }
    Ok(())
}

/// Removes the file of a writer that is gone, after its intents were committed.
pub(super) fn forget(segment: &Path, writer: i64) {
    // One that stays is read in vain some day.
    let _ = fs::remove_file(path(segment, writer));
}

fn path(segment: &Path, writer: i64) -> PathBuf {
    let mut name = segment.as_os_str().to_owned();
    name.push(format!("-intents-{writer}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn intents() -> impl Strategy<Value = Intent> {
        let address = (any::<IpAddr>(), any::<u16>());
        let address = address.prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port));
        let numbers = (any::<[u8; 16]>(), any::<i64>(), any::<u64>(), any::<i64>(), any::<u64>());
        let decision = prop_oneof![Just(Decision::Allow), Just(Decision::Deny), Just(Decision::WouldDeny)];
        let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Mptcp), Just(Protocol::Postgres)];
        let text = || proptest::option::of("[a-z0-9-]{0,64}");
        let texts = [text(), text(), text(), text(), text(), text()];
        (numbers, decision, protocol, [address.clone(), address], texts).prop_map(
            |((id, process, netns, wall_ns, boot_ns), decision, protocol, [client, destination], texts)| {
                let [scope, a, b, c, d, e] = texts;
                Intent {
                    id: SessionId::from_bytes(id),
                    process,
                    netns,
                    started: Timestamps { wall_ns, boot_ns },
                    protocol,
                    decision,
                    client,
                    destination,
                    scope,
                    extra: SessionExtra::from_columns([a, b, c, d, e]),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_up_to_the_tear(
            written in proptest::collection::vec(intents(), 1..5),
            torn in 1usize..50,
        ) {
            let mut bytes = Vec::new();
            for intent in &written {
                intent.encode(&mut bytes);
            }
            let whole = bytes.clone();
            bytes.truncate(bytes.len() - torn);
            let read = |mut rest: &[u8]| {
                let mut read = Vec::new();
                while let Some((intent, next)) = Intent::decode(rest) {
                    read.push(intent);
                    rest = next;
                }
                read
            };
            prop_assert_eq!(&read(&whole), &written);
            prop_assert_eq!(&read(&bytes), &written[..written.len() - 1]);
        }

        #[test]
        fn any_bytes_are_read_within_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Some((_, rest)) = Intent::decode(&bytes) {
                prop_assert!(rest.len() < bytes.len());
            }
        }
    }
}
