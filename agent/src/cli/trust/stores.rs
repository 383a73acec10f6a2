//! Who on a host trusts whom, where, and what would have to be done about it.

use std::fs;
use std::path::{Path, PathBuf};

use super::args::Kind;
use super::homes::{below, owners};
use super::runner::is_there;

/// A copy of the certificate that everybody can read, and be pointed at.
pub(super) const COPY: &str = "/etc/sallyport/ca.pem";

/// One kind of store: where it is, how it is brought up to date, and what comes of that.
struct System {
    directory: &'static str,
    file: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    bundle: &'static str,
}

/// Debian, Red Hat, SUSE, Arch; the first whose directory and program are there.
const SYSTEMS: [System; 4] = [
    System {
        directory: "/usr/local/share/ca-certificates",
        file: "sallyport.crt",
        program: "update-ca-certificates",
        arguments: &[],
        bundle: "/etc/ssl/certs/ca-certificates.crt",
    },
    System {
        directory: "/etc/pki/ca-trust/source/anchors",
        file: "sallyport.pem",
        program: "update-ca-trust",
        arguments: &["extract"],
        bundle: "/etc/pki/tls/certs/ca-bundle.crt",
    },
    System {
        directory: "/etc/pki/trust/anchors",
        file: "sallyport.pem",
        program: "update-ca-certificates",
        arguments: &[],
        bundle: "/var/lib/ca-certificates/ca-bundle.pem",
    },
    System {
        directory: "/etc/ca-certificates/trust-source/anchors",
        file: "sallyport.crt",
        program: "update-ca-trust",
        arguments: &[],
        bundle: "/etc/ssl/certs/ca-certificates.crt",
    },
];

/// Where the system's store has a place for Java: as Debian and Red Hat make it.
const JAVA_OF_SYSTEM: [&str; 2] = ["etc/ca-certificates/update.d/jks-keystore", "etc/pki/ca-trust/extracted/java"];

/// A change that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Draft {
    /// A file of ours.
    File { path: PathBuf, text: String },
    /// A piece at the end of a user's file.
    Block { path: PathBuf, uid: u32, text: String },
    /// An entry of a Java key store.
    KeyStore { path: PathBuf, keytool: PathBuf, alias: String },
    /// A command.
    Command { words: Vec<String> },
}

/// What is to be said and done about one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Store {
    /// As it is called.
    pub(super) name: &'static str,
    /// Whose it is.
    pub(super) serves: &'static str,
    /// What is to be done.
    pub(super) verdict: Verdict,
}

/// What is to be done about a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This, in this order.
    Change(Vec<Draft>),
    /// Nothing: another store does it.
    Covered(String),
    /// Nothing: it is not there.
    Absent(String),
    /// Nothing, for a reason.
    Left(String),
}

/// What is looked at, and for which certificate.
pub(super) struct Survey<'a> {
    pub(super) root: &'a Path,
    /// The certificate, PEM.
    pub(super) pem: &'a str,
    /// Its SHA-256, hex.
    pub(super) digest: &'a str,
    pub(super) skip: &'a [Kind],
}

