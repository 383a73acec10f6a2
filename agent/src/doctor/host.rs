//! The machine as its files show it, so that the checks can be tried on one that does not exist.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file tree to look at, and whether it is looked at as root.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    root: PathBuf,
    /// Whether root looks.
    pub(super) privileged: bool,
}

/// One line of /proc/self/mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where.
    pub(super) path: PathBuf,
    /// File system type.
    pub(super) kind: String,
}

impl Machine {
    /// This one.
    pub(super) fn this() -> Self {
        Self { root: "/".into(), privileged: rustix::process::geteuid().is_root() }
    }

    /// Where `path` of that machine is found on this one.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The trimmed text of a small file.
    pub(super) fn text(&self, path: &str) -> io::Result<String> {
        fs::read_to_string(self.path(path)).map(|text| text.trim().to_owned())
    }

    /// A file that holds one number.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path).ok()?.parse().ok()
    }

    /// What is mounted. Later lines cover earlier ones.
    pub(super) fn mounts(&self) -> Vec<Mount> {
        let text = self.text("/proc/self/mounts").unwrap_or_default();
        let parse = |line: &str| {
            let mut fields = line.split(' ');
            let (_device, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
            Some(Mount { path: unescaped(path).into(), kind: kind.to_owned() })
        };
        text.lines().filter_map(parse).collect()
    }

    /// Where the cgroup v2 hierarchy is.
    pub(super) fn cgroup2(&self) -> Option<PathBuf> {
        self.mounts().into_iter().find(|mount| mount.kind == "cgroup2").map(|mount| mount.path)
    }
}

/// Undoes the kernel's octal escapes of blanks and backslashes (`\040`).
fn unescaped(path: &str) -> String {
    [(r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", r"\")]
        .into_iter()
        .fold(path.to_owned(), |path, (escape, plain)| path.replace(escape, plain))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A machine made of `files`.
    pub(in crate::doctor) fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine { root: dir.path().to_owned(), privileged: true };
        for (path, text) in files {
            let path = machine.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (dir, machine)
    }

    #[test]
    fn mounts_are_read() {
        let lines = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\nbroken\nx /a\\040b bpf rw 0 0\n";
        let (_dir, machine) = machine(&[("/proc/self/mounts", lines)]);
        assert_eq!(machine.cgroup2(), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(machine.mounts().last(), Some(&Mount { path: "/a b".into(), kind: "bpf".into() }));
    }
}
