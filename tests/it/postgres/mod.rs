//! PostgreSQL: the real server, unchanged clients, the daemon between them.

mod behaviour;
mod clients;
mod decisions;
mod evasion;
mod held;
mod kinds;
mod records;
mod secured;

use sallyport::proxy::tls::certificate_path;
use sallyport_tests::{Client, Daemon, Postgres, Record, Role, Said, Site, client::LONG, postgres::NAME};
use std::{ffi::OsStr, path::PathBuf, process::Command};

/// Where the server of these tests listens: not where one expects it, and not the same in another byte order.
const PORT: u16 = 5437;

/// A host with a daemon that speaks PostgreSQL, and the server.
struct World {
    daemon: Daemon,
    server: Postgres,
    site: Site,
    /// Whether clients speak TLS, and verify everything.
    secured: bool,
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
        Self { daemon, server, site, secured: false }
    }

    /// One whose clients speak TLS, each trusting whom it has to; with more keys of the target.
    fn secured(keys: impl Fn(&Site) -> String) -> Self {
        let site = Site::new("");
        let server = Postgres::start(&site.bed, PORT);
        let config = secured(&site, &server, &keys(&site));
        let daemon = Daemon::start(&site.bed, &config);
        // What an operator does before anybody connects; the stores are those of a host that nobody else has.
        let host = site.bed.dir().join("host");
        std::fs::create_dir(&host).expect("a directory");
        daemon.cli(&["trust", "install", "--yes", "--root", host.to_str().expect("text")]);
        Self { daemon, server, site, secured: true }
    }

    /// Whom clients of a unit have to trust.
    fn authority(&self, unit: &str) -> PathBuf {
        if unit == "job" { certificate_path(&self.site.bed.state()) } else { self.server.authority() }
    }

    /// A client in a unit; its environment says where the server is.
    fn command(&self, unit: &str, program: impl AsRef<OsStr>, role: Role) -> Command {
        let mut command = self.site.bed.command(unit, program);
        command.envs(self.server.environment(role)).env("LC_ALL", "C.UTF-8").env("PGAPPNAME", "a client");
        if self.secured {
            let authority = self.authority(unit);
            command.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", &authority);
            command.env("NODE_EXTRA_CA_CERTS", &authority);
        }
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
        let mut all = Vec::new();
        loop {
            let shown = self.daemon.store().show_from(session, all.len() as u64 + 1);
            let requests = shown["statements"].as_array();
            let requests = requests.unwrap_or_else(|| panic!("no statements: {shown:#}"));
            all.extend_from_slice(requests);
            if requests.is_empty() || requests.last().is_none_or(|last| last["sequence"] != all.len()) {
                break;
            }
        }
        all.retain(|one| one["kind"] != "startup");
        all
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

/// A configuration in which the server is reached as its certificate says.
fn secured(site: &Site, server: &Postgres, keys: &str) -> String {
    let keys = format!("ca = \"{}\"\nserver_name = \"{NAME}\"\n{keys}", server.authority().display());
    site.bed.config(&site.bed.scope(""), "", &target(&keys))
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
