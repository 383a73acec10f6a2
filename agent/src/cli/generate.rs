//! Man pages and shell completions, from the definition of the command line.

use std::fs;
use std::path::Path;

use clap::{CommandFactory, ValueEnum};
use clap_complete::{Shell, generate_to};

use super::args::Cli;
use super::exit::{Exit, Failure};

/// Writes a man page for the program, each of its commands, and the store.
pub(super) fn man(directory: &Path) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| cannot_write(directory, &error);
    fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), directory).map_err(failed)?;
    let store = super::manual::store_page()
        .map_err(|error| Failure::new(Exit::IO, format!("cannot describe the store: {error}")))?;
    fs::write(directory.join("sallyport-store.5"), store).map_err(failed)?;
    Ok(Exit::OK)
}

/// Writes completions for every shell there are any for.
pub(super) fn completions(directory: &Path) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| cannot_write(directory, &error);
    fs::create_dir_all(directory).map_err(failed)?;
    for shell in Shell::value_variants() {
        generate_to(*shell, &mut Cli::command(), "sallyport", directory).map_err(failed)?;
    }
    Ok(Exit::OK)
}

fn cannot_write(directory: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::IO, format!("cannot write to {}: {error}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_commands_stay_hidden() {
        let dir = tempfile::tempdir().unwrap();
        man(dir.path()).unwrap();
        completions(dir.path()).unwrap();
        let names: Vec<String> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        for page in ["sallyport-sessions-list.1", "sallyport-report-access-review.1", "sallyport-store.5"] {
            assert!(names.contains(&page.to_owned()), "{names:?}");
        }
        assert!(!names.iter().any(|name| name.contains("__")), "{names:?}");
        assert!(fs::read_to_string(dir.path().join("sallyport.bash")).unwrap().contains("doctor"));
    }
}
