//! The proxy itself: reached without a diversion, bound instead of it, or steered by those it guards.

use super::{Caught::*, Technique, play};
use sallyport_tests::{Bed, Server, network::THERE4, server};

const TECHNIQUES: &[Technique] = &[
    Technique {
        name: "connecting to the listener",
        steps: &["socket s tcp4", "connect s 127.0.0.1:{listener}", "write s {marker}"],
        caught: By(&["connect4"]),
    },
    Technique {
        name: "connecting to the IPv6 listener",
        steps: &["socket s tcp6", "connect s [::1]:{listener}", "write s {marker}"],
        caught: By(&["connect6"]),
    },
    Technique {
        name: "connecting to the listener, v4-mapped",
        steps: &["socket s tcp6", "connect s [::ffff:127.0.0.1]:{listener}", "write s {marker}"],
        caught: By(&["connect6"]),
    },
    Technique {
        name: "connecting to the listener at 127.9.9.9",
        steps: &["socket s tcp4", "connect s 127.9.9.9:{listener}", "write s {marker}"],
        caught: By(&["connect4"]),
    },
    Technique {
        name: "connecting to the listener at 0.0.0.0",
        steps: &["socket s tcp4", "connect s 0.0.0.0:{listener}", "write s {marker}"],
        caught: By(&["connect4"]),
    },
    Technique {
        name: "connecting to the listener at [::]",
        steps: &["socket s tcp6", "connect s [::]:{listener}", "write s {marker}"],
        caught: By(&["connect6"]),
    },
    Technique {
        name: "connecting to the listener with MPTCP",
        steps: &["socket s mptcp4", "connect s 127.0.0.1:{listener}", "write s {marker}"],
        caught: By(&["connect4"]),
    },
    Technique {
        name: "binding the listener's port",
        steps: &[
            "socket s tcp4",
            "option s 1 2 01000000",
            "option s 1 15 01000000",
            "bind s 0.0.0.0:{listener}",
            "listen s",
        ],
        caught: By(&["bind"]),
    },
    Technique {
        name: "binding the listener's port, IPv6",
        steps: &[
            "socket s tcp6",
            "option s 1 2 01000000",
            "option s 1 15 01000000",
            "bind s [::]:{listener}",
            "listen s",
        ],
        caught: By(&["bind"]),
    },
    Technique {
        name: "binding the listener's port as a stranger",
        steps: &[
            "out: socket s tcp4",
            "out: option s 1 15 01000000",
            "out: bind s 127.0.0.1:{listener}",
            "out: listen s",
        ],
        caught: By(&["bind"]),
    },
    Technique {
        name: "binding the listener's port for datagrams",
        steps: &["socket u udp4", "bind u 127.0.0.1:{listener}"],
        caught: By(&["bind"]),
    },
];

#[test]
fn the_listener_serves_nobody_who_was_not_diverted() {
    play(TECHNIQUES);
}

#[test]
fn a_stranger_at_the_listener_is_refused_on_the_record() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let mut stranger = bed.unmanaged();
    for (kind, address) in [
        ("tcp4", "127.0.0.1"),
        ("tcp6", "[::1]"),
        ("mptcp4", "127.0.0.1"),
        ("tcp4", "127.9.9.9"),
        ("tcp6", "[::ffff:127.0.0.1]"),
    ] {
        stranger.must(&format!("socket s {kind}"));
        stranger.refused(&format!("connect s {address}:{}", daemon.port()), libc::EPERM);
        let hook = if kind == "tcp6" { "connect6" } else { "connect4" };
        let shown = address.trim_matches(['[', ']']).trim_start_matches("::ffff:");
        let event = daemon.store().event("of the stranger", |event| {
            event["hook"] == hook && event["dest_addr"] == shown && event["pid"] == stranger.id()
        });
        assert_eq!(event["decision"], "deny");
    }
    assert!(daemon.store().sessions().is_empty());
}

