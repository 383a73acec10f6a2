//! Where messages begin and end in a stream of bytes, split and joined anyhow.
//!
//! A framer keeps no bytes: its owner shows it what has arrived and not yet been consumed, and it answers with a message
//! inside those bytes. Only one kind is handed out before it is whole: what may be long and is not to be looked at.
//! Protocol documentation: "Message Formats"; lengths as the server limits them (`SocketBackend`, `pqcomm.c`).

use super::error::{ProtocolError, Result};
use super::startup::{Code, MAX_PACKET};

/// Type and length of a typed message.
pub const HEADER: usize = 5;

/// The server's limit of messages that name things and change little (`PQ_SMALL_MESSAGE_LIMIT`).
const SMALL: u32 = 10_000;
/// The server's limit of a password or of an authentication token (`PG_MAX_AUTH_TOKEN_LENGTH`).
const PASSWORD: u32 = 65_535;
/// The server's limit of anything (`PQ_LARGE_MESSAGE_LIMIT`).
const LARGE: u32 = 0x3FFF_FFFE;

/// Lengths up to which messages are gathered, in bytes as on the wire, the length itself included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Query, Parse, Bind and FunctionCall.
    pub request: u32,
    /// A DataRow or CopyData that is wanted whole.
    pub row: u32,
    /// Everything else a server sends.
    pub answer: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request: 64 << 20, row: 64 << 20, answer: 4 << 20 }
    }
}

/// How rows and copied data are handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bulk {
    /// Whole, within [`Limits::row`]: they are looked into.
    #[default]
    Whole,
    /// As they arrive, up to the server's own limit of 1 GiB: they are only passed on.
    Pieces,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Untyped packets, until a startup message.
    Startup,
    /// Encryption was asked for: nothing may follow in these bytes.
    Encrypting,
    /// Typed messages, of which only passwords are acceptable.
    Authenticating,
    /// Typed messages.
    Open,
    /// A cancellation, or the end: nothing may follow.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Frontend,
    Backend,
}

/// A part of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// An untyped packet of the startup phase, without its length.
    Packet(&'a [u8]),
    /// A message: its type, its body, and all its bytes.
    Message {
        /// The message's type.
        tag: u8,
        /// Without type and length.
        body: &'a [u8],
        /// With them, to be passed on.
        bytes: &'a [u8],
    },
    /// The beginning of a long message that is handed out in pieces: its header.
    Begin {
        /// The message's type.
        tag: u8,
        /// Length of the body, of which nothing has been handed out yet.
        length: u32,
        /// The header.
        bytes: &'a [u8],
    },
    /// More of it.
    Piece {
        /// Some of the body.
        bytes: &'a [u8],
        /// Whether the message ends here.
        last: bool,
    },
}

impl Frame<'_> {
    /// How many bytes of the stream this is.
    #[must_use]
    pub fn consumed(&self) -> usize {
        match self {
            Self::Packet(body) => body.len() + 4,
            Self::Message { bytes, .. } | Self::Begin { bytes, .. } | Self::Piece { bytes, .. } => bytes.len(),
        }
    }
}

/// Finds the messages of one direction.
#[derive(Clone, Debug)]
pub struct Framer {
    side: Side,
    phase: Phase,
    limits: Limits,
    bulk: Bulk,
    /// What is still to come of a message that is handed out in pieces.
    remaining: u32,
    /// How many bytes there must be before asking again makes sense.
    wanted: usize,
}

impl Framer {
    /// What a client sends, from the first byte of a connection, or of what is inside TLS.
    #[must_use]
    pub fn frontend(limits: Limits) -> Self {
        Self { side: Side::Frontend, phase: Phase::Startup, limits, bulk: Bulk::Whole, remaining: 0, wanted: 4 }
    }

    /// What a server sends, after its one-byte answers to requests for encryption.
    #[must_use]
    pub fn backend(limits: Limits) -> Self {
        Self { side: Side::Backend, phase: Phase::Open, limits, bulk: Bulk::Whole, remaining: 0, wanted: HEADER }
    }

