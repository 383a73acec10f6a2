//! What was recorded, as `sallyport sessions list --json` tells it.

use crate::{daemon::built, until};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// One session or event: an object whose keys are the columns.
pub type Record = Value;

/// The store of a daemon.
#[derive(Clone, Debug)]
pub struct Store {
    state: PathBuf,
}

impl Store {
    /// The store below a state directory.
    pub fn of(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    /// Every session, oldest first.
    pub fn sessions(&self) -> Vec<Record> {
        self.list(&[])
    }

    /// Every event, oldest first.
    pub fn events(&self) -> Vec<Record> {
        self.list(&["--events"])
    }

    /// Sessions towards a port, oldest first.
    pub fn sessions_to(&self, port: u16) -> Vec<Record> {
        self.sessions().into_iter().filter(|session| session["dest_port"] == port).collect()
    }

    /// Waits for a session that `wanted` picks.
    pub fn session(&self, what: &str, wanted: impl Fn(&Record) -> bool) -> Record {
        let found = crate::within(crate::PATIENCE, || self.sessions().into_iter().find(|session| wanted(session)));
        found.unwrap_or_else(|| panic!("no session {what} among {:#?}", self.sessions()))
    }

    /// Waits until the only session towards a port has ended.
    pub fn ended(&self, port: u16) -> Record {
        let one = until(&format!("a session to port {port} has ended"), || {
            self.sessions_to(port).into_iter().find(|session| session["outcome"] != "open")
        });
        let all = self.sessions_to(port);
        assert!(all.len() == 1, "one connection and {} sessions: {all:#?}", all.len());
        one
    }

    /// Waits for an event that `wanted` picks.
    pub fn event(&self, what: &str, wanted: impl Fn(&Record) -> bool) -> Record {
        let found = crate::within(crate::PATIENCE, || self.events().into_iter().find(|event| wanted(event)));
        found.unwrap_or_else(|| panic!("no event {what} among {:#?}", self.events()))
    }

    /// Everything recorded of one session, the first hundred statements of it.
    pub fn show(&self, session: &Record) -> Record {
        self.show_from(session, 1)
    }

    /// As [`Store::show`], with statements from this number on.
    pub fn show_from(&self, session: &Record, statement: u64) -> Record {
        let id = session["id"].as_str().expect("an id");
        let lines = self.run(&["sessions", "show", id, "--from", &statement.to_string()]);
        lines.into_iter().next().expect("a session")
    }

    fn list(&self, options: &[&str]) -> Vec<Record> {
        let mut lines = self.run(&[&["sessions", "list", "--limit", "1000000"], options].concat());
        lines.reverse();
        lines
    }

    fn run(&self, words: &[&str]) -> Vec<Record> {
        let mut command = Command::new(built("sallyport"));
        let output = command.args(words).arg("--json").arg("--state-dir").arg(&self.state).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        values.map(|value| value.expect("JSON")).collect()
    }
}
