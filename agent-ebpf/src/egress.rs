//! The backstop: nothing of a managed socket leaves the host past the proxy, at the IP layer or at a device.

use crate::{
    datagram, flow,
    maps::{MEMBERS, NAMESPACES, count, scope, settings, socket_state, socket_state_or_new},
    report, scope as place,
    socket::SOCK_STREAM,
    task,
};
use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock},
    helpers::generated::{
        bpf_get_socket_cookie, bpf_get_socket_uid, bpf_sk_fullsock, bpf_skb_cgroup_id, bpf_skb_load_bytes,
    },
    macros::{cgroup_skb, classifier},
    programs::{SkBuffContext, TcContext},
};
use core::ffi::c_void;
use sallyport_ebpf::{
    Addr, Counter, Endpoint, EventKind, Hook, MATCH_USER, NO_SCOPE, Placement, SCOPE_FAIL_OPEN, SCOPE_INBOUND,
    SCOPE_UDP, SOCKET_ACTIVE, SOCKET_DIVERTED, SOCKET_FOREIGN, SOCKET_HELD, SOCKET_OPEN, SOCKET_RAW, Settings,
    SocketState, TCP, UDP, V4_MAPPED,
};

const PASS: i32 = 1;
/// The sender gets `EPERM`.
const DROP: i32 = 0;
/// The sender believes that it was sent, and lost on the way.
const LOSE: i32 = 2;
/// The loopback device has this index in every network namespace.
const LOOPBACK: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_PACKET: u32 = 17;
const TCP_SYN_SENT: u32 = 2;
const TCP_LISTEN: u32 = 10;
/// Offset of the TCP flags after an IPv4 header without options, and after a plain IPv6 header.
const V4_FLAGS: usize = 33;
const V6_FLAGS: usize = 53;
const SYN: u8 = 2;
const TC_PASS: i32 = -1;
const TC_DROP: i32 = 2;
const ETH_P_IPV6: u32 = 0x86dd;

#[cgroup_skb(egress)]
pub fn on_egress(ctx: SkBuffContext) -> i32 {
    let skb = ctx.skb.skb;
    // SAFETY: context fields of a running program.
    let (sk, device) = unsafe { ((*skb).__bindgen_anon_2.sk, (*skb).ifindex) };
    if sk.is_null() {
        return PASS;
    }
    if device == LOOPBACK && is_midstream(skb) {
        return PASS;
    }
    let mut state = socket_state(sk.cast());
    if let Some(state) = &mut state {
        renew_listener(sk, state);
    }
    if device == LOOPBACK {
        return state.map_or(PASS, |state| on_loopback(skb, sk, state));
    }
    let Some(settings) = settings() else { return DROP };
    let here = standing(skb, state.as_deref_mut(), settings);
    if place::is_free(here) {
        // What a member sent on it waits in its queue until the daemon has destroyed it.
        if state.as_ref().is_some_and(|state| state.flags & SOCKET_FOREIGN != 0) {
            return DROP;
        }
        return foreign(skb, sk, state);
    }
    if place::is_unknown(here) {
        // It is being classified just now. Whoever sends datagrams is used to losing one.
        return LOSE;
    }
    let pass = may_leave(skb, sk, here, state.as_deref());
    if pass { PASS } else { dropped(skb, here, Hook::Egress, Counter::EgressDropped) }
}

/// A listener's own answer leaves before the socket is made that inherits its state: what it was before it listened is
/// over.
#[inline(always)]
fn renew_listener(sk: *mut bpf_sock, state: &mut SocketState) {
    // SAFETY: `sk` was checked for null; only full sockets say what they do.
    let listens = unsafe {
        let full = bpf_sk_fullsock(sk);
        !full.is_null() && (*full).type_ == SOCK_STREAM && (*full).state == TCP_LISTEN
    };
    if listens {
        state.flags = 0;
    }
}

