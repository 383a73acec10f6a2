//! Who used what in a span of time: the facts of an access review, identity by identity.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Row;
use serde::Serialize;
use serde_json::Value as Json;

use super::super::{SessionId, StoreError};
use super::found::{ApprovalRow, parsed, table_name};
use super::list::hex;
use super::segments::{Segment, Store};

/// What was seen between two instants.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AccessReview {
    /// From here on, nanoseconds since 1970.
    pub since_ns: i64,
    /// Up to here.
    pub until_ns: i64,
    /// Who was seen, by name.
    pub identities: Vec<ReviewedIdentity>,
    /// Approvals that were granted and under which nothing ran.
    pub unused_grants: Vec<ApprovalUse>,
    /// Scopes of the configuration in which nothing was seen.
    pub unseen_scopes: Vec<String>,
    /// Static or long-lived credentials that were seen.
    pub credentials: Vec<Credential>,
}

/// Who: what makes two uses those of one identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Identity {
    /// SPIFFE ID.
    pub workload: String,
    /// The person acted for.
    pub person: Option<String>,
    /// Name of the audit login, or else of the user.
    pub user: Option<String>,
    /// Real uid.
    pub uid: u32,
    /// System unit.
    pub unit: Option<String>,
    /// Path of the executable.
    pub exe: Option<String>,
}

/// What one identity did.
#[derive(Clone, Debug, Serialize)]
pub struct ReviewedIdentity {
    /// Who.
    #[serde(flatten)]
    pub identity: Identity,
    /// What it reached.
    pub targets: Vec<TargetUse>,
    /// What it asked for there.
    pub statements: Vec<StatementUse>,
    /// What it was refused.
    pub denials: Vec<Denial>,
    /// What it was approved, or not.
    pub approvals: Vec<ApprovalUse>,
    /// What it was not shown.
    pub masked: Vec<Masking>,
}

/// A target and how it was used.
#[derive(Clone, Debug, Serialize)]
pub struct TargetUse {
    /// Its configured name.
    pub target: Option<String>,
    /// Its address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Connections that were not refused.
    pub sessions: u64,
    /// Bytes to it.
    pub bytes_out: u64,
    /// Bytes from it.
    pub bytes_in: u64,
    /// First use, nanoseconds since 1970.
    pub first_ns: i64,
    /// Last use.
    pub last_ns: i64,
}

/// A kind of statement on a table.
#[derive(Clone, Debug, Serialize)]
pub struct StatementUse {
    /// `select`, `insert`, `GET`.
    pub kind: String,
    /// The table, where one is known.
    pub table: Option<String>,
    /// `read` or `written`.
    pub access: Option<&'static str>,
    /// How often.
    pub count: u64,
    /// First use, nanoseconds since 1970.
    pub first_ns: i64,
    /// Last use.
    pub last_ns: i64,
}

/// Something refused, or what would have been.
#[derive(Clone, Debug, Serialize)]
pub struct Denial {
    /// `connection`, the kind of a statement, or the kind of an event.
    pub what: String,
    /// Where to, where that is known.
    pub target: Option<String>,
    /// `deny` or `would-deny`.
    pub decision: String,
    /// Why.
    pub reason: Option<String>,
    /// How often.
    pub count: u64,
    /// The last time, nanoseconds since 1970.
    pub last_ns: i64,
}

/// An approval and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct ApprovalUse {
    /// The approval.
    #[serde(flatten)]
    pub approval: ApprovalRow,
    /// Who asked for it.
    pub identity: Option<Identity>,
    /// Requests that ran under it.
    pub used: u64,
}

/// Columns that were masked in one way.
#[derive(Clone, Debug, Serialize)]
pub struct Masking {
    /// Which columns and how.
    pub masks: Json,
    /// How many values.
    pub values: u64,
    /// In how many responses.
    pub responses: u64,
}

/// A credential that lives long.
#[derive(Clone, Debug, Serialize)]
pub struct Credential {
    /// When it was seen last, nanoseconds since 1970.
    pub last_ns: i64,
    /// How often.
    pub count: u64,
    /// In a sentence.
    pub detail: Option<String>,
    /// What is known of it.
    pub data: Json,
    /// Who used it.
    pub workload: Option<String>,
}

/// The columns that make an identity, from `p` and `s`.
const WHO: &str = "p.workload, s.person, coalesce(p.login_user, p.user) AS user, p.uid, p.unit, p.exe";

