//! Logins against servers that are as they should be, and others.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use sha2::Sha256;

use super::*;
use crate::protocol::postgres::auth::{Mechanisms, Secret};
use crate::protocol::postgres::notify::{KeyData, Parameter};
use crate::protocol::postgres::query::Tag;
use crate::protocol::postgres::scram::ScramError;

const SALT: &[u8] = b"0123456789abcdef";

fn account() -> Account {
    Account {
        role: "app".to_owned(),
        password: Password::new(b"pencil".to_vec()),
        accept: vec![Method::Scram],
        set_role: None,
    }
}

fn accepting(method: Method) -> Account {
    Account { accept: vec![method], ..account() }
}

fn begin(account: Account, wire: Wire) -> Login {
    begun(account, wire, &[], None).unwrap().0
}

fn begun(
    account: Account,
    wire: Wire,
    more: &[(&[u8], &[u8])],
    tag: Option<&str>,
) -> Result<(Login, Vec<u8>), LoginError> {
    let mut kept = Vec::new();
    let pairs = [(&b"user"[..], &b"somebody"[..])].into_iter().chain(more.iter().copied());
    let start = Start::new(0, pairs, &mut kept).unwrap();
    Login::begin(account, wire, &start, tag, [7; 18])
}

/// What a server that offers `names` says first.
fn offer(login: &mut Login, names: &[&[u8]]) -> Result<Step, LoginError> {
    let mut kept = Vec::new();
    let mechanisms = Mechanisms::new(names.iter().copied(), &mut kept).unwrap();
    login.receive(&Backend::Authentication(Authentication::Sasl(mechanisms)))
}

fn told(login: &mut Login, asked: Authentication<'_>) -> Result<Step, LoginError> {
    login.receive(&Backend::Authentication(asked))
}

#[track_caller]
fn sent(step: Result<Step, LoginError>) -> Vec<u8> {
    let Step::Send(bytes) = step.unwrap() else { panic!("nothing to send") };
    bytes.to_vec()
}

fn keyed(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

/// A server's SCRAM up to the client's proof; gives what the server would prove itself with.
fn scram(login: &mut Login, names: &[&[u8]], mechanism: &[u8]) -> String {
    let first = sent(offer(login, names));
    let (named, data) = Secret(&first[5..]).sasl_initial().unwrap();
    assert_eq!(named, mechanism);
    let first = String::from_utf8(data.unwrap().to_vec()).unwrap();
    let bare = &first[first.find("n=").unwrap()..];
    let nonce = bare.strip_prefix("n=,r=").unwrap();
    let challenge = format!("r={nonce}server,s={},i=4096", Base64::encode_string(SALT));
    let Step::Run(work) = told(login, Authentication::SaslContinue(challenge.as_bytes())).unwrap() else {
        panic!("no work")
    };
    let last = sent(login.worked(work.run()));
    let last = String::from_utf8(last[5..].to_vec()).unwrap();
    let (unproven, _) = last.split_once(",p=").unwrap();
    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, NonZeroU32::new(4096).unwrap(), SALT, b"pencil", &mut salted);
    let signed = format!("{bare},{challenge},{unproven}");
    format!("v={}", Base64::encode_string(&keyed(&keyed(&salted, b"Server Key"), signed.as_bytes())))
}

/// A server's last words before it is ready.
fn settle(login: &mut Login) -> Result<Step, LoginError> {
    login.receive(&Backend::Parameter(Parameter { name: b"server_version", value: b"18.0" }))?;
    login.receive(&Backend::KeyData(KeyData { process: 42, key: &[1, 2, 3, 4] }))?;
    login.receive(&Backend::Ready(Status::Idle))
}

#[test]
fn scram_over_tls_is_bound_to_the_certificate() {
    let mut login = begin(account(), Wire::Tls(Some(vec![9; 32])));
    let proof = scram(&mut login, &[scram::PLUS, scram::PLAIN], scram::PLUS);
    told(&mut login, Authentication::SaslFinal(proof.as_bytes())).unwrap();
    told(&mut login, Authentication::Ok).unwrap();
    let Step::Done(ready) = settle(&mut login).unwrap() else { panic!("not done") };
    assert_eq!((ready.method, ready.bound), (Method::Scram, true));
    let mut out = Vec::new();
    ready.greet(&mut out);
    assert_eq!(
        out,
        b"R\0\0\0\x08\0\0\0\0S\0\0\0\x18server_version\x0018.0\0K\0\0\0\x0c\0\0\0\x2a\x01\x02\x03\x04Z\0\0\0\x05I"
    );
}

