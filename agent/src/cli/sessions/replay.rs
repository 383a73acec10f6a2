//! Playing back what passed in a session.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::exit::{Exit, Failure};
use super::super::screen::{Screen, Tone, one_line};
use super::amount::length;
use super::args::{Replay, Way};
use super::show::{text, tone_of};
use super::tame::{Tamer, plain};
use crate::record::read::{Bytes, PayloadKeys, PayloadRow, Session, StatementRow};
use crate::record::{Direction, SessionDetail, Store};

/// Tag of sessions in which somebody had a terminal.
const TERMINAL: &str = "terminal";
/// Statements fetched at a time.
const PAGE: u32 = 200;

/// Plays a session back.
pub(super) fn run(store: &Store, args: &Replay, keys: &PayloadKeys, screen: &mut Screen) -> Result<(), Failure> {
    if args.raw && screen.is_terminal() {
        let advice = "--raw does not write to a terminal, which would obey it: send it to a file or a program";
        return Err(Failure::new(Exit::USAGE, advice));
    }
    let session = store.session(&args.id)?;
    let is_terminal = has_terminal(&session.detail);
    let way = args.direction.unwrap_or(if is_terminal && !args.raw { Way::In } else { Way::Both });
    let mut player = Player { clock: Clock::new(args, screen.is_json()), tamer: is_terminal.then(Tamer::default) };
    let mut any = false;
    for piece in store.payloads(&session, keys) {
        let piece = piece?;
        any = true;
        if way.has(piece.direction) && player.clock.wait_for(piece.after_ns, screen)? {
            if args.raw { raw(&piece, screen)? } else { player.show(&piece, screen)? }
        }
    }
    if any || args.raw {
        return Ok(());
    }
    transcript(store, &session, &mut player.clock, screen)
}

/// Whether somebody sat at a terminal in it.
pub(super) fn has_terminal(detail: &SessionDetail) -> bool {
    detail.tags.as_deref().unwrap_or("").split_whitespace().any(|tag| tag == TERMINAL)
}

/// When the next piece is due.
struct Clock {
    began: Instant,
    /// `None`: never waits.
    speed: Option<f64>,
    from_ns: i64,
    idle_ns: i64,
    /// Session time that was played.
    at_ns: i64,
    /// Time that was waited or skipped, on our own clock.
    due: Duration,
}

impl Clock {
    fn new(args: &Replay, json: bool) -> Self {
        let nanoseconds = |seconds: f64| (seconds * 1e9) as i64;
        let from_ns = nanoseconds(args.from);
        Self {
            began: Instant::now(),
            speed: args.speed.or((!args.raw && !json).then_some(1.0)),
            from_ns,
            idle_ns: args.idle.map_or(i64::MAX, nanoseconds),
            at_ns: from_ns,
            due: Duration::ZERO,
        }
    }

    /// Waits until something of this time is due. False when it is from before the start asked for.
    fn wait_for(&mut self, after_ns: i64, screen: &mut Screen) -> Result<bool, Failure> {
        if after_ns < self.from_ns {
            return Ok(false);
        }
        let passed = after_ns.saturating_sub(self.at_ns).clamp(0, self.idle_ns);
        self.at_ns = self.at_ns.max(after_ns);
        if let Some(speed) = self.speed {
            self.due += Duration::from_nanos((passed as f64 / speed) as u64);
            let left = self.due.saturating_sub(self.began.elapsed());
            if !left.is_zero() {
                screen.show()?;
                thread::sleep(left);
            }
        }
        Ok(true)
    }
}

/// What must be remembered from piece to piece.
struct Player {
    clock: Clock,
    tamer: Option<Tamer>,
}

impl Player {
    fn show(&mut self, piece: &PayloadRow, screen: &mut Screen) -> Result<(), Failure> {
        if screen.is_json() {
            return Ok(screen.json(&as_json(piece))?);
        }
        match (&mut self.tamer, &piece.bytes) {
            (Some(tamer), Bytes::Plain(bytes)) => screen.bytes(&tamer.pass(bytes))?,
            _ => {
                screen.line(&screen.tinted(&heading(piece), Tone::Dim))?;
                if let Bytes::Plain(bytes) = &piece.bytes {
                    screen.line(plain(bytes).trim_end_matches('\n'))?;
                }
            }
        }
        screen.show()?;
        Ok(())
    }
}

