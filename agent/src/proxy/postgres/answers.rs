//! What the server answers: whose answer it is, what is masked in it, what is recorded of it.

use super::{
    fault::{Fault, Who},
    talk::Talk,
};
use crate::{
    config::OnFailure,
    protocol::postgres::{Backend, notice::Report, session::Fate},
    record::ResponseRecord,
};

impl Talk<'_> {
    /// Takes a message of the server, whose bytes these are, and passes it on to the client.
    pub(super) async fn answer(
        &mut self,
        (message, bytes): (&Backend<'_>, &[u8]),
        client: &mut Vec<u8>,
        own: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let answer = self.session.backend(message).map_err(|error| Fault::Protocol(Who::Server, error))?;
        let mut rows = 0;
        if let Backend::KeyData(key) = message {
            self.keyed(key);
        }
        if let Some(open) = answer.request.and_then(|number| self.ledger.open(number)) {
            open.bytes += bytes.len() as u64;
            match message {
                Backend::Complete(tag) => {
                    rows = tag.rows().unwrap_or_default();
                    open.rows += rows;
                    open.completed += 1;
                }
                Backend::Empty => open.completed += 1,
                Backend::Error(report) => open.error = Some(recorded(report).into()),
                _ => {}
            }
        }
        self.tally.rows(rows);
        match answer.fate {
            Fate::Pass => client.extend_from_slice(bytes),
            Fate::Swallow => {}
            Fate::Instead(instead) => client.extend_from_slice(&instead),
        }
        if answer.done
            && let Some(response) = answer.request.and_then(|number| self.ledger.finish(number))
        {
            self.respond(response).await?;
        }
        if let Some(skipped) = answer.skipped {
            for response in self.ledger.skip(skipped) {
                self.respond(response).await?;
            }
        }
        self.session.inject(client, own);
        Ok(())
    }

    /// Records what came back.
    pub(super) async fn respond(&self, response: ResponseRecord) -> Result<(), Fault> {
        match self.setting.proxy.recorder.response(response).await {
            Err(error) if self.setting.proxy.on_failure == OnFailure::Deny => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// An error as the record has it: its condition, and no text that may hold values.
fn recorded(report: &Report<'_>) -> String {
    String::from_utf8_lossy(report.sqlstate()).into_owned()
}
