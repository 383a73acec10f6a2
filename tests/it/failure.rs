//! When things go wrong: a daemon that is killed, started twice, full, misconfigured, or cannot write.

use sallyport_tests::{
    Bed, Capture, Daemon, Puppet, Server,
    bed::Mounted,
    network::{HERE4, THERE4},
    server, until,
};
use std::{
    fs,
    io::{Read, Write},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

/// Connects, sends and receives once; the error number of the first step that fails.
fn greet(probe: &mut Puppet, to: SocketAddr) -> Result<SocketAddr, i32> {
    // A reset leaves no port behind that waits for its time.
    let _ = probe.ask("reset s");
    probe.ask("socket s tcp4")?;
    probe.ask(&format!("connect s {to}"))?;
    probe.ask("write s hello")?;
    probe.ask("read s 5")?;
    Ok(probe.must("local s").parse().expect("an address"))
}

#[test]
fn killed_again_and_again_under_load_nothing_gets_past_and_nobody_else_notices() {
    const ROUNDS: usize = 10;
    let bed = Bed::new();
    let there = &bed.network().there;
    let _servers = [Server::echo(there, (THERE4, 5401)), Server::echo(there, (THERE4, 5402))];
    let capture = Capture::start(there);
    let config = bed.config(&bed.scope(""), "", "");
    let mut daemon = Daemon::start(&bed, &config);
    let mut witness = bed.managed();
    let (over, served, refused) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        let attack = || {
            let mut job = bed.managed();
            while !over.load(SeqCst) {
                match greet(&mut job, (THERE4, 5401).into()) {
                    Ok(local) => {
                        assert!(local.ip().is_loopback(), "{local} went past");
                        served.fetch_add(1, SeqCst);
                    }
                    Err(number) => {
                        let closed = [libc::ECONNREFUSED, libc::ECONNRESET, libc::EPIPE, 0, libc::ECONNABORTED];
                        assert!(closed.contains(&number), "{}", std::io::Error::from_raw_os_error(number));
                        refused.fetch_add(1, SeqCst);
                    }
                }
            }
        };
        let live = || {
            let mut bystander = bed.unmanaged();
            let mut rounds = 0;
            while !over.load(SeqCst) {
                let local = greet(&mut bystander, (THERE4, 5402).into()).expect("a bystander notices nothing");
                assert_eq!(local.ip(), HERE4);
                rounds += 1;
            }
            assert!(rounds > 20, "it did little: {rounds}");
        };
        let _ = [scope.spawn(attack), scope.spawn(attack)];
        scope.spawn(live);
        let over = Over(&over);
        for round in 0..ROUNDS {
            // No condition to wait for: the moment is to be any, and another each time.
            thread::sleep(Duration::from_millis((round as u64 * 37 + 11) % 97));
            let before = served.load(SeqCst);
            until("it serves", || (served.load(SeqCst) > before).then_some(()));
            daemon.kill();
            assert_eq!(greet(&mut witness, (THERE4, 5401).into()), Err(libc::ECONNREFUSED), "round {round}");
            daemon = Daemon::start(&bed, &config);
        }
        let before = served.load(SeqCst);
        until("it serves again", || (served.load(SeqCst) > before + 5).then_some(()));
        drop(over);
    });
    assert!(refused.load(SeqCst) > 0, "nobody tried while it was dead");
    let past = capture.only(there, |frame| frame.ports.is_some_and(|(from, to)| to == 5401 && from >= 61_000));
    assert!(past.is_empty(), "GOT PAST: {past:#?}");
    let events = daemon.store().events();
    assert_eq!(events.iter().filter(|event| event["kind"] == "adopted").count(), ROUNDS);
    let sessions = daemon.store().sessions();
    assert!(sessions.iter().all(|session| session["dest_port"] == 5401));
    assert!(sessions.len() >= served.load(SeqCst) as usize, "what was served is on the record");
}

