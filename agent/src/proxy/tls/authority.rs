//! The authority of this host, whose certificates clients see: its own key, made on first use, in `STATE/ca`.
//!
//! `cert.pem` is what clients are to trust (`sallyport trust`), `key.pem` is the daemon's alone, or comes from systemd as
//! the credential `sallyport-ca-key`. The certificate is renewed with the same key and name long before it ends, so that
//! those who trust the old one go on doing so until it has.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::X509Certificate;
use zeroize::Zeroizing;

use super::facts::fingerprint;
use super::failure::TlsError;
use super::scope::Scope;
use crate::proxy::credential::{CredentialError, private};

const CREDENTIAL: &str = "sallyport-ca-key";
const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";
/// By which an authority that was made here is known.
const ORGANIZATION: &str = "Sallyport local authority";

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Clocks of one host agree, but not over a reboot without a battery.
const BEFORE: u64 = HOUR;
/// How long the authority's certificate holds.
const AUTHORITY_DAYS: u64 = 3650;
/// It is renewed when less is left: time enough for every client's store to be brought up to date.
const RENEWED_DAYS: u64 = 2 * 365;
/// How long one for a server holds.
const LEAF_DAYS: u64 = 7;
/// Longest file.
const MOST_BYTES: u64 = 64 << 10;

/// Signs what clients see.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    scope: Scope,
    until: u64,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("until", &self.until).finish_non_exhaustive()
    }
}

/// What clients see of a server.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) certificate: CertificateDer<'static>,
    /// End of its validity, Unix seconds.
    pub(super) until: u64,
}

/// Where the certificate is that clients are to trust.
#[must_use]
pub fn certificate_path(state_dir: &Path) -> PathBuf {
    state_dir.join("ca").join(CERTIFICATE)
}

impl Authority {
    /// Opens the one in the state directory, or makes it. `host` becomes part of its name, `scope` what it may speak for if
    /// it is made now, `now` is Unix seconds.
    ///
    /// # Errors
    /// When files cannot be read or written, are not kept from others, or do not belong together.
    pub fn open(state_dir: &Path, host: &str, scope: &Scope, now: u64) -> Result<Self, TlsError> {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self::open_with(state_dir, credentials.as_deref(), &Wanted { host, scope, now })
    }

    pub(super) fn open_with(
        state_dir: &Path,
        credentials: Option<&Path>,
        wanted: &Wanted<'_>,
    ) -> Result<Self, TlsError> {
        let directory = state_dir.join("ca");
        // Two that begin at once make one authority.
        let _lock = lock(&directory)?;
        let certificate = read_certificate(&directory.join(CERTIFICATE))?;
        let key = match read_key(credentials, &directory)? {
            Some(key) => key,
            None if certificate.is_some() => {
                let why = format!(
                    "its key is missing: restore {}, or remove {} and run `sallyport trust install` again",
                    directory.join(KEY).display(),
                    directory.join(CERTIFICATE).display()
                );
                return Err(TlsError::Authority(why));
            }
            None => make_key(&directory.join(KEY))?,
        };
        match certificate {
            Some(certificate) => Self::found(&directory, certificate, key, wanted.now),
            None => Self::made(&directory, key, wanted),
        }
    }

    fn made(directory: &Path, key: KeyPair, wanted: &Wanted<'_>) -> Result<Self, TlsError> {
        let id: String = fingerprint(&key.subject_public_key_info()).chars().take(8).collect();
        // The id tells authorities of one host apart that were made one after the other.
        let host: String = wanted.host.chars().take(40).collect();
        let name = format!("Sallyport on {host} {id}");
        Self::written(directory, authority_params(&name, wanted.scope, wanted.now)?, key)
    }

    fn found(directory: &Path, certificate: CertificateDer<'static>, key: KeyPair, now: u64) -> Result<Self, TlsError> {
        let path = directory.join(CERTIFICATE);
        let unread = || unusable(&path, "it is not a certificate");
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).map_err(|_| unread())?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(unusable(&path, "it is of another key than key.pem: restore the one, or remove both"));
        }
        let scope = Scope::read(&parsed);
        let until = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
        if !parsed.is_ca() {
            return Err(unusable(&path, "it is not an authority's: basicConstraints has no CA:TRUE"));
        }
        // The same name, so that what it signs leads to the old one too. One that somebody else signed is for them to renew.
        if let Some(name) = our_name(&parsed).filter(|_| until < now + RENEWED_DAYS * DAY) {
            return Self::written(directory, authority_params(name, &scope, now)?, key);
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| unread())?;
        Ok(Self { issuer, certificate, scope, until })
    }

    fn written(directory: &Path, params: CertificateParams, key: KeyPair) -> Result<Self, TlsError> {
        let made = params.self_signed(&key).map_err(|error| TlsError::Authority(error.to_string()))?;
        write(&directory.join(CERTIFICATE), 0o644, made.pem().as_bytes())?;
        let scope = x509_parser::parse_x509_certificate(made.der()).map(|(_, parsed)| Scope::read(&parsed));
        let until = u64::try_from(params.not_after.unix_timestamp()).unwrap_or_default();
        let certificate = made.der().clone();
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, certificate, scope: scope.unwrap_or_default(), until })
    }

    /// The certificate that clients are to trust, DER.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// What it may speak for.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The end of its validity, Unix seconds.
    #[must_use]
    pub fn until(&self) -> u64 {
        self.until
    }

    /// Signs a certificate for `key` with as many of these names as it may speak for.
    pub(super) fn sign(&self, names: &[String], key: &KeyPair, now: u64) -> Result<Leaf, TlsError> {
        let permitted: Vec<&str> = names.iter().map(String::as_str).filter(|name| self.scope.permits(name)).collect();
        if permitted.is_empty() {
            let names = names.join(", ");
            let why = format!(
                "it may not speak for {names}; add a target for it, remove STATE/ca, and run `sallyport trust install` again"
            );
            return Err(TlsError::Authority(why));
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.common_name(&permitted));
        params.subject_alt_names = permitted.iter().filter_map(|name| alternative(name)).collect();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial()?);
        let until = (now + LEAF_DAYS * DAY).min(self.until);
        params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(now.saturating_sub(BEFORE));
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(until);
        let made = params.signed_by(key, &self.issuer).map_err(|error| TlsError::Authority(error.to_string()))?;
        Ok(Leaf { certificate: made.der().clone(), until })
    }

    /// libpq before 15 compares an address with the common name only. OpenSSL takes it for a host name and holds it to the
    /// constraints of those, so a narrow authority's has no address in it.
    fn common_name(&self, names: &[&str]) -> String {
        let host = names.iter().find(|name| name.parse::<IpAddr>().is_err());
        let address = names.first().filter(|_| self.scope.is_unlimited());
        // At most 64 characters (X.520).
        host.or(address).map_or("Sallyport", |name| name).chars().take(64).collect()
    }
}

