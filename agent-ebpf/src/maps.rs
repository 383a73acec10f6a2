//! Every map, and the two or three ways the programs touch them.

use aya_ebpf::{
    bindings::{BPF_F_CLONE, BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE, bpf_map_type::BPF_MAP_TYPE_SK_STORAGE},
    helpers::generated::{bpf_sk_storage_get, bpf_skc_to_mptcp_sock},
    macros::{btf_map, map},
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use core::ffi::c_void;
use sallyport_ebpf::{
    COUNTERS, Counter, Endpoint, ExeKey, Flow, FlowKey, MAX_SCOPES, Offsets, Placement, Scope, Settings, SocketState,
};

/// Capacities are what the daemon starts from; it overrides those that are configured.
const FLOW_CAPACITY: u32 = 65_536;
const PLACE_CAPACITY: u32 = 65_536;

#[map(name = "SETTINGS")]
static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);
#[map(name = "SCOPES")]
static SCOPES: Array<Scope> = Array::with_max_entries(MAX_SCOPES, 0);
#[map(name = "COUNTERS")]
static COUNTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTERS, 0);
/// Published flows, on their way from the client's socket to the listener's. Those that nobody took, because nobody
/// listened, are the ones that make room.
#[map(name = "FLOWS")]
pub static FLOWS: LruHashMap<FlowKey, Flow> = LruHashMap::with_max_entries(FLOW_CAPACITY, 0);
/// Cgroup id → verdict, written by the daemon only.
#[map(name = "CGROUPS")]
pub static CGROUPS: HashMap<u64, Placement> = HashMap::with_max_entries(PLACE_CAPACITY, 0);
/// Uid or login uid → verdict, written by the daemon only.
#[map(name = "USERS")]
pub static USERS: HashMap<u32, Placement> = HashMap::with_max_entries(4096, 0);
/// Process image → verdict, written by the daemon only.
#[map(name = "EXES")]
pub static EXES: LruHashMap<ExeKey, Placement> = LruHashMap::with_max_entries(16_384, 0);
/// Processes that entered a scope, by tgid → scope, or `NO_SCOPE` while the daemon
/// has not classified them. A process leaves only by exiting or by an outsider's hand.
#[map(name = "MEMBERS")]
pub static MEMBERS: HashMap<u32, u32> = HashMap::with_max_entries(PLACE_CAPACITY, 0);
/// DNS servers that may be asked directly.
#[map(name = "RESOLVERS")]
pub static RESOLVERS: HashMap<Endpoint, u32> = HashMap::with_max_entries(64, 0);
/// Network namespaces, other than the daemon's own, that have a listener.
#[map(name = "NAMESPACES")]
pub static NAMESPACES: HashMap<u64, u32> = HashMap::with_max_entries(4096, 0);
/// When a socket was last reported, so that one socket cannot flood the ring.
#[map(name = "REPORTED")]
pub static REPORTED: LruHashMap<u64, u64> = LruHashMap::with_max_entries(8192, 0);
#[map(name = "EVENTS")]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Offsets in the running kernel's structures; read-only data that the daemon fills in at load.
#[unsafe(no_mangle)]
static OFFSETS: Offsets = Offsets {
    group_leader: 0,
    start_boottime: 0,
    self_exec_id: 0,
    loginuid: 0,
    sessionid: 0,
    mm: 0,
    exe_file: 0,
    f_inode: 0,
    i_ino: 0,
    i_sb: 0,
    s_dev: 0,
    tgid: 0,
    signal: 0,
    live: 0,
    lock_owned: 0,
};

/// Socket storage that accepted sockets inherit from their listener.
#[repr(C)]
pub struct SocketMap {
    r#type: *const [i32; BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const SocketState,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize],
}

// SAFETY: the fields describe the map to the loader and are never dereferenced.
unsafe impl Sync for SocketMap {}

#[btf_map]
static SOCKETS: SocketMap = SocketMap {
    r#type: core::ptr::null(),
    key: core::ptr::null(),
    value: core::ptr::null(),
    max_entries: core::ptr::null(),
    map_flags: core::ptr::null(),
};

/// The state kept with a socket, if any. `sk` is any non-null socket pointer of a program's context.
#[inline(always)]
pub fn socket_state(sk: *mut c_void) -> Option<&'static mut SocketState> {
    storage(sk, 0)
}

/// The state kept with a socket, made now if there is none; `None` when the kernel has no memory for it.
#[inline(always)]
pub fn socket_state_or_new(sk: *mut c_void) -> Option<&'static mut SocketState> {
    storage(sk, u64::from(BPF_SK_STORAGE_GET_F_CREATE))
}

/// The state of the Multipath TCP socket that a subflow belongs to: the program of `connect` runs on the subflow, those
/// of `sock_create` and `getpeername` on what the process holds.
#[inline(always)]
pub fn owner_state(subflow: *mut c_void, create: bool) -> Option<&'static mut SocketState> {
    // SAFETY: `subflow` is a socket pointer of a program's context; null is checked.
    let owner = unsafe { bpf_skc_to_mptcp_sock(subflow) };
    if owner.is_null() {
        return None;
    }
    storage(owner.cast(), if create { u64::from(BPF_SK_STORAGE_GET_F_CREATE) } else { 0 })
}

#[inline(always)]
fn storage(sk: *mut c_void, flags: u64) -> Option<&'static mut SocketState> {
    let map = core::ptr::from_ref(&SOCKETS).cast_mut().cast::<c_void>();
    // SAFETY: the verifier checks the map, the socket and every access to the value; storage lives as long as the
    // socket, which outlives the program's run.
    unsafe { bpf_sk_storage_get(map, sk, core::ptr::null_mut(), flags).cast::<SocketState>().as_mut() }
}

/// The daemon's settings; `None` cannot happen for an array, and is treated as "refuse" by every caller.
#[inline(always)]
pub fn settings() -> Option<&'static Settings> {
    SETTINGS.get(0)
}

/// Whether the daemon listens in a network namespace, given by its cookie.
#[inline(always)]
pub fn has_listener(netns: u64, settings: &Settings) -> bool {
    // SAFETY: reads a map.
    netns == settings.own_netns || unsafe { NAMESPACES.get(&netns) }.is_some()
}

/// What a scope permits.
#[inline(always)]
pub fn scope(index: u32) -> Option<&'static Scope> {
    SCOPES.get(index)
}

/// One offset of the running kernel, known to the verifier as a constant.
#[inline(always)]
pub fn offset(pick: fn(&Offsets) -> &u32) -> usize {
    // SAFETY: reads a static; volatile because the loader changes it after compilation.
    unsafe { core::ptr::read_volatile(pick(&OFFSETS)) as usize }
}

/// Adds one to a counter of this CPU.
#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(slot) = COUNTS.get_ptr_mut(counter as u32) {
        // SAFETY: a per-CPU slot, and programs on one CPU do not preempt each other on the same slot's increment
        // in a way that matters for a statistic.
        unsafe { *slot += 1 };
    }
}
