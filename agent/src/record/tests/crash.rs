//! Writers that are killed, and several at once: in child processes, which are this test binary again.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::{block_on, identity, start};
use crate::record::read::tests::request;
use crate::record::{
    Decision, Durability, EventKind, EventRecord, Filter, Options, Outcome, RecordError, Recorder, Role, SessionRow,
    Store, Timestamps, file,
};

const TASK: &str = "SALLYPORT_TEST_CHILD";
const STATE: &str = "SALLYPORT_TEST_STATE";

fn child(task: &str, state_dir: &Path) -> Command {
    // By this path a child without rights to the build directory can be run as well.
    let mut command = Command::new("/proc/self/exe");
    let this = concat!(module_path!(), "::this_process_is_a_child");
    let this = this.split_once("::").unwrap().1;
    command.args(["--exact", this, "--nocapture"]).env(TASK, task).env(STATE, state_dir).stdout(Stdio::piped());
    command
}

/// Does what the parent asks of its child; in an ordinary run there is no parent.
#[test]
fn this_process_is_a_child() {
    let (Ok(task), Some(state_dir)) = (std::env::var(TASK), std::env::var_os(STATE)) else { return };
    let state_dir = Path::new(&state_dir);
    match task.as_str() {
        "write" => write_for_ever(state_dir),
        "ask" => ask_for_ever(state_dir),
        "read" => println!("read {}", all(state_dir).len()),
        other => panic!("no such task: {other}"),
    }
}

/// Says each session's id once its begin returned.
fn write_for_ever(state_dir: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let recorder = Recorder::open(state_dir).unwrap();
    runtime.block_on(async {
        let mut writers = tokio::task::JoinSet::new();
        for n in 0..8 {
            let recorder = recorder.clone();
            writers.spawn(async move {
                let who = identity(n);
                loop {
                    let id = recorder.begin(start(&who, "10.0.0.5:5432", 7)).await.unwrap();
                    writeln!(std::io::stdout(), "id {id}").unwrap();
                }
            });
        }
        writers.join_next().await;
    });
}

/// Says each request once it is on the disk: more of them than a journal holds at a time.
fn ask_for_ever(state_dir: &Path) {
    let recorder = Recorder::open(state_dir).unwrap();
    block_on(async {
        let who = identity(1);
        // Only the first session of a process needs a commit of its own.
        recorder.begin(start(&who, "10.0.0.5:5432", 7)).await.unwrap();
        for asked in 0_u64.. {
            let id = recorder.begin(start(&who, "10.0.0.5:5432", 7)).await.unwrap();
            // Some are like no other, and as long as the first of many.
            let text =
                format!("select {}{asked}", if asked.is_multiple_of(5) { "x".repeat(2000) } else { String::new() });
            for n in 0..3 {
                let request = request(id, n, &text, if n == 2 { Decision::Deny } else { Decision::Allow });
                recorder.request(request, Durability::BeforeForward).await.unwrap();
                writeln!(std::io::stdout(), "id {id}/{n}/{asked}").unwrap();
            }
        }
    });
}

struct Writer(Child, BufReader<ChildStdout>);

impl Writer {
    fn start(state_dir: &Path) -> Self {
        Self::start_to("write", state_dir)
    }

    fn start_to(task: &str, state_dir: &Path) -> Self {
        let mut child = child(task, state_dir).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self(child, stdout)
    }

    /// The next ids the child says; ends with its output.
    fn ids(&mut self) -> impl Iterator<Item = String> {
        // A line cut short by the kill was not said.
        let lines = std::iter::from_fn(|| {
            let mut line = String::new();
            self.1.read_line(&mut line).unwrap();
            line.ends_with('\n').then_some(line)
        });
        lines.filter_map(|line| Some(line.split_once("id ")?.1.trim().to_owned()))
    }

    /// Kills it, and returns the ids it had said by then.
    fn kill(mut self) -> Vec<String> {
        self.0.kill().unwrap();
        let rest = self.ids().collect();
        self.0.wait().unwrap();
        rest
    }
}

fn all(state_dir: &Path) -> Vec<SessionRow> {
    Store::open_read_only(state_dir).unwrap().list(&Filter::default()).unwrap()
}

fn ids(rows: &[SessionRow]) -> HashSet<String> {
    rows.iter().map(|row| row.id.to_string()).collect()
}

