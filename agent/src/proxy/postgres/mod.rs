//! PostgreSQL flows: every message through the session, every request through policy and the record.

mod answers;
mod cancel;
mod cancelling;
mod catalogs;
mod copying;
mod entering;
mod facts;
mod fault;
mod flow;
mod hold;
mod keeping;
mod ledger;
mod masks;
mod matter;
mod meaning;
mod naming;
mod opening;
mod parameters;
mod plain;
mod portals;
mod protection;
mod reading;
mod reports;
mod setting;
mod side;
mod stream;
mod talk;
mod tally;
mod template;
mod upstream;
mod veil;

use std::{sync::Arc, time::Duration};

use tokio::net::TcpStream;

pub use cancel::Cancellations;
pub use catalogs::Catalogs;
pub(super) use setting::Setting;

use super::{Totals, reset, tls::Facts};
use crate::{
    config,
    policy::question::Tls,
    protocol::{
        Sniffed,
        postgres::{Framer, startup::Code},
        sniff,
    },
    record::Outcome,
};
use entering::Entered;
use fault::Fault;
use flow::Flow;
use opening::{Entrance, Failed, Opened, Wants};
use side::Side;
use stream::Stream;
use talk::Talk;
use upstream::Upstream;

/// How long a client and a server may take until a session begins.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that say what is spoken.
const FIRST: usize = 8;
/// Until a client that sent fewer is looked at again.
const SHORT: Duration = Duration::from_millis(2);

type Ended = (Outcome, Option<String>);

/// Whether a client that nobody knows of begins a session in clear. What it says stays where it is.
pub(super) async fn is_spoken(client: &TcpStream, server: &TcpStream) -> bool {
    let mut first = [0; FIRST];
    loop {
        tokio::select! {
            biased;
            // Servers of PostgreSQL do not speak first.
            _ = server.readable() => return false,
            peeked = client.peek(&mut first) => match peeked {
                Ok(0) | Err(_) => return false,
                Ok(read) => {
                    let read = first.get(..read).unwrap_or_default();
                    match sniff(read) {
                        // Inside TLS it stays what it is: nobody said whom to trust there.
                        Sniffed::Postgres => return !matches!(startup_code(read), Some(Code::Tls)),
                        Sniffed::Tls | Sniffed::Unknown => return false,
                        Sniffed::NeedMore => tokio::time::sleep(SHORT).await,
                    }
                }
            },
        }
    }
}

/// What stands where a startup packet says its version.
fn startup_code(packet: &[u8]) -> Option<Code> {
    let code = packet.get(4..8)?.first_chunk()?;
    Some(Code::of(u32::from_be_bytes(*code)))
}

/// Serves one connection to its end. What is still on its way when it is dropped is lost, and recorded as cut.
pub(super) async fn serve(
    mut setting: Setting<'_>,
    upstream: &config::Upstream,
    (client, server): (TcpStream, TcpStream),
    totals: &Totals,
) -> Ended {
    let target = Arc::clone(&setting.target);
    let (host, address) = (target.host.as_deref(), target.address);
    let entrance = Entrance { proxy: setting.proxy, upstream, host, address };
    let begun = async {
        let mut opened = opening::open(&entrance, client, server).await?;
        setting.tls = opened.secured.client.as_ref().map(tls);
        let body = match &opened.wants {
            Wants::Nothing => return Ok((opened, None)),
            Wants::Cancel(_) => return Ok((opened, None)),
            Wants::Session(body) => body.clone(),
        };
        match entering::enter(&setting, upstream, &mut opened, &body).await {
            Ok(entered) => Ok((opened, Some(entered))),
            Err(fault) => Err(Box::new((Some(opened.client), fault)) as Failed),
        }
    };
    let begun = tokio::time::timeout(PATIENCE, begun).await;
    let (mut opened, entered) = match begun {
        Ok(Ok(begun)) => begun,
        Ok(Err(failed)) => {
            let (client, fault) = *failed;
            return end(client, None, &fault).await;
        }
        Err(_) => return (Outcome::IdleTimeout, Some("no session was begun in time".to_owned())),
    };
    let Some(entered) = entered else {
        return match opened.wants {
            Wants::Cancel(body) => cancelling::serve(&setting, &body, &mut opened.server).await,
            Wants::Nothing | Wants::Session(_) => (Outcome::Completed, None),
        };
    };
    converse(setting, opened, entered, totals).await
}

async fn converse(setting: Setting<'_>, opened: Opened, entered: Entered, totals: &Totals) -> Ended {
    let Opened { client, server, frontend, secured, .. } = opened;
    let mut talk = Talk::new(setting, entered.session, &entered.role);
    talk.ends_tls = secured.client.is_some();
    if let Err(fault) = talk.record_startup(&secured, &entered.role, entered.method).await {
        return end(Some(client), Some(&server), &fault).await;
    }
    let backend = Framer::backend(opening::limits());
    let mut flow = Flow { client, server, frontend, backend, talk, totals, later: false };
    let ran = flow.run().await;
    let Flow { mut client, server, mut talk, .. } = flow;
    for response in talk.ledger.cut() {
        // Recording has failed already, or will be said to where it is tried next.
        let _ = talk.respond(Some(response)).await;
    }
    match ran {
        Ok(()) => {
            // Who is gone already does not hear it.
            let _ = tokio::time::timeout(Duration::from_secs(1), client.close()).await;
            (Outcome::Completed, None)
        }
        Err(fault) => end(Some(client), Some(&server), &fault).await,
    }
}

/// TLS as policies see it.
fn tls(facts: &Facts) -> Tls {
    let version = facts.version.strip_prefix("TLSv").unwrap_or(facts.version);
    Tls { version: version.into(), server_name: facts.name.as_deref().map(Arc::from) }
}

/// Tells the client, as far as it listens, and closes both sides.
async fn end(client: Option<Side<Stream>>, server: Option<&Upstream>, fault: &Fault) -> Ended {
    tracing::debug!(%fault, "a PostgreSQL flow ended");
    if let Some(mut client) = client {
        client.out().extend_from_slice(&fault.response());
        // Who does not read its last message does without.
        let _ = tokio::time::timeout(Duration::from_secs(1), client.close()).await;
        if fault.outcome() == Outcome::ClientReset {
            reset(client.stream().socket());
        }
    }
    if let Some(server) = server {
        reset(server.socket());
    }
    (fault.outcome(), Some(fault.to_string()))
}
