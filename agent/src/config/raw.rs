//! The file as written: every section and key there is, not yet judged.

use toml::Spanned;
use toml::de::DeTable;

use super::document::{Section, in_order, mistyped};
use super::error::Problems;
use super::target::RawTarget;

/// A setting with its place; `None` when the file does not say.
pub(super) type Setting<T> = Option<Spanned<T>>;

/// Every section with its keys; the first entry is the top of the file.
pub(super) const SECTIONS: &[(&str, &[&str])] = &[
    ("", &["scope", "target", "intercept", "proxy", "identity", "policy", "approve", "audit", "telemetry"]),
    ("scope.NAME", &["slice", "unit", "cgroup", "user", "exe", "mode", "fail", "udp", "inbound", "tags"]),
    (
        "target.NAME",
        &[
            "protocol",
            "addresses",
            "environment",
            "tags",
            "tls",
            "ca",
            "server_name",
            "client_certificate",
            "client_key",
            "require_auth",
            "tag_application_name",
            "credential",
        ],
    ),
    (
        "target.NAME.credential",
        &[
            "workload",
            "unit",
            "user",
            "role",
            "password_file",
            "password_env_file",
            "password_key",
            "systemd_credential",
            "password_command",
            "set_role",
            "passthrough",
        ],
    ),
    ("intercept", &["listen_port", "max_flows", "bpffs", "resolvers"]),
    ("proxy", &["connect_timeout", "idle_timeout", "keepalive", "drain_timeout", "max_connections", "busy_poll"]),
    ("identity", &["trust_domain", "host"]),
    ("policy", &["directory", "mode", "zone"]),
    (
        "approve",
        &[
            "group",
            "expiry",
            "max_pending",
            "webhook",
            "webhook_secret",
            "webhook_timeout",
            "listen",
            "link_base",
            "link_people",
            "slack_secret",
            "slack_people",
        ],
    ),
    (
        "audit",
        &[
            "on_failure",
            "durability",
            "segment_size",
            "segment_age",
            "checkpoint_every",
            "checkpoint_file",
            "key_file",
            "payload_per_event",
            "payload_per_session",
            "encrypt_payload",
            "payload_key",
            "keep",
            "keep_size",
            "keep_tagged",
        ],
    ),
    ("telemetry", &["log", "level"]),
];

/// The whole file.
pub(super) struct RawConfig {
    /// `[scope.NAME]`, in the file's order.
    pub(super) scopes: Vec<RawScope>,
    /// `[target.NAME]`, in the file's order.
    pub(super) targets: Vec<RawTarget>,
    /// `[intercept]`
    pub(super) intercept: RawIntercept,
    /// `[proxy]`
    pub(super) proxy: RawProxy,
    /// `[identity]`
    pub(super) identity: RawIdentity,
    /// `[policy]`
    pub(super) policy: RawPolicy,
    /// `[approve]`
    pub(super) approvals: RawApprovals,
    /// `[audit]`
    pub(super) audit: RawAudit,
    /// `[telemetry]`
    pub(super) telemetry: RawTelemetry,
}

/// `[scope.NAME]`: which processes are managed, and how.
pub(super) struct RawScope {
    /// The NAME.
    pub(super) name: Spanned<String>,
    /// Slices, with everything below them; `*` and `?` allowed.
    pub(super) slice: Vec<Spanned<String>>,
    /// Units; `*` and `?` allowed.
    pub(super) unit: Vec<Spanned<String>>,
    /// Paths below the cgroup v2 root, with everything below them.
    pub(super) cgroup: Vec<Spanned<String>>,
    /// User names or numbers.
    pub(super) user: Vec<Spanned<String>>,
    /// Absolute paths of executables.
    pub(super) exe: Vec<Spanned<String>>,
    /// Whether any of the five is there, even if it is wrong.
    pub(super) selects: bool,
    /// `enforce` or `observe`.
    pub(super) mode: Setting<String>,
    /// `closed` or `open`: what happens while the daemon is not running.
    pub(super) fail: Setting<String>,
    /// `dns` or `allow`: which UDP may leave.
    pub(super) udp: Setting<String>,
    /// `deny` or `allow`: whether connections may be accepted from outside the host.
    pub(super) inbound: Setting<String>,
    /// What retention goes by.
    pub(super) tags: Vec<Spanned<String>>,
}

