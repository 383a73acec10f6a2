//! Who is in a scope: every selector, from a cgroup's first act to a reload, and nobody else.

use sallyport_tests::{
    Bed, Capture, Cgroup, Daemon, Puppet, Server,
    network::{HERE4, THERE4},
    puppet, server, until,
};
use std::{fs, net::SocketAddr, thread};

/// The local address of a new connection to a port of the other host, after a byte went there and back.
fn local_of(probe: &mut Puppet, port: u16) -> SocketAddr {
    probe.must("socket s tcp4");
    probe.must(&format!("connect s {THERE4}:{port}"));
    probe.must("write s x");
    assert_eq!(probe.must("read s 1"), "x");
    let local = probe.must("local s").parse().expect("an address");
    probe.must("close s");
    local
}

fn is_diverted(probe: &mut Puppet, port: u16) -> bool {
    local_of(probe, port).ip().is_loopback()
}

/// A probe in the host under test with more options.
fn with(bed: &Bed, cgroup: &Cgroup, options: &[&str]) -> Puppet {
    let place =
        ["--netns", &bed.network().here.path(), "--cgroup", cgroup.path().to_str().expect("a path")].map(String::from);
    Puppet::start(place.into_iter().chain(options.iter().map(|word| (*word).to_owned())))
}

#[test]
fn each_selector_selects_what_it_says_and_nothing_else() {
    let bed = Bed::new();
    let program = bed.dir().join("managed-probe");
    fs::copy(puppet::program(), &program).expect("a copy");
    let program = program.to_str().expect("a path").to_owned();
    let top = bed.cgroup();
    let (glob, slice) = (bed.unit("night-*"), bed.unit("jobs").replace(".service", ".slice"));
    let exact = top.child("some/where");
    let selector = exact.selector();
    let free = top.child(&bed.unit("nightly"));
    let night = top.child(&bed.unit("night-a"));
    let inside = top.child(&format!("{slice}/{}", bed.unit("inside")));
    let beside = top.child(&format!("x{slice}/{}", bed.unit("inside")));
    let below = top.child("some/where/below");
    let above = top.child("some");
    let cases: [(&str, String, Puppet, Puppet); 6] = [
        ("unit", format!("\"{glob}\""), bed.inside(&night), bed.inside(&free)),
        ("slice", format!("\"{slice}\""), bed.inside(&inside), bed.inside(&beside)),
        ("cgroup", format!("\"{selector}\""), bed.inside(&below), bed.inside(&above)),
        ("user", "4811".into(), with(&bed, &free, &["--user", "4811"]), with(&bed, &free, &["--user", "4812"])),
        ("user", "4813".into(), with(&bed, &free, &["--login", "4813"]), with(&bed, &free, &["--login", "4814"])),
        ("exe", format!("\"{program}\""), with(&bed, &free, &[&program]), bed.inside(&free)),
    ];
    let _server = Server::echo(&bed.network().there, (THERE4, 5101));
    for (key, value, mut job, mut other) in cases {
        // Both are older than the daemon, and so are found by the first look; the next ones come later.
        let mut daemon = bed.daemon(&format!("[scope.jobs]\n{key} = {value}\n"));
        assert!(is_diverted(&mut job, 5101), "{key} = {value}");
        let sessions = daemon.store().sessions().len();
        // An image nobody has judged yet goes by way of the daemon once, and is passed on untouched.
        assert!(!is_diverted(&mut other, 5101) || key == "exe", "not {key} = {value}");
        assert_eq!(daemon.store().sessions().len(), sessions, "not {key} = {value}");
        job.refused("socket r icmp4", libc::EPERM);
        let raw = other.ask("socket r icmp4");
        assert!(raw.is_ok() || key == "user", "not {key} = {value}: {raw:?}");
        assert!(daemon.stop().success());
        assert!(bed.cli(&["bypass", "--detach", "--reason", "next"]).code == Some(0));
    }
}

