//! Signed notes (c2sp.org/signed-note): a text, an empty line, and signatures of which verifiers need to know one.
//!
//! ```text
//! This is an example message.
//!
//! — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
//! ```
//!
//! A note that was read is not yet one that was verified: [`Note`] keeps its text to itself, [`Verified`] has it.

use std::fmt;

use base64ct::{Base64, Encoding};

use super::signer::{KeyId, Signer, VerifierKey, is_barred};

/// Longest note that is read or made, bytes. A checkpoint has some 200, and a hundred signatures 15,000.
pub const MAX_NOTE: usize = 64 << 10;
/// Most signatures of a note; the specification asks for 16 at least.
pub const MAX_SIGNATURES: usize = 100;

/// What a line with a signature begins with: an em dash and a space.
const MARK: &str = "\u{2014} ";
/// Bytes of a key's id, before each signature.
const ID_BYTES: usize = 4;

/// Why bytes are not a note, or not one to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than a note may be.
    #[error("the note has {found} bytes, and {MAX_NOTE} are the most")]
    Long {
        /// Bytes of it.
        found: usize,
    },
    /// Not text.
    #[error("the note is not UTF-8 from byte {at} on")]
    NotUtf8 {
        /// Where, counted from 0.
        at: usize,
    },
    /// A control character that is not a newline.
    #[error("the note has the control character {found:#04x} in line {line}")]
    Control {
        /// Which.
        found: u8,
        /// Where, counted from 1.
        line: usize,
    },
    /// No empty line between a text and signatures.
    #[error("the note has no empty line between its text and its signatures")]
    NoSignatures,
    /// The end of the last line is missing.
    #[error("the note does not end with a newline: it may be cut short")]
    Cut,
    /// A text to be signed does not end with a newline.
    #[error("the text of a note has to end with a newline")]
    NoNewline,
    /// Not a signature where one belongs.
    #[error("line {line} of the note is not a signature: {problem}")]
    Line {
        /// Where, counted from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// More signatures than a note may have, or none.
    #[error("the note has {found} signatures; it has to have 1 to {MAX_SIGNATURES}")]
    Count {
        /// Signatures of it.
        found: usize,
    },
    /// Two known keys cannot be told apart.
    #[error("two different known keys are named {name}+{id}: one of them is a forgery")]
    Ambiguous {
        /// Name of both.
        name: String,
        /// Id of both.
        id: KeyId,
    },
    /// A known key's signature is not one.
    #[error("the signature of {name}+{id} is not valid: the note was changed after it was signed, or is forged")]
    Invalid {
        /// Name of the key.
        name: String,
        /// Id of the key.
        id: KeyId,
    },
    /// No known key signed it.
    #[error("no known key signed the note; those that claim to have are {claimed}")]
    Unknown {
        /// Names and ids in the note, escaped; the first few.
        claimed: String,
    },
}

/// A signature as it stands in a note.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    name: String,
    id: KeyId,
    bytes: Vec<u8>,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id.0.to_be_bytes(), self.bytes.as_slice()].concat();
        writeln!(f, "{MARK}{} {}", self.name, Base64::encode_string(&bytes))
    }
}

/// A note that is well formed; whether it is true is not known. Shown, it is what was read, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// A text, and who of the known keys signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    text: String,
    by: Vec<VerifierKey>,
}

