//! Developer tooling: `cargo xtask --help` is its table of contents.

mod bench;
mod clients;
mod dist;
mod fuzz;
mod needs;
mod process;
mod product;
mod setup;
mod suite;
mod tidy;
mod toolchain;
mod vm;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use setup::Extent;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Sets up, builds, runs, tests and packages Sallyport"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install everything that a fresh Debian or Ubuntu machine lacks
    Setup,
    /// Build the daemon, its kernel half embedded: target/{debug,release}/sallyport
    Build {
        /// Build what is shipped
        #[arg(long)]
        release: bool,
    },
    /// Run one command intercepted, then show what was recorded
    Run {
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Check and test everything on the running kernel; as root
    Test,
    /// Check what no compiler or linter checks
    Tidy,
    /// Check the dependencies against the advisory database, which is fetched
    Advisories,
    /// Measure
    Bench {
        /// Which ones; all by default
        names: Vec<String>,
        /// Also write the numbers there
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// A helper of the measurements.
    #[command(name = "__bench", hide = true)]
    BenchHelper {
        /// Between the measurements and themselves.
        words: Vec<OsString>,
    },
    /// Run the fuzz doors
    Fuzz {
        /// How long for each
        #[arg(long, default_value_t = 60, value_name = "N")]
        seconds: u32,
        /// Only this one
        target: Option<String>,
    },
    /// Make the Debian package and the archive: target/dist
    Dist,
    /// Test the Debian package in an emulated machine with systemd; as root, a few minutes
    VmTest,
    /// What runs inside that machine.
    #[command(name = "__vm", hide = true)]
    VmGuest {
        /// Between the test and its machine.
        words: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match Cli::parse().task.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Task {
    fn run(self) -> Result<ExitCode> {
        match self {
            Self::Setup => {
                setup::ensure(Extent::Everything)?;
                println!("setup: everything is there");
            }
            Self::Build { release } => product::build(release)?,
            Self::Run { command } => return product::run(&command),
            Self::Test => return suite::run(),
            Self::Tidy => tidy::run()?,
            Self::Advisories => process::run(&mut process::cargo(["deny", "check", "advisories"]))?,
            Self::Bench { names, json } => bench::run(&names, json.as_deref())?,
            Self::BenchHelper { words } => bench::helper(&words)?,
            Self::Fuzz { seconds, target } => fuzz::run(seconds, target.as_deref())?,
            Self::Dist => dist::run()?,
            Self::VmTest => vm::run()?,
            Self::VmGuest { words } => vm::helper(&words)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
