//! Tables, views and migrations of a segment.
//!
//! Rows of a *ledger* table are only ever added: each is one leaf of the log, numbered by `seq` through all tables and
//! segments, with the first four bytes of its leaf hash beside it as `mark`. An end is a row of its own. `head`, `tile`
//! and `checkpoint` say what the log looked like; they can be made again from the ledger, but for the signatures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::RecordError;
use super::read::INDEXES;

/// `SALY`: what `file(1)` and we know a segment by.
pub(super) const APPLICATION_ID: i64 = 0x5341_4c59;

/// Step `n` leads from `user_version` `n` to `n + 1`. Released steps never change; a new column goes last and may be
/// null, so that rows from before keep their hash.
pub(super) static STEPS: LazyLock<Vec<String>> =
    LazyLock::new(|| vec![tables(), PARAMETERS.to_owned(), ANSWERS.to_owned()]);

/// What a request was run with, masked: seldom the same twice, so it stands with the request.
const PARAMETERS: &str = "ALTER TABLE request ADD COLUMN parameters TEXT;";
/// What came back before the request was written stands in its row: one row and one leaf instead of two.
const ANSWERS: &str = "ALTER TABLE request ADD COLUMN took_ns INTEGER; ALTER TABLE request ADD COLUMN status INTEGER;
ALTER TABLE request ADD COLUMN rows INTEGER; ALTER TABLE request ADD COLUMN bytes_in INTEGER;
ALTER TABLE request ADD COLUMN masked INTEGER; ALTER TABLE request ADD COLUMN masks INTEGER;
ALTER TABLE request ADD COLUMN error INTEGER;
CREATE INDEX request_masked ON request (session, n) WHERE masked IS NOT NULL;";
/// Columns that came later than their table.
const LATER: [(&str, &str); 8] = [
    ("request", "parameters"),
    ("request", "took_ns"),
    ("request", "status"),
    ("request", "rows"),
    ("request", "bytes_in"),
    ("request", "masked"),
    ("request", "masks"),
    ("request", "error"),
];

/// One ledger table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// Part of every leaf of this table; never used again for another.
    pub(crate) code: u8,
    pub(crate) name: &'static str,
    /// Name and SQL type, in hashing order; `seq` and `mark` come before them.
    pub(crate) columns: &'static [(&'static str, &'static str)],
}

const INT: &str = "INTEGER";
const INT_REQUIRED: &str = "INTEGER NOT NULL";
const TEXT: &str = "TEXT";
const TEXT_REQUIRED: &str = "TEXT NOT NULL";
const BLOB: &str = "BLOB";
const BLOB_REQUIRED: &str = "BLOB NOT NULL";
const BLOB_UNIQUE: &str = "BLOB NOT NULL UNIQUE";

/// The first row of each segment: where the log stood.
pub(crate) static SEGMENT: Table = Table {
    code: 1,
    name: "segment",
    columns: &[
        ("number", INT_REQUIRED),
        ("origin", TEXT_REQUIRED),
        ("version", TEXT_REQUIRED),
        ("opened_ns", INT_REQUIRED),
        ("opened_boot_ns", INT_REQUIRED),
        ("previous_root", BLOB_REQUIRED),
        ("frontier", BLOB_REQUIRED),
    ],
};
/// An earlier segment was finalised: what its file is from then on.
pub(crate) static SEALED: Table = Table {
    code: 2,
    name: "sealed",
    columns: &[
        ("number", INT_REQUIRED),
        ("first", INT_REQUIRED),
        ("size", INT_REQUIRED),
        ("sha256", BLOB_REQUIRED),
        ("bytes", INT_REQUIRED),
        ("sealed_ns", INT_REQUIRED),
    ],
};
/// A key that signs checkpoints from here on.
pub(crate) static SIGNER: Table =
    Table { code: 3, name: "signer", columns: &[("vkey", TEXT_REQUIRED), ("since_ns", INT_REQUIRED)] };
