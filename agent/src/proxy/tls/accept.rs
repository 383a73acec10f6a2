//! Towards the client: it asked for TLS, and gets it from here.
//!
//! In two steps, so that the upstream can be reached under the name the client asked for, and the client be shown the names
//! the upstream has: [`Acceptor::hello`], then [`Hello::answer`].

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::{AlertDescription, server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use super::authority::Authority;
use super::facts::{Certificate, Facts};
use super::failure::TlsError;
use super::leaf::Leaves;
use crate::protocol::postgres::startup::ALPN;

/// Most names of an upstream that a certificate is made with.
const MOST_NAMES: usize = 16;

/// Answers clients that ask for TLS.
pub struct Acceptor {
    leaves: Leaves,
}

/// What a certificate is for, where the client does not say.
#[derive(Clone, Copy, Debug)]
pub struct Hints<'a> {
    /// Names of the upstream's own certificate ([`Certificate::names`]), or of the target.
    pub names: &'a [String],
    /// Where the client went.
    pub address: IpAddr,
    /// Whether TLS began with the first byte: then the client has to say that it is for PostgreSQL.
    pub direct: bool,
}

/// A client that has asked, and waits.
pub struct Hello<S> {
    waiting: StartHandshake<S>,
    name: Option<String>,
}

/// A client that is inside TLS.
#[derive(Debug)]
pub struct Accepted<S> {
    /// What comes out here is from the client.
    pub stream: TlsStream<S>,
    /// For the record.
    pub facts: Facts,
}

impl Acceptor {
    /// One that shows certificates of this authority.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn new(authority: Authority) -> Result<Self, TlsError> {
        Ok(Self { leaves: Leaves::new(authority)? })
    }

    /// Whose certificates are shown.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        self.leaves.authority()
    }

    /// Reads what the client asks for. How long it may take is the caller's business.
    ///
    /// # Errors
    /// If it is not TLS, or of a version before 1.2; the client was told.
    pub async fn hello<S>(&self, stream: S) -> Result<Hello<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let waiting = LazyConfigAcceptor::new(server::Acceptor::default(), stream).await;
        let waiting = waiting.map_err(|error| TlsError::handshake(error, "the client"))?;
        let name = waiting.client_hello().server_name().map(str::to_ascii_lowercase);
        Ok(Hello { waiting, name })
    }

    /// Both steps at once.
    ///
    /// # Errors
    /// As of either.
    pub async fn accept<S>(&self, stream: S, hints: Hints<'_>) -> Result<Accepted<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.hello(stream).await?.answer(self, hints).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Hello<S> {
    /// The host name it asked for.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Shows it a certificate, and finishes the handshake.
    ///
    /// # Errors
    /// If there can be no certificate, or the client does not take it: most often because it does not trust this host's
    /// authority.
    pub async fn answer(self, acceptor: &Acceptor, hints: Hints<'_>) -> Result<Accepted<S>, TlsError> {
        let Self { waiting, name } = self;
        let names_us = waiting.client_hello().alpn().is_some_and(|mut offered| offered.any(|one| one == ALPN));
        if hints.direct && !names_us {
            return Err(TlsError::Handshake(rustls::Error::NoApplicationProtocol));
        }
        let served = acceptor.leaves.of(wanted(name.as_deref(), hints), seconds())?;
        let stream = waiting.into_stream(served.config).await.map_err(|error| match error {
            error if error.kind() == std::io::ErrorKind::UnexpectedEof => TlsError::Untrusted,
            error => untrusted(TlsError::handshake(error, "the client")),
        })?;
        let (_, connection) = stream.get_ref();
        let mut facts = Facts::of(connection, name);
        facts.certificate = Some(Certificate::of(&served.certificate));
        Ok(Accepted { stream, facts })
    }
}

/// A client that does not trust a certificate says so, or just goes.
fn untrusted(error: TlsError) -> TlsError {
    let distrusts = |alert| {
        matches!(
            alert,
            AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown
        )
    };
    if let TlsError::Refused(alert) = error
        && distrusts(alert)
    {
        return TlsError::Untrusted;
    }
    error
}

/// What the certificate is to be for: what the client asked for; or else whatever it may compare.
fn wanted(name: Option<&str>, hints: Hints<'_>) -> Vec<String> {
    if let Some(name) = name {
        return vec![name.to_owned()];
    }
    let mut names: Vec<String> = hints.names.iter().take(MOST_NAMES).cloned().collect();
    names.push(hints.address.to_canonical().to_string());
    names.sort_unstable();
    names.dedup();
    names
}

/// Unix seconds. A clock before 1970 makes certificates of then, as whoever verifies them there expects.
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
