//! Where links and buttons come in: a small HTTP server that believes nothing but signatures.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::docket::Refusal;
use super::grant::Extent;
use super::link::{Choice, Links, Ticket};
use super::local::Host;
use super::office::{Effect, Office, Unheard};
use super::page;
use super::people::{Channel, Vote};
use super::request::Request as Asked;
use super::slack::{Chat, form_field};
use crate::record::Timestamps;

/// Connections at once.
const MOST: usize = 64;
/// Longest body.
const BODY: usize = 64 << 10;
/// How long one connection may take for everything.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest reason, in bytes.
const REASON: usize = 1000;

type Answer = Response<Full<Bytes>>;

/// What answers.
pub struct Door {
    /// Where requests wait.
    pub office: Arc<Office>,
    /// Who is in which groups.
    pub host: Host,
    /// Links that were issued.
    pub links: Arc<Mutex<Links>>,
    /// Buttons, where a chat is configured.
    pub chat: Option<Mutex<Chat>>,
}

impl Door {
    /// Answers until the future is dropped.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(MOST));
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let door = Arc::clone(&self);
                    tokio::spawn(async move {
                        // Whoever takes longer is gone.
                        let _ = tokio::time::timeout(PATIENCE, door.converse(stream)).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "approvals: cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn converse(self: Arc<Self>, stream: TcpStream) {
        let answer = service_fn(move |request| {
            let door = Arc::clone(&self);
            async move { Ok::<_, Infallible>(door.answer(request).await) }
        });
        let mut server = hyper::server::conn::http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(16 << 10).keep_alive(false);
        if let Err(error) = server.serve_connection(TokioIo::new(stream), answer).await {
            tracing::debug!(%error, "approvals: a request was not finished");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        // Whatever stands before: a proxy in front may have put it there.
        let path = request.uri().path().to_owned();
        let mut segments = path.rsplit('/');
        let (last, before) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
        match (request.method(), before, last) {
            (&Method::GET, "link", token) => self.look(token),
            (&Method::POST, "link", token) => {
                let token = token.to_owned();
                match body(request).await {
                    Some(body) => self.decide(&token, &body).await,
                    None => plain(StatusCode::BAD_REQUEST, "The request is not understood."),
                }
            }
            (&Method::POST, _, "chat") => self.press(request).await,
            (_, _, "chat") | (_, "link", _) => plain(StatusCode::METHOD_NOT_ALLOWED, "Not like this."),
            _ => plain(StatusCode::NOT_FOUND, "There is nothing here."),
        }
    }

    fn ticket(&self, token: &str) -> Option<(Ticket, Arc<Asked>, String)> {
        let ticket = self.links().read(token, now())?;
        let docket = self.office.docket();
        let pending = docket.one(ticket.id)?;
        Some((ticket, Arc::clone(&pending.request), pending.needs.to_string()))
    }

    /// Shows what would be decided, and decides nothing: previews of links follow them as well.
    fn look(&self, token: &str) -> Answer {
        match self.ticket(token) {
            Some((ticket, request, needs)) => html(StatusCode::OK, page::confirm(&ticket, request.about(), &needs)),
            None => gone(),
        }
    }

    async fn decide(&self, token: &str, body: &[u8]) -> Answer {
        let Some((ticket, ..)) = self.ticket(token) else { return gone() };
        let reason = form_field(body, "reason").map(|reason| reason.trim().to_owned());
        let reason = reason.filter(|reason| !reason.is_empty());
        if reason.as_ref().is_some_and(|reason| reason.len() > REASON || reason.chars().any(char::is_control)) {
            return html(StatusCode::BAD_REQUEST, page::say("A reason is one line of at most 1000 bytes."));
        }
        if !self.links().spend(&ticket, now()) {
            return gone();
        }
        match self.carry_out(&ticket, reason).await {
            Ok(effect) => html(StatusCode::OK, page::say(words(effect))),
            Err(unheard) => {
                self.links().give_back(&ticket);
                html(StatusCode::CONFLICT, page::say(&format!("That had no effect: {unheard}.")))
            }
        }
    }

    async fn carry_out(&self, ticket: &Ticket, reason: Option<String>) -> Result<Effect, Unheard> {
        self.speak(Channel::Link, &ticket.person, ticket.choice, (ticket.id, reason)).await
    }

    async fn speak(
        &self,
        channel: Channel,
        person: &str,
        choice: Choice,
        (id, reason): (super::Id, Option<String>),
    ) -> Result<Effect, Unheard> {
        let (host, name) = (self.host.clone(), person.to_owned());
        let found = tokio::task::spawn_blocking(move || host.named(&name, channel)).await;
        let Ok(approver) = found else { return Err(Refusal::Unknown.into()) };
        match choice {
            Choice::Approve => self.office.approve(id, Vote { approver, reason }, Extent::Once).await,
            Choice::Deny => {
                // Links and buttons end what waits, and nothing that was granted.
                if self.office.docket().one(id).is_none() {
                    return Err(Refusal::Unknown.into());
                }
                self.office.deny(id, &approver, reason.as_deref().unwrap_or("no reason was given")).await
            }
        }
    }

    async fn press(&self, request: Request<Incoming>) -> Answer {
        let Some(chat) = &self.chat else { return plain(StatusCode::NOT_FOUND, "There is nothing here.") };
        let field = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let timestamp = field("x-slack-request-timestamp").unwrap_or_default();
        let signature = field("x-slack-signature").unwrap_or_default();
        let Some(body) = body(request).await else {
            return plain(StatusCode::BAD_REQUEST, "The request is not understood.");
        };
        let read = {
            let mut chat = chat.lock().unwrap_or_else(PoisonError::into_inner);
            chat.read(&timestamp, &signature, &body, Timestamps::now().wall_ns.div_euclid(1_000_000_000))
        };
        let pressed = match read {
            Ok(pressed) => pressed,
            Err(why) => {
                tracing::warn!(%why, "approvals: a button was refused");
                return plain(StatusCode::UNAUTHORIZED, "Refused.");
            }
        };
        let id = self.office.docket().pending().iter().map(|one| one.id).find(|id| id.to_string() == pressed.id);
        let said = match id {
            Some(id) => self.speak(Channel::Chat, &pressed.person, pressed.choice, (id, None)).await,
            None => Err(Refusal::Unknown.into()),
        };
        let text =
            said.map_or_else(|unheard| format!("That had no effect: {unheard}."), |effect| words(effect).to_owned());
        let json = serde_json::json!({ "replace_original": false, "text": text }).to_string();
        typed(StatusCode::OK, "application/json", json)
    }

    fn links(&self) -> std::sync::MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body, if it is short enough and arrives.
async fn body(request: Request<Incoming>) -> Option<Bytes> {
    Limited::new(request.into_body(), BODY).collect().await.ok().map(http_body_util::Collected::to_bytes)
}

fn words(effect: Effect) -> &'static str {
    match effect {
        Effect::Counted => "Your approval is counted; more people are needed.",
        Effect::Approved => "It is approved.",
        Effect::Denied => "It is denied.",
        Effect::Withdrawn => "It is withdrawn: you asked for it yourself.",
        Effect::Revoked => "It is ended.",
    }
}

fn gone() -> Answer {
    html(StatusCode::GONE, page::say("This link is over: it was used, or what it was about is settled."))
}

fn html(status: StatusCode, text: String) -> Answer {
    typed(status, "text/html; charset=utf-8", text)
}

fn plain(status: StatusCode, text: &str) -> Answer {
    typed(status, "text/plain; charset=utf-8", text.to_owned())
}

fn typed(status: StatusCode, kind: &'static str, text: String) -> Answer {
    const FIELDS: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; form-action 'self'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONNECTION, "close"),
    ];
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    for (name, value) in FIELDS {
        fields.insert(name, HeaderValue::from_static(value));
    }
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn now() -> u64 {
    Timestamps::now().boot_ns
}