pub(crate) static WRITER: Table = Table {
    code: 4,
    name: "writer",
    columns: &[
        ("boot", TEXT_REQUIRED),
        ("pid", INT_REQUIRED),
        ("pid_namespace", TEXT_REQUIRED),
        ("start_ticks", INT_REQUIRED),
        ("role", TEXT_REQUIRED),
        ("version", TEXT_REQUIRED),
        ("opened_ns", INT_REQUIRED),
    ],
};
pub(crate) static WRITER_END: Table =
    Table { code: 5, name: "writer_end", columns: &[("writer", INT_REQUIRED), ("closed_ns", INT_REQUIRED)] };
pub(crate) static PROCESS: Table = Table {
    code: 6,
    name: "process",
    columns: &[
        ("digest", BLOB_UNIQUE),
        ("workload", TEXT_REQUIRED),
        ("pid", INT_REQUIRED),
        ("started_boot_ns", INT_REQUIRED),
        ("exe", TEXT),
        ("exe_on_host", INT),
        ("exe_dev", INT),
        ("exe_ino", INT),
        ("exe_sha256", TEXT),
        ("argv", TEXT_REQUIRED),
        ("uid", INT_REQUIRED),
        ("gid", INT_REQUIRED),
        ("user", TEXT),
        ("login_uid", INT),
        ("login_session", INT),
        ("login_user", TEXT),
        ("cgroup", TEXT_REQUIRED),
        ("cgroup_id", INT_REQUIRED),
        ("unit", TEXT),
        ("user_unit", TEXT),
        ("slice", TEXT),
        ("container", TEXT),
        ("parents", TEXT_REQUIRED),
        ("attestation", TEXT_REQUIRED),
    ],
};
/// Text that many rows name by its `seq`: statements, lists of policies, facts.
pub(crate) static WORDS: Table =
    Table { code: 7, name: "words", columns: &[("digest", BLOB_UNIQUE), ("text", TEXT_REQUIRED)] };
