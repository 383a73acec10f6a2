//! What is understood of statements over a small catalog.

mod facts;
mod fixture;
mod hostile;
mod lineage;
mod session;
mod wrapped;
mod writes;
