//! What the local authority may speak for (RFC 5280, §4.2.1.10).
//!
//! Clients that trust it then trust it for configured servers only, whoever has its key. It can only be so narrow where all
//! servers are known when it is made: a server that is added later needs another authority, and clients that trust that.

use std::net::IpAddr;

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use crate::config::{Target, TargetHost};
use crate::policy::Protocol;

/// Most names and networks; more make a certificate that is too long for a handshake.
const MOST: usize = 128;

/// Names and networks; every name and address when there is neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Host names, with everything below them.
    pub names: Vec<String>,
    /// Addresses that have the first so many bits of these.
    pub networks: Vec<(IpAddr, u8)>,
}

impl Scope {
    /// Everything.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// The configured PostgreSQL servers; everything when there are none, or too many.
    #[must_use]
    pub fn of(targets: &[Target]) -> Self {
        let mut scope = Self::default();
        for target in targets.iter().filter(|target| target.protocol == Protocol::Postgres) {
            scope
                .names
                .extend(target.upstream.server_name.iter().filter(|name| name.parse::<IpAddr>().is_err()).cloned());
            for place in &target.places {
                match &place.host {
                    TargetHost::Name(name) => scope.names.push(name.clone()),
                    TargetHost::Network(address, bits) => scope.networks.push((*address, *bits)),
                }
            }
        }
        scope.names.sort_unstable();
        scope.names.dedup();
        scope.networks.sort_unstable();
        scope.networks.dedup();
        if scope.names.len() + scope.networks.len() > MOST { Self::unlimited() } else { scope }
    }

    /// Whether it is everything.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.names.is_empty() && self.networks.is_empty()
    }

    /// Whether a host name or an address is in it.
    #[must_use]
    pub fn permits(&self, name: &str) -> bool {
        if self.is_unlimited() {
            return true;
        }
        if let Ok(address) = name.parse::<IpAddr>() {
            let inside = |(network, bits): &(IpAddr, u8)| TargetHost::Network(*network, *bits).contains(address);
            return self.networks.iter().any(inside);
        }
        let below = |parent: &String| {
            let head = name.len().checked_sub(parent.len()).and_then(|at| name.split_at_checked(at));
            head.is_some_and(|(head, tail)| {
                tail.eq_ignore_ascii_case(parent) && (head.is_empty() || head.ends_with('.'))
            })
        };
        self.names.iter().any(below)
    }

    /// As a certificate has it. A kind of name of which none is permitted is excluded as a whole: a constraint holds for
    /// its own kind only.
    pub(super) fn constraints(&self) -> Option<NameConstraints> {
        if self.is_unlimited() {
            return None;
        }
        let names = self.names.iter().cloned().map(GeneralSubtree::DnsName);
        let networks = self.networks.iter().map(|(address, bits)| GeneralSubtree::IpAddress(subnet(*address, *bits)));
        let mut excluded = Vec::new();
        if self.names.is_empty() {
            excluded.push(GeneralSubtree::DnsName(String::new()));
        }
        for (any, four) in [([0_u8; 4].into(), true), ([0_u8; 16].into(), false)] {
            if !self.networks.iter().any(|(address, _)| address.is_ipv4() == four) {
                excluded.push(GeneralSubtree::IpAddress(subnet(any, 0)));
            }
        }
        Some(NameConstraints { permitted_subtrees: names.chain(networks).collect(), excluded_subtrees: excluded })
    }

    /// As it stands in a certificate.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other kinds name no server")]
    pub(super) fn read(certificate: &X509Certificate<'_>) -> Self {
        let mut scope = Self::default();
        let extension = certificate.name_constraints().ok().flatten();
        let permitted = extension.and_then(|extension| extension.value.permitted_subtrees.as_ref());
        for subtree in permitted.into_iter().flatten() {
            match &subtree.base {
                GeneralName::DNSName(name) => scope.names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => scope.networks.extend(network(bytes)),
                _ => {}
            }
        }
        scope
    }
}

fn subnet(address: IpAddr, bits: u8) -> CidrSubnet {
    match address {
        IpAddr::V4(address) => CidrSubnet::from_v4_prefix(address.octets(), bits),
        IpAddr::V6(address) => CidrSubnet::from_v6_prefix(address.octets(), bits),
    }
}

/// An address and a mask of the same length.
fn network(bytes: &[u8]) -> Option<(IpAddr, u8)> {
    let (address, mask) = bytes.split_at_checked(bytes.len() / 2)?;
    let bits = u8::try_from(mask.iter().map(|byte| byte.count_ones()).sum::<u32>()).ok()?;
    let four = <[u8; 4]>::try_from(address).map(IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(address).map(IpAddr::from)).ok()?;
    Some((address, bits))
}