#[test]
fn scram_without_an_offer_to_bind_says_that_it_could() {
    for (wire, header) in [(Wire::Tls(Some(vec![9; 32])), "y,,"), (Wire::Tls(None), "n,,"), (Wire::Clear, "n,,")] {
        let mut login = begin(account(), wire.clone());
        let first = sent(offer(&mut login, &[scram::PLAIN]));
        let (_, data) = Secret(&first[5..]).sasl_initial().unwrap();
        assert!(data.unwrap().starts_with(header.as_bytes()), "{wire:?}");
    }
}

#[test]
fn a_server_that_has_not_proven_itself_is_refused() {
    // Right after the offer, before the proof, instead of the proof, and with a wrong one.
    let mut login = begin(account(), Wire::Clear);
    offer(&mut login, &[scram::PLAIN]).unwrap();
    assert_eq!(told(&mut login, Authentication::Ok).unwrap_err(), LoginError::NotProven);

    let mut login = begin(account(), Wire::Clear);
    scram(&mut login, &[scram::PLAIN], scram::PLAIN);
    assert_eq!(told(&mut login, Authentication::Ok).unwrap_err(), LoginError::NotProven);

    let mut login = begin(account(), Wire::Clear);
    scram(&mut login, &[scram::PLAIN], scram::PLAIN);
    let wrong = format!("v={}", Base64::encode_string(&[0; 32]));
    let refused = told(&mut login, Authentication::SaslFinal(wrong.as_bytes())).unwrap_err();
    assert_eq!(refused, LoginError::Scram(ScramError::Signature));
    // And it does not get another try.
    assert!(told(&mut login, Authentication::Ok).is_err());

    let mut login = begin(account(), Wire::Clear);
    assert_eq!(told(&mut login, Authentication::Ok).unwrap_err(), LoginError::Method(Method::None));
}

#[test]
fn what_is_repeated_is_refused() {
    let mut login = begin(account(), Wire::Clear);
    offer(&mut login, &[scram::PLAIN]).unwrap();
    assert!(offer(&mut login, &[scram::PLAIN]).is_err());

    let mut login = begin(account(), Wire::Clear);
    let proof = scram(&mut login, &[scram::PLAIN], scram::PLAIN);
    told(&mut login, Authentication::SaslFinal(proof.as_bytes())).unwrap();
    assert!(told(&mut login, Authentication::SaslFinal(proof.as_bytes())).is_err());

    let mut login = begin(accepting(Method::Password), Wire::Tls(None));
    told(&mut login, Authentication::Cleartext).unwrap();
    assert!(told(&mut login, Authentication::Cleartext).is_err(), "a password is told once");
}

#[test]
fn weaker_methods_need_leave_and_tls() {
    type Asked = Authentication<'static>;
    for (asked, method) in [(Asked::Cleartext, Method::Password), (Asked::Md5([1; 4]), Method::Md5)] {
        let refused = |account, wire| told(&mut begin(account, wire), asked).unwrap_err();
        assert_eq!(refused(account(), Wire::Tls(None)), LoginError::Method(method));
        assert_eq!(refused(accepting(method), Wire::Clear), LoginError::InClear(method));
        for wire in [Wire::Tls(None), Wire::ClearAsConfigured] {
            let mut login = begin(accepting(method), wire);
            sent(told(&mut login, asked));
            told(&mut login, Authentication::Ok).unwrap();
            let Step::Done(ready) = settle(&mut login).unwrap() else { panic!("not done") };
            assert_eq!(ready.method, method);
        }
    }
}

#[test]
fn the_md5_of_postgres() {
    // The server keeps md5(password, role), and asks for the MD5 of that and the salt.
    let mut login = begin(accepting(Method::Md5), Wire::Tls(None));
    let answer = sent(told(&mut login, Authentication::Md5([1, 2, 3, 4])));
    assert_eq!(answer, b"p\0\0\0\x28md54bfca4ca571b8df74c2fc2247888d96f\0");
}

