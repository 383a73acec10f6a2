//! Who logs in to the server: the client itself, or Sallyport in its place.

use super::{
    fault::{Fault, Who},
    opening::{Opened, Secured},
    setting::Setting,
    upstream::{Outgoing, Upstream},
};
use crate::{
    config::{self, Credential, Use},
    identity::Identity,
    protocol::postgres::{
        Backend, Frame, Framer, ProtocolError, Startup,
        login::{Account, Login, Step, Wire},
        session::{Room, Session},
        startup::Start,
    },
    proxy::credential,
};

/// A session that begins, and as whom.
pub(super) struct Entered {
    pub(super) session: Session,
    /// Whose rights it has on the server.
    pub(super) role: String,
    /// How Sallyport proved itself; `None` where the client does.
    pub(super) method: Option<&'static str>,
}

/// Which entry of the target is for a workload.
pub(super) fn credential<'c>(upstream: &'c config::Upstream, identity: &Identity) -> Option<&'c Credential> {
    let (unit, user) = (identity.process.unit.as_deref(), identity.process.user.as_deref());
    upstream.credentials.iter().find(|one| one.whose.fits(identity.workload.as_str(), unit, user))
}

/// Begins the session that `body` asks for: passes the startup message on, or logs in and greets the client in the server's
/// place.
pub(super) async fn enter(
    setting: &Setting<'_>,
    upstream: &config::Upstream,
    opened: &mut Opened,
    body: &[u8],
) -> Result<Entered, Fault> {
    let protocol = |error: ProtocolError| Fault::Protocol(Who::Client, error);
    let Startup::Start(start) = Startup::decode(body).map_err(protocol)? else {
        return Err(protocol(ProtocolError::OutOfTurn));
    };
    let mut session = Session::new(Room::default());
    let routine = session.start(&start).map_err(protocol)?;
    let user = String::from_utf8_lossy(start.user()).into_owned();
    match credential(upstream, &setting.identity).map(|found| &found.uses) {
        None | Some(Use::Passthrough) => {
            let mut packet = Vec::new();
            Startup::Start(start).encode(&mut packet);
            opened.server.send(Outgoing::Routine(routine, &packet));
            Ok(Entered { session, role: user, method: None })
        }
        Some(Use::Login { role, secret, set_role }) => {
            let password = match secret {
                None => None,
                Some(secret) => Some(credential::password(secret).await.map_err(|error| Fault::Refused {
                    sqlstate: *b"28000",
                    client: "Sallyport could not log in to the database".to_owned(),
                    log: format!("the credential of the target cannot be read: {error}"),
                })?),
            };
            let (accept, set_role) = (upstream.require_auth.clone(), set_role.clone());
            let account = Account { role: role.clone(), password, accept, set_role: set_role.clone() };
            let tag = setting.session.filter(|_| upstream.tag_application_name).map(|id| format!("sallyport:{id}"));
            let wire = wire(&opened.secured, upstream);
            let greeting = log_in(&mut opened.server, account, wire, (&start, tag.as_deref())).await?;
            opened.server.unread(greeting.0);
            // What the client would have been asked it is not asked, and may ask everything from now on.
            Ok(Entered { session, role: set_role.unwrap_or_else(|| role.clone()), method: Some(greeting.1) })
        }
    }
}

fn wire(secured: &Secured, upstream: &config::Upstream) -> Wire {
    match &secured.server {
        Some(_) => Wire::Tls(secured.end_point.clone()),
        None if upstream.tls == config::TlsMode::Disable => Wire::ClearAsConfigured,
        None => Wire::Clear,
    }
}

/// Logs in; gives what the server would greet the client with, and how it was.
async fn log_in(
    server: &mut Upstream,
    account: Account,
    wire: Wire,
    (start, tag): (&Start<'_>, Option<&str>),
) -> Result<(Vec<u8>, &'static str), Fault> {
    let mut random = [0; 18];
    getrandom::fill(&mut random).map_err(|error| Fault::Server(std::io::Error::other(error)))?;
    let (mut login, packet) = Login::begin(account, wire, start, tag, random)?;
    server.own().extend_from_slice(&packet);
    let mut framer = Framer::backend(super::opening::limits());
    loop {
        let protocol = |error: ProtocolError| Fault::Protocol(Who::Server, error);
        let Some(frame) = framer.next(server.input()).map_err(protocol)? else {
            if server.ended() {
                return Err(Fault::Server(std::io::ErrorKind::UnexpectedEof.into()));
            }
            server.drain().await.map_err(Fault::Server)?;
            server.fill().await.map_err(Fault::Server)?;
            continue;
        };
        let consumed = frame.consumed();
        let Frame::Message { tag, body, .. } = frame else { return Err(protocol(ProtocolError::OutOfTurn)) };
        let mut step = login.receive(&Backend::decode(tag, body).map_err(protocol)?)?;
        server.take(consumed);
        if let Step::Run(work) = step {
            let worked = tokio::task::spawn_blocking(move || work.run()).await;
            step = login.worked(worked.map_err(|error| Fault::Server(std::io::Error::other(error)))?)?;
        }
        match step {
            Step::Read => {}
            Step::Send(bytes) => server.own().extend_from_slice(&bytes),
            // Once is enough.
            Step::Run(_) => return Err(protocol(ProtocolError::OutOfTurn)),
            Step::Done(ready) => {
                let mut greeting = Vec::new();
                ready.greet(&mut greeting);
                let method = if ready.bound { "scram-sha-256-plus" } else { ready.method.as_str() };
                return Ok((greeting, method));
            }
        }
    }
}
