//! What may be typed after `sallyport trust`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `sallyport trust`.
#[derive(Debug, Subcommand)]
pub enum Trust {
    /// Have this host's programs trust its authority
    ///
    /// Says first what it will touch, and asks. Makes the authority if there is none yet. What was done is written down in the
    /// state directory, so that `remove` can undo exactly that. Exits with 69 when something is left to do by hand.
    Install(Install),
    /// Show who trusts the authority, and what has changed since
    ///
    /// Exits with 69 when something that was installed is not as it was.
    Status(Where),
    /// Undo what `install` did, and nothing else
    ///
    /// Files that nobody has changed since become what they were, byte for byte. From others only what was added is taken out,
    /// and that is said. Exits with 69 when something had to be left.
    Remove(Remove),
}

/// Where the stores are.
#[derive(Debug, Default, Args)]
pub struct Where {
    /// Work below this directory; commands are not run then, but shown
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

/// How to install.
#[derive(Debug, Default, Args)]
pub struct Install {
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Leave out; may be given several times
    #[arg(long, value_name = "STORE")]
    pub skip: Vec<Kind>,
    /// Where.
    #[command(flatten)]
    pub at: Where,
}

/// How to remove.
#[derive(Debug, Default, Args)]
pub struct Remove {
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Where.
    #[command(flatten)]
    pub at: Where,
}

/// Kinds of stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Kind {
    /// The system's own
    System,
    /// root.crt of users
    Libpq,
    /// Java runtimes that have one of their own
    Java,
    /// Variables for programs that bring their own
    Environment,
}
