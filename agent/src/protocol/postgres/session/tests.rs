//! Conversations, step by step.

use super::super::copy::{CopyResponse, Direction};
use super::super::extended::{Bind, Execute, FLUSH, Object, Parse, SYNC};
use super::super::notice::{Fields, Report};
use super::super::query::Tag;
use super::super::rows::{Columns, Row};
use super::super::wire::Formats;
use super::super::{auth::Authentication, message::Backend};
use super::*;

const COLUMN: &[u8] = b"\0\x01ssn\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";

/// A session and both its sides.
struct Talk(Session);

fn query(sql: &str) -> Frontend<'_> {
    Frontend::Query(sql.as_bytes())
}

fn parse<'a>(name: &'a str, sql: &'a str) -> Frontend<'a> {
    Frontend::Parse(Parse { statement: name.as_bytes(), sql: sql.as_bytes(), types: Default::default() })
}

fn bind<'a>(portal: &'a str, statement: &'a str) -> Frontend<'a> {
    let (formats, parameters, results) = Default::default();
    Frontend::Bind(Bind { portal: portal.as_bytes(), statement: statement.as_bytes(), formats, parameters, results })
}

fn execute(portal: &str) -> Frontend<'_> {
    Frontend::Execute(Execute { portal: portal.as_bytes(), max_rows: 0 })
}

fn error(severity: &str) -> Vec<u8> {
    format!("S{severity}\0V{severity}\0C42601\0Mno\0\0").into_bytes()
}

fn complete(tag: &str) -> Backend<'_> {
    Backend::Complete(Tag(tag.as_bytes()))
}

fn copy(direction: Direction) -> Backend<'static> {
    Backend::Copy(CopyResponse { direction, format: Default::default(), columns: Formats::default() })
}

const READY: Backend<'_> = Backend::Ready(Status::Idle);

impl Talk {
    fn open() -> Self {
        Self::with(&[])
    }

    fn with(parameters: &[(&str, &str)]) -> Self {
        let mut session = Session::new(Room::default());
        let mut kept = Vec::new();
        let pairs =
            parameters.iter().chain(&[("user", "ada")]).map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        session.start(&Start::new(0, pairs, &mut kept).unwrap()).unwrap();
        let mut talk = Self(session);
        let setting = super::super::notify::Parameter { name: b"client_encoding", value: b"UTF8" };
        for message in [Backend::Authentication(Authentication::Ok), Backend::Parameter(setting)] {
            talk.back(message);
        }
        assert_eq!(talk.back(READY), (Some(0), true));
        talk
    }

