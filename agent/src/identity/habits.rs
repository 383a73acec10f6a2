//! What one-letter flags mean to the programs people pass secrets to.

/// One-letter flags with a secret, by program: glued to the flag (`-psecret`), or as the next argument too.
pub(super) struct Habit {
    pub(super) programs: &'static [&'static str],
    pub(super) flag: &'static str,
    pub(super) next: bool,
}

pub(super) const HABITS: [Habit; 9] = [
    Habit {
        programs: &[
            "mysql",
            "mysqldump",
            "mysqladmin",
            "mysqlimport",
            "mysqlshow",
            "mariadb",
            "mariadb-dump",
            "mariadb-admin",
            "mycli",
            "7z",
            "7za",
            "7zr",
        ],
        flag: "-p",
        next: false,
    },
    Habit {
        programs: &[
            "sshpass",
            "mongo",
            "mongosh",
            "mongodump",
            "mongorestore",
            "mongoexport",
            "mongoimport",
            "cqlsh",
            "rabbitmqadmin",
            "az",
            "oc",
            "clickhouse",
            "beeline",
            "htpasswd",
        ],
        flag: "-p",
        next: true,
    },
    Habit { programs: CONTAINERS, flag: "-p", next: true },
    Habit { programs: &["redis-cli", "valkey-cli", "keydb-cli", "http", "https"], flag: "-a", next: true },
    Habit {
        programs: &["ldapsearch", "ldapadd", "ldapmodify", "ldapdelete", "ldapwhoami", "ldappasswd"],
        flag: "-w",
        next: true,
    },
    Habit {
        programs: &[
            "mosquitto_pub",
            "mosquitto_sub",
            "sqlcmd",
            "bcp",
            "tsql",
            "zip",
            "unzip",
            "ssh-keygen",
            "ipmitool",
            "isql",
        ],
        flag: "-P",
        next: true,
    },
    Habit { programs: &["ssh-keygen"], flag: "-N", next: true },
    Habit { programs: &["smbclient", "rpcclient", "net"], flag: "-U", next: true },
    Habit { programs: &["openssl"], flag: "-k", next: true },
];

/// Here `-p` also publishes a port and `-u` is a uid with a gid.
pub(super) const CONTAINERS: &[&str] = &["docker", "podman", "nerdctl", "buildah", "skopeo", "helm", "oras"];

/// Programs whose `-p…` is known to be no secret.
pub(super) const HARMLESS_P: &[&str] = &[
    "ssh",
    "psql",
    "pg_dump",
    "pg_dumpall",
    "pg_restore",
    "pg_isready",
    "pg_basebackup",
    "createdb",
    "dropdb",
    "vacuumdb",
    "pgbench",
    "nmap",
    "nc",
    "ncat",
    "socat",
    "find",
    "gcc",
    "g++",
    "cc",
    "c++",
    "clang",
    "clang++",
    "ld",
    "mkdir",
    "cp",
    "rsync",
    "tar",
    "ps",
    "pgrep",
    "lsof",
    "iptables",
    "cargo",
    "make",
    "perl",
    "ruby",
    "patch",
    "install",
    "touch",
];

/// Programs that take a command line after `-c`.
pub(super) const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "su", "runuser"];
