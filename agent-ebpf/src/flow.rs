//! `sock_ops`: publish a diverted connection at ESTABLISHED, withdraw it when its socket closes.

use crate::maps::{FLOWS, count, socket_state};
use aya_ebpf::{
    bindings::{
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB,
        BPF_SOCK_OPS_STATE_CB_FLAG, BPF_TCP_CLOSE, bpf_sock_ops,
    },
    helpers::generated::bpf_sock_ops_cb_flags_set,
    macros::sock_ops,
    programs::SockOpsContext,
};
use sallyport_ebpf::{Addr, Counter, FlowKey, SOCKET_DIVERTED, SOCKET_INBOUND, SocketState, V4_MAPPED};

const AF_INET: u32 = 2;

#[sock_ops]
pub fn on_socket_event(ctx: SockOpsContext) -> u32 {
    let ops = ctx.ops;
    // SAFETY: context fields of a running program.
    let op = unsafe { (*ops).op };
    if op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB
        && op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB
        && op != BPF_SOCK_OPS_STATE_CB
    {
        return 0;
    }
    // SAFETY: as above; null is checked.
    let sk = unsafe { (*ops).__bindgen_anon_2.sk };
    if sk.is_null() {
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

/// An entry that nobody consumed must not be found by the next user of the same 4-tuple.
#[inline(always)]
fn withdraw_closed(ops: *mut bpf_sock_ops, state: &SocketState) {
    // SAFETY: context field of a running program.
    let new_state = unsafe { (*ops).__bindgen_anon_1.args[1] };
    if new_state == BPF_TCP_CLOSE {
        // Missing is the usual case: the daemon took it.
        let _ = FLOWS.remove(&key(ops, state.flow.netns));
    }
}

/// The 4-tuple as the client socket sees it, IPv4 written v4-mapped.
#[inline(always)]
fn key(ops: *mut bpf_sock_ops, netns: u64) -> FlowKey {
    let mut key = FlowKey { netns, ..FlowKey::default() };
    // SAFETY: context fields of a running program, each read at its own width.
    unsafe {
        key.local_port = (*ops).local_port as u16;
        key.remote_port = u32::from_be((*ops).remote_port) as u16;
        if (*ops).family == AF_INET {
            key.local = mapped(core::ptr::read_volatile(&raw const (*ops).local_ip4));
            key.remote = mapped(core::ptr::read_volatile(&raw const (*ops).remote_ip4));
        } else {
            key.local = words(&raw const (*ops).local_ip6);
            key.remote = words(&raw const (*ops).remote_ip6);
        }
    }
    key
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
/// `from` must be an address field of a running program's context.
#[inline(always)]
unsafe fn words(from: *const [u32; 4]) -> Addr {
    // SAFETY: the caller's promise; four loads because the context allows nothing wider.
    unsafe {
        let from = from.cast::<u32>();
        core::mem::transmute::<[u32; 4], Addr>([
            core::ptr::read_volatile(from),
            core::ptr::read_volatile(from.add(1)),
            core::ptr::read_volatile(from.add(2)),
            core::ptr::read_volatile(from.add(3)),
        ])
    }
}
