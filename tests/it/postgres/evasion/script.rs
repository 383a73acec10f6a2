//! Corpora: files of cases, each a few lines that are said to a server.
//!
//! A case begins with `## NAME [FLAGS]`; each line after it is a simple query, unless it begins with a backslash:
//!
//! ```text
//! \x SQL                        Parse, Bind (binary results), Describe, Execute and Sync at once; `\t` with text results
//! \parse NAME|SQL               `-` is no name
//! \bind PORTAL|NAME|FORMAT|ARGUMENT…      \describe S|NAME      \execute PORTAL|ROWS      \close S|NAME
//! \sync   \flush   \wait        \query SQL   a simple query that is not waited for
//! \function OID|ARGUMENT…       FunctionCall, its arguments as text
//! \raw TAG|BODY                 any message
//! \data TEXT   \done            CopyData, CopyDone
//! \new NAME=VALUE…              another connection, with parameters
//! ```
//!
//! In all of it `{{6162}}` are bytes, and `{{100*(}}` is repeated.

use super::wire::{Message, Wire};
use crate::postgres::World;

/// A case of a corpus.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    flags: String,
    pub lines: Vec<Vec<u8>>,
}

impl Case {
    /// Whether its head has this word.
    pub fn is(&self, flag: &str) -> bool {
        self.flags.split(' ').any(|word| word == flag)
    }

    /// What follows this word and `=` in its head.
    pub fn value(&self, flag: &str) -> Option<&str> {
        self.flags.split(' ').find_map(|word| word.strip_prefix(flag)?.strip_prefix('='))
    }

    /// Whether it is nothing but simple queries.
    pub fn is_plain(&self) -> bool {
        !self.lines.iter().any(|line| line.starts_with(b"\\"))
    }
}

/// The cases of a file.
pub fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("#!")) {
        if let Some(head) = line.strip_prefix("## ") {
            let (name, flags) = head.split_once(" [").unwrap_or((head, "]"));
            let flags = flags.strip_suffix(']').expect("flags end with a bracket").to_owned();
            cases.push(Case { name: name.to_owned(), flags, lines: Vec::new() });
        } else {
            cases.last_mut().expect("a case before its lines").lines.push(expanded(line));
        }
    }
    cases
}

/// With bytes and repetitions written out.
fn expanded(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inside, after) = after.split_once("}}").expect("braces are closed");
        out.extend(before.bytes());
        match inside.split_once('*') {
            Some((times, text)) => out.extend(text.repeat(times.parse().expect("a number")).bytes()),
            None => {
                let byte = |at| u8::from_str_radix(inside.get(at..at + 2).expect("two digits"), 16).expect("hex");
                out.extend((0..inside.len()).step_by(2).map(byte));
            }
        }
        rest = after;
    }
    out.extend(rest.bytes());
    out
}

/// Where a case is said.
pub struct Stage<'a> {
    pub world: &'a World,
    pub unit: &'a str,
    pub database: &'a str,
}

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    pub messages: Vec<Message>,
    /// Every byte, those of the login left out.
    pub bytes: Vec<u8>,
    pub closed: bool,
}

impl Outcome {
    /// The bodies of messages with this tag.
    pub fn of(&self, tag: u8) -> impl Iterator<Item = &[u8]> {
        self.messages.iter().filter(move |message| message.0 == tag).map(|message| message.1.as_slice())
    }

    /// SQLSTATE and text of every error.
    pub fn errors(&self) -> Vec<String> {
        let text = |report: &[u8]| format!("{} {}", super::wire::field(report, b'C'), super::wire::field(report, b'M'));
        self.of(b'E').map(text).collect()
    }
}

