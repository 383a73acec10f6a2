//! Telling the daemon: one event into the ring, or one more on the counter of lost ones.

use crate::maps::{EVENTS, REPORTED, count};
use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use sallyport_ebpf::{Counter, Event, EventKind, Hook};

/// The same socket is reported at most once in this time.
const QUIET_NS: u64 = 1_000_000_000;

/// Sends an event; `fill` sets what the hook knows beyond kind, hook, scope and time.
#[inline(always)]
pub fn send(kind: EventKind, hook: Hook, scope: u32, fill: impl FnOnce(&mut Event)) {
    let Some(mut entry) = EVENTS.reserve::<Event>(0) else {
        count(Counter::EventsLost);
        return;
    };
    // SAFETY: all-zero is a valid `Event`, and the ring reserved exactly its size.
    let event = unsafe {
        core::ptr::write_bytes(entry.as_mut_ptr(), 0, 1);
        &mut *entry.as_mut_ptr()
    };
    event.kind = kind as u32;
    event.hook = hook as u32;
    event.scope = scope;
    event.stamp_ns = now();
    fill(event);
    entry.submit(0);
}

/// True when this socket was not reported a moment ago; marks it reported.
#[inline(always)]
pub fn is_news(cookie: u64) -> bool {
    let now = now();
    // SAFETY: reads a map value by copy.
    if let Some(last) = unsafe { REPORTED.get(&cookie) }
        && now - *last < QUIET_NS
    {
        return false;
    }
    // A full table only means one more report than needed.
    REPORTED.insert(&cookie, &now, 0).is_ok()
}

/// Boot-time clock, nanoseconds.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: takes no argument.
    unsafe { bpf_ktime_get_boot_ns() }
}
