//! What a flow carries and how it ends: bulk, half-closes, resets, silence, the daemon's own end, and datagrams.

use rustix::process::Signal;
use sallyport_tests::{
    Bed, Daemon, Puppet, Server,
    network::{THERE4, THERE6},
    pattern, server, until,
};
use std::{
    io::{Read, Write},
    net::Shutdown,
    sync::{Arc, Mutex},
};

fn connected(bed: &Bed, port: u16) -> Puppet {
    let mut job = bed.managed();
    job.must("socket s tcp4");
    job.must(&format!("connect s {THERE4}:{port}"));
    job
}

#[test]
fn sixty_four_megabytes_arrive_whole_in_both_directions_at_once() {
    const COUNT: u64 = 64 << 20;
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let heard = Arc::new(Mutex::new(None));
    let result = Arc::clone(&heard);
    let _server = Server::start(&bed.network().there, (THERE4, 4201).into(), move |stream| {
        let said = pattern::exchange(&stream, COUNT, 77).unwrap();
        *result.lock().unwrap() = Some(said);
    });
    let mut job = connected(&bed, 4201);
    let received = job.must(&format!("exchange s {COUNT} 99"));
    assert_eq!(received, pattern::expected(COUNT, 77));
    let sent = until("the server has heard the end", || heard.lock().unwrap().clone());
    assert_eq!(sent, pattern::expected(COUNT, 99));
    let session = daemon.store().ended(4201);
    assert_eq!((&session["bytes_out"], &session["bytes_in"]), (&COUNT.into(), &COUNT.into()));
    assert_eq!(session["outcome"], "completed");
    // While the job runs, interrupts send the packets of the daemon and of the server on top of it.
    let caught = daemon.store().events().into_iter().find(|event| event["kind"] == "foreign-socket");
    assert_eq!(caught, None, "nobody else's packets are taken for the job's");
}

#[test]
fn either_side_may_close_its_half_first() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let there = &bed.network().there;
    let _asks_first = Server::start(there, (THERE4, 4211).into(), |mut stream| {
        let mut question = String::new();
        stream.read_to_string(&mut question).unwrap();
        stream.write_all(format!("you said {question}").as_bytes()).unwrap();
    });
    let mut job = connected(&bed, 4211);
    job.must("write s farewell");
    job.must("half s");
    assert_eq!(job.must("read s 17"), "you said farewell");
    job.must("end s");
    let session = daemon.store().ended(4211);
    assert_eq!((&session["outcome"], &session["bytes_in"]), (&"completed".into(), &17.into()));

    let (tell, told) = std::sync::mpsc::channel();
    let _talks_first = Server::start(there, (THERE4, 4212).into(), move |mut stream| {
        stream.write_all(b"that is all").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        tell.send(answer).unwrap();
    });
    let mut job = connected(&bed, 4212);
    assert_eq!(job.must("read s 11"), "that is all");
    job.must("end s");
    job.must("write s understood");
    job.must("close s");
    assert_eq!(told.recv().unwrap(), "understood");
    assert_eq!(daemon.store().ended(4212)["outcome"], "completed");
}

#[test]
fn resets_are_passed_on_both_ways() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let (heard, hears) = std::sync::mpsc::channel();
    let _tells = Server::start(&bed.network().there, (THERE4, 4222).into(), move |mut stream| {
        let mut buffer = [0; 16];
        let end = loop {
            match stream.read(&mut buffer) {
                Ok(0) => break None,
                Ok(_) => {}
                Err(error) => break error.raw_os_error(),
            }
        };
        heard.send(end).unwrap();
    });
    let mut job = connected(&bed, 4222);
    job.must("write s one");
    job.must("reset s");
    assert_eq!(hears.recv().unwrap(), Some(libc::ECONNRESET), "the upstream sees the client's reset");
    assert_eq!(daemon.store().ended(4222)["outcome"], "client-reset");

    let _resets = Server::start(&bed.network().there, (THERE4, 4223).into(), server::reset);
    let mut job = connected(&bed, 4223);
    job.must("write s one");
    job.refused("read s 1", libc::ECONNRESET);
    assert_eq!(daemon.store().ended(4223)["outcome"], "upstream-reset");
}

#[test]
fn a_silent_flow_is_ended() {
    let bed = Bed::new();
    let daemon = Daemon::start(&bed, &bed.config(&bed.scope(""), "", "[proxy]\nidle_timeout = \"1s\""));
    let _server = Server::start(&bed.network().there, (THERE4, 4231).into(), server::hold);
    let mut job = connected(&bed, 4231);
    job.must("write s hello");
    job.refused("read s 1", libc::ECONNRESET);
    let session = daemon.store().ended(4231);
    assert_eq!((&session["outcome"], &session["bytes_out"]), (&"idle-timeout".into(), &5.into()));
}

