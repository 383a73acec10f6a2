//! Managed processes in network namespaces the daemon is not in.

use sallyport_tests::{Bed, Capture, Namespace, Puppet, Server, network, pattern, until};
use std::net::{Ipv4Addr, SocketAddr};

const ISLAND4: Ipv4Addr = Ipv4Addr::new(10, 88, 7, 4);
const BEYOND4: Ipv4Addr = Ipv4Addr::new(10, 88, 7, 201);

/// A namespace, and a host that only it can reach. The device names are those of [`network`], so that a capture works.
fn island() -> (Namespace, Namespace) {
    let (island, beyond) = (Namespace::new(), Namespace::new());
    island.cable("isle0", &beyond, "down0");
    island.ip("link set isle0 up");
    beyond.ip(&format!("link set down0 address {} up", network::THERE_MAC));
    island.ip(&format!("addr add {ISLAND4}/24 dev isle0"));
    beyond.ip(&format!("addr add {BEYOND4}/24 dev down0"));
    (island, beyond)
}

fn job_on(bed: &Bed, island: &Namespace) -> Puppet {
    let cgroup = bed.unit_cgroup("job");
    Puppet::start(["--netns".into(), island.path().into(), "--cgroup".into(), cgroup.path().as_os_str().to_owned()])
}

#[test]
fn a_process_in_another_namespace_is_served_there_from_its_first_connection_on() {
    let bed = Bed::new();
    let (island, beyond) = island();
    let server = Server::echo(&beyond, (BEYOND4, 5301));
    let daemon = bed.daemon(&bed.scope(""));
    let mut job = job_on(&bed, &island);
    for round in 0..3 {
        job.must("socket s tcp4");
        job.must(&format!("connect s {BEYOND4}:5301"));
        assert_eq!(job.must("peer s"), format!("{BEYOND4}:5301"));
        let local: SocketAddr = job.must("local s").parse().expect("an address");
        assert!(local.ip().is_loopback(), "round {round}: {local}");
        job.must("write s hello");
        assert_eq!(job.must("read s 5"), "hello");
        job.must("close s");
    }
    job.must("socket s tcp6");
    job.must(&format!("connect s [::ffff:{BEYOND4}]:5301"));
    job.must("write s mapped");
    assert_eq!(job.must("read s 6"), "mapped");
    job.must("close s");
    assert_eq!(server.peers().iter().map(SocketAddr::ip).collect::<Vec<_>>(), [ISLAND4; 4]);
    let own = daemon.store().show(&daemon.store().session("of the job", |session| session["dest_port"] == 5301));
    assert!(own["netns"].as_u64() > Some(0));
    assert!(daemon.counter("syn_held") >= 1, "the first SYN waited for the listener");
    job.refused("socket r icmp4", libc::EPERM);
    job.must("socket u udp4");
    job.refused(&format!("sendto u {BEYOND4}:5302 x"), libc::EPERM);
    job.end();
    drop((server, island, beyond));
    until("the daemon leaves with the last process", || {
        daemon.log().contains("left a network namespace").then_some(())
    });
}

#[test]
fn entering_another_namespace_is_no_way_out() {
    let bed = Bed::new();
    let (island, beyond) = island();
    let server = Server::echo(&beyond, (BEYOND4, 5311));
    let capture = Capture::start(&beyond);
    let daemon = bed.daemon(&bed.scope(""));
    let _resident = Puppet::start(["--netns".to_owned(), island.path()]);
    let mut job = bed.managed();
    job.must(&format!("network {}", island.path()));
    job.must("socket s tcp4");
    job.must(&format!("connect s {BEYOND4}:5311"));
    job.must("write s hello");
    assert_eq!(job.must("read s 5"), "hello");
    assert_eq!(server.accepted(), 1);
    assert_eq!(daemon.store().session("of the job", |s| s["dest_port"] == 5311)["unit"], bed.unit("job").as_str());
    let past = capture.only(&beyond, |frame| frame.ports.is_some_and(|(from, _)| from >= 61_000));
    assert!(past.is_empty(), "GOT PAST: {past:#?}");
}