/// Says that it is over however the scope ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn a_flow_that_was_open_when_the_daemon_was_killed_is_found_later() {
    let bed = Bed::new();
    let _server = Server::start(&bed.network().there, (THERE4, 5411).into(), server::hold);
    let config = bed.config(&bed.scope(""), "", "");
    let mut daemon = Daemon::start(&bed, &config);
    let mut job = bed.managed();
    job.must("socket s tcp4");
    job.must(&format!("connect s {THERE4}:5411"));
    job.must("write s hello");
    daemon.store().session("that is open", |session| session["outcome"] == "open");
    daemon.kill();
    assert!(job.ask("read s 1").is_err(), "the flow ends with the daemon");
    let daemon = Daemon::start(&bed, &config);
    assert_eq!(daemon.store().ended(5411)["outcome"], "interrupted");
}

#[test]
fn nobody_takes_the_listeners_place_while_the_daemon_is_dead() {
    let bed = Bed::new();
    let config = bed.config(&bed.scope(""), "", "");
    let mut daemon = Daemon::start(&bed, &config);
    let port = daemon.port();
    daemon.kill();
    for mut thief in [bed.managed(), bed.unmanaged()] {
        for (kind, address) in [
            ("tcp4", "127.0.0.1"),
            ("tcp4", "0.0.0.0"),
            ("tcp6", "[::1]"),
            ("tcp6", "[::]"),
            ("tcp6", "[::ffff:127.0.0.1]"),
        ] {
            thief.must(&format!("socket s {kind}"));
            thief.must("option s 1 15 01000000");
            thief.refused(&format!("bind s {address}:{port}"), libc::EPERM);
        }
    }
    // Nor by being given the port as a free one.
    let mut daemon = Daemon::start(&bed, &config);
    assert_eq!(daemon.port(), port, "it comes back where its programs send");
    assert!(daemon.stop().success());
    let mut job = bed.managed();
    assert_eq!(greet(&mut job, (THERE4, 5421).into()), Err(libc::ECONNREFUSED), "stopped in order, it stays closed");
}

/// Sockets and processes that were outside while there was nobody to look.
#[test]
fn joining_while_the_daemon_is_dead_is_no_way_out() {
    let bed = Bed::new();
    let there = &bed.network().there;
    let _server = Server::echo(there, (THERE4, 5431));
    let config = bed.config(&bed.scope(""), "", "");
    let mut daemon = Daemon::start(&bed, &config);
    let capture = Capture::start(there);
    let job = bed.unit_cgroup("job");
    let mut probes: Vec<Puppet> = (0..3).map(|_| bed.unmanaged()).collect();
    for probe in &mut probes {
        probe.must("socket s tcp4");
        probe.must("patience s 500");
        probe.must(&format!("connect s {THERE4}:5431"));
        probe.must("socket u udp4");
        probe.must(&format!("connect u {THERE4}:5431"));
    }
    daemon.kill();
    let new = bed.cgroup().child(&format!("{}/later", bed.unit("job")));
    for (probe, place) in probes.iter_mut().zip([&job, &job, &new]) {
        probe.must(&format!("enter {}", place.path().display()));
        let _ = probe.ask("write s sally-was-here-tcp");
        let _ = probe.ask("child write s sally-was-here-child");
        let _ = probe.ask("write u sally-was-here-udp");
        assert_eq!(greet(probe, (THERE4, 5431).into()), Err(libc::ECONNREFUSED));
    }
    // Longer than a first retransmission takes.
    capture.settle(Duration::from_millis(1500));
    let daemon = Daemon::start(&bed, &config);
    capture.settle(Duration::from_millis(700));
    let past = capture.only(there, |frame| frame.holds(b"sally-was-here"));
    assert!(past.is_empty(), "GOT PAST: {past:#?}");
    drop(daemon);
}

