//! Every command and option there is.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand};

use super::approvals::args::Approvals;
use super::exit::Exit;
use super::report::args::Report;
use super::sessions::args::Sessions;
use super::trust::args::Trust;
use super::when::When;
use crate::config::{DEFAULT_RUNTIME_DIR, DEFAULT_STATE_DIR, ScopeName, duration};
use crate::control::{BypassLength, Reason};

/// Every outbound connection of a managed process, through one guarded door.
#[derive(Debug, Parser)]
#[command(name = "sallyport", version, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = "Start with `sallyport doctor`, then `sallyport exec -- COMMAND`.")]
pub struct Cli {
    /// Accepted before and after the command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_display_order = 100)]
pub struct Global {
    /// Configuration file [default: /etc/sallyport/sallyport.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the store is kept
    #[arg(long, global = true, value_name = "DIR", default_value = DEFAULT_STATE_DIR)]
    pub state_dir: PathBuf,
    /// Where the control socket is
    #[arg(long, global = true, value_name = "DIR", default_value = DEFAULT_RUNTIME_DIR, hide = true)]
    pub runtime_dir: PathBuf,
    /// Print JSON, for machines
    #[arg(long, global = true)]
    pub json: bool,
}

/// The two directories of a running system.
#[derive(Clone, Debug)]
pub struct Dirs {
    /// The store.
    pub state: PathBuf,
    /// The control socket.
    pub runtime: PathBuf,
}

impl Global {
    /// The file to read.
    pub fn config_path(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| super::default_config().to_owned())
    }

    /// The directories to use.
    pub fn dirs(&self) -> Dirs {
        Dirs { state: self.state_dir.clone(), runtime: self.runtime_dir.clone() }
    }
}

