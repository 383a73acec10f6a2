//! The only unsafe code of the daemon: the bpf(2) calls the eBPF library does not offer, and views of ABI bytes.
#![expect(unsafe_code, reason = "raw system calls and plain-data views; each block says why it is sound")]

use sallyport_ebpf as abi;
use std::{
    ffi::CString,
    io,
    mem::{MaybeUninit, size_of},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

const BPF_OBJ_PIN: libc::c_int = 6;
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_PROG_QUERY: libc::c_int = 16;
const BPF_MAP_LOOKUP_ELEM: libc::c_int = 1;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_LINK_UPDATE: libc::c_int = 29;

/// Attach types (`enum bpf_attach_type`, `include/uapi/linux/bpf.h`).
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// `BPF_CGROUP_INET_EGRESS`
    InetEgress = 1,
    /// `BPF_CGROUP_INET_SOCK_CREATE`
    SockCreate = 2,
    /// `BPF_CGROUP_SOCK_OPS`
    SockOps = 3,
    /// `BPF_CGROUP_INET4_BIND`
    Bind4 = 8,
    /// `BPF_CGROUP_INET6_BIND`
    Bind6 = 9,
    /// `BPF_CGROUP_INET4_CONNECT`
    Connect4 = 10,
    /// `BPF_CGROUP_INET6_CONNECT`
    Connect6 = 11,
    /// `BPF_CGROUP_UDP4_SENDMSG`
    Sendmsg4 = 14,
    /// `BPF_CGROUP_UDP6_SENDMSG`
    Sendmsg6 = 15,
    /// `BPF_CGROUP_SETSOCKOPT`
    Setsockopt = 22,
    /// `BPF_LSM_MAC`
    LsmMac = 27,
    /// `BPF_CGROUP_INET4_GETPEERNAME`
    Getpeername4 = 29,
    /// `BPF_CGROUP_INET6_GETPEERNAME`
    Getpeername6 = 30,
    /// `BPF_TCX_EGRESS`
    TcxEgress = 47,
}

/// Plain data that user space and the kernel exchange byte for byte.
///
/// # Safety
/// `repr(C)`, no padding that is ever left uninitialised by us, every bit pattern valid.
pub unsafe trait Plain: Copy + 'static {}
macro_rules! plain {
    ($($t:ty),+) => { $(
        // SAFETY: `repr(C)` integers only; see the ABI crate.
        unsafe impl Plain for $t {}
    )+ };
}
plain!(abi::Placement, abi::ExeKey, abi::Endpoint, abi::Scope, abi::Settings, abi::Event);
plain!(abi::Offsets);

/// An ABI value in the form the eBPF library's maps take.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Raw<T>(pub T);
// SAFETY: `Plain` promises what `Pod` asks.
unsafe impl<T: Plain> aya::Pod for Raw<T> {}

/// The bytes of a plain value.
pub fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: `Plain` values are initialised in every byte and live as long as the borrow.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// Reads one event from ring-buffer bytes; `None` when the length is not that of an event.
pub fn event(bytes: &[u8]) -> Option<abi::Event> {
    if bytes.len() != size_of::<abi::Event>() {
        return None;
    }
    // SAFETY: the length was checked, every bit pattern is a valid `Event`, and the read is unaligned.
    Some(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) })
}

/// What a socket storage map holds for a socket of ours; `None` when that is nothing.
///
/// # Errors
/// What bpf(2) says, except `ENOENT`.
pub fn socket_state(map: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> io::Result<Option<abi::SocketState>> {
    #[repr(C)]
    struct Attr {
        map_fd: u32,
        pad: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    let mut value = abi::SocketState::default();
    let key = socket.as_raw_fd();
    let attr = Attr {
        map_fd: fd(map),
        pad: 0,
        key: std::ptr::from_ref(&key) as u64,
        value: std::ptr::from_mut(&mut value) as u64,
        flags: 0,
    };
    // SAFETY: the kernel reads four bytes from `key` and writes the map's value size to `value`, which is the type the map
    // was made with: maps of another ABI are never opened.
    match unsafe { bpf(BPF_MAP_LOOKUP_ELEM, &attr) } {
        Ok(_) => Ok(Some(value)),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    rest: [u64; 4],
}

/// Attaches a program to a cgroup, or with `target` an interface index to a device, through a new link.
///
/// # Errors
/// What bpf(2) says.
pub fn link_create(program: BorrowedFd<'_>, target: u32, kind: Attach) -> io::Result<OwnedFd> {
    let attr = LinkCreate { prog_fd: fd(program), target, attach_type: kind as u32, flags: 0, rest: [0; 4] };
    // SAFETY: plain numbers and descriptors that live during the call.
    owned(unsafe { bpf(BPF_LINK_CREATE, &attr) }?)
}

/// Replaces the program of a link in one step: there is no instant at which neither runs.
///
/// # Errors
/// What bpf(2) says.
pub fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C)]
    struct Attr {
        link_fd: u32,
        new_prog_fd: u32,
        flags: u32,
        old_prog_fd: u32,
    }
    let attr = Attr { link_fd: fd(link), new_prog_fd: fd(program), flags: 0, old_prog_fd: 0 };
    // SAFETY: plain numbers and descriptors that live during the call.
    unsafe { bpf(BPF_LINK_UPDATE, &attr) }.map(drop)
}

#[repr(C)]
struct Object {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Gives a kernel object a name on a bpf file system, so that it outlives this process.
///
/// # Errors
/// What bpf(2) says; `EEXIST` when the name is taken.
pub fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let attr = Object { path: path.as_ptr() as u64, fd: fd(object), flags: 0 };
    // SAFETY: `path` is NUL-terminated and outlives the call.
    unsafe { bpf(BPF_OBJ_PIN, &attr) }.map(drop)
}