/// `[intercept]`: the kernel side.
pub(super) struct RawIntercept {
    /// The proxy's port; 0 takes a free one.
    pub(super) listen_port: Setting<i64>,
    /// How many connections may be on their way to the proxy at once.
    pub(super) max_flows: Setting<i64>,
    /// Where a BPF file system is mounted.
    pub(super) bpffs: Setting<String>,
    /// Name servers that may be asked directly.
    pub(super) resolvers: Option<Vec<Spanned<String>>>,
}

/// `[proxy]`: the flows.
pub(super) struct RawProxy {
    /// How long an upstream may take to answer a connect.
    pub(super) connect_timeout: Setting<String>,
    /// How long a flow may be silent.
    pub(super) idle_timeout: Setting<String>,
    /// How often a silent peer is probed.
    pub(super) keepalive: Setting<String>,
    /// How long live flows may finish when the daemon stops.
    pub(super) drain_timeout: Setting<String>,
    /// Most flows at once.
    pub(super) max_connections: Setting<i64>,
    /// Whether lanes look again instead of sleeping.
    pub(super) busy_poll: Setting<bool>,
}

/// `[identity]`: what identities are called.
pub(super) struct RawIdentity {
    /// SPIFFE trust domain.
    pub(super) trust_domain: Setting<String>,
    /// This host's name in identities.
    pub(super) host: Setting<String>,
}

/// `[policy]`: what is permitted.
pub(super) struct RawPolicy {
    /// Where the policies are.
    pub(super) directory: Setting<String>,
    /// `enforce` or `observe`.
    pub(super) mode: Setting<String>,
    /// The time zone of hours and days in policies.
    pub(super) zone: Setting<String>,
}

/// `[approve]`: who is asked.
pub(super) struct RawApprovals {
    /// The group whose members may decide.
    pub(super) group: Setting<String>,
    /// How long a request waits.
    pub(super) expiry: Setting<String>,
    /// Most that wait of one identity.
    pub(super) max_pending: Setting<i64>,
    /// URLs that are told.
    pub(super) webhook: Vec<Spanned<String>>,
    /// What messages are signed with.
    pub(super) webhook_secret: Setting<String>,
    /// How long one try may take.
    pub(super) webhook_timeout: Setting<String>,
    /// Where links and buttons come in.
    pub(super) listen: Setting<String>,
    /// What links begin with.
    pub(super) link_base: Setting<String>,
    /// Who gets links.
    pub(super) link_people: Vec<Spanned<String>>,
    /// What buttons are signed with.
    pub(super) slack_secret: Setting<String>,
    /// Who presses them, `ID=NAME`.
    pub(super) slack_people: Vec<Spanned<String>>,
}

/// `[audit]`: recording.
pub(super) struct RawAudit {
    /// `deny` or `allow`: what happens to a flow that cannot be recorded.
    pub(super) on_failure: Setting<String>,
    /// `by-request`, `before-forward` or `batched`.
    pub(super) durability: Setting<String>,
    /// When a segment is closed, by size.
    pub(super) segment_size: Setting<String>,
    /// When a segment is closed, by age.
    pub(super) segment_age: Setting<String>,
    /// How often checkpoints are signed.
    pub(super) checkpoint_every: Setting<String>,
    /// Where they are appended besides.
    pub(super) checkpoint_file: Setting<String>,
    /// The key that signs them.
    pub(super) key_file: Setting<String>,
    /// What is kept of payloads, by event.
    pub(super) payload_per_event: Setting<String>,
    /// What is kept of payloads, by session.
    pub(super) payload_per_session: Setting<String>,
    /// `no` or `yes`.
    pub(super) encrypt_payload: Setting<String>,
    /// The key for that.
    pub(super) payload_key: Setting<String>,
    /// How long segments are kept.
    pub(super) keep: Setting<String>,
    /// How much of them is kept.
    pub(super) keep_size: Setting<String>,
    /// How long those with some tags are kept, `TAG=LENGTH`.
    pub(super) keep_tagged: Vec<Spanned<String>>,
}

/// `[telemetry]`: the daemon's own log.
pub(super) struct RawTelemetry {
    /// `auto`, `journald`, `text` or `json`.
    pub(super) log: Setting<String>,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub(super) level: Setting<String>,
}

