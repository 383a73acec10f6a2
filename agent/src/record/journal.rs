//! The journal: requests that somebody waits for are on the disk here, and get into the tables a moment later together
//! with others.
//!
//! A commit writes a page for each index it touches; here one record follows another, in a file that has its length
//! already, so that waiting for the disk is waiting for one write. What a record builds on, its session and the words it
//! names, is in the journal before it, or in tables that are on the disk by then.
//!
//! The file is written over from its start when all it holds has been committed and is on the disk. Whoever opens the
//! store next puts into the tables what a killed writer left; what is there already changes nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::command::Command;
use super::intents::{self, Intent, Reader};
use super::ledger::Ledger;
use super::request::{PlainRequest, RequestRecord};
use super::schema::REQUEST as REQUEST_TABLE;
use super::words::Words;
use super::{Decision, SessionId, Timestamps, rows};

/// Length of the file, bytes.
const SIZE: u64 = 1 << 20;
const MODE: u32 = 0o640;
/// Which of two a record is: its first byte.
const REQUEST: u8 = 0;
const SESSION: u8 = 1;
/// How a word is written: not at all, by its number, or by its text.
const NONE: u8 = 0;
const NUMBER: u8 = 1;
const TEXT: u8 = 2;

/// The journal of one writer in one segment.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    /// Where the next record goes.
    at: u64,
    buffer: Vec<u8>,
}

impl Journal {
    /// Makes the file of a writer, given by its row. Waits for the disk.
    pub(super) fn make(segment: &Path, writer: i64) -> io::Result<Self> {
        let path = path(segment, writer);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&path)?;
        let mut fill = || {
            let zeros = [0; 1 << 16];
            (0..SIZE / zeros.len() as u64).try_for_each(|_| file.write_all(&zeros))?;
            file.sync_all()?;
            File::open(segment.parent().unwrap_or(segment))?.sync_all()
        };
        if let Err(error) = fill() {
            // Somebody else can use the space.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { file, path, at: 0, buffer: Vec::new() })
    }

    /// Writes the sessions and requests of a batch, and waits for the disk. False when there is no room for them.
    pub(super) fn write(&mut self, batch: &[Command], words: &Words) -> io::Result<bool> {
        self.buffer.clear();
        for command in batch {
            if let Command::Intended { intent, .. } = command {
                self.buffer.push(SESSION);
                intent.encode(&mut self.buffer);
            } else if let Command::Request { request, .. } = command {
                self.buffer.push(REQUEST);
                intents::put(&mut self.buffer, |body| encode(request, words, body));
            }
        }
        let length = self.buffer.len() as u64;
        if length > SIZE - self.at {
            return Ok(false);
        }
        // What a write or a sync that failed has left is written over by the next.
        self.file.write_all_at(&self.buffer, self.at)?;
        self.file.sync_data()?;
        self.at += length;
        Ok(true)
    }

    /// Starts over; only when everything in it is committed, and that is on the disk.
    pub(super) fn all_committed(&mut self) {
        self.at = 0;
    }

    /// Removes the file; only when everything in it is committed.
    pub(super) fn remove(self) {
        // One that stays is read in vain some day.
        let _ = fs::remove_file(&self.path);
    }
}

fn encode(request: &RequestRecord, words: &Words, body: &mut Vec<u8>) {
    let PlainRequest { n, at, decision, bytes, approval, parameters } = request.plain();
    body.extend(request.session.as_bytes());
    body.extend(n.to_le_bytes());
    body.extend(at.wall_ns.to_le_bytes());
    body.extend(at.boot_ns.to_le_bytes());
    body.push(decision.code());
    body.push(bytes.is_some().into());
    body.extend(bytes.unwrap_or_default().to_le_bytes());
    body.push(approval.is_some().into());
    body.extend(approval.copied().unwrap_or_default());
    put_text(body, parameters);
    for word in request.words() {
        match word.map(|word| words.known(word)) {
            Some(Some(number)) => {
                body.push(NUMBER);
                body.extend(number.to_le_bytes());
            }
            Some(None) | None => put_text(body, word),
        }
    }
}

fn put_text(body: &mut Vec<u8>, text: Option<&str>) {
    let Some(text) = text else { return body.push(NONE) };
    body.push(TEXT);
    // One too long for the file is not written to it.
    body.extend((text.len() as u32).to_le_bytes());
    body.extend(text.as_bytes());
}

/// A word as it is written.
#[derive(Debug, PartialEq, Eq)]
enum Word<'a> {
    None,
    Number(i64),
    Text(&'a str),
}

fn decode<'a>(body: &'a [u8]) -> Option<(SessionId, PlainRequest<'a>, [Word<'a>; 5])> {
    let mut body = Reader(body);
    let session = SessionId::from_bytes(body.take()?);
    let n = u64::from_le_bytes(body.take()?);
    let at = Timestamps { wall_ns: i64::from_le_bytes(body.take()?), boot_ns: u64::from_le_bytes(body.take()?) };
    let decision = Decision::from_code(u8::from_le_bytes(body.take()?))?;
    let [has_bytes] = body.take()?;
    let bytes = u64::from_le_bytes(body.take()?);
    let [has_approval] = body.take()?;
    let (approval, rest) = body.0.split_first_chunk()?;
    body.0 = rest;
    let parameters = match word(&mut body)? {
        Word::Text(text) => Some(text),
        Word::None => None,
        Word::Number(_) => return None,
    };
    let request = PlainRequest {
        n,
        at,
        decision,
        bytes: (has_bytes != 0).then_some(bytes),
        approval: (has_approval != 0).then_some(approval),
        parameters,
    };
    let words = [word(&mut body)?, word(&mut body)?, word(&mut body)?, word(&mut body)?, word(&mut body)?];
    body.0.is_empty().then_some((session, request, words))
}

