//! Is it ours: where a task, a cgroup or a packet's socket stands.

use crate::{
    maps::{CGROUPS, EXES, MEMBERS, USERS},
    task,
};
use aya_ebpf::{
    bindings::__sk_buff,
    helpers::{
        bpf_get_current_uid_gid,
        generated::{
            bpf_get_current_ancestor_cgroup_id, bpf_get_current_cgroup_id, bpf_skb_ancestor_cgroup_id,
            bpf_skb_cgroup_id,
        },
    },
};
use sallyport_ebpf::{
    MATCH_EXE, MATCH_USER, NO_SCOPE, Placement, SCOPE_OBSERVE, Scope, Settings, SocketState, UNSET, Verdict,
};

/// How deep a scope's own cgroup may lie. The daemon refuses deeper selectors, so a descendant of any depth is found.
const MAX_LEVEL: i32 = 16;

/// In no scope.
pub const CLEAR: Placement = Placement { verdict: Verdict::Clear as u32, scope: NO_SCOPE };
const EXEMPT: Placement = Placement { verdict: Verdict::Exempt as u32, scope: NO_SCOPE };
/// Not classified yet.
pub const UNKNOWN: Placement = Placement { verdict: Verdict::Unknown as u32, scope: NO_SCOPE };

/// A placement in a known scope.
#[inline(always)]
pub fn managed(scope: u32) -> Placement {
    Placement { verdict: Verdict::Managed as u32, scope }
}

/// True for [`Verdict::Managed`].
#[inline(always)]
pub fn is_managed(place: Placement) -> bool {
    place.verdict == Verdict::Managed as u32
}

/// True for [`Verdict::Unknown`].
#[inline(always)]
pub fn is_unknown(place: Placement) -> bool {
    place.verdict == Verdict::Unknown as u32
}

/// True when nothing is to be done: clear or exempt.
#[inline(always)]
pub fn is_free(place: Placement) -> bool {
    !is_managed(place) && !is_unknown(place)
}

/// Where the running task stands. Membership outranks the exemption, so entering the daemon's cgroup frees nobody.
#[inline(always)]
pub fn of_current(settings: &Settings) -> Placement {
    // SAFETY: reads a map; the daemon replaces values whole.
    if let Some(scope) = unsafe { MEMBERS.get(&task::tgid()) } {
        return if *scope == NO_SCOPE { UNKNOWN } else { managed(*scope) };
    }
    let by_cgroup = of_current_cgroup(settings);
    if is_managed(by_cgroup) || by_cgroup.verdict == Verdict::Exempt as u32 || settings.matching == 0 {
        return by_cgroup;
    }
    strongest(by_cgroup, by_user_or_exe(settings))
}

/// Where the running task stands by its cgroup alone.
#[inline(always)]
pub fn of_current_cgroup(settings: &Settings) -> Placement {
    // SAFETY: takes no argument.
    let leaf = unsafe { bpf_get_current_cgroup_id() };
    if leaf == settings.own_cgroup {
        return EXEMPT;
    }
    // SAFETY: takes a level and returns zero past the leaf.
    of_cgroup(leaf, |level| unsafe { bpf_get_current_ancestor_cgroup_id(level) })
}

/// Where the socket that sends a packet stands, by its own cgroup.
#[inline(always)]
pub fn of_packet(skb: *mut __sk_buff, settings: &Settings) -> Placement {
    // SAFETY: the context of a running packet program.
    let leaf = unsafe { bpf_skb_cgroup_id(skb) };
    if leaf == settings.own_cgroup {
        return EXEMPT;
    }
    // SAFETY: as above; returns zero past the leaf.
    of_cgroup(leaf, |level| unsafe { bpf_skb_ancestor_cgroup_id(skb, level) })
}

/// Where the task that made a socket stands. What was unknown then is looked up again, so that a verdict that has come
/// since holds for sockets that were waiting for it. The process goes first: its image may be what nobody knew, in a
/// cgroup that everybody knows.
#[inline(always)]
pub fn of_maker(state: &mut SocketState) -> Placement {
    if is_unknown(state.made_by) {
        // SAFETY: reads maps; the daemon replaces values whole.
        let (maker, cgroup) = unsafe { (MEMBERS.get(&state.maker), CGROUPS.get(&state.cgroup)) };
        if let Some(scope) = maker {
            if *scope != NO_SCOPE {
                state.made_by = managed(*scope);
            }
        } else if let Some(known) = cgroup {
            state.made_by = if is_managed(*known) { *known } else { CLEAR };
        }
    }
    state.made_by
}

/// The more restrictive of two placements, the first on a tie.
#[inline(always)]
pub fn strongest(a: Placement, b: Placement) -> Placement {
    if is_managed(a) {
        a
    } else if is_managed(b) {
        b
    } else if is_unknown(a) {
        a
    } else {
        b
    }
}

/// True when the scope only watches: what would be refused is reported and passes.
#[inline(always)]
pub fn observes(scope: Option<&Scope>) -> bool {
    scope.is_some_and(|scope| scope.flags & SCOPE_OBSERVE != 0)
}

#[inline(always)]
fn of_cgroup(leaf: u64, ancestor: impl Fn(i32) -> u64) -> Placement {
    // SAFETY: reads a map; the daemon replaces values whole.
    if let Some(known) = unsafe { CGROUPS.get(&leaf) } {
        return if known.verdict == Verdict::Watched as u32 { CLEAR } else { *known };
    }
    let mut nearest = CLEAR;
    for level in 0..MAX_LEVEL {
        let id = ancestor(level);
        if id == 0 || id == leaf {
            break;
        }
        // SAFETY: as above.
        if let Some(known) = unsafe { CGROUPS.get(&id) } {
            if is_managed(*known) {
                return *known;
            }
            nearest = *known;
        }
    }
    if nearest.verdict == Verdict::Watched as u32 { UNKNOWN } else { CLEAR }
}

#[inline(always)]
fn by_user_or_exe(settings: &Settings) -> Placement {
    if settings.matching & MATCH_USER != 0 {
        let found = by_user(bpf_get_current_uid_gid() as u32);
        if is_managed(found) {
            return found;
        }
        let found = by_user(task::loginuid());
        if is_managed(found) {
            return found;
        }
    }
    if settings.matching & MATCH_EXE != 0
        && let Some(key) = task::exe()
    {
        // SAFETY: reads a map; the daemon replaces values whole.
        return unsafe { EXES.get(&key) }.copied().unwrap_or(UNKNOWN);
    }
    CLEAR
}

/// Where a user stands, by uid or login uid.
#[inline(always)]
pub fn by_user(uid: u32) -> Placement {
    if uid == UNSET {
        return CLEAR;
    }
    // SAFETY: reads a map; the daemon replaces values whole.
    unsafe { USERS.get(&uid) }.copied().unwrap_or(CLEAR)
}
