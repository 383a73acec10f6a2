//! Why a login fails: what the log says, and what the client is told.

use super::Method;
use crate::protocol::postgres::error::ProtocolError;
use crate::protocol::postgres::notice::{Fields, Report, Severity};
use crate::protocol::postgres::scram::ScramError;

/// Longest text of a server that is repeated, characters.
const LONGEST_TEXT: usize = 400;

/// How far a login was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The server may be anybody.
    Authenticating,
    /// The server is content.
    Authenticated,
    /// Taking on the role.
    Role,
}

/// Why a login fails. Its text is for the log; the client gets [`LoginError::response`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The server says so.
    #[error("the server refuses the login ({}): {text}", String::from_utf8_lossy(sqlstate))]
    Server {
        /// The condition.
        sqlstate: [u8; 5],
        /// What it says, safe to print.
        text: String,
        /// How far the login was.
        stage: Stage,
    },
    /// It asks for something it may not.
    #[error("the server asks for {}, which `require_auth` of the target does not have", .0.as_str())]
    Method(Method),
    /// It asks for something that must not go in clear.
    #[error("the server asks for {} and the connection is in clear; set tls = \"verify-full\" in the target", .0.as_str())]
    InClear(Method),
    /// It asks for a password, and there is none.
    #[error("the server asks for a password, and the credential has none")]
    NoPassword,
    /// GSSAPI, SSPI, Kerberos or another SASL mechanism.
    #[error("the server asks for an authentication other than SCRAM-SHA-256, MD5 or a password")]
    Unsupported,
    /// It was content too early.
    #[error("the server ended SCRAM without a proof that it knows the password")]
    NotProven,
    /// The exchange went wrong.
    #[error("SCRAM: {0}")]
    Scram(#[from] ScramError),
    /// More than a startup message can hold.
    #[error("the startup message is too long")]
    Parameters,
    /// A physical replication session.
    #[error("`set_role` needs SQL, and a physical replication session has none")]
    NoSql,
    /// Not the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

impl LoginError {
    pub(super) fn server(report: &Report<'_>, stage: &Stage) -> Self {
        let sqlstate = <[u8; 5]>::try_from(report.sqlstate()).ok();
        let sqlstate = sqlstate.filter(|code| code.iter().all(u8::is_ascii_alphanumeric)).unwrap_or(*b"08P01");
        let text = String::from_utf8_lossy(report.message());
        let tame = |c: char| if crate::config::steers(c) { '\u{FFFD}' } else { c };
        let text = text.chars().take(LONGEST_TEXT).map(tame).collect();
        Self::Server { sqlstate, text, stage: *stage }
    }

    /// The condition the client is told.
    #[must_use]
    pub fn sqlstate(&self) -> [u8; 5] {
        match self {
            // Drivers try again later on some of these: too many connections, starting up, shutting down.
            Self::Server { sqlstate, stage: Stage::Authenticated, .. } => *sqlstate,
            Self::Server { sqlstate, .. } if sqlstate.starts_with(b"53") || sqlstate.starts_with(b"57P") => *sqlstate,
            Self::Parameters => *b"08P01",
            Self::NoSql => *b"0A000",
            Self::Protocol(_) => *b"08006",
            Self::Server { .. }
            | Self::Method(_)
            | Self::InClear(_)
            | Self::NoPassword
            | Self::Unsupported
            | Self::NotProven
            | Self::Scram(_) => *b"28000",
        }
    }

    /// What the client is told: nothing of the credential, and nothing a server says before it is known.
    #[must_use]
    pub fn client_text(&self) -> &str {
        match self {
            Self::Server { text, stage: Stage::Authenticated, .. } => text,
            Self::Server { .. } if self.sqlstate() != *b"28000" => "the database does not take connections now",
            Self::Parameters => "the connection's parameters are too long",
            Self::NoSql => "a physical replication session cannot take on the configured role",
            Self::Server { .. }
            | Self::Method(_)
            | Self::InClear(_)
            | Self::NoPassword
            | Self::Unsupported
            | Self::NotProven
            | Self::Scram(_)
            | Self::Protocol(_) => "Sallyport could not log in to the database",
        }
    }

    /// The ErrorResponse a client gets before its connection ends.
    #[must_use]
    pub fn response(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Fields { severity: Severity::Fatal, sqlstate: self.sqlstate(), ..Fields::denied(self.client_text()) }
            .error(&mut out);
        out
    }
}
