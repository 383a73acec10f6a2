//! `cargo xtask tidy`: the rules of this project that neither the compiler nor clippy can hold.

mod source;

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{output, root};
use source::{Source, is_word, paths};

/// Longest file; where one grows past it, it has become two.
const MOST_LINES: usize = 600;

/// Rooms that take bytes and values and give back values: no sockets, files, clocks, runtime or process about them.
const PURE_ROOMS: [&str; 3] = ["policy", "protocol", "mask"];

/// The one place of each pure room that reads files.
const READERS: [&str; 2] = ["agent/src/policy/load.rs", "agent/src/mask/load.rs"];

/// What a pure room must not name, as runs of path segments.
const IMPURE: [&[&str]; 21] = [
    &["tokio"],
    &["rustix"],
    &["libc"],
    &["socket2"],
    &["std", "fs"],
    &["std", "env"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "os"],
    &["TcpStream"],
    &["TcpListener"],
    &["UdpSocket"],
    &["ToSocketAddrs"],
    &["SystemTime"],
    &["Instant", "now"],
    &["crate", "sys"],
    &["crate", "app"],
    &["crate", "cli"],
    &["crate", "control"],
    &["crate", "proxy"],
    &["crate", "record"],
];

/// The only places for `unsafe`: calls into the kernel, programs in it, and the tests' attacks on both.
const UNSAFE_PLACES: [&str; 3] = ["agent/src/sys.rs", "agent-ebpf/src/", "tests/probe/sys.rs"];

/// Words that must not be committed; written apart here so that this file may be.
const WORDS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

/// Texts that must not be committed: a test that does not run, and one machine's paths.
const TEXTS: [&str; 3] = [concat!("#[", "ignore"), concat!("#[", "should_panic"), concat!("/wo", "rk/")];

/// Names that say nothing about what is behind them.
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "misc"];

/// What is wrong, and where.
type Finding = (usize, String);

const RULES: [fn(&Source) -> Vec<Finding>; 7] = [
    opens_with_its_purpose,
    is_short,
    keeps_its_room_pure,
    keeps_unsafe_apart,
    says_no_word,
    names_functions,
    has_a_name,
];

/// Checks every file that git knows or would add.
pub(crate) fn run() -> Result<()> {
    let list = output(Command::new("git").current_dir(root()).args([
        "ls-files",
        "-co",
        "--exclude-standard",
        "--deduplicate",
    ]))?;
    let mut sources = Vec::new();
    for path in list.lines() {
        // What is not text has no words, and what was deleted but not yet committed is gone.
        if let Ok(text) = fs::read_to_string(root().join(path)) {
            sources.push(Source::new(path, text));
        }
    }
    let findings: Vec<String> = sources.iter().flat_map(check).collect();
    println!("tidy: {}", lengths(&sources));
    if !findings.is_empty() {
        bail!("not tidy:\n{}", findings.join("\n"));
    }
    Ok(())
}

fn check(source: &Source) -> Vec<String> {
    let findings = RULES.iter().flat_map(|rule| rule(source));
    findings.map(|(line, what)| format!("{}:{line}: {what}", source.path)).collect()
}

/// `61 Rust files; lines p50 90, p90 300, longest 480 (agent/src/proxy/flow.rs)`
fn lengths(sources: &[Source]) -> String {
    let mut files: Vec<_> = sources.iter().filter(|s| s.is_rust()).map(|s| (s.text.lines().count(), &s.path)).collect();
    files.sort_unstable();
    let at = |percent: usize| files.get(files.len() * percent / 100).map_or(0, |(lines, _)| *lines);
    let (longest, path) = files.last().map_or((0, ""), |(lines, path)| (*lines, path.as_str()));
    format!("{} Rust files; lines p50 {}, p90 {}, longest {longest} ({path})", files.len(), at(50), at(90))
}

fn opens_with_its_purpose(source: &Source) -> Vec<Finding> {
    let missing = source.is_rust() && !source.text.starts_with("//! ");
    missing.then(|| (1, "the first line is not `//! ` and what the file is for".to_owned())).into_iter().collect()
}

fn is_short(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    let long = source.is_rust() && lines > MOST_LINES;
    long.then(|| (lines, format!("{lines} lines, and {MOST_LINES} are the most"))).into_iter().collect()
}

fn keeps_its_room_pure(source: &Source) -> Vec<Finding> {
    if READERS.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let room = source.path.strip_prefix("agent/src/").and_then(|path| path.split(['/', '.']).next());
    let Some(room) = room.filter(|room| PURE_ROOMS.contains(room)) else { return Vec::new() };
    let named = |path: &[String], run: &[&str]| path.windows(run.len()).any(|window| window.iter().eq(run));
    let mut findings = Vec::new();
    for (line, path) in paths(source.without_tests()) {
        if let Some(run) = IMPURE.iter().find(|run| named(&path, run)) {
            findings.push((line, format!("`{room}` is a pure room and must not name `{}`", run.join("::"))));
        }
    }
    findings
}

