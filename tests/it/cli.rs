//! The command line against a living daemon, for people and for machines.

use sallyport_tests::{Bed, Server, network::THERE4, until};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn status_tells_what_runs_and_what_a_dead_daemon_left() {
    let bed = Bed::new();
    let mut daemon = bed.daemon(&bed.scope("mode = \"observe\"\nfail = \"open\""));
    let status = daemon.status();
    assert_eq!(status["running"], true);
    assert_eq!(status["pid"], daemon.pid().as_raw_nonzero().get());
    let scope = &status["scopes"][0];
    assert_eq!((&scope["name"], &scope["mode"], &scope["fail"]), (&"jobs".into(), &"observe".into(), &"open".into()));
    let hooks: Vec<&str> = status["hooks"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for hook in ["connect4", "connect6", "egress", "sock_create", "migrate", "setsockopt"] {
        assert!(hooks.contains(&hook), "{hook} is not among {hooks:?}");
    }
    let shown = daemon.cli(&["status"]);
    assert_eq!(shown.code, Some(0));
    assert!(shown.out.contains("is running: process") && shown.out.contains("jobs"), "{shown:?}");
    daemon.kill();
    let dead = bed.cli(&["status", "--json"]);
    assert_eq!(dead.code, Some(69));
    assert_eq!(json(&dead.out)["running"], false);
    let shown = bed.cli(&["status"]);
    assert!(shown.code == Some(69) && shown.out.contains("bypass"), "{shown:?}");
}

#[test]
fn live_flows_are_counted() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let _server = Server::echo(&bed.network().there, (THERE4, 5701));
    let mut job = bed.managed();
    for index in 0..3 {
        job.must(&format!("socket s{index} tcp4"));
        job.must(&format!("connect s{index} {THERE4}:5701"));
    }
    until("three are open", || (daemon.status()["live_flows"] == 3).then_some(()));
    job.must("close s0");
    until("two are open", || (daemon.status()["live_flows"] == 2).then_some(()));
    assert!(daemon.counter("diverted") >= 3);
}

#[test]
fn the_doctor_finds_this_host_able() {
    let bed = Bed::new();
    let _daemon = bed.daemon(&bed.scope(""));
    let report = bed.cli(&["doctor", "--json"]);
    assert_eq!(report.code, Some(0), "{report:?}");
    let report = json(&report.out);
    assert!(report.is_object(), "{report:#}");
    let shown = bed.cli(&["doctor"]);
    assert!(shown.code == Some(0) && shown.out.lines().count() > 5, "{shown:?}");
    std::fs::write(bed.dir().join("sallyport.toml"), "[scope.jobs]\nunits = 1\n").expect("a file");
    let shown = bed.cli(&["doctor"]);
    assert!(shown.code == Some(69) && shown.out.contains("units"), "{shown:?}");
}

#[test]
fn sessions_are_listed_filtered_and_shown() {
    let bed = Bed::new();
    let daemon = bed.daemon(&bed.scope(""));
    let _servers = [5711, 5712].map(|port| Server::echo(&bed.network().there, (THERE4, port)));
    let mut job = bed.managed();
    for (index, port) in [5711, 5712, 5713].iter().enumerate() {
        job.must(&format!("socket s{index} tcp4"));
        let _ = job.ask(&format!("connect s{index} {THERE4}:{port}"));
        let _ = job.ask(&format!("close s{index}"));
        daemon.store().ended(*port);
    }
    let list = |words: &[&str]| {
        let said = bed.cli(&[&["sessions", "list", "--json"], words].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
        said.out.lines().map(|line| json(line)["dest_port"].as_u64().expect("a port")).collect::<Vec<_>>()
    };
    assert_eq!(list(&[]), [5713, 5712, 5711], "newest first");
    assert_eq!(list(&["--limit", "1"]), [5713]);
    assert_eq!(list(&["--target", ":5712"]), [5712]);
    assert_eq!(list(&["--outcome", "upstream-refused"]), [5713]);
    assert_eq!(list(&["--unit", &bed.unit("job")]).len(), 3);
    assert_eq!(list(&["--unit", "other.service"]).len(), 0);
    assert_eq!(list(&["--user", "root"]).len(), 3);
    assert_eq!(list(&["--since", "1h"]).len(), 3);
    assert_eq!(list(&["--until", "yesterday"]).len(), 0);
    let id = daemon.store().sessions_to(5711)[0]["id"].as_str().expect("an id").to_owned();
    let shown = bed.cli(&["sessions", "show", &id]);
    assert!(shown.code == Some(0) && shown.out.contains("5711") && shown.out.contains("sallyport-probe"), "{shown:?}");
    let table = bed.cli(&["sessions", "list"]);
    assert!(table.out.contains("completed") && table.out.contains(&format!("{THERE4}:5712")), "{table:?}");
    for (words, code) in [
        (&["sessions", "show", "ffffffff"][..], 66),
        (&["sessions", "show", "not-an-id"], 64),
        (&["sessions", "list", "--outcome", "lost"], 64),
        (&["nonsense"], 64),
    ] {
        assert_eq!(bed.cli(words).code, Some(code), "{words:?}");
    }
}
