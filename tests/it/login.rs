//! Logging in to a real PostgreSQL, in all the ways there are.

use std::net::TcpStream as Blocking;

use sallyport::config::{ClientCertificate, Upstream};
use sallyport::protocol::postgres::login::{Account, Login, LoginError, Method, Password, Ready, Step, Wire};
use sallyport::protocol::postgres::startup::{Encryption, Start, Startup};
use sallyport::protocol::postgres::{Backend, Frame, Framer, Frontend, Limits};
use sallyport::proxy::tls::{Connector, Level, To, name, server_end_point};
use sallyport_tests::{Bed, Postgres, Role, postgres};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const PORT: u16 = 5439;

trait Both: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

/// A connection after its login.
struct Session {
    stream: Box<dyn Both>,
    framer: Framer,
    input: Vec<u8>,
    ready: Ready,
}

struct World {
    bed: Bed,
    server: Postgres,
    upstream: Upstream,
}

impl World {
    fn new() -> Self {
        let bed = Bed::new();
        let server = Postgres::start(&bed, PORT);
        let upstream = Upstream { ca: Some(server.authority()), ..Upstream::default() };
        Self { bed, server, upstream }
    }

    /// By TLS with everything verified, or in clear.
    async fn reach(&self, tls: bool) -> (Box<dyn Both>, Wire) {
        let addr = self.server.addr();
        let socket = self.bed.network().here.run(|| Blocking::connect(addr)).expect("the server listens");
        socket.set_nonblocking(true).expect("a socket");
        let mut stream = TcpStream::from_std(socket).expect("a socket");
        if !tls {
            return (Box::new(stream), Wire::Clear);
        }
        let mut out = Vec::new();
        Startup::Tls.encode(&mut out);
        stream.write_all(&out).await.expect("the server reads");
        let answer = stream.read_u8().await.expect("the server answers");
        assert_eq!(Encryption::decode(&Startup::Tls, answer), Ok(Encryption::Accepted));
        let name = name(&self.upstream, Some(postgres::NAME), None, addr.ip());
        let to = To { upstream: &self.upstream, level: Level::Full, name: &name, direct: false };
        let connected = Connector::default().connect(stream, to).await.expect("a certificate to be trusted");
        let end_point = server_end_point(&connected.leaf);
        assert!(end_point.is_some(), "SCRAM can be bound to this certificate");
        (Box::new(connected.stream), Wire::Tls(end_point))
    }

    async fn login(&self, account: Account, tls: bool) -> Result<Session, LoginError> {
        let (mut stream, wire) = self.reach(tls).await;
        let mut kept = Vec::new();
        let wanted = [("user", "somebody"), ("database", postgres::DATABASE), ("application_name", "test")];
        let wanted = wanted.into_iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let start = Start::new(0, wanted, &mut kept).expect("a startup message");
        let (mut login, first) = Login::begin(account, wire, &start, Some("0123"), rand())?;
        stream.write_all(&first).await.expect("the server reads");
        let (mut framer, mut input) = (Framer::backend(Limits::default()), Vec::new());
        loop {
            let (tag, body) = message(&mut stream, &mut framer, &mut input).await;
            let mut step = login.receive(&Backend::decode(tag, &body).expect("a message"))?;
            if let Step::Run(work) = step {
                step = login.worked(work.run())?;
            }
            match step {
                Step::Send(bytes) => stream.write_all(&bytes).await.expect("the server reads"),
                Step::Done(ready) => return Ok(Session { stream, framer, input, ready: *ready }),
                Step::Read | Step::Run(_) => {}
            }
        }
    }

    /// What a server says of a session: its user, its role, its name.
    async fn whoami(&self, account: Account, tls: bool) -> (Ready, String) {
        let mut session = self.login(account, tls).await.expect("a login");
        let mut out = Vec::new();
        Frontend::Query(b"SELECT session_user || ' ' || current_user || ' ' || current_setting('application_name')")
            .encode(&mut out);
        session.stream.write_all(&out).await.expect("the server reads");
        loop {
            let (tag, body) = message(&mut session.stream, &mut session.framer, &mut session.input).await;
            if let Backend::Row(row) = Backend::decode(tag, &body).expect("a message") {
                let cell = row.cells().next().flatten().expect("a cell");
                return (session.ready, String::from_utf8_lossy(cell).into_owned());
            }
        }
    }
}

