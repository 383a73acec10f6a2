//! Commands on a store with connections and requests in it.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::args::{Cli, Command};
use super::super::exit::{Exit, Failure};
use super::super::screen::tests::Paper;
use crate::policy::question::{Execute, Resource, TableName};
use crate::record::read::tests::{block_on, identity, request, start};
use crate::record::{Decision, Durability, Options, Outcome, Recorder, Role, SessionEnd, SessionId, Timestamps};

/// Two workloads that connect, one of which reads a table.
fn written(state: &Path) -> SessionId {
    block_on(async {
        let recorder = Recorder::open_as(state, Role::Exec, &Options::default()).unwrap();
        let mut first = None;
        for (n, destination) in [(1, "10.0.0.5:5432"), (1, "10.0.0.5:5432"), (2, "10.0.0.6:443")] {
            let mut begin = start(&identity(n), destination, 5);
            begin.started = Timestamps::now();
            let id = recorder.begin(begin).await.unwrap();
            first.get_or_insert(id);
            if n == 1 {
                let name = TableName { database: "shop".into(), schema: "public".into(), table: "orders".into() };
                let facts = Execute {
                    resource: Resource::Database { name: "shop".into() },
                    verb: Some("select".into()),
                    kinds: Some(["read".to_owned()].into()),
                    statements: Some(1),
                    reads: Some([name].into()),
                    writes: Some([].into()),
                    functions: Some([].into()),
                    has_predicate: Some(true),
                    unknown_parts: Some([].into()),
                    ..Execute::default()
                };
                let mut asked = request(id, 0, "select * from orders", Decision::Allow);
                asked.at = Timestamps::now();
                asked.facts = Some(serde_json::to_string(&facts).unwrap().into());
                recorder.request(asked, Durability::Batched).await.unwrap();
            }
            let (outcome, ended) = (Outcome::Completed, Timestamps::now());
            let end = SessionEnd { bytes_out: 1, bytes_in: 1, outcome, detail: None, ended };
            recorder.end(id, end).await.unwrap();
        }
        recorder.close().await.unwrap();
        first.unwrap()
    })
}

fn run(state: &Path, line: &str) -> (Result<Exit, String>, String) {
    let words = ["sallyport"].into_iter().chain(line.split(' ')).map(std::ffi::OsString::from);
    let cli = Cli::read(words).unwrap();
    let paper = Paper::default();
    let mut screen = paper.screen(cli.global.json, None);
    let Command::Policy { command } = &cli.command else { panic!("{line}") };
    let done = super::run(|| Err(Failure::new(Exit::CONFIG, "none")), state, command, &mut screen);
    screen.flush().unwrap();
    (done.map_err(|failure| failure.message().to_owned()), paper.text())
}

#[test]
fn what_is_suggested_permits_what_was_recorded_and_another_set_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let id = written(dir.path());
    let (exit, text) = run(dir.path(), "policy suggest");
    assert_eq!(exit, Ok(Exit::OK));
    assert!(text.contains("Of 5 connections and requests") && text.contains("these permit 5."), "{text}");
    assert!(text.contains("Table::\"10.0.0.5:5432/shop/public/orders\""), "{text}");
    let (suggested, other) = (dir.path().join("suggested.cedar"), dir.path().join("other.cedar"));
    fs::write(&suggested, &text).unwrap();
    let narrower = "permit(principal, action == Action::\"connect\", resource) when { resource.port == 443 };";
    fs::write(&other, narrower).unwrap();

    let same = run(dir.path(), &format!("policy diff {0} {0}", suggested.display()));
    assert_eq!(same.0, Ok(Exit::OK), "{}", same.1);
    let (exit, text) = run(dir.path(), &format!("policy diff {} {} --json", suggested.display(), other.display()));
    assert_eq!(exit, Ok(Exit::DATA));
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let differences = told["differences"].as_array().unwrap();
    assert_eq!((differences.len(), &told["asked"]), (2, &5.into()), "{text}");
    for difference in differences {
        let of = (&difference["before"], &difference["after"], &difference["count"]);
        assert_eq!(of, (&"allow".into(), &"deny".into(), &2.into()), "{text}");
    }
    // The same against a store that is named.
    let line = format!("policy diff {} {} --against {}", suggested.display(), other.display(), dir.path().display());
    assert_eq!(run(Path::new("/nonexistent"), &line).0, Ok(Exit::DATA));

    for name in [id.to_string(), format!("{id}/0")] {
        let (exit, text) = run(dir.path(), &format!("policy explain {} --recorded {name}", other.display()));
        assert_eq!(exit, Ok(Exit::OK));
        assert!(text.contains("recorded as allow") && text.contains("deny\nbecause no policy permits it"), "{text}");
    }
    let (failed, _) = run(dir.path(), &format!("policy explain {} --recorded {id}/7", other.display()));
    assert!(failed.unwrap_err().contains("no request 7"));
}

#[test]
fn classifications_are_checked_beside_policies() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name)
    };
    let policy = file("a.cedar", "permit(principal, action, resource);");
    let toml = file("classes.toml", "[class.a]\nmask = \"redact\"\ndetect = \"pan\"\n");
    file("cases.toml", "no classification");
    let counted = |paths: &[PathBuf]| {
        let policies = super::set(paths).unwrap_or_else(|failure| panic!("{failure:?}"));
        let classes = super::classes(paths).unwrap_or_else(|failure| panic!("{failure:?}"));
        (policies.len(), classes.iter().count())
    };
    assert_eq!(counted(&[dir.path().to_owned()]), (1, 1));
    assert_eq!(counted(std::slice::from_ref(&policy)), (1, 0));
    assert_eq!(counted(&[policy, toml]), (1, 1));
    file("classes.toml", "[class.a]\nmask = \"redcat\"\n");
    assert!(super::classes(&[dir.path().to_owned()]).is_err());
    assert!(super::set(&[dir.path().to_owned()]).is_ok());
}
