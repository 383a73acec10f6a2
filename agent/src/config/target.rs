//! `[target.NAME]`: what is known of a server, by where it is.

use std::net::IpAddr;

use toml::Spanned;
use toml::de::DeTable;

use super::document::Section;
use super::error::{Problems, quoted};
use super::raw::Setting;
use super::suggest::nearest;
use super::upstream::{self, RawUpstream, Upstream};
use super::valid::{ScopeName, Tag};
use crate::policy::Protocol;

/// Most targets; each connection is looked up among all of them.
pub(super) const MAX_TARGETS: usize = 1024;

/// A server, or several that are the same to policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its id in policies.
    pub name: ScopeName,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where it is; at least one place.
    pub places: Vec<Place>,
    /// As written, for policies: "prod", "staging".
    pub environment: Option<String>,
    /// For policies.
    pub tags: Vec<Tag>,
    /// How it is reached and logged in to.
    pub upstream: Upstream,
}

/// An address, a network or a host name, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Where.
    pub host: Host,
    /// Every port when `None`.
    pub port: Option<u16>,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// Every address that has the first so many bits of this one.
    Network(IpAddr, u8),
    /// The addresses this name has.
    Name(String),
}

impl Target {
    /// The host name in policies: the first of its places that has one.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.places.iter().find_map(|place| match &place.host {
            Host::Name(name) => Some(name.as_str()),
            Host::Network(..) => None,
        })
    }
}

impl Host {
    /// Whether an address is in the network; of a name, nothing is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let Self::Network(network, bits) = self else { return false };
        let shared = |all: u32, left: u128, right: u128, wide: u32| {
            // A shift by the whole width is none at all.
            let shift = wide.saturating_sub(all);
            shift >= wide || (left ^ right) >> shift == 0
        };
        match (network, address.to_canonical()) {
            (IpAddr::V4(left), IpAddr::V4(right)) => {
                shared((*bits).into(), left.to_bits().into(), right.to_bits().into(), 32)
            }
            (IpAddr::V6(left), IpAddr::V6(right)) => shared((*bits).into(), left.to_bits(), right.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl Place {
    /// `10.0.0.5`, `10.0.0.0/24:5432`, `[2001:db8::5]:5432`, `2001:db8::/32`, `db.example.org:5432`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']')?;
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(parse_port(port)?),
                None if rest.is_empty() => None,
                None => return None,
            };
            return Some(Self { host: network(host)?, port });
        }
        if let Some(host) = network(text) {
            return Some(Self { host, port: None });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (text, None),
        };
        let host = network(host).or_else(|| is_host_name(host).then(|| Host::Name(host.to_ascii_lowercase())))?;
        Some(Self { host, port })
    }
}

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

fn network(text: &str) -> Option<Host> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address.parse::<IpAddr>().ok()?, Some(bits.parse::<u8>().ok()?)),
        None => (text.parse::<IpAddr>().ok()?, None),
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    let mapped = most == 128 && address.to_canonical().is_ipv4();
    // A network of mapped addresses is one of what they stand for.
    let bits = if mapped { bits.checked_sub(96)? } else { bits };
    (bits <= most).then(|| Host::Network(address.to_canonical(), bits))
}

/// RFC 1123; the last label is not all digits, so that a mistyped address is not taken for a name.
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 253 && !numeric && text.split('.').all(label)
}

/// As written.
pub(super) struct RawTarget {
    pub(super) name: Spanned<String>,
    protocol: Setting<String>,
    addresses: Vec<Spanned<String>>,
    environment: Setting<String>,
    tags: Vec<Spanned<String>>,
    upstream: RawUpstream,
}

impl RawTarget {
    pub(super) fn read(name: Spanned<String>, table: &DeTable<'_>, problems: &mut Problems) -> Self {
        let section = Section::new("target.NAME", Some(table), problems);
        if !section.has("addresses") {
            let help = Some("write addresses = [\"10.0.0.5:5432\"]".to_owned());
            problems.add(name.span(), format!("[target.{}] has no `addresses`", name.get_ref()), help);
        }
        Self {
            protocol: section.text("protocol", problems),
            addresses: section.texts("addresses", false, problems),
            environment: section.text("environment", problems),
            tags: section.texts("tags", false, problems),
            upstream: RawUpstream::read(&section, problems),
            name,
        }
    }
}