/// `+1.234s  out  120 bytes`, and what is missing.
fn heading(piece: &PayloadRow) -> String {
    let way = if piece.direction == Direction::Out { "out" } else { "in" };
    let cut = piece.full_length.map(|full| format!(" of {full}, the rest was not kept")).unwrap_or_default();
    let what = match &piece.bytes {
        Bytes::Plain(_) | Bytes::Cut => String::new(),
        Bytes::Encrypted(digest) => format!(", encrypted, digest {digest}"),
        Bytes::Damaged => ", damaged".to_owned(),
    };
    format!("+{}  {way}  {} bytes{cut}{what}", length(piece.after_ns), piece.length)
}

fn as_json(piece: &PayloadRow) -> serde_json::Value {
    let mut value = json!({
        "after_ns": piece.after_ns,
        "direction": piece.direction,
        "sequence": piece.sequence,
        "position": piece.position,
        "length": piece.length,
        "full_length": piece.full_length,
    });
    let more = match &piece.bytes {
        Bytes::Plain(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => ("text", json!(text)),
            Err(_) => ("hex", json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())),
        },
        Bytes::Encrypted(digest) => ("encrypted", json!(digest)),
        Bytes::Cut => ("cut", json!(true)),
        Bytes::Damaged => ("damaged", json!(true)),
    };
    if let Some(object) = value.as_object_mut() {
        object.insert(more.0.to_owned(), more.1);
    }
    value
}

/// Bytes as they were. What is not there cannot be left out silently: the rest would be taken for the whole.
fn raw(piece: &PayloadRow, screen: &mut Screen) -> Result<(), Failure> {
    let place = || format!("{} bytes at {} of what went {:?}", piece.length, piece.position, piece.direction);
    match &piece.bytes {
        Bytes::Plain(_) | Bytes::Cut if piece.full_length.is_some() => {
            Err(Failure::new(Exit::IO, format!("only {} were kept", place())))
        }
        Bytes::Plain(bytes) => Ok(screen.bytes(bytes)?),
        Bytes::Cut => Ok(()),
        Bytes::Encrypted(digest) => {
            Err(Failure::new(Exit::NO_PERMISSION, format!("{} are encrypted, digest {digest}", place())))
        }
        Bytes::Damaged => Err(Failure::new(Exit::IO, format!("{} are damaged", place()))),
    }
}

/// The statements at the times they were sent.
fn transcript(store: &Store, session: &Session, clock: &mut Clock, screen: &mut Screen) -> Result<(), Failure> {
    let mut from = 0;
    let mut any = false;
    loop {
        let page = store.statements(session, from, PAGE)?;
        for row in &page.rows {
            any = true;
            from = row.sequence.saturating_add(1);
            let after = row.time_ns.saturating_sub(session.detail.session.started_ns).max(0);
            if clock.wait_for(after, screen)? {
                line(row, after, screen)?;
                screen.show()?;
            }
        }
        if !page.more {
            break;
        }
    }
    if !any && !screen.is_json() {
        screen.line("Neither payload nor statements of this session were kept.")?;
    }
    Ok(())
}

fn line(row: &StatementRow, after: i64, screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return Ok(screen.json(row)?);
    }
    let time = screen.tinted(&format!("+{}", length(after)), Tone::Dim);
    let decision = screen.tinted(&one_line(&row.decision), tone_of(&row.decision));
    screen.line(&format!("{time}  {decision}  {}", text(row)))?;
    let rows = row.rows.map(|rows| format!("{rows} rows"));
    let took = row.duration_ns.map(length);
    let masked = (row.masked > 0).then(|| format!("{} values masked", row.masked));
    let came: Vec<String> = [rows, took, masked, row.error.as_deref().map(one_line)].into_iter().flatten().collect();
    if !came.is_empty() {
        screen.line(&screen.tinted(&format!("    {}", came.join(", ")), Tone::Dim))?;
    }
    Ok(())
}