#[test]
fn other_methods_are_refused() {
    for asked in [Authentication::Gss, Authentication::Sspi, Authentication::Kerberos] {
        assert_eq!(told(&mut begin(account(), Wire::Clear), asked).unwrap_err(), LoginError::Unsupported);
    }
    for (names, wire) in
        [(&[&b"SCRAM-SHA-1"[..]][..], Wire::Tls(None)), (&[scram::PLUS], Wire::Clear), (&[], Wire::Tls(Some(vec![1])))]
    {
        assert_eq!(offer(&mut begin(account(), wire), names).unwrap_err(), LoginError::Unsupported, "{names:?}");
    }
    let without = Account { password: None, ..account() };
    assert_eq!(offer(&mut begin(without, Wire::Clear), &[scram::PLAIN]).unwrap_err(), LoginError::NoPassword);
}

#[test]
fn few_iterations_are_computed_inside_tls_only() {
    for (wire, good) in [(Wire::Clear, false), (Wire::Tls(None), true)] {
        let mut login = begin(account(), wire);
        offer(&mut login, &[scram::PLAIN]).unwrap();
        let challenge = format!("r={}x,s=AAAA,i=1000", Base64::encode_string(&[7; 18]));
        assert_eq!(told(&mut login, Authentication::SaslContinue(challenge.as_bytes())).is_ok(), good);
    }
}

#[test]
fn a_role_is_taken_on_before_the_first_request() {
    let account = Account { set_role: Some("read\"only".to_owned()), ..accepting(Method::None) };
    let mut login = begin(account.clone(), Wire::Tls(None));
    told(&mut login, Authentication::Ok).unwrap();
    let query = sent(settle(&mut login));
    assert_eq!(query, b"Q\0\0\0\x1aSET ROLE \"read\"\"only\"\0");
    assert!(matches!(login.receive(&Backend::Complete(Tag(b"SET"))), Ok(Step::Read)));
    assert!(matches!(login.receive(&Backend::Ready(Status::Idle)), Ok(Step::Done(_))));

    let mut login = begin(account.clone(), Wire::Tls(None));
    told(&mut login, Authentication::Ok).unwrap();
    settle(&mut login).unwrap();
    let report = Report::decode(b"SERROR\0C42501\0Mpermission denied to set role \"x\"\0\0").unwrap();
    let failed = login.receive(&Backend::Error(report)).unwrap_err();
    assert_eq!(failed.client_text(), "Sallyport could not log in to the database");

    let physical = begun(account, Wire::Clear, &[(b"replication", b"true")], None);
    assert_eq!(physical.err(), Some(LoginError::NoSql));
}

#[test]
fn the_clients_parameters_go_along() {
    let more: &[(&[u8], &[u8])] = &[(b"options", b"-c x=y"), (b"application_name", b"psql")];
    let (_, packet) = begun(account(), Wire::Clear, more, Some("01ab")).unwrap();
    let Startup::Start(start) = Startup::decode(&packet[4..]).unwrap() else { panic!("no startup message") };
    assert_eq!((start.user(), start.parameter(b"database")), (&b"app"[..], Some(&b"somebody"[..])));
    assert_eq!(start.parameter(b"application_name"), Some(&b"psql [01ab]"[..]));
    assert_eq!(start.parameter(b"options"), Some(&b"-c x=y"[..]));
    assert_eq!(tagged(&[b'n'; 70], "tag"), [&[b'n'; 57][..], b" [tag]"].concat());
    assert_eq!(tagged(b"", "a\nb"), b"[ab]");
    let long = vec![b'x'; 10_000];
    let too_long = begun(account(), Wire::Clear, &[(b"options", &long)], None);
    assert_eq!(too_long.err(), Some(LoginError::Parameters));
}

