//! Why a flow ends before its client is done.

use std::{fmt, io};

use crate::{
    protocol::postgres::{
        ProtocolError,
        copy::CopyError,
        login::LoginError,
        notice::{Fields, Severity},
        value::ValueError,
    },
    record::{Outcome, RecordError},
};

/// Who is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Client,
    Server,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "the client",
            Self::Server => "the server",
        })
    }
}

/// What ends a flow.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The client's socket failed, or it went in the middle of something.
    #[error("the client: {0}")]
    Client(io::Error),
    /// The server's did.
    #[error("the server: {0}")]
    Server(io::Error),
    /// What it says is not what may be said.
    #[error("{0}: {1}")]
    Protocol(Who, ProtocolError),
    /// What cannot be masked is not passed.
    #[error("a value could not be masked: {0}")]
    Unmasked(ValueError),
    /// Copied data that is not what was announced.
    #[error("copied data could not be masked: {0}")]
    Copy(#[from] CopyError),
    /// Data is copied that nobody understood to be.
    #[error("data is copied that was not understood to be")]
    Uncopiable,
    /// What cannot be recorded is not passed.
    #[error("{0}")]
    Unrecorded(#[from] RecordError),
    /// Nobody could log in.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// Refused before there was a session; the client's text, and what the operator is told.
    #[error("{log}")]
    Refused {
        /// The condition.
        sqlstate: [u8; 5],
        /// For the client.
        client: String,
        /// For the record.
        log: String,
    },
}

impl Fault {
    /// What the record calls it.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Client(_) => Outcome::ClientReset,
            Self::Server(_) => Outcome::UpstreamReset,
            Self::Protocol(..) | Self::Refused { .. } | Self::Login(_) => Outcome::Refused,
            Self::Unrecorded(_) | Self::Unmasked(_) | Self::Copy(_) | Self::Uncopiable => Outcome::Failed,
        }
    }

    /// The last message to the client; nothing where there is nobody to tell.
    pub(super) fn response(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut tell = |sqlstate: &[u8; 5], message: &str| {
            let fatal = Fields { severity: Severity::Fatal, sqlstate: *sqlstate, ..Fields::denied(message) };
            fatal.error(&mut out);
        };
        match self {
            Self::Client(_) => {}
            Self::Server(_) => tell(b"08006", "the connection to the server was lost"),
            Self::Protocol(Who::Client, error) => return error.response(),
            Self::Protocol(Who::Server, _) => tell(b"08P01", "the server's answer was not understood"),
            Self::Unmasked(_) | Self::Copy(_) | Self::Uncopiable => {
                tell(b"58000", "a protected value could not be masked, and was not passed");
            }
            Self::Unrecorded(_) => tell(b"58030", "the request could not be recorded, and was not passed"),
            Self::Refused { sqlstate, client, .. } => tell(sqlstate, client),
            Self::Login(error) => return error.response(),
        }
        out
    }
}
