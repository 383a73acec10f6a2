//! Secrets Sallyport logs in with: fetched for each connection, from where the configuration says.

mod command;
mod file;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::config::Secret;
use crate::protocol::postgres::login::Password;

pub(super) use file::private;

/// Longest file or output.
const MOST_BYTES: u64 = 64 << 10;
/// How long a command may take.
const COMMAND_TIME: Duration = Duration::from_secs(5);

/// Why there is no secret. For the log: it names places, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others may read or change it.
    #[error("{file} is not for the daemon alone: chown root {file} and chmod 600 {file}")]
    Exposed {
        /// The file.
        file: String,
    },
    /// A pipe, a device, a directory.
    #[error("{} is not a regular file", .0.display())]
    NoFile(PathBuf),
    /// Longer than 64 KiB.
    #[error("{place} is longer than 64 KiB")]
    Long {
        /// The file or command.
        place: String,
    },
    /// Empty, or with a zero byte, or longer than a password can be.
    #[error("{place} has no password in its first line")]
    NoPassword {
        /// The file or command.
        place: String,
    },
    /// No line for the key.
    #[error("{} has no line {key}=VALUE", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        key: String,
    },
    /// The unit passes none.
    #[error("there is no credential {0}: write LoadCredential={0}:PATH in the unit")]
    NoCredential(String),
    /// It could not be started, or failed.
    #[error("{program} {error}")]
    Command {
        /// What was run.
        program: String,
        /// What became of it.
        error: command::CommandError,
    },
}

/// Fetches a secret. Does not hold up the thread it is awaited on.
///
/// # Errors
/// See [`CredentialError`].
pub async fn password(secret: &Secret) -> Result<Password, CredentialError> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    fetch(secret, credentials.as_deref()).await
}

async fn fetch(secret: &Secret, credentials: Option<&OsStr>) -> Result<Password, CredentialError> {
    match secret {
        Secret::File(path) => first_line(&read(path.clone()).await?, path),
        Secret::EnvFile { path, key } => {
            let text = read(path.clone()).await?;
            let value = file::value(&text, key)
                .ok_or_else(|| CredentialError::NoKey { path: path.clone(), key: key.clone() })?;
            made(&value, path.display().to_string())
        }
        Secret::Systemd(name) => {
            let directory = credentials.ok_or_else(|| CredentialError::NoCredential(name.clone()))?;
            let path = Path::new(directory).join(name);
            match read(path.clone()).await {
                Err(CredentialError::Unreadable { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                    Err(CredentialError::NoCredential(name.clone()))
                }
                text => first_line(&text?, &path),
            }
        }
        Secret::Command(words) => {
            let program = words.first().cloned().unwrap_or_default();
            let output = command::output(words, COMMAND_TIME, MOST_BYTES)
                .await
                .map_err(|error| CredentialError::Command { program: program.clone(), error })?;
            first_line(&output, Path::new(&program))
        }
    }
}

/// The disk, or a network in its place, may take a while.
async fn read(path: PathBuf) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    let place = path.clone();
    let done = tokio::task::spawn_blocking(move || private(&path, MOST_BYTES)).await;
    done.unwrap_or_else(|error| Err(CredentialError::Unreadable { path: place, error: io::Error::other(error) }))
}

fn first_line(text: &[u8], place: &Path) -> Result<Password, CredentialError> {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    made(line.strip_suffix(b"\r").unwrap_or(line), place.display().to_string())
}

fn made(bytes: &[u8], place: String) -> Result<Password, CredentialError> {
    Password::new(bytes.to_vec()).ok_or(CredentialError::NoPassword { place })
}

#[cfg(test)]
mod tests;
