//! Tests of the whole room.

use super::*;

#[test]
fn nothing_is_a_configuration() {
    let config = Config::parse(b"", Path::new("x"), &Fake).unwrap();
    assert!(config.scopes.is_empty());
}

/// A host with two users.
struct Fake;

impl Host for Fake {
    fn uid(&self, name: &str) -> Option<u32> {
        match name {
            "root" => Some(0),
            "postgres" => Some(114),
            _ => None,
        }
    }

    fn users(&self) -> Vec<String> {
        vec!["root".into(), "postgres".into()]
    }

    fn name(&self) -> String {
        "bastion-1".into()
    }
}
