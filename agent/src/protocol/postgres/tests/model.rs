//! A server that is only a model of one, behind a session that passes and denies at random: whatever is sent, whatever
//! fails, and however late answers come, the session knows what the server runs, and the client gets what it waits for.

use std::collections::{HashMap, VecDeque};

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::auth::Authentication;
use super::super::extended::{Bind, Execute, Object, Parse};
use super::super::frame::{Frame, Framer, Limits};
use super::super::message::{Backend, Frontend};
use super::super::notice::{Fields, Report};
use super::super::query::{Status, Tag};
use super::super::session::{Fate, Passed, Request, Room, Session, Turn};
use super::super::startup::Start;

/// What a client does.
#[derive(Clone, Copy, Debug)]
enum Step {
    Query {
        denied: bool,
        fails: bool,
    },
    Parse {
        name: u8,
        fails: bool,
    },
    Bind {
        portal: u8,
        statement: u8,
    },
    Execute {
        portal: u8,
        denied: bool,
    },
    Close {
        name: u8,
        portal: bool,
    },
    Describe {
        name: u8,
    },
    Flush,
    Sync,
    /// The server's next answers arrive, so many of them.
    Answers(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..3_u8;
    prop_oneof![
        2 => (prop::bool::weighted(0.3), prop::bool::weighted(0.2)).prop_map(|(denied, fails)| Step::Query { denied, fails }),
        4 => (name.clone(), prop::bool::weighted(0.2)).prop_map(|(name, fails)| Step::Parse { name, fails }),
        4 => (name.clone(), name.clone()).prop_map(|(portal, statement)| Step::Bind { portal, statement }),
        4 => (name.clone(), prop::bool::weighted(0.2)).prop_map(|(portal, denied)| Step::Execute { portal, denied }),
        2 => (name.clone(), any::<bool>()).prop_map(|(name, portal)| Step::Close { name, portal }),
        1 => name.prop_map(|name| Step::Describe { name }),
        1 => Just(Step::Flush),
        4 => Just(Step::Sync),
        6 => (1..6_u8).prop_map(Step::Answers),
    ]
}

/// The empty name, `a`, `b`.
fn named(name: u8) -> &'static [u8] {
    [&b""[..], b"a", b"b"][usize::from(name)]
}

/// Reads messages as a server does, and answers.
struct Server {
    framer: Framer,
    statements: HashMap<Vec<u8>, Vec<u8>>,
    portals: HashMap<Vec<u8>, Vec<u8>>,
    skipping: bool,
    /// Answers, and how many of them the client would see without asking.
    answers: VecDeque<Vec<u8>>,
    flushed: usize,
    /// What was run, by the SQL's text.
    ran: Vec<Vec<u8>>,
}

impl Server {
    fn answer(&mut self, message: Backend<'_>) {
        let mut out = Vec::new();
        message.encode(&mut out);
        self.answers.push_back(out);
    }

    fn flush(&mut self) {
        self.flushed = self.answers.len();
    }

    fn ready(&mut self) {
        self.portals.clear();
        self.answer(Backend::Ready(Status::Idle));
        self.flush();
    }

    fn fail(&mut self) {
        let body = b"SERROR\0VERROR\0C42601\0Mserver\0\0";
        self.answer(Backend::Error(Report::decode(body).unwrap()));
        self.flush();
    }