impl Stage<'_> {
    /// A connection that is ready.
    pub fn connect(&self, more: &[(&str, &str)], outcome: &mut Outcome) -> Wire {
        let mut wire = Wire::open(self.world, self.unit, self.database, more);
        outcome.messages.extend(wire.until_ready());
        wire.received.clear();
        wire
    }

    /// Says the lines, and that the transaction is over; then whoever still listens must be able to go on.
    pub fn say(&self, lines: &[Vec<u8>]) -> Outcome {
        let mut outcome = Outcome::default();
        let mut wire = self.connect(&[], &mut outcome);
        assert!(!wire.closed, "nobody is let in: {:?}", outcome.errors());
        outcome.messages.clear();
        for line in lines {
            if let Some(more) = line.strip_prefix(b"\\new") {
                outcome.bytes.append(&mut wire.received);
                let more = String::from_utf8_lossy(more).into_owned();
                let more: Vec<_> = more.split_whitespace().filter_map(|word| word.split_once('=')).collect();
                wire = self.connect(&more, &mut outcome);
            } else {
                say(&mut wire, line);
                if !line.starts_with(b"\\") || matches!(&line[..2], b"\\x" | b"\\t") {
                    outcome.messages.extend(wire.until_ready());
                }
            }
        }
        wire.send(b'S', b"");
        outcome.messages.extend(wire.until_ready());
        outcome.bytes.append(&mut wire.received);
        outcome.closed = wire.closed;
        // Who speaks of replication says nothing else.
        if !wire.closed && !lines.iter().any(|line| line.starts_with(b"\\new")) {
            wire.send(b'Q', b"ROLLBACK\0");
            wire.until_ready();
            wire.received.clear();
            wire.send(b'Q', b"VALUES (40 + 2)\0");
            let last = wire.until_ready();
            assert!(last.iter().any(|(tag, row)| *tag == b'D' && row.ends_with(b"42")), "it goes on: {last:?}");
        }
        outcome
    }
}

/// One line.
fn say(wire: &mut Wire, line: &[u8]) {
    if !line.starts_with(b"\\") {
        return wire.send(b'Q', &[line, b"\0"].concat());
    }
    let space = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (command, rest) = line.split_at(space);
    let rest = rest.strip_prefix(b" ").unwrap_or_default();
    let words: Vec<&[u8]> = rest.split(|byte| *byte == b'|').collect();
    let name = |at: usize| match words.get(at) {
        None | Some(&b"-") => b"\0".to_vec(),
        Some(word) => [word, &b"\0"[..]].concat(),
    };
    match command {
        b"\\x" | b"\\t" => {
            let format = u8::from(command == b"\\x");
            wire.send(b'P', &[b"\0", rest, b"\0\0\0"].concat());
            wire.send(b'B', &[0, 0, 0, 0, 0, 0, 0, 1, 0, format]);
            wire.send(b'D', b"P\0");
            wire.send(b'E', b"\0\0\0\0\0");
            wire.send(b'S', b"");
        }
        b"\\parse" => {
            // SQL may hold the sign that parts words.
            let at = rest.iter().position(|byte| *byte == b'|').expect("a name");
            wire.send(b'P', &[&name(0), &rest[at + 1..], b"\0\0\0"].concat());
        }
        b"\\bind" => {
            let format: u8 = std::str::from_utf8(words[2]).expect("a digit").parse().expect("a digit");
            let tail = [0, 1, 0, format];
            wire.send(b'B', &[&name(0)[..], &name(1), &[0, 0], &arguments(&words[3..]), &tail].concat());
        }
        b"\\describe" => wire.send(b'D', &[words[0], &name(1)].concat()),
        b"\\execute" => {
            let rows: u32 = std::str::from_utf8(words[1]).expect("a number").parse().expect("a number");
            wire.send(b'E', &[&name(0)[..], &rows.to_be_bytes()].concat());
        }
        b"\\close" => wire.send(b'C', &[words[0], &name(1)].concat()),
        b"\\sync" => wire.send(b'S', b""),
        b"\\flush" => wire.send(b'H', b""),
        b"\\wait" => {}
        b"\\query" => wire.send(b'Q', &[rest, b"\0"].concat()),
        b"\\function" => {
            let oid: u32 = std::str::from_utf8(words[0]).expect("a number").parse().expect("a number");
            wire.send(b'F', &[&oid.to_be_bytes()[..], &[0, 0], &arguments(&words[1..]), &[0, 0]].concat());
        }
        b"\\raw" => wire.send(words[0][0], words[1]),
        b"\\data" => wire.send(b'd', &[rest, b"\n"].concat()),
        b"\\done" => wire.send(b'c', b""),
        _ => panic!("no such line: {}", String::from_utf8_lossy(line)),
    }
}

fn arguments(words: &[&[u8]]) -> Vec<u8> {
    let mut out = u16::try_from(words.len()).expect("few").to_be_bytes().to_vec();
    for word in words {
        out.extend(u32::try_from(word.len()).expect("short").to_be_bytes());
        out.extend_from_slice(word);
    }
    out
}
