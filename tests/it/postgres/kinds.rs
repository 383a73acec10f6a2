//! What statements are said to be, against what a server says of them: its tags, its plans, and how many it counted.
//!
//! `kinds.sql` is a session, a message on each line. After ` #! ` stands what the server's tag does not tell, and why:
//! `also KIND…`, `kinds KIND…` (these alone), `verb TAG`, `plan TABLE…` (read by name, not by plan), `refused SQLSTATE`.

use super::World;
use super::evasion::wire::{Message, Wire, cells, field};
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
        let text = include_str!("kinds.sql");
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

/// What the server said to one statement: its tag without numbers, and what came before it.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    tag: String,
    rows: bool,
    copied_in: bool,
    copied_out: bool,
}

/// What the server said to a message: each statement, and the error that ended it.
fn answers(messages: &[Message]) -> (Vec<Answer>, Option<String>) {
    let (mut all, mut since, mut error) = (Vec::new(), BTreeSet::new(), None);
    for (tag, body) in messages {
        match tag {
            b'C' => {
                let text = String::from_utf8_lossy(body);
                let words = text.trim_end_matches('\0').split(' ');
                let tag = words.filter(|word| word.parse::<u64>().is_err()).collect::<Vec<_>>().join(" ");
                let saw = |tag| since.contains(&tag);
                all.push(Answer { tag, rows: saw(b'T'), copied_in: saw(b'G'), copied_out: saw(b'H') });
                since.clear();
            }
            b'E' => {
                error = Some(field(body, b'C'));
                let (copied_in, copied_out) = (since.contains(&b'G'), since.contains(&b'H'));
                if copied_in || copied_out {
                    all.push(Answer { tag: "COPY".to_owned(), rows: false, copied_in, copied_out });
                }
            }
            other => drop(since.insert(*other)),
        }
    }
    (all, error)
}

/// What a statement is, as its tag tells.
fn kinds(answer: &Answer) -> &'static [&'static str] {
    let tag = answer.tag.as_str();
    match tag {
        "SELECT" if answer.rows => &["read"],
        // A table is made of the rows.
        "SELECT" => &["ddl", "write"],
        "INSERT" | "UPDATE" | "MERGE" | "REFRESH MATERIALIZED VIEW" => &["write"],
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
        "VACUUM" | "ANALYZE" | "REINDEX" | "CLUSTER" | "COMMENT" => &["ddl"],
        _ if tag.starts_with("CREATE ") || tag.starts_with("ALTER ") => &["ddl"],
        _ => &["session"],
    }
}

/// What a plan says: tables it scans, tables it changes, and what it does to them.
#[derive(Debug, Default)]
struct Plan {
    scans: Words,
    writes: Words,
    operations: Words,
}

impl Plan {
    fn read(&mut self, node: &Record) {
        match node {
            Record::Array(all) => all.iter().for_each(|one| self.read(one)),
            Record::Object(keys) => {
                let text = |key: &str| keys.get(key).and_then(Record::as_str);
                let changes = text("Node Type") == Some("ModifyTable");
                if changes {
                    self.operations.extend(text("Operation").map(str::to_owned));
                }
                if let (Some(schema), Some(table)) = (text("Schema"), text("Relation Name")) {
                    let tables = if changes { &mut self.writes } else { &mut self.scans };
                    tables.insert(named(schema, table));
                }
                for (key, value) in keys {
                    if key == "Target Tables" {
                        let mut inner = Self::default();
                        inner.read(value);
                        self.writes.extend(inner.scans);
                    } else {
                        self.read(value);
                    }
                }
            }
            Record::Null | Record::Bool(_) | Record::Number(_) | Record::String(_) => {}
        }
    }
}

/// A table's name; where temporary ones are, only the server knows.
fn named(schema: &str, table: &str) -> String {
    if schema.is_empty() || schema.starts_with("pg_temp") { table.to_owned() } else { format!("{schema}.{table}") }
}

/// What is true while a message runs that the server can plan.
#[derive(Debug, Default)]
struct Planned {
    plan: Plan,
    views: Words,
    /// Tables that are each other's parents and children.
    relatives: Vec<(String, String)>,
}