fn word<'a>(body: &mut Reader<'a>) -> Option<Word<'a>> {
    Some(match body.take()? {
        [NONE] => Word::None,
        [NUMBER] => Word::Number(i64::from_le_bytes(body.take()?)),
        [TEXT] => {
            let length = u32::from_le_bytes(body.take()?);
            let (text, rest) = body.0.split_at_checked(length as usize)?;
            body.0 = rest;
            Word::Text(std::str::from_utf8(text).ok()?)
        }
        _ => return None,
    })
}

/// Puts what a writer that is gone left here into the tables, inside the caller's transaction.
pub(super) fn replay(conn: &Connection, ledger: &mut Ledger, segment: &Path, writer: i64) -> rusqlite::Result<()> {
    let bytes = fs::read(path(segment, writer)).unwrap_or_default();
    let (mut rest, mut words) = (bytes.as_slice(), Words::default());
    while let Some((kind, record)) = rest.split_first() {
        let next = match *kind {
            SESSION => Intent::decode(record).map(|(intent, next)| {
                intents::restore(conn, ledger, writer, &intent)?;
                Ok(next)
            }),
            REQUEST => intents::take(record, 0..=SIZE as usize).and_then(|(body, next)| {
                let request = decode(body)?;
                Some(restore(conn, ledger, &mut words, &request).map(|()| next))
            }),
            _ => None,
        };
        match next {
            Some(next) => rest = next?,
            None => break,
        }
    }
    Ok(())
}

/// Puts one request into the tables, unless it is there.
fn restore(
    conn: &Connection,
    ledger: &mut Ledger,
    known: &mut Words,
    (session, request, words): &(SessionId, PlainRequest<'_>, [Word<'_>; 5]),
) -> rusqlite::Result<()> {
    let Some(open) = rows::find_open(conn, *session)? else { return Ok(()) };
    let mut there = conn.prepare_cached("SELECT 1 FROM request WHERE session = ? AND n = ?")?;
    if there.exists([open.row, request.n.cast_signed()])? {
        return Ok(());
    }
    let mut numbers = [None; 5];
    for (into, word) in numbers.iter_mut().zip(words) {
        *into = match word {
            Word::None => None,
            Word::Number(number) => Some(*number),
            Word::Text(text) => known.row(conn, ledger, Some(text))?,
        };
    }
    rows::request_row(open, request, (numbers, rows::NOTHING), |values| ledger.append(conn, &REQUEST_TABLE, values))
        .map(drop)
}

/// Removes the file of a writer that is gone, after what it held was committed.
pub(super) fn forget(segment: &Path, writer: i64) {
    // One that stays is read in vain some day.
    let _ = fs::remove_file(path(segment, writer));
}

fn path(segment: &Path, writer: i64) -> PathBuf {
    let mut name = segment.as_os_str().to_owned();
    name.push(format!("-requests-{writer}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn requests() -> impl Strategy<Value = RequestRecord> {
        let text = || proptest::option::of("[a-z ]{0,40}");
        let numbers = (any::<[u8; 16]>(), any::<u64>(), any::<i64>(), any::<u64>(), any::<Option<u64>>());
        let decision = prop_oneof![Just(Decision::Allow), Just(Decision::Deny), Just(Decision::Held)];
        let words = ("[a-z]{1,9}", text(), text(), text(), text());
        (numbers, decision, words, text(), any::<Option<[u8; 16]>>()).prop_map(
            |((session, n, wall_ns, boot_ns, bytes), decision, words, parameters, approval)| {
                let (kind, statement, policies, facts, detail) = words;
                let word = |text: Option<String>| text.map(Arc::from);
                RequestRecord {
                    session: SessionId::from_bytes(session),
                    n,
                    at: Timestamps { wall_ns, boot_ns },
                    kind: kind.into(),
                    statement: word(statement),
                    parameters,
                    decision,
                    policies: word(policies),
                    facts: word(facts),
                    bytes,
                    detail: word(detail),
                    approval,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_it_was_written(request in requests()) {
            let mut body = Vec::new();
            encode(&request, &Words::default(), &mut body);
            let (session, plain, words) = decode(&body).unwrap();
            prop_assert_eq!(session, request.session);
            prop_assert_eq!(plain, request.plain());
            prop_assert_eq!(words, request.words().map(|word| word.map_or(Word::None, Word::Text)));
            for end in 0..body.len() {
                prop_assert!(decode(&body[..end]).is_none());
            }
        }

        #[test]
        fn any_bytes_are_read_within_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn zeros_are_no_record() {
        assert_eq!(intents::take(&[0; 64], 0..=64), None);
    }

    #[test]
    fn what_has_no_room_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::make(&directory.path().join("segment"), 1).unwrap();
        let request = crate::record::read::tests::request(
            SessionId::from_bytes([7; 16]),
            0,
            &format!("select {}", "x".repeat(SIZE as usize / 3)),
            Decision::Allow,
        );
        let batch = [Command::Request { request: Box::new(request), reply: None }];
        let mut write = || journal.write(&batch, &Words::default()).unwrap();
        assert_eq!([write(), write(), write()], [true, true, false]);
        journal.all_committed();
        assert!(journal.write(&batch, &Words::default()).unwrap());
        assert_eq!(fs::metadata(&journal.path).unwrap().len(), SIZE);
    }
}