impl Survey<'_> {
    /// Every store, in the order in which they are changed.
    pub(super) fn stores(&self) -> Vec<Store> {
        let system = SYSTEMS.iter().find(|system| {
            below(self.root, Path::new(system.directory)).is_dir() && is_there(self.root, system.program)
        });
        let file = Draft::File { path: COPY.into(), text: self.pem.to_owned() };
        let mut stores =
            vec![store("certificate", "whoever is given a file: sslrootcert=, cafile=", Verdict::Change(vec![file]))];
        stores.push(self.system(system));
        stores.extend(self.libpq());
        stores.extend(self.java(system.is_some()));
        stores.push(self.environment(system));
        stores.push(self.git());
        stores
    }

    fn skips(&self, kind: Kind) -> Option<Verdict> {
        self.skip.contains(&kind).then(|| Verdict::Left("left out, as asked".to_owned()))
    }

    fn system(&self, system: Option<&System>) -> Store {
        let verdict = self.skips(Kind::System).unwrap_or_else(|| {
            let Some(system) = system else {
                return Verdict::Absent("install ca-certificates".to_owned());
            };
            let words = [system.program].iter().chain(system.arguments).map(|word| (*word).to_owned()).collect();
            let path = Path::new(system.directory).join(system.file);
            Verdict::Change(vec![Draft::File { path, text: self.pem.to_owned() }, Draft::Command { words }])
        });
        store("system", "curl, git, Go, .NET, psql with sslrootcert=system", verdict)
    }

    fn libpq(&self) -> Vec<Store> {
        const NAME: &str = "libpq";
        const SERVES: &str = "psql, psycopg, pgjdbc, asyncpg";
        if let Some(verdict) = self.skips(Kind::Libpq) {
            return vec![store(NAME, SERVES, verdict)];
        }
        let found = owners(self.root);
        if found.is_empty() {
            let why = format!(
                "no user has ~/.postgresql/root.crt, and making one would have sslmode=require verify; say sslrootcert={COPY}"
            );
            return vec![store(NAME, SERVES, Verdict::Absent(why))];
        }
        let block = |owner: super::homes::Owner| {
            let draft = Draft::Block { path: owner.path, uid: owner.uid, text: self.block() };
            store(NAME, SERVES, Verdict::Change(vec![draft]))
        };
        found.into_iter().map(block).collect()
    }

    /// What is not between BEGIN and END is a comment to whoever reads PEM.
    fn block(&self) -> String {
        let id: String = self.digest.chars().take(16).collect();
        format!("# Sallyport's local authority {id}: `sallyport trust remove` takes this out\n{}", self.pem)
    }

    fn java(&self, with_system: bool) -> Vec<Store> {
        const NAME: &str = "java";
        const SERVES: &str = "Java programs";
        if let Some(verdict) = self.skips(Kind::Java) {
            return vec![store(NAME, SERVES, verdict)];
        }
        let mut stores = Vec::new();
        if with_system && JAVA_OF_SYSTEM.iter().any(|path| self.root.join(path).exists()) {
            let by = "the system store makes Java's from its own".to_owned();
            stores.push(store(NAME, SERVES, Verdict::Covered(by)));
        }
        let alias: String = format!("sallyport-{}", self.digest.chars().take(16).collect::<String>());
        for (path, keytool) in self.key_stores() {
            let draft = Draft::KeyStore { path, keytool, alias: alias.clone() };
            stores.push(store(NAME, SERVES, Verdict::Change(vec![draft])));
        }
        if stores.is_empty() {
            stores.push(store(NAME, SERVES, Verdict::Absent("no Java runtime".to_owned())));
        }
        stores
    }

    /// Key stores of runtimes that do not use the system's, and the program beside each.
    fn key_stores(&self) -> Vec<(PathBuf, PathBuf)> {
        let runtimes = fs::read_dir(self.root.join("usr/lib/jvm")).into_iter().flatten().flatten();
        let mut found = Vec::new();
        // Names that are links are second names of others.
        for runtime in runtimes.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let at = Path::new("/usr/lib/jvm").join(runtime.file_name());
            for inside in ["lib/security/cacerts", "jre/lib/security/cacerts"] {
                let path = at.join(inside);
                let own = below(self.root, &path).symlink_metadata().is_ok_and(|found| found.is_file());
                let keytool = [at.join("bin/keytool"), at.join("jre/bin/keytool")];
                let keytool = keytool.into_iter().find(|program| below(self.root, program).exists());
                found.extend(keytool.filter(|_| own).map(|keytool| (path, keytool)));
            }
        }
        found.sort_unstable();
        found
    }

    fn environment(&self, system: Option<&System>) -> Store {
        let verdict = self.skips(Kind::Environment).unwrap_or_else(|| {
            // Additive for Node; others take one file instead of theirs, so they get the system's, which has this one too.
            let mut variables = vec![("NODE_EXTRA_CA_CERTS", COPY)];
            if let Some(system) = system.filter(|_| !self.skip.contains(&Kind::System)) {
                variables.extend([("REQUESTS_CA_BUNDLE", system.bundle), ("SSL_CERT_FILE", system.bundle)]);
            }
            let mut drafts = Vec::new();
            if self.root.join("etc/profile.d").is_dir() {
                let lines = variables.iter().map(|(name, value)| format!("export {name}=\"${{{name}:-{value}}}\"\n"));
                let text = format!("{HEAD}{}", lines.collect::<String>());
                drafts.push(Draft::File { path: "/etc/profile.d/sallyport-trust.sh".into(), text });
            }
            if self.root.join("etc/systemd").is_dir() {
                let words = variables.iter().map(|(name, value)| format!(" \"{name}={value}\"")).collect::<String>();
                let text = format!("{HEAD}[Manager]\nDefaultEnvironment={}\n", words.trim_start());
                for manager in ["system", "user"] {
                    let path = format!("/etc/systemd/{manager}.conf.d/60-sallyport-trust.conf").into();
                    drafts.push(Draft::File { path, text: text.clone() });
                }
                if is_there(self.root, "systemctl") && self.root.join("run/systemd/system").is_dir() {
                    drafts.push(Draft::Command { words: ["systemctl", "daemon-reload"].map(str::to_owned).to_vec() });
                }
            }
            if drafts.is_empty() {
                return Verdict::Absent("neither /etc/profile.d nor /etc/systemd".to_owned());
            }
            Verdict::Change(drafts)
        });
        store("environment", "Node, Python's requests and ssl: when they are started next", verdict)
    }

    fn git(&self) -> Store {
        let text = fs::read_to_string(self.root.join("etc/gitconfig")).unwrap_or_default();
        let own = text.lines().any(|line| line.trim_start().to_ascii_lowercase().starts_with("sslcainfo"));
        let verdict = if own {
            Verdict::Left(format!("/etc/gitconfig has http.sslCAInfo; add the certificate of {COPY} to that file"))
        } else {
            Verdict::Covered("uses the system store".to_owned())
        };
        store("git", "git over HTTPS", verdict)
    }
}

const HEAD: &str = "# Written by `sallyport trust install`; `sallyport trust remove` removes it.\n";

fn store(name: &'static str, serves: &'static str, verdict: Verdict) -> Store {
    Store { name, serves, verdict }
}