pub(crate) static SESSION: Table = Table {
    code: 8,
    name: "session",
    columns: &[
        ("id", BLOB_UNIQUE),
        ("writer", INT_REQUIRED),
        ("process", INT_REQUIRED),
        ("scope", TEXT),
        ("protocol", TEXT_REQUIRED),
        ("client_addr", TEXT_REQUIRED),
        ("client_port", INT_REQUIRED),
        ("dest_addr", TEXT_REQUIRED),
        ("dest_port", INT_REQUIRED),
        ("netns", INT_REQUIRED),
        ("decision", TEXT_REQUIRED),
        ("started_ns", INT_REQUIRED),
        ("started_boot_ns", INT_REQUIRED),
        ("person", TEXT),
        ("target", TEXT),
        ("tls", TEXT),
        ("policies", TEXT),
        ("tags", TEXT),
        // `seq` of the session's first row, when this one carries it over into another segment.
        ("continues", INT),
    ],
};
pub(crate) static SESSION_END: Table = Table {
    code: 9,
    name: "session_end",
    columns: &[
        ("session", "INTEGER NOT NULL UNIQUE"),
        ("outcome", TEXT_REQUIRED),
        ("detail", TEXT),
        ("bytes_out", INT),
        ("bytes_in", INT),
        ("ended_ns", INT),
        ("ended_boot_ns", INT),
    ],
};
/// What is neither a request nor an approval.
pub(crate) static EVENT: Table = Table {
    code: 10,
    name: "event",
    columns: &[
        ("writer", INT_REQUIRED),
        ("kind", TEXT_REQUIRED),
        ("hook", TEXT),
        ("decision", TEXT),
        ("scope", TEXT),
        ("process", INT),
        ("pid", INT),
        ("uid", INT),
        ("cgroup_id", INT),
        ("protocol", INT),
        ("dest_addr", TEXT),
        ("dest_port", INT),
        ("count", INT_REQUIRED),
        ("first_ns", INT_REQUIRED),
        ("first_boot_ns", INT_REQUIRED),
        ("last_ns", INT_REQUIRED),
        ("last_boot_ns", INT_REQUIRED),
        ("detail", TEXT),
        ("session", INT),
        ("data", TEXT),
    ],
};
/// A request with its decision. `n` numbers a session's requests from zero. `drift_ns` is how much more time went by since
/// the session's start on the boot-time clock than on the wall clock: mostly nothing, so it takes no space. `kind`, `statement`, `facts`, `policies`, `detail`, `masks` and `error` are `seq`s of
/// `words`. From `took_ns` on it is what came back, when that was there in time: as [`RESPONSE`] has it, but for its length and
/// when it came after the request.
pub(crate) static REQUEST: Table = Table {
    code: 11,
    name: "request",
    columns: &[
        ("session", INT_REQUIRED),
        ("n", INT_REQUIRED),
        ("time_ns", INT_REQUIRED),
        ("drift_ns", INT_REQUIRED),
        ("kind", INT_REQUIRED),
        ("decision", INT_REQUIRED),
        ("statement", INT),
        ("policies", INT),
        ("facts", INT),
        ("bytes", INT),
        ("detail", INT),
        ("approval", BLOB),
        ("parameters", TEXT),
        ("took_ns", INT),
        ("status", INT),
        ("rows", INT),
        ("bytes_in", INT),
        ("masked", INT),
        ("masks", INT),
        ("error", INT),
    ],
};
/// What came back for a request whose row says nothing of it. `status`: 0 done, 1 refused by the upstream with an error,
/// 2 cut off.
pub(crate) static RESPONSE: Table = Table {
    code: 12,
    name: "response",
    columns: &[
        ("session", INT_REQUIRED),
        ("n", INT_REQUIRED),
        ("boot_ns", INT_REQUIRED),
        ("status", INT_REQUIRED),
        ("rows", INT),
        ("bytes", INT),
        ("masked", INT),
        ("masks", INT),
        ("error", INT),
    ],
};
/// One step in the life of an approval; the last one says how it stands.
pub(crate) static APPROVAL: Table = Table {
    code: 13,
    name: "approval",
    columns: &[
        ("id", BLOB_REQUIRED),
        ("session", INT),
        ("n", INT),
        ("state", TEXT_REQUIRED),
        ("digest", BLOB_REQUIRED),
        ("time_ns", INT_REQUIRED),
        ("boot_ns", INT_REQUIRED),
        ("by", TEXT),
        ("reason", TEXT),
        ("data", TEXT),
    ],
};
/// Payload bytes, once per segment. `coding`: bit 0 zstd, bit 1 encrypted. `digest` is of the plain bytes, keyed when
/// encrypted.
pub(crate) static CHUNK: Table = Table {
    code: 14,
    name: "chunk",
    columns: &[
        ("digest", BLOB_UNIQUE),
        ("size", INT_REQUIRED),
        ("coding", INT_REQUIRED),
        ("data", BLOB_REQUIRED),
        ("key", TEXT),
    ],
};
/// Where a chunk passed. `direction`: 0 from the client, 1 from the upstream. A cut one names its full length and digest.
pub(crate) static PAYLOAD: Table = Table {
    code: 15,
    name: "payload",
    columns: &[
        ("session", INT_REQUIRED),
        ("n", INT),
        ("direction", INT_REQUIRED),
        ("boot_ns", INT_REQUIRED),
        ("position", INT_REQUIRED),
        ("length", INT_REQUIRED),
        ("chunk", INT),
        ("full_length", INT),
        ("full_digest", BLOB),
    ],
};

/// Every ledger table.
pub(crate) static LEDGER: [&Table; 15] = [
    &SEGMENT,
    &SEALED,
    &SIGNER,
    &WRITER,
    &WRITER_END,
    &PROCESS,
    &WORDS,
    &SESSION,
    &SESSION_END,
    &EVENT,
    &REQUEST,
    &RESPONSE,
    &APPROVAL,
    &CHUNK,
    &PAYLOAD,
];

/// `INSERT` for each table, with a parameter for `seq`, `mark` and each column; by [`Table::code`], which counts from one.
static INSERTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let marks = |table: &Table| ",?".repeat(table.columns.len());
    LEDGER.iter().map(|table| format!("INSERT INTO {} VALUES (?,?{})", table.name, marks(table))).collect()
});

