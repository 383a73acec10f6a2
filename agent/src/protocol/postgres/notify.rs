//! What a server says without being asked: settings, notifications, the key for cancellations, its protocol version.
//!
//! Protocol documentation: "Asynchronous Operations"; BackendKeyData and NegotiateProtocolVersion in "Message Formats".

use super::error::{Malformed, Result};
use super::startup::MAX_KEY;
use super::wire::{Reader, between, message, put_string};

/// ParameterStatus: a setting clients are told about, and its value now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

impl<'a> Parameter<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let parameter = Self { name: reader.string()?, value: reader.string()? };
        reader.end()?;
        Ok(parameter)
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        message(out, b'S', |out| {
            put_string(out, self.name);
            put_string(out, self.value);
        });
    }
}

/// NotificationResponse: what LISTEN was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification<'a> {
    /// The server process that notifies.
    pub process: u32,
    /// The channel.
    pub channel: &'a [u8],
    /// What it says.
    pub payload: &'a [u8],
}

impl<'a> Notification<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let notification = Self { process: reader.u32()?, channel: reader.string()?, payload: reader.string()? };
        reader.end()?;
        Ok(notification)
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        message(out, b'A', |out| {
            out.extend_from_slice(&self.process.to_be_bytes());
            put_string(out, self.channel);
            put_string(out, self.payload);
        });
    }
}

/// BackendKeyData: what a cancellation of this session's requests has to know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyData<'a> {
    /// The server process.
    pub process: u32,
    /// 4 to 256 bytes; always 4 before protocol 3.2.
    pub key: &'a [u8],
}

impl std::fmt::Debug for KeyData<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyData").field("process", &self.process).finish_non_exhaustive()
    }
}

impl<'a> KeyData<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let (process, key) = (reader.u32()?, reader.rest());
        if !(4..=MAX_KEY as usize).contains(&key.len()) {
            return Err(Malformed::Key(key.len()).into());
        }
        Ok(Self { process, key })
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        message(out, b'K', |out| {
            out.extend_from_slice(&self.process.to_be_bytes());
            out.extend_from_slice(self.key);
        });
    }
}

/// NegotiateProtocolVersion: less than the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiation<'a> {
    /// The newest version the server speaks, major in the upper half; servers before 3.2 tell the minor part alone.
    pub version: u32,
    count: u32,
    options: &'a [u8],
}

impl<'a> Negotiation<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let (version, count) = (reader.u32()?, reader.u32()?);
        let before = reader;
        for _ in 0..count {
            reader.string()?;
        }
        let options = between(before, reader);
        reader.end()?;
        Ok(Self { version, count, options })
    }

    /// The protocol's options the server does not know.
    pub fn options(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut list = Reader::new(self.options);
        std::iter::from_fn(move || list.string().ok())
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        message(out, b'v', |out| {
            out.extend_from_slice(&self.version.to_be_bytes());
            out.extend_from_slice(&self.count.to_be_bytes());
            out.extend_from_slice(self.options);
        });
    }
}

/// Appends a NegotiateProtocolVersion.
pub fn put_negotiation(out: &mut Vec<u8>, version: u32, options: &[&[u8]]) {
    message(out, b'v', |out| {
        out.extend_from_slice(&version.to_be_bytes());
        out.extend_from_slice(&u32::try_from(options.len()).unwrap_or(u32::MAX).to_be_bytes());
        options.iter().for_each(|option| put_string(out, option));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negotiation_counts_its_options() {
        let mut out = Vec::new();
        put_negotiation(&mut out, 3 << 16, &[b"_pq_.a", b"_pq_.b"]);
        let negotiation = Negotiation::decode(&out[5..]).unwrap();
        assert_eq!(negotiation.options().collect::<Vec<_>>(), [b"_pq_.a", b"_pq_.b"]);
        // A count is believed only as far as there are bytes.
        assert!(Negotiation::decode(b"\0\x03\0\0\xff\xff\xff\xff").is_err());
        assert!(Negotiation::decode(b"\0\x03\0\0\0\0\0\0x\0").is_err());
    }

    #[test]
    fn keys_have_4_to_256_bytes() {
        for (len, good) in [(3, false), (4, true), (256, true), (257, false)] {
            assert_eq!(KeyData::decode(&[vec![0; 4], vec![1; len]].concat()).is_ok(), good, "{len}");
        }
    }
}
