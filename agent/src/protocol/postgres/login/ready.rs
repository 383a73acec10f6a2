//! What a login leaves: the session as the server told of it.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::Method;
use super::failure::LoginError;
use crate::protocol::postgres::auth::Authentication;
use crate::protocol::postgres::error::ProtocolError;
use crate::protocol::postgres::notice::Report;
use crate::protocol::postgres::notify::{KeyData, Parameter};
use crate::protocol::postgres::query::Status;

/// Most settings a server tells of; PostgreSQL has some fifteen.
const MOST_PARAMETERS: usize = 256;
/// Most notices that are kept for the client.
const MOST_NOTICES: usize = 16;
/// Longest setting or notice that is kept.
const LONGEST: usize = 16 << 10;

/// A session that is logged in.
#[derive(Clone, Default)]
pub struct Ready {
    /// How it was: for the record.
    pub method: Method,
    /// Whether SCRAM was bound to the server's certificate.
    pub bound: bool,
    /// Settings, as the server told last.
    pub parameters: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The server's process, and the key that cancels its requests.
    pub key: Option<(u32, Zeroizing<Vec<u8>>)>,
    /// Where the transaction stands.
    pub status: Status,
    /// NegotiateProtocolVersion, all of it, if there was one.
    pub(super) negotiation: Vec<u8>,
    notices: Vec<u8>,
    noticed: usize,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").field("method", &self.method).field("bound", &self.bound).finish_non_exhaustive()
    }
}

impl Ready {
    /// Appends everything a client hears when it is let in, up to ReadyForQuery.
    pub fn greet(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.negotiation);
        Authentication::Ok.encode(out);
        out.extend_from_slice(&self.notices);
        for (name, value) in &self.parameters {
            Parameter { name, value }.encode(out);
        }
        if let Some((process, key)) = &self.key {
            KeyData { process: *process, key }.encode(out);
        }
        self.status.encode(out);
    }

    pub(super) fn set(&mut self, parameter: &Parameter<'_>) -> Result<(), LoginError> {
        if parameter.name.len() + parameter.value.len() > LONGEST {
            return Err(ProtocolError::Limit { what: "bytes of a setting", limit: LONGEST }.into());
        }
        self.parameters.insert(parameter.name.to_vec(), parameter.value.to_vec());
        if self.parameters.len() > MOST_PARAMETERS {
            return Err(ProtocolError::Limit { what: "settings", limit: MOST_PARAMETERS }.into());
        }
        Ok(())
    }

    /// What is too long, or too much, is no loss: nothing depends on a notice.
    pub(super) fn note(&mut self, report: &Report<'_>) {
        let mut notice = Vec::new();
        report.notice(&mut notice);
        if notice.len() <= LONGEST && self.noticed < MOST_NOTICES {
            self.noticed += 1;
            self.notices.append(&mut notice);
        }
    }
}
