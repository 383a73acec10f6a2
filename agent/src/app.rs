//! Wires the rooms together: the daemon, one command on its own, and what operators do while neither runs.

mod approvals;
mod cgroup;
mod command;
mod daemon;
mod engine;
mod hall;
mod masking;
mod operator;
mod policies;
mod reports;
mod store;
mod targets;

pub use command::exec;
pub use daemon::run;
pub use operator::{bypass_offline, detach, hold, pinned_state, rotate_key};

use crate::{
    cli::Exit,
    control::SocketError,
    intercept::{InterceptError, canary},
    record::RecordError,
};
use std::io;

/// Why the daemon, or a command run on its own, did not start or ended early.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Interception could not be set up.
    #[error("interception could not be set up")]
    Intercept(#[from] InterceptError),
    /// The store cannot be written.
    #[error("the store cannot be written")]
    Record(#[from] RecordError),
    /// There is no control socket.
    #[error("the daemon did not start")]
    Control(#[from] SocketError),
    /// An identity setting makes no valid name.
    #[error("`identity` makes no valid SPIFFE ID")]
    Identity(#[from] crate::identity::SpiffeError),
    /// The configuration could not be read again.
    #[error("the configuration was not reloaded")]
    Config(#[from] crate::config::ConfigErrors),
    /// The policies are wrong.
    #[error("the policies are wrong\n{0}")]
    Policies(crate::policy::Rejected),
    /// The command could not be run.
    #[error("cannot run `{command}`")]
    Command {
        /// What was to be run.
        command: String,
        /// Why not.
        source: io::Error,
    },
    /// The system refused something ordinary.
    #[error("{what}")]
    System {
        /// What was being done.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A scope that is not there.
    #[error("there is no scope `{0}` in the kernel's tables")]
    NoScope(String),
    /// A group that is not there.
    #[error("`approvals.group`: this host has no group `{0}`")]
    NoGroup(String),
    /// One process, two interceptions.
    #[error(
        "this process is in a scope of the daemon: its connections are intercepted already, run the command as it is"
    )]
    Managed,
    /// Programs can only be taken out when nobody needs them.
    #[error("a daemon is running; stop it first (systemctl stop sallyport)")]
    Running,
}

impl AppError {
    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// What the process exits with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Identity(_) | Self::Policies(_) | Self::NoGroup(_) => Exit::CONFIG,
            Self::Record(_) => Exit::IO,
            Self::NoScope(_) => Exit::USAGE,
            // As the shell has it: not found, and found but not to be run.
            Self::Command { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::of_child(127),
            Self::Command { .. } => Exit::of_child(126),
            Self::Intercept(_) | Self::Control(_) | Self::System { .. } | Self::Managed | Self::Running => {
                Exit::UNAVAILABLE
            }
        }
    }
}

/// The canary's own process; see [`canary`].
pub fn canary(words: &[String]) -> i32 {
    canary::sing(words)
}
