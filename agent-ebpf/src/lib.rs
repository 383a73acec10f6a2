//! The ABI between the kernel half and the daemon: plain `#[repr(C)]` data, no behaviour.
//!
//! Every multi-byte number is in host order unless its name ends in `_be`. Addresses are always 16 bytes in
//! network order; IPv4 is written v4-mapped (`::ffff:a.b.c.d`), so one key serves both families.
#![cfg_attr(target_arch = "bpf", no_std)]

/// Version of everything in this file. State pinned by another version is replaced, never reinterpreted.
pub const ABI_VERSION: u32 = 3;

/// An IPv6 or v4-mapped address, network order.
pub type Addr = [u8; 16];

/// The first twelve bytes of a v4-mapped address (RFC 4291 §2.5.5.2).
pub const V4_MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// Offset of `child_pid` in the record of `sched_process_fork`, while command names are kept elsewhere (since about 6.17).
pub const FORK_CHILD: usize = 20;
/// The same while the record holds the command names themselves.
pub const FORK_CHILD_OLD: usize = 44;
/// Offset of `dst_id` in the record of `cgroup_attach_task`.
pub const ATTACH_CGROUP: usize = 16;
/// Offset of `pid` in the record of `cgroup_attach_task`.
pub const ATTACH_PID: usize = 24;

/// Linux's "no login" value for a login uid and for an audit session.
pub const UNSET: u32 = u32::MAX;

/// `IPPROTO_TCP`.
pub const TCP: u8 = 6;
/// `IPPROTO_UDP`.
pub const UDP: u8 = 17;
/// `IPPROTO_MPTCP`; it does not fit the wire's eight bits, so protocol fields are 16 bits wide.
pub const MPTCP: u16 = 262;

/// How many scopes one configuration may have: the size of the [`Scope`] array.
pub const MAX_SCOPES: u32 = 256;

/// Scope number of the start-up canary; never a configured scope.
pub const CANARY_SCOPE: u32 = MAX_SCOPES - 1;

/// The UDP port at which the canary's datagrams pass every hook but the egress backstop.
pub const CANARY_EGRESS_PORT: u16 = 0x4a21;

/// The number used where no scope applies.
pub const NO_SCOPE: u32 = u32::MAX;

/// What the kernel holds of the task that made a socket or asked for a connection.
///
/// Fields the running kernel's type information does not reach are zero (numbers) or [`UNSET`] (ids);
/// [`Task::facts`] says which were read.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Task {
    /// Boot-time start of the thread group leader, nanoseconds (`task_struct.start_boottime`).
    pub start_ns: u64,
    /// Rises by one with each `execve` of the process (`task_struct.self_exec_id`).
    pub exec_id: u64,
    /// Id of the task's cgroup in the v2 hierarchy.
    pub cgroup: u64,
    /// Inode number of the running executable.
    pub exe_ino: u64,
    /// Kernel device number (20 bits of minor) of that inode's file system.
    pub exe_dev: u32,
    /// Process id, in the initial pid namespace.
    pub tgid: u32,
    /// Thread id; for diagnosis only, never an identity.
    pub tid: u32,
    /// Real user id, in the initial user namespace.
    pub uid: u32,
    /// Real group id, in the initial user namespace.
    pub gid: u32,
    /// Audit login uid, or [`UNSET`].
    pub loginuid: u32,
    /// Audit session id, or [`UNSET`].
    pub audit_session: u32,
    /// Bits of `FACT_*`.
    pub facts: u32,
}

/// `start_ns`, `exec_id` were read.
pub const FACT_START: u32 = 1;
/// `loginuid`, `audit_session` were read.
pub const FACT_AUDIT: u32 = 2;
/// `exe_ino`, `exe_dev` were read.
pub const FACT_EXE: u32 = 4;

/// Full 4-tuple of a diverted connection as its client socket sees it, in its network namespace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Network namespace cookie.
    pub netns: u64,
    /// The client's own address.
    pub local: Addr,
    /// The listener's address.
    pub remote: Addr,
    /// The client's own port.
    pub local_port: u16,
    /// The listener's port.
    pub remote_port: u16,
    /// Always zero: keys are compared byte for byte.
    pub pad: u32,
}

impl FlowKey {
    /// The same connection as its other end sees it.
    #[must_use]
    pub fn reversed(self) -> Self {
        let Self { local, remote, local_port, remote_port, .. } = self;
        Self { local: remote, remote: local, local_port: remote_port, remote_port: local_port, ..self }
    }
}

/// What a process asked for, and who asked.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// The task that called `connect`.
    pub task: Task,
    /// Network namespace cookie of the socket.
    pub netns: u64,
    /// The socket's cookie.
    pub cookie: u64,
    /// Cgroup of the task that made the socket; zero when the socket is older than the programs.
    pub socket_cgroup: u64,
    /// When `connect` was called: boot-time clock, nanoseconds.
    pub stamp_ns: u64,
    /// Destination asked for.
    pub dest: Addr,
    /// Destination port asked for.
    pub dest_port: u16,
    /// `IPPROTO_TCP` or `IPPROTO_MPTCP`.
    pub protocol: u16,
    /// Scope number, or [`NO_SCOPE`] while [`Flow::verdict`] is [`Verdict::Unknown`].
    pub scope: u32,
    /// A [`Verdict`].
    pub verdict: u32,
    /// 4 or 6: which connect hook saw it (v4-mapped destinations come through 6).
    pub hook_family: u32,
}

