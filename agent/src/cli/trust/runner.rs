//! Programs that take certificates into stores.

use std::path::Path;
use std::process::{Command, Stdio};

/// Longest of what a program says that is repeated.
const LONGEST: usize = 400;

/// Runs programs, or does not.
pub(super) trait Runner {
    /// Runs one; `Ok(false)` if it is left to the operator.
    ///
    /// # Errors
    /// What it says when it fails.
    fn run(&self, words: &[String]) -> Result<bool, String>;
}

/// On this host.
pub(super) struct ThisHost;

/// Below another root nothing of this host's is to be run.
pub(super) struct Nothing;

impl Runner for Nothing {
    fn run(&self, _words: &[String]) -> Result<bool, String> {
        Ok(false)
    }
}

impl Runner for ThisHost {
    fn run(&self, words: &[String]) -> Result<bool, String> {
        let Some((program, arguments)) = words.split_first() else { return Ok(true) };
        let done = Command::new(program)
            .args(arguments)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{program} cannot be run: {error}"))?;
        if done.status.success() {
            return Ok(true);
        }
        // keytool speaks on standard output.
        let said = [done.stderr, done.stdout].concat();
        let said: String = String::from_utf8_lossy(&said).chars().take(LONGEST).collect();
        Err(format!("{program} failed ({}): {}", done.status, said.trim()))
    }
}

/// Words as one would type them.
pub(super) fn shown(words: &[String]) -> String {
    words.join(" ")
}

/// Whether a program is there, below a root.
pub(super) fn is_there(root: &Path, program: &str) -> bool {
    ["usr/sbin", "usr/bin", "sbin", "bin"].iter().any(|directory| root.join(directory).join(program).exists())
}