/// On loopback TCP is diverted already, and only two kinds of packets stop: what is not TCP, by the same rules as
/// elsewhere, and a SYN whose namespace has no listener yet, or that cannot be published. TCP sends that SYN again, and
/// by then the daemon has opened one.
#[inline(always)]
fn on_loopback(skb: *mut __sk_buff, sk: *mut bpf_sock, state: &mut SocketState) -> i32 {
    let here = place::of_maker(state);
    if !place::is_free(here) && !is_tcp(sk) {
        if place::is_unknown(here) {
            return LOSE;
        }
        if !may_leave(skb, sk, here, Some(state)) {
            return dropped(skb, here, Hook::Egress, Counter::EgressDropped);
        }
    }
    if state.flags & SOCKET_HELD != 0 {
        // SAFETY: reads a map.
        if unsafe { NAMESPACES.get(&state.flow.netns) }.is_none() {
            count(Counter::SynHeld);
            return DROP;
        }
        state.flags &= !SOCKET_HELD;
    }
    if state.flags & SOCKET_DIVERTED == 0 {
        return PASS;
    }
    // SAFETY: `sk` was checked for null, and the full socket is.
    unsafe {
        let full = bpf_sk_fullsock(sk);
        let opens = !full.is_null() && (*full).state == TCP_SYN_SENT;
        if opens && !flow::publish(&*full, &state.flow) { DROP } else { PASS }
    }
}

/// True for a TCP segment other than a SYN, in an ordinary header: on loopback none of those is ever stopped, and they are
/// most of what passes there, so they cost two comparisons.
#[inline(always)]
fn is_midstream(skb: *mut __sk_buff) -> bool {
    // SAFETY: context fields of a running program; every byte is compared with the end before it is read.
    unsafe {
        let (start, end) = ((*skb).data as usize, (*skb).data_end as usize);
        if start + V4_FLAGS + 1 > end {
            return false;
        }
        let byte = |at: usize| core::ptr::read_volatile((start + at) as *const u8);
        let first = byte(0);
        if first == 0x45 {
            return byte(9) == TCP && byte(V4_FLAGS) & SYN == 0;
        }
        if first >> 4 != 6 || start + V6_FLAGS + 1 > end {
            return false;
        }
        byte(6) == TCP && byte(V6_FLAGS) & SYN == 0
    }
}

#[inline(always)]
fn is_tcp(sk: *mut bpf_sock) -> bool {
    // SAFETY: `sk` was checked for null; only full sockets say what they are, and the others are TCP's.
    unsafe {
        let full = bpf_sk_fullsock(sk);
        full.is_null() || (*full).protocol == u32::from(TCP)
    }
}

/// Where the socket of this packet stands: by who made it, by its own cgroup, by its owner.
#[inline(always)]
fn standing(skb: *mut __sk_buff, state: Option<&mut SocketState>, settings: &Settings) -> Placement {
    let mut here = place::of_packet(skb, settings);
    if let Some(state) = state {
        here = place::strongest(here, place::of_maker(state));
    }
    if place::is_free(here) && settings.matching & MATCH_USER != 0 && here.verdict == 0 {
        // SAFETY: context of a running program.
        here = place::by_user(unsafe { bpf_get_socket_uid(skb) });
    }
    here
}

#[inline(always)]
fn may_leave(skb: *mut __sk_buff, sk: *mut bpf_sock, here: Placement, state: Option<&SocketState>) -> bool {
    let Some(scope) = scope(here.scope) else { return false };
    if scope.bypass_until_ns > report::now() {
        return true;
    }
    // SAFETY: `sk` was checked for null; only full sockets have these fields.
    let (protocol, is_tcp, listening) = unsafe {
        let full = bpf_sk_fullsock(sk);
        if full.is_null() {
            return false;
        }
        let protocol = (*full).protocol;
        let is_tcp = protocol == u32::from(TCP) && (*full).type_ == SOCK_STREAM;
        (protocol, is_tcp, (*full).state == TCP_LISTEN)
    };
    if protocol == u32::from(UDP) {
        return scope.flags & SCOPE_UDP != 0 || datagram::is_resolver(&destination(skb));
    }
    // Ends when the daemon comes back: it destroys what was opened meanwhile.
    let opened = scope.flags & SCOPE_FAIL_OPEN != 0 && state.is_some_and(|state| state.flags & SOCKET_OPEN != 0);
    let accepted = listening || state.is_some_and(|state| state.flags & (SOCKET_ACTIVE | SOCKET_FOREIGN) == 0);
    is_tcp && (opened || (accepted && scope.flags & SCOPE_INBOUND != 0))
}

