//! PostgreSQL: the real server, unchanged clients, the daemon between them.

mod clients;

use sallyport_tests::{Bed, Client, Daemon, Postgres, Record, Role, Said, client::LONG};
use std::{ffi::OsStr, path::PathBuf, process::Command};

/// Where the server of these tests listens: not where one expects it, and not the same in another byte order.
const PORT: u16 = 5437;

/// A host with a daemon that speaks PostgreSQL, and the server.
struct World {
    daemon: Daemon,
    server: Postgres,
    bed: Bed,
}

impl World {
    /// One where everything is allowed.
    fn new() -> Self {
        let bed = Bed::new();
        let server = Postgres::start(&bed, PORT);
        let daemon = Daemon::start(&bed, &bed.config(&bed.scope(""), "", &target("")));
        Self { daemon, server, bed }
    }

    /// A client in a unit; its environment says where the server is.
    fn command(&self, unit: &str, program: impl AsRef<OsStr>, role: Role) -> Command {
        let mut command = self.bed.command(unit, program);
        command.envs(self.server.environment(role)).env("LC_ALL", "C.UTF-8").env("PGAPPNAME", "a client");
        command
    }

    /// A client that is intercepted.
    fn managed(&self, program: impl AsRef<OsStr>, role: Role) -> Command {
        self.command("job", program, role)
    }

    /// `psql` with a script, intercepted.
    fn psql(&self, role: Role, script: &str) -> Said {
        let mut command = self.managed(sallyport_tests::postgres::program("psql"), role);
        Client::start_with(command.args(["-XqAt", "-f", "-"]), script).end_within(LONG)
    }

    /// The requests of a session, in order.
    fn statements(&self, session: &Record) -> Vec<Record> {
        let shown = self.daemon.store().show(session);
        let requests = shown["statements"].as_array();
        requests.unwrap_or_else(|| panic!("no statements: {shown:#}")).clone()
    }

    /// The sessions of the server under test, oldest first.
    fn sessions(&self) -> Vec<Record> {
        self.daemon.store().sessions_to(PORT)
    }
}

/// The section of the server's target, with keys of its own.
fn target(keys: &str) -> String {
    let place = std::net::SocketAddr::from((sallyport_tests::network::THERE4, PORT));
    format!("[target.orders]\nprotocol = \"postgres\"\naddresses = [\"{place}\"]\n{keys}\n")
}

/// A file beside these tests.
fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("it/postgres/clients").join(name)
}