    /// The answer to an extended request: it, or an error and nothing more before Sync.
    fn done(&mut self, good: bool, message: Backend<'_>) {
        if good {
            self.answer(message);
        } else {
            self.fail();
            self.skipping = true;
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(Frame::Message { tag, body, bytes }) = self.framer.next(rest).unwrap() {
            rest = &rest[bytes.len()..];
            let message = Frontend::decode(tag, body).unwrap();
            if !self.skipping || message == Frontend::Sync {
                self.take(message);
            }
        }
        assert!(rest.is_empty());
    }

    fn take(&mut self, message: Frontend<'_>) {
        match message {
            Frontend::Query(sql) => {
                self.statements.remove(&b""[..]);
                self.portals.remove(&b""[..]);
                self.ran.push(sql.to_vec());
                if sql.starts_with(b"fail") {
                    self.fail();
                } else {
                    self.answer(Backend::Complete(Tag(b"DO")));
                }
                self.ready();
            }
            Frontend::Parse(parse) => {
                let exists = self.statements.contains_key(parse.statement) && !parse.statement.is_empty();
                if parse.statement.is_empty() {
                    self.statements.remove(&b""[..]);
                }
                let good = !exists && !parse.sql.starts_with(b"fail");
                if good {
                    self.statements.insert(parse.statement.to_vec(), parse.sql.to_vec());
                }
                self.done(good, Backend::ParseComplete);
            }
            Frontend::Bind(bind) => {
                let taken = self.portals.contains_key(bind.portal) && !bind.portal.is_empty();
                let statement = self.statements.get(bind.statement).filter(|_| !taken).cloned();
                let good = statement.is_some();
                if let Some(sql) = statement {
                    self.portals.insert(bind.portal.to_vec(), sql);
                }
                self.done(good, Backend::BindComplete);
            }
            Frontend::Execute(execute) => {
                let sql = self.portals.get(execute.portal).cloned();
                self.ran.extend(sql.clone());
                self.done(sql.is_some(), Backend::Complete(Tag(b"DO")));
            }
            Frontend::Describe(Object::Portal(name)) => {
                let good = self.portals.contains_key(name);
                self.done(good, Backend::NoData);
            }
            Frontend::Close(Object::Statement(name)) => {
                self.statements.remove(name);
                self.answer(Backend::CloseComplete);
            }
            Frontend::Close(Object::Portal(name)) => {
                self.portals.remove(name);
                self.answer(Backend::CloseComplete);
            }
            Frontend::Flush => self.flush(),
            Frontend::Sync => {
                self.skipping = false;
                self.ready();
            }
            Frontend::Describe(Object::Statement(_))
            | Frontend::Secret(_)
            | Frontend::FunctionCall(_)
            | Frontend::CopyData(_)
            | Frontend::CopyDone
            | Frontend::CopyFail(_)
            | Frontend::Terminate => panic!("{message:?} was not sent"),
        }
    }
}

struct World {
    session: Session,
    server: Server,
    /// Everything the client got, by type; `!` is a denial.
    got: String,
    /// How many ReadyForQuery the client waits for.
    waits_for: usize,
    /// What the client still has to say, because an answer comes first.
    held: VecDeque<(Vec<u8>, bool)>,
    /// What the session thought would be run, in order.
    thought: Vec<Vec<u8>>,
}

impl World {
    fn new() -> Self {
        let mut session = Session::new(Room { requests: 1000, ..Room::default() });
        let mut kept = Vec::new();
        session.start(&Start::new(0, [(&b"user"[..], &b"a"[..])].into_iter(), &mut kept).unwrap()).unwrap();
        let _ = session.backend(&Backend::Authentication(Authentication::Ok)).unwrap();
        let _ = session.backend(&Backend::Ready(Status::Idle)).unwrap();
        let mut framer = Framer::frontend(Limits::default());
        framer.next(b"\0\0\0\x10\0\x03\0\0user\0a\0\0").unwrap();
        framer.open();
        let (statements, portals, answers, ran) = Default::default();
        let server = Server { framer, statements, portals, skipping: false, answers, flushed: 0, ran };
        let (got, held, thought) = Default::default();
        Self { session, server, got, waits_for: 0, held, thought }
    }

    fn say(&mut self, message: Frontend<'_>, denied: bool) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.held.push_back((bytes, denied));
        self.go_on();
    }

    fn go_on(&mut self) {
        while let Some((bytes, denied)) = self.held.pop_front() {
            let message = Frontend::decode(bytes[0], &bytes[5..]).unwrap();
            match self.session.frontend(message).unwrap() {
                Turn::Ask(asked) if denied => self.session.deny(asked, &Fields::denied("no")).unwrap(),
                Turn::Ask(asked) => {
                    let thought = match asked.request() {
                        Request::Execute { portal, .. } => portal.as_ref().map(|portal| portal.sql().to_vec()),
                        Request::Simple { sql } => Some(sql.to_vec()),
                        Request::Replication { .. }
                        | Request::Parse(_)
                        | Request::Bind { .. }
                        | Request::DescribeStatement(_)
                        | Request::DescribePortal(_)
                        | Request::Close(_)
                        | Request::FunctionCall(_)
                        | Request::CopyData(_) => None,
                    };
                    let unknown = matches!(asked.request(), Request::Execute { portal: None, .. });
                    assert_eq!(self.session.pass(asked, &[]).unwrap(), Passed::Forward);
                    let ran = self.server.ran.len();
                    self.server.receive(&bytes);
                    // What the server runs is what was asked about.
                    let run = self.server.ran.get(ran).cloned();
                    assert!(run.is_none() || run == thought, "{run:?} was run, and {thought:?} asked about");
                    assert!(!unknown || run.is_none());
                    self.thought.extend(thought);
                }
                Turn::Pass(_) => self.server.receive(&bytes),
                Turn::Drop => {}
                Turn::Wait => {
                    self.held.push_front((bytes, denied));
                    self.inject();
                    return;
                }
            }
            self.inject();
        }
    }