#[test]
fn the_server_is_quoted_only_when_it_is_known() {
    let report = Report::decode(b"SFATAL\0C28P01\0Mpassword authentication failed for user \"app\"\0\0").unwrap();
    let failed = begin(account(), Wire::Clear).receive(&Backend::Error(report)).unwrap_err();
    assert_eq!((failed.sqlstate(), failed.client_text()), (*b"28000", "Sallyport could not log in to the database"));
    assert!(failed.to_string().contains("28P01"), "{failed}");

    let report = Report::decode(b"SFATAL\0C53300\0Msorry\x1b\0\0").unwrap();
    let failed = begin(account(), Wire::Clear).receive(&Backend::Error(report)).unwrap_err();
    assert_eq!((failed.sqlstate(), failed.client_text()), (*b"53300", "the database does not take connections now"));
    assert!(!failed.to_string().contains('\x1b'));

    let mut login = begin(accepting(Method::None), Wire::Clear);
    told(&mut login, Authentication::Ok).unwrap();
    let report = Report::decode(b"SFATAL\0C3D000\0Mdatabase \"x\" does not exist\0\0").unwrap();
    let failed = login.receive(&Backend::Error(report)).unwrap_err();
    assert_eq!((failed.sqlstate(), failed.client_text()), (*b"3D000", "database \"x\" does not exist"));
    assert!(failed.response().starts_with(b"E"));
}

#[test]
fn a_server_that_goes_on_is_stopped() {
    let mut login = begin(accepting(Method::None), Wire::Clear);
    told(&mut login, Authentication::Ok).unwrap();
    let same = Backend::Parameter(Parameter { name: b"a", value: b"b" });
    let count = (0..).find(|_| login.receive(&same).is_err()).unwrap();
    assert_eq!(count, MOST_MESSAGES - 1);

    let mut login = begin(accepting(Method::None), Wire::Clear);
    told(&mut login, Authentication::Ok).unwrap();
    let other = |number: u32| login.receive(&Backend::Parameter(Parameter { name: &number.to_be_bytes(), value: b"" }));
    assert_eq!((0..1000).map(other).filter(Result::is_ok).count(), 256);
    for early in [Backend::Ready(Status::Idle), Backend::Empty, Backend::Parameter(Parameter { name: b"", value: b"" })]
    {
        assert!(begin(account(), Wire::Clear).receive(&early).is_err(), "{early:?}");
    }
}

#[test]
fn passwords_are_not_shown() {
    assert_eq!(format!("{:?}", account().password), "Some(Password)");
    for bad in [&b""[..], b"a\0b", &[b'x'; Password::MAX + 1]] {
        assert!(Password::new(bad.to_vec()).is_none());
    }
}

/// Messages a server may send at some point of a login, and others.
fn anything() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let codes = prop::sample::select(vec![0_u32, 2, 3, 5, 7, 8, 9, 10, 11, 12, 13]);
    let texts = prop::sample::select(vec![
        &b""[..],
        b"salt",
        b"SCRAM-SHA-256\0\0",
        b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",
        b"r=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHx,s=AAAA,i=4096",
        b"r=BwcHBwcHBwcHBwcHBwcHBwcHx,s=AAAA,i=4096",
        b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        b"e=other-error",
    ]);
    let asked = (codes, texts).prop_map(|(code, text)| (b'R', [&code.to_be_bytes(), text].concat()));
    let others = prop::sample::select(vec![
        (b'Z', b"I".to_vec()),
        (b'S', b"a\0b\0".to_vec()),
        (b'K', vec![0; 8]),
        (b'C', b"SET\0".to_vec()),
        (b'N', b"SNOTICE\0\0".to_vec()),
        (b'v', vec![0, 3, 0, 0, 0, 0, 0, 0]),
    ]);
    prop_oneof![3 => asked, 1 => others]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever a server says, without the password it gets neither a session nor the password.
    #[test]
    fn nobody_gets_around_scram(messages in prop::collection::vec(anything(), 0..12), tls in any::<bool>()) {
        let wire = if tls { Wire::Tls(Some(vec![9; 32])) } else { Wire::Clear };
        let mut login = begin(account(), wire);
        for (tag, body) in messages {
            let Ok(message) = Backend::decode(tag, &body) else { continue };
            let Ok(mut step) = login.receive(&message) else { continue };
            if let Step::Run(work) = step {
                step = login.worked(work.run()).unwrap();
            }
            prop_assert!(!matches!(step, Step::Done(_)));
            if let Step::Send(bytes) = step {
                prop_assert!(!bytes.windows(6).any(|part| part == b"pencil"));
            }
        }
    }
}
