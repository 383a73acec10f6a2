//! The beginning of a connection: what encryption is used, who asks for which database, and who logs in.

use std::net::IpAddr;

use rustls::pki_types::ServerName;
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    fault::{Fault, Who},
    side::Side,
    stream::Stream,
    upstream::Upstream,
};
use crate::{
    config,
    protocol::postgres::{Frame, Framer, Limits, ProtocolError, Startup, startup::Encryption},
    proxy::{
        Proxy,
        tls::{self, Connected, Facts, Hello, Hints, Level, Reach, To},
    },
};

/// First byte of a TLS record with a ClientHello (RFC 8446, 5.1): nothing else of PostgreSQL's begins with it.
const HANDSHAKE: u8 = 22;

/// What a connection is for.
pub(super) struct Opened {
    pub(super) client: Side<Stream>,
    pub(super) server: Upstream,
    pub(super) frontend: Framer,
    pub(super) secured: Secured,
    pub(super) wants: Wants,
}

/// What a client wants.
pub(super) enum Wants {
    /// A session; the packet's body.
    Session(Box<[u8]>),
    /// To cancel another session's request; the packet's body.
    Cancel(Box<[u8]>),
    /// Nothing: it left.
    Nothing,
}

/// TLS on both sides: for the record.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Secured {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<Facts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<Facts>,
    /// For channel binding.
    #[serde(skip)]
    pub(super) end_point: Option<Vec<u8>>,
}

/// What is known of the place before anything is said.
pub(super) struct Entrance<'a> {
    pub(super) proxy: &'a Proxy,
    pub(super) upstream: &'a config::Upstream,
    /// Name of the target, for certificates.
    pub(super) host: Option<&'a str>,
    pub(super) address: IpAddr,
}

/// Why there is no session, and the client, where it can still be told.
pub(super) type Failed = Box<(Option<Side<Stream>>, Fault)>;

fn fail<T>(client: Side<Stream>, fault: Fault) -> Result<T, Failed> {
    Err(Box::new((Some(client), fault)))
}

/// For errors of a client that is gone, or whose stream is inside something that failed.
fn gone(fault: Fault) -> Failed {
    Box::new((None, fault))
}

/// Answers a client until it says what it wants, and reaches the server as the client, or the target, would have it.
pub(super) async fn open(entrance: &Entrance<'_>, client: TcpStream, server: TcpStream) -> Result<Opened, Failed> {
    let mut first = [0];
    match client.peek(&mut first).await {
        Ok(1..) if first == [HANDSHAKE] => entrance.direct(client, server).await,
        Ok(_) => entrance.negotiated(Side::new(Stream::Plain(client)), server).await,
        Err(error) => Err(gone(Fault::Client(error))),
    }
}

/// What a client is told of TLS that failed, without anything of the target.
fn insecure(error: &tls::TlsError) -> Fault {
    Fault::Refused { sqlstate: *b"08006", client: error.client_text().to_owned(), log: error.to_string() }
}

/// What a client's packet says.
enum Packet {
    Wants(Wants),
    Tls,
}

/// Reads packets until one says what the client wants. Encryption by GSSAPI is always declined.
async fn packet(client: &mut Side<Stream>, frontend: &mut Framer) -> Result<Packet, Fault> {
    let protocol = |error: ProtocolError| Fault::Protocol(Who::Client, error);
    loop {
        let (input, out) = client.split();
        let Some(frame) = frontend.next(input).map_err(protocol)? else {
            if client.ended() {
                return Ok(Packet::Wants(Wants::Nothing));
            }
            client.drain().await.map_err(Fault::Client)?;
            client.fill().await.map_err(Fault::Client)?;
            continue;
        };
        let consumed = frame.consumed();
        let Frame::Packet(body) = frame else { return Err(protocol(ProtocolError::OutOfTurn)) };
        let said = match Startup::decode(body).map_err(protocol)? {
            Startup::Tls => Some(Packet::Tls),
            Startup::Gss => {
                out.push(b'N');
                frontend.answered();
                None
            }
            Startup::Cancel(_) => Some(Packet::Wants(Wants::Cancel(body.into()))),
            Startup::Start(_) => Some(Packet::Wants(Wants::Session(body.into()))),
        };
        client.take(consumed);
        if let Some(said) = said {
            return Ok(said);
        }
    }
}

