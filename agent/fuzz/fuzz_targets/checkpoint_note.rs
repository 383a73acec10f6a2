//! Signed notes: any bytes are refused or are the note they lead back to, none is verified that the key did not sign,
//! and what it signs is read as it was meant.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sallyport::record::proof::{Checkpoint, Note, NoteError, Signer, VerifierKey, sign};

// Published as an example by Go's sumdb/note.
static KEY: LazyLock<Signer> = LazyLock::new(|| {
    let text = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    Signer::from_text(text).unwrap()
});

fuzz_target!(|bytes: &[u8]| {
    let known = [KEY.public().clone()];
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes);
        let claimed = note.claimed().any(|(name, id)| name == "PeterNeumann" && id == KEY.public().id());
        match note.verify(&known) {
            Ok(_) | Err(NoteError::Invalid { .. }) => assert!(claimed),
            Err(error) => assert!(!claimed, "{error}"),
        }
        let _ = Checkpoint::open(bytes, &known);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.to_string(), text);
    }
    if let Ok(note) = sign(text, &[&KEY]) {
        assert_eq!(Note::parse(note.as_bytes()).unwrap().verify(&known).unwrap().text(), text);
        match (Checkpoint::parse(text), Checkpoint::open(note.as_bytes(), &known)) {
            (Ok(checkpoint), Ok((opened, _))) => assert_eq!(checkpoint, opened),
            (Ok(checkpoint), Err(_)) => assert_ne!(checkpoint.origin, "PeterNeumann"),
            (Err(_), opened) => assert!(opened.is_err()),
        }
    }
});
