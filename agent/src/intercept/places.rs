//! Which processes are in which scope: selectors resolved to what the kernel half can look up.
//!
//! Everything that exists is classified before the programs attach. What appears later is unknown to the kernel,
//! diverted first, and classified here the moment it opens a socket; the verdict then stays in the kernel's tables.

use super::{InterceptError, tables::Tables};
use crate::{
    config::{Fail, Inbound, Mode, Scope, Selectors, Udp},
    sys::Raw,
};
use sallyport_ebpf::{self as abi, ExeKey, Placement, Task, Verdict};
use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Deepest cgroup the kernel half looks at; see `MAX_LEVEL` there.
pub const MAX_DEPTH: usize = 15;

/// The selectors of all scopes, and where they are looked up.
pub struct Places {
    scopes: Vec<Scope>,
    cgroup_root: PathBuf,
    by_name: bool,
    settled: bool,
}

/// A scope's number in the kernel's tables: its position in the configuration.
pub type ScopeIndex = u32;

impl Places {
    /// Selectors of `scopes`, looked up below `cgroup_root`.
    pub fn new(scopes: Vec<Scope>, cgroup_root: PathBuf) -> Self {
        let by_name = scopes.iter().any(|s| !s.selectors.units.is_empty() || !s.selectors.slices.is_empty());
        Self { scopes, cgroup_root, by_name, settled: false }
    }

    /// The same for selected cgroups that are all there already: nothing that comes later has to be classified.
    #[must_use]
    pub fn settled(self) -> Self {
        Self { settled: true, ..self }
    }

    /// The scopes, by number.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The scope of a number.
    pub fn scope(&self, index: ScopeIndex) -> Option<&Scope> {
        self.scopes.get(index as usize)
    }

    /// True for a scope that only watches.
    pub fn observes(&self, index: ScopeIndex) -> bool {
        self.scope(index).is_some_and(|scope| scope.mode == Mode::Observe)
    }

    /// Bits of `MATCH_*` for the kernel half.
    pub fn matching(&self) -> u32 {
        let any = |test: fn(&Selectors) -> bool| self.scopes.iter().any(|scope| test(&scope.selectors));
        let exe = if any(|s| !s.exes.is_empty()) { abi::MATCH_EXE } else { 0 };
        let user = if any(|s| !s.users.is_empty()) { abi::MATCH_USER } else { 0 };
        exe | user
    }

    /// Writes scopes and users, and classifies every cgroup that exists. Entries of cgroups that are gone, and of an
    /// earlier configuration, are removed; processes of scopes that are gone are let go.
    ///
    /// # Errors
    /// When a table is full.
    pub fn publish(&self, tables: &mut Tables) -> Result<(), InterceptError> {
        let before: Vec<abi::Scope> = (0..abi::MAX_SCOPES).filter_map(|index| tables.scope(index)).collect();
        for index in 0..abi::MAX_SCOPES {
            let scope = self.scope(index).map(|scope| {
                let name = digest(scope.name.as_str());
                let old = before.iter().find(|old| old.name == name);
                abi::Scope { bypass_until_ns: old.map_or(0, |old| old.bypass_until_ns), flags: flags(scope), name }
            });
            tables.put_scope(index, scope.unwrap_or_default())?;
        }
        self.publish_members(tables, &before)?;
        self.publish_users(tables)?;
        for key in tables.exes.keys() {
            tables.exes.remove(&key);
        }
        self.publish_cgroups(tables)
    }

    /// Classifies every cgroup that exists and forgets those that are gone.
    ///
    /// # Errors
    /// When the table is full.
    pub fn publish_cgroups(&self, tables: &mut Tables) -> Result<(), InterceptError> {
        let mut living = HashSet::new();
        self.publish_below(Path::new("/"), tables, |id, _| {
            living.insert(id);
        })?;
        for id in tables.cgroups.keys() {
            if !living.contains(&id) {
                tables.cgroups.remove(&id);
            }
        }
        Ok(())
    }

    /// Members keep their scope under its new number, or are let go when it is gone; then whoever is in a scope now
    /// becomes a member.
    fn publish_members(&self, tables: &mut Tables, before: &[abi::Scope]) -> Result<(), InterceptError> {
        let names: Vec<u32> = self.scopes.iter().map(|scope| digest(scope.name.as_str())).collect();
        for (tgid, old) in tables.members.entries() {
            let name = before.get(old as usize).map(|scope| scope.name);
            match (0..).zip(&names).find(|(_, known)| Some(**known) == name) {
                Some((new, _)) => tables.members.put(&tgid, new)?,
                None => tables.members.remove(&tgid),
            }
        }
        for process in processes() {
            if let Some(scope) = self.of_process(process) {
                tables.members.put(&process, scope)?;
            }
        }
        Ok(())
    }

