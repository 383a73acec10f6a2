//! Leaving the scope: by moving between cgroups, by becoming somebody else, by what is started on the way.

use super::{Caught::*, Technique, play};

pub(super) const TECHNIQUES: &[Technique] = &[
    Technique {
        name: "moving to the root cgroup",
        steps: &["enter {root}", "socket s tcp4", "connect s {4}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "moving to the root cgroup, and the attempt itself",
        steps: &["enter {root}", "socket u udp4", "sendto u {4} {marker}"],
        caught: By(&["migrate"]),
    },
    Technique {
        name: "moving to a free unit's cgroup",
        steps: &["enter {free}", "socket s tcp6", "connect s {6}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "moving to the daemon's own cgroup",
        steps: &["enter {daemon}", "socket s tcp4", "connect s {4}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "raw ICMP from the daemon's own cgroup",
        steps: &["enter {daemon}", "socket r icmp4", "sendhex r 10.71.3.97:0 {echo}"],
        caught: By(&["sock_create"]),
    },
    Technique {
        name: "a packet socket from the root cgroup",
        steps: &["enter {root}", "socket p packet-raw", "frame p {index} 2048 {mac} {frame}"],
        caught: By(&["device", "lsm", "migrate"]),
    },
    Technique {
        name: "a packet socket from the daemon's own cgroup",
        steps: &["enter {daemon}", "socket p packet-raw", "frame p {index} 2048 {mac} {frame}"],
        caught: By(&["device", "lsm", "migrate"]),
    },
    Technique {
        name: "a packet socket past the queueing discipline from the root cgroup",
        steps: &[
            "enter {root}",
            "socket p packet-raw",
            "option p 263 20 01000000",
            "frame p {index} 2048 {mac} {frame}",
        ],
        caught: By(&["setsockopt", "lsm", "migrate"]),
    },
    Technique {
        name: "a child started after moving",
        steps: &["enter {root}", "socket s tcp4", "child connect s {4}", "child write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "a program started after moving",
        steps: &["enter {root}", "run curl -s -m 3 --http0.9 --local-port 61300-61399 http://{4}/{marker}"],
        caught: Diverted,
    },
    Technique {
        name: "an orphan that moves itself",
        steps: &["orphan enter {root}", "socket s tcp4", "orphan connect s {4}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "an orphan, moved by its parent",
        steps: &["move {pid} {root}", "socket s tcp4", "orphan connect s {4}", "orphan write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "a thread after moving",
        steps: &["enter {free}", "thread socket s tcp4", "thread connect s {4}", "thread write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "moving to the root cgroup, as nobody, and under another name",
        steps: &["enter {root}", "user 65534", "name systemd", "socket s tcp4", "connect s {4}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "io_uring after moving",
        steps: &["enter {root}", "ring-socket s tcp4", "ring s async {4}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "io_uring on a polling kernel thread after moving",
        steps: &["enter {root}", "ring-socket s tcp4", "ring s polled {4}", "write s {marker}"],
        caught: Diverted,
    },
    Technique {
        name: "a namespace of its own",
        steps: &["run unshare -Urn curl -s -m 3 http://{4}/{marker}"],
        caught: Impossible,
    },
    Technique {
        name: "a mount and user namespace of its own",
        steps: &["run unshare -Urm curl -s -m 3 --http0.9 http://{4}/{marker}"],
        caught: Diverted,
    },
];

#[test]
fn no_move_gets_past() {
    play(TECHNIQUES);
}
