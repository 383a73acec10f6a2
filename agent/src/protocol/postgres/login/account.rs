//! As whom a login is made, with what, and over what.

use std::fmt;

use zeroize::Zeroizing;

/// How many iterations SCRAM is to have where anybody may have put the question (RFC 7677, §4).
const LEAST_IN_CLEAR: u32 = 4096;

/// A password, which is never shown and leaves nothing in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Longest password, bytes. Tokens of cloud providers have some thousand; servers read 64 KiB.
    pub const MAX: usize = 16 << 10;

    /// `None` of what cannot be one: empty, too long, or with a zero byte in it.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Zeroizing::new(bytes);
        let good = (1..=Self::MAX).contains(&bytes.len()) && !bytes.contains(&0);
        good.then_some(Self(bytes))
    }

    pub(in crate::protocol::postgres) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// How a server may have Sallyport prove itself (libpq's `require_auth`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// SCRAM-SHA-256: the password stays here, and the server proves that it knows it.
    #[default]
    Scram,
    /// A salted MD5, over TLS.
    Md5,
    /// The password in clear, over TLS.
    Password,
    /// Nothing: `trust`, or the client's certificate.
    None,
}

impl Method {
    /// Each, with its word in the configuration.
    pub const ALL: [(&'static str, Self); 4] =
        [("scram-sha-256", Self::Scram), ("md5", Self::Md5), ("password", Self::Password), ("none", Self::None)];

    /// The word in the configuration and in errors.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, method)| *method == self).map_or("", |(word, _)| word)
    }
}

/// As whom, and with what.
#[derive(Clone, Debug)]
pub struct Account {
    /// The role that logs in.
    pub role: String,
    /// None where a certificate is enough.
    pub password: Option<Password>,
    /// What the server may ask for.
    pub accept: Vec<Method>,
    /// The role that is taken on then. A client can give it back with RESET ROLE: what may be run says the policy.
    pub set_role: Option<String>,
}

/// What the connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// In clear: only SCRAM goes over it.
    Clear,
    /// In clear, because the configuration wants it so: everything goes over it.
    ClearAsConfigured,
    /// TLS, and its `tls-server-end-point` if its certificate has one.
    Tls(Option<Vec<u8>>),
}

impl Wire {
    pub(super) fn may_carry_passwords(&self) -> bool {
        match self {
            Self::Clear => false,
            Self::ClearAsConfigured | Self::Tls(_) => true,
        }
    }

    pub(super) fn end_point(&self) -> Option<&[u8]> {
        match self {
            Self::Tls(digest) => digest.as_deref(),
            Self::Clear | Self::ClearAsConfigured => None,
        }
    }

    /// Some servers are set to few iterations, to save time; in clear, somebody else may have said so.
    pub(super) fn least_iterations(&self) -> u32 {
        match self {
            Self::Tls(_) => 1,
            Self::Clear | Self::ClearAsConfigured => LEAST_IN_CLEAR,
        }
    }
}