#[test]
fn a_second_daemon_is_refused_in_a_sentence() {
    let bed = Bed::new();
    let mut daemon = bed.daemon(&bed.scope(""));
    let second = bed.cli(&["run"]);
    assert_eq!(second.code, Some(69), "{second:?}");
    assert!(second.err.contains("another sallyport daemon is running"), "{second:?}");
    assert_eq!(second.err.lines().count(), 1, "{second:?}");
    let _server = Server::echo(&bed.network().there, (THERE4, 5441));
    assert!(greet(&mut bed.managed(), (THERE4, 5441).into()).is_ok(), "the first goes on");
    assert!(daemon.stop().success());
}

#[test]
fn more_connections_than_the_flow_table_holds_are_served_or_refused_and_counted() {
    const WANTED: u64 = 1500;
    let bed = Bed::new();
    let _server = Server::echo(&bed.network().there, (THERE4, 5451));
    bed.network().here.set("core/somaxconn", "4096");
    let daemon = Daemon::start(&bed, &bed.config(&bed.scope(""), "max_flows = 1024", ""));
    let mut job = bed.managed();
    let full = daemon.counter("flow_table_full");
    daemon.freeze();
    for index in 0..WANTED {
        job.must(&format!("socket s{index} tcp4"));
        job.must(&format!("connect s{index} {THERE4}:5451"));
    }
    daemon.thaw();
    let mut served = 0;
    for index in 0..WANTED {
        let answer = job.ask(&format!("write s{index} x")).and_then(|_| job.ask(&format!("read s{index} 1")));
        match answer {
            Ok(_) => served += 1,
            Err(number) => assert!([libc::ECONNRESET, libc::EPIPE].contains(&number), "{number}"),
        }
        job.must(&format!("close s{index}"));
    }
    assert!(served >= 1024, "as many as there is room for: {served}");
    assert_eq!(daemon.counter("flow_table_full") - full, WANTED - served, "what is refused is counted");
    for _ in 0..20 {
        assert!(greet(&mut job, (THERE4, 5451).into()).is_ok(), "it recovers");
    }
}

#[test]
fn pins_of_another_capacity_or_version_are_replaced() {
    let bed = Bed::new();
    let _server = Server::echo(&bed.network().there, (THERE4, 5461));
    let pins = bed.bpffs().join("sallyport/daemon");
    fs::create_dir_all(pins.join("maps-v0-65536")).expect("a directory");
    let maps = || {
        let names =
            fs::read_dir(&pins).expect("pins").flatten().map(|entry| entry.file_name().into_string().expect("text"));
        let mut names: Vec<String> = names.filter(|name| name.starts_with("maps-")).collect();
        names.sort();
        names
    };
    for (round, room) in [2048, 4096, 4096].iter().enumerate() {
        let mut daemon = Daemon::start(&bed, &bed.config(&bed.scope(""), &format!("max_flows = {room}"), ""));
        let found = maps();
        assert!(found.len() == 1 && found[0].ends_with(&format!("-{room}")), "round {round}: {found:?}");
        assert!(greet(&mut bed.managed(), (THERE4, 5461).into()).is_ok());
        daemon.kill();
    }
}

#[test]
fn mistakes_in_the_configuration_are_told_all_at_once() {
    let bed = Bed::new();
    let path = bed.dir().join("sallyport.toml");
    fs::write(&path, "[scope.Jobs]\nunti = \"a\"\nmode = \"enforced\"\n[proxy]\nidle_timeout = \"soon\"\n[nonsense]\n")
        .expect("a file");
    let said = bed.cli(&["run"]);
    assert_eq!(said.code, Some(78), "{said:?}");
    for part in ["Jobs", "unti", "enforced", "soon", "nonsense", "sallyport.toml:2", "did you mean"] {
        assert!(said.err.contains(part), "`{part}` in {}", said.err);
    }
    fs::write(&path, "[scope\n").expect("a file");
    assert_eq!(bed.cli(&["run"]).code, Some(78));
    fs::remove_file(&path).expect("a file");
    assert_eq!(bed.cli(&["status"]).code, Some(78), "a file that was named must be there");
}

