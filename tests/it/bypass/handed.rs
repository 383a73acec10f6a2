//! Sockets that are older than the scope's hold on their user, or come from or go to somebody outside.

use super::{Caught::*, Technique, play};
use sallyport_tests::{Bed, until};

pub(super) const TECHNIQUES: &[Technique] = &[
    Technique {
        name: "a socket made before joining, connected after",
        steps: &["out: socket s tcp4", "out: enter {job}", "out: connect s {4}", "out: write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "a connection made before joining, used after",
        steps: &[
            "out: socket s tcp4",
            "out: connect s {4}",
            "out: enter {job}",
            "out: patience s 700",
            "out: write s {marker}",
            "out: write s {marker}",
        ],
        caught: Ended(&["egress"]),
    },
    Technique {
        name: "an IPv6 connection made before joining, used after by a child",
        steps: &[
            "out: socket s tcp6",
            "out: connect s {6}",
            "out: enter {job}",
            "out: patience s 700",
            "out: child write s {marker}",
        ],
        caught: Ended(&["egress"]),
    },
    Technique {
        name: "an MPTCP connection made before joining, used after",
        steps: &[
            "out: socket s mptcp4",
            "out: connect s {4}",
            "out: enter {job}",
            "out: patience s 700",
            "out: write s {marker}",
        ],
        caught: Ended(&["egress"]),
    },
    Technique {
        name: "a connection made before joining a cgroup that is new below the unit",
        steps: &[
            "out: socket s tcp4",
            "out: connect s {4}",
            "out: patience s 700",
            "out: run mkdir -p {job}/new/newer",
            "out: enter {job}/new/newer",
            "out: write s {marker}",
            "out: write s {marker}",
        ],
        caught: Ended(&["egress"]),
    },
    Technique {
        name: "a datagram socket connected before joining a cgroup that is new below the unit",
        steps: &[
            "out: socket u udp4",
            "out: connect u {4}",
            "out: run mkdir -p {job}/fresh",
            "out: enter {job}/fresh",
            "out: write u {marker}",
        ],
        caught: Ended(&["egress"]),
    },
    Technique {
        name: "a connection made before joining, kept busy while joining",
        steps: &[
            "out: socket s tcp4",
            "out: connect s {4}",
            "out: write s early",
            "out: enter {job}",
            "out: patience s 700",
            "out: write s {marker}",
            "out: write s {marker}",
            "out: write s {marker}",
        ],
        caught: Ended(&["egress"]),
    },
    Technique {
        name: "UDP connected before joining, used after",
        steps: &["out: socket u udp4", "out: connect u {4}", "out: enter {job}", "out: write u {marker}"],
        caught: Ended(&["egress"]),
    },
    Technique {
        name: "a raw socket made before joining, used after",
        steps: &["out: socket r icmp4", "out: enter {job}", "out: sendhex r 10.71.3.97:0 {echo}"],
        caught: Ended(&["egress"]),
    },
    Technique {
        name: "a packet socket made before joining, used after",
        steps: &["out: socket p packet-raw", "out: enter {job}", "out: frame p {index} 2048 {mac} {frame}"],
        caught: Ended(&["device", "migrate"]),
    },
    Technique {
        name: "a connection handed in",
        steps: &[
            "unix-listen d {door}",
            "out: socket s tcp4",
            "out: connect s {4}",
            "out: give s {door}",
            "take s d",
            "patience s 700",
            "write s {marker}",
            "write s {marker}",
        ],
        caught: Ended(&["egress"]),
    },
    Technique {
        name: "a datagram socket handed in, connected",
        steps: &[
            "unix-listen d {door}",
            "out: socket u udp4",
            "out: connect u {4}",
            "out: give u {door}",
            "take u d",
            "write u {marker}",
        ],
        caught: Ended(&["egress"]),
    },
    Technique {
        name: "a socket handed in, then connected",
        steps: &[
            "unix-listen d {door}",
            "out: socket s tcp4",
            "out: give s {door}",
            "take s d",
            "connect s {4}",
            "write s {marker}",
        ],
        caught: Diverted,
    },
    Technique {
        name: "a datagram socket handed in, then sent on",
        steps: &[
            "unix-listen d {door}",
            "out: socket u udp4",
            "out: give u {door}",
            "take u d",
            "sendto u {4} {marker}",
        ],
        caught: By(&["sendmsg4"]),
    },
    Technique {
        name: "a socket handed out, connected by the stranger",
        steps: &[
            "socket s tcp4",
            "out: unix-listen d {door}",
            "give s {door}",
            "out: take s d",
            "out: connect s {4}",
            "out: write s {marker}",
        ],
        caught: Diverted,
    },
    Technique {
        name: "an MPTCP socket handed out, connected by the stranger",
        steps: &[
            "socket s mptcp4",
            "out: unix-listen d {door}",
            "give s {door}",
            "out: take s d",
            "out: connect s {4}",
            "out: write s {marker}",
        ],
        caught: Diverted,
    },
    Technique {
        name: "a datagram socket handed out, sent on by the stranger",
        steps: &[
            "socket u udp6",
            "out: unix-listen d {door}",
            "give u {door}",
            "out: take u d",
            "out: sendto u {6} {marker}",
        ],
        caught: By(&["sendmsg6"]),
    },
    Technique {
        name: "a packet socket handed out, sent on by the stranger",
        steps: &[
            "socket p packet-raw",
            "out: unix-listen d {door}",
            "give p {door}",
            "out: take p d",
            "out: frame p {index} 2048 {mac} {frame}",
        ],
        caught: By(&["device", "lsm", "migrate"]),
    },
];

#[test]
fn no_handed_or_older_socket_gets_past() {
    play(TECHNIQUES);
}

/// Nothing sees what such a socket sends, so the process that carries one in is ended; a frame may leave before that.
#[test]
fn a_packet_socket_past_the_queueing_discipline_ends_who_carries_it_in() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let job = bed.unit_cgroup("job");
    let mut outsider = bed.unmanaged();
    outsider.must("socket p packet-raw");
    outsider.must("option p 263 20 01000000");
    outsider.tell(&format!("enter {}", job.path().display()));
    daemon.store().event("of the ended process", |e| e["kind"] == "foreign-socket" && e["hook"] == "migrate");
    until("the process is gone", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", outsider.id())).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}
