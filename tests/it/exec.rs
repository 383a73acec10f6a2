//! `sallyport exec`: one command, intercepted, as if it had been run plainly.

use sallyport_tests::{Bed, Said, Server, cgroup, daemon, network::THERE4, puppet, until};
use std::{
    fs,
    io::Write,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
};

/// `sallyport exec -- WORDS` on the host under test.
fn exec(bed: &Bed, words: &[&str]) -> Command {
    let config = bed.dir().join("exec.toml");
    // Another command of the same test may be reading it.
    if !config.exists() {
        fs::write(&config, bed.config("", "", "")).expect("a file");
    }
    let mut command = Command::new(puppet::program());
    command.arg("--netns").arg(bed.network().here.path()).arg(daemon::built("sallyport"));
    command.arg("--config").arg(config).arg("--state-dir").arg(bed.state()).arg("--runtime-dir").arg(bed.runtime());
    command.args(["exec", "--"]).args(words).env("RUST_LOG", "").stdin(Stdio::null());
    command
}

fn run(bed: &Bed, words: &[&str]) -> Said {
    exec(bed, words).output().expect("it starts").into()
}

fn start(bed: &Bed, words: &[&str]) -> Child {
    exec(bed, words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// Pins and cgroups of a command whose supervisor had this process id.
fn traces(bed: &Bed, pid: u32) -> Vec<String> {
    let places = [
        bed.bpffs().join(format!("sallyport/exec-{pid}")),
        cgroup::root().join(format!("sallyport-exec-{pid}")),
        cgroup::root().join(format!("sallyport-exec-{pid}-agent")),
    ];
    places.iter().filter(|path| path.exists()).map(|path| path.display().to_string()).collect()
}

/// An HTTP server of one page, and the address of the page.
fn page(bed: &Bed, port: u16) -> (Server, String) {
    let server = Server::start(&bed.network().there, (THERE4, port).into(), |mut stream| {
        let _ = std::io::Read::read(&mut stream, &mut [0; 2048]);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nport");
    });
    (server, format!("http://{THERE4}:{port}/"))
}

#[test]
fn a_command_is_intercepted_and_ends_as_it_would_have() {
    let bed = Bed::new();
    let (_server, url) = page(&bed, 5601);
    let said = run(&bed, &["curl", "-s", "-m", "5", &url]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "port"), "{said:?}");
    let session = bed.store().ended(5601);
    assert_eq!((&session["scope"], &session["outcome"]), (&"exec".into(), &"completed".into()));
    assert!(session["exe"].as_str().is_some_and(|exe| exe.ends_with("/curl")), "{session:#}");
    for code in [0, 1, 7, 127, 255] {
        let said = run(&bed, &["sh", "-c", &format!("echo out; echo err >&2; exit {code}")]);
        assert_eq!(said.code, Some(code), "{said:?}");
        assert_eq!(said.out, "out\n");
        assert!(said.err.ends_with("err\n"), "{said:?}");
    }
    assert_eq!(run(&bed, &["/nowhere/to/be/found"]).code, Some(127));
    let plain = bed.dir().join("exec.toml");
    assert_eq!(run(&bed, &[plain.to_str().expect("a path")]).code, Some(126), "a file that is no program");
    let killed = exec(&bed, &["sh", "-c", "kill -USR1 $$"]).status().expect("it starts");
    assert_eq!(killed.signal(), Some(libc::SIGUSR1), "{killed:?}");
}

#[test]
fn input_and_signals_reach_the_command() {
    let bed = Bed::new();
    let mut child = start(&bed, &["cat"]);
    child.stdin.take().expect("a pipe").write_all(b"through the door").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.stdout, b"through the door", "{}", String::from_utf8_lossy(&output.stderr));
    let mut child =
        start(&bed, &["sh", "-c", "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done"]);
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("a pipe")));
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    assert_eq!(lines.next().expect("a line").expect("text"), "caught");
    assert_eq!(child.wait().expect("it ends").code(), Some(9));
}

#[test]
fn nothing_is_left_behind_and_what_was_left_running_is_ended() {
    let bed = Bed::new();
    let mut child = start(&bed, &["sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!"]);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().expect("a pipe"), &mut text).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let left = text.trim().parse::<u32>().expect("a process");
    until("the sleeper is gone", || (!std::path::Path::new(&format!("/proc/{left}")).exists()).then_some(()));
    assert!(traces(&bed, child.id()).is_empty(), "{:?}", traces(&bed, child.id()));
}

#[test]
fn several_at_once_do_not_meet() {
    let bed = Bed::new();
    let (_server, url) = page(&bed, 5631);
    let children: Vec<Child> = (0..4).map(|_| start(&bed, &["curl", "-s", "-m", "8", "--retry", "2", &url])).collect();
    for child in children {
        let pid = child.id();
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.stdout, b"port", "{}", String::from_utf8_lossy(&output.stderr));
        assert!(traces(&bed, pid).is_empty());
    }
    assert_eq!(bed.store().sessions_to(5631).len(), 4);
}

#[test]
fn a_running_daemon_is_not_in_the_way() {
    let bed = Bed::new();
    let (_server, url) = page(&bed, 5641);
    let daemon = bed.daemon(&bed.scope(""));
    for _ in 0..3 {
        let said = run(&bed, &["curl", "-s", "-m", "5", &url]);
        assert_eq!((said.code, said.out.as_str()), (Some(0), "port"), "{said:?}");
    }
    let mut job = bed.managed();
    assert_eq!(job.ask(&format!("run curl -s -m 5 {url}")).as_deref(), Ok("port"));
    let scopes: Vec<_> = daemon.store().sessions_to(5641).iter().map(|session| session["scope"].to_string()).collect();
    assert_eq!(scopes, ["\"exec\"", "\"exec\"", "\"exec\"", "\"jobs\""]);
}

#[test]
fn a_command_whose_supervisor_was_killed_is_refused_until_the_next_start_cleans_up() {
    let bed = Bed::new();
    let (server, url) = page(&bed, 5651);
    let script = format!("echo ready; read line; curl -s -m 3 {url}; echo $?; read line");
    let mut child = start(&bed, &["sh", "-c", &script]);
    let mut input = child.stdin.take().expect("a pipe");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("a pipe")));
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    input.write_all(b"go\n").expect("it reads");
    assert_eq!(lines.next().expect("a line").expect("text"), "7", "curl could not connect");
    assert_eq!(server.accepted(), 0);
    assert!(!traces(&bed, child.id()).is_empty(), "it is closed because the programs are there");
    assert_eq!(run(&bed, &["true"]).code, Some(0));
    assert!(!traces(&bed, child.id()).is_empty(), "somebody is inside");
    drop((input, lines));
    let inside = cgroup::root().join(format!("sallyport-exec-{}", child.id()));
    until("the command ends", || {
        fs::read_to_string(inside.join("cgroup.procs")).is_ok_and(|list| list.is_empty()).then_some(())
    });
    assert_eq!(run(&bed, &["true"]).code, Some(0));
    assert!(traces(&bed, child.id()).is_empty(), "{:?}", traces(&bed, child.id()));
}
