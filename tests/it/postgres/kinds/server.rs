//! The session, said to a server: what it answers, what it plans, and what it makes of it in a read-only transaction.

use super::super::World;
use super::super::evasion::wire::{Message, Wire, cells, field};
use super::{Line, Words};
use sallyport_tests::Record;
use std::collections::BTreeSet;

/// What the server said to one statement: its tag without numbers, and what came before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub tag: String,
    pub rows: bool,
    pub copied_in: bool,
    pub copied_out: bool,
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

/// What a plan says: tables it scans, tables it changes, and what it does to them.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub scans: Words,
    pub writes: Words,
    pub operations: Words,
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
pub(super) fn named(schema: &str, table: &str) -> String {
    if schema.is_empty() || schema.starts_with("pg_temp") { table.to_owned() } else { format!("{schema}.{table}") }
}

/// What is true while a message runs that the server can plan.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub plan: Plan,
    pub views: Words,
    /// Tables that are each other's parents and children.
    pub relatives: Vec<(String, String)>,
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

/// What leaves something behind that no rollback undoes, or is about transactions.
const NOT_TWICE: [&str; 13] = [
    "PREPARE",
    "DEALLOCATE",
    "DISCARD",
    "BEGIN",
    "START",
    "COMMIT",
    "END",
    "ABORT",
    "ROLLBACK",
    "FETCH",
    "MOVE",
    "CLOSE",
    ";",
];

/// What a read-only transaction makes of a message, which is undone then.
fn read_only(wire: &mut Wire, line: &Line, status: u8) -> Option<Result<(), String>> {
    let upper = line.upper();
    if status != b'I' || upper.contains(';') || NOT_TWICE.iter().any(|word| upper.starts_with(word)) {
        return None;
    }
    ask(wire, "BEGIN READ ONLY").expect("a transaction");
    let came = ask(wire, line.sql).map(drop);
    ask(wire, "ROLLBACK").expect("the end of it");
    Some(came)
}

/// What was said of one message, directly or not.
pub(super) struct Heard {
    pub answers: Vec<Answer>,
    pub error: Option<String>,
    /// Of a transaction that is read-only, and what came of it there.
    pub read_only: Option<Result<(), String>>,
    pub planned: Option<Planned>,
}

/// The whole session, from a unit; with plans where nobody listens.
pub(super) fn session(world: &World, unit: &str, lines: &[Line]) -> Vec<Heard> {
    world.server.empty();
    let mut wire = Wire::open(world, unit, sallyport_tests::postgres::DATABASE, &[]);
    wire.until_ready();
    let plans = unit != "job";
    let mut status = b'I';
    let mut all = Vec::new();
    for line in lines {
        let read_only = if plans { read_only(&mut wire, line, status) } else { None };
        let planned = if plans { planned(&mut wire, line, status) } else { None };
        wire.send(b'Q', &[line.sql.as_bytes(), b"\0"].concat());
        let messages = wire.until_ready();
        assert!(!wire.closed, "{}: {messages:?}", line.sql);
        status = messages.last().and_then(|(_, body)| body.first().copied()).expect("a status");
        let (answers, error) = answers(&messages);
        all.push(Heard { answers, error, read_only, planned });
    }
    all
}