/// What may be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    ///
    /// Attaches to the kernel, diverts the connections of managed processes, and says it is ready only when a canary
    /// connection has shown that every hook works. Stops on SIGTERM, after letting live flows finish for a while.
    Run,
    /// Run one command with its connections intercepted
    ///
    /// No daemon is needed. Exits as the command does: with its exit code, or 128 and the number of the signal that
    /// ended it.
    Exec {
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Say whether this host is able, and what to change if it is not
    ///
    /// Exits with 0 when the host is able and with 69 when it is not. Without root some checks are left out.
    Doctor,
    /// Show what is attached, in scope and in flight
    ///
    /// Exits with 69 when no daemon runs, after showing what it left in the kernel.
    Status,
    /// Look at what was recorded
    Sessions {
        /// What to look at.
        #[command(subcommand)]
        command: Sessions,
    },
    /// Make a report of what was recorded
    Report {
        /// Which report.
        #[command(subcommand)]
        command: Report,
    },
    /// See what waits for approval, and answer
    ///
    /// For root and the members of the configured group; never for a managed process.
    Approvals {
        /// What to do.
        #[command(subcommand)]
        command: Approvals,
    },
    /// Check, test and explain policies
    Policy {
        /// What to do with them.
        #[command(subcommand)]
        command: Policy,
    },
    /// Have this host's programs trust its authority
    ///
    /// Connections that use TLS are answered with certificates of an authority of this host, and only of it.
    Trust {
        /// What to do.
        #[command(subcommand)]
        command: Trust,
    },
    /// Open a scope for a while, with a reason, on the record
    Bypass(Bypass),
    /// The start-up canary's own process.
    #[command(name = "__canary", hide = true)]
    Canary {
        /// Between the daemon and itself.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Write the man pages.
    #[command(name = "__man", hide = true)]
    Man {
        /// Where to.
        directory: PathBuf,
    },
    /// Write the shell completions.
    #[command(name = "__completions", hide = true)]
    Completions {
        /// Where to.
        directory: PathBuf,
    },
}

/// `sallyport policy`.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Say everything that is wrong with policies, or suspicious
    ///
    /// Exits with 78 when anything is wrong.
    Check {
        /// Files and directories that make one set [default: the configured directory]
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Compare what policies decide with what they decided before
    ///
    /// Puts every identity of the cases to every target with every request of its protocol, and compares the answers with
    /// the table. Exits with 65 when a row differs, is missing or is left over, or when a case has another answer.
    Test {
        /// Files and directories that make one set [default: the configured directory]
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// The cases [default: cases.toml beside the first PATH]
        #[arg(long, value_name = "FILE")]
        cases: Option<PathBuf>,
        /// The table [default: the first PATH with the ending .expected]
        #[arg(long, value_name = "FILE")]
        expected: Option<PathBuf>,
        /// Write the table instead of comparing
        #[arg(long)]
        write: bool,
    },
    /// Say how a question is decided, why, and what would change that
    Explain {
        /// Files and directories that make one set [default: the configured directory]
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// The question as JSON: identity, target, execute or reveal, given; `-` for standard input
        #[arg(long, value_name = "FILE", required_unless_present = "recorded")]
        question: Option<PathBuf>,
        /// What was recorded: a connection by its id, or one of its requests by ID/N
        #[arg(long, value_name = "ID", conflicts_with = "question")]
        recorded: Option<String>,
    },
    /// Say which recorded connections and requests two sets decide differently
    ///
    /// Exits with 65 when there are any. Alike ones within an hour are asked once, as the first of them was.
    Diff {
        /// One file or directory
        #[arg(value_name = "A")]
        before: PathBuf,
        /// The other
        #[arg(value_name = "B")]
        after: PathBuf,
        /// The store [default: the one of --state-dir]
        #[arg(long, value_name = "DIR")]
        against: Option<PathBuf>,
        /// Not older than: `30d` ago, `2026-01-31`
        #[arg(long, value_name = "TIME", value_parser = When::parse)]
        since: Option<When>,
    },
    /// Have the daemon read its policies again now
    ///
    /// It does so by itself within a second of a change. Exits with 69 when they are wrong: the old ones stay.
    Reload,
    /// Write policies that permit what was let through so far, and little else
    Suggest {
        /// Not older than: `30d` ago, `2026-01-31`
        #[arg(long, value_name = "TIME", value_parser = When::parse)]
        since: Option<When>,
    },
}

/// `sallyport bypass`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").args(["scope", "all", "detach"]).required(true))]
#[command(group = ArgGroup::new("what").args(["length", "close", "detach"]).required(true))]
pub struct Bypass {
    /// Open or close this scope
    #[arg(long, value_name = "NAME", value_parser = scope_name)]
    pub scope: Option<ScopeName>,
    /// Open or close every scope
    #[arg(long)]
    pub all: bool,
    /// How long to open it, 24h at most
    #[arg(long = "for", id = "length", value_name = "DURATION", value_parser = length, requires = "reason")]
    pub length: Option<BypassLength>,
    /// End an earlier opening now
    #[arg(long)]
    pub close: bool,
    /// Take a dead daemon's programs out of the kernel
    #[arg(long, requires = "reason")]
    pub detach: bool,
    /// Why; recorded
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<Reason>,
}

impl Cli {
    /// Parses; help, version and mistakes are printed here and give the code to exit with.
    pub(super) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, Exit> {
        Self::try_parse_from(args).map_err(|error| {
            // Nobody is left to tell when neither stdout nor stderr can be written.
            let _ = error.print();
            if error.use_stderr() { Exit::USAGE } else { Exit::OK }
        })
    }
}

fn scope_name(text: &str) -> Result<ScopeName, String> {
    ScopeName::try_from(text.to_owned()).map_err(str::to_owned)
}

fn length(text: &str) -> Result<BypassLength, String> {
    let length: Duration = duration(text).map_err(|error| error.to_string())?;
    BypassLength::new(length).ok_or_else(|| "a bypass lasts from 1s to 24h".to_owned())
}

pub(super) fn reason(text: &str) -> Result<Reason, String> {
    Reason::new(text).ok_or_else(|| "say why, in one line of at most 1000 bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere() {
        for line in ["sallyport --json --config a status", "sallyport status --config a --json"] {
            let cli = parse(line).unwrap();
            assert!(cli.global.json);
            assert_eq!(cli.global.config_path(), PathBuf::from("a"));
        }
        let cli = parse("sallyport sessions list --state-dir x").unwrap();
        assert_eq!(cli.global.dirs().state, PathBuf::from("x"));
    }

    #[test]
    fn a_command_keeps_its_own_options() {
        let words = |line| {
            let Command::Exec { command } = parse(line).unwrap().command else { panic!("{line}") };
            command
        };
        assert_eq!(words("sallyport exec -- curl --json x"), ["curl", "--json", "x"]);
        assert_eq!(words("sallyport exec curl -v --config x"), ["curl", "-v", "--config", "x"]);
        assert_eq!(words("sallyport exec --state-dir d -- -x"), ["-x"]);
        assert!(parse("sallyport exec").is_err());
    }

    #[test]
    fn bypasses() {
        for (line, good) in [
            ("--scope jobs --for 1h --reason upgrade", true),
            ("--all --for 24h --reason upgrade", true),
            ("--scope jobs --close", true),
            ("--all --close --reason done", true),
            ("--detach --reason removed", true),
            ("", false),
            ("--scope jobs", false),
            ("--for 1h --reason x", false),
            ("--scope jobs --for 1h", false),
            ("--scope jobs --for 25h --reason x", false),
            ("--scope jobs --for 0 --reason x", false),
            ("--scope jobs --for 10 --reason x", false),
            ("--scope jobs --all --for 1h --reason x", false),
            ("--scope jobs --for 1h --close --reason x", false),
            ("--scope Jobs --close", false),
            ("--detach", false),
            ("--detach --scope jobs --reason x", false),
            ("--detach --for 1h --reason x", false),
        ] {
            assert_eq!(parse(&format!("sallyport bypass {line}")).is_ok(), good, "{line}");
        }
        let empty = ["sallyport", "bypass", "--all", "--for", "1h", "--reason", " "];
        assert!(Cli::try_parse_from(empty).is_err());
    }

    #[test]
    fn approvals() {
        for (line, good) in [
            ("list", true),
            ("list --follow --all", true),
            ("show 0123", true),
            ("approve 0123", true),
            ("approve 0123 --for 15m --reason x", true),
            ("approve 0123 --session", true),
            ("approve 0123 --once", true),
            ("approve", false),
            ("approve 0123 --once --session", false),
            ("approve 0123 --for 25h", false),
            ("approve 0123 --for 0", false),
            ("deny 0123", false),
            ("deny 0123 --reason no", true),
            ("break-glass jobs --for 10m --reason fire", true),
            ("break-glass spiffe://x/y --for 10m --reason fire", true),
            ("break-glass jobs --for 10m", false),
            ("break-glass jobs --reason fire", false),
            ("break-glass --for 10m --reason fire", false),
            ("break-glass Jobs --for 10m --reason fire", false),
        ] {
            assert_eq!(parse(&format!("sallyport approvals {line}")).is_ok(), good, "{line}");
        }
    }

    #[test]
    fn only_what_exists_is_offered() {
        let help = Cli::command().render_long_help().to_string();
        for hidden in ["__canary", "__man", "runtime-dir", "login"] {
            assert!(!help.contains(hidden), "{hidden}");
        }
    }
}
