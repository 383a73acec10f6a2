//! What must not be seen in clear: which fields hold it, where else it turns up, and what is shown instead.

#[cfg(test)]
mod corpus;
pub mod detect;
mod field;
mod function;
mod key;
mod value;
#[cfg(test)]
mod value_test;

pub use field::FieldType;
pub use function::{DateUnit, Function, MAX_KEPT, Rule};
pub use key::Key;
pub use value::{Masked, mask};
