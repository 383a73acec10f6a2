//! What may be typed after `sallyport approvals`.

use clap::{ArgGroup, Args, Subcommand};

use super::super::args::reason;
use crate::approve::{Length, Whom};
use crate::config::duration;
use crate::control::Reason;

/// `sallyport approvals`.
#[derive(Debug, Subcommand)]
pub enum Approvals {
    /// List what waits for approval
    List(List),
    /// Show everything about one: who asks, what exactly, what it would touch, what it needs
    Show {
        /// Its name, or how that begins
        id: String,
    },
    /// Approve a request
    ///
    /// Nobody approves what they ask for themselves, under whatever user: whose login it is counts. Where several people
    /// approve, the least of what they grant holds.
    Approve(Approve),
    /// Deny a request, or end what was granted before its time
    Deny {
        /// Its name, or how that begins
        id: String,
        /// Why; recorded, and in the operator's log
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: Reason,
    },
    /// Let a scope or a workload through without approval for a while: root only, loud, and on the record
    ///
    /// What is held goes on at once, and policies are told that a break-glass holds. It lifts no prohibition that does not
    /// say so. `deny` with its name ends it early.
    BreakGlass(BreakGlass),
}

/// What to list.
#[derive(Debug, Args)]
pub struct List {
    /// With what was settled lately
    #[arg(long)]
    pub all: bool,
    /// Go on, and say what changes as it does
    #[arg(long)]
    pub follow: bool,
}

/// How to approve.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("extent").args(["once", "length", "session"]))]
pub struct Approve {
    /// Its name, or how that begins
    pub id: String,
    /// Why; recorded
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<Reason>,
    /// This request, once [default]
    #[arg(long)]
    pub once: bool,
    /// Requests of this shape by this identity to this target, for so long; 24h at most
    #[arg(long = "for", id = "length", value_name = "DURATION", value_parser = length)]
    pub length: Option<Length>,
    /// What this session asks of this target and needs no more approval than this
    #[arg(long)]
    pub session: bool,
}

/// For whom, how long, and why.
#[derive(Debug, Args)]
pub struct BreakGlass {
    /// A scope's name, or a workload's whole SPIFFE ID
    #[arg(value_name = "SCOPE|WORKLOAD")]
    pub whom: Whom,
    /// How long, 24h at most
    #[arg(long = "for", id = "length", value_name = "DURATION", value_parser = length)]
    pub length: Length,
    /// Why; recorded
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Reason,
}

fn length(text: &str) -> Result<Length, String> {
    let length = duration(text).map_err(|error| error.to_string())?;
    Length::new(length).ok_or_else(|| "from 1s to 24h".to_owned())
}
