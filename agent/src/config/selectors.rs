//! Checks of a scope's selectors.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;

use super::error::{Problems, quoted};
use super::glob::Glob;
use super::host::Host;
use super::raw::RawScope;
use super::suggest::nearest;
use super::valid::Selectors;

/// Unit types (systemd.unit(5)); `slice` has a selector of its own.
const UNIT_TYPES: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];

/// What other scopes selected already: kind and value, with the scope's name.
pub(super) type Taken = HashMap<(&'static str, String), String>;

/// Checks all selectors of `raw`; what is wrong goes to `problems`.
pub(super) fn check(raw: &RawScope, host: &dyn Host, taken: &mut Taken, problems: &mut Problems) -> Selectors {
    if !raw.selects {
        let message = format!("scope {} selects nothing", quoted(raw.name.get_ref()));
        problems.add(raw.name.span(), message, Some("add slice, unit, cgroup, user or exe".to_owned()));
    }
    let mut kind = Kind { scope: raw.name.get_ref(), taken, problems };
    Selectors {
        units: kind.each("unit", &raw.unit, |text| unit(text).map(Glob::new), Glob::to_string),
        slices: kind.each("slice", &raw.slice, |text| slice(text).map(Glob::new), Glob::to_string),
        cgroups: kind.each("cgroup", &raw.cgroup, cgroup, |path| path.display().to_string()),
        users: kind.each("user", &raw.user, |text| user(text, host), u32::to_string),
        exes: kind.each("exe", &raw.exe, exe, |path| path.display().to_string()),
    }
}

/// What is wrong with one value, and what to write instead.
struct Wrong {
    message: String,
    help: Option<String>,
}

impl Wrong {
    fn new(message: String, help: impl Into<String>) -> Self {
        Self { message, help: Some(help.into()) }
    }
}

struct Kind<'a> {
    scope: &'a str,
    taken: &'a mut Taken,
    problems: &'a mut Problems,
}

impl Kind<'_> {
    fn each<T>(
        &mut self,
        kind: &'static str,
        texts: &[Spanned<String>],
        check: impl Fn(&str) -> Result<T, Wrong>,
        name: impl Fn(&T) -> String,
    ) -> Vec<T> {
        let mut values = Vec::new();
        for text in texts {
            match check(text.get_ref()) {
                Ok(value) if self.is_new(kind, &name(&value), text.span()) => values.push(value),
                Ok(_) => {}
                Err(wrong) => self.problems.add(text.span(), wrong.message, wrong.help),
            }
        }
        values
    }

    /// The same value in two scopes would leave one of them without effect.
    fn is_new(&mut self, kind: &'static str, value: &str, span: Range<usize>) -> bool {
        let previous = self.taken.insert((kind, value.to_owned()), self.scope.to_owned());
        let Some(previous) = previous else { return true };
        let message = if previous == self.scope {
            format!("{kind} {} is listed twice", quoted(value))
        } else {
            format!("{kind} {} is already in [scope.{previous}]", quoted(value))
        };
        self.problems.add(span, message, Some("a process belongs to one scope".to_owned()));
        false
    }
}

fn unit(text: &str) -> Result<&str, Wrong> {
    unit_name(text)?;
    if text.ends_with(".slice") {
        return Err(Wrong::new(format!("{} is a slice", quoted(text)), format!("write slice = \"{text}\"")));
    }
    if UNIT_TYPES.iter().any(|kind| text.ends_with(kind)) || text.ends_with(['*', '?']) {
        return Ok(text);
    }
    Err(Wrong::new(format!("unit {} has no type", quoted(text)), format!("did you mean \"{text}.service\"?")))
}

fn slice(text: &str) -> Result<&str, Wrong> {
    unit_name(text)?;
    if text.ends_with(".slice") || text.ends_with(['*', '?']) {
        return Ok(text);
    }
    if UNIT_TYPES.iter().any(|kind| text.ends_with(kind)) {
        return Err(Wrong::new(format!("{} is not a slice", quoted(text)), format!("write unit = \"{text}\"")));
    }
    Err(Wrong::new(format!("slice {} lacks its ending", quoted(text)), format!("did you mean \"{text}.slice\"?")))
}

/// Letters, digits and `:-_.\@` (systemd.unit(5)), with `*` and `?`.
fn unit_name(text: &str) -> Result<(), Wrong> {
    let strange = |c: char| !(c.is_ascii_alphanumeric() || r":-_.\@*?".contains(c));
    match text.chars().find(|c| strange(*c)) {
        None => Ok(()),
        Some('/') => Err(Wrong::new(
            format!("{} is a path, not a unit's name", quoted(text)),
            format!("for a path write cgroup = \"{text}\""),
        )),
        Some(c) => Err(Wrong::new(
            format!("{} has {c:?} in it, and no unit's name has", quoted(text)),
            "`*` stands for anything, `?` for one character",
        )),
    }
}

/// A path below the v2 root. The root itself is refused: it holds the kernel's threads, PID 1 and this daemon.
fn cgroup(text: &str) -> Result<PathBuf, Wrong> {
    let mounted = ["/sys/fs/cgroup/unified/", "/sys/fs/cgroup/"].iter().find_map(|mount| text.strip_prefix(mount));
    if let Some(below) = mounted {
        return Err(Wrong::new(
            format!("cgroup {} is not given from the root of the hierarchy", quoted(text)),
            format!("write \"/{below}\""),
        ));
    }
    let trimmed = text.trim_end_matches('/');
    if trimmed.is_empty() {
        return Err(Wrong::new(
            "the root cgroup is the whole host, this daemon included".to_owned(),
            "name the cgroups, slices or users to manage",
        ));
    }
    plain_path("cgroup", trimmed)
}

fn exe(text: &str) -> Result<PathBuf, Wrong> {
    if text.contains('*') {
        let help = "name the file, or select by unit, user or cgroup";
        return Err(Wrong::new(format!("exe {} is a pattern; an executable is one file", quoted(text)), help));
    }
    if text.ends_with('/') {
        return Err(Wrong::new(format!("exe {} is a directory", quoted(text)), "name the file"));
    }
    plain_path("exe", text)
}

fn plain_path(kind: &str, text: &str) -> Result<PathBuf, Wrong> {
    let Some(below) = text.strip_prefix('/') else {
        return Err(Wrong::new(
            format!("{kind} {} is not absolute", quoted(text)),
            format!("did you mean \"/{text}\"?"),
        ));
    };
    if below.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Wrong::new(format!("{kind} {} has `.`, `..` or `//` in it", quoted(text)), "write the plain path"));
    }
    Ok(PathBuf::from(text))
}

/// A name of the host, or any number: a user may come into being later, or live in a directory service.
fn user(text: &str, host: &dyn Host) -> Result<u32, Wrong> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        // The last number means "no user" everywhere in the kernel.
        let number = text.parse().ok().filter(|uid| *uid != u32::MAX);
        return number.ok_or_else(|| Wrong {
            message: format!("{text} is not a user number"),
            help: Some(format!("0 to {}", u32::MAX - 1)),
        });
    }
    host.uid(text).ok_or_else(|| {
        let users = host.users();
        let near = nearest(text, users.iter().map(String::as_str));
        Wrong {
            message: format!("there is no user {} on this host", quoted(text)),
            help: near.map(|near| format!("did you mean \"{near}\"?")),
        }
    })
}
