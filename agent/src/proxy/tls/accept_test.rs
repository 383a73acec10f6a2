//! Clients of all kinds, against certificates of the local authority.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::DuplexStream;
use tokio_rustls::TlsConnector;

use super::authority::{Authority, Wanted};
use super::leaf::Leaves;
use super::*;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn authority(scope: &Scope) -> (tempfile::TempDir, Authority) {
    let dir = tempfile::tempdir().unwrap();
    let made = Authority::open_with(dir.path(), None, &Wanted { host: "h", scope, now: now() }).unwrap();
    (dir, made)
}

/// What a client is like.
struct Client<'a> {
    trusts: bool,
    versions: &'a [&'static SupportedProtocolVersion],
    alpn: &'a [&'a [u8]],
    name: &'a str,
}

const ORDINARY: Client<'_> = Client { trusts: true, versions: &[&TLS13, &TLS12], alpn: &[], name: "db.example.org" };

struct Server<'a> {
    scope: Scope,
    names: &'a [String],
    direct: bool,
}

const PLAIN: Server<'_> =
    Server { scope: Scope { names: Vec::new(), networks: Vec::new() }, names: &[], direct: false };

/// Both sides of a handshake: what the server says of it, and whether the client is content.
async fn meet(client: Client<'_>, server: Server<'_>) -> (Result<Facts, TlsError>, bool) {
    let (_dir, authority) = authority(&server.scope);
    let mut roots = RootCertStore::empty();
    if client.trusts {
        roots.add(authority.certificate().clone()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(client.versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = client.alpn.iter().map(|name| name.to_vec()).collect();
    let acceptor = Acceptor::new(authority).unwrap();
    let (theirs, ours) = tokio::io::duplex(16 << 10);
    let name = ServerName::try_from(client.name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let asks = async { connector.connect(name, theirs).await.is_ok() };
    let address: IpAddr = "::ffff:10.0.0.5".parse().unwrap();
    let hints = Hints { names: server.names, address, direct: server.direct };
    let answers = async {
        let accepted: Result<Accepted<DuplexStream>, _> = acceptor.accept(ours, hints).await;
        accepted.map(|accepted| accepted.facts)
    };
    let (content, accepted) = tokio::join!(asks, answers);
    (accepted, content)
}

#[tokio::test]
async fn a_client_is_shown_the_name_it_asks_for() {
    for (versions, expected) in [(&[&TLS13][..], "TLSv1.3"), (&[&TLS12], "TLSv1.2")] {
        let (facts, content) = meet(Client { versions, name: "DB.example.org", ..ORDINARY }, PLAIN).await;
        let facts = facts.unwrap();
        assert!(content);
        assert_eq!((facts.version, facts.name.as_deref()), (expected, Some("db.example.org")));
        assert_eq!(facts.certificate.unwrap().names, ["db.example.org"]);
        assert_eq!((facts.verified, facts.alpn), (None, None));
    }
}

#[tokio::test]
async fn a_client_that_asks_for_none_is_shown_those_of_the_upstream() {
    let names = ["db.example.org".to_owned(), "10.9.9.9".to_owned()];
    // rustls sends no name for an address.
    for (name, good) in [("10.0.0.5", true), ("10.9.9.9", true), ("10.0.0.6", false)] {
        let (facts, content) = meet(Client { name, ..ORDINARY }, Server { names: &names, ..PLAIN }).await;
        assert_eq!(content, good, "{name}");
        if good {
            assert_eq!(facts.unwrap().certificate.unwrap().names, ["10.0.0.5", "10.9.9.9", "db.example.org"]);
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_trust_us_is_told_of() {
    let (facts, content) = meet(Client { trusts: false, ..ORDINARY }, PLAIN).await;
    let why = facts.unwrap_err();
    assert!(matches!(why, TlsError::Untrusted) && !content, "{why}");
    assert!(why.to_string().contains("sallyport trust install"));
}

#[tokio::test]
async fn direct_tls_says_what_it_is_for() {
    for (alpn, good) in [(&[&b"postgresql"[..]][..], true), (&[], false), (&[&b"http/1.1"[..]], false)] {
        let (facts, content) = meet(Client { alpn, ..ORDINARY }, Server { direct: true, ..PLAIN }).await;
        assert_eq!((facts.is_ok(), content), (good, good), "{alpn:?}");
        if let Ok(facts) = facts {
            assert_eq!(facts.alpn.as_deref(), Some("postgresql"));
        }
    }
}

#[tokio::test]
async fn a_narrow_authority_is_trusted_for_what_it_may_speak_for() {
    let scope = || Scope { names: vec!["example.org".to_owned()], networks: vec![("10.0.0.0".parse().unwrap(), 8)] };
    assert!(meet(ORDINARY, Server { scope: scope(), ..PLAIN }).await.1);
    assert!(meet(Client { name: "10.0.0.5", ..ORDINARY }, Server { scope: scope(), ..PLAIN }).await.1);
    let (refused, content) =
        meet(Client { name: "db.example.com", ..ORDINARY }, Server { scope: scope(), ..PLAIN }).await;
    assert!(matches!(refused, Err(TlsError::Authority(_))) && !content);
    let only_names = Scope { names: vec!["example.org".to_owned()], networks: Vec::new() };
    assert!(meet(ORDINARY, Server { scope: only_names, ..PLAIN }).await.1);
    let only_networks = Scope { names: Vec::new(), networks: vec![("10.0.0.0".parse().unwrap(), 8)] };
    assert!(meet(Client { name: "10.0.0.5", ..ORDINARY }, Server { scope: only_networks, ..PLAIN }).await.1);
}

#[tokio::test]
async fn what_is_not_tls_is_an_error() {
    let (_dir, authority) = authority(&Scope::unlimited());
    let acceptor = Acceptor::new(authority).unwrap();
    let (mut theirs, ours) = tokio::io::duplex(16 << 10);
    tokio::io::AsyncWriteExt::write_all(&mut theirs, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(matches!(acceptor.hello(ours).await.err(), Some(TlsError::Handshake(_))));
}

#[test]
fn certificates_are_kept_for_a_while_and_up_to_a_number() {
    let (_dir, authority) = authority(&Scope::unlimited());
    let leaves = Leaves::new(authority).unwrap();
    let (names, start) = (vec!["a.example.org".to_owned()], now());
    let first = leaves.of(names.clone(), start).unwrap().certificate;
    assert_eq!(leaves.of(names.clone(), start + 3 * 24 * 3600).unwrap().certificate, first);
    assert_ne!(leaves.of(names, start + 4 * 24 * 3600).unwrap().certificate, first);
    for number in 0..520 {
        leaves.of(vec![format!("n{number}.example.org")], start).unwrap();
    }
    assert_eq!(leaves.count(), 512);
}

#[test]
fn an_idle_connection_is_small() {
    let side = size_of::<tokio_rustls::server::TlsStream<tokio::net::TcpStream>>();
    let other = size_of::<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>();
    assert!(side < 2048 && other < 2048, "{side} {other}");
}