#[test]
fn what_returned_survives_kill_9_and_is_marked_as_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::start(dir.path());
    let mut said: Vec<String> = writer.ids().take(3000).collect();
    said.extend(writer.kill());
    assert!(said.len() >= 3000);
    assert!(all(dir.path()).iter().all(|row| row.outcome == "open"));

    // The last of them are intents only, until the next writer puts them into the tables.
    let recorder = Recorder::open(dir.path()).unwrap();
    let rows = all(dir.path());
    let found = ids(&rows);
    assert!(said.iter().all(|id| found.contains(id)));
    assert!(rows.iter().all(|row| row.outcome == Outcome::Interrupted.as_str() && row.ended_ns.is_none()));
    block_on(recorder.close()).unwrap();
}

#[test]
fn what_somebody_waited_for_is_there_once_after_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let journal = || {
        let names = std::fs::read_dir(dir.path().join("sessions")).unwrap();
        names.filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().contains("-requests-")).count()
    };
    let mut before = 0;
    for _ in 0..3 {
        let mut writer = Writer::start_to("ask", dir.path());
        let mut said: Vec<String> = writer.ids().take(4000).collect();
        said.extend(writer.kill());
        assert_eq!(journal(), 1, "it is written to a journal");

        let recorder = Recorder::open(dir.path()).unwrap();
        assert_eq!(journal(), 0, "which is in the tables once somebody else writes");
        let conn = rusqlite::Connection::open(super::segment(dir.path())).unwrap();
        let sql = "SELECT session_id || '/' || sequence || '/' || ltrim(substr(statement, 8), 'x'),
                decision = CASE sequence WHEN 2 THEN 'deny' ELSE 'allow' END AND kind = 'select'
                    AND facts IS NOT NULL AND policies = '[\"p1\"]' AND bytes_out = 20 AND approval_id = ''
            FROM statements";
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        let rows: Vec<(String, bool)> = rows.unwrap().map(Result::unwrap).collect();
        let found: HashSet<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found.len(), rows.len(), "some are there twice");
        assert!(said.iter().all(|name| found.contains(name.as_str())), "some are not there");
        assert!(rows.iter().all(|(_, whole)| *whole), "some have changed");
        // One more may have been written and not said.
        assert!(rows.len() - before - said.len() <= 1, "{} {before} {}", rows.len(), said.len());
        before = rows.len();
        block_on(recorder.close()).unwrap();
    }
}

#[test]
fn two_writers_and_a_reader_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::open_as(dir.path(), Role::Daemon, &Options::default()).unwrap();
    let mut other = Writer::start(dir.path());
    let mut theirs: Vec<String> = other.ids().take(1).collect();
    let mut ours = vec![];
    let store = Store::open_read_only(dir.path()).unwrap();
    let mut seen = 0;
    block_on(async {
        let who = identity(9);
        for n in 0..2000 {
            ours.push(recorder.begin(start(&who, "10.0.0.6:5432", 7)).await.unwrap().to_string());
            if n % 100 == 0 {
                recorder.flush().await.unwrap();
                let now = store.list(&Filter::default()).unwrap().len();
                assert!(now > seen, "a reader sees what was committed, in the middle of it");
                seen = now;
            }
        }
    });
    // Opening once more must not take the sessions of the writers that still run for abandoned.
    let third = Recorder::open(dir.path()).unwrap();
    assert!(all(dir.path()).iter().all(|row| row.outcome == "open"));
    theirs.extend(other.kill());
    // Puts what the killed one only intended into the tables.
    let fourth = Recorder::open(dir.path()).unwrap();
    block_on(recorder.flush()).unwrap();
    let rows = ids(&all(dir.path()));
    assert!(theirs.iter().chain(&ours).all(|id| rows.contains(id)));
    drop((third, fourth, recorder));
}

#[test]
fn there_is_one_daemon_and_any_number_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Recorder::open_as(dir.path(), Role::Daemon, &Options::default()).unwrap();
    assert!(matches!(Recorder::open_as(dir.path(), Role::Daemon, &Options::default()), Err(RecordError::Held { .. })));
    let exec = Recorder::open(dir.path()).unwrap();
    block_on(async {
        exec.begin(start(&identity(1), "10.0.0.5:5432", 7)).await.unwrap();
        daemon.close().await.unwrap();
    });
    Recorder::open_as(dir.path(), Role::Daemon, &Options::default()).unwrap();
}

#[test]
fn who_may_only_read_can_read_it_live_at_rest_and_as_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(dir.path()).unwrap();
    block_on(recorder.begin(start(&identity(1), "10.0.0.5:5432", 7))).unwrap();
    assert_eq!(read_without_rights(dir.path()), "read 1", "while the writer lives");
    block_on(recorder.close()).unwrap();
    assert_eq!(read_without_rights(dir.path()), "read 1", "at rest");
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("sessions")).unwrap();
    std::fs::copy(super::segment(dir.path()), super::segment(copy.path())).unwrap();
    assert_eq!(read_without_rights(copy.path()), "read 1", "as a copy without its log");
}

