//! Reading the store, live or at rest, without write access to anything.
//!
//! A store is a row of segments. Lists go from the newest to the oldest and stop when a page is full; what belongs to one
//! session is gathered from the oldest on. A session that was open when its segment was closed goes on under a row of
//! the next one: the first row stands for it, and what came later is laid over it.

mod access;
mod asked;
mod carried;
mod columns;
mod drivers;
mod events;
mod filter;
mod found;
mod indexes;
mod list;
mod one;
mod payload;
mod search;
mod segments;
mod statements;
mod tail;
#[cfg(test)]
pub(crate) mod tests;

pub use access::{
    AccessReview, ApprovalUse, Credential, Denial, Identity as ReviewedWho, Masking, ReviewedIdentity, StatementUse,
    TargetUse,
};
pub use asked::Asked;
pub use columns::{Column, View, views};
pub use filter::Filter;
pub use found::{ApprovalRow, EventRow, SessionDetail, SessionRow, StatementRow, table_name};
pub use indexes::INDEXES;
pub use list::Page;
pub use one::Session;
pub use payload::{Bytes, MAX_CHUNK, PayloadKeys, PayloadRow, Payloads};
pub use search::Words;
pub use segments::Store;
pub use statements::StatementPage;
pub use tail::{Followed, Tail};
