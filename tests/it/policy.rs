//! Connections judged by policies: at the start, after a change, and while they live.

use sallyport_tests::{
    Daemon, Puppet, Record, Server, Site,
    network::{THERE4, THERE6},
    until,
};
use std::{fs, net::SocketAddr};

const NOT_4902: &str = r#"
@id("anywhere") permit(principal, action == Action::"connect", resource);
@id("not-there") @message("port 4902 is closed here")
forbid(principal, action == Action::"connect", resource) when { resource.port == 4902 };
"#;
const NOTHING: &str = r#"@id("closed") @message("closed for today") forbid(principal, action, resource);"#;

fn open(job: &mut Puppet, to: SocketAddr) -> Result<String, i32> {
    let _ = job.ask("close s");
    job.must("socket s tcp4");
    job.ask(&format!("connect s {to}"))?;
    job.ask("write s hello")?;
    job.ask("read s 5")
}

fn at(port: u16) -> SocketAddr {
    (THERE4, port).into()
}

/// The newest session towards a port that has ended so.
fn ended(daemon: &Daemon, port: u16, outcome: &str) -> Record {
    until(&format!("a session to port {port} is {outcome}"), || {
        daemon.store().sessions_to(port).into_iter().rev().find(|session| session["outcome"] == outcome)
    })
}

fn changed(daemon: &Daemon, times: usize) {
    until("the change of policies is recorded", || {
        let events = daemon.store().events();
        (events.iter().filter(|event| event["kind"] == "policy-changed").count() >= times).then_some(())
    });
}

#[test]
fn what_no_policy_allows_is_refused_and_recorded() {
    let site = Site::new(NOT_4902);
    let daemon = Daemon::start(&site.bed, &site.config("", ""));
    let (_open, closed) = (site.server(4901), site.server(4902));
    let mut job = site.bed.managed();
    assert_eq!(open(&mut job, at(4901)).as_deref(), Ok("hello"));
    assert!(open(&mut job, at(4902)).is_err());
    assert!(closed.peers().is_empty(), "the upstream saw a connection that was denied");
    let session = ended(&daemon, 4902, "denied");
    assert_eq!(session["decision"], "deny");
    assert_eq!(session["detail"], "port 4902 is closed here");
    job.must("close s");
    assert_eq!(ended(&daemon, 4901, "completed")["decision"], "allow");
}

#[test]
fn a_scope_that_observes_lets_through_what_is_denied() {
    let site = Site::new(NOT_4902);
    let daemon = Daemon::start(&site.bed, &site.config("mode = \"observe\"", ""));
    let _server = site.server(4902);
    let mut job = site.bed.managed();
    assert_eq!(open(&mut job, at(4902)).as_deref(), Ok("hello"));
    job.must("close s");
    assert_eq!(ended(&daemon, 4902, "completed")["decision"], "would-deny");
}

#[test]
fn enforcing_without_policies_denies() {
    let site = Site::new("");
    let daemon = Daemon::start(&site.bed, &site.config("", "mode = \"enforce\""));
    let _server = site.server(4903);
    assert!(open(&mut site.bed.managed(), at(4903)).is_err());
    assert_eq!(ended(&daemon, 4903, "denied")["detail"], "no policy permits this");
}

