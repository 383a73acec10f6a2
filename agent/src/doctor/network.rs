//! The listener's port, and what else of the network matters.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::num::NonZeroU16;
use std::ops::RangeInclusive;

use super::Check;
use super::host::Machine;
use crate::config::{Config, Intercept};
use crate::control::Client;

/// Everything about the network.
pub(super) fn checks(machine: &Machine, config: &Config) -> Vec<Check> {
    let mut checks = vec![port(machine, config), ping(machine)];
    let servers: Vec<String> = config.intercept.resolvers.now().iter().map(ToString::to_string).collect();
    checks.push(match servers.len() {
        0 => Check::ok("resolvers", "none: managed processes may ask no name server directly"),
        _ => Check::ok("resolvers", servers.join(", ")),
    });
    checks
}

fn port(machine: &Machine, config: &Config) -> Check {
    let Some(port) = config.intercept.listen_port else { return free_port(machine) };
    let reserved = reserved(machine, port);
    // A daemon that answers is the one that has the port.
    if Client::connect(&config.runtime_dir).is_ok() {
        return reserved;
    }
    match in_use(port) {
        Ok(()) => reserved,
        Err(error) => {
            let advice = "set intercept.listen_port to another one, or leave it out";
            Check::fail(PORT, format!("{port} cannot be listened on: {error}"), advice)
        }
    }
}

const PORT: &str = "listener-port";

fn in_use(port: NonZeroU16) -> io::Result<()> {
    let _v4 = TcpListener::bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port.get()))?;
    match TcpListener::bind(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port.get())) {
        // A host without IPv6 has no such address.
        Err(error)
            if error.kind() != io::ErrorKind::AddrNotAvailable && error.raw_os_error() != Some(libc::EAFNOSUPPORT) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

fn free_port(machine: &Machine) -> Check {
    let (first, last) = (Intercept::FREE_PORTS.start(), Intercept::FREE_PORTS.end());
    let found = format!("a free one of {first} to {last} is taken at start");
    match ephemeral(machine) {
        Some(range) if range.start() <= first && range.end() >= last => Check::warn(
            PORT,
            format!("{found}; all are in net.ipv4.ip_local_port_range"),
            "a client may hold the port at start: set intercept.listen_port, and reserve it in net.ipv4.ip_local_reserved_ports",
        ),
        _ => Check::ok(PORT, found),
    }
}

/// A port that clients are given too may be taken when the daemon starts again.
fn reserved(machine: &Machine, port: NonZeroU16) -> Check {
    let clash = ephemeral(machine).is_some_and(|range| range.contains(&port.get()));
    let list = machine.text("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default();
    let reserved = list.split(',').any(|entry| {
        let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
        matches!((first.trim().parse(), last.trim().parse()), (Ok(first), Ok(last)) if (first..=last).contains(&port.get()))
    });
    if clash && !reserved {
        return Check::warn(
            PORT,
            format!("{port} is in net.ipv4.ip_local_port_range: a client may hold it when the daemon starts"),
            format!("choose one outside, or add it: sysctl -w net.ipv4.ip_local_reserved_ports={port}"),
        );
    }
    Check::ok(PORT, port.to_string())
}

fn ephemeral(machine: &Machine) -> Option<RangeInclusive<u16>> {
    let text = machine.text("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    Some(numbers.next()?.ok()?..=numbers.next()?.ok()?)
}

/// Ping sockets are refused to managed processes when they are made, like raw ones.
fn ping(machine: &Machine) -> Check {
    const NAME: &str = "ping-sockets";
    let text = machine.text("/proc/sys/net/ipv4/ping_group_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse::<u64>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(first), Some(last)) if first <= last => {
            Check::ok(NAME, format!("for groups {first} to {last}; refused to managed processes"))
        }
        _ => Check::ok(NAME, "for nobody but root"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::host::tests::machine;
    use super::*;

    const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
    const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

    #[test]
    fn ports_clients_may_take() {
        for (reserved_ports, port, expected) in [
            ("", 20_000, State::Ok),
            ("", 40_000, State::Warn),
            ("40000", 40_000, State::Ok),
            ("1-5,39999-40001", 40_000, State::Ok),
            ("39999,40001", 40_000, State::Warn),
        ] {
            let (_dir, machine) = machine(&[(RANGE, "32768\t60999\n"), (RESERVED, reserved_ports)]);
            let port = NonZeroU16::new(port).unwrap();
            assert_eq!(reserved(&machine, port).state, expected, "{reserved_ports} {port}");
        }
    }

    #[test]
    fn free_ports_need_room() {
        let (_dir, usual) = machine(&[(RANGE, "32768 60999")]);
        assert_eq!(free_port(&usual).state, State::Ok);
        let (_dir, wide) = machine(&[(RANGE, "1024 65535")]);
        assert_eq!(free_port(&wide).state, State::Warn);
    }

    #[test]
    fn a_port_in_use_is_noticed() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = NonZeroU16::new(taken.local_addr().unwrap().port()).unwrap();
        assert_eq!(in_use(port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn ping_groups() {
        let (_dir, nobody) = machine(&[("/proc/sys/net/ipv4/ping_group_range", "1\t0")]);
        assert!(ping(&nobody).found.contains("nobody"));
        let (_dir, all) = machine(&[("/proc/sys/net/ipv4/ping_group_range", "0\t2147483647")]);
        assert!(ping(&all).found.contains("2147483647"));
    }
}
