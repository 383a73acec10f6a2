//! Connections to servers with good and bad certificates.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rcgen::{CertifiedIssuer, KeyPair};
use rustls::SupportedProtocolVersion;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::made::{Shown, authority, issued, self_signed, serve};
use super::*;
use crate::config::{ClientCertificate, TlsMode, Upstream};

/// A target that trusts what is in this PEM.
fn trusting(pem: &str) -> (tempfile::TempDir, Upstream) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    fs::write(&path, pem).unwrap();
    (dir, Upstream { ca: Some(path), ..Upstream::default() })
}

struct Case<'a> {
    upstream: &'a Upstream,
    level: Level,
    name: &'a str,
    versions: &'a [&'static SupportedProtocolVersion],
}

async fn connect(case: Case<'_>, shown: Shown) -> Result<Connected<DuplexStream>, TlsError> {
    let (ours, theirs) = tokio::io::duplex(16 << 10);
    let name = ServerName::try_from(case.name.to_owned()).unwrap();
    let connector = Connector::default();
    let to = To { upstream: case.upstream, level: case.level, name: &name, direct: true };
    let (connected, served) = tokio::join!(connector.connect(ours, to), serve(theirs, shown, case.versions));
    let mut connected = connected?;
    let mut served = served.unwrap();
    served.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    connected.stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    Ok(connected)
}

