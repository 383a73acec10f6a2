//! How fast pages of a large store are read: `cargo run --release --example store_reading -- DIR [MILLIONS [IN-EACH]]`.
//!
//! Fills the store below DIR with so many millions of records, so many of them in each segment, unless one is there already; then
//! asks for pages as the command line does, opening the store each time.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use sallyport::record::read::{Filter, INDEXES, Store, Words};
use sallyport::record::{ApprovalState, Decision, EventKind, EventRecord, Outcome, Recorder, Timestamps};

type Failed = Box<dyn Error>;

/// Statements of one session; each is a request and mostly a response.
const STATEMENTS: i64 = 10;
/// Numbers one session takes in the log.
const BLOCK: i64 = 24;
/// When the first session began, nanoseconds since 1970, and how far apart they are.
const EPOCH: i64 = 1_760_000_000_000_000_000;
const APART: i64 = 20_000_000;
/// How often each page is asked for.
const RUNS: usize = 40;

fn main() -> Result<(), Failed> {
    let mut words = std::env::args().skip(1);
    let directory = words.next().ok_or("name a directory")?;
    let millions: f64 = words.next().map_or(Ok(1.0), |text| text.parse())?;
    let each: f64 = words.next().map_or(Ok(4.0), |text| text.parse())?;
    let state = Path::new(&directory);
    if !state.join("sessions").exists() {
        fill(state, (millions * 1e6) as i64, (each * 1e6) as i64)?;
    }
    measure(state)
}

fn fill(state: &Path, records: i64, each: i64) -> Result<(), Failed> {
    // The recorder makes the tables.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let recorder = Recorder::open(state)?;
        recorder.event(EventRecord::new(EventKind::Started, Timestamps::now())).await?;
        recorder.close().await
    })?;
    let directory = state.join("sessions");
    let first = directory.join("000001.live.sqlite");
    let segments = (records + each - 1) / each;
    for number in (1..=segments).rev() {
        let live = number == segments;
        let name = if live { format!("{number:06}.live.sqlite") } else { format!("{number:06}.sqlite") };
        let path = directory.join(name);
        if number == 1 && !live {
            fs::rename(&first, &path)?;
        } else if path != first {
            fs::copy(&first, &path)?;
        }
        let began = Instant::now();
        let sessions = records.min(each) / (2 * STATEMENTS + 2);
        fill_segment(&path, number - 1, sessions)?;
        println!(
            "segment {number}: {sessions} sessions, {} MiB in {:?}",
            fs::metadata(&path)?.len() >> 20,
            began.elapsed()
        );
    }
    for leftover in ["000001.live.sqlite-wal", "000001.live.sqlite-shm"] {
        if segments > 1 {
            let _ = fs::remove_file(directory.join(leftover));
        }
    }
    Ok(())
}

fn fill_segment(path: &Path, index: i64, sessions: i64) -> Result<(), Failed> {
    let conn = Connection::open(path)?;
    conn.execute_batch(INDEXES)?;
    conn.execute_batch("PRAGMA journal_mode = wal; PRAGMA synchronous = off; PRAGMA cache_size = -400000; BEGIN;")?;
    let base = index * (sessions * 2 * BLOCK) + 100;
    let (shapes, processes) = (20_000_i64, (sessions / 10).max(1));
    let start = base + shapes + processes + 10;
    let counted =
        |n: i64| format!("WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < {})", n - 1);
    conn.execute(
        &format!(
            "{} INSERT INTO words SELECT ?1 + i, 0, randomblob(32), CASE i % 4 WHEN 0 THEN 'select a' || i || ' from orders where id = $1'
            WHEN 1 THEN 'update customers set name = $1 where c' || i || ' = $2' WHEN 2 THEN 'insert into t' || i || ' values ($1)'
            ELSE 'select * from invoices_' || (i / 100) || ' join lines using (id) limit $1' END FROM c",
            counted(shapes)
        ),
        params![base],
    )?;
    conn.execute(
        &format!(
            "{} INSERT INTO process SELECT ?1 + i, 0, randomblob(32), 'spiffe://example.org/host/h1/unit/job-' || (i % 500) || '.service',
            i, i, '/usr/bin/tool' || (i % 50), 1, 1, i, 'sha', '[\"tool\",\"--nightly\"]', 1000 + i % 100, 100, 'user' || (i % 100),
            500 + i % 20, 7, 'person' || (i % 20), '/system.slice/job.service', 5, 'job-' || (i % 500) || '.service', NULL,
            'system.slice', NULL, '[{{\"pid\":1,\"started\":5,\"exe\":\"/sbin/init\"}}]', 'live' FROM c",
            counted(processes)
        ),
        params![base + shapes],
    )?;
    conn.execute(
        &format!(
            "{} INSERT INTO session SELECT ?1 + i * {BLOCK}, 0,
            unhex(printf('%012x', (?3 + i * {APART}) / 1000000) || '7abc8' || printf('%015x', ?1 + i)), 1,
            ?2 + (i * 7919) % {processes}, 'jobs', 'tcp', '10.0.0.1', 40000 + i % 20000, '10.' || (i % 7) || '.0.' || (i % 200), 5432,
            1, CASE WHEN i % 1000 = 7 THEN 'would-deny' ELSE 'allow' END, ?3 + i * {APART}, i * {APART}, CASE WHEN i % 3 = 0 THEN 'person' || (i % 40) || '@example.org' END,
            'pg-' || (i % 30), NULL, NULL, NULL, NULL FROM c",
            counted(sessions)
        ),
        params![start, base + shapes, EPOCH + index * sessions * APART],
    )?;
    conn.execute(
        &format!(
            "INSERT INTO session_end SELECT seq + {}, 0, seq, CASE (seq / {BLOCK}) % 5000 WHEN 3 THEN 'denied' WHEN 4 THEN 'upstream-refused'
            ELSE 'completed' END, NULL, 1000, 2000, started_ns + 1000000, 5 FROM session",
            BLOCK - 1
        ),
        [],
    )?;
    conn.execute(
        &format!(
            "{} INSERT INTO request SELECT s.seq + 1 + 2 * c.i, 0, s.seq, c.i, s.started_ns + c.i * 100000, c.i * 100000, ?1 + c.i % 4,
            CASE WHEN (s.seq / {BLOCK}) % 2000 = 5 AND c.i = 3 THEN 1 ELSE 0 END, ?1 + (s.seq * 31 + c.i * 977) % {shapes}, NULL, NULL, 100, NULL,
            CASE WHEN (s.seq / {BLOCK}) % 10000 = 9 AND c.i = 2 THEN randomblob(16) END FROM session s CROSS JOIN c",
            counted(STATEMENTS)
        ),
        params![base],
    )?;
    conn.execute(
        "INSERT INTO response SELECT seq + 1, 0, session, n, boot_ns + 50000, 0, 3, 300, CASE WHEN seq % 997 = 5 THEN 4 END, NULL, NULL
        FROM request WHERE decision = 0",
        [],
    )?;
    conn.execute(
        "INSERT INTO approval SELECT seq + 1000000000000, 0, approval, session, n, 'approved', randomblob(32), time_ns, 0, 'grace', NULL, NULL
        FROM request WHERE approval IS NOT NULL",
        [],
    )?;
    conn.execute("UPDATE head SET size = (SELECT max(seq) + 1 FROM session_end)", [])?;
    conn.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}

