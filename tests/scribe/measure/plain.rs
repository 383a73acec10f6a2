//! The same rows in the same tables by SQLite alone: no queue, no numbers, no hashes.

use rusqlite::{Connection, params};
use sallyport::record::{Options, Timestamps};
use std::{fs, path::Path, time::Instant};

/// Rows of one transaction: as many as the store's writer takes at once under load.
const BATCH: u64 = 1024;

/// Requests a second, on the disk at the end.
pub fn rate(directory: &Path, requests: u64) -> f64 {
    fs::create_dir(directory).expect("a directory");
    let path = directory.join("plain.sqlite");
    let conn = Connection::open(&path).expect("a database");
    let pragmas = "PRAGMA journal_mode = wal; PRAGMA synchronous = normal; PRAGMA wal_autocheckpoint = 0;";
    conn.execute_batch(pragmas).expect("pragmas");
    conn.execute_batch(&schema(&directory.join("pattern"))).expect("tables");
    let log = fs::File::open(directory.join("plain.sqlite-wal")).expect("a log");
    let columns: i64 =
        conn.query_row("SELECT count(*) FROM pragma_table_info('request')", [], |row| row.get(0)).expect("a table");
    assert_eq!(columns, 22, "the rows below are those of the store");
    let start = Instant::now();
    for first in (0..requests).step_by(BATCH as usize) {
        let batch = || -> rusqlite::Result<()> {
            conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            // No parameters, and nothing that came back.
            let sql = format!("INSERT INTO request VALUES ({}{})", "?,".repeat(14), ["NULL"; 8].join(","));
            let mut insert = conn.prepare_cached(&sql)?;
            for seq in first..(first + BATCH).min(requests) {
                let (session, n) = ((seq % 8 * 100 + seq / 5600) as i64, (seq / 8 % 700) as i64);
                let now = Timestamps::now();
                insert.execute(params![
                    seq as i64,
                    seq.wrapping_mul(0x9e37_79b9_7f4a_7c15).cast_signed(),
                    session,
                    n,
                    now.wall_ns,
                    now.boot_ns.cast_signed() & 0xffff_ffff,
                    n % 7,
                    0,
                    7 + n % 7,
                    15,
                    None::<i64>,
                    70,
                    None::<i64>,
                    None::<Vec<u8>>
                ])?;
            }
            conn.prepare_cached("COMMIT")?.execute([])?;
            Ok(())
        };
        batch().expect("rows");
    }
    log.sync_data().expect("a disk");
    requests as f64 / start.elapsed().as_secs_f64()
}

/// The tables and indexes of a store.
fn schema(state: &Path) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a thread");
    runtime.block_on(super::open(state, &Options::default()).close()).expect("a disk");
    let segment = sallyport_tests::written::segments(state).pop().expect("a segment");
    let conn = Connection::open(segment).expect("a segment");
    let wanted = "SELECT group_concat(sql || ';', char(10)) FROM sqlite_schema
        WHERE sql IS NOT NULL AND type IN ('table', 'index') AND name NOT LIKE 'words_search%' AND name NOT LIKE 'sqlite_%'";
    conn.query_row(wanted, [], |row| row.get(0)).expect("tables")
}
