//! What must not be seen in clear: which fields hold it, where else it turns up, and what is shown instead.
//!
//! `classes` says which class a field is of and how the class is masked; `detect` finds values in fields that nobody
//! classified; [`mask`] masks one value by a class's rule, and [`Classes::mask_found`] what was found inside a text.
//! Everything but [`load`] is pure: bytes and names in, bytes out.

pub mod classes;
#[cfg(test)]
mod corpus;
pub mod detect;
mod field;
mod found;
mod function;
mod key;
pub mod load;
mod value;
#[cfg(test)]
mod value_test;

pub use classes::{Class, Classes, Step};
pub use field::FieldType;
pub use function::{DateUnit, Function, MAX_KEPT, Rule};
pub use key::Key;
pub use value::{Masked, mask};