    /// The scope a running process is in, by all that can be read of it.
    pub fn of_process(&self, pid: u32) -> Option<ScopeIndex> {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let cgroup = read("cgroup");
        let place = cgroup.lines().find_map(|line| line.strip_prefix("0::")).map(|path| self.place(Path::new(path)));
        if let Some(place) = place.filter(|place| place.verdict == Verdict::Managed as u32) {
            return Some(place.scope);
        }
        if self.matching() == 0 {
            return None;
        }
        let uid = fs::metadata(format!("/proc/{pid}")).ok().map(|meta| meta.uid());
        let login = read("loginuid").trim().parse().ok().filter(|uid| *uid != abi::UNSET);
        let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
        self.first(|selectors| {
            let user = |uid: Option<u32>| uid.is_some_and(|uid| selectors.users.contains(&uid));
            user(uid) || user(login) || exe.as_ref().is_some_and(|exe| selectors.exes.contains(exe))
        })
    }

    /// Classifies a cgroup and everything below it; `each` is told every id, and the path when it has to be watched.
    ///
    /// # Errors
    /// When the table is full.
    pub fn publish_below(
        &self,
        top: &Path,
        tables: &mut Tables,
        mut each: impl FnMut(u64, Option<&Path>),
    ) -> Result<(), InterceptError> {
        let mut pending = vec![top.to_owned()];
        while let Some(path) = pending.pop() {
            let dir = self.dir(&path);
            let Ok(id) = fs::metadata(&dir).map(|meta| meta.ino()) else { continue };
            let place = self.place(&path);
            // The canary's cage is nobody's to classify.
            if tables.cgroups.read(&id).is_none_or(|known| known.0.scope != abi::CANARY_SCOPE) {
                tables.cgroups.put(&id, Raw(place))?;
            }
            each(id, (place.verdict == Verdict::Watched as u32).then_some(&path));
            pending.extend(subdirectories(&dir).into_iter().map(|name| path.join(name)));
        }
        Ok(())
    }

    fn publish_users(&self, tables: &mut Tables) -> Result<(), InterceptError> {
        let mut wanted = HashSet::new();
        for (index, scope) in (0..).zip(&self.scopes) {
            for uid in &scope.selectors.users {
                if wanted.insert(*uid) {
                    tables.users.put(uid, Raw(managed(index)))?;
                }
            }
        }
        for uid in tables.users.keys() {
            if !wanted.contains(&uid) {
                tables.users.remove(&uid);
            }
        }
        Ok(())
    }

    /// Classifies the cgroup and the image of a task the kernel did not know, and puts the verdicts into the tables.
    ///
    /// `None` when neither can be established: the task is gone, or is no longer what the kernel saw.
    pub fn classify(&self, task: &Task, tables: &mut Tables) -> Option<Placement> {
        let place = self.judge(task, tables)?;
        if place.verdict == Verdict::Managed as u32 {
            // A full table leaves the process to its cgroup's verdict, which holds as long as it stays there.
            let _ = tables.members.put(&task.tgid, place.scope);
        } else if tables.members.read(&task.tgid) == Some(abi::NO_SCOPE) {
            tables.members.remove(&task.tgid);
        }
        Some(place)
    }

