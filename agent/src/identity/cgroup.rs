//! What a cgroup path says: systemd unit and slice, a user's own manager, a container.
//!
//! Names at the top of the tree are made by root (the service manager, a container runtime). Below a delegated unit,
//! and everything below `user@UID.service` is delegated to that user, whoever owns the unit chooses the names: a
//! container found there is only ever named together with that unit or user.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Directories looked at when a cgroup is searched by its id; a large Kubernetes node has some thousands.
const MAX_WALKED: usize = 20_000;

/// Unit types that own a cgroup (systemd.unit(5)).
const UNIT_SUFFIXES: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];
/// Longest unit name (`UNIT_NAME_MAX` in systemd).
const MAX_UNIT: usize = 255;

/// Scope and directory prefixes of container runtimes; a 64-digit id follows.
const RUNTIMES: [&str; 6] = ["docker-", "libpod-", "cri-containerd-", "crio-", "nerdctl-", "containerd-"];

/// Directories at the top of the tree that runtimes without systemd keep their containers in.
const RUNTIME_ROOTS: [&str; 6] = ["docker", "libpod_parent", "kubepods", "lxc", "podman", "containerd"];

/// A cgroup path, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Unit of the system service manager.
    pub unit: Option<String>,
    /// Innermost slice above that unit.
    pub slice: Option<String>,
    /// Owner of the login session or user manager the cgroup belongs to.
    pub user: Option<u32>,
    /// Unit of that user's own manager; a name that user chose.
    pub user_unit: Option<String>,
    /// Container id, or name for LXC.
    pub container: Option<String>,
    /// The container was named by root: its cgroup is its own unit or lies outside every unit.
    pub container_is_root_made: bool,
}

impl Placement {
    /// Reads a path below the v2 root.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let components: Vec<&str> = path.split('/').filter(|c| !c.is_empty()).map(unescape).collect();
        let mut placement = Self::default();
        let slices = components.iter().take_while(|c| is_slice(c)).count();
        placement.slice = slices.checked_sub(1).and_then(|at| components.get(at)).map(|s| (*s).to_owned());
        let below = components.get(slices..).unwrap_or_default();
        let Some((first, inside)) = below.split_first() else { return placement };
        if !is_unit(first) {
            placement.container = rootless_of_units(first, inside);
            placement.container_is_root_made = placement.container.is_some();
            return placement;
        }
        placement.unit = Some((*first).to_owned());
        if let Some(container) = container_scope(first) {
            placement.container = Some(container);
            placement.container_is_root_made = true;
            return placement;
        }
        if let Some(uid) = user_manager(first) {
            placement.user = Some(uid);
            placement.user_unit = inside.iter().find(|c| is_unit(c)).map(|c| (*c).to_owned());
        } else if first.starts_with("session-") && first.ends_with(".scope") {
            placement.user = placement.slice.as_deref().and_then(user_slice);
        }
        placement.container = inside.iter().find_map(|c| container_scope(c).or_else(|| lxc(c).or_else(|| long_id(c))));
        placement
    }
}

/// Path of the cgroup whose id is `id`, below `root`, beginning with `/`; searched breadth first, up to a bound.
pub(super) fn find(root: &Path, id: u64) -> Option<String> {
    if fs::metadata(root).ok()?.ino() == id {
        return Some("/".to_owned());
    }
    let mut waiting = VecDeque::from([root.to_owned()]);
    let mut walked = 0;
    while let Some(dir) = waiting.pop_front() {
        // A directory may vanish under the walk.
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.map_while(Result::ok) {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.ino() == id {
                let path = entry.path();
                return Some(format!("/{}", path.strip_prefix(root).ok()?.to_str()?));
            }
            walked += 1;
            if walked > MAX_WALKED {
                return None;
            }
            waiting.push_back(entry.path());
        }
    }
    None
}