/// What is known of a cgroup, a process image or a socket.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not in any scope: left alone.
    Clear = 0,
    /// In the scope whose number goes with it.
    Managed = 1,
    /// Not yet classified: diverted first, classified in user space.
    Unknown = 2,
    /// A parent whose unknown children have to be classified; itself clear.
    Watched = 3,
    /// The daemon's own cgroup.
    Exempt = 4,
}

/// A verdict with the scope it belongs to: the value of the cgroup, uid and executable maps.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// A [`Verdict`].
    pub verdict: u32,
    /// Scope number; meaningful with [`Verdict::Managed`].
    pub scope: u32,
}

/// Identity of a process image: the inode being executed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExeKey {
    /// Inode number.
    pub ino: u64,
    /// Kernel device number.
    pub dev: u32,
    /// Always zero.
    pub pad: u32,
}

/// An address and port, for the resolver table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Address.
    pub addr: Addr,
    /// Port.
    pub port: u16,
    /// Always zero.
    pub pad: [u16; 3],
}

/// State of one socket. The daemon reads that of sockets it accepted.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketState {
    /// What the last `connect` asked for; meaningful with [`SOCKET_DIVERTED`].
    pub flow: Flow,
    /// Cgroup of the task that made the socket.
    pub cgroup: u64,
    /// Where that task stood when it made the socket.
    pub made_by: Placement,
    /// Bits of `SOCKET_*`.
    pub flags: u32,
    /// That task's process.
    pub maker: u32,
}

/// The connection was rewritten to the listener; the real peer is in [`SocketState::flow`].
pub const SOCKET_DIVERTED: u32 = 1;
/// `connect` was called on it. What has state and not this was accepted: it inherited the state of its listener.
pub const SOCKET_ACTIVE: u32 = 2;
/// The SYN waits for its namespace to get a listener.
pub const SOCKET_HELD: u32 = 4;
/// The socket was opened outside every scope and used from inside one: nothing more of it leaves, and the daemon destroys
/// it.
pub const SOCKET_FOREIGN: u32 = 8;
/// The socket is the listener's side of a diverted connection, described by [`SocketState::flow`].
pub const SOCKET_ARRIVED: u32 = 16;
/// The connection passed undiverted because its scope fails open and nobody listened.
pub const SOCKET_OPEN: u32 = 32;
/// A process in no scope, or in none yet, made the socket to send neither TCP nor UDP.
pub const SOCKET_RAW: u32 = 64;

/// What one scope permits beyond TCP through the proxy.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Boot-time nanoseconds until which the scope is open by an operator's `bypass`; zero when closed.
    pub bypass_until_ns: u64,
    /// Bits of `SCOPE_*`.
    pub flags: u32,
    /// Digest of the scope's name, so that a daemon with another configuration knows the scope again.
    pub name: u32,
}

/// UDP of any kind may leave.
pub const SCOPE_UDP: u32 = 1;
/// Packets of connections that were accepted (not opened) by the scope may leave.
pub const SCOPE_INBOUND: u32 = 2;
/// `fail = "open"`: when nothing listens on the proxy's port, connections pass undiverted.
pub const SCOPE_FAIL_OPEN: u32 = 4;
/// `mode = "observe"`: what the programs would refuse, they report and let pass.
pub const SCOPE_OBSERVE: u32 = 8;

/// Settings that change while the programs run: one entry, index 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// [`ABI_VERSION`] of whoever wrote the maps.
    pub abi: u32,
    /// Port of the proxy's listeners, the same on every loopback address and in every namespace.
    pub listener_port: u32,
    /// Bits of `MATCH_*`.
    pub matching: u32,
    /// Always zero.
    pub pad: u32,
    /// The daemon's own cgroup: exempt.
    pub own_cgroup: u64,
    /// Cookie of the network namespace the daemon runs in.
    pub own_netns: u64,
}

/// Some scope selects by executable: look process images up.
pub const MATCH_EXE: u32 = 1;
/// Some scope selects by user: look uids and login uids up.
pub const MATCH_USER: u32 = 2;

/// Which hook saw something; the order is that of a packet's life.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// `cgroup/sock_create`.
    SockCreate = 0,
    /// `cgroup/bind4`, `cgroup/bind6`.
    Bind = 1,
    /// `cgroup/connect4`.
    Connect4 = 2,
    /// `cgroup/connect6`.
    Connect6 = 3,
    /// `cgroup/sendmsg4`.
    Sendmsg4 = 4,
    /// `cgroup/sendmsg6`.
    Sendmsg6 = 5,
    /// `sock_ops`.
    SockOps = 6,
    /// `cgroup_skb/egress`.
    Egress = 7,
    /// `cgroup/setsockopt`.
    Setsockopt = 8,
    /// Traffic control egress on a device.
    Device = 9,
    /// LSM `socket_create`, `socket_connect`.
    Lsm = 10,
    /// Tracepoint `cgroup_attach_task`.
    Migrate = 11,
}

