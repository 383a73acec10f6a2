//! New cgroups, classified as they are made: most are known before anything runs in them.
//!
//! This only makes the unknown rare. What is faster than us is diverted first and classified then.

use super::places::Places;
use crate::sys;
use rustix::fs::inotify;
use std::{
    collections::HashMap,
    ffi::OsStr,
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};
use tokio::io::unix::AsyncFd;

/// Watches the directories whose children have to be classified.
pub struct Nursery {
    notify: AsyncFd<OwnedFd>,
    watched: HashMap<i32, PathBuf>,
}

impl Nursery {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the host has no inotify instance left.
    pub fn open() -> io::Result<Self> {
        let notify = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        Ok(Self { notify: sys::pollable(notify)?, watched: HashMap::new() })
    }

    /// Watches a cgroup, given by its path below the root.
    pub fn watch(&mut self, places: &Places, path: &Path) {
        let flags = inotify::WatchFlags::CREATE | inotify::WatchFlags::ONLYDIR;
        // A cgroup that is gone already has no children; one past the limit on watches is only classified later.
        if let Ok(watch) = inotify::add_watch(self.notify.get_ref(), places.dir(path), flags) {
            self.watched.insert(watch, path.to_owned());
        }
    }

    /// Waits for new cgroups; their paths below the root.
    ///
    /// # Errors
    /// When inotify cannot be read.
    pub async fn born(&mut self) -> io::Result<Vec<PathBuf>> {
        let mut ready = self.notify.readable().await?;
        let mut buffer = [const { MaybeUninit::uninit() }; 16 * 1024];
        let mut reader = inotify::Reader::new(ready.get_inner(), &mut buffer);
        let mut born = Vec::new();
        let mut gone = Vec::new();
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(inotify::ReadFlags::IGNORED) => gone.push(event.wd()),
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    if let (Some(parent), Some(name)) = (self.watched.get(&event.wd()), name) {
                        born.push(parent.join(name));
                    }
                }
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        ready.clear_ready();
        for watch in gone {
            self.watched.remove(&watch);
        }
        Ok(born)
    }
}