#[test]
fn flows_may_finish_when_the_daemon_stops() {
    let bed = Bed::new();
    let mut daemon = bed.daemon(&bed.scope(""));
    let _server = Server::echo(&bed.network().there, (THERE4, 4241));
    let mut job = connected(&bed, 4241);
    job.must("write s before");
    assert_eq!(job.must("read s 6"), "before");
    daemon.signal(Signal::TERM);
    let mut late = bed.managed();
    until("no new connection is accepted", || {
        late.must("socket s tcp4");
        late.ask(&format!("connect s {THERE4}:4241")).err().filter(|number| *number == libc::ECONNREFUSED)
    });
    job.must("write s after");
    assert_eq!(job.must("read s 5"), "after", "the flow goes on");
    job.must("half s");
    job.must("end s");
    assert_eq!(daemon.wait().code(), Some(0));
    let sessions = daemon.store().sessions_to(4241);
    assert_eq!(sessions[0]["outcome"], "completed");
    daemon.store().event("that it stopped", |event| event["kind"] == "stopped");
}

#[test]
fn flows_that_do_not_finish_in_time_are_ended() {
    let bed = Bed::new();
    let mut daemon = Daemon::start(&bed, &bed.config(&bed.scope(""), "", "[proxy]\ndrain_timeout = \"300ms\""));
    let _server = Server::start(&bed.network().there, (THERE4, 4251).into(), server::hold);
    let mut job = connected(&bed, 4251);
    job.must("write s x");
    assert_eq!(daemon.stop().code(), Some(0));
    job.refused("read s 1", libc::ECONNRESET);
    assert_eq!(daemon.store().ended(4251)["outcome"], "drained");
}

#[test]
fn questions_to_a_configured_resolver_pass_and_no_other_datagram_does() {
    let bed = Bed::new();
    let intercept = format!("resolvers = [\"{THERE4}\", \"[{THERE6}]:5353\"]");
    let daemon = Daemon::start(&bed, &bed.config(&bed.scope(""), &intercept, ""));
    let there = &bed.network().there;
    for port in [53, 5353, 4261] {
        server::datagrams(there, (THERE4, port));
        server::datagrams(there, (THERE6, port));
    }
    let mut job = bed.managed();
    for (family, to) in [(4, format!("{THERE4}:53")), (6, format!("[{THERE6}]:5353"))] {
        job.must(&format!("socket u udp{family}"));
        job.must(&format!("sendto u {to} who-is"));
        assert_eq!(job.must("read u 6"), "who-is");
        job.must(&format!("socket c udp{family}"));
        job.must(&format!("connect c {to}"));
        job.must("write c who-else");
        assert_eq!(job.must("read c 8"), "who-else");
    }
    assert!(daemon.counter("dns_passed") >= 4);
    for (family, to) in [
        (4, format!("{THERE4}:4261")),
        (4, format!("{THERE4}:5353")),
        (6, format!("[{THERE6}]:53")),
        (6, format!("[::ffff:{THERE4}]:4261")),
    ] {
        job.must(&format!("socket u udp{family}"));
        job.refused(&format!("sendto u {to} x"), libc::EPERM);
        job.refused(&format!("connect u {to}"), libc::EPERM);
    }
    let event = daemon.store().event("of the refusal", |event| event["dest_port"] == 4261);
    assert_eq!((&event["kind"], &event["decision"]), (&"refused".into(), &"deny".into()));
    assert_eq!(event["pid"], job.id());
}

#[test]
fn a_scope_may_send_datagrams_when_it_is_allowed_to() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope("udp = \"allow\""));
    server::datagrams(&bed.network().there, (THERE4, 4271));
    let mut job = bed.managed();
    job.must("socket u udp4");
    job.must(&format!("sendto u {THERE4}:4271 allowed"));
    assert_eq!(job.must("read u 7"), "allowed");
    job.refused("socket r icmp4", libc::EPERM);
    assert_eq!(daemon.counter("udp_refused"), daemon.counter("udp_refused"));
}

#[test]
fn observing_passes_and_says_what_it_would_have_refused() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope("mode = \"observe\""));
    server::datagrams(&bed.network().there, (THERE4, 4281));
    let _server = Server::echo(&bed.network().there, (THERE4, 4282));
    let mut job = bed.managed();
    job.must("socket u udp4");
    job.must(&format!("sendto u {THERE4}:4281 watched"));
    assert_eq!(job.must("read u 7"), "watched");
    job.must("socket i icmp4");
    let store = daemon.store();
    for hook in ["sendmsg4", "sock_create"] {
        let event = store.event(hook, |event| event["hook"] == hook && event["pid"] == job.id());
        assert_eq!(event["decision"], "would-deny", "{event:#}");
    }
    let mut job = connected(&bed, 4282);
    job.must("write s tcp");
    assert_eq!(job.must("read s 3"), "tcp");
    job.must("half s");
    job.must("end s");
    assert_eq!(store.ended(4282)["outcome"], "completed");
}
