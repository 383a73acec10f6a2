//! What TLS came to: for the record, and for what is bound to it.

use std::net::IpAddr;

use aws_lc_rs::digest;
use rustls::CommonState;
use serde::Serialize;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::X509Certificate;

use super::verify::Level;

/// Most names of a certificate that are told.
const MOST_NAMES: usize = 32;

/// One side of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// As IANA names it.
    pub cipher: String,
    /// The name that was asked for, in SNI where it is a host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What was agreed on to speak inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// The server's certificate: theirs upstream, ours towards the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// What was verified of it; of ours, nothing is for us to verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Level>,
}

/// A certificate, as far as it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// SHA-256 of all of it, hex.
    pub sha256: String,
    /// Alternative names; the subject's common name where there are none.
    pub names: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// The end of its validity, Unix seconds.
    pub until: i64,
}

impl Facts {
    /// What a connection negotiated.
    #[must_use]
    pub fn of(connection: &CommonState, name: Option<String>) -> Self {
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(_) | None => "unknown",
        };
        let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let alpn = connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        let cipher = cipher.unwrap_or("unknown").to_owned();
        Self { version, cipher, name, alpn, certificate: None, verified: None }
    }
}

impl Certificate {
    /// Reads a certificate, DER. What cannot be read is told by its digest alone.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        let sha256 = fingerprint(der);
        let Ok((_, parsed)) = x509_parser::parse_x509_certificate(der) else {
            return Self { sha256, ..Self::default() };
        };
        let names = names(&parsed);
        let issuer = tame(&parsed.issuer().to_string());
        Self { sha256, names, issuer, until: parsed.validity().not_after.timestamp() }
    }
}

/// SHA-256 of a certificate, DER, in lower-case hex.
#[must_use]
pub fn fingerprint(der: &[u8]) -> String {
    digest::digest(&digest::SHA256, der).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names a certificate is valid for, safe to print.
pub(super) fn names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let extension = parsed.subject_alternative_name().ok().flatten();
    let alternative = extension.iter().flat_map(|extension| &extension.value.general_names);
    let mut names: Vec<String> = alternative.filter_map(alternative_name).take(MOST_NAMES).collect();
    if names.is_empty() {
        let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        names.extend(common.map(tame).take(1));
    }
    names
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other kinds name no server")]
fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(tame(name)),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// Whoever made a certificate wrote what stands in it.
fn tame(text: &str) -> String {
    text.chars().take(255).map(|c| if crate::config::steers(c) { '\u{FFFD}' } else { c }).collect()
}

/// `tls-server-end-point` (RFC 5929, §4.1): the certificate's digest by its signature's own, where it has one; SHA-256 for
/// MD5 and SHA-1. `None` for Ed25519 and what else has no digest of its own, as in PostgreSQL.
#[must_use]
pub fn server_end_point(der: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
    let signature = &parsed.signature_algorithm;
    let mut oid = signature.algorithm.to_id_string();
    if oid == RSA_PSS {
        let x509_parser::signature_algorithm::SignatureAlgorithm::RSASSA_PSS(parameters) =
            x509_parser::signature_algorithm::SignatureAlgorithm::try_from(signature).ok()?
        else {
            return None;
        };
        let hash: &Oid<'_> = parameters.hash_algorithm_oid();
        oid = hash.to_id_string();
    }
    let (_, algorithm) = DIGESTS.iter().find(|(known, _)| *known == oid)?;
    Some(digest::digest(algorithm, der).as_ref().to_vec())
}

const RSA_PSS: &str = "1.2.840.113549.1.1.10";

/// Signatures, and digests for RSA-PSS, with what the end point is made by.
static DIGESTS: [(&str, &digest::Algorithm); 14] = [
    ("1.2.840.113549.1.1.4", &digest::SHA256),
    ("1.2.840.113549.1.1.5", &digest::SHA256),
    ("1.2.840.113549.1.1.11", &digest::SHA256),
    ("1.2.840.113549.1.1.12", &digest::SHA384),
    ("1.2.840.113549.1.1.13", &digest::SHA512),
    ("1.2.840.10045.4.1", &digest::SHA256),
    ("1.2.840.10045.4.3.2", &digest::SHA256),
    ("1.2.840.10045.4.3.3", &digest::SHA384),
    ("1.2.840.10045.4.3.4", &digest::SHA512),
    ("1.2.840.10040.4.3", &digest::SHA256),
    ("1.3.14.3.2.26", &digest::SHA256),
    ("2.16.840.1.101.3.4.2.1", &digest::SHA256),
    ("2.16.840.1.101.3.4.2.2", &digest::SHA384),
    ("2.16.840.1.101.3.4.2.3", &digest::SHA512),
];
