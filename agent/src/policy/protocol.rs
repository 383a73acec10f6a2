//! Which facts each protocol can supply about a request: what a policy may rely on there.

use serde::{Deserialize, Serialize};

use super::vocabulary::Kind;

/// What is spoken on a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Opaque bytes.
    Tcp,
    /// Opaque bytes inside TLS.
    Tls,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
    /// Redis (RESP).
    Redis,
    /// HTTP/1 and HTTP/2.
    Http,
    /// The Kubernetes API.
    Kubernetes,
    /// SSH.
    Ssh,
}

/// Facts of the context of `execute` that the daemon itself keeps, for every protocol.
const KEPT: &[&str] = &["session", "approval", "break_glass"];
/// What an SQL parser always knows; of a statement with opaque parts, as far as it could be read.
const SQL: &[&str] = &["verb", "kinds", "statements", "reads", "writes", "functions", "has_predicate", "unknown_parts"];
/// What it knows where it knows the tables' columns, or asked the server.
const SQL_CATALOGUE: &[&str] = &[
    "columns_read",
    "columns_written",
    "classes_read",
    "classes_written",
    "protected_predicates",
    "estimated_rows",
    "counted_rows",
    "tls",
];

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 8] =
        [Self::Tcp, Self::Tls, Self::Postgres, Self::Mysql, Self::Redis, Self::Http, Self::Kubernetes, Self::Ssh];

    /// The name used in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Redis => "redis",
            Self::Http => "http",
            Self::Kubernetes => "kubernetes",
            Self::Ssh => "ssh",
        }
    }

    /// What the resource of its requests is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Tcp | Self::Tls | Self::Redis => Kind::Target,
            Self::Postgres | Self::Mysql => Kind::Database,
            Self::Http => Kind::HttpRoute,
            Self::Kubernetes => Kind::KubernetesObject,
            Self::Ssh => Kind::SshCommand,
        }
    }

    /// Facts that are there for every request.
    #[must_use]
    pub fn always(self) -> &'static [&'static str] {
        match self {
            Self::Tcp | Self::Tls => &[],
            Self::Postgres | Self::Mysql => SQL,
            Self::Redis => &["verb", "kinds", "statements"],
            Self::Http | Self::Kubernetes | Self::Ssh => &["verb", "kinds"],
        }
    }

    /// Whether a fact may be there for some requests.
    #[must_use]
    pub fn may_supply(self, fact: &str) -> bool {
        let sometimes: &[&str] = match self {
            Self::Tcp | Self::Ssh => &[],
            Self::Tls | Self::Redis => &["tls"],
            Self::Postgres | Self::Mysql => SQL_CATALOGUE,
            Self::Http => &["tls", "classes_read", "classes_written", "unknown_parts"],
            Self::Kubernetes => &["tls", "unknown_parts"],
        };
        [KEPT, self.always(), sometimes].iter().any(|facts| facts.contains(&fact))
    }
}
