//! What a flow speaks, from the first bytes its client sends.

use super::postgres::startup::{self, Code};

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// PostgreSQL, protocol 3: a startup message, or a request for TLS, GSSAPI or cancellation before one.
    Postgres,
    /// A TLS ClientHello, so also PostgreSQL's direct TLS (ALPN `postgresql`).
    Tls,
    /// Neither.
    Unknown,
    /// What there is may become either; at most eight bytes are looked at.
    NeedMore,
}

/// TLS record of type handshake, with a ClientHello in it (RFC 8446, 4 and 5.1).
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// Says what a client speaks by the first bytes it sent.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Sniffed {
    match bytes.first() {
        None => Sniffed::NeedMore,
        Some(&HANDSHAKE) => tls(bytes),
        Some(0) => postgres(bytes),
        Some(_) => Sniffed::Unknown,
    }
}

fn tls(bytes: &[u8]) -> Sniffed {
    // Record: type, version (major 3), length; then the handshake's own type.
    let fits = |at: usize, what: u8| bytes.get(at).is_none_or(|byte| *byte == what);
    if !fits(1, 3) || !fits(5, CLIENT_HELLO) {
        Sniffed::Unknown
    } else if bytes.len() < 6 {
        Sniffed::NeedMore
    } else {
        Sniffed::Tls
    }
}

fn postgres(bytes: &[u8]) -> Sniffed {
    // A packet is shorter than 64 KiB, so its length begins with two zero bytes.
    if bytes.get(1).is_some_and(|byte| *byte != 0) {
        return Sniffed::Unknown;
    }
    let Some((length, rest)) = bytes.split_first_chunk() else { return Sniffed::NeedMore };
    let Some(code) = rest.first_chunk() else { return Sniffed::NeedMore };
    let length = u32::from_be_bytes(*length);
    let fits = match Code::of(u32::from_be_bytes(*code)) {
        Code::Start { major: 3, .. } => (9..=startup::MAX_PACKET).contains(&length),
        Code::Tls | Code::Gss => length == 8,
        Code::Cancel => (16..=12 + startup::MAX_KEY).contains(&length),
        Code::Start { .. } | Code::Unknown => false,
    };
    if fits { Sniffed::Postgres } else { Sniffed::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocol() {
        let start = [0, 0, 0, 30, 0, 3, 0, 0];
        let cases: [(&[u8], Sniffed); 14] = [
            (&start, Sniffed::Postgres),
            (&[0, 0, 0, 30, 0, 3, 0, 2, b'u'], Sniffed::Postgres),
            (&[0, 0, 0, 30, 0, 2, 0, 0], Sniffed::Unknown),
            (&[0, 0, 0, 8, 4, 210, 22, 47], Sniffed::Postgres),
            (&[0, 0, 0, 9, 4, 210, 22, 47], Sniffed::Unknown),
            (&[0, 0, 0, 8, 4, 210, 22, 48], Sniffed::Postgres),
            (&[0, 0, 0, 16, 4, 210, 22, 46], Sniffed::Postgres),
            (&[0, 0, 1, 12, 4, 210, 22, 46], Sniffed::Postgres),
            (&[0, 0, 1, 13, 4, 210, 22, 46], Sniffed::Unknown),
            (&[0, 0, 0, 15, 4, 210, 22, 46], Sniffed::Unknown),
            (&[22, 3, 1, 2, 0, 1, 0, 1], Sniffed::Tls),
            (&[22, 3, 1, 2, 0, 2], Sniffed::Unknown),
            (b"GET / HTTP/1.1", Sniffed::Unknown),
            (b"SSH-2.0-x", Sniffed::Unknown),
        ];
        for (bytes, expected) in cases {
            assert_eq!(sniff(bytes), expected, "{bytes:?}");
            // Less of it says the same or asks for more.
            for len in 0..bytes.len() {
                let early = sniff(&bytes[..len]);
                assert!(early == Sniffed::NeedMore || early == expected, "{bytes:?} at {len}");
            }
        }
        assert_eq!(sniff(&[]), Sniffed::NeedMore);
    }
}
