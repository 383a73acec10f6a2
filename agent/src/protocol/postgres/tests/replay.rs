//! Conversations of real clients with PostgreSQL 15, replayed in all splits.
//!
//! A recording is a list of pieces as they passed: the side that sent them (0 for the client), a length, and the bytes.
//! `simple` is psql with SQL of all kinds, a COPY and errors; `extended`, `pipeline` and `copy` are psycopg with prepared
//! statements, cursors, notifications, pipelines and COPY in all formats; `pgbench` is its prepared mode; `scram` is a login
//! with a password; `replication`, `logical` and `physical` are psql, pg_recvlogical and pg_receivewal.

use super::super::frame::{Frame, Framer, Limits};
use super::super::message::{Backend, Frontend};
use super::super::session::{Passed, Room, Session, Turn};
use super::super::startup::{Encryption, Startup};

const RECORDINGS: [(&str, &[u8]); 9] = [
    ("simple", include_bytes!("../fixtures/simple.tap")),
    ("extended", include_bytes!("../fixtures/extended.tap")),
    ("pipeline", include_bytes!("../fixtures/pipeline.tap")),
    ("copy", include_bytes!("../fixtures/copy.tap")),
    ("pgbench", include_bytes!("../fixtures/pgbench.tap")),
    ("scram", include_bytes!("../fixtures/scram.tap")),
    ("replication", include_bytes!("../fixtures/replication.tap")),
    ("logical", include_bytes!("../fixtures/logical.tap")),
    ("physical", include_bytes!("../fixtures/physical.tap")),
];

