//! The store as its users meet it: what returned is there, whoever is killed, reads or writes at the same time.

mod answers;
mod crash;
mod damage;
mod roundtrip;
pub(crate) mod segments;
mod store;
mod tamper;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Decision, Outcome, Protocol, SessionEnd, SessionStart, Timestamps};
use crate::identity::{Ancestor, Attestation, Executable, Identity, Login, Process, Sha256, SpiffeId};

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn segment(state_dir: &Path) -> PathBuf {
    super::file::live(&super::file::directory(state_dir), 1)
}

/// A process of the unit `app-N.service`, with every fact filled in.
pub(crate) fn identity(n: u32) -> Arc<Identity> {
    let unit = format!("app-{n}.service");
    Arc::new(Identity {
        workload: SpiffeId::parse(&format!("spiffe://example.org/host/h1/unit/{unit}")).unwrap(),
        process: Process {
            tgid: 4000 + n,
            started: 123_456_789 + u64::from(n),
            executable: Some(Executable {
                path: "/usr/bin/app".into(),
                on_host: true,
                dev: u64::MAX,
                ino: u64::MAX - 1,
                sha256: Some(Sha256([0xab; 32])),
            }),
            argv: vec!["app".to_owned(), "--token=***".to_owned()],
            uid: 1000 + n,
            gid: 100,
            user: Some(format!("user{n}")),
            login: Some(Login { uid: 500, session: Some(7), user: Some("ada".to_owned()) }),
            cgroup: format!("/system.slice/{unit}"),
            cgroup_id: u64::MAX - 2,
            unit: Some(unit),
            user_unit: None,
            slice: Some("system.slice".to_owned()),
            container: None,
            parents: vec![Ancestor { pid: 1, started: 5, exe: Some("/sbin/init".into()) }],
            attestation: Attestation::Live,
        },
    })
}

pub(super) fn at(second: u32) -> Timestamps {
    Timestamps { wall_ns: i64::from(second) * 1_000_000_000, boot_ns: u64::from(second) * 1_000_000_000 + 1 }
}

pub(crate) fn start(identity: &Arc<Identity>, destination: &str, second: u32) -> SessionStart {
    SessionStart {
        identity: Arc::clone(identity),
        scope: Some("default".to_owned()),
        protocol: Protocol::Tcp,
        client: SocketAddr::from(([10, 0, 0, 1], 40_000)),
        destination: destination.parse().unwrap(),
        netns: u64::MAX,
        decision: Decision::Allow,
        started: at(second),
        extra: super::SessionExtra::default(),
    }
}

pub(super) fn end(outcome: Outcome) -> SessionEnd {
    SessionEnd { bytes_out: 10, bytes_in: u64::MAX, outcome, detail: Some("why".to_owned()), ended: at(99) }
}