#[test]
fn processes_that_come_later_are_selected_by_user_and_executable() {
    let bed = Bed::new();
    let program = bed.dir().join("later-probe");
    fs::copy(puppet::program(), &program).expect("a copy");
    let program = program.to_str().expect("a path").to_owned();
    let _server = Server::echo(&bed.network().there, (THERE4, 5111));
    let free = bed.unit_cgroup("bystander");
    let capture = Capture::start(&bed.network().there);
    let daemon = bed.daemon(&format!("[scope.jobs]\nuser = 4821\nexe = \"{program}\"\n"));
    for options in [&["--user", "4821"][..], &["--login", "4821"], &[&program]] {
        let mut job = with(&bed, &free, options);
        // Made before anybody knows the image, a socket may be there; what it sends is lost.
        for first_act in ["socket r icmp4", "socket u udplite4"] {
            let _ = job.ask(first_act);
        }
        for _ in 0..3 {
            let _ = job.ask("sendhex r 10.71.3.97:0 0800f7ff00000000");
            let _ = job.ask(&format!("sendto u {THERE4}:5112 sally"));
        }
        assert!(is_diverted(&mut job, 5111), "{options:?}");
        let _ = job.ask("user 65533");
        assert!(is_diverted(&mut job, 5111), "{options:?} as another user");
    }
    let own = |protocol: u8| [libc::IPPROTO_ICMP, libc::IPPROTO_UDPLITE].contains(&i32::from(protocol));
    let past = capture.only(&bed.network().there, |frame| own(frame.protocol));
    assert!(past.is_empty(), "GOT PAST: {past:#?}");
    let mut other = with(&bed, &free, &["--user", "4822"]);
    let before = daemon.store().sessions().len();
    local_of(&mut other, 5111);
    assert_eq!(daemon.store().sessions().len(), before);
}

/// A user in a scope cannot leave it by a user namespace, nor by becoming root on the host.
#[test]
fn a_login_stays_what_it_is_whoever_it_becomes() {
    let bed = Bed::new();
    let _server = Server::echo(&bed.network().there, (THERE4, 5121));
    let daemon = bed.daemon("[scope.people]\nuser = 4831\n");
    let mut person = with(&bed, &bed.unit_cgroup("bystander"), &["--login", "4831"]);
    person.must("user 0");
    assert!(is_diverted(&mut person, 5121));
    let line = format!("run unshare -Ur curl -s -m 3 --http0.9 --local-port 61500-61599 http://{THERE4}:5121/");
    let _ = person.ask(&line);
    let session = daemon.store().session("of curl", |s| s["exe"].as_str().is_some_and(|exe| exe.ends_with("curl")));
    assert_eq!((&session["login_uid"], &session["scope"]), (&4831.into(), &"people".into()));
}

#[test]
fn a_new_unit_is_managed_from_its_first_act_on() {
    let bed = Bed::new();
    let there = &bed.network().there;
    let _server = Server::echo(there, (THERE4, 5131));
    let capture = Capture::start(there);
    let daemon = bed.daemon(&format!("[scope.jobs]\nunit = \"{}\"\n", bed.unit("new-*")));
    let root = sallyport_tests::cgroup::root();
    for (round, act) in ["socket r icmp4", "socket u udp4", "socket u udplite4", "socket s tcp4"].iter().enumerate() {
        // Once as a service manager does it, by exec in the new place; once by moving there and going on.
        for by_exec in [true, false] {
            let cgroup = || bed.cgroup().child(&bed.unit(&format!("new-{round}-{by_exec}")));
            let mut job = if by_exec { bed.inside(&cgroup()) } else { bed.unmanaged() };
            if !by_exec {
                job.must(&format!("enter {}", cgroup().path().display()));
            }
            let _ = job.ask(act);
            let _ = job.ask("sendhex r 10.71.3.97:0 0800f7ff00000000");
            let _ = job.ask(&format!("sendto u {THERE4}:5131 sally"));
            assert!(is_diverted(&mut job, 5131), "{act}, {by_exec}");
            job.must(&format!("enter {}", root.display()));
            assert!(is_diverted(&mut job, 5131), "{act}, {by_exec}, after moving on");
        }
    }
    until("every connection is recorded", || (daemon.store().sessions_to(5131).len() == 16).then_some(()));
    let past = capture.only(there, |frame| {
        frame.ports.is_some_and(|(from, to)| to == 5131 && from >= 61_000)
            || i32::from(frame.protocol) == libc::IPPROTO_ICMP
    });
    assert!(past.is_empty(), "GOT PAST: {past:#?}");
}

