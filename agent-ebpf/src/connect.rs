//! `connect4/6` divert; `getpeername4/6` keep showing what was asked for.

use crate::{
    datagram,
    maps::{count, has_listener, owner_state, scope, settings, socket_state, socket_state_or_new},
    report, scope as place,
    socket::{ALLOW, DENY, SOCK_DGRAM, SOCK_STREAM},
    task,
};
use aya_ebpf::{
    bindings::{bpf_sock, bpf_sock_addr, bpf_sock_tuple},
    helpers::generated::{
        bpf_get_netns_cookie, bpf_get_socket_cookie, bpf_setsockopt, bpf_sk_lookup_tcp, bpf_sk_release,
    },
    macros::cgroup_sock_addr,
    programs::SockAddrContext,
};
use core::ffi::c_void;
use sallyport_ebpf::{
    Addr, Counter, EventKind, Hook, MPTCP, Placement, SCOPE_FAIL_OPEN, SOCKET_ACTIVE, SOCKET_DIVERTED, SOCKET_HELD,
    SOCKET_OPEN, SOCKET_RAW, Scope, Settings, SocketState, TCP, UDP, V4_MAPPED, Verdict,
};

const LOOPBACK_V4: u32 = 0x7f00_0001;
const SOL_SOCKET: i32 = 1;
const SO_BINDTODEVICE: i32 = 25;
/// `BPF_F_CURRENT_NETNS`: look sockets up in the caller's own namespace.
const CURRENT_NETNS: u64 = u64::MAX;

#[cgroup_sock_addr(connect4)]
pub fn on_connect4(ctx: SockAddrContext) -> i32 {
    connect::<true>(ctx.sock_addr)
}

#[cgroup_sock_addr(connect6)]
pub fn on_connect6(ctx: SockAddrContext) -> i32 {
    connect::<false>(ctx.sock_addr)
}

#[cgroup_sock_addr(getpeername4)]
pub fn on_getpeername4(ctx: SockAddrContext) -> i32 {
    peer::<true>(ctx.sock_addr)
}

#[cgroup_sock_addr(getpeername6)]
pub fn on_getpeername6(ctx: SockAddrContext) -> i32 {
    peer::<false>(ctx.sock_addr)
}

/// Where a call was going.
pub struct Target {
    /// Address asked for.
    pub addr: Addr,
    /// Port asked for, host order.
    pub port: u16,
}

impl Target {
    /// Reads the destination of a `connect` or `sendmsg` context. The family is a constant because each has its own
    /// context fields, and merged code that picks one at run time is refused by the verifier.
    #[inline(always)]
    pub fn read<const V4: bool>(ctx: *mut bpf_sock_addr) -> Self {
        // SAFETY: context fields of a running program, each read at its own width.
        unsafe {
            let port = u16::from_be(core::ptr::read_volatile(&raw const (*ctx).user_port) as u16);
            let mut words = [0, 0, u32::from_be(0xffff), 0];
            if V4 {
                words[3] = core::ptr::read_volatile(&raw const (*ctx).user_ip4);
            } else {
                words[0] = core::ptr::read_volatile(&raw const (*ctx).user_ip6[0]);
                words[1] = core::ptr::read_volatile(&raw const (*ctx).user_ip6[1]);
                words[2] = core::ptr::read_volatile(&raw const (*ctx).user_ip6[2]);
                words[3] = core::ptr::read_volatile(&raw const (*ctx).user_ip6[3]);
            }
            Self { addr: core::mem::transmute::<[u32; 4], Addr>(words), port }
        }
    }

    /// True for every address by which this host reaches its own loopback listeners.
    #[inline(always)]
    fn is_loopback(&self) -> bool {
        let a = &self.addr;
        let v4 = is_mapped(a) && (a[12] == 127 || (a[12] == 0 && a[13] == 0 && a[14] == 0 && a[15] == 0));
        let mut zero = 0;
        for byte in a.iter().take(15) {
            zero |= *byte;
        }
        v4 || (zero == 0 && a[15] <= 1)
    }
}

/// True for `::ffff:a.b.c.d`.
#[inline(always)]
fn is_mapped(addr: &Addr) -> bool {
    let mut differs = 0;
    for (byte, mapped) in addr.iter().zip(V4_MAPPED.iter()) {
        differs |= byte ^ mapped;
    }
    differs == 0
}