/// Opens a pinned kernel object.
///
/// # Errors
/// What bpf(2) says; `ENOENT` when there is none.
pub fn pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let attr = Object { path: path.as_ptr() as u64, fd: 0, flags: 0 };
    // SAFETY: `path` is NUL-terminated and outlives the call.
    owned(unsafe { bpf(BPF_OBJ_GET, &attr) }?)
}

/// Ids of the programs attached to a cgroup for one attach type, at most 64.
///
/// # Errors
/// What bpf(2) says.
pub fn attached(cgroup: BorrowedFd<'_>, kind: Attach) -> io::Result<Vec<u32>> {
    #[repr(C)]
    struct Attr {
        target_fd: u32,
        attach_type: u32,
        query_flags: u32,
        attach_flags: u32,
        prog_ids: u64,
        count: u32,
        pad: u32,
        rest: [u64; 4],
    }
    let mut ids = vec![0u32; 64];
    let mut attr = Attr {
        target_fd: fd(cgroup),
        attach_type: kind as u32,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: ids.as_mut_ptr() as u64,
        count: 64,
        pad: 0,
        rest: [0; 4],
    };
    // SAFETY: `ids` has room for `count` numbers; the kernel writes the real count back into `attr`.
    unsafe { bpf_mut(BPF_PROG_QUERY, &mut attr) }?;
    ids.truncate(attr.count as usize);
    Ok(ids)
}

/// Cookie of the network namespace a socket lives in (`SO_NETNS_COOKIE`).
///
/// # Errors
/// What getsockopt(2) says; `ENOPROTOOPT` before Linux 5.14.
pub fn netns_cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    const SO_NETNS_COOKIE: libc::c_int = 71;
    let mut cookie = MaybeUninit::<u64>::uninit();
    let mut len = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the option writes exactly eight bytes, which `len` says.
    let rc = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            cookie.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the value was written.
    Ok(unsafe { cookie.assume_init() })
}

/// A handle to the process on the other end of a UNIX socket (`SO_PEERPIDFD`): to the one that connected, whatever its
/// number means by now.
///
/// # Errors
/// What getsockopt(2) says; `ENOPROTOOPT` before Linux 6.5.
pub fn peer_handle(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    const SO_PEERPIDFD: libc::c_int = 77;
    let mut handle: libc::c_int = -1;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    let value = std::ptr::from_mut(&mut handle).cast();
    // SAFETY: the option writes one integer, whose size `len` says.
    let rc = unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PEERPIDFD, value, &raw mut len) };
    check(rc.into())?;
    owned(handle)
}

unsafe fn bpf<T>(command: libc::c_int, attr: &T) -> io::Result<i32> {
    // SAFETY: the caller vouches for what the attribute points to; the kernel reads at most its size.
    check(unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) })
}

unsafe fn bpf_mut<T>(command: libc::c_int, attr: &mut T) -> io::Result<i32> {
    // SAFETY: as above, and the kernel may write back into it.
    check(unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) })
}

fn check(rc: libc::c_long) -> io::Result<i32> {
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(rc as i32) }
}

fn owned(fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: the kernel just returned this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn fd(of: BorrowedFd<'_>) -> u32 {
    of.as_fd().as_raw_fd() as u32
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Asks that frames of a packet socket go past traffic control (`PACKET_QDISC_BYPASS`); for the canary, which is refused.
///
/// # Errors
/// What setsockopt(2) says.
pub fn bypass_qdisc(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option(socket, (libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS), 1)
}

/// Has a socket be readable from so many bytes on (`SO_RCVLOWAT`, socket(7)), or from its end or an error.
///
/// # Errors
/// What setsockopt(2) says.
pub fn readable_from(socket: BorrowedFd<'_>, bytes: i32) -> io::Result<()> {
    set_option(socket, (libc::SOL_SOCKET, libc::SO_RCVLOWAT), bytes)
}

fn set_option(socket: BorrowedFd<'_>, (level, name): (i32, i32), value: libc::c_int) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    let value = std::ptr::from_ref(&value).cast();
    // SAFETY: the options read an integer, whose size `len` says.
    let rc = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, len) };
    check(rc.into()).map(drop)
}

/// Starts a command that is in `cgroup` before its first instruction.
///
/// # Errors
/// When the command cannot be started, or the cgroup cannot be entered.
pub fn spawn_in(command: &mut std::process::Command, cgroup: &Path) -> io::Result<std::process::Child> {
    use std::os::unix::process::CommandExt;
    let procs = std::fs::OpenOptions::new().write(true).open(cgroup.join("cgroup.procs"))?;
    // SAFETY: between fork and exec only write(2) is called, on a descriptor opened before.
    unsafe {
        command.pre_exec(move || rustix::io::write(&procs, b"0").map(drop).map_err(io::Error::from));
    }
    command.spawn()
}

/// Ends this process by a signal, as a child of ours ended: whoever waits for us sees the same.
pub fn die_by(signal: i32) {
    // SAFETY: restores a default disposition; no memory is involved.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: raises a signal in this thread; no memory is involved.
    unsafe { libc::raise(signal) };
}

/// What owns one descriptor for as long as it lives.
pub trait Owner: AsRawFd {}
impl Owner for OwnedFd {}
impl Owner for aya::maps::RingBuf<aya::maps::MapData> {}

/// Makes a descriptor something the runtime can wait for.
///
/// # Errors
/// What epoll(7) says.
pub fn pollable<T: Owner>(of: T) -> io::Result<tokio::io::unix::AsyncFd<T>> {
    // SAFETY: an `Owner`'s descriptor stays open and the same for as long as it lives.
    Ok(unsafe { tokio::io::unix::AsyncFd::register(of) }?)
}
