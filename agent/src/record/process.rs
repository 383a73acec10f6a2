//! Process rows: written once per process, named by a small number in every session.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest as _, Sha256};

use crate::identity::Identity;

/// Identities whose row is known without asking; past this all are forgotten.
const KNOWN: usize = 8192;

/// Row numbers of the identities seen lately, by the identity's address. Keeping it alive keeps the address its own.
#[derive(Debug, Default)]
pub(super) struct ProcessRows(HashMap<usize, (Arc<Identity>, i64)>);

impl ProcessRows {
    /// The row of an identity, inserted when there is none; inside the caller's transaction.
    pub(super) fn row(&mut self, conn: &Connection, identity: &Arc<Identity>) -> rusqlite::Result<i64> {
        let address = Arc::as_ptr(identity).addr();
        if let Some((_, row)) = self.0.get(&address) {
            return Ok(*row);
        }
        let row = find_or_insert(conn, identity)?;
        if self.0.len() >= KNOWN {
            self.0.clear();
        }
        self.0.insert(address, (Arc::clone(identity), row));
        Ok(row)
    }

    /// The row of an identity, if it was asked for before.
    pub(super) fn known(&self, identity: &Arc<Identity>) -> Option<i64> {
        self.0.get(&Arc::as_ptr(identity).addr()).map(|(_, row)| *row)
    }

    /// Forgets all: rows of a transaction that was rolled back are not there.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

fn find_or_insert(conn: &Connection, identity: &Identity) -> rusqlite::Result<i64> {
    let digest = digest(identity)?;
    let found = conn
        .prepare_cached("SELECT id FROM process WHERE digest = ?1")?
        .query_row([&digest], |row| row.get(0))
        .optional()?;
    if let Some(row) = found {
        return Ok(row);
    }
    insert(conn, identity, &digest)?;
    Ok(conn.last_insert_rowid())
}

fn insert(conn: &Connection, identity: &Identity, digest: &[u8; 32]) -> rusqlite::Result<()> {
    let p = &identity.process;
    let (exe, login) = (p.executable.as_ref(), p.login.as_ref());
    conn.prepare_cached(
        "INSERT INTO process (digest, workload, pid, started_boot_ns, exe, exe_on_host, exe_dev, exe_ino, exe_sha256,
            argv, uid, gid, user, login_uid, login_session, login_user, cgroup, cgroup_id, unit, user_unit, slice,
            container, parents, attestation)
         VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24)",
    )?
    .execute(params![
        digest,
        identity.workload.as_str(),
        p.tgid,
        p.started.cast_signed(),
        exe.map(|e| e.path.to_string_lossy()),
        exe.map(|e| e.on_host),
        exe.map(|e| e.dev.cast_signed()),
        exe.map(|e| e.ino.cast_signed()),
        exe.and_then(|e| e.sha256).map(|sha256| sha256.to_string()),
        json(&p.argv)?,
        p.uid,
        p.gid,
        p.user,
        login.map(|l| l.uid),
        login.and_then(|l| l.session),
        login.and_then(|l| l.user.as_deref()),
        p.cgroup,
        p.cgroup_id.cast_signed(),
        p.unit,
        p.user_unit,
        p.slice,
        p.container,
        json(&p.parents)?,
        p.attestation.as_str(),
    ])?;
    Ok(())
}

/// Digest over every fact: two rows with the same one are the same process in the same state.
fn digest(identity: &Identity) -> rusqlite::Result<[u8; 32]> {
    Ok(Sha256::digest(json(identity)?).into())
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}
