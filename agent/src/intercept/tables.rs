//! The kernel half's maps, typed.

use super::{InterceptError, Step, kernel::Kernel};
use crate::sys::{self, Raw};
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use sallyport_ebpf::{COUNTERS, Endpoint, ExeKey, Flow, MAX_SCOPES, Placement, SOCKET_ARRIVED, Scope, Settings};
use std::{
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

/// Every map the daemon reads or writes.
pub struct Tables {
    settings: Array<MapData, Raw<Settings>>,
    scopes: Array<MapData, Raw<Scope>>,
    counters: PerCpuArray<MapData, u64>,
    /// Cgroup id → placement.
    pub cgroups: Table<u64, Raw<Placement>>,
    /// User id → placement.
    pub users: Table<u32, Raw<Placement>>,
    /// Process image → placement.
    pub exes: Table<Raw<ExeKey>, Raw<Placement>>,
    /// Process id → scope.
    pub members: Table<u32, u32>,
    /// DNS servers.
    pub resolvers: Table<Raw<Endpoint>, u32>,
    /// Network namespace cookie → listener port.
    pub namespaces: Table<u64, u32>,
}

/// What the kernel half keeps with sockets. Apart from the other tables because it is on every connection's path and needs
/// no lock.
pub struct Sockets(MapData);

impl Sockets {
    /// What was handed over to an accepted socket; `None` when it was not diverted to us.
    pub fn flow(&self, accepted: BorrowedFd<'_>) -> Option<Flow> {
        // An error reads as a miss: refused.
        let state = sys::socket_state(self.0.fd().as_fd(), accepted).ok().flatten()?;
        (state.flags & SOCKET_ARRIVED != 0).then_some(state.flow)
    }
}

/// One hash map.
pub struct Table<K: aya::Pod, V: aya::Pod> {
    map: HashMap<MapData, K, V>,
    name: &'static str,
}

impl Tables {
    /// Takes the maps out of the loaded kernel half; the sockets and the ring of events come apart, for their own users.
    ///
    /// # Errors
    /// When the object's maps are not of the expected kind.
    pub fn open(kernel: &mut Kernel) -> Result<(Self, Sockets, RingBuf<MapData>), InterceptError> {
        let Map::SkStorage(sockets) = kernel.take_map("SOCKETS")? else {
            return Err(InterceptError::NoMap("SOCKETS".into()));
        };
        let events = of("EVENTS", RingBuf::try_from(kernel.take_map("EVENTS")?))?;
        let tables = Self {
            settings: of("SETTINGS", Array::try_from(kernel.take_map("SETTINGS")?))?,
            scopes: of("SCOPES", Array::try_from(kernel.take_map("SCOPES")?))?,
            counters: of("COUNTERS", PerCpuArray::try_from(kernel.take_map("COUNTERS")?))?,
            cgroups: Table::open(kernel, "CGROUPS")?,
            users: Table::open(kernel, "USERS")?,
            exes: Table::open(kernel, "EXES")?,
            members: Table::open(kernel, "MEMBERS")?,
            resolvers: Table::open(kernel, "RESOLVERS")?,
            namespaces: Table::open(kernel, "NAMESPACES")?,
        };
        Ok((tables, Sockets(sockets), events))
    }

    /// Writes the settings.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn put_settings(&mut self, settings: Settings) -> Result<(), InterceptError> {
        of("SETTINGS", self.settings.set(0, Raw(settings), 0))
    }

    /// The settings as they are; all zero when nobody wrote any.
    pub fn settings(&self) -> Settings {
        self.settings.get(&0, 0).map(|raw| raw.0).unwrap_or_default()
    }

    /// Writes what a scope permits.
    ///
    /// # Errors
    /// What the kernel says; an index past [`MAX_SCOPES`] is refused.
    pub fn put_scope(&mut self, index: u32, scope: Scope) -> Result<(), InterceptError> {
        of("SCOPES", self.scopes.set(index, Raw(scope), 0))
    }

    /// What a scope permits now.
    pub fn scope(&self, index: u32) -> Option<Scope> {
        if index >= MAX_SCOPES { None } else { self.scopes.get(&index, 0).ok().map(|raw| raw.0) }
    }

    /// Sums of all counters over all CPUs, indexed by `Counter`.
    pub fn counters(&self) -> [u64; COUNTERS as usize] {
        let mut sums = [0; COUNTERS as usize];
        for (index, sum) in (0..).zip(&mut sums) {
            *sum = self.counters.get(&index, 0).map(|values| values.iter().sum()).unwrap_or(0);
        }
        sums
    }
}

impl<K: aya::Pod, V: aya::Pod> Table<K, V> {
    fn open(kernel: &mut Kernel, name: &'static str) -> Result<Self, InterceptError> {
        Ok(Self { map: of(name, HashMap::try_from(kernel.take_map(name)?))?, name })
    }

    /// The value of a key.
    pub fn read(&self, key: &K) -> Option<V> {
        self.map.get(key, 0).ok()
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// When the table is full.
    pub fn put(&mut self, key: &K, value: V) -> Result<(), InterceptError> {
        of(self.name, self.map.insert(key, value, 0))
    }

    /// Removes a key; one that is not there is no error.
    pub fn remove(&mut self, key: &K) {
        // The only other failure is a map that is gone, which nothing after this call would survive either.
        let _ = self.map.remove(key);
    }

    /// All keys, as of about now.
    pub fn keys(&self) -> Vec<K> {
        self.map.keys().flatten().collect()
    }

    /// All entries, as of about now.
    pub fn entries(&self) -> Vec<(K, V)> {
        self.map.iter().flatten().collect()
    }
}

/// Opens the scope table of an instance from its pins, for use while no daemon runs.
///
/// # Errors
/// When nothing is pinned there.
pub fn pinned_scopes(maps: &Path) -> Result<Array<MapData, Raw<Scope>>, InterceptError> {
    let map = of("SCOPES", MapData::from_pin(maps.join("SCOPES")))?;
    of("SCOPES", Array::try_from(Map::Array(map)))
}

/// Tells another instance, living or dead, that cgroups of ours are in none of its scopes, unless it knows better: what it
/// does not know it diverts, and ours would then reach its listener instead of their destination.
pub fn introduce(maps: &Path, cgroups: &[u64]) {
    const ONLY_NEW: u64 = 1;
    let table = MapData::from_pin(maps.join("CGROUPS"))
        .and_then(|map| HashMap::<_, u64, Raw<Placement>>::try_from(Map::HashMap(map)));
    let Ok(mut table) = table else { return };
    for id in cgroups {
        // It is there already, or the table is full and the cgroup stays unknown there.
        let _ = table.insert(id, Raw(Placement::default()), ONLY_NEW);
    }
}

/// Whether a process is a member of a scope, by the pinned table of an instance.
pub fn is_member(maps: &Path, pid: u32) -> bool {
    let table =
        MapData::from_pin(maps.join("MEMBERS")).and_then(|map| HashMap::<_, u32, u32>::try_from(Map::HashMap(map)));
    table.is_ok_and(|table| table.get(&pid, 0).is_ok())
}

fn of<T>(name: &'static str, result: Result<T, MapError>) -> Result<T, InterceptError> {
    result.map_err(|error| Step::Table(name).because(error))
}
