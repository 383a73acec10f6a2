//! SPIFFE IDs (the SPIFFE-ID specification, §2): `spiffe://TRUST-DOMAIN/PATH`.
//!
//! A path segment may hold letters, digits, `.`, `-` and `_` only, and percent-encoding is not allowed. Unit names and
//! file names know more characters than that, so [`SpiffeId::new`] writes any other byte as `_` and two lower-case hex
//! digits. A `_` is written that way too where two hex digits follow it, so that no two names meet in one id.

use std::fmt;
use std::fmt::Write as _;

use serde::{Serialize, Serializer};

/// Longest id an implementation has to accept, bytes (§2.3).
const MAX_ID: usize = 2048;
/// Longest trust domain, bytes (§2.1).
const MAX_TRUST_DOMAIN: usize = 255;
const SCHEME: &str = "spiffe://";

/// Why a text is not a SPIFFE ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeError {
    /// Another scheme, or none.
    #[error("a SPIFFE ID begins with `spiffe://`")]
    Scheme,
    /// The trust domain is empty, too long, or has a character that is not allowed.
    #[error("a trust domain is 1 to 255 characters from a-z, 0-9, `.`, `-` and `_`")]
    TrustDomain,
    /// A path segment is empty, `.`, `..`, or has a character that is not allowed.
    #[error("each path segment is one or more characters from a-z, A-Z, 0-9, `.`, `-` and `_`, and not `.` or `..`")]
    Segment,
    /// Longer than 2048 bytes.
    #[error("a SPIFFE ID is at most 2048 bytes long")]
    TooLong,
}

