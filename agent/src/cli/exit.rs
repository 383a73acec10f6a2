//! How a command ends: sysexits(3) codes, and one sentence on stderr.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::app::AppError;
use crate::config::ConfigErrors;
use crate::control::ClientError;
use crate::policy::Rejected;
use crate::record::StoreError;

/// What the process exits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(u8);

impl Exit {
    /// Done.
    pub const OK: Self = Self(0);
    /// `EX_USAGE`: what was typed makes no sense.
    pub const USAGE: Self = Self(64);
    /// `EX_DATAERR`: what was given is not what it should be.
    pub const DATA: Self = Self(65);
    /// `EX_NOINPUT`: what was asked for is not there.
    pub const NO_INPUT: Self = Self(66);
    /// `EX_UNAVAILABLE`: the host or the daemon cannot do it.
    pub const UNAVAILABLE: Self = Self(69);
    /// `EX_IOERR`: a file could not be read or written.
    pub const IO: Self = Self(74);
    /// `EX_NOPERM`: it needs root.
    pub const NO_PERMISSION: Self = Self(77);
    /// `EX_CONFIG`: the configuration is wrong.
    pub const CONFIG: Self = Self(78);

    /// As a command that was run ended; codes outside a byte count as 255.
    pub fn of_child(code: i32) -> Self {
        Self(u8::try_from(code).unwrap_or(u8::MAX))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// `message` is one sentence, lowercase, without the program's name.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// An error with everything that caused it.
    pub fn caused(exit: Exit, error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat their cause in their own text.
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        Self { exit, message }
    }

    /// What it says.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Says it on stderr. A reader that went away (`| head`) is no failure and is not told anything.
    pub(super) fn report(&self) -> Exit {
        if !self.message.is_empty() {
            let _ = writeln!(io::stderr(), "sallyport: {}", self.message);
        }
        self.exit
    }
}

impl From<io::Error> for Failure {
    /// Of writing to stdout: everything else has an error of its own.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::OK, "");
        }
        Self::new(Exit::IO, format!("cannot write the output: {error}"))
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        let exit = match errors.unreadable_because().map(io::Error::kind) {
            Some(io::ErrorKind::PermissionDenied) => Exit::NO_PERMISSION,
            _ => Exit::CONFIG,
        };
        let count = errors.problems().len();
        let message = match count {
            0 => errors.to_string(),
            1 => format!("the configuration is wrong\n{errors}"),
            _ => format!("the configuration has {count} mistakes\n{errors}"),
        };
        Self::new(exit, message)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match error {
            ClientError::NotPermitted(..) => Exit::NO_PERMISSION,
            ClientError::NobodyListens(_) | ClientError::Impostor { .. } | ClientError::Strange { .. } => {
                Exit::UNAVAILABLE
            }
            ClientError::Io { .. } => Exit::IO,
        };
        Self::caused(exit, &error)
    }
}

impl From<Rejected> for Failure {
    fn from(rejected: Rejected) -> Self {
        let exit = if rejected.missing { Exit::NO_INPUT } else { Exit::CONFIG };
        let message = match rejected.findings.len() {
            0 | 1 => format!("the policies are wrong\n{rejected}"),
            count => format!("the policies have {count} mistakes\n{rejected}"),
        };
        Self::new(exit, message)
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Self::caused(error.exit(), &error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::Missing { .. } | StoreError::NoSession { .. } => Exit::NO_INPUT,
            StoreError::NotReadable { .. } => Exit::NO_PERMISSION,
            StoreError::Ambiguous { .. } | StoreError::NotAnId { .. } | StoreError::NotAQuery { .. } => Exit::USAGE,
            StoreError::Segment(_) => Exit::IO,
        };
        Self::caused(exit, &error)
    }
}
