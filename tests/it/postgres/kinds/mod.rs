//! What statements are said to be, against what a server says of them: its tags, its plans, and how many it counted.
//!
//! `session.sql` is a session, a message on each line. After ` #! ` stands what the server's tag does not tell, and why:
//! `also KIND…`, `kinds KIND…` (these alone), `verb TAG`, `plan TABLE…` (used by name, not by plan), `refused SQLSTATE`.

mod server;

use self::server::{Answer, Heard, Planned, named, session};
use super::World;
use sallyport::protocol::postgres::sql::DANGEROUS;
use sallyport_tests::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

type Words = BTreeSet<String>;

/// A message, and what is said beside it.
struct Line {
    sql: &'static str,
    notes: BTreeMap<&'static str, Words>,
}

impl Line {
    fn all() -> Vec<Self> {
        let text = include_str!("session.sql");
        text.lines().filter(|line| !line.starts_with("--")).map(Self::read).collect()
    }

    fn read(line: &'static str) -> Self {
        let (sql, notes) = line.split_once(" #! ").unwrap_or((line, ""));
        let note = |note: &'static str| {
            let (note, why) = note.split_once(": ").expect("a note says why");
            assert!(!why.is_empty());
            let (what, words) = note.trim().split_once(' ').expect("a note says what");
            (what, words.split(' ').map(str::to_owned).collect())
        };
        Self { sql, notes: notes.split("; ").filter(|note| !note.is_empty()).map(note).collect() }
    }

    fn note(&self, what: &str) -> Words {
        self.notes.get(what).cloned().unwrap_or_default()
    }

    /// What the server would have said, had it not refused.
    fn guess(&self) -> Answer {
        let upper = self.upper();
        let words: Vec<&str> = upper.split(' ').take(if upper.starts_with("SELECT") { 1 } else { 2 }).collect();
        Answer { tag: words.join(" "), rows: true, copied_in: false, copied_out: false }
    }

    fn upper(&self) -> String {
        self.sql.to_uppercase()
    }
}

/// What a statement is, as its tag tells.
fn kinds(answer: &Answer) -> &'static [&'static str] {
    let tag = answer.tag.as_str();
    match tag {
        "SELECT" if answer.rows => &["read"],
        // A table is made of the rows.
        "SELECT" => &["ddl", "write"],
        "INSERT" | "UPDATE" | "MERGE" | "REFRESH MATERIALIZED VIEW" | "ANALYZE" => &["write"],
        "DELETE" | "TRUNCATE TABLE" => &["write", "destructive"],
        "COPY" if answer.copied_in => &["write"],
        "COPY" if answer.copied_out => &["read"],
        "DECLARE CURSOR" | "FETCH" | "MOVE" => &["read", "session"],
        "EXPLAIN" => &["read"],
        "DO" | "CALL" => &["read", "write"],
        "CREATE EXTENSION"
        | "ALTER EXTENSION"
        | "CREATE LANGUAGE"
        | "CREATE ACCESS METHOD"
        | "CREATE SERVER"
        | "ALTER SERVER"
        | "CREATE FOREIGN DATA WRAPPER"
        | "ALTER FOREIGN DATA WRAPPER"
        | "CREATE SUBSCRIPTION"
        | "ALTER SUBSCRIPTION"
        | "IMPORT FOREIGN SCHEMA" => &["ddl", "program"],
        "CREATE TABLESPACE" => &["ddl", "file"],
        "ALTER SYSTEM" => &["session", "file", "program"],
        "DROP OWNED" => &["ddl", "dcl", "destructive"],
        "DROP ROLE" | "DROP USER MAPPING" => &["dcl", "destructive"],
        "GRANT"
        | "REVOKE"
        | "GRANT ROLE"
        | "REVOKE ROLE"
        | "ALTER DEFAULT PRIVILEGES"
        | "CREATE ROLE"
        | "ALTER ROLE"
        | "CREATE USER MAPPING"
        | "ALTER USER MAPPING"
        | "CREATE POLICY"
        | "ALTER POLICY"
        | "REASSIGN OWNED"
        | "SECURITY LABEL" => &["dcl"],
        _ if tag.starts_with("DROP ") => &["ddl", "destructive"],
        "VACUUM" | "REINDEX" | "CLUSTER" | "COMMENT" => &["ddl"],
        _ if tag.starts_with("CREATE ") || tag.starts_with("ALTER ") => &["ddl"],
        _ => &["session"],
    }
}

/// Whether one is the beginning of the other, word by word.
fn alike(verb: &str, tag: &str) -> bool {
    let (verb, tag) = (format!("{verb} "), format!("{} ", tag.to_lowercase()));
    verb.starts_with(&tag) || tag.starts_with(&verb)
}

