//! UDP: DNS to the configured resolvers passes and is counted; the rest is refused, so that QUIC falls back to TCP.

use crate::{
    connect::Target,
    maps::{RESOLVERS, count, scope, settings, socket_state},
    report, scope as place,
    socket::{ALLOW, DENY},
    task,
};
use aya_ebpf::{
    bindings::{bpf_sock, bpf_sock_addr},
    helpers::generated::{bpf_get_netns_cookie, bpf_get_socket_cookie},
    macros::cgroup_sock_addr,
    programs::SockAddrContext,
};
use sallyport_ebpf::{CANARY_SCOPE, Counter, Endpoint, EventKind, Hook, Placement, SCOPE_UDP};

#[cgroup_sock_addr(sendmsg4)]
pub fn on_sendmsg4(ctx: SockAddrContext) -> i32 {
    sendmsg::<true>(ctx.sock_addr, Hook::Sendmsg4)
}

#[cgroup_sock_addr(sendmsg6)]
pub fn on_sendmsg6(ctx: SockAddrContext) -> i32 {
    sendmsg::<false>(ctx.sock_addr, Hook::Sendmsg6)
}

#[inline(always)]
fn sendmsg<const V4: bool>(ctx: *mut bpf_sock_addr, hook: Hook) -> i32 {
    let Some(settings) = settings() else { return DENY };
    // SAFETY: context field of a running program.
    let sk: *mut bpf_sock = unsafe { (*ctx).__bindgen_anon_1.sk };
    let mut here = place::of_current(settings);
    if let Some(state) = socket_state(sk.cast()) {
        here = place::strongest(here, place::of_maker(state));
    }
    if place::is_free(here) { ALLOW } else { judge::<V4>(ctx, here, hook) }
}

/// Judges one destination of a datagram socket of a task that is in scope or unknown.
#[inline(always)]
pub fn judge<const V4: bool>(ctx: *mut bpf_sock_addr, here: Placement, hook: Hook) -> i32 {
    let target = Target::read::<V4>(ctx);
    if is_resolver(&Endpoint { addr: target.addr, port: target.port, pad: [0; 3] }) {
        count(Counter::DnsPassed);
        return ALLOW;
    }
    if let Some(scope) = scope(here.scope)
        && (scope.flags & SCOPE_UDP != 0 || scope.bypass_until_ns > report::now())
    {
        return ALLOW;
    }
    if place::is_unknown(here) {
        // Lost at the egress hook until somebody knows.
        report_call::<V4>(ctx, here, hook, EventKind::Unknown);
        return ALLOW;
    }
    count(Counter::UdpRefused);
    report_call::<V4>(ctx, here, hook, EventKind::Refused);
    if place::observes(scope(here.scope)) || is_canary_probe(here, &target) { ALLOW } else { DENY }
}

/// True for a configured DNS server.
#[inline(always)]
pub fn is_resolver(endpoint: &Endpoint) -> bool {
    // SAFETY: reads a map.
    unsafe { RESOLVERS.get(endpoint) }.is_some()
}

/// The canary sends to one port that only the backstop may stop, to prove that the backstop runs.
#[inline(always)]
fn is_canary_probe(here: Placement, target: &Target) -> bool {
    here.scope == CANARY_SCOPE && target.port == sallyport_ebpf::CANARY_EGRESS_PORT
}

/// Reports a call with its destination.
#[inline(always)]
pub fn report_call<const V4: bool>(ctx: *mut bpf_sock_addr, here: Placement, hook: Hook, kind: EventKind) {
    report::send(kind, hook, here.scope, |event| {
        let target = Target::read::<V4>(ctx);
        task::capture(&mut event.task);
        event.dest = target.addr;
        event.dest_port = target.port;
        // SAFETY: context fields and helpers of a running program.
        unsafe {
            event.family = (*ctx).family;
            event.sock_type = (*ctx).type_;
            event.protocol = (*ctx).protocol;
            event.netns = bpf_get_netns_cookie(ctx.cast());
            event.cookie = bpf_get_socket_cookie(ctx.cast());
            let sk: *mut bpf_sock = (*ctx).__bindgen_anon_1.sk;
            if let Some(state) = socket_state(sk.cast()) {
                event.socket_cgroup = state.cgroup;
            }
        }
    });
}
