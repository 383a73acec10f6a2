//! Links by which one person decides one request, once: signed with a key that lives as long as the daemon, as requests do.

use std::collections::HashMap;

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::grant::Id;

/// Most links that were used and are not over; more are not taken.
const MOST_USED: usize = 8192;
/// Longest token, with a name of 256 bytes.
const LONGEST: usize = 512;
const MAC: usize = 32;
/// Keeps these signatures apart from any others.
const PURPOSE: &[u8] = b"sallyport approval link v1";

/// What a link says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Yes, once.
    Approve,
    /// No.
    Deny,
}

/// A link that was read and holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Of which request.
    pub id: Id,
    /// Whose it is.
    pub person: String,
    /// What it says.
    pub choice: Choice,
    until: u64,
    mac: [u8; MAC],
}

/// Makes links and takes them back.
pub struct Links {
    key: Zeroizing<[u8; 32]>,
    used: HashMap<[u8; MAC], u64>,
}

impl Links {
    /// With a key of its own.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key)?;
        Ok(Self { key, used: HashMap::new() })
    }

    /// The token of a link, good until a boot-time stamp.
    #[must_use]
    pub fn issue(&self, id: Id, person: &str, choice: Choice, until: u64) -> Option<String> {
        let mut bytes = id.as_bytes().to_vec();
        bytes.push(u8::from(choice == Choice::Deny));
        bytes.extend(until.to_be_bytes());
        bytes.extend(person.as_bytes());
        let mac = self.mac(&bytes)?.finalize().into_bytes();
        bytes.extend(mac);
        Some(Base64UrlUnpadded::encode_string(&bytes)).filter(|token| token.len() <= LONGEST)
    }

    /// Reads a token that was issued, is not over and was not used.
    #[must_use]
    pub fn read(&self, token: &str, now: u64) -> Option<Ticket> {
        if token.len() > LONGEST {
            return None;
        }
        let bytes = Base64UrlUnpadded::decode_vec(token).ok()?;
        let (signed, mac) = bytes.split_last_chunk::<MAC>()?;
        self.mac(signed)?.verify_slice(mac).ok()?;
        let (id, rest) = signed.split_first_chunk::<16>()?;
        let ([choice], rest) = rest.split_first_chunk::<1>()?;
        let (until, person) = rest.split_first_chunk::<8>()?;
        let until = u64::from_be_bytes(*until);
        if now >= until || self.used.contains_key(mac) {
            return None;
        }
        let choice = if *choice == 0 { Choice::Approve } else { Choice::Deny };
        let person = std::str::from_utf8(person).ok()?.to_owned();
        Some(Ticket { id: Id::from(*id), person, choice, until, mac: *mac })
    }

    /// Uses a link up; false when somebody else just did.
    pub fn spend(&mut self, ticket: &Ticket, now: u64) -> bool {
        self.used.retain(|_, until| now < *until);
        self.used.len() < MOST_USED && self.used.insert(ticket.mac, ticket.until).is_none()
    }

    /// Gives a link back that had no effect.
    pub fn give_back(&mut self, ticket: &Ticket) {
        self.used.remove(&ticket.mac);
    }

    fn mac(&self, bytes: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.key).ok()?;
        mac.update(PURPOSE);
        mac.update(bytes);
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_one_persons_one_choice_once() {
        let mut links = Links::new().unwrap();
        let id = Id::from([7; 16]);
        let token = links.issue(id, "ada", Choice::Deny, 100).unwrap();
        let ticket = links.read(&token, 99).unwrap();
        assert_eq!((ticket.id, ticket.person.as_str(), ticket.choice), (id, "ada", Choice::Deny));
        assert_eq!(links.read(&token, 100), None, "over");
        assert_eq!(Links::new().unwrap().read(&token, 0), None, "another daemon's");
        assert!(links.spend(&ticket, 0) && !links.spend(&ticket, 0));
        assert_eq!(links.read(&token, 0), None, "used");
        links.give_back(&ticket);
        assert!(links.read(&token, 0).is_some());
    }

    #[test]
    fn no_bit_of_a_link_can_be_changed() {
        let links = Links::new().unwrap();
        let token = links.issue(Id::from([7; 16]), "ada", Choice::Deny, 100).unwrap();
        let bytes = Base64UrlUnpadded::decode_vec(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(links.read(&Base64UrlUnpadded::encode_string(&other), 0), None, "{bit}");
        }
        for bad in ["", "AAAA", "?", &"A".repeat(LONGEST + 4)] {
            assert_eq!(links.read(bad, 0), None);
        }
    }
}
