//! Configured targets, by where a connection goes.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::config::{self, TargetHost};
use crate::policy::question::Target;

/// Targets, and the addresses that the host names in them have now.
#[derive(Debug, Default)]
pub struct Directory {
    targets: Vec<config::Target>,
    names: HashMap<String, Vec<IpAddr>>,
}

impl Directory {
    /// Of these targets, in their order.
    #[must_use]
    pub fn new(targets: Vec<config::Target>, names: HashMap<String, Vec<IpAddr>>) -> Self {
        Self { targets, names }
    }

    /// The targets.
    #[must_use]
    pub fn targets(&self) -> &[config::Target] {
        &self.targets
    }

    /// Host names with their addresses.
    #[must_use]
    pub fn names(&self) -> &HashMap<String, Vec<IpAddr>> {
        &self.names
    }

    /// What is known of a destination: the first target it fits, or the bare address.
    #[must_use]
    pub fn find(&self, destination: SocketAddr) -> Target {
        let (address, port) = (destination.ip().to_canonical(), destination.port());
        match self.configured(destination) {
            Some(found) => Self::describe(found, address, port),
            None => Target::opaque(address, port),
        }
    }

    /// How a destination is reached and logged in to.
    #[must_use]
    pub fn upstream(&self, destination: SocketAddr) -> config::Upstream {
        self.configured(destination).map(|target| target.upstream.clone()).unwrap_or_default()
    }

    fn configured(&self, destination: SocketAddr) -> Option<&config::Target> {
        let (address, port) = (destination.ip().to_canonical(), destination.port());
        let fits = |place: &config::Place| {
            place.port.is_none_or(|only| only == port)
                && match &place.host {
                    TargetHost::Network(..) => place.host.contains(address),
                    TargetHost::Name(name) => self.names.get(name).is_some_and(|all| all.contains(&address)),
                }
        };
        self.targets.iter().find(|target| target.places.iter().any(fits))
    }

    /// An address as the target it belongs to.
    #[must_use]
    pub fn describe(target: &config::Target, address: IpAddr, port: u16) -> Target {
        Target {
            protocol: target.protocol,
            name: Some(target.name.as_str().to_owned()),
            host: target.host().map(str::to_owned),
            environment: target.environment.clone(),
            tags: target.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
            ..Target::opaque(address, port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Place, ScopeName, Tag};
    use crate::policy::Protocol;

    fn target(name: &str, places: &[&str]) -> config::Target {
        config::Target {
            name: ScopeName::new(name).unwrap(),
            protocol: Protocol::Postgres,
            places: places.iter().map(|place| Place::parse(place).unwrap()).collect(),
            environment: Some("prod".to_owned()),
            tags: vec![Tag::new("pci").unwrap()],
            upstream: config::Upstream::default(),
        }
    }

    #[test]
    fn a_destination_belongs_to_the_first_target_it_fits() {
        let targets = vec![
            target("billing", &["10.0.0.5:5432", "db.example.org:5432"]),
            target("databases", &["10.0.0.0/24"]),
            target("six", &["[2001:db8::/32]:443"]),
        ];
        let names = HashMap::from([("db.example.org".to_owned(), vec!["192.0.2.9".parse().unwrap()])]);
        let directory = Directory::new(targets, names);
        for (destination, name) in [
            ("10.0.0.5:5432", Some("billing")),
            ("[::ffff:10.0.0.5]:5432", Some("billing")),
            ("10.0.0.5:5433", Some("databases")),
            ("192.0.2.9:5432", Some("billing")),
            ("192.0.2.9:22", None),
            ("192.0.2.10:5432", None),
            ("[2001:db8::9]:443", Some("six")),
            ("10.0.1.5:5432", None),
        ] {
            let found = directory.find(destination.parse().unwrap());
            assert_eq!(found.name.as_deref(), name, "{destination}");
            let protocol = if name.is_some() { Protocol::Postgres } else { Protocol::Tcp };
            assert_eq!(found.protocol, protocol, "{destination}");
        }
        let found = directory.find("10.0.0.5:5432".parse().unwrap());
        assert_eq!((found.host.as_deref(), found.environment.as_deref()), (Some("db.example.org"), Some("prod")));
        assert!(found.tags.contains("pci"));
    }
}
