//! `sallyport sessions verify`: whether the store, or the evidence of one session, is what was recorded.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::super::exit::{Exit, Failure};
use super::super::screen::{Screen, Tone, printable};
use super::amount::counted;
use super::args::{Export, Verify};
use crate::record::proof::{Checkpoint, Head, VerifierKey, public_keys};
use crate::record::{Evidence, EvidenceError, Report, Store, evidence, signers, verify};

/// Longest file of checkpoints, keys or evidence that is read, bytes.
const LONGEST: u64 = 256 << 20;

/// What a proof leaves open.
const NOT_ALL: &str = "whether these are all of its records, only the store shows";

/// Verifies; exits with 0 when nothing is wrong and with 65 when something is.
pub(super) fn run(state_dir: &Path, args: &Verify, screen: &mut Screen) -> Result<Exit, Failure> {
    if args.proof.is_none() {
        // Says what is the matter with a store that is not there or may not be read.
        drop(Store::open_read_only(state_dir)?);
    }
    let (keys, own) = if args.proof.is_some() && args.keys.is_empty() {
        let beside = public_keys(state_dir).unwrap_or_default();
        if beside.is_empty() {
            let said = "no key is known here: give the one of the host that recorded it with --key";
            return Err(Failure::new(Exit::USAGE, said));
        }
        (beside, false)
    } else {
        trusted(state_dir, &args.keys)?
    };
    let read = |note: &str| read_note(note, &keys);
    if let Some(path) = &args.proof {
        return proven(path, &read, screen);
    }
    let kept = args.checkpoint.as_deref().map(|path| largest(path, &read)).transpose()?;
    let report = verify(state_dir, &read, kept.as_ref()).map_err(|e| Failure::caused(Exit::IO, &e))?;
    show(&report, own, kept.as_ref(), screen)?;
    Ok(if report.is_whole() { Exit::OK } else { Exit::DATA })
}

/// The keys to trust, and whether nobody but the store vouches for them.
fn trusted(state_dir: &Path, named: &[String]) -> Result<(Vec<VerifierKey>, bool), Failure> {
    let failed = |what: String| Failure::new(Exit::NO_INPUT, what);
    let parse = |text: &str| {
        text.parse::<VerifierKey>().map_err(|e| {
            if text.starts_with("PRIVATE+KEY+") {
                // It is told to nobody, least of all to a terminal or a log.
                return failed("the key that signs is no key to verify with: give the public one".to_owned());
            }
            failed(format!("`{}` is no key: {e}", printable(text)))
        })
    };
    if !named.is_empty() {
        let mut keys = Vec::new();
        for key in named {
            if key.contains('+') && !Path::new(key).exists() {
                keys.push(parse(key)?);
                continue;
            }
            let text = read(Path::new(key))?;
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                keys.push(parse(line)?);
            }
        }
        return Ok((keys, false));
    }
    let beside = public_keys(state_dir).unwrap_or_default();
    if !beside.is_empty() {
        return Ok((beside, false));
    }
    let own = signers(state_dir).map_err(|e| Failure::caused(Exit::IO, &e))?;
    Ok((own.iter().filter_map(|key| key.parse().ok()).collect(), true))
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().take(LONGEST).read_to_string(&mut text)
    } else {
        fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    match read {
        Ok(_) => Ok(text),
        Err(e) => Err(Failure::new(Exit::NO_INPUT, format!("cannot read {}: {e}", path.display()))),
    }
}

/// The largest checkpoint of a file. Notes follow one another with an empty line after each; one that was cut off while it
/// was written, by a full disk say, has more of them after it, or is the last.
fn largest(path: &Path, read_note: &dyn Fn(&str) -> Result<Head, String>) -> Result<Head, Failure> {
    let text = read(path)?;
    let mut heads = Vec::new();
    let notes = notes(&text);
    for (at, note) in notes.iter().enumerate() {
        match read_note(note) {
            Ok(head) => heads.push(head),
            // Nobody says that it was ever whole.
            Err(_) if at + 1 == notes.len() && !text.ends_with('\n') => {}
            Err(why) => {
                let said = format!("{} holds a checkpoint that is not to be trusted: {why}", path.display());
                return Err(Failure::new(Exit::DATA, said));
            }
        }
    }
    heads.sort_by_key(|head| head.size);
    heads.pop().ok_or_else(|| Failure::new(Exit::DATA, format!("{} holds no checkpoint", path.display())))
}

/// The notes of a file but for those that were cut off.
fn notes(text: &str) -> Vec<String> {
    let (mut notes, mut note) = (Vec::new(), String::new());
    let (mut signed, mut empty) = (false, 0);
    for line in text.lines() {
        let signature = line.starts_with('\u{2014}');
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty == 2 {
            // What stood before was cut off, also when its signature had begun.
            if note.is_empty() {
                notes.pop();
            }
            note.clear();
            signed = false;
        } else if signed && !signature {
            notes.push(std::mem::take(&mut note));
            signed = false;
        }
        if !(note.is_empty() && line.is_empty()) {
            note.push_str(line);
            note.push('\n');
            signed = signature;
        }
    }
    if !note.is_empty() {
        notes.push(note);
    }
    notes
}

