//! Checkpoints (c2sp.org/tlog-checkpoint): the head of a log as the text of a note that the log signs.
//!
//! ```text
//! example.com/behind-the-sofa
//! 20852163
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
//! ```

use std::fmt;

use super::hash::Hash;
use super::note::{Note, NoteError, escaped, sign};
use super::signer::{Signer, VerifierKey};
use super::tree::Head;

/// What a log says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: its first line, and the name of its key.
    pub origin: String,
    /// How large it is, and its root.
    pub head: Head,
    /// Further lines, which mean nothing to others. The specification advises against any.
    pub extensions: Vec<String>,
}

/// Why a note is not a checkpoint to be trusted, or why none could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note itself is at fault.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A line is not what belongs there.
    #[error("line {line} of the checkpoint {problem}")]
    Line {
        /// Where, counted from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// It cannot be written: a line holds a newline.
    #[error("the origin or an extension line of the checkpoint contains a newline")]
    Lines,
    /// Known keys signed it, and none of them is the log's.
    #[error("the checkpoint is of the log {origin}, and no known key of that name signed it, but {by} did")]
    NotByTheLog {
        /// The log it speaks of, escaped.
        origin: String,
        /// Who signed it.
        by: String,
    },
}

impl Checkpoint {
    /// Without further lines.
    pub fn new(origin: &str, head: Head) -> Self {
        Self { origin: origin.to_owned(), head, extensions: Vec::new() }
    }

