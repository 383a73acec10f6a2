//! Every typed message of either side.
//!
//! Protocol documentation: "Message Formats".

use super::auth::{Authentication, Secret};
use super::copy::{self, CopyResponse, Direction};
use super::error::{Malformed, ProtocolError, Result};
use super::extended::{self, Bind, Execute, Object, Parse};
use super::function::{self, FunctionCall};
use super::notice::Report;
use super::notify::{KeyData, Negotiation, Notification, Parameter};
use super::query::{self, Status, Tag};
use super::rows::{Columns, Row};
use super::wire::{Oids, Reader, message};

/// What a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frontend<'a> {
    /// Answers an authentication request.
    Secret(Secret<'a>),
    /// SQL, any number of statements.
    Query(&'a [u8]),
    /// Makes a statement.
    Parse(Parse<'a>),
    /// Makes a portal.
    Bind(Bind<'a>),
    /// Asks what something is.
    Describe(Object<'a>),
    /// Runs a portal.
    Execute(Execute<'a>),
    /// Drops something.
    Close(Object<'a>),
    /// Wants the answers so far.
    Flush,
    /// Ends a batch, and its transaction if that is implicit.
    Sync,
    /// Calls a function.
    FunctionCall(FunctionCall<'a>),
    /// Copied data, or its beginning where it is handed out in pieces.
    CopyData(&'a [u8]),
    /// All data was copied.
    CopyDone,
    /// Gives a COPY up, and why.
    CopyFail(&'a [u8]),
    /// Ends the session.
    Terminate,
}

/// A body that must be empty.
fn empty<T>(body: &[u8], message: T) -> Result<T> {
    if body.is_empty() { Ok(message) } else { Err(Malformed::Trailing.into()) }
}

impl<'a> Frontend<'a> {
    /// Reads a message's body.
    ///
    /// # Errors
    /// An unknown type, or a body that is not the type's.
    pub fn decode(tag: u8, body: &'a [u8]) -> Result<Self> {
        match tag {
            b'p' => Ok(Self::Secret(Secret(body))),
            b'Q' => query::string(body).map(Self::Query),
            b'P' => Parse::decode(body).map(Self::Parse),
            b'B' => Bind::decode(body).map(Self::Bind),
            b'D' => Object::decode(body).map(Self::Describe),
            b'E' => Execute::decode(body).map(Self::Execute),
            b'C' => Object::decode(body).map(Self::Close),
            b'H' => empty(body, Self::Flush),
            b'S' => empty(body, Self::Sync),
            b'F' => FunctionCall::decode(body).map(Self::FunctionCall),
            b'd' => Ok(Self::CopyData(body)),
            b'c' => empty(body, Self::CopyDone),
            b'f' => query::string(body).map(Self::CopyFail),
            b'X' => empty(body, Self::Terminate),
            tag => Err(ProtocolError::UnknownType(tag)),
        }
    }

    /// The message's type.
    #[must_use]
    pub fn tag(&self) -> u8 {
        match self {
            Self::Secret(_) => b'p',
            Self::Query(_) => b'Q',
            Self::Parse(_) => b'P',
            Self::Bind(_) => b'B',
            Self::Describe(_) => b'D',
            Self::Execute(_) => b'E',
            Self::Close(_) => b'C',
            Self::Flush => b'H',
            Self::Sync => b'S',
            Self::FunctionCall(_) => b'F',
            Self::CopyData(_) => b'd',
            Self::CopyDone => b'c',
            Self::CopyFail(_) => b'f',
            Self::Terminate => b'X',
        }
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Secret(secret) => secret.encode(out),
            Self::Query(sql) => query::put_query(out, sql),
            Self::Parse(parse) => parse.encode(out),
            Self::Bind(bind) => bind.encode(out),
            Self::Describe(object) => object.describe(out),
            Self::Execute(execute) => execute.encode(out),
            Self::Close(object) => object.close(out),
            Self::Flush => out.extend_from_slice(&extended::FLUSH),
            Self::Sync => out.extend_from_slice(&extended::SYNC),
            Self::FunctionCall(call) => call.encode(out),
            Self::CopyData(data) => copy::put_copy_data(out, data),
            Self::CopyDone => out.extend_from_slice(&copy::COPY_DONE),
            Self::CopyFail(why) => copy::put_copy_fail(out, why),
            Self::Terminate => message(out, b'X', |_| {}),
        }
    }
}

/// What a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend<'a> {
    /// Asks who the client is, or is content.
    Authentication(Authentication<'a>),
    /// Speaks less than was asked for.
    Negotiation(Negotiation<'a>),
    /// The key for cancellations.
    KeyData(KeyData<'a>),
    /// A setting.
    Parameter(Parameter<'a>),
    /// Something to know.
    Notice(Report<'a>),
    /// A notification.
    Notification(Notification<'a>),
    /// A request has failed.
    Error(Report<'a>),
    /// Waits for requests.
    Ready(Status),
    /// A Parse is done.
    ParseComplete,
    /// A Bind is done.
    BindComplete,
    /// A Close is done.
    CloseComplete,
    /// The parameters of a statement.
    Parameters(Oids<'a>),
    /// The columns of a result.
    Columns(Columns<'a>),
    /// There is no result.
    NoData,
    /// A row.
    Row(Row<'a>),
    /// A command is done.
    Complete(Tag<'a>),
    /// There was no command.
    Empty,
    /// A portal has more rows.
    Suspended,
    /// A function's result.
    FunctionResult(Option<&'a [u8]>),
    /// A COPY begins.
    Copy(CopyResponse<'a>),
    /// Copied data, or its beginning where it is handed out in pieces.
    CopyData(&'a [u8]),
    /// All data was copied.
    CopyDone,
}

impl<'a> Backend<'a> {
    /// Reads a message's body.
    ///
    /// # Errors
    /// An unknown type, or a body that is not the type's.
    pub fn decode(tag: u8, body: &'a [u8]) -> Result<Self> {
        match tag {
            b'D' => Row::decode(body).map(Self::Row),
            b'd' => Ok(Self::CopyData(body)),
            b'C' => query::string(body).map(|tag| Self::Complete(Tag(tag))),
            b'Z' => Status::decode(body).map(Self::Ready),
            b'T' => Columns::decode(body).map(Self::Columns),
            b't' => {
                let mut reader = Reader::new(body);
                let oids = Oids::read(&mut reader)?;
                reader.end().map(|()| Self::Parameters(oids))
            }
            b'1' => empty(body, Self::ParseComplete),
            b'2' => empty(body, Self::BindComplete),
            b'3' => empty(body, Self::CloseComplete),
            b'n' => empty(body, Self::NoData),
            b'I' => empty(body, Self::Empty),
            b's' => empty(body, Self::Suspended),
            b'E' => Report::decode(body).map(Self::Error),
            b'N' => Report::decode(body).map(Self::Notice),
            b'S' => Parameter::decode(body).map(Self::Parameter),
            b'A' => Notification::decode(body).map(Self::Notification),
            b'R' => Authentication::decode(body).map(Self::Authentication),
            b'K' => KeyData::decode(body).map(Self::KeyData),
            b'v' => Negotiation::decode(body).map(Self::Negotiation),
            b'V' => function::result(body).map(Self::FunctionResult),
            b'G' => CopyResponse::decode(Direction::In, body).map(Self::Copy),
            b'H' => CopyResponse::decode(Direction::Out, body).map(Self::Copy),
            b'W' => CopyResponse::decode(Direction::Both, body).map(Self::Copy),
            b'c' => empty(body, Self::CopyDone),
            tag => Err(ProtocolError::UnknownType(tag)),
        }
    }

    /// The message's type.
    #[must_use]
    pub fn tag(&self) -> u8 {
        match self {
            Self::Authentication(_) => b'R',
            Self::Negotiation(_) => b'v',
            Self::KeyData(_) => b'K',
            Self::Parameter(_) => b'S',
            Self::Notice(_) => b'N',
            Self::Notification(_) => b'A',
            Self::Error(_) => b'E',
            Self::Ready(_) => b'Z',
            Self::ParseComplete => b'1',
            Self::BindComplete => b'2',
            Self::CloseComplete => b'3',
            Self::Parameters(_) => b't',
            Self::Columns(_) => b'T',
            Self::NoData => b'n',
            Self::Row(_) => b'D',
            Self::Complete(_) => b'C',
            Self::Empty => b'I',
            Self::Suspended => b's',
            Self::FunctionResult(_) => b'V',
            Self::Copy(CopyResponse { direction: Direction::In, .. }) => b'G',
            Self::Copy(CopyResponse { direction: Direction::Out, .. }) => b'H',
            Self::Copy(CopyResponse { direction: Direction::Both, .. }) => b'W',
            Self::CopyData(_) => b'd',
            Self::CopyDone => b'c',
        }
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Authentication(authentication) => authentication.encode(out),
            Self::Negotiation(negotiation) => negotiation.encode(out),
            Self::KeyData(key) => key.encode(out),
            Self::Parameter(parameter) => parameter.encode(out),
            Self::Notice(report) => report.notice(out),
            Self::Notification(notification) => notification.encode(out),
            Self::Error(report) => report.error(out),
            Self::Ready(status) => status.encode(out),
            Self::Parameters(oids) => message(out, b't', |out| oids.encode(out)),
            Self::Columns(columns) => columns.encode(out),
            Self::Row(row) => row.encode(out),
            Self::Complete(tag) => tag.encode(out),
            Self::FunctionResult(value) => function::put_function_result(out, *value),
            Self::Copy(copy) => copy.encode(out),
            Self::CopyData(data) => copy::put_copy_data(out, data),
            Self::ParseComplete
            | Self::BindComplete
            | Self::CloseComplete
            | Self::NoData
            | Self::Empty
            | Self::Suspended
            | Self::CopyDone => message(out, self.tag(), |_| {}),
        }
    }
}
