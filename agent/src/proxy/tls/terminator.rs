//! The local authority of a running daemon: opened, or made, when the first client asks for TLS.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Acceptor, Authority, Scope, TlsError};

/// Ends TLS of clients.
pub struct Terminator {
    state_dir: PathBuf,
    host: String,
    scope: Scope,
    acceptor: OnceLock<Acceptor>,
    opening: Mutex<()>,
}

impl Terminator {
    /// One of a state directory; `host` and `scope` are for an authority that is made.
    #[must_use]
    pub fn new(state_dir: PathBuf, host: String, scope: Scope) -> Self {
        Self { state_dir, host, scope, acceptor: OnceLock::new(), opening: Mutex::new(()) }
    }

    /// Answers clients. One that could not be opened is tried again for the next client.
    ///
    /// # Errors
    /// As [`Authority::open`].
    pub fn acceptor(&self) -> Result<&Acceptor, TlsError> {
        if let Some(acceptor) = self.acceptor.get() {
            return Ok(acceptor);
        }
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(acceptor) = self.acceptor.get() {
            return Ok(acceptor);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let authority = Authority::open(&self.state_dir, &self.host, &self.scope, now)?;
        let acceptor = Acceptor::new(authority)?;
        Ok(self.acceptor.get_or_init(|| acceptor))
    }
}
