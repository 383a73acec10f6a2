//! Who the client is: what the server asks for, and what the client answers.
//!
//! Protocol documentation: "Start-up", "SASL Authentication".

use super::error::{Malformed, Result};
use super::wire::{Reader, message, put_string, put_value};

/// Authentication messages of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// The client is who it says.
    Ok,
    /// Kerberos V5, which no server asks for any more.
    Kerberos,
    /// The password in clear.
    Cleartext,
    /// The password's MD5 with this salt.
    Md5([u8; 4]),
    /// GSSAPI.
    Gss,
    /// SSPI.
    Sspi,
    /// More data of GSSAPI or SSPI.
    GssContinue(&'a [u8]),
    /// SASL, by one of these mechanisms.
    Sasl(Mechanisms<'a>),
    /// A SASL challenge.
    SaslContinue(&'a [u8]),
    /// SASL's last data.
    SaslFinal(&'a [u8]),
}

impl<'a> Authentication<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let read = match reader.u32()? {
            0 => Self::Ok,
            2 => Self::Kerberos,
            3 => Self::Cleartext,
            5 => Self::Md5(reader.array()?),
            7 => Self::Gss,
            8 => Self::GssContinue(reader.rest()),
            9 => Self::Sspi,
            10 => Self::Sasl(Mechanisms::read(&mut reader)?),
            11 => Self::SaslContinue(reader.rest()),
            12 => Self::SaslFinal(reader.rest()),
            code => return Err(Malformed::Code(code).into()),
        };
        reader.end()?;
        Ok(read)
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (code, data): (u32, &[u8]) = match self {
            Self::Ok => (0, &[]),
            Self::Kerberos => (2, &[]),
            Self::Cleartext => (3, &[]),
            Self::Md5(salt) => (5, salt),
            Self::Gss => (7, &[]),
            Self::GssContinue(data) => (8, data),
            Self::Sspi => (9, &[]),
            Self::Sasl(mechanisms) => (10, mechanisms.0),
            Self::SaslContinue(data) => (11, data),
            Self::SaslFinal(data) => (12, data),
        };
        message(out, b'R', |out| {
            out.extend_from_slice(&code.to_be_bytes());
            out.extend_from_slice(data);
            if matches!(self, Self::Sasl(_)) {
                out.push(0);
            }
        });
    }
}

/// Names of SASL mechanisms, the server's preferred one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mechanisms<'a>(&'a [u8]);

impl<'a> Mechanisms<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let (end, names) = reader.rest().split_last().ok_or(Malformed::Short)?;
        let mut list = Reader::new(names);
        while !list.is_empty() {
            if list.string()?.is_empty() {
                return Err(Malformed::Trailing.into());
            }
        }
        if *end == 0 { Ok(Self(names)) } else { Err(Malformed::Unterminated.into()) }
    }

    /// A list of these names, which `kept` keeps.
    ///
    /// # Errors
    /// If one is empty.
    pub fn new<'n>(names: impl Iterator<Item = &'n [u8]>, kept: &'a mut Vec<u8>) -> Result<Self> {
        kept.clear();
        for name in names {
            put_string(kept, name);
        }
        kept.push(0);
        Self::read(&mut Reader::new(kept))
    }

    /// Each name.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut list = Reader::new(self.0);
        std::iter::from_fn(move || list.string().ok())
    }
}

/// The body of a client's message of type `p`, which only what the server asked for before gives a meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<'a>(pub(super) &'a [u8]);

impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl<'a> Secret<'a> {
    /// PasswordMessage: the answer to [`Authentication::Cleartext`] and [`Authentication::Md5`].
    ///
    /// # Errors
    /// If it is not one string.
    pub fn password(&self) -> Result<&'a [u8]> {
        let mut reader = Reader::new(self.0);
        let password = reader.string()?;
        reader.end()?;
        Ok(password)
    }

    /// SASLInitialResponse, the answer to [`Authentication::Sasl`]: the mechanism, and its first data if it has any.
    ///
    /// # Errors
    /// If it is not these.
    pub fn sasl_initial(&self) -> Result<(&'a [u8], Option<&'a [u8]>)> {
        let mut reader = Reader::new(self.0);
        let initial = (reader.string()?, reader.value()?);
        reader.end()?;
        Ok(initial)
    }

    /// SASLResponse and GSSResponse: the mechanism's data.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.0
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        message(out, b'p', |out| out.extend_from_slice(self.0));
    }
}

/// Appends a PasswordMessage.
pub fn put_password(out: &mut Vec<u8>, password: &[u8]) {
    message(out, b'p', |out| put_string(out, password));
}

/// Appends a SASLInitialResponse.
pub fn put_sasl_initial(out: &mut Vec<u8>, mechanism: &[u8], data: Option<&[u8]>) {
    message(out, b'p', |out| {
        put_string(out, mechanism);
        put_value(out, data);
    });
}

/// Appends a SASLResponse or GSSResponse.
pub fn put_sasl(out: &mut Vec<u8>, data: &[u8]) {
    Secret(data).encode(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_what_was_asked_for() {
        let mut out = Vec::new();
        put_sasl_initial(&mut out, b"SCRAM-SHA-256", Some(b"n,,n=,r=x"));
        let secret = Secret(&out[5..]);
        assert_eq!(secret.sasl_initial().unwrap(), (&b"SCRAM-SHA-256"[..], Some(&b"n,,n=,r=x"[..])));
        assert!(secret.password().is_err());
        assert_eq!(format!("{secret:?}"), "Secret");
        out.clear();
        put_password(&mut out, b"hunter2");
        assert_eq!(out, b"p\0\0\0\x0chunter2\0");
        assert_eq!(Secret(&out[5..]).password().unwrap(), b"hunter2");
    }

    #[test]
    fn mechanisms_end_with_an_empty_name() {
        let mut kept = Vec::new();
        let names = [&b"SCRAM-SHA-256-PLUS"[..], b"SCRAM-SHA-256"];
        let sasl = Authentication::Sasl(Mechanisms::new(names.into_iter(), &mut kept).unwrap());
        let mut out = Vec::new();
        sasl.encode(&mut out);
        assert_eq!(Authentication::decode(&out[5..]).unwrap(), sasl);
        assert!(Authentication::decode(b"\0\0\0\x0aSCRAM-SHA-256\0").is_err());
        assert!(Authentication::decode(b"\0\0\0\0x").is_err());
        assert!(Authentication::decode(b"\0\0\0\x05abc").is_err());
    }
}
