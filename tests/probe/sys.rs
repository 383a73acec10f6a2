//! The calls no crate offers in a safe form: the only unsafe code of the tests.
#![expect(unsafe_code, reason = "attacks need system calls that no library wraps")]

use io_uring::{IoUring, opcode, squeue::Flags, types::Fd};
use socket2::{SockAddr, SockAddrStorage, Socket};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

fn checked(outcome: libc::c_int) -> io::Result<libc::c_int> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(outcome) }
}

/// `setsockopt` with any bytes.
pub fn set_option(socket: &Socket, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
    let len = value.len() as libc::socklen_t;
    // SAFETY: the pointer and the length are those of one slice.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), len) }).map(drop)
}

/// A socket address of any family, from its bytes.
pub fn address(bytes: &[u8]) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    assert!(bytes.len() <= size_of::<SockAddrStorage>(), "no address is that long");
    // SAFETY: the storage is at least as long as the bytes, and the two do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut storage).cast::<u8>(), bytes.len()) };
    // SAFETY: the length is that of the bytes, which are the caller's address.
    unsafe { SockAddr::new(storage, bytes.len() as libc::socklen_t) }
}

/// Two messages to one destination in one `sendmmsg`.
pub fn send_two(socket: &Socket, to: &SockAddr, data: &[u8]) -> io::Result<i32> {
    let mut part = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    // SAFETY: all zero is a valid empty message.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = to.as_ptr().cast_mut().cast();
    header.msg_namelen = to.len();
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    let mut both = [libc::mmsghdr { msg_hdr: header, msg_len: 0 }; 2];
    // SAFETY: two headers, whose name and part outlive the call.
    checked(unsafe { libc::sendmmsg(socket.as_raw_fd(), both.as_mut_ptr(), 2, 0) })
}

/// True in the child.
pub fn fork() -> io::Result<Option<libc::pid_t>> {
    // SAFETY: the probe has one thread whenever it forks.
    let pid = checked(unsafe { libc::fork() })?;
    Ok((pid != 0).then_some(pid))
}

/// Ends a forked child without running what belongs to its parent.
pub fn leave() -> ! {
    // SAFETY: never returns.
    unsafe { libc::_exit(0) }
}

/// Waits for a child.
pub fn wait(pid: libc::pid_t) -> io::Result<i32> {
    let mut status = 0;
    // SAFETY: the status outlives the call.
    checked(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
    Ok(status)
}

/// Becomes another user for good, with all threads.
pub fn become_user(uid: u32) -> io::Result<()> {
    // SAFETY: takes numbers.
    checked(unsafe { libc::setresuid(uid, uid, uid) }).map(drop)
}

/// How an io_uring is to carry a connect out.
#[derive(Clone, Copy)]
pub enum Ring {
    Inline,
    Async,
    Polled,
}

/// Connects through an io_uring.
pub fn ring_connect(socket: &Socket, to: &SockAddr, how: Ring) -> io::Result<()> {
    let mut builder = IoUring::builder();
    if matches!(how, Ring::Polled) {
        builder.setup_sqpoll(50);
    }
    let mut ring: IoUring = builder.build(4)?;
    let entry = opcode::Connect::new(Fd(socket.as_raw_fd()), to.as_ptr().cast(), to.len()).build();
    let entry = if matches!(how, Ring::Async) { entry.flags(Flags::ASYNC) } else { entry };
    // SAFETY: the address outlives the completion, which is waited for below.
    let pushed = unsafe { ring.submission().push(&entry) };
    pushed.map_err(io::Error::other)?;
    ring.submit_and_wait(1)?;
    let done = ring.completion().next().ok_or(io::ErrorKind::BrokenPipe)?.result();
    if done < 0 { Err(io::Error::from_raw_os_error(-done)) } else { Ok(()) }
}

/// Sends through an io_uring.
pub fn ring_send(socket: &Socket, data: &[u8]) -> io::Result<i32> {
    let mut ring = IoUring::new(4)?;
    let entry = opcode::Send::new(Fd(socket.as_raw_fd()), data.as_ptr(), data.len() as u32).build();
    // SAFETY: the data outlive the completion, which is waited for below.
    let pushed = unsafe { ring.submission().push(&entry) };
    pushed.map_err(io::Error::other)?;
    ring.submit_and_wait(1)?;
    checked(ring.completion().next().ok_or(io::ErrorKind::BrokenPipe)?.result())
}

/// A socket made by an io_uring instead of `socket(2)`.
pub fn ring_socket(family: i32, kind: i32, protocol: i32) -> io::Result<Socket> {
    use std::os::fd::FromRawFd;
    let mut ring = IoUring::new(4)?;
    let entry = opcode::Socket::new(family, kind, protocol).build().flags(Flags::ASYNC);
    // SAFETY: the entry borrows nothing.
    let pushed = unsafe { ring.submission().push(&entry) };
    pushed.map_err(io::Error::other)?;
    ring.submit_and_wait(1)?;
    let made = ring.completion().next().ok_or(io::ErrorKind::BrokenPipe)?.result();
    if made < 0 {
        return Err(io::Error::from_raw_os_error(-made));
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(made) }.into())
}
