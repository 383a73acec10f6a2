//! PostgreSQL flows: every message through the session, every request through policy and the record.

mod answers;
mod cancel;
mod cancelling;
mod catalogs;
mod fault;
mod flow;
mod hold;
mod ledger;
mod masks;
mod meaning;
mod naming;
mod opening;
mod protection;
mod reading;
mod setting;
mod side;
mod stream;
mod talk;
mod tally;
mod upstream;
mod veil;

use tokio::net::TcpStream;

pub use cancel::Cancellations;
pub use catalogs::Catalogs;
pub(super) use setting::Setting;

use super::{Totals, reset};
use crate::{protocol::postgres::Framer, record::Outcome};
use fault::Fault;
use flow::Flow;
use opening::Opened;
use side::Side;
use stream::Stream;
use talk::Talk;
use upstream::Upstream;

/// Serves one connection to its end. What is still on its way when it is dropped is lost, and recorded as cut.
pub(super) async fn serve(
    setting: Setting<'_>,
    (client, upstream): (TcpStream, TcpStream),
    totals: &Totals,
) -> (Outcome, Option<String>) {
    let (mut client, mut server) = (Side::new(Stream::Plain(client)), Upstream::new(Stream::Plain(upstream)));
    let mut frontend = Framer::frontend(opening::limits());
    let session = match opening::open(&mut client, &mut frontend, &mut server).await {
        Ok(Opened::Session(session)) => session,
        Ok(Opened::Left) => return (Outcome::Completed, None),
        Ok(Opened::Cancel(request)) => return cancelling::serve(&setting, &request, &mut server).await,
        Err(fault) => return end(client, &server, &fault).await,
    };
    let (backend, talk) = (Framer::backend(opening::limits()), Talk::new(setting, session));
    let mut flow = Flow { client, server, frontend, backend, talk, totals, later: false };
    let ran = flow.run().await;
    let Flow { client, server, mut talk, .. } = flow;
    for response in talk.ledger.cut() {
        // Recording has failed already, or will be said to where it is tried next.
        let _ = talk.respond(Some(response)).await;
    }
    match ran {
        Ok(()) => (Outcome::Completed, None),
        Err(fault) => end(client, &server, &fault).await,
    }
}

/// Tells the client, as far as it listens, and closes both sides.
async fn end(mut client: Side<Stream>, server: &Upstream, fault: &Fault) -> (Outcome, Option<String>) {
    tracing::debug!(%fault, "a PostgreSQL flow ended");
    client.out().extend_from_slice(&fault.response());
    // Who does not read its last message does without.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), client.drain()).await;
    reset(server.socket());
    if fault.outcome() == Outcome::ClientReset {
        reset(client.stream().socket());
    }
    (fault.outcome(), Some(fault.to_string()))
}
