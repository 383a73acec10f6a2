//! Process rows: written once per process, named by a small number in every session.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest as _, Sha256};

use super::ledger::Ledger;
use super::schema::PROCESS;
use crate::identity::Identity;

/// Identities whose row is known without asking; past this all are forgotten.
const KNOWN: usize = 8192;

/// Row numbers of the identities seen lately, by the identity's address. Keeping it alive keeps the address its own.
#[derive(Debug, Default)]
pub(super) struct ProcessRows(HashMap<usize, (Arc<Identity>, i64)>);

impl ProcessRows {
    /// The row of an identity, inserted when there is none; inside the caller's transaction.
    pub(super) fn row(
        &mut self,
        conn: &Connection,
        ledger: &mut Ledger,
        identity: &Arc<Identity>,
    ) -> rusqlite::Result<i64> {
        let address = Arc::as_ptr(identity).addr();
        if let Some((_, row)) = self.0.get(&address) {
            return Ok(*row);
        }
        let row = find_or_insert(conn, ledger, identity)?;
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

fn find_or_insert(conn: &Connection, ledger: &mut Ledger, identity: &Identity) -> rusqlite::Result<i64> {
    let digest = digest(identity)?;
    let found = conn
        .prepare_cached("SELECT seq FROM process WHERE digest = ?1")?
        .query_row([&digest], |row| row.get(0))
        .optional()?;
    match found {
        Some(row) => Ok(row),
        None => insert(conn, ledger, identity, &digest),
    }
}

fn insert(conn: &Connection, ledger: &mut Ledger, identity: &Identity, digest: &[u8; 32]) -> rusqlite::Result<i64> {
    let p = &identity.process;
    let (exe, login) = (p.executable.as_ref(), p.login.as_ref());
    let path = exe.map(|e| e.path.to_string_lossy());
    let sha256 = exe.and_then(|e| e.sha256).map(|sha256| sha256.to_string());
    let (argv, parents) = (json(&p.argv)?, json(&p.parents)?);
    ledger.append(
        conn,
        &PROCESS,
        &[
            digest.into(),
            identity.workload.as_str().into(),
            p.tgid.into(),
            p.started.into(),
            path.as_deref().into(),
            exe.map(|e| e.on_host).into(),
            exe.map(|e| e.dev).into(),
            exe.map(|e| e.ino).into(),
            sha256.as_deref().into(),
            (&argv).into(),
            p.uid.into(),
            p.gid.into(),
            p.user.as_deref().into(),
            login.map(|l| l.uid).into(),
            login.and_then(|l| l.session).into(),
            login.and_then(|l| l.user.as_deref()).into(),
            p.cgroup.as_str().into(),
            p.cgroup_id.into(),
            p.unit.as_deref().into(),
            p.user_unit.as_deref().into(),
            p.slice.as_deref().into(),
            p.container.as_deref().into(),
            (&parents).into(),
            p.attestation.as_str().into(),
        ],
    )
}

/// Digest over every fact: two rows with the same one are the same process in the same state.
fn digest(identity: &Identity) -> rusqlite::Result<[u8; 32]> {
    Ok(Sha256::digest(json(identity)?).into())
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}
