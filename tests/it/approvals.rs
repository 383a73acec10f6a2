//! Connections that wait for people: approved, denied, expired, withdrawn, and who may say so.

use sallyport_tests::{Daemon, Puppet, Record, Server, Site, daemon::built, network::THERE4, until};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::mpsc,
};

/// Ports from 4950 need a person, from 4960 one of the group `daemon` with a reason, from 4970 two.
const HELD: &str = r#"
@id("anywhere") permit(principal, action == Action::"connect", resource);
@id("ask") forbid(principal, action == Action::"connect", resource)
when { resource.port >= 4950 } unless { context has approval && context.approval.people >= 1 };
@id("ask-daemon") forbid(principal, action == Action::"connect", resource)
when { resource.port >= 4960 && resource.port < 4970 }
unless { context has approval && context.approval.groups.contains(Group::"daemon") && context.approval.reason };
@id("ask-two") forbid(principal, action == Action::"connect", resource)
when { resource.port >= 4970 } unless { context has approval && context.approval.people >= 2 };
"#;
const OPEN: &str = r#"@id("anywhere") permit(principal, action == Action::"connect", resource);"#;
const CLOSED: &str = r#"@id("closed") @message("closed for today") forbid(principal, action, resource);"#;

fn daemon(site: &Site, keys: &str) -> Daemon {
    Daemon::start(&site.bed, &config(site, keys))
}

fn config(site: &Site, keys: &str) -> String {
    site.config("", &format!("[approve]\n{keys}"))
}

/// Starts a connection that waits: it is connected, as far as the process can see.
fn begin(job: &mut Puppet, name: &str, port: u16) {
    job.must(&format!("socket {name} tcp4"));
    job.must(&format!("connect {name} {}", SocketAddr::from((THERE4, port))));
}

fn echoes(job: &mut Puppet, name: &str) -> Result<String, i32> {
    job.ask(&format!("write {name} hello"))?;
    job.ask(&format!("read {name} 5"))
}

fn ended(daemon: &Daemon, port: u16) -> Record {
    let session = daemon.store().ended(port);
    daemon.store().show(&session)
}

#[test]
fn approvals_let_a_held_connection_through() {
    let site = Site::new(HELD);
    let daemon = daemon(&site, "");
    let server = site.server(4950);
    let mut job = site.bed.managed();
    begin(&mut job, "s", 4950);
    // What it says meanwhile waits with it, and nothing goes upstream.
    job.must("write s early");
    let id = daemon.waiting();
    assert_eq!(server.accepted(), 0);
    let shown = daemon.cli(&["approvals", "show", &id[..8], "--json"]).json();
    assert_eq!(shown["about"]["target"], SocketAddr::from((THERE4, 4950)).to_string());
    assert_eq!((&shown["state"], &shown["needs"]), (&"pending".into(), &"one person".into()));
    assert!(daemon.cli(&["approvals", "show", &id]).out.contains("Who asks"));
    assert_eq!(daemon.status()["pending_approvals"], 1);
    daemon.cli(&["approvals", "approve", &id, "--reason", "ticket 4711"]).good();
    assert_eq!(job.must("read s 5"), "early");
    assert_eq!(echoes(&mut job, "s").as_deref(), Ok("hello"));
    job.must("close s");
    let session = ended(&daemon, 4950);
    assert_eq!((&session["decision"], &session["outcome"]), (&"held".into(), &"completed".into()));
    let approval = &session["approvals"][0];
    assert_eq!((&approval["state"], &approval["by"]), (&"approved".into(), &"root".into()), "{session:#}");
    assert_eq!((&approval["reason"], &approval["id"]), (&"ticket 4711".into(), &id.into()));
    // Once is once.
    begin(&mut job, "t", 4950);
    daemon.waiting();
}

#[test]
fn approvals_denied_reset_the_client() {
    let site = Site::new(HELD);
    let daemon = daemon(&site, "");
    let server = site.server(4950);
    let mut job = site.bed.managed();
    begin(&mut job, "s", 4950);
    let id = daemon.waiting();
    daemon.cli(&["approvals", "deny", &id, "--reason", "not today"]).good();
    assert!(job.ask("read s 1").is_err());
    assert_eq!(server.accepted(), 0);
    let session = ended(&daemon, 4950);
    assert_eq!((&session["outcome"], &session["detail"]), (&"denied".into(), &"denied by root: not today".into()));
    assert_eq!(session["approvals"][0]["state"], "denied");
    // Asking again at once does not wear anybody down.
    begin(&mut job, "t", 4950);
    assert!(job.ask("read t 1").is_err());
    assert!(daemon.approvals().is_empty());
    let late = daemon.cli(&["approvals", "approve", &id]);
    assert_eq!(late.code, Some(69), "{late:?}");
}

