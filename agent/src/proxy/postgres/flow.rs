//! Moves messages both ways, each through the session.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::timeout;

use super::{
    fault::{Fault, Who},
    hold::Said,
    side::{HIGH, Side},
    stream::Stream,
    talk::{Step, Talk},
    upstream::Upstream,
};
use crate::{
    protocol::postgres::{
        Backend, Bulk, Frame, Framer, Frontend, ProtocolError,
        auth::Authentication,
        frame::{HEADER, messages},
        rows::Row,
    },
    proxy::{Totals, vigil},
};

/// What a client may send ahead while its requests wait.
const AHEAD: usize = 1 << 20;
/// From here on an answer is long, bytes. A server that has to wake somebody for every few kilobytes is held up by that.
const LONG: u64 = 2 << 20;
/// How long the kernel may gather of a long answer. Its end comes so much later.
const GATHERING: Duration = Duration::from_millis(1);

/// A session on its way.
pub(super) struct Flow<'a> {
    pub(super) client: Side<Stream>,
    pub(super) server: Upstream,
    pub(super) frontend: Framer,
    pub(super) backend: Framer,
    pub(super) talk: Talk<'a>,
    pub(super) totals: &'a Totals,
    /// Whether the client's next message waits for an answer of the server.
    pub(super) later: bool,
}

