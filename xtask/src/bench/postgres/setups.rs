//! The server, what stands in between, and the ways to it.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::bench::intercept::site::{Network, Owned, Place, Site};
use crate::process::{root, run};

/// Where the server listens.
pub(super) const PORT: u16 = 5437;
const PGBOUNCER_PORT: u16 = 6437;
const HAPROXY_PORT: u16 = 7437;
/// As many connections as idle ones are wanted, and some.
const CONNECTIONS: u32 = 300;
/// Size of pgbench's tables, in hundreds of thousands of accounts. Its manual wants at least one for each client: else
/// they wait for each other's rows and not for what is measured.
const SCALE: u32 = 20;

/// Statements for tables of our own: what is read for masking, and the same where no column has a class.
const TABLES: &str = "
    CREATE TABLE people AS SELECT n AS id, 'person' || n || '@example.org' AS email, md5(n::text) AS code,
        'Paid by card 4111 1111 1111 1111, call +49 30 1234567, order ' || n AS remark,
        'Taken at the counter without a word by somebody in a hat, order ' || n AS plain
    FROM generate_series(1, 200000) n;
    CREATE TABLE open AS TABLE people";

/// Two of the five columns of `people`.
const CLASSES: &str = "
[class.\"pii.email\"]
mask = \"hash\"
[class.remark]
mask = \"redact\"
[[column]]
class = \"pii.email\"
table = \"people\"
column = \"email\"
[[column]]
class = \"remark\"
table = \"people\"
column = \"remark\"
";
/// Every detector there is, over every text of no class.
const DETECTORS: &str = "
[class.found]
mask = \"redact\"
detect = [\"pan\", \"iban\", \"email\", \"us-ssn\", \"phone\", \"jwt\", \"private-key\", \"aws-key\", \"github-token\",
    \"gcp-key\", \"slack-token\", \"vendor-token\", \"secret\", \"ipv4\", \"ipv6\"]
";

/// Policies and a classification, as an operator would have them.
pub(super) struct Policies {
    directory: PathBuf,
}

impl Policies {
    /// Ours that prohibit, and one that permits the rest.
    pub(super) fn write(site: &Site) -> Result<Self> {
        let directory = site.directory.join("policies");
        fs::create_dir(&directory)?;
        for name in ["baseline.cedar", "permit-all.cedar"] {
            fs::copy(root().join("policies").join(name), directory.join(name))?;
        }
        let policies = Self { directory };
        policies.detect(false)?;
        Ok(policies)
    }

    /// Has texts of no class searched from the next reading on, or not.
    pub(super) fn detect(&self, detect: bool) -> Result<()> {
        let text = format!("{CLASSES}{}", if detect { DETECTORS } else { "" });
        Ok(fs::write(self.directory.join("classes.toml"), text)?)
    }

    /// The daemon's configuration: these, and the server as a target.
    pub(super) fn config(&self) -> String {
        format!(
            "[policy]\ndirectory = \"{}\"\n[target.bench]\nprotocol = \"postgres\"\naddresses = [\"127.0.0.1:{PORT}\"]\n",
            self.directory.display()
        )
    }
}

/// A PostgreSQL of ours.
pub(super) struct Server {
    _child: Owned,
    directory: PathBuf,
}

impl Server {
    /// Makes and starts one with the tables of the measurements.
    pub(super) fn start(site: &Site, network: &Network) -> Result<Self> {
        let directory = site.directory.join("postgres");
        let data = directory.join("data");
        fs::create_dir(&directory)?;
        chown(&directory, Some(user()?), None)?;
        // Everybody else's files there stay their own.
        run(Command::new("chmod").arg("o+x").arg(&site.directory))?;
        let mut initdb = as_postgres(Command::new("setpriv"), &program("initdb")?);
        quiet(initdb.args(["--no-sync", "--locale=C.UTF-8", "--encoding=UTF8", "--auth=trust", "-D"]).arg(&data))?;
        let mut command = as_postgres(site.command(Place::Free, network, "setpriv"), &program("postgres")?);
        command.arg("-D").arg(&data).stdout(Stdio::null()).stderr(fs::File::create(directory.join("log"))?);
        for setting in [
            format!("port={PORT}"),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", directory.display()),
            format!("max_connections={CONNECTIONS}"),
            "shared_buffers=256MB".to_owned(),
            "autovacuum=off".to_owned(),
            "max_wal_size=4GB".to_owned(),
        ] {
            command.arg("-c").arg(setting);
        }
        let child = Owned(command.spawn().context("cannot start PostgreSQL")?);
        let server = Self { _child: child, directory };
        network.wait_for(site, PORT)?;
        // The last line is its state.
        let state =
            || fs::read_to_string(data.join("postmaster.pid")).is_ok_and(|text| text.trim_end().ends_with("ready"));
        if !(0..400).any(|_| state() || pause()) {
            bail!("PostgreSQL does not get ready");
        }
        let pgbench = program("pgbench")?;
        let mut fill = Command::new(pgbench);
        fill.args(["-i", "-q", "-U", "postgres", "-s", &SCALE.to_string(), "-h"]).arg(&server.directory);
        quiet(fill.args(["-p", &PORT.to_string(), "postgres"]))?;
        server.sql(TABLES)?;
        server.sql("VACUUM ANALYZE people")?;
        server.sql("VACUUM ANALYZE open")?;
        Ok(server)
    }

    /// Runs statements past every network.
    pub(super) fn sql(&self, statements: &str) -> Result<String> {
        let mut psql = Command::new(program("psql")?);
        psql.args(["-XqAt", "-U", "postgres", "-p", &PORT.to_string(), "-c", statements, "-h"]).arg(&self.directory);
        Ok(quiet(psql.arg("postgres"))?.trim().to_owned())
    }
}

/// What a command prints; what it complains of is shown only where it fails.
pub(super) fn quiet(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !done.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Waits a moment; false.
fn pause() -> bool {
    std::thread::sleep(std::time::Duration::from_millis(50));
    false
}

/// A program of the newest PostgreSQL that is installed.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    let installed = fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed: cargo xtask setup")?;
    let programs = installed.flatten().map(|version| version.path().join("bin").join(name));
    programs.filter(|path| path.exists()).max().with_context(|| format!("PostgreSQL has no {name} here"))
}

fn user() -> Result<u32> {
    let users = fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find_map(|line| line.strip_prefix("postgres:")).context("no user `postgres`")?;
    Ok(line.split(':').nth(1).context("a user without a number")?.parse()?)
}

/// Neither server nor pooler wants to be root.
fn as_postgres(mut setpriv: Command, program: &Path) -> Command {
    setpriv.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--pdeathsig", "KILL", "--"]);
    setpriv.arg(program).current_dir("/");
    setpriv
}

/// PgBouncer, one server connection for each session.
pub(super) fn pgbouncer(site: &Site, network: &Network) -> Result<Owned> {
    let (path, users) = (site.directory.join("pgbouncer.ini"), site.directory.join("users.txt"));
    fs::write(&users, "\"postgres\" \"\"\n")?;
    fs::write(
        &path,
        format!(
            "[databases]\n* = host=127.0.0.1 port={PORT}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {PGBOUNCER_PORT}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
                 pool_mode = session\ndefault_pool_size = {CONNECTIONS}\nmax_client_conn = 1000\nlog_connections = 0\n\
                 log_disconnections = 0\nignore_startup_parameters = extra_float_digits\n",
            users.display()
        ),
    )?;
    let mut command = as_postgres(site.command(Place::Free, network, "setpriv"), Path::new("pgbouncer"));
    command.arg("-q").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
    let pgbouncer = Owned(command.spawn().context("cannot start PgBouncer")?);
    network.wait_for(site, PGBOUNCER_PORT)?;
    Ok(pgbouncer)
}

/// HAProxy, passing TCP on.
pub(super) fn haproxy(site: &Site, network: &Network) -> Result<Owned> {
    let path = site.directory.join("haproxy.cfg");
    fs::write(
        &path,
        format!(
            "global\n  nbthread 2\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  \
                 timeout server 1h\nlisten bench\n  bind 127.0.0.1:{HAPROXY_PORT}\n  server upstream 127.0.0.1:{PORT}\n"
        ),
    )?;
    let mut command = site.command(Place::Free, network, "haproxy");
    let haproxy = Owned(command.arg("-db").arg("-f").arg(&path).spawn().context("cannot start haproxy")?);
    network.wait_for(site, HAPROXY_PORT)?;
    Ok(haproxy)
}

/// How a client comes to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Direct,
    PgBouncer,
    Haproxy,
    Ours,
}

/// A way, where it can be gone.
pub(super) struct Road<'a> {
    pub(super) way: Way,
    site: &'a Site,
    network: &'a Network,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [Self::Direct, Self::PgBouncer, Self::Haproxy, Self::Ours];

    /// As it is called in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::PgBouncer => "pgbouncer",
            Self::Haproxy => "haproxy",
            Self::Ours => "ours",
        }
    }

    pub(super) fn through<'a>(self, site: &'a Site, network: &'a Network) -> Road<'a> {
        Road { way: self, site, network }
    }
}

impl Road<'_> {
    /// A client of PostgreSQL's on this way.
    pub(super) fn client(&self, name: &str) -> Result<Command> {
        let (place, port) = match self.way {
            Way::Direct => (Place::Free, PORT),
            Way::PgBouncer => (Place::Free, PGBOUNCER_PORT),
            Way::Haproxy => (Place::Free, HAPROXY_PORT),
            Way::Ours => (Place::Managed, PORT),
        };
        let mut command = self.site.command(place, self.network, program(name)?);
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port.to_string()]);
        command.env("PGSSLMODE", "disable").env("PGGSSENCMODE", "disable").current_dir(&self.site.directory);
        command.stdin(Stdio::null());
        Ok(command)
    }

    /// Where it may write.
    pub(super) fn directory(&self) -> &Path {
        &self.site.directory
    }
}