#[test]
fn approvals_expire_and_hang_ups_withdraw() {
    let site = Site::new(HELD);
    let daemon = daemon(&site, "expiry = \"3s\"");
    let _servers = [site.server(4950), site.server(4951)];
    let mut job = site.bed.managed();
    begin(&mut job, "s", 4950);
    daemon.waiting();
    assert!(job.ask("read s 1").is_err());
    let session = ended(&daemon, 4950);
    assert_eq!(session["detail"], "nobody approved it in time");
    assert_eq!(session["approvals"][0]["state"], "expired");
    // Unread bytes do not hide that the client is gone.
    begin(&mut job, "s2", 4951);
    job.must("write s2 something");
    daemon.waiting();
    job.must("close s2");
    let session = ended(&daemon, 4951);
    assert_eq!((&session["outcome"], &session["approvals"][0]["state"]), (&"client-reset".into(), &"withdrawn".into()));
    assert!(daemon.approvals().is_empty());
}

#[test]
fn approvals_are_nobodys_own() {
    let site = Site::new(HELD);
    let daemon = daemon(&site, "");
    let _server = site.server(4950);
    let mut job = site.bed.managed();
    job.must("login 1000");
    begin(&mut job, "s", 4950);
    let id = daemon.waiting();
    assert_eq!(daemon.cli(&["approvals", "show", &id, "--json"]).json()["about"]["login_uid"], 1000);
    // Root by now, and still the same person.
    let own = site.by(1000, &["approve", &id]);
    assert!(own.code == Some(69) && own.err.contains("cannot approve it"), "{own:?}");
    site.by(1001, &["approve", &id]).good();
    assert_eq!(echoes(&mut job, "s").as_deref(), Ok("hello"));
    job.must("close s");
    assert_eq!(ended(&daemon, 4950)["approvals"][0]["by"], "uid 1001");
}

#[test]
fn approvals_count_distinct_people() {
    let site = Site::new(HELD);
    let daemon = daemon(&site, "");
    let _server = site.server(4970);
    let mut job = site.bed.managed();
    begin(&mut job, "s", 4970);
    let id = daemon.waiting();
    for _ in 0..2 {
        site.by(1001, &["approve", &id, "--for", "10m"]).good();
        assert_eq!(daemon.approvals().len(), 1);
    }
    site.by(1002, &["approve", &id, "--for", "15m"]).good();
    assert_eq!(echoes(&mut job, "s").as_deref(), Ok("hello"));
    // The same again needs nobody, until what was granted is ended; then what ran under it ends too.
    begin(&mut job, "t", 4970);
    assert_eq!(echoes(&mut job, "t").as_deref(), Ok("hello"));
    daemon.cli(&["approvals", "deny", &id, "--reason", "enough"]).good();
    assert!(job.ask("read t 1").is_err());
    begin(&mut job, "u", 4970);
    daemon.waiting();
}

#[test]
fn approvals_need_their_group_and_a_reason() {
    let site = Site::new(HELD);
    fs::set_permissions(site.bed.dir(), fs::Permissions::from_mode(0o711)).expect("its directory");
    let daemon = daemon(&site, "group = \"daemon\"");
    let _server = site.server(4960);
    let mut job = site.bed.managed();
    begin(&mut job, "s", 4960);
    let id = daemon.waiting();
    let root = daemon.cli(&["approvals", "approve", &id, "--reason", "because"]);
    assert!(root.err.contains("one person of daemon"), "{root:?}");
    let user = |id: u32| format!("exec setpriv --reuid {id} --regid {id} --clear-groups \"$@\"");
    let stranger = site.as_user(&user(2), &["list"]);
    assert_eq!(stranger.code, Some(77), "{stranger:?}");
    let silent = site.as_user(&user(1), &["approve", &id]);
    assert!(silent.err.contains("needs a reason"), "{silent:?}");
    let glass = site.as_user(&user(1), &["break-glass", "jobs", "--for", "1m", "--reason", "fire"]);
    assert!(glass.err.contains("only root"), "{glass:?}");
    site.as_user(&user(1), &["approve", &id, "--reason", "because"]).good();
    assert_eq!(echoes(&mut job, "s").as_deref(), Ok("hello"));
}

