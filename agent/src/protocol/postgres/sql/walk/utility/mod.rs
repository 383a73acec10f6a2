//! Statements that are no queries: everything else the grammar has.

mod data;
mod define;
mod list;
mod session;