fn identity(row: &Row<'_>) -> rusqlite::Result<Identity> {
    Ok(Identity {
        workload: row.get("workload")?,
        person: row.get("person")?,
        user: row.get("user")?,
        uid: row.get("uid")?,
        unit: row.get("unit")?,
        exe: row.get("exe")?,
    })
}

type Target = (Option<String>, String, u16);

#[derive(Default)]
struct Deeds {
    targets: BTreeMap<Target, TargetUse>,
    statements: BTreeMap<(String, Option<String>, Option<&'static str>), StatementUse>,
    denials: BTreeMap<(String, Option<String>, String, Option<String>), Denial>,
    masked: BTreeMap<String, Masking>,
    approvals: Vec<ApprovalUse>,
}

struct Review {
    since_ns: i64,
    until_ns: i64,
    identities: BTreeMap<Identity, Deeds>,
    scopes: Vec<String>,
    uses: HashMap<String, u64>,
    credentials: Vec<Credential>,
}

impl Store {
    /// Reviews what was recorded between two instants. `scopes` are the configured ones.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn access_review(&self, since_ns: i64, until_ns: i64, scopes: &[String]) -> Result<AccessReview, StoreError> {
        let mut review = Review {
            since_ns,
            until_ns,
            identities: BTreeMap::new(),
            scopes: Vec::new(),
            uses: HashMap::new(),
            credentials: Vec::new(),
        };
        for index in self.oldest_first() {
            let Some(segment) = self.segment(index)? else { continue };
            review.add_sessions(&segment)?;
            review.add_statements(&segment)?;
            review.add_masked(&segment)?;
            review.add_denied_statements(&segment)?;
            review.add_events(&segment)?;
            review.add_uses(&segment)?;
        }
        let mut unused_grants = Vec::new();
        for approval in self.approvals(since_ns, until_ns)? {
            let used = review.uses.get(&approval.id).copied().unwrap_or(0);
            let identity = approval.session_id.map(|id| self.identity_of(id)).transpose()?.flatten();
            let granted = approval.state == "approved" && used == 0;
            let entry = ApprovalUse { approval, identity: identity.clone(), used };
            if granted {
                unused_grants.push(entry.clone());
            }
            if let Some(identity) = identity {
                review.identities.entry(identity).or_default().approvals.push(entry);
            }
        }
        let unseen_scopes = scopes.iter().filter(|scope| !review.scopes.contains(scope)).cloned().collect();
        let identities = review.identities.into_iter().map(|(identity, deeds)| ReviewedIdentity {
            identity,
            targets: deeds.targets.into_values().collect(),
            statements: deeds.statements.into_values().collect(),
            denials: deeds.denials.into_values().collect(),
            approvals: deeds.approvals,
            masked: deeds.masked.into_values().collect(),
        });
        Ok(AccessReview {
            since_ns,
            until_ns,
            identities: identities.collect(),
            unused_grants,
            unseen_scopes,
            credentials: review.credentials,
        })
    }

    fn identity_of(&self, id: SessionId) -> Result<Option<Identity>, StoreError> {
        let Some(part) = self.find(&id.to_string())?.first().copied() else { return Ok(None) };
        let Some(segment) = self.segment(part.index)? else { return Ok(None) };
        let sql = format!("SELECT {WHO} FROM session s JOIN process p ON p.seq = s.process WHERE s.seq = ?");
        segment.one(&sql, vec![part.seq.into()], identity)
    }
}

