//! Connections, by every call that makes one and with every option that might lead it elsewhere.

use super::{Caught::*, Technique, play};

pub(super) const TECHNIQUES: &[Technique] = &[
    Technique {
        name: "TCP over IPv4",
        steps: &["socket s tcp4", "connect s {4}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "TCP over IPv6",
        steps: &["socket s tcp6", "connect s {6}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "TCP over IPv6 to a v4-mapped address",
        steps: &["socket s tcp6", "connect s {mapped}", "write s {marker}"],
        caught: Diverted,
    },
    Technique { name: "MSG_FASTOPEN", steps: &["socket s tcp4", "fastopen s {4} {marker}"], caught: Diverted },
    Technique {
        name: "MSG_FASTOPEN over IPv6",
        steps: &["socket s tcp6", "fastopen s {6} {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "TCP_FASTOPEN_CONNECT",
        steps: &["socket s tcp4", "option s 6 30 01000000", "connect s {4}", "write s {marker}"],
        caught: Diverted,
    },
    Technique { name: "MPTCP", steps: &["socket s mptcp4", "connect s {4}", "write s {marker}"], caught: Diverted },
    Technique {
        name: "MPTCP over IPv6",
        steps: &["socket s mptcp6", "connect s {6}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "MPTCP with MSG_FASTOPEN",
        steps: &["socket s mptcp4", "fastopen s {4} {marker}"],
        caught: DivertedOr(&["connect4"]),
    },
    Technique {
        name: "io_uring connect",
        steps: &["socket s tcp4", "ring s inline {4}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "io_uring connect on a worker",
        steps: &["socket s tcp4", "ring s async {4}", "ring-send {marker}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "io_uring connect on a polling kernel thread",
        steps: &["socket s tcp6", "ring s polled {6}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "a socket made by io_uring",
        steps: &["ring-socket s tcp4", "ring s async {4}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "connect, dissolve, connect elsewhere",
        steps: &["socket s tcp4", "connect s {4}", "disconnect s", "connect s {other}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "a connect that is not waited for",
        steps: &["socket s tcp4", "begin s {4}", "begin s {other}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "SO_MARK",
        steps: &["socket s tcp4", "option s 1 36 2a000000", "connect s {4}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "SO_BINDTODEVICE",
        steps: &["socket s tcp4", "device s {device}", "connect s {4}", "write s {marker}"],
        caught: DivertedOr(&["egress"]),
    },
    Technique {
        name: "SO_BINDTODEVICE over IPv6",
        steps: &["socket s tcp6", "device s {device}", "connect s {6}", "write s {marker}"],
        caught: DivertedOr(&["egress"]),
    },
    Technique {
        name: "SO_BINDTODEVICE after connect was begun",
        steps: &["socket s tcp4", "begin s {4}", "device s {device}", "write s {marker}"],
        caught: DivertedOr(&["egress"]),
    },
    Technique {
        name: "IP_UNICAST_IF",
        steps: &["socket s tcp4", "option s 0 50 00000002", "connect s {4}", "write s {marker}"],
        caught: DivertedOr(&["egress"]),
    },
    Technique {
        // Type 131, seven bytes, pointer at four: by way of 10.71.3.113.
        name: "loose source routing",
        steps: &[
            "socket s tcp4",
            "patience s 700",
            "option s 0 4 8307040a47037100",
            "connect s {4}",
            "write s {marker}",
        ],
        caught: DivertedOr(&["egress"]),
    },
    Technique {
        name: "strict source routing",
        steps: &[
            "socket s tcp4",
            "patience s 700",
            "option s 0 4 8907040a47037100",
            "connect s {4}",
            "write s {marker}",
        ],
        caught: DivertedOr(&["egress"]),
    },
    Technique {
        name: "loose source routing on a connection that is open",
        steps: &[
            "socket s tcp4",
            "connect s {4}",
            "option s 0 4 8307040a47037100",
            "patience s 700",
            "write s {marker}",
        ],
        caught: DivertedOr(&["egress"]),
    },
    Technique {
        // Type 0 routing header of two segments is refused by kernels; type 2 by way of fd71:3:5::97.
        name: "an IPv6 routing header",
        steps: &[
            "socket s tcp6",
            "patience s 700",
            "option s 41 57 0002020100000000fd710003000500000000000000000097",
            "connect s {6}",
            "write s {marker}",
        ],
        caught: DivertedOr(&["egress"]),
    },
    Technique {
        name: "a foreign source address by IP_TRANSPARENT",
        steps: &[
            "socket s tcp4",
            "patience s 700",
            "option s 0 19 01000000",
            "bind s 10.99.1.7:61101",
            "connect s {4}",
            "write s {marker}",
        ],
        caught: Impossible,
    },
    Technique {
        name: "a foreign source address by IP_FREEBIND",
        steps: &[
            "socket s tcp4",
            "patience s 700",
            "option s 0 15 01000000",
            "bind s 10.99.1.9:61102",
            "connect s {4}",
            "write s {marker}",
        ],
        caught: Impossible,
    },
    Technique {
        name: "the address of the host's own device as source",
        steps: &["socket s tcp4", "patience s 1500", "bind s 10.71.3.2:61103", "connect s {4}", "write s {marker}"],
        caught: DivertedOr(&["egress", "connect4"]),
    },
    Technique {
        name: "the IPv6 address of the host's own device as source",
        steps: &["socket s tcp6", "patience s 1500", "bind s [fd71:3:5::2]:61104", "connect s {6}", "write s {marker}"],
        caught: DivertedOr(&["egress", "connect6"]),
    },
    Technique {
        name: "TCP_REPAIR: established without a handshake",
        steps: &[
            "socket s tcp4",
            "patience s 700",
            "option s 6 19 01000000",
            "connect s {4}",
            "option s 6 19 00000000",
            "write s {marker}",
        ],
        caught: Impossible,
    },
    Technique {
        name: "another user",
        steps: &["user 65534", "socket s tcp4", "connect s {4}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "another name",
        steps: &["name sallyport", "socket s tcp4", "connect s {4}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "a thread",
        steps: &["socket s tcp4", "thread connect s {4}", "thread write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "an orphan in a session of its own",
        steps: &["socket s tcp4", "orphan connect s {4}", "orphan write s {marker}"],
        caught: Diverted,
    },
];

#[test]
fn no_connection_gets_past() {
    play(TECHNIQUES);
}