#[test]
fn approvals_are_not_for_managed_processes() {
    let site = Site::new(HELD);
    let daemon = daemon(&site, "");
    let _server = site.server(4950);
    let mut job = site.bed.managed();
    begin(&mut job, "s", 4950);
    let id = daemon.waiting();
    let program = built("sallyport");
    let runtime = site.bed.runtime();
    for words in [&["approve", &id][..], &["list"], &["break-glass", "jobs", "--for", "1m", "--reason", "x"]] {
        let words = words.join(" ");
        let command = format!("run {} approvals {words} --runtime-dir {}", program.display(), runtime.display());
        assert!(site.bed.managed().ask(&command).is_err(), "{words}");
    }
    assert!(daemon.log().contains("refused, a managed process"), "{}", daemon.log());
    assert_eq!(daemon.approvals().len(), 1);
}

#[test]
fn approvals_make_one_of_a_storm() {
    let site = Site::new(HELD);
    let daemon = daemon(&site, "max_pending = 2");
    let server = site.server(4950);
    let mut job = site.bed.managed();
    (0..100).for_each(|index| begin(&mut job, &format!("s{index}"), 4950));
    until("all of them wait", || (daemon.approvals().first()?["waiting"] == 100).then_some(()));
    assert_eq!(daemon.approvals().len(), 1);
    // Another identity's worth of requests is limited.
    begin(&mut job, "a", 4951);
    until("it waits too", || (daemon.approvals().len() == 2).then_some(()));
    begin(&mut job, "b", 4952);
    assert!(job.ask("read b 1").is_err());
    assert_eq!(ended(&daemon, 4952)["detail"], "too many requests wait for approval");
    let id = daemon.waiting();
    daemon.cli(&["approvals", "approve", &id, "--for", "1m"]).good();
    for index in 0..100 {
        assert_eq!(echoes(&mut job, &format!("s{index}")).as_deref(), Ok("hello"), "{index}");
    }
    assert_eq!(server.accepted(), 100);
}

#[test]
fn approvals_end_with_the_daemon() {
    let site = Site::new(HELD);
    let mut first = daemon(&site, "");
    let _server = site.server(4950);
    let mut job = site.bed.managed();
    begin(&mut job, "s", 4950);
    let id = first.waiting();
    first.kill();
    let mut daemon = daemon(&site, "");
    assert!(daemon.approvals().is_empty());
    let approvals = |daemon: &Daemon| {
        let said = daemon.cli(&["report", "access-review", "--since", "1h", "--format", "json"]);
        said.out
    };
    until("it is withdrawn", || approvals(&daemon).contains("the daemon was restarted").then_some(()));
    assert!(approvals(&daemon).contains(&id));
    begin(&mut job, "t", 4950);
    daemon.waiting();
    let before = std::time::Instant::now();
    assert!(daemon.stop().success());
    assert!(before.elapsed().as_secs() < 5, "what waits held the end up");
    until("it is withdrawn", || approvals(&daemon).contains("the daemon stops").then_some(()));
}

#[test]
fn approvals_follow_policies() {
    let site = Site::new(HELD);
    let daemon = daemon(&site, "");
    let _servers = [site.server(4950), site.server(4951)];
    let mut job = site.bed.managed();
    begin(&mut job, "s", 4950);
    daemon.waiting();
    site.write(OPEN);
    assert_eq!(echoes(&mut job, "s").as_deref(), Ok("hello"));
    site.write(HELD);
    until("the change of policies is recorded", || {
        let events = daemon.store().events();
        (events.iter().filter(|event| event["kind"] == "policy-changed").count() == 2).then_some(())
    });
    begin(&mut job, "t", 4951);
    daemon.waiting();
    site.write(CLOSED);
    assert!(job.ask("read t 1").is_err());
    let session = until("it is over", || {
        daemon.store().sessions_to(4951).into_iter().find(|session| session["outcome"] == "denied")
    });
    assert_eq!(session["detail"], "closed for today");
}

