//! The first moments of a socket: `sock_create`, `bind4/6` and `setsockopt`.

use crate::{
    maps::{count, scope, settings, socket_state_or_new},
    report, scope as place, task,
};
use aya_ebpf::{
    bindings::bpf_sock,
    helpers::generated::bpf_get_current_cgroup_id,
    macros::{cgroup_sock, cgroup_sock_addr, cgroup_sockopt},
    programs::{SockAddrContext, SockContext, SockoptContext},
};
use sallyport_ebpf::{Counter, EventKind, Hook, MPTCP, Placement, SOCKET_RAW, TCP, UDP};

/// Verdicts of cgroup hooks.
pub const ALLOW: i32 = 1;
/// The caller gets `EPERM`.
pub const DENY: i32 = 0;

pub const SOCK_STREAM: u32 = 1;
pub const SOCK_DGRAM: u32 = 2;

const SOL_PACKET: i32 = 263;
const PACKET_QDISC_BYPASS: i32 = 20;
const SOL_XDP: i32 = 283;
const PAGE: i32 = 4096;

#[cgroup_sock(sock_create)]
pub fn on_sock_create(ctx: SockContext) -> i32 {
    let Some(settings) = settings() else { return DENY };
    let here = place::of_current(settings);
    // SAFETY: context fields of a running program.
    let (kind, protocol) = unsafe { ((*ctx.sock).type_, (*ctx.sock).protocol) };
    if place::is_free(here) {
        if !is_mediated(kind, protocol)
            && let Some(state) = socket_state_or_new(ctx.sock.cast())
        {
            // In case it is handed into a scope: the kernel's own sockets of this kind never pass here.
            state.flags |= SOCKET_RAW;
        }
        return ALLOW;
    }
    if place::is_unknown(here) {
        report::send(EventKind::Unknown, Hook::SockCreate, here.scope, |event| describe(event, ctx.sock));
    }
    let mediated = is_mediated(kind, protocol);
    // What an unknown socket sends is lost at the egress hook until somebody knows.
    if place::is_managed(here) && !mediated {
        count(Counter::SocketRefused);
        report::send(EventKind::Refused, Hook::SockCreate, here.scope, |event| describe(event, ctx.sock));
        if !place::observes(scope(here.scope)) {
            return DENY;
        }
    }
    remember(&ctx, here, if mediated { 0 } else { SOCKET_RAW })
}

/// Protocols the other hooks understand: TCP, MPTCP and UDP. Everything else could leave unseen.
#[inline(always)]
fn is_mediated(kind: u32, protocol: u32) -> bool {
    match kind {
        SOCK_STREAM => protocol == u32::from(TCP) || protocol == u32::from(MPTCP),
        SOCK_DGRAM => protocol == u32::from(UDP),
        _ => false,
    }
}

#[inline(always)]
fn remember(ctx: &SockContext, here: Placement, flags: u32) -> i32 {
    let Some(state) = socket_state_or_new(ctx.sock.cast()) else {
        count(Counter::StorageFull);
        return DENY;
    };
    // SAFETY: takes no argument.
    state.cgroup = unsafe { bpf_get_current_cgroup_id() };
    state.maker = task::tgid();
    state.made_by = here;
    state.flags = flags;
    ALLOW
}

#[inline(always)]
fn describe(event: &mut sallyport_ebpf::Event, sock: *mut bpf_sock) {
    task::capture(&mut event.task);
    // SAFETY: context fields of a running program.
    unsafe {
        event.family = (*sock).family;
        event.sock_type = (*sock).type_;
        event.protocol = (*sock).protocol;
    }
    event.socket_cgroup = event.task.cgroup;
}

#[cgroup_sock_addr(bind4)]
pub fn on_bind4(ctx: SockAddrContext) -> i32 {
    bind(&ctx)
}

#[cgroup_sock_addr(bind6)]
pub fn on_bind6(ctx: SockAddrContext) -> i32 {
    bind(&ctx)
}

/// Nobody but the daemon may own the listener's port, or whoever binds it after a crash would receive the flows.
#[inline(always)]
fn bind(ctx: &SockAddrContext) -> i32 {
    let Some(settings) = settings() else { return ALLOW };
    // SAFETY: context field of a running program.
    let port = u32::from(u16::from_be(unsafe { (*ctx.sock_addr).user_port } as u16));
    if port == 0 || port != settings.listener_port {
        return ALLOW;
    }
    // SAFETY: takes no argument.
    if unsafe { bpf_get_current_cgroup_id() } == settings.own_cgroup {
        return ALLOW;
    }
    count(Counter::ListenerRefused);
    let here = place::of_current(settings);
    report::send(EventKind::Refused, Hook::Bind, here.scope, |event| {
        task::capture(&mut event.task);
        event.local_port = port as u16;
        // SAFETY: context fields of a running program.
        unsafe {
            event.family = (*ctx.sock_addr).family;
            event.sock_type = (*ctx.sock_addr).type_;
            event.protocol = (*ctx.sock_addr).protocol;
        }
    });
    DENY
}

/// Refuses the options by which a packet socket leaves past every traffic hook.
#[cgroup_sockopt(setsockopt)]
pub fn on_setsockopt(ctx: SockoptContext) -> i32 {
    // SAFETY: context fields of a running program.
    let (level, name, len) = unsafe { ((*ctx.sockopt).level, (*ctx.sockopt).optname, (*ctx.sockopt).optlen) };
    if len > PAGE {
        // Larger values are seen in part only; zero tells the kernel to use the caller's buffer as it is.
        // SAFETY: context field of a running program.
        unsafe { (*ctx.sockopt).optlen = 0 };
    }
    if level != SOL_XDP && !(level == SOL_PACKET && name == PACKET_QDISC_BYPASS) {
        return ALLOW;
    }
    let Some(settings) = settings() else { return DENY };
    let here = place::of_current(settings);
    if place::is_free(here) {
        return ALLOW;
    }
    count(Counter::OptionRefused);
    report::send(EventKind::Refused, Hook::Setsockopt, here.scope, |event| task::capture(&mut event.task));
    if place::observes(scope(here.scope)) { ALLOW } else { DENY }
}
