//! Cells: the built-in types in their binary and text forms, and replacements that are valid for their type.
//!
//! Text forms are those of a session with `DateStyle = ISO`, `IntervalStyle = postgres`, `bytea_output = hex`, and the time
//! zone UTC. Binary forms are those of the types' send and receive functions (`src/backend/utils/adt`). A value that does
//! not have its type's form is an error, and whoever masks stops there.

mod array;
mod composite;
mod geometry;
mod network;
mod number;
mod numeric;
mod rewrite;
mod scalar;
mod search;
#[cfg(test)]
mod tests;
mod time;

pub use rewrite::{Leaf, rewrite};

use super::error::ProtocolError;
use super::wire::{Oid, Reader};

/// Arrays and records inside each other: further down nobody looks.
const MOST_NESTED: u8 = 6;

/// Why a value cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A type that is not built in: its forms are unknown.
    #[error("type {0} is unknown")]
    Unknown(Oid),
    /// The bytes are not a binary form of the type.
    #[error("not a value of type {0}")]
    Binary(Oid),
    /// The text is not a text form of the type.
    #[error("not the text of a value of type {0}")]
    Text(Oid),
    /// Text in an encoding other than UTF-8.
    #[error("the text is not UTF-8")]
    Encoding,
    /// Nested deeper than anybody looks.
    #[error("nested too deeply")]
    Nested,
    /// A row that is not of the columns it was announced with.
    #[error("a row of other columns than were announced")]
    Cells,
}

pub(super) type Result<T, E = ValueError> = std::result::Result<T, E>;

/// A part of a value could not be read. Which value it was says whoever was asked for it.
pub(super) struct Bad;

impl From<ProtocolError> for Bad {
    fn from(_: ProtocolError) -> Self {
        Self
    }
}

/// What a type is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One value.
    Scalar,
    /// An array of this element type.
    Array(Oid),
    /// An array that is written as a list of blanks and numbers: `int2vector`, `oidvector`.
    Vector(Oid),
    /// A range of this type.
    Range(Oid),
    /// Several ranges of this type.
    Multirange(Oid),
    /// Fields that each say their type.
    Record,
}

/// Arrays: type and element type.
const ARRAYS: [(Oid, Oid); 78] = [
    (143, 142),
    (199, 114),
    (271, 5069),
    (629, 628),
    (651, 650),
    (719, 718),
    (775, 774),
    (791, 790),
    (1000, 16),
    (1001, 17),
    (1002, 18),
    (1003, 19),
    (1005, 21),
    (1006, 22),
    (1007, 23),
    (1008, 24),
    (1009, 25),
    (1010, 27),
    (1011, 28),
    (1012, 29),
    (1013, 30),
    (1014, 1042),
    (1015, 1043),
    (1016, 20),
    (1017, 600),
    (1018, 601),
    (1019, 602),
    (1020, 603),
    (1021, 700),
    (1022, 701),
    (1027, 604),
    (1028, 26),
    (1034, 1033),
    (1040, 829),
    (1041, 869),
    (1115, 1114),
    (1182, 1082),
    (1183, 1083),
    (1185, 1184),
    (1187, 1186),
    (1231, 1700),
    (1263, 2275),
    (1270, 1266),
    (1561, 1560),
    (1563, 1562),
    (2201, 1790),
    (2207, 2202),
    (2208, 2203),
    (2209, 2204),
    (2210, 2205),
    (2211, 2206),
    (2287, 2249),
    (2949, 2970),
    (2951, 2950),
    (3221, 3220),
    (3643, 3614),
    (3644, 3642),
    (3645, 3615),
    (3735, 3734),
    (3770, 3769),
    (3807, 3802),
    (3905, 3904),
    (3907, 3906),
    (3909, 3908),
    (3911, 3910),
    (3913, 3912),
    (3927, 3926),
    (4073, 4072),
    (4090, 4089),
    (4097, 4096),
    (4192, 4191),
    (5039, 5038),
    (6150, 4451),
    (6151, 4532),
    (6152, 4533),
    (6153, 4534),
    (6155, 4535),
    (6157, 4536),
];

/// What a type is made of; `None` if it is not built in. Domains are sent as their base type, and an enumeration's values
/// are read as `text` (25).
#[must_use]
pub fn kind(oid: Oid) -> Option<Kind> {
    if scalar::is_known(oid) {
        return Some(Kind::Scalar);
    }
    let composed = match oid {
        22 => Kind::Vector(21),
        30 => Kind::Vector(26),
        2249 => Kind::Record,
        3904 => Kind::Range(23),
        3906 => Kind::Range(1700),
        3908 => Kind::Range(1114),
        3910 => Kind::Range(1184),
        3912 => Kind::Range(1082),
        3926 => Kind::Range(20),
        4451 => Kind::Multirange(3904),
        4532 => Kind::Multirange(3906),
        4533 => Kind::Multirange(3908),
        4534 => Kind::Multirange(3910),
        4535 => Kind::Multirange(3912),
        4536 => Kind::Multirange(3926),
        oid => {
            let (_, element) = ARRAYS.iter().find(|(array, _)| *array == oid)?;
            Kind::Array(*element)
        }
    };
    Some(composed)
}

/// The text form of a binary value.
///
/// # Errors
/// A type that is not built in, or bytes that are not of the type.
pub fn to_text(oid: Oid, binary: &[u8]) -> Result<String> {
    read(oid, binary, 0)
}

/// The binary form of a text value.
///
/// # Errors
/// A type that is not built in or does not say what it is made of (records), or a text that is not of the type.
pub fn from_text(oid: Oid, text: &[u8]) -> Result<Vec<u8>> {
    write(oid, std::str::from_utf8(text).map_err(|_| ValueError::Encoding)?, 0)
}

fn read(oid: Oid, binary: &[u8], nested: u8) -> Result<String> {
    if nested > MOST_NESTED {
        return Err(ValueError::Nested);
    }
    match kind(oid).ok_or(ValueError::Unknown(oid))? {
        Kind::Scalar => scalar::read(oid, binary),
        Kind::Array(element) => array::read(oid, element, binary, nested),
        Kind::Vector(element) => array::read_vector(oid, element, binary),
        Kind::Range(bound) => composite::read_range(oid, bound, binary, nested),
        Kind::Multirange(range) => composite::read_multirange(oid, range, binary, nested),
        Kind::Record => composite::read_record(oid, binary, nested),
    }
}

fn write(oid: Oid, text: &str, nested: u8) -> Result<Vec<u8>> {
    if nested > MOST_NESTED {
        return Err(ValueError::Nested);
    }
    match kind(oid).ok_or(ValueError::Unknown(oid))? {
        Kind::Scalar => scalar::write(oid, text),
        Kind::Array(element) => array::write(oid, element, text, nested),
        Kind::Vector(element) => array::write_vector(oid, element, text),
        Kind::Range(bound) => composite::write_range(oid, bound, text, nested),
        Kind::Multirange(range) => composite::write_multirange(oid, range, text, nested),
        Kind::Record => Err(ValueError::Unknown(oid)),
    }
}

/// Reads all of a binary value.
fn whole<'a, T>(oid: Oid, binary: &'a [u8], read: impl FnOnce(&mut Reader<'a>) -> Result<T, Bad>) -> Result<T> {
    let mut reader = Reader::new(binary);
    let value = read(&mut reader).map_err(|Bad| ValueError::Binary(oid))?;
    reader.end().map_err(|_| ValueError::Binary(oid))?;
    Ok(value)
}
