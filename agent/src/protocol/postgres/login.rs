//! Logging in to a server with a credential of ours: from the startup message to the first ReadyForQuery.
//!
//! Bytes in, bytes out; protocol documentation: "Start-up". The client's own parameters go along, under another user.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::auth::{Authentication, put_password, put_sasl, put_sasl_initial};
use super::error::ProtocolError;
use super::message::Backend;
use super::notice::Report;
use super::query::{Status, put_query};
use super::scram::{self, Binding, Final, First, Random, Work};
use super::startup::{MAX_PACKET, Replication, Start, Startup};

mod account;
mod failure;
mod ready;

pub use self::account::{Account, Method, Password, Wire};
pub use self::failure::LoginError;
pub use self::ready::Ready;

/// Most messages of a server before it is ready; PostgreSQL sends about twenty.
const MOST_MESSAGES: u32 = 1024;
/// Longest `application_name` a server keeps, bytes.
const LONGEST_NAME: usize = 63;

/// What is next.
#[derive(Debug)]
pub enum Step {
    /// Another message of the server.
    Read,
    /// These bytes go to the server. They may hold a password.
    Send(Zeroizing<Vec<u8>>),
    /// This is to be run where it may take a while; then [`Login::worked`] with what it gives.
    Run(Work),
    /// The session is there.
    Done(Box<Ready>),
}

enum State {
    /// The startup message is out.
    Started,
    /// SCRAM's first message is out.
    Challenge(First),
    /// Its proof is being computed.
    Working,
    /// Its proof is out.
    Proof(Final),
    /// A password is out, or the server has proven itself: it may only be content now.
    Answered,
    /// The server is content, and tells of the session.
    Settling,
    /// SET ROLE is out.
    Role,
    /// Over.
    Over,
}

/// A login under way.
pub struct Login {
    state: State,
    account: Account,
    wire: Wire,
    random: Random,
    ready: Ready,
    messages: u32,
}

impl Login {
    /// Begins a login: gives the startup message too, with the parameters of the client's own.
    ///
    /// `tag` is appended to `application_name`. `random` is a nonce: fresh for each login, from a good source.
    ///
    /// # Errors
    /// If the parameters are too long, or there is a role to take on where there is no SQL.
    pub fn begin(
        account: Account,
        wire: Wire,
        start: &Start<'_>,
        tag: Option<&str>,
        random: Random,
    ) -> Result<(Self, Vec<u8>), LoginError> {
        if account.set_role.is_some() && start.replication() == Replication::Physical {
            return Err(LoginError::NoSql);
        }
        let mut parameters: BTreeMap<&[u8], Vec<u8>> =
            start.parameters().map(|(name, value)| (name, value.to_vec())).collect();
        parameters.insert(b"user", account.role.clone().into_bytes());
        // Left out, it would become the one named as the role.
        parameters.insert(b"database", start.database().to_vec());
        if let Some(tag) = tag {
            let name = start.parameter(b"application_name").unwrap_or_default();
            parameters.insert(b"application_name", tagged(name, tag));
        }
        let pairs = parameters.iter().map(|(name, value)| (*name, value.as_slice()));
        let (mut kept, mut out) = (Vec::new(), Vec::new());
        Startup::Start(Start::new(start.minor, pairs, &mut kept)?).encode(&mut out);
        if out.len() > MAX_PACKET as usize {
            return Err(LoginError::Parameters);
        }
        let ready = Ready::default();
        Ok((Self { state: State::Started, account, wire, random, ready, messages: 0 }, out))
    }

