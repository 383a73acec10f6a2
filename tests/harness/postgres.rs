//! A PostgreSQL of one test, on the other host.
//!
//! What `initdb` makes is made once and copied: to begin from nothing takes seconds, to copy it a moment.

use crate::{Bed, network::THERE4, puppet, until, within};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::Write,
    net::SocketAddr,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The name in the server's certificate, besides its address.
pub const NAME: &str = "db.sallyport.test";
/// The database that clients ask for.
pub const DATABASE: &str = "orders";

/// Whoever logs in, and how: each role is let in by one way only. All but [`Role::Trust`] are ordinary users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A superuser, believed.
    Trust,
    /// SCRAM-SHA-256.
    Scram,
    /// MD5 of a salted password.
    Md5,
    /// The password itself.
    Clear,
    /// A client certificate, in TLS.
    Cert,
}

impl Role {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trust => "by_trust",
            Self::Scram => "by_scram",
            Self::Md5 => "by_md5",
            Self::Clear => "by_clear",
            Self::Cert => "by_cert",
        }
    }

    /// Its password, which nothing but a login may show.
    pub fn password(self) -> String {
        format!("hunter2-{}", self.name())
    }
}

const SETTINGS: &str = "
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
shared_buffers = 64MB
max_connections = 200
max_wal_size = 4GB
wal_level = logical
dynamic_shared_memory_type = mmap
timezone = 'UTC'
lc_messages = 'C'
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.save = off
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
ssl_ca_file = 'ca.pem'
";

const ACCESS: &str = "
local    all          all      trust
hostssl  all          by_cert  all cert
host     all          by_scram all scram-sha-256
host     all          by_md5   all md5
host     all          by_clear all password
host     all          by_trust all trust
host     replication  by_trust all trust
";

/// Statements, each ended by an empty line: that is how the server without clients wants them.
const ROLES: &str = "
CREATE ROLE by_trust SUPERUSER REPLICATION LOGIN;

CREATE ROLE by_scram LOGIN PASSWORD 'hunter2-by_scram';

CREATE ROLE by_cert LOGIN;

CREATE ROLE by_clear LOGIN PASSWORD 'hunter2-by_clear';

SET password_encryption = 'md5';

CREATE ROLE by_md5 LOGIN PASSWORD 'hunter2-by_md5';

";

/// A server. It is stopped, and its data removed, when dropped; it also dies with the test.
pub struct Postgres {
    child: Child,
    dir: tempfile::TempDir,
    addr: SocketAddr,
}

impl Postgres {
    /// Starts one at a port of the other host, with an empty database `orders`, and waits until it serves.
    pub fn start(bed: &Bed, port: u16) -> Self {
        let template = template();
        let dir = tempfile::Builder::new().prefix("sallyport-postgres-").tempdir().unwrap();
        own(dir.path());
        let data = dir.path().join("data");
        succeed(Command::new("cp").arg("--archive").arg(&template).arg(&data));
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(puppet::program());
        command.arg("--netns").arg(bed.network().there.path());
        command.arg("--cgroup").arg(bed.cgroup().child("postgres").path());
        command.args(["--user", &user().to_string()]).arg(program("postgres")).arg("-D").arg(&data);
        command.args(["-c", &format!("port={port}"), "-c", &format!("listen_addresses={THERE4}")]);
        command.args(["-c", &format!("unix_socket_directories={}", dir.path().display())]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut server = Self { child, dir, addr: (THERE4, port).into() };
        server.wait_until_ready();
        server.empty();
        server
    }

    fn wait_until_ready(&mut self) {
        let state = self.dir.path().join("data/postmaster.pid");
        until("the server is ready", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {}", self.log());
            // The last line is its state.
            fs::read_to_string(&state).ok()?.lines().nth(7).filter(|line| line.trim() == "ready").map(drop)
        });
    }

