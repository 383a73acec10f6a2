//! What was asked, as questions to put again: connections and requests, those that are alike counted together.

use rusqlite::Row;

use super::super::{SessionId, StoreError};
use super::segments::{Segment, Store};

/// Connections or requests of one kind of process to one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// SPIFFE ID.
    pub workload: String,
    /// Real uid.
    pub uid: u32,
    /// Real gid.
    pub gid: u32,
    /// Name of the uid.
    pub user: Option<String>,
    /// System unit.
    pub unit: Option<String>,
    /// Unit of the user's own manager.
    pub user_unit: Option<String>,
    /// Slice.
    pub slice: Option<String>,
    /// Container.
    pub container: Option<String>,
    /// Path of the program, where the host has it there.
    pub exe: Option<String>,
    /// Its digest, hex.
    pub exe_sha256: Option<String>,
    /// `live` or `kernel-only`.
    pub attestation: String,
    /// Audit login uid.
    pub login_uid: Option<u32>,
    /// Its name.
    pub login_user: Option<String>,
    /// Whom it acted for.
    pub person: Option<String>,
    /// Where it was going.
    pub dest_addr: String,
    /// Port there.
    pub dest_port: u16,
    /// Name of the configured target.
    pub target: Option<String>,
    /// `allow`, `deny`, `would-deny`, `held`.
    pub decision: String,
    /// Facts of a request, JSON; `None` for a connection.
    pub facts: Option<String>,
    /// How many.
    pub count: u64,
    /// The first of them, nanoseconds since 1970.
    pub first_ns: i64,
    /// The last.
    pub last_ns: i64,
    /// Least age of the process at that time, nanoseconds.
    pub age_ns: u64,
    /// A session it was in.
    pub example: SessionId,
}

/// What makes two alike, by the columns of `p` and `s`; and the hour, because policies may ask for it.
const ALIKE: &str = "p.workload, p.uid, p.gid, p.user, p.unit, p.user_unit, p.slice, p.container,
    CASE WHEN p.exe_on_host THEN p.exe END AS program, p.exe_sha256, p.attestation, p.login_uid, p.login_user, s.person,
    s.dest_addr, s.dest_port, s.target";

impl Store {
    /// Visits what was asked between two instants, segment by segment, connections before requests.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn asked(&self, since_ns: i64, until_ns: i64, mut visit: impl FnMut(Asked)) -> Result<(), StoreError> {
        let connections = format!(
            "SELECT {ALIKE}, CASE WHEN e.outcome IN ('denied', 'refused') THEN 'deny' ELSE s.decision END AS decided,
                NULL AS facts, count(*) AS count, min(s.started_ns) AS first_ns, max(s.started_ns) AS last_ns,
                min(s.started_boot_ns - p.started_boot_ns) AS age_ns, min(s.id) AS id, s.started_ns / 3600000000000 AS hour
            FROM session s CROSS JOIN process p ON p.seq = s.process LEFT JOIN session_end e ON e.session = s.seq
            WHERE s.started_ns >= ? AND s.started_ns < ? AND s.continues IS NULL
            GROUP BY {}, decided, hour",
            grouped()
        );
        let requests = format!(
            "SELECT {ALIKE}, CASE g.decision WHEN 0 THEN 'allow' WHEN 1 THEN 'deny' WHEN 2 THEN 'would-deny' ELSE 'held' END
                AS decided, f.text AS facts, sum(g.count) AS count, min(g.first_ns) AS first_ns, max(g.last_ns) AS last_ns,
                min(s.started_boot_ns - p.started_boot_ns) AS age_ns, min(s.id) AS id, g.hour AS hour
            FROM (SELECT session, facts, decision, time_ns / 3600000000000 AS hour, count(*) AS count,
                    min(time_ns) AS first_ns, max(time_ns) AS last_ns
                FROM request WHERE time_ns >= ? AND time_ns < ? AND facts IS NOT NULL GROUP BY 1, 2, 3, 4) g
            CROSS JOIN session s ON s.seq = g.session CROSS JOIN process p ON p.seq = s.process
            CROSS JOIN words f ON f.seq = g.facts
            GROUP BY {}, decided, g.facts, hour",
            grouped()
        );
        for index in self.oldest_first() {
            let Some(segment) = self.segment(index)? else { continue };
            for sql in [&connections, &requests] {
                each(&segment, sql, since_ns, until_ns, &mut visit)?;
            }
        }
        Ok(())
    }
}

/// The same without names for what is computed.
fn grouped() -> String {
    ALIKE.replace("CASE WHEN p.exe_on_host THEN p.exe END AS program", "program")
}

fn each(
    segment: &Segment,
    sql: &str,
    since_ns: i64,
    until_ns: i64,
    visit: &mut impl FnMut(Asked),
) -> Result<(), StoreError> {
    segment.each(sql, vec![since_ns.into(), until_ns.into()], |row| {
        visit(asked(row)?);
        Ok(true)
    })
}

fn asked(row: &Row<'_>) -> rusqlite::Result<Asked> {
    Ok(Asked {
        workload: row.get("workload")?,
        uid: row.get("uid")?,
        gid: row.get("gid")?,
        user: row.get("user")?,
        unit: row.get("unit")?,
        user_unit: row.get("user_unit")?,
        slice: row.get("slice")?,
        container: row.get("container")?,
        exe: row.get("program")?,
        exe_sha256: row.get("exe_sha256")?,
        attestation: row.get("attestation")?,
        login_uid: row.get("login_uid")?,
        login_user: row.get("login_user")?,
        person: row.get("person")?,
        dest_addr: row.get("dest_addr")?,
        dest_port: row.get("dest_port")?,
        target: row.get("target")?,
        decision: row.get("decided")?,
        facts: row.get("facts")?,
        count: row.get::<_, i64>("count")?.cast_unsigned(),
        first_ns: row.get("first_ns")?,
        last_ns: row.get("last_ns")?,
        age_ns: row.get::<_, i64>("age_ns")?.max(0).cast_unsigned(),
        example: SessionId::from_bytes(row.get("id")?),
    })
}