/// No connection announces the namespace, so its devices are guarded when the daemon next looks around. Until then a
/// managed root's frames leave: that is a limit, and this is where it ends.
#[test]
fn a_packet_socket_in_another_namespace_is_stopped_once_the_daemon_has_looked() {
    let bed = Bed::new();
    let (island, beyond) = island();
    let capture = Capture::start(&beyond);
    let daemon = bed.daemon(&bed.scope(""));
    let _resident = Puppet::start(["--netns".to_owned(), island.path()]);
    let mut job = bed.managed();
    let links = bed.bpffs().join("sallyport/daemon/links");
    let guarded = || std::fs::read_dir(&links).map_or(0, |links| links.count());
    let before = guarded();
    job.must(&format!("network {}", island.path()));
    until("the devices there are guarded", || (guarded() > before).then_some(()));
    let frame = [&[2, 0x53, 0x50, 0, 2, 0x0b, 2, 0, 0, 0, 0, 1, 0x88, 0xb5][..], b"sally-was-here-in-a-frame"].concat();
    let index = island.run(|| std::fs::read_to_string("/proc/thread-self/net/dev_mcast").expect("a list"));
    let index = index.lines().find(|line| line.contains("isle0")).and_then(|line| line.split_whitespace().next());
    let _ = job.ask("socket p packet-raw");
    let _ = job.ask(&format!("frame p {} 34997 0253500002 {}", index.expect("the device"), pattern::hex(&frame)));
    capture.settle(std::time::Duration::from_millis(500));
    let past = capture.only(&beyond, |frame| frame.holds(b"sally-was-here"));
    assert!(past.is_empty(), "GOT PAST: {past:#?}");
    drop(daemon);
}

/// Devices a managed root makes on top of, or beside, the guarded one.
const DEVICES: [(&str, &[&str]); 2] = [
    ("macvlan", &["run ip link add mv0 link up0 type macvlan mode bridge", "run ip link set mv0 up"]),
    (
        "veth-into-a-bridge",
        &[
            "run ip link add br0 type bridge",
            "run ip link add mv0 type veth peer name mv1",
            "run ip link set mv1 master br0",
            "run ip link set up0 master br0",
            "run ip link set mv0 up",
            "run ip link set mv1 up",
            "run ip link set br0 up",
        ],
    ),
];

#[test]
fn a_device_of_its_own_is_no_way_out() {
    for (name, lines) in DEVICES {
        // The stranger shows that there is a way, and the managed process that it is closed.
        for managed in [false, true] {
            let bed = Bed::new();
            let there = &bed.network().there;
            let capture = Capture::start(there);
            let _daemon = bed.daemon(&bed.scope(""));
            let mut probe = if managed { bed.managed() } else { bed.unmanaged() };
            for line in lines {
                let done = probe.ask(line);
                assert!(managed || done.is_ok(), "{line}: {done:?}");
            }
            let marker = format!("sally-was-here-by-{name}-{managed}");
            let frame = [&[2, 0x53, 0x50, 0, 2, 0x0b, 2, 0, 0, 0, 0, 1, 0x88, 0xb5][..], marker.as_bytes()].concat();
            let index = probe.ask("run cat /proc/self/net/dev_mcast").unwrap_or_default();
            let index =
                index.split("; ").find(|line| line.contains("mv0")).and_then(|line| line.split_whitespace().next());
            let line = format!("frame p {} 34997 0253500002 {}", index.unwrap_or("0"), pattern::hex(&frame));
            let _ = probe.ask("socket p packet-raw");
            // A bridge forwards only when its ports have been up for a moment.
            let got = sallyport_tests::within(std::time::Duration::from_secs(if managed { 1 } else { 20 }), || {
                let _ = probe.ask(&line);
                (!capture.only(there, |frame| frame.holds(marker.as_bytes())).is_empty()).then_some(())
            });
            assert_eq!(got.is_none(), managed, "{name}: {}", if managed { "GOT PAST" } else { "the way is none" });
        }
    }
}
