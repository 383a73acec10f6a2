//! The configuration after checking: values that cannot be wrong, each with its default.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::approvals::Approvals;
use super::audit::Audit;
use super::glob::Glob;
use super::host::{Host, resolv_conf};
use super::target::Target;
use super::{DEFAULT_POLICIES, DEFAULT_RUNTIME_DIR, DEFAULT_STATE_DIR};
use crate::policy::Zone;

/// Everything the daemon is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who is managed, in the file's order; a process in two scopes belongs to the first.
    pub scopes: Vec<Scope>,
    /// What is known of servers, in the file's order; a connection to two belongs to the first.
    pub targets: Vec<Target>,
    /// The kernel side.
    pub intercept: Intercept,
    /// The flows.
    pub proxy: Proxy,
    /// What identities are called.
    pub identity: Identity,
    /// What is permitted.
    pub policy: Policy,
    /// Who is asked.
    pub approvals: Approvals,
    /// Recording.
    pub audit: Audit,
    /// The daemon's own log.
    pub telemetry: Telemetry,
    /// Where the store is.
    pub state_dir: PathBuf,
    /// Where the control socket is.
    pub runtime_dir: PathBuf,
}

impl Config {
    /// What holds without a file.
    pub fn defaults(host: &dyn Host) -> Self {
        Self {
            scopes: Vec::new(),
            targets: Vec::new(),
            intercept: Intercept::default(),
            proxy: Proxy::default(),
            identity: Identity { trust_domain: TrustDomain::default(), host: HostName::of(host) },
            policy: Policy::default(),
            approvals: Approvals::default(),
            audit: Audit::default(),
            telemetry: Telemetry::default(),
            state_dir: DEFAULT_STATE_DIR.into(),
            runtime_dir: DEFAULT_RUNTIME_DIR.into(),
        }
    }

    /// This configuration with its directories somewhere else.
    #[must_use]
    pub fn with_dirs(self, state_dir: PathBuf, runtime_dir: PathBuf) -> Self {
        Self { state_dir, runtime_dir, ..self }
    }

    /// This configuration for one command: scopes are the daemon's business, and the command's own stderr is not the
    /// place for what is merely good to know.
    #[must_use]
    pub fn for_exec(mut self) -> Self {
        self.scopes.clear();
        if self.telemetry.level == Level::Info {
            self.telemetry.level = Level::Warn;
        }
        self
    }

    /// Where the daemon listens for its operators.
    pub fn control_socket(&self) -> PathBuf {
        self.runtime_dir.join("control.sock")
    }
}

/// A named set of processes and what holds for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Unique.
    pub name: ScopeName,
    /// A process is in the scope when any of them fits.
    pub selectors: Selectors,
    /// Refuse, or only say what would be refused.
    pub mode: Mode,
    /// What happens while the daemon is not running.
    pub fail: Fail,
    /// Which UDP may leave.
    pub udp: Udp,
    /// Whether accepted connections may send.
    pub inbound: Inbound,
    /// What retention goes by.
    pub tags: Vec<Tag>,
}

impl Scope {
    /// A scope with the defaults: enforced, closed, DNS only, nothing inbound.
    pub fn new(name: ScopeName, selectors: Selectors) -> Self {
        Self {
            name,
            selectors,
            mode: Mode::default(),
            fail: Fail::default(),
            udp: Udp::default(),
            inbound: Inbound::default(),
            tags: Vec::new(),
        }
    }
}

/// A scope's name: `[a-z0-9-]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ScopeName(String);

impl ScopeName {
    /// Longest name.
    pub const MAX: usize = 64;

    /// `None` when `name` is not of the form.
    pub fn new(name: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ((1..=Self::MAX).contains(&name.len()) && name.bytes().all(fits)).then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<ScopeName> for String {
    fn from(name: ScopeName) -> Self {
        name.0
    }
}

impl TryFrom<String> for ScopeName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(&name).ok_or("a scope's name is 1 to 64 of a-z, 0-9 and `-`")
    }
}

/// A tag of scopes, by which retention goes: `[a-z0-9-]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(ScopeName);

impl Tag {
    /// `None` when `text` is not of the form.
    pub fn new(text: &str) -> Option<Self> {
        ScopeName::new(text).map(Self)
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Which processes belong to a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// Names of systemd units.
    pub units: Vec<Glob>,
    /// Names of systemd slices; everything below is included.
    pub slices: Vec<Glob>,
    /// Paths below the cgroup v2 root, absolute and plain (`/a/b`); everything below is included.
    pub cgroups: Vec<PathBuf>,
    /// User ids.
    pub users: Vec<u32>,
    /// Absolute paths of executables.
    pub exes: Vec<PathBuf>,
}

/// What is done with what a policy or the kernel half refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is refused.
    #[default]
    Enforce,
    /// It passes, recorded as "would deny".
    Observe,
}

/// What managed processes can do while the daemon is not running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fail {
    /// Connect nowhere.
    #[default]
    Closed,
    /// Connect as if they were not managed.
    Open,
}

/// Which UDP may leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Udp {
    /// Questions to the configured resolvers.
    #[default]
    Dns,
    /// Any.
    Allow,
}

/// Whether connections the scope accepted from outside the host may be answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inbound {
    /// No: nothing leaves but through the proxy.
    #[default]
    Deny,
    /// Yes: it is a server.
    Allow,
}

