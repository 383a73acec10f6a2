//! Connections older than the programs: what managed processes hold already is ended, or in `observe` reported.

use super::{
    InterceptError, Step,
    places::{Places, ScopeIndex, processes},
    sockdiag::{ESTABLISHED, Entry, LISTEN, SockDiag},
    tables::Tables,
};
use crate::config::{Inbound, Mode};
use sallyport_ebpf::{Endpoint, TCP, UDP, Verdict};
use std::{
    collections::{HashMap, HashSet},
    fs,
    net::SocketAddr,
};

/// A connection a managed process held from before.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// The scope of its holder.
    pub scope: ScopeIndex,
    /// A process that holds it; `None` when only its cgroup is known.
    pub pid: Option<u32>,
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// True when it was destroyed, false when its scope only observes.
    pub destroyed: bool,
}

/// Ends what managed processes hold, in the calling thread's network namespace.
///
/// # Errors
/// When the socket table cannot be read, or a connection cannot be destroyed: the promise would be broken.
pub fn sweep(places: &Places, tables: &Tables, own: Own) -> Result<Vec<Leftover>, InterceptError> {
    let failed = |error| Step::Sweep.because(error);
    let diag = SockDiag::open().map_err(failed)?;
    let holders = holders(tables);
    let mut found = Vec::new();
    for protocol in [TCP, UDP] {
        let entries = diag.list(protocol).map_err(failed)?;
        let served: HashSet<u16> = entries.iter().filter(|e| e.state == LISTEN).map(|e| e.local.port()).collect();
        for entry in &entries {
            let Some((scope, pid)) = owner(entry, tables, &holders, own.cgroup) else { continue };
            if own.is_diverted(entry) || is_harmless(entry, places, scope, &served) || is_question(entry, tables) {
                continue;
            }
            let destroyed = places.scope(scope).is_none_or(|scope| scope.mode == Mode::Enforce);
            if destroyed {
                diag.destroy(entry).map_err(failed)?;
            }
            found.push(Leftover { scope, pid, local: entry.local, remote: entry.remote, destroyed });
        }
    }
    Ok(found)
}

/// What of the socket table is the daemon's doing.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Its cgroup.
    pub cgroup: u64,
    /// Port of its listeners.
    pub port: u16,
}

impl Own {
    fn is_diverted(self, entry: &Entry) -> bool {
        entry.remote.ip().is_loopback() && entry.remote.port() == self.port
    }
}

/// Whether a process holds a packet socket: it writes frames past every hook but the device's, and can be told to write
/// past that one too, so it must not be carried into a scope.
pub fn holds_packet_socket(pid: u32) -> bool {
    // sk, RefCnt, Type, Proto, Iface, R, Rmem, User, Inode
    let table = fs::read_to_string(format!("/proc/{pid}/net/packet")).unwrap_or_default();
    let listed = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(8)?.parse::<u32>().ok());
    let held = inodes(pid);
    listed.into_iter().any(|inode| held.contains(&inode))
}

/// Listeners, unconnected sockets, and connections a server accepted from this host or is allowed to answer.
fn is_harmless(entry: &Entry, places: &Places, scope: ScopeIndex, served: &HashSet<u16>) -> bool {
    if entry.state == LISTEN || (entry.protocol == UDP && entry.state != ESTABLISHED) {
        return true;
    }
    let accepted = entry.protocol == TCP && served.contains(&entry.local.port());
    let answers = places.scope(scope).is_some_and(|scope| scope.inbound == Inbound::Allow);
    accepted && (answers || entry.remote.ip().is_loopback())
}

fn is_question(entry: &Entry, tables: &Tables) -> bool {
    let addr = super::arrival::addr(entry.remote.ip());
    let endpoint = Endpoint { addr, port: entry.remote.port(), pad: [0; 3] };
    entry.protocol == UDP && tables.resolvers.read(&crate::sys::Raw(endpoint)).is_some()
}

/// The scope a socket belongs to, by who holds it or else by its cgroup.
fn owner(
    entry: &Entry,
    tables: &Tables,
    holders: &HashMap<u32, (u32, ScopeIndex)>,
    own_cgroup: u64,
) -> Option<(ScopeIndex, Option<u32>)> {
    if let Some((pid, scope)) = holders.get(&entry.inode).filter(|_| entry.inode != 0) {
        return Some((*scope, Some(*pid)));
    }
    let cgroup = entry.cgroup.filter(|cgroup| *cgroup != own_cgroup)?;
    let place = tables.cgroups.read(&cgroup)?.0;
    (place.verdict == Verdict::Managed as u32).then_some((place.scope, None))
}

/// Socket inode → a member that holds it, and its scope.
fn holders(tables: &Tables) -> HashMap<u32, (u32, ScopeIndex)> {
    let members: HashMap<u32, ScopeIndex> = tables.members.entries().into_iter().collect();
    let held = processes().into_iter().filter_map(|pid| Some((pid, *members.get(&pid)?)));
    held.flat_map(|(pid, scope)| inodes(pid).into_iter().map(move |inode| (inode, (pid, scope)))).collect()
}

fn inodes(pid: u32) -> HashSet<u32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return HashSet::new() };
    let links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    let numbers = links.filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
    numbers.collect()
}
