//! The program that long output is read in, as git chooses and calls it.

use std::env;
use std::process::{Child, ChildStdin, Command, Stdio};

/// A pager that waits for text.
pub(super) struct Pager {
    child: Child,
}

impl Pager {
    /// Starts `$PAGER`, or `less`; `None` where none is wanted or there is none.
    pub(super) fn start() -> Option<(Self, ChildStdin)> {
        let wanted = env::var("PAGER").unwrap_or_else(|_| "less".to_owned());
        let mut command = command(&wanted)?;
        // As git: colours, no waiting for what fits, nothing wiped at the end. And no shell from within the pager.
        if env::var_os("LESS").is_none() {
            command.env("LESS", "FRX");
        }
        command.env("LESSSECURE", "1");
        let mut child = command.stdin(Stdio::piped()).spawn().ok()?;
        let input = child.stdin.take()?;
        Some((Self { child }, input))
    }

    /// Waits until it was read.
    pub(super) fn wait(&mut self) {
        // However it ended, there is nobody left to show anything to.
        let _ = self.child.wait();
    }
}

/// Words go to the program itself; anything more is for the shell.
fn command(wanted: &str) -> Option<Command> {
    let wanted = wanted.trim();
    if wanted.is_empty() || wanted == "cat" {
        return None;
    }
    if wanted.chars().all(|c| c.is_alphanumeric() || " -_./=+,".contains(c)) {
        let mut words = wanted.split_whitespace();
        let mut command = Command::new(words.next()?);
        command.args(words);
        return Some(command);
    }
    let mut command = Command::new("sh");
    command.args(["-c", wanted]);
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pager_is_what_was_named() {
        let words = |wanted: &str| {
            let command = command(wanted)?;
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            Some(words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>())
        };
        assert_eq!(words("less -R"), Some(vec!["less".to_owned(), "-R".to_owned()]));
        assert_eq!(words("less | cat").map(|words| words[..2].to_vec()), Some(vec!["sh".to_owned(), "-c".to_owned()]));
        assert_eq!(words(""), None);
        assert_eq!(words("cat"), None);
    }
}
