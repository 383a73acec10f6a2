//! How the configuration wants the store kept.

use crate::{
    config::{self, Config},
    record::{Durability, Options, PayloadLimits, Retention},
};

/// What of a configuration concerns the store.
pub(super) fn options(config: &Config) -> Options {
    let audit = &config.audit;
    Options {
        origin: format!("{}/{}", config.identity.trust_domain.as_str(), config.identity.host.as_str()),
        segment_size: audit.segment_size,
        segment_age: audit.segment_age,
        checkpoint_every: audit.checkpoint_every,
        checkpoint_file: audit.checkpoint_file.clone(),
        key_file: audit.key_file.clone(),
        durability: match audit.durability {
            config::Durability::ByRequest => None,
            config::Durability::BeforeForward => Some(Durability::BeforeForward),
            config::Durability::Batched => Some(Durability::Batched),
        },
        payload: PayloadLimits {
            event: usize::try_from(audit.payload_per_event).unwrap_or(usize::MAX),
            session: audit.payload_per_session,
        },
        retention: Retention {
            age: audit.keep,
            size: audit.keep_size,
            tagged: audit.keep_tagged.iter().map(|(tag, kept)| (tag.as_str().to_owned(), *kept)).collect(),
        },
        encrypt: audit.encrypt_payload,
        payload_key: audit.payload_key.clone(),
    }
}