/// The pieces of a recording.
fn pieces(mut recording: &[u8]) -> Vec<(bool, &[u8])> {
    let mut found = Vec::new();
    while let Some(([side, length @ ..], rest)) = recording.split_first_chunk::<5>() {
        let (piece, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        found.push((*side == 0, piece));
        recording = rest;
    }
    assert!(recording.is_empty());
    found
}

/// A session between two streams, which passes everything.
struct Between {
    session: Session,
    frontend: Framer,
    backend: Framer,
    client: Vec<u8>,
    server: Vec<u8>,
    /// A request for encryption that waits for its answer.
    asked: Option<u8>,
    log: Vec<String>,
}

impl Between {
    fn new() -> Self {
        Self {
            session: Session::new(Room::default()),
            frontend: Framer::frontend(Limits::default()),
            backend: Framer::backend(Limits::default()),
            client: Vec::new(),
            server: Vec::new(),
            asked: None,
            log: Vec::new(),
        }
    }

    fn client_sends(&mut self, bytes: &[u8]) {
        self.client.extend_from_slice(bytes);
        self.requests();
    }

    fn requests(&mut self) {
        let buffer = std::mem::take(&mut self.client);
        let mut rest = &buffer[..];
        while self.asked.is_none()
            && let Some(frame) = self.frontend.next(rest).unwrap()
        {
            let again = rest;
            rest = &rest[frame.consumed()..];
            let mut written = Vec::new();
            match frame {
                Frame::Packet(body) => {
                    let packet = Startup::decode(body).unwrap();
                    packet.encode(&mut written);
                    match packet {
                        Startup::Start(start) => {
                            self.session.start(&start).unwrap();
                        }
                        Startup::Tls | Startup::Gss => self.asked = Some(body[3]),
                        Startup::Cancel(_) => panic!("nothing was cancelled"),
                    }
                    self.log.push(format!("{packet:?}"));
                }
                Frame::Message { tag, body, .. } => {
                    let message = Frontend::decode(tag, body).unwrap();
                    message.encode(&mut written);
                    match self.session.frontend(message).unwrap() {
                        Turn::Ask(asked) => {
                            self.log.push(format!("{message:?} {}", asked.number()));
                            assert_eq!(self.session.pass(asked, &[]).unwrap(), Passed::Forward);
                        }
                        Turn::Wait => {
                            rest = again;
                            break;
                        }
                        turn @ (Turn::Pass(_) | Turn::Drop) => self.log.push(format!("{message:?} {turn:?}")),
                    }
                }
                Frame::Begin { .. } | Frame::Piece { .. } => panic!("nothing was to be handed out in pieces"),
            }
            assert_eq!(written, again[..frame.consumed()]);
        }
        self.client = rest.to_vec();
    }

    fn server_sends(&mut self, bytes: &[u8]) {
        self.server.extend_from_slice(bytes);
        if let (Some(code), false) = (self.asked, self.server.is_empty()) {
            let asked = if code == 47 { Startup::Tls } else { Startup::Gss };
            assert_eq!(Encryption::decode(&asked, self.server.remove(0)).unwrap(), Encryption::Refused);
            self.asked = None;
            self.frontend.answered();
        }
        while let Some(frame) = self.backend.next(&self.server).unwrap() {
            let consumed = frame.consumed();
            let Frame::Message { tag, body, bytes } = frame else { panic!("nothing was to be handed out in pieces") };
            let message = Backend::decode(tag, body).unwrap();
            let mut written = Vec::new();
            message.encode(&mut written);
            assert_eq!(written, bytes);
            let answer = self.session.backend(&message).unwrap_or_else(|e| panic!("{message:?}: {e}\n{:#?}", self.log));
            if matches!(message, Backend::Authentication(super::super::auth::Authentication::Ok)) {
                self.frontend.open();
            }
            self.log.push(format!("{message:?} {answer:?}"));
            if matches!(message, Backend::Row(_))
                && matches!(self.session.shape(), Some(ref shape) if shape.columns().is_some())
            {
                self.log.push("of known columns".to_owned());
            }
            self.server.drain(..consumed);
            self.requests();
        }
    }

    fn replay(pieces: &[(bool, &[u8])], split: usize) -> Self {
        let mut between = Self::new();
        for (client, piece) in pieces {
            for part in piece.chunks(split) {
                if *client {
                    between.client_sends(part);
                } else {
                    between.server_sends(part);
                }
            }
        }
        between
    }

    fn count(&self, what: &str) -> usize {
        self.log.iter().filter(|line| line.starts_with(what)).count()
    }
}

#[test]
fn recorded_conversations_are_understood_however_split() {
    for (name, recording) in RECORDINGS {
        let pieces = pieces(recording);
        let whole = Between::replay(&pieces, usize::MAX);
        assert!(whole.client.is_empty() && whole.server.is_empty(), "{name}");
        assert!(whole.session.ended(), "{name}");
        let longest = pieces.iter().map(|(_, piece)| piece.len()).max().unwrap();
        for split in (1..40).chain([64, 100, 255, longest / 2, longest - 1]) {
            assert_eq!(Between::replay(&pieces, split).log, whole.log, "{name} in pieces of {split}");
        }
    }
}

#[test]
fn recorded_conversations_say_what_happened() {
    let count = |name: &str, what: &[&str]| -> Vec<usize> {
        let (_, recording) = RECORDINGS.iter().find(|(found, _)| *found == name).unwrap();
        let between = Between::replay(&pieces(recording), usize::MAX);
        what.iter().map(|what| between.count(what)).collect()
    };
    assert_eq!(count("simple", &["Tls", "Query(", "Error(", "Notice(", "CopyData(", "Copy("]), [1, 19, 1, 1, 3, 2]);
    assert_eq!(
        count("extended", &["Parse(", "Bind(", "Notification(", "Error(", "of known columns"]),
        [7, 11, 1, 1, 12]
    );
    assert_eq!(count("pipeline", &["Parse(", "Sync", "Ready(", "Error("]), [5, 4, 5, 1]);
    assert_eq!(count("copy", &["Copy(", "CopyFail(", "Error("]), [6, 1, 2]);
    assert_eq!(count("scram", &["Secret", "Authentication(Sasl"]), [2, 3]);
    assert_eq!(count("logical", &["Copy(", "CopyData("]), [1, 9]);
}