#[test]
fn approvals_are_asked_anew_when_a_target_is_another() {
    let site = Site::new(HELD);
    let place = SocketAddr::from((THERE4, 4950));
    let target = |name: &str| format!("{}[target.{name}]\naddresses = [\"{place}\"]\n", config(&site, ""));
    let mut daemon = Daemon::start(&site.bed, &target("orders"));
    let _server = site.server(4950);
    let mut job = site.bed.managed();
    begin(&mut job, "s", 4950);
    let id = daemon.waiting();
    daemon.reload(&target("ledger"));
    let other = until("it is asked anew", || daemon.approvals().into_iter().find(|one| one["id"] != id.as_str()));
    assert_eq!((&other["target"], &other["kind"]), (&"ledger".into(), &"connect".into()));
    assert_eq!(daemon.cli(&["approvals", "approve", &id]).code, Some(69), "it is not what was shown");
    daemon.cli(&["approvals", "approve", other["id"].as_str().expect("a name")]).good();
    assert_eq!(echoes(&mut job, "s").as_deref(), Ok("hello"));
}

#[test]
fn approvals_can_be_broken_by_root_and_loudly() {
    let site = Site::new(HELD);
    let daemon = daemon(&site, "");
    let _server = site.server(4970);
    let mut job = site.bed.managed();
    // Whoever waits already goes on as well.
    begin(&mut job, "s", 4970);
    daemon.waiting();
    let nowhere = daemon.cli(&["approvals", "break-glass", "elsewhere", "--for", "1m", "--reason", "fire"]);
    assert!(nowhere.err.contains("no scope"), "{nowhere:?}");
    let broken = daemon.cli(&["approvals", "break-glass", "jobs", "--for", "1m", "--reason", "fire", "--json"]);
    let id = broken.json()["id"].as_str().expect("a name").to_owned();
    assert_eq!(echoes(&mut job, "s").as_deref(), Ok("hello"));
    begin(&mut job, "t", 4970);
    assert_eq!(echoes(&mut job, "t").as_deref(), Ok("hello"));
    assert_eq!(daemon.status()["break_glass"][0]["reason"], "fire");
    assert!(daemon.cli(&["status"]).out.contains("BREAK-GLASS"));
    assert!(daemon.log().contains("break-glass"), "{}", daemon.log());
    let opened = daemon.store().event("of breaking", |event| event["kind"] == "break-glass-opened");
    assert!(opened["detail"].as_str().is_some_and(|detail| detail.contains("fire")), "{opened}");
    // Ended early, what runs under it ends.
    daemon.cli(&["approvals", "deny", &id, "--reason", "put out"]).good();
    assert!(job.ask("read t 1").is_err() && job.ask("read s 1").is_err());
    daemon.store().event("of mending", |event| event["kind"] == "break-glass-closed");
    let session = daemon.store().sessions_to(4970).pop().expect("a session");
    let shown = daemon.store().show(&session);
    assert!(shown["approvals"][0]["by"].as_str().is_some_and(|by| by.ends_with("(break-glass)")), "{shown:#}");
    begin(&mut job, "u", 4970);
    daemon.waiting();
}