#[test]
fn other_policies_end_what_they_do_not_allow() {
    let site = Site::new(NOT_4902);
    let daemon = Daemon::start(&site.bed, &site.config("", ""));
    let _server = site.server(4904);
    let mut job = site.bed.managed();
    assert_eq!(open(&mut job, at(4904)).as_deref(), Ok("hello"));
    // Wrong policies change nothing, and say so.
    site.write("permit(principal, action, resource) when { context.nonsense };");
    until("the mistake is told", || daemon.log().contains("the old ones stay").then_some(()));
    until("and recorded", || {
        let events = daemon.store().events();
        let told = |event: &serde_json::Value| {
            event["kind"] == "policy-rejected" && event["detail"].as_str().is_some_and(|text| text.contains("nonsense"))
        };
        events.iter().any(told).then_some(())
    });
    job.must("write s again");
    assert_eq!(job.must("read s 5"), "again");
    let said = daemon.cli(&["policy", "reload"]);
    assert!(said.code == Some(69) && said.err.contains("nonsense"), "{said:?}");
    // Nor does a directory that is gone.
    let aside = site.policies.with_extension("aside");
    fs::rename(&site.policies, &aside).unwrap();
    until("the loss is told", || daemon.log().contains("No such file").then_some(()));
    job.must("write s twice");
    assert_eq!(job.must("read s 5"), "twice");
    fs::rename(&aside, &site.policies).unwrap();
    site.write(NOTHING);
    changed(&daemon, 1);
    assert!(job.ask("read s 1").is_err(), "the flow goes on although it is forbidden now");
    let said = daemon.cli(&["policy", "reload"]);
    assert!(said.code == Some(0) && said.out.contains("good: 1 in force"), "{said:?}");
    let session = ended(&daemon, 4904, "denied");
    assert_eq!(session["detail"], "not allowed any more: closed for today");
    assert!(open(&mut job, at(4904)).is_err());
    site.write(NOT_4902);
    changed(&daemon, 2);
    assert_eq!(open(&mut job, at(4904)).as_deref(), Ok("hello"));
}

#[test]
fn a_signal_has_policies_read_at_once() {
    let site = Site::new(NOT_4902);
    let config = site.config("", "");
    let mut daemon = Daemon::start(&site.bed, &config);
    let _server = Server::echo(&site.bed.network().there, (THERE6, 4905));
    site.write(NOTHING);
    daemon.reload(&config);
    let mut job = site.bed.managed();
    job.must("socket s tcp6");
    let to = SocketAddr::from((THERE6, 4905));
    let passed =
        job.ask(&format!("connect s {to}")).and_then(|_| job.ask("write s x")).and_then(|_| job.ask("read s 1"));
    assert!(passed.is_err());
    assert_eq!(ended(&daemon, 4905, "denied")["detail"], "closed for today");
}

#[test]
fn a_daemon_does_not_start_with_wrong_policies() {
    let site = Site::new("permit(principal, action == Action::\"conect\", resource);");
    let mut daemon = Daemon::launch(&site.bed, &site.config("", ""));
    let status = daemon.wait();
    assert_eq!(status.code(), Some(78));
    assert!(daemon.log().contains("a.cedar:1:"), "{}", daemon.log());
}

#[test]
fn policies_speak_of_configured_targets_and_a_reload_judges_live_flows_by_them() {
    let site = Site::new("");
    site.write(
        r#"permit(principal, action == Action::"connect", resource == Target::"orders")
           when { resource has environment && resource.environment == "prod" };"#,
    );
    let _servers = (site.server(4941), site.server(4942));
    let target = |port: u16| {
        let place = at(port);
        format!("[target.orders]\naddresses = [\"{place}\"]\nenvironment = \"prod\"\ntags = [\"pci\"]\n")
    };
    let mut daemon = Daemon::start(&site.bed, &(site.config("", "") + &target(4941)));
    let mut job = site.bed.managed();
    assert!(open(&mut job, at(4942)).is_err());
    assert_eq!(open(&mut job, at(4941)).as_deref(), Ok("hello"));
    daemon.reload(&(site.config("", "") + &target(4942)));
    until("the flow is ended", || job.ask("read s 1").is_err().then_some(()));
    let session = ended(&daemon, 4941, "denied");
    assert_eq!(session["target"].as_str(), Some("orders"));
    let shown = daemon.cli(&["sessions", "show", session["id"].as_str().expect("an id"), "--json"]);
    assert!(shown.out.contains(r#""tags":"pci""#), "{}", shown.out);
    assert_eq!(open(&mut job, at(4942)).as_deref(), Ok("hello"));
}
