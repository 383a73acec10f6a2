//! From a connect in the kernel to an [`Intercepted`] connection in hand.
//!
//! `kernel` loads and pins the programs, `tables` are their maps, `places` says which processes are in which scope,
//! `listener` accepts and looks each flow up exactly once, `watch` follows what the kernel reports, `sweep` ends
//! connections older than the programs, `canary` proves that every hook does what it says.

pub mod arrival;
pub mod btf;
pub mod canary;
pub mod kernel;
pub mod namespace;
pub mod nursery;
pub mod places;
pub mod sockdiag;
pub mod sweep;
pub mod tables;
pub mod watch;

use std::{fmt, io, net::SocketAddr};

/// Address of the client's end of a diverted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddr(pub SocketAddr);

/// Where the process asked to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrigDst(pub SocketAddr);

/// Why interception could not be set up or kept up.
#[derive(Debug, thiserror::Error)]
pub enum InterceptError {
    /// One step of setting up failed.
    #[error("{step}: {source}")]
    Step {
        /// What was being done.
        step: Step,
        /// What the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The embedded object lacks a map.
    #[error("the embedded kernel half has no map `{0}`; rebuild with `cargo xtask build`")]
    NoMap(String),
    /// The embedded object lacks a program.
    #[error("the embedded kernel half has no program `{0}`; rebuild with `cargo xtask build`")]
    NoProgram(String),
    /// Somebody listens on the listeners' port as well, and would receive a share of the flows.
    #[error("another process listens on port {0} as well; end it, or choose another `listen_port`")]
    SharedPort(u16),
    /// A kernel event looks different from what the programs read.
    #[error("the kernel's event `{event}` has no field `{missing}`; this kernel is not supported")]
    EventFormat {
        /// The event.
        event: String,
        /// The part of its format that was looked for.
        missing: String,
    },
}

/// What was being done when it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opening the cgroup v2 root.
    OpenCgroup,
    /// Making pins on the bpf file system.
    Pin,
    /// Loading the object and its maps.
    Load,
    /// The kernel's verifier on one program.
    Verify(String),
    /// Attaching one program.
    Attach(String),
    /// Finding or mounting tracefs.
    Tracefs,
    /// Reading or writing one map.
    Table(&'static str),
    /// Listening on a port, or on any of the free range.
    Listen(Option<u16>),
    /// Entering or naming a network namespace.
    Namespace,
    /// Destroying connections older than the programs.
    Sweep,
    /// Proving that the hooks work.
    Canary,
}

impl Step {
    fn because(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> InterceptError {
        InterceptError::Step { step: self, source: source.into() }
    }

    fn failed(self) -> impl FnOnce(io::Error) -> InterceptError {
        move |source| self.because(source)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenCgroup => f.write_str("opening the cgroup v2 root"),
            Self::Pin => f.write_str("pinning under the bpf file system (is it mounted, and are you root?)"),
            Self::Load => f.write_str("loading the kernel half (needs CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN)"),
            Self::Verify(name) => write!(f, "the kernel's verifier on `{name}`"),
            Self::Attach(name) => write!(f, "attaching `{name}`"),
            Self::Tracefs => f.write_str("tracefs (mount it on /sys/kernel/tracing)"),
            Self::Table(name) => write!(f, "the kernel table `{name}`"),
            Self::Listen(Some(port)) => write!(f, "listening on loopback port {port} (choose another `listen_port`)"),
            Self::Listen(None) => f.write_str("listening on a free loopback port"),
            Self::Namespace => f.write_str("a network namespace"),
            Self::Sweep => f.write_str("ending connections older than the programs"),
            Self::Canary => f.write_str("the canary (this host lets something past; managed processes stay cut off)"),
        }
    }
}
