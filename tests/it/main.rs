//! The integration suite: the real daemon on the real kernel, between hosts made of network namespaces.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test whose ground gives way has failed")]

mod approvals;
mod bypass;
mod cli;
mod exec;
mod failure;
mod login;
mod namespaces;
mod path;
mod policy;
mod postgres;
mod powercut;
mod scopes;
mod store;
mod transfer;
