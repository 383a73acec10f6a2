//! What load generator and server say to each other: every wish is one message of [`PING`] bytes.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Bytes of a message.
pub(super) const PING: usize = 64;
/// Bytes of one write of a download.
pub(super) const BLOCK: usize = 64 * 1024;
/// Where the server listens, in a network namespace of its own.
pub(super) const PORT: u16 = 7000;
/// The server's address.
pub(super) const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT);
/// What a helper prints once it can be used.
pub(super) const READY: &str = "ready";

/// What a client asks of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// This message, back.
    Echo,
    /// So many bytes.
    Send(u64),
}

impl Wish {
    /// The message.
    pub(super) fn write(self) -> [u8; PING] {
        let mut message = [0; PING];
        let (number, _) = message.split_at_mut(8);
        let bytes = match self {
            Self::Echo => 0,
            Self::Send(bytes) => bytes,
        };
        number.copy_from_slice(&bytes.to_le_bytes());
        message
    }

    /// What a message asks for.
    pub(super) fn read(message: &[u8; PING]) -> Self {
        match message.first_chunk().map_or(0, |number| u64::from_le_bytes(*number)) {
            0 => Self::Echo,
            bytes => Self::Send(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_survives_the_wire() {
        for wish in [Wish::Echo, Wish::Send(1), Wish::Send(u64::MAX)] {
            assert_eq!(Wish::read(&wish.write()), wish);
        }
    }
}
