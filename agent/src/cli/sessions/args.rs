//! What may be typed after `sallyport sessions`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

use super::super::args::reason;
use super::super::when::When;
use crate::config::nearest;
use crate::control::Reason;
use crate::record::read::Filter;
use crate::record::{ApprovalState, Decision, Direction, Outcome};

/// `sallyport sessions`.
#[derive(Debug, Subcommand)]
pub enum Sessions {
    /// List recorded connections, newest first
    List(List),
    /// Show everything recorded about one connection
    Show(Show),
    /// Find statements by the words in them, newest first
    ///
    /// All words must be there, in any order; "words between double quotes" must stand together, and `cust*` finds what
    /// begins so.
    Search(Search),
    /// Play back what passed in a connection, as fast as it did
    ///
    /// Where no payload was kept, its statements are shown at the times they were sent.
    Replay(Replay),
    /// Show what is recorded from now on, as it happens
    Follow(Follow),
    /// Write records for other programs
    Export(Export),
    /// Say whether the store is what was recorded
    ///
    /// Names the first damaged record and what was done to it. Exits with 0 when nothing is wrong and with 65 when something
    /// is. A checkpoint that was kept elsewhere also shows a cut end and an older copy; with `--proof` one session that was
    /// exported is verified without a store.
    Verify(Verify),
    /// Keep segments from being removed, or list those that are kept
    Hold(Hold),
    /// Sign checkpoints with a new key from now on
    ///
    /// The old one's public part is kept, so that what it signed still verifies. A running daemon follows with its next
    /// checkpoint.
    RotateKey,
}

/// What to verify and by what.
#[derive(Debug, Args)]
pub struct Verify {
    /// A checkpoint that was kept elsewhere, or a file of several: the largest counts
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// A key to trust, or a file of keys, instead of those beside the store
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<String>,
    /// Verify what `export --proof` wrote, without a store; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "checkpoint")]
    pub proof: Option<PathBuf>,
}

/// What to hold.
#[derive(Debug, Args)]
pub struct Hold {
    /// A segment's number, or a connection's id for every segment it is in; without it, holds are listed
    #[arg(value_name = "WHAT", requires = "reason")]
    pub what: Option<String>,
    /// Lift the hold
    #[arg(long, requires = "what")]
    pub lift: bool,
    /// Why; recorded
    #[arg(long, value_name = "TEXT", value_parser = reason, requires = "what")]
    pub reason: Option<Reason>,
}

/// What records must be like.
#[derive(Clone, Debug, Default, Args)]
pub struct Which {
    /// Not older than: `2h` ago, `today`, `yesterday`, `2026-01-31`, `2026-01-31 14:00`
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    pub since: Option<When>,
    /// Not younger than
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    pub until: Option<When>,
    /// Of this workload identity; a part of it is enough
    #[arg(long, value_name = "IDENTITY", visible_alias = "identity")]
    pub workload: Option<String>,
    /// Of this unit
    #[arg(long, value_name = "UNIT")]
    pub unit: Option<String>,
    /// Of this user, by name or number
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// For this person; a part of the name is enough
    #[arg(long, value_name = "PERSON")]
    pub person: Option<String>,
    /// To this address, port, `ADDRESS:PORT` or configured target; a part of it is enough
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// Where this was decided, of the connection or of a statement: `allow`, `deny`, `would-deny`, `held`
    #[arg(long, value_name = "DECISION", value_parser = decision)]
    pub decision: Option<Decision>,
    /// Where something was masked
    #[arg(long)]
    pub masked: bool,
    /// Where an approval stands like this: `pending`, `approved`, `denied`, `expired`, `withdrawn`
    #[arg(long, value_name = "STATE", value_parser = approval)]
    pub approval: Option<ApprovalState>,
    /// That ended so, for example `completed`, `denied`, `upstream-refused`; or `open`
    #[arg(long, value_name = "OUTCOME", value_parser = standing)]
    pub outcome: Option<Standing>,
}

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not ended.
    Open,
    /// It has.
    Ended(Outcome),
}

impl Standing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ended(outcome) => outcome.as_str(),
        }
    }
}

/// How much to print.
#[derive(Clone, Debug, Args)]
pub struct Paging {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub limit: u32,
    /// Those that follow this one in the list: the last id of the page before
    #[arg(long, value_name = "ID")]
    pub after: Option<String>,
}

/// Which sessions to list.
#[derive(Debug, Args)]
pub struct List {
    /// Which.
    #[command(flatten)]
    pub which: Which,
    /// How many.
    #[command(flatten)]
    pub paging: Paging,
    /// List what was refused, and what the daemon did, instead of connections
    #[arg(long, conflicts_with_all = ["outcome", "masked", "approval"])]
    pub events: bool,
}

