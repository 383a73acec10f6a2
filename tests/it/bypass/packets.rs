//! Raw and packet sockets, and families that have little to do with IP.

use super::{Caught::*, OWN_PORTS, Technique, marker, play};
use sallyport_tests::{
    capture::mac,
    network::{HERE_MAC, HERE4, HERE6, THERE_MAC, THERE4, THERE6},
};

pub(super) const TECHNIQUES: &[Technique] = &[
    Technique {
        name: "raw ICMP",
        steps: &["socket r icmp4", "sendhex r 10.71.3.97:0 {echo}"],
        caught: By(&["sock_create"]),
    },
    Technique {
        name: "raw ICMPv6",
        steps: &["socket r icmp6", "sendhex r [fd71:3:5::97]:0 {echo6}"],
        caught: By(&["sock_create"]),
    },
    Technique {
        name: "IPPROTO_RAW",
        steps: &["socket r raw4", "sendhex r 10.71.3.97:0 {packet}"],
        caught: By(&["sock_create"]),
    },
    Technique {
        name: "IPPROTO_RAW over IPv6",
        steps: &["socket r raw6", "sendhex r [fd71:3:5::97]:0 {packet6}"],
        caught: By(&["sock_create"]),
    },
    Technique {
        name: "raw TCP",
        steps: &["socket r rawtcp4", "sendhex r 10.71.3.97:0 {segment}"],
        caught: By(&["sock_create"]),
    },
    Technique {
        name: "a raw socket of a reserved protocol",
        steps: &["socket r 2,3,253", "sendto r 10.71.3.97:0 {marker}"],
        caught: By(&["sock_create"]),
    },
    Technique {
        name: "a ping socket",
        steps: &["socket r ping4", "sendhex r 10.71.3.97:0 {echo}"],
        caught: By(&["sock_create"]),
    },
    // Under load the search of who joined may come after the socket was made: then its process is ended.
    Technique {
        name: "a packet socket",
        steps: &["socket p packet-raw", "frame p {index} 2048 {mac} {frame}"],
        caught: By(&["device", "lsm", "migrate"]),
    },
    Technique {
        name: "a cooked packet socket",
        steps: &["socket p packet-dgram", "frame p {index} 2048 {mac} {packet}"],
        caught: By(&["device", "lsm", "migrate"]),
    },
    Technique {
        name: "a packet socket past the queueing discipline",
        steps: &["socket p packet-raw", "option p 263 20 01000000", "frame p {index} 2048 {mac} {frame}"],
        caught: By(&["setsockopt", "lsm", "migrate"]),
    },
    Technique {
        name: "a packet socket past the queueing discipline, by a long option",
        steps: &["socket p packet-raw", "option p 263 20 0100000000000000", "frame p {index} 2048 {mac} {frame}"],
        caught: By(&["setsockopt", "lsm", "migrate"]),
    },
    Technique {
        name: "a packet socket made in a child, used by an orphan",
        steps: &["socket p packet-raw", "orphan frame p {index} 2048 {mac} {frame}"],
        caught: By(&["device", "lsm", "migrate"]),
    },
    Technique {
        name: "AF_XDP",
        // Registers memory for frames: address, length, chunk size, headroom, flags.
        steps: &["socket x xdp", "option x 283 4 0000000000000000000000000000000000080000000000000000000000000000"],
        caught: By(&["setsockopt", "lsm"]),
    },
    Technique {
        name: "SCTP",
        steps: &["socket s sctp4", "connect s {4}", "socket q sctp-seq4", "sendto q {4} {marker}"],
        caught: Impossible,
    },
    Technique { name: "DCCP", steps: &["socket s dccp4", "connect s {4}", "write s {marker}"], caught: Impossible },
    Technique { name: "SMC", steps: &["socket s smc4", "connect s {4}", "write s {marker}"], caught: Impossible },
    Technique {
        name: "vsock",
        steps: &["socket s vsock", "patience s 500", "connect s vsock:2:5999", "write s {marker}"],
        caught: Impossible,
    },
];

#[test]
fn no_packet_gets_past() {
    play(TECHNIQUES);
}

#[test]
fn protocols_this_kernel_lacks_have_no_sockets() {
    let bed = sallyport_tests::Bed::new();
    let _daemon = bed.daemon(&bed.scope(""));
    let mut job = bed.managed();
    for kind in ["sctp4", "sctp-seq4", "dccp4"] {
        assert!(job.ask(&format!("socket s {kind}")).is_err(), "{kind} has a socket");
    }
}

/// A host's own virtual machines and their host are outside of IP: without LSM programs a vsock socket can be made, and
/// is a known limit. On a host with no transport for it, it leads nowhere.
#[test]
fn a_vsock_socket_leads_nowhere_here() {
    let bed = sallyport_tests::Bed::new();
    let _daemon = bed.daemon(&bed.scope(""));
    let mut job = bed.managed();
    if job.ask("socket s vsock").is_ok() {
        let _ = job.ask("patience s 500");
        assert!(job.ask("connect s vsock:2:5999").is_err(), "the host of this machine answers");
    }
}

/// An Ethernet frame with [`packet`] inside.
pub(super) fn frame(port: u16) -> Vec<u8> {
    [&mac(THERE_MAC)[..], &mac(HERE_MAC)[..], &[8, 0], &packet(port)].concat()
}

/// An IPv4 packet with a UDP datagram that holds the marker.
pub(super) fn packet(port: u16) -> Vec<u8> {
    let data = marker(port);
    let len = u16::try_from(data.len()).expect("a short marker");
    let mut udp = [OWN_PORTS.to_be_bytes(), port.to_be_bytes(), (8 + len).to_be_bytes(), [0, 0]].concat();
    udp.extend(data.bytes());
    ip(libc::IPPROTO_UDP as u8, &udp)
}

/// A TCP segment that asks for a connection; the marker goes along.
pub(super) fn segment(port: u16) -> Vec<u8> {
    let mut tcp = [OWN_PORTS.to_be_bytes(), port.to_be_bytes()].concat();
    tcp.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.extend(marker(port).bytes());
    tcp
}

/// An ICMP echo request with its checksum.
pub(super) fn echo(port: u16) -> Vec<u8> {
    let mut icmp = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1];
    icmp.extend(marker(port).bytes());
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    icmp
}

/// An ICMPv6 echo request; the kernel fills its checksum in.
pub(super) fn echo6(port: u16) -> Vec<u8> {
    let mut icmp = vec![128, 0, 0, 0, 0x12, 0x34, 0, 1];
    icmp.extend(marker(port).bytes());
    icmp
}

/// An IPv6 packet of a reserved protocol that holds the marker.
pub(super) fn packet6(port: u16) -> Vec<u8> {
    let data = marker(port);
    let len = u16::try_from(data.len()).expect("a short marker").to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, len[0], len[1], 253, 64];
    packet.extend(HERE6.octets());
    packet.extend(THERE6.octets());
    packet.extend(data.bytes());
    packet
}

fn ip(protocol: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + body.len()).expect("a short packet").to_be_bytes();
    let mut header = vec![0x45, 0, len[0], len[1], 0, 7, 0, 0, 64, protocol, 0, 0];
    header.extend(HERE4.octets());
    header.extend(THERE4.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [&header, body].concat()
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(*two.get(1).unwrap_or(&0))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}