async fn full(by: &CertifiedIssuer<'static, KeyPair>, name: &str, shown: Shown) -> Result<Facts, Distrust> {
    let (_dir, upstream) = trusting(&by.pem());
    let case = Case { upstream: &upstream, level: Level::Full, name, versions: &[&TLS13] };
    match connect(case, shown).await {
        Ok(connected) => Ok(connected.facts),
        Err(TlsError::Distrust { why, .. }) => Err(why),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_good_certificate_is_trusted_and_told_of() {
    let ca = authority("An authority");
    let shown = issued(&ca, &["db.example.org", "10.0.0.5"], 2999);
    let sha256 = fingerprint(&shown.chain[0]);
    let facts = full(&ca, "db.example.org", shown).await.unwrap();
    assert_eq!((facts.version, facts.alpn.as_deref()), ("TLSv1.3", Some("postgresql")));
    assert_eq!((facts.name.as_deref(), facts.verified), (Some("db.example.org"), Some(Level::Full)));
    let certificate = facts.certificate.clone().unwrap();
    assert_eq!(certificate.names, ["db.example.org", "10.0.0.5"]);
    assert_eq!((certificate.sha256, certificate.issuer), (sha256, "CN=An authority".to_owned()));
    let json = serde_json::to_value(&facts).unwrap();
    assert_eq!(json["verified"], "full");
    assert!(json["cipher"].as_str().unwrap().starts_with("TLS13_"), "{json}");
}

#[tokio::test]
async fn addresses_are_names_too() {
    let ca = authority("x");
    assert!(full(&ca, "10.0.0.5", issued(&ca, &["10.0.0.5"], 2999)).await.is_ok());
    let why = full(&ca, "10.0.0.6", issued(&ca, &["10.0.0.5"], 2999)).await.unwrap_err();
    assert!(matches!(why, Distrust::Name(_)), "{why}");
}

#[tokio::test]
async fn bad_certificates_are_refused_with_what_to_do() {
    let (ca, other) = (authority("x"), authority("y"));
    let name = "db.example.org";
    let why = full(&ca, name, issued(&other, &[name], 2999)).await.unwrap_err();
    assert!(why.to_string().contains("write ca = "), "{why}");
    assert_eq!(full(&ca, name, issued(&ca, &[name], 2002)).await, Err(Distrust::Expired));
    let why = full(&ca, name, issued(&ca, &["other.example.org"], 2999)).await.unwrap_err();
    assert_eq!(why, Distrust::Name(vec!["other.example.org".to_owned()]));
    assert!(why.to_string().starts_with("is for other.example.org; write server_name"), "{why}");
    let why = full(&ca, name, issued(&ca, &[], 2999)).await.unwrap_err();
    assert!(why.to_string().contains("no name in subjectAltName"), "{why}");
    assert_eq!(full(&ca, name, self_signed(&[name])).await, Err(Distrust::Authority));
}

#[tokio::test]
async fn a_certificate_that_is_configured_itself_needs_no_authority() {
    let shown = self_signed(&["db.example.org"]);
    let pem = rcgen_pem(&shown);
    let (_dir, upstream) = trusting(&pem);
    for (name, good) in [("db.example.org", true), ("other.example.org", false)] {
        let again = Shown { chain: shown.chain.clone(), key: KeyPair::from_pem(&shown.key.serialize_pem()).unwrap() };
        let case = Case { upstream: &upstream, level: Level::Full, name, versions: &[&TLS13] };
        assert_eq!(connect(case, again).await.is_ok(), good, "{name}");
    }
}

fn rcgen_pem(shown: &Shown) -> String {
    use base64ct::{Base64, Encoding};
    let body = Base64::encode_string(&shown.chain[0]);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

#[tokio::test]
async fn less_is_verified_where_less_is_asked_for() {
    let (ca, other) = (authority("x"), authority("y"));
    let (_dir, upstream) = trusting(&ca.pem());
    for (by, name, level, good) in [
        (&ca, "wrong.example.org", Level::Chain, true),
        (&other, "db.example.org", Level::Chain, false),
        (&other, "wrong.example.org", Level::Nothing, true),
    ] {
        let case = Case { upstream: &upstream, level, name, versions: &[&TLS13] };
        let connected = connect(case, issued(by, &["db.example.org"], 2999)).await;
        assert_eq!(connected.is_ok(), good, "{name} {level:?}");
    }
}

#[tokio::test]
async fn servers_of_tls_1_2_are_spoken_to() {
    let ca = authority("x");
    let (_dir, upstream) = trusting(&ca.pem());
    let case = Case { upstream: &upstream, level: Level::Full, name: "a.example.org", versions: &[&TLS12] };
    let connected = connect(case, issued(&ca, &["a.example.org"], 2999)).await.unwrap();
    assert_eq!(connected.facts.version, "TLSv1.2");
    // ECDSA with SHA-256, as rcgen signs.
    assert_eq!(server_end_point(&connected.leaf).unwrap(), hex(&fingerprint(&connected.leaf)));
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_an_error() {
    let (ours, mut theirs) = tokio::io::duplex(16 << 10);
    let (_dir, upstream) = trusting(&authority("x").pem());
    let name = ServerName::try_from("a.example.org").unwrap();
    let to = To { upstream: &upstream, level: Level::Full, name: &name, direct: false };
    theirs.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let connector = Connector::default();
    assert!(matches!(connector.connect(ours, to).await, Err(TlsError::Handshake(_))));
    let (ours, theirs) = tokio::io::duplex(16 << 10);
    drop(theirs);
    assert!(matches!(connector.connect(ours, to).await, Err(TlsError::Io(_))));
}

#[tokio::test]
async fn files_that_are_none_are_named() {
    let name = ServerName::try_from("a.example.org").unwrap();
    let connector = Connector::default();
    let failed = async |upstream: &Upstream| {
        let to = To { upstream, level: Level::Full, name: &name, direct: false };
        connector.connect(tokio::io::duplex(1).0, to).await.unwrap_err().to_string()
    };
    let (_dir, upstream) = trusting("no certificate\n");
    assert!(failed(&upstream).await.ends_with("it has no -----BEGIN CERTIFICATE-----"));
    let (dir, upstream) = trusting(&authority("x").pem());
    let (certificate, key) = (dir.path().join("c.pem"), dir.path().join("c.key"));
    let shown = self_signed(&["x"]);
    fs::write(&certificate, rcgen_pem(&shown)).unwrap();
    fs::write(&key, shown.key.serialize_pem()).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let upstream = Upstream { client: Some(ClientCertificate { certificate, key: key.clone() }), ..upstream };
    let why = failed(&upstream).await;
    assert!(why.contains("chmod 600"), "{why}");
}

#[test]
fn a_target_says_how_it_is_reached() {
    for (mode, asked, expected) in [
        (TlsMode::AsClient, true, Reach::Tls(Level::Full)),
        (TlsMode::AsClient, false, Reach::Clear),
        (TlsMode::VerifyFull, false, Reach::Tls(Level::Full)),
        (TlsMode::VerifyCa, true, Reach::Tls(Level::Chain)),
        (TlsMode::Require, false, Reach::Tls(Level::Nothing)),
        (TlsMode::Prefer, true, Reach::Perhaps(Level::Nothing)),
        (TlsMode::Disable, true, Reach::Clear),
    ] {
        assert_eq!(Reach::of(mode, asked), expected, "{mode:?} {asked}");
    }
}

#[test]
fn the_configured_name_comes_first() {
    let address = "::ffff:10.0.0.5".parse().unwrap();
    let plain = Upstream::default();
    let configured = Upstream { server_name: Some("a.example.org".to_owned()), ..Upstream::default() };
    for (upstream, host, sni, expected) in [
        (&configured, Some("b.example.org"), Some("c.example.org"), "a.example.org"),
        (&plain, Some("b.example.org"), Some("c.example.org"), "b.example.org"),
        (&plain, None, Some("c.example.org"), "c.example.org"),
        (&plain, None, Some("not a name"), "10.0.0.5"),
    ] {
        assert_eq!(name(upstream, host, sni, address).to_str(), expected);
    }
}
