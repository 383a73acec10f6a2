//! Reads a directory of policies: the one place of this room that touches files.
//!
//! Everything below the directory that is named `*.cedar` belongs to the set, hidden files excepted. What is read has to
//! be what is there: if the directory changes meanwhile it is read again.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::check::{Finding, Source, check};
use super::set::PolicySet;

/// Largest file.
pub const MAX_FILE: u64 = 1024 * 1024;
/// Largest set, bytes.
pub const MAX_TOTAL: u64 = 64 * 1024 * 1024;
/// Most files.
const MAX_FILES: usize = 20_000;
/// Deepest directory below the named one.
const MAX_DEPTH: usize = 8;
/// How often a directory that keeps changing is read again.
const ATTEMPTS: usize = 3;

/// Why a directory is not taken over.
#[derive(Debug)]
pub struct Rejected {
    /// Everything that is wrong, at least one.
    pub findings: Vec<Finding>,
    /// Whether the directory is not there at all.
    pub missing: bool,
}

impl Rejected {
    /// A directory that lost its policies.
    pub(super) fn emptied(directory: &Path) -> Self {
        let what = "there are no policies any more; to permit or forbid everything, write one that says so";
        Self { findings: vec![Finding::whole(shown(directory), what)], missing: false }
    }
}

impl std::error::Error for Rejected {}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, finding) in self.findings.iter().enumerate() {
            if nth > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    name: String,
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// Reads and checks a directory.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(directory: &Path) -> Result<PolicySet, Rejected> {
    let sources = sources(directory)?;
    check(&sources).map_err(|findings| Rejected { findings, missing: false })
}

/// Reads a directory, or a single file, without judging what is in it.
///
/// # Errors
/// What cannot be read, and why.
pub fn sources(directory: &Path) -> Result<Vec<Source>, Rejected> {
    sources_named(is_policies, directory)
}

fn is_policies(name: &[u8]) -> bool {
    name.ends_with(b".cedar")
}

/// The same of files with other names.
pub(crate) fn sources_named(is_wanted: fn(&[u8]) -> bool, directory: &Path) -> Result<Vec<Source>, Rejected> {
    if fs::metadata(directory).is_ok_and(|of| of.is_file()) {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return match read(directory) {
            Ok(text) => Ok(vec![Source { name, text }]),
            Err(error) => {
                let findings = vec![Finding::whole(shown(directory), error.to_string())];
                Err(Rejected { findings, missing: false })
            }
        };
    }
    for _ in 0..ATTEMPTS {
        let before = marks_named(is_wanted, directory)?;
        let sources = read_all(directory, &before)?;
        if marks_named(is_wanted, directory)? == before {
            return Ok(sources);
        }
    }
    let findings = vec![Finding::whole(shown(directory), "it keeps changing while it is read")];
    Err(Rejected { findings, missing: false })
}

/// The files of a directory as they are now, without their contents: to see whether anything changed.
///
/// # Errors
/// What cannot be looked at, and why.
pub fn marks(directory: &Path) -> Result<Vec<Mark>, Rejected> {
    marks_named(is_policies, directory)
}

/// The same of files with other names.
pub(crate) fn marks_named(is_wanted: fn(&[u8]) -> bool, directory: &Path) -> Result<Vec<Mark>, Rejected> {
    let mut walk = Walk { is_wanted, root: directory, marks: Vec::new(), findings: Vec::new() };
    if let Err(error) = fs::metadata(directory) {
        let findings = vec![Finding::whole(shown(directory), error.to_string())];
        return Err(Rejected { findings, missing: error.kind() == io::ErrorKind::NotFound });
    }
    walk.directory(directory, &mut Vec::new());
    let total: u64 = walk.marks.iter().map(|mark| mark.size).sum();
    if walk.findings.is_empty() && total > MAX_TOTAL {
        let what = format!("{total} bytes of policies; {MAX_TOTAL} is the most");
        walk.findings.push(Finding::whole(shown(directory), what));
    }
    if !walk.findings.is_empty() {
        return Err(Rejected { findings: walk.findings, missing: false });
    }
    walk.marks.sort();
    Ok(walk.marks)
}

