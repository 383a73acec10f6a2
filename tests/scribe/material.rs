//! What is recorded: processes, sessions, requests, as a host of services would have them.

use sallyport::{
    identity::{Ancestor, Attestation, Executable, Identity, Login, Process, Sha256, SpiffeId},
    record::{
        Decision, Outcome, Protocol, RequestRecord, ResponseRecord, SessionEnd, SessionExtra, SessionId, SessionStart,
        Status, Timestamps,
    },
};
use std::{net::SocketAddr, sync::Arc};

/// A process of the unit `app-N.service`.
pub fn identity(n: u32) -> Arc<Identity> {
    let unit = format!("app-{n}.service");
    let login = Login { uid: 1000, session: Some(7), user: Some("ada".to_owned()) };
    let executable = Executable {
        path: "/usr/bin/app".into(),
        on_host: true,
        dev: 64_512,
        ino: 131_072 + u64::from(n),
        sha256: Some(Sha256([0xab; 32])),
    };
    Arc::new(Identity {
        workload: SpiffeId::parse(&format!("spiffe://example.org/host/h1/unit/{unit}")).expect("an id"),
        process: Process {
            tgid: 4000 + n,
            started: 123_456_789 + u64::from(n),
            executable: Some(executable),
            argv: vec!["app".to_owned(), "--config=/etc/app.toml".to_owned()],
            uid: 1000,
            gid: 1000,
            user: Some("app".to_owned()),
            login: (n.is_multiple_of(4)).then_some(login),
            cgroup: format!("/system.slice/{unit}"),
            cgroup_id: 9000 + u64::from(n),
            unit: Some(unit),
            user_unit: None,
            slice: Some("system.slice".to_owned()),
            container: None,
            parents: vec![Ancestor { pid: 1, started: 5, exe: Some("/usr/lib/systemd/systemd".into()) }],
            attestation: Attestation::Live,
        },
    })
}

/// A session that begins now.
pub fn start(identity: &Arc<Identity>, port: u16) -> SessionStart {
    SessionStart {
        identity: Arc::clone(identity),
        scope: Some("jobs".to_owned()),
        protocol: Protocol::Tcp,
        client: SocketAddr::from(([127, 0, 0, 1], port)),
        destination: SocketAddr::from(([10, 0, 0, 5], 5432)),
        netns: 4_026_531_840,
        decision: Decision::Allow,
        started: Timestamps::now(),
        extra: SessionExtra::default(),
    }
}

/// A session that ends now.
pub fn end() -> SessionEnd {
    SessionEnd {
        bytes_out: 4711,
        bytes_in: 90_210,
        outcome: Outcome::Completed,
        detail: None,
        ended: Timestamps::now(),
    }
}

/// A request that came now.
pub fn request(session: SessionId, n: u64, kind: &Arc<str>, statement: &Arc<str>) -> RequestRecord {
    RequestRecord {
        session,
        n,
        at: Timestamps::now(),
        kind: Arc::clone(kind),
        statement: Some(Arc::clone(statement)),
        parameters: None,
        decision: Decision::Allow,
        policies: None,
        facts: None,
        bytes: Some(statement.len() as u64 + 6),
        detail: None,
        approval: None,
    }
}

/// What came back for it.
pub fn response(session: SessionId, n: u64) -> ResponseRecord {
    ResponseRecord {
        session,
        n,
        at: Timestamps::now(),
        status: Status::Done,
        rows: Some(1),
        bytes: Some(84),
        masked: 0,
        masks: None,
        error: None,
    }
}
