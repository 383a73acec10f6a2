//! What building and testing needs beyond rustup's stable toolchain: one line each, with its reason.

/// A Debian package and what it is for.
pub(crate) type Package = (&'static str, &'static str);

/// A program from crates.io, built here from its own lock file.
pub(crate) struct Program {
    /// Crate and binary; both names are one for all of these.
    pub name: &'static str,
    /// The version installed where there is none; a newer one already there is left alone.
    pub version: &'static str,
    /// How cargo is to install it, where that matters.
    pub flags: &'static [&'static str],
    /// What it is for.
    pub why: &'static str,
}

/// Parts of the stable toolchain.
pub(crate) const COMPONENTS: [Package; 2] = [("rustfmt", "one layout for all sources"), ("clippy", "the lints")];

/// Debian packages for building, testing, measuring and packaging.
pub(crate) const PACKAGES: [Package; 22] = [
    ("clang", "tells that reader where the headers of C are"),
    ("libclang-dev", "reads the header of PostgreSQL's parser, to write its bindings"),
    ("g++", "libFuzzer is C++"),
    ("curl", "a client under test"),
    ("iproute2", "network namespaces, several hosts on one machine"),
    ("nftables", "what the kernel half is compared with, and must get along with"),
    ("haproxy", "the TCP proxy that benchmarks compare with"),
    ("postgresql", "the server under test; also brings its clients and pgbench"),
    ("pgbouncer", "the PostgreSQL proxy that benchmarks compare with"),
    ("libpostgresql-jdbc-java", "a PostgreSQL client under test"),
    ("default-jdk-headless", "compiles and runs that client"),
    ("nodejs", "runs a PostgreSQL client under test"),
    ("npm", "fetches that client"),
    ("python3", "clients under test that keep odd socket habits"),
    ("python3-venv", "a place for Python's PostgreSQL clients"),
    ("socat", "a client and server under test"),
    ("wrk", "load for the HTTP benchmarks"),
    ("qemu-system-x86", "a whole machine, for units, packages and reboots"),
    ("debootstrap", "the file system of that machine"),
    ("e2fsprogs", "the disk of that machine"),
    ("kmod", "modules for that machine"),
    ("dpkg-dev", "the package's library dependencies"),
];

/// Services among those packages: they are neither started nor enabled, because tests start their own.
pub(crate) const SERVICES: [&str; 3] = ["postgresql", "pgbouncer", "haproxy"];

/// PostgreSQL clients under test from Python's registry, with their versions.
pub(crate) const PYTHON_CLIENTS: [&str; 2] = ["psycopg[binary]==3.3.9", "asyncpg==0.32.0"];

/// One from Node's.
pub(crate) const NODE_CLIENTS: [&str; 1] = ["pg@8.23.1"];

/// Programs from crates.io.
pub(crate) const PROGRAMS: [Program; 4] = [
    Program {
        name: "cargo-nextest",
        version: "0.9.143",
        // Without what it takes to update itself, which is half of its dependencies.
        flags: &["--no-default-features"],
        why: "runs the tests, each in its own process",
    },
    Program {
        name: "cargo-deny",
        version: "0.20.2",
        flags: &[],
        why: "licences, sources and advisories of dependencies",
    },
    Program { name: "cargo-fuzz", version: "0.13.2", flags: &[], why: "runs the fuzz doors" },
    Program { name: "cargo-deb", version: "3.8.0", flags: &[], why: "makes the Debian package" },
];

/// A compiler for the kernel half, where the distribution has one; elsewhere rustup's nightly takes its place.
pub(crate) const KERNEL_TOOLCHAIN: [Package; 3] = [
    ("rustc-web", "a compiler whose library source is packaged beside it"),
    ("cargo-web", "the cargo that goes with it"),
    ("rust-web-src", "`core`, which the bpf target does not ship"),
];

/// Links the kernel half; its features name the LLVM of the compiler.
pub(crate) const LINKER: Program = Program {
    name: "bpf-linker",
    version: "0.13.0",
    flags: &["--no-default-features"],
    why: "links the kernel half and writes its BTF",
};

/// The bpf file system, which holds what outlives the daemon.
pub(crate) const BPFFS: &str = "/sys/fs/bpf";
