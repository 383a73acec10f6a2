//! Who is running: facts of the current task, read through the kernel's own types.
//!
//! The pointer from `bpf_get_current_task_btf` is typed for the verifier, and offsets come from the running
//! kernel's BTF, so plain loads work even where lockdown forbids `bpf_probe_read_kernel`.

use crate::maps::offset;
use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
    generated::{bpf_get_current_cgroup_id, bpf_get_current_task_btf, bpf_skc_to_tcp_sock},
};
use core::ffi::c_void;
use sallyport_ebpf::{ExeKey, FACT_AUDIT, FACT_EXE, FACT_START, Task, UNSET};

/// Reads a `T` at a byte offset of a typed kernel pointer.
///
/// # Safety
/// `base` must be a pointer the verifier knows the type of, with a `T` at `offset`.
#[inline(always)]
unsafe fn field<T>(base: usize, offset: usize) -> T {
    // SAFETY: the caller's promise, and the verifier's check.
    unsafe { core::ptr::read_volatile((base + offset) as *const T) }
}

#[inline(always)]
fn current() -> usize {
    // SAFETY: takes no argument and always returns the running task.
    unsafe { bpf_get_current_task_btf() as usize }
}

/// Process id of the running task, in programs that may call the helper.
#[inline(always)]
pub fn tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// Process id of the running task, in programs where the helper is missing on older kernels.
#[inline(always)]
pub fn tgid_by_type() -> u32 {
    if offset(|o| &o.group_leader) == 0 {
        return 0;
    }
    // SAFETY: `task_struct.tgid` of the running task.
    unsafe { field(current(), offset(|o| &o.tgid)) }
}

/// Audit login uid of the running task, or [`UNSET`].
#[inline(always)]
pub fn loginuid() -> u32 {
    if offset(|o| &o.loginuid) == 0 {
        return UNSET;
    }
    // SAFETY: `task_struct.loginuid` of the running task.
    unsafe { field(current(), offset(|o| &o.loginuid)) }
}

/// Whether the running task is inside a system call on this TCP socket.
#[inline(always)]
pub fn owns_lock(sk: *mut c_void) -> bool {
    if offset(|o| &o.lock_owned) == 0 {
        return false;
    }
    // SAFETY: `sk` is a non-null socket pointer of a program's context; the helper returns a typed pointer or null, and
    // a `tcp_sock` begins with its `sock`.
    unsafe {
        let tcp = bpf_skc_to_tcp_sock(sk) as usize;
        tcp != 0 && field::<u32>(tcp, offset(|o| &o.lock_owned)) != 0
    }
}

/// True when the running thread is the last of its process.
#[inline(always)]
pub fn group_dead() -> bool {
    if offset(|o| &o.live) == 0 {
        return true;
    }
    // SAFETY: `task_struct.signal` and `signal_struct.live` of the running task.
    unsafe {
        let signal: usize = field(current(), offset(|o| &o.signal));
        signal == 0 || field::<u32>(signal, offset(|o| &o.live)) == 0
    }
}

/// The inode being executed by the running task; `None` for kernel threads and where types are missing.
#[inline(always)]
pub fn exe() -> Option<ExeKey> {
    if offset(|o| &o.exe_file) == 0 {
        return None;
    }
    // SAFETY: each step reads a pointer field of the type the previous step returned.
    unsafe {
        let mm: usize = field(current(), offset(|o| &o.mm));
        if mm == 0 {
            return None;
        }
        let file: usize = field(mm, offset(|o| &o.exe_file));
        if file == 0 {
            return None;
        }
        let inode: usize = field(file, offset(|o| &o.f_inode));
        if inode == 0 {
            return None;
        }
        let ino: u64 = field(inode, offset(|o| &o.i_ino));
        let sb: usize = field(inode, offset(|o| &o.i_sb));
        if sb == 0 {
            return None;
        }
        Some(ExeKey { ino, dev: field(sb, offset(|o| &o.s_dev)), pad: 0 })
    }
}

/// Fills in everything the kernel knows of the running task, in programs with the identity helpers.
#[inline(always)]
pub fn capture(task: &mut Task) {
    let pid_tgid = bpf_get_current_pid_tgid();
    let uid_gid = bpf_get_current_uid_gid();
    task.tgid = (pid_tgid >> 32) as u32;
    task.tid = pid_tgid as u32;
    task.uid = uid_gid as u32;
    task.gid = (uid_gid >> 32) as u32;
    // SAFETY: takes no argument.
    task.cgroup = unsafe { bpf_get_current_cgroup_id() };
    capture_typed(task);
}

/// Fills in what can be read through types alone; enough to name a bystander in a packet hook.
#[inline(always)]
pub fn capture_typed(task: &mut Task) {
    task.facts = 0;
    task.loginuid = UNSET;
    task.audit_session = UNSET;
    if offset(|o| &o.group_leader) == 0 {
        return;
    }
    // SAFETY: fields of the running task and of its group leader.
    unsafe {
        task.tgid = field(current(), offset(|o| &o.tgid));
        let leader: usize = field(current(), offset(|o| &o.group_leader));
        if leader != 0 {
            task.start_ns = field(leader, offset(|o| &o.start_boottime));
            task.exec_id = field(leader, offset(|o| &o.self_exec_id));
            task.facts |= FACT_START;
        }
        if offset(|o| &o.loginuid) != 0 {
            task.loginuid = field(current(), offset(|o| &o.loginuid));
            task.audit_session = field(current(), offset(|o| &o.sessionid));
            task.facts |= FACT_AUDIT;
        }
    }
    if let Some(key) = exe() {
        task.exe_ino = key.ino;
        task.exe_dev = key.dev;
        task.facts |= FACT_EXE;
    }
}
