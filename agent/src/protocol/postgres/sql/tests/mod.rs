//! What is understood of statements over a small catalog.

mod fixture;
mod lineage;
