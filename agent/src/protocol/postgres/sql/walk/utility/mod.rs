//! Statements that are no queries: everything else the grammar has.

mod data;
mod define;
mod kept;
mod list;
mod session;
