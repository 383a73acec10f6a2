//! Cgroups of one test, below the v2 root.

use crate::within;
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// A cgroup. The top one of a test ends every process inside, and removes everything below it, when dropped.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    owned: bool,
}

impl Cgroup {
    /// The top cgroup of a test, by a name no other test has.
    pub fn top(name: &str) -> Self {
        let path = root().join(name);
        // A starting daemon removes empty cgroups that look left behind: with a child inside, this one does not.
        let made = within(Duration::from_secs(5), || fs::create_dir_all(path.join("keep")).ok());
        made.unwrap_or_else(|| panic!("cannot make the cgroup {}", path.display()));
        Self { path, owned: true }
    }

    /// A cgroup below this one; `name` may hold slashes.
    pub fn child(&self, name: &str) -> Self {
        let path = self.path.join(name);
        fs::create_dir_all(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { path, owned: false }
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As a configuration names it: from the root of the hierarchy.
    pub fn selector(&self) -> String {
        format!("/{}", self.path.strip_prefix(root()).unwrap().display())
    }

    /// The kernel's number for it.
    pub fn id(&self) -> u64 {
        fs::metadata(&self.path).unwrap().ino()
    }

    /// Removes it now; it must be empty.
    pub fn remove(self) {
        let gone = within(Duration::from_secs(5), || fs::remove_dir(&self.path).ok());
        gone.unwrap_or_else(|| panic!("{} is not empty", self.path.display()));
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.owned {
            sweep(&self.path);
        }
    }
}

/// Ends and removes a whole tree.
pub fn sweep(path: &Path) {
    let _ = fs::write(path.join("cgroup.kill"), "1");
    // What was killed a moment ago is still on its way out.
    let gone = within(Duration::from_secs(10), || remove(path).then_some(()));
    if gone.is_none() {
        eprintln!("left behind: {}", path.display());
    }
}

fn remove(path: &Path) -> bool {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let left = directories.filter(|entry| !remove(&entry.path())).count();
    left == 0 && (fs::remove_dir(path).is_ok() || !path.exists())
}

/// Mount point of the v2 hierarchy.
pub fn root() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mut fields = mounts.lines().map(|line| line.split(' '));
    let found = fields.find_map(|mut line| {
        let (_, path, kind) = (line.next()?, line.next()?, line.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(path))
    });
    found.expect("no cgroup v2 hierarchy is mounted")
}