    fn inject(&mut self) {
        let (mut client, mut server) = (Vec::new(), Vec::new());
        self.session.inject(&mut client, &mut server);
        self.server.receive(&server);
        let mut framer = Framer::backend(Limits::default());
        let mut rest = &client[..];
        while let Some(frame) = framer.next(rest).unwrap() {
            let Frame::Message { tag, .. } = frame else { panic!() };
            self.got.push(if tag == b'E' { '!' } else { char::from(tag) });
            rest = &rest[frame.consumed()..];
        }
    }

    /// One answer arrives, if the server has sent it.
    fn hear(&mut self) -> bool {
        if self.server.flushed == 0 {
            return false;
        }
        self.server.flushed -= 1;
        let bytes = self.server.answers.pop_front().unwrap();
        let message = Backend::decode(bytes[0], &bytes[5..]).unwrap();
        let answer = self.session.backend(&message).unwrap();
        assert_eq!(answer.fate, Fate::Pass);
        self.got.push(char::from(bytes[0]));
        self.inject();
        self.go_on();
        true
    }

    fn step(&mut self, number: usize, step: Step) {
        let sql = |fails: bool| format!("{} {number}", if fails { "fail" } else { "do" }).into_bytes();
        match step {
            Step::Query { denied, fails } => self.say(Frontend::Query(&sql(fails)), denied),
            Step::Parse { name, fails } => {
                let parse = Parse { statement: named(name), sql: &sql(fails), types: Default::default() };
                self.say(Frontend::Parse(parse), false);
            }
            Step::Bind { portal, statement } => {
                let (formats, parameters, results) = Default::default();
                let (portal, statement) = (named(portal), named(statement));
                self.say(Frontend::Bind(Bind { portal, statement, formats, parameters, results }), false);
            }
            Step::Execute { portal, denied } => {
                self.say(Frontend::Execute(Execute { portal: named(portal), max_rows: 0 }), denied);
            }
            Step::Close { name, portal: true } => self.say(Frontend::Close(Object::Portal(named(name))), false),
            Step::Close { name, portal: false } => self.say(Frontend::Close(Object::Statement(named(name))), false),
            Step::Describe { name } => self.say(Frontend::Describe(Object::Portal(named(name))), false),
            Step::Flush => self.say(Frontend::Flush, false),
            Step::Sync => {
                self.waits_for += 1;
                self.say(Frontend::Sync, false);
            }
            Step::Answers(count) => {
                for _ in 0..count {
                    self.hear();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_session_knows_what_the_server_runs(steps in vec(step(), 1..40)) {
        let mut world = World::new();
        for (number, step) in steps.iter().enumerate() {
            world.step(number, *step);
        }
        world.step(steps.len(), Step::Sync);
        while world.hear() {}
        prop_assert!(world.held.is_empty(), "the client waits for ever: {}", world.got);
        prop_assert!(world.session.idle(), "{}", world.got);
        prop_assert!(world.server.answers.is_empty());
        // Every Sync is answered, and every simple query that was not skipped.
        let ready = world.got.matches('Z').count();
        let queries = steps.iter().filter(|step| matches!(step, Step::Query { .. })).count();
        prop_assert!((world.waits_for..=world.waits_for + queries).contains(&ready), "{}", world.got);
        prop_assert!(world.got.ends_with('Z'));
        // And nothing is left of what came between: both know the same names.
        for name in 0..3 {
            use super::super::session::Found;
            let found = match world.session.statement(named(name)) {
                Found::Known(statement) => Some(statement.sql.to_vec()),
                Found::Missing => None,
                Found::Unsettled => Some(b"unsettled".to_vec()),
            };
            prop_assert_eq!(found.as_ref(), world.server.statements.get(named(name)));
        }
    }
}
