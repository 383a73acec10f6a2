//! Connections that look alike to a careless proxy: equal source ports, reused ones, flows nobody took.

use sallyport_tests::{
    Bed, Daemon, Server,
    network::{ELSEWHERE4, THERE4},
    until,
};
use std::{io::Write, net::TcpStream};

/// A server that says who it is.
fn named(bed: &Bed, addr: impl Into<std::net::SocketAddr>, name: &'static str) -> Server {
    Server::start(&bed.network().there, addr.into(), move |mut stream: TcpStream| {
        let _ = stream.write_all(name.as_bytes());
    })
}

#[test]
fn equal_source_ports_on_two_loopback_addresses_are_two_flows() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let _servers = [named(&bed, (THERE4, 5901), "one"), named(&bed, (ELSEWHERE4, 5902), "two")];
    let mut job = bed.managed();
    daemon.freeze();
    for (name, from, to) in
        [("a", "127.0.0.1", format!("{THERE4}:5901")), ("b", "127.0.0.2", format!("{ELSEWHERE4}:5902"))]
    {
        job.must(&format!("socket {name} tcp4"));
        job.must(&format!("bind {name} {from}:61401"));
        job.must(&format!("connect {name} {to}"));
    }
    daemon.thaw();
    assert_eq!(job.must("read a 3"), "one");
    assert_eq!(job.must("read b 3"), "two");
    job.must("close a");
    job.must("close b");
    let from: Vec<String> = [5901, 5902].map(|port| daemon.store().ended(port)["client_addr"].to_string()).into();
    assert_eq!(from, ["\"127.0.0.1\"", "\"127.0.0.2\""]);
}

#[test]
fn a_reused_port_is_not_taken_for_its_earlier_user() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let servers = [named(&bed, (THERE4, 5911), "one"), named(&bed, (ELSEWHERE4, 5912), "two")];
    let mut job = bed.managed();
    // Nobody takes the first flow while its socket lives.
    daemon.freeze();
    for (name, to) in [("a", format!("{THERE4}:5911")), ("b", format!("{ELSEWHERE4}:5912"))] {
        job.must(&format!("socket {name} tcp4"));
        job.must(&format!("option {name} 1 2 01000000"));
        job.must(&format!("bind {name} 127.0.0.1:61402"));
        job.must(&format!("connect {name} {to}"));
        if name == "a" {
            job.must("reset a");
        }
    }
    daemon.thaw();
    assert_eq!(job.must("read b 3"), "two");
    job.must("close b");
    assert_eq!(daemon.store().ended(5912)["client_port"], 61_402);
    // The first was asked for as well, if only for a moment.
    assert!(servers[0].accepted() <= 1 && servers[1].accepted() == 1);
}

#[test]
fn a_dissolved_connection_does_not_lend_its_target() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let servers = [named(&bed, (THERE4, 5921), "one"), named(&bed, (ELSEWHERE4, 5922), "two")];
    let mut job = bed.managed();
    daemon.freeze();
    job.must("socket s tcp4");
    job.must("bind s 127.0.0.1:61403");
    job.must(&format!("connect s {THERE4}:5921"));
    job.must("disconnect s");
    job.must(&format!("connect s {ELSEWHERE4}:5922"));
    assert_eq!(job.must("peer s"), format!("{ELSEWHERE4}:5922"));
    daemon.thaw();
    assert_eq!(job.must("read s 3"), "two");
    // The first was asked for as well, if only for a moment.
    assert!(servers[0].accepted() <= 1 && servers[1].accepted() == 1);
}

#[test]
fn a_flow_that_nobody_took_is_nobodys() {
    let bed = Bed::new();
    let config = bed.config(&bed.scope(""), "", "");
    let mut daemon = Daemon::start(&bed, &config);
    let servers = [named(&bed, (THERE4, 5925), "one"), named(&bed, (ELSEWHERE4, 5926), "two")];
    let port = daemon.port();
    daemon.kill();
    let (mut job, mut stranger) = (bed.managed(), bed.unmanaged());
    let bind = |puppet: &mut sallyport_tests::Puppet| {
        puppet.must("socket s tcp4");
        puppet.must("option s 1 2 01000000");
        puppet.must("bind s 127.0.0.1:61404");
    };
    // Published by its SYN, and then nobody listened.
    bind(&mut job);
    job.refused(&format!("connect s {THERE4}:5925"), libc::ECONNREFUSED);
    job.must("close s");
    let daemon = Daemon::start(&bed, &config);
    assert_eq!(daemon.port(), port);
    bind(&mut stranger);
    stranger.refused(&format!("connect s 127.0.0.1:{port}"), libc::EPERM);
    stranger.must("close s");
    bind(&mut job);
    job.must(&format!("connect s {ELSEWHERE4}:5926"));
    assert_eq!(job.must("read s 3"), "two");
    job.must("close s");
    assert_eq!(daemon.store().ended(5926)["client_port"], 61_404);
    assert_eq!((servers[0].accepted(), servers[1].accepted()), (0, 1));
    assert!(daemon.store().sessions_to(5925).is_empty());
}

#[test]
fn many_connections_at_once_each_reach_their_own_target() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let names: [&'static str; 8] = ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"];
    let servers: Vec<Server> = (5931..).zip(names).map(|(port, name)| named(&bed, (THERE4, port), name)).collect();
    let mut job = bed.managed();
    let flows: Vec<(usize, usize)> = (0..20).flat_map(|round| (0..8).map(move |server| (round, server))).collect();
    for (round, server) in &flows {
        job.must(&format!("socket s{round}-{server} tcp4"));
        job.must(&format!("begin s{round}-{server} {}", servers[*server].addr()));
    }
    for (round, server) in &flows {
        assert_eq!(job.must(&format!("read s{round}-{server} 2")), names[*server]);
        job.must(&format!("close s{round}-{server}"));
    }
    until("all are recorded", || (daemon.store().sessions().len() == flows.len()).then_some(()));
}