/// Id of the cgroup at `path` below `root`: the inode number of its directory.
pub(super) fn id(root: &Path, path: &str) -> Option<u64> {
    let mut dir = PathBuf::from(root);
    for component in path.split('/').filter(|c| !c.is_empty()) {
        // Outside our own cgroup namespace the kernel writes `/..`.
        if component == ".." {
            return None;
        }
        dir.push(component);
    }
    fs::metadata(dir).ok().map(|meta| meta.ino())
}

/// systemd writes `_` before a name that would meet one of the kernel's own files (`cg_escape`).
fn unescape(component: &str) -> &str {
    component.strip_prefix('_').unwrap_or(component)
}

fn is_slice(name: &str) -> bool {
    name.len() > ".slice".len() && name.ends_with(".slice") && valid_unit(name)
}

fn is_unit(name: &str) -> bool {
    UNIT_SUFFIXES.iter().any(|suffix| name.len() > suffix.len() && name.ends_with(suffix)) && valid_unit(name)
}

/// Characters of unit names (`VALID_CHARS_WITH_AT` in systemd).
fn valid_unit(name: &str) -> bool {
    name.len() <= MAX_UNIT
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_' | b'.' | b'\\' | b'@'))
}

fn user_manager(unit: &str) -> Option<u32> {
    decimal(unit.strip_prefix("user@")?.strip_suffix(".service")?)
}

fn user_slice(slice: &str) -> Option<u32> {
    decimal(slice.strip_prefix("user-")?.strip_suffix(".slice")?)
}

fn decimal(digits: &str) -> Option<u32> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// `docker-ID.scope` and its like. Monitors (`libpod-conmon-ID.scope`, `crio-conmon-ID`) are not inside the container.
fn container_scope(name: &str) -> Option<String> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    RUNTIMES.iter().find_map(|runtime| long_id(name.strip_prefix(runtime)?))
}

/// A container where a runtime keeps its own tree, outside every unit.
fn rootless_of_units(first: &str, inside: &[&str]) -> Option<String> {
    if let Some(name) = lxc(first) {
        return Some(name);
    }
    if !RUNTIME_ROOTS.contains(&first) {
        return container_scope(first);
    }
    if first == "lxc" {
        return inside.first().map(|name| (*name).to_owned());
    }
    inside.iter().find_map(|c| container_scope(c).or_else(|| long_id(c)))
}

/// `lxc.payload.NAME` (LXC 4 and later); `lxc.monitor.NAME` is not inside.
fn lxc(name: &str) -> Option<String> {
    name.strip_prefix("lxc.payload.").filter(|name| !name.is_empty()).map(str::to_owned)
}