    /// Makes the database anew, with nothing in it; whoever is connected to it is not any more.
    pub fn empty(&self) {
        self.sql("postgres", &format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"));
        self.sql("postgres", &format!("CREATE DATABASE {DATABASE}"));
        let everyone = "GRANT ALL ON SCHEMA public TO PUBLIC";
        self.sql(DATABASE, everyone);
    }

    /// Runs statements as the superuser, past every network, and returns what they say: cells by `|`, rows by line.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let mut command = Command::new(program("psql"));
        command.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-f", "-"]);
        command.arg("-h").arg(self.dir.path()).args(["-p", &self.addr.port().to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What clients of a role have in their environment, as libpq names it. Without TLS, unless they set it otherwise.
    pub fn environment(&self, role: Role) -> [(&'static str, String); 7] {
        [
            ("PGHOST", self.addr.ip().to_string()),
            ("PGPORT", self.addr.port().to_string()),
            ("PGUSER", role.name().to_owned()),
            ("PGPASSWORD", role.password()),
            ("PGDATABASE", DATABASE.to_owned()),
            ("PGCONNECT_TIMEOUT", "15".to_owned()),
            ("PGSSLMODE", "disable".to_owned()),
        ]
    }

    /// The authority that signed its certificate and its clients': PEM.
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("data/ca.pem")
    }

    /// The certificate and key of [`Role::Cert`]: PEM.
    pub fn client_certificate(&self) -> (PathBuf, PathBuf) {
        let data = self.dir.path().join("data");
        (data.join("client.pem"), data.join("client.key"))
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Ends it without a word to anybody, as a crash would: every connection breaks.
    pub fn crash(&mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::QUIT).unwrap();
        until("the server is gone", || self.child.try_wait().unwrap());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the database's log\n{}---", self.log());
        }
        // At once, but not so that its memory stays behind.
        let _ = kill_process(Pid::from_child(&self.child), Signal::QUIT);
        let ended = within(Duration::from_secs(5), || self.child.try_wait().ok().flatten());
        if ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A program of the newest PostgreSQL that is installed.
pub fn program(name: &str) -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let complete = installed.filter(|version| version.path().join("bin/initdb").exists());
    let newest = complete.max_by_key(|version| version.file_name().to_string_lossy().parse::<u32>().unwrap_or(0));
    newest.expect("PostgreSQL is installed (cargo xtask setup)").path().join("bin").join(name)
}

/// The user that servers run as; they refuse to be root.
fn user() -> u32 {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("the package made its user");
    line.split(':').nth(2).unwrap().parse().unwrap()
}

fn own(path: &Path) {
    chown(path, Some(user()), None).unwrap();
}

/// The data of a server that nobody has used. Beds are had one at a time, so nobody else makes it meanwhile.
fn template() -> PathBuf {
    let version = fs::metadata(program("postgres")).unwrap();
    let version = version.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let probe = puppet::program();
    // target/PROFILE/sallyport-probe
    let target = probe.ancestors().nth(2).expect("a target directory");
    let made_of = [SETTINGS, ACCESS, ROLES]
        .concat()
        .bytes()
        .fold(version, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let finished = target.join("tmp").join(format!("postgres-{made_of:x}"));
    if !finished.exists() {
        fs::create_dir_all(target.join("tmp")).unwrap();
        // Where the server's user may go; the target directory may be in somebody's home.
        let dir = tempfile::Builder::new().prefix("sallyport-postgres-").tempdir().unwrap();
        own(dir.path());
        let data = dir.path().join("data");
        make(&data);
        let partial = finished.with_extension("partial");
        let _ = fs::remove_dir_all(&partial);
        succeed(Command::new("cp").arg("--archive").arg(&data).arg(&partial));
        fs::rename(partial, &finished).unwrap();
    }
    finished
}

fn make(data: &Path) {
    let as_user = |name: &str| {
        let mut command = Command::new(puppet::program());
        command.args(["--user", &user().to_string()]).arg(program(name)).current_dir("/");
        command
    };
    let mut initdb = as_user("initdb");
    initdb.args(["--no-sync", "--locale=C.UTF-8", "--encoding=UTF8", "--wal-segsize=1", "--username=postgres"]);
    succeed(initdb.args(["--auth=trust", "-D"]).arg(data));
    fs::write(data.join("pg_hba.conf"), ACCESS).unwrap();
    fs::OpenOptions::new()
        .append(true)
        .open(data.join("postgresql.conf"))
        .and_then(|mut file| file.write_all(SETTINGS.as_bytes()))
        .unwrap();
    certificates(data);
    let mut single = as_user("postgres");
    single.args(["--single", "-j", "-D"]).arg(data).arg("postgres");
    let mut child = single.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(ROLES.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("ERROR"), "{said}");
}

/// An authority, the server's certificate and that of a client.
fn certificates(data: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let subject = |name: &str, names: &[&str]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let save = |name: &str, text: &str| {
        let path = data.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        own(&path);
    };
    let mut authority = subject("authority of the tests' database", &[]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    save("ca.pem", &authority.self_signed(&key).unwrap().pem());
    let issuer = Issuer::new(authority, key);
    for (file, name, names) in [("server", NAME, &[NAME, &THERE4.to_string()][..]), ("client", Role::Cert.name(), &[])]
    {
        let key = KeyPair::generate().unwrap();
        let certificate = subject(name, names).signed_by(&key, &issuer).unwrap();
        save(&format!("{file}.pem"), &certificate.pem());
        save(&format!("{file}.key"), &key.serialize_pem());
    }
}

fn succeed(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