#[inline(always)]
fn connect<const V4: bool>(ctx: *mut bpf_sock_addr) -> i32 {
    let Some(settings) = settings() else { return DENY };
    // SAFETY: context field of a running program; the kernel never leaves it null here.
    let sk: *mut bpf_sock = unsafe { (*ctx).__bindgen_anon_1.sk };
    let mut state = socket_state(sk.cast());
    let mut here = place::of_current(settings);
    if let Some(state) = &mut state {
        here = place::strongest(here, place::of_maker(state));
    }
    if let Some(owner) = owner_state(sk.cast(), false) {
        here = place::strongest(here, place::of_maker(owner));
    }
    if place::is_free(here) {
        if let Some(state) = state {
            state.flags = SOCKET_ACTIVE | (state.flags & SOCKET_RAW);
        }
        return stranger::<V4>(ctx, here, settings);
    }
    // SAFETY: context fields of a running program.
    let (kind, protocol) = unsafe { ((*ctx).type_, (*ctx).protocol) };
    if kind == SOCK_DGRAM && protocol == u32::from(UDP) {
        return datagram::judge::<V4>(ctx, here, hook::<V4>());
    }
    if kind != SOCK_STREAM || (protocol != u32::from(TCP) && protocol != u32::from(MPTCP)) {
        if place::is_unknown(here) {
            // What it sends is lost at the egress hook until somebody knows.
            return ALLOW;
        }
        count(Counter::SocketRefused);
        report_target::<V4>(ctx, here, EventKind::Refused);
        return if place::observes(scope(here.scope)) { ALLOW } else { DENY };
    }
    judge_stream::<V4>(ctx, here, settings)
}

/// Nobody reaches the listener but by being diverted: a flow that was published and not taken yet must not be found by
/// a stranger who comes from the same address and port.
#[inline(always)]
fn stranger<const V4: bool>(ctx: *mut bpf_sock_addr, here: Placement, settings: &Settings) -> i32 {
    // SAFETY: context fields of a running program.
    let (port, kind) = unsafe { ((*ctx).user_port, (*ctx).type_) };
    if port != u32::from((settings.listener_port as u16).to_be()) || kind != SOCK_STREAM {
        return ALLOW;
    }
    // SAFETY: takes the context of a running program.
    if !Target::read::<V4>(ctx).is_loopback() || !has_listener(unsafe { bpf_get_netns_cookie(ctx.cast()) }, settings) {
        return ALLOW;
    }
    count(Counter::ListenerRefused);
    report_target::<V4>(ctx, here, EventKind::Refused);
    DENY
}

#[inline(always)]
fn judge_stream<const V4: bool>(ctx: *mut bpf_sock_addr, here: Placement, settings: &Settings) -> i32 {
    let target = Target::read::<V4>(ctx);
    if u32::from(target.port) == settings.listener_port && target.is_loopback() {
        count(Counter::ListenerRefused);
        report_target::<V4>(ctx, here, EventKind::Refused);
        return DENY;
    }
    // SAFETY: context field of a running program.
    let sk: *mut bpf_sock = unsafe { (*ctx).__bindgen_anon_1.sk };
    let Some(state) = socket_state_or_new(sk.cast()) else {
        count(Counter::StorageFull);
        return DENY;
    };
    if let Some(scope) = scope(here.scope)
        && let Some(opened) = is_open(ctx, scope, settings)
    {
        state.flags = SOCKET_ACTIVE | if opened == EventKind::FailedOpen { SOCKET_OPEN } else { 0 };
        report_target::<V4>(ctx, here, opened);
        return ALLOW;
    }
    keep::<V4>(ctx, here, &target, state);
    if let Some(owner) = owner_state(sk.cast(), true) {
        owner.flow = state.flow;
        owner.flow.protocol = MPTCP;
        owner.flags |= SOCKET_ACTIVE | SOCKET_DIVERTED;
        state.flow.protocol = MPTCP;
    }
    if !has_listener(state.flow.netns, settings) {
        state.flags |= SOCKET_HELD;
        report_target::<V4>(ctx, here, EventKind::UnknownNetns);
    }
    rewrite::<V4>(ctx, &target, settings);
    count(if place::is_unknown(here) { Counter::UnknownDiverted } else { Counter::Diverted });
    ALLOW
}

/// Why the scope's traffic passes undiverted now, if it does: an operator's bypass, or fail-open with nobody listening.
#[inline(always)]
fn is_open(ctx: *mut bpf_sock_addr, scope: &Scope, settings: &Settings) -> Option<EventKind> {
    if scope.bypass_until_ns > report::now() {
        count(Counter::Bypassed);
        return Some(EventKind::Bypassed);
    }
    if scope.flags & SCOPE_FAIL_OPEN == 0 || listener_lives(ctx, settings) {
        return None;
    }
    count(Counter::FailedOpen);
    Some(EventKind::FailedOpen)
}

#[inline(always)]
fn listener_lives(ctx: *mut bpf_sock_addr, settings: &Settings) -> bool {
    // SAFETY: all-zero is a valid tuple; the v4 half is then filled in. A found socket is released at once.
    unsafe {
        let mut tuple: bpf_sock_tuple = core::mem::zeroed();
        tuple.__bindgen_anon_1.ipv4.daddr = LOOPBACK_V4.to_be();
        tuple.__bindgen_anon_1.ipv4.dport = (settings.listener_port as u16).to_be();
        let found = bpf_sk_lookup_tcp(ctx.cast(), &raw mut tuple, 12, CURRENT_NETNS, 0);
        if found.is_null() {
            return false;
        }
        bpf_sk_release(found.cast());
        true
    }
}