/// Writes a session with its proof.
pub(super) fn export(state_dir: &Path, store: &Store, args: &Export, screen: &mut Screen) -> Result<(), Failure> {
    let id = args.id.as_deref().unwrap_or_default();
    let session = store.session(id)?.detail.session.id;
    let keys = trusted(state_dir, &[])?.0;
    let made = evidence(state_dir, session, &|note| read_note(note, &keys)).map_err(|error| {
        let exit = match error {
            EvidenceError::NotSigned | EvidenceError::NoSession(_) => Exit::NO_INPUT,
            EvidenceError::Store(_) => Exit::IO,
            EvidenceError::Damaged
            | EvidenceError::Form(_)
            | EvidenceError::Checkpoint(_)
            | EvidenceError::Record { .. }
            | EvidenceError::OfAnother(_) => Exit::DATA,
        };
        Failure::caused(exit, &error)
    })?;
    Ok(screen.json(&made)?)
}

fn read_note(note: &str, keys: &[VerifierKey]) -> Result<Head, String> {
    let opened = Checkpoint::open(note.as_bytes(), keys).map_err(|error| error.to_string());
    opened.map(|(checkpoint, _)| checkpoint.head)
}

fn proven(path: &Path, read_note: &dyn Fn(&str) -> Result<Head, String>, screen: &mut Screen) -> Result<Exit, Failure> {
    let evidence = Evidence::parse(&read(path)?).map_err(|e| Failure::new(Exit::DATA, e.to_string()))?;
    let outcome = evidence.prove(read_note);
    if screen.is_json() {
        let (whole, detail) = match &outcome {
            Ok((head, records)) => {
                (true, format!("{records} records under the checkpoint of size {}; {NOT_ALL}", head.size))
            }
            Err(why) => (false, why.to_string()),
        };
        screen.json(&serde_json::json!({ "session": evidence.session, "proven": whole, "detail": detail }))?;
        return Ok(if whole { Exit::OK } else { Exit::DATA });
    }
    match outcome {
        Ok((head, records)) => {
            let said = format!("Session {} is proven", printable(&evidence.session));
            screen.line(&screen.tinted(&said, Tone::Head))?;
            screen.line(&format!(
                "{}, all under the checkpoint of size {}",
                counted(records as u64, "record"),
                head.size
            ))?;
            screen.line(NOT_ALL)?;
            Ok(Exit::OK)
        }
        Err(why) => {
            screen.line(&screen.tinted("This proves nothing", Tone::Bad))?;
            screen.line(&printable(&why.to_string()))?;
            Ok(Exit::DATA)
        }
    }
}

fn show(report: &Report, own: bool, kept: Option<&Head>, screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return Ok(screen.json(report)?);
    }
    let whole = report.is_whole();
    let (said, tone) = if whole { ("The store is whole", Tone::Good) } else { ("The store is damaged", Tone::Bad) };
    screen.line(&screen.tinted(said, tone))?;
    for finding in &report.findings {
        let at = finding.record.map_or_else(String::new, |record| format!(", record {record}"));
        let table = finding.table.map_or_else(String::new, |table| format!(" ({table})"));
        let place = format!("segment {}{at}{table}", finding.segment);
        screen.line(&format!("  {}: {place}: {}", finding.damage, printable(&finding.detail)))?;
    }
    screen.line(&format!(
        "  {} in {}; {}, the last over {}; root {}",
        counted(report.records, "record"),
        counted(report.segments, "segment"),
        counted(report.checkpoints, "checkpoint"),
        counted(report.signed, "record"),
        report.root
    ))?;
    if report.pruned > 0 {
        screen.line(&format!("  before that, {} removed in order", counted(report.pruned, "segment")))?;
    }
    if whole && report.signed < report.size {
        let unsigned = report.size - report.signed;
        screen.line(&format!("  {} at the end not under a checkpoint yet", counted(unsigned, "record")))?;
    }
    if own {
        screen.line("  nobody but the store vouches for its keys: give the one you know with --key")?;
    }
    if whole && kept.is_some() && !report.compared {
        let said = "  the checkpoint was not compared: what it was signed over is not there any more";
        screen.line(&screen.tinted(said, Tone::Warn))?;
    }
    if kept.is_none() {
        screen.line("  a cut end shows only to a checkpoint kept elsewhere: --checkpoint FILE")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_signs_is_not_told_when_it_is_given_by_mistake() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint.key");
        fs::write(&path, "PRIVATE+KEY+host+77ca1872+AXxnSECRET\n").unwrap();
        for given in [path.to_str().unwrap(), "PRIVATE+KEY+host+77ca1872+AXxnSECRET"] {
            let said = trusted(dir.path(), &[given.to_owned()]).unwrap_err().message().to_owned();
            assert!(said.contains("is no key") && !said.contains("SECRET"), "{said}");
        }
    }
}
