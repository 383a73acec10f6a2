//! The local authority: made once, kept apart, renewed in time, and no wider than it is to be.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rcgen::{KeyPair, PublicKeyData};

use super::authority::{Authority, Wanted};
use super::made;
use super::*;
use crate::config::{Config, ThisHost};

const NOW: u64 = 1_800_000_000;
const YEAR: u64 = 365 * 24 * 3600;

fn open(state: &Path, now: u64) -> Result<Authority, TlsError> {
    Authority::open_with(state, None, &Wanted { host: "bastion-1", scope: &Scope::unlimited(), now })
}

#[track_caller]
fn refused(state: &Path, words: &str) {
    let why = open(state, NOW).unwrap_err().to_string();
    assert!(why.contains(words), "{why}");
}

#[test]
fn it_is_made_once_and_its_key_is_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), NOW).unwrap();
    let again = open(dir.path(), NOW + 10).unwrap();
    assert_eq!(first.certificate(), again.certificate());
    let mode = |name: &str| fs::metadata(dir.path().join("ca").join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("cert.pem"), mode("key.pem")), (0o644, 0o600));
    let told = Certificate::of(first.certificate());
    assert!(told.issuer.contains("CN=Sallyport on bastion-1 "), "{}", told.issuer);
    let (_, parsed) = x509_parser::parse_x509_certificate(first.certificate()).unwrap();
    let constraints = parsed.basic_constraints().unwrap().unwrap().value;
    assert!(constraints.ca && constraints.path_len_constraint == Some(0));
    assert!(parsed.verify_dates(NOW) && !parsed.verify_dates(NOW + 11 * YEAR));
}

/// Whether a certificate holds at a time.
trait Dates {
    fn verify_dates(&self, at: u64) -> bool;
}

impl Dates for x509_parser::prelude::X509Certificate<'_> {
    fn verify_dates(&self, at: u64) -> bool {
        self.validity().is_valid_at(x509_parser::time::ASN1Time::from_timestamp(i64::try_from(at).unwrap()).unwrap())
    }
}

#[test]
fn those_who_begin_at_once_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let start = std::sync::Barrier::new(8);
    let made: Vec<_> = std::thread::scope(|scope| {
        let open = || scope.spawn(|| (start.wait(), open(dir.path(), NOW).unwrap().certificate().clone()).1);
        let running: Vec<_> = std::iter::repeat_with(open).take(8).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(made.iter().all(|one| *one == made[0]));
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), NOW).unwrap();
    let key = dir.path().join("ca/key.pem");
    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    refused(dir.path(), "chmod 600");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    refused(dir.path(), "another key than key.pem");
    fs::write(&key, "nothing").unwrap();
    refused(dir.path(), "not a private key");
    fs::remove_file(&key).unwrap();
    refused(dir.path(), "its key is missing");
    fs::write(dir.path().join("ca/cert.pem"), "nothing").unwrap();
    refused(dir.path(), "not a certificate in PEM");
    fs::set_permissions(dir.path().join("ca"), Permissions::from_mode(0o777)).unwrap();
    refused(dir.path(), "others may change");
}

#[test]
fn a_key_may_come_from_systemd() {
    let (dir, credentials) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = KeyPair::generate().unwrap();
    let path = credentials.path().join("sallyport-ca-key");
    fs::write(&path, key.serialize_pem()).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    let wanted = Wanted { host: "h", scope: &Scope::unlimited(), now: NOW };
    let made = Authority::open_with(dir.path(), Some(credentials.path()), &wanted).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(made.certificate()).unwrap();
    assert_eq!(parsed.public_key().raw, key.subject_public_key_info());
    assert!(!dir.path().join("ca/key.pem").exists());
}

#[test]
fn it_is_renewed_with_the_same_key_and_name() {
    let dir = tempfile::tempdir().unwrap();
    let old = open(dir.path(), NOW).unwrap();
    assert_eq!(open(dir.path(), NOW + 7 * YEAR).unwrap().until(), old.until());
    let new = open(dir.path(), NOW + 9 * YEAR).unwrap();
    assert!(new.until() > NOW + 18 * YEAR);
    let parse = |one: &'static [u8]| x509_parser::parse_x509_certificate(one).unwrap().1;
    let leaked = |one: &Authority| -> &'static [u8] { one.certificate().to_vec().leak() };
    let (before, after) = (parse(leaked(&old)), parse(leaked(&new)));
    assert_eq!(before.public_key().raw, after.public_key().raw);
    assert_eq!(before.subject().as_raw(), after.subject().as_raw());
    assert_ne!(before.raw_serial(), after.raw_serial());
    // What the new one signs leads to the old one.
    let leaf = new.sign(&["db".to_owned()], &KeyPair::generate().unwrap(), NOW + 9 * YEAR).unwrap();
    let leaf = parse(leaf.certificate.to_vec().leak());
    assert_eq!(leaf.issuer().as_raw(), before.subject().as_raw());
}

