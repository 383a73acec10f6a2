//! Two hosts in two network namespaces, and the cable between them.

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsFd, AsRawFd},
    process::Command,
    thread,
};

/// The device of the host under test.
pub const DEVICE: &str = "up0";
/// Addresses of the host under test.
pub const HERE4: Ipv4Addr = Ipv4Addr::new(10, 71, 3, 2);
/// As above.
pub const HERE6: Ipv6Addr = Ipv6Addr::new(0xfd71, 3, 5, 0, 0, 0, 0, 2);
/// Addresses of the other host: nothing about them reads the same in another byte order.
pub const THERE4: Ipv4Addr = Ipv4Addr::new(10, 71, 3, 97);
/// As above.
pub const THERE6: Ipv6Addr = Ipv6Addr::new(0xfd71, 3, 5, 0, 0, 0, 0, 0x97);
/// A second address of the other host.
pub const ELSEWHERE4: Ipv4Addr = Ipv4Addr::new(10, 71, 3, 113);
/// An address behind the other host that nobody has.
pub const NOBODY4: Ipv4Addr = Ipv4Addr::new(10, 71, 9, 5);
/// Link addresses.
pub const HERE_MAC: &str = "02:53:50:00:01:0a";
/// As above.
pub const THERE_MAC: &str = "02:53:50:00:02:0b";

/// A network namespace, which lives as long as this value or a process or socket inside.
pub struct Namespace {
    file: File,
}

impl Namespace {
    /// A new one, with nothing but loopback.
    #[expect(clippy::new_without_default, reason = "it is not a plain value")]
    pub fn new() -> Self {
        let made = thread::spawn(|| {
            // Only this thread enters it, and ends at once.
            #[expect(deprecated, reason = "the newer form is unsafe for flags that are not used here")]
            rustix::thread::unshare(UnshareFlags::NEWNET).expect("a network namespace");
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let namespace = Self { file: made.join().unwrap() };
        namespace.ip("link set lo up");
        namespace
    }

    /// A path by which other processes can enter it, while this one lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Runs `work` inside, on a thread of its own.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            match inside.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// `ip(8)` inside.
    pub fn ip(&self, line: &str) {
        let output = self.run(|| Command::new("ip").args(line.split(' ')).output().expect("ip(8) is installed"));
        assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Writes a setting below `/proc/sys/net`.
    pub fn set(&self, name: &str, value: &str) {
        self.run(|| std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap_or_else(|e| panic!("{name}: {e}")));
    }

    /// Joins two namespaces by a cable.
    pub fn cable(&self, device: &str, other: &Self, other_device: &str) {
        self.ip(&format!("link add {device} type veth peer name {other_device} netns {}", other.path()));
    }
}

/// The host under test and the host it talks to.
pub struct Network {
    /// Where the daemon and its processes are.
    pub here: Namespace,
    /// The upstream.
    pub there: Namespace,
}

impl Network {
    /// Both hosts, up and able to reach each other.
    #[expect(clippy::new_without_default, reason = "it is not a plain value")]
    pub fn new() -> Self {
        let (here, there) = (Namespace::new(), Namespace::new());
        here.cable(DEVICE, &there, "down0");
        // Router solicitations and reports of multicast groups are nobody's attack.
        there.set("ipv6/conf/down0/accept_ra", "0");
        here.set(&format!("ipv6/conf/{DEVICE}/accept_ra"), "0");
        here.set(&format!("ipv6/conf/{DEVICE}/router_solicitations"), "0");
        here.ip(&format!("link set {DEVICE} address {HERE_MAC} up"));
        there.ip(&format!("link set down0 address {THERE_MAC} up"));
        here.ip(&format!("addr add {HERE4}/24 dev {DEVICE}"));
        here.ip(&format!("addr add {HERE6}/64 dev {DEVICE} nodad"));
        there.ip(&format!("addr add {THERE4}/24 dev down0"));
        there.ip(&format!("addr add {ELSEWHERE4}/24 dev down0"));
        there.ip(&format!("addr add {THERE6}/64 dev down0 nodad"));
        here.ip(&format!("route add default via {THERE4}"));
        here.ip(&format!("-6 route add default via {THERE6}"));
        Self { here, there }
    }

    /// The index of the device of the host under test.
    pub fn device_index(&self) -> u32 {
        // sysfs shows the namespace it was mounted in; /proc shows that of the reading thread.
        let read = || std::fs::read_to_string("/proc/thread-self/net/dev_mcast").unwrap();
        let listed = self.here.run(read);
        let line = listed.lines().find(|line| line.split_whitespace().nth(1) == Some(DEVICE)).expect("the device");
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// The other host's address of a family.
    pub fn there(v6: bool) -> IpAddr {
        if v6 { THERE6.into() } else { THERE4.into() }
    }
}
