//! Why copied rows are not passed.

/// What ends a COPY: nothing of the row is passed, and nothing after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// A row, or what stands before the rows, that is longer than anybody waits for.
    #[error("a row of more than {0} bytes")]
    Long(usize),
    /// More or fewer fields than the COPY has columns.
    #[error("a row that has not {0} fields")]
    Fields(usize),
    /// A line that ends in another way than the first one did.
    #[error("a line does not end as the first one did")]
    LineEnd,
    /// A quoted field that goes on to the end of the data.
    #[error("a quoted field does not end")]
    Quote,
    /// `\.` that is not alone on its line.
    #[error("the end marker is not alone on its line")]
    Marker,
    /// Data behind the end marker or the trailer.
    #[error("data follows the end")]
    AfterEnd,
    /// The data ends inside a row or before the binary header is over.
    #[error("the data ends too early")]
    Short,
    /// A zero byte in text, which no encoding has.
    #[error("a zero byte in text")]
    Zero,
    /// A line that is not UTF-8, where that is what the data is in.
    #[error("a line that is not UTF-8")]
    Encoding,
    /// Binary data that does not begin as it must.
    #[error("not the signature of binary data")]
    Signature,
    /// Binary flags that change what follows: object ids, which were last written by PostgreSQL 11, or unknown ones.
    #[error("binary flags {0:#010x}")]
    Flags(u32),
    /// A length that is negative and not null's.
    #[error("a length of {0}")]
    Length(i32),
    /// A format other than the one the server said it uses, or other columns.
    #[error("the server does not copy as the statement says")]
    Disagreement,
    /// A new value that the format cannot hold: a zero byte in text, or 2 GiB.
    #[error("a new value cannot be written")]
    Value,
    /// Something was wrong before.
    #[error("it was given up before")]
    GivenUp,
}