impl Review {
    fn add_sessions(&mut self, segment: &Segment) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT {WHO}, s.scope, s.target, s.dest_addr, s.dest_port,
            CASE WHEN e.outcome IN ('denied', 'refused') THEN 'deny' ELSE s.decision END AS decided,
            CASE WHEN e.outcome IN ('denied', 'refused') OR s.decision <> 'allow' THEN e.detail END AS reason,
            sum(s.continues IS NULL) AS sessions, total(max(e.bytes_out, 0)) AS bytes_out,
            total(max(e.bytes_in, 0)) AS bytes_in, min(s.started_ns) AS first_ns,
            max(max(s.started_ns, coalesce(e.ended_ns, 0))) AS last_ns
            FROM session s CROSS JOIN process p ON p.seq = s.process LEFT JOIN session_end e ON e.session = s.seq
            WHERE s.started_ns >= ? AND s.started_ns < ?
            GROUP BY p.workload, s.person, user, p.uid, p.unit, p.exe, s.scope, s.target, s.dest_addr, s.dest_port,
                decided, reason"
        );
        segment.each(&sql, vec![self.since_ns.into(), self.until_ns.into()], |row| {
            if let Some(scope) = row.get::<_, Option<String>>("scope")?
                && !self.scopes.contains(&scope)
            {
                self.scopes.push(scope);
            }
            let deeds = self.identities.entry(identity(row)?).or_default();
            let (target, address): (Option<String>, String) = (row.get("target")?, row.get("dest_addr")?);
            let port: u16 = row.get("dest_port")?;
            let sessions = row.get::<_, i64>("sessions")?.cast_unsigned();
            let last_ns: i64 = row.get("last_ns")?;
            let decided: String = row.get("decided")?;
            if decided != "allow" {
                let name = target.clone().unwrap_or_else(|| format!("{address} port {port}"));
                let reason: Option<String> = row.get("reason")?;
                deeds.deny(("connection".to_owned(), Some(name), decided.clone(), reason), sessions, last_ns);
            }
            if decided != "deny" {
                let key = (target.clone(), address.clone(), port);
                let first_ns = row.get("first_ns")?;
                let used = deeds.targets.entry(key).or_insert(TargetUse {
                    target,
                    address,
                    port,
                    sessions: 0,
                    bytes_out: 0,
                    bytes_in: 0,
                    first_ns,
                    last_ns,
                });
                used.sessions += sessions;
                used.bytes_out = used.bytes_out.saturating_add(row.get::<_, f64>("bytes_out")? as u64);
                used.bytes_in = used.bytes_in.saturating_add(row.get::<_, f64>("bytes_in")? as u64);
                used.first_ns = used.first_ns.min(first_ns);
                used.last_ns = used.last_ns.max(last_ns);
            }
            Ok(true)
        })
    }

    fn add_statements(&mut self, segment: &Segment) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT {WHO}, k.text AS kind, f.text AS facts, sum(g.count) AS count, min(g.first_ns) AS first_ns,
            max(g.last_ns) AS last_ns
            FROM (SELECT session, kind, facts, count(*) AS count, min(time_ns) AS first_ns, max(time_ns) AS last_ns
                FROM request WHERE time_ns >= ? AND time_ns < ? AND decision IN (0, 2) GROUP BY session, kind, facts) g
            CROSS JOIN session s ON s.seq = g.session CROSS JOIN process p ON p.seq = s.process
            LEFT JOIN words k ON k.seq = g.kind LEFT JOIN words f ON f.seq = g.facts
            GROUP BY p.workload, s.person, user, p.uid, p.unit, p.exe, g.kind, g.facts"
        );
        segment.each(&sql, vec![self.since_ns.into(), self.until_ns.into()], |row| {
            let deeds = self.identities.entry(identity(row)?).or_default();
            let kind = row.get::<_, Option<String>>("kind")?.unwrap_or_default();
            let (first_ns, last_ns): (i64, i64) = (row.get("first_ns")?, row.get("last_ns")?);
            let count = row.get::<_, i64>("count")?.cast_unsigned();
            let facts = parsed(row.get("facts")?);
            let mut touched: Vec<(Option<String>, Option<&'static str>)> = Vec::new();
            for (key, access) in [("reads", "read"), ("writes", "written")] {
                let tables = facts.get(key).and_then(Json::as_array);
                let names = tables.into_iter().flatten().filter_map(table_name);
                touched.extend(names.map(|name| (Some(name), Some(access))));
            }
            if touched.is_empty() {
                touched.push((None, None));
            }
            for (table, access) in touched {
                let key = (kind.clone(), table.clone(), access);
                let empty = StatementUse { kind: kind.clone(), table, access, count: 0, first_ns, last_ns };
                let used = deeds.statements.entry(key).or_insert(empty);
                used.count += count;
                used.first_ns = used.first_ns.min(first_ns);
                used.last_ns = used.last_ns.max(last_ns);
            }
            Ok(true)
        })
    }

    fn add_masked(&mut self, segment: &Segment) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT {WHO}, m.text AS masks, total(a.masked) AS masked, count(*) AS count
            FROM (SELECT a.session, s.started_ns + a.boot_ns AS at_ns, a.masked, a.masks
                    FROM response a CROSS JOIN session s ON s.seq = a.session WHERE a.masked IS NOT NULL
                UNION ALL SELECT r.session, r.time_ns + r.drift_ns + r.took_ns, r.masked, r.masks
                    FROM request r WHERE r.masked IS NOT NULL) a
            CROSS JOIN session s ON s.seq = a.session CROSS JOIN process p ON p.seq = s.process
            LEFT JOIN words m ON m.seq = a.masks WHERE a.at_ns >= ? AND a.at_ns < ?
            GROUP BY p.workload, s.person, user, p.uid, p.unit, p.exe, a.masks"
        );
        segment.each(&sql, vec![self.since_ns.into(), self.until_ns.into()], |row| {
            let deeds = self.identities.entry(identity(row)?).or_default();
            let text: Option<String> = row.get("masks")?;
            let key = text.clone().unwrap_or_default();
            let used = deeds.masked.entry(key).or_insert(Masking { masks: parsed(text), values: 0, responses: 0 });
            used.values = used.values.saturating_add(row.get::<_, f64>("masked")? as u64);
            used.responses += row.get::<_, i64>("count")?.cast_unsigned();
            Ok(true)
        })
    }

    fn add_denied_statements(&mut self, segment: &Segment) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT {WHO}, coalesce(k.text, 'statement') AS what,
            coalesce(s.target, s.dest_addr || ' port ' || s.dest_port) AS name,
            CASE r.decision WHEN 1 THEN 'deny' ELSE 'would-deny' END AS decided, d.text AS reason, total(1) AS count,
            max(r.time_ns) AS last_ns
            FROM request r CROSS JOIN session s ON s.seq = r.session CROSS JOIN process p ON p.seq = s.process
            LEFT JOIN words k ON k.seq = r.kind LEFT JOIN words d ON d.seq = r.detail
            WHERE r.decision <> 0 AND r.decision IN (1, 2) AND r.time_ns >= ? AND r.time_ns < ?
            GROUP BY p.workload, s.person, user, p.uid, p.unit, p.exe, what, name, decided, reason"
        );
        self.add_denials(segment, &sql)
    }

    fn add_events(&mut self, segment: &Segment) -> Result<(), StoreError> {
        let sql = "SELECT coalesce(p.workload, '') AS workload, s.person, coalesce(p.login_user, p.user) AS user,
            coalesce(p.uid, v.uid, 0) AS uid, p.unit, p.exe, v.kind AS what, v.dest_addr || ' port ' || v.dest_port AS name,
            v.decision AS decided, v.detail AS reason, total(v.count) AS count, max(v.last_ns) AS last_ns
            FROM event v LEFT JOIN process p ON p.seq = v.process LEFT JOIN session s ON s.seq = v.session
            WHERE v.decision IN ('deny', 'would-deny') AND v.last_ns >= ? AND v.first_ns < ?
            GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10";
        self.add_denials(segment, sql)?;
        let sql = "SELECT v.last_ns, v.count, v.detail, v.data, p.workload FROM event v
            LEFT JOIN process p ON p.seq = v.process
            WHERE v.kind = 'credential-seen' AND v.last_ns >= ? AND v.first_ns < ? ORDER BY v.seq";
        let seen = segment.rows(sql, vec![self.since_ns.into(), self.until_ns.into()], |row| {
            Ok(Credential {
                last_ns: row.get(0)?,
                count: row.get::<_, i64>(1)?.cast_unsigned(),
                detail: row.get(2)?,
                data: parsed(row.get(3)?),
                workload: row.get(4)?,
            })
        })?;
        self.credentials.extend(seen);
        Ok(())
    }

    fn add_denials(&mut self, segment: &Segment, sql: &str) -> Result<(), StoreError> {
        segment.each(sql, vec![self.since_ns.into(), self.until_ns.into()], |row| {
            let deeds = self.identities.entry(identity(row)?).or_default();
            let key = (row.get("what")?, row.get("name")?, row.get("decided")?, row.get("reason")?);
            deeds.deny(key, row.get::<_, f64>("count")? as u64, row.get("last_ns")?);
            Ok(true)
        })
    }

    /// Counts the requests that ran under each approval; those that were held or denied did not run.
    fn add_uses(&mut self, segment: &Segment) -> Result<(), StoreError> {
        let sql = "SELECT approval, count(*) FROM request WHERE approval IS NOT NULL AND decision IN (0, 2) GROUP BY 1";
        segment.each(sql, Vec::new(), |row| {
            let id: Vec<u8> = row.get(0)?;
            *self.uses.entry(hex(&id)).or_default() += row.get::<_, i64>(1)?.cast_unsigned();
            Ok(true)
        })
    }
}

impl Deeds {
    fn deny(&mut self, key: (String, Option<String>, String, Option<String>), count: u64, last_ns: i64) {
        let (what, target, decision, reason) = key.clone();
        let denial = self.denials.entry(key).or_insert(Denial { what, target, decision, reason, count: 0, last_ns });
        denial.count = denial.count.saturating_add(count);
        denial.last_ns = denial.last_ns.max(last_ns);
    }
}