/// Number of [`Hook`] variants.
pub const HOOKS: u32 = 12;

/// Why an [`Event`] was sent.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A managed process asked for something that is refused.
    Refused = 0,
    /// A packet of a managed socket was dropped on its way out of the host.
    Dropped = 1,
    /// A cgroup or process image nobody has classified opened a socket.
    Unknown = 2,
    /// A managed process connects in a namespace that has no listener yet.
    UnknownNetns = 3,
    /// A managed task sent on a socket that was opened outside every scope.
    ForeignSocket = 4,
    /// A managed task moved a process out of its scope; the process stays managed.
    Escaped = 5,
    /// A connection passed undiverted because its scope fails open and nothing listened.
    FailedOpen = 6,
    /// A connection passed undiverted because its scope is open by `bypass`.
    Bypassed = 7,
    /// A process became a member with whatever it holds open.
    Joined = 8,
}

/// One report from the kernel half, through the ring buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// An [`EventKind`].
    pub kind: u32,
    /// A [`Hook`].
    pub hook: u32,
    /// Scope number or [`NO_SCOPE`].
    pub scope: u32,
    /// Address family of the socket (`AF_*`).
    pub family: u32,
    /// IP protocol.
    pub protocol: u32,
    /// Socket type (`SOCK_*`).
    pub sock_type: u32,
    /// The task at the hook. For [`Hook::Egress`] and [`Hook::Device`] it may be a bystander.
    pub task: Task,
    /// Network namespace cookie, zero where the hook cannot know it.
    pub netns: u64,
    /// Socket cookie.
    pub cookie: u64,
    /// Cgroup of the socket, zero where unknown.
    pub socket_cgroup: u64,
    /// Boot-time nanoseconds.
    pub stamp_ns: u64,
    /// Destination, zero where there is none.
    pub dest: Addr,
    /// Local address, zero where there is none.
    pub local: Addr,
    /// Destination port.
    pub dest_port: u16,
    /// Local port.
    pub local_port: u16,
    /// Always zero.
    pub pad: u32,
}

/// Index into the per-CPU counter array.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Connections diverted to the proxy.
    Diverted = 0,
    /// Diverted connections published with their SYN.
    Published = 1,
    /// Publications that failed: the flow table had no room.
    FlowTableFull = 2,
    /// Per-socket storage could not be made: refused.
    StorageFull = 3,
    /// DNS datagrams or connections to a configured resolver.
    DnsPassed = 4,
    /// UDP refused.
    UdpRefused = 5,
    /// Socket kinds refused.
    SocketRefused = 6,
    /// Attempts to reach or bind the proxy's own port.
    ListenerRefused = 7,
    /// Packets dropped by the egress backstop.
    EgressDropped = 8,
    /// Packets dropped at a device.
    DeviceDropped = 9,
    /// Events the ring buffer had no room for.
    EventsLost = 10,
    /// Connections diverted because they were not classified yet.
    UnknownDiverted = 11,
    /// Connections passed by `fail = "open"`.
    FailedOpen = 12,
    /// Connections passed by `bypass`.
    Bypassed = 13,
    /// Processes that tried to leave their scope by moving cgroup.
    Escapes = 14,
    /// Socket options refused.
    OptionRefused = 15,
    /// SYNs held back until their namespace has a listener.
    SynHeld = 16,
    /// Processes killed because the membership table was full.
    MembersFull = 17,
}

/// Number of [`Counter`] variants.
pub const COUNTERS: u32 = 18;

/// Byte offsets in the running kernel's structures, from its BTF; written into the program's read-only data at load.
///
/// An offset of zero in [`Offsets::group_leader`] means: no type information, read nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// `task_struct.group_leader`
    pub group_leader: u32,
    /// `task_struct.start_boottime`
    pub start_boottime: u32,
    /// `task_struct.self_exec_id`
    pub self_exec_id: u32,
    /// `task_struct.loginuid`, zero without `CONFIG_AUDIT`
    pub loginuid: u32,
    /// `task_struct.sessionid`, zero without `CONFIG_AUDIT`
    pub sessionid: u32,
    /// `task_struct.mm`
    pub mm: u32,
    /// `mm_struct.exe_file`
    pub exe_file: u32,
    /// `file.f_inode`
    pub f_inode: u32,
    /// `inode.i_ino`
    pub i_ino: u32,
    /// `inode.i_sb`
    pub i_sb: u32,
    /// `super_block.s_dev`
    pub s_dev: u32,
    /// `task_struct.tgid`
    pub tgid: u32,
    /// `task_struct.signal`
    pub signal: u32,
    /// `signal_struct.live`
    pub live: u32,
    /// `sock.sk_lock.owned`
    pub lock_owned: u32,
}
