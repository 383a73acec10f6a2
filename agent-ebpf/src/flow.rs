//! Hand a diverted connection from its client socket over to the socket that the daemon will accept.
//!
//! The client's SYN, on its way out, publishes what is known under the full 4-tuple and the namespace's cookie. The last
//! packet of the handshake makes the listener's side, which takes the entry and keeps it in its own storage: from there
//! on nothing is looked up by addresses, which others may come to use, and nothing has to be cleaned up.
//!
//! An entry that nobody took is never found by the next user of its 4-tuple: who is diverted overwrites it with a SYN of
//! its own, and who is not may not connect to the listener.

use crate::maps::{FLOWS, count, settings, socket_state_or_new};
use aya_ebpf::{
    bindings::{BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, bpf_sock, bpf_sock_ops},
    helpers::generated::bpf_get_netns_cookie,
    macros::sock_ops,
    programs::SockOpsContext,
};
use sallyport_ebpf::{Addr, Counter, Flow, FlowKey, SOCKET_ARRIVED, V4_MAPPED};

const AF_INET: u32 = 2;

/// Publishes the flow of a socket that sends its SYN; false when there is no room. `sk` is a full socket.
#[inline(always)]
pub fn publish(sk: &bpf_sock, flow: &Flow) -> bool {
    let ends = Ends {
        v4: sk.family == AF_INET,
        local_port: sk.src_port as u16,
        remote_port: u16::from_be(sk.dst_port),
        four: [&raw const sk.src_ip4, &raw const sk.dst_ip4],
        six: [&raw const sk.src_ip6, &raw const sk.dst_ip6],
    };
    if FLOWS.insert(&ends.key(flow.netns), flow, 0).is_err() {
        // The listener would not know it.
        count(Counter::FlowTableFull);
        return false;
    }
    count(Counter::Published);
    true
}

/// Attached where the daemon's own sockets are. The listener's side of a handshake is complete: the entry is taken over.
/// Without one nothing is kept, and the daemon refuses what it accepts.
#[sock_ops]
pub fn on_socket_event(ctx: SockOpsContext) -> u32 {
    let ops = ctx.ops;
    // SAFETY: context fields of a running program.
    let (op, local_port) = unsafe { ((*ops).op, (*ops).local_port) };
    if op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && settings().is_some_and(|s| s.listener_port == local_port) {
        receive(ops);
    }
    0
}

#[inline(always)]
fn receive(ops: *mut bpf_sock_ops) {
    // SAFETY: context field of a running program; null is checked.
    let sk: *mut bpf_sock = unsafe { (*ops).__bindgen_anon_2.sk };
    if sk.is_null() {
        return;
    }
    // SAFETY: context fields and helper of a running program.
    let key = unsafe {
        let ends = Ends {
            v4: (*ops).family == AF_INET,
            local_port: (*ops).local_port as u16,
            remote_port: u32::from_be((*ops).remote_port) as u16,
            four: [&raw const (*ops).local_ip4, &raw const (*ops).remote_ip4],
            six: [&raw const (*ops).local_ip6, &raw const (*ops).remote_ip6],
        };
        ends.key(bpf_get_netns_cookie(ops.cast())).reversed()
    };
    // SAFETY: reads a map; nobody else writes this entry any more.
    let Some(flow) = (unsafe { FLOWS.get(&key) }) else { return };
    match socket_state_or_new(sk.cast()) {
        Some(state) => {
            state.flow = *flow;
            state.flags = SOCKET_ARRIVED;
        }
        None => count(Counter::StorageFull),
    }
    // It was there a moment ago.
    let _ = FLOWS.remove(&key);
}

/// Where a context or socket keeps the 4-tuple: local, then remote.
struct Ends {
    v4: bool,
    local_port: u16,
    remote_port: u16,
    four: [*const u32; 2],
    six: [*const [u32; 4]; 2],
}

impl Ends {
    /// The 4-tuple as this socket sees it, IPv4 written v4-mapped. Both families are read before one is chosen: merged
    /// code that picks a field at run time is refused by the verifier.
    #[inline(always)]
    fn key(&self, netns: u64) -> FlowKey {
        // SAFETY: fields of a running program's context, or of a socket it was given.
        let (four, six) = unsafe { (self.four.map(|ip| mapped(read(ip))), self.six.map(|ip| words(ip))) };
        let [local, remote] = if self.v4 { four } else { six };
        FlowKey { netns, local, remote, local_port: self.local_port, remote_port: self.remote_port, pad: 0 }
    }
}

#[inline(always)]
fn mapped(ip: u32) -> Addr {
    let mut addr = [0; 16];
    let (prefix, rest) = addr.split_at_mut(12);
    prefix.copy_from_slice(&V4_MAPPED);
    rest.copy_from_slice(&ip.to_ne_bytes());
    addr
}

/// # Safety
/// `from` must be a field of a running program's context or of a socket.
#[inline(always)]
unsafe fn read(from: *const u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { core::ptr::read_volatile(from) }
}

/// # Safety
/// `from` must be an address field of a running program's context or of a socket.
#[inline(always)]
unsafe fn words(from: *const [u32; 4]) -> Addr {
    // SAFETY: the caller's promise; four loads because the context allows nothing wider.
    unsafe {
        let from = from.cast::<u32>();
        core::mem::transmute::<[u32; 4], Addr>([read(from), read(from.add(1)), read(from.add(2)), read(from.add(3))])
    }
}