struct Walk<'a> {
    is_wanted: fn(&[u8]) -> bool,
    root: &'a Path,
    marks: Vec<Mark>,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn wrong(&mut self, path: &Path, what: impl fmt::Display) {
        self.findings.push(Finding::whole(shown(path), what.to_string()));
    }

    fn directory(&mut self, path: &Path, above: &mut Vec<(u64, u64)>) {
        let entered = fs::metadata(path).and_then(|of| Ok((of, fs::read_dir(path)?)));
        let (of, entries) = match entered {
            Ok(entered) => entered,
            Err(error) => return self.wrong(path, error),
        };
        let key = (of.dev(), of.ino());
        if above.contains(&key) {
            return self.wrong(path, "a symbolic link leads back to a directory above it");
        }
        if above.len() > MAX_DEPTH {
            return self.wrong(path, format_args!("more than {MAX_DEPTH} directories deep"));
        }
        above.push(key);
        for entry in entries {
            match entry {
                Ok(entry) => self.entry(&entry.path(), above),
                Err(error) => self.wrong(path, error),
            }
            if self.marks.len() > MAX_FILES {
                self.wrong(path, format_args!("more than {MAX_FILES} files"));
                break;
            }
        }
        above.pop();
    }

    fn entry(&mut self, path: &Path, above: &mut Vec<(u64, u64)>) {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if name.starts_with(b".") {
            return;
        }
        let wanted = (self.is_wanted)(name);
        match fs::metadata(path) {
            Ok(of) if of.is_dir() => self.directory(path, above),
            Ok(of) if wanted => self.file(path, &of),
            Err(error) if wanted => self.wrong(path, error),
            Ok(_) | Err(_) => {}
        }
    }

    fn file(&mut self, path: &Path, of: &Metadata) {
        if !of.is_file() {
            return self.wrong(path, "it is not a regular file");
        }
        if of.len() > MAX_FILE {
            return self.wrong(path, format_args!("it is {} bytes long; {MAX_FILE} is the most", of.len()));
        }
        let Some(name) = path.strip_prefix(self.root).ok().and_then(Path::to_str) else {
            return self.wrong(path, "its name is not UTF-8 text");
        };
        let changed = (of.mtime(), of.mtime_nsec());
        self.marks.push(Mark { name: name.to_owned(), device: of.dev(), inode: of.ino(), size: of.len(), changed });
    }
}

fn read_all(directory: &Path, marks: &[Mark]) -> Result<Vec<Source>, Rejected> {
    let (mut sources, mut findings) = (Vec::new(), Vec::new());
    for mark in marks {
        let path = directory.join(&mark.name);
        match read(&path) {
            Ok(text) => sources.push(Source { name: mark.name.clone(), text }),
            Err(error) => findings.push(Finding::whole(shown(&path), error.to_string())),
        }
    }
    if findings.is_empty() { Ok(sources) } else { Err(Rejected { findings, missing: false }) }
}

fn read(path: &Path) -> io::Result<String> {
    // A pipe in place of the file must not hold the reader up.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {MAX_FILE} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} holds a byte that is not UTF-8 text"))
    })
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const ALL: &str = "permit(principal, action, resource);\n";

    fn wrong(directory: &Path) -> String {
        load(directory).map(|set| set.len()).expect_err("nothing is wrong").to_string()
    }

    #[test]
    fn a_directory_is_one_set() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("more")).unwrap();
        for name in ["a.cedar", "more/b.cedar"] {
            fs::write(at(name), ALL).unwrap();
        }
        for name in [".a.cedar.swp", ".hidden.cedar", "notes.txt", "a.cedar~"] {
            fs::write(at(name), "no policy").unwrap();
        }
        symlink("a.cedar", at("c.cedar")).unwrap();
        let set = load(dir.path()).unwrap_or_else(|rejected| panic!("{rejected}"));
        assert_eq!(set.ids().collect::<Vec<_>>(), ["a.cedar#1", "c.cedar#1", "more/b.cedar#1"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("good.cedar"), ALL).unwrap();
        fs::write(at("bytes.cedar"), b"permit(\n\xff").unwrap();
        let large = File::create(at("large.cedar")).unwrap();
        symlink("self.cedar", at("self.cedar")).unwrap();
        symlink(".", at("loop")).unwrap();
        symlink("nowhere", at("gone.cedar")).unwrap();
        let said = wrong(dir.path());
        for part in ["loop: a symbolic link leads back", "self.cedar: ", "gone.cedar: No such file"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        for name in ["self.cedar", "loop", "gone.cedar"] {
            fs::remove_file(at(name)).unwrap();
        }
        assert!(wrong(dir.path()).contains("bytes.cedar: line 2 holds a byte that is not UTF-8"));
        large.set_len(100 * 1024 * 1024).unwrap();
        assert!(wrong(dir.path()).contains("large.cedar: it is 104857600 bytes long; 1048576 is the most"));
        assert!(load(&at("none")).is_err_and(|rejected| rejected.missing));
    }

    #[test]
    fn half_a_file_is_no_set() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.cedar"), ALL.trim_end_matches(";\n")).unwrap();
        assert!(wrong(dir.path()).contains("a.cedar:1:"));
    }
}