impl Table {
    pub(crate) fn insert_sql(&self) -> &'static str {
        INSERTS.get(usize::from(self.code) - 1).map_or("", String::as_str)
    }
}

const BOOKS: &str = "
CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 0), size INTEGER NOT NULL, frontier BLOB NOT NULL,
    closed INTEGER NOT NULL) STRICT;
CREATE TABLE tile (id INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, made_ns INTEGER NOT NULL, note TEXT NOT NULL) STRICT;
CREATE INDEX process_unit ON process (unit);
CREATE INDEX session_process ON session (process);
CREATE INDEX session_started ON session (started_ns);
CREATE UNIQUE INDEX request_of ON request (session, n);
CREATE INDEX request_statement ON request (statement);
CREATE INDEX response_of ON response (session, n);
CREATE INDEX approval_id ON approval (id);
CREATE INDEX payload_of ON payload (session);
CREATE INDEX event_session ON event (session) WHERE session IS NOT NULL;
CREATE VIRTUAL TABLE words_search USING fts5 (text, content='words', content_rowid='seq');
CREATE TRIGGER words_are_searchable AFTER INSERT ON words BEGIN
    INSERT INTO words_search (rowid, text) VALUES (new.seq, new.text);
END;
";

fn tables() -> String {
    let mut sql = String::new();
    for table in LEDGER {
        // Writing to a string cannot fail.
        let _ = write!(sql, "CREATE TABLE {} (seq INTEGER PRIMARY KEY, mark INTEGER NOT NULL", table.name);
        for (name, kind) in table.columns.iter().filter(|(name, _)| !LATER.contains(&(table.name, name))) {
            let _ = write!(sql, ", \"{name}\" {kind}");
        }
        sql.push_str(") STRICT;\n");
    }
    sql + BOOKS + INDEXES
}

/// The surface auditors build on: columns are only ever added. Made anew whenever the tables move.
pub(super) const VIEWS: &str = include_str!("views.sql");

/// Brings a segment to the last layout, or refuses one from elsewhere or from later.
pub(super) fn migrate(conn: &mut Connection, path: &Path, steps: &[String]) -> Result<(), RecordError> {
    let failed = |e| RecordError::sqlite("prepare the tables", path, e);
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let tx = Transaction::new(conn, TransactionBehavior::Immediate).map_err(failed)?;
    let found = version(&tx, path, known)?;
    let done = usize::try_from(found).unwrap_or_default();
    for step in steps.get(done..).unwrap_or_default() {
        tx.execute_batch(step).map_err(failed)?;
    }
    if found != known {
        tx.execute_batch(VIEWS).map_err(failed)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
        tx.pragma_update(None, "user_version", known).map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

/// Shows whoever reads a segment of an earlier layout the columns that came later: they are null.
pub(super) fn show_later_columns(conn: &Connection) -> rusqlite::Result<()> {
    let mut missing: BTreeMap<&str, String> = BTreeMap::new();
    for (table, column) in LATER {
        let sql = "SELECT count(*) FROM pragma_table_info(?, 'main') WHERE name = ?";
        if !conn.query_row(sql, [table, column], |row| row.get::<_, bool>(0))? {
            // Writing to a string cannot fail.
            let _ = write!(missing.entry(table).or_default(), ", NULL AS {column}");
        }
    }
    for (table, nulls) in missing {
        conn.execute_batch(&format!("CREATE TEMP VIEW {table} AS SELECT *{nulls} FROM main.{table}"))?;
    }
    Ok(())
}

/// The layout of a segment, after checking that it is one of ours and not from a later version.
pub(super) fn version(conn: &Connection, path: &Path, known: i64) -> Result<i64, RecordError> {
    let failed = |e| RecordError::sqlite("read the layout", path, e);
    let number = |pragma| conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map_err(failed);
    let (found, owner) = (number("user_version")?, number("application_id")?);
    let path = path.to_owned();
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if owner != APPLICATION_ID && tables > 0 || found < 0 {
        return Err(RecordError::Foreign { path });
    }
    if found > known {
        return Err(RecordError::TooNew { path, found, known });
    }
    Ok(found)
}

/// The last layout this version knows.
pub(super) fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}
