//! Why bytes are not passed.

use super::notice::{self, Fields};

pub(super) type Result<T, E = ProtocolError> = std::result::Result<T, E>;

/// How a message's body is not what its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Its parts need more bytes than it has.
    #[error("it ends too early")]
    Short,
    /// A string without the zero byte at its end.
    #[error("a string does not end")]
    Unterminated,
    /// Bytes after its last part.
    #[error("bytes follow its last part")]
    Trailing,
    /// A length that is negative and not null's.
    #[error("a length is negative")]
    Length,
    /// A format other than text and binary.
    #[error("format {0} does not exist")]
    Format(i16),
    /// Neither none, nor one, nor as many formats as values.
    #[error("there are not as many formats as values")]
    Formats,
    /// One of few values was expected here.
    #[error("code {0} does not exist")]
    Code(u32),
    /// A cancellation key that is shorter than 4 or longer than 256 bytes.
    #[error("a cancellation key of {0} bytes")]
    Key(usize),
    /// A startup message that does not say who.
    #[error("it names no user")]
    NoUser,
}

/// What ends a flow: nothing of the message is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The body is not what the type says.
    #[error("malformed message: {0}")]
    Malformed(#[from] Malformed),
    /// A type that this side never sends.
    #[error("unknown message type {0:#04x}")]
    UnknownType(u8),
    /// A length that no message of this type can have.
    #[error("message type {kind:#04x} of {length} bytes")]
    Length {
        /// The message's type; 0 for packets before there are types.
        kind: u8,
        /// As it stands on the wire.
        length: u32,
    },
    /// A protocol version other than 3.
    #[error("unsupported protocol version {major}.{minor}")]
    Version {
        /// The version's first part.
        major: u16,
        /// Its second.
        minor: u16,
    },
    /// Bytes in clear after TLS or GSSAPI was asked for and before it was answered.
    #[error("clear text after a request for encryption")]
    ClearText,
    /// A message that cannot come now.
    #[error("message type {kind:#04x} is not expected {during}")]
    Unexpected {
        /// The message's type.
        kind: u8,
        /// What was going on.
        during: &'static str,
    },
    /// More requests, names or kept bytes than a session may have.
    #[error("more than {limit} {what}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// A request was passed or refused after another one that was asked about later.
    #[error("a decision came out of turn")]
    OutOfTurn,
}

impl ProtocolError {
    /// The condition a client is told (`errcodes.txt`).
    #[must_use]
    pub fn sqlstate(&self) -> &'static [u8; 5] {
        match self {
            Self::Version { .. } => b"0A000",
            Self::Limit { .. } => b"54000",
            Self::Malformed(_)
            | Self::UnknownType(_)
            | Self::Length { .. }
            | Self::ClearText
            | Self::Unexpected { .. }
            | Self::OutOfTurn => b"08P01",
        }
    }

    /// The ErrorResponse a client gets before its connection ends.
    #[must_use]
    pub fn response(&self) -> Vec<u8> {
        let message = self.to_string();
        let mut out = Vec::new();
        Fields { severity: notice::Severity::Fatal, sqlstate: *self.sqlstate(), ..Fields::denied(&message) }
            .error(&mut out);
        out
    }
}
