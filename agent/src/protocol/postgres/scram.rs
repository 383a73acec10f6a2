//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the client's side.
//!
//! RFC 5802, RFC 7677; channel binding `tls-server-end-point` of RFC 5929. PostgreSQL leaves the user's name empty, since
//! the startup message has it, and takes a password that SASLprep refuses as it is. Each step is a value that the next
//! is made of, so none can be skipped or repeated.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::login::Password;

/// The mechanism without channel binding.
pub const PLAIN: &[u8] = b"SCRAM-SHA-256";
/// The mechanism with it.
pub const PLUS: &[u8] = b"SCRAM-SHA-256-PLUS";

/// Most iterations that are computed for a server, some tenths of a second; PostgreSQL's default is 4096.
const MOST_ITERATIONS: u32 = 1_000_000;
/// Longest message of a server. PostgreSQL's are below 200 bytes.
const LONGEST: usize = 4096;

/// Random bytes a nonce is made of: as many as libpq takes.
pub type Random = [u8; 18];

/// What is told of the TLS connection this runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// There is none, or its certificate has no `tls-server-end-point`.
    Impossible,
    /// It could be bound, but the server does not offer that; a server that did offer it then sees that somebody took it
    /// out of the offer.
    NotOffered,
    /// It is bound to the server's certificate: its digest.
    EndPoint(Vec<u8>),
}

impl Binding {
    /// `gs2-header` (RFC 5802, §7), and what is bound.
    fn header(&self) -> (&'static str, &[u8]) {
        match self {
            Self::Impossible => ("n,,", &[]),
            Self::NotOffered => ("y,,", &[]),
            Self::EndPoint(digest) => ("p=tls-server-end-point,,", digest),
        }
    }

    /// The mechanism to name.
    #[must_use]
    pub fn mechanism(&self) -> &'static [u8] {
        match self {
            Self::Impossible | Self::NotOffered => PLAIN,
            Self::EndPoint(_) => PLUS,
        }
    }
}

/// Why an exchange ends. None of these quotes what the server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// Not the grammar of RFC 5802, or an extension nobody knows.
    #[error("a message that is not SCRAM's")]
    Malformed,
    /// Somebody else's nonce, or ours without anything added.
    #[error("a nonce that does not continue ours")]
    Nonce,
    /// Fewer make a guess cheap, more make us compute for long.
    #[error("{asked} iterations, and {least} to {MOST_ITERATIONS} are computed")]
    Iterations {
        /// What the server wants.
        asked: u32,
        /// What is wanted of it.
        least: u32,
    },
    /// It says so, for the wrong password for example.
    #[error("the server refuses the proof")]
    Refused,
    /// It does not know the password: it is not the server it claims to be.
    #[error("the server cannot prove that it knows the password")]
    Signature,
}

/// The first message is out.
pub struct First {
    nonce: String,
    /// `gs2-header` and what is bound, as `c=` repeats them.
    channel: String,
}

impl First {
    /// Begins; gives the client's first message too.
    #[must_use]
    pub fn new(binding: &Binding, random: &Random) -> (Self, Vec<u8>) {
        let nonce = Base64::encode_string(random);
        Self::with_nonce(binding, nonce, "")
    }

    fn with_nonce(binding: &Binding, nonce: String, user: &str) -> (Self, Vec<u8>) {
        let (header, bound) = binding.header();
        let message = format!("{header}n={user},r={nonce}").into_bytes();
        let channel = Base64::encode_string(&[header.as_bytes(), bound].concat());
        (Self { nonce, channel }, message)
    }

    /// Takes the server's first message. `least` iterations are wanted of it.
    ///
    /// # Errors
    /// See [`ScramError`].
    pub fn challenged(self, message: &[u8], password: Password, least: u32) -> Result<Work, ScramError> {
        self.challenged_as("", message, password, least)
    }