impl Entrance<'_> {
    /// TLS from the first byte.
    async fn direct(&self, client: TcpStream, server: TcpStream) -> Result<Opened, Failed> {
        let secured = async {
            let hello = self.acceptor()?.hello(client).await.map_err(|error| insecure(&error))?;
            let level = match Reach::of(self.upstream.tls, true) {
                Reach::Clear => None,
                Reach::Perhaps(level) | Reach::Tls(level) => Some(level),
            };
            let (server, secured) = self.secure(server, level, hello.name(), true).await?;
            Ok((hello, server, secured))
        };
        let (hello, server, secured) = secured.await.map_err(gone)?;
        self.inside(hello, server, secured, true).await
    }

    /// Packets in clear, and TLS if the client asks for it.
    async fn negotiated(&self, mut client: Side<Stream>, mut server: TcpStream) -> Result<Opened, Failed> {
        let mut frontend = Framer::frontend(limits());
        let asked = match packet(&mut client, &mut frontend).await {
            Ok(Packet::Wants(wants)) => {
                let reached = self.unasked(server).await;
                return self.opened(client, frontend, wants, reached);
            }
            Ok(Packet::Tls) => self.asked(Reach::of(self.upstream.tls, true), &mut server).await,
            Err(fault) => Err(fault),
        };
        let level = match asked {
            Ok(Answer::Yes(level)) => level,
            Ok(Answer::No) => {
                // As the server itself would have said; the client goes on as it likes.
                client.out().push(b'N');
                frontend.answered();
                return match packet(&mut client, &mut frontend).await {
                    Ok(Packet::Wants(wants)) => {
                        let reached = Ok((Stream::Plain(server), Secured::default()));
                        self.opened(client, frontend, wants, reached)
                    }
                    Ok(Packet::Tls) => fail(client, Fault::Protocol(Who::Client, ProtocolError::OutOfTurn)),
                    Err(fault) => fail(client, fault),
                };
            }
            Err(fault) => return fail(client, fault),
        };
        client.out().push(b'S');
        if let Err(error) = client.drain().await {
            return Err(gone(Fault::Client(error)));
        }
        let secured = async {
            let Some(Stream::Plain(client)) = client.into_stream() else {
                return Err(Fault::Protocol(Who::Client, ProtocolError::ClearText));
            };
            let hello = self.acceptor()?.hello(client).await.map_err(|error| insecure(&error))?;
            let (server, secured) = self.secure(server, level, hello.name(), false).await?;
            Ok((hello, server, secured))
        };
        let (hello, server, secured) = secured.await.map_err(gone)?;
        self.inside(hello, server, secured, false).await
    }

    /// The client is shown a certificate, and its packets are read inside TLS.
    async fn inside(
        &self,
        hello: Hello<TcpStream>,
        server: Stream,
        mut secured: Secured,
        direct: bool,
    ) -> Result<Opened, Failed> {
        let names = self.names(&secured);
        let hints = Hints { names: &names, address: self.address, direct };
        let acceptor = self.acceptor().map_err(gone)?;
        let accepted = hello.answer(acceptor, hints).await.map_err(|error| gone(insecure(&error)))?;
        secured.client = Some(accepted.facts);
        let mut client = Side::new(Stream::Tls(Box::new(accepted.stream.into())));
        let mut frontend = Framer::frontend(limits());
        match packet(&mut client, &mut frontend).await {
            Ok(Packet::Wants(wants)) => self.opened(client, frontend, wants, Ok((server, secured))),
            // Nothing is asked for twice.
            Ok(Packet::Tls) => fail(client, Fault::Protocol(Who::Client, ProtocolError::OutOfTurn)),
            Err(fault) => fail(client, fault),
        }
    }

    fn opened(
        &self,
        client: Side<Stream>,
        frontend: Framer,
        wants: Wants,
        reached: Result<(Stream, Secured), Fault>,
    ) -> Result<Opened, Failed> {
        match reached {
            Ok((server, secured)) => Ok(Opened { client, server: Upstream::new(server), frontend, secured, wants }),
            Err(fault) => fail(client, fault),
        }
    }

    /// Reaches the server for a client that did not ask for TLS.
    async fn unasked(&self, mut server: TcpStream) -> Result<(Stream, Secured), Fault> {
        let reach = Reach::of(self.upstream.tls, false);
        match self.asked(reach, &mut server).await? {
            Answer::Yes(level) => self.secure(server, level, None, false).await,
            Answer::No => Ok((Stream::Plain(server), Secured::default())),
        }
    }

    /// Asks the server for TLS, as far as it is wanted.
    async fn asked(&self, reach: Reach, server: &mut TcpStream) -> Result<Answer, Fault> {
        let level = match reach {
            Reach::Clear if self.upstream.tls == config::TlsMode::Disable => return Ok(Answer::Yes(None)),
            Reach::Clear => return Ok(Answer::No),
            Reach::Perhaps(level) | Reach::Tls(level) => level,
        };
        let mut packet = Vec::new();
        Startup::Tls.encode(&mut packet);
        server.write_all(&packet).await.map_err(Fault::Server)?;
        let mut answer = [0];
        server.read_exact(&mut answer).await.map_err(Fault::Server)?;
        let [answer] = answer;
        match Encryption::decode(&Startup::Tls, answer).map_err(|error| Fault::Protocol(Who::Server, error))? {
            Encryption::Accepted => Ok(Answer::Yes(Some(level))),
            Encryption::Refused if matches!(reach, Reach::Perhaps(_)) => Ok(Answer::Yes(None)),
            // Only the client may do without, and only where nobody configured otherwise.
            Encryption::Refused if self.upstream.tls == config::TlsMode::AsClient => Ok(Answer::No),
            Encryption::Refused => Err(Fault::Refused {
                sqlstate: *b"08006",
                client: "the server does not offer a secure connection".to_owned(),
                log: "the server has no TLS, which the target's `tls` asks for".to_owned(),
            }),
        }
    }

    /// TLS towards the server, if there is to be any.
    async fn secure(
        &self,
        server: TcpStream,
        level: Option<Level>,
        sni: Option<&str>,
        direct: bool,
    ) -> Result<(Stream, Secured), Fault> {
        let Some(level) = level else { return Ok((Stream::Plain(server), Secured::default())) };
        let name: ServerName<'static> = tls::name(self.upstream, self.host, sni, self.address);
        let to = To { upstream: self.upstream, level, name: &name, direct };
        let connected = self.proxy.connector.connect(server, to).await;
        let Connected { stream, facts, leaf } = connected.map_err(|error| insecure(&error))?;
        let end_point = tls::server_end_point(&leaf);
        Ok((Stream::Tls(Box::new(stream.into())), Secured { client: None, server: Some(facts), end_point }))
    }

    /// The names a client is shown if it asks for none.
    fn names(&self, secured: &Secured) -> Vec<String> {
        let certificate = secured.server.as_ref().and_then(|facts| facts.certificate.as_ref());
        let theirs = certificate.map(|certificate| certificate.names.clone()).unwrap_or_default();
        self.host.map(str::to_owned).into_iter().chain(theirs).collect()
    }

    fn acceptor(&self) -> Result<&tls::Acceptor, Fault> {
        self.proxy.terminator.acceptor().map_err(|error| insecure(&error))
    }
}

/// Whether a server is reached by TLS, and what is verified then.
enum Answer {
    Yes(Option<Level>),
    No,
}

/// Limits of both directions.
pub(super) fn limits() -> Limits {
    Limits::default()
}