/// What a policy is asked about a message.
struct Told {
    verb: String,
    kinds: Words,
    reads: Words,
    writes: Words,
    unknown: Words,
    statements: u64,
}

impl Told {
    fn of(record: &Record) -> Self {
        let facts = &record["facts"];
        let words = |key: &str| -> Words {
            let all = facts[key].as_array().into_iter().flatten();
            all.map(|word| word.as_str().expect("a word").to_owned()).collect()
        };
        let tables = |key: &str| -> Words {
            let all = facts[key].as_array().into_iter().flatten();
            let text = |table: &Record, key: &str| table[key].as_str().expect("a name").to_owned();
            all.map(|table| named(&text(table, "schema"), &text(table, "table"))).collect()
        };
        Self {
            verb: facts["verb"].as_str().unwrap_or_else(|| panic!("no verb: {record:#}")).to_owned(),
            kinds: words("kinds"),
            reads: tables("reads"),
            writes: tables("writes"),
            unknown: words("unknown_parts"),
            statements: facts["statements"].as_u64().expect("a number"),
        }
    }
}

/// What is wrong with what is told of a message, each in a line.
fn wrong(line: &Line, heard: &Heard, told: &Told) -> Vec<String> {
    let mut wrong = Vec::new();
    let Heard { answers, error, planned, read_only } = heard;
    let refused = line.note("refused").into_iter().next();
    if *error != refused {
        wrong.push(format!("the server said {error:?}"));
    }
    if refused.is_none() && told.statements != answers.len() as u64 {
        wrong.push(format!("{} statements, and the server ran {}", told.statements, answers.len()));
    }
    // Of what is refused, its text says what it would have been.
    let would = refused.is_some().then(|| line.guess()).filter(|_| answers.is_empty());
    let answers: Vec<&Answer> = answers.iter().chain(&would).collect();
    verb(line, answers.first().copied(), told, &mut wrong);
    kinds_of(line, &answers, (told, planned.as_ref()), &mut wrong);
    let only_reads = told.kinds.iter().all(|kind| kind == "read");
    if only_reads && read_only.as_ref().is_some_and(|came| came.as_ref().is_err_and(|error| error == "25006")) {
        wrong.push("it only reads, and a read-only transaction refuses it".to_owned());
    }
    // Upkeep changes nothing that a transaction would see.
    let upkeep = ["vacuum", "analyze", "reindex", "cluster"].iter().any(|verb| told.verb.starts_with(verb));
    let changes = !upkeep && ["write", "ddl", "dcl", "destructive"].iter().any(|kind| told.kinds.contains(*kind));
    if changes && told.unknown.is_empty() && line.notes.is_empty() && *read_only == Some(Ok(())) {
        wrong.push(format!("it is {:?}, and a read-only transaction runs it", told.kinds));
    }
    if let Some(planned) = planned {
        tables(line, planned, told, &mut wrong);
    }
    wrong
}

fn verb(line: &Line, answer: Option<&Answer>, told: &Told, wrong: &mut Vec<String>) {
    let upper = line.upper();
    let expected = match answer {
        None => "empty",
        Some(answer) if answer.tag == "SELECT" && !answer.rows => {
            if upper.contains("INTO") && upper.starts_with("SELECT") { "select into" } else { "create" }
        }
        // Tags of these are of what they run, or of what they came to.
        Some(_) if upper.starts_with("EXECUTE") => "execute",
        Some(_) if !line.note("verb").is_empty() => upper.split(' ').next().unwrap_or_default(),
        Some(answer) if answer.tag == "START TRANSACTION" => "begin",
        Some(answer) => &answer.tag,
    };
    if !alike(&told.verb, expected) {
        wrong.push(format!("it is called `{}`, by the server `{expected}`", told.verb));
    }
}

fn kinds_of(line: &Line, answers: &[&Answer], (told, planned): (&Told, Option<&Planned>), wrong: &mut Vec<String>) {
    let mut expected: Words = answers.iter().copied().flat_map(kinds).map(|kind| (*kind).to_owned()).collect();
    let upper = line.upper();
    if ["EXECUTE", "PREPARE"].iter().any(|word| upper.starts_with(word)) {
        expected.insert("session".to_owned());
    }
    // Rows that come back of a change.
    if answers.iter().any(|answer| answer.rows && kinds(answer).contains(&"write")) {
        expected.insert("read".to_owned());
    }
    // The tag is of the last part only.
    for operation in planned.iter().flat_map(|planned| &planned.plan.operations) {
        expected.extend(operation_kinds(operation).iter().map(|kind| (*kind).to_owned()));
    }
    expected.extend(line.note("also"));
    let alone = line.note("kinds");
    if !alone.is_empty() {
        expected = alone;
    }
    let mut found = told.kinds.clone();
    // A query inside something else reads, and the tag is silent about it.
    let inside = ["SELECT", "TABLE", "EXECUTE"].iter().any(|word| upper.contains(word))
        || planned.is_some_and(|planned| !planned.plan.scans.is_empty());
    if inside && !expected.contains("read") {
        found.remove("read");
    }
    if found != expected {
        wrong.push(format!("it is {found:?}, by the server {expected:?}"));
    }
}