fn measure(state: &Path) -> Result<(), Failed> {
    let all = Filter::default;
    let text = |text: &str| Some(text.to_owned());
    let week = EPOCH + 30 * 60 * 1_000_000_000;
    let filters = [
        ("nothing", all()),
        ("until long ago", Filter { until_ns: Some(week), ..all() }),
        ("one unit", Filter { unit: text("job-77.service"), ..all() }),
        ("no such unit", Filter { unit: text("nothing.service"), ..all() }),
        ("part of an identity", Filter { workload: text("unit/job-31"), ..all() }),
        ("no such identity", Filter { workload: text("nothing"), ..all() }),
        ("one user", Filter { user: text("user9"), ..all() }),
        ("one person", Filter { person: text("person39"), ..all() }),
        ("one address", Filter { target: text("10.3.0.66:5432"), ..all() }),
        ("a port nobody used", Filter { target: text(":9999"), ..all() }),
        ("one target", Filter { target: text("pg-29"), ..all() }),
        ("denied", Filter { decision: Some(Decision::Deny), ..all() }),
        ("held", Filter { decision: Some(Decision::Held), ..all() }),
        ("masked", Filter { masked: true, ..all() }),
        ("approved", Filter { approval: Some(ApprovalState::Approved), ..all() }),
        ("refused upstream", Filter { outcome: Some(Outcome::UpstreamRefused), ..all() }),
        ("interrupted", Filter { outcome: Some(Outcome::Interrupted), ..all() }),
        ("open", Filter { open: true, ..all() }),
        ("denied of one unit", Filter { unit: text("job-77.service"), decision: Some(Decision::Deny), ..all() }),
        ("unit before a time", Filter { unit: text("job-77.service"), until_ns: Some(week), ..all() }),
    ];
    for (name, filter) in &filters {
        report(&format!("list: {name}"), || {
            let store = Store::open_read_only(state)?;
            Ok(store.list_page(filter, None, 50)?.rows.len())
        })?;
    }
    let deep = Store::open_read_only(state)?.list_page(&all(), None, 20_000)?.rows.pop().ok_or("empty")?;
    report("list: a page far down", || {
        let store = Store::open_read_only(state)?;
        Ok(store.list_page(&all(), Some(&deep.id.to_string()), 50)?.rows.len())
    })?;
    for (words, filter) in [
        ("select", &filters[0].1),
        ("orders a444", &filters[0].1),
        ("invoices_77", &filters[0].1),
        ("customers c1*", &filters[0].1),
        ("nothing", &filters[0].1),
        ("select", &filters[2].1),
        ("orders", &filters[11].1),
        ("invoices_77", &filters[13].1),
        ("select", &filters[1].1),
        ("orders", &filters[14].1),
    ] {
        let query = Words::plain(words).ok_or("words")?;
        let name = filters.iter().find(|(_, known)| known == filter).map_or("", |(name, _)| name);
        report(&format!("search: {words} ({name})"), || {
            let store = Store::open_read_only(state)?;
            let page = store.search(&query, filter, None, 50)?;
            for row in &page.rows {
                store.snippet(&query, row, ['<', '>'])?;
            }
            Ok(page.rows.len())
        })?;
    }
    report("show", || {
        let store = Store::open_read_only(state)?;
        let session = store.session(&deep.id.to_string())?;
        Ok(store.statements(&session, 0, 100)?.rows.len())
    })?;
    Ok(())
}

fn report(name: &str, run: impl Fn() -> Result<usize, Failed>) -> Result<(), Failed> {
    let mut times = Vec::new();
    let mut rows = 0;
    for _ in 0..RUNS {
        let began = Instant::now();
        rows = run()?;
        times.push(began.elapsed());
        if times.iter().sum::<Duration>() > Duration::from_secs(20) && times.len() >= 5 {
            break;
        }
    }
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).or(times.last()).copied().unwrap_or_default();
    println!("{name:45} {rows:4} rows  p50 {:>8.1?}  p95 {:>8.1?}", at(50), at(95));
    Ok(())
}