    /// Takes a message of the server.
    ///
    /// # Errors
    /// Whatever is not a login as configured. There is nothing to do but to close the connection.
    pub fn receive(&mut self, message: &Backend<'_>) -> Result<Step, LoginError> {
        self.messages += 1;
        if self.messages > MOST_MESSAGES {
            return Err(ProtocolError::Limit { what: "messages before a login", limit: MOST_MESSAGES as usize }.into());
        }
        // What fails stays over.
        let state = std::mem::replace(&mut self.state, State::Over);
        if let Backend::Error(report) = message {
            return Err(LoginError::server(report, &state_of(&state)));
        }
        if let Backend::Notice(report) = message {
            self.notice(&state, report);
            self.state = state;
            return Ok(Step::Read);
        }
        match (state, message) {
            (State::Started, Backend::Negotiation(negotiation)) if self.ready.negotiation.is_empty() => {
                negotiation.encode(&mut self.ready.negotiation);
                self.state = State::Started;
                Ok(Step::Read)
            }
            (State::Settling, Backend::Ready(status)) => self.settled(*status),
            (State::Role, Backend::Complete(_)) => self.keep(State::Role),
            (State::Role, Backend::Ready(status)) => self.done(*status),
            (state @ (State::Settling | State::Role), Backend::Parameter(parameter)) => {
                self.ready.set(parameter)?;
                self.keep(state)
            }
            (State::Settling, Backend::KeyData(key)) => {
                self.ready.key = Some((key.process, Zeroizing::new(key.key.to_vec())));
                self.keep(State::Settling)
            }
            (state, Backend::Authentication(asked)) => self.asked(state, asked),
            (_, message) => Err(unexpected(message)),
        }
    }

    /// Takes the result of [`Step::Run`].
    ///
    /// # Errors
    /// If there was no such step.
    pub fn worked(&mut self, done: Final) -> Result<Step, LoginError> {
        if !matches!(self.state, State::Working) {
            return Err(ProtocolError::OutOfTurn.into());
        }
        let mut out = Zeroizing::new(Vec::with_capacity(512));
        put_sasl(&mut out, done.message());
        self.state = State::Proof(done);
        Ok(Step::Send(out))
    }

    fn asked(&mut self, state: State, asked: &Authentication<'_>) -> Result<Step, LoginError> {
        match (state, asked) {
            (State::Started, Authentication::Ok) => {
                self.may(Method::None)?;
                self.content(Method::None)
            }
            (State::Answered, Authentication::Ok) => self.content(self.ready.method),
            (State::Started, Authentication::Cleartext) => {
                let password = self.password(Method::Password)?;
                self.answer(Method::Password, password.bytes())
            }
            (State::Started, Authentication::Md5(salt)) => {
                let password = self.password(Method::Md5)?;
                self.answer(Method::Md5, &md5(password.bytes(), self.account.role.as_bytes(), *salt))
            }
            (State::Started, Authentication::Sasl(mechanisms)) => {
                let offers = |wanted: &[u8]| mechanisms.iter().any(|name| name == wanted);
                self.scram(offers(scram::PLAIN), offers(scram::PLUS))
            }
            (State::Challenge(first), Authentication::SaslContinue(data)) => {
                let password = self.account.password.take().ok_or(LoginError::NoPassword)?;
                let work = first.challenged(data, password, self.wire.least_iterations())?;
                self.state = State::Working;
                Ok(Step::Run(work))
            }
            (State::Proof(last), Authentication::SaslFinal(data)) => {
                last.verify(data)?;
                self.keep(State::Answered)
            }
            // A server that is content before it has proven itself may be anybody.
            (State::Challenge(_) | State::Working | State::Proof(_), Authentication::Ok) => Err(LoginError::NotProven),
            (
                State::Started,
                Authentication::Kerberos
                | Authentication::Gss
                | Authentication::Sspi
                | Authentication::GssContinue(_)
                | Authentication::SaslContinue(_)
                | Authentication::SaslFinal(_),
            ) => Err(LoginError::Unsupported),
            (
                State::Challenge(_)
                | State::Working
                | State::Proof(_)
                | State::Answered
                | State::Settling
                | State::Role
                | State::Over,
                _,
            ) => Err(ProtocolError::Unexpected { kind: b'R', during: "at this point of a login" }.into()),
        }
    }

    fn scram(&mut self, plain: bool, plus: bool) -> Result<Step, LoginError> {
        self.may(Method::Scram)?;
        if self.account.password.is_none() {
            return Err(LoginError::NoPassword);
        }
        let binding = match (self.wire.end_point(), plus) {
            (Some(digest), true) => Binding::EndPoint(digest.to_vec()),
            (Some(_), false) => Binding::NotOffered,
            (None, _) => Binding::Impossible,
        };
        // Only PLUS, and nothing to bind to; or neither.
        let bindable = binding != Binding::Impossible;
        if !(plain || plus && bindable) {
            return Err(LoginError::Unsupported);
        }
        self.ready.method = Method::Scram;
        self.ready.bound = matches!(binding, Binding::EndPoint(_));
        let (first, data) = First::new(&binding, &self.random);
        let mut out = Vec::new();
        put_sasl_initial(&mut out, binding.mechanism(), Some(&data));
        self.state = State::Challenge(first);
        Ok(Step::Send(Zeroizing::new(out)))
    }