impl Flow<'_> {
    /// Goes on until one side is done.
    pub(super) async fn run(&mut self) -> Result<(), Fault> {
        loop {
            self.requests().await?;
            if self.answers().await? && self.later {
                self.later = false;
                continue;
            }
            if self.backend.between_messages() {
                let client = self.client.out();
                self.talk.notices.drain(..).for_each(|notice| client.extend_from_slice(&notice));
            }
            if self.over() {
                // Whatever was decided and answered still arrives.
                self.server.drain().await.map_err(Fault::Server)?;
                return self.client.drain().await.map_err(Fault::Client);
            }
            self.wait().await?;
            self.totals.out.store(self.client.moved(), Relaxed);
            self.totals.back.store(self.server.moved(), Relaxed);
        }
    }

    /// Waits until something came, or could go, or people have answered what is held.
    async fn wait(&mut self) -> Result<(), Fault> {
        let Some(mut hold) = self.talk.hold.take() else { return self.moved().await };
        self.server.gather(false).map_err(Fault::Server)?;
        let (cancelled, mut judgements) = (Arc::clone(&self.talk.cancelled), self.talk.judgements.clone());
        let said = tokio::select! {
            moved = poll_fn(|cx| self.poll(cx)) => {
                self.talk.hold = Some(hold);
                return moved;
            }
            said = hold.said() => said,
            () = cancelled.notified() => hold.cancelled(),
            // Whoever could say so is gone as well when this fails, and says nothing more.
            Ok(()) = judgements.changed() => Said::Again,
        };
        self.talk.answered(hold, said);
        Ok(())
    }

    /// Waits until something came, or could go: while a long answer comes, until there is much of it.
    async fn moved(&mut self) -> Result<(), Fault> {
        // What a replica is told has no end, and somebody may wait for each part of it.
        let long =
            self.talk.ledger.first().is_some_and(|open| open.bytes >= LONG && (open.copies || open.masks.is_some()));
        self.server.gather(long).map_err(Fault::Server)?;
        if self.server.gathers() {
            if let Ok(moved) = timeout(GATHERING, poll_fn(|cx| self.poll(cx))).await {
                return moved;
            }
            self.server.gather(false).map_err(Fault::Server)?;
        }
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Whether there is nothing left to wait for.
    fn over(&self) -> bool {
        let server = self.server.ended() && self.server.input().is_empty();
        // What a client left unread behind a close, it cannot want any more.
        server || self.client.ended() || self.talk.session.ended() && self.server.waiting() == 0 && self.server.ended()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let mut moved = false;
        // What was put off while too much waited goes on when it is gone, however many writes and flushes that took.
        let waited = self.server.unsent();
        if let Poll::Ready(drained) = self.server.poll_drain(cx) {
            drained.map_err(Fault::Server)?;
            moved |= waited && !self.client.input().is_empty();
        }
        let waited = self.client.unsent();
        if let Poll::Ready(drained) = self.client.poll_drain(cx) {
            drained.map_err(Fault::Client)?;
            moved |= waited && !self.server.input().is_empty();
        }
        // Whoever waits for people is still listened to, so that it is seen when it hangs up.
        if !self.client.ended()
            && self.client.input().len() < AHEAD.max(self.frontend.wanted())
            && self.server.waiting() < HIGH
            && let Poll::Ready(filled) = self.client.poll_fill(cx)
        {
            filled.map_err(Fault::Client)?;
            moved = true;
        }
        if !self.server.ended()
            && self.client.waiting() < HIGH
            && let Poll::Ready(filled) = self.server.poll_fill(cx)
        {
            filled.map_err(Fault::Server)?;
            moved = true;
        }
        if moved {
            // What is gathered is worth sleeping for.
            if !self.server.gathers() {
                vigil::moved();
            }
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// Takes what the client has sent, as far as it goes.
    async fn requests(&mut self) -> Result<(), Fault> {
        let protocol = |error: ProtocolError| Fault::Protocol(Who::Client, error);
        while self.talk.hold.is_none() && !self.later && self.server.waiting() < HIGH {
            let (input, client) = self.client.split();
            let Some(frame) = self.frontend.next(input).map_err(protocol)? else { return Ok(()) };
            let consumed = frame.consumed();
            let step = match frame {
                Frame::Message { tag, body, bytes } => {
                    let message = Frontend::decode(tag, body).map_err(protocol)?;
                    self.talk.request((message, bytes), client, &mut self.server).await?
                }
                // Neither is asked for once the session has begun.
                Frame::Packet(_) | Frame::Begin { .. } | Frame::Piece { .. } => {
                    return Err(protocol(ProtocolError::OutOfTurn));
                }
            };
            match step {
                Step::Taken => self.client.take(consumed),
                Step::Later => self.later = true,
                Step::Held => {}
                Step::Names => {
                    let beside = self.talk.ask_names(&mut self.server, &mut self.backend).await?;
                    self.client.out().extend_from_slice(&beside);
                }
                Step::Catalog => {
                    let beside = self.talk.read_catalog(&mut self.server, &mut self.backend).await?;
                    self.client.out().extend_from_slice(&beside);
                }
            }
        }
        Ok(())
    }

    /// Takes what the server has sent, as far as it goes. Says whether there was anything.
    async fn answers(&mut self) -> Result<bool, Fault> {
        let protocol = |error: ProtocolError| Fault::Protocol(Who::Server, error);
        let mut any = false;
        while self.client.waiting() < HIGH {
            if self.rows()? {
                any = true;
                continue;
            }
            let passes = matches!(self.talk.bulk(), Some((_, None)));
            self.backend.deliver(if passes { Bulk::Pieces } else { Bulk::Whole });
            let (input, own) = self.server.split();
            let Some(frame) = self.backend.next(input).map_err(protocol)? else { break };
            let consumed = frame.consumed();
            self.talk.ledger.count(consumed, 0);
            match frame {
                Frame::Message { tag, body, bytes } => {
                    let message = Backend::decode(tag, body).map_err(protocol)?;
                    if matches!(message, Backend::Authentication(Authentication::Ok)) {
                        self.frontend.open();
                    }
                    self.talk.answer((&message, bytes), self.client.out(), own).await?;
                }
                // Longer than anybody gathers, and looked into by nobody.
                Frame::Begin { tag, bytes, .. } => {
                    let _ = self.talk.session.bulk(tag).map_err(protocol)?;
                    self.client.out().extend_from_slice(bytes);
                }
                Frame::Piece { bytes, .. } => self.client.out().extend_from_slice(bytes),
                Frame::Packet(_) => return Err(protocol(ProtocolError::OutOfTurn)),
            }
            self.server.take(consumed);
            any = true;
        }
        Ok(any)
    }

    /// Passes whole rows, as many as there are in a row: as they are, or masked up to what the client may have to wait for.
    fn rows(&mut self) -> Result<bool, Fault> {
        let protocol = |error: ProtocolError| Fault::Protocol(Who::Server, error);
        let Some((tag, masks)) = self.talk.bulk() else { return Ok(false) };
        let (bytes, count) = self.backend.rows(self.server.input(), tag);
        if count == 0 {
            return Ok(false);
        }
        let _ = self.talk.session.bulk(tag).map_err(protocol)?;
        let rows = self.server.input().get(..bytes).unwrap_or_default();
        let (mut taken, mut masked) = (bytes, 0);
        match masks {
            None => self.client.out().extend_from_slice(rows),
            Some(masks) => {
                let client = self.client.out();
                taken = 0;
                for bytes in messages(rows) {
                    let row = Row::decode(bytes.get(HEADER..).unwrap_or_default()).map_err(protocol)?;
                    masked += masks.row(&row, bytes, client).map_err(Fault::Unmasked)?;
                    taken += bytes.len();
                    if client.len() >= HIGH {
                        break;
                    }
                }
            }
        }
        self.talk.ledger.count(taken, masked);
        self.server.take(taken);
        Ok(true)
    }
}