/// Checks one; `before` are those that stand before it.
pub(super) fn check(raw: &RawTarget, before: &[Target], problems: &mut Problems) -> Option<Target> {
    let name = ScopeName::new(raw.name.get_ref());
    if name.is_none() {
        let message = format!("{} cannot be a target's name", quoted(raw.name.get_ref()));
        problems.add(raw.name.span(), message, Some(format!("1 to {} of a-z, 0-9 and `-`", ScopeName::MAX)));
    }
    let protocol = protocol(&raw.protocol, problems);
    let mut places = Vec::new();
    for text in &raw.addresses {
        let Some(place) = Place::parse(text.get_ref()) else {
            let message = format!("{} is no place", quoted(text.get_ref()));
            let help = "an address, a network or a host name, and perhaps a port: \"10.0.0.0/24:5432\"".to_owned();
            problems.add(text.span(), message, Some(help));
            continue;
        };
        if let Some(other) = before.iter().find(|other| other.places.contains(&place)) {
            let message = format!("{} belongs to [target.{}] already", quoted(text.get_ref()), other.name.as_str());
            problems.add(text.span(), message, Some("a connection belongs to the first target it fits".to_owned()));
        }
        places.push(place);
    }
    let tags = raw.tags.iter().filter_map(|text| super::check::tag(text, problems)).collect();
    let environment = raw.environment.as_ref().map(|text| text.get_ref().clone());
    if let Some(span) = raw.upstream.first_span().filter(|_| protocol != Protocol::Postgres) {
        let message = format!("this needs protocol = \"postgres\", not \"{}\"", protocol.as_str());
        problems.add(span, message, Some("other protocols are passed as they are".to_owned()));
    }
    let upstream = upstream::check(&raw.upstream, problems);
    Some(Target { name: name?, protocol, places, environment, tags, upstream })
}

fn protocol(setting: &Setting<String>, problems: &mut Problems) -> Protocol {
    let Some(text) = setting else { return Protocol::Tcp };
    let found = Protocol::ALL.into_iter().find(|one| one.as_str() == text.get_ref());
    found.unwrap_or_else(|| {
        let names = Protocol::ALL.map(Protocol::as_str);
        let help = match nearest(text.get_ref(), names.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("one of {}", names.join(", ")),
        };
        problems.add(text.span(), format!("{} is no protocol", quoted(text.get_ref())), Some(help));
        Protocol::Tcp
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_are_read() {
        let network =
            |address: &str, bits, port| Some(Place { host: Host::Network(address.parse().unwrap(), bits), port });
        let name = |name: &str, port| Some(Place { host: Host::Name(name.to_owned()), port });
        for (text, expected) in [
            ("10.0.0.5", network("10.0.0.5", 32, None)),
            ("10.0.0.5:5432", network("10.0.0.5", 32, Some(5432))),
            ("10.0.0.0/24:5432", network("10.0.0.0", 24, Some(5432))),
            ("2001:db8::5", network("2001:db8::5", 128, None)),
            ("2001:db8::/32", network("2001:db8::", 32, None)),
            ("[2001:db8::5]:5432", network("2001:db8::5", 128, Some(5432))),
            ("[2001:db8::/32]:1", network("2001:db8::", 32, Some(1))),
            ("[::ffff:10.0.0.5]", network("10.0.0.5", 32, None)),
            ("db.Example.org:5432", name("db.example.org", Some(5432))),
            ("db", name("db", None)),
        ] {
            assert_eq!(Place::parse(text), expected, "{text}");
        }
        for text in [
            "",
            ":1",
            "10.0.0.5:0",
            "10.0.0.5:65536",
            "10.0.0.256",
            "10.0.0.0/33",
            "a..b",
            "-a",
            "a b",
            "[::1",
            "[::1]x",
            "::/129",
        ] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }

    #[test]
    fn networks_contain_what_shares_their_bits() {
        for (place, address, inside) in [
            ("10.1.2.0/24", "10.1.2.255", true),
            ("10.1.2.0/24", "10.1.3.0", false),
            ("10.1.2.0/24", "::ffff:10.1.2.9", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("2001:db8::/33", "2001:db8:7000::1", true),
            ("10.0.0.5", "10.0.0.5", true),
            ("10.0.0.5", "10.0.0.4", false),
        ] {
            let host = Place::parse(place).unwrap().host;
            assert_eq!(host.contains(address.parse().unwrap()), inside, "{place} {address}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_place_or_is_not(text in ".{0,40}") {
            let _ = Place::parse(&text);
        }
    }
}
