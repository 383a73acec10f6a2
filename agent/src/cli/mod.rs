//! The command line: what may be typed, and what is printed.
//!
//! `args` is the one definition behind the parser, the help, the man pages and the completions.

mod approvals;
mod args;
mod bypass;
mod exit;
mod generate;
mod manual;
mod pager;
mod policy;
mod report;
mod screen;
mod sessions;
mod status;
mod table;
mod trust;
mod when;

use std::ffi::OsString;
use std::path::Path;

pub use self::args::{Cli, Command, Dirs};
pub use self::exit::{Exit, Failure};
pub use self::screen::{Screen, Tone, printable};
use crate::config::{self, Config};
use crate::{app, doctor, telemetry};

/// Parses `args` (with the program's name first) and carries the command out. Prints; never exits.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::read(args) {
        Ok(cli) => cli,
        Err(shown) => return shown,
    };
    let mut screen = Screen::stdout(cli.global.json);
    match dispatch(&cli, &mut screen).and_then(|exit| screen.flush().map(|()| exit)) {
        Ok(exit) => exit,
        Err(failure) => failure.report(),
    }
}

fn dispatch(cli: &Cli, screen: &mut Screen) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Run => {
            needs_root("run")?;
            let config = configuration(cli)?;
            telemetry::start(&config.telemetry);
            app::run(&config, || configuration(cli).map_err(|failure| failure.message().to_owned()))?;
            Ok(Exit::OK)
        }
        Command::Exec { command } => {
            needs_root("exec")?;
            let config = configuration(cli)?.for_exec();
            telemetry::start(&config.telemetry);
            Ok(Exit::of_child(app::exec(&config, command)?))
        }
        Command::Doctor => {
            let report = doctor::examine(&cli.global.config_path(), cli.global.config.is_some(), cli.global.dirs());
            doctor::show(&report, screen)?;
            Ok(if report.usable() { Exit::OK } else { Exit::UNAVAILABLE })
        }
        Command::Status => {
            needs_root("status")?;
            status::show(&configuration(cli)?, screen)
        }
        Command::Sessions { command } => {
            sessions::run(&cli.global.dirs().state, command, screen, || configuration(cli))
        }
        Command::Report { command } => report::run(&cli.global.dirs().state, command, screen, || scopes(cli)),
        Command::Policy { command } => policy::run(|| configuration(cli), &cli.global.dirs().state, command, screen),
        Command::Approvals { command } => approvals::run(&cli.global.dirs().runtime, command, screen),
        Command::Trust { command } => trust::run(|| configuration(cli), &cli.global.dirs().state, command, screen),
        Command::Bypass(args) => {
            needs_root("bypass")?;
            bypass::run(&configuration(cli)?, args, screen)
        }
        Command::Canary { words } => Ok(Exit::of_child(app::canary(words))),
        Command::Man { directory } => generate::man(directory),
        Command::Completions { directory } => generate::completions(directory),
    }
}

fn configuration(cli: &Cli) -> Result<Config, Failure> {
    let dirs = cli.global.dirs();
    Ok(Config::load(&cli.global.config_path(), cli.global.config.is_some())?.with_dirs(dirs.state, dirs.runtime))
}

/// The names of the configured scopes, where the configuration may be read.
fn scopes(cli: &Cli) -> Vec<String> {
    let scopes = configuration(cli).map(|config| config.scopes).unwrap_or_default();
    scopes.iter().map(|scope| scope.name.to_string()).collect()
}

fn needs_root(command: &str) -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new(Exit::NO_PERMISSION, format!("`sallyport {command}` needs root")))
}

/// Where an operator looks when no place was named.
fn default_config() -> &'static Path {
    Path::new(config::DEFAULT_PATH)
}