    /// Reads the text of a note, whose signatures were verified.
    ///
    /// # Errors
    /// The first line that is not what belongs there.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let wrong = |line, problem| CheckpointError::Line { line, problem };
        let last = text.matches('\n').count() + 1;
        let body = text.strip_suffix('\n').ok_or_else(|| wrong(last, "does not end with a newline"))?;
        let mut lines = body.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or_else(|| wrong(1, "names no log"))?;
        let size = lines.next().and_then(size);
        let size = size.ok_or_else(|| wrong(2, "is not a number of leaves, decimal and without leading zeros"))?;
        let root = lines.next().and_then(|line| Hash::from_base64(line).ok());
        let root = root.ok_or_else(|| wrong(3, "is not the base64 of a root hash"))?;
        let extensions: Vec<String> = lines.map(ToOwned::to_owned).collect();
        if let Some(at) = extensions.iter().position(String::is_empty) {
            return Err(wrong(at + 4, "is empty"));
        }
        Ok(Self { origin: origin.to_owned(), head: Head { size, root }, extensions })
    }

    /// Reads and verifies a signed checkpoint. A key whose name is the origin has to have signed it: other known keys
    /// speak of other logs, or witness.
    ///
    /// # Errors
    /// Why it is not to be trusted.
    pub fn open(note: &[u8], known: &[VerifierKey]) -> Result<(Self, Vec<VerifierKey>), CheckpointError> {
        let note = Note::parse(note)?.verify(known)?;
        let checkpoint = Self::parse(note.text())?;
        checkpoint.is_by_the_log(note.by().iter())?;
        Ok((checkpoint, note.by().to_vec()))
    }

    /// Makes a signed checkpoint.
    ///
    /// # Errors
    /// When none of the keys is named as the log, or a line of the checkpoint cannot be written.
    pub fn sign(&self, signers: &[&Signer]) -> Result<String, CheckpointError> {
        let text = self.to_string();
        if Self::parse(&text)? != *self {
            return Err(CheckpointError::Lines);
        }
        self.is_by_the_log(signers.iter().map(|signer| signer.public()))?;
        Ok(sign(&text, signers)?)
    }

    fn is_by_the_log<'k>(
        &self,
        mut keys: impl Iterator<Item = &'k VerifierKey> + Clone,
    ) -> Result<(), CheckpointError> {
        let by = keys.clone();
        if keys.any(|key| key.name().as_str() == self.origin) {
            return Ok(());
        }
        let by = by.map(|key| format!("{}+{}", key.name(), key.id())).collect::<Vec<_>>().join(", ");
        Err(CheckpointError::NotByTheLog { origin: escaped(&self.origin), by })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Head { size, root } = self.head;
        write!(f, "{}\n{size}\n{}\n", self.origin, root.to_base64())?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// ASCII digits without leading zeros.
fn size(line: &str) -> Option<u64> {
    let size: u64 = line.parse().ok()?;
    // A sign and leading zeros would be read as well.
    (size.to_string() == line).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::super::known::{PETER_SKEY, PETER_VKEY, SOFA};
    use super::super::signer::KeyName;
    use super::*;

    const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

    fn peter(extensions: &[&str]) -> Checkpoint {
        let head = Head { size: 7, root: Hash::from_base64(ROOT).unwrap() };
        let extensions = extensions.iter().map(|line| (*line).to_owned()).collect();
        Checkpoint { extensions, ..Checkpoint::new("PeterNeumann", head) }
    }

    #[test]
    fn a_known_checkpoint_is_read() {
        let (text, _) = SOFA.split_once("\n\n").unwrap();
        let checkpoint = Checkpoint::parse(&format!("{text}\n")).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.head.size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(checkpoint.head.root.to_base64(), ROOT);
        assert_eq!(checkpoint.to_string(), format!("{text}\n"));
        assert_eq!(Note::parse(SOFA.as_bytes()).unwrap().to_string(), SOFA);
        // Its key was not published.
        let opened = Checkpoint::open(SOFA.as_bytes(), &[PETER_VKEY.parse().unwrap()]);
        assert!(matches!(opened, Err(CheckpointError::Note(NoteError::Unknown { .. }))));
    }

    #[test]
    fn what_was_signed_is_opened() {
        let signer = Signer::from_text(PETER_SKEY).unwrap();
        for checkpoint in [peter(&[]), peter(&["one", "and two"])] {
            let note = checkpoint.sign(&[&signer]).unwrap();
            let (opened, by) = Checkpoint::open(note.as_bytes(), &[signer.public().clone()]).unwrap();
            assert_eq!((opened, by), (checkpoint, vec![signer.public().clone()]));
        }
    }

    #[test]
    fn each_line_is_what_it_has_to_be() {
        let wrong = |text: &str| match Checkpoint::parse(text) {
            Err(CheckpointError::Line { line, .. }) => line,
            other => panic!("{text:?}: {other:?}"),
        };
        assert!(Checkpoint::parse(&format!("log\n0\n{ROOT}\n")).is_ok());
        assert!(Checkpoint::parse(&format!("log\n18446744073709551615\n{ROOT}\nmore\n")).is_ok());
        for (text, line) in [("", 1), ("\n", 1), ("log\n", 2), ("log\n1\n", 3), ("\n1\nroot\n", 1)] {
            assert_eq!(wrong(text), line, "{text:?}");
        }
        for size in ["", "01", "+1", "-1", "1 ", "0x1", "١", "18446744073709551616"] {
            assert_eq!(wrong(&format!("log\n{size}\n{ROOT}\n")), 2, "{size}");
        }
        for root in ["", "AAAA", &ROOT[1..], &format!("{ROOT} "), &ROOT.replace("2I=", "2J=")] {
            assert_eq!(wrong(&format!("log\n1\n{root}\n")), 3, "{root}");
        }
        assert_eq!(wrong(&format!("log\n1\n{ROOT}")), 3);
        assert_eq!(wrong(&format!("log\n1\n{ROOT}\nmore\n\nmore\n")), 5);
    }

    #[test]
    fn only_the_log_speaks_for_itself() {
        let peter_key = Signer::from_text(PETER_SKEY).unwrap();
        let other = Checkpoint { origin: "EnochRoot".to_owned(), ..peter(&[]) };
        let refused =
            CheckpointError::NotByTheLog { origin: "EnochRoot".to_owned(), by: "PeterNeumann+c74f20a3".to_owned() };
        assert_eq!(other.sign(&[&peter_key]), Err(refused.clone()));
        let note = sign(&other.to_string(), &[&peter_key]).unwrap();
        assert_eq!(Checkpoint::open(note.as_bytes(), &[peter_key.public().clone()]), Err(refused));
        let enoch = Signer::generate(&KeyName::new("EnochRoot").unwrap()).unwrap();
        let note = other.sign(&[&peter_key, &enoch]).unwrap();
        let known = [peter_key.public().clone(), enoch.public().clone()];
        assert_eq!(Checkpoint::open(note.as_bytes(), &known).unwrap(), (other, known.to_vec()));
    }

    #[test]
    fn what_would_be_read_otherwise_is_not_signed() {
        let signer = Signer::from_text(PETER_SKEY).unwrap();
        for checkpoint in [peter(&[""]), peter(&["a\nb"]), peter(&["a\n"]), peter(&["\u{1}"])] {
            assert!(checkpoint.sign(&[&signer]).is_err(), "{checkpoint:?}");
        }
        let two = Checkpoint { origin: format!("PeterNeumann\n9\n{ROOT}"), ..peter(&[]) };
        assert_eq!(two.sign(&[&signer]), Err(CheckpointError::Lines));
    }
}