#[test]
fn without_root_one_sentence_says_so() {
    let bed = Bed::new();
    fs::set_permissions(bed.dir(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let program = bed.dir().join("sallyport");
    fs::copy(sallyport_tests::daemon::built("sallyport"), &program).expect("a copy");
    let mut nobody = Puppet::start(["--user", "65534"]);
    for command in ["run", "exec true", "status", "bypass --all --close"] {
        let said = nobody.must(&format!("end-of {} {command}", program.display()));
        let (code, text) = said.split_once(' ').expect("a code and a text");
        assert_eq!(code, "77", "{command}: {said}");
        assert!(text.contains("needs root") && !text.contains(';'), "{command}: {said}");
    }
}

#[test]
fn a_scope_that_fails_open_opens_when_the_daemon_is_dead_and_says_so() {
    let bed = Bed::new();
    let _server = Server::echo(&bed.network().there, (THERE4, 5471));
    let scopes = format!("{}\n[scope.shut]\nunit = \"{}\"\n", bed.scope("fail = \"open\""), bed.unit("shut"));
    let config = bed.config(&scopes, "", "");
    let mut daemon = Daemon::start(&bed, &config);
    let (mut job, mut shut) = (bed.managed(), bed.inside(&bed.unit_cgroup("shut")));
    let to = SocketAddr::from((THERE4, 5471));
    assert!(greet(&mut job, to).expect("served").ip().is_loopback());
    daemon.kill();
    assert_eq!(greet(&mut job, to).expect("open").ip(), HERE4);
    assert_eq!(greet(&mut shut, to), Err(libc::ECONNREFUSED));
    job.refused("socket r icmp4", libc::EPERM);
    let daemon = Daemon::start(&bed, &config);
    assert!(greet(&mut job, to).expect("served").ip().is_loopback(), "closed again");
    let event = daemon.store().event("of the opening", |event| event["kind"] == "failed-open");
    assert_eq!(
        (&event["dest_port"], &event["scope"], &event["decision"]),
        (&5471.into(), &"jobs".into(), &"allow".into())
    );
}

#[test]
fn a_bypass_opens_closes_expires_and_is_recorded_with_and_without_a_daemon() {
    let bed = Bed::new();
    let _server = Server::echo(&bed.network().there, (THERE4, 5481));
    let config = bed.config(&bed.scope(""), "", "");
    let mut daemon = Daemon::start(&bed, &config);
    let mut job = bed.managed();
    let to = SocketAddr::from((THERE4, 5481));
    let open = |job: &mut Puppet| greet(job, to).is_ok_and(|local| local.ip() == HERE4);
    let bypass = |words: &str| {
        let words: Vec<&str> = ["bypass"].into_iter().chain(words.split(' ')).collect();
        let said = bed.cli(&words);
        assert_eq!(said.code, Some(0), "{said:?}");
    };
    assert!(!open(&mut job));
    bypass("--scope jobs --for 2s --reason moving-house");
    assert!(open(&mut job));
    assert!(daemon.status()["scopes"][0]["open_until"].is_number());
    until("it expires", || (!open(&mut job)).then_some(()));
    bypass("--all --for 1h --reason upgrade");
    assert!(open(&mut job));
    bypass("--scope jobs --close");
    assert!(!open(&mut job));
    let event = |kind: &str, detail: &str| {
        let fits = |text: &str| text.contains(detail);
        daemon.store().event(kind, |event| event["kind"] == kind && event["detail"].as_str().is_some_and(fits))
    };
    event("bypass-opened", "moving-house");
    event("bypass-opened", "upgrade");
    event("bypass-closed", "");
    assert_eq!(event("bypassed", "")["dest_port"], 5481);
    daemon.kill();
    assert_eq!(greet(&mut job, to), Err(libc::ECONNREFUSED));
    bypass("--scope jobs --for 1h --reason fire");
    assert!(open(&mut job), "the daemon is dead, the way is open");
    bypass("--scope jobs --close --reason out");
    assert_eq!(greet(&mut job, to), Err(libc::ECONNREFUSED));
    assert!(bed.cli(&["bypass", "--scope", "jbos", "--close"]).err.contains("did you mean `jobs`"));
    let daemon = Daemon::start(&bed, &config);
    daemon.store().event("of the fire", |event| event["detail"].as_str().is_some_and(|text| text.contains("fire")));
    assert!(!open(&mut job));
}

#[test]
fn detaching_needs_a_dead_daemon_and_frees_everybody() {
    let bed = Bed::new();
    let _server = Server::echo(&bed.network().there, (THERE4, 5491));
    let mut daemon = bed.daemon(&bed.scope(""));
    let mut job = bed.managed();
    let detach = ["bypass", "--detach", "--reason", "decommissioned"];
    let refused = bed.cli(&detach);
    assert!(refused.code == Some(69) && refused.err.contains("running"), "{refused:?}");
    daemon.kill();
    assert_eq!(bed.cli(&detach).code, Some(0));
    // The kernel lets go of unpinned links in its own time.
    let free = |job: &mut Puppet| greet(job, (THERE4, 5491).into()).is_ok_and(|local| local.ip() == HERE4);
    until("it is free", || free(&mut job).then_some(()));
    job.must("socket r icmp4");
    assert!(!bed.bpffs().join("sallyport/daemon/links").exists());
    let event = daemon.store().event("of it", |event| event["kind"] == "detached");
    assert!(event["detail"].as_str().is_some_and(|text| text.contains("decommissioned")), "{event:#}");
    assert_eq!(bed.cli(&detach).code, Some(0), "a second time there is nothing to do");
}

#[test]
fn what_cannot_be_recorded_does_not_happen() {
    let bed = Bed::new();
    fs::create_dir(bed.state()).expect("a directory");
    let disk = Mounted::new("tmpfs", &bed.state(), "tmpfs", c"size=3m,mode=700");
    let spoken_to = Arc::new(AtomicU32::new(0));
    let heard = Arc::clone(&spoken_to);
    // A connection may be made while its record is being written; a byte may not.
    let _server = Server::start(&bed.network().there, (THERE4, 5495).into(), move |mut stream| {
        let mut buffer = [0; 5];
        if stream.read_exact(&mut buffer).is_ok() {
            heard.fetch_add(1, SeqCst);
            let _ = stream.write_all(&buffer);
        }
    });
    let daemon = bed.daemon(&bed.scope(""));
    let mut job = bed.managed();
    let to = SocketAddr::from((THERE4, 5495));
    assert!(greet(&mut job, to).is_ok());
    let ballast = bed.state().join("ballast");
    let fill = || {
        let mut file = fs::File::options().append(true).create(true).open(&ballast).expect("a file");
        while file.write_all(&[0; 512]).is_ok() {}
    };
    until("connections are refused", || {
        fill();
        greet(&mut job, to).is_err().then_some(())
    });
    // The store may give back a page of its own between two of them, so one may be served again: and recorded, as below.
    let refused = (0..10)
        .filter(|_| {
            fill();
            greet(&mut job, to).is_err()
        })
        .count();
    assert!(refused > 0, "nothing is refused on a full disk");
    assert!(daemon.status()["running"].as_bool() == Some(true), "it can still be asked");
    let proxied = spoken_to.load(SeqCst);
    let mut free = bed.unmanaged();
    assert_eq!(greet(&mut free, to).expect("a bystander notices nothing").ip(), HERE4);
    fs::remove_file(&ballast).expect("a file");
    until("it recovers", || greet(&mut job, to).ok());
    let sessions = daemon.store().sessions_to(5495).len();
    assert!(sessions > proxied as usize, "{proxied} heard something, and one more, and {sessions} are on the record");
    drop((daemon, disk));
}
