//! What masks a value: the functions, and which of two is the stricter.

use std::cmp::Ordering;
use std::fmt;

use super::key::{ClassKey, Key};

/// Most characters that a function may keep of a value.
pub const MAX_KEPT: u8 = 32;

/// How a class is masked, from the strictest to the least strict: by what is left of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Function {
    /// NULL: not even whether there was a value.
    Null,
    /// A fixed value of the type: that there was a value.
    Redact,
    /// A text of the operator's choice, where the type takes it; otherwise as [`Function::Redact`].
    Constant(String),
    /// A keyed hash: which values are equal, within a class and a type.
    Hash,
    /// A date without its day, or without its month.
    TruncateDate(DateUnit),
    /// A number rounded down to a multiple of this, 2 at least.
    Generalise(u64),
    /// The last so many characters, and only of a value that is at least twice as long.
    KeepLast(u8),
}

/// What is left of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DateUnit {
    /// The year.
    Year,
    /// Year and month.
    Month,
}

impl Function {
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Redact => 1,
            Self::Constant(_) => 2,
            Self::Hash => 3,
            Self::TruncateDate(_) => 4,
            Self::Generalise(_) => 5,
            Self::KeepLast(_) => 6,
        }
    }

    /// The stricter first; equal only for functions that leave the same.
    pub fn by_strictness(&self, other: &Self) -> Ordering {
        let within = match (self, other) {
            (Self::TruncateDate(a), Self::TruncateDate(b)) => a.cmp(b),
            // The larger the step, the less is left.
            (Self::Generalise(a), Self::Generalise(b)) => b.cmp(a),
            (Self::KeepLast(a), Self::KeepLast(b)) => a.cmp(b),
            _ => Ordering::Equal,
        };
        self.rank().cmp(&other.rank()).then(within)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Redact => f.write_str("redact"),
            Self::Constant(_) => f.write_str("constant"),
            Self::Hash => f.write_str("hash"),
            Self::TruncateDate(DateUnit::Year) => f.write_str("truncate-date to year"),
            Self::TruncateDate(DateUnit::Month) => f.write_str("truncate-date to month"),
            Self::Generalise(step) => write!(f, "generalise to {step}"),
            Self::KeepLast(keep) => write!(f, "keep-last {keep}"),
        }
    }
}

/// A function made ready for one class.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) function: Function,
    pub(super) key: ClassKey,
}

impl Function {
    /// Whether it leaves nothing of a value: whatever is put in its place shows nothing either.
    #[must_use]
    pub fn leaves_nothing(&self) -> bool {
        match self {
            Self::Null | Self::Redact | Self::Constant(_) => true,
            Self::Hash | Self::TruncateDate(_) | Self::Generalise(_) | Self::KeepLast(_) => false,
        }
    }
}

impl Rule {
    /// The function for values of `class`.
    #[must_use]
    pub fn new(function: Function, class: &str, key: &Key) -> Self {
        Self { function, key: key.of_class(class) }
    }

    /// The function.
    pub fn function(&self) -> &Function {
        &self.function
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strictness_is_what_is_left() {
        let order = [
            Function::Null,
            Function::Redact,
            Function::Constant("x".to_owned()),
            Function::Hash,
            Function::TruncateDate(DateUnit::Year),
            Function::TruncateDate(DateUnit::Month),
            Function::Generalise(1000),
            Function::Generalise(10),
            Function::KeepLast(2),
            Function::KeepLast(4),
        ];
        for (a, strict) in order.iter().enumerate() {
            for (b, other) in order.iter().enumerate() {
                assert_eq!(strict.by_strictness(other), a.cmp(&b), "{strict} {other}");
            }
        }
    }
}
