//! A configuration file: any bytes give a configuration, or mistakes that each lie inside the file.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sallyport::config::{Config, Host};

/// A host that is not asked twice for the same answer.
struct Nobody;

impl Host for Nobody {
    fn uid(&self, name: &str) -> Option<u32> {
        (name == "root").then_some(0)
    }

    fn users(&self) -> Vec<String> {
        vec!["root".to_owned()]
    }

    fn name(&self) -> String {
        "host".to_owned()
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Err(errors) = Config::parse(bytes, Path::new("fuzz.toml"), &Nobody) else { return };
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.split('\n').collect();
    assert!(!errors.problems().is_empty());
    for problem in errors.problems() {
        let length = lines[problem.line - 1].chars().count();
        assert!((1..=length + 1).contains(&problem.column), "{problem:?}");
    }
    let shown = errors.to_string();
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
});