    fn turn(&mut self, message: Frontend<'_>) -> &'static str {
        match self.0.frontend(message).unwrap() {
            Turn::Ask(_) => "ask",
            Turn::Pass(_) => "pass",
            Turn::Drop => "drop",
            Turn::Wait => "wait",
        }
    }

    fn ask<'a>(&mut self, message: Frontend<'a>) -> Asked<'a> {
        let Turn::Ask(asked) = self.0.frontend(message).unwrap() else { panic!("{message:?} is not asked about") };
        asked
    }

    /// Passes it; gives its number.
    fn pass(&mut self, message: Frontend<'_>) -> Number {
        self.pass_with(message, &[])
    }

    fn pass_with(&mut self, message: Frontend<'_>, deeds: &[Deed<'_>]) -> Number {
        let asked = self.ask(message);
        let number = asked.number();
        let effects: Vec<_> = (0..).zip(deeds).map(|(statement, deed)| Effect { statement, deed: *deed }).collect();
        assert_eq!(self.0.pass(asked, &effects).unwrap(), Passed::Forward);
        number
    }

    fn deny(&mut self, message: Frontend<'_>) -> Number {
        let asked = self.ask(message);
        let number = asked.number();
        self.0.deny(asked, &Fields::denied("no")).unwrap();
        number
    }

    fn all(&mut self, messages: &[Frontend<'_>]) {
        for message in messages {
            self.pass(*message);
        }
    }

    fn sync(&mut self) {
        assert_eq!(self.turn(Frontend::Sync), "pass");
    }

    fn back(&mut self, message: Backend<'_>) -> (Option<Number>, bool) {
        let answer = self.0.backend(&message).unwrap_or_else(|error| panic!("{message:?}: {error}"));
        assert_eq!(answer.fate, Fate::Pass);
        (answer.request, answer.done)
    }

    fn backs(&mut self, messages: &[Backend<'_>]) {
        for message in messages {
            self.back(*message);
        }
    }

    fn fails(&mut self) -> Answer {
        let body = error("ERROR");
        self.0.backend(&Backend::Error(Report::decode(&body).unwrap())).unwrap()
    }

    /// Types of the messages the client gets now, and what the server gets.
    fn injected(&mut self) -> (String, Vec<u8>) {
        let (mut client, mut server) = (Vec::new(), Vec::new());
        self.0.inject(&mut client, &mut server);
        let mut types = String::new();
        let mut rest = &client[..];
        while let Some((tag, after)) = rest.split_first() {
            let (length, _) = after.split_first_chunk().unwrap();
            types.push(char::from(*tag));
            if *tag == b'Z' {
                types.push(char::from(after[4]));
            }
            rest = &after[u32::from_be_bytes(*length) as usize..];
        }
        (types, server)
    }

    /// What the next Bind of the unnamed portal would run.
    fn sql(&mut self, statement: &str) -> String {
        match self.0.statement(statement.as_bytes()) {
            Found::Known(statement) => String::from_utf8(statement.sql.to_vec()).unwrap(),
            Found::Missing => "missing".to_owned(),
            Found::Unsettled => "unsettled".to_owned(),
        }
    }
}

#[test]
fn answers_belong_to_requests() {
    let mut talk = Talk::open();
    let first = talk.pass(query("select 1; select 2"));
    let second = talk.pass(parse("", "select 3"));
    talk.all(&[bind("", ""), execute("")]);
    talk.sync();
    let row = Row::decode(b"\0\0").unwrap();
    for message in [Backend::Columns(Columns::decode(COLUMN).unwrap()), Backend::Row(row), complete("SELECT 1")] {
        assert_eq!(talk.back(message), (Some(first), false));
    }
    assert_eq!(talk.back(READY), (Some(first), true));
    assert_eq!(talk.back(Backend::ParseComplete), (Some(second), true));
    assert_eq!(talk.back(Backend::BindComplete), (Some(second + 1), true));
    assert_eq!(talk.back(Backend::Row(row)), (Some(second + 2), false));
    assert_eq!(talk.back(Backend::Suspended), (Some(second + 2), true));
    assert_eq!(talk.back(READY), (Some(second + 3), true));
    assert!(talk.0.idle());
    // And nothing more can be answered.
    for message in [READY, Backend::ParseComplete, Backend::Row(row), complete("SELECT 0")] {
        assert!(talk.0.backend(&message).is_err(), "{message:?}");
    }
}

#[test]
fn answers_come_in_their_order() {
    let mut talk = Talk::open();
    talk.all(&[parse("s", "select 1"), Frontend::Describe(Object::Statement(b"s")), bind("", "s")]);
    assert!(talk.0.backend(&Backend::BindComplete).is_err());
    assert!(talk.0.backend(&READY).is_err());
    talk.back(Backend::ParseComplete);
    // A statement's columns come after its parameters.
    assert!(talk.0.backend(&Backend::NoData).is_err());
}

#[test]
fn a_failure_skips_to_the_next_sync() {
    let mut talk = Talk::open();
    let failing = talk.pass(parse("", "selekt"));
    talk.all(&[bind("", ""), query("select 1")]);
    talk.sync();
    let next = talk.pass(query("select 2"));
    assert_eq!(talk.fails().skipped, Some((failing + 1, failing + 3)));
    assert_eq!(talk.back(READY), (Some(failing + 3), true));
    assert_eq!(talk.back(Backend::Empty), (Some(next), false));
    talk.back(READY);
    // When the Sync is still to come, everything before it goes nowhere.
    talk.pass(parse("", "selekt"));
    assert_eq!(talk.fails().skipped, None);
    assert_eq!(
        (talk.turn(query("select 1")), talk.turn(Frontend::Flush), talk.turn(bind("", ""))),
        ("drop", "drop", "drop")
    );
    talk.sync();
    talk.back(READY);
    assert_eq!(talk.turn(query("select 1")), "ask");
}

#[test]
fn names_are_those_the_server_keeps() {
    let mut talk = Talk::open();
    talk.all(&[parse("", "A"), parse("s", "S"), bind("", ""), parse("", "B")]);
    // The portal still runs what it was bound to.
    let Turn::Ask(asked) = talk.0.frontend(execute("")).unwrap() else { panic!() };
    let Request::Execute { portal: Some(portal), .. } = asked.request() else { panic!() };
    assert_eq!(portal.sql(), b"A");
    assert_eq!(talk.sql(""), "B");
    talk.sync();
    talk.backs(&[Backend::ParseComplete, Backend::ParseComplete, Backend::BindComplete, Backend::ParseComplete, READY]);
    // Statements outlive the transaction, portals do not, and a simple query drops the unnamed ones.
    assert!(matches!(talk.0.portal(b""), Found::Missing));
    assert_eq!((talk.sql(""), talk.sql("s")), ("B".to_owned(), "S".to_owned()));
    talk.pass(query("select 1"));
    assert_eq!((talk.sql(""), talk.sql("s")), ("missing".to_owned(), "S".to_owned()));
    let _ = talk.fails();
    talk.back(READY);
    assert_eq!(talk.sql(""), "missing");
}

#[test]
fn a_name_is_unsettled_until_its_batch_is_answered() {
    let mut talk = Talk::open();
    talk.all(&[parse("s", "A")]);
    assert_eq!(talk.sql("s"), "A", "what follows in the batch is skipped if it fails");
    talk.sync();
    assert_eq!(talk.sql("s"), "unsettled");
    assert_eq!(talk.turn(bind("", "s")), "wait");
    talk.back(Backend::ParseComplete);
    assert_eq!(talk.sql("s"), "A");
    talk.back(READY);
    // A second Parse of the name fails, and the first statement stays.
    talk.all(&[parse("s", "B")]);
    talk.sync();
    let _ = talk.fails();
    assert_eq!(talk.sql("s"), "A");
    talk.back(READY);
    // A failed Parse of the unnamed one leaves none.
    talk.all(&[parse("", "C")]);
    talk.sync();
    talk.backs(&[Backend::ParseComplete, READY]);
    talk.all(&[parse("", "D")]);
    talk.sync();
    let _ = talk.fails();
    assert_eq!(talk.sql(""), "missing");
}

#[test]
fn what_is_skipped_changes_nothing() {
    let mut talk = Talk::open();
    talk.all(&[parse("s", "A"), Frontend::Close(Object::Statement(b"s")), bind("x", "y"), parse("s", "B")]);
    talk.sync();
    talk.all(&[parse("t", "T")]);
    assert_eq!(talk.sql("s"), "unsettled");
    talk.backs(&[Backend::ParseComplete, Backend::CloseComplete]);
    let _ = talk.fails();
    assert_eq!((talk.sql("s"), talk.sql("t")), ("missing".to_owned(), "T".to_owned()));
    // An answered change that comes back by undoing is answered.
    talk.sync();
    talk.backs(&[READY, Backend::ParseComplete, READY]);
    talk.all(&[parse("u", "A"), Frontend::Close(Object::Statement(b"u"))]);
    talk.back(Backend::ParseComplete);
    let _ = talk.fails();
    talk.sync();
    assert_eq!(talk.sql("u"), "A");
}

#[test]
fn sql_changes_names_as_far_as_it_got() {
    let mut talk = Talk::open();
    let prepare = |name| Deed::Prepare { name, sql: b"P", types: &[] };
    talk.pass_with(query("prepare a; prepare b; selekt; prepare c"), &[prepare(b"a"), prepare(b"b"), Deed::Opaque]);
    assert_eq!(talk.sql("a"), "unsettled");
    talk.backs(&[complete("PREPARE")]);
    assert_eq!(
        (talk.sql("a"), talk.sql("b")),
        ("unsettled".to_owned(), "unsettled".to_owned()),
        "opaque code is to come"
    );
    talk.back(complete("PREPARE"));
    let _ = talk.fails();
    talk.back(READY);
    assert_eq!((talk.sql("a"), talk.sql("b"), talk.sql("c")), ("P".into(), "P".into(), "missing".into()));
    talk.pass_with(query("deallocate a"), &[Deed::Deallocate(b"a")]);
    talk.backs(&[complete("DEALLOCATE"), READY]);
    assert_eq!((talk.sql("a"), talk.sql("b")), ("missing".into(), "P".into()));
    talk.pass_with(query("discard all"), &[Deed::DiscardAll]);
    talk.backs(&[complete("DISCARD ALL"), READY]);
    assert_eq!(talk.sql("b"), "missing");
}

#[test]
fn cursors_live_as_long_as_their_transaction() {
    let mut talk = Talk::open();
    let cursor = |name, hold| Deed::Declare { name, sql: b"Q", hold };
    talk.pass_with(query("begin; declare c; declare h"), &[Deed::CloseAll, cursor(b"c", false), cursor(b"h", true)]);
    talk.backs(&[
        complete("BEGIN"),
        complete("DECLARE CURSOR"),
        complete("DECLARE CURSOR"),
        Backend::Ready(Status::Block),
    ]);
    let sql = |talk: &Talk, name: &[u8]| match talk.0.portal(name) {
        Found::Known(portal) => portal.sql().to_vec(),
        Found::Missing | Found::Unsettled => Vec::new(),
    };
    assert_eq!((sql(&talk, b"c"), sql(&talk, b"h")), (b"Q".to_vec(), b"Q".to_vec()));
    talk.pass(query("commit"));
    talk.backs(&[complete("COMMIT"), READY]);
    assert_eq!((sql(&talk, b"c"), sql(&talk, b"h")), (vec![], b"Q".to_vec()));
}

#[test]
fn a_denied_query_tells_the_true_state() {
    let mut talk = Talk::open();
    talk.pass(query("begin"));
    talk.deny(query("drop table t"));
    let after = talk.pass(query("select 1"));
    // In its turn: not before what came first is answered.
    assert_eq!(talk.injected(), (String::new(), vec![]));
    talk.backs(&[complete("BEGIN")]);
    assert_eq!(talk.injected().0, "");
    talk.back(Backend::Ready(Status::Block));
    assert_eq!(talk.injected(), ("EZT".to_owned(), vec![]));
    assert_eq!(talk.back(Backend::Empty), (Some(after), false));
    talk.back(Backend::Ready(Status::Failed));
    talk.deny(query("drop table t"));
    assert_eq!(talk.injected(), ("EZE".to_owned(), vec![]));
}

#[test]
fn a_denied_extended_request_is_answered_by_the_clients_sync() {
    let mut talk = Talk::open();
    talk.all(&[parse("", "A"), bind("", "")]);
    talk.deny(execute(""));
    assert_eq!(talk.injected(), (String::new(), FLUSH.to_vec()), "the server is asked for what it keeps");
    assert_eq!((talk.turn(execute("")), talk.turn(query("x")), talk.turn(Frontend::Flush)), ("drop", "drop", "drop"));
    talk.back(Backend::ParseComplete);
    assert_eq!(talk.injected().0, "");
    talk.back(Backend::BindComplete);
    assert_eq!(talk.injected().0, "E");
    talk.sync();
    talk.back(READY);
    assert_eq!(talk.injected(), (String::new(), vec![]));
    // With nothing before it, at once.
    talk.deny(parse("", "A"));
    assert_eq!(talk.injected(), ("E".to_owned(), vec![]));
    assert_eq!(talk.sql(""), "A", "the statement of before");
}

#[test]
fn a_denial_behind_a_failure_is_skipped_as_the_server_would() {
    let mut talk = Talk::open();
    let first = talk.pass(parse("", "selekt"));
    talk.deny(bind("", ""));
    talk.sync();
    assert_eq!(talk.fails().skipped, Some((first + 1, first + 2)));
    assert_eq!(talk.injected().0, "");
    talk.back(READY);
    assert!(talk.0.idle());
}

#[test]
fn a_denied_query_in_an_open_batch_becomes_a_sync() {
    let mut talk = Talk::open();
    talk.all(&[parse("", "begin"), bind("", ""), execute("")]);
    let denied = talk.deny(query("drop table t"));
    assert_eq!(talk.injected(), (String::new(), FLUSH.to_vec()));
    assert_eq!(talk.turn(query("select 1")), "wait", "it would overtake the Sync");
    talk.backs(&[Backend::ParseComplete, Backend::BindComplete, complete("BEGIN")]);
    assert_eq!(talk.injected(), ("E".to_owned(), SYNC.to_vec()));
    assert_eq!(talk.turn(query("select 1")), "ask");
    assert_eq!(talk.back(Backend::Ready(Status::Block)), (Some(denied), true));
    // If the batch has failed, the query is skipped, and with it its denial.
    talk.all(&[parse("", "selekt")]);
    talk.deny(query("drop table t"));
    let _ = talk.fails();
    assert_eq!(talk.injected().0, "");
    assert_eq!(talk.turn(query("select 1")), "drop");
    talk.sync();
    talk.back(Backend::Ready(Status::Failed));
}

#[test]
fn a_block_is_open_until_something_is_run_that_may_end_it() {
    let mut talk = Talk::open();
    assert!(!talk.0.in_block());
    talk.all(&[query("begin")]);
    assert!(!talk.0.in_block());
    talk.backs(&[complete("BEGIN"), Backend::Ready(Status::Block)]);
    assert!(talk.0.in_block());
    talk.all(&[parse("", "update t set a = 1"), bind("", "")]);
    assert!(talk.0.in_block());
    talk.all(&[execute("")]);
    assert!(!talk.0.in_block(), "it may be a COMMIT");
}

#[test]
fn a_held_request_finds_what_happened_meanwhile() {
    let mut talk = Talk::open();
    talk.pass(parse("", "selekt"));
    let held = talk.ask(bind("", ""));
    let mut told = Vec::new();
    assert!(talk.0.notice(&Fields::told("waiting for approval"), &mut told));
    assert_eq!(told[0], b'N');
    let _ = talk.fails();
    assert_eq!(talk.0.pass(held, &[]).unwrap(), Passed::Skipped);
    talk.sync();
    talk.back(READY);
    // Decisions do not overtake each other.
    let (first, second) = (talk.ask(query("a")), talk.ask(query("b")));
    assert_eq!(talk.0.pass(second, &[]).unwrap(), Passed::Forward);
    assert_eq!(talk.0.deny(first, &Fields::denied("no")), Err(ProtocolError::OutOfTurn));
}

#[test]
fn data_is_copied_in() {
    let mut talk = Talk::open();
    let number = talk.pass(query("copy t from stdin"));
    assert_eq!(talk.turn(Frontend::CopyData(b"1\n")), "wait");
    talk.back(copy(Direction::In));
    assert_eq!(talk.pass(Frontend::CopyData(b"1\n")), number);
    assert_eq!((talk.turn(Frontend::Sync), talk.turn(Frontend::Flush)), ("drop", "drop"));
    assert!(talk.0.frontend(query("select 1")).is_err());
    assert!(talk.0.backend(&complete("COPY 1")).is_err());
    assert_eq!(talk.turn(Frontend::CopyDone), "pass");
    assert_eq!(talk.back(complete("COPY 1")), (Some(number), false));
    talk.back(READY);
    assert_eq!(talk.turn(Frontend::CopyData(b"2\n")), "drop", "what is left over is ignored");
}

#[test]
fn a_sync_sent_before_the_copy_was_known_means_nothing() {
    let mut talk = Talk::open();
    talk.all(&[parse("", "copy t from stdin"), bind("", ""), execute("")]);
    talk.sync();
    talk.backs(&[Backend::ParseComplete, Backend::BindComplete, copy(Direction::In)]);
    talk.pass(Frontend::CopyData(b"x"));
    talk.turn(Frontend::CopyDone);
    talk.sync();
    talk.backs(&[complete("COPY 1"), READY]);
    assert!(talk.0.idle());
    // And a request there is what the server ends the session for.
    talk.all(&[query("copy t from stdin"), query("select 1")]);
    assert!(talk.0.backend(&copy(Direction::In)).is_err());
}

#[test]
fn denied_data_gives_the_copy_up() {
    let mut talk = Talk::open();
    talk.pass(query("copy t from stdin"));
    talk.back(copy(Direction::In));
    talk.pass(Frontend::CopyData(b"1\n"));
    talk.deny(Frontend::CopyData(b"2\n"));
    assert_eq!(talk.injected(), (String::new(), b"f\0\0\0\x07no\0".to_vec()));
    assert_eq!((talk.turn(Frontend::CopyData(b"3\n")), talk.turn(Frontend::CopyDone)), ("drop", "drop"));
    let Fate::Instead(error) = talk.fails().fate else { panic!("the client gets our error") };
    assert_eq!(error[0], b'E');
    talk.back(READY);
}

#[test]
fn data_is_copied_out_and_both_ways() {
    let mut talk = Talk::open();
    talk.pass(query("copy t to stdout"));
    talk.back(copy(Direction::Out));
    let _ = talk.0.bulk(b'd').unwrap();
    assert!(talk.0.bulk(b'D').is_err());
    talk.backs(&[Backend::CopyData(b"1\n"), Backend::CopyDone, complete("COPY 1"), READY]);
    let mut talk = Talk::with(&[("replication", "true")]);
    assert!(matches!(talk.ask(query("START_REPLICATION 0/0")).request(), Request::Replication { .. }));
    talk.pass(query("START_REPLICATION 0/0"));
    talk.back(copy(Direction::Both));
    talk.back(Backend::CopyData(b"w"));
    talk.pass(Frontend::CopyData(b"r"));
    assert_eq!(talk.turn(Frontend::CopyDone), "pass");
    talk.backs(&[Backend::CopyData(b"w"), Backend::CopyDone, Backend::Columns(Columns::decode(COLUMN).unwrap())]);
    talk.backs(&[complete("SELECT 0"), complete("START_STREAMING"), READY]);
}

#[test]
fn shapes_outlive_ready_for_query() {
    let mut talk = Talk::open();
    talk.all(&[parse("s", "select ssn"), Frontend::Describe(Object::Statement(b"s"))]);
    talk.sync();
    let columns = Backend::Columns(Columns::decode(COLUMN).unwrap());
    talk.backs(&[Backend::ParseComplete, Backend::Parameters(Default::default()), columns, READY]);
    talk.all(&[bind("", "s"), execute("")]);
    talk.back(Backend::BindComplete);
    let shape = talk.0.shape().unwrap();
    assert_eq!(shape.columns().unwrap().iter().next().unwrap().name, b"ssn");
    // Nobody described this one, so the session asks, and the client does not notice.
    talk.sync();
    talk.backs(&[complete("SELECT 0"), READY]);
    talk.all(&[parse("t", "select ssn"), bind("p", "t")]);
    let Found::Known(portal) = talk.0.portal(b"p") else { panic!() };
    let mut server = Vec::new();
    talk.0.describe(&portal, &mut server).unwrap();
    assert_eq!(server, b"D\0\0\0\x07Pp\0");
    talk.pass(execute("p"));
    talk.backs(&[Backend::ParseComplete, Backend::BindComplete]);
    assert_eq!(talk.0.backend(&columns).unwrap().fate, Fate::Swallow);
    assert!(talk.0.shape().is_some());
}

#[test]
fn a_function_is_called() {
    let mut talk = Talk::open();
    let call = b"\0\0\0\x01\0\0\0\0\0\0";
    let number = talk.pass(Frontend::decode(b'F', call).unwrap());
    assert!(talk.0.backend(&READY).is_err());
    assert_eq!(talk.back(Backend::FunctionResult(None)), (Some(number), false));
    assert_eq!(talk.back(READY), (Some(number), true));
    talk.deny(Frontend::decode(b'F', call).unwrap());
    assert_eq!(talk.injected().0, "EZI");
}

#[test]
fn a_session_is_in_the_database_that_the_server_takes_it_for() {
    for (said, expected) in [
        (&[("user", "ada"), ("database", "shop")][..], "shop"),
        (&[("user", "ada"), ("database", "nope"), ("database", "shop")], "shop"),
        (&[("database", "shop"), ("user", "ada"), ("database", "")], "ada"),
        (&[("user", "ada")], "ada"),
        (&[("user", "ada"), ("user", "eve")], "eve"),
        (&[("user", "ada"), ("Database", "shop")], "ada"),
    ] {
        let mut parameters = Vec::new();
        let pairs = said.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let start = Start::new(0, pairs, &mut parameters).unwrap();
        let mut session = Session::new(Room::default());
        session.start(&start).unwrap();
        assert_eq!(session.database(), expected.as_bytes(), "{said:?}");
    }
}

#[test]
fn a_session_has_a_beginning_and_an_end() {
    let mut session = Session::new(Room::default());
    assert!(session.frontend(query("x")).is_err());
    assert!(session.backend(&READY).is_err());
    let mut talk = Talk::open();
    assert_eq!(talk.0.parameter(b"client_encoding"), Some(&b"UTF8"[..]));
    assert!(talk.0.backend(&Backend::Authentication(Authentication::Ok)).is_err());
    // An administrator's shutdown comes to nobody.
    let body = error("FATAL");
    assert_eq!(talk.back(Backend::Error(Report::decode(&body).unwrap())), (None, false));
    assert!(talk.0.ended());
    assert!(talk.0.frontend(query("x")).is_err());
    let mut talk = Talk::open();
    assert_eq!(talk.turn(Frontend::Terminate), "pass");
    assert!(talk.0.frontend(query("x")).is_err());
}

#[test]
fn room_is_limited() {
    let room = Room { requests: 2, names: 2, kept: 20, parameters: 1 };
    let mut talk = Talk::open();
    talk.0.room = room;
    talk.all(&[query("a"), query("b")]);
    assert_eq!((talk.turn(query("c")), talk.turn(Frontend::Flush)), ("wait", "pass"));
    let mut talk = Talk::open();
    talk.0.room = room;
    assert!(talk.0.frontend(parse("s", "twenty bytes of text!")).is_err());
    talk.all(&[parse("s", "a"), parse("t", "a")]);
    let mut talk = Talk::open();
    talk.0.room = Room { requests: 9, ..room };
    talk.all(&[parse("s", "a"), parse("t", "a")]);
    assert!(talk.0.frontend(parse("u", "a")).is_err());
    let more = super::super::notify::Parameter { name: b"x", value: b"" };
    assert!(talk.0.backend(&Backend::Parameter(more)).is_err());
}
