//! Function calls without SQL: the fast path.
//!
//! Protocol documentation: "Function Call".

use super::error::{Malformed, Result};
use super::wire::{Format, Formats, Oid, Reader, Values, message, put_value};

/// FunctionCall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionCall<'a> {
    /// The function.
    pub function: Oid,
    /// How the arguments are written.
    pub formats: Formats<'a>,
    /// The arguments.
    pub arguments: Values<'a>,
    /// How the result is to be written.
    pub result: Format,
}

impl<'a> FunctionCall<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let call = Self {
            function: reader.u32()?,
            formats: Formats::read(&mut reader)?,
            arguments: Values::read(&mut reader)?,
            result: Format::read(&mut reader)?,
        };
        reader.end()?;
        if !call.formats.fit(call.arguments.count()) {
            return Err(Malformed::Formats.into());
        }
        Ok(call)
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        message(out, b'F', |out| {
            out.extend_from_slice(&self.function.to_be_bytes());
            self.formats.encode(out);
            self.arguments.encode(out);
            out.extend_from_slice(&self.result.code().to_be_bytes());
        });
    }
}

/// Reads the body of a FunctionCallResponse.
pub(super) fn result(body: &[u8]) -> Result<Option<&[u8]>> {
    let mut reader = Reader::new(body);
    let value = reader.value()?;
    reader.end()?;
    Ok(value)
}

/// Appends a FunctionCallResponse.
pub fn put_function_result(out: &mut Vec<u8>, value: Option<&[u8]>) {
    message(out, b'V', |out| put_value(out, value));
}