    fn challenged_as(self, user: &str, message: &[u8], password: Password, least: u32) -> Result<Work, ScramError> {
        let text = printable(message)?;
        let mut parts = text.split(',');
        // A mandatory extension (`m=`) would stand first, and is refused as everything unknown there.
        let mut part = |name| parts.next().and_then(|part| part.strip_prefix(name)).ok_or(ScramError::Malformed);
        let (nonce, salt, iterations) = (part("r=")?, part("s=")?, part("i=")?);
        if nonce.strip_prefix(self.nonce.as_str()).is_none_or(str::is_empty) {
            return Err(ScramError::Nonce);
        }
        let salt = Base64::decode_vec(salt).map_err(|_| ScramError::Malformed)?;
        let asked: u32 = iterations.parse().map_err(|_| ScramError::Malformed)?;
        let iterations = NonZeroU32::new(asked)
            .filter(|count| (least..=MOST_ITERATIONS).contains(&count.get()))
            .ok_or(ScramError::Iterations { asked, least })?;
        let last = format!("c={},r={nonce}", self.channel);
        let signed = format!("n={user},r={},{text},{last}", self.nonce);
        Ok(Work { password, salt, iterations, signed, last })
    }
}

/// What takes time: about a millisecond for 4096 iterations, so this is no work for a thread that serves others.
pub struct Work {
    password: Password,
    salt: Vec<u8>,
    iterations: NonZeroU32,
    /// `AuthMessage`.
    signed: String,
    /// `client-final-message-without-proof`.
    last: String,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Work {
    /// Computes the client's proof, and what the server's has to be.
    #[must_use]
    pub fn run(self) -> Final {
        let prepared = prepared(self.password.bytes());
        let mut salted = Zeroizing::new([0; 32]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, self.iterations, &self.salt, &prepared, salted.as_mut_slice());
        let client_key = Zeroizing::new(keyed(salted.as_slice(), b"Client Key"));
        let stored_key = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(client_key.as_slice())));
        let signature = keyed(stored_key.as_slice(), self.signed.as_bytes());
        let mut proof = [0; 32];
        for (byte, (key, signature)) in proof.iter_mut().zip(client_key.iter().zip(signature)) {
            *byte = key ^ signature;
        }
        let server_key = Zeroizing::new(keyed(salted.as_slice(), b"Server Key"));
        let message = format!("{},p={}", self.last, Base64::encode_string(&proof)).into_bytes();
        Final { message: Zeroizing::new(message), server_key, signed: self.signed }
    }
}

/// The client's last message, and what is expected of the server.
pub struct Final {
    message: Zeroizing<Vec<u8>>,
    server_key: Zeroizing<[u8; 32]>,
    signed: String,
}

impl std::fmt::Debug for Final {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Final")
    }
}

impl Final {
    /// What is sent. With it a password can be guessed at leisure, so it is not for any log.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Takes the server's last message.
    ///
    /// # Errors
    /// If the server refuses, or does not prove that it knows the password.
    pub fn verify(self, message: &[u8]) -> Result<(), ScramError> {
        let text = printable(message)?;
        let first = text.split(',').next().unwrap_or_default();
        if first.starts_with("e=") {
            return Err(ScramError::Refused);
        }
        let signature = first.strip_prefix("v=").ok_or(ScramError::Malformed)?;
        let signature = Base64::decode_vec(signature).map_err(|_| ScramError::Malformed)?;
        // Compared in constant time.
        mac(self.server_key.as_slice(), self.signed.as_bytes())
            .verify_slice(&signature)
            .map_err(|_| ScramError::Signature)
    }
}

/// All of SCRAM is printable ASCII.
fn printable(message: &[u8]) -> Result<&str, ScramError> {
    let text = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
    let good = message.len() <= LONGEST && message.iter().all(|byte| (0x20..0x7f).contains(byte));
    good.then_some(text).ok_or(ScramError::Malformed)
}

