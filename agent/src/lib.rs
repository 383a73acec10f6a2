//! Sallyport: every outbound connection of a managed process leaves through one guarded door.
//!
//! The rooms, in reading order. A connection walks `intercept` → `identity` → `policy` → `record` → `proxy`;
//! each hands the next a value that only it can make.

pub mod app;
pub mod approve;
pub mod cli;
pub mod config;
pub mod control;
pub mod doctor;
pub mod identity;
pub mod intercept;
pub mod mask;
pub mod policy;
pub mod protocol;
pub mod proxy;
pub mod record;
pub mod sys;
pub mod telemetry;