    fn judge(&self, task: &Task, tables: &mut Tables) -> Option<Placement> {
        let path = cgroup_of(task, &self.cgroup_root)?;
        // Parents first, so that the kernel's walk never finds a child without its parents.
        let mut place = CLEAR;
        for part in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            let id = fs::metadata(self.dir(part)).ok()?.ino();
            place = self.place(part);
            // A full table leaves the cgroup unknown: diverted and asked for again, which is slow but closed.
            let _ = tables.cgroups.put(&id, Raw(place));
        }
        if place.verdict == Verdict::Managed as u32 || self.matching() & abi::MATCH_EXE == 0 {
            return Some(settled(place));
        }
        let exe = self.classify_exe(task)?;
        let key = ExeKey { ino: task.exe_ino, dev: task.exe_dev, pad: 0 };
        let _ = tables.exes.put(&Raw(key), Raw(exe));
        Some(exe)
    }

    fn classify_exe(&self, task: &Task) -> Option<Placement> {
        let link = format!("/proc/{}/exe", task.tgid);
        // Only the image the kernel saw may be judged: the process may have become another since.
        if fs::metadata(&link).ok()?.ino() != task.exe_ino {
            return None;
        }
        let path = fs::read_link(&link).ok()?;
        let found = self.first(|selectors| selectors.exes.contains(&path));
        (fs::metadata(&link).ok()?.ino() == task.exe_ino).then(|| found.map_or(CLEAR, managed))
    }

    /// Where a cgroup stands, by its path below the root alone.
    pub fn place(&self, path: &Path) -> Placement {
        for part in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            let name = part.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            let selected = self.first(|selectors| {
                selectors.cgroups.iter().any(|cgroup| cgroup == part)
                    || (name.ends_with(".slice") && selectors.slices.iter().any(|slice| slice.matches(&name)))
                    || (!name.is_empty() && selectors.units.iter().any(|unit| unit.matches(&name)))
            });
            if let Some(index) = selected {
                return managed(index);
            }
        }
        if self.may_hold_selected(path) { WATCHED } else { CLEAR }
    }

    /// True when a child that does not exist yet could be selected.
    fn may_hold_selected(&self, path: &Path) -> bool {
        if self.settled {
            return false;
        }
        let below = |selectors: &Selectors| selectors.cgroups.iter().any(|cgroup| cgroup.starts_with(path));
        if self.scopes.iter().any(|scope| below(&scope.selectors)) {
            return true;
        }
        // Services and scopes hold no units, except a user's own manager.
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let is_unit = [".service", ".scope", ".socket", ".mount", ".swap"].iter().any(|kind| name.ends_with(kind));
        self.by_name && (!is_unit || name.starts_with("user@"))
    }

    /// Direct children of a cgroup that are in no table.
    pub fn unpublished(&self, path: &Path, tables: &Mutex<Tables>) -> Vec<PathBuf> {
        let children = subdirectories(&self.dir(path)).into_iter().map(|name| path.join(name));
        let tables = tables.lock().unwrap_or_else(PoisonError::into_inner);
        let is_missing =
            |path: &PathBuf| fs::metadata(self.dir(path)).is_ok_and(|meta| tables.cgroups.read(&meta.ino()).is_none());
        children.filter(is_missing).collect()
    }

    fn first(&self, matches: impl Fn(&Selectors) -> bool) -> Option<ScopeIndex> {
        (0..).zip(&self.scopes).find(|(_, scope)| matches(&scope.selectors)).map(|(index, _)| index)
    }

    /// The directory of a cgroup, given by its path below the root.
    pub fn dir(&self, path: &Path) -> PathBuf {
        self.cgroup_root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

const CLEAR: Placement = Placement { verdict: Verdict::Clear as u32, scope: abi::NO_SCOPE };
const WATCHED: Placement = Placement { verdict: Verdict::Watched as u32, scope: abi::NO_SCOPE };

fn managed(scope: ScopeIndex) -> Placement {
    Placement { verdict: Verdict::Managed as u32, scope }
}

/// FNV-1a, 32 bits: enough to know a name again among 255, and never used as a proof.
pub fn digest(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Ids of all processes.
pub fn processes() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A watched cgroup is itself clear.
fn settled(place: Placement) -> Placement {
    if place.verdict == Verdict::Watched as u32 { CLEAR } else { place }
}

fn flags(scope: &Scope) -> u32 {
    [
        (scope.udp == Udp::Allow, abi::SCOPE_UDP),
        (scope.inbound == Inbound::Allow, abi::SCOPE_INBOUND),
        (scope.fail == Fail::Open, abi::SCOPE_FAIL_OPEN),
        (scope.mode == Mode::Observe, abi::SCOPE_OBSERVE),
    ]
    .into_iter()
    .fold(0, |flags, (on, bit)| if on { flags | bit } else { flags })
}

/// The path of the cgroup the kernel saw, below the root: from the task while it is there, else by looking for the id.
fn cgroup_of(task: &Task, root: &Path) -> Option<PathBuf> {
    let is_it = |path: &Path| {
        let dir = root.join(path.strip_prefix("/").unwrap_or(path));
        fs::metadata(dir).is_ok_and(|meta| meta.ino() == task.cgroup)
    };
    let listed = fs::read_to_string(format!("/proc/{}/cgroup", task.tgid)).unwrap_or_default();
    let path = listed.lines().find_map(|line| line.strip_prefix("0::")).map(PathBuf::from);
    match path {
        Some(path) if is_it(&path) => Some(path),
        _ => find(root, task.cgroup),
    }
}

/// Looks for a cgroup by id, breadth first. Slow, and only for tasks that are gone.
fn find(root: &Path, id: u64) -> Option<PathBuf> {
    let mut pending = std::collections::VecDeque::from([PathBuf::from("/")]);
    while let Some(path) = pending.pop_front() {
        let dir = root.join(path.strip_prefix("/").unwrap_or(&path));
        if fs::metadata(&dir).is_ok_and(|meta| meta.ino() == id) {
            return Some(path);
        }
        pending.extend(subdirectories(&dir).into_iter().map(|name| path.join(name)));
    }
    None
}

fn subdirectories(dir: &Path) -> Vec<std::ffi::OsString> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.file_name()).collect()
}

/// Mount point of the cgroup v2 hierarchy, from `/proc/self/mounts`.
///
/// # Errors
/// When none is mounted.
pub fn cgroup_root() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let found = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(path))
    });
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no cgroup v2 hierarchy is mounted"))
}
