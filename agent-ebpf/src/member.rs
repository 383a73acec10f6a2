//! Membership: a process that entered a scope stays in it, and so does what it starts, until it exits or somebody
//! outside every scope moves it. Without this a managed root process could write itself into a free cgroup.

use crate::{
    maps::{CGROUPS, MEMBERS, count, settings},
    report, scope as place, task,
};
use aya_ebpf::{EbpfContext, macros::tracepoint, programs::TracePointContext};
use sallyport_ebpf::{ATTACH_CGROUP, ATTACH_PID, Counter, EventKind, FORK_CHILD, FORK_CHILD_OLD, Hook, NO_SCOPE};

/// `SIGKILL`
const SIGKILL: u32 = 9;

/// A new image in a managed place becomes a member; in an unknown place it becomes one until the daemon has looked, so
/// that it cannot leave meanwhile.
#[tracepoint(category = "sched", name = "sched_process_exec")]
pub fn on_exec(_ctx: TracePointContext) -> u32 {
    let Some(settings) = settings() else { return 0 };
    let here = place::of_current(settings);
    if place::is_managed(here) {
        enter(task::tgid(), here.scope);
    } else if place::is_unknown(here) {
        join(task::tgid(), here.scope);
    }
    if place::is_unknown(here) {
        report::send(EventKind::Unknown, Hook::Migrate, here.scope, |event| task::capture(&mut event.task));
    }
    0
}

/// What a member starts is a member.
#[tracepoint(category = "sched", name = "sched_process_fork")]
pub fn on_fork(ctx: TracePointContext) -> u32 {
    fork::<FORK_CHILD>(&ctx)
}

/// The same for kernels with the older record; the daemon loads whichever fits. The offset is a constant because the
/// verifier takes no other.
#[tracepoint(category = "sched", name = "sched_process_fork")]
pub fn on_fork_old(ctx: TracePointContext) -> u32 {
    fork::<FORK_CHILD_OLD>(&ctx)
}

#[inline(always)]
fn fork<const CHILD: usize>(ctx: &TracePointContext) -> u32 {
    // SAFETY: reads a map.
    if let Some(scope) = unsafe { MEMBERS.get(&task::tgid()) } {
        join(read::<u32, CHILD>(ctx), *scope);
    }
    0
}

/// Membership ends with the process, not with its first thread.
#[tracepoint(category = "sched", name = "sched_process_exit")]
pub fn on_exit(_ctx: TracePointContext) -> u32 {
    let ids = aya_ebpf::helpers::bpf_get_current_pid_tgid();
    let (tgid, tid) = ((ids >> 32) as u32, ids as u32);
    if task::group_dead() {
        // Missing is the usual case: most processes are in no scope.
        let _ = MEMBERS.remove(&tgid);
    }
    if tid != tgid {
        // A thread entered the table by its own number when it was cloned.
        let _ = MEMBERS.remove(&tid);
    }
    0
}

/// A member that is moved by a member stays one; an outsider's hand sets it free.
#[tracepoint(category = "cgroup", name = "cgroup_attach_task")]
pub fn on_migrate(ctx: TracePointContext) -> u32 {
    let (target, pid) = (read::<u64, ATTACH_CGROUP>(&ctx), read::<u32, ATTACH_PID>(&ctx));
    // SAFETY: reads a map; the daemon replaces values whole.
    if let Some(place) = unsafe { CGROUPS.get(&target) }
        && place::is_managed(*place)
    {
        enter(pid, place.scope);
        return 0;
    }
    // One that moves itself is there by now, and so the parents can be asked too.
    if pid == task::tgid()
        && let Some(settings) = settings()
    {
        let here = place::of_current_cgroup(settings);
        if place::is_managed(here) {
            enter(pid, here.scope);
            return 0;
        }
        if place::is_unknown(here) {
            join(pid, here.scope);
            report::send(EventKind::Unknown, Hook::Migrate, here.scope, |event| task::capture(&mut event.task));
            return 0;
        }
    }
    // SAFETY: as above.
    let Some(scope) = (unsafe { MEMBERS.get(&pid) }) else { return 0 };
    // SAFETY: as above.
    if unsafe { MEMBERS.get(&task::tgid()) }.is_none() {
        let _ = MEMBERS.remove(&pid);
        return 0;
    }
    count(Counter::Escapes);
    report::send(EventKind::Escaped, Hook::Migrate, *scope, |event| task::capture(&mut event.task));
    0
}

/// Whoever comes from outside may hold sockets from there; the daemon looks.
#[inline(always)]
fn enter(tgid: u32, scope: u32) {
    // SAFETY: reads a map.
    let before = unsafe { MEMBERS.get(&tgid) }.copied().unwrap_or(NO_SCOPE);
    join(tgid, scope);
    if before == NO_SCOPE {
        report::send(EventKind::Joined, Hook::Migrate, scope, |event| event.task.tgid = tgid);
    }
}

/// A process that cannot be followed must not run on unfollowed.
#[inline(always)]
fn join(tgid: u32, scope: u32) {
    if MEMBERS.insert(&tgid, &scope, 0).is_err() {
        count(Counter::MembersFull);
        if tgid == task::tgid() {
            // SAFETY: takes a signal number; the current task is the one that just entered the scope.
            unsafe { aya_ebpf::helpers::generated::bpf_send_signal(SIGKILL) };
        }
    }
}

#[inline(always)]
fn read<T: Copy, const OFFSET: usize>(ctx: &TracePointContext) -> T {
    // SAFETY: the daemon compared the offset with the event's format before loading.
    unsafe { core::ptr::read_volatile(ctx.as_ptr().cast::<u8>().add(OFFSET).cast::<T>()) }
}