/// `[intercept]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intercept {
    /// The proxy's port, or `None` to take a free one of [`Intercept::FREE_PORTS`].
    pub listen_port: Option<std::num::NonZeroU16>,
    /// Capacity of the flow table.
    pub max_flows: MaxFlows,
    /// Where the BPF file system is mounted.
    pub bpffs: PathBuf,
    /// Name servers that may be asked directly.
    pub resolvers: Resolvers,
}

impl Intercept {
    /// Below the usual ephemeral range (32768–60999), so that a client's own port is never the listener's.
    pub const FREE_PORTS: std::ops::RangeInclusive<u16> = 20_000..=29_999;
}

impl Default for Intercept {
    fn default() -> Self {
        Self {
            listen_port: None,
            max_flows: MaxFlows::default(),
            bpffs: "/sys/fs/bpf".into(),
            resolvers: Resolvers::Host,
        }
    }
}

/// Entries of the flow table: within [`MaxFlows::MIN`] and [`MaxFlows::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct MaxFlows(u32);

impl MaxFlows {
    /// Fewer would refuse connections of an ordinary burst.
    pub const MIN: u32 = 1024;
    /// About 900 MB of kernel memory at 200 bytes an entry.
    pub const MAX: u32 = 4 * 1024 * 1024;

    /// `None` outside the bounds.
    pub fn new(entries: u32) -> Option<Self> {
        (Self::MIN..=Self::MAX).contains(&entries).then_some(Self(entries))
    }

    /// The number.
    pub fn value(self) -> u32 {
        self.0
    }
}

impl Default for MaxFlows {
    fn default() -> Self {
        Self(65_536)
    }
}

/// Which name servers may be asked directly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resolvers {
    /// Those of /etc/resolv.conf, which change while the daemon runs.
    #[default]
    Host,
    /// These.
    These(Vec<SocketAddr>),
}

impl Resolvers {
    /// The host's own list.
    pub const HOST_FILE: &str = "/etc/resolv.conf";

    /// The servers as of now; reads [`Self::HOST_FILE`] for [`Resolvers::Host`].
    pub fn now(&self) -> Vec<SocketAddr> {
        match self {
            Self::Host => resolv_conf(&fs::read_to_string(Path::new(Self::HOST_FILE)).unwrap_or_default()),
            Self::These(servers) => servers.clone(),
        }
    }
}

/// `[proxy]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// How long an upstream may take to answer a connect.
    pub connect_timeout: Duration,
    /// How long a flow may be silent.
    pub idle_timeout: Duration,
    /// How often a silent peer is probed.
    pub keepalive: Duration,
    /// How long live flows may finish when the daemon stops.
    pub drain_timeout: Duration,
    /// Most flows at once.
    pub max_connections: NonZeroU32,
    /// Whether a lane whose flows move all the time looks again instead of sleeping, while nobody waits for a processor.
    pub busy_poll: bool,
}

impl Proxy {
    /// Three descriptors a flow, and a process has a million at most (`fs.nr_open`).
    pub const MAX_CONNECTIONS: u32 = 200_000;
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(3600),
            keepalive: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
            max_connections: NonZeroU32::MIN.saturating_add(16_383),
            busy_poll: true,
        }
    }
}

/// `[identity]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// First part of every SPIFFE ID.
    pub trust_domain: TrustDomain,
    /// This host in every SPIFFE ID.
    pub host: HostName,
}

/// A SPIFFE trust domain name (SPIFFE-ID §2.1): `[a-z0-9._-]{1,255}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// `None` when `name` is not of the form.
    pub fn new(name: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        ((1..=255).contains(&name.len()) && name.bytes().all(fits)).then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TrustDomain {
    /// A name below `.localhost` (RFC 6761) can never be somebody else's.
    fn default() -> Self {
        Self("sallyport.localhost".to_owned())
    }
}

/// A host's name as a SPIFFE path segment (SPIFFE-ID §2.2): `[a-zA-Z0-9._-]{1,253}`, not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName(String);

impl HostName {
    /// `None` when `name` is not of the form.
    pub fn new(name: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let dots = name == "." || name == "..";
        ((1..=253).contains(&name.len()) && name.bytes().all(fits) && !dots).then(|| Self(name.to_owned()))
    }

    /// The machine's own name; a machine without a usable one is called `localhost`.
    pub fn of(host: &dyn Host) -> Self {
        Self::new(&host.name()).unwrap_or_else(|| Self("localhost".to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `[policy]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Where the policies are.
    pub directory: PathBuf,
    /// Whether somebody named it: then it has to be there.
    pub required: bool,
    /// Refuse, or only say what would be refused. Where nobody says: refuse if there are policies.
    pub mode: Option<Mode>,
    /// The time zone of hours and days in policies.
    pub zone: Zone,
}

impl Default for Policy {
    fn default() -> Self {
        Self { directory: DEFAULT_POLICIES.into(), required: false, mode: None, zone: Zone::default() }
    }
}

/// `[telemetry]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// Where the daemon's own log goes.
    pub log: Log,
    /// The least that is logged.
    pub level: Level,
}

/// Where the daemon's own log goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Log {
    /// To the journal when stderr is the journal, else text.
    #[default]
    Auto,
    /// To the journal.
    Journald,
    /// Lines for people, on stderr.
    Text,
    /// Lines of JSON, on stderr.
    Json,
}

/// The least that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Failures.
    Error,
    /// And what may become one.
    Warn,
    /// And what an operator wants to know.
    #[default]
    Info,
    /// And every flow's steps.
    Debug,
    /// And everything else.
    Trace,
}

macro_rules! shown_as_its_text {
    ($($name:ty),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}
shown_as_its_text!(ScopeName, TrustDomain, HostName);