/// Keeps with the socket what was asked for and who asked.
#[inline(always)]
fn keep<const V4: bool>(ctx: *mut bpf_sock_addr, here: Placement, target: &Target, state: &mut SocketState) {
    let flow = &mut state.flow;
    task::capture(&mut flow.task);
    // SAFETY: both helpers take the context of a running program.
    unsafe {
        flow.netns = bpf_get_netns_cookie(ctx.cast());
        flow.cookie = bpf_get_socket_cookie(ctx.cast());
        flow.protocol = (*ctx).protocol as u16;
    }
    flow.socket_cgroup = state.cgroup;
    flow.stamp_ns = report::now();
    flow.dest = target.addr;
    flow.dest_port = target.port;
    flow.scope = here.scope;
    flow.verdict = here.verdict;
    flow.hook_family = if V4 { 4 } else { 6 };
    // Whatever this socket was before, it is a diverted one now.
    state.flags = SOCKET_ACTIVE | SOCKET_DIVERTED;
}

/// Turns the destination into the listener. A device binding would carry the packet off loopback, so it is undone;
/// where the kernel does not allow that, the backstop drops the packet.
#[inline(always)]
fn rewrite<const V4: bool>(ctx: *mut bpf_sock_addr, target: &Target, settings: &Settings) {
    let mut nothing = [0u8; 4];
    // SAFETY: context fields of a running program, each written at its own width; the option buffer outlives the call.
    unsafe {
        let sk = (*ctx).__bindgen_anon_1.sk;
        if (*sk).bound_dev_if != 0 {
            let none = nothing.as_mut_ptr().cast::<c_void>();
            bpf_setsockopt(ctx.cast(), SOL_SOCKET, SO_BINDTODEVICE, none, nothing.len() as i32);
        }
        let port = u32::from((settings.listener_port as u16).to_be());
        core::ptr::write_volatile(&raw mut (*ctx).user_port, port);
        if V4 {
            core::ptr::write_volatile(&raw mut (*ctx).user_ip4, LOOPBACK_V4.to_be());
            return;
        }
        let mapped = is_mapped(&target.addr);
        core::ptr::write_volatile(&raw mut (*ctx).user_ip6[0], 0);
        core::ptr::write_volatile(&raw mut (*ctx).user_ip6[1], 0);
        core::ptr::write_volatile(&raw mut (*ctx).user_ip6[2], if mapped { 0xffff_u32.to_be() } else { 0 });
        core::ptr::write_volatile(
            &raw mut (*ctx).user_ip6[3],
            if mapped { LOOPBACK_V4.to_be() } else { 1_u32.to_be() },
        );
    }
}

#[inline(always)]
fn peer<const V4: bool>(ctx: *mut bpf_sock_addr) -> i32 {
    let Some(settings) = settings() else { return ALLOW };
    // SAFETY: context fields of a running program.
    let (sk, port): (*mut bpf_sock, u32) = unsafe { ((*ctx).__bindgen_anon_1.sk, (*ctx).user_port) };
    if port != u32::from((settings.listener_port as u16).to_be()) {
        return ALLOW;
    }
    let Some(state) = socket_state(sk.cast()) else { return ALLOW };
    if state.flags & SOCKET_DIVERTED == 0 {
        return ALLOW;
    }
    // SAFETY: context fields of a running program, each written at its own width.
    unsafe {
        let words = core::mem::transmute::<Addr, [u32; 4]>(state.flow.dest);
        core::ptr::write_volatile(&raw mut (*ctx).user_port, u32::from(state.flow.dest_port.to_be()));
        if V4 {
            core::ptr::write_volatile(&raw mut (*ctx).user_ip4, words[3]);
        } else {
            core::ptr::write_volatile(&raw mut (*ctx).user_ip6[0], words[0]);
            core::ptr::write_volatile(&raw mut (*ctx).user_ip6[1], words[1]);
            core::ptr::write_volatile(&raw mut (*ctx).user_ip6[2], words[2]);
            core::ptr::write_volatile(&raw mut (*ctx).user_ip6[3], words[3]);
        }
    }
    ALLOW
}

/// The connect hook of a family.
#[inline(always)]
fn hook<const V4: bool>() -> Hook {
    if V4 { Hook::Connect4 } else { Hook::Connect6 }
}

#[inline(always)]
fn report_target<const V4: bool>(ctx: *mut bpf_sock_addr, here: Placement, kind: EventKind) {
    datagram::report_call::<V4>(ctx, here, hook::<V4>(), kind);
}

const _: () = assert!(Verdict::Clear as u32 == 0, "zeroed storage must read as clear");
