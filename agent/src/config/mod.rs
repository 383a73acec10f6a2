//! The configuration file: read as a document with places, checked as a whole, handed on as values that cannot be wrong.
//!
//! `document` keeps where everything stands; `raw` is the file as written; `check` turns it into `valid`. All problems
//! of a file are reported together.

mod approvals;
mod audit;
mod check;
pub(crate) mod document;
mod duration;
mod error;
mod glob;
mod host;
mod raw;
mod selectors;
mod suggest;
mod target;
mod upstream;
mod valid;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub use self::approvals::Approvals;
pub use self::audit::{Audit, Durability, OnFailure};
pub use self::duration::{DurationError, duration, in_words};
pub use self::error::{ConfigErrors, Problem, steers};
pub(crate) use self::error::{Problems, quoted};
pub use self::glob::Glob;
pub use self::host::{Host, ThisHost, resolv_conf};
pub use self::suggest::nearest;
pub use self::target::{Host as TargetHost, Place, Target};
pub use self::upstream::{ClientCertificate, Credential, Method, Secret, TlsMode, Upstream, Use, Whose};
pub use self::valid::{
    Config, Fail, HostName, Identity, Inbound, Intercept, Level, Log, MaxFlows, Mode, Policy, Proxy, Resolvers, Scope,
    ScopeName, Selectors, Tag, Telemetry, TrustDomain, Udp,
};

/// Where the configuration is looked for when nobody says.
pub const DEFAULT_PATH: &str = "/etc/sallyport/sallyport.toml";
/// Where policies are looked for when nobody says.
pub const DEFAULT_POLICIES: &str = "/etc/sallyport/policies";
/// Where the store is kept when nobody says.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/sallyport";
/// Where the control socket lives when nobody says.
pub const DEFAULT_RUNTIME_DIR: &str = "/run/sallyport";

/// Largest file that is read. A full configuration of 255 scopes is under 100 KiB.
pub const MAX_BYTES: u64 = 1024 * 1024;

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// A file that does not exist gives the built-in defaults, unless `must_exist` (the operator named it).
    pub fn load(path: &Path, must_exist: bool) -> Result<Self, ConfigErrors> {
        match read(path) {
            Ok(bytes) => Self::parse(&bytes, path, &ThisHost),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => Ok(Self::defaults(&ThisHost)),
            Err(error) => Err(ConfigErrors::unreadable(path, error)),
        }
    }

    /// Checks `bytes`, naming `path` in errors. Asks `host` for users and its name; touches nothing else.
    pub fn parse(bytes: &[u8], path: &Path, host: &dyn Host) -> Result<Self, ConfigErrors> {
        let text = std::str::from_utf8(bytes).map_err(|error| ConfigErrors::not_utf8(path, bytes, error))?;
        let mut problems = Problems::default();
        let raw = document::parse(text, &mut problems).map(|root| raw::RawConfig::read(&root, &mut problems));
        let config = raw.map(|raw| check::config(&raw, host, &mut problems));
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems.locate(path, text)),
        }
    }
}

/// Reads a regular file, at most [`MAX_BYTES`]. A pipe or device is refused: one that never ends would hold the
/// start up, and one that is empty would mean "all defaults".
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if !kind.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
