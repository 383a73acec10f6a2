//! The `sallyport` binary: the only place that exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    sallyport::cli::main(std::env::args_os()).into()
}
