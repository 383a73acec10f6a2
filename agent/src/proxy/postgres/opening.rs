//! The beginning of a connection: what encryption is used, who asks for which database.

use super::{
    fault::{Fault, Who},
    side::Side,
    stream::Stream,
    upstream::{Outgoing, Upstream},
};
use crate::protocol::postgres::{
    Frame, Framer, Limits, ProtocolError, Startup,
    session::{Room, Session},
};

/// What a client began.
pub(super) enum Opened {
    /// A session; its startup message is on its way to the server.
    Session(Session),
    /// A request to cancel another session's: its body.
    Cancel(Box<[u8]>),
    /// Nothing: it left.
    Left,
}

/// Answers a client until it begins a session.
pub(super) async fn open(
    client: &mut Side<Stream>,
    frontend: &mut Framer,
    server: &mut Upstream,
) -> Result<Opened, Fault> {
    let protocol = |error: ProtocolError| Fault::Protocol(Who::Client, error);
    loop {
        let (input, out) = client.split();
        let Some(frame) = frontend.next(input).map_err(protocol)? else {
            if client.ended() {
                return Ok(Opened::Left);
            }
            client.drain().await.map_err(Fault::Client)?;
            client.fill().await.map_err(Fault::Client)?;
            continue;
        };
        let consumed = frame.consumed();
        let Frame::Packet(body) = frame else { return Err(protocol(ProtocolError::OutOfTurn)) };
        let whole = input.get(..consumed).unwrap_or_default();
        match Startup::decode(body).map_err(protocol)? {
            Startup::Tls | Startup::Gss => {
                out.push(b'N');
                frontend.answered();
            }
            Startup::Cancel(_) => return Ok(Opened::Cancel(body.into())),
            Startup::Start(start) => {
                let mut session = Session::new(Room::default());
                let routine = session.start(&start).map_err(protocol)?;
                server.send(Outgoing::Routine(routine, whole));
                client.take(consumed);
                return Ok(Opened::Session(session));
            }
        }
        client.take(consumed);
    }
}

/// Limits of both directions.
pub(super) fn limits() -> Limits {
    Limits::default()
}
