//! A connection of a managed process, from connect to the record, in every family.

use sallyport_tests::{
    Bed, Capture, Daemon, Record, Server,
    network::{HERE4, HERE6, NOBODY4, THERE4, THERE6},
    pattern, puppet,
};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};

/// Kind of socket, where it connects to, and the port there.
const FAMILIES: [(&str, &str, u16); 6] = [
    ("tcp4", "10.71.3.97", 4101),
    ("tcp6", "[fd71:3:5::97]", 4102),
    ("tcp6", "[::ffff:10.71.3.97]", 4103),
    ("mptcp4", "10.71.3.97", 4104),
    ("mptcp6", "[fd71:3:5::97]", 4105),
    ("mptcp6", "[::ffff:10.71.3.97]", 4106),
];

#[test]
fn every_family_is_diverted_and_still_sees_its_peer() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let (here, there) = (&bed.network().here, &bed.network().there);
    let capture = Capture::start(there);
    for (kind, address, port) in FAMILIES {
        let v6 = address.contains("fd71");
        let server = Server::echo(there, SocketAddr::new(if v6 { THERE6.into() } else { THERE4.into() }, port));
        let mut job = bed.managed();
        job.must(&format!("socket s {kind}"));
        job.must(&format!("connect s {address}:{port}"));
        assert_eq!(job.must("peer s"), format!("{address}:{port}"), "{kind}");
        let local: SocketAddr = job.must("local s").parse().unwrap();
        assert!(local.ip().to_canonical().is_loopback(), "{kind} was not diverted: {local}");
        job.must("write s good-morning");
        assert_eq!(job.must("read s 12"), "good-morning", "{kind}");
        job.must("write s again");
        assert_eq!(job.must("read s 5"), "again", "{kind}");
        job.must("half s");
        job.must("end s");
        let session = daemon.store().ended(port);
        let what = |key: &str| session[key].clone();
        assert_eq!(what("outcome"), "completed");
        assert_eq!(what("decision"), "allow");
        assert_eq!(what("scope"), "jobs");
        assert_eq!(what("protocol"), if kind.starts_with("mptcp") { "mptcp" } else { "tcp" });
        assert_eq!(what("dest_addr"), server.addr().ip().to_string());
        assert_eq!(what("client_port"), local.port());
        assert_eq!(what("client_addr"), local.ip().to_canonical().to_string());
        assert_eq!((what("bytes_out"), what("bytes_in")), (17.into(), 17.into()), "{kind}");
        assert_eq!(what("pid"), job.id());
        let here: IpAddr = if v6 { HERE6.into() } else { HERE4.into() };
        let seen: Vec<IpAddr> = server.peers().iter().map(SocketAddr::ip).collect();
        assert_eq!(seen, [here], "{kind}: the upstream sees one connection, of the host's own address");
    }
    let own = capture.only(there, |frame| frame.ports.is_some_and(|(from, _)| from >= 61_000));
    assert!(own.is_empty(), "packets of the process itself left the host: {own:?}");
    drop((daemon, here));
}

#[test]
fn the_record_names_the_process() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let _server = Server::echo(&bed.network().there, (THERE4, 4111));
    let cgroup = bed.unit_cgroup("job");
    let mut job = puppet::Puppet::start([
        "--netns".as_ref(),
        bed.network().here.path().as_ref(),
        "--cgroup".as_ref(),
        cgroup.path().as_os_str(),
        "--user".as_ref(),
        "4711".as_ref(),
    ]);
    connect(&mut job, 4111);
    job.must("write s x");
    job.must("read s 1");
    job.must("half s");
    job.must("end s");
    let session = daemon.store().ended(4111);
    let detail = daemon.store().show(&session);
    let program = std::fs::canonicalize(puppet::program()).unwrap();
    let digest = pattern::hex(&Sha256::digest(std::fs::read(&program).unwrap()));
    for (key, value) in [
        ("unit", Record::from(bed.unit("job"))),
        ("exe", program.to_str().unwrap().into()),
        ("exe_sha256", digest.into()),
        ("uid", 4711.into()),
        ("pid", job.id().into()),
        ("cgroup", cgroup.selector().into()),
        ("cgroup_id", cgroup.id().into()),
        ("attestation", "live".into()),
    ] {
        assert_eq!(detail[key], value, "{key} in {detail:#}");
    }
    assert_eq!(detail["argv"][0], "sallyport-probe");
    let workload = detail["workload"].as_str().unwrap();
    assert!(workload.ends_with(&format!("/unit/{}", bed.unit("job"))), "{workload}");
}

#[test]
fn the_argument_vector_is_recorded_without_its_secrets() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let _server = Server::echo(&bed.network().there, (THERE4, 4112));
    let mut job = bed.managed();
    let url = format!("http://ada:s3cr3t-of-ada@{THERE4}:4112/");
    let _ = job.ask(&format!("run curl -s --http0.9 -m 2 {url}"));
    let detail = daemon.store().show(&daemon.store().session("of curl", |s| s["dest_port"] == 4112));
    let argv = detail["argv"].to_string();
    assert!(argv.contains("--http0.9"), "{argv}");
    assert!(!detail.to_string().contains("s3cr3t"), "{argv}");
}