fn long_id(name: &str) -> Option<String> {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (name.len() == 64 && name.bytes().all(hex)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn shown(path: &str) -> String {
        let p = Placement::of(&path.replace("ID", ID));
        let mut out = vec![];
        out.extend(p.unit.map(|u| format!("unit={u}")));
        out.extend(p.slice.map(|s| format!("slice={s}")));
        out.extend(p.user.map(|u| format!("user={u}")));
        out.extend(p.user_unit.map(|u| format!("user_unit={u}")));
        out.extend(
            p.container.map(|c| format!("{}={c}", if p.container_is_root_made { "container" } else { "claimed" })),
        );
        out.join(" ").replace(ID, "ID")
    }

    #[test]
    fn paths_of_every_runtime_are_understood() {
        for (path, expected) in [
            ("/", ""),
            ("/init.scope", "unit=init.scope"),
            ("/system.slice/cron.service", "unit=cron.service slice=system.slice"),
            (
                r"/system.slice/system-postgresql.slice/postgresql@15-main.service",
                "unit=postgresql@15-main.service slice=system-postgresql.slice",
            ),
            (r"/system.slice/srv-a\x2db.mount", r"unit=srv-a\x2db.mount slice=system.slice"),
            ("/system.slice/_cpu.service", "unit=cpu.service slice=system.slice"),
            ("/system.slice/foo.service/worker", "unit=foo.service slice=system.slice"),
            ("/user.slice/user-1000.slice/session-3.scope", "unit=session-3.scope slice=user-1000.slice user=1000"),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/agent.service",
                "unit=user@1000.service slice=user-1000.slice user=1000 user_unit=agent.service",
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/init.scope",
                "unit=user@1000.service slice=user-1000.slice user=1000 user_unit=init.scope",
            ),
            ("/docker/ID", "container=ID"),
            ("/docker/ID/inner", "container=ID"),
            ("/system.slice/docker-ID.scope", "unit=docker-ID.scope slice=system.slice container=ID"),
            ("/machine.slice/libpod-ID.scope/container", "unit=libpod-ID.scope slice=machine.slice container=ID"),
            ("/machine.slice/libpod-conmon-ID.scope", "unit=libpod-conmon-ID.scope slice=machine.slice"),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podab_cd.slice/cri-containerd-ID.scope",
                "unit=cri-containerd-ID.scope slice=kubepods-burstable-podab_cd.slice container=ID",
            ),
            ("/kubepods/burstable/pod12-34/ID", "container=ID"),
            (
                "/kubepods.slice/kubepods-pod1.slice/crio-ID.scope",
                "unit=crio-ID.scope slice=kubepods-pod1.slice container=ID",
            ),
            (
                "/kubepods.slice/kubepods-pod1.slice/crio-conmon-ID.scope",
                "unit=crio-conmon-ID.scope slice=kubepods-pod1.slice",
            ),
            ("/lxc.payload.web/system.slice/x.service", "container=web"),
            ("/lxc.monitor.web", ""),
            ("/lxc/web", "container=web"),
            ("/sandbox", ""),
            ("/sandbox/x.service", ""),
            ("/notunit.service.d/x", ""),
        ] {
            assert_eq!(shown(path), expected, "{path}");
        }
    }

    #[test]
    fn names_below_a_delegated_unit_are_only_claims() {
        for (path, expected) in [
            ("/system.slice/ci.service/docker-ID.scope", "unit=ci.service slice=system.slice claimed=ID"),
            (
                "/user.slice/user-7.slice/user@7.service/user.slice/libpod-ID.scope/container",
                "unit=user@7.service slice=user-7.slice user=7 user_unit=libpod-ID.scope claimed=ID",
            ),
            (
                "/user.slice/user-7.slice/user@7.service/system.slice/postgresql.service",
                "unit=user@7.service slice=user-7.slice user=7 user_unit=postgresql.service",
            ),
        ] {
            assert_eq!(shown(path), expected, "{path}");
        }
    }

    #[test]
    fn a_cgroup_is_found_by_its_id() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("system.slice/cron.service");
        fs::create_dir_all(&deep).unwrap();
        fs::write(root.path().join("cgroup.procs"), "").unwrap();
        let ino = fs::metadata(&deep).unwrap().ino();
        assert_eq!(find(root.path(), ino).as_deref(), Some("/system.slice/cron.service"));
        assert_eq!(id(root.path(), "/system.slice/cron.service"), Some(ino));
        assert_eq!(find(root.path(), u64::MAX), None);
        assert_eq!(find(root.path(), fs::metadata(root.path()).unwrap().ino()).as_deref(), Some("/"));
        assert_eq!(id(root.path(), "/../etc"), None);
        assert_eq!(id(root.path(), "/system.slice/cron.service (deleted)"), None);
    }

    proptest! {
        #[test]
        fn no_path_panics_and_units_are_components(path in "(/(_?[a-z@.-]{1,8}(\\.slice|\\.service|\\.scope)?|[.]{1,2}|docker|é)){0,6}/?") {
            let placement = Placement::of(&path);
            if let Some(unit) = placement.unit {
                prop_assert!(path.split('/').any(|c| c == unit || c.strip_prefix('_') == Some(&unit)));
            }
        }
    }
}