/// Counts and reports what would be, or is, dropped.
#[inline(always)]
fn dropped(skb: *mut __sk_buff, here: Placement, hook: Hook, counter: Counter) -> i32 {
    count(counter);
    if report::is_news(cookie(skb)) {
        report::send(EventKind::Dropped, hook, here.scope, |event| describe(event, skb));
    }
    if place::observes(scope(here.scope)) { PASS } else { DROP }
}

/// A socket outside every scope, used from inside one: it was opened elsewhere and handed in, or is older than the scope.
/// The running task may also be a bystander that an interrupt stopped to send somebody else's packet. For TCP the lock
/// tells: a system call owns it while it sends, and whatever an interrupt would send meanwhile is left to that owner.
/// Datagrams are always sent by the running task; what the kernel answers by itself (ICMP) is neither.
#[inline(always)]
fn foreign(skb: *mut __sk_buff, sk: *mut bpf_sock, state: Option<&mut SocketState>) -> i32 {
    let tgid = task::tgid_by_type();
    // SAFETY: reads a map.
    let Some(member) = (unsafe { MEMBERS.get(&tgid) }) else { return PASS };
    if *member == NO_SCOPE {
        return PASS;
    }
    let here = place::managed(*member);
    // SAFETY: `sk` was checked for null.
    let full = unsafe { bpf_sk_fullsock(sk) };
    if full.is_null() {
        return PASS;
    }
    // SAFETY: checked for null just now.
    let protocol = unsafe { (*full).protocol };
    if protocol != u32::from(TCP) {
        let by_task = protocol == u32::from(UDP) || state.is_some_and(|state| state.flags & SOCKET_RAW != 0);
        return if !by_task || may_leave(skb, sk, here, None) {
            PASS
        } else {
            dropped(skb, here, Hook::Egress, Counter::EgressDropped)
        };
    }
    let Some(limits) = scope(here.scope) else { return DROP };
    if !task::owns_lock(sk.cast()) || limits.bypass_until_ns > report::now() || !carries_data(skb) {
        return PASS;
    }
    count(Counter::EgressDropped);
    report::send(EventKind::ForeignSocket, Hook::Egress, here.scope, |event| describe(event, skb));
    if place::observes(Some(limits)) {
        return PASS;
    }
    // TCP sends the segment again from a timer, when anybody may be running.
    if let Some(state) = socket_state_or_new(sk.cast()) {
        state.flags |= SOCKET_FOREIGN;
    }
    DROP
}

/// True for a TCP segment with a payload; acknowledgements carry nothing out.
#[inline(always)]
fn carries_data(skb: *mut __sk_buff) -> bool {
    // SAFETY: context fields of a running program.
    let (len, v6) = unsafe { ((*skb).len, u32::from(u16::from_be((*skb).protocol as u16)) == ETH_P_IPV6) };
    let mut first = [0u8; 1];
    let mut offset = [0u8; 1];
    if !load(skb, 0, &mut first) {
        return true;
    }
    let ip = if v6 { 40 } else { u32::from(first[0] & 0x0f) * 4 };
    if !load(skb, ip + 12, &mut offset) {
        return true;
    }
    len > ip + u32::from(offset[0] >> 4) * 4
}

