//! What clients see of servers: certificates of the local authority, by the names they are for.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::NoServerSessionStorage;

use super::authority::Authority;
use super::failure::TlsError;
use crate::protocol::postgres::startup::ALPN;

/// Most that are kept, some 4 KiB each. A client may ask for any number of names.
const MOST_KEPT: NonZeroUsize = NonZeroUsize::new(512).unwrap();
/// One is made anew when less is left: connections are shorter than that, or renegotiate nothing.
const LEAST_LEFT: u64 = 3 * 24 * 3600;

/// A certificate with what serves it.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) config: Arc<ServerConfig>,
    pub(super) certificate: CertificateDer<'static>,
    until: u64,
}

/// Certificates that were made so far. Their key is one for all, made anew at each start, and never on a disk.
pub(super) struct Leaves {
    authority: Authority,
    key: KeyPair,
    provider: Arc<CryptoProvider>,
    kept: Mutex<LruCache<Vec<String>, Served>>,
}

impl Leaves {
    pub(super) fn new(authority: Authority) -> Result<Self, TlsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        Ok(Self {
            authority,
            key: key.map_err(|error| TlsError::Authority(error.to_string()))?,
            provider: Arc::new(aws_lc_rs::default_provider()),
            kept: Mutex::new(LruCache::new(MOST_KEPT)),
        })
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The one for these names, `now` in Unix seconds.
    pub(super) fn of(&self, names: Vec<String>, now: u64) -> Result<Served, TlsError> {
        if let Some(found) = self.kept().get(&names).filter(|found| found.until > now + LEAST_LEFT) {
            return Ok(found.clone());
        }
        // Two that ask at once make two, of which one is kept.
        let made = self.made(&names, now)?;
        self.kept().put(names, made.clone());
        Ok(made)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, LruCache<Vec<String>, Served>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.kept().len()
    }

    fn made(&self, names: &[String], now: u64) -> Result<Served, TlsError> {
        let leaf = self.authority.sign(names, &self.key, now)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        // The authority goes along for clients that show the chain; whoever verifies has it.
        let chain = vec![leaf.certificate.clone(), self.authority.certificate().clone()];
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsError::Handshake)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Served { config: Arc::new(config), certificate: leaf.certificate, until: leaf.until })
    }
}
