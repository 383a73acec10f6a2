//! Why there is no TLS: what the log says, with what to do, and what a client is told.

use std::io;
use std::path::PathBuf;

use rustls::{AlertDescription, CertificateError, Error};

/// Why a certificate is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// By nobody who is known here.
    #[error(
        "was issued by an authority this host does not trust; write ca = \"FILE\" in the target with the authority's certificate"
    )]
    UnknownIssuer,
    /// Too late.
    #[error("has expired; renew it at the server")]
    Expired,
    /// Too early.
    #[error("is not valid yet; compare the clocks of this host and the server's")]
    NotYet,
    /// For others.
    #[error("is for {}; write server_name = \"NAME\" in the target, or have a certificate with this name issued", shown(.0))]
    Name(Vec<String>),
    /// An authority's, shown by the server itself.
    #[error("is an authority's own; write ca = \"FILE\" in the target with this very certificate, or have one issued")]
    Authority,
    /// Something else.
    #[error("is not acceptable: {0}")]
    Other(String),
}

fn shown(names: &[String]) -> String {
    if names.is_empty() { "no name in subjectAltName".to_owned() } else { names.join(", ") }
}

/// Why there is no TLS. Its text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The server's certificate.
    #[error("the certificate of {name} {why}")]
    Distrust {
        /// Whom it was to be of.
        name: String,
        /// Why it is not trusted.
        why: Distrust,
    },
    /// The peer ends the handshake.
    #[error("the peer refuses TLS: {0:?}")]
    Refused(AlertDescription),
    /// The client does not take our certificate.
    #[error(
        "the client does not trust this host's authority; run `sallyport trust install`, and `sallyport trust status` to see who does"
    )]
    Untrusted,
    /// The handshake fails.
    #[error("TLS failed: {0}")]
    Handshake(Error),
    /// The connection fails.
    #[error("the connection failed during the TLS handshake: {0}")]
    Io(io::Error),
    /// A file of the configuration.
    #[error("cannot use {}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// There is nobody to trust.
    #[error("this system has no certificates to trust: install ca-certificates, or write ca = \"FILE\" in the target")]
    NoRoots,
    /// The local authority.
    #[error("the local authority: {0}")]
    Authority(String),
}

impl TlsError {
    /// What is told to the client: that, and not why.
    #[must_use]
    pub fn client_text(&self) -> &'static str {
        match self {
            Self::Distrust { .. } => "the server's certificate is not trusted",
            Self::Refused(_) | Self::Untrusted | Self::Handshake(_) | Self::Io(_) => {
                "a secure connection to the server failed"
            }
            Self::File { .. } | Self::NoRoots | Self::Authority(_) => "Sallyport is not able to connect securely",
        }
    }

    /// What a failed handshake was about.
    pub(super) fn handshake(error: io::Error, name: &str) -> Self {
        let Some(failed) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return Self::Io(error);
        };
        #[expect(clippy::wildcard_enum_match_arm, reason = "`rustls::Error` is open-ended")]
        match failed {
            Error::InvalidCertificate(why) => Self::Distrust { name: name.to_owned(), why: distrust(why) },
            Error::AlertReceived(alert) => Self::Refused(*alert),
            other => Self::Handshake(other.clone()),
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "`rustls::CertificateError` is open-ended")]
fn distrust(why: &CertificateError) -> Distrust {
    match why {
        CertificateError::UnknownIssuer => Distrust::UnknownIssuer,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Distrust::NotYet,
        CertificateError::NotValidForName => Distrust::Name(Vec::new()),
        CertificateError::NotValidForNameContext { presented, .. } => {
            Distrust::Name(presented.iter().map(|name| bare(name)).collect())
        }
        other => match other.to_string() {
            text if text.contains("CaUsedAsEndEntity") => Distrust::Authority,
            text => Distrust::Other(text),
        },
    }
}

/// rustls writes `DnsName("db.example.org")`.
fn bare(presented: &str) -> String {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(presented);
    inner.trim_matches('"').to_owned()
}
