//! Pipes for bulk transfers, leased for one burst and shared by all flows.

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// What a pipe holds: as much as an unprivileged one may (`fs.pipe-max-size`).
const CAPACITY: usize = 1024 * 1024;
/// Idle pipes kept; each is two descriptors and no memory while empty.
const KEEP: usize = 64;
const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

static IDLE: Mutex<Vec<Ends>> = Mutex::new(Vec::new());

struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

/// A leased pipe. It goes back when dropped, if it is empty: what one flow left in it never reaches another.
pub(super) struct Pipe {
    ends: Option<Ends>,
    held: AtomicUsize,
}

impl Pipe {
    /// An idle pipe or a new one; `None` when there are no descriptors left, and the flow goes on by copying.
    pub(super) fn lease() -> Option<Self> {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let ends = match idle {
            Some(ends) => ends,
            None => {
                let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
                // A smaller pipe is slower, and works.
                let _ = fcntl_setpipe_size(&write, CAPACITY);
                Ends { read, write }
            }
        };
        Some(Self { ends: Some(ends), held: AtomicUsize::new(0) })
    }

    /// Moves what the socket has into the pipe; zero at its end of file.
    pub(super) fn fill_from(&self, socket: impl AsFd) -> io::Result<usize> {
        let taken = splice(socket, None, &self.ends()?.write, None, CAPACITY, FLAGS)?;
        self.held.fetch_add(taken, Relaxed);
        Ok(taken)
    }

    /// Moves up to `len` bytes from the pipe into the socket.
    pub(super) fn drain_into(&self, socket: impl AsFd, len: usize) -> io::Result<usize> {
        let written = splice(&self.ends()?.read, None, socket, None, len, FLAGS)?;
        self.held.fetch_sub(written, Relaxed);
        Ok(written)
    }

    fn ends(&self) -> io::Result<&Ends> {
        self.ends.as_ref().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        if self.held.load(Relaxed) == 0 && idle.len() < KEEP {
            idle.extend(self.ends.take());
        }
    }
}