#[test]
fn a_new_unit_in_no_scope_is_left_alone_from_its_first_act_on() {
    let bed = Bed::new();
    let there = &bed.network().there;
    let server = Server::echo(there, (THERE4, 5141));
    server::datagrams(there, (THERE4, 5142));
    let daemon = bed.daemon(&format!("[scope.jobs]\nunit = \"{}\"\n", bed.unit("new-*")));
    for (round, act) in
        ["socket r icmp4", "socket p packet-raw", "socket r rawtcp4", "socket u udplite4"].iter().enumerate()
    {
        let mut free = bed.inside(&bed.cgroup().child(&bed.unit(&format!("old-{round}"))));
        free.must(act);
    }
    for round in 0..8 {
        let mut free = bed.inside(&bed.cgroup().child(&bed.unit(&format!("free-{round}"))));
        free.must("socket u udp4");
        free.must(&format!("sendto u {THERE4}:5142 first"));
        assert_eq!(free.must("read u 5"), "first");
        local_of(&mut free, 5141);
    }
    until("eight came", || (server.accepted() == 8).then_some(()));
    assert!(server.peers().iter().all(|peer| peer.ip() == HERE4));
    assert!(daemon.store().sessions().is_empty());
    let refused: Vec<_> = daemon.store().events().into_iter().filter(|event| event["kind"] == "refused").collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn what_is_below_a_managed_cgroup_is_managed_however_deep() {
    let bed = Bed::new();
    let _server = Server::echo(&bed.network().there, (THERE4, 5151));
    let daemon = bed.daemon(&bed.scope(""));
    for depth in [1, 5, 14, 20, 30] {
        let path = format!("{}/{}", bed.unit("job"), vec!["d"; depth].join("/"));
        let mut job = bed.inside(&bed.cgroup().child(&path));
        // What nobody knows yet is diverted; to be refused, it has to be known, and now it is.
        assert!(is_diverted(&mut job, 5151), "depth {depth}");
        job.refused("socket r icmp4", libc::EPERM);
    }
    assert_eq!(daemon.store().sessions_to(5151).len(), 5);
}

#[test]
fn a_reload_takes_processes_in_and_lets_them_go() {
    let bed = Bed::new();
    let there = &bed.network().there;
    let _server = Server::echo(there, (THERE4, 5161));
    let config = |scopes: &str| bed.config(scopes, "", "");
    let mut daemon = Daemon::start(&bed, &config(""));
    let mut job = bed.managed();
    assert!(!is_diverted(&mut job, 5161));
    job.must("socket old tcp4");
    job.must(&format!("connect old {THERE4}:5161"));
    daemon.reload(&config(&bed.scope("")));
    job.refused("read old 1", libc::ECONNABORTED);
    assert!(is_diverted(&mut job, 5161), "taken in");
    job.refused("socket r icmp4", libc::EPERM);
    daemon.store().event("of the open connection", |event| event["kind"] == "swept" && event["dest_port"] == 5161);
    daemon.store().event("of the reload", |event| event["kind"] == "reloaded");
    daemon.reload(&config(&format!("[scope.others]\nunit = \"{}\"\n", bed.unit("other"))));
    assert!(!is_diverted(&mut job, 5161), "let go");
    job.must("socket r icmp4");
    // A mistake changes nothing, and the daemon goes on.
    daemon.reload(&config(&bed.scope("")));
    daemon.reload("[scope.jobs]\nunit = 7\nnonsense = true\n");
    assert!(is_diverted(&mut job, 5161), "the old scopes stay");
    assert!(daemon.log().contains("nonsense"), "{}", daemon.log());
}

#[test]
fn of_a_thousand_new_units_none_escapes_and_none_is_refused() {
    const EACH: usize = 125;
    let bed = Bed::new();
    let there = &bed.network().there;
    let (managed, free) = (Server::echo(there, (THERE4, 5171)), Server::echo(there, (THERE4, 5172)));
    let capture = Capture::start(there);
    let daemon = bed.daemon(&format!("[scope.jobs]\nunit = \"{}\"\n", bed.unit("m-*")));
    thread::scope(|scope| {
        for worker in 0..8 {
            let bed = &bed;
            scope.spawn(move || {
                for round in 0..EACH {
                    let (kind, port) = if (worker + round) % 2 == 0 { ("m", 5171) } else { ("f", 5172) };
                    let cgroup = bed.cgroup().child(&bed.unit(&format!("{kind}-{worker}-{round}")));
                    let mut probe = bed.inside(&cgroup);
                    let local = local_of(&mut probe, port);
                    assert!(kind == "f" || local.ip().is_loopback(), "{kind} {local}");
                    probe.end();
                    cgroup.remove();
                }
            });
        }
    });
    assert_eq!((managed.accepted(), free.accepted()), (500, 500));
    until("all are recorded", || {
        let sessions = daemon.store().sessions();
        (sessions.iter().filter(|session| session["outcome"] == "completed").count() == 500).then_some(())
    });
    assert!(daemon.store().sessions().iter().all(|session| session["dest_port"] == 5171));
    let past = capture.only(there, |frame| frame.ports.is_some_and(|(from, to)| to == 5171 && from >= 61_000));
    assert!(past.is_empty(), "GOT PAST: {past:#?}");
}
