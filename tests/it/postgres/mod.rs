//! PostgreSQL: the real server, unchanged clients, the daemon between them.

mod behaviour;
mod clients;
mod decisions;
mod evasion;
mod held;
mod records;

use sallyport_tests::{Client, Daemon, Postgres, Record, Role, Said, Site, client::LONG};
use std::{ffi::OsStr, path::PathBuf, process::Command};

/// Where the server of these tests listens: not where one expects it, and not the same in another byte order.
const PORT: u16 = 5437;

/// A host with a daemon that speaks PostgreSQL, and the server.
struct World {
    daemon: Daemon,
    server: Postgres,
    site: Site,
}

impl World {
    /// One where everything is allowed.
    fn new() -> Self {
        Self::made(Site::new(""), |site| site.bed.config(&site.bed.scope(""), "", &target("")))
    }

    /// One with policies.
    fn ruled(policy: &str) -> Self {
        Self::made(Site::new(policy), |site| site.config("", &target("")))
    }

    fn made(site: Site, config: impl Fn(&Site) -> String) -> Self {
        let server = Postgres::start(&site.bed, PORT);
        let daemon = Daemon::start(&site.bed, &config(&site));
        Self { daemon, server, site }
    }

    /// A client in a unit; its environment says where the server is.
    fn command(&self, unit: &str, program: impl AsRef<OsStr>, role: Role) -> Command {
        let mut command = self.site.bed.command(unit, program);
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

    /// The requests of a session after its beginning, in order.
    fn statements(&self, session: &Record) -> Vec<Record> {
        let shown = self.daemon.store().show(session);
        let requests = shown["statements"].as_array();
        let requests = requests.unwrap_or_else(|| panic!("no statements: {shown:#}"));
        requests.iter().filter(|one| one["kind"] != "startup").cloned().collect()
    }

    /// The only session, as soon as it has ended.
    fn ended(&self) -> Record {
        self.daemon.store().ended(PORT)
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

/// A client that is not the distribution's, where `cargo xtask setup` keeps it.
fn kept(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("target/clients").join(name)
}
