//! What a client sends before messages have types: a startup message, or a request for encryption or cancellation.
//!
//! Protocol documentation: "Start-up", "SSL Session Encryption", "GSSAPI Session Encryption", "Canceling Requests in
//! Progress".

use super::error::{Malformed, ProtocolError, Result};
use super::wire::{Reader, packet, put_string};

/// The longest packet, its own length included: what servers read.
pub const MAX_PACKET: u32 = 10_004;
/// The longest key of a cancellation, in bytes; the shortest, and the only one before protocol 3.2, has 4.
pub const MAX_KEY: u32 = 256;
const MIN_KEY: usize = 4;

/// The application-layer protocol that is negotiated in direct TLS.
pub const ALPN: &[u8] = b"postgresql";

/// What stands where the version does.
const CANCEL: u32 = 1234 << 16 | 5678;
const TLS: u32 = 1234 << 16 | 5679;
const GSS: u32 = 1234 << 16 | 5680;

/// What kind of packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A startup message of this protocol version.
    Start {
        /// 3.
        major: u16,
        /// 0 or 2; others are negotiated down.
        minor: u16,
    },
    /// CancelRequest.
    Cancel,
    /// SSLRequest.
    Tls,
    /// GSSENCRequest.
    Gss,
    /// Reserved for requests that do not exist.
    Unknown,
}

impl Code {
    /// Reads what stands where the version does.
    #[must_use]
    pub fn of(code: u32) -> Self {
        match (code, code.to_be_bytes()) {
            (CANCEL, _) => Self::Cancel,
            (TLS, _) => Self::Tls,
            (GSS, _) => Self::Gss,
            (_, [4, 210, ..]) => Self::Unknown,
            (_, [a, b, c, d]) => Self::Start { major: u16::from_be_bytes([a, b]), minor: u16::from_be_bytes([c, d]) },
        }
    }
}

/// A packet of the startup phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Startup<'a> {
    /// Begins a session.
    Start(Start<'a>),
    /// SSLRequest: answered with `S` or `N`.
    Tls,
    /// GSSENCRequest: answered with `N` here, always.
    Gss,
    /// CancelRequest: gets no answer.
    Cancel(Cancel<'a>),
}

impl<'a> Startup<'a> {
    /// Reads a packet's body.
    ///
    /// # Errors
    /// What no server would take.
    pub fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        match Code::of(reader.u32()?) {
            Code::Start { major: 3, minor } => Start::read(minor, reader).map(Self::Start),
            Code::Start { major, minor } => Err(ProtocolError::Version { major, minor }),
            Code::Tls => reader.end().map(|()| Self::Tls),
            Code::Gss => reader.end().map(|()| Self::Gss),
            Code::Cancel => {
                let process = reader.u32()?;
                let key = reader.rest();
                if !(MIN_KEY..=MAX_KEY as usize).contains(&key.len()) {
                    return Err(Malformed::Key(key.len()).into());
                }
                Ok(Self::Cancel(Cancel { process, key }))
            }
            Code::Unknown => Err(Malformed::Code(0).into()),
        }
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        packet(out, |out| match self {
            Self::Start(start) => {
                out.extend_from_slice(&[0, 3]);
                out.extend_from_slice(&start.minor.to_be_bytes());
                out.extend_from_slice(start.parameters);
                out.push(0);
            }
            Self::Tls => out.extend_from_slice(&TLS.to_be_bytes()),
            Self::Gss => out.extend_from_slice(&GSS.to_be_bytes()),
            Self::Cancel(cancel) => {
                out.extend_from_slice(&CANCEL.to_be_bytes());
                out.extend_from_slice(&cancel.process.to_be_bytes());
                out.extend_from_slice(cancel.key);
            }
        });
    }
}

/// StartupMessage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start<'a> {
    /// The minor version that is asked for.
    pub minor: u16,
    /// Names and values, each ended by a zero byte.
    parameters: &'a [u8],
}

/// What a session is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replication {
    /// SQL.
    #[default]
    No,
    /// The commands of physical replication.
    Physical,
    /// The commands of logical replication, and SQL.
    Logical,
}

impl<'a> Start<'a> {
    fn read(minor: u16, mut reader: Reader<'a>) -> Result<Self> {
        let parameters = reader.rest();
        // The list ends with an empty name, which is the packet's last byte.
        let (end, parameters) = parameters.split_last().ok_or(Malformed::Short)?;
        if *end != 0 {
            return Err(Malformed::Unterminated.into());
        }
        let mut list = Reader::new(parameters);
        while !list.is_empty() {
            if list.string()?.is_empty() {
                return Err(Malformed::Trailing.into());
            }
            list.string()?;
        }
        let start = Self { minor, parameters };
        if start.parameter(b"user").is_none_or(<[u8]>::is_empty) {
            return Err(Malformed::NoUser.into());
        }
        Ok(start)
    }