/// Which session to show.
#[derive(Debug, Args)]
pub struct Show {
    /// Its id, or the first characters of it
    pub id: String,
    /// At most so many statements
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub statements: u32,
    /// Statements from this number on
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from: u64,
}

/// What to look for.
#[derive(Debug, Args)]
pub struct Search {
    /// Words
    #[arg(required = true, value_name = "WORDS")]
    pub words: Vec<String>,
    /// Take the words as a query of SQLite's FTS5: AND, OR, NOT, NEAR
    #[arg(long)]
    pub fts: bool,
    /// Which.
    #[command(flatten)]
    pub which: Which,
    /// How many.
    #[command(flatten)]
    pub paging: Paging,
}

/// What to play back and how.
#[derive(Debug, Args)]
pub struct Replay {
    /// The session's id, or the first characters of it
    pub id: String,
    /// So many times as fast as it was [default: 1, with --raw without waiting]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub speed: Option<f64>,
    /// From this second of the session on
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "0")]
    pub from: f64,
    /// Never wait longer than this
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub idle: Option<f64>,
    /// What came `in` from the upstream, went `out` to it, or both [default: both, of a terminal `in`]
    #[arg(long, value_name = "DIRECTION")]
    pub direction: Option<Way>,
    /// Write the bytes as they were on the wire, and nothing else
    #[arg(long)]
    pub raw: bool,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// From the upstream.
    In,
    /// To the upstream.
    Out,
    /// Either.
    Both,
}

impl Way {
    /// Whether bytes that went there are meant.
    pub(super) fn has(self, direction: Direction) -> bool {
        match self {
            Self::In => direction == Direction::In,
            Self::Out => direction == Direction::Out,
            Self::Both => true,
        }
    }
}

/// What to follow.
#[derive(Debug, Args)]
pub struct Follow {
    /// Which.
    #[command(flatten)]
    pub which: Which,
}

/// What to export and how.
#[derive(Debug, Args)]
pub struct Export {
    /// One session's id, or the first characters of it; without it all that fit
    pub id: Option<String>,
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    pub format: Format,
    /// One session's records as they are in the log, with the proof that they are
    #[arg(long, requires = "id", conflicts_with_all = ["format", "what"])]
    pub proof: bool,
    /// What of it [default: all, in CSV sessions]
    #[arg(long, value_name = "WHAT")]
    pub what: Option<What>,
    /// Which.
    #[command(flatten)]
    pub which: Which,
}

/// How to write records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line
    Jsonl,
    /// RFC 4180, for spreadsheets
    Csv,
    /// One event a line, in the classes of the Open Cybersecurity Schema Framework
    Ocsf,
    /// What a terminal showed, for players of asciicast v2
    Asciicast,
}

/// Kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Everything
    All,
    /// Connections
    Sessions,
    /// Statements
    Statements,
    /// What was refused, and what the daemon did
    Events,
}

impl Which {
    /// The same for the store.
    pub fn filter(&self) -> Filter {
        Filter {
            since_ns: self.since.map(When::nanoseconds),
            until_ns: self.until.map(When::nanoseconds),
            workload: self.workload.clone(),
            unit: self.unit.clone(),
            user: self.user.clone(),
            person: self.person.clone(),
            target: self.target.clone(),
            decision: self.decision,
            masked: self.masked,
            approval: self.approval,
            outcome: match self.outcome {
                Some(Standing::Ended(outcome)) => Some(outcome),
                Some(Standing::Open) | None => None,
            },
            open: matches!(self.outcome, Some(Standing::Open)),
            limit: None,
        }
    }
}

fn named<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, String> {
    all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        match nearest(text, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("one of {}", names.join(", ")),
        }
    })
}

fn standing(text: &str) -> Result<Standing, String> {
    let all: Vec<Standing> = Outcome::ALL.into_iter().map(Standing::Ended).chain([Standing::Open]).collect();
    named(text, &all, Standing::as_str)
}

fn decision(text: &str) -> Result<Decision, String> {
    let all = [Decision::Allow, Decision::Deny, Decision::WouldDeny, Decision::Held];
    named(text, &all, Decision::as_str)
}

fn approval(text: &str) -> Result<ApprovalState, String> {
    let all = [
        ApprovalState::Pending,
        ApprovalState::Approved,
        ApprovalState::Denied,
        ApprovalState::Expired,
        ApprovalState::Withdrawn,
    ];
    named(text, &all, ApprovalState::as_str)
}

fn seconds(text: &str) -> Result<f64, String> {
    let found = f64::from_str(text).ok().filter(|seconds| (0.0..=1e9).contains(seconds));
    found.ok_or_else(|| "a number of seconds, not below 0".to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    let found = f64::from_str(text).ok().filter(|number| (0.001..=1e6).contains(number));
    found.ok_or_else(|| "a number between 0.001 and 1000000".to_owned())
}