fn operation_kinds(operation: &str) -> &'static [&'static str] {
    match operation {
        "Delete" => &["write", "destructive"],
        _ => &["write"],
    }
}

fn tables(line: &Line, planned: &Planned, told: &Told, wrong: &mut Vec<String>) {
    let Planned { plan, views, relatives } = planned;
    let mut say = |what: &str, tables: Vec<&String>| {
        if !tables.is_empty() {
            wrong.push(format!("{what}: {tables:?}"));
        }
    };
    let family = |table: &String, of: &Words| {
        let related = |(parent, child): &(String, String)| {
            (parent == table && of.contains(child)) || (child == table && of.contains(parent))
        };
        of.contains(table) || relatives.iter().any(related)
    };
    let system = |table: &String| table.starts_with("pg_catalog.") || table.starts_with("information_schema.");
    // Who says that something is unknown has said that there may be more.
    if told.unknown.is_empty() {
        // What the server's own views are made of is not followed.
        let behind =
            |table: &String| system(table) && told.reads.iter().any(|read| views.contains(read) && system(read));
        let scanned = plan.scans.iter().filter(|table| !plan.writes.contains(*table) && !behind(table));
        say("scanned, and not told", scanned.filter(|table| !told.reads.contains(*table)).collect());
        say("changed, and not told", plan.writes.iter().filter(|table| !told.writes.contains(*table)).collect());
    }
    let excused = line.note("plan");
    let seen: Words = plan.scans.union(&plan.writes).cloned().collect();
    let read = told.reads.iter().filter(|table| !views.contains(*table) && !system(table) && !excused.contains(*table));
    say("told to be read, and not planned", read.filter(|table| !family(table, &seen)).collect());
    let written = told.writes.iter().filter(|table| !views.contains(*table) && !excused.contains(*table));
    say("told to be changed, and not planned", written.filter(|table| !family(table, &plan.writes)).collect());
}

#[test]
fn kinds_are_what_the_server_says() {
    let world = World::new();
    let lines = Line::all();
    assert!(lines.len() >= 250, "{}", lines.len());
    let [direct, intercepted] = ["bystander", "job"].map(|unit| session(&world, unit, &lines));
    let statements = world.statements(&world.ended());
    let mut findings = String::new();
    let mut plans = 0;
    for (at, line) in lines.iter().enumerate() {
        let record = statements.get(at).unwrap_or_else(|| panic!("no record of {}", line.sql));
        let mut all = wrong(line, &direct[at], &Told::of(record));
        if (&direct[at].answers, &direct[at].error) != (&intercepted[at].answers, &intercepted[at].error) {
            all.push(format!("intercepted, it is {:?} {:?}", intercepted[at].answers, intercepted[at].error));
        }
        plans += usize::from(direct[at].planned.is_some());
        for one in all {
            let _ = writeln!(findings, "  {}\n      {one}", line.sql);
        }
    }
    assert!(findings.is_empty(), "{} findings:\n{findings}", findings.lines().count() / 2);
    assert_eq!(statements.len(), lines.len());
    assert!(plans >= 90, "{plans} plans");
}

/// How often each statement ran, and the rows of it.
type Counts = BTreeMap<String, (u64, u64)>;

/// What the server counts beside what it was sent, with calls and rows: what a rule adds to a statement has its text, and a
/// function is run while its caller is planned.
const BESIDE: [(&str, u64, u64); 2] = [("INSERT INTO taken VALUES ($, $)", 1, 0), ("SELECT $ * n", 1, 1)];

/// A statement's text as `pg_stat_statements` has it: without its constants, whatever their order.
fn counted_as(text: &str) -> String {
    let bare = text.trim().trim_end_matches(';').trim_end();
    let normal = pg_query::normalize(bare).unwrap_or_else(|_| bare.to_owned());
    let mut parts = normal.split('$');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "$" + part.trim_start_matches(|one: char| one.is_ascii_digit()))
}