/// Packet sockets write past the IP layer; they are judged where their frames reach a device.
#[classifier]
pub fn on_device(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    // SAFETY: context field of a running program; null is checked.
    let sk = unsafe { (*skb).__bindgen_anon_2.sk };
    if sk.is_null() {
        return TC_PASS;
    }
    // SAFETY: checked for null just now.
    let family = unsafe { (*sk).family };
    if family == AF_INET || family == AF_INET6 {
        return TC_PASS;
    }
    let Some(settings) = settings() else { return TC_DROP };
    let mut here = place::of_packet(skb, settings);
    // SAFETY: reads a map. Packet sockets send in the caller's own context.
    if place::is_free(here)
        && family == AF_PACKET
        && let Some(member) = unsafe { MEMBERS.get(&task::tgid_by_type()) }
    {
        here = place::managed(*member);
    }
    if place::is_free(here) || scope(here.scope).is_some_and(|scope| scope.bypass_until_ns > report::now()) {
        return TC_PASS;
    }
    let verdict = dropped(skb, here, Hook::Device, Counter::DeviceDropped);
    if verdict == PASS { TC_PASS } else { TC_DROP }
}

#[inline(always)]
fn cookie(skb: *mut __sk_buff) -> u64 {
    // SAFETY: context of a running program.
    unsafe { bpf_get_socket_cookie(skb.cast()) }
}

/// Where the packet goes, for protocols with ports in the first four bytes after the IP header. An IPv6 packet with
/// extension headers reads as port zero, which no table contains.
#[inline(always)]
fn destination(skb: *mut __sk_buff) -> Endpoint {
    endpoints(skb).1
}

#[inline(always)]
fn endpoints(skb: *mut __sk_buff) -> (Endpoint, Endpoint) {
    let mut from = Endpoint::default();
    let mut to = Endpoint::default();
    // SAFETY: context field of a running program.
    let v6 = u32::from(u16::from_be(unsafe { (*skb).protocol } as u16)) == ETH_P_IPV6;
    let mut ports = [0u8; 4];
    if v6 {
        let mut next = [0u8; 1];
        if load(skb, 8, &mut from.addr)
            && load(skb, 24, &mut to.addr)
            && load(skb, 6, &mut next)
            && (next[0] == TCP || next[0] == UDP)
        {
            load(skb, 40, &mut ports);
        }
    } else {
        let mut first = [0u8; 1];
        let mut ips = [0u8; 8];
        if load(skb, 0, &mut first) && load(skb, 12, &mut ips) {
            let header = u32::from(first[0] & 0x0f) * 4;
            load(skb, header, &mut ports);
            from.addr = mapped([ips[0], ips[1], ips[2], ips[3]]);
            to.addr = mapped([ips[4], ips[5], ips[6], ips[7]]);
        }
    }
    from.port = u16::from_be_bytes([ports[0], ports[1]]);
    to.port = u16::from_be_bytes([ports[2], ports[3]]);
    (from, to)
}

#[inline(always)]
fn mapped(ip: [u8; 4]) -> Addr {
    let mut addr = [0; 16];
    let (prefix, rest) = addr.split_at_mut(12);
    prefix.copy_from_slice(&V4_MAPPED);
    rest.copy_from_slice(&ip);
    addr
}

#[inline(always)]
fn load<const N: usize>(skb: *mut __sk_buff, offset: u32, into: &mut [u8; N]) -> bool {
    // SAFETY: the helper writes exactly `N` bytes or fails.
    unsafe { bpf_skb_load_bytes(skb.cast::<c_void>().cast_const(), offset, into.as_mut_ptr().cast(), N as u32) == 0 }
}

#[inline(always)]
fn describe(event: &mut sallyport_ebpf::Event, skb: *mut __sk_buff) {
    task::capture_typed(&mut event.task);
    let (from, to) = endpoints(skb);
    event.local = from.addr;
    event.local_port = from.port;
    event.dest = to.addr;
    event.dest_port = to.port;
    event.cookie = cookie(skb);
    // SAFETY: context fields of a running program; null is checked.
    unsafe {
        event.socket_cgroup = bpf_skb_cgroup_id(skb);
        let sk = (*skb).__bindgen_anon_2.sk;
        if !sk.is_null() {
            event.family = (*sk).family;
            let full = bpf_sk_fullsock(sk);
            if !full.is_null() {
                event.protocol = (*full).protocol;
                event.sock_type = (*full).type_;
            }
        }
    }
}