/// What a child says that may read the files and write nothing.
fn read_without_rights(state_dir: &Path) -> String {
    let sessions = state_dir.join("sessions");
    let modes = |directory, file| {
        let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        set(state_dir, directory);
        set(&sessions, directory);
        for entry in std::fs::read_dir(&sessions).unwrap() {
            set(&entry.unwrap().path(), file);
        }
    };
    modes(0o555, 0o444);
    let mut command = child("read", state_dir);
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output().unwrap();
    modes(0o755, 0o644);
    let said = String::from_utf8(output.stdout).unwrap();
    let at = said.find("read ").unwrap_or_else(|| panic!("{said}"));
    said[at..].lines().next().unwrap().to_owned()
}

#[test]
fn what_a_killed_process_left_gets_into_the_segment_before_another_is_begun() {
    let dir = tempfile::tempdir().unwrap();
    let directory = file::directory(dir.path());
    let options = Options { segment_size: 1, ..Options::default() };
    let daemon = Recorder::open_as(dir.path(), Role::Daemon, &options).unwrap();
    let mut writer = Writer::start_to("ask", dir.path());
    let mut said: Vec<String> = writer.ids().take(400).collect();
    said.extend(writer.kill());
    let event = || EventRecord::new(EventKind::Detached, Timestamps::now());
    while file::segments(&directory).unwrap().len() < 2 {
        block_on(daemon.event(event())).unwrap();
    }
    block_on(daemon.close()).unwrap();
    let mut found: HashSet<String> = HashSet::new();
    for segment in file::segments(&directory).unwrap() {
        let conn = rusqlite::Connection::open(&segment.path).unwrap();
        let mut all = conn.prepare("SELECT session_id || '/' || sequence FROM statements").unwrap();
        found.extend(all.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap));
    }
    let missing = said.iter().filter(|name| !found.contains(name.rsplit_once('/').unwrap().0)).count();
    assert_eq!(missing, 0, "of {}", said.len());
}

const REFUSE: &str = "CREATE TRIGGER t BEFORE INSERT ON request BEGIN SELECT raise(ABORT, 'no'); END";

fn alter(state_dir: &Path, sql: &str) {
    file::connect(&super::segment(state_dir)).unwrap().execute_batch(sql).unwrap();
}

/// Opens the store as if the process of before was gone, and counts the requests.
fn reopened(state_dir: &Path) -> i64 {
    alter(state_dir, "DROP TRIGGER IF EXISTS t; UPDATE writer SET start_ticks = 1");
    block_on(Recorder::open(state_dir).unwrap().close()).unwrap();
    let conn = rusqlite::Connection::open(super::segment(state_dir)).unwrap();
    conn.query_row("SELECT count(*) FROM request", [], |row| row.get(0)).unwrap()
}

/// Records a request that somebody waits for, of which no commit will hear.
async fn ask_in_vain(recorder: &Recorder, state_dir: &Path) {
    let id = recorder.begin(start(&identity(1), "10.0.0.5:5432", 7)).await.unwrap();
    alter(state_dir, REFUSE);
    recorder.request(request(id, 0, "select 1", Decision::Allow), Durability::BeforeForward).await.unwrap();
}

/// Until the thread of a recorder that was dropped is done.
fn until_it_is_done() {
    let runs = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
        names.into_iter().any(|name| name.trim() == "recorder")
    };
    while runs() {
        std::thread::yield_now();
    }
}

#[test]
fn what_somebody_waited_for_survives_a_close_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(dir.path()).unwrap();
    block_on(async {
        ask_in_vain(&recorder, dir.path()).await;
        let closed = recorder.close().await;
        assert!(matches!(closed, Err(RecordError::Lost { .. })), "{closed:?}");
    });
    assert_eq!(reopened(dir.path()), 1);
}

#[test]
fn what_somebody_waited_for_survives_the_last_handle() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(dir.path()).unwrap();
    block_on(ask_in_vain(&recorder, dir.path()));
    drop(recorder);
    until_it_is_done();
    assert_eq!(reopened(dir.path()), 1);
}

#[test]
fn after_the_last_handle_it_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(dir.path()).unwrap();
    block_on(ask_in_vain(&recorder, dir.path()));
    drop(recorder);
    alter(dir.path(), "DROP TRIGGER t");
    until_it_is_done();
    let conn = rusqlite::Connection::open(super::segment(dir.path())).unwrap();
    let found: i64 = conn.query_row("SELECT count(*) FROM request", [], |row| row.get(0)).unwrap();
    assert_eq!(found, 1);
}