fn keeps_unsafe_apart(source: &Source) -> Vec<Finding> {
    if UNSAFE_PLACES.iter().any(|place| source.path.starts_with(place)) {
        return Vec::new();
    }
    let lines = lines_with_word(&source.code, "unsafe");
    lines.map(|line| (line, format!("`unsafe` belongs in {}", UNSAFE_PLACES.join(" or ")))).collect()
}

fn says_no_word(source: &Source) -> Vec<Finding> {
    let words = WORDS.iter().flat_map(|word| lines_with_word(&source.text, word).map(move |line| (line, word)));
    let holding = |text: &'static str| (1..).zip(source.text.lines()).filter(move |(_, line)| line.contains(text));
    let texts = TEXTS.iter().flat_map(|text| holding(text).map(move |(line, _)| (line, text)));
    words.chain(texts).map(|(line, what)| (line, format!("`{what}` must not be committed"))).collect()
}

fn names_functions(source: &Source) -> Vec<Finding> {
    let lines = (1..).zip(source.code.lines()).filter(|(_, line)| line.contains("fn get_"));
    lines.map(|(line, _)| (line, "a function is named after what it gives, without `get_`".to_owned())).collect()
}

fn has_a_name(source: &Source) -> Vec<Finding> {
    let mut parts = source.path.split('/').filter(|_| source.is_rust());
    let empty = parts.find(|part| EMPTY_NAMES.contains(&part.trim_end_matches(".rs")));
    empty.map(|name| (1, format!("`{name}` does not say what is in it"))).into_iter().collect()
}

/// The lines of `text` where `word` stands by itself.
fn lines_with_word(text: &str, word: &'static str) -> impl Iterator<Item = usize> {
    let has = move |line: &str| line.split(|c| !is_word(c)).any(|part| part == word);
    (1..).zip(text.lines()).filter(move |(_, line)| has(line)).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `check` says of a file, without the path.
    fn findings(path: &str, body: &str) -> Vec<String> {
        let text = if path.ends_with(".rs") { format!("//! Purpose.\n{body}") } else { body.to_owned() };
        let prefix = format!("{path}:");
        check(&Source::new(path, text)).iter().map(|found| found.replacen(&prefix, "", 1)).collect()
    }

    fn refused(path: &str, body: &str, at: &str) {
        let found = findings(path, body);
        assert!(found.len() == 1 && found[0].starts_with(at), "{path} {body:?}: {found:?}");
    }

    fn accepted(path: &str, body: &str) {
        assert_eq!(findings(path, body), [""; 0], "{path} {body:?}");
    }

    #[test]
    fn a_file_opens_with_its_purpose() {
        assert_eq!(check(&Source::new("agent/src/app.rs", "use std::fs;\n".to_owned())).len(), 1);
        accepted("agent/src/app.rs", "use std::fs;\n");
        accepted("README.md", "# Sallyport\n");
    }

    #[test]
    fn a_file_is_short() {
        refused("agent/src/app.rs", &"\n".repeat(MOST_LINES), "601: 601 lines");
        accepted("agent/src/app.rs", &"\n".repeat(MOST_LINES - 1));
    }

    #[test]
    fn a_pure_room_has_no_io() {
        for body in [
            "use std::{io, fs};",
            "use tokio::sync::mpsc;",
            "use std::net::{IpAddr, TcpStream};",
            "fn f() { std::thread::sleep(D); }",
            "fn f(now: SystemTime) {}",
            "fn f() { let now = Instant::now(); }",
            "use crate::{identity::Identity, proxy};",
        ] {
            refused("agent/src/policy/rules.rs", body, "2: `policy` is a pure room");
            refused("agent/src/mask.rs", body, "2: `mask` is a pure room");
            accepted("agent/src/record/mod.rs", body);
            accepted("agent/src/policy/load.rs", body);
        }
        accepted("agent/src/policy.rs", "use std::{net::IpAddr, time::{Duration, Instant}};\n// std::fs\n");
        accepted("agent/src/policy.rs", "\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n");
    }

    #[test]
    fn unsafe_has_its_place() {
        refused("agent/src/proxy/mod.rs", "fn f() {\n    unsafe { g() }\n}", "3: `unsafe` belongs");
        accepted("agent/src/sys.rs", "fn f() { unsafe { g() } }");
        accepted("agent-ebpf/src/main.rs", "fn f() { unsafe { g() } }");
        accepted("agent/src/lib.rs", "#![deny(unsafe_code)] // no unsafe here\nconst A: &str = \"unsafe\";");
    }

    #[test]
    fn some_words_are_not_committed() {
        for text in WORDS.iter().chain(&TEXTS) {
            refused("README.md", &format!("a\n {text} b"), "2: `");
        }
        accepted("README.md", &format!("mktemp {}YZ, TO DO, #[test]", WORDS[2]));
    }

    #[test]
    fn functions_and_files_have_names() {
        refused("agent/src/app.rs", "fn get_name() {}", "2: a function");
        accepted("agent/src/app.rs", "fn target_name() {}");
        refused("agent/src/proxy/util.rs", "", "1: `util.rs`");
        refused("tests/common/mod.rs", "", "1: `common`");
    }
}