/// Says a message, and gives the first cell of each row.
fn ask(wire: &mut Wire, sql: &str) -> Result<Vec<String>, String> {
    wire.send(b'Q', &[sql.as_bytes(), b"\0"].concat());
    let messages = wire.until_ready();
    match answers(&messages).1 {
        Some(error) => Err(error),
        None => {
            let rows = messages.iter().filter(|(tag, _)| *tag == b'D');
            let first = |row: &Vec<u8>| cells(row).into_iter().next().flatten().unwrap_or_default();
            Ok(rows.map(|(_, row)| String::from_utf8_lossy(&first(row)).into_owned()).collect())
        }
    }
}

/// The plan of a message, if the server can tell it and nothing is in the way.
fn planned(wire: &mut Wire, line: &Line, status: u8) -> Option<Planned> {
    let upper = line.upper();
    let plannable = ["SELECT", "VALUES", "TABLE", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "EXECUTE", "DECLARE"];
    let begins = plannable.iter().any(|word| upper.starts_with(word)) || upper.contains(" AS SELECT");
    if !begins || upper.contains(';') || upper.starts_with("CREATE VIEW") || status == b'E' {
        return None;
    }
    if status == b'T' {
        ask(wire, "SAVEPOINT before_explain").ok()?;
    }
    let explained = ask(wire, &format!("EXPLAIN (VERBOSE, FORMAT JSON) {}", line.sql));
    if status == b'T' {
        ask(wire, "ROLLBACK TO before_explain; RELEASE before_explain").expect("a savepoint");
    }
    let mut planned = Planned::default();
    let text = explained.ok()?.join("\n");
    planned.plan.read(&serde_json::from_str(&text).expect("JSON"));
    let name = "CASE WHEN n.nspname LIKE 'pg_temp%' THEN c.relname ELSE n.nspname || '.' || c.relname END";
    let from = "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace";
    planned.views = ask(wire, &format!("SELECT {name} {from} WHERE c.relkind = 'v'")).ok()?.into_iter().collect();
    let of = |column: &str| format!("(SELECT {name} {from} WHERE c.oid = i.{column})");
    let pairs = format!("SELECT {} || ' ' || {} FROM pg_inherits i", of("inhparent"), of("inhrelid"));
    let pairs = ask(wire, &pairs).ok()?;
    let pairs = pairs.iter().filter_map(|pair| pair.split_once(' '));
    planned.relatives = pairs.map(|(parent, child)| (parent.to_owned(), child.to_owned())).collect();
    Some(planned)
}

/// What was said of one message, directly or not.
struct Heard {
    answers: Vec<Answer>,
    error: Option<String>,
    planned: Option<Planned>,
}

/// The whole session, from a unit; with plans where nobody listens.
fn session(world: &World, unit: &str, lines: &[Line]) -> Vec<Heard> {
    world.server.empty();
    let mut wire = Wire::open(world, unit, sallyport_tests::postgres::DATABASE, &[]);
    wire.until_ready();
    let plans = unit != "job";
    let mut status = b'I';
    let mut all = Vec::new();
    for line in lines {
        let planned = if plans { planned(&mut wire, line, status) } else { None };
        wire.send(b'Q', &[line.sql.as_bytes(), b"\0"].concat());
        let messages = wire.until_ready();
        assert!(!wire.closed, "{}: {messages:?}", line.sql);
        status = messages.last().and_then(|(_, body)| body.first().copied()).expect("a status");
        let (answers, error) = answers(&messages);
        all.push(Heard { answers, error, planned });
    }
    all
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
    let Heard { answers, error, planned } = heard;
    let refused = line.note("refused").into_iter().next();
    if *error != refused {
        wrong.push(format!("the server said {error:?}"));
    }
    if refused.is_none() && told.statements != answers.len() as u64 {
        wrong.push(format!("{} statements, and the server ran {}", told.statements, answers.len()));
    }
    // Of what is refused, the text says what it would have been.
    let would = refused.is_some().then(|| line.guess()).filter(|_| answers.is_empty());
    let answers: Vec<&Answer> = answers.iter().chain(&would).collect();
    verb(line, answers.first().copied(), told, &mut wrong);
    kinds_of(line, &answers, (told, planned.as_ref()), &mut wrong);
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
    let written = told.writes.iter().filter(|table| !views.contains(*table));
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
