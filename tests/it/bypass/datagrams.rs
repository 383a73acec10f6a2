//! Datagrams: only questions to the configured resolver leave, and here there is none.

use super::{Caught::*, Technique, play};

pub(super) const TECHNIQUES: &[Technique] = &[
    Technique { name: "UDP sendto", steps: &["socket u udp4", "sendto u {4} {marker}"], caught: By(&["sendmsg4"]) },
    Technique {
        name: "UDP sendto, IPv6",
        steps: &["socket u udp6", "sendto u {6} {marker}"],
        caught: By(&["sendmsg6"]),
    },
    Technique {
        name: "UDP sendto, v4-mapped",
        steps: &["socket u udp6", "sendto u {mapped} {marker}"],
        caught: By(&["sendmsg4", "sendmsg6"]),
    },
    Technique {
        name: "UDP connect and write",
        steps: &["socket u udp4", "connect u {4}", "write u {marker}"],
        caught: By(&["connect4"]),
    },
    Technique {
        name: "UDP connect and write, IPv6",
        steps: &["socket u udp6", "connect u {6}", "write u {marker}"],
        caught: By(&["connect6"]),
    },
    Technique {
        name: "UDP connect and write, v4-mapped",
        steps: &["socket u udp6", "connect u {mapped}", "write u {marker}"],
        caught: By(&["connect4", "connect6"]),
    },
    Technique { name: "sendmmsg", steps: &["socket u udp4", "mmsg u {4} {marker}"], caught: By(&["sendmsg4"]) },
    Technique {
        name: "UDP connect by io_uring",
        steps: &["socket u udp4", "ring u async {4}", "ring-send u {marker}"],
        caught: By(&["connect4"]),
    },
    Technique {
        name: "UDP-Lite",
        steps: &["socket u udplite4", "sendto u {4} {marker}", "connect u {4}", "write u {marker}"],
        caught: By(&["sock_create"]),
    },
    Technique {
        name: "UDP to port 53 of nobody's resolver",
        steps: &["socket u udp4", "sendto u 10.71.3.97:53 {marker}"],
        caught: By(&["sendmsg4"]),
    },
    Technique {
        name: "UDP to port 443, as QUIC",
        steps: &[
            "socket u udp4",
            "sendto u 10.71.3.97:443 {marker}",
            "socket v udp6",
            "sendto v [fd71:3:5::97]:443 {marker}",
        ],
        caught: By(&["sendmsg4"]),
    },
    Technique {
        name: "UDP broadcast",
        steps: &["socket u udp4", "option u 1 6 01000000", "sendto u 255.255.255.255:4999 {marker}"],
        caught: By(&["sendmsg4"]),
    },
    Technique {
        name: "UDP multicast",
        steps: &["socket u udp4", "sendto u 239.71.3.9:4999 {marker}"],
        caught: By(&["sendmsg4"]),
    },
    Technique {
        name: "UDP connected to itself, then sent elsewhere",
        steps: &["socket u udp4", "bind u 10.71.3.2:61201", "connect u 10.71.3.2:61201", "sendto u {4} {marker}"],
        caught: By(&["sendmsg4", "connect4"]),
    },
    Technique {
        name: "UDP bound to the device",
        steps: &["socket u udp4", "device u {device}", "sendto u {4} {marker}"],
        caught: By(&["sendmsg4"]),
    },
];

#[test]
fn no_datagram_gets_past() {
    play(TECHNIQUES);
}
