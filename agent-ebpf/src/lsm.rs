//! `socket_create` and `socket_connect` where LSM programs can fire: families no other hook sees (packet, vsock, XDP and
//! the like), made here or handed in.

use crate::{
    maps::{count, scope, settings},
    report, scope as place, task,
};
use aya_ebpf::{macros::lsm, programs::LsmContext};
use sallyport_ebpf::{Counter, EventKind, Hook};

const EPERM: i32 = -1;
const AF_UNSPEC: u32 = 0;
const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_NETLINK: u32 = 16;
/// Kernel crypto: no packet leaves by it.
const AF_ALG: u32 = 38;

#[lsm(hook = "socket_create")]
pub fn lsm_socket_create(ctx: LsmContext) -> i32 {
    // socket_create(family, type, protocol, kern), then the verdict of the programs before this one.
    let family: u32 = ctx.arg(0);
    let kind: u32 = ctx.arg(1);
    let protocol: u32 = ctx.arg(2);
    let kern: u32 = ctx.arg(3);
    let earlier: i32 = ctx.arg(4);
    if earlier != 0 {
        return earlier;
    }
    if kern != 0 {
        return 0;
    }
    judge(family, kind & 0xf, protocol)
}

#[lsm(hook = "socket_connect")]
pub fn lsm_socket_connect(ctx: LsmContext) -> i32 {
    // socket_connect(sock, address, addrlen), then the verdict of the programs before this one.
    let address: *const u16 = ctx.arg(1);
    let earlier: i32 = ctx.arg(3);
    if earlier != 0 {
        return earlier;
    }
    // SAFETY: the verifier knows the argument as a `struct sockaddr`, which starts with its family.
    judge(u32::from(unsafe { core::ptr::read_volatile(address) }), 0, 0)
}

#[inline(always)]
fn judge(family: u32, kind: u32, protocol: u32) -> i32 {
    if matches!(family, AF_UNSPEC | AF_UNIX | AF_INET | AF_INET6 | AF_NETLINK | AF_ALG) {
        return 0;
    }
    let Some(settings) = settings() else { return EPERM };
    let here = place::of_current(settings);
    if place::is_free(here) {
        return 0;
    }
    count(Counter::SocketRefused);
    report::send(EventKind::Refused, Hook::Lsm, here.scope, |event| {
        task::capture(&mut event.task);
        event.family = family;
        event.sock_type = kind;
        event.protocol = protocol;
    });
    if place::observes(scope(here.scope)) { 0 } else { EPERM }
}