impl RawConfig {
    /// Reads every section; what has the wrong type or an unknown name goes to `problems`.
    pub(super) fn read(root: &Spanned<DeTable<'_>>, problems: &mut Problems) -> Self {
        let top = Section::new("", Some(root.get_ref()), problems);
        let scopes = named("scope", &top, RawScope::read, problems);
        let targets = named("target", &top, RawTarget::read, problems);
        let mut section = |name| {
            let table = top.table(name, problems);
            Section::new(name, table, problems)
        };
        let [intercept, proxy, identity] = ["intercept", "proxy", "identity"].map(&mut section);
        let [policy, approvals, audit, telemetry] = ["policy", "approve", "audit", "telemetry"].map(&mut section);
        Self {
            scopes,
            targets,
            intercept: RawIntercept::read(&intercept, problems),
            proxy: RawProxy::read(&proxy, problems),
            identity: RawIdentity {
                trust_domain: identity.text("trust_domain", problems),
                host: identity.text("host", problems),
            },
            policy: RawPolicy {
                directory: policy.text("directory", problems),
                mode: policy.text("mode", problems),
                zone: policy.text("zone", problems),
            },
            approvals: RawApprovals::read(&approvals, problems),
            audit: RawAudit::read(&audit, problems),
            telemetry: RawTelemetry { log: telemetry.text("log", problems), level: telemetry.text("level", problems) },
        }
    }
}

/// The tables of a section whose tables have names.
fn named<T>(
    section: &'static str,
    top: &Section<'_>,
    read: fn(Spanned<String>, &DeTable<'_>, &mut Problems) -> T,
    problems: &mut Problems,
) -> Vec<T> {
    let mut all = Vec::new();
    for (name, value) in in_order(top.table(section, problems)) {
        let Some(table) = value.get_ref().as_table() else {
            let help = Some(format!("write [{section}.NAME] and the keys below it"));
            mistyped(&format!("{section}.{}", name.get_ref()), "a table", value, help, problems);
            continue;
        };
        all.push(read(Spanned::new(name.span(), name.get_ref().to_string()), table, problems));
    }
    all
}

impl RawScope {
    fn read(name: Spanned<String>, table: &DeTable<'_>, problems: &mut Problems) -> Self {
        let section = Section::new("scope.NAME", Some(table), problems);
        Self {
            name,
            slice: section.texts("slice", false, problems),
            unit: section.texts("unit", false, problems),
            cgroup: section.texts("cgroup", false, problems),
            user: section.texts("user", true, problems),
            exe: section.texts("exe", false, problems),
            selects: ["slice", "unit", "cgroup", "user", "exe"].into_iter().any(|key| section.has(key)),
            mode: section.text("mode", problems),
            fail: section.text("fail", problems),
            udp: section.text("udp", problems),
            inbound: section.text("inbound", problems),
            tags: section.texts("tags", false, problems),
        }
    }
}

impl RawApprovals {
    fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        Self {
            group: section.text("group", problems),
            expiry: section.span("expiry", problems),
            max_pending: section.integer("max_pending", problems),
            webhook: section.texts("webhook", false, problems),
            webhook_secret: section.text("webhook_secret", problems),
            webhook_timeout: section.span("webhook_timeout", problems),
            listen: section.text("listen", problems),
            link_base: section.text("link_base", problems),
            link_people: section.texts("link_people", false, problems),
            slack_secret: section.text("slack_secret", problems),
            slack_people: section.texts("slack_people", false, problems),
        }
    }
}

impl RawAudit {
    fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        Self {
            on_failure: section.text("on_failure", problems),
            durability: section.text("durability", problems),
            segment_size: section.text("segment_size", problems),
            segment_age: section.span("segment_age", problems),
            checkpoint_every: section.span("checkpoint_every", problems),
            checkpoint_file: section.text("checkpoint_file", problems),
            key_file: section.text("key_file", problems),
            payload_per_event: section.text("payload_per_event", problems),
            payload_per_session: section.text("payload_per_session", problems),
            encrypt_payload: section.text("encrypt_payload", problems),
            payload_key: section.text("payload_key", problems),
            keep: section.span("keep", problems),
            keep_size: section.text("keep_size", problems),
            keep_tagged: section.texts("keep_tagged", false, problems),
        }
    }
}

impl RawIntercept {
    fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        Self {
            listen_port: section.integer("listen_port", problems),
            max_flows: section.integer("max_flows", problems),
            bpffs: section.text("bpffs", problems),
            resolvers: section.list("resolvers", false, problems),
        }
    }
}

impl RawProxy {
    fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        Self {
            connect_timeout: section.span("connect_timeout", problems),
            idle_timeout: section.span("idle_timeout", problems),
            keepalive: section.span("keepalive", problems),
            drain_timeout: section.span("drain_timeout", problems),
            max_connections: section.integer("max_connections", problems),
            busy_poll: section.flag("busy_poll", problems),
        }
    }
}
