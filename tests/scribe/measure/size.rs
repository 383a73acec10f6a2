//! How many bytes a statement takes in a finalised segment, all indexes counted but those of the full-text search.

use super::load::Load;
use rusqlite::{Connection, OpenFlags};
use sallyport::record::Options;
use std::{path::Path, thread, time::Duration};
use tokio::runtime::Runtime;

/// Small enough that most of the statements are in closed segments; the default is sixteen times that.
const SEGMENT: u64 = 64 << 20;
/// Clients that share the store.
const CLIENTS: u64 = 10;
const REQUESTS: u64 = 350;

/// Records so many statements with what came back, and measures the segments that were closed meanwhile.
pub fn run(runtime: &Runtime, state: &Path, statements: u64) {
    let options = Options { segment_size: SEGMENT, ..Options::default() };
    let recorder = super::open(state, &options);
    runtime.block_on(async {
        let mut clients = tokio::task::JoinSet::new();
        for n in 0..CLIENTS {
            let mut load = Load::new(&recorder, n as u32);
            clients.spawn(async move {
                for _ in 0..statements / CLIENTS / REQUESTS {
                    load.session(REQUESTS).await;
                    // Whether a segment is full is looked at four times a second.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
        clients.join_all().await;
        recorder.close().await.expect("a disk");
    });
    let (mut bytes, mut requests, mut search) = (0, 0, 0);
    for segment in closed(state) {
        let conn = Connection::open_with_flags(&segment, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a segment");
        let number = |sql| conn.query_row::<i64, _, _>(sql, [], |row| row.get(0)).expect("a number");
        bytes += number("SELECT sum(pgsize) FROM dbstat WHERE name NOT LIKE 'words_search%'");
        search += number("SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'words_search%'");
        requests += number("SELECT count(*) FROM request");
    }
    assert!(requests > 0, "a segment was closed");
    super::say("store.bytes_per_statement", bytes as f64 / requests as f64);
    super::say("store.search_bytes_per_statement", search as f64 / requests as f64);
}

fn closed(state: &Path) -> Vec<std::path::PathBuf> {
    let is_closed = |path: &std::path::PathBuf| !path.to_string_lossy().ends_with(".live.sqlite");
    for _ in 0..100 {
        let closed: Vec<_> = sallyport_tests::written::segments(state).into_iter().filter(is_closed).collect();
        if !closed.is_empty() {
            return closed;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("no segment was closed")
}
