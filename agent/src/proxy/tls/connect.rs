//! Towards the upstream.

use std::fs;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::facts::{Certificate, Facts};
use super::failure::TlsError;
use super::verify::{Level, Verifier};
use crate::config::{ClientCertificate, TlsMode, Upstream};
use crate::protocol::postgres::startup::ALPN;
use crate::proxy::credential::private;

/// Most configurations that are kept: a few for each target in use.
const MOST_KEPT: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// Longest file of certificates or keys.
const MOST_BYTES: u64 = 4 << 20;

/// Whether an upstream is reached by TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is not.
    Clear,
    /// If the server has it.
    Perhaps(Level),
    /// By nothing else.
    Tls(Level),
}

impl Reach {
    /// What a target's `tls` means for a client that asked for TLS, or did not.
    #[must_use]
    pub fn of(mode: TlsMode, client_asked: bool) -> Self {
        match mode {
            TlsMode::AsClient if client_asked => Self::Tls(Level::Full),
            TlsMode::AsClient | TlsMode::Disable => Self::Clear,
            TlsMode::VerifyFull => Self::Tls(Level::Full),
            TlsMode::VerifyCa => Self::Tls(Level::Chain),
            TlsMode::Require => Self::Tls(Level::Nothing),
            TlsMode::Prefer => Self::Perhaps(Level::Nothing),
        }
    }
}

/// Whom a server's certificate is to be of: the name that is configured, or the target's host name, or what the client
/// itself asked for, or the address.
#[must_use]
pub fn name(upstream: &Upstream, host: Option<&str>, sni: Option<&str>, address: IpAddr) -> ServerName<'static> {
    let names = [upstream.server_name.as_deref(), host, sni];
    let named = names.into_iter().flatten().find_map(|name| ServerName::try_from(name.to_owned()).ok());
    named.unwrap_or_else(|| ServerName::from(address.to_canonical()))
}

/// One connection that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct To<'a> {
    /// What the target says: whom to trust, and what to show.
    pub upstream: &'a Upstream,
    /// How much is verified.
    pub level: Level,
    /// Of whom.
    pub name: &'a ServerName<'static>,
    /// Whether TLS begins with the first byte, without a request for it: then ALPN names the protocol.
    pub direct: bool,
}

/// A connection that is made.
#[derive(Debug)]
pub struct Connected<S> {
    /// What goes in here goes to the upstream.
    pub stream: TlsStream<S>,
    /// For the record.
    pub facts: Facts,
    /// The server's certificate, DER, for channel binding.
    pub leaf: CertificateDer<'static>,
}

/// What a configuration is made from. Files are known by their inode and time, so that one that was replaced is read again.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    level: Level,
    direct: bool,
    files: [Option<(PathBuf, Stamp)>; 3],
}

type Stamp = (u64, u64, i64, i64, u64);

/// Makes TLS connections to upstreams.
pub struct Connector {
    provider: Arc<CryptoProvider>,
    kept: Mutex<LruCache<Key, Arc<ClientConfig>>>,
    /// The system's authorities, read once: `update-ca-certificates` asks for a restart.
    system: std::sync::OnceLock<Arc<RootCertStore>>,
}

impl Default for Connector {
    fn default() -> Self {
        Self {
            provider: Arc::new(aws_lc_rs::default_provider()),
            kept: Mutex::new(LruCache::new(MOST_KEPT)),
            system: std::sync::OnceLock::new(),
        }
    }
}

impl Connector {
    /// Does the handshake over `stream`. How long it may take is the caller's business.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub async fn connect<S>(&self, stream: S, to: To<'_>) -> Result<Connected<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = TlsConnector::from(self.config(to)?);
        let name = to.name.to_str().into_owned();
        let stream =
            connector.connect(to.name.clone(), stream).await.map_err(|error| TlsError::handshake(error, &name))?;
        let (_, connection) = stream.get_ref();
        let leaf = connection.peer_certificates().and_then(<[_]>::first).cloned();
        let leaf = leaf.ok_or(TlsError::Handshake(rustls::Error::NoCertificatesPresented))?.into_owned();
        let mut facts = Facts::of(connection, Some(name));
        facts.certificate = Some(Certificate::of(&leaf));
        facts.verified = Some(to.level);
        Ok(Connected { stream, facts, leaf })
    }

    fn config(&self, to: To<'_>) -> Result<Arc<ClientConfig>, TlsError> {
        let client = to.upstream.client.as_ref();
        let files = [to.upstream.ca.as_ref(), client.map(|pair| &pair.certificate), client.map(|pair| &pair.key)];
        let mut stamped = [None, None, None];
        for (place, file) in stamped.iter_mut().zip(files) {
            *place = file.map(|path| stamp(path).map(|stamp| (path.clone(), stamp))).transpose()?;
        }
        let key = Key { level: to.level, direct: to.direct, files: stamped };
        if let Some(found) = self.kept().get(&key) {
            return Ok(Arc::clone(found));
        }
        let made = Arc::new(self.made(to)?);
        self.kept().put(key, Arc::clone(&made));
        Ok(made)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, LruCache<Key, Arc<ClientConfig>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn made(&self, to: To<'_>) -> Result<ClientConfig, TlsError> {
        let (roots, pinned) = match (&to.upstream.ca, to.level) {
            (_, Level::Nothing) => (RootCertStore::empty(), Vec::new()),
            (Some(path), _) => authorities(path)?,
            (None, _) => ((*self.system()?).clone(), Vec::new()),
        };
        let verifier = Verifier::new(to.level, roots, pinned, Arc::clone(&self.provider));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Handshake)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &to.upstream.client {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let (chain, key) = shown(pair)?;
                let unusable = |error: rustls::Error| unusable(&pair.key, &error);
                builder.with_client_auth_cert(chain, key).map_err(unusable)?
            }
        };
        config.resumption = Resumption::disabled();
        if to.direct {
            config.alpn_protocols = vec![ALPN.to_vec()];
        }
        Ok(config)
    }

    fn system(&self) -> Result<Arc<RootCertStore>, TlsError> {
        if let Some(found) = self.system.get() {
            return Ok(Arc::clone(found));
        }
        let mut roots = RootCertStore::empty();
        let (taken, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if taken == 0 {
            return Err(TlsError::NoRoots);
        }
        Ok(Arc::clone(self.system.get_or_init(|| Arc::new(roots))))
    }
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), why: why.to_string() }
}

fn stamp(path: &Path) -> Result<Stamp, TlsError> {
    let found = fs::metadata(path).map_err(|error| unusable(path, &error))?;
    if !found.is_file() || found.len() > MOST_BYTES {
        return Err(unusable(path, &"it is not a file of at most 4 MiB"));
    }
    Ok((found.dev(), found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
}

/// The certificates of a file, one at least.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = fs::read(path).map_err(|error| unusable(path, &error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| unusable(path, &format!("it is not PEM: {error:?}")))?;
    if found.is_empty() {
        return Err(unusable(path, &"it has no -----BEGIN CERTIFICATE-----"));
    }
    Ok(found)
}

fn authorities(path: &Path) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let found = certificates(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in &found {
        roots.add(certificate.clone()).map_err(|error| unusable(path, &error))?;
    }
    Ok((roots, found))
}

fn shown(pair: &ClientCertificate) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let text = private(&pair.key, MOST_BYTES).map_err(|error| unusable(&pair.key, &error))?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| unusable(&pair.key, &"it has no private key in PEM"))?;
    Ok((certificates(&pair.certificate)?, key))
}