impl Verified {
    /// The text, which ends with a newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The keys that signed it, one at least and each once.
    pub fn by(&self) -> &[VerifierKey] {
        &self.by
    }
}

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// The first thing that keeps the bytes from being one.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE {
            return Err(NoteError::Long { found: bytes.len() });
        }
        let note = std::str::from_utf8(bytes).map_err(|e| NoteError::NotUtf8 { at: e.valid_up_to() })?;
        check_characters(note)?;
        // The last empty line, so that a text may have its own.
        let at = note.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
        let (text, rest) = note.split_at_checked(at + 1).ok_or(NoteError::NoSignatures)?;
        let lines = rest.get(1..).unwrap_or_default().strip_suffix('\n').ok_or(NoteError::Cut)?;
        let found = lines.split('\n').count();
        if found > MAX_SIGNATURES {
            return Err(NoteError::Count { found });
        }
        let first = text.matches('\n').count() + 2;
        let parsed = (first..)
            .zip(lines.split('\n'))
            .map(|(line, text)| Signature::parse(text).map_err(|problem| NoteError::Line { line, problem }));
        Ok(Self { text: text.to_owned(), signatures: parsed.collect::<Result<_, _>>()? })
    }

    /// Names and ids of the keys that are said to have signed it. Nothing was verified.
    pub fn claimed(&self) -> impl Iterator<Item = (&str, KeyId)> {
        self.signatures.iter().map(|signature| (signature.name.as_str(), signature.id))
    }

    /// The text, if one of the known keys signed it and all signatures of known keys are valid. Others are ignored.
    ///
    /// # Errors
    /// [`NoteError::Invalid`], [`NoteError::Unknown`] or [`NoteError::Ambiguous`].
    pub fn verify(self, known: &[VerifierKey]) -> Result<Verified, NoteError> {
        let mut by: Vec<VerifierKey> = Vec::new();
        for signature in &self.signatures {
            let Signature { name, id, bytes } = signature;
            let mut keys = known.iter().filter(|key| key.id() == *id && key.name().as_str() == name);
            let Some(key) = keys.next() else { continue };
            let (name, id) = (name.clone(), *id);
            if keys.any(|other| other != key) {
                return Err(NoteError::Ambiguous { name, id });
            }
            if !key.has_signed(&self.text, bytes) {
                return Err(NoteError::Invalid { name, id });
            }
            if !by.contains(key) {
                by.push(key.clone());
            }
        }
        if by.is_empty() {
            return Err(NoteError::Unknown { claimed: self.first_claimed() });
        }
        Ok(Verified { text: self.text, by })
    }

    fn first_claimed(&self) -> String {
        /// Enough to know them again by.
        const FEW: usize = 5;
        let mut shown: Vec<_> = self.claimed().take(FEW).map(|(name, id)| format!("{}+{id}", escaped(name))).collect();
        if self.signatures.len() > FEW {
            shown.push("others".to_owned());
        }
        shown.join(", ")
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| signature.fmt(f))
    }
}

impl Signature {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let line = line.strip_prefix(MARK).ok_or("it does not begin with an em dash and a space")?;
        let (name, signature) = line.split_once(' ').ok_or("no space ends the key's name")?;
        if name.is_empty() || name.contains(is_barred) {
            return Err("the key's name is empty or contains a space or a plus");
        }
        let bytes = Base64::decode_vec(signature).map_err(|_| "what follows the key's name is not base64")?;
        match bytes.split_first_chunk::<ID_BYTES>() {
            Some((id, bytes)) if !bytes.is_empty() => {
                Ok(Self { name: name.to_owned(), id: KeyId(u32::from_be_bytes(*id)), bytes: bytes.to_vec() })
            }
            _ => Err("it is too short for a key's id and a signature"),
        }
    }
}

/// The note of a text with a signature by each of these keys.
///
/// # Errors
/// When the text does not end with a newline or has other control characters, when there are no keys or too many, and
/// when the note would be too long.
pub fn sign(text: &str, signers: &[&Signer]) -> Result<String, NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::NoNewline);
    }
    check_characters(text)?;
    if signers.is_empty() || signers.len() > MAX_SIGNATURES {
        return Err(NoteError::Count { found: signers.len() });
    }
    let by = |signer: &&Signer| {
        let key = signer.public();
        Signature { name: key.name().to_string(), id: key.id(), bytes: signer.sign(text).to_vec() }
    };
    let note = Note { text: text.to_owned(), signatures: signers.iter().map(by).collect() }.to_string();
    if note.len() > MAX_NOTE {
        return Err(NoteError::Long { found: note.len() });
    }
    Ok(note)
}