/// One HTTP/1.1 exchange on the host under test: what came back.
fn http(site: &Site, request: &str) -> String {
    let mut stream = site.bed.network().here.run(|| TcpStream::connect("127.0.0.1:7480")).expect("the door is open");
    stream.write_all(request.as_bytes()).expect("a connection");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn follow(site: &Site, method: &str, link: &str, body: &str) -> String {
    let path = link.strip_prefix("https://approvals.example.org").expect("a link of ours");
    let length = body.len();
    http(site, &format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"))
}

#[test]
fn approvals_by_links_that_a_webhook_was_sent() {
    let site = Site::new(HELD);
    let secret = site.bed.dir().join("secret");
    fs::write(&secret, "0123456789abcdef0123456789abcdef").expect("a file");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("its mode");
    let (tell, told) = mpsc::channel::<Value>();
    let hook = Server::start(&site.bed.network().here, ([127, 0, 0, 1], 7481).into(), move |mut stream| {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        let body = loop {
            let read = stream.read(&mut buffer).unwrap_or(0);
            text.extend(&buffer[..read]);
            let seen = String::from_utf8_lossy(&text).into_owned();
            let body = seen.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
            if read == 0 || body.is_some() {
                assert!(seen.to_lowercase().contains("sallyport-signature: v1="), "{seen}");
                break body;
            }
        };
        let _ = stream.write_all(b"HTTP/1.1 204 Thanks\r\n\r\n");
        let _ = body.map(|body| tell.send(body));
    });
    let daemon = daemon(
        &site,
        &format!(
            "listen = \"127.0.0.1:7480\"\nwebhook = \"http://127.0.0.1:7481/hook\"\nwebhook_secret = \"{}\"\n\
         link_base = \"https://approvals.example.org/door/\"\nlink_people = [\"daemon\", \"bin\"]",
            secret.display()
        ),
    );
    let _server = site.server(4960);
    let mut job = site.bed.managed();
    begin(&mut job, "s", 4960);
    let patience = std::time::Duration::from_secs(10);
    let message = told.recv_timeout(patience).expect("a message");
    assert_eq!((&message["type"], &message["needs"]["groups"][0]), (&"approval.pending".into(), &"daemon".into()));
    let link = |person: usize, choice: &str| message["links"][person][choice].as_str().expect("a link").to_owned();
    // Whoever only looks, a previewer say, decides nothing.
    let page = follow(&site, "GET", &link(0, "approve"), "");
    assert!(page.contains("Approve this?") && page.contains("10.71.3.97:4960"), "{page}");
    assert_eq!(daemon.approvals().len(), 1);
    let changed = link(0, "approve").replace("/link/", "/link/A");
    assert!(follow(&site, "POST", &changed, "reason=x").starts_with("HTTP/1.1 410"));
    // Not of the group; and without the reason that is asked for, after which the link still holds.
    let other = follow(&site, "POST", &link(1, "approve"), "reason=x");
    assert!(other.contains("bin is not one of them"), "{other}");
    let silent = follow(&site, "POST", &link(0, "approve"), "");
    assert!(silent.contains("needs a reason"), "{silent}");
    let approved = follow(&site, "POST", &link(0, "approve"), "reason=ticket+4711");
    assert!(approved.contains("It is approved."), "{approved}");
    assert_eq!(echoes(&mut job, "s").as_deref(), Ok("hello"));
    assert!(follow(&site, "POST", &link(0, "approve"), "reason=x").starts_with("HTTP/1.1 410"));
    let message = told.recv_timeout(patience).expect("another message");
    assert_eq!((&message["type"], &message["by"]), (&"approval.settled".into(), &"daemon".into()));
    assert!(http(&site, "POST /chat HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").starts_with("HTTP/1.1 404"));
    job.must("close s");
    assert_eq!(ended(&daemon, 4960)["approvals"][0]["reason"], "ticket 4711");
    drop(hook);
}

/// HMAC-SHA-256 (RFC 2104), with a key shorter than a block.
fn hmac(key: &[u8], text: &[u8]) -> String {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn approvals_by_buttons_in_a_chat() {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let site = Site::new(HELD);
    let secret = site.bed.dir().join("secret");
    fs::write(&secret, SECRET).expect("a file");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("its mode");
    let daemon = daemon(
        &site,
        &format!("listen = \"127.0.0.1:7480\"\nslack_secret = \"{}\"\nslack_people = [\"U1=bin\"]", secret.display()),
    );
    let _server = site.server(4950);
    let mut job = site.bed.managed();
    begin(&mut job, "s", 4950);
    let id = daemon.waiting();
    let press = |user: &str, key: &str| {
        let action = format!(r#"{{"action_id":"approve","value":"{id}"}}"#);
        let json = format!(r#"{{"user":{{"id":"{user}"}},"actions":[{action}]}}"#);
        let body = format!("payload={}", json.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>());
        let now = std::time::UNIX_EPOCH.elapsed().expect("a time after 1970").as_secs();
        let signature = hmac(key.as_bytes(), format!("v0:{now}:{body}").as_bytes());
        let fields = format!("x-slack-request-timestamp: {now}\r\nx-slack-signature: v0={signature}");
        let length = body.len();
        format!("POST /chat HTTP/1.1\r\nhost: x\r\n{fields}\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    assert!(http(&site, &press("U1", "another secret")).starts_with("HTTP/1.1 401"));
    assert!(http(&site, &press("U2", SECRET)).starts_with("HTTP/1.1 401"), "nobody is mapped to this id");
    assert_eq!(daemon.approvals().len(), 1);
    let good = press("U1", SECRET);
    let answer = http(&site, &good);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("It is approved."), "{answer}");
    assert_eq!(echoes(&mut job, "s").as_deref(), Ok("hello"));
    assert!(http(&site, &good).starts_with("HTTP/1.1 401"), "the same again is refused");
    job.must("close s");
    assert_eq!(ended(&daemon, 4950)["approvals"][0]["by"], "bin");
}