    /// A message of these parameters, which `parameters` keeps.
    ///
    /// # Errors
    /// If they name no user.
    pub fn new<'p>(
        minor: u16,
        pairs: impl Iterator<Item = (&'p [u8], &'p [u8])>,
        parameters: &'a mut Vec<u8>,
    ) -> Result<Self> {
        parameters.clear();
        for (name, value) in pairs {
            put_string(parameters, name);
            put_string(parameters, value);
        }
        parameters.push(0);
        Self::read(minor, Reader::new(parameters))
    }

    /// Every parameter, in order.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut list = Reader::new(self.parameters);
        std::iter::from_fn(move || Some((list.string().ok()?, list.string().ok()?)))
    }

    /// What a parameter is set to: the last value that is given for it, as in the server.
    #[must_use]
    pub fn parameter(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.parameters().filter(|(found, _)| *found == name).last().map(|(_, value)| value)
    }

    /// The protocol's own options, whose names begin with `_pq_.`; unknown ones are negotiated away.
    pub fn options(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.parameters().filter(|(name, _)| name.starts_with(b"_pq_."))
    }

    /// The database role that is asked for.
    #[must_use]
    pub fn user(&self) -> &'a [u8] {
        self.parameter(b"user").unwrap_or_default()
    }

    /// The database that is asked for: by default, the one named as the user.
    #[must_use]
    pub fn database(&self) -> &'a [u8] {
        self.parameter(b"database").filter(|name| !name.is_empty()).unwrap_or_else(|| self.user())
    }

    /// Whether it asks for a replication session; what is not clearly a no counts as yes.
    #[must_use]
    pub fn replication(&self) -> Replication {
        let Some(value) = self.parameter(b"replication") else { return Replication::No };
        let value = value.to_ascii_lowercase();
        let prefix = |word: &[u8], least| value.len() >= least && word.starts_with(&value);
        if value == b"database" {
            Replication::Logical
        } else if value == b"0" || prefix(b"false", 1) || prefix(b"no", 1) || prefix(b"off", 2) {
            Replication::No
        } else {
            Replication::Physical
        }
    }
}

/// CancelRequest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cancel<'a> {
    /// The process that is to be interrupted, as it introduced itself.
    pub process: u32,
    /// Its key: 4 to 256 bytes.
    pub key: &'a [u8],
}

impl std::fmt::Debug for Cancel<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cancel").field("process", &self.process).finish_non_exhaustive()
    }
}

/// A server's answer to a request for encryption, one byte without a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// `S` or `G`: what follows is inside it.
    Accepted,
    /// `N`: what follows is in clear.
    Refused,
}

impl Encryption {
    /// Reads the answer to [`Startup::Tls`] or [`Startup::Gss`].
    ///
    /// # Errors
    /// Anything else, an ErrorResponse of an old server included: it is not authenticated, so it is not to be shown.
    pub fn decode(asked: &Startup<'_>, answer: u8) -> Result<Self> {
        match (asked, answer) {
            (Startup::Tls, b'S') | (Startup::Gss, b'G') => Ok(Self::Accepted),
            (Startup::Tls | Startup::Gss, b'N') => Ok(Self::Refused),
            (_, kind) => Err(ProtocolError::Unexpected { kind, during: "after a request for encryption" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(parameters: &[u8]) -> Result<Vec<(String, String)>> {
        let body = [&[0, 3, 0, 2], parameters].concat();
        let Startup::Start(start) = Startup::decode(&body)? else { panic!("no startup message") };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ok(start.parameters().map(|(name, value)| (text(name), text(value))).collect())
    }

    #[test]
    fn parameters_are_a_list_that_ends() {
        assert_eq!(start(b"user\0ada\0_pq_.x\0y\0\0").unwrap().len(), 2);
        for bad in
            [&b"user\0ada\0"[..], b"user\0ada", b"", b"\0", b"user\0\0\0", b"database\0d\0\0", b"user\0a\0\0x\0y\0\0"]
        {
            assert!(start(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_last_of_two_values_holds() {
        let mut kept = Vec::new();
        let pairs = [(&b"user"[..], &b"ada"[..]), (b"user", b"bob"), (b"replication", b"tru")];
        let start = Start::new(0, pairs.into_iter(), &mut kept).unwrap();
        assert_eq!((start.user(), start.database()), (&b"bob"[..], &b"bob"[..]));
        assert_eq!(start.replication(), Replication::Physical);
        for (value, expected) in
            [("OFF", Replication::No), ("database", Replication::Logical), ("o", Replication::Physical)]
        {
            let mut kept = Vec::new();
            let pairs = [(&b"user"[..], &b"ada"[..]), (b"replication", value.as_bytes())];
            assert_eq!(Start::new(0, pairs.into_iter(), &mut kept).unwrap().replication(), expected, "{value}");
        }
    }

    #[test]
    fn keys_of_cancellations_have_4_to_256_bytes() {
        for (len, good) in [(3, false), (4, true), (32, true), (256, true), (257, false)] {
            let body = [&CANCEL.to_be_bytes()[..], &7_u32.to_be_bytes(), &vec![9; len]].concat();
            assert_eq!(Startup::decode(&body).is_ok(), good, "{len}");
        }
        let cancel = Cancel { process: 7, key: &[1, 2, 3, 4] };
        assert_eq!(format!("{cancel:?}"), "Cancel { process: 7, .. }", "a key is a secret");
    }
}