/// A text of strangers, for an error: of bounded length and on one line.
pub(super) fn escaped(text: &str) -> String {
    /// Characters of it.
    const SHOWN: usize = 200;
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(SHOWN).flat_map(char::escape_debug).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Newlines are the only control characters that a note may have.
fn check_characters(note: &str) -> Result<(), NoteError> {
    for (line, text) in (1..).zip(note.split('\n')) {
        if let Some(found) = text.bytes().find(|byte| *byte < b' ') {
            return Err(NoteError::Control { found, line });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::known::{ENOCH_SIGNATURE, ENOCH_VKEY, EXAMPLE_NOTE, EXAMPLE_VKEY};
    use super::super::known::{PETER_SIGNATURE, PETER_SKEY, PETER_TEXT, PETER_VKEY};
    use super::super::signer::KeyName;
    use super::*;

    fn keys(vkeys: &[&str]) -> Vec<VerifierKey> {
        vkeys.iter().map(|vkey| vkey.parse().unwrap()).collect()
    }

    fn open(note: &str, vkeys: &[&str]) -> Result<Verified, NoteError> {
        Note::parse(note.as_bytes())?.verify(&keys(vkeys))
    }

    fn peter(signatures: &str) -> String {
        format!("{PETER_TEXT}\n{signatures}")
    }

    #[test]
    fn known_notes_are_verified_and_made() {
        let verified = open(EXAMPLE_NOTE, &[PETER_VKEY, EXAMPLE_VKEY]).unwrap();
        assert_eq!(verified.text(), "This is an example message.\n");
        assert_eq!(verified.by(), keys(&[EXAMPLE_VKEY]));
        let signer = Signer::from_text(PETER_SKEY).unwrap();
        assert_eq!(sign(PETER_TEXT, &[&signer]).unwrap(), peter(PETER_SIGNATURE));
    }

    #[test]
    fn one_known_signer_is_enough_and_others_are_ignored() {
        let both = peter(&[PETER_SIGNATURE, ENOCH_SIGNATURE].concat());
        assert_eq!(open(&both, &[PETER_VKEY]).unwrap().by(), keys(&[PETER_VKEY]));
        assert_eq!(open(&both, &[ENOCH_VKEY, PETER_VKEY]).unwrap().by(), keys(&[PETER_VKEY, ENOCH_VKEY]));
        let claimed = "PeterNeumann+c74f20a3, EnochRoot+af0cfe78".to_owned();
        for known in [&[][..], &[EXAMPLE_VKEY]] {
            assert_eq!(open(&both, known), Err(NoteError::Unknown { claimed: claimed.clone() }));
        }
        let parsed = Note::parse(both.as_bytes()).unwrap();
        assert_eq!(parsed.claimed().nth(1), Some(("EnochRoot", KeyId(0xaf0c_fe78))));
        // What an unknown key is said to have signed is not looked at; what is there twice counts once.
        let odd = ["\u{2014} someone AAAAAAA=\n", PETER_SIGNATURE, PETER_SIGNATURE].concat();
        assert_eq!(open(&peter(&odd), &[PETER_VKEY, PETER_VKEY]).unwrap().by(), keys(&[PETER_VKEY]));
    }

    #[test]
    fn a_known_signer_with_a_wrong_signature_spoils_the_note() {
        let invalid = NoteError::Invalid { name: "PeterNeumann".to_owned(), id: KeyId(0xc74f_20a3) };
        let longer = PETER_SIGNATURE.replace("yyBw", "yyBwABCD");
        let other = PETER_SIGNATURE.replace("yyBw", "yyBx");
        for wrong in [longer, other] {
            let both = peter(&[wrong.as_str(), ENOCH_SIGNATURE].concat());
            assert_eq!(open(&both, &[PETER_VKEY, ENOCH_VKEY]), Err(invalid.clone()));
            let twice = peter(&[PETER_SIGNATURE, &wrong].concat());
            assert_eq!(open(&twice, &[PETER_VKEY]), Err(invalid.clone()));
        }
        let changed = peter(PETER_SIGNATURE).replace("answer", "Answer");
        assert_eq!(open(&changed, &[PETER_VKEY]), Err(invalid));
        // Another's name over the same signature is another's signature.
        let misnamed = peter(&PETER_SIGNATURE.replace("PeterNeumann", "CarmenSandiego"));
        assert!(matches!(open(&misnamed, &[PETER_VKEY]), Err(NoteError::Unknown { .. })));
    }

    #[test]
    fn what_is_no_note_is_said_with_its_place() {
        let parse = |note: &[u8]| Note::parse(note).unwrap_err();
        let good = peter(PETER_SIGNATURE);
        let line = |line, problem| NoteError::Line { line, problem };
        assert_eq!(parse(b""), NoteError::NoSignatures);
        assert_eq!(parse(PETER_TEXT.as_bytes()), NoteError::NoSignatures);
        assert_eq!(parse(peter("").as_bytes()), NoteError::Cut);
        assert_eq!(parse(good.trim_end().as_bytes()), NoteError::Cut);
        assert_eq!(
            parse(format!("{PETER_TEXT}\x01\n{PETER_SIGNATURE}").as_bytes()),
            NoteError::Control { found: 1, line: 3 }
        );
        assert_eq!(parse(good.replace('\n', "\r\n").as_bytes()), NoteError::Control { found: b'\r', line: 1 });
        assert_eq!(parse(&[b"\xff", good.as_bytes()].concat()), NoteError::NotUtf8 { at: 0 });
        assert_eq!(parse(format!("{good}more\n").as_bytes()), line(5, "it does not begin with an em dash and a space"));
        let with = |signature: &str| parse(peter(&format!("{PETER_SIGNATURE}{MARK}{signature}\n")).as_bytes());
        assert_eq!(with("name"), line(5, "no space ends the key's name"));
        for name in ["", "a+b", "a\u{2003}b"] {
            assert_eq!(
                with(&format!("{name} AAAAAAA=")),
                line(5, "the key's name is empty or contains a space or a plus")
            );
        }
        for signature in ["Name AAAAAAA=", "AAAAAAA", "AAAAAAB=", "AAAA AAA=", "!"] {
            assert_eq!(with(&format!("name {signature}")), line(5, "what follows the key's name is not base64"));
        }
        for short in ["", "AAAAAA=="] {
            assert_eq!(with(&format!("name {short}")), line(5, "it is too short for a key's id and a signature"));
        }
    }

    #[test]
    fn a_note_is_bounded() {
        let many = |count| Note::parse(peter(&PETER_SIGNATURE.repeat(count)).as_bytes());
        assert_eq!(many(MAX_SIGNATURES).unwrap().verify(&keys(&[PETER_VKEY])).unwrap().by().len(), 1);
        assert_eq!(many(MAX_SIGNATURES + 1), Err(NoteError::Count { found: MAX_SIGNATURES + 1 }));
        let signer = Signer::from_text(PETER_SKEY).unwrap();
        let (most, one) = (MAX_NOTE - PETER_SIGNATURE.len() - 2, signer.public().clone());
        let longest = sign(&format!("{}\n", "x".repeat(most)), &[&signer]).unwrap();
        assert_eq!(longest.len(), MAX_NOTE);
        assert!(Note::parse(longest.as_bytes()).unwrap().verify(&[one]).is_ok());
        assert_eq!(
            Note::parse(&[&b"x"[..], longest.as_bytes()].concat()),
            Err(NoteError::Long { found: MAX_NOTE + 1 })
        );
        assert!(matches!(sign(&format!("{}\n", "x".repeat(most + 1)), &[&signer]), Err(NoteError::Long { .. })));
        assert_eq!(sign("text", &[&signer]), Err(NoteError::NoNewline));
        assert_eq!(sign("a\tb\n", &[&signer]), Err(NoteError::Control { found: b'\t', line: 1 }));
        assert_eq!(sign("text\n", &[]), Err(NoteError::Count { found: 0 }));
        let nobody = format!("text\n\n{MARK}{} AAAAAAA=\n", "\u{202e}".repeat(5000));
        let NoteError::Unknown { claimed } = open(&nobody, &[]).unwrap_err() else { panic!("it was known") };
        assert!(claimed.is_ascii() || claimed.len() < 2000);
    }

    proptest! {
        #[test]
        fn any_text_can_be_signed_and_is_verified_as_it_is(lines in proptest::collection::vec("[^\\x00-\\x1f]{0,20}", 1..8)) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let name = KeyName::new("host").unwrap();
            let (one, other) = (Signer::generate(&name).unwrap(), Signer::generate(&name).unwrap());
            let note = sign(&text, &[&one, &other]).unwrap();
            let parsed = Note::parse(note.as_bytes()).unwrap();
            prop_assert_eq!(parsed.to_string(), note);
            let verified = parsed.verify(&[other.public().clone()]).unwrap();
            prop_assert_eq!(verified.text(), text);
            prop_assert_eq!(verified.by(), &[other.public().clone()]);
        }

        #[test]
        fn no_changed_byte_goes_unnoticed(at in 0..EXAMPLE_NOTE.len(), by in 1..=u8::MAX) {
            let mut bytes = EXAMPLE_NOTE.as_bytes().to_vec();
            bytes[at] ^= by;
            let opened = Note::parse(&bytes).and_then(|note| note.verify(&keys(&[EXAMPLE_VKEY])));
            prop_assert!(opened.is_err());
        }
    }
}