async fn message(stream: &mut Box<dyn Both>, framer: &mut Framer, input: &mut Vec<u8>) -> (u8, Vec<u8>) {
    loop {
        let frame = framer.next(input).expect("the protocol");
        if let Some(frame @ Frame::Message { tag, body, .. }) = frame {
            let (found, consumed) = ((tag, body.to_vec()), frame.consumed());
            input.drain(..consumed);
            return found;
        }
        assert_ne!(stream.read_buf(input).await.expect("the server goes on"), 0, "the server hung up");
    }
}

fn rand() -> [u8; 18] {
    let mut random = [0; 18];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").expect("random numbers"), &mut random)
        .expect("random numbers");
    random
}

fn account(role: Role, method: Method) -> Account {
    let password = (method != Method::None).then(|| Password::new(role.password().into_bytes())).flatten();
    Account { role: role.name().to_owned(), password, accept: vec![method], set_role: None }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

#[test]
fn a_real_server_lets_us_in_by_every_method() {
    let world = World::new();
    block_on(async {
        for (role, method, tls, bound) in [
            (Role::Scram, Method::Scram, true, true),
            (Role::Scram, Method::Scram, false, false),
            (Role::Md5, Method::Md5, true, false),
            (Role::Clear, Method::Password, true, false),
            (Role::Trust, Method::None, true, false),
        ] {
            let (ready, who) = world.whoami(account(role, method), tls).await;
            assert_eq!((ready.method, ready.bound), (method, bound), "{role:?}");
            assert_eq!(who, format!("{0} {0} test [0123]", role.name()));
            assert!(ready.key.is_some() && ready.parameters.contains_key(&b"server_version"[..]));
        }
    });
}

#[test]
fn a_real_server_takes_our_certificate() {
    let mut world = World::new();
    let (certificate, key) = world.server.client_certificate();
    // A key of the database's user is not the daemon's.
    let ours = tempfile::tempdir().expect("a directory");
    let copy = ours.path().join("client.key");
    std::fs::copy(key, &copy).expect("a copy");
    world.upstream.client = Some(ClientCertificate { certificate, key: copy });
    let (ready, who) = block_on(world.whoami(account(Role::Cert, Method::None), true));
    assert_eq!((ready.method, who.as_str()), (Method::None, "by_cert by_cert test [0123]"));
}

#[test]
fn a_real_server_refuses_and_is_refused() {
    let world = World::new();
    let wrong = Account { password: Password::new(b"wrong".to_vec()), ..account(Role::Scram, Method::Scram) };
    let failed = |account, tls| block_on(world.login(account, tls)).map(|_| ()).expect_err("no login");
    let error = failed(wrong, true);
    assert!(matches!(&error, LoginError::Server { sqlstate, .. } if sqlstate == b"28P01"), "{error}");
    assert_eq!(error.client_text(), "Sallyport could not log in to the database");
    assert_eq!(failed(account(Role::Md5, Method::Scram), true), LoginError::Method(Method::Md5));
    assert_eq!(failed(account(Role::Clear, Method::Password), false), LoginError::InClear(Method::Password));
    assert_eq!(failed(account(Role::Trust, Method::Scram), true), LoginError::Method(Method::None));
}

#[test]
fn a_real_server_gives_us_the_role() {
    let world = World::new();
    world.server.sql("postgres", "CREATE ROLE \"read \"\"only\" NOLOGIN; GRANT \"read \"\"only\" TO by_scram");
    let with = |role: &str| Account { set_role: Some(role.to_owned()), ..account(Role::Scram, Method::Scram) };
    let (_, who) = block_on(world.whoami(with("read \"only"), true));
    assert_eq!(who, "by_scram read \"only test [0123]");
    let error = block_on(world.login(with("postgres"), true)).map(|_| ()).expect_err("no role");
    assert!(matches!(&error, LoginError::Server { sqlstate, .. } if sqlstate == b"42501"), "{error}");
    assert_eq!(error.sqlstate(), *b"28000");
}