#[test]
fn one_of_somebody_else_is_used_and_not_renewed() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("ca")).unwrap();
    let theirs = made::authority("Example Inc");
    let key = dir.path().join("ca/key.pem");
    fs::write(&key, theirs.key().serialize_pem()).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    fs::write(dir.path().join("ca/cert.pem"), theirs.pem()).unwrap();
    let far = 60_000_000_000;
    assert_eq!(open(dir.path(), far).unwrap().certificate(), theirs.der());
    fs::write(&key, made::issued(&theirs, &["x"], 2999).key.serialize_pem()).unwrap();
    refused(dir.path(), "another key");
}

fn scoped(names: &[&str], networks: &[(&str, u8)]) -> Scope {
    Scope {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        networks: networks.iter().map(|(address, bits)| (address.parse().unwrap(), *bits)).collect(),
    }
}

#[test]
fn a_scope_permits_what_is_in_it() {
    let scope = scoped(&["db.example.org"], &[("10.0.0.0", 24), ("2001:db8::", 32)]);
    for (name, permitted) in [
        ("db.example.org", true),
        ("a.db.example.org", true),
        ("DB.example.org", true),
        ("xdb.example.org", false),
        ("example.org", false),
        ("10.0.0.9", true),
        ("10.0.1.9", false),
        ("2001:db8::1", true),
        ("2001:db9::1", false),
        ("ü.db.example.org", true),
        ("üdb.example.org", false),
    ] {
        assert_eq!(scope.permits(name), permitted, "{name}");
        assert!(Scope::unlimited().permits(name));
    }
}

#[test]
fn a_scope_is_what_the_targets_are() {
    let text = "[target.a]\nprotocol = 'postgres'\naddresses = ['db.example.org:5432', '10.0.0.0/24']\n\
                server_name = 'primary.example.org'\n[target.web]\naddresses = 'www.example.org'\n";
    let config = Config::parse(text.as_bytes(), Path::new("x"), &ThisHost).unwrap();
    assert_eq!(Scope::of(&config.targets), scoped(&["db.example.org", "primary.example.org"], &[("10.0.0.0", 24)]));
    assert!(Scope::of(&[]).is_unlimited());
}

#[test]
fn a_scope_is_kept_and_held_to() {
    let dir = tempfile::tempdir().unwrap();
    let scope = scoped(&["db.example.org"], &[]);
    let made = Authority::open_with(dir.path(), None, &Wanted { host: "h", scope: &scope, now: NOW }).unwrap();
    assert_eq!(*made.scope(), scope);
    // Whatever the configuration says by now, and through a renewal.
    assert_eq!(*open(dir.path(), NOW).unwrap().scope(), scope);
    let renewed = open(dir.path(), NOW + 9 * YEAR).unwrap();
    assert_eq!(*renewed.scope(), scope);
    let key = KeyPair::generate().unwrap();
    let signed = renewed.sign(&["10.0.0.5".to_owned(), "db.example.org".to_owned()], &key, NOW).unwrap();
    assert_eq!(Certificate::of(&signed.certificate).names, ["db.example.org"]);
    let subject = |one: &Authority, names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let leaf = one.sign(&names, &key, NOW).unwrap().certificate;
        x509_parser::parse_x509_certificate(&leaf).unwrap().1.subject().to_string()
    };
    let networks = tempfile::tempdir().unwrap();
    let scope = scoped(&[], &[("10.0.0.0", 8)]);
    let narrow = Authority::open_with(networks.path(), None, &Wanted { host: "h", scope: &scope, now: NOW }).unwrap();
    assert_eq!(subject(&narrow, &["10.0.0.5"]), "CN=Sallyport");
    let wide = tempfile::tempdir().unwrap();
    let wide = open(wide.path(), NOW).unwrap();
    assert_eq!(subject(&wide, &["10.0.0.5", "db.example.org"]), "CN=db.example.org");
    assert_eq!(subject(&wide, &["10.0.0.5"]), "CN=10.0.0.5");
    let why = renewed.sign(&["other.example.org".to_owned()], &key, NOW).unwrap_err().to_string();
    assert!(why.contains("may not speak for other.example.org"), "{why}");
}