/// What runs by a plan. Others are counted by their text alone, with rows that their tags do not tell; and what Sallyport
/// asks the catalog for itself is by the same role.
fn is_compared(text: &str) -> bool {
    let verb = text.split([' ', '(']).next().unwrap_or_default().to_uppercase();
    let planned = ["SELECT", "VALUES", "TABLE", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE"];
    planned.contains(&verb.as_str()) && !text.contains("pg_catalog.pg_")
}

#[test]
fn kinds_of_statements_add_up_to_what_the_server_counted() {
    let world = World::new();
    // Counted as what it runs, not as what it is.
    let lines: Vec<Line> = Line::all()
        .into_iter()
        .filter(|line| ![";", "EXECUTE"].iter().any(|word| line.upper().contains(word)))
        .collect();
    world.server.sql("postgres", "CREATE EXTENSION pg_stat_statements; SELECT pg_stat_statements_reset()");
    session(&world, "job", &lines);
    let counted = "SELECT json_agg(json_build_object('query', query, 'calls', calls, 'rows', rows))
        FROM pg_stat_statements WHERE userid = 'by_trust'::regrole";
    let counted: Vec<Record> = serde_json::from_str(&world.server.sql("postgres", counted)).expect("JSON");
    let (mut theirs, mut ours) = (Counts::new(), Counts::new());
    let add = |to: &mut Counts, text: &str, calls: u64, rows: &Record| {
        if is_compared(text) {
            let entry = to.entry(counted_as(text)).or_default();
            *entry = (entry.0 + calls, entry.1 + rows.as_u64().unwrap_or_default());
        }
    };
    for one in &counted {
        add(
            &mut theirs,
            one["query"].as_str().expect("a text"),
            one["calls"].as_u64().expect("a number"),
            &one["rows"],
        );
    }
    for one in world.statements(&world.ended()).iter().filter(|one| one["status"] == "done") {
        add(&mut ours, one["statement"].as_str().expect("a text"), 1, &one["rows"]);
    }
    assert!(theirs.len() >= 100, "{}", theirs.len());
    for (text, calls, rows) in BESIDE {
        let count = theirs.get_mut(text).unwrap_or_else(|| panic!("{text} is not counted"));
        *count = (count.0 - calls, count.1 - rows);
    }
    // What means the same is one to the server, under the text that came first; so only the sums are the same.
    let sum = |of: &Counts| of.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let odd: Vec<_> = theirs.iter().filter(|(text, count)| ours.get(*text) != Some(count)).collect();
    assert_eq!(
        sum(&theirs),
        sum(&ours),
        "statements and rows, by the server and on the record; it has otherwise {odd:#?}"
    );
    assert!(odd.len() * 10 < theirs.len(), "{odd:#?}");
}

/// Functions of the server's own that are not the same each time and change nothing that anybody else sees: what they tell
/// is of the moment, or they fail outside of what they are for. A star stands for any end of a name.
const HARMLESS: &str = "amvalidate binary_upgrade_* clock_timestamp current_query currval gen_random_uuid lastval lo_close
    lo_lseek* lo_tell* pg_blocking_pids pg_collation_actual_version pg_control_* pg_current_wal_*
    pg_database_collation_actual_version pg_database_size pg_extension_config_dump pg_get_multixact_members
    pg_get_shmem_allocations pg_get_wal_* pg_indexes_size pg_is_in_recovery pg_is_wal_replay_paused
    pg_isolation_test_session_is_blocked pg_jit_available pg_last_* pg_lock_status pg_nextoid pg_notification_queue_usage
    pg_partition_ancestors pg_partition_tree pg_prepared_xact pg_relation_size pg_replication_origin_progress
    pg_replication_origin_session_is_setup pg_replication_origin_session_progress
    pg_safe_snapshot_blocking_pids pg_sequence_last_value pg_show_replication_origin_status pg_stat_get_*
    pg_stat_have_stats pg_stop_making_pinned_objects pg_table_size pg_tablespace_size pg_total_relation_size pg_xact_*
    plpgsql_call_handler plpgsql_validator random timeofday txid_status";

#[test]
fn kinds_of_every_function_of_the_server_are_known() {
    let world = World::new();
    let volatile = world.server.sql(
        "orders",
        "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v'
         AND prorettype <> ALL ('{trigger,event_trigger,internal}'::regtype[]) AND 'internal'::regtype <> ALL (proargtypes)",
    );
    let harmless = |name: &str| {
        HARMLESS.split_whitespace().any(|one| match one.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == one,
        })
    };
    let known = |name: &str| DANGEROUS.iter().any(|danger| danger.name == name);
    let found: Vec<&str> = volatile.lines().filter(|name| !known(name) && !harmless(name)).collect();
    assert!(found.is_empty(), "nobody has said what these do: {found:?}");
    let twice: Vec<&str> = volatile.lines().filter(|name| known(name) && harmless(name)).collect();
    assert!(twice.is_empty() && volatile.lines().count() > 150, "{twice:?}");
}
