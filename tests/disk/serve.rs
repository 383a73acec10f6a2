//! The disk as the kernel sees it: a FUSE file system.
//!
//! The kernel caches as it does for any file system, so that shared mappings work, and keeps locks by itself. It writes
//! through: what a process wrote with write(2) is known here; of a mapping, what was written back.

use crate::{
    disk::{Disk, Failed, Kind, Node},
    file::PAGE,
};
use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, KernelConfig,
    LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use std::{
    ffi::OsStr,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// Nothing changes but through the kernel: it may remember for ever.
const LONG: Duration = Duration::from_secs(86_400);
/// Longest write the kernel hands over in one piece.
const MOST: u32 = 1 << 20;
const NO_HANDLE: FileHandle = FileHandle(0);
const NAME_MAX: u32 = 255;

/// The disk, shared with who cuts its power.
#[derive(Clone, Debug)]
pub struct Served(pub Arc<Mutex<Disk>>);

impl Served {
    pub fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attr(&self, node: INodeNo) -> Result<FileAttr, Failed> {
        self.disk().node(node.0).map(|found| attr(node, found))
    }

    fn entry(&self, node: Result<u64, Failed>, reply: ReplyEntry) {
        match node.and_then(|node| self.attr(INodeNo(node))) {
            Ok(attr) => reply.entry(&LONG, &attr, Generation(0)),
            Err(number) => reply.error(Errno::from_i32(number)),
        }
    }
}

fn attr(ino: INodeNo, node: &Node) -> FileAttr {
    let (kind, size, pages) = match &node.kind {
        Kind::File(file) => (FileType::RegularFile, file.current().size(), file.current().occupied()),
        Kind::Directory(_) => (FileType::Directory, 0, 1),
    };
    FileAttr {
        ino,
        size,
        blocks: pages * (PAGE as u64 / 512),
        atime: node.written,
        mtime: node.written,
        ctime: node.written,
        crtime: node.written,
        kind,
        perm: node.mode as u16,
        nlink: node.linked.into(),
        uid: node.owner.0,
        gid: node.owner.1,
        rdev: 0,
        blksize: PAGE as u32,
        flags: 0,
    }
}

fn answer(outcome: Result<(), Failed>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(number) => reply.error(Errno::from_i32(number)),
    }
}

fn owner(request: &Request) -> (u32, u32) {
    (request.uid(), request.gid())
}

impl Filesystem for Served {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Less than the largest there is cannot be refused.
        let _ = config.set_max_write(MOST);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.disk().lookup(parent.0, name);
        self.entry(found, reply);
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attr(node) {
            Ok(attr) => reply.attr(&LONG, &attr),
            Err(number) => reply.error(Errno::from_i32(number)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = || {
            let mut disk = self.disk();
            disk.writable()?;
            if let Some(size) = size {
                disk.truncate(node.0, size)?;
            }
            let found = disk.node(node.0)?;
            found.mode = mode.map_or(found.mode, |mode| mode & 0o7777);
            found.owner = (uid.unwrap_or(found.owner.0), gid.unwrap_or(found.owner.1));
            Ok(attr(node, found))
        };
        match change() {
            Ok(attr) => reply.attr(&LONG, &attr),
            Err(number) => reply.error(Errno::from_i32(number)),
        }
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let made = self.disk().create_directory(parent.0, name, mode & !umask, owner(request));
        self.entry(made, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.disk().remove(parent.0, name), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.disk().remove(parent.0, name), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let replace = !flags.contains(RenameFlags::RENAME_NOREPLACE);
        let outcome = if (flags - RenameFlags::RENAME_NOREPLACE).is_empty() {
            self.disk().rename((parent.0, name), (new_parent.0, new_name), replace)
        } else {
            Err(libc::EINVAL)
        };
        answer(outcome, reply);
    }

    fn open(&self, _: &Request, node: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let mut disk = self.disk();
        let allowed = if flags.acc_mode() == OpenAccMode::O_RDONLY { Ok(()) } else { disk.writable() };
        match allowed.and_then(|()| disk.open(node.0)) {
            // What the kernel remembers stays true.
            Ok(()) => reply.opened(NO_HANDLE, FopenFlags::FOPEN_KEEP_CACHE),
            Err(number) => reply.error(Errno::from_i32(number)),
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let make = || {
            let mut disk = self.disk();
            let node = disk.create(parent.0, name, mode & !umask, owner(request))?;
            disk.open(node)?;
            Ok(attr(INodeNo(node), disk.node(node)?))
        };
        match make() {
            Ok(attr) => reply.created(&LONG, &attr, Generation(0), NO_HANDLE, FopenFlags::FOPEN_KEEP_CACHE),
            Err(number) => reply.error(Errno::from_i32(number)),
        }
    }

    fn read(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        at: u64,
        length: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.disk().file(node.0).map(|file| file.current().read(at, length.into())) {
            Ok(bytes) => reply.data(&bytes),
            Err(number) => reply.error(Errno::from_i32(number)),
        }
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        at: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.disk().write(node.0, at, bytes) {
            // No longer than `MOST`.
            Ok(()) => reply.written(bytes.len() as u32),
            Err(number) => reply.error(Errno::from_i32(number)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        answer(self.disk().close(node.0), reply);
    }

    fn fsync(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.disk().sync(node.0), reply);
    }

    fn fsyncdir(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.disk().sync(node.0), reply);
    }

    fn readdir(&self, _: &Request, node: INodeNo, _: FileHandle, from: u64, mut reply: ReplyDirectory) {
        let mut disk = self.disk();
        let listed = match disk.list(node.0) {
            Ok(listed) => listed,
            Err(number) => return reply.error(Errno::from_i32(number)),
        };
        for (after, (name, node)) in (1..).zip(listed).skip(from as usize) {
            let is_directory = disk.node(node).is_ok_and(|found| matches!(found.kind, Kind::Directory(_)));
            let kind = if is_directory { FileType::Directory } else { FileType::RegularFile };
            if reply.add(INodeNo(node), after, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (all, free) = self.disk().space();
        reply.statfs(all, free, free, 1 << 20, 1 << 20, PAGE as u32, NAME_MAX, PAGE as u32);
    }

    fn fallocate(&self, _: &Request, node: INodeNo, _: FileHandle, at: u64, length: u64, mode: i32, reply: ReplyEmpty) {
        let outcome = match mode {
            0 => self.disk().allocate(node.0, at, length, true),
            libc::FALLOC_FL_KEEP_SIZE => self.disk().allocate(node.0, at, length, false),
            _ => Err(libc::EOPNOTSUPP),
        };
        answer(outcome, reply);
    }
}