#[test]
fn threads_and_children_are_diverted_like_their_process() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let server = Server::echo(&bed.network().there, (THERE4, 4121));
    let mut job = bed.managed();
    for how in ["thread", "child", "child thread", "child child", "orphan"] {
        job.must("socket s tcp4");
        job.must(&format!("{how} connect s {THERE4}:4121"));
        job.must("write s hello");
        assert_eq!(job.must("read s 5"), "hello", "{how}");
        job.must("close s");
    }
    sallyport_tests::until("five sessions have ended", || {
        let ended = daemon.store().sessions_to(4121);
        (ended.iter().filter(|session| session["outcome"] == "completed").count() == 5).then_some(())
    });
    assert_eq!(server.accepted(), 5);
    for session in daemon.store().sessions_to(4121) {
        assert_eq!(session["unit"], bed.unit("job").as_str());
    }
}

#[test]
fn a_refused_unanswered_or_unreachable_upstream_is_told_and_recorded() {
    let bed = Bed::new();
    let daemon = Daemon::start(&bed, &bed.config(&bed.scope(""), "", "[proxy]\nconnect_timeout = \"400ms\""));
    bed.network().here.ip("route add unreachable 10.72.0.0/16");
    for (to, outcome) in [
        (format!("{THERE4}:4131"), "upstream-refused"),
        (format!("[{THERE6}]:4132"), "upstream-refused"),
        (format!("{NOBODY4}:4133"), "upstream-timeout"),
        ("10.72.5.6:4134".to_owned(), "upstream-unreachable"),
    ] {
        let mut job = bed.managed();
        job.must(&format!("socket s tcp{}", if to.starts_with('[') { 6 } else { 4 }));
        // The connection to the proxy may be reset before or after the process hears that it was made.
        let connected = job.ask(&format!("connect s {to}"));
        assert!(matches!(connected, Ok(_) | Err(libc::ECONNRESET)), "{to}: {connected:?}");
        if connected.is_ok() {
            job.refused("read s 1", libc::ECONNRESET);
        }
        let port: SocketAddr = to.parse().unwrap();
        let session = daemon.store().ended(port.port());
        assert_eq!(session["outcome"], outcome, "{to}");
        assert_eq!(session["bytes_in"], 0);
    }
}

#[test]
fn a_process_that_exits_at_once_is_recorded_or_refused_on_the_record() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let server = Server::echo(&bed.network().there, (THERE4, 4141));
    for _ in 0..20 {
        let mut job = bed.managed();
        let pid = job.id();
        for line in ["socket s tcp4", &format!("connect s {THERE4}:4141"), "write s last-words"] {
            job.tell(line);
        }
        job.end();
        let store = daemon.store();
        sallyport_tests::until("it is on the record", || {
            let session = store.sessions().into_iter().find(|session| session["pid"] == pid);
            let refused = || store.events().into_iter().find(|e| e["pid"] == pid && e["kind"] == "unattested");
            session.filter(|session| session["outcome"] != "open").or_else(refused)
        });
    }
    let sessions = daemon.store().sessions_to(4141);
    assert_eq!(server.accepted(), sessions.len() as u64, "as many connections upstream as sessions");
    for session in sessions {
        assert_eq!(session["unit"], bed.unit("job").as_str());
    }
}

#[test]
fn an_unmanaged_process_is_never_diverted_and_leaves_no_record() {
    let bed = Bed::new();
    let server = Server::echo(&bed.network().there, (THERE4, 4151));
    let mut before = bed.unmanaged();
    let mut old = bed.unmanaged();
    connect(&mut old, 4151);
    let daemon = bed.daemon(&bed.scope(""));
    let mut after = bed.unmanaged();
    for bystander in [&mut before, &mut after] {
        connect(bystander, 4151);
        let local: SocketAddr = bystander.must("local s").parse().unwrap();
        assert_eq!(local.ip(), IpAddr::from(HERE4));
        sallyport_tests::until("its own connection reaches the upstream", || {
            server.peers().contains(&local).then_some(())
        });
        bystander.must("socket u udp4");
        bystander.must(&format!("sendto u {THERE4}:4152 free"));
        bystander.must("socket i icmp4");
        bystander.must("socket p packet-raw");
    }
    old.must("write s still-here");
    assert_eq!(old.must("read s 10"), "still-here", "a connection from before the daemon goes on");
    assert!(daemon.store().sessions().is_empty());
    let kinds: Vec<Record> = daemon.store().events().into_iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["started"]);
}

/// A TCP socket `s`, connected to a port of the other host.
fn connect(job: &mut puppet::Puppet, port: u16) {
    job.must("socket s tcp4");
    job.must(&format!("connect s {THERE4}:{port}"));
}
