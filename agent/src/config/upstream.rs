//! `[target.NAME]`, the part about reaching it: TLS, and the credentials Sallyport logs in with.
//!
//! Words are libpq's where it has some (`sslmode`, `require_auth`), so that nobody has to learn others.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeTable;

use super::check::choice;
use super::document::Section;
use super::error::{Problems, quoted};
use super::glob::Glob;
use super::raw::Setting;
use super::target::is_host_name;
pub use crate::protocol::postgres::login::Method;

mod credential;

use self::credential::RawCredential;
pub use self::credential::{Credential, Secret, Use, Whose};

/// How a target is reached and logged in to; the default leaves everything as the client does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Whether there is TLS, and what is verified.
    pub tls: TlsMode,
    /// Authorities that are trusted instead of the system's, PEM.
    pub ca: Option<PathBuf>,
    /// The name the server's certificate has to have, instead of the one it was reached by.
    pub server_name: Option<String>,
    /// What Sallyport shows of itself in TLS.
    pub client: Option<ClientCertificate>,
    /// What a server may ask for when Sallyport logs in; never empty.
    pub require_auth: Vec<Method>,
    /// First fit wins; who fits none authenticates itself.
    pub credentials: Vec<Credential>,
    /// Whether the session's id is appended to `application_name`.
    pub tag_application_name: bool,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            tls: TlsMode::default(),
            ca: None,
            server_name: None,
            client: None,
            require_auth: vec![Method::default()],
            credentials: Vec::new(),
            tag_application_name: false,
        }
    }
}

/// Whether a target is reached by TLS, and what is verified of it (libpq's `sslmode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// As [`Self::VerifyFull`] when the client asked for TLS; in clear when it did not.
    #[default]
    AsClient,
    /// The chain and the name.
    VerifyFull,
    /// The chain alone.
    VerifyCa,
    /// TLS, but nothing of it is verified.
    Require,
    /// TLS if the server has it, and nothing is verified.
    Prefer,
    /// In clear.
    Disable,
}

impl TlsMode {
    const ALL: [(&'static str, Self); 6] = [
        ("as-client", Self::AsClient),
        ("verify-full", Self::VerifyFull),
        ("verify-ca", Self::VerifyCa),
        ("require", Self::Require),
        ("prefer", Self::Prefer),
        ("disable", Self::Disable),
    ];

    /// The word in the configuration and the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, mode)| *mode == self).map_or("", |(word, _)| word)
    }
}

/// A certificate and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and perhaps those that lead to its authority.
    pub certificate: PathBuf,
    /// Its key, readable by the daemon alone.
    pub key: PathBuf,
}

/// As written.
pub(super) struct RawUpstream {
    tls: Setting<String>,
    ca: Setting<String>,
    server_name: Setting<String>,
    client_certificate: Setting<String>,
    client_key: Setting<String>,
    require_auth: Vec<Spanned<String>>,
    tag_application_name: Setting<bool>,
    credentials: Vec<(Range<usize>, RawCredential)>,
}

impl RawUpstream {
    pub(super) fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        let tables: Vec<(Range<usize>, &DeTable<'_>)> = section.tables("credential", problems);
        Self {
            tls: section.text("tls", problems),
            ca: section.text("ca", problems),
            server_name: section.text("server_name", problems),
            client_certificate: section.text("client_certificate", problems),
            client_key: section.text("client_key", problems),
            require_auth: section.texts("require_auth", false, problems),
            tag_application_name: section.flag("tag_application_name", problems),
            credentials: tables.into_iter().map(|(span, table)| (span, RawCredential::read(table, problems))).collect(),
        }
    }

    /// The first thing that needs a protocol Sallyport can speak.
    pub(super) fn first_span(&self) -> Option<Range<usize>> {
        let texts = [&self.tls, &self.ca, &self.server_name, &self.client_certificate, &self.client_key];
        let texts = texts.into_iter().flatten().map(Spanned::span);
        let others =
            self.require_auth.iter().map(Spanned::span).chain(self.credentials.iter().map(|(at, _)| at.clone()));
        let flag = self.tag_application_name.iter().map(Spanned::span);
        texts.chain(others).chain(flag).min_by_key(|span| span.start)
    }
}

/// Checks what one target says.
pub(super) fn check(raw: &RawUpstream, problems: &mut Problems) -> Upstream {
    let tls = choice("tls", &raw.tls, &TlsMode::ALL, problems);
    let ca = raw.ca.as_ref().and_then(|path| super::check::directory("ca", path, problems));
    let unverified = matches!(tls, TlsMode::Require | TlsMode::Prefer | TlsMode::Disable);
    for (key, setting) in [("ca", &raw.ca), ("server_name", &raw.server_name)] {
        if let Some(text) = setting.as_ref().filter(|_| unverified) {
            let message = format!("`{key}` has no effect: tls = \"{}\" verifies nothing", tls.as_str());
            problems.add(text.span(), message, Some("write tls = \"verify-full\"".to_owned()));
        }
    }
    let client = client(raw, problems);
    let credentials: Vec<_> = raw
        .credentials
        .iter()
        .filter_map(|(span, raw)| credential::check(raw, span, client.is_some(), problems))
        .collect();
    let require_auth = methods(raw, problems);
    Upstream {
        tls,
        ca,
        server_name: raw.server_name.as_ref().and_then(|name| server_name(name, problems)),
        // Whoever is known by a certificate is asked for nothing else.
        require_auth: if !require_auth.is_empty() {
            require_auth
        } else if client.is_some() {
            vec![Method::Scram, Method::None]
        } else {
            vec![Method::Scram]
        },
        client,
        credentials,
        tag_application_name: raw.tag_application_name.as_ref().is_some_and(|flag| *flag.get_ref()),
    }
}

fn client(raw: &RawUpstream, problems: &mut Problems) -> Option<ClientCertificate> {
    let lonely = |span: Range<usize>, other: &str, problems: &mut Problems| {
        problems.add(span, format!("it needs `{other}` too"), None);
        None
    };
    match (&raw.client_certificate, &raw.client_key) {
        (None, None) => None,
        (Some(certificate), None) => lonely(certificate.span(), "client_key", problems),
        (None, Some(key)) => lonely(key.span(), "client_certificate", problems),
        (Some(certificate), Some(key)) => {
            let certificate = super::check::directory("client_certificate", certificate, problems);
            let key = super::check::directory("client_key", key, problems);
            Some(ClientCertificate { certificate: certificate?, key: key? })
        }
    }
}

fn server_name(name: &Spanned<String>, problems: &mut Problems) -> Option<String> {
    let text = name.get_ref();
    if is_host_name(text) || text.parse::<std::net::IpAddr>().is_ok() {
        return Some(text.to_ascii_lowercase());
    }
    let message = format!("{} is no name a certificate can have", quoted(text));
    problems.add(name.span(), message, Some("a host name or an address, without a port".to_owned()));
    None
}

fn methods(raw: &RawUpstream, problems: &mut Problems) -> Vec<Method> {
    let mut methods = Vec::new();
    for text in &raw.require_auth {
        let method = choice("require_auth", &Some(text.clone()), &Method::ALL, problems);
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    methods
}

/// A list of patterns.
fn globs(texts: &[Spanned<String>]) -> Vec<Glob> {
    texts.iter().map(|text| Glob::new(text.get_ref())).collect()
}

#[cfg(test)]
mod tests;
