//! What may be typed after `sallyport report`.

use clap::{Args, Subcommand, ValueEnum};

use super::super::when::When;

/// `sallyport report`.
#[derive(Debug, Subcommand)]
pub enum Report {
    /// Who reached what, was refused, approved or masked; and who had access without using it
    AccessReview(AccessReview),
}

/// What to review.
#[derive(Debug, Args)]
pub struct AccessReview {
    /// From: `90d` ago, `2026-01-01`, `2026-01-31 14:00`
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    pub since: When,
    /// To [default: now]
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    pub until: Option<When>,
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "markdown")]
    pub format: Format,
}

/// How to write a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One file for a browser
    Html,
    /// RFC 4180, one line a fact
    Csv,
    /// For people and for tickets
    Markdown,
    /// For machines
    Json,
}
