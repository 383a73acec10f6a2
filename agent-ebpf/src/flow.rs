//! `sock_ops`: hand a diverted connection from its client socket over to the socket that the daemon will accept.
//!
//! At ESTABLISHED the client's side publishes what is known under the full 4-tuple and the namespace's cookie. Its last
//! packet of the handshake then makes the listener's side, which takes the entry and keeps it in its own storage: from
//! there on nothing is looked up by addresses, which others may come to use, and nothing has to be cleaned up.

use crate::maps::{FLOWS, count, settings, socket_state, socket_state_or_new};
use aya_ebpf::{
    bindings::{
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB,
        BPF_SOCK_OPS_STATE_CB_FLAG, BPF_TCP_CLOSE, bpf_sock, bpf_sock_ops,
    },
    helpers::generated::{bpf_get_netns_cookie, bpf_sock_ops_cb_flags_set},
    macros::sock_ops,
    programs::SockOpsContext,
};
use sallyport_ebpf::{Addr, Counter, FlowKey, SOCKET_ARRIVED, SOCKET_DIVERTED, SOCKET_INBOUND, SocketState, V4_MAPPED};

const AF_INET: u32 = 2;

#[sock_ops]
pub fn on_socket_event(ctx: SockOpsContext) -> u32 {
    let ops = ctx.ops;
    // SAFETY: context fields of a running program.
    let (op, local_port) = unsafe { ((*ops).op, (*ops).local_port) };
    if op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB
        && op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB
        && op != BPF_SOCK_OPS_STATE_CB
    {
        return 0;
    }
    // SAFETY: as above; null is checked.
    let sk: *mut bpf_sock = unsafe { (*ops).__bindgen_anon_2.sk };
    if sk.is_null() {
        return 0;
    }
    if op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && settings().is_some_and(|s| s.listener_port == local_port) {
        receive(ops, sk);
        return 0;
    }
    let Some(state) = socket_state(sk.cast()) else { return 0 };
    if op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB {
        state.flags = SOCKET_INBOUND;
    } else if state.flags & SOCKET_DIVERTED != 0 {
        if op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB {
            publish(ops, state);
        } else {
            withdraw_closed(ops, state);
        }
    }
    0
}

/// The listener's side of the handshake is complete: the entry is taken over. Without one nothing is kept, and the daemon
/// refuses what it accepts.
#[inline(always)]
fn receive(ops: *mut bpf_sock_ops, sk: *mut bpf_sock) {
    // SAFETY: context of a running program.
    let netns = unsafe { bpf_get_netns_cookie(ops.cast()) };
    let key = key(ops, netns).reversed();
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

#[inline(always)]
fn publish(ops: *mut bpf_sock_ops, state: &SocketState) {
    let key = key(ops, state.flow.netns);
    if FLOWS.insert(&key, &state.flow, 0).is_err() {
        // The daemon finds nothing and refuses: exhaustion fails closed.
        count(Counter::FlowTableFull);
        return;
    }
    count(Counter::Published);
    // SAFETY: context of a running program; the flag asks to be told when the socket closes.
    unsafe { bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_STATE_CB_FLAG as i32) };
}

/// An entry that nobody took must not be found by the next user of the same 4-tuple.
#[inline(always)]
fn withdraw_closed(ops: *mut bpf_sock_ops, state: &SocketState) {
    // SAFETY: context field of a running program.
    let new_state = unsafe { (*ops).__bindgen_anon_1.args[1] };
    if new_state == BPF_TCP_CLOSE {
        // Missing is the usual case: the other side took it.
        let _ = FLOWS.remove(&key(ops, state.flow.netns));
    }
}

/// The 4-tuple as this socket sees it, IPv4 written v4-mapped.
#[inline(always)]
fn key(ops: *mut bpf_sock_ops, netns: u64) -> FlowKey {
    // SAFETY: context fields of a running program, each read at its own width. Both families are read before one is
    // chosen: merged code that picks a field at run time is refused by the verifier.
    unsafe {
        let v4 = (*ops).family == AF_INET;
        let (local4, remote4) = (read(&raw const (*ops).local_ip4), read(&raw const (*ops).remote_ip4));
        let (local6, remote6) = (words(&raw const (*ops).local_ip6), words(&raw const (*ops).remote_ip6));
        FlowKey {
            netns,
            local: if v4 { mapped(local4) } else { local6 },
            remote: if v4 { mapped(remote4) } else { remote6 },
            local_port: (*ops).local_port as u16,
            remote_port: u32::from_be((*ops).remote_port) as u16,
            pad: 0,
        }
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
/// `from` must be a field of a running program's context.
#[inline(always)]
unsafe fn read(from: *const u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { core::ptr::read_volatile(from) }
}

/// # Safety
/// `from` must be an address field of a running program's context.
#[inline(always)]
unsafe fn words(from: *const [u32; 4]) -> Addr {
    // SAFETY: the caller's promise; four loads because the context allows nothing wider.
    unsafe {
        let from = from.cast::<u32>();
        core::mem::transmute::<[u32; 4], Addr>([read(from), read(from.add(1)), read(from.add(2)), read(from.add(3))])
    }
}