#[test]
fn the_control_socket_does_not_serve_managed_root() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let path = bed.runtime().join("control.sock");
    let status = format!("ask-unix {} \"Status\"", path.display());
    let mut free = bed.unmanaged();
    let answer = free.must(&status);
    let mut job = bed.managed();
    let refused = job.ask(&status);
    assert!(!refused.as_ref().is_ok_and(|said| said.contains("counters")), "{refused:?}");
    // The word is the protocol's only if the one outside gets further than the one inside.
    assert_ne!(refused.as_ref().ok(), Some(&answer), "managed root is served like anybody");
    let mut moved = bed.managed();
    moved.must(&format!("enter {}", sallyport_tests::cgroup::root().display()));
    assert_ne!(moved.ask(&status).ok(), Some(answer), "and so is one that moved away");
    let sallyport = sallyport_tests::daemon::built("sallyport");
    let words = format!("--config {0}/sallyport.toml --runtime-dir {0}/run --state-dir {0}/state", bed.dir().display());
    let opened = job.ask(&format!("run {} bypass --all --for 1h --reason mine {words}", sallyport.display()));
    assert!(opened.is_err(), "{opened:?}");
    assert!(daemon.status()["scopes"][0]["open_until"].is_null());
}

#[test]
fn clients_from_outside_are_answered_only_where_that_is_allowed() {
    for (keys, answered) in [("", false), ("inbound = \"allow\"", true)] {
        let bed = Bed::new();
        let daemon = bed.daemon(&bed.scope(keys));
        let mut job = bed.managed();
        job.must("socket l tcp4");
        job.must("bind l 0.0.0.0:5801");
        job.must("listen l");
        let client = bed.network().there.run(|| {
            let to = std::net::SocketAddr::from((sallyport_tests::network::HERE4, 5801));
            std::net::TcpStream::connect_timeout(&to, std::time::Duration::from_millis(2500))
        });
        assert_eq!(client.is_ok(), answered, "{keys}: {client:?}");
        if answered {
            job.must("accept a l");
            job.must("write a welcome");
            let mut buffer = [0; 7];
            std::io::Read::read_exact(&mut client.as_ref().expect("connected"), &mut buffer).expect("an answer");
            assert_eq!(&buffer, b"welcome");
        } else {
            daemon.store().event("of the answer", |event| event["hook"] == "egress" && event["kind"] == "dropped");
        }
    }
}

/// An accepted connection may be answered; its socket, dissolved and connected anew, is one like any other.
#[test]
fn an_accepted_socket_is_no_way_out() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope("inbound = \"allow\""));
    let there = &bed.network().there;
    let capture = sallyport_tests::Capture::start(there);
    let _server = Server::start(there, (THERE4, 5812).into(), server::hold);
    let mut job = bed.managed();
    job.must("socket l tcp4");
    job.must("bind l 0.0.0.0:5811");
    job.must("listen l");
    let client = there.run(|| std::net::TcpStream::connect((sallyport_tests::network::HERE4, 5811))).expect("a client");
    job.must("accept a l");
    job.must("disconnect a");
    job.must("patience a 700");
    drop(client);
    for options in [&["option a 0 4 8307040a47037100"][..], &["option a 0 4 00000000", "device a up0"]] {
        for option in options {
            let _ = job.ask(option);
        }
        let _ = job.ask(&format!("connect a {THERE4}:5812"));
        let _ = job.ask("write a sally-was-here-5812");
        let _ = job.ask("disconnect a");
    }
    capture.settle(std::time::Duration::from_millis(700));
    let session = daemon.store().sessions_to(5812).len();
    let past = capture
        .only(there, |frame| frame.ports.is_some_and(|(from, to)| to == 5812 && (session == 0 || from >= 61_000)));
    let routed = capture.only(there, |frame| frame.bytes.get(34..36) == Some(&[131, 7]));
    assert!(past.is_empty() && routed.is_empty(), "GOT PAST: {past:#?} {routed:#?}");
}
