//! What the server answers: whose answer it is, what is masked in it, what is recorded of it.

use std::sync::Arc;

use super::{
    fault::{Fault, Who},
    ledger::Open,
    masks::Masks,
    talk::Talk,
};
use crate::{
    config::OnFailure,
    protocol::postgres::{
        Backend, ProtocolError,
        auth::{Authentication, Mechanisms},
        copy::Direction,
        query::{Status as ReadyStatus, Tag},
        rows::Columns,
        session::{Answer, Fate, Number},
    },
    record::{ResponseRecord, Status},
};

impl Talk<'_> {
    /// Takes a message of the server, whose bytes these are, and passes it on to the client.
    pub(super) async fn answer(
        &mut self,
        (message, bytes): (&Backend<'_>, &[u8]),
        client: &mut Vec<u8>,
        own: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        // As it stands before the answer: rows and errors belong to the request that is answered.
        let shape = if matches!(message, Backend::Row(_)) { self.session.shape() } else { None };
        let before = self.session.status();
        let answer = self.session.backend(message).map_err(|error| Fault::Protocol(Who::Server, error))?;
        match &answer.fate {
            Fate::Pass => {
                let before = client.len();
                self.show((message, bytes), &answer, shape.as_deref(), client)?;
                self.keep(message, answer.request, client.get(before..).unwrap_or_default())?;
            }
            Fate::Swallow => {}
            Fate::Instead(instead) => client.extend_from_slice(instead),
        }
        if matches!(message, Backend::BindComplete)
            && let Some(number) = answer.request
        {
            self.portals.settle(number, self.shelf.changes());
        }
        if let Backend::Parameter(parameter) = message {
            self.doubt(parameter.name);
        }
        if answer.done
            && let Some(open) = answer.request.and_then(|number| self.ledger.finish(number))
        {
            self.settle(&open);
            self.hand_on(true).await?;
            let status = if open.error.is_some() { Status::Error } else { Status::Done };
            self.respond(self.ledger.response(open, status)).await?;
        }
        if let Some(skipped) = answer.skipped {
            for open in self.ledger.skip(skipped) {
                self.forget(&open);
                self.respond(self.ledger.response(open, Status::Cut)).await?;
            }
        }
        if let Backend::Ready(status) = message {
            let unrun = self.portals.unrun(self.session.oldest());
            if before == ReadyStatus::Idle && *status != ReadyStatus::Idle {
                self.transactions += 1;
                self.block_changes = self.shelf.changes();
            }
            if *status == ReadyStatus::Idle {
                self.rest();
            }
            self.record_unrun(unrun).await?;
        }
        self.session.inject(client, own);
        self.hand_on(false).await
    }

    /// Keeps what the client was shown of a result, or less.
    fn keep(&mut self, message: &Backend<'_>, number: Option<Number>, shown: &[u8]) -> Result<(), Fault> {
        let Some(open) = number.and_then(|number| self.ledger.open(number)) else { return Ok(()) };
        let Some(keeping) = &mut self.keeping else { return Ok(()) };
        match message {
            Backend::Row(row) => match open.masks.as_ref().and_then(|masks| masks.kept()) {
                Some(kept) => keeping.row(open.n, kept, row, shown),
                None => {
                    keeping.bytes(open.n, shown);
                    Ok(())
                }
            },
            // Copied data may be protected and seen by right: where anything is protected, none of it is kept.
            Backend::CopyData(_) if self.known.protection.is_any() => Ok(()),
            Backend::CopyData(_) | Backend::Columns(_) | Backend::Complete(_) | Backend::Error(_) => {
                keeping.bytes(open.n, shown);
                Ok(())
            }
            Backend::Authentication(_)
            | Backend::Negotiation(_)
            | Backend::KeyData(_)
            | Backend::Parameter(_)
            | Backend::Notice(_)
            | Backend::Notification(_)
            | Backend::Ready(_)
            | Backend::ParseComplete
            | Backend::BindComplete
            | Backend::CloseComplete
            | Backend::Parameters(_)
            | Backend::NoData
            | Backend::Empty
            | Backend::Suspended
            | Backend::FunctionResult(_)
            | Backend::Copy(_)
            | Backend::CopyDone => Ok(()),
        }
    }

    /// The type of the messages that come many at a time now, rows of a result or data of a COPY, and what is done to each
    /// of them; nothing, where they pass as they are.
    pub(super) fn bulk(&self) -> Option<(u8, Option<Arc<Masks>>)> {
        if self.keeping.is_some() {
            return None;
        }
        let open = self.ledger.first()?;
        match (&open.masks, &open.copying, open.copies) {
            (_, None, true) => Some((b'd', None)),
            (Some(masks), None, false) => Some((b'D', masks.is_busy().then(|| Arc::clone(masks)))),
            _ => None,
        }
    }

    /// Passes what the client may see of a message.
    fn show(
        &mut self,
        (message, bytes): (&Backend<'_>, &[u8]),
        answer: &Answer,
        shape: Option<&crate::protocol::postgres::session::Shape>,
        client: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let number = answer.request;
        match message {
            Backend::Authentication(Authentication::Sasl(mechanisms)) if self.ends_tls => {
                // What is bound to a certificate would be bound to ours.
                let mut kept = Vec::new();
                let unbound = mechanisms.iter().filter(|name| !name.ends_with(b"-PLUS"));
                let left = Mechanisms::new(unbound, &mut kept).map_err(|error| Fault::Protocol(Who::Server, error))?;
                Backend::Authentication(Authentication::Sasl(left)).encode(client);
                return Ok(());
            }
            Backend::KeyData(key) => self.keyed(key),
            Backend::Complete(tag) => self.completed(number, *tag),
            Backend::Empty => self.completed(number, Tag(b"")),
            Backend::Columns(columns) => self.announced(number, columns),
            Backend::Row(row) => return self.row(number, (row, bytes), shape, client),
            Backend::Error(report) | Backend::Notice(report) => {
                self.report(answer, report, (message.tag(), bytes), client);
                return Ok(());
            }
            Backend::Notification(notification) => return self.notification(notification, bytes, client),
            Backend::Copy(response) if response.direction == Direction::Out => self.copies(number, response)?,
            Backend::CopyData(data) if self.copied(number, data, client)? => return Ok(()),
            Backend::CopyDone => self.copied_all(number, client)?,
            Backend::FunctionResult(Some(_)) if self.is_restricted() => {
                crate::protocol::postgres::function::put_function_result(client, None);
                return Ok(());
            }
            Backend::Parameter(parameter) if self.is_smuggled(number, parameter) => return Ok(()),
            Backend::Authentication(_)
            | Backend::Negotiation(_)
            | Backend::Parameter(_)
            | Backend::Ready(_)
            | Backend::ParseComplete
            | Backend::BindComplete
            | Backend::CloseComplete
            | Backend::Parameters(_)
            | Backend::NoData
            | Backend::Suspended
            | Backend::FunctionResult(_)
            | Backend::Copy(_)
            | Backend::CopyData(_) => {}
        }
        client.extend_from_slice(bytes);
        Ok(())
    }

    fn completed(&mut self, number: Option<u64>, tag: Tag<'_>) {
        let Some(open) = number.and_then(|number| self.ledger.open(number)) else { return };
        let rows = tag.rows().unwrap_or_default();
        open.rows += rows;
        open.completed += 1;
        (open.masks, open.copies) = (None, false);
        self.tally.rows(rows);
    }

    /// The columns of the rows that follow, in a simple query.
    fn announced(&mut self, number: Option<u64>, columns: &Columns<'_>) {
        let Some(open) = number.and_then(|number| self.ledger.open(number)) else { return };
        let (meaning, at, sent) = (Arc::clone(&open.meaning), open.completed, open.changes);
        let moved = self.has_moved(&meaning, sent);
        let columns: Vec<_> = columns.iter().collect();
        let masks = self.masks(&meaning, at, &columns, moved);
        if let Some(open) = number.and_then(|number| self.ledger.open(number)) {
            open.masks = Some(masks);
        }
    }

    /// What running it did is done.
    fn settle(&mut self, open: &Open) {
        let meaning = &open.meaning;
        let worked = open.error.is_none();
        self.naming.answered(&meaning.settings, worked);
        if !worked || !meaning.settings.is_empty() {
            self.settle_names();
        }
        if worked && !meaning.deeds.is_empty() {
            self.portals.settle(open.number(), self.shelf.changes());
        }
        if meaning.changes_catalog && !meaning.only_own {
            self.shelf.changed();
            self.changed_catalog = true;
        }
    }

    /// It was never run.
    fn forget(&mut self, open: &Open) {
        self.naming.answered(&open.meaning.settings, false);
        self.settle_names();
    }

    /// The server told of a setting: where it is another than was thought, it has to be asked again.
    fn doubt(&mut self, name: &[u8]) {
        let concerns = [&b"standard_conforming_strings"[..], b"client_encoding", b"session_authorization"];
        if concerns.contains(&name) {
            self.naming.doubt();
            self.settle_names();
        }
    }

    /// No transaction is open.
    fn rest(&mut self) {
        if self.private.take().is_some() {
            self.settle_names();
        }
        // Only now others see it.
        if std::mem::take(&mut self.changed_catalog) {
            self.shelf.changed();
        }
        self.naming.rest();
        self.portals.rest(self.session.oldest());
        if !self.naming.is_certain() {
            self.settle_names();
        }
        self.approved.clear();
        self.ledger.rest();
        self.block_changed = false;
    }

    /// Records what came back.
    pub(super) async fn respond(&self, response: Option<ResponseRecord>) -> Result<(), Fault> {
        let Some(response) = response else { return Ok(()) };
        match self.setting.proxy.recorder.response(response).await {
            Err(error) if self.setting.proxy.on_failure == OnFailure::Deny => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// A message that cannot be masked is not passed.
pub(super) fn unmaskable(error: crate::protocol::postgres::value::ValueError) -> Fault {
    Fault::Unmasked(error)
}

/// What came out of turn.
pub(super) fn out_of_turn() -> Fault {
    Fault::Protocol(Who::Server, ProtocolError::OutOfTurn)
}
