//! One change: done, looked at, undone.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::homes::{below, open, replace, text};
use super::manifest::{Change, digest, whole};
use super::runner::{Runner, shown};
use super::stores::{COPY, Draft};

/// Where changes are made, and by whom.
pub(super) struct Site<'a> {
    /// Below which directory.
    pub(super) root: &'a Path,
    /// Where copies are kept.
    pub(super) state: &'a Path,
    /// Runs programs.
    pub(super) runner: &'a dyn Runner,
}

/// What became of a change, now or when it was undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// As it was to be.
    Done,
    /// There was nothing to undo.
    Gone,
    /// Somebody changed the file since: only what was added was taken out.
    Partly(String),
    /// It is as it was found, for this reason.
    Left(String),
}

/// How a change looks now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// As it was made.
    InPlace,
    /// Still there, in a file that somebody changed since.
    Around,
    /// Not there any more.
    Missing,
    /// There, but not as it was made.
    Other,
}

impl Change {
    /// What is changed.
    pub(super) fn place(&self) -> String {
        match self {
            Self::File { path, .. } | Self::Block { path, .. } | Self::KeyStore { path, .. } => {
                path.display().to_string()
            }
            Self::Command { words } => shown(words),
        }
    }
}

impl Site<'_> {
    /// What a change has to be written down as before it is made.
    pub(super) fn prepare(&self, draft: &Draft) -> io::Result<Change> {
        Ok(match draft {
            Draft::File { path, text } => {
                let directories = path.ancestors().skip(1);
                let missing = directories.take_while(|directory| !below(self.root, directory).exists());
                let mut made: Vec<PathBuf> = missing.map(Path::to_owned).collect();
                made.reverse();
                Change::File { path: path.clone(), text: text.clone(), made }
            }
            Draft::Block { path, uid, text: block } => {
                let found = text(&mut open(self.root, path, *uid)?)?;
                if place_of(&found, block.as_bytes()).is_some() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                let between = if found.is_empty() || found.ends_with(b"\n") { "" } else { "\n" };
                Change::Block {
                    path: path.clone(),
                    uid: *uid,
                    text: format!("{between}{block}"),
                    length: found.len() as u64,
                    before: digest(&found),
                }
            }
            Draft::KeyStore { path, keytool, alias } => {
                let found = fs::read(below(self.root, path))?;
                let kept = self.state.join(format!("trust-{}.keystore", digest(path.as_os_str().as_encoded_bytes())));
                whole(&kept, &found, 0o600)?;
                let (path, keytool, alias) = (path.clone(), keytool.clone(), alias.clone());
                Change::KeyStore { path, keytool, alias, kept, after: String::new() }
            }
            Draft::Command { words } => Change::Command { words: words.clone() },
        })
    }

    /// Makes a change that was written down.
    pub(super) fn make(&self, change: &mut Change) -> io::Result<Deed> {
        match change {
            Change::File { path, text, made } => {
                for directory in made {
                    DirBuilder::new().mode(0o755).create(below(self.root, directory))?;
                }
                let path = below(self.root, path);
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path)?;
                file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                Ok(Deed::Done)
            }
            Change::Block { path, uid, text, length, before } => {
                let mut file = open(self.root, path, *uid)?;
                if digest(&super::homes::text(&mut file)?) != *before {
                    return Ok(Deed::Left("it changes right now".to_owned()));
                }
                replace(&mut file, *length, text.as_bytes())?;
                Ok(Deed::Done)
            }
            Change::KeyStore { path, keytool, alias, after, kept } => {
                let place = below(self.root, path);
                let certificate = below(self.root, Path::new(COPY));
                let words = self.keytool(keytool, "-importcert", alias, &place);
                let words =
                    [words, vec!["-noprompt".into(), "-file".into(), certificate.display().to_string()]].concat();
                let ran = self.runner.run(&words).map_err(io::Error::other);
                if !matches!(ran, Ok(true)) {
                    let _ = fs::remove_file(kept);
                    return ran.map(|_| Deed::Left(format!("run it by hand: {}", shown(&words))));
                }
                *after = digest(&fs::read(place)?);
                Ok(Deed::Done)
            }
            Change::Command { words } => self.command(words),
        }
    }

    /// How it looks now.
    pub(super) fn look(&self, change: &Change) -> Look {
        match change {
            Change::File { path, text, .. } => match fs::read(below(self.root, path)) {
                Ok(found) if found == text.as_bytes() => Look::InPlace,
                Ok(_) => Look::Other,
                Err(_) => Look::Missing,
            },
            Change::Block { path, uid, text, length, .. } => {
                let found = open(self.root, path, *uid).and_then(|mut file| super::homes::text(&mut file));
                let Ok(found) = found else { return Look::Missing };
                let whole = *length as usize + text.len();
                match place_of(&found, text.as_bytes()) {
                    Some(at) if at as u64 == *length && found.len() == whole => Look::InPlace,
                    Some(_) => Look::Around,
                    None => Look::Missing,
                }
            }
            Change::KeyStore { path, after, kept, .. } => match fs::read(below(self.root, path)) {
                Ok(found) if digest(&found) == *after => Look::InPlace,
                // Nothing was done, or it was undone.
                Ok(found) if fs::read(kept).is_ok_and(|kept| kept == found) => Look::Missing,
                Ok(_) => Look::Around,
                Err(_) => Look::Missing,
            },
            Change::Command { .. } => Look::InPlace,
        }
    }

    /// Undoes a change. Commands are run again: they take in what is there now.
    pub(super) fn undo(&self, change: &Change) -> io::Result<Deed> {
        match change {
            Change::File { path, made, .. } => {
                let deed = match self.look(change) {
                    Look::InPlace => {
                        fs::remove_file(below(self.root, path))?;
                        Deed::Done
                    }
                    Look::Missing => Deed::Gone,
                    Look::Around | Look::Other => Deed::Left("somebody changed it since".to_owned()),
                };
                for directory in made.iter().rev() {
                    // One that somebody put something in stays.
                    let _ = fs::remove_dir(below(self.root, directory));
                }
                Ok(deed)
            }
            Change::Block { path, uid, text, length, before } => self.take_out(path, *uid, text, (*length, before)),
            Change::KeyStore { path, keytool, alias, kept, after } => {
                let place = below(self.root, path);
                let deed = match self.look(change) {
                    Look::Missing => Deed::Gone,
                    Look::InPlace if !after.is_empty() => {
                        // In place, so that owner and mode stay.
                        fs::write(&place, fs::read(kept)?)?;
                        Deed::Done
                    }
                    Look::InPlace | Look::Around | Look::Other => {
                        let words = self.keytool(keytool, "-delete", alias, &place);
                        match self.runner.run(&words) {
                            Ok(true) => {
                                Deed::Partly("somebody changed it since: only our entry was taken out".to_owned())
                            }
                            Ok(false) => Deed::Left(format!("run it by hand: {}", shown(&words))),
                            Err(why) => Deed::Left(why),
                        }
                    }
                };
                if !matches!(deed, Deed::Left(_)) {
                    let _ = fs::remove_file(kept);
                }
                Ok(deed)
            }
            Change::Command { words } => self.command(words),
        }
    }

    fn take_out(&self, path: &Path, uid: u32, block: &str, (length, before): (u64, &str)) -> io::Result<Deed> {
        let mut file = match open(self.root, path, uid) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Deed::Gone),
            file => file?,
        };
        let found = text(&mut file)?;
        let Some(at) = place_of(&found, block.as_bytes()) else { return Ok(Deed::Gone) };
        let (head, rest) = found.split_at_checked(at).unwrap_or((&found, &[]));
        let tail = rest.get(block.len()..).unwrap_or_default();
        replace(&mut file, at as u64, tail)?;
        if at as u64 == length && tail.is_empty() && digest(head) == before {
            return Ok(Deed::Done);
        }
        Ok(Deed::Partly("somebody changed it since: only our certificate was taken out".to_owned()))
    }

    fn command(&self, words: &[String]) -> io::Result<Deed> {
        match self.runner.run(words) {
            Ok(true) => Ok(Deed::Done),
            Ok(false) => Ok(Deed::Left(format!("run it by hand, inside {}", self.root.display()))),
            Err(why) => Err(io::Error::other(why)),
        }
    }

    /// Java's key stores have this password unless somebody changes it: it protects nothing, certificates are public.
    fn keytool(&self, program: &Path, what: &str, alias: &str, store: &Path) -> Vec<String> {
        let program = below(self.root, program).display().to_string();
        let store = store.display().to_string();
        [&program, what, "-alias", alias, "-keystore", &store, "-storepass", "changeit"].map(str::to_owned).to_vec()
    }
}

/// Where a piece stands; the last one, as it was appended.
fn place_of(text: &[u8], piece: &[u8]) -> Option<usize> {
    memchr::memmem::rfind(text, piece)
}