    /// What a server asks for has to be among what it may.
    fn may(&self, method: Method) -> Result<(), LoginError> {
        if self.account.accept.contains(&method) { Ok(()) } else { Err(LoginError::Method(method)) }
    }

    /// The password, where it may be told, or what it can be guessed from.
    fn password(&mut self, method: Method) -> Result<Password, LoginError> {
        self.may(method)?;
        if !self.wire.may_carry_passwords() {
            return Err(LoginError::InClear(method));
        }
        self.account.password.take().ok_or(LoginError::NoPassword)
    }

    fn answer(&mut self, method: Method, password: &[u8]) -> Result<Step, LoginError> {
        // With room enough from the start, no copy is left behind.
        let mut out = Zeroizing::new(Vec::with_capacity(password.len() + 16));
        put_password(&mut out, password);
        self.ready.method = method;
        self.state = State::Answered;
        Ok(Step::Send(out))
    }

    fn content(&mut self, method: Method) -> Result<Step, LoginError> {
        self.ready.method = method;
        self.account.password = None;
        self.keep(State::Settling)
    }

    fn settled(&mut self, status: Status) -> Result<Step, LoginError> {
        let Some(role) = &self.account.set_role else { return self.done(status) };
        let mut out = Zeroizing::new(Vec::new());
        put_query(&mut out, format!("SET ROLE \"{}\"", role.replace('"', "\"\"")).as_bytes());
        self.state = State::Role;
        Ok(Step::Send(out))
    }

    fn done(&mut self, status: Status) -> Result<Step, LoginError> {
        self.ready.status = status;
        Ok(Step::Done(Box::new(std::mem::take(&mut self.ready))))
    }

    fn keep(&mut self, state: State) -> Result<Step, LoginError> {
        self.state = state;
        Ok(Step::Read)
    }

    /// Before the server is content, nobody knows who says this.
    fn notice(&mut self, state: &State, report: &Report<'_>) {
        if matches!(state, State::Settling | State::Role) {
            self.ready.note(report);
        }
    }
}

fn state_of(state: &State) -> failure::Stage {
    match state {
        State::Settling => failure::Stage::Authenticated,
        State::Role => failure::Stage::Role,
        State::Started | State::Challenge(_) | State::Working | State::Proof(_) | State::Answered | State::Over => {
            failure::Stage::Authenticating
        }
    }
}

fn unexpected(message: &Backend<'_>) -> LoginError {
    ProtocolError::Unexpected { kind: message.tag(), during: "during a login" }.into()
}

/// `name`, cut so that ` [tag]` fits after it.
fn tagged(name: &[u8], tag: &str) -> Vec<u8> {
    let tag: String = tag.chars().filter(char::is_ascii_graphic).take(LONGEST_NAME - 3).collect();
    let room = LONGEST_NAME - 3 - tag.len();
    // In whatever encoding: a server replaces what is not ASCII there.
    let kept = name.get(..room).unwrap_or(name);
    let blank: &[u8] = if kept.is_empty() { b"" } else { b" " };
    [kept, blank, b"[", tag.as_bytes(), b"]"].concat()
}

/// `md5` and MD5(MD5(password, role), salt), both in hex.
fn md5(password: &[u8], role: &[u8], salt: [u8; 4]) -> Zeroizing<Vec<u8>> {
    let hex = |parts: [&[u8]; 2]| {
        let digest = parts.into_iter().fold(Md5::new(), Md5::chain_update).finalize();
        let text: Zeroizing<String> = Zeroizing::new(digest.iter().map(|byte| format!("{byte:02x}")).collect());
        text
    };
    let stored = hex([password, role]);
    let answer = hex([stored.as_bytes(), &salt]);
    Zeroizing::new([b"md5", answer.as_bytes()].concat())
}

#[cfg(test)]
mod tests;
