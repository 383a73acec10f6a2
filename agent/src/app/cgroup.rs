//! Cgroups of our own: the daemon's, which is exempt, and the one a command runs in.

use super::AppError;
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A cgroup this process made; it is removed when dropped.
pub(super) struct Cgroup {
    path: PathBuf,
    /// Where this process came from, when it moved in.
    home: Option<PathBuf>,
}

impl Cgroup {
    /// Makes a cgroup below the v2 root.
    pub(super) fn make(root: &Path, name: &str) -> Result<Self, AppError> {
        let path = root.join(name);
        fs::create_dir_all(&path).map_err(AppError::system("making a cgroup"))?;
        Ok(Self { path, home: None })
    }

    /// Moves this process in, until the value is dropped.
    pub(super) fn enter(&mut self, root: &Path) -> Result<(), AppError> {
        self.home = Some(current(root).map_err(AppError::system("reading /proc/self/cgroup"))?);
        join(&self.path).map_err(AppError::system("entering a cgroup"))
    }

    /// Its directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its id.
    pub(super) fn id(&self) -> Result<u64, AppError> {
        id(&self.path)
    }

    /// Kills whatever is left inside; how many processes there were.
    pub(super) fn kill(&self) -> usize {
        let left = processes(&self.path).len();
        if left > 0 {
            // Without `cgroup.kill` (before Linux 5.14) they live on, refused by the programs.
            let _ = fs::write(self.path.join("cgroup.kill"), "1");
        }
        left
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            // A home that is gone leaves us here, and the cgroup behind.
            let _ = join(home);
        }
        // What was killed a moment ago may still be on its way out.
        for _ in 0..200 {
            match fs::remove_dir(&self.path) {
                Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                _ => return,
            }
        }
    }
}

/// The cgroup this process is in, and has to itself: where a service manager put it, or else one made now.
pub(super) fn own(root: &Path) -> Result<(u64, Option<Cgroup>), AppError> {
    let path = current(root).map_err(AppError::system("reading /proc/self/cgroup"))?;
    let own = std::process::id().to_string();
    let alone = path != root && processes(&path).iter().all(|pid| *pid == own);
    if alone {
        return Ok((id(&path)?, None));
    }
    let mut made = Cgroup::make(root, &format!("sallyport-agent-{own}"))?;
    made.enter(root)?;
    Ok((made.id()?, Some(made)))
}

/// Removes cgroups that killed instances left behind, when they are empty.
pub(super) fn remove_leftovers(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(name) = name.strip_prefix("sallyport-") else { continue };
        let maker = name.split('-').find_map(|part| part.parse::<u32>().ok());
        // Those of a living maker may be empty for the moment.
        if maker.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Fails, rightly, for cgroups that somebody is in.
            let _ = fs::remove_dir(&path);
        }
    }
}

fn join(path: &Path) -> io::Result<()> {
    fs::write(path.join("cgroup.procs"), "0")
}

fn id(path: &Path) -> Result<u64, AppError> {
    fs::metadata(path).map(|meta| meta.ino()).map_err(AppError::system("reading a cgroup's id"))
}

fn current(root: &Path) -> io::Result<PathBuf> {
    let listed = fs::read_to_string("/proc/self/cgroup")?;
    let path = listed.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    Ok(if path.is_empty() { root.to_owned() } else { root.join(path) })
}

fn processes(path: &Path) -> Vec<String> {
    fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default().lines().map(str::to_owned).collect()
}
