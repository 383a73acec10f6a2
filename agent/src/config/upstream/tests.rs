//! Tests of how a target is reached.

use std::path::Path;

use super::*;
use crate::config::{Config, ThisHost};

const START: &str = "[target.db]\naddresses = '10.0.0.5'\nprotocol = 'postgres'\n";

fn upstream(text: &str) -> Upstream {
    let config = Config::parse(format!("{START}{text}").as_bytes(), Path::new("x.toml"), &ThisHost).unwrap();
    config.targets[0].upstream.clone()
}

/// What is wrong, by line counted from the fourth.
fn wrong(text: &str) -> Vec<String> {
    let errors = Config::parse(format!("{START}{text}").as_bytes(), Path::new("x.toml"), &ThisHost).unwrap_err();
    errors.problems().iter().map(|problem| format!("{} {}", problem.line - 3, problem.message)).collect()
}

#[test]
fn nothing_said_leaves_everything_to_the_client() {
    let upstream = upstream("");
    assert_eq!(upstream, Upstream::default());
    assert_eq!(upstream.tls.as_str(), "as-client");
}

#[test]
fn a_target_is_read() {
    let found = upstream(
        "tls = 'verify-ca'\nca = '/ca.pem'\nserver_name = 'DB.example.org'\nclient_certificate = '/c.pem'\n\
         client_key = '/c.key'\ntag_application_name = true\n[[target.db.credential]]\nrole = 'app'\n",
    );
    assert_eq!(found.server_name.as_deref(), Some("db.example.org"));
    assert_eq!((found.tls, found.tag_application_name), (TlsMode::VerifyCa, true));
    assert_eq!(found.require_auth, [Method::Scram, Method::None], "a certificate is an authentication");
    assert!(matches!(&found.credentials[0].uses, Use::Login { secret: None, .. }));
}

#[test]
fn the_first_credential_that_fits_holds() {
    let found = upstream(
        "[[target.db.credential]]\nunit = 'nightly-*.service'\nrole = 'n'\npassword_file = '/n'\nset_role = 'r'\n\
         [[target.db.credential]]\nworkload = 'spiffe://*/user/*'\nuser = ['ada', 'b*']\nrole = 'u'\n\
         password_env_file = '/u'\n[[target.db.credential]]\npassthrough = true\n",
    );
    let first = |workload: &str, unit: Option<&str>, user: Option<&str>| {
        found.credentials.iter().position(|entry| entry.whose.fits(workload, unit, user))
    };
    assert_eq!(first("spiffe://t/host/h/unit/nightly-1.service", Some("nightly-1.service"), Some("ada")), Some(0));
    assert_eq!(first("spiffe://t/host/h/unit/x.service", Some("x.service"), Some("bob")), Some(1));
    assert_eq!(first("spiffe://t/host/h/user/eve", None, Some("eve")), Some(1));
    assert_eq!(first("spiffe://t/host/h/unit/x.service", None, None), Some(2));
    let Use::Login { secret, .. } = &found.credentials[1].uses else { panic!("no login") };
    assert_eq!(*secret, Some(Secret::EnvFile { path: "/u".into(), key: "PGPASSWORD".to_owned() }));
}

#[test]
fn each_mistake_has_its_words() {
    for (text, expected) in [
        (
            "tls = 'verify-all'",
            "1 `tls` must be \"as-client\" or \"verify-full\" or \"verify-ca\" or \"require\" or \"prefer\" or \"disable\", not \"verify-all\"",
        ),
        ("tls = 'require'\nca = '/x'", "2 `ca` has no effect: tls = \"require\" verifies nothing"),
        ("ca = 'x'", "1 `ca` must be an absolute path"),
        ("server_name = 'db:5432'", "1 \"db:5432\" is no name a certificate can have"),
        ("client_key = '/x'", "1 it needs `client_certificate` too"),
        ("tag_application_name = 'yes'", "1 `tag_application_name` must be true or false, not a string"),
        (
            "require_auth = ['gss']",
            "1 `require_auth` must be \"scram-sha-256\" or \"md5\" or \"password\" or \"none\", not \"gss\"",
        ),
        ("credential = 1", "1 `credential` must be tables, not an integer"),
        ("[[target.db.credential]]\npassword_file = '/x'", "1 this credential has no `role`"),
        ("[[target.db.credential]]\nrole = 'a'", "1 this credential has no secret"),
        (
            "[[target.db.credential]]\nrole = 'a'\npassword_file = '/x'\nsystemd_credential = 'y'",
            "4 there is another secret already",
        ),
        (
            "[[target.db.credential]]\nrole = 'a'\npassword_file = '/x'\npassword_key = 'K'",
            "4 `password_key` needs `password_env_file`",
        ),
        (
            "[[target.db.credential]]\nrole = 'a'\nsystemd_credential = '../x'",
            "3 \"../x\" cannot be a credential's name",
        ),
        (
            "[[target.db.credential]]\nrole = 'a'\npassword_command = ['pass', 'x']",
            "3 `password_command` must be an absolute path",
        ),
        ("[[target.db.credential]]\nrole = 'a'\npassthrough = true", "2 this does not go with `passthrough`"),
        (
            "[[target.db.credential]]\npassthrough = true\nworkload = 'unit/x'",
            "3 \"unit/x\" fits no workload: they begin with spiffe://",
        ),
        (
            "[[target.db.credential]]\npassword = 'hidden'\npassthrough = true",
            "2 unknown key \"password\" in [target.NAME.credential]",
        ),
    ] {
        assert_eq!(wrong(text), [expected], "{text}");
    }
}

#[test]
fn what_is_not_spoken_is_not_configured() {
    let text = "[target.web]\naddresses = '10.0.0.5'\ntls = 'verify-full'\n";
    let errors = Config::parse(text.as_bytes(), Path::new("x.toml"), &ThisHost).unwrap_err();
    assert_eq!(errors.problems()[0].message, "this needs protocol = \"postgres\", not \"tcp\"");
}