/// A trust domain name, valid by construction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// Accepts a valid name; upper case is refused rather than folded.
    ///
    /// # Errors
    /// [`SpiffeError::TrustDomain`].
    pub fn new(name: &str) -> Result<Self, SpiffeError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        if name.is_empty() || name.len() > MAX_TRUST_DOMAIN || !name.bytes().all(allowed) {
            return Err(SpiffeError::TrustDomain);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A SPIFFE ID, valid by construction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId(String);

impl SpiffeId {
    /// Builds an id from names of any characters, escaping what a segment may not hold.
    ///
    /// # Errors
    /// [`SpiffeError::Segment`] for an empty name, [`SpiffeError::TooLong`] past 2048 bytes.
    pub fn new<'a>(
        trust_domain: &TrustDomain,
        segments: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, SpiffeError> {
        let mut id = format!("{SCHEME}{}", trust_domain.0);
        for segment in segments {
            if segment.is_empty() {
                return Err(SpiffeError::Segment);
            }
            id.push('/');
            escape_segment(segment, &mut id);
            if id.len() > MAX_ID {
                return Err(SpiffeError::TooLong);
            }
        }
        Ok(Self(id))
    }

    /// Reads an id.
    ///
    /// # Errors
    /// What the specification forbids.
    pub fn parse(text: &str) -> Result<Self, SpiffeError> {
        if text.len() > MAX_ID {
            return Err(SpiffeError::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeError::Scheme)?;
        let (domain, path) = match rest.split_once('/') {
            Some((domain, path)) => (domain, Some(path)),
            None => (rest, None),
        };
        TrustDomain::new(domain)?;
        let segment_ok = |s: &str| !s.is_empty() && s != "." && s != ".." && s.bytes().all(plain);
        if path.is_some_and(|path| !path.split('/').all(segment_ok)) {
            return Err(SpiffeError::Segment);
        }
        Ok(Self(text.to_owned()))
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part between `spiffe://` and the path.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        let rest = self.0.strip_prefix(SCHEME).unwrap_or_default();
        rest.split_once('/').map_or(rest, |(domain, _)| domain)
    }

    /// The path with its leading `/`, or nothing.
    #[must_use]
    pub fn path(&self) -> &str {
        let rest = self.0.strip_prefix(SCHEME).unwrap_or_default();
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for SpiffeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Reads an escaped segment back: the inverse of what [`SpiffeId::new`] writes.
#[must_use]
pub fn unescape_segment(segment: &str) -> Vec<u8> {
    let mut name = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        match (*first, tail) {
            (b'_', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                name.push(hex(*high).unwrap_or_default() << 4 | hex(*low).unwrap_or_default());
                rest = after;
            }
            (byte, after) => {
                name.push(byte);
                rest = after;
            }
        }
    }
    name
}

fn escape_segment(name: &[u8], id: &mut String) {
    let dots = name == b"." || name == b"..";
    let mut rest = name;
    while let [byte, tail @ ..] = rest {
        let escape_like = *byte == b'_' && matches!(tail, [h, l, ..] if hex(*h).is_some() && hex(*l).is_some());
        if plain(*byte) && !escape_like && !dots {
            id.push(char::from(*byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(id, "_{byte:02x}");
        }
        rest = tail;
    }
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(segments: &[&str]) -> String {
        let domain = TrustDomain::new("example.org").unwrap();
        SpiffeId::new(&domain, segments.iter().map(|s| s.as_bytes())).unwrap().to_string()
    }

    #[test]
    fn names_are_escaped_into_what_the_specification_allows() {
        assert_eq!(id(&["host", "db1", "unit", "cron.service"]), "spiffe://example.org/host/db1/unit/cron.service");
        assert_eq!(
            id(&["unit", "postgresql@15-main.service"]),
            "spiffe://example.org/unit/postgresql_4015-main.service"
        );
        assert_eq!(id(&["unit", r"a\x2db.mount"]), "spiffe://example.org/unit/a_5cx2db.mount");
        assert_eq!(id(&["my_unit", "x_40"]), "spiffe://example.org/my_unit/x_5f40");
        assert_eq!(id(&[".", ".."]), "spiffe://example.org/_2e/_2e_2e");
    }

    #[test]
    fn what_the_specification_forbids_is_refused() {
        for (text, error) in [
            ("http://example.org/a", SpiffeError::Scheme),
            ("spiffe:///a", SpiffeError::TrustDomain),
            ("spiffe://Example.org/a", SpiffeError::TrustDomain),
            ("spiffe://user@example.org/a", SpiffeError::TrustDomain),
            ("spiffe://example.org:80/a", SpiffeError::TrustDomain),
            ("spiffe://example.org/", SpiffeError::Segment),
            ("spiffe://example.org/a/", SpiffeError::Segment),
            ("spiffe://example.org//a", SpiffeError::Segment),
            ("spiffe://example.org/a/../b", SpiffeError::Segment),
            ("spiffe://example.org/a%20b", SpiffeError::Segment),
            ("spiffe://example.org/a?b", SpiffeError::Segment),
        ] {
            assert_eq!(SpiffeId::parse(text), Err(error), "{text}");
        }
        let long = format!("spiffe://example.org/{}", "a".repeat(2048));
        assert_eq!(SpiffeId::parse(&long), Err(SpiffeError::TooLong));
        assert_eq!(SpiffeId::parse("spiffe://example.org").unwrap().path(), "");
        let id = SpiffeId::parse("spiffe://example.org/a/b").unwrap();
        assert_eq!((id.trust_domain(), id.path()), ("example.org", "/a/b"));
    }

    proptest! {
        #[test]
        fn any_name_survives_and_the_id_is_valid(name in proptest::collection::vec(any::<u8>(), 1..300)) {
            let domain = TrustDomain::new("t").unwrap();
            let id = SpiffeId::new(&domain, [name.as_slice()]).unwrap();
            prop_assert_eq!(SpiffeId::parse(id.as_str()).unwrap(), id.clone());
            prop_assert_eq!(unescape_segment(&id.path()[1..]), name);
        }

        #[test]
        fn names_of_escape_characters_survive(name in "[_0-9a-g]{1,12}") {
            let domain = TrustDomain::new("t").unwrap();
            let id = SpiffeId::new(&domain, [name.as_bytes()]).unwrap();
            prop_assert_eq!(unescape_segment(&id.path()[1..]), name.into_bytes());
        }

        #[test]
        fn parsing_never_panics(text in ".{0,64}") {
            let _ = SpiffeId::parse(&text);
        }
    }
}
