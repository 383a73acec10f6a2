//! What a command prints, within bounds.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

/// What became of a command. What it printed is not in here.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It cannot be started.
    #[error("cannot be started: {0}")]
    Start(io::Error),
    /// It failed.
    #[error("failed: {0}; run it as the daemon does to see why")]
    Failed(ExitStatus),
    /// It took too long.
    #[error("did not end within {} seconds", .0.as_secs())]
    Slow(Duration),
    /// It printed too much.
    #[error("printed more than {0} bytes")]
    Long(u64),
    /// Its output could not be read.
    #[error("cannot be read from: {0}")]
    Unreadable(io::Error),
}

/// Runs a command, which inherits the environment and nothing else, and gives what it prints.
pub(super) async fn output(words: &[String], within: Duration, most: u64) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(CommandError::Start(io::ErrorKind::NotFound.into()));
    };
    let child = Command::new(program)
        .args(arguments)
        .current_dir("/")
        // Whoever speaks there would speak for the daemon.
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // It may say anything there, the secret included.
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(CommandError::Start)?;
    let mut group = Group(child);
    let printed = async {
        let mut bytes = Zeroizing::new(Vec::new());
        if let Some(stdout) = group.0.stdout.take() {
            bytes = all(stdout, most).await?;
        }
        let status = group.0.wait().await.map_err(CommandError::Unreadable)?;
        if status.success() { Ok(bytes) } else { Err(CommandError::Failed(status)) }
    };
    tokio::time::timeout(within, printed).await.unwrap_or(Err(CommandError::Slow(within)))
}

async fn all(from: impl AsyncRead + Unpin, most: u64) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let room = usize::try_from(most).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    from.take(most + 1).read_to_end(&mut bytes).await.map_err(CommandError::Unreadable)?;
    if bytes.len() as u64 > most { Err(CommandError::Long(most)) } else { Ok(bytes) }
}

/// A command with everything it started, which ends with this.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // One that has ended and was waited for has no number any more, which somebody else could have by now.
        let pid = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}