    /// Says how rows and copied data are to be handed out, from the next message on.
    pub fn deliver(&mut self, bulk: Bulk) {
        self.bulk = bulk;
    }

    /// The client is authenticated: everything may come now.
    pub fn open(&mut self) {
        if self.phase == Phase::Authenticating {
            self.phase = Phase::Open;
        }
    }

    /// The client's request for encryption was answered: with no, or a new stream begins inside it.
    pub fn answered(&mut self) {
        if self.phase == Phase::Encrypting {
            self.phase = Phase::Startup;
        }
    }

    /// Whether the stream stands between two messages: only there may another one be put in.
    #[must_use]
    pub fn between_messages(&self) -> bool {
        self.remaining == 0
    }

    /// How many unconsumed bytes there must be for [`Framer::next`] to find more than it last did.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.wanted
    }

    /// What the unconsumed bytes begin with; `None` if more have to come. The owner consumes [`Frame::consumed`] bytes.
    ///
    /// # Errors
    /// A length or type that cannot be: nothing of these bytes may be passed.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<Option<Frame<'a>>> {
        match self.phase {
            Phase::Startup => self.packet(input),
            Phase::Encrypting | Phase::Ended if input.is_empty() => Ok(None),
            Phase::Encrypting => Err(ProtocolError::ClearText),
            Phase::Ended => Err(ProtocolError::Unexpected { kind: 0, during: "after the end" }),
            Phase::Authenticating | Phase::Open if self.remaining > 0 => Ok(self.piece(input)),
            Phase::Authenticating | Phase::Open => self.message(input),
        }
    }

    /// Length in bytes of the whole rows (DataRow, or CopyData) `input` begins with, and how many they are.
    ///
    /// For rows that nobody looks into: each header is looked at, and nothing else. Consumes what it counts; stops
    /// before anything else, which [`Framer::next`] then finds.
    pub fn rows(&mut self, input: &[u8], tag: u8) -> (usize, u64) {
        if self.phase != Phase::Open || self.remaining > 0 || !is_bulk(self.side, tag) {
            return (0, 0);
        }
        let most = self.limit(tag).map_or(0, |(most, _)| most);
        let (mut rest, mut count) = (input, 0);
        while let Some(([kind, length @ ..], _)) = rest.split_first_chunk::<HEADER>() {
            let length = u32::from_be_bytes(*length);
            let Some(next) = (length as usize).checked_add(1).and_then(|whole| rest.get(whole..)) else { break };
            // A length below its own four bytes is left to `next`, which refuses it.
            if *kind != tag || length < 4 || length > most {
                break;
            }
            rest = next;
            count += 1;
        }
        (input.len() - rest.len(), count)
    }

    fn packet<'a>(&mut self, input: &'a [u8]) -> Result<Option<Frame<'a>>> {
        let Some((length, rest)) = input.split_first_chunk() else { return Ok(self.want(4)) };
        let length = u32::from_be_bytes(*length);
        if !(8..=MAX_PACKET).contains(&length) {
            return Err(ProtocolError::Length { kind: 0, length });
        }
        let whole = length as usize;
        let Some(body) = rest.get(..whole - 4) else { return Ok(self.want(whole)) };
        let code = body.first_chunk().map_or(Code::Unknown, |code| Code::of(u32::from_be_bytes(*code)));
        self.phase = match code {
            Code::Start { major: 3, .. } => Phase::Authenticating,
            Code::Start { major, minor } => return Err(ProtocolError::Version { major, minor }),
            Code::Tls | Code::Gss if input.len() > whole => return Err(ProtocolError::ClearText),
            Code::Tls | Code::Gss => Phase::Encrypting,
            Code::Cancel => Phase::Ended,
            Code::Unknown => return Err(ProtocolError::Length { kind: 0, length }),
        };
        self.wanted = HEADER;
        Ok(Some(Frame::Packet(body)))
    }

    fn message<'a>(&mut self, input: &'a [u8]) -> Result<Option<Frame<'a>>> {
        let Some(([tag, length @ ..], rest)) = input.split_first_chunk::<HEADER>() else {
            // An unknown type is refused with its first byte.
            input.first().map_or(Ok((0, false)), |tag| self.limit(*tag))?;
            return Ok(self.want(HEADER));
        };
        let (tag, length) = (*tag, u32::from_be_bytes(*length));
        let (most, pieces) = self.limit(tag)?;
        if !(4..=most).contains(&length) {
            return Err(ProtocolError::Length { kind: tag, length });
        }
        let whole = length as usize + 1;
        if let (Some(body), Some(bytes)) = (rest.get(..whole - HEADER), input.get(..whole)) {
            self.wanted = HEADER;
            return Ok(Some(Frame::Message { tag, body, bytes }));
        }
        if !pieces {
            return Ok(self.want(whole));
        }
        self.remaining = length - 4;
        self.wanted = 1;
        let bytes = input.get(..HEADER).unwrap_or_default();
        Ok(Some(Frame::Begin { tag, length: self.remaining, bytes }))
    }

    fn piece<'a>(&mut self, input: &'a [u8]) -> Option<Frame<'a>> {
        let bytes = input.get(..self.remaining as usize).unwrap_or(input);
        if bytes.is_empty() {
            return None;
        }
        self.remaining -= u32::try_from(bytes.len()).unwrap_or(self.remaining);
        let last = self.remaining == 0;
        self.wanted = if last { HEADER } else { 1 };
        Some(Frame::Piece { bytes, last })
    }

    fn want<'a>(&mut self, bytes: usize) -> Option<Frame<'a>> {
        self.wanted = bytes;
        None
    }

    /// The longest message of a type, and whether it may be handed out in pieces.
    fn limit(&self, tag: u8) -> Result<(u32, bool)> {
        let bulk = |tag| match self.bulk {
            Bulk::Pieces if is_bulk(self.side, tag) => (LARGE, true),
            Bulk::Pieces | Bulk::Whole => (self.limits.row.min(LARGE), false),
        };
        match (self.side, self.phase, tag) {
            (Side::Frontend, Phase::Authenticating, b'p') => Ok((PASSWORD, false)),
            (Side::Frontend, Phase::Authenticating, b'X') => Ok((4, false)),
            (Side::Frontend, Phase::Authenticating, kind) => {
                Err(ProtocolError::Unexpected { kind, during: "before authentication" })
            }
            (Side::Frontend, _, b'Q' | b'P' | b'B' | b'F') => Ok((self.limits.request.min(LARGE), false)),
            (Side::Frontend, _, b'C' | b'D' | b'E' | b'f') => Ok((SMALL, false)),
            (Side::Frontend, _, b'H' | b'S' | b'X' | b'c') => Ok((4, false)),
            (_, _, b'd') | (Side::Backend, _, b'D') => Ok(bulk(tag)),
            (Side::Backend, _, b'1' | b'2' | b'3' | b'I' | b'c' | b'n' | b's') => Ok((4, false)),
            (Side::Backend, _, b'Z') => Ok((5, false)),
            (Side::Backend, _, b'V') => Ok((self.limits.row.min(LARGE), false)),
            (
                Side::Backend,
                _,
                b'A' | b'C' | b'E' | b'G' | b'H' | b'K' | b'N' | b'R' | b'S' | b'T' | b'W' | b't' | b'v',
            ) => Ok((self.limits.answer.min(LARGE), false)),
            (_, _, kind) => Err(ProtocolError::UnknownType(kind)),
        }
    }
}

fn is_bulk(side: Side, tag: u8) -> bool {
    tag == b'd' || side == Side::Backend && tag == b'D'
}

/// Each of the whole messages that `run` is made of, as [`Framer::rows`] counts them.
pub fn messages(run: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = run;
    std::iter::from_fn(move || {
        let ([_, length @ ..], _) = rest.split_first_chunk::<HEADER>()?;
        let whole = (u32::from_be_bytes(*length) as usize).checked_add(1)?;
        let (message, next) = rest.split_at_checked(whole)?;
        rest = next;
        Some(message)
    })
}
