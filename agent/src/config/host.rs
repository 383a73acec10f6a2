//! What a configuration has to ask of the machine: its users, its name, its name servers.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

/// The machine a configuration is checked for.
pub trait Host {
    /// The number of the user `name`.
    fn uid(&self, name: &str) -> Option<u32>;
    /// Some users' names, for suggestions.
    fn users(&self) -> Vec<String>;
    /// What the machine calls itself.
    fn name(&self) -> String;
}

/// The machine this runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisHost;

impl Host for ThisHost {
    fn uid(&self, name: &str) -> Option<u32> {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        entries(&passwd).find(|(user, _)| *user == name).map(|(_, uid)| uid).or_else(|| from_name_service(name))
    }

    fn users(&self) -> Vec<String> {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        entries(&passwd).map(|(user, _)| user.to_owned()).collect()
    }

    fn name(&self) -> String {
        fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
    }
}

/// Names and numbers of a passwd(5) file.
fn entries(passwd: &str) -> impl Iterator<Item = (&str, u32)> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _password, uid) = (fields.next()?, fields.next()?, fields.next()?);
        Some((name, uid.parse().ok()?))
    })
}

/// Users of LDAP and other directories are known to the name service switch only, and that lives in the C library;
/// getent(1) asks it without loading its modules into this process.
fn from_name_service(name: &str) -> Option<u32> {
    let output = Command::new("getent")
        .args(["passwd", "--", name])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let line = String::from_utf8(output.stdout).ok()?;
    entries(&line).find(|(user, _)| *user == name).map(|(_, uid)| uid)
}

/// The name servers of a resolv.conf(5) text; with none, the one the C library then uses.
///
/// An interface (`fe80::1%eth0`) is dropped: addresses are compared without one.
pub fn resolv_conf(text: &str) -> Vec<SocketAddr> {
    let mut servers: Vec<SocketAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
            let address: IpAddr = address.split('%').next()?.parse().ok()?;
            Some(SocketAddr::new(address, 53))
        })
        .collect();
    if servers.is_empty() {
        servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers() {
        let text = "# comment\nsearch example.org\nnameserver 10.1.2.3\n  nameserver\t2001:db8::1\nnameserver fe80::1%eth0\nnameserver nonsense\noptions edns0\n";
        let expected = ["10.1.2.3:53", "[2001:db8::1]:53", "[fe80::1]:53"];
        assert_eq!(resolv_conf(text), expected.map(|server| server.parse().unwrap()));
        assert_eq!(resolv_conf(""), ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn passwd_lines() {
        let text = "root:x:0:0:root:/root:/bin/sh\nbroken\n+::::::\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(entries(text).collect::<Vec<_>>(), [("root", 0), ("ada", 1000)]);
    }

    #[test]
    fn root_is_a_user_here() {
        assert_eq!(ThisHost.uid("root"), Some(0));
        assert_eq!(ThisHost.uid("no such user"), None);
        assert_eq!(ThisHost.uid("--help"), None);
    }
}
