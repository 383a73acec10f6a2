//! Tells others what waits: signed POSTs, tried again, that never hold anybody up.
//!
//! `Sallyport-Signature: v1=HEX` is HMAC-SHA-256, with the shared secret, of `v1:TIMESTAMP:BODY`, where TIMESTAMP is that
//! of `Sallyport-Timestamp`, seconds since 1970. `Sallyport-Delivery` stays the same when a message is tried again.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use super::secret::Secret;
use crate::record::{EventKind, EventRecord, Recorder, Timestamps};

/// Messages of one receiver on their way; when there are more, the newest are lost, and that is recorded.
const QUEUE: usize = 256;
/// How often a message is tried.
const TRIES: u32 = 6;
/// Before the second try; doubled before each later one.
const PAUSE: Duration = Duration::from_secs(1);

/// One who is told.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Where.
    pub url: Uri,
    /// What messages are signed with.
    pub secret: Secret,
    /// How long one try may take.
    pub timeout: Duration,
}

/// Why a message did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// It is no address to send to.
    #[error("the URL names no host")]
    NoHost,
    /// The connection failed.
    #[error("cannot connect")]
    Connect(#[from] io::Error),
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// HTTP failed.
    #[error("the exchange failed")]
    Http(#[from] hyper::Error),
    /// The message could not be made.
    #[error("the message cannot be sent")]
    Message(#[from] hyper::http::Error),
    /// The receiver does not want it.
    #[error("the answer was {0}")]
    Answer(StatusCode),
}

impl Undelivered {
    /// Whether another try may help.
    fn may_pass(&self) -> bool {
        match self {
            Self::Answer(status) => {
                status.is_server_error()
                    || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
            }
            Self::Connect(_) | Self::Timeout | Self::Http(_) => true,
            Self::NoHost | Self::Message(_) => false,
        }
    }
}

/// The way to everybody who is told.
#[derive(Clone, Debug)]
pub struct Messages {
    queues: Vec<Queue>,
    recorder: Recorder,
}

#[derive(Clone, Debug)]
struct Queue {
    url: Uri,
    sender: mpsc::Sender<Bytes>,
    /// Whether it was said already that it is full.
    told_full: Arc<AtomicBool>,
}

impl Messages {
    /// Starts a queue for each receiver.
    ///
    /// # Errors
    /// When the system has no roots to trust and a receiver needs some.
    pub fn start(receivers: Vec<Receiver>, recorder: Recorder) -> io::Result<Self> {
        let secure = receivers.iter().any(|receiver| receiver.url.scheme_str() == Some("https"));
        let tls = secure.then(trusting_the_system).transpose()?;
        let mut queues = Vec::new();
        for receiver in receivers {
            let (sender, messages) = mpsc::channel(QUEUE);
            queues.push(Queue { url: receiver.url.clone(), sender, told_full: Arc::default() });
            tokio::spawn(deliver(receiver, tls.clone(), messages, recorder.clone()));
        }
        Ok(Self { queues, recorder })
    }

    /// Whether anybody is told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Sends a message to everybody, some time.
    pub async fn send(&self, body: &serde_json::Value) {
        let body = Bytes::from(body.to_string());
        for Queue { url, sender, told_full } in &self.queues {
            let full = sender.try_send(body.clone()).is_err();
            // Once for a storm: a record of each would be another.
            if full && !told_full.swap(true, Relaxed) {
                lost(&self.recorder, url, "too many messages wait; the newest are lost").await;
            } else if !full {
                told_full.store(false, Relaxed);
            }
        }
    }
}

async fn deliver(
    receiver: Receiver,
    tls: Option<TlsConnector>,
    mut messages: mpsc::Receiver<Bytes>,
    recorder: Recorder,
) {
    while let Some(body) = messages.recv().await {
        let delivery = uuid::Uuid::new_v4().to_string();
        let mut pause = PAUSE;
        for attempt in 1..=TRIES {
            let tried = tokio::time::timeout(receiver.timeout, try_once(&receiver, tls.as_ref(), &delivery, &body));
            let failed = match tried.await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => error,
                Err(_) => Undelivered::Timeout,
            };
            if attempt == TRIES || !failed.may_pass() {
                lost(&recorder, &receiver.url, &failed.to_string()).await;
                break;
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
    }
}

/// The path of a webhook is often its password: only the host is told.
async fn lost(recorder: &Recorder, url: &Uri, why: &str) {
    let host = url.host().unwrap_or_default();
    tracing::error!(host, why, "a webhook was not told of an approval");
    let detail = Some(format!("webhook of {host}: {why}"));
    let event = EventRecord { detail, ..EventRecord::new(EventKind::NotificationFailed, Timestamps::now()) };
    if let Err(error) = recorder.event(event).await {
        tracing::error!(%error, "that could not be recorded");
    }
}

async fn try_once(
    receiver: &Receiver,
    tls: Option<&TlsConnector>,
    delivery: &str,
    body: &Bytes,
) -> Result<(), Undelivered> {
    let secure = receiver.url.scheme_str() == Some("https");
    let host = receiver.url.host().ok_or(Undelivered::NoHost)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = receiver.url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((bare, port)).await?;
    let request = request(receiver, host, delivery, body)?;
    match (secure, tls) {
        (false, _) => exchange(stream, request).await,
        (true, Some(tls)) => {
            let name = ServerName::try_from(bare.to_owned()).map_err(|_| Undelivered::NoHost)?;
            exchange(tls.connect(name, stream).await?, request).await
        }
        (true, None) => Err(Undelivered::NoHost),
    }
}

fn request(
    receiver: &Receiver,
    host: &str,
    delivery: &str,
    body: &Bytes,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let timestamp = Timestamps::now().wall_ns.div_euclid(1_000_000_000).to_string();
    let host = receiver.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Request::post(receiver.url.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("sallyport/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .header("Sallyport-Delivery", delivery)
        .header("Sallyport-Signature", signature(&receiver.secret, &timestamp, body))
        .header("Sallyport-Timestamp", timestamp)
        .body(Full::new(body.clone()))
}

fn signature(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    let mut text = "v1=".to_owned();
    // A key of any length is one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.bytes()) else { return text };
    mac.update(format!("v1:{timestamp}:").as_bytes());
    mac.update(body);
    for byte in mac.finalize().into_bytes() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(), Undelivered>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new().max_buf_size(16 << 10).handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answered = sender.send_request(request).await;
    // What the answer says besides is of no interest.
    connection.abort();
    match answered?.status() {
        status if status.is_success() => Ok(()),
        status => Err(Undelivered::Answer(status)),
    }
}

/// Trusts what the system trusts.
fn trusting_the_system() -> io::Result<TlsConnector> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "this system has no certificates to trust: ca-certificates",
        ));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request after another with these statuses; gives what came.
    async fn receive(listener: TcpListener, statuses: &[&str]) -> Vec<String> {
        let mut came = Vec::new();
        for status in statuses {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut text, mut buffer) = (String::new(), [0; 4096]);
            while !text.contains("\r\n\r\n{") || !text.ends_with('}') {
                let read = stream.read(&mut buffer).await.unwrap();
                text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
            }
            came.push(text);
            stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.unwrap();
        }
        came
    }

    async fn sent(statuses: &'static [&'static str]) -> (Vec<String>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let recorder = Recorder::open(dir.path()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?key=hidden", listener.local_addr().unwrap()).parse().unwrap();
        let receiver = Receiver { url, secret: Secret::of("0123456789abcdef"), timeout: Duration::from_secs(5) };
        let messages = Messages::start(vec![receiver], recorder.clone()).unwrap();
        let came = tokio::spawn(receive(listener, statuses));
        messages.send(&serde_json::json!({ "type": "test" })).await;
        let came = came.await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        recorder.close().await.unwrap();
        let store = crate::record::Store::open_read_only(dir.path()).unwrap();
        let events = store.events(&crate::record::read::Filter::default()).unwrap();
        (came, events.into_iter().filter_map(|event| event.detail).collect())
    }

    #[tokio::test]
    async fn messages_are_signed_and_tried_again() {
        let (came, lost) = sent(&["503 Busy", "200 OK"]).await;
        assert!(lost.is_empty(), "{lost:?}");
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_else(|| panic!("no {name}: {text}")).to_owned()
        };
        let [first, second] = came.as_slice() else { panic!("{came:?}") };
        assert!(first.starts_with("POST /hook?key=hidden HTTP/1.1\r\n"));
        assert_eq!(field(first, "sallyport-delivery"), field(second, "sallyport-delivery"));
        let timestamp = field(second, "sallyport-timestamp");
        let expected = signature(&Secret::of("0123456789abcdef"), &timestamp, br#"{"type":"test"}"#);
        assert_eq!(field(second, "sallyport-signature"), expected);
        assert_eq!(expected.len(), 3 + 64);
    }

    #[tokio::test]
    async fn what_is_refused_is_recorded_without_the_path() {
        let (came, lost) = sent(&["404 Not Found"]).await;
        assert_eq!(came.len(), 1);
        assert_eq!(lost, ["webhook of 127.0.0.1: the answer was 404 Not Found"]);
    }
}