/// SASLprep, or the bytes as they are where it refuses them (`pg_saslprep` of the server does the same).
fn prepared(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let prepared = std::str::from_utf8(password).ok().and_then(|text| stringprep::saslprep(text).ok());
    let prepared = prepared.filter(|text| !text.is_empty());
    Zeroizing::new(prepared.map_or_else(|| password.to_vec(), |text| text.into_owned().into_bytes()))
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn mac(key: &[u8], data: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(data);
    mac
}

fn keyed(key: &[u8], data: &[u8]) -> [u8; 32] {
    mac(key, data).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const CHALLENGE: &[u8] = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn password() -> Password {
        Password::new(b"pencil".to_vec()).unwrap()
    }

    /// The example of RFC 7677, §3.
    fn example() -> Final {
        let (first, message) = First::with_nonce(&Binding::Impossible, NONCE.to_owned(), "user");
        assert_eq!(message, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        first.challenged_as("user", CHALLENGE, password(), 4096).unwrap().run()
    }

    #[test]
    fn the_example_of_rfc_7677() {
        let last = example();
        assert_eq!(
            last.message(),
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(last.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
    }

    #[test]
    fn a_server_that_proves_nothing_is_refused() {
        for (message, expected) in [
            (&b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="[..], ScramError::Malformed),
            (b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", ScramError::Signature),
            (b"v=", ScramError::Signature),
            (b"v=6rri", ScramError::Signature),
            (b"e=invalid-proof", ScramError::Refused),
            (b"", ScramError::Malformed),
            (b"p=6rri", ScramError::Malformed),
            (b"v=\xff", ScramError::Malformed),
        ] {
            assert_eq!(example().verify(message), Err(expected), "{message:?}");
        }
    }

    #[test]
    fn a_hostile_challenge_is_refused() {
        for (message, expected) in [
            ("r=other%x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", ScramError::Nonce),
            ("r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", ScramError::Nonce),
            ("m=x,r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4096", ScramError::Malformed),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=A,i=4096", ScramError::Malformed),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=x", ScramError::Malformed),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=99999999999", ScramError::Malformed),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1000001", ScramError::Iterations { asked: 1_000_001, least: 4096 }),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4095", ScramError::Iterations { asked: 4095, least: 4096 }),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=0", ScramError::Iterations { asked: 0, least: 4096 }),
            ("r=rOprNGfwEbeRWgbNEkqO\u{7},s=AAAA,i=4096", ScramError::Malformed),
            ("", ScramError::Malformed),
        ] {
            let (first, _) = First::with_nonce(&Binding::Impossible, NONCE.to_owned(), "");
            assert_eq!(first.challenged(message.as_bytes(), password(), 4096).err(), Some(expected), "{message}");
        }
        let long = format!("r={NONCE}x,s={},i=4096", "A".repeat(LONGEST));
        let (first, _) = First::with_nonce(&Binding::Impossible, NONCE.to_owned(), "");
        assert_eq!(first.challenged(long.as_bytes(), password(), 1).err(), Some(ScramError::Malformed));
    }

    #[test]
    fn the_channel_is_repeated_where_it_is_signed() {
        for (binding, start, repeated) in [
            (Binding::NotOffered, "y,,n=,r=", "c=eSws,"),
            (
                Binding::EndPoint(vec![1, 2, 3]),
                "p=tls-server-end-point,,n=,r=",
                "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsAQID,",
            ),
        ] {
            let (first, message) = First::new(&binding, &[7; 18]);
            assert!(message.starts_with(start.as_bytes()), "{binding:?}");
            let nonce = Base64::encode_string(&[7; 18]);
            let challenge = format!("r={nonce}x,s=AAAA,i=1");
            let last = first.challenged(challenge.as_bytes(), password(), 1).unwrap().run();
            assert!(last.message().starts_with(repeated.as_bytes()), "{binding:?}");
        }
    }

    #[test]
    fn passwords_are_prepared_where_they_can_be() {
        for (password, expected) in [
            // RFC 4013, §3.
            ("I\u{ad}X".as_bytes(), "IX".as_bytes()),
            ("\u{aa}".as_bytes(), b"a"),
            ("\u{2168}".as_bytes(), b"IX"),
            // Refused by it, and so taken as they are.
            (b"\x07", b"\x07"),
            ("\u{627}1".as_bytes(), "\u{627}1".as_bytes()),
            ("\u{ad}".as_bytes(), "\u{ad}".as_bytes()),
            (b"caf\xe9", b"caf\xe9"),
        ] {
            assert_eq!(prepared(password).as_slice(), expected, "{password:?}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let (first, _) = First::with_nonce(&Binding::Impossible, NONCE.to_owned(), "");
        let work = first.challenged(CHALLENGE, password(), 1).unwrap();
        assert_eq!(format!("{work:?}"), "Work { iterations: 4096, .. }");
        assert_eq!(format!("{:?}", work.run()), "Final");
    }
}