/// What an authority is to be, if it is made now.
pub(super) struct Wanted<'a> {
    pub(super) host: &'a str,
    pub(super) scope: &'a Scope,
    pub(super) now: u64,
}

fn alternative(name: &str) -> Option<SanType> {
    match name.parse() {
        Ok(address) => Some(SanType::IpAddress(address)),
        Err(_) => name.try_into().ok().map(SanType::DnsName),
    }
}

/// The name of an authority that was made here.
fn our_name<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a str> {
    let subject = certificate.subject();
    let ours = subject.iter_organization().filter_map(|name| name.as_str().ok()).eq([ORGANIZATION]);
    let own = certificate.issuer() == subject;
    subject.iter_common_name().next().filter(|_| ours && own).and_then(|name| name.as_str().ok())
}

fn authority_params(name: &str, scope: &Scope, now: u64) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
    // It signs servers' certificates, and no other authority's.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = scope.constraints();
    params.serial_number = Some(serial()?);
    params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(now.saturating_sub(BEFORE));
    params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(now + AUTHORITY_DAYS * DAY);
    Ok(params)
}

/// Positive, and never the same twice (RFC 5280, §4.1.2.2).
fn serial() -> Result<SerialNumber, TlsError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| TlsError::Authority("the system has no random numbers".to_owned()))?;
    let [first, rest @ ..] = bytes;
    Ok(SerialNumber::from([&[first & 0x7f | 0x40], &rest[..]].concat()))
}

fn unusable(path: &Path, why: &str) -> TlsError {
    TlsError::File { path: path.to_owned(), why: why.to_owned() }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> TlsError {
    move |error| unusable(path, &error.to_string())
}

/// Makes the directory if need be, and waits until no other process changes what is in it.
fn lock(directory: &Path) -> Result<File, TlsError> {
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed(directory))?;
    let opened = File::open(directory).map_err(failed(directory))?;
    let found = opened.metadata().map_err(failed(directory))?;
    let ours = found.uid() == 0 || found.uid() == rustix::process::geteuid().as_raw();
    if !ours || found.mode() & 0o022 != 0 {
        return Err(unusable(
            directory,
            "others may change what is in it: look whether they did, then chown root and chmod 755",
        ));
    }
    opened.lock().map_err(failed(directory))?;
    Ok(opened)
}

fn read_certificate(path: &Path) -> Result<Option<CertificateDer<'static>>, TlsError> {
    match fs::read(path) {
        Ok(text) => CertificateDer::from_pem_slice(&text).map(Some).map_err(|_| {
            unusable(path, "it is not a certificate in PEM: restore it, or remove it and it is made again")
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

/// The key, from systemd or the directory, in this order.
fn read_key(credentials: Option<&Path>, directory: &Path) -> Result<Option<KeyPair>, TlsError> {
    let places = credentials.map(|at| at.join(CREDENTIAL)).into_iter().chain([directory.join(KEY)]);
    for path in places {
        let text = match private(&path, MOST_BYTES) {
            Ok(text) => text,
            Err(CredentialError::Unreadable { error, .. }) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(TlsError::Authority(error.to_string())),
        };
        let text = std::str::from_utf8(&text).map_err(|_| unusable(&path, "it is not PEM"))?;
        let key = KeyPair::from_pem(text).map_err(|_| unusable(&path, "it is not a private key in PEM, PKCS #8"))?;
        return Ok(Some(key));
    }
    Ok(None)
}

fn make_key(path: &Path) -> Result<KeyPair, TlsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| TlsError::Authority(error.to_string()))?;
    write(path, 0o600, Zeroizing::new(key.serialize_pem()).as_bytes())?;
    Ok(key)
}

/// Puts a whole file in its place, on the disk when this returns. Only under the lock.
fn write(path: &Path, mode: u32, text: &[u8]) -> Result<(), TlsError> {
    let making = path.with_extension("new");
    let write = || {
        if let Err(error) = fs::remove_file(&making)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&making)?;
        // Whatever the umask is.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&making, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    write().map_err(failed(path))
}
